"""Hamiltonians with spin: their symmetry, time reversal, independent numbers, bands, the spin–orbit term."""

import itertools
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core.periodic_table import Element
from scipy.linalg import expm
from tests.hamiltonians.made import EXAMPLES, crystal_orbitals, random_hamiltonian, random_reduced

from irrepnet.crystals import Cell, read_cell
from irrepnet.errors import IrrepnetError
from irrepnet.groups import PAULI, DoubleGroup, PointGroup, spinor_matrices
from irrepnet.hamiltonians import (
    ATOMIC_SPIN_ORBIT,
    Hamiltonian,
    OrbitalBasis,
    Shell,
    action,
    atomic_basis,
    band_irreps,
    block_space,
    count_blocks,
    embedded_hamiltonians,
    fermi_energy,
    hermiticity,
    load_hamiltonian,
    read_reduced,
    reduced,
    space_group,
    spin_orbit_term,
    strengths_from_text,
    symmetrised,
    symmetry_residual,
    topological_indices,
    violations,
    with_spin,
    with_spin_orbit,
    write_hamiltonian,
    write_reduced,
)
from irrepnet.hamiltonians.orbitals import racah_angular_momentum, racah_matrices
from irrepnet.hamiltonians.reports import check_files, draw_bands

CRYSTALS = [("NaCl", "Na:s,Cl:sp", 3.5), ("TiO2", "Ti:d,O:p", 2.5), ("SrTiO3", "Ti:d,O:p", 2.5), ("CaF2", "sp", 3.0)]
POINTS = ([0, 0, 0], [0.5, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0.25, 0.75], [0.1, 0.2, 0.3], [0.2, 0.2, 0])


def spinful_basis(formula: str, shells: str) -> OrbitalBasis:
    return replace(crystal_orbitals(formula, shells), spinful=True)


def noisy(formula: str, shells: str, cutoff: float, seed: int = 3) -> Hamiltonian:
    """Not symmetric, not Hermitian, without time reversal."""
    found = random_reduced(spinful_basis(formula, shells), cutoff, seed).expand()
    random = np.random.default_rng(seed)
    real, imaginary = 0.1 * random.normal(size=(2, *found.H.shape))
    return replace(found, H=found.H + real + 1j * imaginary)


@pytest.mark.parametrize(("formula", "shells", "cutoff"), CRYSTALS)
def test_made_of_allowed_blocks(formula, shells, cutoff):
    """Hermitian, symmetric, and Kramers pairs equal at k and −k; at once where k is −k, everywhere with inversion."""
    numbers = random_reduced(spinful_basis(formula, shells), cutoff, 1)
    hamiltonian = numbers.expand()
    act = action(hamiltonian.known_basis)
    residual = symmetry_residual(hamiltonian, act)
    assert hermiticity(hamiltonian) < 1e-13
    assert residual.symmetry < 1e-13
    assert residual.time_reversal is not None
    assert residual.time_reversal < 1e-13
    levels = hamiltonian.eigenvalues(np.random.default_rng(0).uniform(size=(5, 3)))
    assert abs(levels[:, ::2] - levels[:, 1::2]).max() < 1e-12
    again = reduced(hamiltonian)
    assert np.allclose(again.H, numbers.H, atol=1e-13)


@pytest.mark.parametrize(("formula", "shells", "cutoff"), CRYSTALS[:3])
def test_symmetrised(formula, shells, cutoff):
    """The projection: it leaves nothing, changes nothing again, and is what the independent numbers keep."""
    given_ = noisy(formula, shells, cutoff)
    act = action(given_.known_basis)
    made = symmetrised(given_, act)
    assert hermiticity(made) < 1e-13
    assert symmetry_residual(made, act).symmetry < 1e-13
    assert abs(symmetrised(made, act).H - made.H).max() < 1e-13
    kept = reduced(given_).expand()
    assert np.allclose(kept.eigenvalues([0.1, 0.2, 0.3]), made.eigenvalues([0.1, 0.2, 0.3]), atol=1e-12)
    taken = violations(given_, made, act)
    squares = taken.translations**2 + sum(x**2 for x in (*taken.irreps.values(), *taken.rules.values()))
    assert taken.rules.keys() == {"Hermiticity", "time reversal"}
    assert taken.total**2 == pytest.approx(squares)


