"""Allowed blocks: counts against published and independent ones, spaces against plain projectors, storage both ways."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from tests.hamiltonians.made import crystal_orbitals, random_hamiltonian, random_reduced

from irrepnet.errors import IrrepnetError
from irrepnet.groups import PointGroup
from irrepnet.hamiltonians import (
    action,
    block_space,
    bond_orbits,
    count_blocks,
    hermiticity,
    read_hamiltonian,
    read_reduced,
    reduced,
    symmetrised,
    symmetry_residual,
    write_reduced,
)
from irrepnet.hamiltonians.blocks import bonds_within
from irrepnet.hamiltonians.orbitals import racah_matrices

OH = PointGroup("m-3m")


def blocks_of(operations: np.ndarray, ls: tuple[int, ...]) -> np.ndarray:
    """(N, k, k) the shells' matrices, block diagonal."""
    size = sum(2 * l + 1 for l in ls)
    full = np.zeros((len(operations), size, size))
    start = 0
    for l in ls:
        stop = start + 2 * l + 1
        full[:, start:stop, start:stop] = racah_matrices(operations, l)
        start = stop
    return full


def projector_rank(pairs: list[tuple[np.ndarray, np.ndarray, bool]], size: int) -> int:
    """Dimension of the blocks that all maps B → D B D'ᵀ (or of Bᵀ) of a group leave: the trace of their mean."""
    transpose = np.eye(size * size).reshape(size, size, size, size).transpose(0, 1, 3, 2).reshape(size * size, -1)
    maps = [np.kron(a, b) @ (transpose if is_reversed else np.eye(size * size)) for a, b, is_reversed in pairs]
    return round(np.trace(np.mean(maps, axis=0)))


SPD = (0, 1, 2)


@pytest.mark.parametrize(
    ("direction", "ls", "full", "one_way", "both_ways"),
    [
        # counts between unlike atoms, and between like ones in m-3m, of an independent prototype
        ((0, 0, 1), SPD, 81, 15, 11),
        ((1, 1, 1), SPD, 81, 18, 12),
        ((0, 1, 1), SPD, 81, 25, 17),
        ((0, 0, 1), (0, 1), 16, 5, 4),
    ],
)
def test_bond_counts(direction, ls, full, one_way, both_ways):
    keeps = OH.operations[(OH.operations @ direction == direction).all(1)]
    reverses = OH.operations[(OH.operations @ direction == -np.array(direction)).all(1)]
    own, back = blocks_of(keeps, ls), blocks_of(reverses, ls)
    assert len(block_space(keeps, own, own)) == one_way
    assert len(block_space(keeps, own, own, (back[0], back[0]))) == both_ways
    assert own.shape[1] ** 2 == full
    pairs = [(m, m, False) for m in own]
    assert projector_rank(pairs, own.shape[1]) == one_way
    assert projector_rank(pairs + [(m, m, True) for m in back], own.shape[1]) == both_ways


@pytest.mark.parametrize(("name", "count"), [("m-3m", 4), ("-43m", 5), ("4/mmm", 8), ("1", 45)])
def test_onsite_counts(name, count):
    operations = PointGroup(name).operations
    own = blocks_of(operations, SPD)
    space = block_space(operations, own, own, (np.eye(9), np.eye(9)))
    assert len(space) == count
    assert np.allclose(space.basis, space.basis.transpose(0, 2, 1))


def test_onsite_irreps_by_schur():
    """In O_h s, p and d make A1g, T1u and Eg + T2g: no two are equal, each is one number."""
    own = blocks_of(OH.operations, SPD)
    space = block_space(OH.operations, own, own, (np.eye(9), np.eye(9)))
    assert space.irreps == ("A1g", "Eg", "T2g", "T1u")


