"""The gated non-linearity in the irrep form."""

import torch
from torch import nn

from irrepnet.nn.irreps import Irreps


class Gate(nn.Module):
    """Each copy of a non-trivial irrep is multiplied by a sigmoid of a scalar of its own; scalars go through SiLU.

    ``irreps_in`` is what the layer reads: ``irreps_out`` and behind it one trivial irrep a gated copy.

    Args:
        irreps_out: of the result.
    """

    def __init__(self, irreps_out: Irreps) -> None:
        super().__init__()
        trivial = irreps_out.group.trivial.label
        self.gated = [irrep.label != trivial for _, irrep in irreps_out]
        self.gates = [m for (m, _), gated in zip(irreps_out, self.gated) if gated]
        self.irreps_out = irreps_out
        self.irreps_in = irreps_out + Irreps(irreps_out.group, f"{sum(self.gates)}x{trivial}")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        *blocks, gates = x.split([*self.irreps_out.sizes, x.shape[-1] - self.irreps_out.dim], -1)
        gate = iter(torch.sigmoid(gates).split(self.gates, -1))
        outputs = []
        for (m, irrep), block, gated in zip(self.irreps_out, blocks, self.gated):
            if gated:
                outputs.append((block.unflatten(-1, (m, irrep.dim)) * next(gate)[..., None]).flatten(-2))
            else:
                outputs.append(torch.nn.functional.silu(block))
        return torch.cat(outputs, -1)
