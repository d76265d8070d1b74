"""Energies, forces and stresses of one perturbed crystal, learned from few samples."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, model_validator

from irrepnet.crystals import Cell, SymmetricCrystal, atomic_number, read_cell
from irrepnet.data import Record, Rejection, data_hash
from irrepnet.data.records import number_array, site_array
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import BrokenGraph, Frames, Matched, Parent, Perturbation, broken_graph, reference_energy
from irrepnet.groups import PointGroup
from irrepnet.models.energy import EnergyConfig, EnergyNet, Response, perturbed_batch
from irrepnet.tasks.config import NeighbourDataConfig, RunConfig, TrainingConfig
from irrepnet.tasks.metrics import Metrics, regression_metrics
from irrepnet.tasks.properties import start_rows
from irrepnet.tasks.targets import ResponseTarget, atom_rows
from irrepnet.tasks.task import (
    Examples,
    Item,
    Judgement,
    Learning,
    Log,
    Source,
    Task,
    Together,
    followed,
    in_parts,
    none_left,
)
from irrepnet.tensors.elastic import GPA

EVALUATION_BATCH = 16
QUANTITIES: tuple[str, ...] = ("energy", "forces", "stress")
ENERGY_UNITS = {"eV": 1.0, "meV": 1e-3, "Ha": 27.211386245988, "Ry": 13.605693122994}
FORCE_UNITS = {"eV/Å": 1.0, "meV/Å": 1e-3, "Ha/bohr": 51.422067476, "Ry/bohr": 25.711033738}
STRESS_UNITS = {"eV/Å³": 1.0, "GPa": 1 / GPA, "kbar": 0.1 / GPA}
"""What one of a unit is in eV, eV/Å and eV/Å³ (CODATA 2018)."""


@dataclass(frozen=True, eq=False)
class EnergySample:
    """A perturbed crystal with what a calculator says of it.

    Attributes:
        perturbation: see :class:`irrepnet.graphs.Perturbation`.
        energy: eV a cell, as a rule above that of the unperturbed parent; or None.
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


class EnergyDataConfig(NeighbourDataConfig):
    """The frames, their parent, and where in them the labels are.

    Attributes:
        source: frames, such as an extended XYZ file; see :func:`irrepnet.data.read_records`.
        parent: a structure file: the symmetric crystal of which each frame is a perturbed supercell.
        split: fractions of the frames.
        energy, forces, stress, field, moments: names of the properties. Of the first three, what no frame has is not
            learned, which the log says; a name that is not the default must be there. ``energy`` is that of the
            frame's cell; ``forces`` and ``moments`` are (n, 3), ``stress`` is (3, 3) or xx yy zz yz xz xy, ``field``
            (3,), in the axes of the frame, atoms in its order.
        energy_unit, forces_unit, stress_unit: of the data; predictions are in eV, eV/Å and eV/Å³.
        stress_sign: "tension" if a positive stress pulls (as in ASE), "compression" if it pushes.
        reference: energy of the unperturbed parent, in the energies' unit, a primitive cell. Without it unperturbed
            frames tell it, or else it is found from what is learned.
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
        if self.model.group not in ("auto", None):
            try:
                PointGroup(self.model.group)
            except IrrepnetError as error:
                raise ValueError(f"model.group: {error}") from None
        return self


class EnergyLoss:
    """The loss on samples.

    Args:
        wanted: :func:`labels` of n samples.
        graphs: of one parent or of several of its supercells.
        config: weights and δ.
        unit: by quantity, in which the labels are measured; as a rule :func:`units_of` the training samples.
        device: where the labels are.
        centred: the zero of the energies is not known; they are compared with each other, within what is given at once.
    """

    def __init__(
        self,
        wanted: Sequence[Mapping[str, np.ndarray]],
        graphs: Sequence[BrokenGraph],
        config: EnergyTrainingConfig,
        unit: Mapping[str, float],
        device: torch.device | str = "cpu",
        centred: bool = False,
    ) -> None:
        self.graphs, self.config, self.unit, self.device, self.centred = graphs, config, unit, device, centred
        self.dtype = getattr(torch, config.precision)
        self.labels = [{name: torch.from_numpy(x).to(device, self.dtype) for name, x in own.items()} for own in wanted]

    def __call__(self, net: EnergyNet, part: Sequence[int], training: bool = False) -> torch.Tensor:
        """Of some of the samples."""
        batch = perturbed_batch([self.graphs[k] for k in part], net.group, self.dtype).to(self.device)
        return self.of(net.response(batch, training), part)

    def of(self, found: Response, part: Sequence[int]) -> torch.Tensor:
        """Of the responses of a network to some of the samples."""
        total = torch.zeros((), dtype=found.energy.dtype, device=found.energy.device)
        delta = self.config.huber
        for name, error in residuals(found, [self.labels[k] for k in part]).items():
            known = error[~error.isnan()] / self.unit[name]
            if len(known):
                if name == "energy" and self.centred:
                    known = known - known.mean()
                loss = torch.nn.functional.huber_loss(known, torch.zeros_like(known), delta=delta)
                total = total + getattr(self.config, name) * loss / delta
        return total


def labels(sample: EnergySample, n: int) -> dict[str, np.ndarray]:
    """Energy an atom (1,), forces (n, 3) and stress (1, 3, 3); NaN for what is not known."""
    energy = np.nan if sample.energy is None else sample.energy / n
    forces = np.full((n, 3), np.nan) if sample.forces is None else sample.forces
    stress = np.full((3, 3), np.nan) if sample.stress is None else sample.stress
    return {"energy": np.array([energy]), "forces": np.asarray(forces, float), "stress": np.array([stress], float)}


def residuals(found: Response, wanted: Sequence[Mapping[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Responses minus labels: energies an atom (n,), forces (n_atoms, 3), stresses (n, 3, 3); NaN where not known."""
    atoms = torch.tensor([len(own["forces"]) for own in wanted]).to(found.energy)
    given = {"energy": found.energy / atoms, "forces": found.forces, "stress": found.stress}
    return {name: values - torch.cat([own[name] for own in wanted]).to(values) for name, values in given.items()}


