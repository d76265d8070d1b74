"""Runs that earlier versions wrote, and the present one: loaded, they predict what they predicted then."""

import json

import numpy as np
import pytest
from tests.training.golden.make import GOLDEN, KEPT, outputs

from irrepnet.tasks import TASKS
from irrepnet.training import load_run
from irrepnet.training.load import FORMAT

RUNS = sorted(path for path in GOLDEN.iterdir() if path.name.startswith("format"))


@pytest.mark.parametrize("folder", RUNS, ids=lambda folder: folder.name)
def test_predictions_are_those_of_the_version_that_wrote_it(folder):
    assert {path.name for path in folder.iterdir()} == {*KEPT, "predictions.json"}
    assert sum(path.stat().st_size for path in folder.iterdir()) < 60_000
    known = json.loads((folder / "predictions.json").read_text())
    run = load_run(folder)
    found, wanted = outputs(run, known["inputs"]), known["outputs"]
    assert len(found) == len(wanted)
    for target in run.targets:
        expected = [np.array(row[target.name], float) for row in wanted]
        largest = max(np.abs(value).max() for value in expected)
        assert largest > 1e-3, f"{target.name}: nothing to compare"
        for row, value in zip(found, expected):
            np.testing.assert_allclose(row[target.name], value, rtol=1e-6, atol=1e-6 * largest, err_msg=target.name)


def test_every_task_has_a_run_of_the_present_format():
    assert {f"format{FORMAT}_{task}" for task in TASKS} <= {path.name for path in RUNS}
