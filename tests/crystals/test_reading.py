"""What can be read, and that whatever cannot be used is refused with the file and the reason."""

import gzip
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import DummySpecies, Element, Lattice, Structure

from irrepnet.crystals import FileInMemory, SymmetricCrystal, atomic_number, read_cell, read_structures
from irrepnet.crystals.cell import lattice_from_parameters
from irrepnet.errors import IrrepnetError

ROCK_SALT = {
    "species": ["Na", "Cl"],
    "frac_coords": [[0, 0, 0], [0.5, 0.5, 0.5]],
    "lattice": [[0, 2.82, 2.82], [2.82, 0, 2.82], [2.82, 2.82, 0]],
}


def rock_salt() -> Structure:
    return Structure(ROCK_SALT["lattice"], ROCK_SALT["species"], ROCK_SALT["frac_coords"])


def same_crystal(cell, structure: Structure) -> bool:
    return (
        np.allclose(cell.lattice, structure.lattice.matrix)
        and np.allclose(cell.frac_coords, structure.frac_coords)
        and cell.numbers.tolist() == [site.specie.Z for site in structure]
    )


# --- formats


@pytest.mark.parametrize(
    ("name", "format"), [("a.cif", "cif"), ("POSCAR", "poscar"), ("a.vasp", "poscar"), ("a.json", "json")]
)
def test_formats_written_by_pymatgen(tmp_path, name, format):
    file = tmp_path / name
    file.write_text(rock_salt().to(fmt=format))
    crystal = SymmetricCrystal.from_structure(file)
    assert (crystal.formula, crystal.spacegroup_number, len(crystal)) == ("NaCl", 225, 2)


def test_extended_xyz_written_by_ase(tmp_path):
    ase_build, ase_io = pytest.importorskip("ase.build"), pytest.importorskip("ase.io")
    atoms = [ase_build.bulk("NaCl", "rocksalt", a=5.64), ase_build.bulk("Si", "diamond", a=5.43, cubic=True)]
    atoms[1].rattle(0.3)
    file = tmp_path / "two.extxyz"
    ase_io.write(file, atoms)
    for made, read in zip(atoms, read_structures(file), strict=True):
        assert np.allclose(read.lattice.matrix, made.cell.array)
        assert np.allclose(read.cart_coords, made.positions)
        assert [site.specie.symbol for site in read] == made.get_chemical_symbols()


def test_record_file_and_list_of_records(tmp_path):
    file = tmp_path / "a.json"
    file.write_text(json.dumps(ROCK_SALT))
    assert same_crystal(read_cell(file), rock_salt())
    file.write_text(json.dumps([ROCK_SALT, rock_salt().as_dict()]))
    assert len(read_structures(file)) == 2
    with pytest.raises(IrrepnetError, match="holds 2 crystals"):
        read_cell(file)


def test_structure_record_and_record_object_are_the_same_crystal():
    class Record:
        id = "mp-1"
        species = ("Na", "Cl")
        frac_coords = np.array(ROCK_SALT["frac_coords"])
        lattice = np.array(ROCK_SALT["lattice"])

    for source in (ROCK_SALT, rock_salt(), Record()):
        assert same_crystal(read_cell(source), rock_salt())


@settings(deadline=None)
@given(
    lengths=st.tuples(*[st.floats(1, 30)] * 3),
    angles=st.tuples(*[st.floats(5, 175)] * 3),
)
def test_cell_parameters(lengths, angles):
    """Oracle: the metric a·b = ab cos γ, and pymatgen."""
    try:
        matrix = lattice_from_parameters([*lengths, *angles])
    except IrrepnetError:
        cosines = np.cos(np.radians(angles))
        assert 1 - (cosines**2).sum() + 2 * cosines.prod() < 1e-12
        return
    assert np.allclose(Lattice(matrix).parameters, [*lengths, *angles], rtol=1e-5, atol=1e-4)
    assert np.allclose(matrix, Lattice.from_parameters(*lengths, *angles).matrix, atol=1e-6)
    assert np.linalg.det(matrix) > 0


def test_left_handed_lattice_keeps_every_position():
    structure = Structure(np.array(ROCK_SALT["lattice"])[[1, 0, 2]], ["Na", "Cl"], [[0.1, 0.2, 0.3], [0.6, 0.7, 0.8]])
    cell = read_cell(structure)
    assert np.linalg.det(structure.lattice.matrix) * np.linalg.det(cell.lattice) < 0 < np.linalg.det(cell.lattice)
    assert np.allclose(cell.frac_coords @ cell.lattice, structure.cart_coords)


def test_every_element_symbol():
    for element in Element:
        assert atomic_number(element.symbol) == element.Z


