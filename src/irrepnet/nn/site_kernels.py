"""What :mod:`irrepnet.nn.site_tensors` does along edges and at sites, by compiled code: kernels.c has the formulas.

Each function is one node of the graph of gradients in place of some dozens.
"""

import torch
from torch.autograd.function import once_differentiable

from irrepnet.nn import compiled
from irrepnet.nn.edges import Edges
from irrepnet.nn.kernels import check, takes_layers, zeros


def takes_tensors(t: torch.Tensor, unit: torch.Tensor, edges: Edges) -> bool:
    """Whether the compiled code takes tensors t, and directions along these edges."""
    return takes_layers(edges, t) and not unit.requires_grad


class SentTensors(torch.autograd.Function):
    """(n_edges, 12, C) of the sender atoms, and (n_edges, 6C) along the bond, of the sender, then of the receiver."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx, edges: Edges, unit: torch.Tensor, operation: torch.Tensor, t: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        n, width, channels = t.shape
        sent, along = t.new_zeros(len(unit), width, channels), t.new_empty(len(unit), 6 * channels)
        index, sizes = (edges.receiver, edges.sender), (len(unit), n, channels)
        check(compiled.call("sent_tensors", t.dtype, *sizes, *index, unit, operation, t.contiguous(), sent, along))
        ctx.index, ctx.shape = index, t.shape
        ctx.save_for_backward(unit, operation)
        return sent, along

    @staticmethod
    @once_differentiable
    def backward(ctx, by_sent: torch.Tensor, by_along: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        unit, operation = ctx.saved_tensors
        by_t = by_along.new_zeros(ctx.shape)
        given = (unit, operation, by_sent.clone(memory_format=torch.contiguous_format), by_along.contiguous(), by_t)
        compiled.call("sent_tensors_backward", unit.dtype, len(unit), ctx.shape[2], *ctx.index, *given)
        return None, None, None, by_t


class ArrivedTensors(torch.autograd.Function):
    """y (n_sites, 12, C), and the squared norms of its parts (n_sites, 4C); nothing is sent in a first layer."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx, edges: Edges, unit: torch.Tensor, allowed: torch.Tensor, f: torch.Tensor, sent: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        channels = f.shape[1] // (2 if sent is None else 7)
        sizes = (len(unit), edges.n_nodes, channels)
        mean, y = f.new_zeros(2, edges.n_nodes, 12, channels)
        norms = f.new_empty(edges.n_nodes, 4 * channels)
        given = (edges.receiver, edges.share, unit, allowed, f.contiguous(), sent)
        check(compiled.call("arrived_tensors", f.dtype, *sizes, *given, mean, y, norms))
        ctx.sizes, ctx.receiver, ctx.share = sizes, edges.receiver, edges.share
        ctx.save_for_backward(unit, allowed, f, sent, y)
        return y, norms

    @staticmethod
    @once_differentiable
    def backward(ctx, by_y: torch.Tensor, by_norms: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        unit, allowed, f, sent, y = ctx.saved_tensors
        by_f, by_sent = zeros((f, sent))
        given = (ctx.receiver, ctx.share, unit, allowed, f.contiguous(), sent, y)
        gradients = (by_y.contiguous(), by_norms.contiguous(), torch.zeros_like(y), by_f, by_sent)
        compiled.call("arrived_tensors_backward", f.dtype, *ctx.sizes, *given, *gradients)
        return None, None, None, by_f, by_sent


class UpdatedTensors(torch.autograd.Function):
    """What is added to the tensors: (n_sites, 12, C), of y, gates (n_sites, 4C) and the weights of the three mixes."""

    @staticmethod
    def forward(ctx, y: torch.Tensor, gates: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        n, _, channels = y.shape
        x, z, out = y.new_empty(n, 13, channels), y.new_zeros(3, n, 13, channels), torch.empty_like(y)
        y, gates = y.contiguous(), gates.contiguous()
        compiled.call("updated_tensors", y.dtype, n, channels, y, *weights, gates, x, z, out)
        ctx.save_for_backward(gates, x, z, *weights)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, by_out: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        gates, x, z, *weights = ctx.saved_tensors
        by_x, by_y, *by_weights = zeros((x, by_out, *weights))
        by_gates = torch.empty_like(gates)
        given = (*weights, gates, x, z, by_out.contiguous(), by_x, torch.empty_like(z), by_y, *by_weights, by_gates)
        compiled.call("updated_tensors_backward", z.dtype, len(gates), z.shape[3], *given)
        return by_y, by_gates, *by_weights
