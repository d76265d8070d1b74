"""A symmetric crystal as the graph of a site-symmetry network: one atom an orbit, in the irreps of its own site group.

Let the point group P of the crystal lie in the model group G, and let features x be irreps Γ of G at every atom. The
space group carries them from atom to atom,

    x_{s·a} = Γ(s) x_a    for every s in P,

the representation that the site group G_a induces on the orbit of a. With s in G_a this says that x_a lies in the
subspace that G_a fixes: an irrep of G appears at a as often as the trivial irrep of G_a in Γ↓G_a, its subduction. So
one atom an orbit is kept, and at it the coordinates in an orthonormal basis of those subspaces.

Of the edges that end at a kept atom one is kept of each orbit under G_a. A kernel K(r) with K(g r) = Γ(g) K(r) Γ(g)ᵀ
lies in Hom_{G_ab}, G_ab the stabiliser of the edge; the sum of its messages over the orbit is the number of edges times
one message projected onto the subspace fixed by G_a, which is what its coordinates at a say.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from irrepnet.crystals.frames import frame_rotation, model_group
from irrepnet.crystals.neighbours import NeighbourOptions, whole_shells
from irrepnet.crystals.symmetric import SymmetricCrystal
from irrepnet.errors import IrrepnetError
from irrepnet.graphs.edges import carriers, nearest_distances, one_an_orbit
from irrepnet.graphs.graph import A, Graph, GraphOptions, rows
from irrepnet.groups import (
    Irrep,
    PointGroup,
    crystallographic_indices,
    intertwiners,
    operation_set,
    operations_in,
)


@dataclass(frozen=True)
class SiteGraphOptions(GraphOptions):
    """How a structure becomes a site graph.

    Attributes:
        group: name of the model group, in which the crystal's point group lies; "auto" for
            :func:`irrepnet.crystals.model_group`.
    """

    group: str = "auto"

    def graph(self, crystal: SymmetricCrystal) -> SiteGraph:
        return site_graph(crystal, model_group(crystal) if self.group == "auto" else PointGroup(self.group), self)


@dataclass(frozen=True)
class GroupedSiteOptions(SiteGraphOptions):
    """The same for a network that has several model groups."""

    def graph(self, crystal: SymmetricCrystal) -> GroupedSites:  # type: ignore[override]
        return grouped_sites(super().graph(crystal), crystal)


@dataclass(frozen=True, kw_only=True)
class SiteGraph(Graph[A]):
    """One crystal's sites and edges for a model group G with I non-trivial irreps. A *site*, a node, is a kept atom.

    Attributes:
        group: G.
        multiplicity: (n_sites,) atoms of the orbit.
        fixed: (n_sites, I) how often the trivial irrep of the site group is in each non-trivial irrep of G.
        basis: (n_coordinates, 3) the vectors of those subspaces, sorted by site, then irrep; orthonormal, filled up
            with zeros to the largest dimension of an irrep.
        receiver, sender: (n_edges,) sites, sorted by receiver.
        carrier: (n_edges,) the element s of G, as index, with sender atom = s · (sender site).
        vector: (n_edges, 3) Å, from receiver to sender atom, in the network's axes (`frames.frame_rotation`).
        weight: (n_edges,) how many edges of the receiver it stands for.
        nearest: (n_sites,) Å, the distance of the nearest neighbour.
        axes: (n_sites, 3, 3) rotation from the network's axes to the crystal's standard frame.
        atom_site: (n_atoms,) the site of each atom of the crystal, in its order.
        atom_operation: (n_atoms, 3, 3) an operation of P in the standard frame that carries the site to the atom.
    """

    group: PointGroup
    multiplicity: A = rows("node")
    fixed: A = rows("node")
    basis: A = rows("coordinate")
    receiver: A = rows("edge", "node")
    sender: A = rows("edge", "node")
    carrier: A = rows("edge")
    vector: A = rows("edge")
    weight: A = rows("edge")
    nearest: A = rows("node")
    axes: A = rows("node")
    atom_site: A = rows("atom", "node")
    atom_operation: A = rows("atom")


@dataclass(frozen=True, kw_only=True)
class GroupedSites(Graph[A]):
    """The site graphs of crystals, by name of the model group, so that those of several groups make one batch.

    Attributes:
        numbers, crystal: of all sites; the graphs have their own.
        symmetry: (size,) the point group that the features keep, as an :func:`irrepnet.groups.operation_set`.
        groups: the graphs.
    """

    numbers: A = rows("site")
    crystal: A = rows("site", "crystal")
    symmetry: A = rows("crystal")
    groups: dict[str, SiteGraph[A]]


def grouped_sites(graph: SiteGraph, crystal: SymmetricCrystal, symmetry: np.ndarray | None = None) -> GroupedSites:
    """One crystal's site graph as one that can be in a batch with those of other model groups; see `site_graph`."""
    members = crystallographic_indices(crystal.point_group)
    kept = operation_set(members if symmetry is None else members[symmetry])
    groups = {graph.group.name: graph}
    return GroupedSites(numbers=graph.numbers, crystal=graph.crystal, symmetry=np.array([kept]), groups=groups)


