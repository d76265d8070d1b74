"""Pictures of a run: predicted against true values, and the errors by epoch."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator, StrMethodFormatter

from irrepnet.outlets import for_picture
from irrepnet.report.results import Results
from irrepnet.tasks.targets import ClassTarget, HamiltonianTarget, Target

BLUE, ORANGE, GREY = "#1f5fa8", "#d9822b", "#8a8f98"


def parity(results: Results) -> Figure:
    """For every target of the test split: predicted against true, the ROC curve of a classification, or the error of
    every crystal where a prediction is no numbers that one could draw."""
    n = len(results.targets)
    bars = any(isinstance(target, HamiltonianTarget) for target in results.targets)
    height = 4.4 if not bars else max(4.4, 1 + 0.2 * len(results.table("predictions_test.csv")))
    figure = Figure(figsize=(4.6 * n, height), layout="constrained")
    for axes, target in zip(np.atleast_1d(figure.subplots(1, n)), results.targets):
        errors = results.metrics["test"][target.name]
        if isinstance(target, HamiltonianTarget):
            _bars(axes, target, results, errors)
            continue
        true, predicted = results.predictions(target)
        (_roc if isinstance(target, ClassTarget) else _scatter)(axes, target, true, predicted, errors)
    return figure


def learning_curve(results: Results) -> Figure:
    """The losses and every target's validation error by epoch; a line marks the epoch that was kept."""
    history = results.history
    targets = [t for t in results.targets if f"validation_{t.name}_{t.headline[0]}" in history]
    n = 1 + len(targets)
    figure = Figure(figsize=(4.6 * n, 3.6), layout="constrained")
    first, *others = np.atleast_1d(figure.subplots(1, n))
    first.plot(history["epoch"], history["train_loss"], color=GREY, label="training")
    first.plot(history["epoch"], history["validation_loss"], color=BLUE, label="validation (averaged weights)")
    first.set(ylabel="loss (standardised)", yscale="log")
    for axes, target in zip(others, targets):
        key, name = target.headline
        unit = for_picture(f" ({target.unit})") if target.unit else ""
        label = f"validation {name}{unit}"
        axes.plot(history["epoch"], history[f"validation_{target.name}_{key}"], color=BLUE, label=label)
        axes.set(ylabel=label, title=for_picture(target.name), yscale="linear" if key == "auc" else "log")
    for axes in (first, *others):
        axes.axvline(results.metrics["best_epoch"], color=ORANGE, linewidth=1, label="kept")
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.25, which="both")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        low, high = axes.get_ylim()
        if axes.get_yscale() == "log" and high < 10 * low:  # too short a range for ticks at powers of ten
            axes.yaxis.set_major_locator(MaxNLocator(5))
            axes.yaxis.set_minor_locator(NullLocator())
            axes.yaxis.set_major_formatter(StrMethodFormatter("{x:.3g}"))
    first.legend(frameon=False, fontsize=8)
    return figure


def _scatter(axes: Axes, target: Target, true: np.ndarray, predicted: np.ndarray, errors: dict) -> None:
    unit = for_picture(f" ({target.unit})") if target.unit else ""
    if len(true):
        ends = [min(true.min(), predicted.min()), max(true.max(), predicted.max())]
        axes.plot(ends, ends, color=GREY, linewidth=1, zorder=1)
    axes.scatter(true, predicted, s=9, color=BLUE, alpha=0.45, linewidths=0, zorder=2, rasterized=True)
    axes.set(xlabel=f"true{unit}", ylabel=f"predicted{unit}", aspect="equal", adjustable="datalim")
    axes.grid(alpha=0.25)
    key, name = target.headline
    figures = "" if errors[key] is None else f"test {name} {errors[key]:.3g} {for_picture(target.unit)}, "
    axes.set_title(f"{for_picture(target.name)}\n{figures}n = {errors['n']}", fontsize=10)


def _bars(axes: Axes, target: Target, results: Results, errors: dict) -> None:
    key, name = target.headline
    rows = results.table("predictions_test.csv")
    axes.barh([for_picture(row["id"]) for row in rows], [float(row[key]) for row in rows], color=BLUE)
    axes.invert_yaxis()
    axes.set_xlabel(f"{name} ({for_picture(target.unit)})")
    axes.grid(alpha=0.25, axis="x")
    axes.set_title(f"{for_picture(target.name)}\nn = {errors['n']}", fontsize=10)


def _roc(axes: Axes, target: Target, true: np.ndarray, probability: np.ndarray, errors: dict) -> None:
    order = np.argsort(-probability, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(probability[order])), len(order) - 1) if len(order) else []
    ones = np.cumsum(true[order])[ends] if len(order) else np.zeros(0)
    zeros = np.asarray(ends) + 1 - ones
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1)
    if errors["auc"] is not None:
        axes.plot(np.append(0, zeros / zeros[-1]), np.append(0, ones / ones[-1]), color=BLUE)
    axes.set(xlabel="false positives", ylabel="true positives", aspect="equal")
    axes.grid(alpha=0.25)
    auc = "AUC undefined (one class only)" if errors["auc"] is None else f"test AUC {errors['auc']:.3f}"
    axes.set_title(f"{for_picture(target.name)}\n{auc}, n = {errors['n']}", fontsize=10)
