"""Two that write at once, in every place where two can: both come to the end or one is refused, and all is whole."""

import pytest
from tests.trust.jobs import JOBS, NAMES, prepared
from tests.trust.processes import outcome, start


@pytest.mark.parametrize("name", NAMES)
def test_two_writers(trust, tmp_path, name):
    job = JOBS[name]
    inputs, whole, _ = prepared(job, tmp_path)
    refused = 0
    for k in range(trust.count(10)):
        out = tmp_path / f"out-{k}"
        both = [outcome(*one) for one in [start(job.run, inputs, out) for _ in range(2)]]
        assert {one.code for one in both} <= {0, 1}, both
        assert any(one.code == 0 for one in both), both
        for one in both:
            if one.code:
                refused += 1
                assert "another process" in one.said or "works in this folder" in one.said, one.said
        assert job.results(out) == whole
    trust.tell(f"two writers, {name}: equal results", pairs=trust.count(10), refused=refused)