@pytest.mark.parametrize("name", ["4", "3", "-4", "6", "23", "m-3", "4/m", "3m1", "222"])
@pytest.mark.parametrize("angle", [0.0, 1e-8, 1e-5, 1.0])
def test_spaces_against_projectors(name, angle):
    """Also for the groups with irreps of complex type, where J is a second number, and in axes that are any, or almost
    special: there some projections of unit vectors nearly vanish."""
    group = PointGroup(name)
    turn = Rotation.from_rotvec(angle * np.array([0.3, -0.5, 0.7])).as_matrix()
    operations = turn @ group.operations @ turn.T
    left, right = blocks_of(operations, (0, 1, 2)), blocks_of(operations, (1, 2))
    space = block_space(operations, left, right)
    projector = np.einsum("gij,gkl->ikjl", left, right).reshape(72, 72) / len(operations)
    flat = space.basis.reshape(len(space), 72)
    assert np.allclose(flat @ flat.T, np.eye(len(space)), atol=1e-12)
    assert np.allclose(flat.T @ flat, projector, atol=1e-10)


@pytest.mark.parametrize("name", ["4mm", "3m1", "mm2", "4", "23", "-43m"])
def test_coupling_coefficients_span_the_same_space(name):
    """H = Σ U^{γn}_{αi,βj} h^γ_n with h in the trivial irrep of the bond's group (theory, section 5)."""
    group = PointGroup(name)
    left, right = (blocks_of(group.operations, ls) for ls in ((0, 1), (1, 2)))
    space = block_space(group.operations, left, right)
    from irrepnet.groups import intertwiners

    coupled = []
    for a in group.irreps:
        for b in group.irreps:
            coupling = group.coupling(a.label, b.label, group.trivial.label)  # (copies, 1, d_a · d_b) or (copies, d, …)
            coupling = np.asarray(coupling).reshape(-1, a.dim, b.dim)
            for rows in intertwiners(a, left):
                for columns in intertwiners(b, right):
                    coupled += [rows.T @ own @ columns for own in coupling]
    coupled = np.array(coupled).reshape(len(coupled), -1)
    flat = space.basis.reshape(len(space), -1)
    assert np.allclose(coupled @ flat.T @ flat, coupled, atol=1e-10)
    if all(irrep.type == "real" for irrep in group.irreps):
        assert np.linalg.matrix_rank(coupled) == len(space)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), name=st.sampled_from(["4mm", "3", "mm2", "-43m", "m-3"]))
def test_coefficients_both_ways(seed, name):
    random = np.random.default_rng(seed)
    operations = PointGroup(name).operations
    own = blocks_of(operations, SPD)
    space = block_space(operations, own, own)
    numbers = random.normal(size=(3, len(space)))
    blocks = space.blocks(numbers)
    assert np.allclose(space.coefficients(blocks), numbers, atol=1e-12)
    assert np.allclose(own[:, None] @ blocks @ own[:, None].transpose(0, 1, 3, 2), blocks, atol=1e-12)


def test_published_count_of_rock_salt():
    """MgO with Mg sssPP and O ssppd within 8 Å: 60,894 elements of H, 898 independent; NaCl scaled to its length."""
    basis = crystal_orbitals("NaCl", "Na:ssspp,Cl:ssppd")
    cutoff = 8.0 * basis.cell.lattice[0, 1] / (4.212 / 2)
    counts = count_blocks(basis, abs(cutoff))
    assert sum(len(c.orbit.members) * c.orbit.space.basis[0].size for c in counts) == 60894
    assert sum(c.allowed for c in counts) == 898


def test_counts_of_a_crystal():
    counts = count_blocks(crystal_orbitals("NaCl", "spd"), 3.0)
    onsite, bond = [c for c in counts if c.orbit.is_onsite], counts[-1]
    assert [(c.full, c.two_centre, c.allowed) for c in onsite] == [(45, 3, 4)] * 2
    assert (bond.full, bond.two_centre, bond.allowed, len(bond.orbit.members)) == (81, 14, 15, 12)
    assert bond.orbit.space.group.name == "4mm"
    silicon = count_blocks(crystal_orbitals("Si", "spd"), 2.5)
    assert [(c.full, c.two_centre, c.allowed) for c in silicon] == [(45, 3, 5), (81, 10, 12)]


