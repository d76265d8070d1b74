"""What is to be said of a crystal's vibrations at Γ, as a plain document."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from irrepnet.crystals import (
    DIPOLE,
    RAMAN,
    SymmetricCrystal,
    TensorForm,
    activity_forms,
    site_irreps,
    vibration_modes,
)
from irrepnet.errors import IrrepnetError
from irrepnet.groups import PointGroup
from irrepnet.phonons.animation import write_animation, write_patterns
from irrepnet.phonons.calculators import DISPLACEMENT, frozen_phonons, named_calculator
from irrepnet.phonons.gamma import WAVENUMBERS, GammaPhonons, gamma_phonons
from irrepnet.phonons.pictures import draw_modes, draw_spectrum
from irrepnet.phonons.polar import PolarPhonons
from irrepnet.phonons.sources import CellCharges, read_phonons

RELAXED = 0.05
"""eV/Å; crystals with greater forces at rest are said not to be relaxed."""
UNLIKE = 0.05
"""Of the largest force constant; greater changes by symmetry are said to be suspicious."""

Predicted = Mapping[str, tuple[np.ndarray, str]]
"""`born_charges` (n, 3, 3), `e_electronic` (3, 3) or both, in the standard frame, and what predicts each."""


def phonon_report(
    file: str | Path,
    *,
    force_constants: str | Path | None = None,
    calculator: str | None = None,
    displacement: float = DISPLACEMENT,
    born: str | Path | None = None,
    predicted: Callable[[SymmetricCrystal], Predicted] | None = None,
    electronic: Sequence[float] | None = None,
    directions: Sequence[Sequence[float]] = (),
    symprec: float = 0.01,
    picture: str | Path | None = None,
    spectrum: str | Path | None = None,
    patterns: str | Path | None = None,
    animation: str | Path | None = None,
) -> dict[str, Any]:
    """The vibrations of a crystal: by symmetry alone, and with what files or a calculator tell.

    Args:
        file, force_constants, born: see :func:`irrepnet.phonons.read_phonons`.
        calculator: a name, see :func:`irrepnet.phonons.named_calculator`; its force constants in place of a file's.
        displacement: Å, for the calculator.
        predicted: gives charges where no file tells them.
        electronic: ε∞ as one number, three (the diagonal) or nine, in the axes of the file.
        directions: Cartesian directions of q in the standard frame; the axes that differ by default.
        symprec: Å, how far from symmetric an atom may be.
        picture, spectrum, patterns, animation: files to write: the table of the modes, levels and infrared spectrum,
            the displacements as extended XYZ, and as a page that moves.

    Raises:
        IrrepnetError: something cannot be read, calculated or written, or the parts do not belong together.
    """
    if calculator is not None and force_constants is not None:
        raise IrrepnetError("force constants are from a file or from a calculator, not both")
    given = read_phonons(file, force_constants, born)
    crystal = SymmetricCrystal.from_structure(given.cell, symprec)
    document = describe_modes(crystal, str(file))
    if picture is not None:
        draw_modes(document, picture)
    if calculator is None and given.constants is None:
        needs = {"born": born, "charges": predicted, "epsilon": electronic, "direction": directions or None}
        needs |= {"spectrum": spectrum, "patterns": patterns, "animation": animation}
        if asked := [f"--{name}" for name, value in needs.items() if value is not None]:
            raise IrrepnetError(f"{', '.join(asked)}: without force constants; give --force-constants or --calculator")
        return document
    if calculator is not None:
        made, name = named_calculator(calculator)
        found = frozen_phonons(crystal, made, displacement)
        phonons = gamma_phonons(crystal, found.constants)
        origin = {"source": name, "force": found.force, "evaluations": found.evaluations, "forbidden": found.broken}
    else:
        assert given.constants is not None
        phonons = gamma_phonons(crystal, *given.constants.at_gamma(crystal))
        origin = {"source": given.constants.source}
    document["force_constants"] = origin | {
        "residual": phonons.residual,
        "largest_shift": phonons.largest_shift * WAVENUMBERS,
    }
    charges, epsilon, sources = _charges(crystal, given.charges, predicted, electronic)
    polar = None
    if charges is not None:
        if epsilon is None:
            raise IrrepnetError(f"{sources['born_charges']} tells no electronic permittivity; give --epsilon")
        polar = PolarPhonons.of(phonons, charges, epsilon)
        document["polar"] = {"sources": sources} | _describe_polar(
            polar, directions or axes_that_differ(crystal.point_group)
        )
    elif born is not None or predicted is not None or electronic is not None or directions:
        raise IrrepnetError("an electronic permittivity or a direction without Born charges; give --born or --charges")
    document["vibrations"] = _describe_vibrations(phonons, polar, document["modes"])
    document["notes"] += _notes(document, phonons)
    if spectrum is not None:
        draw_spectrum(document, polar, spectrum)
    if patterns is not None:
        write_patterns(phonons, polar, document, patterns)
    if animation is not None:
        write_animation(phonons, polar, document, animation)
    return document


def _charges(
    crystal: SymmetricCrystal,
    of_file: CellCharges | None,
    predicted: Callable[[SymmetricCrystal], Predicted] | None,
    electronic: Sequence[float] | None,
) -> tuple[np.ndarray | None, np.ndarray | None, dict[str, str]]:
    """Born charges, ε∞ and where each is from: numbers that are given before predictions, these before a file."""
    charges = epsilon = None
    sources: dict[str, str] = {}
    if of_file is not None:
        charges, epsilon = of_file.at_gamma(crystal)
        sources |= {"born_charges": of_file.source, "e_electronic": of_file.source}
    if predicted is not None:
        own = predicted(crystal)
        charges, epsilon = own.get("born_charges", (charges,))[0], own.get("e_electronic", (epsilon,))[0]
        sources |= {name: source for name, (_, source) in own.items()}
    if electronic is not None:
        epsilon, sources["e_electronic"] = crystal.rotation.T @ _matrix(electronic) @ crystal.rotation, "given"
    return charges, epsilon, sources


def describe_modes(crystal: SymmetricCrystal, name: str) -> dict[str, Any]:
    """What symmetry alone says: the irreps of the modes, what each can do, the forms of tensors, counts."""
    modes, group = vibration_modes(crystal), crystal.point_group
    dipoles, tensors = activity_forms(group, DIPOLE), activity_forms(group, RAMAN)
    entries = []
    for label, count in modes.mechanical.items():
        entries.append(
            {
                "irrep": label,
                "dimension": group.irrep(label).dim,
                "count": count,
                "acoustic": modes.acoustic.get(label, 0),
                "optical": modes.optical.get(label, 0),
                "ir": label in modes.infrared,
                "raman": label in modes.raman,
                "hyper_raman": label in modes.hyper_raman,
                "silent": label in modes.silent,
                "dipole": _pattern(dipoles, label),
                "raman_tensor": _pattern(tensors, label),
            }
        )
    orbits = []
    for number, atom in enumerate(crystal.representatives):
        charge = site_irreps(crystal, number).born_charge
        orbits.append(
            {
                "element": crystal.species[atom],
                "wyckoff": crystal.wyckoff[atom],
                "multiplicity": int(crystal.multiplicities[number]),
                "site_symmetry": crystal.site_symmetry[number],
                "modes": modes.orbits[number],
                "born_charge": {"independent": len(charge.basis), "pattern": charge.pattern},
            }
        )
    return {
        "file": name,
        "formula": crystal.formula,
        "atoms": len(crystal),
        "spacegroup": {"number": crystal.spacegroup_number, "symbol": crystal.spacegroup_symbol},
        "point_group": {"name": group.name, "schoenflies": group.schoenflies},
        "rotation": crystal.rotation.tolist(),
        "symprec": crystal.symprec,
        "notes": list(crystal.notes),
        "modes": entries,
        "orbits": orbits,
        "independent": {"force_constants": modes.force_constants, "born_charges": modes.born_charges},
    }


def _pattern(forms: dict[str, TensorForm], label: str) -> list[Any] | None:
    return forms[label].pattern if label in forms else None


def _describe_vibrations(
    phonons: GammaPhonons, polar: PolarPhonons | None, modes: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    activity = {entry["irrep"]: entry for entry in modes}
    entries = []
    for vibration in phonons.vibrations:
        own = activity[vibration.irrep]
        entry = {
            "irrep": vibration.irrep,
            "degeneracy": len(vibration.eigenvectors),
            "frequency": vibration.frequency,
            "wavenumber": vibration.wavenumber,
            "acoustic": vibration.acoustic,
            **{key: own[key] and not vibration.acoustic for key in ("ir", "raman", "hyper_raman", "silent")},
        }
        if polar is not None and not vibration.acoustic:
            share = polar.contribution(vibration)
            entry["oscillator_strength"] = polar.oscillator_strength(vibration).tolist()
            entry["permittivity"] = None if share is None else share.tolist()
        entries.append(entry)
    return entries


def _describe_polar(polar: PolarPhonons, directions: Sequence[Sequence[float]]) -> dict[str, Any]:
    return {
        "residual": polar.residual,
        "born_charges": polar.born_charges.tolist(),
        "e_electronic": polar.electronic.tolist(),
        "e_static": None if polar.static is None else polar.static.tolist(),
        "directions": [
            {
                "direction": [float(x) for x in direction],
                "branches": [
                    {
                        "kind": branch.kind,
                        "irreps": branch.irreps,
                        "degeneracy": len(branch.eigenvectors),
                        "frequency": branch.frequency,
                        "wavenumber": branch.frequency * WAVENUMBERS,
                    }
                    for branch in polar.along(direction)
                ],
            }
            for direction in directions
        ],
    }


def axes_that_differ(group: PointGroup) -> list[list[float]]:
    """The Cartesian axes along which the splitting differs: z; x too unless cubic; y too unless there is an axis."""
    axes = {"cubic": "z", "triclinic": "zxy", "monoclinic": "zxy", "orthorhombic": "zxy"}.get(group.system, "zx")
    return [np.eye(3)["xyz".index(axis)].tolist() for axis in axes]


def _matrix(numbers: Sequence[float]) -> np.ndarray:
    """(3, 3) of one number, a diagonal or all nine."""
    values = np.array(numbers, float)
    if values.size not in (1, 3, 9) or not np.isfinite(values).all():
        raise IrrepnetError(f"the electronic permittivity is one, three or nine numbers, not {values.size}")
    return values.reshape(3, 3) if values.size == 9 else np.diag(np.broadcast_to(values, 3))


def _notes(document: dict[str, Any], phonons: GammaPhonons) -> list[str]:
    notes = []
    force = document["force_constants"].get("force", 0.0)
    if force > RELAXED:
        notes.append(f"not at rest for this calculator: forces up to {force:.2g} eV/Å; relax the crystal first")
    largest = float(abs(phonons.constants).max())
    if phonons.residual > UNLIKE * largest:
        notes.append(
            f"force constants, the largest {largest:.3g} eV/Å², changed by up to {phonons.residual:.2g}: they do not "
            "belong to this crystal, or are not second derivatives of an energy"
        )
    if phonons.unstable:
        levels = ", ".join(f"{v.irrep} {v.wavenumber:.1f}" for v in phonons.unstable)
        notes.append(f"unstable, as negative wavenumbers: {levels} cm⁻¹")
    return notes
