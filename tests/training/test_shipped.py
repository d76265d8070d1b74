"""The models that come with the package: readable, of sound size, equal to what they were."""

import json
from pathlib import Path

import numpy as np
import pytest

from irrepnet.training import load_run, predict
from irrepnet.training.where import SHIPPED, card_of, shipped

GOLDEN = Path(__file__).parent / "golden" / "shipped.json"
"""Predictions for the structures in examples/, made when the models were."""
NAMES = ["born-charges", "formation-energy", "gap", "moduli", "permittivity", "stiffness"]


def test_names():
    assert shipped() == NAMES


def test_size():
    assert sum(path.stat().st_size for path in SHIPPED.rglob("*")) < 20e6


@pytest.mark.parametrize("name", NAMES)
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


def test_the_gap_knows_metals_from_insulators(examples):
    run = load_run("gap")
    found = {name: row for name, path in examples.items() for row in predict(run, path)}
    assert found["NaCl"]["metal"] < 0.1
    assert found["NaCl"]["band_gap"] > 3


if __name__ == "__main__":  # writes the golden file
    structures = sorted((Path(__file__).parents[2] / "examples").glob("*.cif"))
    golden = {}
    for name in NAMES:
        run = load_run(name)
        rows = {path.stem: predict(run, path)[0] for path in structures}
        golden[name] = {stem: {t.name: row[t.name] for t in run.targets} for stem, row in rows.items()}
    GOLDEN.write_text(json.dumps(golden, indent=1), encoding="utf-8")
