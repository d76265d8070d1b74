"""The light O(3)-covariant network: an invariant body, and a covariant readout over bonds."""

from typing import TYPE_CHECKING, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from irrepnet.crystals import VectorGraphOptions
from irrepnet.crystals.vector_graph import VectorForm
from irrepnet.errors import IrrepnetError
from irrepnet.nn.convolution import GroupConvolution, mlp
from irrepnet.nn.elements import ElementEmbedding
from irrepnet.nn.moments import Harmonics
from irrepnet.nn.pooling import MeanSpread, crystal_mean
from irrepnet.nn.radial import GaussianBasis

if TYPE_CHECKING:
    from irrepnet.data.batch import VectorBatch
    from irrepnet.nn.o3 import Features


class CovariantConfig(BaseModel):
    """What a :class:`CovariantNet` is made of."""

    model_config = ConfigDict(extra="forbid", frozen=True)

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
        """The fields of :class:`irrepnet.crystals.VectorGraphOptions` that the network fixes."""
        return {"form": self.form}


class CovariantNet(nn.Module):
    """Invariant message passing with lengths of moments, and covariants made of the bonds at the end.

    The body is the part of :class:`irrepnet.models.PointGroupNet` that all groups share, and costs about as much as a
    network on distances. Irreps other than the trivial one occur in the readout alone (:class:`BondCovariants`).

    It runs on the nodes of a batch and does not know whether they are the atoms or the orbits: the results are equal.

    Args:
        config: see :class:`CovariantConfig`.
        outputs: invariant numbers a crystal.
        options: of the graphs, of which it takes the cutoff as the largest distance that it resolves.
        irreps_out: of :meth:`covariants`, such as "2x2e+1x4e"; e3nn's notation, no irrep twice.

    Raises:
        IrrepnetError: ``irreps_out`` is not to be read, or has an irrep that no product of two moments reaches.
    """

    def __init__(
        self, config: CovariantConfig, outputs: int, options: VectorGraphOptions, irreps_out: str | None = None
    ) -> None:
        from irrepnet.nn.covariants import BondCovariants  # e3nn takes 1 s to import
        from irrepnet.nn.o3 import GroupMean, copies_of

        super().__init__()
        self.config = config
        channels, l_max = config.channels, config.l_max
        self.copies_out = copies_of(irreps_out) if irreps_out else {}
        self.embedding = ElementEmbedding(channels)
        self.point_group = nn.Linear(64, channels, bias=False) if config.one_hot else None
        self.distance = GaussianBasis(0.5, options.cutoff, 32)
        self.relative = GaussianBasis(0.5, 6.0, 16)  # distance over the nearest neighbour's, times 3
        self.edge = nn.Sequential(mlp(32 + 16, channels, channels), nn.SiLU())
        self.harmonics = Harmonics(l_max)
        natural = [f"{l}{'oe'[l % 2 == 0]}" for l in range(1, l_max + 1)]
        self.site_mean = nn.ModuleList(GroupMean([irrep]) for irrep in natural)
        self.widths = [2 * l + 1 for l in range(1, l_max + 1)]
        self.convolutions = nn.ModuleList(
            GroupConvolution((), channels, channels, 0, None, (l_max, config.moment_channels))
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(channels)
        self.pool = MeanSpread()
        self.readout = mlp(2 * channels, channels, outputs) if outputs else None
        self.receiver = nn.Linear(channels, channels)
        self.sender = nn.Linear(channels, channels, bias=False)
        self.bond = nn.Linear(channels, channels, bias=False)
        wanted = {} if config.isotropic else self.copies_out
        self.covariant = BondCovariants(channels, l_max, config.moment_channels, wanted)
        missing = ", ".join(set(wanted) - set(self.covariant.copies))
        if missing:
            raise IrrepnetError(
                f"irreps_out: no product of two moments leads to {missing}; take a larger l_max than {l_max}, or the "
                "network tensor-field with parity"
            )
        self.crystal_mean = nn.ModuleDict({ir: GroupMean([ir]) for ir in self.covariant.copies})
        if self.point_group is not None:
            nn.init.zeros_(self.point_group.weight)

    def forward(self, batch: "VectorBatch") -> torch.Tensor:
        """(n_crystals, outputs), without units."""
        return self.invariants(self.features(batch), batch)

    def features(self, batch: "VectorBatch") -> "Features":
        """Of the nodes' atoms, by irrep: (n_nodes, 2l+1, copies), in the crystal's standard frame; 0e, the invariant
        features, and the irreps of ``irreps_out``."""
        length = batch.vector.norm(dim=-1)
        relative = self.relative(3 * length / batch.nearest[batch.receiver])
        hidden = self.edge(torch.cat([self.distance(length), relative], -1))
        harmonics = self._orbit_sums(batch, length)
        v = self.embedding(batch.numbers)
        if self.point_group is not None:
            members = (batch.sets > 0).to(v.dtype)[batch.point_group]
            v = v + self.point_group(members).index_select(0, batch.crystal)
        inverse_count = 1 / torch.zeros_like(batch.nearest).index_add(0, batch.receiver, batch.weight)[:, None]
        edges = (batch.receiver, batch.sender, torch.arange(len(length), device=length.device))
        for convolution in self.convolutions:
            v = convolution(v, hidden, hidden[:0], edges, inverse_count, (), batch.weight, harmonics)
        x = self.norm(v)
        pair = self.receiver(x).index_select(0, batch.receiver) + self.sender(x).index_select(0, batch.sender)
        pair = torch.nn.functional.silu(pair + self.bond(hidden))
        return {"0e": x[:, None], **self.covariant(x, pair, harmonics, batch.receiver, inverse_count)}

    def _orbit_sums(self, batch: "VectorBatch", length: torch.Tensor) -> torch.Tensor:
        """(n_edges, n_harmonics) Y summed over the orbit of the edge under its receiver's site group."""
        harmonics = self.harmonics(batch.vector / length[:, None]) * batch.weight[:, None]
        site = batch.site_group[batch.receiver]
        parts = [
            (mean(batch.sets)[site] @ part[:, :, None])[:, :, 0]
            for mean, part in zip(self.site_mean, harmonics.split(self.widths, 1))
        ]
        return torch.cat(parts, 1)

    def invariants(self, x: "Features", batch: "VectorBatch") -> torch.Tensor:
        """(n_crystals, outputs) from the invariants of the atoms, their mean and spread."""
        scalars = x["0e"][:, 0]
        if self.readout is None:
            return scalars.new_zeros(batch.size, 0)
        return self.readout(self.pool(scalars, batch.crystal, batch.size, batch.multiplicity))

    def covariants(self, x: "Features", batch: "VectorBatch") -> "Features":
        """By irrep of ``irreps_out``, (n_crystals, 2l+1, copies): mean over the atoms, exactly in Fix_P.

        In the crystal's standard frame. The mean over an orbit is the Reynolds operator of P on one of its atoms.
        """
        pooled = {}
        for irrep in self.covariant.copies:
            mean = crystal_mean(x[irrep].flatten(1), batch.crystal, batch.size, batch.multiplicity)
            reynolds = self.crystal_mean[irrep](batch.sets)[batch.point_group]
            pooled[irrep] = reynolds @ mean.unflatten(1, (reynolds.shape[-1], -1))
        return pooled
