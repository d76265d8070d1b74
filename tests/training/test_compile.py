"""A compiled training step is the step."""

import csv
import shutil

import pytest
import torch

from irrepnet.errors import IrrepnetError
from irrepnet.training import train

GRAPHS = {"data__point_groups": None, "training__epochs": 4, "training__compile": True}


def losses(folder):
    rows = list(csv.DictReader((folder / "metrics.csv").open()))
    return [float(row[key]) for row in rows for key in ("train_loss", "validation_loss")]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
@pytest.mark.parametrize("preset", ["cgcnn", "chgcnn"])
def test_compiled_and_plain_runs_agree(small_config, tmp_path, preset):
    more = {"model__hyperedges": ["bonds", "triplets"]} if preset == "chgcnn" else {}
    config = small_config(preset, **GRAPHS, **more)
    train(config, tmp_path / "compiled", quiet=True)
    train(config, tmp_path / "again", quiet=True)
    train(small_config(preset, **GRAPHS | {"training__compile": False}, **more), tmp_path / "plain", quiet=True)
    assert losses(tmp_path / "compiled") == pytest.approx(losses(tmp_path / "plain"), rel=1e-3)
    assert losses(tmp_path / "compiled") == losses(tmp_path / "again")


def test_without_a_compiler_the_key_is_named(small_config, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("no working C++ compiler found\nand more")

    monkeypatch.setattr(torch, "compile", fail)
    with pytest.raises(IrrepnetError, match=r"training.compile: .*\(no working C\+\+ compiler found\); install"):
        train(small_config("cgcnn", **GRAPHS), tmp_path / "run", quiet=True)


@pytest.mark.parametrize("preset", ["point-group", "mpnn", "covariant", "irreps", "tensor-field"])
def test_networks_for_which_compiling_does_not_pay_refuse_it(small_config, preset):
    with pytest.raises(
        IrrepnetError, match=rf"training.compile: it does not pay for the network {preset}; leave it out"
    ):
        small_config(preset, training__compile=True)
