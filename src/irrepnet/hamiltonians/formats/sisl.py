"""Hamiltonians of sisl, as its own objects and back, and SIESTA's TSHS and HSX files through it."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from irrepnet.errors import IrrepnetError
from irrepnet.files import is_file
from irrepnet.hamiltonians.formats.shared import needs
from irrepnet.hamiltonians.formats.structure import with_structure
from irrepnet.hamiltonians.model import Hamiltonian
from irrepnet.hamiltonians.orbitals import OrbitalBasis, Shell, cell_as_given, real_if_real

_LONGEST = 1e3  # Å, a radius that no interaction exceeds: sisl checks that orbitals reach where elements are


def read_sisl(path: Path, structure: Path | None = None, shells: str | None = None) -> Hamiltonian:
    """A file that sisl reads, TSHS or HSX of SIESTA: see `from_sisl`.

    Energies are relative to the Fermi energy, which is 0 then, if the file has one. Files of old versions have none; in
    those that sisl itself has written the place for it holds 0, whatever it is, and that is none either.
    """
    sisl = needs("sisl")
    if not is_file(path):
        raise IrrepnetError(f"{path}: no such file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            file = sisl.get_sile(str(path))
            source = file.read_hamiltonian()
            level = file.read_fermi_level()  # None or 0 with a warning where it is not there
    except Exception as error:  # a parser meets bad input in any way it likes
        raise IrrepnetError(f"{path}: sisl cannot read it: {' '.join(str(error).split())}") from error
    found = replace(from_sisl(source, str(path)), fermi=0.0 if level else None)
    return found if structure is None else with_structure(found, structure, shells, "sisl")


def write_sisl(hamiltonian: Hamiltonian, path: Path) -> None:
    """A TSHS or HSX file, by the ending of its name. Of these, HSX keeps the elements and the shells.

    Energies are relative to the Fermi energy if it is known, as in all that sisl reads.
    """
    sisl = needs("sisl")
    if path.suffix.lower() == ".hsx" and "X" in hamiltonian.known_basis.species:
        raise IrrepnetError(f"{path}: an HSX has an element for each site, and some orbitals are on no atom")
    if hamiltonian.fermi is not None:
        unit = np.eye(len(hamiltonian)) * (hamiltonian.R == 0).all(1)[:, None, None]
        shifted = hamiltonian.H - hamiltonian.fermi * (unit if hamiltonian.S is None else hamiltonian.S)
        hamiltonian = replace(hamiltonian, H=shifted, fermi=0.0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sisl.get_sile(str(path), mode="w").write_hamiltonian(to_sisl(hamiltonian))
    except IrrepnetError:
        raise
    except Exception as error:
        raise IrrepnetError(f"{path}: sisl cannot write it: {' '.join(str(error).split())}") from error


def from_sisl(source: Any, name: str = "sisl") -> Hamiltonian:
    """From a `sisl.Hamiltonian`, with spin if it has some; S if its orbitals are not orthogonal. It knows no Fermi
    energy.

    One that is spin-polarised has spin too, up and down without elements between: `spin_channels` gives both.

    The basis is that of its atomic orbitals, in SIESTA's convention of signs, a run of 2l+1 to a shell. A TSHS file
    has neither these nor the elements: then there is no basis, give structure and shells.

    Raises IrrepnetError for superconductors, or orbitals that are not whole shells.
    """
    if source.spin.is_nambu:
        raise IrrepnetError(f"{name}: Hamiltonians of superconductors are not supported")
    R = np.asarray(source.geometry.lattice.sc_off, int)
    n = source.geometry.no

    def blocks(component: int) -> np.ndarray:
        return np.ascontiguousarray(source.tocsr(component).toarray().reshape(n, len(R), n).swapaxes(0, 1))

    basis = _sisl_basis(source.geometry, name)
    S = None if source.orthogonal else blocks(source.S_idx)
    if source.spin.is_unpolarized:
        return Hamiltonian(R, blocks(0), S, basis, name=name)

    def between(name: str) -> np.ndarray:
        """M11, M12, … by the name of the component, in some kinds two: its real and its imaginary part."""
        if hasattr(source, name):
            return blocks(getattr(source, name))
        return blocks(getattr(source, name + "r")) + 1j * blocks(getattr(source, name + "i"))

    H = np.zeros((len(R), n, 2, n, 2), complex)
    if source.spin.is_polarized:
        H[:, :, 0, :, 0], H[:, :, 1, :, 1] = blocks(source.UP), blocks(source.DOWN)
    else:
        H[:, :, 0, :, 0], H[:, :, 1, :, 1], H[:, :, 0, :, 1] = map(between, ("M11", "M22", "M12"))
        H[:, :, 1, :, 0] = between("M21") if source.spin.is_spinorbit else H[:, :, 0, :, 1].conj()
    S = None if S is None else np.kron(S, np.eye(2))
    basis = None if basis is None else replace(basis, spinful=True)
    return Hamiltonian(R, real_if_real(H.reshape(len(R), 2 * n, 2 * n)), S, basis, name=name)


def _sisl_basis(geometry: Any, name: str) -> OrbitalBasis | None:
    shells = []
    for site, atom in enumerate(geometry.atoms):
        if not all(hasattr(orbital, "l") and hasattr(orbital, "m") for orbital in atom.orbitals):
            return None
        orbitals = [(int(orbital.l), int(orbital.m)) for orbital in atom.orbitals]
        at = 0
        while at < len(orbitals):
            l = orbitals[at][0]
            shell = Shell.of(site, l, "sisl")
            if orbitals[at : at + 2 * l + 1] != [(l, m) for m in shell.m]:
                raise IrrepnetError(f"{name}: the orbitals of atom {site + 1} are no whole shells of rising m")
            shells.append(shell)
            at += 2 * l + 1
    lattice = np.array(geometry.lattice.cell)
    species = [atom.symbol for atom in geometry.atoms]
    cell = cell_as_given(lattice, species, geometry.xyz @ np.linalg.inv(lattice), name)
    return OrbitalBasis(cell, cell.frac_coords, tuple(shells))


def to_sisl(hamiltonian: Hamiltonian) -> Any:
    """A `sisl.Hamiltonian`, spin–orbit if it has spin; orbitals are put into SIESTA's order. Raises IrrepnetError
    unless they are whole shells, site by site, and H is real where there is no spin."""
    from scipy.sparse import csr_matrix

    sisl = needs("sisl")
    hamiltonian = hamiltonian.in_convention("sisl")
    basis = hamiltonian.known_basis
    hamiltonian = hamiltonian if basis.spinful else hamiltonian.as_real()
    if (np.diff(basis.site_of) < 0).any():
        raise IrrepnetError(f"{hamiltonian.name}: sisl has the orbitals site by site")
    atoms, n = [], len(basis) // basis.spins
    for site, symbol in enumerate(basis.species):
        zeta: dict[int, int] = {}
        orbitals = []
        for shell in basis.shells_of(site):
            zeta[shell.l] = zeta.get(shell.l, 0) + 1
            orbitals += [
                sisl.AtomicOrbital(n=shell.l + 1, l=shell.l, m=m, zeta=zeta[shell.l], R=_LONGEST) for m in shell.m
            ]
        atoms.append(sisl.Atom(symbol if symbol != "X" else 0, orbitals=orbitals))
    lattice = sisl.Lattice(basis.cell.lattice, nsc=2 * abs(hamiltonian.R).max(0) + 1)
    geometry = sisl.Geometry(basis.centres @ basis.cell.lattice, atoms=atoms, lattice=lattice)

    def matrix(blocks: np.ndarray) -> Any:
        full = np.zeros((n, lattice.n_s, n), blocks.dtype)
        for R, block in zip(hamiltonian.R, blocks):
            full[:, lattice.sc_index(R)] = block
        return csr_matrix(full.reshape(n, -1))

    def part(blocks: np.ndarray, row: int = 0, column: int = 0) -> np.ndarray:
        """Of spins row and column, each 0 for up and 1 for down; all of it where there is no spin."""
        return blocks[:, row :: basis.spins, column :: basis.spins]

    H, S = hamiltonian.H, None if hamiltonian.S is None else matrix(np.real(part(hamiltonian.S)))
    components, more = [part(H)], {}
    if basis.spinful:
        (uu, ud), (du, dd) = ([part(H, row, column) for column in (0, 1)] for row in (0, 1))
        components = [np.real(uu), np.real(dd), np.real(ud), np.imag(ud)]
        components += [np.imag(uu), np.imag(dd), np.real(du), np.imag(du)]
        more = {"spin": sisl.Spin("spin-orbit")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [matrix(each) for each in components]
        return sisl.Hamiltonian.fromsp(geometry, found if basis.spinful else found[0], S=S, **more)
