"""What the space group of a crystal allows of what a calculation says of it, and what the calculation violates.

An operation s = {R | t} takes the value T_a of atom a to g T_a at atom s·a, and that of a pair (a, b) to the pair
(s·a, s·b); g is its Cartesian matrix, on every index of T. The mean over all operations is the orthogonal projector on
what the group allows (Neumann's principle for a tensor of the crystal). The symmetry of the indices and the sum rules
have orthogonal projectors too, and all of them commute: one after the other they give the nearest allowed values, and
the squares of what each takes away add up,

    |T|² = |allowed|² + |not periodic|² + Σ_Γ |P_Γ T|² + |indices|² + |sum rule|²,    P_Γ = (d_Γ / |G|) Σ_g χ_Γ(g) g,

with a term for each non-trivial irrep Γ of the point group.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, cast

import numpy as np

from irrepnet.crystals.descriptions import Description, description
from irrepnet.crystals.reading import Cell, read_cell
from irrepnet.crystals.symmetric import SymmetricCrystal
from irrepnet.errors import IrrepnetError
from irrepnet.groups import PointGroup
from irrepnet.tensors import CartesianTensor, rotate

_ROUNDING = 1e-14  # of the largest component
_SIX = ((0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1))  # Voigt's order


def index_projector(symmetry: str) -> np.ndarray:
    """(3^rank, 3^rank) onto the tensors with a symmetry of their indices, among all of the rank.

    symmetry: "scalar", "vector", or as `CartesianTensor` takes it ("ij", "ij=ji", "ijk=ikj"); with " traceless" behind
    it for rank 2.

    Raises IrrepnetError if it is none of these.
    """
    formula, traceless, rest = symmetry.partition(" traceless")
    if formula == "scalar" and not traceless:
        return np.eye(1)
    tensor = CartesianTensor("i" if formula == "vector" else formula)
    if rest or (traceless and tensor.rank != 2):
        raise IrrepnetError(f"tensor {symmetry!r}: traceless stands at the end, and for rank 2 alone")
    size = 3**tensor.rank
    rows = np.eye(size).reshape(-1, *tensor.shape)
    moved = [sign * rows.transpose(0, *(k + 1 for k in p)) for p, sign in tensor.permutations.items()]
    projector = np.mean(moved, 0).reshape(size, size)
    if traceless:
        trace = np.eye(3).reshape(9, 1)
        projector = projector - trace @ trace.T / 3
    return projector


@dataclass(frozen=True)
class TensorKind:
    """A tensor that the crystal has, or each of its atoms, or each pair of atoms.

    Raises IrrepnetError if the indices cannot be read, or a property of them makes no sense.

    >>> TensorKind.parse("sites ij sum")  # Born effective charges
    TensorKind(of='sites', indices='ij', axial=False, strain=False, sum_rule=True)
    """

    of: Literal["crystal", "sites", "pairs"]
    indices: str
    """As `index_projector` takes them. Values of pairs are of rank 2, and T_ba = T_abᵀ, as for force constants."""
    axial: bool = False
    strain: bool = False
    """Voigt components as of a strain, see `CartesianTensor`."""
    sum_rule: bool = False
    """The values of the atoms add up to zero; of pairs, those with one atom in common."""

    def __post_init__(self) -> None:
        if self.of not in ("crystal", "sites", "pairs"):
            raise IrrepnetError(f"a tensor is one of the crystal, of sites or of pairs, not of {self.of!r}")
        if self.of == "pairs" and self.indices != "ij":
            raise IrrepnetError(f"a tensor of pairs has the indices ij, not {self.indices!r}")
        if self.of == "crystal" and self.sum_rule:
            raise IrrepnetError("a tensor of the crystal obeys no sum rule: it is one")
        assert len(self.projector) == 3**self.rank

    @classmethod
    def parse(cls, text: str) -> TensorKind:
        """From words: "crystal", "sites" or "pairs"; the indices; any of "axial", "traceless", "strain", "sum"."""
        words = text.split()
        flags = {word for word in words if word in ("axial", "strain", "sum", "traceless")}
        rest = [word for word in words if word not in flags]
        if len(rest) != 2:
            raise IrrepnetError(
                f'{text!r}: say what it is as in "sites ij sum": crystal, sites or pairs; scalar, vector or indices '
                "such as ij=ji; and axial, traceless, strain or sum where it is so"
            )
        indices = rest[1] + " traceless" * ("traceless" in flags)
        of = cast(Literal["crystal", "sites", "pairs"], rest[0])
        return cls(of, indices, "axial" in flags, "strain" in flags, "sum" in flags)

    def __str__(self) -> str:
        return " ".join(
            [self.of, self.indices, *(name for name in ("axial", "strain") if getattr(self, name))]
            + ["sum"] * self.sum_rule
        )

    @cached_property
    def tensor(self) -> CartesianTensor | None:
        """None for a scalar."""
        formula = self.indices.removesuffix(" traceless")
        if formula == "scalar":
            return None
        return CartesianTensor("i" if formula == "vector" else formula, axial=self.axial, strain=self.strain)

    @property
    def rank(self) -> int:
        return self.tensor.rank if self.tensor else 0

    @cached_property
    def projector(self) -> np.ndarray:
        """(3^rank, 3^rank)"""
        return index_projector(self.indices)

    def moved(self, values: np.ndarray, g: np.ndarray) -> np.ndarray:
        """Values (…, 3, …) under an orthogonal matrix (3, 3)."""
        return rotate(values, g, self.rank) * (np.linalg.det(g).round() if self.axial else 1.0)

    def read(self, values: Any, n: int) -> np.ndarray:
        """Values of a crystal of n atoms as an array ((n, (n,)) 3, …, 3), from the shapes in which they are written.

        Each tensor in full, or its 3^rank numbers in a row, or Voigt's array (six numbers, xx yy zz yz xz xy, for a
        symmetric matrix); force constants also as one matrix (3n, 3n).

        Raises IrrepnetError if they are of no such shape or not finite numbers.
        """
        try:
            array = np.array(values, dtype=float)
        except (TypeError, ValueError):
            raise IrrepnetError("not an array of numbers") from None
        if not np.isfinite(array).all():
            raise IrrepnetError("a number is missing or not finite")
        lead = {"crystal": (), "sites": (n,), "pairs": (n, n)}[self.of]
        own, shape = array.shape[len(lead) :], (*lead, *(3,) * self.rank)
        if self.of == "pairs" and array.shape == (3 * n, 3 * n):
            return array.reshape(n, 3, n, 3).swapaxes(1, 2)
        if array.shape[: len(lead)] == lead:
            if own in ((3,) * self.rank, (3**self.rank,)):
                return array.reshape(shape)
            if own == (6,) and self.rank == 2 and np.array_equal(self.projector, self.projector @ _SWAP):
                return array[..., _SIX_OF].reshape(shape)
            if self.tensor and self.rank > 2 and own == self.tensor.voigt_shape:
                return self.tensor.from_voigt(array)
        raise IrrepnetError(f"shape {array.shape} is not that of {self} for {n} atoms, {shape}")

    def write(self, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Values ((n, (n,)) 3, …, 3) in the shape in which they were read."""
        size = int(np.prod(shape))
        if self.of == "pairs" and len(shape) == 2:
            return values.swapaxes(1, 2).reshape(shape)
        if values.size == size:
            return values.reshape(shape)
        if self.rank == 2:
            return values[..., _SIX[0], _SIX[1]]
        assert self.tensor is not None
        return self.tensor.to_voigt(values)


