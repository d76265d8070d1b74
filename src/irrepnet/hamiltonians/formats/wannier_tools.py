"""The input of WannierTools (wt.in): cell, atoms and Fermi energy for a Hamiltonian that lacks them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from irrepnet.crystals import Cell
from irrepnet.crystals.text import read_text
from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians.formats.shared import element_of, energy, numbers, table, whole, words_of
from irrepnet.hamiltonians.model import BOHR
from irrepnet.hamiltonians.orbitals import cell_as_given


def is_wannier_tools(path: Path) -> bool:
    """Whether a file is called wt.in, or wt.in-bands and the like, in letters of any case."""
    return re.fullmatch(r"wt\.in(\W.*)?", path.name.lower()) is not None


def read_wannier_tools(path: str | Path) -> tuple[Cell, list[int], float | None]:
    """Cell, number of orbitals of each atom and Fermi energy (eV, None without E_FERMI) from an input of WannierTools.

    Its names of projectors are not read: the program does not use their order, and inputs in the wild have others than
    the Hamiltonian.

    Raises IrrepnetError if a block is missing or cannot be read.
    """
    path = Path(path)
    lines = [line for raw in read_text(path).splitlines() if (line := re.split(r"[!#]", raw)[0].strip())]
    heads = [line.split()[0].upper() for line in lines]
    try:
        at = _card(heads, "LATTICE") + 1
        if not heads[at].startswith(("ANG", "BOHR")):
            raise ValueError(f"LATTICE is in Angstrom or Bohr, not in {lines[at]!r}")
        unit = BOHR if heads[at].startswith("BOHR") else 1.0
        lattice = unit * table(lines[at + 1 : at + 4], slice(3), "LATTICE")
        at = _card(heads, "ATOM_POSITIONS") + 1
        count = int(words_of(lines[at])[0])
        rows = lines[at + 2 : at + 2 + count]
        coords = table(rows, slice(1, 4), "ATOM_POSITIONS")
        if len(rows) != count or heads[at + 1][0] not in "DC":
            raise ValueError(f"ATOM_POSITIONS are not {count} rows after Direct or Cartesian")
        if heads[at + 1].startswith("C"):
            coords = unit * coords @ np.linalg.inv(lattice)
        species = [element_of(words_of(row)[0]) for row in rows]
        at = _card(heads, "PROJECTORS", "PROJECTOR") + 1
        words = [word for line in lines[at:] for word in words_of(line)]  # they may go on in the next line
        counts = whole(numbers(words[:count]), "the numbers of projectors").tolist()
    except (ValueError, IndexError) as error:
        raise IrrepnetError(f"{path}: cannot be read as an input of WannierTools: {error}") from error
    return cell_as_given(lattice, species, coords, str(path)), counts, _fermi(lines, path)


def _card(heads: list[str], *names: str) -> int:
    """The line that begins a card of one of these names."""
    found = [at for at, head in enumerate(heads) if head in names]
    if not found:
        raise ValueError(f"it has no {names[0]}")
    return found[0]


def _fermi(lines: list[str], path: Path) -> float | None:
    """E_FERMI of a namelist, which may have several entries in a line; the last counts."""
    entries = re.findall(r"(?<!\w)E_FERMI\s*=\s*([^\s,/]*)", "\n".join(lines), flags=re.IGNORECASE)
    return energy(entries[-1], path, "E_FERMI") if entries else None
