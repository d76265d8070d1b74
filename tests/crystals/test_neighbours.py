"""Whole shells against brute force, textbook coordination numbers, and the symmetry that they must keep."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import KDTree

from irrepnet.crystals import Neighbours, SymmetricCrystal, neighbour_shells
from irrepnet.errors import IrrepnetError


def crystal(lattice, *sites) -> SymmetricCrystal:
    species, coords = zip(*sites, strict=True)
    return SymmetricCrystal.from_structure(
        {"species": species, "frac_coords": coords, "lattice": np.array(lattice, dtype=float)}, symprec=1e-5
    )


def cubic(a: float, *sites) -> SymmetricCrystal:
    return crystal(np.eye(3) * a, *sites)


def fcc(a: float) -> SymmetricCrystal:
    return crystal(np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) * a / 2, ("Cu", [0, 0, 0]))


def diamond(a: float) -> SymmetricCrystal:
    return crystal(np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) * a / 2, ("C", [0, 0, 0]), ("C", [0.25] * 3))


def shell_sizes(neighbours: Neighbours, atom: int = 0) -> list[int]:
    distances = neighbours.distance[neighbours.receiver == atom]
    return np.unique(np.round(distances, 6), return_counts=True)[1].tolist()


def assert_consistent(crystal: SymmetricCrystal, found: Neighbours) -> None:
    """The fields agree with each other and are sorted; the symmetry maps the set of edges onto itself."""
    points = crystal.cart_coords
    vector = points[found.sender] + found.shift @ crystal.lattice - points[found.receiver]
    assert abs(vector - found.vector).max() < 1e-12
    assert abs(np.linalg.norm(vector, axis=1) - found.distance).max() < 1e-12
    assert (np.diff(found.receiver) >= 0).all()
    assert (np.diff(found.distance)[np.diff(found.receiver) == 0] >= 0).all()
    assert set(found.receiver) == set(range(len(crystal)))
    apart = 1e3  # keeps edges between different atoms far from each other
    edges = np.column_stack([apart * found.receiver, apart * found.sender, found.vector])
    tree = KDTree(edges)
    for operation, image in zip(crystal.point_group.operations, crystal.permutation, strict=True):
        turned = found.vector @ operation.T
        moved = np.column_stack([apart * image[found.receiver], apart * image[found.sender], turned])
        distance, index = tree.query(moved)
        assert distance.max() < 1e-9
        assert len(set(index)) == len(edges)


def brute_force(crystal: SymmetricCrystal, cutoff: float, n_max: int, tolerance: float) -> list[np.ndarray]:
    """Sorted distances of each atom's neighbours by the definition, from all images within 25 Å."""
    reach = np.ceil(25 * np.linalg.norm(np.linalg.inv(crystal.lattice), axis=0)).astype(int) + 1
    images = np.stack(np.meshgrid(*[np.arange(-m, m + 1) for m in reach], indexing="ij"), -1).reshape(-1, 3)
    result = []
    for x in crystal.frac_coords:
        vectors = ((crystal.frac_coords[:, None] + images - x) @ crystal.lattice).reshape(-1, 3)
        distances = np.sort(np.linalg.norm(vectors, axis=1))[1:]
        limit = min(distances[n_max - 1], max(cutoff, distances[0])) + tolerance
        result.append(distances[distances <= limit + 1e-8])
    return result


# --- textbook shells


@pytest.mark.parametrize(
    ("made", "n_max", "shells"),
    [
        (cubic(3.0, ("Po", [0, 0, 0])), 12, [6, 12]),
        (cubic(3.0, ("Po", [0, 0, 0])), 6, [6]),
        (cubic(3.0, ("Po", [0, 0, 0])), 7, [6, 12]),
        (cubic(3.0, ("Po", [0, 0, 0])), 20, [6, 12, 8]),
        (cubic(2.87, ("Fe", [0, 0, 0]), ("Fe", [0.5, 0.5, 0.5])), 12, [8, 6]),
        (fcc(3.61), 12, [12]),
        (fcc(3.61), 13, [12, 6]),
        (diamond(3.567), 12, [4, 12]),
        (diamond(3.567), 4, [4]),
        (diamond(3.567), 1, [4]),
    ],
)
def test_shells_of_simple_crystals(made, n_max, shells):
    assert shell_sizes(neighbour_shells(made, n_max=n_max)) == shells


def test_examples(examples):
    """Coordination numbers of the structure types."""
    expected = {
        "SrTiO3": {"Sr": [12], "Ti": [6, 8], "O": [2, 12]},
        "MgAl2O4": {"Mg": [4, 12], "Al": [6, 6], "O": [1, 3, 3, 6]},
        "NaCl": {"Na": [6, 12], "Cl": [6, 12]},
        "CaF2": {"Ca": [8, 12], "F": [4, 6, 12]},
        "Si": {"Si": [4, 12]},
        "TiO2": {"Ti": [4, 2, 2, 4], "O": [2, 1, 1, 8]},
    }
    for formula, path in examples.items():
        made = SymmetricCrystal.from_structure(path)
        found = neighbour_shells(made)
        assert_consistent(made, found)
        for atom in made.representatives:
            assert shell_sizes(found, atom) == expected[formula][made.species[atom]]


