"""Training by several processes: the gradient, the run and the folder of one."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from tests.training.golden import make

from irrepnet.errors import IrrepnetError
from irrepnet.nn import WeightedBatchNorm
from irrepnet.tasks import TASKS
from irrepnet.training import load_config, train
from irrepnet.training.ranks import ALONE, Ranks, check_shares, is_first


def gradients(rank: int, size: int, folder: str) -> None:
    """Of a batch of eleven, by processes with six, five (or four, four, three) of them."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=size)
    ranks = Ranks(rank, size)
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.SiLU(), torch.nn.Linear(7, 2)).double()
    unused = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    weights = [*network.parameters(), unused]
    x, batch = torch.randn(40, 5, dtype=torch.float64), np.arange(3, 14)
    whole = torch.autograd.grad(network(x[batch]).square().sum(1).mean(), list(network.parameters()))
    own = ranks.share(batch)
    loss = network(x[own]).square().sum(1).mean()
    loss.backward()
    share = len(own) / len(batch)
    ranks.sum_gradients(weights, share)
    for weight, gradient in zip(weights, [*whole, torch.zeros(3, dtype=torch.float64)], strict=True):
        torch.testing.assert_close(weight.grad, gradient, rtol=1e-12, atol=1e-14)
    with torch.inference_mode():
        everything = ranks.together(lambda part: network(x[part]), 40)
    torch.testing.assert_close(torch.stack(everything), network(x).detach(), rtol=1e-12, atol=1e-14)
    few = ranks.together(lambda part: [f"{k}" for k in part], 1)  # fewer than processes
    assert few == ["0"]
    assert ranks.together(lambda part: list(part), 0) == []
    total = ranks.sum(share * loss.detach())
    torch.testing.assert_close(total, network(x[batch]).square().sum(1).mean().detach(), rtol=1e-12, atol=0)
    dist.destroy_process_group()


@pytest.mark.parametrize("size", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_the_gradient_is_that_of_one_process(size, tmp_path):
    torch.multiprocessing.spawn(gradients, (size, str(tmp_path)), nprocs=size)


def together(config: Path, out: Path, *more: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "irrepnet"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    given = [*command, "train", str(config), "--out", str(out), *more]
    return subprocess.run(given, capture_output=True, text=True, env=environment, timeout=300)


def history(folder: Path) -> np.ndarray:
    """(epochs, 2) losses in training and validation."""
    with (folder / "metrics.csv").open(encoding="utf-8") as stream:
        return np.array([[float(row["train_loss"]), float(row["validation_loss"])] for row in csv.DictReader(stream)])


@pytest.mark.slow
def test_the_run_is_that_of_one_process(small_config, tmp_path):
    config = small_config(data__targets=["formation_energy_per_atom"])
    alone = train(config, tmp_path / "alone", quiet=True).folder
    ended = together(alone / "config.yaml", tmp_path / "together")
    assert ended.returncode == 0, ended.stderr
    folder = tmp_path / "together"
    assert {path.name for path in folder.iterdir()} == {path.name for path in alone.iterdir()} | {
        "report.html",
        *(path.name for path in folder.glob("*.png")),
    }
    assert "2 processes together" in (folder / "log.txt").read_text()
    np.testing.assert_allclose(history(folder), history(alone), rtol=2e-4)
    ours, its = (json.loads((path / "metrics.json").read_text())["test"] for path in (folder, alone))
    assert ours["formation_energy_per_atom"] == pytest.approx(its["formation_energy_per_atom"], rel=1e-3)
    again = together(alone / "config.yaml", folder, "--resume")
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("this run is finished") == 1


def in_three_shares(self, compute, size):
    """What three processes would do one after the other."""
    parts = [list(compute(np.arange(size)[rank::3])) for rank in range(3)]
    return [parts[k % 3][k // 3] for k in range(size)]


@pytest.mark.parametrize("task", TASKS)
def test_validation_in_shares_is_that_of_one_process(task, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(make, "FRAME", str(tmp_path / "frame.json"))
    preset, settings, _ = make.runs()[task]
    config = load_config(preset, {**make.SHORT, **settings, "training.epochs": 2})
    alone = train(config, "alone", quiet=True).folder
    monkeypatch.setattr(Ranks, "together", in_three_shares)
    shared = train(config, "shared", quiet=True).folder
    found, wanted = ((tmp_path / folder / "metrics.csv").read_text().splitlines() for folder in (shared, alone))
    assert found[0] == wanted[0]
    assert len(found) == len(wanted) == 3
    names = wanted[0].split(",")
    for own, other in zip(found[1:], wanted[1:]):
        for name, a, b in zip(names, own.split(","), other.split(",")):
            if "second" not in name and a != b:
                assert float(a) == pytest.approx(float(b), rel=1e-5), name


@pytest.mark.slow
def test_two_runs_together_are_equal_bit_by_bit(small_config, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(small_config(training__epochs=2).to_yaml())
    for name in "ab":
        assert together(path, tmp_path / name).returncode == 0
    a, b = ((tmp_path / name / "model.safetensors").read_bytes() for name in "ab")
    assert a == b


def test_batch_norms_are_refused(monkeypatch):
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), WeightedBatchNorm(2))
    check_shares("cgcnn", network, ALONE)
    with pytest.raises(IrrepnetError, match="cgcnn normalises over the batch, of which 2 processes see a share"):
        check_shares("cgcnn", network, Ranks(1, 2))
    assert is_first()
    monkeypatch.setenv("RANK", "1")
    assert not is_first()
