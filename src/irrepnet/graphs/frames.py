"""A symmetric crystal as the graph on which a point-group network runs.

Features in the group form are functions v_a(g) of an atom a and an element g of the model group G, and a
crystal that is invariant under its space group, with point group P ⊆ G, keeps

    v_{p·a}(p g) = v_a(g)    for every p in P.

So pairs (g, a) fall into classes, one value each, and a *node* is such a class. The three forms are three
ways of choosing the representatives; the network that runs on them is one and the same:

* ``full``: no use is made of P; the nodes are all pairs (g, a), |G|·n of them;
* ``one-frame``: (c, a) with c from the right cosets P\\G, that is |G|/|P|·n nodes, and n of them when P = G;
* ``asymmetric-unit``: (t, a) with a from the orbit representatives and t from the right cosets G_a\\G of the
  site group: features of one atom an orbit, in the subspace fixed by its site group, with the edges of that
  atom alone. It has as many nodes as one frame, for an orbit has |P|/|G_a| atoms.

In the last two, edges know their orbit, and what depends on invariants alone is computed once an orbit.
A fourth graph is for the O(3)-invariant part of a network alone, whose features are the same at all g and
all atoms of an orbit: `orbit_graph` has one node an orbit. A crystal of low symmetry, which needs many frames,
runs that part and no other (`network_graph`).

At a node (g, a) a neighbour b at x_b − x_a = r is seen at g⁻¹r, and carries v_b(g). The axes in which r is
written are those of `frames.frame_rotation`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Literal, NamedTuple, get_args

import numpy as np

from irrepnet.crystals.frames import MODEL_GROUPS, frame_rotation, model_group
from irrepnet.crystals.neighbours import NeighbourOptions, Neighbours, smooth_neighbours, whole_shells
from irrepnet.crystals.pseudosymmetry import parents
from irrepnet.crystals.symmetric import SymmetricCrystal
from irrepnet.errors import IrrepnetError
from irrepnet.graphs.edges import (
    SAME,
    carried,
    carriers,
    edge_orbits,
    first_edges,
    first_of_orbits,
    nearest_distances,
)
from irrepnet.graphs.graph import A, Graph, GraphOptions, Part, alone, rows, span
from irrepnet.groups import POINT_GROUPS, PointGroup, crystallographic_indices, operation_set, operations_in

Form = Literal["one-frame", "full", "asymmetric-unit"]
FORMS: tuple[Form, ...] = get_args(Form)


@dataclass(frozen=True)
class FrameOptions(GraphOptions):
    """How a structure becomes a graph of frames.

    Attributes:
        group: name of the model group; "auto" for that of the crystal, :func:`irrepnet.crystals.model_group`.
        max_frames: a crystal that needs more frames than so many gets the orbit graph.
        continuous: neighbours fade out instead of ending with a shell (:func:`irrepnet.crystals.smooth_neighbours`;
            without the tolerance), and crystals become a :class:`Blend`.
    """

    group: str = "auto"
    max_frames: int = 3
    continuous: bool = False

    def graph(self, crystal: SymmetricCrystal) -> FrameGraph | Blend:
        return blend(crystal, self) if self.continuous else network_graph(crystal, self)


@dataclass(frozen=True, kw_only=True)
class Segment(Part[A]):
    """The crystals of one model group of order N, side by side in a graph, and their right translations.

    Attributes:
        nodes, edges, classes: of these crystals.
        receiver, sender: (n_pairs,) pairs of nodes joined by right translations: the receiver is (g, a), the sender is
            the node of (g k, a) for every k in the pair's set; sorted by receiver.
        set: (n_pairs,) which of the ``sets``. A node's sets partition the group.
        sets: (n_sets,) sets of elements k, bit k for element k.
    """

    nodes: slice = span("node")
    edges: slice = span("edge")
    classes: slice = span("class")
    receiver: A = rows("pair", "node")
    sender: A = rows("pair", "node")
    set: A = rows("pair", "set")
    sets: A = rows("set", distinct=True)


@dataclass(frozen=True, kw_only=True)
class FrameGraph(Graph[A]):
    """One crystal's nodes and edges, in frames of a model group, or of several crystals: those of one model group side
    by side and the orbit graphs last, so that where there are frames edges number vectors.

    Attributes:
        multiplicity: (n_nodes,) how often a node counts: 1, or the atoms of the orbit.
        receiver, sender: (n_edges,) nodes, sorted by receiver.
        vector: (n_vectors, 3) Å, from receiver to sender, in the node's frame: g⁻¹ r.
        edge: (n_vectors,) the edge that a vector belongs to, rising: one vector an edge in frames; in an orbit graph
            an edge stands for several neighbours.
        weight: (n_vectors,) how much of a neighbour a vector is, in (0, 1]; those of an edge have equal weights.
        edge_class: (n_edges,) index into the next two; edges of one class have equal invariants.
        class_vector: (n_classes, 3) Å, the vector of one edge of the class.
        class_nearest: (n_classes,) Å, the distance of the receiver's nearest neighbour.
        segments: by name of the model group; an orbit graph has none.
        axes: (n_nodes, 3, 3) orthogonal, x_standard = axes @ x_node: from the node's frame to the standard frame.
        point_group_number: (size,) of the crystal's point group in ``irrepnet.groups.POINT_GROUPS``.
        symmetry: (size,) the crystal's point group as an :func:`irrepnet.groups.operation_set`; the identity alone in
            the full form.
        frames: how many frames there are, |G|/|P|; 1 in an orbit graph, for all are equal.
        blend: (size of the blends, size) weights of the graphs of each :class:`Blend`, which count as crystals above;
            None where each crystal has one graph.
    """

    multiplicity: A = rows("node")
    receiver: A = rows("edge", "node")
    sender: A = rows("edge", "node")
    vector: A = rows("vector")
    edge: A = rows("vector", "edge")
    weight: A = rows("vector")
    edge_class: A = rows("edge", "class")
    class_vector: A = rows("class")
    class_nearest: A = rows("class")
    segments: dict[str, Segment[A]]
    axes: A = rows("node")
    point_group_number: A = rows("crystal")
    symmetry: A = rows("crystal")
    frames: int | None = alone(default=None)
    blend: A | None = alone(default=None)

    @property
    def group(self) -> str:
        """Name of the model group; empty for an orbit graph, which has none."""
        return next(iter(self.segments), "")

    @property
    def place(self) -> tuple[bool, str]:
        return self.group == "", self.group


@dataclass(frozen=True)
class Blend:
    """Graphs of one crystal and of more symmetric ones nearby: the output is the weighted sum of the graphs' outputs.

    Attributes:
        graphs: k graphs.
        weights: (k,), of either sign; they add up to 1.
    """

    graphs: tuple[FrameGraph, ...]
    weights: np.ndarray

    def __len__(self) -> int:
        return sum(map(len, self.graphs))


def frame_graph(
    crystal: SymmetricCrystal,
    group: PointGroup,
    options: NeighbourOptions | None = None,
    form: Form = "one-frame",
) -> FrameGraph:
    """The graph of ``crystal`` for a network of the model group ``group``.

    Raises:
        IrrepnetError: the crystal's point group is not contained in ``group``, or the form is unknown.
    """
    if form not in FORMS:
        raise IrrepnetError(f"unknown form {form!r}; choose one of {', '.join(FORMS)}")
    options = options or NeighbourOptions()
    members = operations_in(group, crystal.point_group)
    found = _neighbours(crystal, options, None if form == "full" else crystal.representatives)
    rotation = frame_rotation(crystal)
    found = found._replace(vector=found.vector @ rotation.T)
    if form == "full":
        graph, symmetry = _full(crystal, group, found), np.ones(1, np.uint64)
    else:
        make = _asymmetric_unit if form == "asymmetric-unit" else _one_frame
        graph, symmetry = make(crystal, group, members, found), _symmetry(crystal)
    return replace(graph, axes=rotation.T @ graph.axes, symmetry=symmetry)


def _symmetry(crystal: SymmetricCrystal) -> np.ndarray:
    return np.array([operation_set(crystallographic_indices(crystal.point_group))])


@cache
def _numbers() -> dict[str, int]:
    return {PointGroup(name).schoenflies: number for number, name in enumerate(POINT_GROUPS)}


def _number(crystal: SymmetricCrystal) -> np.ndarray:
    return np.array([_numbers()[crystal.point_group.schoenflies]])


def network_graph(crystal: SymmetricCrystal, options: FrameOptions | None = None) -> FrameGraph:
    """The graph of ``crystal`` that a point-group network with these options reads: one frame, or the orbit graph.

    Raises:
        IrrepnetError: the crystal's point group is not contained in the group of the options.
    """
    options = options or FrameOptions()
    group = model_group(crystal) if options.group == "auto" else PointGroup(options.group)
    frames = group.order // len(operations_in(group, crystal.point_group))
    return frame_graph(crystal, group, options) if frames <= options.max_frames else orbit_graph(crystal, options)


def blend(crystal: SymmetricCrystal, options: FrameOptions | None = None) -> Blend:
    """What a point-group network reads to be continuous: outputs y with no jump where the symmetry changes.

        y = y_O(X) + Σ_k w_k (y(Y_k) − y_O(Y_k))

    X is the crystal, Y_k and w_k are the symmetric crystals nearby (:func:`irrepnet.crystals.parents`) as far as
    ``max_frames`` suffice for them; y is the network's output and y_O that of its O(3)-invariant part alone, on orbit
    graphs. So the group-specific part comes from symmetric crystals only, and has vanished when X is out of their
    reach; a crystal with few frames that is near no other has y = y(X).

    Raises:
        IrrepnetError: the crystal's point group is not contained in the group of the options.
    """
    options = options or FrameOptions(continuous=True)
    own = network_graph(crystal, options)
    smallest = min(PointGroup(name).order for name in (MODEL_GROUPS if options.group == "auto" else (options.group,)))
    near = parents(crystal, -(-smallest // options.max_frames)) if options.max_frames else []
    terms: list[tuple[float, FrameGraph]] = []
    for weight, parent in near:
        graph = own if parent is crystal else _in_frames(parent, options)
        if graph is not None and graph.group:
            terms += [(weight, graph), (-weight, orbit_graph(parent, options))]
    if [weight for weight, _ in terms[::2]] == [1.0] and terms[0][1] is own:
        return Blend((own,), np.ones(1))
    weights, graphs = zip((1.0, orbit_graph(crystal, options)), *terms)
    return Blend(graphs, np.array(weights))


def _in_frames(crystal: SymmetricCrystal, options: FrameOptions) -> FrameGraph | None:
    """The graph in frames of a crystal that the network's group contains, if ``max_frames`` suffice."""
    try:
        graph = network_graph(crystal, options)
    except IrrepnetError:
        return None
    return graph if graph.group else None


