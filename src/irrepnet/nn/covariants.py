"""From features of atoms to features in irreps of O(3): moments of the bonds and their products; axes of frames."""

from itertools import combinations_with_replacement

import torch
from torch import nn

from irrepnet.errors import IrrepnetError
from irrepnet.groups import O3Irrep, O3Irreps, wigner_3j
from irrepnet.nn.convolution import mlp
from irrepnet.nn.harmonics import HarmonicMatrices
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
        irreps_out: that are wanted.

    Raises:
        IrrepnetError: an irrep that no product of two moments reaches.
    """

    def __init__(self, channels: int, l_max: int, size: int, irreps_out: O3Irreps) -> None:
        super().__init__()
        self.irreps_out, self.size = irreps_out, size
        degrees = range(1, l_max + 1)
        self.weight = nn.Linear(channels, l_max * size, bias=False)
        self.mix = nn.ModuleList(nn.Linear(size, size, bias=False) for _ in degrees)
        moments = [O3Irrep.natural(l) for l in degrees]
        self.widths = [irrep.dim for irrep in moments]
        self.moment_of = {str(irrep): k for k, irrep in enumerate(moments) if irrep in irreps_out}
        paths = {irrep: int(irrep in moments) for irrep in irreps_out}
        self.products: list[tuple[int, int, dict[str, int]]] = []
        for (a, first), (b, second) in combinations_with_replacement(enumerate(moments), 2):
            reached = [irrep for irrep in irreps_out if irrep in first * second]
            if reached:  # all irreps that the pair leads to, so that the product is made once
                couplings = [irrep.dim**0.5 * wigner_3j(irrep.l, first.l, second.l) for irrep in reached]
                coupling = torch.cat([torch.from_numpy(coupling).flatten(1) for coupling in couplings])
                self.register_buffer(f"coupling_{a}_{b}", coupling, persistent=False)
                self.products.append((a, b, {str(irrep): irrep.dim for irrep in reached}))
            for irrep in reached:
                paths[irrep] += 1
        if missing := ", ".join(str(irrep) for irrep in sorted(irreps_out) if not paths[irrep]):
            raise IrrepnetError(
                f"irreps_out: no product of two moments leads to {missing}; take a larger l_max than {l_max}, or the "
                "network tensor-field with parity"
            )
        self.gates = [paths[irrep] * size for irrep in irreps_out]
        self.gate = mlp(channels, channels, sum(self.gates)) if irreps_out else None
        self.readout = nn.ModuleDict(
            {str(irrep): nn.Linear(paths[irrep] * size, copies, bias=False) for irrep, copies in irreps_out.items()}
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
        of_degree = zip(self.weight(pair).split(self.size, 1), harmonics.split(self.widths, 1))
        terms = torch.cat([weight[:, None] * part[:, :, None] for weight, part in of_degree], 1).flatten(1)
        sums = terms.new_zeros(len(x), terms.shape[1]).index_add(0, receiver, terms) * inverse_count
        moments = sums.unflatten(1, (-1, self.size)).split(self.widths, 1)
        mixed = [mix(moment) for mix, moment in zip(self.mix, moments)]
        parts = {name: [moments[self.moment_of[name]]] if name in self.moment_of else [] for name in self.readout}
        for a, b, dims in self.products:
            coupling = self.get_buffer(f"coupling_{a}_{b}").to(x.dtype)
            product = coupling @ (moments[a][:, :, None] * mixed[b][:, None]).flatten(1, 2)
            for name, part in zip(dims, product.split(list(dims.values()), 1)):
                parts[name].append(part)
        gates = self.gate(x).split(self.gates, -1)
        return {
            name: readout(torch.cat(parts[name], -1) * gate[:, None])
            for (name, readout), gate in zip(self.readout.items(), gates)
        }


class FrameCovariants(nn.Module):
    """Components along the axes of a node's frame, and by them covariants: x^λ = D^λ(axes) W^λ v.

    v are the features in that frame, of which W^λ may make anything: what is made belongs to the group whose frames
    these are. W^λ starts from zero.

    Args:
        channels: of v.
        irreps_out: that are wanted.
    """

    def __init__(self, channels: int, irreps_out: O3Irreps) -> None:
        super().__init__()
        self.matrices = HarmonicMatrices(max((irrep.l for irrep in irreps_out), default=0))
        self.shapes = {str(irrep): (irrep.dim, copies) for irrep, copies in irreps_out.items()}
        self.components = nn.ModuleDict()
        for irrep, copies in irreps_out.items():
            self.components[str(irrep)] = nn.Linear(channels, irrep.dim * copies, bias=False)
            nn.init.zeros_(self.components[str(irrep)].weight)  # type: ignore[arg-type]
        self.pseudo = {str(irrep) for irrep in irreps_out if irrep != O3Irrep.natural(irrep.l)}

    def forward(self, v: torch.Tensor, axes: torch.Tensor) -> Features:
        """v (n_nodes, channels) and axes (n_nodes, 3, 3) orthogonal, → by irrep (n_nodes, 2l+1, copies)."""
        matrices = self.matrices(axes)
        found = {}
        for name, components in self.components.items():
            dim, copies = self.shapes[name]
            d = matrices[dim // 2]
            if name in self.pseudo:
                d = d * torch.linalg.det(axes)[:, None, None]
            found[name] = d @ components(v).unflatten(1, (dim, copies))
        return found
