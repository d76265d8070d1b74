"""A message-passing network of three interchangeable parts: Gilmer et al., arXiv:1704.01212.

    m_v = N_v Σ_w M(v, w, e_vw)        message M
    v   = U(v, m_v)                    update U
    y   = f(R({v}))                    readout R, f a small network

N_v = 1 / (1 + number of neighbours). Each part is a small module, and any module of the same shape takes its place.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import nn
from torch.nn.functional import silu

from irrepnet.graphs import HypergraphOptions
from irrepnet.graphs.hypergraph import hyperedge_type
from irrepnet.groups import O3Irreps
from irrepnet.models.network import NetworkConfig
from irrepnet.nn.convolution import mlp
from irrepnet.nn.elements import Atoms, atom_embedding
from irrepnet.nn.hypergraph import damped_mean, segment_softmax, segment_sum
from irrepnet.nn.pooling import crystal_mean
from irrepnet.nn.radial import Expansion, Radial

if TYPE_CHECKING:
    from irrepnet.graphs import Hypergraph


class MPNNConfig(NetworkConfig, frozen=True):
    """What an :class:`MPNN` is made of."""

    reads: ClassVar = HypergraphOptions

    name: Literal["mpnn"] = "mpnn"
    channels: int = Field(default=64, ge=1, description="channels of an atom")
    layers: int = Field(default=3, ge=0, description="messages and updates")
    message: Literal["mlp", "filter", "edge-network"] = Field(default="mlp", description="the message M")
    update: Literal["gru", "residual"] = Field(default="residual", description="the update U")
    readout: Literal["mean", "attention", "set2set"] = Field(default="mean", description="the readout R")
    atoms: Atoms = Field(default="properties", description="atoms as one-hot bins, learned embedding, or properties")
    radial: Radial = Field(default="gaussian", description="expansion of distances")

    def network(self, outputs: int, options: Any, irreps_out: O3Irreps | None = None) -> nn.Module:
        return MPNN(self, outputs, options)


class MLPMessage(nn.Module):
    """M = D silu(A v + B w + C e)."""

    def __init__(self, channels: int, edge_channels: int) -> None:
        super().__init__()
        self.receiver = nn.Linear(channels, channels, bias=False)
        self.sender = nn.Linear(channels, channels, bias=False)
        self.edge = nn.Linear(edge_channels, channels)
        self.dense = nn.Linear(channels, channels)

    def forward(
        self, v: torch.Tensor, e: torch.Tensor, receiver: torch.Tensor, sender: torch.Tensor, edge: torch.Tensor
    ) -> torch.Tensor:
        """Nodes (n_nodes, C), edges (n_edges, F) and which three meet, (n,) each → messages (n, C)."""
        z = self.receiver(v).index_select(0, receiver) + self.sender(v).index_select(0, sender)
        return self.dense(silu(z + self.edge(e).index_select(0, edge)))


class FilterMessage(nn.Module):
    """M = (A w) ⊙ F(e) with a network F: the continuous filter of Schütt et al., arXiv:1706.08566."""

    def __init__(self, channels: int, edge_channels: int) -> None:
        super().__init__()
        self.sender = nn.Linear(channels, channels)
        self.filter = mlp(edge_channels, channels, channels)

    def forward(
        self, v: torch.Tensor, e: torch.Tensor, receiver: torch.Tensor, sender: torch.Tensor, edge: torch.Tensor
    ) -> torch.Tensor:
        """As :meth:`MLPMessage.forward`."""
        return self.sender(v).index_select(0, sender) * self.filter(e).index_select(0, edge)


class EdgeNetworkMessage(nn.Module):
    """M = A(e) w (Gilmer et al., section 5), A(e) = A_0 + Σ_k h_k(e) A_k with 16 functions h_k of a network."""

    def __init__(self, channels: int, edge_channels: int) -> None:
        super().__init__()
        self.network = mlp(edge_channels, channels, 16)
        self.matrices = nn.Linear(17 * channels, channels, bias=False)

    def forward(
        self, v: torch.Tensor, e: torch.Tensor, receiver: torch.Tensor, sender: torch.Tensor, edge: torch.Tensor
    ) -> torch.Tensor:
        """As :meth:`MLPMessage.forward`."""
        h = silu(self.network(e))
        h = torch.cat([h, torch.ones_like(h[:, :1])], -1).index_select(0, edge)
        return self.matrices((h[:, :, None] * v.index_select(0, sender)[:, None]).flatten(1))


class GRUUpdate(nn.Module):
    """U = GRU(v, m), as in Gilmer et al."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.cell = nn.GRUCell(channels, channels)

    def forward(self, v: torch.Tensor, m: torch.Tensor) -> torch.Tensor:
        """Nodes and messages (n_nodes, C) → nodes (n_nodes, C)."""
        return self.cell(m, v)


