"""A run as one HTML page that needs nothing else: no network, no other file."""

import base64
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml
from markupsafe import Markup

from irrepnet.errors import IrrepnetError
from irrepnet.files import write_picture, write_text
from irrepnet.outlets import for_html
from irrepnet.report.html import render
from irrepnet.report.plots import learning_curve, parity
from irrepnet.report.results import Results, read_results
from irrepnet.tasks.targets import Target
from irrepnet.training.files import AGAIN
from irrepnet.training.log import duration


def write_report(folder: str | Path) -> Path:
    """Write parity.png, learning_curve.png and report.html into the folder of a finished run.

    Returns:
        The path of report.html.

    Raises:
        IrrepnetError: the folder holds no finished run.
    """
    results = read_results(folder)
    page = results.folder / "report.html"
    try:
        write_picture(parity(results), results.folder / "parity.png")
        write_picture(learning_curve(results), results.folder / "learning_curve.png")
        write_text(page, _page(results))
    except OSError as error:
        raise IrrepnetError(f"{error.filename or folder}: cannot be written ({error.strerror or error})") from None
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        if isinstance(error, IrrepnetError) or "sha256" in results.card:
            raise
        raise IrrepnetError(f"{folder}: its files do not fit together ({error!r}); {AGAIN}") from None
    return page


def _page(results: Results) -> str:
    data, metrics = results.card["data"], results.metrics
    config = results.card["config"]
    document, folder = yaml.safe_dump(config, sort_keys=False), for_html(results.folder)
    names = ", ".join(target.name for target in results.targets)
    sections = [
        f"<p class=lead>{_headline(results)}</p>",
        _picture(results, "parity.png", "Test split: predicted against true values"),
        "<h2>Errors</h2>",
        *(_errors(target, metrics) for target in results.targets),
        _picture(results, "learning_curve.png", "Losses and validation errors by epoch"),
        "<h2>Training</h2>",
        _table(
            [
                ("best epoch", f"{metrics['best_epoch']} of {metrics['epochs']}, by validation loss"),
                ("parameters", f"{metrics['parameters']:,}"),
                ("time an epoch", f"{metrics['seconds_per_epoch']:.2f} s"),
                ("training time", duration(metrics["seconds_per_epoch"] * metrics["epochs"])),
                ("crystals a second", f"{metrics['crystals_per_second']:,.0f}"),
                (
                    "peak memory",
                    "unknown" if (peak := metrics["peak_memory_mb"]) is None else f"{peak:,.0f} MB",
                ),
                ("device", metrics["device"]),
            ]
        ),
        "<h2>Data</h2>",
        _table(
            [
                ("source", data["source"]),
                ("licence", data["licence"] or "not stated"),
                ("crystals read", f"{data['read']:,}"),
                (
                    "in use",
                    f"{data['used']:,}: {data['train']:,} to train, {data['validation']:,} to pick epochs, "
                    f"{data['test']:,} to test; no formula is in two parts",
                ),
                ("sha256", data["hash"]),
            ]
        ),
        _rejections(data),
        _notes(data),
        _failures(data),
        "<h2>Domain</h2>",
        _domain(results.card["domain"]),
        "<h2>Use</h2>",
        f"<pre>irrepnet predict {folder} {'FRAMES.extxyz' if results.card['task'] == 'energies' else 'STRUCTURE.cif'}\n"
        f"irrepnet evaluate {folder} --data FILE --target {for_html(results.targets[0].name)}</pre>",
        "<h2>Configuration</h2>",
        f"<details><summary>config.yaml</summary><pre>{for_html(document)}</pre></details>",
        f"<details><summary>versions</summary>{_table(results.versions.items())}</details>",
    ]
    title = f"{names}: {config['model']['name']} on {Path(data['source']).name}"
    return render("run.html", title, body=Markup("\n".join(sections)))


def _headline(results: Results) -> str:
    return "<br>".join(_sentence(target, results.metrics["test"][target.name]) for target in results.targets)


def _sentence(target: Target, errors: dict[str, Any]) -> str:
    return f"<b>{for_html(target.name)}</b>: {target.sentence(errors)}"


def _errors(target: Target, metrics: dict[str, Any]) -> str:
    unit = f" ({target.unit})" if target.unit else ""
    keys = list(metrics["test"][target.name])
    rows = [["", *(_LABELS.get(key, key.replace("_", " ")) for key in keys)]]
    for part in ("validation", "test"):
        errors = metrics[part][target.name]
        rows.append([part, *(_figure(errors.get(key)) for key in keys)])
    return f"<h3>{for_html(target.name + unit)}</h3>" + _grid(rows)


_LABELS = {
    "n": "values",
    "mae": "MAE",
    "rmse": "RMSE",
    "r2": "R²",
    "mae_of_mean": "MAE of predicting the training mean",
    "frobenius": "Frobenius error",
    "frobenius_of_mean": "Frobenius error of predicting the training mean",
    **{f"ewt{x}": f"share with at most {x} % error" for x in (25, 10, 5)},
    **{f"mae_{name}": f"MAE of {name}" for name in "KGE"},
    "auc": "AUC",
    "accuracy": "accuracy",
    "base_rate": "fraction of true",
}


def _figure(value: float | int | None) -> str:
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _rejections(data: dict[str, Any]) -> str:
    if not data["rejected"]:
        return "<p>No crystal was rejected.</p>"
    rows = [("other reasons", data["other_reasons"])] if data["other_reasons"] else []
    table = _table([*((reason, f"{count:,}") for reason, count in data["reasons"].items()), *rows])
    return (
        f"<details><summary>{data['rejected']:,} crystals were rejected (all of them, with reasons, are in "
        f"rejected.csv)</summary>{table}</details>"
    )


def _notes(data: dict[str, Any]) -> str:
    if not data.get("noted"):
        return ""
    return f"<p>{data['noted']:,} crystals were read with notes, which are in notes.csv.</p>"


def _failures(data: dict[str, Any]) -> str:
    failed = data.get("failed_sites", 0)  # absent in runs of earlier versions
    return f"<p>{failed:,} sites have no descriptor (see failures.csv).</p>" if failed else ""


def _domain(domain: dict[str, Any]) -> str:
    groups, elements = domain["point_groups"], domain["elements"]
    groups = groups if isinstance(groups, str) else ", ".join(groups)
    return _table([("point groups", groups), (f"elements ({len(elements)})", " ".join(elements))])


def _table(rows: Iterable[tuple[str, Any]]) -> str:
    lines = "".join(f"<tr><th>{for_html(key)}</th><td>{for_html(value)}</td></tr>" for key, value in rows)
    return f"<table>{lines}</table>"


def _grid(rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{for_html(cell)}</th>" for cell in rows[0])
    body = "".join(
        f"<tr><th>{for_html(row[0])}</th>{''.join(f'<td>{for_html(cell)}</td>' for cell in row[1:])}</tr>"
        for row in rows[1:]
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _picture(results: Results, name: str, description: str) -> str:
    content = base64.b64encode((results.folder / name).read_bytes()).decode()
    return f'<img alt="{for_html(description)}" src="data:image/png;base64,{content}">'
