"""Density functional theory of a crystal in Gaussian orbitals, whose H(k) obeys the space group to rounding.

PBE, GTH pseudopotentials, MOLOPT orbitals, no spin; integrals and data are PySCF's. Overlap, kinetic energy and the
non-local pseudopotential are analytic; the rest is a sum over a uniform grid,

    H_ij(k) = T_ij + Vnl_ij + Σ_r [φ_i* v φ_j + w · ∇(φ_i* φ_j)] Ω/N,
    v = V_loc + V_Hartree + ∂e_xc/∂ρ,   w = ∂e_xc/∂∇ρ,

which obeys the space group because all in it does. The divisions of the grid are equal along axes that the group
exchanges, and hold its translations. V_loc(G) and V_Hartree(G) are cut off by the sphere inscribed in the plane waves
of the grid (their box is not closed under the point group). The values of orbitals and gradients on the grid are those
of their Fourier series, summed by FFT after each plane wave |k + G|, within a sphere that holds all of it to 1e-7, is
put where the grid cannot tell it apart, which is faster than sums of Gaussians over the lattice. ρ and ∇ρ are
those of one k in each star, averaged over the group.

Zero of energy: as in plane-wave codes, the G = 0 component of the Hartree potential is left out.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.fft
import scipy.linalg
import scipy.sparse
import scipy.special
import torch
from numpy.typing import ArrayLike

from irrepnet.crystals import Cell
from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians.model import BOHR
from irrepnet.hamiltonians.orbitals import OrbitalBasis, Shell
from irrepnet.hamiltonians.symmetry import Action, SpaceGroup, action, irreducible

HARTREE = 27.211386245988
"""eV"""
BASES = ("SZV-MOLOPT-SR", "DZVP-MOLOPT-SR")

_TAIL = 1e-7  # of a Gaussian's Fourier transform, below which it is left out
_HISTORY = 8  # cycles that the mixing remembers
_MIXING = 0.7
_CYCLES = 60
_BLOCK = 2**11  # points of the grid, whose orbitals stay in the processor's cache
_PRECISION = 1e-10  # of PySCF's sums over the lattice
_KEPT = 4e9  # bytes of orbitals on the grid that are kept between cycles


@dataclass(frozen=True, eq=False)
class _Waves:
    """The plane waves of an atom's orbitals."""

    radius: float
    """Bohr⁻¹, of the sphere |k + G| at any k."""
    G: np.ndarray
    """(W, 3) Bohr⁻¹."""
    folding: scipy.sparse.csr_array
    """(N, W) of ones, from these to the plane wave of the grid that takes the same values at its points."""


