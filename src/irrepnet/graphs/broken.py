"""A symmetric crystal whose symmetry is broken on purpose: displacements, strain, a field, magnetic moments.

The symmetric crystal, or a supercell of it, is the *parent*. It has a space group with point group P, and it fixes
once and for all which atoms are bonded, so that whatever is computed on the bonds is a smooth function of the
perturbation. Its axes are those of the standard frame of `symmetric`.

Features in the group form are functions v_a(g) of an atom a and an element g of a model group. Time reversal 1′ turns
moments and nothing else, so the model group is G × {1, 1′}. At a node (g, a) everything is seen at g⁻¹: a bond at
g⁻¹r, a field at g⁻¹E, a moment, an axial vector odd under 1′, at ± det(g) g⁻¹m. A space-group operation s of the
parent, alone or with 1′, whose rotation k lies in G and that keeps the perturbation, leaves

    v_{s·a}(k g) = v_a(g),

so nodes are classes of pairs (g, a) under the operations that are left. An unperturbed parent has |G|/|P| frames of
the atoms of its primitive cell, in any supercell whose lattice has the symmetry P; a perturbation that leaves P_left
has |G|/|P_left|. Without moments 1′ is always left and makes no frames of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from irrepnet.crystals.neighbours import NeighbourOptions, whole_shells
from irrepnet.crystals.symmetric import SymmetricCrystal
from irrepnet.errors import IrrepnetError
from irrepnet.graphs.graph import A, Graph, alone, rows
from irrepnet.groups import PointGroup

if TYPE_CHECKING:
    from pymatgen.core import Structure

SAME = 1e-6
"""An operation keeps a perturbation if no displacement (Å), strain, field or moment changes by more than this."""

_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Parent:
    """A symmetric crystal or a supercell of it: n atoms, K operations modulo the supercell's lattice, B bonds."""

    lattice: np.ndarray
    """(3, 3) row vectors, Å."""
    positions: np.ndarray
    """(n, 3) Å."""
    numbers: np.ndarray
    """(n,) atomic numbers."""
    point_group: PointGroup
    """P of the crystal, in the standard frame."""
    element: np.ndarray
    """(K,) index into `point_group.operations` of each operation's rotation."""
    permutation: np.ndarray
    """(K, n) the atom to which each operation sends each atom."""
    receiver: np.ndarray
    """(B,) atom at which a bond starts, rising."""
    sender: np.ndarray
    """(B,) atom at which it ends."""
    vector: np.ndarray
    """(B, 3) Å, from receiver to sender."""

    def __len__(self) -> int:
        """Number of atoms."""
        return len(self.numbers)

    @property
    def volume(self) -> float:
        """Å³."""
        return float(abs(np.linalg.det(self.lattice)))

    @property
    def rotations(self) -> np.ndarray:
        """(K, 3, 3) Cartesian."""
        return self.point_group.operations[self.element]

    def structure(self, perturbation: "Perturbation | None" = None) -> "Structure":
        """The perturbed crystal as a pymatgen Structure, atoms in the same order: x = (1 + ε)(x₀ + u)."""
        from pymatgen.core import Element, Structure

        known = (perturbation or Perturbation()).checked(self)
        deformation = np.eye(3) + known.strain
        return Structure(
            self.lattice @ deformation,
            [Element.from_Z(int(number)) for number in self.numbers],
            (self.positions + known.displacements) @ deformation,
            coords_are_cartesian=True,
        )


