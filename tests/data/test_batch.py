import numpy as np
import torch
from pymatgen.core import Lattice, Structure

from irrepnet.crystals import SymmetricCrystal, frame_rotation
from irrepnet.data import embedded
from irrepnet.data.batch import prepare, union
from irrepnet.graphs import (
    FrameOptions,
    HypergraphOptions,
    VectorGraphOptions,
    frame_graph,
    hypergraph,
    network_graph,
    vector_graph,
)
from irrepnet.groups import POINT_GROUPS, PointGroup
from irrepnet.nn.sets import members

OH = PointGroup("m-3m")


def oh_graph(crystal):
    return frame_graph(crystal, OH)


def test_bad_crystals_are_listed_and_stop_nothing():
    records = embedded("formation_energy_2015")[:60]
    kept, graphs, rejected = prepare(records, oh_graph, point_groups=["m-3m"])
    assert len(kept) == len(graphs) > 0
    assert len(kept) + len(rejected) == 60
    reasons = {r.id: r.reason for r in rejected}
    for record in records:
        group = record.properties["point_group"]
        assert (record in kept) == (group == "m-3m")
        assert record in kept or reasons[record.id].startswith("point group ")
    everything = prepare(records, oh_graph)[0]
    assert len(everything) > len(kept)  # all subgroups of O_h
    assert prepare([], oh_graph) == ([], [], [])


def test_numbers_run_through():
    _, graphs, _ = prepare(embedded("formation_energy_2015")[:60], oh_graph, point_groups=["m-3m"])
    batch = union(graphs)
    assert batch.size == len(graphs)
    assert torch.equal(batch.crystal.unique(), torch.arange(len(graphs)))
    pairs = batch.segments["m-3m"]
    for index in (batch.receiver, batch.sender, pairs.receiver, pairs.sender):
        assert index.min() == 0
        assert index.max() == len(batch.numbers) - 1
    assert torch.equal(batch.crystal[batch.receiver], batch.crystal[batch.sender])
    assert (batch.receiver.diff() >= 0).all()
    # the sets of a node partition the group
    sets = members(pairs.sets, 48)
    counts = torch.zeros(len(batch.numbers), 48, dtype=torch.int64).index_add(0, pairs.receiver, sets[pairs.set])
    assert torch.equal(counts, torch.ones_like(counts))
    assert len(pairs.sets.unique()) == len(pairs.sets)
    double = batch.to(dtype=torch.float64)
    assert double.vector.dtype == torch.float64
    assert double.receiver.dtype == torch.int64


def test_groups_lie_side_by_side_and_orbit_graphs_last():
    options = FrameOptions(max_frames=3)
    _, graphs, _ = prepare(embedded("formation_energy_2015")[:80], lambda c: network_graph(c, options))
    assert {graph.group for graph in graphs} == {"m-3m", "6/mmm", ""}
    batch = union(graphs, torch.float64)
    assert len(batch.numbers) == sum(map(len, graphs))
    for name, segment in batch.segments.items():
        own = torch.tensor([k for k, graph in enumerate(graphs) if graph.group == name])
        assert torch.equal(batch.crystal[batch.receiver[segment.edges]].unique(), own)
        assert torch.equal(batch.crystal[segment.nodes].unique(), own)
        assert torch.equal(batch.crystal[segment.receiver], batch.crystal[segment.sender])
        assert torch.equal(batch.crystal[segment.receiver].unique(), own)
        assert segment.classes.stop == batch.edge_class[segment.edges].max() + 1
        assert torch.equal(segment.set.unique(), torch.arange(len(segment.sets)))
        assert not members(segment.sets)[:, PointGroup(name).order :].any()
    framed = max(segment.edges.stop for segment in batch.segments.values())
    assert torch.equal(batch.edge[:framed], torch.arange(framed))
    assert (batch.weight[:framed] == 1).all()
    for k, graph in enumerate(graphs):
        assert torch.equal(batch.numbers[batch.crystal == k], torch.from_numpy(graph.numbers.astype(np.int64)))
        assert batch.point_group_number[k] == graph.point_group_number[0]
        assert batch.symmetry[k] == graph.symmetry.view(np.int64)[0]
    single = batch.to(dtype=torch.float32)
    assert single.weight.dtype == torch.float32
    assert single.segments["m-3m"].sets.dtype == torch.int64


