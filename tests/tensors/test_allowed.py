"""Neumann forms: published counts and matrices, exactness in all settings, projection."""

import re
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tensors.test_cartesian import orthogonal

from irrepnet.errors import IrrepnetError
from irrepnet.groups import POINT_GROUPS, SETTINGS, PointGroup
from irrepnet.groups.settings import ELEMENTS
from irrepnet.tensors import COMPLIANCE, STIFFNESS, CartesianTensor

VECTOR, PERMITTIVITY, PIEZO = CartesianTensor("i"), CartesianTensor("ij=ji"), CartesianTensor("ijk=ikj")
D = CartesianTensor("ijk=ikj", strain=True, symbol="d")
THIRD_ORDER = CartesianTensor("ijklmn=jiklmn=klijmn=ijmnkl", symbol="C")

# polar vector / symmetric rank 2 / piezoelectric / elastic (Nye 1957; Nowick 1995)
COUNTS = """
1 3/6/18/21 -1 0/6/0/21 2 1/4/8/13 m 2/4/10/13 2/m 0/4/0/13 222 0/3/3/9 mm2 1/3/5/9 mmm 0/3/0/9
4 1/2/4/7 -4 0/2/4/7 4/m 0/2/0/7 422 0/2/1/6 4mm 1/2/3/6 -42m 0/2/2/6 4/mmm 0/2/0/6
3 1/2/6/7 -3 0/2/0/7 321 0/2/2/6 3m1 1/2/4/6 -3m1 0/2/0/6
6 1/2/4/5 -6 0/2/2/5 6/m 0/2/0/5 622 0/2/1/5 6mm 1/2/3/5 -6m2 0/2/1/5 6/mmm 0/2/0/5
23 0/1/1/3 m-3 0/1/0/3 432 0/1/0/3 -43m 0/1/1/3 m-3m 0/1/0/3
"""


def test_counts_of_the_32_groups():
    words = COUNTS.split()
    expected = dict(zip(words[::2], words[1::2]))
    assert set(expected) == set(POINT_GROUPS)
    for name in SETTINGS:
        default = next(g for g in POINT_GROUPS if PointGroup(g).schoenflies == PointGroup(name).schoenflies)
        counts = [t.allowed(name).independent for t in (VECTOR, PERMITTIVITY, PIEZO, STIFFNESS)]
        assert "/".join(map(str, counts)) == expected[default], name


# Third-order elastic constants: Brugger, J. Appl. Phys. 36, 759 (1965); Fumi, Phys. Rev. 83, 1274 (1951).
THIRD_ORDER_COUNTS = {
    **{"1": 56, "2": 32, "mmm": 20, "4/m": 16, "4/mmm": 12, "-3": 20},
    **{"-3m1": 14, "6/m": 12, "6/mmm": 10, "m-3": 8, "m-3m": 6},
}


def test_counts_of_third_order_elastic_constants():
    assert {name: THIRD_ORDER.allowed(name).independent for name in THIRD_ORDER_COUNTS} == THIRD_ORDER_COUNTS
    relations = THIRD_ORDER.allowed("6/mmm").relations
    assert "C166 = (-2C111 - C112 + 3C222)/4" in relations  # Brugger's table
    assert "C456 = (-C144 + C155)/2" in relations


