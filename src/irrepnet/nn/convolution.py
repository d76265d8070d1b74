"""One layer of a point-group network."""

import torch
from torch import nn

from irrepnet.groups import PointGroup
from irrepnet.nn.filters import Filter
from irrepnet.nn.group import GroupCorrelation


def mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Two dense layers with SiLU between them."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, outputs))


class GroupConvolution(nn.Module):
    """A residual layer on functions v_a(g), evaluated at the nodes of a graph.

        m_a(g) = mean over neighbours b of φ(v_a(g), v_b(g), F(g⁻¹ r_ab))      gated message
        m_a    = m_a + D (W m)_a                                              group correlation: orbit mixing
        v_a    = v_a + MLP(v_a, m_a)

    Everything but the correlation acts at each (g, a) by itself, and so do the non-linearities and the
    normalisation: this is exactly equivariant whatever functions they are.

    Args:
        group: the point group.
        channels: of the features.
        hidden: size of the embedded invariants of an edge.
        covariants: number of covariant components of a direction; 0 for filters that see none.
        mixing: irreps of the orbit mixing, None for no mixing.
    """

    def __init__(
        self, group: PointGroup, channels: int, hidden: int, covariants: int, mixing: tuple[str, ...] | None
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.receiver = nn.Linear(channels, channels)
        self.sender = nn.Linear(channels, channels, bias=False)
        self.filter = Filter(hidden, covariants, channels)
        self.message = nn.Linear(channels, 2 * channels)
        self.correlation = GroupCorrelation(group, channels, mixing) if mixing else None
        self.dense = nn.Linear(channels, channels, bias=False) if mixing else None
        self.update = mlp(2 * channels, 2 * channels, channels)

    def forward(
        self,
        v: torch.Tensor,
        hidden: torch.Tensor,
        covariants: torch.Tensor,
        edges: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
        inverse_count: torch.Tensor,
        orbits: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor],
    ) -> torch.Tensor:
        """One step.

        Args:
            v: (n_nodes, channels).
            hidden: (n_classes, hidden) embedded invariants.
            covariants: (n_edges, n_covariants).
            edges: receiver, sender, edge_class, each (n_edges,).
            inverse_count: (n_nodes, 1), one over the number of neighbours.
            orbits: orbit_receiver, orbit_sender, orbit_set, sets of the batch.
        """
        receiver, sender, edge_class = edges
        x = self.norm(v)
        # index_select, whose backward is an index_add; that of indexing is a scatter of single elements
        pair = self.receiver(x).index_select(0, receiver) + self.sender(x).index_select(0, sender)
        pair = pair + self.filter(hidden, covariants, edge_class)
        gate, value = self.message(torch.nn.functional.silu(pair)).chunk(2, -1)
        m = torch.zeros_like(v).index_add(0, receiver, torch.sigmoid(gate) * value) * inverse_count
        if self.correlation is not None and self.dense is not None:
            m = m + self.dense(self.correlation(m, *orbits))
        return v + self.update(torch.cat([x, m], -1))
