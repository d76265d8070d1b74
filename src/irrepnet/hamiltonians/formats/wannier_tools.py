"""The input of WannierTools (wt.in): cell, atoms and Fermi energy for a Hamiltonian that lacks them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from irrepnet.crystals import Cell
from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians.formats.shared import read_text
from irrepnet.hamiltonians.model import BOHR
from irrepnet.hamiltonians.orbitals import cell_as_given


def read_wannier_tools(path: str | Path) -> tuple[Cell, list[int], float | None]:
    """Cell, number of orbitals of each atom and Fermi energy (eV) from an input of WannierTools (wt.in).

    Its names of projectors are not read: the program does not use their order, and inputs in the wild have others than
    the Hamiltonian.

    Raises IrrepnetError if a block is missing or cannot be read.
    """
    path = Path(path)
    lines = [re.split(r"[!#]", line)[0].strip() for line in read_text(path).splitlines()]
    heads = [line.upper() for line in lines]
    try:
        at = heads.index("LATTICE") + 1
        unit = BOHR if heads[at].startswith("BOHR") else 1.0
        lattice = unit * np.array([line.split()[:3] for line in lines[at + 1 : at + 4]], float)
        at = heads.index("ATOM_POSITIONS") + 1
        rows = [line.split() for line in lines[at + 2 : at + 2 + int(lines[at].split()[0])]]
        coords = np.array([row[1:4] for row in rows], float)
        if heads[at + 1].startswith("C"):
            coords = unit * coords @ np.linalg.inv(lattice)
        at = heads.index("PROJECTORS") + 1
        counts = [int(word) for word in lines[at].split()]
        energies = [line.split("=")[1] for line in heads if re.match(r"E_FERMI\s*=", line)]
        fermi = float(energies[0]) if energies else None
    except (ValueError, IndexError, np.linalg.LinAlgError) as error:
        raise IrrepnetError(f"{path}: cannot be read as an input of WannierTools: {error}") from error
    return cell_as_given(lattice, [row[0] for row in rows], coords, str(path)), counts, fermi
