"""The model group of every crystal, and the axes where the lattice leaves them open."""

from itertools import combinations, product

import moyopy
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from scipy.linalg import inv, sqrtm

from irrepnet.crystals import SymmetricCrystal
from irrepnet.crystals.frames import frame_convention, frame_rotation, model_group
from irrepnet.crystals.symmetric import setting_operations
from irrepnet.groups import PointGroup

OH = PointGroup("m-3m").operations
FRACTIONS = [[0.11, 0.13, 0.37], [0.42, 0.61, 0.93]]


def crystal(symbol, lattice, species=("Ti", "O"), coords=FRACTIONS):
    return SymmetricCrystal.from_structure(Structure.from_spacegroup(symbol, lattice, species, coords))


def axes(found):
    """(3, 3) the network's axes as columns, in the frame of the input."""
    return (frame_rotation(found) @ found.rotation.T).T


def difference(a, b):
    """Degrees between two sets of axes, up to the operations of m-3m."""
    cosine = (np.abs(np.trace(OH @ (a.T @ b), axis1=1, axis2=2)).max() - 1) / 2
    return np.degrees(np.arccos(min(cosine, 1.0)))


def slow_axes(vectors):
    """D (DᵀD)^(-1/2) of the edges' directions D for each of the shortest cells among many."""
    vectors = Lattice(vectors).get_lll_reduced_lattice().matrix
    coefficients = [c for c in product(range(-2, 3), repeat=3) if sum(map(abs, c)) < 5 and c > (0, 0, 0)]
    cells = np.array([c for c in combinations(coefficients, 3)])
    cells = cells[np.abs(np.linalg.det(cells)).round() == 1]
    edges = cells @ vectors
    lengths = np.linalg.norm(edges, axis=2)
    size = lengths.prod(1)
    shortest = size < 1.001 * size.min()
    directions = (edges / lengths[:, :, None])[shortest].swapaxes(1, 2)
    return [d @ inv(sqrtm(d.T @ d)).real for d in directions]


@pytest.mark.parametrize("number", range(1, 231))
def test_every_space_group_lies_in_its_model_group(number):
    hall = next(h for h in range(1, 531) if moyopy.HallSymbolEntry(h).number == number)
    group = setting_operations(hall)[0]
    model = PointGroup("6/mmm" if 143 <= number <= 194 else "m-3m")
    assert len(set(model.indices(group.operations))) == group.order


@pytest.mark.parametrize(
    ("symbol", "lattice", "model", "said"),
    [
        ("P-1", Lattice.from_parameters(8, 9, 10, 80, 95, 104), "m-3m", "three shortest"),
        ("P2_1/c", Lattice.monoclinic(9, 8, 10, 100), "m-3m", "unique axis"),
        ("Pnma", Lattice.orthorhombic(8, 9, 10), "m-3m", "operation of m-3m"),
        ("I4/m", Lattice.tetragonal(8, 9), "m-3m", "operation of m-3m"),
        ("R3", Lattice.hexagonal(9, 14), "6/mmm", "operation of 6/mmm"),
        ("P6_1", Lattice.hexagonal(9, 14), "6/mmm", "operation of 6/mmm"),
        ("P2_13", Lattice.cubic(12), "m-3m", "operation of m-3m"),
    ],
)
def test_model_group_and_convention(symbol, lattice, model, said):
    found = crystal(symbol, lattice)
    assert model_group(found) is PointGroup(model)
    assert said in frame_convention(found)
    if found.frame_is_fixed:
        assert np.array_equal(frame_rotation(found), np.eye(3))


cells = st.tuples(*[st.floats(9, 14)] * 3, *[st.floats(70, 115)] * 3)


@settings(max_examples=30)
@given(cells, st.sampled_from(["P1", "P-1", "P2", "Pc", "C2/c", "P2_1/m", "C2"]))
def test_axes_are_those_of_the_shortest_cell(parameters, symbol):
    a, b, c, _, beta, _ = parameters
    lattice = Lattice.from_parameters(*parameters) if symbol in ("P1", "P-1") else Lattice.monoclinic(a, b, c, beta)
    assume(not np.isnan(lattice.matrix).any() and lattice.volume > 300)
    found = crystal(symbol, lattice)
    assume(not found.frame_is_fixed)
    rotation = frame_rotation(found)
    assert np.abs(rotation @ rotation.T - np.eye(3)).max() < 1e-12
    assert np.linalg.det(rotation) > 0
    operations = found.point_group.operations
    assert np.abs(rotation @ operations - operations @ rotation).max() < 1e-12

    edges = found.conventional_lattice
    if found.spacegroup_number > 2:
        assert np.abs(rotation[1] - [0, 1, 0]).max() < 1e-12
    expected = slow_axes(edges)
    assert min(difference(rotation.T, e) for e in expected) < 1e-5


def test_monoclinic_axes_pass_smoothly_through_a_right_angle():
    """They turn half as far as c, whose angle with a this is, and are the lattice's own in the middle."""
    for angle in (89, 89.9, 89.99, 90.01, 90.1, 91):
        lattice = Lattice.monoclinic(4, 5, 6, angle)
        sites = [[0, 0, 0], [0.1, 0.2, 0.4], [0.1, 0.8, 0.4]]
        found = SymmetricCrystal.from_structure(Structure(lattice, ["Ti", "O", "O"], sites))
        assert found.spacegroup_number == 6
        assert abs(difference(axes(found), np.eye(3)) - abs(angle - 90) / 2) < 1e-5


@pytest.mark.parametrize(
    "lattice",
    [
        [[0, 2, 2], [2, 0, 2], [2, 2, 0]],
        [[-2, 2, 2], [2, -2, 2], [2, 2, -2]],
        [[4, 0, 0], [-2, 2 * 3**0.5, 0], [0, 0, 5]],
    ],
    ids=["face-centred", "body-centred", "hexagonal"],
)
def test_triclinic_crystals_on_symmetric_lattices(lattice):
    """The lattice has many shortest cells; the bonds choose among them, whatever cell is given."""
    rng = np.random.default_rng(0)
    given_cell = Structure(lattice, ["Mg", "Al", "O"], [[0.02, 0.13, 0.2], [0.45, 0.5, 0.61], [0.8, 0.71, 0.3]])
    reference = axes(SymmetricCrystal.from_structure(given_cell))
    for _ in range(10):
        cell = given_cell.copy()
        shear = np.eye(3, dtype=int)
        for _ in range(3):
            i, j = rng.choice(3, 2, replace=False)
            shear[i] += rng.choice([-1, 1]) * shear[j]
        cell.make_supercell(shear, to_unit_cell=True)
        assert difference(axes(SymmetricCrystal.from_structure(cell)), reference) < 1e-5
