"""A file for another code, with what that code needs beside it, read again as the same crystal and orbitals."""

import json
from dataclasses import replace

import numpy as np
import pytest
from tests.hamiltonians.made import crystal_orbitals, random_hamiltonian
from typer.testing import CliRunner

from irrepnet.cli.main import app
from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians import (
    Hamiltonian,
    Mixing,
    Shell,
    action,
    embedded_hamiltonians,
    export_hamiltonian,
    load_hamiltonian,
    orthogonalised,
    read_hamiltonian,
    symmetry_residual,
    with_spin,
    write_hamiltonian,
)

K = np.array([[0.1, 0.2, 0.3], [0.0, 0.5, 0.5], [-0.37, 0.04, 0.21]])
CASES = [("NaCl", "Na:s,Cl:sp"), ("TiO2", "Ti:d,O:p"), ("SrTiO3", "Ti:sd,O:sp"), ("Si", "ssp"), ("CaF2", "sf")]


def same_crystal(found: Hamiltonian, wanted: Hamiltonian) -> None:
    """Cell, orbitals shell by shell, symmetry and bands."""
    own, other = found.known_basis, wanted.known_basis
    np.testing.assert_allclose(own.cell.lattice, other.cell.lattice, atol=1e-9)
    np.testing.assert_allclose(own.cell.frac_coords, other.cell.frac_coords, atol=1e-9)
    assert own.cell.numbers.tolist() == other.cell.numbers.tolist()
    assert own.spinful == other.spinful
    assert [(s.site, s.l, len(s.m)) for s in own.shells] == [(s.site, s.l, len(s.m)) for s in other.shells]
    for k in K:
        np.testing.assert_allclose(found.eigenvalues(k), wanted.eigenvalues(k), atol=1e-4)


@pytest.mark.parametrize(("formula", "shells"), CASES)
@pytest.mark.parametrize("spin", [False, True])
def test_a_wannier90_file_has_its_input_beside_it(tmp_path, formula, shells, spin):
    made = replace(random_hamiltonian(formula, shells, 2.5), fermi=1.25)
    hamiltonian = with_spin(made) if spin else made
    assert export_hamiltonian(hamiltonian, tmp_path / "x_hr.dat") == []
    found = read_hamiltonian(tmp_path / "x_hr.dat")
    same_crystal(found, hamiltonian)
    assert found.fermi == 1.25
    assert symmetry_residual(found, action(found.known_basis)).symmetry < 2e-5  # of the file's digits


def test_what_was_there_stays(tmp_path):
    hamiltonian = random_hamiltonian("NaCl", "Na:s,Cl:p")
    (tmp_path / "x.win").write_text("of another\n", encoding="utf-8")
    (note,) = export_hamiltonian(hamiltonian, tmp_path / "x_hr.dat")
    assert "was there before" in note
    assert (tmp_path / "x.win").read_text(encoding="utf-8") == "of another\n"


def test_an_incomplete_shell_is_written_by_its_functions(tmp_path):
    found = crystal_orbitals("SrTiO3", "Ti:d,O:p")
    d = next(k for k, shell in enumerate(found.shells) if shell.l == 2)
    t2g = Shell(found.shells[d].site, 2, (1, -1, -2))  # dxz, dyz, dxy
    basis = replace(found, shells=(*found.shells[:d], t2g, *found.shells[d + 1 :]))
    H = np.eye(len(basis))[None]
    export_hamiltonian(Hamiltonian(np.zeros((1, 3), int), H, basis=basis), tmp_path / "x_hr.dat")
    again = read_hamiltonian(tmp_path / "x_hr.dat").known_basis
    assert t2g in again.shells


