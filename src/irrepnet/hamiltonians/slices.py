"""Slices of Fermi surfaces: where bands have one energy in a plane of the first Brillouin zone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product

import moyopy
import numpy as np
from numpy.typing import ArrayLike

from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians.bands import k_path, orbital_weights
from irrepnet.hamiltonians.model import Hamiltonian
from irrepnet.hamiltonians.symmetry import SYMPREC, space_group

_TINY = 1e-6
"""Å⁻¹, how exactly a point is in the plane and in the zone."""


@dataclass(frozen=True, eq=False)
class Contour:
    """A line of one energy of a band, within the zone."""

    band: int
    """Its number from 0."""
    points: np.ndarray
    """(P, 2) Å⁻¹ along the axes of the slice; the first is the last of a line that closes within the zone."""
    k: np.ndarray
    """(P, 3) fractional."""
    weights: dict[str, np.ndarray]
    """{orbitals: (P,)}, see `bands.orbital_weights`; empty unless asked for."""

    @property
    def is_closed(self) -> bool:
        return bool((self.points[0] == self.points[-1]).all())


@dataclass(frozen=True, eq=False)
class FermiSlice:
    """The lines of one energy in a plane of the first Brillouin zone."""

    energy: float
    """eV"""
    axes: np.ndarray
    """(3, 3) Cartesian unit vectors: to the right and upwards in the plane, and its normal."""
    height: float
    """Å⁻¹, of the plane above Γ along its normal."""
    outline: np.ndarray
    """(V, 2) Å⁻¹, the corners of the zone's slice in turn."""
    points: tuple[tuple[str, np.ndarray], ...]
    """(label, (2,) Å⁻¹) of the high-symmetry points in the slice; labels of points that are equal as "K|U"."""
    contours: tuple[Contour, ...]
    """Bands rising; none if no band has the energy in the slice."""


def fermi_slice(
    hamiltonian: Hamiltonian,
    normal: ArrayLike,
    through: ArrayLike | str = (0.0, 0.0, 0.0),
    energy: float | None = None,
    steps: int = 100,
    weights: bool = False,
    symprec: float = SYMPREC,
) -> FermiSlice:
    """The lines of one energy in the plane of the first Brillouin zone through a point.

    Bands are sampled on a square grid, and between two points of it the energy itself is looked for (regula falsi);
    pockets smaller than a square may be missed, and lines end on the border as straight ones do. z, or else y, points
    upwards, and x, or else y, to the right.

    Args:
        normal: (3,) in reciprocal lattice vectors: (1, 1, 0) is along b₁ + b₂.
        through: (3,) fractional, moved into the first zone; or the label of a point of `k_path`, for its image that is
            farthest along the normal.
        energy: eV, by default the Fermi energy.
        steps: of the grid, across the zone.
        weights: whether it is asked for what the orbitals have in the states.
        symprec: Å, of the space group, whose images of the high-symmetry points are labelled.

    Raises IrrepnetError if there is no lattice, no energy, no such plane or point, or for weights no basis.
    """
    cell = hamiltonian.known_cell
    energy = hamiltonian.fermi if energy is None else energy
    if energy is None or not np.isfinite(energy):
        raise IrrepnetError(f"{hamiltonian.name}: the Fermi energy is not known; give an energy in eV")
    if steps < 2:
        raise IrrepnetError(f"a slice has two steps or more across the zone, got {steps}")
    reciprocal = 2 * np.pi * np.linalg.inv(cell.lattice).T
    special = {label: k for branch in k_path(cell) for label, k in branch}
    translations = np.array([n for n in product(range(-2, 3), repeat=3) if any(n)]) @ _reduced(reciprocal)
    axes = _axes(np.asarray(normal, float) @ reciprocal)
    basis = hamiltonian.basis
    rotations = space_group(cell, symprec, moments=None if basis is None else basis.moments).rotations
    images = _images(special, rotations, reciprocal, translations)
    if not isinstance(through, str):
        height = float(_into_zone(np.asarray(through, float) @ reciprocal, translations, reciprocal) @ axes[2])
    elif through in images:
        height = float((images[through] @ axes[2]).max())
    else:
        raise IrrepnetError(f"{hamiltonian.name}: there is no point {through}; there are {', '.join(images)}")
    across = translations @ axes.T
    outline = _outline(across[:, :2], (translations**2).sum(1) / 2 - height * across[:, 2])

    def k_at(points: np.ndarray) -> np.ndarray:
        return (points @ axes[:2] + height * axes[2]) @ np.linalg.inv(reciprocal)

    lines = [
        (band, part)
        for band, line in _lines(lambda points: hamiltonian.eigenvalues(k_at(points)), energy, outline, steps)
        for part in _within(line, outline)
    ]
    contours = []
    for band, line in lines:
        own = (
            {name: each[:, band] for name, each in orbital_weights(hamiltonian, k_at(line))[1].items()}
            if weights
            else {}
        )
        contours.append(Contour(band, line, k_at(line), own))
    found: dict[tuple[float, float], dict[str, None]] = {}
    for label, points in images.items():
        for x, y, z in points @ axes.T:
            if abs(z - height) < _TINY and (_beyond(np.array([[x, y]]), outline) < 10 * _TINY).all():
                found.setdefault((round(x, 5) + 0.0, round(y, 5) + 0.0), {})[label] = None
    labels = tuple(("|".join(names), np.array(place)) for place, names in found.items())
    return FermiSlice(float(energy), axes, height, outline, labels, tuple(contours))