@pytest.mark.parametrize(("symbol", "number"), [("Fe3+", 26), ("O2-", 8), ("Fe2.5+", 26), ("D", 1), ("T", 1)])
def test_decorations_are_stripped(symbol, number):
    assert atomic_number(symbol) == number


def test_oxidation_states_of_a_structure_are_stripped():
    structure = rock_salt()
    structure.add_oxidation_state_by_element({"Na": 1, "Cl": -1})
    assert same_crystal(read_cell(structure), rock_salt())


# --- refusals


def changed(**fields):
    return ROCK_SALT | fields


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"id": "mp-7", "species": ["Na"]}, "mp-7: no frac_coords, lattice .or cell. among its keys"),
        (changed(species=["Na"]), "1 species but frac_coords of shape"),
        (changed(species=[], frac_coords=[]), "no atoms"),
        (changed(species=["Na", "Xx"]), "unknown element 'Xx'"),
        (changed(species=["Na", "X"]), "unknown element 'X'"),
        (changed(species=["Na", 17]), "unknown element 17"),
        (changed(species=["Na", ["Cl"]]), "record"),
        (changed(frac_coords=[[0, 0, 0], [0.5, 0.5, math.nan]]), "site 2 are not finite"),
        (changed(frac_coords=[[0, 0, 0], [0.5, 0.5]]), "no numbers"),
        (changed(frac_coords="abc"), "no numbers"),
        (changed(frac_coords=[[0, 0, 0], [0, 0, 10**400]]), "no numbers"),
        (changed(lattice=[[1, 0, 0], [0, 1, 0]]), r"shape \(2, 3\)"),
        (changed(lattice=[[4, 0, 0], [0, math.inf, 0], [0, 0, 4]]), "lattice has non-finite"),
        (changed(lattice=[[4, 0, 0], [0, 4, 0], [4, 4, 0]]), "singular"),
        (changed(lattice=np.zeros((3, 3))), "singular"),
        (changed(lattice=None, cell=[4, 4, 4, 90, 90]), "cell is"),
        (changed(lattice=None, cell=[4, 4, 4, 60, 60, 150]), "no cell has the angles"),
        (changed(lattice=None, cell=[4, 4, -4, 90, 90, 90]), "six positive numbers"),
        (changed(frac_coords=[[0, 0, 0], [0.5, 0.5, 1e300]]), "site 2 are not finite or beyond"),
        (changed(lattice=[[1.3, 0, 0], [0, 900, 0], [0, 0, 300]]), "900 Å long"),
        (changed(lattice=np.eye(3) * 0.4), "overlaps its own image 0.4 Å away"),
        (changed(frac_coords=[[0, 0, 0], [0.05, 0, 0]]), r"sites 1 \(Na\) and 2 \(Cl\) overlap"),
        (changed(frac_coords=[[0, 0, 0], [0, 0, 0]]), "0 Å apart"),
        (changed(frac_coords=[[0, 0, 0], [3.95, -2, 1]]), "overlap"),
    ],
)
def test_bad_records(record, reason):
    with pytest.raises(IrrepnetError, match=reason):
        SymmetricCrystal.from_structure(record)


@pytest.mark.parametrize("source", [None, 3, [1, 2]])
def test_not_a_crystal(source):
    with pytest.raises(IrrepnetError, match="a crystal is"):
        read_cell(source)


@pytest.mark.parametrize(
    ("species", "reason"),
    [
        ([{"Na": 0.5, "K": 0.5}, "Cl"], "site 1 is disordered"),
        ([{"Na": 0.9}, "Cl"], "site 1 is disordered"),
        (["Na", DummySpecies("X")], "site 2 holds the dummy species"),
    ],
)
def test_disorder_and_dummies(species, reason):
    structure = Structure(ROCK_SALT["lattice"], species, ROCK_SALT["frac_coords"])
    with pytest.raises(IrrepnetError, match=reason):
        read_cell(structure)


