"""The store of graphs: what is kept equals what is made, however it came about and whatever happens to the files."""

import multiprocessing
import os
import warnings
from dataclasses import fields, is_dataclass

import numpy as np
import pytest
import torch

from irrepnet.data import Record, embedded
from irrepnet.data import store as module
from irrepnet.data.batch import union
from irrepnet.data.store import SHARD, Chosen, collect_garbage, record_graphs, store_folder, stored
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import (
    FrameOptions,
    GroupedSiteOptions,
    HypergraphOptions,
    Packed,
    VectorGraphOptions,
    pack,
)
from irrepnet.graphs.cache import bypassed

OPTIONS = [
    FrameOptions(),
    FrameOptions(max_frames=0),
    FrameOptions(continuous=True),
    GroupedSiteOptions(),
    VectorGraphOptions(),
    HypergraphOptions(hyperedges=("bonds", "triplets", "cell"), directions=True),
]


@pytest.fixture(autouse=True)
def _fresh(tmp_path, monkeypatch):
    monkeypatch.setenv("IRREPNET_CACHE", str(tmp_path / "cache"))


def records(number: int = 40) -> list[Record]:
    """Crystals of all kinds of groups, small ones; and one that no space group can be found for."""
    found = [record for record in embedded("dielectric_constant") if len(record) < 12][: number - 1]
    return [*found[:7], overlapping(), *found[7:]]


def overlapping() -> Record:
    content = {"species": ["Na", "Cl"], "frac_coords": [[0, 0, 0], [0, 0, 0.01]], "lattice": (4 * np.eye(3)).tolist()}
    return Record.from_dict(content, "overlapping")


def same(one, other) -> None:
    """As a batch sees them: reals to float32, integers as integers."""
    assert type(one) is type(other)
    if is_dataclass(one):
        for field in fields(one):
            same(getattr(one, field.name), getattr(other, field.name))
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            same(one[key], other[key])
    elif isinstance(one, tuple):
        assert len(one) == len(other)
        for a, b in zip(one, other):
            same(a, b)
    elif isinstance(one, np.ndarray):
        assert one.shape == other.shape
        real = one.dtype.kind == "f"
        np.testing.assert_array_equal(one.astype(np.float32) if real else one, other)
        assert one.dtype.kind == other.dtype.kind
    else:
        assert one == other


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: f"{type(o).__name__}-{OPTIONS.index(o)}")
def test_graphs_come_back_as_they_were(options):
    given = records()
    with bypassed():
        made = record_graphs(given, options)
    kept, again, not_kept = (record_graphs(given, options, keep=keep) for keep in (True, True, False))
    assert made.refused.keys() == kept.refused.keys() == again.refused.keys() == {7}
    assert made.refused == again.refused
    assert "overlap" in made.refused[7]
    there = [k for k in range(len(given)) if k != 7]
    for k in there:
        same(made[k], kept[k])
        same(made[k], again[k])
        same(made[k], not_kept[k])
    np.testing.assert_array_equal(made.rotations, again.rotations)
    equal_tensors(*(union(Chosen(graphs, there)) for graphs in (made, again)))


def equal_tensors(one, other) -> None:
    if isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype
        assert torch.equal(one, other)
    elif is_dataclass(one):
        for field in fields(one):
            equal_tensors(getattr(one, field.name), getattr(other, field.name))
    elif isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            equal_tensors(one[key], other[key])
    else:
        assert one == other


def test_packing_nothing():
    layout, arrays = pack([])
    assert len(Packed(layout, arrays, 0)) == 0
    with pytest.raises(IndexError, match="0 graphs"):
        Packed(layout, arrays, 0)[0]
    assert len(record_graphs([], FrameOptions())) == 0


def test_the_second_time_nothing_is_made(monkeypatch):
    given, options = records(), FrameOptions()
    record_graphs(given, options)

    def never(*arguments):
        raise AssertionError("made anew")

    monkeypatch.setattr(module, "_made", never)
    said: list[int] = []
    record_graphs(given, options, progress=said.append)
    assert sum(said) == len(given)
    for changed in (given[1:], [*given[:-1], given[0]]):
        with pytest.raises(AssertionError, match="made anew"):
            record_graphs(changed, options)
    for other in (FrameOptions(n_max=8), FrameOptions(symprec=0.02)):
        with pytest.raises(AssertionError, match="made anew"):
            record_graphs(given, other)
    with pytest.raises(AssertionError, match="made anew"):
        record_graphs(given, options, point_groups=["m-3m"])
    with bypassed(), pytest.raises(AssertionError, match="made anew"):
        record_graphs(given, options)


def test_point_groups_are_admitted():
    given = records()
    graphs = record_graphs(given, FrameOptions(), point_groups=["m-3m", "4/mmm"])
    refused = [graphs.refused[k] for k in range(len(given)) if k in graphs.refused and k != 7]
    assert 0 < len(refused) < len(given) - 1
    assert all(reason.endswith("is not admitted (only 4/mmm, m-3m)") for reason in refused)


