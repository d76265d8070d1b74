"""The point-group-equivariant network for scalar properties of symmetric crystals."""

from typing import TYPE_CHECKING, Annotated, Literal

import torch
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from torch import nn

from irrepnet.groups import PointGroup
from irrepnet.nn.convolution import GroupConvolution, mlp
from irrepnet.nn.elements import ElementEmbedding
from irrepnet.nn.filters import DirectionBasis
from irrepnet.nn.pooling import MeanSpread
from irrepnet.nn.radial import GaussianBasis

if TYPE_CHECKING:
    from irrepnet.data.batch import Batch


class PointGroupConfig(BaseModel):
    """What a :class:`PointGroupNet` is made of."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Literal["point-group"] = "point-group"
    group: Annotated[str, BeforeValidator(str)] = Field(  # YAML reads the group 23 as a number
        default="m-3m",
        description="the model group G, of which crystals' point groups are subgroups: 6/mmm for trigonal and "
        "hexagonal crystals, m-3m for all others, or any other",
    )
    channels: int = Field(default=96, ge=1, description="channels of the functions on G")
    layers: int = Field(default=4, ge=0, description="convolutions")
    directions: bool = Field(default=True, description="filters see directions, not distances alone")
    mixing: Literal["none", "trivial", "all"] = Field(
        default="all", description="irreps of the orbit mixing: none, the trivial one (orbit mean), or all"
    )
    radius: float = Field(default=8.0, gt=0, description="largest distance that the radial basis resolves, Å")


class PointGroupNet(nn.Module):
    """Functions on G at every atom, convolved with filters that see directions, mixed over orbits, pooled to scalars.

    The network runs on the nodes of a batch and does not know which of the three forms made them: the full
    form (all |G| frames), one frame, or the asymmetric unit. Their results are equal.

    Args:
        config: see :class:`PointGroupConfig`.
        outputs: numbers a crystal.
    """

    def __init__(self, config: PointGroupConfig, outputs: int) -> None:
        super().__init__()
        self.config = config
        self.group = group = PointGroup(config.group)
        channels = config.channels
        self.embedding = ElementEmbedding(channels)
        self.distance = GaussianBasis(0.5, config.radius, 32)
        self.relative = GaussianBasis(0.5, 6.0, 16)  # distance over the nearest neighbour's, times 3
        self.direction = DirectionBasis(group) if config.directions else None
        angular, covariants = (self.direction.n_invariants, self.direction.n_covariants) if self.direction else (0, 0)
        self.edge = mlp(32 + 16 + angular, channels, channels)
        mixing = {
            "none": None,
            "trivial": (group.trivial.label,),
            "all": tuple(i.label for i in group.irreps),
        }[config.mixing]
        self.convolutions = nn.ModuleList(
            GroupConvolution(group, channels, channels, covariants, mixing) for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(channels)
        self.pool = MeanSpread()
        self.readout = mlp(2 * channels, channels, outputs)

    def forward(self, batch: "Batch") -> torch.Tensor:
        """(n_crystals, outputs), without units."""
        length = batch.class_vector.norm(dim=-1)
        invariants = [self.distance(length), self.relative(3 * length / batch.class_nearest)]
        covariants = batch.vector[:, :0]
        if self.direction is not None:
            invariants.append(self.direction(batch.class_vector / length[:, None])[0])
            covariants = self.direction(torch.nn.functional.normalize(batch.vector, dim=-1))[1]
        hidden = torch.nn.functional.silu(self.edge(torch.cat(invariants, -1)))
        v = self.embedding(batch.numbers)
        count = torch.zeros_like(v[:, 0]).index_add(0, batch.receiver, torch.ones_like(batch.vector[:, 0]))
        edges = (batch.receiver, batch.sender, batch.edge_class)
        orbits = (batch.orbit_receiver, batch.orbit_sender, batch.orbit_set, batch.sets)
        for convolution in self.convolutions:
            v = convolution(v, hidden, covariants, edges, 1 / count[:, None], orbits)
        return self.readout(self.pool(self.norm(v), batch.crystal, batch.size))
