"""POSCAR, read by pymatgen; its scale (one number, a volume, or three numbers) is applied here."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator

import numpy as np

from irrepnet.crystals.cell import Cell
from irrepnet.errors import IrrepnetError
from irrepnet.inlets import check_atoms


def read_poscar(text: str) -> Iterator[Cell]:
    """The crystal of a POSCAR, not yet checked.

    The second line is one number (of Å), a negative one (the volume, Å³), or three; Cartesian coordinates are scaled
    like the lattice. The elements stand in a line of their own, behind the coordinates, or else in the first line, one
    for each count. Source: the format's page in VASP's manual.

    Raises:
        IrrepnetError: without elements, or a scale that is none; other faults raise what pymatgen raises.
    """
    from pymatgen.io.vasp import Poscar

    first, *lines = text.splitlines()
    lines = [re.sub(r"(?<=[\d.])[dD](?=[+-]?\d)", "e", line.split("!")[0]) for line in lines]
    if len(lines) < 6:
        raise IrrepnetError(f"it ends after {len(lines) + 1} lines")
    scale = _scale(lines[0])
    lines[0] = "1.0"  # the fractional coordinates are the same in any scale
    symbols = _elements_of(first, lines[4])
    counts = next((row.split() for row in lines[4:6] if row.strip() and _are_counts(row.split())), [])
    check_atoms(sum(int(word[:12]) for word in counts))  # pymatgen makes a list of them before it reads any
    with warnings.catch_warnings():
        # Without elements pymatgen warns and invents H, He, Li...; that must never pass.
        warnings.filterwarnings("error", message=".*false names.*")
        warnings.filterwarnings("ignore", message=".*([Ss]elective dynamics|default_names).*")  # not of the crystal
        structure = Poscar.from_str(
            "\n".join(["title", *lines]), default_names=symbols, read_velocities=False
        ).structure
    lattice = structure.lattice.matrix
    if len(scale) == 1 and scale[0] < 0:
        scale = np.cbrt(-scale / abs(np.linalg.det(lattice)))
    numbers = np.array([site.specie.Z for site in structure], int)
    notes = () if symbols is None else (f"the elements are those of the first line, {' '.join(symbols)}",)
    yield Cell(lattice * scale, structure.frac_coords, numbers, "", notes)


def _scale(line: str) -> np.ndarray:
    """(1,) or (3,), of the Cartesian components."""
    numbers = []
    for word in line.split():
        try:
            numbers.append(float(word))
        except ValueError:
            break
    scale = np.array(numbers[:3] if len(numbers) >= 3 else numbers[:1])
    if not len(scale) or not np.isfinite(scale).all() or (scale == 0).any() or (len(scale) == 3 and (scale < 0).any()):
        raise IrrepnetError(f"its scale is {line.strip()!r}, not a number, a negative volume or three positive numbers")
    return scale


def _elements_of(first: str, line: str) -> list[str] | None:
    """The elements in the first line, if the sixth has counts, and the first as many elements and nothing else."""
    from pymatgen.core import Element

    if not _are_counts(line.split()):
        return None
    words = first.split()
    return words if len(words) == len(line.split()) and all(map(Element.is_valid_symbol, words)) else None


def _are_counts(words: list[str]) -> bool:
    return all(word.isdecimal() for word in words)