def test_several_processes_make_the_same_shards(tmp_path, monkeypatch):
    given = [record for record in embedded("dielectric_constant") if len(record) < 9][: 2 * SHARD + 5]
    assert len(given) > 2 * SHARD
    files = []
    monkeypatch.setattr(module, "PROCESSES_PAY", 0)
    for workers in (1, 2):
        monkeypatch.setenv("IRREPNET_CACHE", str(tmp_path / str(workers)))
        record_graphs(given, FrameOptions(max_frames=0), workers=workers)
        files.append({path.name: path.read_bytes() for path in store_folder().iterdir()})
    assert len(files[0]) == 3
    assert files[0] == files[1]


def test_an_interruption_loses_no_shard_that_is_made(monkeypatch):
    given = [record for record in embedded("dielectric_constant") if len(record) < 9][: 2 * SHARD]
    options = FrameOptions(max_frames=0)

    def stop(n: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record_graphs(given, options, workers=1, progress=stop)
    assert len(list(stored())) == 1
    record_graphs(given, options, workers=1)
    assert [shard.graphs for shard in stored()] == [SHARD, SHARD]


def _flipped(content: bytes, at: int) -> bytes:
    changed = bytearray(content)
    changed[at] ^= 1
    return bytes(changed)


@pytest.mark.parametrize("damage", ["cut", "array", "text", "empty", "nonsense"])
def test_a_damaged_shard_is_made_anew(damage):
    given, options = records(), FrameOptions()
    record_graphs(given, options)
    (path,) = store_folder().iterdir()
    content = path.read_bytes()
    path.unlink()  # it is mapped
    about = content.index(b"overlap")  # in the text of the header
    flipped = {"array": _flipped(content, -40), "text": _flipped(content, about)}
    path.write_bytes({"cut": content[:-9], "empty": b"", "nonsense": b"\7" * 99, **flipped}[damage])
    assert not any(shard.is_current for shard in stored()) or damage in flipped
    with pytest.warns(UserWarning, match="is damaged .* and is made anew"):
        again = record_graphs(given, options)
    same(record_graphs(given, options, keep=False)[0], again[0])
    assert path.read_bytes() == content


def test_without_a_folder_graphs_stay_in_memory(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("IRREPNET_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="graphs are not kept after this run"):
        graphs = record_graphs(records(), FrameOptions())
    same(record_graphs(records(), FrameOptions(), keep=False)[0], graphs[0])


def _write_often(folder: str) -> None:
    os.environ["IRREPNET_CACHE"] = folder
    for _ in range(3):
        record_graphs(records(), FrameOptions(max_frames=0))


@pytest.mark.slow
def test_two_writers_at_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_write_often, args=(str(tmp_path / "cache"),)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    assert [shard.graphs for shard in stored()] == [39]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        record_graphs(records(), FrameOptions(max_frames=0))


def test_garbage(monkeypatch):
    record_graphs(records(), FrameOptions())
    (shard,) = stored()
    assert (shard.records, shard.graphs, shard.is_current) == (40, 39, True)
    assert shard.options.startswith("FrameOptions(")
    assert collect_garbage(30) == (0, 0)
    part = store_folder() / "killed.part"
    part.write_bytes(b"12345")
    assert collect_garbage(30) == (0, 0)  # it may be another process's, at work
    os.utime(part, (0, 0))
    assert collect_garbage(30) == (1, 5)
    os.utime(shard.path, (0, 0))
    assert collect_garbage(30) == (1, shard.size)
    record_graphs(records(), FrameOptions())
    monkeypatch.setattr(module, "_made_by", lambda: "another version")
    assert collect_garbage(30)[0] == 1
    assert not list(stored())


class _OwnOptions(FrameOptions):
    """A user's."""


def test_graphs_of_a_users_code_are_not_kept():
    record_graphs(records(), _OwnOptions())
    assert not list(stored())


def test_a_store_that_others_keep(monkeypatch):
    """It can be read where nothing can be written."""
    record_graphs(records(), FrameOptions())

    def refuse(*arguments):
        raise PermissionError("read-only")

    monkeypatch.setattr(module.os, "utime", refuse)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(record_graphs(records(), FrameOptions()).refused) == 1


@pytest.mark.slow
def test_on_a_dask_cluster(tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    given, options = records(), FrameOptions(max_frames=0)
    alone = record_graphs(given, options, keep=False)
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        together = record_graphs(given, options, workers=cluster.scheduler_address)
    assert together.refused == alone.refused
    same(alone[0], together[0])
    assert [shard.graphs for shard in stored()] == [39]


def test_no_scheduler():
    with pytest.raises(IrrepnetError, match=r"no Dask scheduler answers|Dask is not there"):
        record_graphs(records(), FrameOptions(), workers="nowhere")
