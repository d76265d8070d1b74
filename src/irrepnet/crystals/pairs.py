"""All pairs of atoms within a distance: by vesin, or for few atoms by compiled code, which costs less a call."""

import sys
from functools import cache
from typing import Any

import numpy as np

from irrepnet import compiled
from irrepnet.errors import IrrepnetError

LONGEST, SEARCH = 500.0, 3.0
"""Å; cells with a longer (reduced) lattice vector are refused, and no neighbour search goes less far: vesin
divides by zero in a cell that is thin and yet hundreds of cutoffs long."""

MOST = 5_000_000
"""Pairs, or triplets; what would find more is refused, before it takes memory."""

Columns = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Of pairs: receiver, sender, shift, vector, distance."""


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

    Raises:
        IrrepnetError: there would be more than ``MOST``.
    """
    _expected(points, lattice, cutoff, len(points))
    search = _vesin().NeighborList(cutoff=cutoff, full_list=twice, n_threads=1)
    first, second, shift = search.compute(points=points, box=lattice, periodic=True, quantities="ijS")
    return first.astype(np.int64), second.astype(np.int64), shift.astype(np.int64)


def sorted_pairs(points: np.ndarray, lattice: np.ndarray, radius: float, receivers: np.ndarray) -> Columns:
    """Pairs of some atoms with all that are not farther, in the order of receivers, distances, senders and shifts.

    Args:
        points: (n, 3) Å.
        lattice: (3, 3) row vectors, Å.
        radius: Å, at least ``SEARCH``.
        receivers: atoms, in rising order.

    Returns:
        receiver (E,), sender (E,), shift (E, 3), int64; vector (E, 3), Å, which is points[sender] + shift @ lattice −
        points[receiver]; and distance (E,), its length.

    Raises:
        IrrepnetError: there would be more than ``MOST``.
    """
    each = _expected(points, lattice, radius, len(receivers)) / max(len(receivers), 1)
    found = compiled_pairs(points, lattice, receivers, radius, 40 + int(1.5 * each))
    if found is not None:
        return found
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


def _expected(points: np.ndarray, lattice: np.ndarray, radius: float, receivers: int) -> float:
    """About how many pairs some atoms have within a radius; IrrepnetError if more than ``MOST``."""
    density = len(points) / abs(np.linalg.det(lattice))
    number = receivers * density * 4 / 3 * np.pi * float(radius) ** 3 if radius < 1e9 else np.inf
    if not number <= MOST:
        raise IrrepnetError(
            f"within {radius:.3g} Å {receivers} atoms have some {number:.1g} neighbours, and at most {MOST:g} are "
            "searched for: take a smaller cutoff, or fewer neighbours"
        )
    return number


def compiled_pairs(
    points: np.ndarray,
    lattice: np.ndarray,
    receivers: np.ndarray,
    radius: float,
    room: int,
    wanted: int = 0,
    cutoff: float = 0.0,
    tolerance: float = 0.0,
) -> Columns | None:
    """:func:`sorted_pairs` by compiled code; None where there is none, or other ways are better for so many images.

    Args:
        room: pairs a receiver for which there is memory at first.
        wanted: if not 0, the pairs are the whole shells of so many neighbours, which ``cutoff`` and ``tolerance``
            limit as in :func:`irrepnet.crystals.neighbour_shells`, and ``radius`` is where to look at first.
    """
    capacity = room * len(receivers)
    sizes = len(points), len(receivers), radius, wanted, cutoff, tolerance
    while compiled.is_there():
        columns = [np.empty((capacity, *shape), kind) for shape, kind in _COLUMNS]
        count = compiled.run("pairs", *sizes, capacity, points, np.ascontiguousarray(lattice), receivers, *columns)
        if 0 <= count <= capacity:
            receiver, sender, shift, vector, distance = (column[:count] for column in columns)
            return receiver, sender, shift, vector, distance
        if count < 0:
            break
        capacity = count
    return None


def are_apart(points: np.ndarray, lattice: np.ndarray, distance: float) -> bool:
    """Whether it is known at once that neither atoms nor their images are nearer; if not, :func:`close_pairs` tells."""
    if not compiled.is_there():
        return False
    sizes, arrays = (len(points), len(points), distance, 0, 0.0, 0.0, 0), (points, np.ascontiguousarray(lattice))
    return compiled.run("pairs", *sizes, *arrays, np.arange(len(points)), *(None,) * len(_COLUMNS)) == 0


_COLUMNS = (((), np.int64), ((), np.int64), ((3,), np.int64), ((3,), np.float64), ((), np.float64))


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
