"""The Wyckoff positions of space groups in their standard settings: letters, coordinates, and the letter of a point.

moyopy knows the letters of the atoms of a crystal. So here a crystal is made that has atoms at every position: the
points of a position are those that the same operations fix, intersections of axes, mirrors and centres.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import product

import moyopy
import numpy as np
from numpy.typing import ArrayLike

from irrepnet.crystals.symmetric import SymmetricCrystal, setting_operations, standard_hall_number
from irrepnet.errors import IrrepnetError
from irrepnet.groups import PointGroup

_GENERIC = np.array([0.1234, 0.2718, 0.3571])
_NEAR = np.array(list(product((-2, -1, 0, 1, 2), repeat=3)))
_ZERO = 1e-6
_LAST = (2, 15, 74, 142, 194, 230)  # space groups of the crystal families


@dataclass(frozen=True)
class WyckoffPosition:
    """A Wyckoff position, in the conventional cell of the standard setting."""

    letter: str
    multiplicity: int
    site_symmetry: str
    """Oriented Hermann–Mauguin symbol, "4/mm.m"."""
    coordinates: str
    """Of a representative: "x,x,1/4"."""

    @cached_property
    def affine(self) -> tuple[np.ndarray, np.ndarray]:
        """(3, 3) and (3,): a representative is the matrix times (x, y, z), plus the vector."""
        rows, constants = np.zeros((3, 3)), np.zeros(3)
        for row, text in enumerate(self.coordinates.replace(" ", "").split(",")):
            for sign, number, divisor, letter in re.findall(r"([+-]?)(\d*)(?:/(\d+))?([xyz]?)", text):
                if number or letter:
                    value = float(f"{sign}{number or 1}") / float(divisor or 1)
                    if letter:
                        rows[row, "xyz".index(letter)] += value
                    else:
                        constants[row] += value
        return rows, constants

    def point(self, parameters: ArrayLike = _GENERIC) -> np.ndarray:
        """(3,) a representative, with values for x, y and z."""
        matrix, constants = self.affine
        return matrix @ np.asarray(parameters, float) + constants


@cache
def wyckoff_positions(number: int) -> dict[str, WyckoffPosition]:
    """The positions of a space group by their letters, a first.

    Raises IrrepnetError if there is no such space group.
    """
    hall_number = standard_hall_number(number)
    _, rotations, translations = setting_operations(hall_number)
    to_cell = np.linalg.inv(moyopy.HallSymbolEntry(hall_number).centering.linear)
    # One general orbit has more symmetry than its group in places; four have not.
    points = _points_of_all_kinds(rotations, translations) + [_GENERIC[[1, 2, 0]] * k for k in (0.7, 1.1, 1.3)]
    positions, species = [], []
    for kind, point in enumerate(points):
        images = rotations @ point + translations
        orbit: list[np.ndarray] = []
        for image in images:
            if all(abs(image - other - np.rint(image - other)).max() > _ZERO for other in orbit):
                orbit.append(image)
        positions += orbit
        species += [kind + 1] * len(orbit)
    lattice = (_lattice(number).T @ to_cell).T
    cell = moyopy.Cell(lattice.tolist(), np.array(positions).tolist(), species)
    found = moyopy.MoyoDataset(cell, symprec=1e-4, setting=moyopy.Setting.standard())
    assert found.number == number, f"a crystal made for space group {number} has {found.number}"
    known = {each.letter: each for each in found.normalizer_wyckoff_positions().wyckoffs}
    order = sorted(known, key=lambda letter: (letter.isupper(), letter))
    return {
        letter: WyckoffPosition(letter, each.multiplicity, each.site_symmetry, each.coordinates)
        for letter, each in ((letter, known[letter]) for letter in order)
    }


def wyckoff_letter(number: int, position: ArrayLike) -> str:
    """The letter of a point (3,) in the conventional cell of the standard setting of a space group."""
    hall_number = standard_hall_number(number)
    _, rotations, translations = setting_operations(hall_number)
    to_primitive = np.array(moyopy.HallSymbolEntry(hall_number).centering.linear)
    images = rotations @ (to_primitive @ np.asarray(position, float)) + translations
    for each in wyckoff_positions(number).values():  # the first are the most special
        matrix, constants = to_primitive @ each.affine[0], to_primitive @ each.affine[1]
        normal = np.eye(3) - matrix @ np.linalg.pinv(matrix)
        apart = images % 1.0 - constants
        if np.abs((apart[:, None] + _NEAR) @ normal.T).max(-1).min() < 1e-4:
            return each.letter
    raise IrrepnetError(f"{np.asarray(position).tolist()} is at no Wyckoff position of space group {number}")


def _points_of_all_kinds(rotations: np.ndarray, translations: np.ndarray) -> list[np.ndarray]:
    """A point (3,) of each Wyckoff position in the primitive basis, the general one among them.

    A set of points is one of them and the projector (3, 3) on the directions in which it extends.
    """
    found = [(_GENERIC, np.eye(3))]
    waiting, tried = list(found), set()
    while waiting:
        point, along = waiting.pop()
        for rotation, translation in zip(rotations[1:], translations[1:]):
            # What {R | t + n} fixes of the set: point + along @ u with (1 − R) along @ u = t + n − (1 − R) point.
            matrix = (np.eye(3) - rotation) @ along
            wanted = translation + _NEAR - (np.eye(3) - rotation) @ point
            steps = wanted @ np.linalg.pinv(matrix).T
            fits = np.abs(steps @ matrix.T - wanted).max(1) < _ZERO
            for fixed in np.unique((point + steps[fits] @ along.T).round(9) % 1.0, axis=0):
                space = _fixed_space(rotations, translations, fixed)
                key = (*(fixed - space @ fixed).round(5).tolist(), *space.ravel().round(5).tolist())
                if key in tried or round(np.trace(space)) == round(np.trace(along)):
                    continue
                tried.add(key)
                if not any(_same_kind(rotations, translations, (fixed, space), other) for other in found):
                    found.append((fixed, space))
                    waiting.append((fixed, space))
    return [point for point, _ in found]


def _fixed_space(rotations: np.ndarray, translations: np.ndarray, point: np.ndarray) -> np.ndarray:
    """(3, 3) projector on the directions that the operations fixing a point leave as they are."""
    moved = rotations @ point + translations - point
    return rotations[np.abs(moved - np.rint(moved)).max(1) < _ZERO].mean(0)


def _same_kind(
    rotations: np.ndarray,
    translations: np.ndarray,
    one: tuple[np.ndarray, np.ndarray],
    other: tuple[np.ndarray, np.ndarray],
) -> bool:
    """Whether an operation takes the set of points of the second to that of the first."""
    point, space = one
    turned = rotations @ other[1] @ np.linalg.inv(rotations)
    fits = np.abs(turned - space).max((1, 2)) < _ZERO
    apart = (rotations @ other[0] + translations)[fits] - point
    apart = (apart - np.rint(apart))[:, None] + _NEAR
    return bool(len(apart)) and bool((np.abs(apart @ (np.eye(3) - space).T).max(-1) < _ZERO).any())


def _lattice(number: int) -> np.ndarray:
    """(3, 3) rows of a conventional cell that has no more symmetry than the space group needs."""
    from irrepnet.crystals.reading import lattice_from_parameters

    family = next(k for k, last in enumerate(_LAST) if number <= last)
    return lattice_from_parameters(
        [
            [7.0, 7.7, 8.6, 83.0, 94.0, 101.0],
            [7.0, 7.7, 8.6, 90.0, 97.0, 90.0],
            [7.0, 7.7, 8.6, 90.0, 90.0, 90.0],
            [7.0, 7.0, 8.6, 90.0, 90.0, 90.0],
            [7.0, 7.0, 8.6, 90.0, 90.0, 120.0],
            [7.0, 7.0, 7.0, 90.0, 90.0, 90.0],
        ][family]
    )


def with_standard_origin(crystal: SymmetricCrystal) -> SymmetricCrystal:
    """The crystal with that one of its equal origins and axes that does not depend on how it was given.

    A standard setting leaves the normaliser of the space group open: rock salt may have Na at a and Cl at b, or the
    other way round. Here orbits, in the order of the formula, get letters that come first in the alphabet; where that
    leaves a choice, real parts of structure factors are greatest, one after the other. Translations and proper
    rotations of the lattice are tried; lattice, orbits and the order of the atoms stay as they are.
    """
    to_cell = crystal.lattice @ np.linalg.inv(crystal.conventional_lattice)
    atoms = crystal.representatives
    rank = [_electronegativity(int(number)) for number in crystal.numbers[atoms]]
    choices = []
    for turn, shift in _normaliser(crystal.spacegroup_number):
        points = (crystal.frac_coords[atoms] @ turn.T + shift) @ to_cell
        letters = [wyckoff_letter(crystal.spacegroup_number, point) for point in points]
        choices.append((sorted(zip(rank, map(_alphabet, letters))), letters, turn, shift))
    least = min(key for key, *_ in choices)
    left = [choice for key, *choice in choices if key == least]
    for h in sorted(product((0, 1, -1, 2), repeat=3), key=lambda h: (sum(x * x for x in h), h)):
        coords = [crystal.frac_coords @ turn.T + shift for _, turn, shift in left]
        factors = (np.cos(2 * np.pi * np.array(coords) @ h) * crystal.numbers).sum(1)
        left = [each for each, factor in zip(left, factors) if factor > factors.max() - 1e-3 * crystal.numbers.sum()]
    letters, turn, shift = left[0]
    columns = crystal.lattice.T
    cartesian = columns @ turn @ np.linalg.inv(columns)
    before = crystal.point_group.indices(cartesian.T @ crystal.point_group.operations @ cartesian)  # Q⁻¹ g Q
    known = wyckoff_positions(crystal.spacegroup_number)
    return replace(
        crystal,
        frac_coords=(crystal.frac_coords @ turn.T + shift) % 1.0 % 1.0,
        permutation=crystal.permutation[before],
        wyckoff=tuple(letters[orbit] for orbit in crystal.orbits),
        site_groups=tuple(np.flatnonzero(np.isin(before, group)) for group in crystal.site_groups),
        site_symmetry=tuple(known[letter].site_symmetry for letter in letters),
        rotation=crystal.rotation @ cartesian.T,
    )


@cache
def _normaliser(number: int) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """x → turn @ x + shift, in the primitive basis, that take the space group to itself: one of each coset of it.

    Turns are proper rotations of every lattice of the group's crystal family. Shifts along directions that the group
    leaves open are left out.
    """
    hall_number = standard_hall_number(number)
    _, rotations, translations = setting_operations(hall_number)
    columns = _lattice(number).T @ np.linalg.inv(moyopy.HallSymbolEntry(hall_number).centering.linear)
    holohedry = next(name for name, last in zip(("1", "2", "222", "422", "622", "432"), _LAST) if number <= last)
    turns = np.linalg.inv(columns) @ PointGroup(holohedry).operations @ columns
    grid = np.stack(np.meshgrid(*[np.arange(12) / 12] * 3, indexing="ij"), -1).reshape(-1, 3)
    open_ = rotations.mean(0)
    near = np.array(list(product((0, -1), repeat=3)))
    grid = grid[(np.abs((grid[:, None] + near) @ open_.T).max(-1) < _ZERO).any(1)]
    found: list[tuple[np.ndarray, np.ndarray]] = []
    keys = {tuple(rotation.ravel()): k for k, rotation in enumerate(rotations)}
    for turn in turns:
        whole = np.rint(turn).astype(int)
        moved = [
            tuple((whole @ rotation @ np.rint(np.linalg.inv(whole)).astype(int)).ravel()) for rotation in rotations
        ]
        if np.abs(turn - whole).max() > _ZERO or not all(each in keys for each in moved):
            continue
        image = np.array([keys[each] for each in moved])
        # {W|s} {R|t} {W|s}⁻¹ = {R'|W t + s − R' s}
        rest = translations @ whole.T - translations[image]
        apart = rest + grid[:, None] - np.einsum("gij,sj->sgi", rotations[image], grid)
        for shift in grid[(np.abs(apart - np.rint(apart)) < _ZERO).all((1, 2))]:
            if not any(_differ_by_the_group(rotations, translations, (whole, shift), other) for other in found):
                found.append((whole, shift))
    return tuple(found)


def _differ_by_the_group(
    rotations: np.ndarray,
    translations: np.ndarray,
    one: tuple[np.ndarray, np.ndarray],
    other: tuple[np.ndarray, np.ndarray],
) -> bool:
    """Whether one = s · other for an operation s of the group."""
    fits = (rotations @ other[0] == one[0]).all((1, 2))
    apart = rotations[fits] @ other[1] + translations[fits] - one[1]
    return bool((np.abs(apart - np.rint(apart)) < _ZERO).all(1).any())


def _alphabet(letter: str) -> tuple[bool, str]:
    return letter.isupper(), letter


def _electronegativity(number: int) -> tuple[float, int]:
    import warnings

    from pymatgen.core.periodic_table import Element

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that helium has none
        x = float(Element.from_Z(number).X)
    return (np.inf if np.isnan(x) else x), number
