"""Frozen phonons against plain differences of all atoms, and potentials that break the symmetry."""

import sys

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from tests.crystals.test_modes import random_modes
from tests.prototypes import STRUCTURES, SYMMORPHIC, crystal_of

from irrepnet.crystals import SymmetricCrystal
from irrepnet.errors import IrrepnetError
from irrepnet.phonons import CALCULATORS, frozen_phonons, gamma_phonons, named_calculator

CU3AU = {
    "species": ["Cu", "Cu", "Cu", "Au"],
    "cell": [3.75, 3.75, 3.75, 90, 90, 90],
    "frac_coords": [[0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5], [0, 0, 0]],
}


class Harmonic(Calculator):
    """Forces −Φ u about a crystal, and what is added to them."""

    implemented_properties = ("energy", "forces")

    def __init__(self, crystal, constants, extra=lambda u: 0.0):
        super().__init__()
        self.crystal, self.constants, self.extra, self.calls = crystal, constants, extra, 0

    def calculate(self, atoms=None, properties=("forces",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        assert atoms is not None
        self.calls += 1
        u = (atoms.positions - self.crystal.cart_coords).ravel()
        self.results = {"energy": 0.0, "forces": (-self.constants @ u + self.extra(u)).reshape(-1, 3)}


@pytest.mark.parametrize("name", [*(name for name in STRUCTURES if name != "garnet"), *SYMMORPHIC])
def test_a_harmonic_crystal_is_found(name):
    crystal = crystal_of(name)
    constants, _ = random_modes(crystal)
    calculator = Harmonic(crystal, constants)
    found = frozen_phonons(crystal, calculator)
    size = 3 * len(crystal)
    assert np.allclose(found.constants.reshape(size, size), constants, atol=1e-9)
    assert found.broken < 1e-9
    assert found.force < 1e-9
    assert found.evaluations == calculator.calls <= 2 * size


def test_emt_against_plain_differences():
    """Every atom along every axis, in the primitive cell that moves with all its images; phonopy's way in a supercell
    comes to the same."""
    crystal = SymmetricCrystal.from_structure(CU3AU)
    step, n = 1e-3, len(crystal)
    found = frozen_phonons(crystal, EMT(), step)
    plain = np.zeros((n, 3, n, 3))
    for atom in range(n):
        for axis in range(3):
            for sign in (1, -1):
                atoms = Atoms(crystal.numbers, crystal.cart_coords, cell=crystal.lattice, pbc=True, calculator=EMT())
                atoms.positions[atom, axis] += sign * step
                plain[:, :, atom, axis] -= sign * atoms.get_forces() / (2 * step)
    one, other = gamma_phonons(crystal, found.constants), gamma_phonons(crystal, plain)
    assert [v.irrep for v in one.optical] == ["T1u", "T2u", "T1u"]
    assert np.allclose([v.wavenumber for v in one.vibrations], [v.wavenumber for v in other.vibrations], atol=1e-3)
    assert found.evaluations == 4


def test_what_a_potential_breaks_is_measured():
    crystal = crystal_of("perovskite")
    constants, _ = random_modes(crystal)
    rng = np.random.default_rng(9)
    wrong = rng.normal(size=constants.shape)
    wrong *= 0.02 * np.linalg.norm(constants) / np.linalg.norm(wrong)
    found = frozen_phonons(crystal, Harmonic(crystal, constants + wrong))
    assert 1e-3 < found.broken < 0.1
    assert gamma_phonons(crystal, found.constants).residual < 1.0
    pushed = frozen_phonons(crystal, Harmonic(crystal, constants, lambda u: np.full(len(u), 0.3)))
    assert pushed.force == pytest.approx(0.3 * np.sqrt(3))
    assert np.allclose(pushed.constants, found_constants(crystal, constants), atol=1e-9)


def found_constants(crystal, constants):
    return frozen_phonons(crystal, Harmonic(crystal, constants)).constants


def test_calculators_by_name():
    calculator, name = named_calculator("ase.calculators.emt:EMT")
    assert isinstance(calculator, EMT)
    assert name.startswith("EMT of ase 3.")
    for given, message in (
        ("emt", 'give one of chgnet, sevennet, sevennet-l3i5, or "module:Class"'),
        ("no_such_module:It", "no_such_module cannot be imported"),
        ("ase.calculators.emt:Nothing", "has no Nothing"),
        ("math:sqrt", r"sqrt\(\) fails: "),
        ("math:sqrt:4", r"sqrt\(4\) fails: "),
    ):
        with pytest.raises(IrrepnetError, match=message):
            named_calculator(given)


def test_packages_that_are_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "chgnet", None)
    with pytest.raises(
        IrrepnetError, match=r"calculator chgnet: chgnet\.model\.dynamics cannot be imported .*installed"
    ):
        named_calculator("chgnet")


def test_failing_calculators():
    crystal = crystal_of("rock salt")
    with pytest.raises(IrrepnetError, match="NaCl: the calculator fails"):
        frozen_phonons(crystal, EMT())
    with pytest.raises(IrrepnetError, match="not finite"):
        frozen_phonons(crystal, Harmonic(crystal, np.full((6, 6), np.nan)))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["chgnet", "sevennet", "sevennet-l3i5"])
def test_potentials_with_their_weights(name):
    pytest.importorskip(CALCULATORS[name].partition(".")[0])
    crystal = SymmetricCrystal.from_structure(
        {"species": ["Na", "Cl"], "cell": [3.95, 3.95, 3.95, 60, 60, 60], "frac_coords": [[0] * 3, [0.5] * 3]}
    )
    calculator, said = named_calculator(name)
    found = frozen_phonons(crystal, calculator)
    (level,) = gamma_phonons(crystal, found.constants).optical
    assert 100 < level.wavenumber < 220  # measured: 164 at 300 K
    assert name[:5] in said.lower()