# d of the classes in Nye's standard orientation (Nye 1957, table 8 and appendix E): rows of 0 and names.
NYE_D = {
    "2": "0 0 0 d14 0 d16|d21 d22 d23 0 d25 0|0 0 0 d34 0 d36",
    "m": "d11 d12 d13 0 d15 0|0 0 0 d24 0 d26|d31 d32 d33 0 d35 0",
    "112": "0 0 0 d14 d15 0|0 0 0 d24 d25 0|d31 d32 d33 0 0 d36",
    "11m": "d11 d12 d13 0 0 d16|d21 d22 d23 0 0 d26|0 0 0 d34 d35 0",
    "222": "0 0 0 d14 0 0|0 0 0 0 d25 0|0 0 0 0 0 d36",
    "mm2": "0 0 0 0 d15 0|0 0 0 d24 0 0|d31 d32 d33 0 0 0",
    "4": "0 0 0 d14 d15 0|0 0 0 d15 -d14 0|d31 d31 d33 0 0 0",
    "-4": "0 0 0 d14 d15 0|0 0 0 -d15 d14 0|d31 -d31 0 0 0 d36",
    "422": "0 0 0 d14 0 0|0 0 0 0 -d14 0|0 0 0 0 0 0",
    "4mm": "0 0 0 0 d15 0|0 0 0 d15 0 0|d31 d31 d33 0 0 0",
    "-42m": "0 0 0 d14 0 0|0 0 0 0 d14 0|0 0 0 0 0 d36",
    "-4m2": "0 0 0 0 d15 0|0 0 0 -d15 0 0|d31 -d31 0 0 0 0",
    "3": "d11 -d11 0 d14 d15 -2d22|-d22 d22 0 d15 -d14 -2d11|d31 d31 d33 0 0 0",
    "321": "d11 -d11 0 d14 0 0|0 0 0 0 -d14 -2d11|0 0 0 0 0 0",
    "312": "0 0 0 d14 0 -2d22|-d22 d22 0 0 -d14 0|0 0 0 0 0 0",
    "3m1": "0 0 0 0 d15 -2d22|-d22 d22 0 d15 0 0|d31 d31 d33 0 0 0",
    "31m": "d11 -d11 0 0 d15 0|0 0 0 d15 0 -2d11|d31 d31 d33 0 0 0",
    "6": "0 0 0 d14 d15 0|0 0 0 d15 -d14 0|d31 d31 d33 0 0 0",
    "-6": "d11 -d11 0 0 0 -2d22|-d22 d22 0 0 0 -2d11|0 0 0 0 0 0",
    "622": "0 0 0 d14 0 0|0 0 0 0 -d14 0|0 0 0 0 0 0",
    "6mm": "0 0 0 0 d15 0|0 0 0 d15 0 0|d31 d31 d33 0 0 0",
    "-6m2": "0 0 0 0 0 -2d22|-d22 d22 0 0 0 0|0 0 0 0 0 0",
    "-62m": "d11 -d11 0 0 0 0|0 0 0 0 0 -2d11|0 0 0 0 0 0",
    "-43m": "0 0 0 d14 0 0|0 0 0 0 d14 0|0 0 0 0 0 d14",
    "23": "0 0 0 d14 0 0|0 0 0 0 d14 0|0 0 0 0 0 d14",
}


@pytest.mark.parametrize("name", NYE_D)
def test_piezoelectric_matrices_of_nye(name):
    expected = [row.split() for row in NYE_D[name].split("|")]
    assert D.allowed(name).matrix.tolist() == expected
    without_factors = [[cell.replace("2d", "e").replace("d", "e") for cell in row] for row in expected]
    if not name.startswith(("2", "m", "11")):
        assert PIEZO.allowed(name).matrix.tolist() == without_factors


# upper triangles of the stiffness (Nye 1957, table 9)
STIFFNESS_FORMS = {
    "m-3m": "C11 C12 C12 0 0 0|C11 C12 0 0 0|C11 0 0 0|C44 0 0|C44 0|C44",
    "6/mmm": "C11 C12 C13 0 0 0|C11 C13 0 0 0|C33 0 0 0|C44 0 0|C44 0|(C11 - C12)/2",
    "4/m": "C11 C12 C13 0 0 C16|C11 C13 0 0 -C16|C33 0 0 0|C44 0 0|C44 0|C66",
    "4/mmm": "C11 C12 C13 0 0 0|C11 C13 0 0 0|C33 0 0 0|C44 0 0|C44 0|C66",
    "-3": "C11 C12 C13 C14 C15 0|C11 C13 -C14 -C15 0|C33 0 0 0|C44 0 -C15|C44 C14|(C11 - C12)/2",
    "-3m1": "C11 C12 C13 C14 0 0|C11 C13 -C14 0 0|C33 0 0 0|C44 0 0|C44 C14|(C11 - C12)/2",
    "-31m": "C11 C12 C13 0 C15 0|C11 C13 0 -C15 0|C33 0 0 0|C44 0 -C15|C44 0|(C11 - C12)/2",
    "mmm": "C11 C12 C13 0 0 0|C22 C23 0 0 0|C33 0 0 0|C44 0 0|C55 0|C66",
    "2/m": "C11 C12 C13 0 C15 0|C22 C23 0 C25 0|C33 0 C35 0|C44 0 C46|C55 0|C66",
    "112/m": "C11 C12 C13 0 0 C16|C22 C23 0 0 C26|C33 0 0 C36|C44 C45 0|C55 0|C66",
}


