"""Frames of a calculation, read as perturbations of one symmetric crystal.

A frame has a lattice, atoms and axes of its own. With row vectors, its lattice is M L (1 + ε) Qᵀ and its atoms are
(x₀ + u)(1 + ε) Qᵀ + origin: L the primitive lattice of the parent, M a matrix of integers, ε symmetric, Q a rotation.
So M fixes the supercell, the polar decomposition of (M L)⁻¹ lattice fixes ε and Q, and each atom goes to the site that
it is nearest to. No displacement may reach half the distance d of two neighbours, so no other order of the atoms has
smaller ones. Their root mean square must be below d/4: crystals melt at about d/10 (Lindemann's rule), and atoms on
wrong lattices are seldom nearer.

Several M can lie within the strain that is allowed. The one that is taken moves the frame least: it has the least
|u|², mean over the atoms, plus |r ε|², mean over the points r of the cell. Choices that the parent's proper rotations
make equal are one.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import moyopy
import numpy as np

from irrepnet.crystals.neighbours import NeighbourOptions, neighbour_shells
from irrepnet.crystals.reading import Cell, read_cell
from irrepnet.crystals.symmetric import SymmetricCrystal
from irrepnet.errors import IrrepnetError
from irrepnet.graphs.broken import Parent, Perturbation, parent_of

STRAINS = (0.02, 0.05, 0.1, 0.15)
"""Lattices are looked for within these strains, one after the other; those beyond the last are refused."""
UNPERTURBED = 1e-4
"""A frame is the parent itself if no displacement (Å), strain, field or moment is larger."""
SPREAD = 5e-3
"""eV an atom: unperturbed frames whose energies differ by more were not computed in the same way."""
_TRIES, _ANCHORS = 200, 8  # lattices that are tried for a frame; atoms that are laid on a site to find the origin
_ROUNDS = 20
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Matched:
    """A frame of n atoms as a perturbation of its parent."""

    parent: Parent
    perturbation: Perturbation
    """Checked, in the parent's axes and order."""
    rotation: np.ndarray
    """(3, 3) Q, proper: x_frame = Q @ x_parent."""
    order: np.ndarray
    """(n,) the frame's atom at each atom of the parent."""
    cells: int
    """How many primitive cells the frame has."""

    @property
    def is_unperturbed(self) -> bool:
        """Whether the frame is the parent itself within 1e-4."""
        p = self.perturbation
        return all(np.abs(given).max() < UNPERTURBED for given in (p.displacements, p.strain, p.field, p.moments))

    def to_parent(self, tensor: Any, of_atoms: bool = False) -> np.ndarray:
        """A tensor of the frame in the parent's axes, and atoms in the parent's order.

        Vectors may be polar or axial, for Q is proper.

        Args:
            tensor: (3,) a field or polarisation, (3, 3) a stress, …; with an axis of n atoms before if ``of_atoms``:
                (n, 3) forces or moments, (n, 3, 3) Born charges, …
            of_atoms: whether the first axis is that of the atoms.

        Raises:
            IrrepnetError: another shape.
        """
        turned = _turned(tensor, self.rotation.T, len(self.order) if of_atoms else None)
        return turned[self.order] if of_atoms else turned

    def to_frame(self, tensor: Any, of_atoms: bool = False) -> np.ndarray:
        """The inverse of :meth:`to_parent`: what is said of the parent in the frame's axes and order."""
        turned = _turned(tensor, self.rotation, len(self.order) if of_atoms else None)
        return turned[np.argsort(self.order)] if of_atoms else turned