class KohnSham:
    """The Kohn–Sham Hamiltonian of a crystal, with its axes and lattice vectors as given.

    Args:
        cell: a primitive cell, exactly symmetric, such as a `SymmetricCrystal` has.
        basis: "SZV-MOLOPT-SR" or "DZVP-MOLOPT-SR".
        cutoff: Ry, the plane waves |G|² of density and potential that the grid holds at least.
        mesh: the divisions of the grid along the three lattice vectors, instead of the smallest for `cutoff`.
        temperature: eV, k_B T of the Fermi–Dirac occupations.

    Raises:
        IrrepnetError: PySCF is not installed, has no orbitals or pseudopotential for an element, or the mesh is not
            closed under the space group.
    """

    def __init__(
        self,
        cell: Cell,
        basis: str = "DZVP-MOLOPT-SR",
        cutoff: float = 600.0,
        mesh: tuple[int, int, int] | None = None,
        temperature: float = 0.05,
    ):
        if basis not in BASES:
            raise IrrepnetError(f"unknown basis {basis!r}; choose one of {', '.join(BASES)}")
        if not 0 < cutoff < np.inf or not temperature > 0:
            raise IrrepnetError(f"cutoff and temperature are positive, got {cutoff} Ry and {temperature} eV")
        self.pyscf_cell = _pyscf_cell(cell, basis)
        shells = [
            Shell.of(self.pyscf_cell.bas_atom(b), self.pyscf_cell.bas_angular(b), "pyscf")
            for b in range(self.pyscf_cell.nbas)
            for _ in range(self.pyscf_cell.bas_nctr(b))
        ]
        self.basis = OrbitalBasis(cell, cell.frac_coords, tuple(shells))
        self.temperature = temperature / HARTREE
        self._kept: dict[tuple[int, int, int], list[np.ndarray]] = {}
        self.mesh = grid_mesh(self.action.group, cell.lattice, cutoff) if mesh is None else mesh
        if not _is_closed(self.action, self.mesh):
            raise IrrepnetError(f"{cell.name}: the mesh {self.mesh} is not closed under the space group")

    @cached_property
    def action(self) -> Action:
        """The space group on the orbitals."""
        return action(self.basis)

    @property
    def electrons(self) -> int:
        """Electrons in the cell, without the cores."""
        return self.pyscf_cell.nelectron

    @property
    def cutoff(self) -> float:
        """Ry, of the sphere inscribed in the grid."""
        return self._radius**2

    @cached_property
    def smallest_exponent(self) -> float:
        """Bohr⁻², of the most diffuse Gaussian."""
        return min(float(self.pyscf_cell.bas_exp(b).min()) for b in range(self.pyscf_cell.nbas))

    # -- grids and plane waves, in Bohr

    @cached_property
    def _reciprocal(self) -> np.ndarray:
        return self.pyscf_cell.reciprocal_vectors()

    @cached_property
    def _volume(self) -> float:
        return float(self.pyscf_cell.vol)

    @cached_property
    def _points(self) -> int:
        return math.prod(self.mesh)

    @cached_property
    def _integers(self) -> np.ndarray:
        """(N, 3) int, the plane waves of the grid in the order of its FFT."""
        axes = (scipy.fft.fftfreq(n, 1 / n) for n in self.mesh)
        return np.rint(np.stack(np.meshgrid(*axes, indexing="ij"), -1)).astype(int).reshape(-1, 3)

    @cached_property
    def _G(self) -> np.ndarray:
        return self._integers @ self._reciprocal

    @cached_property
    def _radius(self) -> float:
        """Of the largest sphere around 0 of plane waves whose two signs are in the grid."""
        lengths = np.linalg.norm(self.pyscf_cell.lattice_vectors(), axis=1)
        return float(min((n - 1) // 2 * 2 * np.pi / length for n, length in zip(self.mesh, lengths)))

    @cached_property
    def _inside(self) -> np.ndarray:
        """(N,) bool, the plane waves in the sphere."""
        return np.einsum("gi,gi->g", self._G, self._G) <= self._radius**2 * (1 + 1e-9)

    def _fft(self, field: np.ndarray) -> np.ndarray:
        """(…, N) coefficients of Σ_G c(G) exp(iG·r)."""
        return self._transformed(torch.fft.fftn, field)

    def _ifft(self, coefficients: np.ndarray) -> np.ndarray:
        return self._transformed(torch.fft.ifftn, coefficients)

    def _transformed(self, transform: Callable[..., torch.Tensor], values: np.ndarray) -> np.ndarray:
        """PyTorch's transforms are those of MKL where it has them, and 1.1 to 2 times as fast as SciPy's."""
        box = torch.from_numpy(values.reshape(-1, *self.mesh))
        return transform(box, dim=(1, 2, 3), norm="forward").numpy().reshape(values.shape)

    @cached_property
    def _images(self) -> np.ndarray:
        """(M, N) int, the point that each operation of the space group takes each point of the grid to."""
        points = np.stack(np.meshgrid(*map(np.arange, self.mesh), indexing="ij"), -1).reshape(-1, 3)
        group, mesh = self.action.group, np.array(self.mesh)
        found = np.empty((len(group), len(points)), np.int32)
        for number, (W, t) in enumerate(zip(group.rotations, group.translations)):
            images = points @ np.rint(W * mesh[:, None] / mesh).astype(int).T + np.rint(t * mesh).astype(int)
            found[number] = np.ravel_multi_index(tuple((images % mesh).T), self.mesh)
        return found

    def _orbitals(self, k: np.ndarray) -> np.ndarray:
        """(4, n, N) exp(−ik·r) times orbitals and their gradients at the points of the grid, at k (3,) fractional."""
        from pyscf.pbc.df.ft_ao import ft_ao

        absolute = (k - np.rint(k)) @ self._reciprocal
        coefficients = np.empty((4, len(self.basis), self._points), complex)
        for waves, (first, last, start, _) in zip(self._waves, self.pyscf_cell.aoslice_by_atom().tolist()):
            shifted = (waves.G + absolute).T.copy()
            inside = np.einsum("ig,ig->g", shifted, shifted) <= waves.radius**2
            amplitudes = ft_ao(self.pyscf_cell, waves.G, (first, last), kpt=absolute).T * (inside / self._volume)
            for orbital, own in enumerate(amplitudes, start):
                for part, factor in enumerate((1.0, *(1j * shifted))):
                    coefficients[part, orbital] = waves.folding @ (factor * own)
        return self._ifft(coefficients)

    @cached_property
    def _waves(self) -> tuple[_Waves, ...]:
        """Of each atom, the plane waves that its orbitals have at any k."""
        elements: dict[str, _Waves] = {}
        cell = self.pyscf_cell
        for atom in range(cell.natm):
            symbol = cell.atom_symbol(atom)
            if symbol not in elements:
                hardest = max(float(cell.bas_exp(b).max()) for b in cell.atom_shell_ids(atom))
                elements[symbol] = self._sphere(np.sqrt(-4 * hardest * np.log(_TAIL)))
        return tuple(elements[cell.atom_symbol(atom)] for atom in range(cell.natm))

    def _sphere(self, radius: float) -> _Waves:
        farthest = radius + np.linalg.norm(self._reciprocal, axis=1).sum() / 2
        reach = np.ceil(farthest * np.linalg.norm(self.pyscf_cell.lattice_vectors(), axis=1) / (2 * np.pi)).astype(int)
        integers = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in reach], indexing="ij"), -1).reshape(-1, 3)
        G = integers @ self._reciprocal
        near = np.einsum("gi,gi->g", G, G) <= farthest**2
        integers, G = integers[near], G[near]
        points = np.ravel_multi_index(tuple((integers % np.array(self.mesh)).T), self.mesh)
        ones, shape = np.ones(len(G), complex), (self._points, len(G))
        return _Waves(radius, G, scipy.sparse.csr_array((ones, (points, np.arange(len(G)))), shape))

    # -- potentials

    @cached_property
    def _local(self) -> np.ndarray:
        """(N,) Hartree, the local pseudopotential."""
        from pyscf.pbc.gto import pseudo

        G = self._G[self._inside]
        coefficients = np.zeros(self._points, complex)
        factors = self.pyscf_cell.get_SI(G)
        coefficients[self._inside] = -np.einsum("ag,ag->g", factors, pseudo.get_vlocG(self.pyscf_cell, G))
        return np.real(self._ifft(coefficients / self._volume))

    def potential(self, density: np.ndarray) -> np.ndarray:
        """(4, N) Hartree, v and w of a density (4, N), its values and gradients on the grid in Bohr⁻³ and Bohr⁻⁴."""
        from pyscf.dft.numint import NumInt

        squares = np.einsum("gi,gi->g", self._G, self._G)
        squares[0] = np.inf
        hartree = np.real(self._ifft(np.where(self._inside, 4 * np.pi * self._fft(density[0]) / squares, 0)))
        found = NumInt().eval_xc_eff("PBE", density, deriv=1, xctype="GGA")[1]
        found[0] += self._local + hartree
        return found

    def _symmetrised(self, density: np.ndarray) -> np.ndarray:
        total = np.zeros_like(density)
        for images, turn in zip(self._images, self.action.group.operations):
            total[0, images] += density[0]
            total[1:, images] += turn @ density[1:]
        return total / len(self._images)

    def _density(self, orbitals: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        """(4, N) of states (n, m), the columns, each filled once; orbitals (4, n, N)."""
        states = coefficients.T @ orbitals
        products = states[0].conj() * states
        return np.concatenate([products[:1].real, 2 * products[1:].real]).sum(1)

    # -- matrices

    def _analytic(self, k: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(K, n, n) kinetic energy with the non-local pseudopotential in Hartree, and overlap, at k (K, 3)."""
        from pyscf.pbc.gto.pseudo import pp_int

        absolute = k @ self._reciprocal
        kinetic = np.asarray(self.pyscf_cell.pbc_intor("int1e_kin", 1, 1, absolute))
        overlap = np.asarray(self.pyscf_cell.pbc_intor("int1e_ovlp", 1, 1, absolute))
        nonlocal_ = np.asarray(pp_int.get_pp_nl(self.pyscf_cell, absolute)).reshape(kinetic.shape)
        return kinetic + nonlocal_, overlap

    def _matrix(self, orbitals: np.ndarray, potential: np.ndarray) -> np.ndarray:
        """(n, n) Hartree, the sum over the grid with a potential (4, N)."""
        half = np.zeros((len(self.basis), len(self.basis)), complex)
        pairs = np.repeat(potential, 2, axis=1)  # of a real and an imaginary part: real products are the faster ones
        pairs[0] /= 2
        for start in range(0, self._points, _BLOCK):
            own = orbitals[:, :, start : start + _BLOCK]
            parts, factors = own.view(float), pairs[:, 2 * start : 2 * (start + _BLOCK)]
            right = parts[0] * factors[0]
            for gradient, factor in zip(parts[1:], factors[1:]):
                right += gradient * factor
            half += own[0].conj() @ right.view(complex).T
        return (half + half.conj().T) * (self._volume / self._points)

    def matrices(self, k: ArrayLike, *potentials: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        """For each potential (4, N) H(k) (K, n, n) in eV, and S(k) (K, n, n), at k (K, 3) fractional.

        H(k) = Σ_R exp(2πi k·R) H(R), as everywhere in this room.
        """
        k = np.asarray(k, float).reshape(-1, 3)
        fixed, overlap = self._analytic(k)
        found = [fixed.astype(complex) for _ in potentials]
        for number, point in enumerate(k):
            orbitals = self._orbitals(point)
            for H, potential in zip(found, potentials):
                H[number] += self._matrix(orbitals, potential)
        return [H * HARTREE for H in found], overlap

    # -- self-consistency

    def free_potential(self, mesh: tuple[int, int, int]) -> np.ndarray:
        """(4, N) of the densities of free, spherical atoms added up: their minimal-basis orbitals, in this basis."""
        cell = self.pyscf_cell
        elements = {cell.atom_symbol(atom): _atomic_states(cell, atom) for atom in range(cell.natm)}
        states = np.asarray(scipy.linalg.block_diag(*[elements[cell.atom_symbol(atom)] for atom in range(cell.natm)]))
        density = np.zeros((4, self._points))
        for orbitals, weight in zip(self._all_orbitals(mesh), irreducible(self.action, mesh)[1]):
            density += weight * self._density(orbitals, states)
        density = self._symmetrised(density)
        return self.potential(density * (self.electrons / (density[0].sum() * self._volume / self._points)))

    def _all_orbitals(self, mesh: tuple[int, int, int]) -> Iterator[np.ndarray]:
        """The orbitals at each irreducible k of a mesh; those are kept for the next time that the memory holds."""
        if mesh not in self._kept:
            self._kept = {mesh: []}
        kept, most = self._kept[mesh], int(_KEPT / (4 * 16 * len(self.basis) * self._points))
        for number, point in enumerate(irreducible(self.action, mesh)[0]):
            if number < len(kept):
                yield kept[number]
                continue
            orbitals = self._orbitals(point)
            if number < most:
                kept.append(orbitals)
            yield orbitals

    def converged(self, mesh: tuple[int, int, int], tolerance: float = 1e-5) -> Converged:
        """Self-consistency with a mesh of k, until H(k) changes by less than `tolerance` eV in a cycle.

        H(k) is mixed by Anderson's method (J. ACM 12, 547 (1965)), from the densities of free atoms.

        Raises IrrepnetError if that is not reached in 60 cycles.
        """
        k, weights = irreducible(self.action, mesh)
        fixed, overlap = self._analytic(k)
        roots = np.array([_inverse_root(S, self.basis.cell.name) for S in overlap])
        inputs: list[np.ndarray] = []
        residuals: list[np.ndarray] = []

        def H_of(potential: np.ndarray) -> np.ndarray:
            return fixed + np.array([self._matrix(orbitals, potential) for orbitals in self._all_orbitals(mesh)])

        H = H_of(self.free_potential(mesh))
        for cycle in range(1, _CYCLES + 1):
            energies, states = np.linalg.eigh(roots.conj().transpose(0, 2, 1) @ H @ roots)
            fermi, filling = self._occupations(energies, weights)
            density = np.zeros((4, self._points))
            for number, orbitals in enumerate(self._all_orbitals(mesh)):
                own = filling[number] > 1e-12
                filled = (roots[number] @ states[number][:, own]) * np.sqrt(weights[number] * filling[number, own])
                density += self._density(orbitals, filled)
            potential = self.potential(self._symmetrised(density))
            residual = H_of(potential) - H
            change = float(abs(residual).max()) * HARTREE
            if change < tolerance:
                return Converged(potential, fermi * HARTREE, change, cycle)
            inputs, residuals = [*inputs[1 - _HISTORY :], H], [*residuals[1 - _HISTORY :], residual]
            H = _anderson(inputs, residuals)
        raise IrrepnetError(
            f"{self.basis.cell.name}: not self-consistent after {_CYCLES} cycles, H(k) still changes by {change:.1e} "
            "eV; a metal may need a denser mesh of k or a higher temperature"
        )

    def _occupations(self, energies: np.ndarray, weights: np.ndarray) -> tuple[float, np.ndarray]:
        """The Fermi energy in Hartree and the occupations (K, n), 0 to 2, of levels (K, n)."""

        def filling(fermi: float) -> np.ndarray:
            return 2 * scipy.special.expit((fermi - energies) / self.temperature)

        def excess(fermi: float) -> float:
            return float(weights @ filling(fermi).sum(1)) - self.electrons

        margin = 50 * self.temperature
        low, high = float(energies.min()) - margin, float(energies.max()) + margin
        for _ in range(100):  # bisection, to rounding
            fermi = (low + high) / 2
            low, high = (fermi, high) if excess(fermi) < 0 else (low, fermi)
        return fermi, filling(fermi)


@dataclass(frozen=True, eq=False)
class Converged:
    """A self-consistent potential."""

    potential: np.ndarray
    """(4, N) Hartree, v and w on the grid."""
    fermi: float
    """eV"""
    change: float
    """eV, the largest change of an element of H(k) in the last cycle."""
    cycles: int


def _anderson(inputs: list[np.ndarray], residuals: list[np.ndarray]) -> np.ndarray:
    """The next input: the combination of inputs with the smallest residual, and a part of that residual."""
    if len(inputs) == 1:
        return inputs[0] + _MIXING * residuals[0]
    steps = np.array([residual - residuals[-1] for residual in residuals[:-1]])
    flat = steps.reshape(len(steps), -1)
    overlaps = np.real(flat.conj() @ flat.T)
    overlaps[np.diag_indices(len(steps))] *= 1 + 1e-12
    weights = -np.linalg.solve(overlaps, np.real(flat.conj() @ residuals[-1].ravel()))
    best = inputs[-1] + np.tensordot(weights, np.array(inputs[:-1]) - inputs[-1], 1)
    return best + _MIXING * (residuals[-1] + np.tensordot(weights, steps, 1))


def _inverse_root(overlap: np.ndarray, name: str) -> np.ndarray:
    """S^{−1/2}."""
    values, vectors = np.linalg.eigh(overlap)
    if values[0] < 1e-9:
        raise IrrepnetError(f"{name}: linearly dependent orbitals: the overlap has an eigenvalue {values[0]:.1e}")
    return (vectors / np.sqrt(values)) @ vectors.conj().T


# -- meshes


def grid_mesh(group: SpaceGroup, lattice: np.ndarray, cutoff: float) -> tuple[int, int, int]:
    """The smallest grid, closed under the space group, whose inscribed sphere holds |G|² ≤ cutoff (Ry).

    Divisions have no prime factors but 2, 3 and 5.
    """
    lengths = np.linalg.norm(lattice, axis=1) / BOHR
    least = 2 * np.ceil(np.sqrt(cutoff) * lengths / (2 * np.pi) - 1e-9).astype(int) + 1
    mesh = [0, 0, 0]
    for axes in _tied(group.rotations):
        n = int(least[axes].max())
        while not (_is_smooth(n) and np.allclose((on := group.translations[:, axes] * n), np.rint(on), atol=1e-4)):
            n += 1
        for axis in axes:
            mesh[axis] = n
    return mesh[0], mesh[1], mesh[2]


def _is_smooth(n: int) -> bool:
    for prime in (2, 3, 5):
        while n % prime == 0:
            n //= prime
    return n == 1


def _tied(rotations: np.ndarray) -> list[list[int]]:
    """The axes, in parts that no rotation mixes."""
    mixed = (rotations != 0).any(0) | np.eye(3, dtype=bool)
    mixed = np.linalg.matrix_power((mixed | mixed.T).astype(int), 3) > 0
    return [np.flatnonzero(row).tolist() for row in np.unique(mixed, axis=0)]


def _is_closed(act: Action, mesh: tuple[int, int, int]) -> bool:
    size = np.array(mesh)
    W = act.group.rotations * size[:, None] / size
    t = act.group.translations * size
    return bool(np.allclose(W, np.rint(W)) and np.allclose(t, np.rint(t), atol=1e-4))


def kmesh(lattice: np.ndarray, reach: float) -> tuple[int, int, int]:
    """The smallest mesh of k, the same along lattice vectors of one length, whose supercell (R counts modulo the mesh)
    has no translation shorter than `reach` Å."""
    lengths = np.linalg.norm(lattice, axis=1)
    steps = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3, indexing="ij"), -1).reshape(-1, 3)
    steps = steps[steps.any(1)]
    density = 1.0
    while True:
        mesh = np.maximum(1, np.ceil(density / lengths - 1e-6)).astype(int)
        if np.linalg.norm((steps * mesh) @ lattice, axis=1).min() > reach:
            return int(mesh[0]), int(mesh[1]), int(mesh[2])
        density += 0.1


def scf_mesh(lattice: np.ndarray) -> tuple[int, int, int]:
    """The mesh of k for self-consistency: its supercell has no translation shorter than 11.5 Å."""
    return kmesh(lattice, 11.5)


# -- PySCF


def _pyscf_cell(cell: Cell, basis: str) -> Any:
    """PySCF's cell, in Bohr."""
    try:
        from pyscf.pbc import gto
    except ImportError as error:
        raise IrrepnetError("density functional theory needs PySCF: pip install 'irrepnet[dft]'") from error
    from pymatgen.core.periodic_table import Element

    symbols = [Element.from_Z(int(number)).symbol for number in cell.numbers]
    found = gto.Cell()
    found.unit = "Bohr"
    found.a = cell.lattice / BOHR
    found.atom = [[symbol, point] for symbol, point in zip(symbols, cell.frac_coords @ cell.lattice / BOHR)]
    found.verbose = 0
    found.precision = _PRECISION
    found.basis = {symbol: _data(gto.basis.load, f"gth-{basis}", symbol, "orbitals") for symbol in symbols}
    found.pseudo = {symbol: _data(gto.pseudo.load, "gth-pbe", symbol, "pseudopotential") for symbol in symbols}
    found.spin = None  # an odd number of electrons is filled in halves
    found.build(dump_input=False, parse_arg=False)
    return found


def _data(load: Callable[[str, str], Any], name: str, symbol: str, what: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice to install more packages
        try:
            return load(name, symbol)
        except Exception as error:  # PySCF raises KeyError, RuntimeError, its own BasisNotFoundError
            raise IrrepnetError(f"PySCF has no {what} {name.upper()} for {symbol}") from error


def _atomic_states(cell: Any, atom: int) -> np.ndarray:
    """(k, m) the states of a free, spherical atom in its own orbitals, times the roots of their occupations."""
    from pyscf.pbc import gto
    from pyscf.scf.hf import init_guess_by_minao

    symbol = cell.atom_symbol(atom)
    alone = gto.Cell()
    alone.unit, alone.a, alone.atom, alone.verbose, alone.spin = "Bohr", 50 * np.eye(3), [[symbol, (0, 0, 0)]], 0, None
    alone.basis, alone.pseudo = {symbol: cell.basis[symbol]}, {symbol: cell.pseudo[symbol]}
    alone.build(dump_input=False, parse_arg=False)
    guess: Any = init_guess_by_minao(alone.to_mol())
    return (guess.mo_coeff * np.sqrt(guess.mo_occ))[:, guess.mo_occ > 0]
