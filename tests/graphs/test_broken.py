"""The symmetry that a perturbation leaves, and the nodes that it makes."""

from typing import Any

import numpy as np
import pytest
import spglib
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from irrepnet.crystals import SymmetricCrystal
from irrepnet.errors import IrrepnetError
from irrepnet.graphs.broken import Perturbation, broken_graph, parent_of, symmetry_left
from irrepnet.groups import PointGroup


@pytest.fixture(scope="module")
def perovskite() -> SymmetricCrystal:
    atoms = ["K", "Nb", "O"], [[0, 0, 0], [0.5] * 3, [0.5, 0.5, 0]]
    return SymmetricCrystal.from_structure(Structure.from_spacegroup("Pm-3m", Lattice.cubic(4.06), *atoms))


def along(direction, atom=1, n=5):
    pattern = np.zeros((n, 3))
    pattern[atom] = 0.1 * np.array(direction) / np.linalg.norm(direction)
    return pattern


# what is left of m-3m: a polar vector, an axial one with time reversal, a strain; orders from the character tables
CASES = [
    ({}, 96, 1),
    ({"displacements": along([0, 0, 1])}, 16, 6),  # 4mm1'
    ({"displacements": along([0, 1, 1])}, 8, 12),  # mm21'
    ({"displacements": along([1, 1, 1])}, 12, 8),  # 3m1'
    ({"displacements": along([1, 2, 3])}, 2, 48),
    ({"displacements": np.ones((5, 3))}, 96, 1),  # a translation
    ({"field": [0, 0, 1.0]}, 16, 6),
    ({"moments": along([0, 0, 1])}, 16, 6),  # 4/mm'm'
    ({"moments": along([1, 1, 1])}, 12, 8),  # -3m'
    ({"moments": along([0, 0, 1]), "displacements": along([0, 0, 1])}, 8, 12),  # 4m'm'
    ({"strain": np.diag([0.01, 0.01, 0.01])}, 96, 1),
    ({"strain": np.diag([0, 0, 0.01])}, 32, 3),  # 4/mmm1'
    ({"strain": 0.01 * (1 - np.eye(3))}, 24, 4),  # -3m1'
]


@pytest.mark.parametrize(("given", "operations", "frames"), CASES)
def test_what_is_left_of_a_cubic_perovskite(perovskite, given, operations, frames):
    parent = parent_of(perovskite)
    graph = broken_graph(parent, Perturbation(**given))
    assert len(graph.operations) == operations
    assert graph.frames == frames
    assert len(graph) == 5 * frames


def test_moments_are_axial_and_odd_under_time_reversal(perovskite):
    parent = parent_of(perovskite)
    operations, reversal = symmetry_left(parent, Perturbation(moments=along([0, 0, 1])))
    axes = parent.rotations[operations]
    axial = np.linalg.det(axes) * reversal
    assert np.allclose(axial * axes[:, 2, 2], 1)  # the very operations that keep an axial vector along z


@pytest.mark.parametrize(
    "supercell", [(2, 1, 1), (2, 2, 2), [[1, 1, 0], [-1, 1, 0], [0, 0, 2]], [[0, 1, 0], [1, 0, 0], [0, 0, 1]]]
)
def test_supercells(perovskite, supercell):
    """Operations and bonds against the positions; the number of operations against spglib."""
    parent = parent_of(perovskite, supercell)
    inverse = np.linalg.inv(parent.lattice)
    for rotation, images in zip(parent.rotations, parent.permutation):
        moved = (parent.positions[images] - parent.positions @ rotation.T) @ inverse
        moved -= moved[0]
        assert np.abs(moved - np.rint(moved)).max() < 1e-9
        assert (parent.numbers[images] == parent.numbers).all()
    assert len({(*images, e) for images, e in zip(parent.permutation, parent.element)}) == len(parent.element)
    ends = (parent.positions[parent.sender] - parent.positions[parent.receiver] - parent.vector) @ inverse
    assert np.abs(ends - np.rint(ends)).max() < 1e-9
    cell: Any = (parent.lattice, parent.positions @ inverse, parent.numbers)
    found = spglib.get_symmetry(cell, symprec=1e-3)
    assert found is not None
    assert len(found["rotations"]) == len(parent.element)


