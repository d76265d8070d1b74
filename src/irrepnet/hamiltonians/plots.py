"""Pictures of bands, with the irreps of the levels at high-symmetry points, and of slices of Fermi surfaces."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Annotation
from scipy.optimize import isotonic_regression

from irrepnet.files import write_picture
from irrepnet.groups import typeset
from irrepnet.hamiltonians.bands import BandStructure, Level
from irrepnet.hamiltonians.slices import FermiSlice
from irrepnet.outlets import for_picture

WINDOW = 20.0
"""eV, the most that is drawn below and above the Fermi energy unless asked for: atomic orbitals with an overlap have
bands hundreds of eV above it, which mean nothing."""


def energy_window(bands: BandStructure, low: float | None = None, high: float | None = None) -> tuple[float, float]:
    """Lowest and highest energy to draw, eV; by default all bands, within `WINDOW` of a known Fermi energy."""
    most = float("inf") if bands.fermi is None else WINDOW
    energies = bands.energies - (bands.fermi or 0.0)
    lowest, highest = max(float(energies.min()), -most) - 0.5, min(float(energies.max()), most) + 0.5
    return lowest if low is None else low, highest if high is None else high


def plot_bands(
    bands: BandStructure,
    path: str | Path | BinaryIO,
    irreps: dict[str, tuple[Level, ...]] | None = None,
    low: float | None = None,
    high: float | None = None,
    title: str = "",
    weights: dict[str, np.ndarray] | None = None,
    density: tuple[np.ndarray, dict[str, np.ndarray]] | None = None,
) -> None:
    """Draw the bands into a file (PNG, PDF, SVG by its ending), or a stream (PNG).

    Energies are relative to the Fermi energy if there is one.

    Args:
        irreps: {label of a point: its levels}, written at the first place where the path meets the point.
        low, high: eV, lowest and highest energy drawn, on the axis as it is drawn; see :func:`energy_window`.
        weights: {orbitals: (K, n)} drawn as the areas of dots on the bands, see `bands.orbital_weights`.
        density: energies (E,) in eV, not relative, and densities of states {orbitals: (E,)}, drawn beside the bands
            with their sum; see `bands.partial_densities`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    zero = bands.fermi or 0.0
    figure = Figure(figsize=(7.5 if density is None else 10, 5), layout="constrained")
    FigureCanvasAgg(figure)
    ratios = [3] if density is None else [3, 1]
    axes, *beside = figure.subplots(1, len(ratios), squeeze=False, sharey=True, width_ratios=ratios)[0]
    low, high = energy_window(bands, low, high)
    starts = np.flatnonzero(np.diff(bands.distance) == 0) + 1  # of branches after the first
    for part in np.split(np.arange(len(bands.distance)), starts):
        color, width = ("tab:blue", 1.2) if weights is None else ("0.75", 0.6)
        axes.plot(bands.distance[part], bands.energies[part] - zero, color=color, linewidth=width, zorder=1)
    names = dict.fromkeys([*(weights or {}), *(density[1] if density else {})])
    colors = {name: f"C{number % 10}" for number, name in enumerate(names)}
    for name, own in (weights or {}).items():
        shown = (own > 0.02) & (bands.energies - zero >= low) & (bands.energies - zero <= high)
        x = np.broadcast_to(bands.distance[:, None], own.shape)[shown]
        dots = {"s": 30 * own[shown], "color": colors[name], "alpha": 0.5, "linewidths": 0, "rasterized": True}
        axes.scatter(x, bands.energies[shown] - zero, **dots)
        axes.scatter([], [], color=colors[name], label=name)
    ticks: dict[float, list[str]] = {}
    for index, label in bands.labelled:
        ticks.setdefault(float(bands.distance[index]), []).append(label)
    for place in ticks:
        axes.axvline(place, color="0.7", linewidth=0.8, zorder=0)
    names_of_ticks = ["|".join(dict.fromkeys(labels)) for labels in ticks.values()]
    axes.set_xticks(list(ticks), names_of_ticks)
    axes.set(xlim=(bands.distance[0], bands.distance[-1]), ylim=(low, high), title=for_picture(title))
    axes.set_ylabel("energy (eV)" if bands.fermi is None else "energy − Fermi energy (eV)")
    if density is not None:
        energies, parts = density
        total = np.sum(list(parts.values()), 0)
        beside[0].plot(total, energies - zero, color="0.3", linewidth=1, label="all")
        for name, own in parts.items():
            beside[0].plot(own, energies - zero, color=colors[name], linewidth=1, label=name)
        inside = (energies - zero >= low) & (energies - zero <= high)
        beside[0].set(xlim=(0, 1.05 * max(total[inside].max(initial=0.0), 1e-6)), xlabel="states per eV and cell")
    if names:
        (beside or [axes])[-1].legend(fontsize=8, loc="upper right")
    for each in (axes, *beside):
        if bands.fermi is not None:
            each.axhline(0, color="0.4", linewidth=0.8, linestyle="--")
    figure.draw_without_rendering()  # what follows depends on where the axes are
    axes.set_xticks(list(ticks), _in_two_rows(axes, names_of_ticks))
    figure.draw_without_rendering()
    _name_levels(axes, bands, irreps or {}, zero)
    write_picture(figure, path, dpi=160)


