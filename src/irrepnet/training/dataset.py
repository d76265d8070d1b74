"""The crystals of a run: read, checked, made into graphs; what cannot be used is listed with its reason."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from irrepnet.crystals import SymmetricCrystal
from irrepnet.data import Record, Rejection, data_hash, read_records, target_values
from irrepnet.data.batch import AnyGraph, prepare
from irrepnet.data.tensors import tensor_coefficients
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import HypergraphOptions, fill_cache
from irrepnet.nn.elements import HEAVIEST
from irrepnet.training.config import RunConfig
from irrepnet.training.log import Log
from irrepnet.training.loop import Examples


@dataclass(frozen=True)
class Source:
    """What a data source holds, before anything is computed.

    Attributes:
        name: the source as it was given.
        records, rejections: what could be read and what could not.
        hash: of the records' content.
    """

    name: str
    records: list[Record]
    rejections: list[Rejection]
    hash: str


def read_source(name: str) -> Source:
    """Read a data source; raises IrrepnetError when nothing in it can be read."""
    records, rejections = read_records(name)
    if not records:
        reason = f"; the first reason: {rejections[0].reason}" if rejections else ""
        raise IrrepnetError(f"{name}: holds no readable crystal{reason}")
    return Source(name, records, rejections, data_hash(records))


@dataclass(frozen=True)
class Prepared:
    """Crystals ready for a network.

    Attributes:
        records: n crystals.
        graphs: their graphs.
        frames: (n, 3, 3) proper, x_input = frame @ x_standard: the axes of tensors.
        values: (n, W) the targets' values side by side, the numbers first, then the coefficients of tensors; NaN where
            unknown.
        rejections: the crystals left out, with reasons.
    """

    records: list[Record]
    graphs: list[AnyGraph]
    frames: np.ndarray
    values: np.ndarray
    rejections: list[Rejection]

    def __len__(self) -> int:
        return len(self.records)

    def examples(self, indices: np.ndarray) -> Examples:
        return Examples([self.graphs[i] for i in indices], self.values[indices])

    @property
    def failures(self) -> list[tuple[str, ...]]:
        """For each crystal the sites on which a descriptor failed: "site 2 (O, Wyckoff e): why"."""
        return [getattr(graph, "failures", ()) for graph in self.graphs]


def graph_of(config: RunConfig) -> Callable[[SymmetricCrystal], AnyGraph]:
    """How a crystal becomes the graph that the network of ``config`` reads.

    The function raises IrrepnetError when there is no such graph, or the networks do not know an element.
    """
    options = config.graph

    def graph(crystal: SymmetricCrystal) -> AnyGraph:
        heaviest = crystal.numbers.max()
        if heaviest > HEAVIEST:
            raise IrrepnetError(f"{crystal.formula}: element {heaviest}; the networks know those up to {HEAVIEST} (Lr)")
        return options.graph(crystal)

    return graph


Values = Callable[[Record, SymmetricCrystal], np.ndarray]


def make_graphs(records: Sequence[Record], config: RunConfig, log: Log, values: Values | None = None) -> Prepared:
    """The graphs of the records; what cannot be used is listed, never fatal.

    Descriptors that are not in the cache are computed in between, by ``config.data.workers`` processes. ``values``
    gives a crystal's row of values, and raises IrrepnetError if it cannot be used; none by default.
    """
    values = values or (lambda record, crystal: np.empty(0))
    data = config.data
    with log.progress("symmetry", len(records)) as advance:
        kept, crystals, rejections = prepare(
            records, lambda crystal: crystal, data.symprec, data.point_groups, lambda: advance(1)
        )
    _fill_cache(crystals, config, log)
    graph = graph_of(config)
    used: list[Record] = []
    graphs: list[AnyGraph] = []
    frames, rows = [], []
    with log.progress("graphs", len(kept)) as advance:
        for record, crystal in zip(kept, crystals):
            try:
                row = values(record, crystal)
                graphs.append(graph(crystal))
                used.append(record)
                frames.append(crystal.rotation)
                rows.append(row)
            except IrrepnetError as error:
                rejections.append(Rejection(record.id, str(error)))
            advance(1)
    return Prepared(used, graphs, np.array(frames).reshape(-1, 3, 3), np.array(rows), rejections)


def _fill_cache(crystals: Sequence[SymmetricCrystal], config: RunConfig, log: Log) -> None:
    options = config.graph
    if isinstance(options, HypergraphOptions) and "motifs" in options.hyperedges:
        with log.progress("descriptors", len(crystals)) as advance:
            fill_cache(crystals, options, config.data.workers, lambda _: advance(1))


def prepare_records(
    name: str, records: Sequence[Record], targets: Sequence[str], config: RunConfig, log: Log
) -> Prepared:
    """The graphs and target values of the records that have a value of at least one target.

    Args:
        name: of the data, for messages.
        records: the crystals.
        targets: T names.
        config: how a crystal becomes a graph, and which ones are admitted.
        log: shows the progress.

    Raises:
        IrrepnetError: no crystal is left, or no record knows a target.
    """
    tensors = {target: tensor for target in targets if (tensor := config.data.tensor(target))}
    numbers = [target_values(records, target) for target in targets if target not in tensors]
    rows = {record.id: row for record, row in zip(records, np.reshape(numbers, (len(numbers), len(records))).T)}
    valued = [
        not np.isnan(rows[record.id]).all() or any(record.properties.get(tensor) is not None for tensor in tensors)
        for record in records
    ]
    missing = f"has no value of {' or '.join(targets)}"
    without = [Rejection(record.id, missing) for record, good in zip(records, valued) if not good]
    candidates = [record for record, good in zip(records, valued) if good]

    def values(record: Record, crystal: SymmetricCrystal) -> np.ndarray:
        published = [(record.properties.get(name), quantity) for name, quantity in tensors.items()]
        found = [
            np.full(quantity.tensor.dim, np.nan) if value is None else tensor_coefficients(crystal, value, quantity)
            for value, quantity in published
        ]
        return np.concatenate([rows[record.id], *found])

    made = make_graphs(candidates, config, log, values)
    rejections = without + made.rejections
    if not len(made):
        reasons = ", ".join(f"{count} × {reason}" for reason, count in reason_counts(rejections)[:3])
        raise IrrepnetError(f"{name}: none of the {len(records)} crystals can be used: {reasons}")
    failed = sum(map(bool, made.failures))
    if failed:
        sites = sum(map(len, made.failures))
        log.line(f"{sites} sites of {failed} crystals have no descriptor; their hyperedges are left out")
    return replace(made, rejections=rejections)


def reason_counts(rejections: Sequence[Rejection]) -> list[tuple[str, int]]:
    """Reasons and how often each occurs, the commonest first."""
    return Counter(rejection.reason for rejection in rejections).most_common()
