"""A subgroup inside a point group: where it lies, how irreps correlate, and the basis in which they split."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from irrepnet.groups.intertwiners import intertwiners

if TYPE_CHECKING:
    from irrepnet.groups.point_group import PointGroup


@dataclass(frozen=True, eq=False)
class Subgroup:
    """A point group H in some orientation inside a point group G."""

    supergroup: PointGroup
    """G"""
    group: PointGroup
    """H, in its own standard frame."""
    rotation: np.ndarray
    """(3, 3) proper rotation Q from H's frame to G's: Q h Qᵀ lies in G."""

    @cached_property
    def indices(self) -> np.ndarray:
        """(|H|,) index in G of Q h Qᵀ, in the order of H's operations."""
        return self.supergroup.indices(self.rotation @ self.group.operations @ self.rotation.T)

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
        """(d, d) orthogonal B with B Γ(Q h Qᵀ) Bᵀ block diagonal, the irreps of H as in `blocks`."""
        restricted = self.supergroup.irrep(label).matrices[self.indices]
        copies = [intertwiners(self.group.irrep(h), restricted) for h in dict.fromkeys(self.blocks(label))]
        return np.concatenate([rows.reshape(-1, restricted.shape[-1]) for rows in copies])
