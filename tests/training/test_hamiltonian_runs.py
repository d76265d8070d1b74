"""Runs that learn Hamiltonians: the folder, the same bits, prediction and the commands."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from irrepnet.cli.main import app
from irrepnet.crystals import Cell
from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians import (
    action,
    atomic_basis,
    bond_orbits,
    hermiticity,
    load_hamiltonian,
    read_reduced,
    symmetry_residual,
    write_reduced,
)
from irrepnet.hamiltonians.blocks import bonds_within
from irrepnet.hamiltonians.reduced import ReducedHamiltonian
from irrepnet.tasks.hamiltonians import common_settings, read_samples, sample_for, sample_of, split_samples
from irrepnet.training import load_config, load_run, loop, predict, train
from irrepnet.training.hamiltonians import (
    evaluate_hamiltonians,
    load_hamiltonian_run,
    predict_hamiltonian,
    predicted_hamiltonian,
)

FCC = np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
SHELLS = {"Mg": (0, 1), "Ca": (0, 1), "O": (0, 1), "S": (0, 1)}


def small_hamiltonian(cation, anion, a):
    """sp orbitals on rock salt: numbers that are smooth in a, H0 beside H by a shift of the anion's orbitals."""
    from pymatgen.core.periodic_table import Element

    numbers = np.array([Element(cation).Z, Element(anion).Z])
    cell = Cell(a * FCC, np.array([[0.0, 0, 0], [0.5, 0.5, 0.5]]), numbers, cation + anion)
    basis = atomic_basis(cell, SHELLS, "pyscf")
    orbits = bond_orbits(action(basis), bonds_within(basis, 4.3))
    random = np.random.default_rng(0)
    H0, S, shift = [], [], []
    for orbit in orbits:
        own, fall = random.normal(size=len(orbit.space)), np.exp(-orbit.distance)
        if orbit.is_onsite:
            one = orbit.space.coefficients(np.eye(4))
            H0.append((-10.0 if orbit.sites[0] else 2.0) * one + 0.5 * own)
            S.append(one)
            shift.append((1.5 if orbit.sites[0] else -1.0) * one)
        else:
            H0.append(own * fall)
            S.append(0.1 * own * fall)
            shift.append(0.02 * own * fall)
    H0, S, shift = map(np.concatenate, (H0, S, shift))
    first = np.array([(*orbit.sites, *orbit.R) for orbit in orbits])
    return ReducedHamiltonian(basis, 0.01, first, H0 + shift, S, None, H0, {"electrons": 8})


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hamiltonians")
    for cation, anion, a in (("Mg", "O", 4.2), ("Mg", "S", 5.2), ("Ca", "O", 4.8), ("Ca", "S", 5.7)):
        write_reduced(small_hamiltonian(cation, anion, a), folder / f"{cation}{anion}.safetensors")
    return folder


@pytest.fixture(scope="module")
def config(data):
    def made(**overrides):
        values = {"data.source": str(data), "data.test": "CaS", "data.split": [1.0, 0.0, 0.0], "training.epochs": 3}
        small = {"model.channels": 8, "model.cutoff": 4.5, "training.batch_size": 2}
        return load_config("hamiltonian", {**values, **small, **overrides})

    return made


