"""DoubleGroup: a point group with spin, twice as many elements, with single- and double-valued irreps over C."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import cache, cached_property
from typing import Literal

import numpy as np

from irrepnet.groups import operations as ops
from irrepnet.groups.elements import ConjugacyClass
from irrepnet.groups.finite_group import FiniteGroup
from irrepnet.groups.intertwiners import intertwiners, kronecker
from irrepnet.groups.irreps import Irrep
from irrepnet.groups.point_group import PointGroup
from irrepnet.groups.settings import ELEMENTS
from irrepnet.groups.spin import spinor_matrices, wigner_matrices
from irrepnet.groups.subgroup import Subgroup


class DoubleGroup(FiniteGroup):
    """The double group of a crystallographic point group G: its operations on spins, each with both signs.

    `DoubleGroup("m-3m")`, `DoubleGroup("Oh")` and `DoubleGroup(PointGroup("Oh"))` are the same object. Of the 2N
    elements the first N are G's operations in their order, with the SU(2) matrices of `spinor_matrices`; element N + g
    is the same operation with the other sign, after a turn by 2π. Irreps are over C: the single-valued ones are those
    of `PointGroup.complex_irreps`, the double-valued ones have −1 for the turn by 2π and a bar in their labels.

    >>> group = DoubleGroup("Oh")
    >>> group.order, [irrep.label for irrep in group.double_valued]
    (96, ['Ē1g', 'Ē2g', 'F̄g', 'Ē1u', 'Ē2u', 'F̄u'])
    >>> group.product("T1u", "Ē1g"), group.subduce(1.5, 1).keys()
    ({'Ē1u': 1, 'F̄u': 1}, dict_keys(['F̄g']))

    Raises IrrepnetError for a name that is not known.
    """

    def __new__(cls, group: str | PointGroup) -> DoubleGroup:
        return _instance(PointGroup(group) if isinstance(group, str) else group)

    def __reduce__(self) -> tuple[type[DoubleGroup], tuple[str]]:
        return DoubleGroup, (self.group.name,)

    def __repr__(self) -> str:
        return f"DoubleGroup({self.group.name!r})"

    group: PointGroup
    """G"""

    @property
    def name(self) -> str:
        """Such as "double m-3m"."""
        return f"double {self.group.name}"

    # -- elements ---------------------------------------------------------------------------------

    @property
    def order(self) -> int:
        return 2 * self.group.order

    @cached_property
    def operations(self) -> np.ndarray:
        """(2N, 3, 3) orthogonal matrices: those of G twice."""
        return ops.read_only(np.concatenate([self.group.operations] * 2))

    @cached_property
    def spinors(self) -> np.ndarray:
        """(2N, 2, 2) unitary, of determinant 1, on spin (up, down) along z; u(g) and then −u(g)."""
        matrices = spinor_matrices(self.group.operations)
        return ops.read_only(np.concatenate([matrices, -matrices]))

    @cached_property
    def factor(self) -> np.ndarray:
        """(N, N) ±1: u(g) u(h) = factor[g, h] u(gh)."""
        u, table = self.spinors[: self.group.order], self.group.multiplication
        products = np.einsum("gij,hjk,ghik->gh", u, u, u[table].conj()).real / 2
        return ops.read_only(np.rint(products).astype(int))

    @cached_property
    def multiplication(self) -> np.ndarray:
        n, table = self.group.order, self.group.multiplication
        once = table + n * (self.factor < 0)
        row = np.concatenate([once, (once + n) % (2 * n)], axis=1)
        return ops.read_only(np.concatenate([row, (row + n) % (2 * n)]))

    @cached_property
    def classes(self) -> tuple[ConjugacyClass, ...]:
        """Conjugacy classes, in the order of G's. One of G gives one ("6C2": C2 with and without a turn by 2π) or two;
        the first holds the first operation of G's class, the name of the other has a bar ("8C̄3")."""
        conjugates = self.multiplication[self.multiplication, self.inverse[:, None]]  # [g, h] → g h g⁻¹
        found = []
        for old in self.group.classes:
            own = np.unique(conjugates[:, old.indices[0]])
            label = old.name.lstrip("0123456789")
            size = str(len(own)) if len(own) > 1 else ""
            found.append(ConjugacyClass(size + label, tuple(own.tolist())))
            if len(own) == len(old.indices):
                other = np.sort((own + self.group.order) % self.order)
                found.append(ConjugacyClass(size + barred(label), tuple(other.tolist())))
        return tuple(found)

    @cached_property
    def class_of(self) -> np.ndarray:
        """(2N,) number of the class of each element."""
        found = np.empty(self.order, int)
        for number, members in enumerate(self.classes):
            found[list(members.indices)] = number
        return ops.read_only(found)

    def images(self, h: DoubleGroup, rotation: np.ndarray) -> np.ndarray:
        places = self.group.images(h.group, rotation)
        turn = spinor_matrices(rotation[None])[0]
        moved = turn @ h.spinors[: len(places)] @ turn.conj().T
        same = np.einsum("gij,gij->g", moved, self.spinors[places].conj()).real > 0
        n = self.group.order
        once = np.where(same, places, places + n)
        return np.concatenate([once, (once + n) % (2 * n)])

    # -- irreps -----------------------------------------------------------------------------------

    @cached_property
    def single_valued(self) -> tuple[Irrep, ...]:
        """Those of G: a turn by 2π changes nothing."""
        return tuple(
            Irrep(irrep.label, ops.read_only(np.concatenate([irrep.matrices] * 2)), irrep.type)
            for irrep in self.group.complex_irreps
        )

    @cached_property
    def double_valued(self) -> tuple[Irrep, ...]:
        """Those of half-integer spin, g before u, in the order of Koster, Dimmock, Wheeler and Statz."""
        return _double_valued(self)

    @property
    def irreps(self) -> tuple[Irrep, ...]:
        """Irreps over C, as many as there are classes: the single-valued ones, then the double-valued ones."""
        return self.single_valued + self.double_valued

    @cached_property
    def _by_label(self) -> dict[str, Irrep]:
        """Other names and names without letters that keyboards lack, too: Γ8+, G8+, F3/2g for F̄g."""
        found = {irrep.label: irrep for irrep in self.irreps}
        for irrep in self.double_valued:
            for name in self._other_names(irrep).values():
                found |= {name: irrep, name.replace("Γ", "G"): irrep}
        return found

    def is_double_valued(self, label: str) -> bool:
        """Whether a turn by 2π is −1."""
        return bool(self.irrep(label).characters[self.group.order].real < 0)

    def aliases(self, label: str) -> dict[str, str]:
        """The irrep's name in other conventions, for a double-valued one {"koster": "Γ8+", "altmann-herzig": "F3/2g"}.

        koster: Koster, Dimmock, Wheeler and Statz (1963) go on counting after the single-valued irreps, ± is g and u.
        altmann-herzig: Altmann and Herzig, Point-Group Theory Tables (1994), name the smallest j that holds the irrep.
        Of a pair of conjugates which is which depends on the sense of axes. For single-valued ones see
        `PointGroup.aliases`.
        """
        irrep = self.irrep(label)
        if not self.is_double_valued(label):
            known = irrep.label in [other.label for other in self.group.irreps]
            return self.group.aliases(irrep.label) if known else {}
        return self._other_names(irrep)

    def _other_names(self, irrep: Irrep) -> dict[str, str]:
        parity = _parity(self, irrep.matrices)
        alike = [other for other in self.double_valued if _parity(self, other.matrices) == parity]
        counted = len(self.single_valued) // (2 if parity else 1)
        koster = f"Γ{counted + 1 + alike.index(irrep)}" + {"g": "+", "u": "-", "": ""}[parity]
        j = next(j for j in (0.5, 1.5, 2.5) if irrep.label in self.subduce(j, -1 if parity == "u" else 1))
        letter = unicodedata.normalize("NFD", irrep.label).replace("\u0304", "").rstrip("123gu")
        return {"koster": koster, "altmann-herzig": f"{letter}{round(2 * j)}/2{parity}"}

    @cached_property
    def corepresentations(self) -> tuple[tuple[str, ...], ...]:
        """What time reversal joins, which is −1 after twice on half-integer spin and 1 on integer: the labels of each
        irrep of G with time reversal, one or two. Such as ("F̄g",), ("1Ē", "2Ē"), ("Ā", "Ā")."""
        found = []
        for irrep in self.irreps:
            if irrep.type == "complex":
                pair = (irrep.label, self.conjugate(irrep.label))
                if pair[::-1] not in found:
                    found.append(pair)
            else:
                alone = (irrep.type == "quaternionic") == self.is_double_valued(irrep.label)
                found.append((irrep.label,) if alone else (irrep.label, irrep.label))
        return tuple(found)

    def conjugate(self, label: str) -> str:
        """The irrep with the complex conjugate characters: itself unless its type is complex."""
        (found,) = self.multiplicities(self.irrep(label).characters.conj())
        return found

    # -- representations ----------------------------------------------------------------------------

    def coupling(self, a: str, b: str, c: str) -> np.ndarray:
        """(copies, d_c, d_a, d_b) complex coupling coefficients U with Γ^c(g) U = U (Γ^a ⊗ Γ^b)(g), read-only.

        Dirl's formula: orthonormal rows, orthogonal copies, first non-zero coefficient positive. Zero copies if c does
        not occur.
        """
        return _coupling(self, self.irrep(a).label, self.irrep(b).label, self.irrep(c).label)

    def subduce(self, j: float, parity: int) -> dict[str, np.ndarray]:
        """The irreps in j± of O(3) × SU(2): {label: (copies, d, 2j+1)} with basis[c] D(g) = Γ(g) basis[c].

        j = 0, 1/2, 1, 3/2, …, components m = j … −j in the J_z basis; inversion is `parity`, +1 or −1.
        """
        matrices = wigner_matrices(self.spinors, j)
        matrices[np.linalg.det(self.operations) < 0] *= parity
        bases = {irrep.label: intertwiners(irrep, matrices) for irrep in self.irreps}
        return {label: basis for label, basis in bases.items() if len(basis)}

    def subgroup(self, h: str | PointGroup | np.ndarray) -> Subgroup[DoubleGroup]:
        """The double group of a subgroup of G, as `PointGroup.subgroup` takes it: correlation table, basis change."""
        single = self.group.subgroup(h)
        return Subgroup(self, DoubleGroup(single.group), single.rotation)


