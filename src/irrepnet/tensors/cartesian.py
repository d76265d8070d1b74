"""CartesianTensor: the space of tensors of one rank and index symmetry, and the ways to write its elements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from itertools import product
from math import prod

import numpy as np

from irrepnet.errors import IrrepnetError
from irrepnet.groups import O3Irreps, PointGroup
from irrepnet.tensors.allowed import AllowedForm, allowed_form
from irrepnet.tensors.harmonic import HarmonicPart, harmonic_parts

HIGHEST_RANK = 8
"""A form of rank 8 without index symmetry takes half a minute, one of rank 16 would take 43 million rows."""
VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
"""Index pairs in Voigt's order 11 22 33 23 13 12."""
_VOIGT_OF = {pair: k for k, (i, j) in enumerate(VOIGT) for pair in ((i, j), (j, i))}

SYMBOLS = {"i": "P", "ij=ji": "ε", "ijk=ikj": "e", "ijk=ikj=jik": "d", "ijkl=jikl=ijlk=klij": "C"}
"""Customary letters; any other tensor is T."""
NAMES: dict[str, tuple[str, dict[str, bool]]] = {
    "polarization": ("i", {}),
    "dielectric": ("ij=ji", {}),
    "permittivity": ("ij=ji", {}),
    "thermal-expansion": ("ij=ji", {"strain": True}),
    "gyration": ("ij=ji", {"axial": True}),
    "born-charge": ("ij", {}),
    "piezoelectric": ("ijk=ikj", {}),
    "piezoelectric-strain": ("ijk=ikj", {"strain": True}),
    "second-harmonic": ("ijk=ikj", {}),
    "electro-optic": ("ijk=jik", {}),
    "elastic": ("ijkl=jikl=ijlk=klij", {}),
    "stiffness": ("ijkl=jikl=ijlk=klij", {}),
    "compliance": ("ijkl=jikl=ijlk=klij", {"strain": True}),
    "elasto-optic": ("ijkl=jikl=ijlk", {}),
}
"""Index symmetries by the name of a property, and what else the tensor is."""