class Frames:
    """Matches frames with a symmetric crystal; frames with one supercell share one parent.

    Supercells that a proper rotation of the crystal takes into each other are one, whatever their vectors are.

    Args:
        crystal: the unperturbed crystal.
        options: of the parents' bonds, see :func:`irrepnet.graphs.broken.parent_of`.

    Attributes:
        limit: Å, half the shortest distance of two atoms: no displacement may reach it, nor their root mean square
            half of it.
        parents: those made so far, by the Hermite normal form of their supercell.
    """

    def __init__(self, crystal: SymmetricCrystal, options: NeighbourOptions | None = None) -> None:
        self.crystal, self.options = crystal, options
        self.limit = neighbour_shells(crystal, n_max=1).distance.min() / 2
        self.parents: dict[bytes, Parent] = {}
        operations = crystal.point_group.operations
        self._turns = operations[np.linalg.det(operations) > 0]
        self._last: tuple[bytes, int] = b"", 0  # the lattice of the last frame, and what was found of it
        self._found: dict[float, np.ndarray] = {}

    def match(self, frame: Any, field: Any = None, moments: Any = None) -> Matched:
        """The frame as a perturbation of the supercell that it is.

        Of the rotations Q that differ by one of the crystal's own, that nearest to ``crystal.rotation`` is taken as
        long as the supercell allows it: frames in the axes of the parent's file have Q near that of the file.

        Args:
            frame: whatever :func:`irrepnet.crystals.read_cell` takes.
            field: (3,) polar vector in the axes of the frame, or None.
            moments: (n, 3) axial vectors in the axes and the order of the frame, or None.

        Raises:
            IrrepnetError: a frame that cannot be read, with other atoms, with a lattice that is none of the parent's
                supercells within a strain of 15 %, or with an atom that is not near a site of its own.
        """
        from scipy.spatial import KDTree

        cell = read_cell(frame)
        cells = self._cells(cell)
        lattice = np.array(moyopy.minkowski_reduce(cell.lattice.tolist())[0])
        deformation = self._canonical(self._deformation(cell, lattice, cells), lattice)
        parent = self._parent(lattice @ np.linalg.inv(deformation))
        strain, rotation = _polar(deformation)
        sites, u = self._sites(cell, deformation)
        fractional = np.linalg.inv(parent.lattice)
        tree = KDTree(parent.positions @ fractional % 1.0 % 1.0, boxsize=1.0)  # twice, for -1e-17 % 1.0 is 1.0
        atom = np.asarray(tree.query(sites @ fractional % 1.0 % 1.0)[1])
        order = np.argsort(atom)
        twice = np.flatnonzero(np.diff(atom[order]) == 0)
        if len(twice):
            first, second = sorted(order[twice[0] : twice[0] + 2] + 1)
            raise IrrepnetError(
                f"{cell.name}: atoms {first} and {second} are both nearest to one site of the parent, and another site "
                "has none; leave the frame out"
            )
        matched = Matched(parent, Perturbation(), rotation, order, cells)
        perturbation = Perturbation(
            displacements=u[order],
            strain=strain,
            field=None if field is None else matched.to_parent(field),
            moments=None if moments is None else matched.to_parent(moments, of_atoms=True),
        )
        return replace(matched, perturbation=perturbation.checked(parent))

    def _cells(self, cell: Cell) -> int:
        """How many primitive cells have the frame's atoms."""
        of_frame, of_crystal = Counter(cell.numbers.tolist()), Counter(self.crystal.numbers.tolist())
        cells = len(cell.numbers) // len(self.crystal)
        if of_frame != Counter({number: cells * count for number, count in of_crystal.items()}):
            raise IrrepnetError(
                f"{cell.name}: its atoms, {_formula(of_frame)}, are no whole number of primitive cells of the parent, "
                f"{_formula(of_crystal)}; vacancies and substitutions are other crystals: leave the frame out"
            )
        return cells

    def _deformation(self, cell: Cell, lattice: np.ndarray, cells: int) -> np.ndarray:
        """(1 + ε) Qᵀ (3, 3) from the parent's lattice to the frame's (a reduced basis of it)."""
        primitive = self.crystal.lattice
        best, least, refused, tries = None, np.inf, (np.inf, np.inf), 0
        if self._last != (lattice.tobytes(), cells):
            self._last, self._found = (lattice.tobytes(), cells), {}
        arm = np.linalg.norm(lattice, -2) / (1 + STRAINS[-1]) / np.sqrt(12)  # √mean |r ε|² ≥ arm · strain
        for low, high in pairwise((-1.0, *STRAINS)):
            if arm * low > least or tries == _TRIES:
                break
            if high not in self._found:
                self._found[high] = self._deformations(lattice, cells, low, high)
            for deformation in self._found[high][: _TRIES - tries]:
                tries += 1
                unstrained, (strain, _) = lattice @ np.linalg.inv(deformation), _polar(deformation)
                by_strain = np.linalg.norm(unstrained @ strain) / np.sqrt(12)
                if by_strain >= least:
                    continue
                distances = np.linalg.norm(self._sites(cell, deformation)[1], axis=1)
                mean, largest = np.sqrt((distances**2).mean()), distances.max()
                if largest >= self.limit or mean >= self.limit / 2:
                    refused = min(refused, (mean, largest))
                elif np.hypot(mean, by_strain) < least:
                    best, least = deformation, np.hypot(mean, by_strain)
        if not tries:
            raise IrrepnetError(
                f"{cell.name}: its lattice, reduced {_parameters(lattice)}, is no supercell of {cells} primitive cells "
                f"({_parameters(primitive)}) of the parent {self.crystal.formula} within a strain of "
                f"{STRAINS[-1]:.0%}; give as parent the crystal from which the frames were made, at a lattice "
                "constant near theirs"
            )
        if best is None:
            raise IrrepnetError(
                f"{cell.name}: its atoms are up to {refused[1]:.2f} Å from the nearest sites of their elements in the "
                f"parent {self.crystal.formula}, {refused[0]:.2f} Å in the mean (root mean square); below "
                f"{self.limit:.2f} and {self.limit / 2:.2f} Å it is clear which site an atom belongs to: leave the "
                "frame out, or give the parent of this phase"
            )
        return best

    def _deformations(self, lattice: np.ndarray, cells: int, low: float, high: float) -> np.ndarray:
        """(c, 3, 3) of all supercells whose strain is above ``low`` and at most ``high``, by rising strain.

        One of those that the crystal's proper rotations make equal, with Q nearest to ``crystal.rotation``.
        """
        primitive = self.crystal.lattice
        inverse = np.linalg.inv(primitive)
        stretch = np.cbrt(np.linalg.det(inverse @ lattice) / cells)
        if not 1 - high <= stretch <= 1 + high:
            return np.empty((0, 3, 3))
        lengths = np.linalg.norm(lattice, axis=1)
        reach = np.floor(lengths.max() / (1 - high) * np.linalg.norm(inverse, axis=0)).astype(int)
        grid = np.stack(np.meshgrid(*[np.arange(-r, r + 1) for r in reach], indexing="ij"), -1).reshape(-1, 3)
        vectors = grid @ primitive
        norms = np.linalg.norm(vectors, axis=1)

        def fits(found: np.ndarray, wanted: float) -> np.ndarray:  # lengths before the strain and after
            return (found * (1 - high) <= wanted + _ROUNDING) & (found * (1 + high) >= wanted - _ROUNDING)

        def fit(i: int, j: int) -> np.ndarray:
            """Whether sum and difference of the candidates for vectors i and j have lengths that fit."""
            length, difference = np.linalg.norm([lattice[i] + lattice[j], lattice[i] - lattice[j]], axis=1)
            found = []
            for row in rows[i]:
                squares, twice = norms[rows[j]] ** 2 + norms[row] ** 2, 2 * vectors[rows[j]] @ vectors[row]
                both = fits(np.sqrt(abs(squares + twice)), length), fits(np.sqrt(abs(squares - twice)), difference)
                found.append(both[0] & both[1])
            return np.reshape(found, (len(rows[i]), len(rows[j]))).astype(bool)

        rows = [np.flatnonzero(fits(norms, length)) for length in lengths]
        # one first vector of those that the crystal's rotations take into each other
        images = vectors[rows[0]] @ self._turns @ [1, np.sqrt(2), np.pi]
        rows[0] = rows[0][images[self._turns.trace(axis1=1, axis2=2).argmax()] >= images.max(0) - _ROUNDING]
        second, third, both = fit(0, 1), fit(0, 2), fit(1, 2)
        found = [np.empty((0, 3, 3))]
        for i, a in enumerate(grid[rows[0]]):
            chosen = np.flatnonzero(second[i])
            remaining = np.flatnonzero(third[i])
            j, k = np.nonzero(both[np.ix_(chosen, remaining)])
            j, k = rows[1][chosen[j]], rows[2][remaining[k]]
            volumes = (np.cross(a, grid)[j] * grid[k]).sum(1)
            b, c = grid[j[volumes == cells]], grid[k[volumes == cells]]
            found.append(np.stack([np.broadcast_to(a, b.shape), b, c], axis=1))
        deformations = np.linalg.inv(np.concatenate(found) @ primitive) @ lattice
        strains = np.abs(np.linalg.svd(deformations, compute_uv=False) - 1).max(1)
        inside = (low < strains) & (strains <= high)
        deformations = deformations[inside][np.argsort(strains[inside])]
        equal = self._turns.transpose(0, 2, 1) @ deformations[:, None]
        nearest = equal[np.arange(len(equal)), self._far_from_file(equal).argmin(1)]
        _, first = np.unique(np.round(nearest.reshape(-1, 9), 6), axis=0, return_index=True)
        return nearest[np.sort(first)]

    def _far_from_file(self, deformations: np.ndarray) -> np.ndarray:
        """(…) for (…, 3, 3): how far Q is from the rotation of the crystal's file; less is nearer."""
        return -np.round((_polar(deformations)[1] * self.crystal.rotation).sum((-2, -1)), 9)

    def _canonical(self, deformation: np.ndarray, lattice: np.ndarray) -> np.ndarray:
        """Of the deformations that the crystal's rotations make equal, that whose supercell is the parent's."""

        def key(turned: np.ndarray) -> tuple[list[int], float]:
            form = self._normal_form(lattice @ np.linalg.inv(turned))
            return form.ravel().tolist(), float(self._far_from_file(turned))

        return min(self._turns.transpose(0, 2, 1) @ deformation, key=key)

    def _normal_form(self, lattice: np.ndarray) -> np.ndarray:
        return hermite_normal_form(np.rint(lattice @ np.linalg.inv(self.crystal.lattice)).astype(int))

    def _parent(self, lattice: np.ndarray) -> Parent:
        """The parent whose supercell has this lattice."""
        form = self._normal_form(lattice)
        if form.tobytes() not in self.parents:
            # compact vectors, whichever basis the frame has
            reduced = np.array(moyopy.minkowski_reduce((form @ self.crystal.lattice).tolist())[0])
            supercell = np.rint(reduced @ np.linalg.inv(self.crystal.lattice))
            self.parents[form.tobytes()] = parent_of(self.crystal, supercell, self.options)
        return self.parents[form.tobytes()]

    def _sites(self, cell: Cell, deformation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For each atom, the nearest site (n, 3) of its element and the displacement (n, 3) from it, of zero mean.

        The origin is that for which they vary least when an atom of the rarest element lies on a site,
        corrected by their mean.
        """
        from pymatgen.core import Lattice
        from pymatgen.util.coord import pbc_shortest_vectors

        crystal, inverse = self.crystal, np.linalg.inv(self.crystal.lattice)
        points = cell.frac_coords @ cell.lattice @ np.linalg.inv(deformation)
        foreign = (crystal.numbers[:, None] != cell.numbers).astype(np.int64)

        def displacements(origins: np.ndarray) -> np.ndarray:
            """(origins, n, 3)"""
            fractional = (points - origins[:, None]).reshape(-1, 3) @ inverse
            mask = np.tile(foreign, len(origins))
            vectors, squares = pbc_shortest_vectors(
                Lattice(crystal.lattice), crystal.frac_coords, fractional, mask, return_d2=True
            )
            return vectors[squares.argmin(0), np.arange(len(fractional))].reshape(len(origins), -1, 3)

        rarest = min(np.unique(crystal.numbers), key=lambda number: (crystal.numbers == number).sum())
        anchors = points[cell.numbers == rarest][:_ANCHORS, None]
        origins = (anchors - crystal.cart_coords[crystal.numbers == rarest]).reshape(-1, 3)
        u = displacements(origins)
        best = u.var(axis=1).sum(-1).argmin()
        origin, u = origins[best], u[best]
        for _ in range(_ROUNDS):
            origin = origin + u.mean(0)
            u = displacements(origin[None])[0]
            if np.abs(u.mean(0)).max() < _ROUNDING:
                break
        return points - origin - u, u


def reference_energy(
    matched: Sequence[Matched], energies: Sequence[float | None], given: float | None = None
) -> float | None:
    """The energy of the unperturbed parent, eV a primitive cell: that of a frame minus ``cells`` times it is learned.

    Args:
        matched: frames of one crystal.
        energies: eV of each frame's cell; None where it is not known.
        given: eV a primitive cell, if the user knows it; it is then what counts.

    Returns:
        What is given, else the mean of the unperturbed frames', else None.

    Raises:
        IrrepnetError: a number that is not finite, or unperturbed frames whose energies differ by more than
            0.005 eV an atom.
    """
    if given is None:
        known = zip(matched, energies, strict=True)
        found = [energy / m.cells for m, energy in known if energy is not None and m.is_unperturbed]
        if not found:
            return None
        if max(found) - min(found) > SPREAD * len(matched[0].parent) / matched[0].cells:
            raise IrrepnetError(
                f"the energies of {len(found)} unperturbed frames lie between {min(found):.6g} and {max(found):.6g} eV "
                "a primitive cell, so they were not computed in the same way; give the one that counts, and leave out "
                "the frames computed otherwise"
            )
        given = float(np.mean(found))
    if not np.isfinite(given):
        raise IrrepnetError("the energy of the unperturbed crystal is not finite; give it in eV a primitive cell")
    return given


def hermite_normal_form(matrix: np.ndarray) -> np.ndarray:
    """The upper triangular basis that all bases of a lattice of integers (rows) share.

    Its diagonal is positive, and numbers above it are not negative and less than it.
    """
    form = np.array(matrix)
    n = len(form)
    for i in range(n):
        while form[i + 1 :, i].any():  # Euclid's algorithm down the column
            rows = i + np.flatnonzero(form[i:, i])
            smallest = rows[np.abs(form[rows, i]).argmin()]
            form[[i, smallest]] = form[[smallest, i]]
            form[i + 1 :] -= form[i + 1 :, i : i + 1] // form[i, i] * form[i]
        form[i] *= np.sign(form[i, i])
        form[:i] -= form[:i, i : i + 1] // form[i, i] * form[i]
    return form


def _polar(deformation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """ε and Q of (1 + ε) Qᵀ."""
    left, stretches, right = np.linalg.svd(deformation)
    transposed = np.swapaxes(left, -2, -1)
    return (left * (stretches - 1)[..., None, :]) @ transposed, np.swapaxes(left @ right, -2, -1)


def _turned(tensor: Any, rotation: np.ndarray, atoms: int | None) -> np.ndarray:
    """The tensor with every axis of length 3 turned, but for the first one if it is that of atoms."""
    array = np.array(tensor, float)
    lead = 0 if atoms is None else 1
    if array.shape != (() if atoms is None else (atoms,)) + (3,) * (array.ndim - lead) or array.ndim == lead:
        expected = "(3,), (3, 3), …" if atoms is None else f"({atoms}, 3), ({atoms}, 3, 3), …"
        raise IrrepnetError(f"a tensor of the shape {array.shape} cannot be turned; expected {expected}")
    for axis in range(lead, array.ndim):
        array = np.moveaxis(np.moveaxis(array, axis, -1) @ rotation.T, -1, axis)
    return array


def _formula(counts: Counter[int]) -> str:
    from pymatgen.core import Composition, Element

    return Composition({Element.from_Z(number): count for number, count in counts.items()}).formula


def _parameters(lattice: np.ndarray) -> str:
    from pymatgen.core import Lattice

    lengths, angles = (
        ", ".join(f"{x:.4g}" for x in values) for values in (Lattice(lattice).lengths, Lattice(lattice).angles)
    )
    return f"{lengths} Å and {angles}°"
