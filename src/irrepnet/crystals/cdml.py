"""Small irreps at the special points of the Brillouin zone by the names of Cracknell, Davies, Miller and Love.

Kronecker Product Tables, vol. 1 (1979), and with it the Bilbao Crystallographic Server and ISO-IR, call them by the
letters of the point, a number, and a sign where the inversion acts by it: GM4-, X1, L2+. There translations n have the
matrices exp(+2πi k·n), so that a table's characters are the complex conjugates of ours.

The numbers follow a rule, found by comparison with published tables and checked against all of them: irreps come by
dimension, and then by the phases, from 0 to 2π, of their characters at certain operations, the first one first. Points
that do not follow it are listed. Settings are those of International Tables: unique axis b, hexagonal axes, origin
choice 2.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import NamedTuple

import moyopy
import numpy as np

from irrepnet.crystals.little_groups import SAME, LittleGroup
from irrepnet.crystals.symmetric import setting_operations, standard_hall_number
from irrepnet.groups import PointGroup

# Of each lattice, by crystal family and centring: the points in reciprocal coordinates of the conventional cell.
_POINTS = {
    "aP": "X 1/2 0 0, Y 0 1/2 0, Z 0 0 1/2, V 1/2 1/2 0, U 1/2 0 1/2, T 0 1/2 1/2, R 1/2 1/2 1/2",
    "mP": "Y 1/2 0 0, Z 0 1/2 0, B 0 0 1/2, C 1/2 1/2 0, A 1/2 0 1/2, D 0 1/2 1/2, E 1/2 1/2 1/2",
    "mC": "Y 0 1 0, A 0 0 1/2, M 0 1 1/2, V 1/2 1/2 0, L 1/2 1/2 1/2",
    "oP": "X 1/2 0 0, Y 0 1/2 0, Z 0 0 1/2, S 1/2 1/2 0, U 1/2 0 1/2, T 0 1/2 1/2, R 1/2 1/2 1/2",
    "oC": "Y 1 0 0, Z 0 0 1/2, T 1 0 1/2, S 1/2 1/2 0, R 1/2 1/2 1/2",
    "oA": "Y 0 0 1, Z 1/2 0 0, T 1/2 0 1, S 0 1/2 1/2, R 1/2 1/2 1/2",
    "oF": "T 1 0 0, Y 0 1 0, Z 0 0 1, L 1/2 1/2 1/2",
    "oI": "X 1 1 1, S 0 1/2 1/2, R 1/2 0 1/2, T 1/2 1/2 0, W 1/2 1/2 1/2",
    "tP": "X 0 1/2 0, M 1/2 1/2 0, Z 0 0 1/2, R 0 1/2 1/2, A 1/2 1/2 1/2",
    "tI": "M 1 1 1, X 1/2 1/2 0, N 1/2 0 1/2, P 1/2 1/2 1/2",
    "hP": "M 1/2 0 0, A 0 0 1/2, L 1/2 0 1/2, K 1/3 1/3 0, H 1/3 1/3 1/2",
    "hR": "T 0 0 3/2, F 0 1/2 1, L -1/2 1/2 1/2",
    "cP": "X 0 1/2 0, M 1/2 1/2 0, R 1/2 1/2 1/2",
    "cF": "X 0 1 0, L 1/2 1/2 1/2, W 1/2 1 0",
    "cI": "H 1 1 1, N 1/2 1/2 0, P 1/2 1/2 1/2",
}

# The operations, in the conventional cell, whose characters give the order, by crystal family; for "oA" by lattice. Of
# three rows the first is for groups of k with the inversion, the second for rotations alone, the third for the others.
_ORDER = {
    "a": [""],
    "m": ["-x,y,-z x,-y,z"],
    "oA": ["-x,-y,z x,-y,z -x,y,z"],
    "o": ["-x,-y,z x,-y,-z -x,y,z -x,y,-z x,-y,z x,y,-z"],
    "t": [
        "-x,-y,z x,-y,-z y,-x,-z -x,y,-z -x,y,z x,-y,z -y,-x,-z -y,-x,z y,-x,z",
        "-x,-y,z x,-y,-z -y,x,z y,x,-z -x,y,-z",
        "-x,-y,z -x,y,z x,-y,-z -y,-x,z x,-y,z y,-x,-z",
    ],
    "h": [
        "y,-x+y,-z -y,x-y,z -x,-y,z -y,-x,z -x+y,y,z x,x-y,z -x,-x+y,z",
        "-y,x-y,z -x,-y,z x-y,x,z x-y,-y,-z -x+y,y,-z -x,-x+y,-z x,x-y,-z y,x,-z",
        "-y,x-y,z -x,-y,z -x,-x+y,-z -x,-x+y,z x,y,-z -y,-x,z x,x-y,z -y,x-y,-z -x+y,y,z",
    ],
    "c": [
        "x,y,-z -z,y,x -x,-y,z -z,y,-x z,-x,-y x,-y,-z -y,x,-z y,x,-z y,x,z -z,-y,-x -z,-x,-y -x,y,-z",
        "-x,-y,z x,-y,-z -y,x,z -x,z,y y,x,-z z,y,-x z,x,y -x,-z,-y",
        "-x,-y,z x,-y,-z z,y,x x,-y,z y,x,z -x,z,-y",
    ],
}

# {space group: its points that do not follow this}: the numbers of the irreps in that order; "-" where + and - change
# places.
_EXCEPTIONS: dict[int, str] = {
    39: "R21 S21 T2143 Y2143",
    40: "R21",
    41: "S21 Y2143",
    48: "R-",
    52: "S21 Y21",
    55: "T21 Y21",
    57: "R21 S21 T21 Y21",
    58: "Y21",
    60: "T21",
    61: "T21 Y21",
    62: "Y21",
    68: "T21 Y4321-",
    76: "A1243 Z1243",
    78: "A2134 Z2134",
    80: "M2134",
    85: "A21 M21",
    88: "P3421",
    92: "A21",
    109: "M21435",
    122: "M21435 P21",
    124: "A2143 Z2143",
    126: "Z2134",
    127: "R21 X21",
    128: "X21 Z2143",
    129: "A3421 M3421",
    130: "A4321 M3421 Z2143",
    133: "A4312 M4312",
    134: "A43215- M4312 R21 Z1243",
    135: "R21 X21",
    136: "X21",
    137: "A3412 M3421",
    138: "A21435- M3421 Z1243",
    141: "P21 X21",
    142: "M1243 P21 X21",
    151: "L21",
    153: "A213",
    161: "L21 T213",
    165: "A213",
    167: "T213",
    179: "A132",
    190: "A312 H312",
    192: "A231456 H321",
    194: "H312",
    205: "X21",
    206: "H3124",
    214: "N2143",
    219: "L213 W2134 X21435",
    222: "X2143",
    224: "M1243 X1243",
    226: "W21435 X21435",
    228: "W21 X2143",
    230: "H3214",
}


class CdmlPoint(NamedTuple):
    """A special point and the names of its small irreps."""

    letters: str
    """"GM", "X", …; with an A behind them where k is in the star of minus the point of the tables, as KA."""
    labels: tuple[str, ...]
    """Of each small irrep, in the order of the little group's: "GM4-", "X1"."""


