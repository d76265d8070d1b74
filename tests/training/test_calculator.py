"""A trained energy as a calculator of ASE."""

import numpy as np
import pytest
from ase import units
from ase.build import bulk
from ase.calculators.calculator import CalculatorError
from ase.calculators.emt import EMT
from ase.filters import FrechetCellFilter
from ase.io import write
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS
from pymatgen.core import Structure

from irrepnet.crystals import SymmetricCrystal
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import Perturbation, parent_of
from irrepnet.tasks.energies import EnergySample, EnergyTrainingConfig
from irrepnet.training import load_config, predict, train
from irrepnet.training.calculator import EnergyCalculator
from irrepnet.training.energy import fit_energy


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A short training on copper by EMT, at a cell that EMT would shrink."""
    here, frames = tmp_path_factory.mktemp("copper"), []
    for number in range(12):
        atoms = bulk("Cu", cubic=True, a=3.6).repeat((2, 1, 1))
        if number:
            atoms.rattle(0.05, seed=number)
            atoms.set_cell(atoms.cell.array * (1 + 0.01 * (number % 4 - 1)), scale_atoms=True)
        atoms.calc = EMT()
        atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
        frames.append(atoms)
    write(here / "frames.extxyz", frames)
    write(here / "copper.cif", bulk("Cu", cubic=True, a=3.6))
    small = {"model.channels": 8, "model.layers": 1, "training.epochs": 2}
    data = {"data.source": str(here / "frames.extxyz"), "data.parent": str(here / "copper.cif")}
    train(load_config("energy", data | small), here / "run", quiet=True)
    return here


@pytest.fixture(scope="module")
def model():
    """Springs between the atoms of rock salt."""
    crystal = Structure.from_ase_atoms(bulk("MgO", "rocksalt", a=4.2))
    parent = parent_of(SymmetricCrystal.from_structure(crystal))
    random, samples = np.random.default_rng(0), []
    for _ in range(8):
        u = random.normal(size=(len(parent), 3)) * 0.05
        samples.append(EnergySample(Perturbation(displacements=u), float((u**2).sum()), -2 * u))
    return fit_energy(parent, samples[:6], samples[6:], options=EnergyTrainingConfig(epochs=2))


@pytest.fixture(params=["run", "model"])
def atoms(request, folder):
    """Displaced, strained, shuffled, turned atoms with a calculator."""
    is_run = request.param == "run"
    made = bulk("Cu", cubic=True, a=3.62) if is_run else bulk("MgO", "rocksalt", a=4.2, cubic=True)
    made.rattle(0.03, seed=1)
    made = made[np.random.default_rng(0).permutation(len(made))]
    made.rotate(33, (1, 2, 3), rotate_cell=True)
    made.calc = EnergyCalculator(str(folder / "run") if is_run else request.getfixturevalue("model"))
    return made


def test_forces_and_stress_are_derivatives_of_the_energy(atoms):
    forces, stress, step = atoms.get_forces(), atoms.get_stress(voigt=False), 1e-4
    direction = np.random.default_rng(1).normal(size=forces.shape)
    strain = np.random.default_rng(2).normal(size=(3, 3))
    strain += strain.T

    def energy(shift=0.0, amount=0.0):
        moved = atoms.copy()
        moved.calc = atoms.calc
        moved.positions += shift * direction
        moved.set_cell(atoms.cell.array @ (np.eye(3) + amount * strain), scale_atoms=True)
        return moved.get_potential_energy()

    slope = (energy(shift=step) - energy(shift=-step)) / (2 * step)
    assert slope == pytest.approx(-(forces * direction).sum(), rel=1e-5, abs=1e-7)
    slope = (energy(amount=step) - energy(amount=-step)) / (2 * step)
    assert slope == pytest.approx((stress * strain).sum() * atoms.get_volume(), rel=1e-5, abs=1e-7)


def test_a_relaxation_and_molecular_dynamics(atoms):
    before = atoms.get_potential_energy()
    dynamics = VelocityVerlet(atoms, 1 * units.fs)
    total = atoms.get_total_energy()
    dynamics.run(10)
    assert atoms.get_total_energy() == pytest.approx(total, abs=1e-3 * len(atoms))
    BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=0.02, steps=20)
    assert atoms.get_potential_energy() < before


def test_a_run_gives_what_predict_gives(folder):
    atoms = bulk("Cu", cubic=True, a=3.62)
    atoms.rattle(0.03, seed=1)
    (row,) = predict(folder / "run", atoms)
    atoms.calc = EnergyCalculator(folder / "run")
    assert atoms.get_potential_energy() == row["energy"]
    assert np.array_equal(atoms.get_forces(), row["forces"])


def test_what_is_refused(folder, small_run):
    with pytest.raises(IrrepnetError, match="not of energies"):
        EnergyCalculator(small_run)
    atoms = bulk("Al", cubic=True)
    atoms.calc = EnergyCalculator(folder / "run")
    with pytest.raises(CalculatorError, match="Al"):
        atoms.get_potential_energy()
