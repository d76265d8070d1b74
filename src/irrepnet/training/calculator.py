"""A trained energy as a calculator of ASE: relaxations, molecular dynamics, phonons by any code that takes one."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase.calculators.calculator import Calculator, CalculatorError, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from irrepnet.crystals import Cell, SymmetricCrystal
from irrepnet.errors import IrrepnetError
from irrepnet.graphs.perturbed import Frames
from irrepnet.tasks.energies import EnergyTask
from irrepnet.training.energy import EnergyModel
from irrepnet.training.load import Run, load_run
from irrepnet.training.use import predict


class EnergyCalculator(Calculator):
    """Energy (eV a cell), forces (eV/Å) and stress (eV/Å³, Voigt's xx yy zz yz xz xy, positive under tension).

    The atoms may be any supercell of the parent in any axes and order, displaced and strained as far as
    :class:`irrepnet.graphs.perturbed.Frames` recognises it; calculations of others fail with the reason
    (``CalculatorError``). Energies are on the zero of the data; those of an EnergyModel are above the unperturbed
    parent.

    Args:
        model: a run of ``irrepnet train energy``, its folder, or an :class:`irrepnet.training.energy.EnergyModel`.

    Raises:
        IrrepnetError: a run of another task, or none.
    """

    implemented_properties: ClassVar = ["energy", "free_energy", "forces", "stress"]

    def __init__(self, model: Run | EnergyModel | str | Path) -> None:
        super().__init__()
        self.model: Any = load_run(model) if isinstance(model, str | Path) else model
        if isinstance(self.model, EnergyModel):
            self.frames = Frames(SymmetricCrystal.from_structure(self.model.parent.structure()))
        elif not isinstance(self.model.task, EnergyTask):
            raise IrrepnetError(f"{self.model.folder}: a run of {self.model.task.name}, not of energies")

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        try:
            found = (self._of_model if isinstance(self.model, EnergyModel) else self._of_run)(self.atoms)
        except IrrepnetError as error:
            raise CalculatorError(str(error)) from error
        self.results = {**found, "free_energy": found["energy"], "stress": full_3x3_to_voigt_6_stress(found["stress"])}

    def _of_run(self, atoms: Any) -> dict[str, Any]:
        (row,) = predict(self.model, atoms.copy())  # a copy has no results, which are those of the geometry before
        if row["energy"] is None:
            raise IrrepnetError(row["note"])
        return {name: np.array(row[name]) for name in ("forces", "stress")} | {"energy": row["energy"]}

    def _of_model(self, atoms: Any) -> dict[str, Any]:
        cell = Cell(atoms.cell.array, atoms.get_scaled_positions(wrap=False), atoms.numbers, str(atoms.symbols))
        matched = self.frames.match(cell)
        response = self.model.predict([matched.perturbation], matched.parent)
        return {
            "energy": response.energy.item(),
            "forces": matched.to_frame(response.forces.numpy(force=True), of_atoms=True),
            "stress": matched.to_frame(response.stress[0].numpy(force=True)),
        }
