"""From records to the batches that a network reads."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import NamedTuple, TypeVar, overload

import numpy as np
import torch

from irrepnet.crystals import (
    Blend,
    FrameGraph,
    FrameOptions,
    GraphOptions,
    Hypergraph,
    HypergraphOptions,
    SymmetricCrystal,
    VectorGraph,
    VectorGraphOptions,
    blend,
    hypergraph,
    network_graph,
    vector_graph,
)
from irrepnet.data.records import Record, Rejection
from irrepnet.errors import IrrepnetError
from irrepnet.groups import POINT_GROUPS, PointGroup


class Segment(NamedTuple):
    """Where the crystals of one model group are in a batch, and their sets of right translations.

    Attributes:
        nodes: of these crystals.
        edges: theirs, and so their vectors.
        classes: their classes of edges.
        sets: (n, |G|) 1 for the elements of the set, else 0.
        numbers: those of the sets in ``orbit_set``.
    """

    nodes: slice
    edges: slice
    classes: slice
    sets: torch.Tensor
    numbers: slice


@dataclass(frozen=True)
class Batch:
    """Several crystals' graphs, those of one model group side by side and the orbit graphs last.

    The fields are those of :class:`irrepnet.crystals.FrameGraph` as tensors, numbered through, and

    Attributes:
        orbit_set: (n_pairs,) which set belongs to the pair; numbered through ``segments``.
        segments: the model groups, by name.
        crystal: (n_nodes,) which crystal a node belongs to.
        point_group: (size,) which of ``irrepnet.groups.POINT_GROUPS`` a crystal has.
        symmetry: (size, 64) 1/|P| for the crystallographic operations of a crystal's ``symmetry`` P, else 0.
        size: how many crystals there are.
        blend: (n_blends, size) weights of the graphs of each :class:`irrepnet.crystals.Blend`, which count as crystals
            above; None where each crystal has one graph.
    """

    numbers: torch.Tensor
    multiplicity: torch.Tensor
    receiver: torch.Tensor
    sender: torch.Tensor
    vector: torch.Tensor
    edge: torch.Tensor
    weight: torch.Tensor
    edge_class: torch.Tensor
    class_vector: torch.Tensor
    class_nearest: torch.Tensor
    orbit_receiver: torch.Tensor
    orbit_sender: torch.Tensor
    orbit_set: torch.Tensor
    segments: dict[str, Segment]
    axes: torch.Tensor
    crystal: torch.Tensor
    point_group: torch.Tensor
    symmetry: torch.Tensor
    size: int
    blend: torch.Tensor | None = None

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "Batch":
        """The same batch elsewhere; ``dtype`` is for the real numbers (index tensors stay int64)."""
        segments = {name: s._replace(sets=s.sets.to(device=device, dtype=dtype)) for name, s in self.segments.items()}
        return replace(_moved(self, device, dtype), segments=segments)


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
        vectors: the vector graphs on the same nodes, if the hypergraphs have directions.
    """

    numbers: torch.Tensor
    multiplicity: torch.Tensor
    types: dict[str, IncidenceBatch]
    crystal: torch.Tensor
    size: int
    vectors: "VectorBatch | None" = None

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "HypergraphBatch":
        """The same batch elsewhere; ``dtype`` is for the real numbers (index tensors stay int64)."""
        types = {name: _moved(value, device, dtype) for name, value in self.types.items()}
        vectors = self.vectors and self.vectors.to(device, dtype)
        return replace(_moved(self, device, dtype), types=types, vectors=vectors)


