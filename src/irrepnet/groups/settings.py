"""The 32 crystallographic point groups and their named settings: names, generators, orientation.

Axes are Cartesian, operations are active: z is the principal axis, x ∥ a, the unique axis of the
monoclinic groups is y ∥ b ("2", "m", "2/m") or z ("112", "11m", "112/m"). The generators are listed so
that the first one tells A from B (and E1 from E2, T1 from T2) and the second one tells 1 from 2; see
`irreps.mulliken_label`.
"""

import difflib
import re
from dataclasses import dataclass

import numpy as np

from irrepnet.errors import IrrepnetError

_HALF_SQRT3 = np.sqrt(3) / 2


def _rotation_z(cosine: float, sine: float) -> np.ndarray:
    return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])


ELEMENTS: dict[str, np.ndarray] = {
    "i": -np.eye(3),
    "2x": np.diag([1.0, -1, -1]),
    "2y": np.diag([-1.0, 1, -1]),
    "2z": np.diag([-1.0, -1, 1]),
    "mx": np.diag([-1.0, 1, 1]),
    "my": np.diag([1.0, -1, 1]),
    "mz": np.diag([1.0, 1, -1]),
    "2xy": np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, -1]]),
    "3z": _rotation_z(-0.5, _HALF_SQRT3),
    "4z": _rotation_z(0, 1),
    "-4z": -_rotation_z(0, 1),
    "6z": _rotation_z(0.5, _HALF_SQRT3),
    "-6z": -_rotation_z(0.5, _HALF_SQRT3),
    "3xyz": np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]]),
}
"""Generating operations by name: a rotation (or -n: rotoinversion) and its axis, m: mirror and its normal."""


@dataclass(frozen=True)
class Setting:
    """One row of the table: a point group in one orientation."""

    name: str
    schoenflies: str
    system: str
    generators: tuple[str, ...]
    parent: str | None = None
    """For the ten groups with real irreps of complex type: the simply reducible group one step up."""


def _row(name: str, schoenflies: str, system: str, generators: str, parent: str | None = None) -> Setting:
    return Setting(name, schoenflies, system, tuple(generators.split()), parent)


_DEFAULT = (
    _row("1", "C1", "triclinic", ""),
    _row("-1", "Ci", "triclinic", "i"),
    _row("2", "C2", "monoclinic", "2y"),
    _row("m", "Cs", "monoclinic", "my"),
    _row("2/m", "C2h", "monoclinic", "2y i"),
    _row("222", "D2", "orthorhombic", "2z 2y"),
    _row("mm2", "C2v", "orthorhombic", "2z my"),
    _row("mmm", "D2h", "orthorhombic", "2z 2y i"),
    _row("4", "C4", "tetragonal", "4z", parent="422"),
    _row("-4", "S4", "tetragonal", "-4z", parent="-42m"),
    _row("4/m", "C4h", "tetragonal", "4z i", parent="4/mmm"),
    _row("422", "D4", "tetragonal", "4z 2x"),
    _row("4mm", "C4v", "tetragonal", "4z mx"),
    _row("-42m", "D2d", "tetragonal", "-4z 2x"),
    _row("4/mmm", "D4h", "tetragonal", "4z 2x i"),
    _row("3", "C3", "trigonal", "3z", parent="321"),
    _row("-3", "C3i", "trigonal", "3z i", parent="-3m1"),
    _row("321", "D3", "trigonal", "3z 2x"),
    _row("3m1", "C3v", "trigonal", "3z mx"),
    _row("-3m1", "D3d", "trigonal", "3z 2x i"),
    _row("6", "C6", "hexagonal", "6z", parent="622"),
    _row("-6", "C3h", "hexagonal", "-6z", parent="-6m2"),
    _row("6/m", "C6h", "hexagonal", "6z i", parent="6/mmm"),
    _row("622", "D6", "hexagonal", "6z 2x"),
    _row("6mm", "C6v", "hexagonal", "6z mx"),
    _row("-6m2", "D3h", "hexagonal", "-6z 2y"),
    _row("6/mmm", "D6h", "hexagonal", "6z 2x i"),
    _row("23", "T", "cubic", "2z 3xyz", parent="432"),
    _row("m-3", "Th", "cubic", "2z 3xyz i", parent="m-3m"),
    _row("432", "O", "cubic", "4z 3xyz"),
    _row("-43m", "Td", "cubic", "-4z 3xyz"),
    _row("m-3m", "Oh", "cubic", "4z 3xyz i"),
)
_FURTHER = (
    _row("112", "C2", "monoclinic", "2z"),
    _row("11m", "Cs", "monoclinic", "mz"),
    _row("112/m", "C2h", "monoclinic", "2z i"),
    _row("-4m2", "D2d", "tetragonal", "-4z 2xy"),
    _row("312", "D3", "trigonal", "3z 2y"),
    _row("31m", "C3v", "trigonal", "3z my"),
    _row("-31m", "D3d", "trigonal", "3z 2y i"),
    _row("-62m", "D3h", "hexagonal", "-6z 2x"),
)

TABLE: dict[str, Setting] = {row.name: row for row in _DEFAULT + _FURTHER}
POINT_GROUPS: tuple[str, ...] = tuple(row.name for row in _DEFAULT)
"""Hermann–Mauguin names of the 32 point groups in the default setting."""
SETTINGS: tuple[str, ...] = tuple(TABLE)
"""All named settings: the 32 defaults, then the further ones."""

_ALIASES = {row.schoenflies: row.name for row in _DEFAULT} | {
    "S6": "-3",
    "32": "321",
    "3m": "3m1",
    "-3m": "-3m1",
    "121": "2",
    "1m1": "m",
    "12/m1": "2/m",
}


def canonical_name(name: str) -> str:
    """The setting's name for a Hermann–Mauguin name, a Schoenflies symbol or an alias ("Oh" → "m-3m"); or for a space
    group, by symbol or number ("Fm-3m", "225", "P 3 1 2" → "312"). A point group goes first: 1, 2, 3, 4, 6, 23,
    32, 112, 121 and 222 are no numbers of space groups.

    Raises IrrepnetError, with the close names, if there is none.
    """
    if name in TABLE:
        return name
    if name in _ALIASES:
        return _ALIASES[name]
    if found := _of_space_group(name):
        return found
    known = [*TABLE, *_ALIASES]
    raise IrrepnetError(f"unknown point group {name!r}; {suggest(name, known)}")


def _of_space_group(name: str) -> str | None:
    """The point group of a space group, in its axes if these have a setting; None for any other name."""
    import gemmi

    found = gemmi.find_spacegroup_by_name(name) if name.isascii() else None
    if found is None:
        return None
    axes = "".join(re.sub("[abcden]", "m", re.sub(r"(\d)\d", r"\1", part)) for part in found.hm.split()[1:])
    names = (axes, found.point_group_hm())
    return next(known for known in (*names, *map(_ALIASES.get, names)) if known in TABLE)


def suggest(name: str, known: list[str]) -> str:
    """Advice for a name that is not known: the close ones, or all."""
    close = difflib.get_close_matches(name, known, n=5, cutoff=0.5) or known
    return "did you mean " + ", ".join(close) + "?"