# --- limits


def test_cutoff_at_a_shell_keeps_it():
    made = cubic(4.0, ("Po", [0, 0, 0]))
    assert shell_sizes(neighbour_shells(made, cutoff=8.0, n_max=1000)) == [6, 12, 8, 6]
    assert shell_sizes(neighbour_shells(made, cutoff=7.99, n_max=1000)) == [6, 12, 8]


def test_fewer_neighbours_than_asked_within_the_cutoff():
    assert shell_sizes(neighbour_shells(cubic(5.0, ("Po", [0, 0, 0])), cutoff=5.5)) == [6]


def test_isolated_atom_keeps_its_nearest_shell():
    assert shell_sizes(neighbour_shells(cubic(30.0, ("He", [0, 0, 0])))) == [6]
    assert shell_sizes(neighbour_shells(fcc(40.0), cutoff=2.0)) == [12]


def test_only_the_isolated_atom_looks_farther():
    """H2 in a long cell with a lone He: H sees its partner alone, He looks beyond the cutoff."""
    made = crystal(np.diag([9.0, 9.0, 30.0]), ("H", [0, 0, 0]), ("H", [0, 0, 0.025]), ("He", [0.5, 0.5, 0.5]))
    found = neighbour_shells(made, cutoff=8.0)
    for atom, element in enumerate(made.species):
        assert shell_sizes(found, atom) == ([1] if element == "H" else [4])
    assert_consistent(made, found)


def test_distances_at_the_tolerance_are_decided_alike():
    """a = 3.000, c = 3.001: the two shells are one at 0.001 Å, whatever the rounding."""
    made = crystal(np.diag([3.0, 3.0, 3.001]), ("Po", [0, 0, 0]))
    assert len(neighbour_shells(made, n_max=4, tolerance=1e-3).sender) == 6
    assert len(neighbour_shells(made, n_max=4, tolerance=9.9e-4).sender) == 4


@pytest.mark.parametrize(
    "options",
    [{"cutoff": 0}, {"cutoff": float("nan")}, {"cutoff": float("inf")}, {"n_max": 0}, {"tolerance": 0}],
)
def test_bad_options(options):
    with pytest.raises(IrrepnetError, match="neighbour shells need"):
        neighbour_shells(fcc(3.6), **options)


# --- any crystal


@st.composite
def tetragonal_and_cubic_crystals(draw) -> SymmetricCrystal:
    a, c = draw(st.sampled_from([(4.0, 4.0), (4.0, 6.5), (5.0, 3.1), (2.9, 9.0), (12.0, 12.0)]))
    sites = st.sampled_from([(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0, 0), (0.5, 0.5, 0), (0, 0, 0.5), (0.25, 0.25, 0.25)])
    chosen = draw(
        st.lists(st.tuples(st.sampled_from(["Si", "O"]), sites), min_size=1, max_size=4, unique_by=lambda s: s[1])
    )
    return crystal(np.diag([a, a, c]), *chosen)


@settings(deadline=None, max_examples=60)
@given(tetragonal_and_cubic_crystals(), st.floats(0.5, 9.0), st.integers(1, 30))
def test_against_brute_force(made, cutoff, n_max):
    found = neighbour_shells(made, cutoff=cutoff, n_max=n_max)
    assert_consistent(made, found)
    for atom, distances in enumerate(brute_force(made, cutoff, n_max, 1e-3)):
        assert np.allclose(found.distance[found.receiver == atom], distances, atol=1e-10)


@settings(deadline=None, max_examples=40)
@given(tetragonal_and_cubic_crystals(), st.integers(1, 24))
def test_more_neighbours_only_add(made, n_max):
    fewer, more = neighbour_shells(made, n_max=n_max), neighbour_shells(made, n_max=n_max + 1)
    for atom in range(len(made)):
        nearest = more.distance[more.receiver == atom]
        kept = fewer.distance[fewer.receiver == atom]
        assert np.array_equal(nearest[: len(kept)], kept)
        assert len(kept) >= min(n_max, len(nearest))


def test_real_crystals(mp_2018):
    """One of 300 records of every kind."""
    for record in mp_2018[::300]:
        made = SymmetricCrystal.from_structure(record)
        found = neighbour_shells(made)
        if len(made) < 40:
            assert_consistent(made, found)
        assert np.bincount(found.receiver).min() >= 1


@pytest.mark.slow
def test_cubic_real_crystals(mp_2018):
    for record in [record for record in mp_2018 if record["point_group"] == "m-3m"][::10]:
        made = SymmetricCrystal.from_structure(record)
        assert_consistent(made, neighbour_shells(made))
