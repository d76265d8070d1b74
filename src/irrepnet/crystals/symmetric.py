"""A crystal made exactly symmetric, in the standard frame of its space group.

The flow: a checked cell (`reading.read_cell`) → the symmetry found by moyopy → lattice and sites projected
onto that symmetry → orbits, site-symmetry groups and the permutation of the atoms by each operation.

Standard frame: the conventional cell of the space group's standard setting in International Tables A (origin
choice 2, hexagonal axes for rhombohedral groups, monoclinic unique axis b), with a along x, b in the xy plane
and c towards +z. The principal axis is then z, the monoclinic axis y, and the Cartesian operations are those
of one named setting of `irrepnet.groups` ("321" or "312", "-42m" or "-4m2", …), exactly.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import moyopy
import numpy as np

from irrepnet import compiled
from irrepnet.crystals.cell import Cell
from irrepnet.crystals.reading import read_cell
from irrepnet.errors import IrrepnetError, each_or_error
from irrepnet.groups import PointGroup, setting_of
from irrepnet.outlets import html_table

# moyopy warns whenever the input is a supercell; all that is taken from it refers to the primitive cell.
logging.getLogger("moyo").setLevel(logging.ERROR)

# A tolerance at which the operations found are no group is lowered in steps of this, which are spglib's, down to 1 %.
_STEP = 0.95
_STEPS = 90
_LONG = 5.0  # s, after which a search is said to be long
_TRIED = 2**27  # images and sites; where there are more, a tree of the sites is faster than to try all of them


@dataclass(frozen=True, eq=False)
class SymmetricCrystal:
    """An idealised primitive cell in the standard frame, with its space group acting on the atoms.

    n atoms, M = |P| operations, P the point group. Operation g sends the fractional position x to
    `rotations[g] @ x + translations[g]`; its Cartesian rotation is `point_group.operations[g]`.
    """

    lattice: np.ndarray
    """(3, 3) row vectors of the primitive cell, Å, right-handed, exactly symmetric."""
    frac_coords: np.ndarray
    """(n, 3) in [0, 1), exactly symmetric."""
    numbers: np.ndarray
    """(n,) atomic numbers."""
    hall_number: int
    """1 to 530, the space group with its setting and origin."""
    spacegroup_number: int
    spacegroup_symbol: str
    """Short Hermann–Mauguin symbol of the standard setting, "Fd-3m"."""
    point_group: PointGroup
    """P in the setting that the frame gives it."""
    rotations: np.ndarray
    """(M, 3, 3) int, fractional, in the order of `point_group.operations`."""
    translations: np.ndarray
    """(M, 3) fractional."""
    permutation: np.ndarray
    """(M, n) int: `permutation[g, a]` is the atom that operation g sends atom a to, modulo the lattice."""
    wyckoff: tuple[str, ...]
    """Wyckoff letter of each atom, n of them."""
    orbits: np.ndarray
    """(n,) int, the orbit of each atom, numbered in the order of first atoms."""
    representatives: np.ndarray
    """(orbits,) int, the first atom of each orbit."""
    site_groups: tuple[np.ndarray, ...]
    """For each orbit, the indices into `point_group.operations` of those that fix its representative."""
    site_symmetry: tuple[str, ...]
    """For each orbit, the oriented Hermann–Mauguin symbol of its site symmetry, "4/mm.m"."""
    rotation: np.ndarray
    """(3, 3) proper: x_input = rotation @ x_standard, up to the origin and the strain of idealisation; of the
    choices that the point group makes equal, the one nearest to the identity."""
    displacement: float
    """Å, the farthest that idealisation moved an atom: at fixed lattice, without the common translation."""
    strain: float
    """The largest relative change of a length that idealisation of the lattice made."""
    symprec: float
    """Å, the tolerance with which the symmetry was found."""
    notes: tuple[str, ...] = ()
    """Of the cell that it was made from (`Cell.notes`), and what to know about how its symmetry was found."""

    @classmethod
    def from_structure(cls, source: Any, symprec: float = 0.01) -> SymmetricCrystal:
        """The crystal in `source` (see `reading.read_cell`) with the symmetry it has within `symprec`.

        Args:
            source: pymatgen Structure, path of a structure file, or record.
            symprec: Å, how far from symmetric an atom may be. If no consistent group is found with it the
                search lowers it, by 5 % at a time; the value that led to the group is kept in `symprec`, and `notes`
                say so.

        Raises:
            IrrepnetError: the source is refused by `read_cell`, or no space group is consistent with it.
        """
        _check_symprec(symprec)
        cell = read_cell(source)
        return _symmetrise(cell, _search(cell, symprec), symprec)

    @classmethod
    def from_structures(cls, sources: Iterable[Any], symprec: float = 0.01) -> list[SymmetricCrystal | IrrepnetError]:
        """The crystals in many sources as `from_structure` makes them, and errors in the places of those without one.

        Each step is made for all sources before the next, so that what it needs stays in the processor's caches: that
        saves a tenth of the time.

        Raises:
            IrrepnetError: symprec is out of range.
        """
        _check_symprec(symprec)
        found = each_or_error(lambda cell: (cell, _search(cell, symprec)), each_or_error(read_cell, sources))
        return each_or_error(lambda pair: _symmetrise(pair[0], pair[1], symprec), found)

    def __repr__(self) -> str:
        return f"SymmetricCrystal({self._title}: {', '.join(' '.join(site[:3]) for site in self._sites)})"

    def _repr_html_(self) -> str:
        """What notebooks display: one atom of each orbit."""
        return html_table(self._title, ["", "Wyckoff", "site symmetry", "fractional coordinates"], self._sites)

    @property
    def _title(self) -> str:
        return f"{self.formula}, {self.spacegroup_symbol} ({self.spacegroup_number}), {len(self)} atoms"

    @property
    def _sites(self) -> list[tuple[str, str, str, str]]:
        from pymatgen.core.periodic_table import Element

        return [
            (
                Element.from_Z(int(self.numbers[a])).symbol,
                self.wyckoff[a],
                symbol,
                " ".join(f"{x:.4f}" for x in self.frac_coords[a]),
            )
            for a, symbol in zip(self.representatives, self.site_symmetry)
        ]

    def __len__(self) -> int:
        """Number of atoms n in the primitive cell."""
        return len(self.numbers)

    @cached_property
    def cart_coords(self) -> np.ndarray:
        """(n, 3) Cartesian positions in the standard frame, Å."""
        return self.frac_coords @ self.lattice

    @cached_property
    def formula(self) -> str:
        """Reduced formula, "MgAl2O4"."""
        from pymatgen.core import Composition

        return Composition(Counter(self.species)).reduced_formula

    @cached_property
    def species(self) -> tuple[str, ...]:
        """Element symbol of each atom."""
        from pymatgen.core.periodic_table import Element

        return tuple(Element.from_Z(int(number)).symbol for number in self.numbers)

    @cached_property
    def conventional_lattice(self) -> np.ndarray:
        """(3, 3) row vectors of the conventional cell in the standard frame, Å."""
        return np.array(moyopy.HallSymbolEntry(self.hall_number).centering.linear).T @ self.lattice

    @cached_property
    def multiplicities(self) -> np.ndarray:
        """(orbits,) int, multiplicity of each orbit's Wyckoff position, that is in the conventional cell."""
        return np.bincount(self.orbits) * moyopy.HallSymbolEntry(self.hall_number).centering.order

    @property
    def frame_is_fixed(self) -> bool:
        """Whether the lattice fixes the frame up to the holohedries O_h and D_6h.

        In the monoclinic and the triclinic system the axes are a convention: here cell choice 1 and the reduced
        cell, in a network those of `frames.frame_rotation`. Crystals that are nearly equal may get different ones.
        """
        return self.spacegroup_number > 15


