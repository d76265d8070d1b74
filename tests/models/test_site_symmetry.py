"""Tensors of sites: one atom an orbit against all atoms, equivariance, and what the site symmetry allows."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.graphs.test_sites import other_description
from tests.prototypes import STRUCTURES, SYMMORPHIC, crystal_of

from irrepnet.crystals import (
    NeighbourOptions,
    SymmetricCrystal,
    frame_rotation,
    input_atoms,
    model_group,
    site_irreps,
)
from irrepnet.data.batch import union
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import site_graph
from irrepnet.groups import PointGroup
from irrepnet.models import SiteSymmetryConfig, SiteSymmetryNet
from irrepnet.nn.edges import Edges
from irrepnet.nn.site import SiteConvolution
from irrepnet.nn.site_bonds import SiteBonds, coordinate_irreps
from irrepnet.nn.site_tensors import SiteTensors

TARGETS = {
    "energy": "scalar",
    "chirality": "axial scalar",
    "force": "vector",
    "moment": "axial vector",
    "born": "ij",
    "strain": "ij=ji",
    "rotation": "axial ij=-ji",
    "gradient": "ij=ji traceless",
}
NONE = np.zeros(1, int)  # the identity alone


def network(group, targets=TARGETS, sum_rule=("born",), **options):
    torch.manual_seed(0)
    config = SiteSymmetryConfig(
        group=group.name, **{"channels": 12, "covariants": 3, "tensors": 3, "layers": 2, **options}
    )
    net = SiteSymmetryNet(config, targets, sum_rule).double().eval()
    torch.manual_seed(1)
    for totals in net.totals.values():
        torch.nn.init.normal_(totals.weight)  # they begin small
    return net


def group_of(net):
    return PointGroup(net.config.group)


def run(net, crystals, symmetry=None):
    """The outputs at all atoms."""
    batch = union([site_graph(c, group_of(net), symmetry=symmetry) for c in crystals], torch.float64)
    with torch.no_grad():
        return net.at_atoms(net(batch), batch)


def differ(a, b):
    return max((a[name] - b[name]).abs().max().item() for name in a)


@pytest.mark.parametrize("name", [*STRUCTURES, *SYMMORPHIC])
def test_one_atom_an_orbit_equals_all_atoms(name):
    crystal = crystal_of(name)
    net = network(model_group(crystal))
    sites, atoms = run(net, [crystal]), run(net, [crystal], NONE)
    assert differ(sites, atoms) < 1e-10
    assert atoms["energy"].abs().max() > 1e-5
    operation = len(crystal.site_groups) % crystal.point_group.order  # any
    generated, power = {0}, operation
    while power not in generated:
        generated.add(power)
        power = crystal.point_group.multiplication[power, operation]
    assert differ(run(net, [crystal], np.array(sorted(generated))), atoms) < 1e-10


@pytest.mark.parametrize("name", ["scheelite", "pyrite", "ilmenite", "PbTiO3", "zinc blende", "alpha-quartz"])
def test_the_point_group_itself_as_model_group(name):
    """Of complex type some of them, not with the inversion others."""
    crystal = crystal_of(name)
    net = network(crystal.point_group)
    assert differ(run(net, [crystal]), run(net, [crystal], NONE)) < 1e-10


@pytest.mark.parametrize(
    ("name", "group"), [("rutile", "m-3m"), ("LiNbO3", "6/mmm"), ("pyrite", "m-3"), ("P23", "432")]
)
def test_equivariance_under_every_element_of_the_group(name, group):
    group = PointGroup(group)
    net = network(group)
    graph = site_graph(crystal_of(name), group, symmetry=NONE)
    with torch.no_grad():
        original = net(union([graph], torch.float64))
        for g in group.operations:
            turned = net(union([replace(graph, vector=graph.vector @ g.T)], torch.float64))
            sign = round(np.linalg.det(g))
            q = torch.from_numpy(g.copy())
            expected = {
                "energy": original["energy"],
                "chirality": sign * original["chirality"],
                "force": original["force"] @ q.T,
                "moment": sign * original["moment"] @ q.T,
                "rotation": sign * q @ original["rotation"] @ q.T,
                **{name: q @ original[name] @ q.T for name in ("born", "strain", "gradient")},
            }
            assert differ(turned, expected) < 1e-10


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([name for name in (*STRUCTURES, *SYMMORPHIC) if name != "garnet"]))
def test_the_description_of_the_crystal_does_not_matter(seed, name):
    """Supercell, origin, order of the atoms, orientation: the tensors at the input's atoms turn with the input."""
    first = crystal_of(name)
    net = network(model_group(first))
    sources = [other_description(first, np.random.default_rng(seed + k)) for k in range(2)]
    results = []
    for source in sources:
        crystal = SymmetricCrystal.from_structure(source)
        at = torch.from_numpy(input_atoms(crystal, source))
        rotation = torch.from_numpy(crystal.rotation.copy())
        energy, force, born = (run(net, [crystal])[name][at] for name in ("energy", "force", "born"))
        results.append((energy, force @ rotation.T, rotation @ born @ rotation.T))
    # the sources are turned copies of one crystal, with atoms and origin of their own
    a, b = sources
    turn = np.linalg.solve(a.lattice.matrix, b.lattice.matrix).T
    frac = a.frac_coords[:, None] - b.frac_coords[None]
    species = np.array([[x.specie == y.specie for y in b] for x in a])
    for shift in frac[0][species[0]]:
        apart = abs((frac - shift) - np.rint(frac - shift)).max(-1) + ~species
        if apart.min(1).max() < 1e-6:
            match, q = apart.argmin(1), torch.from_numpy(turn)
            energy, force, born = (value[match] for value in results[1])
            difference = max(
                (results[0][0] - energy).abs().max().item(),
                (results[0][1] @ q.T - force).abs().max().item(),
                (q @ results[0][2] @ q.T - born).abs().max().item(),
            )
            if difference < 1e-6:
                return
    pytest.fail("no translation maps the tensors of one description to those of the other")


