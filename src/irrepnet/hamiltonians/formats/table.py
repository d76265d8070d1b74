"""Reading and writing Hamiltonians by the kind of file."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from irrepnet.crystals import Cell, SymmetricCrystal, read_structures
from irrepnet.errors import IrrepnetError
from irrepnet.groups import crystallographic_operations
from irrepnet.hamiltonians.embedded import embedded_hamiltonians, load_hamiltonian
from irrepnet.hamiltonians.formats.block_folders import is_deeph, read_deeph, read_deeptb, write_deeph, write_deeptb
from irrepnet.hamiltonians.formats.sisl import read_sisl, write_sisl
from irrepnet.hamiltonians.formats.wannier90 import (
    read_wannier90,
    read_wannier_tools,
    with_wannier90_input,
    write_hr,
    write_tb,
)
from irrepnet.hamiltonians.model import Hamiltonian
from irrepnet.hamiltonians.orbitals import OrbitalBasis, Shell, cell_as_given, shells_by_element, shells_from_text
from irrepnet.hamiltonians.reduced import read_reduced, reduced, write_reduced
from irrepnet.hamiltonians.symmetry import action, symmetry_residual

KINDS = (
    "Wannier90 (*_hr.dat, *_tb.dat, also .gz), SIESTA (*.TSHS, *.HSX), a folder of DeepH or DeePTB, "
    "a reduced Hamiltonian (*.safetensors)"
)
_WANNIER90 = re.compile(r"(.*)_(hr|tb)\.dat(\.gz)?")
_OBEYED = 1e-6  # eV, no need to look for better axes
_BY_COUNT = {1: "s", 3: "p", 4: "sp", 5: "d", 9: "spd", 16: "spdf"}


def read_hamiltonian(path: str | Path, structure: str | Path | None = None, shells: str | None = None) -> Hamiltonian:
    """The Hamiltonian in a file or folder, or the embedded one of that name, with its orbitals where file and structure
    tell them.

    A Wannier90 file gets lattice and orbitals from seed.win beside it if `structure` is None, and has no basis if that
    is not there either.

    Args:
        structure: a .win file, an input of WannierTools (wt.in), or a structure file in the axes and with the lattice
            vectors of the calculation; only for files that do not hold it. A CIF has no axes: of those along
            the crystal's own, H(R) decides.
        shells: "spd" on all atoms, or "V:d" and so on by element, in the order of the code that wrote the file. Needed
            beside a structure file, unless all atoms are of one element and carry 1, 3, 4, 5, 9 or 16 orbitals: then
            these are s, p, sp, d, spd or spdf.

    Raises:
        IrrepnetError: the file is of no kind that is known, cannot be read, or does not fit the structure.
    """
    path = Path(path)
    if not path.exists() and str(path) in embedded_hamiltonians():
        return load_hamiltonian(str(path)).expand()
    if path.is_dir():
        if structure is not None:
            raise IrrepnetError(f"{path}: its folder holds the structure, no other can be given")
        return read_deeph(path) if is_deeph(path) else read_deeptb(path, shells)
    if path.suffix == ".safetensors":
        return replace(read_reduced(path).expand(), name=str(path))
    if path.suffix.upper() in (".TSHS", ".HSX"):
        found, convention = read_sisl(path), "sisl"
    else:
        match = _WANNIER90.fullmatch(path.name)
        if match is None:
            raise IrrepnetError(f"{path}: not a Hamiltonian by its name; known are {KINDS}")
        found, convention = read_wannier90(path), "wannier90"
        beside = path.with_name(match[1] + ".win")
        if structure is None and beside.is_file():
            structure = beside
    return found if structure is None else _with_structure(found, Path(structure), shells, convention)


def _with_structure(found: Hamiltonian, structure: Path, shells: str | None, convention: str) -> Hamiltonian:
    if structure.suffix == ".win":
        if shells is not None:
            raise IrrepnetError(f"{structure}: its projections tell the shells, no others can be given")
        return with_wannier90_input(found, structure)
    if structure.name == "wt.in":
        cell, counts, fermi = read_wannier_tools(structure)
    else:
        cell, counts, fermi = _structure(structure), None, found.fermi
    from pymatgen.core.periodic_table import Element

    symbols = tuple(Element.from_Z(int(number)).symbol for number in cell.numbers)
    if shells is not None:
        by_element = shells_by_element(shells, symbols)
        wanted = [by_element.get(symbol, ()) for symbol in symbols]
    else:
        if counts is None and len(set(symbols)) == 1:
            counts = [len(found) // len(symbols)] * len(symbols)
        if counts is None or len(counts) != len(symbols) or not set(counts) <= {*_BY_COUNT}:
            raise IrrepnetError(
                f"{structure}: does not tell which orbitals the {len(found)} of {found.name} are; say so with the "
                "basis, such as V:d or Ga:sp,As:sp"
            )
        wanted = [shells_from_text(_BY_COUNT[count]) for count in counts]
    sites = [atom for atom, own in enumerate(wanted) if own]
    made = tuple(Shell.of(site, l, convention) for site, atom in enumerate(sites) for l in wanted[atom])
    basis = OrbitalBasis(cell, cell.frac_coords[sites], made)
    if len(basis) != len(found):
        raise IrrepnetError(
            f"{structure}: its {len(symbols)} atoms carry {len(basis)} orbitals by these shells, {found.name} has "
            f"{len(found)}; give the cell of the calculation"
        )
    found = replace(found, basis=basis, fermi=fermi)
    return _in_own_axes(found) if structure.suffix.lower() == ".cif" else found


def _structure(path: Path) -> Cell:
    structures = read_structures(path)
    if len(structures) != 1:
        raise IrrepnetError(f"{path}: holds {len(structures)} structures, one was expected")
    (only,) = structures
    species = [site.species_string for site in only]
    return cell_as_given(only.lattice.matrix, species, only.frac_coords, str(path))


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


def write_hamiltonian(hamiltonian: Hamiltonian, path: str | Path) -> None:
    """Write by the name: *_hr.dat, *_tb.dat (also .gz), *.TSHS, *.HSX, *.safetensors (its symmetric part, reduced), or
    a folder that ends in .deeph or .deeptb.

    Raises IrrepnetError for another name, or what that format cannot hold.
    """
    path = Path(path)
    match = _WANNIER90.fullmatch(path.name)
    if match is not None:
        (write_hr if match[2] == "hr" else write_tb)(hamiltonian, path)
    elif path.suffix.upper() in (".TSHS", ".HSX"):
        write_sisl(hamiltonian, path)
    elif path.suffix == ".safetensors":
        write_reduced(reduced(hamiltonian), path)
    elif path.suffix == ".deeph":
        write_deeph(hamiltonian, path)
    elif path.suffix == ".deeptb":
        write_deeptb(hamiltonian, path)
    else:
        raise IrrepnetError(
            f"{path}: cannot be written; end the name in _hr.dat, _tb.dat, .TSHS, .HSX, .safetensors, .deeph or .deeptb"
        )
