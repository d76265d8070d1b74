"""Site graphs: the fixed subspaces, the edges that stand for others, and the way back to the input's atoms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Structure
from tests.prototypes import STRUCTURES, SYMMORPHIC, crystal_of

from irrepnet.crystals import SymmetricCrystal, input_atoms, model_group, neighbour_shells
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import site_graph
from irrepnet.graphs.frames import operations_in
from irrepnet.graphs.sites import fixed_subspaces
from irrepnet.groups import PointGroup

NAMES = [*STRUCTURES, *SYMMORPHIC]


def site_groups():
    """Every site group of the structure types, as elements of a model group."""
    found = {}
    for name in NAMES:
        crystal = crystal_of(name)
        group = model_group(crystal)
        members = operations_in(group, crystal.point_group)
        for own in crystal.site_groups:
            found[group.name, tuple(members[own].tolist())] = group
    return [(group, own) for (_, own), group in found.items()]


def test_fixed_subspaces_are_those_of_the_trivial_irrep():
    cases = site_groups()
    assert len(cases) > 40
    for group, own in cases:
        counts, basis = fixed_subspaces(group, own)
        rows = np.split(basis, np.cumsum(counts)[:-1])
        for irrep, count, fixed in zip(group.irreps[1:], counts, rows):
            # the trivial irrep's multiplicity, by characters
            assert count == round(irrep.characters[list(own)].mean())
            assert np.allclose(fixed @ fixed.T, np.eye(count), atol=1e-12)
            assert not fixed[:, irrep.dim :].any()
            vectors = fixed[:, : irrep.dim]
            for g in own:
                assert np.allclose(vectors @ irrep.matrices[g].T, vectors, atol=1e-12)


def test_a_site_of_the_whole_group_has_invariants_alone():
    graph = site_graph(crystal_of("perovskite"), PointGroup("m-3m"))
    assert len(graph) == 3
    assert graph.fixed.sum(1).tolist() == [0, 0, 1]  # Sr, Ti in m-3m; O in 4/mmm, which fixes one vector of Eg
    assert graph.multiplicity.tolist() == [1, 1, 3]


@pytest.mark.parametrize("name", NAMES)
def test_edges_stand_for_all_edges(name):
    """Every edge of the crystal is the image of just one kept edge, and so often as it counts."""
    crystal = crystal_of(name)
    group = model_group(crystal)
    graph = site_graph(crystal, group)
    neighbours = neighbour_shells(crystal)
    assert (graph.weight * graph.multiplicity[graph.receiver]).sum() == len(neighbours.receiver)
    for site, a in enumerate(crystal.representatives):
        own = group.operations[operations_in(group, crystal.point_group)[crystal.site_groups[site]]]
        kept = graph.receiver == site
        images = [np.unique((own @ v).round(6) + 0.0, axis=0) for v in graph.vector[kept]]
        assert [len(i) for i in images] == graph.weight[kept].tolist()
        expected = neighbours.vector[neighbours.receiver == a] @ graph.axes[0]
        found = np.concatenate(images)
        assert abs(found[:, None] - expected).max(-1).min(0).max() < 1e-5
        assert len(found) == len(expected)


def test_carriers_lead_from_sites_to_senders():
    """The sender is at vector from the receiver, and the carrier takes the site's surroundings to the sender's."""
    for name in ("spinel", "wurtzite", "baddeleyite"):
        crystal = crystal_of(name)
        group = model_group(crystal)
        graph = site_graph(crystal, group)
        neighbours = neighbour_shells(crystal)
        around = [neighbours.vector[neighbours.receiver == a] @ graph.axes[0] for a in range(len(crystal))]
        places = crystal.cart_coords @ graph.axes[0]
        for edge in range(len(graph.receiver)):
            target = places[crystal.representatives[graph.receiver[edge]]] + graph.vector[edge]
            apart = (target - places) @ graph.axes[0].T @ np.linalg.inv(crystal.lattice)
            b = abs(apart - np.rint(apart)).max(1).argmin()
            assert crystal.orbits[b] == graph.sender[edge]
            home = around[crystal.representatives[graph.sender[edge]]] @ group.operations[graph.carrier[edge]].T
            assert abs(home[:, None] - around[b]).max(-1).min(1).max() < 1e-6


def test_less_symmetry_keeps_more_sites():
    crystal = crystal_of("rutile")
    group = model_group(crystal)
    everything = site_graph(crystal, group, symmetry=np.array([0]))
    assert len(everything) == len(crystal)
    assert (everything.fixed == [irrep.dim for irrep in group.irreps[1:]]).all()
    inversion = crystal.point_group.index(-np.eye(3))
    halved = site_graph(crystal, group, symmetry=np.array([0, inversion]))
    assert len(crystal.representatives) < len(halved) < len(crystal)


def test_errors_say_what_is_wrong():
    crystal = crystal_of("rutile")
    with pytest.raises(IrrepnetError, match="indices of a subgroup"):
        site_graph(crystal, model_group(crystal), symmetry=np.array([0, 1, 2]))
    with pytest.raises(IrrepnetError, match="indices of a subgroup"):
        site_graph(crystal, model_group(crystal), symmetry=np.array([0, 99]))
    with pytest.raises(IrrepnetError, match="6/mmm"):
        site_graph(crystal_of("wurtzite"), PointGroup("m-3m"))
    with pytest.raises(IrrepnetError, match="is not the crystal"):
        input_atoms(crystal, Structure(crystal.lattice, ["Ti"], [[0, 0, 0]]))
    turned = Structure(crystal.lattice[:, [1, 2, 0]], crystal.species, crystal.frac_coords)
    with pytest.raises(IrrepnetError, match="is not the crystal"):
        input_atoms(crystal, turned)


def other_description(crystal: SymmetricCrystal, rng: np.random.Generator) -> Structure:
    """The crystal as a supercell, turned, shifted, with its atoms in another order."""
    made = Structure(crystal.lattice, crystal.species, crystal.frac_coords)
    made.make_supercell([[1, 1, 0], [0, 1, 0], [0, 0, 2]])
    made.translate_sites(range(len(made)), rng.uniform(size=3))
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    rotation *= np.linalg.det(rotation)
    order = rng.permutation(len(made))
    return Structure(made.lattice.matrix @ rotation.T, [made[i].specie for i in order], made.frac_coords[order])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([name for name in NAMES if name != "garnet"]))
def test_input_atoms_have_the_environments_of_the_crystals(seed, name):
    rng = np.random.default_rng(seed)
    source = other_description(crystal_of(name), rng)
    crystal = SymmetricCrystal.from_structure(source)
    found = input_atoms(crystal, source)
    assert (np.bincount(found) == 2).all()
    assert [crystal.species[a] for a in found] == [site.specie.symbol for site in source]
    neighbours = neighbour_shells(crystal)
    for i in rng.choice(len(source), 2):
        reach = neighbours.distance[neighbours.receiver == found[i]].max() + 1e-4
        around = np.array([n.coords for n in source.get_neighbors(source[i], reach)]) - source[i].coords
        expected = neighbours.vector[neighbours.receiver == found[i]] @ crystal.rotation.T
        assert len(around) == len(expected)
        assert abs(around[:, None] - expected).max(-1).min(1).max() < 1e-4
