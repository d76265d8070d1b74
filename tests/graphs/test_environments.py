"""Environments with equal bonds and different geometry: the distance graph is the same, the hypergraph is not."""

import numpy as np
import pytest
from tests.environments import PAIRS, diamond, lonsdaleite

from irrepnet.crystals import SymmetricCrystal
from irrepnet.graphs import HypergraphOptions, hypergraph


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Descriptors are computed anew, and the user's cache is left alone."""
    monkeypatch.setenv("IRREPNET_CACHE", str(tmp_path))


def seen(crystal: SymmetricCrystal, name: str, n_max: int) -> list[list[tuple]]:
    """For each orbit: its share of the atoms, element, and its incidences with features and the others' elements."""
    graph = hypergraph(crystal, HypergraphOptions(hyperedges=(name,), n_max=n_max))
    part = graph.types[name]
    orbits = []
    for node in range(len(graph)):
        incidences = []
        for i in np.flatnonzero(part.node == node):
            others = part.incidence == i
            elements = sorted(zip(graph.numbers[part.other[others]], part.other_weight[others].round(9), strict=True))
            incidences.append((*part.features[part.edge[i]].round(6) + 0.0, round(part.weight[i], 6), elements))
        share = graph.multiplicity[node] / graph.multiplicity.sum()
        orbits.append([(share, graph.numbers[node]), *sorted(incidences)])
    return sorted(orbits)


def both(pair: str) -> tuple[SymmetricCrystal, SymmetricCrystal, int]:
    first, second, n_max = PAIRS[pair]
    return SymmetricCrystal.from_structure(first()), SymmetricCrystal.from_structure(second()), n_max


@pytest.mark.parametrize("pair", PAIRS)
def test_bonds_are_equal(pair):
    first, second, n_max = both(pair)
    assert seen(first, "bonds", n_max) == seen(second, "bonds", n_max)


@pytest.mark.parametrize("pair", PAIRS)
def test_triplets_and_the_cell_differ(pair):
    first, second, n_max = both(pair)
    assert seen(first, "triplets", n_max) != seen(second, "triplets", n_max)
    assert seen(first, "cell", n_max) != seen(second, "cell", n_max)


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if not pair.startswith("diamond")])
def test_motifs_differ(pair):
    first, second, n_max = both(pair)
    assert seen(first, "motifs", n_max) != seen(second, "motifs", n_max)


def angles(crystal: SymmetricCrystal, n_max: int) -> dict[int, float]:
    """Degrees → how many triplets an atom of the first orbit is the centre of, for one with a single shell."""
    part = hypergraph(crystal, HypergraphOptions(hyperedges=("triplets",), n_max=n_max)).types["triplets"]
    counted: dict[int, float] = {}
    for i in np.flatnonzero(part.node == 0):
        angle = round(float(np.degrees(np.arccos(part.features[part.edge[i], 0]))))
        counted[angle] = counted.get(angle, 0) + part.weight[i] / 3
    return {angle: round(number, 9) for angle, number in sorted(counted.items())}


def test_angles_of_close_packings():
    """Textbook: a cuboctahedron and an anticuboctahedron. An atom is in three times as many as it is the centre of."""
    cubic, hexagonal, n_max = both("cubic, hexagonal close packing")
    assert angles(cubic, n_max) == {60: 24, 90: 12, 120: 24, 180: 6}
    assert angles(hexagonal, n_max) == {60: 24, 90: 12, 109: 3, 120: 18, 146: 6, 180: 3}


def test_the_first_shells_of_diamond_and_lonsdaleite_are_equal():
    """A limit of what sees first shells alone: the same tetrahedron. The cell, which sees farther, differs."""
    first, second = SymmetricCrystal.from_structure(diamond()), SymmetricCrystal.from_structure(lonsdaleite())
    for name in ("bonds", "triplets", "motifs"):
        assert seen(first, name, 4) == seen(second, name, 4)
    assert seen(first, "cell", 4) != seen(second, "cell", 4)
