"""`irrepnet hamiltonian`: make, check, count and draw tight-binding Hamiltonians."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from irrepnet.cli.options import File, Json, Run, Symprec
from irrepnet.cli.printing import leave, plain_console, print_json, say
from irrepnet.cli.train import Assignments, Epochs, Out, Resume, Seed, Split, run_training
from irrepnet.errors import IrrepnetError
from irrepnet.outlets import for_terminal

if TYPE_CHECKING:
    from irrepnet.hamiltonians.dft.generate import Progress

app = typer.Typer(
    help="Tight-binding Hamiltonians: from DFT or files, their symmetry, independent parameters, bands, and networks.",
    no_args_is_help=True,
)

WITHIN = "by default within 20 eV of the Fermi energy"
SHOWN = 10
"""Pairs of sites that the table of `check` lists."""


class NamesFormats(TyperCommand):
    """A command whose help names the formats, at {readable} and {writable}.

    They are filled in when the help is asked for, because the table that knows them takes a second to import.
    """

    def format_help(self, ctx: Any, formatter: Any) -> None:
        from irrepnet.hamiltonians.formats.table import readable, writable

        for parameter in self.params:
            text = getattr(parameter, "help", None)
            if text:
                parameter.help = text.replace("{readable}", readable()).replace("{writable}", writable())  # pyright: ignore[reportAttributeAccessIssue]
        super().format_help(ctx, formatter)


Structure = Annotated[
    Path | None,
    typer.Option(help="For files without it: a .win, a wt.in, or a structure file in the axes of the calculation."),
]
Basis = Annotated[
    str | None, typer.Option(help='Shells where the files do not tell them: "spd" on all atoms, or "V:d,O:sp".')
]
SpinOrbit = Annotated[
    str | None, typer.Option(help='Add λ L·S on the atoms, λ in eV: "Bi:p=1.25,I"; that of the atom if there is none.')
]
Moments = Annotated[
    str | None,
    typer.Option(
        help='Magnetic moments of all atoms, "2.2; -2.2" along z or "0 0 2.2; 0 0 -2.2": they decide the symmetry.'
    ),
]

Spin = Annotated[str | None, typer.Option(metavar="up|down", help="One spin of a collinear magnet.")]


def _up_or_down(spin: str | None) -> Literal["up", "down"] | None:
    if spin not in (None, "up", "down"):
        raise IrrepnetError(f"a spin is up or down, got {spin}")
    return spin


@app.command(cls=NamesFormats)
def check(
    files: Annotated[list[Path], typer.Argument(help="Hamiltonians: {readable}, or names that `list` lists.")],
    structure: Structure = None,
    basis: Basis = None,
    symprec: Symprec = 0.01,
    symmetrised: Annotated[
        Path | None, typer.Option(help="Write the symmetrised Hamiltonian; the name tells the kind: {writable}.")
    ] = None,
    spin_orbit: SpinOrbit = None,
    moments: Moments = None,
    json_: Json = False,
) -> None:
    """How far Hamiltonians are from Hermitian and from obeying each operation of the space group, block by block.

    Exit code 1 if some of the files cannot be read, 2 if none can.
    """
    from irrepnet.hamiltonians.reports import check_files

    report = check_files(files, structure, basis, symprec, symmetrised, spin_orbit, moments)
    if json_:
        print_json(report["files"][0] if len(files) == 1 else report)
    else:
        for one in report["files"]:
            _print_check(one)
    for error in report["errors"]:
        say(f"error: {error}", err=True)
    leave(len(report["files"]), len(report["errors"]))


def _print_check(report: dict[str, Any]) -> None:
    from rich.table import Table

    console = plain_console()
    facts = Table.grid(padding=(0, 2))
    orbitals = report["orbitals"]
    facts.add_row("file", report["file"])
    facts.add_row("orbitals", str(orbitals) if isinstance(orbitals, int) else f"{len(orbitals)}: {', '.join(orbitals)}")
    facts.add_row("cells R", str(report["cells"]))
    fermi = report["fermi"]
    facts.add_row("Fermi energy", "not known" if fermi is None else f"{fermi:g} eV")
    facts.add_row("Hermiticity", f"{report['hermiticity']:.1e} eV")
    facts.add_row("symmetry", _energy(report["symmetry"]))
    if report["time_reversal"] is not None:
        facts.add_row("time reversal", _energy(report["time_reversal"]))
    facts.add_row("spectrum", _energy(report["spectrum"]))
    if report["mesh"] is not None:
        points = " × ".join(map(str, report["mesh"]["points"]))
        facts.add_row("on its mesh", f"{points} k, spectrum {_energy(report['mesh']['spectrum'])}")
    if report["point_group"] is not None:
        facts.add_row("space group", f"{len(report['operations'])} operations, point group {report['point_group']}")
    if report["overlap"]:
        texts = [f"{name} {value:.1e}" for name, value in report["overlap"].items()]
        facts.add_row("overlap", ", ".join(texts))
    if report["moved"] is not None:
        facts.add_row("symmetrised", f"bands moved by {_energy(report['moved'])}")
    console.print(facts)
    for note in report["notes"]:
        say(f"note: {note}")
    if not report["blocks"]:
        return
    table = Table("sites", "", "cell of the worst block", "rotation that shows it", "residual (eV)")
    for block in report["blocks"][:SHOWN]:
        operation = report["operations"][block["operation"]]
        rotation = operation["rotation"]
        table.add_row(
            "–".join(map(str, block["sites"])),
            "–".join(block["species"]),
            " ".join(map(str, block["R"])),
            "; ".join(" ".join(map(str, row)) for row in rotation) + (" T" if operation["reverses_time"] else ""),
            f"{block['residual']:.1e}",
        )
    if len(report["blocks"]) > SHOWN:
        table.caption = f"the worst {SHOWN} of {len(report['blocks'])} pairs of sites"
    console.print(table)


def _short(value: float) -> str:
    """Three digits, as a number of at most six letters where it is no smaller than a thousandth."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) >= 1e-3 else f"{value:.0e}"


