"""From records to the batches that a network reads."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeVar, overload

import numpy as np
import torch

from irrepnet.crystals import FrameGraph, GraphOptions, Hypergraph, SymmetricCrystal
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
        return _moved(self, device, dtype)


@dataclass(frozen=True)
class IncidenceBatch:
    """The incidences of one type in several crystals; the fields are those of :class:`irrepnet.crystals.Incidences`."""

    features: torch.Tensor
    node: torch.Tensor
    edge: torch.Tensor
    weight: torch.Tensor
    other: torch.Tensor
    incidence: torch.Tensor
    count: torch.Tensor


@dataclass(frozen=True)
class HypergraphBatch:
    """Several crystals' hypergraphs, side by side.

    Attributes:
        numbers: (n_nodes,) atomic numbers.
        multiplicity: (n_nodes,) atoms that the node stands for.
        types: the incidences of each type, numbered through.
        crystal: (n_nodes,) which crystal a node belongs to.
        size: how many crystals there are.
    """

    numbers: torch.Tensor
    multiplicity: torch.Tensor
    types: dict[str, IncidenceBatch]
    crystal: torch.Tensor
    size: int

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "HypergraphBatch":
        """The same batch elsewhere; ``dtype`` is for the real numbers (index tensors stay int64)."""
        types = {name: _moved(value, device, dtype) for name, value in self.types.items()}
        return replace(_moved(self, device, dtype), types=types)


AnyBatch = Batch | HypergraphBatch
AnyGraph = FrameGraph | Hypergraph
_T = TypeVar("_T")
_Graph = TypeVar("_Graph")


def _moved(value: _T, device: torch.device | str | None, dtype: torch.dtype | None) -> _T:
    """A dataclass with its tensors elsewhere."""
    tensors = {f.name: v for f in fields(value) if torch.is_tensor(v := getattr(value, f.name))}  # type: ignore[arg-type]
    moved = {
        name: tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else None)
        for name, tensor in tensors.items()
    }
    return replace(value, **moved)  # type: ignore[type-var]


@overload
def collate(graphs: Sequence[FrameGraph], dtype: torch.dtype = torch.float32) -> Batch: ...


@overload
def collate(graphs: Sequence[Hypergraph], dtype: torch.dtype = torch.float32) -> HypergraphBatch: ...


@overload
def collate(graphs: Sequence[AnyGraph], dtype: torch.dtype = torch.float32) -> AnyBatch: ...


def collate(graphs: Sequence[AnyGraph], dtype: torch.dtype = torch.float32) -> AnyBatch:
    """Put graphs of one kind (for frame graphs: of one model group) side by side."""
    if isinstance(graphs[0], FrameGraph):
        return _collate_frames(graphs, dtype)  # type: ignore[arg-type]
    return _collate_hypergraphs(graphs, dtype)  # type: ignore[arg-type]


def _starts(lengths: Iterable[int]) -> np.ndarray:
    return np.cumsum([0, *lengths])


def _indices(arrays: Iterable[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.concatenate(list(arrays), dtype=np.int64, casting="same_kind"))


def _reals(arrays: Iterable[np.ndarray], dtype: torch.dtype) -> torch.Tensor:
    return torch.from_numpy(np.concatenate(list(arrays), dtype=np.float64)).to(dtype)


def _collate_hypergraphs(graphs: Sequence[Hypergraph], dtype: torch.dtype) -> HypergraphBatch:
    nodes = _starts(len(g) for g in graphs)
    types = {}
    for name in graphs[0].types:
        parts = [g.types[name] for g in graphs]
        edges = _starts(len(p.features) for p in parts)
        incidences = _starts(len(p.node) for p in parts)
        types[name] = IncidenceBatch(
            features=_reals((p.features for p in parts), dtype),
            node=_indices(p.node + n for p, n in zip(parts, nodes)),
            edge=_indices(p.edge + n for p, n in zip(parts, edges)),
            weight=_reals((p.weight for p in parts), dtype),
            other=_indices(p.other + n for p, n in zip(parts, nodes)),
            incidence=_indices(p.incidence + n for p, n in zip(parts, incidences)),
            count=_reals((p.count for p in parts), dtype),
        )
    return HypergraphBatch(
        numbers=_indices(g.numbers for g in graphs),
        multiplicity=_reals((g.multiplicity for g in graphs), dtype),
        types=types,
        crystal=torch.repeat_interleave(torch.arange(len(graphs)), torch.from_numpy(np.diff(nodes))),
        size=len(graphs),
    )


def _collate_frames(graphs: Sequence[FrameGraph], dtype: torch.dtype) -> Batch:
    nodes = _starts(len(g.numbers) for g in graphs)
    classes = _starts(len(g.class_vector) for g in graphs)

    sets, orbit_set = np.unique(np.concatenate([g.orbit_set for g in graphs]), return_inverse=True)
    order = int(sets.max()).bit_length()
    members = (sets[:, None] >> np.arange(order, dtype=np.uint64)) & np.uint64(1)
    return Batch(
        numbers=_indices(g.numbers for g in graphs),
        receiver=_indices(g.receiver + n for g, n in zip(graphs, nodes)),
        sender=_indices(g.sender + n for g, n in zip(graphs, nodes)),
        vector=_reals((g.vector for g in graphs), dtype),
        edge_class=_indices(g.edge_class + n for g, n in zip(graphs, classes)),
        class_vector=_reals((g.class_vector for g in graphs), dtype),
        class_nearest=_reals((g.class_nearest for g in graphs), dtype),
        orbit_receiver=_indices(g.orbit_receiver + n for g, n in zip(graphs, nodes)),
        orbit_sender=_indices(g.orbit_sender + n for g, n in zip(graphs, nodes)),
        orbit_set=torch.from_numpy(orbit_set),
        sets=torch.from_numpy(members.astype(np.float64)).to(dtype),
        crystal=torch.repeat_interleave(torch.arange(len(graphs)), torch.from_numpy(np.diff(nodes))),
        size=len(graphs),
    )


def prepare(
    records: Sequence[Record],
    graph: Callable[[SymmetricCrystal], _Graph],
    symprec: float = GraphOptions.symprec,
    point_groups: Sequence[str] | None = None,
    progress: Callable[[], object] | None = None,
) -> tuple[list[Record], list[_Graph], list[Rejection]]:
    """Make every record's crystal symmetric and its graph; what cannot be used is listed, never fatal.

    Args:
        records: the crystals.
        graph: crystal → graph; raises IrrepnetError when there is none.
        symprec: distance tolerance of the symmetry search, Å.
        point_groups: names of the crystals' point groups to admit; None admits all.
        progress: called after every record.

    Returns:
        The records kept, their graphs in the same order, and the rejections.
    """
    admitted = None if point_groups is None else {PointGroup(name).name for name in point_groups}
    kept: list[Record] = []
    graphs: list[_Graph] = []
    rejected: list[Rejection] = []
    for record in records:
        try:
            crystal = SymmetricCrystal.from_structure(record, symprec=symprec)
            name = crystal.point_group.name
            if admitted is not None and name not in admitted:
                asked = ", ".join(sorted(admitted))
                raise IrrepnetError(f"point group {name} is not admitted (only {asked})")
            graphs.append(graph(crystal))
            kept.append(record)
        except IrrepnetError as error:
            rejected.append(Rejection(record.id, str(error)))
        if progress:
            progress()
    return kept, graphs, rejected