@pytest.mark.parametrize("name", STIFFNESS_FORMS)
def test_stiffness_matrices_of_nye(name):
    text = STIFFNESS.allowed(name).matrix
    assert [" ".join(text[i, i:]) for i in range(6)] == STIFFNESS_FORMS[name].split("|")
    assert (text == text.T).all()


def test_compliance_has_the_factors():
    assert COMPLIANCE.allowed("-3").matrix[3, 5] == "-2S15"
    assert COMPLIANCE.allowed("-3").matrix[4, 5] == "2S14"
    assert COMPLIANCE.allowed("6/mmm").components["S66"] == "2S11 - 2S12"


def test_optical_gyration_is_axial():
    """g_ij of optical activity (Nye 1957, table 19): -4 and -42m have it though they are not chiral, 4mm has not."""
    gyration = CartesianTensor("ij=ji", axial=True, symbol="g")
    assert gyration.allowed("-4").relations == ["g22 = -g11"]
    assert gyration.allowed("-42m").free == ["g11"]
    assert gyration.allowed("-4m2").free == ["g12"]
    assert gyration.allowed("m").free == ["g12", "g23"]
    assert gyration.allowed("mm2").free == ["g12"]
    assert gyration.allowed("432").relations == ["g22 = g11", "g33 = g11"]
    for name in ("4mm", "3m1", "6mm", "-6", "-6m2", "-43m", "m-3m", "-1"):
        assert gyration.allowed(name).independent == 0
    polar_vector = CartesianTensor("ij=-ji", axial=True)  # in disguise: T12 is its z component
    assert polar_vector.allowed("4mm").free == ["T12"]
    assert polar_vector.allowed("422").independent == 0
    assert CartesianTensor("ij=-ji").allowed("4").free == ["T12"]
    assert CartesianTensor("ij=-ji").allowed("4").matrix.tolist() == [
        ["0", "T12", "0"],
        ["-T12", "0", "0"],
        ["0", "0", "0"],
    ]


def exactly_rotated(rational, irrational, g, rank):
    """2^rank g T for T = rational + √3 irrational, integers, without rounding."""
    p = np.where(abs(2 * g - np.round(2 * g)) < 1e-9, np.round(2 * g), 0).astype(int)
    q = np.round((2 * g - p) / sqrt(3)).astype(int)
    assert np.allclose(2 * g, p + sqrt(3) * q, atol=1e-12)
    for axis in range(rank):
        a, b = np.moveaxis(rational, axis, 0), np.moveaxis(irrational, axis, 0)
        new = np.tensordot(p, a, 1) + 3 * np.tensordot(q, b, 1), np.tensordot(p, b, 1) + np.tensordot(q, a, 1)
        rational, irrational = (np.moveaxis(x, 0, axis) for x in new)
    return rational, irrational


@pytest.mark.parametrize("tensor", [PERMITTIVITY, PIEZO, STIFFNESS, THIRD_ORDER], ids=lambda t: t.formula)
def test_relations_are_exact_in_every_setting(tensor):
    """The tensor of one free component, by its printed relations, is left as it is by the generators: in integers."""
    for name in SETTINGS if tensor.rank < 6 else SETTINGS[15:27:3]:
        form = tensor.allowed(name)
        for number in range(form.independent):
            values = dict.fromkeys(form.free, 0) | {form.free[number]: 48}
            t = np.zeros(tensor.shape, int)
            for component, text in form.components.items():
                value = evaluate(text, values)
                assert value == int(value)
                for index, sign in tensor.components[component].items():
                    t[index] = sign * int(value)
            for element in PointGroup(name).setting.generators:
                g = ELEMENTS[element]
                rational, irrational = exactly_rotated(t, np.zeros_like(t), g, tensor.rank)
                assert (rational == 2**tensor.rank * t).all()
                assert not irrational.any()


