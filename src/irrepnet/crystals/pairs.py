"""All pairs of atoms within a distance, by vesin."""

import sys
from functools import cache
from typing import Any

import numpy as np

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
