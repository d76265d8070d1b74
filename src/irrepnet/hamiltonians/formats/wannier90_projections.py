"""The projections of Wannier90: what each line of the block means, and the orbitals that they make.

Syntax, tables and order are those of the user guide of Wannier90 3.1, chapter "Projections": of a line, site after
site; on each, l rising from −5 (sp3d2) to 3 (f) and mr rising, whatever their order in the line; with spinors, up
before down for each function.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from irrepnet.crystals import Cell
from irrepnet.hamiltonians.formats.shared import number, numbers, whole, words_of
from irrepnet.hamiltonians.orbitals import (
    CONVENTIONS,
    LETTERS,
    NAMES,
    Mixing,
    OrbitalBasis,
    Shell,
    racah_matrices,
)

_ORDERS = CONVENTIONS["wannier90"][1]


class ProjectedFunction(NamedTuple):
    """One function of the projections block."""

    site: np.ndarray
    """(3,) fractional"""
    l: int
    """0 to 3; −1 to −5 for the hybrids sp, sp2, sp3, sp3d, sp3d2."""
    mr: int
    """From 1, in Wannier90's order."""
    axes: np.ndarray
    """(3, 3) the unit vectors x, y, z of the function, its rows."""
    radial: int
    """r, from 1."""
    line: int
    """Of the block; its functions are meant together."""
    spin: int = 0
    """1 up, −1 down along `spin_axis`; 0 without spinors."""
    spin_axis: tuple[float, float, float] = (0.0, 0.0, 1.0)

    @property
    def name(self) -> str:
        return (
            _HYBRID_NAMES[self.l] + f"-{self.mr}"
            if self.l < 0
            else NAMES[self.l][self.l + _ORDERS[self.l][self.mr - 1]]
        )

    def coefficients(self) -> np.ndarray:
        """(16,) in the real harmonics m = −l … l of l = 0, 1, 2, 3, in the Cartesian axes."""
        parts = _HYBRIDS[self.l][self.mr - 1] if self.l < 0 else {self.name: 1.0}
        found = np.zeros(16)
        for name, weight in parts.items():
            l = LETTERS.index(name[0])
            own = weight * racah_matrices(self.axes[None], l)[0, NAMES[l].index(name)]
            found[l * l : (l + 1) ** 2] += own
        return found


_HYBRID_NAMES = {-1: "sp", -2: "sp2", -3: "sp3", -4: "sp3d", -5: "sp3d2"}
_A, _B, _C, _D = 1 / np.sqrt(2), 1 / np.sqrt(3), 1 / np.sqrt(6), 1 / np.sqrt(12)
_SP2 = (
    {"s": _B, "px": -_C, "py": _A},
    {"s": _B, "px": -_C, "py": -_A},
    {"s": _B, "px": 2 * _C},
)
_HYBRIDS: dict[int, tuple[dict[str, float], ...]] = {
    -1: ({"s": _A, "px": _A}, {"s": _A, "px": -_A}),
    -2: _SP2,
    -3: tuple(
        {"s": 0.5, "px": 0.5 * x, "py": 0.5 * y, "pz": 0.5 * x * y} for x, y in ((1, 1), (1, -1), (-1, 1), (-1, -1))
    ),
    -4: (*_SP2, {"pz": _A, "dz2": _A}, {"pz": -_A, "dz2": _A}),
    -5: (
        {"s": _C, "px": -_A, "dz2": -_D, "dx2-y2": 0.5},
        {"s": _C, "px": _A, "dz2": -_D, "dx2-y2": 0.5},
        {"s": _C, "py": -_A, "dz2": -_D, "dx2-y2": -0.5},
        {"s": _C, "py": _A, "dz2": -_D, "dx2-y2": -0.5},
        {"s": _C, "pz": -_A, "dz2": _B},
        {"s": _C, "pz": _A, "dz2": _B},
    ),
}
"""The functions of each set of hybrids, tables of the user guide of Wannier90, "Orbital definitions"."""
_SIZES = {l: len(own) for l, own in _HYBRIDS.items()} | {l: 2 * l + 1 for l in range(len(LETTERS))}
_FUNCTIONS: dict[str, tuple[int, tuple[int, ...]]] = {
    **{letter: (l, tuple(range(1, 2 * l + 2))) for l, letter in enumerate(LETTERS)},
    **{NAMES[l][l + m]: (l, (mr,)) for l, order in enumerate(_ORDERS) for mr, m in enumerate(order, 1)},
    **{name: (l, tuple(range(1, _SIZES[l] + 1))) for l, name in _HYBRID_NAMES.items()},
    **{f"{name}-{mr}": (l, (mr,)) for l, name in _HYBRID_NAMES.items() for mr in range(1, _SIZES[l] + 1)},
}
"""{name of a function or a set: (l, mr …)}."""


