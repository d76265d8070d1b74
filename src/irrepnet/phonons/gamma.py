"""The vibrations of a crystal at Γ from its force constants, block by block in the irreps of the point group.

Displacements u of the n atoms, one in all cells, carry ρ(g) = permutation ⊗ rotation. In symmetry coordinates, maps B
with Γ(g) B = B ρ(g), every matrix that commutes with ρ is made of numbers M_cc' = tr(B_c D B_c'ᵀ)/d, one block for each
irrep Γ of dimension d (Schur; Maradudin & Vosko, Rev. Mod. Phys. 40, 1 (1968)). So the dynamical matrix D is averaged
over the group by the mere change of basis, and a level has one frequency, not d that are nearly equal. Translations
are coordinates of their own: acoustic frequencies are zero, and no other mode moves the centre of mass.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy import constants as si

from irrepnet.crystals import Cell, SymmetricCrystal, input_atoms
from irrepnet.errors import IrrepnetError
from irrepnet.groups import Irrep
from irrepnet.groups.intertwiners import intertwiners

THZ = (si.e / si.atomic_mass) ** 0.5 / si.angstrom / (2 * np.pi) / si.tera
"""THz, the frequency of a mass of 1 u on a spring of 1 eV/Å²."""
WAVENUMBERS = si.tera / (100 * si.c)
"""cm⁻¹ of 1 THz."""


@dataclass(frozen=True, eq=False)
class Vibration:
    """A level at Γ: d modes that carry one irrep of the crystal's point group."""

    irrep: str
    acoustic: bool
    frequency: float
    """THz. An unstable mode, ω² < 0, has the frequency −|ω|/2π."""
    eigenvectors: np.ndarray
    """(d, n, 3) orthonormal, of the dynamical matrix: mode k moves atom a along eigenvectors[k, a] / sqrt(mass_a). The
    d modes are in the order of the irrep's components, in the standard frame."""

    @property
    def wavenumber(self) -> float:
        """cm⁻¹"""
        return self.frequency * WAVENUMBERS


@dataclass(frozen=True, eq=False)
class GammaPhonons:
    """The vibrations of a crystal of n atoms at Γ."""

    crystal: SymmetricCrystal
    masses: np.ndarray
    """(n,) u"""
    constants: np.ndarray
    """(n, 3, n, 3) force constants at Γ, eV/Å², exactly symmetric, in the standard frame."""
    vibrations: tuple[Vibration, ...]
    """The acoustic ones, then by rising frequency."""
    residual: float
    """eV/Å², the largest change of a given force constant by symmetry and the acoustic sum rule."""
    largest_shift: float
    """THz, the farthest that this moved a frequency, the n-th of those given being compared with the n-th."""

    @property
    def optical(self) -> tuple[Vibration, ...]:
        return tuple(vibration for vibration in self.vibrations if not vibration.acoustic)

    @cached_property
    def unstable(self) -> tuple[Vibration, ...]:
        """The optical levels with ω² ≤ 0."""
        return tuple(vibration for vibration in self.optical if vibration.frequency <= 0)

    def displacements(self, eigenvectors: np.ndarray) -> np.ndarray:
        """(d, n, 3) how the atoms move in modes (d, n, 3), in the standard frame: the farthest by 1."""
        patterns = eigenvectors / np.sqrt(self.masses)[:, None]
        return patterns / np.linalg.norm(patterns, axis=-1).max(axis=-1)[:, None, None]


def gamma_phonons(crystal: SymmetricCrystal, constants: ArrayLike, masses: ArrayLike | None = None) -> GammaPhonons:
    """The levels at Γ.

    Args:
        constants: (n, 3, n, 3) force constants at Γ, eV/Å², in the standard frame: summed over the cells of one of the
            atoms, see :func:`summed_constants`. They need not be symmetric.
        masses: (n,) u; the standard atomic weights by default. Atoms of an orbit get the mean of theirs.

    Raises:
        IrrepnetError: constants or masses are not numbers of this shape, or a mass is not positive.
    """
    n = len(crystal)
    given = np.asarray(constants, float)
    if given.shape != (n, 3, n, 3) or not np.isfinite(given).all():
        raise IrrepnetError(f"{crystal.formula}: force constants at Γ are finite numbers ({n}, 3, {n}, 3)")
    weights = orbit_masses(crystal, masses)
    symmetric = symmetrised_constants(crystal, given)
    root = np.repeat(np.sqrt(weights), 3)
    dynamical = symmetric.reshape(3 * n, 3 * n) / root[:, None] / root
    vibrations = []
    for irrep, acoustic, coordinates in symmetry_coordinates(crystal, weights):
        shape = (irrep.dim, n, 3)
        vibrations += [Vibration(irrep.label, True, 0.0, row.reshape(shape)) for row in coordinates[:acoustic]]
        optical = coordinates[acoustic:]
        values, copies = np.linalg.eigh(block(irrep, optical, dynamical))
        for value, copy in zip(values, copies.T):
            # κ = v_c, a complex number, acts on the two rows of B_c as a + b J; J is antisymmetric
            vectors = np.tensordot(copy.real, optical, 1)
            if irrep.type == "complex":
                vectors = vectors - irrep.commutant[1] @ np.tensordot(copy.imag, optical, 1)
            vibrations.append(Vibration(irrep.label, False, _frequency(value), vectors.reshape(shape)))
    vibrations.sort(key=lambda vibration: (not vibration.acoustic, vibration.frequency))
    before = np.linalg.eigvalsh((given.reshape(3 * n, -1) + given.reshape(3 * n, -1).T) / 2 / root[:, None] / root)
    after = np.sort([v.frequency for v in vibrations for _ in v.eigenvectors])
    return GammaPhonons(
        crystal=crystal,
        masses=weights,
        constants=symmetric,
        vibrations=tuple(vibrations),
        residual=float(abs(given - symmetric).max()),
        largest_shift=float(abs([_frequency(value) for value in before] - after).max()),
    )