def _axes(normal: np.ndarray) -> np.ndarray:
    """(3, 3) to the right, upwards and along the normal or against it."""
    length = np.linalg.norm(normal)
    if normal.shape != (3,) or not np.isfinite(length) or not length:
        raise IrrepnetError(f"the normal of a plane is three numbers, not all zero, got {normal.tolist()}")
    normal = normal / length
    up = np.eye(3)[2 if abs(normal[2]) < 0.9 else 1]
    up = up - (up @ normal) * normal
    up /= np.linalg.norm(up)
    right = np.cross(up, normal)
    sign = np.sign(right[abs(right) > _TINY][0])
    return np.array([sign * right, up, sign * normal])


def _reduced(lattice: np.ndarray) -> np.ndarray:
    """Lattice vectors of which the borders of the first zone belong to combinations with −1, 0 and 1."""
    return np.array(moyopy.minkowski_reduce(lattice.tolist())[0])


def _into_zone(k: np.ndarray, translations: np.ndarray, reciprocal: np.ndarray) -> np.ndarray:
    """The image of k (3,) Å⁻¹ that is nearest to Γ; k itself if no image is nearer."""
    if k.shape != (3,) or not np.isfinite(k).all():
        raise IrrepnetError(f"a wave vector is three numbers, got {k.tolist()}")
    fractional = k @ np.linalg.inv(reciprocal)
    start = (fractional - np.rint(fractional)) @ reciprocal
    images = np.concatenate([k[None], start[None], start + translations])
    lengths = np.linalg.norm(images, axis=1)
    return images[np.argmax(lengths < lengths.min() + _TINY)]


def _outline(normals: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """(V, 2) the corners of the polygon normal · point ≤ offset, counterclockwise."""
    parallel = np.linalg.norm(normals, axis=1) < _TINY
    corners = np.abs(offsets).max() * np.array([[-1.0, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]])
    for normal, offset in zip(normals[~parallel], offsets[~parallel]):
        (corners,) = _cut(corners, normal, offset) or [np.zeros((0, 2))]
        if len(corners) and (corners[0] != corners[-1]).any():
            corners = np.concatenate([corners, corners[:1]])
    sides = np.linalg.norm(np.diff(corners, axis=0), axis=1)
    corners = corners[:-1][sides > 10 * _TINY]
    if (offsets[parallel] < -_TINY).any() or len(corners) < 3:
        raise IrrepnetError("the plane has no area within the first Brillouin zone")
    return corners


def _lines(
    energies: Callable[[np.ndarray], np.ndarray], energy: float, outline: np.ndarray, steps: int
) -> list[tuple[int, np.ndarray]]:
    """(band, (P, 2)) where the bands, (points, n) of (points, 2), have the energy, on a grid over the outline."""
    import contourpy

    low, size = outline.min(0), np.ptp(outline, axis=0)
    step = size.max() / steps
    shape = np.ceil(size / step).astype(int) + 1
    low = low - (step * (shape - 1) - size) / 2  # as symmetric as the outline

    def place(index: np.ndarray) -> np.ndarray:
        return low + step * index

    nodes = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1).reshape(-1, 2)
    # the grid's squares that meet the outline
    is_near = (_beyond(place(nodes), outline) < 1.5 * step).all(1)
    sampled = energies(place(nodes[is_near]))
    values = np.full((*shape, sampled.shape[1]), np.nan)
    values[tuple(nodes[is_near].T)] = sampled - energy
    lines = []
    for band in np.flatnonzero((sampled.min(0) < energy) & (sampled.max(0) > energy)).tolist():
        own = np.ma.masked_invalid(values[..., band])
        for line in contourpy.contour_generator(z=own.T, corner_mask=False).lines(0.0):
            line = np.array(line)
            ends = np.floor(line + 1e-9).astype(int), np.ceil(line - 1e-9).astype(int)  # of sides of squares
            first, last = map(place, ends)
            side = partial(_along_sides, energies, band, energy, first, last)
            part = _root(side, *(own.data[tuple(end.T)] for end in ends))
            if (line[0] == line[-1]).all():
                part[-1] = part[0]
            lines.append((band, first + part[:, None] * (last - first)))
    return lines


