"""The golden runs of the present format, made anew: python -m tests.training.golden.make [TASK …], from the root.

That is for a change of the format, which keeps the runs of the old one and makes a folder for the new one. What holds
a run of another format was made by the version that wrote it, in the same way.
"""

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from pymatgen.core import Structure
from tests.conftest import crystals

from irrepnet.crystals import SymmetricCrystal
from irrepnet.graphs import Perturbation, parent_of
from irrepnet.hamiltonians.embedded import FOLDER as HAMILTONIANS
from irrepnet.tasks.hamiltonians import HamiltonianTask, sample_for
from irrepnet.training import load_config, load_run, predict, train
from irrepnet.training.files import CARD, read_sealed, sealed, write_json
from irrepnet.training.load import FORMAT, Run

ROOT = Path(__file__).resolve().parents[3]
GOLDEN = Path(__file__).resolve().parent
EXAMPLES = [f"examples/{path.name}" for path in sorted((ROOT / "examples").glob("*.cif"))]
FRAME = "tests/training/golden/frame.json"
KEPT = ("model.json", "model.safetensors", "split.json")
"""All of a run's folder that predictions need."""
SINCE = {"sites": "_shared"}
"""Of tasks whose runs changed within the format and are read in both ways, what the present ones are called."""
SHORT = {"training.epochs": 20, "training.threads": 1, "training.device": "cpu", "training.batch_size": 16}


def outputs(run: Run, inputs: Sequence[str]) -> list[dict[str, Any]]:
    """What a run predicts, by target: for structure files; for Hamiltonians by name the numbers of H − H0, eV."""
    if not isinstance(run.task, HamiltonianTask):
        rows = predict(run, [ROOT / name for name in inputs])
        return [{target.name: row[target.name] for target in run.targets} for row in rows]
    samples = [sample_for(HAMILTONIANS / f"{name}.safetensors", {}) for name in inputs]
    found = [sample.numbers(run.task.hamiltonian(run.model, sample).H - sample.start.H) for sample in samples]
    return [{"hamiltonian": numbers.tolist()} for numbers in found]


def bonds(structure: Structure, cutoff: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Receivers, senders, vectors from one to the other (n, 3) and their lengths, Å."""
    receiver, sender, shift, length = structure.get_neighbor_list(cutoff)
    vector = structure.cart_coords[sender] + shift @ structure.lattice.matrix - structure.cart_coords[receiver]
    return receiver, sender, vector, length


def springs(structure: Structure) -> tuple[float, np.ndarray, np.ndarray]:
    """Energy, forces and stress, eV, eV/Å and eV/Å³, of springs of 2.3 Å between near atoms."""
    receiver, sender, bond, length = bonds(structure, 3.2)
    pull = ((length - 2.3) / length)[:, None] * bond
    forces = np.zeros((len(structure), 3))
    np.add.at(forces, receiver, pull)
    np.add.at(forces, sender, -pull)
    return 0.5 * float(((length - 2.3) ** 2).sum()), forces, pull.T @ bond / structure.volume


def document(structure: Structure, name: str, **properties: Any) -> dict[str, Any]:
    species = [element.symbol for element in structure.species]
    cell = {"lattice": structure.lattice.matrix.tolist(), "frac_coords": structure.frac_coords.tolist()}
    return {"id": name, "species": species, **cell, **properties}


def scaled_examples() -> list[dict[str, Any]]:
    """The examples in several sizes, with tensors of sites made of their bonds: charges that add up to zero."""
    made = []
    for name in EXAMPLES:
        for k, scale in enumerate((0.96, 0.99, 1.02, 1.05)):
            structure = Structure.from_file(ROOT / name)
            structure.scale_lattice(scale**3 * structure.volume)
            receiver, sender, bond, length = bonds(structure, 4.0)
            weight = np.array([element.X for element in structure.species])[sender] * np.exp(-length)
            charges = np.zeros((len(structure), 3, 3))
            np.add.at(charges, receiver, weight[:, None, None] * bond[:, :, None] * bond[:, None])
            made.append(document(structure, f"{name}-{k}", born_charges=(charges - charges.mean(0)).tolist()))
    return made


def perturbed_examples() -> list[dict[str, Any]]:
    """Frames of SrTiO3 with the energies of springs; the last one is what the run predicts."""
    parent = parent_of(SymmetricCrystal.from_structure(ROOT / "examples/SrTiO3.cif"))
    random, made = np.random.default_rng(0), []
    for k in range(31):
        strain = 0.01 * np.diag(random.normal(size=3))
        structure = parent.structure(Perturbation(0.07 * random.normal(size=(len(parent), 3)), strain))
        energy, forces, stress = springs(structure)
        made.append(document(structure, f"{k}", energy=energy, forces=forces.tolist(), stress=stress.tolist()))
    return made


def runs() -> dict[str, tuple[str, Mapping[str, Any], Sequence[str]]]:
    """By task the preset, the settings, and what is predicted; the data are written to the folder in which we are."""
    frames = perturbed_examples()
    for name, lines in (("crystals", crystals()), ("sites", scaled_examples()), ("frames", frames[:-1])):
        Path(f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (ROOT / FRAME).write_text(
        json.dumps({key: frames[-1][key] for key in ("species", "lattice", "frac_coords")}) + "\n"
    )
    shutil.copy(ROOT / "examples/SrTiO3.cif", ".")
    Path("hamiltonians").mkdir()
    for name in ("Ge-diamond-0.97", "Ge-diamond-1.03", "Si-diamond-1.00"):
        shutil.copy(HAMILTONIANS / f"{name}.safetensors", "hamiltonians")
    small = {"model.channels": 6, "model.layers": 1}
    return {
        "properties": (
            "point-group",
            {"data.source": "crystals.jsonl", "data.targets": ["formation_energy_per_atom", "metal"], **small},
            EXAMPLES,
        ),
        "sites": (
            "site-symmetry",
            {
                "data.source": "sites.jsonl",
                "data.targets": ["born_charges"],
                "data.split": [0.6, 0.2, 0.2],
                "model.channels": 4,
                "model.covariants": 2,
                "model.layers": 2,
            },
            EXAMPLES,
        ),
        "energies": (
            "energy",
            {"data.source": "frames.jsonl", "data.parent": "SrTiO3.cif", **small, "model.moments": 3},
            [FRAME],
        ),
        "hamiltonians": (
            "hamiltonian",
            {
                "data.source": "hamiltonians",
                "data.test": [],
                "model.channels": 3,
                "model.radial": 4,
                "model.cutoff": 5.0,
            },
            ["Ge-diamond-1.00"],
        ),
    }


def main(tasks: Sequence[str]) -> None:
    with TemporaryDirectory() as temporary, chdir(temporary):
        for task, (preset, settings, inputs) in runs().items():
            if not tasks or task in tasks:
                train(load_config(preset, {**SHORT, **settings}), task, quiet=True)
                out = GOLDEN / f"format{FORMAT}_{task}{SINCE.get(task, '')}"
                out.mkdir(exist_ok=True)
                for name in KEPT:
                    shutil.copy(Path(task) / name, out)
                write_json(out / CARD, sealed(read_sealed(out), out, [name for name in KEPT if name != CARD]))
                found = outputs(load_run(out), inputs)
                rows = [{name: np.round(value, 8).tolist() for name, value in row.items()} for row in found]
                (out / "predictions.json").write_text(json.dumps({"inputs": inputs, "outputs": rows}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
