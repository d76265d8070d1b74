"""Inputs as people and programs write them: Fortran's numbers, labels of atoms, encodings, names, Fermi energies.

The crystal is always simple cubic polonium, s orbitals, 0.3 − cos kx − cos ky − cos kz eV, a = 3.3 Å.
"""

import gzip
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.hamiltonians.made import random_hamiltonian

from irrepnet.crystals.text import read_text
from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians import (
    Hamiltonian,
    action,
    from_pythtb,
    from_sisl,
    orthogonalised,
    read_hamiltonian,
    read_reduced,
    symmetry_residual,
    to_pythtb,
    to_sisl,
    write_hamiltonian,
)
from irrepnet.hamiltonians.formats.shared import element_of, energy, number, numbers, words_of
from irrepnet.hamiltonians.formats.wannier_tools import is_wannier_tools, read_wannier_tools

CASE = Path(__file__).resolve().parents[3] / ".." / "shared" / "cases" / "22-win-fortran-exponents"
K = np.array([[0.0, 0, 0], [0.5, 0, 0], [0.13, 0.27, -0.41]])
EXACT = 0.3 - np.cos(2 * np.pi * K).sum(1)
CELLS = [(x, y, z) for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1)]
WIN = """! made by hand
num_wann = 1
fermi_energy = 0.3
begin unit_cell_cart
3.3 0.0 0.0
0.0 3.3 0.0
0.0 0.0 3.3
end unit_cell_cart
begin atoms_frac
Po 0.0 0.0 0.0
end atoms_frac
begin projections
Po:s
end projections
"""
WT = """&SYSTEM
NumOccupied = 1, SOC = 0, E_FERMI = 0.3, surf_onsite = 0.0
/
LATTICE
Angstrom
3.3 0.0 0.0
0.0 3.3 0.0
0.0 0.0 3.3
ATOM_POSITIONS
1
Direct
Po 0.0 0.0 0.0
PROJECTORS
1
Po s
"""


def value(R):
    return 0.3 if R == (0, 0, 0) else -0.5 if sum(map(abs, R)) == 1 else 0.0


def hr(form="{:.6f}".format):
    rows = "".join(f"{x} {y} {z} 1 1 {form(value((x, y, z)))} {form(0.0)}\n" for x, y, z in CELLS)
    return f"made by hand\n1\n27\n{'1 ' * 15}\n{'1 ' * 12}\n{rows}"


def fortran(text, letter="d"):
    """Every real number with an exponent."""
    return re.sub(r"(?<![\w.])-?\d+\.\d+(?![\w.])", lambda word: f"{float(word[0]):.10e}".replace("e", letter), text)


def is_right(path, structure=None, fermi=0.3, species="Po"):
    found = read_hamiltonian(path, structure)
    assert np.allclose(found.eigenvalues(K)[:, 0], EXACT, atol=1e-6)
    basis = found.known_basis
    assert np.allclose(basis.cell.lattice, 3.3 * np.eye(3))
    assert basis.species == (species,)
    assert found.fermi == (None if fermi is None else pytest.approx(fermi))
    act = action(basis)
    assert act.group.point_group.name == "m-3m"
    assert symmetry_residual(found, act).symmetry < 1e-12
    return True


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "po.win").write_text(WIN)
    (tmp_path / "po_hr.dat").write_text(hr())
    return tmp_path


def test_the_case():
    if not CASE.is_dir():
        pytest.skip("the cases are not beside this checkout")
    assert is_right(CASE / "po_hr.dat")


# -- numbers


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("3.3d0", 3.3),
        ("1.04D+01", 10.4),
        ("-.5q-1", -0.05),
        ("+7.", 7.0),
        ("12", 12.0),
        ("5e3", 5000.0),
        ("0.1234-100", 0.1234e-100),
        ("-0.1234+100", -0.1234e100),
        ("1.5E-100", 1.5e-100),
    ],
)
def test_a_number(word, expected):
    assert number(word) == expected
    assert numbers([word, "3.3d0"]).tolist() == [expected, 3.3]