def response_errors(
    found: Response, wanted: Sequence[Mapping[str, np.ndarray]], mean: float = 0.0
) -> dict[str, Metrics]:
    """Errors in eV an atom, eV/Å and eV/Å³ by component, of the quantities of which something is known.

    Args:
        found: responses of a network.
        wanted: :func:`labels` of each crystal.
        mean: of the training samples' energies an atom, see :func:`irrepnet.tasks.metrics.regression_metrics`.
    """
    errors = {}
    tensors = [{name: torch.from_numpy(values) for name, values in own.items()} for own in wanted]
    for name, error in residuals(found, tensors).items():
        true = np.concatenate([own[name].ravel() for own in wanted])
        known = ~np.isnan(true)
        if known.any():
            predicted = true + error.numpy(force=True).ravel()
            errors[name] = regression_metrics(true[known], predicted[known], mean if name == "energy" else 0.0)
    return errors


def mean_errors(found: Response, wanted: Sequence[Mapping[str, np.ndarray]]) -> dict[str, float]:
    """Mean absolute errors of energies (meV/atom), forces (meV/Å, components) and stresses (GPa, components)."""
    named = {
        "energy": ("energy_mev_per_atom", 1e3),
        "forces": ("forces_mev_per_angstrom", 1e3),
        "stress": ("stress_gpa", GPA),
    }
    errors = response_errors(found, wanted)
    return {named[name][0]: named[name][1] * own["mae"] for name, own in errors.items()}  # type: ignore[operator]


def respond(net: EnergyNet, graphs: Sequence[BrokenGraph]) -> Response:
    """Energies, forces, stresses and the other gradients, one crystal after the other, in the network's precision."""
    scale = net.get_buffer("scale")
    parts = [
        net.response(perturbed_batch(part, net.group, scale.dtype).to(scale.device))
        for part in in_parts(graphs, EVALUATION_BATCH)
    ]
    return Response(*(torch.cat(values) for values in zip(*parts)))


def needs_frames(perturbations: Sequence[Perturbation]) -> bool:
    """Whether there is a field or a moment, to which a network without frames is blind."""
    given = [x for p in perturbations for x in (p.field, p.moments) if x is not None]
    return any(np.any(x) for x in given)


def units_of(wanted: Sequence[Mapping[str, np.ndarray]]) -> dict[str, float]:
    """By quantity the root mean square of what is known in some :func:`labels`."""
    return {name: _rms(np.concatenate([own[name].ravel() for own in wanted])) for name in QUANTITIES}


