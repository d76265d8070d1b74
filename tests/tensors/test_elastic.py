"""Elasticity against pymatgen, published numbers and brute force."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pymatgen.analysis.elasticity import ElasticTensor
from scipy.spatial.transform import Rotation

from irrepnet.errors import IrrepnetError
from irrepnet.groups import SETTINGS
from irrepnet.tensors import (
    COMPLIANCE,
    STIFFNESS,
    averages,
    born_conditions,
    compliance,
    is_positive_definite,
    linear_compressibility,
    poisson_range,
    poisson_ratio,
    rotate,
    shear_modulus,
    shear_range,
    sphere,
    surfaces,
    youngs_modulus,
    zener_anisotropy,
)
from irrepnet.tensors.elastic_picture import _closed, draw_surfaces

COPPER = np.zeros((6, 6))  # GPa: Overton and Gaffney, Phys. Rev. 98, 969 (1955), rounded
COPPER[:3, :3] = 121.4
COPPER[[0, 1, 2], [0, 1, 2]] = 168.4
COPPER[[3, 4, 5], [3, 4, 5]] = 75.4


def stable(seed: int) -> np.ndarray:
    """A random positive definite stiffness without symmetry."""
    half = np.random.default_rng(seed).standard_normal((6, 6))
    return STIFFNESS.to_voigt(STIFFNESS.from_mandel(half @ half.T + 0.3 * np.eye(6)))


def test_copper():
    assert zener_anisotropy(COPPER) == pytest.approx(3.21, abs=0.01)
    assert youngs_modulus(COPPER, np.array([1, 0, 0])) == pytest.approx(66.7, abs=0.1)
    assert youngs_modulus(COPPER, np.array([1, 1, 1])) == pytest.approx(191, abs=1)
    assert pytest.approx(137.1, abs=0.1) == averages(COPPER).K
    assert averages(COPPER).universal_anisotropy == pytest.approx(6 / 5 * (3.209**0.5 - 3.209**-0.5) ** 2, abs=0.01)
    # negative Poisson's ratio of cubic metals along [110] (Baughman et al., Nature 392, 362 (1998))
    assert poisson_ratio(COPPER, np.array([1, 1, 0]), np.array([1, -1, 0])) == pytest.approx(-0.14, abs=0.01)
    assert poisson_range(COPPER, np.array([1, 1, 0]))[0] == pytest.approx(-0.14, abs=0.01)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_against_pymatgen(seed):
    stiffness = stable(seed)
    oracle, ours = ElasticTensor.from_voigt(stiffness), averages(stiffness)
    for value, theirs in (
        (ours.K_voigt, oracle.k_voigt),
        (ours.K_reuss, oracle.k_reuss),
        (ours.G_voigt, oracle.g_voigt),
        (ours.G_reuss, oracle.g_reuss),
        (ours.K, oracle.k_vrh),
        (ours.G, oracle.g_vrh),
        (ours.poisson, oracle.homogeneous_poisson),
        (ours.universal_anisotropy, oracle.universal_anisotropy),
        (ours.E, oracle.y_mod / 1e9),
    ):
        assert value == pytest.approx(theirs, rel=1e-6, abs=1e-9)
    assert np.allclose(compliance(stiffness), oracle.compliance_tensor.voigt, atol=1e-9)
    n, m = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()[:2]
    assert poisson_ratio(stiffness, n, m) == pytest.approx(float(oracle.directional_poisson_ratio(n, m)), rel=1e-6)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_nothing_depends_on_the_axes(seed):
    stiffness, q = stable(seed), Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    turned = STIFFNESS.to_voigt(rotate(STIFFNESS.from_voigt(stiffness), q, 4))
    for name in ("K_voigt", "K_reuss", "G_voigt", "G_reuss", "E", "poisson", "universal_anisotropy"):
        assert getattr(averages(turned), name) == pytest.approx(getattr(averages(stiffness), name), rel=1e-8)
    n = np.random.default_rng(seed).standard_normal((7, 3))
    assert np.allclose(youngs_modulus(turned, n @ q.T), youngs_modulus(stiffness, n), rtol=1e-8)
    assert np.allclose(shear_range(turned, n @ q.T), shear_range(stiffness, n), rtol=1e-7)
    assert np.allclose(poisson_range(turned, n @ q.T), poisson_range(stiffness, n), rtol=1e-7, atol=1e-9)


def test_ranges_are_those_of_a_fine_search():
    stiffness = stable(0)
    for n in np.random.default_rng(1).standard_normal((5, 3)):
        n /= np.linalg.norm(n)
        first = np.cross(n, [0.3, 0.5, 0.8])
        first /= np.linalg.norm(first)
        angle = np.linspace(0, np.pi, 2001)[:, None]
        m = np.cos(angle) * first + np.sin(angle) * np.cross(n, first)
        repeated = np.broadcast_to(n, m.shape)
        for search, (least, greatest) in (
            (shear_modulus(stiffness, repeated, m), shear_range(stiffness, n)),
            (poisson_ratio(stiffness, repeated, m), poisson_range(stiffness, n)),
        ):
            assert search.min() == pytest.approx(float(least), rel=1e-5, abs=1e-6)
            assert search.max() == pytest.approx(float(greatest), rel=1e-5, abs=1e-6)


def test_compressibility_against_a_hydrostatic_pressure():
    """The strain under unit pressure along n; its trace is 1/K_Reuss."""
    stiffness = stable(3)
    strain = np.einsum("ijkl,kl->ij", COMPLIANCE.from_voigt(compliance(stiffness)), np.eye(3))
    n = np.random.default_rng(0).standard_normal((6, 3))
    n /= np.linalg.norm(n, axis=1, keepdims=True)
    assert np.allclose(linear_compressibility(stiffness, n), np.einsum("nj,ij,ni->n", n, strain, n))
    assert linear_compressibility(stiffness, np.eye(3)).sum() == pytest.approx(1 / averages(stiffness).K_reuss)


@pytest.mark.slow
def test_surfaces(tmp_path):
    found = {surface.name: surface for surface in surfaces(COPPER)}
    assert len(found) == 6
    (least, along), (greatest, where) = found["Young's modulus"].extremes()
    assert (least, greatest) == pytest.approx((66.69, 191.1), rel=1e-3)
    assert abs(along).max() == pytest.approx(1)
    assert abs(where) == pytest.approx(np.full(3, 3**-0.5), abs=0.01)
    assert found["linear compressibility"].values == pytest.approx(1 / 3 / 137.07, rel=1e-3)
    (least, along), _ = found["least Poisson's ratio"].extremes()
    assert least == pytest.approx(-0.14, abs=0.01)
    assert sorted(abs(along)) == pytest.approx([0, 0.5**0.5, 0.5**0.5], abs=0.01)
    stiffness = stable(1)
    for surface, value in zip(surfaces(stiffness)[2:4], shear_range(stiffness, sphere()[40, 77])):
        assert surface.values[40, 77] == pytest.approx(float(value))
    draw_surfaces(COPPER, tmp_path / "copper.png")
    draw_surfaces(np.diag([0.0, 0, 0, 30, 30, 30]) + np.pad(40 + 60 * np.eye(3), (0, 3)), tmp_path / "isotropic.png")
    with pytest.raises(IrrepnetError, match="cannot be written"):
        draw_surfaces(COPPER, tmp_path / "missing" / "copper.png")
    with pytest.raises(IrrepnetError, match="not positive definite"):
        surfaces(-COPPER)


def test_the_picture_closes_the_hemisphere():
    """Its grid over the sphere is that of polar angles 0 to 180 degrees, with the values at each direction."""
    directions = _closed(sphere()[::3, ::3], -sphere()[::3, ::3])
    polar, azimuth = np.radians(np.arange(0, 181, 3))[:, None], np.radians(np.arange(0, 361, 3))
    assert np.allclose(directions[..., 0], np.sin(polar) * np.cos(azimuth))
    assert np.allclose(directions[..., 2], np.cos(polar) + 0 * azimuth)
    stiffness = stable(2)
    values = surfaces(stiffness)[0].values[::3, ::3]
    assert np.allclose(_closed(values, values), youngs_modulus(stiffness, directions))


def test_isotropic():
    stiffness = np.diag([0.0, 0, 0, 1, 1, 1]) * 30.0
    stiffness[:3, :3] = 40 + 60 * np.eye(3)
    ours = averages(stiffness)
    assert pytest.approx((60, 30)) == (ours.K, ours.G)
    assert ours.universal_anisotropy == pytest.approx(0, abs=1e-12)
    n = np.random.default_rng(2).standard_normal((4, 3))
    assert np.allclose(youngs_modulus(stiffness, n), ours.E)
    assert np.allclose(poisson_range(stiffness, n), ours.poisson)
    assert np.allclose(shear_range(stiffness, n), 30)


@given(st.integers(0, 2**32 - 1), st.sampled_from(SETTINGS))
def test_borns_conditions_decide_as_the_eigenvalues_do(seed, name):
    """Random tensors of the right form near the limit of stability, in every setting."""
    rng = np.random.default_rng(seed)
    shift = rng.uniform(-0.5, 2.5)
    random = STIFFNESS.from_mandel(rng.standard_normal((6, 6))) + STIFFNESS.from_mandel(shift * np.eye(6))
    stiffness = STIFFNESS.to_voigt(STIFFNESS.allowed(name).project(random))
    eigenvalues = np.linalg.eigvalsh(STIFFNESS.to_mandel(STIFFNESS.from_voigt(stiffness)))
    assume(abs(eigenvalues).min() > 1e-6)
    conditions = born_conditions(stiffness, name)
    assert is_positive_definite(stiffness) == bool(eigenvalues.min() > 0)
    assert all(value > 0 for value in conditions.values()) == bool(eigenvalues.min() > 0)


def test_born_needs_the_form_of_the_group():
    assert len(born_conditions(COPPER, "m-3m")) == 3
    assert len(born_conditions(COPPER, "4/m")) == 5
    with pytest.raises(IrrepnetError, match="form of 6/mmm"):
        born_conditions(COPPER, "6/mmm")


@pytest.mark.parametrize(
    "bad", [np.eye(3), np.full((6, 6), np.nan), np.triu(np.ones((6, 6))), np.ones((6, 6)), np.zeros((6, 6))]
)
def test_bad_stiffness_is_refused(bad):
    with pytest.raises(IrrepnetError):
        averages(bad)
