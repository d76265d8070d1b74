"""Little groups of wave vectors and their small irreps.

Convention, here and in `induction`: k is in fractional reciprocal coordinates of the primitive basis (k · x is the
plain sum of products; the phase has the 2π), and the translation by the lattice vector n acts on Bloch functions as
exp(−2πi k · n). An operation {R | t}, x → R x + t, takes k to R⁻ᵀ k.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from irrepnet.errors import IrrepnetError
from irrepnet.groups import DoubleGroup, PointGroup

SAME = 1e-5
"""Fractional coordinates (of a wave vector or a site) that differ by less are the same, modulo 1."""


@dataclass(frozen=True, eq=False)
class LittleGroup:
    """The n operations that keep k modulo the reciprocal lattice, one for each rotation, and their small irreps.

    Small irreps are the irreps Γ of the little space group with Γ({1 | n}) = exp(−2πi k · n) on lattice vectors n
    (Bradley and Cracknell, The Mathematical Theory of Symmetry in Solids, 1972, section 3.7).
    """

    k: np.ndarray
    """(3,) fractional reciprocal coordinates, exactly on the symmetry element that it was found on."""
    indices: np.ndarray
    """(n,) the operations, as rising indices into the space group's."""
    labels: tuple[str, ...]
    """Of each small irrep: the Mulliken label over C of the little co-group's irrep D with
    Γ({R | t}) = exp(−2πi k · t) D(R), at Γ and wherever this is a representation; otherwise P1, …, with spin P̄1, …"""
    irreps: tuple[np.ndarray, ...]
    """Of each small irrep: (n, d, d) unitary matrices of the operations `indices`."""

    @property
    def characters(self) -> np.ndarray:
        """(irreps, n) complex traces."""
        return np.array([np.trace(matrices, axis1=1, axis2=2) for matrices in self.irreps])

    def multiplicities(self, characters: np.ndarray) -> dict[str, int]:
        """How often each small irrep that occurs does so in a representation with these characters (n,)."""
        counts = np.real(self.characters.conj() @ characters) / len(self.indices)
        return {label: round(count) for label, count in zip(self.labels, counts.tolist()) if count > 0.5}


def little_group(
    group: PointGroup | DoubleGroup, rotations: np.ndarray, translations: np.ndarray, k: ArrayLike
) -> LittleGroup:
    """The little group of k in a space group, with its small irreps.

    On the zone boundary of a non-symmorphic group these can be projective irreps of the rotations, and are then found
    by decomposing the projective regular representation; the characters do not depend on how, the basis of the matrices
    is a choice, always the same one. Elsewhere the matrices are those of `PointGroup.complex_irreps`, or with spin of
    `DoubleGroup.double_valued`.

    Args:
        group: the point group of N operations, such as `SymmetricCrystal.point_group`; its double group for functions
            with spin, on which the operations act with the first N of its spinors.
        rotations: (N, 3, 3) int, x → rotations[g] @ x + translations[g] in the primitive basis; in the order of
            the point group's operations.
        translations: (N, 3) fractional.
        k: (3,) fractional reciprocal coordinates; it is taken as the symmetric point next to it if that is nearer
            than 1e-5.

    Raises:
        IrrepnetError: k is not three finite numbers, or is about 1e-5 from a symmetric point.
    """
    spinful = isinstance(group, DoubleGroup)
    point_group = group.group if spinful else group
    onto = rotations[point_group.inverse].transpose(0, 2, 1)
    indices, k = stabiliser(point_group, onto, np.zeros((len(onto), 3)), k, "k")
    rotations, translations = rotations[indices], translations[indices]
    reciprocal = np.rint(rotations.transpose(0, 2, 1) @ k - k)  # Rᵀ k = k + a reciprocal lattice vector
    # exp(−2πi k·t) D(R) is a representation if Rᵀ k · t = k · t modulo 1 for every R and every t.
    boundary_phases = reciprocal @ translations.T
    if abs(boundary_phases - np.rint(boundary_phases)).max() < SAME:
        co_group = group.subgroup(indices)
        own = co_group.group
        ordinary = own.double_valued if isinstance(own, DoubleGroup) else own.complex_irreps
        order = np.argsort(co_group.indices)[: len(indices)]
        phases = np.exp(-2j * np.pi * (translations @ k))[:, None, None]
        irreps = tuple(phases * irrep.matrices[order] for irrep in ordinary)
        return LittleGroup(k, indices, tuple(irrep.label for irrep in ordinary), irreps)
    product = np.searchsorted(indices, point_group.multiplication[np.ix_(indices, indices)])
    # {R_g | t_g} {R_h | t_h} is {R_gh | t_gh} after a translation by a lattice vector.
    lattice = translations[:, None] + np.einsum("gij,hj->ghi", rotations, translations) - translations[product]
    factor = np.exp(-2j * np.pi * (np.rint(lattice) @ k))
    if isinstance(group, DoubleGroup):
        factor = factor * group.factor[np.ix_(indices, indices)]
    irreps = _projective_irreps(product, factor)
    letter = "P̄" if spinful else "P"
    return LittleGroup(k, indices, tuple(f"{letter}{i}" for i in range(1, len(irreps) + 1)), irreps)


