"""Every layer against every element of its group, and every fast path against a plain one."""

import numpy as np
import pytest
import torch

from irrepnet.errors import IrrepnetError
from irrepnet.groups import SETTINGS, PointGroup
from irrepnet.nn import (
    CoupledProduct,
    DirectionBasis,
    Gate,
    GroupCorrelation,
    GroupFourier,
    Irreps,
    Linear,
    Pointwise,
)
from irrepnet.nn.filters import _sphere
from irrepnet.nn.group import Orbits
from irrepnet.nn.testing import assert_equivariant

torch.manual_seed(0)


def all_irreps(name: str, multiplicity: int = 2) -> Irreps:
    return Irreps(name, " + ".join(f"{multiplicity}x{i.label}" for i in PointGroup(name).irreps))


@pytest.mark.parametrize("name", SETTINGS)
def test_linear(name):
    layer = Linear(all_irreps(name), all_irreps(name, 3), bias=True)
    for bias in layer.bias.values():
        torch.nn.init.normal_(bias)
    assert_equivariant(layer)


@pytest.mark.parametrize("name", ["m-3m", "m-3", "-4", "6"])
def test_linear_is_the_most_general(name):
    """As many weights as there are equivariant maps: mean over the group of χ_in χ_out."""
    irreps = all_irreps(name)
    characters = np.array([np.trace(irreps.matrix(g)) for g in range(irreps.group.order)])
    assert sum(w.numel() for w in Linear(irreps, irreps).parameters()) == round(float((characters**2).mean()))


@pytest.mark.parametrize("name", SETTINGS)
def test_coupled_product(name):
    irreps = all_irreps(name, 1)
    assert_equivariant(CoupledProduct(irreps, irreps, irreps), irreps, irreps)


def test_coupled_product_against_a_loop_over_paths():
    left, right, out = Irreps("m-3m", "2xT1u + Eg"), Irreps("m-3m", "T2g + 2xT1u"), Irreps("m-3m", "3xA1g + T1u + Eg")
    group = left.group
    layer = CoupledProduct(left, right, out).double()
    x, y = torch.randn(4, left.dim).double(), torch.randn(4, right.dim).double()
    coupled = {irrep.label: [] for _, irrep in out}
    for (mul_a, alpha), s in zip(left, left.slices):
        for (mul_b, beta), t in zip(right, right.slices):
            for gamma in group.irreps:
                if gamma.label not in out:
                    continue
                for copy in group.coupling(alpha.label, beta.label, gamma.label):
                    a = x[:, s].reshape(4, mul_a, alpha.dim)
                    b = y[:, t].reshape(4, mul_b, beta.dim)
                    z = torch.einsum("nij,xui,xvj->xuvn", torch.from_numpy(copy.copy()), a, b)
                    coupled[gamma.label].append(z.reshape(4, -1) * (alpha.dim * beta.dim / gamma.dim) ** 0.5)
    slow = layer.linear(torch.cat([z for own in coupled.values() for z in own], 1))
    torch.testing.assert_close(layer(x, y), slow, atol=1e-12, rtol=0)


def test_product_of_other_groups_is_refused():
    with pytest.raises(IrrepnetError):
        CoupledProduct(Irreps("m-3m", "A1g"), Irreps("mmm", "Ag"), Irreps("m-3m", "A1g"))


@pytest.mark.parametrize("name", ["m-3m", "m-3", "-4", "622"])
def test_gate(name):
    assert_equivariant(Gate(all_irreps(name)))


@pytest.mark.parametrize("name", SETTINGS)
def test_pointwise_non_linearity(name):
    irreps = Irreps.regular(name, 2)
    layer = Pointwise(irreps.group, 2, torch.tanh)
    assert_equivariant(layer, irreps, irreps_out=irreps)


