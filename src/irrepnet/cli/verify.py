"""`irrepnet verify`."""

from pathlib import Path
from typing import Annotated

import typer


def verify(
    model: Annotated[str, typer.Argument(help="A run folder, or a preset for random weights.")],
    file: Annotated[Path, typer.Argument(help="A structure file.")],
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    seed: Annotated[int, typer.Option(help="Of the random rotation, translation and permutation.")] = 0,
) -> None:
    """Check that a model's output depends neither on how a crystal is described nor on how its symmetry is used."""
    import json

    from irrepnet.training import load_config, load_run, presets
    from irrepnet.training.verify import random_network
    from irrepnet.training.verify import verify as check

    if model in presets():
        config = load_config(model, {"data.source": "none", "data.targets": "none"})
        net = random_network(config.model, config.graph, seed)
    else:
        run = load_run(model)
        config, net = run.config, run.model
    report = check(net, file, config.graph, seed)
    if json_:
        typer.echo(json.dumps(report))
        return
    from rich.console import Console
    from rich.table import Table

    title = f"{report['formula']}, {report['point_group']}" + (f" in {report['group']}" if "group" in report else "")
    table = Table("what was changed", "largest difference", title=title)
    labels = {
        "equivariance": "crystal turned by the elements of the group",
        "rotation": "orientation of the input",
        "translation": "origin",
        "permutation": "order of the atoms",
        "supercell": "supercell",
        "orbits": "one node an orbit → one node an atom",
    }
    rows = {label: report[key] for key, label in labels.items() if key in report}
    rows |= {f"full form → {form}": value for form, value in report.get("forms", {}).items()}
    for name, value in rows.items():
        table.add_row(name, f"{value:.1e}")
    Console().print(table)
    if "needed" in (frames := report.get("frames", {})):
        Console().print(
            f"Needs {frames['needed']} frames, more than {frames['at most']}: the O(3)-invariant part alone runs."
        )
    nodes = ", ".join(f"{name} {count}" for name, count in report["nodes"].items())
    Console().print(f"Outputs in float64, dimensionless. Nodes: {nodes}.")
