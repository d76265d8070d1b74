"""Convolutions on hypergraphs whose nodes and hyperedges stand for several.

A hypergraph's incidences say that hyperedge h = ``edge[i]`` contains node v = ``node[i]``, that an atom of v belongs
to ``weight[i]`` such hyperedges, and that the others in it are w = ``other[k]``, ``other_weight[k]`` times each, for
the k with ``incidence[k]`` = i. Sums and means over atoms and hyperedges are sums and means with these numbers.
"""

from collections.abc import Sequence
from typing import Literal, Protocol, get_args

import torch
from torch import nn
from torch.nn.functional import silu, softplus

from irrepnet.errors import IrrepnetError
from irrepnet.nn.convolution import mlp

Strategy = Literal["relatives", "exchange", "aggregation"]
Aggregation = Literal["mean", "max", "min", "std", "attention"]


class IncidenceTensors(Protocol):
    """The tensors of the incidences of one type of hyperedges; see the head of this file."""

    @property
    def node(self) -> torch.Tensor: ...
    @property
    def edge(self) -> torch.Tensor: ...
    @property
    def weight(self) -> torch.Tensor: ...
    @property
    def other(self) -> torch.Tensor: ...
    @property
    def incidence(self) -> torch.Tensor: ...
    @property
    def other_weight(self) -> torch.Tensor: ...


def segment_sum(values: torch.Tensor, segment: torch.Tensor, size: int) -> torch.Tensor:
    """Sums of the rows of each segment: (n, …), (n,) → (size, …); 0 where there are none."""
    return values.new_zeros(size, *values.shape[1:]).index_add(0, segment, values)


def segment_mean(values: torch.Tensor, segment: torch.Tensor, size: int, weight: torch.Tensor) -> torch.Tensor:
    """Means with row i counted ``weight[i]`` times: (n, C), (n,) → (size, C); 0 where there are none."""
    total = segment_sum(weight, segment, size).clamp(min=torch.finfo(weight.dtype).tiny)
    share = weight / total.index_select(0, segment)
    return segment_sum(values * share[:, None], segment, size)


def segment_max(values: torch.Tensor, segment: torch.Tensor, size: int) -> torch.Tensor:
    """Largest values of each segment: (n, C), (n,) → (size, C); 0 where there are none."""
    index = segment[:, None].expand_as(values)
    return values.new_zeros(size, values.shape[1]).scatter_reduce(0, index, values, "amax", include_self=False)


def segment_std(values: torch.Tensor, segment: torch.Tensor, size: int, weight: torch.Tensor) -> torch.Tensor:
    """sqrt(variance + 1e-6) − 1e-3, weighted: (n, C), (n,) → (size, C); 0, with a finite gradient, for equal rows."""
    mean = segment_mean(values, segment, size, weight)
    variance = segment_mean((values - mean.index_select(0, segment)) ** 2, segment, size, weight)
    return (variance + 1e-6).sqrt() - 1e-3


def segment_softmax(scores: torch.Tensor, segment: torch.Tensor, size: int, weight: torch.Tensor) -> torch.Tensor:
    """Shares weight·exp(score) of the segment's sum: (n,) → (n,)."""
    highest = segment_max(scores.detach()[:, None], segment, size)[:, 0]
    raised = weight * (scores - highest.index_select(0, segment)).exp()
    return raised / segment_sum(raised, segment, size).index_select(0, segment)


class GatedMessage(nn.Module):
    """M = σ(f) ⊙ softplus(s), (f, s) = A v + B h + C w + b, with w what the node v hears of the others in h.

    The message of CGCNN (Xie & Grossman, Phys. Rev. Lett. 120, 145301 (2018), eq. 5). The linear map of the
    concatenation is taken apart, so that A acts once a node and B once a hyperedge.
    """

    def __init__(self, channels: int, heard: int) -> None:
        super().__init__()
        self.receiver = nn.Linear(channels, 2 * channels, bias=False)
        self.hyperedge = nn.Linear(channels, 2 * channels)
        self.sender = nn.Linear(heard, 2 * channels, bias=False) if heard else None

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """(n, 2·channels), the sum of the three → (n, channels)."""
        gate, core = z.chunk(2, -1)
        return torch.sigmoid(gate) * softplus(core)


