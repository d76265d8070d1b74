"""The cache on disk: shared by processes, killed, damaged, not writable."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from irrepnet.graphs.cache import Cache, bypassed, cache, digest, folder

WRITER = """
import sys
from pathlib import Path
from irrepnet.graphs.cache import Cache
kept, name = Cache(Path(sys.argv[1])), sys.argv[2]
for i in range(int(sys.argv[3])):
    kept.put({f"{name} {i} {k}": [i, k] for k in range(20)})
print("done")
"""


def write(path: Path, name: str, rounds: int) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", WRITER, str(path), name, str(rounds)], stdout=subprocess.PIPE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "inner" / "results.sqlite"


def test_values_come_back_in_another_run(path):
    values = {"a": [0.1, 1e-300, -0.0], "b": "site 0: no", "c": {"x": None}}
    Cache(path).put(values)
    assert Cache(path).get(["a", "b", "c", "d"]) == values


def test_folder(monkeypatch, tmp_path):
    for name in ("IRREPNET_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert folder() == Path.home() / ".cache" / "irrepnet"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert folder() == tmp_path / "xdg" / "irrepnet"
    monkeypatch.setenv("IRREPNET_CACHE", str(tmp_path / "own"))
    assert folder() == tmp_path / "own"
    cache().put({"a": 1})
    assert cache() is cache()
    assert (tmp_path / "own" / "descriptors.sqlite").exists()


def test_bypassed(monkeypatch, tmp_path):
    monkeypatch.setenv("IRREPNET_CACHE", str(tmp_path))
    cache().put({"a": 1})
    with bypassed():
        assert cache().get(["a"]) == {}
        cache().put({"b": 2})
    assert cache().get(["a", "b"]) == {"a": 1}


def test_digest_is_of_the_content():
    array = np.array([[1.0, 2.0], [3.0, -0.0]])
    assert digest("a", array) == digest("a", array + 1e-12)
    others = [digest("b", array), digest("a", array + 1e-7), digest("a", array.ravel()), digest("a", array.astype(int))]
    assert digest("a", array) not in others[:3]
    assert digest("ab", "c") != digest("a", "bc")


@pytest.mark.parametrize("damage", ["garbage", "cut", "overwritten"])
def test_a_damaged_file_is_begun_anew(path, damage):
    Cache(path).put({f"key {i}": list(range(100)) for i in range(200)})
    content = path.read_bytes()
    if damage == "garbage":
        path.write_bytes(b"not a database" * 1000)
    elif damage == "cut":
        path.write_bytes(content[: len(content) // 3])
    else:
        path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        kept = Cache(path)
        assert not kept.get(f"key {i}" for i in range(200))
        kept.put({"new": 1})
    assert "is damaged" in str(caught[0].message)
    assert "begun anew" in str(caught[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Cache(path).get(["new", "key 1"]) == {"new": 1}


def test_a_value_that_changed_on_disk_counts_as_missing(path):
    Cache(path).put({"a": [1.25], "b": [2.5]})
    with sqlite3.connect(path) as file:
        file.execute("UPDATE results SET value = ? WHERE key = 'a'", (b"[1.35]",))
    assert Cache(path).get(["a", "b"]) == {"b": [2.5]}


def test_a_folder_that_cannot_be_written_costs_a_warning(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        kept = Cache(tmp_path / "file" / "results.sqlite")
        kept.put({"a": 1})
        kept.put({"b": 2})
        assert kept.get(["a", "b"]) == {"a": 1, "b": 2}
    assert len(caught) == 1
    assert "cannot be used" in str(caught[0].message)


def test_a_file_that_is_deleted_meanwhile(path):
    kept = Cache(path)
    kept.put({"a": 1})
    path.unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kept.put({"b": 2})
        assert kept.get(["b"]) == {"b": 2}


def test_several_processes_and_one_that_is_killed(path):
    killed = write(path, "killed", 100_000)
    writers = [write(path, name, 30) for name in ("x", "y")]
    deadline = time.monotonic() + 60
    while not (path.exists() and path.stat().st_size > 40_000) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(killed.pid, signal.SIGKILL)
    for process in (*writers, killed):
        process.wait(60)
        assert process.stdout
        process.stdout.close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kept = Cache(path)
        for name in ("x", "y"):
            keys = [f"{name} {i} {k}" for i in range(30) for k in range(20)]
            assert len(kept.get(keys)) == len(keys)
        # what the killed one began to write is there as a whole or not at all
        for i in range(2000):
            assert len(kept.get(f"killed {i} {k}" for k in range(20))) in (0, 20)
