"""Numbers, classes and tensors of crystals, learned on graphs."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field, field_validator, model_validator

from irrepnet.crystals import SymmetricCrystal
from irrepnet.crystals.doubts import doubts
from irrepnet.crystals.elements import atomic_number
from irrepnet.data import Record, Rejection, target_values
from irrepnet.data.batch import AnyGraph, union
from irrepnet.data.store import Chosen, record_graphs
from irrepnet.data.tensors import TENSOR_QUANTITIES, TensorQuantity, tensor_coefficients
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import Graph, GraphOptions, hyperedge_type
from irrepnet.models import Ensemble, ModelConfig, PointGroupConfig, build_model
from irrepnet.nn.elements import HEAVIEST
from irrepnet.nn.pooling import MeanSpread
from irrepnet.tasks.config import CrystalDataConfig, RunConfig, Section, TrainingConfig
from irrepnet.tasks.metrics import Metrics
from irrepnet.tasks.reliability import Reliability
from irrepnet.tasks.targets import (
    OutputTarget,
    Target,
    TensorTarget,
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
from irrepnet.tensors import CartesianTensor
from irrepnet.tensors.positive import is_matrix


class TensorConfig(Section):
    """A tensor that is not among the known quantities.

    Attributes:
        symmetry, axial: of its indices, see :class:`irrepnet.tensors.CartesianTensor`.
        unit: of its values.
        positive: it is positive definite, whatever the crystal, and so are the predictions.
        damped: its size runs over decades: see :mod:`irrepnet.tensors.damping`.
        signed: false if its sign is a convention of the data, and T and −T are the same.
    """

    symmetry: str
    axial: bool = False
    unit: str = ""
    positive: bool = False
    damped: bool = False
    signed: bool = True

    @model_validator(mode="after")
    def _readable(self) -> "TensorConfig":
        try:
            tensor = CartesianTensor(self.symmetry, self.axial)
        except IrrepnetError as error:
            raise ValueError(str(error)) from None
        if self.positive and not is_matrix(tensor):
            raise ValueError(f"positive: a tensor {self.symmetry} is not a symmetric matrix")
        if self.positive and self.damped:
            raise ValueError("damped: a positive tensor is learned as its logarithm; leave this key out")
        if not self.signed and any(part.l == 0 and part.parity > 0 for part in tensor.parts):
            raise ValueError(f"signed: a tensor {self.symmetry} has an isotropic part, whose sign is no convention")
        return self


class PropertyDataConfig(CrystalDataConfig):
    """The crystals, what is learned of them, and how a crystal becomes a graph.

    Attributes:
        tensors: those of the targets that are tensors, by name, where they are not known quantities.
        neighbours: which atoms are bonded, shells, cutoff, n-max, voronoi or nearest.
        scale: for neighbours "nearest": the farthest neighbour in units of the nearest one's distance.
        workers: processes that make graphs; null takes all cores; or the address of a Dask scheduler.
    """

    tensors: dict[str, TensorConfig] = Field(default_factory=dict)
    neighbours: Literal["shells", "cutoff", "n-max", "voronoi", "nearest"] = "shells"
    scale: float = Field(default=GraphOptions.scale, ge=1)
    workers: Annotated[int, Field(ge=1)] | str | None = None

    @field_validator("targets")
    @classmethod
    def _axes(cls, targets: list[str]) -> list[str]:
        if "elastic_tensor" in targets:
            raise ValueError("elastic_tensor is in IEEE axes, not the crystal's; take elastic_tensor_original")
        return targets

    def tensor(self, name: str) -> TensorQuantity | None:
        """What the tensor of that name is; None for a target that is a number."""
        if name in self.tensors:
            declared = self.tensors[name]
            what = declared.model_dump(exclude={"symmetry", "axial"})
            return TensorQuantity(CartesianTensor(declared.symmetry, declared.axial), **what)
        return TENSOR_QUANTITIES.get(name)


class PropertyRunConfig(RunConfig):
    """A run: the network (see :mod:`irrepnet.models`), the data, the training."""

    task: Literal["properties"] = "properties"
    model: ModelConfig = Field(default_factory=PointGroupConfig)
    data: PropertyDataConfig
    training: TrainingConfig = Field(default_factory=TrainingConfig)

    @property
    def graph(self) -> GraphOptions:
        """How a structure becomes what the network reads: what the data say of it and what the network fixes."""
        kind = self.model.reads
        data = {name: getattr(self.data, name) for name in _field_names(kind) if hasattr(self.data, name)}
        if any(self.data.tensor(name) for name in self.data.targets) and "directions" in _field_names(kind):
            data["directions"] = True
        return kind(**{**data, **self.model.graph_fields})

    @property
    def averages(self) -> bool:
        return True

    @property
    def compiles(self) -> bool:
        return self.model.compiles

    @property
    def rounds(self) -> bool:
        return self.model.rounds

    @model_validator(mode="after")
    def _fits(self) -> "PropertyRunConfig":
        if self.data.neighbours != "shells" and not self.model.any_neighbours:
            raise ValueError(
                f"data.neighbours: the {self.model.name} network reads whole shells, not {self.data.neighbours}; "
                "leave this key out, or choose another network"
            )
        if self.data.scale != GraphOptions.scale and self.data.neighbours != "nearest":
            raise ValueError("data.scale: is for data.neighbours=nearest; leave this key out")
        for name in self.model.graph_fields.get("hyperedges", ()):
            try:
                hyperedge_type(name)
            except IrrepnetError as error:
                raise ValueError(f"model.hyperedges: {error}") from None
        return self


def _field_names(options: type[GraphOptions]) -> set[str]:
    return {field.name for field in fields(options)}


@dataclass(frozen=True)
class PropertyExamples(Examples):
    """Crystals ready for a network.

    Attributes:
        graphs: their graphs.
        frames: (n, 3, 3) proper, x_input = frame @ x_standard: the axes of tensors.
        values: (n, W) the targets' values side by side, the numbers first, then the coefficients of tensors; NaN where
            unknown.
    """

    graphs: Sequence[AnyGraph]
    frames: np.ndarray
    values: np.ndarray


Values = Callable[[Record], np.ndarray]


class PropertyTask(Task):
    """Numbers, classes and tensors of crystals."""

    name = "properties"
    Config = PropertyRunConfig

    config: PropertyRunConfig
    targets: list[OutputTarget]  # type: ignore[assignment]

    def prepare(self, source: Source, log: Log, targets: Sequence[str] | None = None) -> PropertyExamples:
        """The graphs and target values of the records that have a value of at least one target.

        Raises:
            IrrepnetError: no crystal is left, or no record knows a target.
        """
        records, names = source.records, self.config.data.targets
        targets = targets or names
        tensors = {name: tensor for name in names if (tensor := self.config.data.tensor(name))}
        numbers = [
            target_values(records, name) if name in targets else np.full(len(records), np.nan)
            for name in names
            if name not in tensors
        ]
        rows = {record.id: row for record, row in zip(records, np.reshape(numbers, (len(numbers), len(records))).T)}
        asked = [name for name in tensors if name in targets]
        valued = [
            not np.isnan(rows[record.id]).all() or any(record.properties.get(name) is not None for name in asked)
            for record in records
        ]
        missing = f"has no value of {' or '.join(targets)}"
        without = [Rejection(record.id, missing) for record, good in zip(records, valued) if not good]
        candidates = [record for record, good in zip(records, valued) if good]

        def values(record: Record) -> np.ndarray:
            published = {name: record.properties.get(name) if name in asked else None for name in tensors}
            if all(value is None for value in published.values()):
                return np.concatenate([rows[record.id], *(np.full(q.tensor.dim, np.nan) for q in tensors.values())])
            crystal = SymmetricCrystal.from_structure(record, self.config.data.symprec)
            found = [
                np.full(quantity.tensor.dim, np.nan)
                if published[name] is None
                else tensor_coefficients(crystal, published[name], quantity)
                for name, quantity in tensors.items()
            ]
            return np.concatenate([rows[record.id], *found])

        made = self.graphs(candidates, log, values, keep=True)
        rejections = without + made.rejections
        if not len(made):
            raise none_left(source.name, len(records), rejections)
        failed = sum(map(bool, made.failures))
        if failed:
            sites = sum(map(len, made.failures))
            log.line(f"{sites} sites of {failed} crystals have no descriptor; their hyperedges are left out")
        return replace(made, rejections=rejections)

    def graphs(
        self, records: Sequence[Record], log: Log, values: Values | None = None, keep: bool = False
    ) -> PropertyExamples:
        """The graphs of the records; what cannot be used is listed, never fatal.

        ``values`` gives a record's row of values, and raises IrrepnetError if it cannot be used; none by default. With
        ``keep`` graphs are taken from the store, and made for it by ``data.workers`` processes, see
        :func:`irrepnet.data.store.record_graphs`.
        """
        values = values or (lambda record: np.empty(0))
        with log.progress("graphs", len(records)) as advance:
            made = record_graphs(
                records, self.config.graph, self.config.data.point_groups, keep, self.config.data.workers, advance
            )
        places, rows, rejections = [], [], []
        for k, record in enumerate(records):
            try:
                check_elements(record.formula, map(atomic_number, record.species))
                if k in made.refused:
                    raise IrrepnetError(made.refused[k])
                rows.append(values(record))
            except IrrepnetError as error:
                rejections.append(Rejection(record.id, str(error)))
            else:
                places.append(k)
        return PropertyExamples(
            [records[k] for k in places],
            rejections,
            Chosen(made, places),
            made.rotations[places].reshape(-1, 3, 3),
            np.array(rows),
            failures=[made.failures.get(k, ()) for k in places],
        )

    def fit(self, examples: PropertyExamples, train: np.ndarray) -> None:
        names, values = self.config.data.targets, examples.values[train]
        tensors = {name: tensor for name in names if (tensor := self.config.data.tensor(name))}
        numbers = [name for name in names if name not in tensors]
        fitted: dict[str, OutputTarget] = {name: fit_number(name, values[:, [t]]) for t, name in enumerate(numbers)}
        start = len(numbers)
        for name, quantity in tensors.items():
            stop = start + quantity.tensor.dim
            fitted[name] = TensorTarget.fit(name, values[:, start:stop], quantity)
            start = stop
        self.targets = [fitted[name] for name in names]

    def outliers(self, examples: PropertyExamples, train: np.ndarray) -> list[str]:
        found = []
        for target, own in zip(self.targets, slices(self.targets)):
            size = np.linalg.norm(examples.values[train][:, own], axis=1) if target.width > 1 else None
            values = examples.values[train][:, own][:, 0] if size is None else size
            for k in far_from_the_rest(values):
                record = examples.records[train[k]]
                found.append(f"{target.name} of {record.id} is {values[k]:.3g}, far from all others; check its unit")
        return found

    def network(self) -> torch.nn.Module:
        tensors = [target.tensor for target in self.targets if isinstance(target, TensorTarget)]
        return build_model(self.config.model, len(self.targets) - len(tensors), self.config.graph, tensors)

    def learning(self, examples: PropertyExamples, split: Mapping[str, np.ndarray], device: torch.device) -> Learning:
        def tensor(part: np.ndarray) -> torch.Tensor:
            return torch.tensor(encoded(self.targets, examples.values[part]), dtype=torch.float32, device=device)

        train = Chosen(examples.graphs, split["train"])
        wanted = tensor(split["train"])
        held = examples.values[split["validation"]]
        held_wanted = tensor(split["validation"])

        def loss(network: torch.nn.Module, part: np.ndarray) -> torch.Tensor:
            batch = union([train[k] for k in part]).to(device)
            return mean_loss(self.targets, network(batch), wanted[torch.from_numpy(part).to(device)])

        def outputs_of(network: torch.nn.Module, part: np.ndarray) -> np.ndarray:
            return self._outputs(network, Chosen(examples.graphs, split["validation"][part]))

        def validate(network: torch.nn.Module, together: Together) -> tuple[float, dict[str, Any]]:
            outputs = np.stack(together(partial(outputs_of, network), len(held)))
            found = mean_loss(self.targets, torch.from_numpy(outputs).to(held_wanted), held_wanted).item()
            return found, followed(self.errors(held, decoded(self.targets, outputs)))

        return Learning(loss, validate)

    def judge(self, network: torch.nn.Module, examples: PropertyExamples, part: np.ndarray) -> Judgement:
        predicted = self.decoded(network, Chosen(examples.graphs, part))
        true = examples.values[part]
        for target, own in zip(self.targets, slices(self.targets)):
            if isinstance(target, TensorTarget):
                true[:, own] = target.nearer(true[:, own], predicted[:, own])
        header = ["id", "formula"]
        for target in self.targets:
            header += [f"{which} {column}" for column in target.columns for which in ("true", "predicted")]
        rows = []
        for k, known, row in zip(part, true, predicted):
            cells: list[Any] = [examples.records[k].id, examples.records[k].formula]
            for target, own in zip(self.targets, slices(self.targets)):
                pair = (target.cells(target.value(v[own], examples.frames[k])) for v in (known, row))
                cells += [cell for both in zip(*pair) for cell in both]
            rows.append(cells)
        return Judgement(self.errors(true, predicted), header, rows)

    def features(self, network: torch.nn.Module, examples: PropertyExamples, part: np.ndarray) -> np.ndarray | None:
        with pooled(network) as found:
            self.decoded(network, Chosen(examples.graphs, part))
        return all_features(found)

    def deviations(
        self, network: torch.nn.Module, examples: PropertyExamples, part: np.ndarray
    ) -> dict[str, Deviations]:
        true, predicted = examples.values[part], self.decoded(network, Chosen(examples.graphs, part))
        parts = zip(self.targets, slices(self.targets))
        return {
            target.name: Deviations(target.deviations(true[:, own], predicted[:, own]), target.sizes(predicted[:, own]))
            for target, own in parts
        }

    def errors(self, true: np.ndarray, predicted: np.ndarray) -> dict[str, Metrics]:
        """By target, of (n, W) decoded predictions."""
        return {
            t.name: t.metrics(true[:, own], predicted[:, own]) for t, own in zip(self.targets, slices(self.targets))
        }

    def decoded(self, network: torch.nn.Module, graphs: Sequence[AnyGraph]) -> np.ndarray:
        """(n, W) predictions in the targets' units."""
        return decoded(self.targets, self._outputs(network, graphs))

    def _outputs(self, network: torch.nn.Module, graphs: Sequence[AnyGraph]) -> np.ndarray:
        """(n, W) without units."""
        if not graphs:
            return np.empty((0, sum(target.width for target in self.targets)))
        return predict_batches(network, batches(graphs, device_of(network)))

    def predict(self, network: torch.nn.Module, items: Sequence[Item], log: Log) -> list[dict[str, Any]]:
        members = network.members if isinstance(network, Ensemble) else []
        rows, crystals = start_rows(items, self.targets, self.reliability, bool(members), self.config.data.cutoff)
        made = self.graphs(crystals, log)
        for rejection in made.rejections:
            rows[int(rejection.id)]["note"] = rejection.reason
        with pooled(network) as found:
            outputs = np.stack([self._outputs(one, made.graphs) for one in members or [network]])
        predicted = decoded(self.targets, outputs.mean(0))
        each = [decoded(self.targets, one) for one in outputs] if members else []
        if made.records:
            sizes = {t.name: t.sizes(predicted[:, own]) for t, own in zip(self.targets, slices(self.targets))}
            own = [rows[int(record.id)] for record in made.records]
            trust(own, self.reliability, all_features(found), sizes)
        for k, (record, failures) in enumerate(zip(made.records, made.failures)):
            row = rows[int(record.id)]
            lacking = (f"no descriptor for {failure}" for failure in failures)
            row["note"] = "; ".join(filter(None, [row["note"], *lacking]))
            for target, own in zip(self.targets, slices(self.targets)):
                row[target.name] = target.value(predicted[k, own], made.frames[k])
                if members:
                    row[f"{target.name}_spread"] = float(
                        np.linalg.norm(np.std([one[k, own] for one in each], 0, ddof=1))
                    )
        return rows

    @property
    def admitted(self) -> str | list[str]:
        group = getattr(self.config.model, "group", "auto")
        return self.config.data.point_groups or ("all" if group == "auto" else f"all subgroups of {group}")


