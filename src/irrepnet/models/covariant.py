"""The light O(3)-covariant network: an invariant body, and a covariant readout over bonds."""

from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import nn

from irrepnet.errors import IrrepnetError
from irrepnet.graphs import VectorGraphOptions
from irrepnet.graphs.vectors import VectorForm
from irrepnet.groups import O3Irrep, O3Irreps
from irrepnet.models.network import NetworkConfig
from irrepnet.nn.convolution import GroupConvolution, convolved, mlp
from irrepnet.nn.covariants import BondCovariants
from irrepnet.nn.edges import Edges
from irrepnet.nn.elements import ElementEmbedding
from irrepnet.nn.harmonics import Harmonics
from irrepnet.nn.o3 import Features, FixedMean, GroupMean
from irrepnet.nn.pooling import MeanSpread, pooled_numbers
from irrepnet.nn.radial import GaussianBasis
from irrepnet.nn.sets import members, shares

if TYPE_CHECKING:
    from irrepnet.graphs import VectorGraph


class CovariantConfig(NetworkConfig, frozen=True):
    """What a :class:`CovariantNet` is made of."""

    reads: ClassVar = VectorGraphOptions
    makes_tensors: ClassVar = True

    name: Literal["covariant"] = "covariant"
    channels: int = Field(default=64, ge=1, description="invariant features of an atom")
    layers: int = Field(default=3, ge=0, description="convolutions")
    l_max: int = Field(default=4, ge=1, le=6, description="largest l of the moments of bonds")
    moment_channels: int = Field(default=16, ge=1, description="moments of each l")
    isotropic: bool = Field(default=False, description="invariant outputs only: the other parts of tensors are zero")
    one_hot: bool = Field(
        default=False,
        description="the operations of the crystal's point group as an input; in the asymmetric unit only",
    )
    form: VectorForm = Field(default="asymmetric-unit", description="nodes are orbits, or atoms: equal results")

    @property
    def graph_fields(self) -> dict[str, Any]:
        """The fields of :class:`irrepnet.graphs.VectorGraphOptions` that the network fixes."""
        return {"form": self.form}

    def network(self, outputs: int, options: Any, irreps_out: O3Irreps | None = None) -> nn.Module:
        return CovariantNet(self, outputs, options, irreps_out)


class Bonds(NamedTuple):
    """What a readout knows of the bonds of a batch, and of the atoms' surroundings.

    Attributes:
        hidden: (n_edges, channels) the embedded distance.
        harmonics: (n_edges, (l_max + 1)² − 1) summed over the neighbours that an edge stands for.
        inverse_count: (n_nodes, 1) one over the number of neighbours.
    """

    hidden: torch.Tensor
    harmonics: torch.Tensor
    inverse_count: torch.Tensor


class CovariantReadout(nn.Module):
    """Covariants of crystals from invariant features of their atoms, whatever network made these.

    Irreps other than the trivial one occur here alone (:class:`irrepnet.nn.covariants.BondCovariants`). It runs on the
    nodes of a batch and does not know whether they are the atoms or the orbits: the results are equal.

    Args:
        channels: invariant features of an atom.
        l_max, size: largest l of the moments of bonds, and how many there are of each.
        cutoff: the largest distance that it resolves, Å.
        irreps_out: that are wanted, 0e not among them.

    Raises:
        IrrepnetError: an irrep that no product of two moments reaches.
    """

    def __init__(self, channels: int, l_max: int, size: int, cutoff: float, irreps_out: O3Irreps) -> None:
        super().__init__()
        self.distance = GaussianBasis(0.5, cutoff, 32)
        self.relative = GaussianBasis(0.5, 6.0, 16)  # distance over the nearest neighbour's, times 3
        self.edge = nn.Sequential(mlp(32 + 16, channels, channels), nn.SiLU())
        self.harmonics = Harmonics(l_max)
        natural = [O3Irrep.natural(l) for l in range(1, l_max + 1)]
        self.site_mean = nn.ModuleList(GroupMean([irrep]) for irrep in natural)
        self.widths = [irrep.dim for irrep in natural]
        self.receiver = nn.Linear(channels, channels)
        self.sender = nn.Linear(channels, channels, bias=False)
        self.bond = nn.Linear(channels, channels, bias=False)
        self.covariant = BondCovariants(channels, l_max, size, irreps_out)
        self.crystal_mean = FixedMean(irreps_out)

    def bonds(self, batch: "VectorGraph[torch.Tensor]") -> Bonds:
        length = batch.vector.norm(dim=-1)
        relative = self.relative(3 * length / batch.nearest[batch.receiver])
        hidden = self.edge(torch.cat([self.distance(length), relative], -1))
        count = torch.zeros_like(batch.nearest).index_add(0, batch.receiver, batch.weight)
        return Bonds(hidden, self._orbit_sums(batch, length), 1 / count[:, None])

    def _orbit_sums(self, batch: "VectorGraph[torch.Tensor]", length: torch.Tensor) -> torch.Tensor:
        """(n_edges, n_harmonics) Y summed over the orbit of the edge under its receiver's site group."""
        harmonics = self.harmonics(batch.vector / length[:, None]) * batch.weight[:, None]
        site = batch.site_group[batch.receiver]
        groups = shares(batch.sets, harmonics.dtype)
        parts = [
            (mean(groups)[site] @ part[:, :, None])[:, :, 0]
            for mean, part in zip(self.site_mean, harmonics.split(self.widths, 1))
        ]
        return torch.cat(parts, 1)

    def covariant_features(self, x: torch.Tensor, bonds: Bonds, batch: "VectorGraph[torch.Tensor]") -> Features:
        """From x (n_nodes, channels), by irrep: (n_nodes, 2l+1, copies), in the crystal's standard frame."""
        pair = self.receiver(x).index_select(0, batch.receiver) + self.sender(x).index_select(0, batch.sender)
        pair = torch.nn.functional.silu(pair + self.bond(bonds.hidden))
        return self.covariant(x, pair, bonds.harmonics, batch.receiver, bonds.inverse_count)

    def covariants(self, x: Features, batch: "VectorGraph[torch.Tensor]") -> Features:
        """By irrep, (n_crystals, 2l+1, copies): mean over the atoms, exactly in Fix_P, in the standard frame."""
        return self.crystal_mean(
            x,
            shares(batch.sets, batch.vector.dtype)[batch.crystal_group],
            batch.crystal,
            batch.size,
            batch.multiplicity,
        )


