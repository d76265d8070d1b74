"""Names of the irreps in other conventions than Mulliken's.

koster: Koster, Dimmock, Wheeler, Statz, "Properties of the Thirty-Two Point Groups" (1963); in the
orthorhombic groups Γ2, Γ3, Γ4 are the species of the axial vector components S_y, S_z, S_x. B1 and B2 of C6v
are left out, because sources differ in which mirrors they call σv.

miller-love: Miller and Love (1967), the labels at Γ of ISO-IR and of the CDML tables.

Each entry lists our labels in the other convention's order; an irrep of complex type stands for two.
"""

from irrepnet.groups.settings import POINT_GROUPS, TABLE

_KOSTER = {
    "C1": "A",
    "C2": "A B",
    "Cs": "A' A''",
    "D2": "A B2 B1 B3",
    "C2v": "A1 B1 A2 B2",
    "C4": "A B E E",
    "S4": "A B E E",
    "D4": "A1 A2 B1 B2 E",
    "C4v": "A1 A2 B1 B2 E",
    "D2d": "A1 A2 B1 B2 E",
    "C3": "A E E",
    "D3": "A1 A2 E",
    "C3v": "A1 A2 E",
    "C6": "A E2 E2 B E1 E1",
    "C3h": "A' E' E' A'' E'' E''",
    "D6": "A1 A2 B1 B2 E1 E2",
    "C6v": "A1 A2 - - E1 E2",
    "D3h": "A1' A2' A1'' A2'' E'' E'",
    "T": "A E E T",
    "O": "A1 A2 E T1 T2",
    "Td": "A1 A2 E T1 T2",
}
_MILLER_LOVE = {
    "C1": "A",
    "C2": "A B",
    "Cs": "A' A''",
    "D2": "A B1 B3 B2",
    "C2v": "A1 A2 B2 B1",
    "C4": "A B E E",
    "S4": "A B E E",
    "D4": "A1 B1 A2 B2 E",
    "C4v": "A1 B1 B2 A2 E",
    "D2d": "A1 B1 B2 A2 E",
    "C3": "A E E",
    "D3": "A1 A2 E",
    "C3v": "A1 A2 E",
    "C6": "A B E2 E1 E2 E1",
    "C3h": "A' A'' E' E'' E' E''",
    "D6": "A1 A2 B1 B2 E2 E1",
    "C6v": "A1 A2 B2 B1 E2 E1",
    "D3h": "A1' A2' A2'' A1'' E' E''",
    "T": "A E E T",
    "O": "A1 A2 E T1 T2",
    "Td": "A1 A2 E T2 T1",
}
_ROTATIONS_OF = {
    "Ci": "C1",
    "C2h": "C2",
    "D2h": "D2",
    "C4h": "C4",
    "D4h": "D4",
    "C3i": "C3",
    "D3d": "D3",
    "C6h": "C6",
    "D6h": "D6",
    "Th": "T",
    "Oh": "O",
}
"""A group with inversion is its rotations × Ci, and its labels are theirs with + (g) or − (u)."""


_ABOVE, _BELOW = str.maketrans("12", "¹²"), str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def typeset(label: str) -> str:
    """The label of an irrep, or of several such as "A1g+1E", as it is printed: numbers below the line, but that of one
    of two conjugate irreps above it.

    >>> typeset("T2g+1E2")
    'T₂g+¹E₂'
    """
    return "+".join(part[:1].translate(_ABOVE) + part[1:].translate(_BELOW) for part in label.split("+"))


def aliases(name: str, label: str) -> dict[str, str]:
    """{convention: label} of an irrep of one of the 32 default settings; empty for the further settings."""
    if name not in POINT_GROUPS:
        return {}
    schoenflies = TABLE[name].schoenflies
    sign = ""
    if schoenflies in _ROTATIONS_OF:
        schoenflies = _ROTATIONS_OF[schoenflies]
        label, sign = label[:-1], "+" if label[-1] == "g" else "-"
    found = {}
    for convention, symbol, table in (("koster", "Γ", _KOSTER), ("miller-love", "GM", _MILLER_LOVE)):
        numbers = [k for k, ours in enumerate(table[schoenflies].split(), start=1) if ours == label]
        if numbers:
            found[convention] = "⊕".join(f"{symbol}{k}{sign}" for k in numbers)
    return found