def far_from_the_rest(values: np.ndarray) -> list[int]:
    """Places of the values, of (n,), that are farther from the median than a hundred times where nine of ten are; NaN
    is unknown. The farthest first."""
    known = values[np.isfinite(values)]
    if len(known) < 10:
        return []
    low, middle, high = np.quantile(known, [0.05, 0.5, 0.95])
    away = abs(np.nan_to_num(values, nan=middle) - middle)
    far = np.flatnonzero(away > 100 * max(high - low, 1e-6 * abs(middle), 1e-12))
    return far[np.argsort(-away[far])].tolist()


def start_rows(
    items: Sequence[Item],
    targets: Sequence[Target],
    reliability: Reliability | None = None,
    spreads: bool = False,
    cutoff: float | None = None,
) -> tuple[list[dict[str, Any]], list[Record]]:
    """A row of predictions for every item, still empty, and the structures that could be read.

    A row has places for what :func:`trust` will say, and with ``spreads`` for the spread of each target's predictions.
    Its note says what is odd about a structure (:func:`irrepnet.crystals.doubts.doubts`), among it atoms without a
    neighbour within ``cutoff``. The id of a structure is the number of its row: several files may name a crystal alike.
    """
    rows: list[dict[str, Any]] = []
    crystals: list[Record] = []
    for file, item in items:
        if isinstance(item, Rejection):
            formula, note = "", item.reason
        else:
            formula, note = item.formula, "; ".join([*item.notes, *doubts(item, cutoff)])
        if isinstance(item, Record):
            crystals.append(replace(item, id=str(len(rows))))
        nothing = {target.name: None for target in targets}
        if reliability is not None:
            nothing |= {f"{name}_bound": None for name in reliability.bounds} | {"nearest": None}
        nothing |= {f"{target.name}_spread": None for target in targets if spreads}
        rows.append({"file": file, "id": item.id, "formula": formula, **nothing, "note": note})
    return rows, crystals


