"""Pictures of the vibrations at Γ: the table of the modes, and levels with the infrared spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from irrepnet.files import write_picture
from irrepnet.groups import typeset
from irrepnet.outlets import for_picture
from irrepnet.phonons.gamma import WAVENUMBERS
from irrepnet.phonons.polar import PolarPhonons

DAMPING = 8.0
"""cm⁻¹, width of the lines of a drawn spectrum."""
IR, RAMAN, BOTH, NEITHER = "#c44e52", "#4c72b0", "#8172b3", "0.55"


def draw_modes(document: dict[str, Any], path: str | Path) -> None:
    """The irreps of a crystal's modes: how many, from which orbits, what sees them, and the Raman tensors.

    Args:
        document: see :func:`irrepnet.phonons.reports.describe_modes`.

    Raises IrrepnetError if the file cannot be written.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    orbits = [f"{o['element']} {o['multiplicity']}{o['wyckoff']}" for o in document["orbits"]]
    heads = ["irrep", "modes", *orbits, "acoustic", "infrared", "Raman", "hyper-\nRaman", "Raman tensors, dipole"]
    widths = [0.8, 0.7, *[max(0.7, 0.11 * len(name)) for name in orbits], 0.9, 0.9, 0.9, 0.9]
    forms = [_forms(entry) for entry in document["modes"]]
    widths.append(max([2.4, *(0.082 * max(map(len, form.split("\n"))) + 0.2 for form in forms)]))
    heights = [0.5, *(0.18 * max(2, form.count("\n") + 1) + 0.1 for form in forms)]
    edges, levels = np.cumsum([0.0, *widths]), np.cumsum([0.0, *heights])
    figure = Figure(figsize=(edges[-1] + 0.3, levels[-1] + 0.75), layout="constrained")
    axes = figure.subplots()
    axes.axis("off")
    axes.set(xlim=(0, edges[-1]), ylim=(levels[-1], 0))
    group, space = document["point_group"], document["spacegroup"]
    counts = document["independent"]
    axes.set_title(
        f"{document['formula']}, {space['symbol']}: vibrations at Γ in irreps of {group['name']} "
        f"({group['schoenflies']})\n{counts['force_constants']} independent force constants at Γ, "
        f"{counts['born_charges']} components of Born charges",
        fontsize=10,
    )

    def cell(row: int, column: int, text: str, colour: str = "white", **style: Any) -> None:
        corner = edges[column], levels[row]
        axes.add_patch(Rectangle(corner, widths[column], heights[row], facecolor=colour, edgecolor="0.85"))
        x, y = corner[0] + widths[column] / 2, corner[1] + heights[row] / 2
        axes.text(x, y, text, None, ha="center", va="center", **{"fontsize": 9} | style)

    for column, head in enumerate(heads):
        cell(0, column, head, "0.93")
    for row, (entry, form) in enumerate(zip(document["modes"], forms), start=1):
        label = entry["irrep"]
        cell(row, 0, typeset(label), "0.93", weight="bold")
        cell(row, 1, str(entry["count"]))
        for column, orbit in enumerate(document["orbits"], start=2):
            cell(row, column, str(orbit["modes"].get(label, "")))
        marks = [
            ("acoustic", entry["acoustic"], "0.8"),
            ("ir", entry["optical"] * entry["ir"], "#e8b4b6"),
            ("raman", entry["optical"] * entry["raman"], "#b3c3e0"),
            ("hyper_raman", entry["optical"] * entry["hyper_raman"], "#cfc9e2"),
        ]
        for column, (_, count, colour) in enumerate(marks, start=2 + len(orbits)):
            cell(row, column, str(count or ""), colour if count else "white")
        cell(row, len(heads) - 1, form or ("silent" if entry["silent"] else ""), fontsize=7.5, family="monospace")
    write_picture(figure, path)


def _forms(entry: dict[str, Any]) -> str:
    """The Raman tensors of an irrep side by side, else its dipoles, as lines of text."""
    if entry["raman_tensor"] is not None:
        blocks = [_columns(matrix) for matrix in entry["raman_tensor"]]
    elif entry["dipole"] is not None:
        blocks = [_columns([vector]) for vector in entry["dipole"]]
    else:
        return ""
    return "\n".join("   ".join(f"[{line}]" for line in lines) for lines in zip(*blocks))


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    width = max(len(text) for row in rows for text in row)
    return [" ".join(text.rjust(width) for text in row) for row in rows]


