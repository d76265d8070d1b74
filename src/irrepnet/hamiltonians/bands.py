"""What follows from the bands: standard paths, irreps of levels, density of states, gap, effective masses."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize

from irrepnet.crystals import Cell, LittleGroup, carried_over, little_group
from irrepnet.crystals.little_groups import SAME
from irrepnet.errors import IrrepnetError
from irrepnet.groups import DoubleGroup
from irrepnet.hamiltonians.model import Hamiltonian, mesh_points
from irrepnet.hamiltonians.orbitals import LETTERS
from irrepnet.hamiltonians.symmetry import SYMPREC, Action, action

HBAR2_OVER_ME = 7.619964231
"""eV Å²; CODATA 2018."""


@dataclass(frozen=True, eq=False)
class BandStructure:
    """Energies along a path of several branches."""

    k: np.ndarray
    """(K, 3) fractional."""
    distance: np.ndarray
    """(K,) Å⁻¹, with the 2π; it does not grow from the end of a branch to the start of the next."""
    energies: np.ndarray
    """(K, n) eV, rising at each k."""
    labelled: tuple[tuple[int, str], ...]
    """(index into k, label) of the high-symmetry points, in the order of the path."""
    fermi: float | None
    """eV"""

    @property
    def points(self) -> dict[str, np.ndarray]:
        """{label: k (3,) fractional} of the high-symmetry points."""
        return {label: self.k[index] for index, label in self.labelled}


def k_path(cell: Cell) -> tuple[tuple[tuple[str, np.ndarray], ...], ...]:
    """Branches of (label, k fractional) along the standard path of the crystal's Bravais lattice.

    The path is that of Setyawan and Curtarolo, Comput. Mater. Sci. 49, 299 (2010), as pymatgen has it, carried over to
    the lattice vectors of the input. Points that the lattice makes equal may differ by the crystal's own symmetry.
    """
    from pymatgen.core import Structure
    from pymatgen.symmetry.bandstructure import HighSymmKpath

    structure = Structure(cell.lattice, cell.numbers.tolist(), cell.frac_coords)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = HighSymmKpath(structure)
        primitive = structure.get_primitive_structure().lattice
    found = path.kpath
    # the path's cell is idealised, within a wider tolerance than the symmetry of the crystal
    tries = ((1e-3, 0.1), (0.03, 2.0))
    mappings = (primitive.find_mapping(path.prim.lattice, ltol=ltol, atol=atol) for ltol, atol in tries)
    mapping = next((mapping for mapping in mappings if mapping is not None), None)
    if found is None or mapping is None:
        raise IrrepnetError(f"{cell.name}: no standard path of wave vectors is found for this lattice")
    # `aligned` are the path's lattice vectors in the axes of the input
    aligned = mapping[0].matrix
    points = {name: cell.lattice @ np.linalg.inv(aligned) @ k for name, k in found["kpoints"].items()}
    return tuple(tuple((_readable(name), points[name].round(12)) for name in branch) for branch in found["path"])


def _readable(name: str) -> str:
    """ "Γ", "Σ₁" of pymatgen's "\\Gamma", "\\Sigma_1"."""
    name = name.replace("\\Gamma", "Γ").replace("\\Sigma", "Σ")
    return re.sub(r"_(\d)", lambda found: chr(ord("₀") + int(found[1])), name)


def band_structure(hamiltonian: Hamiltonian, density: float = 60.0) -> BandStructure:
    """The bands along the standard path, `density` points to an Å⁻¹ (with the 2π).

    Raises IrrepnetError if the Hamiltonian has no structure.
    """
    cell = hamiltonian.known_cell
    reciprocal = 2 * np.pi * np.linalg.inv(cell.lattice).T
    k, distance, labelled = [], [], []
    walked, count = 0.0, 0
    for branch in k_path(cell):
        labelled.append((count, branch[0][0]))
        k.append(branch[0][1][None])
        distance.append(np.array([walked]))
        count += 1
        for (_, start), (label, stop) in pairwise(branch):
            length = float(np.linalg.norm((stop - start) @ reciprocal))
            steps = max(2, round(density * length))
            along = np.arange(1, steps + 1) / steps
            k.append(start + along[:, None] * (stop - start))
            distance.append(walked + along * length)
            walked += length
            count += steps
            labelled.append((count - 1, label))
    points = np.concatenate(k)
    energies = hamiltonian.eigenvalues(points)
    return BandStructure(points, np.concatenate(distance), energies, tuple(labelled), hamiltonian.fermi)


