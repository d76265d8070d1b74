"""`irrepnet hamiltonian`: check, count, bands."""

import json
from pathlib import Path

import pytest
from tests.hamiltonians.made import random_hamiltonian
from typer.testing import CliRunner

from irrepnet.cli.main import app
from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians import read_hamiltonian, write_hamiltonian

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / ".." / "shared" / "data" / "hamiltonians"


def run(*arguments):
    return CliRunner().invoke(app, ["hamiltonian", *map(str, arguments)], env={"COLUMNS": "140"})


@pytest.fixture
def data() -> Path:
    if not DATA.is_dir():
        pytest.skip("the Hamiltonians of other codes are not beside this checkout")
    return DATA


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """Rock salt in a Wannier90 file with its input beside it, its symmetry broken by 0.25 eV; and a bad file."""
    folder = tmp_path_factory.mktemp("files")
    hamiltonian = random_hamiltonian("NaCl", "Na:s,Cl:p").in_convention("wannier90")
    chlorine = hamiltonian.basis.orbitals[hamiltonian.basis.species.index("Cl")]
    home = int(hamiltonian.index(hamiltonian.R[:1] * 0)[0])
    hamiltonian.H[home, chlorine[0], chlorine[0]] += 0.25
    write_hamiltonian(hamiltonian, folder / "salt_hr.dat")
    cell = hamiltonian.basis.cell
    rows = "\n".join(" ".join(map(str, row)) for row in cell.lattice.tolist())
    atoms = "\n".join(f"{s} {x} {y} {z}" for s, (x, y, z) in zip(hamiltonian.basis.species, cell.frac_coords.tolist()))
    (folder / "salt.win").write_text(
        f"begin unit_cell_cart\n{rows}\nend unit_cell_cart\nbegin atoms_frac\n{atoms}\nend atoms_frac\n"
        "begin projections\nNa:s\nCl:p\nend projections\nfermi_energy = 0.5\n"
    )
    (folder / "bad_hr.dat").write_text("nothing\n")
    return folder


def test_check(files):
    result = run("check", files / "salt_hr.dat", "--json")
    report = json.loads(result.stdout)
    assert report["hermiticity"] < 1e-13
    assert report["symmetry"] == pytest.approx(0.25)
    assert report["point_group"] == "m-3m"
    assert len(report["operations"]) == 48
    worst = report["blocks"][0]
    assert worst["species"] == ["Cl", "Cl"]
    assert worst["residual"] == pytest.approx(0.25)
    assert worst["R"] == [0, 0, 0]
    text = run("check", files / "salt_hr.dat").output
    assert "symmetry      2.5e-01 eV" in text
    assert "48 operations, point group m-3m" in text
    assert "Cl–Cl" in text


def test_symmetrised(files, tmp_path):
    for name in ("new_hr.dat", "new.safetensors"):
        assert run("check", files / "salt_hr.dat", "--symmetrised", tmp_path / name).exit_code == 0
    (tmp_path / "new.win").write_text((files / "salt.win").read_text())
    for name in ("new_hr.dat", "new.safetensors"):
        report = json.loads(run("check", tmp_path / name, "--json").stdout)
        assert report["symmetry"] < 1e-12
    first, second = (read_hamiltonian(tmp_path / name) for name in ("new_hr.dat", "new.safetensors"))
    assert first.eigenvalues([0.1, 0.2, 0.3]) == pytest.approx(second.eigenvalues([0.1, 0.2, 0.3]))


def test_without_structure(files, tmp_path):
    (tmp_path / "alone_hr.dat").write_text((files / "salt_hr.dat").read_text())
    report = json.loads(run("check", tmp_path / "alone_hr.dat", "--json").stdout)
    assert report["symmetry"] is None
    assert report["blocks"] == []
    assert report["orbitals"] == 4
    assert "note: no symmetry of orbitals: the file does not say" in run("check", tmp_path / "alone_hr.dat").output
    result = run("check", tmp_path / "alone_hr.dat", "--symmetrised", tmp_path / "x_hr.dat")
    assert isinstance(result.exception, IrrepnetError)