@dataclass(frozen=True, eq=False)
class Perturbation:
    """What breaks the symmetry, in the parent's Cartesian axes: arrays or lists, None for what is not there.

    Attributes:
        displacements: (n, 3) Å, before the strain; their mean is a translation and counts for nothing.
        strain: (3, 3) symmetric: positions and lattice vectors x become (1 + ε) x. A rotation of the whole crystal
            is no strain.
        field: (3,) a polar vector, in whatever unit the energies' labels were computed with.
        moments: (n, 3) magnetic moments: axial vectors, odd under time reversal.
    """

    displacements: Any = None
    strain: Any = None
    field: Any = None
    moments: Any = None

    def checked(self, parent: Parent) -> "Perturbation":
        """The same with zeros for what is not there and displacements of zero mean.

        Raises:
            IrrepnetError: a wrong shape, a number that is not finite, a strain that is not symmetric or so large
                that 1 + ε is not positive.
        """
        n = len(parent)
        shapes = {"displacements": (n, 3), "strain": (3, 3), "field": (3,), "moments": (n, 3)}
        arrays = {}
        for name, shape in shapes.items():
            given = getattr(self, name)
            array = np.zeros(shape) if given is None else np.array(given, float)
            if array.shape != shape:
                raise IrrepnetError(f"{name} of a parent with {n} atoms: the shape is {shape}, not {array.shape}")
            if not np.isfinite(array).all():
                raise IrrepnetError(f"{name}: a number is not finite")
            arrays[name] = array
        strain = arrays["strain"]
        if np.abs(strain - strain.T).max() > SAME:
            raise IrrepnetError("strain: it must be symmetric; take the rotation out of the deformation first")
        arrays["strain"] = (strain + strain.T) / 2
        if np.linalg.eigvalsh(arrays["strain"]).min() <= -1:
            raise IrrepnetError("strain: 1 + strain must be positive definite")
        arrays["displacements"] -= arrays["displacements"].mean(0)
        return Perturbation(**arrays)


@dataclass(frozen=True, kw_only=True, eq=False)
class BrokenGraph(Graph[A]):
    """The nodes and edges of a perturbed parent, for a model group G of order N.

    Attributes:
        numbers: (n_atoms,) atomic numbers.
        node_atom: (n_nodes,) atom of each node.
        node_rotation: (n_nodes, 3, 3) g.
        node_reversal: (n_nodes,) ±1.
        receiver, sender: (n_edges,) nodes, sorted by receiver.
        bond: (n_edges,) the parent's bond of each edge, which node (g, a) sees at g⁻¹.
        bond_receiver, bond_sender: (n_bonds,) atoms.
        bond_vector: (n_bonds, 3) Å, in the unperturbed parent.
        atom_crystal, bond_crystal, op_crystal: crystal to which an atom, bond or operation belongs.
        atoms: (size,) how many there are in each.
        volume: (size,) Å³, of the parents.
        op_rotation: (n_ops, 3, 3) the operations that are left; op_axial: (n_ops,) their sign on a moment.
        image, source, image_op: (n_images,) operation image_op sends atom source to atom image.
        displacements, moments: (n_atoms, 3); strain: (size, 3, 3); field: (size, 3).
        reference: in a batch in which the unperturbed parents come last, which of the crystals is that of each other.
        parent: see :class:`Parent`.
        perturbation: see :class:`Perturbation`; checked.
        operations: (n_ops,) indices of the parent's operations that are left.
        reversal: (n_ops,) −1 for those that are left together with time reversal only, else 1.
        frames: how many independent frames there are, |G|/|P_left|.
    """

    numbers: A = rows("atom")
    node_atom: A = rows("node", "atom")
    node_rotation: A = rows("node")
    node_reversal: A = rows("node")
    receiver: A = rows("edge", "node")
    sender: A = rows("edge", "node")
    bond: A = rows("edge", "bond")
    bond_receiver: A = rows("bond", "atom")
    bond_sender: A = rows("bond", "atom")
    bond_vector: A = rows("bond")
    bond_crystal: A = rows("bond", "crystal")
    atom_crystal: A = rows("atom", "crystal")
    atoms: A = rows("crystal")
    volume: A = rows("crystal")
    op_crystal: A = rows("op", "crystal")
    op_rotation: A = rows("op")
    op_axial: A = rows("op")
    image: A = rows("image", "atom")
    source: A = rows("image", "atom")
    image_op: A = rows("image", "op")
    displacements: A = rows("atom")
    moments: A = rows("atom")
    strain: A = rows("crystal")
    field: A = rows("crystal")
    reference: A | None = alone(default=None)
    parent: Parent = alone()
    perturbation: Perturbation = alone()
    operations: A = alone()
    reversal: A = alone()
    frames: int = alone()

    def __len__(self) -> int:
        return len(self.node_atom)  # type: ignore[arg-type]


