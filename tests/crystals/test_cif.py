"""CIFs as databases and programs write them: the crystal that the file means, or a refusal that says why."""

import gzip

import numpy as np
import pytest

from irrepnet.crystals import SymmetricCrystal, cells_in, read_cell
from irrepnet.errors import IrrepnetError

CUBE = (4.12, 4.12, 4.12, 90, 90, 90)


def cif(atoms: str, cell=CUBE, head: str = "", columns: str = "label fract_x fract_y fract_z", name: str = "x") -> str:
    keys = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    lines = [f"data_{name}", *(f"_cell_{key} {value}" for key, value in zip(keys, cell)), head, "loop_"]
    return "\n".join([*lines, *(f"_atom_site_{column}" for column in columns.split()), atoms, ""])


def typed(atoms: str, cell=CUBE, head: str = "", name: str = "x") -> str:
    return cif(atoms, cell, head, "label type_symbol fract_x fract_y fract_z occupancy", name)


def read(tmp_path, text: str):
    file = tmp_path / "x.cif"
    file.write_text(text)
    return read_cell(file)


def formula(cell) -> str:
    from pymatgen.core import Composition, Element

    symbols = [Element.from_Z(int(number)).symbol for number in cell.numbers]
    return Composition({symbol: symbols.count(symbol) for symbol in symbols}).formula


CS_CL = "Cs1 Cs 0 0 0 1\nCl1 Cl .5 .5 .5 1"
P1 = "loop_\n_symmetry_equiv_pos_as_xyz\n'x, y, z'"
ANATASE = (3.7845, 3.7845, 9.5143, 90, 90, 90)
SPINEL = (8.08, 8.08, 8.08, 90, 90, 90)


# --- which setting


@pytest.mark.parametrize(
    ("head", "choice"),
    [
        ("_symmetry_space_group_name_H-M 'I 41/a m d'\n_chemical_formula_sum 'O2 Ti'\n_cell_formula_units_Z 4", 2),
        ("_symmetry_Int_Tables_number 141\n_chemical_formula_sum 'O2 Ti'\n_cell_formula_units_Z 4", 2),
        ("_symmetry_Int_Tables_number 141\n_exptl_crystal_density_diffrn 3.89", 2),
        ("_symmetry_Int_Tables_number 141\n_space_group_IT_coordinate_system_code 2", 2),
        ("_space_group.name_H-M_alt 'I 41/a m d'\n_space_group.IT_coordinate_system_code '2'", 2),
        ("_symmetry_space_group_name_H-M 'I 41/a m d Z'", 2),
        ("_symmetry_space_group_name_H-M 'I 41/amd (origin choice 2)'", 2),
        ("_symmetry_space_group_name_H-M 'I 41/a 2/m 2/d :2'", 2),
        ("_symmetry_space_group_name_Hall '-I 4bd 2'", 2),
        ("_SYMMETRY_SPACE_GROUP_NAME_H-M 'I 41/A M D:2'", 2),
    ],
)
def test_origin_choice(tmp_path, head, choice):
    cell = read(tmp_path, cif("Ti1 0 0.75 0.125\nO1 0 0.75 0.3331", ANATASE, head))
    crystal = SymmetricCrystal.from_structure(cell)
    assert (len(cell.numbers), len(crystal), crystal.spacegroup_number) == (12, 6, 141)


def test_origin_choice_by_the_formula_and_by_the_multiplicities(tmp_path):
    """Spinel in origin choice 2; in the other it would be Mg2AlO4, with as many atoms on other sites."""
    head = "_symmetry_space_group_name_H-M 'F d -3 m'\n_chemical_formula_sum 'Al2 Mg O4'"
    atoms = "Mg1 .125 .125 .125\nAl1 .5 .5 .5\nO1 .2624 .2624 .2624"
    assert formula(read(tmp_path, cif(atoms, SPINEL, head))) == "Mg8 Al16 O32"
    counted = "Mg1 .125 .125 .125 8\nAl1 .5 .5 .5 16\nO1 .2624 .2624 .2624 32"
    columns = "label fract_x fract_y fract_z symmetry_multiplicity"
    head = "_symmetry_Int_Tables_number 227"
    assert formula(read(tmp_path, cif(counted, SPINEL, head, columns))) == "Mg8 Al16 O32"