@pytest.mark.parametrize("features", [{"covariants": 9, "tensors": 0}, {"covariants": 0, "tensors": 9, "layers": 3}])
@pytest.mark.parametrize("name", [*STRUCTURES, *SYMMORPHIC])
def test_exactly_what_the_site_symmetry_allows(name, features):
    """Outputs of many readouts span the tensors that the tables of `site_irreps` allow: none more, and all of them."""
    crystal = crystal_of(name)
    kinds = {"vector": ("vector", 3), "field_gradient": ("ij=ji traceless", 5), "born_charge": ("ij", 9)}
    targets = {f"{name} {i}": kind for name, (kind, size) in kinds.items() for i in range(size)}
    net = network(model_group(crystal), targets, (), **features)
    options = NeighbourOptions(n_max=20)  # P6mm: the 12 nearest neighbours of H lie in one plane
    batch = union([site_graph(crystal, group_of(net), options)], torch.float64)
    with torch.no_grad():
        outputs = net(batch)
    for orbit in range(len(crystal.representatives)):
        irreps = site_irreps(crystal, orbit)
        for target, (_, size) in kinds.items():
            basis = getattr(irreps, target).basis
            found = np.stack([outputs[f"{target} {i}"][orbit].numpy().ravel() for i in range(size)])
            if not len(basis):
                assert not found.any()  # zero, not small
                continue
            allowed = basis.reshape(len(basis), -1)
            outside = found - found @ np.linalg.pinv(allowed) @ allowed
            assert abs(outside).max() < 1e-10
            found /= np.linalg.norm(found)
            assert np.linalg.matrix_rank(found, tol=1e-9) == len(basis), (orbit, target)


def test_perovskite():
    """Born charges: Sr and Ti isotropic, O with two components; no field gradient at the cubic sites."""
    crystal = crystal_of("perovskite")
    values = run(network(PointGroup("m-3m")), [crystal])
    off_diagonal = ~np.eye(3, dtype=bool)
    assert not values["born"][:, off_diagonal].any()
    for a, element in enumerate(crystal.species):
        x, y, z = values["born"][a].diagonal().tolist()
        assert len({round(value, 10) for value in (x, y, z)}) == (2 if element == "O" else 1)
        assert values["gradient"][a].any() == (element == "O")
    assert not values["force"].any()
    assert values["born"].sum(0).abs().max() < 1e-12


