"""How does the cost grow with atoms, neighbours, channels, layers, batch and symmetry?

    python benchmarks/speed/scaling.py --out scaling.png

The `point-group` network without directions and mixing, 96 channels and 4 layers unless said. Crystals are supercells
of rock salt: as they are, of which two orbits are left however many atoms there are, and with every atom displaced at
random, so that no symmetry is left. Against the order of the model group the whole network runs on all frames, of which
a crystal without symmetry has as many as the group has operations. Milliseconds of processor time on one thread,
medians over rounds in which all points take turns: from a structure to its graph, and of a training step (forward,
backward, update).
"""

import argparse
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from ase.build import bulk

from irrepnet import __version__, compiled
from irrepnet.crystals import SymmetricCrystal
from irrepnet.data import Record
from irrepnet.data.batch import union
from irrepnet.data.sources.crystal import record_of
from irrepnet.graphs import FrameOptions
from irrepnet.groups import PointGroup
from irrepnet.models import PointGroupConfig
from irrepnet.training.checkpoint import State
from irrepnet.training.loop import keep_freed_memory
from irrepnet.training.optimizer import Update

SHARED = {"directions": False, "mixing": "none"}
GROUPS = ("1", "-1", "mmm", "4/mmm", "6/mmm", "m-3m")
"""Model groups of 1 to 48 operations."""
Work = Callable[[], None]


def crystal(repeat: tuple[int, int, int], displaced: bool) -> Record:
    """Rock salt, 8 atoms times the numbers of cells."""
    atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True) * repeat
    if displaced:
        atoms.rattle(0.05, seed=0)
    return record_of(atoms, "NaCl", {}, "made here")


def graph(record: Record, **options: Any) -> Any:
    fields = {**PointGroupConfig(**SHARED).graph_fields, **options}
    return FrameOptions(**fields).graph(SymmetricCrystal.from_structure(record))


def step(batch: Any, **settings: Any) -> Work:
    torch.manual_seed(0)
    config = PointGroupConfig(**{**SHARED, **settings})
    state = State.start(config.network(1, None), 0.0)
    update = Update(state.optimizer, state.model.parameters(), state.average.parameters(), 1.0)

    def work() -> None:
        state.model(batch).abs().mean().backward()
        update(0.01)

    return work


def jobs(cells: list[tuple[int, int, int]]) -> dict[str, dict[float, tuple[Work, int]]]:
    """By curve and abscissa: the work, and by how many its time is divided."""
    curves: dict[str, dict[float, tuple[Work, int]]] = {}
    for displaced, name in ((False, "symmetric"), (True, "displaced")):
        making = curves.setdefault(f"atoms: graph, {name}", {})
        training = curves.setdefault(f"atoms: step, {name}", {})
        for repeat in cells:
            record = crystal(repeat, displaced)
            making[len(record)] = (partial(graph, record), 1)  # type: ignore[arg-type]
            training[len(record)] = (step(union([graph(record)])), 1)
    record = crystal((1, 1, 2), displaced=True)
    for n_max in (6, 12, 24, 48, 96):
        curves.setdefault("neighbours: graph", {})[n_max] = (partial(graph, record, n_max=n_max), 1)  # type: ignore[arg-type]
        curves.setdefault("neighbours: step", {})[n_max] = (step(union([graph(record, n_max=n_max)])), 1)
    own = graph(record)
    for channels in (16, 32, 64, 128, 256):
        curves.setdefault("channels: step", {})[channels] = (step(union([own]), channels=channels), 1)
    for layers in (1, 2, 4, 8):
        curves.setdefault("layers: step", {})[layers] = (step(union([own]), layers=layers), 1)
    for name in GROUPS:
        config = PointGroupConfig(group=name, max_frames=48)
        order, full = PointGroup(name).order, graph(record, **config.graph_fields)
        curves.setdefault("order of the group: graph", {})[order] = (partial(graph, record, **config.graph_fields), 1)  # type: ignore[arg-type]
        curves.setdefault("order of the group: step", {})[order] = (step(union([full]), **config.model_dump()), 1)
    small = graph(crystal((1, 1, 1), displaced=False))
    for size in (1, 4, 16, 64, 256):
        curves.setdefault("batch: step a crystal", {})[size] = (step(union([small] * size)), size)
    return curves


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--largest", type=int, default=4096, help="atoms")
    parser.add_argument("--out", type=Path, help="a picture")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    print(f"irrepnet {__version__}, torch {torch.__version__}, one thread, float32; kernels: {compiled.state()}")
    cells = [(1, 1, 1), (1, 1, 2), (2, 2, 2), (2, 4, 4), (4, 4, 4), (4, 8, 8), (8, 8, 8)]
    curves = jobs([repeat for repeat in cells if 8 * np.prod(repeat) <= options.largest])
    times = {(name, x): [] for name, curve in curves.items() for x in curve}
    for _ in range(options.rounds):
        for name, x in times:
            work, size = curves[name][x]
            start = time.process_time()
            work()
            times[name, x].append((time.process_time() - start) / size * 1e3)
    for name, curve in curves.items():
        print(f"\n| {name} | " + " | ".join(f"{x:g}" for x in curve) + " |\n" + "|---" * (len(curve) + 1) + "|")
        print("| ms | " + " | ".join(f"{np.median(times[name, x]):.2f}" for x in curve) + " |")
    if options.out:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot as plt

        kinds = list(dict.fromkeys(name.split(":")[0] for name in curves))
        figure, axes = plt.subplots(1, len(kinds), figsize=(3.2 * len(kinds), 3), sharey=True)
        for axis, kind in zip(axes, kinds):
            for name, curve in curves.items():
                if name.startswith(kind):
                    medians = [np.median(times[name, x]) for x in curve]
                    axis.loglog(list(curve), medians, "o-", label=name.split(": ")[1])
            ticks = list(next(curve for name, curve in curves.items() if name.startswith(kind)))
            axis.set_xticks(ticks, [f"{x:g}" for x in ticks], fontsize=7)
            axis.minorticks_off()
            axis.set(xlabel=kind)
            axis.legend(frameon=False, fontsize=8)
        axes[0].set(ylabel="ms")
        figure.tight_layout()
        figure.savefig(options.out, dpi=130)


if __name__ == "__main__":
    main()
