"""Hypergraphs: what is computed on the reduced one against plain loops over every atom and every hyperedge."""

import math
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from scipy.spatial.transform import Rotation

from irrepnet.crystals import SymmetricCrystal, find_neighbours, plain_supercell
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import (
    Column,
    Hyperedges,
    HyperedgeType,
    Hypergraph,
    HypergraphOptions,
    add_hyperedge_type,
    fingerprint,
    hyperedge_type,
    hyperedge_types,
    hypergraph,
    pair_correlation,
)
from irrepnet.graphs.fingerprint import COLUMNS

FORMULAS = ["CaF2", "MgAl2O4", "NaCl", "Si", "SrTiO3", "TiO2"]
SUPERCELLS = [
    np.eye(3, dtype=int),
    np.array([[1, 0, 0], [0, 2, 0], [1, 0, 1]]),
    np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]),
]
OWN = ("bonds", "triplets", "cell")


@pytest.fixture(scope="module")
def made(examples) -> dict[str, SymmetricCrystal]:
    return {formula: SymmetricCrystal.from_structure(path) for formula, path in examples.items()}


@pytest.fixture
def own_types(monkeypatch):
    """Types added in a test are forgotten after it."""
    module = import_module("irrepnet.graphs.hypergraph")
    monkeypatch.setattr(module, "_TYPES", dict(module._TYPES))


# --- the same sums two ways. A message depends on who hears (x), the hyperedge's features, and who is heard (y).


def message(x: Any, features: float, y: Any) -> float:
    return math.sin(x + 2 * y) * math.cos(features + x * y)


def one(features: np.ndarray) -> float:
    """A number of them all."""
    return float(features @ np.linspace(0.3, 0.9, len(features)))


def on_the_hypergraph(graph: Hypergraph, name: str, values: np.ndarray) -> np.ndarray:
    """Σ over an atom's hyperedges and the others in them, for each node."""
    part = graph.types[name]
    result = np.zeros(len(graph))
    for k, other in enumerate(part.other):
        i = part.incidence[k]
        heard = message(values[part.node[i]], one(part.features[part.edge[i]]), values[other])
        result[part.node[i]] += part.weight[i] * part.other_weight[k] * heard
    return result


def on_all_atoms(crystal: SymmetricCrystal, options: HypergraphOptions, name: str, values: np.ndarray) -> np.ndarray:
    """The same for each atom, from all neighbours of all atoms; no use is made of symmetry."""
    result = np.zeros(len(crystal))
    if name == "cell":
        features = one(fingerprint(crystal))
        for a in range(len(crystal)):
            for b in range(len(crystal)):
                result[a] += message(values[a], features, values[b]) / len(crystal)
        return result
    found = find_neighbours(crystal, options)
    for centre in range(len(crystal)):
        own = [e for e in range(len(found.receiver)) if found.receiver[e] == centre]
        if name == "bonds":
            for e in own:
                heard = message(values[centre], one(found.distance[e : e + 1]), values[found.sender[e]])
                result[centre] += found.weight[e] * heard
            continue
        for e in own:
            for f in own:
                if f <= e:
                    continue
                cosine = found.vector[e] @ found.vector[f] / (found.distance[e] * found.distance[f])
                features = one(np.array([cosine, *sorted([found.distance[e], found.distance[f]])]))
                members = [centre, found.sender[e], found.sender[f]]
                for i in range(3):
                    for j in range(3):
                        if i != j:
                            heard = message(values[members[i]], features, values[members[j]])
                            result[members[i]] += found.weight[e] * found.weight[f] * heard
    return result


def assert_reduced_is_exact(crystal: SymmetricCrystal, options: HypergraphOptions) -> None:
    values = np.random.default_rng(0).normal(size=len(crystal.representatives))
    graph = hypergraph(crystal, options)
    for name in options.hyperedges:
        expected = on_all_atoms(crystal, options, name, values[crystal.orbits])
        reduced = on_the_hypergraph(graph, name, values)
        scale = 1 + abs(expected).max()
        np.testing.assert_allclose(reduced[crystal.orbits] / scale, expected / scale, atol=1e-10, rtol=0)


