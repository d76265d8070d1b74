"""Hypergraph networks of every kind: the quotient by orbits, the description, the batch, gradients, environments."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from tests.environments import PAIRS

from irrepnet.crystals import SymmetricCrystal, find_neighbours, plain_supercell
from irrepnet.data.batch import union
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import (
    Column,
    FrameOptions,
    Hyperedges,
    HyperedgeType,
    HypergraphOptions,
    add_hyperedge_type,
    hypergraph,
)
from irrepnet.models import CGCNNConfig, CHGCNNConfig, MPNNConfig, build_model
from irrepnet.models.mpnn import MESSAGES, READOUTS, UPDATES

KINDS = ("mean", "max", "min", "std", "attention")
TYPES = ("bonds", "triplets", "cell")
SMALL = {"channels": 6, "layers": 2}


def chgcnn(**options):
    return CHGCNNConfig(**{"hyperedges": TYPES, **SMALL, **options})


STRATEGIES = {
    "relatives": chgcnn(strategy="relatives"),
    "relatives, updated": chgcnn(strategy="relatives", update_hyperedges=True),
    "exchange": chgcnn(strategy="exchange"),
    "exchange, updated": chgcnn(strategy="exchange", update_hyperedges=True),
    "aggregation": chgcnn(strategy="aggregation", aggregation=KINDS),
    "aggregation, updated": chgcnn(strategy="aggregation", aggregation=KINDS, update_hyperedges=True),
    **{f"aggregation by {kind}": chgcnn(strategy="aggregation", aggregation=(kind,)) for kind in KINDS},
    "other order": chgcnn(hyperedges=("cell", "triplets", "bonds"), atoms="embedding", radial="bessel"),
}
CONFIGS = {
    "cgcnn": CGCNNConfig(**SMALL),
    "cgcnn, bessel": CGCNNConfig(**SMALL, radial="bessel", atoms="properties", dense=2),
    **{f"mpnn, {m}": MPNNConfig(**SMALL, message=m) for m in MESSAGES},
    **{f"mpnn, {u}": MPNNConfig(**SMALL, update=u, atoms="bins") for u in UPDATES},
    **{f"mpnn, {r}": MPNNConfig(**SMALL, readout=r, atoms="embedding") for r in READOUTS},
    **STRATEGIES,
}
OPTIONS = HypergraphOptions(hyperedges=TYPES)


def network(config, options=OPTIONS):
    torch.manual_seed(0)
    net = build_model(config, 2, options).double()
    with torch.no_grad():
        for name, buffer in net.named_buffers():  # statistics of a trained network
            if name.endswith(("running_mean", "running_var")):
                buffer.copy_(0.5 + torch.rand_like(buffer))
    return net


def graphs(crystals, options=OPTIONS):
    return union([hypergraph(c, options) for c in crystals], torch.float64)


def agree(config, crystals, described_otherwise, options=OPTIONS):
    """Equal outputs in training and in evaluation."""
    net = network(config, options)
    first, second = (graphs(c, options) for c in (crystals, described_otherwise))
    for training in (True, False):
        net.train(training)
        assert (net(first) - net(second)).abs().max() < 1e-10


@pytest.fixture(scope="module")
def crystals(examples):
    return {name: SymmetricCrystal.from_structure(path) for name, path in examples.items()}


@pytest.mark.parametrize("name", CONFIGS)
def test_an_orbit_stands_for_its_atoms(name, crystals):
    """Reduced against all atoms of the same cell and of supercells."""
    for formula, matrix in {
        "MgAl2O4": np.eye(3),
        "SrTiO3": [[1, 0, 1], [0, 1, 0], [0, -1, 1]],
        "TiO2": [[1, 0, 1], [0, 1, 0], [0, 0, 1]],
        "CaF2": [[2, 0, 0], [0, 1, 0], [1, 0, 1]],
    }.items():
        agree(CONFIGS[name], [crystals[formula]], [plain_supercell(crystals[formula], np.array(matrix, int))])


def random_crystal(seed):
    rng = np.random.default_rng(seed)
    symbol = ["P-1", "P2_1/c", "Pnma", "I4/mmm", "R-3m", "P6_3/mmc", "P2_13", "Fm-3m"][rng.integers(8)]
    a, b, c = rng.uniform(4.5, 7, 3)
    lattice = {
        "P-1": Lattice.from_parameters(a, b, c, *rng.uniform(80, 100, 3)),
        "P2_1/c": Lattice.monoclinic(a, b, c, rng.uniform(91, 110)),
        "Pnma": Lattice.orthorhombic(a, b, c),
        "I4/mmm": Lattice.tetragonal(a, c),
    }.get(symbol, Lattice.cubic(a) if symbol in ("P2_13", "Fm-3m") else Lattice.hexagonal(a, c))
    sites = [rng.choice([0, 0.5], 3), rng.choice([0.25, 0.5, 0.31, 0.13], 3)]
    return Structure.from_spacegroup(symbol, lattice, ["Ti", "O"], sites)


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.sampled_from(sorted(CONFIGS)))
def test_an_orbit_stands_for_its_atoms_in_random_crystals(seed, name):
    try:
        crystal = SymmetricCrystal.from_structure(random_crystal(seed))
    except IrrepnetError:  # atoms too close
        return
    if len(crystal) <= 24:
        matrix = np.array([[[1, 0, 0], [0, 1, 0], [0, 0, 1]], [[1, 1, 0], [-1, 1, 0], [0, 0, 1]]][seed % 2])
        agree(CONFIGS[name], [crystal], [plain_supercell(crystal, matrix)])


@pytest.mark.parametrize("neighbours", ["cutoff", "voronoi", "nearest"])
@pytest.mark.parametrize("name", ["cgcnn", "mpnn, mlp", "exchange, updated", "aggregation"])
def test_an_orbit_stands_for_its_atoms_whatever_the_neighbours(name, neighbours, crystals):
    options = HypergraphOptions(hyperedges=TYPES, neighbours=neighbours, cutoff=4.0)
    for formula in ("SrTiO3", "TiO2"):
        agree(CONFIGS[name], [crystals[formula]], [plain_supercell(crystals[formula])], options)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_description_does_not_matter(name, crystals):
    """Supercell, origin, order of the atoms and orientation of the input."""
    rng = np.random.default_rng(len(name))
    net = network(CONFIGS[name]).eval()
    other = Structure.from_spacegroup(
        "Pnma", Lattice.orthorhombic(5.4, 7.6, 5.3), ["Ca", "Ti", "O", "O"],
        [[0.53, 0.25, 0.99], [0, 0, 0.5], [0.48, 0.25, 0.07], [0.29, 0.04, 0.71]],
    )  # fmt: skip
    # idealised first, for structures that are equal to rounding
    ideal = SymmetricCrystal.from_structure(other)
    other = Structure(ideal.lattice, ideal.numbers, ideal.frac_coords)
    reference = net(graphs([SymmetricCrystal.from_structure(other)]))
    other.make_supercell([[1, 1, 0], [0, 1, 0], [0, 0, 2]])
    other.translate_sites(range(len(other)), rng.uniform(size=3))
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    rotation *= np.linalg.det(rotation)
    order = rng.permutation(len(other))
    other = Structure(other.lattice.matrix @ rotation.T, [other[i].specie for i in order], other.frac_coords[order])
    assert (net(graphs([SymmetricCrystal.from_structure(other)])) - reference).abs().max() < 1e-10


def permuted(graph, rng):
    """The same hypergraph with nodes, hyperedges, incidences and others in another order."""
    nodes = rng.permutation(len(graph))
    back = np.argsort(nodes)
    types = {}
    for name, t in graph.types.items():
        edges, rows = rng.permutation(len(t.features)), rng.permutation(len(t.node))
        # bonds have one other each, in the order of the incidences
        others = rng.permutation(len(t.other)) if name != "bonds" else rows
        types[name] = type(t)(
            features=t.features[edges],
            node=back[t.node[rows]],
            edge=np.argsort(edges)[t.edge[rows]],
            weight=t.weight[rows],
            other=back[t.other[others]],
            incidence=np.argsort(rows)[t.incidence[others]],
            other_weight=t.other_weight[others],
        )
    return replace(graph, numbers=graph.numbers[nodes], multiplicity=graph.multiplicity[nodes], types=types)


@pytest.mark.parametrize("name", CONFIGS)
def test_permutation(name, crystals):
    rng, net = np.random.default_rng(0), network(CONFIGS[name])
    for formula in ("MgAl2O4", "TiO2"):
        graph = hypergraph(crystals[formula], OPTIONS)
        outputs = [net(union([g], torch.float64)) for g in (graph, permuted(graph, rng))]
        assert (outputs[0] - outputs[1]).abs().max() < 1e-10


@pytest.mark.parametrize("name", CONFIGS)
def test_a_batch_is_its_crystals_one_by_one(name, crystals):
    net = network(CONFIGS[name]).eval()
    together = net(graphs(crystals.values()))
    for crystal, row in zip(crystals.values(), together):
        assert (net(graphs([crystal]))[0] - row).abs().max() < 1e-10
    assert (together[:, None] - together[None]).abs().max() > 1e-4


@pytest.mark.parametrize("name", CONFIGS)
def test_every_parameter_learns(name, crystals):
    config = CONFIGS[name]
    if isinstance(config, CHGCNNConfig):  # the one other atom of a bond has no spread, and attention no choice
        config = config.model_copy(update={"hyperedges": ("triplets", "cell")})
    net = network(config)
    (net(graphs(crystals.values())) ** 2).sum().backward()
    for label, parameter in net.named_parameters():
        assert parameter.grad is not None, label
        assert torch.isfinite(parameter.grad).all(), label
        assert parameter.grad.abs().max() > 0, label


@pytest.mark.parametrize(
    ("name", "pair"), product(["cgcnn", "mpnn, mlp", "exchange", "relatives", "aggregation"], PAIRS)
)
def test_environments_of_equal_bonds(name, pair):
    """Bonds alone cannot tell them apart, and must not; all hyperedges can."""
    *builders, n_max = PAIRS[pair]
    pair_of_crystals = [SymmetricCrystal.from_structure(build()) for build in builders]

    def outputs(hyperedges):
        options = HypergraphOptions(hyperedges=hyperedges, n_max=n_max)
        config = CONFIGS[name]
        if isinstance(config, CHGCNNConfig):
            config = config.model_copy(update={"hyperedges": hyperedges})
        net = network(config, options).eval()
        return torch.cat([net(graphs([c], options)) for c in pair_of_crystals])

    alike = outputs(("bonds",))
    assert (alike[0] - alike[1]).abs().max() < 1e-10
    if isinstance(CONFIGS[name], CHGCNNConfig):
        for hyperedges in (("bonds", "triplets"), ("bonds", "cell"), TYPES):
            apart = outputs(hyperedges)
            assert (apart[0] - apart[1]).abs().max() > 1e-6, hyperedges


STEP = 1e-5


@pytest.fixture(scope="module")
def leaving():
    """Rock salt just before, at and just after a shell leaves the cutoff, as its lattice grows."""
    options = HypergraphOptions(hyperedges=("bonds", "triplets"), neighbours="cutoff", cutoff=4.5)
    batches = []
    for n in (2, 3):  # the shell at a/2·sqrt(n)
        a = 2 * options.cutoff / np.sqrt(n)
        made = [
            Structure(Lattice(np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) * b / 2), ["Na", "Cl"], [[0] * 3, [0.5] * 3])
            for b in (a - STEP, a - 1e-9, a + STEP)
        ]
        batch = graphs([SymmetricCrystal.from_structure(s) for s in made], options)
        before, _, after = batch.crystal[batch.types["bonds"].node].bincount()
        assert before > after
        batches.append(batch)
    return options, batches


@pytest.mark.parametrize("name", ["cgcnn", "cgcnn, bessel", "mpnn, mlp", *STRATEGIES])
def test_predictions_are_continuous_across_the_cutoff(name, leaving):
    """Weights fade with zero slope, so there is no step and no kink."""
    options, batches = leaving
    config = CONFIGS[name]
    if isinstance(config, CHGCNNConfig):
        config = config.model_copy(update={"hyperedges": options.hyperedges})
    net = network(config, options).eval()
    for batch in batches:
        before, at, after = net(batch)
        assert (after - before).abs().max() < 100 * STEP
        assert (after - 2 * at + before).abs().max() < 1e-3 * STEP


@pytest.mark.parametrize("strategy", ["relatives", "exchange", "aggregation"])
def test_all_types_together(strategy, crystals, monkeypatch, tmp_path_factory):
    monkeypatch.setenv("IRREPNET_CACHE", str(tmp_path_factory.mktemp("cache")))
    config = CHGCNNConfig(
        **SMALL, strategy=strategy, aggregation=KINDS, update_hyperedges=True,
        motif_shell="minimum-distance", motif_features=("lsop",),
    )  # fmt: skip
    options = HypergraphOptions(**config.graph_fields)
    for formula in ("SrTiO3", "TiO2"):
        assert len(hypergraph(crystals[formula], options).types["motifs"].node) > 0
        agree(config, [crystals[formula]], [plain_supercell(crystals[formula])], options)


def test_hyperedges_that_a_crystal_lacks(crystals):
    """A type that is there on some crystals only, as when a descriptor failed."""

    def build(crystal, options):
        shells = find_neighbours(crystal, options)
        atoms = range(len(crystal)) if len(set(crystal.numbers)) == 2 else []
        items = [([a, *shells.sender[shells.receiver == a]], [float(crystal.numbers[a])]) for a in atoms]
        return Hyperedges.of(items, 1)

    add_hyperedge_type(HyperedgeType("binary shells", lambda options: (Column("Z", 0.0, 100.0),), build))
    options = HypergraphOptions(hyperedges=("bonds", "binary shells"))
    for name, config in STRATEGIES.items():
        config = config.model_copy(update={"hyperedges": options.hyperedges})
        net = network(config, options).eval()
        chosen = [crystals[f] for f in ("Si", "NaCl", "SrTiO3")]
        together = net(graphs(chosen, options))
        assert torch.isfinite(together).all(), name
        for crystal, row in zip(chosen, together):
            assert (net(graphs([crystal], options))[0] - row).abs().max() < 1e-10, name
        agree(config, [crystals["TiO2"]], [plain_supercell(crystals["TiO2"])], options)


def test_unknown_types_and_options_are_named():
    with pytest.raises(IrrepnetError, match="did you mean triplets"):
        build_model(CHGCNNConfig(hyperedges=("bonds", "triplet")), 1, OPTIONS)
    with pytest.raises(IrrepnetError, match="HypergraphOptions"):
        build_model(CGCNNConfig(), 1, FrameOptions())
    with pytest.raises(ValueError, match="twice"):
        CHGCNNConfig(hyperedges=("bonds", "bonds"))


def test_configurations_say_what_graphs_they_need():
    config = CHGCNNConfig.model_validate({"hyperedges": "bonds, motifs", "motif_features": "lsop", "resemblance": True})
    assert config.hyperedges == ("bonds", "motifs")
    fields = {"motif_shell": "crystalnn", "motif_features": ("lsop",), "resemblance": True}
    assert config.graph_fields == {"hyperedges": ("bonds", "motifs"), **fields}
    HypergraphOptions(**config.graph_fields)
    assert CGCNNConfig().graph_fields == MPNNConfig().graph_fields == {}