def draw_spectrum(document: dict[str, Any], polar: PolarPhonons | None, path: str | Path) -> None:
    """Levels by irrep, LO beside TO, and above them, if charges are known, reflectivity and Im ε along the axes.

    The reflectivity is that of normal incidence, the field along an axis of the standard frame.

    Args:
        document: see :func:`irrepnet.phonons.reports.phonon_report`.

    Raises IrrepnetError if the file cannot be written.
    """
    from matplotlib.figure import Figure

    levels = [entry for entry in document["vibrations"] if not entry["acoustic"]]
    shown = dict.fromkeys(entry["irrep"] for entry in document["modes"] if entry["optical"])
    labels = list(shown)[::-1]
    rows = 1 if polar is None else 3
    heights = [0.32 * len(labels) + 0.4] if polar is None else [1.9, 1.5, 0.32 * len(labels) + 0.4]
    figure = Figure(figsize=(8, sum(heights) + 1.0), layout="constrained")
    panels = np.atleast_1d(figure.subplots(rows, 1, sharex=True, height_ratios=heights))
    axes = panels[-1]
    longitudinal = [b for d in document.get("polar", {}).get("directions", []) for b in d["branches"]]
    longitudinal = [branch for branch in longitudinal if branch["kind"] == "LO"]
    ends = [entry["wavenumber"] for entry in [*levels, *longitudinal]]
    low, high = min([0.0, *ends]), max([1.0, *ends])
    for entry in levels:
        height, colour = labels.index(entry["irrep"]), _colour(entry)
        axes.plot([entry["wavenumber"]] * 2, [height - 0.32, height + 0.32], color=colour, linewidth=2)
    for branch in longitudinal:
        main = max(branch["irreps"], key=branch["irreps"].__getitem__)
        place = branch["wavenumber"], labels.index(main)
        axes.plot(*place, marker="o", markersize=4.5, markerfacecolor="white", markeredgecolor=IR, linestyle="")
    axes.set_yticks(range(len(labels)), [typeset(label) for label in labels])
    axes.set(xlabel="wavenumber (cm⁻¹)", ylim=(-0.6, len(labels) - 0.4))
    axes.set_xlim(low - 0.03 * (high - low), high + 0.05 * (high - low))
    axes.grid(axis="y", alpha=0.25)
    _legend(axes, bool(longitudinal))
    if low < 0:
        axes.axvspan(low - high, 0, color="0.94", zorder=0)
    if polar is not None:
        _draw_permittivity(panels[0], panels[1], polar, max(high, 1.0))
    source = document["force_constants"]["source"]
    title = f"{document['formula']}, {document['spacegroup']['symbol']}; force constants: {source}"
    if polar is not None:
        title += f"; charges: {document['polar']['sources']['born_charges']}"
    panels[0].set_title(for_picture(title), fontsize=9, wrap=True)
    write_picture(figure, path)


def _draw_permittivity(above: Any, below: Any, polar: PolarPhonons, high: float) -> None:
    wavenumbers = np.linspace(0.5, 1.05 * high, 4000)
    tensors = polar.permittivity(wavenumbers / WAVENUMBERS, DAMPING / WAVENUMBERS)
    drawn: list[np.ndarray] = []
    for axis, (name, style) in enumerate((("x", "-"), ("y", "--"), ("z", "-."))):
        epsilon = tensors[:, axis, axis]
        if any(np.allclose(epsilon, other, rtol=1e-6) for other in drawn):
            continue
        drawn.append(epsilon)
        index = np.sqrt(epsilon)
        above.plot(
            wavenumbers, abs((index - 1) / (index + 1)) ** 2, style, color=IR, linewidth=1.2, label=f"E ∥ {name}"
        )
        below.plot(wavenumbers, np.imag(epsilon), style, color=IR, linewidth=1.2)
    above.set(ylabel="reflectivity", ylim=(0, 1.02))
    below.set(ylabel="Im ε", yscale="log")
    above.legend(frameon=False, fontsize=8, title=f"damping {DAMPING:g} cm⁻¹", title_fontsize=7)


def _colour(entry: dict[str, Any]) -> str:
    if entry["ir"]:
        return BOTH if entry["raman"] else IR
    return RAMAN if entry["raman"] else NEITHER


def _legend(axes: Any, longitudinal: bool) -> None:
    from matplotlib.lines import Line2D

    kinds = [("infrared", IR), ("Raman", RAMAN), ("both", BOTH), ("silent", NEITHER)]
    handles = [Line2D([], [], color=colour, linewidth=2, label=name) for name, colour in kinds]
    if longitudinal:
        circle = {"marker": "o", "markersize": 4.5, "markerfacecolor": "white", "markeredgecolor": IR}
        handles.append(Line2D([], [], linestyle="", label="LO", **circle))
    axes.legend(handles=handles, frameon=False, fontsize=7, ncols=len(handles), loc="lower left", bbox_to_anchor=(0, 1))
