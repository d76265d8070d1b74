"""Energies, forces and stresses of one perturbed crystal, learned from few samples."""

import json
import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from irrepnet.errors import IrrepnetError
from irrepnet.graphs.broken import BrokenGraph, Parent, Perturbation, broken_graph
from irrepnet.groups import PointGroup
from irrepnet.models.energy import GPA, EnergyConfig, EnergyNet, Response, perturbed_batch
from irrepnet.training.checkpoint import replacing, write_json
from irrepnet.training.log import Log

BATCH = 16
_WEIGHTS = "model.safetensors"
_CARD = "model.json"
_ARRAYS = [f.name for f in fields(Parent) if f.name != "point_group"]


@dataclass(frozen=True, eq=False)
class Sample:
    """A perturbed crystal with what a calculator says of it.

    Attributes:
        perturbation: see :class:`irrepnet.graphs.Perturbation`.
        energy: eV a cell, that of the unperturbed parent subtracted.
        forces: (n, 3) eV/Å in the parent's axes, or None.
        stress: (3, 3) eV/Å³ in the parent's axes, positive under tension, or None.
    """

    perturbation: Perturbation
    energy: float
    forces: np.ndarray | None = None
    stress: np.ndarray | None = None

    def checked(self, parent: Parent) -> "Sample":
        """The same, or an IrrepnetError for a number that is not finite or an array of another shape."""
        self.perturbation.checked(parent)
        shapes = {"energy": (), "forces": (len(parent), 3), "stress": (3, 3)}
        for name, shape in shapes.items():
            value = getattr(self, name)
            if value is not None and (np.shape(value) != shape or not np.isfinite(value).all()):
                raise IrrepnetError(f"{name} of a sample: expected finite numbers of shape {shape}")
        return self


class FitOptions(BaseModel):
    """How the weights are found: AdamW; the learning rate rises in the first tenth of the steps and falls as a cosine.

    The loss is the weighted sum of the mean Huber losses of energies an atom, forces and stresses, each in units of its
    root mean square in the training samples: x²/2δ below δ, |x| − δ/2 above. Where a few samples have very large
    forces, a mean square sees little else.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: int = Field(default=2000, ge=1)
    batch_size: int = Field(default=16, ge=1)
    learning_rate: float = Field(default=1e-2, gt=0)
    weight_decay: float = Field(default=1e-3, ge=0)
    clip: float = Field(default=10.0, gt=0, description="largest norm of the gradient")
    energy: float = Field(default=1.0, ge=0, description="weight of the energies")
    forces: float = Field(default=1.0, ge=0, description="weight of the forces")
    stress: float = Field(default=1.0, ge=0, description="weight of the stresses")
    huber: float = Field(default=0.02, gt=0, description="δ of the Huber loss, in units of the root mean square")
    validations: int = Field(default=20, ge=1, description="how often the validation samples are looked at")
    precision: Literal["float64", "float32"] = Field(default="float64", description="of the training")
    seed: int = Field(default=0, ge=0, description="of the weights and of the order of the samples")


@dataclass
class EnergyModel:
    """A fitted network with its parent.

    Attributes:
        parent: of the samples.
        net: in float64.
        history: one row for each look at the validation samples.
    """

    parent: Parent
    net: EnergyNet
    history: list[dict[str, float]] = field(default_factory=list)

    def predict(self, perturbations: Sequence[Perturbation], parent: Parent | None = None) -> Response:
        """Energies, forces, stresses and the other gradients, as float64 tensors.

        Args:
            perturbations: any number of them.
            parent: another supercell of the same crystal; by default that of the samples.
        """
        graphs = [broken_graph(parent or self.parent, p, self.net.group) for p in perturbations]
        parts = [self.net.response(batch) for batch in _batches(graphs, self.net)]
        return Response(*(torch.cat(values) for values in zip(*parts)))

    def errors(self, samples: Sequence[Sample]) -> dict[str, float]:
        """Mean absolute errors of energies (meV/atom), forces (meV/Å, components) and stresses (GPa, components)."""
        found = self.predict([sample.perturbation for sample in samples])
        return _errors(found, _labels(samples, len(self.parent), torch.float64))

    def save(self, folder: str | Path) -> None:
        """Write weights and parent (model.safetensors) and what they are (model.json)."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {f"net/{name}": tensor.contiguous() for name, tensor in self.net.state_dict().items()}
        for name in _ARRAYS:
            tensors[f"parent/{name}"] = torch.from_numpy(np.ascontiguousarray(getattr(self.parent, name)))
        with replacing(folder / _WEIGHTS) as part:
            part.write_bytes(save(tensors))
        card = {
            "kind": "energy of a perturbed crystal",
            "units": {"energy": "eV a cell", "forces": "eV/Å", "stress": "eV/Å³"},
            "point_group": self.parent.point_group.name,
            "model": self.net.config.model_dump(),
            "history": self.history,
        }
        write_json(folder / _CARD, card)

    @classmethod
    def load(cls, folder: str | Path) -> "EnergyModel":
        """What :meth:`save` wrote.

        Raises:
            IrrepnetError: a file is missing, damaged, or of another kind.
        """
        folder = Path(folder)
        try:
            card = json.loads((folder / _CARD).read_text(encoding="utf-8"))
            tensors = load_file(folder / _WEIGHTS)
            arrays = {name: tensors.pop(f"parent/{name}").numpy() for name in _ARRAYS}
            parent = Parent(point_group=PointGroup(card["point_group"]), **arrays)
            net = EnergyNet(EnergyConfig(**card["model"])).double()
            net.load_state_dict({name.removeprefix("net/"): tensor for name, tensor in tensors.items()})
            return cls(parent, net.eval(), card["history"])
        except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError, ValidationError) as error:
            raise IrrepnetError(f"{folder}: not a saved energy model ({error})") from None