def _energy(value: float | None) -> str:
    return "not known" if value is None else f"{value:.1e} eV"


@app.command()
def count(
    file: File,
    basis: Annotated[str, typer.Option(help='Shells: "spd" on all atoms, or by element "Mg:ssspp,O:ssppd".')],
    cutoff: Annotated[float, typer.Option(max=100, help="Longest bond, Å.")] = 5.0,
    symprec: Symprec = 0.01,
    spin: Annotated[bool, typer.Option("--spin", help="With spin–orbit coupling.")] = False,
    json_: Json = False,
) -> None:
    """Independent parameters of on-site and bond blocks: without symmetry, Slater–Koster, with the crystal's."""
    from irrepnet.hamiltonians.reports import count_parameters

    report = count_parameters(file, basis, cutoff, symprec, spin)
    if json_:
        print_json(report)
    else:
        _print_count(report)


def _print_count(report: dict[str, Any]) -> None:
    from rich.table import Table

    console = plain_console()
    space = report["spacegroup"]
    table = Table("block", "distance (Å)", "in the cell", "its group", "no symmetry", "two-centre", "allowed")
    table.title = f"{report['formula']}, {space['symbol']} ({space['number']}), {report['orbitals']} orbitals"
    table.caption = (
        f"{report['elements']} elements of H within {report['cutoff']:g} Å, {report['allowed']} independent numbers"
    )
    for block in report["onsite"] + report["bonds"]:
        distance = block["distance"]
        table.add_row(
            "–".join(block["species"]) if distance else block["species"][0],
            f"{distance:.3f}" if distance else "on site",
            *(str(block[key]) for key in ("multiplicity", "group", "full", "two_centre", "allowed")),
        )
    console.print(table)


