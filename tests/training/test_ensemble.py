"""Runs of several networks: their mean, its spread, and the same bits whenever they are interrupted."""

import csv
import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from irrepnet.checks import verify_model
from irrepnet.cli.main import app
from irrepnet.errors import IrrepnetError
from irrepnet.models import Ensemble
from irrepnet.training import evaluate, load_config, load_run, predict, train
from irrepnet.training import run as module


@pytest.fixture(scope="module")
def three(small_config, tmp_path_factory):
    """A run of three networks, and the runs of each of them alone."""
    folder = tmp_path_factory.mktemp("ensemble")
    whole = train(small_config(training__members=3), folder / "three", quiet=True)
    alone = [train(small_config(training__seed=k), folder / f"{k}", quiet=True) for k in range(3)]
    return whole, alone


def test_members_are_the_runs_from_their_seeds(three):
    whole, alone = three
    assert isinstance(whole.model, Ensemble)
    for member, run in zip(whole.model.members, alone, strict=True):
        for name, weight in run.model.state_dict().items():
            assert torch.equal(member.state_dict()[name], weight)
    names = {path.name for path in whole.folder.glob("metrics*.csv")}
    assert names == {"metrics.csv", "metrics-2.csv", "metrics-3.csv"}
    assert not list(whole.folder.glob("checkpoint*"))
    assert json.loads((whole.folder / "metrics.json").read_text())["members"] == 3


def test_a_prediction_is_the_mean_and_its_spread_that_of_the_members(three, examples):
    whole, alone = three
    (found,) = predict(whole, examples["NaCl"])
    each = np.array([predict(run, examples["NaCl"])[0]["formation_energy_per_atom"] for run in alone])
    assert found["formation_energy_per_atom"] == pytest.approx(each.mean(), abs=1e-6)
    assert found["formation_energy_per_atom_spread"] == pytest.approx(each.std(ddof=1), abs=1e-6)
    assert 0 < found["metal"] < 1
    assert found["metal_spread"] > 0


def test_the_command_tells_the_spread(three, examples, tmp_path):
    whole, _ = three
    unreadable = tmp_path / "a.cif"
    unreadable.write_text("nothing")
    given = [str(unreadable), str(examples["NaCl"])]
    said = CliRunner().invoke(app, ["predict", str(whole.folder), *given])
    assert " ± " in said.stdout
    table = tmp_path / "out.csv"
    CliRunner().invoke(app, ["predict", str(whole.folder), *given, "-o", str(table)])
    rejected, predicted = csv.DictReader(table.open(encoding="utf-8"))
    assert rejected["formation_energy_per_atom_spread [eV/atom]"] == ""
    assert float(predicted["formation_energy_per_atom_spread [eV/atom]"]) > 0


def test_it_evaluates_and_obeys_the_symmetry(three, examples):
    whole, _ = three
    assert evaluate(whole, target="formation_energy_per_atom")["n"] > 0
    assert verify_model(str(whole.folder), examples["NaCl"])["largest"] < 1e-10


@pytest.mark.parametrize("stops", [2, 4])
def test_resuming(three, small_config, tmp_path, monkeypatch, stops):
    """Killed after so many epochs of all members, it goes on to the same bits."""
    real, done = module.write_history, []

    def write(*arguments):
        real(*arguments)
        done.append(1)
        if len(done) == stops:
            raise KeyboardInterrupt

    config = small_config(training__members=3)
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_history", write)
        with pytest.raises(KeyboardInterrupt):
            train(config, tmp_path / "a", quiet=True)
    train(config, tmp_path / "a", resume=True, quiet=True)
    whole = three[0].folder
    assert (tmp_path / "a" / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_sites(tmp_path):
    settings = {
        "data.source": "given",
        "data.targets": "mine",
        "data.sites.mine": {"symmetry": "ij=ji"},
        "training.epochs": 2,
        "training.members": 2,
        "model.channels": 8,
    }
    made = [
        {
            "species": [metal, "O"],
            "frac_coords": [[0, 0, 0], [0.5, 0.5, 0.5]],
            "lattice": [[0, a / 2, a / 2], [a / 2, 0, a / 2], [a / 2, a / 2, 0]],
            "mine": [np.eye(3).tolist(), (-a * np.eye(3)).tolist()],
        }
        for metal in ("Mg", "Ca", "Sr", "Ba", "Zn", "Cd", "Mn", "Fe", "Co", "Ni")
        for a in (4.2, 4.4)
    ]
    run = train(load_config("site-symmetry", settings), tmp_path / "run", quiet=True, data=made)
    (row,) = predict(load_run(run.folder), [made[0]])
    assert np.shape(row["mine"]) == (2, 3, 3)
    assert verify_model(str(run.folder), "examples/NaCl.cif")["largest"] < 1e-10


def test_other_tasks_have_one_network():
    with pytest.raises(
        IrrepnetError, match=r"training\.members: is for properties, sites and Hamiltonians, not energies"
    ):
        load_config("energy", {"data.source": "a", "data.parent": "b", "training.members": 2})


@pytest.mark.parametrize("word", ["spread", "bound"])
def test_a_target_with_the_name_of_what_predictions_say_of_another(small_config, word):
    with pytest.raises(IrrepnetError, match=f"band_gap_{word} is the .* of band_gap in predictions; rename"):
        small_config(data__targets=["band_gap", f"band_gap_{word}"])


def test_a_target_with_the_name_of_a_column(small_config):
    with pytest.raises(IrrepnetError, match="nearest is a column of every table"):
        small_config(data__targets=["nearest"])
