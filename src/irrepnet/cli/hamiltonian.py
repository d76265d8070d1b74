"""`irrepnet hamiltonian`: make, check, count and draw tight-binding Hamiltonians."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from irrepnet.hamiltonians import Hamiltonian, Request

app = typer.Typer(
    help="Tight-binding Hamiltonians: from DFT or files, their symmetry, independent parameters, bands, and networks.",
    no_args_is_help=True,
)

WITHIN = "by default within 20 eV of the Fermi energy"
SHOWN = 10
"""Pairs of sites that the table of `check` lists."""

File = Annotated[
    Path,
    typer.Argument(
        help="Wannier90 (*_hr.dat, *_tb.dat), SIESTA (*.TSHS, *.HSX), DeepH or DeePTB folder, *.safetensors, or a "
        "name that `list` lists."
    ),
]
Structure = Annotated[
    Path | None,
    typer.Option(help="For files without it: a .win, a wt.in, or a structure file in the axes of the calculation."),
]
Basis = Annotated[
    str | None, typer.Option(help='Shells where the files do not tell them: "spd" on all atoms, or "V:d,O:sp".')
]
Symprec = Annotated[float, typer.Option(help="How far from symmetric an atom may be, Å.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.command()
def check(
    files: Annotated[
        list[Path],
        typer.Argument(help="Files or folders of Hamiltonians: Wannier90, SIESTA, DeepH, DeePTB, *.safetensors."),
    ],
    structure: Structure = None,
    basis: Basis = None,
    symprec: Symprec = 0.01,
    symmetrised: Annotated[
        Path | None, typer.Option(help="Write the symmetrised Hamiltonian; the name tells the kind of file.")
    ] = None,
    json_: Json = False,
) -> None:
    """How far Hamiltonians are from Hermitian and from obeying each operation of the space group, block by block."""
    import json

    from irrepnet.errors import IrrepnetError

    if symmetrised is not None and len(files) > 1:
        raise IrrepnetError("--symmetrised writes one file: give one Hamiltonian")
    reports, errors = [], []
    for file in files:
        try:
            reports.append(_check(file, structure, basis, symprec, symmetrised))
        except IrrepnetError as error:
            if len(files) == 1:
                raise
            errors.append(str(error))
    if json_:
        typer.echo(json.dumps(reports[0] if len(files) == 1 else {"files": reports, "errors": errors}))
    else:
        for report in reports:
            _print_check(report)
    for error in errors:
        typer.echo(f"error: {error}", err=True)
    if errors:
        raise typer.Exit(2)


def _check(
    file: Path, structure: Path | None, shells: str | None, symprec: float, symmetrised: Path | None
) -> dict[str, Any]:
    from irrepnet import hamiltonians as room

    hamiltonian = room.read_hamiltonian(file, structure, shells)
    basis = hamiltonian.basis
    report: dict[str, Any] = {
        "file": str(file),
        "orbitals": len(hamiltonian) if basis is None else list(basis.names),
        "cells": len(hamiltonian.R),
        "hermiticity": room.hermiticity(hamiltonian),
        "symmetry": None,
        "point_group": None,
        "operations": [],
        "blocks": [],
        "overlap": None,
    }
    overlap = {} if hamiltonian.S is None else {"hermiticity": room.hermiticity(hamiltonian, overlap=True)}
    if basis is not None:
        act = room.action(basis, symprec)
        residual = room.symmetry_residual(hamiltonian, act)
        report |= {
            "symmetry": residual.symmetry,
            "point_group": act.group.point_group.name,
            "operations": [
                {"rotation": W.tolist(), "translation": t.tolist(), "residual": float(r)}
                for W, t, r in zip(act.group.rotations, act.group.translations, residual.operations, strict=True)
            ],
            "blocks": [
                {
                    "sites": [site + 1 for site in block.sites],
                    "species": [basis.species[site] for site in block.sites],
                    "R": list(block.R),
                    "operation": block.operation,
                    "residual": block.residual,
                }
                for block in residual.blocks
            ],
        }
        if hamiltonian.S is not None:
            overlap["symmetry"] = room.symmetry_residual(hamiltonian, act, overlap=True).symmetry
        if symmetrised is not None:
            room.write_hamiltonian(room.symmetrised(hamiltonian, act), symmetrised)
    elif symmetrised is not None:
        hamiltonian.known_basis  # noqa: B018 (says that a structure is needed)
    report["overlap"] = overlap or None
    return report


def _print_check(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    facts = Table.grid(padding=(0, 2))
    orbitals = report["orbitals"]
    facts.add_row("file", report["file"])
    facts.add_row("orbitals", str(orbitals) if isinstance(orbitals, int) else f"{len(orbitals)}: {', '.join(orbitals)}")
    facts.add_row("cells R", str(report["cells"]))
    facts.add_row("Hermiticity", f"{report['hermiticity']:.1e} eV")
    if report["symmetry"] is None:
        facts.add_row("symmetry", "not known: the file tells no structure; give --structure")
    else:
        group = f"{len(report['operations'])} operations, point group {report['point_group']}"
        facts.add_row("symmetry", f"{report['symmetry']:.1e} eV, {group}")
    if report["overlap"]:
        texts = [f"{name} {value:.1e}" for name, value in report["overlap"].items()]
        facts.add_row("overlap", ", ".join(texts))
    console.print(facts)
    if not report["blocks"]:
        return
    table = Table("sites", "", "cell of the worst block", "rotation that shows it", "residual (eV)")
    for block in report["blocks"][:SHOWN]:
        rotation = report["operations"][block["operation"]]["rotation"]
        table.add_row(
            "–".join(map(str, block["sites"])),
            "–".join(block["species"]),
            " ".join(map(str, block["R"])),
            "; ".join(" ".join(map(str, row)) for row in rotation),
            f"{block['residual']:.1e}",
        )
    if len(report["blocks"]) > SHOWN:
        table.caption = f"the worst {SHOWN} of {len(report['blocks'])} pairs of sites"
    console.print(table)


@app.command()
def count(
    file: Annotated[Path, typer.Argument(help="A structure file: CIF, POSCAR, extended XYZ or JSON.")],
    basis: Annotated[str, typer.Option(help='Shells: "spd" on all atoms, or by element "Mg:ssspp,O:ssppd".')],
    cutoff: Annotated[float, typer.Option(help="Longest bond, Å.")] = 5.0,
    symprec: Symprec = 0.01,
    json_: Json = False,
) -> None:
    """Independent parameters of on-site and bond blocks: without symmetry, Slater–Koster, with the crystal's."""
    import json

    from irrepnet.crystals import SymmetricCrystal
    from irrepnet.hamiltonians import count_blocks, crystal_basis
    from irrepnet.hamiltonians.orbitals import shells_by_element

    crystal = SymmetricCrystal.from_structure(file, symprec)
    orbitals = crystal_basis(crystal, shells_by_element(basis, crystal.species))
    blocks = []
    elements = 0
    for counted in count_blocks(orbitals, cutoff, symprec):
        orbit = counted.orbit
        elements += len(orbit.members) * orbit.space.basis[0].size if len(orbit.space) else 0
        blocks.append(
            {
                "species": [orbitals.species[site] for site in orbit.sites],
                "distance": orbit.distance,
                "multiplicity": len(orbit.members),
                "group": orbit.space.group.name,
                "full": counted.full,
                "two_centre": counted.two_centre,
                "allowed": counted.allowed,
            }
        )
    report = {
        "file": str(file),
        "formula": crystal.formula,
        "spacegroup": {"number": crystal.spacegroup_number, "symbol": crystal.spacegroup_symbol},
        "cutoff": cutoff,
        "orbitals": len(orbitals),
        "elements": elements,
        "onsite": [block for block in blocks if block["distance"] == 0],
        "bonds": [block for block in blocks if block["distance"] > 0],
        "allowed": sum(block["allowed"] for block in blocks),
    }
    if json_:
        typer.echo(json.dumps(report))
    else:
        _print_count(report)


