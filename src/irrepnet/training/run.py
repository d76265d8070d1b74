"""A run, from its configuration to a folder with the model, its errors and how it came about.

    read the data → prepare examples → split → fit (loop.py) → test once → write the result

What is read, prepared and learned is the task's (:mod:`irrepnet.tasks`); everything else is the same for all of them.

Files of a run folder:

    config.yaml             the whole configuration; ``irrepnet train config.yaml --out FOLDER --resume`` goes on
    versions.json           irrepnet, Python, libraries, machine
    data.json               source, hash, counts, reasons of rejections
    rejected.csv            id and reason of every crystal left out
    notes.csv               id and note of every crystal in use whose file contradicts itself or leaves something open
    failures.csv            only if there are any: sites on which a descriptor failed
    start.json              only if it began with the weights of another run: which, and how many
    split.json              ids and formulas of the training, validation and test crystals
    checkpoint.safetensors  only while training: the state after the last whole epoch
    metrics.csv             one row an epoch; of several members the second has checkpoint-2 and metrics-2
    predictions_test.csv    true and predicted values of the test split, or what was wrong with each prediction
    model.safetensors       the weights
    known.safetensors       where the training crystals are, see irrepnet.tasks.reliability
    metrics.json            the result
    model.json              the card: network, targets with units, domain, data, errors, digests of the other files;
                            it is written last, and its presence marks a finished run
    log.txt                 what was said
    .lock                   only while training: the number of the process that trains

Each is written whole or not at all, and a run that was cut off between two of them goes on.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

from irrepnet import __version__
from irrepnet.crystals.doubts import doubts
from irrepnet.data import Record
from irrepnet.errors import IrrepnetError
from irrepnet.files import locked, write_bytes, write_text
from irrepnet.models import Ensemble
from irrepnet.tasks import Examples, RunConfig, Task, task_class
from irrepnet.training.checkpoint import State
from irrepnet.training.files import CARD, json_text, read_mapping, sealed, write_json
from irrepnet.training.folder import (
    CHECKPOINT,
    DATA,
    METRICS,
    REJECTED,
    START,
    VERSIONS,
    check_hash,
    forget,
    identity,
    is_finished_run,
    open_folder,
    write_data,
    write_history,
    write_predictions,
)
from irrepnet.training.load import CONFIG, FORMAT, KNOWN, SPLIT, WEIGHTS, Run, load_run
from irrepnet.training.log import Log, duration
from irrepnet.training.loop import chosen_device, has_stalled, run_epochs, threads
from irrepnet.training.ranks import Ranks, check_shares, rendezvous
from irrepnet.training.start import take_weights

SHOWN = 5
"""Warnings of one kind that are written out."""
LOOKED_AT = 1000
"""Training crystals whose distances are looked at."""
PREDICTIONS, HISTORY = "predictions_test.csv", "metrics.csv"


def train(
    config: RunConfig,
    out: str | Path,
    resume: bool = False,
    quiet: bool = False,
    data: Any = None,
    on_epoch: Callable[[dict[str, Any]], object] | None = None,
) -> Run:
    """Train a network and write its run folder.

    The same configuration, data, library versions and machine give the same bits on the CPU, whether or not
    the run was interrupted, at whatever moment, and resumed. Where torchrun has started several processes they share
    every batch, see :mod:`irrepnet.training.ranks`.

    Args:
        config: see :func:`irrepnet.training.load_config`.
        out: the run folder; created if need be.
        resume: go on with the run in ``out`` if there is one. A finished run is only loaded.
        quiet: say nothing on standard error; log.txt is written all the same.
        data: what to learn from in place of ``data.source``, which is then only a name: a data frame, or a list of
            structures, see :func:`irrepnet.data.read_records`.
        on_epoch: called after every epoch with its row of metrics.csv, for TensorBoard and the like.

    Returns:
        The finished run.

    Raises:
        IrrepnetError: ``out`` holds a run and ``resume`` is false, or another configuration or other data;
            the data cannot be used; the training diverges; another process trains in ``out``, or it holds foreign
            files; it cannot be written. A new run that fails before the end of its first epoch leaves nothing.
    """
    with rendezvous(config.training.device) as ranks, ranks.folder(Path(out)) as folder:
        log = Log(quiet or ranks.rank > 0)
        try:
            with locked(folder) as made:
                new = open_folder(folder, config, resume, log)
                try:
                    if is_finished_run(folder):
                        log.line(f"{out}: this run is finished")
                    else:
                        rng = torch.random.fork_rng(devices=range(torch.cuda.device_count()))
                        with rng, threads(config.training.threads):
                            _train(task_class(config.task)(config), folder, log, data, ranks, on_epoch)
                    for checkpoint in folder.glob(f"{Path(CHECKPOINT).stem}*"):
                        checkpoint.unlink()
                except IrrepnetError:
                    if new and not (folder / CHECKPOINT).exists():
                        forget(folder, made)  # or it would block the corrected command
                    raise
        except OSError as error:
            where = error.filename or out
            raise IrrepnetError(
                f"{where}: cannot be written ({error.strerror or error}); nothing but the epoch under way is lost: "
                "make room, or let the folder be written to, and go on with --resume"
            ) from None
    return load_run(out)


def build_graphs(config: RunConfig, quiet: bool = False) -> tuple[int, int]:
    """Make and keep what :func:`train` with this configuration reads, see :mod:`irrepnet.data.store`.

    Returns:
        How many crystals are ready, and how many are rejected.

    Raises:
        IrrepnetError: the data cannot be used, or the task's graphs are not kept.
    """
    if config.task != "properties":
        raise IrrepnetError(f"the graphs of {config.task} are not kept, for they are made with their targets: train")
    task = task_class(config.task)(config)
    source = task.read(config.data.source)
    examples = task.prepare(source, Log(quiet))
    return len(examples), len(source.rejections) + len(examples.rejections)


def _train(task: Task, out: Path, log: Log, data: Any, ranks: Ranks, on_epoch: Callable[..., object] | None) -> None:
    config = task.config
    device = chosen_device(config.training.device)

    source = task.read(config.data.source, data)
    check_hash(out, source)
    log.line(f"{source.name}: {len(source.records)} crystals read, {len(source.rejections)} unreadable")
    with ranks.one_before_the_others():
        examples = task.prepare(source, log)
    split = task.split(examples)
    task.fit(examples, split["train"])
    description = write_data(out, source, examples, split)
    log.line(
        f"{description['used']} crystals in use: " + ", ".join(f"{len(part)} {name}" for name, part in split.items())
    )
    if description["noted"]:
        log.line(f"{description['noted']} of them were read with notes, see notes.csv")

    _warn(task, examples, split["train"], log)

    networks, states, start = [], [], {}
    for member in range(config.training.members):
        torch.manual_seed(config.training.seed + member)
        network = task.network().to(device)
        if not member:
            check_shares(config.model.name, network, ranks)
            together = f", {ranks.size} processes together" if ranks.size > 1 else ""
            log.line(f"{config.model.name} network, {_size(network)} parameters, on {_device_name(device)}{together}")
        if config.training.members > 1:
            log.line(f"network {member + 1} of {config.training.members}")
        start = _start(task, network, out, member, log)
        states.append(_fit(task, network, examples, split, out, member, log, ranks, on_epoch))
        network.load_state_dict(states[-1].best)
        networks.append(network)
    network = networks[0] if len(networks) == 1 else Ensemble(networks)
    history = [row for state in states for row in state.history]

    task.finish(network, examples, split)
    validation = task.judge(network, examples, split["validation"])
    test = task.judge(network, examples, split["test"])
    errors = {"validation": validation.errors, "test": test.errors}
    card = {
        "format": FORMAT,
        "irrepnet": __version__,
        "task": task.name,
        "config": config.model_dump(mode="json"),
        **task.card(examples, split["train"]),
        **start,
        "data": description,
        "errors": errors,
    }
    metrics = {
        "best_epoch": states[0].best_epoch,
        "epochs": states[0].epoch,
        "members": len(states),
        "parameters": _size(network),
        "seconds_per_epoch": float(np.mean([row["seconds"] for row in history])),
        "crystals_per_second": float(np.mean([row["crystals_per_second"] for row in history])),
        "peak_memory_mb": _peak_memory(),
        "device": _device_name(device),
        "units": {target.name: target.unit for target in task.targets},
        **errors,
    }
    result = json_text(metrics)  # which fails, if at all, before anything is written
    write_predictions(out, test.header, test.rows)
    weights = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    write_bytes(out / WEIGHTS, save(weights))
    if task.reliability is not None:
        write_bytes(out / KNOWN, task.reliability.written())
    write_text(out / METRICS, result)
    histories = [of_member(HISTORY, member) for member in range(len(states))]
    others = (CONFIG, VERSIONS, DATA, REJECTED, SPLIT, PREDICTIONS, WEIGHTS, KNOWN, METRICS, *histories)
    write_json(out / CARD, sealed(card, out, others))
    best = ", ".join(str(state.best_epoch) for state in states)
    log.line(f"done in {duration(sum(row['seconds'] for row in history))}; best epoch {best}")
    for target in task.targets:
        log.line(f"test split, {target.name}: {_in_words(target.unit, test.errors[target.name])}")


def _warn(task: Task, examples: Examples, train: np.ndarray, log: Log) -> None:
    """Say what is odd about the training examples: values, and the distances in some of the crystals."""
    odd = task.outliers(examples, train)
    for text in odd[:SHOWN]:
        log.line(f"warning: {text}")
    if len(odd) > SHOWN:
        log.line(f"warning: so are {len(odd) - SHOWN} more values")
    records = [examples.records[k] for k in train[:LOOKED_AT]]
    notes: dict[str, list[str]] = {}
    for record in records:
        if isinstance(record, Record):
            for note in doubts(record, getattr(task.config.data, "cutoff", None)):
                kind = "no neighbours within" if note.startswith("no neighbours") else note.partition(";")[2].strip()
                notes.setdefault(kind, []).append(f"{record.id}: {note}")
    for found in notes.values():
        log.line(f"warning: {len(found)} of {len(records)} crystals, such as {found[0]}")


def of_member(name: str, member: int) -> str:
    """The name of a file that each member has one of: the first's, and for the second checkpoint-2.safetensors."""
    stem, dot, suffix = name.partition(".")
    return f"{stem}-{member + 1}{dot}{suffix}" if member else name


