"""Files of TBmodels and ABACUS: small ones written out here by hand, round trips, and what is wrong with a file."""

from pathlib import Path

import numpy as np
import pytest
from tests.hamiltonians.made import random_hamiltonian

from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians import action, read_hamiltonian, symmetry_residual, write_hamiltonian
from irrepnet.hamiltonians.formats.abacus import RYDBERG
from irrepnet.hamiltonians.model import BOHR

K = np.array([0.1, 0.23, -0.37])


def win(folder: Path, hamiltonian, projections: str) -> Path:
    cell = hamiltonian.basis.cell
    rows = "\n".join(" ".join(map(repr, row)) for row in cell.lattice.tolist())
    atoms = "\n".join(
        " ".join([symbol, *map(repr, point)])
        for symbol, point in zip(hamiltonian.basis.species, cell.frac_coords.tolist(), strict=True)
    )
    path = folder / "x.win"
    path.write_text(
        f"begin unit_cell_cart\n{rows}\nend unit_cell_cart\nbegin atoms_frac\n{atoms}\nend atoms_frac\n"
        f"begin projections\n{projections}\nend projections\n"
    )
    return path


# -- TBmodels


@pytest.mark.parametrize("is_sparse", [False, True])
def test_a_model_of_tbmodels(tmp_path, is_sparse):
    """Half of the cells, half of the matrix at home, orbitals of one site in several cells."""
    h5py = pytest.importorskip("h5py")
    from scipy.sparse import csr_matrix

    given = random_hamiltonian("NaCl", "Na:s,Cl:p").in_convention("wannier90")
    basis, n = given.basis, len(given)
    cells = np.random.default_rng(0).integers(-1, 2, (n, 3))
    with h5py.File(tmp_path / "x.hdf5", "w") as file:
        file["dim"], file["size"], file["uc"] = 3, n, basis.cell.lattice
        file["pos"] = basis.centres[basis.site_of] + cells
        hop = file.create_group("hop")
        blocks: dict[tuple, np.ndarray] = {}
        for R, block in zip(given.R.tolist(), given.H):  # ⟨i, cells_i| H |j, R + cells_j⟩
            for i, j in np.ndindex(n, n):
                key = tuple(np.array(R) + cells[i] - cells[j])
                blocks.setdefault(key, np.zeros((n, n)))[i, j] += block[i, j]
        for number, (R, block) in enumerate(blocks.items()):
            if R >= (0, 0, 0):
                group = hop.create_group(str(number))
                group["R"] = R
                block = block / 2 if R == (0, 0, 0) else block
                if is_sparse:
                    sparse = csr_matrix(block)
                    group["data"], group["indices"], group["indptr"] = sparse.data, sparse.indices, sparse.indptr
                else:
                    group["mat"] = block
    bare = read_hamiltonian(tmp_path / "x.hdf5")
    assert bare.basis is None
    assert np.allclose(bare.eigenvalues(K), given.eigenvalues(K), rtol=0, atol=1e-12)
    found = read_hamiltonian(tmp_path / "x.hdf5", win(tmp_path, given, "Na:s\nCl:p"))
    assert symmetry_residual(found, action(found.basis)).symmetry < 1e-12
    assert np.allclose(found.H_at(K), given.H_at(K), rtol=0, atol=1e-12)


def test_tbmodels_round_trip(tmp_path):
    pytest.importorskip("h5py")
    given = random_hamiltonian("Si", "sp").in_convention("wannier90")
    write_hamiltonian(given, tmp_path / "x.hdf5")
    found = read_hamiltonian(tmp_path / "x.hdf5", win(tmp_path, given, "Si:s;p"))
    assert np.allclose(found.H_at(K), given.H_at(K), rtol=0, atol=1e-12)
    assert found.basis.names == given.basis.names
    with pytest.raises(IrrepnetError, match="no overlap"):
        write_hamiltonian(random_hamiltonian("Si", "sp", overlap=True), tmp_path / "y.hdf5")


