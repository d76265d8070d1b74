"""Scalars, vectors and tensors of sites, learned by a network with features in the irreps of the site groups.

Numbers and tensors of the crystals can be learned beside them, or alone.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic, Literal, NamedTuple, TypeVar

import numpy as np
import torch
from pydantic import Field, ValidationInfo, field_validator, model_validator

from irrepnet.crystals import MODEL_GROUPS, SymmetricCrystal, input_atoms
from irrepnet.data import Record, Rejection
from irrepnet.data.batch import prepare, union
from irrepnet.data.records import site_array
from irrepnet.data.sites import SITE_KINDS, SITE_QUANTITIES, SiteQuantity, at_atoms, site_values
from irrepnet.data.targets import QUANTITIES, target_value
from irrepnet.data.tensors import TENSOR_QUANTITIES, TensorQuantity, tensor_coefficients
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import SiteGraph, SiteGraphOptions
from irrepnet.groups import PointGroup
from irrepnet.models import Ensemble, SeparateNetworks, SiteSymmetryConfig, SiteSymmetryNet
from irrepnet.tasks.config import CrystalDataConfig, RunConfig, TrainingConfig
from irrepnet.tasks.metrics import Metrics
from irrepnet.tasks.properties import known_graph, start_rows, trust
from irrepnet.tasks.targets import (
    OutputTarget,
    SiteTarget,
    TensorTarget,
    atom_rows,
    decoded,
    encoded,
    fit_number,
    mean_loss,
    slices,
)
from irrepnet.tasks.task import (
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
    followed,
    in_parts,
    none_left,
)

NOISE = 0.1
"""Of the typical size of a value: the residuals of crystals with smaller ones are compared with this."""

CRYSTAL_QUANTITIES: dict[str, TensorQuantity | None] = {
    **{name: None for name in QUANTITIES if name not in TENSOR_QUANTITIES},
    **{name: one for name, one in TENSOR_QUANTITIES.items() if one.tensor.formula in SITE_KINDS},
}
"""What can be learned of the crystals themselves: the known numbers, which have None here, and tensors of rank 2."""

T = TypeVar("T", np.ndarray, torch.Tensor)


class Rows(NamedTuple, Generic[T]):
    """Numbers of several crystals.

    Attributes:
        sites: (n_sites, W) the components of the sites' targets side by side.
        crystals: (n_crystals, V) the crystals' numbers and the coefficients of their tensors side by side.
    """

    sites: T
    crystals: T


class SiteDataConfig(CrystalDataConfig):
    """The crystals, and what is learned of their sites, and of themselves.

    Attributes:
        sites: what the targets are, by name; of a known quantity only what is to be different need be said. Here is
            where units and the order of indices are stated, for every target of sites. The others are numbers and
            tensors of the crystals, of `CRYSTAL_QUANTITIES`.
    """

    sites: dict[str, SiteQuantity] = Field(default_factory=dict, validate_default=True)

    @field_validator("sites", mode="before")
    @classmethod
    def _stated(cls, sites: Any, info: ValidationInfo) -> Any:
        targets = info.data.get("targets")
        if targets is None or not isinstance(sites, Mapping):
            return sites
        of_sites = [name for name in targets if name in sites or name not in CRYSTAL_QUANTITIES]
        for name in of_sites:
            if name not in sites and name not in SITE_QUANTITIES:
                raise ValueError(
                    f"say what {name} is, for example data.sites.{name}={{symmetry: ij=ji, unit: eV}}; known without "
                    f"are {', '.join([*SITE_QUANTITIES, *CRYSTAL_QUANTITIES])}"
                )
        if idle := [name for name in sites if name not in targets]:
            raise ValueError(f"{', '.join(idle)}: not among the targets, which are {', '.join(targets)}")
        known = {name: dict(SITE_QUANTITIES[name]) if name in SITE_QUANTITIES else {} for name in of_sites}
        said = {name: sites.get(name, {}) for name in of_sites}
        return {name: {**known[name], **own} if isinstance(own, Mapping) else own for name, own in said.items()}

    @property
    def of_crystals(self) -> dict[str, TensorQuantity | None]:
        """The targets that crystals have one of: the numbers first, as :func:`irrepnet.tasks.targets.slices` has it."""
        names = sorted((name for name in self.targets if name not in self.sites), key=TENSOR_QUANTITIES.__contains__)
        return {name: CRYSTAL_QUANTITIES[name] for name in names}


class SiteModelConfig(SiteSymmetryConfig, frozen=True):
    """What the network is made of.

    Attributes:
        name: of the network.
    """

    name: Literal["site-symmetry"] = "site-symmetry"


class SiteTrainingConfig(TrainingConfig):
    """As everywhere, with other defaults, chosen on the validation part of Born charges."""

    epochs: int = Field(default=80, ge=1)
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
        return self

    @property
    def averages(self) -> bool:
        return True

    @property
    def graph(self) -> SiteGraphOptions:
        data = self.data
        return SiteGraphOptions(data.cutoff, data.n_max, data.tolerance, symprec=data.symprec, group=self.model.group)


@dataclass(frozen=True)
class SiteExamples(Examples):
    """Crystals ready for a network.

    Attributes:
        graphs: their graphs.
        values: of each its :class:`Rows`, one for the crystal; NaN where unknown.
        frames: of each (3, 3) proper, x_input = frame @ x_standard.
        atoms: of each (n_input,) the atom of the primitive cell that an atom of the record is.
        residuals: of each, by target, what the symmetry does not allow of the values; see
            :func:`irrepnet.data.sites.site_values`.
    """

    graphs: list[SiteGraph]
    values: list[Rows[np.ndarray]]
    frames: list[np.ndarray]
    atoms: list[np.ndarray]
    residuals: list[dict[str, float]]


class SiteTask(Task):
    """Scalars, vectors and tensors of sites, and numbers and tensors of their crystals.

    Attributes:
        groups: the model groups of the training crystals; empty before :meth:`fit`.
        sizes: typical size of a value in the data that were learned from, by target.
        shared: whether one network is for all groups; runs of earlier versions have one for each.
    """

    name = "sites"
    Config = SiteRunConfig

    config: SiteRunConfig
    targets: list[OutputTarget]  # type: ignore[assignment]

    def __init__(self, config: SiteRunConfig) -> None:
        super().__init__(config)
        self.groups: tuple[str, ...] = ()
        self.sizes: dict[str, float] = {}
        self.shared = True

    def prepare(self, source: Source, log: Log, targets: Sequence[str] | None = None) -> SiteExamples:
        names = targets or self.config.data.targets
        sites = [name for name in names if name in self.config.data.sites]
        for name in sites:
            log.line(f"{name}: {self.config.data.sites[name].in_words}")
        missing = f"has no value of {' or '.join(names)}"
        valued = [any(target_value(record, name) is not None for name in names) for record in source.records]
        without = [Rejection(record.id, missing) for record, good in zip(source.records, valued) if not good]
        candidates = [record for record, good in zip(source.records, valued) if good]
        self.sizes = self.sizes or {name: _typical(candidates, name) for name in sites}
        made = self.graphs(candidates, log, names)
        rejections = without + made.rejections
        if not len(made):
            raise none_left(source.name, len(source.records), rejections)
        for name, found in _residuals(made).items():
            log.line(
                f"{name}: residual of the symmetry at most {found['largest']:.2g} ({found['id']}), in the median "
                f"{found['median']:.2g}"
            )
        return replace(made, rejections=rejections)

    def graphs(self, records: Sequence[Record], log: Log, targets: Sequence[str] = ()) -> SiteExamples:
        """The graphs of the records, with the values of these targets; what cannot be used is listed, never fatal."""
        data, options = self.config.data, self.config.graph
        with log.progress("symmetry", len(records)) as advance:
            kept, crystals, rejections = prepare(
                records, lambda crystal: crystal, data.symprec, data.point_groups, lambda: advance(1)
            )
        made = SiteExamples([], rejections, [], [], [], [], [])
        with log.progress("graphs", len(kept)) as advance:
            for record, crystal in zip(kept, crystals):
                try:
                    atoms = input_atoms(crystal, record)
                    values, residuals = self._values(record, crystal, atoms, targets)
                    graph = known_graph(crystal, options)
                    if self.groups and graph.group.name not in self.groups:
                        raise _untrained(graph)
                except IrrepnetError as error:
                    rejections.append(Rejection(record.id, str(error)))
                else:
                    made.records.append(record)
                    made.failures.append(())
                    made.graphs.append(graph)
                    made.values.append(values)
                    made.frames.append(crystal.rotation)
                    made.atoms.append(atoms)
                    made.residuals.append(residuals)
                advance(1)
        return made

    def _values(
        self, record: Record, crystal: SymmetricCrystal, atoms: np.ndarray, targets: Sequence[str]
    ) -> tuple[Rows[np.ndarray], dict[str, float]]:
        """The values, and the residuals by target of the sites; NaN for what is not asked or not known."""
        n = len(crystal.representatives)
        columns, residuals = [np.empty((n, 0))], {}
        for name, quantity in self.config.data.sites.items():
            if name in targets and record.properties.get(name) is not None:
                found = site_values(record, crystal, atoms, name, quantity, NOISE * self.sizes[name])
                columns.append(found.values.reshape(n, -1))
                residuals[name] = found.residual
            else:
                columns.append(np.full((n, len(quantity.projector)), np.nan))
        own = [np.empty(0)]
        for name, quantity in self.config.data.of_crystals.items():
            given = target_value(record, name) if name in targets else None
            if given is None:
                own.append(np.full(_width(quantity), np.nan))
            elif quantity is not None:
                own.append(tensor_coefficients(crystal, given, quantity))
            elif isinstance(given, int | float):
                own.append(np.array([given], float))
            else:
                raise IrrepnetError(f"{name} is {given!r}, not a number")
        return Rows(np.concatenate(columns, 1), np.concatenate(own)[None]), residuals

    def split(self, examples: SiteExamples) -> dict[str, np.ndarray]:
        """As ever, but a crystal that needs a network which no training crystal trains is rejected."""
        parts = super().split(examples)
        trained = {examples.graphs[k].group for k in parts["train"]}
        for name, part in parts.items():
            lost = [k for k in part if examples.graphs[k].group not in trained]
            examples.rejections.extend(
                Rejection(examples.records[k].id, str(_untrained(examples.graphs[k]))) for k in lost
            )
            parts[name] = np.setdiff1d(part, lost)
            if not len(parts[name]):
                raise IrrepnetError(
                    f"no crystal of the {name} part has a model group that the training part has; take another "
                    "data.split_seed, or crystals of one model group by data.point_groups"
                )
        return parts

    def fit(self, examples: SiteExamples, train: np.ndarray) -> None:
        graphs = [examples.graphs[k] for k in train]
        found = {graph.group.name for graph in graphs}
        self.groups = tuple(sorted(found, reverse=True))
        values, fitted, start = _joined([examples.values[k] for k in train]), {}, 0
        for name, quantity in self.config.data.sites.items():
            own = values.sites[:, start : (start := start + len(quantity.projector))]
            fitted[name] = SiteTarget.fit(name, own, quantity, _multiplicity(graphs), _species(graphs))
        start = 0
        for name, quantity in self.config.data.of_crystals.items():
            own = values.crystals[:, start : (start := start + _width(quantity))]
            fitted[name] = fit_number(name, own) if quantity is None else TensorTarget.fit(name, own, quantity)
        self.targets = [fitted[name] for name in self.config.data.targets]

    @property
    def of_sites(self) -> list[SiteTarget]:
        """The targets of :attr:`Rows.sites`."""
        return [target for target in self.targets if isinstance(target, SiteTarget)]

    @property
    def of_crystals(self) -> list[OutputTarget]:
        """The targets of :attr:`Rows.crystals`."""
        return [target for target in self.targets if not isinstance(target, SiteTarget)]

    def network(self) -> torch.nn.Module:
        kinds = {t.name: getattr(t, "symmetry", "scalar") for t in self.targets}
        summed = [target.name for target in self.of_sites if target.sum_rule]
        of_crystals = [target.name for target in self.of_crystals]

        def made(group: str) -> SiteSymmetryNet:
            return SiteSymmetryNet(self.config.model.model_copy(update={"group": group}), kinds, summed, of_crystals)

        if not self.shared:
            return SeparateNetworks({group: made(group) for group in self.groups})
        return made(self.groups[0] if len(self.groups) == 1 else "auto")

    def learning(self, examples: SiteExamples, split: Mapping[str, np.ndarray], device: torch.device) -> Learning:
        def tensors(arrays: Iterable[np.ndarray]) -> list[torch.Tensor]:
            return [torch.tensor(array, dtype=torch.float32, device=device) for array in arrays]

        graphs, of_sites, of_crystals = examples.graphs, self.of_sites, self.of_crystals
        sites = tensors(encoded(of_sites, rows.sites) for rows in examples.values)
        (crystals,) = tensors([encoded(of_crystals, _joined(examples.values).crystals)])
        weights = tensors(graph.multiplicity for graph in graphs)

        def loss_of(outputs: Rows[torch.Tensor], chosen: np.ndarray) -> torch.Tensor:
            """The mean over the targets of their means over atoms or crystals."""
            share, losses = len(of_crystals) / len(self.targets), []
            if of_sites:
                wanted, atoms = (torch.cat([own[k] for k in chosen]) for own in (sites, weights))
                losses.append((1 - share) * mean_loss(of_sites, outputs.sites, wanted, atoms))
            if of_crystals:
                own = crystals[torch.from_numpy(chosen).to(device)]
                losses.append(share * mean_loss(of_crystals, outputs.crystals, own))
            return torch.stack(losses).sum()

        def loss(network: torch.nn.Module, part: np.ndarray) -> torch.Tensor:
            chosen = split["train"][part]
            return loss_of(self._outputs(network, [graphs[k] for k in chosen]), chosen)

        def outputs_of(network: torch.nn.Module, part: np.ndarray) -> list[Rows[np.ndarray]]:
            own = [graphs[k] for k in split["validation"][part]]
            return _by_crystal(self._exact(network, own), own)

        def validate(network: torch.nn.Module, together: Together) -> tuple[float, dict[str, Any]]:
            held = split["validation"]
            outputs = _joined(together(partial(outputs_of, network), len(held)))
            found = loss_of(Rows(*(torch.from_numpy(rows).to(weights[0]) for rows in outputs)), held).item()
            return found, followed(self._errors(examples, held, self._decoded(outputs)))

        return Learning(loss, validate)

    def _batches(
        self, graphs: Sequence[SiteGraph], dtype: torch.dtype, device: torch.device
    ) -> Iterator[tuple[SiteGraph[torch.Tensor], list[int]]]:
        """One batch for each model group, and the positions of its graphs."""
        for name in self.groups:
            own = [k for k, graph in enumerate(graphs) if graph.group.name == name]
            if own:
                yield union([graphs[k] for k in own], dtype).to(device), own

    def _outputs(
        self, network: Any, graphs: Sequence[SiteGraph], dtype: torch.dtype = torch.float32
    ) -> Rows[torch.Tensor]:
        """Of several crystals, one after the other."""
        starts = np.cumsum([0, *map(len, graphs)])
        sites, crystals, rows, order = [], [], [], []
        for batch, own in self._batches(graphs, dtype, device_of(network)):
            outputs = network(batch)
            values = [outputs[t.name].reshape(-1, t.width) for t in self.of_sites]
            sites.append(torch.cat([batch.nearest.new_empty(len(batch.numbers), 0), *values], 1))
            values = [_coefficients(t, outputs[t.name]) for t in self.of_crystals]
            crystals.append(torch.cat([sites[-1].new_empty(len(own), 0), *values], 1))
            rows += [np.arange(starts[k], starts[k + 1]) for k in own]
            order += own

        def in_order(parts: list[torch.Tensor], of: Any) -> torch.Tensor:
            return torch.cat(parts)[torch.from_numpy(np.argsort(of)).to(parts[0].device)]

        return Rows(in_order(sites, np.concatenate(rows)), in_order(crystals, order))

    def _exact(self, network: torch.nn.Module, graphs: Sequence[SiteGraph]) -> Rows[np.ndarray]:
        """Outputs of several crystals, computed in float64: symmetric to the last digits."""
        exact = copy.deepcopy(network).double().eval()
        with torch.inference_mode():
            found = [self._outputs(exact, part, torch.float64) for part in in_parts(graphs)]
        return _joined([Rows(*(part.cpu().numpy() for part in rows)) for rows in found])

    def _decoded(self, outputs: Rows[np.ndarray]) -> Rows[np.ndarray]:
        """In the targets' units."""
        return Rows(decoded(self.of_sites, outputs.sites), decoded(self.of_crystals, outputs.crystals))

    def judge(self, network: torch.nn.Module, examples: SiteExamples, part: np.ndarray) -> Judgement:
        graphs = [examples.graphs[k] for k in part]
        predicted = self._decoded(self._exact(network, graphs))
        header = ["id", "formula", "atom", "element"]
        for target in self.targets:
            header += [f"{which} {column}" for column in target.columns for which in ("true", "predicted")]
        rows = []
        for k, found in zip(part, _by_crystal(predicted, graphs)):
            record = examples.records[k]
            true, own = (self._of_input(examples, k, values) for values in (examples.values[k], found))
            rows += [
                [record.id, record.formula, *cells] for cells in atom_rows(record.species, self.targets, (true, own))
            ]
        return Judgement(self._errors(examples, part, predicted), header, rows)

    def _errors(self, examples: SiteExamples, part: np.ndarray, predicted: Rows[np.ndarray]) -> dict[str, Metrics]:
        graphs = [examples.graphs[k] for k in part]
        true = _joined([examples.values[k] for k in part])
        weights, species = _multiplicity(graphs), _species(graphs)
        found = {}
        for target, own in zip(self.of_sites, slices(self.of_sites)):
            found[target.name] = target.metrics(true.sites[:, own], predicted.sites[:, own], weights, species)
        for target, own in zip(self.of_crystals, slices(self.of_crystals)):
            found[target.name] = target.metrics(true.crystals[:, own], predicted.crystals[:, own])
        return {target.name: found[target.name] for target in self.targets}

    def _of_input(self, examples: SiteExamples, k: int, values: Rows[np.ndarray]) -> dict[str, Any]:
        """Values of a crystal, by target: its tensors, and those of every atom of its record, in the record's order;
        in its axes."""
        result = {}
        for target, own in zip(self.of_sites, slices(self.of_sites)):
            atoms = at_atoms(target.given(values.sites[:, own]), examples.graphs[k], target.quantity.axial)
            flat = atoms[examples.atoms[k]].reshape(len(examples.atoms[k]), -1)
            result[target.name] = target.value(flat, examples.frames[k])
        for target, own in zip(self.of_crystals, slices(self.of_crystals)):
            result[target.name] = target.value(values.crystals[0, own], examples.frames[k])
        return result

    def features(self, network: torch.nn.Module, examples: SiteExamples, part: np.ndarray) -> np.ndarray | None:
        return self._features(network, [examples.graphs[k] for k in part])

    def _features(self, network: torch.nn.Module, graphs: Sequence[SiteGraph]) -> np.ndarray | None:
        """(n_crystals, F) mean and spread of the invariants of the atoms."""
        first = network.members[0] if isinstance(network, Ensemble) else network
        if not isinstance(first, SiteSymmetryNet):
            return None
        found: dict[int, torch.Tensor] = {}
        with torch.inference_mode():
            for part in in_parts(range(len(graphs))):
                for batch, own in self._batches([graphs[k] for k in part], torch.float32, device_of(network)):
                    for k, row in zip(own, first.eval().pooled(batch)):
                        found[part[k]] = row
        return torch.stack([found[k] for k in range(len(graphs))]).double().cpu().numpy()

    def deviations(self, network: torch.nn.Module, examples: SiteExamples, part: np.ndarray) -> dict[str, Deviations]:
        """Of a target of sites, means over the atoms."""
        graphs = [examples.graphs[k] for k in part]
        true = _joined([examples.values[k] for k in part])
        predicted = self._decoded(self._exact(network, graphs))
        crystal, atoms = np.repeat(np.arange(len(graphs)), [len(graph) for graph in graphs]), _multiplicity(graphs)
        found = {}
        for target, own in zip(self.of_sites, slices(self.of_sites)):
            each = target.deviations(true.sites[:, own], predicted.sites[:, own])
            found[target.name] = np.bincount(crystal, each * atoms) / np.bincount(crystal, atoms)
        for target, own in zip(self.of_crystals, slices(self.of_crystals)):
            found[target.name] = target.deviations(true.crystals[:, own], predicted.crystals[:, own])
        sizes = self._sizes(predicted.crystals)
        return {name: Deviations(error, sizes[name]) for name, error in found.items()}

    def _sizes(self, crystals: np.ndarray) -> dict[str, np.ndarray]:
        """By target, what errors are in proportion to, from the predictions of crystals (n, V)."""
        sizes = {target.name: np.ones(len(crystals)) for target in self.of_sites}
        for target, own in zip(self.of_crystals, slices(self.of_crystals)):
            sizes[target.name] = target.sizes(crystals[:, own])
        return sizes

    def predict(self, network: torch.nn.Module, items: Sequence[Item], log: Log) -> list[dict[str, Any]]:
        rows, crystals = start_rows(
            items, self.targets, self.reliability, cutoff=getattr(self.config.data, "cutoff", None)
        )
        made = self.graphs(crystals, log)
        for rejection in made.rejections:
            rows[int(rejection.id)]["note"] = rejection.reason
        if made.records:
            predicted = self._decoded(self._exact(network, made.graphs))
            for k, values in enumerate(_by_crystal(predicted, made.graphs)):
                rows[int(made.records[k].id)] |= self._of_input(made, k, values)
            own = [rows[int(record.id)] for record in made.records]
            trust(own, self.reliability, self._features(network, made.graphs), self._sizes(predicted.crystals))
        return rows

    def card(self, examples: SiteExamples, train: np.ndarray) -> dict[str, Any]:
        own = {"groups": list(self.groups), "shared": True, "sizes": self.sizes, "residuals": _residuals(examples)}
        return {**super().card(examples, train), **own}

    def load(self, card: Mapping[str, Any]) -> None:
        super().load(card)
        self.groups, self.sizes, self.shared = tuple(card["groups"]), card["sizes"], "shared" in card

    @property
    def admitted(self) -> str | list[str]:
        both = set(self.groups) == set(MODEL_GROUPS)
        return self.config.data.point_groups or ("all" if both else f"all subgroups of {' or '.join(self.groups)}")


