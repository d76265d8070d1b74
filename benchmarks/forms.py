"""What does each of the three forms cost, on the same weights and the same crystals?

    python benchmarks/forms.py --data mp_2018.jsonl.gz

Takes crystals of point group m-3m in file order: cells of one atom (such as fcc metals), and a mixed sample.
Prints, per form, milliseconds of processor time a crystal for inference and for a training step (forward and
backward), their ratio to the one-frame form, and the largest difference of the outputs (float32). The forms take
turns and the median of the rounds counts.
"""

import argparse
import os
import platform
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from irrepnet.checks.verify import random_network
from irrepnet.crystals import SymmetricCrystal
from irrepnet.data import read_records
from irrepnet.data.batch import union
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import FORMS, FrameGraph, frame_graph
from irrepnet.groups import PointGroup
from irrepnet.models import PointGroupConfig, PointGroupNet


def crystals(path: str, wanted: int, sites: int | None) -> list[SymmetricCrystal]:
    """The first O_h crystals of the file, with ``sites`` atoms a primitive cell if given."""
    found: list[SymmetricCrystal] = []
    for record in read_records(path)[0]:
        if sites is not None and len(record) != sites:
            continue
        try:
            crystal = SymmetricCrystal.from_structure(record)
        except IrrepnetError:
            continue
        if crystal.point_group.name == "m-3m" and (sites is None or len(crystal) == sites):
            found.append(crystal)
        if len(found) == wanted:
            break
    return found


def inference(net: PointGroupNet, batch: FrameGraph[torch.Tensor]) -> torch.Tensor:
    with torch.no_grad():
        return net(batch)


def step(net: PointGroupNet, batch: FrameGraph[torch.Tensor]) -> torch.Tensor:
    net.zero_grad()
    out = net(batch)
    out.sum().backward()
    return out.detach()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--crystals", type=int, default=16, help="in a batch")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    group = PointGroup("m-3m")
    net = random_network(PointGroupConfig(group=group.name))
    assert isinstance(net, PointGroupNet)
    print(f"{platform.machine()}, {os.cpu_count()} cpus, 1 thread, torch {torch.__version__}, float32")
    for name, sites in (("one atom a cell", 1), ("mixed", None)):
        sample = crystals(options.data, options.crystals, sites)
        graphs: dict[str, list[FrameGraph]] = {f: [frame_graph(c, group, form=f) for c in sample] for f in FORMS}
        batches = {form: union(g) for form, g in graphs.items()}
        print(f"\n{name}: {len(sample)} crystals, {np.mean([len(c) for c in sample]):.1f} atoms")
        for label, work in (("inference", inference), ("training step", step)):
            times: dict[str, list[float]] = {form: [] for form in FORMS}
            results = {form: work(net, batches[form]) for form in FORMS}  # also warms up
            for _ in range(options.rounds):
                for form in FORMS:
                    start = time.process_time()
                    work(net, batches[form])
                    times[form].append((time.process_time() - start) / len(sample) * 1e3)
            unit = np.median(times["one-frame"])
            for form in FORMS:
                ms = np.median(times[form])
                gap = (results[form] - results["one-frame"]).abs().max().item()
                print(f"  {label:14s} {form:16s} {ms:8.2f} ms/crystal  ×{ms / unit:6.2f}   differs by {gap:.1e}")


if __name__ == "__main__":
    main()