@pytest.mark.parametrize("word", ["", "d0", "1d", "1.0-2.0", "1.5-20", "12-100", "1,5", "nan", "****", "1_0", "1/3"])
def test_no_number(word):
    with pytest.raises(ValueError, match="is no number"):
        number(word)
    with pytest.raises(ValueError, match="is no number"):
        numbers([word, "3.3d0"])


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from("eEdDqQ"))
def test_any_float_comes_back(value, letter):
    assert number(f"{value:.17e}".replace("e", letter)) == value


def test_repeated_words():
    """Of list-directed input, as half of the inputs of WannierTools have."""
    assert words_of("2*0.5, 3  o*  *") == ["0.5", "0.5", "3", "o*", "*"]


@pytest.mark.parametrize("letter", "dDeEq")
def test_exponents_in_win(folder, letter):
    (folder / "po.win").write_text(fortran(WIN, letter))
    assert is_right(folder / "po_hr.dat")


@pytest.mark.parametrize("form", ["{:.8e}", "{:.6f}"])
def test_exponents_in_hr(folder, form):
    (folder / "po_hr.dat").write_text(fortran(hr(form.format), "D"))
    assert is_right(folder / "po_hr.dat")


def test_exponents_that_left_no_place_for_their_letter(folder):
    text = hr(lambda value: f"{value:.6f}" if value else "0.1234-100")
    assert "0.1234-100" in text
    (folder / "po_hr.dat").write_text(text)
    assert is_right(folder / "po_hr.dat")


def test_exponents_in_tb_and_wsvec(folder):
    """The lattice, the elements and the position matrix; each element in the cell that it is in."""
    write_hamiltonian(read_hamiltonian(folder / "po_hr.dat"), folder / "po_tb.dat")
    text = (folder / "po_tb.dat").read_text()
    for old, new in (("0.000000000000000E+00", "0.100000000000000-120"), ("E-", "d-")):
        text = text.replace(old, new)
    assert "d-" in text
    (folder / "po_tb.dat").write_text(text)
    (folder / "po_hr.dat").unlink()
    rows = "".join(f"{x} {y} {z} 1 1\n1\n0 0 0\n" for x, y, z in CELLS)
    (folder / "po_wsvec.dat").write_text(f"## made by hand\n{rows}")
    assert is_right(folder / "po_tb.dat")


def test_exponents_in_centres(folder):
    """The function stands in the next cell."""
    (folder / "po_centres.xyz").write_text("2\n Wannier centres\nX 3.3D+00 0.0D+00 0.1-101\nPo 0.0 0.0 0.0\n")
    assert read_hamiltonian(folder / "po_hr.dat").known_basis.centres.tolist() == [[1, 0, 0]]
    (folder / "po_centres.xyz").write_text("2\n Wannier centres\nX 3.3D+00 here 0\nPo 0.0 0.0 0.0\n")
    with pytest.raises(IrrepnetError, match=r"po_centres\.xyz.*'here'"):
        read_hamiltonian(folder / "po_hr.dat")


@pytest.mark.parametrize(
    "text", [WT, fortran(WT), WT.replace("0.0 ", "0.0, "), WT.replace("Po 0.0 0.0 0.0", "Po 3*0.0")]
)
def test_exponents_in_wt_in(tmp_path, text):
    (tmp_path / "wt.in").write_text(text)
    (tmp_path / "po_hr.dat").write_text(hr())
    assert is_right(tmp_path / "po_hr.dat", tmp_path / "wt.in")