@dataclass(frozen=True, eq=False)
class Level:
    """Bands of one energy at one k."""

    energy: float
    """eV, their mean."""
    bands: tuple[int, ...]
    """Their numbers from 0."""
    irreps: dict[str, int]
    """{small irrep: multiplicity}; one irrep unless the degeneracy is accidental. Labels as in `LittleGroup`."""

    @property
    def label(self) -> str:
        """Such as "T2g", "A1g+Eg"."""
        return "+".join(name for name, count in self.irreps.items() for _ in range(count))


def band_irreps(
    hamiltonian: Hamiltonian, act: Action, k: ArrayLike, tolerance: float = 1e-4, like: ArrayLike | None = None
) -> tuple[Level, ...]:
    """The levels at k with their irreps of the little group; bands nearer than `tolerance` eV are one level.

    Args:
        like: (3,) a wave vector; if an operation takes it to k, irreps have the labels that they have there.

    Raises:
        IrrepnetError: the cell is not primitive, k is almost on a symmetric point, or the bands do not obey the
            symmetry: then symmetrise the Hamiltonian, or raise the tolerance.
    """
    little = _little_group(act, k, like)
    operators = act.on_bloch_sums(little.indices.tolist(), little.k)
    overlap = hamiltonian.S_at(little.k)
    energies, states = hamiltonian.eigenstates(little.k)
    levels = []
    for bands in np.split(np.arange(len(energies)), np.flatnonzero(np.diff(energies) > tolerance) + 1):
        own = states[:, bands]
        characters = np.einsum("ib,ij,gjk,kb->g", own.conj(), overlap, operators, own, optimize=True)
        counts = (little.characters.conj() @ characters).real / len(little.indices)
        irreps = little.multiplicities(characters)
        dims = [matrices.shape[1] for matrices in little.irreps]
        if abs(counts - np.rint(counts)).max() > 0.1 or round(float(np.dot(np.rint(counts), dims))) != len(bands):
            raise IrrepnetError(
                f"{hamiltonian.name}: bands {', '.join(str(band + 1) for band in bands)} at k = "
                f"{little.k.round(4).tolist()} are no representation of the little group: symmetrise the Hamiltonian, "
                f"or count bands nearer than more than {tolerance:g} eV as one level"
            )
        levels.append(Level(float(energies[bands].mean()), tuple(bands.tolist()), irreps))
    return tuple(levels)


def levels_at(
    hamiltonian: Hamiltonian, points: dict[str, np.ndarray], symprec: float = SYMPREC, tolerance: float = 1e-3
) -> tuple[dict[str, tuple[Level, ...]], list[str]]:
    """The levels at each point {label: k} where the bands obey the symmetry, and why there are none elsewhere.

    Points that are equivalent by an operation of the crystal, as K and U of fcc, have the same labels, those of the
    first.
    """
    try:
        act = action(hamiltonian.known_basis, symprec)
    except IrrepnetError as error:
        return {}, [str(error)]
    levels, failures = {}, []
    for label, k in points.items():
        first = next(other for other in points.values() if len(_between(act, other, k)))
        try:
            levels[label] = band_irreps(hamiltonian, act, k, tolerance, first)
        except IrrepnetError as error:
            failures.append(str(error))
    return levels, failures


