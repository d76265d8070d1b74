"""Which atoms are neighbours.

A list cut after the N-th neighbour keeps an arbitrary part of a shell of equal distances, and with it breaks
the symmetry of the site. All methods here but "n-max" keep a shell as a whole or leave it out as a whole. None
counts an atom as its own neighbour at distance zero; its periodic images are neighbours as any other atom.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from irrepnet.crystals.cell import CLOSEST
from irrepnet.crystals.pairs import SEARCH, compiled_pairs, sorted_pairs
from irrepnet.crystals.symmetric import SymmetricCrystal
from irrepnet.errors import IrrepnetError

# Å: decides distances that differ from a limit by rounding alone, the same way for all equivalent atoms.
_ROUNDING = 1e-8
# Voronoi faces below this share of the largest solid angle are dropped: in symmetric crystals many cells meet
# at one point, and there rounding opens faces of no size.
_SMALLEST_FACE = 1e-3
# A Voronoi cell that reaches farther than this, Å, belongs to an atom alone in a vacuum.
_WIDEST_CELL = 50.0
MOST_NEIGHBOURS = 10_000
# ∫ u(x) x² dx over [0, 1], u the envelope with p = 6
_ENVELOPE_VOLUME = 1 / 3 - (28 / 9 - 48 / 10 + 21 / 11)


@dataclass(frozen=True)
class NeighbourOptions:
    """Which atoms are neighbours.

    Attributes:
        cutoff: largest distance of a neighbour, Å.
        n_max: neighbours an atom; whole shells, so an atom can have more.
        tolerance: distances that differ by less belong to one shell, Å.
        neighbours: the method, see :func:`find_neighbours`.
        scale: for neighbours "nearest": the farthest neighbour in units of the nearest one's distance.
    """

    cutoff: float = 8.0
    n_max: int = 12
    tolerance: float = 1e-3
    neighbours: str = "shells"
    scale: float = 1.5


class Neighbours(NamedTuple):
    """E directed pairs, sorted by receiver and then by distance."""

    receiver: np.ndarray
    """(E,) int64"""
    sender: np.ndarray
    """(E,) int64"""
    shift: np.ndarray
    """(E, 3) int64, the lattice translation of the sender's cell."""
    vector: np.ndarray
    """(E, 3) Å, from receiver to sender in the standard frame: x_sender + shift @ lattice - x_receiver."""
    distance: np.ndarray
    """(E,) Å"""
    weight: np.ndarray
    """(E,) how much of a neighbour it is, in (0, 1]; 1 for methods that know only neighbours and others."""

    def select(self, kept: np.ndarray, weight: np.ndarray | None = None) -> Neighbours:
        """Some of the pairs, with new weights if given (one for each pair kept)."""
        chosen = Neighbours(*(values[kept] for values in self))
        return chosen if weight is None else chosen._replace(weight=weight)


class SplitShell(NamedTuple):
    """A shell of equal distances of which a list cut at N neighbours keeps a part."""

    orbit: int
    distance: float
    """Å, the shell's nearest atom."""
    size: int
    """Atoms in the shell."""
    kept: int
    """How many of them the cut list has; which ones is arbitrary."""