@pytest.mark.parametrize("name", ["spinel", "LiNbO3", "GdFeO3"])
def test_sum_rule(name):
    crystal = crystal_of(name)
    group = model_group(crystal)
    ruled, free = run(network(group), [crystal])["born"], run(network(group, sum_rule=()), [crystal])["born"]
    assert ruled.sum(0).abs().max() < 1e-12
    assert free.sum(0).abs().max() > 1e-3
    shift = ruled - free  # the same tensor everywhere
    assert (shift - shift[0]).abs().max() < 1e-12


def test_batching_changes_nothing():
    crystals = [crystal_of(name) for name in ("spinel", "rutile", "perovskite", "GdFeO3")]
    net = network(PointGroup("m-3m"))
    together = run(net, crystals)
    alone = [run(net, [crystal]) for crystal in crystals]
    assert differ(together, {name: torch.cat([values[name] for values in alone]) for name in TARGETS}) < 1e-10


def test_gradients():
    """By the bond vectors against finite differences, where no symmetry is used; every weight has a gradient."""
    crystal = crystal_of("P222")  # with a centre no chirality, and its weights are idle
    net = network(PointGroup("m-3m"))
    torch.nn.init.normal_(net.share.weight)  # equal shares do not depend on their bias
    graph = site_graph(crystal, group_of(net), NeighbourOptions(n_max=4), NONE)
    batch = union([graph], torch.float64)
    weights = {name: torch.randn_like(value) for name, value in net(batch).items()}

    def total(vector):
        return sum((weights[name] * value).sum() for name, value in net(replace(batch, vector=vector)).items())

    vector = batch.vector.clone().requires_grad_()
    total(vector).backward()
    for _ in range(3):
        step = 1e-5 * torch.randn_like(batch.vector)
        with torch.no_grad():
            difference = total(batch.vector + step) - total(batch.vector - step)
        assert abs(difference - 2 * (vector.grad * step).sum()) < 1e-6 * abs(difference) + 1e-11
    idle = {name for name, weight in net.named_parameters() if weight.grad is None or not weight.grad.any()}
    assert not idle


def test_invariants_alone():
    crystal = crystal_of("rutile")
    values = run(network(PointGroup("m-3m"), covariants=0, tensors=0), [crystal])
    assert values["energy"].any()
    assert not values["gradient"].any()
    isotropic = values["strain"].diagonal(dim1=1, dim2=2)
    assert (isotropic - isotropic[:, :1]).abs().max() < 1e-12


