"""`irrepnet symmetrize`: values of other codes, made exactly symmetric."""

from pathlib import Path
from typing import Annotated, Any

import typer

from irrepnet.cli.options import Json, Symprec
from irrepnet.cli.printing import leave, print_json, print_table, say
from irrepnet.errors import IrrepnetError

SHOWN = 5
"""Crystals of a file that are shown one by one, those that are violated most."""


def symmetrize(
    file: Annotated[
        Path,
        typer.Argument(
            help="Extended XYZ, JSON or JSON lines of records, FORCE_CONSTANTS or BORN of phonopy, or a Hamiltonian."
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="Write the corrected file, in the same format.")] = None,
    structure: Annotated[
        Path | None, typer.Option(help="The structure, for files without it: the supercell of FORCE_CONSTANTS, …")
    ] = None,
    symprec: Symprec = 0.01,
    as_: Annotated[
        list[str] | None,
        typer.Option(
            "--as", help="What a quantity is: 'NAME=sites ij', 'NAME=crystal ijk=ikj', …; may be given again."
        ),
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="Look at this quantity alone; may be given again.")] = None,
    idealise: Annotated[
        bool, typer.Option("--idealise", help="Also move lattice and atoms onto the symmetry.")
    ] = False,
    basis: Annotated[
        str | None, typer.Option(help='Shells of a Hamiltonian where its files do not tell them: "spd" or "V:d,O:sp".')
    ] = None,
    json_: Json = False,
) -> None:
    """Project forces, stress, force constants, Born charges, tensors, … on what the space group allows.

    Reports what was violated, in parts of each quantity's norm, by irrep of the point group and by operation.
    """
    from irrepnet.checks.symmetrize import SymmetrizeOptions, symmetrize_file
    from irrepnet.crystals import TensorKind

    kinds = {}
    for text in as_ or []:
        name, equals, kind = text.partition("=")
        if not equals:
            raise IrrepnetError(f"--as {text!r}: a name, =, and what it is, as in 'shielding=sites ij'")
        kinds[name] = TensorKind.parse(kind)
    options = SymmetrizeOptions(symprec, kinds, only or (), idealise, structure, basis)
    report = symmetrize_file(file, out, options)
    if json_:
        print_json(report)
    else:
        _print(report)
    leave(len(report["crystals"]), len(report["rejected"]))


def _print(report: dict[str, Any]) -> None:
    crystals = sorted(report["crystals"], key=_worst, reverse=True)
    for crystal in crystals[:SHOWN]:
        _print_crystal(crystal)
    if len(crystals) > SHOWN:
        _print_summary(crystals)
    for rejection in report["rejected"]:
        say(f"rejected {rejection['id']}: {rejection['reason']}", err=True)
    if report["out"] is not None and crystals:
        say(f"{report['out']} written")


def _worst(crystal: dict[str, Any]) -> float:
    return max((quantity["residual"] for quantity in crystal["quantities"]), default=0.0)


def _print_crystal(crystal: dict[str, Any]) -> None:
    space = crystal["spacegroup"]
    rows = []
    for quantity in crystal["quantities"]:
        parts = {"not periodic": quantity["translations"]} | quantity["irreps"] | quantity["rules"]
        worst = max(quantity["operations"], key=lambda operation: operation["residual"])
        rows.append(
            [
                quantity["name"],
                quantity["kind"],
                f"{quantity['norm']:.4g}",
                _percent(quantity["residual"]),
                f"{quantity['largest_change']:.2g}",
                ", ".join(f"{name} {_percent(part)}" for name, part in parts.items() if part > 1e-9) or "none",
                f"{worst['name']}: {_percent(worst['residual'])}" if worst["residual"] > 1e-9 else "",
                "–".join(map(str, quantity.get("worst", ()))),
            ]
        )
    title = (
        f"{crystal['id']}: {crystal['formula']}, {crystal['atoms']} atoms, {space['symbol']} ({space['number']}) at "
        f"{crystal['symprec']:g} Å; atoms off by {crystal['displacement']:.1e} Å, lattice by {crystal['strain']:.1e}"
    )
    heads = ["", "of", "norm", "violated", "largest change", "by irrep and rule", "worst operation", "worst site"]
    print_table(title, heads, rows)
    for note in crystal["notes"]:
        say(f"note: {note}")


def _print_summary(crystals: list[dict[str, Any]]) -> None:
    import statistics

    found: dict[str, list[float]] = {}
    for crystal in crystals:
        for quantity in crystal["quantities"]:
            found.setdefault(quantity["name"], []).append(quantity["residual"])
    rows = [
        [name, str(len(values)), _percent(statistics.median(values)), _percent(max(values))]
        for name, values in found.items()
    ]
    title = f"{len(crystals)} crystals, above the {SHOWN} that are violated most"
    print_table(title, ["", "crystals", "violated, median", "largest"], rows)


def _percent(part: float) -> str:
    return f"{100 * part:.3g} %"
