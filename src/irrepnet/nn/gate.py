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
        gates = sum(m for (m, _), gated in zip(irreps_out, self.gated) if gated)
        self.irreps_out = irreps_out
        self.irreps_in = irreps_out + Irreps(irreps_out.group, f"{gates}x{trivial}")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gates = torch.sigmoid(x[..., self.irreps_out.dim :])
        outputs, start = [], 0
        for (m, irrep), s, gated in zip(self.irreps_out, self.irreps_out.slices, self.gated):
            block = x[..., s]
            if gated:
                block = (block.unflatten(-1, (m, irrep.dim)) * gates[..., start : start + m, None]).flatten(-2)
                start += m
            else:
                block = torch.nn.functional.silu(block)
            outputs.append(block)
        return torch.cat(outputs, -1)
