"""From nodes to crystals."""

from functools import partial

import torch
from torch import nn

from irrepnet.nn import compiled


def crystal_mean(
    v: torch.Tensor, crystal: torch.Tensor, size: int, multiplicity: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean over each crystal: (n_nodes, C) → (size, C); a node counts ``multiplicity`` (n_nodes,) times, or once."""
    multiplicity = torch.ones_like(v[:, 0]) if multiplicity is None else multiplicity
    count = v.new_zeros(size).index_add(0, crystal, multiplicity)[:, None]
    return v.new_zeros(size, v.shape[-1]).index_add(0, crystal, v * multiplicity[:, None]) / count


class MeanSpread(nn.Module):
    """Mean and spread over the nodes of each crystal: (n_nodes, C) → (n_crystals, 2C).

    Pooling over all (g, a) gives invariants of the group. The spread is sqrt(variance + 1e-6): its
    gradient stays finite where all nodes are equal.
    """

    def forward(
        self, v: torch.Tensor, crystal: torch.Tensor, size: int, multiplicity: torch.Tensor | None = None
    ) -> torch.Tensor:
        """A node counts ``multiplicity`` (n_nodes,) times; once by default."""
        multiplicity = torch.ones_like(v[:, 0]) if multiplicity is None else multiplicity
        if compiled.takes(v) and not multiplicity.requires_grad:
            return _MeanSpread.apply(v, crystal, size, multiplicity)  # type: ignore[return-value]
        return _mean_spread(v, crystal, size, multiplicity)


def _mean_spread(v: torch.Tensor, crystal: torch.Tensor, size: int, multiplicity: torch.Tensor) -> torch.Tensor:
    mean = crystal_mean(v, crystal, size, multiplicity)
    # deviations, not E[v²] − E[v]²: no cancellation
    variance = crystal_mean((v - mean[crystal]) ** 2, crystal, size, multiplicity)
    return torch.cat([mean, (variance + 1e-6).sqrt()], -1)


class _MeanSpread(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx, v: torch.Tensor, crystal: torch.Tensor, size: int, multiplicity: torch.Tensor
    ) -> torch.Tensor:
        count, out = v.new_zeros(size), v.new_zeros(size, 2 * v.shape[1])
        given = (crystal.contiguous(), multiplicity.contiguous(), v.contiguous())
        row = compiled.call("mean_spread", v.dtype, *v.shape, size, *given, count, out)
        if row >= 0:
            raise IndexError(f"node {row} belongs to a crystal that is not there")
        ctx.save_for_backward(v, crystal, multiplicity, count, out)
        return out

    @staticmethod
    def backward(ctx, by_out: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        v, crystal, multiplicity, count, out = ctx.saved_tensors
        if torch.is_grad_enabled():
            plain = partial(_mean_spread, crystal=crystal, size=len(count), multiplicity=multiplicity)
            return *compiled.again(plain, (v,), by_out), None, None, None
        by_v = v.new_empty(v.shape)
        given = (crystal.contiguous(), multiplicity.contiguous(), v.contiguous(), count, out, by_out.contiguous())
        compiled.call("mean_spread_backward", v.dtype, *v.shape, *given, by_v)
        return by_v, None, None, None


def pooled_numbers(
    readout: nn.Module | None,
    pool: MeanSpread,
    v: torch.Tensor,
    crystal: torch.Tensor,
    size: int,
    multiplicity: torch.Tensor,
) -> torch.Tensor:
    """Invariants v (n_nodes, C) → (size, outputs); no outputs where there is no readout."""
    return v.new_zeros(size, 0) if readout is None else readout(pool(v, crystal, size, multiplicity))
