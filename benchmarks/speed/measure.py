"""Jobs in processes of their own: seconds of processor time and peak memory, one after the other, several times.

A benchmark has a table of jobs. A job takes its imports and its input, and returns what is to be measured:

    JOBS = {"sum": lambda: lambda: sum(range(10**6))}

`costs` starts the script again once a job and round, with one thread, all jobs before the next round, and gives the
medians; there the script calls `run`. This file needs nothing but Python: jobs run where irrepnet is not installed too.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

Job = Callable[[], Callable[[], object]]


class Cost(NamedTuple):
    seconds: float
    """Of the processor, of the work without imports and input."""
    peak: float
    """GB, of the whole process."""


def run(jobs: dict[str, Job]) -> None:
    """In the process of a job, `--job NAME`: measures it and prints its cost."""
    work = jobs[sys.argv[2]]()
    start = time.process_time()
    result = work()
    seconds = time.process_time() - start
    del result
    print(json.dumps([seconds, _peak()]))


def costs(script: str, names: Iterable[str], rounds: int, pythons: dict[str, str] | None = None) -> dict[str, Cost]:
    """Medians over the rounds, of the jobs that can be run; says which cannot.

    Args:
        script: the file with the jobs.
        pythons: {job: interpreter} where it is another one.
    """
    found: dict[str, list[Cost]] = {name: [] for name in names}
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    for _ in range(rounds):
        for name in list(found):
            command = [(pythons or {}).get(name, sys.executable), script, "--job", name]
            done = subprocess.run(command, capture_output=True, text=True, env=environment)
            if done.returncode:
                print(f"{name}: not measured: {done.stderr.strip().splitlines()[-1]}")
                del found[name]
            else:
                found[name].append(Cost(*json.loads(done.stdout.splitlines()[-1])))
    return {name: Cost(*map(statistics.median, zip(*each))) for name, each in found.items()}


def table(found: dict[str, Cost], ours: str) -> None:
    """The ratios to ours first: they hold on another machine, seconds do not."""
    print(f"{'':34s}{'time':>8s}{'memory':>8s}{'s':>10s}{'GB':>8s}")
    for name, cost in found.items():
        ratios = f"{cost.seconds / found[ours].seconds:8.2f}{cost.peak / found[ours].peak:8.2f}"
        print(f"{name:34s}{ratios}{cost.seconds:10.3f}{cost.peak:8.2f}")


def parser(doc: str | None) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--rounds", type=int, default=5, help="of all jobs, of which medians are taken")
    return made


def print_versions(*packages: str, python: str = sys.executable) -> None:
    """Of an interpreter and what it has of these packages."""
    code = f"""if True:
        import importlib.metadata, platform
        print("Python", platform.python_version(), end="")
        for name in {packages}:
            try:
                print(f", {{name}} {{importlib.metadata.version(name)}}", end="")
            except importlib.metadata.PackageNotFoundError:
                print(f", {{name}} is not installed", end="")"""
    versions = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout
    print(f"{platform.machine()}, {os.cpu_count()} cores, one thread; {versions}")


def _peak() -> float:
    """GB. On Linux of this program alone: `getrusage` begins with the memory of the process that started it."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e9
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e9