@app.command(cls=NamesFormats)
def bands(
    file: Annotated[Path, typer.Argument(help="A Hamiltonian: {readable}, or a name that `list` lists.")],
    out: Annotated[Path, typer.Option(help="The picture: PNG, PDF or SVG; or a table of the energies: CSV.")],
    structure: Structure = None,
    basis: Basis = None,
    symprec: Symprec = 0.01,
    weights: Annotated[bool, typer.Option("--weights", help="Show which orbitals the bands are made of.")] = False,
    dos: Annotated[bool, typer.Option("--dos", help="Draw the density of states beside them.")] = False,
    irreps: Annotated[bool, typer.Option(help="Write the irreps of the levels at the high-symmetry points.")] = True,
    tolerance: Annotated[float, typer.Option(help="Bands nearer than this are one level, eV.")] = 1e-3,
    fermi: Annotated[float | None, typer.Option(help="Fermi energy, eV, if the file does not tell it.")] = None,
    low: Annotated[float | None, typer.Option(help=f"Lowest energy drawn, eV; {WITHIN}.")] = None,
    high: Annotated[float | None, typer.Option(help=f"Highest energy drawn, eV; {WITHIN}.")] = None,
    spin_orbit: SpinOrbit = None,
    moments: Moments = None,
    spin: Spin = None,
    json_: Json = False,
) -> None:
    """Draw the bands along the standard path, with the irreps of the levels."""
    from irrepnet.hamiltonians.reports import draw_bands

    report = draw_bands(
        file,
        out,
        structure,
        basis,
        symprec,
        irreps,
        tolerance,
        fermi,
        low,
        high,
        spin_orbit,
        moments,
        _up_or_down(spin),
        weights,
        dos,
    )
    if json_:
        print_json(report)
        return
    if (fermi := report["fermi"]) is None:
        say("the Fermi energy is not known (--fermi); energies are those of the file, eV")
    else:
        gap = report["gap"]
        what = "a metal" if gap is None else f"gap {gap['fundamental']:.3f} eV, direct {gap['direct']:.3f} eV"
        say(f"Fermi energy {fermi:.3f} eV, {what}; zero in the picture is the Fermi energy; below: the file's")
    if report["topology"] is not None:
        strong, *weak = report["topology"]
        say(f"Z2 indices by parities: ({strong}; {' '.join(map(str, weak))})")
    for label, levels in report["levels"].items():
        texts = [f"{'+'.join(Counter(level['irreps']).elements())} {level['energy']:.3f}" for level in levels]
        say(f"{label:3} " + "  ".join(texts))
    for failure in report["failures"]:
        say(f"no irreps: {failure}")
    say(f"{out} written")


@app.command("slice", cls=NamesFormats)
def slice_(
    file: Annotated[Path, typer.Argument(help="A Hamiltonian: {readable}, or a name that `list` lists.")],
    out: Annotated[Path, typer.Option(help="The picture: PNG, PDF or SVG; or a table of the lines: CSV.")],
    normal: Annotated[str, typer.Option(help="Of the plane, in reciprocal lattice vectors of the file.")] = "0,0,1",
    through: Annotated[
        str, typer.Option(help="A point of the plane: three fractions, or the label of a point such as X.")
    ] = "0,0,0",
    energy: Annotated[float | None, typer.Option(help="eV, as in the file; by default the Fermi energy.")] = None,
    steps: Annotated[int, typer.Option(min=2, max=2000, help="Of the grid, across the zone.")] = 100,
    structure: Structure = None,
    basis: Basis = None,
    symprec: Symprec = 0.01,
    weights: Annotated[bool, typer.Option("--weights", help="Show which orbitals the states are made of.")] = False,
    spin_orbit: SpinOrbit = None,
    moments: Moments = None,
    spin: Spin = None,
    json_: Json = False,
) -> None:
    """Draw a slice of the Fermi surface: where bands have one energy in a plane of the first Brillouin zone."""
    from irrepnet.hamiltonians.reports import draw_slice

    report = draw_slice(
        file,
        out,
        normal,
        through,
        energy,
        steps,
        structure,
        basis,
        symprec,
        spin_orbit,
        moments,
        _up_or_down(spin),
        weights,
    )
    if json_:
        print_json(report)
        return
    counts = Counter(contour["band"] for contour in report["contours"])
    lines = ", ".join(f"band {band}: {count}" for band, count in counts.items())
    say(f"lines at {report['energy']:.3f} eV: {lines or 'none, no band has this energy in the plane'}")
    say(f"{out} written")


