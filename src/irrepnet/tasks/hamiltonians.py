"""Hamiltonians: H(R) of a crystal from its H0 and S."""

import copy
import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, field_validator
from pymatgen.core import Composition

from irrepnet.crystals import read_cell
from irrepnet.data import Rejection, split_by_formula
from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians.bands import band_gap, fermi_energy
from irrepnet.hamiltonians.blocks import BondOrbit
from irrepnet.hamiltonians.compare import Comparison, compare
from irrepnet.hamiltonians.embedded import FOLDER
from irrepnet.hamiltonians.formats.own import read_reduced
from irrepnet.hamiltonians.graph import DeltaTarget, HamiltonianGraph, delta_target, hamiltonian_graph
from irrepnet.hamiltonians.model import Hamiltonian
from irrepnet.hamiltonians.network import HamiltonianNet, HamiltonianNetConfig
from irrepnet.hamiltonians.reduced import ReducedHamiltonian, coefficients, expanded
from irrepnet.hamiltonians.symmetry import Action
from irrepnet.models import Ensemble
from irrepnet.tasks.config import DataConfig, Names, RunConfig, TrainingConfig
from irrepnet.tasks.properties import trust
from irrepnet.tasks.targets import HamiltonianTarget
from irrepnet.tasks.task import (
    GIVEN,
    Deviations,
    Examples,
    Item,
    Judgement,
    Learning,
    Log,
    Source,
    Task,
    Together,
    device_of,
    none_left,
    source_name,
)

_ATOMS_OF_A_MINUTE = 20
"""No primitive cell with more is started from in a minute."""


class HamiltonianDataConfig(DataConfig):
    """The Hamiltonians, and how they are split.

    Attributes:
        source: file or folder of Hamiltonians with H0, see `irrepnet hamiltonian generate`; or "embedded".
        split: fractions of the formulas for training, validation and test; or a JSON file with the ids of each.
        split_seed: seed of the split.
        test: formulas that are held out for the test instead; validation takes its fraction of the others.
    """

    test: Names | None = None

    @field_validator("split")
    @classmethod
    def _fractions(cls, split: tuple[float, float, float] | str) -> tuple[float, float, float] | str:
        """A part may be empty, where ``test`` names formulas or there are few of them."""
        if isinstance(split, str):
            return split
        if min(split) < 0 or split[0] <= 0 or abs(sum(split) - 1) > 1e-6:
            raise ValueError("must be three fractions that add up to 1 (training, validation, test)")
        return split


class HamiltonianTrainingConfig(TrainingConfig):
    """As everywhere, with other defaults: Hamiltonians are few, and each is many numbers.

    Attributes:
        elements: weight of the elements of ΔH in the loss, beside that of the bands; see
            `hamiltonians.graph.DeltaTarget.loss`.
    """

    epochs: int = Field(default=150, ge=1)
    batch_size: int = Field(default=2, ge=1)
    learning_rate: float = Field(default=1e-2, gt=0)
    weight_decay: float = Field(default=1.0, ge=0)
    ema: float = Field(default=0.98, ge=0, lt=1)
    elements: float = Field(default=1.0, ge=0)


class HamiltonianRunConfig(RunConfig):
    """A run: the network, the data, the training."""

    task: Literal["hamiltonians"] = "hamiltonians"
    model: HamiltonianNetConfig = Field(default_factory=HamiltonianNetConfig)
    data: HamiltonianDataConfig
    training: HamiltonianTrainingConfig = Field(default_factory=HamiltonianTrainingConfig)

    @property
    def averages(self) -> bool:
        return True


