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

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from irrepnet.crystals.frames import frame_rotation
from irrepnet.crystals.graph import GraphOptions, edge_orbits, operations_in
from irrepnet.crystals.neighbours import neighbour_shells
from irrepnet.crystals.reading import read_cell
from irrepnet.crystals.symmetric import SymmetricCrystal
from irrepnet.errors import IrrepnetError
from irrepnet.groups import Irrep, PointGroup, intertwiners


@dataclass(frozen=True)
class SiteGraph:
    """One crystal's sites and edges for a model group G with I non-trivial irreps. A *site* is a kept atom.

    Attributes:
        group: G.
        numbers: (n_sites,) atomic numbers.
        multiplicity: (n_sites,) atoms of the orbit.
        fixed: (n_sites, I) how often the trivial irrep of the site group is in each non-trivial irrep of G.
        basis: (n_coordinates, 3) the vectors of those subspaces, sorted by site, then irrep; orthonormal, filled up
            with zeros to the largest dimension of an irrep.
        receiver, sender: (n_edges,) sites, sorted by receiver.
        carrier: (n_edges,) the element s of G, as index, with sender atom = s · (sender site).
        vector: (n_edges, 3) Å, from receiver to sender atom, in the network's axes (`frames.frame_rotation`).
        count: (n_edges,) how many edges of the receiver it stands for.
        nearest: (n_sites,) Å, the distance of the nearest neighbour.
        axes: (3, 3) rotation from the network's axes to the crystal's standard frame.
        atom_site: (n_atoms,) the site of each atom of the crystal, in its order.
        atom_operation: (n_atoms, 3, 3) an operation of P in the standard frame that carries the site to the atom.
    """

    group: PointGroup
    numbers: np.ndarray
    multiplicity: np.ndarray
    fixed: np.ndarray
    basis: np.ndarray
    receiver: np.ndarray
    sender: np.ndarray
    carrier: np.ndarray
    vector: np.ndarray
    count: np.ndarray
    nearest: np.ndarray
    axes: np.ndarray
    atom_site: np.ndarray
    atom_operation: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)


def site_graph(
    crystal: SymmetricCrystal,
    group: PointGroup,
    options: GraphOptions | None = None,
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
    options = options or GraphOptions()
    kept = np.arange(crystal.point_group.order) if symmetry is None else np.unique(symmetry)
    _check_subgroup(crystal.point_group, kept)
    members = operations_in(group, crystal.point_group)[kept]
    permutation = crystal.permutation[kept]
    sites, site_of = np.unique(permutation.min(0), return_inverse=True)
    carrier = (permutation[:, sites[site_of]] == np.arange(len(crystal))).argmax(0)
    site_groups = [np.flatnonzero(permutation[:, a] == a) for a in sites]
    subspaces = [fixed_subspaces(group, tuple(members[own].tolist())) for own in site_groups]

    axes = frame_rotation(crystal).T
    neighbours = neighbour_shells(crystal, options.cutoff, options.n_max, options.tolerance)
    vectors = neighbours.vector @ axes
    receiver, chosen, count = [], [], []
    for site, (a, own) in enumerate(zip(sites, site_groups)):
        edges = np.flatnonzero(neighbours.receiver == a)
        orbit = edge_orbits(vectors[edges], group.operations[members[own]])
        _, first, size = np.unique(orbit, return_index=True, return_counts=True)
        receiver.append(np.full(len(first), site))
        chosen.append(edges[first])
        count.append(size)
    edges = np.concatenate(chosen)
    nearest = np.full(len(crystal), np.inf)
    np.minimum.at(nearest, neighbours.receiver, neighbours.distance)
    return SiteGraph(
        group=group,
        numbers=crystal.numbers[sites],
        multiplicity=np.bincount(site_of),
        fixed=np.stack([counts for counts, _ in subspaces]),
        basis=np.concatenate([basis for _, basis in subspaces]),
        receiver=np.concatenate(receiver),
        sender=site_of[neighbours.sender[edges]],
        carrier=members[carrier[neighbours.sender[edges]]],
        vector=vectors[edges],
        count=np.concatenate(count),
        nearest=nearest[sites],
        axes=axes,
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


def input_atoms(crystal: SymmetricCrystal, source: Any) -> np.ndarray:
    """Which atom of ``crystal`` each atom of its source is, modulo the lattice.

    With it a site tensor comes back in the source's order and Cartesian frame, as R T Rᵀ with R = ``crystal.rotation``.

    Args:
        crystal: made from ``source``, see `SymmetricCrystal.from_structure`.
        source: also another description of that crystal in the same orientation, such as a supercell.

    Returns:
        (n_source,) indices of atoms.

    Raises:
        IrrepnetError: the source is not the crystal.
    """
    cell = read_cell(source)
    # The primitive lattice as the source has it, strained: its vectors are whole sums of the standard ones.
    cells = np.rint(cell.lattice @ crystal.rotation @ np.linalg.inv(crystal.lattice))
    rarest = min(np.unique(crystal.numbers), key=lambda z: (crystal.numbers == z).sum())
    candidates = np.flatnonzero(crystal.numbers == rarest)
    of_source = np.flatnonzero(cell.numbers == rarest)
    if len(of_source) * len(crystal) == len(candidates) * len(cell.numbers):
        points = cell.frac_coords @ cells
        for candidate in candidates:
            origin = points[of_source[0]] - crystal.frac_coords[candidate]
            apart = (points - origin)[:, None] - crystal.frac_coords
            distance = np.linalg.norm((apart - np.rint(apart)) @ crystal.lattice, axis=-1)
            distance[cell.numbers[:, None] != crystal.numbers] = np.inf
            found = distance.argmin(1)
            if distance.min(1).max() < 4 * crystal.symprec + 1e-3 and len(np.unique(found)) == len(crystal):
                return found
    raise IrrepnetError(f"{cell.name} is not the crystal {crystal.formula} in the orientation that it was read in")


def _check_subgroup(group: PointGroup, members: np.ndarray) -> None:
    inside = members.ndim == 1 and len(members) and members[0] >= 0 and members[-1] < group.order
    if not inside or not np.isin(group.multiplication[np.ix_(members, members)], members).all():
        raise IrrepnetError(f"{members.tolist()} are not the indices of a subgroup of {group.name}")
