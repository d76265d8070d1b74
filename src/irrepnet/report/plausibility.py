"""Whether a crystal is like others: how dense it is, how near its atoms are to each other, and how many are near.

Radii are covalent ones (Cordero et al., Dalton Trans. 2008, 2832). A wrong unit or a missing atom shows here before it
shows in a prediction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from irrepnet.crystals.pairs import close_pairs

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
    first, second, shift = close_pairs(cart_coords, lattice, _REACH)
    vectors = cart_coords[second] + shift @ lattice - cart_coords[first]
    distance = np.linalg.norm(vectors, axis=1) / (radii[first] + radii[second])
    nearest = np.full(len(numbers), _REACH / (2 * radii.max()))
    np.minimum.at(nearest, first, distance)
    return {
        "density": float(atomic_masses[numbers].sum() / volume * 1.66053907),
        "filling": float(4 / 3 * np.pi * (radii**3).sum() / volume),
        "shortest": float(nearest.min()),
        "loneliest": float(nearest.max()),
        "coordination": int(np.bincount(first[distance <= BONDED], minlength=len(numbers)).max()),
    }
