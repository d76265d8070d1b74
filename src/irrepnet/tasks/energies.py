"""Energies, forces and stresses of one perturbed crystal, learned from few samples."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, model_validator

from irrepnet.crystals import Cell, NeighbourOptions, SymmetricCrystal, atomic_number
from irrepnet.data import Record, Rejection
from irrepnet.data.records import site_array
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import BrokenGraph, Frames, Matched, Parent, Perturbation, broken_graph, reference_energy
from irrepnet.groups import PointGroup
from irrepnet.models.energy import GPA, EnergyConfig, EnergyNet, Response, perturbed_batch
from irrepnet.tasks.config import DataConfig, RunConfig, TrainingConfig
from irrepnet.tasks.metrics import regression_metrics
from irrepnet.tasks.properties import start_rows
from irrepnet.tasks.targets import ResponseTarget, atom_rows
from irrepnet.tasks.task import Examples, Judgement, Learning, Log, Source, Task, in_parts, none_left

EVALUATION_BATCH = 16
QUANTITIES = ("energy", "forces", "stress")
ENERGY_UNITS = {"eV": 1.0, "meV": 1e-3, "Ha": 27.211386245988, "Ry": 13.605693122994}
FORCE_UNITS = {"eV/Å": 1.0, "meV/Å": 1e-3, "Ha/bohr": 51.422067476, "Ry/bohr": 25.711033738}
STRESS_UNITS = {"eV/Å³": 1.0, "GPa": 1 / GPA, "kbar": 0.1 / GPA}
"""What one of a unit is in eV, eV/Å and eV/Å³ (CODATA 2018)."""


@dataclass(frozen=True, eq=False)
class EnergySample:
    """A perturbed crystal with what a calculator says of it.

    Attributes:
        perturbation: see :class:`irrepnet.graphs.Perturbation`.
        energy: eV a cell, that of the unperturbed parent subtracted; or up to a constant an atom, where the loss is
            told so; or None.
        forces: (n, 3) eV/Å in the parent's axes, or None.
        stress: (3, 3) eV/Å³ in the parent's axes, positive under tension, or None.
    """

    perturbation: Perturbation
    energy: float | None
    forces: np.ndarray | None = None
    stress: np.ndarray | None = None

    def checked(self, parent: Parent) -> "EnergySample":
        """The same, or an IrrepnetError for a number that is not finite or an array of another shape."""
        self.perturbation.checked(parent)
        shapes = {"energy": (), "forces": (len(parent), 3), "stress": (3, 3)}
        for name, shape in shapes.items():
            value = getattr(self, name)
            if value is not None and (np.shape(value) != shape or not np.isfinite(value).all()):
                raise IrrepnetError(f"{name} of a sample: expected finite numbers of shape {shape}")
        return self


class EnergyDataConfig(DataConfig):
    """The frames, their parent, and where in them the labels are.

    Attributes:
        source: frames, such as an extended XYZ file; see :func:`irrepnet.data.read_records`.
        parent: a structure file: the symmetric crystal of which each frame is a perturbed supercell.
        split: fractions of the frames.
        energy, forces, stress, field, moments: names of the properties; a name that no frame has is no error, as long
            as one of the first three is there. ``energy`` is that of the frame's cell, ``stress`` is (3, 3); both, and
            forces, moments and fields, are in the axes and the order of the frame.
        energy_unit, forces_unit, stress_unit: of the data; predictions are in eV, eV/Å and eV/Å³.
        stress_sign: "tension" if a positive stress pulls (as in ASE), "compression" if it pushes.
        reference: energy of the unperturbed parent, in the energies' unit, a primitive cell. Without it an
            unperturbed frame tells it, or else it is found from the training frames.
        cutoff, n_max, tolerance, symprec: of the parent's bonds, see :class:`irrepnet.graphs.GraphOptions`.
    """

    parent: str
    energy: str = "energy"
    forces: str = "forces"
    stress: str = "stress"
    field: str | None = None
    moments: str | None = None
    energy_unit: Literal["eV", "meV", "Ha", "Ry"] = "eV"
    forces_unit: Literal["eV/Å", "meV/Å", "Ha/bohr", "Ry/bohr"] = "eV/Å"
    stress_unit: Literal["eV/Å³", "GPa", "kbar"] = "eV/Å³"
    stress_sign: Literal["tension", "compression"] = "tension"
    reference: float | None = None
    cutoff: float = Field(default=NeighbourOptions.cutoff, gt=0)
    n_max: int = Field(default=NeighbourOptions.n_max, ge=1)
    tolerance: float = Field(default=NeighbourOptions.tolerance, gt=0)
    symprec: float = Field(default=0.01, gt=0)


class EnergyTrainingConfig(TrainingConfig):
    """As everywhere, with other defaults, and the loss.

    It is the weighted sum of the mean Huber losses of energies an atom, forces and stresses, each in units of its root
    mean square in the training samples: x²/2δ below δ, |x| − δ/2 above. Where a few samples have very large forces, a
    mean square sees little else.

    Attributes:
        energy, forces, stress: weights.
        huber: δ, in units of the root mean square.
        precision: of the training; predictions are computed in float64.
    """

    epochs: int = Field(default=200, ge=1)
    batch_size: int = Field(default=16, ge=1)
    learning_rate: float = Field(default=1e-2, gt=0)
    warmup: float = Field(default=0.1, ge=0, le=1)
    weight_decay: float = Field(default=1e-3, ge=0)
    ema: float = Field(default=0.98, ge=0, lt=1)
    clip: float = Field(default=10.0, gt=0)
    energy: float = Field(default=1.0, ge=0)
    forces: float = Field(default=1.0, ge=0)
    stress: float = Field(default=1.0, ge=0)
    huber: float = Field(default=0.02, gt=0)
    precision: Literal["float64", "float32"] = "float64"


class EnergyModelConfig(EnergyConfig, frozen=True):
    """What the network is made of.

    Attributes:
        name: of the network.
        group: of the frames; "auto" for the parent's point group if there are fields or moments, else none.
    """

    name: Literal["energy"] = "energy"
    group: str | None = "auto"


class EnergyRunConfig(RunConfig):
    """A run: the network, the data, the training."""

    task: Literal["energies"] = "energies"
    model: EnergyModelConfig = Field(default_factory=EnergyModelConfig)
    data: EnergyDataConfig
    training: EnergyTrainingConfig = Field(default_factory=EnergyTrainingConfig)

    hints = RunConfig.hints | {"data.parent": " (--set data.parent=FILE, the symmetric crystal)"}

    @model_validator(mode="after")
    def _fits(self) -> "EnergyRunConfig":
        if self.training.compile:
            raise ValueError("training.compile: is for the networks on graphs and hypergraphs; leave it out")
        return self


class EnergyLoss:
    """The loss on samples, their labels in units of the training samples' root mean squares.

    Args:
        samples, graphs: n of them, of one parent or of several of its supercells.
        config: weights and δ.
        device: where the labels are.
        is_absolute: whether energies are relative to the unperturbed parent; if not, they count up to a constant an
            atom that all samples share.
        unit: of another loss, by quantity.
    """

    def __init__(
        self,
        samples: Sequence[EnergySample],
        graphs: Sequence[BrokenGraph],
        config: EnergyTrainingConfig,
        device: torch.device | str = "cpu",
        is_absolute: bool = True,
        unit: Mapping[str, float] | None = None,
    ) -> None:
        self.graphs, self.config, self.is_absolute = graphs, config, is_absolute
        self.device, self.dtype = device, getattr(torch, config.precision)
        self.labels = [labels(sample, len(graph.parent)) for sample, graph in zip(samples, graphs)]
        everything = {name: np.concatenate([np.ravel(own[name]) for own in self.labels]) for name in QUANTITIES}
        if not is_absolute:
            everything["energy"] = everything["energy"] - np.nanmean(everything["energy"])
        self.unit = dict(unit or {name: _rms(values) for name, values in everything.items()})

    def __call__(self, net: EnergyNet, part: Sequence[int], training: bool = False) -> torch.Tensor:
        """Of some of the samples."""
        batch = perturbed_batch([self.graphs[k] for k in part], net.group, self.dtype).to(self.device)
        return self.of(net.response(batch, training), part)

    def of(self, found: Response, part: Sequence[int]) -> torch.Tensor:
        """Of the responses of a network to some of the samples."""
        residuals = residuals_of(found, [self.labels[k] for k in part])
        total = torch.zeros((), dtype=found.energy.dtype, device=found.energy.device)
        for name, residual in residuals.items():
            known = residual[~residual.isnan()] / self.unit[name]
            if name == "energy" and not self.is_absolute and len(known):
                known = known - known.mean()
            if len(known):
                delta = self.config.huber
                loss = torch.nn.functional.huber_loss(known, torch.zeros_like(known), delta=delta)
                total = total + getattr(self.config, name) * loss / delta
        return total


def labels(sample: EnergySample, n: int) -> dict[str, np.ndarray]:
    """Energy an atom (1,), forces (n, 3) and stress (1, 3, 3); NaN for what is not known."""
    shapes: dict[str, tuple[int, ...]] = {"energy": (), "forces": (n, 3), "stress": (3, 3)}
    found = {}
    for name, shape in shapes.items():
        value = getattr(sample, name)
        array = np.full(shape, np.nan) if value is None else np.asarray(value, float)
        found[name] = array / n if name == "energy" else array
    return {"energy": found["energy"][None], "forces": found["forces"], "stress": found["stress"][None]}


def residuals_of(found: Response, wanted: Sequence[Mapping[str, np.ndarray]]) -> dict[str, torch.Tensor]:
    """By quantity: energies eV an atom (n,), forces (n_atoms, 3), stresses (n, 3, 3); NaN where not known."""

    def joined(name: str) -> torch.Tensor:
        return torch.from_numpy(np.concatenate([own[name] for own in wanted])).to(found.energy)

    atoms = torch.tensor([len(own["forces"]) for own in wanted]).to(found.energy)
    return {
        "energy": found.energy / atoms - joined("energy"),
        "forces": found.forces - joined("forces"),
        "stress": found.stress - joined("stress"),
    }


def respond(net: EnergyNet, graphs: Sequence[BrokenGraph]) -> Response:
    """Energies, forces, stresses and the other gradients, one crystal after the other, in the network's precision."""
    scale = net.get_buffer("scale")
    parts = [
        net.response(perturbed_batch(part, net.group, scale.dtype).to(scale.device))
        for part in in_parts(graphs, EVALUATION_BATCH)
    ]
    return Response(*(torch.cat(values) for values in zip(*parts)))