def cdml_point(number: int, little: LittleGroup) -> CdmlPoint | None:
    """What the wave vector of a little group and its small irreps are called; None off the special points.

    Args:
        number: of the space group.
        little: made with the operations of its standard setting, as those of `SymmetricCrystal` are.
    """
    for star, sign in (("", 1), ("A", -1)):
        for letters, point in _setting(number).points:
            arms = _setting(number).onto @ point
            apart = arms - sign * little.k
            found = np.flatnonzero(abs(apart - np.rint(apart)).max(axis=1) < SAME)
            if len(found):
                characters = little.characters if sign == 1 else little.characters.conj()
                named = _numbered(number, letters, point, int(found[0]), little.indices, sign * little.k, characters)
                return CdmlPoint(letters + star, tuple(letters + star + name for name in named))
    return None


def special_points(number: int) -> tuple[tuple[str, np.ndarray], ...]:
    """The special points of a space group: letters, and k (3,) in the primitive basis, one of each star."""
    return _setting(number).points


class _Setting(NamedTuple):
    """A space group in its standard setting, N operations."""

    group: PointGroup
    rotations: np.ndarray
    translations: np.ndarray
    """(N, 3) in the primitive basis, of `setting_operations`."""
    tabulated: np.ndarray
    """(N, 3) the same of the tables: the least in the conventional cell."""
    onto: np.ndarray
    """(N, 3, 3) k → onto[g] @ k."""
    symbols: tuple[str, ...]
    """(N,) "-x,-y,z", in the conventional cell."""
    points: tuple[tuple[str, np.ndarray], ...]
    """(letters, k) in the primitive basis."""
    lattice: str
    """Crystal family and centring."""