def _typical(records: Sequence[Record], name: str) -> float:
    """Size of a value at a site: the root mean square that nine of ten crystals do not exceed."""
    sizes = []
    for record in records:
        with suppress(IrrepnetError):  # said when the record's turn comes
            values = site_array(record, name)
            sizes.append(float(np.linalg.norm(values)) / len(values) ** 0.5)
    return float(np.quantile(sizes, 0.9)) if sizes else 0.0


def _untrained(graph: SiteGraph) -> IrrepnetError:
    return IrrepnetError(f"its model group is {graph.group.name}, which no crystal of the training split has")


def _residuals(examples: SiteExamples) -> dict[str, dict[str, Any]]:
    """By target: the largest residual, the id of its crystal, and the median."""
    found: dict[str, list[tuple[float, str]]] = {}
    for record, residuals in zip(examples.records, examples.residuals):
        for name, residual in residuals.items():
            found.setdefault(name, []).append((residual, record.id))
    return {
        name: {"largest": max(own)[0], "id": max(own)[1], "median": float(np.median([residual for residual, _ in own]))}
        for name, own in found.items()
    }


def _joined(parts: Sequence[Rows[np.ndarray]]) -> Rows[np.ndarray]:
    return Rows(*(np.concatenate(own) for own in zip(*parts)))


