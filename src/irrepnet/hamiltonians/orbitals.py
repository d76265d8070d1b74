"""Local orbitals on the sites of a crystal, in the order of any code, and how an operation moves them.

The components of a shell are real harmonics about z, numbered m = −l … l, without the Condon–Shortley phase (the
`racah_harmonics` of `irrepnet.groups` over √(4π/(2l+1))): s; py pz px; dxy dyz dz2 dxz dx2-y2; fy(3x2-y2) fxyz fyz2
fz3 fxz2 fz(x2-y2) fx(x2-3y2). A convention is an order of m and, for some codes, a change of basis.

With spin every orbital is there twice, up and then down along z, one after the other: functions are orbitals ⊗ spin,
and an operation acts on them as D ⊗ u, with u the SU(2) matrix of `groups.spinor_matrices`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property

import numpy as np
from scipy.linalg import block_diag

from irrepnet.crystals import Cell, SymmetricCrystal, read_cell
from irrepnet.errors import IrrepnetError
from irrepnet.groups import (
    PointGroup,
    angular_momentum,
    harmonic_matrices,
    jz_to_racah,
    racah_to_real,
    spinor_matrices,
)

LETTERS = "spdf"
NAMES: tuple[tuple[str, ...], ...] = (
    ("s",),
    ("py", "pz", "px"),
    ("dxy", "dyz", "dz2", "dxz", "dx2-y2"),
    ("fy(3x2-y2)", "fxyz", "fyz2", "fz3", "fxz2", "fz(x2-y2)", "fx(x2-3y2)"),
)
"""NAMES[l][l + m], the component m of a real shell."""

_RISING = tuple(tuple(range(-l, l + 1)) for l in range(4))
_FROM_ZERO = ((0,), (0, 1, -1), (0, 1, -1, 2, -2), (0, 1, -1, 2, -2, 3, -3))
_X_FIRST = (1, -1, 0)
CONVENTIONS: dict[str, tuple[str, tuple[tuple[int, ...], ...]]] = {
    "wannier90": ("real", _FROM_ZERO),
    "sisl": ("signed", _RISING),
    "deeptb": ("real", _RISING),
    "deeph": ("real", ((0,), _X_FIRST, (0, 2, -2, 1, -1), _FROM_ZERO[3])),
    "pyscf": ("real", (*_RISING[:1], _X_FIRST, *_RISING[2:])),
    "abacus": ("signed", _FROM_ZERO),
    "complex": ("complex", _RISING),
}
"""Of each code: the harmonics it takes, and its order of m for l = 0 … 3.

