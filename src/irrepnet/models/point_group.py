"""The point-group-equivariant network for properties of symmetric crystals: numbers and tensors."""

from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import torch
from pydantic import Field, field_validator, model_validator
from torch import nn

from irrepnet.crystals import MODEL_GROUPS
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import FrameOptions
from irrepnet.groups import POINT_GROUPS, O3Irreps, PointGroup
from irrepnet.models.network import ModelGroup, NetworkConfig
from irrepnet.nn.convolution import GroupConvolution, convolved, mlp
from irrepnet.nn.covariants import BondCovariants, FrameCovariants
from irrepnet.nn.edges import Edges
from irrepnet.nn.elements import ElementEmbedding
from irrepnet.nn.filters import Covariants, DirectionBasis, Filter
from irrepnet.nn.group import Orbits
from irrepnet.nn.harmonics import Harmonics
from irrepnet.nn.kernels import two_layers
from irrepnet.nn.o3 import Features, FixedMean
from irrepnet.nn.pooling import MeanSpread, pooled_numbers
from irrepnet.nn.radial import GaussianBasis
from irrepnet.nn.sets import members, shares

if TYPE_CHECKING:
    from irrepnet.graphs import FrameGraph


class PointGroupConfig(NetworkConfig, frozen=True):
    """What a :class:`PointGroupNet` is made of."""

    reads: ClassVar = FrameOptions
    rounds: ClassVar = True
    makes_tensors: ClassVar = True
    any_neighbours: ClassVar = False

    name: Literal["point-group"] = "point-group"
    group: ModelGroup = "auto"
    max_frames: int = Field(
        default=FrameOptions.max_frames,
        ge=0,
        description="a crystal with more frames |G|/|P| runs the O(3)-invariant part of the network alone",
    )
    channels: int = Field(default=96, ge=1, description="channels of the functions on G")
    layers: int = Field(default=4, ge=0, description="convolutions")
    moments: int = Field(default=3, ge=0, le=8, description="largest l of the neighbours' moments; 0 for none")
    moment_channels: int = Field(default=16, ge=1, description="channels of the moments of each l")
    directions: bool = Field(default=True, description="filters see directions in the crystal's frame")
    mixing: Literal["none", "trivial", "all"] = Field(
        default="all", description="irreps of the orbit mixing: none, the trivial one (orbit mean), or all"
    )
    l_max: int = Field(default=4, ge=1, le=6, description="of tensors: largest l of the moments of bonds")
    one_hot: bool = Field(default=False, description="which of the 32 point groups a crystal has, as an input")
    continuous: bool = Field(
        default=False, description="no jumps of the outputs where neighbours or the symmetry change"
    )
    radius: float = Field(default=8.0, gt=0, description="largest distance that the radial basis resolves, Å")

    @field_validator("group")
    @classmethod
    def _known(cls, name: str) -> str:
        return name if name == "auto" else PointGroup(name).name

    @model_validator(mode="after")
    def _continuous(self) -> Self:
        if self.continuous and self.one_hot:
            raise ValueError("one_hot tells the network where the symmetry changes: leave it out with continuous")
        return self

    @property
    def graph_fields(self) -> dict[str, Any]:
        """The fields of :class:`irrepnet.graphs.FrameOptions` that the network fixes."""
        uses_group = self.directions or self.mixing != "none"
        max_frames = self.max_frames if uses_group else 0
        return {"group": self.group, "max_frames": max_frames, "continuous": self.continuous}

    def network(self, outputs: int, options: Any, irreps_out: O3Irreps | None = None) -> nn.Module:
        return PointGroupNet(self, outputs, irreps_out)


