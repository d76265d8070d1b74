"""What makes one doubt that a crystal is as its file says: distances, densities and coordinations that no crystal has.

Radii are covalent ones (Cordero et al., Dalton Trans. 2008, 2832, as ASE has them). A wrong unit or a missing atom
shows here before it shows in a prediction: `doubts` note what no crystal has, `suspicions` what one in a thousand has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from irrepnet.crystals.elements import atomic_number
from irrepnet.crystals.pairs import close_pairs

NEAREST = (0.6, 1.45)
"""The nearest two atoms of a crystal, in sums of radii; noble gases may be farther apart. Of 1,500 random crystals of
mp_2018 these are 0.65 to 1.26 sums apart, and no atom is farther than 1.79 from its nearest."""
ALONE = 2.1
"""An atom farther from all others is alone, in the same."""
_SEARCH = 6.0  # Å
_COORDINATE = 2.0  # fractional coordinates beyond are rare, Cartesian ones are not
_NOBLE = (2, 10, 18, 36, 54, 86)
BONDED = 1.3
"""Atoms not farther apart than this times the sum of their radii count as neighbours."""
_REACH = 12.0  # Å, beyond the farthest nearest neighbour of any crystal that is known


class Usual(NamedTuple):
    """What a measure is of the 6,317 crystals of the embedded sets (Materials Project)."""

    name: str
    unit: str
    low: float
    """One crystal in a thousand is lower."""
    high: float
    """One crystal in a thousand is higher."""


USUAL = {
    "density": Usual("density", "g/cm³", 0.689, 20.71),
    "filling": Usual("share of the cell within covalent radii", "", 0.047, 1.275),
    "shortest": Usual("shortest distance", "sums of covalent radii", 0.684, 1.273),
    "loneliest": Usual("farthest nearest neighbour", "sums of covalent radii", 0.802, 1.898),
    "coordination": Usual("greatest number of neighbours", "", 1, 36),
}
_COMMON = {"filling": (0.121, 1.037), "shortest": (0.759, 1.138)}
"""98 of 100 crystals are within."""
_UNITS = {
    0.529177: "the file may be in bohr",
    1.889726: "lengths in Å may have been taken for bohr",
    10.0: "the file may be in nm",
    0.01: "the file may be in pm",
}
"""Factors by which lengths are wrong when a unit was taken for another."""


def compared(found: Mapping[str, float]) -> list[dict[str, Any]]:
    """The `measures`, each with ``name``, ``unit``, ``value``, ``low``, ``high``, and whether it is ``usual``."""
    return [
        usual._asdict() | {"value": found[key], "usual": usual.low <= found[key] <= usual.high}
        for key, usual in USUAL.items()
    ]


def suspicions(found: Mapping[str, float]) -> list[str]:
    """Sentences on what is outside of nearly all that was seen, and which unit would explain it."""
    entries = [entry for entry in compared(found) if not entry["usual"]]
    sentences = []
    for entry in entries:
        side, limit = ("below", entry["low"]) if entry["value"] < entry["low"] else ("above", entry["high"])
        unit = f" {entry['unit']}" if entry["unit"] else ""
        sentences.append(
            f"{entry['name']}: {entry['value']:.3g}{unit}; only one crystal in a thousand is {side} {limit:.3g}"
        )
    if entries:
        for factor, meaning in _UNITS.items():
            scaled = {"filling": found["filling"] / factor**3, "shortest": found["shortest"] * factor}
            if all(low <= scaled[key] <= high for key, (low, high) in _COMMON.items()):
                sentences.append(f"scaling all lengths by {factor:.3g} would give usual distances: {meaning}")
    return sentences


def measures(numbers: np.ndarray, cart_coords: np.ndarray, lattice: np.ndarray) -> dict[str, float]:
    """What is compared with other crystals.

    Args:
        numbers: (n,) atomic numbers.
        cart_coords: (n, 3) Å.
        lattice: (3, 3) row vectors, Å.

    Returns:
        ``density`` g/cm³; ``filling``, the volume of all atoms, as balls of their radii, in that of the cell;
        ``shortest``, the least distance, and ``loneliest``, the greatest distance of an atom from its nearest
        neighbour, both in sums of radii; ``coordination``, the greatest number of neighbours.
    """
    from ase.data import atomic_masses, covalent_radii

    radii, volume = covalent_radii[numbers], abs(np.linalg.det(lattice))
    pairs = _neighbours(numbers, cart_coords, lattice, _REACH)
    distance = pairs.distance / pairs.bond
    nearest = np.full(len(numbers), _REACH / (2 * radii.max()))
    np.minimum.at(nearest, pairs.atom, distance)
    return {
        "density": float(atomic_masses[numbers].sum() / volume * 1.66053907),
        "filling": float(4 / 3 * np.pi * (radii**3).sum() / volume),
        "shortest": float(nearest.min()),
        "loneliest": float(nearest.max()),
        "coordination": int(np.bincount(pairs.atom[distance <= BONDED], minlength=len(numbers)).max()),
    }


def doubts(crystal: Any, cutoff: float | None = None) -> tuple[str, ...]:
    """Notes on a crystal whose distances or coordinates are not those of one.

    Args:
        crystal: with ``species`` (n symbols), ``frac_coords`` (n, 3) and ``lattice`` (3, 3), rows, Å.
        cutoff: of neighbours, Å; an atom that has none within is noted too.
    """
    numbers = np.array([atomic_number(symbol) for symbol in crystal.species])
    lattice, frac_coords = np.asarray(crystal.lattice, float), np.asarray(crystal.frac_coords, float)
    if not np.linalg.norm(lattice, axis=1).max() < 500:
        return ()  # refused elsewhere
    pairs = _neighbours(numbers, frac_coords % 1.0 @ lattice, lattice, _SEARCH)
    nearest, ratio = (np.full(len(numbers), np.inf) for _ in range(2))
    np.minimum.at(nearest, pairs.atom, pairs.distance)
    np.minimum.at(ratio, pairs.atom, pairs.distance / pairs.bond)
    found, least = [], ratio.min()
    if least < NEAREST[0] or (least > NEAREST[1] and not np.isin(numbers, _NOBLE).any()):
        apart = f"{nearest.min():.3g} Å" if np.isfinite(least) else f"more than {_SEARCH:g} Å"
        times = f", {least:.2g} times the length of a bond" if np.isfinite(least) else ""
        found.append(f"the nearest atoms are {apart} apart{times}; is the unit of the lattice Å?")
    elif (far := (ratio > ALONE) & ~np.isin(numbers, _NOBLE)).any():
        found.append(f"{_sites(crystal, far)} far from all other atoms; are the coordinates right?")
    if cutoff is not None and (lonely := nearest > cutoff).any() and cutoff < _SEARCH:
        found.append(f"no neighbours within {cutoff:g} Å: {_sites(crystal, lonely)} alone for the network")
    if abs(frac_coords).max() > _COORDINATE:
        found.append(f"fractional coordinates up to {abs(frac_coords).max():.3g}; are they Cartesian?")
    return tuple(found)


class _Pairs(NamedTuple):
    atom: np.ndarray
    """(pairs,)"""
    distance: np.ndarray
    """(pairs,) Å, to another atom or an image"""
    bond: np.ndarray
    """(pairs,) Å, the sum of the radii"""


def _neighbours(numbers: np.ndarray, cart_coords: np.ndarray, lattice: np.ndarray, reach: float) -> _Pairs:
    from ase.data import covalent_radii

    first, second, shift = close_pairs(cart_coords, lattice, reach)
    vectors = cart_coords[second] + shift @ lattice - cart_coords[first]
    return _Pairs(
        first, np.linalg.norm(vectors, axis=1), covalent_radii[numbers[first]] + covalent_radii[numbers[second]]
    )


def _sites(crystal: Any, chosen: np.ndarray) -> str:
    sites = np.flatnonzero(chosen).tolist()
    names = ", ".join(f"{site + 1} ({crystal.species[site]})" for site in sites[:3])
    more = f" and {len(sites) - 3} more" if len(sites) > 3 else ""
    return f"site {names} is" if len(sites) == 1 else f"sites {names}{more} are"
