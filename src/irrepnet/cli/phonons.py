"""`irrepnet phonons`: the vibrations of a crystal at Γ."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from irrepnet.cli.options import Json, Symprec
from irrepnet.cli.printing import in_sum, leave_if_left_out, print_json, print_table, say
from irrepnet.errors import IrrepnetError

YES = "•"


def phonons(
    file: Annotated[
        Path, typer.Argument(help="A structure file (CIF, POSCAR, extended XYZ, JSON), or phonopy's phonopy*.yaml.")
    ],
    force_constants: Annotated[
        Path | None,
        typer.Option(help="phonopy's FORCE_CONSTANTS or .hdf5 of the supercell FILE; with a yaml also FORCE_SETS."),
    ] = None,
    calculator: Annotated[
        str,
        typer.Option(help='Force constants by chgnet, sevennet, sevennet-l3i5 or any ASE calculator, "module:Class".'),
    ] = "",
    displacement: Annotated[float, typer.Option(help="Å, how far the calculator's atoms are displaced.")] = 0.01,
    born: Annotated[
        Path | None,
        typer.Option(help="JSON with born_charges (dP_i/du_j, e) and e_electronic; with a yaml also phonopy's BORN."),
    ] = None,
    charges: Annotated[
        list[Path] | None, typer.Option(help="Runs that predict born_charges, e_electronic or both.")
    ] = None,
    epsilon: Annotated[
        str, typer.Option(help='The electronic permittivity: "2.4", a diagonal "7.5 7.5 8.7", or nine numbers.')
    ] = "",
    direction: Annotated[
        list[str] | None, typer.Option(help='Of q for LO–TO splitting, Cartesian, standard frame: "1 1 0".')
    ] = None,
    symprec: Symprec = 0.01,
    picture: Annotated[Path | None, typer.Option(help="Draw the table of the modes into this file.")] = None,
    spectrum: Annotated[Path | None, typer.Option(help="Draw levels and infrared spectrum into this file.")] = None,
    patterns: Annotated[Path | None, typer.Option(help="Write the displacements, extended XYZ.")] = None,
    animation: Annotated[Path | None, typer.Option(help="Write a page on which the atoms move, .html.")] = None,
    json_: Json = False,
) -> None:
    """Vibrations at Γ: irreps and activities; with force constants frequencies, with charges LO–TO splitting."""
    import sys

    from irrepnet.phonons.reports import phonon_report

    sys.path.append("")  # so that a calculator may be a module of the working folder, as with python -m
    predicted = None
    if charges:
        from irrepnet.training.charges import predicted_charges

        predicted = partial(predicted_charges, runs=charges)
    report = phonon_report(
        file,
        force_constants=force_constants,
        calculator=calculator or None,
        displacement=displacement,
        born=born,
        predicted=predicted,
        electronic=_numbers(epsilon, "--epsilon") if epsilon else None,
        directions=[_numbers(text, "--direction") for text in direction or []],
        symprec=symprec,
        picture=picture,
        spectrum=spectrum,
        patterns=patterns,
        animation=animation,
    )
    if json_:
        print_json(report)
    else:
        _print(report)
    leave_if_left_out(report["notes"])


def _numbers(text: str, option: str) -> list[float]:
    try:
        return [float(word) for word in text.replace(",", " ").split()]
    except ValueError:
        raise IrrepnetError(f"{option} {text!r}: numbers are expected") from None


def _print(report: dict[str, Any]) -> None:
    group, space = report["point_group"], report["spacegroup"]
    say(f"{report['formula']}, {report['atoms']} atoms, {space['symbol']} ({space['number']})")
    orbits = [f"{o['element']} {o['multiplicity']}{o['wyckoff']}" for o in report["orbits"]]
    activities = ("ir", "raman", "hyper_raman", "silent")
    rows = []
    for entry in report["modes"]:
        shares = [str(orbit["modes"].get(entry["irrep"], "")) for orbit in report["orbits"]]
        marks = [YES if entry[key] else "" for key in activities]
        acoustic = str(entry["acoustic"] or "")
        rows.append([entry["irrep"], str(entry["dimension"]), str(entry["count"]), *shares, acoustic, *marks])
    columns = ["irrep", "dim", "modes", *orbits, "acoustic", "IR", "Raman", "hyper-Raman", "silent"]
    title = f"Vibrations at Γ, irreps of {group['name']} ({group['schoenflies']}) in the standard frame"
    print_table(title, columns, rows, centred=range(1, len(columns)))
    counts = report["independent"]
    say(f"independent: {counts['force_constants']} force constants at Γ, {counts['born_charges']} of Born charges")
    for entry in report["modes"]:
        if entry["raman_tensor"] is not None and entry["raman"]:
            matrices = ", ".join(_matrix(matrix) for matrix in entry["raman_tensor"])
            say(f"Raman tensor {entry['irrep']}: {matrices}")
    if "vibrations" in report:
        _print_vibrations(report)
    for note in report["notes"]:
        say(f"note: {note}")


def _print_vibrations(report: dict[str, Any]) -> None:
    made = report["force_constants"]
    polar = report.get("polar")
    rows = []
    for entry in report["vibrations"]:
        if entry["acoustic"]:
            continue
        names = [("IR", "ir"), ("Raman", "raman"), ("hyper-Raman", "hyper_raman")]
        row = [entry["irrep"], f"{entry['wavenumber']:.2f}", f"{entry['frequency']:.4f}", str(entry["degeneracy"])]
        row.append(", ".join(name for name, key in names if entry[key]) or "nothing")
        if polar:
            row.append(_diagonal(entry["oscillator_strength"]) if entry["ir"] else "")
            row.append(_diagonal(entry["permittivity"]) if entry["ir"] else "")
        rows.append(row)
    columns = ["irrep", "cm⁻¹", "THz", "degenerate", "seen by"]
    if polar:
        columns += ["strength xx yy zz, e²/u", "share in ε"]
    say(f"\nforce constants: {made['source']}")
    print_table("Optical levels", columns, rows)
    if "force" in made:
        say(
            f"{made['evaluations']} evaluations; forces at rest up to {made['force']:.2g} eV/Å, "
            f"{100 * made['forbidden']:.2g} % of the response is forbidden by symmetry"
        )
    say(
        f"made symmetric: force constants changed by up to {made['residual']:.2g} eV/Å², "
        f"levels by up to {made['largest_shift']:.2g} cm⁻¹"
    )
    if polar:
        _print_polar(polar)


def _print_polar(polar: dict[str, Any]) -> None:
    sources = polar["sources"]
    say(f"Born charges: {sources['born_charges']}; made symmetric they changed by up to {polar['residual']:.2g} e")
    say(
        f"ε∞ {_diagonal(polar['e_electronic'])} ({sources['e_electronic']}), static at fixed strain "
        f"{_diagonal(polar['e_static'])}; xx yy zz"
    )
    for entry in polar["directions"]:
        axis = " ".join(f"{x:g}" for x in entry["direction"])
        parts = []
        for branch in entry["branches"]:
            if branch["kind"]:
                label = " + ".join(
                    name if share > 0.995 else f"{share:.0%} {name}"
                    for name, share in branch["irreps"].items()
                    if share > 0.005
                )
                parts.append(f"{label}({branch['kind']}) {branch['wavenumber']:.2f}")
        say(f"q ∥ [{axis}]: {', '.join(parts) or in_sum({})}")


def _diagonal(matrix: list[list[float]] | None) -> str:
    if matrix is None:
        return "not defined"
    return " ".join(f"{matrix[k][k]:.4g}" for k in range(3))


def _matrix(rows: list[list[str]]) -> str:
    return "[" + "; ".join(" ".join(row) for row in rows) + "]"
