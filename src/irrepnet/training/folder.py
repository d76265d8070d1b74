"""The files of a run folder: checked on opening, replaced whole on writing."""

import csv
import importlib.metadata
import io
import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from irrepnet import __version__, compiled
from irrepnet.errors import IrrepnetError
from irrepnet.tasks import Examples, RunConfig, Source
from irrepnet.tasks.task import reason_counts
from irrepnet.training.checkpoint import write_json, write_text
from irrepnet.training.config import load_config
from irrepnet.training.log import Log

LIBRARIES = ("numpy", "scipy", "torch", "safetensors", "pymatgen", "pymatgen-core", "moyopy", "vesin", "pydantic")


def open_folder(out: Path, config: RunConfig, resume: bool, log: Log) -> None:
    """Make the run folder, or check that the run in it is this one.

    Raises:
        IrrepnetError: ``out`` is a file, holds a run and ``resume`` is false, or holds another run.
    """
    path = out / "config.yaml"
    if out.exists() and not out.is_dir():
        raise IrrepnetError(f"{out}: is a file; give a folder for the run")
    if path.exists() and not resume:
        raise IrrepnetError(f"{out}: holds a run already; go on with --resume, or choose another folder")
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
    out.mkdir(parents=True, exist_ok=True)
    log.keep(out / "log.txt")
    now = versions(config.training.threads)
    if saved and (out / "versions.json").exists():
        before = json.loads((out / "versions.json").read_text(encoding="utf-8"))
        changed = [f"{key} {before.get(key)} → {value}" for key, value in now.items() if before.get(key) != value]
        if changed:
            log.line(f"warning: not what the run began with, so bits may differ: {', '.join(changed)}")
    else:
        write_json(out / "versions.json", now)
    if not saved:
        write_text(path, config.to_yaml())


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
    path = out / "data.json"
    if path.exists() and json.loads(path.read_text(encoding="utf-8"))["hash"] != source.hash:
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
    write_text(out / "rejected.csv", csv_text(("id", "reason"), ((r.id, r.reason) for r in rejections)))
    if notes:
        write_text(out / "notes.csv", csv_text(("id", "note"), notes))
    failures = [
        (r.id, *line.partition(": ")[::2]) for r, lines in zip(examples.records, examples.failures) for line in lines
    ]
    if failures:
        write_text(out / "failures.csv", csv_text(("id", "site", "reason"), failures))
    parts = {name: [examples.records[k] for k in part] for name, part in split.items()}
    write_json(
        out / "split.json",
        {name: {"id": [r.id for r in part], "formula": [r.formula for r in part]} for name, part in parts.items()},
    )
    write_json(out / "data.json", description)
    return description


def write_history(path: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """metrics.csv, one row an epoch."""
    write_text(path, csv_text(history[0], (row.values() for row in history)))


def write_predictions(out: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """predictions_test.csv."""
    write_text(out / "predictions_test.csv", csv_text(header, rows))


def csv_text(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """A table as text; unknown values are empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow("" if value is None or value != value else value for value in row)
    return stream.getvalue()
