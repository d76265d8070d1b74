"""Force constants at Γ by any ASE calculator, from frozen phonons of the primitive cell.

A displacement of an atom with all its images is what Γ asks for, so no supercell is needed. Displaced are symmetry
coordinates, one component of each copy of each irrep; the forces on the other components follow by symmetry.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from irrepnet.crystals import SymmetricCrystal
from irrepnet.errors import IrrepnetError
from irrepnet.phonons.gamma import symmetry_coordinates

if TYPE_CHECKING:
    from ase.calculators.calculator import BaseCalculator

CALCULATORS = {
    "chgnet": "chgnet.model.dynamics:CHGNetCalculator",
    "sevennet": "sevenn.calculator:SevenNetCalculator",
    "sevennet-l3i5": "sevenn.calculator:SevenNetCalculator:7net-l3i5",
}
"""Names for calculators whose weights come with their package."""
DISPLACEMENT = 0.01
"""Å, the farthest that an atom is displaced."""


@dataclass(frozen=True, eq=False)
class FrozenPhonons:
    """What a calculator says of a crystal of n atoms."""

    constants: np.ndarray
    """(n, 3, n, 3) force constants at Γ, eV/Å², in the standard frame."""
    force: float
    """eV/Å, the greatest force before any displacement: far from zero if the crystal is not relaxed."""
    evaluations: int
    """How often the calculator was called."""
    broken: float
    """The part of the forces that symmetry forbids, |F − P F| / |F| over all displacements."""


def named_calculator(name: str) -> tuple[BaseCalculator, str]:
    """A calculator, and what to call it: "SevenNetCalculator of sevenn 0.11.2".

    Args:
        name: one of `CALCULATORS`, or "module:Class", what makes an ASE calculator if it is called without arguments,
            or "module:Class:ARGUMENT", if it is called with this one, such as the name of a model.

    Raises:
        IrrepnetError: no such module or class, or it cannot be made so.
    """
    module, attribute, argument = (*CALCULATORS.get(name, name).split(":", 2), "", "")[:3]
    if not attribute:
        raise IrrepnetError(
            f'calculator {name!r}: give one of {", ".join(CALCULATORS)}, or "module:Class" of an ASE calculator'
        )
    try:
        found = getattr(import_module(module), attribute)
    except ImportError as error:
        raise IrrepnetError(f"calculator {name}: {module} cannot be imported ({error}); is it installed?") from error
    except AttributeError as error:
        raise IrrepnetError(f"calculator {name}: {module} has no {attribute}") from error
    try:
        calculator = found(argument) if argument else found()
    except Exception as error:  # whatever the making of someone's calculator may raise
        raise IrrepnetError(f"calculator {name}: {attribute}({argument}) fails: {_in_a_line(error)}") from error
    package = module.partition(".")[0]
    try:
        maker = f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:
        maker = module
    return calculator, " ".join(filter(None, (attribute, argument, "of", maker)))


def frozen_phonons(crystal: SymmetricCrystal, calculator: Any, displacement: float = DISPLACEMENT) -> FrozenPhonons:
    """Force constants at Γ from central differences of the forces.

    Args:
        calculator: an ASE calculator of forces; it sees the primitive cell in the standard frame.
        displacement: Å, of the atom that moves farthest.

    Raises:
        IrrepnetError: the displacement is not between 0 and 1 Å, the calculator fails, or its forces are not finite.
    """
    if not 0 < displacement < 1:
        raise IrrepnetError(f"a displacement is a distance between 0 and 1 Å, got {displacement}")
    n = len(crystal)
    calls = 0

    def forces(shift: np.ndarray | float = 0.0) -> np.ndarray:
        nonlocal calls
        calls += 1
        return _forces(crystal, shift, calculator)

    constants = np.zeros((3 * n, 3 * n))
    at_rest = forces()
    size = broken = 0.0
    for irrep, acoustic, coordinates in symmetry_coordinates(crystal, np.ones(n)):
        optical = coordinates[acoustic:]
        # an operation that turns the displacement round gives the force of −u from that of u
        turns = np.flatnonzero(irrep.matrices[:, 0, 0] < -1 + 1e-9)
        for copy in optical:
            shift = copy[0].reshape(n, 3)
            step = displacement / np.linalg.norm(shift, axis=1).max()
            forward = forces(step * shift)
            if len(turns):
                operation, to = crystal.point_group.operations[turns[0]], crystal.permutation[turns[0]]
                backward = np.zeros((n, 3))
                backward[to] = forward @ operation.T
            else:
                backward = forces(-step * shift)
            pull = -(forward - backward).ravel() / (2 * step)  # Φ u
            allowed = np.zeros(3 * n)
            for k, map_ in enumerate(irrep.commutant):  # Φ u = Σ B_cᵀ (x_c + y_c J) e_0, and J e_0 = e_1
                amounts = optical[:, k] @ pull
                allowed += amounts @ optical[:, k]
                constants += np.einsum("c,ckx,ky->xy", amounts, optical, map_ @ copy, optimize=True)
            size += float(pull @ pull)
            broken += float(((pull - allowed) ** 2).sum())
    return FrozenPhonons(
        constants=constants.reshape(n, 3, n, 3),
        force=float(np.linalg.norm(at_rest, axis=1).max()),
        evaluations=calls,
        broken=(broken / size) ** 0.5 if size else 0.0,
    )


def _forces(crystal: SymmetricCrystal, shift: np.ndarray | float, calculator: Any) -> np.ndarray:
    """(n, 3) eV/Å on the displaced atoms."""
    return asked(crystal, crystal.lattice, crystal.cart_coords + shift, calculator)[0]


def asked(
    crystal: SymmetricCrystal, lattice: np.ndarray, positions: np.ndarray, calculator: Any, stress: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Forces (n, 3), eV/Å, and stress (3, 3), eV/Å³ (zeros unless asked for), of the atoms in another cell or place.

    Raises IrrepnetError if the calculator fails, or gives what is not finite.
    """
    from ase import Atoms

    atoms = Atoms(crystal.numbers, positions, cell=lattice, pbc=True, calculator=calculator)
    try:
        forces = np.asarray(atoms.get_forces(), float)
        pull = np.asarray(atoms.get_stress(voigt=False), float) if stress else np.zeros((3, 3))
    except Exception as error:  # a calculator may fail in any way it likes
        raise IrrepnetError(f"{crystal.formula}: the calculator fails: {_in_a_line(error)}") from error
    if not (np.isfinite(forces).all() and np.isfinite(pull).all()):
        raise IrrepnetError(f"{crystal.formula}: the calculator gives forces that are not finite")
    return forces, pull


def _in_a_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