@cache
def _instance(group: PointGroup) -> DoubleGroup:
    double = object.__new__(DoubleGroup)
    double.group = group
    return double


@cache
def _coupling(group: DoubleGroup, a: str, b: str, c: str) -> np.ndarray:
    first, second, third = (group.irrep(label) for label in (a, b, c))
    copies = intertwiners(third, kronecker(first.matrices, second.matrices))
    return ops.read_only(copies.reshape(-1, third.dim, first.dim, second.dim))


def barred(label: str) -> str:
    """The label with a bar over its first letter: "1E2" → "1Ē2"."""
    at = next(i for i, letter in enumerate(label) if not letter.isdigit())
    return unicodedata.normalize("NFC", label[: at + 1] + "\u0304" + label[at + 1 :])


def _double_valued(double: DoubleGroup) -> tuple[Irrep, ...]:
    """The irreps by rule, with their labels: A, E, F for the dimension (of both, where two are conjugate: 1E, 2E),
    numbers where there are several of a kind."""
    found: list[np.ndarray] = []
    for matrices in _candidates(double):
        trace = np.trace(matrices, axis1=1, axis2=2)
        is_new = all(abs(np.vdot(np.trace(other, axis1=1, axis2=2), trace)) < 1e-6 for other in found)
        if is_new and np.vdot(trace, trace).real < 1.5 * double.order:
            found.append(matrices)
        if sum(matrices.shape[1] ** 2 for matrices in found) == double.group.order:
            break
    found.sort(key=lambda matrices: _parity(double, matrices) == "u")
    types = [_frobenius_schur(matrices, double.multiplication) for matrices in found]
    kinds = []
    for matrices, type_ in zip(found, types):
        letter = {1: "A", 2: "E", 4: "F"}[matrices.shape[1] * (2 if type_ == "complex" else 1)]
        kinds.append((letter, type_, _parity(double, matrices)))
    irreps = []
    for number, (matrices, kind) in enumerate(zip(found, kinds)):
        letter, type_, parity = kind
        members = 2 if type_ == "complex" else 1
        place, member = divmod(kinds[:number].count(kind), members)
        prefix = str(member + 1) if members == 2 else ""
        suffix = str(place + 1) if kinds.count(kind) > members else ""
        irreps.append(Irrep(barred(prefix + letter + suffix) + parity, ops.read_only(matrices), type_))
    return tuple(irreps)


