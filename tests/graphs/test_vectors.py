"""The asymmetric-unit form of vector graphs against a plain list of neighbours."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from irrepnet.crystals import SymmetricCrystal, find_neighbours, neighbour_shells
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import HypergraphOptions, VectorGraphOptions, vector_graph
from irrepnet.groups import crystallographic_operations

STRUCTURES = {
    "spinel": ("Fd-3m:2", Lattice.cubic(8.08), ["Mg", "Al", "O"], [[1 / 8] * 3, [1 / 2] * 3, [0.2624] * 3]),
    "perovskite": ("Pm-3m", Lattice.cubic(3.905), ["Sr", "Ti", "O"], [[0] * 3, [0.5] * 3, [0.5, 0.5, 0]]),
    "rutile": ("P4_2/mnm", Lattice.tetragonal(4.594, 2.959), ["Ti", "O"], [[0, 0, 0], [0.3053, 0.3053, 0]]),
    "wurtzite": ("P6_3mc", Lattice.hexagonal(3.25, 5.2), ["Zn", "O"], [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.382]]),
    "quartz": ("P3_221", Lattice.hexagonal(4.91, 5.4), ["Si", "O"], [[0.47, 0, 2 / 3], [0.41, 0.27, 0.78]]),
    "pyrite": ("Pa-3", Lattice.cubic(5.42), ["Fe", "S"], [[0] * 3, [0.385] * 3]),
    "monoclinic": ("P2_1/c", Lattice.monoclinic(5.1, 5.2, 5.3, 99), ["Zr", "O"], [[0.27, 0, 0.2], [0.07, 0.33, 0.3]]),
    "triclinic": ("P1", Lattice.from_parameters(4, 4.7, 5.3, 82, 95, 107), ["Li", "F"], [[0, 0, 0], [0.4, 0.5, 0.6]]),
}  # fmt: skip


@cache
def crystal(name):
    symbol, lattice, species, coords = STRUCTURES[name]
    return SymmetricCrystal.from_structure(Structure.from_spacegroup(symbol, lattice, species, coords))


def operations_of(set_):
    return np.flatnonzero(set_ >> np.arange(64, dtype=np.uint64) & np.uint64(1))


@pytest.mark.parametrize("neighbours", ["shells", "cutoff", "voronoi"])
@pytest.mark.parametrize("name", STRUCTURES)
def test_edges_unfold_to_all_neighbours(name, neighbours):
    """The site group turns a node's edges into the neighbours of its atom, each with its weight."""
    c = crystal(name)
    options = VectorGraphOptions(cutoff=5.0, neighbours=neighbours)
    graph = vector_graph(c, options)
    found = find_neighbours(c, HypergraphOptions(cutoff=5.0, neighbours=neighbours))
    assert graph.multiplicity.sum() == len(c)
    for node, atom in enumerate(c.representatives):
        operations = crystallographic_operations()[operations_of(graph.sets[graph.site_group[node]])]
        own = np.flatnonzero(graph.receiver == node)
        expected = found.receiver == atom
        assert np.isclose(graph.weight[own].sum(), found.weight[expected].sum())
        assert np.isclose(graph.nearest[node], found.distance[expected].min())
        unfolded = np.concatenate([np.unique((operations @ graph.vector[e]).round(6) + 0.0, axis=0) for e in own])
        listed = np.unique(found.vector[expected].round(6) + 0.0, axis=0)
        assert len(unfolded) == len(listed) == len(np.unique(unfolded, axis=0))
        assert np.abs(unfolded[:, None] - listed).max(-1).min(1).max() < 2e-6


@pytest.mark.parametrize("name", STRUCTURES)
def test_the_operation_of_an_edge_leads_to_the_atom_that_sends(name):
    c = crystal(name)
    graph = vector_graph(c)
    operations = crystallographic_operations()
    for receiver, sender, operation, vector in zip(graph.receiver, graph.sender, graph.operation, graph.vector):
        assert graph.numbers[sender] == c.numbers[c.representatives[sender]]
        k = int(np.abs(c.point_group.operations - operations[operation]).max((1, 2)).argmin())
        image = c.rotations[k] @ c.frac_coords[c.representatives[sender]] + c.translations[k]
        there = c.frac_coords[c.representatives[receiver]] + vector @ np.linalg.inv(c.lattice)
        difference = image - there
        assert np.abs(difference - difference.round()).max() < 1e-9


@pytest.mark.parametrize("name", ["spinel", "quartz"])
def test_atoms(name):
    c = crystal(name)
    graph = vector_graph(c, VectorGraphOptions(form="atoms"))
    found = neighbour_shells(c)
    assert len(graph) == len(c)
    assert np.array_equal(np.sort(graph.receiver), found.receiver)
    assert (graph.weight == 1).all()
    assert (graph.operation == 0).all()
    assert operations_of(graph.sets[graph.crystal_group[0]]).tolist() == [0]
    own = vector_graph(c)
    assert len(own) == len(c.representatives)
    assert len(operations_of(own.sets[own.crystal_group[0]])) == c.point_group.order


def test_bad_options():
    c = crystal("rutile")
    with pytest.raises(IrrepnetError, match="unknown form"):
        vector_graph(c, VectorGraphOptions(form="orbits"))  # type: ignore[arg-type]
    options = VectorGraphOptions(neighbours="n-max", n_max=4)
    with pytest.raises(IrrepnetError, match="break the symmetry"):
        vector_graph(c, options)
    assert (np.bincount(vector_graph(c, replace(options, form="atoms")).receiver) == 4).all()