@pytest.mark.parametrize(
    "named",
    [
        "_symmetry_space_group_name_H-M 'F d -3 m'",
        "_symmetry_Int_Tables_number 227",
        "_symmetry_space_group_name_H-M 'F d 3 m'\n_symmetry_Int_Tables_number 227",
    ],
)
def test_an_origin_that_nothing_tells_is_refused(tmp_path, named):
    with pytest.raises(IrrepnetError, match=r"block x: .*F d -3 m:[12] or F d -3 m:[12], which are different crystals"):
        read(tmp_path, cif("Mg1 .1 .2 .35", (25, 25, 25, 90, 90, 90), named))


def test_axes_of_a_rhombohedral_group_are_those_of_the_cell(tmp_path):
    for named in ("_symmetry_space_group_name_H-M 'R -3 m'", "_symmetry_Int_Tables_number 166"):
        hexagonal = read(tmp_path, cif("Bi1 0 0 .2339", (4.546, 4.546, 11.862, 90, 90, 120), named))
        rhombohedral = read(tmp_path, cif("Bi1 .2339 .2339 .2339", (4.746, 4.746, 4.746, 57.23, 57.23, 57.23), named))
        for cell, atoms in ((hexagonal, 6), (rhombohedral, 2)):
            assert len(cell.numbers) == atoms
            assert len(SymmetricCrystal.from_structure(cell)) == 2


def test_the_monoclinic_axis_is_that_of_the_cell(tmp_path):
    for angles, name in ((("90", "99.2", "90"), "P 1 21/n 1"), (("90", "90", "99.2"), "P 1 1 21/n")):
        head = "_symmetry_space_group_name_H-M 'P 21/n'"
        cell = read(tmp_path, cif("Zr1 .2754 .0395 .2083", (5.15, 5.21, 5.32, *angles), head))
        assert len(cell.numbers) == 4
        by_name = cif("Zr1 .2754 .0395 .2083", (5.15, 5.21, 5.32, *angles), head.replace("P 21/n", name))
        assert np.allclose(read(tmp_path, by_name).frac_coords, cell.frac_coords)


def test_a_number_alone_is_the_standard_setting_and_says_so(tmp_path):
    cell = read(tmp_path, cif("Na1 0 0 0\nCl1 .5 .5 .5", (5.64, 5.64, 5.64, 90, 90, 90), "_space_group_IT_number 225"))
    assert formula(cell) == "Na4 Cl4"
    assert any("F m -3 m" in note and "number" in note for note in cell.notes)


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        ("_symmetry_space_group_name_H-M 'Q 3 x'", "block x: the space group 'Q 3 x' is not known"),
        ("_symmetry_space_group_name_H-M 'P n m a'", "overlap|symmetry of P n m a|different"),
        ("_symmetry_space_group_name_H-M 'P 6/m m m'", "the cell does not have the symmetry of P 6/m m m"),
        ("loop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\n-x,-y", "block x: the symmetry operation '-x,-y' cannot be read"),
        ("loop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\n2*x,y,z", "not one of a crystal"),
    ],
)
def test_symmetry_that_cannot_be_used_is_refused(tmp_path, head, reason):
    with pytest.raises(IrrepnetError, match=reason):
        read(tmp_path, cif("Na1 0 0 0\nCl1 .01 .02 .03", CUBE, head))


def test_operations_count_and_what_is_said_against_them_is_noted(tmp_path):
    head = f"{P1}\n_symmetry_space_group_name_H-M 'F m -3 m'\n_symmetry_Int_Tables_number 225"
    cell = read(tmp_path, typed(CS_CL, head=head))
    assert formula(cell) == "Cs1 Cl1"
    assert any("F m -3 m" in note and "P 1 (1)" in note for note in cell.notes)
    right = head + "\n_chemical_formula_sum 'Cs Cl'\n_cell_formula_units_Z 4"
    cell = read(tmp_path, typed(CS_CL, head=right.replace("F m -3 m", "F m -3 m"), cell=(8.0, 8.0, 8.0, 90, 90, 90)))
    assert formula(cell) == "Cs4 Cl4"  # here formula and Z say that the operations are what is wrong
    assert any("the crystal was read by F m -3 m" in note or "only F m -3 m fits" in note for note in cell.notes)


def test_operations_without_the_centring_are_completed(tmp_path):
    head = "loop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\n-x,-y,z\n-x,y,-z\nx+1/2,y+1/2,z+1/2\n_cell_formula_units_Z 8"
    cell = read(tmp_path, cif("Si1 .1 .2 .3", (9, 10, 11, 90, 90, 90), head + "\n_chemical_formula_sum Si"))
    assert len(cell.numbers) == 8
    assert any("4 symmetry operations are listed, which make a group of 8" in note for note in cell.notes)