def _between(act: Action, start: ArrayLike, k: ArrayLike) -> np.ndarray:
    """The unitary operations that take one wave vector to another, modulo the reciprocal lattice."""
    rotations = act.group.rotations[: len(act.group.elements)]
    apart = np.asarray(start, float) @ np.linalg.inv(rotations) - np.asarray(k, float)
    return np.flatnonzero(abs(apart - np.rint(apart)).max(1) < SAME)


def _little_group(act: Action, k: ArrayLike, like: ArrayLike | None = None) -> LittleGroup:
    """Of k, with the irreps of `like`, if the two are equivalent."""
    group = act.group
    if not group.is_primitive:
        raise IrrepnetError(
            f"{act.basis.cell.name}: irreps of bands need a primitive cell; bands of this one are folded"
        )
    unitary = slice(len(group.elements))
    of_spin = DoubleGroup(group.point_group) if act.basis.spinful else group.point_group
    operations = of_spin, group.rotations[unitary], group.translations[unitary]
    found = [] if like is None else _between(act, like, k)
    if like is None or not len(found):
        return little_group(*operations, k)
    return carried_over(little_group(*operations, like), int(found[0]), *operations)


def density_of_states(
    hamiltonian: Hamiltonian, energies: ArrayLike, mesh: tuple[int, int, int] = (12, 12, 12), width: float = 0.1
) -> np.ndarray:
    """(E,) states per eV and cell at energies (E,) in eV, of one spin if the Hamiltonian has none: levels on a mesh of
    k, Gaussians of `width` eV.

    `width` is the standard deviation; the bands' own dispersion between the points of the mesh should be below it.
    """
    levels = hamiltonian.eigenvalues(mesh_points(mesh))
    return _smeared(levels, np.asarray(energies, float), width, np.ones_like(levels))


def _smeared(levels: np.ndarray, energies: np.ndarray, width: float, weights: np.ndarray) -> np.ndarray:
    """(E,) Gaussians at levels (K, n) with weights (K, n), the mean over K, per eV."""
    if not width > 0:
        raise IrrepnetError(f"the width of the levels is a positive energy in eV, got {width}")
    total = np.zeros(len(energies))
    for own, weight in zip(levels, weights):
        total += np.exp(-(((energies[:, None] - own) / width) ** 2) / 2) @ weight
    return total / (len(levels) * width * np.sqrt(2 * np.pi))


