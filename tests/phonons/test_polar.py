"""LO–TO splitting, oscillator strengths and permittivities against phonopy, pymatgen and sum rules."""

import numpy as np
import pytest
from pymatgen.core import Structure
from scipy import constants as si
from tests.crystals.test_modes import displacement_matrices, random_modes, symmetrised
from tests.phonons.test_gamma import NAMED, UNITS
from tests.prototypes import STRUCTURES, SYMMORPHIC, crystal_of

from irrepnet.errors import IrrepnetError
from irrepnet.phonons import PolarPhonons, gamma_phonons, symmetrised_charges
from irrepnet.phonons.gamma import THZ
from irrepnet.phonons.polar import COULOMB

DIRECTIONS = ([0, 0, 1], [1, 0, 0], [0.3, 0.5, -0.2])
SMALL = [name for name in STRUCTURES if name != "garnet"]


def random_polar(name: str) -> PolarPhonons:
    """Random symmetric force constants, charges that are not symmetric matrices where they need not be, and ε∞."""
    crystal = crystal_of(name)
    n, rng = len(crystal), np.random.default_rng(4)
    constants, _ = random_modes(crystal)
    vectors, displacements = displacement_matrices(crystal)
    charges = symmetrised(vectors, displacements, rng.normal(size=(3, 3 * n))).reshape(3, n, 3).swapaxes(0, 1)
    epsilon = rng.normal(size=(3, 3))
    epsilon = symmetrised(vectors, vectors, np.eye(3) + epsilon @ epsilon.T)
    phonons = gamma_phonons(crystal, constants.reshape(n, 3, n, 3))
    return PolarPhonons.of(phonons, charges - charges.mean(axis=0), epsilon)


@pytest.mark.parametrize("name", [*SMALL, *SYMMORPHIC])
def test_phonopy_splits_the_levels_alike(name):
    phonopy = pytest.importorskip("phonopy")
    from phonopy.structure.atoms import PhonopyAtoms

    polar = random_polar(name)
    assert polar.residual < 1e-12
    crystal, phonons = polar.phonons.crystal, polar.phonons
    cell = PhonopyAtoms(
        cell=crystal.lattice, scaled_positions=crystal.frac_coords, numbers=crystal.numbers, masses=phonons.masses
    )
    theirs = phonopy.Phonopy(cell, np.eye(3, dtype=int), primitive_matrix=np.eye(3))
    theirs.force_constants = phonons.constants.swapaxes(1, 2).copy()
    theirs.nac_params = {
        "born": polar.born_charges,
        "dielectric": polar.electronic,
        "factor": COULOMB / (4 * np.pi),
        "method": "wang",
    }
    for direction in DIRECTIONS:
        theirs.run_qpoints([[0, 0, 0]], nac_q_direction=crystal.lattice @ direction)
        expected = theirs.get_qpoints_dict()["frequencies"][0]
        branches = polar.along(direction)
        found = sorted([0.0] * 3 + [b.frequency for b in branches for _ in b.eigenvectors])
        assert abs(np.array(found) - expected).max() < UNITS * expected.max() + 1e-5  # theirs: zero is 1e-6


@pytest.mark.parametrize("name", [*SMALL, *SYMMORPHIC])
def test_branches_are_eigenvectors(name):
    """Of the dynamical matrix with the term of the field, written out; TO levels keep their very frequency."""
    polar = random_polar(name)
    phonons, size = polar.phonons, 3 * len(polar.phonons.crystal)
    root = np.repeat(np.sqrt(phonons.masses), 3)
    dynamical = phonons.constants.reshape(size, size) / root[:, None] / root
    volume = np.linalg.det(phonons.crystal.lattice)
    exact = {vibration.frequency: vibration for vibration in phonons.optical}
    for direction in DIRECTIONS:
        q = np.array(direction) / np.linalg.norm(direction)
        charge = np.einsum("i,aij->aj", q, polar.born_charges).ravel() / root
        field = COULOMB / volume / (q @ polar.electronic @ q) * np.outer(charge, charge)
        branches = polar.along(direction)
        modes = np.concatenate([b.eigenvectors.reshape(-1, size) for b in branches])
        assert np.allclose(modes @ modes.T, np.eye(size - 3), atol=1e-10)
        for branch in branches:
            own = branch.eigenvectors.reshape(-1, size)
            square = np.sign(branch.frequency) * (branch.frequency / THZ) ** 2
            assert np.allclose(own @ (dynamical + field), square * own, atol=1e-8)
            assert sum(branch.irreps.values()) == pytest.approx(1)
            if branch.kind != "LO":
                assert branch.irreps == {exact[branch.frequency].irrep: 1.0}
            else:
                assert branch.eigenvectors.shape[0] == 1
            assert (branch.kind == "") == (next(iter(branch.irreps)) not in polar_irreps(polar))


