"""A compiled training step is the step; with products in bfloat16 it is another one, on purpose."""

import csv
import shutil

import pytest
import torch

from irrepnet import compiled
from irrepnet.errors import IrrepnetError
from irrepnet.training import loop, train

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


@pytest.mark.skipif(not compiled.has_rounded_products(), reason="no products in bfloat16 here")
def test_bfloat16_is_near_and_gives_equal_bits_interrupted_or_not(small_config, tmp_path, monkeypatch):
    config = small_config(training__products="bfloat16")
    train(config, tmp_path / "a", quiet=True)
    train(small_config(), tmp_path / "exact", quiet=True)
    assert losses(tmp_path / "a") == pytest.approx(losses(tmp_path / "exact"), rel=0.03)
    assert losses(tmp_path / "a") != losses(tmp_path / "exact")
    finished = loop._train_epoch

    def interrupted(state, epoch, *rest):
        if epoch == 2:
            raise KeyboardInterrupt
        return finished(state, epoch, *rest)

    monkeypatch.setattr(loop, "_train_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "b", quiet=True)
    monkeypatch.undo()
    train(config, tmp_path / "b", quiet=True, resume=True)
    assert losses(tmp_path / "a") == losses(tmp_path / "b")
    bits = [(tmp_path / name / "model.safetensors").read_bytes() for name in "ab"]
    assert bits[0] == bits[1]


def test_where_bfloat16_is_refused(small_config):
    with pytest.raises(IrrepnetError, match=r"training.products: bfloat16 does not pay for the network cgcnn"):
        small_config("cgcnn", training__products="bfloat16")
    with pytest.raises(IrrepnetError, match=r"training.products: bfloat16 is for one thread"):
        small_config(training__products="bfloat16", training__threads=2)
