"""PointGroup: one crystallographic point group with everything that its finiteness makes exact.

Nothing is computed before it is asked for, and everything is computed once.
"""

from __future__ import annotations

from functools import cache, cached_property

import numpy as np

from irrepnet.errors import IrrepnetError
from irrepnet.groups import operations as ops
from irrepnet.groups.covariants import Polynomials, annihilation, covariant_generators, primary_invariants
from irrepnet.groups.elements import ConjugacyClass, elements
from irrepnet.groups.finite_group import FiniteGroup
from irrepnet.groups.harmonics import harmonic_matrices
from irrepnet.groups.intertwiners import intertwiners, kronecker
from irrepnet.groups.irreps import Irrep, complex_irreps, real_irreps
from irrepnet.groups.labels import aliases
from irrepnet.groups.orientation import fitting_rotation, oriented_setting, same_setting
from irrepnet.groups.settings import ELEMENTS, TABLE, Setting, canonical_name
from irrepnet.groups.subgroup import Subgroup
from irrepnet.outlets import html_table


class PointGroup(FiniteGroup):
    """A crystallographic point group in one of the named settings.

    `PointGroup("m-3m")` and `PointGroup("Oh")` are the same object. Operations are active and Cartesian,
    z is the principal axis, x ∥ a; f(g r) = Γ(g) f(r). Real irreps are the default; `complex_irreps` has
    those over C.

    >>> group = PointGroup("Oh")
    >>> group.order, group.product("T1u", "T1u")
    (48, {'A1g': 1, 'Eg': 1, 'T1g': 1, 'T2g': 1})

    Raises IrrepnetError for a name that is not known.
    """

    def __new__(cls, name: str) -> PointGroup:
        return _instance(canonical_name(name))

    def __reduce__(self) -> tuple[type[PointGroup], tuple[str]]:
        return PointGroup, (self.name,)

    def __repr__(self) -> str:
        return f"PointGroup({self.name!r})"

    def _repr_html_(self) -> str:
        """What notebooks display: the characters."""
        firsts = np.unique(self.class_of, return_index=True)[1]
        rows = [[irrep.label, *(f"{x:.4g}" for x in irrep.characters[firsts])] for irrep in self.irreps]
        return html_table(f"{self.name}, {self.schoenflies}", ["", *(own.name for own in self.classes)], rows)

    # -- elements ---------------------------------------------------------------------------------

    setting: Setting

    @property
    def name(self) -> str:
        """Hermann–Mauguin name of the setting."""
        return self.setting.name

    @property
    def schoenflies(self) -> str:
        return self.setting.schoenflies

    @property
    def system(self) -> str:
        """Crystal system."""
        return self.setting.system

    @property
    def order(self) -> int:
        return len(self.operations)

    @property
    def operations(self) -> np.ndarray:
        """(N, 3, 3) orthogonal matrices, read-only, exact; the identity is the first."""
        return elements(self.setting).operations

    @property
    def classes(self) -> tuple[ConjugacyClass, ...]:
        """Conjugacy classes; each is a consecutive range of operations."""
        return elements(self.setting).classes

    @cached_property
    def class_of(self) -> np.ndarray:
        """(N,) number of the class of each operation."""
        sizes = elements(self.setting).sizes
        return ops.read_only(np.repeat(np.arange(len(sizes)), sizes))

    @cached_property
    def multiplication(self) -> np.ndarray:
        """(N, N): multiplication[g, h] is the index of g·h."""
        return ops.read_only(ops.multiplication_table(self.operations))

    def index(self, matrix: np.ndarray) -> int:
        """Index of a 3×3 operation (tolerance 1e-6); IrrepnetError if it is not a member."""
        return int(self.indices(np.asarray(matrix)[None])[0])

    def indices(self, matrices: np.ndarray) -> np.ndarray:
        """(M,) indices of operations (M, 3, 3) (tolerance 1e-6); IrrepnetError if one is not a member."""
        matrices = np.asarray(matrices, float)
        found = ops.lookup(matrices, self.operations, 1e-6)
        if (found < 0).any():
            outside = int(np.argmax(found < 0))
            raise IrrepnetError(f"operation {outside}, {matrices[outside].tolist()}, is not in {self.name}")
        return found

    # -- irreps -----------------------------------------------------------------------------------

    @cached_property
    def irreps(self) -> tuple[Irrep, ...]:
        """Irreps over the reals: g before u, then A B E T."""
        words = elements(self.setting).words
        find = lambda name: self.index(ELEMENTS[name])  # noqa: E731
        return real_irreps(self.operations, words, self.multiplication, self.setting, find)

    @cached_property
    def complex_irreps(self) -> tuple[Irrep, ...]:
        """Irreps over C, as many as there are classes; a pair of conjugate ones is called 1E, 2E."""
        return complex_irreps(self.irreps)

    def aliases(self, label: str) -> dict[str, str]:
        """The irrep's name in other conventions: {"koster": "Γ4-", "miller-love": "GM4-"}.

        Empty for the further settings, where those conventions do not say which axes they mean.
        """
        return aliases(self.name, self.irrep(label).label)

    # -- representations ----------------------------------------------------------------------------

    def product(self, a: str, b: str) -> dict[str, int]:
        """Γ^a ⊗ Γ^b as {label: multiplicity}."""
        return dict(_product(self, self.irrep(a).label, self.irrep(b).label))

    def coupling(self, a: str, b: str, c: str) -> np.ndarray:
        """(copies, d_c, d_a, d_b) real coupling coefficients U with Γ^c(g) U = U (Γ^a ⊗ Γ^b)(g), read-only.

        Orthonormal rows, orthogonal copies, first non-zero coefficient positive. Where c is of complex
        type the copies are given modulo its commutant: {U, J U} spans all maps. The ten groups with
        irreps of complex type take their copies from the simply reducible group one step up (T from O, C4
        from D4, …): symmetric copies first, then antisymmetric ones. Zero copies if c does not occur.
        """
        return _coupling(self, self.irrep(a).label, self.irrep(b).label, self.irrep(c).label)

    def subduce(self, l: int, parity: int) -> dict[str, np.ndarray]:
        """The irreps in l± of O(3): {label: (copies, d, 2l+1)} with basis[c] D(g) = Γ(g) basis[c].

        Real harmonics in e3nn's order (l = 1: x, y, z), parity +1 or −1. Complex type: copies modulo the
        commutant.
        """
        matrices = _harmonic_matrices(self, l, parity)
        bases = {irrep.label: intertwiners(irrep, matrices) for irrep in self.irreps}
        return {label: basis for label, basis in bases.items() if len(basis)}

    def images(self, h: PointGroup, rotation: np.ndarray) -> np.ndarray:
        """(|h|,) indices of Q g Qᵀ for the operations g of another point group; IrrepnetError if one is no member."""
        return self.indices(rotation @ h.operations @ rotation.T)

    def subgroup(self, h: str | PointGroup | np.ndarray) -> Subgroup[PointGroup]:
        """The subgroup h, a name, a PointGroup or indices of operations: correlation table, basis change.

        By name the group's own axes are tried first, then other orientations, least rotation first.
        IrrepnetError if h does not fit.
        """
        if isinstance(h, str | PointGroup):
            group = PointGroup(h) if isinstance(h, str) else h
            rotation = fitting_rotation(group.setting, self.operations)
            if rotation is None:
                raise IrrepnetError(f"{group.name} is not a subgroup of {self.name} in any orientation")
            return Subgroup(self, group, rotation)
        indices = np.asarray(h)
        if indices.ndim != 1 or not np.issubdtype(indices.dtype, np.integer) or not len(indices):
            raise IrrepnetError("a subgroup is given by its name or by a list of indices of operations")
        if indices.min() < 0 or indices.max() >= self.order:
            raise IrrepnetError(f"{self.name} has operations 0 to {self.order - 1}")
        operations = self.operations[np.unique(indices)]
        own = setting_of(operations)
        return Subgroup(self, *(identify(operations) if own is None else (own, np.eye(3))))

    # -- functions on the group -----------------------------------------------------------------------

    @cached_property
    def fourier_rows(self) -> tuple[tuple[str, int, int], ...]:
        """(label, copy, component) of each row of `fourier`."""
        return tuple(
            (irrep.label, copy, component)
            for irrep in self.irreps
            for copy in range(irrep.dim // len(irrep.commutant))
            for component in range(irrep.dim)
        )

    @cached_property
    def fourier(self) -> np.ndarray:
        """(N, N) orthogonal matrix F of the group Fourier transform; v̂ = F v.

        F[(γ, c, n), g] = sqrt(d_γ/N) Γ^γ(g)_nc: an irrep has d_γ copies c (one, if it is of complex
        type), and left translation acts on the component n of each: F regular[k] Fᵀ is block diagonal
        with blocks Γ^γ(k).
        """
        rows = [
            np.sqrt(self.irrep(label).dim / self.order) * self.irrep(label).matrices[:, component, copy]
            for label, copy, component in self.fourier_rows
        ]
        return ops.read_only(np.array(rows))

    # -- functions of a vector --------------------------------------------------------------------------

    @cached_property
    def invariants(self) -> Polynomials:
        """The three primary invariants, (…, 3) → (…, 3), by rising degree."""
        return primary_invariants(self)

    def covariants(self, label: str) -> Polynomials:
        """Generators e_k of the maps F: R³ → Γ with F(g r) = Γ(g) F(r): (…, 3) → (…, n_generators, d).

        Every polynomial map is Σ_k f_k(primary invariants) e_k. The generators are harmonic, orthogonal
        over the unit sphere, with mean |e_k|² = 1 there; an irrep of complex type needs also their
        partners J e_k. Those of the trivial irrep are the secondary invariants.
        """
        return _covariants(self, self.irrep(label).label)


def identify(matrices: np.ndarray) -> tuple[PointGroup, np.ndarray]:
    """The point group of orthogonal matrices (N, 3, 3) in any orientation, and its rotation.

    Returns the group in its default setting and a proper rotation (3, 3), such that {rotation @ g @
    rotation.T for g in group.operations} is the given set; the identity if it fits. Errors of the
    matrices up to 1e-4 are removed.

    Raises IrrepnetError if a matrix is not orthogonal or listed twice, or if the set is not closed or not
    crystallographic.
    """
    setting, rotation = oriented_setting(matrices)
    return PointGroup(setting.name), rotation


def setting_of(matrices: np.ndarray) -> PointGroup | None:
    """The named setting whose operations are this very set (tolerance 1e-6); None if there is none."""
    setting = same_setting(matrices)
    return None if setting is None else PointGroup(setting.name)


@cache
def _instance(name: str) -> PointGroup:
    group = object.__new__(PointGroup)
    group.setting = TABLE[name]
    return group


@cache
def _product(group: PointGroup, a: str, b: str) -> dict[str, int]:
    return FiniteGroup.product(group, a, b)


@cache
def _coupling(group: PointGroup, a: str, b: str, c: str) -> np.ndarray:
    irreps = [group.irrep(label) for label in (a, b, c)]
    if c not in _product(group, a, b):
        coefficients = np.empty((0, *(irreps[k].dim for k in (2, 0, 1))))
    elif group.setting.parent is None:
        coefficients = intertwiners(irreps[2], kronecker(irreps[0].matrices, irreps[1].matrices))
        coefficients = coefficients.reshape(-1, *(irreps[k].dim for k in (2, 0, 1)))
    else:
        parent = PointGroup(group.setting.parent)
        lifted = [_lifts(group, parent)[irrep.label] for irrep in irreps]
        copies = [_coupling(parent, lifted[0][0], lifted[1][0], lift) for lift in lifted[2]]
        coefficients = np.concatenate(copies)
        if a == b:
            symmetric = [np.allclose(copy, copy.swapaxes(1, 2)) for copy in coefficients]
            coefficients = coefficients[np.argsort(np.logical_not(symmetric), kind="stable")]
    return ops.read_only(coefficients)


@cache
def _lifts(group: PointGroup, parent: PointGroup) -> dict[str, list[str]]:
    """The parent's irreps whose restriction has the very matrices of an irrep of the group."""
    indices = parent.indices(group.operations)
    return {
        irrep.label: [p.label for p in parent.irreps if np.array_equal(p.matrices[indices], irrep.matrices)]
        for irrep in group.irreps
    }


@cache
def _harmonic_matrices(group: PointGroup, l: int, parity: int) -> np.ndarray:
    whole = PointGroup("6/mmm" if group.system in ("trigonal", "hexagonal") else "m-3m")
    if group is whole:
        return ops.read_only(harmonic_matrices(group.operations, l, parity))
    return ops.read_only(_harmonic_matrices(whole, l, parity)[whole.indices(group.operations)])


@cache
def _covariants(group: PointGroup, label: str) -> Polynomials:
    return covariant_generators(
        group,
        group.irrep(label),
        lambda l: _harmonic_matrices(group, l, (-1) ** l),
        lambda l: _annihilation(group, l),
    )


@cache
def _annihilation(group: PointGroup, l: int) -> np.ndarray:
    return ops.read_only(annihilation(group.invariants, l))
