"""Spin in Hamiltonians: both spins of one without it, the on-site spin–orbit term, and two orders of spinors."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from scipy.linalg import block_diag

from irrepnet.errors import IrrepnetError
from irrepnet.groups import PAULI
from irrepnet.hamiltonians.model import Hamiltonian, in_order
from irrepnet.hamiltonians.orbitals import LETTERS, OrbitalBasis, racah_angular_momentum
from irrepnet.hamiltonians.spin_orbit_table import ATOMIC_SPIN_ORBIT
from irrepnet.hamiltonians.symmetry import action, symmetry_residual


def with_spin(up: Hamiltonian, down: Hamiltonian | None = None) -> Hamiltonian:
    """Both spins, ↑ and ↓ along z: of one Hamiltonian without spin, or of the two of a collinear magnet.

    Raises IrrepnetError if they have spin already, differ in their orbitals or overlaps, or say not what they are.
    """
    down = up if down is None else down
    basis = up.known_basis
    if basis.spinful or down.known_basis.spinful:
        raise IrrepnetError(f"{up.name}: it has spin already")
    if basis.names != down.known_basis.names:
        raise IrrepnetError(f"{up.name} and {down.name}: the orbitals of the two spins differ")
    if (up.S is None) != (down.S is None):
        raise IrrepnetError(f"{up.name} and {down.name}: one of the two spins has no overlap")
    R = np.unique(np.concatenate([up.R, down.R]), axis=0)
    n = len(up)

    def blocks(name: str) -> np.ndarray | None:
        parts = [getattr(each, name) for each in (up, down)]
        if parts[0] is None or parts[1] is None:
            return None
        total = np.zeros((len(R), n, 2, n, 2), np.result_type(*parts))
        for spin, (part, each) in enumerate(zip(parts, (up, down))):
            padded = np.concatenate([part, np.zeros_like(part[:1])])
            total[:, :, spin, :, spin] = padded[each.index(R)]
        return total.reshape(len(R), 2 * n, 2 * n)

    H = blocks("H")
    assert H is not None
    position = None
    if up is down and up.position is not None:
        position = np.kron(up.position, np.eye(2))[up.index(R)]
    return replace(up, R=R, H=H, S=blocks("S"), H0=blocks("H0"), position=position, basis=replace(basis, spinful=True))


def with_spin_orbit(hamiltonian: Hamiltonian, strengths: Mapping[str, Mapping[str, float]]) -> Hamiltonian:
    """The Hamiltonian with λ L·S on its atoms; one without spin gets it.

    λ splits a p level by 3λ/2, into j = 3/2 at λ/2 and j = 1/2 at −λ, a level l by λ (2l+1)/2. Of several shells of
    one l on an atom that overlap, the term is λ L·S in what they span.

    Args:
        strengths: {element: {letter of l: λ in eV}}, such as {"Bi": {"p": 1.25}}.

    Raises IrrepnetError for an element or a shell that is not there, or a λ that is no number.
    """
    spinful = hamiltonian if hamiltonian.known_basis.spinful else with_spin(hamiltonian)
    basis = spinful.known_basis
    term = spin_orbit_term(basis, strengths)
    home = int(spinful.index(np.zeros(3, int)))
    if spinful.S is not None:
        onsite = np.where(basis.site_of[:, None] == basis.site_of, spinful.S[home], 0)
        term = (onsite @ term + term @ onsite) / 2
    H = spinful.H.astype(complex)
    H[home] += term
    return replace(spinful, H=H, H0=None)


def spin_orbit_term(basis: OrbitalBasis, strengths: Mapping[str, Mapping[str, float]]) -> np.ndarray:
    """(n, n) λ L·S in eV between functions with spin, one shell after the other; see `with_spin_orbit`."""
    known = {(basis.species[shell.site], LETTERS[shell.l]) for shell in basis.shells}
    for element, of_shell in strengths.items():
        for letter, strength in of_shell.items():
            if (element, letter) not in known:
                there = ", ".join(sorted(f"{own}:{l}" for own, l in known if l != "s"))
                raise IrrepnetError(f"there is no shell {element}:{letter} for spin–orbit coupling; there are {there}")
            if not np.isfinite(strength):
                raise IrrepnetError(f"spin–orbit coupling of {element}:{letter} is an energy in eV, got {strength}")
    of_shells = []
    for shell in basis.shells:
        strength = strengths.get(basis.species[shell.site], {}).get(LETTERS[shell.l], 0.0)
        of_shells.append(strength * sum(np.kron(L, s / 2) for L, s in zip(racah_angular_momentum(shell.l), PAULI)))
    functions = np.kron(basis.coefficients, np.eye(2))
    return functions.conj() @ np.asarray(block_diag(*of_shells)) @ functions.T


def spin_channels(hamiltonian: Hamiltonian) -> tuple[Hamiltonian, Hamiltonian] | None:
    """The Hamiltonians of spin up and of spin down, without spin, of one that has nothing between them; or None."""
    basis = hamiltonian.basis
    if basis is None or not basis.spinful:
        return None
    parts = [part for part in (hamiltonian.H, hamiltonian.S, hamiltonian.H0) if part is not None]
    if any(part[:, ::2, 1::2].any() or part[:, 1::2, ::2].any() for part in parts):
        return None

    def channel(spin: int) -> Hamiltonian:
        own = {
            name: None if (part := getattr(hamiltonian, name)) is None else part[..., spin::2, spin::2]
            for name in ("H", "S", "H0", "position")
        }
        name = f"{hamiltonian.name}, spin {('up', 'down')[spin]}"
        return replace(hamiltonian, **own, basis=replace(basis, spinful=False), name=name)

    return channel(0), channel(1)


def moments_from_text(text: str) -> np.ndarray:
    """(atoms, 3) magnetic moments along x, y, z from "0 0 2.2; 0 0 -2.2", or "2.2; -2.2" for those along z.

    Raises IrrepnetError for other text.
    """
    try:
        rows = [[float(word) for word in atom.replace(",", " ").split()] for atom in text.split(";")]
        return np.array([row if len(row) == 3 else [0.0, 0.0, *row] for row in rows]).reshape(-1, 3)
    except ValueError:
        raise IrrepnetError(
            f"moments are one number an atom, along z, or three, such as 2.2; -2.2 or 0 0 2.2; 0 0 -2.2, got {text!r}"
        ) from None


def side_by_side(size: int) -> np.ndarray:
    """(size,) where the functions up, down, up, down, … are among all up and then all down."""
    return np.arange(size).reshape(2, -1).T.ravel()


def in_either_spin_order(
    hamiltonian: Hamiltonian, make: Callable[[Hamiltonian, np.ndarray], Hamiltonian]
) -> Hamiltonian:
    """What `make` makes of the Hamiltonian of a file, with spins side by side: in some files all up come first.

    The symmetry decides: of both orders the one that more operations obey, time reversal among them; of a magnet some
    obey none.

    Args:
        hamiltonian: without a basis.
        make: gives the basis; of the Hamiltonian in one order, and that order (n,) of the functions in the file.
    """
    n = len(hamiltonian)
    found = make(hamiltonian, np.arange(n))
    if n % 2 or (found.basis is not None and not found.basis.spinful):
        return found
    order = side_by_side(n)
    other = make(in_order(hamiltonian, order), order)
    if other.basis is None or not other.basis.spinful:
        return found
    return min(found, other, key=_violation)


def _violation(hamiltonian: Hamiltonian) -> float:
    """Mean logarithm of the operations' residuals in eV; infinite where they are not represented."""
    try:
        residuals = symmetry_residual(hamiltonian, action(hamiltonian.known_basis)).operations
        return float(np.log(residuals + 1e-3).mean())
    except IrrepnetError:
        return np.inf