@dataclass(frozen=True)
class CartesianTensor:
    """Tensors of one rank with an index symmetry, such as CartesianTensor("ijkl=jikl=ijlk=klij") for stiffnesses.

    Values are arrays (…, 3, …, 3), one axis of x, y, z for each index, with any leading axes. Time-even; under an
    orthogonal g a polar tensor goes to T'_ij… = g_ia g_jb … T_ab…, an axial one has the factor det g besides.

    Raises IrrepnetError for a formula that cannot be read, or that leaves nothing but zero.

    >>> elastic = CartesianTensor("ijkl=jikl=ijlk=klij")
    >>> elastic.rank, elastic.dim, elastic.irreps
    (4, 21, O3Irreps('2x0e+2x2e+1x4e'))
    >>> elastic.allowed("6/mmm").relations
    ['C22 = C11', 'C23 = C13', 'C55 = C44', 'C66 = (C11 - C12)/2']
    """

    formula: str
    """The letters of the indices, then permutations of them, with a minus sign where the component changes sign; or one
    of `NAMES`."""
    axial: bool = False
    strain: bool = False
    """Voigt components as of a strain: a pair ij with i ≠ j counts twice. d (d14 = 2 d123) and S (S14 = 2 S1123, S44 =
    4 S2323) are such, e and C are not."""
    symbol: str = ""
    """Letter of the components; the default is in `SYMBOLS`."""

    def __post_init__(self) -> None:
        if (name := self.formula.strip().lower().replace("_", "-")) in NAMES:
            formula, others = NAMES[name]
            for key, value in ({"formula": formula} | others).items():
                object.__setattr__(self, key, value)
        elif "=" not in name and (close := get_close_matches(name, NAMES, 1, 0.5)):
            raise IrrepnetError(f"tensor {self.formula!r}: no tensor is called so; did you mean {close[0]}?")
        terms = self.formula.replace("−", "-").replace(" ", "").split("=")
        letters = terms[0]
        if not letters.isalpha() or len(set(letters)) != len(letters):
            raise IrrepnetError(
                f"tensor {self.formula!r}: begin with distinct letters for the indices, such as ij=ji, or name one of "
                f"{', '.join(NAMES)}"
            )
        if len(letters) > HIGHEST_RANK:
            raise IrrepnetError(f"tensor {self.formula[:80]!r}: rank {len(letters)}, and {HIGHEST_RANK} is the highest")
        for term in terms[1:]:
            if sorted(term.lstrip("+-")) != sorted(letters) or term[1:].startswith(("+", "-")):
                raise IrrepnetError(
                    f"tensor {self.formula!r}: {term!r} is not ± a permutation of the letters {letters}"
                )
        object.__setattr__(self, "formula", "=".join(terms))
        if not self.symbol:
            object.__setattr__(self, "symbol", SYMBOLS.get(self.formula, "T"))
        if not self.components:
            raise IrrepnetError(f"tensor {self.formula!r}: only zero has this symmetry")

    # -- index symmetry -----------------------------------------------------------------------------------

    @property
    def rank(self) -> int:
        return len(self.formula.split("=")[0])

    @property
    def dim(self) -> int:
        """Number of independent components without any crystal symmetry."""
        return len(self.components)

    @property
    def shape(self) -> tuple[int, ...]:
        """(3,) · rank."""
        return (3,) * self.rank

    @property
    def parity(self) -> int:
        """Sign under inversion: (−1)^rank for a polar tensor, the opposite for an axial one."""
        return (-1) ** (self.rank + self.axial)

    @cached_property
    def permutations(self) -> dict[tuple[int, ...], int]:
        """{p: sign} the group of index permutations: T[i[p[0]], i[p[1]], …] = sign · T[i[0], i[1], …]."""
        letters, *terms = self.formula.split("=")
        generators = [
            (tuple(letters.index(c) for c in term.lstrip("+-")), -1 if term.startswith("-") else 1) for term in terms
        ]
        found = {tuple(range(self.rank)): 1}
        queue = list(found)
        for p in queue:  # grows while it is read
            for q, sign in generators:
                image = tuple(p[k] for k in q)
                if image not in found:
                    found[image] = found[p] * sign
                    queue.append(image)
                elif found[image] != found[p] * sign:
                    raise IrrepnetError(f"tensor {self.formula!r}: its signs contradict each other, only zero is left")
        return found

    @cached_property
    def components(self) -> dict[str, dict[tuple[int, ...], int]]:
        """The independent components: {name: {index: sign}}, every index that holds ± the component of that name.

        Names have Voigt's numbers for the pairs of `slots` and 1, 2, 3 for single indices: "C14", "ε13".
        """
        orbits: dict[tuple[int, ...], dict[tuple[int, ...], int]] = {}
        seen: set[tuple[int, ...]] = set()
        for index in sorted(product(range(3), repeat=self.rank), key=self._cell):
            if index not in seen:
                images = [(tuple(index[k] for k in p), sign) for p, sign in self.permutations.items()]
                seen.update(image for image, _ in images)
                if (index, -1) not in images:
                    orbits[index] = dict(images)
        return {self.name(index): orbit for index, orbit in orbits.items()}

    @cached_property
    def basis(self) -> np.ndarray:
        """(dim, 3, …, 3) orthonormal: equal components, with their signs, one set each."""
        basis = np.zeros((self.dim, *self.shape))
        for element, orbit in zip(basis, self.components.values()):
            for index, sign in orbit.items():
                element[index] = sign / np.sqrt(len(orbit))
        basis.setflags(write=False)
        return basis

    def project(self, values: np.ndarray) -> np.ndarray:
        """The nearest tensors (…, 3, …, 3) with the index symmetry."""
        return self._combine(self._coordinates(values, self.basis), self.basis)

    def rotate(self, values: np.ndarray, operations: np.ndarray) -> np.ndarray:
        """Tensors moved by orthogonal matrices: (…, 3, …, 3) and (…, 3, 3), leading axes broadcast."""
        moved = rotate(values, operations, self.rank)
        if self.axial:
            moved = moved * np.linalg.det(operations).reshape(operations.shape[:-2] + (1,) * self.rank)
        return moved

    def _coordinates(self, values: np.ndarray, basis: np.ndarray) -> np.ndarray:
        values = np.asarray(values, float)
        if values.shape[values.ndim - self.rank :] != self.shape or values.ndim < self.rank:
            raise IrrepnetError(f"a tensor {self.formula} has shape {self.shape}, these values have {values.shape}")
        lead = values.shape[: values.ndim - self.rank]
        size = 3**self.rank
        return values.reshape(*lead, size) @ basis.reshape(len(basis), size).T

    def _combine(self, coordinates: np.ndarray, basis: np.ndarray) -> np.ndarray:
        return (coordinates @ basis.reshape(len(basis), 3**self.rank)).reshape(*coordinates.shape[:-1], *self.shape)

    # -- Voigt and Mandel -----------------------------------------------------------------------------------

    @cached_property
    def slots(self) -> tuple[int, ...]:
        """Widths of the slots into which indices are contracted, 2 for a symmetric pair: (1, 2) for e, (2, 2) for C.

        Neighbouring indices that may be swapped form a pair, from the right. Tensors of rank 2 stay matrices.
        """
        slots, k = [], self.rank
        while k:
            swap = [*range(self.rank)]
            if self.rank > 2 and k > 1:
                swap[k - 2], swap[k - 1] = k - 1, k - 2
            width = 2 if swap != [*range(self.rank)] and self.permutations.get(tuple(swap)) == 1 else 1
            slots.insert(0, width)
            k -= width
        return tuple(slots)

    @property
    def voigt_shape(self) -> tuple[int, ...]:
        """Shape of Voigt's and Mandel's array: 6 for a pair, 3 for a single index."""
        return tuple(3 * width for width in self.slots)

    def to_voigt(self, values: np.ndarray) -> np.ndarray:
        """(…, *voigt_shape) Voigt components, order 11 22 33 23 13 12, of tensors (…, 3, …, 3)."""
        return self._contract(values, 2.0 if self.strain else 1.0)

    def from_voigt(self, values: np.ndarray) -> np.ndarray:
        """Tensors (…, 3, …, 3) of Voigt components (…, *voigt_shape)."""
        return self._expand(values, 2.0 if self.strain else 1.0)

    def to_mandel(self, values: np.ndarray) -> np.ndarray:
        """(…, *voigt_shape) in Voigt's order with √2 for each pair ij, i ≠ j: the norm is that of the tensor."""
        return self._contract(values, np.sqrt(2.0))

    def from_mandel(self, values: np.ndarray) -> np.ndarray:
        """Tensors (…, 3, …, 3) of Mandel components (…, *voigt_shape)."""
        return self._expand(values, np.sqrt(2.0))

    def read(self, values: object) -> np.ndarray:
        """One tensor (3, …, 3) from its values as they are published: in full, or as Voigt's array.

        Raises IrrepnetError if they are no finite numbers, or of another shape.
        """
        try:
            array = np.array(values, dtype=float)
        except (TypeError, ValueError):
            raise IrrepnetError(f"the values of a tensor {self.formula} are not an array of numbers") from None
        shapes = {self.shape, self.voigt_shape}
        if array.shape not in shapes:
            raise IrrepnetError(f"a tensor {self.formula} has shape {' or '.join(map(str, shapes))}, not {array.shape}")
        if not np.isfinite(array).all():
            raise IrrepnetError(f"the tensor {self.formula} holds a number that is missing or not finite")
        return array if array.shape == self.shape else self.from_voigt(array)

    def name(self, index: Sequence[int]) -> str:
        """Name of the component at an index (i, j, …) of 0, 1, 2: name((0, 0, 1, 2)) is "C14"."""
        return self.symbol + "".join(str(k + 1) for k in self._cell(index))

    def _cell(self, index: Sequence[int]) -> tuple[int, ...]:
        """Place of a component in Voigt's array."""
        cell, k = [], 0
        for width in self.slots:
            cell.append(index[k] if width == 1 else _VOIGT_OF[index[k], index[k + 1]])
            k += width
        return tuple(cell)

    def index(self, cell: Sequence[int]) -> tuple[int, ...]:
        """(i, j, …) of a place in Voigt's array, one of those that are equal."""
        return sum((VOIGT[k] if width == 2 else (k,) for k, width in zip(cell, self.slots)), ())

    def shear(self, index: Sequence[int]) -> int:
        """How many of the pairs of `slots` are mixed, i ≠ j."""
        return sum(k > 2 for k, width in zip(self._cell(index), self.slots) if width == 2)

    def voigt_factor(self, index: Sequence[int]) -> float:
        """Voigt's component divided by the tensor's: 2 for each mixed pair if `strain`, else 1."""
        return 2.0 ** self.shear(index) if self.strain else 1.0

    @cached_property
    def _indices(self) -> tuple[np.ndarray, np.ndarray]:
        """Flat index in (3, …, 3), and number of mixed pairs, for each place of Voigt's array."""
        indices = [self.index(cell) for cell in np.ndindex(self.voigt_shape)]
        flat = np.array([np.ravel_multi_index(index, self.shape) for index in indices])
        return flat, np.array([self.shear(index) for index in indices])

    def _contract(self, values: np.ndarray, factor: float) -> np.ndarray:
        values = self.project(values)
        flat, shear = self._indices
        lead = values.shape[: values.ndim - self.rank]
        return (values.reshape(*lead, -1)[..., flat] * factor**shear).reshape(*lead, *self.voigt_shape)

    def _expand(self, values: np.ndarray, factor: float) -> np.ndarray:
        values = np.asarray(values, float)
        count = len(self.voigt_shape)
        if values.ndim < count or values.shape[values.ndim - count :] != self.voigt_shape:
            raise IrrepnetError(f"Voigt's array of {self.formula} has shape {self.voigt_shape}, not {values.shape}")
        lead = values.shape[: values.ndim - count]
        _, shear = self._indices
        scaled = values.reshape(*lead, prod(self.voigt_shape)) / factor**shear
        cells = [np.ravel_multi_index(self._cell(index), self.voigt_shape) for index in np.ndindex(self.shape)]
        return self.project(scaled[..., cells].reshape(*lead, *self.shape))

    # -- irreps ---------------------------------------------------------------------------------------------

    @cached_property
    def parts(self) -> tuple[HarmonicPart, ...]:
        """The irreps of O(3) in the space, with their tensors; sorted by l, then Young diagram, then copy."""
        return harmonic_parts(self)

    @property
    def irreps(self) -> O3Irreps:
        """The irreps of O(3), by l: 2x0e+2x2e+1x4e for a stiffness."""
        return O3Irreps(Counter(part.irrep for part in self.parts))

    @cached_property
    def change_of_basis(self) -> np.ndarray:
        """(dim, 3, …, 3) orthonormal, the rows of all `parts` one after the other."""
        rows = np.concatenate([part.basis for part in self.parts])
        rows.setflags(write=False)
        return rows

    def to_irreps(self, values: np.ndarray) -> np.ndarray:
        """(…, dim) coefficients on `change_of_basis`; the norm is that of the tensor (…, 3, …, 3)."""
        return self._coordinates(values, self.change_of_basis)

    def from_irreps(self, coefficients: np.ndarray) -> np.ndarray:
        """Tensors (…, 3, …, 3) of coefficients (…, dim)."""
        coefficients = np.asarray(coefficients, float)
        if coefficients.shape[-1:] != (self.dim,):
            raise IrrepnetError(f"a tensor {self.formula} has {self.dim} coefficients, not {coefficients.shape[-1:]}")
        return self._combine(coefficients, self.change_of_basis)

    def part_of(self, values: np.ndarray, l: int | None = None, young: tuple[int, ...] | None = None) -> np.ndarray:
        """What of tensors (…, 3, …, 3) lies in the parts of degree l and of the Young diagram, where given."""
        chosen = [part.basis for part in self.parts if l in (None, part.l) and young in (None, part.young)]
        rows = np.concatenate([self.change_of_basis[:0], *chosen])
        return self._combine(self._coordinates(values, rows), rows)

    def subduce(self, group: str | PointGroup) -> dict[str, np.ndarray]:
        """The irreps of a point group: {label: (copies, d, 3, …, 3)}, all together an orthonormal basis.

        Each copy lies in one of `parts`, in their order, and g·copy[n] = Σ_m Γ(g)[m, n] copy[m]. For an irrep of
        complex type copies are counted modulo its commutant, as in `PointGroup.subduce`.
        """
        group = PointGroup(group) if isinstance(group, str) else group
        found: dict[str, list[np.ndarray]] = {irrep.label: [] for irrep in group.irreps}
        for part in self.parts:
            for label, copies in group.subduce(part.l, self.parity).items():
                found[label] += [self._combine(copy, part.basis) for copy in copies]
        return {label: np.array(copies) for label, copies in found.items() if copies}

    def allowed(self, group: str | PointGroup | np.ndarray) -> AllowedForm:
        """The tensors that a crystal of this point group may have (Neumann's principle).

        group: a name or PointGroup, in the axes of its setting, or the operations (N, 3, 3) themselves.
        """
        if isinstance(group, np.ndarray):
            return AllowedForm(self, group)
        return allowed_form(self, PointGroup(group) if isinstance(group, str) else group)


def rotate(values: np.ndarray, operations: np.ndarray, rank: int) -> np.ndarray:
    """T'_ij… = g_ia g_jb … T_ab…: values (…, 3, …, 3) and operations (…, 3, 3), leading axes broadcast."""
    values = np.asarray(values, float)
    lead = np.broadcast_shapes(values.shape[: values.ndim - rank], operations.shape[:-2])
    size = 3**rank
    values = values.reshape(*values.shape[: values.ndim - rank], size)
    for _ in range(rank):  # the first index is moved and becomes the last: after all of them the order is as before
        values = (operations @ values.reshape(*values.shape[:-1], 3, size // 3)).swapaxes(-1, -2)
        values = values.reshape(*values.shape[:-2], size)
    return values.reshape(*lead, *(3,) * rank)
