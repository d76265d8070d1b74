"""The page of a crystal."""

import json
import re
from html.parser import HTMLParser

import pytest
from typer.testing import CliRunner

from irrepnet.cli.main import app
from irrepnet.errors import IrrepnetError
from irrepnet.report import crystal_page, describe, write_crystal_page


@pytest.fixture(scope="module")
def rutile(examples):
    return describe(examples["TiO2"])


class Text(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.words, self.addresses = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for key, value in attrs if key in ("src", "href")]

    def handle_data(self, data):
        self.words.append(data)


def test_what_is_said(rutile):
    assert json.loads(json.dumps(rutile, allow_nan=False)) == rutile
    assert (rutile["formula"], rutile["warnings"]) == ("TiO2", [])
    assert {row["target"] for row in rutile["predictions"]} >= {"formation_energy_per_atom", "band_gap", "born_charges"}
    assert set(rutile["tensors"]) >= {"dielectric", "piezoelectric", "elastic"}
    assert len(rutile["tensors"]["elastic"]["free"]) == 6  # 4/mmm
    assert rutile["tensors"]["piezoelectric"]["free"] == []


def test_the_page_needs_nothing_else(rutile):
    page = crystal_page(rutile)
    parser = Text()
    parser.feed(page)
    text = " ".join(parser.words)
    assert "Content-Security-Policy" in page
    assert not [address for address in parser.addresses if not address.startswith(("data:", "#"))]
    for word in ("TiO2", "P4_2/mnm", "eV/atom"):
        assert word in re.sub(r"\s+", " ", text).replace("₂", "2"), word


def test_hostile_names_are_text(rutile):
    name = "<script>alert(1)</script>"
    page = crystal_page(rutile | {"name": name, "warnings": [name], "notes": [name]})
    assert name not in page
    assert "&lt;script&gt;alert(1)" in page


def test_lengths_in_bohr_are_suspected(examples, tmp_path):
    text = examples["NaCl"].read_text()
    (tmp_path / "bohr.cif").write_text(re.sub(r"(_cell_length_[abc]\s+)[\d.]+", r"\g<1>10.66", text))
    found = describe(tmp_path / "bohr.cif")
    assert any("bohr" in warning and "0.529" in warning for warning in found["warnings"])


def test_command(examples, tmp_path):
    page = tmp_path / "page.html"
    result = CliRunner().invoke(app, ["report", str(examples["Si"]), "--out", str(page), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["formula"] == "Si"
    assert page.read_text().startswith("<!DOCTYPE html>")
    with pytest.raises(IrrepnetError, match="cannot be written"):
        write_crystal_page(examples["Si"], tmp_path / "nowhere" / "page.html")
