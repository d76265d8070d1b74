"""What a network's outputs mean: targets, their normalisation, the loss and the errors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from scipy.special import expit
from torch.nn import functional as F

from irrepnet.data import target_kind, target_unit
from irrepnet.errors import IrrepnetError
from irrepnet.training.metrics import Metrics, classification_metrics, regression_metrics


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

    @property
    def column(self) -> str:
        """Heading of the target's predictions in a table, with the unit."""
        unit = "probability" if self.kind == "classification" else self.unit
        return f"{self.name} [{unit}]" if unit else self.name

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Values as the numbers that the loss compares the output with; NaN stays NaN."""
        return values if self.kind == "classification" else (values - self.mean) / self.scale

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """The network's outputs as values in the target's unit, or as probabilities."""
        return expit(outputs) if self.kind == "classification" else self.mean + self.scale * outputs

    def metrics(self, true: np.ndarray, predicted: np.ndarray) -> Metrics:
        """Errors of (n,) decoded predictions; crystals whose true value is NaN do not count."""
        known = ~np.isnan(true)
        true, predicted = true[known], predicted[known]
        if self.kind == "classification":
            return classification_metrics(true, predicted)
        return regression_metrics(true, predicted, self.mean)


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
        raise IrrepnetError(
            f"no crystal of the training split has a value of {name}; use more data or another target"
        )
    kind = target_kind(name)
    if kind == "classification" and not np.isin(known, (0, 1)).all():
        raise IrrepnetError(f"{name} has values other than 0 and 1 (false and true)")
    spread = float(known.std())
    scale = spread if kind == "regression" and spread > 0 else 1.0
    return Target(name, kind, target_unit(name), float(known.mean()), scale)


def mean_loss(targets: Sequence[Target], outputs: torch.Tensor, encoded: torch.Tensor) -> torch.Tensor:
    """The mean over the targets of each target's loss; unknown values do not count.

    The loss is the mean absolute error of the standardised value for a regression, and the binary cross
    entropy for a classification.

    Args:
        targets: T targets.
        outputs: (n, T) of the network.
        encoded: (n, T) from :meth:`Target.encode`; NaN where unknown.
    """
    known = ~encoded.isnan()
    wanted = encoded.nan_to_num()
    losses = []
    for t, target in enumerate(targets):
        function = F.binary_cross_entropy_with_logits if target.kind == "classification" else F.l1_loss
        each = function(outputs[:, t], wanted[:, t], reduction="none")
        losses.append((each * known[:, t]).sum() / known[:, t].sum().clamp(min=1))
    return torch.stack(losses).mean()
