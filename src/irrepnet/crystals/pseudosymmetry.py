"""More symmetric crystals near a crystal, and how near they are."""

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import moyopy
import numpy as np

from irrepnet.crystals.neighbours import fading_weight
from irrepnet.crystals.symmetric import SymmetricCrystal, exact_sites
from irrepnet.errors import IrrepnetError
from irrepnet.groups import PointGroup

REACH = 0.05
"""Å, how far from a crystal its parents are."""

# How far operations move atoms off their images, in units of the distance below; found by trial, mostly 2 to 5.
_TOLERANCE = 6.0
# Tolerances of the symmetry search, each so many times the one before.
_STEP = 2.0
# Å: crystals as near as that are one.
_SAME = 1e-6
# Parents with less weight are left out.
_SMALLEST = 1e-9


def parents(
    crystal: SymmetricCrystal, least_order: int = 8, reach: float = REACH
) -> list[tuple[float, SymmetricCrystal]]:
    """The symmetric crystals nearer than ``reach``, each with the part it has in ``crystal``, the most symmetric first.

    A parent is ``crystal`` projected onto a group that the symmetry search finds with a tolerance of up to 6 ``reach``,
    or onto a subgroup with the same translations. Its distance is

        δ = (farthest that an atom moves, Å) + (largest relative change of a length) · V^(1/3)

    with V the volume of the primitive cell of the group that was found. It is as close as f = u(δ / reach), 1 at the
    crystal and 0 with zero slope and curvature at ``reach``; u is the envelope of
    :func:`irrepnet.crystals.find_neighbours`. Groups of the largest order take of the whole as much as 1 − Π (1 − f),
    in proportions f / (1 − f), those of the next order likewise of what is left, and so on.

    Args:
        crystal: which may be among its parents, with δ = 0.
        least_order: of the point groups of parents.
        reach: Å.
    """
    own = crystal.point_group.order / len(crystal)
    tops: list[SymmetricCrystal] = []
    symprec = _TOLERANCE * reach
    while symprec > crystal.symprec:
        top = _at(crystal, symprec)
        symprec /= _STEP
        if top and top.point_group.order / len(top) > own and not any(_same(top, other) for other in tops):
            tops.append(top)
    if not tops:
        return [(1.0, crystal)] if crystal.point_group.order >= least_order else []
    itself = _Projection(0.0, crystal.point_group.order, _record(crystal, crystal.frac_coords, crystal.lattice))
    candidates = [itself, *(entry for top in tops for entry in _projections(crystal, top, least_order, reach))]
    distinct: list[_Projection] = []
    for entry in sorted(candidates, key=lambda entry: -entry.order):
        if not any(_coincide(entry, other) for other in distinct):
            distinct.append(entry)
    found, left = [], 1.0
    for order in sorted({entry.order for entry in distinct}, reverse=True):
        level = [entry for entry in distinct if entry.order == order]
        close = np.minimum(fading_weight(np.array([entry.distance for entry in level]) / reach), 1 - 1e-15)
        odds = close / (1 - close)
        taken = left * (1 - np.prod(1 - close))
        for entry, weight in zip(level, taken * odds / max(odds.sum(), _SMALLEST)):
            if weight > _SMALLEST:
                parent = SymmetricCrystal.from_structure(entry.record, crystal.symprec)
                # more symmetry than the group's is an accident that other parents count for
                if parent.point_group.order / len(parent) == order / len(crystal) and order >= least_order:
                    found.append((float(weight), parent))
        left -= taken
    return found


class _Projection(NamedTuple):
    """The crystal projected onto a group: as a record, with the number of operations in the crystal's cell."""

    distance: float
    order: int
    record: dict[str, Any]


def _projections(
    crystal: SymmetricCrystal, top: SymmetricCrystal, least_order: int, reach: float
) -> Iterator[_Projection]:
    """The crystal projected onto the group of ``top`` and its subgroups, as far as they are near."""
    cell = moyopy.Cell(crystal.lattice.tolist(), crystal.frac_coords.tolist(), crystal.numbers.tolist())
    operations = moyopy.MoyoDataset(cell, symprec=top.symprec, setting=moyopy.Setting.standard()).operations
    rotations, translations = np.array(operations.rotations), np.array(operations.translations)
    columns = crystal.lattice.T
    seen = top.rotation.T @ columns @ rotations @ np.linalg.inv(columns) @ top.rotation  # in the frame of top, nearly
    element = np.abs(seen[:, None] - top.point_group.operations).sum((2, 3)).argmin(1)
    length = np.cbrt(abs(np.linalg.det(top.lattice)))
    metric = crystal.lattice @ crystal.lattice.T
    for members in _subgroups(top.point_group, least_order):
        chosen = np.isin(element, members)
        kept = rotations[chosen]
        projected = (kept.transpose(0, 2, 1) @ metric @ kept).mean(0)
        strain = abs(np.sqrt(np.linalg.eigvals(np.linalg.solve(metric, projected)).real) - 1).max()
        lattice = np.linalg.cholesky(projected)
        try:
            _, sites = exact_sites(
                crystal.frac_coords, crystal.numbers, kept, translations[chosen], lattice, np.inf, crystal.formula
            )
        except IrrepnetError:
            continue
        moved = sites - crystal.frac_coords
        moved -= np.round(moved)
        moved -= moved.mean(0)
        distance = float(np.linalg.norm(moved @ lattice, axis=1).max() + strain * length)
        if distance < reach:
            yield _Projection(distance, int(chosen.sum()), _record(crystal, crystal.frac_coords + moved, lattice))


def _record(crystal: SymmetricCrystal, frac_coords: np.ndarray, lattice: np.ndarray) -> dict[str, Any]:
    """Oriented by the lower triangle of its lattice."""
    lattice = np.linalg.cholesky(lattice @ lattice.T)
    return {"species": crystal.species, "frac_coords": frac_coords, "lattice": lattice}


@cache
def _subgroups(group: PointGroup, least_order: int) -> tuple[tuple[int, ...], ...]:
    """The elements of each subgroup with at least so many; all are grown from the trivial one by a generator a time."""
    trivial = frozenset([group.index(np.eye(3))])
    known, new = {trivial}, [trivial]
    while new:
        start = new.pop()
        for g in set(range(group.order)) - start:
            grown = _closure(group, start | {g})
            if grown not in known:
                known.add(grown)
                new.append(grown)
    return tuple(tuple(sorted(members)) for members in known if len(members) >= least_order)


def _closure(group: PointGroup, generators: frozenset[int]) -> frozenset[int]:
    members = np.array(sorted(generators))
    while True:
        grown = np.unique(group.multiplication[np.ix_(members, members)])
        if len(grown) == len(members):
            return frozenset(grown.tolist())
        members = grown


def _at(crystal: SymmetricCrystal, symprec: float) -> SymmetricCrystal | None:
    try:
        return SymmetricCrystal.from_structure(crystal, symprec)
    except IrrepnetError:
        return None


def _same(a: SymmetricCrystal, b: SymmetricCrystal) -> bool:
    """Whether two projections of a crystal found their way to one group."""
    return (a.spacegroup_number, len(a)) == (b.spacegroup_number, len(b)) and (
        abs(a.displacement - b.displacement) + abs(a.strain - b.strain) < _SAME
    )


def _coincide(a: _Projection, b: _Projection) -> bool:
    """Whether two projections are one crystal: all in the cell and the order of the crystal that was projected."""
    return all(np.abs(a.record[key] - b.record[key]).max() < _SAME for key in ("lattice", "frac_coords"))
