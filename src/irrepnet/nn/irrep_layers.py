"""The filter layer in the irrep form: v^γ ← Σ_b Σ_αβ U^γ_αβ F^β(r_ab) v_b^α, with no cut in rotational order."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from irrepnet.groups import O3Irrep, PointGroup
from irrepnet.nn.gate import Gate
from irrepnet.nn.group import Pointwise
from irrepnet.nn.irreps import Irreps
from irrepnet.nn.linear import Linear
from irrepnet.nn.product import CoupledProduct


def each_irrep(group: PointGroup) -> Irreps:
    """Every irrep once."""
    return Irreps(group, " + ".join(irrep.label for irrep in group.irreps))


def acted(irreps: Irreps, matrices: Mapping[str, torch.Tensor], v: torch.Tensor) -> torch.Tensor:
    """Features v (n, irreps.dim), each with a matrix of its own for every irrep: by label (n, d, d)."""
    blocks = [
        (own.unflatten(1, (copies, irrep.dim)) @ matrices[irrep.label].mT).flatten(1)
        for (copies, irrep), own in zip(irreps, v.split(irreps.sizes, 1))
    ]
    return torch.cat(blocks, 1)


class IrrepFilter(nn.Module):
    """F^β(r) = Σ_k f_k(I(r)) e_k^β(r) for every irrep β: invariants times generators of the covariants.

    That is every map with F(g r) = Γ(g) F(r). The trivial irrep has the one generator 1, for its secondary invariants
    are among the I; an irrep of complex type has also the partners J e_k.

    Args:
        group: the point group.
        hidden: size of the embedded invariants I, which are linearly mapped to the f.
    """

    def __init__(self, group: PointGroup, hidden: int) -> None:
        super().__init__()
        self.irreps = each_irrep(group)
        generators, start = [(0, 0, torch.ones(1, 1))], 1  # first component, first covariant, matrix
        for (_, irrep), rows in zip(list(self.irreps)[1:], self.irreps.slices[1:]):
            for _ in group.covariants(irrep.label).degrees:
                generators += [(rows.start, start, torch.from_numpy(j.copy())) for j in irrep.commutant]
                start += irrep.dim
        maps = torch.zeros(len(generators), self.irreps.dim, start, dtype=torch.float64)
        for one, (row, column, matrix) in zip(maps, generators):
            one[row : row + len(matrix), column : column + len(matrix)] = matrix
        self.register_buffer("maps", maps, persistent=False)
        self.coefficients = nn.Linear(hidden, len(generators))

    def forward(self, hidden: torch.Tensor, covariants: torch.Tensor) -> torch.Tensor:
        """(n, hidden) and the covariants of :class:`irrepnet.nn.DirectionBasis` → (n, irreps.dim)."""
        seen = torch.nn.functional.pad(covariants, (1, 0), value=1.0)
        e = torch.einsum("nc,kdc->nkd", seen, self.get_buffer("maps").to(seen.dtype))
        return (self.coefficients(hidden)[:, :, None] * e).sum(1)


@dataclass(frozen=True)
class IrrepBonds:
    """The bonds of sites, of which a layer needs no more.

    Attributes:
        receiver, sender: (n_edges,) sites.
        share: (n_edges, 1) of the receiver's neighbours, for which the edge stands.
        hidden: (n_edges, hidden) embedded invariants.
        covariants: (n_edges, n) of the directions, see :class:`irrepnet.nn.DirectionBasis`.
        carry: by irrep (n_edges, d, d), from the sender to the atom of its orbit that sends.
        fix: by irrep (n_sites, d, d), the projector onto what the site group fixes.
    """

    receiver: torch.Tensor
    sender: torch.Tensor
    share: torch.Tensor
    hidden: torch.Tensor
    covariants: torch.Tensor
    carry: Mapping[str, torch.Tensor]
    fix: Mapping[str, torch.Tensor]


class IrrepConvolution(nn.Module):
    """One layer of the network in irreps, from features v_b of neighbours to those of atoms.

        m_a^γ = W₁ Σ_b w_ab Σ_αβ U^γ_αβ (v_b^α ⊗ F^β(r_ab))      Dirl's coefficients; w_ab add up to 1
        v_a   = v_a + gate(W₂ [v_a, m_a])                        W₁, W₂, … join equal irreps only
        v_a   = v_a + W₄ f(W₃ v_a)                               f acts pointwise, on functions on the group

    Args:
        irreps_in: of v_b.
        irreps_out: of the result.
        hidden: size of the embedded invariants of an edge.
        functions: channels of the functions on the group.
    """

    def __init__(self, irreps_in: Irreps, irreps_out: Irreps, hidden: int, functions: int) -> None:
        super().__init__()
        group = irreps_out.group
        self.irreps_in, self.irreps_out = irreps_in, irreps_out
        self.filter = IrrepFilter(group, hidden)
        self.product = CoupledProduct(irreps_in, self.filter.irreps, irreps_out)
        self.gate = Gate(irreps_out)
        self.keep = Linear(irreps_in, irreps_out)
        self.gated = Linear(irreps_in + irreps_out, self.gate.irreps_in, bias=True)
        regular = Irreps.regular(group, functions)
        self.to_group = Linear(irreps_out, regular, bias=True)
        self.pointwise = Pointwise(group, functions)
        self.from_group = Linear(regular, irreps_out)

    def forward(self, v: torch.Tensor, bonds: IrrepBonds) -> torch.Tensor:
        """(n_sites, irreps_in.dim) → (n_sites, irreps_out.dim)."""
        sent = acted(self.irreps_in, bonds.carry, v.index_select(0, bonds.sender))
        coupled = self.product.coupled(sent, self.filter(bonds.hidden, bonds.covariants)) * bonds.share
        coupled = coupled.new_zeros(len(v), coupled.shape[1]).index_add(0, bonds.receiver, coupled)
        m = acted(self.irreps_out, bonds.fix, self.product.mixed(coupled))
        v = self.keep(v) + self.gate(self.gated(torch.cat([v, m], 1)))
        return v + self.from_group(self.pointwise(self.to_group(v)))


class O3Readout(nn.Module):
    """From features in irreps of a point group to an irrep l± of O(3), of which the group's irreps are parts.

    Args:
        irreps_in: of the features.
        irrep: of the result.
        copies: of it.
    """

    def __init__(self, irreps_in: Irreps, irrep: O3Irrep, copies: int) -> None:
        super().__init__()
        group = irreps_in.group
        parts = group.subduce(irrep.l, irrep.parity)
        self.copies = copies
        self.linear = Linear(irreps_in, Irreps(group, " + ".join(f"{copies * len(b)}x{g}" for g, b in parts.items())))
        for label, basis in parts.items():
            self.register_buffer(f"basis_{label}", torch.from_numpy(basis.copy()), persistent=False)

    def forward(self, v: torch.Tensor) -> torch.Tensor:
        """(n, irreps_in.dim) → (n, 2l+1, copies)."""
        x, parts = self.linear(v), []
        for (_, irrep), rows in zip(self.linear.irreps_out, self.linear.irreps_out.slices):
            basis = self.get_buffer(f"basis_{irrep.label}").to(v.dtype)
            own = x[:, rows].unflatten(1, (self.copies, -1, irrep.dim))
            parts.append(torch.einsum("nucd,cdm->nmu", own, basis))
        return torch.stack(parts).sum(0)
