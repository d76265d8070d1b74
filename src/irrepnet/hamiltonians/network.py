"""A network that predicts ΔH = H − H0 of any crystal from its structure, S(R) and H0(R).

    ΔH = ½ (D S + S D) + S W S + B

D and W are on-site: a potential near an atom acts on its orbitals (D) and, through their overlap, on those of others
(W): ⟨i|V|j⟩ ≈ Σ_c S_ic W_c S_cj. What is left are blocks B of bonds up to a cutoff. Their elements are coefficients of
irreps of O(3), coupled from l ⊗ l' and contracted with what the surroundings offer:

    D_ll' = Σ_L C^{ll'L} · Σ_n d_n A_a^{L,n}                  A_a^{0} = 1, A_a^{L,n} = Σ_b w_n(ab) Y_L(r̂_ab)
    W_ll  = w · 1
    B_ll' = u(r) Σ_L C^{ll'L} · Σ_n b_n T_n^L,                T_n^L ∈ {Y_L(r̂), A_a^{L,n}, (Y(r̂) ⊗ A_a)^L}

and the same from the other end, with d, w, b functions of invariants of the atoms, the shells and the distance. So D
lies in the trivial irreps of the site's group and B in Hom_{G_ab}, whatever the crystal; ΔH is symmetric, Hermitian,
and continuous as atoms move. The Slater–Koster form is B with T = Y_L(r̂) alone. A multiple of the overlap, D = μ 1,
changes nothing that is measured.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, Field
from torch import nn
from torch.nn.functional import silu

from irrepnet.groups import PointGroup
from irrepnet.groups.o3 import clebsch_gordan, jz_to_real
from irrepnet.hamiltonians.graph import KIND, L_MAX, Couples, HamiltonianGraph
from irrepnet.hamiltonians.orbitals import LETTERS
from irrepnet.nn.convolution import GroupConvolution, mlp
from irrepnet.nn.edges import Edges
from irrepnet.nn.elements import ElementEmbedding
from irrepnet.nn.harmonics import Harmonics
from irrepnet.nn.radial import BesselBasis, envelope


class HamiltonianNetConfig(BaseModel, extra="forbid", frozen=True):
    """What a :class:`HamiltonianNet` is made of."""

    name: Literal["hamiltonian"] = "hamiltonian"
    channels: int = Field(default=12, ge=1, description="channels of atoms, bonds and pairs of shells")
    layers: int = Field(default=1, ge=0, description="convolutions of the body, which is invariant under O(3)")
    moments: int = Field(default=4, ge=1, description="moments of each l")
    cutoff: float = Field(default=7.0, gt=0, description="longest bond with a block of its own, and neighbours, Å")
    radial: int = Field(default=12, ge=1, description="radial functions")
    l_max: int | None = Field(
        default=None,
        ge=1,
        le=L_MAX,
        description="largest L of moments and couplings; null: 4, which couples two d shells, and 6 if the data have f "
        "shells",
    )
    separable: bool = Field(default=True, description="the term S W S")
    bonds: bool = Field(default=True, description="the blocks B")


class HamiltonianNet(nn.Module):
    """See the module.

    Args:
        config: see :class:`HamiltonianNetConfig`.
    """

    def __init__(self, config: HamiltonianNetConfig) -> None:
        super().__init__()
        self.config = config
        channels, self.l_max = config.channels, config.l_max or 4
        self.embedding = ElementEmbedding(channels)
        self.shell = mlp(KIND + channels, channels, channels)
        self.radial = BesselBasis(config.cutoff, config.radial)
        self.edge = mlp(config.radial, channels, channels)
        self.harmonics = Harmonics(self.l_max)
        self.body = nn.ModuleList(
            GroupConvolution(PointGroup("1"), channels, channels, 0, None, (self.l_max, config.moments))
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(channels)
        self.weights = nn.Linear(channels, self.l_max * config.moments)
        self.atom = nn.Linear(channels, channels)
        moments = dict.fromkeys(range(1, self.l_max + 1), config.moments)
        self.onsite = ShellCouplings(channels, {0: 1, **moments}, False)
        self.separable = ShellCouplings(channels, {0: 1}, False) if config.separable else None
        if config.bonds:
            self.ends = nn.Linear(2 * channels, channels)
            self.bond = mlp(config.radial, channels, channels)
            self.products = Products(self.l_max)
            natural = {L: 1 + config.moments + products for L, products in self.products.natural.items()}
            self.bonds = ShellCouplings(channels, {0: 1, **natural}, True, self.products.pseudo)

    def forward(self, graph: HamiltonianGraph) -> torch.Tensor:
        """(m,) eV, the coefficients of ΔH in the spaces of the graph's blocks."""
        v, shells, moments = self.features(graph)
        at_node = self.atom(v)
        delta = graph.local @ self.onsite(graph.onsite, at_node, shells, self._ones(moments))
        if self.separable is not None:
            equal = {key: own for key, own in graph.onsite.items() if key[0] == key[1]}
            strengths = self.separable.coefficients(equal, at_node, shells)
            delta = delta + graph.separable @ torch.cat([c[:, 0] for c in strengths.values()])
        if self.config.bonds and len(graph.bond_vector):
            delta = delta + torch.mv(graph.free, self._bonds(graph, v, shells, moments))
        return delta

    def features(self, graph: HamiltonianGraph) -> tuple[torch.Tensor, torch.Tensor, dict[int, torch.Tensor]]:
        """Of nodes (nodes, channels), of shells (shells, channels), and moments {L: (nodes, 2L+1, moments)}, L ≥ 1."""
        v = self.embedding(graph.numbers)
        shells = self.shell(torch.cat([graph.shell_kind, v.index_select(0, graph.shell_node)], 1))
        v = v.index_add(0, graph.shell_node, shells)
        fade = envelope(graph.distance / self.config.cutoff)
        hidden = silu(self.edge(self.radial(graph.distance)))
        # a fixed number of neighbours, not their own: one that comes in at the cutoff changes nothing
        inverse = v.new_full((len(v), 1), 1 / 12)
        numbers = (graph.receiver, graph.sender, torch.arange(len(graph.receiver), device=hidden.device), len(hidden))
        harmonics = graph.harmonics[:, : (self.l_max + 1) ** 2 - 1] * fade[:, None]
        edges = Edges(*numbers, inverse, graph.weight * fade, harmonics)
        for layer in self.body:
            v = layer(v, hidden, (), edges)
        v = self.norm(v)
        pair = silu(hidden + v.index_select(0, graph.sender))
        weights = self.weights(pair).unflatten(1, (self.l_max, -1))
        moments = {}
        for L in range(1, self.l_max + 1):
            terms = harmonics[:, L * L - 1 : (L + 1) ** 2 - 1, None] * weights[:, L - 1, None]
            moments[L] = terms.new_zeros(len(v), *terms.shape[1:]).index_add(0, graph.receiver, terms) / 12
        return v, shells, moments

    def _ones(self, moments: dict[int, torch.Tensor]) -> dict[int, torch.Tensor]:
        some = moments[1]
        return {0: some.new_ones(len(some), 1, 1), **moments}

    def _bonds(
        self, graph: HamiltonianGraph, v: torch.Tensor, shells: torch.Tensor, moments: dict[int, torch.Tensor]
    ) -> torch.Tensor:
        """The elements of the blocks of bonds, in both directions."""
        length = graph.bond_vector.norm(dim=1)
        fade = envelope(length / self.config.cutoff)
        harmonics = self.harmonics(graph.bond_vector / length[:, None])
        a, b = graph.bond_sites.T
        ends = v.index_select(0, graph.site_node)
        at_bond = self.ends(torch.cat([ends[a], ends[b]], 1)) + self.bond(self.radial(length))
        node = graph.site_node.index_select(0, a)
        own = torch.cat(list(moments.values()), 1).index_select(0, node)
        size = own.shape[1]
        own = graph.turn[:, :size, :size].index_select(0, a) @ own
        natural, pseudo = self.products(harmonics, own[:, :, 0])
        tensors = {0: v.new_ones(len(length), 1, 1)}
        for L in moments:
            rows = slice(L * L - 1, (L + 1) ** 2 - 1)
            tensors[L] = torch.cat([harmonics[:, rows, None], own[:, rows], natural[L]], 2)
        return self.bonds(graph.bonds, at_bond, shells, tensors, pseudo, fade)


