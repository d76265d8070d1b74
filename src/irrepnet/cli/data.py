"""`irrepnet data`: what data there are, what is in them, and the store of their graphs."""

import math
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from irrepnet.cli.options import Json, Symprec
from irrepnet.cli.printing import leave, plain_console, print_json, print_table, say
from irrepnet.cli.train import Assignments, Data, Preset, Targets, overrides_of

app = typer.Typer(
    help="The embedded data sets, data from elsewhere, what a file of records holds, and the store of graphs.",
    no_args_is_help=True,
)


@app.command("list")
def list_(json_: Json = False) -> None:
    """List the data sets that come with the package, and what else can be read."""
    from irrepnet.data import KINDS
    from irrepnet.data.fetch import SOURCES
    from irrepnet.data.reports import list_sets

    sets = list_sets()
    if json_:
        print_json(sets)
        return
    from rich.table import Column, Table

    table = Table(Column("name", no_wrap=True), Column("crystals", justify="right"), "targets")
    for data in sets:
        targets = "\n".join(_with_unit(target, unit) for target, unit in data["targets"].items())
        table.add_row(data["name"], str(data["count"]), targets, end_section=True)
    console = plain_console()
    console.print(table)
    console.print("Licence, citation, frames and contents of one: irrepnet data show NAME")
    console.print("irrepnet data fetch gets:", *(f"  {name}: {of.about}" for name, of in SOURCES.items()), sep="\n")
    console.print("Your own data can be:", *(f"  {kind.name}" for kind in KINDS[1:]), sep="\n")


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="An embedded set, or a file or folder of records.")],
    json_: Json = False,
) -> None:
    """Show what a data set holds, and what in it cannot be read; exit code 1 if that is some, 2 if all."""
    from irrepnet.data.summary import summary

    found = summary(name)
    if json_:
        print_json(found)
    else:
        _print(found)
    leave(found["count"], len(found["rejected"]))


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="An embedded set, or a file or folder of records.")],
    symprec: Symprec = 0.01,
    page: Annotated[Path | None, typer.Option(help="Write what is found as an HTML page, too.")] = None,
    json_: Json = False,
) -> None:
    """Look for duplicates, crystals unlike others, outliers, other units and tensors in other frames.

    Exit code 0: whatever is found; 1: some crystals cannot be used; 2: none can.
    """
    from irrepnet.report.data import check_data, check_tables, write_check

    found = check_data(name, symprec)
    if page is not None:
        write_check(found, name, page)
    if json_:
        print_json(found)
    else:
        for title, columns, rows in check_tables(found):
            print_table(title, columns, rows)
    leave(found["count"], len(found["rejected"]))


@app.command()
def fetch(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="mp, optimade, jarvis, matbench; an address (https://…) or a file of records."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the records go: a name in .jsonl or .jsonl.gz.")],
    query: Annotated[
        str,
        typer.Option(
            help="Which part: of mp summary, elasticity, dielectric or piezoelectric; of optimade a provider (mp, "
            "oqmd, alexandria, …); of jarvis dft_3d, dft_2d, …; of matbench mp_gap, log_kvrh, …"
        ),
    ] = "",
    filter: Annotated[
        str,
        typer.Option(help="Which crystals: of mp elements=Si,O&band_gap_min=1; of optimade 'elements HAS \"Si\"'."),
    ] = "",
    fields: Annotated[
        str,
        typer.Option(help="Names of properties, with commas: of mp instead of the usual ones, of optimade besides."),
    ] = "",
    url: Annotated[str, typer.Option(help="Another server of the same protocol, or another place of the file.")] = "",
    most: Annotated[int | None, typer.Option(min=1, help="Crystals at most.")] = None,
    key_file: Annotated[
        Path | None, typer.Option(help="A file with the key for mp; else it is taken from MP_API_KEY.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Ask again what has been asked before.")] = False,
    json_: Json = False,
) -> None:
    """Get data from elsewhere: raw files, kept as they came, and records made of them.

    Beside the records is a manifest: what was asked and when, version, licence, how to cite, hashes, units, rejections.
    What was asked before needs no network; what was interrupted goes on where it was. Exit code 1: some crystals were
    rejected; 2: nothing came, or none can be used.
    """
    from irrepnet.data.fetch import FetchRequest, raw_folder
    from irrepnet.data.fetch import fetch as fetch_records

    wanted = tuple(name.strip() for name in fields.split(",") if name.strip())
    request = FetchRequest(source, query, filter, wanted, url, most, key_file, fresh)
    last = time.monotonic()

    def progress(text: str) -> None:
        nonlocal last
        if time.monotonic() - last > 10:
            say(text, err=True)
            last = time.monotonic()

    try:
        found = fetch_records(request, out, progress)
    except KeyboardInterrupt as stopped:
        stopped.args = ("stopped; what has come is kept, and the same command goes on",)
        raise
    if json_:
        print_json(found)
    else:
        say(f"{found['records']} records, {len(found['rejected'])} rejected: {out}")
        for rejection in found["rejected"][:10]:
            say(f"rejected {rejection['id']}: {rejection['reason']}")
        units = ", ".join(_with_unit(name, unit) for name, unit in found["targets"].items())
        facts = {"properties": units, "version": found["version"], "licence": found["licence"]}
        for name, value in [*facts.items(), *(("cite", one) for one in found["citation"]), ("raw files", raw_folder())]:
            if value:
                say(f"{name}: {value}")
    leave(found["records"], len(found["rejected"]))


