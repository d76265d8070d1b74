"""What the symmetry of a site allows there: the irreps of its orbitals, and the form of its tensors."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import prod, sqrt
from typing import Any

import numpy as np

from irrepnet.crystals.symmetric import SymmetricCrystal
from irrepnet.errors import IrrepnetError
from irrepnet.groups import PointGroup, harmonic_matrices

ORBITALS = ("s", "p", "d", "f")
_ZERO = 1e-9  # far above rounding, far below any coefficient that occurs


@dataclass(frozen=True, eq=False)
class TensorForm:
    """All tensors of one kind that a symmetry allows, or sets of tensors: Σ_i value_i · basis[i]."""

    basis: np.ndarray
    """(k, …, 3) or (k, …, 3, 3), k independent components in the crystal's standard frame. In reduced echelon form:
    value_i is itself a component of the tensor, the first one (xx, xy, … zz) that values before it leave free."""

    @classmethod
    def spanned(cls, tensors: np.ndarray) -> TensorForm:
        """The form of all sums of independent tensors (k, …)."""
        rows = np.linalg.qr(tensors.reshape(len(tensors), -1).T)[0]
        return cls(_echelon(rows @ rows.T).reshape(-1, *tensors.shape[1:]))

    @property
    def pattern(self) -> list[Any]:
        """Each component in terms of the free ones a, b, …, as a list (of lists) of text: ["0", "0", "a"].

        >>> TensorForm(np.diag([1.0, 1, -2])[None]).pattern
        [['a', '0', '0'], ['0', 'a', '0'], ['0', '0', '-2a']]
        """
        shape = self.basis.shape[1:]
        columns = self.basis.reshape(-1, prod(shape)).T
        return np.array([_expression(column) for column in columns], object).reshape(shape).tolist()


@dataclass(frozen=True, eq=False)
class SiteIrreps:
    """One orbit's site group, with the irreps and tensors at the first atom of the orbit."""

    group: PointGroup
    """The site group, in the named setting that the crystal's axes give it, or else in its default setting."""
    rotation: np.ndarray
    """(3, 3) proper, from the group's axes to the crystal's: column 2 is the site's z axis, column 0 its x axis. The
    identity if the group is a named setting in the crystal's axes. Labels such as B1, B2 refer to these axes."""
    orbitals: dict[str, dict[str, int]]
    """{"s", "p", "d", "f": {irrep: multiplicity}}, the irreps l = 0 … 3 of O(3), parity (−1)^l, under the group."""
    vector: TensorForm
    """Polar vector: a dipole moment, the force on the atom, the static electric field at it."""
    field_gradient: TensorForm
    """Symmetric and traceless, rank 2: the electric field gradient."""
    born_charge: TensorForm
    """Rank 2, in general not symmetric: the Born effective charge, ∂P_i/∂u_j."""


def site_irreps(crystal: SymmetricCrystal, orbit: int) -> SiteIrreps:
    """The irreps and tensors at `crystal.representatives[orbit]`; at another atom of the orbit turn them with it.

    Raises IrrepnetError if the crystal has no such orbit.
    """
    if not 0 <= orbit < len(crystal.representatives):
        raise IrrepnetError(f"{crystal.formula} has orbits 0 to {len(crystal.representatives) - 1}, not {orbit}")
    site = crystal.point_group.subgroup(crystal.site_groups[orbit])
    operations = crystal.point_group.operations[crystal.site_groups[orbit]]
    pairs = np.einsum("gij,gkl->gikjl", operations, operations).reshape(-1, 9, 9)
    swap = np.eye(9).reshape(3, 3, 9).swapaxes(0, 1).reshape(9, 9)
    trace = np.eye(3).reshape(9, 1)
    symmetric_traceless = (np.eye(9) + swap) / 2 - trace @ trace.T / 3
    return SiteIrreps(
        group=site.group,
        rotation=site.rotation,
        orbitals={
            name: site.group.multiplicities(
                np.trace(harmonic_matrices(site.group.operations, l, (-1) ** l), axis1=1, axis2=2)
            )
            for l, name in enumerate(ORBITALS)
        },
        vector=TensorForm(_echelon(operations.mean(axis=0))),
        field_gradient=TensorForm(_echelon(pairs.mean(axis=0) @ symmetric_traceless).reshape(-1, 3, 3)),
        born_charge=TensorForm(_echelon(pairs.mean(axis=0)).reshape(-1, 3, 3)),
    )


def _echelon(projector: np.ndarray) -> np.ndarray:
    """(k, n) the reduced row echelon form of the space that a symmetric projector (n, n) projects on."""
    rows, rank = projector.copy(), 0
    for column in range(len(rows)):
        pivot = rank + int(np.argmax(abs(rows[rank:, column])))
        if abs(rows[pivot, column]) > _ZERO:
            rows[[rank, pivot]] = rows[[pivot, rank]]
            rows[rank] /= rows[rank, column]
            others = np.arange(len(rows)) != rank
            rows[others] -= np.outer(rows[others, column], rows[rank])
            rank += 1
    return np.where(abs(rows[:rank]) > _ZERO, rows[:rank], 0.0)


def _expression(coefficients: np.ndarray) -> str:
    """Σ_i coefficients[i] · letter_i as text: "0", "a", "-a-b", "√3a/3"."""
    terms = "".join(_term(c, letter) for c, letter in zip(coefficients, "abcdefghi", strict=False) if c)
    return terms.removeprefix("+") or "0"


def _term(coefficient: float, letter: str) -> str:
    """A signed term; the operations are exact in Q(√3), and the coefficients are p/q or p√3/q."""
    ratio, root = Fraction(coefficient).limit_denominator(12), ""
    if abs(ratio - coefficient) > 1e-9:
        ratio, root = Fraction(coefficient / sqrt(3)).limit_denominator(12), "√3"
    numerator = "" if abs(ratio.numerator) == 1 else str(abs(ratio.numerator))
    denominator = "" if ratio.denominator == 1 else f"/{ratio.denominator}"
    return f"{'-' if ratio < 0 else '+'}{numerator}{root}{letter}{denominator}"