class CovariantNet(CovariantReadout):
    """Invariant message passing with lengths of moments, and covariants made of the bonds at the end.

    The body is the part of :class:`irrepnet.models.PointGroupNet` that all groups share, and costs about as much as a
    network on distances.

    Args:
        config: see :class:`CovariantConfig`.
        outputs: invariant numbers a crystal.
        options: of the graphs, of which it takes the cutoff as the largest distance that it resolves.
        irreps_out: of :meth:`covariants`, such as "2x2e+1x4e"; e3nn's notation, no irrep twice.

    Raises:
        IrrepnetError: ``irreps_out`` is not to be read, or has an irrep that no product of two moments reaches; or
            invariant outputs alone are asked for and there are none.
    """

    def __init__(
        self,
        config: CovariantConfig,
        outputs: int,
        options: VectorGraphOptions,
        irreps_out: O3Irreps | str | None = None,
    ) -> None:
        if config.isotropic and not outputs:
            raise IrrepnetError("model.isotropic: the tensors have no isotropic part, all would be zero; leave it out")
        channels, size = config.channels, config.moment_channels
        covariants = O3Irreps("" if config.isotropic else irreps_out or "")
        super().__init__(channels, config.l_max, size, options.cutoff, covariants)
        self.config = config
        self.embedding = ElementEmbedding(channels)
        self.point_group = nn.Linear(64, channels, bias=False) if config.one_hot else None
        self.convolutions = nn.ModuleList(
            GroupConvolution((), channels, channels, 0, None, (config.l_max, size)) for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(channels)
        self.pool = MeanSpread()
        self.readout = mlp(2 * channels, channels, outputs) if outputs else None
        if self.point_group is not None:
            nn.init.zeros_(self.point_group.weight)

    def forward(self, batch: "VectorGraph[torch.Tensor]") -> torch.Tensor:
        """(n_crystals, outputs), without units."""
        return self.invariants(self.features(batch), batch)

    def features(self, batch: "VectorGraph[torch.Tensor]") -> Features:
        """Of the nodes' atoms, by irrep: (n_nodes, 2l+1, copies), in the crystal's standard frame; 0e, the invariant
        features, and the irreps of ``irreps_out``."""
        bonds = self.bonds(batch)
        v = self.embedding(batch.numbers)
        if self.point_group is not None:
            symmetry = members(batch.sets)[batch.crystal_group].to(v.dtype)
            v = v + self.point_group(symmetry).index_select(0, batch.crystal)
        hidden, edge = bonds.hidden, torch.arange(len(bonds.hidden), device=v.device)
        numbers = (batch.receiver, batch.sender, edge, len(hidden))
        edges = Edges(*numbers, bonds.inverse_count, batch.weight, bonds.harmonics)
        v = convolved(self.convolutions, v, hidden, (), edges)  # type: ignore[arg-type]
        x = self.norm(v)
        return {"0e": x[:, None], **self.covariant_features(x, bonds, batch)}

    def invariants(self, x: Features, batch: "VectorGraph[torch.Tensor]") -> torch.Tensor:
        """(n_crystals, outputs) from the invariants of the atoms, their mean and spread."""
        scalars = x["0e"][:, 0]
        return pooled_numbers(self.readout, self.pool, scalars, batch.crystal, batch.size, batch.multiplicity)
