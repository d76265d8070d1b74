"""Symmetric Hamiltonians made of random numbers."""

from functools import cache
from pathlib import Path

import numpy as np

from irrepnet.crystals import SymmetricCrystal
from irrepnet.hamiltonians import Hamiltonian, OrbitalBasis, ReducedHamiltonian, action, bond_orbits, crystal_basis
from irrepnet.hamiltonians.blocks import bonds_within
from irrepnet.hamiltonians.orbitals import shells_by_element

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@cache
def crystal_orbitals(formula: str, shells: str) -> OrbitalBasis:
    crystal = SymmetricCrystal.from_structure(EXAMPLES / f"{formula}.cif")
    return crystal_basis(crystal, shells_by_element(shells, crystal.species))


def random_reduced(basis: OrbitalBasis, cutoff: float, seed: int, overlap: bool = False) -> ReducedHamiltonian:
    """Normal numbers on all bonds; an overlap near the identity."""
    orbits = bond_orbits(action(basis), bonds_within(basis, cutoff))
    bonds = np.array([(*orbit.sites, *orbit.R) for orbit in orbits])
    random = np.random.default_rng(seed)
    H = random.normal(size=sum(len(orbit.space) for orbit in orbits))
    S = None
    if overlap:
        parts = []
        for orbit in orbits:
            near = 0.004 * random.normal(size=len(orbit.space))
            if orbit.is_onsite:
                near += orbit.space.coefficients(np.eye(len(basis.orbitals[orbit.sites[0]])))
            parts.append(near)
        S = np.concatenate(parts)
    return ReducedHamiltonian(basis, 0.01, bonds, H, S)


@cache
def random_hamiltonian(
    formula: str, shells: str, cutoff: float = 3.0, seed: int = 0, overlap: bool = False
) -> Hamiltonian:
    return random_reduced(crystal_orbitals(formula, shells), cutoff, seed, overlap).expand()
