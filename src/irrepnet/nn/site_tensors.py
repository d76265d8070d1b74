"""Polar vectors and 3×3 tensors of sites, by weights that all model groups share.

A site has ``tensors`` channels of a vector v and a general tensor M, irreps 1o and 0e + 1e + 2e of O(3), kept as one
array (n_sites, 12, tensors): v, then the rows of M. The site group leaves them alone, as the projectors see to.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import nn

from irrepnet.groups import PointGroup, intertwiners
from irrepnet.nn.edges import Edges
from irrepnet.nn.site_kernels import ArrivedTensors, SentTensors, UpdatedTensors, takes_tensors

WIDTH = 12
"""Components of a vector and a tensor."""


@dataclass(frozen=True)
class TensorTables:
    """How the tensors of sites are seen along bonds; made once for all layers.

    Attributes:
        unit: (n_edges, 3) the direction r̂ from receiver to sender.
        operation: (n_edges, 3, 3) from the sender's site to the sender atom.
        allowed: (n_sites, 12, 12) the projector on what the site group leaves alone.
    """

    unit: torch.Tensor
    operation: torch.Tensor
    allowed: torch.Tensor

    @cached_property
    def seen(self) -> torch.Tensor:
        """(n_edges, 3, 12) rows whose products with (v, M) are r̂·v, r̂·M r̂ and tr M."""
        square = (self.unit[:, :, None] * self.unit[:, None]).flatten(1)
        trace = torch.eye(3).to(self.unit).flatten().expand_as(square)
        zero = torch.zeros_like(self.unit)
        rows = ((self.unit, torch.zeros_like(square)), (zero, square), (zero, trace))
        return torch.stack([torch.cat(row, 1) for row in rows], 1)

    @cached_property
    def carried(self) -> torch.Tensor:
        """(n_edges, 12, 12) the operation on (v, M)."""
        pair = torch.einsum("eij,ekl->eikjl", self.operation, self.operation).flatten(3, 4).flatten(1, 2)
        matrices = pair.new_zeros(len(pair), WIDTH, WIDTH)
        matrices[:, :3, :3], matrices[:, 3:, 3:] = self.operation, pair
        return matrices


class SiteTensors(nn.Module):
    """Makes :class:`TensorTables` for a model group."""

    def __init__(self, group: PointGroup) -> None:
        super().__init__()
        pair = np.einsum("gij,gkl->gikjl", group.operations, group.operations).reshape(-1, 9, 9)
        matrices = np.zeros((group.order, WIDTH, WIDTH))
        matrices[:, :3, :3], matrices[:, 3:, 3:] = group.operations, pair
        copies = [intertwiners(irrep, matrices) for irrep in group.irreps[1:]]
        forms = [np.pad(form, ((0, 3 - len(form)), (0, 0))) for found in copies for form in found]
        irrep = [i for i, found in enumerate(copies) for _ in found]
        self.register_buffer("operations", torch.from_numpy(group.operations.copy()), persistent=False)
        self.register_buffer("always", torch.from_numpy(matrices.mean(0)), persistent=False)
        self.register_buffer("forms", torch.from_numpy(np.stack(forms)), persistent=False)
        self.register_buffer("irrep", torch.tensor(irrep), persistent=False)

    def forward(
        self,
        unit: torch.Tensor,
        carrier: torch.Tensor,
        basis: torch.Tensor,
        coordinates: tuple[torch.Tensor, torch.Tensor],
        n_sites: int,
    ) -> TensorTables:
        """r̂ (n_edges, 3), the element (n_edges,) that carries the sender, and the coordinates with their basis."""
        operations, always, forms = (self.get_buffer(name).to(unit.dtype) for name in ("operations", "always", "forms"))
        site, irrep = coordinates
        own = (irrep[:, None] == self.get_buffer("irrep")).to(unit.dtype)
        rows = torch.einsum("pd,fdw,pf->pfw", basis, forms, own)
        allowed = always.expand(n_sites, -1, -1).index_add(0, site, rows.mT @ rows)
        return TensorTables(unit.contiguous(), operations[carrier], allowed)


class TensorMix(nn.Module):
    """Mixes channels, of each irrep by itself: v, and the isotropic, antisymmetric and traceless part of M."""

    N_PARTS = 4

    def __init__(self, tensors: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(self.N_PARTS, tensors, tensors) / tensors**0.5)

    def forward(self, parts: torch.Tensor) -> torch.Tensor:
        """(n, 4, 12, tensors) → (n, 12, tensors)."""
        return torch.einsum("nkic,kcd->nid", parts, self.weight)


class TensorWeights(nn.Module):
    """What a :class:`irrepnet.nn.site.SiteConvolution` has of the tensors of sites.

        y_a^v = mean over neighbours b of φ₁ r̂ + φ₂ v_b + φ₃ M_b r̂
        y_a^M = mean over neighbours b of φ₄ r̂ ⊗ r̂ + φ₅ M_b + φ₆ v_b ⊗ r̂ + φ₇ r̂ ⊗ v_b
        (v, M)_a = (v, M)_a + g ⊙ (W y + (W′y)(W″y)),   (v, M)(v′, M′) = (M v′, M M′ + v ⊗ v′)

    with φ_k functions of the invariants of the pair, g of those of the site, one for each irrep.

    Args:
        channels: of the invariants.
        tensors: channels of v and M.
        first: these are still zero, as in the first layer.
    """

    def __init__(self, channels: int, tensors: int, first: bool) -> None:
        super().__init__()
        self.projections = None if first else nn.Linear(6 * tensors, channels, bias=False)
        self.message = nn.Linear(channels, (2 if first else 7) * tensors)
        self.norms = nn.Linear(TensorMix.N_PARTS * tensors, 2 * channels, bias=False)
        self.gates = nn.Linear(2 * channels, TensorMix.N_PARTS * tensors)
        self.mix, self.left, self.right = (TensorMix(tensors) for _ in range(3))

    def sent(
        self, t: torch.Tensor, tables: TensorTables, edges: Edges
    ) -> tuple[torch.Tensor | None, torch.Tensor | float]:
        """(n_edges, 12, tensors), the tensors of the sender atoms, if they are not zero; and what both ends' tensors
        along the bond add to the features (n_edges, channels) of the pairs."""
        if self.projections is None:
            return None, 0.0
        if takes_tensors(t, tables.unit, edges):
            sent, along = SentTensors.apply(edges, tables.unit, tables.operation, t)  # type: ignore[misc]
        else:
            sent = tables.carried @ t.index_select(0, edges.sender)
            both = [tables.seen @ sent, tables.seen @ t.index_select(0, edges.receiver)]
            along = torch.cat(both, 1).flatten(1)
        return sent, self.projections(along)

    def arrived(
        self, pair: torch.Tensor, sent: torch.Tensor | None, tables: TensorTables, edges: Edges
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """y (n_sites, 12, tensors), and the squared norms of its parts (n_sites, 4 · tensors)."""
        f = self.message(pair)
        if takes_tensors(f, tables.unit, edges):
            return ArrivedTensors.apply(edges, tables.unit, tables.allowed, f, sent)  # type: ignore[return-value]
        r = tables.unit[:, :, None]
        E, C = len(f), f.shape[1] // (2 if sent is None else 7)
        phi = f.view(E, -1, 1, C)
        square = (r * r.mT).flatten(1)[:, :, None]
        vector, matrix = phi[:, 0] * r, phi[:, 1] * square
        if sent is not None:
            v, M = sent[:, :3], sent[:, 3:].view(E, 3, 3, C)
            vector = vector + phi[:, 2] * v + phi[:, 3] * (M * r[:, None]).sum(2)
            outer = phi[:, 5, :, None] * v[:, :, None] * r[:, None] + phi[:, 6, :, None] * r[:, :, None] * v[:, None]
            matrix = matrix + phi[:, 4] * sent[:, 3:] + outer.flatten(1, 2)
        mean = edges.mean(torch.cat([vector, matrix], 1).flatten(1)).view(-1, WIDTH, C)
        y = tables.allowed @ mean
        return y, norms_of(parts_of(y))

    def updated(self, y: torch.Tensor, gates: torch.Tensor, tables: TensorTables, edges: Edges) -> torch.Tensor:
        """What is added to (v, M): (n_sites, 12, tensors)."""
        if takes_tensors(y, tables.unit, edges):
            weights = (self.mix.weight, self.left.weight, self.right.weight)
            return UpdatedTensors.apply(y, gates, *weights)  # type: ignore[return-value]
        parts = parts_of(y)
        left, right = self.left(parts), self.right(parts)
        n, _, C = left.shape
        (v, M), (w, N) = ((one[:, :3], one[:, 3:].view(n, 3, 3, C)) for one in (left, right))
        vector = (M * w[:, None]).sum(2)
        matrix = torch.einsum("nijc,njkc->nikc", M, N) + v[:, :, None] * w[:, None]
        product = torch.cat([vector, matrix.flatten(1, 2)], 1)
        return (parts_of(self.mix(parts) + product) * gates.view(n, -1, 1, C)).sum(1)


def parts_of(t: torch.Tensor) -> torch.Tensor:
    """(n, 12, tensors) → (n, 4, 12, tensors): v, and the isotropic, antisymmetric and traceless part of M."""
    n, _, C = t.shape
    M = t[:, 3:].view(n, 3, 3, C)
    isotropic = torch.einsum("niic->nc", M)[:, None, None] / 3 * torch.eye(3).to(t)[:, :, None]
    antisymmetric = (M - M.transpose(1, 2)) / 2
    traceless = M - antisymmetric - isotropic
    none = torch.zeros_like(t[:, :3])
    found = [torch.cat([none, part.flatten(1, 2)], 1) for part in (isotropic, antisymmetric, traceless)]
    return torch.stack([torch.cat([t[:, :3], torch.zeros_like(t[:, 3:])], 1), *found], 1)


def norms_of(parts: torch.Tensor) -> torch.Tensor:
    """(n, 4, 12, tensors) → (n, 4 · tensors) squared norms of the parts; of the isotropic one the trace over √3."""
    squares = parts.square().sum(2)
    trace = parts[:, 1, [3, 7, 11]].sum(1) / 3**0.5
    return torch.stack([squares[:, 0], trace, squares[:, 2], squares[:, 3]], 1).flatten(1)


class TensorTotals(nn.Module):
    """Sums over the channels as tensors of a kind, by weights that begin small.

    Args:
        tensors: channels.
        projector: (3, 3) for vectors or (9, 9) on a kind of tensors among those of rank 2.
    """

    def __init__(self, tensors: int, projector: torch.Tensor) -> None:
        super().__init__()
        self.rank = 1 if len(projector) == 3 else 2
        self.register_buffer("projector", projector, persistent=False)
        self.weight = nn.Parameter(0.01 * torch.randn(TensorMix.N_PARTS, tensors))

    def forward(self, t: torch.Tensor) -> torch.Tensor:
        """(n_sites, 12, tensors) → (n_sites, 3^rank)."""
        total = torch.einsum("nkic,kc->ni", parts_of(t), self.weight)
        return total[:, :3] if self.rank == 1 else total[:, 3:] @ self.get_buffer("projector").to(t)
