"""What there is to say about Hamiltonians, as plain documents: symmetry, counts of parameters, bands, the stock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from irrepnet.crystals import SymmetricCrystal
from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians.bands import band_structure, levels_at
from irrepnet.hamiltonians.blocks import count_blocks
from irrepnet.hamiltonians.edges import with_shared_edges
from irrepnet.hamiltonians.embedded import FOLDER, embedded_hamiltonians
from irrepnet.hamiltonians.formats.own import read_provenance
from irrepnet.hamiltonians.formats.table import read_hamiltonian, read_what_can_be, write_hamiltonian
from irrepnet.hamiltonians.model import Hamiltonian
from irrepnet.hamiltonians.orbitals import crystal_basis, shells_by_element
from irrepnet.hamiltonians.plots import plot_bands
from irrepnet.hamiltonians.symmetry import (
    SYMPREC,
    SpaceGroup,
    action,
    hermiticity,
    space_group,
    spectrum_residual,
    symmetrised,
    symmetry_residual,
)

_ANYWHERE = np.array([[0.1372, 0.2918, -0.4231], [0.3519, -0.1847, 0.2263]])
_BROKEN = 1e-3  # eV
_MOVED = 0.1  # eV


def check_files(
    files: Sequence[str | Path],
    structure: str | Path | None = None,
    shells: str | None = None,
    symprec: float = SYMPREC,
    write_to: str | Path | None = None,
) -> dict[str, Any]:
    """{"files": the check of each, "errors": one for each that failed}; see `check_hamiltonian`.

    Args:
        structure, shells: as `read_hamiltonian` takes them, for all files.
        symprec: Å, of the space group.
        write_to: where the symmetrised Hamiltonian goes, if there is one file.

    Raises IrrepnetError if the only file fails, or `write_to` is given for several.
    """
    if write_to is not None and len(files) > 1:
        raise IrrepnetError("--symmetrised writes one file: give one Hamiltonian")
    reports, errors = [], []
    for file in files:
        try:
            hamiltonian = read_what_can_be(file, structure, shells)
            reports.append({"file": str(file)} | check_hamiltonian(hamiltonian, symprec, write_to))
        except IrrepnetError as error:
            reason = str(error) if str(file) in str(error) else f"{file}: {error}"
            if len(files) == 1:
                raise IrrepnetError(reason) from error
            errors.append(reason)
    return {"files": reports, "errors": errors}


def check_hamiltonian(
    hamiltonian: Hamiltonian, symprec: float = SYMPREC, write_to: str | Path | None = None
) -> dict[str, Any]:
    """How far a Hamiltonian is from Hermitian and from its space group, in eV (the overlap: no unit).

    Of each operation, and of each pair of sites (from 1) the worst block. What cannot be answered is None and "notes"
    say why: "symmetry" without orbitals that fit the space group, "spectrum" (energies at images of two k off all
    symmetry) without a structure, "fermi" (eV) if no file tells it, "mesh" unless the mesh of k of H(R) is known: it
    has the spectrum at two of its points and, with orbitals, the symmetry after `with_shared_edges`.

    Args:
        write_to: the symmetrised Hamiltonian is written there, with its edges shared first where that helps; "moved" is
            the largest change of an energy, at two k (of the mesh, if it is known).

    Raises IrrepnetError if there is nothing to symmetrise with.
    """
    report: dict[str, Any] = {
        "orbitals": len(hamiltonian) if hamiltonian.basis is None else list(hamiltonian.basis.names),
        "cells": len(hamiltonian.R),
        "fermi": hamiltonian.fermi,
        "hermiticity": hermiticity(hamiltonian),
        "symmetry": None,
        "spectrum": None,
        "mesh": None,
        "point_group": None,
        "operations": [],
        "blocks": [],
        "overlap": None,
        "moved": None,
        "notes": [],
    }
    overlap = {} if hamiltonian.S is None else {"hermiticity": hermiticity(hamiltonian, overlap=True)}
    report["overlap"] = overlap or None
    notes = report["notes"]
    try:
        group = space_group(hamiltonian.known_cell, symprec)
    except IrrepnetError as error:
        if write_to is not None:
            raise
        notes.append(_without_name(error, hamiltonian))
        return report
    spectrum = _spectrum(hamiltonian, group, _ANYWHERE, notes)
    report |= {"spectrum": _largest(spectrum), "point_group": group.point_group.name}
    report["operations"] = [
        {"rotation": W.tolist(), "translation": t.tolist(), "residual": None, "spectrum": each}
        for W, t, each in zip(group.rotations, group.translations, spectrum, strict=True)
    ]
    if hamiltonian.mesh is not None:
        on_mesh = _spectrum(hamiltonian, group, _near(hamiltonian.mesh), notes)
        report["mesh"] = {"points": list(hamiltonian.mesh), "spectrum": _largest(on_mesh), "symmetry": None}
    try:
        act = action(hamiltonian.known_basis, symprec)
    except IrrepnetError as error:
        if write_to is not None:
            raise
        notes.append(_without_name(error, hamiltonian))
        return report
    residual = symmetry_residual(hamiltonian, act)
    report["symmetry"] = residual.symmetry
    for operation, each in zip(report["operations"], residual.operations, strict=True):
        operation["residual"] = float(each)
    report["blocks"] = [
        {
            "sites": [site + 1 for site in block.sites],
            "species": [act.basis.species[site] for site in block.sites],
            "R": list(block.R),
            "operation": block.operation,
            "residual": block.residual,
        }
        for block in residual.blocks
    ]
    if hamiltonian.S is not None:
        overlap["symmetry"] = symmetry_residual(hamiltonian, act, overlap=True).symmetry
    if hamiltonian.mesh is not None:
        shared = with_shared_edges(hamiltonian)
        left = symmetry_residual(shared, act).symmetry
        report["mesh"]["symmetry"] = left
        if left < residual.symmetry / 2:
            notes.append(
                f"edges: {residual.symmetry:.1e} eV become {left:.1e} eV where elements at the edges of the "
                f"{' × '.join(map(str, hamiltonian.mesh))} supercell are shared among equally near cells; that moves "
                "no band on the mesh, and --symmetrised does it first"
            )
            hamiltonian = shared
    spectra = [report["spectrum"], report["mesh"] and report["mesh"]["spectrum"]]
    left = (report["mesh"] or report)["symmetry"]
    if left > _BROKEN and any(each is not None and each < left / 100 for each in spectra):
        notes.append(
            f"the spectrum obeys the symmetry much better than H(R) does, {left:.1e} eV: these are not quite the "
            "orbitals that were projected on, or they have other axes or another order"
        )
    if write_to is not None:
        symmetric = symmetrised(hamiltonian, act)
        k = _ANYWHERE if hamiltonian.mesh is None else _near(hamiltonian.mesh)
        report["moved"] = float(abs(symmetric.eigenvalues(k) - hamiltonian.eigenvalues(k)).max())
        if report["moved"] > _MOVED:
            notes.append(f"symmetrising moved bands by up to {report['moved']:.1e} eV: is H(R) in these orbitals?")
        write_hamiltonian(symmetric, write_to)
    return report


def _near(mesh: tuple[int, int, int]) -> np.ndarray:
    """(2, 3) points of a mesh near those of `_ANYWHERE`."""
    return np.rint(_ANYWHERE * mesh) / mesh


def _without_name(error: IrrepnetError, hamiltonian: Hamiltonian) -> str:
    return f"no symmetry of orbitals: {str(error).removeprefix(hamiltonian.name + ': ')}"


def _largest(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return max(known) if known else None


def _spectrum(hamiltonian: Hamiltonian, group: SpaceGroup, k: np.ndarray, notes: list[str]) -> list[float | None]:
    """Of each operation the difference of energies; None, with a note, where there are none."""
    try:
        return spectrum_residual(hamiltonian, group, k).tolist()
    except IrrepnetError as error:
        notes.append(f"no spectrum: {str(error).removeprefix(hamiltonian.name + ': ')}")
        return [None] * len(group)


def count_parameters(file: str | Path, shells: str, cutoff: float = 5.0, symprec: float = SYMPREC) -> dict[str, Any]:
    """The independent numbers of each orbit of blocks of a crystal: without symmetry, two-centre, with the crystal's.

    Args:
        file: a structure file.
        shells: "spd" on all atoms, or "Mg:ssspp,O:ssppd" by element.
        cutoff: Å, the longest bond.
        symprec: Å, of the space group.

    Raises IrrepnetError if the file or the shells cannot be read.
    """
    crystal = SymmetricCrystal.from_structure(file, symprec)
    orbitals = crystal_basis(crystal, shells_by_element(shells, crystal.species))
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
    return {
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


def draw_bands(
    file: str | Path,
    out: str | Path,
    structure: str | Path | None = None,
    shells: str | None = None,
    symprec: float = SYMPREC,
    irreps: bool = True,
    tolerance: float = 1e-3,
    fermi: float | None = None,
    low: float | None = None,
    high: float | None = None,
) -> dict[str, Any]:
    """Draw the bands along the standard path; the points, the levels there, and why levels have no irreps.

    Args:
        file, structure, shells: as `read_hamiltonian` takes them.
        out: the picture.
        symprec: Å, of the space group.
        irreps: whether levels are asked for.
        tolerance: eV, bands nearer than this are one level.
        fermi: eV, instead of the file's.
        low, high: eV, see `plots.energy_window`.

    Raises IrrepnetError if the file cannot be read, or tells no lattice, or the picture cannot be written.
    """
    hamiltonian = read_hamiltonian(file, structure, shells)
    if fermi is not None:
        hamiltonian = replace(hamiltonian, fermi=fermi)
    found = band_structure(hamiltonian)
    levels, failures = levels_at(hamiltonian, found.points, symprec, tolerance) if irreps else ({}, [])
    plot_bands(found, out, levels, low, high, Path(hamiltonian.name).name)
    return {
        "file": str(file),
        "out": str(out),
        "fermi": hamiltonian.fermi,
        "points": {label: k.tolist() for label, k in found.points.items()},
        "levels": {
            label: [{"energy": level.energy, "degeneracy": len(level.bands), "irreps": level.irreps} for level in own]
            for label, own in levels.items()
        },
        "failures": failures,
    }


def list_embedded() -> dict[str, Any]:
    """The Hamiltonians that come with the package, what they are of and how good, and their folder."""
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
    return {"folder": str(FOLDER), "hamiltonians": rows}
