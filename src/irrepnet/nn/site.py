"""Layers on coordinates: features x_a of a site in the subspaces that its site group fixes.

A *coordinate* is one vector of the orthonormal basis of such a subspace; features are (n_coordinates, channels).
Their irreps are the non-trivial ones of the group; invariants are kept apart, (n_sites, channels).
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from irrepnet.errors import IrrepnetError
from irrepnet.groups import PointGroup, intertwiners
from irrepnet.nn.convolution import mlp
from irrepnet.nn.filters import DirectionBasis
from irrepnet.nn.sparse import SparseMap


def ranges(start: torch.Tensor, count: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The numbers start_i, …, start_i + count_i − 1 of every i: (owners i, numbers)."""
    owner = torch.repeat_interleave(count)
    offset = start - (count.cumsum(0) - count)
    return owner, offset[owner] + torch.arange(len(owner), device=count.device)


@dataclass(frozen=True)
class BondTables:
    """How coordinates and the covariants of bonds are joined; E edges, K covariants each.

    Attributes:
        invariants: (E, n_invariants) of the directions.
        to_receiver: coordinate, covariant (edge · K + k) and coefficient ⟨b_p, e_k(r)⟩ of the receiver's coordinates p.
        from_sender: covariant, coordinate and coefficient ⟨Γ(s) b_q, e_k(r)⟩ of the sender's coordinates q.
        pairs: coordinates p of the receiver and q of the sender of the same edge.
        kernel: pair, filter (edge · n_filters + k), path t and coefficient ⟨b_p, U_t (Γ(s) b_q ⊗ e_k(r))⟩.
    """

    invariants: torch.Tensor
    to_receiver: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
    from_sender: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
    pairs: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
    kernel: SparseMap


