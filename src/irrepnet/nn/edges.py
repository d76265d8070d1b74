"""The edges of a graph as layers use them; made once a batch for all layers."""

from collections.abc import Sequence
from functools import cached_property

import torch

from irrepnet.nn.moments import moment_map
from irrepnet.nn.sparse import SparseMap, gather


class Edges:
    """The edges of a graph as layers use them; what only some ways of computing need is made when it is asked for.

    Args:
        receiver, sender, edge_class: (n_edges,), sorted by receiver; edges of one class have equal invariants.
        n_classes: how many classes there are.
        inverse_count: (n_nodes, 1), one over the number of neighbours.
        weight: (n_edges,) the neighbours that an edge stands for; one each by default.
        harmonics: (n_edges, n_harmonics) summed over these neighbours, if there are moments.
        directed: so many of the first edges see their direction.
        twice: gradients will be differentiated again; the layers then take operations for which this is cheap.

    Attributes:
        share: (n_edges,) of the receiver's neighbours.
        harmonics: (n_edges, n_harmonics) as given, over the number of neighbours.
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
        self.receiver, self.sender, self.edge_class = receiver, sender, edge_class
        self.n_nodes, self.n_classes, self.directed, self.twice = len(inverse_count), n_classes, directed, twice
        share = inverse_count.index_select(0, receiver)
        self.share = share[:, 0] if weight is None else share[:, 0] * weight
        self.harmonics = None if harmonics is None else (harmonics * share).contiguous()

    @cached_property
    def directed_classes(self) -> int:
        """The edges that see their direction are of so many of the first classes."""
        return int(self.edge_class[: self.directed].max()) + 1 if self.directed else 0

    @cached_property
    def mean(self) -> SparseMap:
        """From the edges to the mean over each node's neighbours."""
        n_edges = len(self.receiver)
        e = torch.arange(n_edges, device=self.receiver.device)
        return SparseMap(self.receiver, e, (self.n_nodes, n_edges), self.share)

    @cached_property
    def moments(self) -> SparseMap | None:
        """From the weights of the edges to moments, if there are any."""
        return None if self.harmonics is None else moment_map(self.harmonics, self.receiver, self.n_nodes)

    @cached_property
    def directed_class(self) -> SparseMap:
        """From the classes, up to the last one in question, to the edges that see their direction."""
        return gather(self.edge_class[: self.directed], self.directed_classes)

    @cached_property
    def _sources(self) -> SparseMap:
        """From the rows of receivers, senders, classes and directed edges to the edges."""
        n, n_edges = self.n_nodes, len(self.receiver)
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
