"""The store of graphs: how fast a training starts, how large it is, and what a million crystals take.

    python benchmarks/speed/store.py [--data mp_2018.jsonl.gz]
    python benchmarks/speed/store.py --generate 1000000 --folder /scratch/million

The first form makes the graphs of all records of a set or file, by 1, 2, … processes, each time from nothing, and opens
them again; and it keeps the same arrays as Arrow's IPC files, memory-mapped too, for comparison. The second writes so
many records of six structure types with random lattices and elements, trains on them for one epoch by the command
`irrepnet train` with an empty store, and again with the full one, and samples the anonymous memory of the processes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from irrepnet.data import read_records
from irrepnet.data.store import SHARD, record_graphs, store_folder
from irrepnet.graphs import FrameOptions, Packed, pack
from irrepnet.models import PointGroupConfig

PRESET = {"model.directions": "false", "model.mixing": "none", "model.channels": 64, "model.layers": 3}
FCC, CUBE = [[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]], np.eye(3).tolist()
TYPES = {  # lattice over a, positions, range of a in Å
    "AB": (FCC, [[0, 0, 0], [0.5, 0.5, 0.5]], (4, 7)),
    "AC": (FCC, [[0, 0, 0], [0.25, 0.25, 0.25]], (4.5, 7)),
    "AD": (CUBE, [[0, 0, 0], [0.5, 0.5, 0.5]], (3, 4.5)),
    "AB2": (FCC, [[0, 0, 0], [0.25, 0.25, 0.25], [0.75, 0.75, 0.75]], (5, 7)),
    "ABC3": (CUBE, [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]], (3.8, 5)),
    "AB3": (CUBE, [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]], (3.5, 4.5)),
}
COUNTS = {"AB": (1, 1), "AC": (1, 1), "AD": (1, 1), "AB2": (1, 2), "ABC3": (1, 1, 3), "AB3": (1, 3)}
ELEMENTS = "Li Na K Rb Mg Ca Sr Ba Sc Y La Ti Zr Hf V Nb Cr Mo Mn Fe Co Ni Cu Zn Al Ga In Si Ge Sn N P O S Se F Cl Br"


def generate(path: Path, number: int) -> None:
    """Records with a made-up energy."""
    random, symbols = np.random.default_rng(0), ELEMENTS.split()
    with path.open("w", encoding="utf-8") as stream:
        for k in range(number):
            name = list(TYPES)[k % len(TYPES)]
            lattice, positions, (low, high) = TYPES[name]
            a = random.uniform(low, high)
            chosen = random.choice(symbols, len(COUNTS[name]), replace=False)
            species = [symbol for symbol, count in zip(chosen, COUNTS[name]) for _ in range(count)]
            line = {
                "id": f"made-{k}",
                "species": species,
                "frac_coords": positions,
                "lattice": (a * np.array(lattice)).tolist(),
                "formation_energy_per_atom": float(np.cos(a) - len(species) / 5),
            }
            stream.write(json.dumps(line) + "\n")


def trained(data: Path, out: Path, folder: Path) -> dict[str, float]:
    """Seconds until the first step and of all, processor seconds, and the most anonymous memory, GB."""
    settings = [f"--set={key}={value}" for key, value in PRESET.items()]
    command = [sys.executable, "-m", "irrepnet", "train", "point-group", "--data", str(data), "--out", str(out)]
    command += ["--target", "formation_energy_per_atom", "--epochs", "1", "--set=training.batch_size=240", *settings]
    start, first, most = time.time(), 0.0, 0
    process = subprocess.Popen(command, env={**os.environ, "IRREPNET_CACHE": str(folder)}, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        most = max(most, sum(map(anonymous, family(process.pid))))
        log = out / "log.txt"
        if not first and log.exists() and "parameters" in log.read_text(encoding="utf-8"):
            first = time.time() - start
        time.sleep(0.2)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return {"start, s": first, "all, s": time.time() - start, "anonymous memory, GB": most / 1e6}


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def anonymous(pid: int) -> int:
    """kB."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock and of the processor, children included."""
    wall, used = time.perf_counter(), os.times()
    call()
    return time.perf_counter() - wall, sum(os.times()[:4]) - sum(used[:4])


