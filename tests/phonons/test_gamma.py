"""Levels at Γ against phonopy, plain diagonalisation, and what exact symmetry means."""

from collections import Counter

import numpy as np
import pytest
from pymatgen.core import Structure
from tests.crystals.test_modes import displacement_matrices, random_modes
from tests.phonons.springs import conventional, spring_constants
from tests.prototypes import STRUCTURES, SYMMORPHIC, crystal_of

from irrepnet.crystals import SymmetricCrystal, read_cell, vibration_modes
from irrepnet.errors import IrrepnetError
from irrepnet.phonons import gamma_phonons, summed_constants, symmetrised_constants
from irrepnet.phonons.gamma import THZ, WAVENUMBERS

NAMED = (
    "rock salt", "CsCl", "diamond", "zinc blende", "wurtzite", "rutile", "anatase", "perovskite", "PbTiO3", "spinel",
    "alpha-quartz", "corundum", "calcite",
)  # fmt: skip
UNITS = 2e-7
"""Relative difference of frequencies because phonopy's physical constants are older ones."""


def levels(phonons) -> list[float]:
    """THz, a number a mode, rising."""
    return sorted(vibration.frequency for vibration in phonons.vibrations for _ in vibration.eigenvectors)


def test_units():
    assert pytest.approx(15.633302, rel=1e-6) == THZ
    assert pytest.approx(33.35641, rel=1e-7) == WAVENUMBERS


@pytest.mark.filterwarnings("ignore:primitive_matrix defaulted")
@pytest.mark.parametrize("name", NAMED)
def test_phonopy_finds_the_same_levels_and_labels(name):
    """A supercell of the turned, shuffled conventional cell; labels by phonopy's own character tables."""
    phonopy = pytest.importorskip("phonopy")
    from phonopy.structure.atoms import PhonopyAtoms

    source = conventional(name)
    unit = PhonopyAtoms(
        [site.specie.symbol for site in source], cell=source.lattice.matrix, scaled_positions=source.frac_coords
    )
    phonon = phonopy.Phonopy(unit, np.diag([2, 1, 1]), primitive_matrix="auto")
    whole = phonon.supercell
    supercell = Structure(whole.cell, whole.symbols, whole.scaled_positions)
    constants = spring_constants(supercell)
    phonon.force_constants = constants.copy()

    crystal = SymmetricCrystal.from_structure(source)
    cell = read_cell(supercell)
    found = gamma_phonons(crystal, summed_constants(crystal, cell, constants), crystal_masses(crystal, phonon))
    assert found.residual < 1e-7
    assert found.largest_shift < 1e-4

    phonon.run_qpoints([[0, 0, 0]])
    theirs = phonon.get_qpoints_dict()["frequencies"][0]
    assert abs(np.array(levels(found)) - theirs).max() < UNITS * theirs.max() + 2e-6  # theirs: zero is 1e-6
    labels = phonon.set_irreps([0, 0, 0], degeneracy_tolerance=1e-5)._ir_labels
    assert labels[1:] == [vibration.irrep for vibration in found.optical]


def crystal_masses(crystal, phonon) -> np.ndarray:
    masses = dict(zip(phonon.supercell.numbers.tolist(), phonon.supercell.masses.tolist()))
    return np.array([masses[int(z)] for z in crystal.numbers])


@pytest.mark.parametrize("name", [*(name for name in STRUCTURES if name != "garnet"), *SYMMORPHIC])
def test_levels_carry_their_irreps_exactly(name):
    """Of force constants with noise: eigenvectors are orthonormal and move as the irrep's matrices say; they are those
    of the dynamical matrix of the symmetrised constants; the acoustic ones are translations."""
    crystal, rng = crystal_of(name), np.random.default_rng(5)
    constants, _ = random_modes(crystal)
    n, size = len(crystal), 3 * len(crystal)
    noisy = constants + 0.05 * rng.normal(size=constants.shape)
    found = gamma_phonons(crystal, noisy.reshape(n, 3, n, 3), rng.uniform(1, 9, n))
    group, (_, displacements) = crystal.point_group, displacement_matrices(crystal)
    exact = np.mean([d @ (noisy + noisy.T) / 2 @ d.T for d in displacements], axis=0)
    translations = np.tile(np.eye(3), (n, 1)) / np.sqrt(n)
    relative = np.eye(size) - translations @ translations.T
    exact = relative @ exact @ relative
    assert np.allclose(found.constants.reshape(size, size), exact, atol=1e-12)
    root = np.repeat(np.sqrt(found.masses), 3)
    dynamical = exact / root[:, None] / root
    vectors = np.concatenate([v.eigenvectors.reshape(-1, size) for v in found.vibrations])
    assert np.allclose(vectors @ vectors.T, np.eye(size), atol=1e-12)
    for vibration in found.vibrations:
        modes = vibration.eigenvectors.reshape(-1, size)
        square = np.sign(vibration.frequency) * (vibration.frequency / THZ) ** 2
        assert np.allclose(modes @ dynamical, square * modes, atol=1e-10)
        matrices = group.irrep(vibration.irrep).matrices
        assert np.allclose(modes @ displacements.swapaxes(1, 2), matrices.swapaxes(1, 2) @ modes, atol=1e-12)
        shared = modes.reshape(-1, n, 3) / np.sqrt(found.masses)[:, None]
        if vibration.acoustic:
            assert vibration.frequency == 0
            assert np.allclose(shared, shared[:, :1])
        else:
            assert abs((modes.reshape(-1, n, 3) * np.sqrt(found.masses)[:, None]).sum(1)).max() < 1e-12
    modes = vibration_modes(crystal)
    assert Counter(v.irrep for v in found.optical) == modes.optical
    assert Counter(v.irrep for v in found.vibrations if v.acoustic) == modes.acoustic


