"""Files of other codes: what is written is read back, and what is read means what the code means by it."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.hamiltonians.made import random_hamiltonian

from irrepnet.crystals.text import read_text
from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians import (
    Hamiltonian,
    action,
    from_pythtb,
    hermiticity,
    orthogonalised,
    read_hamiltonian,
    symmetry_residual,
    to_pythtb,
    to_sisl,
    write_hamiltonian,
)
from irrepnet.hamiltonians.formats.shared import all_numbers, numbers, save_text

K = np.array([[0.13, 0.27, -0.41], [0.5, 0, 0.25]])


def same(first: Hamiltonian, second: Hamiltonian, atol: float = 1e-10) -> None:
    """The same orbitals in the same order, and the same H(k), S(k)."""
    assert first.known_basis.names == second.known_basis.names
    assert np.allclose(first.known_basis.cell.lattice, second.known_basis.cell.lattice)
    assert np.allclose(first.H_at(K), second.H_at(K), atol=atol)
    assert np.allclose(first.S_at(K), second.S_at(K), atol=atol)


def poscar(hamiltonian: Hamiltonian, path: Path) -> Path:
    from pymatgen.core import Structure

    cell = hamiltonian.known_basis.cell
    structure = Structure(cell.lattice, cell.numbers.tolist(), cell.frac_coords)
    structure.to(str(path), fmt="poscar")
    return path


@pytest.mark.parametrize("name", ["x_hr.dat", "x_tb.dat.gz"])
def test_wannier90_both_ways(tmp_path, name):
    hamiltonian = random_hamiltonian("TiO2", "Ti:d,O:p", 2.0).in_convention("wannier90")
    write_hamiltonian(hamiltonian, tmp_path / name)
    assert read_hamiltonian(tmp_path / name).basis is None
    again = read_hamiltonian(tmp_path / name, poscar(hamiltonian, tmp_path / "POSCAR"), "Ti:d,O:p")
    same(again, hamiltonian)
    assert symmetry_residual(again, action(again.basis)).symmetry < 1e-10


def test_tb_file_without_positions(tmp_path):
    """As WannierBerri writes it; one that ends among the positions is refused."""
    hamiltonian = random_hamiltonian("TiO2", "Ti:d,O:p", 2.0).in_convention("wannier90")
    write_hamiltonian(hamiltonian, tmp_path / "x_tb.dat")
    lines = (tmp_path / "x_tb.dat").read_text().split("\n")
    kept = 6 + -(-len(hamiltonian.R) // 15) + len(hamiltonian.R) * (2 + len(hamiltonian) ** 2)
    (tmp_path / "y_tb.dat").write_text("\n".join(lines[:kept]))
    again = read_hamiltonian(tmp_path / "y_tb.dat", poscar(hamiltonian, tmp_path / "POSCAR"), "Ti:d,O:p")
    same(again, hamiltonian)
    assert again.position is None
    (tmp_path / "z_tb.dat").write_text("\n".join(lines[: kept + 3]))
    with pytest.raises(IrrepnetError, match="announces"):
        read_hamiltonian(tmp_path / "z_tb.dat")


@pytest.mark.parametrize("name", ["x.HSX", "x.deeph", "x.deeptb"])
@pytest.mark.parametrize("overlap", [False, True])
def test_with_structure_both_ways(tmp_path, name, overlap):
    """Each in the code's own order of orbitals; the symmetry is the proof that the signs are right."""
    pytest.importorskip("sisl" if name.endswith("HSX") else "h5py")
    hamiltonian = random_hamiltonian("TiO2", "Ti:spdd,O:sp", 2.0, overlap=overlap)
    write_hamiltonian(hamiltonian, tmp_path / name)
    again = read_hamiltonian(tmp_path / name)
    convention = {"HSX": "sisl", "deeph": "deeph", "deeptb": "deeptb"}[name[2:]]
    if name.endswith("HSX") and not overlap:
        assert again.S is None or np.allclose(again.S_at(K), np.eye(len(again)))
    same(again, hamiltonian.in_convention(convention), 1e-6 if name.endswith("HSX") else 1e-10)
    assert symmetry_residual(again, action(again.basis)).symmetry < (1e-5 if name.endswith("HSX") else 1e-10)


