"""Sums over the edges of a graph in one pass over memory, by compiled code where there is any.

Products of matrices are as fast as they can be; what lies between them, written as PyTorch's operations, takes as long
again, because each reads and writes the features of every edge. For other devices, gradients of gradients, and
installations without a compiler the same functions are composed of PyTorch's operations.
"""

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from irrepnet.nn import compiled
from irrepnet.nn.edges import Edges
from irrepnet.nn.moments import Moments


def _takes(edges: Edges) -> bool:
    """Whether the compiled code can take these edges."""
    if edges.twice or torch.compiler.is_compiling():
        return False
    share, harmonics = edges.share, edges.harmonics
    varied = share.requires_grad or (harmonics is not None and harmonics.requires_grad)
    return not varied and compiled.takes(share)


def pair_features(
    edges: Edges,
    x: torch.Tensor,
    receiver: nn.Linear,
    sender: nn.Linear,
    scalar: torch.Tensor,
    scale: torch.Tensor | None = None,
    direction: torch.Tensor | None = None,
) -> torch.Tensor:
    """silu of R x_a + S x_b + scalar_k, + scale_k ⊙ direction_ab where the edge sees its direction.

    Args:
        edges: a, b and k of each.
        x: (n_nodes, …).
        receiver, sender: R, with a bias, and S, without, to C.
        scalar: (n_classes, C).
        scale: (directed_classes, C), if there are edges that see their direction.
        direction: (directed, C), likewise.

    Returns:
        (n_edges, C).

    Raises:
        IndexError: an edge points to a node or a class that is not there.
    """
    if _takes(edges):
        ends = torch.nn.functional.linear(x, torch.cat([receiver.weight, sender.weight]))
        return _PairFeatures.apply(edges, receiver.bias, ends, scalar, scale, direction)  # type: ignore[return-value]
    parts = [scalar] if scale is None or direction is None else [scalar, edges.directed_class(scale) * direction]
    return torch.nn.functional.silu(edges.pairs(receiver(x), sender(x), parts))


class _PairFeatures(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx, edges: Edges, bias: torch.Tensor, ends: torch.Tensor, *others: torch.Tensor | None
    ) -> torch.Tensor:
        ctx.edges = edges
        tables = [None if table is None else table.contiguous() for table in (ends, *others)]
        ctx.save_for_backward(bias, *tables)
        n_nodes, n_classes, scaled, directed = (0 if table is None else len(table) for table in tables)
        out = edges.share.new_empty(len(edges.receiver), len(bias))
        if any(table is not None and table.shape[1] != out.shape[1] for table in others):
            raise ValueError(f"features of classes and directions do not have {out.shape[1]} channels")
        sizes = (*out.shape, directed, n_nodes, n_classes, scaled)
        index = (edges.receiver, edges.sender, edges.edge_class)
        _check(compiled.call("pair_features", out.dtype, *sizes, *index, bias, *tables, out))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, by_out: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        edges, tables = ctx.edges, ctx.saved_tensors
        by_tables = [None if table is None else torch.zeros_like(table) for table in tables]
        sizes = (*by_out.shape, 0 if tables[-1] is None else len(tables[-1]))
        index = (edges.receiver, edges.sender, edges.edge_class)
        compiled.call("pair_features_backward", by_out.dtype, *sizes, *index, *tables, by_out.contiguous(), *by_tables)
        return None, *by_tables


def neighbour_features(
    edges: Edges, pair: torch.Tensor, message: nn.Linear, moments: Moments | None
) -> tuple[torch.Tensor, ...]:
    """Of each node a, the mean over its neighbours b of σ(gate_ab) ⊙ value_ab, and lengths of moments.

    Args:
        edges: their shares are the weights of the mean.
        pair: (n_edges, C).
        message: from C to 2C, a gate and a value.
        moments: of :class:`irrepnet.nn.Moments`; None for none.

    Returns:
        (n_nodes, C) and, if there are moments, (n_nodes, moments.width).

    Raises:
        IndexError: an edge points to a node that is not there.
    """
    if _takes(edges):
        if moments is None or edges.harmonics is None:
            return _NeighbourFeatures.apply(edges, 0, pair, message.weight, message.bias)[:1]
        weight = torch.cat([message.weight, moments.weight.weight])
        return _NeighbourFeatures.apply(edges, moments.size, pair, weight, message.bias)
    if edges.twice:
        gate, value = message(pair).chunk(2, -1)
        mean = edges.mean(torch.sigmoid(gate) * value)
    else:  # the same; torch's gated linear unit takes the gate last
        weight, bias = (p.roll(len(p) // 2, 0) for p in (message.weight, message.bias))
        mean = edges.mean(torch.nn.functional.glu(torch.nn.functional.linear(pair, weight, bias)))
    return (mean,) if moments is None or edges.moments is None else (mean, moments(pair, edges.moments))


class _NeighbourFeatures(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx, edges: Edges, size: int, pair: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        channels = len(bias) // 2
        width = len(weight) - len(bias)  # of the moments
        l_max = width // size if size else 0
        components = 0 if edges.harmonics is None else edges.harmonics.shape[1]
        if size and components != l_max * (l_max + 2):
            raise ValueError(f"edges have {components} harmonics, and moments go to l = {l_max}")
        q = torch.mm(pair, weight.t())
        mean = pair.new_zeros(edges.n_nodes, channels)
        moments = pair.new_zeros(edges.n_nodes, l_max * (l_max + 2) * size)
        lengths = pair.new_empty(edges.n_nodes, width)
        ctx.edges, ctx.sizes = edges, (len(q), edges.n_nodes, channels, l_max, size)
        given = (edges.receiver, edges.share, edges.harmonics)
        _check(compiled.call("neighbour_features", q.dtype, *ctx.sizes, *given, bias, q, mean, moments, lengths))
        ctx.save_for_backward(pair, weight, lengths, q, moments)
        return mean, lengths

    @staticmethod
    @once_differentiable
    def backward(  # type: ignore[override]
        ctx, by_mean: torch.Tensor, by_lengths: torch.Tensor
    ) -> tuple[torch.Tensor | None, ...]:
        edges, (pair, weight, lengths, q, moments) = ctx.edges, ctx.saved_tensors
        by_q, by_moments, by_bias = torch.empty_like(q), torch.empty_like(moments), q.new_zeros(2 * by_mean.shape[1])
        given = (edges.receiver, edges.share, edges.harmonics, q, moments, lengths)
        gradients = (by_mean.contiguous(), by_lengths.contiguous())
        compiled.call("neighbour_features_backward", q.dtype, *ctx.sizes, *given, *gradients, by_moments, by_q, by_bias)
        return None, None, torch.mm(by_q, weight), torch.mm(by_q.t(), pair), by_bias


def _check(edge: int) -> None:
    if edge >= 0:
        raise IndexError(f"edge {edge} points to a node or a class that is not there")