@pytest.mark.parametrize(("structure", "name"), [("rutile", "m-3m"), ("pyrite", "m-3"), ("wurtzite", "6mm")])
def test_layer_against_a_plain_loop(structure, name):
    """The layer on all atoms, in whole irreps, bond by bond, coupling by coupling."""
    group = PointGroup(name)
    graph = site_graph(crystal_of(structure), group, NeighbourOptions(n_max=4), NONE)
    batch = union([graph], torch.float64)
    torch.manual_seed(0)
    bonds = SiteBonds(group)
    n, channels, C = len(graph), 5, 2
    layer = SiteConvolution({group.name: bonds}, channels, C, 0, channels).double()
    torch.nn.init.normal_(layer.context.weight)
    own = layer.own[group.name]
    s, hidden = torch.randn(n, channels).double(), torch.randn(len(graph.receiver), channels).double()
    x = torch.randn(len(graph.basis), C).double()
    tables = bonds(batch.vector, batch.receiver, batch.sender, batch.carrier, batch.fixed, batch.basis)
    share = torch.full((len(graph.receiver),), 0.25).double()
    coordinates = (torch.repeat_interleave(batch.fixed.sum(1)), coordinate_irreps(batch.fixed))
    irreps = group.irreps[1:]
    with torch.no_grad():
        crystals = (batch.crystal, torch.full((n,), 1 / n, dtype=torch.float64))
        own_class = torch.arange(len(share))
        edges = Edges(batch.receiver, batch.sender, own_class, len(share), torch.ones(n, 1).double(), share)
        t = s.new_zeros(n, 12, 0)
        unit = torch.nn.functional.normalize(batch.vector, dim=-1)
        tensor_tables = SiteTensors(group)(unit, batch.carrier, batch.basis, coordinates, n)
        s_fast, x_fast, _ = layer(s, x, t, hidden, tables, tensor_tables, edges, coordinates, crystals)

        dims = [irrep.dim for irrep in irreps]
        features = [block.split(dims) for block in x.split(sum(dims))]  # atom, irrep → (d, C)
        bases = [b.split(dims) for b in batch.basis.split(sum(dims))]
        whole = [[basis[:, :d].T @ block for basis, block, d in zip(b, f, dims)] for b, f in zip(bases, features)]
        y = [[torch.zeros(d, C).double() for d in dims] for _ in range(n)]
        m = torch.zeros(n, channels).double()
        normed = layer.norm(s)
        for e, (a, b) in enumerate(zip(graph.receiver, graph.sender)):
            flat = bonds.direction(batch.vector[e : e + 1] / batch.vector[e].norm())[1][0]
            generators = []
            for i, irrep in enumerate(irreps):
                for _ in group.covariants(irrep.label).degrees:
                    generators.append((i, flat[: irrep.dim]))
                    flat = flat[irrep.dim :]
            covariants = [(i, torch.from_numpy(j) @ e_k) for i, e_k in generators for j in irreps[i].commutant.copy()]
            projections = [torch.cat([e_k @ whole[atom][i] for i, e_k in covariants]) for atom in (b, a)]
            pair = layer.receiver(normed[a]) + layer.sender(normed[b]) + layer.filter(hidden[e])
            pair = torch.nn.functional.silu(pair + own.projections(torch.cat(projections)))
            gate, value = layer.message(pair).chunk(2)
            psi, f = own.message(pair).view(-1, C).split([len(covariants), bonds.n_filters])
            m[a] += share[e] * torch.sigmoid(gate) * value
            for (i, e_k), weight in zip(covariants, psi):
                y[a][i] += share[e] * e_k[:, None] * weight
            sets = f.split(len(dims) + len(generators))  # one for each copy of a coupling
            for c, gamma in enumerate(irreps):
                for i, alpha in enumerate(irreps):
                    weight = share[e] * own.joins[c * len(dims) + i]
                    if c == i:
                        for j, set_ in zip(torch.from_numpy(gamma.commutant.copy()), sets):
                            y[a][c] += weight * set_[c] * (j @ whole[b][i])
                    for k, (beta, e_k) in enumerate(generators):
                        coupling = group.coupling(alpha.label, irreps[beta].label, gamma.label)
                        scale = (alpha.dim * irreps[beta].dim / gamma.dim) ** 0.5
                        maps = [j @ u.reshape(gamma.dim, -1) for u in coupling for j in gamma.commutant]
                        for u, set_ in zip(maps, sets):
                            u = torch.from_numpy(u * scale).view(gamma.dim, alpha.dim, -1)
                            y[a][c] += weight * set_[len(dims) + k] * torch.einsum("nij,iv,j->nv", u, whole[b][i], e_k)
        for a in range(n):
            norms = torch.cat([(block**2).sum(0) for block in y[a]])
            update = layer.update(torch.cat([normed[a], m[a]])) + layer.context(normed.mean(0)) + own.norms(norms)
            update = torch.nn.functional.silu(update)
            gates = own.gates(update).view(-1, C)
            assert (s[a] + layer.invariant(update) - s_fast[a]).abs().max() < 1e-10
            for i, fast in enumerate(x_fast.split(sum(dims))[a].split(dims)):
                slow = whole[a][i] + gates[i] * (y[a][i] @ own.mix[:, i])
                assert (bases[a][i][:, : dims[i]].T @ fast - slow).abs().max() < 1e-10


