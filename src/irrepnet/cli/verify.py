"""`irrepnet verify`."""

from pathlib import Path
from typing import Annotated

import typer

from irrepnet.cli.options import Json, Model
from irrepnet.cli.printing import plain_console, print_json


def verify(
    model: Model,
    file: Annotated[Path, typer.Argument(help="A structure file.")],
    json_: Json = False,
    seed: Annotated[int, typer.Option(help="Of the random rotation, translation and permutation.")] = 0,
) -> None:
    """Check that a model's output depends neither on how a crystal is described nor on how its symmetry is used."""
    from irrepnet.checks import verify_model

    report = verify_model(model, file, seed)
    if json_:
        print_json(report)
        return
    from rich.table import Table

    title = f"{report['formula']}, {report['point_group']}" + (f" in {report['group']}" if "group" in report else "")
    table = Table("what was changed", "largest difference", title=title)
    labels = {
        "equivariance": "crystal turned by the elements of its group",
        "rotation": "orientation of the input",
        "translation": "origin",
        "permutation": "order of the atoms",
        "supercell": "supercell",
        "orbits": "one node an orbit → one node an atom",
        "gradient": "forces → finite differences",
        "hermiticity": "H(R) → H(−R)†",
        "symmetry": "H under the space group",
    }
    rows = {label: report[key] for key, label in labels.items() if key in report}
    rows |= {f"full form → {form}": value for form, value in report.get("forms", {}).items()}
    for name, value in rows.items():
        table.add_row(name, f"{value:.1e}")
    plain_console().print(table)
    if "needed" in (frames := report.get("frames", {})):
        plain_console().print(
            f"Needs {frames['needed']} frames, more than {frames['at most']}: the O(3)-invariant part alone runs."
        )
    nodes = ", ".join(f"{name} {count}" for name, count in report["nodes"].items())
    plain_console().print(f"Outputs in float64. Nodes: {nodes}.")
