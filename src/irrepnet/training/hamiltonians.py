"""What a run of Hamiltonians is asked besides what every run answers: the errors of each crystal, and bands."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.core.periodic_table import Element

from irrepnet.crystals import read_cell
from irrepnet.data import Rejection
from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians import band_structure, export_hamiltonian
from irrepnet.hamiltonians.bands import BandStructure, levels_at
from irrepnet.hamiltonians.formats.own import read_reduced
from irrepnet.hamiltonians.formats.table import format_of
from irrepnet.hamiltonians.model import Hamiltonian
from irrepnet.hamiltonians.plots import plot_bands
from irrepnet.hamiltonians.reports import describe_levels
from irrepnet.tasks.hamiltonians import HamiltonianSample, HamiltonianTask, is_hamiltonian
from irrepnet.training.load import Run, load_run
from irrepnet.training.use import Split, judged_examples, told


def load_hamiltonian_run(folder: str | Path) -> tuple[Run, HamiltonianTask]:
    """A finished run of Hamiltonians, and its task; raises IrrepnetError if the folder holds none."""
    run = load_run(folder)
    if not isinstance(run.task, HamiltonianTask):
        raise IrrepnetError(f"{folder}: its network does not predict Hamiltonians; use irrepnet predict")
    return run, run.task


def evaluate_hamiltonians(folder: str | Path, source: str | None = None, split: Split = "auto") -> dict[str, Any]:
    """Errors of a run's predictions, meV: {"data", "split", "crystals": […], "errors": means, "rejections": […]}.

    Args:
        folder: of the run.
        source: Hamiltonians with H and H0; the run's own when None.
        split: "auto" (the test split of the run's own data, else all), "all", "train", "validation" or "test".
    """
    run, task = load_hamiltonian_run(folder)
    examples, name, split, rejections = judged_examples(run, source, split)
    part = []
    for k, sample in enumerate(examples.records):
        try:
            _check_elements(run, sample.id, sample.species)
            part.append(k)
        except IrrepnetError as error:
            rejections.append(Rejection(sample.id, str(error)))
    if not part:
        raise IrrepnetError(rejections[-1].reason)
    judged = task.judge(run.model, examples, np.array(part))
    errors = {key: value for key, value in judged.errors["hamiltonian"].items() if key != "n"}
    return {
        "data": name,
        "split": split,
        "crystals": [dict(zip(judged.header, row)) for row in judged.rows],
        "errors": errors,
        "rejections": [{"id": rejection.id, "reason": rejection.reason} for rejection in rejections],
    }


def predicted_hamiltonian(folder: str | Path, file: str | Path) -> tuple[HamiltonianSample, Hamiltonian]:
    """A crystal, and its H with the Fermi energy.

    Args:
        folder: of the run.
        file: see :func:`irrepnet.tasks.hamiltonians.sample_for`.

    Raises:
        IrrepnetError: the network has not seen an element of the crystal, or the file cannot be used.
    """
    sample, found, _ = _answer(*load_hamiltonian_run(folder), Path(file))
    return sample, found


def predict_hamiltonian(
    folder: str | Path,
    file: str | Path,
    out: str | Path | None = None,
    bands: str | Path | None = None,
    energies: tuple[float | None, float | None] = (None, None),
    irreps: bool = True,
) -> dict[str, Any]:
    """Predict the Hamiltonian of a crystal, write it and draw its bands.

    Args:
        folder, file: see :func:`predicted_hamiltonian`.
        out: file of the Hamiltonian, see :func:`irrepnet.hamiltonians.export_hamiltonian`, whose notes the note has.
        bands: the picture.
        energies: lowest and highest that are drawn, eV.
        irreps: whether the levels at the high-symmetry points are named.

    Returns:
        ``file``, ``formula``, ``orbitals``, ``fermi`` (eV, the top of the filled bands of an insulator), ``gap``
        (``fundamental`` and ``direct``, eV; None for a metal), ``bound`` (meV, of the error of the valence bands, root
        mean square after the best common shift: nine of ten validation crystals are below, see
        :mod:`irrepnet.tasks.reliability`; None if the run does not know), ``nearest`` training crystals, ``written``
        and ``note``.
    """
    run, task = load_hamiltonian_run(folder)
    if out is not None:
        format_of(out)  # known before anything is computed
    sample, found, row = _answer(run, task, Path(file))
    written = []
    if out is not None:
        notes = export_hamiltonian(found, out)
        row["note"] = "; ".join(filter(None, [row["note"], *notes]))
        written.append(out)
    if bands is not None:
        structure = band_structure(found)
        named = levels_at(found, structure.points)[0] if irreps else {}
        plot_bands(structure, Path(bands), named, *energies, sample.formula)
        written.append(bands)
    (row,) = told(run, [row])
    return {
        "file": str(file),
        "formula": sample.formula,
        **row["hamiltonian"],
        "bound": row.get("hamiltonian_bound"),
        "nearest": row.get("nearest"),
        "written": [str(path) for path in written],
        "note": row["note"],
    }


def predicted_bands(folder: str | Path, source: Any, seconds: float) -> tuple[BandStructure, dict[str, Any]]:
    """The bands of a predicted Hamiltonian, and what the network says besides.

    Args:
        folder: of the run.
        source: the crystal, see :func:`irrepnet.tasks.hamiltonians.sample_for`.
        seconds: the longest that S and H0 may be expected to take.

    Returns:
        The bands along the standard path; ``orbitals``, ``fermi``, ``gap``, ``bound``, ``nearest`` and ``note`` as in
        :func:`predict_hamiltonian`, and ``levels`` of the high-symmetry points, {label: rows of ``energy`` (eV),
        ``degeneracy`` and ``irreps``}.

    Raises:
        IrrepnetError: the network does not know an element, PySCF is missing, or it would take too long.
    """
    run, task = load_hamiltonian_run(folder)
    _, found, row = _answer(run, task, source, seconds)
    bands = band_structure(found)
    (row,) = told(run, [row])
    return bands, {
        **row["hamiltonian"],
        "bound": row.get("hamiltonian_bound"),
        "nearest": row.get("nearest") or [],
        "note": row["note"],
        "levels": describe_levels(levels_at(found, bands.points)[0]),
    }


def _answer(
    run: Run, task: HamiltonianTask, source: Any, seconds: float = math.inf
) -> tuple[HamiltonianSample, Hamiltonian, dict[str, Any]]:
    """See :meth:`HamiltonianTask.answer`; elements are looked at before S and H0 are computed."""
    name = Path(source).stem if isinstance(source, str | Path) else "given"
    numbers = (read_reduced(source).basis.cell if is_hamiltonian(source) else read_cell(source)).numbers
    _check_elements(run, name, [Element.from_Z(int(number)).symbol for number in numbers])
    return task.answer(run.model, source, seconds)


def _check_elements(run: Run, name: str, species: Sequence[str]) -> None:
    known = run.card["domain"]["elements"]
    unknown = sorted(set(species) - set(known))
    if unknown:
        raise IrrepnetError(
            f"{name}: no crystal that {run.folder} was trained on contains {', '.join(unknown)}; it knows "
            f"{', '.join(known)}"
        )
