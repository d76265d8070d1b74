"""Orthogonal 3×3 matrices as symmetry operations: closure, lookup, axes, names of classes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from irrepnet.errors import IrrepnetError
from irrepnet.groups.settings import ELEMENTS, Setting

_EXACT = np.array([0, 0.5, -0.5, 1, -1, np.sqrt(3) / 2, -np.sqrt(3) / 2])


def snap(array: np.ndarray) -> np.ndarray:
    """Each entry replaced by the nearest of 0, ±1/2, ±1, ±√3/2: the only matrix elements of our groups."""
    nearest = _EXACT[np.abs(array[..., None] - _EXACT).argmin(-1)]
    if np.abs(nearest - array).max(initial=0) > 1e-6:
        raise IrrepnetError("a matrix element is not 0, ±1/2, ±1 or ±√3/2: not in a standard frame")
    return nearest


def read_only(array: np.ndarray) -> np.ndarray:
    """The array, protected: everything a group hands out is shared by all its users."""
    array.setflags(write=False)
    return array


def lookup(matrices: np.ndarray, operations: np.ndarray, tolerance: float) -> np.ndarray:
    """Index of each matrix (…, 3, 3) among operations (N, 3, 3); −1 where none agrees."""
    # tr(AᵀB) is largest for the nearest orthogonal matrix.
    nearest = (matrices.reshape(-1, 9) @ operations.reshape(-1, 9).T).argmax(-1).reshape(matrices.shape[:-2])
    found = np.abs(operations[nearest] - matrices).max((-1, -2)) <= tolerance
    return np.where(found, nearest, -1)


def multiplication_table(operations: np.ndarray, tolerance: float = 1e-6) -> np.ndarray:
    """(N, N) index of operations[g] @ operations[h]; −1 where the product is not in the set."""
    return lookup(operations[:, None] @ operations[None], operations, tolerance)


def group_factors(multiplication: np.ndarray) -> tuple[np.ndarray, ...]:
    """Lists of indices, the identity 0 first in each: every element is one product of one of each, in their order.

    A sum over the group is then a sum over the first list, of its result over the second, and so on: 48 elements are
    2 + 2 + 2 + 2 + 3. The lists are right transversals of a chain of subgroups, each as small as it can be.
    """
    inside, factors = np.array([0]), []
    while len(inside) < len(multiplication):
        outside = np.setdiff1d(np.arange(len(multiplication)), inside)
        larger = min((_spanned(multiplication, np.append(inside, g)) for g in outside), key=len)
        cosets = np.sort(multiplication[np.ix_(inside, larger)], axis=0)
        factors.append(np.unique(cosets[0]))
        inside = larger
    return tuple(factors)


def _spanned(multiplication: np.ndarray, members: np.ndarray) -> np.ndarray:
    """The subgroup that some elements span, by index."""
    while True:
        products = np.unique(multiplication[np.ix_(members, members)])
        if len(products) == len(members):
            return products
        members = products


def spanned_group(generators: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The group that the generators span, identity first.

    Returns the operations (N, 3, 3) and, for each, how often each generator occurs in a word for it,
    modulo 2, (N, n_generators): a character with values ±1 is a choice of sign for each generator.
    """
    operations = [np.eye(3)]
    known = {operations[0].tobytes()}
    words = [np.zeros(len(generators), int)]
    for operation, word in zip(operations, words):  # both lists grow while they are read
        for k, generator in enumerate(generators):
            product = snap(operation @ generator)
            if product.tobytes() not in known:
                known.add(product.tobytes())
                operations.append(product)
                words.append((word + np.eye(len(generators), dtype=int)[k]) % 2)
    return np.array(operations), np.array(words)


@dataclass(frozen=True)
class Geometry:
    """What an operation does: ± a rotation by `angle` in (−π, π] about `axis` (upper hemisphere)."""

    proper: bool
    axis: np.ndarray
    angle: float

    @property
    def order(self) -> int:
        """n of C_n for a proper operation, n of S_n for an improper one (1: σ, 2: i)."""
        return 1 if abs(self.turn) < 1e-6 else round(2 * np.pi / abs(self.turn))

    @property
    def turn(self) -> float:
        """The angle φ of C(φ), or of the rotoreflection S = σ_h C(φ) about the same axis, in (−π, π]."""
        if self.proper:
            return self.angle
        return self.angle - np.pi if self.angle > 1e-6 else self.angle + np.pi