def test_translations_are_those_of_the_group():
    """The sets, written out as a table, act on the nodes as right translation: T_h T_k = T_hk in that order."""
    record = next(r for r in embedded("formation_energy_2015") if r.properties["point_group"] == "4/mmm")
    for form in ("one-frame", "full", "asymmetric-unit"):
        graph = frame_graph(SymmetricCrystal.from_structure(record), OH, form=form)
        table = np.full((48, len(graph)), -1)
        pairs = graph.segments["m-3m"]
        for receiver, sender, bits in zip(pairs.receiver, pairs.sender, pairs.sets[pairs.set]):
            for k in range(48):
                if int(bits) >> k & 1:
                    table[k, receiver] = sender
        assert (table >= 0).all()
        for h, k in [(3, 7), (12, 40), (31, 5)]:
            # (g, a) -> (g h, a) -> (g h k, a)
            np.testing.assert_array_equal(table[k][table[h]], table[OH.multiplication[h, k]])


def test_hypergraphs_with_directions_hold_vector_graphs():
    crystals = [SymmetricCrystal.from_structure(r) for r in embedded("formation_energy_2015")[:5]]
    options = HypergraphOptions(directions=True, neighbours="nearest", scale=1.3)
    batch = union([hypergraph(crystal, options) for crystal in crystals])
    plain = union([vector_graph(c, VectorGraphOptions(neighbours="nearest", scale=1.3)) for c in crystals])
    assert batch.vectors is not None
    assert torch.equal(batch.vectors.vector, plain.vector)
    assert torch.equal(batch.vectors.numbers, batch.numbers)
    assert torch.equal(batch.vectors.crystal, batch.crystal)
    double = batch.to(dtype=torch.float64)
    assert double.vectors is not None
    assert double.vectors.vector.dtype == torch.float64
    assert union([hypergraph(crystal) for crystal in crystals]).vectors is None


def test_axes_lead_to_the_standard_frame():
    """Whatever the form, the vectors of a graph turned by its axes are bonds of the crystal in its standard frame."""
    cells = {
        "Fm-3m": Lattice.cubic(5.6),
        "P6_3mc": Lattice.hexagonal(3.25, 5.2),
        "Pmm2": Lattice.orthorhombic(5.4, 7.6, 5.3),
        "Pm": Lattice.monoclinic(5.1, 5.2, 5.3, 99),
        "P1": Lattice.from_parameters(4.1, 4.7, 5.3, 82, 95, 107),
    }
    made = [Structure.from_spacegroup(s, a, ["Ti"], [[0, 0, 0]]) for s, a in cells.items()]
    crystals = [SymmetricCrystal.from_structure(structure) for structure in made]
    assert [abs(frame_rotation(crystal) - np.eye(3)).max() > 0.01 for crystal in crystals] == [False] * 3 + [True] * 2
    for crystal in crystals:
        bonds = crystal.point_group.operations @ network_graph(crystal, FrameOptions(max_frames=0)).vector.T
        bonds = np.concatenate(bonds, 1).T
        for max_frames in (0, 48):
            batch = union([network_graph(crystal, FrameOptions(max_frames=max_frames))], torch.float64)
            axes = batch.axes[batch.receiver[batch.edge]].numpy()
            vectors = np.einsum("vij,vj->vi", axes, batch.vector.numpy())
            assert np.abs(vectors[:, None] - bonds).max(-1).min(1).max() < 1e-6
            assert int(members(batch.symmetry).sum()) == crystal.point_group.order
            group = PointGroup(POINT_GROUPS[batch.point_group_number[0]])
            assert group.schoenflies == crystal.point_group.schoenflies