@dataclass(frozen=True, eq=False)
class HamiltonianSample:
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
    """How the file was computed, see `hamiltonians.dft.crystal_list.Settings`."""

    @property
    def is_insulator(self) -> bool:
        """Whether whole bands can be filled: the number of electrons is even."""
        return abs(self.electrons - 2 * self.occupied) < 1e-6

    @property
    def occupied(self) -> int:
        """Bands that are filled, in an insulator."""
        return round(self.electrons / 2)

    @property
    def species(self) -> tuple[str, ...]:
        return self.start.known_basis.species

    def numbers(self, blocks: np.ndarray | None) -> np.ndarray:
        """(m,) the independent numbers of H, H0 or S."""
        assert blocks is not None
        return coefficients(self.act, self.orbits, self.start.R, blocks)

    def graph(self, cutoff: float) -> HamiltonianGraph:
        return hamiltonian_graph(self.act, self.orbits, self.start, cutoff)

    def target(self) -> DeltaTarget:
        """Raises IrrepnetError if H is not known."""
        if self.true is None:
            raise IrrepnetError(f"{self.id}: its file has no H; generate it with one")
        delta = self.numbers(self.true.H - self.start.H)
        return delta_target(self.act, self.orbits, self.true, delta, self.numbers(self.start.S), self.occupied)

    def predicted(self, delta: np.ndarray) -> Hamiltonian:
        """H0 + ΔH from its independent numbers (m,): Hermitian and symmetric."""
        H = expanded(self.act, self.orbits, self.start.R, self.numbers(self.start.H) + delta)
        return replace(self.start, H=H, fermi=None, name=self.id)

    def errors(self, predicted: Hamiltonian) -> Comparison:
        """Against the true H."""
        assert self.true is not None
        return compare(self.true, predicted, self.act, self.orbits, self.occupied)


@dataclass(frozen=True)
class HamiltonianExamples(Examples):
    """Crystals with their Hamiltonians, ready for a network.

    Attributes:
        records: :class:`HamiltonianSample` each.
        graphs: their graphs.
    """

    graphs: list[HamiltonianGraph]