def _frequency(eigenvalue: float) -> float:
    return float(np.sign(eigenvalue) * np.sqrt(abs(eigenvalue)) * THZ)


def orbit_masses(crystal: SymmetricCrystal, masses: ArrayLike | None = None) -> np.ndarray:
    """(n,) u: the standard atomic weights, or given masses, averaged over the atoms of each orbit."""
    from ase.data import atomic_masses

    own = atomic_masses[crystal.numbers] if masses is None else np.asarray(masses, float)
    if own.shape != (len(crystal),) or not (np.isfinite(own) & (own > 0)).all():
        raise IrrepnetError(f"{crystal.formula}: masses are {len(crystal)} positive numbers")
    return (np.bincount(crystal.orbits, own) / np.bincount(crystal.orbits))[crystal.orbits]


def symmetrised_constants(crystal: SymmetricCrystal, constants: np.ndarray) -> np.ndarray:
    """The nearest force constants at Γ (n, 3, n, 3) that are symmetric, obey the point group and the acoustic sum rule.

    The three projections commute: each is a mean over a group or takes away the translations, which every operation
    leaves translations.
    """
    symmetric = (constants + constants.transpose(2, 3, 0, 1)) / 2
    mean = np.zeros_like(symmetric)
    for operation, to in zip(crystal.point_group.operations, crystal.permutation):
        moved = np.einsum("ij,ajbk,lk->aibl", operation, symmetric, operation, optimize=True)
        mean[np.ix_(to, range(3), to, range(3))] += moved / len(crystal.permutation)
    mean = mean - mean.mean(axis=0) - mean.mean(axis=2, keepdims=True) + mean.mean(axis=(0, 2), keepdims=True)
    return (mean + mean.transpose(2, 3, 0, 1)) / 2


def summed_constants(
    crystal: SymmetricCrystal, cell: Cell, constants: np.ndarray, rows: ArrayLike | None = None
) -> np.ndarray:
    """Force constants at Γ of the primitive cell in the standard frame, from those of a supercell.

    Args:
        cell: the supercell of N atoms, another description of the crystal in the orientation it was read in.
        constants: (r, N, 3, 3), force on atom rows[i] times −1 by a displacement of atom j.
        rows: (r,) atoms of the supercell; all by default.

    Returns:
        (n, 3, n, 3), the mean over the rows of an atom of the sum over the images of another.

    Raises:
        IrrepnetError: the cell is not the crystal, or an atom of the primitive cell is in no row.
    """
    at, n = input_atoms(crystal, cell), len(crystal)
    rows = np.arange(len(at)) if rows is None else np.asarray(rows)
    if constants.shape != (len(rows), len(at), 3, 3):
        raise IrrepnetError(
            f"{cell.name}: force constants of {len(rows)} and {len(at)} atoms are "
            f"({len(rows)}, {len(at)}, 3, 3), not {constants.shape}"
        )
    counts = np.bincount(at[rows], minlength=n)
    if not counts.all():
        missing = crystal.species[int(counts.argmin())]
        raise IrrepnetError(f"{cell.name}: the force constants have no row for an atom {missing} of the primitive cell")
    images = np.eye(n)[at]
    found = np.einsum("ra,rjxy,jb->axby", images[rows] / counts, constants, images, optimize=True)
    return np.einsum("xi,axby,yj->aibj", crystal.rotation, found, crystal.rotation, optimize=True)


def symmetry_coordinates(crystal: SymmetricCrystal, masses: np.ndarray) -> Iterator[tuple[Irrep, int, np.ndarray]]:
    """For each irrep that occurs: the irrep, its number of acoustic copies, and all copies (m, d, 3n), orthonormal.

    They are intertwiners of the mechanical representation (see :func:`irrepnet.groups.intertwiners`), on displacements
    times the root of the mass. The acoustic copies come first.
    """
    group, n = crystal.point_group, len(crystal)
    representation = np.zeros((group.order, n, 3, n, 3))
    for matrix, operation, to in zip(representation, group.operations, crystal.permutation):
        matrix[to, :, np.arange(n)] = operation
    representation = representation.reshape(-1, 3 * n, 3 * n)
    translations = (np.sqrt(masses / masses.sum())[:, None, None] * np.eye(3)).reshape(3 * n, 3)
    vectors = group.subduce(1, -1)
    for irrep in group.irreps:
        acoustic = vectors.get(irrep.label, np.zeros((0, irrep.dim, 3))) @ translations.T
        coordinates = intertwiners(irrep, representation, first=acoustic)
        if len(coordinates):
            yield irrep, len(acoustic), coordinates


def block(irrep: Irrep, coordinates: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(m, m) the block M of a symmetric matrix (3n, 3n) on coordinates (m, d, 3n) of one irrep.

    Real and symmetric. For an irrep of complex type B_c D B_c'ᵀ = x + y J, and M = x + iy is Hermitian.
    """
    elements = np.einsum("cix,xy,djy->cdij", coordinates, matrix, coordinates, optimize=True)
    found = np.trace(elements, axis1=2, axis2=3) / irrep.dim
    if irrep.type == "complex":
        found = found + 1j * np.einsum("cdij,ij->cd", elements, irrep.commutant[1]) / irrep.dim
    return (found + found.conj().T) / 2