def test_tshs(tmp_path):
    """It has no elements and no shells: without them no basis, with a structure all of it."""
    pytest.importorskip("sisl")
    hamiltonian = random_hamiltonian("NaCl", "Na:s,Cl:sp", overlap=True)
    write_hamiltonian(hamiltonian, tmp_path / "x.TSHS")
    bare = read_hamiltonian(tmp_path / "x.TSHS")
    assert bare.basis is None
    assert hermiticity(bare) < 1e-10
    again = read_hamiltonian(tmp_path / "x.TSHS", poscar(hamiltonian, tmp_path / "POSCAR"), "Na:s,Cl:sp")
    same(again, hamiltonian.in_convention("sisl"))


def test_sisl_has_the_same_spectrum():
    pytest.importorskip("sisl")
    hamiltonian = random_hamiltonian("NaCl", "Na:s,Cl:spd", overlap=True)
    theirs = to_sisl(hamiltonian)
    for k in K:
        assert np.allclose(theirs.eigh(k), hamiltonian.eigenvalues(k), atol=1e-10)


def test_pythtb():
    pytest.importorskip("pythtb")
    hamiltonian = random_hamiltonian("Si", "sp")
    model = to_pythtb(hamiltonian)
    for k in K:
        assert np.allclose(model.solve_one(k), hamiltonian.eigenvalues(k), atol=1e-10)
    same(from_pythtb(model, hamiltonian.basis), hamiltonian)
    assert from_pythtb(model).basis is None
    with pytest.raises(IrrepnetError, match="no overlap"):
        to_pythtb(random_hamiltonian("Si", "s", overlap=True))


def test_deeph_layout(tmp_path):
    """The names of files and keys, the transposed lattice and OpenMX's order, written down once more."""
    h5py = pytest.importorskip("h5py")
    hamiltonian = random_hamiltonian("NaCl", "Na:s,Cl:sp")
    write_hamiltonian(replace(hamiltonian, fermi=1.5), tmp_path / "x.deeph")
    folder = tmp_path / "x.deeph"
    assert np.allclose(np.loadtxt(folder / "lat.dat").T, hamiltonian.basis.cell.lattice)
    assert np.allclose(np.loadtxt(folder / "rlat.dat").T @ hamiltonian.basis.cell.lattice.T, 2 * np.pi * np.eye(3))
    assert json.loads((folder / "info.json").read_text()) == {"isspinful": False, "fermi_level": 1.5}
    sodium, chlorine = (hamiltonian.basis.species.index(x) for x in ("Na", "Cl"))
    assert (folder / "orbital_types.dat").read_text().split("\n")[chlorine] == "0 1"
    with h5py.File(folder / "hamiltonians.h5") as file:
        key = next(k for k in file if json.loads(k)[3:] == [sodium + 1, chlorine + 1])
        block = np.array(file[key])
    R = hamiltonian.index(np.array(json.loads(key)[:3]))
    s, py, pz, px = hamiltonian.basis.orbitals[chlorine]
    assert np.allclose(block, hamiltonian.H[R][np.ix_(hamiltonian.basis.orbitals[sodium], [s, px, py, pz])])
    assert read_hamiltonian(folder).fermi == 1.5


