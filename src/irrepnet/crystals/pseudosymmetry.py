"""More symmetric crystals near a crystal, and how near they are."""

import numpy as np

from irrepnet.crystals.neighbours import envelope
from irrepnet.crystals.symmetric import SymmetricCrystal
from irrepnet.errors import IrrepnetError

REACH = 0.05
"""Å, how far from a crystal its parents are."""

# How far operations move atoms off their images, in units of the distance below; found by trial, mostly 2 to 5.
_TOLERANCE = 6.0
# Tolerances of the symmetry search, each so many times the one before, and how near they are where groups change.
_STEP, _RESOLUTION = 2.0, 1.1
# Å: parents of one group as far from the crystal as that are one.
_SAME = 1e-6


def parents(crystal: SymmetricCrystal, reach: float = REACH) -> list[tuple[float, SymmetricCrystal]]:
    """The crystals with more symmetry that are nearer than ``reach``, each with its weight, the most symmetric first.

    A parent is ``crystal`` projected onto a group that the symmetry search finds with a tolerance of up to 6 ``reach``.
    Its distance is

        δ = (farthest that an atom moves, Å) + (largest relative change of a length) · V^(1/3)

    with V the volume of its primitive cell, and its weight u(δ / reach), 1 at the crystal and 0 with zero slope and curvature at ``reach``; u is the envelope of
    :func:`irrepnet.crystals.find_neighbours`. Most symmetric means the most operations per atom of the primitive cell.
    A group that the search passes over, for a larger one fits as well, is not among them.
    """
    found: list[SymmetricCrystal] = []

    def search(low: float, high: float, at_low: SymmetricCrystal | None, at_high: SymmetricCrystal | None) -> None:
        if at_high and not any(_same(at_high, other) for other in found):
            found.append(at_high)
        if high > _RESOLUTION * low and not (at_low and at_high and _same(at_low, at_high)):
            middle = (low * high) ** 0.5
            at_middle = _at(crystal, middle)
            search(low, middle, at_low, at_middle)
            search(middle, high, at_middle, at_high)

    high, at_high = _TOLERANCE * reach, _at(crystal, _TOLERANCE * reach)
    while high > crystal.symprec:
        low = max(high / _STEP, crystal.symprec)
        at_low = _at(crystal, low)
        search(low, high, at_low, at_high)
        high, at_high = low, at_low
    symmetry = crystal.point_group.order / len(crystal)
    near = [
        (float(envelope(distance / reach)), parent)
        for parent in found
        if (distance := _distance(parent)) < reach and parent.point_group.order / len(parent) > symmetry
    ]
    return sorted(near, key=lambda pair: (-pair[1].point_group.order / len(pair[1]), -pair[0]))


def _at(crystal: SymmetricCrystal, symprec: float) -> SymmetricCrystal | None:
    try:
        return SymmetricCrystal.from_structure(crystal, symprec)
    except IrrepnetError:
        return None


def _distance(parent: SymmetricCrystal) -> float:
    """Å, from the crystal that was projected."""
    return parent.displacement + parent.strain * float(np.cbrt(abs(np.linalg.det(parent.lattice))))


def _same(a: SymmetricCrystal, b: SymmetricCrystal) -> bool:
    return (a.spacegroup_number, len(a)) == (b.spacegroup_number, len(b)) and abs(_distance(a) - _distance(b)) < _SAME