def _candidates(double: DoubleGroup) -> Iterator[np.ndarray]:
    """χ ⊗ D^{1/2} for the real characters χ, then χ ⊗ D^{3/2}, of which an axial group takes |3/2, ±3/2⟩, then
    χ ⊗ D^{1/2} for complex χ: matrices (2N, d, d), some of them reducible or equivalent to others."""
    spins, wide = double.spinors, wigner_matrices(double.spinors, 1.5)
    if double.group.system != "cubic":
        wide = wide[:, [[0], [3]], [0, 3]]
    for block, type_ in ((spins, "real"), (wide, "real"), (spins, "complex")):
        for irrep in double.single_valued:
            if irrep.dim == 1 and irrep.type == type_:
                yield from (irrep.matrices * part for part in _parts(double, block))


def _parts(double: DoubleGroup, block: np.ndarray) -> list[np.ndarray]:
    """The block, or the one-dimensional parts into which it reduces, that with the larger imaginary part on the first
    generator that tells them apart first."""
    if not np.allclose(block[:, None] @ block, (block[:, None] @ block).swapaxes(0, 1)):
        return [block]
    generators = [double.group.index(ELEMENTS[name]) for name in double.group.setting.generators]
    is_scalar = lambda at: np.allclose(block[at], block[at, 0, 0] * np.eye(len(block[at])))  # noqa: E731
    telling = next((at for at in generators if not is_scalar(at)), 0)
    vectors = np.linalg.eig(block[telling])[1]
    values = np.einsum("ik,gij,jk->kg", vectors.conj(), block, vectors)
    values = values[np.argsort(-values[:, telling].imag, kind="stable")]
    roots = np.exp(1j * np.pi / 12 * np.rint(np.angle(values) * 12 / np.pi))  # all are 24th roots of 1
    return [root[:, None, None] for root in roots]


def _frobenius_schur(matrices: np.ndarray, multiplication: np.ndarray) -> Literal["real", "complex", "quaternionic"]:
    character = np.trace(matrices, axis1=1, axis2=2)
    indicator = round(float(character[np.diag(multiplication)].mean().real))
    return "real" if indicator > 0 else "quaternionic" if indicator < 0 else "complex"


def _parity(double: DoubleGroup, matrices: np.ndarray) -> str:
    """ "g" or "u" under inversion, "" where there is none."""
    if "i" not in double.group.setting.generators:
        return ""
    return "g" if np.trace(matrices[double.group.index(ELEMENTS["i"])]).real > 0 else "u"
