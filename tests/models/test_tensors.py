"""Tensors as outputs: allowed by the crystal's group, in the axes of the input, the same for every description."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure

from irrepnet.checks.verify import DESCRIPTIONS, random_network, verify
from irrepnet.crystals import SymmetricCrystal, model_group, plain_supercell
from irrepnet.data.batch import AnyGraph, union
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import (
    FrameOptions,
    GraphOptions,
    HypergraphOptions,
    VectorGraphOptions,
    frame_graph,
    network_graph,
)
from irrepnet.models import (
    CGCNNConfig,
    CHGCNNConfig,
    CovariantConfig,
    PointGroupConfig,
    TensorFieldConfig,
    TensorHead,
    build_model,
)
from irrepnet.tensors import STIFFNESS, CartesianTensor

TENSORS = [CartesianTensor("ij=ji"), CartesianTensor("ijk=ikj"), STIFFNESS]
CONFIGS = [
    CovariantConfig(channels=8, layers=2, moment_channels=4),
    CovariantConfig(channels=8, layers=0, moment_channels=4),
    TensorFieldConfig(channels=8, layers=2, l_max=4),
    CHGCNNConfig(hyperedges=("bonds", "triplets"), channels=8, layers=1, moment_channels=4),
    PointGroupConfig(channels=8, layers=2, moment_channels=4),
]
# every crystal system; polar, piezoelectric and centrosymmetric ones, with atoms on and off symmetry elements
STRUCTURES = [
    ("P1", Lattice.from_parameters(4.1, 4.7, 5.3, 82, 95, 107), [[0, 0, 0], [0.4, 0.5, 0.6]]),
    ("P2_1/c", Lattice.monoclinic(5.1, 5.2, 5.3, 99), [[0.27, 0.04, 0.2], [0.07, 0.33, 0.34]]),
    ("Cc", Lattice.monoclinic(5.1, 8.2, 5.3, 99), [[0, 0.1, 0], [0.2, 0.33, 0.4]]),
    ("Fdd2", Lattice.orthorhombic(7.0, 8.1, 6.3), [[0, 0, 0.1], [0.13, 0.2, 0.4]]),
    ("Pnma", Lattice.orthorhombic(5.4, 7.6, 5.3), [[0.03, 0.25, 0.99], [0.2, 0.03, 0.3]]),
    ("I-42d", Lattice.tetragonal(5.3, 10.4), [[0, 0, 0], [0.26, 0.25, 0.125]]),
    ("P3_221", Lattice.hexagonal(4.91, 5.4), [[0.47, 0, 2 / 3], [0.41, 0.27, 0.78]]),
    ("P-31m", Lattice.hexagonal(5.1, 6.0), [[1 / 3, 2 / 3, 0.1], [0.3, 0, 0.25]]),
    ("P6_3mc", Lattice.hexagonal(3.25, 5.2), [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.382]]),
    ("P6_322", Lattice.hexagonal(5.2, 6.1), [[0.3, 0, 0], [0.1, 0.3, 0.2]]),
    ("P2_13", Lattice.cubic(6.0), [[0.1, 0.1, 0.1], [0.4, 0.45, 0.3]]),
    ("F-43m", Lattice.cubic(5.4), [[0, 0, 0], [0.25, 0.25, 0.25]]),
    ("Pm-3n", Lattice.cubic(5.0), [[0, 0, 0], [0.25, 0.5, 0]]),
]
IDS = [symbol for symbol, *_ in STRUCTURES]


@pytest.fixture(scope="module", params=STRUCTURES, ids=IDS)
def structure(request) -> Structure:
    symbol, lattice, coords = request.param
    return Structure.from_spacegroup(symbol, lattice, ["Ti", "O"], coords)


ALL_FRAMES = PointGroupConfig(channels=8, layers=1, moment_channels=4, max_frames=48)


NETS = [*CONFIGS, pytest.param(ALL_FRAMES, marks=pytest.mark.slow)]


@pytest.fixture(scope="module", params=NETS, ids=lambda c: f"{c.name}-{c.layers}")
def net(request) -> TensorHead:
    found = random_network(request.param, options_of(request.param), tensors=TENSORS)
    assert isinstance(found, TensorHead)
    return found.double()


def options_of(config) -> GraphOptions:
    options = config.reads(**config.graph_fields)
    return replace(options, directions=True) if isinstance(options, HypergraphOptions) else options


def plain_graph(crystal: SymmetricCrystal, options) -> AnyGraph:
    """No use made of the symmetry: all atoms, or all frames."""
    if isinstance(options, VectorGraphOptions):
        return replace(options, form="atoms").graph(crystal)
    if isinstance(options, HypergraphOptions) or not network_graph(crystal, options).group:
        return options.graph(plain_supercell(crystal))
    return frame_graph(crystal, model_group(crystal), options, "full")


def predicted(
    net: TensorHead, crystal: SymmetricCrystal, make=lambda crystal, options: options.graph(crystal)
) -> tuple[torch.Tensor, list]:
    """The whole output, and the tensors in the standard frame."""
    with torch.no_grad():
        output = net(union([make(crystal, options_of(net.net.config))], torch.float64))[0]
    parts = output[net.outputs :].split([tensor.dim for tensor in net.tensors])
    return output, [tensor.from_irreps(part.numpy()) for tensor, part in zip(net.tensors, parts)]


def test_the_point_group_and_the_forms(net, structure):
    """Exactly in Fix_P, and the same from all atoms without any projection: so zero where inversion forbids it."""
    crystal = SymmetricCrystal.from_structure(structure)
    output, tensors = predicted(net, crystal)
    from_atoms, unprojected = predicted(net, crystal, plain_graph)
    assert torch.allclose(output, from_atoms, atol=1e-10)
    for tensor, values, plain in zip(TENSORS, tensors, unprojected):
        form = tensor.allowed(crystal.point_group)
        assert np.abs(form.project(values) - values).max() < 1e-12
        if form.independent:
            assert np.abs(values).max() > 1e-6
            assert form.residual(plain) < 1e-10
        else:
            assert np.abs(plain).max() < 1e-14
    # and nothing less than the whole space is reached: some component is there in every allowed direction
    assert np.abs(tensors[2].ravel() @ STIFFNESS.allowed(crystal.point_group).basis.reshape(-1, 81).T).min() > 1e-9


def test_the_description_does_not_matter(net, structure):
    report = verify(net, structure, options_of(net.net.config))
    assert report["largest"] < 1e-9, {name: report.get(name) for name in (*DESCRIPTIONS, "orbits", "forms")}


def test_covariance_in_the_axes_of_the_input(net):
    """Given in other axes, the tensor of a polar crystal turns with it; of the mirror image it is the mirror image."""
    symbol, lattice, coords = STRUCTURES[2]
    structure = Structure.from_spacegroup(symbol, lattice, ["Ti", "O"], coords)
    crystal = SymmetricCrystal.from_structure(structure)
    _, tensors = predicted(net, crystal)
    for q in (np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0] * sign for sign in (1, -1)):
        turned = Structure(structure.lattice.matrix @ q.T, structure.species, structure.frac_coords)
        other = SymmetricCrystal.from_structure(turned)
        for tensor, before, after in zip(TENSORS, tensors, predicted(net, other)[1]):
            expected = tensor.rotate(tensor.rotate(before, crystal.rotation), q)
            assert np.allclose(tensor.rotate(after, other.rotation), expected, atol=1e-9)


def test_a_batch_is_its_crystals(net):
    crystals = [
        SymmetricCrystal.from_structure(Structure.from_spacegroup(symbol, lattice, ["Ti", "O"], coords))
        for symbol, lattice, coords in STRUCTURES
    ]
    with torch.no_grad():
        graphs = [options_of(net.net.config).graph(crystal) for crystal in crystals]
        together = net(union(graphs, torch.float64))
    alone = torch.stack([predicted(net, crystal)[0] for crystal in crystals])
    assert torch.allclose(together, alone, atol=1e-11)


@pytest.mark.parametrize("config", CONFIGS[::3], ids=["covariant", "chgcnn"])
def test_gradients(config, structure):
    """Of all weights, by finite differences along a random direction."""
    check_gradients(config, structure)


def test_gradients_in_frames():
    """A crystal that needs three frames: 4/mmm in m-3m."""
    structure = Structure.from_spacegroup(
        "I4/mmm", Lattice.tetragonal(3.1, 7.0), ["Ti", "O"], [[0, 0, 0], [0, 0, 0.31]]
    )
    check_gradients(CONFIGS[4].model_copy(update={"group": "m-3m"}), structure)


def check_gradients(config, structure):
    net = random_network(config, options_of(config), tensors=TENSORS).double()
    batch = union([options_of(config).graph(SymmetricCrystal.from_structure(structure))], torch.float64)
    weights = list(net.parameters())
    generator = torch.Generator().manual_seed(0)
    directions = [torch.randn(w.shape, generator=generator, dtype=w.dtype) for w in weights]

    def loss() -> torch.Tensor:
        return net(batch).square().sum()

    slope = sum((g * d).sum() for g, d in zip(torch.autograd.grad(loss(), weights), directions)).item()
    values = []
    for step in (1e-6, -2e-6):
        with torch.no_grad():
            for weight, direction in zip(weights, directions):
                weight += step * direction
            values.append(loss().item())
    assert (values[0] - values[1]) / 2e-6 == pytest.approx(slope, rel=1e-5, abs=1e-9)


def test_isotropic_only():
    net = random_network(CovariantConfig(channels=8, layers=1, isotropic=True), tensors=TENSORS).double()
    symbol, lattice, coords = STRUCTURES[3]
    crystal = SymmetricCrystal.from_structure(Structure.from_spacegroup(symbol, lattice, ["Ti", "O"], coords))
    _, (permittivity, piezoelectric, stiffness) = predicted(net, crystal)
    assert np.allclose(permittivity, np.trace(permittivity) / 3 * np.eye(3))
    assert not piezoelectric.any()
    assert np.allclose(STIFFNESS.rotate(stiffness, np.linalg.qr(np.arange(9).reshape(3, 3) % 5)[0]), stiffness)


def test_what_is_refused():
    options = VectorGraphOptions()
    with pytest.raises(
        IrrepnetError, match="cgcnn predicts no tensors; take covariant, irreps, tensor-field, chgcnn or"
    ):
        build_model(CGCNNConfig(), 0, options, TENSORS)
    with pytest.raises(IrrepnetError, match="set directions in HypergraphOptions"):
        build_model(CHGCNNConfig(), 0, HypergraphOptions(), TENSORS)
    with pytest.raises(IrrepnetError, match=r"model\.isotropic: the tensors have no isotropic part"):
        build_model(CovariantConfig(isotropic=True), 0, options, [CartesianTensor("ijk=ikj")])
    with pytest.raises(IrrepnetError, match=r"model\.continuous is for numbers"):
        build_model(PointGroupConfig(continuous=True), 0, FrameOptions(), TENSORS)
    gyration = CartesianTensor("ij=ji", axial=True)  # 0o + 2o
    with pytest.raises(IrrepnetError, match="no product of two moments leads to 0o"):
        build_model(CONFIGS[0], 0, options, [gyration])
    build_model(TensorFieldConfig(channels=8, parity=True), 0, options, [gyration])
    with pytest.raises(IrrepnetError, match=r"l_max is 2; .* up to l = 4"):
        build_model(TensorFieldConfig(channels=8), 0, options, [STIFFNESS])
