"""Elastic stiffness with relaxed atoms by any ASE calculator, from strained cells and the force constants at Γ.

With the energy ½ u Φ u − u Λ e + ½ V e C⁰ e of displacements u and strains e, atoms that follow the strain leave
C = C⁰ − Λᵀ Φ⁺ Λ / V (M. Born and K. Huang, Dynamical Theory of Crystal Lattices, 1954, §11). C⁰ and Λ come from the
stress and the forces in a few strained cells whose images under the point group span all strains.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import helmert

from irrepnet.crystals import SymmetricCrystal
from irrepnet.errors import IrrepnetError
from irrepnet.groups import PointGroup
from irrepnet.phonons.calculators import asked, frozen_phonons
from irrepnet.phonons.gamma import symmetrised_constants
from irrepnet.tensors import CartesianTensor
from irrepnet.tensors.elastic import GPA, STIFFNESS

STRAIN = 0.004
"""The norm of a strain."""
LEAST = 1e-4
"""eV/Å², what force constants at Γ must exceed for atoms to be in a minimum."""
_BASIS = CartesianTensor("ij=ji").basis
"""(6, 3, 3), orthonormal."""


@dataclass(frozen=True, eq=False)
class FrozenStrains:
    """What a calculator says of a crystal."""

    stiffness: np.ndarray
    """(3, 3, 3, 3) GPa, in the standard frame, atoms relaxed."""
    clamped: np.ndarray
    """(3, 3, 3, 3) GPa, atoms moved with the cell and no further."""
    stress: float
    """GPa, the greatest component before any strain: far from zero if the cell is not relaxed."""
    softest: float
    """eV/Å², the least eigenvalue of the force constants at Γ but those of the translations; infinite for one atom.
    With little more than the calculator's noise the atoms' part of the stiffness is that of the noise."""
    evaluations: int
    """How often the calculator was called."""


def strains(group: PointGroup) -> np.ndarray:
    """(k, 3, 3) symmetric, of norm one: the fewest whose images under the group span all strains.

    That takes as many as some irrep has copies among the strains for each of its dimensions: one in cubic crystals,
    two in those with another axis of three or more, three, four and six in orthorhombic, monoclinic and triclinic ones.
    """
    chosen: list[np.ndarray] = []
    rng = np.random.default_rng(0)
    while np.linalg.matrix_rank(_images(group, np.array(chosen)), tol=0.05) < 6:
        # of some random ones that which adds most
        tried = np.tensordot(rng.normal(size=(50, 6)), _BASIS, 1)
        tried /= np.linalg.norm(tried, axis=(1, 2), keepdims=True)
        smallest = [np.linalg.svd(_images(group, np.array([*chosen, own])))[1] for own in tried]
        rank = max(int((own > 0.05).sum()) for own in smallest)
        chosen.append(tried[int(np.argmax([own[rank - 1] for own in smallest]))])
    return np.array(chosen)


def frozen_strains(crystal: SymmetricCrystal, calculator: Any, strain: float = STRAIN) -> FrozenStrains:
    """The stiffness at zero stress from central differences.

    Args:
        crystal: at the calculator's own equilibrium.
        calculator: an ASE calculator of forces and stress; it sees the primitive cell in the standard frame.
        strain: the norm of the strains.

    Raises:
        IrrepnetError: the strain is not between 0 and 0.1, the calculator fails, its forces are not finite, or the
            atoms are in no minimum, so that there is nowhere for them to follow.
    """
    if not 0 < strain < 0.1:
        raise IrrepnetError(f"the norm of a strain is a number between 0 and 0.1, got {strain}")
    n, operations = len(crystal), crystal.point_group.operations
    volume = abs(np.linalg.det(crystal.lattice))
    _, at_rest = asked(crystal, crystal.lattice, crystal.cart_coords, calculator, stress=True)
    own = strains(crystal.point_group)
    given, answers = [], []
    for direction in own:
        ends = []
        for sign in (1, -1):
            stretch = np.eye(3) + sign * strain * direction
            ends.append(
                asked(crystal, crystal.lattice @ stretch, crystal.cart_coords @ stretch, calculator, stress=True)
            )
        forces, stress = ((plus - minus) / (2 * strain) for plus, minus in zip(*ends))
        for operation, to in zip(operations, crystal.permutation):
            turned = np.zeros((n, 3))
            turned[to] = forces @ operation.T
            given.append(_components(operation @ direction @ operation.T))
            answers.append(np.concatenate([_components(operation @ stress @ operation.T), turned.ravel()]))
    response = np.linalg.lstsq(np.array(given), np.array(answers), rcond=None)[0].T
    clamped, pull = response[:6], response[6:]
    phonons = frozen_phonons(crystal, calculator)
    optical = np.kron(helmert(n), np.eye(3))  # displacements without a common translation
    constants = symmetrised_constants(crystal, phonons.constants).reshape(3 * n, 3 * n)
    values, modes = np.linalg.eigh(optical @ constants @ optical.T)
    if not (values > LEAST).all():
        raise IrrepnetError(f"{crystal.formula}: unstable, with force constants at Γ of {values.min():.2f} eV/Å²")
    followed = modes.T @ optical @ pull
    relaxed = clamped - followed.T @ (followed / values[:, None]) / volume
    clamped, relaxed = (
        STIFFNESS.project(GPA * np.einsum("ab,aij,bkl->ijkl", each, _BASIS, _BASIS)) for each in (clamped, relaxed)
    )
    return FrozenStrains(
        stiffness=relaxed,
        clamped=clamped,
        stress=float(abs(at_rest).max() * GPA),
        softest=float(values.min(initial=np.inf)),
        evaluations=1 + 2 * len(own) + phonons.evaluations,
    )


def _components(symmetric: np.ndarray) -> np.ndarray:
    """(…, 6) of (…, 3, 3)."""
    return np.tensordot(symmetric, _BASIS, ((-2, -1), (-2, -1)))


def _images(group: PointGroup, chosen: np.ndarray) -> np.ndarray:
    """(M k, 6) of all images, scaled so that the singular values do not grow with the group."""
    if not len(chosen):
        return np.zeros((1, 6))
    g = group.operations[:, None]
    turned = g @ chosen @ g.swapaxes(-1, -2)
    return _components(turned).reshape(-1, 6) / np.sqrt(len(group.operations))