def fit_energy(
    parent: Parent,
    train: Sequence[Sample],
    validation: Sequence[Sample],
    config: EnergyConfig | None = None,
    options: FitOptions | None = None,
    log: Log | None = None,
    network: Callable[[EnergyConfig], EnergyNet] = EnergyNet,
) -> EnergyModel:
    """Learn the energy of a parent's perturbations; the weights with the smallest validation loss are kept.

    Args:
        parent: of all samples.
        train, validation: at least one sample each.
        config: the network; by default with frames of the parent's point group if a training sample has a field or
            moments, else without frames.
        options: see :class:`FitOptions`. The same seed on the same machine gives the same weights.
        log: where progress is shown; by default on standard error.
        network: makes the network.

    Raises:
        IrrepnetError: samples that do not fit the parent, or a loss that is no longer finite.
    """
    if not train or not validation:
        raise IrrepnetError("a fit needs at least one sample for training and one for validation")
    options = options or FitOptions()
    if config is None:
        frames = any(
            np.any(given)
            for s in train
            for given in (s.perturbation.field, s.perturbation.moments)
            if given is not None
        )
        config = EnergyConfig(group=parent.point_group.name if frames else None)
    dtype = getattr(torch, options.precision)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        net = network(config).to(dtype)
    graphs = [broken_graph(parent, s.checked(parent).perturbation, net.group) for s in train]
    labels = _labels(train, len(parent), dtype)
    unit = {name: _rms(value) for name, value in labels.items()}
    net.get_buffer("scale").fill_(unit["energy"])
    held_graphs = [broken_graph(parent, s.checked(parent).perturbation, net.group) for s in validation]
    held_batches, held_labels = _batches(held_graphs, net), _labels(validation, len(parent), dtype)

    def loss_of(found: Response, wanted: dict[str, torch.Tensor]) -> torch.Tensor:
        residuals = _residuals(found, wanted)
        total = torch.zeros((), dtype=dtype)
        for name, residual in residuals.items():
            known = residual[~wanted[name].isnan()] / unit[name]
            if len(known):
                loss = torch.nn.functional.huber_loss(known, torch.zeros_like(known), delta=options.huber)
                total = total + getattr(options, name) * loss / options.huber
        return total

    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=options.weight_decay)
    random = np.random.default_rng(options.seed)
    model, best, best_loss = EnergyModel(parent, net), deepcopy(net.state_dict()), math.inf
    looks = {math.ceil(options.steps * (i + 1) / options.validations) for i in range(options.validations)}
    order: list[int] = []
    with (log or Log()).progress("fit", options.steps) as advance:
        for step in range(1, options.steps + 1):
            if len(order) < min(options.batch_size, len(train)):
                order += random.permutation(len(train)).tolist()
            chosen, order = order[: options.batch_size], order[options.batch_size :]
            for parameters in optimizer.param_groups:
                parameters["lr"] = options.learning_rate * _schedule(step / options.steps)
            batch = perturbed_batch([graphs[i] for i in chosen], net.group, dtype)
            loss = loss_of(net.response(batch, training=True), {k: v[chosen] for k, v in labels.items()})
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), options.clip)
            optimizer.step()
            advance(1)
            if step in looks:
                parts = [net.response(batch) for batch in held_batches]
                found = Response(*(torch.cat(values) for values in zip(*parts)))
                held = loss_of(found, held_labels).item()
                if not math.isfinite(held + loss.item()):
                    raise IrrepnetError(
                        f"the fit diverged at step {step}; lower the learning rate ({options.learning_rate:g})"
                    )
                row = {"step": step, "train_loss": loss.item(), "validation_loss": held}
                model.history.append({**row, **_errors(found, held_labels)})
                if held < best_loss:
                    best, best_loss = deepcopy(net.state_dict()), held
    net.load_state_dict(best)
    model.net = net.double().eval()
    return model


