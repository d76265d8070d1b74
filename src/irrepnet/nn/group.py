"""Layers in the group form: features are functions on the group, (..., |G|, channels)."""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from irrepnet.groups import PointGroup
from irrepnet.nn.irreps import Irreps
from irrepnet.nn.sparse import SparseMap, gather


class GroupFourier(nn.Module):
    """The group Fourier transform between ``channels`` functions on G and features of ``Irreps.regular``.

    v̂^γ_{qi} = Σ_g sqrt(d_γ/|G|) Γ^γ_{iq}(g) v(g) (real-type γ): an orthogonal matrix, so the inverse is the
    transpose. Left translation acts on the irrep form as :meth:`Irreps.matrix`.
    """

    def __init__(self, group: PointGroup, channels: int) -> None:
        super().__init__()
        self.group, self.channels = group, channels
        self.irreps = Irreps.regular(group, channels)
        self.register_buffer("matrix", torch.from_numpy(group.fourier.copy()), persistent=False)
        # blocks of the matrix's rows: (copies, d) an irrep; channels go between, so that copies run slowest
        self.shapes = [(i.dim // len(i.commutant), i.dim) for i in group.irreps]

    def to_irreps(self, v: torch.Tensor) -> torch.Tensor:
        """(..., |G|, channels) → (..., |G|·channels)."""
        rows = torch.einsum("rg,...gc->...rc", self.get_buffer("matrix").to(v.dtype), v)
        blocks, start = [], 0
        for copies, dim in self.shapes:
            block = rows[..., start : start + copies * dim, :].unflatten(-2, (copies, dim))
            blocks.append(block.transpose(-1, -2).flatten(-3))  # (copy, channel, component)
            start += copies * dim
        return torch.cat(blocks, -1)

    def to_group(self, x: torch.Tensor) -> torch.Tensor:
        """(..., |G|·channels) → (..., |G|, channels)."""
        blocks, start = [], 0
        for copies, dim in self.shapes:
            size = copies * dim * self.channels
            block = x[..., start : start + size].unflatten(-1, (copies, self.channels, dim))
            blocks.append(block.transpose(-1, -2).flatten(-3, -2))
            start += size
        return torch.einsum("rg,...rc->...gc", self.get_buffer("matrix").to(x.dtype), torch.cat(blocks, -2))


class Pointwise(nn.Module):
    """A pointwise non-linearity for features in the irrep form: to the group, f, and back; exactly equivariant.

    Args:
        group: the point group.
        channels: of the features, which are those of ``Irreps.regular(group, channels)``.
        function: any elementwise function.
    """

    def __init__(
        self,
        group: PointGroup,
        channels: int,
        function: Callable[[torch.Tensor], torch.Tensor] = torch.nn.functional.silu,
    ) -> None:
        super().__init__()
        self.fourier, self.function = GroupFourier(group, channels), function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fourier.to_irreps(self.function(self.fourier.to_group(x)))


class Orbits:
    """The pairs of nodes that right translations join, as layers use them; made once a batch for all layers.

    Args:
        receiver, sender: (n_pairs,) nodes, sorted by receiver.
        number: (n_pairs,) which set of translations belongs to the pair.
        sets: (n_sets, |G|) 1 for the elements of the set, else 0.
        n_nodes: how many nodes there are.
    """

    def __init__(
        self, receiver: torch.Tensor, sender: torch.Tensor, number: torch.Tensor, sets: torch.Tensor, n_nodes: int
    ) -> None:
        self.sets = sets
        self.kernels, self.senders = gather(number, len(sets)), gather(sender, n_nodes)
        pairs = torch.arange(len(receiver), device=receiver.device)
        self.sum = SparseMap(receiver, pairs, (n_nodes, len(receiver)))


class GroupCorrelation(nn.Module):
    """(W v)(g) = Σ_h W(g⁻¹h) v(h) = Σ_k W(k) v(g k), on the nodes of a graph.

    W(k) is diagonal in the channels (a dense layer mixes them before or after) and given by its irrep
    components, W_c(k) = Σ_r F_{rk} w_{rc} with F the rows of the group Fourier transform that belong to
    ``labels``: the trivial irrep alone averages over the orbit, all of them give every kernel. A free
    |G|×C×C kernel overfits. On a symmetric crystal in one frame v(g k) is the value at another atom of the
    orbit, so this is what mixes atoms of one orbit. Starts from zero.

    Args:
        group: the point group; several for crystals of several model groups, with a kernel each: k then runs
            through the elements of all of them, one group after the other.
        channels: of the features.
        labels: irreps that the kernels have; None for all.
    """

    def __init__(
        self, group: PointGroup | Sequence[PointGroup], channels: int, labels: tuple[str, ...] | None = None
    ) -> None:
        super().__init__()
        blocks = []
        for one in [group] if isinstance(group, PointGroup) else group:
            wanted = {one.irrep(label).label for label in (labels or [i.label for i in one.irreps])}
            rows = [r for r, (label, *_) in enumerate(one.fourier_rows) if label in wanted]
            blocks.append(torch.from_numpy(one.fourier[rows].T / one.order**0.5))
        basis = torch.block_diag(*blocks)
        self.register_buffer("basis", basis, persistent=False)  # (|G|, rows)
        self.weight = nn.Parameter(torch.zeros(basis.shape[1], channels))

    def forward(self, v: torch.Tensor, orbits: Orbits) -> torch.Tensor:
        """(n_nodes, channels) → (n_nodes, channels).

        Every pair's kernel Σ_k W(k) over its set is summed once a set, not once a pair.
        """
        kernels = orbits.sets @ (self.get_buffer("basis").to(v.dtype) @ self.weight)  # (n_sets, channels)
        return orbits.sum(orbits.kernels(kernels) * orbits.senders(v))
