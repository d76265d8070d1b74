"""What sets and files of records hold, and tensors against their crystals, without the command line."""

import json

import numpy as np
import pytest

from irrepnet.data import DATASETS, embedded
from irrepnet.data.reports import check_tensors, list_sets
from irrepnet.data.summary import summary
from irrepnet.errors import IrrepnetError


def test_sets():
    rows = list_sets()
    assert [row["name"] for row in rows] == list(DATASETS)
    for row in rows:
        report = summary(row["name"])
        assert json.loads(json.dumps(report, allow_nan=False)) == report
        assert (report["count"], report["rejected"]) == (row["count"], [])
        assert set(report["targets"]) | set(report["tensors"]) >= set(row["targets"])
        assert all(t["min"] <= t["mean"] <= t["max"] for t in report["targets"].values())


def line(value: object, id: str) -> str:
    record = {"id": id, "species": ["Po"], "frac_coords": [[0, 0, 0]], "lattice": (3.3 * np.eye(3)).tolist()}
    return json.dumps(record | {"gyration": value})


def test_tensors(tmp_path):
    path = tmp_path / "own.jsonl"
    bad = [[1, 2, 3], [2, 5, 6], [3, 6, 9]]
    path.write_text("\n".join([line(np.eye(3).tolist(), "a"), line(bad, "b"), "{broken"]))
    report = check_tensors(str(path), "gyration", "ij=ji")["targets"]["gyration"]
    assert [crystal["id"] for crystal in report["crystals"]] == ["a"]
    assert report["clean"] == report["residual_below"]["0.001"] == 1
    assert [rejection["id"] for rejection in report["rejected"]] == ["3", "b"]
    with pytest.raises(IrrepnetError, match="no record has 'nothing'"):
        check_tensors(str(path), "nothing")
    with pytest.raises(IrrepnetError, match="holds none of"):
        check_tensors(str(path))


def test_all_known_tensors_are_checked(tmp_path):
    records = [record for record in embedded("dielectric_constant")][:20]
    path = tmp_path / "some.jsonl"
    lines = [
        {"id": r.id, "species": r.species, "frac_coords": r.frac_coords.tolist(), "lattice": r.lattice.tolist()}
        | {name: r.properties[name] for name in ("e_total", "e_electronic")}
        for r in records
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    report = check_tensors(str(path))
    assert set(report["targets"]) == {"e_electronic", "e_total"}
    for found in report["targets"].values():
        assert found["clean"] + found["reoriented"] == len(found["crystals"])
        assert len(found["crystals"]) + len(found["rejected"]) == 20
