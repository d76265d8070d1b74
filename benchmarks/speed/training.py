"""What does a training step cost with the compiled code, without it, and its products of matrices alone?

    python benchmarks/speed/training.py [--data mp_2018.jsonl.gz] [--crystals 240] [--rounds 7]

The `point-group` network, with directions and orbit mixing (full) and without (shared), on m-3m crystals and on all,
chosen at random, in batches of 24; `covariant` with the irreps of a symmetric tensor, and the network of sites with
Born charges as its target, whose values it does not need. A step is forward, backward, clipping, AdamW and the average
of the weights, without making graphs and batches. The products of matrices are those of the step without compiled code,
by PyTorch, of the same shapes and strides; batched ones are not among them. Milliseconds of processor time a crystal on
one thread, medians over rounds in which all take turns; and the ratio to the step with the compiled code. The last
column, where the processor can, is the compiled step with `training.products: bfloat16`.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from irrepnet import __version__, compiled
from irrepnet.crystals import SymmetricCrystal
from irrepnet.data import Record, read_records
from irrepnet.data.batch import union
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import FrameOptions, GraphOptions, SiteGraph, SiteGraphOptions, VectorGraphOptions
from irrepnet.groups import O3Irreps
from irrepnet.models import CovariantConfig, CovariantNet, PointGroupConfig, SiteSymmetryConfig, SiteSymmetryNet
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


def outputs(model: Any, batch: Any) -> Iterable[torch.Tensor]:
    """All that a network makes of a batch, which for the network of sites is one for each model group."""
    if isinstance(model, SiteSymmetryNet):
        return [value for part in batch for value in model(part).values()]
    if isinstance(model, CovariantNet):
        features = model.features(batch)
        return [model.invariants(features, batch), *model.covariants(features, batch).values()]
    return [model(batch)]


def steps(state: State, batches: Sequence[Any]) -> None:
    update = Update(state.optimizer, state.model.parameters(), state.average.parameters(), 1.0)
    for batch in batches:
        torch.stack([value.abs().mean() for value in outputs(state.model, batch)]).sum().backward()
        update(0.01)


def in_batches(graphs: Sequence[Any], size: int) -> list[Any]:
    """Unions of so many graphs; of sites one for each model group."""
    batches: list[Any] = []
    for i in range(0, len(graphs), size):
        own = graphs[i : i + size]
        if isinstance(own[0], SiteGraph):
            names = sorted({graph.group.name for graph in own})
            batches.append([union([graph for graph in own if graph.group.name == name]) for name in names])
        else:
            batches.append(union(own))
    return batches


def networks() -> Iterator[tuple[str, torch.nn.Module, GraphOptions]]:
    """Label, network, and how graphs for it are made."""
    for channels, layers in ((64, 3), (96, 4)):
        for form, fields in FORMS.items():
            config = PointGroupConfig(channels=channels, layers=layers, **fields)
            yield f"{form} {channels}×{layers}", config.network(1, None), FrameOptions(**config.graph_fields)
    config = CovariantConfig()
    options = VectorGraphOptions(**config.graph_fields)
    yield "covariant 64×3", config.network(1, options, O3Irreps("1x2e")), options
    charges = SiteSymmetryNet(SiteSymmetryConfig(), {"born_charges": "ij"}, ("born_charges",))
    yield "sites 64×3", charges, SiteGraphOptions()


def plain(work: Callable[[], None]) -> None:
    with compiled.switched_off():
        work()


def rounded(work: Callable[[], None]) -> None:
    with compiled.rounded_products():
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
    print(f"{'ms/crystal':34s} {'compiled':>9s} {'plain':>15s} {'products alone':>15s} {'bfloat16':>15s}")
    for group in ("m-3m", None):
        crystals = chosen(records, group, options.crystals)
        torch.manual_seed(0)
        for name, network, making in networks():
            batches = in_batches([making.graph(crystal) for crystal in crystals], options.batch)
            step = partial(steps, State.start(network, 0.0), batches)
            step()
            with Products() as products:
                plain(step)
            works = {"compiled": step, "plain": partial(plain, step)}
            works["products"] = partial(multiply, products.operands)
            if compiled.has_rounded_products():
                works["bfloat16"] = partial(rounded, step)
            times: dict[str, list[float]] = {work: [] for work in works}
            for _ in range(options.rounds):
                for work, run in works.items():
                    start = time.process_time()
                    run()
                    times[work].append((time.process_time() - start) / len(crystals) * 1e3)
            ms = {work: float(np.median(values)) for work, values in times.items()}
            unit = ms["compiled"]
            parts = "".join(f" {ms[work]:7.3f} × {ms[work] / unit:5.2f}" for work in list(works)[1:])
            label = f"{group or 'all'}, {name}, {len(crystals)} crystals"
            print(f"{label:34s} {unit:9.3f}{parts}", flush=True)


if __name__ == "__main__":
    main()
