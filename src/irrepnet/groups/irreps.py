"""Irreps over the reals and over C, constructed by rule and exact in Q(√3), with their Mulliken labels."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from irrepnet.groups.operations import read_only, snap
from irrepnet.groups.settings import Setting

J = np.array([[0.0, -1.0], [1.0, 0.0]])
"""The imaginary unit of the commutant of a real irrep of complex type."""


@dataclass(frozen=True, eq=False)
class Irrep:
    """An irrep by orthogonal (over C: unitary) matrices, in the order of the group's operations."""

    label: str
    """Mulliken label."""
    matrices: np.ndarray
    """(N, d, d), read-only; Γ(g)Γ(h) = Γ(gh)."""
    type: Literal["real", "complex", "quaternionic"]
    """That of Frobenius and Schur. Complex type: over C two conjugate irreps; over the reals J commutes with all
    matrices. Quaternionic: equivalent to its conjugate, but not to real matrices."""

    @property
    def dim(self) -> int:
        return self.matrices.shape[1]

    @cached_property
    def characters(self) -> np.ndarray:
        """(N,) traces, read-only."""
        return read_only(np.trace(self.matrices, axis1=1, axis2=2))

    @cached_property
    def commutant(self) -> np.ndarray:
        """(1, d, d), read-only: the identity; for a real irrep of complex type (2, 2, 2): the identity and J."""
        identity = np.eye(self.dim)
        if self.type == "complex" and not np.iscomplexobj(self.matrices):
            return read_only(np.stack([identity, J]))
        return read_only(identity[None])

    def __repr__(self) -> str:
        return f"Irrep({self.label!r}, dim={self.dim}, type={self.type!r})"


def real_irreps(
    operations: np.ndarray,
    words: np.ndarray,
    multiplication: np.ndarray,
    setting: Setting,
    find: Callable[[str], int],
) -> tuple[Irrep, ...]:
    """All irreps over the reals, in the order g before u, ' before '', then A B E T.

    One-dimensional ones are the characters χ = ±1. Every other one is χ ⊗ B for χ of species A and a block B:
    (x, y) or (x² − y², 2xy) for an axial group, (3z² − r², √3(x² − y²)) or (x, y, z) for a cubic one; of
    equivalent matrices those with the first χ in label order are taken, so that Eg and T1g are axial vectors.
    `words` counts the generators in each operation modulo 2; `find` is the index of a named operation.
    """

    def named(matrices: np.ndarray, type_: Literal["real", "complex"]) -> Irrep:
        character = np.trace(matrices, axis1=1, axis2=2)
        return Irrep(mulliken_label(character, matrices.shape[1], setting, find), read_only(matrices), type_)

    signs = itertools.product((1.0, -1.0), repeat=words.shape[1])
    characters = [np.prod(np.where(words == 1, s, 1.0), axis=1) for s in signs]
    characters = [c for c in characters if np.array_equal(c[multiplication], np.outer(c, c))]
    found = sorted((named(c[:, None, None], "real") for c in characters), key=_label_order)
    species_a = [irrep for irrep in found if irrep.label.startswith("A")]
    for block, one in itertools.product(_blocks(operations, setting), species_a):
        matrices = one.matrices * block
        type_ = _irreducible_type(matrices, multiplication)
        character = np.trace(matrices, axis1=1, axis2=2)
        if type_ is not None and all(abs(character @ other.characters) < 1e-6 for other in found):
            found.append(named(matrices, type_))
    return tuple(sorted(found, key=_label_order))


def _blocks(operations: np.ndarray, setting: Setting) -> list[np.ndarray]:
    """The representations from which the irreps with more than one dimension are built."""
    if setting.system == "cubic":
        rows = np.array([[-1, -1, 2], [np.sqrt(3), -np.sqrt(3), 0]]) / np.sqrt(6)  # x², y², z² → E
        return [snap(rows @ np.abs(operations) @ rows.T), operations]
    if setting.system in ("trigonal", "tetragonal", "hexagonal"):
        xy = operations[:, :2, :2]
        (a, b), (c, d) = np.moveaxis(xy, 0, -1)  # x → a x + b y, y → c x + d y
        quadratic = np.array([[a * a - c * c, a * b - c * d], [2 * a * c, a * d + b * c]])
        return [xy, snap(np.moveaxis(quadratic, -1, 0))]
    return []


def _irreducible_type(matrices: np.ndarray, multiplication: np.ndarray) -> Literal["real", "complex"] | None:
    """The Frobenius–Schur type of a real representation, None if it is reducible over the reals."""
    character = np.trace(matrices, axis1=1, axis2=2)
    norm = np.mean(character**2)
    indicator = np.mean(character[np.diag(multiplication)])
    if abs(norm - 1) < 1e-6:
        return "real"
    return "complex" if abs(norm - 2) < 1e-6 and abs(indicator) < 1e-6 else None


def mulliken_label(character: np.ndarray, dim: int, setting: Setting, find: Callable[[str], int]) -> str:
    """Mulliken label by rule.

    The first generator of the setting tells A from B (E1 from E2 in hexagonal groups, A1, T1 from A2, T2
    in cubic ones), the second tells 1 from 2; g/u by the inversion, '/'' by the mirror of m, −6, −6m2 and
    −62m; B1, B2, B3 of 222 and mmm are the symmetry species of z, y, x.
    """
    generators = setting.generators
    signs = [character[find(name)] > 0 for name in generators]
    suffix = ""
    if "i" in generators:
        suffix = "g" if character[find("i")] > 0 else "u"
    elif setting.schoenflies in ("Cs", "C3h", "D3h"):
        suffix = "'" if character[find(generators[0] if setting.schoenflies == "Cs" else "mz")] > 0 else "''"
    first_tells_letter = generators and generators[0] not in ("i", "-6z") and setting.schoenflies != "Cs"
    has_second = len([name for name in generators if name != "i"]) > 1

    letter, number = " AET"[dim], ""
    if setting.system == "cubic":
        if "2z" not in generators and dim != 2:
            number = "1" if signs[0] else "2"
    elif dim == 2:
        if generators[0] == "6z":
            number = "1" if signs[0] else "2"
    elif setting.schoenflies in ("D2", "D2h"):
        number = {(1, 1): "", (1, 0): "1", (0, 1): "2", (0, 0): "3"}[signs[0], signs[1]]
        letter = "B" if number else "A"
    else:
        letter = "B" if first_tells_letter and not signs[0] else "A"
        if has_second:
            number = "1" if signs[1] else "2"
    return letter + number + suffix


def _label_order(irrep: Irrep) -> tuple[bool, str]:
    return irrep.label.endswith(("u", "''")), irrep.label


def complex_irreps(irreps: tuple[Irrep, ...]) -> tuple[Irrep, ...]:
    """The irreps over C: those of real type as they are; each E of complex type splits into 1E and 2E.

    With E(g) = [[cos φ, −sin φ], [sin φ, cos φ]] the character of 1E is exp(iφ), that of 2E its conjugate.
    """
    split = []
    for irrep in irreps:
        if irrep.type == "real":
            split.append(Irrep(irrep.label, read_only(irrep.matrices.astype(complex)), "real"))
            continue
        character = irrep.matrices[:, 0, 0] + 1j * irrep.matrices[:, 1, 0]
        for prefix, chi in (("1", character), ("2", character.conj())):
            split.append(Irrep(prefix + irrep.label, read_only(chi[:, None, None]), "complex"))
    return tuple(split)
