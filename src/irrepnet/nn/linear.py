"""Linear maps between features of one group."""

import torch
from torch import nn

from irrepnet.errors import IrrepnetError
from irrepnet.nn.irreps import Irreps


class Linear(nn.Module):
    """The most general equivariant linear map: by Schur's lemma it joins equal irreps only.

    A pair of copies of a real-type irrep has one weight. For an irrep of complex type it has two, one for
    the identity and one for J, since there the commutant is spanned by {1, J}. Weights are drawn so that
    the output's components have the input's variance.

    Args:
        irreps_in: of the input (..., irreps_in.dim).
        irreps_out: of the output (..., irreps_out.dim); irreps that the input lacks come out as zeros.
        bias: add a constant to the trivial irrep.

    Raises:
        IrrepnetError: the two belong to different groups.
    """

    def __init__(self, irreps_in: Irreps, irreps_out: Irreps, bias: bool = False) -> None:
        super().__init__()
        if irreps_in.group != irreps_out.group:
            raise IrrepnetError(f"cannot map irreps of {irreps_in.group.name} to those of {irreps_out.group.name}")
        self.irreps_in, self.irreps_out = irreps_in, irreps_out
        self.weights = nn.ParameterDict()
        self.bias = nn.ParameterDict()
        for o, (mul_out, irrep) in enumerate(irreps_out):
            mul_in = irreps_in.multiplicity(irrep.label)
            if mul_in:
                shape = (len(irrep.commutant), mul_out, mul_in)
                self.weights[str(o)] = nn.Parameter(torch.randn(shape) / (mul_in * len(irrep.commutant)) ** 0.5)
            if bias and irrep.label == irreps_in.group.trivial.label:
                self.bias[str(o)] = nn.Parameter(torch.zeros(mul_out))
            self.register_buffer(f"commutant_{o}", torch.from_numpy(irrep.commutant.copy()), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        copies: dict[str, list[torch.Tensor]] = {}
        for (mul_in, irrep), own in zip(self.irreps_in, x.split(self.irreps_in.sizes, -1)):
            copies.setdefault(irrep.label, []).append(own.unflatten(-1, (mul_in, irrep.dim)))
        block = {label: torch.cat(found, -2) for label, found in copies.items()}
        outputs = []
        for o, (mul_out, irrep) in enumerate(self.irreps_out):
            if str(o) in self.weights:
                terms = zip(self.weights[str(o)], self.get_buffer(f"commutant_{o}").to(x.dtype))
                out = torch.stack([weight @ block[irrep.label] @ matrix.T for weight, matrix in terms]).sum(0)
            else:
                out = x.new_zeros((*x.shape[:-1], mul_out, irrep.dim))
            if str(o) in self.bias:
                out = out + self.bias[str(o)][:, None]
            outputs.append(out.flatten(-2))
        return torch.cat(outputs, -1) if outputs else x[..., :0]
