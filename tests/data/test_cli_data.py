import json

from typer.testing import CliRunner

from irrepnet.cli.data import app


def run(*arguments):
    result = CliRunner().invoke(app, arguments, catch_exceptions=False, env={"COLUMNS": "120"})
    assert result.exit_code == 0
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


def test_show_a_file_with_a_bad_line(tmp_path):
    path = tmp_path / "own.jsonl"
    good = {
        "species": ["Cu"],
        "frac_coords": [[0, 0, 0]],
        "cell": [2.5, 2.5, 2.5, 60, 60, 60],
        "energy": -3.7,
    }
    path.write_text(json.dumps(good) + "\n{}\n")
    summary = json.loads(run("show", str(path), "--json"))
    assert summary["targets"]["energy"] == {
        "unit": "", "kind": "regression", "count": 1, "min": -3.7, "mean": -3.7, "max": -3.7
    }  # fmt: skip
    assert "own.jsonl:2" in summary["rejected"][0]["reason"]
    assert "own.jsonl:2" in run("show", str(path)).replace("\n", "")