def test_half_of_the_blocks_is_enough(tmp_path):
    h5py = pytest.importorskip("h5py")
    hamiltonian = random_hamiltonian("NaCl", "Na:s,Cl:sp")
    write_hamiltonian(hamiltonian, tmp_path / "x.deeptb")
    with h5py.File(tmp_path / "x.deeptb" / "hamiltonians.h5", "a") as file:
        for key in list(file["0"]):
            a, b, *R = map(int, key.split("_"))
            if (a, b, *R) > (b, a, *(-x for x in R)):
                del file["0"][key]
    same(read_hamiltonian(tmp_path / "x.deeptb"), hamiltonian)
    (tmp_path / "x.deeptb" / "basis.dat").unlink()
    same(read_hamiltonian(tmp_path / "x.deeptb", shells="Na:1s,Cl:1s1p"), hamiltonian)
    with pytest.raises(IrrepnetError, match="give the shells"):
        read_hamiltonian(tmp_path / "x.deeptb")
    with pytest.raises(IrrepnetError, match="their shells s and spd make 1 × 9"):
        read_hamiltonian(tmp_path / "x.deeptb", shells="Na:s,Cl:spd")


def test_degeneracies_and_wsvec(data):
    """H(k) from the raw numbers by the formulas of the user guide, element by element."""
    folder = data / "Si_valence"
    lines = read_text(folder / "Si2_valence_MDRS_wsvec.dat.gz").splitlines()[1:]
    shifts, at = {}, 0
    while at < len(lines):
        key, count = tuple(map(int, lines[at].split())), int(lines[at + 1])
        shifts[key] = np.array([line.split() for line in lines[at + 2 : at + 2 + count]], int)
        at += 2 + count
    words = read_text(folder / "Si2_valence_MDRS_tb.dat.gz").split("\n", 1)[1].split()
    n, cells = int(words[9]), int(words[10])
    weights = np.array(words[11 : 11 + cells], float)
    body = iter(words[11 + cells :])
    k = np.array([0.13, 0.27, -0.41])
    plain, shifted = np.zeros((n, n), complex), np.zeros((n, n), complex)
    for weight in weights:
        R = tuple(int(next(body)) for _ in range(3))
        for _ in range(n * n):
            i, j = int(next(body)), int(next(body))
            value = (float(next(body)) + 1j * float(next(body))) / weight
            plain[i - 1, j - 1] += value * np.exp(2j * np.pi * np.dot(k, R))
            images = shifts[(*R, i, j)] + np.array(R)
            shifted[i - 1, j - 1] += value * np.exp(2j * np.pi * images @ k).mean()
    assert np.allclose(read_hamiltonian(folder / "Si2_valence_MDRS_tb.dat.gz").H_at(k), shifted, atol=1e-12)
    assert np.allclose(read_hamiltonian(folder / "Si2_valence_WS_tb.dat.gz").H_at(k), plain, atol=1e-6)