@app.command()
def build(
    config: Preset,
    data: Data = None,
    target: Targets = None,
    assignments: Assignments = None,
    workers: Annotated[
        str | None,
        typer.Option(help="Processes, as many as there are cores by default; or a Dask scheduler's address."),
    ] = None,
    json_: Json = False,
) -> None:
    """Make and keep the graphs that `irrepnet train` with the same arguments reads, so that it starts at once.

    What is interrupted goes on where it was.
    """
    from irrepnet.training import build_graphs, load_config

    number = int(workers) if workers and workers.isdecimal() else workers
    flags = {"data.source": data, "data.targets": ",".join(target) if target else None, "data.workers": number}
    settings = load_config(config, overrides_of(flags, assignments))
    try:
        made, rejected = build_graphs(settings)
    except KeyboardInterrupt as stopped:
        stopped.args = ("stopped; what is made is kept, and the same command goes on",)
        raise
    if json_:
        print_json({"ready": made, "rejected": rejected})
        return
    say(f"{made} crystals are ready, {rejected} rejected", err=True)


@app.command()
def info(json_: Json = False) -> None:
    """Show what the store of graphs holds, by the options of the graphs."""
    from irrepnet.data.store import store_folder, stored

    groups: dict[tuple[str, bool], dict[str, Any]] = {}
    for shard in stored():
        one = groups.setdefault((shard.options, shard.is_current), {"graphs": 0, "bytes": 0, "unused_days": math.inf})
        one["graphs"] += shard.graphs
        one["bytes"] += shard.size
        one["unused_days"] = min(one["unused_days"], round(shard.unused_days, 1))
    rows = [{"options": name, "current": current, **one} for (name, current), one in groups.items()]
    if json_:
        print_json({"folder": str(store_folder()), "graphs": rows})
        return
    cells = [
        [
            str(r["graphs"]),
            f"{r['bytes'] / 1e6:.1f}",
            f"{r['unused_days']:g}",
            "yes" if r["current"] else "no",
            r["options"],
        ]
        for r in rows
    ]
    print_table(f"graphs in {store_folder()}", ["graphs", "MB", "days unused", "current", "options"], cells)


@app.command()
def gc(
    days: Annotated[float, typer.Option(min=0, help="Delete also what has not been used for so many days.")] = 30,
    json_: Json = False,
) -> None:
    """Delete graphs of the store that nothing will use again: made by another version, damaged, or long unused."""
    from irrepnet.data.store import collect_garbage

    files, size = collect_garbage(days)
    if json_:
        print_json({"files": files, "bytes": size})
        return
    say(f"{files} files, {size / 1e6:.1f} MB deleted", err=True)


def _print(summary: dict[str, Any]) -> None:
    from rich.table import Table

    console = plain_console()
    console.print(f"{summary['name']}: {summary['count']} crystals")
    facts = Table.grid(padding=(0, 2))
    for key in ("description", "licence", "citation", "frame", "source", "sha256"):
        if key in summary:
            value = summary[key]
            facts.add_row(key, "\n".join(value) if isinstance(value, list) else value)
    if summary["doubtful_frames"]:
        facts.add_row("doubtful", f"{summary['doubtful_frames']} crystals are marked frame_doubtful")
    if summary["point_groups"]:
        facts.add_row("point groups", ", ".join(f"{group} {count}" for group, count in summary["point_groups"].items()))
    facts.add_row("first", ", ".join(f"{r['id']} {r['formula']}" for r in summary["first"]))
    console.print(facts)
    if summary["targets"]:
        table = Table("target", "crystals", "min", "mean", "max")
        for target, r in summary["targets"].items():
            numbers = (f"{r[key]:.4g}" for key in ("min", "mean", "max"))
            table.add_row(_with_unit(target, r["unit"]), str(r["count"]), *numbers)
        console.print(table)
    for key, what in (("tensors", "tensor"), ("site_arrays", "array of the n atoms")):
        if summary[key]:
            table = Table(what, "crystals", "shape", "description")
            for name, array in summary[key].items():
                label = _with_unit(name, array["unit"])
                table.add_row(label, str(array["count"]), array["shape"], array["description"])
            console.print(table)
    for note in summary["notes"]:
        console.print(f"note {note['id']}: {note['note']}")
    for rejection in summary["rejected"]:
        console.print(f"rejected {rejection['id']}: {rejection['reason']}")


def _with_unit(name: str, unit: str) -> str:
    return f"{name} ({unit})" if unit else name