def _start(task: Task, network: torch.nn.Module, out: Path, member: int, log: Log) -> dict[str, Any]:
    """Begin with the weights of another run, if the configuration names one and there is no checkpoint yet.

    Returns what the card says of it.
    """
    path = out / START
    if task.config.start is None:
        return {}
    if not (out / of_member(CHECKPOINT, member)).exists():
        found = take_weights(network, task, task.config.start)
        write_json(path, found)
        log.line(f"{found['taken']} of the {found['weights']} weights are those of {found['run']}")
    return {"start": read_mapping(path)}


def _fit(
    task: Task,
    network: torch.nn.Module,
    examples: Examples,
    split: Mapping[str, np.ndarray],
    out: Path,
    member: int,
    log: Log,
    ranks: Ranks,
    on_epoch: Callable[..., object] | None,
) -> State:
    """Train a member from its checkpoint, if there is one, to the last epoch."""
    config = task.config.training
    config = config.model_copy(update={"seed": config.seed + member})
    state = State.start(network, config.weight_decay)
    checkpoint = out / of_member(CHECKPOINT, member)
    run = identity(task.config, out, member)
    history = out / of_member(HISTORY, member)
    if checkpoint.exists():
        state.load(checkpoint, run)
        write_history(history, state.history)  # which may lack the last row
        log.line(f"resuming after epoch {state.epoch}")
    size = len(split["train"])
    learning = task.learning(examples, split, next(network.parameters()).device)

    def report(state: State) -> None:
        write_history(history, state.history)
        log.line(_epoch_line(state, config.epochs, task.targets))
        if on_epoch is not None and not ranks.rank:
            on_epoch(dict(state.history[-1]))
        if has_stalled(state, config):
            log.line(f"no better validation loss for {config.patience} epochs: the training ends")

    with log.progress("training", size * config.epochs, size * state.epoch) as advance:
        run_epochs(state, size, learning, config, checkpoint, advance, report, ranks, run)
    return state


