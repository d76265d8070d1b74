"""The irreps of O(3) as values: what "2x0e+1o" means, and what irreps are multiplied to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import total_ordering

from irrepnet.errors import IrrepnetError
from irrepnet.groups.harmonics import check_angular_momentum


@total_ordering
@dataclass(frozen=True)
class O3Irrep:
    """An irrep of O(3), written as by e3nn: its angular momentum l, then e (even) or o (odd).

    Rotations act as on the harmonics of degree l, and inversion is ``parity``. Irreps are ordered by l, e before o.

    >>> vector = O3Irrep.parse("1o")
    >>> vector, vector.dim, str(vector)
    (O3Irrep(l=1, parity=-1), 3, '1o')
    >>> vector * vector
    O3Irreps('1x0e+1x1e+1x2e')
    >>> O3Irrep.natural(2) in vector * vector, O3Irrep(2, -1) in vector * vector
    (True, False)

    Raises:
        IrrepnetError: l is no integer ≥ 0, or parity is not ±1.
    """

    l: int
    parity: int
    """+1 or −1."""

    def __post_init__(self) -> None:
        check_angular_momentum(self.l, self.parity)

    @classmethod
    def parse(cls, text: str) -> O3Irrep:
        """The irrep with that name.

        Raises:
            IrrepnetError: it is no name of an irrep.
        """
        match = re.fullmatch(r"\s*(\d+)([eo])\s*", text)
        if match is None:
            raise IrrepnetError(f"cannot read the irrep {text!r}; write for example 2e or 1o")
        return cls(int(match[1]), 1 if match[2] == "e" else -1)

    @classmethod
    def natural(cls, l: int) -> O3Irrep:
        """That of the harmonics of degree l, of parity (−1)^l: 0e, 1o, 2e, …"""
        return cls(l, (-1) ** l)

    @property
    def dim(self) -> int:
        """2l + 1."""
        return 2 * self.l + 1

    def __mul__(self, other: O3Irrep) -> O3Irreps:
        """The tensor product: each l from |l₁ − l₂| to l₁ + l₂ once, rising."""
        degrees = range(abs(self.l - other.l), self.l + other.l + 1)
        return O3Irreps({O3Irrep(l, self.parity * other.parity): 1 for l in degrees})

    def __lt__(self, other: O3Irrep) -> bool:
        return (self.l, -self.parity) < (other.l, -other.parity)

    def __str__(self) -> str:
        return f"{self.l}{'e' if self.parity > 0 else 'o'}"


SCALAR = O3Irrep(0, 1)
"""0e, the trivial irrep."""


class O3Irreps(Mapping[O3Irrep, int]):
    """A representation of O(3) as {irrep: copies}: a value, immutable and hashable.

    It keeps the order in which the irreps were given, each once; two are equal if they have the same copies, whatever
    the order.

    >>> features = O3Irreps("2x0e+1o")
    >>> features, features.dim, features[O3Irrep(1, -1)]
    (O3Irreps('2x0e+1x1o'), 5, 1)
    >>> features + O3Irreps("2e+1o")
    O3Irreps('2x0e+2x1o+1x2e')
    >>> [str(irrep) for irrep in features], O3Irrep(1, 1) in features
    (['0e', '1o'], False)

    Args:
        copies: text, terms joined with ``+``, a term without ``x`` being one copy; or a mapping. Irreps with no copies
            are left out.

    Raises:
        IrrepnetError: text that cannot be read or names an irrep twice; copies that are no integer ≥ 0.
    """

    __slots__ = ("_copies",)

    def __init__(self, copies: str | Mapping[O3Irrep, int] = "") -> None:
        found = _parsed(copies) if isinstance(copies, str) else dict(copies)
        for irrep, number in found.items():
            if not isinstance(number, int) or number < 0:
                raise IrrepnetError(f"{number} copies of {irrep}: the number of copies is an integer ≥ 0")
        self._copies = {irrep: number for irrep, number in found.items() if number}

    @property
    def dim(self) -> int:
        """Number of components."""
        return sum(number * irrep.dim for irrep, number in self.items())

    def __getitem__(self, irrep: O3Irrep) -> int:
        return self._copies[irrep]

    def __iter__(self) -> Iterator[O3Irrep]:
        return iter(self._copies)

    def __len__(self) -> int:
        return len(self._copies)

    def __add__(self, other: O3Irreps) -> O3Irreps:
        """The direct sum."""
        return O3Irreps({irrep: self.get(irrep, 0) + other.get(irrep, 0) for irrep in {**self, **other}})

    def __hash__(self) -> int:
        return hash(frozenset(self.items()))

    def __str__(self) -> str:
        return "+".join(f"{number}x{irrep}" for irrep, number in self.items())

    def __repr__(self) -> str:
        return f"O3Irreps({str(self)!r})"


def _parsed(text: str) -> dict[O3Irrep, int]:
    found: dict[O3Irrep, int] = {}
    for term in text.split("+") if text.strip() else ():
        number, times, name = term.rpartition("x")
        try:
            irrep, copies = O3Irrep.parse(name), int(number) if times else 1
        except (IrrepnetError, ValueError):
            raise IrrepnetError(f"cannot read the irreps {text!r}; write for example 2x0e+2x2e+1x4e") from None
        if irrep in found:
            raise IrrepnetError(f"{text!r} names an irrep twice; write 2x0e, not 0e+0e")
        found[irrep] = copies
    return found
