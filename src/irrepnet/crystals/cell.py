"""A crystal as checked arrays: what every reader makes, and every later step may rely on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import moyopy
import numpy as np

from irrepnet.crystals.pairs import LONGEST, SEARCH, are_apart, close_pairs
from irrepnet.errors import IrrepnetError
from irrepnet.inlets import check_atoms

CLOSEST = 0.5
"""Å; atoms nearer than this are refused as overlapping (the shortest bond known, H-H, is 0.74 Å)."""

FARTHEST = 1e5
"""Fractional coordinates are refused beyond this: their digits within the cell are lost."""


class Cell(NamedTuple):
    """A crystal as arrays."""

    lattice: np.ndarray
    """(3, 3) row vectors, Å; right-handed once it is checked."""
    frac_coords: np.ndarray
    """(n, 3)"""
    numbers: np.ndarray
    """(n,) atomic numbers."""
    name: str
    """What error messages call it: the file, the record's id, or the formula."""
    notes: tuple[str, ...] = ()
    """What one should know of how it was read: where the file contradicts itself, or what was taken for granted."""


def checked(cell: Cell) -> Cell:
    """The cell, right-handed: of a left-handed one, all vectors and coordinates change sign.

    Raises:
        IrrepnetError: no atoms, or too many (:data:`irrepnet.inlets.LIMITS`), wrong shapes, numbers that are not
            finite, a lattice that is singular or longer than 500 Å, or atoms (or an atom and its own image) closer than
            0.5 Å.
    """
    lattice, frac_coords, numbers, name, notes = cell
    if len(numbers) == 0:
        raise IrrepnetError(f"{name}: holds no atoms")
    try:
        check_atoms(len(numbers))
    except IrrepnetError as error:
        raise IrrepnetError(f"{name}: {error}") from None
    if lattice.shape != (3, 3):
        raise IrrepnetError(f"{name}: the lattice has shape {lattice.shape}, not (3, 3)")
    if frac_coords.shape != (len(numbers), 3):
        raise IrrepnetError(f"{name}: {len(numbers)} species but frac_coords of shape {frac_coords.shape}, not (n, 3)")
    if not np.isfinite(lattice).all():
        raise IrrepnetError(f"{name}: the lattice has non-finite numbers")
    usable = (abs(frac_coords) < FARTHEST).all(axis=1)
    if not usable.all():
        site = int(np.argmin(usable))
        raise IrrepnetError(
            f"{name}: the fractional coordinates of site {site + 1} are not finite or beyond {FARTHEST:g}"
        )
    volume = np.linalg.det(lattice)
    if abs(volume) <= 1e-8 * np.prod(np.linalg.norm(lattice, axis=1)):
        raise IrrepnetError(f"{name}: the lattice is singular, its vectors span no volume")
    if volume < 0:
        lattice, frac_coords = -lattice, -frac_coords
    _refuse_overlaps(lattice, frac_coords, numbers, name)
    return Cell(lattice, frac_coords, numbers, name, notes)


def lattice_from_parameters(cell: Sequence[float]) -> np.ndarray:
    """(3, 3) row vectors in Å, c along z and a in the xz plane, from [a, b, c, α, β, γ] in Å and degrees.

    Raises:
        IrrepnetError: not six positive numbers, or no parallelepiped has these angles.
    """
    if len(cell) != 6 or not all(0 < parameter < math.inf for parameter in cell):
        raise IrrepnetError(f"cell is [a, b, c, α, β, γ], six positive numbers, got {list(cell)}")
    a, b, c = cell[:3]
    alpha, beta, gamma = map(math.radians, cell[3:])
    x = math.sin(beta)
    # b = (x_b, y_b, cos α) as a unit vector: its product with a is cos γ
    x_b = (math.cos(gamma) - math.cos(alpha) * math.cos(beta)) / x if x else math.inf
    y_b_squared = math.sin(alpha) ** 2 - x_b**2
    if not y_b_squared > 0:
        raise IrrepnetError(f"no cell has the angles {', '.join(f'{angle:g}°' for angle in cell[3:])}")
    rows = [[x, 0, math.cos(beta)], [x_b, math.sqrt(y_b_squared), math.cos(alpha)], [0, 0, 1]]
    return np.array(rows) * np.array([[a], [b], [c]])


def near_pairs(
    lattice: np.ndarray, frac_coords: np.ndarray, distance: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of atoms that are closer than `distance` (Å, at most 3): first (E,), second (E,), distance (E,), each once.

    Raises:
        IrrepnetError: the lattice cannot be reduced, or is longer than 500 Å.
    """
    # In the reduced basis a thin, skewed cell costs no more than a compact one.
    try:
        reduced = np.array(moyopy.minkowski_reduce(lattice.tolist())[0])
    except ValueError:
        extremes = np.linalg.norm(lattice, axis=1)
        raise IrrepnetError(
            f"the lattice cannot be reduced, its vectors are {extremes.min():.3g} to "
            f"{extremes.max():.3g} Å long; check its unit and numbers"
        ) from None
    lengths = np.linalg.norm(reduced, axis=1)
    shortest, longest = lengths.min(), lengths.max()
    if longest > LONGEST:
        raise IrrepnetError(f"the cell is {longest:.3g} Å long, {LONGEST:g} at most are supported; is its unit Å?")
    if shortest < CLOSEST:
        raise IrrepnetError(f"each atom overlaps its own image {shortest:.3g} Å away; check the lattice")
    points = frac_coords % 1.0 @ lattice
    first, second, shift = close_pairs(points, reduced, SEARCH, twice=False)
    distances = np.linalg.norm(points[second] - points[first] + shift @ reduced, axis=1)
    near = distances < distance
    return first[near], second[near], distances[near]


def _refuse_overlaps(lattice: np.ndarray, frac_coords: np.ndarray, numbers: np.ndarray, name: str) -> None:
    longest = np.linalg.norm(lattice, axis=1).max()
    if longest <= LONGEST and are_apart(frac_coords % 1.0 @ lattice, lattice, CLOSEST):
        return
    try:
        first, second, distances = near_pairs(lattice, frac_coords, CLOSEST)
    except IrrepnetError as error:
        raise IrrepnetError(f"{name}: {error}") from None
    if len(distances):
        from pymatgen.core.periodic_table import Element

        closest = int(np.argmin(distances))
        pair = [int(first[closest]), int(second[closest])]
        sites = " and ".join(f"{site + 1} ({Element.from_Z(int(numbers[site])).symbol})" for site in pair)
        raise IrrepnetError(f"{name}: sites {sites} overlap, they are {distances[closest]:.3g} Å apart")
