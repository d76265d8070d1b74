"""`irrepnet train`, `evaluate` and `predict` as one types them."""

import csv
import json
import os
import shutil
import stat
import subprocess
import sys

from typer.testing import CliRunner

from irrepnet.cli.main import app
from irrepnet.errors import IrrepnetError

ENERGY = "formation_energy_per_atom"
SMALL = ["--set", "model.channels=8", "--set", "model.layers=1", "--set", "training.device=cpu"]


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_train_writes_the_run_and_its_report(small_data, tmp_path):
    out = tmp_path / "run"
    flags = ["--data", small_data, "--target", f"{ENERGY},metal", "--epochs", 1, "--seed", 3, "--out", out]
    result = call("train", "point-group", *flags, *SMALL)
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert "epoch 1/1" in result.stderr
    assert f"test split, {ENERGY}: mae" in result.stderr
    assert "epoch 1/1" in (out / "log.txt").read_text()
    assert (out / "report.html").exists()
    card = json.loads((out / "model.json").read_text())
    assert card["config"]["training"]["seed"] == 3
    assert [target["name"] for target in card["targets"]] == [ENERGY, "metal"]
    again = call("train", out / "config.yaml", "--out", out, "--resume")
    assert again.exit_code == 0
    assert "this run is finished" in again.stderr
    refused = call("train", "point-group", *flags, *SMALL)
    assert isinstance(refused.exception, IrrepnetError)
    assert "--resume" in str(refused.exception)


def test_a_stopped_training_says_how_to_go_on(small_data, tmp_path, monkeypatch):
    from irrepnet.tasks import properties

    def stop(*_):
        raise KeyboardInterrupt

    out = tmp_path / "run"
    flags = ["--data", small_data, "--target", ENERGY, "--target", "metal", "--epochs", 1, "--out", out]
    with monkeypatch.context() as patch:
        patch.setattr(properties, "union", stop)
        result = call("train", "point-group", *flags, *SMALL)
    assert result.exit_code == 130
    advice = f"irrepnet train {out}/config.yaml --out {out} --resume"
    assert advice in result.stderr
    assert call(*advice.split()[1:]).exit_code == 0
    assert (out / "report.html").exists()


def test_evaluate_prints_one_json_document(small_run, small_data):
    result = call("evaluate", small_run, "--data", small_data, "--target", ENERGY, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert {"target", "mae", "rmse", "r2", "mae_of_mean", "n", "rejected", "unit", "split"} <= set(document)
    assert (document["unit"], document["split"], document["rejected"]) == ("eV/atom", "test", 3)


def test_evaluate_prints_a_table(small_run):
    result = call("evaluate", small_run, "--target", "metal", "--split", "all")
    assert result.exit_code == 0, result.output
    assert "auc" in result.stdout
    assert "rejections" not in result.stdout


def test_predict_writes_a_table_with_units(small_run, small_data, tmp_path):
    out = tmp_path / "out.csv"
    result = call("predict", small_run, small_data, tmp_path / "absent.cif", "-o", out)
    assert result.exit_code == 1, result.output
    assert "96 predicted, 4 rejected" in result.stderr
    rows = list(csv.DictReader(out.open()))
    columns = [f"{ENERGY} [eV/atom]", "metal [probability]", f"{ENERGY}_bound [eV/atom]", "nearest"]
    assert list(rows[0]) == ["file", "id", "formula", *columns, "note"]
    assert len(rows) == 100
    assert [bool(row[f"{ENERGY} [eV/atom]"]) for row in rows].count(True) == 96
    assert all(row["note"] for row in rows if not row[f"{ENERGY} [eV/atom]"])


def test_predict_prints_one_json_document(small_run, small_data):
    result = call("predict", small_run, small_data, "--json")
    document = json.loads(result.stdout)
    assert (document["n"], document["rejected"]) == (96, 3)
    assert document["units"] == {ENERGY: "eV/atom", "metal": ""}
    row = document["predictions"][0]
    assert isinstance(row[ENERGY], float)
    assert row[f"{ENERGY}_bound"] > 0
    assert "metal_bound" not in row  # a probability says by itself how sure it is
    assert [set(near) for near in row["nearest"]] == 3 * [{"id", "formula", "distance"}]


def test_predict_prints_a_line_a_structure(small_run, small_data):
    lines = call("predict", small_run, small_data).stdout.splitlines()
    assert len(lines) == 99
    assert lines[1].startswith(f"{small_data}: LiS  {ENERGY} ")
    assert " ± " in lines[1]
    assert "probability, near " in lines[1]
    assert sum(": rejected: " in line for line in lines) == 3


def test_predict_fails_when_nothing_could_be_predicted(small_run, tmp_path):
    (tmp_path / "empty.cif").write_text("")
    result = call("predict", small_run, tmp_path / "empty.cif")
    assert f"{tmp_path / 'empty.cif'}: rejected: " in result.stdout
    assert isinstance(result.exception, IrrepnetError)
    assert "none of the structures could be predicted" in str(result.exception)


def test_help_needs_no_heavy_import():
    heavy = {"torch", "numpy", "matplotlib", "pymatgen", "pydantic"}
    program = f"import sys, irrepnet.cli.train; sys.exit(', '.join({heavy} & set(sys.modules)) or 0)"
    subprocess.run([sys.executable, "-c", program], check=True)
    for name in ("train", "evaluate", "predict"):
        assert call(name, "--help").exit_code == 0


def test_an_unwritable_table_is_named(small_run, small_data, tmp_path):
    result = call("predict", small_run, small_data, "-o", tmp_path / "absent" / "out.csv")
    assert "cannot be written" in str(result.exception)


def test_models_that_come_with_the_package(small_run, small_data, tmp_path, monkeypatch):
    """A run in the folder of such models is known by its name, and all of them are asked by "all"."""
    from irrepnet.training import where

    for name in ("energies", "metals"):
        shutil.copytree(small_run, tmp_path / "shipped" / name)
    monkeypatch.setattr(where, "SHIPPED", tmp_path / "shipped")
    rows = call("models").stdout.splitlines()
    assert [row.split()[:2] for row in rows if "metal" in row or ENERGY in row][:2] == [
        ["energies", ENERGY], ["energies", "metal"]
    ]  # fmt: skip
    assert set(json.loads(call("models", "--json").stdout)) == {"energies", "metals"}
    by_name = call("predict", "energies", small_data, "--json").stdout
    assert by_name == call("predict", small_run, small_data, "--json").stdout
    every = json.loads(call("predict", "all", small_data, "--json").stdout)
    assert every == {name: json.loads(by_name) for name in ("energies", "metals")}
    assert call("predict", "all", small_data, "-o", tmp_path / "out").exit_code == 1
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"energies.csv", "metals.csv"}
    assert "did you mean energies?" in str(call("predict", "energys", small_data).exception)
    result = json.loads(call("evaluate", "metals", "--data", small_data, "--target", ENERGY, "--json").stdout)
    assert 0 <= result["coverage"] <= 1
    assert result["mean_bound"] > 0