def _schedule(x: float) -> float:
    return x / 0.1 if x < 0.1 else 0.5 * (1 + math.cos(math.pi * (x - 0.1) / 0.9))


def _batches(graphs: Sequence[BrokenGraph], net: EnergyNet) -> list[BrokenGraph[torch.Tensor]]:
    dtype = net.get_buffer("scale").dtype
    return [perturbed_batch(graphs[i : i + BATCH], net.group, dtype) for i in range(0, len(graphs), BATCH)]


def _labels(samples: Sequence[Sample], n: int, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Energies an atom (samples,), forces (samples, n, 3), stresses (samples, 3, 3); NaN for what is not known."""
    shapes: dict[str, Any] = {"energy": (), "forces": (n, 3), "stress": (3, 3)}
    arrays = {}
    for name, shape in shapes.items():
        values = [getattr(sample, name) for sample in samples]
        array = np.array([np.full(shape, np.nan) if value is None else value for value in values], float)
        arrays[name] = torch.from_numpy(array / n if name == "energy" else array).to(dtype)
    return arrays


def _residuals(found: Response, wanted: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    n = wanted["forces"].shape[1]
    return {
        "energy": found.energy / n - wanted["energy"],
        "forces": found.forces.reshape(-1, n, 3) - wanted["forces"],
        "stress": found.stress - wanted["stress"],
    }


def _rms(values: torch.Tensor) -> float:
    """Root mean square of what is known; 1 if nothing is, or if all is zero."""
    known = values[~values.isnan()]
    return float(known.square().mean().sqrt()) or 1.0 if len(known) else 1.0


def _errors(found: Response, wanted: dict[str, torch.Tensor]) -> dict[str, float]:
    units = {
        "energy": ("energy_mev_per_atom", 1e3),
        "forces": ("forces_mev_per_angstrom", 1e3),
        "stress": ("stress_gpa", GPA),
    }
    residuals = _residuals(found, wanted)
    return {
        label: factor * float(residuals[name][~wanted[name].isnan()].abs().mean())
        for name, (label, factor) in units.items()
        if not wanted[name].isnan().all()
    }  # fmt: skip