_SWAP = np.eye(9).reshape(3, 3, 9).swapaxes(0, 1).reshape(9, 9)
_SIX_OF = [0, 5, 4, 5, 1, 3, 4, 3, 2]  # where the nine components are among the six


@dataclass(frozen=True, eq=False)
class Slots:
    """The values of a cell that lattice translations leave apart, S of them, and what the group does with them.

    One for a tensor of the crystal, one for each atom of its primitive cell, one for each pair of such an atom with an
    atom of the supercell.
    """

    group: PointGroup
    """Of N operations: those of the crystal's point group that the cell's lattice has too, if pairs are numbered modulo
    that lattice; else all."""
    operations: np.ndarray
    """(N, 3, 3) in the Cartesian axes in which the values are."""
    slot: np.ndarray
    """int (), (n,) or (n, n): the slot of each value."""
    images: np.ndarray
    """(N, S) int, the slot that each slot goes to."""
    atoms: np.ndarray
    """(S, 0, 1 or 2) int, the atoms of the primitive cell that a slot is of."""
    reverse: np.ndarray | None = None
    """(S,) int, of pairs: the slot of (b, a)."""

    def mean(self, values: np.ndarray, rank: int) -> np.ndarray:
        """(S, 3, …) the mean over lattice translations of values (*slot.shape, 3, …)."""
        rows = values.reshape(self.slot.size, 3**rank)
        total = np.zeros((len(self.atoms), 3**rank))
        np.add.at(total, self.slot.ravel(), rows)
        count = np.bincount(self.slot.ravel(), minlength=len(total))
        return (total / count[:, None]).reshape(-1, *(3,) * rank)

    def moved(self, values: np.ndarray, k: int, kind: TensorKind) -> np.ndarray:
        """Values (S, 3, …) under operation k."""
        result = np.empty_like(values)
        result[self.images[k]] = kind.moved(values, self.operations[k])
        return result

    def symmetric(self, values: np.ndarray, kind: TensorKind) -> np.ndarray:
        """The mean over all operations of values (S, 3, …)."""
        total = np.zeros_like(values)
        for k in range(len(self.operations)):
            total += self.moved(values, k, kind)
        return total / len(self.operations)

    def with_indices(self, values: np.ndarray, kind: TensorKind) -> np.ndarray:
        """The part of values (S, 3, …) that has the symmetry of the indices."""
        if self.reverse is not None:
            return (values + values[self.reverse].swapaxes(-1, -2)) / 2
        return (values.reshape(len(values), -1) @ kind.projector).reshape(values.shape)

    def with_sum_rule(self, values: np.ndarray, kind: TensorKind) -> np.ndarray:
        """The part of values (S, 3, …) that obeys the sum rule, if there is one."""
        if not kind.sum_rule:
            return values
        means = []
        for ends in self.atoms.T:  # for pairs: over their second atoms, then over their first ones
            if self.atoms.shape[1] == 1:
                ends = np.zeros_like(ends)
            count = np.bincount(ends)
            total = np.zeros((len(count), *values.shape[1:]))
            np.add.at(total, ends, values)
            means.append(total[ends] / count[ends].reshape(-1, *(1,) * kind.rank))
        return values - sum(means) + (values.mean(0) if len(means) == 2 else 0.0)


