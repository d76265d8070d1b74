"""A trained network put to use: its errors on data with known values, and its predictions for structures."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import chain, islice
from os import PathLike
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from irrepnet.data import Rejection, is_crystal
from irrepnet.errors import IrrepnetError
from irrepnet.tasks.task import device_of
from irrepnet.training.files import AGAIN, as_table, file_of
from irrepnet.training.folder import REJECTED
from irrepnet.training.load import Run, load_run
from irrepnet.training.log import Log
from irrepnet.training.loop import threads
from irrepnet.workers import in_processes

AT_A_TIME = 4096
"""Crystals that a prediction holds in memory."""
Split = Literal["auto", "all", "train", "validation", "test"]


def evaluate(
    run: Run | str | Path,
    source: Any = None,
    target: str | None = None,
    split: Split = "auto",
    quiet: bool = False,
) -> dict[str, Any]:
    """The errors of a run's predictions for one target.

    Args:
        run: the run, or its folder.
        source: the data, see :func:`irrepnet.data.read_records`; the run's own when None.
        target: name; the run's only target when None.
        split: which crystals. "auto": the test split when the data are those of the run (same hash), else
            all.
        quiet: no progress on standard error.

    Returns:
        ``target``, ``kind``, ``unit``, ``data``, ``split``, the errors (see :mod:`irrepnet.tasks.metrics`; ``n`` is the
        number of values); where a run has bounds (:mod:`irrepnet.tasks.reliability`), ``coverage``, the share of the
        crystals whose error is within its bound, and ``mean_bound``; ``seen_in_training`` (how many have a formula of
        the training split, or are frames of it), ``failed_sites`` (on how many sites of them a descriptor
        failed), ``rejected`` (how many crystals of the data could not be used) and ``rejections`` (their ``id`` and
        ``reason``).

    Raises:
        IrrepnetError: no such target or split, or none of the crystals can be used.
    """
    run = run if isinstance(run, Run) else load_run(run)
    chosen = run.target(target)
    examples, name, split, rejections = judged_examples(run, source, split, chosen.name, quiet)
    with threads(run.config.training.threads):
        errors = run.task.judge(run.model, examples, np.arange(len(examples))).errors
        trusted = _coverage(run, examples, chosen.name)
    key = run.task.grouped_by
    seen = frozenset(run.split["train"][key])
    return {
        "target": chosen.name,
        "kind": chosen.kind,
        "unit": chosen.unit,
        "data": name,
        "split": split,
        **errors[chosen.name],
        **trusted,
        "seen_in_training": sum(getattr(record, key) in seen for record in examples.records),
        "failed_sites": sum(map(len, examples.failures)),
        "rejected": len(rejections),
        "rejections": [{"id": rejection.id, "reason": rejection.reason} for rejection in rejections],
    }


def _coverage(run: Run, examples: Any, target: str) -> dict[str, Any]:
    """How many of the crystals of known elements are within the bounds of their errors, and the mean of these."""
    reliability, part = run.task.reliability, np.arange(len(examples))
    if reliability is None or target not in reliability.bounds:
        return {}
    features = run.task.features(run.model, examples, part)
    assert features is not None  # for the run has made its own
    own = run.task.deviations(run.model, examples, part)[target]
    bounds = reliability.bound(target, reliability.neighbours(features).distance.mean(1)) * own.size
    has_bound = np.array([not unknown_elements(run, record.formula) for record in examples.records])
    known = np.isfinite(own.error) & has_bound
    if not known.any():
        return {"coverage": None, "mean_bound": None}
    return {"coverage": float((own.error <= bounds)[known].mean()), "mean_bound": float(bounds[known].mean())}


def judged_examples(
    run: Run, source: Any = None, split: Split = "auto", target: str | None = None, quiet: bool = False
) -> tuple[Any, str, Split, list[Rejection]]:
    """The examples on which a run is to be judged; see :func:`evaluate`.

    Returns:
        The examples, the name of the data, the split that was meant, and what could not be used.
    """
    if split not in get_args(Split):
        raise IrrepnetError(f"unknown split {split!r}; choose one of {', '.join(get_args(Split))}")
    own_name = run.config.data.source
    is_named = source is None or isinstance(source, str | Path)
    name = str(source or own_name) if is_named else "given"
    data = run.task.read(name, None if is_named else source)
    own = data.hash == run.card["data"]["hash"]
    if split == "auto":
        split = "test" if own else "all"
    rejections = list(data.rejections)
    if split != "all":
        if not own:
            raise IrrepnetError(f"{data.name}: not the data of this run, so it has no {split} split; use --split all")
        ids = set(run.split[split]["id"])
        if not ids:
            raise IrrepnetError(f"{run.folder}: the {split} split has no crystals")
        data = replace(data, records=[record for record in data.records if record.id in ids])
        rejections = _rejected(run)
    examples = run.task.prepare(data, Log(quiet), [target] if target else None)
    return examples, data.name, split, rejections + examples.rejections


def _rejected(run: Run) -> list[Rejection]:
    """What the run left out of its data."""
    path = run.folder / REJECTED
    rows = as_table(path, file_of(run.folder, run.card, REJECTED))
    if any(not row.keys() >= {"id", "reason"} for row in rows):
        raise IrrepnetError(f"{path}: damaged (id and reason were expected); {AGAIN}")
    return [Rejection(row["id"], row["reason"]) for row in rows]


def predict(run: Run | str | Path, files: Any) -> list[dict[str, Any]]:
    """Predictions for structures; what cannot be predicted is listed with the reason.

    Args:
        run: the run, or its folder.
        files: a structure file (CIF, POSCAR, extended XYZ, JSON) or anything else that
            :func:`irrepnet.data.read_records` reads: a folder, a pattern, "-" for standard input, a pymatgen Structure,
            ASE Atoms, a Record, a DataFrame; or a list, a column of a DataFrame or an iterator of these.

    Returns:
        One mapping a structure: ``file``, ``id``, ``formula``; for every target its name and the value in its
        unit, or None when there is no prediction; and ``note``: why there is none, or what to know about it. A tensor
        is Voigt's array, 3×3 for rank 2, in the axes of the input; values of sites are those of every atom of the
        input, in its order and axes.
    """
    return [row for rows in stream_predictions(run, files) for row in rows]


def stream_predictions(run: Run | str | Path, files: Any, workers: int = 1) -> Iterator[list[dict[str, Any]]]:
    """The same, some thousand structures at a time: no more of them are in memory, if the files are read one crystal
    after the other, as JSON lines are.

    Args:
        run, files: as for :func:`predict`.
        workers: processes that predict, each with a model of its own; one more reads and hands out.

    Raises:
        IrrepnetError: as for :func:`predict`, or a process died.
    """
    run = run if isinstance(run, Run) else load_run(run)
    items = run.task.items(files if _are_several(files) else [files])
    parts = iter(lambda: list(islice(items, AT_A_TIME)), [])
    ahead = list(islice(parts, 2)) if workers > 1 else []
    if len(ahead) < 2:
        yield from (_rows(run, part) for part in chain(ahead, parts))
        return
    at = run.folder, device_of(run.model).type
    jobs = ((*at, part) for part in chain(ahead, parts))
    died = "a process that predicts died, perhaps for want of memory; take fewer workers"
    yield from in_processes(_rows_of, jobs, workers, died, workers + 1)


def _are_several(files: Any) -> bool:
    is_one = isinstance(files, str | bytes | PathLike) or is_crystal(files) or hasattr(files, "columns")
    return isinstance(files, Iterable) and not is_one


def _rows(run: Run, part: Sequence[Any]) -> list[dict[str, Any]]:
    with threads(run.config.training.threads):
        return told(run, run.task.predict(run.model, part, Log(quiet=True)))


def _rows_of(folder: Path, device: str, part: Sequence[Any]) -> list[dict[str, Any]]:
    """The same in a process of its own, which reads the run once."""
    return _rows(_run_in(folder, device), part)


@cache
def _run_in(folder: Path, device: str) -> Run:
    return load_run(folder, device)


def told(run: Run, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of predictions with the names of the nearest crystals and with notes.

    There is no bound for a crystal with an element that no training crystal has: how far off the network is there
    no validation crystal can tell.
    """
    known = run.split["train"] if run.task.reliability is not None else {}
    for row in rows:
        _without_what_is_not_finite(run, row)
        if row.get("nearest"):
            row["nearest"] = [
                {"id": known["id"][k], "formula": known["formula"][k], "distance": distance}
                for k, distance in row["nearest"]
            ]
        if row["formula"] and any(row[target.name] is not None for target in run.targets):
            row["note"] = "; ".join([*notes(run, row["formula"]), *filter(None, [row["note"]])])
            if unknown_elements(run, row["formula"]):
                row |= {key: None for target in run.targets if (key := f"{target.name}_bound") in row}
    return rows


