"""What the graphs of a symmetric crystal say of its edges alike: their orbits, and who carries an atom to another."""

from collections.abc import Iterable

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
    # images are as long as their vector: looked for among those alone, in the order of lengths
    length = np.linalg.norm(vectors, axis=1)
    order = np.argsort(length)
    first, last = np.searchsorted(length[order], (length - 2 * SAME, length + 2 * SAME))
    number = np.full(len(vectors), -1)
    n_orbits = 0
    for e, vector in enumerate(vectors):
        if number[e] < 0:
            near = order[first[e] : last[e]]
            images = operations @ vector
            number[near[(np.abs(images[:, None] - vectors[near]).max(-1) < SAME).any(0)]] = n_orbits
            n_orbits += 1
    return number


def one_an_orbit(
    found: Neighbours, atoms: np.ndarray, groups: Iterable[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One edge of each orbit of those that some atoms receive.

    Args:
        found: neighbours, in the axes of the operations.
        atoms: (n,) that receive.
        groups: for each of them its site group, (K, 3, 3), which permutes its edges.

    Returns:
        (E,) the edges, as indices; (E,) their receivers, as positions in ``atoms``, rising; and (E,) how many
        neighbours each stands for.
    """
    edges, receiver, weight = [], [], []
    for k, (atom, operations) in enumerate(zip(atoms, groups)):
        own = np.flatnonzero(found.receiver == atom)
        orbit = edge_orbits(found.vector[own], operations)
        _, first, size = np.unique(orbit, return_index=True, return_counts=True)
        edges.append(own[first])
        receiver.append(np.full(len(first), k))
        weight.append(size * found.weight[own[first]])
    return np.concatenate(edges), np.concatenate(receiver), np.concatenate(weight)


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