@app.command(cls=NamesFormats)
def convert(
    file: Annotated[Path, typer.Argument(help="A Hamiltonian: {readable}, or a name that `list` lists.")],
    out: Annotated[Path, typer.Option(help="For another code, as the name tells: {writable}.")],
    structure: Structure = None,
    basis: Basis = None,
    spin_orbit: SpinOrbit = None,
    json_: Json = False,
) -> None:
    """Write a Hamiltonian for another code, in its order of orbitals; a Wannier90 file with its seed.win."""
    from irrepnet.hamiltonians.reports import converted

    report = converted(file, out, structure, basis, spin_orbit)
    if json_:
        print_json(report)
        return
    for note in report["notes"]:
        say(f"note: {note}")
    say(f"{out} written")


@app.command("list")
def list_(json_: Json = False) -> None:
    """List the Hamiltonians that come with the package; `bands` and `check` take their names."""
    from irrepnet.hamiltonians.reports import list_embedded

    report = list_embedded()
    if json_:
        print_json(report)
        return
    from rich.table import Column, Table

    others = ("space group", "orbitals", "numbers", "cutoff (Ry)", "bands (eV)")
    table = Table(Column("name", no_wrap=True), *others)
    table.caption = f"bands: the worst difference from direct ones; files in {report['folder']}"
    for row in report["hamiltonians"]:
        numbers = f"{row['cutoff']:g}", f"{row['checks']['worst']:.0e}"
        table.add_row(row["name"], row["spacegroup"], str(row["orbitals"]), str(row["numbers"]), *numbers)
    plain_console().print(table)


@app.command()
def generate(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Structure files, lists (*.yaml), type:formula:lattice constant such as rocksalt:MgO:4.212, or "
            '"released": the list of those that come with the package.'
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the results, one *.safetensors a crystal; it is gone on with.")],
    basis: Annotated[str, typer.Option(help="SZV-MOLOPT-SR or DZVP-MOLOPT-SR.")] = "DZVP-MOLOPT-SR",
    cutoff: Annotated[float, typer.Option(max=10_000, help="Plane waves that the grid holds, Ry.")] = 600.0,
    radius: Annotated[
        float | None, typer.Option(max=100, help="Of H(R), Å; by default 10, or more where orbitals overlap farther.")
    ] = None,
    scale: Annotated[list[float] | None, typer.Option(help="Of the lattice constant; may be given again.")] = None,
    temperature: Annotated[float, typer.Option(help="k_B T of the occupations, eV.")] = 0.05,
    workers: Annotated[int, typer.Option(min=1, max=1024, help="Processes at a time.")] = 1,
    dask: Annotated[str | None, typer.Option(help="Address of a Dask scheduler to work there.")] = None,
    json_: Json = False,
) -> None:
    """Make H(R), S(R) and H0(R) by density functional theory (PySCF: PBE, GTH, MOLOPT) as symmetry-reduced numbers.

    What is finished is skipped, a killed run goes on; crystals that fail are listed at the end. The options of the
    calculation are for structure files and types; a list has its own. Exit code 1 if some crystals fail, 2 if all do.
    """
    from irrepnet.hamiltonians import Settings
    from irrepnet.hamiltonians.dft.generate import generate_named

    settings = Settings.checked(basis=basis, cutoff=cutoff, radius=radius, temperature=temperature)
    track = partial(_with_bar, quiet=json_)
    report = generate_named(sources, out, settings, tuple(scale or (1.0,)), workers, dask, track)
    if json_:
        print_json(report)
    else:
        made, skipped, failures = (len(report[key]) for key in ("made", "skipped", "failures"))
        say(f"{made} made, {skipped} were there, {failures} failed; files in {out}")
        for name, reason in report["failures"].items():
            say(f"failed: {name}: {reason}", err=True)
    leave(len(report["made"]) + len(report["skipped"]), len(report["failures"]))


