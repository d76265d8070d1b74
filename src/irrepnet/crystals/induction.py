"""Band representations: what an irrep of a site group induces in the space group, at given wave vectors.

Orbitals φ_i at a site x_1 transform as an irrep ρ of its site group. Copies φ_ai = α_a φ_i stand on the orbit, x_a =
α_a x_1, and the Bloch sums ψ_ai = Σ_n exp(2πi k · n) {1 | n} φ_ai carry the little group of k (Zak, Phys. Rev. B 26,
3010 (1982); Cano et al., Phys. Rev. B 97, 035139 (2018), section II):

    {R | t} ψ_ai = exp(−2πi k · v) Σ_j ρ(r)_ji ψ_bj,    v = R x_a + t − x_b a lattice vector,    r = α_b⁻¹ R α_a.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import moyopy
import numpy as np
from numpy.typing import ArrayLike

from irrepnet.crystals.little_groups import SAME, LittleGroup, little_group, stabiliser
from irrepnet.crystals.symmetric import SymmetricCrystal, setting_operations, standard_hall_number
from irrepnet.errors import IrrepnetError
from irrepnet.groups import PointGroup


@dataclass(frozen=True, eq=False)
class BandRepresentation:
    """A band representation at one wave vector: D = sites · dim ρ bands."""

    little_group: LittleGroup
    """The little group of k, of n operations."""
    matrices: np.ndarray
    """(n, D, D) unitary matrices of its operations on the Bloch sums; the sites in their order, on each the components
    of ρ. Products have the factors of the small irreps."""

    @property
    def k(self) -> np.ndarray:
        """(3,) fractional reciprocal coordinates of the primitive basis."""
        return self.little_group.k

    @property
    def characters(self) -> np.ndarray:
        """(n,) complex traces of the operations `little_group.indices`."""
        return np.trace(self.matrices, axis1=1, axis2=2)

    @cached_property
    def multiplicities(self) -> dict[str, int]:
        """{label: how often} of the small irreps that occur."""
        return self.little_group.multiplicities(self.characters)


def induce(
    crystal: SymmetricCrystal, orbit: int, label: str, k_points: Sequence[ArrayLike]
) -> tuple[BandRepresentation, ...]:
    """The band representation that an irrep of an orbit's site group induces, at each wave vector.

    Args:
        crystal: whose space group it is.
        orbit: number of the orbit; the sites are its atoms, the first one is the representative.
        label: Mulliken label of an irrep of the site group, `crystal.point_group.subgroup(crystal.site_groups[orbit])`,
            over the reals ("E") or over C ("1E").
        k_points: (K, 3) fractional reciprocal coordinates of the primitive basis.

    Raises:
        IrrepnetError: no such orbit or irrep, or a wave vector that `little_group` refuses.
    """
    if orbit not in range(len(crystal.site_groups)):
        raise IrrepnetError(f"{crystal.formula} has the orbits 0 to {len(crystal.site_groups) - 1}, got {orbit}")
    sites = crystal.frac_coords[crystal.orbits == orbit]
    return _induce(crystal.point_group, crystal.rotations, crystal.translations, sites, label, k_points)


def induce_from_position(
    number: int, position: ArrayLike, label: str, k_points: Sequence[ArrayLike]
) -> tuple[BandRepresentation, ...]:
    """The same from a point of a space group, given by hand.

    Args:
        number: of the space group, 1 to 230, in the standard setting (origin choice 2, hexagonal axes, unique axis b).
        position: (3,) fractional coordinates in the conventional cell, such as the tables list for a Wyckoff position;
            it is taken as the symmetric point next to it if that is nearer than 1e-5 in the primitive basis.
        label: Mulliken label of an irrep of its site group, see `induce`.
        k_points: (K, 3) fractional reciprocal coordinates of the primitive basis.

    Raises:
        IrrepnetError: no such space group or irrep, or a position or wave vector that is not three finite numbers or
            is about 1e-5 from a symmetric one.
    """
    hall_number = standard_hall_number(number)
    group, rotations, translations = setting_operations(hall_number)
    position = np.asarray(position, float)
    if position.shape == (3,):
        position = np.array(moyopy.HallSymbolEntry(hall_number).centering.linear) @ position
    fixed, position = stabiliser(group, rotations, translations, position, "position")
    sites = position[None]
    for image in rotations @ position + translations:
        apart = image - sites
        if abs(apart - np.rint(apart)).max(axis=1).min() > SAME:
            sites = np.concatenate([sites, image[None]])
    if len(sites) * len(fixed) != group.order:
        raise IrrepnetError(f"position {position.tolist()} is almost on a symmetric one; give it more exactly")
    return _induce(group, rotations, translations, sites, label, k_points)


def _induce(
    group: PointGroup,
    rotations: np.ndarray,
    translations: np.ndarray,
    sites: np.ndarray,
    label: str,
    k_points: Sequence[ArrayLike],
) -> tuple[BandRepresentation, ...]:
    """From the irrep at the first of the sites (S, 3) of one orbit."""
    images = sites @ rotations.transpose(0, 2, 1) + translations[:, None]
    apart = images[:, :, None] - sites
    permutation = abs(apart - np.rint(apart)).max(axis=-1).argmin(axis=-1)  # (N, S)
    lattice = np.rint(images - sites[permutation])  # (N, S, 3), v
    from_first = np.unique(permutation[:, 0], return_index=True)[1]  # (S,), α_a
    arrived = from_first[permutation]
    at_site = group.multiplication[group.inverse[arrived], group.multiplication[:, from_first]]  # (N, S), r
    irrep = _site_irrep(group, np.flatnonzero(permutation[:, 0] == 0), label)
    dim = irrep.shape[1]

    representations = []
    for k in k_points:
        little = little_group(group, rotations, translations, k)
        own = little.indices
        phases = np.exp(-2j * np.pi * (lattice[own] @ little.k))
        matrices = np.zeros((len(own), len(sites), dim, len(sites), dim), complex)
        operation, site = np.indices(phases.shape)
        matrices[operation, permutation[own], :, site, :] = phases[..., None, None] * irrep[at_site[own]]
        size = len(sites) * dim
        representations.append(BandRepresentation(little, matrices.reshape(len(own), size, size)))
    return tuple(representations)


def _site_irrep(group: PointGroup, site_group: np.ndarray, label: str) -> np.ndarray:
    """(N, d, d) matrices of an irrep of a subgroup, given by its indices; zero outside of it."""
    subgroup = group.subgroup(site_group)
    known = {irrep.label: irrep for irrep in (*subgroup.group.irreps, *subgroup.group.complex_irreps)}
    if label not in known:
        name = subgroup.group.name
        raise IrrepnetError(f"the site group is {name}, its irreps are {', '.join(known)}; there is no {label!r}")
    matrices = known[label].matrices
    found = np.zeros((group.order, *matrices.shape[1:]), complex)
    found[subgroup.indices] = matrices
    return found