class PointGroupNet(nn.Module):
    """Functions on G at every atom, convolved with filters that see directions, mixed over orbits, pooled to scalars.

    Chemistry, distances, moments and the layers' dense maps are shared by all crystals: this part is invariant under
    O(3) whatever its weights. What belongs to a model group starts from zero: angular invariants, covariants, orbit
    mixing. A crystal on an orbit graph does without the latter.

    A tensor is made at every node by the vectors of its bonds (:class:`irrepnet.nn.covariants.BondCovariants`) and by
    the axes of its frame (:class:`irrepnet.nn.covariants.FrameCovariants`, from zero), and is the mean over all (g, a).
    On one frame the mean over P is its Reynolds operator.

    The network runs on the nodes of a batch and does not know which of the three forms made them: the full
    form (all |G| frames), one frame, or the asymmetric unit. Their results are equal.

    Args:
        config: see :class:`PointGroupConfig`.
        outputs: numbers a crystal.
        irreps_out: of :meth:`covariants`, such as "2x2e+1x4e"; e3nn's notation, no irrep twice.

    Raises:
        IrrepnetError: ``irreps_out`` is not to be read, has an irrep that no product of two moments reaches, or the
            network is to be continuous.
    """

    def __init__(self, config: PointGroupConfig, outputs: int, irreps_out: O3Irreps | str | None = None) -> None:
        super().__init__()
        self.config = config
        names = MODEL_GROUPS if config.group == "auto" else (config.group,)
        self.groups = {name: PointGroup(name) for name in names}
        channels = config.channels
        self.embedding = ElementEmbedding(channels)
        self.point_group = nn.Embedding(len(POINT_GROUPS), channels) if config.one_hot else None
        self.distance = GaussianBasis(0.5, config.radius, 32)
        self.relative = GaussianBasis(0.5, 6.0, 16)  # distance over the nearest neighbour's, times 3
        bases = {name: DirectionBasis(group) for name, group in self.groups.items()} if config.directions else {}
        self.directions = nn.ModuleDict(bases)
        self.n_invariants = {name: basis.n_invariants for name, basis in bases.items()}
        self.n_covariants = {name: basis.n_covariants for name, basis in bases.items()}
        self.radial = nn.Linear(32 + 16, channels)
        self.angular = nn.Linear(sum(self.n_invariants.values()), channels, bias=False) if config.directions else None
        self.edge = nn.Linear(channels, channels)
        self.harmonics = Harmonics(config.moments) if config.moments else None
        groups = list(self.groups.values())
        mixing = {"none": None, "trivial": (groups[0].trivial.label,), "all": True}[config.mixing]
        convolutions = [
            GroupConvolution(
                groups,
                channels,
                channels,
                sum(self.n_covariants.values()),
                mixing,
                (config.moments, config.moment_channels) if config.moments else None,
            )
            for _ in range(config.layers)
        ]
        self.convolutions = nn.ModuleList(convolutions)
        self.norm = nn.LayerNorm(channels)
        self.pool = MeanSpread()
        self.readout = mlp(2 * channels, channels, outputs) if outputs else None
        self.tensors = None
        if irreps_out:
            if config.continuous:
                raise IrrepnetError("model.continuous is for numbers: leave it out, or predict no tensors")
            self.tensors = FrameReadout(config, self.groups, sum(self.n_covariants.values()), O3Irreps(irreps_out))
        directed = [convolution.filter.direction for convolution in convolutions]
        if self.tensors is not None:
            directed.append(self.tensors.filter.direction)
        for layer in (self.point_group, self.angular, *directed):  # orbit mixing starts from zero by itself
            if layer is not None:
                nn.init.zeros_(layer.weight)

    def forward(self, batch: "FrameGraph[torch.Tensor]") -> torch.Tensor:
        """(n_crystals, outputs), without units; for blends the weighted sums over their graphs.

        Raises:
            IrrepnetError: a crystal's frames are those of a group that is not the network's.
        """
        return self.invariants(self.features(batch), batch)

    def features(self, batch: "FrameGraph[torch.Tensor]") -> Features:
        """Of the nodes, by irrep: (n_nodes, 2l+1, copies), in the crystal's standard frame; 0e, which are the functions
        on G, and the irreps of ``irreps_out``. Raises what :meth:`forward` raises."""
        if foreign := batch.segments.keys() - self.groups.keys():
            raise IrrepnetError(
                f"the network's model group is {' or '.join(self.groups)}, and these graphs are for {foreign.pop()}"
            )
        unit = torch.nn.functional.normalize(batch.vector, dim=-1)
        weight = batch.weight.new_zeros(len(batch.receiver)).index_add(0, batch.edge, batch.weight)
        hidden, covariants = self._seen(batch, unit)
        harmonics = None
        if self.harmonics is not None:
            harmonics = self.harmonics(unit) * batch.weight[:, None]
            harmonics = harmonics.new_zeros(len(weight), harmonics.shape[1]).index_add(0, batch.edge, harmonics)
        v = self.embedding(batch.numbers)
        if self.point_group is not None:
            v = v + self.point_group(batch.point_group_number).index_select(0, batch.crystal)
        count = torch.zeros_like(v[:, 0]).index_add(0, batch.receiver, weight)
        numbers = (batch.receiver, batch.sender, batch.edge_class, len(hidden))
        directed = sum(len(values) for _, values in covariants)
        edges = Edges(*numbers, 1 / count[:, None], weight, harmonics, directed)
        orbits = self._orbits(batch, v)
        v = convolved(self.convolutions, v, hidden, covariants, edges, orbits)  # type: ignore[arg-type]
        x = self.norm(v)
        found = {"0e": x[:, None]}
        if self.tensors is not None:
            found |= self.tensors(x, hidden, covariants, 1 / count[:, None], unit, batch)
        return found

    def invariants(self, x: Features, batch: "FrameGraph[torch.Tensor]") -> torch.Tensor:
        """(n_crystals, outputs) from mean and spread over the nodes; for blends the weighted sums over their graphs."""
        scalars = x["0e"][:, 0]
        outputs = pooled_numbers(self.readout, self.pool, scalars, batch.crystal, batch.size, batch.multiplicity)
        return outputs if batch.blend is None else batch.blend @ outputs

    def covariants(self, x: Features, batch: "FrameGraph[torch.Tensor]") -> Features:
        """By irrep of ``irreps_out``, (n_crystals, 2l+1, copies): mean over the nodes, exactly in Fix_P.

        In the crystal's standard frame.
        """
        if self.tensors is None:
            return {}
        return self.tensors.crystal_mean(
            x, shares(batch.symmetry, batch.vector.dtype), batch.crystal, batch.size, batch.multiplicity
        )

    def _seen(self, batch: "FrameGraph[torch.Tensor]", unit: torch.Tensor) -> tuple[torch.Tensor, Covariants]:
        """What filters see: embedded invariants (n_classes, channels), and covariants of the edges in frames."""
        length = batch.class_vector.norm(dim=-1)
        distances = [self.distance(length), self.relative(3 * length / batch.class_nearest)]
        numbers = torch.cat(distances, -1)
        covariants = []
        if self.angular is not None:
            class_unit = batch.class_vector / length[:, None]
            invariants = []
            start = dict(zip(self.n_covariants, accumulate(self.n_covariants.values(), initial=0)))
            for name, segment in batch.segments.items():
                basis = self.directions[name]
                invariants.append((name, segment.classes, basis(class_unit[segment.classes])[0]))
                columns = slice(start[name], start[name] + self.n_covariants[name])
                covariants.append((columns, basis(unit[segment.edges])[1]))
            z = self.radial(numbers) + self.angular(_side_by_side(invariants, self.n_invariants, class_unit))
            hidden = self.edge(torch.nn.functional.silu(z))
        else:
            hidden = two_layers(numbers, self.radial, self.edge)
        return torch.nn.functional.silu(hidden), covariants

    def _orbits(self, batch: "FrameGraph[torch.Tensor]", like: torch.Tensor) -> Orbits | None:
        """The right translations of all segments, their sets as rows over the elements of all groups."""
        orders = {name: group.order for name, group in self.groups.items()}
        blocks, pairs, start = [], [], 0
        for name, segment in batch.segments.items():
            where = slice(start, start + len(segment.sets))
            blocks.append((name, where, members(segment.sets, orders[name]).to(like.dtype)))
            pairs.append((segment.receiver, segment.sender, segment.set + start))
            start = where.stop
        if not start:
            return None
        sets = _side_by_side(blocks, orders, like.new_empty(start, 0))
        receiver, sender, number = (torch.cat(parts) for parts in zip(*pairs))
        return Orbits(receiver, sender, number, sets, len(like))