class HamiltonianTask(Task):
    """H(R) from H0 and S.

    Attributes:
        settings: of the generator, that all files share; {} if they do not.
        l_max: of the network.
    """

    name = "hamiltonians"
    Config = HamiltonianRunConfig

    config: HamiltonianRunConfig
    targets: list[HamiltonianTarget]  # type: ignore[assignment]

    def __init__(self, config: HamiltonianRunConfig) -> None:
        super().__init__(config)
        self.settings: dict[str, Any] = {}
        self.l_max = config.model.l_max or 4

    def read(self, source: str, data: Any = None) -> Source:
        return read_samples(source, data)

    def prepare(self, source: Source, log: Log, targets: Sequence[str] | None = None) -> HamiltonianExamples:
        made = HamiltonianExamples([], [], [])
        with log.progress("graphs", len(source.records)) as advance:
            for sample in source.records:
                try:
                    made.graphs.append(sample.graph(self.config.model.cutoff))
                    made.records.append(sample)
                    made.failures.append(())
                except IrrepnetError as error:
                    made.rejections.append(Rejection(sample.id, str(error)))
                advance(1)
        if not made.records:
            raise none_left(source.name, len(source.records), made.rejections)
        return made

    def split(self, examples: HamiltonianExamples) -> dict[str, np.ndarray]:
        """Whole formulas, never one in two parts; ``data.test`` names those of the test."""
        if isinstance(self.config.data.split, str):
            return super().split(examples)
        return split_samples([sample.formula for sample in examples.records], self.config.data)

    def fit(self, examples: HamiltonianExamples, train: np.ndarray) -> None:
        self.targets = [HamiltonianTarget()]
        self.settings = common_settings(examples.records)
        if self.config.model.l_max is None:
            shells = [shell.l for sample in examples.records for shell in sample.act.basis.shells]
            self.l_max = 6 if max(shells) > 2 else 4

    def network(self) -> HamiltonianNet:
        return HamiltonianNet(self.config.model.model_copy(update={"l_max": self.l_max}))

    def learning(
        self, examples: HamiltonianExamples, split: Mapping[str, np.ndarray], device: torch.device
    ) -> Learning:
        """Without validation crystals those of the training choose the epoch."""
        everything = np.concatenate([split["train"], split["validation"]]).tolist()
        targets = {k: examples.records[k].target() for k in everything}
        graphs = {k: examples.graphs[k] for k in everything}
        return learning(graphs, targets, split, self.config.training, device)

    def hamiltonian(self, network: torch.nn.Module, sample: HamiltonianSample) -> Hamiltonian:
        """H with the S of the sample, computed in float64."""
        graph = sample.graph(self.config.model.cutoff)
        return sample.predicted(predicted_numbers(copy.deepcopy(network).double(), graph))

    def judge(self, network: torch.nn.Module, examples: HamiltonianExamples, part: np.ndarray) -> Judgement:
        exact = copy.deepcopy(network).double().eval()
        figures = []
        for k in part:
            sample = examples.records[k]
            found = sample.predicted(predicted_numbers(exact, examples.graphs[k]))
            figures.append(sample.errors(found).as_dict())
        errors = {"n": len(figures), **mean_comparison(figures)}
        keys = list(figures[0]) if figures else []
        samples = [examples.records[k] for k in part]
        rows = [[s.id, s.formula, *(own[key] for key in keys)] for s, own in zip(samples, figures)]
        return Judgement({"hamiltonian": errors}, ["id", "formula", *keys], rows)

    def features(self, network: torch.nn.Module, examples: HamiltonianExamples, part: np.ndarray) -> np.ndarray | None:
        """Means and spreads over the atoms of what the network, of several the first, knows of them."""
        return _features(network, [examples.graphs[k] for k in part])

    def deviations(
        self, network: torch.nn.Module, examples: HamiltonianExamples, part: np.ndarray
    ) -> dict[str, Deviations]:
        """Errors of the valence bands, meV."""
        rows = self.judge(network, examples, part)
        errors = np.array([row[rows.header.index("valence")] for row in rows.rows], float)
        return {self.targets[0].name: Deviations(errors, np.ones(len(errors)))}

    def items(self, sources: Iterable[Any]) -> Iterator[Item]:
        """The files."""
        return ((source_name(source), source) for source in sources)

    def predict(self, network: torch.nn.Module, items: Sequence[Item], log: Log) -> list[dict[str, Any]]:
        """Beside what every row says, ``hamiltonian_bound``: of the error of the valence bands, meV."""
        rows = []
        for name, source in items:
            try:
                if name == GIVEN:
                    raise IrrepnetError("Hamiltonians are predicted for files: write the structure into one")
                _, _, row = self.answer(network, Path(source))
            except IrrepnetError as error:
                id = "" if name == GIVEN else Path(source).stem
                row = {"id": id, "formula": "", "hamiltonian": None, "note": str(error)}
            rows.append({"file": name, **row})
        return rows

    def answer(
        self, network: torch.nn.Module, source: Any, seconds: float = math.inf
    ) -> tuple[HamiltonianSample, Hamiltonian, dict[str, Any]]:
        """The crystal, its H with the Fermi energy, and a row of :meth:`predict` without ``file``.

        Args:
            source, seconds: see :func:`sample_for`.
        """
        notes = () if is_hamiltonian(source) else read_cell(source).notes
        sample = sample_for(source, self.settings, seconds)
        found = with_fermi(sample, self.hamiltonian(network, sample))
        row = {
            "id": sample.id,
            "formula": sample.formula,
            "hamiltonian": levels(sample, found),
            "note": "; ".join(notes),
        }
        trust(
            [row],
            self.reliability,
            _features(network, [sample.graph(self.config.model.cutoff)]),
            {"hamiltonian": np.ones(1)},
        )
        return sample, found, row

    def card(self, examples: HamiltonianExamples, train: np.ndarray) -> dict[str, Any]:
        return {**super().card(examples, train), "settings": self.settings, "l_max": self.l_max}

    def load(self, card: Mapping[str, Any]) -> None:
        super().load(card)
        self.settings, self.l_max = card["settings"], card.get("l_max", self.l_max)


def learning(
    graphs: Mapping[int, Any],
    targets: Mapping[int, DeltaTarget],
    split: Mapping[str, np.ndarray],
    config: HamiltonianTrainingConfig,
    device: torch.device,
) -> Learning:
    """How a network learns that maps a graph to (m,) numbers; graphs have `to(device, dtype)` as `HamiltonianGraph`."""
    moved = {k: graph.to(device, torch.float32) for k, graph in graphs.items()}
    wanted = {k: target.to(device, torch.float32) for k, target in targets.items()}
    judges = split["validation"] if len(split["validation"]) else split["train"]

    def losses(network: torch.nn.Module, chosen: np.ndarray) -> list[torch.Tensor]:
        return [wanted[k].loss(network(moved[k]), config.elements) for k in chosen]

    def loss(network: torch.nn.Module, part: np.ndarray) -> torch.Tensor:
        return torch.stack(losses(network, split["train"][part])).mean()

    def validate(network: torch.nn.Module, together: Together) -> tuple[float, dict[str, Any]]:
        with torch.inference_mode():
            found = together(lambda part: losses(network, judges[part]), len(judges))
            return torch.stack(found).mean().item(), {}

    return Learning(loss, validate)


