"""`irrepnet tensor`."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from irrepnet.cli.main import app
from irrepnet.data import embedded

ELASTIC = "ijkl=jikl=ijlk=klij"


def call(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["tensor", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result.output if code == 0 else str(result.exception)


def test_allowed_json():
    document = json.loads(call("allowed", "ij=ji", "4/mmm", "--json"))
    assert (document["independent"], document["setting"]) == (2, "4/mmm")
    assert document["components"] == {"ε11": "ε11", "ε12": "0", "ε13": "0", "ε22": "ε11", "ε23": "0", "ε33": "ε33"}
    assert document["free"] == ["ε11", "ε33"]
    assert np.shape(document["basis"]) == (2, 3, 3)


def test_allowed_table(tmp_path):
    text = call("allowed", ELASTIC, "6/mmm", "--picture", tmp_path / "form.png")
    assert "5 independent: C11, C12, C13, C33, C44" in text
    assert "C66 = (C11 - C12)/2" in text
    assert (tmp_path / "form.png").stat().st_size > 1000
    assert "d26 = -2d11" in call("allowed", "ijk=ikj", "-62m", "--strain", "--symbol", "d")
    assert "none, it vanishes" in call("allowed", "ijk=ikj", "Oh")
    assert "g22 = -g11" in call("allowed", "ij=ji", "-42m", "--axial", "--symbol", "g")
    assert "20 independent" in call("allowed", "ijklmn=jiklmn=klijmn=ijmnkl", "mmm")


def test_decompose(tmp_path):
    assert "2x0e+2x2e+1x4e" in call("decompose", ELASTIC)
    document = json.loads(call("decompose", "ij", "[[1,2,3],[0,1,0],[0,0,5]]", "--group", "4mm", "--json"))
    assert [(part["l"], part["young"]) for part in document["parts"]] == [(0, [2]), (1, [1, 1]), (2, [2])]
    assert sum(part["norm"] ** 2 for part in document["parts"]) == pytest.approx(40)
    assert document["parts"][0]["norm"] == pytest.approx(7 / 3**0.5)
    assert {label: entry["copies"] for label, entry in document["group"].items()} == {
        "A1": 2,
        "A2": 1,
        "B1": 1,
        "B2": 1,
        "E": 2,
    }
    path = tmp_path / "tensor.json"
    path.write_text(json.dumps(np.eye(6).tolist()))
    assert "0e (2,2)" in call("decompose", ELASTIC, path)


def test_surface(tmp_path):
    copper = np.diag([47.0, 47, 47, 75.4, 75.4, 75.4])
    copper[:3, :3] += 121.4
    path = tmp_path / "copper.json"
    path.write_text(json.dumps(copper.tolist()))
    text = call("surface", path, "--picture", tmp_path / "copper.png")
    assert (tmp_path / "copper.png").stat().st_size > 10_000
    assert "K 137.07" in text
    assert "greatest Poisson's ratio" in text
    page = Path(__file__).parents[2] / "docs" / "tensors.md"
    command = next(line for line in page.read_text().splitlines() if line.startswith("irrepnet tensor surface"))
    _, _, *arguments, _ = shlex.split(command)
    assert "K 37.64" in call(*arguments, tmp_path / "quartz.png")
    document = json.loads(call("surface", path, "--unit", "Mbar", "--json"))
    young, compressibility, *_ = document["surfaces"]
    assert young["least"] == pytest.approx(66.7, abs=0.1)
    assert young["least_along"] == pytest.approx([0, 0, 1])
    assert (young["unit"], compressibility["unit"]) == ("Mbar", "1/Mbar")
    assert document["averages"]["E"] == pytest.approx(127.4, abs=0.1)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["allowed", "ij=jk", "4mm"], "permutation"),
        (["allowed", "ij=ji", "5mm"], "did you mean"),
        (["allowed", "ij=ji", "4mm", "--picture", "missing/a.png"], "cannot be written"),
        (["decompose", "ij", "[[1,2"], "not a JSON array"),
        (["decompose", "ij", "missing.json"], "missing.json"),
        (["decompose", "ij", "[1,2,3]"], "shape"),
        (["surface", "[[1,2],[2,1]]"], "shape"),
        (["surface", json.dumps((-np.eye(6)).tolist())], "not positive definite"),
        (["check", "missing.jsonl"], "no such file"),
        (["check", "formation_energy_2015"], "--target"),
        (["check", "dielectric_constant", "--target", "nothing"], "no record has 'nothing'"),
        (["check", "dielectric_constant", "--target", "n"], "index symmetry"),
    ],
)
def test_bad_input_is_one_sentence(arguments, word):
    assert word in call(*arguments, code=1)


def test_check(tmp_path):
    """One clean, one turned, one nonsensical and one unreadable tensor, as a file of records."""
    lines = []
    for r in [r for r in embedded("piezoelectric_tensor") if r.properties["spacegroup_number"] == 99][:3]:
        lines.append(
            {
                "id": r.id,
                "species": r.species,
                "frac_coords": r.frac_coords.tolist(),
                "lattice": r.lattice.tolist(),
                "piezoelectric_tensor": r.properties["piezoelectric_tensor"],
            }
        )
    form = [[0, 0, 0, 0, 1.0, 0], [0, 0, 0, 1.0, 0, 0], [-2.0, -2.0, 5.0, 0, 0, 0]]
    lines[0]["piezoelectric_tensor"] = form
    lines[1]["piezoelectric_tensor"] = [[5.0, -2, -2, 0, 0, 0], [0, 0, 0, 0, 0, 1.0], [0, 0, 0, 0, 1.0, 0]]
    lines[2]["piezoelectric_tensor"] = np.arange(18.0).reshape(3, 6).tolist()
    z = np.array(lines[0]["lattice"])
    if not np.allclose(abs(z / np.linalg.norm(z, axis=1, keepdims=True)).max(1), 1):
        pytest.skip("the set has changed: an axis of the cell is not along x, y or z")
    path = tmp_path / "tensors.jsonl"
    path.write_text("\n".join([*map(json.dumps, lines), "{broken"]))
    document = json.loads(call("check", path, "--json"))
    summary = document["targets"]["piezoelectric_tensor"]
    assert summary["clean"] + summary["reoriented"] == len(summary["crystals"]) == 2
    assert {crystal["frame"] == "as given" for crystal in summary["crystals"]} == {True, False}
    assert [rejection["id"] for rejection in summary["rejected"]] == ["4", lines[2]["id"]]
    text = call("check", path)
    assert (
        "1 clean as given, 1 re-oriented (1 of them up to a choice that the residual does not see), 2 rejected" in text
    )


def test_check_of_a_tensor_of_ones_own(tmp_path):
    path = tmp_path / "own.jsonl"
    line = {"id": "a", "species": ["Po"], "frac_coords": [[0, 0, 0]], "lattice": (3.3 * np.eye(3)).tolist()}
    path.write_text(json.dumps(line | {"gyration": [[1, 0, 0], [0, 1, 0], [0, 0, 1.02]]}))
    document = json.loads(call("check", path, "--target", "gyration", "--symmetry", "ij=ji", "--json"))
    crystal = document["targets"]["gyration"]["crystals"][0]
    assert crystal["residual"] == pytest.approx(0.0094, abs=2e-4)
    assert crystal["point_group"] == "m-3m"
