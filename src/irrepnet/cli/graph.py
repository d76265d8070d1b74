"""`irrepnet graph`: the hypergraph of a structure file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from irrepnet.crystals import SymmetricCrystal
    from irrepnet.graphs import HypergraphOptions


def graph(
    file: Annotated[Path, typer.Argument(help="A structure file: CIF, POSCAR, extended XYZ or JSON.")],
    hyperedges: Annotated[
        str, typer.Option(help="Hyperedge types, separated by commas.")
    ] = "bonds,triplets,motifs,cell",
    neighbours: Annotated[
        str, typer.Option(help="Which atoms are bonded: shells, cutoff, n-max, voronoi or nearest.")
    ] = "shells",
    cutoff: Annotated[float, typer.Option(help="Largest distance of a neighbour, Å.")] = 8.0,
    n_max: Annotated[int, typer.Option(help="Neighbours after which no further shell is begun.")] = 12,
    scale: Annotated[
        float, typer.Option(help="For nearest: the farthest neighbour in units of the nearest one's distance.")
    ] = 1.5,
    symprec: Annotated[float, typer.Option(help="How far from symmetric an atom may be, Å.")] = 0.01,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show a crystal's hypergraph: hyperedges and features, neighbours, and the shells that a cut would split."""
    import json

    from irrepnet.crystals import SymmetricCrystal
    from irrepnet.graphs import HypergraphOptions

    options = HypergraphOptions(
        cutoff=cutoff,
        n_max=n_max,
        scale=scale,
        symprec=symprec,
        neighbours=neighbours,
        hyperedges=tuple(dict.fromkeys(name.strip() for name in hyperedges.split(","))),
    )
    report = {"file": str(file)} | _report(SymmetricCrystal.from_structure(file, symprec), options)
    if json_:
        typer.echo(json.dumps(report))
    else:
        _print(report)


def _report(crystal: "SymmetricCrystal", options: "HypergraphOptions") -> dict[str, Any]:
    from irrepnet.graphs import hyperedge_type, hypergraph

    made = hypergraph(crystal, options)
    types = {}
    for name, incidences in made.types.items():
        kind = hyperedge_type(name)
        total = float(kind.build(crystal, options).count.sum())
        types[name] = {
            "hyperedges": round(total) if abs(total - round(total)) < 1e-6 else total,
            "classes": len(incidences.features),
            "features": [{"name": column.name, "size": column.size} for column in kind.columns(options)],
        }
    return {
        "formula": crystal.formula,
        "spacegroup": {"number": crystal.spacegroup_number, "symbol": crystal.spacegroup_symbol},
        "neighbours": options.neighbours,
        "cutoff": options.cutoff,
        "n_max": options.n_max,
        "atoms": len(crystal),
        "nodes": len(made),
        "types": types,
        "orbits": _orbits(crystal, options),
        "failures": list(made.failures),
    }


def _orbits(crystal: "SymmetricCrystal", options: "HypergraphOptions") -> list[dict[str, Any]]:
    from collections import Counter

    import numpy as np

    from irrepnet.crystals import find_neighbours, shell_starts, split_shells

    found = find_neighbours(crystal, options)
    split = {
        shell.orbit: {"distance": shell.distance, "size": shell.size, "kept": shell.kept}
        for shell in split_shells(crystal, options.n_max, options.cutoff, options.tolerance)
    }
    orbits = []
    for number, atom in enumerate(crystal.representatives):
        own = found.select(found.receiver == atom)
        starts = shell_starts(own.distance, options.tolerance)
        shells = []
        for start, senders in zip(starts, np.split(own.sender, starts[1:]), strict=True):
            elements = Counter(sorted(crystal.species[sender] for sender in senders))
            shells.append({"distance": float(own.distance[start]), "count": len(senders), "elements": elements})
        orbits.append(
            {
                "element": crystal.species[atom],
                "wyckoff": crystal.wyckoff[atom],
                "atoms": int((crystal.orbits == number).sum()),
                "site_symmetry": crystal.site_symmetry[number],
                "neighbours": len(own.sender),
                "shells": shells,
                "split_shell": split.get(number),
            }
        )
    return orbits


def _print(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    space = report["spacegroup"]
    facts = Table.grid(padding=(0, 2))
    facts.add_row("formula", report["formula"])
    facts.add_row("space group", f"{space['symbol']} ({space['number']})")
    facts.add_row("atoms", f"{report['atoms']} in the primitive cell")
    facts.add_row("nodes", f"{report['nodes']}, one an orbit")
    facts.add_row("neighbours", report["neighbours"])
    console.print(facts)

    types = Table("hyperedges", "in the cell", "classes", "features")
    for name, made in report["types"].items():
        total = made["hyperedges"]
        number = f"{total:.1f} (sum of weights)" if isinstance(total, float) else str(total)
        types.add_row(name, number, str(made["classes"]), _features(made["features"]))
    console.print(types)

    orbits = Table("orbit", "atoms", "site symmetry", "neighbours", "shells", f"a cut at {report['n_max']}")
    for orbit in report["orbits"]:
        shells = []
        for shell in orbit["shells"]:
            elements = ", ".join(f"{count} {element}" for element, count in shell["elements"].items())
            shells.append(f"{shell['distance']:.3f} Å: {elements}")
        split = orbit["split_shell"]
        orbits.add_row(
            f"{orbit['element']} {orbit['wyckoff']}",
            str(orbit["atoms"]),
            orbit["site_symmetry"],
            str(orbit["neighbours"]),
            "\n".join(shells),
            f"keeps {split['kept']} of {split['size']} at {split['distance']:.3f} Å" if split else "whole shells",
        )
    console.print(orbits)
    for failure in report["failures"]:
        console.print(f"left out: {failure}", markup=False)


def _features(columns: list[dict[str, Any]]) -> str:
    """The first few by name."""
    shown = 4
    named = [c["name"] if c["size"] == 1 else f"{c['name']} × {c['size']}" for c in columns[:shown]]
    return ", ".join(named) + (f" and {len(columns) - shown} more" if len(columns) > shown else "")
