"""The model group of a crystal, and the axes along which a network of that group sees it.

In its standard frame every crystallographic point group lies in m-3m or in 6/mmm. A network of one of these does
not notice when a crystal is turned by an operation of its group, and the axes of an orthorhombic or higher
lattice are fixed up to such an operation. In the monoclinic and the triclinic system they are not: there a
convention decides that depends on the crystal alone and not on the cell that describes it.
"""

from itertools import combinations, product

import moyopy
import numpy as np

from irrepnet.crystals.neighbours import neighbour_shells
from irrepnet.crystals.symmetric import SymmetricCrystal
from irrepnet.groups import PointGroup

MODEL_GROUPS = ("m-3m", "6/mmm")
"""What :func:`model_group` can be."""
TIE = 1e-3
"""Cells whose products of edges differ by less, relatively, are equally short."""

# Edges of the shortest cells in the basis of one that is reduced: of v and -v one, and the triples of volume one.
_EDGES = np.array([edge for edge in product((1, 0, -1), repeat=3) if edge > (0, 0, 0)])
_CELLS = np.array([cell for cell in combinations(range(13), 3) if abs(np.linalg.det(_EDGES[[*cell]]).round()) == 1])


def model_group(crystal: SymmetricCrystal) -> PointGroup:
    """6/mmm for trigonal and hexagonal crystals, m-3m for all others; the crystal's point group is a subgroup."""
    return PointGroup("6/mmm" if crystal.point_group.system in ("trigonal", "hexagonal") else "m-3m")


def frame_convention(crystal: SymmetricCrystal) -> str:
    """What fixes the axes of a network on this crystal, in words."""
    if crystal.frame_is_fixed:
        return f"the lattice fixes the axes up to an operation of {model_group(crystal).name}"
    if crystal.point_group.system == "monoclinic":
        return "y along the unique axis; x and z nearest to the two shortest vectors of the net normal to it"
    return "x, y and z nearest to the three shortest vectors that span the lattice"


def frame_rotation(crystal: SymmetricCrystal) -> np.ndarray:
    """The proper rotation (3, 3) from the standard frame to the network's, x_network = rotation @ x_standard.

    It commutes with the crystal's point group, and is the identity unless the crystal is monoclinic or triclinic.
    For these the axes are the orthonormal vectors nearest to the directions of the shortest cell's edges, in no order:
    the orthogonal factor of the matrix of directions (Löwdin, J. Chem. Phys. 18, 365 (1950)). The shortest cell is the
    one with the least product of edges: of the lattice if that is triclinic, of b and the net normal to b if it is
    monoclinic. So the axes follow the lattice smoothly, and are its own where it has right angles.

    Of several cells that are equally short within 0.1 % it is the one whose axes lie nearest to the bonds, by the mean
    of x⁴ + y⁴ + z⁴ over unit vectors to the neighbours, weighted with both atomic numbers. Of the ways to name the
    axes, which are operations of m-3m, the rotation is the one nearest to the identity.
    """
    if crystal.frame_is_fixed:
        return np.eye(3)
    axes = _shortest_cells_axes(crystal.conventional_lattice)
    if len(axes) > 1:
        axes = axes[[_along_bonds(crystal, axes).argmax()]]
    named = PointGroup("m-3m").operations @ axes[0].T
    named = named[np.linalg.det(named) > 0]
    return named[named.trace(axis1=1, axis2=2).argmax()]


def _shortest_cells_axes(lattice: np.ndarray) -> np.ndarray:
    """(k, 3, 3) the axes, as columns, of each of the shortest cells."""
    edges = _EDGES @ np.array(moyopy.minkowski_reduce(lattice.tolist())[0])
    length = np.linalg.norm(edges, axis=1)
    size = length[_CELLS].prod(1)
    shortest = _CELLS[size < (1 + TIE) * size.min()]
    left, _, right = np.linalg.svd((edges / length[:, None])[shortest].swapaxes(1, 2))
    return left @ right


def _along_bonds(crystal: SymmetricCrystal, axes: np.ndarray) -> np.ndarray:
    """(k,) weighted mean of x⁴ + y⁴ + z⁴ over the bonds' unit vectors along each of the axes (k, 3, 3)."""
    bonds = neighbour_shells(crystal)
    weight = crystal.numbers[bonds.receiver] * crystal.numbers[bonds.sender]
    unit = bonds.vector / bonds.distance[:, None]
    return np.einsum("e,kex->k", weight / weight.sum(), (unit @ axes) ** 4)
