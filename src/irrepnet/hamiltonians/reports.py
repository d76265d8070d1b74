"""What there is to say about Hamiltonians, as plain documents: symmetry, counts of parameters, bands, the stock."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from irrepnet.crystals import SymmetricCrystal
from irrepnet.crystals.induction_report import fractions_from_text
from irrepnet.errors import IrrepnetError
from irrepnet.files import write_text
from irrepnet.hamiltonians.bands import (
    BandStructure,
    Level,
    band_gap,
    band_structure,
    filled_bands,
    levels_at,
    orbital_weights,
    partial_densities,
    topological_indices,
)
from irrepnet.hamiltonians.blocks import count_blocks
from irrepnet.hamiltonians.edges import with_shared_edges
from irrepnet.hamiltonians.embedded import FOLDER, embedded_hamiltonians
from irrepnet.hamiltonians.formats.own import read_provenance
from irrepnet.hamiltonians.formats.table import (
    export_hamiltonian,
    read_hamiltonian,
    read_what_can_be,
    write_hamiltonian,
)
from irrepnet.hamiltonians.model import Hamiltonian
from irrepnet.hamiltonians.orbitals import crystal_basis, shells_by_element
from irrepnet.hamiltonians.plots import energy_window, plot_bands, plot_slice
from irrepnet.hamiltonians.slices import fermi_slice
from irrepnet.hamiltonians.spin import moments_from_text, spin_channels, strengths_from_text, with_spin_orbit
from irrepnet.hamiltonians.symmetry import (
    SYMPREC,
    SpaceGroup,
    action,
    hermiticity,
    refuse_magnet,
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
    spin_orbit: str | None = None,
    moments: str | None = None,
) -> dict[str, Any]:
    """{"files": the check of each, "errors": one for each that failed}; see `check_hamiltonian`.

    Args:
        structure, shells: as `read_hamiltonian` takes them, for all files.
        symprec: Å, of the space group.
        write_to: where the symmetrised Hamiltonian goes, if there is one file.
        spin_orbit, moments: as `with_given_spin` takes them.

    The two spins of a file without elements between them, if they differ, are checked apart, each without spin.

    Raises IrrepnetError if the only file fails, or `write_to` is given for several.
    """
    if write_to is not None and len(files) > 1:
        raise IrrepnetError("--symmetrised writes one file: give one Hamiltonian")
    reports, errors = [], []
    for file in files:
        try:
            hamiltonian = with_given_spin(read_what_can_be(file, structure, shells), spin_orbit, moments)
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


def with_given_spin(hamiltonian: Hamiltonian, spin_orbit: str | None, moments: str | None) -> Hamiltonian:
    """The Hamiltonian of a file with what the file does not have of spin.

    Args:
        spin_orbit: λ of L·S in eV by element and shell, such as "Bi:p=1.25", or "Bi" for the atom's, added on
            the atoms.
        moments: the magnetic moments of all atoms of the cell, see `moments_from_text`: they decide the symmetry.

    Raises IrrepnetError for text that is not of this kind, or if the orbitals are not known.
    """
    if spin_orbit is not None:
        hamiltonian = with_spin_orbit(hamiltonian, strengths_from_text(spin_orbit, hamiltonian.known_basis))
    if moments is not None:
        basis = replace(hamiltonian.known_basis, moments=moments_from_text(moments))
        hamiltonian = replace(hamiltonian, basis=basis)
    return hamiltonian


def check_hamiltonian(
    hamiltonian: Hamiltonian, symprec: float = SYMPREC, write_to: str | Path | None = None
) -> dict[str, Any]:
    """How far a Hamiltonian is from Hermitian and from its space group, in eV (the overlap: no unit).

    Of each operation, and of each pair of sites (from 1) the worst block. What cannot be answered is None and "notes"
    say why: "symmetry" without orbitals that fit the space group, "spectrum" (energies at images of two k off all
    symmetry) without a structure, "fermi" (eV) if no file tells it, "mesh" unless the mesh of k of H(R) is known: it
    has the spectrum at two of its points and, with orbitals, the symmetry after `with_shared_edges`.
    "time_reversal" is None too if it is no operation of the group.

    Args:
        write_to: the symmetrised Hamiltonian is written there, with its edges shared first where that helps; "moved" is
            the largest change of an energy, at two k (of the mesh, if it is known).

    Raises IrrepnetError if there is nothing to symmetrise with, what is to be symmetrised is magnetic and no moments
    are known, or moments do not fit the structure.
    """
    basis = hamiltonian.basis
    spinful, moments = (False, None) if basis is None else (basis.spinful, basis.moments)
    report: dict[str, Any] = {
        "orbitals": len(hamiltonian) if basis is None else list(basis.names),
        "cells": len(hamiltonian.R),
        "fermi": hamiltonian.fermi,
        "hermiticity": hermiticity(hamiltonian),
        "spin": spinful,
        "symmetry": None,
        "time_reversal": None,
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
        group = space_group(hamiltonian.known_cell, symprec, spinful, moments)
    except IrrepnetError as error:
        if write_to is not None or moments is not None:
            raise
        notes.append(_without_name(error, hamiltonian))
        return report
    spectrum = _spectrum(hamiltonian, group, _ANYWHERE, notes)
    report |= {"spectrum": _largest(spectrum), "point_group": group.point_group.name}
    report["operations"] = [
        {"rotation": W.tolist(), "translation": t.tolist(), "reverses_time": T, "residual": None, "spectrum": each}
        for W, t, T, each in zip(
            group.rotations, group.translations, group.reverses_time.tolist(), spectrum, strict=True
        )
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
    report |= {"symmetry": residual.symmetry, "time_reversal": residual.time_reversal}
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
        on_mesh = symmetry_residual(shared, act)
        left = report["mesh"]["symmetry"] = on_mesh.symmetry
        if left < residual.symmetry / 2:
            notes.append(
                f"edges: {residual.symmetry:.1e} eV become {left:.1e} eV where elements at the edges of the "
                f"{' × '.join(map(str, hamiltonian.mesh))} supercell are shared among equally near cells; that moves "
                "no band on the mesh, and --symmetrised does it first"
            )
            hamiltonian, residual = shared, on_mesh
    spectra = [report["spectrum"], report["mesh"] and report["mesh"]["spectrum"]]
    left = (report["mesh"] or report)["symmetry"]
    if left > _BROKEN and any(each is not None and each < left / 100 for each in spectra):
        notes.append(
            f"the spectrum obeys the symmetry much better than H(R) does, {left:.1e} eV: these are not quite the "
            "orbitals that were projected on, or they have other axes or another order"
        )
    if write_to is not None:
        refuse_magnet(hamiltonian, residual)
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
    weights: bool = False,
    dos: bool = False,
) -> dict[str, Any]:
    """Draw the bands along the standard path, or write them into a table; the points, the levels there, and why levels
    have no irreps.

    Args:
        file, structure, shells: as `read_hamiltonian` takes them.
        out: the picture, or a table *.csv: Å⁻¹ along the path, label, k (fractional) and energies (eV) of its points.
        symprec: Å, of the space group.
        irreps: whether levels are asked for.
        tolerance: eV, bands nearer than this are one level.
        fermi: eV, instead of the file's.
        low, high: eV, see `plots.energy_window`.
        spin_orbit, moments: as `with_given_spin` takes them.
        spin: of one without elements between spins, the one to be drawn.
        weights: whether dots on the bands show which orbitals they are made of.
        dos: whether the density of states is drawn beside them.

    Returns:
        ``file``, ``out``, ``fermi`` (eV), ``gap`` (``fundamental`` and ``direct``, eV; None for a metal and where the
        Fermi energy is not known), ``topology`` (ν₀ to ν₃ where `topological_indices` tells them, else None),
        ``points`` {label: k}, ``levels`` {label: levels}, ``failures``, and ``path``: ``distance`` (K), ``k`` (K, 3)
        and ``energies`` (K, n) in eV, not relative to the Fermi energy.

    Raises IrrepnetError if the file cannot be read, or tells no lattice, or the picture cannot be written.
    """
    hamiltonian = _of_spin(with_given_spin(read_what_can_be(file, structure, shells), spin_orbit, moments), spin)
    if fermi is not None:
        hamiltonian = replace(hamiltonian, fermi=fermi)
    found = band_structure(hamiltonian)
    levels, failures = levels_at(hamiltonian, found.points, symprec, tolerance) if irreps else ({}, [])
    if Path(out).suffix.lower() == ".csv":
        _write_bands(found, Path(out))
    else:
        fat = orbital_weights(hamiltonian, found.k)[1] if weights else None
        density = None
        if dos:
            bottom, top = energy_window(found, low, high)
            energies = np.linspace(bottom, top, 1000) + (found.fermi or 0.0)
            density = energies, partial_densities(hamiltonian, energies)
        plot_bands(found, out, levels, low, high, Path(hamiltonian.name).name, fat, density)
    occupied = filled_bands(hamiltonian)
    gap = None if occupied is None else band_gap(hamiltonian, occupied)
    topology = None
    if occupied is not None and hamiltonian.basis is not None and hamiltonian.basis.spinful:
        with suppress(IrrepnetError):  # where parities do not tell it
            topology = topological_indices(hamiltonian, occupied, symprec)
    return {
        "file": str(file),
        "out": str(out),
        "fermi": hamiltonian.fermi,
        "gap": None if gap is None else {"fundamental": gap.fundamental, "direct": gap.direct},
        "topology": topology,
        "points": {label: k.tolist() for label, k in found.points.items()},
        "levels": describe_levels(levels),
        "failures": failures,
        "path": {key: getattr(found, key).tolist() for key in ("distance", "k", "energies")},
    }


def describe_levels(levels: dict[str, tuple[Level, ...]]) -> dict[str, list[dict[str, Any]]]:
    """{label of a point: rows of ``energy`` (eV), ``degeneracy`` and ``irreps``}."""
    return {
        label: [{"energy": level.energy, "degeneracy": len(level.bands), "irreps": level.irreps} for level in own]
        for label, own in levels.items()
    }


def _of_spin(hamiltonian: Hamiltonian, spin: Literal["up", "down"] | None) -> Hamiltonian:
    """One of two spins without elements between them, or all."""
    if spin is None:
        return hamiltonian
    channels = spin_channels(hamiltonian)
    if channels is None:
        raise IrrepnetError(
            f"{hamiltonian.name}: it has no spin, or elements between spin up and down: its bands are of both"
        )
    return channels[("up", "down").index(spin)]


def _write_bands(bands: BandStructure, path: Path) -> None:
    labels = dict(bands.labelled)
    numbers = [f"band {number + 1} [eV]" for number in range(bands.energies.shape[1])]
    rows = [
        [distance, labels.get(index, ""), *k, *energies]
        for index, (distance, k, energies) in enumerate(zip(bands.distance, bands.k, bands.energies))
    ]
    _write_table(path, [["distance [1/Å]", "label", "k1", "k2", "k3", *numbers], *rows])


def draw_slice(
    file: str | Path,
    out: str | Path,
    normal: str = "0,0,1",
    through: str = "0,0,0",
    energy: float | None = None,
    steps: int = 100,
    structure: str | Path | None = None,
    shells: str | None = None,
    symprec: float = SYMPREC,
    spin_orbit: str | None = None,
    moments: str | None = None,
    spin: Literal["up", "down"] | None = None,
    weights: bool = False,
) -> dict[str, Any]:
    """Draw the lines of one energy in a plane of the first Brillouin zone, or write them into a table.

    Args:
        file, structure, shells: as `read_hamiltonian` takes them.
        out: the picture, or a table *.csv: number of the line, band (from 1), place in the plane (Å⁻¹), k (fractional)
            and weights of orbitals of its points.
        normal, through: three numbers such as "1,1,0", and three or the label of a point; with `energy`, `steps`
            and `symprec` as `fermi_slice` takes them.
        spin_orbit, moments, spin, weights: as for `draw_bands`.

    Returns:
        ``file``, ``out``, ``fermi`` and ``energy`` (eV), ``axes`` (right, upwards, normal; Cartesian), ``height``
        (Å⁻¹), ``outline`` (V, 2), ``points`` [{"label", "point"}], and ``contours`` [{"band" (from 1), "closed",
        "points" (P, 2) in Å⁻¹, "k" (P, 3) fractional, "weights" {orbitals: (P)}}].

    Raises IrrepnetError as `fermi_slice` does, or if a file cannot be read or written.
    """
    hamiltonian = _of_spin(with_given_spin(read_what_can_be(file, structure, shells), spin_orbit, moments), spin)
    place = fractions_from_text(through, "point") if "," in through else through
    across = fractions_from_text(normal, "normal")
    found = fermi_slice(hamiltonian, across, place, energy, steps, weights, symprec)
    if Path(out).suffix.lower() == ".csv":
        names = list(dict.fromkeys(name for contour in found.contours for name in contour.weights))
        rows = [
            [number + 1, contour.band + 1, *point, *k, *(contour.weights[name][at] for name in names)]
            for number, contour in enumerate(found.contours)
            for at, (point, k) in enumerate(zip(contour.points, contour.k))
        ]
        _write_table(Path(out), [["line", "band", "x [1/Å]", "y [1/Å]", "k1", "k2", "k3", *names], *rows])
    else:
        plot_slice(found, out, Path(hamiltonian.name).name)
    return {
        "file": str(file),
        "out": str(out),
        "fermi": hamiltonian.fermi,
        "energy": found.energy,
        "axes": found.axes.tolist(),
        "height": found.height,
        "outline": found.outline.tolist(),
        "points": [{"label": label, "point": point.tolist()} for label, point in found.points],
        "contours": [
            {
                "band": contour.band + 1,
                "closed": contour.is_closed,
                "points": contour.points.tolist(),
                "k": contour.k.tolist(),
                "weights": {name: own.tolist() for name, own in contour.weights.items()},
            }
            for contour in found.contours
        ],
    }


def _write_table(path: Path, rows: list[list[Any]]) -> None:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    try:
        write_text(path, text.getvalue())
    except OSError as error:
        raise IrrepnetError(f"{path}: the table cannot be written: {error.strerror}") from None


def converted(
    file: str | Path,
    out: str | Path,
    structure: str | Path | None = None,
    shells: str | None = None,
    spin_orbit: str | None = None,
) -> dict[str, Any]:
    """Write a Hamiltonian for another code; {"file", "out", "notes"}, those of `export_hamiltonian`.

    Args:
        file, structure, shells: as `read_hamiltonian` takes them.
        out: as `export_hamiltonian` takes it.
        spin_orbit: as `with_given_spin` takes it.

    Raises IrrepnetError if the file cannot be read or written.
    """
    hamiltonian = with_given_spin(read_hamiltonian(file, structure, shells), spin_orbit, None)
    return {"file": str(file), "out": str(out), "notes": export_hamiltonian(hamiltonian, out)}


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
