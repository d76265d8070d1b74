"""What all graphs of crystals have in common: arrays of which one numbers the rows of another.

A graph says of each of its arrays what it has a row for, and what its entries number. From that alone follows the
disjoint union of several graphs (:func:`irrepnet.data.batch.union`), which is a graph of the same kind: a batch. The
arrays of one crystal's graph are NumPy's, those of a batch are tensors.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields, replace
from typing import Any, Generic, Self

import numpy as np
from typing_extensions import TypeVar

from irrepnet.crystals.neighbours import NeighbourOptions
from irrepnet.crystals.symmetric import SymmetricCrystal

A = TypeVar("A", default=np.ndarray)
"""NumPy arrays in the graph of one crystal, the default; torch tensors in a batch."""


def rows(of: str, numbering: str | None = None, distinct: bool = False) -> Any:
    """A field for an array.

    Args:
        of: what the array has a row for, such as "edge".
        numbering: of what its entries are the numbers, such as "node"; None if they number nothing.
        distinct: the rows are all different and in rising order, and in a union equal ones are one.
    """
    return field(metadata={"of": of, "numbering": numbering, "distinct": distinct})


def span(of: str) -> Any:
    """A field for the slice of the rows that a part of a graph owns; in a union they are side by side."""
    return field(metadata={"span": of})


def alone(**options: Any) -> Any:
    """A field that says something of a single crystal; in a union it is None."""
    return field(metadata={"alone": True}, **options)


@dataclass(frozen=True, kw_only=True)
class Part(Generic[A]):
    """Some arrays of a graph. Fields without a declaration are equal in all graphs of a union."""

    def to(self, device: Any = None, dtype: Any = None) -> Self:
        """The same tensors elsewhere; ``dtype`` is for the real numbers (index tensors stay int64)."""
        return replace(self, **{f.name: _moved(getattr(self, f.name), device, dtype) for f in fields(self)})


def _moved(value: Any, device: Any, dtype: Any) -> Any:
    if isinstance(value, Part):
        return value.to(device, dtype)
    if isinstance(value, dict):
        return {key: _moved(item, device, dtype) for key, item in value.items()}
    if hasattr(value, "is_floating_point"):
        return value.to(device=device, dtype=dtype if value.is_floating_point() else None)
    return value


@dataclass(frozen=True, kw_only=True)
class Graph(Part[A]):
    """A graph of one crystal, or of several.

    Attributes:
        numbers: (n_nodes,) atomic numbers.
        crystal: (n_nodes,) which crystal a node belongs to; 0 in the graph of one.
        size: how many crystals there are.
    """

    numbers: A = rows("node")
    crystal: A = rows("node", "crystal")
    size: int = 1

    def __len__(self) -> int:
        """Number of nodes."""
        return len(self.numbers)  # type: ignore[arg-type]

    @property
    def place(self) -> Any:
        """Graphs of a union are in rising order of this; those of one place keep their order."""
        return 0


@dataclass(frozen=True)
class GraphOptions(NeighbourOptions, ABC):
    """How a structure becomes a graph; each kind of graph has its own, which makes it.

    Attributes:
        symprec: distance tolerance of the symmetry search, Å.
    """

    symprec: float = 0.01

    @property
    def by_irrepnet(self) -> bool:
        """Whether graphs follow from the options and the package alone, and not from a user's code too."""
        return type(self).__module__.startswith("irrepnet.")

    @abstractmethod
    def graph(self, crystal: SymmetricCrystal) -> Any:
        """The graph of a crystal.

        Raises:
            IrrepnetError: there is no such graph of this crystal.
        """
