"""The models that come with the package: readable, of sound size, equal to what they were."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from typer.testing import CliRunner

from irrepnet.cli.main import app
from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians import read_hamiltonian
from irrepnet.hamiltonians.embedded import FOLDER
from irrepnet.training import load_config, load_run, predict, train
from irrepnet.training.hamiltonians import predict_hamiltonian
from irrepnet.training.where import SHIPPED, card_of, for_any_crystal, shipped

GOLDEN = Path(__file__).parent / "golden" / "shipped.json"
"""Predictions for the structures in examples/, made when the models were."""
NAMES = ["born-charges", "formation-energy", "gap", "moduli", "permittivity", "stiffness"]
HAMILTONIAN = "released"


def test_names():
    assert for_any_crystal() == NAMES
    assert shipped() == sorted([*NAMES, HAMILTONIAN])


def test_size():
    assert sum(path.stat().st_size for path in SHIPPED.rglob("*")) < 20e6


@pytest.mark.parametrize("name", [*NAMES, HAMILTONIAN])
def test_the_card(name):
    text = (SHIPPED / name / "card.md").read_text(encoding="utf-8")
    card = card_of(name)
    for heading in ("## Learned from", "Trained again by", "## Errors", "### ", "crystal system", "## Limits"):
        assert heading in text
    assert all(target["name"] in text for target in card["targets"])
    written = json.dumps(card) + text + (SHIPPED / name / "config.yaml").read_text(encoding="utf-8")
    assert not any(word in written for word in ("/home", "/tmp", "/root", "/work"))


@pytest.mark.parametrize("name", NAMES)
def test_predictions_are_what_they_were(name, examples):
    """Up to rounding in float32; examples of all kinds are predicted, with a bound and what is near."""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))[name]
    run = load_run(name)
    for formula, path in examples.items():
        (row,) = predict(run, path)
        for target in run.targets:
            value, scale = np.array(golden[formula][target.name]), getattr(target, "scale", 1.0)
            np.testing.assert_allclose(np.array(row[target.name]), value, rtol=1e-4, atol=1e-5 * max(scale, 1.0))
            assert target.kind == "classification" or row[f"{target.name}_bound"] > 0
        assert len(row["nearest"]) == 3


def test_hamiltonians_are_what_they_were(tmp_path):
    """Levels of silicon, what is near and how far they can be trusted; what the model has not seen is refused."""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))[HAMILTONIAN]
    report = predict_hamiltonian(HAMILTONIAN, FOLDER / "Si-diamond-1.00.safetensors", tmp_path / "Si_hr.dat")
    assert report["gap"]["fundamental"] == pytest.approx(golden["gap"], abs=1e-4)
    assert report["bound"] == pytest.approx(golden["bound"], rel=1e-3)
    assert [near["formula"] for near in report["nearest"]] == golden["nearest"]
    assert "orthonormal orbitals" in report["note"]
    levels = read_hamiltonian(tmp_path / "Si_hr.dat").eigenvalues([0.5, 0.0, 0.5])[:8]
    np.testing.assert_allclose(levels, golden["levels"], atol=1e-3)
    result = CliRunner().invoke(app, ["predict", HAMILTONIAN, str(FOLDER / "Si-diamond-1.00.safetensors")])
    assert f"error of valence bands below {golden['bound']:.2g} meV" in result.output  # of the bands, not of the gap
    (tmp_path / "Xe.vasp").write_text("Xe\n6.2\n0 .5 .5\n.5 0 .5\n.5 .5 0\nXe\n1\nDirect\n0 0 0\n")
    with pytest.raises(IrrepnetError, match="contains Xe"):
        predict_hamiltonian(HAMILTONIAN, tmp_path / "Xe.vasp")


def test_the_gap_knows_metals_from_insulators(examples):
    run = load_run("gap")
    found = {name: row for name, path in examples.items() for row in predict(run, path)}
    assert found["NaCl"]["metal"] < 0.1
    assert found["NaCl"]["band_gap"] > 3


def test_a_tensor_that_is_left_alone_is_predicted_as_before(script, examples, tmp_path):
    """Numbers that were learned beside it are taken out of networks, bounds, errors and configuration."""
    data = {"data.source": "elastic_tensor_2015", "data.targets": ["K_VRH", "elastic_tensor_original", "G_VRH"]}
    small = {"model.channels": 8, "model.layers": 1, "model.directions": False, "model.mixing": "none"}
    settings = {"training.epochs": 1, "training.members": 2, "data.point_groups": ["m-3m"]}
    train(load_config("point-group", data | small | settings), tmp_path / "run", quiet=True)
    before = load_run(tmp_path / "run")
    script("ship_model").keep(tmp_path / "run", "elastic_tensor_original")
    after = load_run(tmp_path / "run")
    assert [target.name for target in after.targets] == ["elastic_tensor_original"]
    assert sum(own.numel() for own in after.model.parameters()) < sum(own.numel() for own in before.model.parameters())
    for name in ("NaCl", "Si"):
        (one,), (other,) = predict(before, examples[name]), predict(after, examples[name])
        for key in (key for key in other if key.startswith("elastic")):
            np.testing.assert_array_equal(np.array(one[key]), np.array(other[key]))
        assert {*one} - {*other} >= {"K_VRH", "G_VRH"}
    with pytest.raises(IrrepnetError, match="to be the only tensor"):
        script("ship_model").keep(tmp_path / "run", "K_VRH")


if __name__ == "__main__":  # writes the golden file
    structures = sorted((Path(__file__).parents[2] / "examples").glob("*.cif"))
    golden = {}
    for name in NAMES:
        run = load_run(name)
        rows = {path.stem: predict(run, path)[0] for path in structures}
        golden[name] = {stem: {t.name: row[t.name] for t in run.targets} for stem, row in rows.items()}
    with TemporaryDirectory() as folder:
        file = Path(folder) / "Si_hr.dat"
        report = predict_hamiltonian(HAMILTONIAN, FOLDER / "Si-diamond-1.00.safetensors", file)
        golden[HAMILTONIAN] = {
            "gap": report["gap"]["fundamental"],
            "bound": report["bound"],
            "nearest": [near["formula"] for near in report["nearest"]],
            "levels": read_hamiltonian(file).eigenvalues([0.5, 0.0, 0.5])[:8].tolist(),
        }
    GOLDEN.write_text(json.dumps(golden, indent=1), encoding="utf-8")
