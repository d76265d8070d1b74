"""Processes killed at any moment, and gone on with: the same bits, whole files."""

import os
import signal

import pytest
from tests.trust.jobs import JOBS, NAMES, TRAININGS, prepared
from tests.trust.processes import CONTEXT, alone, killed_after


@pytest.mark.parametrize("name", NAMES)
def test_kills(trust, tmp_path, name):
    """At random times."""
    job = JOBS[name]
    inputs, whole, seconds = prepared(job, tmp_path)
    assert whole
    kills, ends = 0, trust.count(6)
    for k in range(ends):
        out = tmp_path / f"out-{k}"
        for _ in range(trust.rng.integers(1, 4)):
            kills += killed_after(trust.rng.uniform(0, seconds), job.run, inputs, out)
            if job.is_whole and out.exists():
                assert all(whole[name] == content for name, content in job.results(out).items())
        last = alone(job.run, inputs, out)
        assert last.code == 0, last.said
        assert job.results(out) == whole
    trust.tell(f"kills of {name}: the same bits after going on", kills=kills, ends=ends)


def _killed_at(number, after, count, run, inputs, out):
    """In a process: SIGKILL at the write of this number, when half of the file is there or right after it."""
    plain = os.replace

    def replace(part, path):
        if out not in path.parents:  # in the store
            return plain(part, path)
        count.value += 1
        if count.value - 1 != number:
            return plain(part, path)
        if after:
            plain(part, path)
        else:
            os.truncate(part, os.stat(part).st_size // 2)
        return os.kill(os.getpid(), signal.SIGKILL)

    os.replace = replace
    run(inputs, out)


@pytest.mark.parametrize("name", [name for name in NAMES if name.values[0] in TRAININGS])
def test_a_kill_at_each_write(trust, tmp_path, name):
    job = TRAININGS[name]
    inputs, whole, _ = prepared(job, tmp_path)
    count = CONTEXT.Value("i", 0)
    process = CONTEXT.Process(target=_killed_at, args=(-1, False, count, job.run, inputs, tmp_path / "counted"))
    process.start()
    process.join()
    events = [(number, after) for number in range(count.value) for after in (False, True)]
    for number, after in trust.some(events):
        out = tmp_path / f"out-{number}-{after}"
        count.value = 0
        process = CONTEXT.Process(target=_killed_at, args=(number, after, count, job.run, inputs, out))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        last = alone(job.run, inputs, out)
        assert last.code == 0, last.said
        assert job.results(out) == whole, (number, after)
    trust.tell(f"a kill before and after each write of {name}", writes=count.value, kills=len(trust.some(events)))
