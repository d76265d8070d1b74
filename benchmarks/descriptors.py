"""How long do the descriptors of motifs take?

    python benchmarks/descriptors.py --data mp_2018.jsonl.gz [--crystals 400] [--json descriptors.json]

Takes crystals of all point groups alike, and computes their shells (CrystalNN) with order parameters, and again with
symmetry measures, each with an empty cache. Prints crystals a second by wall clock and by processor time, what that
makes for 15,000 crystals, and the sites that fail. The start of the workers, some seconds, is counted.
"""

import argparse
import gzip
import json
import os
import platform
import tempfile
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from irrepnet.crystals import SymmetricCrystal
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import HypergraphOptions, hypergraph

GOAL = 15_000  # crystals


def sample(records: list[dict], n: int) -> list[SymmetricCrystal]:
    """About as many crystals of each point group, at random, as far as there are."""
    random = np.random.default_rng(0)
    groups = {name: [] for name in sorted({record["point_group"] for record in records})}
    for record in random.permutation(np.array(records, dtype=object)):
        groups[record["point_group"]].append(record)
    found: list[SymmetricCrystal] = []
    turn = 0
    while len(found) < n and any(len(group) > turn for group in groups.values()):
        for group in groups.values():
            if turn < len(group) and len(found) < n:
                try:
                    found.append(SymmetricCrystal.from_structure(group[turn]))
                except IrrepnetError as error:
                    print(error)
        turn += 1
    return found


def measured(crystals: list[SymmetricCrystal], feature: str) -> dict:
    options = HypergraphOptions(hyperedges=("motifs",), motif_features=(feature,))

    with tempfile.TemporaryDirectory() as folder:
        os.environ["IRREPNET_CACHE"] = folder
        start = time.process_time()
        failures = [line for crystal in crystals for line in hypergraph(crystal, options).failures]
        used = time.process_time() - start
    return {
        "crystals a second of one core's time": len(crystals) / used,
        "minutes for 15,000 on two free cores": GOAL / len(crystals) * used / 120,
        "sites that fail": dict(Counter(line.split("): ", 1)[1] for line in failures)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="descriptors of motifs, crystals a second")
    parser.add_argument("--data", type=Path, required=True, help="records, .jsonl.gz")
    parser.add_argument("--crystals", type=int, default=400)
    parser.add_argument("--json", type=Path, help="also write the result here")
    arguments = parser.parse_args()

    with gzip.open(arguments.data, "rt") as lines:
        records = [json.loads(line) for line in lines]
    crystals = sample(records, arguments.crystals)
    result = {
        "data": arguments.data.name,
        "crystals": len(crystals),
        "point groups": len({crystal.point_group.name for crystal in crystals}),
        "atoms": sum(map(len, crystals)),
        "sites": sum(len(crystal.representatives) for crystal in crystals),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {name: version(name) for name in ("pymatgen-core", "pymatgen", "numpy", "scipy")},
        **{feature: measured(crystals, feature) for feature in ("lsop", "csm")},
    }
    text = json.dumps(result, indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