def by_words(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """R, H and positions of a Wannier90 file, word by word: the plain reader that the fast one is held to."""
    words = iter(read_text(path).split("\n", 1)[1].lower().replace("d", "e").split())
    take = lambda count: [float(next(words)) for _ in range(count)]  # noqa: E731
    is_tb = "_tb" in path.name
    if is_tb:
        take(9)
    n, cells = map(int, take(2))
    weights = np.array(take(cells))
    R, H, r = np.zeros((cells, 3), int), np.zeros((cells, n, n), complex), np.zeros((cells, 3, n, n), complex)
    for cell in range(cells):
        for element in range(n * n):
            if not (is_tb and element):
                R[cell] = take(3)
            i, j, re, im = take(4)
            H[cell, int(i) - 1, int(j) - 1] = re + 1j * im
    H /= weights[:, None, None]
    if not is_tb:
        return R, H, None
    for cell in range(cells):
        assert (R[cell] == take(3)).all()
        for _ in range(n * n):
            i, j, *parts = take(8)
            r[cell, :, int(i) - 1, int(j) - 1] = np.array(parts[::2]) + 1j * np.array(parts[1::2])
    return R, H, r / weights[:, None, None, None]


def disturbed(text: str, how: str) -> str:
    """The same numbers, told otherwise."""
    head, body = text.split("\n", 1)
    if how == "Fortran":
        body = body.replace("E", "D") if "E" in body else re.sub(r"\.\d+", r"\g<0>d0", body)
    elif how == "words":
        body = "\n".join(body.split())
    elif how == "one line":
        body = " ".join(body.split())
    elif how == "blank lines":
        body = body.replace("\n", "\n \n\n").replace(" ", "\t ")
    elif how == "returns":
        body = body.replace("\n", "\r\n")
    elif how == "order":
        lines = body.rstrip("\n").split("\n")
        body = "\n".join([*lines[:-3], *lines[:-4:-1]])
    return head + "\n" + body


@pytest.mark.parametrize("how", ["as written", "Fortran", "words", "one line", "blank lines", "returns", "order"])
@pytest.mark.parametrize("name", ["x_hr.dat", "x_tb.dat", "x_hr.dat.gz"])
def test_wannier90_is_read_as_by_words(tmp_path, name, how):
    basis, random = random_hamiltonian("NaCl", "Na:s,Cl:p").basis, np.random.default_rng(0)
    cells = np.stack(np.unravel_index(np.arange(40), (5, 4, 2)), axis=1) - 2
    made = Hamiltonian(cells, random.normal(size=(40, 4, 4, 2)) @ [1, 1j], basis=basis)
    write_hamiltonian(made, tmp_path / name)
    text = read_text(tmp_path / name)
    weights = "".join(f"{weight:5d}" for weight in random.integers(1, 9, 40))
    text = text.replace("    1" * 15 + "\n" + "    1" * 15 + "\n" + "    1" * 10, weights)
    save_text(tmp_path / name, disturbed(text, how))
    found = read_hamiltonian(tmp_path / name)
    R, H, r = by_words(tmp_path / name)
    assert np.array_equal(found.R, R)
    assert np.array_equal(found.H, H)
    assert abs(found.H).max() > 1
    if r is not None:
        assert np.array_equal(found.position, r)


def test_numbers_of_a_text():
    for text in ("", " \n", "1 -2.5 3e5\n 1E-3 .5 6.", "1d0 2 3", "0.1234-100 7", "nan inf 1\xa02"):
        words = numbers(text.split())
        assert np.array_equal(all_numbers(text), words, equal_nan=True)
    for text in ("1 2*4", "1,2", "1 x", "1.2.3", "0x10", "1 ***"):
        with pytest.raises(ValueError, match="is no number"):
            all_numbers(text)


@pytest.mark.parametrize(
    ("listing", "message"),
    [
        ("0 0 0 1 1 1 0 0 1", None),
        ("0 0 0 1 1 2 0 0 1 0 0 -1", None),
        ("", "all elements"),
        ("0 0 0 1 1 0", "0 cells are listed"),
        ("0 0 0 1 1 1 0 0", "ends within"),
        ("0 0 0 1 1", "ends within"),
        ("0 0 0 1 2 1 0 0 1", "does not have"),
        ("0 0 5 1 1 1 0 0 1", "does not have"),
        ("0 0 0 1 1 1 0 0 .5", "not whole"),
    ],
)
def test_lists_of_cells(tmp_path, listing, message):
    (tmp_path / "x_hr.dat").write_text("header\n1\n1\n1\n0 0 0 1 1 0.5 0\n")
    (tmp_path / "x_wsvec.dat").write_text("header\n" + listing.replace("1 1 ", "1 1\n") + "\n")
    if message is not None:
        with pytest.raises(IrrepnetError, match=rf"x_wsvec\.dat: .*{message}"):
            read_hamiltonian(tmp_path / "x_hr.dat")
        return
    found = read_hamiltonian(tmp_path / "x_hr.dat")
    assert np.array_equal(found.R[:, 2], [1] if "2" not in listing else [-1, 1])
    assert np.array_equal(found.H.ravel(), np.full(len(found.R), 0.5 / len(found.R)))


def test_wannier_input(data):
    gallium_arsenide = read_hamiltonian(data / "w90_GaAs_sawf" / "GaAs_hr.dat.gz")  # the .win beside it
    assert gallium_arsenide.basis.names == ("As1 s", "As1 pz", "As1 px", "As1 py")
    diamond = read_hamiltonian(data / "w90_C_diamond" / "diamond_hr.dat.gz")
    centres = np.sort(diamond.basis.centres, axis=0)
    assert np.allclose(centres, [[0, 0, 0]] * 3 + [[0.5, 0.5, 0.5]], atol=1e-6)
    silicon = read_hamiltonian(
        data / "Si_valence" / "Si2_valence_MDRS_tb.dat.gz", data / "Si_valence" / "Si2_valence.win"
    )
    assert silicon.fermi == 6.5283
    assert silicon.position.shape == (len(silicon.R), 3, 4, 4)


WIN = """num_wann = {n}
begin unit_cell_cart
ang
3 0 0
0 3 0
0 0 3
end unit_cell_cart
begin atoms_frac
V 0 0 0
O 0.5 0 0
end atoms_frac
begin projections
{projections}
end projections
"""


@pytest.mark.parametrize(
    ("projections", "names"),
    [
        ("V:dxy;dxz;dyz", ["V1 dxz", "V1 dyz", "V1 dxy"]),
        ("V:l=2,mr=1,4\nO:s", ["V1 dz2", "V1 dx2-y2", "O2 s"]),
        ("O : p;s", ["O1 s", "O1 pz", "O1 px", "O1 py"]),
        ("f=0.25,0.25,0:s", ["X1 s"]),
        ("c=1.5,0,0:pz", ["O1 pz"]),
    ],
)
def test_projections(tmp_path, projections, names):
    n = len(names)
    (tmp_path / "x.win").write_text(WIN.format(n=n, projections=projections))
    rows = "".join(f"0 0 0 {i + 1} {j + 1} {i + j}.5 0\n" for j in range(n) for i in range(n))
    (tmp_path / "x_hr.dat").write_text(f"header\n{n}\n1\n1\n{rows}")
    hamiltonian = read_hamiltonian(tmp_path / "x_hr.dat")
    assert list(hamiltonian.basis.names) == names
    assert np.allclose(hamiltonian.H[0], np.add.outer(range(n), range(n)) + 0.5)


@pytest.mark.parametrize(
    ("projections", "message"),
    [
        ("V:sp4", "is none of s, p, d, f"),
        ("V:p:z=1,0,0", "not at right angles"),
        ("V:s:y=1,0,0", "none of z="),
        ("Fe:s", "no such atom"),
        ("V:l=4", "l goes from"),
        ("V:l=-3,mr=5", "mr goes from 1 to 4"),
        ("V:s(u)", "spinors is not true"),
        ("V s", "no functions after its site"),
    ],
)
def test_projections_that_are_refused(tmp_path, projections, message):
    (tmp_path / "x.win").write_text(WIN.format(n=1, projections=projections))
    (tmp_path / "x_hr.dat").write_text("header\n1\n1\n1\n0 0 0 1 1 0.5 0\n")
    with pytest.raises(IrrepnetError, match=message):
        read_hamiltonian(tmp_path / "x_hr.dat")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "header\n",
        "header\n1\n1\n1\n0 0 0 1 1 0.5\n",
        "header\n1\n1\n0\n0 0 0 1 1 0.5 0\n",
        "header\n1\n1\n1\n0 0 0 1 2 0.5 0\n",
        "header\n1\n1\n1\n0 0 0 1 1 nan 0\n",
        "header\n2\n1\n1\n" + "0 0 0 1 1 0.5 0\n" * 4,
        "header\none\n1\n1\n0 0 0 1 1 0.5 0\n",
    ],
)
def test_bad_hr_files(tmp_path, text):
    path = tmp_path / "x_hr.dat"
    path.write_text(text)
    with pytest.raises(IrrepnetError, match=r"x_hr\.dat"):
        read_hamiltonian(path)


