"""Normalisation over rows that stand for several."""

import torch
from torch import nn


class WeightedBatchNorm(nn.Module):
    """Batch normalisation in which row i counts w_i times: what ``nn.BatchNorm1d`` gives when it is repeated so often.

    So nodes that stand for the atoms of an orbit have the statistics of all atoms. Running averages are as in torch;
    the running variance is the unbiased one, as far as the batch has more than one row.
    """

    def __init__(self, channels: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.running_mean: torch.Tensor
        self.running_var: torch.Tensor
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """(n, channels), (n,) → (n, channels)."""
        if self.training and len(x):
            total = weight.sum()
            share = weight / total
            mean = share @ x
            variance = share @ (x - mean) ** 2
            with torch.no_grad():
                unbiased = variance * torch.where(total > 1, total / (total - 1), 1.0)
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(unbiased, self.momentum)
        else:
            mean, variance = self.running_mean, self.running_var
        scale = self.weight * (variance + self.eps).rsqrt()
        return torch.addcmul(self.bias - mean * scale, x, scale)