def _by_crystal(values: Rows[np.ndarray], graphs: Sequence[SiteGraph]) -> list[Rows[np.ndarray]]:
    sites = np.split(values.sites, np.cumsum([len(graph) for graph in graphs])[:-1])
    return [Rows(own, tensors[None]) for own, tensors in zip(sites, values.crystals)]


def _width(quantity: TensorQuantity | None) -> int:
    """Of a crystal's value; None is a number."""
    return 1 if quantity is None else quantity.tensor.dim


def _coefficients(target: OutputTarget, values: torch.Tensor) -> torch.Tensor:
    """(n, 1) of numbers (n,), (n, dim) of Cartesian tensors (n, 3, 3)."""
    if not isinstance(target, TensorTarget):
        return values[:, None]
    basis = torch.from_numpy(target.tensor.change_of_basis.copy()).to(values)
    return torch.einsum("nij,dij->nd", values, basis)


def _multiplicity(graphs: Sequence[SiteGraph]) -> np.ndarray:
    """(n_sites,) atoms that each site stands for."""
    return np.concatenate([graph.multiplicity for graph in graphs])


def _species(graphs: Sequence[SiteGraph]) -> list[str]:
    """(n_sites,) element symbols."""
    from pymatgen.core import Element

    return [Element.from_Z(int(number)).symbol for graph in graphs for number in graph.numbers]
