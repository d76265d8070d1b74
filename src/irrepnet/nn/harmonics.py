"""Spherical harmonics of vectors and matrices of O(3) on them, degree by degree."""

import torch
from torch import nn

from irrepnet.groups import wigner_3j


def _raising(l: int) -> torch.Tensor:
    """(2l+3, 3 (2l+1)) float64 with orthonormal rows: the part of degree l + 1 of vectors times harmonics of l."""
    symbol = (2 * l + 3) ** 0.5 * wigner_3j(1, l, l + 1)
    return torch.from_numpy(symbol).flatten(0, 1).T.contiguous()


class Harmonics(nn.Module):
    """Real spherical harmonics Y_lm of unit vectors for l = 1 … l_max, each of unit mean square on the sphere.

    Y_{l+1} = G_l (r ⊗ Y_l) with constant matrices G_l: a few matrix products, and gradients of any order. They are
    exact to rounding; :func:`irrepnet.groups.real_harmonics` is the same in NumPy.

    Args:
        l_max: largest l, 0 or more.
    """

    def __init__(self, l_max: int) -> None:
        super().__init__()
        self.l_max = l_max
        for l in range(1, l_max):
            # |Y_l|² = 2l + 1, of which l + 1 are left of r ⊗ Y_l: ⟨1 0 l 0 | l+1 0⟩² = (l+1)/(2l+1)
            self.register_buffer(f"raising_{l}", ((2 * l + 3) / (l + 1)) ** 0.5 * _raising(l), persistent=False)

    def forward(self, directions: torch.Tensor) -> torch.Tensor:
        """(n, 3) → (n, (l_max + 1)² − 1), l by l, in the order of :func:`irrepnet.groups.real_harmonics`."""
        r = directions.T.contiguous()  # vectors run along rows: long ones to multiply and add
        parts = [r[:0], 3**0.5 * r][: self.l_max + 1]
        for l in range(1, self.l_max):
            raising = self.get_buffer(f"raising_{l}").to(r.dtype)
            parts.append(raising @ (r[:, None] * parts[-1]).flatten(0, 1))
        return torch.cat(parts).T


class HarmonicMatrices(nn.Module):
    """D_l(g) of orthogonal matrices on the harmonics, Y_l(g r) = D_l(g) Y_l(r), for l = 0 … l_max.

    D_{l+1} is the part of g ⊗ D_l that acts on the degree l + 1; see :class:`Harmonics`.

    Args:
        l_max: largest l, 0 or more.
    """

    def __init__(self, l_max: int) -> None:
        super().__init__()
        self.l_max = l_max
        for l in range(l_max):
            self.register_buffer(f"raising_{l}", _raising(l), persistent=False)

    def forward(self, matrices: torch.Tensor) -> list[torch.Tensor]:
        """(n, 3, 3) orthogonal, proper or not → for each l, (n, 2l+1, 2l+1)."""
        found = [torch.ones_like(matrices[:, :1, :1])]
        for l in range(self.l_max):
            raising = self.get_buffer(f"raising_{l}").to(matrices.dtype)
            product = matrices[:, :, None, :, None] * found[-1][:, None, :, None, :]
            found.append(raising @ product.flatten(1, 2).flatten(2, 3) @ raising.T)
        return found
