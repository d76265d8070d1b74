"""Hamiltonians learned: a run from its configuration to a folder with the model, and what it predicts.

    read the data → prepare → split by formula → fit (loop.py) → test once → write the result

The folder is that of every run (see `training.run`): config.yaml, versions.json, data.json, rejected.csv, split.json,
metrics.csv, model.safetensors, model.json, metrics.json, log.txt, and while training checkpoint.safetensors. Figures of
the test crystals are in test.csv.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field, ValidationError
from pymatgen.core import Composition
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from irrepnet import __version__
from irrepnet.data import split_by_formula
from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians.blocks import BondOrbit
from irrepnet.hamiltonians.compare import Comparison, compare
from irrepnet.hamiltonians.embedded import FOLDER
from irrepnet.hamiltonians.formats.own import read_reduced
from irrepnet.hamiltonians.graph import HamiltonianGraph, Target, hamiltonian_graph, target
from irrepnet.hamiltonians.model import Hamiltonian
from irrepnet.hamiltonians.network import HamiltonianNet, HamiltonianNetConfig
from irrepnet.hamiltonians.reduced import ReducedHamiltonian, coefficients, expanded
from irrepnet.hamiltonians.symmetry import Action
from irrepnet.training.checkpoint import State, replacing, write_json, write_text
from irrepnet.training.config import BaseRunConfig, Names, Section, TrainingConfig
from irrepnet.training.folder import csv_text, open_folder, write_history
from irrepnet.training.log import Log, duration
from irrepnet.training.loop import run_epochs, threads

FORMAT = 1
"""Of model.json; goes up when old models become unreadable."""


class HamiltonianDataConfig(Section):
    """The Hamiltonians, and how they are split.

    Attributes:
        source: file or folder of Hamiltonians with H0, see `irrepnet hamiltonian generate`; or "embedded".
        split: fractions of the formulas for training, validation and test.
        split_seed: seed of the split.
        test: formulas that are held out for the test instead; validation takes its fraction of the others.
    """

    source: str
    split: tuple[float, float, float] = (0.8, 0.1, 0.1)
    split_seed: int = Field(0, ge=0)
    test: Names | None = None


class HamiltonianTrainingConfig(TrainingConfig):
    """As everywhere, with other defaults: Hamiltonians are few, and each is many numbers.

    Attributes:
        elements: weight of the elements of ΔH in the loss, beside that of the bands; see
            `hamiltonians.graph.Target.loss`.
    """

    epochs: int = Field(150, ge=1)
    batch_size: int = Field(2, ge=1)
    learning_rate: float = Field(1e-2, gt=0)
    weight_decay: float = Field(1.0, ge=0)
    ema: float = Field(0.98, ge=0, lt=1)
    elements: float = Field(1.0, ge=0)


class HamiltonianRunConfig(BaseRunConfig):
    """A run: the network, the data, the training."""

    model: HamiltonianNetConfig = Field(default_factory=HamiltonianNetConfig)
    data: HamiltonianDataConfig
    training: HamiltonianTrainingConfig = Field(  # type: ignore[assignment]
        default_factory=lambda: HamiltonianTrainingConfig.model_validate({})
    )


@dataclass(frozen=True, eq=False)
class Sample:
    """A crystal with its Hamiltonians, of real orbitals, as symmetric as the crystal is."""

    id: str
    formula: str
    act: Action
    """The space group on the orbitals."""
    orbits: Sequence[BondOrbit]
    """Of all blocks."""
    start: Hamiltonian
    """H0 and S"""
    electrons: float
    """In the cell."""
    true: Hamiltonian | None = None
    """H and S, where it is known."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """How the file was computed, see `hamiltonians.crystal_list.Settings`."""

    @property
    def is_insulator(self) -> bool:
        """Whether whole bands can be filled: the number of electrons is even."""
        return abs(self.electrons - 2 * self.occupied) < 1e-6

    @property
    def occupied(self) -> int:
        """Bands that are filled, in an insulator."""
        return round(self.electrons / 2)

    def numbers(self, blocks: np.ndarray | None) -> np.ndarray:
        """(m,) the independent numbers of H, H0 or S."""
        assert blocks is not None
        return coefficients(self.act, self.orbits, self.start.R, blocks)

    def graph(self, cutoff: float) -> HamiltonianGraph:
        return hamiltonian_graph(self.act, self.orbits, self.start, cutoff)

    def target(self) -> Target:
        """Raises IrrepnetError if H is not known."""
        if self.true is None:
            raise IrrepnetError(f"{self.id}: its file has no H; generate it with one")
        delta = self.numbers(self.true.H - self.start.H)
        return target(self.act, self.orbits, self.true, delta, self.numbers(self.start.S), self.occupied)

    def predicted(self, delta: np.ndarray) -> Hamiltonian:
        """H0 + ΔH from its independent numbers (m,): Hermitian and symmetric."""
        H = expanded(self.act, self.orbits, self.start.R, self.numbers(self.start.H) + delta)
        return replace(self.start, H=H, fermi=None, name=self.id)

    def errors(self, predicted: Hamiltonian) -> Comparison:
        """Against the true H."""
        assert self.true is not None
        return compare(self.true, predicted, self.act, self.orbits, self.occupied)


def fit_hamiltonians(
    model: torch.nn.Module,
    graphs: Sequence[Any],
    targets: Sequence[Target],
    split: Mapping[str, np.ndarray],
    config: HamiltonianRunConfig,
    out: Path,
    log: Log,
) -> State:
    """Train a network that maps a graph to (m,) numbers, from the checkpoint in `out` if there is one.

    Graphs have `to(dtype)`, as `HamiltonianGraph`.

    Without validation crystals those of the training choose the epoch.
    """
    state = State.start(model, config.training.weight_decay)
    checkpoint = out / "checkpoint.safetensors"
    if checkpoint.exists():
        state.load(checkpoint)
        log.line(f"resuming after epoch {state.epoch}")
    dtype = next(model.parameters()).dtype
    graphs, targets = [graph.to(dtype) for graph in graphs], [own.to(dtype) for own in targets]
    train = split["train"]
    judges = split["validation"] if len(split["validation"]) else train

    def loss(network: torch.nn.Module, chosen: np.ndarray) -> torch.Tensor:
        losses = [targets[k].loss(network(graphs[k]), config.training.elements) for k in chosen]
        return torch.stack(losses).mean()

    def validate() -> tuple[float, dict[str, Any]]:
        with torch.inference_mode():
            return loss(state.average, judges).item(), {}

    def report(state: State) -> None:
        write_history(out, state.history)
        row = state.history[-1]
        losses = f"loss {row['train_loss']:.4f} eV  validation {row['validation_loss']:.4f} eV"
        log.line(f"epoch {row['epoch']}/{config.training.epochs}  {losses}" + ("  best" if row["best"] else ""))

    epochs = config.training.epochs
    with log.progress("training", len(train) * epochs, len(train) * state.epoch) as advance:
        run_epochs(
            state,
            len(train),
            lambda part: loss(state.model, train[part]),
            validate,
            config.training,
            checkpoint,
            advance,
            report,
        )
    return state


@dataclass(frozen=True)
class HamiltonianRun:
    """A trained network.

    Attributes:
        folder: where it was loaded from.
        model: in float64 and evaluation mode, with the weights of the best epoch.
        config: of the run.
        card: the whole of model.json.
    """

    folder: Path
    model: HamiltonianNet
    config: HamiltonianRunConfig
    card: dict[str, Any]

    def predict(self, sample: Sample) -> Hamiltonian:
        """H with the S of the sample.

        Raises:
            IrrepnetError: the network has not seen an element of the sample.
        """
        unknown = sorted(set(sample.start.known_basis.species) - set(self.card["elements"]))
        if unknown:
            raise IrrepnetError(
                f"{sample.id}: no crystal that {self.folder} was trained on contains {', '.join(unknown)}; it knows "
                f"{', '.join(self.card['elements'])}"
            )
        return sample.predicted(predicted_numbers(self.model, sample.graph(self.config.model.cutoff)))

    def notes(self, sample: Sample) -> list[str]:
        """What a reader of a prediction should know."""
        if sample.formula in self.card["formulas"]:
            return ["crystals of this formula are in the training split"]
        return []


def predicted_numbers(model: torch.nn.Module, graph: Any) -> np.ndarray:
    """(m,) eV, float64."""
    with torch.inference_mode():
        return model(graph.to(next(model.parameters()).dtype)).double().numpy()


def train_hamiltonians(
    config: HamiltonianRunConfig, out: str | Path, resume: bool = False, quiet: bool = False
) -> HamiltonianRun:
    """Train a network on Hamiltonians and write its run folder.

    The same configuration, data, library versions and machine give the same bits, whether or not the run was
    interrupted and resumed.

    Raises:
        IrrepnetError: ``out`` holds a run and ``resume`` is false, or another configuration or other data; the data
            cannot be used; the training diverges.
    """
    out, log = Path(out), Log(quiet)
    open_folder(out, config, resume, log)
    if (out / "metrics.json").exists():
        log.line(f"{out}: this run is finished")
        return load_hamiltonian_run(out)
    with torch.random.fork_rng(devices=[]), threads(config.training.threads):
        _train(config, out, log)
    return load_hamiltonian_run(out)


def _train(config: HamiltonianRunConfig, out: Path, log: Log) -> None:
    samples, rejections, hash_ = read_samples(config.data.source)
    known = out / "data.json"
    if known.exists() and json.loads(known.read_text(encoding="utf-8"))["hash"] != hash_:
        raise IrrepnetError(f"{config.data.source}: not the data of the run in {out} (another hash); start a new run")
    split = split_samples([sample.formula for sample in samples], config.data)
    description = {
        "source": config.data.source,
        "hash": hash_,
        "read": len(samples) + len(rejections),
        "used": len(samples),
        **{name: len(part) for name, part in split.items()},
    }
    write_text(out / "rejected.csv", csv_text(("id", "reason"), rejections))
    ids = {name: {"id": [samples[k].id for k in part], "formula": [samples[k].formula for k in part]}
           for name, part in split.items()}  # fmt: skip
    write_json(out / "split.json", ids)
    write_json(known, description)
    log.line(f"{len(samples)} crystals: " + ", ".join(f"{len(part)} {name}" for name, part in split.items()))

    graphs = [sample.graph(config.model.cutoff) for sample in samples]
    targets = [sample.target() for sample in samples]
    torch.manual_seed(config.training.seed)
    model = HamiltonianNet(config.model)
    parameters = sum(weights.numel() for weights in model.parameters())
    log.line(f"{parameters} parameters")
    state = fit_hamiltonians(model, graphs, targets, split, config, out, log)
    model.load_state_dict(state.best)
    model = model.double().eval()

    rows = []
    for k in split["test"]:
        found = samples[k].predicted(predicted_numbers(model, graphs[k]))
        rows.append({"id": samples[k].id, "formula": samples[k].formula, **samples[k].errors(found).as_dict()})
    if rows:
        write_text(out / "test.csv", csv_text(rows[0], (row.values() for row in rows)))
    errors = mean_errors(rows)
    with replacing(out / "model.safetensors") as part:
        part.write_bytes(save({name: tensor.contiguous() for name, tensor in state.best.items()}))
    card = {
        "format": FORMAT,
        "kind": "hamiltonian",
        "irrepnet": __version__,
        "config": config.model_dump(mode="json"),
        "elements": sorted({symbol for k in split["train"] for symbol in samples[k].start.known_basis.species}),
        "formulas": sorted({samples[k].formula for k in split["train"]}),
        "settings": common_settings(samples),
        "data": description,
        "errors": errors,
    }
    write_json(out / "model.json", card)
    metrics = {
        "best_epoch": state.best_epoch,
        "epochs": state.epoch,
        "parameters": parameters,
        "seconds_per_epoch": float(np.mean([row["seconds"] for row in state.history])),
        "units": "meV",
        "test": errors,
    }
    write_json(out / "metrics.json", metrics)
    (out / "checkpoint.safetensors").unlink()
    log.line(f"done in {duration(sum(row['seconds'] for row in state.history))}; best epoch {state.best_epoch}")
    if rows:
        log.line("test split: " + ", ".join(f"{key} {value:.3g}" for key, value in errors.items()) + " (meV)")


def common_settings(samples: Sequence[Sample]) -> dict[str, Any]:
    """The settings of the generator that all files share, without meshes, which are those of one crystal; {} if the
    orbitals differ."""
    first = dict(samples[0].settings)
    if any(sample.settings.get("basis") != first.get("basis") for sample in samples):
        return {}
    shared = {
        key: value for key, value in first.items() if all(sample.settings.get(key) == value for sample in samples)
    }
    return {key: value for key, value in shared.items() if key not in ("grid", "kmesh", "scf_kmesh")}


def sample_of(file: ReducedHamiltonian, name: str) -> Sample:
    """A crystal from its independent numbers. Raises IrrepnetError if S, H0 or the number of electrons is missing."""
    electrons = file.provenance.get("electrons")
    for what, value in (("S", file.S), ("H0", file.H0), ("number of electrons", electrons)):
        if value is None:
            raise IrrepnetError(f"{name}: it has no {what}; make it with irrepnet hamiltonian generate")
    act, orbits = file.orbits
    true = replace(file.expand(), name=name)
    assert true.H0 is not None
    assert electrons is not None
    formula = Composition(Counter(true.known_basis.species)).reduced_formula
    settings = file.provenance.get("request", {}).get("settings", {})
    start = replace(true, H=true.H0, H0=None, fermi=None)
    return Sample(name, formula, act, orbits, start, float(electrons), replace(true, H0=None), settings)


def sample_for(file: str | Path, run: HamiltonianRun) -> Sample:
    """A crystal to predict: a *.safetensors of the generator, or a structure file, of which S and H0 are computed with
    the settings of the run's data (PySCF, without self-consistency).

    Raises:
        IrrepnetError: the file cannot be read, it has no H0, or PySCF is missing.
    """
    path = Path(file)
    if path.suffix == ".safetensors":
        return sample_of(read_reduced(path), path.stem)
    settings = run.card["settings"]
    if not settings:
        raise IrrepnetError(
            f"{run.folder}: its data do not say how S and H0 are computed; give a *.safetensors that holds them"
        )
    from irrepnet.hamiltonians.dft.crystal_list import Request, Settings
    from irrepnet.hamiltonians.dft.generate import start

    return sample_of(start(Request.from_structure(path, path.stem, Settings.checked(**settings))), path.stem)


def read_samples(source: str) -> tuple[list[Sample], list[tuple[str, str]], str]:
    """Crystals, those that cannot be read with the reason, and the hash of all files.

    Args:
        source: a file *.safetensors of `irrepnet hamiltonian generate`, a folder of them, or "embedded", those that
            come with the package.

    Raises:
        IrrepnetError: there are none, or none that can be read.
    """
    path = FOLDER if source == "embedded" else Path(source)
    files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
    samples, rejections, content = [], [], hashlib.sha256()
    for file in files:
        try:
            samples.append(sample_of(read_reduced(file), file.stem))
            content.update(file.read_bytes())
        except IrrepnetError as error:
            rejections.append((file.stem, str(error)))
    if not samples:
        reason = rejections[0][1] if rejections else "the folder has no *.safetensors"
        raise IrrepnetError(f"{source}: holds no Hamiltonian to learn from: {reason}")
    return samples, rejections, content.hexdigest()


def mean_errors(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Of several crystals, meV: the mean of each error, for the gap of its size, and the largest of `symmetry`."""
    if not rows:
        return {}
    figures = [key for key in Comparison.__dataclass_fields__ if key != "symmetry"]
    means = {key: float(np.mean([abs(row[key]) for row in rows])) for key in figures}
    return {**means, "symmetry": max(row["symmetry"] for row in rows)}


