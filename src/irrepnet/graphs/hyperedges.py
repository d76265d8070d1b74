"""The hyperedge types that come with the package, but for motifs: bonds, triplets, the cell."""

import numpy as np

from irrepnet.crystals.neighbours import Neighbours, find_neighbours
from irrepnet.crystals.pairs import MOST
from irrepnet.crystals.symmetric import SymmetricCrystal
from irrepnet.errors import IrrepnetError
from irrepnet.graphs.fingerprint import COLUMNS, fingerprint
from irrepnet.graphs.hypergraph import Column, Hyperedges, HyperedgeType, HypergraphOptions, add_hyperedge_type


def _own_neighbours(crystal: SymmetricCrystal, options: HypergraphOptions) -> tuple[Neighbours, np.ndarray]:
    """The neighbours of the orbits' representatives, and how many of each such bond the cell has (its weight each)."""
    found = find_neighbours(crystal, options)
    found = found.select(np.isin(found.receiver, crystal.representatives))
    return found, found.weight * np.bincount(crystal.orbits)[crystal.orbits[found.receiver]]


def _bonds(crystal: SymmetricCrystal, options: HypergraphOptions) -> Hyperedges:
    """Two atoms, of which the one that counts the other among its neighbours receives, as in CGCNN."""
    found, weight = _own_neighbours(crystal, options)
    n = len(weight)
    return Hyperedges(
        features=found.distance[:, None],
        edge=np.repeat(np.arange(n), 2),
        atom=np.stack([found.receiver, found.sender], 1).ravel(),
        weight=weight,
        receives=np.tile([True, False], n),
    )


def _bond_columns(options: HypergraphOptions) -> tuple[Column, ...]:
    return (Column("distance", 0.0, options.cutoff, 41),)


def _triplets(crystal: SymmetricCrystal, options: HypergraphOptions) -> Hyperedges:
    """An atom and two of its neighbours, for every pair of its bonds; all three receive.

    The features, cos θ at the shared atom and the shorter and the longer of the two bonds, do not change when the
    ends are exchanged.
    """
    found, bonds = _own_neighbours(crystal, options)
    # bond k pairs with those after it in its atom's list
    later = np.searchsorted(found.receiver, found.receiver, side="right") - np.arange(len(bonds)) - 1
    if later.sum() > MOST:
        raise IrrepnetError(
            f"{len(bonds)} bonds make {later.sum():.2g} triplets, and at most {MOST:g} are taken: take a smaller "
            "cutoff, or fewer neighbours"
        )
    first = np.repeat(np.arange(len(bonds)), later)
    second = first + 1 + np.arange(len(first)) - np.repeat(np.cumsum(later) - later, later)
    direction = found.vector / found.distance[:, None]
    cosine = np.clip((direction[first] * direction[second]).sum(1), -1.0, 1.0)
    # lists are sorted by distance: the first bond is the shorter one
    return Hyperedges(
        features=np.stack([cosine, found.distance[first], found.distance[second]], 1),
        edge=np.repeat(np.arange(len(first)), 3),
        atom=np.stack([found.receiver[first], found.sender[first], found.sender[second]], 1).ravel(),
        weight=bonds[first] * found.weight[second],
    )


def _triplet_columns(options: HypergraphOptions) -> tuple[Column, ...]:
    return (
        Column("cosine", -1.0, 1.0, 20),
        Column("shorter distance", 0.0, options.cutoff, 20),
        Column("longer distance", 0.0, options.cutoff, 20),
    )


def _cell(crystal: SymmetricCrystal, options: HypergraphOptions) -> Hyperedges:
    """All atoms, with the crystal's fingerprint."""
    n = len(crystal)
    return Hyperedges(features=fingerprint(crystal)[None], edge=np.zeros(n, int), atom=np.arange(n), weight=np.ones(1))


def _cell_columns(options: HypergraphOptions) -> tuple[Column, ...]:
    return COLUMNS


add_hyperedge_type(HyperedgeType("bonds", _bond_columns, _bonds))
add_hyperedge_type(HyperedgeType("triplets", _triplet_columns, _triplets))
add_hyperedge_type(HyperedgeType("cell", _cell_columns, _cell, whole=True))
