"""What a run leaves behind, and that its figures are true."""

import csv
import json

import numpy as np
import pytest
import torch

from irrepnet.data import read_records
from irrepnet.errors import IrrepnetError
from irrepnet.tasks.targets import mean_loss
from irrepnet.training import load_run, train

FILES = {
    "config.yaml", "versions.json", "data.json", "rejected.csv", "split.json", "metrics.csv", "metrics.json",
    "model.safetensors", "known.safetensors", "model.json", "predictions_test.csv", "log.txt", "parity.png",
    "learning_curve.png", "report.html",
}  # fmt: skip


def table(path):
    with path.open() as stream:
        return list(csv.DictReader(stream))


def read(folder, name):
    return json.loads((folder / name).read_text())


def test_the_run_folder(small_run):
    assert {path.name for path in small_run.iterdir()} == FILES
    data = read(small_run, "data.json")
    assert (data["read"], data["used"], data["rejected"]) == (97, 96, 3)
    assert data["train"] + data["validation"] + data["test"] == 96
    versions = read(small_run, "versions.json")
    assert {"irrepnet", "python", "torch", "numpy", "moyopy", "cpus", "threads", "kernels"} <= set(versions)
    card = read(small_run, "model.json")
    assert card["domain"]["point_groups"] == ["m-3m"]
    assert card["targets"][0]["unit"] == "eV/atom"
    assert card["data"]["hash"] == data["hash"]


def test_rejections_are_listed_with_their_reasons(small_run):
    rejected = {row["id"]: row["reason"] for row in table(small_run / "rejected.csv")}
    assert "small.jsonl:97: not JSON" in rejected["97"]
    assert "lattice" in rejected["no-lattice"]
    assert "point group 4/mmm" in rejected["tetragonal"]


def test_no_formula_is_in_two_parts(small_run):
    split = read(small_run, "split.json")
    parts = [set(split[part]["formula"]) for part in ("train", "validation", "test")]
    assert sum(map(len, parts)) == len(set().union(*parts))
    assert sum(len(split[part]["id"]) for part in split) == 96


def test_the_history_shows_which_epoch_was_kept(small_run):
    history, metrics = table(small_run / "metrics.csv"), read(small_run, "metrics.json")
    assert len(history) == metrics["epochs"] == 3
    losses = [float(row["validation_loss"]) for row in history]
    assert metrics["best_epoch"] == 1 + int(np.argmin(losses))
    best = history[metrics["best_epoch"] - 1]
    for target, key in (("formation_energy_per_atom", "mae"), ("metal", "auc")):
        assert float(best[f"validation_{target}_{key}"]) == pytest.approx(metrics["validation"][target][key], rel=1e-6)
    assert metrics["crystals_per_second"] > 0
    assert metrics["peak_memory_mb"] > 50


def test_the_kept_weights_have_the_best_validation_loss(small_run):
    """From the files alone: the loaded model has the smallest validation loss of the history."""
    run = load_run(small_run)
    ids = set(run.split["validation"]["id"])
    records = [record for record in read_records(run.config.data.source)[0] if record.id in ids]
    from irrepnet.data import target_values
    from irrepnet.data.batch import prepare, union
    from irrepnet.tasks.properties import known_graph

    graphs = prepare(records, lambda crystal: known_graph(crystal, run.config.graph))[1]
    values = np.stack([target.encode(target_values(records, target.name)) for target in run.targets], 1)
    with torch.no_grad():
        loss = mean_loss(run.targets, run.model(union(graphs)), torch.tensor(values, dtype=torch.float32)).item()
    history = table(small_run / "metrics.csv")
    assert loss == pytest.approx(min(float(row["validation_loss"]) for row in history), rel=1e-5)


