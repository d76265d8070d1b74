"""How the output of a network follows a path between two crystals, and where it jumps."""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from irrepnet.checks.verify import random_network
from irrepnet.crystals import SymmetricCrystal
from irrepnet.crystals.reading import Cell, read_cell
from irrepnet.data.batch import AnyGraph, union
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import Blend, GraphOptions
from irrepnet.tasks.properties import known_graph
from irrepnet.tasks.targets import NumberTarget, slices
from irrepnet.training import load_config, load_run, presets
from irrepnet.training.config import preset_task

if TYPE_CHECKING:
    from pymatgen.core import Structure

Predict = Callable[[AnyGraph], float]

CLOSE = 1e-8
"""The two sides of a change lie nearer than this on the path, which is 1 long."""
MOST_CHANGES = 30
"""Changes of symmetry that are located between two steps."""


@dataclass(frozen=True)
class Path:
    """Crystals between two that have the same atoms: lattice and fractional coordinates change linearly.

    The second crystal is turned so that the lattice is only strained; its origin and the order of its atoms are those
    with the shortest ways from the atoms of the first.

    Args:
        start, end: whatever :func:`irrepnet.crystals.read_cell` takes, in corresponding cells.

    Raises:
        IrrepnetError: a crystal cannot be read, or the two do not have the same atoms.
    """

    start: Cell
    end: Cell

    @classmethod
    def between(cls, start: Any, end: Any) -> "Path":
        a, b = read_cell(start), read_cell(end)
        if sorted(a.numbers) != sorted(b.numbers):
            raise IrrepnetError(
                f"{a.name} and {b.name} do not have the same atoms in their cells; a path needs equal numbers of each "
                "element, in cells that correspond"
            )
        left, _, right = np.linalg.svd(np.linalg.inv(a.lattice) @ b.lattice)
        lattice = b.lattice @ (left @ right).T
        rarest = min(np.unique(a.numbers), key=lambda number: (a.numbers == number).sum())
        anchor = a.frac_coords[a.numbers == rarest][0]
        ways = [_matched(a, b.frac_coords + anchor - other, b.numbers) for other in b.frac_coords[b.numbers == rarest]]
        step = min(ways, key=lambda step: (step @ a.lattice).var(0).sum())
        return cls(a, Cell(lattice, a.frac_coords + step - step.mean(0), a.numbers, b.name))

    def at(self, x: float) -> "Structure":
        """The crystal at x, 0 for the start and 1 for the end."""
        from pymatgen.core import Structure

        lattice, frac_coords = (
            (1 - x) * getattr(self.start, name) + x * getattr(self.end, name) for name in ("lattice", "frac_coords")
        )
        return Structure(lattice, self.start.numbers.tolist(), frac_coords)