def mean_errors(found: Response, samples: Sequence[EnergySample], atoms: Sequence[int]) -> dict[str, float]:
    """Mean absolute errors of energies (meV/atom), forces (meV/Å, components) and stresses (GPa, components)."""
    named = {
        "energy": ("energy_mev_per_atom", 1e3),
        "forces": ("forces_mev_per_angstrom", 1e3),
        "stress": ("stress_gpa", GPA),
    }
    residuals = residuals_of(found, [labels(sample, n) for sample, n in zip(samples, atoms)])
    return {
        label: factor * float(residuals[name][~residuals[name].isnan()].abs().mean())
        for name, (label, factor) in named.items()
        if not residuals[name].isnan().all()
    }


def needs_frames(perturbations: Sequence[Perturbation]) -> bool:
    """Whether there is a field or a moment, to which a network without frames is blind."""
    given = [x for p in perturbations for x in (p.field, p.moments) if x is not None]
    return any(np.any(x) for x in given)


def _rms(values: np.ndarray) -> float:
    """Root mean square of what is known; 1 if nothing is, or if all is zero."""
    known = values[~np.isnan(values)]
    return float(np.sqrt((known**2).mean())) or 1.0 if len(known) else 1.0


@dataclass(frozen=True)
class EnergyExamples(Examples):
    """Frames as perturbations of their parent.

    Attributes:
        matched: each with its parent and its axes.
        samples: the labels, in the parent's axes; energies without the reference, if it is known.
        graphs: of the network's group.
        reference: eV a primitive cell of the parent; None if it has to be learned.
    """

    matched: list[Matched]
    samples: list[EnergySample]
    graphs: list[BrokenGraph]
    reference: float | None