def test_an_operation_of_no_denominator_of_the_tables(tmp_path):
    head = "loop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\nx+1/5,y,z\nx+2/5,y,z\nx+3/5,y,z\nx+4/5,y,z"
    assert len(read(tmp_path, cif("Si1 .1 .2 .3", (20, 4, 4, 90, 90, 90), head)).numbers) == 5


# --- which elements


@pytest.mark.parametrize(
    ("label", "formula_sum", "element"),
    [
        ("OH1", "", "O"), ("OH", "", "O"), ("Oh2", "", "O"), ("H2O", "", "O"), ("Wat1", "", "O"), ("OW1", "", "O"),
        ("Ow", "", "O"), ("W1", "Mg O", "O"), ("W1", "", "W"), ("O(1)", "", "O"), ("O1W", "", "O"), ("Fe1A", "", "Fe"),
        ("CA1", "Ca", "Ca"), ("CA1", "C", "C"), ("Ca1", "", "Ca"), ("HO1", "Ho", "Ho"), ("D1", "", "H"),
        ("CL3", "C Cl", "Cl"), ("Nb", "N H4", "N"), ("SI1", "O2 Si", "Si"), ("Si-1", "", "Si"),
    ],
)  # fmt: skip
def test_element_of_a_label(tmp_path, label, formula_sum, element):
    from irrepnet.crystals.elements import element_of_label

    known = [part.rstrip("0123456789") for part in formula_sum.split()]
    assert element_of_label(label, known).replace("D", "H") == element
    text = cif(f"{label} 0 0 0", head=P1)
    if not formula_sum:
        assert formula(read(tmp_path, text)) == f"{element}1"


def test_numbered_hydrogens(tmp_path):
    cell = read(tmp_path, cif("O1 0 0 0\nH1O 0.2 0 0\nH2O 0 0.2 0", head=P1))
    assert formula(cell) == "H2 O1"


@pytest.mark.parametrize(
    ("symbol", "element"),
    [
        ("Fe3+", "Fe"), ("Fe+3", "Fe"), ("FE", "Fe"), ("fe", "Fe"), ("O2-", "O"), ("O-2", "O"), ("Cl-1", "Cl"),
        ("Cu0+", "Cu"), ("Fe2.5+", "Fe"), ("OH", "O"), ("H2O", "O"), ("NH4", "N"), ("NH3", "N"), ("OH1-", "O"),
        ("D", "H"), ("Wat", "O"), ("?", "Ga"), (".", "Ga"), ("'?'", "Ga"),
    ],
)  # fmt: skip
def test_element_of_a_type_symbol(tmp_path, symbol, element):
    assert formula(read(tmp_path, typed(f"Ga1 {symbol} 0 0 0 1", head=P1))) == f"{element}1"


@pytest.mark.parametrize(
    ("atom", "reason"),
    [
        ("M1 0 0 0", "site M1: the label 'M1' names no element"),
        ("NA1 0 0 0", "site NA1: the label 'NA1' may be Na or N"),
        ("1 0 0 0", "site 1: the label '1' names no element"),
    ],
)
def test_a_label_without_an_element_is_refused(tmp_path, atom, reason):
    with pytest.raises(IrrepnetError, match=reason):
        read(tmp_path, cif(atom, head=P1))


@pytest.mark.parametrize("symbol", ["X", "Vac", "M", "Xx3+", "Si0.5Al0.5", "0.75Si+0.25Al", "Fe/Mn"])
def test_a_type_symbol_without_an_element_is_refused(tmp_path, symbol):
    with pytest.raises(IrrepnetError, match=r"block x: site Ga1: (the type symbol|is disordered)"):
        read(tmp_path, typed(f"Ga1 {symbol} 0 0 0 1", head=P1))


# --- shared and partly filled sites