class ShellCouplings(nn.Module):
    """Blocks between pairs of shells, Σ_L C^{ll'L} · Σ_n c_n T_n^L, with c functions of the pair.

    It starts from zero.

    Args:
        channels: of the features of places and shells.
        tensors: {L: how many} that are true tensors, of parity (−1)^L.
        ordered: whether l > l' occurs.
        pseudo: {L: how many} of parity −(−1)^L.
    """

    def __init__(
        self, channels: int, tensors: dict[int, int], ordered: bool, pseudo: dict[int, int] | None = None
    ) -> None:
        super().__init__()
        self.left = nn.Linear(channels, channels)
        self.right = nn.Linear(channels, channels)
        self.tensors, self.pseudo = tensors, pseudo or {}
        self.heads = nn.ModuleDict()
        for l, l2 in np.ndindex(len(LETTERS), len(LETTERS)):
            if ordered or l <= l2:
                count = sum(n for _, n, _ in self._terms(l, l2))
                if count:
                    self.heads[f"{l}{l2}"] = head = nn.Linear(channels, count)
                    nn.init.zeros_(head.weight)
                    nn.init.zeros_(head.bias)

    def _terms(self, l: int, l2: int) -> list[tuple[int, int, bool]]:
        """(L, how many, whether pseudo-tensors) that the block holds."""
        terms = []
        for L in range(abs(l - l2), l + l2 + 1):
            pseudo = (l + l2 + L) % 2 == 1
            count = (self.pseudo if pseudo else self.tensors).get(L, 0)
            if count:
                terms.append((L, count, pseudo))
        return terms

    def coefficients(
        self, couples: dict[tuple[int, int], Couples], place: torch.Tensor, shells: torch.Tensor
    ) -> dict[tuple[int, int], torch.Tensor]:
        """By (l, l'), the c of all pairs, from features of places (nodes or bonds, channels) and (shells, channels)."""
        left, right = self.left(shells), self.right(shells)
        return {
            (l, l2): self.heads[f"{l}{l2}"](
                silu(
                    place.index_select(0, own.where) + left.index_select(0, own.left) + right.index_select(0, own.right)
                )
            )
            for (l, l2), own in couples.items()
        }

    def forward(
        self,
        couples: dict[tuple[int, int], Couples],
        place: torch.Tensor,
        shells: torch.Tensor,
        tensors: dict[int, torch.Tensor],
        pseudo: dict[int, torch.Tensor] | None = None,
        fade: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The elements of all blocks (elements,), block by block, row by row.

        Args:
            couples, place, shells: see :meth:`coefficients`.
            tensors, pseudo: {L: (places, 2L+1, how many)}.
            fade: (places,) a factor of each block.
        """
        elements = []
        for (l, l2), c in self.coefficients(couples, place, shells).items():
            own = couples[l, l2]
            if fade is not None:
                c = c * fade.index_select(0, own.where)[:, None]
            block, start = c.new_zeros(len(c), (2 * l + 1) * (2 * l2 + 1)), 0
            for L, count, is_pseudo in self._terms(l, l2):
                source = (pseudo or {}) if is_pseudo else tensors
                tensor = source[L].index_select(0, own.where) @ c[:, start : start + count, None]
                start += count
                block = block + tensor[:, :, 0] @ coupling(l, l2, L).to(c.dtype).flatten(0, 1).T
            elements.append(block.flatten())
        return torch.cat(elements)


class Products(nn.Module):
    """The tensors (Y_j(r̂) ⊗ A^k)^L with j and k from 1 to 4, for the first moments A of one end of a bond.

    Args:
        l_max: largest L, and l of Y and A.

    Attributes:
        natural, pseudo: {L: how many} of parity (−1)^L, and of the other.
    """

    def __init__(self, l_max: int) -> None:
        super().__init__()
        each, factors = range(1, l_max + 1), range(1, min(l_max, 4) + 1)
        paths = [
            (j, k, L) for L in each for odd in (0, 1) for j in factors for k in factors
            if abs(j - k) <= L <= j + k and (j + k + L) % 2 == odd
        ]  # fmt: skip
        self.natural, self.pseudo = (
            {L: sum(path[2] == L and sum(path) % 2 == odd for path in paths) for L in each} for odd in (0, 1)
        )
        self.size = size = factors.stop**2 - 1
        columns = []
        for j, k, L in paths:
            C = torch.zeros(size, size, 2 * L + 1, dtype=torch.float64)
            C[j * j - 1 : (j + 1) ** 2 - 1, k * k - 1 : (k + 1) ** 2 - 1] = coupling(j, k, L)
            columns.append(C)
        self.register_buffer("coupling", torch.cat(columns, 2).flatten(0, 1), persistent=False)

    def forward(
        self, harmonics: torch.Tensor, moments: torch.Tensor
    ) -> tuple[dict[int, torch.Tensor], dict[int, torch.Tensor]]:
        """Y and A (bonds, (l_max + 1)² − 1) → {L: (bonds, 2L+1, count)}, natural ones and pseudo-tensors."""
        outer = (harmonics[:, : self.size, None] * moments[:, None, : self.size]).flatten(1)
        products = outer @ self.get_buffer("coupling").to(outer.dtype)
        sizes = [counts[L] * (2 * L + 1) for L in self.natural for counts in (self.natural, self.pseudo)]
        parts = iter(products.split(sizes, 1))
        natural, pseudo = {}, {}
        for L in self.natural:
            for found in (natural, pseudo):
                found[L] = next(parts).unflatten(1, (-1, 2 * L + 1)).transpose(1, 2)
        return natural, pseudo


@cache
@torch.inference_mode(mode=False)  # kept for trainings too
def coupling(l: int, l2: int, L: int) -> torch.Tensor:
    """(2l+1, 2l'+1, 2L+1) real, orthonormal for each component of L, in the components of `real_harmonics`.

    Clebsch–Gordan coefficients; where l + l' + L is odd times i.
    """
    changes = [jz_to_real(each) for each in (l, l2, L)]
    found = np.einsum("ai,bj,ijk,ck->abc", changes[0], changes[1], clebsch_gordan(l, l2, L), changes[2].conj())
    return torch.from_numpy(np.ascontiguousarray(found.imag if (l + l2 + L) % 2 else found.real))
