"""A crystal as a heterogeneous hypergraph: bonds, triplets, motifs, the cell, and whatever a user adds.

A hyperedge is a set of atoms with features that do not depend on the frame. Invariant features are equal on
all atoms of an orbit, so one node stands for an orbit, and hyperedges that differ by symmetry are one, with a
weight: caesium chloride has 2 nodes and a handful of bonds, not 2 atoms with 14 neighbours each. What a network
computes on this quotient is equal to what it computes on all the atoms, and costs a fraction of it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import NamedTuple

import numpy as np

from irrepnet.crystals.symmetric import SymmetricCrystal
from irrepnet.errors import IrrepnetError
from irrepnet.graphs.graph import A, Graph, GraphOptions, Part, alone, rows
from irrepnet.graphs.vectors import VectorGraph, VectorGraphOptions, vector_graph

# Features of an idealised crystal that differ by less than half of this are equal (Å, or dimensionless).
_SAME = 1e-10


@dataclass(frozen=True)
class HypergraphOptions(GraphOptions):
    """How a structure becomes a hypergraph; neighbours are bonded, by any method.

    Attributes:
        hyperedges: names of the hyperedge types, in the order in which a network uses them.
        motif_shell: which neighbours make the motif of an atom: "crystalnn", "minimum-distance" or "voronoi".
        motif_features: "lsop", "csm" or both.
        resemblance: give continuous symmetry measures as resemblance, 1 for the ideal polyhedron and 0 for the
            farthest from it, instead of as distances.
        directions: the vectors of the bonds too, from which tensors are made.
    """

    hyperedges: tuple[str, ...] = ("bonds",)
    motif_shell: str = "crystalnn"
    motif_features: tuple[str, ...] = ("lsop", "csm")
    resemblance: bool = False
    directions: bool = False

    @property
    def by_irrepnet(self) -> bool:
        types = map(hyperedge_type, self.hyperedges)
        return super().by_irrepnet and all(own.build.__module__.startswith("irrepnet.") for own in types)

    def graph(self, crystal: SymmetricCrystal) -> Hypergraph:
        return hypergraph(crystal, self)


class Column(NamedTuple):
    """A feature and how a network expands it.

    A column of size n is expanded in n Gaussians between ``low`` and ``high``; one of size 1 is taken as it is.
    """

    name: str
    low: float = 0.0
    high: float = 1.0
    size: int = 1


@dataclass(frozen=True)
class Hyperedges:
    """The hyperedges of one type in the primitive cell, as a type's builder lists them.

    Attributes:
        features: (n, F), a column each; invariant under rotations, and finite.
        edge, atom: (M,) hyperedge ``edge[k]`` contains atom ``atom[k]`` or a lattice image of it. An atom of which
            several images belong to the hyperedge is named as often.
        weight: (n,) how many such hyperedges the cell has. To list those around the representative of an orbit
            only, give them the number of atoms of the orbit; what fades with distance goes in here too.
        receives: (M,) whether the hyperedge's message goes to this member; to all by default.
        failures: for every site whose features cannot be computed, which site and why. Its hyperedges are left out.
    """

    features: np.ndarray
    edge: np.ndarray
    atom: np.ndarray
    weight: np.ndarray
    receives: np.ndarray | None = None
    failures: tuple[str, ...] = ()

    @classmethod
    def of(cls, items: Iterable[tuple[Sequence[int], Sequence[float]]], n_features: int) -> Hyperedges:
        """From pairs (atoms, features), all hyperedges of the cell one by one."""
        listed = list(items)
        return cls(
            features=np.array([f for _, f in listed], float).reshape(len(listed), n_features),
            edge=np.repeat(np.arange(len(listed)), [len(a) for a, _ in listed]),
            atom=np.array([a for atoms, _ in listed for a in atoms], int),
            weight=np.ones(len(listed)),
        )


@dataclass(frozen=True)
class HyperedgeType:
    """A kind of hyperedge.

    Attributes:
        name: as in :class:`HypergraphOptions`.
        columns: options → the columns of the features.
        build: crystal, options → the hyperedges.
        whole: the hyperedge is an environment that does not grow with the description's cell, such as the cell
            itself: its members hear of all members, themselves included, each weighted by 1/size.
    """

    name: str
    columns: Callable[[HypergraphOptions], tuple[Column, ...]]
    build: Callable[[SymmetricCrystal, HypergraphOptions], Hyperedges]
    whole: bool = False


_TYPES: dict[str, HyperedgeType] = {}


def add_hyperedge_type(new: HyperedgeType) -> None:
    """Make a type known under its name; a type of the same name is replaced."""
    _TYPES[new.name] = new


def hyperedge_types() -> tuple[str, ...]:
    """Names of the known types."""
    return tuple(_TYPES)


def hyperedge_type(name: str) -> HyperedgeType:
    """The type of that name; raises IrrepnetError when there is none."""
    if name in _TYPES:
        return _TYPES[name]
    close = difflib.get_close_matches(name, _TYPES, n=1)
    hint = f"did you mean {close[0]}?" if close else f"the types are {', '.join(_TYPES)}"
    raise IrrepnetError(f"unknown hyperedge type {name!r}; {hint} (a type of your own is added before use)")


@dataclass(frozen=True, kw_only=True)
class Incidences(Part[A]):
    """Hyperedges of one type on the nodes of a hypergraph.

    An incidence says that hyperedge ``edge`` contains node ``node``, and who the others in it are.

    Attributes:
        features: (n_edges, F).
        node, edge: (n_incidences,) int64, sorted by node.
        weight: (n_incidences,) how many hyperedges of this class an atom of the node belongs to.
        other, incidence: (n_others,) int64, node ``other[k]`` is another member at incidence ``incidence[k]``; sorted
            by incidence.
        other_weight: (n_others,) how many such members there are.
    """

    features: A = rows("hyperedge")
    node: A = rows("incidence", "node")
    edge: A = rows("incidence", "hyperedge")
    weight: A = rows("incidence")
    other: A = rows("other", "node")
    incidence: A = rows("other", "incidence")
    other_weight: A = rows("other")


@dataclass(frozen=True, kw_only=True)
class Hypergraph(Graph[A]):
    """One crystal's nodes and hyperedges; one node an orbit.

    Attributes:
        multiplicity: (n_nodes,) atoms of the orbit in the primitive cell.
        types: the incidences of each type, in the order of the options.
        vectors: the vector graph on the same nodes, if the options ask for directions.
        failures: sites on which a descriptor failed, with the reason; their hyperedges are left out.
    """

    multiplicity: A = rows("node")
    types: dict[str, Incidences[A]] = field(default_factory=dict)
    vectors: VectorGraph[A] | None = None
    failures: tuple[str, ...] = alone(default=())


def hypergraph(crystal: SymmetricCrystal, options: HypergraphOptions | None = None) -> Hypergraph:
    """The hypergraph of ``crystal``.

    Raises:
        IrrepnetError: an unknown type, an option out of range, or features that are not finite; with directions what
            :func:`irrepnet.graphs.vectors` raises.
    """
    options = options or HypergraphOptions()
    multiplicity = np.bincount(crystal.orbits).astype(float)
    types, failures = {}, ()
    for name in options.hyperedges:
        kind = hyperedge_type(name)
        built = kind.build(crystal, options)
        n_columns = len(kind.columns(options))
        if built.features.shape != (len(built.weight), n_columns) or not np.isfinite(built.features).all():
            raise IrrepnetError(
                f"{crystal.formula}: {name} need {n_columns} finite features each, got an array {built.features.shape}"
            )
        types[name] = _reduce(built, crystal.orbits, multiplicity, kind.whole)
        failures += built.failures
    shared = {f.name: getattr(options, f.name) for f in fields(VectorGraphOptions) if hasattr(options, f.name)}
    vectors = vector_graph(crystal, VectorGraphOptions(**shared)) if options.directions else None
    return Hypergraph(
        numbers=crystal.numbers[crystal.representatives],
        crystal=np.zeros(len(multiplicity), int),
        multiplicity=multiplicity,
        types=types,
        vectors=vectors,
        failures=failures,
    )


def _reduce(built: Hyperedges, orbits: np.ndarray, multiplicity: np.ndarray, whole: bool) -> Incidences:
    """Hyperedges on atoms → incidences on orbits; hyperedges with the same features and members become one."""
    n, n_orbits = len(built.weight), len(multiplicity)
    receives = np.ones(len(built.atom), bool) if built.receives is None else built.receives
    member = 2 * orbits[built.atom] + receives  # an orbit, and whether it receives
    order = np.lexsort((member, built.edge))
    edge, member = built.edge[order], member[order]
    size = np.bincount(edge, minlength=n)
    first = np.cumsum(size) - size
    rows = np.full((n, size.max(initial=0)), -1)
    rows[edge, np.arange(len(edge)) - first[edge]] = member
    key = np.concatenate([np.round(built.features / _SAME) + 0.0, rows], axis=1)  # -0 is 0
    _, example, number = np.unique(key, axis=0, return_index=True, return_inverse=True)
    number = number.reshape(-1)
    total = np.bincount(number, weights=built.weight, minlength=len(example))
    rows = rows[example]

    # (class, orbit) pairs with the number of members, and of receiving ones among them
    owner = np.repeat(np.arange(len(example)), (rows >= 0).sum(1))
    present = rows[rows >= 0]
    pairs, pair_of = np.unique(owner * n_orbits + present // 2, return_inverse=True)
    members = np.bincount(pair_of, minlength=len(pairs)).astype(float)
    receiving = np.bincount(pair_of, weights=present % 2, minlength=len(pairs))
    pair_class, pair_orbit = pairs // n_orbits, pairs % n_orbits

    chosen = np.flatnonzero(receiving > 0)
    chosen = chosen[np.argsort(pair_orbit[chosen], kind="stable")]
    node, hyperedge = pair_orbit[chosen], pair_class[chosen]
    # every incidence hears of all pairs of its class
    length = np.bincount(pair_class, minlength=len(example))
    start = np.cumsum(length) - length
    repeats = length[hyperedge]
    incidence = np.repeat(np.arange(len(chosen)), repeats)
    within = np.arange(len(incidence)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    heard = start[hyperedge][incidence] + within
    weight = members[heard]
    if whole:
        weight = weight / np.bincount(pair_class, weights=members, minlength=len(example))[hyperedge][incidence]
    else:
        weight = weight - (heard == chosen[incidence])  # all but the receiving atom itself
    kept = weight > 0
    return Incidences(
        features=built.features[example],
        node=node,
        edge=hyperedge,
        weight=total[hyperedge] * receiving[chosen] / multiplicity[node],
        other=pair_orbit[heard][kept],
        incidence=incidence[kept],
        other_weight=weight[kept],
    )
