"""Files that something happened to: whatever it was, they are read, or refused with the name of the file."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians import Hamiltonian, read_hamiltonian, write_hamiltonian
from irrepnet.hamiltonians.formats.table import read_what_can_be
from irrepnet.hamiltonians.reports import check_hamiltonian

HR = """header
 2
 3
 2 1 2
 -1 0 0 1 1 0.1 0.0
 -1 0 0 2 1 0.2 0.1
 -1 0 0 1 2 0.3 0.0
 -1 0 0 2 2 0.4 0.0
 0 0 0 1 1 1.0 0.0
 0 0 0 2 1 0.0 0.0
 0 0 0 1 2 0.0 0.0
 0 0 0 2 2 2.0 0.0
 1 0 0 1 1 0.1 0.0
 1 0 0 2 1 0.3 0.0
 1 0 0 1 2 0.2 -0.1
 1 0 0 2 2 0.4 0.0
"""
WSVEC = "header\n" + "".join(f" {R} 0 0 {m} {n}\n 1\n 0 0 0\n" for R in (-1, 0, 1) for m in (1, 2) for n in (1, 2))
WIN = """num_wann = 2
fermi_energy = 0.5
begin unit_cell_cart
bohr
5.0 0.0 0.0
0.0 5.0 0.0
0.0 0.0 6.0
end unit_cell_cart
begin atoms_frac
Pb 0.0 0.0 0.0
end atoms_frac
begin projections
Pb : l=-1,mr=1,2:z=0,0,1:x=1,0,0:r=1:zona=1.0
end projections
"""
CENTRES = "2\ncentres\nX 0.5 0.0 0.0\nX -0.5 0.0 0.0\n"
WT = """&SYSTEM
E_FERMI = 0.5
/
LATTICE
Bohr
5.0 0.0 0.0
0.0 5.0 0.0
0.0 0.0 6.0
ATOM_POSITIONS
1
Direct
Pb 0.0 0.0 0.0
PROJECTORS
2
Pb s pz
"""
TEXTS = {"x_hr.dat": HR, "x_wsvec.dat": WSVEC, "x.win": WIN, "x_centres.xyz": CENTRES}
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
INSERTED = st.sampled_from(
    [
        "0",
        "-1",
        "1e400",
        "nan",
        "1d",
        "2*",
        "3*1",
        "x",
        "\x00",
        "é",
        ":",
        "=",
        "begin",
        "end x",
        "9" * 30,
        "\n",
        " ",
        "",
    ]
)


def put(folder: Path, texts: dict[str, str]) -> None:
    for path in folder.iterdir():
        path.unlink()
    for name, text in texts.items():
        (folder / name).write_text(text)


def is_bearable(call, folder: Path) -> None:
    """It works, or says what is wrong and where."""
    message = str(folder)
    try:
        call()
    except IrrepnetError as error:
        message = str(error)
    assert str(folder) in message


def check_all(folder: Path) -> None:
    path = folder / "x_hr.dat"
    is_bearable(lambda: read_hamiltonian(path), folder)
    is_bearable(lambda: check_hamiltonian(read_what_can_be(path)), folder)


def test_these_files_are_read(tmp_path):
    put(tmp_path, TEXTS)
    found = read_hamiltonian(tmp_path / "x_hr.dat")
    assert [name.split()[1] for name in found.basis.names] == ["sp-1", "sp-2"]
    assert found.fermi == 0.5


@QUICK
@given(st.sampled_from(list(TEXTS)), st.integers(0, 10**6), INSERTED, st.integers(0, 3))
def test_something_in_a_file_is_something_else(tmp_path, name, at, inserted, cut):
    text = TEXTS[name]
    at %= len(text)
    put(tmp_path, {**TEXTS, name: text[:at] + inserted + text[at + cut :]})
    check_all(tmp_path)


@QUICK
@given(st.sampled_from(list(TEXTS)), st.integers(0, 10**6))
def test_a_file_is_cut_short(tmp_path, name, at):
    put(tmp_path, {**TEXTS, name: TEXTS[name][: at % len(TEXTS[name])]})
    check_all(tmp_path)


@QUICK
@given(st.sampled_from(list(TEXTS)), st.data())
def test_lines_are_lost_doubled_or_moved(tmp_path, name, data):
    lines = TEXTS[name].splitlines(keepends=True)
    lines = data.draw(st.lists(st.sampled_from(lines), max_size=len(lines) + 2) | st.permutations(lines))
    put(tmp_path, {**TEXTS, name: "".join(lines)})
    check_all(tmp_path)


@QUICK
@given(st.integers(0, 10**6), INSERTED, st.integers(0, 3))
def test_an_input_of_wannier_tools(tmp_path, at, inserted, cut):
    at %= len(WT)
    put(tmp_path, {"x_hr.dat": HR, "wt.in": WT[:at] + inserted + WT[at + cut :]})
    is_bearable(lambda: read_hamiltonian(tmp_path / "x_hr.dat", tmp_path / "wt.in", "Pb:ss"), tmp_path)


@QUICK
@given(st.text(alphabet="spdfxyz0123456789-=,;:()[]ulmrcPbfza. ", max_size=40), st.booleans())
def test_any_projection(tmp_path, line, has_spin):
    text = WIN.replace("Pb : l=-1,mr=1,2:z=0,0,1:x=1,0,0:r=1:zona=1.0", f"Pb:s\n{line}")
    put(tmp_path, {"x_hr.dat": HR, "x.win": ("spinors = T\n" if has_spin else "") + text})
    check_all(tmp_path)


@pytest.mark.parametrize(
    ("count", "message"),
    [
        ("0", "line 3: 0 cells are listed for the element -1 0 0 1 1"),
        ("-1", "line 3: -1 cells are listed"),
        ("2", "line 7: 0 cells are listed for the element"),
        ("0.5", "whole"),
    ],
)
def test_wsvec_with_a_wrong_count(tmp_path, count, message):
    put(tmp_path, {**TEXTS, "x_wsvec.dat": WSVEC.replace(" 1\n 0 0 0\n", f" {count}\n 0 0 0\n", 1)})
    with pytest.raises(IrrepnetError, match=rf"x_wsvec\.dat: .*(?:{message})"):
        read_hamiltonian(tmp_path / "x_hr.dat")


def folders(folder: Path) -> list[Path]:
    """A file or folder of each kind that has HDF5 or binary parts."""
    pytest.importorskip("h5py")
    from tests.hamiltonians.made import random_hamiltonian

    given_ = random_hamiltonian("NaCl", "Na:s,Cl:p")
    names = ["x.deeph", "x.deeptb", "x.hdf5", "x.safetensors", "data-HR-sparse_SPIN0.csr"]
    for name in names:
        write_hamiltonian(given_, folder / name)
    return [folder / name for name in names]


def test_binary_files_that_something_happened_to(tmp_path):
    rng = np.random.default_rng(0)
    for path in folders(tmp_path):
        shells = "Na:s,Cl:p" if path.suffix == ".deeptb" else None
        parts = [path] if path.is_file() else sorted(path.iterdir())
        for part in parts:
            content = part.read_bytes()
            for _ in range(12):
                at, length = int(rng.integers(len(content))), int(rng.integers(1, 30))
                noise = rng.integers(0, 256, length, dtype=np.uint8).tobytes()
                changed = [content[:at], content[:at] + noise + content[at + length :], b""]
                part.write_bytes(changed[int(rng.integers(3))])
                is_bearable(lambda path=path, shells=shells: read_hamiltonian(path, None, shells), tmp_path)
            part.write_bytes(content)
        assert isinstance(read_hamiltonian(path, None, shells), Hamiltonian)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0 0 0 2 1 0.0 0.0", "0 0 0 2 1 0.0 x", "line 10: 'x' is no number"),
        (" 1 0 0 2 2 0.4 0.0\n", "", "on 15 lines, and its header announces more"),
        (" 2 1 2\n", " 2 0 2\n", "a cell has no degeneracy"),
        ("0 0 0 2 2 2.0", "0 0 0 2 3 2.0", "number beyond 1 to 2"),
        ("0 0 0 2 2 2.0", "0 0 0 2 1 2.0", "there twice"),
    ],
)
def test_a_hr_file_says_where(tmp_path, old, new, message):
    assert old in HR
    put(tmp_path, {"x_hr.dat": HR.replace(old, new)})
    with pytest.raises(IrrepnetError, match=rf"x_hr\.dat: cannot be read as a Wannier90 _hr\.dat file: .*{message}"):
        read_hamiltonian(tmp_path / "x_hr.dat")
