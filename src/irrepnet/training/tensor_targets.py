"""A tensor as a target: what the network's outputs stand for, the loss and the errors."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch

from irrepnet.data.tensors import TensorQuantity
from irrepnet.errors import IrrepnetError
from irrepnet.tensors import STIFFNESS, CartesianTensor, averages
from irrepnet.tensors.positive import exponential, logarithm
from irrepnet.training.metrics import Metrics


@dataclass(frozen=True)
class TensorTarget:
    """One tensor and how the network's dimensionless outputs stand for it.

    Values are coefficients (n, dim) on `CartesianTensor.change_of_basis`, the irreps of O(3), in the crystals' standard
    frames. What is learned are those of the tensor, or of its logarithm if it is positive definite.

    Attributes:
        name: name of the property.
        symmetry, axial: of the indices, see :class:`irrepnet.tensors.CartesianTensor`.
        positive: the tensor is positive definite, and so is every prediction.
        unit: of the values; "" for none.
        mean: (dim,) mean of the training split's (logarithms of the) tensors over all orientations: the true scalars.
        scale: mean Frobenius norm of the differences from it: coefficients = mean + scale · outputs.
    """

    name: str
    symmetry: str
    axial: bool
    positive: bool
    unit: str
    mean: list[float]
    scale: float
    kind: str = "tensor"
    headline = ("frobenius", "Frobenius error")

    @property
    def tensor(self) -> CartesianTensor:
        return _tensor(self.symmetry, self.axial)

    @property
    def width(self) -> int:
        """Number of the network's outputs."""
        return len(self.mean)

    @property
    def columns(self) -> list[str]:
        """Headings of the independent components in a table, with the unit."""
        unit = f" [{self.unit}]" if self.unit else ""
        return [f"{self.name} {component}{unit}" for component in self.tensor.components]

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Coefficients (n, dim) as the numbers that the loss compares the outputs with; NaN stays NaN."""
        encoded = np.full_like(values, np.nan)
        known = ~np.isnan(values).any(axis=1)
        encoded[known] = (_learned(self.tensor, self.positive, values[known]) - self.mean) / self.scale
        return encoded

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """The network's outputs (n, dim) as coefficients of the tensors in the target's unit."""
        coefficients = np.asarray(self.mean) + self.scale * outputs
        if not self.positive:
            return coefficients
        return self.tensor.to_irreps(exponential(self.tensor, self.tensor.from_irreps(coefficients)))

    def loss(self, outputs: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """(n,) Frobenius norms of the differences: no orientation is preferred."""
        return ((outputs - wanted).square().sum(1) + 1e-12).sqrt()

    def metrics(self, true: np.ndarray, predicted: np.ndarray) -> Metrics:
        """Errors of decoded predictions (n, dim); crystals whose true value is NaN do not count."""
        known = ~np.isnan(true).any(axis=1)
        mean = self.decode(np.zeros((1, self.width)))
        return tensor_metrics(self.tensor, true[known], predicted[known], mean)

    def value(self, coefficients: np.ndarray, frame: np.ndarray) -> list[Any]:
        """Voigt's array (3×3 for rank 2) as nested lists, in the input's axes: x_input = frame @ x_standard."""
        turned = self.tensor.rotate(self.tensor.from_irreps(coefficients), frame)
        return (self.tensor.to_voigt(turned) + 0.0).tolist()

    def cells(self, value: Any) -> list[float | None]:
        """What :meth:`value` says of each of the ``columns``."""
        if value is None:
            return [None] * self.width
        return [np.array(value)[self.tensor._cell(next(iter(orbit)))] for orbit in self.tensor.components.values()]

    def in_words(self, value: list[Any]) -> str:
        """A prediction in one line."""
        return f"{self.name} {np.array2string(np.array(value), precision=4, suppress_small=True)} {self.unit}".rstrip()


_tensor = cache(CartesianTensor)


def fit_tensor_target(name: str, quantity: TensorQuantity, values: np.ndarray) -> TensorTarget:
    """The target with the mean and the spread of the training split's values.

    Args:
        name: of the property.
        quantity: what it is.
        values: (n, dim) of the training split; NaN where unknown.

    Raises:
        IrrepnetError: no crystal of the training split has a value.
    """
    known = values[~np.isnan(values).any(axis=1)]
    if len(known) == 0:
        raise IrrepnetError(f"no crystal of the training split has a value of {name}; use more data or another target")
    tensor = quantity.tensor
    learned = _learned(tensor, quantity.positive, known)
    is_scalar = [part.l == 0 and part.parity > 0 for part in tensor.parts for _ in part.basis]
    mean = np.where(is_scalar, learned.mean(axis=0), 0.0)
    scale = float(np.linalg.norm(learned - mean, axis=1).mean()) or 1.0
    return TensorTarget(name, tensor.formula, tensor.axial, quantity.positive, quantity.unit, mean.tolist(), scale)


def _learned(tensor: CartesianTensor, positive: bool, values: np.ndarray) -> np.ndarray:
    return tensor.to_irreps(logarithm(tensor, tensor.from_irreps(values))) if positive else values


def tensor_metrics(tensor: CartesianTensor, true: np.ndarray, predicted: np.ndarray, mean: np.ndarray) -> Metrics:
    """Errors of tensors, means over the crystals, in the tensor's unit.

    Args:
        tensor: what they are.
        true, predicted: (n, dim) coefficients on its `change_of_basis`.
        mean: (1, dim) what is predicted without a look at the crystal.

    Returns:
        ``n``; ``frobenius``, the Frobenius norm of the difference; ``ewt25``, ``ewt10``, ``ewt5``, the share of the
        crystals in which it is at most 25, 10, 5 % of the true tensor's norm; ``mae`` of the independent components
        (Voigt's, in the standard frame); ``frobenius_of_mean``; for stiffnesses ``mae_K``, ``mae_G``, ``mae_E`` of
        Hill's averages. None where undefined.
    """
    n = len(true)
    keys = ["frobenius", "ewt25", "ewt10", "ewt5", "mae", "frobenius_of_mean"]
    is_stiffness = tensor.formula == STIFFNESS.formula
    if n == 0:
        return {"n": 0} | dict.fromkeys(keys + (["mae_K", "mae_G", "mae_E"] if is_stiffness else []))
    error, size = np.linalg.norm(predicted - true, axis=1), np.linalg.norm(true, axis=1)
    cells = [tensor._cell(next(iter(orbit))) for orbit in tensor.components.values()]
    difference = tensor.to_voigt(tensor.from_irreps(predicted - true))
    figures: Metrics = {
        "n": n,
        "frobenius": float(error.mean()),
        **{f"ewt{x}": float((error <= x / 100 * size).mean()) for x in (25, 10, 5)},
        "mae": float(np.mean([np.abs(difference[:, *cell]) for cell in cells])),
        "frobenius_of_mean": float(np.linalg.norm(true - mean, axis=1).mean()),
    }
    if is_stiffness:
        moduli = [np.array([_moduli(c) for c in tensor.to_voigt(tensor.from_irreps(x))]) for x in (true, predicted)]
        errors = np.abs(moduli[1] - moduli[0]).mean(axis=0)
        figures |= {f"mae_{name}": _finite(value) for name, value in zip("KGE", errors)}
    return figures


def _moduli(stiffness: np.ndarray) -> tuple[float, float, float]:
    try:
        found = averages((stiffness + stiffness.T) / 2)
    except IrrepnetError:  # singular: it has no compliance
        return (np.nan, np.nan, np.nan)
    return (found.K, found.G, found.E)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
