"""A symmetric crystal as the graph on which an O(3)-equivariant network runs.

A network that is equivariant under O(3) and permutations keeps x_{s·a} = D(s) x_a for every operation s of the
crystal's space group: D is the representation of O(3) that the features carry, evaluated at the rotation part of s.
So the features of one atom an orbit say all, and they lie in Fix_{G_a}, G_a the site group of that atom. Two forms:

* ``asymmetric-unit``: a node is an orbit, represented by an atom a, with one edge an orbit of its edges under G_a.
  The sender b is an image s·b₀ of the atom that represents b's orbit, and the edge remembers s; a sum over the edges
  is the mean over G_a of D(g) times the sum over these with their multiplicities.
* ``atoms``: a node is an atom, with all its edges; no use is made of the symmetry.

What a network computes on one equals what it computes on the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from irrepnet.crystals.descriptions import plain_supercell
from irrepnet.crystals.neighbours import find_neighbours
from irrepnet.crystals.symmetric import SymmetricCrystal
from irrepnet.errors import IrrepnetError
from irrepnet.graphs.edges import carriers, nearest_distances, one_an_orbit
from irrepnet.graphs.graph import A, Graph, GraphOptions, rows
from irrepnet.groups import crystallographic_indices, operation_set

VectorForm = Literal["asymmetric-unit", "atoms"]
VECTOR_FORMS: tuple[VectorForm, ...] = get_args(VectorForm)


@dataclass(frozen=True)
class VectorGraphOptions(GraphOptions):
    """How a structure becomes a vector graph; neighbours are bonded, by any method.

    Attributes:
        form: "asymmetric-unit" or "atoms".
    """

    form: VectorForm = "asymmetric-unit"

    def graph(self, crystal: SymmetricCrystal) -> VectorGraph:
        return vector_graph(crystal, self)


@dataclass(frozen=True, kw_only=True)
class VectorGraph(Graph[A]):
    """One crystal's nodes and edges, in its standard frame.

    Operations are indices into :func:`irrepnet.groups.crystallographic_operations`.

    Attributes:
        multiplicity: (n_nodes,) atoms that the node stands for.
        nearest: (n_nodes,) Å, the distance of the nearest neighbour.
        site_group: (n_nodes,) which of the ``sets`` fixes the node's atom; the identity alone in the form "atoms".
        receiver, sender: (n_edges,) nodes.
        operation: (n_edges,) takes the sender node's features to those of the atom that sends.
        vector: (n_edges, 3) Å, from the receiver to the atom that sends.
        weight: (n_edges,) how many neighbours the edge stands for.
        crystal_group: (size,) which of the ``sets`` is the point group; the identity alone in the form "atoms".
        sets: (n_sets,) of operations: see :func:`irrepnet.groups.operation_set`.
    """

    multiplicity: A = rows("node")
    nearest: A = rows("node")
    site_group: A = rows("node", "set")
    receiver: A = rows("edge", "node")
    sender: A = rows("edge", "node")
    operation: A = rows("edge")
    vector: A = rows("edge")
    weight: A = rows("edge")
    crystal_group: A = rows("crystal", "set")
    sets: A = rows("set", distinct=True)


def vector_graph(crystal: SymmetricCrystal, options: VectorGraphOptions | None = None) -> VectorGraph:
    """The graph of ``crystal`` for an O(3)-equivariant network.

    Raises:
        IrrepnetError: an unknown form, neighbours that break the symmetry ("n-max") in the form "asymmetric-unit",
            or what :func:`irrepnet.crystals.find_neighbours` raises.
    """
    options = options or VectorGraphOptions()
    if options.form not in VECTOR_FORMS:
        raise IrrepnetError(f"unknown form {options.form!r}; choose one of {', '.join(VECTOR_FORMS)}")
    if options.form == "atoms":
        crystal = plain_supercell(crystal)
    elif options.neighbours == "n-max":
        raise IrrepnetError('neighbours "n-max" break the symmetry: set form to "atoms", or find neighbours otherwise')
    found = find_neighbours(crystal, options)
    members = crystallographic_indices(crystal.point_group)
    carrier = carriers(crystal.permutation, crystal.representatives[crystal.orbits])  # b = carrier[b]·b₀
    operations, site_groups = crystal.point_group.operations, crystal.site_groups
    edges, receiver, weight = one_an_orbit(found, crystal.representatives, operations, site_groups)
    sender = found.sender[edges]
    groups = [operation_set(members[site]) for site in site_groups]
    sets, number = np.unique(np.array([*groups, operation_set(members)]), return_inverse=True)
    return VectorGraph(
        numbers=crystal.numbers[crystal.representatives],
        crystal=np.zeros(len(groups), int),
        multiplicity=np.bincount(crystal.orbits).astype(float),
        nearest=nearest_distances(crystal, found)[crystal.representatives],
        site_group=number[:-1],
        receiver=receiver,
        sender=crystal.orbits[sender],
        operation=members[carrier[sender]],
        vector=found.vector[edges],
        weight=weight,
        crystal_group=number[-1:],
        sets=sets,
    )
