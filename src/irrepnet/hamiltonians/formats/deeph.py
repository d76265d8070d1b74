"""Folders of DeepH. Needs h5py.

hamiltonians.h5, overlaps.h5 with datasets "[Rx, Ry, Rz, i, j]", atoms from 1, orbitals in the order of OpenMX
(px py pz; dz2 dx2-y2 dxy dxz dyz); lat.dat and rlat.dat (columns are the vectors), site_positions.dat (3, n, Å),
element.dat, orbital_types.dat (l of the shells of each atom), info.json with the Fermi level. With spin (isspinful) a
block of H has all orbitals of an atom up and then all down, one of S the orbitals alone. Source: the documentation and
the reader of DeepH-pack (github.com/mzjb/DeepH-pack).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians.formats.block_folders import (
    H_FILE,
    Blocks,
    basis_of_atoms,
    info_of,
    make_folder,
    numbers_in,
    read_blocks,
    reading,
    text,
    write_blocks,
)
from irrepnet.hamiltonians.formats.shared import energy, save_numbers, save_text, whole
from irrepnet.hamiltonians.model import Hamiltonian
from irrepnet.hamiltonians.orbitals import OrbitalBasis, Shell, cell_as_given
from irrepnet.hamiltonians.spin import side_by_side
from irrepnet.inlets import json_value


def is_deeph(folder: Path) -> bool:
    """Whether it has the file of shells that no other code's folder has."""
    return (folder / "orbital_types.dat").is_file()


def read_deeph(folder: Path, structure: Path | None = None, shells: str | None = None) -> Hamiltonian:
    """A DeepH folder, which tells its shells itself; S if overlaps.h5 is there.

    Raises IrrepnetError if a file is missing or does not fit, or a structure is given.
    """
    from pymatgen.core.periodic_table import Element

    with reading(folder, structure):
        lattice = numbers_in(folder, "lat.dat").reshape(3, 3).T
        positions = numbers_in(folder, "site_positions.dat").reshape(3, -1).T
        elements = whole(numbers_in(folder, "element.dat"), "the atomic numbers of element.dat")
        lines = [line.split() for line in text(folder, "orbital_types.dat").splitlines() if line.strip()]
        if not len(lines) == len(elements) == len(positions):
            raise IrrepnetError(f"{folder}: element.dat, site_positions.dat and orbital_types.dat differ in atoms")
        info = info_of(folder)
        symbols = [Element.from_Z(int(number)).symbol for number in elements]
        cell = cell_as_given(lattice, symbols, positions @ np.linalg.inv(lattice), str(folder))
        made = tuple(Shell.of(atom, int(l), "deeph") for atom, ls in enumerate(lines) for l in ls)
        basis = OrbitalBasis(cell, cell.frac_coords, made, spinful=bool(info.get("isspinful")))
        fermi = energy(info.get("fermi_level"), folder / "info.json", "fermi_level")
        return read_blocks(folder, basis, lambda file: _blocks_in(file, basis), fermi)


def _blocks_in(file: Any, basis: OrbitalBasis) -> Blocks:
    found = {}
    for key, block in file.items():
        x, y, z, i, j = json_value(key)
        a, b, block = i - 1, j - 1, np.array(block)
        if basis.spinful:
            if block.shape == (len(basis.orbitals[a]) // 2, len(basis.orbitals[b]) // 2):  # of S
                block = np.kron(np.eye(2), block)
            block = block[np.ix_(*(side_by_side(size) for size in block.shape))]
        found[a, b, x, y, z] = block
    return found


def write_deeph(hamiltonian: Hamiltonian, folder: Path) -> None:
    """A DeepH folder; orbitals are put into its order. Raises IrrepnetError unless all orbitals are whole shells."""
    hamiltonian = hamiltonian.in_convention("deeph")
    basis = basis_of_atoms(hamiltonian)
    lattice = basis.cell.lattice
    make_folder(folder)
    save_numbers(folder / "lat.dat", lattice.T)
    save_numbers(folder / "rlat.dat", 2 * np.pi * np.linalg.inv(lattice))
    save_numbers(folder / "site_positions.dat", (basis.centres @ lattice).T)
    save_numbers(folder / "element.dat", basis.cell.numbers, fmt="%d")
    lines = [" ".join(str(s.l) for s in basis.shells_of(site)) for site in range(len(basis.centres))]
    save_text(folder / "orbital_types.dat", "\n".join(lines) + "\n")
    info = {"isspinful": basis.spinful} | ({} if hamiltonian.fermi is None else {"fermi_level": hamiltonian.fermi})
    save_text(folder / "info.json", json.dumps(info))
    write_blocks(folder, hamiltonian, lambda a, b, *R: str([*R, a + 1, b + 1]), _in_file if basis.spinful else None)


def _in_file(block: np.ndarray, name: str) -> np.ndarray:
    """All up and then all down, of the overlap up alone."""
    rows, columns = (np.argsort(side_by_side(size)) for size in block.shape)
    block = block[np.ix_(rows, columns)]
    return block if name == H_FILE else block[: len(rows) // 2, : len(columns) // 2]