def test_exponents_in_folders(tmp_path):
    pytest.importorskip("h5py")
    hamiltonian = random_hamiltonian("NaCl", "Na:s,Cl:sp")
    for kind in ("deeph", "deeptb"):
        path = tmp_path / f"x.{kind}"
        write_hamiltonian(hamiltonian, path)
        for file in path.glob("*.dat"):
            if file.name not in ("orbital_types.dat", "basis.dat"):
                file.write_text(file.read_text().replace("e", "D"))
        again = read_hamiltonian(path)
        assert np.allclose(again.known_basis.cell.lattice, hamiltonian.known_basis.cell.lattice)


@pytest.mark.parametrize(
    "change",
    [
        ("3.3 0.0 0.0", "3.3, 0.0, 0.0"),
        ("begin unit_cell_cart\n", "begin unit_cell_cart\nAngstrom\n"),
        ("end unit_cell_cart", "end_unit_cell_cart"),
        ("Po:s", "Po : s : z=0.0d0,0.0d0,1.0d0 : x = 1,0,0 : zona=1.2d0"),
        ("Po:s", "f=0.0d0,0.0d0,0.0d0:l=0"),
        ("Po:s", "bohr\nc=0.0d0,0d0,0.0d0:s"),
        ("atoms_frac", "atoms_cart"),
        ("fermi_energy = 0.3", "FERMI_ENERGY : 3.0D-01 eV"),
        ("fermi_energy = 0.3", "fermi_energy\t.3d0 # of the scf"),
        ("0.0 3.3 0.0", "0.0 3.3d0 0.0 ! b"),
    ],
)
def test_other_ways_to_write_it(folder, change):
    (folder / "po.win").write_text(WIN.replace(*change))
    assert is_right(folder / "po_hr.dat")


def test_bohr(folder):
    text = re.sub(r"3\.3\b", "6.2360962661d0", WIN)
    (folder / "po.win").write_text(text.replace("cell_cart\n6", "cell_cart\nBohr\n6"))
    assert is_right(folder / "po_hr.dat")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0.0 3.3 0.0", "0.0 x3.3d0 0.0", "'x3.3d0' is no number"),
        ("0.0 3.3 0.0", "0.0 3.3d0", "too few numbers"),
        ("0.0 3.3 0.0\n", "", "unit_cell_cart has 2 lattice vectors"),
        ("end atoms_frac\n", "", "block atoms_frac has no end"),
        ("fermi_energy = 0.3", "fermi_energy = 0.3\nfermi_energy = 0.4", "fermi_energy twice"),
        ("end projections\n", "end projections\nbegin projections\nPo:p\nend projections\n", "two blocks projections"),
        ("Po:s", "Po:p:z=1,0,0", "not at right angles"),
        ("Po:s", "f=0,0:s", "not three numbers"),
        ("Po:s", "Po:l=0,mr=2", "mr goes from 1 to 1"),
    ],
)
def test_bad_inputs_say_what_is_wrong(folder, old, new, message):
    (folder / "po.win").write_text(WIN.replace(old, new))
    with pytest.raises(IrrepnetError, match=rf"po\.win.*{message}"):
        read_hamiltonian(folder / "po_hr.dat")


@pytest.mark.parametrize("text", ["0.5 0 0 1 1 1 0", "0 0 0 1.5 1 1 0", "0 0 0 1 1 ***** 0", "0 0 0 1 1 1-2 0"])
def test_bad_rows(folder, text):
    (folder / "po_hr.dat").write_text(f"header\n1\n1\n1\n{text}\n")
    with pytest.raises(IrrepnetError, match=r"po_hr\.dat.*(whole numbers|is no number)"):
        read_hamiltonian(folder / "po_hr.dat")


# -- labels of atoms


@pytest.mark.parametrize(
    ("label", "element"),
    [
        ("Fe1", "Fe"),
        ("Ga_2", "Ga"),
        ("As-b", "As"),
        ("GA1", "Ga"),
        ("fe_up", "Fe"),
        ("Feup", "Fe"),
        ("OA", "O"),
        ("O2-", "O"),
        ("Mn3+", "Mn"),
        ("o", "O"),
        ("V1", "V"),
        ("C12", "C"),
        ("CA", "Ca"),
        ("D1", "D"),
    ],
)
def test_element_of_a_label(label, element):
    assert element_of(label) == element