class Aggregate(nn.Module):
    """Several reductions of the others at every incidence, side by side: (n_incidences, len(kinds)·channels).

    Args:
        kinds: "mean", "max", "min", "std", "attention" in any number and order. Attention weighs w at (v, h) by the
            softmax of a · silu(A v + B h + C w) (Brody, Alon & Yahav, arXiv:2105.14491).
    """

    def __init__(self, channels: int, kinds: Sequence[Aggregation]) -> None:
        super().__init__()
        unknown = set(kinds) - set(get_args(Aggregation))
        if unknown or not kinds:
            raise IrrepnetError(f"unknown aggregation {sorted(unknown)}; choose of {', '.join(get_args(Aggregation))}")
        self.kinds = tuple(kinds)
        self.width = len(self.kinds) * channels
        if "attention" in kinds:
            self.receiver = nn.Linear(channels, channels, bias=False)
            self.hyperedge = nn.Linear(channels, channels)
            self.sender = nn.Linear(channels, channels, bias=False)
            self.score = nn.Linear(channels, 1, bias=False)

    def forward(self, x: torch.Tensor, hyperedges: torch.Tensor, at: IncidenceTensors) -> torch.Tensor:
        """Nodes (n_nodes, channels) and hyperedges (n_edges, channels)."""
        heard, size = x.index_select(0, at.other), len(at.node)
        parts = []
        for kind in self.kinds:
            match kind:
                case "mean":
                    parts.append(segment_mean(heard, at.incidence, size, at.other_weight))
                case "max":
                    parts.append(segment_max(heard, at.incidence, size))
                case "min":
                    parts.append(-segment_max(-heard, at.incidence, size))
                case "std":
                    parts.append(segment_std(heard, at.incidence, size, at.other_weight))
                case "attention":
                    query = self.receiver(x).index_select(0, at.node)
                    query = query + self.hyperedge(hyperedges).index_select(0, at.edge)
                    z = query.index_select(0, at.incidence) + self.sender(x).index_select(0, at.other)
                    share = segment_softmax(self.score(silu(z))[:, 0], at.incidence, size, at.other_weight)
                    parts.append(segment_sum(heard * share[:, None], at.incidence, size))
        return torch.cat(parts, -1)


class HypergraphConvolution(nn.Module):
    """Messages from hyperedges of one type to their nodes (Heilman, Gong & Yan, arXiv:2411.12616).

    With h the hyperedges of v, and w the others in h,

        relatives:    m_v = N_v Σ_h M(v, h)
        exchange:     m_v = N_v Σ_h Σ_w M(v, h, w)
        aggregation:  m_v = N_v Σ_h M(v, h, AGG{w})

    N_v = 1 / (1 + number of terms), so that types with many hyperedges and types with few are of one size, a node
    without hyperedges hears nothing, and terms whose weight fades vanish smoothly.
    """

    def __init__(self, channels: int, strategy: Strategy, aggregation: Sequence[Aggregation] = ("mean",)) -> None:
        super().__init__()
        if strategy not in get_args(Strategy):
            raise IrrepnetError(f"unknown strategy {strategy!r}; choose one of {', '.join(get_args(Strategy))}")
        self.strategy = strategy
        self.aggregate = Aggregate(channels, aggregation) if strategy == "aggregation" else None
        heard = {"relatives": 0, "exchange": channels, "aggregation": self.aggregate.width if self.aggregate else 0}
        self.message = GatedMessage(channels, heard[strategy])

    def forward(self, x: torch.Tensor, hyperedges: torch.Tensor, at: IncidenceTensors) -> torch.Tensor:
        """Nodes (n_nodes, channels), hyperedges (n_edges, channels) → messages (n_nodes, channels)."""
        message = self.message
        z = message.receiver(x).index_select(0, at.node) + message.hyperedge(hyperedges).index_select(0, at.edge)
        node, weight = at.node, at.weight
        if self.strategy == "exchange" and message.sender is not None:
            z = z.index_select(0, at.incidence) + message.sender(x).index_select(0, at.other)
            node, weight = node.index_select(0, at.incidence), weight.index_select(0, at.incidence) * at.other_weight
        elif self.aggregate is not None and message.sender is not None:
            z = z + message.sender(self.aggregate(x, hyperedges, at))
        return damped_mean(message(z), node, weight, len(x))


def damped_mean(messages: torch.Tensor, node: torch.Tensor, weight: torch.Tensor, size: int) -> torch.Tensor:
    """Σ w m / (1 + Σ w) of the messages to each node: (n, C), (n,), (n,) → (size, C)."""
    total = 1 + segment_sum(weight, node, size)
    return segment_sum(messages * weight[:, None], node, size) / total[:, None]


class HyperedgeUpdate(nn.Module):
    """h ← h + MLP(LN h, mean of LN v over the nodes of h), a node counted as often as it is in h."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.members_norm = nn.LayerNorm(channels)
        self.update = mlp(2 * channels, channels, channels)

    def forward(
        self, x: torch.Tensor, hyperedges: torch.Tensor, at: IncidenceTensors, multiplicity: torch.Tensor
    ) -> torch.Tensor:
        """Nodes (n_nodes, channels), hyperedges (n_edges, channels) → hyperedges; multiplicity (n_nodes,)."""
        x = self.members_norm(x)
        others = segment_sum(x.index_select(0, at.other) * at.other_weight[:, None], at.incidence, len(at.node))
        number = 1 + segment_sum(at.other_weight, at.incidence, len(at.node))
        members = (x.index_select(0, at.node) + others) / number[:, None]
        # the same at every node of a hyperedge of which all nodes hear; of a bond, say, one end hears of the other
        share = at.weight * multiplicity.index_select(0, at.node)
        mean = segment_mean(members, at.edge, len(hyperedges), share)
        return hyperedges + self.update(torch.cat([self.norm(hyperedges), mean], -1))