def find_neighbours(crystal: SymmetricCrystal, options: NeighbourOptions) -> Neighbours:
    """The neighbours of each atom by the method ``options.neighbours``.

    * "shells": the nearest whole shells, about ``n_max`` neighbours: see :func:`neighbour_shells`.
    * "cutoff": all nearer than ``cutoff``, weighted by an envelope that falls to zero there with zero slope and
      curvature (Gasteiger et al., ICLR 2020, arXiv:2003.03123, eq. 8, p = 6): sums over neighbours stay smooth
      when an atom crosses the cutoff.
    * "n-max": exactly ``n_max`` neighbours, the nearest ones, however far. It cuts shells in two, so that what is
      computed from it depends on the order of the atoms; for comparison with networks that do so.
    * "voronoi": the atoms whose Voronoi cells share a face with the atom's own, weighted by the face's solid angle
      over the largest one's; faces below 0.001 of it are left out.
    * "nearest": all within ``scale`` times the distance of the nearest neighbour, plus ``tolerance``.

    Raises:
        IrrepnetError: an unknown method, an option out of range, an atom without a neighbour within the cutoff, or
            one whose Voronoi cell reaches farther than 50 Å.
    """
    if options.neighbours not in _METHODS:
        close = difflib.get_close_matches(options.neighbours, _METHODS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"the methods are {', '.join(_METHODS)}"
        raise IrrepnetError(f"unknown neighbours {options.neighbours!r}; {hint}")
    return _METHODS[options.neighbours](crystal, options)


def neighbour_shells(
    crystal: SymmetricCrystal,
    cutoff: float = 8.0,
    n_max: int = 12,
    tolerance: float = 1e-3,
    atoms: np.ndarray | None = None,
) -> Neighbours:
    """The nearest whole shells of each atom: about `n_max` neighbours, none farther than `cutoff`.

    Atom a keeps every neighbour not farther than

        min(d_n, max(cutoff, d_1)) + tolerance,

    d_k the distance to its k-th neighbour and n = `n_max`. So it keeps at least `n_max` neighbours if that
    many lie within the cutoff, all of them if fewer do, and its nearest shell if none does: no atom is ever
    alone. Atoms of one orbit get shells that the symmetry maps onto each other.

    Args:
        cutoff: Å.
        n_max: neighbours after which no further shell is begun.
        tolerance: Å, distances nearer than this to the limit belong to the same shell.
        atoms: whose neighbours are wanted; those of all atoms by default.

    Raises:
        IrrepnetError: a cutoff, `n_max` or tolerance that is not positive, or that leaves more neighbours than can be.
    """
    if not (0 < cutoff < np.inf and 1 <= n_max <= MOST_NEIGHBOURS and 0 < tolerance < CLOSEST):
        raise IrrepnetError(
            f"neighbour shells need a positive cutoff, n_max of 1 to {MOST_NEIGHBOURS:,} and a tolerance of "
            f"at most {CLOSEST} Å, got {cutoff}, {n_max}, {tolerance}"
        )
    atoms = np.arange(len(crystal)) if atoms is None else atoms
    limits, room = (n_max, cutoff, tolerance), 2 * min(n_max, 500) + 8
    found = compiled_pairs(
        crystal.cart_coords, crystal.lattice, atoms, _radius_of(crystal, n_max, cutoff), room, *limits
    )
    if found is not None:
        return Neighbours(*found, np.ones(len(found[0])))
    return _within(
        crystal, n_max, lambda first, nth: np.minimum(nth, np.maximum(cutoff, first)), tolerance, cutoff, atoms
    )


def whole_shells(crystal: SymmetricCrystal, options: NeighbourOptions, atoms: np.ndarray | None = None) -> Neighbours:
    """:func:`neighbour_shells` with these options; raises IrrepnetError also if they ask for another method."""
    if options.neighbours != "shells":
        raise IrrepnetError(f"this graph has whole shells of neighbours; it cannot take {options.neighbours!r}")
    return neighbour_shells(crystal, options.cutoff, options.n_max, options.tolerance, atoms)


def smooth_neighbours(
    crystal: SymmetricCrystal, cutoff: float = 8.0, n_max: int = 12, atoms: np.ndarray | None = None
) -> Neighbours:
    """About `n_max` neighbours of each atom, with weights that fade out: no neighbour comes or goes at once.

    The neighbour of atom a at distance d weighs u(d / R_a), u the envelope of :func:`find_neighbours`' method
    "cutoff", and R_a is such that the weights of a's neighbours add up to `n_max`. R_a is at most max(cutoff, 2 d_1),
    d_1 the distance of the nearest neighbour, so that no atom is alone. Weights follow the structure continuously,
    and with two continuous derivatives where R_a is below that.

    Args:
        cutoff: Å.
        n_max: the sum of an atom's weights.
        atoms: whose neighbours are wanted, the representatives of the orbits among them; those of all by default.

    Raises:
        IrrepnetError: a cutoff or `n_max` that is not positive.
    """
    if not (0 < cutoff < np.inf and n_max >= 1):
        raise IrrepnetError(f"smooth neighbours need a positive cutoff and n_max of at least 1, got {cutoff}, {n_max}")
    first = crystal.representatives
    # Start from a sphere that holds the weights on average, and grow it until every R_a lies inside.
    radius = max(SEARCH, min(cutoff, 1.1 * _spacing(crystal) * np.cbrt(n_max / (4 * np.pi * _ENVELOPE_VOLUME))))
    while True:
        pairs = all_pairs(crystal, radius, atoms)
        starts, stops = np.searchsorted(pairs.receiver, [first, first + 1])
        distances = [pairs.distance[start:stop] for start, stop in zip(starts, stops)]
        largest = [max(cutoff, 2 * d[0]) if len(d) else np.inf for d in distances]
        if all(top <= radius or fading_weight(d / radius).sum() >= n_max for d, top in zip(distances, largest)):
            break
        radius = cutoff if radius < cutoff < 1.3 * radius else 1.3 * radius
    found = np.array([_radius(d, n_max, min(top, radius)) for d, top in zip(distances, largest)])
    weight = fading_weight(pairs.distance / found[crystal.orbits[pairs.receiver]])
    return pairs.select(weight > 0, weight[weight > 0])


def _radius(distance: np.ndarray, n: int, largest: float) -> float:
    """R with Σ u(d/R) = n, or ``largest`` if that is smaller."""

    def missing(radius: float) -> float:
        return n - fading_weight(distance / radius).sum()

    if missing(largest) >= 0:
        return largest
    from scipy.optimize import brentq  # takes longer to import than all before

    return brentq(missing, distance[0], largest, xtol=1e-13)  # pyright: ignore[reportReturnType]


def split_shells(
    crystal: SymmetricCrystal, n_max: int = 12, cutoff: float = 8.0, tolerance: float = 1e-3
) -> tuple[SplitShell, ...]:
    """The shells that a list of the `n_max` nearest neighbours within `cutoff` would cut in two, by orbit.

    A shell ends where the next distance is more than `tolerance` Å larger.
    """
    found = neighbour_shells(crystal, cutoff, n_max, tolerance)
    split = []
    for orbit, atom in enumerate(crystal.representatives):
        distance = found.distance[found.receiver == atom]
        start = shell_starts(distance, tolerance)[-1]
        if len(distance) > n_max > start:
            split.append(SplitShell(orbit, float(distance[start]), len(distance) - int(start), n_max - int(start)))
    return tuple(split)


def shell_starts(distance: np.ndarray, tolerance: float = 1e-3) -> np.ndarray:
    """Where, in sorted distances, a shell begins: more than ``tolerance`` Å after the distance before."""
    return np.flatnonzero(np.diff(distance, prepend=-np.inf) > tolerance + _ROUNDING)


def _cutoff(crystal: SymmetricCrystal, options: NeighbourOptions) -> Neighbours:
    cutoff = options.cutoff
    if not 0 < cutoff < np.inf:
        raise IrrepnetError(f"neighbours need a positive cutoff, got {cutoff}")
    pairs = all_pairs(crystal, max(cutoff, SEARCH))
    weight = fading_weight(pairs.distance / cutoff)
    found = pairs.select(weight > 0, weight[weight > 0])
    alone = np.flatnonzero(np.bincount(found.receiver, minlength=len(crystal)) == 0)
    if len(alone):
        nearest = _within(crystal, 1, lambda first, _: first, options.tolerance)
        atom = alone[0]
        distance = nearest.distance[nearest.receiver == atom][0]
        raise IrrepnetError(
            f"{crystal.formula}: site {atom + 1} ({crystal.species[atom]}, Wyckoff {crystal.wyckoff[atom]}) has no "
            f"neighbour within {cutoff:g} Å, the nearest is {distance:.3f} Å away; "
            f"take a cutoff of {np.ceil(10 * distance + 1) / 10:.1f} Å or another way to find neighbours"
        )
    return found


def fading_weight(x: np.ndarray | float, p: int = 6) -> np.ndarray:
    """1 at 0; zero with its first two derivatives at 1, and beyond."""
    value = 1 - x**p * ((p + 1) * (p + 2) / 2 - x * p * (p + 2) + x**2 * p * (p + 1) / 2)
    return np.where(x < 1, np.maximum(value, 0.0), 0.0)


def _n_max(crystal: SymmetricCrystal, options: NeighbourOptions) -> Neighbours:
    if options.n_max < 1:
        raise IrrepnetError(f"neighbours need n_max of at least 1, got {options.n_max}")
    found = _within(crystal, options.n_max, lambda _, nth: nth, 0.0)
    counts = np.bincount(found.receiver)
    rank = np.arange(len(found.receiver)) - np.repeat(np.cumsum(counts) - counts, counts)
    return found.select(rank < options.n_max)


def _nearest(crystal: SymmetricCrystal, options: NeighbourOptions) -> Neighbours:
    if not 1 <= options.scale <= 10:
        raise IrrepnetError(f"neighbours by the nearest distance need a scale between 1 and 10, got {options.scale}")
    return _within(crystal, 1, lambda first, _: options.scale * first, options.tolerance)


def _voronoi(crystal: SymmetricCrystal, options: NeighbourOptions) -> Neighbours:
    radius = max(SEARCH, 2 * _spacing(crystal))
    while True:
        pairs = all_pairs(crystal, radius + _ROUNDING)
        ends = np.searchsorted(pairs.receiver, np.arange(len(crystal) + 1))
        cells = [_voronoi_cell(pairs.vector[start:stop]) for start, stop in pairwise(ends)]
        reach = np.array([reach for _, reach in cells])
        # Atoms farther than twice the farthest corner cannot cut the cell.
        if 2 * reach.max() <= radius:
            break
        if radius > 2 * _WIDEST_CELL:
            atom = int(reach.argmax())
            raise IrrepnetError(
                f"{crystal.formula}: the Voronoi cell of site {atom + 1} ({crystal.species[atom]}) reaches farther "
                f"than {_WIDEST_CELL:g} Å; find neighbours in another way"
            )
        radius = min(2 * reach.max() + _ROUNDING, 1.5 * radius)
    weight = np.concatenate([angle / angle.max() for angle, _ in cells])
    kept = weight > _SMALLEST_FACE
    return pairs.select(kept, weight[kept])


def _voronoi_cell(vectors: np.ndarray) -> tuple[np.ndarray, float]:
    """Solid angle under which the origin sees its Voronoi cell's face to each of the points (0 if there is none),
    and the distance of the cell's farthest corner, infinite if the points do not enclose the origin.

    The cell {x: x·v ≤ |v|²/2 for all v} is dual to the convex hull of the points 2v/|v|²: a facet n·x = b of the
    hull is the corner n/b of the cell, and a corner of the hull is a face of the cell.
    """
    from scipy.spatial import ConvexHull, QhullError

    squares = (vectors**2).sum(1)
    try:
        hull = ConvexHull(2 * vectors / squares[:, None])
    except (QhullError, ValueError):  # fewer than four points, or all in a plane
        return np.zeros(len(vectors)), np.inf
    if (hull.equations[:, 3] > -_ROUNDING).any():
        return np.zeros(len(vectors)), np.inf
    corners = -hull.equations[:, :3] / hull.equations[:, 3:]

    # The corners of each face in the order of their angle around the face's middle
    face, corner = hull.simplices.ravel(), np.repeat(corners, 3, axis=0)
    number = np.maximum(np.bincount(face, minlength=len(vectors)), 1)
    sums = np.stack([np.bincount(face, weights=x, minlength=len(vectors)) for x in corner.T], 1)
    middle = (sums / number[:, None])[face]
    normal = vectors[face]
    across = np.cross(normal, np.eye(3)[abs(normal).argmin(1)])
    along = np.cross(normal, across)
    scale = np.linalg.norm(normal, axis=1)
    offset = corner - middle
    angle = np.arctan2((offset * along).sum(1), (offset * across).sum(1) * scale)
    order = np.lexsort((angle, face))
    face, corner, middle = face[order], corner[order], middle[order]

    # Solid angle of the triangles (middle, corner, next corner): van Oosterom and Strackee,
    # IEEE Trans. Biomed. Eng. 30, 125 (1983)
    first = np.flatnonzero(np.diff(face, prepend=-1))
    following = np.arange(1, len(face) + 1)
    following[np.append(first[1:], len(face)) - 1] = first
    a, b, c = middle, corner, corner[following]
    lengths = [np.linalg.norm(x, axis=1) for x in (a, b, c)]
    volume = (np.cross(a, b) * c).sum(1)
    below = lengths[0] * lengths[1] * lengths[2] + sum(
        (x * y).sum(1) * length for x, y, length in ((a, b, lengths[2]), (a, c, lengths[1]), (b, c, lengths[0]))
    )
    solid = np.bincount(face, weights=2 * np.arctan2(abs(volume), below), minlength=len(vectors))
    return solid, float(np.linalg.norm(corners, axis=1).max())


_METHODS: dict[str, Callable[[SymmetricCrystal, NeighbourOptions], Neighbours]] = {
    "shells": whole_shells,
    "cutoff": _cutoff,
    "n-max": _n_max,
    "voronoi": _voronoi,
    "nearest": _nearest,
}
NEIGHBOURS = tuple(_METHODS)
"""Names of the methods."""


def _spacing(crystal: SymmetricCrystal) -> float:
    """Å, edge of a cube with the volume of an atom."""
    return float(np.cbrt(abs(np.linalg.det(crystal.lattice)) / len(crystal)))


def _radius_of(crystal: SymmetricCrystal, n: int, cutoff: float) -> float:
    """Å, of a sphere that holds n atoms on average and more: where to look for neighbours, and to grow from."""
    return max(SEARCH, min(cutoff, 1.3 * _spacing(crystal) * np.cbrt(3 * (n + 1) / (4 * np.pi))))


def _within(
    crystal: SymmetricCrystal,
    n: int,
    limit: Callable[[np.ndarray, np.ndarray], np.ndarray],
    tolerance: float,
    cutoff: float = np.inf,
    atoms: np.ndarray | None = None,
) -> Neighbours:
    """All pairs within a limit, one for each atom, that follows from the distances to its first and n-th neighbour.

    No limit but that of an atom without a neighbour within ``cutoff`` is larger than that. With ``atoms`` the pairs are
    those of which one of them is the receiver.
    """
    atoms = np.arange(len(crystal)) if atoms is None else atoms
    radius = _radius_of(crystal, n, cutoff)
    while True:
        pairs = all_pairs(crystal, radius + tolerance + _ROUNDING, atoms)
        starts, stops = (np.searchsorted(pairs.receiver, atoms, side) for side in ("left", "right"))
        padded = np.append(pairs.distance, np.inf)
        first = padded[np.where(stops > starts, starts, -1)]
        nth = padded[np.where(stops >= starts + n, starts + n - 1, -1)]
        limits = np.zeros(len(crystal))
        limits[atoms] = limit(first, nth)
        if (limits <= radius + _ROUNDING).all():
            return pairs.select(pairs.distance <= limits[pairs.receiver] + tolerance + _ROUNDING)
        radius = cutoff if radius < cutoff < 1.3 * radius else 1.3 * radius


def all_pairs(crystal: SymmetricCrystal, radius: float, atoms: np.ndarray | None = None) -> Neighbours:
    """All pairs not farther than `radius`, Å, each with weight 1; with `atoms` those that one of them receives."""
    atoms = np.arange(len(crystal)) if atoms is None else atoms
    found = sorted_pairs(crystal.cart_coords, crystal.lattice, radius, atoms)
    return Neighbours(*found, np.ones(len(found[0])))