@pytest.mark.parametrize("label", ["X1", "Va", "Vac2", "1Fe", "", "Q", "*"])
def test_labels_of_no_element(label):
    with pytest.raises(ValueError, match="no element"):
        element_of(label)


@pytest.mark.parametrize("label", ["Po1", "PO1", "po_a", "Po-b", "PO", "Po12x"])
def test_decorated_labels(folder, label):
    for place in (label, label.upper(), f" {label.lower()} "):
        (folder / "po.win").write_text(WIN.replace("Po 0", f"{label} 0").replace("Po:s", f"{place}:s"))
        assert is_right(folder / "po_hr.dat")
    (folder / "wt.in").write_text(WT.replace("Po", label))
    assert is_right(folder / "po_hr.dat", folder / "wt.in")


TWO = WIN.replace("Po 0.0 0.0 0.0", "Fe1 0.0 0.0 0.0\nFe2 0.5 0.5 0.5").replace("num_wann = 1\n", "")


@pytest.mark.parametrize(
    ("projections", "names"),
    [
        ("fe1:s", ["Fe1 s"]),
        ("Fe2:s", ["Fe1 s"]),
        ("FE2:s,pz;d\nfe1:s", [f"Fe1 {x}" for x in ("s", "pz", "dz2", "dxz", "dyz", "dx2-y2", "dxy")] + ["Fe2 s"]),
    ],
)
def test_projections_go_by_label(folder, projections, names):
    """Names count the sites that carry orbitals; which atom it is, the centre tells."""
    n = len(names)
    (folder / "po.win").write_text(TWO.replace("Po:s", projections))
    rows = "".join(f"0 0 0 {i + 1} {j + 1} {i + j}.5 0\n" for j in range(n) for i in range(n))
    (folder / "po_hr.dat").write_text(f"header\n{n}\n1\n1\n{rows}")
    basis = read_hamiltonian(folder / "po_hr.dat").known_basis
    assert list(basis.names) == names
    assert basis.centres[0].tolist() == ([0.0] if projections[2] == "1" else [0.5]) * 3
    assert len(basis.cell.numbers) == 2


def test_a_label_that_no_atom_has(folder):
    """The element alone is another label, as for Wannier90."""
    (folder / "po.win").write_text(TWO.replace("Po:s", "Fe:s"))
    with pytest.raises(IrrepnetError, match=r"po\.win.*'Fe:s': no such atom; the labels of the atoms are fe1, fe2"):
        read_hamiltonian(folder / "po_hr.dat")
    (folder / "po.win").write_text(WIN.replace("Po 0", "Xx1 0"))
    with pytest.raises(IrrepnetError, match=r"po\.win.*'xx1' begins with no element"):
        read_hamiltonian(folder / "po_hr.dat")


# -- encodings and names

CONTENTS = {
    "utf-8 with a mark": lambda text: text.encode("utf-8-sig"),
    "latin-1": lambda text: text.replace("made by", "für Å von").encode("latin-1"),
    "utf-16": lambda text: text.encode("utf-16"),
    "windows": lambda text: text.replace("\n", "\r\n").encode(),
    "old macintosh": lambda text: text.replace("\n", "\r").encode(),
    "packed": lambda text: gzip.compress(text.encode()),
    "packed latin-1": lambda text: gzip.compress(text.replace("made by", "für Å von").encode("latin-1")),
}


@pytest.mark.parametrize("kind", CONTENTS)
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_contents(tmp_path, kind, ending):
    """What is in a file tells how it is to be read, not its name."""
    for name, text in (("po.win", WIN), ("po_hr.dat", hr()), ("wt.in", "! made by hand\n" + WT)):
        (tmp_path / (name + ending)).write_bytes(CONTENTS[kind](text))
    assert is_right(tmp_path / f"po_hr.dat{ending}")
    (tmp_path / f"po.win{ending}").unlink()
    assert is_right(tmp_path / f"po_hr.dat{ending}", tmp_path / f"wt.in{ending}")


