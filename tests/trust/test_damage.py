"""Files that were cut, changed, exchanged or are of another run: refused by name, or as good as they were."""

import pickle
import shutil
import sqlite3
import warnings
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.hamiltonians.made import crystal_orbitals, random_reduced
from tests.trust.jobs import QUICK, TRAININGS
from tests.trust.processes import alone

from irrepnet.data import embedded, store
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import FrameOptions
from irrepnet.graphs.cache import Cache
from irrepnet.hamiltonians import read_reduced, write_reduced
from irrepnet.report.results import read_results
from irrepnet.training import load_run, use
from irrepnet.training.checkpoint import State

HOWS = ("cut", "empty", "flipped", "noise", "longer", "exchanged", "of another", "missing")


def damage(path: Path, how: str, rng: np.random.Generator, neighbours: list[Path], other: Path) -> None:
    """Something happens to a file; neighbours are those beside it, other is the same one of another run."""
    content = path.read_bytes()
    place = int(rng.integers(max(1, len(content))))
    if how == "cut":
        path.write_bytes(content[:place])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "flipped":
        path.write_bytes(content[:place] + bytes([content[place] ^ (1 << int(rng.integers(8)))]) + content[place + 1 :])
    elif how == "noise":
        path.write_bytes(content[:place] + rng.bytes(64) + content[place + 64 :])
    elif how == "longer":
        path.write_bytes(content + rng.bytes(16))
    elif how == "exchanged":
        path.write_bytes(neighbours[int(rng.integers(len(neighbours)))].read_bytes())
    elif how == "of another":
        shutil.copy(other, path)
    else:
        path.unlink()


def refused_if_not(is_right: Callable[[], bool]) -> str | None:
    """Why a file is refused; None if it is as good as it was."""
    try:
        assert is_right(), "it was damaged, and nobody said so"
    except IrrepnetError as error:
        return str(error)
    return None


def numbers_of(path: Path) -> list[bytes]:
    found = read_reduced(path)
    cell = found.basis.cell
    return [array.tobytes() for array in (found.H, found.S, found.bonds, cell.lattice, cell.frac_coords)]  # type: ignore


def known_of(folder: Path) -> bytes:
    """All that is read of a run folder: by predictions, evaluations and the report."""
    run, results = load_run(folder), read_results(folder)
    weights = {name: tensor.numpy().tobytes() for name, tensor in run.model.state_dict().items()}
    tables = results.table("predictions_test.csv"), results.table("metrics.csv")
    reliability = None if run.task.reliability is None else run.task.reliability.written()
    card = {key: value for key, value in run.card.items() if key != "sha256"}  # which the other files are held to
    said = card, run.split, weights, reliability, results.metrics, results.versions, tables
    return pickle.dumps((said, [astuple(rejection) for rejection in use._rejected(run)]))


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in TRAININGS])
def test_run_folders(trust, tmp_path, name):
    job = TRAININGS[name]
    for inputs in ("inputs", "others"):
        (tmp_path / inputs).mkdir()
        done = alone(job.prepare, tmp_path / inputs)
        assert done.code == 0, done.said
    config = tmp_path / "others/config.yaml"
    config.write_text(config.read_text().replace("seed: 0", "seed: 3").replace("channels: 8", "channels: 12"))
    for inputs, out in (("inputs", "run"), ("others", "other")):
        done = alone(job.run, tmp_path / inputs, tmp_path / out)
        assert done.code == 0, done.said
    known, refused, harmless = known_of(tmp_path / "run"), 0, 0
    names = sorted(path.name for path in (tmp_path / "run").iterdir())
    for k in range(trust.count(60, 8)):
        folder = shutil.copytree(tmp_path / "run", tmp_path / "damaged")
        file, how = folder / names[int(trust.rng.integers(len(names)))], HOWS[k % len(HOWS)]
        damage(file, how, trust.rng, sorted(folder.iterdir()), tmp_path / "other" / file.name)
        why = refused_if_not(lambda: known_of(folder) == known)  # noqa: B023 (called at once)
        assert not why or (str(folder) in why and "\n" not in why), (file.name, how, why)
        refused, harmless = refused + bool(why), harmless + (not why)
        shutil.rmtree(folder)
    trust.tell(f"damaged run folders, {name}", cases=refused + harmless, refused=refused, harmless=harmless, wrong=0)


