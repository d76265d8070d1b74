"""What the graphs of a symmetric crystal say of its edges alike: their orbits, and who carries an atom to another."""

import numpy as np

from irrepnet.crystals.neighbours import Neighbours
from irrepnet.crystals.symmetric import SymmetricCrystal

SAME = 1e-6
"""Å: vectors of an idealised crystal that differ by less are equal."""


def edge_orbits(vectors: np.ndarray, operations: np.ndarray) -> np.ndarray:
    """Orbit number of each vector under a finite group that permutes them.

    Args:
        vectors: (E, 3) Å.
        operations: (K, 3, 3).

    Returns:
        (E,) ints, numbered in order of first appearance.
    """
    number = np.full(len(vectors), -1)
    n_orbits = 0
    for e, vector in enumerate(vectors):
        if number[e] < 0:
            images = operations @ vector
            number[(np.abs(images[:, None] - vectors).max(-1) < SAME).any(0)] = n_orbits
            n_orbits += 1
    return number


def carriers(permutation: np.ndarray, representative: np.ndarray) -> np.ndarray:
    """(n,) for each atom the first operation, as index, that takes its representative to it.

    Args:
        permutation: (K, n) of the atoms by the operations.
        representative: (n,) an atom of the same orbit for each atom.
    """
    return (permutation[:, representative] == np.arange(permutation.shape[1])).argmax(0)


def nearest_distances(crystal: SymmetricCrystal, neighbours: Neighbours) -> np.ndarray:
    """(n,) Å, the distance of each atom's nearest neighbour; every atom has one."""
    nearest = np.full(len(crystal), np.inf)
    np.minimum.at(nearest, neighbours.receiver, neighbours.distance)
    return nearest
