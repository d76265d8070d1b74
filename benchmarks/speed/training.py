"""What does a training step cost with the compiled code, without it, and its products of matrices alone?

    python benchmarks/speed/training.py [--data mp_2018.jsonl.gz] [--crystals 240] [--rounds 7]

The `point-group` network, with directions and orbit mixing (full) and without (shared), on m-3m crystals and on all,
chosen at random, in batches of 24. A step is forward, backward, clipping, AdamW and the average of the weights, without
making graphs and batches. The products of matrices are those of the step without compiled code, by PyTorch, of the same
shapes and strides. Milliseconds of processor time a crystal on one thread, medians over rounds in which all three take
turns; and the ratio to the step with the compiled code.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable, Sequence
from functools import partial

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from irrepnet import __version__, compiled
from irrepnet.crystals import SymmetricCrystal
from irrepnet.data import Record, read_records
from irrepnet.data.batch import union
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import FrameGraph, FrameOptions
from irrepnet.models import PointGroupConfig
from irrepnet.training.checkpoint import State
from irrepnet.training.loop import keep_freed_memory
from irrepnet.training.optimizer import Update

BATCH = 24
FORMS = {"shared": {"directions": False, "mixing": "none"}, "full": {}}


class Products(TorchDispatchMode):
    """Notes the operands of all products of matrices within the block."""

    def __init__(self) -> None:
        super().__init__()
        self.operands: list[tuple[torch.Tensor, torch.Tensor]] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function in (torch.ops.aten.mm.default, torch.ops.aten.addmm.default):
            left, right = args[-2:]
            self.operands.append((left.detach(), right.detach()))
        return function(*args, **(kwargs or {}))


def chosen(records: Sequence[Record], group: str | None, wanted: int) -> list[SymmetricCrystal]:
    found: list[SymmetricCrystal] = []
    for i in np.random.default_rng(1).permutation(len(records)):
        try:
            crystal = SymmetricCrystal.from_structure(records[i])
        except IrrepnetError:
            continue
        if group in (None, crystal.point_group.name):
            found.append(crystal)
        if len(found) == wanted:
            break
    return found


def steps(state: State, batches: list[FrameGraph[torch.Tensor]]) -> None:
    update = Update(state.optimizer, state.model.parameters(), state.average.parameters(), 1.0)
    for batch in batches:
        state.model(batch).abs().mean().backward()
        update(0.01)


def plain(work: Callable[[], None]) -> None:
    with compiled.switched_off():
        work()


def multiply(operands: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
    for left, right in operands:
        torch.mm(left, right)


def begin(doc: str | None, crystals: int, rounds: int) -> tuple[argparse.Namespace, Sequence[Record]]:
    """Options and records of a benchmark of steps, on one thread; prints the versions."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--data", default="formation_energy_2015", help="an embedded set, or records")
    parser.add_argument("--crystals", type=int, default=crystals)
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--rounds", type=int, default=rounds)
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    system = f"{platform.machine()}, {os.cpu_count()} cpus, 1 thread, Python {platform.python_version()}"
    print(f"irrepnet {__version__}, torch {torch.__version__}, {system}, float32; kernels: {compiled.state()}")
    return options, read_records(options.data)[0]


def main() -> None:
    options, records = begin(__doc__, crystals=240, rounds=7)
    print(f"{'ms/crystal':34s} {'compiled':>9s} {'plain':>15s} {'products alone':>15s}")
    for group in ("m-3m", None):
        crystals = chosen(records, group, options.crystals)
        for channels, layers in ((64, 3), (96, 4)):
            for form, fields in FORMS.items():
                torch.manual_seed(0)
                config = PointGroupConfig(channels=channels, layers=layers, **fields)
                graphs = [FrameOptions(**config.graph_fields).graph(crystal) for crystal in crystals]
                batches = [union(graphs[i : i + options.batch]) for i in range(0, len(graphs), options.batch)]
                step = partial(steps, State.start(config.network(1, None), 0.0), batches)
                step()
                with Products() as products:
                    plain(step)
                works = {"compiled": step, "plain": partial(plain, step)}
                works["products"] = partial(multiply, products.operands)
                times: dict[str, list[float]] = {name: [] for name in works}
                for _ in range(options.rounds):
                    for name, work in works.items():
                        start = time.process_time()
                        work()
                        times[name].append((time.process_time() - start) / len(crystals) * 1e3)
                ms = {name: float(np.median(values)) for name, values in times.items()}
                unit = ms["compiled"]
                parts = "".join(f" {ms[name]:7.3f} × {ms[name] / unit:5.2f}" for name in ("plain", "products"))
                label = f"{group or 'all'}, {form} {channels}×{layers}, {len(crystals)} crystals"
                print(f"{label:34s} {unit:9.3f}{parts}", flush=True)


if __name__ == "__main__":
    main()