def _features(network: torch.nn.Module, graphs: Sequence[HamiltonianGraph]) -> np.ndarray | None:
    """(n, F); None without a graph, or of a network of another kind."""
    first = network.members[0] if isinstance(network, Ensemble) else network
    if not isinstance(first, HamiltonianNet) or not graphs:
        return None
    rows = []
    with torch.inference_mode():
        for graph in graphs:
            moved = graph.to(device_of(first), next(first.parameters()).dtype)
            atoms = first.features(moved)[0].index_select(0, moved.site_node)
            rows.append(torch.cat([atoms.mean(0), atoms.std(0, unbiased=False)]))
    return torch.stack(rows).double().cpu().numpy()


def predicted_numbers(network: torch.nn.Module, graph: Any) -> np.ndarray:
    """(m,) eV, float64."""
    with torch.inference_mode():
        moved = graph.to(device_of(network), next(network.parameters()).dtype)
        return network(moved).double().cpu().numpy()


def with_fermi(sample: HamiltonianSample, found: Hamiltonian) -> Hamiltonian:
    """The Hamiltonian with its Fermi energy: the top of the filled bands if there is a gap above them."""
    gap = _gap(sample, found)
    return replace(found, fermi=fermi_energy(found, sample.electrons) if gap is None else gap.top)


def levels(sample: HamiltonianSample, found: Hamiltonian) -> dict[str, Any]:
    """What a Hamiltonian says at once: orbitals, Fermi energy, fundamental and direct gap (None for a metal), eV."""
    gap = _gap(sample, found)
    return {
        "orbitals": len(found),
        "fermi": found.fermi,
        "gap": None if gap is None else {"fundamental": gap.fundamental, "direct": gap.direct},
    }


def _gap(sample: HamiltonianSample, found: Hamiltonian) -> Any:
    if sample.is_insulator and sample.occupied < len(found):
        return band_gap(found, sample.occupied)
    return None


def is_hamiltonian(source: Any) -> bool:
    """Whether it is a file of the generator, not a structure."""
    return isinstance(source, str | Path) and Path(source).suffix.lower() == ".safetensors"


def sample_for(source: Any, settings: Mapping[str, Any], seconds: float = math.inf) -> HamiltonianSample:
    """A crystal to predict: a *.safetensors of the generator, or a structure, of which S and H0 are computed with
    these settings, those of a run's data (PySCF, without self-consistency).

    Args:
        source: the file, or what else :func:`irrepnet.crystals.read_cell` takes.
        settings: of the generator.
        seconds: the longest that S and H0 may be expected to take.

    Raises:
        IrrepnetError: the file cannot be read, it has no H0, or PySCF is missing; or S and H0 would take longer.
    """
    name = Path(source).stem if isinstance(source, str | Path) else "given"
    if is_hamiltonian(source):
        return sample_of(read_reduced(Path(source)), name)
    if not settings:
        raise IrrepnetError(
            f"{source}: the data of the run do not say how S and H0 are computed; give a *.safetensors that holds them"
        )
    from irrepnet.hamiltonians.dft.crystal_list import Request, Settings
    from irrepnet.hamiltonians.dft.generate import seconds_of_start, start

    request = Request.from_structure(source, name, Settings())
    cutoff = settings.get("cutoff", Settings().cutoff)
    if isinstance(cutoff, Mapping):
        cutoff = max(cutoff.get(symbol, Settings().cutoff) for symbol in request.species)
    checked = Settings.checked(**{**settings, "cutoff": cutoff})
    request = request.model_copy(update={"settings": checked})
    if seconds < math.inf:
        atoms = len(request.crystal.numbers)
        # of a larger cell it takes long even to say how long it takes
        expected = seconds_of_start(request) if atoms <= _ATOMS_OF_A_MINUTE * max(1.0, seconds / 60) else math.inf
        if expected > seconds:
            about = f"{expected:.0f} s or so" if expected < math.inf else "too long"
            raise IrrepnetError(
                f"S and H0 of {atoms} atoms would take {about}, and {seconds:g} s are allowed for them here"
            )
    return sample_of(start(request), name)


