"""All pairs of atoms within a distance: by vesin, or for few atoms by compiled code, which costs less a call."""

import sys
from functools import cache
from typing import Any

import numpy as np

from irrepnet import compiled

LONGEST, SEARCH = 500.0, 3.0
"""Å; cells with a longer (reduced) lattice vector are refused, and no neighbour search goes less far: vesin
divides by zero in a cell that is thin and yet hundreds of cutoffs long."""


def close_pairs(
    points: np.ndarray, lattice: np.ndarray, cutoff: float, twice: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of atoms of a periodic cell that are not farther apart than the cutoff, in no order.

    Args:
        points: (n, 3) Å.
        lattice: (3, 3) row vectors, Å.
        cutoff: Å, at least ``SEARCH``.
        twice: each pair both ways.

    Returns:
        first (E,), second (E,) and shift (E, 3), int64: the pairs are points[second] + shift @ lattice − points[first].
    """
    search = _vesin().NeighborList(cutoff=cutoff, full_list=twice, n_threads=1)
    first, second, shift = search.compute(points=points, box=lattice, periodic=True, quantities="ijS")
    return first.astype(np.int64), second.astype(np.int64), shift.astype(np.int64)


def sorted_pairs(
    points: np.ndarray, lattice: np.ndarray, radius: float, receivers: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of some atoms with all that are not farther, in the order of receivers, distances, senders and shifts.

    Args:
        points: (n, 3) Å.
        lattice: (3, 3) row vectors, Å.
        radius: Å, at least ``SEARCH``.
        receivers: atoms, in rising order.

    Returns:
        receiver (E,), sender (E,), shift (E, 3), int64; vector (E, 3), Å, which is points[sender] + shift @ lattice −
        points[receiver]; and distance (E,), its length.
    """
    volume = abs(np.linalg.det(lattice))
    capacity = int(len(receivers) * (40 + 6 * radius**3 * len(points) / volume))
    while compiled.is_there():
        columns = tuple(np.empty((capacity, *shape), kind) for shape, kind in _COLUMNS)
        count = _pairs(points, lattice, radius, receivers, capacity, columns)
        if 0 <= count <= capacity:
            return tuple(column[:count] for column in columns)  # type: ignore[return-value]
        if count < 0:
            break
        capacity = count
    receiver, sender, shift = close_pairs(points, lattice, radius)
    if len(receivers) < len(points):
        kept = np.isin(np.arange(len(points)), receivers)[receiver]
        receiver, sender, shift = receiver[kept], sender[kept], shift[kept]
    # in this order, for compiled code to find the same bits
    a, b, c = (shift[:, i, None] * lattice[i] for i in range(3))
    vector = points[sender] - points[receiver] + (a + b + c)
    distance = np.linalg.norm(vector, axis=1)
    order = np.lexsort((*shift.T[::-1], sender, distance, receiver))
    return receiver[order], sender[order], shift[order], vector[order], distance[order]


def are_apart(points: np.ndarray, lattice: np.ndarray, distance: float) -> bool:
    """Whether it is known at once that neither atoms nor their images are nearer; if not, :func:`close_pairs` tells."""
    if not compiled.is_there():
        return False
    return _pairs(points, lattice, distance, np.arange(len(points)), 0, (None,) * len(_COLUMNS)) == 0


_COLUMNS = (((), np.int64), ((), np.int64), ((3,), np.int64), ((3,), np.float64), ((), np.float64))


def _pairs(
    points: np.ndarray,
    lattice: np.ndarray,
    radius: float,
    receivers: np.ndarray,
    capacity: int,
    columns: tuple[np.ndarray | None, ...],
) -> int:
    """How many pairs there are, written to the columns if these have room; negative where vesin has to do it."""
    sizes = len(points), len(receivers), radius, capacity
    return compiled.run("pairs", *sizes, points, np.ascontiguousarray(lattice), receivers, *columns)


@cache
def _vesin() -> Any:
    """vesin without torch. It loads torch if it can, which takes longer than all else that a crystal needs; so it is
    imported with torch out of sight, and then forgotten, so that others who import it get all of it."""
    if "torch" in sys.modules or "vesin" in sys.modules:
        import vesin

        return vesin
    sys.modules["torch"] = None  # type: ignore[assignment] (import torch raises ImportError)
    try:
        import vesin
    finally:
        del sys.modules["torch"]
        for name in [name for name in sys.modules if name.partition(".")[0] == "vesin"]:
            del sys.modules[name]
    return vesin
