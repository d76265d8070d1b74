"""What is drawn of a crystal: the atoms of a conventional cell, those on its faces at every face, and bonds."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

from irrepnet.crystals.symmetric import SymmetricCrystal

BONDED = 1.2, 1.3
"""A bond is drawn between atoms that are nearer than the first times the sum of their covalent radii, and not farther
than the second times the distance of the nearest atom of each."""
_EDGE = 1e-3
"""Atoms nearer to the faces of the cell, in fractions, are drawn at both."""


def drawn_atoms(crystal: SymmetricCrystal) -> tuple[np.ndarray, np.ndarray]:
    """(N,) atoms of the primitive cell, and (N, 3) Å where their images are in the conventional cell, faces too."""
    cells = crystal.conventional_lattice @ np.linalg.inv(crystal.lattice)
    reach = int(np.ceil(abs(cells).sum(0).max())) + 1
    shifts = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    inside = (crystal.frac_coords + shifts) @ np.linalg.inv(cells)
    chosen = ((inside > -_EDGE) & (inside < 1 + _EDGE)).all(-1)
    _, atoms = np.nonzero(chosen)
    return atoms, inside[chosen] @ crystal.conventional_lattice


def drawn_bonds(crystal: SymmetricCrystal, atoms: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """(B, 2) which of the `drawn_atoms` are joined."""
    from ase.data import covalent_radii

    radii = covalent_radii[crystal.numbers[atoms]]
    first, second = np.asarray(KDTree(positions).query_pairs(5.0, output_type="ndarray"), int).reshape(-1, 2).T
    length = np.linalg.norm(positions[second] - positions[first], axis=1)
    nearest = np.full(len(crystal), np.inf)
    for end in (first, second):
        np.minimum.at(nearest, atoms[end], length)
    bonded = length < BONDED[0] * (radii[first] + radii[second])
    bonded &= length < BONDED[1] * np.minimum(nearest[atoms[first]], nearest[atoms[second]])
    return np.stack([first, second], 1)[bonded]
