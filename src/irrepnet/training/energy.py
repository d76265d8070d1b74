"""Energies of one perturbed crystal, fitted in Python to samples; `irrepnet train energy` learns from files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from irrepnet.errors import IrrepnetError
from irrepnet.files import write_bytes
from irrepnet.graphs import BrokenGraph, Parent, Perturbation, broken_graph
from irrepnet.groups import PointGroup
from irrepnet.inlets import json_value
from irrepnet.models.energy import EnergyConfig, EnergyNet, Response
from irrepnet.tasks import Learning, Together
from irrepnet.tasks.energies import (
    EnergyLoss,
    EnergySample,
    EnergyTrainingConfig,
    labels,
    mean_errors,
    needs_frames,
    respond,
    units_of,
)
from irrepnet.training.checkpoint import State
from irrepnet.training.files import write_json
from irrepnet.training.log import Log
from irrepnet.training.loop import run_epochs

_WEIGHTS = "model.safetensors"
_CARD = "model.json"
_ARRAYS = [f.name for f in fields(Parent) if f.name != "point_group"]


@dataclass
class EnergyModel:
    """A fitted network with its parent.

    Attributes:
        parent: of the samples.
        net: in float64.
        history: one row an epoch.
    """

    parent: Parent
    net: EnergyNet
    history: list[dict[str, Any]] = field(default_factory=list)

    def predict(self, perturbations: Sequence[Perturbation], parent: Parent | None = None) -> Response:
        """Energies, forces, stresses and the other gradients, as float64 tensors.

        Args:
            perturbations: any number of them.
            parent: another supercell of the same crystal; by default that of the samples.
        """
        return respond(self.net, [broken_graph(parent or self.parent, p, self.net.group) for p in perturbations])

    def errors(self, samples: Sequence[EnergySample]) -> dict[str, float]:
        """Mean absolute errors of energies (meV/atom), forces (meV/Å, components) and stresses (GPa, components)."""
        found = self.predict([sample.perturbation for sample in samples])
        return mean_errors(found, [labels(sample, len(self.parent)) for sample in samples])

    def save(self, folder: str | Path) -> None:
        """Write weights and parent (model.safetensors) and what they are (model.json)."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {f"net/{name}": tensor.contiguous() for name, tensor in self.net.state_dict().items()}
        for name in _ARRAYS:
            tensors[f"parent/{name}"] = torch.from_numpy(np.ascontiguousarray(getattr(self.parent, name)))
        write_bytes(folder / _WEIGHTS, save(tensors))
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
            card = json_value((folder / _CARD).read_text(encoding="utf-8"))
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
    train: Sequence[EnergySample],
    validation: Sequence[EnergySample],
    config: EnergyConfig | None = None,
    options: EnergyTrainingConfig | None = None,
    log: Log | None = None,
    network: Callable[[EnergyConfig], EnergyNet] = EnergyNet,
) -> EnergyModel:
    """Learn the energy of a parent's perturbations; the weights with the smallest validation loss are kept.

    Args:
        parent: of all samples.
        train, validation: at least one sample each.
        config: the network; by default with frames of the parent's point group if a training sample has a field or
            moments, else without frames.
        options: see :class:`irrepnet.tasks.energies.EnergyTrainingConfig`. The same seed on the same machine gives the
            same weights.
        log: where progress is shown; by default on standard error.
        network: makes the network.

    Raises:
        IrrepnetError: samples that do not fit the parent, or a loss that is no longer finite.
    """
    if not train or not validation:
        raise IrrepnetError("a fit needs at least one sample for training and one for validation")
    options = options or EnergyTrainingConfig()
    if config is None:
        frames = needs_frames([sample.perturbation for sample in train])
        config = EnergyConfig(group=parent.point_group.name if frames else None)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        net = network(config).to(getattr(torch, options.precision))

        def parts(samples: Sequence[EnergySample]) -> tuple[list[dict[str, np.ndarray]], list[BrokenGraph]]:
            good = [sample.checked(parent) for sample in samples]
            graphs = [broken_graph(parent, sample.perturbation, net.group) for sample in good]
            return [labels(sample, len(parent)) for sample in good], graphs

        (wanted, graphs), (held_wanted, held_graphs) = parts(train), parts(validation)
        unit = units_of(wanted)
        taught = EnergyLoss(wanted, graphs, options, unit)
        held = EnergyLoss(held_wanted, held_graphs, options, unit)
        net.get_buffer("scale").fill_(unit["energy"])

        def validate(average: Any, together: Together) -> tuple[float, dict[str, Any]]:
            found = respond(average, held_graphs)
            return held.of(found, range(len(validation))).item(), mean_errors(found, held_wanted)

        state = State.start(net, options.weight_decay)
        learning = Learning(lambda model, part: taught(model, part.tolist(), training=True), validate)  # type: ignore[arg-type]
        with (log or Log()).progress("fit", options.epochs * len(train)) as advance:
            run_epochs(state, len(train), learning, options, advance=advance)
    net.load_state_dict(state.best)
    return EnergyModel(parent, net.double().eval(), state.history)