def test_a_plain_average_agrees():
    """All operations of the space group, each with and without time reversal, one after the other on full matrices."""
    given_ = noisy("NaCl", "Na:s,Cl:sp", 3.0)
    act = action(given_.known_basis)
    made = symmetrised(given_, act)
    basis, group = act.basis, act.group
    assert len(group) == 96
    blocks = dict(zip(map(tuple, given_.R.tolist()), given_.H))
    total = {tuple(R): np.zeros_like(given_.H[0]) for R in made.R.tolist()}
    for g in range(len(group)):
        for R, block in blocks.items():
            block = block.conj() if group.reverses_time[g] else block
            for a in range(len(basis.centres)):
                for b in range(len(basis.centres)):
                    rows, columns = basis.orbitals[a], basis.orbitals[b]
                    a2, b2 = act.permutation[g, a], act.permutation[g, b]
                    cell = group.rotations[g] @ R + act.cells[g, b] - act.cells[g, a]
                    D, D2 = act.matrices[a][g], act.matrices[b][g]
                    image = D @ block[np.ix_(rows, columns)] @ D2.conj().T
                    total[tuple(cell.tolist())][np.ix_(basis.orbitals[a2], basis.orbitals[b2])] += image / len(group)
    for R, block in zip(made.R.tolist(), made.H):
        mean = (total[tuple(R)] + total[tuple(-x for x in R)].conj().T) / 2
        assert np.allclose(block, mean, atol=1e-13)


