"""What does a training step of `point-group` cost beside those of CGCNN and of O(3) networks with as many channels?

    python benchmarks/speed/networks.py [--data mp_2018.jsonl.gz] [--crystals 96] [--batch 24] [--rounds 5]

All networks of this package, on the same m-3m crystals and on crystals of all groups at random: `point-group` without
directions and mixing, `cgcnn`, and `tensor-field` with e3nn's products of l up to 2, on one atom an orbit and on all
atoms. A step is as in training.py. Milliseconds of processor time a crystal on one thread, medians over rounds in which
all networks take turns, and the ratio to `point-group`.
"""

import os
import time
from collections.abc import Callable
from functools import partial

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from irrepnet.data.batch import union
from irrepnet.models import NETWORKS, NetworkConfig
from irrepnet.training.checkpoint import State
from training import begin, chosen, steps

ROWS = {
    "point-group, shared": ("point-group", {"directions": False, "mixing": "none"}),
    "cgcnn": ("cgcnn", {}),
    "tensor-field, orbits": ("tensor-field", {}),
    "tensor-field, all atoms": ("tensor-field", {"form": "atoms"}),
}


def main() -> None:
    options, records = begin(__doc__, crystals=96, rounds=5)
    print(f"{'ms/crystal':44s} {'weights':>9s}")
    for group in ("m-3m", None):
        crystals = chosen(records, group, options.crystals)
        for channels, layers in ((64, 3), (96, 4)):
            works: dict[str, Callable[[], None]] = {}
            weights: dict[str, int] = {}
            for row, (name, fields) in ROWS.items():
                torch.manual_seed(0)
                config: NetworkConfig = NETWORKS[name].model_validate(
                    {"channels": channels, "layers": layers, **fields}
                )
                made = config.reads(**config.graph_fields)
                graphs = [made.graph(crystal) for crystal in crystals]
                batches = [union(graphs[i : i + options.batch]) for i in range(0, len(graphs), options.batch)]
                state = State.start(config.network(1, made), 0.0)
                weights[row] = sum(weight.numel() for weight in state.model.parameters())
                works[row] = partial(steps, state, batches)
                works[row]()
            times: dict[str, list[float]] = {row: [] for row in works}
            for _ in range(options.rounds):
                for row, work in works.items():
                    start = time.process_time()
                    work()
                    times[row].append((time.process_time() - start) / len(crystals) * 1e3)
            ms = {row: float(np.median(values)) for row, values in times.items()}
            for row, value in ms.items():
                label = f"{group or 'all'}, {channels}×{layers}, {row}"
                print(
                    f"{label:44s} {weights[row]:9d} {value:8.3f} × {value / ms['point-group, shared']:6.2f}", flush=True
                )


if __name__ == "__main__":
    main()
