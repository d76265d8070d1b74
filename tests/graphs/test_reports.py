"""What a crystal's hypergraph consists of, without the command line."""

import json
from pathlib import Path

import pytest

from irrepnet.crystals import SymmetricCrystal
from irrepnet.graphs import HypergraphOptions, hypergraph
from irrepnet.graphs.reports import describe_hypergraph

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.mark.parametrize("formula", ["MgAl2O4", "TiO2", "Si", "NaCl", "SrTiO3", "CaF2"])
def test_it_counts_what_the_graph_has(formula):
    file = EXAMPLES / f"{formula}.cif"
    options = HypergraphOptions(hyperedges=("bonds", "triplets", "cell"))
    report = describe_hypergraph(file, options)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    crystal = SymmetricCrystal.from_structure(file)
    made = hypergraph(crystal, options)
    assert report["nodes"] == len(made) == len(report["orbits"])
    assert {name: t["classes"] for name, t in report["types"].items()} == {
        name: len(incidences.features) for name, incidences in made.types.items()
    }
    assert sum(orbit["atoms"] for orbit in report["orbits"]) == report["atoms"] == len(crystal)
    bonds = sum(orbit["atoms"] * orbit["neighbours"] for orbit in report["orbits"])
    assert bonds == report["types"]["bonds"]["hyperedges"]  # one from each end
