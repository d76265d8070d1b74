"""A union taken apart: for random real crystals and every kind of graph, its rows are those of the single graphs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from tests.conftest import MP_2018, mp_2018_lines

from irrepnet.crystals import SymmetricCrystal, model_group
from irrepnet.data import Record, embedded
from irrepnet.data.batch import union
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import (
    FORMS,
    VECTOR_FORMS,
    Blend,
    BrokenGraph,
    FrameOptions,
    Graph,
    HypergraphOptions,
    Part,
    Perturbation,
    VectorGraphOptions,
    blend,
    broken_graph,
    frame_graph,
    hypergraph,
    network_graph,
    orbit_graph,
    parent_of,
    site_graph,
    unperturbed,
    vector_graph,
)
from irrepnet.groups import POINT_GROUPS, PointGroup
from irrepnet.models import (
    CHGCNNConfig,
    CovariantConfig,
    EnergyConfig,
    EnergyNet,
    PointGroupConfig,
    SiteSymmetryConfig,
    SiteSymmetryNet,
    build_model,
)
from irrepnet.models.energy import perturbed_batch
from irrepnet.tensors import CartesianTensor

POOL, ATOMS = 40, 14
"""So many crystals of each point group, with so many atoms or as few as there are, among which hypothesis chooses."""
MIXED = FrameOptions(max_frames=2)
CONTINUOUS = FrameOptions(max_frames=2, continuous=True)


@cache
def pool() -> dict[str, list[Structure | Record]]:
    """Real crystals by point group: of mp_2018, which has all 32, or of the embedded sets, which may lack some."""
    found: dict[str, list[Structure | Record]] = {}
    if MP_2018.exists():
        for line in sorted(mp_2018_lines(), key=lambda line: max(ATOMS, len(line["species"]))):
            if len(own := found.setdefault(line["point_group"], [])) < POOL:
                own.append(Structure(Lattice.from_parameters(*line["cell"]), line["species"], line["frac_coords"]))
        assert len(found) == len(POINT_GROUPS)
    else:
        for name in ("formation_energy_2015", "piezoelectric_tensor", "dielectric_constant"):
            for record in sorted(embedded(name), key=lambda record: max(ATOMS, len(record.species))):
                found.setdefault(record.properties["point_group"], []).append(record)
    return {name: own[:POOL] for name, own in found.items()}


@cache
def crystal(group: str, k: int) -> SymmetricCrystal:
    return SymmetricCrystal.from_structure(pool()[group][k])


@st.composite
def crystals(draw, at_most: int = 4) -> list[SymmetricCrystal]:
    """Some crystals of any point groups, in any order, one of them perhaps twice."""
    names = draw(st.lists(st.sampled_from(sorted(pool())), min_size=1, max_size=at_most))
    chosen = [crystal(name, draw(st.integers(0, len(pool()[name]) - 1))) for name in names]
    return draw(st.permutations(chosen))


# --- the reference: a union taken apart, row by row


def starts(lengths: Sequence[int]) -> list[int]:
    return [sum(lengths[:k]) for k in range(len(lengths))]


def assert_parts(whole: Part, parts: Sequence[Part], outer: Mapping[str, Sequence[int]], dtype: torch.dtype) -> None:
    """``whole`` is made of the rows of the parts, one part after the other; numbers count from the part's first row.

    ``outer`` says where in the whole graph the rows of each part begin that are not the part's own.
    """
    declared = {field.name: field.metadata for field in fields(whole)}
    first = dict(outer)
    for name, meta in declared.items():
        if "of" in meta and meta["of"] not in outer:
            first[meta["of"]] = starts([len(getattr(part, name)) for part in parts])
    sets = {meta["of"]: name for name, meta in declared.items() if meta.get("distinct")}
    for name, meta in declared.items():
        value, values = getattr(whole, name), [getattr(part, name) for part in parts]
        if meta.get("distinct"):
            rising = value.numpy().view(np.uint64)
            assert (rising[1:] > rising[:-1]).all(), name
            assert set(rising.tolist()) == {int(row) for own in values for row in own}, name
        elif "of" in meta:
            assert_rows(name, meta, whole, parts, first, sets, dtype)
        elif "span" in meta:
            of = meta["span"]
            ends = [(first[of][k] + own.start, first[of][k] + own.stop) for k, own in enumerate(values)]
            assert all(stop == start for (_, stop), (start, _) in pairwise(ends)), f"{name} are not side by side"
            assert (value.start, value.stop) == (ends[0][0], ends[-1][1]), name
        elif isinstance(value, dict):
            assert set(value) == {key for own in values for key in own}, name
            for key, part in value.items():
                own = [k for k, found in enumerate(values) if key in found]
                within = {of: [start[k] for k in own] for of, start in first.items()}
                assert_parts(part, [values[k][key] for k in own], within, dtype)
        elif isinstance(value, Part):
            assert_parts(value, values, first, dtype)
        elif name == "size":
            assert value == len(parts)
        elif not meta.get("alone"):
            assert all(own == value for own in values), name


def assert_rows(
    name: str,
    meta: Mapping[str, Any],
    whole: Part,
    parts: Sequence[Part],
    first: Mapping[str, Sequence[int]],
    sets: Mapping[str, str],
    dtype: torch.dtype,
) -> None:
    rows, numbered = getattr(whole, name), meta["numbering"]
    assert len(rows) == sum(len(getattr(part, name)) for part in parts), name
    for k, part in enumerate(parts):
        wanted = torch.from_numpy(np.array(getattr(part, name)))
        own = rows[first[meta["of"]][k] :][: len(wanted)]
        if wanted.is_floating_point():
            assert torch.equal(own, wanted.to(dtype)), name
        elif numbered in sets:  # the sets themselves are the same, wherever they are
            found = getattr(whole, sets[numbered])[own].numpy().view(np.uint64)
            assert found.tolist() == getattr(part, sets[numbered])[wanted.numpy()].tolist(), name
        else:
            local = own - (first[numbered][k] if numbered else 0)
            assert local.tolist() == wanted.numpy().view(np.int64).tolist(), name


def assert_union(whole: Graph[Any], graphs: Sequence[Graph], dtype: torch.dtype = torch.float64) -> None:
    """Crystals are in the order of the graphs, all other rows in that of their places."""
    order = sorted(range(len(graphs)), key=lambda k: graphs[k].place)
    assert_parts(whole, [graphs[k] for k in order], {"crystal": order}, dtype)
    for part in (whole.to(dtype=torch.float32), whole.to(dtype=torch.float64)):
        assert_moved(whole, part)


def assert_moved(before: Any, after: Any) -> None:
    """All that is real has moved, and nothing else."""
    if isinstance(before, torch.Tensor):
        if before.is_floating_point():
            assert after.dtype in (torch.float32, torch.float64)
            assert torch.equal(after, before.to(after.dtype))
        else:
            assert before.dtype == after.dtype == torch.int64
            assert torch.equal(after, before)
    elif isinstance(before, Part):
        assert type(before) is type(after)
        reals = [getattr(after, f.name) for f in fields(after)]
        kinds = {value.dtype for value in reals if isinstance(value, torch.Tensor) and value.is_floating_point()}
        assert len(kinds) <= 1
        for field in fields(before):
            assert_moved(getattr(before, field.name), getattr(after, field.name))
    elif isinstance(before, dict):
        assert before.keys() == after.keys()
        for key, value in before.items():
            assert_moved(value, after[key])
    else:
        assert after is before or after == before


# --- the kinds of graphs, and a network that reads each


@dataclass(frozen=True)
class Kind:
    """A kind of graphs: crystals → graphs that go together, and what a network says of a batch, a row a crystal."""

    graphs: Callable[[Sequence[SymmetricCrystal]], list[Any]]
    network: Callable[[], Callable[[Any], torch.Tensor]]


def awake(net: torch.nn.Module) -> torch.nn.Module:
    """In float64, with weights that matter where training would start from zero."""
    for weights in net.parameters():
        if not weights.any():
            torch.nn.init.normal_(weights)
    return net.double().eval().requires_grad_(False)


@cache
def built(config: Any, options: Any = None, tensors: tuple[CartesianTensor, ...] = ()) -> torch.nn.Module:
    torch.manual_seed(0)
    return awake(build_model(config, 2, options or config.reads(**config.graph_fields), tensors))


def point_group_net() -> torch.nn.Module:
    return built(PointGroupConfig(channels=8, layers=1))


@cache
def site_net() -> Callable[[Any], torch.Tensor]:
    torch.manual_seed(0)
    config = SiteSymmetryConfig(group="m-3m", channels=8, covariants=2, layers=1)
    net = awake(SiteSymmetryNet(config, {"charge": "scalar", "born": "ij"}, ("born",)))

    def sums(batch: Any) -> torch.Tensor:
        of_sites = torch.cat(
            [value.flatten(1) if value.ndim > 1 else value[:, None] for value in net(batch).values()], 1
        )
        return of_sites.new_zeros(batch.size, of_sites.shape[1]).index_add(0, batch.crystal, of_sites)

    return sums


HYPEREDGES = HypergraphOptions(hyperedges=("bonds", "triplets", "cell"), neighbours="nearest", scale=1.3)
DIRECTIONS = replace(HYPEREDGES, hyperedges=("cell", "bonds"), directions=True)


def hypergraph_net(options: HypergraphOptions) -> torch.nn.Module:
    config = CHGCNNConfig(channels=8, layers=1, hyperedges=options.hyperedges)
    return built(config, options, (CartesianTensor("ij=ji"),) if options.directions else ())


def of_one_group(found: Sequence[SymmetricCrystal]) -> list[Any]:
    """The sites of the crystals that lie in m-3m, of every other one without use of its symmetry."""
    own = [one for one in found if model_group(one).name == "m-3m"] or [crystal("m-3m", 0)]
    return [
        site_graph(one, PointGroup("m-3m"), symmetry=np.zeros(1, int) if k % 2 else None) for k, one in enumerate(own)
    ]


KINDS = {
    "the three forms": Kind(
        lambda found: [frame_graph(c, model_group(c), form=FORMS[k % 3]) for k, c in enumerate(found)], point_group_net
    ),
    "frames and orbits": Kind(
        lambda found: [(orbit_graph if k % 3 == 2 else network_graph)(c, MIXED) for k, c in enumerate(found)],
        point_group_net,
    ),
    "blends": Kind(lambda found: [blend(c, CONTINUOUS) for c in found], point_group_net),
    "hypergraphs": Kind(lambda found: [hypergraph(c, HYPEREDGES) for c in found], lambda: hypergraph_net(HYPEREDGES)),
    "hypergraphs with directions": Kind(
        lambda found: [hypergraph(c, DIRECTIONS) for c in found], lambda: hypergraph_net(DIRECTIONS)
    ),
    "vectors": Kind(
        lambda found: [
            vector_graph(c, VectorGraphOptions(form=VECTOR_FORMS[k % 2], neighbours="nearest", scale=1.3))
            for k, c in enumerate(found)
        ],
        lambda: built(
            CovariantConfig(channels=8, layers=1, moment_channels=4, l_max=2), None, (CartesianTensor("ij=ji"),)
        ),
    ),
    "sites": Kind(of_one_group, site_net),
}


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=20)
@given(crystals(), st.sampled_from([torch.float32, torch.float64]))
def test_taken_apart(name, found, dtype):
    graphs = KINDS[name].graphs(found)
    whole = union(graphs, dtype)
    if isinstance(graphs[0], Blend):
        sizes = [len(one.graphs) for one in graphs]
        assert whole.blend.shape == (len(graphs), sum(sizes))
        for k, one in enumerate(graphs):
            weights = torch.zeros(sum(sizes), dtype=dtype)
            weights[starts(sizes)[k] :][: sizes[k]] = torch.from_numpy(one.weights).to(dtype)
            assert torch.equal(whole.blend[k], weights)
        graphs = [graph for one in graphs for graph in one.graphs]
    assert_union(whole, graphs, dtype)


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=8)
@given(crystals(at_most=3))
def test_outputs_are_those_of_single_graphs(name, found):
    graphs, network = KINDS[name].graphs(found), KINDS[name].network()
    together = network(union(graphs, torch.float64))
    alone = torch.cat([network(union([graph], torch.float64)) for graph in graphs])
    assert together.shape == alone.shape
    assert (together - alone).abs().max() < 1e-9 * max(1.0, float(alone.abs().max()))


# --- perturbed parents


def perturbed(found: Sequence[SymmetricCrystal], group: PointGroup, seed: int) -> list[BrokenGraph]:
    """Graphs of parents with perturbations that break all symmetry, some of it or none, two of the first parent."""
    random = np.random.default_rng(seed)
    parents = [parent_of(one) for one in found[:2]]
    graphs = []
    for k, parent in enumerate([*parents, parents[0]]):
        n = len(parent)
        perturbation = (
            Perturbation(displacements=0.1 * random.normal(size=(n, 3)), field=random.normal(size=3)),
            Perturbation(strain=0.01 * np.diag([1.0, 1.0, -1.0])),
            Perturbation(moments=random.normal(size=(n, 3))),
        )[(k + seed) % 3]
        graphs.append(broken_graph(parent, perturbation, group, "full" if seed % 5 == 0 and n < 9 else "one-frame"))
    return [graphs[k] for k in random.permutation(len(graphs))]


@settings(max_examples=20)
@given(crystals(at_most=2), st.sampled_from(["1", "-42m", "m-3"]), st.integers(0, 99))
def test_perturbed_parents_taken_apart(found, name, seed):
    group = PointGroup(name)
    graphs = perturbed(found, group, seed)
    whole = perturbed_batch(graphs, group)
    parents = list({id(graph.parent): graph.parent for graph in graphs}.values())
    assert_union(whole, [*graphs, *(unperturbed(parent, group) for parent in parents)])
    assert whole.reference is not None
    for graph, reference in zip(graphs, whole.reference.tolist()):
        assert parents[reference - len(graphs)] is graph.parent


@settings(max_examples=8)
@given(crystals(at_most=2), st.integers(0, 99))
def test_energies_are_those_of_single_graphs(found, seed):
    torch.manual_seed(0)
    net = EnergyNet(EnergyConfig(group="-42m", channels=6, moments=3, layers=1)).double()
    for weights in net.parameters():
        if not weights.any():
            torch.nn.init.normal_(weights, std=0.1)
    graphs = perturbed(found, net.group, seed)
    together = net.response(perturbed_batch(graphs, net.group))
    alone = [net.response(perturbed_batch([graph], net.group)) for graph in graphs]
    for name, values in together._asdict().items():
        one_by_one = torch.cat([getattr(each, name) for each in alone])
        assert (values - one_by_one).abs().max() < 1e-9 * max(1.0, float(one_by_one.abs().max())), name


# --- what is no union


def test_what_differs_and_has_no_rows_is_refused():
    cubic, rutile = crystal("m-3m", 0), crystal("4/mmm", 0)
    with pytest.raises(IrrepnetError, match="one group, not 4/mmm and m-3m; make one of each"):
        union([site_graph(cubic, PointGroup("m-3m")), site_graph(rutile, PointGroup("4/mmm"))])
    graphs = [hypergraph(cubic, DIRECTIONS), hypergraph(rutile, replace(DIRECTIONS, directions=False))]
    for order in (graphs, graphs[::-1]):
        with pytest.raises(IrrepnetError, match="one vectors, not None and VectorGraph"):
            union(order)


def test_graphs_of_several_kinds_are_refused():
    cubic = crystal("m-3m", 0)
    graphs = [frame_graph(cubic, PointGroup("m-3m")), vector_graph(cubic, VectorGraphOptions(form="atoms"))]
    with pytest.raises(IrrepnetError, match="graphs of one kind, not FrameGraph and VectorGraph"):
        union(graphs)
    with pytest.raises(IrrepnetError, match="graphs of one kind, not Blend and FrameGraph"):
        union([graphs[0], blend(cubic, CONTINUOUS)])
    with pytest.raises(IrrepnetError, match="there are no graphs"):
        union([])
