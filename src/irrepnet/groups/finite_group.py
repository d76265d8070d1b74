"""What follows from a group's multiplication table and its irreps, whatever its elements are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any

import numpy as np

from irrepnet.errors import IrrepnetError
from irrepnet.groups import operations as ops
from irrepnet.groups.elements import ConjugacyClass
from irrepnet.groups.irreps import Irrep
from irrepnet.groups.settings import suggest


class FiniteGroup(ABC):
    """A group of N elements, the identity first, with irreps over the reals or over C."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What error messages call it."""

    @property
    @abstractmethod
    def classes(self) -> tuple[ConjugacyClass, ...]:
        """Conjugacy classes, that of the identity first."""

    @property
    @abstractmethod
    def multiplication(self) -> np.ndarray:
        """(N, N): multiplication[g, h] is the index of g·h."""

    @property
    @abstractmethod
    def irreps(self) -> tuple[Irrep, ...]:
        """All irreps, the trivial one first."""

    @abstractmethod
    def images(self, h: Any, rotation: np.ndarray) -> np.ndarray:
        """(|h|,) indices of the elements of a group h of the same kind, turned by a proper rotation (3, 3) from its
        frame to this one's; IrrepnetError if one is not a member."""

    @property
    @abstractmethod
    def order(self) -> int:
        """N"""

    @cached_property
    def inverse(self) -> np.ndarray:
        """(N,) index of g⁻¹."""
        return ops.read_only(self.multiplication.argmin(1))

    @cached_property
    def factors(self) -> tuple[np.ndarray, ...]:
        """Lists of elements whose sums, one after the other, are the sum over the group: see `group_factors`."""
        return ops.group_factors(self.multiplication)

    @cached_property
    def _by_label(self) -> dict[str, Irrep]:
        return {irrep.label: irrep for irrep in self.irreps}

    def irrep(self, label: str) -> Irrep:
        """The irrep with a label; IrrepnetError if there is none."""
        if label not in self._by_label:
            raise IrrepnetError(f"{self.name} has no irrep {label!r}; {suggest(label, list(self._by_label))}")
        return self._by_label[label]

    @property
    def trivial(self) -> Irrep:
        """The irrep on which every element is 1 (the first)."""
        return self.irreps[0]

    def multiplicities(self, characters: np.ndarray) -> dict[str, int]:
        """How often each irrep that occurs does so in a representation with these characters (N,)."""
        overlaps = {i.label: np.real(i.characters.conj() @ characters) / len(i.commutant) for i in self.irreps}
        return {label: round(float(x) / self.order) for label, x in overlaps.items() if x > 0.5}

    def product(self, a: str, b: str) -> dict[str, int]:
        """Γ^a ⊗ Γ^b as {label: multiplicity}."""
        return self.multiplicities(self.irrep(a).characters * self.irrep(b).characters)

    def projector(self, label: str, k: int, representation: np.ndarray) -> np.ndarray:
        """(n, n) projector (d/N) Σ_g Γ(g)*_kk ρ(g) on component k of an irrep in any representation (N, n, n).

        For a real irrep of complex type J mixes its components, and the projector is the one on the whole
        isotypic part.
        """
        irrep = self.irrep(label)
        if not 0 <= k < irrep.dim:
            raise IrrepnetError(f"component {k} of {label}: it has components 0 to {irrep.dim - 1}")
        representation = np.asarray(representation)
        if representation.shape[:1] != (self.order,) or representation.shape[1:2] != representation.shape[2:]:
            shape = f"({self.order}, n, n)"
            raise IrrepnetError(f"a representation of {self.name} is {shape}, not {representation.shape}")
        weights = irrep.matrices[:, k, k].conj() * (irrep.dim / self.order)
        return np.einsum("g,gij->ij", weights, representation)

    @cached_property
    def regular(self) -> np.ndarray:
        """(N, N, N) left regular representation: (regular[k] v)(g) = v(k⁻¹ g)."""
        return ops.read_only(np.eye(self.order)[self.multiplication].swapaxes(1, 2))
