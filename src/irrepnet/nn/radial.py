"""Distances and other numbers as vectors."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

from irrepnet.errors import IrrepnetError

Radial = Literal["gaussian", "bessel"]


class GaussianBasis(nn.Module):
    """exp(−((x − μ_k)/w)²) with ``n`` centres μ_k from ``start`` to ``stop``, w apart; nowhere less than e⁻⁴⁶ = 1e-20.

    Of the tails, some would be subnormal numbers in float32, on which a processor spends fifty times longer.
    """

    def __init__(self, start: float, stop: float, n: int) -> None:
        super().__init__()
        self.register_buffer("centres", torch.linspace(start, stop, n, dtype=torch.float64), persistent=False)
        self.width = (stop - start) / (n - 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n_values,) → (n_values, n)."""
        squares = ((x[:, None] - self.get_buffer("centres").to(x.dtype)) / self.width) ** 2
        return torch.exp(-squares.clamp(max=46.0))


def envelope(x: torch.Tensor, p: int = 6) -> torch.Tensor:
    """1 − (p+1)(p+2)/2 xᵖ + p(p+2) xᵖ⁺¹ − p(p+1)/2 xᵖ⁺², and 0 from x = 1 on, with zero slope and curvature there.

    Gasteiger, Groß & Günnemann, arXiv:2003.03123, eq. 8.
    """
    polynomial = 1 + x**p * (-(p + 1) * (p + 2) / 2 + x * (p * (p + 2) - x * p * (p + 1) / 2))
    return torch.where(x < 1, polynomial, torch.zeros_like(x))


class BesselBasis(nn.Module):
    """u(d/c) sqrt(2/c) sin(kπd/c)/d for k = 1 … n, with the cutoff c and the envelope u: smooth, and 0 from c on.

    Gasteiger, Groß & Günnemann, arXiv:2003.03123, eq. 7.
    """

    def __init__(self, cutoff: float, n: int) -> None:
        super().__init__()
        self.cutoff = cutoff
        self.register_buffer("order", torch.arange(1, n + 1, dtype=torch.float64), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n_values,) Å → (n_values, n)."""
        order = self.get_buffer("order").to(x.dtype)
        scaled = (x / self.cutoff)[:, None]
        # sin(kπy)/y = kπ sinc(ky), which is defined at 0
        waves = math.pi * order * torch.sinc(order * scaled) / self.cutoff
        return math.sqrt(2 / self.cutoff) * envelope(scaled) * waves


class Expansion(nn.Module):
    """The features of a hyperedge as one vector, column by column.

    Args:
        columns: (name, low, high, size) each. One of size 1 is scaled from [low, high] to [−1, 1]; one of size n
            becomes n Gaussians, from low to high.
        radial: basis of a column called "distance".

    Attributes:
        width: length of the vector.
    """

    def __init__(self, columns: Sequence[tuple[str, float, float, int]], radial: Radial = "gaussian") -> None:
        super().__init__()
        for name, low, high, _ in columns:
            if not low < high:
                raise IrrepnetError(f"column {name!r} reaches from {low} to {high}; low must be below high")
        self.width = sum(size for *_, size in columns)
        self.plain = [i for i, (*_, size) in enumerate(columns) if size == 1]
        self.expanded = [i for i, (*_, size) in enumerate(columns) if size > 1]
        limits = torch.tensor([[columns[i][1], columns[i][2]] for i in self.plain], dtype=torch.float64).reshape(-1, 2)
        self.register_buffer("middle", limits.mean(1), persistent=False)
        self.register_buffer("half_width", limits.diff(dim=1)[:, 0] / 2, persistent=False)
        self.bases = nn.ModuleList(
            BesselBasis(high, size) if radial == "bessel" and name == "distance" else GaussianBasis(low, high, size)
            for name, low, high, size in (columns[i] for i in self.expanded)
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(n, n_columns) → (n, width), the expanded columns first."""
        middle, half_width = (self.get_buffer(name).to(features.dtype) for name in ("middle", "half_width"))
        parts = [basis(features[:, i]) for i, basis in zip(self.expanded, self.bases)]
        return torch.cat([*parts, (features[:, self.plain] - middle) / half_width], -1)