def test_without_orbitals_there_are_bands_and_spectra(files, tmp_path):
    (tmp_path / "x_hr.dat").write_text((files / "salt_hr.dat").read_text())
    text = (files / "salt.win").read_text().replace("Na:s\nCl:p", "random")
    (tmp_path / "x.win").write_text(text)
    result = run("check", tmp_path / "x_hr.dat", "--json")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert report["symmetry"] is None
    assert report["spectrum"] > 1e-3  # 0.25 eV on one p orbital
    assert report["point_group"] == "m-3m"
    assert "x.win: the projections are random" in report["notes"][0]
    result = run("bands", tmp_path / "x_hr.dat", "--out", tmp_path / "bands.png")
    assert result.exit_code == 0
    assert "the projections are random" in result.output
    assert (tmp_path / "bands.png").stat().st_size > 1000


def test_one_bad_file_does_not_stop_the_others(files):
    result = run("check", files / "salt_hr.dat", files / "bad_hr.dat", "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert [Path(own["file"]).name for own in report["files"]] == ["salt_hr.dat"]
    assert "bad_hr.dat" in report["errors"][0]
    assert "bad_hr.dat" in result.stderr
    assert run("check", files / "salt_hr.dat", files / "salt_hr.dat").exit_code == 0
    none = run("check", files / "absent_hr.dat", files / "bad_hr.dat", "--json")
    assert none.exit_code == 2
    assert [Path(error.split(":")[0]).name for error in json.loads(none.stdout)["errors"]] == [
        "absent_hr.dat",
        "bad_hr.dat",
    ]
    alone = run("check", files / "bad_hr.dat")
    assert isinstance(alone.exception, IrrepnetError)


def test_a_bad_structure_is_named_with_each_file(files):
    result = run("check", files / "salt_hr.dat", files / "bad_hr.dat", "--structure", files / "absent.cif", "--json")
    assert result.exit_code == 2
    first, second = json.loads(result.stdout)["errors"]
    assert "salt_hr.dat" in first
    assert "absent.cif" in first
    assert "bad_hr.dat" in second


def test_fermi_energy_in_reports(files, tmp_path):
    """It is there or null, never 0 for none."""
    report = json.loads(run("check", files / "salt_hr.dat", "--json").stdout)
    assert report["fermi"] == 0.5
    (tmp_path / "none_hr.dat").write_text((files / "salt_hr.dat").read_text())
    text = (files / "salt.win").read_text().replace("fermi_energy = 0.5\n", "")
    (tmp_path / "none.win").write_text(text)
    assert json.loads(run("check", tmp_path / "none_hr.dat", "--json").stdout)["fermi"] is None
    assert "Fermi energy  not known" in run("check", tmp_path / "none_hr.dat").output
    picture = tmp_path / "bands.png"
    assert json.loads(run("bands", tmp_path / "none_hr.dat", "--out", picture, "--json").stdout)["fermi"] is None
    (tmp_path / "none.win").write_text(text + "fermi_energy = five\n")
    assert "none.win: fermi_energy is 'five'" in run("check", tmp_path / "none_hr.dat").output
    refused = run("bands", tmp_path / "none_hr.dat", "--out", picture)
    assert "none.win: fermi_energy is 'five'" in str(refused.exception)
    refused = run("bands", files / "salt_hr.dat", "--out", picture, "--fermi", "nan")
    assert "Fermi energy" in str(refused.exception)


def test_data_of_other_codes(data):
    folder = data / "Cu_spd_symmetrized"
    report = json.loads(run("check", folder / "Cu_hr.dat.gz", "--structure", folder / "wt.in", "--json").stdout)
    assert report["hermiticity"] == 0
    assert 0 < report["symmetry"] < 6.1e-14
    report = json.loads(run("check", data / "SrVO3_t2g" / "SrVO3_hr.dat.gz", "--json").stdout)
    assert report["symmetry"] < 2.5e-14


def test_count():
    report = json.loads(
        run("count", ROOT / "examples" / "NaCl.cif", "--basis", "spd", "--cutoff", "3", "--json").stdout
    )
    assert [(own["full"], own["two_centre"], own["allowed"]) for own in report["onsite"]] == [(45, 3, 4)] * 2
    (bond,) = report["bonds"]
    assert (bond["full"], bond["two_centre"], bond["allowed"], bond["group"]) == (81, 14, 15, "4mm")
    assert report["allowed"] == 23
    assert report["elements"] == 2 * 81 + 12 * 81
    text = run("count", ROOT / "examples" / "NaCl.cif", "--basis", "Na:s,Cl:sp").output
    assert "Fm-3m (225), 5 orbitals" in text
    refused = run("count", ROOT / "examples" / "NaCl.cif", "--basis", "Mg:s")
    assert "the basis names 'Mg'" in str(refused.exception)


def test_bands(files, tmp_path):
    picture = tmp_path / "bands.png"
    result = run("bands", files / "salt_hr.dat", "--out", picture)
    assert result.exit_code == 0, result.output
    assert "no irreps" in result.output  # its symmetry is broken
    run("check", files / "salt_hr.dat", "--symmetrised", tmp_path / "new.safetensors")
    result = run("bands", tmp_path / "new.safetensors", "--out", picture, "--fermi", "0.1", "--low", "-5", "--json")
    report = json.loads(result.stdout)
    assert report["failures"] == []
    assert report["fermi"] == 0.1
    assert sorted(label for own in report["levels"]["Γ"] for label in own["irreps"]) == ["A1g", "T1u"]
    assert picture.stat().st_size > 5000


def test_generate_says_what_failed_and_goes_on(tmp_path):
    pytest.importorskip("pyscf", reason="PySCF is not installed")
    options = ("--out", tmp_path, "--basis", "SZV-MOLOPT-SR", "--cutoff", 40, "--radius", 5)
    result = run("generate", "fcc:He:3.0", "fcc:La:5.3", *options, "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["made"] == ["He-fcc-1.00"]
    assert "La" in report["failures"]["La-fcc-1.00"]
    again = run("generate", "fcc:He:3.0", *options)
    assert again.exit_code == 0
    assert "0 made, 1 were there, 0 failed" in again.stdout
    assert run("check", tmp_path / "He-fcc-1.00.safetensors", "--json").exit_code == 0


@pytest.mark.slow
def test_generate_goes_on_after_a_bad_source(tmp_path):
    """A file that cannot be read, a word that names nothing, a second crystal of the same name."""
    pytest.importorskip("pyscf", reason="PySCF is not installed")
    (tmp_path / "bad.cif").write_text("nothing")
    (tmp_path / "list.yaml").write_bytes("# für Å\ncrystals: [{type: spinel, compounds: {He: 3}}]".encode("latin-1"))
    for folder, edge in (("a", 3.0), ("b", 3.1)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "POSCAR").write_text(f"He\n{edge}\n0 .5 .5\n.5 0 .5\n.5 .5 0\nHe\n1\nDirect\n0 0 0\n")
    options = ("--out", tmp_path / "out", "--basis", "SZV-MOLOPT-SR", "--cutoff", 40, "--radius", 5, "--json")
    good, twin, bad, listed = (tmp_path / name for name in ("a/POSCAR", "b/POSCAR", "bad.cif", "list.yaml"))
    result = run("generate", good, twin, bad, listed, "nothing", *options)
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["made"] == ["POSCAR"]
    reasons = {"nothing": "neither a file nor type", str(bad): "bad.cif", str(listed): "list.yaml: unknown structure"}
    assert report["failures"].keys() == {str(twin), *reasons}
    for source, reason in reasons.items():
        assert reason in report["failures"][source]
    assert f"would have the file of that of {good}" in report["failures"][str(twin)]
    assert run("generate", "nothing", bad, *options).exit_code == 2
    assert isinstance(run("generate", "nothing", *options).exception, IrrepnetError)


def test_list_tells_what_there_is():
    report = json.loads(run("list", "--json").stdout)
    assert report["hamiltonians"]
    table = CliRunner().invoke(app, ["hamiltonian", "list"], env={"COLUMNS": "80"}).stdout  # names are to be copied
    assert all(row["name"] in table for row in report["hamiltonians"])
    assert run("check", report["hamiltonians"][0]["name"], "--json").exit_code == 0
