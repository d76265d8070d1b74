"""Hamiltonian: H(R), and S(R) where the orbitals are not orthogonal, with what follows from them at any k.

Conventions: H_ij(R) = ⟨i, 0| H |j, R⟩ in eV, orbital i in the home cell and j in the cell at R; H(R) = H(−R)ᴴ.
H(k) = Σ_R exp(2πi k · R) H(R), k in fractional reciprocal coordinates: the phases know cells, not positions. Weights of
cells (Wannier90's degeneracies) are divided out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike

from irrepnet.crystals import Cell
from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians.orbitals import OrbitalBasis
from irrepnet.outlets import html_table

BOHR = 0.529177210903
"""Å"""
FARTHEST_CELL = 1_000
"""Cells R farther away than so many lattice vectors are refused: meshes of k, and tables of phases, grow with them."""
_NOISE = 1e-5  # eV; Wannier functions are real up to the convergence of their spread
_ROUNDING = 1e-12  # eV
_TOGETHER = 256  # wave vectors of one product: fresh memory for more costs as much as the product


@dataclass(frozen=True, eq=False)
class Hamiltonian:
    """A tight-binding Hamiltonian of n orbitals in the cell, by cells R."""

    R: np.ndarray
    """(cells, 3) int, lattice translations."""
    H: np.ndarray
    """(cells, n, n) eV, real or complex."""
    S: np.ndarray | None = None
    """(cells, n, n) overlap; None if the orbitals are orthonormal."""
    basis: OrbitalBasis | None = None
    """What the orbitals are; without it there are spectra but no symmetry."""
    fermi: float | None = None
    """eV; None if it is not known."""
    name: str = "Hamiltonian"
    """What error messages call it."""
    position: np.ndarray | None = None
    """(cells, 3, n, n) ⟨i, 0| r |j, R⟩ in Å, Cartesian, from files that have it."""
    H0: np.ndarray | None = None
    """(cells, n, n) eV, H of free atoms' densities without self-consistency, from files that have it."""
    mesh: tuple[int, int, int] | None = None
    """Of k, from which H(R) was made; None if it is not known."""
    cell: Cell | None = None
    """Lattice and atoms, where they are known and the orbitals are not; see `known_cell`."""
    no_basis: str = "the file does not say which orbitals on which atoms these are; give a structure"
    """Why there is no basis."""

    def __post_init__(self) -> None:
        cells, n = len(self.R), self.H.shape[-1] if self.H.ndim else 0
        if self.R.shape != (cells, 3) or not np.issubdtype(self.R.dtype, np.integer):
            raise IrrepnetError(f"{self.name}: R is an array of integers (cells, 3), not {self.R.shape}")
        if not cells or len(np.unique(self.R, axis=0)) != cells:
            raise IrrepnetError(f"{self.name}: it has no cell R, or one twice")
        if (far := self.R[abs(self.R).max(1).argmax()]).min() < -FARTHEST_CELL or far.max() > FARTHEST_CELL:
            raise IrrepnetError(
                f"{self.name}: cell R = {far.tolist()}, and none is more than {FARTHEST_CELL} lattice vectors away"
            )
        for what, array, shape in (
            ("H", self.H, (cells, n, n)),
            ("S", self.S, (cells, n, n)),
            ("H0", self.H0, (cells, n, n)),
            ("the position matrix", self.position, (cells, 3, n, n)),
        ):
            if array is not None and array.shape != shape:
                raise IrrepnetError(f"{self.name}: {what} has shape {array.shape}, not {shape}")
            if array is not None and not np.isfinite(array).all():
                raise IrrepnetError(f"{self.name}: {what} has numbers that are not finite")
        if self.fermi is not None and not np.isfinite(self.fermi):
            raise IrrepnetError(
                f"{self.name}: the Fermi energy is {self.fermi}, no finite number; None stands for none"
            )
        if self.basis is not None and len(self.basis) != n:
            raise IrrepnetError(f"{self.name}: the matrix has {n} rows, the orbital basis {len(self.basis)}")

    def __repr__(self) -> str:
        words = [f"{len(self)} orbitals", f"{len(self.R)} cells", "complex" if np.iscomplexobj(self.H) else "real"]
        words += ["overlap"] * (self.S is not None) + ["spin"] * (self.basis is not None and self.basis.spinful)
        return f"Hamiltonian({self.name!r}: {', '.join(words)})"

    def _repr_html_(self) -> str:
        """What notebooks display: the sites and their orbitals."""
        if self.basis is None:
            return html_table(repr(self), ["orbitals"], [[self.no_basis]])
        names = self.basis.names
        rows = [
            (site + 1, self.basis.species[site], ", ".join(names[i].partition(" ")[2] for i in own))
            for site, own in enumerate(self.basis.orbitals)
        ]
        return html_table(repr(self), ["site", "", "orbitals"], rows)

    def __len__(self) -> int:
        """The number of orbitals n."""
        return self.H.shape[-1]

    def H_at(self, k: ArrayLike) -> np.ndarray:
        """(…, n, n) complex H(k) in eV, at k (…, 3) fractional."""
        return _bloch_sum(self._H_in_pairs, k)

    def S_at(self, k: ArrayLike) -> np.ndarray:
        """(…, n, n) complex S(k), the identity for orthonormal orbitals."""
        if self.S is None:
            return np.broadcast_to(np.eye(len(self), dtype=complex), (*np.shape(k)[:-1], len(self), len(self)))
        return _bloch_sum(self._S_in_pairs, k)

    def eigenvalues(self, k: ArrayLike) -> np.ndarray:
        """(…, n) eV, rising, at k (…, 3) fractional; of H c = E S c. The Hermitian parts of H(k) and S(k) are taken.

        Raises IrrepnetError if S(k) is not positive definite.
        """
        k = np.asarray(k, float)
        flat = k.reshape(-1, 3)
        found = np.empty((len(flat), len(self)))
        step = max(1, 2**22 // len(self) ** 2)  # matrices of some 64 MB at a time
        for start in range(0, len(flat), step):
            part = slice(start, start + step)
            found[part] = np.linalg.eigvalsh(_lowdin(self, flat[part]))
        return found.reshape(*k.shape[:-1], len(self))

    def eigenstates(self, k: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Energies (n,) in eV and states (n, n), the columns, at one k; states are orthonormal with S."""
        overlap = None if self.S is None else _hermitian_part(self.S_at(k))
        energies, states = scipy.linalg.eigh(_hermitian_part(self.H_at(k)), overlap)
        return energies, states

    @cached_property
    def index(self) -> Callable[[np.ndarray], np.ndarray]:
        """R (…, 3) → position in `R`, −1 where that cell is not there."""
        return cell_index(self.R)

    def as_real(self) -> Hamiltonian:
        """The same with real H(R) and S(R), as time reversal makes them in real orbitals.

        Raises IrrepnetError if there is spin, orbitals are complex, or imaginary parts are more than noise (1e-5 eV).
        """
        if self.known_basis.spinful:
            raise IrrepnetError(f"{self.name}: it has spin; a Hamiltonian without spin is needed")
        parts = [part for part in (self.H, self.S, self.H0) if part is not None]
        largest = max(float(abs(np.imag(part)).max()) for part in parts)
        if any(shell.harmonics == "complex" for shell in self.known_basis.shells) or largest > _NOISE:
            raise IrrepnetError(
                f"{self.name}: H(R) has imaginary parts up to {largest:.1e} eV; real ones in real orbitals are needed"
            )
        H, S, H0 = (None if part is None else np.real(part) for part in (self.H, self.S, self.H0))
        assert H is not None
        return replace(self, H=H, S=S, H0=H0)

    def in_convention(self, convention: str, whole: bool = True) -> Hamiltonian:
        """The same in another code's order of orbitals, see `OrbitalBasis.in_convention`."""
        basis = self.known_basis
        other = basis.in_convention(convention, whole)
        change = basis.change_to(other)

        def moved(blocks: np.ndarray | None) -> np.ndarray | None:
            return None if blocks is None else change @ blocks @ change.conj().T

        H = change @ self.H @ change.conj().T
        return replace(self, H=H, S=moved(self.S), H0=moved(self.H0), position=moved(self.position), basis=other)

    @property
    def known_basis(self) -> OrbitalBasis:
        """The basis; raises IrrepnetError if there is none."""
        if self.basis is None:
            raise IrrepnetError(f"{self.name}: {self.no_basis}")
        return self.basis

    @property
    def known_cell(self) -> Cell:
        """Lattice and atoms, of the basis or without one; raises IrrepnetError if they are not known."""
        return self.cell if self.basis is None and self.cell is not None else self.known_basis.cell

    @cached_property
    def _H_in_pairs(self) -> _Pairs:
        return _in_pairs(self.R, self.H)

    @cached_property
    def _S_in_pairs(self) -> _Pairs:
        assert self.S is not None
        return _in_pairs(self.R, self.S)


class _Pairs(NamedTuple):
    """Blocks B(R), one of each R and −R: Σ_R exp(2πi k·R) B(R) = Σ_pairs cos(2π k·R) even + i sin(2π k·R) odd.

    Real products over half of the cells, and where B(R) = B(−R)ᴴ, so that the sum is Hermitian, over the elements on
    and above the diagonal alone.
    """

    R: np.ndarray
    """(pairs, 3) int"""
    even: np.ndarray
    """(pairs, elements) B(R) + B(−R); B(R) for R = 0 and where there is no −R."""
    odd: np.ndarray
    """(pairs, elements) B(R) − B(−R); B(R) for R = 0, where its sine is zero, and where there is no −R."""
    element: np.ndarray
    """(n, n) the element that each of the sum is, or whose conjugate it is."""
    is_conjugate: np.ndarray
    """(n, n) bool"""


def _in_pairs(R: np.ndarray, blocks: np.ndarray) -> _Pairs:
    blocks = blocks.astype(np.result_type(blocks, float), copy=False)
    numbers, reverse = np.arange(len(R)), cell_index(R)(-R)
    is_hermitian = (reverse >= 0).all() and all(
        abs(blocks[cell] - blocks[other].conj().T).max() <= _ROUNDING
        for cell, other in zip(numbers, reverse)
        if cell >= other
    )
    reverse[reverse == numbers] = -1  # R = 0 is alone, as cells without −R are
    own = np.flatnonzero(numbers > reverse)
    n = blocks.shape[-1]
    is_conjugate = np.tri(n, k=-1, dtype=bool) if is_hermitian else np.zeros((n, n), bool)
    rows, columns = np.nonzero(~is_conjugate)
    element = np.empty((n, n), int)
    if is_hermitian:
        element[columns, rows] = np.arange(len(rows))
    element[rows, columns] = np.arange(len(rows))
    first = blocks[own[:, None], rows, columns]
    other = np.where((reverse[own] >= 0)[:, None], blocks[reverse[own][:, None], rows, columns], 0)
    return _Pairs(R[own], first + other, first - other, element, is_conjugate)


def _bloch_sum(pairs: _Pairs, k: ArrayLike) -> np.ndarray:
    """(…, n, n) complex, at k (…, 3) fractional."""

    def weighted(weights: np.ndarray, elements: np.ndarray) -> np.ndarray:
        """weights (pairs, K), transposed, · elements (pairs, elements), real or complex, as one real product."""
        return (np.ascontiguousarray(weights).T @ elements.view(float)).view(elements.dtype)

    k = np.asarray(k, float)
    points, n = k.reshape(-1, 3), len(pairs.element)
    total = np.empty((len(points), n * n), complex)
    for start in range(0, len(points), _TOGETHER):
        part = slice(start, start + _TOGETHER)
        phases = _phases(pairs.R, points[part])
        found = weighted(np.real(phases), pairs.even) + 1j * weighted(np.imag(phases), pairs.odd)
        own = found.take(pairs.element.ravel(), 1, total[part], "clip")  # in this mode it writes there at once
        np.conjugate(own, out=own, where=pairs.is_conjugate.ravel())
    return total.reshape(*k.shape[:-1], n, n)


def _phases(R: np.ndarray, k: np.ndarray) -> np.ndarray:
    """(cells, K) exp(2πi k·R), as products of those along each axis, which are few."""
    total = np.ones((len(R), len(k)), complex)
    for steps, own in zip(R.T, k.T):
        low = steps.min(initial=0)
        total *= np.exp(2j * np.pi * np.arange(low, steps.max(initial=0) + 1)[:, None] * own)[steps - low]
    return total


def cell_index(cells: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """A function R (…, 3) → position among cells (N, 3), −1 where it is not there."""
    low, high = cells.min(0), cells.max(0)
    grid = np.full(high - low + 1, -1)
    grid[tuple((cells - low).T)] = np.arange(len(cells))

    def find(R: np.ndarray) -> np.ndarray:
        nearest = np.minimum(np.maximum(R, low), high)
        at = nearest - low
        return np.where((nearest == R).all(-1), grid[at[..., 0], at[..., 1], at[..., 2]], -1)

    return find


def _lowdin(hamiltonian: Hamiltonian, k: np.ndarray) -> np.ndarray:
    """(K, n, n) S(k)^{−1/2} H(k) S(k)^{−1/2}."""
    H = _hermitian_part(hamiltonian.H_at(k))
    if hamiltonian.S is None:
        return H
    values, vectors = np.linalg.eigh(_hermitian_part(hamiltonian.S_at(k)))
    if not (values > 1e-10).all():
        worst = int(values.min(-1).argmin())
        raise IrrepnetError(
            f"{hamiltonian.name}: the overlap is not positive definite at k = {k[worst].round(4).tolist()}: it has an "
            f"eigenvalue of {values.min():.1e}; cells R are missing, or orbitals are linearly dependent"
        )
    root = (vectors / np.sqrt(values)[:, None]) @ vectors.conj().transpose(0, 2, 1)
    return root @ H @ root


def _hermitian_part(matrix: np.ndarray) -> np.ndarray:
    return (matrix + matrix.conj().swapaxes(-1, -2)) / 2


def orthogonalised(hamiltonian: Hamiltonian, mesh: tuple[int, int, int]) -> Hamiltonian:
    """The Hamiltonian in Löwdin's orthonormal orbitals, S(k)^{−1/2} H(k) S(k)^{−1/2} on a mesh of k, and back to R.

    Exact at the points of the mesh; cells that are as near as others at the surface of the mesh's supercell share
    their weight, so that H(R) keeps Hermiticity; between the points it converges with the mesh. Löwdin's orbitals are
    the orthonormal ones nearest to the given (J. Chem. Phys. 18, 365 (1950)) and transform as they do.

    Raises IrrepnetError if the overlap is not positive definite, or the mesh is not three positive numbers.
    """
    if len(mesh) != 3 or min(mesh) < 1:
        raise IrrepnetError(f"a mesh of k is three positive numbers, got {mesh}")
    k = mesh_points(mesh)
    blocks = _lowdin(hamiltonian, k)
    cells, weights = _cells_of_mesh(mesh, None if hamiltonian.basis is None else hamiltonian.basis.cell.lattice)
    phases = np.exp(-2j * np.pi * (cells @ k.T)) * weights[:, None] / len(k)
    H = np.tensordot(phases, blocks, 1)
    S = hamiltonian.S
    is_real = np.isrealobj(hamiltonian.H) and (S is None or np.isrealobj(S))
    if is_real and abs(np.imag(H)).max() < 1e-10 * abs(H).max():
        H = np.real(H)
    return replace(hamiltonian, R=cells, H=H, S=None, H0=None, position=None, mesh=mesh)


def in_order(hamiltonian: Hamiltonian, order: np.ndarray) -> Hamiltonian:
    """The same with its functions in another order (n,), and without a basis, which tells the first."""
    parts = {
        name: None if (part := getattr(hamiltonian, name)) is None else part[..., order[:, None], order]
        for name in ("H", "S", "H0", "position")
    }
    return replace(hamiltonian, **parts, basis=None)


def in_other_cells(hamiltonian: Hamiltonian, steps: np.ndarray) -> Hamiltonian:
    """The same with each orbital moved from its home cell by lattice translations (n, 3): that of H_ij(R) goes to
    R + steps_i − steps_j."""
    n = len(hamiltonian)
    cells = hamiltonian.R[:, None, None] + steps[:, None] - steps  # (cells, n, n, 3)
    R, which = np.unique(cells.reshape(-1, 3), axis=0, return_inverse=True)
    rows, columns = np.indices((n, n))

    def moved(blocks: np.ndarray | None) -> np.ndarray | None:
        if blocks is None:
            return None
        found = np.zeros((len(R), *blocks.shape[1:]), blocks.dtype)
        found[which.reshape(-1, n, n), rows, columns] = blocks
        return found

    H = moved(hamiltonian.H)
    assert H is not None
    return replace(hamiltonian, R=R, H=H, S=moved(hamiltonian.S), H0=moved(hamiltonian.H0), position=None)


def mesh_points(mesh: tuple[int, int, int]) -> np.ndarray:
    """(K, 3) fractional k of a mesh that holds Γ."""
    axes = (np.arange(count) / count for count in mesh)
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)


def _cells_of_mesh(mesh: tuple[int, int, int], lattice: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """The cells R in the Wigner–Seitz cell of the mesh's supercell, and weights, 1 over the number of equal ones."""
    lattice = np.eye(3) if lattice is None else lattice
    size = np.array(mesh)
    images = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3, indexing="ij"), -1).reshape(-1, 3) * size
    found, weights = [], []
    for home in np.stack(np.meshgrid(*map(np.arange, mesh), indexing="ij"), -1).reshape(-1, 3):
        candidates = home + images
        distance = np.linalg.norm(candidates @ lattice, axis=1)
        nearest = candidates[distance < distance.min() + 1e-6]
        found.append(nearest)
        weights.append(np.full(len(nearest), 1 / len(nearest)))
    return np.concatenate(found), np.concatenate(weights)