"real" harmonics as above; "signed" ones times (−1)^m, as in SIESTA and ABACUS; "complex" ones Y_lm with the
Condon–Shortley phase.
"""


@dataclass(frozen=True)
class Shell:
    """Orbitals of one l on one site, with one radial function."""

    site: int
    """Index into `OrbitalBasis.centres`."""
    l: int
    """0 to 3."""
    m: tuple[int, ...]
    """The components in the order of the matrix; fewer than 2l+1 if the rest is not in the basis (t2g of a d shell)."""
    harmonics: str = "real"
    """"real", "signed" or "complex": see `CONVENTIONS`."""

    @classmethod
    def of(cls, site: int, l: int, convention: str = "deeptb") -> Shell:
        """All components of l in the order of a code. Raises IrrepnetError for an unknown code or an l beyond 3."""
        if convention not in CONVENTIONS:
            raise IrrepnetError(f"unknown order of orbitals {convention!r}; choose one of {', '.join(CONVENTIONS)}")
        if not 0 <= l < len(LETTERS):
            raise IrrepnetError(f"shells have l from 0 (s) to 3 (f), got {l}")
        harmonics, orders = CONVENTIONS[convention]
        return cls(site, l, orders[l], harmonics)

    def in_convention(self, convention: str) -> Shell:
        """The same functions in the order and with the harmonics of another code.

        Raises IrrepnetError if not all components are there, and those of the other code are combinations with others.
        """
        whole = Shell.of(self.site, self.l, convention)
        other = replace(whole, m=tuple(m for m in whole.m if m in self.m))
        change = other.matrix.conj() @ self.matrix.T
        if abs(change @ change.conj().T - np.eye(len(self.m))).max() > 1e-9:
            raise IrrepnetError(f"site {self.site + 1} has only {', '.join(self.names)}; this order needs whole shells")
        return other

    @property
    def is_whole(self) -> bool:
        """Whether all 2l+1 components are there."""
        return len(self.m) == 2 * self.l + 1

    @property
    def names(self) -> tuple[str, ...]:
        """Of each component: "px", for complex ones "p+1"."""
        if self.harmonics == "complex":
            return tuple(f"{LETTERS[self.l]}{m:+d}" for m in self.m)
        return tuple(NAMES[self.l][self.l + m] for m in self.m)

    @cached_property
    def matrix(self) -> np.ndarray:
        """(k, 2l+1) each orbital as a combination of the real harmonics m = −l … l; orthonormal rows."""
        changes = {
            "real": np.eye(2 * self.l + 1),
            "signed": np.diag([(-1.0) ** m for m in range(-self.l, self.l + 1)]),
            "complex": jz_to_racah(self.l).conj().T,
        }
        return changes[self.harmonics][[self.l + m for m in self.m]]


@dataclass(frozen=True, eq=False)
class Mixing:
    """n orbitals as combinations of the functions of shells: hybrids, and functions in axes of their own."""

    matrix: np.ndarray
    """(n, functions) real, orthonormal rows; an orbital mixes functions of one site only."""
    names: tuple[str, ...]
    """Of each orbital, such as "sp3-1"."""


@dataclass(frozen=True, eq=False)
class OrbitalBasis:
    """n functions on the sites of a crystal, the rows and columns of a Hamiltonian: orbitals, with spin each twice."""

    cell: Cell
    """All atoms of the cell, those without orbitals too: they decide the symmetry."""
    centres: np.ndarray
    """(sites, 3) fractional coordinates of the sites that carry orbitals: atoms, or centres of Wannier functions."""
    shells: tuple[Shell, ...]
    """In the order of the matrix, if there is no mixing."""
    _: KW_ONLY
    mixing: Mixing | None = None
    """The orbitals as combinations of the functions of the shells; None if they are these functions."""
    spinful: bool = False
    """Whether each orbital is there with spin up and then with spin down."""
    moments: np.ndarray | None = None
    """(atoms, 3) magnetic moments along x, y, z, of any unit: they decide the symmetry too. None: there are none."""

    def __len__(self) -> int:
        """The number of functions n."""
        return len(self.site_of)

    @property
    def spins(self) -> int:
        """How often each orbital is there: 2 with spin, or 1."""
        return 2 if self.spinful else 1

    @cached_property
    def site_of(self) -> np.ndarray:
        """(n,) the site of each function."""
        sites = np.repeat([shell.site for shell in self.shells], [len(shell.m) for shell in self.shells])
        if self.mixing is not None:
            sites = sites[abs(self.mixing.matrix).argmax(1)]
        return np.repeat(sites, self.spins)

    @cached_property
    def coefficients(self) -> np.ndarray:
        """(orbitals, Σ (2l+1)) each orbital, without spin, as a combination of the real harmonics m = −l … l of every
        shell."""
        functions = np.asarray(block_diag(*(shell.matrix for shell in self.shells)))
        return functions if self.mixing is None else self.mixing.matrix @ functions

    @cached_property
    def orbitals(self) -> tuple[np.ndarray, ...]:
        """Of each site, the indices of its functions."""
        return tuple(np.flatnonzero(self.site_of == site) for site in range(len(self.centres)))

    def shells_of(self, site: int) -> tuple[Shell, ...]:
        return tuple(shell for shell in self.shells if shell.site == site)

    @cached_property
    def species(self) -> tuple[str, ...]:
        """Of each site: the element of the atom there, "X" if none is within 0.1 Å."""
        from pymatgen.core.periodic_table import Element

        apart = self.centres[:, None] - self.cell.frac_coords[None]
        distance = np.linalg.norm((apart - np.rint(apart)) @ self.cell.lattice, axis=-1)
        nearest = [Element.from_Z(int(self.cell.numbers[atom])).symbol for atom in distance.argmin(1)]
        return tuple(symbol if close else "X" for symbol, close in zip(nearest, distance.min(1) < 0.1))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of each function, such as "O2 px": element and number of the site from 1, component; a second radial
        function of that l has a prime, and spins are "up" and "down"."""
        if self.spinful:
            return tuple(f"{name} {spin}" for name in replace(self, spinful=False).names for spin in ("up", "down"))
        if self.mixing is not None:
            return tuple(f"{self.species[site]}{site + 1} {own}" for site, own in zip(self.site_of, self.mixing.names))
        names, seen = [], {}
        for shell in self.shells:
            prime = "'" * seen.get((shell.site, shell.l), 0)
            seen[shell.site, shell.l] = seen.get((shell.site, shell.l), 0) + (shell.is_whole or not prime)
            names += [f"{self.species[shell.site]}{shell.site + 1} {name}{prime}" for name in shell.names]
        return tuple(names)

    def in_convention(self, convention: str, whole: bool = True) -> OrbitalBasis:
        """The same shells, each in the order and with the harmonics of another code, and no mixing.

        Args:
            convention: a key of `CONVENTIONS`.
            whole: whether that code knows no parts of shells.

        Raises IrrepnetError if a shell is not whole, and has to be, or its functions are no functions there.
        """
        for site in range(len(self.centres)) if whole or self.mixing is not None else ():
            names = self._names_on(site)
            if len(names) < sum(2 * shell.l + 1 for shell in self.shells_of(site)):
                raise IrrepnetError(f"site {site + 1} has only {', '.join(names)}; other orders need whole shells")
        return replace(self, shells=tuple(shell.in_convention(convention) for shell in self.shells), mixing=None)

    def change_to(self, other: OrbitalBasis) -> np.ndarray:
        """(n, n) unitary T with H_other = T H Tᴴ, for another order, harmonics or mixing of the same shells."""
        return real_if_real(np.kron(other.coefficients.conj() @ self.coefficients.T, np.eye(self.spins)))

    def time_reversal(self, site: int) -> np.ndarray:
        """(k, k) unitary Θ on the functions of a site: time reversal is Θ K, K the complex conjugation of coefficients.

        The orbitals are conjugated, and spins turned by −iσ_y: up → down, down → −up.

        Raises IrrepnetError if conjugation takes orbitals out of their span.
        """
        own = self.coefficients[self._orbitals_on(site)]
        conjugated = own.conj() @ own.conj().T
        if abs(conjugated @ conjugated.conj().T - np.eye(len(own))).max() > 1e-6:
            names = ", ".join(self._names_on(site))
            raise IrrepnetError(f"time reversal takes {names} of site {site + 1} out of their span: add those of −m")
        return np.kron(conjugated, np.array([[0, -1], [1, 0]])) if self.spinful else conjugated

    def matrices(
        self, source: int, target: int, operations: np.ndarray, spinors: np.ndarray | None = None
    ) -> np.ndarray:
        """(N, k, k) unitary D(g), with spin ⊗ u(g): functions φ_i of one site become Σ_j D_ji φ_j on another under g.

        operations: (N, 3, 3) orthogonal, Cartesian. Shells go to those of the same l, in their order.
        spinors: (N, 2, 2) u(g) in the same axes, of which −u would do as well; `spinor_matrices` by default.

        Raises:
            IrrepnetError: the sites have different shells, or an operation takes orbitals out of their span.
        """
        (old, own), (new, others) = (self._functions_of(site) for site in (source, target))
        if old != new or len(own) != len(others):
            raise IrrepnetError(
                f"sites {source + 1} ({self.species[source]}) and {target + 1} ({self.species[target]}) are "
                f"equivalent but carry different shells, {_letters(old)} and {_letters(new)}"
            )
        whole = np.zeros((len(operations), own.shape[1], own.shape[1]))
        start = 0
        for l, _ in old:
            stop = start + 2 * l + 1
            whole[:, start:stop, start:stop] = racah_matrices(operations, l)
            start = stop
        matrices = others.conj() @ whole @ own.T
        defect = abs(matrices.conj().transpose(0, 2, 1) @ matrices - np.eye(len(own))).max((0, 2), initial=0)
        if defect.max(initial=0) > 1e-6:
            names = [name for name, beyond in zip(self._names_on(source), defect > 1e-6) if beyond]
            raise IrrepnetError(
                f"an operation takes {', '.join(names)} of site {source + 1} ({self.species[source]}) out of their "
                "span: give the basis all partners, and the axes in which it is defined"
            )
        if not self.spinful:
            return real_if_real(matrices)
        u = spinor_matrices(operations) if spinors is None else spinors
        return np.einsum("gij,gab->giajb", matrices, u).reshape(len(u), 2 * len(others), 2 * len(own))

    def _functions_of(self, site: int) -> tuple[list[tuple[int, int]], np.ndarray]:
        """(l, number of components) of a site's shells, l rising, and its orbitals (k, Σ (2l+1)) in them."""
        numbers = sorted((n for n, s in enumerate(self.shells) if s.site == site), key=lambda n: self.shells[n].l)
        starts = np.cumsum([0, *(2 * shell.l + 1 for shell in self.shells)])
        columns = [column for n in numbers for column in range(starts[n], starts[n + 1])]
        shells = [(self.shells[n].l, len(self.shells[n].m)) for n in numbers]
        return shells, self.coefficients[self._orbitals_on(site)[:, None], columns]

    def _orbitals_on(self, site: int) -> np.ndarray:
        """The rows of `coefficients` that are on a site."""
        return self.orbitals[site][:: self.spins] // self.spins

    def _names_on(self, site: int) -> list[str]:
        """Of the orbitals of a site, without it and without spin."""
        names = replace(self, spinful=False).names
        return [names[orbital].partition(" ")[2] for orbital in self._orbitals_on(site)]

    def site_irreps(self, site: int, group: PointGroup, operations: np.ndarray) -> dict[str, int]:
        """{irrep: multiplicity} of the orbitals of a site, without spin, under its site group.

        operations: (|group|, 3, 3) those of the group in the crystal's axes, in its order.
        """
        orbitals = replace(self, spinful=False).matrices(site, site, operations)
        return group.multiplicities(orbitals.trace(axis1=1, axis2=2).real)


