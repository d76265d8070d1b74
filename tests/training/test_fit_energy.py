"""Fitting energies, forces and stresses, and keeping the result."""

import json

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure

from irrepnet.crystals import SymmetricCrystal
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import Parent, Perturbation, parent_of
from irrepnet.models.energy import EnergyConfig
from irrepnet.tasks.energies import EnergySample, EnergyTrainingConfig
from irrepnet.training.energy import EnergyModel, fit_energy
from irrepnet.training.log import Log

QUIET = Log(quiet=True)


@pytest.fixture(scope="module")
def rock_salt() -> Parent:
    structure = Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.2), ["Mg", "O"], [[0, 0, 0], [0.5] * 3])
    return parent_of(SymmetricCrystal.from_structure(structure))


@pytest.fixture(scope="module")
def samples(rock_salt: Parent) -> list[EnergySample]:
    """E = Σ over bonds of ½ (|d| − |r|)²: forces and stress (virial) in closed form."""
    random, made = np.random.default_rng(0), []
    for _ in range(24):
        u, strain = 0.1 * random.normal(size=(2, 3)), 0.02 * random.normal(size=(3, 3))
        strain = (strain + strain.T) / 2
        rest = np.linalg.norm(rock_salt.vector, axis=1)
        d = (rock_salt.vector + u[rock_salt.sender] - u[rock_salt.receiver]) @ (np.eye(3) + strain)
        length = np.linalg.norm(d, axis=1)
        pull = ((length - rest) / length)[:, None] * d
        forces = np.zeros((2, 3))
        np.add.at(forces, rock_salt.receiver, pull)
        np.add.at(forces, rock_salt.sender, -pull)
        stress = pull.T @ d / (rock_salt.volume * np.linalg.det(np.eye(3) + strain))
        made.append(EnergySample(Perturbation(u, strain), 0.5 * ((length - rest) ** 2).sum(), forces, stress))
    return made


@pytest.fixture(scope="module")
def model(rock_salt: Parent, samples: list[EnergySample]) -> EnergyModel:
    config = EnergyConfig(channels=8, layers=1, moments=4)
    options = EnergyTrainingConfig(epochs=60)
    return fit_energy(rock_salt, samples[:16], samples[16:], config, options, QUIET)


def test_it_learns(model, samples):
    first, last = model.history[0], model.history[-1]
    assert last["validation_loss"] < 0.3 * first["validation_loss"]
    errors = model.errors(samples[16:])
    best = min(model.history, key=lambda row: row["validation_loss"])
    assert errors == pytest.approx({name: best[name] for name in errors}, rel=1e-6)  # the best weights were kept
    assert errors["forces_mev_per_angstrom"] < 0.5e3 * np.mean([np.abs(s.forces).mean() for s in samples[16:]])


def test_the_same_seed_gives_the_same_weights(rock_salt, samples):
    config = EnergyConfig(channels=4, layers=1)
    fits = [
        fit_energy(rock_salt, samples[:3], samples[3:4], config, EnergyTrainingConfig(epochs=3, seed=seed), QUIET)
        for seed in (1, 1, 2)
    ]
    weights = [torch.cat([w.flatten() for w in fit.net.parameters()]) for fit in fits]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_saved_and_loaded(model, samples, tmp_path):
    model.save(tmp_path / "kept")
    again = EnergyModel.load(tmp_path / "kept")
    perturbations = [sample.perturbation for sample in samples[:3]]
    for a, b in zip(model.predict(perturbations), again.predict(perturbations)):
        assert torch.equal(a, b)
    assert json.loads((tmp_path / "kept" / "model.json").read_text())["point_group"] == "m-3m"


def test_another_supercell(model, samples):
    structure = Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.2), ["Mg", "O"], [[0, 0, 0], [0.5] * 3])
    twice = parent_of(SymmetricCrystal.from_structure(structure), (1, 1, 2))
    p = samples[0].perturbation
    repeated = Perturbation(np.repeat(p.displacements, 2, axis=0), p.strain)
    one, two = model.predict([p]), model.predict([repeated], twice)
    assert torch.allclose(2 * one.energy, two.energy, atol=1e-10)