@pytest.mark.parametrize("method", ["shells", "cutoff", "voronoi", "nearest"])
@pytest.mark.parametrize("formula", FORMULAS)
def test_reduced_against_all_atoms(made, formula, method):
    options = HypergraphOptions(hyperedges=OWN, neighbours=method, cutoff=3.3, n_max=6)
    assert_reduced_is_exact(made[formula], options)


@pytest.mark.parametrize("matrix", SUPERCELLS)
@pytest.mark.parametrize("formula", FORMULAS)
def test_reduced_against_plain_supercells(made, formula, matrix):
    crystal = made[formula]
    options = HypergraphOptions(hyperedges=OWN, n_max=8)
    values = np.random.default_rng(1).normal(size=len(crystal.representatives))
    large = plain_supercell(crystal, matrix)
    orbit = np.repeat(crystal.orbits, len(large) // len(crystal))
    reduced, plain = hypergraph(crystal, options), hypergraph(large, options)
    for name in OWN:
        expected = on_the_hypergraph(plain, name, values[orbit])
        result = on_the_hypergraph(reduced, name, values)[orbit]
        scale = 1 + abs(expected).max()
        np.testing.assert_allclose(result / scale, expected / scale, atol=1e-10, rtol=0)


LATTICES: dict[str, Callable[[float, float, float], Lattice]] = {
    "triclinic": lambda a, b, c: Lattice.from_parameters(a, b, c, 82, 97, 104),
    "monoclinic": lambda a, b, c: Lattice.monoclinic(a, b, c, 103),
    "orthorhombic": Lattice.orthorhombic,
    "tetragonal": lambda a, _, c: Lattice.tetragonal(a, c),
    "hexagonal": lambda a, _, c: Lattice.hexagonal(a, c),
    "cubic": lambda a, _, __: Lattice.cubic(a),
}
GROUPS = [(1, "triclinic"), (2, "triclinic"), (4, "monoclinic"), (12, "monoclinic"), (14, "monoclinic"),
          (19, "orthorhombic"), (62, "orthorhombic"), (44, "orthorhombic"), (82, "tetragonal"), (99, "tetragonal"),
          (139, "tetragonal"), (146, "hexagonal"), (148, "hexagonal"), (156, "hexagonal"), (187, "hexagonal"),
          (194, "hexagonal"), (198, "cubic"), (216, "cubic"), (221, "cubic"), (225, "cubic")]  # fmt: skip


@st.composite
def crystals(draw) -> SymmetricCrystal:
    """Up to three orbits, on special or general positions, in a space group of any system."""
    number, system = draw(st.sampled_from(GROUPS))
    lattice = LATTICES[system](*(draw(st.floats(3.5, 6.0)) for _ in range(3)))
    coordinate = st.sampled_from([0.0, 0.5, 0.25, 1 / 3, 2 / 3]) | st.floats(0, 1)
    sites = draw(st.lists(st.tuples(coordinate, coordinate, coordinate), min_size=1, max_size=3))
    species = [draw(st.sampled_from(["Na", "Cl", "Ti"])) for _ in sites]
    structure = Structure.from_spacegroup(number, lattice, species, sites)
    assume(len(structure) <= 48)
    try:
        crystal = SymmetricCrystal.from_structure(structure)
    except IrrepnetError:
        crystal = None
    assume(crystal is not None and len(crystal) <= 12)
    assert crystal is not None
    return crystal


@settings(max_examples=25)
@given(crystals(), st.sampled_from(["shells", "cutoff", "voronoi", "nearest"]))
def test_reduced_against_all_atoms_of_any_crystal(crystal, method):
    options = HypergraphOptions(hyperedges=OWN, neighbours=method, cutoff=6.1, n_max=4, scale=1.1)
    assert_reduced_is_exact(crystal, options)


# --- counts and features


def totals(crystal: SymmetricCrystal, options: HypergraphOptions) -> dict[str, tuple[float, int]]:
    """Hyperedges in the cell, and classes."""
    graph = hypergraph(crystal, options)
    return {
        name: (hyperedge_type(name).build(crystal, options).weight.sum(), len(graph.types[name].features))
        for name in options.hyperedges
    }


def test_rock_salt(made):
    """Six neighbours: 15 pairs of bonds at each atom, 12 of them at a right angle and 3 straight."""
    found = totals(made["NaCl"], HypergraphOptions(hyperedges=OWN, n_max=6))
    assert found == {"bonds": (12, 2), "triplets": (30, 4), "cell": (1, 1)}
    triplets = hypergraph(made["NaCl"], HypergraphOptions(hyperedges=("triplets",), n_max=6)).types["triplets"]
    np.testing.assert_allclose(np.unique(triplets.features[:, 0].round(9)), [-1, 0])
    # an atom is the centre of 15, and an end of 6 · 5
    assert np.bincount(triplets.node, triplets.weight).tolist() == [45, 45]


def test_tetrahedra(made):
    triplets = hypergraph(made["Si"], HypergraphOptions(hyperedges=("triplets",), n_max=4)).types["triplets"]
    np.testing.assert_allclose(triplets.features, [[-1 / 3, *[triplets.features[0, 1]] * 2]])
    assert triplets.other.tolist() == [0]
    assert triplets.other_weight.tolist() == [2]


def test_triplet_features_do_not_depend_on_the_order_of_ends(made):
    features = hypergraph(made["TiO2"], HypergraphOptions(hyperedges=("triplets",))).types["triplets"].features
    assert (features[:, 1] <= features[:, 2] + 1e-9).all()
    assert (abs(features[:, 0]) <= 1).all()


def test_cell_reaches_every_atom_once(made):
    part = hypergraph(made["MgAl2O4"], HypergraphOptions(hyperedges=("cell",))).types["cell"]
    np.testing.assert_allclose(part.weight, 1)
    np.testing.assert_allclose(np.bincount(part.incidence, part.other_weight), 1)
    np.testing.assert_allclose(part.other_weight[:3], np.array([2, 4, 8]) / 14)


def test_types_come_in_the_order_of_the_options(made):
    assert list(hypergraph(made["Si"], HypergraphOptions(hyperedges=("cell", "bonds"))).types) == ["cell", "bonds"]


@pytest.mark.parametrize("name", OWN)
def test_columns_name_the_features(made, name):
    options = HypergraphOptions()
    columns = hyperedge_type(name).columns(options)
    features = hyperedge_type(name).build(made["TiO2"], options).features
    assert features.shape[1] == len(columns)
    assert len({column.name for column in columns}) == len(columns)
    for values, column in zip(features.T, columns, strict=True):
        assert column.low <= values.min() <= values.max() <= column.high


# --- the fingerprint


@settings(max_examples=10)
@given(crystals(), st.integers(0, 2**32 - 1))
def test_fingerprint_does_not_depend_on_the_description(crystal, seed):
    rng = np.random.default_rng(seed)
    structure = Structure(crystal.lattice, crystal.species, crystal.frac_coords)
    structure.make_supercell(SUPERCELLS[1])
    rotation = Rotation.random(rng=rng).as_matrix()
    turned = Structure(
        structure.lattice.matrix @ rotation.T, structure.species, structure.frac_coords + rng.uniform(size=3)
    )
    again = SymmetricCrystal.from_structure(turned)
    assume(again.spacegroup_number == crystal.spacegroup_number)  # not so when it is near a higher one
    np.testing.assert_allclose(fingerprint(again), fingerprint(crystal), atol=1e-9)
    np.testing.assert_allclose(fingerprint(plain_supercell(crystal, SUPERCELLS[2])), fingerprint(crystal), atol=1e-10)


def test_pair_correlation_against_a_plain_loop(made):
    crystal = made["TiO2"]
    grid = np.array([1.9, 2.0, 2.8, 4.1])
    volume, sigma, expected = abs(np.linalg.det(crystal.lattice)), 0.1, np.zeros(4)
    for a in range(len(crystal)):
        for shift in np.ndindex(9, 9, 9):
            for b in range(len(crystal)):
                apart = crystal.frac_coords[b] - crystal.frac_coords[a] + np.array(shift) - 4
                r = np.linalg.norm(apart @ crystal.lattice)
                if r > 1e-6:
                    gauss = np.exp(-((grid - r) ** 2) / (2 * sigma**2)) / (sigma * np.sqrt(2 * np.pi))
                    expected += gauss / (4 * np.pi * r**2 * len(crystal) ** 2 / volume)
    np.testing.assert_allclose(pair_correlation(crystal, grid, sigma), expected - 1, atol=1e-9)


def test_pair_correlation_goes_to_zero(made):
    far = pair_correlation(made["MgAl2O4"], np.linspace(20, 24, 30), 0.5)
    assert abs(far).max() < 0.2
    assert abs(far.mean()) < 0.02
    assert pair_correlation(made["NaCl"], np.array([0.5]))[0] == pytest.approx(-1)


@pytest.mark.parametrize(
    ("formula", "system", "order", "inversion"),
    [("NaCl", "cubic", 48, 1), ("TiO2", "tetragonal", 16, 1), ("Si", "cubic", 48, 1)],
)
def test_symmetry_in_the_fingerprint(made, formula, system, order, inversion):
    names = [column.name for column in COLUMNS]
    found = dict(zip(names, fingerprint(made[formula]), strict=True))
    assert found[system] == 1
    assert found["log point group order"] == pytest.approx(np.log(order))
    assert found["centrosymmetric"] == inversion
    assert sum(found[name] for name in names[1:8]) == 1


# --- a type of one's own


def documented() -> str:
    """The example of docs/hypergraphs.md."""
    text = (Path(__file__).resolve().parents[2] / "docs" / "hypergraphs.md").read_text()
    return next(block for block in re.findall(r"```python\n(.*?)```", text, re.S) if "add_hyperedge_type" in block)


@pytest.mark.usefixtures("own_types")
@pytest.mark.parametrize("formula", FORMULAS)
def test_the_type_of_the_documentation(made, formula):
    exec(documented(), {})
    assert "coordination" in hyperedge_types()
    options = HypergraphOptions(hyperedges=("coordination",), n_max=6)
    crystal = made[formula]
    values = np.random.default_rng(2).normal(size=len(crystal.representatives))
    found = find_neighbours(crystal, options)
    expected = np.zeros(len(crystal))
    for centre in range(len(crystal)):
        own = found.receiver == centre
        members = [centre, *found.sender[own]]
        features = one(np.array([own.sum(), found.distance[own].mean()]))
        for i, a in enumerate(members):
            for j, b in enumerate(members):
                if i != j:
                    expected[a] += message(values[crystal.orbits[a]], features, values[crystal.orbits[b]])
    result = on_the_hypergraph(hypergraph(crystal, options), "coordination", values)
    np.testing.assert_allclose(result[crystal.orbits], expected, atol=1e-10 * (1 + abs(expected).max()))


def constant(features: list[list[float]], failures: tuple[str, ...] = ()) -> HyperedgeType:
    n = len(features)
    built = Hyperedges(np.array(features), np.arange(n), np.zeros(n, int), np.ones(n), failures=failures)
    return HyperedgeType("constant", lambda options: (Column("value"),), lambda crystal, options: built)


@pytest.mark.usefixtures("own_types")
@pytest.mark.parametrize("features", [[[np.nan]], [[np.inf]], [[1.0, 2.0]]])
def test_features_that_cannot_be_used(made, features):
    add_hyperedge_type(constant(features))
    with pytest.raises(IrrepnetError, match="Si: constant need 1 finite features"):
        hypergraph(made["Si"], HypergraphOptions(hyperedges=("constant",)))


@pytest.mark.usefixtures("own_types")
def test_failures_are_handed_on(made):
    add_hyperedge_type(constant([[1.0]], ("site 1 (Si, Wyckoff a): too difficult",)))
    graph = hypergraph(made["Si"], HypergraphOptions(hyperedges=("bonds", "constant")))
    assert graph.failures == ("site 1 (Si, Wyckoff a): too difficult",)


def test_unknown_type(made):
    with pytest.raises(IrrepnetError, match="unknown hyperedge type 'triplet'; did you mean triplets"):
        hypergraph(made["Si"], HypergraphOptions(hyperedges=("triplet",)))