@dataclass(frozen=True, eq=False)
class Violations:
    """What was taken away from a quantity to make it symmetric: Frobenius norms over all of its components."""

    norm: float
    """Of the quantity as given; all else is in its unit."""
    total: float
    """Of all that was taken away; its square is the sum of those of `translations`, `irreps` and `rules`."""
    largest: float
    """The largest change of a component."""
    translations: float
    """What differs between cells of a supercell that should be equal."""
    irreps: dict[str, float]
    """Of each non-trivial irrep of the group that occurs."""
    rules: dict[str, float]
    """Of the symmetry of indices, and sum rules."""
    operations: np.ndarray
    """(N,) |g T − T| of each operation, T the mean over translations."""

    @property
    def residual(self) -> float:
        """total / norm, 0 for zero."""
        return self.total / self.norm if self.norm else 0.0


@dataclass(frozen=True, eq=False)
class Projection:
    """A quantity of a crystal, made symmetric."""

    kind: TensorKind
    slots: Slots
    given: np.ndarray
    """(*slot.shape, 3, …)"""

    @cached_property
    def periodic(self) -> np.ndarray:
        """(S, 3, …) the mean over lattice translations."""
        return self.slots.mean(self.given, self.kind.rank)

    @cached_property
    def symmetric(self) -> np.ndarray:
        """(S, 3, …) the mean over the space group."""
        return self.slots.symmetric(self.periodic, self.kind)

    @cached_property
    def of_kind(self) -> np.ndarray:
        """(S, 3, …) of that the part with the symmetry of the indices."""
        return self.slots.with_indices(self.symmetric, self.kind)

    @cached_property
    def allowed(self) -> np.ndarray:
        """(S, 3, …) of that the part that obeys the sum rule: the result. What is rounding, is 0.0."""
        allowed = self.slots.with_sum_rule(self.of_kind, self.kind)
        return np.where(abs(allowed) > _ROUNDING * abs(self.given).max(), allowed, 0.0)

    @property
    def values(self) -> np.ndarray:
        """(*slot.shape, 3, …) the result, in the order and the axes of what was given."""
        return self.allowed[self.slots.slot]

    @property
    def changes(self) -> np.ndarray:
        """(*slot.shape, 3, …) what was given, without the result."""
        return self.given - self.values

    @cached_property
    def violations(self) -> Violations:
        slots, rest = self.slots, self.periodic - self.symmetric
        count = self.slots.slot.size / len(rest)
        overlaps, operations = [], []
        for k in range(len(slots.operations)):
            image = slots.moved(rest, k, self.kind)
            overlaps.append(count * np.vdot(rest, image))
            operations.append(np.sqrt(count) * np.linalg.norm(image - rest))
        size = lambda stage: float(np.sqrt(count) * np.linalg.norm(stage))  # noqa: E731
        rules = {"indices": size(self.symmetric - self.of_kind), "sum rule": size(self.of_kind - self.allowed)}
        return Violations(
            norm=float(np.linalg.norm(self.given)),
            total=float(np.linalg.norm(self.changes)),
            largest=float(abs(self.changes).max()),
            translations=float(np.linalg.norm(self.given - self.periodic[slots.slot])),
            irreps=irrep_norms(slots.group, np.array(overlaps)),
            rules={name: value for name, value in rules.items() if name == "indices" or self.kind.sum_rule},
            operations=np.array(operations),
        )