@pytest.mark.parametrize(
    ("matrix", "input"),
    [("PO_HR.DAT", "PO.WIN"), ("PO_HR.DAT", "po.win"), ("po_hr.dat", "PO.WIN"), ("PO_HR.DAT.GZ", "PO.WIN.GZ")],
)
def test_names_in_capitals(tmp_path, matrix, input):
    (tmp_path / matrix).write_text(hr())
    (tmp_path / input).write_text(WIN)
    assert is_right(tmp_path / matrix)
    assert is_right(tmp_path / matrix, tmp_path / input)


@pytest.mark.parametrize("name", ["WT.IN", "wt.in", "Wt.in.gz", "wt.in-bands"])
def test_names_of_wt_in(tmp_path, name):
    (tmp_path / "po_hr.dat").write_text(hr())
    (tmp_path / name).write_text(WT)
    assert is_right(tmp_path / "po_hr.dat", tmp_path / name)


def test_names_that_are_not_wt_in():
    assert not any(map(is_wannier_tools, map(Path, ("wt.inp", "awt.in", "POSCAR"))))


def test_the_exact_name_comes_first(folder):
    (folder / "PO.WIN").write_text("nothing")
    assert is_right(folder / "po_hr.dat")


def test_broken_packing(folder):
    (folder / "po.win").write_bytes(gzip.compress(WIN.encode())[:60])
    with pytest.raises(IrrepnetError, match=r"po\.win"):
        read_hamiltonian(folder / "po_hr.dat")


@given(st.binary(max_size=80))
def test_any_bytes_are_a_text_or_an_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("bytes") / "x"
    path.write_bytes(content)
    if content.startswith(b"\x1f\x8b"):
        with pytest.raises(IrrepnetError, match=str(path)):
            read_text(path)
    else:
        assert "\r" not in read_text(path)


# -- Fermi energies

NONE = WIN.replace("fermi_energy = 0.3\n", "")


def test_none_in_wannier90(folder):
    (folder / "po.win").write_text(NONE)
    assert is_right(folder / "po_hr.dat", fermi=None)
    (folder / "po.win").write_text(NONE + "fermi_energy_min = -1\nfermi_energy_max = 1\n")  # a scan is no value
    assert is_right(folder / "po_hr.dat", fermi=None)
    (folder / "po.win").write_text(NONE + "fermi_energy = 0\n")
    assert is_right(folder / "po_hr.dat", fermi=0.0)
    (folder / "po.win").unlink()
    assert read_hamiltonian(folder / "po_hr.dat").fermi is None


def test_none_in_wannier_tools(folder):
    (folder / "wt.in").write_text(WT.replace("E_FERMI = 0.3, ", ""))
    assert is_right(folder / "po_hr.dat", folder / "wt.in", fermi=None)
    (folder / "wt.in").write_text(WT.replace("E_FERMI", "! E_FERMI"))
    assert is_right(folder / "po_hr.dat", folder / "wt.in", fermi=None)
    (folder / "wt.in").write_text(WT.replace("E_FERMI = 0.3", "e_fermi=-2.5D-1"))
    assert read_wannier_tools(folder / "wt.in")[2] == -0.25


def test_none_with_a_structure(folder):
    (folder / "POSCAR").write_text("Po\n1\n3.3 0 0\n0 3.3 0\n0 0 3.3\nPo\n1\nDirect\n0 0 0\n")
    assert is_right(folder / "po_hr.dat", folder / "POSCAR", fermi=None)


