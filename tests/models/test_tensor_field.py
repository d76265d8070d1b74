"""One atom an orbit equals all atoms; covariance; gradients; what irreps can be read out."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from e3nn import o3
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from typer.testing import CliRunner

from irrepnet.checks.verify import DESCRIPTIONS, random_network, verify
from irrepnet.cli.main import app
from irrepnet.crystals import SymmetricCrystal
from irrepnet.data.batch import union
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import HypergraphOptions, VectorGraphOptions, vector_graph
from irrepnet.groups import harmonic_matrices
from irrepnet.models import TensorFieldConfig, TensorFieldNet, build_model

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.cif"))
CONFIGS = [
    TensorFieldConfig(channels=8),
    TensorFieldConfig(channels=8, parity=True),
    TensorFieldConfig(channels=8, l_max=3, layers=2, radial="bessel", residual=False),
    TensorFieldConfig(channels=8, l_max=0),
    TensorFieldConfig(channels=8, layers=1, l_max=1, atoms="bins"),
]
# one a crystal system, polar and centrosymmetric ones, with atoms on and off symmetry elements
STRUCTURES = [
    ("P1", Lattice.from_parameters(4.1, 4.7, 5.3, 82, 95, 107), [[0, 0, 0], [0.4, 0.5, 0.6]]),
    ("P2_1/c", Lattice.monoclinic(5.1, 5.2, 5.3, 99), [[0.27, 0.04, 0.2], [0.07, 0.33, 0.34]]),
    ("Cc", Lattice.monoclinic(5.1, 8.2, 5.3, 99), [[0, 0.1, 0], [0.2, 0.33, 0.4]]),
    ("Fdd2", Lattice.orthorhombic(7.0, 8.1, 6.3), [[0, 0, 0.1], [0.13, 0.2, 0.4]]),
    ("Pnma", Lattice.orthorhombic(5.4, 7.6, 5.3), [[0.03, 0.25, 0.99], [0.2, 0.03, 0.3]]),
    ("I-42d", Lattice.tetragonal(5.3, 10.4), [[0, 0, 0], [0.26, 0.25, 0.125]]),
    ("P3_221", Lattice.hexagonal(4.91, 5.4), [[0.47, 0, 2 / 3], [0.41, 0.27, 0.78]]),
    ("R3m", Lattice.hexagonal(5.6, 7.0), [[0, 0, 0.01], [0.1, 0.2, 0.33]]),
    ("P-31m", Lattice.hexagonal(5.1, 6.0), [[1 / 3, 2 / 3, 0.1], [0.3, 0, 0.25]]),
    ("P6_3mc", Lattice.hexagonal(3.25, 5.2), [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.382]]),
    ("P6_322", Lattice.hexagonal(5.2, 6.1), [[0.3, 0, 0], [0.1, 0.3, 0.2]]),
    ("P2_13", Lattice.cubic(6.0), [[0.1, 0.1, 0.1], [0.4, 0.45, 0.3]]),
    ("F-43m", Lattice.cubic(5.4), [[0, 0, 0], [0.25, 0.25, 0.25]]),
    ("Pm-3n", Lattice.cubic(5.0), [[0, 0, 0], [0.25, 0.5, 0]]),
]


def made(symbol, lattice, coords):
    return SymmetricCrystal.from_structure(Structure.from_spacegroup(symbol, lattice, ["Ti", "O"], coords))


def network(config=CONFIGS[0], irreps_out=None, options=None):
    torch.manual_seed(0)
    return TensorFieldNet(config, 2, options or VectorGraphOptions(), irreps_out).double()


def batches(crystals):
    """In the asymmetric unit, and of all atoms."""
    options = VectorGraphOptions()
    return [
        union([vector_graph(c, replace(options, form=form)) for c in crystals], torch.float64)
        for form in ("asymmetric-unit", "atoms")
    ]


def irrep_of(name):
    return next(irrep for _, irrep in o3.Irreps(str(name)))


def matrix(irrep, operations):
    irrep = irrep_of(irrep)
    return torch.from_numpy(harmonic_matrices(np.atleast_3d(operations).reshape(-1, 3, 3), irrep.l, irrep.p))


def agree(net, crystal):
    unit, atoms = batches([crystal])
    with torch.no_grad():
        a, b = net.features(unit), net.features(atoms)
        assert (net.invariants(a, unit) - net.invariants(b, atoms)).abs().max() < 1e-10
        for irrep in a:
            # every atom, from the one of its orbit that is stored: x_{s·a} = D(s) x_a
            for orbit, first in enumerate(crystal.representatives):
                d = matrix(irrep, crystal.point_group.operations)
                images = b[irrep][torch.from_numpy(crystal.permutation[:, first])]
                assert (images - d @ a[irrep][orbit]).abs().max() < 1e-10
        pooled = net.covariants(a, unit), net.covariants(b, atoms)
        for irrep, found in pooled[0].items():
            assert (found - pooled[1][irrep]).abs().max() < 1e-10
            for d in matrix(irrep, crystal.point_group.operations):
                assert (d @ found[0] - found[0]).abs().max() < 1e-12


@pytest.mark.parametrize("config", CONFIGS, ids=range(len(CONFIGS)))
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_forms_of_the_examples(path, config):
    agree(network(config), SymmetricCrystal.from_structure(path))


@pytest.mark.parametrize("structure", STRUCTURES, ids=lambda s: s[0])
@pytest.mark.parametrize("parity", [False, True])
def test_forms_of_all_systems(structure, parity):
    agree(network(CONFIGS[parity], "2x0e+2x2e+4e+2x1o+2o+3o"), made(*structure))


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["P-1", "C2/m", "Pba2", "P4/n", "P-3c1", "P6/m", "Pa-3", "I-43d"]))
def test_forms_of_random_crystals(seed, symbol):
    rng = np.random.default_rng(seed)
    a, b, c = rng.uniform(4, 7, 3)
    lattices = {"P-1": Lattice.from_parameters(a, b, c, 80, 95, 105), "C2/m": Lattice.monoclinic(a, b, c, 100),
                "Pba2": Lattice.orthorhombic(a, b, c), "P4/n": Lattice.tetragonal(a, c),
                "P-3c1": Lattice.hexagonal(a, c), "P6/m": Lattice.hexagonal(a, c)}  # fmt: skip
    try:
        crystal = made(symbol, lattices.get(symbol, Lattice.cubic(1.5 * a)), rng.uniform(0.05, 0.45, (2, 3)))
    except IrrepnetError:  # two atoms on one site
        return
    if len(crystal) <= 30:
        agree(network(CONFIGS[0], "2e+4e+3o"), crystal)


@pytest.mark.parametrize("config", CONFIGS[:3], ids=range(3))
def test_covariance(config):
    """All atoms, turned by a random matrix of O(3)."""
    net = network(config, "0e+2e+1o" if config.residual else "2e+4e+3o")
    batch = batches([made(*STRUCTURES[2])])[1]
    with torch.no_grad():
        x, invariants = net.features(batch), net(batch)
        for seed in range(4):
            q = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
            turned = replace(batch, vector=batch.vector @ torch.from_numpy(q).T)
            y = net.features(turned)
            assert (net(turned) - invariants).abs().max() < 1e-10
            for irrep in x:
                assert (y[irrep] - matrix(irrep, q) @ x[irrep]).abs().max() < 1e-10
            pooled = net.covariants(x, batch), net.covariants(y, turned)
            for irrep in pooled[0]:
                assert pooled[0][irrep].abs().max() > 1e-6
                assert (pooled[1][irrep] - matrix(irrep, q) @ pooled[0][irrep]).abs().max() < 1e-10


def test_crystals_in_a_batch_do_not_see_each_other():
    net = network(irreps_out="2e")
    crystals = [made(*structure) for structure in STRUCTURES[:8:2]]
    with torch.no_grad():
        together = batches(crystals)[0]
        x = net.features(together)
        for k, crystal in enumerate(crystals):
            alone = batches([crystal])[0]
            y = net.features(alone)
            assert (net(together)[k] - net(alone)[0]).abs().max() < 1e-12
            assert (net.covariants(x, together)["2e"][k] - net.covariants(y, alone)["2e"][0]).abs().max() < 1e-12


def test_gradients():
    """Of the weights equal in both forms, and by the vectors as finite differences say."""
    net = network(irreps_out="2e")
    gradients = []
    crystal = made(*STRUCTURES[5])
    for batch in batches([crystal]):
        net.zero_grad()
        x = net.features(batch)
        (net.invariants(x, batch).sum() + net.covariants(x, batch)["2e"].pow(2).sum()).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None]))
    assert gradients[0].abs().max() > 1e-3
    assert (gradients[0] - gradients[1]).abs().max() < 1e-10
    batch = batches([crystal])[0]
    vector = batch.vector.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda v: net(replace(batch, vector=v)), vector)


def test_the_network_sees_more_than_distances():
    """Square-planar and tetrahedral environments of equal bonds: l_max = 0 is blind to the angle."""
    square = np.array([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]])
    tetrahedron = np.array([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / 3**0.5
    batch = batches([SymmetricCrystal.from_structure(next(p for p in EXAMPLES if p.stem == "Si"))])[1]
    edges = torch.arange(4)

    def difference(l_max):
        net = network(TensorFieldConfig(channels=8, l_max=l_max))
        outputs = []
        for vectors in (square, tetrahedron):
            star = replace(
                batch, receiver=torch.cat([0 * edges, 0 * edges + 1]), sender=torch.cat([0 * edges + 1, 0 * edges]),
                operation=torch.zeros(8, dtype=torch.long), weight=torch.ones(8, dtype=torch.float64),
                vector=2 * torch.from_numpy(np.concatenate([vectors, -vectors])),
            )  # fmt: skip
            outputs.append(net(star).detach())
        return (outputs[0] - outputs[1]).abs().max()

    assert difference(0) < 1e-12
    assert difference(2) > 1e-6


@pytest.mark.parametrize(
    ("irreps", "config"),
    [("2o", TensorFieldConfig(layers=1)), ("5o", CONFIGS[0]), ("1o", TensorFieldConfig(l_max=0)), ("0o", CONFIGS[0])],
)
def test_irreps_that_cannot_be_reached(irreps, config):
    with pytest.raises(IrrepnetError, match=f"no path leads to {irreps}"):
        network(config, irreps)


def test_options_of_another_graph_are_refused():
    with pytest.raises(IrrepnetError, match="VectorGraphOptions"):
        build_model(CONFIGS[0], 1, HypergraphOptions())


@pytest.mark.parametrize("path", EXAMPLES[:3], ids=lambda path: path.stem)
@pytest.mark.parametrize("config", CONFIGS[:2], ids=range(2))
def test_descriptions(path, config):
    options = VectorGraphOptions()
    report = verify(random_network(config, options), path, options)
    assert report["largest"] == max(report[key] for key in (*DESCRIPTIONS, "orbits")) < 1e-10


def test_command():
    result = CliRunner().invoke(app, ["verify", "tensor-field", str(EXAMPLES[0]), "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["largest"] < 1e-10
    assert {*DESCRIPTIONS, "orbits", "nodes"} <= set(report)


def test_split_shells_are_for_atoms_only(small_config, tmp_path):
    """What the cut of other codes costs can be measured, but not in the asymmetric unit."""
    assert small_config("tensor-field", data__neighbours="n-max", model__form="atoms").graph.form == "atoms"
    from irrepnet.training import train

    with pytest.raises(IrrepnetError, match="set form to"):
        train(small_config("tensor-field", data__neighbours="n-max"), tmp_path / "run", quiet=True)


def test_training_and_prediction(small_config, tmp_path, examples):
    from irrepnet.training import evaluate, predict, train

    run = train(small_config("tensor-field", model__layers=2), tmp_path / "run", quiet=True)
    assert evaluate(run, target="formation_energy_per_atom", quiet=True)["n"] > 0
    row = predict(run, [examples["NaCl"]])[0]
    assert np.isfinite(row["formation_energy_per_atom"])
