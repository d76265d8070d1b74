"""A symmetric Hamiltonian by its independent numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians.blocks import BondOrbit, bond_orbit, bond_orbits, mean_block, orbit_blocks
from irrepnet.hamiltonians.model import Hamiltonian, cell_index
from irrepnet.hamiltonians.orbitals import OrbitalBasis
from irrepnet.hamiltonians.symmetry import SYMPREC, Action, action


@dataclass(frozen=True, eq=False)
class ReducedHamiltonian:
    """A Hamiltonian by its independent numbers; `expand` gives the blocks again.

    What is stored is the symmetric part: see `symmetry.symmetry_residual` for the rest.
    """

    basis: OrbitalBasis
    symprec: float
    """Å, with which the space group is found again."""
    bonds: np.ndarray
    """(orbits, 5) int: a, b and the cell R of the first member of each orbit."""
    H: np.ndarray
    """(numbers,) eV, the coefficients of all orbits in their order."""
    S: np.ndarray | None = None
    """(numbers,) of the overlap."""
    fermi: float | None = None
    """eV"""
    H0: np.ndarray | None = None
    """(numbers,) eV, of free atoms' densities without self-consistency."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """Where the numbers come from, as JSON has it; see `dft.generate.generate` for those made there."""

    def __len__(self) -> int:
        """The number of independent numbers of H."""
        return len(self.H)

    def in_single_precision(self) -> ReducedHamiltonian:
        """With numbers of 32 bits: 6e-8 of each, 4e-6 eV of an element of 64 eV."""
        H, S, H0 = (None if part is None else part.astype(np.float32) for part in (self.H, self.S, self.H0))
        assert H is not None
        return replace(self, H=H, S=S, H0=H0)

    @cached_property
    def orbits(self) -> tuple[Action, list[BondOrbit]]:
        act = action(self.basis, self.symprec)
        orbits = [bond_orbit(act, a, b, np.array(R)) for a, b, *R in self.bonds.tolist()]
        if sum(len(orbit.space) for orbit in orbits) != len(self.H):
            raise IrrepnetError(f"{self.basis.cell.name}: the numbers do not fit the symmetry found in the structure")
        return act, orbits

    @property
    def probe(self) -> float:
        """The first members' blocks, added up with fixed weights: it tells whether the numbers are read
        with the bases of blocks that they were written with."""
        bases = [orbit.space.basis for orbit in self.orbits[1]]
        flat = [basis.reshape(len(basis), basis.shape[1] * basis.shape[2]) for basis in bases]  # some allow nothing
        sums = [np.real(basis) @ np.cos(np.arange(1.0, basis.shape[1] + 1)) for basis in flat]
        return float(np.concatenate(sums) @ self.H.astype(float))

    def expand(self) -> Hamiltonian:
        """All blocks H(R), S(R), H0(R): Hermitian and symmetric by construction."""
        act, orbits = self.orbits
        R = np.unique(np.concatenate([np.zeros((1, 3), int), *(orbit.members[:, 2:] for orbit in orbits)]), axis=0)
        H = expanded(act, orbits, R, self.H)
        S, H0 = (None if part is None else expanded(act, orbits, R, part) for part in (self.S, self.H0))
        return Hamiltonian(R, H, S, self.basis, self.fermi, self.basis.cell.name, H0=H0)


def expanded(act: Action, orbits: Sequence[BondOrbit], R: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """(cells, n, n) the blocks in the cells R (cells, 3), from the coefficients (m,) of all orbits in their order."""
    index, basis = cell_index(R), act.basis
    full = np.zeros((len(R), len(basis), len(basis)), complex if basis.spinful else float)
    start = 0
    for orbit in orbits:
        stop = start + len(orbit.space)
        images = orbit_blocks(act, orbit, orbit.space.blocks(numbers[start:stop]))
        start = stop
        for member, block in zip(orbit.members, images):
            full[index(member[2:]), basis.orbitals[member[0]][:, None], basis.orbitals[member[1]]] = block
    return full


def coefficients(act: Action, orbits: Sequence[BondOrbit], R: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """(m,) the mean coefficients over each orbit of blocks (cells, n, n) in the cells R; missing blocks are zero."""
    index, basis = cell_index(R), act.basis
    padded = np.concatenate([blocks, np.zeros_like(blocks[:1])])
    found = [np.zeros(0)]
    for orbit in orbits:
        places = ((index(m[2:]), basis.orbitals[m[0]][:, None], basis.orbitals[m[1]]) for m in orbit.members)
        found.append(orbit.space.coefficients(mean_block(act, orbit, (padded[place] for place in places))))
    return np.concatenate(found)


def reduced(
    hamiltonian: Hamiltonian, symprec: float = SYMPREC, cutoff: float = np.inf, negligible: float = 0.0
) -> ReducedHamiltonian:
    """The independent numbers of a Hamiltonian: of its blocks with an element above `negligible` (eV, and of S), none
    longer than `cutoff` Å.

    A Hamiltonian that is not symmetric is made so: each number is the mean over the orbit's blocks.

    Raises:
        IrrepnetError: H or S is not real, or its orbitals are not, and there is no spin.
    """
    basis = hamiltonian.known_basis
    act = action(basis, symprec)
    hamiltonian = hamiltonian if basis.spinful else hamiltonian.as_real()
    parts = [part for part in (hamiltonian.H, hamiltonian.S, hamiltonian.H0) if part is not None]
    bonds = []
    for a, b in np.ndindex(len(basis.centres), len(basis.centres)):
        own = np.ix_(range(len(hamiltonian.R)), basis.orbitals[a], basis.orbitals[b])
        present = np.logical_or.reduce([(abs(part[own]) > negligible).any((1, 2)) for part in parts])
        cells = hamiltonian.R[present]
        vectors = (basis.centres[b] + cells - basis.centres[a]) @ basis.cell.lattice
        cells = cells[np.linalg.norm(vectors, axis=1) <= cutoff]
        bonds.append(np.column_stack([np.full((len(cells), 2), (a, b)), cells]))
    orbits = bond_orbits(act, np.concatenate(bonds))

    def numbers(blocks: np.ndarray | None) -> np.ndarray | None:
        return None if blocks is None else coefficients(act, orbits, hamiltonian.R, blocks)

    first = np.array([(*orbit.sites, *orbit.R) for orbit in orbits])
    H = coefficients(act, orbits, hamiltonian.R, hamiltonian.H)
    S, H0 = map(numbers, (hamiltonian.S, hamiltonian.H0))
    return ReducedHamiltonian(basis, symprec, first, H, S, hamiltonian.fermi, H0)
