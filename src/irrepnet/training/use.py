"""A trained network put to use: its errors on data with known values, and its predictions for structures."""

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

from irrepnet.data import Record, Rejection, read_records
from irrepnet.errors import IrrepnetError
from irrepnet.training.dataset import make_graphs, prepare_records, read_source
from irrepnet.training.load import Run, load_run
from irrepnet.training.log import Log
from irrepnet.training.targets import columns

Split = Literal["auto", "all", "train", "validation", "test"]


def evaluate(
    run: Run | str | Path,
    source: str | None = None,
    target: str | None = None,
    split: Split = "auto",
    quiet: bool = False,
) -> dict[str, Any]:
    """The errors of a run's predictions for one target.

    Args:
        run: the run, or its folder.
        source: the data; the run's own when None.
        target: name; the run's only target when None.
        split: which crystals. "auto": the test split when the data are those of the run (same hash), else
            all.
        quiet: no progress on standard error.

    Returns:
        ``target``, ``kind``, ``unit``, ``data``, ``split``, the errors (see
        :func:`irrepnet.training.metrics.regression_metrics` and ``classification_metrics``; ``n`` is the
        number of crystals), ``seen_in_training`` (how many of them have a formula of the training split),
        ``failed_sites`` (on how many sites of them a descriptor failed),
        ``rejected`` (how many crystals of the data could not be used) and ``rejections`` (their ``id`` and
        ``reason``).

    Raises:
        IrrepnetError: no such target or split, or none of the crystals can be used.
    """
    run = run if isinstance(run, Run) else load_run(run)
    chosen = run.target(target)
    if split not in get_args(Split):
        raise IrrepnetError(f"unknown split {split!r}; choose one of {', '.join(get_args(Split))}")
    data = read_source(source or run.config.data.source)
    own = data.hash == run.card["data"]["hash"]
    if split == "auto":
        split = "test" if own else "all"
    if split == "all":
        records, rejections = data.records, data.rejections
    elif own:
        ids = set(run.split[split]["id"])
        records, rejections = [record for record in data.records if record.id in ids], _rejected(run)
    else:
        raise IrrepnetError(f"{data.name}: not the data of this run, so it has no {split} split; use --split all")
    prepared = prepare_records(data.name, records, [chosen.name], run.config, Log(quiet))
    rejections = rejections + prepared.rejections
    predicted = run.predict(prepared.graphs)[chosen.name]
    return {
        "target": chosen.name,
        "kind": chosen.kind,
        "unit": chosen.unit,
        "data": data.name,
        "split": split,
        **chosen.metrics(prepared.values[:, columns([chosen])[0]], predicted),
        "seen_in_training": sum(record.formula in run.training_formulas for record in prepared.records),
        "failed_sites": sum(map(len, prepared.failures)),
        "rejected": len(rejections),
        "rejections": [{"id": rejection.id, "reason": rejection.reason} for rejection in rejections],
    }


def _rejected(run: Run) -> list[Rejection]:
    """What the run left out of its data."""
    with (run.folder / "rejected.csv").open(encoding="utf-8", newline="") as stream:
        return [Rejection(row["id"], row["reason"]) for row in csv.DictReader(stream)]


def predict(run: Run | str | Path, files: Sequence[str | Path]) -> list[dict[str, Any]]:
    """Predictions for the structures in files; what cannot be predicted is listed with the reason.

    Args:
        run: the run, or its folder.
        files: structure files (CIF, POSCAR, extended XYZ, JSON), or anything that
            :func:`irrepnet.data.read_records` reads.

    Returns:
        One mapping a structure: ``file``, ``id``, ``formula``; for every target its name and the value in its
        unit (a tensor as Voigt's array, 3×3 for rank 2, in the axes of the input), or None when there is no
        prediction; and ``note``: why there is none, or what to know about it.
    """
    run = run if isinstance(run, Run) else load_run(run)
    nothing = {target.name: None for target in run.targets}
    rows: list[dict[str, Any]] = []
    crystals: list[Record] = []  # their ids are the numbers of the rows: several files may name a crystal alike
    for file in files:
        try:
            records, rejections = read_records(str(file))
        except IrrepnetError as error:
            records, rejections = [], [Rejection("", str(error))]
        for record in records:
            crystals.append(replace(record, id=str(len(rows))))
            rows.append({"file": str(file), "id": record.id, "formula": record.formula, **nothing, "note": ""})
        for rejection in rejections:
            rows.append({"file": str(file), "id": rejection.id, "formula": "", **nothing, "note": rejection.reason})
    made = make_graphs(crystals, run.config, Log(quiet=True))
    for rejection in made.rejections:
        rows[int(rejection.id)]["note"] = rejection.reason
    predicted = run.predict(made.graphs)
    for k, (record, failures) in enumerate(zip(made.records, made.failures)):
        row = rows[int(record.id)]
        row["note"] = _note(run, record, failures)
        row |= {t.name: t.value(predicted[t.name][k], made.frames[k]) for t in run.targets}
    return rows


def _note(run: Run, record: Record, failures: Sequence[str]) -> str:
    """What a reader of the prediction should know."""
    notes = []
    if record.formula in run.training_formulas:
        notes.append("formula in the training split")
    unknown = sorted(set(record.species) - set(run.card["domain"]["elements"]))
    if unknown:
        notes.append(f"no training crystal contains {', '.join(unknown)}")
    notes += [f"no descriptor for {failure}" for failure in failures]
    return "; ".join(notes)
