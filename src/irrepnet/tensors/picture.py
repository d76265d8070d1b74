"""Pictures: of an allowed form, and of the surfaces of a stiffness."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from irrepnet.errors import IrrepnetError
from irrepnet.tensors.elastic import sphere, surfaces

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from irrepnet.tensors.allowed import AllowedForm


def draw(form: AllowedForm, path: Path, title: str) -> None:
    """`form.matrix` as a table of cells; with more than two slots the first are the rows, the last is the columns."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    shape = form.matrix.shape
    text = form.matrix.reshape(-1, shape[-1])
    free = form.free
    width = max(0.5, 0.085 * max(len(cell) for cell in text.flat))
    rows, columns = text.shape
    figure = Figure(figsize=(0.8 + width * columns, 0.9 + 0.42 * rows), layout="constrained")
    axes = figure.subplots()
    for row, column in [(r, c) for r in range(rows) for c in range(columns)]:
        cell = text[row, column]
        if cell == "0":
            patch = Rectangle((column, row), 1, 1, facecolor="0.82", edgecolor="0.7", hatch="////")
        else:
            colour = colormaps["Pastel1"](free.index(cell) % 8) if cell in free else "white"
            patch = Rectangle((column, row), 1, 1, facecolor=colour, edgecolor="0.4")
            weight = "bold" if cell in free else "normal"
            axes.text(column + 0.5, row + 0.5, cell, ha="center", va="center", fontsize=8, weight=weight)
        axes.add_patch(patch)
    labels = [[*range(1, size + 1)] for size in shape]
    heads = [""]
    for numbers in labels[:-1]:
        heads = [head + str(number) for head in heads for number in numbers]
    axes.set(xlim=(0, columns), ylim=(rows, 0), title=title)
    axes.set_xticks([c + 0.5 for c in range(columns)], [str(number) for number in labels[-1]])
    axes.set_yticks([r + 0.5 for r in range(rows)], heads)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    _save(figure, path)


def draw_surfaces(stiffness: np.ndarray, path: Path, title: str = "", unit: str = "GPa") -> None:
    """The `surfaces` of a stiffness (6, 6), each at the distance |value| from the centre in every direction.

    Colours follow the value; what is negative is red.

    Raises:
        IrrepnetError: the stiffness is not positive definite, or the file cannot be written.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    step = 3  # degrees
    directions = sphere()[::step, ::step]
    directions = _closed(directions, -directions)
    figure = Figure(figsize=(11, 8), layout="constrained")
    figure.suptitle(title)
    for place, surface in enumerate(surfaces(stiffness), 1):
        values = surface.values[::step, ::step]
        values = _closed(values, values)
        radius, low, high = abs(values), surface.values.min(), surface.values.max()
        span = high - max(low, 0.0)
        share = (values - max(low, 0.0)) / span if span > 1e-6 * abs(high) else np.full_like(values, 0.5)
        colours = np.where(values[..., None] < 0, (0.8, 0.1, 0.1, 1.0), colormaps["viridis"](share.clip(0, 1)))
        axes = figure.add_subplot(2, 3, place, projection="3d")
        x, y, z = np.moveaxis(radius[..., None] * directions, -1, 0)
        axes.plot_surface(x, y, z, facecolors=colours, rstride=1, cstride=1, linewidth=0, antialiased=False)
        reach = 1.02 * radius.max()
        axes.set(xlim=(-reach, reach), ylim=(-reach, reach), zlim=(-reach, reach), xlabel="x", ylabel="y", zlabel="z")
        axes.set_box_aspect((1, 1, 1))
        axes.tick_params(labelsize=7)
        in_unit = {"u": unit, "1/u": f"1/{unit}", "": ""}[surface.unit]
        axes.set_title(f"{surface.name}\n{low:.4g} to {high:.4g} {in_unit}".rstrip(), fontsize=10)
    _save(figure, path)


def _closed(upper: np.ndarray, opposite: np.ndarray) -> np.ndarray:
    """A grid over the whole sphere from one over the hemisphere and the values at the opposite points −n."""
    # −n lies half a turn on in azimuth
    lower = np.roll(opposite[-2::-1], upper.shape[1] // 2, axis=1)
    whole = np.concatenate([upper, lower])
    return np.concatenate([whole, whole[:, :1]], axis=1)


def _save(figure: Figure, path: Path) -> None:
    try:
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        raise IrrepnetError(f"cannot write the picture {path}: {error}") from error