def _without_what_is_not_finite(run: Run, row: dict[str, Any]) -> None:
    """Take away predictions that are no numbers, and say so in the note."""
    for target in run.targets:
        value = row[target.name]
        cells = [] if value is None else [cell for own in target.rows(value) for cell in own if cell is not None]
        if not np.isfinite(np.array(cells, float)).all():
            row[target.name] = None
            row["note"] = "; ".join(
                filter(None, [row["note"], f"{target.name}: the network gave no finite number, so there is none"])
            )
        for key in (f"{target.name}_bound", f"{target.name}_spread"):
            if row.get(key) is not None and (row[target.name] is None or not np.isfinite(row[key])):
                row[key] = None


def notes(run: Run, formula: str) -> list[str]:
    """What a reader of a prediction for a crystal should know."""
    found = []
    if run.task.grouped_by == "formula" and formula in run.training_formulas:
        found.append("formula in the training split")
    if unknown := unknown_elements(run, formula):
        found.append(f"no training crystal contains {', '.join(unknown)}")
    return found


def unknown_elements(run: Run, formula: str) -> list[str]:
    """Those of the formula that no training crystal has."""
    from pymatgen.core import Composition

    return sorted({element.symbol for element in Composition(formula)} - set(run.card["domain"]["elements"]))
