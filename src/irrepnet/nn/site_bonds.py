"""What the bonds of a site graph say of coordinates: the covariants of their directions, and all equivariant kernels.

A *coordinate* is one vector b of the orthonormal basis of a subspace that a site group fixes (see
:mod:`irrepnet.graphs.sites`); features are (n_coordinates, channels). A kernel K(r) from irrep α to irrep γ with
K(g r) = Γ^γ(g) K(r) Γ^α(g)ᵀ is

    K(r) x = Σ_βk f_βk(I(r)) Σ_ij U^γ_{αi,βj} x_i e_k^β(r)_j,

with U the coupling coefficients, e_k^β the generators of the covariants and f any functions of the invariants: these
are all of them. Between coordinates p of the receiver and q of the sender, carried over by an element s of the group,
there is the number b_p · K(r) Γ(s) b_q, of which the factors of the f are made here, once for all layers.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from irrepnet.errors import IrrepnetError
from irrepnet.groups import Irrep, PointGroup
from irrepnet.nn.filters import DirectionBasis
from irrepnet.nn.sparse import SparseMap


@dataclass(frozen=True)
class BondTables:
    """How coordinates, covariants and filters of bonds are joined; E edges, K covariants and F filters each.

    Attributes:
        group: name of the model group.
        invariants: (E, n_invariants) of the directions.
        to_receiver: coordinate, covariant (edge · K + k) and coefficient ⟨b_p, e_k(r)⟩ of the receiver's coordinates p.
        from_sender: covariant, coordinate and coefficient ⟨Γ(s) b_q, e_k(r)⟩ of the sender's coordinates q.
        pairs: coordinates p of the receiver and q of the sender of an edge, and the irreps γ · I + α that they join.
        kernel: from the filters (edge · F + f) to b_p · K(r) Γ(s) b_q of the pairs.
    """

    group: str
    invariants: torch.Tensor
    to_receiver: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
    from_sender: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
    pairs: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
    kernel: SparseMap


class SiteBonds(nn.Module):
    """Makes :class:`BondTables` for a model group.

    Covariants are the generators of :meth:`PointGroup.covariants` of all non-trivial irreps, of an irrep of complex
    type also their partners J e_k. Filters are functions f of the invariants: one for each irrep that stays what it is
    (β trivial), one for each generator; where a coupling has several copies, a set of them for each.

    Args:
        group: the model group.

    Attributes:
        n_irreps, n_covariants, n_filters: I, K and F.
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
        self.group = group
        self.direction = DirectionBasis(group)
        self.n_invariants = self.direction.n_invariants
        irreps = group.irreps[1:]
        generators = _generators(group, self.direction.n_covariants)
        rows = [matrix @ row for irrep, row in generators for matrix in _tensor(irrep.commutant)]
        each = [sum(len(irrep.commutant) for irrep, _ in generators if irrep is one) for one in irreps]
        self.n_irreps, self.n_covariants = len(irreps), len(rows)

        number = {irrep.label: i for i, irrep in enumerate(irreps)}
        maps = [_maps(group, gamma, alpha, number, generators) for gamma in irreps for alpha in irreps]
        self.n_maps, set_size = max(map(len, maps)), len(irreps) + len(generators)
        self.n_filters = set_size * (1 + max(copy for found in maps for copy, _, _ in found))
        filters = torch.zeros(len(maps), self.n_maps, dtype=torch.int64)
        kernels = torch.zeros(len(maps), self.n_maps, 3, 3, 1 + self.direction.n_covariants, dtype=torch.float64)
        for pair, found in enumerate(maps):
            for k, (copy, which, matrix) in enumerate(found):
                filters[pair, k] = copy * set_size + which
                kernels[pair, k, : matrix.shape[0], : matrix.shape[1]] = matrix
        matrices = torch.zeros(group.order, len(irreps), 3, 3, dtype=torch.float64)
        for i, irrep in enumerate(irreps):
            matrices[:, i, : irrep.dim, : irrep.dim] = _tensor(irrep.matrices)
        padded = [torch.nn.functional.pad(row, (0, 0, 0, 3 - len(row))) for row in rows]
        self.register_buffer("rows", torch.stack(padded), persistent=False)
        self.register_buffer("each", torch.tensor(each), persistent=False)
        self.register_buffer("first", self.each.cumsum(0) - self.each, persistent=False)
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("kernels", kernels.flatten(0, 3).T.contiguous(), persistent=False)
        self.register_buffer("matrices", matrices, persistent=False)
        self.register_buffer("operations", _tensor(group.operations), persistent=False)

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
            group=self.group.name,
            invariants=invariants,
            to_receiver=(at, covariant, coefficient),
            from_sender=self._products(self.direction(back)[1], *of_sender, irrep_of, basis),
            pairs=pairs,
            kernel=kernel,
        )

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

    def _kernel(
        self,
        covariants: torch.Tensor,
        carrier: torch.Tensor,
        of_receiver: tuple[torch.Tensor, torch.Tensor],
        of_sender: tuple[torch.Tensor, torch.Tensor],
        irrep_of: torch.Tensor,
        basis: torch.Tensor,
    ) -> tuple[tuple[torch.Tensor, torch.Tensor, torch.Tensor], SparseMap]:
        """The pairs of coordinates of each edge, and b_p · U (Γ(s) b_q ⊗ e_k(r)) for each map between their irreps."""
        edge, q = of_sender
        gamma = self.get_buffer("matrices").to(basis.dtype)[carrier[edge], irrep_of[q]]
        carried = (gamma @ basis[q][:, :, None])[:, :, 0]
        count = torch.bincount(edge, minlength=len(carrier))
        edge, p = of_receiver
        row, sent = ranges((count.cumsum(0) - count)[edge], count[edge])
        edge, p, q = edge[row], p[row], q[sent]
        joins = irrep_of[p] * self.n_irreps + irrep_of[q]

        seen = torch.nn.functional.pad(covariants, (1, 0), value=1.0)  # the constant comes first
        matrices = (seen @ self.get_buffer("kernels").to(seen.dtype)).view(-1, self.n_maps * 9)
        matrices = matrices.index_select(0, edge * self.n_irreps**2 + joins).view(-1, self.n_maps, 9)
        outer = (basis.index_select(0, p)[:, :, None] * carried.index_select(0, sent)[:, None]).view(-1, 9, 1)
        coefficient = (matrices @ outer)[:, :, 0]
        # what vanishes, as most does on an axis, is left out; its derivative by the direction need not vanish
        least = -1.0 if coefficient.requires_grad else 1e-9
        pair, k = torch.nonzero(coefficient.abs() > least, as_tuple=True)
        column = (edge * self.n_filters).index_select(0, pair) + self.get_buffer("filters")[joins[pair], k]
        shape = (len(p), len(carrier) * self.n_filters)
        return (p, q, joins), SparseMap(pair, column, shape, coefficient[pair, k])


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.copy())


