"""Sets of crystallographic operations as 64 bits: every point group in its standard frame is one."""

from functools import cache, lru_cache

import numpy as np

from irrepnet.errors import IrrepnetError
from irrepnet.groups.operations import lookup, read_only
from irrepnet.groups.point_group import PointGroup


@cache
def crystallographic_operations() -> np.ndarray:
    """(64, 3, 3) the operations of m-3m, identity first, and those of 6/mmm that are not among them.

    Every point group in its standard frame consists of some of these.
    """
    cubic, hexagonal = (PointGroup(name).operations for name in ("m-3m", "6/mmm"))
    return read_only(np.concatenate([cubic, hexagonal[lookup(hexagonal, cubic, 1e-6) < 0]]))


@lru_cache(maxsize=256)
def crystallographic_indices(group: PointGroup) -> np.ndarray:
    """(|P|,) where the operations of a point group are among the crystallographic ones."""
    return lookup(group.operations, crystallographic_operations(), 1e-6)


def operation_set(operations: np.ndarray) -> np.uint64:
    """A set of crystallographic operations, given by their indices: bit k for operation k."""
    return np.bitwise_or.reduce(np.uint64(1) << operations.astype(np.uint64))


@lru_cache(maxsize=256)
def operations_in(group: PointGroup, point_group: PointGroup) -> np.ndarray:
    """(|P|,) indices in ``group`` of the operations of ``point_group``, both in their standard frames.

    Raises:
        IrrepnetError: P is not a subgroup of the model's group in this frame.
    """
    try:
        return group.indices(point_group.operations)
    except IrrepnetError:
        raise IrrepnetError(
            f"point group {point_group.name} is no subgroup of the model's group {group.name} in the standard "
            f"frame; trigonal and hexagonal crystals lie in 6/mmm, all others in m-3m"
        ) from None
