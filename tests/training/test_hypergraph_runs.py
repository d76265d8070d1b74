"""Runs of the networks on hypergraphs: the same folder, the same bits, and what descriptors that fail do."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from irrepnet.crystals import SymmetricCrystal
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import Column, Hyperedges, HyperedgeType, add_hyperedge_type
from irrepnet.report import write_report
from irrepnet.tasks import properties
from irrepnet.tasks.properties import known_graph
from irrepnet.training import evaluate, load_run, loop, predict, train

ENERGY = "formation_energy_per_atom"
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
EVERYTHING = {"data__point_groups": None, "data__targets": ENERGY}


class PowerCut(Exception):
    pass


@pytest.fixture(scope="module")
def cgcnn_run(small_config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "cgcnn"
    train(small_config("cgcnn", **EVERYTHING), folder, quiet=True)
    return folder


@pytest.fixture
def fragile():
    """A type of hyperedge, an atom with itself, that cannot be made on sites of bromine."""

    def build(crystal, options):
        failed = crystal.numbers == 35
        good = np.flatnonzero(~failed)
        names = (f"site {k + 1} (Br, Wyckoff {crystal.wyckoff[k]}): too dark" for k in np.flatnonzero(failed))
        return Hyperedges(
            features=crystal.numbers[good, None] / 100.0,
            edge=np.arange(len(good)),
            atom=good,
            weight=np.ones(len(good)),
            failures=tuple(names),
        )

    add_hyperedge_type(HyperedgeType("fragile", lambda options: (Column("number"),), build))
    yield
    sys.modules["irrepnet.graphs.hypergraph"]._TYPES.pop("fragile")


@pytest.mark.parametrize(
    ("preset", "changes"),
    [("cgcnn", {}), ("mpnn", {}), ("chgcnn", {"model__hyperedges": ["bonds", "triplets", "cell"]})],
)
def test_a_run_leaves_what_every_run_leaves(small_config, tmp_path, preset, changes):
    """Crystals of all point groups, a report, and a model that predicts again what it predicted."""
    config = small_config(preset, data__point_groups=None, training__epochs=2, **changes)
    run = train(config, tmp_path / "run", quiet=True)
    write_report(run.folder)
    assert run.card["domain"]["point_groups"] == "all"
    assert (run.card["data"]["used"], run.card["data"]["failed_sites"]) == (97, 0)
    assert not (run.folder / "failures.csv").exists()
    assert json.loads((run.folder / "metrics.json").read_text())["best_epoch"] in (1, 2)
    result = evaluate(run, target=ENERGY, quiet=True)
    errors = run.card["errors"]["test"][ENERGY]
    assert (result["split"], result["n"], result["failed_sites"]) == ("test", errors["n"], 0)
    assert result["mae"] == pytest.approx(errors["mae"], rel=1e-5)
    rows = predict(run, [EXAMPLES / "Si.cif", EXAMPLES / "absent.cif"])
    assert np.isfinite(rows[0][ENERGY])
    assert rows[0]["note"].startswith("no training crystal contains Si")
    assert rows[1][ENERGY] is None


def test_the_averaged_network_validates_with_the_statistics_of_the_trained_one(small_config, tmp_path, monkeypatch):
    """The running means of the batch norms are carried over before every validation."""
    config = small_config("cgcnn", **EVERYTHING)
    seen = []

    def look(model, parts):
        seen.append({name: tensor.clone() for name, tensor in model.named_buffers() if "running" in name})
        raise PowerCut

    with monkeypatch.context() as patch:
        patch.setattr(properties, "predict_batches", look)
        kept = {}
        patch.setattr(loop.State, "save", lambda *_: None)
        epoch = loop._train_epoch

        def remember(state, *arguments):
            kept["model"] = state.model
            return epoch(state, *arguments)

        patch.setattr(loop, "_train_epoch", remember)
        with pytest.raises(PowerCut):
            train(config, tmp_path / "run", quiet=True)
    statistics = dict(kept["model"].named_buffers())
    assert len(seen[0]) > 0
    for name, tensor in seen[0].items():
        assert torch.equal(tensor, statistics[name]), name
        assert not torch.equal(tensor, torch.full_like(tensor, float("var" in name))), f"{name} never moved"


@pytest.mark.parametrize("steps", [[0], [8], [2, 11]])
def test_an_interrupted_run_goes_on_with_the_same_bits(small_config, cgcnn_run, tmp_path, monkeypatch, steps):
    out = tmp_path / "run"
    config = small_config("cgcnn", **EVERYTHING)
    for step in steps:
        with monkeypatch.context() as patch:
            counter, plain = iter(range(10**6)), properties.union

            def cut(graphs, counter=counter, plain=plain, step=step):
                if next(counter) == step:
                    raise PowerCut
                return plain(graphs)

            patch.setattr(properties, "union", cut)
            with pytest.raises(PowerCut):
                train(config, out, resume=True, quiet=True)
    train(config, out, resume=True, quiet=True)
    first, second = (load_file(folder / "model.safetensors") for folder in (cgcnn_run, out))
    assert any("running_mean" in name for name in first)
    assert all(torch.equal(first[name], second[name]) for name in first)
    name = "predictions_test.csv"
    assert (cgcnn_run / name).read_bytes() == (out / name).read_bytes()


def test_another_network_in_the_folder_is_refused(small_config, cgcnn_run):
    with pytest.raises(IrrepnetError, match=r"model.name is cgcnn there and mpnn here"):
        train(small_config("mpnn", **EVERYTHING), cgcnn_run, resume=True, quiet=True)


def test_the_number_of_workers_is_no_part_of_the_run(small_config, cgcnn_run):
    train(small_config("cgcnn", data__workers=3, **EVERYTHING), cgcnn_run, resume=True, quiet=True)


def test_sites_on_which_a_descriptor_fails_are_listed_and_stop_nothing(small_config, tmp_path, fragile):
    config = small_config("chgcnn", **EVERYTHING, model__hyperedges=["bonds", "fragile"], training__epochs=1)
    run = train(config, tmp_path / "run", quiet=True)
    with (run.folder / "failures.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 16 == run.card["data"]["failed_sites"]  # 8 metals in 2 prototypes with bromine
    assert run.card["data"]["used"] == 97
    assert rows[0]["id"] == "made-5"
    assert rows[0]["site"].endswith(f"(Br, Wyckoff {rows[0]['site'][-2]})")
    assert rows[0]["reason"] == "too dark"
    assert "16 sites of 16 crystals have no descriptor" in (run.folder / "log.txt").read_text()
    assert "16 sites have no descriptor" in write_report(run.folder).read_text()
    result = evaluate(run, split="all", quiet=True)
    assert (result["n"], result["failed_sites"]) == (97, 16)
    row = next(row for row in predict(run, [config.data.source]) if row["id"] == "made-5")
    assert np.isfinite(row[ENERGY])
    assert "no descriptor for site 2 (Br, Wyckoff " in row["note"]


def test_descriptors_are_computed_before_the_graphs(small_config, small_data, tmp_path, monkeypatch):
    """A run with motifs, its cache empty; the second run finds everything there."""
    monkeypatch.setenv("IRREPNET_CACHE", str(tmp_path / "cache"))
    few = tmp_path / "few.jsonl"
    few.write_text("\n".join(small_data.read_text().splitlines()[:12]))
    config = small_config(
        "chgcnn",
        **EVERYTHING | {"data__source": str(few)},
        data__split=[0.5, 0.25, 0.25],
        data__workers=1,
        model__motif_features=["lsop"],
        training__epochs=1,
    )
    first, second = (train(config, tmp_path / name, quiet=True) for name in ("first", "second"))
    assert first.card["errors"] == second.card["errors"]
    assert first.card["data"]["failed_sites"] == 0


def test_a_loaded_run_gives_the_same_predictions(cgcnn_run, small_data):
    a, b = (predict(load_run(cgcnn_run), [small_data]) for _ in range(2))
    assert a == b


@pytest.mark.parametrize("preset", ["cgcnn", "point-group"])
def test_elements_beyond_the_tables_are_rejected(small_config, preset):
    crystal = SymmetricCrystal.from_structure({"species": ["Rf"], "frac_coords": [[0, 0, 0]], "lattice": 3 * np.eye(3)})
    with pytest.raises(IrrepnetError, match=r"Rf: element 104; the networks know those up to 103 \(Lr\)"):
        known_graph(crystal, small_config(preset).graph)
