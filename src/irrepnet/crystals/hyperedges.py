"""The hyperedge types that come with the package."""

import numpy as np

from irrepnet.crystals.hypergraph import Column, Hyperedges, HyperedgeType, HypergraphOptions, add_hyperedge_type
from irrepnet.crystals.neighbours import neighbour_shells
from irrepnet.crystals.symmetric import SymmetricCrystal


def _bonds(crystal: SymmetricCrystal, options: HypergraphOptions) -> Hyperedges:
    """Two atoms, of which the one that counts the other among its neighbours receives, as in CGCNN."""
    found = neighbour_shells(crystal, options.cutoff, options.n_max, options.tolerance)
    own = np.isin(found.receiver, crystal.representatives)
    receiver, sender = found.receiver[own], found.sender[own]
    n = len(receiver)
    return Hyperedges(
        features=found.distance[own, None],
        edge=np.repeat(np.arange(n), 2),
        atom=np.stack([receiver, sender], 1).ravel(),
        count=np.bincount(crystal.orbits)[crystal.orbits[receiver]].astype(float),
        receives=np.tile([True, False], n),
    )


def _bond_columns(options: HypergraphOptions) -> tuple[Column, ...]:
    return (Column("distance", 0.0, options.cutoff, 41),)


add_hyperedge_type(HyperedgeType("bonds", _bond_columns, _bonds))