def _in_words(unit: str, errors: Mapping[str, Any]) -> str:
    figures = ", ".join(
        f"{key.replace('_', ' ')} {value:.4g}" for key, value in errors.items() if key != "n" and value is not None
    )
    return f"{figures}{f' ({unit})' if unit else ''}, n = {errors['n']}"


def _epoch_line(state: State, epochs: int, targets: Sequence[Any]) -> str:
    row = state.history[-1]
    parts = [
        f"epoch {row['epoch']:{len(str(epochs))}d}/{epochs}",
        f"loss {row['train_loss']:.4f}",
        f"validation {row['validation_loss']:.4f}",
    ]
    for target in targets:
        key, figure = target.headline
        value = row.get(f"validation_{target.name}_{key}")
        if value is not None:
            parts.append(f"{target.name} {figure} {value:.4f} {target.unit}".rstrip())
    left = float(np.mean([row["seconds"] for row in state.history[-5:]])) * (epochs - row["epoch"])
    parts += [f"{row['crystals_per_second']:.0f} crystals/s", f"{duration(left)} left"]
    return "  ".join(parts) + ("  best" if row["best"] else "")


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "the CPU"


def _size(model: torch.nn.Module) -> int:
    return sum(weights.numel() for weights in model.parameters())


def _peak_memory() -> float | None:
    """The most memory this process has held, MB; None where the system does not say."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS, kB elsewhere
    return round(peak / (1e6 if sys.platform == "darwin" else 1e3), 1)
