"""From records to the batches that a network reads."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch

from irrepnet.crystals import FrameGraph, GraphOptions, SymmetricCrystal, frame_graph
from irrepnet.crystals.graph import Form
from irrepnet.data.records import Record, Rejection
from irrepnet.errors import IrrepnetError
from irrepnet.groups import PointGroup


@dataclass(frozen=True)
class Batch:
    """Several crystals' graphs, side by side.

    The fields are those of :class:`irrepnet.crystals.FrameGraph` as tensors, numbered through, and

    Attributes:
        orbit_set: (n_pairs,) which row of ``sets`` belongs to the pair.
        sets: (n_sets, |G|) 1 for the elements of the set, else 0.
        crystal: (n_nodes,) which crystal a node belongs to.
        size: how many crystals there are.
    """

    numbers: torch.Tensor
    receiver: torch.Tensor
    sender: torch.Tensor
    vector: torch.Tensor
    edge_class: torch.Tensor
    class_vector: torch.Tensor
    class_nearest: torch.Tensor
    orbit_receiver: torch.Tensor
    orbit_sender: torch.Tensor
    orbit_set: torch.Tensor
    sets: torch.Tensor
    crystal: torch.Tensor
    size: int

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "Batch":
        """The same batch elsewhere; ``dtype`` is for the lengths (index tensors stay int64)."""

        def move(value: torch.Tensor) -> torch.Tensor:
            return value.to(device=device, dtype=dtype if value.is_floating_point() else None)

        tensors = {f.name: move(getattr(self, f.name)) for f in fields(self) if f.name != "size"}
        return replace(self, **tensors)


def collate(graphs: Sequence[FrameGraph], dtype: torch.dtype = torch.float32) -> Batch:
    """Put graphs of one model group side by side."""
    nodes = np.cumsum([0] + [len(g.numbers) for g in graphs])
    classes = np.cumsum([0] + [len(g.class_vector) for g in graphs])

    sets, orbit_set = np.unique(np.concatenate([g.orbit_set for g in graphs]), return_inverse=True)
    order = int(sets.max()).bit_length()
    members = (sets[:, None] >> np.arange(order, dtype=np.uint64)) & np.uint64(1)

    def indices(arrays: Iterable[np.ndarray]) -> torch.Tensor:
        return torch.from_numpy(np.concatenate(list(arrays), dtype=np.int64, casting="same_kind"))

    def lengths(arrays: Iterable[np.ndarray]) -> torch.Tensor:
        return torch.from_numpy(np.concatenate(list(arrays))).to(dtype)

    return Batch(
        numbers=indices(g.numbers for g in graphs),
        receiver=indices(g.receiver + n for g, n in zip(graphs, nodes)),
        sender=indices(g.sender + n for g, n in zip(graphs, nodes)),
        vector=lengths(g.vector for g in graphs),
        edge_class=indices(g.edge_class + n for g, n in zip(graphs, classes)),
        class_vector=lengths(g.class_vector for g in graphs),
        class_nearest=lengths(g.class_nearest for g in graphs),
        orbit_receiver=indices(g.orbit_receiver + n for g, n in zip(graphs, nodes)),
        orbit_sender=indices(g.orbit_sender + n for g, n in zip(graphs, nodes)),
        orbit_set=torch.from_numpy(orbit_set),
        sets=torch.from_numpy(members.astype(np.float64)).to(dtype),
        crystal=torch.repeat_interleave(torch.arange(len(graphs)), torch.from_numpy(np.diff(nodes))),
        size=len(graphs),
    )


def prepare(
    records: Sequence[Record],
    group: PointGroup,
    options: GraphOptions | None = None,
    point_groups: Sequence[str] | None = None,
    form: Form = "one-frame",
    progress: Callable[[], object] | None = None,
) -> tuple[list[Record], list[FrameGraph], list[Rejection]]:
    """Make every record's crystal symmetric and its graph; what cannot be used is listed, never fatal.

    Args:
        records: the crystals.
        group: the model's group.
        options: cutoff, shells, symprec.
        point_groups: names of the crystals' point groups to admit; None admits every subgroup of ``group``.
        form: which form of the graph.
        progress: called after every record.

    Returns:
        The records kept, their graphs in the same order, and the rejections.
    """
    options = options or GraphOptions()
    admitted = None if point_groups is None else {PointGroup(name).name for name in point_groups}
    kept: list[Record] = []
    graphs: list[FrameGraph] = []
    rejected: list[Rejection] = []
    for record in records:
        try:
            crystal = SymmetricCrystal.from_structure(record, symprec=options.symprec)
            name = crystal.point_group.name
            if admitted is not None and name not in admitted:
                asked = ", ".join(sorted(admitted))
                raise IrrepnetError(f"point group {name} is not admitted (only {asked})")
            graphs.append(frame_graph(crystal, group, options, form))
            kept.append(record)
        except IrrepnetError as error:
            rejected.append(Rejection(record.id, str(error)))
        if progress:
            progress()
    return kept, graphs, rejected
