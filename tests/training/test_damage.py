"""Run folders that were damaged, mixed up or cut off: refused by name, and never silently wrong."""

import json
import multiprocessing
import os
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.training.test_resume import SAME_BITS, PowerCut, assert_equal_runs

from irrepnet import files
from irrepnet.errors import IrrepnetError
from irrepnet.files import locked
from irrepnet.report import write_report
from irrepnet.training import evaluate, load_run, predict, train
from irrepnet.training.files import CARD, sealed
from irrepnet.training.where import SHIPPED, shipped

READ = ("model.safetensors", "known.safetensors", "split.json", "config.yaml", "model.json")
"""What loading a run reads."""
TOLD = ("metrics.json", "metrics.csv", "versions.json", "predictions_test.csv")
"""What the report reads besides."""


@pytest.fixture(scope="module")
def other_run(small_config, tmp_path_factory):
    """A run of another seed, split and cutoff."""
    folder = tmp_path_factory.mktemp("runs") / "other"
    config = small_config(training__seed=3, training__epochs=2, data__split_seed=5, data__cutoff=5.0)
    train(config, folder, quiet=True)
    return folder


def damaged(path, how, other):
    content = path.read_bytes()
    if how == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "flipped":
        place = int(np.random.default_rng(len(content)).integers(len(content)))
        path.write_bytes(content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :])
    elif how == "of another run":
        shutil.copy(other / path.name, path)
    else:
        path.unlink()


HOWS = ("cut", "empty", "flipped", "of another run", "missing")


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("name", READ)
def test_a_damaged_run_is_not_loaded(small_run, other_run, tmp_path, name, how):
    if name == "config.yaml" and how == "missing":
        pytest.skip("nothing reads it")
    folder = shutil.copytree(small_run, tmp_path / "run")
    damaged(folder / name, how, other_run)
    foreign = name == "model.json" and how == "of another run"  # then every other file is not the one it tells of
    foreign |= name == CARD and how == "missing"  # then it looks like a run that is not finished
    with pytest.raises(IrrepnetError) as refused:
        load_run(folder)
    assert foreign or name in str(refused.value)
    assert "\n" not in str(refused.value)


def test_no_bit_of_the_digests_of_other_files_changes_unseen(small_run, tmp_path):
    """Those of files too that loading does not read."""
    folder = shutil.copytree(small_run, tmp_path / "run")
    card = json.loads((folder / CARD).read_text())
    for name, digest in card["sha256"].items():
        changed = {**card, "sha256": {**card["sha256"], name: ("1" if digest[0] == "0" else "0") + digest[1:]}}
        (folder / CARD).write_text(json.dumps(changed))
        with pytest.raises(IrrepnetError, match=CARD):
            load_run(folder)


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("name", TOLD)
def test_a_damaged_run_has_no_report(small_run, other_run, tmp_path, name, how):
    folder = shutil.copytree(small_run, tmp_path / "run")
    if name == "versions.json":  # that of the other run is the same
        (other_run / name).write_text('{"irrepnet": "0"}')
    damaged(folder / name, how, other_run)
    with pytest.raises(IrrepnetError, match=name):
        write_report(folder)


@pytest.mark.parametrize("how", HOWS)
def test_a_damaged_list_of_what_was_rejected_is_named(small_run, other_run, tmp_path, how):
    folder = shutil.copytree(small_run, tmp_path / "run")
    if how == "of another run":
        (other_run / "rejected.csv").write_text("id,reason\na,b\n")
    damaged(folder / "rejected.csv", how, other_run)
    with pytest.raises(IrrepnetError, match=r"rejected\.csv"):
        evaluate(folder, target="metal", quiet=True)


