"""Models of PythTB, as its own objects and back; it has no files."""

from __future__ import annotations

from typing import Any

import numpy as np

from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians.formats.shared import needs
from irrepnet.hamiltonians.model import Hamiltonian
from irrepnet.hamiltonians.orbitals import OrbitalBasis, real_if_real


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
