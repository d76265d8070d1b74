"""What a point group allows: Neumann's principle as a space, as relations between components, as a picture."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property
from math import lcm, sqrt
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from irrepnet.errors import IrrepnetError
from irrepnet.groups import PointGroup
from irrepnet.outlets import html_table
from irrepnet.tensors.picture import draw

if TYPE_CHECKING:
    from irrepnet.tensors.cartesian import CartesianTensor

_ZERO = 1e-9  # far above rounding, far below any coefficient that occurs


@dataclass(frozen=True, eq=False)
class AllowedForm:
    """The tensors that all operations of a point group leave as they are."""

    tensor: CartesianTensor
    operations: np.ndarray
    """(N, 3, 3) a group of orthogonal matrices."""

    def __repr__(self) -> str:
        return f"AllowedForm({self.tensor.formula}: {', '.join(self.free) or 'zero'}; {', '.join(self.relations)})"

    def _repr_html_(self) -> str:
        """What notebooks display: all components in terms of the free ones."""
        title = f"{self.tensor.formula}, {self.independent} independent"
        return html_table(title, ["component", "value"], self.components.items())

    # -- as a space -------------------------------------------------------------------------------------

    @cached_property
    def projector(self) -> np.ndarray:
        """(dim, dim) Reynolds operator, the mean over the group, on coefficients of `tensor.basis`.

        Raises IrrepnetError if the operations are no group.
        """
        basis = self.tensor.basis.reshape(self.tensor.dim, -1)
        mean = np.zeros_like(self.tensor.basis)
        for g in self.operations:  # one at a time: all images at once would be large for rank 6
            mean += self.tensor.rotate(self.tensor.basis, g) / len(self.operations)
        projector = basis @ mean.reshape(self.tensor.dim, -1).T
        if abs(projector @ projector - projector).max() > 1e-6:
            raise IrrepnetError("the operations (N, 3, 3) of an allowed form are a group of orthogonal matrices")
        return (projector + projector.T) / 2

    @cached_property
    def basis(self) -> np.ndarray:
        """(k, 3, …, 3) orthonormal, read-only: Gram–Schmidt over the tensors with one free component 1, others 0."""
        rows = self._coefficients / self._scale
        triangular, _ = np.linalg.qr(rows.T)
        triangular = triangular.T * np.sign((triangular.T * rows).sum(1))[:, None]
        basis = np.tensordot(np.where(abs(triangular) > _ZERO, triangular, 0.0), self.tensor.basis, 1)
        basis.setflags(write=False)
        return basis

    @property
    def independent(self) -> int:
        """k, the number of independent components."""
        return len(self._coefficients)

    def project(self, values: np.ndarray) -> np.ndarray:
        """mean_P of tensors (…, 3, …, 3): the nearest ones that are allowed."""
        return self.tensor._combine(self.tensor._coordinates(values, self.basis), self.basis)

    def residual(self, values: np.ndarray) -> np.ndarray:
        """(…) |T − mean_P T| / |T|, Frobenius norms, of tensors (…, 3, …, 3): 0 if allowed, at most 1; 0 for T = 0."""
        values, axes = np.asarray(values, float), tuple(range(-self.tensor.rank, 0))
        size = np.sqrt((values**2).sum(axes))
        rest = np.sqrt(((values - self.project(values)) ** 2).sum(axes))
        return np.divide(rest, size, out=np.zeros_like(rest), where=size > 0)

    # -- as relations -----------------------------------------------------------------------------------

    @cached_property
    def _scale(self) -> np.ndarray:
        """(dim,) named component (in Voigt's convention) of each element of `tensor.basis`."""
        components = self.tensor.components.values()
        factors = [self.tensor.voigt_factor(next(iter(orbit))) / sqrt(len(orbit)) for orbit in components]
        return np.array(factors)

    @property
    def _order(self) -> list[int]:
        """The components in the order in which they are made free: few mixed pairs before many, then all numbers equal
        before others, so that C11, C12 are free and not C66, d22 and not d21 = -d22 or d16 = -2d22."""
        indices = [next(iter(orbit)) for orbit in self.tensor.components.values()]
        ranks = [(self.tensor.shear(index), len(set(index)) > 1) for index in indices]
        return sorted(range(len(indices)), key=ranks.__getitem__)

    @cached_property
    def _echelon(self) -> tuple[np.ndarray, list[int]]:
        """(k, dim) named components of k allowed tensors in each of which one free component is 1 and the others are 0,
        and the free components as numbers in `tensor.components`, rising."""
        rank = round(np.trace(self.projector))
        rows = np.linalg.eigh(self.projector)[1][:, len(self.projector) - rank :].T * self._scale
        rest, pivots, order = rows.copy(), [], self._order
        while len(pivots) < rank:
            # The first component that the free ones do not fix; in oblique axes also not nearly.
            size = np.linalg.norm(rest, axis=0)
            column = next(k for k in order if size[k] > 0.01 * size.max())
            pivots.append(column)
            direction = rest[:, column] / size[column]
            rest = rest - np.outer(direction, direction @ rest)
        pivots.sort()
        return _clean(np.linalg.solve(rows[:, pivots], rows)), pivots

    @property
    def _coefficients(self) -> np.ndarray:
        return self._echelon[0]

    @property
    def free(self) -> list[str]:
        """Names of the independent components, k of them."""
        names = list(self.tensor.components)
        return [names[k] for k in self._echelon[1]]

    @property
    def components(self) -> dict[str, str]:
        """Each component in terms of the free ones: {"C12": "C12", "C14": "0", "C66": "(C11 - C12)/2"}."""
        return {
            name: _expression(column, self.free) for name, column in zip(self.tensor.components, self._coefficients.T)
        }

    @property
    def relations(self) -> list[str]:
        """The components that are neither free nor zero, "C66 = (C11 - C12)/2"."""
        return [f"{name} = {text}" for name, text in self.components.items() if text not in (name, "0")]

    @property
    def zeros(self) -> list[str]:
        """The components that symmetry forbids."""
        return [name for name, text in self.components.items() if text == "0"]

    @cached_property
    def matrix(self) -> np.ndarray:
        """Text at each place of Voigt's array (`tensor.voigt_shape`), in terms of the free components."""
        tensor, free = self.tensor, self.free
        columns = dict(zip(tensor.components, self._coefficients.T))
        places = {index: (name, sign) for name, orbit in tensor.components.items() for index, sign in orbit.items()}
        text = np.full(tensor.voigt_shape, "0", object)
        for cell in np.ndindex(text.shape):
            index = tensor.index(cell)
            if index in places:
                name, sign = places[index]
                factor = tensor.voigt_factor(index) / tensor.voigt_factor(next(iter(tensor.components[name])))
                text[cell] = _expression(sign * factor * columns[name], free)
        return text

    def picture(self, path: str | Path, title: str = "") -> None:
        """Draw `matrix` into a file (PNG, SVG, PDF): forced zeros shaded, free components coloured, the others plain.

        Raises IrrepnetError if the file cannot be written.
        """
        draw(self, Path(path), title)


@cache
def allowed_form(tensor: CartesianTensor, group: PointGroup) -> AllowedForm:
    return AllowedForm(tensor, group.operations)


_SIMPLE = np.array(sorted({float(Fraction(p, q)) for q in range(1, 17) for p in range(-8 * q, 8 * q + 1)}))


def _clean(array: np.ndarray) -> np.ndarray:
    """Rounding removed from numbers next to p/q or p√3/q with q ≤ 16."""
    for numbers in (_SIMPLE * sqrt(3), _SIMPLE):
        near = np.clip(np.searchsorted(numbers, array), 1, len(numbers) - 1)
        near -= abs(numbers[near - 1] - array) < abs(numbers[near] - array)
        array = np.where(abs(numbers[near] - array) < _ZERO, numbers[near], array)
    return array


def _expression(coefficients: np.ndarray, names: list[str]) -> str:
    """Σ coefficient · name as text: "0", "-e11", "2d11", "(C11 - C12)/2", "√3a/3", or with decimals."""
    terms = [(c, name) for c, name in zip(coefficients.tolist(), names) if c]
    if not terms:
        return "0"
    root = ""
    fractions = [_fraction(c) for c, _ in terms]
    if any(f is None for f in fractions):
        root, fractions = "√3", [_fraction(c / sqrt(3)) for c, _ in terms]
    if any(f is None for f in fractions):
        parts, common = [(c < 0, f"{abs(c):.6g}*{name}") for c, name in terms], 1
    else:
        exact = [f for f in fractions if f is not None]
        common = lcm(*(f.denominator for f in exact))
        integers = [int(f * common) for f in exact]
        parts = [(n < 0, f"{'' if abs(n) == 1 else abs(n)}{root}{name}") for n, (_, name) in zip(integers, terms)]
    text = ("-" if parts[0][0] else "") + parts[0][1]
    text += "".join(f" {'-' if negative else '+'} {part}" for negative, part in parts[1:])
    if common == 1:
        return text
    return f"({text})/{common}" if len(parts) > 1 else f"{text}/{common}"


def _fraction(value: float) -> Fraction | None:
    ratio = Fraction(value).limit_denominator(999)
    return ratio if abs(ratio - value) < _ZERO else None