@pytest.mark.parametrize(("formula", "shells", "cutoff"), CRYSTALS)
def test_levels_have_double_valued_irreps(formula, shells, cutoff):
    """Levels are corepresentations; the operators U(g) commute with H(k) up to k' = k W⁻¹, and Θ leads to −k."""
    hamiltonian = random_reduced(spinful_basis(formula, shells), cutoff, 2).expand()
    act = action(hamiltonian.known_basis)
    unitary = len(act.group.elements)
    for k in map(np.array, POINTS):
        levels = band_irreps(hamiltonian, act, k)
        assert sum(len(level.bands) for level in levels) == len(hamiltonian)
        assert all(len(level.bands) % 2 == 0 for level in levels)  # these crystals have inversion
        operators = act.on_bloch_sums(list(range(unitary)), k)
        for g, U in enumerate(operators):
            image = k @ np.linalg.inv(act.group.rotations[g])
            assert np.allclose(hamiltonian.H_at(image), U @ hamiltonian.H_at(k) @ U.conj().T, atol=1e-12)
        turn = np.kron(np.eye(len(hamiltonian) // 2), [[0, -1], [1, 0]])
        assert np.allclose(hamiltonian.H_at(-k), turn @ hamiltonian.H_at(k).conj() @ turn.T, atol=1e-12)


def test_levels_at_gamma_are_those_of_the_product():
    """The irreps of all bands at Γ are the orbitals' times Ē: without spin, and with it."""
    plain = random_hamiltonian("SrTiO3", "Ti:d,O:p", 2.5)
    act = action(plain.known_basis)
    both = random_reduced(replace(plain.known_basis, spinful=True), 2.5, 5).expand()
    double = DoubleGroup("Oh")
    expected: dict[str, int] = {}
    for level in band_irreps(plain, act, [0, 0, 0]):
        for label, count in level.irreps.items():
            for with_spin_, number in double.product(label, "Γ6+").items():
                expected[with_spin_] = expected.get(with_spin_, 0) + count * number
    found: dict[str, int] = {}
    for level in band_irreps(both, action(both.known_basis), [0, 0, 0]):
        for label, count in level.irreps.items():
            found[label] = found.get(label, 0) + count
    assert found == expected


@pytest.mark.parametrize(("name", "count"), [("Oh", 7), ("Td", 10), ("D4h", 16)])
def test_onsite_counts(name, count):
    """spd with spin on site, by hand. Oh: s Γ6+, p Γ6- Γ8-, d Γ7+ 2Γ8+: 1 + 2 + 1 + 3; Td: Γ6, 2Γ7, 3Γ8: 1 + 3 + 6."""
    group = PointGroup(name)
    u = DoubleGroup(name).spinors[: group.order]
    basis = OrbitalBasis(
        Cell(np.eye(3), np.zeros((1, 3)), np.array([14]), "one"),
        np.zeros((1, 3)),
        tuple(Shell.of(0, l) for l in range(3)),
        spinful=True,
    )
    D = basis.matrices(0, 0, group.operations, u)
    one = np.eye(len(basis))
    space = block_space(group.operations, D, D, (one, one), u, (basis.time_reversal(0),) * 2)
    assert len(space) == count == _rank(D, basis.time_reversal(0))
    assert set(space.irreps) <= {irrep.label for irrep in DoubleGroup(name).double_valued}


def _rank(D: np.ndarray, theta: np.ndarray) -> int:
    """Dimension over the reals of the Hermitian matrices that commute with D(g) and Θ K, by projecting all units."""
    n = len(theta)
    units = np.eye(n * n).reshape(-1, n, n)
    units = np.concatenate([units, 1j * units])
    mean = np.einsum("gij,mjk,glk->mil", D, units, D.conj(), optimize=True) / len(D)
    mean = (mean + theta @ mean.conj() @ theta.conj().T) / 2
    mean = (mean + mean.conj().transpose(0, 2, 1)) / 2
    flat = mean.reshape(len(mean), -1)
    return int(np.linalg.matrix_rank(np.concatenate([flat.real, flat.imag], 1), tol=1e-9))


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(["mm2", "3m1", "4mm", "222", "-6m2", "23", "-3", "1", "-1", "2", "4"]), st.integers(0, 100))
def test_spaces_against_projectors(name, seed):
    """On site in any axes, s and p: as many numbers as a plain projection leaves, and all of what it leaves."""
    group = PointGroup(name)
    random = np.random.default_rng(seed)
    turn = np.linalg.qr(random.normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    operations = turn @ group.operations @ turn.T
    basis = OrbitalBasis(
        Cell(np.eye(3), np.zeros((1, 3)), np.array([14]), "one"),
        np.zeros((1, 3)),
        (Shell.of(0, 0), Shell.of(0, 1)),
        spinful=True,
    )
    D, theta, one = basis.matrices(0, 0, operations), basis.time_reversal(0), np.eye(8)
    space = block_space(operations, D, D, (one, one), spinor_matrices(operations), (theta, theta))
    assert len(space) == _rank(D, theta)
    block = random.normal(size=(8, 8)) + 1j * random.normal(size=(8, 8))
    mean = (D @ block @ D.conj().transpose(0, 2, 1)).mean(0)
    mean = (mean + theta @ mean.conj() @ theta.conj().T) / 2
    mean = (mean + mean.conj().T) / 2
    assert np.allclose(space.blocks(space.coefficients(block)), mean, atol=1e-12)


@pytest.mark.parametrize("convention", ["deeptb", "wannier90", "sisl", "deeph", "complex"])
def test_time_reversal_of_every_code(convention):
    """Θ K commutes with all D(g), squares to −1, and anticommutes with L ⊗ 1 and 1 ⊗ σ."""
    shells = tuple(Shell.of(0, l, convention) for l in range(4))
    basis = OrbitalBasis(
        Cell(np.eye(3), np.zeros((1, 3)), np.array([14]), "one"), np.zeros((1, 3)), shells, spinful=True
    )
    theta = basis.time_reversal(0)
    assert np.allclose(theta @ theta.conj(), -np.eye(len(basis)))
    D = basis.matrices(0, 0, PointGroup("m-3m").operations)
    assert np.allclose(D @ theta, theta @ D.conj())
    one = np.eye(2)
    for l in range(4):
        x, y, z = racah_angular_momentum(l)
        assert np.allclose(x @ y - y @ x, 1j * z)
        assert np.allclose(x @ x + y @ y + z @ z, l * (l + 1) * np.eye(2 * l + 1))
        for L in (x, y, z):
            assert np.allclose(L, L.conj().T)
            assert np.allclose(L.conj(), -L)
    for s in PAULI:
        spin = np.kron(np.eye(len(basis) // 2), s)
        assert np.allclose(theta @ spin.conj(), -spin @ theta)
    harmonics = np.kron(basis.coefficients, one)
    assert np.allclose(harmonics @ harmonics.conj().T, np.eye(len(basis)))


def test_time_reversal_needs_partners():
    shells = (Shell(0, 1, (1,), "complex"),)
    basis = OrbitalBasis(
        Cell(np.eye(3), np.zeros((1, 3)), np.array([14]), "one"), np.zeros((1, 3)), shells, spinful=True
    )
    with pytest.raises(IrrepnetError, match=r"takes p\+1 of site 1 out of their span"):
        basis.time_reversal(0)


def test_angular_momentum_generates_rotations():
    """exp(−iθ L_z) on the harmonics is D of the rotation by θ about z, and so for x: signs and all."""
    for l in range(4):
        for axis, turn in ((2, [[0, -1, 0], [1, 0, 0], [0, 0, 1]]), (0, [[1, 0, 0], [0, 0, -1], [0, 1, 0]])):
            D = racah_matrices(np.array([turn], float), l)[0]
            assert np.allclose(expm(-0.5j * np.pi * racah_angular_momentum(l)[axis]), D, atol=1e-12)


@pytest.mark.parametrize("convention", ["deeptb", "wannier90", "sisl", "deeph", "complex"])
def test_spin_orbit_levels(convention):
    """λ L·S: j = l + 1/2 at λ l/2, j = l − 1/2 at −λ (l + 1)/2, and nothing else."""
    cell = Cell(10 * np.eye(3), np.zeros((1, 3)), np.array([83]), "one")
    basis = replace(atomic_basis(cell, {"Bi": (0, 1, 2, 3)}, convention), spinful=True)
    term = spin_orbit_term(basis, {"Bi": {"p": 1.25, "d": 0.4, "f": 0.1}})
    assert np.allclose(term, term.conj().T)
    expected = [0.0] * 2
    for l, strength in ((1, 1.25), (2, 0.4), (3, 0.1)):
        expected += [strength * l / 2] * (2 * l + 2) + [-strength * (l + 1) / 2] * (2 * l)
    assert np.allclose(np.linalg.eigvalsh(term), sorted(expected))
    act_on = basis.matrices(0, 0, PointGroup("m-3m").operations)
    assert np.allclose(act_on @ term, term @ act_on)
    theta = basis.time_reversal(0)
    assert np.allclose(theta @ term.conj() @ theta.conj().T, term)


def test_atoms_split_as_measured():
    """One electron in p: j = 3/2 and 1/2 of free B, Al; one hole of F, Cl, Br, I; in cm⁻¹."""
    measured = {"B": 15.287, "Al": 112.061, "F": 404.141, "Cl": 882.352, "Br": 3685.24, "I": 7602.976}
    for element, width in measured.items():
        cell = Cell(10 * np.eye(3), np.zeros((1, 3)), np.array([Element(element).Z]), element)
        basis = replace(atomic_basis(cell, {element: (1,)}), spinful=True)
        levels = np.linalg.eigvalsh(spin_orbit_term(basis, {element: ATOMIC_SPIN_ORBIT[element]}))
        assert (levels[-1] - levels[0]) * 8065.544 == pytest.approx(width, rel=1e-5)


def test_the_table_of_atoms():
    """All elements of what comes with the package; rising along rows and down groups; copper as measured in its ²D."""
    elements = {symbol for name in embedded_hamiltonians() for symbol in re.findall("[A-Z][a-z]?", name.split("-")[0])}
    assert len(elements) > 30
    assert elements <= set(ATOMIC_SPIN_ORBIT)
    rows = ["B C N O F Ne", "Al Si P S Cl Ar", "Ga Ge As Se Br Kr", "In Sn Sb Te I Xe", "Tl Pb Bi Po At Rn"]
    p = np.array([[ATOMIC_SPIN_ORBIT[symbol]["p"] for symbol in row.split()] for row in rows])
    assert (np.diff(p, axis=0) > 0).all()
    assert (np.diff(p, axis=1) > 0).all()
    rows = ["Sc Ti V Cr Mn Fe Co Ni Cu Zn", "Y Zr Nb Mo Tc Ru Rh Pd Ag Cd", "Lu Hf Ta W Re Os Ir Pt Au Hg"]
    d = np.array([[ATOMIC_SPIN_ORBIT[symbol]["d"] for symbol in row.split()] for row in rows])
    assert (np.diff(d, axis=0) > 0).all()
    assert (np.diff(d, axis=1) > 0).all()
    assert ATOMIC_SPIN_ORBIT["Cu"]["d"] == pytest.approx(2042.8 * 2 / 5 / 8065.544, rel=0.1)  # cm⁻¹, of d⁹ s²
    assert all(0 < strength < 3 for own in ATOMIC_SPIN_ORBIT.values() for strength in own.values())


def test_gallium_arsenide_valence_bands_split():
    """Γ15 of zinc blende, 6 with both spins, becomes Γ8 (4) above Γ7 (2), 3λ/2 apart were it all p of one atom."""
    plain = load_hamiltonian("AlAs-zincblende-1.00").expand()
    act = action(plain.known_basis)
    top = next(level for level in band_irreps(plain, act, [0, 0, 0], 1e-3) if level.bands[-1] == 3)
    assert top.label == "T2"
    zero = with_spin_orbit(plain, {"As": {"p": 0.0}})
    assert np.allclose(zero.eigenvalues([0.1, 0.2, 0.3])[::2], plain.eigenvalues([0.1, 0.2, 0.3]), atol=1e-9)
    coupled = with_spin_orbit(plain, {"As": {"p": 0.2}})
    double = action(coupled.known_basis)
    assert symmetry_residual(coupled, double).symmetry < 1e-5  # of the data: 32 bits
    levels = {level.bands: level for level in band_irreps(coupled, double, [0, 0, 0], 1e-3)}
    assert levels[4, 5, 6, 7].label == "F̄"
    gap = levels[4, 5, 6, 7].energy - levels[2, 3].energy
    assert levels[2, 3].label == "Ē2"
    assert 0.6 * 0.3 < gap < 0.3  # most of it is As p
    # off Γ, along a general k, zinc blende has no inversion: spins split, Kramers pairs are at k and −k
    k = np.array([0.13, 0.22, 0.31])
    energies = coupled.eigenvalues(k)
    assert np.allclose(energies, coupled.eigenvalues(-k), atol=1e-6)
    assert abs(energies[6] - energies[7]) > 1e-4


def test_spin_orbit_is_refused_where_it_cannot_be():
    plain = random_hamiltonian("NaCl", "Na:s,Cl:sp", 3.0)
    with pytest.raises(IrrepnetError, match="no shell Na:p for spin–orbit coupling; there are Cl:p"):
        with_spin_orbit(plain, {"Na": {"p": 0.1}})
    with pytest.raises(IrrepnetError, match="energy in eV"):
        with_spin_orbit(plain, {"Cl": {"p": np.nan}})
    with pytest.raises(IrrepnetError, match="has spin already"):
        with_spin(with_spin(plain))
    with pytest.raises(IrrepnetError, match="differ"):
        with_spin(plain, random_hamiltonian("NaCl", "Na:s,Cl:spd", 3.0))
    basis = plain.known_basis
    assert strengths_from_text("Bi:p=1.25, Te:p=0.5,Bi:d=1e-1", basis) == {
        "Bi": {"p": 1.25, "d": 0.1},
        "Te": {"p": 0.5},
    }
    assert strengths_from_text("Bi:p=1.25,Cl", basis) == {"Bi": {"p": 1.25}, "Cl": ATOMIC_SPIN_ORBIT["Cl"]}
    with pytest.raises(IrrepnetError, match="no λ of the atom U in the table"):
        strengths_from_text("Cl,U", basis)
    with pytest.raises(IrrepnetError, match="no shell Na:p"):
        with_spin_orbit(plain, strengths_from_text("Na", basis))
    zinc = atomic_basis(Cell(10 * np.eye(3), np.zeros((1, 3)), np.array([30]), "zinc"), {"Zn": (0, 1)})  # no d
    assert strengths_from_text("Zn", zinc) == {"Zn": {"p": ATOMIC_SPIN_ORBIT["Zn"]["p"]}}
    for text in ("Bi=1", "Bi:s=1", "Bi:p", "", "Bi:p=1.2.3"):
        with pytest.raises(IrrepnetError, match="written with λ in eV"):
            strengths_from_text(text, basis)


def test_both_spins_of_one():
    plain = random_hamiltonian("TiO2", "Ti:d,O:p", 2.5)
    both = with_spin(plain)
    assert np.allclose(both.eigenvalues([0.1, 0.2, 0.3])[::2], plain.eigenvalues([0.1, 0.2, 0.3]))
    assert symmetry_residual(both, action(both.known_basis)).symmetry < 1e-12
    assert both.known_basis.names[:2] == ("Ti1 dxy up", "Ti1 dxy down")
    assert fermi_energy(both, 24) == pytest.approx(fermi_energy(plain, 24))


def test_counts_of_a_crystal():
    """Spin adds numbers, and no fewer than the orbitals' own."""
    plain, both = (count_blocks(replace(crystal_orbitals("NaCl", "Na:s,Cl:sp"), spinful=s), 3.0) for s in (False, True))
    assert [c.allowed for c in plain] == [1, 2, 2]
    assert [c.allowed for c in both] == [1, 3, 3]
    assert [c.two_centre for c in both] == [1, 3, 2]
    assert [c.full for c in both] == [4, 64, 32]


def test_file_both_ways(tmp_path):
    numbers = random_reduced(spinful_basis("SrTiO3", "Ti:d,O:p"), 2.5, 4)
    write_reduced(numbers, tmp_path / "made.safetensors")
    again = read_reduced(tmp_path / "made.safetensors")
    assert again.basis.spinful
    assert np.array_equal(again.H, numbers.H)
    assert np.array_equal(again.expand().H, numbers.expand().H)


# -- magnetism


IRON = Cell(2.87 / 2 * np.array([[-1.0, 1, 1], [1, -1, 1], [1, 1, -1]]), np.zeros((1, 3)), np.array([26]), "Fe")
PAIR = Cell(np.diag([3.0, 3, 3]), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array([26, 26]), "FeFe")


def magnet(cell: Cell, moments) -> Hamiltonian:
    """Random, symmetric under the magnetic space group of the moments, and with an exchange field along them."""
    basis = replace(atomic_basis(cell, {"Fe": (0, 2)}), spinful=True, moments=np.array(moments, float))
    return random_reduced(basis, 3.0, 7).expand()


@pytest.mark.parametrize(
    ("cell", "moments", "unitary", "reversing", "point_group"),
    [
        (IRON, [[0, 0, 2.2]], 16 // 2, 8, "4/m"),  # type III: 4/mm'm'
        (IRON, [[0, 0, 0.0]], 48, 48, "m-3m"),  # none
        (PAIR, [[0, 0, 2], [0, 0, -2]], 16, 16, "4/mmm"),  # type IV: time reversal with the centring
        (IRON, [[1, 2, 3.0]], 2, 0, "-1"),
    ],
)
def test_magnetic_space_groups(cell, moments, unitary, reversing, point_group):
    """Known groups; what they allow obeys them, keeps the moments, and is symmetrised to itself."""
    hamiltonian = magnet(cell, moments)
    act = action(hamiltonian.known_basis)
    group = act.group
    assert (len(group.elements), int(group.reverses_time.sum())) == (unitary, reversing)
    assert group.point_group == PointGroup(point_group)
    assert symmetry_residual(hamiltonian, act).symmetry < 1e-13
    made = symmetrised(hamiltonian, act)
    assert abs(made.H - hamiltonian.H[hamiltonian.index(made.R)]).max() < 1e-13
    # an axial field m·σ on each atom is allowed along its moment
    spin = np.zeros_like(hamiltonian.H)
    home, basis = int(hamiltonian.index(np.zeros(3, int))), act.basis
    for site, moment in enumerate(basis.moments):
        own = basis.orbitals[site]
        field = np.kron(np.eye(len(own) // 2), np.tensordot(moment, PAULI, 1))
        spin[home][np.ix_(own, own)] = field
    assert symmetry_residual(replace(hamiltonian, H=spin), act).symmetry < 1e-12


def test_a_type_four_magnet_has_kramers_pairs_with_inversion():
    hamiltonian = magnet(PAIR, [[0, 0, 2], [0, 0, -2]])
    levels = hamiltonian.eigenvalues([0.1, 0.2, 0.3])
    assert abs(levels[::2] - levels[1::2]).max() < 1e-12  # time reversal, centring and inversion: Θ² = −1 at every k
    levels = magnet(IRON, [[0, 0, 2.2]]).eigenvalues([0.1, 0.2, 0.3])
    assert abs(levels[::2] - levels[1::2]).min() > 1e-6


def test_irreps_of_a_magnet():
    hamiltonian = magnet(IRON, [[0, 0, 2.2]])
    levels = band_irreps(hamiltonian, action(hamiltonian.known_basis), [0, 0, 0])
    assert len(levels) == 12
    assert {level.label for level in levels} == {"1Ē1g", "2Ē1g", "1Ē2g", "2Ē2g"}


def test_collinear_magnets_without_spin():
    """Operations keep the signs of the moments; moments along several axes need spin."""
    ferro = space_group(PAIR, moments=np.array([[0, 0, 2], [0, 0, 2.0]]))
    anti = space_group(PAIR, moments=np.array([[1, 1, 0], [-1, -1, 0.0]]))
    assert (len(ferro), len(anti)) == (96, 48)
    assert not anti.reverses_time.any()
    with pytest.raises(IrrepnetError, match="several axes"):
        space_group(PAIR, moments=np.array([[0, 0, 2], [0, 2.0, 0]]))
    with pytest.raises(IrrepnetError, match="three finite numbers"):
        space_group(PAIR, spinful=True, moments=np.array([[0, 0, 2.0]]))


def test_spglib_and_moyo_agree_on_what_moments_leave():
    """Tiny moments of a crystal in its own frame: the operations are among those without moments."""
    basis = crystal_orbitals("TiO2", "Ti:d,O:p")
    moments = np.zeros((len(basis.cell.numbers), 3))
    moments[basis.cell.numbers == 22] = [[0, 0, 1], [0, 0, -1]]
    plain = space_group(basis.cell)
    magnetic = space_group(basis.cell, spinful=True, moments=moments)
    for W, t in zip(magnetic.rotations, magnetic.translations):
        (same,) = np.flatnonzero((plain.rotations == W).all((1, 2)))
        assert np.allclose((plain.translations[same] - t + 0.5) % 1, 0.5, atol=1e-3)
    assert len(magnetic) == 16  # rutile: the moments' two signs are exchanged by half of the operations
    assert magnetic.reverses_time.sum() == 8


def test_magnetic_file_both_ways(tmp_path):
    numbers = reduced(magnet(IRON, [[0, 0, 2.2]]))
    write_reduced(numbers, Path(tmp_path) / "iron.safetensors")
    again = read_reduced(tmp_path / "iron.safetensors")
    assert np.array_equal(again.basis.moments, numbers.basis.moments)
    assert np.allclose(again.expand().H, numbers.expand().H)


# -- topology


def fu_kane_mele(stretched: float, coupling: float = 0.1, level: float = 0.0) -> Hamiltonian:
    """s orbitals on diamond with spin, one bond of t = 1 + stretched and three of 1, and spin–orbit hops to second
    neighbours (Phys. Rev. Lett. 98, 106803 (2007)); `level` apart the sites are no longer equal."""
    vectors = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2
    cell = read_cell({"species": ["Si", "Si"], "frac_coords": [[0, 0, 0], [0.25] * 3], "lattice": 4 * vectors})
    bonds = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / 4
    blocks: dict[tuple[int, ...], np.ndarray] = {
        (0, 0, 0): np.kron(np.diag([level, -level]), np.eye(2)).astype(complex)
    }

    def add(shift, a, b, matrix):
        R = tuple(np.rint(shift @ np.linalg.inv(vectors)).astype(int))
        block = blocks.setdefault(R, np.zeros((4, 4), complex))
        block[2 * a : 2 * a + 2, 2 * b : 2 * b + 2] += matrix

    for number, bond in enumerate(bonds):
        t = 1 + stretched * (number == 0)
        add(bond - bonds[0], 0, 1, t * np.eye(2))
        add(bonds[0] - bond, 1, 0, t * np.eye(2))
    for first, second in itertools.permutations(bonds, 2):
        spin = np.einsum("i,iab->ab", np.cross(first, -second), PAULI)
        add(first - second, 0, 0, 8j * coupling * spin)
        add(second - first, 1, 1, 8j * coupling * np.einsum("i,iab->ab", np.cross(-first, second), PAULI))
    basis = replace(atomic_basis(cell, {"Si": (0,)}), spinful=True)
    return Hamiltonian(np.array(list(blocks)), np.array(list(blocks.values())), None, basis)


@pytest.mark.parametrize(
    ("stretched", "indices"), [(0.5, (1, 1, 1, 1)), (-0.5, (0, 1, 1, 1)), (3.0, (0, 0, 0, 0)), (1.5, (1, 1, 1, 1))]
)
def test_topology_by_parities(stretched, indices):
    """The signs of t₁ + 3t, t₁ + t (three times), t₁ − t (three times) and t₁ − 3t at the eight k are the parities."""
    model = fu_kane_mele(stretched)
    assert hermiticity(model) < 1e-12
    assert np.allclose(np.diff(model.eigenvalues(np.random.default_rng(0).random((5, 3))))[:, ::2], 0)  # Kramers pairs
    assert topological_indices(model, 2) == indices


def test_topology_that_parities_do_not_tell():
    with pytest.raises(IrrepnetError, match="not of one parity in pairs"):
        topological_indices(fu_kane_mele(0.5, level=0.3), 2)
    with pytest.raises(IrrepnetError, match="cannot be filled with Kramers pairs"):
        topological_indices(fu_kane_mele(0.5), 1)
    with pytest.raises(IrrepnetError, match="with spin, inversion and time reversal only"):
        topological_indices(random_hamiltonian("Si", "sp"), 4)


# -- reports and commands


@pytest.fixture
def iron(tmp_path) -> Path:
    """A magnet, in a file that knows no moments."""
    found = magnet(IRON, [[0, 0, 2.2]])
    found = replace(found, basis=replace(found.known_basis, moments=None)).in_convention("wannier90")
    write_hamiltonian(found, tmp_path / "Fe_hr.dat")
    (tmp_path / "POSCAR").write_text(
        "Fe\n1.0\n-1.435 1.435 1.435\n1.435 -1.435 1.435\n1.435 1.435 -1.435\nFe\n1\nDirect\n0 0 0\n"
    )
    return tmp_path / "Fe_hr.dat"


def test_check_of_a_magnet(iron):
    structure = iron.parent / "POSCAR"
    (report,) = check_files([iron], structure, "Fe:sd")["files"]
    assert report["spin"]
    assert report["time_reversal"] > 0.1
    assert report["point_group"] == "m-3m"
    with pytest.raises(IrrepnetError, match=r"time reversal is violated by .* it is magnetic; give the moments"):
        check_files([iron], structure, "Fe:sd", write_to=iron.parent / "new_hr.dat")
    (report,) = check_files([iron], structure, "Fe:sd", moments="0 0 2.2", write_to=iron.parent / "new_hr.dat")["files"]
    assert report["symmetry"] < 1e-12
    assert report["time_reversal"] is None
    assert sum(operation["reverses_time"] for operation in report["operations"]) == 8
    assert (iron.parent / "new_hr.dat").exists()
    with pytest.raises(IrrepnetError, match="moments are three finite numbers"):
        check_files([iron], structure, "Fe:sd", moments="1; 2")
    with pytest.raises(IrrepnetError, match="moments are one number an atom"):
        check_files([iron], structure, "Fe:sd", moments="1 2")


def test_two_spins_are_checked_apart(tmp_path):
    pytest.importorskip("sisl")
    up, down = (random_hamiltonian("NaCl", "Na:s,Cl:sp", seed=seed) for seed in (1, 2))
    write_hamiltonian(with_spin(up, down), tmp_path / "x.HSX")
    reports = check_files([tmp_path / "x.HSX"])["files"]
    assert [report["file"].rpartition(", ")[2] for report in reports] == ["spin up", "spin down"]
    assert all(report["symmetry"] < 1e-5 and not report["spin"] for report in reports)
    drawn = draw_bands(tmp_path / "x.HSX", tmp_path / "up.png", spin="up")
    assert not drawn["failures"]
    with pytest.raises(IrrepnetError, match="elements between"):
        draw_bands("Si-diamond-1.00", tmp_path / "up.png", spin="up")
    with pytest.raises(IrrepnetError, match="its two spins differ"):
        check_files([tmp_path / "x.HSX"], write_to=tmp_path / "y_hr.dat")


def test_commands(tmp_path):
    from typer.testing import CliRunner

    from irrepnet.cli.main import app

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, ["hamiltonian", *arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    text = run("bands", "AlAs-zincblende-1.00", "--out", str(tmp_path / "b.png"), "--spin-orbit", "As:p=0.2")
    assert "Γ" in text
    assert "F̄" in text
    assert "time reversal" in run("check", "AlAs-zincblende-1.00", "--spin-orbit", "As:p=0.2")
    counts = [
        run("count", str(EXAMPLES / "NaCl.cif"), "--basis", "Na:s,Cl:sp", "--cutoff", "3", *more)
        for more in ((), ("--spin",))
    ]
    assert "5 independent" in counts[0]
    assert "7 independent" in counts[1]
