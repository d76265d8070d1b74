"""Benchmarks still run, on a few crystals and for a moment."""

import gzip
import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

from irrepnet.crystals import SymmetricCrystal
from irrepnet.data import embedded, read_records

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "benchmarks" / "accuracy" / "scalars.py"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "ten.jsonl.gz"
    with gzip.open(path, "wt") as stream:
        for record in embedded("formation_energy_2015")[:10]:
            content = {**record.properties, "material_id": record.id, "species": record.species}
            content |= {"frac_coords": record.frac_coords.tolist(), "lattice": record.lattice.tolist()}
            stream.write(json.dumps(content) + "\n")
    return path


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPT.parent)
    return import_module(SCRIPT.stem)


@pytest.fixture
def run(benchmark, monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", [SCRIPT.name, *map(str, arguments)])
        benchmark.main()
        return capsys.readouterr().out

    return run


def test_the_runs_so_far_are_a_table(run):
    table = run("table", "--out", SCRIPT.parent / SCRIPT.stem)
    assert "| ours | 10 |" in table
    assert "| CGCNN | 10 |" in table


def test_numbers_beside_peers(run, data, tmp_path):
    out, split = tmp_path / "results", tmp_path / "split.json"
    command = ["train", "--data", data, "--model", "ours", "--minutes", 0.02, "--split", split, "--out", out]
    run(*command)
    ids = json.loads(split.read_text())
    assert sorted(map(len, (part["id"] for part in ids.values()))) == [1, 1, 8]
    (result,) = map(json.loads, (out / "results.jsonl").read_text().splitlines())
    assert result["steps"] > 0
    assert result["seconds"] == pytest.approx(1.2, abs=1)
    predicted = np.load(out / f"formation-energy, ours, 0.02 min, {result['rate']:g}, seed 0.npz")["test"]
    (true,) = (record for record in embedded("formation_energy_2015")[:10] if record.id in ids["test"]["id"])
    error = abs(predicted[0] - true.properties["formation_energy_per_atom"])
    assert result["test"]["error"] == pytest.approx(error)
    assert list(result["test"]["by system"].values()) == [result["test"]["error"]]

    assert "finished" in run(*command)
    table = run("table", "--out", out, "--picture", tmp_path / "curves.png")
    assert f"| {result['test']['error']:.4f} |" in table
    assert (tmp_path / "curves.png").stat().st_size > 0


def test_a_training_goes_on_from_its_checkpoint(benchmark, data, tmp_path):
    records = read_records(data)[0]
    network = benchmark.NETWORKS["composition"]()
    examples, wanted = network.examples(records), torch.zeros(len(records))
    checkpoint, run = tmp_path / "half.safetensors", benchmark.Run("formation-energy", "composition", 0.005, 0.001, 0)
    half = benchmark.train(network, network.module(examples), examples, wanted, run, checkpoint)
    minutes = half.history[-1]["seconds"] / 60 + 0.005
    longer = benchmark.Run("formation-energy", "composition", minutes, 0.001, 0)
    whole = benchmark.train(network, network.module(examples), examples, wanted, longer, checkpoint)
    assert whole.history[0] == half.history[0]
    assert whole.history[-1]["steps"] > half.history[-1]["steps"]
    # what is finished is only loaded
    again = benchmark.train(network, network.module(examples), examples, wanted, longer, checkpoint)
    assert again.history[-1]["steps"] == whole.history[-1]["steps"]
    assert all(map(torch.equal, again.average.state_dict().values(), whole.average.state_dict().values()))


# -- every script

FOLDER = ROOT / "benchmarks"
SCRIPTS = sorted(str(path.relative_to(FOLDER).with_suffix("")) for path in FOLDER.rglob("*.py"))
LIBRARIES = {"jobs", "speed/measure", "accuracy/peers", "chgnet_labels", "original_cgcnn"}
"""What other scripts use, or other interpreters run."""
TEN = {
    "crystals": "--data CUBIC",
    "descriptors": "--data CUBIC --crystals 10",
    "every_crystal": "--data CUBIC --cost --crystals 10",
    "forms": "--data CUBIC --crystals 10 --rounds 1",
    "hypergraphs": "--data CUBIC --targets band_gap --out OUT --rows bonds --seeds 0 --epochs 1",
    "oh_scalars": "--data CUBIC --out OUT --epochs 1 --seeds 1",
    "reading": "EXAMPLES",
    "symmetrize": "--cells 1",
    "vector_forms": "--data CUBIC --crystals 10 --rounds 1",
    "accuracy/reliability": "--data CUBIC --run formation-energy",
    "speed/featurising": "--data CUBIC --crystals 10 --rounds 1",
    "speed/groups": "--rounds 1",
    "speed/networks": "--rounds 1",
    "speed/processes": "--data CUBIC --crystals 10 --processes 1",
    "speed/training": "--data CUBIC --crystals 10 --batch 5 --rounds 1",
}
"""How a script is run on ten crystals, for a moment. Of the others, which cannot be made as short, or need data or
programs that are not here, the imports and the arguments are tried."""


@pytest.fixture(scope="module")
def cubic(tmp_path_factory):
    """Ten crystals of m-3m."""
    path, lines = tmp_path_factory.mktemp("cubic") / "cubic.jsonl.gz", []
    for record in embedded("formation_energy_2015"):
        if SymmetricCrystal.from_structure(record).point_group.name == "m-3m":
            content = {**record.properties, "material_id": record.id, "species": list(record.species)}
            content |= {"frac_coords": record.frac_coords.tolist(), "lattice": record.lattice.tolist()}
            lines.append(json.dumps(content))
        if len(lines) == 10:
            break
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


def test_the_scripts_are_known():
    assert set(SCRIPTS) >= {*TEN, *LIBRARIES}


@pytest.mark.slow
@pytest.mark.parametrize("script", [name for name in SCRIPTS if name not in LIBRARIES])
def test_a_script_runs(script, cubic, tmp_path):
    words = {"CUBIC": cubic, "OUT": tmp_path / "out", "EXAMPLES": ROOT / "examples"}
    arguments = [str(words.get(word, word)) for word in TEN.get(script, "--help").split()]
    command = [sys.executable, "-W", "ignore", str(FOLDER / f"{script}.py"), *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip()
