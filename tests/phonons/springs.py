"""Springs between atoms: force constants that have a crystal's symmetry because distances have it."""

import numpy as np
from pymatgen.core import Structure
from scipy.spatial.transform import Rotation
from tests.prototypes import STRUCTURES

CUTOFF = 4.5


def spring_constants(structure: Structure) -> np.ndarray:
    """(N, N, 3, 3) eV/Å²: a spring of two constants, along and across, for each pair of elements and distance."""
    n = len(structure)
    constants = np.zeros((n, n, 3, 3))
    first, second, shift, length = structure.get_neighbor_list(CUTOFF)
    numbers = np.array([site.specie.Z for site in structure])
    unit = structure.cart_coords[second] + shift @ structure.lattice.matrix - structure.cart_coords[first]
    unit = (unit / length[:, None])[:, :, None]
    pair = (numbers[first] * numbers[second])[:, None, None] % 7 + 1.0
    falling = 8 * np.exp(-length / 1.1)[:, None, None] * pair
    spring = falling * (unit @ unit.swapaxes(1, 2)) + 0.17 * falling**1.1 * (np.eye(3) - unit @ unit.swapaxes(1, 2))
    np.add.at(constants, (first, second), -spring)
    np.add.at(constants, (first, first), spring)
    return constants


def conventional(name: str, seed: int = 0) -> Structure:
    """The conventional cell of a structure type, moved, turned, and its atoms shuffled."""
    spacegroup, lattice, sites = STRUCTURES[name]
    species = [element.rstrip("234") for element in sites]
    structure = Structure.from_spacegroup(spacegroup, lattice, species, list(sites.values()), tol=1e-3)
    rng = np.random.default_rng(seed)
    turn = Rotation.random(rng=rng).as_matrix()
    order = rng.permutation(len(structure))
    coords = (structure.frac_coords + rng.random(3))[order]
    return Structure(structure.lattice.matrix @ turn.T, [structure.species[k] for k in order], coords)
