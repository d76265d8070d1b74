"""What does the asymmetric-unit form of an O(3) network cost, against one node an atom, on the same weights?

    python benchmarks/vector_forms.py examples/*.cif --data dielectric_constant --data mp_2018.jsonl.gz:m-3m

Prints a row for each structure file, alone in a batch, and one for a batch from each data source (the first crystals in
file order, of one point group if it is named): nodes, edges, milliseconds of processor time for inference and for a
training step (forward and backward) and their ratios, and the largest difference of the outputs (float32). The forms
take turns and the median of the rounds counts. Making the graphs is not in the times.
"""

import argparse
import os
import platform
import time
from dataclasses import replace

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from irrepnet.checks.verify import random_network
from irrepnet.crystals import SymmetricCrystal
from irrepnet.data import read_records
from irrepnet.data.batch import union
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import VECTOR_FORMS, VectorGraph, VectorGraphOptions, vector_graph
from irrepnet.models import TensorFieldConfig


def crystals(source: str, wanted: int) -> list[SymmetricCrystal]:
    """The first crystals of a source, ``NAME`` or ``NAME:POINT_GROUP``."""
    name, _, point_group = source.partition(":")
    found: list[SymmetricCrystal] = []
    for record in read_records(name)[0]:
        try:
            crystal = SymmetricCrystal.from_structure(record)
        except IrrepnetError:
            continue
        if point_group in ("", crystal.point_group.name):
            found.append(crystal)
        if len(found) == wanted:
            break
    return found


def inference(net: torch.nn.Module, batch: VectorGraph[torch.Tensor]) -> torch.Tensor:
    with torch.no_grad():
        return net(batch)


def step(net: torch.nn.Module, batch: VectorGraph[torch.Tensor]) -> torch.Tensor:
    net.zero_grad()
    out = net(batch)
    out.sum().backward()
    return out.detach()


def row(name: str, sample: list[SymmetricCrystal], net: torch.nn.Module, rounds: int) -> None:
    batches = {
        form: union([vector_graph(c, replace(VectorGraphOptions(), form=form)) for c in sample])
        for form in VECTOR_FORMS
    }
    unit, atoms = batches.values()
    text = f"{name:28s} {len(sample):5d} {len(unit.numbers):6d} {len(atoms.numbers):6d}"
    text += f" {len(unit.receiver):7d} {len(atoms.receiver):7d}"
    for work in (inference, step):
        times: dict[str, list[float]] = {form: [] for form in VECTOR_FORMS}
        results = {form: work(net, batches[form]) for form in VECTOR_FORMS}  # also warms up
        for _ in range(rounds):
            for form in VECTOR_FORMS:
                start = time.process_time()
                work(net, batches[form])
                times[form].append((time.process_time() - start) * 1e3)
        a, b = (float(np.median(times[form])) for form in VECTOR_FORMS)
        text += f" {a:8.1f} {b:8.1f} ×{b / a:5.2f}"
    gap = (results["asymmetric-unit"] - results["atoms"]).abs().max().item()
    print(f"{text}   {gap:.0e}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*")
    parser.add_argument("--data", action="append", default=[], help="a source, or SOURCE:POINT_GROUP")
    parser.add_argument("--crystals", type=int, default=64, help="in a batch")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    net = random_network(TensorFieldConfig())
    print(f"{platform.machine()}, {os.cpu_count()} cpus, 1 thread, torch {torch.__version__}, float32")
    print("of each pair: asymmetric unit, atoms")
    print("                          crystals  nodes           edges           inference, ms          step, ms")
    for file in options.files:
        row(os.path.basename(file), [SymmetricCrystal.from_structure(file)], net, options.rounds)
    for source in options.data:
        row(os.path.basename(source), crystals(source, options.crystals), net, options.rounds)


if __name__ == "__main__":
    main()
