"""Tensors as outputs: the head that makes of a network's invariants and covariants the tensors of a crystal."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from irrepnet.groups import SCALAR, O3Irreps
from irrepnet.tensors import CartesianTensor

if TYPE_CHECKING:
    from irrepnet.graphs import Graph


class TensorHead(nn.Module):
    """A network with covariant outputs as a function of crystals whose values are numbers and tensors.

    A tensor is given by its coefficients on `CartesianTensor.change_of_basis`, the irreps of O(3) one after the other,
    in the crystal's standard frame. The true scalars among them (0e) are invariants of the network, all others
    covariants: so a tensor lies in the space that the crystal's point group allows, whatever the weights are.

    Args:
        make: (outputs, irreps_out) → network with ``features``, ``invariants`` and ``covariants``:
            :class:`irrepnet.models.TensorFieldNet`, :class:`irrepnet.models.CovariantNet`,
            :class:`irrepnet.models.CrystalHypergraphNet` or :class:`irrepnet.models.PointGroupNet`.
        outputs: numbers a crystal.
        tensors: that are predicted besides.
    """

    def __init__(
        self,
        make: Callable[[int, O3Irreps | None], nn.Module],
        outputs: int,
        tensors: Sequence[CartesianTensor],
    ) -> None:
        super().__init__()
        self.outputs, self.tensors = outputs, tuple(tensors)
        self.irreps = [part.irrep for tensor in tensors for part in tensor.parts]
        copies = sum((tensor.irreps for tensor in tensors), O3Irreps())
        self.scalars = copies.get(SCALAR, 0)
        covariants = O3Irreps({irrep: copies[irrep] for irrep in sorted(copies) if irrep != SCALAR})
        self.net: Any = make(outputs + self.scalars, covariants or None)

    def forward(self, batch: "Graph[torch.Tensor]") -> torch.Tensor:
        """(n_crystals, outputs + dimensions of the tensors), without units: the numbers, then each tensor."""
        x = self.net.features(batch)
        numbers, *scalars = self.net.invariants(x, batch).split([self.outputs] + self.scalars * [1], 1)
        copies = {name: iter(part.unbind(-1)) for name, part in self.net.covariants(x, batch).items()}
        columns = [numbers]
        left = iter(scalars)
        for irrep in self.irreps:
            if irrep == SCALAR:
                columns.append(next(left))
            elif str(irrep) in copies:
                columns.append(next(copies[str(irrep)]))
            else:  # a network that was told to make no covariants
                columns.append(numbers.new_zeros(batch.size, irrep.dim))
        return torch.cat(columns, 1)

    def turned(self, output: torch.Tensor, rotation: np.ndarray) -> torch.Tensor:
        """The output (outputs + dimensions,) for one crystal, with its tensors moved by an orthogonal matrix (3, 3)."""
        parts = [output[: self.outputs]]
        coefficients = output[self.outputs :].split([tensor.dim for tensor in self.tensors])
        for tensor, own in zip(self.tensors, coefficients):
            moved = tensor.to_irreps(tensor.rotate(tensor.from_irreps(own.numpy(force=True)), rotation))
            parts.append(torch.from_numpy(moved).to(output))
        return torch.cat(parts)