def test_checkpoints(trust, tmp_path):
    def made(seed: int) -> State:
        torch.manual_seed(seed)
        state = State.start(torch.nn.Linear(4, 4), 0.1)
        state.model(torch.ones(4)).sum().backward()
        state.optimizer.step()
        state.history = [{"epoch": 1, "loss": 0.5 + seed}]
        state.keep_if_best(0.5)
        return state

    def known(state: State) -> bytes:
        moments = state.optimizer.state_dict()["state"]
        return pickle.dumps(
            [[t.tolist() for t in state.model.parameters()], [list(map(str, m.values())) for m in moments.values()],
             state.history, state.best_epoch, {key: value.tolist() for key, value in state.best.items()}]
        )  # fmt: skip

    path, other, neighbour = (tmp_path / f"{name}.safetensors" for name in ("own", "other", "neighbour"))
    made(0).save(path, "own")
    made(1).save(other, "another")
    neighbour.write_text("id,reason\n")
    content, right, refused, cases = path.read_bytes(), known(made(0)), 0, trust.count(60, 7)
    for k in range(cases):
        damage(path, HOWS[k % 7], trust.rng, [neighbour], other)
        state = made(2)
        why = refused_if_not(lambda: state.load(path, "own") or known(state) == right)  # noqa: B023 (called at once)
        assert not why or str(path) in why, (HOWS[k % 7], why)
        refused += bool(why)
        path.write_bytes(content)
    trust.tell("damaged checkpoints", cases=cases, refused=refused, harmless=cases - refused, wrong=0)


def test_stores(trust, tmp_path, monkeypatch):
    """What is damaged is made again."""
    monkeypatch.setattr(store, "SHARD", 4)
    records = embedded("elastic_tensor_2015")[:12]

    def graphs(folder: Path) -> bytes:
        monkeypatch.setenv("IRREPNET_CACHE", str(folder))
        found = store.record_graphs(records, FrameOptions(max_frames=4), workers=1)
        arrays: Any = [vars(found[k]) for k in range(len(found)) if k not in found.refused]
        return pickle.dumps((repr(arrays), found.refused, found.rotations.tolist()))

    right, cases = graphs(tmp_path / "whole"), trust.count(120, 8)
    monkeypatch.setenv("IRREPNET_CACHE", str(tmp_path / "other"))
    store.record_graphs(embedded("elastic_tensor_2015")[20:32], FrameOptions(), workers=1)
    others = sorted((tmp_path / "other/graphs").iterdir())
    for k in range(cases):
        folder = shutil.copytree(tmp_path / "whole", tmp_path / "damaged")
        shards = sorted((folder / "graphs").iterdir())
        path = shards.pop(int(trust.rng.integers(len(shards))))
        damage(path, HOWS[k % len(HOWS)], trust.rng, shards, others[k % len(others)])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert graphs(folder) == right, (path.name, HOWS[k % len(HOWS)])
        shutil.rmtree(folder)
    trust.tell("damaged stores: made again", cases=cases, wrong=0)


def test_caches(trust, tmp_path):
    """What is damaged counts as missing."""
    values = {f"key {k}": [k, "x" * int(trust.rng.integers(400))] for k in range(100)}
    whole, other = tmp_path / "whole.sqlite", tmp_path / "other.sqlite"
    Cache(whole).put(values)
    Cache(other).put({f"key {k}": [-k] for k in range(50, 150)})
    cases, there = trust.count(120, 10), 0
    for k in range(cases):
        path = Path(shutil.copy(whole, tmp_path / f"{k}.sqlite"))
        how = (*HOWS, "swapped values")[k % 9]
        if how == "swapped values":
            with sqlite3.connect(path) as file:
                for old, new in (("key 1", "x"), ("key 2", "key 1"), ("x", "key 2")):
                    file.execute("UPDATE results SET key = ? WHERE key = ?", (new, old))
        elif how != "of another":  # whose values are right ones of other content, for a key is a digest of it
            damage(path, how, trust.rng, [Path(__file__)], other)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kept = Cache(path)
            found = kept.get(values)
            assert all(values[key] == own for key, own in found.items()), how
            kept.put({"new": 1})
            assert kept.get(["new"]) == {"new": 1}
        there += len(found)
    trust.tell("damaged caches: what is damaged is missing", cases=cases, values=there, wrong=0)


def test_generated_hamiltonians(trust, tmp_path):
    basis = crystal_orbitals("NaCl", "Na:s,Cl:p")
    path, other, neighbour = (tmp_path / f"{name}.safetensors" for name in ("own", "other", "neighbour"))
    for file, seed in ((path, 0), (other, 1)):
        write_reduced(random_reduced(basis, 3.0, seed, overlap=True), file)
    neighbour.write_text("{}")
    right, content, refused, cases = numbers_of(path), path.read_bytes(), 0, trust.count(120, 8)
    for k in range(cases):
        how = ("cut", "empty", "flipped", "noise", "longer", "exchanged", "missing")[k % 7]
        damage(path, how, trust.rng, [neighbour], other)
        why = refused_if_not(lambda: numbers_of(path) == right)
        assert not why or str(path) in why, (how, why)
        refused += bool(why)
        path.write_bytes(content)
    trust.tell("damaged Hamiltonians", cases=cases, refused=refused, harmless=cases - refused, wrong=0)
