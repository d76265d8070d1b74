"""The crystals of a run: read, checked, made into graphs; what cannot be used is listed with its reason."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from irrepnet.crystals import FrameGraph, GraphOptions
from irrepnet.data import Record, Rejection, data_hash, read_records, target_values
from irrepnet.data.batch import prepare
from irrepnet.errors import IrrepnetError
from irrepnet.groups import PointGroup
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
        values: (n, T) the targets' values, NaN where unknown.
        rejections: the crystals left out, with reasons.
    """

    records: list[Record]
    graphs: list[FrameGraph]
    values: np.ndarray
    rejections: list[Rejection]

    def __len__(self) -> int:
        return len(self.records)

    def examples(self, indices: np.ndarray) -> Examples:
        return Examples([self.graphs[i] for i in indices], self.values[indices])


def prepare_records(
    name: str,
    records: Sequence[Record],
    targets: Sequence[str],
    group: PointGroup,
    options: GraphOptions,
    point_groups: Sequence[str] | None,
    log: Log,
) -> Prepared:
    """The graphs and target values of the records that have a value of at least one target.

    Args:
        name: of the data, for messages.
        records: the crystals.
        targets: T names.
        group: the model's group.
        options: how a crystal becomes a graph.
        point_groups: the crystals' point groups to admit; None admits every subgroup of ``group``.
        log: shows the progress.

    Raises:
        IrrepnetError: no crystal is left, or no record knows a target.
    """
    values = np.stack([target_values(records, target) for target in targets], axis=1)
    valued: list[bool] = (~np.isnan(values)).any(axis=1).tolist()  # pyright: ignore[reportAssignmentType]
    missing = f"has no number for {' or '.join(targets)}"
    rejections = [Rejection(record.id, missing) for record, good in zip(records, valued) if not good]
    candidates = [record for record, good in zip(records, valued) if good]
    rows = {record.id: row for record, row in zip(records, values)}
    with log.progress("preparing", len(candidates)) as advance:
        kept, graphs, refused = prepare(candidates, group, options, point_groups, progress=lambda: advance(1))
    rejections += refused
    if not kept:
        reasons = ", ".join(f"{count} × {reason}" for reason, count in reason_counts(rejections)[:3])
        raise IrrepnetError(f"{name}: none of the {len(records)} crystals can be used: {reasons}")
    return Prepared(kept, graphs, np.stack([rows[record.id] for record in kept]), rejections)


def reason_counts(rejections: Sequence[Rejection]) -> list[tuple[str, int]]:
    """Reasons and how often each occurs, the commonest first."""
    return Counter(rejection.reason for rejection in rejections).most_common()
