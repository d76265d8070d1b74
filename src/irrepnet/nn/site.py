"""Layers on coordinates: features x_a of a site in the subspaces that its site group fixes.

Features are (n_coordinates, channels) as in :mod:`irrepnet.nn.site_bonds`, in the non-trivial irreps of a model group;
invariants are kept apart, (n_sites, channels). What acts on invariants is shared by all model groups, what acts on
coordinates belongs to one.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import nn

from irrepnet.groups import PointGroup, intertwiners, orthonormal_copies
from irrepnet.nn.convolution import mlp
from irrepnet.nn.edges import Edges
from irrepnet.nn.kernels import neighbour_features, pair_features
from irrepnet.nn.site_bonds import BondTables, SiteBonds
from irrepnet.nn.site_tensors import TensorTables, TensorWeights


def joined(x: torch.Tensor, size: int, to: torch.Tensor, of: torch.Tensor, coefficient: torch.Tensor) -> torch.Tensor:
    """Rows of x, times coefficients, added up: (size, channels)."""
    terms = coefficient[:, None] * x.index_select(0, of)
    return x.new_zeros(size, x.shape[-1]).index_add(0, to, terms)


class SiteConvolution(nn.Module):
    """A residual layer on invariants s_a and coordinates x_a.

        q_ab = ⟨e_k(r_ab), x_b⟩,  q_ba = ⟨e_k(r_ab), x_a⟩                      invariants of the bond
        φ, ψ, f = Φ(s_a, s_b, h_ab, q_ab, q_ba)
        m_a  = mean over neighbours b of φ                                     gated
        y_a  = mean over neighbours b of Σ_k ψ_k e_k(r_ab) + Σ_α w_γα Σ_βk f_βk U^γ_αβ (x_b^α ⊗ e_k^β(r_ab))
        s_a  = s_a + MLP(s_a, m_a, s̄, |y_a|²_γ),     x_a = x_a + g_γ(s_a) ⊙ W_γ y_a

    s̄ is the mean of s over the atoms of the crystal. α and γ run over the non-trivial irreps, β over all. The kernel
    from x_b to y_a can be any in Hom_{G_ab}.

    Args:
        bonds: of each model group, by name.
        channels: of s.
        covariants: channels of x; 0 for a layer without.
        tensors: channels of the vectors and tensors; 0 for a layer without.
        hidden: size of the embedded invariants h of an edge.
        first: coordinates and tensors are still zero, as in the first layer: without q and f.
        dropout: share of the hidden features of pairs and sites that a step of training leaves out; all are invariants.
    """

    def __init__(
        self,
        bonds: Mapping[str, SiteBonds],
        channels: int,
        covariants: int,
        tensors: int,
        hidden: int,
        first: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.receiver = nn.Linear(channels, channels)
        self.sender = nn.Linear(channels, channels, bias=False)
        self.filter = nn.Linear(hidden, channels)
        self.message = nn.Linear(channels, 2 * channels)
        self.update = nn.Linear(2 * channels, 2 * channels)
        self.context = nn.Linear(channels, 2 * channels, bias=False)
        nn.init.zeros_(self.context.weight)
        self.dropout = nn.Dropout(dropout)
        self.invariant = nn.Linear(2 * channels, channels)
        self.cartesian = TensorWeights(channels, tensors, first) if tensors else None
        own = {name: CoordinateWeights(one, channels, covariants, first) for name, one in bonds.items() if covariants}
        self.own = nn.ModuleDict(own)

    def forward(
        self,
        s: torch.Tensor,
        x: torch.Tensor,
        t: torch.Tensor,
        hidden: torch.Tensor,
        tables: BondTables | None,
        tensor_tables: TensorTables,
        edges: Edges,
        coordinates: tuple[torch.Tensor, torch.Tensor],
        crystals: tuple[torch.Tensor, torch.Tensor],
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """One step, on crystals of one model group.

        Args:
            s: (n_sites, channels).
            x: (n_coordinates, covariants).
            t: (n_sites, 12, tensors), see :mod:`irrepnet.nn.site_tensors`.
            hidden: (n_edges, hidden) embedded invariants.
            tables: of :class:`irrepnet.nn.site_bonds.SiteBonds`; None for a layer without x.
            tensor_tables: of :class:`irrepnet.nn.site_tensors.SiteTensors`.
            edges: of the graph, each of a class of its own.
            coordinates: site and irrep of each coordinate.
            crystals: the crystal of each site, and the share of its atoms that the site stands for.
        """
        normed = self.norm(s)
        seen = self.filter(hidden)
        own: CoordinateWeights | None = None
        if self.own and tables is not None:
            own = self.own[tables.group]  # type: ignore[assignment]
        if own is not None and tables is not None:
            seen = seen + own.projected(x, tables, len(hidden))
        if self.cartesian is not None:
            sent, along = self.cartesian.sent(t, tensor_tables, edges)
            seen = seen + along
        pair = self.dropout(pair_features(edges, normed, self.receiver, self.sender, seen))
        (m,) = neighbour_features(edges, pair, self.message, None)
        crystal, of_atoms = crystals
        mean = torch.zeros_like(s).index_add(0, crystal, normed * of_atoms[:, None])  # no more crystals than sites
        update = self.update(torch.cat([normed, m], -1)) + self.context(mean).index_select(0, crystal)
        if own is not None and tables is not None:
            y = own.arrived(pair, edges.share, x, tables)
            update = update + own.norms(own.squares(y, len(s), coordinates))
        if self.cartesian is not None:
            arrived, norms = self.cartesian.arrived(pair, sent, tensor_tables, edges)
            update = update + self.cartesian.norms(norms)
        update = self.dropout(torch.nn.functional.silu(update))
        if own is not None:
            x = x + own.updated(y, update, coordinates)
        if self.cartesian is not None:
            t = t + self.cartesian.updated(arrived, self.cartesian.gates(update), tensor_tables, edges)
        return s + self.invariant(update), x, t


class CoordinateWeights(nn.Module):
    """What a :class:`SiteConvolution` has of one model group."""

    def __init__(self, bonds: SiteBonds, channels: int, covariants: int, first: bool) -> None:
        super().__init__()
        self.n_irreps, self.n_covariants = bonds.n_irreps, bonds.n_covariants
        self.n_filters = 0 if first else bonds.n_filters
        on_bond, on_irreps = bonds.n_covariants * covariants, bonds.n_irreps * covariants
        self.projections = None if first else nn.Linear(2 * on_bond, channels, bias=False)
        self.message = nn.Linear(channels, on_bond + self.n_filters * covariants)
        # an irrep hears all others: less of each
        self.joins = None if first else nn.Parameter(torch.randn(bonds.n_irreps**2, covariants) / bonds.n_irreps**0.5)
        self.norms = nn.Linear(on_irreps, 2 * channels, bias=False)
        self.gates = nn.Linear(2 * channels, on_irreps)
        self.mix = nn.Parameter(torch.randn(covariants, bonds.n_irreps, covariants) / covariants**0.5)

    def projected(self, x: torch.Tensor, tables: BondTables, n_edges: int) -> torch.Tensor | float:
        """What q_ab and q_ba add to the features (n_edges, channels) of the pairs."""
        if self.projections is None:
            return 0.0
        p, covariant, coefficient = tables.to_receiver
        size = n_edges * self.n_covariants
        q_ab = joined(x, size, *tables.from_sender).view(n_edges, -1)
        q_ba = joined(x, size, covariant, p, coefficient).view(n_edges, -1)
        return self.projections(torch.cat([q_ab, q_ba], -1))

    def arrived(self, pair: torch.Tensor, share: torch.Tensor, x: torch.Tensor, tables: BondTables) -> torch.Tensor:
        """y (n_coordinates, covariants), from the features of the pairs and the coordinates of the senders."""
        C = x.shape[1]
        sizes = [self.n_covariants * C, self.n_filters * C]
        psi, f = (self.message(pair) * share[:, None]).split(sizes, -1)
        p, covariant, coefficient = tables.to_receiver
        y = joined(psi.reshape(-1, C), len(x), p, covariant, coefficient)
        if self.joins is not None:
            p, q, joins = tables.pairs
            kernel = tables.kernel(f.reshape(-1, C)) * self.joins.index_select(0, joins)
            y = y.index_add(0, p, kernel * x.index_select(0, q))
        return y

    def squares(self, y: torch.Tensor, n_sites: int, coordinates: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """|y|² of each irrep at each site: (n_sites, n_irreps · covariants)."""
        norms = y.new_zeros(n_sites * self.n_irreps, y.shape[1]).index_add(0, self._block(coordinates), y**2)
        return norms.view(n_sites, -1)

    def updated(
        self, y: torch.Tensor, update: torch.Tensor, coordinates: tuple[torch.Tensor, torch.Tensor]
    ) -> torch.Tensor:
        """What is added to x, from y and the hidden features of the sites (n_sites, 2 channels)."""
        gates = self.gates(update).view(-1, y.shape[1]).index_select(0, self._block(coordinates))
        mixed = torch.einsum("nc,cid->nid", y, self.mix)
        return gates * mixed[torch.arange(len(y), device=y.device), coordinates[1]]

    def _block(self, coordinates: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """(n_coordinates,) numbers the coordinates of one irrep at one site share."""
        site, irrep = coordinates
        return site * self.n_irreps + irrep


class TensorReadout(nn.Module):
    """From invariants, coordinates and tensors D to Cartesian tensors of sites, T = A s + A_G s + Σ_Γ B_Γ x_Γ + P D.

    A makes the tensors that all model groups leave alone, A_G those that only one of them does. P projects on what the
    site group leaves alone, so that forbidden components are 0.0 and not the rounding error of D.

    Args:
        representations: of each model group, the group and (|G|, w, w) how it acts on the tensors of w components; to
            project onto some of them, such as the symmetric ones, times a projector that commutes with it.
        channels: of s.
        covariants: channels of x.
    """

    def __init__(
        self, representations: Iterable[tuple[PointGroup, np.ndarray]], channels: int, covariants: int
    ) -> None:
        super().__init__()
        every = list(representations)
        fixed = {group.name: representation.mean(0) for group, representation in every}  # projectors
        values, vectors = np.linalg.eigh(np.mean(list(fixed.values()), axis=0))
        shared = vectors[:, values > 1 - 1e-9]
        common = _basis(shared @ shared.T)
        self.register_buffer("common", torch.from_numpy(common), persistent=False)
        self.invariant = mlp(channels, channels, len(common)) if len(common) else None
        self.own = nn.ModuleDict()
        for group, representation in every:
            rest = _basis(fixed[group.name] - common.T @ common)
            self.own[group.name] = GroupTensors(group, representation, rest, channels, covariants)

    def forward(
        self,
        s: torch.Tensor,
        x: torch.Tensor,
        group: str,
        basis: torch.Tensor,
        coordinates: tuple[torch.Tensor, torch.Tensor],
        given: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """(n_sites, channels), (n_coordinates, covariants), (n_coordinates, 3), D (n_sites, w) → (n_sites, w)."""
        tensors = self.own[group](s, x, basis, coordinates, given)
        common = self.get_buffer("common").to(s.dtype)
        if self.invariant is not None:
            tensors = tensors + self.invariant(s) @ common
        return tensors if given is None else tensors + given @ common.T @ common


class GroupTensors(nn.Module):
    """What a :class:`TensorReadout` makes for one model group: A_G s + Σ_Γ B_Γ x_Γ + P D but for what A makes.

    Args:
        group, representation, channels, covariants: see there.
        isotropic: (n, w) orthonormal, the tensors that s makes.
    """

    def __init__(
        self, group: PointGroup, representation: np.ndarray, isotropic: np.ndarray, channels: int, covariants: int
    ) -> None:
        super().__init__()
        copies = [torch.from_numpy(intertwiners(irrep, representation)) for irrep in group.irreps[1:]]
        forms = torch.zeros(sum(map(len, copies)), 3, representation.shape[1], dtype=torch.float64)
        irrep = [i for i, found in enumerate(copies) for _ in found]
        for form, found in zip(forms, (c for each in copies for c in each)):
            form[: len(found)] = found
        self.register_buffer("isotropic", torch.from_numpy(isotropic), persistent=False)
        self.register_buffer("forms", forms, persistent=False)
        self.register_buffer("irrep", torch.tensor(irrep, dtype=torch.int64), persistent=False)
        self.invariant = mlp(channels, channels, len(isotropic)) if len(isotropic) else None
        self.covariant = nn.Linear(covariants, len(forms), bias=False) if covariants and len(forms) else None

    def forward(
        self,
        s: torch.Tensor,
        x: torch.Tensor,
        basis: torch.Tensor,
        coordinates: tuple[torch.Tensor, torch.Tensor],
        given: torch.Tensor | None,
    ) -> torch.Tensor:
        site, irrep = coordinates
        forms, isotropic = (self.get_buffer(name).to(s.dtype) for name in ("forms", "isotropic"))
        tensors = s.new_zeros(len(s), forms.shape[-1])
        if self.invariant is not None:
            tensors = tensors + self.invariant(s) @ isotropic
        # an orthonormal basis of what the site group allows, but for the trivial irrep
        is_own = irrep[:, None] == self.get_buffer("irrep")
        allowed = torch.einsum("pd,fdw,pf->pfw", basis, forms, is_own.to(s.dtype))
        if self.covariant is not None:
            tensors = tensors.index_add(0, site, torch.einsum("pf,pfw->pw", self.covariant(x), allowed))
        if given is None:
            return tensors
        own = torch.einsum("pfw,pw->pf", allowed, given.index_select(0, site))
        tensors = tensors.index_add(0, site, torch.einsum("pf,pfw->pw", own, allowed))
        return tensors + given @ isotropic.T @ isotropic


def _basis(projector: np.ndarray) -> np.ndarray:
    """(n, w) orthonormal, of the space that a symmetric projector (w, w) leaves: always the same one."""
    return orthonormal_copies(projector[:, None], np.ones((1, 1, 1)))[:, 0]
