"""The character table of a point group as a picture."""

from __future__ import annotations

from pathlib import Path

from irrepnet.files import write_picture
from irrepnet.groups import PointGroup
from irrepnet.groups.reports import character_table, title


def draw_character_table(g: PointGroup, path: str | Path) -> None:
    """Into a file, whose ending tells the kind. Raises IrrepnetError if it cannot be written."""
    from matplotlib.figure import Figure

    (_, *columns, _, _, covariants), rows = character_table(g)
    cells = [[*values, degrees] for _, *values, _, _, degrees in rows]
    columns.append(covariants)
    figure = Figure(figsize=(1.6 + 0.75 * len(columns), 1.1 + 0.34 * len(cells)), layout="constrained")
    axes = figure.subplots()
    axes.axis("off")
    axes.set_title(title(g))
    table = axes.table(
        cells, rowLabels=[label for label, *_ in rows], colLabels=columns, loc="center", cellLoc="center"
    )
    table.auto_set_font_size(False)
    table.set_fontsize(11)
    table.scale(1, 1.5)
    for (row, column), cell in table.get_celld().items():
        cell.set_edgecolor("0.8")
        if row == 0 or column == -1:
            cell.set_facecolor("0.94")
    write_picture(figure, path)