def _with_bar(ended: Iterator[Progress], total: int, quiet: bool) -> Iterator[Progress]:
    """The crystals as they end, with a bar of how many have."""
    from rich import progress

    columns = (
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[rate]}"),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=plain_console(stderr=True), disable=quiet) as bar:
        task = bar.add_task("Hamiltonians", total=total, rate="")
        for count, each in enumerate(ended, 1):
            seconds = (bar.tasks[0].elapsed or 0.0) / count
            bar.update(task, advance=1, description=for_terminal(each.name), rate=f"{seconds:.0f} s each")
            yield each


@app.command()
def train(
    out: Out,
    config: Annotated[str, typer.Argument(metavar="CONFIG", help="A YAML file; defaults without one.")] = "hamiltonian",
    data: Annotated[str | None, typer.Option(help="Hamiltonians with H0, see `irrepnet hamiltonian generate`.")] = None,
    test: Annotated[str | None, typer.Option(help="Formulas to hold out for the test, such as MgO,CaS.")] = None,
    assignments: Assignments = None,
    epochs: Epochs = None,
    seed: Seed = None,
    resume: Resume = False,
) -> None:
    """Short for `irrepnet train hamiltonian`: a network that predicts H from H0 and S."""
    flags = {"data.source": data, "data.test": test, "training.epochs": epochs, "training.seed": seed}
    run_training(config, out, flags, assignments, resume)


@app.command()
def evaluate(
    run: Run,
    data: Annotated[str | None, typer.Option(help="Hamiltonians with H and H0; the run's own by default.")] = None,
    split: Split = "auto",
    json_: Json = False,
) -> None:
    """Errors of predicted Hamiltonians, of their elements and of their bands, in meV."""
    from irrepnet.training.hamiltonians import evaluate_hamiltonians

    report = evaluate_hamiltonians(run, data, split)  # pyright: ignore[reportArgumentType] (checked there)
    if json_:
        print_json(report)
        return
    from rich.box import SIMPLE
    from rich.table import Column, Table

    figures = list(report["errors"])
    columns = (Column(name, no_wrap=True, justify="right") for name in figures)
    title = f"errors in meV, {report['split']} split of {report['data']}"
    table = Table(Column("crystal", no_wrap=True), *columns, title=title, box=SIMPLE, padding=0, collapse_padding=True)
    for row in report["crystals"]:
        table.add_row(row["id"], *(_short(row[key]) for key in figures))
    table.add_section()
    table.add_row("mean", *(_short(report["errors"][key]) for key in figures))
    plain_console().print(table)
    for rejection in report["rejections"]:
        say(f"left out: {rejection['id']}: {rejection['reason']}", err=True)


@app.command(cls=NamesFormats)
def predict(
    run: Run,
    file: Annotated[
        Path, typer.Argument(help="A structure file, or a *.safetensors with S and H0 of `hamiltonian generate`.")
    ],
    bands: Annotated[Path | None, typer.Option(help="Draw the bands: PNG, PDF or SVG.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the Hamiltonian: {writable}.")] = None,
    low: Annotated[float | None, typer.Option(help=f"Lowest energy drawn, eV; {WITHIN}.")] = None,
    high: Annotated[float | None, typer.Option(help=f"Highest energy drawn, eV; {WITHIN}.")] = None,
    irreps: Annotated[bool, typer.Option(help="Write the irreps of the levels at the high-symmetry points.")] = True,
    json_: Json = False,
) -> None:
    """Predict the Hamiltonian of a crystal, and draw its bands.

    S and H0 are computed with PySCF for a structure file, in the basis that the network was trained on.
    """
    from irrepnet.training.hamiltonians import predict_hamiltonian

    report = predict_hamiltonian(run, file, out, bands, (low, high), irreps)
    if json_:
        print_json(report)
        return
    if (gap := report["gap"]) is not None:
        say(f"{report['formula']}: gap {gap['fundamental']:.3f} eV, direct {gap['direct']:.3f} eV")
    if (bound := report["bound"]) is not None:
        say(f"valence bands within {bound:.0f} meV (of nine of ten such crystals, root mean square)")
    if report["nearest"]:
        say("near " + ", ".join(near["id"] for near in report["nearest"]))
    if report["note"]:
        say(f"note: {report['note']}")
    for path in report["written"]:
        say(f"{path} written")