def irrep_norms(group: PointGroup, overlaps: np.ndarray) -> dict[str, float]:
    """{label: |P_Γ T|} of the non-trivial irreps that occur in T, from ⟨T, g T⟩ for each operation (N,).

    T is without its trivial part: norms far below that of T are lost in rounding.
    """
    norms = {
        irrep.label: irrep.dim / len(irrep.commutant) * float(irrep.characters @ overlaps) / group.order
        for irrep in group.irreps[1:]
    }
    least = 1e-13 * float(abs(overlaps).max(initial=0.0))
    return {label: float(np.sqrt(norm)) for label, norm in norms.items() if norm > least}


@dataclass(frozen=True, eq=False)
class CellSymmetry:
    """A cell as it is given, a supercell perhaps, with the space group that it has."""

    cell: Cell
    crystal: SymmetricCrystal
    described: Description

    @classmethod
    def of(cls, source: Any, symprec: float = 0.01) -> CellSymmetry:
        """See `SymmetricCrystal.from_structure`.

        Raises IrrepnetError if the source is refused, or no space group is consistent with it.
        """
        cell = read_cell(source)
        crystal = SymmetricCrystal.from_structure(cell, symprec)
        return cls(cell, crystal, description(crystal, cell))

    def __len__(self) -> int:
        """Number of atoms n in the cell."""
        return len(self.cell.numbers)

    @property
    def operations(self) -> np.ndarray:
        """(N, 3, 3) those of the crystal's point group, in the Cartesian axes of the cell."""
        rotation = self.crystal.rotation
        return rotation @ self.crystal.point_group.operations @ rotation.T

    @cached_property
    def of_crystal(self) -> Slots:
        """For a tensor of the crystal."""
        n = self.crystal.point_group.order
        zero, none = np.array(0), np.zeros((1, 0), int)
        return Slots(self.crystal.point_group, self.operations, zero, np.zeros((n, 1), int), none)

    @cached_property
    def of_sites(self) -> Slots:
        """For a tensor of each atom."""
        return replace(site_slots(self.crystal, self.described.atoms), operations=self.operations)

    @cached_property
    def of_pairs(self) -> Slots:
        """For a tensor of each pair of atoms of the cell, which is one of the crystal's with the cell's lattice.

        Raises IrrepnetError if the cell does not hold every atom of the crystal as often.
        """
        crystal, (atoms, cells, supercell) = self.crystal, self.described
        number, count = _numbers_of_cells(supercell), len(self) // len(crystal)
        at = np.unique(number(cells), return_inverse=True)
        shifts = np.zeros((count, 3), int)
        if len(at[0]) != count or len(np.unique(atoms * count + at[1])) != len(self):
            raise IrrepnetError(f"{self.cell.name}: two of its atoms are one atom of the crystal {crystal.formula}")
        shifts[at[1]] = cells
        cell_of = lambda vectors: np.searchsorted(at[0], number(vectors))  # noqa: E731

        turned = supercell @ crystal.rotations.transpose(0, 2, 1) @ np.linalg.inv(supercell)
        kept = np.flatnonzero(abs(turned - np.rint(turned)).max((1, 2)) < 1e-6)
        subgroup = crystal.point_group.subgroup(kept)
        kept, n = subgroup.indices, len(crystal)
        rotations, permutation = crystal.rotations[kept], crystal.permutation[kept]
        moved = crystal.frac_coords @ rotations.transpose(0, 2, 1) + crystal.translations[kept, None]
        arrived = np.rint(moved - crystal.frac_coords[permutation]).astype(int)  # (N, n, 3) the cell an atom goes to
        a, b, k = np.indices((n, n, count))
        pair = lambda a, b, cell: (a * n + b) * count + cell  # noqa: E731
        there = np.einsum("gij,kj->gki", rotations, shifts)[:, None, None] + (
            arrived[:, None, :, None] - arrived[:, :, None, None]
        )
        images = pair(permutation[:, a], permutation[:, b], cell_of(there))
        return Slots(
            group=subgroup.group,
            operations=self.operations[kept],
            slot=pair(atoms[:, None], atoms, cell_of(cells - cells[:, None])),
            images=images.reshape(len(kept), -1),
            atoms=np.stack([a, b], -1).reshape(-1, 2),
            reverse=pair(b, a, cell_of(-shifts)[k]).ravel(),
        )

    def project(self, values: Any, kind: TensorKind) -> Projection:
        """Values of this cell, in its order and axes, made symmetric.

        values: in a shape that `TensorKind.read` takes.

        Raises IrrepnetError if they are no such values.
        """
        return Projection(kind, getattr(self, f"of_{kind.of}"), kind.read(values, len(self)))

    def idealised(self) -> Cell:
        """The same cell with lattice and atoms moved onto the symmetry, and no further: neither turned nor shifted."""
        crystal, (atoms, cells, supercell) = self.crystal, self.described
        lattice = supercell @ crystal.lattice @ crystal.rotation.T
        frac_coords = (crystal.frac_coords[atoms] + cells) @ np.linalg.inv(supercell)
        apart = self.cell.frac_coords - frac_coords
        apart -= np.rint(apart - apart[0])  # the origin of the crystal is not that of the cell
        return self.cell._replace(lattice=lattice, frac_coords=self.cell.frac_coords - (apart - apart.mean(0)))


