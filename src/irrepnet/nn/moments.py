"""What a node can know of the directions of its neighbours without any axes: lengths of moments."""

import torch
from torch import nn

from irrepnet.nn.sparse import SparseMap


def moment_map(harmonics: torch.Tensor, receiver: torch.Tensor, n_nodes: int) -> SparseMap:
    """Σ_b Y_lm(r̂_ab) w_ab^l over the neighbours: from rows (edge, l) to rows ((l, m), node).

    Args:
        harmonics: (n_edges, (l_max + 1)² − 1) Y_lm times whatever an edge counts, l by l.
        receiver: (n_edges,), sorted.
        n_nodes: how many nodes there are.
    """
    n_edges, size = harmonics.shape
    l_max = round((size + 1) ** 0.5) - 1
    lm, edge = torch.arange(size, device=receiver.device), torch.arange(n_edges, device=receiver.device)
    l = (lm + 1).sqrt().long()
    row, column = lm[:, None] * n_nodes + receiver, l[:, None] - 1 + l_max * edge
    order = torch.arange(size * n_edges, device=receiver.device).view(size, n_edges).T.flatten()
    shape = (size * n_nodes, l_max * n_edges)
    return SparseMap(row.flatten(), column.flatten(), shape, harmonics.T.flatten(), order)


class Moments(nn.Module):
    """Invariants of O(3) from moments of the neighbours' directions.

        A_a^{lk} = mean over neighbours b of w_ab^{lk} Y_l(r̂_ab),    s_a^{lk} = sqrt(|A_a^{lk}|² / (2l + 1) + ε)

    with weights w linear in the features of the pair. A_a^l turns as the irrep l of O(3), so its length does not
    depend on the axes (a power spectrum: Bartók, Kondor & Csányi, Phys. Rev. B 87, 184115 (2013), eq. 21).
    ε = 1e-3 keeps gradients finite where symmetry makes a moment vanish.

    Args:
        channels: of the features of a pair.
        l_max: largest l, as in :class:`irrepnet.nn.Harmonics`.
        size: k runs from 1 to it.
    """

    def __init__(self, channels: int, l_max: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.width = l_max * size
        self.weight = nn.Linear(channels, self.width, bias=False)
        l = torch.arange(1, l_max + 1).repeat_interleave(2 * torch.arange(1, l_max + 1) + 1)
        mean = torch.zeros(l_max, len(l), dtype=torch.float64)
        mean[l - 1, torch.arange(len(l))] = 1 / (2 * l + 1).double()
        self.register_buffer("mean", mean, persistent=False)  # over m

    def forward(self, pair: torch.Tensor, neighbours: SparseMap) -> torch.Tensor:
        """Features of pairs (n_edges, channels) → invariants (n_nodes, width), l by l.

        ``neighbours`` is a :func:`moment_map` of harmonics that are divided by the number of neighbours.
        """
        mean = self.get_buffer("mean").to(pair.dtype)
        moments = neighbours(self.weight(pair).view(-1, self.size)).view(mean.shape[1], -1)
        lengths = (mean @ moments**2 + 1e-3).sqrt()
        return lengths.view(len(mean), -1, self.size).transpose(0, 1).flatten(1)
