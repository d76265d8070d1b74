"""`Irreps`: what a feature vector is made of."""

import re
from collections.abc import Iterator

from irrepnet.errors import IrrepnetError
from irrepnet.groups import Irrep, PointGroup


class Irreps:
    """A direct sum of real irreps of a point group with multiplicities: a value, immutable and hashable.

    A feature of these irreps is a tensor (..., dim). Each block ``mul x irrep`` takes mul·d consecutive
    components, the copy running slowest.

    >>> features = Irreps("m-3m", "32xA1g + 16xT1u")
    >>> features.dim
    80
    >>> features + Irreps("m-3m", "2xEg")
    Irreps('m-3m', '32xA1g + 16xT1u + 2xEg')
    >>> "T1u" in features, features.multiplicity("Eg")
    (True, 0)

    Args:
        group: the point group or its name.
        text: blocks joined with ``+``; a block without ``x`` has multiplicity one; empty for no features.

    Raises:
        IrrepnetError: an unknown group or irrep, or a block that cannot be read.
    """

    __slots__ = ("blocks", "group")

    group: PointGroup
    blocks: tuple[tuple[int, Irrep], ...]

    def __init__(self, group: PointGroup | str, text: str = "") -> None:
        group = PointGroup(group) if isinstance(group, str) else group
        blocks = []
        for term in filter(None, (part.strip() for part in text.split("+"))):
            match = re.fullmatch(r"(?:(\d+)\s*x\s*)?(\S+)", term)
            if match is None:
                raise IrrepnetError(f"cannot read {term!r} in the irreps {text!r}; write blocks like 16xT1u")
            multiplicity = int(match[1] or 1)
            if multiplicity:
                blocks.append((multiplicity, group.irrep(match[2])))
        self._set(group, tuple(blocks))

    def _set(self, group: PointGroup, blocks: tuple[tuple[int, Irrep], ...]) -> None:
        object.__setattr__(self, "group", group)
        object.__setattr__(self, "blocks", blocks)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Irreps are immutable; cannot set {name}")

    def __reduce__(self) -> tuple[type["Irreps"], tuple[str, str]]:
        return Irreps, (self.group.name, str(self))

    @classmethod
    def regular(cls, group: PointGroup | str, channels: int = 1) -> "Irreps":
        """The irreps of ``channels`` real functions on the group: each as often as the regular representation holds it.

        >>> Irreps.regular("mmm").dim
        8
        """
        group = PointGroup(group) if isinstance(group, str) else group
        return sum(
            (Irreps(group, f"{channels * i.dim // len(i.commutant)}x{i.label}") for i in group.irreps),
            Irreps(group),
        )

    @property
    def dim(self) -> int:
        """Number of components."""
        return sum(self.sizes)

    @property
    def slices(self) -> tuple[slice, ...]:
        """Where each block lies in the components."""
        slices, start = [], 0
        for multiplicity, irrep in self.blocks:
            slices.append(slice(start, start + multiplicity * irrep.dim))
            start = slices[-1].stop
        return tuple(slices)

    @property
    def sizes(self) -> list[int]:
        """Components of each block."""
        return [multiplicity * irrep.dim for multiplicity, irrep in self.blocks]

    def multiplicity(self, label: str) -> int:
        """How often an irrep occurs, over all blocks.

        Raises:
            IrrepnetError: the group has no such irrep.
        """
        label = self.group.irrep(label).label
        return sum(multiplicity for multiplicity, irrep in self.blocks if irrep.label == label)

    def simplify(self) -> "Irreps":
        """One block an irrep, in the group's order.

        >>> Irreps("m-3m", "2xT1u + A1g + T1u").simplify()
        Irreps('m-3m', '1xA1g + 3xT1u')
        """
        return Irreps(self.group, " + ".join(f"{self.multiplicity(i.label)}x{i.label}" for i in self.group.irreps))

    def matrix(self, element: int):
        """(dim, dim) array: how the group element acts on the components."""
        from scipy.linalg import block_diag

        return block_diag(*(i.matrices[element] for m, i in self.blocks for _ in range(m)))

    def __iter__(self) -> Iterator[tuple[int, Irrep]]:
        return iter(self.blocks)

    def __len__(self) -> int:
        return len(self.blocks)

    def __contains__(self, label: str) -> bool:
        return any(irrep.label == label for _, irrep in self.blocks)

    def __add__(self, other: "Irreps") -> "Irreps":
        if self.group != other.group:
            raise IrrepnetError(f"cannot add irreps of {self.group.name} and {other.group.name}")
        both = Irreps(self.group)
        both._set(self.group, self.blocks + other.blocks)
        return both

    def __mul__(self, times: int) -> "Irreps":
        scaled = Irreps(self.group)
        scaled._set(self.group, tuple((times * m, i) for m, i in self.blocks if times * m))
        return scaled

    __rmul__ = __mul__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Irreps) and (self.group.name, str(self)) == (other.group.name, str(other))

    def __hash__(self) -> int:
        return hash((self.group.name, str(self)))

    def __str__(self) -> str:
        return " + ".join(f"{m}x{i.label}" for m, i in self.blocks)

    def __repr__(self) -> str:
        return f"Irreps({self.group.name!r}, {str(self)!r})"