def test_orbitals_of_tbmodels_that_are_elsewhere(tmp_path):
    pytest.importorskip("h5py")
    given = random_hamiltonian("NaCl", "Na:s,Cl:p").in_convention("wannier90")
    write_hamiltonian(given, tmp_path / "x.hdf5")
    found = read_hamiltonian(tmp_path / "x.hdf5", win(tmp_path, given, "Cl:s\nNa:p"))
    assert found.basis is None
    assert "Å away from it" in found.no_basis


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file: file.__delitem__("hop"), "hop"),
        (lambda file: file.__setitem__("hop/new/R", [1, 2]), "x.hdf5"),
        (lambda file: (file.__delitem__("dim"), file.__setitem__("dim", 2)), "dimensions"),
        (lambda file: (file.__delitem__("size"), file.__setitem__("size", 5)), "x.hdf5"),
        (lambda file: (file.__delitem__("hop/0/R"), file.__setitem__("hop/0/R", [0.5, 0, 0])), "whole numbers"),
        (lambda file: (file.__delitem__("size"), file.__setitem__("size", "four")), "x.hdf5"),
        (lambda file: (file.__delitem__("hop"), file.create_group("hop")), "no hopping"),
    ],
)
def test_what_is_no_model(tmp_path, change, message):
    h5py = pytest.importorskip("h5py")
    write_hamiltonian(random_hamiltonian("NaCl", "Na:s,Cl:p"), tmp_path / "x.hdf5")
    with h5py.File(tmp_path / "x.hdf5", "a") as file:
        change(file)
    with pytest.raises(IrrepnetError, match=message):
        read_hamiltonian(tmp_path / "x.hdf5")


def test_a_file_that_is_cut_short_is_no_hdf5(tmp_path):
    pytest.importorskip("h5py")
    write_hamiltonian(random_hamiltonian("NaCl", "Na:s,Cl:p"), tmp_path / "x.hdf5")
    content = (tmp_path / "x.hdf5").read_bytes()
    for size in (0, 4, 100, len(content) // 2, len(content) - 1):
        (tmp_path / "x.hdf5").write_bytes(content[:size])
        with pytest.raises(IrrepnetError, match=r"x\.hdf5"):
            read_hamiltonian(tmp_path / "x.hdf5")
    with pytest.raises(IrrepnetError, match="no such file"):
        read_hamiltonian(tmp_path / "absent.hdf5")


# -- ABACUS


STRU = """ATOMIC_SPECIES
H 1.0 H.upf
O 16.0 O.upf // a comment

NUMERICAL_ORBITAL
H_gga_8au_1s.orb
O_gga_7au_100Ry_1s1p.orb
LATTICE_CONSTANT
2.0 // Bohr
LATTICE_VECTORS
5 0 0
0 5 0
0 0 5
ATOMIC_POSITIONS
{kind}

H
0.0
1
{place} 1 1 1

O // element
0.0
1
0 0 0 0 0 0 mag 1.0
"""
HR = """STEP: 0
Matrix Dimension of H(R): 5
Matrix number of H(R): 3
-1 0 0 1
 0.25
 2
 0 0 0 0 0 1
0 0 0 2
 -1.0 0.5
 0 1
 0 1 2 2 2 2
1 0 0 1
 0.25
 4
 0 0 0 1 1 1
"""


@pytest.fixture
def water(tmp_path) -> Path:
    (tmp_path / "STRU").write_text(STRU.format(kind="Direct", place="0.5 0 0"))
    folder = tmp_path / "OUT.ABACUS"
    folder.mkdir()
    (folder / "data-HR-sparse_SPIN0.csr").write_text(HR)
    return folder / "data-HR-sparse_SPIN0.csr"


def test_a_file_of_abacus(water):
    found = read_hamiltonian(water)
    assert found.basis.names == ("H1 s", "O2 s", "O2 pz", "O2 px", "O2 py")
    assert found.basis.species == ("H", "O")
    assert np.allclose(found.basis.cell.lattice, 10 * BOHR * np.eye(3))
    assert found.S is None
    home = found.H[found.index(np.zeros(3, int))] / RYDBERG
    assert np.allclose(home[:2, :2], [[-1, 0], [0, 0.5]])
    assert found.H[found.index(np.array([-1, 0, 0])), 4, 2] == pytest.approx(0.25 * RYDBERG)
    # with an overlap beside it
    text = HR.replace("H(R)", "S(R)").replace("-1.0 0.5", "1 0.5")
    (water.parent / "data-SR-sparse_SPIN0.csr").write_text(text)
    found = read_hamiltonian(water)
    assert found.S[found.index(np.zeros(3, int)), 1, 1] == 0.5


def test_spinors_of_abacus(water):
    water.write_text(
        "STEP: 0\nMatrix Dimension of H(R): 10\nMatrix number of H(R): 1\n0 0 0 2\n"
        " (-1.0e+00,0.0e+00) (5.0e-01,0.0e+00)\n 0 1\n 0 1 2" + " 2" * 8 + "\n"
    )
    found = read_hamiltonian(water)
    assert found.H[0, :2, :2] == pytest.approx(RYDBERG * np.diag([-1, 0.5]))
    assert found.basis is None
    assert found.known_cell.numbers.tolist() == [1, 8]
    assert "spinors of ABACUS are not read" in found.no_basis


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("Direct", "0.5 0 0"),
        ("Cartesian", "2.5 0 0"),
        ("Cartesian_au", "5 0 0"),
        ("Cartesian_angstrom", f"{5 * BOHR} 0 0"),
    ],
)
def test_positions_of_a_stru(water, kind, place):
    (water.parent.parent / "STRU").write_text(STRU.format(kind=kind, place=place))
    assert np.allclose(read_hamiltonian(water).basis.centres[0], [0.5, 0, 0])


