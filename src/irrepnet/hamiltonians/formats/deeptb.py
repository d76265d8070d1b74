"""Folders of DeePTB. Needs h5py.

hamiltonians.h5, overlaps.h5 with a group for each frame and datasets "i_j_Rx_Ry_Rz", atoms from 0, m rising; cell.dat,
positions.dat (Å), atomic_numbers.dat, info.json. The shells are an option of every run, or in basis.dat of dftio.
Source: the documentation and the reader of DeePTB (github.com/deepmodeling/DeePTB).
"""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from irrepnet.crystals.text import read_text
from irrepnet.errors import IrrepnetError
from irrepnet.files import is_file
from irrepnet.hamiltonians.formats.block_folders import (
    Blocks,
    basis_of_atoms,
    info_of,
    letters,
    make_folder,
    numbers_in,
    read_blocks,
    reading,
    write_blocks,
)
from irrepnet.hamiltonians.formats.shared import save_numbers, save_text, whole
from irrepnet.hamiltonians.model import Hamiltonian
from irrepnet.hamiltonians.orbitals import LETTERS, OrbitalBasis, Shell, cell_as_given, shells_by_element


def read_deeptb(folder: Path, structure: Path | None = None, shells: str | None = None) -> Hamiltonian:
    """The first frame of a DeePTB folder; S if overlaps.h5 is there.

    Args:
        shells: on each element, "spd" for all or "Mg:sp,O:sspp"; also DeePTB's own "Mg:2s2p,O:2s2p1d". Those of
            basis.dat if None.

    Raises IrrepnetError if a file is missing or does not fit the shells, or a structure is given.
    """
    from pymatgen.core.periodic_table import Element

    with reading(folder, structure):
        elements = whole(numbers_in(folder, "atomic_numbers.dat"), "the numbers of atomic_numbers.dat")
        symbols = [Element.from_Z(int(z)).symbol for z in elements]
        lattice = numbers_in(folder, "cell.dat").reshape(-1, 3, 3)[0]
        positions = numbers_in(folder, "positions.dat").reshape(-1, 3)
        info = info_of(folder)
        count = info.get("natoms", 0)
        symbols = symbols[: count if count > 0 else len(symbols)]
        positions = positions[: len(symbols)]
        frac_coords = positions if info.get("pos_type") == "frac" else positions @ np.linalg.inv(lattice)
        cell = cell_as_given(lattice, symbols, frac_coords, str(folder))
        if shells is None:
            shells = _basis_file(folder / "basis.dat")
        shells = re.sub(r"(\d)([spdf])", lambda part: part[2] * int(part[1]), shells)
        wanted = shells_by_element(shells, tuple(symbols))
        made = tuple(Shell.of(atom, l) for atom, symbol in enumerate(symbols) for l in wanted.get(symbol, ()))
        basis = OrbitalBasis(cell, cell.frac_coords, made)
        return read_blocks(folder, basis, _blocks_in)


def _blocks_in(file: Any) -> Blocks:
    frame = file[min(file, key=int)]
    return {tuple(map(int, key.split("_"))): np.array(block) for key, block in frame.items()}


def _basis_file(path: Path) -> str:
    """{"Mg": "2s2p"} as a Python dictionary, to "Mg:2s2p"."""
    if not is_file(path):
        raise IrrepnetError(f"{path.parent}: a DeePTB folder without basis.dat; give the shells, such as Si:2s2p1d")
    try:
        found = ast.literal_eval(read_text(path))
    except SyntaxError as error:
        raise ValueError(f"{path.name} is no dictionary of shells by element") from error
    return ",".join(f"{element}:{shells}" for element, shells in found.items())


def write_deeptb(hamiltonian: Hamiltonian, folder: Path) -> None:
    """A DeePTB folder of one frame; orbitals are put into its order, and must be whole shells, else IrrepnetError."""
    hamiltonian = hamiltonian.in_convention("deeptb")
    basis = basis_of_atoms(hamiltonian)
    if basis.spinful:
        raise IrrepnetError(f"{hamiltonian.name}: DeePTB folders are written without spin")
    shells = {species: letters(basis, site) for site, species in enumerate(basis.species)}
    if any("".join(sorted(own, key=LETTERS.index)) != own for own in shells.values()):
        raise IrrepnetError(f"{hamiltonian.name}: DeePTB has shells in the order s, p, d, f")
    make_folder(folder)
    save_numbers(folder / "cell.dat", basis.cell.lattice)
    save_numbers(folder / "positions.dat", basis.centres @ basis.cell.lattice)
    save_numbers(folder / "atomic_numbers.dat", basis.cell.numbers, fmt="%d")
    info = {"nframes": 1, "natoms": len(basis.centres), "pos_type": "cart", "pbc": [True, True, True]}
    save_text(folder / "info.json", json.dumps(info))
    counted = {e: "".join(f"{own.count(l)}{l}" for l in LETTERS if l in own) for e, own in shells.items()}
    save_text(folder / "basis.dat", str(counted))
    write_blocks(folder, hamiltonian, lambda *key: "0/" + "_".join(map(str, key)))