def orbital_weights(hamiltonian: Hamiltonian, k: ArrayLike) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Levels at k (K, 3), (K, n) in eV, and what the orbitals of each element and l have in them: {"Ga s": (K, n)}.

    Mulliken's weights, Re c* (S c) summed over orbitals; those of all parts add up to one, and where orbitals overlap a
    weight may be somewhat below zero. Hybrids are taken apart into their shells.

    Raises IrrepnetError if it is not known what the orbitals are.
    """
    basis = hamiltonian.known_basis
    functions = np.kron(basis.coefficients, np.eye(basis.spins))
    names = [f"{basis.species[shell.site]} {LETTERS[shell.l]}" for shell in basis.shells]
    of_function = np.repeat(names, [basis.spins * (2 * shell.l + 1) for shell in basis.shells])
    k = np.asarray(k, float).reshape(-1, 3)
    levels = np.empty((len(k), len(hamiltonian)))
    weights = {name: np.empty_like(levels) for name in dict.fromkeys(names)}
    for number, point in enumerate(k):
        levels[number], states = hamiltonian.eigenstates(point)
        own = functions.T @ states
        with_overlap = own if hamiltonian.S is None else functions.T @ (hamiltonian.S_at(point) @ states)
        shares = (own.conj() * with_overlap).real
        for name, weight in weights.items():
            weight[number] = shares[of_function == name].sum(0)
    return levels, weights


def partial_densities(
    hamiltonian: Hamiltonian, energies: ArrayLike, mesh: tuple[int, int, int] = (12, 12, 12), width: float = 0.1
) -> dict[str, np.ndarray]:
    """The density of states, (E,), as `density_of_states` has it, of the orbitals of each element and l.

    Raises IrrepnetError as `orbital_weights` and `density_of_states` do.
    """
    energies = np.asarray(energies, float)
    levels, weights = orbital_weights(hamiltonian, mesh_points(mesh))
    return {name: _smeared(levels, energies, width, own) for name, own in weights.items()}


def fermi_energy(hamiltonian: Hamiltonian, electrons: float, mesh: tuple[int, int, int] = (12, 12, 12)) -> float:
    """eV, up to which the levels on a mesh of k are filled by so many electrons a cell, two in each, with spin one.

    Raises IrrepnetError if there are not so many levels.
    """
    levels = np.sort(hamiltonian.eigenvalues(mesh_points(mesh)), axis=None)
    spinful = hamiltonian.basis is not None and hamiltonian.basis.spinful
    filled = electrons / (1 if spinful else 2) * np.prod(mesh)
    if not 0 < filled <= len(levels):
        raise IrrepnetError(f"{hamiltonian.name}: {len(hamiltonian)} bands do not hold {electrons:g} electrons")
    return float(levels[int(np.ceil(filled)) - 1])


@dataclass(frozen=True, eq=False)
class Gap:
    """The gap above the occupied bands."""

    fundamental: float
    """eV, from the highest occupied to the lowest empty level; negative where bands overlap (a semimetal)."""
    direct: float
    """eV, the smallest difference at one k."""
    top: float
    """eV, the highest occupied level."""
    bottom: float
    """eV, the lowest empty level."""
    k_top: np.ndarray
    """(3,) fractional."""
    k_bottom: np.ndarray
    """(3,) fractional."""

    @property
    def is_direct(self) -> bool:
        return self.direct - self.fundamental < 1e-4


def filled_bands(hamiltonian: Hamiltonian, mesh: tuple[int, int, int] = (12, 12, 12)) -> int | None:
    """How many bands are below the Fermi energy at every k of a mesh; None if it cuts bands, or is not known."""
    if hamiltonian.fermi is None:
        return None
    below = (hamiltonian.eigenvalues(mesh_points(mesh)) <= hamiltonian.fermi + 1e-4).sum(1)
    return int(below[0]) if (below == below[0]).all() and 0 < below[0] < len(hamiltonian) else None


def band_gap(hamiltonian: Hamiltonian, occupied: int, mesh: tuple[int, int, int] = (12, 12, 12)) -> Gap:
    """The gap between band `occupied` (counted from 1) and the next: a mesh of k, and a search from its best points.

    Raises IrrepnetError unless some bands are occupied and some empty.
    """
    if not 0 < occupied < len(hamiltonian):
        raise IrrepnetError(f"{hamiltonian.name}: of {len(hamiltonian)} bands, 1 to {len(hamiltonian) - 1} can be full")
    points = mesh_points(mesh)
    levels = hamiltonian.eigenvalues(points)
    valence, conduction = levels[:, occupied - 1], levels[:, occupied]

    def lowest(values: np.ndarray, weights: tuple[int, int]) -> tuple[float, np.ndarray]:
        """The minimum of weights · (valence, conduction), searched from the mesh's best point."""

        def energy(k: np.ndarray) -> float:
            return float(hamiltonian.eigenvalues(k)[occupied - 1 : occupied + 1] @ weights)

        start = points[values.argmin()]
        simplex = start + np.concatenate([np.zeros((1, 3)), np.eye(3) / (2 * np.array(mesh))])
        options = {"initial_simplex": simplex, "xatol": 1e-6, "fatol": 1e-9, "maxiter": 400}
        found = minimize(energy, start, method="Nelder-Mead", options=options)
        better = found.fun < values.min() - 1e-9
        return (float(found.fun), found.x) if better else (float(values.min()), start)

    top, k_top = lowest(-valence, (-1, 0))
    bottom, k_bottom = lowest(conduction, (0, 1))
    direct, _ = lowest(conduction - valence, (-1, 1))
    return Gap(bottom + top, direct, -top, bottom, k_top % 1.0, k_bottom % 1.0)


