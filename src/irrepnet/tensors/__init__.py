"""Cartesian tensors: index symmetry, irreps of O(3) and of point groups, allowed forms, elasticity.

NumPy only. Conventions: Cartesian axes x, y, z; Voigt's order 11 22 33 23 13 12; irreps as in `irrepnet.groups`.
"""

from irrepnet.tensors.allowed import AllowedForm
from irrepnet.tensors.cartesian import CartesianTensor, rotate
from irrepnet.tensors.elastic import (
    COMPLIANCE,
    STIFFNESS,
    Averages,
    Surface,
    averages,
    born_conditions,
    compliance,
    is_positive_definite,
    linear_compressibility,
    poisson_range,
    poisson_ratio,
    shear_modulus,
    shear_range,
    sphere,
    surfaces,
    youngs_modulus,
    zener_anisotropy,
)
from irrepnet.tensors.harmonic import HarmonicPart
from irrepnet.tensors.ieee import ieee_rotation
from irrepnet.tensors.optics import SHG, kurtz_perry

__all__ = [
    "COMPLIANCE",
    "SHG",
    "STIFFNESS",
    "AllowedForm",
    "Averages",
    "CartesianTensor",
    "HarmonicPart",
    "Surface",
    "averages",
    "born_conditions",
    "compliance",
    "ieee_rotation",
    "is_positive_definite",
    "kurtz_perry",
    "linear_compressibility",
    "poisson_range",
    "poisson_ratio",
    "rotate",
    "shear_modulus",
    "shear_range",
    "sphere",
    "surfaces",
    "youngs_modulus",
    "zener_anisotropy",
]
