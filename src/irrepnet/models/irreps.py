"""The network of irreps: v^γ ← v^γ + Σ_b Σ_αβ U^γ_αβ F^β(r_ab) v_b^α, on crystals of any point group."""

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from pydantic import Field, field_validator
from torch import nn

from irrepnet.crystals import MODEL_GROUPS
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import GroupedSiteOptions
from irrepnet.groups import O3Irreps, PointGroup
from irrepnet.models.network import ModelGroup, NetworkConfig
from irrepnet.nn.convolution import mlp
from irrepnet.nn.elements import ElementEmbedding
from irrepnet.nn.filters import DirectionBasis
from irrepnet.nn.harmonics import HarmonicMatrices
from irrepnet.nn.irrep_layers import IrrepBonds, IrrepConvolution, O3Readout
from irrepnet.nn.irreps import Irreps
from irrepnet.nn.linear import Linear
from irrepnet.nn.o3 import Features, FixedMean
from irrepnet.nn.pooling import MeanSpread, pooled_numbers
from irrepnet.nn.radial import GaussianBasis
from irrepnet.nn.sets import shares
from irrepnet.nn.site_bonds import coordinate_irreps

if TYPE_CHECKING:
    from irrepnet.graphs import GroupedSites, SiteGraph


class IrrepConfig(NetworkConfig, frozen=True):
    """What an :class:`IrrepNet` is made of."""

    reads: ClassVar = GroupedSiteOptions
    makes_tensors: ClassVar = True
    any_neighbours: ClassVar = False

    name: Literal["irreps"] = "irreps"
    group: ModelGroup = "auto"
    channels: int = Field(default=32, ge=1, description="copies of the trivial irrep")
    covariants: int = Field(default=4, ge=0, description="copies of each other irrep")
    irreps: dict[str, str] = Field(
        default_factory=dict,
        description="instead of these, by model group: every irrep with its own multiplicity, such as "
        "{m-3m: 32xA1g + 8xT1u + 4xEg}",
    )
    functions: int = Field(default=4, ge=1, description="functions on G in the self-interaction")
    layers: int = Field(default=3, ge=1, description="convolutions")
    l_max: ClassVar[int] = 6  # of tensors; features and filters have none
    radius: float = Field(default=8.0, gt=0, description="largest distance that the radial basis resolves, Å")

    @field_validator("group")
    @classmethod
    def _known(cls, name: str) -> str:
        return name if name == "auto" else PointGroup(name).name

    @field_validator("irreps")
    @classmethod
    def _readable(cls, irreps: dict[str, str]) -> dict[str, str]:
        return {PointGroup(name).name: str(Irreps(name, text)) for name, text in irreps.items()}

    @property
    def graph_fields(self) -> dict[str, Any]:
        """The fields of :class:`irrepnet.graphs.GroupedSiteOptions` that the network fixes."""
        return {"group": self.group}

    def features(self, group: PointGroup) -> Irreps:
        """Of an atom."""
        if group.name in self.irreps:
            return Irreps(group, self.irreps[group.name])
        copies = [(self.covariants, irrep.label) for irrep in group.irreps[1:]]
        return Irreps(group, " + ".join(f"{n}x{label}" for n, label in [(self.channels, group.trivial.label), *copies]))

    def network(self, outputs: int, options: Any, irreps_out: O3Irreps | None = None) -> nn.Module:
        return IrrepNet(self, outputs, irreps_out)


class IrrepNet(nn.Module):
    """Features in the irreps of a point group, filtered, gated, pooled; numbers and tensors are read out.

    There is a body for each model group, and all crystals share the embedding of the elements and the readout of
    numbers. One atom an orbit is kept, in whole irreps: what arrives at it is projected onto the subspace that its
    site group fixes (:mod:`irrepnet.graphs.sites`).

    Args:
        config: see :class:`IrrepConfig`.
        outputs: numbers a crystal.
        irreps_out: of :meth:`covariants`, such as "2x2e+1x4e"; e3nn's notation, no irrep twice.
    """

    def __init__(self, config: IrrepConfig, outputs: int, irreps_out: O3Irreps | str | None = None) -> None:
        super().__init__()
        self.config = config
        irreps_out = O3Irreps(irreps_out or "")
        groups = MODEL_GROUPS if config.group == "auto" else (config.group,)
        self.embedding = ElementEmbedding(config.channels)
        self.bodies = nn.ModuleDict({name: IrrepBody(config, PointGroup(name), irreps_out) for name in groups})
        self.pool = MeanSpread()
        self.readout = mlp(2 * config.channels, config.channels, outputs) if outputs else None
        self.crystal_mean = FixedMean(irreps_out)

    def forward(self, batch: "GroupedSites[torch.Tensor]") -> torch.Tensor:
        """(n_crystals, outputs), without units.

        Raises:
            IrrepnetError: a crystal has a model group that the network has not.
        """
        return self.invariants(self.features(batch), batch)

    def features(self, batch: "GroupedSites[torch.Tensor]") -> Features:
        """Of the sites of all groups, one group after the other, by irrep of O(3): (n_sites, 2l+1, copies), in the
        crystal's standard frame; 0e, the trivial irrep, and the irreps of ``irreps_out``."""
        if foreign := batch.groups.keys() - self.bodies.keys():
            raise IrrepnetError(
                f"the network has the model group {' or '.join(self.bodies)}, the batch {foreign.pop()}"
            )
        found = [self.bodies[name](self.embedding(part.numbers), part) for name, part in batch.groups.items()]
        return {name: torch.cat([features[name] for features in found]) for name in found[0]}

    def invariants(self, x: Features, batch: "GroupedSites[torch.Tensor]") -> torch.Tensor:
        """(n_crystals, outputs) from mean and spread of the trivial irrep over the atoms."""
        crystal, multiplicity = _sites(batch)
        return pooled_numbers(self.readout, self.pool, x["0e"][:, 0], crystal, batch.size, multiplicity)

    def covariants(self, x: Features, batch: "GroupedSites[torch.Tensor]") -> Features:
        """By irrep of ``irreps_out``, (n_crystals, 2l+1, copies): mean over the atoms, exactly in Fix_P, in the
        crystal's standard frame."""
        crystal, multiplicity = _sites(batch)
        symmetry = shares(batch.symmetry, multiplicity.dtype)
        return self.crystal_mean(x, symmetry, crystal, batch.size, multiplicity)