@pytest.mark.parametrize(
    "target", ["x_hr.dat", "x_tb.dat", "x.hdf5", "data-HR-sparse_SPIN0.csr", "x.HSX", "x.deeph", "x.deeptb"]
)
def test_of_the_package_for_every_code(tmp_path, target):
    """As the command does it; orthonormal where the format has no overlap, with the bands of the mesh's points."""
    name = next(name for name in embedded_hamiltonians() if name.startswith("Si-diamond"))
    hamiltonian = load_hamiltonian(name).expand()
    result = CliRunner().invoke(app, ["hamiltonian", "convert", name, "--out", str(tmp_path / target), "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.output)
    assert report["out"] == str(tmp_path / target)
    needs_structure = target == "x.hdf5"
    if target.endswith((".dat", ".hdf5")):
        assert "Löwdin" in report["notes"][0]
        x, y, z = (2 * abs(hamiltonian.R).max(0) + 1).tolist()
        wanted = orthogonalised(hamiltonian, (x, y, z))
    else:
        assert report["notes"] == []
        wanted = hamiltonian
    structure = None
    if needs_structure:
        structure = tmp_path / "x.win"
        export_hamiltonian(wanted, tmp_path / "x_hr.dat")
    found = read_hamiltonian(tmp_path / target, structure)
    for k in K[:2]:
        difference = found.eigenvalues(k) - wanted.eigenvalues(k)
        shift = difference.mean() if target == "x.HSX" else 0.0  # sisl counts from the Fermi energy
        np.testing.assert_allclose(difference, shift, atol=1e-3)


def test_what_would_be_read_as_another_is_refused_or_told(tmp_path):
    """Parts of shells, orbitals on no atom, a lost asymmetric part, a _wsvec.dat of another file."""
    t2g = replace(crystal_orbitals("SrTiO3", "Ti:d"), shells=(Shell(0, 2, (1, -1, -2)),))
    assert t2g.species == ("Ti",)
    part = Hamiltonian(np.zeros((1, 3), int), np.eye(3)[None], basis=t2g)
    for name in ("x.HSX", "x.TSHS", "x.deeph", "x.deeptb", "data-HR-sparse_SPIN0.csr"):
        with pytest.raises(IrrepnetError, match="whole shells"):
            write_hamiltonian(part, tmp_path / name)
    whole = random_hamiltonian("NaCl", "Na:s,Cl:s")
    moved = replace(whole, basis=replace(whole.known_basis, centres=whole.known_basis.centres + 0.2))
    with pytest.raises(IrrepnetError, match="on no atom"):
        write_hamiltonian(moved, tmp_path / "x.HSX")
    H = whole.H.copy()
    H[(whole.R == 0).all(1), 0, 1] += 0.1
    (note,) = export_hamiltonian(replace(whole, H=H), tmp_path / "x.safetensors")
    assert "violated the symmetry by up to 0.1 eV" in note
    assert export_hamiltonian(whole, tmp_path / "y.safetensors") == []
    (tmp_path / "z_wsvec.dat").write_text("of another\n", encoding="utf-8")
    with pytest.raises(IrrepnetError, match=r"z_wsvec\.dat lies beside"):
        export_hamiltonian(whole, tmp_path / "z_hr.dat")
    assert not (tmp_path / "z_hr.dat").exists()


def test_hybrids_have_no_input(tmp_path):
    hamiltonian = random_hamiltonian("Si", "sp")
    mixing = Mixing(np.eye(8), tuple(f"own-{k}" for k in range(8)))
    basis = replace(hamiltonian.known_basis, mixing=mixing)
    (note,) = export_hamiltonian(replace(hamiltonian, basis=basis), tmp_path / "x_hr.dat")
    assert "hybrids" in note


def test_refused_before_anything_is_written(tmp_path):
    bare = replace(random_hamiltonian("NaCl", "Na:s,Cl:p"), basis=None)
    (note,) = export_hamiltonian(bare, tmp_path / "bare_hr.dat")
    assert note.startswith("no bare.win is written: ")
    assert not (tmp_path / "bare.win").exists()
    with pytest.raises(IrrepnetError, match="name it"):
        export_hamiltonian(bare, tmp_path / "x.json")
    result = CliRunner().invoke(app, ["hamiltonian", "convert", str(tmp_path / "no_hr.dat"), "--out", "y_hr.dat"])
    assert result.exit_code == 1
    assert "no_hr.dat" in str(result.exception)
