"""Crystal graph convolutional network: Xie & Grossman, Phys. Rev. Lett. 120, 145301 (2018)."""

from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import nn
from torch.nn.functional import softplus

from irrepnet.graphs import HypergraphOptions
from irrepnet.graphs.hypergraph import hyperedge_type
from irrepnet.groups import O3Irreps
from irrepnet.models.network import NetworkConfig
from irrepnet.nn.elements import Atoms, atom_embedding
from irrepnet.nn.hypergraph import segment_sum
from irrepnet.nn.norm import WeightedBatchNorm
from irrepnet.nn.pooling import crystal_mean
from irrepnet.nn.radial import Expansion, Radial

if TYPE_CHECKING:
    from irrepnet.graphs import Hypergraph, Incidences


class CGCNNConfig(NetworkConfig, frozen=True):
    """What a :class:`CGCNN` is made of; the defaults are the published ones."""

    reads: ClassVar = HypergraphOptions
    compiles: ClassVar = True

    name: Literal["cgcnn"] = "cgcnn"
    channels: int = Field(default=64, ge=1, description="channels of an atom")
    layers: int = Field(default=3, ge=0, description="convolutions")
    hidden: int = Field(default=128, ge=1, description="channels of the crystal")
    dense: int = Field(default=1, ge=1, description="dense layers of the crystal before the last")
    atoms: Atoms = Field(default="bins", description="atoms as one-hot bins, learned embedding, or properties")
    radial: Radial = Field(default="gaussian", description="expansion of distances")

    def network(self, outputs: int, options: Any, irreps_out: O3Irreps | None = None) -> nn.Module:
        return CGCNN(self, outputs, options)


class CGCNN(nn.Module):
    """The published network, on one node an orbit.

    Args:
        config: see :class:`CGCNNConfig`.
        outputs: numbers a crystal.
        options: of the hypergraphs, of which it reads the bonds.
    """

    def __init__(self, config: CGCNNConfig, outputs: int, options: HypergraphOptions) -> None:
        super().__init__()
        self.config = config
        self.embedding = atom_embedding(config.atoms, config.channels)
        self.bonds = Expansion(hyperedge_type("bonds").columns(options), config.radial)
        self.convolutions = nn.ModuleList(
            GatedConvolution(config.channels, self.bonds.width) for _ in range(config.layers)
        )
        sizes = [config.channels] + [config.hidden] * config.dense
        self.dense = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.output = nn.Linear(config.hidden, outputs)

    def forward(self, batch: "Hypergraph[torch.Tensor]") -> torch.Tensor:
        """(n_crystals, outputs), without units."""
        bonds = batch.types["bonds"]
        features = self.bonds(bonds.features)
        v = self.embedding(batch.numbers)
        for convolution in self.convolutions:
            v = convolution(v, features, bonds, batch.multiplicity)
        u = softplus(crystal_mean(v, batch.crystal, batch.size, batch.multiplicity))
        for dense in self.dense:
            u = softplus(dense(u))
        return self.output(u)


class GatedConvolution(nn.Module):
    """v ← softplus(v + BN Σ_w σ(f) ⊙ softplus(s)), (f, s) = BN(W [v, w, u] + b), w the neighbours and u the bonds.

    W [v, w, u] is A v + B w + C u, of which A and B act once a node. The batch normalisations count every atom and
    every bond for which a node or a bond class stands.
    """

    def __init__(self, channels: int, bond_channels: int) -> None:
        super().__init__()
        self.receiver = nn.Linear(channels, 2 * channels)
        self.sender = nn.Linear(channels, 2 * channels, bias=False)
        self.bond = nn.Linear(bond_channels, 2 * channels, bias=False)
        # one linear map of the concatenation, in its initial weights too
        bound = (2 * channels + bond_channels) ** -0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)
        self.inner_norm = WeightedBatchNorm(2 * channels)
        self.outer_norm = WeightedBatchNorm(channels)

    def forward(
        self, v: torch.Tensor, features: torch.Tensor, bonds: "Incidences[torch.Tensor]", multiplicity: torch.Tensor
    ) -> torch.Tensor:
        """Nodes (n_nodes, channels) → nodes; features (n_bonds, bond_channels), multiplicity (n_nodes,)."""
        z = self.receiver(v).index_select(0, bonds.node) + self.sender(v).index_select(0, bonds.other)
        z = z + self.bond(features).index_select(0, bonds.edge)
        atoms = multiplicity.index_select(0, bonds.node)
        gate, core = self.inner_norm(z, atoms * bonds.weight).chunk(2, -1)
        messages = torch.sigmoid(gate) * softplus(core) * bonds.weight[:, None]
        return softplus(v + self.outer_norm(segment_sum(messages, bonds.node, len(v)), multiplicity))
