"""Features indexed by the irreps of O(3), on crystals of which one atom an orbit is stored.

Features are tensors (n, 2l+1, copies) by the name of an irrep, "0e", "1o", … as the modules of a network have names.
Components are those of :func:`irrepnet.groups.real_harmonics` (l = 1 is x, y, z), which are e3nn's, and so are the
signs of 3j symbols; :func:`irrepnet.groups.jz_to_real` leads to the basis of J_z.

A crystal enters by its operations: x_{s·a} = D(s) x_a, and what arrives at a lies in Fix_{G_a}. Both are in the
filters, which are made once for a batch; the layers know nothing of them.
"""

from collections.abc import Collection, Iterable, Sequence

import numpy as np
import torch
from torch import nn
from torch.nn.functional import normalize, silu

from irrepnet.groups import (
    SCALAR,
    O3Irrep,
    O3Irreps,
    crystallographic_operations,
    harmonic_matrices,
    wigner_3j,
)
from irrepnet.nn.convolution import mlp
from irrepnet.nn.harmonics import Harmonics
from irrepnet.nn.hypergraph import segment_sum
from irrepnet.nn.pooling import crystal_mean

Features = dict[str, torch.Tensor]
Ends = tuple[torch.Tensor, torch.Tensor]


def representation(irreps: Iterable[O3Irrep]) -> torch.Tensor:
    """(64, dim, dim) float64, D(s) of the crystallographic operations on one copy of each irrep."""
    operations = crystallographic_operations()
    blocks = [torch.from_numpy(harmonic_matrices(operations, irrep.l, irrep.parity)) for irrep in irreps]
    return torch.stack([torch.block_diag(*(block[s] for block in blocks)) for s in range(len(operations))])


class GroupMean(nn.Module):
    """(1/|H|) Σ_{h∈H} D(h), the Reynolds operator, of several groups H of crystallographic operations.

    Args:
        irreps: one copy of each.
    """

    def __init__(self, irreps: Iterable[O3Irrep]) -> None:
        super().__init__()
        self.register_buffer("matrices", representation(irreps), persistent=False)

    def forward(self, sets: torch.Tensor) -> torch.Tensor:
        """(n_groups, 64), the share 1/|H| of each operation → (n_groups, dim, dim), symmetric projectors."""
        matrices = self.get_buffer("matrices").to(sets.dtype)
        return (sets @ matrices.flatten(1)).unflatten(1, matrices.shape[1:])


class FixedMean(nn.Module):
    """Mean over the atoms of each crystal, exactly in the subspace that its point group fixes.

    The mean over an orbit is the Reynolds operator of the point group on one of its atoms. It is taken in float64, so
    that what the group forbids is zero to 1e-15 whatever the precision of the network.

    Args:
        irreps: that are pooled.
    """

    def __init__(self, irreps: Iterable[O3Irrep]) -> None:
        super().__init__()
        self.reynolds = nn.ModuleDict({str(irrep): GroupMean([irrep]) for irrep in irreps})

    def forward(
        self, x: Features, symmetry: torch.Tensor, crystal: torch.Tensor, size: int, multiplicity: torch.Tensor
    ) -> Features:
        """By irrep (n_nodes, 2l+1, copies) → (size, 2l+1, copies) float64, in the crystal's standard frame.

        ``symmetry`` (size, 64) are the shares 1/|P| of the crystallographic operations; see :func:`crystal_mean`.
        """
        pooled = {}
        for name, reynolds in self.reynolds.items():
            mean = crystal_mean(x[name].flatten(1), crystal, size, multiplicity).double()
            pooled[name] = reynolds(symmetry.double()) @ mean.unflatten(1, x[name].shape[1:])
        return pooled


def _stacked(irreps: Sequence[O3Irrep]) -> list[tuple[O3Irrep, slice]]:
    """Irreps one after the other, each with its rows."""
    stops = np.cumsum([irrep.dim for irrep in irreps]).tolist()
    return [(irrep, slice(start, stop)) for irrep, start, stop in zip(irreps, [0, *stops], stops)]


