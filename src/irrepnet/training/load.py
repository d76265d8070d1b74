"""A finished run, loaded again: the network, what its outputs mean, and where it may be used."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file

from irrepnet.data.batch import AnyGraph
from irrepnet.errors import IrrepnetError
from irrepnet.models import build_model
from irrepnet.training.config import RunConfig
from irrepnet.training.loop import batches, predict_batches, threads
from irrepnet.training.targets import AnyTarget, columns, load_target
from irrepnet.training.tensor_targets import TensorTarget

FORMAT = 2
"""Number of the layout of model.json and of the weights' names; goes up when old ones become unreadable."""


@dataclass(frozen=True)
class Run:
    """A trained network.

    Attributes:
        folder: where it was loaded from.
        model: the network, in evaluation mode, with the weights of the best epoch.
        config: the run's configuration; :func:`irrepnet.training.dataset.graph_of` makes the graphs of it.
        targets: what the outputs are, in order.
        card: the whole of model.json.
    """

    folder: Path
    model: torch.nn.Module
    config: RunConfig
    targets: tuple[AnyTarget, ...]
    card: dict[str, Any]

    def predict(self, graphs: Sequence[AnyGraph]) -> dict[str, np.ndarray]:
        """(n,) values of every target, in its unit; probabilities for a classification, coefficients (n, dim) for a
        tensor (see :class:`irrepnet.training.tensor_targets.TensorTarget`)."""
        if not graphs:
            return {t.name: np.empty((0, t.width) if t.kind == "tensor" else 0) for t in self.targets}
        with threads(self.config.training.threads):
            outputs = predict_batches(self.model, batches(graphs))
        return {t.name: t.decode(outputs[:, own]) for t, own in zip(self.targets, columns(self.targets))}

    def target(self, name: str | None = None) -> AnyTarget:
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
        """``id`` and ``formula`` of the crystals of "train", "validation" and "test"."""
        path = self.folder / "split.json"
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, json.JSONDecodeError) as error:
            raise IrrepnetError(f"{path}: cannot be read ({error}); copy the whole run folder") from None

    @cached_property
    def training_formulas(self) -> frozenset[str]:
        return frozenset(self.split["train"]["formula"])


def network(config: RunConfig, targets: Sequence[AnyTarget]) -> torch.nn.Module:
    """The network of a run, with the outputs that its targets need, and random weights."""
    tensors = [target.tensor for target in targets if isinstance(target, TensorTarget)]
    return build_model(config.model, len(targets) - len(tensors), config.graph, tensors)


def load_run(folder: str | Path) -> Run:
    """Load the network of a finished run, on the CPU.

    Raises:
        IrrepnetError: the folder holds no finished run, or a damaged one, or one of a newer irrepnet.
    """
    folder = Path(folder)
    if not (folder / "model.json").exists():
        if (folder / "config.yaml").exists():
            hint = f"`irrepnet train {folder / 'config.yaml'} --out {folder} --resume` goes on"
            raise IrrepnetError(f"{folder}: this run is not finished; {hint}")
        raise IrrepnetError(f"{folder}: holds no run (there is no model.json); give the --out folder of a training")
    try:
        card = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        if card["format"] != FORMAT:
            raise IrrepnetError(
                f"{folder}: a model of format {card['format']} (irrepnet {card['irrepnet']}); this one "
                f"reads format {FORMAT}; install the version that wrote it"
            )
        config = RunConfig.model_validate(card["config"])
        targets = tuple(load_target(target) for target in card["targets"])
        with torch.random.fork_rng(devices=[]):  # loading leaves the caller's random numbers alone
            model = network(config, targets)
        model.load_state_dict(load_file(folder / "model.safetensors"))
    except (
        OSError,
        ValidationError,
        KeyError,
        TypeError,
        json.JSONDecodeError,
        SafetensorError,
        RuntimeError,
    ) as error:
        raise IrrepnetError(f"{folder}: cannot load the model: {' '.join(str(error).split())}") from None
    return Run(folder, model.eval().requires_grad_(False), config, targets, card)
