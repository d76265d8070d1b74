"""A crystal as a few numbers that no choice of cell changes: the features of the cell hyperedge."""

import moyopy
import numpy as np

from irrepnet.crystals.neighbours import all_pairs
from irrepnet.crystals.symmetric import SymmetricCrystal
from irrepnet.graphs.hypergraph import Column
from irrepnet.groups import PointGroup

SYSTEMS = ("triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal", "hexagonal", "cubic")
DISTANCES = np.arange(0.75, 8.01, 0.25)
"""Å, where the pair correlation is taken."""
SMEARING = 0.25
"""Å, standard deviation of the Gaussian that stands for a pair."""

COLUMNS = (
    Column("log volume per atom", np.log(5.0), np.log(100.0)),
    *(Column(system) for system in SYSTEMS),
    Column("log point group order", 0.0, np.log(48.0)),
    Column("centrosymmetric"),
    *(Column(f"log g({distance:g} Å)", 0.0, 3.0) for distance in DISTANCES),
)


def fingerprint(crystal: SymmetricCrystal) -> np.ndarray:
    """(40,) the numbers named in ``COLUMNS``.

    The volume in Å³; crystal system (one-hot), order of the point group and whether it has an inversion; and
    ln(1 + g) of the pair correlation g = F + 1 at ``DISTANCES``, 0 where there are no atoms and ln 2 where they
    are as dense as on average. The logarithm keeps short bonds in an empty cell from outweighing all else.
    """
    group = PointGroup(moyopy.SpaceGroupType(crystal.spacegroup_number).geometric_crystal_class)
    inversion = (group.operations == -np.eye(3)).all((1, 2)).any()
    symmetry = [*(system == group.system for system in SYSTEMS), np.log(group.order), inversion]
    return np.array([np.log(_volume(crystal)), *symmetry, *np.log1p(pair_correlation(crystal) + 1)])


def pair_correlation(
    crystal: SymmetricCrystal, distances: np.ndarray = DISTANCES, smearing: float = SMEARING
) -> np.ndarray:
    """The fingerprint function of Oganov and Valle, J. Chem. Phys. 130, 104504 (2009), blind to the elements.

        F(R) = 1/N Σ_i Σ_j δ(R - R_ij) / (4π R_ij² N/V) - 1

    over the N atoms i of the cell and all atoms j but i itself, with a Gaussian for δ. It is -1 where there is no
    pair and goes to 0 at large R.

    Args:
        distances: (m,) R in Å.
        smearing: Å, the Gaussian's standard deviation.

    Returns:
        (m,) F.
    """
    # A pair left out at this distance would add 1e-11: too little to tell which of equal pairs are in.
    pairs = all_pairs(crystal, float(distances.max()) + 7 * smearing)
    share = np.zeros(len(crystal))
    share[crystal.representatives] = np.bincount(crystal.orbits) / len(crystal)
    pairs = pairs.select(share[pairs.receiver] > 0)
    weight = share[pairs.receiver] * _volume(crystal) / (4 * np.pi * pairs.distance**2)
    offset = (distances - pairs.distance[:, None]) / smearing
    return weight @ np.exp(-(offset**2) / 2) / (smearing * np.sqrt(2 * np.pi)) - 1


def _volume(crystal: SymmetricCrystal) -> float:
    """Å³ per atom."""
    return abs(float(np.linalg.det(crystal.lattice))) / len(crystal)
