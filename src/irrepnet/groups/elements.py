"""The operations of a named setting, in their order, and its conjugacy classes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from irrepnet.groups import operations as ops
from irrepnet.groups.settings import ELEMENTS, Setting


@dataclass(frozen=True)
class ConjugacyClass:
    """A class of conjugate operations."""

    name: str
    """Schoenflies symbol with the number of operations, such as "8C3"."""
    indices: tuple[int, ...]
    """The operations, as indices into the group's list."""


@dataclass(frozen=True, eq=False)
class Elements:
    """What `generators` generate: the classes stand together, the identity is the first."""

    operations: np.ndarray
    """(N, 3, 3) orthogonal matrices, read-only, exact."""
    words: np.ndarray
    """(N, generators) how often each generator occurs in the operation, modulo 2."""
    sizes: tuple[int, ...]
    """Of the classes."""
    setting: Setting

    @cached_property
    def classes(self) -> tuple[ConjugacyClass, ...]:
        stops = np.cumsum(self.sizes).tolist()
        spans = [range(stop - size, stop) for stop, size in zip(stops, self.sizes)]
        labels = [ops.class_label(self.operations[s.start : s.stop], self.setting, self.operations) for s in spans]
        return tuple(ConjugacyClass(label, tuple(span)) for label, span in zip(labels, spans))


@cache
def elements(setting: Setting) -> Elements:
    operations, words = ops.spanned_group([ELEMENTS[name] for name in setting.generators])
    order = sorted(range(len(operations)), key=lambda i: ops.sort_key(operations[i]))
    operations, words = operations[order], words[order]
    table = ops.multiplication_table(operations)
    inverse = table.argmin(1)  # the identity has index 0
    conjugates = table[table, inverse[:, None]]  # [g, h] → g h g⁻¹
    members = dict.fromkeys(tuple(sorted({int(i) for i in column})) for column in conjugates.T)
    order = [i for indices in members for i in indices]
    operations, words = operations[order], words[order]
    return Elements(ops.read_only(operations), words, tuple(map(len, members)), setting)
