"""Products of features, coupled by the group's own coefficients."""

import math

import torch
from torch import nn

from irrepnet.errors import IrrepnetError
from irrepnet.nn.irreps import Irreps
from irrepnet.nn.linear import Linear


class CoupledProduct(nn.Module):
    """x ⊗ y → z through every coupling path, z^γ_n = Σ U^{γn}_{αi,βj} x^α_i y^β_j, then a linear map to ``irreps_out``.

    The coupling coefficients of a pair (α, β) form one orthogonal change of basis, so a pair of blocks costs
    one outer product and one matrix product, whatever the number of paths. For γ of complex type the copies
    U leave the commutant to the linear map, which has its two weights.

    Args:
        irreps_left: of x (..., irreps_left.dim).
        irreps_right: of y (..., irreps_right.dim), same leading shape.
        irreps_out: of the result.

    Raises:
        IrrepnetError: the irreps belong to different groups.
    """

    def __init__(self, irreps_left: Irreps, irreps_right: Irreps, irreps_out: Irreps) -> None:
        super().__init__()
        group = irreps_left.group
        if group != irreps_right.group:
            raise IrrepnetError(f"cannot couple irreps of {group.name} with those of {irreps_right.group.name}")
        self.irreps_left, self.irreps_right, self.irreps_out = irreps_left, irreps_right, irreps_out
        wanted = {irrep.label for _, irrep in irreps_out}
        coupled: list[str] = []
        self.pairs: list[tuple[int, int]] = []
        for a, (mul_a, alpha) in enumerate(irreps_left):
            for b, (mul_b, beta) in enumerate(irreps_right):
                rows = []
                for gamma in group.irreps:
                    if gamma.label not in wanted:
                        continue
                    for copy in group.coupling(alpha.label, beta.label, gamma.label):
                        # sqrt(d_α d_β / d_γ): components of unit variance stay so
                        scale = math.sqrt(alpha.dim * beta.dim / gamma.dim)
                        rows.append(torch.from_numpy(copy.copy()).flatten(1) * scale)
                        coupled.append(f"{mul_a * mul_b}x{gamma.label}")
                if rows:
                    self.pairs.append((a, b))
                    self.register_buffer(f"coupling_{a}_{b}", torch.cat(rows), persistent=False)
        self.irreps_coupled = Irreps(group, " + ".join(coupled))
        self.linear = Linear(self.irreps_coupled, irreps_out)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        left = [x[..., s].unflatten(-1, (m, i.dim)) for (m, i), s in zip(self.irreps_left, self.irreps_left.slices)]
        right = [y[..., s].unflatten(-1, (m, i.dim)) for (m, i), s in zip(self.irreps_right, self.irreps_right.slices)]
        blocks = iter(self.irreps_coupled)
        coupled = []
        for a, b in self.pairs:
            coupling = self.get_buffer(f"coupling_{a}_{b}").to(x.dtype)
            outer = torch.einsum("...ui,...vj->...uvij", left[a], right[b]).flatten(-2).flatten(-3, -2)
            z = outer @ coupling.T  # (..., uv, Σ d_γ)
            start = 0
            while start < z.shape[-1]:
                dim = next(blocks)[1].dim
                coupled.append(z[..., start : start + dim].flatten(-2))
                start += dim
        z = torch.cat(coupled, -1) if coupled else x.new_zeros((*x.shape[:-1], 0))
        return self.linear(z)
