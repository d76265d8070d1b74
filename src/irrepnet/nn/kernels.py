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
        check(compiled.call("pair_features", out.dtype, *sizes, *index, bias, *tables, out))
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
        check(compiled.call("neighbour_features", q.dtype, *ctx.sizes, *given, bias, q, mean, moments, lengths))
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
    if not takes_layers(edges, v):
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
        u, ctx.sizes, kept = _heard(edges, size, epsilon, tables)
        ctx.index = _index(edges, size)
        ctx.save_for_backward(*kept, *tables[1:])
        return u

    @staticmethod
    @once_differentiable
    def backward(ctx, by_u: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        kept, tables = ctx.saved_tensors[:_KEPT], ctx.saved_tensors[_KEPT:]
        by_tables = zeros(tables)
        by_v = _heard_backward(ctx.sizes, ctx.index, kept, tables, by_u.contiguous(), by_tables)
        return None, None, None, by_v, *by_tables


_KEPT = 5
"""Tensors that :func:`_heard` leaves for the way back."""


def _index(edges: Edges, size: int) -> tuple[torch.Tensor | None, ...]:
    return edges.receiver, edges.sender, edges.edge_class, edges.share, edges.harmonics if size else None


def _heard(
    edges: Edges, size: int, epsilon: float, tables: Sequence[torch.Tensor | None]
) -> tuple[torch.Tensor, tuple[int, ...], tuple[torch.Tensor, ...]]:
    """The rows u of :func:`messages`, the sizes of the call, and the tensors that the way back needs."""
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
    ones, u = v.new_ones(channels), v.new_empty(n, width)
    kept = v.new_empty(n * (3 * channels + 1 + components * size) + n_classes * channels)
    pair, q = v.new_empty(n_edges, channels), v.new_empty(n_edges, width)
    given = (*sizes, scaled, l_max, size, _BLOCK, epsilon, *_index(edges, size), ones, *tables, u, kept, pair, q)
    check(compiled.call("messages", v.dtype, *given))
    return u, (*sizes, l_max, size), (ones, u, kept, pair, q)


def _heard_backward(
    sizes: tuple[int, ...],
    index: tuple[torch.Tensor | None, ...],
    kept: Sequence[torch.Tensor],
    tables: Sequence[torch.Tensor | None],
    by_u: torch.Tensor,
    by_tables: Sequence[torch.Tensor | None],
) -> torch.Tensor:
    """The gradient by v; those by the other tables are added to what ``by_tables`` holds."""
    _, n, n_classes, channels, _, _, l_max, size = sizes
    ones, u, *rest = kept
    hidden, scale, direction, norm, _, receiver, bias, sender, of_class, _, message, _, weight = tables
    by_v = by_u.new_empty(n, channels)
    by_node, by_pair = 3 * channels + l_max * (l_max + 2) * size, by_u.shape[1] + channels
    space = by_u.new_zeros(_BLOCK * by_pair + n * by_node + n_classes * channels)
    given = (hidden, scale, direction, norm, receiver, bias, sender, of_class, message, weight, u, *rest)
    compiled.call("messages_backward", by_u.dtype, *sizes, _BLOCK, *index, ones, *given, by_u, space, by_v, *by_tables)
    return by_v


def zeros(tensors: Sequence[torch.Tensor | None]) -> list[torch.Tensor | None]:
    """Zeros for the gradients by tensors, one piece of memory for all."""
    there = [tensor for tensor in tensors if tensor is not None]
    flat = there[0].new_zeros(sum(tensor.numel() for tensor in there))
    parts = iter(flat.split([tensor.numel() for tensor in there]))
    return [None if tensor is None else next(parts).view(tensor.shape) for tensor in tensors]


def layers(
    edges: Edges,
    v: torch.Tensor,
    hidden: torch.Tensor,
    norms: Sequence[nn.LayerNorm],
    weights: Sequence[Sequence[torch.Tensor | None]],
    size: int,
) -> torch.Tensor:
    """Layers one after the other, each v + :func:`two_layers` of its :func:`messages`, none of which sees directions.

    One node of the graph of gradients for all: of small graphs these nodes take longer than what they do.

    Args:
        edges, v, hidden: as above; :func:`takes_layers` of them.
        norms: of each layer.
        weights: of each: receiver, sender, scalar, message, moments' or None, first and second of the two.
        size: channels of the moments of each l, 0 for none.

    Returns:
        (n_nodes, C).

    Raises:
        IndexError: an edge points to a node or a class that is not there.
    """
    flat = [weight for norm, own in zip(norms, weights) for weight in (norm.weight, norm.bias, *own)]
    return _Layers.apply(edges, size, norms[0].eps, v, hidden, *flat)  # type: ignore[return-value]


def takes_layers(edges: Edges, v: torch.Tensor) -> bool:
    """Whether the compiled code takes whole layers."""
    return _takes(edges) and compiled.multiplies(v)


class _Layers(torch.autograd.Function):
    WEIGHTS = 14
    """Of a layer, of which the last four are those of the two dense layers."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx, edges: Edges, size: int, epsilon: float, v: torch.Tensor, hidden: torch.Tensor, *flat: torch.Tensor | None
    ) -> torch.Tensor:
        v, hidden, kept = v.contiguous(), hidden.contiguous(), []
        n = _Layers.WEIGHTS
        for k in range(0, len(flat), n):
            heard, dense = flat[k : k + n - 4], flat[k + n - 4 : k + n]
            u, ctx.sizes, own = _heard(edges, size, epsilon, (v, hidden, None, None, *heard))
            v, z = _dense(u, v, dense)  # type: ignore[arg-type]
            kept += [*own, z]
        ctx.index = _index(edges, size)
        ctx.save_for_backward(hidden, *flat, *kept)
        return v

    @staticmethod
    @once_differentiable
    def backward(ctx, by_v: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        hidden, *saved = ctx.saved_tensors
        n, m = _Layers.WEIGHTS, _KEPT + 1
        number = len(saved) // (n + m)
        flat, kept = saved[: number * n], saved[number * n :]
        by_hidden, *by_flat = zeros([hidden, *flat])
        for k in reversed(range(number)):
            *own, z = kept[m * k : m * (k + 1)]
            at, dense = n * k, n * (k + 1) - 4
            by_v = by_v.contiguous()
            by_u = torch.zeros_like(own[1])
            _dense_backward(own[1], flat[dense : at + n], z, by_v, by_u, by_flat[dense : at + n])
            tables = (hidden, None, None, *flat[at:dense])
            by_v = by_v + _heard_backward(
                ctx.sizes, ctx.index, own, tables, by_u, (by_hidden, None, None, *by_flat[at:dense])
            )
        return None, None, None, by_v, by_hidden, *by_flat


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
        if x.shape[1] != weights[0].shape[1] or (v is not None and v.shape != (len(x), len(weights[2]))):
            raise ValueError(f"two layers with {weights[0].shape[1]} inputs and {len(weights[2])} outputs do not fit")
        out, z = _dense(x.contiguous(), None if v is None else v.contiguous(), weights)
        ctx.save_for_backward(x, z, *weights)
        return out

    @staticmethod
    def backward(ctx, by_out: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        x, z, *weights = ctx.saved_tensors
        by_v = by_out if ctx.needs_input_grad[1] else None
        if torch.is_grad_enabled():
            by_x, *by_weights = compiled.again(_two_layers, (x, *weights), by_out)
            return by_x, by_v, *by_weights
        by_x = torch.zeros_like(x, memory_format=torch.contiguous_format) if ctx.needs_input_grad[0] else None
        by_weights = zeros(weights)
        _dense_backward(x.contiguous(), weights, z, by_out.contiguous(), by_x, by_weights)
        return by_x, by_v, *by_weights


def _dense(
    x: torch.Tensor, v: torch.Tensor | None, weights: Sequence[torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """The result of :func:`two_layers`, and what the way back needs."""
    hidden, outputs = len(weights[0]), len(weights[2])
    z, out = x.new_empty(len(x) + _BLOCK, hidden), x.new_empty(len(x), outputs)
    compiled.call("two_layers", x.dtype, *x.shape, hidden, outputs, _BLOCK, x, v, *weights, z, out)
    return out, z


def _dense_backward(
    x: torch.Tensor,
    weights: Sequence[torch.Tensor],
    z: torch.Tensor,
    by_out: torch.Tensor,
    by_x: torch.Tensor | None,
    by_weights: Sequence[torch.Tensor | None],
) -> None:
    """Adds the gradients to what ``by_x``, if it is there, and ``by_weights`` hold."""
    first, _, second, _ = weights
    space = z.new_empty(2 * _BLOCK, z.shape[1])
    sizes = (*x.shape, z.shape[1], by_out.shape[1], _BLOCK)
    compiled.call("two_layers_backward", x.dtype, *sizes, x, first, second, z, by_out, space, by_x, *by_weights)


def check(edge: int) -> None:
    """Raises IndexError if a function returned the number of an edge that points nowhere."""
    if edge >= 0:
        raise IndexError(f"edge {edge} points to a node or a class that is not there")