def test_symmetrised_constants_are_a_projection():
    crystal, rng = crystal_of("ilmenite"), np.random.default_rng(2)
    n = len(crystal)
    some, other = rng.normal(size=(2, n, 3, n, 3))
    once = symmetrised_constants(crystal, some)
    assert np.allclose(symmetrised_constants(crystal, once), once, atol=1e-14)
    assert np.vdot(other, once) == pytest.approx(np.vdot(symmetrised_constants(crystal, other), some))


@pytest.mark.parametrize("name", ["rutile", "alpha-quartz", "baddeleyite"])
def test_levels_do_not_depend_on_the_description(name):
    """Another orientation, origin, order of atoms and supercell."""
    found = []
    for seed, times in ((1, (1, 1, 1)), (2, (1, 2, 1))):
        source = conventional(name, seed) * times
        crystal = SymmetricCrystal.from_structure(source)
        constants = summed_constants(crystal, read_cell(source), spring_constants(source))
        found.append(gamma_phonons(crystal, constants))
    one, other = found
    assert [v.irrep for v in one.vibrations] == [v.irrep for v in other.vibrations]
    assert np.allclose(levels(one), levels(other), atol=1e-6)


def test_rows_of_some_atoms_are_enough():
    source = conventional("rock salt")
    crystal, cell, constants = SymmetricCrystal.from_structure(source), read_cell(source), spring_constants(source)
    species = [site.specie.symbol for site in source]
    rows = np.array([species.index("Na"), species.index("Cl")])
    assert np.allclose(
        summed_constants(crystal, cell, constants[rows], rows), summed_constants(crystal, cell, constants), atol=1e-12
    )
    with pytest.raises(IrrepnetError, match="no row for an atom Cl"):
        summed_constants(crystal, cell, constants[rows[:1]], rows[:1])
    with pytest.raises(IrrepnetError, match="of 1 and 8 atoms"):
        summed_constants(crystal, cell, constants, rows[:1])


def test_what_symmetry_took_away_is_said():
    crystal = crystal_of("perovskite")
    constants, _ = random_modes(crystal)
    constants = constants.reshape(5, 3, 5, 3)
    broken = constants.copy()
    broken[1, 0, 1, 0] += 0.3  # one axis of Ti, and the sum rule
    found = gamma_phonons(crystal, broken)
    assert 0.1 < found.residual < 0.3
    assert found.largest_shift > 0.01
    assert len({v.frequency for v in found.optical}) == 4


def test_unstable_modes_have_negative_frequencies():
    crystal = crystal_of("CsCl")
    spring = np.array([[1.0, -1.0], [-1.0, 1.0]])
    constants = -np.einsum("ab,ij->aibj", spring, np.eye(3))
    found = gamma_phonons(crystal, constants, [2.0, 2.0])
    (level,) = found.optical
    assert level.frequency == pytest.approx(-THZ)
    assert found.unstable == (level,)
    assert level.wavenumber == pytest.approx(-THZ * WAVENUMBERS)


def test_patterns_are_displacements():
    crystal = crystal_of("CsCl")
    spring = np.einsum("ab,ij->aibj", np.array([[1.0, -1.0], [-1.0, 1.0]]), np.eye(3))
    found = gamma_phonons(crystal, spring, [1.0, 3.0])
    (level,) = found.optical
    light, heavy = found.displacements(level.eigenvectors)[0]
    assert np.linalg.norm(light) == pytest.approx(1)
    assert np.allclose(light, -3 * heavy)


def test_wrong_input_is_refused():
    crystal = crystal_of("CsCl")
    with pytest.raises(IrrepnetError, match=r"finite numbers \(2, 3, 2, 3\)"):
        gamma_phonons(crystal, np.zeros((2, 2, 3, 3)))
    with pytest.raises(IrrepnetError, match="finite numbers"):
        gamma_phonons(crystal, np.full((2, 3, 2, 3), np.nan))
    with pytest.raises(IrrepnetError, match="2 positive numbers"):
        gamma_phonons(crystal, np.zeros((2, 3, 2, 3)), [1.0, 0.0])
