"""`irrepnet graph`: the table, the JSON document, refusals."""

import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from irrepnet.cli.main import app
from irrepnet.crystals import NEIGHBOURS
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import Column, Hyperedges, HyperedgeType, add_hyperedge_type

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
OWN = "bonds,triplets,cell"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Descriptors are computed anew, and the user's cache is left alone."""
    monkeypatch.setenv("IRREPNET_CACHE", str(tmp_path))


def run(formula: str, *arguments: str):
    command = ["graph", str(EXAMPLES / f"{formula}.cif"), *arguments]
    return CliRunner().invoke(app, command, env={"COLUMNS": "140"})


def test_table():
    result = run("MgAl2O4", "--hyperedges", OWN)
    assert result.exit_code == 0, result.output
    text = " ".join(result.output.replace("│", " ").split())
    for part in (
        "Fd-3m (227)",
        "14 in the primitive cell",
        "nodes 3, one an orbit",
        "bonds 184 8 distance × 41",
        "triplets 1128 35 cosine × 20",
        "O e 8 .3m 13",
        "keeps 8 of 12 at 3.351 Å",
        "keeps 5 of 6 at 2.865 Å",
        "whole shells",
    ):
        assert part in text, part


def test_json():
    result = run("SrTiO3", "--hyperedges", OWN, "--json")
    report = json.loads(result.stdout)
    assert report["formula"] == "SrTiO3"
    assert report["spacegroup"] == {"number": 221, "symbol": "Pm-3m"}
    assert (report["atoms"], report["nodes"]) == (5, 3)
    assert {name: t["hyperedges"] for name, t in report["types"].items()} == {"bonds": 68, "triplets": 430, "cell": 1}
    assert report["types"]["bonds"]["features"] == [{"name": "distance", "size": 41}]
    assert len(report["types"]["cell"]["features"]) == 40
    strontium, titanium, oxygen = report["orbits"]
    assert strontium["neighbours"] == 12
    assert strontium["split_shell"] is None
    assert [(s["count"], s["elements"]) for s in titanium["shells"]] == [(6, {"O": 6}), (8, {"Sr": 8})]
    assert titanium["split_shell"]["kept"] == 6
    assert oxygen["split_shell"] == {"distance": pytest.approx(2.761, abs=1e-3), "size": 12, "kept": 10}
    assert report["failures"] == []


def test_all_four_types_by_default():
    report = json.loads(run("NaCl", "--json").stdout)
    assert list(report["types"]) == ["bonds", "triplets", "motifs", "cell"]
    assert report["types"]["motifs"]["hyperedges"] == report["atoms"] == 2


@pytest.mark.parametrize("method", NEIGHBOURS)
@pytest.mark.parametrize("formula", ["CaF2", "Si", "TiO2"])
def test_every_method(formula, method):
    arguments = ("--hyperedges", "bonds", "--neighbours", method, "--cutoff", "4", "--n-max", "8")
    report = json.loads(run(formula, *arguments, "--json").stdout)
    assert report["neighbours"] == method
    for orbit in report["orbits"]:
        assert orbit["neighbours"] == sum(shell["count"] for shell in orbit["shells"]) > 0
    assert run(formula, *arguments).exit_code == 0


def test_failures_are_shown(monkeypatch):
    monkeypatch.setattr(import_module("irrepnet.graphs.hypergraph"), "_TYPES", {})
    failed = Hyperedges(np.zeros((0, 1)), np.zeros(0, int), np.zeros(0, int), np.zeros(0), failures=("site 1 [x]: no",))
    add_hyperedge_type(HyperedgeType("hard", lambda options: (Column("value"),), lambda crystal, options: failed))
    result = run("Si", "--hyperedges", "hard")
    assert result.exit_code == 0, result.output
    assert "left out: site 1 [x]: no" in result.output
    report = json.loads(run("Si", "--hyperedges", "hard", "--json").stdout)
    assert report["failures"] == ["site 1 [x]: no"]
    assert report["types"]["hard"]["hyperedges"] == report["types"]["hard"]["classes"] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--hyperedges", "bonds,triplet"], "did you mean triplets"),
        (["--hyperedges", ""], "unknown hyperedge type ''"),
        (["--neighbours", "voronoy"], "did you mean voronoi"),
        (["--hyperedges", "bonds", "--neighbours", "cutoff", "--cutoff", "1"], "take a cutoff of"),
        (["--hyperedges", "bonds", "--n-max", "0"], "n_max of 1 to 10,000"),
        (["--hyperedges", "bonds", "--cutoff", "nan"], "positive cutoff"),
        (["--hyperedges", "bonds", "--neighbours", "nearest", "--scale", "0.5"], "scale between"),
    ],
)
def test_refusals(arguments, message):
    result = run("Si", *arguments)
    assert isinstance(result.exception, IrrepnetError)
    assert message in str(result.exception)
