"""The axes of the IEEE standard."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Structure
from pymatgen.core.tensors import Tensor

from irrepnet.crystals.cell import lattice_from_parameters
from irrepnet.errors import IrrepnetError
from irrepnet.groups import POINT_GROUPS, SETTINGS, PointGroup, setting_of
from irrepnet.tensors import ieee_rotation

SKEW = np.array([[4.0, 0, 0], [-0.7, 5.1, 0], [-0.4, -0.9, 6.3]])


@pytest.mark.parametrize("name", SETTINGS)
def test_axes_are_proper_and_those_of_the_default_setting(name):
    group = PointGroup(name)
    if group.system == "monoclinic":
        lattice = np.array([[5.0, 0, 0], [0, 6, 0], [-1, 0, 4]])
        lattice = np.array([[5.0, 0, 0], [-1, 4, 0], [0, 0, 6]]) if name.startswith("11") else lattice
    else:
        lattice = SKEW if group.system == "triclinic" else np.diag([4.0, 5.0, 6.0])
    q = ieee_rotation(group, lattice)
    assert np.allclose(q @ q.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(q) == pytest.approx(1)
    found = setting_of(q @ group.operations @ q.T)
    assert found is not None
    assert found.name in POINT_GROUPS
    assert found.schoenflies == group.schoenflies


def test_orthorhombic_lengths():
    """c < a < b along Z, X, Y; in mm2 Z is polar."""
    lattice = np.diag([5.0, 4.0, 6.0])
    assert abs(ieee_rotation(PointGroup("mmm"), lattice)).tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0]]
    assert abs(ieee_rotation(PointGroup("mm2"), lattice)).tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1]]
    assert np.array_equal(ieee_rotation(PointGroup("mm2"), np.diag([4.0, 5.0, 3.0])), np.eye(3))


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("m-3m", [4, 4, 4, 90, 90, 90]),
        ("4/mmm", [4, 4, 6, 90, 90, 90]),
        ("mmm", [5, 4, 6, 90, 90, 90]),
        ("2/m", [5.3, 6.1, 4.4, 90, 104, 90]),
    ],
)
def test_against_pymatgen_up_to_senses(name, cell):
    """pymatgen's axes for the same lattice; both leave senses open. (Triclinic lattices it sorts otherwise.)"""
    lattice = lattice_from_parameters(cell)
    x = lattice[0] / cell[0]  # standard frame: a along x, b in the xy plane
    z = np.cross(lattice[0], lattice[1])
    z /= np.linalg.norm(z)
    lattice = lattice @ np.stack([x, np.cross(z, x), z]).T
    structure = Structure(lattice, ["Si"], [[0, 0, 0]])
    theirs, ours = np.asarray(Tensor.get_ieee_rotation(structure)), ieee_rotation(PointGroup(name), lattice)
    aligned = abs(np.diag(ours @ theirs.T))
    if name in ("m-3m", "4/mmm"):  # X and Y are equivalent
        assert np.allclose(abs(ours @ theirs.T).max(1), 1, atol=1e-6)
    else:
        assert np.allclose(aligned, 1, atol=1e-6)


@given(st.integers(0, 2**32 - 1), st.sampled_from(["triclinic", "monoclinic"]))
def test_axes_do_not_depend_on_the_choice_of_the_cell(seed, system):
    """Up to the inversion and, for 2/m, its operations: unimodular changes of the basis."""
    rng = np.random.default_rng(seed)
    lattice = SKEW if system == "triclinic" else np.array([[5.0, 0, 0], [0, 6, 0], [-1.1, 0, 4]])
    group = PointGroup("-1" if system == "triclinic" else "2/m")
    change = np.eye(3)
    for _ in range(4):
        i, j = rng.permutation(3)[:2] if system == "triclinic" else rng.permutation([0, 2])
        shear = np.eye(3)
        shear[i, j] = rng.choice([-1, 1])
        change = change @ shear
    assert np.allclose(ieee_rotation(group, change @ lattice), ieee_rotation(group, lattice), atol=1e-9)


def test_a_lattice_without_volume_is_refused():
    with pytest.raises(IrrepnetError, match="independent"):
        ieee_rotation(PointGroup("-1"), np.ones((3, 3)))
