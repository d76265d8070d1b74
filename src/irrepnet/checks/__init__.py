"""Does a model keep what it promises? Its symmetry on a crystal, and its output along a path."""

from irrepnet.checks.path import Path, follow, follow_model, predictor
from irrepnet.checks.verify import random_network, verify, verify_energy, verify_hamiltonian, verify_model, verify_sites

__all__ = [
    "Path",
    "follow",
    "follow_model",
    "predictor",
    "random_network",
    "verify",
    "verify_energy",
    "verify_hamiltonian",
    "verify_model",
    "verify_sites",
]
