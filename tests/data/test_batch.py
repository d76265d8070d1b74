import numpy as np
import torch

from irrepnet.crystals import SymmetricCrystal, frame_graph
from irrepnet.data import embedded
from irrepnet.data.batch import collate, prepare
from irrepnet.groups import PointGroup

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
    batch = collate(graphs)
    assert batch.size == len(graphs)
    assert torch.equal(batch.crystal.unique(), torch.arange(len(graphs)))
    for index in (batch.receiver, batch.sender, batch.orbit_receiver, batch.orbit_sender):
        assert index.min() == 0
        assert index.max() == len(batch.numbers) - 1
    assert torch.equal(batch.crystal[batch.receiver], batch.crystal[batch.sender])
    assert (batch.receiver.diff() >= 0).all()
    # the sets of a node partition the group
    counts = torch.zeros(len(batch.numbers), 48).index_add(0, batch.orbit_receiver, batch.sets[batch.orbit_set])
    assert torch.equal(counts, torch.ones_like(counts))
    double = batch.to(dtype=torch.float64)
    assert double.vector.dtype == torch.float64
    assert double.receiver.dtype == torch.int64


def test_translations_are_those_of_the_group():
    """The sets, written out as a table, act on the nodes as right translation: T_h T_k = T_hk in that order."""
    record = next(r for r in embedded("formation_energy_2015") if r.properties["point_group"] == "4/mmm")
    for form in ("one-frame", "full", "asymmetric-unit"):
        graph = frame_graph(SymmetricCrystal.from_structure(record), OH, form=form)
        table = np.full((48, len(graph)), -1)
        for receiver, sender, bits in zip(graph.orbit_receiver, graph.orbit_sender, graph.orbit_set):
            for k in range(48):
                if int(bits) >> k & 1:
                    table[k, receiver] = sender
        assert (table >= 0).all()
        for h, k in [(3, 7), (12, 40), (31, 5)]:
            # (g, a) -> (g h, a) -> (g h k, a)
            np.testing.assert_array_equal(table[k][table[h]], table[OH.multiplication[h, k]])
