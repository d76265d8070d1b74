"""Layers on the edges and nodes of a graph, by compiled code where there is any.

Written as PyTorch's operations, what lies between the products of matrices takes as long as these, because each reads
and writes the features of every edge; and on small graphs, calling them takes longer than both. For other devices,
gradients of gradients, and installations without a compiler the same functions are composed of PyTorch's operations.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from irrepnet.nn import compiled
from irrepnet.nn.edges import Edges
from irrepnet.nn.moments import Moments

_BLOCK = 192
"""Edges, or nodes, that go through a layer together, so that what is made of them stays in the cache."""


def _takes(edges: Edges) -> bool:
    """Whether the compiled code takes these edges."""
    share, harmonics = edges.share, edges.harmonics
    varied = share.requires_grad or (harmonics is not None and harmonics.requires_grad)
    return not edges.twice and not varied and compiled.takes(share)


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


def messages(
    edges: Edges,
    v: torch.Tensor,
    hidden: torch.Tensor,
    seen: Sequence[torch.Tensor],
    norm: nn.LayerNorm,
    receiver: nn.Linear,
    sender: nn.Linear,
    scalar: nn.Linear,
    message: nn.Linear,
    moments: Moments | None,
) -> torch.Tensor:
    """What a node knows after it has heard its neighbours: x = norm(v), and of x their :func:`neighbour_features`.

    Args:
        edges, receiver, sender, message, moments: as above.
        v: (n_nodes, C).
        hidden: (n_classes, H), of which ``scalar`` makes what :func:`pair_features` calls so.
        seen: scale and direction, if there are edges that see their direction.

    Returns:
        (n_nodes, 2C + moments.width).

    Raises:
        IndexError: an edge points to a node or a class that is not there.
    """
    if not (_takes(edges) and compiled.multiplies(v)):
        x = norm(v)
        pair = pair_features(edges, x, receiver, sender, scalar(hidden), *seen)
        return torch.cat([x, *neighbour_features(edges, pair, message, moments)], -1)
    scale, direction = seen or (None, None)
    weight = None if moments is None or edges.harmonics is None else moments.weight.weight
    size = 0 if moments is None or weight is None else moments.size
    layers = (norm.weight, norm.bias, receiver.weight, receiver.bias, sender.weight, scalar.weight, scalar.bias)
    given = (edges, size, norm.eps, v, hidden, scale, direction, *layers, message.weight, message.bias, weight)
    return _Messages.apply(*given)  # type: ignore[return-value]


class _Messages(torch.autograd.Function):
    @staticmethod
    def forward(ctx, edges: Edges, size: int, epsilon: float, *tables: torch.Tensor | None) -> torch.Tensor:  # type: ignore[override]
        tables = tuple(None if table is None else table.contiguous() for table in tables)
        v, hidden, scale, direction, *weights = tables
        assert v is not None
        assert hidden is not None
        n, channels = v.shape
        n_edges, n_classes, width = len(edges.receiver), len(hidden), 2 * channels
        width += 0 if weights[-1] is None else len(weights[-1])
        l_max = (width - 2 * channels) // size if size else 0
        components = l_max * (l_max + 2)
        if size and (edges.harmonics is None or edges.harmonics.shape[1] != components):
            raise ValueError(f"edges do not have {components} harmonics, and moments go to l = {l_max}")
        square, line, double = (channels, channels), (channels,), (2 * channels, channels)
        wanted = [line, line, square, line, square, (channels, hidden.shape[1]), line, double, (2 * channels,)]
        seen = [table for table in (scale, direction, weights[-1]) if table is not None]
        found = [tuple(weight.shape) for weight in weights[:-1] if weight is not None]
        if found != wanted or any(table.shape[1] != channels for table in seen):
            raise ValueError(f"the layer is not for {channels} channels and {hidden.shape[1]} hidden ones")
        directed, scaled = (0 if table is None else len(table) for table in (direction, scale))
        sizes = (n_edges, n, n_classes, channels, hidden.shape[1], directed)
        index = (edges.receiver, edges.sender, edges.edge_class, edges.share, edges.harmonics if size else None)
        ones, u = v.new_ones(channels), v.new_empty(n, width)
        kept = v.new_empty(n * (3 * channels + 1 + components * size) + n_classes * channels)
        pair, q = v.new_empty(n_edges, channels), v.new_empty(n_edges, width)
        given = (*sizes, scaled, l_max, size, _BLOCK, epsilon, *index, ones, *tables, u, kept, pair, q)
        _check(compiled.call("messages", v.dtype, *given))
        ctx.sizes, ctx.index = (*sizes, l_max, size), index
        ctx.save_for_backward(ones, *tables[1:], u, kept, pair, q)
        return u

    @staticmethod
    @once_differentiable
    def backward(ctx, by_u: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        _, n, n_classes, channels, _, _, l_max, size = ctx.sizes
        ones, *tables, u, kept, pair, q = ctx.saved_tensors
        hidden, scale, direction, norm, _, receiver, bias, sender, of_class, _, message, _, weight = tables
        by_v = by_u.new_empty(n, channels)
        by_tables = [None if table is None else torch.zeros_like(table) for table in tables]
        by_node, by_pair = 3 * channels + l_max * (l_max + 2) * size, by_u.shape[1] + channels
        space = by_u.new_zeros(_BLOCK * by_pair + n * by_node + n_classes * channels)
        given = (hidden, scale, direction, norm, receiver, bias, sender, of_class, message, weight, u, kept, pair, q)
        made = (by_u.contiguous(), space, by_v, *by_tables)
        compiled.call("messages_backward", by_u.dtype, *ctx.sizes, _BLOCK, *ctx.index, ones, *given, *made)
        return None, None, None, by_v, *by_tables


def two_layers(
    x: torch.Tensor, first: nn.Linear, second: nn.Linear, v: torch.Tensor | None = None, twice: bool = False
) -> torch.Tensor:
    """second(silu(first(x))), + v if there is one.

    Args:
        x: (..., inputs).
        v: (..., outputs).
        twice: gradients will be differentiated again, for which PyTorch's operations are faster.
    """
    if not twice and x.dim() == 2 and compiled.multiplies(x):
        return _TwoLayers.apply(x, v, first.weight, first.bias, second.weight, second.bias)  # type: ignore[return-value]
    y = _two_layers(x, first.weight, first.bias, second.weight, second.bias)
    return y if v is None else v + y


def _two_layers(x: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:
    linear = torch.nn.functional.linear
    return linear(torch.nn.functional.silu(linear(x, *weights[:2])), *weights[2:])


class _TwoLayers(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: torch.Tensor, v: torch.Tensor | None, *weights: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        hidden, outputs = len(weights[0]), len(weights[2])
        if x.shape[1] != weights[0].shape[1] or (v is not None and v.shape != (len(x), outputs)):
            raise ValueError(f"two layers with {weights[0].shape[1]} inputs and {outputs} outputs do not fit")
        z, out = x.new_empty(len(x) + _BLOCK, hidden), x.new_empty(len(x), outputs)
        given = (x.contiguous(), None if v is None else v.contiguous(), *weights)
        compiled.call("two_layers", x.dtype, *x.shape, hidden, outputs, _BLOCK, *given, z, out)
        ctx.save_for_backward(x, z, *weights)
        return out

    @staticmethod
    def backward(ctx, by_out: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        x, z, *weights = ctx.saved_tensors
        by_v = by_out if ctx.needs_input_grad[1] else None
        if torch.is_grad_enabled():
            by_x, *by_weights = compiled.again(_two_layers, (x, *weights), by_out)
            return by_x, by_v, *by_weights
        first, _, second, _ = weights
        space, by_x = z.new_empty(2 * _BLOCK, z.shape[1]), torch.zeros_like(x) if ctx.needs_input_grad[0] else None
        by_weights = [torch.zeros_like(weight) for weight in weights]
        sizes = (*x.shape, z.shape[1], by_out.shape[1], _BLOCK)
        given = (x.contiguous(), first, second, z, by_out.contiguous())
        compiled.call("two_layers_backward", x.dtype, *sizes, *given, space, by_x, *by_weights)
        return by_x, by_v, *by_weights


def _check(edge: int) -> None:
    if edge >= 0:
        raise IndexError(f"edge {edge} points to a node or a class that is not there")