def test_a_zone_boundary_pattern(perovskite):
    """Rotation of the octahedra about z, in antiphase along all axes (a0a0c-, I4/mcm): 16 of 48 rotations are left."""
    parent = parent_of(perovskite, (2, 2, 2))
    u = np.zeros((40, 3))
    centre = np.round(parent.positions[parent.numbers == 41], 6)
    for niobium in centre:
        sign = (-1) ** int(np.rint(((niobium - centre[0]) / 4.06).sum()))
        bonds = parent.receiver == np.flatnonzero((np.round(parent.positions, 6) == niobium).all(1))[0]
        bonds &= parent.numbers[parent.sender] == 8
        for atom, vector in zip(parent.sender[bonds], parent.vector[bonds]):
            u[atom] = sign * 0.05 * np.cross([0, 0, 1], vector)
    graph = broken_graph(parent, Perturbation(u))
    structure = parent.structure(Perturbation(u))
    assert SymmetricCrystal.from_structure(structure).spacegroup_symbol == "I4/mcm"
    assert len(np.unique(parent.element[graph.operations])) == 16
    assert graph.frames == 3
    assert len(graph) == 3 * 10  # the primitive cell of I4/mcm has ten atoms


@given(st.integers(0, 2**31))
def test_operations_left_are_a_group_that_keeps_the_perturbation(perovskite, seed):
    """A random perturbation, averaged over a random cyclic group of operations, keeps at least that group."""
    random = np.random.default_rng(seed)
    parent = parent_of(perovskite, (2, 1, 1))
    k = random.integers(len(parent.element))
    rotation, images = parent.rotations[k], parent.permutation[k]
    u, moments = random.normal(size=(2, 10, 3))
    strain, field = 0.01 * random.normal(size=(3, 3)), random.normal(size=3)
    strain = strain + strain.T
    total: list[np.ndarray] = []
    for _ in range(24):  # a multiple of every order that occurs
        moved, turned = np.empty_like(u), np.empty_like(moments)
        moved[images], turned[images] = u @ rotation.T, np.linalg.det(rotation) * moments @ rotation.T
        u, strain, field, moments = moved, rotation @ strain @ rotation.T, rotation @ field, turned
        total = [a + b / 24 for a, b in zip(total or [0, 0, 0, 0], (u, strain, field, moments))]
    operations, _ = symmetry_left(parent, Perturbation(*total))
    assert k in operations


def test_only_operations_of_the_model_group_are_used(perovskite):
    parent = parent_of(perovskite)
    assert broken_graph(parent, group=PointGroup("1")).frames == 1
    assert len(broken_graph(parent, group=PointGroup("1"))) == 5
    assert broken_graph(parent, Perturbation(along([0, 0, 1])), PointGroup("4/mmm")).frames == 2
    assert len(broken_graph(parent, form="full")) == 96 * 5


def test_the_perturbed_structure(perovskite):
    parent = parent_of(perovskite)
    strain = np.diag([0, 0, 0.02])
    moved = parent.structure(Perturbation(along([0, 0, 1]), strain))
    assert np.allclose(moved.lattice.abc, [4.06, 4.06, 4.06 * 1.02])
    shift = moved.cart_coords - parent.positions @ (np.eye(3) + strain)
    assert np.allclose(shift - shift[0], (along([0, 0, 1]) - along([0, 0, 1])[0]) * 1.02)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"displacements": np.zeros((4, 3))}, "parent with 5 atoms"),
        ({"field": [0, np.nan, 0]}, "not finite"),
        ({"strain": np.triu(np.ones((3, 3)))}, "symmetric"),
        ({"strain": -np.eye(3)}, "positive definite"),
    ],
)
def test_bad_perturbations(perovskite, given, message):
    with pytest.raises(IrrepnetError, match=message):
        broken_graph(parent_of(perovskite), Perturbation(**given))


@pytest.mark.parametrize("supercell", [(0, 1, 1), (1, 1), np.eye(3) / 2])
def test_bad_supercells(perovskite, supercell):
    with pytest.raises(IrrepnetError, match="supercell"):
        parent_of(perovskite, supercell)


def test_unknown_form(perovskite):
    with pytest.raises(IrrepnetError, match="unknown form"):
        broken_graph(parent_of(perovskite), form="half")  # type: ignore[arg-type]