def site_graph(
    crystal: SymmetricCrystal,
    group: PointGroup,
    options: NeighbourOptions | None = None,
    symmetry: np.ndarray | None = None,
) -> SiteGraph:
    """The graph of ``crystal`` for a site-symmetry network of the model group ``group``.

    Args:
        crystal: its point group must lie in ``group``; `frames.model_group` names one that it lies in.
        options: of the neighbour shells.
        symmetry: indices into ``crystal.point_group.operations``, a subgroup: the symmetry that features keep; all of
            it by default. With the identity alone, ``[0]``, every atom is a site and has all components of all irreps
            of G, that is all irreps of its site group: the form that makes no use of symmetry.

    Raises:
        IrrepnetError: the point group is not contained in ``group``, or ``symmetry`` is no subgroup.
    """
    options = options or NeighbourOptions()
    kept = np.arange(crystal.point_group.order) if symmetry is None else np.unique(symmetry)
    _check_subgroup(crystal.point_group, kept)
    members = operations_in(group, crystal.point_group)[kept]
    permutation = crystal.permutation[kept]
    sites, site_of = np.unique(permutation.min(0), return_inverse=True)
    carrier = carriers(permutation, sites[site_of])
    site_groups = [np.flatnonzero(permutation[:, a] == a) for a in sites]
    subspaces = [fixed_subspaces(group, tuple(members[own].tolist())) for own in site_groups]

    axes = frame_rotation(crystal).T
    neighbours = whole_shells(crystal, options, sites)
    neighbours = neighbours._replace(vector=neighbours.vector @ axes)
    edges, receiver, weight = one_an_orbit(neighbours, sites, group.operations, [members[own] for own in site_groups])
    return SiteGraph(
        group=group,
        numbers=crystal.numbers[sites],
        crystal=np.zeros(len(sites), int),
        multiplicity=np.bincount(site_of).astype(float),
        fixed=np.stack([counts for counts, _ in subspaces]),
        basis=np.concatenate([basis for _, basis in subspaces]),
        receiver=receiver,
        sender=site_of[neighbours.sender[edges]],
        carrier=members[carrier[neighbours.sender[edges]]],
        vector=neighbours.vector[edges],
        weight=weight,
        nearest=nearest_distances(crystal, neighbours)[sites],
        axes=np.tile(axes, (len(sites), 1, 1)),
        atom_site=site_of,
        atom_operation=crystal.point_group.operations[kept[carrier]],
    )


@lru_cache(maxsize=4096)
def fixed_subspaces(group: PointGroup, members: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """What a subgroup H of G fixes in each non-trivial irrep of G: the trivial irrep of H in its subduction.

    Args:
        group: G, with I non-trivial irreps.
        members: indices of the elements of H.

    Returns:
        (I,) dimensions of the subspaces, and orthonormal bases of them one after the other, (Σ dimensions, 3), filled
        up with zeros where the irrep has less than three dimensions.
    """
    trivial = Irrep("A", np.ones((len(members), 1, 1)), "real")
    rows = [intertwiners(trivial, irrep.matrices[list(members)])[:, 0] for irrep in group.irreps[1:]]
    padded = [np.pad(basis, ((0, 0), (0, 3 - basis.shape[1]))) for basis in rows]
    return np.array([len(basis) for basis in rows], int), np.concatenate([np.zeros((0, 3)), *padded])


def _check_subgroup(group: PointGroup, members: np.ndarray) -> None:
    inside = members.ndim == 1 and len(members) and members[0] >= 0 and members[-1] < group.order
    if not inside or not np.isin(group.multiplication[np.ix_(members, members)], members).all():
        raise IrrepnetError(f"{members.tolist()} are not the indices of a subgroup of {group.name}")