@pytest.mark.parametrize(
    ("formula", "shells"), [("NaCl", "Na:sp,Cl:spd"), ("Si", "spd"), ("TiO2", "Ti:sd,O:sp"), ("MgAl2O4", "O:p")]
)
def test_orbits_cover_all_bonds_once(formula, shells):
    basis = crystal_orbitals(formula, shells)
    act, bonds = action(basis), bonds_within(basis, 4.0)
    orbits = bond_orbits(act, bonds)
    members = np.concatenate([orbit.members for orbit in orbits])
    assert len(members) == len(np.unique(members, axis=0)) == len(bonds)
    for orbit in orbits:
        ends = basis.centres[orbit.members[:, 1]] + orbit.members[:, 2:] - basis.centres[orbit.members[:, 0]]
        assert np.allclose(np.linalg.norm(ends @ basis.cell.lattice, axis=1), orbit.distance)


@pytest.mark.parametrize(("formula", "shells"), [("NaCl", "Na:s,Cl:spd"), ("Si", "sp"), ("TiO2", "Ti:sd,O:p")])
def test_reduced_both_ways(formula, shells):
    """Numbers → blocks → numbers exactly; the blocks are Hermitian and symmetric; symmetrising changes nothing."""
    small = random_reduced(crystal_orbitals(formula, shells), 4.0, seed=1, overlap=True)
    full = small.expand()
    act = action(full.basis)
    for overlap in (False, True):
        assert hermiticity(full, overlap) < 1e-13
        assert symmetry_residual(full, act, overlap).symmetry < 1e-12
    again = reduced(full)
    assert np.array_equal(again.bonds, small.bonds)
    assert np.allclose(again.H, small.H, atol=1e-12)
    assert np.allclose(again.S, small.S, atol=1e-12)


def test_the_reduced_part_is_the_symmetric_part():
    """Without symmetry, the numbers give the mean over the group: two ways to the same blocks."""
    full = random_hamiltonian("TiO2", "Ti:s,O:p")
    from dataclasses import replace

    noisy = replace(full, H=full.H + np.random.default_rng(0).normal(size=full.H.shape) * (full.H != 0))
    mean = symmetrised(noisy, action(full.basis))
    again = reduced(noisy).expand()
    assert np.allclose(again.H, mean.H[mean.index(again.R)], atol=1e-12)


def test_copper_by_its_numbers(data, tmp_path):
    folder = data / "Cu_spd_symmetrized"
    full = read_hamiltonian(folder / "Cu_hr.dat.gz", folder / "wt.in")
    small = reduced(full)
    assert full.H.size == 49977
    assert len(small) == 698
    write_reduced(small, tmp_path / "Cu.safetensors")
    again = read_hamiltonian(tmp_path / "Cu.safetensors")
    assert again.basis.names == full.basis.names
    assert abs(again.H[again.index(full.R)] - full.H).max() < 1e-13


def test_file_both_ways(tmp_path, monkeypatch):
    small = random_reduced(crystal_orbitals("TiO2", "Ti:sd,O:p"), 4.0, seed=1, overlap=True)
    path = tmp_path / "TiO2.safetensors"
    write_reduced(small, path)
    again = read_reduced(path)
    assert np.array_equal(again.H, small.H)
    assert np.array_equal(again.S, small.S)
    assert np.array_equal(again.expand().H, small.expand().H)
    import irrepnet.hamiltonians.blocks as blocks

    copies = blocks._copies
    monkeypatch.setattr(blocks, "_copies", lambda irrep, representation: copies(irrep, representation)[::-1])
    blocks._block_space.cache_clear()
    with pytest.raises(IrrepnetError, match="other bases of blocks"):
        read_reduced(path)
    blocks._block_space.cache_clear()
    path.write_bytes(b"not that")
    with pytest.raises(IrrepnetError, match="cannot be read as a reduced"):
        read_reduced(path)


def test_refusals():
    full = random_hamiltonian("NaCl", "Na:s,Cl:p")
    with pytest.raises(IrrepnetError, match="imaginary parts"):
        reduced(full.in_convention("complex"))
    with pytest.raises(IrrepnetError, match="real orbitals"):
        count_blocks(full.basis.in_convention("complex"), 3.0)
    with pytest.raises(IrrepnetError, match="distance in Å"):
        count_blocks(full.basis, -1.0)