def _generators(group: PointGroup, size: int) -> list[tuple[Irrep, torch.Tensor]]:
    """The generators of the covariants of all non-trivial irreps, each (d, size) of the directions' covariants."""
    found, start = [], 0
    for irrep in group.irreps[1:]:
        for _ in group.covariants(irrep.label).degrees:
            row = torch.zeros(irrep.dim, size, dtype=torch.float64)
            row[:, start : start + irrep.dim] = torch.eye(irrep.dim)
            found.append((irrep, row))
            start += irrep.dim
    return found


def _maps(
    group: PointGroup,
    gamma: Irrep,
    alpha: Irrep,
    number: dict[str, int],
    generators: list[tuple[Irrep, torch.Tensor]],
) -> list[tuple[int, int, torch.Tensor]]:
    """All maps x ↦ U (x ⊗ e_k(r)) from α to γ.

    Each is the number of the copy, that of the filter in its set, and (d_γ, d_α, 1 + n) for the n covariants of the
    directions, with the constant before them.
    """
    found = []
    if gamma is alpha:
        for copy, matrix in enumerate(_tensor(gamma.commutant)):
            found.append((copy, number[gamma.label], matrix[:, :, None]))
    for k, (beta, row) in enumerate(generators):
        coupling = group.coupling(alpha.label, beta.label, gamma.label)
        every = np.einsum("cmn,unij->ucmij", gamma.commutant, coupling).reshape(-1, *coupling.shape[1:])
        scale = (alpha.dim * beta.dim / gamma.dim) ** 0.5  # components of unit variance stay so
        for copy, matrix in enumerate(_tensor(every * scale)):
            found.append((copy, len(number) + k, torch.nn.functional.pad(matrix @ row, (1, 0))))
    size = 1 + generators[0][1].shape[1]
    return [(copy, which, torch.nn.functional.pad(m, (0, size - m.shape[-1]))) for copy, which, m in found]


def ranges(start: torch.Tensor, count: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The numbers start_i, …, start_i + count_i − 1 of every i: (owners i, numbers)."""
    owner = torch.repeat_interleave(count)
    offset = start - (count.cumsum(0) - count)
    return owner, offset[owner] + torch.arange(len(owner), device=count.device)


def coordinate_irreps(fixed: torch.Tensor) -> torch.Tensor:
    """(n_coordinates,) the irrep of each coordinate; ``fixed`` (n_sites, I) is how many there are."""
    irreps = torch.arange(fixed.shape[1], device=fixed.device).expand(fixed.shape)
    return irreps.flatten().repeat_interleave(fixed.flatten())