def _matched(a: Cell, frac_coords: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """(n, 3) fractional, from each atom of ``a`` to its partner of the same element: the least sum of squares."""
    step = frac_coords[None] - a.frac_coords[:, None]  # [atom of a, other atom]
    step -= np.round(step)
    cost = (np.linalg.norm(step @ a.lattice, axis=-1) ** 2) + 1e6 * (a.numbers[:, None] != numbers)
    return step[linear_sum_assignment(cost)]


@dataclass(frozen=True)
class Point:
    """One crystal of a path.

    Attributes:
        x: where it is.
        output: of the network.
        crystal: with the symmetry that was found.
        graph: what the network read.
    """

    x: float
    output: float
    crystal: SymmetricCrystal
    graph: AnyGraph

    @property
    def symmetry(self) -> tuple[int, int, str]:
        """Space group, atoms of the primitive cell, and the group of the frames if there is one."""
        return self.crystal.spacegroup_number, len(self.crystal), getattr(self.graph, "group", "")

    def as_dict(self) -> dict[str, Any]:
        graphs = self.graph.graphs if isinstance(self.graph, Blend) else [self.graph]
        weights = self.graph.weights.tolist() if isinstance(self.graph, Blend) else [1.0]
        return {
            "x": self.x,
            "output": self.output,
            "spacegroup": self.crystal.spacegroup_symbol,
            "point_group": self.crystal.point_group.name,
            "graphs": [
                {
                    "weight": weight,
                    "group": getattr(graph, "group", ""),
                    "frames": getattr(graph, "frames", 1),
                    "nodes": len(graph.numbers),
                }
                for weight, graph in zip(weights, graphs)
            ],
        }


def follow_model(
    name: str,
    start: Any,
    end: Any,
    steps: int = 41,
    symprec: Sequence[float] | None = None,
    target: str | None = None,
    continuous: bool = False,
    seed: int = 0,
) -> dict[str, Any]:
    """The output of a run, or of a preset with random weights, along the path between two crystals.

    Args:
        name: a run folder, or a preset.
        start, end: see :meth:`Path.between`.
        steps: see :func:`follow`.
        symprec: Å, tolerances of the symmetry search, one path each; the model's own by default.
        target: of a run with several, the one to follow.
        continuous: of a preset, with ``model.continuous``.
        seed: of random weights.

    Returns:
        ``start``, ``end``, ``target``, ``unit`` and ``paths``: what :func:`follow` returns, with ``symprec``.

    Raises:
        IrrepnetError: the model predicts no number of a crystal, or what :func:`follow` raises.
    """
    if name in presets() and preset_task(name) != "properties":
        raise IrrepnetError(f"{name}: predicts no number of a crystal; a path follows one")
    if name in presets():
        overrides = {"data.source": "none", "data.targets": "none"}
        config = load_config(name, overrides | ({"model.continuous": True} if continuous else {}))
        label, unit, predict = "output", "", predictor(random_network(config.model, config.graph, seed))
    else:
        run = load_run(name)
        config, chosen = run.config, run.target(target)
        if not isinstance(chosen, NumberTarget) or run.task.name != "properties":
            raise IrrepnetError(f"{name}: {chosen.name} is no single number of a run of properties; a path follows one")
        own = slices(run.task.targets)[run.targets.index(chosen)]  # type: ignore[arg-type]
        label, unit = chosen.name, chosen.unit
        predict = predictor(run.model, lambda outputs: chosen.decode(outputs[:, own])[:, 0])
    way = Path.between(start, end)
    graph = partial(known_graph, options=config.graph)
    tolerances = [config.data.symprec] if symprec is None else symprec
    paths = [{"symprec": s} | follow(predict, graph, way, s, steps) for s in tolerances]
    return {"start": way.start.name, "end": way.end.name, "target": label, "unit": unit, "paths": paths}


def predictor(model: torch.nn.Module, decode: Callable[[np.ndarray], np.ndarray] | None = None) -> Predict:
    """The first output of ``model`` in float64 as a function of a graph.

    Args:
        model: takes a batch.
        decode: (1, outputs) dimensionless numbers → (1,) values of a target; the first output as it is when None.
    """
    model = copy.deepcopy(model).double().eval()

    def predict(graph: AnyGraph) -> float:
        with torch.no_grad():
            outputs = model(union([graph], torch.float64)).numpy()
        return float(outputs[0, 0] if decode is None else decode(outputs)[0])

    return predict


def follow(
    predict: Predict,
    graph: Callable[[SymmetricCrystal], AnyGraph],
    path: Path,
    symprec: float = GraphOptions.symprec,
    steps: int = 41,
) -> dict[str, Any]:
    """The output along a path, and its jumps.

    Where two steps differ in symmetry, every change between them is located to 1e-8 of the path by bisection, and the
    difference of the outputs on its two sides is the jump. Between them the largest jump is located, by following the
    half in which the output changes more, if it makes a thousandth of the step's change. A change there and back
    between two steps is not seen.

    Args:
        predict: graph → output, such as :func:`predictor`.
        graph: crystal → graph, such as the method of :class:`irrepnet.graphs.GraphOptions`.
        path: the crystals.
        symprec: Å, of the symmetry search.
        steps: how many, both ends included; with an odd number the middle is one.

    Returns:
        ``points``: for each step ``x``, ``output``, ``spacegroup``, ``point_group`` and ``graphs`` (``weight``,
        ``group``, ``frames``, ``nodes`` each); ``changes``: ``x``, ``jump``, ``cause`` ("symmetry" or
        "neighbours or axes"),
        ``before`` and ``after`` as in points; ``largest_jump``; ``slope``: the largest change of the output between
        steps, jumps left out, per length of the path; ``range``: of the outputs.

    Raises:
        IrrepnetError: fewer than two steps, or a crystal on the path cannot be used.
    """
    if steps < 2:
        raise IrrepnetError(f"a path has at least 2 steps, got {steps}")

    def point(x: float) -> Point:
        crystal = SymmetricCrystal.from_structure(path.at(x), symprec)
        made = graph(crystal)
        return Point(x, predict(made), crystal, made)

    points = [point(float(x)) for x in np.linspace(0, 1, steps)]
    changes, slopes = [], []
    for left, right in pairwise(points):
        found = list(_changes(point, left, right))
        changes += found
        jumped = sum(after.output - before.output for before, after in found)
        slopes.append(abs(right.output - left.output - jumped) / (right.x - left.x))
    outputs = [p.output for p in points]
    return {
        "points": [p.as_dict() for p in points],
        "changes": [
            {
                "x": (before.x + after.x) / 2,
                "jump": after.output - before.output,
                "cause": "symmetry" if before.symmetry != after.symmetry else "neighbours or axes",
                "before": before.as_dict(),
                "after": after.as_dict(),
            }
            for before, after in changes
        ],
        "largest_jump": max((abs(after.output - before.output) for before, after in changes), default=0.0),
        "slope": max(slopes),
        "range": max(outputs) - min(outputs),
    }


def _changes(point: Callable[[float], Point], left: Point, right: Point) -> Iterator[tuple[Point, Point]]:
    """The two sides of every change of symmetry from one point to another, and of a jump in between."""
    for _ in range(MOST_CHANGES):
        if left.symmetry == right.symmetry:
            break
        before, after = left, right
        while after.x - before.x > CLOSE:
            middle = point((before.x + after.x) / 2)
            before, after = (middle, after) if middle.symmetry == left.symmetry else (before, middle)
        yield from _jump(point, left, before)
        yield before, after
        left = after
    yield from _jump(point, left, right)


def _jump(point: Callable[[float], Point], left: Point, right: Point) -> Iterator[tuple[Point, Point]]:
    """The two sides of the largest jump between two points, if it makes a thousandth of their difference."""
    least = 1e-3 * abs(right.output - left.output)
    while right.x - left.x > CLOSE:
        middle = point((left.x + right.x) / 2)
        first, second = abs(middle.output - left.output), abs(right.output - middle.output)
        if max(first, second) <= least:
            return
        left, right = (left, middle) if first > second else (middle, right)
    yield left, right
