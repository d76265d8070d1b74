"""One layer of a point-group network."""

from collections.abc import Sequence
from functools import cached_property
from typing import Literal

import torch
from torch import nn

from irrepnet.groups import PointGroup
from irrepnet.nn.filters import Covariants, Filter
from irrepnet.nn.group import GroupCorrelation, Orbits
from irrepnet.nn.moments import Moments, moment_map
from irrepnet.nn.sparse import SparseMap, gather


def mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Two dense layers with SiLU between them."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, outputs))


class Edges:
    """The edges of a graph as layers use them; made once a batch for all layers.

    Args:
        receiver, sender, edge_class: (n_edges,), sorted by receiver; edges of one class have equal invariants.
        n_classes: how many classes there are.
        inverse_count: (n_nodes, 1), one over the number of neighbours.
        weight: (n_edges,) the neighbours that an edge stands for; one each by default.
        harmonics: (n_edges, n_harmonics) summed over these neighbours, if there are moments.
        directed: so many of the first edges see their direction.
        twice: gradients will be differentiated again; the layers then take operations for which this is cheap.
    """

    def __init__(
        self,
        receiver: torch.Tensor,
        sender: torch.Tensor,
        edge_class: torch.Tensor,
        n_classes: int,
        inverse_count: torch.Tensor,
        weight: torch.Tensor | None = None,
        harmonics: torch.Tensor | None = None,
        directed: int = 0,
        twice: bool = False,
    ) -> None:
        n, e = len(inverse_count), torch.arange(len(receiver), device=receiver.device)
        self.receiver, self.sender, self.edge_class = receiver, sender, edge_class
        self.n_classes, self.directed, self.twice = n_classes, directed, twice
        share = inverse_count.index_select(0, receiver)[:, 0]
        self.mean = SparseMap(receiver, e, (n, len(e)), share if weight is None else share * weight)
        """From the edges to the mean over each node's neighbours."""
        self.moments = None if harmonics is None else moment_map(harmonics * share[:, None], receiver, n)
        of_class = edge_class[:directed]
        self.directed_class = gather(of_class, int(of_class.max()) + 1 if directed else 0)
        """From the classes, up to the last one in question, to the edges that see their direction."""

    @cached_property
    def _sources(self) -> SparseMap:
        """From the rows of receivers, senders, classes and directed edges to the edges."""
        n, n_edges = self.mean.shape
        e = torch.arange(n_edges, device=self.receiver.device)
        sources = torch.stack([self.receiver, n + self.sender, 2 * n + self.edge_class], 1)
        own = 2 * n + self.n_classes + e[: self.directed, None]
        first = torch.cat([sources[: self.directed], own], 1)
        column = torch.cat([first.flatten(), sources[self.directed :].flatten()])
        row = torch.cat([e[: self.directed].repeat_interleave(4), e[self.directed :].repeat_interleave(3)])
        return SparseMap(row, column, (n_edges, 2 * n + self.n_classes + self.directed))

    def pairs(self, receivers: torch.Tensor, senders: torch.Tensor, parts: Sequence[torch.Tensor]) -> torch.Tensor:
        """(n_edges, C) sums of what belongs to receiver, sender, class and, in the first edges, direction.

        Args:
            receivers, senders: (n_nodes, C).
            parts: (n_classes, C), and (directed, C) if there are edges that see their direction.
        """
        if receivers.dtype == torch.float32 and not self.twice:
            return self._sources(torch.cat([receivers, senders, *parts]))
        out = receivers.index_select(0, self.receiver) + senders.index_select(0, self.sender)
        out = out + parts[0].index_select(0, self.edge_class)
        return torch.cat([out[: self.directed] + parts[1], out[self.directed :]]) if len(parts) > 1 else out


class GroupConvolution(nn.Module):
    """A residual layer on functions v_a(g), evaluated at the nodes of a graph.

        m_a(g) = mean over neighbours b of φ(v_a(g), v_b(g), F(g⁻¹ r_ab))      gated message
        m_a    = m_a + D (W m)_a                                              group correlation: orbit mixing
        v_a    = v_a + MLP(v_a, m_a, s_a)        s_a the lengths of moments of the neighbours' directions

    Everything but the correlation acts at each (g, a) by itself, and so do the non-linearities and the
    normalisation: this is exactly equivariant whatever functions they are.

    Args:
        group: the point group, or several: see :class:`GroupCorrelation`.
        channels: of the features.
        hidden: size of the embedded invariants of an edge.
        covariants: number of covariant components of a direction; 0 for filters that see none.
        mixing: irreps of the orbit mixing, which all groups have; True for all irreps, None for no mixing.
        moments: largest l of the moments and channels of each l; None for no moments.
    """

    def __init__(
        self,
        group: PointGroup | Sequence[PointGroup],
        channels: int,
        hidden: int,
        covariants: int,
        mixing: tuple[str, ...] | Literal[True] | None,
        moments: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.receiver = nn.Linear(channels, channels)
        self.sender = nn.Linear(channels, channels, bias=False)
        self.filter = Filter(hidden, covariants, channels)
        self.message = nn.Linear(channels, 2 * channels)
        labels = None if mixing is True else mixing
        self.correlation = GroupCorrelation(group, channels, labels) if mixing else None
        self.dense = nn.Linear(channels, channels, bias=False) if mixing else None
        self.moments = Moments(channels, *moments) if moments else None
        self.update = mlp(2 * channels + (self.moments.width if self.moments else 0), 2 * channels, channels)

    def forward(
        self,
        v: torch.Tensor,
        hidden: torch.Tensor,
        covariants: Covariants,
        edges: Edges,
        orbits: Orbits | None = None,
    ) -> torch.Tensor:
        """One step.

        Args:
            v: (n_nodes, channels).
            hidden: (n_classes, hidden) embedded invariants.
            covariants: of the edges that see their direction.
            edges: of the graph.
            orbits: its pairs of nodes joined by right translations, if there is orbit mixing.
        """
        x = self.norm(v)
        seen = self.filter.parts(hidden, covariants, edges.directed_class)
        pair = torch.nn.functional.silu(edges.pairs(self.receiver(x), self.sender(x), seen))
        if edges.twice:
            gate, value = self.message(pair).chunk(2, -1)
            m = edges.mean(torch.sigmoid(gate) * value)
        else:  # the same; torch's gated linear unit takes the gate last
            weight, bias = (p.roll(len(p) // 2, 0) for p in (self.message.weight, self.message.bias))
            m = edges.mean(torch.nn.functional.glu(torch.nn.functional.linear(pair, weight, bias)))
        if self.correlation is not None and self.dense is not None and orbits is not None:
            m = m + self.dense(self.correlation(m, orbits))
        features = [x, m]
        if self.moments is not None and edges.moments is not None:
            features.append(self.moments(pair, edges.moments))
        return v + self.update(torch.cat(features, -1))