@pytest.mark.parametrize("name", SETTINGS)
def test_fourier_turns_translation_into_irreps(name):
    group = PointGroup(name)
    fourier = GroupFourier(group, 3)
    v = torch.randn(5, group.order, 3).double()
    x = fourier.to_irreps(v)
    torch.testing.assert_close(fourier.to_group(x), v, atol=1e-12, rtol=0)
    for k in range(group.order):
        moved = v[:, group.multiplication[group.inverse[k]].copy()]  # (L_k v)(g) = v(k⁻¹ g)
        expected = x @ torch.from_numpy(fourier.irreps.matrix(k)).T
        torch.testing.assert_close(fourier.to_irreps(moved), expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", ["m-3m", "-43m", "32", "m-3", "-4"])
def test_pointwise_product_is_a_coupled_product(name):
    """The product of two functions on G, in irreps, uses coupling coefficients (times the commutant) alone."""
    group = PointGroup(name)
    f = group.fourier
    product = np.einsum("rg,sg,tg->rst", f, f, f)  # (u v)^_r = Σ product_rst û_s v̂_t
    rows = {}
    for r, (label, copy, _) in enumerate(group.fourier_rows):
        rows.setdefault((label, copy), []).append(r)
    for (gamma, _), r in rows.items():
        for (alpha, _), s in rows.items():
            for (beta, _), t in rows.items():
                block = product[np.ix_(r, s, t)]
                paths = np.einsum("kpn,cnij->kcpij", group.irrep(gamma).commutant, group.coupling(alpha, beta, gamma))
                paths = paths.reshape(-1, block.size)
                rest = block.ravel()
                if len(paths):
                    rest = rest - paths.T @ np.linalg.lstsq(paths.T, rest)[0]
                assert abs(rest).max() < 1e-12, (gamma, alpha, beta)


@pytest.mark.parametrize("name", ["m-3m", "6/mmm", "-4", "m-3", "mm2"])
def test_direction_basis(name):
    """Invariant and covariant under the group, orthonormal or of unit mean square on the sphere."""
    group = PointGroup(name)
    basis = DirectionBasis(group).double()
    directions, weights = _sphere(40)
    points = torch.from_numpy(directions)
    invariants, covariants = basis(points)
    gram = np.einsum("pi,pj,p->ij", invariants, invariants, weights)
    np.testing.assert_allclose(gram, np.eye(basis.n_invariants), atol=1e-9)
    np.testing.assert_allclose(weights @ invariants.numpy(), 0, atol=1e-9)
    np.testing.assert_allclose(weights @ covariants.numpy() ** 2, 1, atol=1e-9)
    sample = points[:: max(1, len(points) // 50)]
    for g in group.operations:
        np.testing.assert_allclose(basis(sample @ torch.from_numpy(g.copy()).T)[0], basis(sample)[0], atol=1e-9)
    turn = torch.from_numpy(group.operations[-1].copy()).T
    moved = basis(sample @ turn)[1]
    # covariants of the moved points are linear combinations of those of the points
    solution = np.linalg.lstsq(covariants.numpy(), basis(points @ turn)[1].numpy())
    np.testing.assert_allclose(basis(sample)[1].numpy() @ solution[0], moved.numpy(), atol=1e-8)


def test_directions_tell_all_but_equivalent_ones_apart():
    """Complete: two directions have equal invariants exactly when the group joins them."""
    group = PointGroup("m-3m")
    basis = DirectionBasis(group).double()
    a, b = torch.nn.functional.normalize(torch.tensor([[0.1, 0.5, 0.8], [0.2, 0.45, 0.8]]).double(), dim=1)
    orbit = torch.from_numpy(group.operations.copy()) @ a
    values = basis(orbit)[0]
    torch.testing.assert_close(values, values[:1].expand_as(values), atol=1e-12, rtol=0)
    assert (basis(b[None])[0] - values[0]).abs().max() > 1e-3


@pytest.mark.parametrize("labels", [None, ("A1g",), ("T1u", "Eg")])
def test_group_correlation_against_the_plain_sum(labels):
    """(W v)(g) = Σ_k W(k) v(g k) on one atom with all frames, and it commutes with left translations."""
    group = PointGroup("m-3m")
    layer = GroupCorrelation(group, 4, labels).double()
    torch.nn.init.normal_(layer.weight)
    n = group.order
    receiver, k = (x.ravel() for x in np.indices((n, n)))
    pairs = [torch.from_numpy(x) for x in (receiver, group.multiplication[receiver, k], k)]
    orbits = Orbits(*pairs, torch.eye(n, dtype=torch.float64), n)
    v = torch.randn(n, 4).double()
    kernel = layer.get_buffer("basis") @ layer.weight
    plain = torch.stack([sum(kernel[k] * v[group.multiplication[g, k]] for k in range(n)) for g in range(n)])
    torch.testing.assert_close(layer(v, orbits), plain, atol=1e-12, rtol=0)
    for h in (5, 31):
        left = group.multiplication[group.inverse[h]].copy()
        torch.testing.assert_close(layer(v[left], orbits), plain[left], atol=1e-12, rtol=0)


def test_gradients():
    irreps = Irreps("m-3", "Eg + Tu")
    for layer, inputs in [
        (Linear(irreps, irreps), [irreps]),
        (CoupledProduct(irreps, irreps, irreps), [irreps, irreps]),
        (Gate(irreps), [Gate(irreps).irreps_in]),
    ]:
        x = [torch.randn(2, i.dim, dtype=torch.float64, requires_grad=True) for i in inputs]
        assert torch.autograd.gradcheck(layer.double(), x)
