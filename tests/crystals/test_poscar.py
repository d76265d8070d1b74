"""POSCARs with every kind of scale. Oracle: what VASP's manual says, by hand; ASE where it reads the file."""

import io

import ase.io
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irrepnet.crystals import SymmetricCrystal, read_cell
from irrepnet.errors import IrrepnetError

HEAD = "CsCl\n{scale}\n{rows}\nCs Cl\n1 1\n{kind}\n{atoms}\n"


def poscar(scale="1.0", rows="4.12 0 0\n0 4.12 0\n0 0 4.12", kind="Direct", atoms="0 0 0\n.5 .5 .5") -> str:
    return HEAD.format(scale=scale, rows=rows, kind=kind, atoms=atoms)


def read(tmp_path, text: str):
    (tmp_path / "POSCAR").write_text(text)
    return read_cell(tmp_path / "POSCAR")


UNIT = "1 0 0\n0 1 0\n0 0 1"
LEFT = "0 1 0\n1 0 0\n0 0 1"
HALF = "0 0 0\n2.06 2.06 2.06"


@pytest.mark.parametrize(
    "text",
    [
        poscar(),
        poscar("4.12", UNIT),
        poscar("4.12", UNIT, "Cartesian", "0 0 0\n.5 .5 .5"),
        poscar("-69.934528", UNIT),
        poscar("-69.934528", UNIT, "Cartesian", "0 0 0\n.5 .5 .5"),
        poscar("-69.934528", UNIT, "Kartesisch", "0 0 0\n.5 .5 .5"),
        poscar("-69.934528", LEFT, "Cartesian", "0 0 0\n.5 .5 .5"),
        poscar("-69.934528", "2 0 0\n0 2 0\n0 0 2", "cart", "0 0 0\n1 1 1"),
        poscar("4.12 2.06 1.03", "1 0 0\n0 2 0\n0 0 4"),
        poscar("4.12 2.06 1.03", "1 0 0\n0 2 0\n0 0 4", "C", "0 0 0\n.5 1 2"),
        poscar("1.0   ! Å", kind="Selective dynamics\nDirect", atoms="0 0 0 T T T\n.5 .5 .5 T T F"),
        poscar("0.412D+01", UNIT, atoms="0.0d0 0 0\n5.0d-1 .5 .5"),
        poscar(kind="Cartesian", atoms=HALF),
        poscar().replace("Cs Cl", "Cs_sv/6d2f Cl_h"),
        poscar().replace("1 1\n", "1 1 ! counts\n"),
        poscar().replace("CsCl\n", "Cs Cl\n", 1).replace("Cs Cl\n1 1", "1 1"),
    ],
)
def test_caesium_chloride_in_every_scale(tmp_path, text):
    crystal = SymmetricCrystal.from_structure(read(tmp_path, text))
    assert (crystal.formula, crystal.spacegroup_symbol, len(crystal)) == ("CsCl", "Pm-3m", 2)
    assert abs(np.linalg.det(crystal.lattice)) == pytest.approx(4.12**3)


@settings(deadline=None)
@given(
    rows=st.lists(st.lists(st.floats(-5, 5), min_size=3, max_size=3), min_size=3, max_size=3),
    scales=st.lists(st.floats(0.2, 3), min_size=3, max_size=3),
    how=st.sampled_from(["one", "volume", "three"]),
    cartesian=st.booleans(),
)
def test_any_lattice_and_scale(tmp_path_factory, rows, scales, how, cartesian):
    lattice = np.array(rows)
    volume = abs(np.linalg.det(lattice))
    if volume < 20:
        return
    factor = {"one": scales[0], "volume": (200 / volume) ** (1 / 3), "three": np.array(scales)}[how]
    scale = {"one": f"{scales[0]!r}", "volume": "-200.0", "three": " ".join(map(repr, scales))}[how]
    points = np.array([[0.1, 0.2, 0.3], [0.6, 0.7, 0.9]])
    written = points @ lattice if cartesian else points
    text = poscar(
        scale,
        "\n".join(" ".join(map(repr, row)) for row in lattice.tolist()),
        "Cartesian" if cartesian else "Direct",
        "\n".join(" ".join(map(repr, row)) for row in written.tolist()),
    )
    try:
        cell = read(tmp_path_factory.getbasetemp(), text)
    except IrrepnetError as error:
        if "overlap" not in str(error):
            raise
        return
    sign = np.sign(np.linalg.det(lattice))
    assert np.allclose(cell.lattice, sign * lattice * factor)
    assert np.allclose(cell.frac_coords @ cell.lattice, points @ lattice * factor)
    if how != "volume" or sign > 0:
        atoms = ase.io.read(io.StringIO(text), format="vasp")
        assert np.allclose(atoms.positions, cell.frac_coords @ cell.lattice)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (poscar("zero"), "its scale is 'zero'"),
        (poscar("0"), "its scale is '0'"),
        (poscar("1 1 -1"), "its scale is '1 1 -1'"),
        (poscar("nan"), "its scale is 'nan'"),
        (poscar().replace("Cs Cl\n1 1", "1 1"), "Elements in POSCAR cannot be determined"),
        (poscar(atoms="0 0 0"), "cannot be read as POSCAR"),
        ("CsCl\n1\n4 0 0\n", "it ends after 3 lines"),
    ],
)
def test_bad_files(tmp_path, text, reason):
    with pytest.raises(IrrepnetError, match=reason):
        read(tmp_path, text)


def test_elements_in_the_first_line_are_noted(tmp_path):
    cell = read(tmp_path, poscar().replace("CsCl\n", "Cs Cl\n", 1).replace("Cs Cl\n1 1", "1 1"))
    assert any("first line, Cs Cl" in note for note in cell.notes)