def projections_of(
    row: str, line: int, unit: float, cell: Cell, labels: Sequence[str], has_spin: bool
) -> list[ProjectedFunction]:
    """Those of one line, site after site, l rising from −5, mr rising, up before down."""
    text = re.sub(r"\s", "", row).lower()
    place, colon, rest = text.partition(":")
    if not colon:
        raise ValueError("it has no functions after its site")
    spin, spin_axis = (1, -1) if has_spin else (0,), (0.0, 0.0, 1.0)
    # functions such as fz(x2-y2) have parentheses too
    suffix = re.search(r"(\(([ud],?)+\))?(\[([^\]]*)\])?$", rest)
    assert suffix is not None
    if suffix[0]:
        if not has_spin:
            raise ValueError(f"{suffix[0]} is for spinors, and spinors is not true")
        if suffix[1]:
            spin = tuple(sign for letter, sign in (("u", 1), ("d", -1)) if letter in suffix[1])
        if suffix[3]:
            x, y, z = _vector(suffix[4])
            spin_axis = (float(x), float(y), float(z))
        rest = rest[: suffix.start()]
    functions, *options = rest.split(":")
    wanted = _angular(functions)
    axes, radial = {"z": np.array([0.0, 0.0, 1.0]), "x": np.array([1.0, 0.0, 0.0])}, 1
    for option in options:
        key, equals, value = option.partition("=")
        if key in axes and equals:
            axes[key] = _vector(value)
        elif key == "r" and equals:
            radial = int(number(value))
        elif key == "zona" and equals:
            number(value)
        elif option:
            raise ValueError(f"{option!r} is none of z=, x=, r=, zona=")
    if place.startswith(("f=", "c=")):
        point = _vector(place[2:])
        sites = [point if place[0] == "f" else unit * point @ np.linalg.inv(cell.lattice)]
    else:
        sites = [site for site, label in zip(cell.frac_coords, labels) if label == place]
        if not sites:
            raise ValueError(f"no such atom; the labels of the atoms are {', '.join(dict.fromkeys(labels))}")
    return [
        ProjectedFunction(site, l, mr, _axes(axes["z"], axes["x"], l >= 0 and mr == 1), radial, line, sign, spin_axis)
        for site in sites
        for l, mr in sorted(wanted)
        for sign in spin
    ]


def _vector(text: str) -> np.ndarray:
    """(3,) numbers."""
    found = numbers(words_of(text))
    if found.shape != (3,) or not np.isfinite(found).all():
        raise ValueError(f"{text!r} is not three numbers")
    return found


def _axes(z: np.ndarray, x: np.ndarray, is_round: bool) -> np.ndarray:
    """(3, 3) unit vectors x, y, z, the rows; x at right angles to z if it almost is, any if the function `is_round`."""
    if not z.any() or not x.any():
        raise ValueError("an axis is zero")
    z, x = z / np.linalg.norm(z), x / np.linalg.norm(x)
    if abs(z @ x) > 1e-2:  # as far as Wannier90 goes
        if not is_round:
            raise ValueError("its z and x axes are not at right angles")
        x = np.eye(3)[abs(z).argmin()]
    x = x - (z @ x) * z
    x /= np.linalg.norm(x)
    return np.array([x, np.cross(z, x), z])


def _angular(functions: str) -> set[tuple[int, int]]:
    """{(l, mr), …} of "s;p", "dxy,dxz", "sp3-1" or "l=2,mr=2,3"."""
    wanted: set[tuple[int, int]] = set()
    for part in functions.split(";"):
        numbered = re.fullmatch(r"l=([+-]?\d+)(?:,mr=(.+))?", part)
        if numbered:
            l = int(numbered[1])
            if l not in _SIZES:
                raise ValueError(f"l goes from −5 (sp3d2) to 3 (f), not to {l}")
            chosen = range(1, _SIZES[l] + 1)
            if numbered[2]:
                chosen = whole(numbers(words_of(numbered[2])), "mr").tolist()
            if not set(chosen) <= {*range(1, _SIZES[l] + 1)}:
                raise ValueError(f"mr goes from 1 to {_SIZES[l]}")
            wanted |= {(l, mr) for mr in chosen}
            continue
        for name in part.split(","):
            if name not in _FUNCTIONS:
                raise ValueError(f"{name!r} is none of s, p, d, f, hybrids such as sp3, and parts of them")
            l, own = _FUNCTIONS[name]
            wanted |= {(l, mr) for mr in own}
    return wanted


def numbers_of_ranges(text: str) -> list[int]:
    """The numbers of "1 2,3;5-8" or "1:4". Raises ValueError for anything else, one below 1, or one twice."""
    found: list[int] = []
    for part in re.split(r"[\s,;]+", re.sub(r"\s*([-:])\s*", r"\1", text.strip())):
        ends = re.fullmatch(r"(\d+)(?:[-:](\d+))?", part)
        if ends is None:
            raise ValueError(f"{text!r} are no numbers such as 1 2 5-8")
        low, high = sorted((int(ends[1]), int(ends[2] or ends[1])))
        found += range(low, high + 1)
    if min(found) < 1 or len(set(found)) < len(found):
        raise ValueError(f"of the numbers {text!r} one is below 1, or there twice")
    return found