@pytest.fixture(scope="module")
def run(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    train(config(), folder, quiet=True)
    return folder


def test_folder(run, data):
    names = {path.name for path in run.iterdir()}
    assert names == {
        "config.yaml", "versions.json", "data.json", "rejected.csv", "split.json", "metrics.csv", "model.safetensors",
        "model.json", "metrics.json", "log.txt", "predictions_test.csv",
    }  # fmt: skip
    split = json.loads((run / "split.json").read_text())
    assert split["test"]["formula"] == ["CaS"]
    assert sorted(split["train"]["formula"]) == ["CaO", "MgO", "MgS"]
    rows = list(csv.DictReader((run / "predictions_test.csv").open()))
    assert float(rows[0]["symmetry"]) < 1e-7  # meV
    assert load_config(run / "config.yaml").to_yaml().startswith("task: hamiltonians\nstart: null\nmodel:")


def test_resumed_run_has_the_same_bits(config, run, tmp_path, monkeypatch):
    class PowerCut(Exception):
        pass

    def cut(state, *rest):
        if state.epoch == 2:
            raise PowerCut
        return epoch(state, *rest)

    epoch = loop._train_epoch
    monkeypatch.setattr(loop, "_train_epoch", cut)
    with pytest.raises(PowerCut):
        train(config(), tmp_path / "run", quiet=True)
    monkeypatch.undo()
    with pytest.raises(IrrepnetError, match="holds a run already"):
        train(config(), tmp_path / "run", quiet=True)
    torch.manual_seed(99)
    train(config(), tmp_path / "run", resume=True, quiet=True)
    for name in ("model.safetensors", "predictions_test.csv", "split.json", "config.yaml"):
        assert (run / name).read_bytes() == (tmp_path / "run" / name).read_bytes(), name
    with pytest.raises(IrrepnetError, match="keeps its configuration"):
        train(config(**{"model.channels": 9}), tmp_path / "run", resume=True, quiet=True)


def test_it_learns(config, tmp_path):
    """ΔH of one kind of shift: found from few crystals, better than H0 on one that was held out."""
    loaded = train(config(**{"training.epochs": 40}), tmp_path / "run", quiet=True)
    sample = next(s for s in read_samples(loaded.config.data.source).records if s.formula == "CaS")
    before, after = sample.errors(sample.start), sample.errors(loaded.task.hamiltonian(loaded.model, sample))
    assert after.conduction < before.conduction / 4
    assert after.numbers < before.numbers / 4


def test_cutoffs_of_elements():
    """Silicon and carbon were computed with 100 and 300 Ry: so silicon carbide needs 300."""
    samples = [
        sample_of(load_hamiltonian(name), name) for name in ("Si-diamond-1.00", "C-diamond-1.00", "MgO-rocksalt-1.00")
    ]
    settings = common_settings(samples)
    assert settings["cutoff"] == {"C": 300.0, "Mg": 600.0, "O": 600.0, "Si": 100.0}
    assert settings["basis"] == "DZVP-MOLOPT-SR"
    assert common_settings(samples[:1])["cutoff"] == 100.0


def test_prediction_is_symmetric(run, data):
    loaded, task = load_hamiltonian_run(run)
    for sample in read_samples(str(data)).records:
        found = task.hamiltonian(loaded.model, sample)
        assert hermiticity(found) < 1e-10
        assert symmetry_residual(found, sample.act).symmetry < 1e-10


def test_evaluate(run, data):
    report = evaluate_hamiltonians(run)
    assert report["split"] == "test"
    assert [row["formula"] for row in report["crystals"]] == ["CaS"]
    assert len(evaluate_hamiltonians(run, split="all")["crystals"]) == 4
    with pytest.raises(IrrepnetError, match="unknown split"):
        evaluate_hamiltonians(run, split="most")


def test_what_cannot_be_used(run, data, tmp_path):
    with pytest.raises(IrrepnetError, match="no crystal with the formula"):
        split_samples(["MgO", "CaO"], load_run(run).config.data)
    file = small_hamiltonian("Mg", "O", 4.2)
    write_reduced(replace(file, H0=None), tmp_path / "no.safetensors")
    with pytest.raises(IrrepnetError, match="has no H0"):
        read_samples(str(tmp_path))
    strange = tmp_path / "strange"
    strange.mkdir()
    SHELLS["Sr"] = (0, 1)
    write_reduced(small_hamiltonian("Sr", "O", 5.1), strange / "SrO.safetensors")
    with pytest.raises(IrrepnetError, match="contains Sr"):
        predicted_hamiltonian(run, strange / "SrO.safetensors")
    with pytest.raises(IrrepnetError, match="holds no run"):
        load_hamiltonian_run(tmp_path)
    with pytest.raises(IrrepnetError, match="do not say how"):
        sample_for("examples/NaCl.cif", load_hamiltonian_run(run)[1].settings)


def test_a_bad_file_loses_itself_only(config, tmp_path):
    """Each rejection has the file's name and says what is wrong with it; capital endings count too."""
    folder = tmp_path / "data"
    folder.mkdir()
    for cation, anion, ending in (("Mg", "O", "safetensors"), ("Ca", "S", "SAFETENSORS")):
        write_reduced(small_hamiltonian(cation, anion, 5.0), folder / f"{cation}{anion}.{ending}")
    good = small_hamiltonian("Mg", "S", 5.2)
    write_reduced(replace(good, H0=None), folder / "without.safetensors")
    write_reduced(replace(good, provenance={"electrons": "many"}), folder / "electrons.safetensors")
    write_reduced(replace(good, fermi=float("nan")), folder / "fermi.safetensors")
    write_reduced(replace(good, H=good.H * np.nan), folder / "nan.safetensors")
    whole = atomic_basis(good.basis.cell, {"Mg": (0,), "S": (2,)})
    t2g = replace(whole, shells=tuple(replace(s, m=(-2, -1, 1)) if s.l == 2 else s for s in whole.shells))
    orbits = bond_orbits(action(t2g), bonds_within(t2g, 3.0))
    first, ones = np.array([(*orbit.sites, *orbit.R) for orbit in orbits]), np.ones(sum(len(o.space) for o in orbits))
    half = ReducedHamiltonian(t2g, 0.01, first, ones, ones, None, ones, {"electrons": 8})
    write_reduced(half, folder / "t2g.safetensors")
    (folder / "half.safetensors").write_bytes((folder / "MgO.safetensors").read_bytes()[:200])
    (folder / "text.safetensors").write_text("nothing")
    (folder / "notes.txt").write_text("not one of them")
    train(config(**{"data.source": str(folder), "training.epochs": 1}), tmp_path / "run", quiet=True)
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    assert [split[part]["id"] for part in ("train", "test")] == [["MgO"], ["CaS"]]
    rows = {row["id"]: row["reason"] for row in csv.DictReader((tmp_path / "run" / "rejected.csv").open())}
    reasons = {
        "without": "has no H0",
        "electrons": "has no number of electrons",
        "fermi": "fermi is nan, which is no energy in eV",
        "nan": "numbers that are not finite",
        "t2g": "whole shells of real orbitals",
        "half": "cannot be read",
        "text": "cannot be read",
    }
    assert rows.keys() == reasons.keys()
    for name, reason in reasons.items():
        assert reason in rows[name]
        assert str(folder / f"{name}.safetensors") in rows[name]


def test_evaluation_leaves_out_unknown_elements(run, tmp_path):
    SHELLS["Sr"] = (0, 1)
    for cation, anion in (("Sr", "O"), ("Mg", "O")):
        write_reduced(small_hamiltonian(cation, anion, 4.4), tmp_path / f"{cation}{anion}.safetensors")
    report = evaluate_hamiltonians(run, str(tmp_path))
    assert [row["formula"] for row in report["crystals"]] == ["MgO"]
    (rejection,) = report["rejections"]
    assert rejection["id"] == "SrO"
    assert "contains Sr" in rejection["reason"]
    result = CliRunner().invoke(app, ["hamiltonian", "evaluate", str(run), "--data", str(tmp_path)])
    assert result.exit_code == 0
    assert "left out: SrO" in result.stderr
    (tmp_path / "MgO.safetensors").unlink()
    with pytest.raises(IrrepnetError, match="contains Sr"):
        evaluate_hamiltonians(run, str(tmp_path))


def test_commands(run, data, tmp_path):
    call = CliRunner().invoke
    arguments = ["hamiltonian", "train", "--data", str(data), "--test", "CaS", "--epochs", "1"]
    small = ["--set", "model.channels=8", "--set", "model.cutoff=4.5", "--out", str(tmp_path / "run")]
    assert call(app, arguments + small).exit_code == 0
    result = call(app, ["hamiltonian", "evaluate", str(run), "--json"])
    assert json.loads(result.stdout)["errors"]["valence"] > 0
    picture, written = tmp_path / "bands.png", tmp_path / "CaS.safetensors"
    arguments = ["hamiltonian", "predict", str(run), str(data / "CaS.safetensors"), "--bands", str(picture)]
    result = call(app, [*arguments, "--out", str(written), "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["formula"] == "CaS"
    assert report["fermi"] == read_reduced(written).fermi
    assert picture.stat().st_size > 1000
    assert written.exists()
    assert call(app, ["hamiltonian", "evaluate", str(run)]).exit_code == 0


def test_how_far_a_prediction_can_be_trusted(config, data, tmp_path):
    """Two networks, the nearest crystals, and a bound where validation crystals give one."""
    settings = {"data.split": [0.5, 0.5, 0.0], "training.members": 2, "training.epochs": 1}
    loaded = train(config(**settings), tmp_path / "run", quiet=True)
    reliability = loaded.task.reliability
    assert reliability is not None
    assert reliability.bounds == {}  # two validation crystals say nothing about nine of ten
    known = loaded.split["train"]["id"][0]
    report = predict_hamiltonian(tmp_path / "run", data / f"{known}.safetensors")
    assert report["bound"] is None
    assert report["nearest"][0]["id"] == known
    assert report["nearest"][0]["distance"] < 0.01  # places are kept in 16 bits
    loaded.task.reliability = replace(reliability, bounds={"hamiltonian": (5.0, 1.0)})
    (row,) = predict(loaded, data / f"{known}.safetensors")
    far = np.mean([near["distance"] for near in row["nearest"]])
    assert row["hamiltonian_bound"] == pytest.approx(5 + far)


@pytest.mark.slow
def test_structure_file(tmp_path):
    """S and H0 of a structure file are those of the generator, and the network predicts from them."""
    pytest.importorskip("pyscf")
    from irrepnet.hamiltonians.dft.crystal_list import Request, Settings
    from irrepnet.hamiltonians.dft.generate import generate

    settings = Settings(basis="SZV-MOLOPT-SR", cutoff=120.0, radius=6.0, kmesh=(4, 4, 4), scf_kmesh=(3, 3, 3))
    made = generate(Request.from_structure("examples/NaCl.cif", "NaCl", settings))
    folder = tmp_path / "data"
    folder.mkdir()
    write_reduced(made, folder / "NaCl.safetensors")
    document = {"data": {"source": str(folder), "split": [1.0, 0.0, 0.0], "test": []}, "training": {"epochs": 1}}
    loaded = train(load_config({"task": "hamiltonians"} | document), tmp_path / "run", quiet=True)
    assert loaded.card["settings"]["cutoff"] == 120.0
    assert "kmesh" not in loaded.card["settings"]
    sample = sample_for("examples/NaCl.cif", loaded.card["settings"] | {"kmesh": (4, 4, 4), "scf_kmesh": (3, 3, 3)})
    stored = read_samples(str(folder)).records[0]
    assert abs(sample.start.H - stored.start.H).max() < 1e-5
    assert len(loaded.task.hamiltonian(loaded.model, sample)) == len(stored.start)


def test_what_is_no_file_is_listed_and_stops_nothing(run, data):
    from pymatgen.core import Lattice, Structure

    structure = Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.2), ["Mg", "O"], [[0, 0, 0], [0.5] * 3])
    rows = predict(run, [structure, data / "absent.cif", data / "CaS.safetensors"])
    assert [row["hamiltonian"] is None for row in rows] == [True, True, False]
    assert "write the structure into one" in rows[0]["note"]
    assert load_run(run).targets[0].value_unit == "eV"
