"""What a network's outputs mean: targets, their normalisation, the loss and the errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal

import numpy as np
import torch
from scipy.special import expit
from torch.nn import functional as F

from irrepnet.data import target_kind, target_unit
from irrepnet.errors import IrrepnetError
from irrepnet.training.config import DataConfig
from irrepnet.training.metrics import Metrics, classification_metrics, regression_metrics
from irrepnet.training.tensor_targets import TensorTarget, fit_tensor_target


@dataclass(frozen=True)
class Target:
    """One target and how the network's dimensionless output stands for it.

    Attributes:
        name: name of the property.
        kind: "regression", or "classification" (true or false; the output is the log-odds of true).
        unit: of the values; "" for none.
        mean, scale: of the training split: value = mean + scale · output. For a classification ``mean`` is
            the fraction of true and ``scale`` is 1; neither enters the prediction.
    """

    name: str
    kind: Literal["regression", "classification"]
    unit: str
    mean: float
    scale: float
    width = 1

    @property
    def headline(self) -> tuple[str, str]:
        """The figure to follow: its key among the metrics, and its name."""
        return ("auc", "AUC") if self.kind == "classification" else ("mae", "MAE")

    @property
    def columns(self) -> list[str]:
        """Headings of the target's predictions in a table, with the unit."""
        unit = "probability" if self.kind == "classification" else self.unit
        return [f"{self.name} [{unit}]" if unit else self.name]

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Values as the numbers that the loss compares the output with; NaN stays NaN."""
        return values if self.kind == "classification" else (values - self.mean) / self.scale

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """The network's outputs as values in the target's unit, or as probabilities."""
        return expit(outputs) if self.kind == "classification" else self.mean + self.scale * outputs

    def loss(self, outputs: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """(n,) absolute error of the standardised value, or binary cross entropy."""
        function = F.binary_cross_entropy_with_logits if self.kind == "classification" else F.l1_loss
        return function(outputs, wanted, reduction="none")

    def value(self, predicted: np.ndarray, frame: np.ndarray) -> float:
        """A decoded prediction (); it does not depend on axes."""
        return float(predicted)

    def cells(self, value: Any) -> list[float | None]:
        """What :meth:`value` says of each of the ``columns``."""
        return [value]

    def in_words(self, value: float) -> str:
        """A prediction in one line."""
        unit = "probability" if self.kind == "classification" else self.unit
        return f"{self.name} {value:.4g} {unit}".rstrip()

    def metrics(self, true: np.ndarray, predicted: np.ndarray) -> Metrics:
        """Errors of (n,) decoded predictions; crystals whose true value is NaN do not count."""
        known = ~np.isnan(true)
        true, predicted = true[known], predicted[known]
        if self.kind == "classification":
            return classification_metrics(true, predicted)
        return regression_metrics(true, predicted, self.mean)


AnyTarget = Target | TensorTarget


def fit_targets(names: Sequence[str], values: np.ndarray, data: DataConfig) -> list[AnyTarget]:
    """The targets of a run, from the values (n, W) of its training split; see :func:`fit_target`."""
    tensors = {name: tensor for name in names if (tensor := data.tensor(name))}
    numbers = [name for name in names if name not in tensors]
    fitted: dict[str, AnyTarget] = {name: fit_target(name, values[:, t]) for t, name in enumerate(numbers)}
    start = len(numbers)
    for name, quantity in tensors.items():
        fitted[name] = fit_tensor_target(name, quantity, values[:, start : start + quantity.tensor.dim])
        start += quantity.tensor.dim
    return [fitted[name] for name in names]


def fit_target(name: str, values: np.ndarray) -> Target:
    """The target with the mean and the spread of the training split's values.

    Args:
        name: of the property.
        values: (n,) of the training split; NaN where unknown.

    Raises:
        IrrepnetError: no crystal of the training split has a value, or one of a classification is not 0 or 1.
    """
    known = values[~np.isnan(values)]
    if len(known) == 0:
        raise IrrepnetError(f"no crystal of the training split has a value of {name}; use more data or another target")
    kind = target_kind(name)
    if kind == "classification" and not np.isin(known, (0, 1)).all():
        raise IrrepnetError(f"{name} has values other than 0 and 1 (false and true)")
    spread = float(known.std())
    scale = spread if kind == "regression" and spread > 0 else 1.0
    return Target(name, kind, target_unit(name), float(known.mean()), scale)


def load_target(card: Mapping[str, Any]) -> AnyTarget:
    """The target that ``vars`` of it describes."""
    return (TensorTarget if card["kind"] == "tensor" else Target)(**card)


def columns(targets: Sequence[AnyTarget]) -> list[int | slice]:
    """Where each target is among the network's outputs: the numbers come first, then the tensors."""
    in_order = sorted(targets, key=lambda target: target.kind == "tensor")
    starts = dict(zip([target.name for target in in_order], accumulate([0, *(t.width for t in in_order)])))
    return [slice(starts[t.name], starts[t.name] + t.width) if t.kind == "tensor" else starts[t.name] for t in targets]


def mean_loss(targets: Sequence[AnyTarget], outputs: torch.Tensor, encoded: torch.Tensor) -> torch.Tensor:
    """The mean over the targets of each target's loss; unknown values do not count.

    The loss is the mean absolute error of the standardised value for a regression, the binary cross entropy for
    a classification, and the mean Frobenius norm of the standardised error for a tensor.

    Args:
        targets: T targets.
        outputs: (n, W) of the network; see :func:`columns`.
        encoded: (n, W) from :meth:`Target.encode`; NaN where unknown.
    """
    losses = []
    for target, own in zip(targets, columns(targets)):
        wanted = encoded[:, own]
        known = ~wanted.isnan().view(len(wanted), -1).any(1)
        each = target.loss(outputs[:, own], wanted.nan_to_num())
        losses.append((each * known).sum() / known.sum().clamp(min=1))
    return torch.stack(losses).mean()