def test_energies_alone_are_enough(rock_salt, samples):
    bare = [EnergySample(s.perturbation, s.energy) for s in samples[:4]]
    config = EnergyConfig(channels=4, layers=1)
    fitted = fit_energy(rock_salt, bare[:3], bare[3:], config, EnergyTrainingConfig(epochs=2), QUIET)
    assert set(fitted.errors(bare)) == {"energy_mev_per_atom"}


def test_bad_samples(rock_salt, samples):
    good = samples[0]
    with pytest.raises(IrrepnetError, match="at least one sample"):
        fit_energy(rock_salt, [good], [], log=QUIET)
    with pytest.raises(IrrepnetError, match="forces of a sample"):
        fit_energy(rock_salt, [EnergySample(good.perturbation, 0.0, np.zeros((3, 3)))], [good], log=QUIET)
    with pytest.raises(IrrepnetError, match="energy of a sample"):
        fit_energy(rock_salt, [EnergySample(good.perturbation, np.nan)], [good], log=QUIET)


def test_no_model(tmp_path):
    with pytest.raises(IrrepnetError, match="not a saved energy model"):
        EnergyModel.load(tmp_path)


def test_the_default_has_frames_if_a_sample_needs_them(rock_salt, samples):
    bare = fit_energy(rock_salt, samples[:2], samples[2:3], options=EnergyTrainingConfig(epochs=1), log=QUIET)
    assert bare.net.config.group is None
    field = EnergySample(Perturbation(field=np.array([0, 0, 1.0])), -0.5)
    with_field = fit_energy(rock_salt, [samples[0], field], [field], options=EnergyTrainingConfig(epochs=1), log=QUIET)
    assert with_field.net.config.group == "m-3m"


def test_a_field_is_learned(rock_salt):
    """E = ½ Σ k u² − E·p(u) − ½ α E² with p = q (u_Mg − u_O): the polarisation follows from energies and forces."""
    random, charge, stiffness, alpha, made = np.random.default_rng(0), 2.0, 4.0, 0.3, []
    for _ in range(60):
        u, field = 0.1 * random.normal(size=(2, 3)), 0.5 * random.normal(size=3)
        apart = u[0] - u[1]
        energy = 0.5 * stiffness * apart @ apart - charge * field @ apart - 0.5 * alpha * field @ field
        force = charge * field - stiffness * apart
        made.append(
            (
                EnergySample(Perturbation(u, field=field), energy, np.array([force, -force])),
                charge * apart + alpha * field,
            )
        )
    train, held = [sample for sample, _ in made[:40]], made[40:]
    config = EnergyConfig(group="m-3m", channels=8, layers=0)
    fitted = fit_energy(rock_salt, train, train[:8], config, EnergyTrainingConfig(epochs=20, batch_size=8), QUIET)
    wanted = np.array([polarization for _, polarization in held])
    found = fitted.predict([sample.perturbation for sample, _ in held]).polarization.numpy()
    assert np.abs(found - wanted).mean() < 0.2 * np.abs(wanted).mean()


@pytest.mark.slow
def test_moments_are_learned(rock_salt):
    """Exchange and cubic anisotropy: E = J m_Mg·m_O + K Σ_i (m_i⁴ of Mg), labels are energies alone."""
    random, exchange, anisotropy, made = np.random.default_rng(0), 0.5, 0.3, []
    for _ in range(140):
        m = random.normal(size=(2, 3))
        m /= np.linalg.norm(m, axis=1, keepdims=True)
        made.append(EnergySample(Perturbation(moments=m), exchange * m[0] @ m[1] + anisotropy * (m[0] ** 4).sum()))
    config = EnergyConfig(group="m-3m", channels=8, layers=0)
    fitted = fit_energy(rock_salt, made[:100], made[:8], config, EnergyTrainingConfig(epochs=20, batch_size=8), QUIET)
    held = made[100:]
    wanted = np.array([sample.energy for sample in held])
    found = fitted.predict([sample.perturbation for sample in held]).energy.numpy()
    assert np.abs(found - wanted).mean() < 0.2 * np.abs(wanted - wanted.mean()).mean()
