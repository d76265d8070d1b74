"""A finished run, loaded again: the network, what its outputs mean, and where it may be used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load

from irrepnet.errors import IrrepnetError
from irrepnet.models import Ensemble
from irrepnet.tasks import TASKS, RunConfig, Task, task_class
from irrepnet.tasks.reliability import Reliability
from irrepnet.tasks.targets import Target, slices
from irrepnet.training.files import AGAIN, CARD, as_mapping, file_of, read_sealed
from irrepnet.training.loop import chosen_device, threads
from irrepnet.training.where import run_folder

FORMAT = 3
"""Number of the layout of model.json and of the weights' names; goes up when old ones become unreadable."""
READABLE = (2, 3)
WEIGHTS, KNOWN, SPLIT, CONFIG = "model.safetensors", "known.safetensors", "split.json", "config.yaml"


@dataclass(frozen=True)
class Run:
    """A trained network.

    Attributes:
        folder: where it was loaded from.
        model: the network, in evaluation mode, with the weights of the best epoch.
        task: what it was trained for; it makes examples and predictions.
        card: the whole of model.json.
    """

    folder: Path
    model: torch.nn.Module
    task: Task
    card: dict[str, Any]

    def __repr__(self) -> str:
        targets = ", ".join(f"{target.name} {target.value_unit}".rstrip() for target in self.targets)
        return f"Run({str(self.folder)!r}, {self.config.model.name}: {targets})"

    @property
    def config(self) -> Any:
        """The run's configuration."""
        return self.task.config

    @property
    def targets(self) -> tuple[Target, ...]:
        """What is predicted, in order."""
        return tuple(self.task.targets)

    def predict(self, graphs: Sequence[Any]) -> dict[str, np.ndarray]:
        """Of a run of properties: (n,) values of every target, in its unit; probabilities for a classification,
        coefficients (n, dim) for a tensor (see :class:`irrepnet.tasks.targets.TensorTarget`)."""
        from irrepnet.tasks.properties import PropertyTask

        if not isinstance(self.task, PropertyTask):
            raise IrrepnetError(f"{self.folder}: a run of {self.task.name}; give files to irrepnet.training.predict")
        with threads(self.config.training.threads):
            values = self.task.decoded(self.model, graphs)
        targets = self.task.targets
        return {t.name: t.given(values[:, own]) for t, own in zip(targets, slices(targets))}

    def target(self, name: str | None = None) -> Target:
        """The target of that name; the only one when no name is given.

        Raises:
            IrrepnetError: the run has no such target, or several and no name is given.
        """
        names = ", ".join(target.name for target in self.targets)
        if name is None and len(self.targets) > 1:
            raise IrrepnetError(f"{self.folder}: this run has several targets; name one of {names}")
        for target in self.targets:
            if name in (None, target.name):
                return target
        raise IrrepnetError(f"{self.folder}: this run has no target {name!r}; it has {names}")

    @cached_property
    def split(self) -> dict[str, dict[str, list[str]]]:
        """``id`` and ``formula`` of the examples of "train", "validation" and "test"."""
        path = self.folder / SPLIT
        parts = as_mapping(path, file_of(self.folder, self.card, SPLIT))
        for name in ("train", "validation", "test"):
            for key in ("id", "formula"):
                texts = part.get(key) if isinstance(part := parts.get(name), dict) else None
                if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
                    raise IrrepnetError(f"{path}: damaged (no {key} of {name}); {AGAIN}")
        return parts

    @cached_property
    def training_formulas(self) -> frozenset[str]:
        return frozenset(self.split["train"]["formula"])


def load_run(folder: str | Path, device: str = "cpu") -> Run:
    """Load the network of a finished run.

    Args:
        folder: of the run, or the name of a model that comes with the package.
        device: "cpu", "cuda", or "auto", which takes a CUDA device when there is one.

    Raises:
        IrrepnetError: the folder holds no finished run, or a damaged one, or one of a newer irrepnet; or there is no
            such device.
    """
    folder, where = run_folder(folder), chosen_device(device)
    try:
        card = read_card(folder)
        kind = task_class(card["task"])
        task = kind(kind.Config.model_validate(card["config"]))
        task.load(card)
        digests = card.get("sha256", {})
        for name in (SPLIT, CONFIG):
            if name in digests and (name == SPLIT or (folder / name).exists()):
                file_of(folder, card, name)
        if (folder / KNOWN).exists() or KNOWN in digests:
            task.reliability = Reliability.read(file_of(folder, card, KNOWN))
        with torch.random.fork_rng(devices=[]):  # loading leaves the caller's random numbers alone
            members = [task.network() for _ in range(task.config.training.members)]
            model = members[0] if len(members) == 1 else Ensemble(members)
        weights = load(file_of(folder, card, WEIGHTS))
        model.load_state_dict(weights)
    except (
        OSError,
        ValidationError,
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        IndexError,
        SafetensorError,
        RuntimeError,
    ) as error:
        raise IrrepnetError(f"{folder}: cannot load the model: {' '.join(str(error).split())}") from None
    for name, values in weights.items():
        if values.is_floating_point() and not values.isfinite().all():
            raise IrrepnetError(f"{folder}: {WEIGHTS} has a number that is not finite in {name}; {AGAIN}")
    return Run(folder, model.eval().requires_grad_(False).to(where), task, card)


def read_card(folder: Path) -> dict[str, Any]:
    """model.json, in the present format.

    Raises:
        IrrepnetError: it is damaged, or of a format that cannot be read.
    """
    card = _upgraded(read_sealed(folder))
    if card["format"] not in READABLE or card["task"] not in TASKS:
        raise IrrepnetError(
            f"{folder}: a model of format {card['format']} (irrepnet {card['irrepnet']}); this one "
            f"reads format {READABLE[0]} to {FORMAT}; install the version that wrote it"
        )
    domain, elements = card.get("domain"), None
    if isinstance(domain, dict) and "point_groups" in domain:
        elements = domain.get("elements")
    if not isinstance(elements, list) or not all(isinstance(symbol, str) for symbol in elements):
        raise IrrepnetError(f"{folder / CARD}: not a card of a run (without a sound domain); {AGAIN}")
    return card


def _upgraded(card: Mapping[str, Any]) -> dict[str, Any]:
    """Before format 3 there was no task; Hamiltonians had a format 1 of their own."""
    if "task" in card:
        return dict(card)
    if card.get("kind") == "hamiltonian" and card["format"] == 1:
        target = {"name": "hamiltonian", "unit": "meV", "kind": "hamiltonian"}
        domain = {"elements": card["elements"], "point_groups": "all"}
        return {**card, "format": 2, "task": "hamiltonians", "targets": [target], "domain": domain}
    return {**card, "task": "properties"}


__all__ = ["FORMAT", "Run", "RunConfig", "load_run", "read_card"]
