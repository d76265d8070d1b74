"""`irrepnet train`, `evaluate` and `predict`."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from irrepnet.errors import IrrepnetError

if TYPE_CHECKING:
    from irrepnet.training.targets import AnyTarget


def train(
    config: Annotated[
        str, typer.Argument(metavar="CONFIG", help="A preset (point-group, covariant, cgcnn, …) or a YAML file.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The run folder to write.")],
    data: Annotated[
        str | None, typer.Option(help="Embedded set, .jsonl(.gz) file, or folder of CIFs with id_prop.csv.")
    ] = None,
    target: Annotated[
        list[str] | None, typer.Option(help="Property to learn; several: repeat, or separate by commas.")
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set any key, e.g. model.channels=64."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training split.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights and order; the split has its own seed.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
) -> None:
    """Train a network on crystals and write a run folder with the model, its errors, pictures and a page."""
    from irrepnet.report import write_report
    from irrepnet.training import load_config, parse_assignment
    from irrepnet.training import train as train_run

    overrides: dict[str, Any] = dict(parse_assignment(text) for text in assignments or [])
    flags = {
        "data.source": data,
        "data.targets": ",".join(target) if target else None,
        "training.epochs": epochs,
        "training.seed": seed,
    }
    overrides |= {key: value for key, value in flags.items() if value is not None}
    settings = load_config(config, overrides)
    try:
        train_run(settings, out, resume=resume)
        page = write_report(out)
    except KeyboardInterrupt:
        again = f"irrepnet train {out / 'config.yaml'} --out {out} --resume"
        typer.echo(f"stopped; nothing but the epoch under way is lost. Go on with:\n  {again}", err=True)
        raise typer.Exit(130) from None
    typer.echo(f"report: {page}", err=True)


def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run folder.")],
    data: Annotated[str | None, typer.Option(help="The data; the run's own by default.")] = None,
    target: Annotated[str | None, typer.Option(help="The target; the run's only one by default.")] = None,
    split: Annotated[
        str,
        typer.Option(help="auto (test split of the run's own data, else all), all, train, validation or test."),
    ] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Print the errors of a trained network on crystals with known values."""
    from irrepnet.training import evaluate as evaluate_run

    result = evaluate_run(run, data, target, split)  # pyright: ignore[reportArgumentType] (checked there)
    if as_json:
        typer.echo(json.dumps(result, allow_nan=False))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("", "", show_header=False, box=None)
    for key, value in result.items():
        if key != "rejections":
            text = "–" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
            table.add_row(key.replace("_", " "), escape(text))
    Console().print(table)


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run folder.")],
    files: Annotated[
        list[Path], typer.Argument(metavar="FILES", help="CIF, POSCAR, extended XYZ, JSON or JSON lines.")
    ],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write a CSV file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Predict properties of structures; those that cannot be predicted are listed with the reason."""
    from irrepnet.training import load_run
    from irrepnet.training import predict as predict_run

    trained = load_run(run)
    rows = predict_run(trained, files)
    predicted = sum(row[trained.targets[0].name] is not None for row in rows)
    if out is not None:
        _write_csv(out, rows, trained.targets)
        typer.echo(f"{out}: {predicted} predicted, {len(rows) - predicted} rejected", err=True)
    if as_json:
        units = {target.name: target.unit for target in trained.targets}
        document = {"n": predicted, "rejected": len(rows) - predicted, "units": units, "predictions": rows}
        typer.echo(json.dumps(document, allow_nan=False))
    elif out is None:
        for row in rows:
            typer.echo(_line(row, trained.targets))
    if not predicted:
        raise IrrepnetError("none of the structures could be predicted; see the notes for the reasons")


def _write_csv(path: Path, rows: list[dict[str, Any]], targets: Sequence["AnyTarget"]) -> None:
    """Rows as a table whose headings name the units, a tensor component by component; a missing value is empty."""
    named = {target.name: target for target in targets}
    try:
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(x for key in rows[0] for x in (named[key].columns if key in named else [key]))
            for row in rows:
                writer.writerow(x for key, v in row.items() for x in (named[key].cells(v) if key in named else [v]))
    except OSError as error:
        raise IrrepnetError(f"{path}: cannot be written ({error.strerror})") from None


def _line(row: dict[str, Any], targets: Sequence["AnyTarget"]) -> str:
    """A prediction as one reads it."""
    if row[targets[0].name] is None:
        return f"{row['file']}: rejected: {row['note']}"
    values = ", ".join(target.in_words(row[target.name]) for target in targets)
    note = f"  ({row['note']})" if row["note"] else ""
    return f"{row['file']}: {row['formula']}  {values}{note}"