def test_the_test_errors_are_those_of_the_predictions(small_run):
    rows, metrics = table(small_run / "predictions_test.csv"), read(small_run, "metrics.json")
    assert len(rows) == read(small_run, "data.json")["test"]
    name = "formation_energy_per_atom [eV/atom]"
    error = [float(row[f"true {name}"]) - float(row[f"predicted {name}"]) for row in rows]
    assert np.abs(error).mean() == pytest.approx(metrics["test"]["formation_energy_per_atom"]["mae"])
    known = [row for row in rows if row["true metal [probability]"]]
    assert len(known) == metrics["test"]["metal"]["n"] < len(rows)
    right = [
        (float(row["predicted metal [probability]"]) > 0.5) == (float(row["true metal [probability]"]) > 0.5)
        for row in known
    ]
    assert np.mean(right) == pytest.approx(metrics["test"]["metal"]["accuracy"])


def test_training_learns(small_config, tmp_path):
    """A made-up energy that is linear in the elements is learned far better than by its mean."""
    config = small_config(
        data__targets="formation_energy_per_atom",
        model__channels=16,
        training__epochs=30,
        training__learning_rate=1e-2,
    )
    train(config, tmp_path / "run", quiet=True)
    errors = read(tmp_path / "run", "metrics.json")["test"]["formation_energy_per_atom"]
    assert errors["mae"] < 0.35 * errors["mae_of_mean"]


def test_crystals_without_any_value_are_rejected(small_config, tmp_path):
    train(small_config(data__targets="band_gap", training__epochs=1), tmp_path / "run", quiet=True)
    rejected = [row["reason"] for row in table(tmp_path / "run" / "rejected.csv")]
    assert rejected.count("has no value of band_gap") == 14
    assert read(tmp_path / "run", "data.json")["used"] == 82


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"data__targets": "formation_energy"}, "formation_energy_per_atom"),
        ({"data__source": "nowhere.jsonl"}, "nowhere.jsonl"),
        ({"data__point_groups": ["6/mmm"]}, "none of the 97 crystals can be used: .*point group m-3m is not admitted"),
        ({"data__split": [0.998, 0.001, 0.001]}, "too few"),
        ({"training__learning_rate": 1e30}, "training diverged in epoch 1"),
    ],
)
def test_what_stops_a_run_says_why(small_config, tmp_path, overrides, message):
    with pytest.raises(IrrepnetError, match=message):
        train(small_config(**overrides), tmp_path / "run", quiet=True)


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a CUDA device")
def test_a_missing_device_is_an_error_and_no_fallback(small_config, tmp_path):
    with pytest.raises(IrrepnetError, match="finds no CUDA device"):
        train(small_config(training__device="cuda"), tmp_path / "run", quiet=True)


def test_the_folder_of_a_run_must_be_one(small_config, small_run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(IrrepnetError, match="is a file"):
        train(small_config(), tmp_path / "file", quiet=True)
    with pytest.raises(IrrepnetError, match="holds no run"):
        load_run(tmp_path)
    (tmp_path / "config.yaml").write_text("")
    with pytest.raises(IrrepnetError, match=r"not finished; `irrepnet train .*--resume` goes on"):
        load_run(tmp_path)
    (tmp_path / "config.yaml").unlink()
    for name in ("model.json", "model.safetensors", "known.safetensors"):
        (tmp_path / name).write_bytes((small_run / name).read_bytes())
    with pytest.raises(IrrepnetError, match=r"split\.json: is missing"):
        load_run(tmp_path)
    (tmp_path / "split.json").write_bytes((small_run / "split.json").read_bytes())
    assert load_run(tmp_path).targets == load_run(small_run).targets
    (tmp_path / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(IrrepnetError, match=r"model\.safetensors is not the file that this run wrote; copy the whole"):
        load_run(tmp_path)
    card = json.loads((small_run / "model.json").read_text())
    del card["sha256"]
    (tmp_path / "model.json").write_text(json.dumps({**card, "format": 1}))
    with pytest.raises(IrrepnetError, match="a model of format 1"):
        load_run(tmp_path)


def test_no_pickle_is_written(small_run):
    for path in small_run.iterdir():
        assert not path.read_bytes().startswith((b"\x80", b"PK"))
