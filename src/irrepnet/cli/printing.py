"""What several commands print alike: JSON documents, tables, counts and shells."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from irrepnet.errors import IrrepnetError
from irrepnet.outlets import for_terminal

if TYPE_CHECKING:
    from rich.console import Console


def say(text: object, err: bool = False) -> None:
    """A line on standard output, or error, in which nothing is a command to the terminal."""
    typer.echo(for_terminal(text), err=err)


def plain_console(**options: Any) -> Console:
    """A console that takes text as it is: no markup, no escape sequences, no colours by what it looks like."""
    from rich.console import Console

    class Plain(Console):
        def render_str(self, text: str, **how: Any) -> Any:
            return super().render_str(for_terminal(text), **how)

    return Plain(markup=False, highlight=False, emoji=False, **options)


def print_json(document: object) -> None:
    """One document on one line. Raises IrrepnetError if a number in it is not finite, for which JSON has no word."""
    try:
        text = json.dumps(document, allow_nan=False, ensure_ascii=False)
    except ValueError as error:
        raise IrrepnetError("the result has a number that is not finite, and JSON cannot hold it") from error
    say(text)


def leave(done: int, refused: int) -> None:
    """The end of a command that takes several: its code is 0 if all were done, 1 if some were refused, 2 if none was
    done."""
    if refused:
        raise typer.Exit(1 if done else 2)


def leave_if_left_out(notes: Sequence[str]) -> None:
    """Leave with 1 if a note on the only crystal of a file says that something beside it could not be read."""
    from irrepnet.crystals.reading import LEFT_OUT

    leave(1, sum(note.startswith(LEFT_OUT) for note in notes))


def print_table(title: str, columns: list[str], rows: list[list[str]], centred: range = range(0)) -> None:
    """A table of plain text whose cells are never cut; `centred` numbers the columns that are not flushed left."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_style="", box=box.SIMPLE_HEAD, title_justify="left")
    for k, column in enumerate(columns):
        table.add_column(column, justify="center" if k in centred else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = plain_console()
    if not console.is_terminal:  # a pipe has no width
        console = plain_console(width=400)
    console.print(table)


def in_sum(counts: dict[str, int]) -> str:
    """Such as "A1g + 2Eu", or "none"."""
    return " + ".join(f"{count if count > 1 else ''}{label}" for label, count in counts.items()) or "none"


def in_lines(shells: list[dict[str, Any]]) -> str:
    """Neighbour shells, one a line: "2.108 Å: 6 O"."""
    lines = []
    for shell in shells:
        elements = ", ".join(f"{count} {element}" for element, count in shell["elements"].items())
        lines.append(f"{shell['distance']:.3f} Å: {elements}")
    return "\n".join(lines)
