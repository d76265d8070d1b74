"""Energies, forces and stresses of a displaced and strained cubic perovskite, learned from few samples.

    python benchmarks/broken_symmetry.py --python PYTHON_WITH_CHGNET --out FOLDER

KNbO3 in its cubic phase, at the lattice constant where CHGNet's energy is least; the labels are CHGNet's (see
`chgnet_labels.py`). Random displacements and strains; the first of them for training, 20 for validation, 100 for test,
the same for all rows (`ROWS`; harmonic: the harmonic energy of m-3m by least squares). Then the energy along the soft
T1u mode.
A run that is found in FOLDER is not done again.
"""

import json
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from pymatgen.core import Lattice, Structure

from irrepnet.crystals import SymmetricCrystal
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import BrokenGraph, Parent, Perturbation, parent_of
from irrepnet.groups import SCALAR, O3Irreps
from irrepnet.models import TensorFieldConfig
from irrepnet.models.energy import STEP, EnergyConfig, EnergyNet
from irrepnet.nn.o3 import O3Filters, TensorFieldLayer
from irrepnet.tasks.energies import EnergySample, EnergyTrainingConfig
from irrepnet.tensors.elastic import GPA
from irrepnet.training.energy import EnergyModel, fit_energy
from irrepnet.training.log import Log

VALIDATION, TEST = 20, 100
DISPLACEMENT, STRAIN = (0.02, 0.12), 0.01
"""Å and 1: spread of the displacements' components, itself drawn from this range, and of the strains'."""
ROWS = {
    "body": EnergyConfig(),
    "body and m-3m": EnergyConfig(group="m-3m"),
    "m-3m": EnergyConfig(group="m-3m", layers=0, frame_layers=2),
    "1": EnergyConfig(group="1", layers=0, frame_layers=2),
    "1 turned": EnergyConfig(group="1", layers=0, frame_layers=2),
    "e3nn": EnergyConfig(),
}
"""The default; frames of m-3m besides; frames alone, of m-3m and without symmetry, on the samples as they are and on
all 48 images of each; an O(3)-equivariant network in place of the body."""
MODES = {"[001]": (0, 0, 1), "[011]": (0, 1, 1), "[111]": (1, 1, 1)}
AMPLITUDES = np.linspace(0, 0.4, 21)