def strengths_from_text(text: str, basis: OrbitalBasis) -> dict[str, dict[str, float]]:
    """{element: {letter: λ in eV}} from "Bi:p=1.25,Te:p=0.5"; an element alone, as in "Bi:p=1.25,I", has the atom's λ
    of those shells that are in the basis.

    Raises IrrepnetError for other text, or an element alone that `ATOMIC_SPIN_ORBIT` does not have.
    """
    found: dict[str, dict[str, float]] = {}
    known = {(basis.species[shell.site], LETTERS[shell.l]) for shell in basis.shells}
    for part in text.split(","):
        element = part.strip()
        if re.fullmatch("[A-Z][a-z]?", element):
            if element not in ATOMIC_SPIN_ORBIT:
                raise IrrepnetError(
                    f"there is no λ of the atom {element} in the table; give it, such as {element}:p=0.5"
                )
            own = ATOMIC_SPIN_ORBIT[element]
            fitting = {letter: strength for letter, strength in own.items() if (element, letter) in known}
            found.setdefault(element, {}).update(fitting or own)  # none: the term says so
            continue
        match = re.fullmatch(r"\s*([A-Z][a-z]?):([pdf])=([-+.\deE]+)\s*", part)
        try:
            if match is None:
                raise ValueError
            found.setdefault(match[1], {})[match[2]] = float(match[3])
        except ValueError:
            raise IrrepnetError(
                f"spin–orbit coupling is written with λ in eV, such as Bi:p=1.25,Te:p=0.5, got {part!r}"
            ) from None
    return found
