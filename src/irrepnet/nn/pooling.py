"""From nodes to crystals."""

import torch
from torch import nn


class MeanSpread(nn.Module):
    """Mean and spread over the nodes of each crystal: (n_nodes, C) → (n_crystals, 2C).

    Pooling over all (g, a) gives invariants of the group. The spread is sqrt(variance + 1e-6): its
    gradient stays finite where all nodes are equal.
    """

    def forward(self, v: torch.Tensor, crystal: torch.Tensor, size: int) -> torch.Tensor:
        zero = v.new_zeros(size, v.shape[-1])
        count = v.new_zeros(size).index_add(0, crystal, torch.ones_like(v[:, 0]))[:, None]
        mean = zero.index_add(0, crystal, v) / count
        # deviations, not E[v²] − E[v]²: no cancellation
        variance = zero.index_add(0, crystal, (v - mean[crystal]) ** 2) / count
        return torch.cat([mean, (variance + 1e-6).sqrt()], -1)
