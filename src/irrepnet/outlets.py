"""Text from outside (names, ids, paths, what files say) on its way out: one function for each outlet makes it safe."""

import re
from collections.abc import Iterable
from html import escape
from typing import Any

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_FORMULA = re.compile(r"[=+\-@\t]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?inf|[+-]?nan", re.IGNORECASE | re.ASCII)
_GUARDED = re.compile(r"'[=+\-@\t]")


def for_terminal(text: object) -> str:
    """Without escape sequences, control characters, marks that turn the direction, and lone surrogates: each is
    written out, such as ``\\x1b``. Lines and tabs stay."""
    return _CONTROL.sub(_written_out, str(text))


def for_html(text: object) -> str:
    """Without markup."""
    return escape(for_terminal(text))


def html_table(title: object, header: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """A table, what notebooks display of an object."""

    def line(tag: str, cells: Iterable[object]) -> str:
        return "<tr>" + "".join(f"<{tag}>{for_html(cell)}</{tag}>" for cell in cells) + "</tr>"

    head = line("th", header)
    body = "".join(line("td", row) for row in rows)
    return f"<table><caption>{for_html(title)}</caption><thead>{head}</thead><tbody>{body}</tbody></table>"


def for_picture(text: object) -> str:
    """Without matplotlib's formulas between dollars."""
    return for_terminal(text).replace("$", "\\$")


def for_csv(cell: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: text that begins like one, and is no number, gets an apostrophe.

    Unknown values, None and NaN, are empty.
    """
    if cell is None or cell != cell:
        return ""
    if not isinstance(cell, str):
        return cell
    text = for_terminal(cell)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def csv_line(cells: Iterable[Any]) -> list[Any]:
    """:func:`for_csv` of every cell."""
    return [for_csv(cell) for cell in cells]


def from_csv(cell: str) -> str:
    """What :func:`for_csv` was given."""
    return cell[1:] if _GUARDED.match(cell) else cell


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
