"""The filter layer in irreps: every kernel that there is, and the group form through the Fourier transform."""

import numpy as np
import pytest
import torch

from irrepnet.groups import POINT_GROUPS, PointGroup, harmonic_matrices
from irrepnet.groups.o3_irreps import O3Irrep
from irrepnet.nn import CoupledProduct, DirectionBasis, GroupFourier, IrrepConvolution, IrrepFilter, Irreps
from irrepnet.nn.irrep_layers import IrrepBonds, O3Readout, each_irrep
from irrepnet.nn.testing import assert_equivariant

AXES = {"[001]": (0.0, 0, 1), "[100]": (1.0, 0, 0), "[110]": (1.0, 1, 0), "[111]": (1.0, 1, 1), "xyz": (1.0, 5, 8)}


def unit(direction):
    return torch.nn.functional.normalize(torch.tensor([direction], dtype=torch.float64), dim=1)


def bonds_of(group, directions, hidden):
    """From each of n − 1 senders to receiver 0, with nothing to be carried or projected."""
    n = len(directions) + 1
    basis = DirectionBasis(group)
    one = {irrep.label: torch.eye(irrep.dim).double() for irrep in group.irreps}
    return IrrepBonds(
        receiver=torch.zeros(n - 1, dtype=torch.int64),
        sender=torch.arange(1, n),
        share=torch.full((n - 1, 1), 1 / (n - 1), dtype=torch.float64),
        hidden=hidden,
        covariants=basis(directions)[1],
        carry={label: matrix.expand(n - 1, -1, -1) for label, matrix in one.items()},
        fix={label: matrix.expand(n, -1, -1) for label, matrix in one.items()},
    )


@pytest.mark.parametrize("name", POINT_GROUPS)
def test_filters_turn_with_their_argument(name):
    group = PointGroup(name)
    basis, layer = DirectionBasis(group), IrrepFilter(group, 5).double()
    direction, hidden = unit((0.3, -0.5, 0.8)), torch.randn(1, 5).double()
    value = layer(hidden, basis(direction)[1])
    for g in range(group.order):
        turned = layer(hidden, basis(direction @ torch.from_numpy(group.operations[g].copy()).T)[1])
        assert (turned - value @ torch.from_numpy(layer.irreps.matrix(g)).T).abs().max() < 1e-10


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("name", ["m-3m", "6/mmm", "m-3", "-43m"])
def test_kernels_are_all_that_commute_with_the_stabiliser(name, axis):
    """Of random layers on one bond, from every irrep to every irrep, the trivial one among them."""
    torch.manual_seed(0)
    group = PointGroup(name)
    irreps = each_irrep(group)
    whole = np.stack([irreps.matrix(g) for g in range(group.order)])
    r = np.array(AXES[axis])
    stabiliser = whole[np.abs(group.operations @ r - r).max(1) < 1e-9]
    every = round(float((np.trace(stabiliser, axis1=1, axis2=2) ** 2).mean()))
    covariants = DirectionBasis(group)(unit(AXES[axis]))[1]
    F, product = IrrepFilter(group, 3).double(), CoupledProduct(irreps, irreps, irreps).double()
    found, each = [], torch.eye(irreps.dim, dtype=torch.float64)
    with torch.no_grad():
        for _ in range(every + 10):
            for weights in product.parameters():
                torch.nn.init.normal_(weights)
            value = F(torch.randn(1, 3).double(), covariants)
            found.append(product(each, value.expand(len(each), -1)).T.numpy())
    found = np.array(found)
    assert abs(stabiliser[:, None] @ found - found @ stabiliser[:, None]).max() < 1e-10
    scale = np.linalg.norm(found.reshape(len(found), -1), axis=1)[:, None]
    assert np.linalg.matrix_rank(found.reshape(len(found), -1) / scale, tol=1e-9) == every