def _check_symprec(symprec: float) -> None:
    if not 0 < symprec < 1:
        raise IrrepnetError(f"symprec is a distance between 0 and 1 Å, got {symprec}")


def _symmetrise(cell: Cell, found: Any, symprec: float) -> SymmetricCrystal:
    """The crystal of a cell from its symmetry, as `_search` finds it within `symprec`."""
    group, rotations, translations = setting_operations(found.hall_number)
    standard = found.prim_std_cell
    numbers = np.array(standard.numbers)
    found_lattice = np.array(standard.basis)

    # The part of the lattice that commutes with the group: mean over g of O_gᵀ A R_g, A its column vectors.
    columns = (group.operations.transpose(0, 2, 1) @ found_lattice.T @ rotations).mean(axis=0)
    lattice = np.ascontiguousarray(columns.T)
    permutation, frac_coords = exact_sites(
        np.array(standard.positions), numbers, rotations, translations, lattice, 2 * symprec, cell.name
    )

    # From the input cell to the primitive standard one, before and after idealisation.
    to_standard = np.array(found.prim_std_linear)
    image = np.array(found.mapping_std_prim)
    mapped = (cell.frac_coords - found.prim_std_origin_shift) @ np.linalg.inv(to_standard).T
    moved = mapped - frac_coords[image]
    moved -= np.round(moved)
    moved = (moved - moved.mean(axis=0)) @ lattice
    deformation = (cell.lattice.T @ to_standard) @ np.linalg.inv(lattice.T)
    left, stretches, right = np.linalg.svd(deformation)
    turns = left @ right @ _proper_operations(group)

    first_of = permutation.min(axis=0)
    representatives = np.flatnonzero(first_of == np.arange(len(numbers)))
    input_atom = np.empty(len(numbers), dtype=int)
    input_atom[image] = np.arange(len(image))
    letters, symbols = found.wyckoffs, found.site_symmetry_symbols
    return SymmetricCrystal(
        lattice=lattice,
        frac_coords=frac_coords,
        numbers=numbers,
        hall_number=found.hall_number,
        spacegroup_number=found.number,
        spacegroup_symbol=_short_symbol(found.number),
        point_group=group,
        rotations=rotations,
        translations=translations,
        permutation=permutation,
        wyckoff=tuple(letters[i] for i in input_atom.tolist()),
        orbits=np.searchsorted(representatives, first_of),
        representatives=representatives,
        site_groups=tuple(fixed.nonzero()[0] for fixed in (permutation[:, representatives] == representatives).T),
        site_symmetry=tuple(symbols[i] for i in input_atom[representatives].tolist()),
        rotation=turns[turns.trace(axis1=1, axis2=2).argmax()],
        displacement=float(np.linalg.norm(moved, axis=1).max()),
        strain=float(abs(stretches - 1).max()),
        symprec=found.symprec,
        notes=(*cell.notes, *_notes(found.symprec, symprec)),
    )