def split_samples(formulas: Sequence[str], config: HamiltonianDataConfig) -> dict[str, np.ndarray]:
    """Indices of "train", "validation" and "test": whole formulas, never one in two parts."""
    if config.test is None:
        return split_by_formula(list(formulas), config.split, config.split_seed)
    missing = sorted(set(config.test) - set(formulas))
    if missing:
        raise IrrepnetError(
            f"data.test: no crystal with the formula {missing[0]}; there are {', '.join(sorted(set(formulas)))}"
        )
    rest = sorted(set(formulas) - set(config.test))
    share = config.split[1] / (config.split[0] + config.split[1])
    order = np.random.default_rng(config.split_seed).permutation(len(rest))
    held = {rest[i] for i in order[: round(share * len(rest))]}
    parts = {"train": set(rest) - held, "validation": held, "test": set(config.test)}
    return {name: np.flatnonzero([formula in own for formula in formulas]) for name, own in parts.items()}


def load_hamiltonian_run(folder: str | Path) -> HamiltonianRun:
    """Load the network of a finished run.

    Raises:
        IrrepnetError: the folder holds no finished run of this kind.
    """
    folder = Path(folder)
    if not (folder / "model.json").exists():
        hint = "go on with --resume" if (folder / "config.yaml").exists() else "give the --out folder of a training"
        raise IrrepnetError(f"{folder}: holds no finished run; {hint}")
    try:
        card = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        if card.get("kind") != "hamiltonian":
            raise IrrepnetError(f"{folder}: its network does not predict Hamiltonians; use irrepnet predict")
        if card["format"] != FORMAT:
            raise IrrepnetError(f"{folder}: a model of format {card['format']}, this irrepnet reads {FORMAT}")
        config = HamiltonianRunConfig.model_validate(card["config"])
        with torch.random.fork_rng(devices=[]):
            model = HamiltonianNet(config.model)
        model.load_state_dict(load_file(folder / "model.safetensors"))
    except (OSError, ValidationError, KeyError, TypeError, ValueError, SafetensorError, RuntimeError) as error:
        raise IrrepnetError(f"{folder}: cannot load the model: {' '.join(str(error).split())}") from None
    return HamiltonianRun(folder, model.double().eval().requires_grad_(False), config, card)


