"""Noisy potentials whose forces are made symmetric: ASE's own projector, relaxations, and what is refused."""

import numpy as np
import pytest
import spglib
from ase.build import bulk, make_supercell
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.constraints import FixSymmetry
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from ase.spacegroup import crystal as spacegroup_crystal
from pymatgen.core import Structure

from irrepnet.crystals import SymmetricCrystal
from irrepnet.crystals.calculator import SymmetrizedCalculator
from irrepnet.errors import IrrepnetError


class Noisy(Calculator):
    """A potential with noise that is always the same for an atom's number."""

    def __init__(self, size: float) -> None:
        super().__init__()
        self.implemented_properties = ["energy", "forces", "stress", "stresses", "magmom"]
        self.inner, self.size = LennardJones(sigma=2.3, epsilon=0.05, rc=7.0, smooth=True), size

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        rng, inner = np.random.default_rng(0), atoms.copy()
        inner.calc = self.inner
        self.results = {
            "energy": inner.get_potential_energy(),
            "forces": inner.get_forces() + self.size * rng.normal(size=(len(atoms), 3)),
            "stress": inner.get_stress() + self.size * rng.normal(size=6),
            "stresses": rng.normal(size=(len(atoms), 6)),
            "magmom": 1.0,
        }


def quartz():
    return spacegroup_crystal(
        ["Si", "O"],
        [(0.4697, 0, 2 / 3), (0.4135, 0.2669, 0.7858)],
        spacegroup=154,
        cellpar=[4.9, 4.9, 5.4, 90, 90, 120],
    )


def rutile():
    atoms = spacegroup_crystal(
        ["Ti", "O"], [(0, 0, 0), (0.305, 0.305, 0)], spacegroup=136, cellpar=[4.6, 4.6, 2.96, 90, 90, 90]
    )
    atoms.rotate(33, (1, 2, 3), rotate_cell=True)
    return make_supercell(atoms, [[1, 0, 0], [0, 1, 0], [0, 0, 2]])


@pytest.mark.parametrize("make", [quartz, rutile])
def test_forces_and_stress_are_those_that_ase_makes_symmetric(make):
    """ASE's FixSymmetry takes the mean over spglib's operations, an independent road."""
    atoms = make()
    noisy = atoms.copy()
    noisy.calc = Noisy(0.3)
    noisy.set_constraint(FixSymmetry(noisy, symprec=1e-3))
    wanted = noisy.get_forces()
    wanted -= wanted.mean(0)
    atoms.calc = SymmetrizedCalculator(Noisy(0.3), atoms)
    assert np.allclose(atoms.get_forces(), wanted, atol=1e-12)
    assert np.allclose(atoms.get_stress(), noisy.get_stress(), atol=1e-12)
    assert atoms.get_potential_energy() == pytest.approx(noisy.get_potential_energy())
    assert atoms.calc.results["stresses"].shape == (len(atoms), 6)
    assert atoms.calc.results["magmom"] == 1.0
    assert 0 < atoms.calc.residuals["forces"] < 1
    assert 0 < atoms.calc.residuals["stress"] < 1


@pytest.mark.parametrize("make", [quartz, rutile])
def test_a_relaxation_stays_in_its_space_group(make):
    """With the cell free; the same noise without the wrapper leaves the group at the first step."""
    found = {}
    for wrapped in (True, False):
        atoms = make()
        number = spglib.get_spacegroup((atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers), 1e-6)
        atoms.calc = SymmetrizedCalculator(Noisy(0.05), atoms) if wrapped else Noisy(0.05)
        BFGS(FrechetCellFilter(atoms), logfile=None, maxstep=0.05).run(fmax=1e-4, steps=15)
        cell = atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers
        found[wrapped] = spglib.get_spacegroup(cell, 1e-6) == number
    assert found == {True: True, False: False}


def test_a_pathlike_or_a_structure_will_do(tmp_path):
    atoms = quartz()
    structure = Structure(atoms.cell.array, atoms.numbers, atoms.get_scaled_positions())
    structure.to(filename=str(tmp_path / "POSCAR"))
    forces = []
    for source in (atoms, structure, tmp_path / "POSCAR"):
        atoms.calc = SymmetrizedCalculator(Noisy(0.3), source)
        forces.append(atoms.get_forces())
    assert np.allclose(forces[0], forces[1], atol=1e-12)
    assert np.allclose(forces[0], forces[2], atol=1e-6)


def test_an_exact_calculator_is_left_alone():
    atoms = bulk("Cu", cubic=True) * (1, 1, 2)
    atoms.calc = EMT()
    wanted = atoms.get_potential_energy(), atoms.get_stress()
    atoms.calc = SymmetrizedCalculator(EMT(), atoms)
    assert atoms.get_potential_energy() == wanted[0]
    assert np.allclose(atoms.get_stress(), wanted[1], atol=1e-12)
    assert (atoms.get_forces() == 0).all()


def test_the_noise_of_the_start_may_stay():
    atoms = rutile()
    rng = np.random.default_rng(1)
    atoms.positions += rng.normal(size=atoms.positions.shape) * 2e-3
    atoms.calc = SymmetrizedCalculator(Noisy(0.1), atoms, symprec=0.03)
    assert atoms.calc.symmetry.crystal.spacegroup_number == 136
    atoms.positions += atoms.get_forces() * 0.01
    atoms.set_cell(atoms.cell.array * 1.01, scale_atoms=True)
    atoms.positions += [0.3, 0.2, 0.1]
    assert np.isfinite(atoms.get_forces()).all()


def test_what_is_refused():
    atoms = quartz()
    atoms.calc = SymmetrizedCalculator(Noisy(0.1), atoms)
    displaced = atoms.copy()
    displaced.positions[0] += [0.01, 0, 0]
    sheared = atoms.copy()
    sheared.set_cell(atoms.cell.array @ [[1, 0.01, 0], [0, 1, 0], [0, 0, 1]], scale_atoms=True)
    turned = atoms.copy()
    turned.rotate(5, "x", rotate_cell=True)
    other = atoms.copy()[::-1]
    for each, message in (
        (displaced, "atoms have left"),
        (sheared, "cell has left"),
        (turned, "was turned"),
        (other, "the order in which"),
        (atoms * (1, 1, 2), "9 atoms"),
    ):
        each.calc = atoms.calc
        with pytest.raises(IrrepnetError, match=message):
            each.get_forces()
    slab = atoms.copy()
    slab.pbc = [True, True, False]
    with pytest.raises(IrrepnetError, match="periodic"):
        SymmetrizedCalculator(Noisy(0.1), slab)


def test_its_group_is_that_of_the_crystal():
    calculator = SymmetrizedCalculator(EMT(), quartz())
    assert isinstance(calculator.symmetry.crystal, SymmetricCrystal)
    assert calculator.symmetry.crystal.spacegroup_number == 154
