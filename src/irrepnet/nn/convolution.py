"""One layer of a point-group network."""

from collections.abc import Sequence
from typing import Literal, cast

import torch
from torch import nn

from irrepnet.groups import PointGroup
from irrepnet.nn.edges import Edges
from irrepnet.nn.filters import Covariants, Filter
from irrepnet.nn.group import GroupCorrelation, Orbits
from irrepnet.nn.kernels import layers, messages, takes_layers, two_layers
from irrepnet.nn.moments import Moments


class TwoLayers(nn.Sequential):
    """Two dense layers with SiLU between them: (..., inputs) → (..., outputs)."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        first, second = nn.Linear(inputs, hidden), nn.Linear(hidden, outputs)
        super().__init__(first, nn.SiLU(), second)

    def forward(self, x: torch.Tensor, v: torch.Tensor | None = None, twice: bool = False) -> torch.Tensor:
        """As :func:`irrepnet.nn.kernels.two_layers` has it."""
        first, _, second = self
        return two_layers(x, cast(nn.Linear, first), cast(nn.Linear, second), v, twice)


mlp = TwoLayers
"""The name by which networks make them."""


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
        seen = self.filter.seen(hidden, covariants, edges.directed_classes)
        layers = (self.norm, self.receiver, self.sender, self.filter.scalar, self.message, self.moments)
        u = messages(edges, v, hidden, seen, *layers)
        if self.correlation is not None and self.dense is not None and orbits is not None:
            x, m, lengths = u.tensor_split([v.shape[1], 2 * v.shape[1]], 1)
            u = torch.cat([x, m + self.dense(self.correlation(m, orbits)), lengths], 1)
        return self.update(u, v, edges.twice)


def convolved(
    convolutions: Sequence[GroupConvolution],
    v: torch.Tensor,
    hidden: torch.Tensor,
    covariants: Covariants,
    edges: Edges,
    orbits: Orbits | None = None,
) -> torch.Tensor:
    """One step after the other, of layers of one kind; the arguments are those of :class:`GroupConvolution`."""
    if not convolutions or not takes_layers(edges, v) or convolutions[0].correlation or convolutions[0].filter.scale:
        for convolution in convolutions:
            v = convolution(v, hidden, covariants, edges, orbits)
        return v
    moments = [None if edges.harmonics is None else one.moments for one in convolutions]
    weights = []
    for one, own in zip(convolutions, moments):
        linears = (one.receiver, one.sender, one.filter.scalar, one.message)
        heard = [w for linear in linears for w in (linear.weight, linear.bias)]
        del heard[3]  # the sender's, which is none
        first, _, second = one.update
        dense = [cast(torch.Tensor, w) for linear in (first, second) for w in (linear.weight, linear.bias)]
        weights.append([*heard, None if own is None else own.weight.weight, *dense])
    size = 0 if moments[0] is None else moments[0].size
    return layers(edges, v, hidden, [one.norm for one in convolutions], weights, size)
