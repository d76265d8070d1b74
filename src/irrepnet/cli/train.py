"""`irrepnet train`, `evaluate` and `predict`."""

import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from irrepnet.cli.options import Device, Json, Run, Runs, finished
from irrepnet.cli.printing import leave, plain_console, print_json, say
from irrepnet.errors import IrrepnetError

if TYPE_CHECKING:
    from irrepnet.tasks.targets import Target

Data = Annotated[
    str | None,
    typer.Option(help="What to learn from: an embedded set, or any file or folder that `irrepnet data list` names."),
]
Assignments = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Set any key, e.g. model.channels=64.")
]
Out = Annotated[Path, typer.Option("--out", "-o", help="The run folder to write.")]
Preset = Annotated[
    str, typer.Argument(metavar="CONFIG", help="A preset (point-group, site-symmetry, energy, …) or a YAML file.")
]
Targets = Annotated[list[str] | None, typer.Option(help="Property to learn; several: repeat, or separate by commas.")]
Epochs = Annotated[int | None, typer.Option(help="Passes over the training split.")]
Seed = Annotated[int | None, typer.Option(help="Of weights and order; the split has its own seed.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")]
Split = Annotated[
    str, typer.Option(help="auto (test split of the run's own data, else all), all, train, validation or test.")
]


def train(
    out: Out,
    config: Annotated[
        str | None,
        typer.Argument(
            metavar="CONFIG",
            help="A preset (point-group, site-symmetry, energy, …) or a YAML file; with --from the run's network "
            "where there is none.",
        ),
    ] = None,
    data: Data = None,
    target: Targets = None,
    assignments: Assignments = None,
    epochs: Epochs = None,
    seed: Seed = None,
    start: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="RUN", callback=finished, help="A finished run with whose weights this one begins."
        ),
    ] = None,
    resume: Resume = False,
) -> None:
    """Train a network and write a run folder with the model, its errors, pictures and a page.

    Learned are numbers, classes and tensors of crystals, values of sites (site-symmetry), energies with forces and
    stress (energy), or Hamiltonians (hamiltonian).
    """
    document: Any = config
    if config is None:
        if start is None:
            raise IrrepnetError("give a preset or a YAML file, or a run to begin with by --from")
        from irrepnet.training import configuration_from

        document = configuration_from(start)
    flags = {
        "start": None if start is None else str(start),
        "data.source": data,
        "data.targets": ",".join(target) if target else None,
        "training.epochs": epochs,
        "training.seed": seed,
    }
    run_training(document, out, flags, assignments, resume)


def config(
    config: Preset,
    data: Data = None,
    target: Targets = None,
    assignments: Assignments = None,
) -> None:
    """Print a whole configuration with what each key means: a file to change, and to give to `irrepnet train`."""
    from irrepnet.training import load_config
    from irrepnet.training.commented import commented
    from irrepnet.training.config import preset_task

    flags = {"data.source": data, "data.targets": ",".join(target) if target else None}
    examples = {
        "properties": {"data.targets": "name_of_a_property"},
        "sites": {"data.targets": "born_charges"},
        "energies": {"data.parent": "your-crystal.cif"},
    }
    to_fill = {"data.source": "your-data.jsonl"} | examples.get(preset_task(config), {})
    typer.echo(commented(load_config(config, to_fill | overrides_of(flags, assignments))), nl=False)


def run_training(config: Any, out: Path, flags: dict[str, Any], assignments: list[str] | None, resume: bool) -> None:
    """Train with what `load_config` takes and what the command line says besides; None for what it does not say."""
    from irrepnet.training import load_config

    settings = load_config(config, overrides_of(flags, assignments))
    from irrepnet.report import write_report
    from irrepnet.training import train as train_run
    from irrepnet.training.ranks import is_first

    try:
        train_run(settings, out, resume=resume)
        if not is_first():
            return
        page = write_report(out)
    except KeyboardInterrupt as stopped:
        again = f"irrepnet train {out / 'config.yaml'} --out {out} --resume"
        stopped.args = (f"stopped; nothing but the epoch under way is lost. Go on with:\n  {again}",)
        raise
    say(f"report: {page}", err=True)


def overrides_of(flags: dict[str, Any], assignments: list[str] | None) -> dict[str, Any]:
    """What the command line says of a configuration, by dotted key; flags that are None say nothing."""
    from irrepnet.training import parse_assignment

    overrides: dict[str, Any] = dict(parse_assignment(text) for text in assignments or [])
    return overrides | {key: value for key, value in flags.items() if value is not None}