def carried_over(
    little: LittleGroup,
    operation: int,
    group: PointGroup | DoubleGroup,
    rotations: np.ndarray,
    translations: np.ndarray,
) -> LittleGroup:
    """The little group of the image of k under an operation g, with the irreps of k carried over: Γ'(g h g⁻¹) = Γ(h).

    Bands at equivalent wave vectors then have the same labels, where the Mulliken labels of each co-group alone may
    exchange B1 and B2.

    Args:
        little: of k.
        operation: number of g, which takes k to R⁻ᵀ k.
        group, rotations, translations: as for :func:`little_group`.
    """
    point_group = group.group if isinstance(group, DoubleGroup) else group
    table, back = point_group.multiplication, np.linalg.inv(rotations[operation])
    images = table[table[operation, little.indices], point_group.inverse[operation]]  # g h g⁻¹
    order = np.argsort(images)
    source, images = little.indices[order], images[order]
    # g⁻¹ (g h g⁻¹) g is h after a translation by a lattice vector, and with spin up to a sign
    moved = translations[images] + rotations[images] @ translations[operation] - translations[operation]
    lattice = np.rint(moved @ back.T - translations[source])
    factor = np.exp(-2j * np.pi * (lattice @ little.k))
    if isinstance(group, DoubleGroup):
        factor = factor * group.factor[images, operation] * group.factor[operation, source]
    irreps = tuple(factor[:, None, None] * matrices[order] for matrices in little.irreps)
    return LittleGroup(little.k @ back, images, little.labels, irreps)


def stabiliser(
    point_group: PointGroup, matrices: np.ndarray, translations: np.ndarray, point: ArrayLike, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """The operations x → matrices[g] @ x + translations[g] that keep a point modulo 1, and the point exactly kept.

    matrices (N, 3, 3), translations (N, 3), in the order of the point group; `name` is what errors call the point.
    """
    point = np.asarray(point, float)
    if point.shape != (3,) or not np.isfinite(point).all():
        raise IrrepnetError(f"{name} is three finite fractional coordinates, got {point.tolist()}")
    moved = matrices @ point + translations - point
    lattice = np.rint(moved)
    indices = np.flatnonzero(abs(moved - lattice).max(axis=1) < SAME)
    if not np.isin(point_group.multiplication[np.ix_(indices, indices)], indices).all():
        raise IrrepnetError(f"{name} = {point.tolist()} is almost on a symmetric point; give it more exactly")
    return indices, point + (moved - lattice)[indices].mean(axis=0)


def _projective_irreps(product: np.ndarray, factor: np.ndarray) -> tuple[np.ndarray, ...]:
    """The irreps Γ(g) Γ(h) = factor[g, h] Γ(product[g, h]), each (n, d, d), by dimension, then by characters.

    product (n, n) int, factor (n, n) unit complex. Each of them acts d times on functions on the group; the eigenspaces
    of a generic Hermitian matrix that commutes with that action are irreducible.
    """
    n = len(product)
    g, h = np.indices((n, n))
    regular = np.zeros((n, n, n), complex)
    regular[g, product, h] = factor
    random = np.random.default_rng(0)
    while True:
        matrix = random.normal(size=(n, n)) + 1j * random.normal(size=(n, n))
        commuting = (regular @ (matrix + matrix.conj().T) @ regular.conj().transpose(0, 2, 1)).mean(axis=0)
        values, vectors = np.linalg.eigh(commuting / np.linalg.norm(commuting, 2))
        gaps = np.diff(values)
        if not ((gaps > 1e-10) & (gaps < 1e-4)).any():  # close eigenvalues would cost digits
            break
    found: list[tuple[tuple, np.ndarray, np.ndarray]] = []
    for space in np.split(vectors, np.flatnonzero(gaps > 1e-10) + 1, axis=1):
        basis = _standard_basis(space)
        matrices = basis.conj().T @ regular @ basis
        character = np.trace(matrices, axis1=1, axis2=2)
        if all(abs(np.vdot(other, character)) < 0.5 * n for _, other, _ in found):
            order = -np.stack([character.real, character.imag], 1).round(6) + 0.0  # −0.0 → 0.0
            found.append(((space.shape[1], *order.ravel().tolist()), character, matrices))
    return tuple(matrices for _, _, matrices in sorted(found, key=lambda item: item[0]))


def _standard_basis(space: np.ndarray) -> np.ndarray:
    """An orthonormal basis (n, d) of the space, n ≤ 48, that given vectors (n, d) span; it depends on the space alone.

    Gram–Schmidt of the projected unit vectors. While the basis is not complete, the squares of the n residuals sum to
    at least 1, so one of them exceeds 0.1 and no more are needed than those.
    """
    basis = np.zeros((len(space), 0), complex)
    for unit in space.conj():
        residual = space @ unit
        residual = residual - basis @ (basis.conj().T @ residual)
        length = np.linalg.norm(residual)
        if length > 0.1:
            basis = np.column_stack([basis, residual / length])
    return basis
