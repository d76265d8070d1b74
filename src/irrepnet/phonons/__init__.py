"""Vibrations at Γ: exact blocks of the dynamical matrix, LO–TO splitting, infrared spectra, files and animations."""

from irrepnet.phonons.calculators import CALCULATORS, FrozenPhonons, frozen_phonons, named_calculator
from irrepnet.phonons.gamma import (
    GammaPhonons,
    Vibration,
    gamma_phonons,
    summed_constants,
    symmetrised_constants,
)
from irrepnet.phonons.polar import Branch, PolarPhonons, symmetrised_charges
from irrepnet.phonons.sources import CellCharges, CellConstants, PhononFile, read_phonons
from irrepnet.phonons.strains import FrozenStrains, frozen_strains

__all__ = [
    "CALCULATORS",
    "Branch",
    "CellCharges",
    "CellConstants",
    "FrozenPhonons",
    "FrozenStrains",
    "GammaPhonons",
    "PhononFile",
    "PolarPhonons",
    "Vibration",
    "frozen_phonons",
    "frozen_strains",
    "gamma_phonons",
    "named_calculator",
    "read_phonons",
    "summed_constants",
    "symmetrised_charges",
    "symmetrised_constants",
]
