"""Equal runs give equal bits, interrupted or not."""

import csv
import json
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

from irrepnet.errors import IrrepnetError
from irrepnet.tasks import properties
from irrepnet.training import load_run, train

SAME_BITS = ("model.safetensors", "predictions_test.csv", "split.json", "rejected.csv", "config.yaml")


def assert_equal_runs(first, second):
    for name in SAME_BITS:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    a, b = (list(csv.DictReader((folder / "metrics.csv").open())) for folder in (first, second))
    for row, other in zip(a, b, strict=True):
        assert {k: v for k, v in row.items() if "second" not in k} == {
            k: v for k, v in other.items() if "second" not in k
        }


class PowerCut(Exception):
    pass


def stop_at(monkeypatch, step):
    """Raise in the middle of the step with this number, after the weights have changed."""
    steps = iter(range(10**6))
    plain = properties.union

    def cut(graphs):
        if next(steps) == step:
            raise PowerCut
        return plain(graphs)

    monkeypatch.setattr(properties, "union", cut)


def test_equal_runs_give_equal_bits(small_config, small_run, tmp_path):
    torch.manual_seed(12345)  # the state of the global generator does not matter, and is not changed
    state = torch.get_rng_state()
    train(small_config(), tmp_path / "again", quiet=True)
    assert torch.equal(torch.get_rng_state(), state)
    assert_equal_runs(small_run, tmp_path / "again")


