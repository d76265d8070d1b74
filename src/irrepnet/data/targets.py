"""What can be predicted: the known targets with their units, and their values as arrays."""

import difflib
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from irrepnet.data.records import Record
from irrepnet.errors import IrrepnetError
from irrepnet.tensors import averages


class Quantity(NamedTuple):
    """A property that some data set holds."""

    unit: str
    """"" for a dimensionless one."""
    description: str
    kind: str = "regression"
    """Of the target that it makes, of `irrepnet.tasks.targets.KINDS`, if it is a number or true or false."""


QUANTITIES: dict[str, Quantity] = {
    "formation_energy_per_atom": Quantity("eV/atom", "formation energy from the elements"),
    "e_above_hull": Quantity("eV/atom", "energy above the convex hull"),
    "band_gap": Quantity("eV", "PBE band gap, 0 for a metal"),
    "metal": Quantity("", "whether band_gap is 0 (true or false)", "classification"),
    "K_VRH": Quantity("GPa", "bulk modulus, Voigt-Reuss-Hill average"),
    "G_VRH": Quantity("GPa", "shear modulus, Voigt-Reuss-Hill average"),
    "log_K_VRH": Quantity("log10(GPa)", "decimal logarithm of K_VRH"),
    "log_G_VRH": Quantity("log10(GPa)", "decimal logarithm of G_VRH"),
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
    "shg": Quantity("pm/V", "3×6 static second-harmonic tensor d, Voigt xx yy zz yz xz xy, no factors of 2"),
}

METADATA = frozenset(
    {"spacegroup_number", "frame_residual", "frame_residual_original", "frame_doubtful", "lattice_original"}
)
"""Properties that describe a record and are not proposed as targets."""


def target_unit(name: str) -> str:
    """Unit of a target; "" for a dimensionless or unknown one."""
    return QUANTITIES[name].unit if name in QUANTITIES else ""


def target_kind(name: str) -> str:
    """What kind of target a number is: what `QUANTITIES` says ("classification" of metal), else "regression"."""
    return QUANTITIES[name].kind if name in QUANTITIES else "regression"


def target_values(records: Sequence[Record], target: str) -> np.ndarray:
    """Values (n,) of a scalar target, NaN where a record has no number for it; true and false are 1 and 0.

    What a record does not state is derived: `metal` from `band_gap` (== 0), `K_VRH` and `G_VRH` (GPa) from its
    elastic tensor, and `log_K_VRH` and `log_G_VRH`, their decimal logarithms, where they are positive.

    Raises:
        IrrepnetError: no record has a number for the target.
    """
    found = [target_value(record, target) for record in records]
    values = np.array([value if isinstance(value, int | float) else np.nan for value in found], dtype=float)
    if np.isnan(values).all():
        for record, value in zip(records, found):
            if value is not None:
                what = "a tensor" if isinstance(value, list) else f"{value!r}"
                raise IrrepnetError(f"{record.id}: {target} is {what}, not a number; {_proposal(records, target)}")
        raise IrrepnetError(f"no record has a value of {target!r}; {_proposal(records, target)}")
    return values


def scalar_targets(records: Iterable[Record]) -> list[str]:
    """Names of the numbers that can be predicted, those that at least one record has."""
    names: dict[str, None] = {}
    for record in records:
        for name, value in record.properties.items():
            if isinstance(value, int | float) and name not in METADATA:
                names[name] = None
        for name in _DERIVED:
            if name not in names and target_value(record, name) is not None:
                names[name] = None
    return list(names)


def _metal(record: Record) -> bool | None:
    gap = record.properties.get("band_gap")
    return None if gap is None else gap == 0


def _modulus(which: Literal["K", "G"]) -> Callable[[Record], float | None]:
    """Hill's average of K or G from the first tensor that the record has."""

    def derive(record: Record) -> float | None:
        for name in ("elastic_tensor_original", "elastic_tensor"):
            if record.properties.get(name) is not None:
                try:
                    tensor = np.array(record.properties[name], dtype=float).reshape(6, 6)
                    modulus = getattr(averages(tensor), which)
                except (TypeError, ValueError, IrrepnetError, np.linalg.LinAlgError):
                    return None
                return modulus if math.isfinite(modulus) else None
        return None

    return derive


def _logarithm(name: str) -> Callable[[Record], float | None]:
    def derive(record: Record) -> float | None:
        value = target_value(record, name)
        return math.log10(value) if isinstance(value, int | float) and value > 0 else None

    return derive


_DERIVED: dict[str, Callable[[Record], Any]] = {
    "metal": _metal,
    "K_VRH": _modulus("K"),
    "G_VRH": _modulus("G"),
    "log_K_VRH": _logarithm("K_VRH"),
    "log_G_VRH": _logarithm("G_VRH"),
}


def target_value(record: Record, target: str) -> Any:
    """What the record states, else what follows from it; None when nothing does."""
    value = record.properties.get(target)
    return _DERIVED[target](record) if value is None and target in _DERIVED else value


def _proposal(records: Sequence[Record], target: str) -> str:
    names = scalar_targets(records)
    if not names:
        return "the data have no scalar target"
    close = difflib.get_close_matches(target, names, n=1)
    return f"the data have {', '.join(names)}" + (f": did you mean {close[0]}?" if close else "")
