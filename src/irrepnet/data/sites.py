"""Properties of sites with their crystals: from the axes and the order of the record to the sites, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from irrepnet.crystals import SymmetricCrystal, input_atoms
from irrepnet.data.records import Record, site_array
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import SiteGraph

SITE_KINDS = {"scalar": 0, "vector": 1, "ij": 2, "ij=ji": 2, "ij=-ji": 2, "ij=ji traceless": 2}
"""What a property of a site can be, and its rank."""

TOLERANCE = 0.05
"""Residual up to which the values of a crystal obey its symmetry."""


@dataclass(frozen=True)
class SiteQuantity:
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

    @property
    def axial(self) -> bool:
        return self.symmetry.startswith("axial ")

    @property
    def rank(self) -> int:
        return SITE_KINDS[self.symmetry.removeprefix("axial ")]


SITE_QUANTITIES: dict[str, SiteQuantity] = {
    "born_charges": SiteQuantity("ij", "e", sum_rule=True, indices="in the order of the data"),
    "field_gradients": SiteQuantity("ij=ji traceless", "V/Å²"),
    "magnetic_moments": SiteQuantity("axial vector", "μB"),
    "charges": SiteQuantity("scalar", "e", sum_rule=True),
}
"""The known ones by name."""


@dataclass(frozen=True, eq=False)
class SiteValues:
    """The values of a crystal's sites, exactly symmetric.

    Attributes:
        values: (n_sites, 3, …) in the crystal's standard frame.
        residual: |T − mean of T over the space group| / |T|, over all atoms.
    """

    values: np.ndarray
    residual: float


def site_values(
    record: Record, crystal: SymmetricCrystal, graph: SiteGraph, name: str, quantity: SiteQuantity
) -> SiteValues:
    """What a record says of its atoms, in the axes of its lattice, as values of the sites of its crystal's graph.

    The values are projected onto those that the space group allows: at each site the mean over all operations that take
    an atom of the orbit to it. The operations are those of the graph's form; with one atom an orbit, all.

    Args:
        record: with the property ``name``, (n_atoms, 3, …) in its order.
        crystal: made from the record.
        graph: made from the crystal.
        name: of the property.
        quantity: what it is.

    Raises:
        IrrepnetError: there is no such property, it has another shape, or its residual is above ``TOLERANCE``.
    """
    given = site_array(record, name)
    shape = (3,) * quantity.rank
    if given.shape[1:] == (1,) and not shape:
        given = given[:, 0]
    if given.shape[1:] != shape:
        raise IrrepnetError(f"{name} has shape {given.shape[1:] or 'of a number'} at a site, {shape} was expected")
    atom = input_atoms(crystal, record)
    standard = turned(given, crystal.rotation.T[None], quantity.axial)
    count = np.bincount(atom, minlength=len(crystal))
    mean = np.zeros((len(crystal), *shape))
    np.add.at(mean, atom, standard)
    mean /= count.reshape(-1, *(1,) * len(shape))
    group = crystal.point_group.operations
    projected = np.zeros_like(mean)  # T_a ← mean over g of g⁻¹ T_{g·a}
    for g, operation in enumerate(group):
        projected += turned(mean[crystal.permutation[g]], operation.T[None], quantity.axial)
    projected /= len(group)
    if quantity.symmetry.removeprefix("axial ") == "ij=ji":
        projected = (projected + projected.swapaxes(1, 2)) / 2
    elif quantity.symmetry.removeprefix("axial ") == "ij=-ji":
        projected = (projected - projected.swapaxes(1, 2)) / 2
    elif quantity.symmetry.removeprefix("axial ") == "ij=ji traceless":
        projected = (projected + projected.swapaxes(1, 2)) / 2
        projected -= np.trace(projected, axis1=1, axis2=2)[:, None, None] / 3 * np.eye(3)
    size = float(np.linalg.norm(standard))
    residual = float(np.linalg.norm(standard - projected[atom])) / size if size > 0 else 0.0
    if residual > TOLERANCE:
        raise IrrepnetError(
            f"{name} does not obey the crystal's symmetry, {crystal.spacegroup_symbol}: residual {residual:.2g}, "
            f"{TOLERANCE:g} is accepted; its axes are not those of the lattice, its order is not that of the atoms, or "
            "symprec is too large"
        )
    sites = np.unique(graph.atom_site, return_index=True)[1]
    back = graph.atom_operation[sites].swapaxes(1, 2)
    return SiteValues(turned(projected[sites], back, quantity.axial), residual)


def at_atoms(values: np.ndarray, graph: SiteGraph, axial: bool) -> np.ndarray:
    """(n_atoms, 3, …) in the standard frame, of all atoms of the crystal in its order, from the sites' values."""
    return turned(values[graph.atom_site], graph.atom_operation, axial)


def turned(values: np.ndarray, operations: np.ndarray, axial: bool) -> np.ndarray:
    """Values (n, 3, …) of rank 0 to 2, each by its operation (n, 3, 3) or all by one (1, 3, 3)."""
    sign: Any = np.linalg.det(operations).round() if axial else np.ones(len(operations))
    if values.ndim == 2:
        values = (operations @ values[:, :, None])[:, :, 0]
    elif values.ndim == 3:
        values = operations @ values @ operations.swapaxes(1, 2)
    return values * sign.reshape(-1, *(1,) * (values.ndim - 1))
