"""`irrepnet path`."""

from pathlib import Path as File
from typing import TYPE_CHECKING, Annotated, Any

import typer

from irrepnet.cli.options import Json, Model
from irrepnet.cli.printing import plain_console, print_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def path(
    model: Model,
    start: Annotated[File, typer.Argument(help="A structure file.")],
    end: Annotated[File, typer.Argument(help="Another, with the same atoms in a corresponding cell.")],
    steps: Annotated[int, typer.Option(max=100_000, help="How many crystals, both ends included.")] = 41,
    symprec: Annotated[
        str | None, typer.Option(help="Å, of the symmetry search; several with commas, as 1e-4,1e-3. The model's own.")
    ] = None,
    target: Annotated[str | None, typer.Option(help="Of a run with several targets, the one to follow.")] = None,
    continuous: Annotated[bool, typer.Option("--continuous", help="A preset with model.continuous=true.")] = False,
    picture: Annotated[File | None, typer.Option(help="Draw the output along the path into this file.")] = None,
    json_: Json = False,
    seed: Annotated[int, typer.Option(help="Of random weights.")] = 0,
) -> None:
    """Follow a prediction from one crystal to another, and report where it jumps."""
    from irrepnet.checks import follow_model
    from irrepnet.errors import IrrepnetError
    from irrepnet.files import write_picture

    try:
        tolerances = [float(value) for value in symprec.split(",")] if symprec else None
    except ValueError:
        raise IrrepnetError(f"--symprec {symprec}: write lengths in Å with commas between them") from None
    report = follow_model(model, start, end, steps, tolerances, target, continuous, seed)
    if picture:
        write_picture(_draw(report), picture, dpi=130)
    if json_:
        print_json(report)
    else:
        _print(report)


def _print(report: dict[str, Any]) -> None:
    from rich.table import Table

    console = plain_console()
    value = f"{report['target']} {report['unit']}".strip()
    for found in report["paths"]:
        table = Table("x", "space group", "runs", value, title=f"symprec {found['symprec']:g} Å", title_justify="left")
        rows = [(point["x"], _row(point)) for point in found["points"]]
        rows += [
            (change["x"], [f"{change['x']:.6f}", f"{_ends(change)}", change["cause"], f"jump {change['jump']:+.1e}"])
            for change in found["changes"]
        ]
        for _, row in sorted(rows, key=lambda row: row[0]):
            table.add_row(*row)
        console.print(table)
        console.print(
            f"Largest jump {found['largest_jump']:.1e}; apart from jumps the output changes by at most "
            f"{found['slope']:.1e} per length of the path; range {found['range']:.1e}.\n"
        )
    if len(report["paths"]) > 1:
        table = Table("symprec, Å", "at the start", "", "at the end", "", "largest jump", title="Against symprec")
        for found in report["paths"]:
            ends = (found["points"][0], found["points"][-1])
            cells = [cell for point in ends for cell in (point["spacegroup"], f"{point['output']:.6g}")]
            table.add_row(f"{found['symprec']:g}", *cells, f"{found['largest_jump']:.1e}")
        console.print(table)


def _row(point: dict[str, Any]) -> list[str]:
    runs = [
        f"{graph['weight']:+.2f} " + (f"{graph['group']} ({graph['frames']})" if graph["group"] else "O(3)")
        for graph in point["graphs"]
    ]
    return [f"{point['x']:.3f}", point["spacegroup"], " ".join(runs).removeprefix("+1.00 "), f"{point['output']:.6g}"]


def _ends(change: dict[str, Any]) -> str:
    before, after = change["before"]["spacegroup"], change["after"]["spacegroup"]
    return before if before == after else f"{before} → {after}"


def _draw(report: dict[str, Any]) -> "Figure":
    from matplotlib.figure import Figure

    from irrepnet.outlets import for_picture

    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.subplots()
    for found in report["paths"]:
        sides = [change[side] for change in found["changes"] for side in ("before", "after")]
        points = sorted([*found["points"], *sides], key=lambda point: point["x"])
        x, y = ([point[key] for point in points] for key in ("x", "output"))
        axes.plot(x, y, ".-", markersize=3, linewidth=1, label=f"symprec {found['symprec']:g} Å")
    unit = f" ({report['unit']})" if report["unit"] else ""
    ends = f"from {report['start']} to {report['end']}"
    axes.set(xlabel=for_picture(ends), ylabel=for_picture(report["target"] + unit))
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, fontsize=8)
    return figure
