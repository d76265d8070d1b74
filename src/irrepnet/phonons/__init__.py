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

__all__ = [
    "CALCULATORS",
    "Branch",
    "CellCharges",
    "CellConstants",
    "FrozenPhonons",
    "GammaPhonons",
    "PhononFile",
    "PolarPhonons",
    "Vibration",
    "frozen_phonons",
    "gamma_phonons",
    "named_calculator",
    "read_phonons",
    "summed_constants",
    "symmetrised_charges",
    "symmetrised_constants",
]
