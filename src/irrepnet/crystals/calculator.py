"""An ASE calculator whose forces and stress obey the space group of the structure that it starts from."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from irrepnet.crystals.projection import CellSymmetry, TensorKind
from irrepnet.errors import IrrepnetError

RESULTS = {
    "forces": TensorKind("sites", "vector", sum_rule=True),
    "stress": TensorKind("crystal", "ij=ji"),
    "stresses": TensorKind("sites", "ij=ji"),
    "energies": TensorKind("sites", "scalar"),
    "charges": TensorKind("sites", "scalar"),
}
"""Results that are made symmetric; all others are passed on as they are."""


class SymmetrizedCalculator(Calculator):
    """Any ASE calculator, with its results projected on what a space group allows.

    Forces and stress lie exactly in the space group of `structure`, and the forces add up to zero. So a relaxation that
    starts from the structure never leaves its space group, whatever noise the calculator has; the steps of an optimiser
    that starts from exact zeros are exact zeros.

    The group is found once, and after that atoms are known by their number. What is asked about must be the structure,
    moved as its symmetry allows: a displaced atom, as for phonons by finite differences, has forces of less symmetry,
    and is refused.

    Args:
        calculator: of whatever kind.
        structure: ASE Atoms, or what `SymmetricCrystal.from_structure` takes, with the atoms in the order and the
            orientation in which they will be asked about; supercells too.
        symprec: Å, how far from symmetric an atom may be at the start. Atoms keep the distance that they have.
        tolerance: Å, how far an atom may later leave the symmetry (its noise at the start apart).

    Attributes:
        symmetry: the group on the atoms.
        residuals: {name: |T − allowed of T| / |T|} of the last results.

    Raises:
        IrrepnetError: no space group is consistent with the structure; when asked: other atoms than those of the
            structure, a turned cell, or atoms that have left the symmetry.
    """

    def __init__(self, calculator: Any, structure: Any, symprec: float = 0.01, tolerance: float = 1e-3) -> None:
        super().__init__()
        if isinstance(structure, Atoms):
            structure = _record_of(structure)
        self.calculator = calculator
        self.symmetry = CellSymmetry.of(structure, symprec)
        self.tolerance = tolerance
        self.residuals: dict[str, float] = {}
        self.implemented_properties = list(calculator.implemented_properties)

    def calculate(
        self, atoms: Atoms | None = None, properties: Any = ("energy",), system_changes: Any = all_changes
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        assert atoms is not None
        self._check(atoms)
        copy = atoms.copy()
        for name in properties:
            self.calculator.get_property(name, copy)
        self.results = dict(self.calculator.results)
        for name in RESULTS.keys() & self.results.keys():
            shape = np.shape(self.results[name])
            projection = self.symmetry.project(self.results[name], RESULTS[name])
            size = np.linalg.norm(projection.given)
            self.residuals[name] = float(np.linalg.norm(projection.changes) / size) if size else 0.0
            self.results[name] = RESULTS[name].write(projection.values, shape)

    def _check(self, atoms: Atoms) -> None:
        start = self.symmetry.cell
        if not np.array_equal(atoms.numbers, start.numbers):
            raise IrrepnetError(
                f"{start.name}: the symmetry is that of {len(start.numbers)} atoms in the order in which they were "
                f"given, asked about are {atoms.get_chemical_formula()}"
            )
        lattice = atoms.cell.array * np.sign(np.linalg.det(atoms.cell.array))
        strain = (np.linalg.inv(start.lattice) @ lattice).T  # x → strain @ x
        off = self._not_allowed(strain, TensorKind("crystal", "ij")) * np.cbrt(abs(np.linalg.det(lattice)))
        if off > self.tolerance:
            raise IrrepnetError(f"{start.name}: its cell has left the symmetry, or was turned, by {off:.2g} Å")
        moved = np.linalg.solve(lattice.T, atoms.positions.T).T - start.frac_coords
        moved -= np.rint(moved - moved[0])
        moved = (moved - moved.mean(0)) @ lattice
        off = self._not_allowed(moved, RESULTS["forces"])
        if off > self.tolerance:
            raise IrrepnetError(
                f"{start.name}: its atoms have left the symmetry by {off:.2g} Å, and so have their forces: ask the "
                "calculator itself"
            )

    def _not_allowed(self, values: np.ndarray, kind: TensorKind) -> float:
        """The largest component that the group takes away."""
        return float(abs(self.symmetry.project(values, kind).changes).max())


def _record_of(atoms: Atoms) -> dict[str, Any]:
    if not atoms.pbc.all():
        raise IrrepnetError(f"{atoms.get_chemical_formula()}: a crystal is periodic in all three directions")
    return {
        "id": atoms.get_chemical_formula(),
        "species": atoms.get_chemical_symbols(),
        "frac_coords": atoms.get_scaled_positions(wrap=False),
        "lattice": atoms.cell.array,
    }
