"""What does a crystal cost from its record to its graph, with the compiled code, without it, and in moyopy and vesin?

    python benchmarks/speed/featurising.py [--data mp_2018.jsonl.gz] [--crystals 1000] [--rounds 7]

Crystals at random, graphs as the preset `point-group` reads them. Milliseconds of processor time a crystal on one
thread, medians over rounds in which all rows take turns. "Records to graphs" is all that the store does, packing
included; moyopy finds the symmetry of the cells as they are in the file, and vesin the pairs in them within the radius
that holds 12 neighbours on average.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version

os.environ.setdefault("OMP_NUM_THREADS", "1")

import moyopy
import numpy as np
import vesin

from irrepnet import __version__, compiled
from irrepnet.crystals import SymmetricCrystal, read_cell
from irrepnet.data import Record, read_records
from irrepnet.data.store import record_graphs
from irrepnet.graphs import FrameOptions
from irrepnet.models import PointGroupConfig

OPTIONS = FrameOptions(**PointGroupConfig().graph_fields)


def symmetries(cells: list[moyopy.Cell]) -> None:
    for cell in cells:
        moyopy.MoyoDataset(cell, symprec=OPTIONS.symprec, setting=moyopy.Setting.standard())


def neighbours(records: list[Record]) -> None:
    for record in records:
        spacing = np.cbrt(abs(np.linalg.det(record.lattice)) / len(record))
        search = vesin.NeighborList(cutoff=max(3.0, 1.3 * spacing * np.cbrt(39 / (4 * np.pi))), full_list=True)
        search.compute(record.frac_coords @ record.lattice, record.lattice, True, "ijSD")


def graphs(records: list[Record]) -> None:
    record_graphs(records, OPTIONS, keep=False, workers=1)


def plain(records: list[Record]) -> None:
    with compiled.switched_off():
        graphs(records)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="formation_energy_2015", help="an embedded set, or records")
    parser.add_argument("--crystals", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    everything, _ = read_records(options.data)
    places = np.random.default_rng(0).permutation(len(everything))[: options.crystals]
    records = [everything[k] for k in places]
    cells = [read_cell(record) for record in records]
    moyo = [moyopy.Cell(c.lattice.tolist(), c.frac_coords.tolist(), c.numbers.tolist()) for c in cells]
    crystals = [SymmetricCrystal.from_structure(record, OPTIONS.symprec) for record in records]
    rows: dict[str, tuple[int, Callable[[], object]]] = {
        "file to records": (len(everything), lambda: read_records(options.data)),
        "records to graphs": (len(records), lambda: graphs(records)),
        "… without compiled code": (len(records), lambda: plain(records)),
        "records to crystals": (
            len(records),
            lambda: SymmetricCrystal.from_structures(records, OPTIONS.symprec),
        ),
        "crystals to graphs": (len(records), lambda: [OPTIONS.graph(crystal) for crystal in crystals]),
        "moyopy alone": (len(records), lambda: symmetries(moyo)),
        "vesin alone": (len(records), lambda: neighbours(records)),
    }
    times: dict[str, list[float]] = {name: [] for name in rows}
    for turn in range(options.rounds + 1):
        for name, (size, work) in rows.items():
            start = time.process_time()
            work()
            if turn:  # the first round fills caches
                times[name].append(1e3 * (time.process_time() - start) / size)
    libraries = ", ".join(f"{name} {version(name)}" for name in ("moyopy", "vesin", "numpy", "scipy"))
    print(f"irrepnet {__version__} ({compiled.state()}), {libraries}; {platform.processor() or platform.machine()}")
    print(f"{options.data}: {len(records)} crystals, {np.mean([len(cell.numbers) for cell in cells]):.1f} atoms each")
    for name, found in times.items():
        print(f"{name:24} {np.median(found):6.3f} ms ({1e3 / np.median(found):5.0f} crystals/s)")


if __name__ == "__main__":
    main()
