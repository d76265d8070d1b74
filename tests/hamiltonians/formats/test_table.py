"""The table of formats: one row makes a format known everywhere."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.hamiltonians.made import random_hamiltonian
from typer.testing import CliRunner

from irrepnet.cli.main import app
from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians import Hamiltonian, read_hamiltonian, write_hamiltonian
from irrepnet.hamiltonians.formats import table
from irrepnet.hamiltonians.formats.table import FORMATS, Format


def toy() -> Format:
    def read(path: Path, structure: Path | None, shells: str | None) -> Hamiltonian:
        with np.load(path) as file:
            return Hamiltonian(file["R"], file["H"], name=str(path))

    def write(hamiltonian: Hamiltonian, path: Path) -> None:
        with path.open("wb") as file:
            np.savez(file, R=hamiltonian.R, H=hamiltonian.H)

    return Format("Toy", (".toy",), read, write)


def call(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["hamiltonian", *map(str, arguments)], env={"COLUMNS": "500"})
    assert result.exit_code == 0, result.output
    return result.output


def test_a_row_is_all_that_a_format_needs(tmp_path, monkeypatch):
    hamiltonian = random_hamiltonian("NaCl", "Na:s,Cl:p")
    for text in (call("check", "--help"), call("bands", "--help"), call("predict", "--help")):
        assert ".toy" not in text
    monkeypatch.setattr(table, "FORMATS", (toy(), *FORMATS))
    write_hamiltonian(hamiltonian, tmp_path / "x.toy")
    again = read_hamiltonian(tmp_path / "x.toy")
    assert np.array_equal(again.H, hamiltonian.H)
    assert "Hermiticity" in call("check", tmp_path / "x.toy")
    assert "Toy (*.toy)" in call("check", "--help")
    assert "Toy (*.toy)" in call("bands", "--help")
    assert "*.toy" in call("predict", "--help")
    with pytest.raises(IrrepnetError, match=r"known are Toy \(\*\.toy\), Wannier90"):
        read_hamiltonian(tmp_path / "x.json")
    with pytest.raises(IrrepnetError, match=r"name it \*\.toy, \*_hr\.dat"):
        write_hamiltonian(hamiltonian, tmp_path / "x.json")


def test_no_two_rows_claim_one_name():
    endings = [ending.lower() for each in FORMATS for ending in each.endings]
    assert not [(a, b) for a in endings for b in endings if a is not b and a.endswith(b)]


@given(st.sampled_from([(each, ending) for each in FORMATS for ending in each.endings]), st.text("aB_. 1", max_size=6))
def test_names_tell_the_format_in_letters_of_any_case(row, stem):
    wanted, ending = row
    for name in (stem + ending, stem + ending.upper(), stem + ending.lower()):
        assert [each for each in FORMATS if each.is_named(Path(name))] == [wanted]
        assert next(each for each in FORMATS if each.matches(Path("nowhere") / name)) is wanted


def test_a_folder_is_known_by_what_it_holds(tmp_path):
    folder = tmp_path / "x_hr.dat"
    folder.mkdir()
    assert next(each for each in FORMATS if each.matches(folder)).name == "DeePTB"
    (folder / "orbital_types.dat").touch()
    assert next(each for each in FORMATS if each.matches(folder)).name == "DeepH"


@pytest.mark.parametrize("name", ["X_HR.DAT", "X_TB.DAT.GZ", "x.safetensors"])
def test_upper_case(tmp_path, name):
    hamiltonian = random_hamiltonian("NaCl", "Na:s,Cl:p").in_convention("wannier90")
    write_hamiltonian(hamiltonian, tmp_path / name)
    k = np.array([0.1, 0.2, 0.3])
    assert np.allclose(read_hamiltonian(tmp_path / name).eigenvalues(k), hamiltonian.eigenvalues(k))


def test_packed_input_beside(tmp_path):
    """seed.win may be gzipped like the rest."""
    import gzip

    cell = "begin unit_cell_cart\n3 0 0\n0 3 0\n0 0 3\nend unit_cell_cart\n"
    rest = "begin atoms_frac\nV 0 0 0\nend atoms_frac\nbegin projections\nV:s\nend projections\n"
    with gzip.open(tmp_path / "x.win.gz", "wt") as file:
        file.write(cell + rest)
    (tmp_path / "x_hr.dat").write_text("header\n1\n1\n1\n0 0 0 1 1 0.5 0\n")
    assert read_hamiltonian(tmp_path / "x_hr.dat").known_basis.names == ("V1 s",)
