"""Many graphs as a few long arrays and a text, the layout in which they lie on disk; and each of them back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cached_property
from typing import Any

import numpy as np

from irrepnet.graphs.frames import Blend, FrameGraph, Segment
from irrepnet.graphs.hypergraph import Hypergraph, Incidences
from irrepnet.graphs.sites import GroupedSites, SiteGraph
from irrepnet.graphs.vectors import VectorGraph
from irrepnet.groups import PointGroup

_KINDS = (FrameGraph, Segment, Blend, Hypergraph, Incidences, VectorGraph, SiteGraph, GroupedSites)
_CLASSES = {kind.__name__: kind for kind in _KINDS}

Arrays = Mapping[str, np.ndarray]
Layout = dict[str, Any]
"""How values are made of arrays, as JSON has it: one key that says what they are, and what belongs to it."""


def pack(graphs: Sequence[Any]) -> tuple[Layout, dict[str, np.ndarray]]:
    """Graphs of one kind as arrays by name, reals in float32 and integers in int32, as a batch needs them.

    Returns:
        The layout, from which :class:`Packed` makes the graphs again, and the arrays.
    """
    arrays: dict[str, np.ndarray] = {}
    return _pack(list(graphs), "graph", arrays), arrays


class Packed(Sequence[Any]):
    """The graphs of :func:`pack`, each made when it is asked for; its arrays are views.

    Args:
        layout, arrays: what :func:`pack` returned, also when the arrays are read-only views of a file.
        size: how many graphs there are.
    """

    def __init__(self, layout: Layout, arrays: Arrays, size: int) -> None:
        self._layout, self._arrays, self._size = layout, arrays, size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, k: Any) -> Any:
        if not 0 <= k < self._size:
            raise IndexError(f"there are {self._size} graphs, no number {k}")
        return self._graph(k)

    @cached_property
    def _graph(self) -> Callable[[int], Any]:
        return _unpack(self._layout, self._arrays)


def _pack(values: list[Any], name: str, arrays: dict[str, np.ndarray]) -> Layout:
    first = values[0] if values else None
    if isinstance(first, np.ndarray):
        arrays[name] = _small(np.concatenate(values))
        arrays[f"{name}#"] = np.array([len(value) for value in values], np.int32)
        return {"array": name}
    if isinstance(first, slice):
        arrays[name] = np.array([(value.start, value.stop) for value in values], np.int32)
        return {"slice": name}
    if isinstance(first, PointGroup):
        return {"group": _pack([value.name for value in values], name, arrays)}
    if isinstance(first, dict):
        keys = dict.fromkeys(key for value in values for key in value)
        found = {}
        for key in keys:
            owners = [k for k, value in enumerate(values) if key in value]
            arrays[f"{name}.{key}?"] = _numbered(owners, len(values))
            found[key] = _pack([values[k][key] for k in owners], f"{name}.{key}", arrays)
        return {"dict": found, "name": name}
    if isinstance(first, tuple) and any(is_dataclass(item) for item in first):
        arrays[f"{name}#"] = np.array([len(value) for value in values], np.int32)
        return {"tuple": _pack([item for value in values for item in value], name, arrays), "name": name}
    if is_dataclass(first):
        named = {field.name: [getattr(value, field.name) for value in values] for field in fields(first)}
        parts = {key: _pack(own, f"{name}.{key}", arrays) for key, own in named.items()}
        return {"class": type(first).__name__, "fields": parts}
    equal = all(value == first for value in values)
    return {"value": first} if equal else {"values": values}


def _unpack(layout: Layout, arrays: Arrays) -> Callable[[int], Any]:
    """The function k → the k-th of the values."""
    match layout:
        case {"array": name}:
            rows, ends = arrays[name], [0, *np.cumsum(arrays[f"{name}#"]).tolist()]
            return lambda k: rows[ends[k] : ends[k + 1]]
        case {"slice": name}:
            bounds = arrays[name].tolist()
            return lambda k: slice(*bounds[k])
        case {"group": names}:
            name_of = _unpack(names, arrays)
            return lambda k: PointGroup(name_of(k))
        case {"dict": parts, "name": name}:
            owned = [(key, arrays[f"{name}.{key}?"].tolist(), _unpack(part, arrays)) for key, part in parts.items()]
            return lambda k: {key: make(own[k]) for key, own, make in owned if own[k] >= 0}
        case {"tuple": item, "name": name}:
            make, ends = _unpack(item, arrays), [0, *np.cumsum(arrays[f"{name}#"]).tolist()]
            return lambda k: tuple(make(i) for i in range(ends[k], ends[k + 1]))
        case {"class": kind, "fields": parts}:
            made = {key: _unpack(part, arrays) for key, part in parts.items()}
            return lambda k: _CLASSES[kind](**{key: make(k) for key, make in made.items()})
        case {"value": value}:
            same = _frozen(value)
            return lambda k: same
        case {"values": values}:
            own = [_frozen(value) for value in values]
            return lambda k: own[k]
    raise AssertionError(f"no layout of graphs: {list(layout)}")


def _frozen(value: Any) -> Any:
    """JSON has no tuples."""
    return tuple(value) if isinstance(value, list) else value


def _numbered(owners: list[int], size: int) -> np.ndarray:
    """(size,) the number of each among the owners, -1 for the others."""
    number = np.full(size, -1, np.int32)
    number[owners] = np.arange(len(owners))
    return number


def _small(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind == "f":
        return array.astype(np.float32)
    return array.astype(np.int32) if array.dtype == np.int64 else array
