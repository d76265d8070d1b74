"""From features of atoms to features in irreps of O(3): moments of the bonds and their products; axes of frames."""

from itertools import combinations_with_replacement

import numpy as np
import torch
from e3nn import o3
from torch import nn

from irrepnet.errors import IrrepnetError
from irrepnet.nn.convolution import mlp
from irrepnet.nn.o3 import Features


class BondCovariants(nn.Module):
    """Covariants of an atom from the directions of its neighbours, weighted by invariants of the pair.

        A_a^{lk} = mean over neighbours b of w_ab^{lk} Y_l(r̂_ab)
        x_a^λ    = W^λ (γ_a ⊙ [A_a^λ, (A_a^{l₁} ⊗ M A_a^{l₂})^λ …])

    M mixes the copies k of an l, γ_a are functions of the atom's invariants, W^λ mixes copies. Of the products those
    are taken that a wanted irrep needs; they reach irreps such as 2o, which no single bond has (of the atomic cluster
    expansion, Drautz, Phys. Rev. B 99, 014104 (2019), these are the terms of body order two and three).

    Args:
        channels: of the invariants of atoms and of pairs.
        l_max: largest l of the moments, 1 or more.
        size: k runs from 1 to it.
        copies: wanted of each irrep, such as {"1o": 2, "2o": 1}.

    Raises:
        IrrepnetError: an irrep that no product of two moments reaches.
    """

    def __init__(self, channels: int, l_max: int, size: int, copies: dict[str, int]) -> None:
        super().__init__()
        self.size = size
        degrees = range(1, l_max + 1)
        self.weight = nn.Linear(channels, l_max * size, bias=False)
        self.mix = nn.ModuleList(nn.Linear(size, size, bias=False) for _ in degrees)
        number = torch.tensor([l - 1 for l in degrees for _ in range(2 * l + 1)])
        self.register_buffer("number", number, persistent=False)
        self.widths = [2 * l + 1 for l in degrees]
        self.products: dict[str, list[tuple[int, int]]] = {irrep: [] for irrep in copies}
        for a, b in combinations_with_replacement(degrees, 2):
            couplings = []  # of all irreps that the pair leads to, so that the product is made once
            for irrep in copies:
                l, parity = int(irrep[:-1]), 1 if irrep.endswith("e") else -1
                if (-1) ** (a + b) == parity and b - a <= l <= a + b:
                    self.products[irrep].append((a, b))
                    couplings.append((2 * l + 1) ** 0.5 * o3.wigner_3j(l, a, b, dtype=torch.float64).flatten(1))
            if couplings:
                self.register_buffer(f"coupling_{a}_{b}", torch.cat(couplings), persistent=False)
        self.is_moment = {irrep: irrep in {f"{l}{'oe'[l % 2 == 0]}" for l in degrees} for irrep in copies}
        paths = {irrep: len(pairs) + self.is_moment[irrep] for irrep, pairs in self.products.items()}
        if missing := ", ".join(sorted(irrep for irrep in copies if not paths[irrep])):
            raise IrrepnetError(
                f"irreps_out: no product of two moments leads to {missing}; take a larger l_max than {l_max}, or the "
                "network tensor-field with parity"
            )
        self.copies = copies
        self.gates = [paths[irrep] * size for irrep in copies]
        self.gate = mlp(channels, channels, sum(self.gates)) if copies else None
        self.readout = nn.ModuleDict(
            {irrep: nn.Linear(paths[irrep] * size, number, bias=False) for irrep, number in copies.items()}
        )

    def forward(
        self,
        x: torch.Tensor,
        pair: torch.Tensor,
        harmonics: torch.Tensor,
        receiver: torch.Tensor,
        inverse_count: torch.Tensor,
    ) -> Features:
        """By irrep, (n_nodes, 2l+1, copies).

        Args:
            x: (n_nodes, channels) invariants of the atoms.
            pair: (n_edges, channels) those of the edges.
            harmonics: (n_edges, (l_max + 1)² − 1), l by l, summed over the neighbours that an edge stands for.
            receiver: (n_edges,).
            inverse_count: (n_nodes, 1), one over the number of neighbours.
        """
        if self.gate is None:
            return {}
        weights = self.weight(pair).unflatten(-1, (-1, self.size)).index_select(1, self.get_buffer("number"))
        terms = (weights * harmonics[:, :, None]).flatten(1)
        sums = terms.new_zeros(len(x), terms.shape[1]).index_add(0, receiver, terms) * inverse_count
        moments = sums.unflatten(1, (-1, self.size)).split(self.widths, 1)
        mixed = [mix(moment) for mix, moment in zip(self.mix, moments)]
        parts = {irrep: [moments[int(irrep[:-1]) - 1]] if self.is_moment[irrep] else [] for irrep in self.copies}
        for a, b in combinations_with_replacement(range(1, len(moments) + 1), 2):
            reached = [irrep for irrep in self.copies if (a, b) in self.products[irrep]]
            if reached:
                coupling = self.get_buffer(f"coupling_{a}_{b}").to(x.dtype)
                product = coupling @ (moments[a - 1][:, :, None] * mixed[b - 1][:, None]).flatten(1, 2)
                for irrep, part in zip(reached, product.split([2 * int(irrep[:-1]) + 1 for irrep in reached], 1)):
                    parts[irrep].append(part)
        gates = self.gate(x).split(self.gates, -1)
        return {
            irrep: self.readout[irrep](torch.cat(parts[irrep], -1) * gate[:, None])
            for irrep, gate in zip(self.copies, gates)
        }


class FrameCovariants(nn.Module):
    """Components along the axes of a node's frame, and by them covariants: x^λ = D^λ(axes) W^λ v.

    v are the features in that frame, of which W^λ may make anything: what is made belongs to the group whose frames
    these are. W^λ starts from zero.

    Args:
        channels: of v.
        copies: wanted of each irrep.
    """

    def __init__(self, channels: int, copies: dict[str, int]) -> None:
        super().__init__()
        self.copies = copies
        self.components = nn.ModuleDict()
        for irrep, number in copies.items():
            l = int(irrep[:-1])
            self.components[irrep] = nn.Linear(channels, (2 * l + 1) * number, bias=False)
            nn.init.zeros_(self.components[irrep].weight)  # type: ignore[arg-type]
            # D(g) is known by what it does to Y at these points: Y(g r) = D(g) Y(r)
            points = torch.from_numpy(np.random.default_rng(0).normal(size=(4 * l + 6, 3)))
            self.register_buffer(f"points_{irrep}", points, persistent=False)
            inverse = torch.linalg.pinv(_harmonics(l, points))
            self.register_buffer(f"inverse_{irrep}", inverse, persistent=False)

    def forward(self, v: torch.Tensor, axes: torch.Tensor) -> Features:
        """v (n_nodes, channels) and axes (n_nodes, 3, 3) orthogonal, → by irrep (n_nodes, 2l+1, copies)."""
        found = {}
        for irrep, number in self.copies.items():
            l = int(irrep[:-1])
            points, inverse = (self.get_buffer(f"{name}_{irrep}").to(axes) for name in ("points", "inverse"))
            d = (inverse @ _harmonics(l, points @ axes.mT)).mT
            if irrep.endswith("oe"[l % 2]):  # not the parity of the harmonics
                d = d * torch.linalg.det(axes)[:, None, None]
            found[irrep] = d @ self.components[irrep](v).unflatten(1, (2 * l + 1, number))
        return found


def _harmonics(l: int, vectors: torch.Tensor) -> torch.Tensor:
    return o3.spherical_harmonics(l, vectors, normalize=True)
