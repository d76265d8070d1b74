"""Predictions: a process that makes very many of them, and the same values however they are made."""

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.trust.jobs import JOBS, run_results
from tests.trust.processes import alone

from irrepnet.data import Record, embedded
from irrepnet.training import load_run, predict, use
from irrepnet.training.loop import threads

PAGE = os.sysconf("SC_PAGE_SIZE")
TARGET = "formation_energy_per_atom"


def changed_records(rng: np.random.Generator, atoms: int = 200) -> Iterator[Record]:
    """Crystals without end, none twice: strained, and every other one without its symmetry."""
    records = [record for record in embedded("formation_energy_2015") if len(record.species) <= atoms]
    for k, record in enumerate(itertools.cycle(records)):
        shift = 0.05 * rng.normal(size=record.frac_coords.shape) * (k % 2)
        lattice = record.lattice * (1 + 0.03 * rng.normal())
        yield replace(record, id=str(k), lattice=lattice, frac_coords=record.frac_coords + shift)


def resident(seed: list[int], number: int) -> dict[str, list[float] | int]:
    """In a process of its own: MB after each twentieth of the predictions."""
    run, rng = load_run("formation-energy"), np.random.default_rng(seed)
    use.AT_A_TIME = 512
    found, wrong, done = [], 0, 0
    for rows in use.stream_predictions(run, itertools.islice(changed_records(rng), number)):
        done += len(rows)
        wrong += sum(row[TARGET] is not None and not np.isfinite(row[TARGET]) for row in rows)
        while len(found) < 20 * done // number:
            found.append(int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 1e6)
    return {"resident": found, "wrong": wrong}


def test_the_resident_set_is_bounded(trust):
    number = trust.count(100_000)
    done = alone(resident, trust.rng.integers(2**31, size=2).tolist(), number, timeout=1800)
    assert done.code == 0, done.said
    sizes = done.value["resident"]
    assert not done.value["wrong"]
    assert max(sizes) < 1200
    if number > 10_000:  # what was freed and not given back goes up and down, so that it takes some to see
        assert max(sizes[10:]) < 1.25 * max(sizes[5:10])
    quarters = [round(max(sizes[k : k + 5])) for k in range(0, 20, 5)]
    trust.tell("resident set, most of each quarter", predictions=number, megabytes=quarters)


def numbers(rows: list[dict]) -> np.ndarray:
    return np.array([np.nan if row[TARGET] is None else row[TARGET] for row in rows])


def test_batches_and_threads(trust):
    """One at a time, in another order, on two threads: to 1e-5 eV an atom, in single precision."""
    run, count = load_run("formation-energy"), trust.count(2000)
    records = list(itertools.islice(changed_records(trust.rng, atoms=30), count))
    together = numbers(predict(run, records))
    order = trust.rng.permutation(count)
    alone_ = numbers([row for record in records for row in predict(run, record)])
    mixed = np.empty(count)
    mixed[order] = numbers(predict(run, [records[k] for k in order]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(use, "threads", lambda _: threads(2))
        threaded = numbers(predict(run, records))
    known = np.isfinite(together)
    assert known.mean() > 0.5
    differences = {}
    for name, values in {"alone": alone_, "other order": mixed, "two threads": threaded}.items():
        assert np.array_equal(np.isfinite(values), known)
        differences[name] = float(abs(values - together)[known].max())
    assert max(differences.values()) < 1e-5
    said = {name: f"{value:.0e}" for name, value in differences.items()}
    trust.tell("largest difference of a prediction, eV an atom", crystals=count, **said)


SAME = """
import sys
from pathlib import Path
from tests.trust.jobs import JOBS, _train
from irrepnet.training import predict
folder, out = map(Path, sys.argv[1:])
_train(folder, out)
(out / "said.txt").write_text(repr(predict(out, str(folder / "data.jsonl"))))
"""


@pytest.mark.slow
def test_restarts_and_hash_seeds(trust, tmp_path):
    """A training and its predictions, anew with every PYTHONHASHSEED: equal bits."""
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    JOBS["properties"].prepare(inputs)
    found, cases = [], trust.count(12, 2)
    for k in range(cases):
        environment = os.environ | {"PYTHONHASHSEED": str(k)}
        command = [sys.executable, "-W", "ignore", "-c", SAME, str(inputs), str(tmp_path / "out")]
        subprocess.run(command, env=environment, check=True)
        found.append((run_results(tmp_path / "out"), (tmp_path / "out/said.txt").read_text()))
        (tmp_path / "out").rename(tmp_path / f"out-{k}")
    assert all(one == found[0] for one in found)
    trust.tell("trainings and predictions, each with another PYTHONHASHSEED: equal bits", runs=cases)
