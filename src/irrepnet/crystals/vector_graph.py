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

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from irrepnet.crystals.graph import SAME, GraphOptions, crystallographic_indices, operation_set
from irrepnet.crystals.hypergraph import HypergraphOptions, plain_supercell
from irrepnet.crystals.neighbours import find_neighbours
from irrepnet.crystals.symmetric import SymmetricCrystal
from irrepnet.errors import IrrepnetError

VectorForm = Literal["asymmetric-unit", "atoms"]
VECTOR_FORMS: tuple[VectorForm, ...] = get_args(VectorForm)


@dataclass(frozen=True)
class VectorGraphOptions(GraphOptions):
    """How a structure becomes a vector graph; cutoff, n_max, tolerance, symprec as for :class:`GraphOptions`.

    Attributes:
        neighbours, scale: which atoms are bonded: see :func:`irrepnet.crystals.find_neighbours`.
        form: "asymmetric-unit" or "atoms".
    """

    neighbours: str = "shells"
    scale: float = HypergraphOptions.scale
    form: VectorForm = "asymmetric-unit"


@dataclass(frozen=True)
class VectorGraph:
    """One crystal's nodes and edges, in its standard frame.

    Operations are indices into :func:`irrepnet.groups.crystallographic_operations`, and sets of them uint64, bit k
    for operation k.

    Attributes:
        numbers: (n_nodes,) atomic numbers.
        multiplicity: (n_nodes,) atoms that the node stands for.
        nearest: (n_nodes,) Å, the distance of the nearest neighbour.
        site_group: (n_nodes,) the operations that fix the node's atom; the identity alone in the form "atoms".
        receiver, sender: (n_edges,) nodes.
        operation: (n_edges,) takes the sender node's features to those of the atom that sends.
        vector: (n_edges, 3) Å, from the receiver to the atom that sends.
        weight: (n_edges,) how many neighbours the edge stands for.
        point_group: the crystal's point group; the identity alone in the form "atoms".
    """

    numbers: np.ndarray
    multiplicity: np.ndarray
    nearest: np.ndarray
    site_group: np.ndarray
    receiver: np.ndarray
    sender: np.ndarray
    operation: np.ndarray
    vector: np.ndarray
    weight: np.ndarray
    point_group: np.uint64

    def __len__(self) -> int:
        return len(self.numbers)


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
    found = find_neighbours(
        crystal,
        HypergraphOptions(
            options.cutoff, options.n_max, options.tolerance, neighbours=options.neighbours, scale=options.scale
        ),
    )
    nearest = np.full(len(crystal), np.inf)
    np.minimum.at(nearest, found.receiver, found.distance)

    members = crystallographic_indices(crystal.point_group)
    representative = crystal.representatives[crystal.orbits]
    carrier = (crystal.permutation[:, representative] == np.arange(len(crystal))).argmax(0)  # b = carrier[b]·b₀
    kept, receiver, weight = [], [], []
    for orbit, atom in enumerate(crystal.representatives):
        own = np.flatnonzero(found.receiver == atom)
        site_group = crystal.point_group.operations[crystal.site_groups[orbit]]
        # [g, e, f]: whether g takes the edge e to f; an orbit is known by its first edge
        images = found.vector[own] @ site_group.transpose(0, 2, 1)
        joined = (np.abs(images[:, :, None] - found.vector[own]).max(-1) < SAME).any(0)
        first, count = np.unique(joined.argmax(1), return_counts=True)
        kept.append(own[first])
        receiver.append(np.full(len(first), orbit))
        weight.append(count * found.weight[own[first]])
    edges = np.concatenate(kept)
    sender = found.sender[edges]
    return VectorGraph(
        numbers=crystal.numbers[crystal.representatives],
        multiplicity=np.bincount(crystal.orbits),
        nearest=nearest[crystal.representatives],
        site_group=np.array([operation_set(members[site]) for site in crystal.site_groups]),
        receiver=np.concatenate(receiver),
        sender=crystal.orbits[sender],
        operation=members[carrier[sender]],
        vector=found.vector[edges],
        weight=np.concatenate(weight),
        point_group=operation_set(members),
    )