@pytest.mark.parametrize("key", ["domain", "targets", "config", "data", "errors", "format", "irrepnet"])
@pytest.mark.parametrize("value", [None, 7, []])
def test_a_card_without_digests_is_still_checked(small_run, tmp_path, key, value):
    """As earlier versions wrote it."""
    folder = shutil.copytree(small_run, tmp_path / "run")
    card = {k: v for k, v in json.loads((folder / CARD).read_text()).items() if k != "sha256"}
    (folder / CARD).write_text(json.dumps(card))
    load_run(folder)
    (folder / CARD).write_text(json.dumps({k: v for k, v in {**card, key: value}.items() if v is not None}))
    with pytest.raises(IrrepnetError):
        write_report(load_run(folder).folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_named(small_run, tmp_path, value):
    folder = shutil.copytree(small_run, tmp_path / "run")
    weights = load_file(folder / "model.safetensors")
    name = sorted(key for key in weights if weights[key].is_floating_point())[0]
    weights[name].view(-1)[0] = value
    save_file(weights, folder / "model.safetensors")
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps(sealed(card, folder, [n for n in card["sha256"] if n != CARD])))
    with pytest.raises(IrrepnetError, match=f"not finite in {name}"):
        load_run(folder)


def test_a_prediction_that_is_no_number_is_none(small_run, examples):
    run = load_run(small_run)
    with torch.no_grad():
        for weights in run.model.parameters():
            weights.fill_(1e30)
    (row,) = predict(run, examples["NaCl"])
    assert row["formation_energy_per_atom"] is None
    assert "the network gave no finite number" in row["note"]
    json.dumps(row, allow_nan=False)


@pytest.mark.parametrize("name", shipped())
def test_what_comes_with_the_package_is_what_was_written(name):
    card = json.loads((SHIPPED / name / CARD).read_text(encoding="utf-8"))
    assert {"model.safetensors", "split.json", "config.yaml", CARD} <= card["sha256"].keys()
    load_run(name)


# -- a kill at each write