def _neighbours(crystal: SymmetricCrystal, options: NeighbourOptions, atoms: np.ndarray | None = None) -> Neighbours:
    if isinstance(options, FrameOptions) and options.continuous:
        return smooth_neighbours(crystal, options.cutoff, options.n_max, atoms)
    return whole_shells(crystal, options, atoms)


def orbit_graph(crystal: SymmetricCrystal, options: NeighbourOptions | None = None) -> FrameGraph:
    """The graph for features that are invariant under O(3), and so equal on the atoms of an orbit: one node an orbit.

    An edge stands for all neighbours of the orbit's first atom that belong to one orbit and are equally far.
    """
    options = options or NeighbourOptions()
    neighbours = _neighbours(crystal, options, crystal.representatives)
    receiver, sender = crystal.orbits[neighbours.receiver], crystal.orbits[neighbours.sender]
    order = np.lexsort((neighbours.distance, sender, receiver))
    receiver, sender, distance = receiver[order], sender[order], neighbours.distance[order]
    vector, weight = neighbours.vector[order], neighbours.weight[order]
    new = np.ones(len(distance), bool)
    new[1:] = (receiver[1:] != receiver[:-1]) | (sender[1:] != sender[:-1]) | (distance[1:] - distance[:-1] > SAME)
    edge, first = np.cumsum(new) - 1, np.flatnonzero(new)
    # the mean of distances that are nearly equal: whether they are taken for equal matters in second order only
    mean = np.bincount(edge, distance) / np.bincount(edge)
    return FrameGraph(
        numbers=crystal.numbers[crystal.representatives],
        crystal=np.zeros(len(crystal.representatives), int),
        multiplicity=np.bincount(crystal.orbits).astype(float),
        receiver=receiver[first],
        sender=sender[first],
        vector=vector,
        edge=edge,
        weight=weight,
        edge_class=np.arange(len(first)),
        class_vector=vector[first] * (mean / distance[first])[:, None],
        class_nearest=nearest_distances(crystal, neighbours)[crystal.representatives][receiver[first]],
        segments={},
        frames=1,
        point_group_number=_number(crystal),
        axes=np.repeat(np.eye(3)[None], len(crystal.representatives), axis=0),
        symmetry=_symmetry(crystal),
    )


