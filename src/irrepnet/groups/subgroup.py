"""A subgroup inside a point group: where it lies, how irreps correlate, and the basis in which they split."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

import numpy as np

from irrepnet.groups.finite_group import FiniteGroup
from irrepnet.groups.intertwiners import intertwiners

AnyGroup = TypeVar("AnyGroup", bound=FiniteGroup)


@dataclass(frozen=True, eq=False)
class Subgroup(Generic[AnyGroup]):
    """A point group H, or its double group, in some orientation inside a group G of the same kind."""

    supergroup: AnyGroup
    """G"""
    group: AnyGroup
    """H, in its own standard frame."""
    rotation: np.ndarray
    """(3, 3) proper rotation Q from H's frame to G's: Q h Qᵀ lies in G."""

    @cached_property
    def indices(self) -> np.ndarray:
        """(|H|,) index in G of Q h Qᵀ, in the order of H's elements."""
        return self.supergroup.images(self.group, self.rotation)

    @cached_property
    def correlation(self) -> dict[str, dict[str, int]]:
        """{irrep of G: {irrep of H: multiplicity}}."""
        return {
            irrep.label: self.group.multiplicities(irrep.characters[self.indices]) for irrep in self.supergroup.irreps
        }

    def blocks(self, label: str) -> tuple[str, ...]:
        """Labels of the irreps of H in an irrep of G, one for each block of `basis`."""
        counts = self.correlation[self.supergroup.irrep(label).label]
        return tuple(h for h, count in counts.items() for _ in range(count))

    def basis(self, label: str) -> np.ndarray:
        """(d, d) orthogonal or unitary B with B Γ(Q h Qᵀ) Bᴴ block diagonal, the irreps of H as in `blocks`."""
        restricted = self.supergroup.irrep(label).matrices[self.indices]
        copies = [intertwiners(self.group.irrep(h), restricted) for h in dict.fromkeys(self.blocks(label))]
        return np.concatenate([rows.reshape(-1, restricted.shape[-1]) for rows in copies])