@cache
def _proper_operations(group: PointGroup) -> np.ndarray:
    return group.operations[np.linalg.det(group.operations) > 0]


@cache
def _short_symbol(number: int) -> str:
    return moyopy.SpaceGroupType(number).hm_short.replace(" ", "")


def _notes(found: float, asked: float) -> tuple[str, ...]:
    """Of tolerances in Å."""
    if found >= asked:
        return ()
    return (f"its symmetry is that within {found:.3g} Å: the operations within the {asked:g} Å asked for are no group",)


def _search(cell: Cell, symprec: float) -> Any:
    """The symmetry at `symprec` or, if the operations found there are no group, at the largest tolerance below.

    Of two tolerances the larger may have no group although the smaller has a large one: operations that are only just
    within it do not close. moyo then halves or doubles the tolerance; half may be too little for the group, and twice
    is more than was asked for. So the tolerance is lowered in small steps here until moyo keeps it.

    Where hundreds of atoms are almost where a symmetry takes them, each search takes a time that grows like the square
    of their number: a warning says so.
    """
    atoms = moyopy.Cell(cell.lattice.tolist(), cell.frac_coords.tolist(), cell.numbers.tolist())
    best, failure = None, "the tolerance was raised"
    start, is_told = time.perf_counter(), False
    for step in range(_STEPS):
        wanted = symprec * _STEP**step
        if not is_told and time.perf_counter() - start > _LONG:
            is_told = True
            warnings.warn(
                f"{cell.name}: its {len(cell.numbers)} atoms are symmetric within about {symprec} Å, but not quite, "
                "and the search takes long; a larger symprec takes them as symmetric, a smaller one as they are: both "
                "are quick",
                stacklevel=3,
            )
        if best is not None and best.symprec >= wanted:
            break
        try:
            found = moyopy.MoyoDataset(atoms, symprec=wanted, setting=moyopy.Setting.standard())
        except ValueError as error:
            failure = str(error)
            continue
        if found.symprec <= symprec and (best is None or found.symprec > best.symprec):
            best = found
    if best is None:
        raise IrrepnetError(
            f"{cell.name}: no space group found at symprec {symprec} Å ({failure}); try another symprec"
        )
    return best


