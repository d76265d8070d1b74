"""What the graphs of a symmetric crystal say of its edges alike: their orbits, and who carries an atom to another."""

from collections.abc import Sequence

import numpy as np

from irrepnet import compiled
from irrepnet.crystals.neighbours import Neighbours
from irrepnet.crystals.symmetric import SymmetricCrystal

SAME = 1e-6
"""Å: vectors of an idealised crystal that differ by less are equal."""


def edge_orbits(
    vectors: np.ndarray, starts: np.ndarray, operations: np.ndarray, groups: Sequence[np.ndarray]
) -> np.ndarray:
    """Orbit number of each of the vectors that edges have, at one site after the other.

    Args:
        vectors: (E, 3) Å.
        starts: (sites + 1,) where the vectors of each site begin, and E.
        operations: (M, 3, 3).
        groups: for each site, which of the operations permute its vectors.

    Returns:
        (E,) ints, numbered in order of first appearance; vectors of two sites are never of one orbit.
    """
    if compiled.is_there():
        sizes = np.cumsum([0, *map(len, groups)])
        arrays = np.concatenate(groups), np.ascontiguousarray(vectors), operations
        number = np.empty(len(vectors), int)
        compiled.run("vector_orbits", len(groups), SAME, starts, sizes, *arrays, number)
        return number
    number, n_orbits = np.full(len(vectors), -1), 0
    for start, stop, group in zip(starts, starts[1:], groups):
        own, site = vectors[start:stop], operations[group]
        # images are as long as their vector: looked for among those alone, in the order of lengths
        length = np.linalg.norm(own, axis=1)
        order = np.argsort(length)
        first, last = np.searchsorted(length[order], (length - 2 * SAME, length + 2 * SAME))
        for e, vector in enumerate(own):
            if number[start + e] < 0:
                near = order[first[e] : last[e]]
                images = site @ vector
                number[start + near[(np.abs(images[:, None] - own[near]).max(-1) < SAME).any(0)]] = n_orbits
                n_orbits += 1
    return number


def first_of_orbits(number: np.ndarray) -> np.ndarray:
    """Of each orbit in the numbers of :func:`edge_orbits` the first edge, as index."""
    return first_edges(np.maximum.accumulate(number))[:-1]


def first_edges(receiver: np.ndarray) -> np.ndarray:
    """Where the edges of each receiver begin, of those that have any, and the number of all edges."""
    new = np.ones(len(receiver) + 1, bool)
    new[1:-1] = receiver[1:] != receiver[:-1]
    return np.flatnonzero(new)


def one_an_orbit(
    found: Neighbours, atoms: np.ndarray, operations: np.ndarray, groups: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One edge of each orbit of those that some atoms receive.

    Args:
        found: neighbours of all atoms or of these, in the axes of the operations.
        atoms: (n,) that receive, rising.
        operations: (M, 3, 3).
        groups: for each atom, which of the operations are its site group, which permutes its edges.

    Returns:
        (E,) the edges, as indices; (E,) their receivers, as positions in ``atoms``, rising; and (E,) how many
        neighbours each stands for.
    """
    own = np.flatnonzero(np.isin(found.receiver, atoms))
    number = edge_orbits(found.vector[own], first_edges(found.receiver[own]), operations, groups)
    edges = own[first_of_orbits(number)]
    return edges, np.searchsorted(atoms, found.receiver[edges]), np.bincount(number) * found.weight[edges]


def carried(crystal: SymmetricCrystal, found: Neighbours) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The edges of all atoms, carried to them by the symmetry from those of the orbits' representatives.

    Args:
        found: neighbours of the representatives, in axes with which the point group commutes.

    Returns:
        (E,) for each edge the one that it is an image of, as index; (E,) receiver, rising; (E,) sender; (E, 3) vector.
    """
    origin = crystal.representatives[crystal.orbits]
    starts = np.searchsorted(found.receiver, origin)
    counts = np.searchsorted(found.receiver, origin, side="right") - starts
    receiver = np.repeat(np.arange(len(crystal)), counts)
    edge = np.arange(len(receiver)) + np.repeat(starts - np.cumsum(counts) + counts, counts)
    carrier = carriers(crystal.permutation, origin)[receiver]
    vector = np.einsum("eij,ej->ei", crystal.point_group.operations[carrier], found.vector[edge])
    return edge, receiver, crystal.permutation[carrier, found.sender[edge]], vector


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
    first = first_edges(neighbours.receiver)[:-1]
    nearest[neighbours.receiver[first]] = neighbours.distance[first]
    return nearest
