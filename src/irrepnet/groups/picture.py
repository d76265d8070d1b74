"""Pictures of a point group: its character table, and its covariants over all directions."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np

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


POSITIVE, NEGATIVE = (0.88, 0.40, 0.18), (0.23, 0.49, 0.85)
"""Colours of the signs of a covariant, legible on white and on black."""


def draw_covariant(g: PointGroup, label: str, generator: int, component: int, stream: BinaryIO) -> None:
    """One component of a generator of the covariants of an irrep, as a PNG on a transparent ground.

    In every direction the surface is as far from the centre as the component is large, in the colour of its sign; the
    lines are the axes: z upwards, x to the left in front, y to the right.
    """
    from matplotlib.colors import LightSource
    from matplotlib.figure import Figure

    polar, azimuth = np.meshgrid(np.linspace(0, np.pi, 49), np.linspace(0, 2 * np.pi, 73))  # normals point outwards
    directions = np.stack([np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)], -1)
    values = g.covariants(label)(directions)[..., generator, component]
    surface = abs(values / abs(values).max())[..., None] * directions
    middles = (values[1:, 1:] + values[1:, :-1] + values[:-1, 1:] + values[:-1, :-1])[..., None]
    figure = Figure(figsize=(2, 2), facecolor="none")
    figure.subplots_adjust(0, 0, 1, 1)
    axes = figure.add_subplot(projection="3d", facecolor="none", computed_zorder=False)
    axes.set_axis_off()
    for axis in np.eye(3):
        axes.plot(*np.outer(axis, (-1.15, 1.15)), color="0.5", linewidth=0.8, zorder=0)
    axes.plot_surface(
        *np.moveaxis(surface, -1, 0),
        facecolors=np.where(middles > 0, POSITIVE, NEGATIVE),
        rstride=1,
        cstride=1,
        linewidth=0,
        antialiased=False,
        lightsource=LightSource(azdeg=250, altdeg=50),
        zorder=1,
    )
    axes.set(xlim=(-0.75, 0.75), ylim=(-0.75, 0.75), zlim=(-0.75, 0.75))
    axes.set_box_aspect((1, 1, 1))
    axes.view_init(elev=22, azim=35)
    figure.savefig(stream, dpi=110, transparent=True)