class EnergyTask(Task):
    """Energies of one perturbed crystal, with forces and stress.

    Attributes:
        frames: matches frames with the parent.
        reference: eV a primitive cell of the unperturbed parent; None before :meth:`finish`.
    """

    name = "energies"
    Config = EnergyRunConfig
    grouped_by = "id"

    config: EnergyRunConfig
    targets: list[ResponseTarget]  # type: ignore[assignment]

    def __init__(self, config: EnergyRunConfig) -> None:
        super().__init__(config)
        self.group = ""
        self.reference: float | None = None
        self.frames: Frames | None = None

    def _parent(self, source: Any) -> Frames:
        data = self.config.data
        crystal = SymmetricCrystal.from_structure(source, data.symprec)
        return Frames(crystal, NeighbourOptions(data.cutoff, data.n_max, data.tolerance))

    def prepare(self, source: Source, log: Log, targets: Sequence[str] | None = None) -> EnergyExamples:
        data = self.config.data
        self.frames = self.frames or self._parent(data.parent)
        log.line(
            f"energies {data.energy} in {data.energy_unit}, forces {data.forces} in {data.forces_unit}, stresses "
            f"{data.stress} in {data.stress_unit}, positive under {data.stress_sign}; parent "
            f"{self.frames.crystal.formula}, {self.frames.crystal.spacegroup_symbol}"
        )
        records: list[Record] = []
        matched: list[Matched] = []
        samples: list[EnergySample] = []
        rejections: list[Rejection] = []
        with log.progress("frames", len(source.records)) as advance:
            for record in source.records:
                try:
                    found = self._match(record)
                    samples.append(self._sample(record, found).checked(found.parent))
                    matched.append(found)
                    records.append(record)
                except IrrepnetError as error:
                    rejections.append(Rejection(record.id, str(error)))
                advance(1)
        if not records:
            raise none_left(source.name, len(source.records), rejections)
        if not self.group:
            asked, crystal = self.config.model.group, self.frames.crystal
            broken = needs_frames([found.perturbation for found in matched])
            self.group = (crystal.point_group.name if broken else "1") if asked == "auto" else asked or "1"
        given = None if data.reference is None else data.reference * ENERGY_UNITS[data.energy_unit]
        reference = self.reference
        if reference is None:
            reference = reference_energy(matched, [sample.energy for sample in samples], given)
        if reference is not None:
            samples = [_relative(sample, found.cells * reference) for sample, found in zip(samples, matched)]
        graphs = [broken_graph(found.parent, found.perturbation, PointGroup(self.group)) for found in matched]
        return EnergyExamples(records, rejections, matched, samples, graphs, reference, failures=[()] * len(records))

    def _match(self, record: Record) -> Matched:
        data = self.config.data
        assert self.frames is not None
        numbers = np.array([atomic_number(symbol) for symbol in record.species])
        field = None if data.field is None else np.array(record.properties.get(data.field), float)
        moments = None if data.moments is None else site_array(record, data.moments)
        cell = Cell(record.lattice, record.frac_coords, numbers, record.id)
        return self.frames.match(cell, field, moments)

    def _sample(self, record: Record, matched: Matched) -> EnergySample:
        """In the parent's axes; the energy is still the whole one."""
        data = self.config.data
        energy, forces, stress = (record.properties.get(name) for name in (data.energy, data.forces, data.stress))
        if energy is None and forces is None and stress is None:
            raise IrrepnetError(f"has none of {data.energy}, {data.forces}, {data.stress}")
        if energy is not None and not isinstance(energy, int | float):
            raise IrrepnetError(f"{data.energy} is {energy!r}, not a number")
        if forces is not None:
            factor = FORCE_UNITS[data.forces_unit]
            forces = factor * matched.to_parent(site_array(record, data.forces), of_atoms=True)
        if stress is not None:
            factor = STRESS_UNITS[data.stress_unit] * (1 if data.stress_sign == "tension" else -1)
            stress = factor * matched.to_parent(_matrix(stress, data.stress))
        energy = None if energy is None else ENERGY_UNITS[data.energy_unit] * energy
        return EnergySample(matched.perturbation, energy, forces, stress)

    def fit(self, examples: EnergyExamples, train: np.ndarray) -> None:
        chosen = [labels(examples.samples[k], len(examples.graphs[k].parent)) for k in train]
        everything = {name: np.concatenate([np.ravel(own[name]) for own in chosen]) for name in QUANTITIES}
        units = {"energy": "eV/atom", "forces": "eV/Å", "stress": "eV/Å³"}
        known = {name: values[~np.isnan(values)] for name, values in everything.items()}
        means = {
            name: float(values.mean()) if name == "energy" else 0.0 for name, values in known.items() if len(values)
        }
        self.targets = [ResponseTarget(name, units[name], means[name]) for name in QUANTITIES if len(known[name])]
        if not self.targets:
            raise IrrepnetError("no frame of the training split has an energy, forces or a stress")
        relative = everything["energy"] - (0.0 if examples.reference is not None else np.nanmean(everything["energy"]))
        self.scale = _rms(relative)

    def network(self) -> EnergyNet:
        config = EnergyConfig(**self.config.model.model_dump(exclude={"name", "group"}), group=self._frames_group)
        net = EnergyNet(config).to(getattr(torch, self.config.training.precision))
        net.get_buffer("scale").fill_(self.scale)
        return net

    @property
    def _frames_group(self) -> str | None:
        return None if self.group == "1" and self.config.model.group in ("auto", None) else self.group

    def learning(self, examples: EnergyExamples, split: Mapping[str, np.ndarray], device: torch.device) -> Learning:
        def of(part: np.ndarray, unit: Mapping[str, float] | None = None) -> EnergyLoss:
            samples, graphs = [examples.samples[k] for k in part], [examples.graphs[k] for k in part]
            return EnergyLoss(samples, graphs, self.config.training, device, examples.reference is not None, unit)

        train = of(split["train"])
        held = of(split["validation"], train.unit)

        def loss(network: Any, part: np.ndarray) -> torch.Tensor:
            return train(network, part.tolist(), training=True)

        def validate(network: Any) -> tuple[float, dict[str, Any]]:
            found = respond(network, held.graphs)
            everything = range(len(held.graphs))
            errors = self._errors(
                found, examples, split["validation"], self._offset(found, examples, split["validation"])
            )
            figures = {f"validation_{name}_mae": own["mae"] for name, own in errors.items()}
            return held.of(found, everything).item(), figures

        return Learning(loss, validate)

    def _offset(self, found: Response, examples: EnergyExamples, part: np.ndarray) -> float:
        """eV an atom by which the samples' energies lie above the network's, where the reference is not known."""
        if examples.reference is not None:
            return 0.0
        residual = residuals_of(found, self._labels(examples, part))["energy"]
        known = residual[~residual.isnan()]
        return -float(known.mean()) if len(known) else 0.0

    def _labels(self, examples: EnergyExamples, part: np.ndarray) -> list[dict[str, np.ndarray]]:
        return [labels(examples.samples[k], len(examples.graphs[k].parent)) for k in part]

    def finish(self, network: Any, examples: EnergyExamples, split: Mapping[str, np.ndarray]) -> None:
        """The energy of the unperturbed parent, from the training frames if nothing else tells it."""
        self.reference = examples.reference
        if any(target.name == "energy" for target in self.targets) and self.reference is None:
            train = split["train"]
            found = respond(network, [examples.graphs[k] for k in train])
            atoms = len(examples.graphs[0].parent) / examples.matched[0].cells
            self.reference = self._offset(found, examples, train) * atoms

    def judge(self, network: Any, examples: EnergyExamples, part: np.ndarray) -> Judgement:
        found = respond(copy.deepcopy(network).double(), [examples.graphs[k] for k in part])
        offset = 0.0
        if examples.reference is None and self.reference is not None:
            offset = self.reference * examples.matched[0].cells / len(examples.graphs[0].parent)
        names = [target.name for target in self.targets]
        header = ["id", "formula", "atom", "element"]
        for target in self.targets:
            header += [f"{which} {column}" for column in target.columns for which in ("true", "predicted")]
        rows, first = [], 0
        for i, k in enumerate(part):
            record, matched, sample = examples.records[k], examples.matched[k], examples.samples[k]
            n = len(record)
            own = {
                "energy": float(found.energy[i]) / n + offset,
                "forces": matched.to_frame(found.forces[first : first + n].numpy(force=True), of_atoms=True),
                "stress": matched.to_frame(found.stress[i].numpy(force=True)),
            }
            true = {
                "energy": None if sample.energy is None else sample.energy / n,
                "forces": None if sample.forces is None else matched.to_frame(sample.forces, of_atoms=True),
                "stress": None if sample.stress is None else matched.to_frame(sample.stress),
            }
            first += n
            rows += [
                [record.id, record.formula, *cells] for cells in atom_rows(record.species, self.targets, (true, own))
            ]
        errors = self._errors(found, examples, part, offset)
        return Judgement({name: errors[name] for name in names}, header, rows)

    def _errors(
        self, found: Response, examples: EnergyExamples, part: np.ndarray, offset: float
    ) -> dict[str, dict[str, Any]]:
        wanted = self._labels(examples, part)
        residuals = residuals_of(found, wanted)
        errors = {}
        for target in self.targets:
            true = np.concatenate([np.ravel(own[target.name]) for own in wanted])
            known = ~np.isnan(true)
            error = residuals[target.name].detach().double().cpu().numpy().ravel()[known]
            error = error + (offset if target.name == "energy" else 0.0)
            errors[target.name] = regression_metrics(true[known], true[known] + error, target.mean)
        return errors

    def predict(self, network: Any, sources: Sequence[Any], log: Log) -> list[dict[str, Any]]:
        rows, crystals = start_rows(sources, self.targets)
        net = copy.deepcopy(network).double()
        for record in crystals:
            row = rows[int(record.id)]
            try:
                found = self._match(record)
                graph = broken_graph(found.parent, found.perturbation, net.group)
                response = respond(net, [graph])
            except IrrepnetError as error:
                row["note"] = str(error)
                continue
            energy = float(response.energy[0]) + (self.reference or 0.0) * found.cells
            values = {
                "energy": energy,
                "forces": found.to_frame(response.forces.numpy(force=True), of_atoms=True).tolist(),
                "stress": found.to_frame(response.stress[0].numpy(force=True)).tolist(),
            }
            row |= {target.name: values[target.name] for target in self.targets}
            if self.reference is None and "energy" in row:
                row["note"] = "the energy is relative to the unperturbed parent's"
        return rows

    def card(self, examples: EnergyExamples, train: np.ndarray) -> dict[str, Any]:
        assert self.frames is not None
        crystal = self.frames.crystal
        parent = {
            "species": list(crystal.species),
            "frac_coords": crystal.frac_coords.tolist(),
            "lattice": (crystal.lattice @ crystal.rotation.T).tolist(),
        }
        said = super().card(examples, train)
        said["domain"]["point_groups"] = [crystal.point_group.name]
        return {**said, "parent": parent, "group": self.group, "reference": self.reference, "scale": self.scale}

    def load(self, card: Mapping[str, Any]) -> None:
        super().load(card)
        self.group, self.reference, self.scale = card["group"], card["reference"], card["scale"]
        self.frames = self._parent(card["parent"])


def _relative(sample: EnergySample, energy: float) -> EnergySample:
    relative = None if sample.energy is None else sample.energy - energy
    return EnergySample(sample.perturbation, relative, sample.forces, sample.stress)


def _matrix(value: Any, name: str) -> np.ndarray:
    """(3, 3), also from Voigt's six xx yy zz yz xz xy."""
    array = np.array(value, float)
    if array.shape == (6,):
        array = array[[[0, 5, 4], [5, 1, 3], [4, 3, 2]]]
    if array.shape != (3, 3):
        raise IrrepnetError(f"{name} has shape {array.shape}, (3, 3) was expected")
    return (array + array.T) / 2
