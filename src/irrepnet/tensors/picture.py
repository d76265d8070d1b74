"""The picture of an allowed form."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from irrepnet.files import write_picture

if TYPE_CHECKING:
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
    write_picture(figure, path)
