"""Pairs of crystals with equal bonds and different geometry, which a graph of distances cannot tell apart.

At the given ``n_max`` the whole shells of both hold the same elements at the same distances, orbit for orbit, and their
orbits have the same share of the atoms.
"""

from collections.abc import Callable

import numpy as np
from pymatgen.core import Lattice, Structure

BOX = 9.0


def _molecule(corners: list[list[float]], bond: float, centre: str, corner: str) -> Structure:
    """A molecule alone in a cubic box: one atom, and others around it in the directions of ``corners``."""
    directions = np.array(corners, float)
    ends = BOX / 2 + bond * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    species = [centre] + [corner] * len(ends)
    return Structure(Lattice.cubic(BOX), species, [[BOX / 2] * 3, *ends], coords_are_cartesian=True)


def square_planar() -> Structure:
    return _molecule([[1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0]], 1.7, "Xe", "F")


def tetrahedral() -> Structure:
    return _molecule([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], 1.7, "Xe", "F")


def _layer(sulfur: list[list[float]]) -> Structure:
    """A layer of MoS2, a = 3.16 Å, sulfur 1.56 Å above and below molybdenum, layers 12 Å apart."""
    return Structure(Lattice.hexagonal(3.16, 12.0), ["Mo", "S", "S"], [[0, 0, 0], *sulfur])


def trigonal_prism() -> Structure:
    """The layer of 2H-MoS2: sulfur above sulfur."""
    return _layer([[1 / 3, 2 / 3, 0.13], [1 / 3, 2 / 3, -0.13]])


def octahedron() -> Structure:
    """The layer of 1T-MoS2, bond for bond as long as :func:`trigonal_prism`."""
    return _layer([[1 / 3, 2 / 3, 0.13], [2 / 3, 1 / 3, -0.13]])


def cubic_close_packing() -> Structure:
    """Nearest neighbours 2.5 Å apart."""
    return Structure(Lattice(np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) * 2.5 / np.sqrt(2)), ["Co"], [[0, 0, 0]])


def hexagonal_close_packing() -> Structure:
    """Nearest neighbours 2.5 Å apart, c/a = sqrt(8/3)."""
    lattice = Lattice.hexagonal(2.5, 2.5 * np.sqrt(8 / 3))
    return Structure(lattice, ["Co", "Co"], [[1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]])


def diamond() -> Structure:
    """Bonds 1.54 Å long."""
    lattice = Lattice(np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) * 1.54 * 2 / np.sqrt(3))
    return Structure(lattice, ["C", "C"], [[0, 0, 0], [0.25, 0.25, 0.25]])


def lonsdaleite() -> Structure:
    """Bonds 1.54 Å long, all angles tetrahedral: c/a = sqrt(8/3), z = 1/16."""
    a = 1.54 * np.sqrt(8 / 3)
    sites = [[1 / 3, 2 / 3, z] for z in (1 / 16, 7 / 16)] + [[2 / 3, 1 / 3, z] for z in (9 / 16, 15 / 16)]
    return Structure(Lattice.hexagonal(a, a * np.sqrt(8 / 3)), ["C"] * 4, sites)


Pair = tuple[Callable[[], Structure], Callable[[], Structure], int]
PAIRS: dict[str, Pair] = {
    # n_max = 1 is the first shell alone
    "square-planar, tetrahedral": (square_planar, tetrahedral, 1),
    "trigonal prism, octahedron": (trigonal_prism, octahedron, 1),
    "cubic, hexagonal close packing": (cubic_close_packing, hexagonal_close_packing, 12),
    # the first shell is the same tetrahedron in both: the geometry differs from the second shell on
    "diamond, lonsdaleite": (diamond, lonsdaleite, 12),
}
"""First crystal, second crystal, n_max."""