@cache
def standard_hall_number(number: int) -> int:
    """Hall number of the standard setting of a space group. Raises IrrepnetError if there is no such number."""
    if number not in range(1, 231):
        raise IrrepnetError(f"space groups have the numbers 1 to 230, got {number}")
    standard = moyopy.operations_from_number(number, setting=moyopy.Setting.standard(), primitive=True)
    for hall_number in range(number, 531):  # there are at least as many settings as groups before it
        if moyopy.HallSymbolEntry(hall_number).number != number:
            continue
        setting = moyopy.Setting.hall_number(hall_number)
        operations = moyopy.operations_from_number(number, setting=setting, primitive=True)
        if operations.rotations == standard.rotations and operations.translations == standard.translations:
            return hall_number
    raise AssertionError(f"no Hall setting is the standard one of space group {number}")


@cache
def setting_operations(hall_number: int) -> tuple[PointGroup, np.ndarray, np.ndarray]:
    """The point group of a Hall setting in the standard frame, and one operation of the space group for each
    of its elements, in its order: rotations (M, 3, 3) int and translations (M, 3) in the primitive basis."""
    entry = moyopy.HallSymbolEntry(hall_number)
    table = moyopy.operations_from_number(entry.number, setting=moyopy.Setting.hall_number(hall_number), primitive=True)
    rotations, translations = np.array(table.rotations), np.array(table.translations)
    # Cartesian operations do not depend on the cell parameters: take a = b = c = 1, γ = 90° or 120°.
    conventional = np.eye(3)
    if 143 <= entry.number <= 194:
        conventional[:2, 1] = -0.5, np.sqrt(0.75)
    primitive = conventional @ np.linalg.inv(entry.centering.linear)
    operations = primitive @ rotations @ np.linalg.inv(primitive)
    group = setting_of(operations)
    assert group is not None, f"no setting of a point group has the operations of {entry.hm_full}"
    order = np.argsort(group.indices(operations))
    rotations, translations = rotations[order], translations[order]
    rotations.flags.writeable = translations.flags.writeable = False
    return group, rotations, translations


def exact_sites(
    frac_coords: np.ndarray,
    numbers: np.ndarray,
    rotations: np.ndarray,
    translations: np.ndarray,
    lattice: np.ndarray,
    tolerance: float,
    name: str,
) -> tuple[np.ndarray, np.ndarray]:
    """The permutation table (M, n) and the averaged sites (n, 3), x_a ← mean over g of s_g⁻¹(x_{g·a})."""
    if len(rotations) * len(numbers) ** 2 < _TRIED and compiled.is_there():
        permutation, correction = np.empty((len(rotations), len(numbers)), int), np.zeros((len(numbers), 3))
        given = (frac_coords, numbers, rotations, translations, lattice)
        sizes = len(numbers), len(rotations), tolerance
        is_symmetric = compiled.run("averaged_sites", *sizes, *given, permutation, correction) == 0
    else:
        permutation, residual = _nearest_images(frac_coords, rotations, translations)
        is_bijective = (np.sort(permutation, axis=1) == np.arange(len(numbers))).all()
        is_symmetric = is_bijective and (numbers[permutation] == numbers).all()
        is_symmetric &= np.linalg.norm(residual @ lattice, axis=-1).max() <= tolerance
        # s_g⁻¹ takes the residual back by R_g⁻¹; what is left of it on average is the correction.
        correction = (residual @ np.linalg.inv(rotations).round().transpose(0, 2, 1)).mean(axis=0)
    if not is_symmetric:
        raise IrrepnetError(f"{name}: its sites do not obey the space group found; try a smaller symprec")
    return permutation, (frac_coords + correction) % 1.0 % 1.0  # twice, for -1e-17 % 1.0 is 1.0


def _nearest_images(
    frac_coords: np.ndarray, rotations: np.ndarray, translations: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(M, n) the site nearest to where each operation takes each site, and (M, n, 3) how far it is away."""
    from scipy.spatial import KDTree  # half of the time that importing irrepnet.crystals would take

    images = frac_coords @ rotations.transpose(0, 2, 1) + translations[:, None]
    permutation = np.asarray(KDTree(frac_coords % 1.0 % 1.0, boxsize=1.0).query(images % 1.0 % 1.0)[1])
    residual = frac_coords[permutation] - images
    return permutation, residual - np.round(residual)