@dataclass(frozen=True)
class VectorBatch:
    """Several crystals' vector graphs, side by side.

    The fields are those of :class:`irrepnet.crystals.VectorGraph` as tensors, numbered through, and

    Attributes:
        site_group: (n_nodes,) which row of ``sets`` is the node's site group.
        point_group: (n_crystals,) which row of ``sets`` is the crystal's point group.
        sets: (n_sets, 64) 1/|H| for the crystallographic operations of a group H, else 0.
        crystal: (n_nodes,) which crystal a node belongs to.
        size: how many crystals there are.
    """

    numbers: torch.Tensor
    multiplicity: torch.Tensor
    nearest: torch.Tensor
    site_group: torch.Tensor
    receiver: torch.Tensor
    sender: torch.Tensor
    operation: torch.Tensor
    vector: torch.Tensor
    weight: torch.Tensor
    point_group: torch.Tensor
    sets: torch.Tensor
    crystal: torch.Tensor
    size: int

    @property
    def symmetry(self) -> torch.Tensor:
        """(size, 64) the rows of ``sets`` of the crystals' point groups."""
        return self.sets[self.point_group]

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "VectorBatch":
        """The same batch elsewhere; ``dtype`` is for the real numbers (index tensors stay int64)."""
        return _moved(self, device, dtype)


AnyBatch = Batch | HypergraphBatch | VectorBatch
AnyGraph = FrameGraph | Blend | Hypergraph | VectorGraph
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
def collate(graphs: Sequence[Blend], dtype: torch.dtype = torch.float32) -> Batch: ...


@overload
def collate(graphs: Sequence[Hypergraph], dtype: torch.dtype = torch.float32) -> HypergraphBatch: ...


@overload
def collate(graphs: Sequence[VectorGraph], dtype: torch.dtype = torch.float32) -> VectorBatch: ...


@overload
def collate(graphs: Sequence[AnyGraph], dtype: torch.dtype = torch.float32) -> AnyBatch: ...


def collate(graphs: Sequence[AnyGraph], dtype: torch.dtype = torch.float32) -> AnyBatch:
    """Put graphs of one kind side by side."""
    return _COLLATE[type(graphs[0])](graphs, dtype)


def _starts(lengths: Iterable[int]) -> np.ndarray:
    return np.cumsum([0, *lengths])


def _indices(arrays: Iterable[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.concatenate(list(arrays), dtype=np.int64, casting="same_kind"))


def _reals(arrays: Iterable[np.ndarray], dtype: torch.dtype) -> torch.Tensor:
    return torch.from_numpy(np.concatenate(list(arrays), dtype=np.float64)).to(dtype)


def _shares(sets: np.ndarray) -> torch.Tensor:
    """(n,) sets of crystallographic operations → (n, 64) 1/|H| for the operations of a set H, else 0."""
    members = (sets[:, None] >> np.arange(64, dtype=np.uint64) & np.uint64(1)).astype(float)
    return torch.from_numpy(members / members.sum(1, keepdims=True))


def _collate_hypergraphs(graphs: Sequence[Hypergraph], dtype: torch.dtype) -> HypergraphBatch:
    nodes = _starts(len(g) for g in graphs)
    vectors = [g.vectors for g in graphs if g.vectors is not None]
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
        vectors=_collate_vectors(vectors, dtype) if vectors else None,
    )


_NUMBER = {PointGroup(name).schoenflies: number for number, name in enumerate(POINT_GROUPS)}