class O3Filter(nn.Module):
    """What leads from an input irrep, by a bond's direction, to other irreps: Y(r̂) coupled by 3j symbols.

    Thomas et al., arXiv:1802.08219, section 4.1, without the radial factor. A path is an l of Y with an
    irrep that it leads to.

    Args:
        irrep: of the input.
        outputs: irreps that are wanted.
        l_max: of the harmonics Y.

    Attributes:
        paths: the irreps that arrive, each with its rows of the filter.
    """

    def __init__(self, irrep: O3Irrep, outputs: Collection[O3Irrep], l_max: int) -> None:
        super().__init__()
        self.irrep = irrep
        products = [(l, path) for l in range(l_max + 1) for path in O3Irrep.natural(l) * irrep if path in outputs]
        self.paths = _stacked([path for _, path in products])
        couplings = []
        for l, path in products:
            coupling = torch.zeros((l_max + 1) ** 2, path.dim, irrep.dim, dtype=torch.float64)
            coupling[l**2 : (l + 1) ** 2] = torch.from_numpy(path.dim**0.5 * wigner_3j(l, path.l, irrep.l))
            couplings.append(coupling)
        self.register_buffer("coupling", torch.cat(couplings, 1), persistent=False)
        self.register_buffer("matrices", representation([irrep]), persistent=False)
        self.mean = GroupMean([path for path, _ in self.paths])

    def forward(
        self, harmonics: torch.Tensor, operation: torch.Tensor, group: torch.Tensor, sets: torch.Tensor
    ) -> torch.Tensor:
        """Y (n_edges, (l_max+1)²) → (n_edges, rows, 2l+1) from the sender *node's* features to messages.

        D(s) leads to those of the atom s·b that sends; the Reynolds operator of the receiver's site group makes of an
        edge's message the mean over the edges of its orbit. See :class:`O3Filters`; ``group`` is (n_edges,) here.
        """
        coupling, matrices = (self.get_buffer(name).to(harmonics.dtype) for name in ("coupling", "matrices"))
        kernel = torch.einsum("ef,foi->eoi", harmonics, coupling) @ matrices[operation]
        return self.mean(sets)[group] @ kernel