def test_another_seed_gives_another_model_on_the_same_split(small_config, small_run, tmp_path):
    train(small_config(training__seed=1), tmp_path / "other", quiet=True)
    assert (tmp_path / "other" / "split.json").read_bytes() == (small_run / "split.json").read_bytes()
    a, b = (load_file(folder / "model.safetensors") for folder in (small_run, tmp_path / "other"))
    assert any(not torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("steps", [[0], [8], [2, 11], [5, 5, 5]])  # five steps an epoch, and one validation batch
def test_an_interrupted_run_goes_on_with_the_same_bits(small_config, small_run, tmp_path, monkeypatch, steps):
    out = tmp_path / "run"
    for step in steps:
        with monkeypatch.context() as patch:
            stop_at(patch, step)
            with pytest.raises(PowerCut):
                train(small_config(), out, resume=True, quiet=True)
        assert not (out / "metrics.json").exists()
    train(small_config(), out, resume=True, quiet=True)
    assert_equal_runs(small_run, out)
    assert not (out / "checkpoint.safetensors").exists()


@pytest.mark.parametrize("steps", [[0], [8], [2, 11]])
def test_an_interrupted_run_that_began_with_other_weights(small_config, small_run, tmp_path, monkeypatch, steps):
    """From the checkpoint, once there is one: the other run is not asked for any more."""
    other = shutil.copytree(small_run, tmp_path / "other")
    config = small_config(start=str(other), data__targets="band_gap")
    train(config, tmp_path / "whole", quiet=True)
    for step in steps:
        with monkeypatch.context() as patch:
            stop_at(patch, step)
            with pytest.raises(PowerCut):
                train(config, tmp_path / "cut", resume=True, quiet=True)
    if (tmp_path / "cut" / "checkpoint.safetensors").exists():
        shutil.rmtree(other)
    run = train(config, tmp_path / "cut", resume=True, quiet=True)
    assert_equal_runs(tmp_path / "whole", tmp_path / "cut")
    assert run.card["start"] == load_run(tmp_path / "whole").card["start"]
    with pytest.raises(IrrepnetError, match=r"start is .* there and None here"):
        train(small_config(data__targets="band_gap"), tmp_path / "cut", resume=True, quiet=True)


def test_an_interruption_while_the_result_is_written(small_config, small_run, tmp_path, monkeypatch):
    from irrepnet.training import run

    out = tmp_path / "run"

    def cut(*_):
        raise PowerCut

    with monkeypatch.context() as patch:
        patch.setattr(run, "write_predictions", cut)
        with pytest.raises(PowerCut):
            train(small_config(), out, quiet=True)
    train(small_config(), out, resume=True, quiet=True)
    assert_equal_runs(small_run, out)


@pytest.mark.slow
def test_a_killed_process_goes_on_with_the_same_bits(small_config, small_data, tmp_path):
    config = small_config(training__epochs=40)
    path = tmp_path / "config.yaml"
    path.write_text(config.to_yaml())
    program = (
        "import sys; from irrepnet.training import load_config, train; "
        "train(load_config(sys.argv[1]), sys.argv[2], resume=True, quiet=True)"
    )

    def start(out):
        return subprocess.Popen([sys.executable, "-c", program, path, out])

    assert start(tmp_path / "whole").wait() == 0
    out = tmp_path / "killed"
    kills = 0
    while not (out / "metrics.json").exists():
        process = start(out)
        before = (out / "log.txt").read_text().count("epoch") if out.exists() else 0
        while process.poll() is None:
            time.sleep(0.02)
            said = (out / "log.txt").read_text().count("epoch") if (out / "log.txt").exists() else 0
            if kills < 3 and said > before + 6:
                process.send_signal(signal.SIGKILL)
                process.wait()
                kills += 1
    assert kills == 3
    assert_equal_runs(tmp_path / "whole", out)


def test_a_folder_with_a_run_is_refused_and_a_finished_one_is_left_alone(small_config, small_run):
    with pytest.raises(IrrepnetError, match="holds a run already; go on with --resume"):
        train(small_config(), small_run, quiet=True)
    before = {path.name: path.stat().st_mtime_ns for path in small_run.iterdir() if path.name != "log.txt"}
    run = train(small_config(), small_run, resume=True, quiet=True)
    assert [target.name for target in run.targets] == ["formation_energy_per_atom", "metal"]
    assert before == {path.name: path.stat().st_mtime_ns for path in small_run.iterdir() if path.name != "log.txt"}


@pytest.mark.parametrize(
    ("key", "value"),
    [("training__epochs", 4), ("model__channels", 4), ("data__cutoff", 5.0), ("training__threads", 2)],
)
def test_a_resumed_run_keeps_its_configuration(small_config, small_run, key, value):
    with pytest.raises(IrrepnetError, match=rf"{key.replace('__', '.')} is .* there and {value} here"):
        train(small_config(**{key: value}), small_run, resume=True, quiet=True)


def test_a_resumed_run_keeps_its_data(small_config, small_data, tmp_path, monkeypatch):
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        stop_at(patch, 8)
        with pytest.raises(PowerCut):
            train(small_config(), out, quiet=True)
    moved = tmp_path / "moved.jsonl"
    moved.write_text(small_data.read_text().replace("-0.0", "0.0"))
    changed = tmp_path / "changed.jsonl"
    changed.write_text("\n".join(small_data.read_text().splitlines()[1:]))
    with pytest.raises(IrrepnetError, match="not the data of the run"):
        train(small_config(data__source=str(changed)), out, resume=True, quiet=True)
    train(small_config(data__source=str(moved)), out, resume=True, quiet=True)


def test_a_damaged_checkpoint_is_named(small_config, tmp_path, monkeypatch):
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        stop_at(patch, 8)
        with pytest.raises(PowerCut):
            train(small_config(), out, quiet=True)
    path = out / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(IrrepnetError, match=r"checkpoint.safetensors: not a checkpoint of this run"):
        train(small_config(), out, resume=True, quiet=True)


@pytest.mark.slow
def test_the_number_of_threads_is_the_runs_own(small_config, tmp_path, monkeypatch):
    before, seen = torch.get_num_threads(), set()
    plain = properties.union

    def look(graphs):
        seen.add(torch.get_num_threads())
        return plain(graphs)

    monkeypatch.setattr(properties, "union", look)
    train(small_config(training__threads=2, training__epochs=1), tmp_path / "run", quiet=True)
    assert seen == {2}
    assert torch.get_num_threads() == before


def test_own_split_patience_and_a_callable_for_every_epoch(small_config, small_run, tmp_path):
    """A run with the split of another; it ends early, is told epoch by epoch, and is the same when it is resumed."""
    split = json.loads((small_run / "split.json").read_text())
    split["test"]["id"] = split["test"]["id"][:2]
    (tmp_path / "split.json").write_text(json.dumps(split))
    config = small_config(
        data__split=str(tmp_path / "split.json"), training__patience=1, training__epochs=40, training__learning_rate=0.3
    )
    rows = []
    whole = train(config, tmp_path / "whole", quiet=True, on_epoch=rows.append)
    assert {part: own["id"] for part, own in whole.split.items()} == {part: own["id"] for part, own in split.items()}
    with (tmp_path / "whole" / "metrics.csv").open() as stream:
        assert [int(row["epoch"]) for row in csv.DictReader(stream)] == [row["epoch"] for row in rows]
    assert len(rows) < 40
    assert [row["best"] for row in rows] == [True] * (len(rows) - 1) + [False]

    def stop(row):
        if row["epoch"] == len(rows):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "cut", quiet=True, on_epoch=stop)
    again = train(config, tmp_path / "cut", resume=True, quiet=True)
    assert (again.folder / "model.safetensors").read_bytes() == (whole.folder / "model.safetensors").read_bytes()
