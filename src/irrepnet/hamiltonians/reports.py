"""What there is to say about Hamiltonians, as plain documents: symmetry, counts of parameters, bands, the stock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from irrepnet.crystals import SymmetricCrystal
from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians.bands import band_structure, levels_at
from irrepnet.hamiltonians.blocks import count_blocks
from irrepnet.hamiltonians.embedded import FOLDER, embedded_hamiltonians
from irrepnet.hamiltonians.formats.own import read_provenance
from irrepnet.hamiltonians.formats.table import read_hamiltonian, write_hamiltonian
from irrepnet.hamiltonians.model import Hamiltonian
from irrepnet.hamiltonians.orbitals import crystal_basis, shells_by_element
from irrepnet.hamiltonians.plots import plot_bands
from irrepnet.hamiltonians.spin import moments_from_text, spin_channels, strengths_from_text, with_spin_orbit
from irrepnet.hamiltonians.symmetry import (
    SYMPREC,
    action,
    hermiticity,
    refuse_magnet,
    symmetrised,
    symmetry_residual,
)


def check_files(
    files: Sequence[str | Path],
    structure: str | Path | None = None,
    shells: str | None = None,
    symprec: float = SYMPREC,
    write_to: str | Path | None = None,
    spin_orbit: str | None = None,
    moments: str | None = None,
) -> dict[str, Any]:
    """{"files": the check of each, "errors": one for each that failed}; see `check_hamiltonian`.

    Args:
        structure, shells: as `read_hamiltonian` takes them, for all files.
        symprec: Å, of the space group.
        write_to: where the symmetrised Hamiltonian goes, if there is one file.
        spin_orbit, moments: as `read_with_spin` takes them.

    The two spins of a file without elements between them, if they differ, are checked apart, each without spin.

    Raises IrrepnetError if the only file fails, or `write_to` is given for several.
    """
    if write_to is not None and len(files) > 1:
        raise IrrepnetError("--symmetrised writes one file: give one Hamiltonian")
    reports, errors = [], []
    for file in files:
        try:
            hamiltonian = read_with_spin(file, structure, shells, spin_orbit, moments)
            channels = spin_channels(hamiltonian) if moments is None else None
            if channels is None or np.allclose(channels[0].H, channels[1].H, rtol=0, atol=1e-9):
                reports.append({"file": str(file)} | check_hamiltonian(hamiltonian, symprec, write_to))
            else:
                if write_to is not None:
                    raise IrrepnetError("its two spins differ: give the moments of its atoms to symmetrise both")
                named = zip(("up", "down"), channels)
                reports += [{"file": f"{file}, spin {spin}"} | check_hamiltonian(own, symprec) for spin, own in named]
        except IrrepnetError as error:
            reason = str(error) if str(file) in str(error) else f"{file}: {error}"
            if len(files) == 1:
                raise IrrepnetError(reason) from error
            errors.append(reason)
    return {"files": reports, "errors": errors}


def read_with_spin(
    file: str | Path,
    structure: str | Path | None = None,
    shells: str | None = None,
    spin_orbit: str | None = None,
    moments: str | None = None,
) -> Hamiltonian:
    """`read_hamiltonian`, and then what the file does not have of spin.

    Args:
        spin_orbit: λ of L·S in eV by element and shell, such as "Bi:p=1.25", added on the atoms.
        moments: the magnetic moments of all atoms of the cell, see `moments_from_text`: they decide the symmetry.
    """
    found = read_hamiltonian(file, structure, shells)
    if spin_orbit is not None:
        found = with_spin_orbit(found, strengths_from_text(spin_orbit))
    if moments is not None:
        found = replace(found, basis=replace(found.known_basis, moments=moments_from_text(moments)))
    return found


def check_hamiltonian(
    hamiltonian: Hamiltonian, symprec: float = SYMPREC, write_to: str | Path | None = None
) -> dict[str, Any]:
    """How far a Hamiltonian is from Hermitian and from its space group, in eV (the overlap: no unit).

    Of each operation, and of each pair of sites (from 1) the worst block. "symmetry" is None if it has no basis,
    "fermi" (eV) if no file tells it, "time_reversal" if it is no operation of the group.

    Args:
        write_to: the symmetrised Hamiltonian is written there.

    Raises IrrepnetError if the space group does not fit the orbitals, or there is nothing to symmetrise with, or what
    is to be symmetrised is magnetic and no moments are known.
    """
    basis = hamiltonian.basis if write_to is None else hamiltonian.known_basis
    report: dict[str, Any] = {
        "orbitals": len(hamiltonian) if basis is None else list(basis.names),
        "cells": len(hamiltonian.R),
        "fermi": hamiltonian.fermi,
        "hermiticity": hermiticity(hamiltonian),
        "spin": basis is not None and basis.spinful,
        "symmetry": None,
        "time_reversal": None,
        "point_group": None,
        "operations": [],
        "blocks": [],
        "overlap": None,
    }
    overlap = {} if hamiltonian.S is None else {"hermiticity": hermiticity(hamiltonian, overlap=True)}
    if basis is not None:
        act = action(basis, symprec)
        residual = symmetry_residual(hamiltonian, act)
        report |= {
            "symmetry": residual.symmetry,
            "time_reversal": residual.time_reversal,
            "point_group": act.group.point_group.name,
            "operations": [
                {"rotation": W.tolist(), "translation": t.tolist(), "reverses_time": bool(T), "residual": float(r)}
                for W, t, T, r in zip(
                    act.group.rotations,
                    act.group.translations,
                    act.group.reverses_time,
                    residual.operations,
                    strict=True,
                )
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
            overlap["symmetry"] = symmetry_residual(hamiltonian, act, overlap=True).symmetry
        if write_to is not None:
            refuse_magnet(hamiltonian, residual)
            write_hamiltonian(symmetrised(hamiltonian, act), write_to)
    report["overlap"] = overlap or None
    return report


def count_parameters(
    file: str | Path, shells: str, cutoff: float = 5.0, symprec: float = SYMPREC, spinful: bool = False
) -> dict[str, Any]:
    """The independent numbers of each orbit of blocks of a crystal: without symmetry, two-centre, with the crystal's.

    Args:
        file: a structure file.
        shells: "spd" on all atoms, or "Mg:ssspp,O:ssppd" by element.
        cutoff: Å, the longest bond.
        symprec: Å, of the space group.
        spinful: with spin–orbit coupling: real numbers, of complex blocks between functions with spin.

    Raises IrrepnetError if the file or the shells cannot be read.
    """
    crystal = SymmetricCrystal.from_structure(file, symprec)
    orbitals = replace(crystal_basis(crystal, shells_by_element(shells, crystal.species)), spinful=spinful)
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
    spin_orbit: str | None = None,
    moments: str | None = None,
    spin: Literal["up", "down"] | None = None,
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
        spin_orbit, moments: as `read_with_spin` takes them.
        spin: of one without elements between spins, the one to be drawn.

    Raises IrrepnetError if the file cannot be read, or tells no lattice, or the picture cannot be written.
    """
    hamiltonian = read_with_spin(file, structure, shells, spin_orbit, moments)
    if spin is not None:
        channels = spin_channels(hamiltonian)
        if channels is None:
            raise IrrepnetError(f"{file}: it has no spin, or elements between spin up and down: its bands are of both")
        hamiltonian = channels[("up", "down").index(spin)]
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