def _print_count(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
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


@app.command()
def bands(
    file: File,
    out: Annotated[Path, typer.Option(help="The picture: PNG, PDF or SVG.")],
    structure: Structure = None,
    basis: Basis = None,
    symprec: Symprec = 0.01,
    irreps: Annotated[bool, typer.Option(help="Write the irreps of the levels at the high-symmetry points.")] = True,
    tolerance: Annotated[float, typer.Option(help="Bands nearer than this are one level, eV.")] = 1e-3,
    fermi: Annotated[float | None, typer.Option(help="Fermi energy, eV, if the file does not tell it.")] = None,
    low: Annotated[float | None, typer.Option(help=f"Lowest energy drawn, eV; {WITHIN}.")] = None,
    high: Annotated[float | None, typer.Option(help=f"Highest energy drawn, eV; {WITHIN}.")] = None,
    json_: Json = False,
) -> None:
    """Draw the bands along the standard path, with the irreps of the levels."""
    import json
    from dataclasses import replace

    from irrepnet.hamiltonians import band_structure, read_hamiltonian
    from irrepnet.hamiltonians.plots import plot_bands

    hamiltonian = read_hamiltonian(file, structure, basis)
    if fermi is not None:
        hamiltonian = replace(hamiltonian, fermi=fermi)
    found = band_structure(hamiltonian)
    points = {label: found.k[index] for index, label in found.labelled}
    levels, failures = {}, []
    if irreps:
        levels, failures = _levels(hamiltonian, points, symprec, tolerance)
    plot_bands(found, out, levels, low, high, Path(hamiltonian.name).name)
    report = {
        "file": str(file),
        "out": str(out),
        "fermi": hamiltonian.fermi,
        "points": {label: k.tolist() for label, k in points.items()},
        "levels": {
            label: [{"energy": level.energy, "degeneracy": len(level.bands), "irreps": level.irreps} for level in own]
            for label, own in levels.items()
        },
        "failures": failures,
    }
    if json_:
        typer.echo(json.dumps(report))
        return
    for label, own in levels.items():
        typer.echo(f"{label:3} " + "  ".join(f"{level.label} {level.energy:.3f}" for level in own))
    for failure in failures:
        typer.echo(f"no irreps: {failure}")
    typer.echo(f"{out} written")


def _levels(
    hamiltonian: "Hamiltonian", points: dict[str, Any], symprec: float, tolerance: float
) -> tuple[dict[str, Any], list[str]]:
    """The levels at each point where the bands obey the symmetry, and why not elsewhere."""
    from irrepnet.errors import IrrepnetError
    from irrepnet.hamiltonians import action, band_irreps

    levels, failures = {}, []
    try:
        act = action(hamiltonian.known_basis, symprec)
    except IrrepnetError as error:
        return {}, [str(error)]
    for label, k in points.items():
        try:
            levels[label] = band_irreps(hamiltonian, act, k, tolerance)
        except IrrepnetError as error:
            failures.append(str(error))
    return levels, failures


@app.command("list")
def list_(json_: Json = False) -> None:
    """List the Hamiltonians that come with the package; `bands` and `check` take their names."""
    import json

    from irrepnet.hamiltonians import embedded_hamiltonians, read_provenance
    from irrepnet.hamiltonians.embedded import FOLDER

    rows = []
    for name in embedded_hamiltonians():
        made = read_provenance(FOLDER / f"{name}.safetensors")
        rows.append(
            {
                "name": name,
                "formula": made["formula"],
                "spacegroup": made["spacegroup"],
                "orbitals": made["orbitals"],
                "numbers": made["numbers"],
                "cutoff": made["request"]["settings"]["cutoff"],
                "radius": made["radius"],
                "checks": made["checks"],
                "facts": made["request"]["facts"],
            }
        )
    if json_:
        typer.echo(json.dumps({"folder": str(FOLDER), "hamiltonians": rows}))
        return
    from rich.console import Console
    from rich.table import Column, Table

    others = ("space group", "orbitals", "numbers", "cutoff (Ry)", "bands (eV)")
    table = Table(Column("name", no_wrap=True), *others)
    table.caption = f"bands: the worst difference from direct ones; files in {FOLDER}"
    for row in rows:
        numbers = f"{row['cutoff']:g}", f"{row['checks']['worst']:.0e}"
        table.add_row(row["name"], row["spacegroup"], str(row["orbitals"]), str(row["numbers"]), *numbers)
    Console(highlight=False).print(table)


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
    cutoff: Annotated[float, typer.Option(help="Plane waves that the grid holds, Ry.")] = 600.0,
    radius: Annotated[
        float | None, typer.Option(help="Of H(R), Å; by default 10, or more where orbitals overlap farther.")
    ] = None,
    scale: Annotated[list[float] | None, typer.Option(help="Of the lattice constant; may be given again.")] = None,
    temperature: Annotated[float, typer.Option(help="k_B T of the occupations, eV.")] = 0.05,
    workers: Annotated[int, typer.Option(min=1, help="Processes at a time.")] = 1,
    dask: Annotated[str | None, typer.Option(help="Address of a Dask scheduler to work there.")] = None,
    json_: Json = False,
) -> None:
    """Make H(R), S(R) and H0(R) by density functional theory (PySCF: PBE, GTH, MOLOPT) as symmetry-reduced numbers.

    What is finished is skipped, a killed run goes on; crystals that fail are listed at the end. The options of the
    calculation are for structure files and types; a list has its own.
    """
    import json

    from irrepnet.hamiltonians import Settings
    from irrepnet.hamiltonians.dft.generate import generate_all, is_finished

    settings = Settings.checked(basis=basis, cutoff=cutoff, radius=radius, temperature=temperature)
    requests = [request for source in sources for request in _requests(source, settings, tuple(scale or (1.0,)))]
    skipped = [request.name for request in requests if is_finished(request, out)]
    made, failures = [], {}
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=json_) as bar:
        task = bar.add_task("Hamiltonians", total=len(requests) - len(skipped), rate="")
        for done in generate_all(requests, out, workers, dask):
            if done.error is None:
                made.append(done.name)
            else:
                failures[done.name] = done.error
            each = (bar.tasks[0].elapsed or 0.0) / (len(made) + len(failures))
            bar.update(task, advance=1, description=done.name, rate=f"{each:.0f} s each")
    if json_:
        typer.echo(json.dumps({"out": str(out), "made": made, "skipped": skipped, "failures": failures}))
    else:
        typer.echo(f"{len(made)} made, {len(skipped)} were there, {len(failures)} failed; files in {out}")
        for name, reason in failures.items():
            typer.echo(f"failed: {name}: {reason}", err=True)
    if failures:
        raise typer.Exit(2)


