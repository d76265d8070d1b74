"""Primary invariants and covariant generators."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irrepnet.groups import SETTINGS, PointGroup, harmonic_matrices
from irrepnet.groups.point_group import _harmonic_matrices

# Degrees of the primary invariants | of the generators; * complex type: copies modulo J.
TABLE = """
C1 1,1,1 | A:0
Cs 1,1,2 | A':0 A'':1
C2 1,2,2 | A:0,2 B:1,1
Ci 2,2,2 | Ag:0,2,2,2 Au:1,1,1,3
C2h 2,2,2 | Ag:0,2 Bg:2,2 Au:1,3 Bu:1,1
D2 2,2,2 | A:0,3 B1:1,2 B2:1,2 B3:1,2
C2v 1,2,2 | A1:0 A2:2 B1:1 B2:1
D2h 2,2,2 | Ag:0 B1g:2 B2g:2 B3g:2 Au:3 B1u:1 B2u:1 B3u:1
C4 1,2,4 | A:0,4 B:2,2 E*:1,3
S4 2,2,4 | A:0,3,3,4 B:1,2,2,5 E*:1,2,3,4
C4h 2,2,4 | Ag:0,4 Bg:2,2 Eg*:2,4 Au:1,5 Bu:3,3 Eu*:1,3
D4 2,2,4 | A1:0,5 A2:1,4 B1:2,3 B2:2,3 E:1,2,3,4
C4v 1,2,4 | A1:0 A2:4 B1:2 B2:2 E:1,3
D2d 2,2,4 | A1:0,3 A2:3,4 B1:2,5 B2:1,2 E:1,2,3,4
D4h 2,2,4 | A1g:0 A2g:4 B1g:2 B2g:2 Eg:2,4 A1u:5 A2u:1 B1u:3 B2u:3 Eu:1,3
C3 1,2,3 | A:0,3 E*:1,2
C3i 2,2,6 | Ag:0,4,4,6 Eg*:2,2,4,6 Au:1,3,3,7 Eu*:1,3,5,5
D3 2,2,3 | A1:0,4 A2:1,3 E:1,2,2,3
C3v 1,2,3 | A1:0 A2:3 E:1,2
D3d 2,2,6 | A1g:0,4 A2g:4,6 Eg:2,2,4,6 A1u:3,7 A2u:1,3 Eu:1,3,5,5
C6 1,2,6 | A:0,6 B:3,3 E1*:1,5 E2*:2,4
C3h 2,2,3 | A':0,3 E'*:1,2 A'':1,4 E''*:2,3
C6h 2,2,6 | Ag:0,6 Bg:4,4 E1g*:2,6 E2g*:2,4 Au:1,7 Bu:3,3 E1u*:1,5 E2u*:3,5
D6 2,2,6 | A1:0,7 A2:1,6 B1:3,4 B2:3,4 E1:1,2,5,6 E2:2,3,4,5
C6v 1,2,6 | A1:0 A2:6 B1:3 B2:3 E1:1,5 E2:2,4
D3h 2,2,3 | A1':0 A2':3 E':1,2 A1'':4 A2'':1 E'':2,3
D6h 2,2,6 | A1g:0 A2g:6 B1g:4 B2g:4 E1g:2,6 E2g:2,4 A1u:7 A2u:1 B1u:3 B2u:3 E1u:1,5 E2u:3,5
T 2,3,4 | A:0,6 E*:2,4 T:1,2,3,3,4,5
Th 2,4,6 | Ag:0,6 Eg*:2,4 Tg:2,4,4,6,6,8 Au:3,9 Eu*:5,7 Tu:1,3,3,5,5,7
O 2,4,6 | A1:0,9 A2:3,6 E:2,4,5,7 T1:1,3,4,5,6,8 T2:2,3,4,5,6,7
Td 2,3,4 | A1:0 A2:6 E:2,4 T1:3,4,5 T2:1,2,3
Oh 2,4,6 | A1g:0 A2g:6 Eg:2,4 T1g:4,6,8 T2g:2,4,6 A1u:9 A2u:3 Eu:5,7 T1u:1,3,5 T2u:3,5,7
"""
DEGREES = dict(line.split(" ", 1) for line in TABLE.strip().splitlines())


@pytest.mark.parametrize("name", SETTINGS)
def test_degrees(name):
    """The whole table; the further settings have the degrees of the default ones."""
    group = PointGroup(name)
    primaries, generators = DEGREES[group.schoenflies].split(" | ")
    assert ",".join(map(str, group.invariants.degrees)) == primaries
    found = []
    for irrep in group.irreps:
        star = "*" if irrep.type == "complex" else ""
        found.append(f"{irrep.label}{star}:" + ",".join(map(str, group.covariants(irrep.label).degrees)))
    assert found == generators.split()


def sphere(n: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """A product quadrature on the unit sphere that is exact to degree 2n − 1; the weights sum to 1."""
    x, w = np.polynomial.legendre.leggauss(n)
    phi = 2 * np.pi * np.arange(2 * n) / (2 * n)
    s = np.sqrt(1 - x * x)[:, None]
    points = np.stack([s * np.cos(phi), s * np.sin(phi), x[:, None] + 0 * phi], -1).reshape(-1, 3)
    return points, np.repeat(w, 2 * n) / (4 * n)


@pytest.mark.parametrize("name", SETTINGS)
def test_generators_are_equivariant_harmonic_and_orthonormal(name):
    group = PointGroup(name)
    points, weights = sphere()
    r = points[::7] * 1.3
    for irrep in group.irreps:
        covariants = group.covariants(irrep.label)
        moved = covariants(np.einsum("gij,pj->gpi", group.operations, r))
        expected = np.einsum("gde,pke->gpkd", irrep.matrices, covariants(r))
        assert np.abs(moved - expected).max() < 1e-12
        # Mean over the sphere, and with J partners, of products of generators.
        values = covariants(points)
        partners = np.concatenate([values @ c.T for c in irrep.commutant], axis=1)
        gram = np.einsum("p,pkd,pld->kl", weights, partners, partners, optimize=True)
        assert np.abs(gram - np.eye(len(gram))).max() < 1e-12
        # Homogeneous of its degree, and orthogonal to all lower harmonics on the sphere.
        scale = 2.0 ** np.array(covariants.degrees)
        assert np.allclose(covariants(2 * r), scale[:, None] * covariants(r), rtol=1e-12)
        for generator in covariants.coefficients:
            leading = generator[generator != 0][0]
            assert leading > 0
        assert np.abs(laplacian(covariants, r)).max() < 1e-6


def laplacian(covariants, r: np.ndarray, h: float = 1e-3) -> np.ndarray:
    """Fourth-order finite difference, independent of the monomials."""
    total = np.zeros_like(covariants(r))
    for e in np.eye(3) * h:
        near = covariants(r + e) + covariants(r - e)
        far = covariants(r + 2 * e) + covariants(r - 2 * e)
        total += (16 * near - far - 30 * covariants(r)) / (12 * h * h)
    return total / (1 + np.abs(covariants(r)).max())


@pytest.mark.parametrize("name", SETTINGS)
def test_invariants(name):
    group = PointGroup(name)
    r = np.random.default_rng(0).normal(size=(30, 3))
    values = group.invariants(r)
    assert np.allclose(group.invariants(np.einsum("gij,pj->gpi", group.operations, r)), values, atol=1e-11)
    # Algebraically independent: the Jacobian has full rank at a generic point.
    h = 1e-6
    jacobian = [(group.invariants(r[0] + h * e) - group.invariants(r[0] - h * e)) / (2 * h) for e in np.eye(3)]
    assert abs(np.linalg.det(jacobian)) > 1e-6


def molien(group, irrep, degree: int) -> int:
    """Number of independent covariants of one degree, by characters of the symmetric powers."""
    total = 0.0
    for g, chi in zip(group.operations, irrep.characters):
        series = np.zeros(degree + 1)
        coefficients = np.poly(g)  # det(1 − t g), constant term first
        for k in range(degree + 1):
            series[k] = (k == 0) - sum(coefficients[j] * series[k - j] for j in range(1, min(k, 3) + 1))
        total += chi * series[degree]
    return round(total / group.order)


@pytest.mark.parametrize("name", ["Oh", "Td", "D6h", "T", "D3", "C3h", "-4m2", "2"])
def test_generators_span_all_covariants(name):
    """Invariants × generators are linearly independent and as many as Molien's series says, to degree 10."""
    group = PointGroup(name)
    r = np.random.default_rng(1).normal(size=(150, 3))
    invariants, degrees = group.invariants(r), group.invariants.degrees
    for irrep in group.irreps:
        covariants = group.covariants(irrep.label)
        values = covariants(r)
        for degree in range(11):
            products = []
            for k, lowest in enumerate(covariants.degrees):
                for a in range(degree // degrees[0] + 1):
                    for b in range(degree // degrees[1] + 1):
                        rest = degree - lowest - a * degrees[0] - b * degrees[1]
                        if rest < 0 or rest % degrees[2]:
                            continue
                        powers = invariants ** np.array([a, b, rest // degrees[2]])
                        for c in irrep.commutant:
                            products.append((powers.prod(1)[:, None] * (values[:, k] @ c.T)).ravel())
            count = molien(group, irrep, degree)
            assert len(products) == count
            if products:
                matrix = np.array(products)
                matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
                assert np.linalg.matrix_rank(matrix, tol=1e-9) == count


@settings(deadline=None, max_examples=50)
@given(
    st.sampled_from(["m-3m", "6/mmm", "-43m", "3m1"]),
    st.lists(st.floats(-3, 3, allow_subnormal=False), min_size=3, max_size=3),
)
def test_shapes_and_equivariance_anywhere(name, vector):
    group = PointGroup(name)
    r = np.array(vector)
    for irrep in group.irreps:
        covariants = group.covariants(irrep.label)
        value = covariants(r)
        assert value.shape == (len(covariants.degrees), irrep.dim)
        for g, matrix in zip(group.operations, irrep.matrices):
            tolerance = 1e-12 * (1 + np.abs(r).max()) ** 9  # values may vanish where monomials do not
            assert np.allclose(covariants(g @ r), value @ matrix.T, rtol=0, atol=tolerance)


def test_known_generators():
    """The vector is its own covariant; at [001] only A1g, Eg and T1u of O_h survive."""
    oh = PointGroup("Oh")
    r = np.random.default_rng(2).normal(size=(5, 3))
    assert np.allclose(oh.covariants("T1u")(r)[:, 0], r)
    assert np.allclose(oh.covariants("A2u")(r)[:, 0, 0], np.sqrt(105) * r.prod(1))
    alive = {i.label for i in oh.irreps if np.abs(oh.covariants(i.label)([0, 0, 1])).max() > 1e-12}
    assert alive == {"A1g", "Eg", "T1u"}


def derivative(polynomial: dict[tuple, float], exponent: tuple[int, ...]) -> dict[tuple, float]:
    """∂^exponent, one derivative after the other."""
    for axis in np.repeat(range(3), exponent):
        step = np.eye(3, dtype=int)[axis]
        polynomial = {
            tuple((e - step).tolist()): c * e[axis] for e, c in ((np.array(e), c) for e, c in polynomial.items())
        }
        polynomial = {e: c for e, c in polynomial.items() if c}
    return polynomial


@pytest.mark.parametrize("name", ["C1", "C2v", "D2d", "D6", "C3h", "Td", "Oh"])
def test_primary_invariants_annihilate_the_generators(name):
    group = PointGroup(name)
    primaries = group.invariants
    for irrep in group.irreps:
        generators = group.covariants(irrep.label)
        for component in generators.coefficients.reshape(-1, len(generators.exponents)):
            terms = {tuple(e): c for e, c in zip(generators.exponents.tolist(), component.tolist()) if c}
            for row in primaries.coefficients:
                total: dict[tuple, float] = {}
                for weight, exponent in zip(row, primaries.exponents):
                    for e, c in derivative(terms, tuple(exponent)).items() if weight else ():
                        total[e] = total.get(e, 0) + weight * c
                assert max(map(abs, total.values()), default=0) < 1e-9 * max(map(abs, terms.values()))


@pytest.mark.parametrize("name", ["2", "-4m2", "31m", "6/mmm", "m-3"])
def test_harmonics_of_a_group_are_those_of_its_operations(name):
    group = PointGroup(name)
    for l in range(7):
        direct = harmonic_matrices(group.operations, l, (-1) ** l)
        assert np.allclose(_harmonic_matrices(group, l, (-1) ** l), direct, rtol=0, atol=1e-14)