class ResidualUpdate(nn.Module):
    """U = v + MLP(LN v, m)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.update = mlp(2 * channels, 2 * channels, channels)

    def forward(self, v: torch.Tensor, m: torch.Tensor) -> torch.Tensor:
        """As :meth:`GRUUpdate.forward`."""
        return v + self.update(torch.cat([self.norm(v), m], -1))


class MeanReadout(nn.Module):
    """R = mean of the atoms."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.width = channels

    def forward(self, v: torch.Tensor, crystal: torch.Tensor, size: int, multiplicity: torch.Tensor) -> torch.Tensor:
        """Nodes (n_nodes, C), the crystals they are of and the atoms they stand for (n_nodes,) → (size, width)."""
        return crystal_mean(v, crystal, size, multiplicity)


class AttentionReadout(nn.Module):
    """R = Σ_v α_v B v with α the softmax over the atoms of a · silu(A v)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.width = channels
        self.score = mlp(channels, channels, 1)
        self.value = nn.Linear(channels, channels)

    def forward(self, v: torch.Tensor, crystal: torch.Tensor, size: int, multiplicity: torch.Tensor) -> torch.Tensor:
        """As :meth:`MeanReadout.forward`."""
        share = segment_softmax(self.score(v)[:, 0], crystal, size, multiplicity)
        return segment_sum(self.value(v) * share[:, None], crystal, size)


class Set2SetReadout(nn.Module):
    """Three steps of q = LSTM([q, r]), r = Σ_v softmax(q · v) v; R = [q, r] (Vinyals et al., arXiv:1511.06391)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.width = 2 * channels
        self.cell = nn.LSTMCell(2 * channels, channels)

    def forward(self, v: torch.Tensor, crystal: torch.Tensor, size: int, multiplicity: torch.Tensor) -> torch.Tensor:
        """As :meth:`MeanReadout.forward`."""
        both = v.new_zeros(size, self.width)
        state = (v.new_zeros(size, v.shape[1]), v.new_zeros(size, v.shape[1]))
        for _ in range(3):
            state = self.cell(both, state)
            query = state[0]
            share = segment_softmax((v * query.index_select(0, crystal)).sum(-1), crystal, size, multiplicity)
            both = torch.cat([query, segment_sum(v * share[:, None], crystal, size)], -1)
        return both


MESSAGES = {"mlp": MLPMessage, "filter": FilterMessage, "edge-network": EdgeNetworkMessage}
UPDATES = {"gru": GRUUpdate, "residual": ResidualUpdate}
READOUTS = {"mean": MeanReadout, "attention": AttentionReadout, "set2set": Set2SetReadout}


class MPNN(nn.Module):
    """Message M, update U, readout R.

    Args:
        config: see :class:`MPNNConfig`.
        outputs: numbers a crystal.
        options: of the hypergraphs, of which it reads the bonds.
        message: makes the message of a layer from (channels, edge channels), in place of the configured one; shapes
            as for :class:`MLPMessage`.
        update: makes the update of a layer from (channels); shapes as for :class:`GRUUpdate`.
        readout: makes the readout from (channels), with an attribute ``width``; shapes as for :class:`MeanReadout`.
    """

    def __init__(
        self,
        config: MPNNConfig,
        outputs: int,
        options: HypergraphOptions,
        message: Callable[[int, int], nn.Module] | None = None,
        update: Callable[[int], nn.Module] | None = None,
        readout: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        channels = config.channels
        message = message or MESSAGES[config.message]
        update = update or UPDATES[config.update]
        readout = readout or READOUTS[config.readout]
        self.embedding = atom_embedding(config.atoms, channels)
        self.bonds = Expansion(hyperedge_type("bonds").columns(options), config.radial)
        self.messages = nn.ModuleList(message(channels, self.bonds.width) for _ in range(config.layers))
        self.updates = nn.ModuleList(update(channels) for _ in range(config.layers))
        self.norm = nn.LayerNorm(channels)
        self.readout = readout(channels)
        self.output = mlp(self.readout.width, channels, outputs)  # type: ignore[arg-type]

    def forward(self, batch: "Hypergraph[torch.Tensor]") -> torch.Tensor:
        """(n_crystals, outputs), without units."""
        bonds = batch.types["bonds"]
        features = self.bonds(bonds.features)
        v = self.embedding(batch.numbers)
        for message, update in zip(self.messages, self.updates):
            messages = message(v, features, bonds.node, bonds.other, bonds.edge)
            v = update(v, damped_mean(messages, bonds.node, bonds.weight, len(v)))
        return self.output(self.readout(self.norm(v), batch.crystal, batch.size, batch.multiplicity))
