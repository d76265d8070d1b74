"""A run, from its configuration to a folder with the model, its errors and how it came about.

    read the data → prepare graphs → split by formula → fit (loop.py) → test once → write the result

Files of a run folder:

    config.yaml             the whole configuration; ``irrepnet train config.yaml --out FOLDER --resume`` goes
    on versions.json           irrepnet, Python, libraries, machine
    data.json               source, hash, counts, reasons of rejections
    rejected.csv            id and reason of every crystal left out
    failures.csv            only if there are any: sites on which a descriptor failed
    split.json              ids and formulas of the training, validation and test crystals
    checkpoint.safetensors  only while training: the state after the last whole epoch
    metrics.csv             one row an epoch
    predictions_test.csv    true and predicted values of the test split
    model.safetensors       the weights
    model.json              the card: network, targets with units, domain, data, errors
    metrics.json            the result; its presence marks a finished run
    log.txt                 what was said
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save

from irrepnet import __version__
from irrepnet.data import split_by_formula
from irrepnet.errors import IrrepnetError
from irrepnet.training.checkpoint import State, replacing, write_json
from irrepnet.training.config import RunConfig
from irrepnet.training.dataset import Prepared, prepare_records, read_source
from irrepnet.training.folder import check_hash, open_folder, write_data, write_history, write_predictions
from irrepnet.training.load import FORMAT, Run, load_run, network
from irrepnet.training.log import Log, duration
from irrepnet.training.loop import batches, fit, predict_batches, threads
from irrepnet.training.metrics import Metrics
from irrepnet.training.targets import AnyTarget, columns, fit_targets


def train(config: RunConfig, out: str | Path, resume: bool = False, quiet: bool = False) -> Run:
    """Train a network and write its run folder.

    The same configuration, data, library versions and machine give the same bits on the CPU, whether or not
    the run was interrupted, at whatever moment, and resumed.

    Args:
        config: see :func:`irrepnet.training.load_config`.
        out: the run folder; created if need be.
        resume: go on with the run in ``out`` if there is one. A finished run is only loaded.
        quiet: say nothing on standard error; log.txt is written all the same.

    Returns:
        The finished run.

    Raises:
        IrrepnetError: ``out`` holds a run and ``resume`` is false, or another configuration or other data;
            the data
            cannot be used; the training diverges.
    """
    out = Path(out)
    log = Log(quiet)
    open_folder(out, config, resume, log)
    if (out / "metrics.json").exists():
        log.line(f"{out}: this run is finished")
        return load_run(out)
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())), threads(config.training.threads):
        _train(config, out, log)
    return load_run(out)


def _train(config: RunConfig, out: Path, log: Log) -> None:
    device = _device(config.training.device)
    options, names = config.data, config.data.targets

    source = read_source(options.source)
    check_hash(out, source)
    log.line(f"{source.name}: {len(source.records)} crystals read, {len(source.rejections)} unreadable")
    data = prepare_records(source.name, source.records, names, config, log)
    split = split_by_formula([record.formula for record in data.records], options.split, options.split_seed)
    targets = fit_targets(names, data.values[split["train"]], options)
    description = write_data(out, source, data, split)
    log.line(f"{len(data)} crystals in use: " + ", ".join(f"{len(part)} {name}" for name, part in split.items()))

    torch.manual_seed(config.training.seed)
    model = network(config, targets).to(device)
    log.line(f"{config.model.name} network, {_size(model)} parameters, on {_device_name(device)}")
    state = _fit(config, model, targets, data, split, out, log)

    model.load_state_dict(state.best)
    validation = _predict(model, targets, data, split["validation"])
    test = _predict(model, targets, data, split["test"])
    errors = {
        "validation": _errors(targets, data.values[split["validation"]], validation),
        "test": _errors(targets, data.values[split["test"]], test),
    }
    write_predictions(out, data, split["test"], targets, test)
    with replacing(out / "model.safetensors") as part:
        part.write_bytes(save({name: tensor.cpu().contiguous() for name, tensor in state.best.items()}))
    card = {
        "format": FORMAT,
        "irrepnet": __version__,
        "config": config.model_dump(mode="json"),
        "targets": [vars(target) for target in targets],
        "domain": {
            "point_groups": options.point_groups or _all_groups(config),
            "elements": sorted({symbol for k in split["train"] for symbol in data.records[k].species}),
        },
        "data": description,
        "errors": errors,
    }
    write_json(out / "model.json", card)
    metrics = {
        "best_epoch": state.best_epoch,
        "epochs": state.epoch,
        "parameters": _size(model),
        "seconds_per_epoch": float(np.mean([row["seconds"] for row in state.history])),
        "crystals_per_second": float(np.mean([row["crystals_per_second"] for row in state.history])),
        "peak_memory_mb": _peak_memory(),
        "device": _device_name(device),
        "units": {target.name: target.unit for target in targets},
        **errors,
    }
    write_json(out / "metrics.json", metrics)
    (out / "checkpoint.safetensors").unlink()
    log.line(f"done in {duration(sum(row['seconds'] for row in state.history))}; best epoch {state.best_epoch}")
    for target in targets:
        log.line(f"test split, {target.name}: {_in_words(target, errors['test'][target.name])}")


def _fit(
    config: RunConfig,
    model: torch.nn.Module,
    targets: Sequence[AnyTarget],
    data: Prepared,
    split: Mapping[str, np.ndarray],
    out: Path,
    log: Log,
) -> State:
    """Train from the checkpoint, if there is one, to the last epoch."""
    state = State.start(model, config.training.weight_decay)
    checkpoint = out / "checkpoint.safetensors"
    if checkpoint.exists():
        state.load(checkpoint)
        log.line(f"resuming after epoch {state.epoch}")
    train, validation = data.examples(split["train"]), data.examples(split["validation"])

    def report(state: State) -> None:
        write_history(out, state.history)
        log.line(_epoch_line(state, config.training.epochs, targets))

    with log.progress("training", len(train) * config.training.epochs, len(train) * state.epoch) as advance:
        fit(state, targets, train, validation, config.training, checkpoint, advance, report)
    return state


def _predict(model: torch.nn.Module, targets: Sequence[AnyTarget], data: Prepared, part: np.ndarray) -> np.ndarray:
    """(n, W) predictions in the targets' units."""
    device = next(model.parameters()).device
    outputs = predict_batches(model, batches([data.graphs[k] for k in part], device))
    for target, own in zip(targets, columns(targets)):
        outputs[:, own] = target.decode(outputs[:, own])
    return outputs