def _along_sides(
    energies: Callable[[np.ndarray], np.ndarray],
    band: int,
    energy: float,
    first: np.ndarray,
    last: np.ndarray,
    part: np.ndarray,
) -> np.ndarray:
    """(P,) of a band above the energy, that part of the way from the first points (P, 2) to the last."""
    return energies(first + part[:, None] * (last - first))[:, band] - energy


def _root(function: Callable[[np.ndarray], np.ndarray], low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """(P,) between 0 and 1 where a function of (P,) is zero, by regula falsi in the manner of Illinois.

    Args:
        low, high: (P,) its values at 0 and at 1, of opposite sign.
    """
    a, b = np.zeros_like(low), np.ones_like(high)
    for _ in range(6):
        across = np.where(high == low, 1.0, high - low)
        middle = b - high * (b - a) / across
        value = function(middle)
        is_other = value * high < 0
        a, low = np.where(is_other, b, a), np.where(is_other, high, low / 2)
        b, high = middle, value
    return b


def _outwards(outline: np.ndarray) -> np.ndarray:
    """(V, 2) the unit normals of the sides that begin at the corners."""
    sides = np.roll(outline, -1, 0) - outline
    normals = sides @ np.array([[0.0, -1], [1, 0]])
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def _beyond(points: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """(P, V) how far points (P, 2) are beyond each side of the outline."""
    normals = _outwards(outline)
    return points @ normals.T - (normals * outline).sum(1)


def _within(line: np.ndarray, outline: np.ndarray) -> list[np.ndarray]:
    """The parts of a line (P, 2) within a convex outline."""
    parts = [line]
    for normal, corner in zip(_outwards(outline), outline):
        parts = [part for each in parts for part in _cut(each, normal, normal @ corner)]
    return parts


def _cut(line: np.ndarray, normal: np.ndarray, offset: float) -> list[np.ndarray]:
    """The parts of a line (P, 2), a closed one if it ends where it begins, with normal · point ≤ offset."""
    above = line @ normal - offset
    if not (above > 0).any():
        return [line]
    if (line[0] == line[-1]).all():  # begin outside
        order = np.roll(np.arange(len(line) - 1), -int(above[:-1].argmax()))
        line, above = np.append(line[order], line[order[:1]], 0), above[[*order, order[0]]]
    outside = above > 0
    at = np.flatnonzero(outside[1:] != outside[:-1])
    crossings = line[at] + (above[at] / (above[at] - above[at + 1]))[:, None] * (line[at + 1] - line[at])
    line = np.insert(line, at + 1, crossings, axis=0)
    inside = np.insert(~outside, at + 1, True)
    parts = np.split(np.arange(len(line)), np.flatnonzero(~inside))
    return [line[part[inside[part]]] for part in parts if inside[part].sum() > 1]


def _images(
    points: dict[str, np.ndarray], rotations: np.ndarray, reciprocal: np.ndarray, translations: np.ndarray
) -> dict[str, np.ndarray]:
    """{label: (images, 3) Å⁻¹} in the first zone of points {label: k fractional}, under rotations and k → −k."""
    found = {}
    for label, k in points.items():
        star = np.concatenate([k @ rotations, -k @ rotations])
        star = np.unique((star - np.rint(star)).round(9), axis=0) @ reciprocal
        star = np.concatenate([star, (star[:, None] + translations).reshape(-1, 3)])
        lengths = np.linalg.norm(star, axis=1)
        found[label] = star[lengths < lengths.min() + _TINY]
    return found
