"""Scalars, vectors and tensors of sites, learned by a network with features in the irreps of the site groups."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, model_validator

from irrepnet.crystals import MODEL_GROUPS, SymmetricCrystal, input_atoms
from irrepnet.data import Record, Rejection
from irrepnet.data.batch import prepare, union
from irrepnet.data.sites import SITE_KINDS, SITE_QUANTITIES, SiteQuantity, at_atoms, site_values
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import SiteGraph, SiteGraphOptions
from irrepnet.groups import PointGroup
from irrepnet.models import SiteSymmetryConfig, SiteSymmetryNet
from irrepnet.tasks.config import CrystalDataConfig, RunConfig, Section, TrainingConfig
from irrepnet.tasks.metrics import Metrics
from irrepnet.tasks.properties import known_graph, start_rows
from irrepnet.tasks.targets import SiteTarget, atom_rows, encoded, mean_loss, site_metrics, slices
from irrepnet.tasks.task import (
    Examples,
    Judgement,
    Learning,
    Log,
    Source,
    Task,
    device_of,
    followed,
    in_parts,
    none_left,
)


class SiteConfig(Section):
    """A property of the sites that is not among the known ones.

    Attributes:
        symmetry: scalar, vector, ij, ij=ji, ij=-ji or "ij=ji traceless", with "axial " before it if it is axial.
        unit: of its values.
        sum_rule: its values add up to zero over the atoms of a crystal.
        indices: what its first index is and what its second, in words.
    """

    symmetry: str
    unit: str = ""
    sum_rule: bool = False
    indices: str = ""

    @model_validator(mode="after")
    def _known(self) -> "SiteConfig":
        if self.symmetry.removeprefix("axial ") not in SITE_KINDS:
            raise ValueError(f"symmetry: no {self.symmetry!r}; there are {', '.join(SITE_KINDS)}, each also axial")
        return self


class SiteDataConfig(CrystalDataConfig):
    """The crystals, and what is learned of their sites.

    Attributes:
        sites: what the targets are, by name, where they are not known quantities.
    """

    sites: dict[str, SiteConfig] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _declared(self) -> "SiteDataConfig":
        for name in self.targets:
            if name not in self.sites and name not in SITE_QUANTITIES:
                known = ", ".join(SITE_QUANTITIES)
                raise ValueError(
                    f"data.sites: say what {name} is, for example data.sites.{name}={{symmetry: ij=ji, unit: eV}}; "
                    f"known without are {known}"
                )
        return self

    def quantity(self, name: str) -> SiteQuantity:
        """What the property of that name is."""
        return SiteQuantity(**self.sites[name].model_dump()) if name in self.sites else SITE_QUANTITIES[name]


class SiteModelConfig(SiteSymmetryConfig, frozen=True):
    """What the network is made of.

    Attributes:
        name: of the network.
        group: the model group; "auto" for one network for each of m-3m and 6/mmm, in one of which every crystal lies.
    """

    name: Literal["site-symmetry"] = "site-symmetry"
    group: str = "auto"


class SiteTrainingConfig(TrainingConfig):
    """As everywhere, with other defaults, chosen on the validation part of Born charges of crystals of m-3m."""

    batch_size: int = Field(default=16, ge=1)
    learning_rate: float = Field(default=3e-3, gt=0)


class SiteRunConfig(RunConfig):
    """A run: the network, the data, the training."""

    task: Literal["sites"] = "sites"
    model: SiteModelConfig = Field(default_factory=SiteModelConfig)
    data: SiteDataConfig
    training: SiteTrainingConfig = Field(default_factory=SiteTrainingConfig)

    @model_validator(mode="after")
    def _fits(self) -> "SiteRunConfig":
        if self.model.group != "auto":
            try:
                PointGroup(self.model.group)
            except IrrepnetError as error:
                raise ValueError(f"model.group: {error}") from None
        if self.training.compile:
            raise ValueError("training.compile: is for the networks on graphs and hypergraphs; leave it out")
        return self

    @property
    def graph(self) -> SiteGraphOptions:
        data = self.data
        return SiteGraphOptions(data.cutoff, data.n_max, data.tolerance, symprec=data.symprec, group=self.model.group)


@dataclass(frozen=True)
class SiteExamples(Examples):
    """Crystals ready for a network.

    Attributes:
        graphs: their graphs.
        values: of each (n_sites, W), the targets' components side by side; NaN where unknown.
        frames: (n, 3, 3) proper, x_input = frame @ x_standard.
        atoms: of each (n_input,) the atom of the primitive cell that an atom of the record is.
    """

    graphs: list[SiteGraph]
    values: list[np.ndarray]
    frames: np.ndarray
    atoms: list[np.ndarray]


class SiteTask(Task):
    """Scalars, vectors and tensors of sites."""

    name = "sites"
    Config = SiteRunConfig

    config: SiteRunConfig
    targets: list[SiteTarget]  # type: ignore[assignment]

    def prepare(self, source: Source, log: Log, targets: Sequence[str] | None = None) -> SiteExamples:
        names = targets or self.config.data.targets
        for name in self.config.data.targets:
            quantity = self.config.data.quantity(name)
            indices = f", indices: {quantity.indices}" if quantity.indices else ""
            log.line(f"{name}: {quantity.symmetry} at each site, in {quantity.unit or 'no unit'}{indices}")
        missing = f"has no value of {' or '.join(names)}"
        valued = [any(record.properties.get(name) is not None for name in names) for record in source.records]
        without = [Rejection(record.id, missing) for record, good in zip(source.records, valued) if not good]
        made = self.graphs([record for record, good in zip(source.records, valued) if good], log, names)
        rejections = without + made.rejections
        if not len(made):
            raise none_left(source.name, len(source.records), rejections)
        made.rejections[:] = rejections
        return made

    def graphs(self, records: Sequence[Record], log: Log, targets: Sequence[str] = ()) -> SiteExamples:
        """The graphs of the records, with the values of these targets; what cannot be used is listed, never fatal."""
        data, options = self.config.data, self.config.graph
        with log.progress("symmetry", len(records)) as advance:
            kept, crystals, rejections = prepare(
                records, lambda crystal: crystal, data.symprec, data.point_groups, lambda: advance(1)
            )
        made = SiteExamples([], rejections, [], [], np.empty((0, 3, 3)), [])
        frames = []
        with log.progress("graphs", len(kept)) as advance:
            for record, crystal in zip(kept, crystals):
                try:
                    graph = known_graph(crystal, options)
                    values = self._values(record, crystal, graph, targets)
                    atoms = input_atoms(crystal, record)
                except IrrepnetError as error:
                    rejections.append(Rejection(record.id, str(error)))
                else:
                    made.records.append(record)
                    made.graphs.append(graph)
                    made.values.append(values)
                    made.atoms.append(atoms)
                    frames.append(crystal.rotation)
                advance(1)
        return SiteExamples(
            made.records,
            rejections,
            made.graphs,
            made.values,
            np.array(frames).reshape(-1, 3, 3),
            made.atoms,
            failures=[()] * len(made.records),
        )

    def _values(
        self, record: Record, crystal: SymmetricCrystal, graph: SiteGraph, targets: Sequence[str]
    ) -> np.ndarray:
        """(n_sites, W)"""
        columns = [np.empty((len(graph), 0))]
        for name in self.config.data.targets if targets else ():
            quantity = self.config.data.quantity(name)
            if name not in targets or record.properties.get(name) is None:
                columns.append(np.full((len(graph), 3**quantity.rank), np.nan))
            else:
                columns.append(site_values(record, crystal, graph, name, quantity).values.reshape(len(graph), -1))
        return np.concatenate(columns, 1)

    def fit(self, examples: SiteExamples, train: np.ndarray) -> None:
        values = np.concatenate([examples.values[k] for k in train])
        weights = np.concatenate([examples.graphs[k].multiplicity for k in train])
        species = [symbol for k in train for symbol in _species(examples.graphs[k])]
        fitted, start = [], 0
        for name in self.config.data.targets:
            quantity = self.config.data.quantity(name)
            stop = start + 3**quantity.rank
            fitted.append(SiteTarget.fit(name, values[:, start:stop], quantity, weights, species))
            start = stop
        self.targets = fitted

    def network(self) -> torch.nn.Module:
        model = self.config.model
        kinds = {target.name: target.symmetry for target in self.targets}
        summed = [target.name for target in self.targets if target.sum_rule]
        groups = MODEL_GROUPS if model.group == "auto" else (PointGroup(model.group).name,)
        made = {name: SiteSymmetryNet(model.model_copy(update={"group": name}), kinds, summed) for name in groups}
        return torch.nn.ModuleDict(made)

    def learning(self, examples: SiteExamples, split: Mapping[str, np.ndarray], device: torch.device) -> Learning:
        def wanted(part: np.ndarray) -> list[torch.Tensor]:
            values = [encoded(self.targets, examples.values[k]) for k in part]
            return [torch.tensor(own, dtype=torch.float32, device=device) for own in values]

        train, train_wanted = [examples.graphs[k] for k in split["train"]], wanted(split["train"])
        held, held_wanted = [examples.graphs[k] for k in split["validation"]], wanted(split["validation"])

        def loss_of(network: Any, graphs: list[SiteGraph], values: list[torch.Tensor]) -> torch.Tensor:
            outputs, order, weights = self._outputs(network, graphs, device)
            return mean_loss(self.targets, outputs, torch.cat([values[k] for k in order]), weights)

        def loss(network: torch.nn.Module, part: np.ndarray) -> torch.Tensor:
            return loss_of(network, [train[k] for k in part], [train_wanted[k] for k in part])

        def validate(network: torch.nn.Module) -> tuple[float, dict[str, Any]]:
            with torch.inference_mode():
                found = loss_of(network, held, held_wanted).item()
            part = split["validation"]
            return found, followed(self._errors(examples, part, self._predicted(network, held)))

        return Learning(loss, validate)

    def _outputs(
        self, network: Any, graphs: Sequence[SiteGraph], device: torch.device, dtype: torch.dtype = torch.float32
    ) -> tuple[torch.Tensor, list[int], torch.Tensor]:
        """Outputs (n_sites, W) of several crystals, model group after model group; their order; the sites' weights."""
        outputs, order, weights = [], [], []
        for name, net in network.items():
            own = [k for k, graph in enumerate(graphs) if graph.group.name == name]
            if own:
                batch = union([graphs[k] for k in own], dtype).to(device)
                found = net(batch)
                outputs.append(torch.cat([found[target.name].flatten(1) if found[target.name].ndim > 1
                                          else found[target.name][:, None] for target in self.targets], 1))  # fmt: skip
                weights.append(batch.multiplicity)
                order += own
        return torch.cat(outputs), order, torch.cat(weights)

    def _predicted(self, network: torch.nn.Module, graphs: Sequence[SiteGraph]) -> list[np.ndarray]:
        """Of each crystal (n_sites, W) in the targets' units, computed in float64: symmetric to its last digits."""
        exact = copy.deepcopy(network).double().eval()
        found: list[np.ndarray] = []
        for part in in_parts(graphs):
            with torch.inference_mode():
                outputs, order, _ = self._outputs(exact, part, device_of(exact), torch.float64)
            pieces = np.split(outputs.cpu().numpy(), np.cumsum([len(part[k]) for k in order])[:-1])
            of_graph = dict(zip(order, pieces))
            for k in range(len(part)):
                columns = zip(self.targets, slices(self.targets))
                found.append(np.concatenate([t.decode(of_graph[k][:, own]) for t, own in columns], 1))
        return found

    def judge(self, network: torch.nn.Module, examples: SiteExamples, part: np.ndarray) -> Judgement:
        predicted = self._predicted(network, [examples.graphs[k] for k in part])
        header = ["id", "formula", "atom", "element"]
        for target in self.targets:
            header += [f"{which} {column}" for column in target.columns for which in ("true", "predicted")]
        rows = []
        for k, found in zip(part, predicted):
            record = examples.records[k]
            true, own = (self._of_input(examples, k, values) for values in (examples.values[k], found))
            rows += [
                [record.id, record.formula, *cells] for cells in atom_rows(record.species, self.targets, (true, own))
            ]
        return Judgement(self._errors(examples, part, predicted), header, rows)

    def _errors(self, examples: SiteExamples, part: np.ndarray, predicted: list[np.ndarray]) -> dict[str, Metrics]:
        graphs = [examples.graphs[k] for k in part]
        weights = np.concatenate([graph.multiplicity for graph in graphs])
        species = [symbol for graph in graphs for symbol in _species(graph)]
        true, found = np.concatenate([examples.values[k] for k in part]), np.concatenate(predicted)
        return {
            target.name: site_metrics(true[:, own], found[:, own], target.baseline(species), weights)
            for target, own in zip(self.targets, slices(self.targets))
        }

    def _of_input(self, examples: SiteExamples, k: int, values: np.ndarray) -> dict[str, Any]:
        """Values (n_sites, W) of a crystal at every atom of its record, in the record's order and axes, by target."""
        result = {}
        for target, own in zip(self.targets, slices(self.targets)):
            axial = target.symmetry.startswith("axial ")
            atoms = at_atoms(target.given(values[:, own]), examples.graphs[k], axial)[examples.atoms[k]]
            result[target.name] = target.value(atoms.reshape(len(atoms), -1), examples.frames[k])
        return result

    def predict(self, network: torch.nn.Module, sources: Sequence[Any], log: Log) -> list[dict[str, Any]]:
        rows, crystals = start_rows(sources, self.targets)
        made = self.graphs(crystals, log)
        for rejection in made.rejections:
            rows[int(rejection.id)]["note"] = rejection.reason
        if made.records:
            for k, values in enumerate(self._predicted(network, made.graphs)):
                rows[int(made.records[k].id)] |= self._of_input(made, k, values)
        return rows

    @property
    def admitted(self) -> str | list[str]:
        group = self.config.model.group
        return self.config.data.point_groups or ("all" if group == "auto" else f"all subgroups of {group}")


def _species(graph: SiteGraph) -> list[str]:
    from pymatgen.core import Element

    return [Element.from_Z(int(number)).symbol for number in graph.numbers]