def _in_two_rows(axes: Axes, names: list[str]) -> list[str]:
    """Names of ticks, one that would run into that before it a row below."""
    found, end = [], -np.inf
    for name, label in zip(names, axes.get_xticklabels()):
        box = label.get_window_extent()
        is_below = box.x0 < end + 2
        found.append(f"\n{name}" if is_below else name)
        end = end if is_below else box.x1
    return found


def _name_levels(axes: Axes, bands: BandStructure, irreps: dict[str, tuple[Level, ...]], zero: float) -> None:
    """Write the irreps of the levels beside them, each point's where the path first meets it, on the side of its
    branch; moved up or down as far as they would lie on each other."""
    low, high = axes.get_ylim()
    first: dict[str, int] = {}
    for index, label in bands.labelled:
        first.setdefault(label, index)
    columns: list[list[Annotation]] = []
    for label, index in first.items():
        ends = bool((bands.distance[index + 1 : index + 2] == bands.distance[index]).all())  # a branch, or the path
        style: dict[str, Any] = {
            "xytext": (-2 if ends else 2, 2),
            "textcoords": "offset points",
            "horizontalalignment": "right" if ends else "left",
            "fontsize": 7,
            "color": "tab:red",
            "bbox": {"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 0},
        }
        energies = [(level, level.energy - zero) for level in irreps.get(label, ())]
        columns.append(
            [
                axes.annotate(typeset(level.label), (float(bands.distance[index]), energy), **style)
                for level, energy in energies
                if low <= energy <= high
            ]
        )
    extents = [[text.get_window_extent() for text in column] for column in columns if column]
    spans = [(min(box.x0 for box in boxes), max(box.x1 for box in boxes)) for boxes in extents]
    near: list[list[Annotation]] = []  # those side by side whose texts would meet together
    end = -np.inf
    for (left, right), column in sorted(zip(spans, filter(None, columns)), key=lambda item: item[0]):
        if left < end:
            near[-1] += column
        else:
            near.append(column)
        end = max(end, right)
    pixel = (high - low) / axes.get_window_extent().height
    for texts in near:
        texts.sort(key=lambda text: text.xy[1])
        height = pixel * max(text.get_window_extent().height for text in texts)
        steps = height * np.arange(len(texts))
        energies = np.array([text.xy[1] for text in texts])
        apart = isotonic_regression(energies - steps).x + steps
        apart = np.minimum(np.maximum(apart, low + steps), high - height - steps[-1] + steps)
        for text, energy in zip(texts, apart):
            text.xy = (text.xy[0], float(energy))


def plot_slice(found: FermiSlice, path: str | Path, title: str = "") -> None:
    """Draw a slice of a Fermi surface into a file (PNG, PDF, SVG by its ending): a colour a band, or, where weights of
    orbitals are known, these as the areas of dots."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.5, 5.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set_aspect("equal", "datalim")
    axes.fill(*found.outline.T, facecolor="none", edgecolor="0.4", linewidth=0.8)
    names = list(dict.fromkeys(name for contour in found.contours for name in contour.weights))
    named: set[str] = set()
    for contour in found.contours:
        if not contour.weights:
            name = f"band {contour.band + 1}"
            axes.plot(*contour.points.T, color=f"C{contour.band % 10}", label=None if name in named else name)
            named.add(name)
            continue
        axes.plot(*contour.points.T, color="0.75", linewidth=0.6, zorder=1)
        for number, own in enumerate(contour.weights.values()):
            dots = {"s": 30 * own.clip(0), "color": f"C{number % 10}", "alpha": 0.5, "linewidths": 0}
            axes.scatter(*contour.points.T, **dots, rasterized=True)
    for number, name in enumerate(names):
        axes.scatter([], [], color=f"C{number % 10}", label=name)
    for label, place in found.points:
        axes.plot(*place, marker=".", color="0.3", markersize=4, zorder=3)
        axes.annotate(for_picture(label), (place[0], place[1]), (3, 3), textcoords="offset points", fontsize=8)
    if found.contours:
        figure.legend(fontsize=8, loc="outside right upper")
    axes.set(title=for_picture(title))
    across, up = (f"[{' '.join(f'{x + 0.0:.3g}' for x in axis.round(3))}]" for axis in found.axes[:2])
    axes.set(xlabel=f"k along {across} (1/Å)", ylabel=f"k along {up} (1/Å)")
    write_picture(figure, path, dpi=160)
