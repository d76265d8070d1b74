"""Pictures of bands, with the irreps of the levels at high-symmetry points."""

from __future__ import annotations

from pathlib import Path

from irrepnet.hamiltonians.bands import BandStructure, Level

_SUBSCRIPTS = str.maketrans("gu0123456789", "gu₀₁₂₃₄₅₆₇₈₉")


def plot_bands(
    bands: BandStructure,
    path: str | Path,
    irreps: dict[str, tuple[Level, ...]] | None = None,
    window: tuple[float, float] | None = None,
    title: str = "",
) -> None:
    """Draw the bands into a file (PNG, PDF, SVG by its ending).

    Energies are relative to the Fermi energy if there is one.

    Args:
        irreps: {label of a point: its levels}, written at the first place where the path meets the point.
        window: eV, lowest and highest energy drawn, on the axis as it is drawn; all bands if None.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    zero = bands.fermi or 0.0
    figure = Figure(figsize=(7.5, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.plot(bands.distance, bands.energies - zero, color="tab:blue", linewidth=1.2)
    low, high = window or ((bands.energies - zero).min() - 0.5, (bands.energies - zero).max() + 0.5)
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
    axes.set(xlim=(bands.distance[0], bands.distance[-1]), ylim=(low, high), title=title)
    axes.set_ylabel("energy (eV)" if bands.fermi is None else "energy − Fermi energy (eV)")
    if bands.fermi is not None:
        axes.axhline(0, color="0.4", linewidth=0.8, linestyle="--")
    try:
        figure.savefig(path, dpi=160)
    except (OSError, ValueError) as error:
        from irrepnet.errors import IrrepnetError

        raise IrrepnetError(f"{path}: the picture cannot be written: {error}") from error
