"""`irrepnet graph`: the hypergraph of a structure file."""

from typing import Annotated, Any

import typer

from irrepnet.cli.options import File, Json, Symprec
from irrepnet.cli.printing import in_lines, plain_console, print_json


def graph(
    file: File,
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
    symprec: Symprec = 0.01,
    json_: Json = False,
) -> None:
    """Show a crystal's hypergraph: hyperedges and features, neighbours, and the shells that a cut would split."""
    from irrepnet.graphs import HypergraphOptions
    from irrepnet.graphs.reports import describe_hypergraph

    options = HypergraphOptions(
        cutoff=cutoff,
        n_max=n_max,
        scale=scale,
        symprec=symprec,
        neighbours=neighbours,
        hyperedges=tuple(dict.fromkeys(name.strip() for name in hyperedges.split(","))),
    )
    report = describe_hypergraph(file, options)
    if json_:
        print_json(report)
    else:
        _print(report)


def _print(report: dict[str, Any]) -> None:
    from rich.table import Table

    console = plain_console()
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
        split = orbit["split_shell"]
        orbits.add_row(
            f"{orbit['element']} {orbit['wyckoff']}",
            str(orbit["atoms"]),
            orbit["site_symmetry"],
            str(orbit["neighbours"]),
            in_lines(orbit["shells"]),
            f"keeps {split['kept']} of {split['size']} at {split['distance']:.3f} Å" if split else "whole shells",
        )
    console.print(orbits)
    for failure in report["failures"]:
        console.print(f"left out: {failure}")


def _features(columns: list[dict[str, Any]]) -> str:
    """The first few by name."""
    shown = 4
    named = [c["name"] if c["size"] == 1 else f"{c['name']} × {c['size']}" for c in columns[:shown]]
    return ", ".join(named) + (f" and {len(columns) - shown} more" if len(columns) > shown else "")