def polar_irreps(polar: PolarPhonons) -> set[str]:
    return set(polar.phonons.crystal.point_group.subduce(1, -1))


@pytest.mark.parametrize("name", [*SMALL, *SYMMORPHIC])
def test_generalised_lyddane_sachs_teller(name):
    """Π ω_LO² / Π ω_TO² over all optical modes is q·ε(0)·q / q·ε∞·q, in any direction."""
    polar = random_polar(name)
    assert polar.static is not None
    for direction in DIRECTIONS:
        q = np.array(direction)
        longitudinal = sum(len(b.eigenvectors) * np.log(b.frequency) for b in polar.along(direction))
        transverse = sum(len(v.eigenvectors) * np.log(v.frequency) for v in polar.phonons.optical)
        expected = (q @ polar.static @ q) / (q @ polar.electronic @ q)
        assert 2 * (longitudinal - transverse) == pytest.approx(np.log(expected), rel=1e-9, abs=1e-11)


@pytest.mark.parametrize("name", NAMED)
def test_pymatgen_finds_the_same_permittivity(name):
    """Its oscillator strengths are ours times 4π/Ω, in its units of frequency."""
    from pymatgen.phonon.ir_spectra import IRDielectricTensor

    polar = random_polar(name)
    crystal = polar.phonons.crystal
    modes = [v for v in polar.phonons.vibrations for _ in v.eigenvectors]
    parts = [np.outer(p, p) for v in polar.phonons.vibrations for p in polar.dipoles(v)]
    scale = COULOMB * THZ**2 / np.linalg.det(crystal.lattice)
    frequencies = np.array([v.frequency for v in modes])
    assert (frequencies[:3] == 0).all()
    structure = Structure(crystal.lattice, crystal.species, crystal.frac_coords)
    theirs = IRDielectricTensor(scale * np.array(parts), frequencies, polar.electronic, structure)
    damping = 0.3
    omega, expected = theirs.get_ir_spectra(broad=[damping] * len(frequencies), emax=30.0, divs=50)
    # its damping is Γ ω_m where ours is γ ω: equal at resonance, so compare the static limit and far from lines
    assert np.allclose(expected[0].real, sum_with_damping(polar, damping), rtol=1e-10)
    far = abs(omega[:, None] - frequencies[None]).min(1) > 2
    small = theirs.get_ir_spectra(broad=[1e-9] * len(frequencies), emax=30.0, divs=50)[1]
    assert np.allclose(polar.permittivity(omega, 1e-9)[far].real, small[far].real, rtol=1e-7)
    assert np.allclose(polar.static, small[0].real, rtol=1e-9)


def sum_with_damping(polar: PolarPhonons, damping: float) -> np.ndarray:
    """ε(0) if each mode is damped by Γ ω_m at all frequencies."""
    total = polar.electronic.astype(complex)
    scale = COULOMB * THZ**2 / np.linalg.det(polar.phonons.crystal.lattice)
    for v in polar.phonons.optical:
        total += scale * polar.oscillator_strength(v) / (v.frequency**2 - 1j * damping * v.frequency)
    return total.real