def topological_indices(hamiltonian: Hamiltonian, occupied: int, symprec: float = SYMPREC) -> tuple[int, int, int, int]:
    """ν₀ and ν₁ ν₂ ν₃ of an insulator with spin–orbit coupling, inversion and time reversal: (1, …) is a strong
    topological insulator, (0, 0, 0, 0) none.

    Exact, by the parities of the occupied Kramers pairs at the eight k = −k (Fu & Kane, Phys. Rev. B 76, 045302 (2007),
    equations 3.10 to 3.12); ν₁ ν₂ ν₃ belong to the lattice vectors of the file.

    Args:
        occupied: bands, an even number.
        symprec: Å, of the space group.

    Raises:
        IrrepnetError: the Hamiltonian has no spin, the crystal no inversion or time reversal, the number is not one of
            filled bands, or the bands at a k = −k do not obey the inversion.
    """
    name, act = hamiltonian.name, action(hamiltonian.known_basis, symprec)
    group, unitary = act.group, len(act.group.elements)
    inversion = np.flatnonzero((group.rotations[:unitary] == -np.eye(3)).all((1, 2)))
    alone = (group.rotations[unitary:] == np.eye(3)).all((1, 2)) & (abs(group.translations[unitary:]) < 1e-6).all(1)
    if not act.basis.spinful or not alone.any() or not len(inversion):
        raise IrrepnetError(
            f"{name}: parities tell the topology of crystals with spin, inversion and time reversal only"
        )
    if occupied % 2 or not 0 < occupied < len(hamiltonian):
        raise IrrepnetError(f"{name}: {occupied} bands of {len(hamiltonian)} cannot be filled with Kramers pairs")
    odd = np.zeros((2, 2, 2), int)
    for corner in np.ndindex(2, 2, 2):
        k = np.array(corner) / 2
        (operator,) = act.on_bloch_sums(inversion[:1].tolist(), k)
        states = hamiltonian.eigenstates(k)[1][:, :occupied]
        trace = np.trace(states.conj().T @ hamiltonian.S_at(k) @ operator @ states).real
        pairs = (occupied - trace) / 4
        if abs(pairs - round(pairs)) > 0.01:
            raise IrrepnetError(
                f"{name}: the {occupied} lowest bands at k = {k.tolist()} are not of one parity in pairs: symmetrise "
                "the Hamiltonian, or there is no gap above them"
            )
        odd[corner] = round(pairs)
    weak = (int(odd.take(1, axis).sum()) % 2 for axis in range(3))
    first, second, third = weak
    return int(odd.sum()) % 2, first, second, third


def effective_masses(hamiltonian: Hamiltonian, k: ArrayLike, direction: ArrayLike, step: float = 0.01) -> np.ndarray:
    """(n,) effective masses along a direction at an extremum k, in electron masses: ħ² / (∂²E/∂κ²); negative for holes.

    Five energies `step` Å⁻¹ apart. Bands are followed by their order, so that those of a degenerate extremum have the
    masses of its heavy and light branches; where bands cross at k with a slope the number has no meaning.

    Args:
        k: (3,) fractional.
        direction: (3,) Cartesian, of any length.
    """
    lattice = hamiltonian.known_cell.lattice
    direction = np.asarray(direction, float)
    if not np.linalg.norm(direction) > 0 or not step > 0:
        raise IrrepnetError("effective masses need a direction that is not zero and a positive step")
    unit = direction / np.linalg.norm(direction)
    # κ = 2π A⁻¹ k: a step along the unit vector changes k by A · unit / 2π
    k = np.asarray(k, float) + step * np.arange(-2, 3)[:, None] * (lattice @ unit / (2 * np.pi))
    curvature = np.array([-1, 16, -30, 16, -1]) @ hamiltonian.eigenvalues(k) / (12 * step**2)
    with np.errstate(divide="ignore"):
        return HBAR2_OVER_ME / curvature