def trust(
    rows: Sequence[dict[str, Any]],
    reliability: Reliability | None,
    features: np.ndarray | None,
    sizes: Mapping[str, np.ndarray],
) -> None:
    """Say in rows of predictions how far these can be trusted: bounds of their errors, and the nearest crystals.

    ``TARGET_bound``: nine of ten errors are below, see :mod:`irrepnet.tasks.reliability`. ``nearest``: positions among
    the training crystals, and distances. The note tells what is far away.
    """
    if reliability is None or features is None:
        return
    finite = np.flatnonzero(np.isfinite(features).all(1))  # of what is not finite nothing is near
    if not len(finite):
        return
    rows, features = [rows[k] for k in finite.tolist()], features[finite]
    sizes = {name: own[finite] for name, own in sizes.items()}
    found = reliability.neighbours(features)
    for name in reliability.bounds:
        for row, bound in zip(rows, reliability.bound(name, found.distance.mean(1)) * sizes[name]):
            row[f"{name}_bound"] = float(bound)
    for row, indices, distances in zip(rows, *found):
        distance = float(distances.mean())
        row["nearest"] = [(int(i), float(d)) for i, d in zip(indices, distances) if i >= 0]
        if distance > reliability.far:
            far = f"far from anything seen: {distance:.1f} times the typical distance from the training crystals"
            row["note"] = "; ".join(filter(None, [row["note"], far]))


