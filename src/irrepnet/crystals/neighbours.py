"""Whole shells of neighbours.

A list cut after the N-th neighbour keeps an arbitrary part of a shell of equal distances, and with it breaks
the symmetry of the site. Here a shell is kept as a whole or left out as a whole.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import vesin

from irrepnet.crystals.reading import CLOSEST, SEARCH
from irrepnet.crystals.symmetric import SymmetricCrystal
from irrepnet.errors import IrrepnetError

# Å: decides distances that differ from a limit by rounding alone, the same way for all equivalent atoms.
_ROUNDING = 1e-8


class Neighbours(NamedTuple):
    """E directed pairs, sorted by receiver and then by distance."""

    receiver: np.ndarray
    """(E,) int64"""
    sender: np.ndarray
    """(E,) int64"""
    shift: np.ndarray
    """(E, 3) int64, the lattice translation of the sender's cell."""
    vector: np.ndarray
    """(E, 3) Å, from receiver to sender in the standard frame: x_sender + shift @ lattice - x_receiver."""
    distance: np.ndarray
    """(E,) Å"""


def neighbour_shells(
    crystal: SymmetricCrystal, cutoff: float = 8.0, n_max: int = 12, tolerance: float = 1e-3
) -> Neighbours:
    """The nearest whole shells of each atom: about `n_max` neighbours, none farther than `cutoff`.

    Atom a keeps every neighbour not farther than

        min(d_n, max(cutoff, d_1)) + tolerance,

    d_k the distance to its k-th neighbour and n = `n_max`. So it keeps at least `n_max` neighbours if that
    many lie within the cutoff, all of them if fewer do, and its nearest shell if none does: no atom is ever
    alone. Atoms of one orbit get shells that the symmetry maps onto each other.

    Args:
        cutoff: Å.
        n_max: neighbours after which no further shell is begun.
        tolerance: Å, distances nearer than this to the limit belong to the same shell.

    Raises:
        IrrepnetError: a cutoff, `n_max` or tolerance that is not positive.
    """
    if not (0 < cutoff < np.inf and n_max >= 1 and 0 < tolerance < CLOSEST):
        raise IrrepnetError(
            "neighbour shells need a positive cutoff, n_max of at least 1 and a tolerance of "
            f"at most {CLOSEST} Å, got {cutoff}, {n_max}, {tolerance}"
        )
    n = len(crystal)
    density = n / abs(np.linalg.det(crystal.lattice))
    # Start from the sphere that holds n_max atoms on average, and grow it until every limit lies inside.
    radius = max(SEARCH, min(cutoff, 1.3 * np.cbrt(3 * (n_max + 1) / (4 * np.pi * density))))
    while True:
        receiver, sender, shift, vector, distance = _pairs(crystal, radius + tolerance + _ROUNDING)
        counts = np.bincount(receiver, minlength=n)
        starts = np.cumsum(counts) - counts
        padded = np.append(distance, np.inf)
        first = padded[np.where(counts > 0, starts, -1)]
        last = padded[np.where(counts >= n_max, starts + n_max - 1, -1)]
        limit = np.minimum(last, np.maximum(cutoff, first))
        if (limit <= radius + _ROUNDING).all():
            break
        radius = cutoff if radius < cutoff < 1.3 * radius else 1.3 * radius
    kept = distance <= limit[receiver] + tolerance + _ROUNDING
    return Neighbours(receiver[kept], sender[kept], shift[kept], vector[kept], distance[kept])


def _pairs(crystal: SymmetricCrystal, radius: float) -> tuple[np.ndarray, ...]:
    """All pairs nearer than `radius`, sorted by receiver and then by distance."""
    points = crystal.cart_coords
    receiver, sender, shift = vesin.NeighborList(cutoff=radius, full_list=True, n_threads=1).compute(
        points=points, box=crystal.lattice, periodic=True, quantities="ijS"
    )
    receiver, sender, shift = receiver.astype(np.int64), sender.astype(np.int64), shift.astype(np.int64)
    vector = points[sender] - points[receiver] + shift @ crystal.lattice
    distance = np.linalg.norm(vector, axis=1)
    order = np.lexsort((distance, receiver))
    return receiver[order], sender[order], shift[order], vector[order], distance[order]
