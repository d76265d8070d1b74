"""`irrepnet data`: what data there are and what is in them."""

import json
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from irrepnet.data import Record

app = typer.Typer(help="The embedded data sets, and what a file of records holds.", no_args_is_help=True)

JSON = typer.Option(False, "--json", help="Print one JSON document instead of a table.")


@app.command("list")
def list_sets(as_json: bool = JSON) -> None:
    """List the data sets that come with the package."""
    from irrepnet.data import DATASETS, target_unit

    if as_json:
        rows = [
            {
                "name": data.name,
                "count": data.count,
                "doubtful_frames": data.doubtful,
                "description": data.description,
                "targets": {target: target_unit(target) for target in data.targets},
                "licence": data.licence,
            }
            for data in DATASETS.values()
        ]
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return

    from rich.console import Console
    from rich.table import Column, Table

    table = Table(Column("name", no_wrap=True), Column("crystals", justify="right"), "targets")
    for data in DATASETS.values():
        targets = "\n".join(_with_unit(target, target_unit(target)) for target in data.targets)
        table.add_row(data.name, str(data.count), targets, end_section=True)
    console = Console()
    console.print(table)
    console.print("Licence, citation, frames and contents of one: irrepnet data show NAME", highlight=False)


@app.command("show")
def show(
    name: str = typer.Argument(help="An embedded set, or a file or folder of records."),
    as_json: bool = JSON,
) -> None:
    """Show a data set: licence, citation, frames, point groups, targets and their ranges, first records."""
    from irrepnet.data import read_records

    records, rejections = read_records(name)
    summary = _summary(name, records) | {"rejected": [vars(rejection) for rejection in rejections]}
    if as_json:
        typer.echo(json.dumps(summary, indent=2, ensure_ascii=False))
    else:
        _print(summary)


def _summary(name: str, records: "Sequence[Record]") -> dict[str, Any]:
    from collections import Counter

    import numpy as np

    from irrepnet.data import DATASETS, QUANTITIES, scalar_targets, target_kind, target_unit, target_values

    described = {}
    if name in DATASETS:
        data = DATASETS[name]
        described = {
            "description": data.description,
            "licence": data.licence,
            "citation": list(data.citation),
            "source": data.source,
            "sha256": data.sha256,
            "frame": data.frame,
        }
    ranges = {}
    for target in scalar_targets(records):
        values = target_values(records, target)
        values = values[~np.isnan(values)]
        ranges[target] = {
            "unit": target_unit(target),
            "kind": target_kind(target),
            "count": len(values),
            "min": float(values.min()),
            "mean": float(values.mean()),
            "max": float(values.max()),
        }
    names = {key for record in records for key, value in record.properties.items() if isinstance(value, list)}
    tensors = {
        key: {"unit": quantity.unit, "description": quantity.description}
        for key, quantity in QUANTITIES.items()
        if key in names
    }
    groups = Counter(record.properties.get("point_group") for record in records)
    return {
        "name": name,
        **described,
        "count": len(records),
        "doubtful_frames": sum(bool(record.properties.get("frame_doubtful")) for record in records),
        "point_groups": {group: count for group, count in groups.most_common() if group is not None},
        "targets": ranges,
        "tensors": tensors,
        "first": [{"id": record.id, "formula": record.formula, "atoms": len(record)} for record in records[:3]],
    }


def _print(summary: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    console.print(f"[bold]{escape(summary['name'])}[/bold]: {summary['count']} crystals", highlight=False)
    facts = Table.grid(padding=(0, 2))
    for key in ("description", "licence", "citation", "frame", "source", "sha256"):
        if key in summary:
            value = summary[key]
            facts.add_row(key, escape("\n".join(value) if isinstance(value, list) else value))
    if summary["doubtful_frames"]:
        facts.add_row("doubtful", f"{summary['doubtful_frames']} crystals are marked frame_doubtful")
    if summary["point_groups"]:
        facts.add_row("point groups", ", ".join(f"{group} {count}" for group, count in summary["point_groups"].items()))
    facts.add_row("first", ", ".join(escape(f"{r['id']} {r['formula']}") for r in summary["first"]))
    console.print(facts, highlight=False)
    if summary["targets"]:
        table = Table("target", "crystals", "min", "mean", "max")
        for target, r in summary["targets"].items():
            numbers = (f"{r[key]:.4g}" for key in ("min", "mean", "max"))
            table.add_row(escape(_with_unit(target, r["unit"])), str(r["count"]), *numbers)
        console.print(table)
    if summary["tensors"]:
        table = Table("tensor", "description")
        for key, tensor in summary["tensors"].items():
            table.add_row(escape(_with_unit(key, tensor["unit"])), tensor["description"])
        console.print(table)
    for rejection in summary["rejected"]:
        console.print(f"rejected {rejection['id']}: {rejection['reason']}", markup=False, highlight=False)


def _with_unit(name: str, unit: str) -> str:
    return f"{name} ({unit})" if unit else name