def test_rock_salt_by_hand():
    """One mode: ω_LO² = ω_TO² + e²Z²/(ε₀ε∞Ωμ)."""
    crystal = crystal_of("rock salt")
    spring = 2.0 * np.einsum("ab,ij->aibj", np.array([[1.0, -1.0], [-1.0, 1.0]]), np.eye(3))
    masses, charge, epsilon = [22.99, 35.45], 1.1, 2.5
    polar = PolarPhonons.of(
        gamma_phonons(crystal, spring, masses),
        charge * np.array([1, -1])[:, None, None] * np.eye(3),
        epsilon * np.eye(3),
    )
    reduced = si.atomic_mass * masses[0] * masses[1] / sum(masses)
    volume = 5.64**3 / 4 * si.angstrom**3
    transverse = 2.0 * si.e / si.angstrom**2 / reduced
    longitudinal = transverse + (si.e * charge) ** 2 / (si.epsilon_0 * epsilon * volume * reduced)
    lo, to = polar.along([1, 1, 0])[::-1]
    assert (lo.kind, to.kind, len(lo.eigenvectors), len(to.eigenvectors)) == ("LO", "TO", 1, 2)
    assert to.frequency == pytest.approx(np.sqrt(transverse) / (2 * np.pi) / 1e12, rel=1e-9)
    assert lo.frequency == pytest.approx(np.sqrt(longitudinal) / (2 * np.pi) / 1e12, rel=1e-9)
    (level,) = polar.phonons.optical
    assert np.allclose(polar.oscillator_strength(level), charge**2 / (reduced / si.atomic_mass) * np.eye(3))
    assert np.allclose(polar.static, epsilon * longitudinal / transverse * np.eye(3))


def test_oblique_directions_mix_irreps():
    """In wurtzite A1 and E1 are apart along z and across, and mixed between (Arguello, Rousseau & Porto 1969)."""
    polar = random_polar("wurtzite")
    kinds = [{(b.kind, *b.irreps) for b in polar.along(q) if b.kind} for q in ([0, 0, 1], [1, 0, 0], [1, 0, 1])]
    assert kinds[0] == {("LO", "A1"), ("TO", "E1")}
    assert kinds[1] == {("LO", "E1"), ("TO", "E1"), ("TO", "A1")}
    assert ("TO", "E1") in kinds[2]
    assert {frozenset(names) for kind, *names in kinds[2] if kind == "LO"} == {frozenset({"A1", "E1"})}


def test_splitting_along_equivalent_directions_is_equal():
    polar = random_polar("calcite")
    group = polar.phonons.crystal.point_group
    expected = [b.frequency for b in polar.along([0.3, 0.5, -0.2])]
    for operation in group.operations:
        found = [b.frequency for b in polar.along(operation @ [0.3, 0.5, -0.2])]
        assert np.allclose(found, expected, rtol=1e-12)


def test_charges_are_projected():
    crystal, rng = crystal_of("rutile"), np.random.default_rng(6)
    given = rng.normal(size=(6, 3, 3))
    once = symmetrised_charges(crystal, given)
    assert abs(once.sum(axis=0)).max() < 1e-14
    assert np.allclose(symmetrised_charges(crystal, once), once, atol=1e-14)
    for g, to in zip(crystal.point_group.operations, crystal.permutation, strict=True):
        assert np.allclose(once[to], g @ once @ g.T, atol=1e-14)


def test_static_permittivity_of_an_unstable_crystal_is_not_defined():
    crystal = crystal_of("CsCl")
    spring = -np.einsum("ab,ij->aibj", np.array([[1.0, -1.0], [-1.0, 1.0]]), np.eye(3))
    polar = PolarPhonons.of(gamma_phonons(crystal, spring), np.array([1, -1])[:, None, None] * np.eye(3), np.eye(3))
    assert polar.static is None
    assert polar.contribution(polar.phonons.optical[0]) is None
    assert np.isfinite(polar.permittivity([1.0], 0.1)).all()
    assert polar.along([1, 0, 0])[0].frequency < 0


def test_wrong_input_is_refused():
    polar = random_polar("CsCl")
    with pytest.raises(IrrepnetError, match=r"finite numbers \(2, 3, 3\)"):
        PolarPhonons.of(polar.phonons, np.zeros((3, 3, 3)), np.eye(3))
    with pytest.raises(IrrepnetError, match="not positive definite"):
        PolarPhonons.of(polar.phonons, np.zeros((2, 3, 3)), -np.eye(3))
    with pytest.raises(IrrepnetError, match="3×3"):
        PolarPhonons.of(polar.phonons, np.zeros((2, 3, 3)), np.ones(3))
    with pytest.raises(IrrepnetError, match="three numbers"):
        polar.along([0, 0, 0])