@pytest.mark.parametrize(
    "atoms",
    [
        "Fe1 Fe2+ 0 0 0 0.5\nFe2 Fe3+ 0 0 0 0.5\nO1 O2- .5 .5 .5 1",
        "Fe1 Fe2+ 0 0 0 0.3333\nFe2 Fe3+ 0 0 0 0.6667\nO1 O2- .5 .5 .5 1",
        "Fe1 Fe2+ 0 0 0 0.25\nO1 O2- .5 .5 .5 1\nFe2 Fe3+ 1 0 0 0.25\nFe3 Fe 0 0 0 0.5",
        "Fe1 Fe2+ 0 0 0 1.000(2)\nO1 O2- .5 .5 .5 .",
        "Fe1 Fe2+ 0 0 0 0.9995\nO1 O2- .5 .5 .5 ?",
        "Fe1 Fe2+ 0 0 0 1.0008\nO1 O2- .5 .5 .5 1",
    ],
)
def test_charges_of_one_element_fill_a_site(tmp_path, atoms):
    assert formula(read(tmp_path, typed(atoms, head=P1))) == "Fe1 O1"


def test_deuterium_beside_hydrogen(tmp_path):
    head = f"{P1}\n_chemical_formula_sum 'D0.9 H0.1 Li'"
    assert formula(read(tmp_path, typed("Li1 Li 0 0 0 1\nD1 D .5 .5 .5 .9\nH1 H .5 .5 .5 .1", head=head))) == "Li1 H1"


@pytest.mark.parametrize(
    ("atoms", "reason"),
    [
        ("Fe1 Fe 0 0 0 0.5\nMn1 Mn 0 0 0 0.5", r"site Fe1 and Mn1 is disordered \(Fe 0.5, Mn 0.5\)"),
        ("Fe1 Fe 0 0 0 0.998\nO1 O .5 .5 .5 1", r"site Fe1 is disordered \(Fe 0.998\)"),
        ("Fe1 Fe2+ 0 0 0 0.5\nFe2 Fe3+ 0 0 0 0.4", r"site Fe1 and Fe2 is disordered \(Fe 0.9\)"),
        ("Fe1 Fe 0 0 0 1\nMn1 Mn 0 0 0 1", "sites Fe1 and Mn1 are one site with the elements Fe, Mn"),
        ("Fe1 Fe 0 0 0 1.5", "site Fe1 is disordered"),
    ],
)
def test_a_site_that_no_element_fills_alone_is_refused(tmp_path, atoms, reason):
    with pytest.raises(IrrepnetError, match=f"x.cif: block x: {reason}"):
        read(tmp_path, typed(atoms, head=P1))


def test_rounded_special_positions(tmp_path):
    head = "_symmetry_space_group_name_H-M 'P 63/m m c'"
    for third, two_thirds in (
        ("0.3333", "0.6667"),
        ("0.333", "0.667"),
        ("0.33", "0.67"),
        ("1/3", "2/3"),
        (".333", ".666"),
    ):
        cell = read(tmp_path, cif(f"Mg1 {third} {two_thirds} 0.25", (3.21, 3.21, 5.21, 90, 90, 120), head))
        crystal = SymmetricCrystal.from_structure(cell)
        assert (len(cell.numbers), crystal.spacegroup_number) == (2, 194)


def test_a_position_far_off_is_put_right_only_if_the_formula_says_so(tmp_path):
    head = "_symmetry_space_group_name_H-M 'P m -3 m'"
    atoms = "Cs1 0 0 0.0271(3)\nCl1 .5 .5 .5"
    with pytest.raises(IrrepnetError, match="overlap"):
        read(tmp_path, cif(atoms, head=head))
    cell = read(tmp_path, cif(atoms, head=f"{head}\n_chemical_formula_sum 'Cs Cl'\n_cell_formula_units_Z 1"))
    assert formula(cell) == "Cs1 Cl1"
    assert any("Cs1 was put on its special position" in note for note in cell.notes)


def test_atoms_that_are_listed_beside_their_images(tmp_path):
    head = "_symmetry_space_group_name_H-M 'I m -3 m'"
    cell = read(tmp_path, cif("W1 0 0 0\nW2 .5 .5 .5", head=head))
    assert formula(cell) == "W2"
    assert any("W2: the same atoms as W1" in note for note in cell.notes)


# --- what the file says of itself