def test_nothing_readable_in_any_model(tmp_path):
    """Models of numbers, of tensors and of sites."""
    (tmp_path / "bad.cif").write_text("no crystal")
    result = call("predict", "all", tmp_path / "bad.cif", "--json")
    assert "none of the structures" in str(result.exception)
    assert {document["rejected"] for document in json.loads(result.stdout).values()} == {1}


def test_all_into_a_file_that_is_there(tmp_path, examples):
    (tmp_path / "out").write_text("mine")
    result = call("predict", "all", examples["NaCl"], "-o", tmp_path / "out")
    assert isinstance(result.exception, IrrepnetError)
    assert (tmp_path / "out").read_text() == "mine"


def test_what_is_no_file_is_not_replaced(small_run, examples, tmp_path):
    """A pipe, like /dev/stdout, gets the table; a link keeps leading to its file."""
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    assert call("predict", small_run, examples["NaCl"], "-o", tmp_path / "pipe").exit_code == 0
    assert os.read(reader, 10) == b"file,id,fo"
    os.close(reader)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    (tmp_path / "there.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to(tmp_path / "there.csv")
    assert call("predict", small_run, examples["NaCl"], "-o", tmp_path / "link.csv").exit_code == 0
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "there.csv").read_text().startswith("file,id,formula")


def test_a_run_that_begins_with_a_model_says_its_name(small_data, tmp_path):
    out = tmp_path / "run"
    flags = ["--data", small_data, "--target", ENERGY, "--epochs", 1, "--out", out, "--set", "training.device=cpu"]
    result = call("train", "--from", "formation-energy", *flags)
    assert result.exit_code == 0, result.output
    assert json.loads((out / "start.json").read_text())["run"] == "formation-energy"
    assert "start: formation-energy" in (out / "config.yaml").read_text()


def test_a_table_that_is_not_finished_is_not_there(small_run, small_data, tmp_path, monkeypatch):
    from irrepnet.training import use

    rows = use.predict(small_run, small_data)

    def broken(run, files, workers):
        yield rows
        raise IrrepnetError("out of order")

    monkeypatch.setattr(use, "stream_predictions", broken)
    result = call("predict", small_run, small_data, "-o", tmp_path / "out.csv")
    assert "out of order" in str(result.exception)
    assert not list(tmp_path.iterdir())
