"""The J_z basis and products of harmonics, against SciPy, SymPy, e3nn and integration."""

from itertools import permutations, product

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.spatial.transform import Rotation
from scipy.special import sph_harm_y

from irrepnet.errors import IrrepnetError
from irrepnet.groups import (
    SETTINGS,
    PointGroup,
    angular_momentum,
    clebsch_gordan,
    complex_harmonics,
    crystallographic_operations,
    harmonic_matrices,
    harmonic_product,
    jz_to_racah,
    jz_to_real,
    racah_harmonics,
    racah_to_real,
    real_harmonics,
    wigner_3j,
)

DEGREES = range(7)
TRIPLES = [(a, b, c) for a, b in product(range(4), repeat=2) for c in range(abs(a - b), a + b + 1)]


def directions(n=30, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(n, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("l", DEGREES)
def test_complex_harmonics_are_those_of_scipy(l):
    r = 2.5 * directions()
    polar, azimuth = np.arccos(r[:, 2] / 2.5), np.arctan2(r[:, 1], r[:, 0])
    expected = np.stack([sph_harm_y(l, m, polar, azimuth) for m in range(-l, l + 1)], -1)
    assert np.abs(complex_harmonics(l, r) - expected).max() < 1e-13


def test_the_zero_vector_has_no_direction():
    assert np.allclose(complex_harmonics(0, np.zeros(3)), (4 * np.pi) ** -0.5)
    with pytest.raises(IrrepnetError, match="no direction"):
        complex_harmonics(1, np.zeros(3))


def test_the_first_degrees_are_as_in_the_tables():
    x, y, z = (r := directions()).T
    assert np.allclose(racah_harmonics(1, r), np.stack([y, z, x], -1))
    root = np.sqrt(3)
    d = [root * x * y, root * y * z, z**2 - (x**2 + y**2) / 2, root * x * z, root / 2 * (x**2 - y**2)]
    assert np.allclose(racah_harmonics(2, r), np.stack(d, -1))
    spherical = np.stack([(x - 1j * y) / np.sqrt(2), z, -(x + 1j * y) / np.sqrt(2)], -1)
    assert np.allclose(np.sqrt(4 * np.pi / 3) * complex_harmonics(1, r), spherical)
    # x, y, z from the components m = −1, 0, 1
    a, b = 2**-0.5, 1j * 2**-0.5
    assert np.allclose(jz_to_real(1), [[a, 0, -a], [b, 0, b], [0, 1, 0]])
    assert np.array_equal(racah_to_real(1).round(12), [[0, 0, 1], [1, 0, 0], [0, 1, 0]])


@pytest.mark.parametrize("l", DEGREES)
def test_changes_of_basis(l):
    r = directions()
    y, c = complex_harmonics(l, r), racah_harmonics(l, r)
    assert np.allclose((c**2).sum(-1), 1)
    assert np.allclose(y @ jz_to_racah(l).T, np.sqrt((2 * l + 1) / (4 * np.pi)) * c)
    assert np.allclose(real_harmonics(l, r), np.sqrt(2 * l + 1) * c @ racah_to_real(l).T)
    assert np.allclose(real_harmonics(l, r), np.sqrt(4 * np.pi) * y @ jz_to_real(l).T)
    assert np.allclose(jz_to_real(l) @ jz_to_real(l).conj().T, np.eye(2 * l + 1))


@pytest.mark.parametrize("l", DEGREES)
def test_angular_momentum_generates_the_rotations(l):
    """exp(−iθ n·J) in the J_z basis is the matrix of the rotation in the real one; [J_x, J_y] = i J_z."""
    j = angular_momentum(l)
    assert np.allclose(j[0] @ j[1] - j[1] @ j[0], 1j * j[2])
    assert np.allclose(np.einsum("aij,ajk->ik", j, j), l * (l + 1) * np.eye(2 * l + 1))
    vector = np.array([0.3, -1.1, 0.7])
    # components of functions transform with the conjugate of the matrices of kets: f(r) = Σ c_m Y_m(r)
    rotation = Rotation.from_rotvec(vector).as_matrix()
    ket = expm(-1j * np.einsum("a,aij->ij", vector, j))
    real = harmonic_matrices(rotation[None], l, 1)[0]
    change = jz_to_real(l)
    assert np.allclose(change.conj() @ ket @ change.T, real)


@pytest.mark.parametrize("triple", TRIPLES)
def test_clebsch_gordan_are_those_of_sympy(triple):
    cg = pytest.importorskip("sympy.physics.quantum.cg").CG
    l1, l2, l = triple
    ours = clebsch_gordan(*triple)
    rng = np.random.default_rng(sum(triple))
    chosen = [(m1, m2) for m1 in range(-l1, l1 + 1) for m2 in range(-l2, l2 + 1) if abs(m1 + m2) <= l]
    for k in rng.permutation(len(chosen))[:4]:
        m1, m2 = chosen[k]
        assert np.isclose(ours[l1 + m1, l2 + m2, l + m1 + m2], float(cg(l1, m1, l2, m2, l, m1 + m2).doit()))


@pytest.mark.parametrize("pair", [(0, 3), (1, 1), (2, 3), (4, 4), (6, 5)])
def test_clebsch_gordan_are_orthogonal(pair):
    l1, l2 = pair
    u = np.concatenate([clebsch_gordan(l1, l2, l) for l in range(abs(l1 - l2), l1 + l2 + 1)], -1)
    u = u.reshape(len(u) * (2 * l2 + 1), -1)
    assert np.allclose(u @ u.T, np.eye(len(u)))
    assert not clebsch_gordan(l1, l2, l1 + l2 + 1).any()


def triples(l_max: int) -> list[tuple[int, int, int]]:
    return [t for t in product(range(l_max + 1), repeat=3) if abs(t[0] - t[1]) <= t[2] <= t[0] + t[1]]


def test_3j_symbols_are_those_of_e3nn():
    """With their signs, for all l ≤ 6, and for some up to 11, where e3nn ends."""
    o3, torch = pytest.importorskip("e3nn.o3"), pytest.importorskip("torch")
    larger = triples(11)
    chosen = np.random.default_rng(0).choice(len(larger), 60, replace=False)
    for triple in [*triples(6), *(larger[k] for k in chosen), (11, 11, 11)]:
        theirs = o3.wigner_3j(*triple, dtype=torch.float64).numpy()
        assert np.abs(wigner_3j(*triple) - theirs).max() < 1e-13, triple


def test_what_vanishes_is_exactly_zero():
    """No rounding where symmetry, or chance, makes a coefficient zero: its products are slow denormal numbers."""
    for triple in triples(8):
        for found in (clebsch_gordan(*triple), wigner_3j(*triple), harmonic_product(*triple, "real")):
            assert not ((found != 0) & (np.abs(found) < 1e-6)).any()
        assert not harmonic_product(*triple).any() or sum(triple) % 2 == 0


@pytest.mark.parametrize("triple", TRIPLES)
def test_3j_symbols_are_invariant(triple):
    """Under rotations, of norm 1, and a permutation of their arguments changes a sign at most."""
    q = np.linalg.qr(np.random.default_rng(sum(triple)).normal(size=(3, 3)))[0]
    q *= np.linalg.det(q)
    symbol = wigner_3j(*triple)
    matrices = [harmonic_matrices(q[None], l, 1)[0] for l in triple]
    assert np.allclose(np.einsum("ai,bj,ck,abc->ijk", *matrices, symbol), symbol, atol=1e-13)
    assert np.isclose((symbol**2).sum(), 1)
    for order in permutations(range(3)):
        other, own = wigner_3j(*(triple[k] for k in order)), symbol.transpose(order)
        assert min(np.abs(other - own).max(), np.abs(other + own).max()) < 1e-13


def test_3j_symbols_of_what_is_not_in_the_product():
    with pytest.raises(IrrepnetError, match="l = 4 is not in 1 ⊗ 2"):
        wigner_3j(1, 2, 4)


@pytest.mark.parametrize("basis", ["jz", "racah", "real"])
@pytest.mark.parametrize("pair", [(0, 0), (1, 1), (1, 2), (2, 2), (3, 2), (4, 3)])
def test_products_of_harmonics(basis, pair):
    harmonics = {"jz": complex_harmonics, "racah": racah_harmonics, "real": real_harmonics}[basis]
    l1, l2 = pair
    r = directions()
    expected = np.einsum("pi,pj->pij", harmonics(l1, r), harmonics(l2, r))
    terms = (np.einsum("ijk,pk->pij", harmonic_product(l1, l2, l, basis), harmonics(l, r)) for l in range(l1 + l2 + 1))
    assert np.abs(sum(terms) - expected).max() < 1e-12


def test_unknown_basis():
    with pytest.raises(IrrepnetError, match="unknown basis"):
        harmonic_product(1, 1, 2, "spherical")  # type: ignore[arg-type]
    with pytest.raises(IrrepnetError, match="integer"):
        racah_harmonics(-1, np.eye(3))


def test_every_setting_consists_of_the_64_operations():
    known = {tuple(np.round(g, 6).ravel() + 0.0) for g in crystallographic_operations()}
    assert len(known) == 64
    assert np.array_equal(crystallographic_operations()[0], np.eye(3))
    for name in SETTINGS:
        assert {tuple(np.round(g, 6).ravel() + 0.0) for g in PointGroup(name).operations} <= known
