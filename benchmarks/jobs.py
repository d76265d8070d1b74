"""What the benchmarks that train networks share: runs of rows for targets and seeds, and tables in Markdown."""

import argparse
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from irrepnet.errors import IrrepnetError

Rows = dict[str, tuple[str, dict[str, Any]]]
"""Name of a row → preset and what is changed in it."""


@dataclass(frozen=True)
class Job:
    """One run: a row, a target, a seed. A benchmark says which rows there are, and what else is set."""

    row: str
    target: str
    seed: int
    options: argparse.Namespace
    rows: ClassVar[Rows]

    @property
    def folder(self) -> Path:
        return Path(self.options.out) / self.target / f"{self.row}-seed{self.seed}"

    def settings(self) -> dict[str, Any]:
        """Of all rows; what a row changes comes after it."""
        raise NotImplementedError

    def config(self) -> Any:
        from irrepnet.training import load_config, parse_assignment

        preset, changes = self.rows[self.row]
        settings = {
            "data.targets": [self.target],
            "training.seed": self.seed,
            "training.threads": 1,
            "training.device": "cpu",
            **self.settings(),
            **changes,
        }
        if self.options.epochs:
            settings["training.epochs"] = self.options.epochs
        return load_config(preset, settings | dict(map(parse_assignment, self.options.set)))

    def train(self) -> str:
        """Run it, or go on with it; returns what went wrong, or nothing."""
        from irrepnet.training import train

        try:
            train(self.config(), self.folder, resume=True, quiet=True)
        except IrrepnetError as error:
            return str(error)
        return ""


def run_jobs(jobs: Sequence[Job]) -> None:
    """Train all that is not finished, ``--jobs`` at a time, each in a process of its own; none with ``--table``."""
    if not jobs or jobs[0].options.table:
        return
    processes = jobs[0].options.jobs
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the processes begin with it
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        running = {pool.submit(job.train): job for job in jobs}
        for done in as_completed(running):
            print(f"{running[done].folder}: {done.result() or 'finished'}", flush=True)


def add_arguments(parser: argparse.ArgumentParser, rows: Sequence[str]) -> None:
    """What says which runs there are, and how they are run."""
    parser.add_argument("--rows", default=",".join(rows), help=f"of {', '.join(rows)}")
    parser.add_argument("--seeds", default="0,1,2", help="of the weights")
    parser.add_argument("--epochs", type=int, help="each preset's by default")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="any key of the configuration")
    parser.add_argument("--jobs", type=int, default=1, help="runs at once")
    parser.add_argument("--table", action="store_true", help="train nothing, show what is finished")


def chosen(
    parser: argparse.ArgumentParser, options: argparse.Namespace, known: dict[str, Sequence[str]]
) -> list[tuple[str, str, int]]:
    """(row, target, seed) of all runs; ends the program for a row (or target) that ``known`` does not list."""
    for key, names in known.items():
        if unknown := set(getattr(options, key).split(",")) - set(names):
            parser.error(f"unknown {key} {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    rows, targets, seeds = (getattr(options, key).split(",") for key in ("rows", "targets", "seeds"))
    return [(row, target, int(seed)) for seed in seeds for target in targets for row in rows]


def spread(values: list[float]) -> str:
    """Mean ± standard deviation."""
    deviation = f" ± {np.std(values, ddof=1):.4f}" if len(values) > 1 else ""
    return f"{np.mean(values):.4f}{deviation}"


def markdown(header: list[str], rows: list[list[Any]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, cells)) + " |" for cells in lines)