def test_refusals(tmp_path):
    hamiltonian = random_hamiltonian("NaCl", "Na:s,Cl:p", overlap=True)
    for name, message in (
        ("x_hr.dat", "have no overlap"),
        ("x.json", "cannot be written"),
        ("nowhere/x.safetensors", "nowhere"),
    ):
        with pytest.raises(IrrepnetError, match=message):
            write_hamiltonian(hamiltonian, tmp_path / name)
    for name, message in (("x.json", "not a Hamiltonian by its name"), ("x_hr.dat", "no such file"), (".", "cannot")):
        with pytest.raises(IrrepnetError, match=message):
            read_hamiltonian(tmp_path / name)
    write_hamiltonian(orthogonalised(hamiltonian, (3, 3, 3)), tmp_path / "x_hr.dat")
    structure = poscar(hamiltonian, tmp_path / "POSCAR")
    with pytest.raises(IrrepnetError, match="such as V:d"):
        read_hamiltonian(tmp_path / "x_hr.dat", structure)
    with pytest.raises(IrrepnetError, match="carry 8 orbitals"):
        read_hamiltonian(tmp_path / "x_hr.dat", structure, "sp")
    with pytest.raises(IrrepnetError, match="no such file"):
        read_hamiltonian(tmp_path / "x_hr.dat", tmp_path / "none.win")
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    with pytest.raises(IrrepnetError, match="cannot be read"):
        read_hamiltonian(tmp_path / "bad.safetensors")


