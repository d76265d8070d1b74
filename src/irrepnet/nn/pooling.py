"""From nodes to crystals."""

import torch
from torch import nn


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
        mean = crystal_mean(v, crystal, size, multiplicity)
        # deviations, not E[v²] − E[v]²: no cancellation
        variance = crystal_mean((v - mean[crystal]) ** 2, crystal, size, multiplicity)
        return torch.cat([mean, (variance + 1e-6).sqrt()], -1)


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
