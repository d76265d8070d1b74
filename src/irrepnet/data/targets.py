"""What can be predicted: the known targets with their units, and their values as arrays."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from irrepnet.data.records import Record
from irrepnet.errors import IrrepnetError


class Quantity(NamedTuple):
    """A property that some data set holds."""

    unit: str
    """"" for a dimensionless one."""
    description: str


QUANTITIES: dict[str, Quantity] = {
    "formation_energy_per_atom": Quantity("eV/atom", "formation energy from the elements"),
    "e_above_hull": Quantity("eV/atom", "energy above the convex hull"),
    "band_gap": Quantity("eV", "PBE band gap, 0 for a metal"),
    "metal": Quantity("", "whether band_gap is 0 (true or false)"),
    "K_VRH": Quantity("GPa", "bulk modulus, Voigt-Reuss-Hill average"),
    "G_VRH": Quantity("GPa", "shear modulus, Voigt-Reuss-Hill average"),
    "n": Quantity("", "refractive index"),
    "eij_max": Quantity("C/m²", "piezoelectric modulus, the largest over all directions"),
    "heat_all": Quantity("eV/5-atom cell", "heat of formation against all competing phases"),
    "heat_ref": Quantity("eV/5-atom cell", "heat of formation against the reference phases"),
    "dir_gap": Quantity("eV", "direct band gap"),
    "ind_gap": Quantity("eV", "indirect band gap"),
    "elastic_tensor_original": Quantity("GPa", "6×6 stiffness, Voigt xx yy zz yz xz xy"),
    "elastic_tensor": Quantity("GPa", "6×6 stiffness, Voigt xx yy zz yz xz xy, IEEE frame, symmetrised"),
    "e_electronic": Quantity("", "3×3 relative permittivity, electronic part"),
    "e_total": Quantity("", "3×3 relative permittivity, electronic and ionic"),
    "piezoelectric_tensor": Quantity("C/m²", "3×6 piezoelectric stress tensor e, Voigt xx yy zz yz xz xy"),
}

METADATA = frozenset({"spacegroup_number", "frame_residual", "frame_residual_original", "frame_doubtful"})
"""Scalar properties that describe a record and are not proposed as targets."""


def target_unit(name: str) -> str:
    """Unit of a target; "" for a dimensionless or unknown one."""
    return QUANTITIES[name].unit if name in QUANTITIES else ""


def target_kind(name: str) -> Literal["regression", "classification"]:
    """ "classification" for a target that is true or false (metal), else "regression"."""
    return "classification" if name == "metal" else "regression"


def target_values(records: Sequence[Record], target: str) -> np.ndarray:
    """Values (n,) of a scalar target, NaN where a record has no number for it; true and false are 1 and 0.

    `metal` is derived from `band_gap` (== 0) in records that do not state it.

    Raises:
        IrrepnetError: no record has a number for the target.
    """
    found = [_value(record, target) for record in records]
    values = np.array([value if isinstance(value, int | float) else np.nan for value in found], dtype=float)
    if np.isnan(values).all():
        for record, value in zip(records, found):
            if value is not None:
                what = "a tensor" if isinstance(value, list) else f"{value!r}"
                raise IrrepnetError(
                    f"{record.id}: {target} is {what}, not a number; {_proposal(records, target)}"
                )
        raise IrrepnetError(f"no record has a value of {target!r}; {_proposal(records, target)}")
    return values


def scalar_targets(records: Iterable[Record]) -> list[str]:
    """Names of the numbers that can be predicted, those that at least one record has."""
    names: dict[str, None] = {}
    for record in records:
        for name, value in record.properties.items():
            if isinstance(value, int | float) and name not in METADATA:
                names[name] = None
                if name == "band_gap":
                    names["metal"] = None
    return list(names)


def _value(record: Record, target: str) -> Any:
    if target == "metal" and "metal" not in record.properties:
        gap = record.properties.get("band_gap")
        return None if gap is None else gap == 0
    return record.properties.get(target)


def _proposal(records: Sequence[Record], target: str) -> str:
    names = scalar_targets(records)
    if not names:
        return "the data have no scalar target"
    close = difflib.get_close_matches(target, names, n=1)
    return f"the data have {', '.join(names)}" + (f": did you mean {close[0]}?" if close else "")
