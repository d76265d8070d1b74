"""Properties of sites with their crystals: from the axes and the order of the record to the sites, checked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, field_validator

from irrepnet.crystals import Projection, SymmetricCrystal, TensorKind, index_projector, site_slots
from irrepnet.data.records import Record, site_array
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import SiteGraph

SITE_KINDS: dict[str, np.ndarray] = {
    symmetry: index_projector(symmetry) for symmetry in ("scalar", "vector", "ij", "ij=ji", "ij=-ji", "ij=ji traceless")
}
"""What a property of a site can be: the projector onto it among all tensors of its rank r, (3^r, 3^r)."""

TOLERANCE = 0.05
"""Residual up to which the values of a crystal are accepted."""


class SiteQuantity(BaseModel, extra="forbid", frozen=True):
    """What a property of the sites is.

    Attributes:
        symmetry: of ``SITE_KINDS``, with "axial " before it if it does not change sign under inversion as it should.
        unit: of the values.
        sum_rule: the values of a crystal's atoms add up to zero.
        indices: what the first index is and what the second, in words; they are kept as they are in the data.
    """

    symmetry: str
    unit: str = ""
    sum_rule: bool = False
    indices: str = ""

    @field_validator("symmetry")
    @classmethod
    def _known(cls, symmetry: str) -> str:
        if symmetry.removeprefix("axial ") not in SITE_KINDS:
            raise ValueError(f"there are {', '.join(SITE_KINDS)}, each also with axial before it")
        return symmetry

    @property
    def axial(self) -> bool:
        return self.symmetry.startswith("axial ")

    @property
    def projector(self) -> np.ndarray:
        """(w, w), w = 3^rank."""
        return SITE_KINDS[self.symmetry.removeprefix("axial ")]

    @property
    def kind(self) -> TensorKind:
        return TensorKind("sites", self.symmetry.removeprefix("axial "), self.axial, sum_rule=self.sum_rule)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a value: (), (3,) or (3, 3)."""
        return {1: (), 3: (3,), 9: (3, 3)}[len(self.projector)]

    @property
    def in_words(self) -> str:
        """What it is, in one line."""
        words = [self.symmetry, f"in {self.unit}" if self.unit else "without unit"]
        words += ["of sum zero"] * self.sum_rule + [f"indices: {self.indices}"] * bool(self.indices)
        return ", ".join(words)


SITE_QUANTITIES: dict[str, SiteQuantity] = {
    "born_charges": SiteQuantity(symmetry="ij", unit="e", sum_rule=True, indices="in the order of the data"),
    "field_gradients": SiteQuantity(symmetry="ij=ji traceless", unit="V/Å²"),
    "charges": SiteQuantity(symmetry="scalar", unit="e", sum_rule=True),
}
"""The known ones by name.

Magnetic moments are not among them: time reversal turns them round, and the space group of a crystal does not know it.
"""


@dataclass(frozen=True, eq=False)
class SiteValues:
    """The values of a crystal's sites, exactly symmetric.

    Attributes:
        values: (n_orbits, 3, …) at the first atom of each orbit, in the crystal's standard frame.
        residual: |T − what is allowed of T| / |T|, norms over all atoms.
    """

    values: np.ndarray
    residual: float


def site_values(
    record: Record,
    crystal: SymmetricCrystal,
    atoms: np.ndarray,
    name: str,
    quantity: SiteQuantity,
    least: float = 0.0,
) -> SiteValues:
    """What a record says of its atoms, in the axes of its lattice, as values of the sites of its crystal.

    The values are projected onto those that the space group allows: at each atom the mean over all operations, those of
    its site group among them; then onto those of the quantity's kind, and with a sum rule the mean over the atoms is
    subtracted. These projections commute.

    Args:
        record: with the property ``name``, (n, 3, …) of its atoms in their order; (n, 1) for scalars will do.
        crystal: made from the record.
        atoms: (n,) the atom of the crystal that each atom of the record is, see `irrepnet.crystals.input_atoms`.
        name: of the property.
        quantity: what it is.
        least: a size of a value; where those of the crystal are smaller in the mean square, the residual is compared
            with it: values that symmetry forbids are noise, and all of noise is residual.

    Raises:
        IrrepnetError: there is no such property, it has another shape, or its residual is above ``TOLERANCE``.
    """
    given = site_array(record, name)
    if not quantity.shape and given.shape[1:] == (1,):
        given = given[:, 0]
    if given.shape[1:] != quantity.shape:
        found, wanted = (str(shape) if shape else "of a number" for shape in (given.shape[1:], quantity.shape))
        raise IrrepnetError(f"{name} has shape {found} at a site, {wanted} was expected ({quantity.symmetry})")
    values = turned(given, crystal.rotation.T[None], quantity.axial)
    projection = Projection(quantity.kind, site_slots(crystal, atoms), values)
    symmetric, of_kind, allowed = projection.symmetric, projection.of_kind, projection.allowed
    size = max(float(np.linalg.norm(values)), least * len(atoms) ** 0.5) or 1.0
    residual = float(np.linalg.norm(values - allowed[atoms])) / size
    if residual > TOLERANCE:
        lost = {
            f"the crystal's symmetry, {crystal.spacegroup_symbol}: its axes are not those of the lattice, its order is "
            "not that of the atoms, or symprec is too large": values - symmetric[atoms],
            f"the symmetry of its indices, {quantity.symmetry}: declare another": (symmetric - of_kind)[atoms],
            "the sum rule: declare sum_rule: false if there is none": (of_kind - allowed)[atoms],
        }
        worst = max(lost, key=lambda what: float(np.linalg.norm(lost[what])))
        raise IrrepnetError(
            f"{name} has a residual of {residual:.2g}, {TOLERANCE:g} is accepted; it does not obey {worst}"
        )
    return SiteValues(allowed[crystal.representatives], residual)


def at_atoms(values: np.ndarray, graph: SiteGraph, axial: bool) -> np.ndarray:
    """(n_atoms, 3, …) in the standard frame, of all atoms of the crystal in its order, from the sites' values."""
    return turned(values[graph.atom_site], graph.atom_operation, axial)


def turned(values: np.ndarray, operations: np.ndarray, axial: bool) -> np.ndarray:
    """Values (n, 3, …) of rank 0 to 2, each by its operation (n, 3, 3) or all by one (1, 3, 3)."""
    if values.ndim == 2:
        values = (operations @ values[:, :, None])[:, :, 0]
    elif values.ndim == 3:
        values = operations @ values @ operations.swapaxes(1, 2)
    sign = np.linalg.det(operations).round() if axial else np.ones(len(operations))
    return values * sign.reshape(-1, *(1,) * (values.ndim - 1))