def _errors(targets: Sequence[AnyTarget], true: np.ndarray, predicted: np.ndarray) -> dict[str, Metrics]:
    return {t.name: t.metrics(true[:, own], predicted[:, own]) for t, own in zip(targets, columns(targets))}


def _in_words(target: AnyTarget, errors: Metrics) -> str:
    figures = ", ".join(
        f"{key.replace('_', ' ')} {value:.4g}" for key, value in errors.items() if key != "n" and value is not None
    )
    unit = f" ({target.unit})" if target.unit else ""
    return f"{figures}{unit}, {errors['n']} crystals"


def _epoch_line(state: State, epochs: int, targets: Sequence[AnyTarget]) -> str:
    row = state.history[-1]
    parts = [
        f"epoch {row['epoch']:{len(str(epochs))}d}/{epochs}",
        f"loss {row['train_loss']:.4f}",
        f"validation {row['validation_loss']:.4f}",
    ]
    for target in targets:
        key, figure = target.headline
        value = row[f"validation_{target.name}_{key}"]
        if value is not None:
            parts.append(f"{target.name} {figure} {value:.4f} {target.unit}".rstrip())
    left = float(np.mean([row["seconds"] for row in state.history[-5:]])) * (epochs - row["epoch"])
    parts += [f"{row['crystals_per_second']:.0f} crystals/s", f"{duration(left)} left"]
    return "  ".join(parts) + ("  best" if row["best"] else "")


def _all_groups(config: RunConfig) -> str:
    """The point groups that are admitted when none is named, in words."""
    group = getattr(config.model, "group", "auto")
    return "all" if group == "auto" else f"all subgroups of {group}"


def _device(name: str) -> torch.device:
    """Where to train; a request that cannot be met is an error, never a silent fallback."""
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise IrrepnetError("training.device: PyTorch finds no CUDA device; use cpu or auto")
    return torch.device("cuda" if available and name != "cpu" else "cpu")


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