def _rms(values: np.ndarray) -> float:
    """Of what is known, that is not NaN; 1 if nothing is, or if all is zero."""
    known = values[~np.isnan(values)]
    return float(np.sqrt((known**2).mean())) or 1.0 if len(known) else 1.0


@dataclass(frozen=True)
class EnergyExamples(Examples):
    """Frames as perturbations of their parent.

    Attributes:
        matched: each with its parent and its axes.
        samples: the labels, in the parent's axes and order; energies are whole ones, from the data's own zero.
        reference: eV a primitive cell of the unperturbed parent; None if it has to be learned.
    """

    matched: list[Matched]
    samples: list[EnergySample]
    reference: float | None


class EnergyTask(Task):
    """Energies of one perturbed crystal, with forces and stress.

    Attributes:
        group: of the network's frames; None for none.
        reference: eV a primitive cell of the unperturbed parent, above which energies are learned. Where nothing tells
            it, the mean of the training frames, until :meth:`finish` finds what the network's energies lack.
        scale: eV an atom, see :class:`irrepnet.models.energy.EnergyNet`.
    """

    name = "energies"
    Config = EnergyRunConfig
    grouped_by = "id"

    config: EnergyRunConfig
    targets: list[ResponseTarget]  # type: ignore[assignment]

    def __init__(self, config: EnergyRunConfig) -> None:
        super().__init__(config)
        self.group: str | None = None
        self.reference: float | None = None
        self.scale = 1.0

    @cached_property
    def parent(self) -> Cell:
        """The symmetric crystal, as it was read."""
        return read_cell(self.config.data.parent)

    @cached_property
    def frames(self) -> Frames:
        data = self.config.data
        crystal = SymmetricCrystal.from_structure(self.parent, data.symprec)
        return Frames(crystal, data.shells)

    def read(self, source: str, data: Any = None) -> Source:
        """The frames; the hash tells of the parent, too."""
        from pymatgen.core import Element

        parent, found = self.parent, super().read(source, data)
        species = [Element.from_Z(int(number)).symbol for number in parent.numbers]
        content = {"species": species, "frac_coords": parent.frac_coords, "lattice": parent.lattice}
        return replace(found, hash=data_hash([*found.records, Record.from_dict(content, "parent")]))

    def prepare(self, source: Source, log: Log, targets: Sequence[str] | None = None) -> EnergyExamples:
        data, crystal = self.config.data, self.frames.crystal
        log.line(
            f"energy: {data.energy}, {data.energy_unit} a cell; forces: {data.forces}, {data.forces_unit}, in the "
            f"frame's axes and order; stress: {data.stress}, {data.stress_unit}, positive under {data.stress_sign}, "
            "3×3 or xx yy zz yz xz xy"
        )
        names = [getattr(data, quantity) for quantity in targets or QUANTITIES]
        if not self.targets:
            self._check_names(source.records, log)
        made = EnergyExamples([], [], [], [], None)
        with log.progress("frames", len(source.records)) as advance:
            for record in source.records:
                try:
                    if all(record.properties.get(name) is None for name in names):
                        raise IrrepnetError(f"has no value of {' or '.join(names)}")
                    matched = self._match(record)
                    made.samples.append(self._sample(record, matched).checked(matched.parent))
                    made.matched.append(matched)
                    made.records.append(record)
                except IrrepnetError as error:
                    made.rejections.append(Rejection(record.id, str(error)))
                advance(1)
        if not made.records:
            raise none_left(source.name, len(source.records), made.rejections)
        log.line(
            f"parent: {crystal.formula}, {crystal.spacegroup_symbol}, {len(crystal)} atoms; supercells of "
            f"{', '.join(map(str, sorted({found.cells for found in made.matched})))} primitive cells"
        )
        return replace(made, reference=self._reference(made, log), failures=[()] * len(made.records))

    def _check_names(self, records: Sequence[Record], log: Log) -> None:
        """A name that no frame has: said if it is the default, refused if it is the user's."""
        there = sorted({name for record in records for name, value in record.properties.items() if value is not None})
        for quantity in QUANTITIES:
            if (name := getattr(self.config.data, quantity)) in there:
                continue
            hint = f"no frame has {name}; their properties: {', '.join(there) or 'none'}"
            if name != quantity:
                raise IrrepnetError(f"data.{quantity}: {hint}")
            log.line(f"{quantity}: not learned, for {hint}; if it is one of these, set data.{quantity}")

    def _reference(self, made: EnergyExamples, log: Log) -> float | None:
        """Of the run, if it is known already; given; of unperturbed frames; or None."""
        data, energies = self.config.data, [sample.energy for sample in made.samples]
        if self.targets or all(energy is None for energy in energies):
            return self.reference
        given = None if data.reference is None else data.reference * ENERGY_UNITS[data.energy_unit]
        try:
            reference = reference_energy(made.matched, energies, given)
        except IrrepnetError as error:
            raise IrrepnetError(f"data.reference: {error}") from None
        if reference is None:
            log.line("energy of the unperturbed parent: unknown (data.reference), so it is found from what is learned")
            return None
        above = [e / found.cells - reference for e, found in zip(energies, made.matched) if e is not None]
        log.line(
            f"energy of the unperturbed parent: {reference:.8g} eV a primitive cell, "
            f"{'given' if given is not None else 'that of unperturbed frames'}; the frames lie between "
            f"{min(above):.4g} and {max(above):.4g} eV a primitive cell above it"
        )
        return reference

    def _match(self, record: Record) -> Matched:
        data = self.config.data
        numbers = np.array([atomic_number(symbol) for symbol in record.species])
        field = None
        if data.field is not None:
            if (field := record.properties.get(data.field)) is None:
                raise IrrepnetError(f"no value of {data.field}")
            field = number_array(field, (3,), data.field)
        moments = None if data.moments is None else site_array(record, data.moments)
        cell = Cell(record.lattice, record.frac_coords, numbers, record.id)
        matched = self.frames.match(cell, field, moments)
        if self.targets and self.group is None and needs_frames([matched.perturbation]):
            raise IrrepnetError("has a field or moments, and no training frame had: the network is blind to them")
        return matched

    def _sample(self, record: Record, matched: Matched) -> EnergySample:
        """In the parent's axes, eV and Å; the energy is the whole one."""
        data = self.config.data
        energy, forces, stress = (record.properties.get(name) for name in (data.energy, data.forces, data.stress))
        if energy is not None:
            energy = ENERGY_UNITS[data.energy_unit] * float(number_array(energy, (), data.energy))
        if forces is not None:
            factor = FORCE_UNITS[data.forces_unit]
            forces = factor * matched.to_parent(site_array(record, data.forces), of_atoms=True)
        if stress is not None:
            factor = STRESS_UNITS[data.stress_unit] * (1 if data.stress_sign == "tension" else -1)
            stress = factor * matched.to_parent(_symmetric(stress, data.stress))
        return EnergySample(matched.perturbation, energy, forces, stress)

    def fit(self, examples: EnergyExamples, train: np.ndarray) -> None:
        asked, broken = self.config.model.group, needs_frames([found.perturbation for found in examples.matched])
        if asked is None and broken:
            raise IrrepnetError("model.group: null, but there are fields or moments, to which frames are needed: auto")
        auto = self.frames.crystal.point_group.name if broken else None
        self.group = auto if asked == "auto" else asked
        self.reference = examples.reference
        energies = [(examples.samples[k].energy, examples.matched[k].cells) for k in train]
        if self.reference is None and (known := [energy / cells for energy, cells in energies if energy is not None]):
            if self.config.training.batch_size == 1:
                raise IrrepnetError(
                    "training.batch_size: 1, but the energy of the unperturbed parent is not known, so energies are "
                    "compared within a batch; take 2 or more, or give data.reference"
                )
            self.reference = float(np.mean(known))
        wanted = self._labels(examples, train)
        units = {"energy": "eV/atom", "forces": "eV/Å", "stress": "eV/Å³"}
        there = [name for name in QUANTITIES if any(not np.isnan(own[name]).all() for own in wanted)]
        if not there:
            raise IrrepnetError("no frame of the training split has an energy, forces or a stress")
        means = dict.fromkeys(QUANTITIES, 0.0)
        if "energy" in there:
            above = np.concatenate([own["energy"] for own in wanted])
            mean = np.nanmean(above)
            self.scale = _rms(above - (mean if examples.reference is None else 0.0))
            means["energy"] = float(mean) + self._per_atom
        self.targets = [ResponseTarget(name, units[name], means[name]) for name in there]

    @property
    def _per_atom(self) -> float:
        """The reference, eV an atom."""
        return (self.reference or 0.0) / len(self.frames.crystal)

    def network(self) -> EnergyNet:
        config = EnergyConfig(**self.config.model.model_dump(exclude={"name", "group"}), group=self.group)
        net = EnergyNet(config).to(getattr(torch, self.config.training.precision))
        net.get_buffer("scale").fill_(self.scale)
        return net

    def learning(self, examples: EnergyExamples, split: Mapping[str, np.ndarray], device: torch.device) -> Learning:
        wanted = {part: self._labels(examples, split[part]) for part in ("train", "validation")}
        unit = units_of(wanted["train"]) | {"energy": self.scale}
        graphs = {part: self._graphs(examples, split[part]) for part in wanted}
        centred = examples.reference is None
        train = EnergyLoss(wanted["train"], graphs["train"], self.config.training, unit, device, centred)
        held = EnergyLoss(wanted["validation"], graphs["validation"], self.config.training, unit, device)
        atoms = torch.tensor([len(own["forces"]) for own in wanted["validation"]])

        def loss(network: Any, part: np.ndarray) -> torch.Tensor:
            return train(network, part.tolist(), training=True)

        def responses(network: Any, part: np.ndarray) -> list[Response]:
            found = respond(network, [held.graphs[k] for k in part])
            crystals, sites = [1] * len(part), atoms[torch.from_numpy(part)].tolist()
            sizes = {"forces": sites, "moment_gradient": sites}
            columns = (value.detach().split(sizes.get(name, crystals)) for name, value in zip(found._fields, found))
            return [Response(*own) for own in zip(*columns)]

        def validate(network: Any, together: Together) -> tuple[float, dict[str, Any]]:
            parts = together(partial(responses, network), len(held.graphs))
            found = Response(*(torch.cat(values) for values in zip(*parts)))
            if centred:
                lacking = _lacking(network, train.graphs, wanted["train"])
                found = found._replace(energy=found.energy + lacking * atoms.to(found.energy))
            loss = held.of(found, range(len(held.graphs))).item()
            return loss, followed(self._errors(found, wanted["validation"]))

        return Learning(loss, validate)

    def _graphs(self, examples: EnergyExamples, part: np.ndarray) -> list[BrokenGraph]:
        return [self._graph(examples.matched[k]) for k in part]

    def _graph(self, matched: Matched) -> BrokenGraph:
        return broken_graph(matched.parent, matched.perturbation, PointGroup(self.group or "1"))

    def _above(self, examples: EnergyExamples, k: int) -> EnergySample:
        """A sample with its energy above the unperturbed parent's."""
        sample, cells = examples.samples[k], examples.matched[k].cells
        known = sample.energy is not None and self.reference is not None
        return replace(sample, energy=sample.energy - cells * self.reference if known else None)  # type: ignore[operator]

    def _labels(self, examples: EnergyExamples, part: np.ndarray) -> list[dict[str, np.ndarray]]:
        return [labels(self._above(examples, k), len(examples.matched[k].parent)) for k in part]

    def _errors(self, found: Response, wanted: Sequence[Mapping[str, np.ndarray]]) -> dict[str, Metrics]:
        """Of every target, also if nothing of it is known."""
        mean = sum(target.mean for target in self.targets) - self._per_atom  # only the energy has one
        errors = response_errors(found, wanted, mean)
        nothing = regression_metrics(np.zeros(0), np.zeros(0), 0.0)
        return {target.name: errors.get(target.name, nothing) for target in self.targets}

    def finish(self, network: Any, examples: EnergyExamples, split: Mapping[str, np.ndarray]) -> None:
        """The energy of the unperturbed parent, from the training frames if nothing else told it."""
        if examples.reference is None and self.reference is not None:
            train, exact = split["train"], copy.deepcopy(network).double()
            lacking = _lacking(exact, self._graphs(examples, train), self._labels(examples, train))
            self.reference += lacking * len(self.frames.crystal)

    def judge(self, network: Any, examples: EnergyExamples, part: np.ndarray) -> Judgement:
        chosen = [examples.matched[k] for k in part]
        found, predicted = self._predicted(network, chosen)
        header = ["id", "formula", "atom", "element"]
        for target in self.targets:
            header += [f"{which} {column}" for column in target.columns for which in ("true", "predicted")]
        rows = []
        for k, matched, own in zip(part, chosen, predicted):
            record, sample, n = examples.records[k], examples.samples[k], len(matched.order)
            true = {
                "energy": None if sample.energy is None else sample.energy / n,
                "forces": None if sample.forces is None else matched.to_frame(sample.forces, of_atoms=True),
                "stress": None if sample.stress is None else matched.to_frame(sample.stress),
            }
            values = (true, own | {"energy": own["energy"] / n})
            rows += [[record.id, record.formula, *cells] for cells in atom_rows(record.species, self.targets, values)]
        return Judgement(self._errors(found, self._labels(examples, part)), header, rows)

    def _predicted(self, network: Any, frames: Sequence[Matched]) -> tuple[Response, list[dict[str, Any]]]:
        """The network's responses in float64, and of each frame the whole energy (eV a cell), forces and stress in its
        own axes and order."""
        found = respond(copy.deepcopy(network).double(), [self._graph(matched) for matched in frames])
        energies, stresses = found.energy.tolist(), found.stress.numpy(force=True)
        forces = np.split(found.forces.numpy(force=True), np.cumsum([len(matched.order) for matched in frames])[:-1])
        return found, [
            {
                "energy": energy + matched.cells * (self.reference or 0.0),
                "forces": matched.to_frame(own, of_atoms=True),
                "stress": matched.to_frame(stress),
            }
            for matched, energy, own, stress in zip(frames, energies, forces, stresses)
        ]

    def predict(self, network: Any, items: Sequence[Item], log: Log) -> list[dict[str, Any]]:
        rows, records = start_rows(items, self.targets)
        matched = {}
        for record in records:
            try:
                matched[int(record.id)] = self._match(replace(record, id=rows[int(record.id)]["id"]))
            except IrrepnetError as error:
                rows[int(record.id)]["note"] = str(error)
        if matched:
            for k, own in zip(matched, self._predicted(network, list(matched.values()))[1]):
                values = own | {name: own[name].tolist() for name in ("forces", "stress")}
                rows[k] |= {target.name: values[target.name] for target in self.targets}
        return rows

    def card(self, examples: EnergyExamples, train: np.ndarray) -> dict[str, Any]:
        crystal = self.frames.crystal
        said = super().card(examples, train)
        said["domain"]["point_groups"] = [crystal.point_group.name]
        return said | {
            "parent": {
                "name": self.parent.name,
                "numbers": self.parent.numbers.tolist(),
                "frac_coords": self.parent.frac_coords.tolist(),
                "lattice": self.parent.lattice.tolist(),
                "rotation": crystal.rotation.tolist(),
            },
            "group": self.group,
            "reference": self.reference,
            "scale": self.scale,
        }

    def load(self, card: Mapping[str, Any]) -> None:
        super().load(card)
        self.group, self.reference, self.scale = card["group"], card["reference"], card["scale"]
        parent = card["parent"]
        lattice, frac_coords, numbers = (np.array(parent[name]) for name in ("lattice", "frac_coords", "numbers"))
        self.parent = Cell(lattice, frac_coords, numbers, parent["name"])
        if self.group and not np.allclose(self.frames.crystal.rotation, parent["rotation"], atol=1e-3):
            raise IrrepnetError(
                f"the standard frame of {parent['name']} is not that of the training: moyopy is another version "
                "(versions.json of the run tells which it was)"
            )


def _lacking(net: EnergyNet, graphs: Sequence[BrokenGraph], wanted: Sequence[Mapping[str, np.ndarray]]) -> float:
    """eV an atom by which known energies lie above the network's, in the mean; 0 if none is known."""
    scale, found = net.get_buffer("scale"), []
    with torch.no_grad():
        for part in in_parts(graphs, EVALUATION_BATCH):
            batch = perturbed_batch(part, net.group, scale.dtype).to(scale.device)
            found.append((net(batch) / batch.atoms[: len(part)]).numpy(force=True))
    above = np.concatenate([own["energy"] for own in wanted]) - np.concatenate(found)
    return float(np.nanmean(above)) if not np.isnan(above).all() else 0.0


def _symmetric(value: Any, name: str) -> np.ndarray:
    """(3, 3), also from Voigt's six xx yy zz yz xz xy."""
    if isinstance(value, list) and len(value) == 6:
        array = number_array(value, (6,), name)[[[0, 5, 4], [5, 1, 3], [4, 3, 2]]]
    else:
        array = number_array(value, (3, 3), name)
    if np.abs(array - array.T).max() > 1e-3 * np.abs(array).max():
        raise IrrepnetError(f"{name} is not symmetric")
    return (array + array.T) / 2
