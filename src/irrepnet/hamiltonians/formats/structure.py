"""Lattice and orbitals for Hamiltonians whose files do not tell them, from a structure given beside."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from irrepnet.crystals import Cell, SymmetricCrystal
from irrepnet.crystals.cell import checked
from irrepnet.crystals.reading import only_cell
from irrepnet.errors import IrrepnetError
from irrepnet.groups import crystallographic_operations
from irrepnet.hamiltonians.formats.shared import has_ending
from irrepnet.hamiltonians.formats.wannier90_input import with_wannier90_input
from irrepnet.hamiltonians.formats.wannier_tools import is_wannier_tools, read_wannier_tools
from irrepnet.hamiltonians.model import Hamiltonian
from irrepnet.hamiltonians.orbitals import OrbitalBasis, Shell, shells_by_element, shells_from_text
from irrepnet.hamiltonians.symmetry import action, symmetry_residual

_OBEYED = 1e-6  # eV, no need to look for better axes
_BY_COUNT = {1: "s", 3: "p", 4: "sp", 5: "d", 9: "spd", 16: "spdf"}


def with_structure(
    found: Hamiltonian, structure: Path, shells: str | None, convention: str, centres: np.ndarray | None = None
) -> Hamiltonian:
    """The Hamiltonian with the orbitals that a structure and shells make, in the order of the code that wrote it.

    Args:
        structure: a .win file, which tells the shells too; a wt.in, or a structure file.
        shells: as `read_hamiltonian` takes them. If they make half as many orbitals, these have spin.
        convention: one of `orbitals.CONVENTIONS`.
        centres: (n, 3) Å of Wannier functions, Cartesian, if they are known.

    Raises IrrepnetError if the structure cannot be read, does not tell the shells or makes another number of orbitals.
    """
    if has_ending(structure, ".win"):
        if shells is not None:
            raise IrrepnetError(f"{structure}: its projections tell the shells, no others can be given")
        return with_wannier90_input(found, structure, centres)
    if is_wannier_tools(structure):
        cell, counts, fermi = read_wannier_tools(structure)
    else:
        cell, counts, fermi = _structure(structure), None, None
    from pymatgen.core.periodic_table import Element

    symbols = tuple(Element.from_Z(int(number)).symbol for number in cell.numbers)
    if shells is not None:
        try:
            by_element = shells_by_element(shells, symbols)
        except IrrepnetError as error:
            raise IrrepnetError(f"{structure}: {error}") from None
        wanted = [by_element.get(symbol, ()) for symbol in symbols]
    else:
        if counts is None and len(set(symbols)) == 1:
            count = len(found) // len(symbols)
            counts = [count if count in _BY_COUNT else count // 2] * len(symbols)  # half of them with spin
        if counts is None or len(counts) != len(symbols) or not set(counts) <= {*_BY_COUNT}:
            raise IrrepnetError(
                f"{structure}: does not tell which orbitals the {len(found)} of {found.name} are; say so with the "
                "basis, such as V:d or Ga:sp,As:sp"
            )
        wanted = [shells_from_text(_BY_COUNT[count]) for count in counts]
    sites = [atom for atom, own in enumerate(wanted) if own]
    made = tuple(Shell.of(site, l, convention) for site, atom in enumerate(sites) for l in wanted[atom])
    basis = OrbitalBasis(cell, cell.frac_coords[sites], made)
    basis = replace(basis, spinful=len(found) == 2 * len(basis))
    if len(basis) != len(found):
        raise IrrepnetError(
            f"{structure}: its {len(symbols)} atoms carry {len(basis)} orbitals by these shells, {found.name} has "
            f"{len(found)}; give the cell of the calculation"
        )
    found = replace(found, basis=basis, fermi=fermi if found.fermi is None else found.fermi)
    return _in_own_axes(found) if has_ending(structure, ".cif") else found


def _structure(path: Path) -> Cell:
    """With the lattice vectors as they are in the file: H(R) counts cells along them."""
    found = only_cell(path)
    return checked(found)._replace(lattice=found.lattice, frac_coords=found.frac_coords)


def _in_own_axes(hamiltonian: Hamiltonian) -> Hamiltonian:
    """With the lattice turned so that the crystal's axes lie along x, y, z in the way that H(R) obeys best.

    From the standard frame of the space group, by the rotations of m-3m and 6/mmm: a CIF has lengths and angles but no
    axes, and orbitals in wrong ones break the symmetry by eV.
    """
    from pymatgen.core.periodic_table import Element

    basis = hamiltonian.known_basis
    cell = basis.cell
    symbols = [Element.from_Z(int(number)).symbol for number in cell.numbers]
    record = {"species": symbols, "frac_coords": cell.frac_coords, "lattice": cell.lattice}
    standard = cell.lattice @ SymmetricCrystal.from_structure(record).rotation
    operations = crystallographic_operations()
    found, failure = [], None
    for turn in operations[np.linalg.det(operations) > 0]:
        turned = replace(basis, cell=cell._replace(lattice=standard @ turn.T))
        try:
            residual = symmetry_residual(hamiltonian, action(turned)).symmetry
        except IrrepnetError as error:  # a part of a shell is closed in some axes only
            failure = error
            continue
        found.append((residual, turned))
        if residual < _OBEYED:
            break
    if not found:
        raise failure or IrrepnetError(f"{cell.name}: no axes are found")
    return replace(hamiltonian, basis=min(found, key=lambda item: item[0])[1])