def evaluate_hamiltonians(run: str | Path, source: str | None = None, split: str = "auto") -> dict[str, Any]:
    """Errors of a run's predictions, meV: {"data", "split", "crystals": […], "errors": means, "rejections": […]}.

    Args:
        run: its folder.
        source: Hamiltonians with H and H0; the run's own when None.
        split: "auto" (the test split of the run's own data, else all), "all", "train", "validation" or "test".
    """
    loaded = load_hamiltonian_run(run)
    samples, rejections, hash_ = read_samples(source or loaded.config.data.source)
    own = hash_ == loaded.card["data"]["hash"]
    if split == "auto":
        split = "test" if own else "all"
    if split not in ("all", "train", "validation", "test"):
        raise IrrepnetError(f"unknown split {split!r}; choose one of auto, all, train, validation, test")
    if split != "all":
        if not own:
            raise IrrepnetError(f"{source}: not the data of this run, so it has no {split} split; use --split all")
        ids = json.loads((loaded.folder / "split.json").read_text(encoding="utf-8"))[split]["id"]
        samples = [sample for sample in samples if sample.id in set(ids)]
    if not samples:
        raise IrrepnetError(f"{run}: the {split} split has no crystals")
    rows = [
        {"id": sample.id, "formula": sample.formula, **sample.errors(loaded.predict(sample)).as_dict()}
        for sample in samples
    ]
    return {
        "data": source or loaded.config.data.source,
        "split": split,
        "crystals": rows,
        "errors": mean_errors(rows),
        "rejections": [{"id": name, "reason": reason} for name, reason in rejections],
    }
