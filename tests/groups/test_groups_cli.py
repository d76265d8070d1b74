"""`irrepnet groups`."""

import json
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from irrepnet.cli.groups import app
from irrepnet.errors import IrrepnetError
from irrepnet.groups import POINT_GROUPS, SETTINGS, DoubleGroup, PointGroup


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_list():
    records = json.loads(run("list", "--json"))
    assert [r["name"] for r in records] == list(SETTINGS)
    assert [r["name"] for r in records if r["default"]] == list(POINT_GROUPS)
    assert records[31]["irreps"][8] == "T1u"
    text = run("list")
    assert "A1g A2g Eg T1g T2g A1u A2u Eu T1u T2u" in text
    assert "-62m" in text


@pytest.mark.parametrize("name", SETTINGS)
def test_show(name):
    document = json.loads(run("show", name, "--json"))
    group = PointGroup(name)
    assert document["order"] == group.order
    assert np.allclose(document["operations"], group.operations)
    for record, irrep in zip(document["irreps"], group.irreps, strict=True):
        assert record["label"] == irrep.label
        expected = [irrep.characters[c["indices"][0]] for c in document["classes"]]
        assert np.allclose(record["characters"], expected)


def test_show_text():
    text = run("show", "Oh")
    for part in ("m-3m (Oh), cubic, order 48", "8C3", "T1u", "GM4-", "4,6,8", "degree 2, 4, 6"):
        assert part in text


def test_show_png(tmp_path):
    file = tmp_path / "table.png"
    run("show", "-42m", "--png", str(file))
    assert file.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(IrrepnetError, match="picture cannot be written"):
        run("show", "Oh", "--png", str(tmp_path / "absent" / "table.png"))


def test_couple():
    document = json.loads(run("couple", "Oh", "T1u", "T1u", "Eg", "--json"))
    assert np.array_equal(document["coefficients"], PointGroup("Oh").coupling("T1u", "T1u", "Eg"))
    assert "0.707106781187" in run("couple", "T", "T", "T", "T")


def test_product():
    assert run("product", "Oh", "T1u", "T1u").strip() == "T1u ⊗ T1u = A1g + Eg + T1g + T2g"
    assert json.loads(run("product", "T", "T", "T", "--json"))["product"] == {"A": 1, "E": 1, "T": 2}


def test_subduce():
    assert run("subduce", "Oh", "3").strip() == "l = 3− ↓ m-3m = A2u + T1u + T2u"
    assert "Eu + T2u" in run("subduce", "Oh", "2", "--parity", "-")
    document = json.loads(run("subduce", "-43m", "2", "--json"))
    assert document["multiplicities"] == {"E": 1, "T2": 1}
    table = json.loads(run("subduce", "Oh", "--subgroup", "D4h", "--json"))
    assert table["correlation"]["T1u"] == {"A2u": 1, "Eu": 1}
    assert "A2u + Eu" in run("subduce", "Oh", "--subgroup", "D4h")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "Ohh"], "did you mean.*Oh"),
        (["product", "Oh", "T1u", "T3u"], "no irrep 'T3u'"),
        (["subduce", "Oh"], "give an angular momentum"),
        (["subduce", "Oh", "2", "--parity", "x"], "parity 'x'"),
        (["subduce", "Oh", "--subgroup", "D6h"], "not a subgroup"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(IrrepnetError, match=message):
        run(*arguments)


def test_module_is_light():
    code = "import sys, irrepnet.cli.groups; print({'numpy', 'rich.table', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("name", SETTINGS)
def test_show_double(name):
    document = json.loads(run("show", name, "--double", "--json"))
    double = DoubleGroup(name)
    assert document["order"] == 2 * PointGroup(name).order
    for record, irrep in zip(document["irreps"], double.irreps, strict=True):
        assert record["label"] == irrep.label
        expected = irrep.characters[[c["indices"][0] for c in document["classes"]]]
        assert np.allclose(np.array(record["characters"]) @ [1, 1j], expected)
    assert np.allclose(np.array(document["spinors"]) @ [1, 1j], double.spinors)


def test_double_groups_in_words():
    text = run("show", "Oh", "--double")
    for part in ("double m-3m (Oh), cubic, order 96", "8C̄3", "F̄g", "Γ8+ F3/2g", "quaternionic", "−1 on double-valued"):
        assert part in text
    assert run("product", "Oh", "G8+", "T1u", "--double").strip() == "G8+ ⊗ T1u = Ē1u + Ē2u + 2F̄u"
    assert run("subduce", "Oh", "5/2").strip() == "j = 5/2+ ↓ double m-3m = Ē2g + F̄g"
    assert run("subduce", "Td", "1.5", "--parity", "-").strip() == "j = 3/2− ↓ double -43m = F̄"
    assert "1Ēg + 2Ēg" in run("subduce", "Oh", "--subgroup", "D3d", "--double")
    assert "0.577350269190" in run("couple", "Oh", "T1u", "E1/2g", "E1/2u", "--double")
    document = json.loads(run("couple", "Oh", "T1u", "E1/2g", "E1/2u", "--double", "--json"))
    assert np.allclose(
        np.array(document["coefficients"]) @ [1, 1j], DoubleGroup("Oh").coupling("T1u", "E1/2g", "E1/2u")
    )
    document = json.loads(run("subduce", "Oh", "3/2", "--json"))
    assert document["j"] == 1.5
    assert np.allclose(np.array(document["basis"]["F̄g"]) @ [1, 1j], DoubleGroup("Oh").subduce(1.5, 1)["F̄g"])


def test_double_groups_refuse(tmp_path):
    with pytest.raises(IrrepnetError, match="without spin"):
        run("show", "Oh", "--double", "--png", str(tmp_path / "table.png"))
    with pytest.raises(IrrepnetError, match="such as 2, or 3/2 with spin, got '7/3'"):
        run("subduce", "Oh", "7/3")
    with pytest.raises(IrrepnetError, match="no irrep 'Γ9'"):
        run("product", "Oh", "Γ9", "T1u", "--double")
