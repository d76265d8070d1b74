"""What makes one doubt that a crystal is as its file says: distances that no crystal has.

Distances are compared with the sums of covalent radii (Cordero et al., Dalton Trans. 2832 (2008), as ASE has them). Of
1,500 random crystals of mp_2018 the nearest two atoms are 0.65 to 1.26 sums apart, and no atom is farther than 1.79
from its nearest.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from irrepnet.crystals.elements import atomic_number
from irrepnet.crystals.pairs import close_pairs

NEAREST = (0.6, 1.45)
"""The nearest two atoms of a crystal, in sums of covalent radii; noble gases may be farther apart."""
ALONE = 2.1
"""An atom farther from all others is alone, in the same."""
_SEARCH = 6.0  # Å
_COORDINATE = 2.0  # fractional coordinates beyond are rare, Cartesian ones are not
_NOBLE = (2, 10, 18, 36, 54, 86)


def doubts(crystal: Any, cutoff: float | None = None) -> tuple[str, ...]:
    """Notes on a crystal whose distances or coordinates are not those of one.

    Args:
        crystal: with ``species`` (n symbols), ``frac_coords`` (n, 3) and ``lattice`` (3, 3), rows, Å.
        cutoff: of neighbours, Å; an atom that has none within is noted too.
    """
    from ase.data import covalent_radii

    numbers = np.array([atomic_number(symbol) for symbol in crystal.species])
    lattice, frac_coords = np.asarray(crystal.lattice, float), np.asarray(crystal.frac_coords, float)
    if not np.linalg.norm(lattice, axis=1).max() < 500:
        return ()  # refused elsewhere
    points = frac_coords % 1.0 @ lattice
    first, second, shift = close_pairs(points, lattice, _SEARCH)
    length = np.linalg.norm(points[second] - points[first] + shift @ lattice, axis=1)
    bond = covalent_radii[numbers[first]] + covalent_radii[numbers[second]]
    nearest, ratio = (np.full(len(numbers), np.inf) for _ in range(2))
    np.minimum.at(nearest, first, length)
    np.minimum.at(ratio, first, length / bond)
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


def _sites(crystal: Any, chosen: np.ndarray) -> str:
    sites = np.flatnonzero(chosen).tolist()
    names = ", ".join(f"{site + 1} ({crystal.species[site]})" for site in sites[:3])
    more = f" and {len(sites) - 3} more" if len(sites) > 3 else ""
    return f"site {names} is" if len(sites) == 1 else f"sites {names}{more} are"