def label(structures: Sequence[Structure], python: str) -> list[dict[str, Any]]:
    """Energy, forces and stress of each, by CHGNet in another process."""
    given = [
        {
            "numbers": [int(site.specie.Z) for site in structure],
            "lattice": structure.lattice.matrix.tolist(),
            "positions": structure.cart_coords.tolist(),
        }
        for structure in structures
    ]
    script = Path(__file__).with_name("chgnet_labels.py")
    done = subprocess.run([python, str(script)], input=json.dumps(given), capture_output=True, text=True, check=False)
    if done.returncode:
        raise IrrepnetError(f"{python} {script.name} stopped with an error:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)


def perovskite(a: float) -> Structure:
    return Structure.from_spacegroup("Pm-3m", Lattice.cubic(a), ["K", "Nb", "O"], [[0] * 3, [0.5] * 3, [0.5, 0.5, 0]])


def parent_with(a: float) -> Parent:
    return parent_of(SymmetricCrystal.from_structure(perovskite(a)))


def make_labels(python: str, count: int) -> dict[str, Any]:
    """The lattice constant, the random configurations, and the soft mode's energies."""
    lengths = np.linspace(3.96, 4.14, 19)
    quartic = np.polyfit(lengths, [found["energy"] for found in label([perovskite(a) for a in lengths], python)], 4)
    finer = np.linspace(3.96, 4.14, 100001)
    a = float(finer[np.polyval(quartic, finer).argmin()])
    parent = parent_with(a)
    # force constants along z by central differences, the softest mode of the optical ones
    step, z = 0.01, np.array([0, 0, 1.0])
    moved = [Perturbation(s * step * np.outer(np.eye(5)[atom], z)) for atom in range(5) for s in (1, -1)]
    forces = np.array([found["forces"] for found in label([parent.structure(p) for p in moved], python)])[:, :, 2]
    values, vectors = np.linalg.eigh((forces[1::2] - forces[::2]) / (2 * step))
    soft = vectors[:, 0] * np.sign(vectors[1, 0])
    random = np.random.default_rng(0)
    pool = []
    for _ in range(count + VALIDATION + TEST):
        u = random.normal(size=(5, 3)) * random.uniform(*DISPLACEMENT)
        strain = random.normal(size=(3, 3)) * STRAIN
        pool.append(Perturbation(u, (strain + strain.T) / 2))
    modes = [Perturbation(u) for pattern in soft_patterns(soft).values() for u in pattern]
    found = label([parent.structure(p) for p in [Perturbation(), *pool, *modes]], python)
    samples = [
        {"displacements": p.displacements.tolist(), "strain": p.strain.tolist(), **label}  # type: ignore[union-attr]
        for p, label in zip(pool, found[1:])
    ]
    return {
        "a": a,
        "energy": found[0]["energy"],
        "soft_mode": soft.tolist(),
        "force_constant": float(values[0]),
        "samples": samples,
        "soft_energies": [entry["energy"] for entry in found[1 + len(pool) :]],
    }


def soft_patterns(soft: np.ndarray) -> dict[str, np.ndarray]:
    """Displacements (amplitudes, 5, 3) along each direction."""
    units = {name: np.array(d) / np.linalg.norm(d) for name, d in MODES.items()}
    return {name: AMPLITUDES[:, None, None] * np.outer(soft, unit) for name, unit in units.items()}


def images(parent: Parent, sample: EnergySample) -> list[EnergySample]:
    """The sample turned by each operation of the parent."""
    turned = []
    for k, to in zip(parent.rotations, parent.permutation):
        u, forces = np.empty((5, 3)), np.empty((5, 3))
        u[to], forces[to] = sample.perturbation.displacements @ k.T, sample.forces @ k.T  # type: ignore[operator]
        perturbation = Perturbation(u, k @ sample.perturbation.strain @ k.T)
        turned.append(EnergySample(perturbation, sample.energy, forces, k @ sample.stress @ k.T))
    return turned


class TensorField(EnergyNet):
    """The energy network with tensor field layers (l ≤ 2) as its body."""

    def __init__(self, config: EnergyConfig) -> None:
        super().__init__(config)
        scalars = O3Irreps({SCALAR: config.channels})
        irreps = TensorFieldConfig(channels=config.channels, l_max=2).irreps
        self.filters = O3Filters(irreps, irreps, 2)
        first = TensorFieldLayer(scalars, irreps, self.filters, config.channels, True)
        last = TensorFieldLayer(first.irreps_out, scalars, self.filters, config.channels, True)
        self.body = torch.nn.ModuleList([first, last])

    def body_features(self, batch: BrokenGraph[torch.Tensor], moved: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        length = moved.norm(dim=-1)
        stretch = (length - batch.bond_vector.norm(dim=-1))[:, None] / STEP
        hidden = torch.nn.functional.silu(self.edge(torch.cat([self.distance(length), stretch], -1)))
        identity, atoms = torch.zeros_like(batch.bond_receiver), torch.zeros_like(batch.numbers)
        trivial = torch.eye(64, dtype=moved.dtype)[:1]  # every site's group: results do not depend on the symmetry
        kernels = self.filters(moved, torch.ones_like(length), batch.bond_receiver, identity, atoms, trivial)
        x = {"0e": self.embedding(batch.numbers)[:, None]}
        for layer in self.body:
            x = layer(x, hidden, kernels, (batch.bond_receiver, batch.bond_sender))
        return x["0e"][:, 0], hidden


class Harmonic:
    """E = p tr ε + ½ xᵀKx with x = (u, ε) and K invariant under the parent's operations: least squares."""

    def __init__(self, parent: Parent, train: Sequence[EnergySample]) -> None:
        self.parent = parent
        operations = []
        for k, to in zip(parent.rotations, parent.permutation):
            u = np.kron(np.eye(5)[to].T, k)
            operations.append(np.block([[u, np.zeros((15, 9))], [np.zeros((9, 15)), np.kron(k, k)]]))
        random = np.random.default_rng(0).normal(size=(60, 24, 24))
        group = np.array(operations)
        averaged = [np.mean(group @ (r + r.T) @ group.transpose(0, 2, 1), axis=0) for r in random]
        _, spread, basis = np.linalg.svd(np.reshape(averaged, (60, -1)), full_matrices=False)
        self.basis = basis[spread > 1e-8 * spread[0]].reshape(-1, 24, 24)
        rows = [self._terms(sample.perturbation) for sample in train]
        labels = [self._labels(sample) for sample in train]
        scale = [np.sqrt(np.mean(np.square([entry[i] for entry in labels]))) for i in range(3)]
        left = np.concatenate([part / s for row in rows for part, s in zip(row, scale)])
        right = np.concatenate([np.atleast_1d(part) / s for entry in labels for part, s in zip(entry, scale)])
        self.weights = np.linalg.lstsq(left, right, rcond=1e-10)[0]

    def _terms(self, p: Perturbation) -> list[np.ndarray]:
        """Energy an atom (1, terms), its gradients by u (15, terms) and by ε (9, terms)."""
        known = p.checked(self.parent)
        x = np.concatenate([known.displacements.ravel(), known.strain.ravel()])  # type: ignore[union-attr]
        gradient = np.concatenate([np.eye(3).reshape(9, 1) @ np.ones((1, 1)), (self.basis @ x).T[15:]], axis=1)
        energy = np.concatenate([[np.trace(known.strain)], x @ self.basis @ x / 2])  # type: ignore[arg-type]
        by_u = np.concatenate([np.zeros((15, 1)), (self.basis @ x).T[:15]], axis=1)
        return [energy[None] / 5, by_u, gradient]

    def _labels(self, s: EnergySample) -> list[np.ndarray]:
        assert s.energy is not None
        deformation = np.eye(3) + s.perturbation.strain  # type: ignore[operator]
        w, axes = np.linalg.eigh(deformation)
        factor = 2 * np.outer(w, w) / (w[:, None] + w)
        by_strain = axes @ ((axes.T @ s.stress @ axes) / factor) @ axes.T * self.parent.volume * w.prod()  # type: ignore[operator]
        return [np.array([s.energy / 5]), -(s.forces @ deformation).ravel(), by_strain.ravel()]  # type: ignore[operator]

    def errors(self, samples: Sequence[EnergySample]) -> dict[str, float]:
        errors: dict[str, list] = {"energy_mev_per_atom": [], "forces_mev_per_angstrom": [], "stress_gpa": []}
        for sample in samples:
            assert sample.energy is not None
            energy, by_u, by_strain = (part @ self.weights for part in self._terms(sample.perturbation))
            w, axes = np.linalg.eigh(deformation := np.eye(3) + sample.perturbation.strain)  # type: ignore[operator]
            factor = 2 * np.outer(w, w) / (w[:, None] + w)
            stress = axes @ (factor * (axes.T @ by_strain.reshape(3, 3) @ axes)) @ axes.T
            stress /= self.parent.volume * w.prod()
            errors["energy_mev_per_atom"].append(1e3 * abs(energy[0] - sample.energy / 5))
            forces = -by_u.reshape(5, 3) @ np.linalg.inv(deformation)
            errors["forces_mev_per_angstrom"].append(1e3 * np.abs(forces - sample.forces).mean())
            errors["stress_gpa"].append(GPA * np.abs(stress - sample.stress).mean())
        return {name: float(np.mean(values)) for name, values in errors.items()}


def picture(path: Path, data: dict[str, Any], curves: dict[str, np.ndarray]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(5.5, 4))
    reference = 1e3 * (np.reshape(data["soft_energies"], (3, -1)) - data["energy"])
    for (name, curve), wanted, colour in zip(curves.items(), reference, ("C0", "C1", "C2")):
        axis.plot(AMPLITUDES, wanted, "o", color=colour, markersize=3.5)
        axis.plot(AMPLITUDES, curve, color=colour, label=name)
    axis.set(xlabel="amplitude of the T1u mode (Å)", ylabel="energy (meV a cell)", ylim=(-60, 100))
    axis.legend(title="network; dots CHGNet")
    axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=150)


def main(
    out: Annotated[Path, typer.Option(help="folder for labels, runs, results.json and soft_mode.png")],
    python: Annotated[str, typer.Option(help="interpreter that has chgnet; only for labels that OUT lacks")] = "python",
    sizes: Annotated[str, typer.Option(help="numbers of training samples")] = "10,20,40,80,160",
    seeds: Annotated[str, typer.Option(help="seeds of the weights and of the order")] = "0,1,2",
    rows: Annotated[str, typer.Option(help="harmonic, or of ROWS")] = "harmonic,body,e3nn,1,1 turned",
    steps: Annotated[int, typer.Option(help="steps of the optimiser")] = 500,
) -> None:
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    counts = [int(size) for size in sizes.split(",")]
    if not (out / "labels.json").exists():
        (out / "labels.json").write_text(json.dumps(make_labels(python, max(counts))))
    data = json.loads((out / "labels.json").read_text())
    parent = parent_with(data["a"])
    samples = [
        EnergySample(
            Perturbation(np.array(entry["displacements"]), np.array(entry["strain"])),
            entry["energy"] - data["energy"],
            np.array(entry["forces"]),
            np.array(entry["stress"]),
        )
        for entry in data["samples"]
    ]
    pool, validation, test = samples[: -VALIDATION - TEST], samples[-VALIDATION - TEST : -TEST], samples[-TEST:]
    if max(counts) > len(pool):
        raise IrrepnetError(f"{out}: has labels for {len(pool)} training samples only; take another folder")
    results = json.loads((out / "results.json").read_text()) if (out / "results.json").exists() else {}
    for seed in seeds.split(","):
        for row in rows.split(","):
            for count in counts:
                key = (
                    f"{row}, {count} samples, {steps} steps, seed {seed}"
                    if row != "harmonic"
                    else f"harmonic, {count} samples"
                )
                if key in results:
                    continue
                train, start = pool[:count], time.process_time()
                if row == "harmonic":
                    results[key] = {"test": Harmonic(parent, train).errors(test)}
                else:
                    if row == "1 turned":
                        train = [image for sample in train for image in images(parent, sample)]
                    epochs = max(1, round(steps / -(-len(train) // EnergyTrainingConfig().batch_size)))
                    options = EnergyTrainingConfig(epochs=epochs, seed=int(seed), precision="float32")
                    network = TensorField if row == "e3nn" else EnergyNet
                    model = fit_energy(parent, train, validation, ROWS[row], options, Log(), network)
                    if network is EnergyNet:
                        model.save(out / key)
                    results[key] = {
                        "validation": model.errors(validation),
                        "test": model.errors(test),
                        "cpu_seconds": time.process_time() - start,
                        "parameters": sum(weights.numel() for weights in model.net.parameters()),
                    }
                print(key, {name: round(value, 2) for name, value in results[key]["test"].items()}, flush=True)
                (out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    best = out / f"body, {max(counts)} samples, {steps} steps, seed {seeds.split(',')[0]}"
    if best.exists():
        model = EnergyModel.load(best)
        patterns = soft_patterns(np.array(data["soft_mode"]))
        curves = {
            name: 1e3 * model.predict([Perturbation(u) for u in pattern]).energy.numpy()
            for name, pattern in patterns.items()
        }
        picture(out / "soft_mode.png", data, curves)
        wanted = 1e3 * (np.reshape(data["soft_energies"], (3, -1)) - data["energy"])
        for (name, curve), reference in zip(curves.items(), wanted):
            for who, values in (("CHGNet", reference), ("network", curve)):
                print(f"{name} {who}: {values.min():.1f} meV a cell at {AMPLITUDES[values.argmin()]:.2f} Å")


if __name__ == "__main__":
    typer.run(main)