def writes_of(monkeypatch, stop=None, after=False):
    """Count the files that are written; raise before (or after) the one with this number."""
    written = []
    plain = files.os.replace

    def replace(part, path):
        if path.parent.name == "graphs":  # of the store
            return plain(part, path)
        written.append(path.name)
        if len(written) - 1 == stop and not after:
            left = path.with_name(f"{part.name}.part")  # for what is not killed tidies up
            left.write_bytes(part.read_bytes()[: part.stat().st_size // 2])
            raise PowerCut
        plain(part, path)
        if len(written) - 1 == stop:
            raise PowerCut
        return None

    monkeypatch.setattr(files.os, "replace", replace)
    return written


@pytest.mark.parametrize("members", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_run_cut_off_at_any_write_goes_on(small_config, tmp_path, monkeypatch, members):
    """Before it, so that half of the file is there under another name, or right after it."""
    config = small_config(training__epochs=1, training__members=members, data__targets="metal", model__channels=4)
    with monkeypatch.context() as patch:
        written = writes_of(patch)
        train(config, tmp_path / "whole", quiet=True)
    assert written[0] == "config.yaml"
    assert written[-1] == "model.json"
    whole = {path.name for path in (tmp_path / "whole").iterdir()}
    numbers = range(len(written)) if members == 1 else range(len(written) - 9, len(written), 2)
    for number in numbers:
        for after in (False, True) if members == 1 else (False,):
            out = tmp_path / f"cut-{number}-{after}"
            with monkeypatch.context() as patch:
                writes_of(patch, number, after)
                with pytest.raises(PowerCut):
                    train(config, out, quiet=True)
            train(config, out, resume=True, quiet=True)
            assert {path.name for path in out.iterdir()} == whole, (written[number], after)
            assert_equal_runs(tmp_path / "whole", out)
            load_run(out)


def test_a_kill_after_the_card_leaves_no_checkpoint(small_config, small_run, tmp_path):
    out = shutil.copytree(small_run, tmp_path / "run")
    (out / "checkpoint.safetensors").write_bytes(b"left behind")
    (out / "model.json.part").write_bytes(b"left behind")
    train(small_config(), out, resume=True, quiet=True)
    assert not list(out.glob("checkpoint*"))
    assert not list(out.glob("*.part"))


@pytest.mark.parametrize("changed", [{"training__seed": 7}, {"training__learning_rate": 1e-4}, {"data__split_seed": 9}])
def test_the_checkpoint_of_another_run_is_refused(small_config, tmp_path, monkeypatch, changed):
    def stopped(config, out):
        with monkeypatch.context() as patch:
            patch.setattr("irrepnet.training.run.write_history", cut)
            with pytest.raises(PowerCut):
                train(config, out, quiet=True)

    def cut(*_):
        raise PowerCut

    stopped(small_config(), tmp_path / "one")
    stopped(small_config(**changed), tmp_path / "other")
    shutil.copy(tmp_path / "other/checkpoint.safetensors", tmp_path / "one/checkpoint.safetensors")
    with pytest.raises(IrrepnetError, match=r"checkpoint.safetensors: not a checkpoint of this run \(it is of another"):
        train(small_config(), tmp_path / "one", resume=True, quiet=True)
    own = tmp_path / "other/checkpoint.safetensors"
    content = own.read_bytes()
    own.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    with pytest.raises(IrrepnetError, match=r"not a checkpoint of this run \(it was damaged\)"):
        train(small_config(**changed), tmp_path / "other", resume=True, quiet=True)


# -- the folder


def hold(folder, held, free):
    with locked(folder):
        held.set()
        free.wait()


def test_two_processes_do_not_train_in_one_folder(small_config, tmp_path):
    context = multiprocessing.get_context("spawn")
    held, free = context.Event(), context.Event()
    process = context.Process(target=hold, args=(tmp_path / "run", held, free))
    process.start()
    try:
        assert held.wait(60)
        with pytest.raises(IrrepnetError, match=f"process {process.pid} works in this folder"):
            train(small_config(), tmp_path / "run", quiet=True)
    finally:
        free.set()
        process.join()
    with locked(tmp_path / "run"):
        pass
    assert not list((tmp_path / "run").iterdir())


def test_a_killed_process_leaves_no_lock(tmp_path):
    (tmp_path / ".lock").write_text(str(os.getpid()))
    with locked(tmp_path):
        pass


def test_a_wrong_source_leaves_nothing(small_config, tmp_path):
    for broken in ({"data__source": str(tmp_path / "smal.jsonl")}, {"data__targets": "formation_enrgy"}):
        with pytest.raises(IrrepnetError):
            train(small_config(**broken), tmp_path / "run", quiet=True)
        assert not (tmp_path / "run").exists()
    (tmp_path / "own").mkdir()
    with pytest.raises(IrrepnetError):
        train(small_config(data__source=str(tmp_path / "smal.jsonl")), tmp_path / "own", quiet=True)
    assert not list((tmp_path / "own").iterdir())
    train(small_config(training__epochs=1), tmp_path / "own", quiet=True)


def test_a_folder_with_other_files_is_left_alone(small_config, tmp_path):
    (tmp_path / "notes.csv").write_text("mine")
    with pytest.raises(IrrepnetError, match=r"holds files \(notes.csv\).*choose an empty or a new folder"):
        train(small_config(), tmp_path, quiet=True)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("notes.csv", "mine")]


@pytest.mark.parametrize("resume", [False, True])
def test_a_run_that_has_lost_its_configuration(small_config, small_run, tmp_path, resume):
    out = shutil.copytree(small_run, tmp_path / "run")
    (out / "config.yaml").unlink()
    with pytest.raises(IrrepnetError, match=r"a run without its config.yaml .*put config.yaml back"):
        train(small_config(training__seed=1), out, resume=resume, quiet=True)
    for name in set(SAME_BITS) - {"config.yaml"}:
        assert (out / name).read_bytes() == (small_run / name).read_bytes()


def test_a_full_disk_is_one_line(small_config, tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("irrepnet.training.checkpoint.write_bytes", full)
    with pytest.raises(IrrepnetError, match=r"checkpoint.safetensors: cannot be written \(No space left"):
        train(small_config(), tmp_path / "run", quiet=True)
    monkeypatch.undo()
    train(small_config(), tmp_path / "run", resume=True, quiet=True)
