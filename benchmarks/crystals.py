"""How many crystals a second become symmetric in their frame, with their neighbour shells?

    python benchmarks/crystals.py --data mp_2018.jsonl.gz [--json crystals.json]

Times `SymmetricCrystal.from_structure` and `neighbour_shells` apart, on one thread, over the records of one
point group (m-3m unless told otherwise), and prints crystals a second by wall clock and by processor time.
"""

import argparse
import gzip
import json
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from irrepnet.crystals import SymmetricCrystal, neighbour_shells
from irrepnet.errors import IrrepnetError


def timed(function, items: list) -> tuple[list, dict[str, float]]:
    """The results of `function` on `items`, and items a second by wall clock and processor time."""
    wall, processor = time.perf_counter(), time.process_time()
    results = [function(item) for item in items]
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    return results, {"wall": len(items) / wall, "processor": len(items) / processor}


def crystal_or_none(record: dict) -> SymmetricCrystal | None:
    try:
        return SymmetricCrystal.from_structure(record)
    except IrrepnetError as error:
        print(error)
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description="crystals a second")
    parser.add_argument("--data", type=Path, required=True, help="records, .jsonl.gz")
    parser.add_argument("--point-group", default="m-3m", help="of the records, or all")
    parser.add_argument("--json", type=Path, help="also write the result here")
    arguments = parser.parse_args()

    with gzip.open(arguments.data, "rt") as lines:
        records = [json.loads(line) for line in lines]
    if arguments.point_group != "all":
        records = [record for record in records if record["point_group"] == arguments.point_group]
    neighbour_shells(SymmetricCrystal.from_structure(records[0]))  # imports and tables, once a process

    found, frame = timed(crystal_or_none, records)
    crystals = [crystal for crystal in found if crystal is not None]
    shells, neighbours = timed(neighbour_shells, crystals)
    both = {clock: 1 / (1 / frame[clock] + 1 / neighbours[clock]) for clock in frame}
    result = {
        "data": arguments.data.name,
        "point_group": arguments.point_group,
        "crystals": len(records),
        "refused": len(records) - len(crystals),
        "median_atoms": float(np.median([len(crystal) for crystal in crystals])),
        "neighbours_per_atom": sum(len(pairs.sender) for pairs in shells) / sum(map(len, crystals)),
        "crystals_per_second": {"frame": frame, "shells": neighbours, "frame and shells": both},
        "largest_displacement_angstrom": max(crystal.displacement for crystal in crystals),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("numpy", "scipy", "moyopy", "vesin")},
        },
    }
    print(json.dumps(result, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