def real_if_real(array: np.ndarray) -> np.ndarray:
    """A complex array without imaginary parts as a real one."""
    return array if np.iscomplexobj(array) and np.imag(array).any() else np.real(array)


def racah_matrices(operations: np.ndarray, l: int) -> np.ndarray:
    """(N, 2l+1, 2l+1) orthogonal D(g) on the real harmonics m = −l … l about z: C_l(g r) = D(g) C_l(r)."""
    change = racah_to_real(l)
    matrices = change.T @ harmonic_matrices(operations, l, (-1) ** l) @ change
    whole = np.rint(matrices)  # most elements are 0 or ±1, and then without rounding
    return np.where(abs(matrices - whole) < 1e-12, whole, matrices)


def racah_angular_momentum(l: int) -> np.ndarray:
    """(3, 2l+1, 2l+1) L_x, L_y, L_z between the real harmonics m = −l … l about z, in units of ħ."""
    change = jz_to_racah(l).conj()  # coefficients in |m⟩ → in the real harmonics
    return change @ angular_momentum(l) @ change.conj().T


def cell_as_given(lattice: np.ndarray, species: Sequence[str], frac_coords: np.ndarray, name: str) -> Cell:
    """A checked cell with the lattice vectors as they are: H(R) counts cells along them, left-handed ones too.

    Raises IrrepnetError for what `read_cell` refuses.
    """
    checked = read_cell({"id": name, "species": list(species), "frac_coords": frac_coords, "lattice": lattice})
    return checked._replace(lattice=np.asarray(lattice, float), frac_coords=np.asarray(frac_coords, float))