def parent_of(
    crystal: SymmetricCrystal, supercell: Sequence | np.ndarray | None = None, options: NeighbourOptions | None = None
) -> Parent:
    """The parent for perturbations of a crystal.

    Args:
        crystal: the symmetric crystal, with its primitive cell.
        supercell: three integers, or a (3, 3) matrix of integers whose rows are the supercell's vectors in those of
            the primitive cell. A pattern that is not the same in all primitive cells needs one that holds its period.
        options: the bonds are the whole shells of these, see :func:`irrepnet.crystals.neighbour_shells`.

    Raises:
        IrrepnetError: a supercell that is not of integers or has no volume.
    """
    options = options or NeighbourOptions()
    matrix = np.eye(3) if supercell is None else np.asarray(supercell, float)
    matrix = np.diag(matrix) if matrix.shape == (3,) else matrix
    if matrix.shape != (3, 3) or np.any(matrix != np.rint(matrix)) or abs(np.linalg.det(matrix)) < 0.5:
        raise IrrepnetError("a supercell is three integers, none of them 0, or a (3, 3) matrix of integers with volume")
    inverse = np.linalg.inv(matrix)

    def inside(cells: np.ndarray) -> np.ndarray:
        """The cell of the supercell to which each of the primitive cells (…, 3) is equivalent."""
        fractional = cells @ inverse
        return np.rint((fractional - np.floor(fractional + _ROUNDING)) @ matrix).astype(int)

    reach = int(np.abs(matrix).sum())
    cells = np.unique(inside(np.stack(np.meshgrid(*[np.arange(reach)] * 3), -1).reshape(-1, 3)), axis=0)
    number = {tuple(cell): i for i, cell in enumerate(cells.tolist())}

    def atoms(primitive: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Number in the supercell of the primitive cell's atom (…) in the cell (…, 3)."""
        found = [number[tuple(cell)] for cell in inside(at).reshape(-1, 3).tolist()]
        return primitive * len(cells) + np.reshape(found, np.shape(primitive))

    n, m = len(crystal), len(cells)
    own, cell_of = np.repeat(np.arange(n), m), np.tile(cells, (n, 1))
    images = crystal.frac_coords @ crystal.rotations.transpose(0, 2, 1) + crystal.translations[:, None]
    shifts = np.rint(images - crystal.frac_coords[crystal.permutation])  # [g, a] → lattice vector
    element, permutation = [], []
    for g, rotation in enumerate(crystal.rotations):
        turned = matrix @ rotation.T @ inverse
        if np.abs(turned - np.rint(turned)).max() < _ROUNDING * reach:  # it keeps the supercell's lattice
            moved = cell_of @ rotation.T + shifts[g, own]
            permutation += [atoms(crystal.permutation[g, own], moved + cell) for cell in cells]
            element += [g] * m
    bonds = whole_shells(crystal, options)
    receiver = atoms(np.repeat(bonds.receiver, m), np.tile(cells, (len(bonds.receiver), 1)))
    sender = atoms(
        np.repeat(bonds.sender, m), np.tile(cells, (len(bonds.sender), 1)) + np.repeat(bonds.shift, m, axis=0)
    )
    order = np.argsort(receiver, kind="stable")
    return Parent(
        lattice=matrix @ crystal.lattice,
        positions=(crystal.frac_coords[own] + cell_of) @ crystal.lattice,
        numbers=crystal.numbers[own],
        point_group=crystal.point_group,
        element=np.array(element),
        permutation=np.array(permutation),
        receiver=receiver[order],
        sender=sender[order],
        vector=np.repeat(bonds.vector, m, axis=0)[order],
    )


def symmetry_left(parent: Parent, perturbation: Perturbation) -> tuple[np.ndarray, np.ndarray]:
    """The operations of the parent that keep a perturbation, alone or combined with time reversal.

    Returns:
        operations: (S,) indices of the parent's operations; one that does both is listed twice.
        reversal: (S,) 1 for the operation alone, −1 for it combined with time reversal.
    """
    known = perturbation.checked(parent)
    rotations = parent.rotations
    axial = np.linalg.det(rotations)[:, None, None]

    def moved(vectors: np.ndarray) -> np.ndarray:  # (K, n, 3), at the atoms from which they come
        return vectors @ rotations.transpose(0, 2, 1)

    def largest(difference: np.ndarray) -> np.ndarray:
        return np.abs(difference).reshape(len(rotations), -1).max(1)

    residual = np.maximum.reduce(
        [
            largest(moved(known.displacements) - known.displacements[parent.permutation]),
            largest(rotations @ known.strain @ rotations.transpose(0, 2, 1) - known.strain),
            largest(rotations @ known.field - known.field),
        ]
    )
    turned, there = axial * moved(known.moments), known.moments[parent.permutation]
    operations, reversal = [], []
    for sign in (1, -1):
        kept = np.flatnonzero(np.maximum(residual, largest(sign * turned - there)) < SAME)
        operations.append(kept)
        reversal.append(np.full(len(kept), sign))
    return np.concatenate(operations), np.concatenate(reversal)


def broken_graph(
    parent: Parent,
    perturbation: Perturbation | None = None,
    group: PointGroup | None = None,
    form: Literal["one-frame", "full"] = "one-frame",
) -> BrokenGraph:
    """The graph of a perturbed parent for a network of the model group ``group``, by default the parent's own.

    Operations that are not in the group are not made use of: with the group 1 there is one frame, and nothing ties
    the network to the parent's symmetry. The form ``full`` uses no operation: all 2|G|·n pairs are nodes.

    Raises:
        IrrepnetError: see :meth:`Perturbation.checked`; an unknown form.
    """
    if form not in ("one-frame", "full"):
        raise IrrepnetError(f"unknown form {form!r}; choose one of one-frame, full")
    group = group or parent.point_group
    known = (perturbation or Perturbation()).checked(parent)
    n, order = len(parent), group.order
    operations, reversal = symmetry_left(parent, known)
    if form == "full":
        first = (parent.permutation[operations] == np.arange(n)).all(1) & (parent.element[operations] == 0)
        operations, reversal = operations[first & (reversal > 0)], np.ones(1, int)
    in_group = (group.operations[None] - parent.rotations[operations][:, None]).reshape(len(operations), order, 9)
    distance = np.abs(in_group).max(-1)
    kept = distance.min(1) < SAME
    operations, reversal = operations[kept], reversal[kept]
    element = distance[kept].argmin(1)

    # pairs (τ, g, a), numbered (τ N + g) n + a; the representative of a class is its first
    tau = np.arange(2)[None, :, None, None] ^ (reversal < 0)[:, None, None, None]
    turned = group.multiplication[element][:, None, :, None]
    image = (tau * order + turned) * n + parent.permutation[operations][:, None, None, :]
    nodes, node_of = np.unique(image.reshape(len(operations), -1).min(0), return_inverse=True)
    node_of = node_of.reshape(2 * order, n)
    node_element, node_atom = nodes // n, nodes % n

    # the bonds of each node's atom, one after the other
    first = np.searchsorted(parent.receiver, np.arange(n + 1))
    count = np.diff(first)[node_atom]
    start = np.cumsum(count) - count
    bond = np.arange(count.sum()) + np.repeat(first[node_atom] - start, count)
    receiver = np.repeat(np.arange(len(nodes)), count)
    rotations = parent.rotations[operations]
    atoms, ops = np.arange(n), np.arange(len(operations))
    return BrokenGraph(
        numbers=parent.numbers,
        crystal=np.zeros(len(nodes), int),
        node_atom=node_atom,
        node_rotation=group.operations[node_element % order],
        node_reversal=np.where(node_element < order, 1.0, -1.0),
        receiver=receiver,
        sender=node_of[node_element[receiver], parent.sender[bond]],
        bond=bond,
        bond_receiver=parent.receiver,
        bond_sender=parent.sender,
        bond_vector=parent.vector,
        bond_crystal=np.zeros(len(parent.vector), int),
        atom_crystal=np.zeros(n, int),
        atoms=np.array([float(n)]),
        volume=np.array([parent.volume]),
        op_crystal=np.zeros(len(ops), int),
        op_rotation=rotations,
        op_axial=np.linalg.det(rotations) * reversal,
        image=parent.permutation[operations].ravel(),
        source=np.tile(atoms, len(ops)),
        image_op=np.repeat(ops, n),
        displacements=known.displacements,
        moments=known.moments,
        strain=known.strain[None],
        field=known.field[None],
        parent=parent,
        perturbation=known,
        operations=operations,
        reversal=reversal,
        frames=len(np.unique(node_element)),
    )


@lru_cache(maxsize=16)
def unperturbed(parent: Parent, group: PointGroup) -> BrokenGraph:
    """The graph of a parent by itself, to which energies are relative."""
    return broken_graph(parent, group=group)
