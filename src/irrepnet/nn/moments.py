"""What a node can know of the directions of its neighbours without any axes: lengths of moments."""

import numpy as np
import torch
from torch import nn

from irrepnet.groups.harmonics import harmonic_coefficients
from irrepnet.nn.filters import SpherePolynomials


class Harmonics(SpherePolynomials):
    """Real spherical harmonics Y_lm of unit vectors for l = 1 … l_max, each of unit mean square on the sphere.

    Args:
        l_max: largest l, 1 or more.
    """

    def __init__(self, l_max: int) -> None:
        tables = [harmonic_coefficients(l) for l in range(1, l_max + 1)]
        exponents = np.concatenate([np.argwhere(abs(table).max(0) > 0) for table in tables])
        coefficients = np.zeros((len(exponents), sum(map(len, tables))))
        for l, table in enumerate(tables, 1):
            rows = exponents.sum(1) == l
            coefficients[rows, l * l - 1 : (l + 1) ** 2 - 1] = table[(slice(None), *exponents[rows].T)].T
        super().__init__(exponents, coefficients)

    def forward(self, directions: torch.Tensor) -> torch.Tensor:
        """(n, 3) → (n, (l_max + 1)² − 1), l by l, in the order of :func:`irrepnet.groups.real_harmonics`."""
        return self.values(directions)


class Moments(nn.Module):
    """Invariants of O(3) from moments of the neighbours' directions.

        A_a^{lk} = mean over neighbours b of w_ab^{lk} Y_l(r̂_ab),    s_a^{lk} = sqrt(|A_a^{lk}|² / (2l + 1) + ε)

    with weights w linear in the features of the pair. A_a^l turns as the irrep l of O(3), so its length does not
    depend on the axes (a power spectrum: Bartók, Kondor & Csányi, Phys. Rev. B 87, 184115 (2013), eq. 21).
    ε = 1e-3 keeps gradients finite where symmetry makes a moment vanish.

    Args:
        channels: of the features of a pair.
        l_max: largest l, as in :class:`Harmonics`.
        size: k runs from 1 to it.
    """

    def __init__(self, channels: int, l_max: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.width = l_max * size
        self.weight = nn.Linear(channels, self.width, bias=False)
        l = torch.arange(1, l_max + 1)
        self.register_buffer("number", (l - 1).repeat_interleave(2 * l + 1), persistent=False)  # l − 1 of each Y_lm

    def forward(
        self,
        pair: torch.Tensor,
        harmonics: torch.Tensor,
        receiver: torch.Tensor,
        inverse_count: torch.Tensor,
    ) -> torch.Tensor:
        """Features of pairs (n_edges, channels) → invariants (n_nodes, width).

        Args:
            pair: features of the edges.
            harmonics: (n_edges, n_harmonics), summed over the neighbours that an edge stands for.
            receiver: (n_edges,).
            inverse_count: (n_nodes, 1), one over the number of neighbours.
        """
        number = self.get_buffer("number")
        weights = self.weight(pair).unflatten(-1, (-1, self.size))
        terms = (weights.index_select(1, number) * harmonics[:, :, None]).flatten(1)
        moments = terms.new_zeros(len(inverse_count), terms.shape[1]).index_add(0, receiver, terms) * inverse_count
        squares = moments.unflatten(1, (-1, self.size)) ** 2 / (2 * number + 3)[:, None]
        lengths = squares.new_zeros(len(moments), self.width // self.size, self.size).index_add(1, number, squares)
        return (lengths + 1e-3).sqrt().flatten(1)