def shells_from_text(text: str) -> tuple[int, ...]:
    """(l, …) of shells written by letters, "sspd" → (0, 0, 1, 2). Raises IrrepnetError for other letters."""
    if not text or any(letter not in LETTERS for letter in text):
        raise IrrepnetError(f"shells are written with the letters s, p, d, f, such as spd or sspp, got {text!r}")
    return tuple(LETTERS.index(letter) for letter in text)


def shells_by_element(text: str, elements: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """{element: (l, …)} from "spd", the same for all elements, or "Mg:sp,O:sspp"; an element left out has none.

    Raises IrrepnetError for an element that is not there, or shells that cannot be read.
    """
    if ":" not in text:
        return dict.fromkeys(elements, shells_from_text(text))
    found = {}
    for part in text.split(","):
        element, _, letters = (piece.strip() for piece in part.partition(":"))
        if element not in elements:
            raise IrrepnetError(
                f"the basis names {element!r}, the structure holds {', '.join(dict.fromkeys(elements))}"
            )
        found[element] = shells_from_text(re.sub(r"\s", "", letters))
    return found


def atomic_basis(cell: Cell, shells: dict[str, tuple[int, ...]], convention: str = "deeptb") -> OrbitalBasis:
    """Whole shells on the atoms: {element: (l, …)}; elements that are not named carry none."""
    from pymatgen.core.periodic_table import Element

    species = [Element.from_Z(int(number)).symbol for number in cell.numbers]
    atoms = [atom for atom, symbol in enumerate(species) if shells.get(symbol)]
    made = [Shell.of(site, l, convention) for site, atom in enumerate(atoms) for l in shells[species[atom]]]
    return OrbitalBasis(cell, cell.frac_coords[atoms], tuple(made))


def crystal_basis(crystal: SymmetricCrystal, shells: dict[str, tuple[int, ...]]) -> OrbitalBasis:
    """Whole shells {element: (l, …)} on the atoms of a symmetric crystal, in its primitive cell and standard frame."""
    return atomic_basis(Cell(crystal.lattice, crystal.frac_coords, crystal.numbers, crystal.formula), shells)


def _letters(shells: list[tuple[int, int]]) -> str:
    return "".join(LETTERS[l] for l, _ in shells) or "none"
