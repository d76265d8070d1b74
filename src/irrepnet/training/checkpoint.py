"""Everything a run needs to go on, in one file that is replaced whole, without pickle."""

import hashlib
import json
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from irrepnet.errors import IrrepnetError
from irrepnet.files import write_bytes
from irrepnet.inlets import json_value

Tensors = dict[str, torch.Tensor]


@dataclass
class State:
    """A run between two epochs.

    The order of the crystals, the learning rate and the random numbers of an epoch depend on the seed and the
    epoch's number alone, so nothing else has to be remembered.

    Attributes:
        model: the network that is trained.
        average: the running average of its weights, which is validated.
        optimizer: AdamW over the model's parameters.
        best: the averaged weights of the epoch with the smallest validation loss.
        best_epoch, best_loss: that epoch, counted from 1, and its loss.
        history: one row of figures an epoch.
    """

    model: torch.nn.Module
    average: torch.nn.Module
    optimizer: torch.optim.Optimizer
    best: Tensors = field(default_factory=dict)
    best_epoch: int = 0
    best_loss: float = float("inf")
    history: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def start(cls, model: torch.nn.Module, weight_decay: float) -> "State":
        # fused: three times faster on small networks, and as reproducible
        optimizer = torch.optim.AdamW(model.parameters(), weight_decay=weight_decay, fused=True)
        return cls(model, deepcopy(model).eval().requires_grad_(False), optimizer)

    @property
    def epoch(self) -> int:
        """Number of epochs done."""
        return len(self.history)

    def keep_if_best(self, loss: float) -> bool:
        if not loss < self.best_loss:
            return False
        self.best = {name: tensor.clone() for name, tensor in self.average.state_dict().items()}
        self.best_epoch, self.best_loss = self.epoch, loss
        return True

    def save(self, path: Path, run: str = "") -> None:
        """Write the state; ``run`` stands for the run that it is of, see :meth:`load`."""
        moments = self.optimizer.state_dict()["state"]
        tensors = {
            **_prefixed("model", self.model.state_dict()),
            **_prefixed("average", self.average.state_dict()),
            **_prefixed("best", self.best),
            **{f"optimizer/{i}/{key}": value for i, values in moments.items() for key, value in values.items()},
        }
        figures = {"best_epoch": self.best_epoch, "best_loss": self.best_loss, "history": self.history}
        text = json.dumps(figures)
        about = {"figures": text, "run": run, "sha256": _digest(tensors, text, run)}
        write_bytes(path, save(tensors, metadata=about))

    def load(self, path: Path, run: str = "") -> None:
        """Take the state that :meth:`save` wrote for the same run.

        Raises:
            IrrepnetError: the file is damaged or belongs to another run. Checkpoints of earlier versions do not say
                to which they belong.
        """
        try:
            with safe_open(path, framework="pt") as stream:
                about = stream.metadata()
                tensors = {key: stream.get_tensor(key) for key in stream.keys()}  # noqa: SIM118 (no mapping)
            figures = json_value(about["figures"])
            if "sha256" in about:
                if about["sha256"] != _digest(tensors, about["figures"], about["run"]):
                    raise ValueError("it was damaged")
                if about["run"] != run:
                    raise ValueError("it is of another one: another seed, setting, split or other data")
            self.model.load_state_dict(_section("model", tensors))
            self.average.load_state_dict(_section("average", tensors))
            moments: dict[int, Tensors] = {}
            for key, value in _section("optimizer", tensors).items():
                number, name = key.split("/")
                moments.setdefault(int(number), {})[name] = value
            groups = self.optimizer.state_dict()["param_groups"]
            self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
            self.best_epoch, self.best_loss = figures["best_epoch"], figures["best_loss"]
            self.history = figures["history"]
        except (SafetensorError, RuntimeError, KeyError, TypeError, ValueError, OSError) as error:
            raise IrrepnetError(
                f"{path}: not a checkpoint of this run ({' '.join(str(error).split())}); remove it to start again"
            ) from None
        device = next(self.model.parameters()).device
        self.best = {name: tensor.to(device) for name, tensor in _section("best", tensors).items()}


def _digest(tensors: Tensors, figures: str, run: str) -> str:
    """sha256 of all that a checkpoint holds."""
    found = hashlib.sha256(json.dumps([figures, run]).encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu()
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.contiguous().numpy().tobytes())
    return found.hexdigest()


def _prefixed(section: str, tensors: Tensors) -> Tensors:
    return {f"{section}/{name}": tensor.contiguous() for name, tensor in tensors.items()}


def _section(section: str, tensors: Tensors) -> Tensors:
    start = section + "/"
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}
