"""Polar vibrations: LO–TO splitting, oscillator strengths and the permittivity, from Born charges and ε∞.

A mode e of the dynamical matrix carries the dipole p = Σ_a Z*_a e_a / sqrt(m_a). As q goes to zero along a direction,
the macroscopic field of polar modes adds (e²/ε₀Ω) (p·q)(p'·q)/(q·ε∞·q) to the dynamical matrix: a matrix of rank one
(Pick, Cohen & Martin, Phys. Rev. B 1, 910 (1970); Gonze & Lee, Phys. Rev. B 55, 10355 (1997)). So each level at Γ has
at most one mode that the field reaches; the others keep their frequency to the last digit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy import constants as si

from irrepnet.crystals import SymmetricCrystal
from irrepnet.errors import IrrepnetError
from irrepnet.phonons.gamma import THZ, GammaPhonons, Vibration

COULOMB = si.e / si.epsilon_0 / si.angstrom
"""e²/ε₀ in eV Å."""
_NONE = 1e-9
"""A mode whose share in the coupling to the field is smaller is not reached by it: rounding."""


@dataclass(frozen=True, eq=False)
class Branch:
    """Optical modes of one frequency as q goes to zero along a direction."""

    kind: str
    """"LO": reached by the field. "TO": infrared active, not reached. "": not infrared active."""
    irreps: dict[str, float]
    """{irrep of the crystal's point group: share}. A field along no symmetric direction mixes irreps."""
    frequency: float
    """THz, see :class:`irrepnet.phonons.Vibration`."""
    eigenvectors: np.ndarray
    """(d, n, 3) orthonormal."""


@dataclass(frozen=True, eq=False)
class PolarPhonons:
    """Vibrations at Γ with the charges that move."""

    phonons: GammaPhonons
    born_charges: np.ndarray
    """(n, 3, 3) e, ∂P_i/∂u_j: the first index is the field's. Exactly symmetric, of sum zero; standard frame."""
    electronic: np.ndarray
    """(3, 3) ε∞, exactly symmetric, standard frame."""
    residual: float
    """e, the largest change of a given Born charge by symmetry and the sum rule."""

    @classmethod
    def of(cls, phonons: GammaPhonons, born_charges: ArrayLike, electronic: ArrayLike) -> PolarPhonons:
        """With Born charges (n, 3, 3) and ε∞ (3, 3) in the standard frame, which are made symmetric.

        Raises IrrepnetError if they have another shape or are not finite, or if ε∞ is not positive definite.
        """
        crystal = phonons.crystal
        given, epsilon = np.asarray(born_charges, float), np.asarray(electronic, float)
        if given.shape != (len(crystal), 3, 3) or not np.isfinite(given).all():
            raise IrrepnetError(f"{crystal.formula}: Born charges are finite numbers ({len(crystal)}, 3, 3)")
        if epsilon.shape != (3, 3) or not np.isfinite(epsilon).all():
            raise IrrepnetError(f"{crystal.formula}: the electronic permittivity is 3×3 finite numbers")
        operations = crystal.point_group.operations
        epsilon = (operations @ (epsilon + epsilon.T) / 2 @ operations.transpose(0, 2, 1)).mean(axis=0)
        if np.linalg.eigvalsh(epsilon)[0] <= 0:
            raise IrrepnetError(f"{crystal.formula}: the electronic permittivity is not positive definite")
        charges = symmetrised_charges(crystal, given)
        return cls(
            phonons=phonons,
            born_charges=charges,
            electronic=epsilon,
            residual=float(abs(given - charges).max()),
        )

    def dipoles(self, vibration: Vibration) -> np.ndarray:
        """(d, 3) p of each mode, e/√u; what the irrep forbids is exactly zero."""
        scaled = vibration.eigenvectors / np.sqrt(self.phonons.masses)[:, None]
        dipoles = np.einsum("aij,daj->di", self.born_charges, scaled)
        irrep = self.phonons.crystal.point_group.irrep(vibration.irrep)
        copies = self._vectors.get(vibration.irrep, np.zeros((0, irrep.dim, 3)))
        maps = (irrep.commutant[:, None] @ copies).reshape(-1, irrep.dim, 3)
        return np.tensordot(np.einsum("mdi,di->m", maps, dipoles) / irrep.dim, maps, 1)

    @property
    def _vectors(self) -> dict[str, np.ndarray]:
        """The irreps in a polar vector: {label: (copies, d, 3)}."""
        return self.phonons.crystal.point_group.subduce(1, -1)

    def oscillator_strength(self, vibration: Vibration) -> np.ndarray:
        """(3, 3) Σ p pᵀ over the modes of a level, e²/u."""
        dipoles = self.dipoles(vibration)
        return dipoles.T @ dipoles

    def contribution(self, vibration: Vibration) -> np.ndarray | None:
        """(3, 3) the share of a level in the static permittivity; None if ω² ≤ 0 and it is infrared active."""
        strength = self.oscillator_strength(vibration)
        if not strength.any():
            return strength
        return None if vibration.frequency <= 0 else self._scale * strength / vibration.frequency**2

    @cached_property
    def static(self) -> np.ndarray | None:
        """(3, 3) the permittivity far below the vibrations, at fixed strain; None if a polar mode is unstable."""
        shares = [self.contribution(vibration) for vibration in self.phonons.optical]
        known = [share for share in shares if share is not None]
        return None if len(known) < len(shares) else self.electronic + sum(known, np.zeros((3, 3)))

    def permittivity(self, frequencies: ArrayLike, damping: float) -> np.ndarray:
        """(…, 3, 3) complex ε(ω) at frequencies (…) in THz, each mode a Lorentz oscillator of this damping in THz.

        Unstable modes are left out.
        """
        omega = np.asarray(frequencies, float)[..., None, None]
        total = self.electronic.astype(complex)
        for vibration in self.phonons.optical:
            if vibration.frequency > 0:
                strength = self._scale * self.oscillator_strength(vibration)
                total = total + strength / (vibration.frequency**2 - omega**2 - 1j * damping * omega)
        return total

    def along(self, direction: ArrayLike) -> tuple[Branch, ...]:
        """The optical modes as q goes to zero along a direction (3,) of the standard frame, by rising frequency.

        Raises IrrepnetError if the direction is not three finite numbers, or zero.
        """
        q = np.asarray(direction, float)
        if q.shape != (3,) or not np.isfinite(q).all() or not q.any():
            raise IrrepnetError(f"a direction is three numbers that are not all zero, got {direction}")
        q = q / np.linalg.norm(q)
        couplings = [self.dipoles(vibration) @ q for vibration in self.phonons.optical]
        most = max((float(np.linalg.norm(coupling)) for coupling in couplings), default=0.0)
        branches: list[Branch] = []
        reached: list[tuple[Vibration, float, np.ndarray]] = []
        for vibration, coupling in zip(self.phonons.optical, couplings):
            size, rest = float(np.linalg.norm(coupling)), vibration.eigenvectors
            if size > _NONE * most:
                # the mode along the coupling, then those across it
                turned = np.linalg.svd(coupling[None])[2]
                modes = np.tensordot(turned, rest, 1)
                reached.append((vibration, float(turned[0] @ coupling), modes[0]))
                rest = modes[1:]
            if len(rest):
                kind = "TO" if vibration.irrep in self._vectors else ""
                branches.append(Branch(kind, {vibration.irrep: 1.0}, vibration.frequency, rest))
        branches += self._longitudinal(reached, self._scale / float(q @ self.electronic @ q))
        return tuple(sorted(branches, key=lambda branch: branch.frequency))

    @property
    def _scale(self) -> float:
        """THz² of 1 e²/u in the volume of the cell, e²/(4π²ε₀Ω)."""
        return COULOMB * THZ**2 / float(np.linalg.det(self.phonons.crystal.lattice))

    @staticmethod
    def _longitudinal(reached: Sequence[tuple[Vibration, float, np.ndarray]], scale: float) -> list[Branch]:
        """The modes that the field couples: diag(ω²) + scale · z zᵀ, a mode of each level."""
        if not reached:
            return []
        coupling = np.array([z for _, z, _ in reached])
        squares = np.array([np.sign(v.frequency) * v.frequency**2 for v, _, _ in reached])
        values, shares = np.linalg.eigh(np.diag(squares) + scale * np.outer(coupling, coupling))
        branches = []
        for value, share in zip(values, shares.T):
            irreps: dict[str, float] = {}
            for (vibration, _, _), amount in zip(reached, share):
                irreps[vibration.irrep] = irreps.get(vibration.irrep, 0.0) + float(amount**2)
            mode = np.tensordot(share, np.array([mode for _, _, mode in reached]), 1)
            frequency = float(np.sign(value) * np.sqrt(abs(value)))
            branches.append(Branch("LO", dict(sorted(irreps.items(), key=lambda i: -i[1])), frequency, mode[None]))
        return branches


def symmetrised_charges(crystal: SymmetricCrystal, born_charges: np.ndarray) -> np.ndarray:
    """The nearest Born charges (n, 3, 3) that obey the point group and sum to zero; standard frame."""
    mean = np.zeros_like(born_charges)
    for operation, to in zip(crystal.point_group.operations, crystal.permutation):
        mean[to] += operation @ born_charges @ operation.T / len(crystal.permutation)
    return mean - mean.mean(axis=0)