class FrameReadout(nn.Module):
    """Covariants of a point-group network: see :class:`PointGroupNet`.

    Args:
        config: of the network.
        groups: its model groups.
        covariants: number of covariant components that its filters see.
        irreps_out: that are wanted.
    """

    def __init__(self, config: PointGroupConfig, groups: Iterable[str], covariants: int, irreps_out: O3Irreps) -> None:
        super().__init__()
        channels = config.channels
        self.harmonics = Harmonics(config.l_max)
        self.receiver = nn.Linear(channels, channels)
        self.sender = nn.Linear(channels, channels, bias=False)
        self.filter = Filter(channels, covariants, channels)
        self.bonds = BondCovariants(channels, config.l_max, config.moment_channels, irreps_out)
        frames = groups if config.directions else ()
        self.frames = nn.ModuleDict({name: FrameCovariants(channels, irreps_out) for name in frames})
        self.crystal_mean = FixedMean(irreps_out)

    def forward(
        self,
        x: torch.Tensor,
        hidden: torch.Tensor,
        covariants: Covariants,
        inverse_count: torch.Tensor,
        unit: torch.Tensor,
        batch: "FrameGraph[torch.Tensor]",
    ) -> Features:
        """By irrep (n_nodes, 2l+1, copies), in the standard frame.

        Args:
            x: (n_nodes, channels).
            hidden, covariants: as for :class:`irrepnet.nn.convolution.GroupConvolution`.
            inverse_count: (n_nodes, 1), one over the number of neighbours.
            unit: (n_vectors, 3) directions in the nodes' frames.
            batch: to which they belong.
        """
        standard = (batch.axes[batch.receiver[batch.edge]] @ unit[:, :, None])[:, :, 0]
        harmonics = self.harmonics(standard) * batch.weight[:, None]
        harmonics = harmonics.new_zeros(len(batch.receiver), harmonics.shape[1]).index_add(0, batch.edge, harmonics)
        pair = self.receiver(x).index_select(0, batch.receiver) + self.sender(x).index_select(0, batch.sender)
        pair = torch.nn.functional.silu(pair + self.filter(hidden, covariants, batch.edge_class))
        found = self.bonds(x, pair, harmonics, batch.receiver, inverse_count)
        for name, frames in self.frames.items():
            if segment := batch.segments.get(name):
                own = torch.arange(segment.nodes.start, segment.nodes.stop, device=x.device)
                made = frames(x[segment.nodes], batch.axes[segment.nodes])
                found = {irrep: part.index_add(0, own, made[irrep]) for irrep, part in found.items()}
        return found


def _side_by_side(
    blocks: Iterable[tuple[str, slice, torch.Tensor]], widths: Mapping[str, int], like: torch.Tensor
) -> torch.Tensor:
    """(rows of ``like``, sum of the widths): columns for each group, with its block at its rows and zero elsewhere."""
    start = dict(zip(widths, accumulate(widths.values(), initial=0)))
    out = like.new_zeros(len(like), sum(widths.values()))
    for name, where, block in blocks:
        out[where, start[name] : start[name] + widths[name]] = block
    return out