@pytest.mark.parametrize("text", ["", "abc", "nan", "*****", "inf", "1.5-2.5"])
def test_unreadable_is_an_error(folder, text):
    (folder / "po.win").write_text(NONE + f"fermi_energy = {text}\n")
    with pytest.raises(IrrepnetError, match=r"po\.win: fermi_energy is .*no energy in eV"):
        read_hamiltonian(folder / "po_hr.dat")
    (folder / "wt.in").write_text(WT.replace("E_FERMI = 0.3", f"E_FERMI = {text}"))
    with pytest.raises(IrrepnetError, match=r"wt\.in: E_FERMI is .*no energy in eV"):
        read_hamiltonian(folder / "po_hr.dat", folder / "wt.in")


def test_fermi_energy_of_deeph(tmp_path):
    pytest.importorskip("h5py")
    hamiltonian = random_hamiltonian("NaCl", "Na:s,Cl:sp")
    path = tmp_path / "x.deeph"
    write_hamiltonian(hamiltonian, path)
    info = path / "info.json"
    assert read_hamiltonian(path).fermi is None
    assert "fermi_level" not in json.loads(info.read_text())
    info.write_text('{"isspinful": false, "fermi_level": null}')
    assert read_hamiltonian(path).fermi is None
    info.write_text('{"fermi_level": 0}')
    assert read_hamiltonian(path).fermi == 0.0
    info.unlink()
    assert read_hamiltonian(path).fermi is None
    for value in ('"abc"', "NaN", "true", "[1]"):
        info.write_text(f'{{"fermi_level": {value}}}')
        with pytest.raises(IrrepnetError, match=r"info\.json: fermi_level is"):
            read_hamiltonian(path)
    info.write_text("{")
    with pytest.raises(IrrepnetError, match=r"info\.json: cannot be read as JSON"):
        read_hamiltonian(path)


def test_fermi_energy_of_deeptb(tmp_path):
    pytest.importorskip("h5py")
    write_hamiltonian(random_hamiltonian("NaCl", "Na:s,Cl:sp"), tmp_path / "x.deeptb")
    assert read_hamiltonian(tmp_path / "x.deeptb").fermi is None


def test_fermi_energy_of_own_files(tmp_path):
    from safetensors import safe_open
    from safetensors.numpy import save_file

    hamiltonian = random_hamiltonian("NaCl", "Na:s,Cl:p")
    for fermi in (None, 0.0, -1.25):
        write_hamiltonian(replace(hamiltonian, fermi=fermi), tmp_path / "x.safetensors")
        assert read_hamiltonian(tmp_path / "x.safetensors").fermi == fermi
        assert read_reduced(tmp_path / "x.safetensors").fermi == fermi
    with safe_open(tmp_path / "x.safetensors", "np") as file:
        arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        card = json.loads(file.metadata()["card"])
    save_file(arrays, tmp_path / "y.safetensors", {"card": json.dumps(card | {"fermi": "abc"})})
    with pytest.raises(IrrepnetError, match=r"y\.safetensors: .*fermi is 'abc'"):
        read_hamiltonian(tmp_path / "y.safetensors")
    del card["fermi"]
    save_file(arrays, tmp_path / "y.safetensors", {"card": json.dumps(card)})
    assert read_hamiltonian(tmp_path / "y.safetensors").fermi is None


