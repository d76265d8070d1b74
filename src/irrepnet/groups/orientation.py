"""Which named setting a set of matrices is, and how it is oriented."""

from __future__ import annotations

from functools import cache

import numpy as np

from irrepnet.errors import IrrepnetError
from irrepnet.groups import operations as ops
from irrepnet.groups.elements import elements
from irrepnet.groups.settings import ELEMENTS, POINT_GROUPS, TABLE, Setting

_NOISE = 1e-3  # products of matrices right to 1e-4 differ by less; distinct operations by 0.5 or more
_ROUNDING = 1e-6


def oriented_setting(matrices: np.ndarray) -> tuple[Setting, np.ndarray]:
    """The default setting of orthogonal matrices (N, 3, 3), and the rotation: see `irrepnet.groups.identify`."""
    exact = _polish(np.asarray(matrices, float))
    traces = np.trace(exact, axis1=1, axis2=2)
    if np.abs(traces - traces.round()).max() > 1e-6:
        angle = np.degrees(ops.geometry(exact[np.abs(traces - traces.round()).argmax()]).angle)
        raise IrrepnetError(f"not a crystallographic point group: it has a rotation by {angle:.2f}°")
    setting = TABLE[_names_by_signature()[_signature(exact)]]
    rotation = fitting_rotation(setting, exact)
    assert rotation is not None  # the signature fixes the group up to its orientation
    return setting, rotation


def same_setting(matrices: np.ndarray) -> Setting | None:
    """The named setting whose operations are this very set (tolerance 1e-6); None if there is none."""
    given = np.asarray(matrices, float)
    for setting in TABLE.values():
        generators = np.array([ELEMENTS[name] for name in setting.generators]).reshape(-1, 3, 3)
        if (ops.lookup(generators, given, 1e-6) >= 0).all():  # few settings are left, of which all operations are made
            own = elements(setting).operations
            if np.array_equal(np.sort(ops.lookup(given, own, 1e-6)), np.arange(len(own))):
                return setting
    return None


def fitting_rotation(setting: Setting, operations: np.ndarray) -> np.ndarray | None:
    """The smallest proper rotation Q found that puts Q g Qᵀ into a closed set of operations for every g of a setting.

    Tried are the frames spanned by two axes of the operations or of the coordinate system; None if none fits.
    """
    frames = _frames(operations)
    fits = np.ones(len(frames), bool)
    for name in setting.generators:
        images = frames @ ELEMENTS[name] @ frames.swapaxes(1, 2)
        fits &= ops.lookup(images, operations, _ROUNDING) >= 0
    if not fits.any():
        return None
    rotation = frames[fits.argmax()]
    # The mean over the group of m Q gᵀ is the map with Q g = m Q next to Q; its orthogonal factor is exact.
    own = elements(setting).operations
    images = operations[ops.lookup(rotation @ own @ rotation.T, operations, 2 * _ROUNDING)]
    return _orthogonal_factor((images @ rotation @ own.swapaxes(1, 2)).mean(0))


def _frames(operations: np.ndarray) -> np.ndarray:
    """(M, 3, 3) rotations that take a coordinate axis to one axis and another as near to a second as can be.

    The identity is the first, the others follow by rising angle, z towards [111] first.
    """
    axes = np.array([*np.eye(3), *(ops.geometry(m).axis for m in operations)])
    axes = axes[np.unique(axes.round(6), axis=0, return_index=True)[1]]
    axes = np.concatenate([axes, -axes])
    z, x = (a.reshape(-1, 3) for a in np.broadcast_arrays(axes[:, None], axes[None]))
    x = x - (x * z).sum(-1, keepdims=True) * z
    length = np.linalg.norm(x, axis=-1)
    z, x = z[length > 1e-3], x[length > 1e-3] / length[length > 1e-3, None]
    y = np.cross(z, x)
    columns = [(x, y, z), (y, z, x), (z, x, y), (-y, x, z), (x, z, -y), (z, -y, x)]
    frames = np.concatenate([np.eye(3)[None], *(np.stack(c, -1) for c in columns)])
    trace, towards_111 = np.trace(frames, axis1=1, axis2=2), frames[:, :, 2].sum(1)
    return frames[np.lexsort((-towards_111.round(6), -trace.round(6)))]


def _polish(matrices: np.ndarray) -> np.ndarray:
    """The exact group of orthogonal matrices next to the given ones."""
    if matrices.ndim != 3 or matrices.shape[1:] != (3, 3) or not len(matrices):
        raise IrrepnetError(f"operations are given as an array (N, 3, 3), not {matrices.shape}")
    defect = np.abs(matrices @ matrices.swapaxes(1, 2) - np.eye(3)).max((1, 2))
    if not (defect < _NOISE).all():
        worst = int(np.argmax(~(defect < _NOISE)))
        raise IrrepnetError(f"operation {worst} is not an orthogonal matrix: {matrices[worst].tolist()}")
    table = ops.multiplication_table(matrices, _NOISE)
    if (table < 0).any():
        g, h = np.argwhere(table < 0)[0]
        raise IrrepnetError(f"the operations are not closed: the product of numbers {g} and {h} is missing")
    if (np.sort(table, axis=1) != np.arange(len(matrices))).any():
        raise IrrepnetError("the operations are not a group: one is listed twice")
    # m(h)⁻¹ m(h g), averaged over h, obeys the table up to the square of the error.
    for _ in range(3):
        averages = np.einsum("hji,hgjk->gik", matrices, matrices[table]) / len(matrices)
        matrices = _orthogonal_factor(averages)
    return matrices


def _orthogonal_factor(matrices: np.ndarray) -> np.ndarray:
    """The orthogonal matrix nearest to each (…, 3, 3)."""
    u, _, vt = np.linalg.svd(matrices)
    return u @ vt


def _signature(operations: np.ndarray) -> tuple[tuple[int, int], ...]:
    """How many operations there are of each kind (determinant, trace): different for all 32 groups."""
    determinants = np.linalg.det(operations).round().astype(int)
    traces = np.trace(operations, axis1=1, axis2=2).round().astype(int)
    return tuple(sorted(zip(determinants.tolist(), traces.tolist())))


@cache
def _names_by_signature() -> dict[tuple[tuple[int, int], ...], str]:
    return {_signature(elements(TABLE[name]).operations): name for name in POINT_GROUPS}