def read_samples(source: str, data: Any = None) -> Source:
    """Crystals with H and H0, and those that cannot be read.

    Args:
        source: a file *.safetensors of `irrepnet hamiltonian generate`, a folder of them, or "embedded", those that
            come with the package.
        data: file or folder to read in its place.

    Raises:
        IrrepnetError: there are none, or none that can be read.
    """
    path = Path(data if data is not None else FOLDER if source == "embedded" else source)
    files = [path]
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() == ".safetensors")
    samples, rejections, content = [], [], hashlib.sha256()
    for file in files:
        try:
            samples.append(sample_of(read_reduced(file), file.stem))
            content.update(file.read_bytes())
        except IrrepnetError as error:
            rejections.append(Rejection(file.stem, str(error)))
    if not samples:
        reason = rejections[0].reason if rejections else "the folder has no *.safetensors"
        raise IrrepnetError(f"{source}: holds no Hamiltonian to learn from: {reason}")
    return Source(source, samples, rejections, content.hexdigest())


def common_settings(samples: Sequence[HamiltonianSample]) -> dict[str, Any]:
    """The settings of the generator that all files share, without meshes, which are those of one crystal; {} if the
    orbitals differ. Where cutoffs differ there is one by element."""
    first = dict(samples[0].settings)
    if any(sample.settings.get("basis") != first.get("basis") for sample in samples):
        return {}
    shared = {
        key: value for key, value in first.items() if all(sample.settings.get(key) == value for sample in samples)
    }
    if "cutoff" not in shared and (by_element := _cutoffs(samples)):
        shared["cutoff"] = by_element
    return {key: value for key, value in shared.items() if key not in ("grid", "kmesh", "scf_kmesh")}


def _cutoffs(samples: Sequence[HamiltonianSample]) -> dict[str, float]:
    """Of each element the least cutoff, Ry, of a crystal that has it: so much is enough for it."""
    found: dict[str, float] = {}
    for sample in samples:
        for symbol in sample.species:
            own = float(sample.settings.get("cutoff", np.inf))
            found[symbol] = min(own, found.get(symbol, np.inf))
    return {symbol: cutoff for symbol, cutoff in sorted(found.items()) if np.isfinite(cutoff)}


def sample_of(file: ReducedHamiltonian, name: str) -> HamiltonianSample:
    """A crystal from its independent numbers. Raises IrrepnetError if S, H0 or the number of electrons is missing."""
    electrons = file.provenance.get("electrons")
    is_count = isinstance(electrons, int | float) and 0 < electrons < np.inf
    for what, value in (("S", file.S), ("H0", file.H0), ("number of electrons", electrons if is_count else None)):
        if value is None:
            made = file.basis.cell.name
            raise IrrepnetError(f"{made}: it has no {what}; make it with irrepnet hamiltonian generate")
    act, orbits = file.orbits
    true = replace(file.expand(), name=name)
    assert true.H0 is not None
    assert electrons is not None
    formula = Composition(Counter(true.known_basis.species)).reduced_formula
    request = file.provenance.get("request", {})
    settings = request.get("settings", {}) if isinstance(request, Mapping) else {}
    start = replace(true, H=true.H0, H0=None, fermi=None)
    return HamiltonianSample(name, formula, act, orbits, start, float(electrons), replace(true, H0=None), settings)


def mean_comparison(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Of several crystals, meV: the mean of each error, for the gap of its size, and the largest of `symmetry`."""
    if not rows:
        return {}
    figures = [key for key in Comparison.__dataclass_fields__ if key != "symmetry"]
    means = {key: float(np.mean([abs(row[key]) for row in rows])) for key in figures}
    return {**means, "symmetry": max(row["symmetry"] for row in rows)}


def split_samples(formulas: Sequence[str], config: HamiltonianDataConfig) -> dict[str, np.ndarray]:
    """Indices of "train", "validation" and "test": whole formulas, never one in two parts."""
    assert not isinstance(config.split, str)
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
