"""λ of free atoms, for λ L·S."""

from __future__ import annotations

_PER_CM = 1.239841984e-4  # eV of a wave number in cm⁻¹
_MEASURED = {
    "Li": 0.335, "Be": 3.0, "B": 15.287, "C": 43.4134567, "O": 226.977, "F": 404.141, "Na": 17.196, "Mg": 60.773,
    "Al": 112.061, "Si": 223.157, "S": 573.59573, "Cl": 882.3515, "K": 57.71, "Ca": 158.04, "Cu": 248.38, "Zn": 579.01,
    "Ga": 826.19, "Br": 3685.24, "Rb": 237.6, "Sr": 581.04, "Ag": 920.61, "Cd": 1712.96, "In": 2212.6, "I": 7602.9762,
    "Cs": 554.04, "Ba": 1248.72, "Au": 3815.62, "Hg": 6397.9, "Tl": 7792.7,
}  # fmt: skip
"""cm⁻¹, NIST Atomic Spectra Database 5.12, doi 10.18434/T4W30F: of atoms with 1, 2, 4 or 5 electrons in a p shell the
width of the ground term; of others that of the lowest term with one p electron, from ²P1/2 to ²P3/2 or from ³P0 to ³P2.
All are 3λ/2 wide: in L–S coupling those with 2 or 4, in any coupling the others."""
_COMPUTED = {
    "p": {
        "N": 0.0129, "Ne": 0.0691, "P": 0.0368, "Ar": 0.119, "Ge": 0.129, "As": 0.188, "Se": 0.257, "Kr": 0.434,
        "Sn": 0.308, "Sb": 0.419, "Te": 0.544, "Xe": 0.841, "Pb": 0.994, "Bi": 1.3, "Po": 1.63, "At": 2.0, "Rn": 2.39,
    },
    "d": {
        "Sc": 0.0123, "Ti": 0.0187, "V": 0.0265, "Cr": 0.0312, "Mn": 0.0476, "Fe": 0.0612, "Co": 0.0774, "Ni": 0.0962,
        "Cu": 0.108, "Zn": 0.143, "Y": 0.0351, "Zr": 0.052, "Nb": 0.0624, "Mo": 0.0822, "Tc": 0.115, "Ru": 0.13,
        "Rh": 0.158, "Pd": 0.175, "Ag": 0.224, "Cd": 0.281, "La": 0.0759, "Ce": 0.0815, "Gd": 0.109, "Lu": 0.13,
        "Hf": 0.182, "Ta": 0.236, "W": 0.294, "Re": 0.356, "Os": 0.422, "Ir": 0.493, "Pt": 0.534, "Au": 0.613,
        "Hg": 0.738,
    },
    "f": {
        "Ce": 0.0959, "Pr": 0.0982, "Nd": 0.116, "Pm": 0.135, "Sm": 0.155, "Eu": 0.177, "Gd": 0.217, "Tb": 0.225,
        "Dy": 0.252, "Ho": 0.28, "Er": 0.311, "Tm": 0.343, "Yb": 0.377,
    },
}  # fmt: skip
"""eV, 2/(2l+1) of the difference of the levels j = l ± 1/2 of spherical atoms by the Dirac equation in the local
density approximation, as in Kotochigova et al., Phys. Rev. A 55, 191 (1997), by Čertík, Pask & Vackář, Comput. Phys.
Commun. 184, 1777 (2013), doi 10.1016/j.cpc.2013.02.014. Where there are both they are above what is measured: by 9 to
23 % from Al on, by 28 to 75 % for B, C, O and F."""

ATOMIC_SPIN_ORBIT: dict[str, dict[str, float]] = {}
"""{element: {letter of l: λ in eV}} of the shells of the valence of atoms up to radon: p of the main groups and of the
groups of copper and zinc, d of groups 3 to 12, f of lanthanides."""
for _element, _width in _MEASURED.items():
    ATOMIC_SPIN_ORBIT[_element] = {"p": _PER_CM * _width * 2 / 3}
for _letter, _strengths in _COMPUTED.items():
    for _element, _strength in _strengths.items():
        ATOMIC_SPIN_ORBIT.setdefault(_element, {})[_letter] = _strength
