"""One crystal described in other ways: without use of its symmetry, and as its source has it."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from irrepnet.crystals.reading import read_cell
from irrepnet.crystals.symmetric import SymmetricCrystal
from irrepnet.errors import IrrepnetError
from irrepnet.groups import PointGroup


def plain_supercell(crystal: SymmetricCrystal, matrix: np.ndarray | None = None) -> SymmetricCrystal:
    """The same atoms with no use made of their symmetry: every atom an orbit of its own.

    For checks: results on it are equal to those on ``crystal``, whose space group it still names.

    Args:
        matrix: (3, 3) integers, rows are the supercell's vectors in those of the cell; the cell itself by default.
    """
    matrix = np.eye(3, dtype=int) if matrix is None else np.asarray(matrix)
    n_cells = round(abs(np.linalg.det(matrix)))
    reach = int(np.abs(matrix).sum())
    shifts = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 3, indexing="ij"), -1).reshape(-1, 3)
    inside = shifts @ np.linalg.inv(matrix)
    shifts = shifts[((inside > -1e-9) & (inside < 1 - 1e-9)).all(1)]
    assert len(shifts) == n_cells
    frac_coords = (crystal.frac_coords[:, None] + shifts).reshape(-1, 3) @ np.linalg.inv(matrix) % 1.0
    n = len(frac_coords)
    return replace(
        crystal,
        lattice=matrix @ crystal.lattice,
        frac_coords=frac_coords,
        numbers=np.repeat(crystal.numbers, n_cells),
        hall_number=1,
        point_group=PointGroup("1"),
        rotations=np.eye(3, dtype=int)[None],
        translations=np.zeros((1, 3)),
        permutation=np.arange(n)[None],
        wyckoff=("a",) * n,
        orbits=np.arange(n),
        representatives=np.arange(n),
        site_groups=(np.zeros(1, int),) * n,
        site_symmetry=("1",) * n,
    )


def input_atoms(crystal: SymmetricCrystal, source: Any) -> np.ndarray:
    """Which atom of ``crystal`` each atom of its source is, modulo the lattice.

    With it a site tensor comes back in the source's order and Cartesian frame, as R T Rᵀ with R = ``crystal.rotation``.

    Args:
        crystal: made from ``source``, see `SymmetricCrystal.from_structure`.
        source: also another description of that crystal in the same orientation, such as a supercell.

    Returns:
        (n_source,) indices of atoms.

    Raises:
        IrrepnetError: the source is not the crystal.
    """
    return description(crystal, source).atoms


class Description(NamedTuple):
    """How a source, often a supercell, describes a crystal."""

    atoms: np.ndarray
    """(n_source,) the atom of the crystal that each atom is."""
    cells: np.ndarray
    """(n_source, 3) int, the cell of the crystal in which it stands."""
    supercell: np.ndarray
    """(3, 3) int, rows are the source's lattice vectors in those of the crystal."""


def description(crystal: SymmetricCrystal, source: Any) -> Description:
    """The same with the cells; see `input_atoms`."""
    cell = read_cell(source)
    # The primitive lattice as the source has it, strained: its vectors are whole sums of the standard ones.
    supercell = np.rint(cell.lattice @ crystal.rotation @ np.linalg.inv(crystal.lattice))
    rarest = min(np.unique(crystal.numbers), key=lambda z: (crystal.numbers == z).sum())
    candidates = np.flatnonzero(crystal.numbers == rarest)
    of_source = np.flatnonzero(cell.numbers == rarest)
    best, found = 4 * crystal.symprec + 1e-3, None
    if len(of_source) * len(crystal) == len(candidates) * len(cell.numbers):
        points = cell.frac_coords @ supercell
        for candidate in candidates:
            origin = points[of_source[0]] - crystal.frac_coords[candidate]
            apart = (points - origin)[:, None] - crystal.frac_coords
            cells = np.rint(apart)
            distance = np.linalg.norm((apart - cells) @ crystal.lattice, axis=-1)
            distance[cell.numbers[:, None] != crystal.numbers] = np.inf
            atoms = distance.argmin(1)
            off = distance.min(1).max()
            if off < best and len(np.unique(atoms)) == len(crystal):
                # a crystal may be almost its own image under a translation
                best, found = off, (atoms, cells[np.arange(len(atoms)), atoms].astype(int))
    if found is None:
        raise IrrepnetError(f"{cell.name} is not the crystal {crystal.formula} in the orientation that it was read in")
    return Description(*found, supercell.astype(int))