def _collate_frames(graphs: Sequence[FrameGraph], dtype: torch.dtype) -> Batch:
    # those of one group together; "", the orbit graphs, last, so that where there are frames edges number vectors
    order = sorted(range(len(graphs)), key=lambda k: (graphs[k].group == "", graphs[k].group))
    point_groups = [_NUMBER[g.point_group] for g in graphs]
    symmetry = _shares(np.array([g.symmetry for g in graphs]))
    graphs = [graphs[k] for k in order]
    nodes = _starts(len(g.numbers) for g in graphs)
    edges = _starts(len(g.receiver) for g in graphs)
    classes = _starts(len(g.class_vector) for g in graphs)
    segments, orbit_sets = {}, []
    n_sets = 0
    for name in dict.fromkeys(g.group for g in graphs if g.group):
        own = [k for k, g in enumerate(graphs) if g.group == name]
        where = slice(own[0], own[-1] + 1)
        sets, numbers = np.unique(np.concatenate([g.orbit_set for g in graphs[where]]), return_inverse=True)
        members = (sets[:, None] >> np.arange(PointGroup(name).order, dtype=np.uint64)) & np.uint64(1)
        segments[name] = Segment(
            nodes=slice(int(nodes[where.start]), int(nodes[where.stop])),
            edges=slice(int(edges[where.start]), int(edges[where.stop])),
            classes=slice(int(classes[where.start]), int(classes[where.stop])),
            sets=torch.from_numpy(members.astype(np.float64)).to(dtype),
            numbers=slice(n_sets, n_sets + len(sets)),
        )
        orbit_sets.append(n_sets + numbers)
        n_sets += len(sets)
    return Batch(
        numbers=_indices(g.numbers for g in graphs),
        multiplicity=_reals((g.multiplicity for g in graphs), dtype),
        receiver=_indices(g.receiver + n for g, n in zip(graphs, nodes)),
        sender=_indices(g.sender + n for g, n in zip(graphs, nodes)),
        vector=_reals((g.vector for g in graphs), dtype),
        edge=_indices(g.edge + n for g, n in zip(graphs, edges)),
        weight=_reals((g.weight for g in graphs), dtype),
        edge_class=_indices(g.edge_class + n for g, n in zip(graphs, classes)),
        class_vector=_reals((g.class_vector for g in graphs), dtype),
        class_nearest=_reals((g.class_nearest for g in graphs), dtype),
        orbit_receiver=_indices(g.orbit_receiver + n for g, n in zip(graphs, nodes)),
        orbit_sender=_indices(g.orbit_sender + n for g, n in zip(graphs, nodes)),
        orbit_set=_indices([np.zeros(0, np.int64), *orbit_sets]),
        segments=segments,
        axes=_reals((g.axes for g in graphs), dtype),
        crystal=torch.tensor(order).repeat_interleave(torch.from_numpy(np.diff(nodes))),
        point_group=torch.tensor(point_groups),
        symmetry=symmetry.to(dtype),
        size=len(graphs),
    )


def _collate_blends(blends: Sequence[Blend], dtype: torch.dtype) -> Batch:
    weights = [torch.from_numpy(blend.weights)[None] for blend in blends]
    batch = _collate_frames([graph for blend in blends for graph in blend.graphs], dtype)
    return replace(batch, blend=torch.block_diag(*weights).to(dtype))


def _collate_vectors(graphs: Sequence[VectorGraph], dtype: torch.dtype) -> VectorBatch:
    nodes = _starts(len(g) for g in graphs)
    groups = np.concatenate([*(g.site_group for g in graphs), np.array([g.point_group for g in graphs])])
    sets, rows = np.unique(groups, return_inverse=True)
    return VectorBatch(
        numbers=_indices(g.numbers for g in graphs),
        multiplicity=_reals((g.multiplicity for g in graphs), dtype),
        nearest=_reals((g.nearest for g in graphs), dtype),
        site_group=torch.from_numpy(rows[: nodes[-1]]),
        receiver=_indices(g.receiver + n for g, n in zip(graphs, nodes)),
        sender=_indices(g.sender + n for g, n in zip(graphs, nodes)),
        operation=_indices(g.operation for g in graphs),
        vector=_reals((g.vector for g in graphs), dtype),
        weight=_reals((g.weight for g in graphs), dtype),
        point_group=torch.from_numpy(rows[nodes[-1] :]),
        sets=_shares(sets).to(dtype),
        crystal=torch.repeat_interleave(torch.arange(len(graphs)), torch.from_numpy(np.diff(nodes))),
        size=len(graphs),
    )


_COLLATE: dict[type[AnyGraph], Callable[..., AnyBatch]] = {
    FrameGraph: _collate_frames,
    Blend: _collate_blends,
    Hypergraph: _collate_hypergraphs,
    VectorGraph: _collate_vectors,
}
_MAKE: dict[type[GraphOptions], Callable[..., AnyGraph]] = {
    FrameOptions: lambda crystal, options: (blend if options.continuous else network_graph)(crystal, options),
    HypergraphOptions: hypergraph,
    VectorGraphOptions: vector_graph,
}


def crystal_graph(crystal: SymmetricCrystal, options: GraphOptions) -> AnyGraph:
    """The graph of ``crystal`` of the kind that the type of ``options`` says.

    Raises:
        IrrepnetError: there is no such graph of this crystal.
    """
    return _MAKE[type(options)](crystal, options)


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
