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
        wanted = {irrep.label: irrep for _, irrep in irreps_out}
        order: dict[str, list[torch.Tensor]] = {label: [] for label in wanted}  # where the products of each irrep are
        start = 0
        for a, (mul_a, alpha) in enumerate(irreps_left):
            rows = [torch.zeros(0, alpha.dim, irreps_right.dim, dtype=torch.float64)]
            paths = []
            for (mul_b, beta), own in zip(irreps_right, irreps_right.slices):
                for label, gamma in wanted.items():
                    for copy in torch.from_numpy(group.coupling(alpha.label, beta.label, label).copy()):
                        # sqrt(d_α d_β / d_γ): components of unit variance stay so
                        scale = math.sqrt(alpha.dim * beta.dim / gamma.dim)
                        row = torch.zeros(mul_b, gamma.dim, alpha.dim, irreps_right.dim, dtype=torch.float64)
                        for v, one in enumerate(row[..., own].unflatten(-1, (mul_b, beta.dim)).unbind(0)):
                            one[..., v, :] = copy * scale
                        rows.append(row.flatten(0, 1))
                        paths.append((label, mul_b * gamma.dim))
            width = sum(size for _, size in paths)
            copies = start + width * torch.arange(mul_a)[:, None]
            for label, size in paths:
                order[label].append((copies + torch.arange(size)).flatten())
                copies = copies + size
            start += mul_a * width
            self.register_buffer(f"coupling_{a}", torch.cat(rows).flatten(1).T.contiguous(), persistent=False)
        found = {label: torch.cat(own) for label, own in order.items() if own}
        none = torch.zeros(0, dtype=torch.int64)
        self.register_buffer("order", torch.cat([none, *found.values()]), persistent=False)
        blocks = [f"{len(own) // wanted[label].dim}x{label}" for label, own in found.items()]
        self.irreps_coupled = Irreps(group, " + ".join(blocks))
        self.linear = Linear(self.irreps_coupled, irreps_out)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.mixed(self.coupled(x, y))

    def coupled(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """The products by all paths, in an order in which they can be added up; :meth:`mixed` knows it."""
        products = [x[..., :0]]
        for a, ((mul, irrep), own) in enumerate(zip(self.irreps_left, x.split(self.irreps_left.sizes, -1))):
            outer = own.unflatten(-1, (mul, irrep.dim, 1)) * y[..., None, None, :]
            products.append((outer.flatten(-2) @ self.get_buffer(f"coupling_{a}").to(x.dtype)).flatten(-2))
        return torch.cat(products, -1)

    def mixed(self, products: torch.Tensor) -> torch.Tensor:
        """What :meth:`coupled` makes → (..., irreps_out.dim)."""
        return self.linear(products.index_select(-1, self.get_buffer("order")))