def evaluate(
    run: Run,
    data: Annotated[str | None, typer.Option(help="The data; the run's own by default.")] = None,
    target: Annotated[str | None, typer.Option(help="The target; the run's only one by default.")] = None,
    split: Split = "auto",
    device: Device = "cpu",
    json_: Json = False,
) -> None:
    """Print the errors of a trained network on crystals with known values."""
    from irrepnet.training import evaluate as evaluate_run
    from irrepnet.training import load_run

    result = evaluate_run(load_run(run, device), data, target, split)  # pyright: ignore[reportArgumentType] (checked there)
    if json_:
        print_json(result)
        return
    from rich.table import Table

    table = Table("", "", show_header=False, box=None)
    for key, value in result.items():
        if key != "rejections":
            text = "–" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
            table.add_row(key.replace("_", " "), text)
    plain_console().print(table)


def predict(
    run: Runs,
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILES", help="Structure files, JSON lines, folders, patterns; or -."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Write a file: .csv, .parquet, .json or .jsonl; with all a folder of CSV files."
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, max=1024, help="Processes; they pay from some ten thousand structures on.")
    ] = 1,
    device: Device = "cpu",
    json_: Json = False,
) -> None:
    """Predict properties of structures; those that cannot be predicted are listed with the reason.

    After ± stands what the error does not exceed for nine of ten crystals like those of the training, and wider where
    the crystal is far from them; for tensors the Frobenius norm of the error, for sites its mean over atoms and
    components.

    Exit code 0: all are predicted; 1: some are not; 2: none is.
    """
    from irrepnet.training import load_run
    from irrepnet.training.predictions import PredictionFile
    from irrepnet.training.use import stream_predictions
    from irrepnet.training.where import for_any_crystal

    documents, total, rejected = {}, 0, 0
    for name in for_any_crystal() if run == "all" else [run]:
        trained = load_run(name, device)
        table, count, predicted, kept, start = None, 0, 0, [], time.monotonic()
        if out is not None:
            if run == "all":
                _make_folder(out)
            table = PredictionFile(out / f"{name}.csv" if run == "all" else out, trained.targets)
        with table or nullcontext():
            for rows in stream_predictions(trained, files, workers):
                if count:
                    rate = count / (time.monotonic() - start)
                    say(f"{count} structures, {rate:.0f} a second", err=True)
                count += len(rows)
                predicted += sum(row[trained.targets[0].name] is not None for row in rows)
                if table is not None:
                    table.write(rows)
                if json_:
                    kept += rows
                elif table is None:
                    for row in rows:
                        say(_line(row, trained.targets))
        if table is not None:
            say(f"{table.path}: {predicted} predicted, {count - predicted} rejected", err=True)
        total, rejected = total + predicted, rejected + count - predicted
        units = {target.name: target.value_unit for target in trained.targets}
        documents[name] = {"n": predicted, "rejected": count - predicted, "units": units, "predictions": kept}
    if json_:
        print_json(documents if run == "all" else documents[run])
    if not total:
        raise IrrepnetError("none of the structures could be predicted; see the notes for the reasons")
    leave(total, rejected)


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise IrrepnetError(f"{path}: cannot be made a folder ({error.strerror}); give another name") from None


def models(json_: Json = False) -> None:
    """List the models that come with the package: `predict`, `evaluate` and `train --from` take their names."""
    from irrepnet.training.where import card_of, shipped

    cards = {name: card_of(name) for name in shipped()}
    if json_:
        print_json(cards)
        return
    from irrepnet.cli.printing import print_table

    rows = []
    for name, card in cards.items():
        for target in card["targets"]:
            errors = card["errors"]["test"][target["name"]]
            key = next(key for key in ("mae", "frobenius", "auc", "valence") if key in errors)
            rows.append([name, target["name"], target["unit"], f"{key} {errors[key]:.3g}", str(card["data"]["train"])])
    print_table("models", ["name", "target", "unit", "test error", "crystals"], rows)


def _line(row: dict[str, Any], targets: Sequence["Target"]) -> str:
    """A prediction as one reads it."""
    if row[targets[0].name] is None:
        return f"{row['file']}: rejected: {row['note']}"
    words = []
    for target in targets:
        word = target.in_words(row[target.name])
        if (bound := row.get(f"{target.name}_bound")) is not None:
            of_value = target.unit == target.value_unit
            word += f" ± {bound:.2g}" if of_value else f", {target.headline[1]} below {bound:.2g} {target.unit}"
        if (spread := row.get(f"{target.name}_spread")) is not None:
            word += f" (networks differ by {spread:.2g})"
        words.append(word)
    if row.get("nearest"):
        words.append("near " + ", ".join(dict.fromkeys(near["formula"] for near in row["nearest"])))
    note = f"  ({row['note']})" if row["note"] else ""
    return f"{row['file']}: {row['formula']}  {', '.join(words)}{note}"