@cache
def _setting(number: int) -> _Setting:
    hall_number = standard_hall_number(number)
    group, rotations, translations = setting_operations(hall_number)
    centering = moyopy.HallSymbolEntry(hall_number).centering
    to_primitive = np.array(centering.linear)
    to_cell = np.linalg.inv(to_primitive)
    family = next(name for name, last in zip("amothc", (2, 15, 74, 142, 194, 230)) if number <= last)
    lattice = family + str(centering).strip('"')
    steps = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3, indexing="ij"), -1).reshape(-1, 3) @ to_cell.T
    # Zeros are first made of rounding, then the least sum counts, of equal ones the least z, y, x.
    copies = (((translations @ to_cell.T)[:, None] + steps).round(6) % 1.0).round(4) + 0.0
    least = [min(map(tuple, each.tolist()), key=lambda t: (round(sum(t), 3), t[::-1])) for each in copies]
    shift = np.array(least) @ to_primitive.T - translations
    points = [("GM", np.zeros(3))]
    for words in map(str.split, _POINTS[lattice].split(", ")):
        points.append((words[0], np.array([float(Fraction(word)) for word in words[1:]]) @ to_cell))
    return _Setting(
        group=group,
        rotations=rotations,
        translations=translations,
        tabulated=translations + np.rint(shift),
        onto=rotations[group.inverse].transpose(0, 2, 1),
        symbols=tuple(_symbol(np.rint(to_cell @ rotation @ to_primitive).astype(int)) for rotation in rotations),
        points=tuple(points),
        lattice=lattice,
    )


def _symbol(rotation: np.ndarray) -> str:
    """Such as "-y,x-y,z"."""
    signed = {1: "+", -1: "-"}
    rows = ["".join(signed[c] + x for c, x in zip(row, "xyz") if c) for row in rotation.tolist()]
    return ",".join(row.removeprefix("+") for row in rows)


def _numbered(
    number: int, letters: str, point: np.ndarray, arm: int, indices: np.ndarray, k: np.ndarray, characters: np.ndarray
) -> list[str]:
    """Number and sign of irreps with these characters (irreps, n) at k, to which operation `arm` takes the point."""
    setting = _setting(number)
    table = setting.group.multiplication
    # {R|t} of the point's own little group is s⁻¹ g s for g of the arm's, s = `arm`, up to lattice translations.
    own = table[table[setting.group.inverse[arm], indices], arm]
    R, t = setting.rotations[indices], setting.translations[indices]
    moved = setting.translations[arm] + setting.tabulated[own] @ setting.rotations[arm].T
    lattice = np.rint(moved - (R @ setting.translations[arm] + t))
    tabulated = (characters * np.exp(-2j * np.pi * (lattice @ k))).conj()

    symbols = {setting.symbols[g]: column for column, g in enumerate(own.tolist())}
    determinants = np.linalg.det(setting.group.operations[own]).round()
    dims = tabulated[:, symbols["x,y,z"]].real.round()
    inversion = symbols.get("-x,-y,-z")
    signs = np.zeros(len(tabulated)) if inversion is None else (tabulated[:, inversion].real / dims).round()
    rows = _ORDER["oA" if setting.lattice == "oA" else setting.lattice[0]]
    row = rows[0 if len(rows) == 1 or inversion is not None else 1 if (determinants > 0).all() else 2]
    chosen = [symbols[symbol] for symbol in row.split() if symbol in symbols]
    even = np.where((signs < 0)[:, None], tabulated * determinants, tabulated)  # − as its partner +

    order = sorted(range(len(dims)), key=lambda i: (signs[i], dims[i], [_phase(x) for x in even[i, chosen]]))
    numbers, flips = _exceptions(number).get(letters, ("", False))
    count = len(order) // len(set(signs))
    found = [""] * len(order)
    for place, irrep in enumerate(order):
        digit = numbers[place % count] if numbers else str(place % count + 1)
        found[irrep] = digit + {0: "", 1: "+", -1: "-"}[int(signs[irrep]) * (-1 if flips else 1)]
    return found


def _phase(character: complex) -> float:
    """In turns, from 0 to 1; 2 for zero, which so comes last."""
    return 2.0 if abs(character) < 0.1 else round(float(np.angle(character)) / (2 * np.pi), 3) % 1.0


@cache
def _exceptions(number: int) -> dict[str, tuple[str, bool]]:
    found = {}
    for entry in _EXCEPTIONS.get(number, "").split():
        letters = entry.rstrip("0123456789-")
        found[letters] = entry.removeprefix(letters).rstrip("-"), entry.endswith("-")
    return found
