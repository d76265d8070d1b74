"""Irreps of O(3) in tensors: counts, equivariance, the meaning of the copies."""

from itertools import permutations

import numpy as np
import pytest
from e3nn import o3
from e3nn.io import CartesianTensor as E3nnTensor
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tensors.test_cartesian import FORMULAS, orthogonal

from irrepnet.groups import PointGroup, harmonic_matrices
from irrepnet.tensors import STIFFNESS, CartesianTensor

THIRD_ORDER = "ijklmn=jiklmn=klijmn=ijmnkl"


def test_counts_of_the_literature():
    assert str(CartesianTensor("ij=ji").irreps) == "1x0e+1x2e"
    assert str(CartesianTensor("ijk=ikj").irreps) == "2x1o+1x2o+1x3o"
    assert str(STIFFNESS.irreps) == "2x0e+2x2e+1x4e"
    assert str(CartesianTensor("ij=-ji").irreps) == "1x1e"
    assert str(CartesianTensor("i", axial=True).irreps) == "1x1e"
    assert str(CartesianTensor("ij=ji", axial=True).irreps) == "1x0o+1x2o"
    # tensors of rank n without symmetry: Coope, Snider and McCourt, J. Chem. Phys. 43, 2269 (1965)
    counts = {
        2: [1, 1, 1],
        3: [1, 3, 2, 1],
        4: [3, 6, 6, 3, 1],
        5: [6, 15, 15, 10, 4, 1],
        6: [15, 36, 40, 29, 15, 5, 1],
    }
    for rank, expected in counts.items():
        degrees = [part.l for part in CartesianTensor("ijklmn"[:rank]).parts]
        assert [degrees.count(l) for l in range(rank + 1)] == expected


@pytest.mark.parametrize("formula", [f for f in FORMULAS if len(f.split("=")[0]) < 6])
def test_irreps_and_space_are_those_of_e3nn(formula):
    tensor = CartesianTensor(formula)
    reduced = o3.ReducedTensorProducts(formula, **dict.fromkeys(formula.split("=")[0], "1o"))
    assert o3.Irreps(str(tensor.irreps)) == reduced.irreps_out.sort().irreps.simplify()
    theirs = reduced.change_of_basis.numpy().reshape(tensor.dim, -1)
    ours = tensor.change_of_basis.reshape(tensor.dim, -1)
    assert np.allclose(ours.T @ ours, theirs.T @ theirs, atol=1e-5)  # e3nn computes in single precision


def test_coefficients_agree_with_e3nn_where_a_part_is_unique():
    for formula in ("ij=ji", "ij"):
        tensor, oracle = CartesianTensor(formula), E3nnTensor(formula)
        theirs = oracle.reduced_tensor_products().change_of_basis.numpy().reshape(tensor.dim, -1)
        overlap = tensor.change_of_basis.reshape(tensor.dim, -1) @ theirs.T
        order = abs(overlap).argmax(1)  # the order of the parts may differ, the components of a part do not
        signs = overlap[np.arange(tensor.dim), order]
        assert np.allclose(abs(signs), 1, atol=1e-5)
        ends = np.cumsum([2 * part.l + 1 for part in tensor.parts])
        for slice_ in np.split(np.arange(tensor.dim), ends[:-1]):
            assert np.allclose(signs[slice_], signs[slice_][0], atol=1e-5)
            assert (np.diff(order[slice_]) == 1).all()


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.sampled_from([*FORMULAS, "ijklm"]), st.booleans())
def test_coefficients_are_equivariant(seed, formula, axial):
    """x(g T) = D(g) x(T), part by part, for random g of O(3), with the matrices of the real harmonics."""
    rng = np.random.default_rng(seed)
    tensor = CartesianTensor(formula, axial=axial)
    values = tensor.project(rng.standard_normal(tensor.shape))
    g = orthogonal(rng)
    x, moved = tensor.to_irreps(values), tensor.to_irreps(tensor.rotate(values, g))
    start = 0
    for part in tensor.parts:
        own = slice(start, start + 2 * part.l + 1)
        start = own.stop
        matrix = harmonic_matrices(g[None], part.l, part.parity)[0]
        assert np.allclose(moved[own], matrix @ x[own], atol=1e-10)
    assert np.allclose(tensor.from_irreps(x), values, atol=1e-10)
    assert np.isclose(np.linalg.norm(x), np.linalg.norm(values))


def young_projection(values: np.ndarray, diagram: tuple[int, ...]) -> np.ndarray:
    """(d/n!) Σ_σ χ_λ(σ) σ T by Frobenius's formula for the character: slow, and without any tableau."""
    n = values.ndim
    rows = [*diagram, *[0] * (n - len(diagram))]

    def character(cycles: list[int]) -> int:
        # coefficient of x^(λ + δ) in Vandermonde(x) · Π p_c(x)
        poly = {tuple(p): np.linalg.det(np.eye(n)[list(p)]).round() for p in permutations(range(n))}
        for c in cycles:
            grown: dict[tuple[int, ...], float] = {}
            for exponent, value in poly.items():
                for k in range(n):
                    new = (*exponent[:k], exponent[k] + c, *exponent[k + 1 :])
                    grown[new] = grown.get(new, 0) + value
            poly = grown
        target = tuple(r + n - 1 - k for k, r in enumerate(rows))
        identity = np.linalg.det(np.eye(n)[list(range(n))[::-1]]).round()
        return int(poly.get(target, 0) * identity)

    table: dict[tuple[int, ...], int] = {}
    result, count = np.zeros_like(values), 0
    for p in permutations(range(n)):
        seen, cycles = set(), []
        for k in range(n):
            length = 0
            while k not in seen:
                seen.add(k)
                k, length = p[k], length + 1
            if length:
                cycles.append(length)
        key = tuple(sorted(cycles))
        if key not in table:
            table[key] = character(list(key))
        result += table[key] * values.transpose(p)
        count += 1
    return result * table[(1,) * n] / count