CIF = """data_a
_cell_length_a 5.64
_cell_length_b 5.64
_cell_length_c 5.64
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_name_H-M_alt 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
"""
XYZ = '2\nLattice="4 0 0 0 4 0 0 0 4"{} Properties=species:S:1:pos:R:3\nCs 0 0 0\nCl 2 2 2\n'


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.cif", "", "empty"),
        ("a.cif", "hello", "cannot be read as CIF"),
        ("a.cif", CIF, "no atoms"),
        ("a.cif", CIF + "Na1 Na 0 0 0 0.5\n", "disordered"),
        ("a.cif", CIF + "Na1 Na 0 0 0 1\nNa2 Na 0.01 0 0 1\n", "overlap"),
        ("a.cif", CIF.replace("_cell_length_a 5.64\n", "") + "Na1 Na 0 0 0 1\n", "block a: the cell lacks a"),
        ("a.cif", CIF + "Na1 Na ? 0 0 1\n", "block a: site Na1: _atom_site_fract_x is unknown"),
        (
            "POSCAR",
            "NaCl\n1.0\n4 0 0\n0 4 0\n0 0 4\n1 1\ndirect\n0 0 0\n.5 .5 .5\n",
            "cannot be read as POSCAR",
        ),
        ("POSCAR", "NaCl\n1.0\n4 0 0\n", "cannot be read as POSCAR"),
        ("a.xyz", "2\nwater\nCs 0 0 0\nCl 2 2 2\n", "Lattice"),
        ("a.xyz", XYZ.format(' pbc="T T F"'), "periodic in all three"),
        ("a.xyz", XYZ.format("").replace("Cl 2 2 2\n", ""), "ends after 1 of 2 atoms"),
        ("a.xyz", XYZ.format("").replace("Cl 2 2 2", "Cl 2 2"), "cannot be read as extended XYZ"),
        ("a.xyz", XYZ.format("").replace("Cl 2 2 2", "Cl 2 2 nan"), "not finite"),
        ("a.xyz", XYZ.format("").replace("Cl 2 2 2", "X 2 2 2"), "a.xyz"),
        ("a.xyz", XYZ.format("").replace("pos", "force"), "no pos"),
        ("a.json", "{", "cannot be read as JSON"),
        ("a.json", "{}", "no species"),
        ("a.json", "[]", "holds no crystal"),
        ("a.json", "3", "a record is a mapping"),
        ("a.txt", "hello", "unknown format"),
    ],
)
def test_bad_files_are_refused_with_their_name(tmp_path, name, text, reason):
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(IrrepnetError, match=reason) as refusal:
        SymmetricCrystal.from_structure(file)
    assert str(refusal.value).startswith(str(file))


def test_missing_file_and_binary_file(tmp_path):
    with pytest.raises(IrrepnetError, match="no such file"):
        read_structures(tmp_path / "a.cif")
    with pytest.raises(IrrepnetError, match="no such file"):
        read_structures(tmp_path)
    (tmp_path / "a.cif").write_bytes(bytes(range(128, 256)))
    with pytest.raises(IrrepnetError, match="cannot be read as CIF"):
        read_structures(tmp_path / "a.cif")


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(tmp_path_factory, text):
    folder = tmp_path_factory.getbasetemp()
    for name in ("any.cif", "any.xyz", "any.json", "any.vasp"):
        file = folder / name
        file.write_text(text, encoding="utf-8")
        try:
            SymmetricCrystal.from_structure(file)
        except IrrepnetError as refusal:
            if name not in str(refusal):
                pytest.fail(f"{name} is not named: {refusal}")


@settings(deadline=None)
@given(
    st.lists(st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=3), min_size=3, max_size=3),
    st.lists(st.lists(st.floats(allow_infinity=True), min_size=3, max_size=3), min_size=1, max_size=4),
)
def test_any_numbers_are_a_crystal_or_refused(lattice, frac_coords):
    record = {"species": ["Si"] * len(frac_coords), "frac_coords": frac_coords, "lattice": lattice}
    try:
        crystal = SymmetricCrystal.from_structure(record)
    except IrrepnetError:
        return
    assert np.isfinite(crystal.lattice).all()
    assert np.isfinite(crystal.frac_coords).all()


def test_a_lattice_beyond_reduction_is_refused():
    """Found by the property test above: a vector of 4e-271 Å."""
    lattice = [[0.0, 0.0, 0.5], [0.0, 1.0, 1.0], [4.2e-271, 0.0, 0.0]]
    with pytest.raises(IrrepnetError, match="lattice"):
        read_cell({"species": ["Cu"], "frac_coords": [[0, 0, 0]], "lattice": lattice})


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_in_memory_is_read_as_one_on_disk(examples, packed):
    content = examples["SrTiO3"].read_bytes()
    file = FileInMemory("x/SrTiO3.cif.gz", gzip.compress(content)) if packed else FileInMemory("a.cif", content)
    cell, known = read_cell(file), read_cell(examples["SrTiO3"])
    assert np.array_equal(cell.frac_coords, known.frac_coords)
    assert (cell.numbers.tolist(), cell.name) == (known.numbers.tolist(), file.name)
    with pytest.raises(IrrepnetError, match=r"^b\.cif: the file is empty"):
        read_cell(FileInMemory("b.cif", b""))
    with pytest.raises(IrrepnetError, match=r"^/etc/passwd: unknown format"):
        read_cell(FileInMemory("/etc/passwd", b""))