@pytest.mark.parametrize("names", [("rutile", "wurtzite"), ("perovskite", "LiNbO3", "spinel")])
def test_one_network_for_both_model_groups(names):
    """What it shares is shared, and each crystal is as symmetric as ever."""
    torch.manual_seed(0)
    net = (
        SiteSymmetryNet(SiteSymmetryConfig(channels=12, covariants=3, tensors=3, layers=2), TARGETS, ("born",))
        .double()
        .eval()
    )
    with torch.no_grad():
        for crystal in map(crystal_of, names):
            found = []
            for symmetry in (None, NONE):
                batch = union([site_graph(crystal, model_group(crystal), symmetry=symmetry)], torch.float64)
                found.append(net.at_atoms(net(batch), batch))
            assert differ(*found) < 1e-10
            assert found[0]["born"].sum(0).abs().max() < 1e-12
    parts = [name for name, _ in net.named_parameters() if "m-3m" not in name and "6/mmm" not in name]
    assert "convolutions.1.message.weight" in parts


def test_coordinates_where_a_target_needs_them():
    for kind, covariants in (("ij", 0), ("scalar", 0), ("axial vector", 8)):
        assert SiteSymmetryNet(SiteSymmetryConfig(), {"y": kind}).covariants == covariants
    assert SiteSymmetryNet(SiteSymmetryConfig(covariants=2), {"y": "ij"}).covariants == 2


def test_errors_say_what_is_wrong():
    with pytest.raises(IrrepnetError, match="unknown kind of site tensor 'ijk'"):
        network(PointGroup("m-3m"), {"piezo": "ijk"}, ())
    with pytest.raises(IrrepnetError, match="sum rule of born"):
        network(PointGroup("m-3m"), {"energy": "scalar"}, ("born",))
    with pytest.raises(IrrepnetError, match="trivial irrep alone"):
        network(PointGroup("1"))
    cubic, hexagonal = (site_graph(c, model_group(c)) for c in map(crystal_of, ("rutile", "wurtzite")))
    with pytest.raises(IrrepnetError, match="one group, not 6/mmm and m-3m"):
        union([cubic, hexagonal])
    with pytest.raises(IrrepnetError, match="model group m-3m, the batch 6/mmm"):
        network(PointGroup("m-3m"))(union([hexagonal], torch.float64))


@pytest.mark.parametrize("name", ["rutile", "wurtzite", "PbTiO3", "LiNbO3", "scheelite", "pyrite", "baddeleyite"])
def test_tensors_of_crystals(name):
    """The mean over the atoms: in either form, turned by every element of the group, allowed by the point group."""
    crystal = crystal_of(name)
    group = model_group(crystal)
    net = SiteSymmetryNet(
        SiteSymmetryConfig(group=group.name, channels=12, covariants=3, layers=2),
        {"epsilon": "ij=ji", "born": "ij", "axis": "vector"},
        ("born",),
        of_crystals=("epsilon", "axis"),
    )
    net = net.double().eval()
    other = crystal_of("perovskite" if group.name == "m-3m" else "wurtzite")
    plain = site_graph(crystal, group, symmetry=NONE)
    with torch.no_grad():
        found = net(union([site_graph(other, group), site_graph(crystal, group)], torch.float64))
        atoms = net(union([plain], torch.float64))
        epsilon, axis = found["epsilon"][1], found["axis"][1]
        assert found["epsilon"].shape == (2, 3, 3)
        assert (epsilon - atoms["epsilon"][0]).abs().max() < 1e-10
        assert (axis - atoms["axis"][0]).abs().max() < 1e-10
        assert (epsilon - epsilon.T).abs().max() < 1e-12
        for g in torch.from_numpy(crystal.point_group.operations.copy()):
            assert (g @ epsilon @ g.T - epsilon).abs().max() < 1e-10
            assert (g @ axis - axis).abs().max() < 1e-10
        turn = torch.from_numpy(frame_rotation(crystal).T.copy())  # from the network's axes to the standard frame
        for g in group.operations:
            turned = net(union([replace(plain, vector=plain.vector @ g.T)], torch.float64))
            q = turn @ torch.from_numpy(g.copy()) @ turn.T
            assert (q @ epsilon @ q.T - turned["epsilon"][0]).abs().max() < 1e-10
            assert (q @ axis - turned["axis"][0]).abs().max() < 1e-10
        batch = union([plain], torch.float64)
        everywhere = net.at_atoms(atoms, batch)["epsilon"]
    assert everywhere.shape == (len(crystal), 3, 3)
    assert (everywhere == atoms["epsilon"]).all()
