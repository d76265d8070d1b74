"""Several graphs as one: the batch that a network reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

import numpy as np
import torch

from irrepnet.crystals import SymmetricCrystal
from irrepnet.data.records import Record, Rejection
from irrepnet.data.store import check_admitted
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import Blend, Graph, GraphOptions, Part

AnyGraph = Graph[np.ndarray] | Blend
_T = TypeVar("_T")

Starts = Mapping[str, np.ndarray]
"""Where, in a union, the rows of each graph begin, by what there is a row for; and, last, how many there are."""


def union(graphs: Sequence[AnyGraph], dtype: torch.dtype = torch.float32) -> Any:
    """The disjoint union of graphs of one kind: a graph of all their crystals, of tensors.

    Rows follow each other graph by graph, and numbers are those of the rows in the union. Crystals keep the order of
    the graphs, while the rows of nodes, edges and so on are in the order of :attr:`irrepnet.graphs.Graph.place`.

    Args:
        graphs: of single crystals; see :mod:`irrepnet.graphs.graph` for what they declare.
        dtype: of the real numbers; integers and sets are int64.

    Raises:
        IrrepnetError: there are none, or of several kinds; what is one thing for the whole graph, such as a model
            group, differs.
    """
    kinds = sorted({type(graph).__name__ for graph in graphs})
    if len(kinds) != 1:
        several = f"a batch has graphs of one kind, not {' and '.join(kinds)}"
        raise IrrepnetError(several if kinds else "there are no graphs to make a batch of")
    blends = [graph for graph in graphs if isinstance(graph, Blend)]
    if blends:
        weights = torch.block_diag(*(torch.from_numpy(blend.weights)[None] for blend in blends))
        return replace(union([graph for blend in blends for graph in blend.graphs], dtype), blend=weights.to(dtype))
    plain = [graph for graph in graphs if isinstance(graph, Graph)]
    crystals = _starts(graph.size for graph in plain)
    order = sorted(range(len(plain)), key=lambda k: plain[k].place)
    made = _union([plain[k] for k in order], {"crystal": crystals[order]}, dtype)
    if order != sorted(order):  # what has a row for each crystal goes back to their order
        back = torch.from_numpy(np.argsort(order))
        for field in fields(made):
            if field.metadata.get("of") == "crystal":
                made = replace(made, **{field.name: getattr(made, field.name)[back]})
    return replace(made, size=int(crystals[-1]))


def _starts(lengths: Iterable[int]) -> np.ndarray:
    return np.cumsum([0, *lengths])


def _union(parts: Sequence[Any], outer: Starts, dtype: torch.dtype) -> Any:
    """The union of graphs, or of parts of graphs; ``outer`` tells of rows that belong to the whole graph."""
    kind = type(parts[0])
    declared = {field.name: field.metadata for field in fields(kind)}
    starts = {
        meta["of"]: _starts(len(getattr(part, name)) for part in parts)
        for name, meta in reversed(declared.items())
        if "of" in meta and meta["of"] not in outer
    }
    starts |= outer
    merged: dict[
        str, tuple[np.ndarray, np.ndarray]
    ] = {}  # of distinct rows: those of the union, number of each old one
    for name, meta in declared.items():
        if meta.get("distinct"):
            values, number = np.unique(np.concatenate([getattr(part, name) for part in parts]), return_inverse=True)
            merged[meta["of"]] = values, number
    made = {}
    for name, meta in declared.items():
        values = [getattr(part, name) for part in parts]
        if meta.get("distinct"):
            made[name] = _tensor(merged[meta["of"]][0], dtype)
        elif "of" in meta:
            made[name] = _joined(values, meta["numbering"], starts, merged, dtype)
        elif "span" in meta:
            first, last = starts[meta["span"]][0], starts[meta["span"]][len(parts) - 1]
            made[name] = slice(int(first + values[0].start), int(last + values[-1].stop))
        elif meta.get("alone") or name == "size":
            continue
        else:
            made[name] = _nested(name, values, starts, dtype)
    alone = {name: None for name, meta in declared.items() if meta.get("alone")}
    return kind(**made, **alone)


def _joined(
    values: list[np.ndarray],
    numbering: str | None,
    starts: Starts,
    merged: Mapping[str, tuple[np.ndarray, np.ndarray]],
    dtype: torch.dtype,
) -> torch.Tensor:
    """Arrays one after the other, numbers of rows as those of the union."""
    joined = np.concatenate(values)
    if numbering is not None:
        joined = joined + np.repeat(starts[numbering][: len(values)], list(map(len, values)))
        joined = merged[numbering][1][joined] if numbering in merged else joined
    return _tensor(joined, dtype)


def _tensor(array: np.ndarray, dtype: torch.dtype) -> torch.Tensor:
    if array.dtype.kind == "f":
        return torch.from_numpy(array).to(dtype)
    return torch.from_numpy(array.view(np.int64) if array.dtype == np.uint64 else array.astype(np.int64, copy=False))


def _nested(name: str, values: list[Any], starts: Starts, dtype: torch.dtype) -> Any:
    """The union of what is itself a graph or a part of one, or of several by name; else what all have in common."""

    def chosen(owners: list[int]) -> Starts:
        return {of: start[owners] for of, start in starts.items()}

    if isinstance(values[0], dict):
        owners = {key: [k for k, value in enumerate(values) if key in value] for value in values for key in value}
        return {key: _union([values[k][key] for k in own], chosen(own), dtype) for key, own in owners.items()}
    different = [value for value in values if type(value) is not type(values[0])]
    if isinstance(values[0], Part) and not different:
        made = _union(values, chosen(list(range(len(values)))), dtype)
        return replace(made, size=len(values)) if isinstance(made, Graph) else made
    different = different or [value for value in values if value != values[0]]
    if different:
        both = " and ".join(sorted(_said(value) for value in (values[0], different[0])))
        raise IrrepnetError(f"a batch has one {name}, not {both}; make one of each")
    return values[0]


def _said(value: Any) -> str:
    return type(value).__name__ if isinstance(value, Part) else str(getattr(value, "name", value))


def prepare(
    records: Sequence[Record],
    graph: Callable[[SymmetricCrystal], _T],
    symprec: float = GraphOptions.symprec,
    point_groups: Sequence[str] | None = None,
    progress: Callable[[], object] | None = None,
) -> tuple[list[Record], list[_T], list[Rejection]]:
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
    kept: list[Record] = []
    graphs: list[_T] = []
    rejected: list[Rejection] = []
    for record in records:
        try:
            crystal = SymmetricCrystal.from_structure(record, symprec=symprec)
            check_admitted(crystal.point_group.name, point_groups)
            graphs.append(graph(crystal))
            kept.append(record)
        except IrrepnetError as error:
            rejected.append(Rejection(record.id, str(error)))
        if progress:
            progress()
    return kept, graphs, rejected
