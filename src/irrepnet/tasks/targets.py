"""What a network's outputs mean: targets, their normalisation, the loss and the errors.

A class for each kind of target, with its line in `KINDS`. A network's outputs are n rows of W numbers without units,
those of a target side by side; a row is a crystal, or a site of one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate
from typing import Any, Protocol

import numpy as np
import torch
from torch.nn import functional as F

from irrepnet.data import target_kind, target_unit
from irrepnet.data.sites import SiteQuantity
from irrepnet.data.tensors import TensorQuantity
from irrepnet.errors import IrrepnetError
from irrepnet.tasks.metrics import Metrics, classification_metrics, regression_metrics
from irrepnet.tensors import SHG, STIFFNESS, CartesianTensor, averages, kurtz_perry
from irrepnet.tensors.damping import damped, undamped
from irrepnet.tensors.positive import exponential, logarithm


class Target(Protocol):
    """One target and what is told of it; a dataclass whose fields are JSON values."""

    @property
    def name(self) -> str:
        """Of the property."""
        ...

    @property
    def kind(self) -> str:
        """As in cards."""
        ...

    @property
    def unit(self) -> str:
        """Of errors and tables; "" for none."""
        ...

    @property
    def value_unit(self) -> str:
        """Of predictions, where it is not that of errors."""
        ...

    @property
    def of_atoms(self) -> bool:
        """Whether a crystal has a value an atom."""
        ...

    @property
    def headline(self) -> tuple[str, str]:
        """The figure to follow: its key among the metrics, and its name."""
        ...

    @property
    def columns(self) -> Sequence[str]:
        """Headings of the target's predictions in a table, with the unit."""
        ...

    def rows(self, value: Any) -> list[list[float | None]]:
        """What a prediction says of each of the ``columns``, a row a crystal or a row an atom."""
        ...

    def in_words(self, value: Any) -> str:
        """A prediction in one line."""
        ...

    def sentence(self, errors: Mapping[str, Any]) -> str:
        """The headline of a report, from the errors on the test split, as HTML: the name is told before it."""
        ...