@pytest.mark.parametrize("name", ["m-3m", "6/mmm", "-43m", "32", "mm2"])
def test_group_form(name):
    """Σ_b F(g⁻¹ r_ab) v_b(g), the pointwise product of functions on the group, by coupling coefficients in irreps."""
    torch.manual_seed(0)
    group = PointGroup(name)
    basis, fourier = DirectionBasis(group), GroupFourier(group, 1)
    regular = Irreps.regular(group)
    directions = torch.nn.functional.normalize(torch.randn(3, 3).double(), dim=1)
    operations = torch.from_numpy(group.operations.copy())
    weights = torch.randn(basis.n_covariants).double()
    seen = torch.einsum("gij,bi->bgj", operations, directions).reshape(-1, 3)  # g⁻¹ r
    F = (torch.tanh(basis(seen)[1]) @ weights).view(3, group.order, 1)  # any function of the direction
    v = torch.randn(3, group.order, 1).double()
    slow = fourier.to_irreps((F * v).sum(0))

    product = CoupledProduct(regular, regular, regular).double()
    # (u v)^_r = Σ_st P_rst û_s v̂_t with P_rst = Σ_g F_rg F_sg F_tg; the layer's weights are its components
    f = fourier.to_irreps(torch.eye(group.order, dtype=torch.float64)[:, :, None]).T.numpy()
    structure = np.einsum("rg,sg,tg->rst", f, f, f).reshape(group.order, -1)
    eye = torch.eye(group.order, dtype=torch.float64)
    left, right = (eye.repeat_interleave(group.order, 0), eye.repeat(group.order, 1))
    linear, product.linear = product.linear, torch.nn.Identity()
    paths = product(left, right).T.numpy()  # (components of all paths, s t)
    product.linear = linear
    with torch.no_grad():
        for out, (copies, irrep) in enumerate(regular):
            blocks = zip(product.irreps_coupled, product.irreps_coupled.slices)
            own = [paths[rows].reshape(m, -1) for (m, i), rows in blocks if i.label == irrep.label]
            wanted = structure[regular.slices[out]].reshape(copies, -1)
            solved = np.linalg.lstsq(np.concatenate(own).T, wanted.T)[0].T
            assert abs(solved @ np.concatenate(own) - wanted).max() < 1e-12
            product.linear.weights[str(out)][0] = torch.from_numpy(solved)
        fast = product(fourier.to_irreps(F), fourier.to_irreps(v)).sum(0)
    assert slow.abs().max() > 0.1
    assert (fast - slow).abs().max() < 1e-10


@pytest.mark.parametrize("name", ["m-3m", "6/mmm", "m-3", "-4"])
def test_layer_turns_with_bonds_and_features(name):
    torch.manual_seed(0)
    group = PointGroup(name)
    irreps = Irreps(group, " + ".join(f"{1 + k % 3}x{i.label}" for k, i in enumerate(group.irreps)))
    layer = IrrepConvolution(irreps, irreps, 4, 2).double()
    directions, hidden = unit((0.3, -0.5, 0.8)).repeat(2, 1), torch.randn(2, 4).double()
    directions[1] = torch.tensor([0.6, 0, 0.8])
    v = torch.randn(3, irreps.dim).double()
    value = layer(v, bonds_of(group, directions, hidden))
    for g in range(group.order):
        D = torch.from_numpy(irreps.matrix(g))
        turned = directions @ torch.from_numpy(group.operations[g].copy()).T
        assert (layer(v @ D.T, bonds_of(group, turned, hidden)) - value @ D.T).abs().max() < 1e-10


@pytest.mark.parametrize("name", ["m-3m", "6/mmm", "m-3", "-4", "mm2"])
@pytest.mark.parametrize("irrep", [O3Irrep(1, -1), O3Irrep(1, 1), O3Irrep(2, 1), O3Irrep(3, -1), O3Irrep(4, 1)])
def test_readout_of_irreps_of_o3(name, irrep):
    group = PointGroup(name)
    irreps = each_irrep(group) * 2
    layer = O3Readout(irreps, irrep, 2).double()
    v = torch.randn(4, irreps.dim).double()
    value = layer(v)
    assert value.shape == (4, irrep.dim, 2)
    matrices = torch.from_numpy(harmonic_matrices(group.operations, irrep.l, irrep.parity).copy())
    for g in range(group.order):
        turned = layer(v @ torch.from_numpy(irreps.matrix(g)).T)
        assert (turned - matrices[g] @ value).abs().max() < 1e-10
    assert (
        np.linalg.matrix_rank(value.permute(0, 2, 1).reshape(-1, irrep.dim).detach().numpy(), tol=1e-9) > irrep.dim // 2
    )


def test_sums_between_the_two_steps_of_a_product():
    torch.manual_seed(0)
    irreps = Irreps("m-3", "2xAg + Eg + 2xTu")
    layer = CoupledProduct(irreps, each_irrep(irreps.group), irreps).double()
    x, y = torch.randn(5, irreps.dim).double(), torch.randn(5, each_irrep(irreps.group).dim).double()
    torch.testing.assert_close(layer.mixed(layer.coupled(x, y).sum(0)), layer(x, y).sum(0), atol=1e-12, rtol=0)
    assert_equivariant(layer, irreps, each_irrep(irreps.group))
