"""What more processes and more crystals cost and give: graphs, training, prediction.

    python benchmarks/speed/processes.py [--data mp_2018.jsonl.gz] [--crystals 1000 10000 30000] [--out processes.png]

Each row is a command that a user would give, in a process of its own, on the first so many crystals of the data, by 1,
2, … processes: `irrepnet data build` into an empty store, one epoch of `irrepnet train` from the full one (by torchrun
where there are several, which share each batch), `irrepnet predict formation-energy` to a file. Seconds are by the
clock, starts included, so the machine must be quiet; the memory is the most that all processes of a command hold
together, without what is mapped from files.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from measure import print_versions
from store import anonymous, family

from irrepnet.crystals.text import lines_of
from irrepnet.data import sets

EMBEDDED = sets.FOLDER / "formation_energy_2015.jsonl.gz"
TARGET = "formation_energy_per_atom"
WORK = ("graphs", "training", "prediction")
SHARED = ["--set=model.directions=false", "--set=model.mixing=none"]


def command(work: str, data: Path, folder: Path, processes: int) -> Sequence[str]:
    """What is started; a training takes its graphs from the store, and its steps are what is measured."""
    start = [sys.executable, "-m"]
    if work == "training" and processes > 1:
        start += ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m"]
    start.append("irrepnet")
    learned = ["point-group", "--data", str(data), "--target", TARGET, *SHARED]
    if work == "graphs":
        return [*start, "data", "build", *learned, "--workers", str(processes)]
    if work == "training":
        return [*start, "train", *learned, "--epochs", "1", "--out", str(folder / f"run-{processes}")]
    table = str(folder / f"{processes}.csv")
    return [*start, "predict", "formation-energy", str(data), "--workers", str(processes), "-o", table]


def measured(given: Sequence[str], cache: Path) -> tuple[float, float]:
    """Seconds, and GB of anonymous memory."""
    environment = os.environ | {"IRREPNET_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    start, most = time.perf_counter(), 0
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(given, env=environment, stdout=said, stderr=said)
        while process.poll() is None:
            most = max(most, sum(map(anonymous, family(process.pid))))
            time.sleep(0.05)
        seconds = time.perf_counter() - start
        if process.returncode:
            said.seek(0)
            raise SystemExit(f"{' '.join(given)} ended with {process.returncode}: {said.read().decode()[-2000:]}")
    return seconds, most / 1e6


def epoch(run: Path) -> float:
    """Seconds of the steps and the validation of a run's only epoch."""
    with (run / "metrics.csv").open(encoding="utf-8") as stream:
        return float(next(csv.DictReader(stream))["seconds"])


def rows(data: Path, sizes: Sequence[int], most: int) -> Iterator[tuple[str, int, int, float, float]]:
    """What was done, with how many crystals, by how many processes; seconds, GB."""
    lines = list(islice(lines_of(data), max(sizes)))
    with tempfile.TemporaryDirectory() as temporary:
        for size in sorted({min(size, len(lines)) for size in sizes}):
            folder = Path(temporary) / str(size)
            folder.mkdir()
            own = folder / "crystals.jsonl"
            own.write_bytes(b"".join(lines[:size]))
            for processes in range(1, most + 1):
                cache = folder / f"cache-{processes}"
                for work in WORK:
                    seconds, memory = measured(command(work, own, folder, processes), cache)
                    yield work, size, processes, seconds, memory
                    if work == "training":
                        yield "its epoch", size, processes, epoch(folder / f"run-{processes}"), memory


def draw(found: Sequence[tuple[str, int, int, float, float]], path: Path) -> None:
    """Seconds against the number of crystals, a panel for each kind of work, a curve for each number of processes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    kinds = list(dict.fromkeys(row[0] for row in found))
    figure, axes = plt.subplots(1, len(kinds), figsize=(3.2 * len(kinds), 3), sharey=True)
    for axis, kind in zip(axes, kinds):
        for number in sorted({row[2] for row in found}):
            points = [(size, seconds) for work, size, own, seconds, _ in found if (work, own) == (kind, number)]
            axis.loglog(*zip(*points), "o-", label=f"{number} process{'es' if number > 1 else ''}")
        axis.set(title=kind, xlabel="crystals")
        axis.legend(frameon=False, fontsize=8)
    axes[0].set(ylabel="s")
    figure.tight_layout()
    figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=EMBEDDED, help="JSON lines with formation energies")
    parser.add_argument("--crystals", type=int, nargs="+", default=[1_000, 10_000, 30_000], help="at most all")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="at most")
    parser.add_argument("--out", type=Path, help="a picture")
    options = parser.parse_args()
    print_versions("torch", "numpy")
    found = []
    print("| work | crystals | processes | s | crystals/s | GB |\n|---|---|---|---|---|---|")
    for row in rows(options.data, options.crystals, options.processes):
        work, size, processes, seconds, memory = row
        print(f"| {work} | {size:,} | {processes} | {seconds:.1f} | {size / seconds:.0f} | {memory:.2f} |", flush=True)
        found.append(row)
    if options.out:
        draw(found, options.out)


if __name__ == "__main__":
    main()