def _requests(source: str, settings: Any, scales: tuple[float, ...]) -> "tuple[Request, ...]":
    """The crystals that one argument of `generate` names."""
    from irrepnet.hamiltonians import CrystalList, Request, parse_crystal, read_list, released_list

    path = Path(source)
    if source == "released":
        return released_list().requests()
    if path.suffix in (".yaml", ".yml"):
        return read_list(path).requests()
    if path.is_file():
        return (Request.from_structure(path, path.stem, settings, file=path.name),)
    entry = parse_crystal(source).model_copy(update={"scales": scales})
    return CrystalList(settings=settings, crystals=(entry,)).requests()


@app.command()
def train(
    out: Annotated[Path, typer.Option("--out", "-o", help="The run folder to write.")],
    config: Annotated[str | None, typer.Argument(metavar="CONFIG", help="A YAML file; defaults without one.")] = None,
    data: Annotated[str | None, typer.Option(help="Hamiltonians with H0, see `irrepnet hamiltonian generate`.")] = None,
    test: Annotated[str | None, typer.Option(help="Formulas to hold out for the test, such as MgO,CaS.")] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Set any key, e.g. model.channels=32.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training split.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights and order.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
) -> None:
    """Train a network that predicts H from H0 and S, and write a run folder with the model and its errors."""
    from irrepnet.training import load_config, parse_assignment
    from irrepnet.training.hamiltonians import HamiltonianRunConfig, train_hamiltonians

    overrides: dict[str, Any] = dict(parse_assignment(text) for text in assignments or [])
    flags = {"data.source": data, "data.test": test, "training.epochs": epochs, "training.seed": seed}
    overrides |= {key: value for key, value in flags.items() if value is not None}
    settings = load_config({} if config is None else config, overrides, HamiltonianRunConfig)
    try:
        train_hamiltonians(settings, out, resume=resume)
    except KeyboardInterrupt:
        again = f"irrepnet hamiltonian train {out / 'config.yaml'} --out {out} --resume"
        typer.echo(f"stopped; nothing but the epoch under way is lost. Go on with:\n  {again}", err=True)
        raise typer.Exit(130) from None


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run folder of `hamiltonian train`.")],
    data: Annotated[str | None, typer.Option(help="Hamiltonians with H and H0; the run's own by default.")] = None,
    split: Annotated[
        str, typer.Option(help="auto (test split of the run's own data, else all), all, train, validation or test.")
    ] = "auto",
    json_: Json = False,
) -> None:
    """Errors of predicted Hamiltonians, of their elements and of their bands, in meV."""
    import json

    from irrepnet.training.hamiltonians import evaluate_hamiltonians

    report = evaluate_hamiltonians(run, data, split)
    if json_:
        typer.echo(json.dumps(report))
        return
    from rich.console import Console
    from rich.table import Column, Table

    figures = list(report["errors"])
    title = f"errors in meV, {report['split']} split of {report['data']}"
    table = Table(Column("crystal", no_wrap=True), *figures, title=title)
    for row in report["crystals"]:
        table.add_row(row["id"], *(f"{row[key]:.3g}" for key in figures))
    table.add_section()
    table.add_row("mean", *(f"{report['errors'][key]:.3g}" for key in figures))
    Console(highlight=False).print(table)


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run folder of `hamiltonian train`.")],
    file: Annotated[
        Path, typer.Argument(help="A structure file, or a *.safetensors with S and H0 of `hamiltonian generate`.")
    ],
    bands: Annotated[Path | None, typer.Option(help="Draw the bands: PNG, PDF or SVG.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the Hamiltonian: *.safetensors, *_hr.dat, *.deeph, *.deeptb.")
    ] = None,
    low: Annotated[float | None, typer.Option(help=f"Lowest energy drawn, eV; {WITHIN}.")] = None,
    high: Annotated[float | None, typer.Option(help=f"Highest energy drawn, eV; {WITHIN}.")] = None,
    irreps: Annotated[bool, typer.Option(help="Write the irreps of the levels at the high-symmetry points.")] = True,
    json_: Json = False,
) -> None:
    """Predict the Hamiltonian of a crystal, and draw its bands.

    S and H0 are computed with PySCF for a structure file, in the basis that the network was trained on.
    """
    import json
    from dataclasses import replace

    from irrepnet.hamiltonians import band_gap, band_structure, fermi_energy, write_hamiltonian
    from irrepnet.hamiltonians.plots import plot_bands
    from irrepnet.training.hamiltonians import load_hamiltonian_run, sample_for

    loaded = load_hamiltonian_run(run)
    sample = sample_for(file, loaded)
    hamiltonian = loaded.predict(sample)
    gap = None
    if sample.is_insulator and sample.occupied < len(hamiltonian):
        gap = band_gap(hamiltonian, sample.occupied)
    fermi = fermi_energy(hamiltonian, sample.electrons) if gap is None else gap.top
    hamiltonian = replace(hamiltonian, fermi=fermi)
    written = []
    if out is not None:
        write_hamiltonian(hamiltonian, out)
        written.append(out)
    if bands is not None:
        found = band_structure(hamiltonian)
        points = {label: found.k[index] for index, label in found.labelled}
        levels = _levels(hamiltonian, points, 0.01, 1e-3)[0] if irreps else {}
        plot_bands(found, bands, levels, low, high, sample.formula)
        written.append(bands)
    report = {
        "file": str(file),
        "formula": sample.formula,
        "orbitals": len(hamiltonian),
        "gap": None if gap is None else {"fundamental": gap.fundamental, "direct": gap.direct},
        "written": [str(path) for path in written],
        "notes": loaded.notes(sample),
    }
    if json_:
        typer.echo(json.dumps(report))
        return
    if gap is not None:
        typer.echo(f"{sample.formula}: gap {gap.fundamental:.3f} eV, direct {gap.direct:.3f} eV")
    for note in report["notes"]:
        typer.echo(f"note: {note}")
    for path in written:
        typer.echo(f"{path} written")
