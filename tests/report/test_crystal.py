"""The page of a crystal."""

import json
import re
import sys
from html.parser import HTMLParser

import numpy as np
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


def test_bands(examples, monkeypatch):
    """Those of `irrepnet hamiltonian predict`, in the standard frame; the page has a picture of them."""
    from irrepnet.training.hamiltonians import predict_hamiltonian

    found = describe(examples["Si"])
    bands, known = found["bands"], predict_hamiltonian("released", examples["Si"])
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert bands["reason"] == ""
    assert bands["gap"]["fundamental"] == pytest.approx(known["gap"]["fundamental"], abs=2e-3)
    assert bands["bound"] == pytest.approx(known["bound"])
    assert [row["irreps"] for row in bands["levels"]["Γ"]][:3] == [{"A1g": 1}, {"T2g": 1}, {"T1u": 1}]
    assert bands["points"][0] == [0, "Γ"]
    assert len(bands["path"]["energies"]) == len(bands["path"]["k"]) == len(bands["path"]["distance"])
    page = crystal_page(found)
    assert "Bands along the standard path" in page
    assert f"gap {bands['gap']['fundamental']:.3f} eV" in page
    name = "<script>alert(1)</script>"
    hostile = bands | {"note": name, "nearest": [{"id": name}]}
    assert name not in crystal_page(found | {"bands": hostile})


def test_why_there_are_no_bands(rutile, examples, monkeypatch):
    """Each reason is known before anything is computed."""
    assert re.fullmatch(r"S and H0 of 6 atoms would take \d+ s or so, and 30 s .*", rutile["bands"]["reason"])
    assert f"No bands by the model released: {rutile['bands']['reason']}." in crystal_page(rutile)

    def never(*_):
        raise AssertionError("S and H0 were to be computed")

    monkeypatch.setattr("irrepnet.hamiltonians.dft.generate.start", never)
    points = [[0, 0, 0], [0.5, 0.5, 0.5]]
    unknown = {"species": ["Mo", "S"], "lattice": (3 * np.eye(3)).tolist(), "frac_coords": points}
    assert describe(unknown)["bands"]["reason"].endswith("learned from a crystal that contains Mo")
    row = {"species": ["Na"] * 21, "lattice": np.diag([3.5, 3.5, 200.0]).tolist()}
    row["frac_coords"] = [[0, 0, x] for x in np.linspace(0.2, 0.95, 21) ** 2]
    assert describe(row)["bands"]["reason"].startswith("S and H0 of 21 atoms would take too long")
    assert describe(examples["Si"], bands_seconds=0)["bands"]["reason"] == "they were not asked for"
    monkeypatch.setitem(sys.modules, "pyscf.pbc", None)
    assert "pip install 'irrepnet[dft]'" in describe(examples["Si"])["bands"]["reason"]


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
    result = CliRunner().invoke(app, ["report", str(examples["Si"]), "--out", str(page), "--json", "--bands", "0"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["formula"] == "Si"
    assert page.read_text().startswith("<!DOCTYPE html>")
    with pytest.raises(IrrepnetError, match="cannot be written"):
        write_crystal_page(examples["Si"], tmp_path / "nowhere" / "page.html", bands_seconds=0)