def evaluate(text: str, values: dict[str, int]) -> float:
    """The value of an expression such as (C11 - 2C12)/2."""
    python = re.sub(r"(\d*)([A-Za-zε]\d+)", lambda m: f"({m[1] or 1}*values['{m[2]}'])", text)
    return eval(python, {"values": values})


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1), st.sampled_from(SETTINGS), st.sampled_from([VECTOR, PERMITTIVITY, PIEZO, STIFFNESS]))
def test_projection_is_the_mean_over_the_group(seed, name, tensor):
    rng = np.random.default_rng(seed)
    values = tensor.project(rng.standard_normal((2, *tensor.shape)))
    group, form = PointGroup(name), tensor.allowed(name)
    mean = np.mean([tensor.rotate(values, g) for g in group.operations], axis=0)
    assert np.allclose(form.project(values), mean, atol=1e-10)
    sizes = np.sqrt((values**2).reshape(2, -1).sum(1))
    assert np.allclose(form.residual(values), np.sqrt(((values - mean) ** 2).reshape(2, -1).sum(1)) / sizes, atol=1e-10)
    basis = form.basis.reshape(form.independent, 3**tensor.rank)
    assert np.allclose(basis @ basis.T, np.eye(form.independent), atol=1e-12)
    # in any orientation: the operations turned with the tensor
    q = orthogonal(rng, improper=False)
    turned = tensor.allowed(q @ group.operations @ q.T)
    assert turned.independent == form.independent
    assert np.allclose(turned.project(tensor.rotate(values, q)), tensor.rotate(mean, q), atol=1e-10)


def test_axial_projection():
    tensor, rng = CartesianTensor("ij", axial=True), np.random.default_rng(0)
    values = rng.standard_normal((3, 3))
    for name in SETTINGS:
        mean = np.mean([np.linalg.det(g) * g @ values @ g.T for g in PointGroup(name).operations], axis=0)
        assert np.allclose(tensor.allowed(name).project(values), mean, atol=1e-12)


def test_operations_that_are_no_group_are_refused():
    with pytest.raises(IrrepnetError, match="group of orthogonal matrices"):
        PERMITTIVITY.allowed(np.stack([np.eye(3), ROTATION_30])).project(np.eye(3))


def test_residual_of_nothing_is_zero():
    assert PIEZO.allowed("m-3m").residual(np.zeros((3, 3, 3))) == 0
    assert PIEZO.allowed("m-3m").residual(PIEZO.basis[0]) == 1
    assert PIEZO.allowed("m-3m").basis.shape == (0, 3, 3, 3)
    assert PIEZO.allowed("m-3m").matrix.tolist() == [["0"] * 6] * 3


def test_rank_six_without_symmetry():
    form = CartesianTensor("ijklmn").allowed("6/mmm")
    characters = np.trace(PointGroup("6/mmm").operations, axis1=1, axis2=2)
    assert form.independent == round(np.mean(characters**6)) == 72


ROTATION_30 = np.array([[sqrt(0.75), -0.5, 0], [0.5, sqrt(0.75), 0], [0, 0, 1]])


def test_oblique_axes_are_written_with_roots():
    """-43m seen along [111]: one constant still, in more components, with irrational ratios."""
    q = np.array([[1, -1, 0], [1, 1, -2], [1, 1, 1]]) / np.sqrt([[2], [6], [3]])
    form = PIEZO.allowed(q @ PointGroup("-43m").operations @ q.T)
    assert form.independent == 1
    assert form.free == ["e22"]
    assert set(form.relations) >= {"e16 = -e22", "e21 = -e22"}
    assert any("*e22" in relation for relation in form.relations)  # by √2, in decimals
    turned = PIEZO.allowed(ROTATION_30 @ PointGroup("mm2").operations @ ROTATION_30.T)
    assert any("√3" in relation for relation in turned.relations)


@pytest.mark.parametrize(
    ("formula", "name"), [("ij=ji", "2/m"), ("ijkl=jikl=ijlk=klij", "-3"), ("ijk", "312"), ("i", "4")]
)
def test_picture(tmp_path, formula, name):
    path = tmp_path / "form.png"
    CartesianTensor(formula).allowed(name).picture(path, "title")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_picture_shades_forced_zeros(tmp_path):
    path = tmp_path / "form.svg"
    STIFFNESS.allowed("m-3m").picture(path)
    svg = path.read_text()
    assert svg.count('style="fill: url(#') == 24  # hatched cells; the other 12 of 36 are not zero


def test_picture_that_cannot_be_written(tmp_path):
    with pytest.raises(IrrepnetError, match="cannot be written"):
        STIFFNESS.allowed("m-3m").picture(tmp_path / "missing" / "form.png")