def test_missing_extra(tmp_path, monkeypatch):
    from irrepnet.hamiltonians.formats import shared

    hamiltonian = random_hamiltonian("NaCl", "Na:s,Cl:p")

    def gone(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(shared.importlib, "import_module", gone)
    for name in ("x.deeph", "x.HSX"):
        with pytest.raises(IrrepnetError, match=r"irrepnet\[hamiltonians\]"):
            write_hamiltonian(hamiltonian, tmp_path / name)


@pytest.mark.parametrize("kind", ["deeph", "deeptb"])
@pytest.mark.parametrize("damage", ["gone", "text", "number", "h5"])
def test_damaged_folders(tmp_path, kind, damage):
    """Every file in turn is taken away or spoilt: an error that names the folder, never a traceback."""
    pytest.importorskip("h5py")
    hamiltonian = random_hamiltonian("NaCl", "Na:s,Cl:sp", overlap=True)
    folder = tmp_path / f"x.{kind}"
    write_hamiltonian(hamiltonian, folder)
    optional = {"info.json", "rlat.dat", "overlaps.h5"}
    for path in sorted(folder.iterdir()):
        kept = path.read_bytes()
        if damage == "h5" and path.suffix == ".h5":
            path.write_bytes(kept[:50])
        elif damage == "gone" and path.name not in optional:
            path.unlink()
        elif damage == "text" and path.name != "rlat.dat":
            path.write_text("{[")
        elif damage == "number" and path.suffix == ".dat" and path.name != "rlat.dat":
            path.write_text("1000 2")
        else:
            continue
        with pytest.raises(IrrepnetError, match=kind):
            read_hamiltonian(folder)
        path.write_bytes(kept)
    same(read_hamiltonian(folder), hamiltonian.in_convention(kind))


def test_noise_in_imaginary_parts():
    """Wannier functions are real up to their convergence: that much is dropped, more is refused."""
    from irrepnet.hamiltonians import reduced, slater_koster

    hamiltonian = random_hamiltonian("NaCl", "Na:s,Cl:p")
    noisy = replace(hamiltonian, H=hamiltonian.H + 1e-8j)
    assert np.allclose(reduced(noisy).H, reduced(hamiltonian).H)
    assert len(slater_koster(noisy, 3.0)) == 3
    with pytest.raises(IrrepnetError, match=r"imaginary parts up to 1\.0e-03 eV"):
        reduced(replace(hamiltonian, H=hamiltonian.H + 1e-3j))
