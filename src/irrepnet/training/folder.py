"""The files of a run folder: checked on opening."""

import importlib.metadata
import os
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from irrepnet import __version__, compiled
from irrepnet.errors import IrrepnetError
from irrepnet.files import LOCK, write_text
from irrepnet.tasks import Examples, RunConfig, Source
from irrepnet.tasks.task import reason_counts
from irrepnet.training.config import load_config
from irrepnet.training.files import CARD, csv_text, json_text, read_mapping, sha256_of, write_json
from irrepnet.training.load import CONFIG, SPLIT
from irrepnet.training.log import Log

LIBRARIES = ("numpy", "scipy", "torch", "safetensors", "pymatgen", "pymatgen-core", "moyopy", "vesin", "pydantic")


LOG = "log.txt"
VERSIONS, DATA, REJECTED = "versions.json", "data.json", "rejected.csv"
METRICS, START, CHECKPOINT = "metrics.json", "start.json", "checkpoint.safetensors"


def is_finished_run(out: Path) -> bool:
    """Whether the folder holds all that a run ends with: the card is written last."""
    return (out / CARD).exists() and (out / METRICS).exists()


def forget(out: Path, made: bool) -> None:
    """Take away what :func:`open_folder` and the reading of the data have written of a new run."""
    for name in (CONFIG, VERSIONS, LOG, DATA, REJECTED, SPLIT, "notes.csv", "failures.csv", START, LOCK):
        (out / name).unlink(missing_ok=True)
    if made:
        with suppress(OSError):
            out.rmdir()


def open_folder(out: Path, config: RunConfig, resume: bool, log: Log) -> bool:
    """Check that the run in the folder is this one, or begin one; returns whether it is new.

    Raises:
        IrrepnetError: it holds a run and ``resume`` is false, another run, or files that are of none.
    """
    path = out / CONFIG
    if path.exists() and not resume:
        raise IrrepnetError(f"{out}: holds a run already; go on with --resume, or choose another folder")
    for part in out.glob("*.part"):
        part.unlink()  # of a file that was being written when a process was killed
    foreign = sorted(entry.name for entry in out.iterdir() if entry.name != LOG and not entry.name.startswith("."))
    if not path.exists() and foreign:
        its = foreign[0] + (f" and {len(foreign) - 1} more" if len(foreign) > 1 else "")
        what = "a run without its config.yaml" if {CARD, CHECKPOINT, VERSIONS} & {*foreign} else "files"
        raise IrrepnetError(
            f"{out}: holds {what} ({its}), which a new run would overwrite; "
            + ("put config.yaml back, or " if what != "files" else "")
            + "choose an empty or a new folder"
        )
    saved = load_config(path) if path.exists() else None
    if saved:
        old, new = _flat(saved), _flat(config)
        differences = [
            f"{key} is {old.get(key)} there and {new.get(key)} here"
            for key in {**old, **new}
            if old.get(key) != new.get(key)
        ]
        if differences:
            raise IrrepnetError(
                f"{out}: a resumed run keeps its configuration (one learning-rate cycle spans the run), but "
                f"{'; '.join(differences)}; start a new run in another folder"
            )
    elif resume:
        log.line(f"{out}: no run to resume; starting one")
    log.keep(out / LOG)
    if not saved:
        write_text(path, config.to_yaml())
    now = versions(config.training.threads)
    if saved and (out / VERSIONS).exists():
        before = read_mapping(out / VERSIONS)
        changed = [f"{key} {before.get(key)} → {value}" for key, value in now.items() if before.get(key) != value]
        if changed:
            log.line(f"warning: not what the run began with, so bits may differ: {', '.join(changed)}")
    else:
        write_json(out / VERSIONS, now)
    return saved is None


def _flat(config: RunConfig) -> dict[str, Any]:
    """Values by dotted key, without those that change nothing: the data are compared by their hash."""
    sections = config.model_dump(mode="json")
    return {"task": sections.pop("task"), "start": sections.pop("start")} | {
        f"{section}.{key}": value
        for section, values in sections.items()
        for key, value in values.items()
        if (section, key) not in {("data", "source"), ("data", "parent"), ("data", "workers")}
    }


def check_hash(out: Path, source: Source) -> None:
    """Raise IrrepnetError when the run in ``out`` was begun with other data."""
    path = out / DATA
    if path.exists() and read_mapping(path).get("hash") != source.hash:
        raise IrrepnetError(f"{source.name}: not the data of the run in {out} (another hash); start a new run")


def versions(threads: int) -> dict[str, Any]:
    """What the bits of a run depend on besides its configuration and data."""
    return {
        "irrepnet": __version__,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in LIBRARIES},
        "system": platform.platform(),
        "processor": platform.machine(),
        "cpus": os.cpu_count(),
        "threads": threads,
        "kernels": compiled.state(),
    }


def write_data(out: Path, source: Source, examples: Examples, split: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """data.json, rejected.csv, split.json and, if there is any, notes.csv and failures.csv.

    Returns what data.json says.
    """
    rejections = source.rejections + examples.rejections
    notes = [(record.id, note) for record in examples.records for note in getattr(record, "notes", ())]
    reasons = reason_counts(rejections)
    description = {
        "source": source.name,
        "hash": source.hash,
        "read": len(source.records),
        "used": sum(map(len, split.values())),
        **{name: len(part) for name, part in split.items()},
        "rejected": len(rejections),
        "reasons": dict(reasons[:20]),
        "other_reasons": sum(count for _, count in reasons[20:]),
        "noted": len({id for id, _ in notes}),
        "failed_sites": sum(map(len, examples.failures)),
        "licence": source.licence,
    }
    write_text(out / REJECTED, csv_text(("id", "reason"), ((r.id, r.reason) for r in rejections)))
    if notes:
        write_text(out / "notes.csv", csv_text(("id", "note"), notes))
    failures = [
        (r.id, *line.partition(": ")[::2]) for r, lines in zip(examples.records, examples.failures) for line in lines
    ]
    if failures:
        write_text(out / "failures.csv", csv_text(("id", "site", "reason"), failures))
    parts = {name: [examples.records[k] for k in part] for name, part in split.items()}
    write_json(
        out / SPLIT,
        {name: {"id": [r.id for r in part], "formula": [r.formula for r in part]} for name, part in parts.items()},
    )
    write_json(out / DATA, description)
    return description


def identity(config: RunConfig, out: Path, member: int) -> str:
    """A word for what a checkpoint depends on: configuration, data, split, first weights, and which network it is."""
    files = [sha256_of((out / name).read_bytes()) for name in (SPLIT, START) if (out / name).exists()]
    return sha256_of(json_text([_flat(config), read_mapping(out / DATA)["hash"], files, member]).encode())


def write_history(path: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """metrics.csv, one row an epoch."""
    write_text(path, csv_text(history[0], (row.values() for row in history)))


def write_predictions(out: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """predictions_test.csv."""
    write_text(out / "predictions_test.csv", csv_text(header, rows))