class OutputTarget(Target, Protocol):
    """A target for which w of the outputs of a network stand."""

    @property
    def width(self) -> int:
        """w, the outputs of a row."""
        ...

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Values (n, w) as the numbers that the loss compares the outputs with; NaN stays NaN."""
        ...

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """Outputs (n, w) as values in the target's unit."""
        ...

    def given(self, values: np.ndarray) -> np.ndarray:
        """Values (n, w) as :meth:`irrepnet.training.Run.predict` hands them out."""
        ...

    def loss(self, outputs: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """(n,) of the encoded values."""
        ...

    def metrics(self, true: np.ndarray, predicted: np.ndarray) -> Metrics:
        """Errors of decoded predictions (n, w); rows whose true value is NaN do not count."""
        ...

    def deviations(self, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """(n,) sizes of the errors of decoded predictions (n, w); NaN where the true value is NaN, or all NaN if an
        error has no size."""
        ...

    def sizes(self, predicted: np.ndarray) -> np.ndarray:
        """(n,) what sizes of errors are in proportion to, of decoded predictions (n, w): 1 if to nothing."""
        ...

    def value(self, predicted: np.ndarray, frame: np.ndarray) -> Any:
        """A decoded prediction (w,) as a JSON value in the input's axes: x_input = frame @ x_standard."""
        ...

    def cells(self, value: Any) -> list[float | None]:
        """What :meth:`value` says of each of the ``columns``."""
        ...


class OneRow:
    """Of targets of which a crystal has one value."""

    unit: str
    of_atoms = False

    @property
    def value_unit(self) -> str:
        return self.unit

    def cells(self, value: Any) -> list[float | None]:
        return [value]

    def rows(self, value: Any) -> list[list[float | None]]:
        return [self.cells(value)]

    def sizes(self, predicted: np.ndarray) -> np.ndarray:
        return np.ones(len(predicted))


@dataclass(frozen=True)
class NumberTarget(OneRow):
    """A number.

    Attributes:
        name, unit: see :class:`Target`.
        mean, scale: of the training split: value = mean + scale · output.
    """

    name: str
    kind: str
    unit: str
    mean: float
    scale: float
    width = 1
    headline = ("mae", "MAE")

    @classmethod
    def fit(cls, name: str, values: np.ndarray) -> NumberTarget:
        """With the mean and the spread of the training split's values (n, 1); raises IrrepnetError without any."""
        known = _known(name, values)
        spread = float(known.std())
        return cls(name, "regression", target_unit(name), float(known.mean()), spread if spread > 0 else 1.0)

    @property
    def columns(self) -> list[str]:
        return [f"{self.name} [{self.unit}]" if self.unit else self.name]

    def encode(self, values: np.ndarray) -> np.ndarray:
        return (values - self.mean) / self.scale

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        return self.mean + self.scale * outputs

    def given(self, values: np.ndarray) -> np.ndarray:
        return values[:, 0]

    def loss(self, outputs: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """(n,) absolute error of the standardised value."""
        return F.l1_loss(outputs, wanted, reduction="none")[:, 0]

    def metrics(self, true: np.ndarray, predicted: np.ndarray) -> Metrics:
        """See :func:`irrepnet.tasks.metrics.regression_metrics`."""
        known = ~np.isnan(true[:, 0])
        return regression_metrics(true[known, 0], predicted[known, 0], self.mean)

    def deviations(self, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        return np.abs(predicted - true)[:, 0]

    def value(self, predicted: np.ndarray, frame: np.ndarray) -> float:
        return float(predicted[0])

    def in_words(self, value: float) -> str:
        return f"{self.name} {value:.4g} {self.unit}".rstrip()

    def sentence(self, errors: Mapping[str, Any]) -> str:
        return _error_sentence("mean absolute error", errors, "mae", self.unit)


@dataclass(frozen=True)
class ClassTarget(NumberTarget):
    """What is true or false; the output is the log-odds of true, the value its probability.

    Attributes:
        mean: the fraction of true in the training split; it does not enter the prediction, nor does ``scale``.
    """

    headline = ("auc", "AUC")

    @classmethod
    def fit(cls, name: str, values: np.ndarray) -> ClassTarget:
        """From the training split's values (n, 1); raises IrrepnetError without any, or if one is not 0 or 1."""
        known = _known(name, values)
        if not np.isin(known, (0, 1)).all():
            raise IrrepnetError(f"{name} has values other than 0 and 1 (false and true)")
        return cls(name, "classification", target_unit(name), float(known.mean()), 1.0)

    @property
    def columns(self) -> list[str]:
        return [f"{self.name} [probability]"]

    def encode(self, values: np.ndarray) -> np.ndarray:
        return values

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        from scipy.special import expit

        return expit(outputs)

    def loss(self, outputs: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """(n,) binary cross entropy."""
        return F.binary_cross_entropy_with_logits(outputs, wanted, reduction="none")[:, 0]

    def metrics(self, true: np.ndarray, predicted: np.ndarray) -> Metrics:
        """See :func:`irrepnet.tasks.metrics.classification_metrics`."""
        known = ~np.isnan(true[:, 0])
        return classification_metrics(true[known, 0], predicted[known, 0])

    def deviations(self, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """NaN: a probability says by itself how sure it is."""
        return np.full(len(true), np.nan)

    def in_words(self, value: float) -> str:
        return f"{self.name} {value:.4g} probability"

    def sentence(self, errors: Mapping[str, Any]) -> str:
        auc = "undefined" if errors["auc"] is None else f"{errors['auc']:.3f}"
        return f"area under the ROC curve <b>{auc}</b> on {errors['n']} test crystals"


@dataclass(frozen=True)
class TensorTarget(OneRow):
    """One tensor of a crystal.

    Values are coefficients (n, dim) on `CartesianTensor.change_of_basis`, the irreps of O(3), in the crystals' standard
    frames. What is learned are those of the tensor, of its logarithm if it is positive definite, or of what damping
    makes of it.

    Attributes:
        name, unit: see :class:`Target`.
        symmetry, axial: of the indices, see :class:`irrepnet.tensors.CartesianTensor`.
        positive: the tensor is positive definite, and so is every prediction.
        mean: (dim,) mean over all orientations of what is learned of the training split: the true scalars.
        scale: mean Frobenius norm of the differences from it: coefficients = mean + scale · outputs.
        damping: the size from which on the norm is damped, see :mod:`irrepnet.tensors.damping`; 0 for no damping.
        signed: false if T and −T count as one tensor: loss and errors are those of the nearer one.
    """

    name: str
    symmetry: str
    axial: bool
    positive: bool
    unit: str
    mean: list[float]
    scale: float
    damping: float = 0.0
    signed: bool = True
    kind: str = "tensor"
    headline = ("frobenius", "Frobenius error")

    @classmethod
    def fit(cls, name: str, values: np.ndarray, quantity: TensorQuantity) -> TensorTarget:
        """With the mean and the spread of the training split's values (n, dim); raises IrrepnetError without any."""
        known = values[~np.isnan(values).any(axis=1)]
        if len(known) == 0:
            raise _unknown(name)
        tensor = quantity.tensor
        sizes = np.linalg.norm(known, axis=1)
        damping = float(np.median(sizes[sizes > 0])) if quantity.damped and sizes.any() else 0.0
        learned = _learned(tensor, quantity.positive, damping, known)
        is_scalar = [part.l == 0 and part.parity > 0 for part in tensor.parts for _ in part.basis]
        mean = np.where(is_scalar, learned.mean(axis=0), 0.0)
        scale = float(np.linalg.norm(learned - mean, axis=1).mean()) or 1.0
        mean = mean.tolist()
        return cls(
            name, tensor.formula, tensor.axial, quantity.positive, quantity.unit, mean, scale, damping, quantity.signed
        )

    @property
    def tensor(self) -> CartesianTensor:
        return _tensor(self.symmetry, self.axial)

    @property
    def width(self) -> int:
        return len(self.mean)

    @property
    def columns(self) -> list[str]:
        unit = f" [{self.unit}]" if self.unit else ""
        return [f"{self.name} {component}{unit}" for component in self.tensor.components]

    def encode(self, values: np.ndarray) -> np.ndarray:
        encoded = np.full_like(values, np.nan)
        known = ~np.isnan(values).any(axis=1)
        encoded[known] = (_learned(self.tensor, self.positive, self.damping, values[known]) - self.mean) / self.scale
        return encoded

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        coefficients = np.asarray(self.mean) + self.scale * outputs
        if self.damping:
            return undamped(coefficients, self.damping)
        if not self.positive:
            return coefficients
        return self.tensor.to_irreps(exponential(self.tensor, self.tensor.from_irreps(coefficients)))

    def given(self, values: np.ndarray) -> np.ndarray:
        return values

    def loss(self, outputs: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """(n,) Frobenius norms of the differences: no orientation is preferred."""
        if not self.signed:
            wanted = torch.where((outputs * wanted).sum(1, keepdim=True) < 0, -wanted, wanted)
        return ((outputs - wanted).square().sum(1) + 1e-12).sqrt()

    def nearer(self, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """(n, w) the true values, where the sign is a convention of the sign that is nearer to the prediction."""
        if self.signed:
            return true
        return np.where((true * predicted).sum(1, keepdims=True) < 0, -true, true)

    def metrics(self, true: np.ndarray, predicted: np.ndarray) -> Metrics:
        """See :func:`tensor_metrics`; where the sign is a convention, of the nearer one."""
        known = ~np.isnan(true).any(axis=1)
        mean = self.decode(np.zeros((1, self.width)))
        return tensor_metrics(self.tensor, self.nearer(true, predicted)[known], predicted[known], mean)

    def deviations(self, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """Frobenius norms of the differences."""
        return np.linalg.norm(predicted - self.nearer(true, predicted), axis=1)

    def sizes(self, predicted: np.ndarray) -> np.ndarray:
        """Norms of what is learned as a logarithm or damped."""
        norms = np.linalg.norm(predicted, axis=1)
        return norms if self.positive or self.damping else np.ones(len(predicted))

    def value(self, predicted: np.ndarray, frame: np.ndarray) -> list[Any]:
        """Voigt's array (3×3 for rank 2) as nested lists, in the input's axes."""
        turned = self.tensor.rotate(self.tensor.from_irreps(predicted), frame)
        return _without_rounding(self.tensor.to_voigt(turned)).tolist()

    def cells(self, value: Any) -> list[float | None]:
        if value is None:
            return [None] * self.width
        return [np.array(value)[self.tensor._cell(next(iter(orbit)))] for orbit in self.tensor.components.values()]

    def in_words(self, value: list[Any]) -> str:
        return f"{self.name} {_array_in_words(value)} {self.unit}".rstrip()

    def sentence(self, errors: Mapping[str, Any]) -> str:
        figure = "mean Frobenius error" if self.signed else "mean Frobenius error, up to the sign,"
        return _error_sentence(figure, errors, "frobenius", self.unit)


_tensor = cache(CartesianTensor)


def _array_in_words(value: list[Any]) -> str:
    return np.array2string(np.round(np.array(value), 4) + 0.0, precision=4, suppress_small=True)  # + 0.0: no -0.


@dataclass(frozen=True)
class SiteTarget(OneRow):
    """A scalar, vector or tensor of the sites.

    Rows are sites, one an orbit of atoms; values are Cartesian components (n, 3^rank) in the crystals' standard frames.

    Attributes:
        name, unit: see :class:`Target`.
        symmetry, sum_rule, indices: see `irrepnet.data.sites.SiteQuantity`; predictions obey the rule too.
        mean: over the training split's atoms, of the scalar or a third of the trace; 0 for others and with a sum rule.
        scale: mean norm of the differences from it: value = mean · 1 + scale · output.
        elements: the same mean for each element, which is what an error is compared with.
    """

    name: str
    symmetry: str
    unit: str
    sum_rule: bool
    mean: float
    scale: float
    elements: dict[str, float] = field(default_factory=dict)
    indices: str = ""
    kind: str = "site"
    of_atoms = True
    headline = ("mae", "MAE")

    @classmethod
    def fit(
        cls, name: str, values: np.ndarray, quantity: SiteQuantity, weights: np.ndarray, species: Sequence[str]
    ) -> SiteTarget:
        """From the training split.

        Args:
            name: of the property.
            values: (n, w) of the sites; NaN where unknown.
            quantity: what it is.
            weights: (n,) atoms of each site's orbit.
            species: (n,) element symbols.

        Raises:
            IrrepnetError: no crystal of the training split has a value.
        """
        known = ~np.isnan(values).any(axis=1)
        if not known.any():
            raise _unknown(name)
        values, weights, symbols = values[known], weights[known], np.array(species)[known]
        unit = _isotropic(quantity)
        scalars = values @ unit / (unit @ unit or 1.0)
        elements = {
            str(symbol): float(np.average(scalars[symbols == symbol], weights=weights[symbols == symbol]))
            for symbol in np.unique(symbols)
            if unit.any()
        }
        mean = 0.0 if quantity.sum_rule or not unit.any() else float(np.average(scalars, weights=weights))
        scale = float(np.average(np.linalg.norm(values - mean * unit, axis=1), weights=weights)) or 1.0
        return cls(name, quantity.symmetry, quantity.unit, quantity.sum_rule, mean, scale, elements, quantity.indices)

    @property
    def quantity(self) -> SiteQuantity:
        """What it is."""
        return SiteQuantity(symmetry=self.symmetry, unit=self.unit, sum_rule=self.sum_rule, indices=self.indices)

    @property
    def width(self) -> int:
        return len(self.quantity.projector)

    @property
    def columns(self) -> list[str]:
        unit = f" [{self.unit}]" if self.unit else ""
        components = ("".join("xyz"[i] for i in k) for k in np.ndindex(self.quantity.shape))
        return [f"{self.name} {component}".rstrip() + unit for component in components]

    def encode(self, values: np.ndarray) -> np.ndarray:
        return (values - self.mean * _isotropic(self.quantity)) / self.scale

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        return self.mean * _isotropic(self.quantity) + self.scale * outputs

    def given(self, values: np.ndarray) -> np.ndarray:
        return values.reshape(-1, *self.quantity.shape)

    def loss(self, outputs: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """(n,) norms of the differences: no orientation is preferred."""
        return ((outputs - wanted).square().sum(1) + 1e-12).sqrt()

    def metrics(
        self, true: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None, species: Sequence[str] = ()
    ) -> Metrics:
        """Errors over atoms; rows with a NaN do not count.

        Args:
            true, predicted: (n, w) of sites.
            weights: (n,) atoms that a site stands for; one by default.
            species: (n,) element symbols, to compare with the mean of each element; by default with the mean of all.

        Returns:
            ``n`` atoms; ``mae`` and ``rmse`` of the components; ``frobenius``, mean norm of the difference;
            ``mae_of_mean``, the first for predicting the training split's mean. None where undefined.
        """
        known = ~np.isnan(true).any(axis=1)
        if not known.any():
            return {"n": 0, "mae": None, "rmse": None, "frobenius": None, "mae_of_mean": None}
        weights = (np.ones(len(true)) if weights is None else weights)[known]
        means = np.array([self.elements.get(symbol, self.mean) for symbol in species or [""] * len(true)])
        error, off = predicted - true, means[:, None] * _isotropic(self.quantity) - true

        def mean(values: np.ndarray) -> float:
            return float(np.average(values[known], weights=weights))

        return {
            "n": round(float(weights.sum())),
            "mae": mean(np.abs(error).mean(1)),
            "rmse": mean((error**2).mean(1)) ** 0.5,
            "frobenius": mean(np.linalg.norm(error, axis=1)),
            "mae_of_mean": mean(np.abs(off).mean(1)),
        }

    def deviations(self, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """Means over the components."""
        return np.abs(predicted - true).mean(1)

    def value(self, predicted: np.ndarray, frame: np.ndarray) -> Any:
        """Of several atoms (n_atoms, w): (n_atoms,), (n_atoms, 3) or (n_atoms, 3, 3) as nested lists."""
        turned = self.given(predicted)
        for axis in range(1, turned.ndim):  # a rotation is proper: axial or polar makes no difference
            turned = np.moveaxis(np.tensordot(turned, frame, (axis, 1)), -1, axis)
        return _without_rounding(turned).tolist()

    def cells(self, value: Any) -> list[float | None]:
        """Of one atom."""
        return [None] * self.width if value is None else np.ravel(value).tolist()

    def rows(self, value: Any) -> list[list[float | None]]:
        return [self.cells(own) for own in (value or [None])]

    def in_words(self, value: list[Any]) -> str:
        return (
            f"{self.name}{' ' if self.quantity.shape == () else chr(10)}{_array_in_words(value)} {self.unit}".rstrip()
        )

    def sentence(self, errors: Mapping[str, Any]) -> str:
        where = f"{errors['n']} atoms of the test crystals"
        return _error_sentence("mean absolute error of a component", errors, "mae", self.unit, where)


@dataclass(frozen=True)
class ResponseTarget(OneRow):
    """What a perturbed crystal answers: its energy, its forces or its stress.

    Attributes:
        name: "energy", "forces" or "stress".
        unit: of errors and tables, where the energy is that of an atom.
        mean: of the training split's energies an atom; 0 for the others.
    """

    name: str
    unit: str
    mean: float
    kind: str = "response"
    headline = ("mae", "MAE")

    @property
    def columns(self) -> list[str]:
        components = {
            "energy": [""],
            "forces": [f" {x}" for x in "xyz"],
            "stress": [f" {ij}" for ij in ("xx", "yy", "zz", "yz", "xz", "xy")],
        }
        return [f"{self.name}{component} [{self.unit}]" for component in components[self.name]]

    @property
    def value_unit(self) -> str:
        """An energy is that of the cell."""
        return self.unit.removesuffix("/atom")

    def rows(self, value: Any) -> list[list[float | None]]:
        """A row an atom for forces (n, 3), else one."""
        if value is None:
            return [[None] * len(self.columns)]
        if self.name == "forces":
            return np.asarray(value).tolist()
        return [
            [value] if self.name == "energy" else np.asarray(value)[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]].tolist()
        ]

    def in_words(self, value: Any) -> str:
        if self.name == "energy":
            return f"energy {value:.6g} eV"
        return f"{self.name}\n{np.array2string(np.array(value), precision=4, suppress_small=True)} {self.unit}"

    def sentence(self, errors: Mapping[str, Any]) -> str:
        return _error_sentence(
            "mean absolute error", errors, "mae", self.unit, f"{errors['n']} values of the test frames"
        )


def _without_rounding(values: np.ndarray) -> np.ndarray:
    """Zeros that the symmetry forces are zeros, also after the turn into the input's axes."""
    return np.where(abs(values) > 1e-12 * abs(values).max(initial=0.0), values, 0.0)


@dataclass(frozen=True)
class HamiltonianTarget(OneRow):
    """The Hamiltonian of a crystal; what is told of a prediction are its gaps and its Fermi energy."""

    name: str = "hamiltonian"
    unit: str = "meV"
    kind: str = "hamiltonian"
    headline = ("valence", "error of valence bands")
    columns = ("gap [eV]", "direct gap [eV]", "Fermi energy [eV]")

    @property
    def value_unit(self) -> str:
        return "eV"

    def cells(self, value: Any) -> list[float | None]:
        if value is None:
            return [None] * 3
        gap = value["gap"] or {}
        return [gap.get("fundamental"), gap.get("direct"), value["fermi"]]

    def in_words(self, value: Any) -> str:
        gap = value["gap"]
        bands = "no gap" if gap is None else f"gap {gap['fundamental']:.3f} eV, direct {gap['direct']:.3f} eV"
        return f"{value['orbitals']} orbitals, {bands}"

    def sentence(self, errors: Mapping[str, Any]) -> str:
        if not errors["n"]:
            return "there are no test crystals"
        return f"error of valence bands <b>{errors['valence']:.3g} meV</b> on {errors['n']} test crystals"


def _isotropic(quantity: SiteQuantity) -> np.ndarray:
    """(w,) what a mean over all orientations leaves: the scalar, the unit matrix, or nothing."""
    unit = np.ones(1) if quantity.shape == () else np.eye(3).ravel() if len(quantity.shape) == 2 else np.zeros(3)
    return unit @ quantity.projector * (not quantity.axial)


KINDS: dict[str, Any] = {
    "regression": NumberTarget,
    "classification": ClassTarget,
    "tensor": TensorTarget,
    "site": SiteTarget,
    "response": ResponseTarget,
    "hamiltonian": HamiltonianTarget,
}
"""The classes of targets by the kind that cards name, and `irrepnet.data.QUANTITIES` of numbers."""


def fit_number(name: str, values: np.ndarray) -> NumberTarget:
    """The target of a number (n, 1), or of what is true or false."""
    return KINDS[target_kind(name)].fit(name, values)


def load_target(card: Mapping[str, Any]) -> Target:
    """The target that ``vars`` of it describes."""
    return KINDS[card["kind"]](**card)


def slices(targets: Sequence[OutputTarget]) -> list[slice]:
    """Where each target is among the network's outputs: the numbers come first, then the tensors."""
    in_order = sorted(targets, key=lambda target: isinstance(target, TensorTarget))
    starts = dict(zip([target.name for target in in_order], accumulate([0, *(t.width for t in in_order)])))
    return [slice(starts[target.name], starts[target.name] + target.width) for target in targets]


def encoded(targets: Sequence[OutputTarget], values: np.ndarray) -> np.ndarray:
    """(n, W) the values of all targets as the loss compares them."""
    result = np.empty_like(values)
    for target, own in zip(targets, slices(targets)):
        result[:, own] = target.encode(values[:, own])
    return result


def decoded(targets: Sequence[OutputTarget], outputs: np.ndarray) -> np.ndarray:
    """(n, W) the outputs as values in the targets' units."""
    result = np.empty_like(outputs)
    if not len(outputs):
        return result
    for target, own in zip(targets, slices(targets)):
        result[:, own] = target.decode(outputs[:, own])
    return result


def atom_rows(
    species: Sequence[str], targets: Sequence[Target], values: Sequence[Mapping[str, Any]]
) -> list[list[float | int | str | None]]:
    """A row an atom: its number, its element, and for each column of each target one cell from each of the values.

    What a crystal has one of is in the row of its first atom.
    """
    rows: list[list[float | int | str | None]] = [[atom + 1, symbol] for atom, symbol in enumerate(species)]
    for target in targets:
        blocks = [target.rows(own[target.name]) for own in values]
        nothing = [None] * len(target.columns)
        for atom, row in enumerate(rows):
            cells = [block[atom] if atom < len(block) else nothing for block in blocks]
            row += [cell for same in zip(*cells) for cell in same]
    return rows


def mean_loss(
    targets: Sequence[OutputTarget], outputs: torch.Tensor, wanted: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """The mean over the targets of each target's loss; unknown values do not count.

    Args:
        targets: T targets.
        outputs: (n, W) of the network; see :func:`slices`.
        wanted: (n, W) from :func:`encoded`; NaN where unknown.
        weights: (n,) how often a row counts; once by default.
    """
    losses = []
    for target, own in zip(targets, slices(targets)):
        mine = wanted[:, own]
        known = ~mine.isnan().any(1)
        count = known if weights is None else known * weights
        each = target.loss(outputs[:, own], mine.nan_to_num())
        losses.append((each * count).sum() / count.sum().clamp(min=1))
    return torch.stack(losses).mean()


def _known(name: str, values: np.ndarray) -> np.ndarray:
    known = values[~np.isnan(values)]
    if len(known) == 0:
        raise _unknown(name)
    return known


def _unknown(name: str) -> IrrepnetError:
    return IrrepnetError(f"no crystal of the training split has a value of {name}; use more data or another target")


def _error_sentence(figure: str, errors: Mapping[str, Any], key: str, unit: str, where: str | None = None) -> str:
    if errors[key] is None:
        return "no test crystal has a value"
    unit = f" {unit}" if unit else ""
    baseline = f"{errors[f'{key}_of_mean']:.3g}{unit} for predicting the mean"
    where = where or f"{errors['n']} test crystals"
    return f"{figure} <b>{errors[key]:.3g}{unit}</b> on {where} ({baseline})"


def _learned(tensor: CartesianTensor, positive: bool, damping: float, values: np.ndarray) -> np.ndarray:
    if damping:
        return damped(values, damping)
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
        Hill's averages; for second-harmonic generation ``mae_KP`` of Kurtz and Perry's coefficient. None where
        undefined.
    """
    n = len(true)
    keys = ["frobenius", "ewt25", "ewt10", "ewt5", "mae", "frobenius_of_mean"]
    names, derived = _DERIVED.get(tensor.formula, ((), None))
    if n == 0:
        return {"n": 0} | dict.fromkeys([*keys, *(f"mae_{name}" for name in names)])
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
    if derived:
        a, b = (derived(tensor.from_irreps(x)) for x in (true, predicted))
        figures |= {f"mae_{name}": _finite(value) for name, value in zip(names, np.abs(b - a).mean(axis=0))}
    return figures


def _moduli(values: np.ndarray) -> np.ndarray:
    """(n, 3) K, G, E of stiffnesses (n, 3, 3, 3, 3)."""
    return np.array([_moduli_of(stiffness) for stiffness in STIFFNESS.to_voigt(values)])


def _moduli_of(stiffness: np.ndarray) -> tuple[float, float, float]:
    try:
        found = averages((stiffness + stiffness.T) / 2)
    except IrrepnetError:  # singular: it has no compliance
        return (np.nan, np.nan, np.nan)
    return (found.K, found.G, found.E)


_DERIVED: dict[str, tuple[Sequence[str], Callable[[np.ndarray], np.ndarray]]] = {
    STIFFNESS.formula: ("KGE", _moduli),
    SHG.formula: (["KP"], lambda values: kurtz_perry(values)[:, None]),
}
"""What is derived of tensors (n, 3, …, 3) of an index symmetry: names, and numbers (n, names)."""


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