@pytest.mark.parametrize("formula", ["ij", "ijk", "ijk=ikj", "ijkl", "ijkl=jikl=ijlk=klij", "ijkl=jikl=ijlk"])
def test_young_parts_are_the_isotypic_ones_of_the_symmetric_group(formula):
    tensor = CartesianTensor(formula)
    values = tensor.project(np.random.default_rng(4).standard_normal(tensor.shape))
    for diagram in {part.young for part in tensor.parts}:
        assert np.allclose(tensor.part_of(values, young=diagram), young_projection(values, diagram), atol=1e-12)


def test_elastic_parts_have_their_meaning():
    """Backus, Rev. Geophys. 8, 633 (1970): totally symmetric and asymmetric part, each with its traces."""
    c = STIFFNESS.project(np.random.default_rng(5).standard_normal((3, 3, 3, 3)))
    symmetric = (c + c.transpose(0, 2, 1, 3) + c.transpose(0, 3, 2, 1)) / 3
    assert np.allclose(STIFFNESS.part_of(c, young=(4,)), symmetric)
    assert np.allclose(STIFFNESS.part_of(c, young=(2, 2)), c - symmetric)
    scalar = STIFFNESS.part_of(c, l=0, young=(4,))
    one = np.eye(3)
    isotropic = sum(np.einsum(f"ij,kl->{p}", one, one) for p in ("ijkl", "ikjl", "iklj")) / 15
    assert np.allclose(scalar, isotropic * np.einsum("iijj", symmetric))
    traceless = STIFFNESS.part_of(c, l=4)
    assert np.allclose(np.einsum("iikl", traceless), 0)
    assert np.allclose(np.einsum("ijil", traceless), 0)
    assert np.allclose(STIFFNESS.part_of(c, l=0) + STIFFNESS.part_of(c, l=2) + traceless, c)
    for l in (0, 2):  # the two traces V_ij = c_ijkk and W_ij = c_ikjk: (4) sees V + 2W, (2,2) sees V − W
        four, two = STIFFNESS.part_of(c, l=l, young=(4,)), STIFFNESS.part_of(c, l=l, young=(2, 2))
        assert np.allclose(np.einsum("ijkk", four), np.einsum("ikjk", four))
        assert np.allclose(np.einsum("ijkk", two), -2 * np.einsum("ikjk", two))
    e = CartesianTensor("ijk=ikj")
    values = e.project(np.random.default_rng(6).standard_normal((3, 3, 3)))
    three, mixed = e.part_of(values, l=1, young=(3,)), e.part_of(values, l=1, young=(2, 1))
    assert np.allclose(np.einsum("ikk", three), np.einsum("kki", three))
    assert np.allclose(np.einsum("ikk", mixed), -2 * np.einsum("kki", mixed))
    # Riemann-like (2,2): its degree 0 and 2 are the Ricci tensor, six numbers
    assert sum(2 * part.l + 1 for part in STIFFNESS.parts if part.young == (2, 2)) == 6


def test_parts_of_rank_six():
    tensor = CartesianTensor(THIRD_ORDER)
    assert str(tensor.irreps) == "3x0e+3x2e+1x3e+2x4e+1x6e"
    assert [part.label for part in tensor.parts if part.l == 2] == ["2e (6)", "2e (4,2)", "2e (4,2) #1"]
    values = tensor.project(np.random.default_rng(6).standard_normal(tensor.shape))
    mean = sum(values.transpose(p) for p in permutations(range(6))) / 720
    assert np.allclose(tensor.part_of(values, young=(6,)), mean, atol=1e-12)


@pytest.mark.parametrize("formula", ["ij=ji", "ijk=ikj", "ijkl=jikl=ijlk=klij"])
@pytest.mark.parametrize("name", ["m-3m", "6/mmm", "-62m", "312", "4", "23", "-42m"])
@pytest.mark.parametrize("axial", [False, True])
def test_irreps_of_a_point_group(formula, name, axial):
    tensor, group = CartesianTensor(formula, axial=axial), PointGroup(name)
    splits = tensor.subduce(name)
    rows = np.concatenate([copies.reshape(-1, 3**tensor.rank) for copies in splits.values()])
    assert len(rows) == tensor.dim
    assert np.allclose(rows @ rows.T, np.eye(tensor.dim), atol=1e-12)
    for label, copies in splits.items():
        matrices = group.irrep(label).matrices
        for g, matrix in zip(group.operations, matrices):
            assert np.allclose(tensor.rotate(copies, g), np.einsum("mn,cm...->cn...", matrix, copies), atol=1e-10)
    trivial = splits.get(group.irreps[0].label, np.zeros((0, 1, *tensor.shape)))
    assert len(trivial) == tensor.allowed(name).independent
