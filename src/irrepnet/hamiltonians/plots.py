"""Pictures of bands, with the irreps of the levels at high-symmetry points."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from irrepnet.files import write_picture
from irrepnet.hamiltonians.bands import BandStructure, Level
from irrepnet.outlets import for_picture

WINDOW = 20.0
"""eV, the most that is drawn below and above the Fermi energy unless asked for: atomic orbitals with an overlap have
bands hundreds of eV above it, which mean nothing."""
_SUBSCRIPTS = str.maketrans("gu0123456789", "gu₀₁₂₃₄₅₆₇₈₉")


def energy_window(bands: BandStructure, low: float | None = None, high: float | None = None) -> tuple[float, float]:
    """Lowest and highest energy to draw, eV; by default all bands, within `WINDOW` of a known Fermi energy."""
    most = float("inf") if bands.fermi is None else WINDOW
    energies = bands.energies - (bands.fermi or 0.0)
    lowest, highest = max(float(energies.min()), -most) - 0.5, min(float(energies.max()), most) + 0.5
    return lowest if low is None else low, highest if high is None else high


def plot_bands(
    bands: BandStructure,
    path: str | Path,
    irreps: dict[str, tuple[Level, ...]] | None = None,
    low: float | None = None,
    high: float | None = None,
    title: str = "",
) -> None:
    """Draw the bands into a file (PNG, PDF, SVG by its ending).

    Energies are relative to the Fermi energy if there is one.

    Args:
        irreps: {label of a point: its levels}, written at the first place where the path meets the point.
        low, high: eV, lowest and highest energy drawn, on the axis as it is drawn; see :func:`energy_window`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    zero = bands.fermi or 0.0
    figure = Figure(figsize=(7.5, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    starts = np.flatnonzero(np.diff(bands.distance) == 0) + 1  # of branches after the first
    for part in np.split(np.arange(len(bands.distance)), starts):
        axes.plot(bands.distance[part], bands.energies[part] - zero, color="tab:blue", linewidth=1.2)
    low, high = energy_window(bands, low, high)
    ticks: dict[float, list[str]] = {}
    for index, label in bands.labelled:
        ticks.setdefault(float(bands.distance[index]), []).append(label)
    for place in ticks:
        axes.axvline(place, color="0.7", linewidth=0.8, zorder=0)
    written: set[str] = set()
    for index, label in bands.labelled:
        if irreps is None or label not in irreps or label in written:
            continue
        written.add(label)
        for level in irreps[label]:
            if low <= level.energy - zero <= high:
                place = (float(bands.distance[index]), level.energy - zero)
                text = level.label.translate(_SUBSCRIPTS)
                axes.annotate(text, place, (2, 2), textcoords="offset points", fontsize=7, color="tab:red")
    axes.set_xticks(list(ticks), ["|".join(dict.fromkeys(labels)) for labels in ticks.values()])
    axes.set(xlim=(bands.distance[0], bands.distance[-1]), ylim=(low, high), title=for_picture(title))
    axes.set_ylabel("energy (eV)" if bands.fermi is None else "energy − Fermi energy (eV)")
    if bands.fermi is not None:
        axes.axhline(0, color="0.4", linewidth=0.8, linestyle="--")
    write_picture(figure, path, dpi=160)
