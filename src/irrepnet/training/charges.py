"""Born charges and permittivities of a crystal as trained runs predict them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from irrepnet.crystals import SymmetricCrystal
from irrepnet.errors import IrrepnetError
from irrepnet.training.load import load_run
from irrepnet.training.use import predict


def predicted_charges(crystal: SymmetricCrystal, runs: Sequence[str | Path]) -> dict[str, tuple[np.ndarray, str]]:
    """`born_charges` (n, 3, 3), e, and `e_electronic` (3, 3), in the standard frame, each with what predicts it.

    Args:
        runs: folders of runs with the target `born_charges`, `e_electronic` or both. The first index of a charge is the
            field's, ∂P_i/∂u_j, unless the run's data say that it is the displacement's.

    Raises:
        IrrepnetError: a run has neither target, or gives no prediction for the crystal.
    """
    from pymatgen.core import Structure

    structure = Structure(crystal.lattice, crystal.species, crystal.frac_coords)
    found: dict[str, tuple[np.ndarray, str]] = {}
    for folder in runs:
        run = load_run(folder)
        names = [target.name for target in run.targets if target.name in ("born_charges", "e_electronic")]
        if not names:
            raise IrrepnetError(f"{folder}: predicts neither born_charges nor e_electronic")
        (row,) = predict(run, structure)
        for name in names:
            if row[name] is None:
                raise IrrepnetError(f"{folder}: no prediction of {name}: {row['note']}")
            value = np.array(row[name], float)
            if name == "born_charges" and _displacement_first(run.config.data.sites[name].indices):
                value = value.swapaxes(1, 2)
            found[name] = value, f"predicted by {folder}"
    return found


def _displacement_first(indices: str) -> bool:
    return indices.strip().lower().startswith("displacement")