def geometry(operation: np.ndarray) -> Geometry:
    """Axis and angle of an orthogonal matrix (the axis of E and i is z by convention)."""
    proper = bool(np.linalg.det(operation) > 0)
    rotation = operation if proper else -operation
    cosine = np.clip((np.trace(rotation) - 1) / 2, -1, 1)
    if cosine > 1 - 1e-6:
        return Geometry(proper, np.array([0.0, 0, 1]), 0.0)
    # The symmetric part is cos·1 + (1 − cos)·n nᵀ; its largest column is n up to sign.
    outer = (rotation + rotation.T) / 2 - cosine * np.eye(3)
    axis = outer[:, np.diag(outer).argmax()]
    axis = axis / np.linalg.norm(axis)
    leading = next(c for c in (axis[2], axis[0], axis[1]) if abs(c) > 1e-6)
    axis = axis * np.sign(leading)
    antisymmetric = (rotation - rotation.T) / 2
    sine = axis @ antisymmetric[[2, 0, 1], [1, 2, 0]]
    angle = float(np.arctan2(sine, cosine))
    return Geometry(proper, axis, abs(angle) if cosine < -1 + 1e-6 else angle)


def sort_key(operation: np.ndarray) -> tuple[float, ...]:
    """Canonical order: E, rotations by falling order, then i and the rest; z, x, y; + before − sense."""
    g = geometry(operation)
    z, x, y = g.axis[2], g.axis[0], g.axis[1]
    return (not g.proper, round(abs(g.angle), 6), -round(z, 6), -round(x, 6), -round(y, 6), -round(g.turn, 6))


def class_label(members: np.ndarray, setting: Setting, operations: np.ndarray) -> str:
    """Schoenflies name of a conjugacy class, with its size: "8C3", "3σh", "C6^5".

    Primes and v/d: C2' is the class of two-fold axes perpendicular to the principal axis that comes first
    (x before the rest), C2'' the other; σh is normal to the principal axis, σv contains a C2' axis (where
    there is none: the mirrors of the second generator), σd otherwise. Cubic: C2' and σd belong to ⟨110⟩.
    Orthorhombic groups name the axis.
    """
    # The axis nearest to [111] fixes the sense: in T, C3 is the class of +120° about [111].
    g = max((geometry(m) for m in members), key=lambda g: (round(g.axis.sum(), 6), g.turn))
    size = str(len(members)) if len(members) > 1 else ""
    if g.angle == 0:
        return "E" if g.proper else "i"
    if g.proper and g.order == 2:
        return f"{size}C2{_axis_mark(g.axis, setting, operations)}"
    if not g.proper and g.order == 1:
        return f"{size}σ{_mirror_mark(g.axis, setting, operations)}"
    self_inverse = any(np.allclose(m, members[0].T) for m in members)
    period = g.order * (2 if not g.proper and g.order % 2 else 1)  # S3 has period 6
    power = "" if self_inverse or g.turn > 0 else f"^{period - 1}"
    return f"{size}{'C' if g.proper else 'S'}{g.order}{power}"


def _axis_mark(axis: np.ndarray, setting: Setting, operations: np.ndarray) -> str:
    if setting.system == "orthorhombic":
        return f"({'xyz'[np.abs(axis).argmax()]})"
    if setting.system == "cubic":
        return "" if np.abs(axis).max() > 0.9 else "'"
    if abs(axis @ _principal_axis(setting)) > 0.9:
        return ""
    primary = _perpendicular_twofold(setting, operations)
    return "'" if _conjugate_axes(axis, primary, operations) else "''"


def _mirror_mark(normal: np.ndarray, setting: Setting, operations: np.ndarray) -> str:
    if setting.system == "orthorhombic":
        return {0: "(yz)", 1: "(xz)", 2: "(xy)"}[int(np.abs(normal).argmax())]
    if setting.system == "cubic":
        return "h" if np.abs(normal).max() > 0.9 else "d"
    principal = _principal_axis(setting)
    if abs(normal @ principal) > 0.9:
        return "h"
    twofold = _perpendicular_twofold(setting, operations)
    if twofold is None:
        vertical = _conjugate_axes(normal, geometry(ELEMENTS[setting.generators[1]]).axis, operations)
    else:
        vertical = _conjugate_axes(np.cross(principal, normal), twofold, operations)
    return "v" if vertical else "d"


def _principal_axis(setting: Setting) -> np.ndarray:
    return geometry(ELEMENTS[setting.generators[0]]).axis


def _perpendicular_twofold(setting: Setting, operations: np.ndarray) -> np.ndarray | None:
    """The first two-fold axis perpendicular to z, in the canonical order of the operations."""
    axes = [g.axis for g in map(geometry, operations) if g.proper and g.order == 2 and abs(g.axis[2]) < 1e-6]
    return axes[0] if axes else None


def _conjugate_axes(a: np.ndarray, b: np.ndarray | None, operations: np.ndarray) -> bool:
    return b is not None and bool((np.abs((operations @ b) @ a) > 1 - 1e-6).any())
