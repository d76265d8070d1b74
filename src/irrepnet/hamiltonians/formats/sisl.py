"""Hamiltonians of sisl (with SIESTA's TSHS and HSX through it) and of PythTB, as their own objects and back."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians.formats.block_folders import needs
from irrepnet.hamiltonians.model import Hamiltonian
from irrepnet.hamiltonians.orbitals import OrbitalBasis, Shell, cell_as_given, real_if_real

_LONGEST = 1e3  # Å, a radius that no interaction exceeds: sisl checks that orbitals reach where elements are


def read_sisl(path: str | Path) -> Hamiltonian:
    """A file that sisl reads, TSHS or HSX of SIESTA: see `from_sisl`. Energies are relative to the Fermi energy."""
    sisl = needs("sisl")
    if not Path(path).is_file():
        raise IrrepnetError(f"{path}: no such file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = sisl.get_sile(str(path)).read_hamiltonian()
    except Exception as error:  # a parser meets bad input in any way it likes
        raise IrrepnetError(f"{path}: sisl cannot read it: {' '.join(str(error).split())}") from error
    return from_sisl(found, str(path))


def write_sisl(hamiltonian: Hamiltonian, path: str | Path) -> None:
    """A TSHS or HSX file, by the ending of its name. Of these, HSX keeps the elements and the shells."""
    sisl = needs("sisl")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sisl.get_sile(str(path), mode="w").write_hamiltonian(to_sisl(hamiltonian))
    except IrrepnetError:
        raise
    except Exception as error:
        raise IrrepnetError(f"{path}: sisl cannot write it: {' '.join(str(error).split())}") from error


def from_sisl(source: Any, name: str = "sisl") -> Hamiltonian:
    """From a `sisl.Hamiltonian` without spin; S if its orbitals are not orthogonal.

    The basis is that of its atomic orbitals, in SIESTA's convention of signs, a run of 2l+1 to a shell. A TSHS file
    has neither these nor the elements: then there is no basis, give structure and shells.

    Raises IrrepnetError for other spins, or orbitals that are not whole shells.
    """
    if source.spin.kind != 0:
        raise IrrepnetError(f"{name}: only Hamiltonians without spin are supported")
    R = np.asarray(source.geometry.lattice.sc_off, int)
    n = source.geometry.no

    def blocks(component: int) -> np.ndarray:
        return np.ascontiguousarray(source.tocsr(component).toarray().reshape(n, len(R), n).swapaxes(0, 1))

    S = None if source.orthogonal else blocks(1)
    return Hamiltonian(R, blocks(0), S, _sisl_basis(source.geometry, name), 0.0, name)


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
    """A `sisl.Hamiltonian`; orbitals are put into SIESTA's order. Raises IrrepnetError unless they are whole shells,
    site by site, and H is real."""
    from scipy.sparse import csr_matrix

    sisl = needs("sisl")
    hamiltonian = hamiltonian.in_convention("sisl").as_real()
    basis = hamiltonian.known_basis
    if (np.diff(basis.site_of) < 0).any():
        raise IrrepnetError(f"{hamiltonian.name}: sisl has the orbitals site by site")
    atoms, n = [], len(basis)
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
        full = np.zeros((n, lattice.n_s, n))
        for R, block in zip(hamiltonian.R, blocks):
            full[:, lattice.sc_index(R)] = block
        return csr_matrix(full.reshape(n, -1))

    parts = [matrix(hamiltonian.H)] + ([] if hamiltonian.S is None else [matrix(hamiltonian.S)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if hamiltonian.S is None:
            return sisl.Hamiltonian.fromsp(geometry, parts[0])
        return sisl.Hamiltonian.fromsp(geometry, parts[0], S=parts[1])


def from_pythtb(model: Any, basis: OrbitalBasis | None = None) -> Hamiltonian:
    """From a `pythtb.tb_model` in three dimensions without spin. It knows places of orbitals but not what they are: the
    basis, if there is symmetry to be used, must be given."""
    if model._dim_k != 3 or model._nspin != 1:
        raise IrrepnetError("PythTB models are read in three dimensions and without spin")
    n = model.get_num_orbitals()
    blocks: dict[tuple[int, ...], np.ndarray] = {(0, 0, 0): np.diag(model._site_energies).astype(complex)}
    for amplitude, i, j, *R in model._hoppings:
        x, y, z = (int(step) for step in R[0])
        blocks.setdefault((x, y, z), np.zeros((n, n), complex))[i, j] += amplitude
        blocks.setdefault((-x, -y, -z), np.zeros((n, n), complex))[j, i] += np.conj(amplitude)
    cells = sorted(blocks)
    H = np.array([blocks[R] for R in cells])
    return Hamiltonian(np.array(cells), real_if_real(H), None, basis, name="PythTB model")


def to_pythtb(hamiltonian: Hamiltonian) -> Any:
    """A `pythtb.tb_model` with the orbitals at their centres. Raises IrrepnetError if they are not orthonormal."""
    if hamiltonian.S is not None:
        raise IrrepnetError(f"{hamiltonian.name}: PythTB has no overlap; take `orthogonalised` first")
    pythtb = needs("pythtb")
    basis = hamiltonian.known_basis
    model = pythtb.tb_model(3, 3, basis.cell.lattice, basis.centres[basis.site_of])
    home = hamiltonian.H[hamiltonian.index(np.zeros(3, int))]
    model.set_onsite(np.real(np.diag(home)))
    for R, block in zip(hamiltonian.R.tolist(), hamiltonian.H):
        for i, j in np.argwhere(block).tolist():
            if (*R, j) > (0, 0, 0, i):  # of an element and its conjugate, one
                model.set_hop(block[i, j], i, j, R, mode="add")
    return model
