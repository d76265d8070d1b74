"""What is looked for in a data set, each fault planted in real crystals."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from irrepnet.cli.main import app
from irrepnet.data import embedded
from irrepnet.report.data import check_data, check_tables, write_check


@pytest.fixture(scope="module")
def records():
    return [record for record in embedded("dielectric_constant") if len(record.species) <= 6][:60]


def line(record, **changes):
    own = {"id": record.id, "species": record.species, "frac_coords": record.frac_coords, "lattice": record.lattice}
    return {**own, **record.properties, **changes}


def test_a_sound_set_has_nothing_planted(records):
    found = check_data(records)
    assert found["count"] == 60
    assert not found["rejected"]
    assert found["unusual"]["scaled"] == {}
    assert not any(own["unit_doubtful"] for own in found["targets"].values())
    assert sum(found["symmetry"]["systems"].values()) == 60


def test_what_is_planted_is_found(records, tmp_path):
    turned = np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]])
    first, second, third, *others = records
    doubled = np.repeat(first.frac_coords, 2, 0) / [2, 1, 1] + np.tile([[0, 0, 0], [0.5, 0, 0]], (len(first), 1))
    supercell = line(
        first, id="again", species=[s for s in first.species for _ in "12"], frac_coords=(doubled + 0.13).tolist(),
        lattice=(np.diag([2, 1, 1]) @ first.lattice @ turned).tolist(),
    )  # fmt: skip
    lines = [line(first), supercell, line(third, n=1e6)]
    lines += [line(second, id="bohr", lattice=(np.array(second.lattice) / 0.529177).tolist())]
    lines += [line(record, band_gap=record.properties["band_gap"] * 1000) for record in others]
    lines.append({"id": "bad", "species": ["Qq"], "frac_coords": [[0, 0, 0]], "lattice": np.eye(3).tolist()})
    path = tmp_path / "a<b.jsonl"
    path.write_text("\n".join(json.dumps(own, default=lambda a: np.asarray(a).tolist()) for own in lines))
    found = check_data(path)
    assert [first.id, "again"] in [
        sorted(ids, key=[first.id, "again"].index) for ids in found["duplicates"] if "again" in ids
    ]
    assert "bohr" in {row["id"] for row in found["unusual"]["crystals"]}
    assert any("bohr" in sentence for sentence in found["unusual"]["scaled"])
    assert found["targets"]["n"]["outliers"]["crystals"][0]["id"] == third.id
    assert found["targets"]["band_gap"]["unit_doubtful"]
    assert [row["id"] for row in found["rejected"]] == ["bad"]
    assert all(len(row) == len(columns) for _, columns, rows in check_tables(found) for row in rows)
    page = tmp_path / "page.html"
    write_check(found, path.name, page)
    assert "a&lt;b.jsonl" in page.read_text()
    assert "a<b" not in page.read_text()
    result = CliRunner().invoke(app, ["data", "check", str(path), "--json"])
    assert result.exit_code == 1, result.output
    assert json.loads(result.stdout) == json.loads(json.dumps(found))