class O3Filters(nn.Module):
    """The filters from some irreps to some, with what a bond weighs: 1 / (1 + number of neighbours).

    Args:
        inputs, outputs: irreps.
        l_max: of the harmonics.
    """

    def __init__(self, inputs: Iterable[O3Irrep], outputs: Collection[O3Irrep], l_max: int) -> None:
        super().__init__()
        self.filters = nn.ModuleDict({str(irrep): O3Filter(irrep, outputs, l_max) for irrep in inputs})
        self.harmonics = Harmonics(l_max)

    def forward(
        self,
        vector: torch.Tensor,
        weight: torch.Tensor,
        receiver: torch.Tensor,
        operation: torch.Tensor,
        site_group: torch.Tensor,
        sets: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """The filters of a batch.

        Args:
            vector: (n_edges, 3), from the receiver to the atom that sends.
            weight: (n_edges,) neighbours for which the edge stands.
            receiver: (n_edges,) nodes.
            operation: (n_edges,) that leads from the sender node's atom to the one that sends.
            site_group: (n_nodes,) row of ``sets`` that holds the node's site group.
            sets: (n_groups, 64), the share 1/|H| of each crystallographic operation.

        Returns:
            By input irrep, (n_edges, rows, 2l+1).
        """
        harmonics = torch.cat([torch.ones_like(vector[:, :1]), self.harmonics(normalize(vector, dim=-1))], 1)
        neighbours = segment_sum(weight, receiver, len(site_group))
        harmonics = harmonics * (weight / (1 + neighbours)[receiver])[:, None]
        group = site_group[receiver]
        return {name: f(harmonics, operation, group, sets) for name, f in self.filters.items()}


class Messages(nn.Module):
    """Σ_b R(h_ab) ∘ (Y(r̂_ab) ⊗ x_b) of one input irrep: Thomas et al., section 4.1.

    Args:
        f: the filter of the irrep.
        outputs: irreps that are wanted, of those of the filter.
        copies: of the input irrep.

    Attributes:
        paths: the irreps that arrive, each with its rows of the result.
    """

    def __init__(self, f: O3Filter, outputs: Collection[O3Irrep], copies: int) -> None:
        super().__init__()
        kept = [(path, rows) for path, rows in f.paths if path in outputs]
        self.paths = _stacked([path for path, _ in kept])
        self.kernel_rows = None if len(kept) == len(f.paths) else [rows for _, rows in kept]
        self.copies = copies
        self.n_weights = len(kept) * copies
        path_of_row = np.repeat(np.arange(len(kept)), [rows.stop - rows.start for _, rows in kept])
        self.register_buffer("path_of_row", torch.from_numpy(path_of_row), persistent=False)

    def forward(self, x: torch.Tensor, radial: torch.Tensor, kernel: torch.Tensor, edges: Ends) -> torch.Tensor:
        """x (n_nodes, 2l+1, copies), R (n_edges, n_weights) → (n_nodes, rows, copies)."""
        if self.kernel_rows is not None:
            kernel = torch.cat([kernel[:, rows] for rows in self.kernel_rows], 1)
        radial = radial.unflatten(1, (-1, self.copies)).index_select(1, self.get_buffer("path_of_row"))
        receiver, sender = edges
        return segment_sum((kernel @ x.index_select(0, sender)) * radial, receiver, len(x))


class TensorFieldLayer(nn.Module):
    """x ← x + gate(W [x, m]), m_a = Σ_b w_ab R(h_ab) ∘ (Y(r̂_ab) ⊗ x_b), on x with normalised scalars.

    Thomas et al., arXiv:1802.08219: R weights every copy of every path (section 4.1), W mixes the copies of an irrep
    (4.2). The non-linearity is a gate (Weiler et al., arXiv:1807.02547): scalars go through SiLU, and each
    copy of another irrep is multiplied by the sigmoid of a scalar of its own.

    Args:
        irreps_in: of x, 0e among them.
        irreps_out: of the result, as far as there is a path to them.
        filters: from all of these irreps to all.
        hidden: channels of h, what the radial functions R = A silu(B h) know of a bond.
        residual: add x, for irreps with as many copies before and after.

    Attributes:
        irreps_out: of the result.
    """

    def __init__(
        self, irreps_in: O3Irreps, irreps_out: O3Irreps, filters: O3Filters, hidden: int, residual: bool
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(irreps_in[SCALAR])
        messages = {
            name: Messages(f, irreps_out, irreps_in[f.irrep])  # type: ignore[arg-type, index]
            for name, f in filters.filters.items()
            if f.irrep in irreps_in
        }
        messages = {name: m for name, m in messages.items() if m.paths}
        self.messages = nn.ModuleDict(messages)
        self.arriving = [[(str(path), rows) for path, rows in m.paths] for m in messages.values()]
        self.sizes = [m.n_weights for m in messages.values()]
        self.radial = mlp(hidden, hidden, sum(self.sizes))
        arriving = {irrep: irreps_in.get(irrep, 0) for irrep in irreps_out}
        for m in messages.values():
            for path, _ in m.paths:
                arriving[path] += m.copies
        self.irreps_out = O3Irreps({irrep: copies for irrep, copies in irreps_out.items() if arriving[irrep]})
        gated = {irrep: copies for irrep, copies in self.irreps_out.items() if irrep != SCALAR}
        self.gates = [self.irreps_out[SCALAR], *gated.values()]
        self.mix = nn.ModuleDict(
            {str(irrep): nn.Linear(arriving[irrep], copies, bias=False) for irrep, copies in gated.items()}
        )
        self.mix_scalars = nn.Linear(arriving[SCALAR], sum(self.gates))
        # unit variance through the paths: torch's own initial weights would let the signal of l > 0 fade away
        nn.init.normal_(self.radial[-1].weight, std=2 * hidden**-0.5)  # type: ignore[arg-type]
        for irrep, linear in zip(gated, self.mix.values()):
            nn.init.normal_(linear.weight, std=arriving[irrep] ** -0.5)  # type: ignore[arg-type]
        self.skips = [str(ir) for ir, copies in self.irreps_out.items() if residual and irreps_in.get(ir) == copies]

    def forward(self, x: Features, hidden: torch.Tensor, kernels: dict[str, torch.Tensor], edges: Ends) -> Features:
        """x, h (n_edges, hidden), the batch's filters, (receiver, sender) → x."""
        normed = {**x, "0e": self.norm(x["0e"])}
        radial = self.radial(hidden).split(self.sizes, -1)
        arrived = {name: [normed[name]] if name in x else [] for name in ["0e", *self.mix]}
        for (name, messages), weights, paths in zip(self.messages.items(), radial, self.arriving):
            sums = messages(normed[name], weights, kernels[name], edges)
            for path, rows in paths:
                arrived[path].append(sums[:, rows])
        scalars, *gates = self.mix_scalars(torch.cat(arrived["0e"], -1)).split(self.gates, -1)
        result = {"0e": silu(scalars)}
        for (name, mix), gate in zip(self.mix.items(), gates):
            result[name] = mix(torch.cat(arrived[name], -1)) * torch.sigmoid(gate)
        return {name: x[name] + new if name in self.skips else new for name, new in result.items()}