@lru_cache(maxsize=4096)
def _right_cosets(group: PointGroup, members: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Right cosets H\\G of the subgroup with element indices ``members``.

    Returns (representatives (n_cosets,), coset of every g (N,), position in ``members`` of the h with g = h c (N,)).
    """
    products = group.multiplication[np.array(members)]  # [h, g] -> h g
    representatives = np.unique(products.min(axis=0))
    coset = np.empty(group.order, int)
    factor = np.empty(group.order, int)
    for i, c in enumerate(representatives):
        coset[products[:, c]] = i
        factor[products[:, c]] = np.arange(len(members))
    return representatives, coset, factor


def _inverse_positions(group: PointGroup, members: np.ndarray) -> np.ndarray:
    """For each position in ``members`` the position of the inverse element."""
    position = np.empty(group.order, int)
    position[members] = np.arange(len(members))
    return position[group.inverse[members]]


class _Edges(NamedTuple):
    """Edges of all atoms in the order of receivers, and their classes, as :class:`FrameGraph` has them."""

    receiver: np.ndarray
    sender: np.ndarray
    vector: np.ndarray
    weight: np.ndarray
    edge_class: np.ndarray
    class_vector: np.ndarray
    class_nearest: np.ndarray


def _segment(translate: np.ndarray, n_edges: int, n_classes: int) -> Segment:
    """The one segment of a crystal's graph, from the table (N, n_nodes) of right translations, (g, a) → (g k, a).

    On a site that the whole group fixes all N translations lead to one node, so sets say it N times shorter.
    """
    order, n = translate.shape
    pairs, number = np.unique((np.arange(n) * n + translate).ravel(), return_inverse=True)
    of_pair = np.zeros(len(pairs), np.uint64)
    np.bitwise_or.at(of_pair, number, np.repeat(np.uint64(1) << np.arange(order, dtype=np.uint64), n))
    sets, number = np.unique(of_pair, return_inverse=True)
    return Segment(
        nodes=slice(0, n),
        edges=slice(0, n_edges),
        classes=slice(0, n_classes),
        receiver=pairs // n,
        sender=pairs % n,
        set=number,
        sets=sets,
    )


def _frames(
    crystal: SymmetricCrystal, group: PointGroup, members: np.ndarray, permutation: np.ndarray, edges: _Edges
) -> FrameGraph:
    """Nodes (c, a) for c in P\\G, numbered c·n + a; (p c, a) is the node (c, p⁻¹·a). Frames share classes.

    ``members`` are the elements of P in G, and ``permutation`` (|P|, n) is how they permute the atoms.
    """
    n = len(crystal)
    frames, coset, factor = _right_cosets(group, tuple(members.tolist()))
    back = permutation[_inverse_positions(group, members)]  # [p, a] -> p⁻¹·a
    moved = group.multiplication[frames].T  # [h, c] -> c h
    translate = (coset[moved][:, :, None] * n + back[factor[moved]]).reshape(group.order, -1)
    offset = n * np.arange(len(frames))[:, None]
    vector = (edges.vector @ group.operations[frames]).reshape(-1, 3)  # c⁻¹ r
    return FrameGraph(
        numbers=np.tile(crystal.numbers, len(frames)),
        crystal=np.zeros(n * len(frames), int),
        multiplicity=np.ones(n * len(frames)),
        receiver=(offset + edges.receiver).ravel(),
        sender=(offset + edges.sender).ravel(),
        vector=vector,
        edge=np.arange(len(vector)),
        weight=np.tile(edges.weight, len(frames)),
        edge_class=np.tile(edges.edge_class, len(frames)),
        class_vector=edges.class_vector,
        class_nearest=edges.class_nearest,
        segments={group.name: _segment(translate, len(vector), len(edges.class_vector))},
        frames=len(frames),
        point_group_number=_number(crystal),
        axes=np.repeat(group.operations[frames], n, axis=0),
        symmetry=np.ones(1, np.uint64),
    )


def _full(crystal: SymmetricCrystal, group: PointGroup, found: Neighbours) -> FrameGraph:
    """All frames, as if the identity were the crystal's only operation; every edge is its own class."""
    nearest = nearest_distances(crystal, found)[found.receiver]
    edges = _Edges(found.receiver, found.sender, found.vector, found.weight, found.receiver, found.vector, nearest)
    graph = _frames(crystal, group, np.zeros(1, int), np.arange(len(crystal))[None], edges)
    number = np.arange(len(graph.vector))
    segment = replace(graph.segments[group.name], classes=slice(0, len(number)))
    return replace(
        graph,
        segments={group.name: segment},
        edge_class=number,
        class_vector=graph.vector,
        class_nearest=np.tile(nearest, len(graph) // len(crystal)),
    )


def _one_frame(crystal: SymmetricCrystal, group: PointGroup, members: np.ndarray, found: Neighbours) -> FrameGraph:
    """Frames P\\G, with one class an edge orbit; of ``found`` the representatives are the receivers."""
    number, examples, nearest = _edge_classes(crystal, found, crystal.point_group.operations, crystal.site_groups)
    edge, receiver, sender, vector = carried(crystal, found)
    edges = _Edges(receiver, sender, vector, found.weight[edge], number[edge], found.vector[examples], nearest)
    return _frames(crystal, group, members, crystal.permutation, edges)


def _edge_classes(
    crystal: SymmetricCrystal, found: Neighbours, operations: np.ndarray, site_groups: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the representatives' edges: (E,) orbit, and of each orbit an edge and the nearest distance of its receiver."""
    number = edge_orbits(found.vector, first_edges(found.receiver), operations, site_groups)
    examples = first_of_orbits(number)
    return number, examples, nearest_distances(crystal, found)[found.receiver[examples]]


def _asymmetric_unit(
    crystal: SymmetricCrystal, group: PointGroup, members: np.ndarray, found: Neighbours
) -> FrameGraph:
    """Nodes (t, a) for orbit representatives a and t in G_a\\G; (g, s·a) is the node of (s⁻¹g, a)."""
    carrier = members[carriers(crystal.permutation, crystal.representatives[crystal.orbits])]
    site_groups = [members[site] for site in crystal.site_groups]
    cosets = [_right_cosets(group, tuple(site.tolist())) for site in site_groups]
    first = np.concatenate([[0], np.cumsum([len(c[0]) for c in cosets])])
    coset_of = np.stack([c[1] for c in cosets]) + first[:-1, None]  # [orbit, g] -> node

    def node(g: np.ndarray, atom: np.ndarray) -> np.ndarray:
        return coset_of[crystal.orbits[atom], group.multiplication[group.inverse[carrier[atom]], g]]

    number, examples, nearest = _edge_classes(crystal, found, group.operations, site_groups)
    receiver, sender, vector, weight, edge_class, translate = [], [], [], [], [], []
    for orbit, a in enumerate(crystal.representatives):
        frames = cosets[orbit][0]
        chosen = found.receiver == a
        vectors = found.vector[chosen]
        receiver.append(np.repeat(first[orbit] + np.arange(len(frames)), len(vectors)))
        sender.append(node(frames[:, None], found.sender[chosen][None]).ravel())
        vector.append(np.einsum("ei,tij->tej", vectors, group.operations[frames]).reshape(-1, 3))
        weight.append(np.tile(found.weight[chosen], len(frames)))
        edge_class.append(np.tile(number[chosen], len(frames)))
        translate.append(first[orbit] + cosets[orbit][1][group.multiplication[frames].T])
    return FrameGraph(
        numbers=np.repeat(crystal.numbers[crystal.representatives], np.diff(first)),
        crystal=np.zeros(first[-1], int),
        multiplicity=np.ones(first[-1]),
        receiver=np.concatenate(receiver),
        sender=np.concatenate(sender),
        vector=np.concatenate(vector),
        edge=np.arange(sum(map(len, vector))),
        weight=np.concatenate(weight),
        edge_class=np.concatenate(edge_class),
        class_vector=found.vector[examples],
        class_nearest=nearest,
        segments={group.name: _segment(np.concatenate(translate, axis=1), sum(map(len, vector)), len(examples))},
        frames=group.order // len(members),
        point_group_number=_number(crystal),
        axes=np.concatenate([group.operations[frames] for frames, _, _ in cosets]),
        symmetry=np.ones(1, np.uint64),
    )
