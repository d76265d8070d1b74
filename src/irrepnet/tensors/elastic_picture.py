"""The picture of the surfaces of a stiffness."""

from pathlib import Path
from typing import BinaryIO

import numpy as np

from irrepnet.files import write_picture
from irrepnet.outlets import for_picture
from irrepnet.tensors.elastic import sphere, surfaces


def draw_surfaces(
    stiffness: np.ndarray, path: Path | BinaryIO, title: str = "", unit: str = "GPa", step: int = 3
) -> None:
    """The `surfaces` of a stiffness (6, 6), each at the distance |value| from the centre in every direction.

    Colours follow the value; what is negative is red.

    Args:
        path: a file, or a stream that gets a PNG.
        step: degrees between the directions that are drawn.

    Raises:
        IrrepnetError: the stiffness is not positive definite, or the file cannot be written.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    directions = sphere()[::step, ::step]
    directions = _closed(directions, -directions)
    figure = Figure(figsize=(11, 8), layout="constrained")
    figure.suptitle(for_picture(title))
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
    write_picture(figure, path)


def _closed(upper: np.ndarray, opposite: np.ndarray) -> np.ndarray:
    """A grid over the whole sphere from one over the hemisphere and the values at the opposite points −n."""
    # −n lies half a turn on in azimuth
    lower = np.roll(opposite[-2::-1], upper.shape[1] // 2, axis=1)
    whole = np.concatenate([upper, lower])
    return np.concatenate([whole, whole[:, :1]], axis=1)
