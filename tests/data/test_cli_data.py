import json

from typer.testing import CliRunner

from irrepnet.cli.data import app
from irrepnet.data import KINDS


def run(*arguments, code=0):
    result = CliRunner().invoke(app, arguments, catch_exceptions=False, env={"COLUMNS": "120"})
    assert result.exit_code == code
    return result.stdout


def test_list():
    table = run("list")
    assert "formation_energy_2015" in table
    assert "e_above_hull (eV/atom)" in table
    rows = json.loads(run("list", "--json"))
    assert [row["count"] for row in rows] == [3938, 1181, 1056, 941]
    assert rows[0]["targets"] == {"formation_energy_per_atom": "eV/atom", "e_above_hull": "eV/atom"}


def test_show():
    text = run("show", "dielectric_constant")
    for part in ("CC BY 4.0", "Petousis", "m-3m 168", "6 crystals are marked", "band_gap (eV)"):
        assert part in text
    summary = json.loads(run("show", "dielectric_constant", "--json"))
    assert summary["count"] == sum(summary["point_groups"].values()) == 1056
    assert summary["targets"]["band_gap"]["unit"] == "eV"
    assert summary["targets"]["n"]["min"] > 0
    assert set(summary["tensors"]) == {"e_electronic", "e_total"}
    assert summary["first"][0] == {"id": "mp-441", "formula": "Rb2Te", "atoms": 3}


def test_list_names_what_can_be_read():
    table = run("list")
    assert all(kind.name.partition(" (")[0] in table for kind in KINDS[1:-1])


def test_show_tells_tensors_from_arrays_of_the_atoms(tmp_path):
    lines = [
        {
            "species": ["Cu", "O", "O"][:size],
            "frac_coords": [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0, 0]][:size],
            "cell": [4, 4, 4, 90, 90, 90],
            "charges": [[[1.0] * 3] * 3] * size,
            "moments": [0.5] * size,
            "e_total": [[1.0] * 3] * 3,  # three rows as there are three atoms, and yet known as a tensor
            "spectrum": [0.1] * 5 * size,
            "names": ["a"] * size,
        }
        for size in (3, 2)
    ]
    path = tmp_path / "own.jsonl"
    for count in (1, 2):
        path.write_text("\n".join(map(json.dumps, lines[:count])))
        summary = json.loads(run("show", str(path), "--json"))
        assert {name: found["shape"] for name, found in summary["site_arrays"].items()} == {
            "charges": "n×3×3", "moments": "n"
        }  # fmt: skip
        assert summary["tensors"].keys() == {"e_total", "spectrum"}
    assert summary["tensors"]["spectrum"]["shape"] == "…"
    text = run("show", str(path))
    assert "array of the n atoms" in text
    assert "n×3×3" in text


def test_nothing_readable_is_exit_code_2(tmp_path):
    path = tmp_path / "own.jsonl"
    path.write_text("{}\n")
    for options in ([], ["--json"]):
        result = CliRunner().invoke(app, ["show", str(path), *options])
        assert result.exit_code == 2
        assert "own.jsonl:1" in result.stdout.replace("\n", "")


def test_show_a_file_with_a_bad_line(tmp_path):
    path = tmp_path / "own.jsonl"
    good = {
        "species": ["Cu"],
        "frac_coords": [[0, 0, 0]],
        "cell": [2.5, 2.5, 2.5, 60, 60, 60],
        "energy": -3.7,
    }
    path.write_text(json.dumps(good) + "\n{}\n")
    summary = json.loads(run("show", str(path), "--json", code=1))
    assert summary["targets"]["energy"] == {
        "unit": "", "kind": "regression", "count": 1, "min": -3.7, "mean": -3.7, "max": -3.7
    }  # fmt: skip
    assert "own.jsonl:2" in summary["rejected"][0]["reason"]
    assert "own.jsonl:2" in run("show", str(path), code=1).replace("\n", "")
