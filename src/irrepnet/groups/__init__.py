"""Finite groups exactly: the 32 crystallographic point groups and their double groups, irreps, couplings, covariants.

NumPy only. Conventions: Cartesian axes, active operations, z principal, x ∥ a, f(g r) = Γ(g) f(r).
"""

from irrepnet.groups.covariants import Polynomials
from irrepnet.groups.double_group import DoubleGroup
from irrepnet.groups.elements import ConjugacyClass
from irrepnet.groups.harmonics import harmonic_matrices, real_harmonics
from irrepnet.groups.intertwiners import intertwiners, orthonormal_copies
from irrepnet.groups.irreps import Irrep
from irrepnet.groups.labels import typeset
from irrepnet.groups.o3 import (
    angular_momentum,
    clebsch_gordan,
    complex_harmonics,
    harmonic_product,
    jz_to_racah,
    jz_to_real,
    racah_harmonics,
    racah_to_real,
    wigner_3j,
)
from irrepnet.groups.o3_irreps import SCALAR, O3Irrep, O3Irreps
from irrepnet.groups.operation_sets import (
    crystallographic_indices,
    crystallographic_operations,
    operation_set,
    operations_in,
)
from irrepnet.groups.point_group import PointGroup, identify, setting_of
from irrepnet.groups.settings import POINT_GROUPS, SETTINGS
from irrepnet.groups.spin import PAULI, spinor_matrices, wigner_matrices
from irrepnet.groups.subgroup import Subgroup

__all__ = [
    "PAULI",
    "POINT_GROUPS",
    "SCALAR",
    "SETTINGS",
    "ConjugacyClass",
    "DoubleGroup",
    "Irrep",
    "O3Irrep",
    "O3Irreps",
    "PointGroup",
    "Polynomials",
    "Subgroup",
    "angular_momentum",
    "clebsch_gordan",
    "complex_harmonics",
    "crystallographic_indices",
    "crystallographic_operations",
    "harmonic_matrices",
    "harmonic_product",
    "identify",
    "intertwiners",
    "jz_to_racah",
    "jz_to_real",
    "operation_set",
    "operations_in",
    "orthonormal_copies",
    "racah_harmonics",
    "racah_to_real",
    "real_harmonics",
    "setting_of",
    "spinor_matrices",
    "typeset",
    "wigner_3j",
    "wigner_matrices",
]