def with_level(path, level):
    """Put a Fermi energy (Ry) in its place in a file of SIESTA, where sisl always writes 0."""
    content = bytearray(path.read_bytes())
    # a record is its length, its content and its length again; that of an HSX holds the cell and three numbers,
    # that of a TSHS these three alone
    at, length = 0, 96 if path.suffix == ".HSX" else 24
    while (size := int.from_bytes(content[at : at + 4], "little")) != length or (
        path.suffix == ".TSHS" and content[at + 4 : at + 12] != bytes(8)
    ):
        at += size + 8
    place = at + 4 + length - 24
    assert content[place : place + 8] == bytes(8)
    content[place : place + 8] = np.float64(level).tobytes()
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("name", ["x.HSX", "x.TSHS"])
def test_fermi_energy_of_siesta(tmp_path, name):
    """Files of SIESTA have it, and then energies are relative to it; those that sisl writes have 0 in its place."""
    pytest.importorskip("sisl")
    hamiltonian = random_hamiltonian("NaCl", "Na:s,Cl:sp", overlap=True)
    write_hamiltonian(hamiltonian, tmp_path / name)
    found = read_hamiltonian(tmp_path / name)
    assert found.fermi is None
    assert np.allclose(found.eigenvalues(K), hamiltonian.eigenvalues(K), atol=1e-5)
    with_level(tmp_path / name, 0.25)
    shifted = read_hamiltonian(tmp_path / name)
    assert shifted.fermi == 0.0
    assert np.allclose(shifted.eigenvalues(K), hamiltonian.eigenvalues(K) - 0.25 * 13.605693, atol=1e-4)
    write_hamiltonian(replace(hamiltonian, fermi=1.5), tmp_path / name)
    assert np.allclose(read_hamiltonian(tmp_path / name).eigenvalues(K), hamiltonian.eigenvalues(K) - 1.5, atol=1e-5)
    orthogonal = replace(random_hamiltonian("NaCl", "Na:s,Cl:sp"), fermi=1.5)
    write_hamiltonian(orthogonal, tmp_path / name)
    assert np.allclose(read_hamiltonian(tmp_path / name).eigenvalues(K), orthogonal.eigenvalues(K) - 1.5, atol=1e-5)


def test_objects_of_sisl_and_pythtb_know_none():
    hamiltonian = replace(random_hamiltonian("NaCl", "Na:s,Cl:p"), fermi=1.5)
    for module, make, back in (("sisl", to_sisl, from_sisl), ("pythtb", to_pythtb, from_pythtb)):
        pytest.importorskip(module)
        assert back(make(hamiltonian)).fermi is None


def test_it_is_kept_or_none_on_the_way():
    hamiltonian = random_hamiltonian("NaCl", "Na:s,Cl:p", overlap=True)
    for fermi in (None, 1.5):
        own = replace(hamiltonian, fermi=fermi)
        assert orthogonalised(own, (2, 2, 2)).fermi == fermi
        assert own.in_convention("wannier90").fermi == fermi
        assert own.as_real().fermi == fermi


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_it_is_a_finite_number(value):
    with pytest.raises(IrrepnetError, match="Fermi energy"):
        Hamiltonian(np.zeros((1, 3), int), np.zeros((1, 1, 1)), fermi=value)
    with pytest.raises(IrrepnetError, match="here: key is"):
        energy(value, Path("here"), "key")


# -- damaged files


@given(st.data())
def test_a_damaged_file_is_read_or_refused_by_name(tmp_path_factory, data):
    """Bytes in the middle of any of the files are taken away, put in or changed: never a traceback."""
    folder = tmp_path_factory.mktemp("damaged")
    texts = {"po.win": WIN, "po_hr.dat": hr(), "wt.in": WT, "po_centres.xyz": "1\n\nX 0 0 0\n"}
    for name, text in texts.items():
        (folder / name).write_text(text)
    name = data.draw(st.sampled_from(sorted(texts)))
    start = data.draw(st.integers(0, len(texts[name])))
    stop = data.draw(st.integers(start, min(start + 30, len(texts[name]))))
    piece = data.draw(st.text("0123456789.-+deED*, \n:=!#begin", max_size=12) | st.text(max_size=4))
    (folder / name).write_text(texts[name][:start] + piece + texts[name][stop:], encoding="utf-8", newline="")
    structure = folder / "wt.in" if name == "wt.in" else None
    try:
        found = read_hamiltonian(folder / "po_hr.dat", structure)
    except IrrepnetError as error:
        assert "po_hr.dat" in str(error) or name in str(error)  # noqa: PT017
    else:
        assert found.fermi is None or np.isfinite(found.fermi)