@contextmanager
def pooled(network: torch.nn.Module) -> Iterator[list[torch.Tensor]]:
    """Within, a list gets what the network pools of each batch, (n_crystals, F); of several networks the first.

    It stays empty where a network does not pool by :class:`irrepnet.nn.pooling.MeanSpread`.
    """
    first = network.members[0] if isinstance(network, Ensemble) else network
    found: list[torch.Tensor] = []

    def keep(_: torch.nn.Module, given: Any, result: torch.Tensor) -> None:
        found.append(result)

    hooks = [one.register_forward_hook(keep) for one in first.modules() if isinstance(one, MeanSpread)]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def all_features(features: list[torch.Tensor]) -> np.ndarray | None:
    """(n, F) of the batches' features, which the list then has no more: of very many there is one copy; None without
    any."""
    if not features:
        return None
    whole = torch.cat(features).cpu().numpy()
    features.clear()
    return whole


def known_graph(crystal: SymmetricCrystal, options: GraphOptions) -> Any:
    """The graph of a crystal that a network of these options reads.

    Raises:
        IrrepnetError: there is no such graph, or the networks do not know an element.
    """
    check_elements(crystal.formula, crystal.numbers)
    return options.graph(crystal)


def check_elements(formula: str, numbers: Iterable[int]) -> None:
    """Raise IrrepnetError when the networks do not know an element."""
    heaviest = max(numbers)
    if heaviest > HEAVIEST:
        raise IrrepnetError(f"{formula}: element {heaviest}; the networks know those up to {HEAVIEST} (Lr)")


def batches(graphs: Sequence[AnyGraph], device: torch.device | str = "cpu") -> Iterator[Graph[torch.Tensor]]:
    """All graphs, in order, in batches for prediction."""
    return (union(part).to(device) for part in in_parts(graphs))


def predict_batches(network: torch.nn.Module, parts: Iterable[Graph[torch.Tensor]]) -> np.ndarray:
    """(n, W) float64 outputs of the network in evaluation mode."""
    network.eval()
    with torch.inference_mode():
        return torch.cat([network(part) for part in parts]).double().cpu().numpy()