def formats(data: str) -> None:
    records, _ = read_records(data)
    options = FrameOptions(**PointGroupConfig().graph_fields)
    print(f"{data}: {len(records)} crystals; {', '.join(f'{n} {version(n)}' for n in ('safetensors', 'numpy'))}")
    with tempfile.TemporaryDirectory() as folder:
        for workers in range(1, (os.cpu_count() or 1) + 1):
            os.environ["IRREPNET_CACHE"] = str(Path(folder) / str(workers))
            wall, _ = timed(lambda n=workers: record_graphs(records, options, workers=n))
            print(f"made by {workers} processes: {wall:.1f} s, {len(records) / wall:.0f} crystals/s")
        size = sum(file.stat().st_size for file in store_folder().iterdir())
        wall, used = timed(lambda: record_graphs(records, options))
        print(f"opened: {wall:.2f} s ({used:.2f} s of the processor), {size / len(records) / 1e3:.2f} kB a crystal")
        graphs = record_graphs(records, options)
        there = [k for k in range(len(records)) if k not in graphs.refused]
        wall, used = timed(lambda: [graphs[k] for k in there])
        print(f"all graphs: {used / len(there) * 1e6:.1f} µs each")
        arrow([graphs[k] for k in there], Path(folder))


def arrow(graphs: list, folder: Path) -> None:
    """The same arrays as Arrow keeps them: one record batch a shard, a list a column."""
    import pyarrow as pa

    def write() -> None:
        for i in range(0, len(graphs), SHARD):
            layout, arrays = pack(graphs[i : i + SHARD])
            columns = {name: pa.array([array.ravel()]) for name, array in arrays.items()}
            shapes = {name: array.shape for name, array in arrays.items()}
            table = pa.table(columns).replace_schema_metadata({"layout": json.dumps([layout, shapes])})
            with pa.OSFile(str(folder / f"{i}.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table)

    def read() -> list[Packed]:
        found = []
        for i in range(0, len(graphs), SHARD):
            table = pa.ipc.open_file(pa.memory_map(str(folder / f"{i}.arrow"))).read_all()
            layout, shapes = json.loads(table.schema.metadata[b"layout"])
            arrays = {
                name: table[name].chunk(0).values.to_numpy(zero_copy_only=True).reshape(shapes[name])
                for name in table.column_names
            }
            found.append(Packed(layout, arrays, len(graphs[i : i + SHARD])))
        return found

    _, used = timed(write)
    size = sum(file.stat().st_size for file in folder.glob("*.arrow"))
    _, opened = timed(read)
    print(
        f"Arrow IPC (pyarrow {pa.__version__}): packed and written in {used:.2f} s, opened in {opened:.2f} s of the "
        f"processor, without a checksum; {size / len(graphs) / 1e3:.2f} kB a crystal"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="formation_energy_2015", help="an embedded set, or records")
    parser.add_argument("--generate", type=int, help="instead: so many records; train on them")
    parser.add_argument("--folder", type=Path, default=Path("results/million"), help="where these lie")
    options = parser.parse_args()
    if not options.generate:
        formats(options.data)
    else:
        options.folder.mkdir(parents=True, exist_ok=True)
        data = options.folder / f"made-{options.generate}.jsonl"
        if not data.exists():
            generate(data, options.generate)
        for turn in ("empty store", "full store"):
            out = options.folder / f"{turn.split()[0]}-{options.generate}"
            found = trained(data, out, options.folder / f"cache-{options.generate}")
            print(f"{turn}: " + ", ".join(f"{name} {value:.1f}" for name, value in found.items()), flush=True)


if __name__ == "__main__":
    main()