@pytest.mark.parametrize(
    ("head", "note"),
    [
        ("_chemical_formula_sum 'Cs Cl H2'\n_cell_formula_units_Z 1", "hydrogen is missing: the formula is 'Cs Cl H2'"),
        ("_chemical_formula_sum 'Cs Cl D2'", "hydrogen is missing"),
        (
            "_chemical_formula_sum 'Cs Cl'\n_cell_formula_units_Z 2",
            "Z is 2 in the file, the cell holds 1 formula units",
        ),
        ("_chemical_formula_sum 'Cs0.99 Cl'", "the formula is 'Cs0.99 Cl', the atoms of the cell are Cl1 Cs1"),
        ("_chemical_formula_sum 'see text'", "the formula 'see text' cannot be read"),
        ("_exptl_crystal_density_diffrn 8.0", "the density is 8 g/cm³ in the file"),
        ("_cell_volume 80.1", "_cell_volume is 80.1"),
        ("_chemical_formula_structural 'Cs Cl (H2 O)'", "the formula is 'Cs Cl (H2 O)'"),
        ("_chemical_formula_moiety 'Cs Cl H2'", "hydrogen is missing"),
        ("_symmetry_Int_Tables_number 62", "the number of the space group is 62 in the file"),
        ("_symmetry_space_group_name_Hall 'nonsense'", "'nonsense' is no Hall symbol"),
        ("_symmetry_Int_Tables_number 300", "the number 300, they go from 1 to 230"),
    ],
)
def test_a_contradiction_is_noted(tmp_path, head, note):
    cell = read(tmp_path, typed(CS_CL, head=f"{P1}\n{head}"))
    assert formula(cell) == "Cs1 Cl1"
    assert any(note in found for found in cell.notes), cell.notes
    assert SymmetricCrystal.from_structure(cell).notes == cell.notes


@pytest.mark.parametrize(
    "head",
    [
        "_chemical_formula_sum 'Cs Cl'\n_cell_formula_units_Z 1",
        "_chemical_formula_sum CsCl\n_cell_formula_units_Z ?",
        "_chemical_formula_sum 'Cl1 Cs1'\n_exptl_crystal_density_diffrn 3.997\n_cell_volume 69.93(1)",
        "_chemical_formula_sum 'Cl0.5 Cs0.5'\n_cell_formula_units_Z 2",
        "_symmetry_space_group_name_H-M 'P 1'\n_symmetry_Int_Tables_number 1\n_symmetry_space_group_name_Hall 'P 1'",
    ],
)
def test_what_agrees_is_not_noted(tmp_path, head):
    assert read(tmp_path, typed(CS_CL, head=f"{P1}\n{head}")).notes == ()