@pytest.mark.parametrize(("formula", "shells"), [("Si", "sspd"), ("NaCl", "Na:sp,Cl:spf"), ("SrTiO3", "Sr:s,Ti:d,O:p")])
@pytest.mark.parametrize("overlap", [False, True])
def test_abacus_round_trip(tmp_path, formula, shells, overlap):
    given = random_hamiltonian(formula, shells, overlap=overlap)
    write_hamiltonian(given, tmp_path / "data-HR-sparse_SPIN0.csr")
    found = read_hamiltonian(tmp_path / "data-HR-sparse_SPIN0.csr")
    assert np.allclose(found.eigenvalues(K), given.eigenvalues(K), rtol=0, atol=1e-10)
    assert symmetry_residual(found, action(found.basis)).symmetry < 1e-10
    assert {shell.harmonics for shell in found.basis.shells} == {"signed"}


def test_an_order_that_abacus_has_not(tmp_path):
    """Atoms come by element and shells by l."""
    given = random_hamiltonian("TiO2", "Ti:ps,O:s")
    write_hamiltonian(given, tmp_path / "data-HR-sparse_SPIN0.csr")
    found = read_hamiltonian(tmp_path / "data-HR-sparse_SPIN0.csr")
    assert np.allclose(found.eigenvalues(K), given.eigenvalues(K), rtol=0, atol=1e-10)
    with pytest.raises(IrrepnetError, match="HR-sparse"):
        write_hamiltonian(given, tmp_path / "other.csr")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (" 0.25\n 4", " 0.25 0.5\n 4", "line 12"),
        (" 0.25\n 4\n 0 0 0 1 1 1\n", " 0.25\n", "ends too early"),
        ("1 0 0 1\n 0.25\n 4", "1 0 0 1\n 0.25\n 7", "beyond the 5 orbitals"),
        ("1 0 0 1\n 0.25\n 4", "1 0 0 1\n x\n 4", "line 12: .*'x' is no number"),
        ("Matrix Dimension of H(R): 5", "Matrix", "after a colon"),
        (" 0 1 2 2 2 2", " 0 2 1 2 2 2", "line 8"),
        ("1 0 0 1\n 0.25", "1 0 1\n 0.25", "line 4"),
        ("H(R): 5", "H(R): 6", "line 4"),
        ("H(R): 3", "H(R): 4", "ends too early"),
        ("H(R): 3", "H(R): 0", "no number|line|colon|cells"),
    ],
)
def test_what_is_no_sparse_matrix(water, old, new, message):
    assert old in HR
    water.write_text(HR.replace(old, new))
    with pytest.raises(IrrepnetError, match=rf"data-HR-sparse_SPIN0\.csr: (?s:.*)(?:{message})"):
        read_hamiltonian(water)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("1s1p.orb", "1s1x.orb", "ends in no shells"),
        ("1s1p.orb", "1s.orb", "2 orbitals"),
        ("LATTICE_CONSTANT\n", "", "LATTICE_CONSTANT"),
        ("Direct", "Sideways", "sideways"),
        ("0.5 0 0", "0.5 x 0", "'x' is no number"),
        ("0 0 5\n", "", "LATTICE_VECTORS"),
        ("ATOMIC_POSITIONS", "ATOM_POSITIONS", "ATOMIC_POSITIONS"),
        ("H_gga_8au_1s.orb\n", "", "STRU"),
    ],
)
def test_what_is_no_stru(water, old, new, message):
    text = STRU.format(kind="Direct", place="0.5 0 0")
    assert old in text
    (water.parent.parent / "STRU").write_text(text.replace(old, new))
    with pytest.raises(IrrepnetError, match=message):
        read_hamiltonian(water)