def site_slots(crystal: SymmetricCrystal, atoms: np.ndarray) -> Slots:
    """For tensors in the standard frame of atoms (n,), given as those of the crystal; see `input_atoms`."""
    group = crystal.point_group
    return Slots(group, group.operations, atoms, crystal.permutation, np.arange(len(crystal))[:, None])


def _numbers_of_cells(supercell: np.ndarray) -> Any:
    """A function from cells (…, 3) to numbers (…) that are equal for cells that differ by a vector of the supercell."""
    size = round(abs(np.linalg.det(supercell)))
    adjugate = np.rint(np.linalg.inv(supercell) * size).astype(int)

    def number(cells: np.ndarray) -> np.ndarray:
        digits = cells @ adjugate % size
        return (digits[..., 0] * size + digits[..., 1]) * size + digits[..., 2]

    return number


FORCE_CONSTANTS = TensorKind("pairs", "ij", sum_rule=True)


def symmetrised_force_constants(
    symmetry: CellSymmetry, constants: np.ndarray, rows: np.ndarray | None = None
) -> Projection:
    """Force constants of a supercell under the space group, Φ_ab = Φ_baᵀ and the acoustic sum rule, all exactly.

    Args:
        symmetry: of the supercell.
        constants: (n, n, 3, 3); or phonopy's compact (rows, n, 3, 3), those of one atom of each primitive atom.
        rows: (rows,) these atoms.

    Raises IrrepnetError if the shape is another, or the rows are not one atom of each primitive atom.
    """
    slots = symmetry.of_pairs
    rows = np.arange(len(symmetry)) if rows is None else np.asarray(rows)
    if len(rows) < len(symmetry):
        if sorted(symmetry.described.atoms[rows]) != list(range(len(symmetry.crystal))):
            raise IrrepnetError(
                f"{symmetry.cell.name}: compact force constants are those of one atom for each of the "
                f"{len(symmetry.crystal)} of the primitive cell, these are of the atoms {(rows + 1).tolist()}"
            )
        slots = replace(slots, slot=slots.slot[rows])
    constants = np.asarray(constants, float)
    if constants.shape != (*slots.slot.shape, 3, 3):
        raise IrrepnetError(f"force constants have shape {(*slots.slot.shape, 3, 3)}, not {constants.shape}")
    return Projection(FORCE_CONSTANTS, slots, constants)