def _sites(batch: "GroupedSites[torch.Tensor]") -> tuple[torch.Tensor, torch.Tensor]:
    """Crystal and multiplicity of the sites of all groups."""
    parts = batch.groups.values()
    return torch.cat([part.crystal for part in parts]), torch.cat([part.multiplicity for part in parts])


class IrrepBody(nn.Module):
    """The part of an :class:`IrrepNet` that belongs to one model group."""

    def __init__(self, config: IrrepConfig, group: PointGroup, irreps_out: O3Irreps) -> None:
        super().__init__()
        channels = config.channels
        self.group = group
        scalars, irreps = Irreps(group, f"{channels}x{group.trivial.label}"), config.features(group)
        self.distance = GaussianBasis(0.5, config.radius, 32)
        self.relative = GaussianBasis(0.5, 6.0, 16)  # distance over the nearest neighbour's, times 3
        self.direction = DirectionBasis(group)
        self.edge = mlp(32 + 16 + self.direction.n_invariants, channels, channels)
        self.layers = nn.ModuleList()
        for layer in range(config.layers):
            first = scalars if layer == 0 else irreps
            self.layers.append(IrrepConvolution(first, irreps, channels, config.functions))
        self.norm = nn.LayerNorm(channels)
        self.scalars = Linear(irreps, scalars)
        self.tensors = nn.ModuleDict({str(irrep): O3Readout(irreps, irrep, n) for irrep, n in irreps_out.items()})
        self.degrees = [irrep.l for irrep in irreps_out]
        self.turn = HarmonicMatrices(max(self.degrees, default=0))
        for irrep in group.irreps:
            self.register_buffer(f"matrices {irrep.label}", torch.from_numpy(irrep.matrices.copy()), persistent=False)

    def forward(self, v: torch.Tensor, graph: "SiteGraph[torch.Tensor]") -> Features:
        """(n_sites, channels) of the elements → features of :meth:`IrrepNet.features`."""
        length = graph.vector.norm(dim=-1)
        relative = 3 * length / graph.nearest[graph.receiver]
        invariants, covariants = self.direction(graph.vector / length[:, None])
        hidden = self.edge(torch.cat([self.distance(length), self.relative(relative), invariants], -1))
        neighbours = torch.zeros_like(graph.nearest).index_add(0, graph.receiver, graph.weight)
        bonds = IrrepBonds(
            receiver=graph.receiver,
            sender=graph.sender,
            share=(graph.weight / neighbours[graph.receiver])[:, None],
            hidden=torch.nn.functional.silu(hidden),
            covariants=covariants,
            carry={
                i.label: self.get_buffer(f"matrices {i.label}").to(v.dtype)[graph.carrier] for i in self.group.irreps
            },
            fix=self._projectors(graph),
        )
        for layer in self.layers:
            v = layer(v, bonds)
        found = {"0e": self.norm(self.scalars(v))[:, None]}
        turn = self.turn(graph.axes)
        for (name, readout), l in zip(self.tensors.items(), self.degrees):
            found[name] = turn[l] @ readout(v)  # to the standard frame, a proper rotation
        return found

    def _projectors(self, graph: "SiteGraph[torch.Tensor]") -> dict[str, torch.Tensor]:
        """By irrep (n_sites, d, d), onto the subspace that the site group fixes."""
        n, irreps = len(graph.numbers), self.group.irreps[1:]
        site = torch.repeat_interleave(graph.fixed.sum(1))
        outer = graph.basis[:, :, None] * graph.basis[:, None]
        found = outer.new_zeros(n * len(irreps), 3, 3)
        found = found.index_add(0, site * len(irreps) + coordinate_irreps(graph.fixed), outer)
        own = found.view(n, len(irreps), 3, 3).unbind(1)
        fix = {irrep.label: each[:, : irrep.dim, : irrep.dim] for irrep, each in zip(irreps, own)}
        return {self.group.trivial.label: outer.new_ones(n, 1, 1), **fix}
