"""Processes that work for another one."""

import os
import signal
from pathlib import Path

import pytest

from irrepnet.data import embedded, store
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import FrameOptions
from irrepnet.workers import in_processes, is_worker

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="counts processes as Linux lists them")


def children() -> list[str]:
    tasks = Path("/proc/self/task").iterdir()
    return [child for task in tasks for child in (task / "children").read_text().split()]


def double(x: int) -> tuple[int, int]:
    return 2 * x, os.getpid()


def in_a_worker(folder: str) -> tuple[bool, int, list[str]]:
    """Graphs that would pay for processes of their own, and which processes were started for them."""
    given = [record for record in embedded("dielectric_constant") if len(record) < 10][: 3 * store.SHARD]
    assert len(given) == 3 * store.SHARD  # so that two are left when the first has told how long one takes
    with pytest.MonkeyPatch.context() as patch:  # the process serves other tests too
        patch.setenv("IRREPNET_CACHE", folder)
        patch.setattr(store, "PROCESSES_PAY", 0)
        return is_worker(), len(store.record_graphs(given, FrameOptions(max_frames=0))), children()


def dies(x: int) -> None:
    if x == 1:
        os.kill(os.getpid(), signal.SIGKILL)


def test_results_come_in_order_from_other_processes():
    found = list(in_processes(double, ((x,) for x in range(20)), 2, ""))
    assert [value for value, _ in found] == list(range(0, 40, 2))
    assert os.getpid() not in {pid for _, pid in found}
    assert not is_worker()


def test_a_worker_starts_no_others(tmp_path):
    """Joblib ends a process that has grown; if that had processes of its own, all would wait for ever."""
    ((worker, graphs, started),) = in_processes(in_a_worker, [(str(tmp_path),)], 2, "")
    assert worker
    assert graphs > 0
    assert started == []


def test_a_death_is_told():
    with pytest.raises(IrrepnetError, match="it died"):
        list(in_processes(dies, [(0,), (1,), (2,)], 2, "it died"))
