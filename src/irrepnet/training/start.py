"""Weights that a run begins with: those of another run, where they fit."""

import hashlib
from pathlib import Path
from typing import Any

import torch

from irrepnet.errors import IrrepnetError
from irrepnet.models import Ensemble
from irrepnet.tasks import Task
from irrepnet.training.load import load_run

READOUTS = frozenset({"readout", "readouts", "output", "covariant", "tensors", "share", "totals"})
"""Words in the names of the weights that make the targets of the features of a network."""

GRAPH_KEYS = ("cutoff", "n_max", "tolerance", "symprec", "neighbours", "scale")
"""Of a run's data, what its network reads of a crystal."""


def configuration_from(folder: str | Path) -> dict[str, Any]:
    """What a run says of the configuration of one that begins with its weights: all but data and training.

    Raises:
        IrrepnetError: the folder holds no finished run.
    """
    config = load_run(folder).config.model_dump(mode="json")
    data = {key: value for key, value in config["data"].items() if key in GRAPH_KEYS}
    return {"task": config["task"], "start": str(folder), "model": config["model"], "data": data}


def take_weights(network: torch.nn.Module, task: Task, folder: str | Path) -> dict[str, Any]:
    """Give a network the weights of a run's network wherever name and shape agree.

    Those that make the targets are taken only if the targets are the same ones; all that is not taken stays as it is.

    Args:
        network: the fresh one.
        task: whose network it is.
        folder: of the finished run.

    Returns:
        ``run``, the folder; ``sha256`` of its model.safetensors; ``taken``, how many weights, and ``weights``, how many
        the network has.

    Raises:
        IrrepnetError: the folder holds no finished run, or one of another network; or no weight fits.
    """
    run = load_run(folder)
    own, its = task.config.model.name, run.config.model.name
    if own != its:
        raise IrrepnetError(f"{folder}: a run of the network {its}, whose weights do not fit {own}; take another run")
    same = [(t.name, t.kind) for t in run.targets] == [(t.name, t.kind) for t in task.targets]
    # a network with tensors among its targets has all of its parts in one called net; of several the first counts
    trained = run.model.members[0] if isinstance(run.model, Ensemble) else run.model
    given = {name.removeprefix("net."): values for name, values in trained.state_dict().items()}
    state = network.state_dict()
    taken = {
        name: given[key]
        for name, values in state.items()
        if (key := name.removeprefix("net.")) in given
        and given[key].shape == values.shape
        and (same or READOUTS.isdisjoint(key.split(".")))
    }
    learned = {name: weights.numel() for name, weights in network.named_parameters()}
    number = sum(size for name, size in learned.items() if name in taken)
    if not number:
        raise IrrepnetError(f"{folder}: none of its weights fits this network; take a run of the same model")
    network.load_state_dict({**state, **taken})
    digest = hashlib.sha256((run.folder / "model.safetensors").read_bytes()).hexdigest()
    return {"run": str(folder), "sha256": digest, "taken": number, "weights": sum(learned.values())}