class SiteCovariants(nn.Module):
    """The covariants e_k: R³ → Γ of all non-trivial irreps at the bonds, and their products with coordinates.

    They are the generators of :meth:`PointGroup.covariants`, of an irrep of complex type also their partners J e_k:
    with functions of the invariants as coefficients they give all the maps that there are.

    Args:
        group: the model group.

    Attributes:
        n_irreps, n_covariants: I and K.
        n_invariants: of a direction, see :class:`DirectionBasis`.

    Raises:
        IrrepnetError: the group has no irrep but the trivial one.
    """

    first: torch.Tensor
    each: torch.Tensor

    def __init__(self, group: PointGroup) -> None:
        super().__init__()
        if len(group.irreps) == 1:
            raise IrrepnetError(f"the group {group.name} has the trivial irrep alone; take a larger model group")
        self.direction = DirectionBasis(group)
        self.n_invariants = self.direction.n_invariants
        rows, irrep, start = [], [], 0
        generators = [[torch.zeros(3, self.direction.n_covariants, dtype=torch.float64)]]  # the constant, at the end
        for i, gamma in enumerate(group.irreps[1:]):
            commutant = torch.from_numpy(gamma.commutant.copy())
            generators.append([])
            for _ in group.covariants(gamma.label).degrees:
                for matrix in commutant:
                    row = torch.zeros(3, self.direction.n_covariants, dtype=torch.float64)
                    row[: gamma.dim, start : start + gamma.dim] = matrix
                    rows.append(row)
                    irrep.append(i)
                generators[-1].append(rows[-len(commutant)])
                start += gamma.dim
        self.n_irreps, self.n_covariants = len(group.irreps) - 1, len(rows)
        self.n_filters = sum(map(len, generators))
        padded = torch.zeros(group.order, self.n_irreps, 3, 3, dtype=torch.float64)
        for i, gamma in enumerate(group.irreps[1:]):
            padded[:, i, : gamma.dim, : gamma.dim] = torch.from_numpy(gamma.matrices.copy())
        each = torch.bincount(torch.tensor(irrep), minlength=self.n_irreps)
        self.register_buffer("rows", torch.stack(rows), persistent=False)
        self.register_buffer("each", each, persistent=False)
        self.register_buffer("first", each.cumsum(0) - each, persistent=False)
        self.register_buffer("matrices", padded, persistent=False)
        self.register_buffer("operations", torch.from_numpy(group.operations.copy()), persistent=False)
        self._paths(group, generators)

    def _paths(self, group: PointGroup, generators: list[list[torch.Tensor]]) -> None:
        """The maps x ↦ U (x ⊗ e_k) of each pair of non-trivial irreps, up to the largest number of them."""
        maps: list[list[torch.Tensor]] = []
        filters: list[list[int]] = []
        for gamma in group.irreps[1:]:
            for alpha in group.irreps[1:]:
                maps.append([])
                filters.append([])
                k = 0
                for beta, own in zip(group.irreps, generators):
                    copies = group.coupling(alpha.label, beta.label, gamma.label)
                    copies = np.einsum("cmn,unij->ucmij", gamma.commutant, copies).reshape(-1, *copies.shape[1:])
                    scale = (alpha.dim * beta.dim / gamma.dim) ** 0.5  # components of unit variance stay so
                    for row in own:
                        for copy in torch.from_numpy(copies * scale):
                            matrix = torch.zeros(3, 3, self.direction.n_covariants + 1, dtype=torch.float64)
                            if beta.label == group.trivial.label:
                                matrix[: gamma.dim, : alpha.dim, -1] = copy[:, :, 0]
                            else:
                                matrix[: gamma.dim, : alpha.dim, :-1] = copy @ row[: beta.dim]
                            maps[-1].append(matrix.flatten(0, 1))
                            filters[-1].append(k)
                        k += 1
        self.n_paths = max(map(len, maps))
        padded = torch.zeros(len(maps), self.n_paths, *maps[0][0].shape, dtype=torch.float64)
        number = torch.zeros(len(maps), self.n_paths, dtype=torch.int64)
        for row, one, found, k in zip(padded, number, maps, filters):
            row[: len(found)] = torch.stack(found)
            one[: len(found)] = torch.tensor(k)
        self.register_buffer("paths", padded, persistent=False)
        self.register_buffer("filter_of_path", number, persistent=False)

    def forward(
        self,
        vector: torch.Tensor,
        receiver: torch.Tensor,
        sender: torch.Tensor,
        carrier: torch.Tensor,
        fixed: torch.Tensor,
        basis: torch.Tensor,
    ) -> BondTables:
        """The arguments are fields of an :class:`irrepnet.graphs.SiteGraph`."""
        unit = torch.nn.functional.normalize(vector, dim=-1)
        # e(r) · Γ(s) b = e(s⁻¹ r) · b
        back = torch.einsum("eij,ei->ej", self.get_buffer("operations").to(vector.dtype)[carrier], unit)
        invariants, covariants = self.direction(unit)
        n_coordinates = fixed.sum(1)
        first = n_coordinates.cumsum(0) - n_coordinates
        irrep_of = coordinate_irreps(fixed)
        of_receiver = ranges(first[receiver], n_coordinates[receiver])
        of_sender = ranges(first[sender], n_coordinates[sender])
        covariant, at, coefficient = self._products(covariants, *of_receiver, irrep_of, basis)
        pairs, kernel = self._kernel(covariants, carrier, of_receiver, of_sender, irrep_of, basis)
        return BondTables(
            invariants=invariants,
            to_receiver=(at, covariant, coefficient),
            from_sender=self._products(self.direction(back)[1], *of_sender, irrep_of, basis),
            pairs=pairs,
            kernel=kernel,
        )

    def _kernel(
        self,
        covariants: torch.Tensor,
        carrier: torch.Tensor,
        of_receiver: tuple[torch.Tensor, torch.Tensor],
        of_sender: tuple[torch.Tensor, torch.Tensor],
        irrep_of: torch.Tensor,
        basis: torch.Tensor,
    ) -> tuple[tuple[torch.Tensor, torch.Tensor, torch.Tensor], SparseMap]:
        """The pairs of coordinates of each edge, and what the paths are between them."""
        paths = self.get_buffer("paths").to(covariants.dtype)
        matrices = torch.nn.functional.pad(covariants, (0, 1), value=1.0) @ paths.flatten(0, 2).T
        matrices = matrices.view(-1, self.n_paths * 9)  # (edge · I² + joins): those of x ↦ U (x ⊗ e_k)
        edge, q = of_sender
        gamma = self.get_buffer("matrices").to(basis.dtype)[carrier[edge], irrep_of[q]]
        carried = torch.einsum("nij,nj->ni", gamma, basis[q])
        count = torch.bincount(edge, minlength=len(carrier))
        edge, p = of_receiver
        row, sent = ranges((count.cumsum(0) - count)[edge], count[edge])
        edge, p, q = edge[row], p[row], q[sent]
        outer = (basis.index_select(0, p)[:, :, None] * carried.index_select(0, sent)[:, None]).flatten(1)
        joins = irrep_of[p] * self.n_irreps + irrep_of[q]
        matrices = matrices.index_select(0, edge * self.n_irreps**2 + joins).view(-1, self.n_paths, 9)
        coefficient = (matrices @ outer[:, :, None])[:, :, 0]
        k = edge[:, None] * self.n_filters + self.get_buffer("filter_of_path")[joins]
        # on an axis most vanish; but their derivatives by the direction need not
        pair, t = torch.nonzero(coefficient.abs() > -1.0 * coefficient.requires_grad + 1e-9 * 1, as_tuple=True)
        kernel = SparseMap(
            pair, k[pair, t], (len(p), len(carrier) * self.n_filters), coefficient[pair, t]
        )
        return (p, q, joins), kernel

    def _products(
        self,
        covariants: torch.Tensor,
        edge: torch.Tensor,
        coordinate: torch.Tensor,
        irrep_of: torch.Tensor,
        basis: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Covariant, coordinate and their product, for all covariants of the irrep of each pair's coordinate."""
        e = torch.einsum("kdc,ec->ekd", self.get_buffer("rows").to(covariants.dtype), covariants)
        irrep = irrep_of[coordinate]
        pair, k = ranges(self.first[irrep], self.each[irrep])
        edge, coordinate = edge[pair], coordinate[pair]
        return edge * self.n_covariants + k, coordinate, (e[edge, k] * basis[coordinate]).sum(-1)


def coordinate_irreps(fixed: torch.Tensor) -> torch.Tensor:
    """(n_coordinates,) the irrep of each coordinate; ``fixed`` (n_sites, I) is how many there are."""
    irreps = torch.arange(fixed.shape[1], device=fixed.device).expand(fixed.shape)
    return irreps.flatten().repeat_interleave(fixed.flatten())


def joined(x: torch.Tensor, size: int, to: torch.Tensor, of: torch.Tensor, coefficient: torch.Tensor) -> torch.Tensor:
    """Rows of x, times coefficients, added up: (size, channels)."""
    terms = coefficient[:, None] * x.index_select(0, of)
    return x.new_zeros(size, x.shape[-1]).index_add(0, to, terms)


import os
SCALE = float(os.environ.get("SCALE", "0.3"))
class SiteConvolution(nn.Module):
    """A residual layer on invariants s_a and coordinates x_a.

        q_ab = ⟨e_k(r_ab), x_b⟩,  q_ba = ⟨e_k(r_ab), x_a⟩                      invariants of the bond
        φ, ψ, χ = Φ(s_a, s_b, h_ab, q_ab, q_ba)
        m_a  = mean over neighbours b of φ                                     gated
        y_a  = mean over neighbours b of Σ_k ψ_k e_k(r_ab) + χ_Γ ⊙ x_b
        s_a  = s_a + MLP(s_a, m_a, |y_a|²_Γ),     x_a = x_a + g_Γ(s_a) ⊙ W_Γ y_a

    Γ runs over the non-trivial irreps. As a map from x_b to y_a the kernel is Σ_kl e_k f_kl e_lᵀ + χ_Γ, equivariant
    under the group, and so in Hom_{G_ab}.

    Args:
        bonds: of the model group.
        channels: of s.
        covariants: channels of x; 0 for a layer on invariants alone.
        hidden: size of the embedded invariants h of an edge.
        first: the coordinates are still zero, as in the first layer: without q and χ.
    """

    def __init__(self, bonds: SiteCovariants, channels: int, covariants: int, hidden: int, first: bool = False) -> None:
        super().__init__()
        self.channels, self.covariants = channels, covariants
        self.n_irreps, self.n_covariants = bonds.n_irreps, bonds.n_covariants
        on_bond, on_irreps = bonds.n_covariants * covariants, bonds.n_irreps * covariants
        self.norm = nn.LayerNorm(channels)
        self.receiver = nn.Linear(channels, channels)
        self.sender = nn.Linear(channels, channels, bias=False)
        self.filter = nn.Linear(hidden, channels)
        hears = covariants > 0 and not first
        self.projections = nn.Linear(2 * on_bond, channels, bias=False) if hears else None
        self.paths = nn.Parameter(torch.randn(bonds.n_irreps**2, covariants) * SCALE) if hears else None
        self.message = nn.Linear(channels, 2 * channels + on_bond + hears * bonds.n_filters * covariants)
        self.update = mlp(2 * channels + on_irreps, 2 * channels, channels + on_irreps)
        self.mix = nn.Parameter(torch.randn(covariants, bonds.n_irreps, covariants) / max(covariants, 1) ** 0.5)

    def forward(
        self,
        s: torch.Tensor,
        x: torch.Tensor,
        hidden: torch.Tensor,
        tables: BondTables,
        edges: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
        coordinates: tuple[torch.Tensor, torch.Tensor],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One step.

        Args:
            s: (n_sites, channels).
            x: (n_coordinates, covariants).
            hidden: (n_edges, hidden) embedded invariants.
            tables: of :class:`SiteCovariants`.
            edges: receiver, sender, and the share of the receiver's neighbours that the edge stands for.
            coordinates: site and irrep of each coordinate.
        """
        receiver, sender, share = edges
        site, irrep = coordinates
        E, K, I, C = len(receiver), self.n_covariants, self.n_irreps, self.covariants
        normed = self.norm(s)
        pair = self.receiver(normed).index_select(0, receiver) + self.sender(normed).index_select(0, sender)
        pair = pair + self.filter(hidden)
        p, covariant, coefficient = tables.to_receiver
        if self.projections is not None:
            q_ab = joined(x, E * K, *tables.from_sender).view(E, -1)
            q_ba = joined(x, E * K, covariant, p, coefficient).view(E, -1)
            pair = pair + self.projections(torch.cat([q_ab, q_ba], -1))
        out = self.message(torch.nn.functional.silu(pair))
        gate, value, psi, f = out.tensor_split([self.channels, 2 * self.channels, 2 * self.channels + K * C], -1)
        m = torch.zeros_like(s).index_add(0, receiver, torch.sigmoid(gate) * value * share[:, None])

        y = joined((psi * share[:, None]).reshape(E * K, C), len(x), p, covariant, coefficient)
        if self.paths is not None:
            p, q, joins = tables.pairs
            kernel = tables.kernel((f * share[:, None]).reshape(-1, C)) * self.paths.index_select(0, joins)
            y = y.index_add(0, p, kernel * x.index_select(0, q))
        block = site * I + irrep
        norms = y.new_zeros(len(s) * I, C).index_add(0, block, y**2).view(len(s), I * C)
        ds, gates = self.update(torch.cat([normed, m, norms], -1)).split([self.channels, I * C], -1)
        mixed = torch.einsum("nc,cid->nid", y, self.mix)[torch.arange(len(x), device=x.device), irrep]
        return s + ds, x + gates.reshape(len(s) * I, C).index_select(0, block) * mixed


class TensorReadout(nn.Module):
    """From invariants and coordinates to Cartesian tensors of sites, T = A s + Σ_Γ B_Γ x_Γ.

    Args:
        group: the model group.
        representation: (|G|, w, w) how the group acts on the tensors of w components; to project onto some of them,
            such as the symmetric ones, times a projector that commutes with it.
        channels: of s.
        covariants: channels of x.
    """

    def __init__(self, group: PointGroup, representation: np.ndarray, channels: int, covariants: int) -> None:
        super().__init__()
        copies = [torch.from_numpy(intertwiners(irrep, representation)) for irrep in group.irreps]
        forms = torch.zeros(sum(map(len, copies[1:])), 3, representation.shape[1], dtype=torch.float64)
        irrep = [i for i, found in enumerate(copies[1:]) for _ in found]
        for form, found in zip(forms, (c for each in copies[1:] for c in each)):
            form[: len(found)] = found
        self.register_buffer("isotropic", copies[0][:, 0], persistent=False)
        self.register_buffer("forms", forms, persistent=False)
        self.register_buffer("irrep", torch.tensor(irrep, dtype=torch.int64), persistent=False)
        self.invariant = mlp(channels, channels, len(copies[0])) if len(copies[0]) else None
        self.covariant = nn.Linear(covariants, len(forms), bias=False) if covariants and len(forms) else None

    def forward(
        self, s: torch.Tensor, x: torch.Tensor, basis: torch.Tensor, coordinates: tuple[torch.Tensor, torch.Tensor]
    ) -> torch.Tensor:
        """(n_sites, channels), (n_coordinates, covariants), (n_coordinates, 3) → (n_sites, w)."""
        site, irrep = coordinates
        forms = self.get_buffer("forms").to(s.dtype)
        tensors = s.new_zeros(len(s), forms.shape[-1])
        if self.invariant is not None:
            tensors = tensors + self.invariant(s) @ self.get_buffer("isotropic").to(s.dtype)
        if self.covariant is not None:
            own = self.covariant(x) * (irrep[:, None] == self.get_buffer("irrep"))
            tensors = tensors.index_add(0, site, torch.einsum("pf,pd,fdw->pw", own, basis, forms))
        return tensors