def test_a_whole_cell_for_the_formula_as_pymatgen_writes_it(tmp_path):
    from pymatgen.core import Structure

    structure = Structure.from_spacegroup("Fm-3m", np.eye(3) * 5.64, ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert read(tmp_path, structure.to(fmt="cif")).notes == ()


@pytest.mark.parametrize("text", ["Cs Br", "Cs2 Cl", "Cs Cl O3", "Cs", "Cl4 H8 Zr"])
def test_another_formula_is_refused(tmp_path, text):
    with pytest.raises(IrrepnetError, match=f"block x: the formula is '{text}', the atoms of the cell are Cl1 Cs1"):
        read(tmp_path, typed(CS_CL, head=f"{P1}\n_chemical_formula_sum '{text}'"))


def test_twice_the_atoms_by_z_and_by_density_are_refused(tmp_path):
    head = f"{P1}\n_chemical_formula_sum 'Cs Cl'\n_cell_formula_units_Z 2\n_exptl_crystal_density_diffrn 8.0"
    with pytest.raises(
        IrrepnetError, match=r"atoms are missing or there are too many of them: Z is 2 .* and the density"
    ):
        read(tmp_path, typed(CS_CL, head=head))


def test_no_symmetry_at_all_is_noted(tmp_path):
    cell = read(tmp_path, typed(CS_CL))
    assert any("no symmetry is given" in note for note in cell.notes)


# --- the text


@pytest.mark.parametrize(
    "change",
    [
        lambda text: ("_publ_author_name 'Müller, Jörg'\n" + "").join(["data_x\n", text[7:]]).encode("latin-1"),
        lambda text: ("data_x\n_publ_author_name 'Müller −5 °C'\n" + text[7:]).encode(),
        lambda text: ("data_x\n_journal_volume 385–386\n" + text[7:]).encode("cp1252"),
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.encode("utf-16"),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\r").encode(),
        lambda text: text.encode() + b"\x1a",
        lambda text: gzip.compress(text.encode()),
        lambda text: ("# a comment\n\n" + text).encode(),
        lambda text: text.replace("_atom_site_fract", "_ATOM_SITE_FRACT").replace("data_", "DATA_").encode(),
        lambda text: text.replace("_cell_", "_cell.").replace("_atom_site_", "_atom_site.").encode(),
    ],
)
def test_encodings_line_ends_and_case(tmp_path, change):
    file = tmp_path / "X.CIF"
    file.write_bytes(change(typed(CS_CL, head=P1)))
    assert formula(read_cell(file)) == "Cs1 Cl1"
    (tmp_path / "x.cif.gz").write_bytes(file.read_bytes())  # whatever the name says
    assert formula(read_cell(tmp_path / "x.cif.gz")) == "Cs1 Cl1"


GLOBAL = "data_global\n_journal_name_full 'Some Journal'\n"
REFLECTIONS = "data_hkl\nloop_\n_refln_index_h\n_refln_index_k\n1 0\n0 1\n"
TEXT = "data_text\n_publ_section_comment\n;\ndata_no\nloop_\n_atom_site_label\n'unbalanced\n;\n"
TEMPLATE = "data_empty\nloop_\n_atom_site_label\n_atom_site_fract_x\n? ?\n"


@pytest.mark.parametrize("before", [GLOBAL, REFLECTIONS, TEXT, TEMPLATE, GLOBAL + TEXT + REFLECTIONS])
@pytest.mark.parametrize("after", ["", REFLECTIONS.replace("hkl", "global")])
def test_blocks_without_atoms_are_passed_over(tmp_path, before, after):
    cell = read(tmp_path, before + typed(CS_CL, head=P1) + after)
    assert (formula(cell), cell.notes) == ("Cs1 Cl1", ())


@pytest.mark.parametrize("text", [GLOBAL, REFLECTIONS + TEXT, "data_a\n_cell_length_a 4\n", "# a comment\n"])
def test_a_file_without_atoms_says_so(tmp_path, text):
    with pytest.raises(IrrepnetError, match=r"x\.cif: cannot be read as CIF: none of its blocks has atoms"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (typed("Cs1 Cs 0 0 0 0.5", head=P1, name="bad"), "block bad: site Cs1 is disordered"),
        (typed("Cs1 Cs 0 0 0", head=P1, name="bad"), "block bad: line .*Wrong number of values"),
        (typed("Cs1 Cs 0 0 zero 1", head=P1, name="bad"), "block bad: site Cs1: _atom_site_fract_z is 'zero'"),
        (typed(CS_CL, head=f"{P1}\n_x 'open", name="bad"), "block bad: line .*unterminated"),
        (typed(CS_CL, head=f"{P1}\n_cell_length_a 5", name="bad"), "block bad: _cell_length_a is there twice"),
        (typed(CS_CL, (4, 4, 4, 60, 60, 150), P1, "bad"), "block bad: no cell has the angles"),
        (typed(CS_CL, (4, 4, "?", 90, 90, 90), P1, "bad"), "block bad: the cell lacks c"),
    ],
)
def test_a_bad_block_loses_itself_only(tmp_path, bad, reason):
    good = [typed(CS_CL, head=P1, name=name) for name in ("good", "good")]  # the name twice is no fault
    file = tmp_path / "three.cif"
    file.write_text(good[0] + bad + good[1])
    first, refusal, second = cells_in(file)
    assert formula(first) == formula(second) == "Cs1 Cl1"
    assert isinstance(refusal, IrrepnetError)
    with pytest.raises(IrrepnetError, match=f"three.cif: {reason}"):
        raise refusal
    file.write_text(good[0] + bad)
    cell = read_cell(file)
    assert any("left out: block bad" in note for note in cell.notes)


def test_magnetic_cif(tmp_path):
    head = (
        "loop_\n_space_group_symop_magn_operation.xyz\nx,y,z,+1\n-x,-y,-z,+1\n"
        "loop_\n_space_group_symop_magn_centering.id\n_space_group_symop_magn_centering.xyz\n1 x,y,z,+1\n"
        "2 x+1/2,y+1/2,z+1/2,-1"
    )
    file = tmp_path / "x.mcif"
    file.write_text(typed("Fe1 Fe .1 .2 .3 1", (8, 8, 8, 90, 90, 90), head))
    assert len(read_cell(file).numbers) == 4


def test_cartesian_coordinates_and_dummy_atoms(tmp_path):
    text = cif(
        "Cs1 0 0 0 .\nCl1 2.06 2.06 2.06 .\nX1 1 1 1 dum", head=P1, columns="label Cartn_x Cartn_y Cartn_z calc_flag"
    )
    cell = read(tmp_path, text)
    assert formula(cell) == "Cs1 Cl1"
    assert np.allclose(cell.frac_coords[1], 0.5)