def spins_side_by_side(projections: Sequence[ProjectedFunction]) -> np.ndarray:
    """(n,) the order in which each function with spin up is followed by the same function with spin down, along z.

    Raises ValueError for one spin alone, or a spin along another axis.
    """
    functions = np.array([each.coefficients() for each in projections])
    up = []
    for each in projections:
        x, y, z = each.spin_axis
        if x or y or not z:
            raise ValueError(f"a spin of its projections is along {x:g},{y:g},{z:g}: spins are known along z alone")
        up.append(each.spin * z > 0)
    order, left = [], list(range(len(projections)))
    while left:
        first = left.pop(0)
        own = projections[first]
        partner = next(
            (
                n
                for n in left
                if up[n] != up[first]
                and projections[n].radial == own.radial
                and np.allclose(projections[n].site, own.site, atol=1e-5)
                and abs(functions[n] - functions[first]).max() < 1e-6
            ),
            None,
        )
        if partner is None:
            raise ValueError(f"of {own.name} it has one spin alone, which is no representation of the symmetry")
        left.remove(partner)
        order += [first, partner] if up[first] else [partner, first]
    return np.array(order)


def projected_basis(projections: Sequence[ProjectedFunction], cell: Cell) -> OrbitalBasis:
    """The orbitals that projections make, whatever their spins.

    Functions of one site and radial number that are not at right angles to each other are made so by Löwdin, as
    Wannier90 does it with all; a line whose functions depend on those before it is another radial function.
    """
    centres: list[np.ndarray] = []
    sets: list[tuple[int, int, list[int]]] = []  # of a site and a radial number, independent functions
    functions = np.array([each.coefficients() for each in projections])
    sites = []
    for each in projections:
        same = [at for at, centre in enumerate(centres) if np.allclose(centre, each.site, atol=1e-5)]
        if not same:
            centres.append(each.site)
        sites.append(same[0] if same else len(centres) - 1)
    together: dict[tuple[int, int, int], list[int]] = {}
    for at, (site, each) in enumerate(zip(sites, projections)):
        together.setdefault((site, each.radial, each.line), []).append(at)
    for (site, radial, _), own in together.items():
        for other, radial2, members in sets:
            if (site, radial) == (other, radial2) and _rank(functions[members + own]) == len(members) + len(own):
                members += own
                break
        else:
            if _rank(functions[own]) < len(own):
                raise ValueError("functions of one line depend on each other")
            sets.append((site, radial, own))
    for _, _, members in sets:
        values, vectors = np.linalg.eigh(functions[members] @ functions[members].T)
        if abs(values - 1).max() > 1e-12:
            functions[members] = vectors / np.sqrt(values) @ vectors.T @ functions[members]
    set_of = {each: at for at, (_, _, members) in enumerate(sets) for each in members}
    plain = _plain_shells(projections, functions, [(site, set_of[each]) for each, site in enumerate(sites)])
    if plain is not None:
        return OrbitalBasis(cell, np.array(centres), plain)
    shells, columns, seen = [], [], {}
    names = [each.name for each in projections]
    for site, _, members in sorted(sets, key=lambda each: each[0]):
        prime = "'" * seen.get(site, 0)
        seen[site] = seen.get(site, 0) + 1
        for at in members:
            names[at] += prime
        for l in range(len(LETTERS)):
            part = np.zeros((len(projections), 2 * l + 1))
            part[members] = functions[members, l * l : (l + 1) ** 2]
            if part.any():
                shell = Shell.of(site, l, "wannier90")
                shells.append(shell)
                columns.append(part @ shell.matrix.T)
    return OrbitalBasis(cell, np.array(centres), tuple(shells), mixing=Mixing(np.concatenate(columns, 1), tuple(names)))


def _rank(functions: np.ndarray) -> int:
    return int(np.linalg.matrix_rank(functions, tol=1e-3))


def _plain_shells(
    projections: Sequence[ProjectedFunction], functions: np.ndarray, keys: Sequence[tuple[int, int]]
) -> tuple[Shell, ...] | None:
    """The shells, if each function is a component of one and those of a shell follow each other, else None.

    keys: of each function, its site and what it is independent with.
    """
    if not (abs(functions.max(1) - 1) < 1e-12).all():
        return None
    component = functions.argmax(1)
    own_l = np.sqrt(component).astype(int)  # the components of l begin at l²
    shells, seen = [], set()
    for (key, l), run in groupby(range(len(projections)), key=lambda n: (keys[n], int(own_l[n]))):
        if (key, l) in seen:
            return None
        seen.add((key, l))
        shells.append(Shell(key[0], l, tuple(int(component[n]) - l * l - l for n in run)))
    return tuple(shells)
