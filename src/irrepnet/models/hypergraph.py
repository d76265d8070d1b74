"""Convolutions on crystal hypergraphs: Heilman, Gong & Yan, arXiv:2411.12616."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import torch
from pydantic import BeforeValidator, Field, field_validator
from torch import nn

from irrepnet.errors import IrrepnetError
from irrepnet.graphs import HypergraphOptions
from irrepnet.graphs.hypergraph import hyperedge_type
from irrepnet.groups import O3Irreps
from irrepnet.models.covariant import CovariantReadout
from irrepnet.models.network import NetworkConfig
from irrepnet.nn.convolution import mlp
from irrepnet.nn.elements import Atoms, atom_embedding
from irrepnet.nn.hypergraph import Aggregation, HyperedgeUpdate, HypergraphConvolution, Strategy
from irrepnet.nn.o3 import Features
from irrepnet.nn.pooling import MeanSpread, pooled_numbers
from irrepnet.nn.radial import Expansion, Radial

if TYPE_CHECKING:
    from irrepnet.graphs import Hypergraph, Incidences


def _names(value: Any) -> Any:
    """``a,b`` as (a, b)."""
    return tuple(name.strip() for name in value.split(",")) if isinstance(value, str) else value


_Split = BeforeValidator(_names)


class CHGCNNConfig(NetworkConfig, frozen=True):
    """What a :class:`CrystalHypergraphNet` is made of."""

    reads: ClassVar = HypergraphOptions
    compiles: ClassVar = True
    makes_tensors: ClassVar = True

    name: Literal["chgcnn"] = "chgcnn"
    hyperedges: Annotated[tuple[str, ...], _Split] = Field(
        default=("bonds", "triplets", "motifs", "cell"),
        min_length=1,
        description="types of hyperedges, in the order in which a layer uses them",
    )
    strategy: Strategy = Field(default="exchange", description="what a message sees: see docs/models.md")
    aggregation: Annotated[tuple[Aggregation, ...], _Split] = Field(
        default=("mean", "std"), min_length=1, description="reductions of strategy aggregation"
    )
    motif_shell: Literal["crystalnn", "minimum-distance", "voronoi"] = Field(
        default="crystalnn", description="which neighbours make a motif"
    )
    motif_features: Annotated[tuple[Literal["lsop", "csm"], ...], _Split] = Field(
        default=("lsop", "csm"), min_length=1, description="descriptors of a motif"
    )
    resemblance: bool = Field(default=False, description="symmetry measures as resemblance, 0 to 1, not as distances")
    update_hyperedges: bool = Field(default=False, description="hyperedges hear of their nodes after every use")
    channels: int = Field(default=64, ge=1, description="channels of atoms and hyperedges")
    layers: int = Field(default=3, ge=0, description="layers, each with one convolution a type")
    l_max: int = Field(default=4, ge=1, le=6, description="of tensors: largest l of the moments of bonds")
    moment_channels: int = Field(default=16, ge=1, description="of tensors: moments of each l")
    atoms: Atoms = Field(default="properties", description="atoms as one-hot bins, learned embedding, or properties")
    radial: Radial = Field(default="gaussian", description="expansion of distances")

    @field_validator("hyperedges", "aggregation", "motif_features")
    @classmethod
    def _distinct(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError("a name is there twice")
        return names

    @property
    def graph_fields(self) -> dict[str, Any]:
        """The fields of :class:`irrepnet.graphs.HypergraphOptions` that the network fixes."""
        fields = ("hyperedges", "motif_shell", "motif_features", "resemblance")
        return {field: getattr(self, field) for field in fields}

    def network(self, outputs: int, options: Any, irreps_out: O3Irreps | None = None) -> nn.Module:
        return CrystalHypergraphNet(self, outputs, options, irreps_out)


class CrystalHypergraphNet(nn.Module):
    """Hyperedges of several types and any size, one type after the other in every layer:

        v ← v + MLP(LN v, m_v)

    with the messages m_v of :class:`irrepnet.nn.HypergraphConvolution`; then mean and spread over the atoms, and for
    tensors the :class:`irrepnet.models.CovariantReadout` over the vectors of the bonds.

    Args:
        config: see :class:`CHGCNNConfig`.
        outputs: numbers a crystal.
        options: of the hypergraphs; with directions if there are ``irreps_out``.
        irreps_out: of :meth:`covariants`, such as "2x2e+1x4e"; e3nn's notation, no irrep twice.

    Raises:
        IrrepnetError: an unknown type of hyperedges; hypergraphs without directions; ``irreps_out`` is not to be read,
            or has an irrep that no product of two moments reaches.
    """

    def __init__(
        self,
        config: CHGCNNConfig,
        outputs: int,
        options: HypergraphOptions,
        irreps_out: O3Irreps | str | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        channels = config.channels
        self.embedding = atom_embedding(config.atoms, channels)
        expansions = [Expansion(hyperedge_type(name).columns(options), config.radial) for name in config.hyperedges]
        self.hyperedges = nn.ModuleList(nn.Sequential(e, mlp(e.width, channels, channels)) for e in expansions)
        self.layers = nn.ModuleList(
            nn.ModuleList(
                # what the hyperedges hear in the last layer is not used
                HypergraphLayer(config, config.update_hyperedges and layer < config.layers - 1)
                for _ in config.hyperedges
            )
            for layer in range(config.layers)
        )
        self.norm = nn.LayerNorm(channels)
        self.pool = MeanSpread()
        self.readout = mlp(2 * channels, channels, outputs) if outputs else None
        self.covariant = None
        if irreps_out:
            if not options.directions:
                raise IrrepnetError("tensors need the vectors of the bonds: set directions in HypergraphOptions")
            size, irreps = config.moment_channels, O3Irreps(irreps_out)
            self.covariant = CovariantReadout(channels, config.l_max, size, options.cutoff, irreps)

    def forward(self, batch: "Hypergraph[torch.Tensor]") -> torch.Tensor:
        """(n_crystals, outputs), without units."""
        return self.invariants(self.features(batch), batch)

    def features(self, batch: "Hypergraph[torch.Tensor]") -> Features:
        """Of the nodes' atoms, by irrep: (n_nodes, 2l+1, copies), in the crystal's standard frame; 0e, the invariant
        features, and the irreps of ``irreps_out``."""
        incidences = [batch.types[name] for name in self.config.hyperedges]
        v = self.embedding(batch.numbers)
        h = [embed(at.features) for embed, at in zip(self.hyperedges, incidences)]
        for layer in self.layers:
            for i, step in enumerate(layer):  # type: ignore[arg-type]
                v, h[i] = step(v, h[i], incidences[i], batch.multiplicity)
        x = self.norm(v)
        if self.covariant is None or batch.vectors is None:
            return {"0e": x[:, None]}
        bonds = self.covariant.bonds(batch.vectors)
        return {"0e": x[:, None], **self.covariant.covariant_features(x, bonds, batch.vectors)}

    def invariants(self, x: Features, batch: "Hypergraph[torch.Tensor]") -> torch.Tensor:
        """(n_crystals, outputs) from the invariants of the atoms, their mean and spread."""
        scalars = x["0e"][:, 0]
        return pooled_numbers(self.readout, self.pool, scalars, batch.crystal, batch.size, batch.multiplicity)

    def covariants(self, x: Features, batch: "Hypergraph[torch.Tensor]") -> Features:
        """By irrep of ``irreps_out``, (n_crystals, 2l+1, copies): mean over the atoms, exactly in Fix_P."""
        if self.covariant is None or batch.vectors is None:
            return {}
        return self.covariant.covariants(x, batch.vectors)


class HypergraphLayer(nn.Module):
    """One convolution over the hyperedges of one type: the nodes hear of them, and then they of the nodes if asked."""

    def __init__(self, config: CHGCNNConfig, update_hyperedges: bool) -> None:
        super().__init__()
        channels = config.channels
        self.norm = nn.LayerNorm(channels)
        self.convolution = HypergraphConvolution(channels, config.strategy, config.aggregation)
        self.update = mlp(2 * channels, 2 * channels, channels)
        self.hyperedges = HyperedgeUpdate(channels) if update_hyperedges else None

    def forward(
        self, v: torch.Tensor, h: torch.Tensor, at: "Incidences[torch.Tensor]", multiplicity: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Nodes (n_nodes, C) and hyperedges (n_edges, C), and the same afterwards; multiplicity (n_nodes,)."""
        x = self.norm(v)
        v = v + self.update(torch.cat([x, self.convolution(x, h, at)], -1))
        return v, h if self.hyperedges is None else self.hyperedges(v, h, at, multiplicity)
