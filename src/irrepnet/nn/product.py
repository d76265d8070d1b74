"""Products of features, coupled by the group's own coefficients."""

import math

import torch
from torch import nn

from irrepnet.errors import IrrepnetError
from irrepnet.nn.irreps import Irreps
from irrepnet.nn.linear import Linear


class CoupledProduct(nn.Module):
    """x ⊗ y → z through every coupling path, z^γ_n = Σ U^{γn}_{αi,βj} x^α_i y^β_j, then a linear map to ``irreps_out``.

    The coupling coefficients of an irrep α with all β form one orthogonal change of basis, so a block of x costs one
    outer product and one matrix product, whatever the number of paths. For γ of complex type the copies U leave the
    commutant to the linear map, which has its two weights. Sums over neighbours can be taken between the two steps,
    :meth:`coupled` and :meth:`mixed`.

    Args:
        irreps_left: of x (..., irreps_left.dim).
        irreps_right: of y (..., irreps_right.dim), same leading shape; in few copies.
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
        paths: list[str] = []
        self.widths: list[list[int]] = []  # of each path of each block of x
        for a, (mul_a, alpha) in enumerate(irreps_left):
            rows, widths = [torch.zeros(0, alpha.dim, irreps_right.dim, dtype=torch.float64)], []
            for (mul_b, beta), own in zip(irreps_right, irreps_right.slices):
                for gamma in group.irreps:
                    if gamma.label not in wanted:
                        continue
                    for copy in torch.from_numpy(group.coupling(alpha.label, beta.label, gamma.label).copy()):
                        # sqrt(d_α d_β / d_γ): components of unit variance stay so
                        scale = math.sqrt(alpha.dim * beta.dim / gamma.dim)
                        row = torch.zeros(mul_b, gamma.dim, alpha.dim, mul_b, beta.dim, dtype=torch.float64)
                        for v in range(mul_b):
                            row[v, :, :, v] = copy * scale
                        whole = row.new_zeros(mul_b * gamma.dim, alpha.dim, irreps_right.dim)
                        whole[:, :, own] = row.flatten(0, 1).flatten(2)
                        rows.append(whole)
                        widths.append(mul_b * gamma.dim)
                        paths.append(f"{mul_a * mul_b}x{gamma.label}")
            self.widths.append(widths)
            self.register_buffer(f"coupling_{a}", torch.cat(rows).flatten(1).T.contiguous(), persistent=False)
        self.irreps_coupled = Irreps(group, " + ".join(paths))
        self.linear = Linear(self.irreps_coupled, irreps_out)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.mixed(self.coupled(x, y))

    def coupled(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """The products by all paths, (..., irreps_coupled.dim) in another order, in which they can be added up."""
        products = [x[..., :0]]
        for a, ((mul, irrep), rows) in enumerate(zip(self.irreps_left, self.irreps_left.slices)):
            outer = x[..., rows].unflatten(-1, (mul, irrep.dim, 1)) * y[..., None, None, :]
            products.append((outer.flatten(-2) @ self.get_buffer(f"coupling_{a}").to(x.dtype)).flatten(-2))
        return torch.cat(products, -1)

    def mixed(self, products: torch.Tensor) -> torch.Tensor:
        """What :meth:`coupled` makes → (..., irreps_out.dim)."""
        sizes = [mul * sum(widths) for (mul, _), widths in zip(self.irreps_left, self.widths)]
        paths = [products[..., :0]]
        for (mul, _), widths, block in zip(self.irreps_left, self.widths, products.split(sizes, -1)):
            paths += [path.flatten(-2) for path in block.unflatten(-1, (mul, sum(widths))).split(widths, -1)]
        return self.linear(torch.cat(paths, -1))
