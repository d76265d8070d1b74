"""The network: exact symmetry, the reduced form against everything, smoothness, and the loss."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from irrepnet.crystals import Cell
from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians import Hamiltonian, action, atomic_basis, bond_orbits, hermiticity, symmetry_residual
from irrepnet.hamiltonians.blocks import bonds_within
from irrepnet.hamiltonians.graph import delta_target, hamiltonian_graph, trivial_action
from irrepnet.hamiltonians.network import HamiltonianNet, HamiltonianNetConfig, coupling
from irrepnet.hamiltonians.orbitals import racah_matrices
from irrepnet.hamiltonians.reduced import coefficients, expanded

SHELLS = {"Ce": (0, 2, 3), "Mg": (0, 0, 1), "O": (0, 1, 2), "Ti": (0, 1, 2), "Zn": (0, 2), "S": (0, 1)}
REACH = 4.6
CUTOFF = 4.0
FCC = np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
TURN = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]


def rock_salt(a: float = 4.2, shift=(0.0, 0.0, 0.0)) -> Cell:
    second = np.array([0.5, 0.5, 0.5]) + np.array(shift) @ np.linalg.inv(a * FCC)
    return Cell(a * FCC, np.array([[0.0, 0, 0], second]), np.array([12, 8]), "MgO")


CELLS = {
    "rock salt": rock_salt(),
    "C4v": rock_salt(shift=(0, 0, 0.1)),
    "C1": rock_salt(shift=(0.05, 0.12, -0.03)),
    "zinc blende": Cell(5.4 * FCC, np.array([[0.0, 0, 0], [0.25, 0.25, 0.25]]), np.array([30, 16]), "ZnS"),
    "perovskite-like": Cell(
        np.diag([3.3, 3.3, 3.5]), np.array([[0.0, 0, 0], [0.5, 0.5, 0], [0, 0.5, 0.5], [0.5, 0, 0.5]]),
        np.array([22, 8, 8, 8]), "TiO3",
    ),
}  # fmt: skip


def overlap_like(basis, act, orbits, seed, decay=1.2):
    """A random Hamiltonian and a positive overlap in the given blocks, symmetric: (R, H, S)."""
    random = np.random.default_rng(seed)
    R = np.unique(np.concatenate([orbit.members[:, 2:] for orbit in orbits]), axis=0)
    H, S = [], []
    for orbit in orbits:
        fall = np.exp(-decay * orbit.distance)
        H.append(5 * fall * random.normal(size=len(orbit.space)))
        S.append(0.2 * fall * random.normal(size=len(orbit.space)))
        if orbit.is_onsite:
            S[-1] = orbit.space.coefficients(np.eye(orbit.space.basis.shape[1]))
    return R, expanded(act, orbits, R, np.concatenate(H)), expanded(act, orbits, R, np.concatenate(S))


def made(cell, convention="pyscf", seed=0):
    """Basis, group, orbits, a Hamiltonian with overlap."""
    basis = atomic_basis(cell, SHELLS, convention)
    act = action(basis)
    orbits = bond_orbits(act, bonds_within(basis, REACH))
    R, H, S = overlap_like(basis, act, orbits, seed)
    return act, orbits, Hamiltonian(R, H, S, basis, None, cell.name)


def network(seed=0, **options):
    """With random weights, those that start from zero too."""
    torch.manual_seed(seed)
    net = HamiltonianNet(HamiltonianNetConfig(channels=8, cutoff=CUTOFF, **options)).double()
    for weights in net.parameters():
        if not weights.any():
            torch.nn.init.normal_(weights, std=0.3)
    return net


def blocks_of(net, act, orbits, hamiltonian):
    """(cells, n, n) of ΔH."""
    graph = hamiltonian_graph(act, orbits, hamiltonian, CUTOFF)
    with torch.no_grad():
        return expanded(act, orbits, hamiltonian.R, net(graph).numpy())


@pytest.mark.parametrize("name", CELLS)
def test_reduced_is_full(name):
    """One block an orbit and one site an orbit, against every block of every atom; Hermitian and symmetric."""
    act, orbits, hamiltonian = made(CELLS[name])
    net = network()
    found = blocks_of(net, act, orbits, hamiltonian)
    none = trivial_action(act.basis)
    everything = bond_orbits(none, bonds_within(act.basis, REACH))
    assert name == "C1" or len(everything) > 2 * len(orbits)
    full = blocks_of(net, none, everything, hamiltonian)
    assert abs(found).max() > 1e-2
    assert abs(found - full).max() < 1e-10
    predicted = replace(hamiltonian, H=full)
    assert hermiticity(predicted) < 1e-10
    assert symmetry_residual(predicted, act).symmetry < 1e-10


def test_any_axes():
    """A crystal turned by any element of O(3), inversions among them: orbitals turn along."""
    cell = CELLS["C1"]
    act, orbits, hamiltonian = made(cell)
    turned = cell._replace(lattice=cell.lattice @ TURN.T)
    net = network()
    basis = atomic_basis(turned, SHELLS, "pyscf")
    D = np.zeros((len(basis), len(basis)))
    start = 0
    for shell in basis.shells:
        rows = slice(start, start + len(shell.m))
        D[rows, rows] = np.real(shell.matrix @ racah_matrices(TURN[None], shell.l)[0] @ shell.matrix.T)
        start = rows.stop
    moved = replace(hamiltonian, basis=basis, H=D @ hamiltonian.H @ D.T, S=D @ hamiltonian.S @ D.T)
    other = action(basis)
    found = blocks_of(net, act, orbits, hamiltonian)
    again = blocks_of(net, other, bond_orbits(other, bonds_within(basis, REACH)), moved)
    assert abs(D @ found @ D.T - again).max() < 1e-10


def test_order_of_atoms_and_origin():
    cell = CELLS["C1"]
    act, orbits, hamiltonian = made(cell)
    net = network()
    found = Hamiltonian(hamiltonian.R, blocks_of(net, act, orbits, hamiltonian), hamiltonian.S, act.basis)
    order = np.concatenate([act.basis.orbitals[1], act.basis.orbitals[0]])
    swapped = cell._replace(frac_coords=cell.frac_coords[::-1] + 0.137, numbers=cell.numbers[::-1])
    basis = atomic_basis(swapped, SHELLS, "pyscf")
    other = action(basis)
    own = replace(
        hamiltonian, basis=basis, H=hamiltonian.H[:, order[:, None], order], S=hamiltonian.S[:, order[:, None], order]
    )
    again = blocks_of(net, other, bond_orbits(other, bonds_within(basis, REACH)), own)
    assert abs(found.H[:, order[:, None], order] - again).max() < 1e-10


def test_supercell():
    """Bands of a doubled cell are those of the cell, folded."""
    cell = rock_salt(shift=(0, 0, 0.1))
    act, orbits, hamiltonian = made(cell)
    net = network()
    R, n = hamiltonian.R, len(hamiltonian)
    doubled = Cell(
        cell.lattice * np.array([[2.0], [1], [1]]),
        np.concatenate([(cell.frac_coords + np.array([shift, 0, 0])) / [2, 1, 1] for shift in (0, 1)]),
        np.tile(cell.numbers, 2),
        "doubled",
    )
    basis = atomic_basis(doubled, SHELLS, "pyscf")
    cells = np.unique([((r[0] + a - b) // 2, *r[1:]) for r in R for a in (0, 1) for b in (0, 1)], axis=0)
    H, S = np.zeros((len(cells), 2 * n, 2 * n)), np.zeros((len(cells), 2 * n, 2 * n))
    where = {tuple(r): i for i, r in enumerate(cells.tolist())}
    for a in (0, 1):
        for r, h, s in zip(R.tolist(), hamiltonian.H, hamiltonian.S):
            b = (r[0] + a) % 2
            place = where[((r[0] + a - b) // 2, r[1], r[2])]
            block = (place, slice(a * n, (a + 1) * n), slice(b * n, (b + 1) * n))
            H[block], S[block] = h, s
    large = Hamiltonian(cells, H, S, basis)
    other = action(basis)
    k = np.array([0.13, 0.29, -0.41])
    small = Hamiltonian(R, blocks_of(net, act, orbits, hamiltonian), hamiltonian.S, act.basis)
    folded = np.sort(np.concatenate([small.eigenvalues(k), small.eigenvalues(k + np.array([0.5, 0, 0]))]))
    found = blocks_of(net, other, bond_orbits(other, bonds_within(basis, REACH)), large)
    assert abs(Hamiltonian(cells, found, S, basis).eigenvalues(k * np.array([2, 1, 1])) - folded).max() < 1e-9


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "l_max"),
    [
        (CELLS["rock salt"], 4),
        (CELLS["zinc blende"], 4),
        (CELLS["perovskite-like"], 4),
        (CELLS["rock salt"]._replace(numbers=np.array([58, 8]), name="CeO"), 6),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_reaches_every_allowed_block(cell, l_max):
    """The blocks of bonds and sites span all that the symmetry allows, beyond the two-centre form."""
    act, orbits, hamiltonian = made(cell)
    graph = hamiltonian_graph(act, orbits, hamiltonian, CUTOFF)
    found = []
    with torch.no_grad():
        for seed in range(120):
            found.append(network(seed, layers=1, separable=False, l_max=l_max)(graph).numpy())
    found, start = np.array(found), 0
    for orbit in orbits:
        own = found[:, start : start + len(orbit.space)]
        start += len(orbit.space)
        if orbit.distance < CUTOFF - 0.5:
            values = np.linalg.svd(own / abs(own).max(0), compute_uv=False)
            assert (values > 1e-6 * values[0]).sum() == len(orbit.space), (orbit.sites, orbit.distance)


@pytest.mark.parametrize(("l_max", "numbers"), [(4, 2), (6, 3)])
def test_f_shells_on_site(l_max, numbers):
    """Ce on a site m-3m: f is A2u + T1u + T2u, three numbers, of which L = 0, 4 make two and L = 6 the third."""
    cell = rock_salt(5.0)._replace(numbers=np.array([58, 8]))
    act, orbits, hamiltonian = made(cell)
    hamiltonian = replace(hamiltonian, S=np.where(abs(hamiltonian.S) > 0.5, hamiltonian.S, 0))
    graph = hamiltonian_graph(act, orbits, hamiltonian, CUTOFF)
    f = act.basis.shells_of(0)[-1]
    assert f.l == 3
    own, found = np.arange(6, 13), []
    home = np.flatnonzero(~hamiltonian.R.any(1))[0]
    for seed in range(8):
        with torch.no_grad():
            net = network(seed, layers=1, l_max=l_max, separable=False, bonds=False)
            found.append(expanded(act, orbits, hamiltonian.R, net(graph).numpy())[home][np.ix_(own, own)].ravel())
    values = np.linalg.svd(np.array(found), compute_uv=False)
    assert (values > 1e-6 * values[0]).sum() == numbers


def test_f_shells_reduced_is_full():
    cell = CELLS["C4v"]._replace(numbers=np.array([58, 8]))
    act, orbits, hamiltonian = made(cell)
    net = network(l_max=6)
    none = trivial_action(act.basis)
    full = blocks_of(net, none, bond_orbits(none, bonds_within(act.basis, REACH)), hamiltonian)
    assert abs(blocks_of(net, act, orbits, hamiltonian) - full).max() < 1e-10
    assert symmetry_residual(replace(hamiltonian, H=full), act).symmetry < 1e-10


def test_nothing_jumps_at_the_cutoff():
    """Bonds and neighbours that leave take nothing with them, and ΔH is differentiable there."""
    net = network(separable=False)

    def onsite(a):
        act, orbits, hamiltonian = made(rock_salt(a))
        S = np.where(abs(hamiltonian.S) > 0.5, hamiltonian.S, 0)  # local overlap: no other dependence on a
        found = blocks_of(net, act, orbits, replace(hamiltonian, S=S))
        return found[np.flatnonzero(~hamiltonian.R.any(1))[0]]

    at = CUTOFF * np.sqrt(2)  # the second shell is at the cutoff
    values = [onsite(at + step) for step in (-2e-4, -1e-4, 1e-4, 2e-4)]
    slopes = values[1] - values[0], values[3] - values[2]
    assert abs(values[2] - values[1]).max() < 1e-3
    assert abs(slopes[0] - slopes[1]).max() < 1e-6


def test_gradients():
    act, orbits, hamiltonian = made(CELLS["C4v"])
    graph = hamiltonian_graph(act, orbits, hamiltonian, CUTOFF)
    net = network(layers=1)
    weights = torch.randn(len(graph.local), dtype=torch.float64)
    (net(graph) @ weights).backward()
    for name, parameter in net.named_parameters():
        if parameter.grad is None or not parameter.grad.abs().max() > 1e-6:
            continue
        place = int(parameter.grad.abs().argmax())
        flat = parameter.data.view(-1)
        values = []
        for step in (1e-5, -1e-5):
            flat[place] += step
            values.append(float((net(graph) @ weights).detach()))
            flat[place] -= step
        expected = (values[0] - values[1]) / 2e-5
        assert float(parameter.grad.view(-1)[place]) == pytest.approx(expected, rel=1e-5, abs=1e-6), name


def test_loss_does_not_know_the_zero_of_energy():
    act, orbits, hamiltonian = made(CELLS["C4v"])
    S = coefficients(act, orbits, hamiltonian.R, hamiltonian.S)
    delta = np.random.default_rng(1).normal(size=len(S))
    own = delta_target(act, orbits, hamiltonian, delta, S, 4)
    guess = torch.randn(len(S), dtype=torch.float64)
    loss = own.loss(guess)
    assert float(own.loss(guess + 3.7 * own.overlap)) == pytest.approx(float(loss), rel=1e-10)
    moved = delta_target(act, orbits, replace(hamiltonian, H=hamiltonian.H + 2 * hamiltonian.S), delta, S, 4)
    assert float(moved.loss(guess)) == pytest.approx(float(loss), rel=1e-8)
    assert float(own.loss(own.delta + own.overlap)) < 1e-5


def test_loss_is_first_order_bands():
    """The diagonal of the projection is the first-order change of the bands."""
    act, orbits, hamiltonian = made(CELLS["rock salt"])
    S = coefficients(act, orbits, hamiltonian.R, hamiltonian.S)
    change = np.random.default_rng(2).normal(size=len(S)) * 1e-6
    own = delta_target(act, orbits, hamiltonian, np.zeros(len(S)), S, len(hamiltonian))
    moved = replace(hamiltonian, H=hamiltonian.H + expanded(act, orbits, hamiltonian.R, change))
    k = np.zeros(3)
    first = moved.eigenvalues(k) - hamiltonian.eigenvalues(k)
    rows = own.rows.numpy() @ change
    assert np.sum(first**2) <= np.sum(rows**2) * len(hamiltonian) * 64 * (1 + 1e-3)
    assert own.rows.shape[1] == len(S)


@pytest.mark.parametrize(("l", "l2", "L"), [(0, 0, 0), (1, 1, 1), (1, 2, 2), (2, 2, 4), (3, 2, 3)])
def test_coupling_is_an_intertwiner(l, l2, L):
    from irrepnet.groups import harmonic_matrices

    D = [harmonic_matrices(TURN[None], each, (-1) ** each)[0] for each in (l, l2, L)]
    sign = np.linalg.det(TURN) ** ((l + l2 + L) % 2)
    C = coupling(l, l2, L).numpy()
    assert abs(np.einsum("ai,bj,ijk,ck->abc", D[0], D[1], C, D[2]) - sign * C).max() < 1e-12
    assert abs(np.einsum("abc,abd->cd", C, C) - np.eye(2 * L + 1)).max() < 1e-12


def test_what_it_cannot_read():
    act, orbits, hamiltonian = made(CELLS["zinc blende"])
    with pytest.raises(IrrepnetError, match="needs the overlap"):
        hamiltonian_graph(act, orbits, replace(hamiltonian, S=None), CUTOFF)


def test_couplings_made_for_a_prediction_serve_a_training():
    coupling.cache_clear()
    with torch.inference_mode():
        made = coupling(1, 2, 3)
    weight = torch.ones(3, requires_grad=True, dtype=torch.float64)
    torch.einsum("abc,a->", made, weight).backward()
    assert not made.is_inference()
