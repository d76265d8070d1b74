"""Structure types with published vibration modes, and a crystal for each of the 32 point groups."""

from functools import cache

from pymatgen.core import Lattice, Structure

from irrepnet.crystals import SymmetricCrystal
from irrepnet.groups import POINT_GROUPS, PointGroup

CUBIC, HEX = Lattice.cubic, Lattice.hexagonal
ORTHO, TETRA = Lattice.orthorhombic, Lattice.tetragonal

STRUCTURES = {  # space group, lattice, {element (with a number for several orbits): asymmetric unit}
    "rock salt": ("Fm-3m", CUBIC(5.64), {"Na": [0, 0, 0], "Cl": [0.5, 0.5, 0.5]}),
    "CsCl": ("Pm-3m", CUBIC(4.12), {"Cs": [0, 0, 0], "Cl": [0.5, 0.5, 0.5]}),
    "diamond": ("Fd-3m", CUBIC(3.57), {"C": [0, 0, 0]}),
    "zinc blende": ("F-43m", CUBIC(5.41), {"Zn": [0, 0, 0], "S": [0.25, 0.25, 0.25]}),
    "fluorite": ("Fm-3m", CUBIC(5.46), {"Ca": [0, 0, 0], "F": [0.25, 0.25, 0.25]}),
    "perovskite": ("Pm-3m", CUBIC(3.9), {"Sr": [0, 0, 0], "Ti": [0.5, 0.5, 0.5], "O": [0.5, 0.5, 0]}),
    "spinel": ("Fd-3m", CUBIC(8.08), {"Mg": [0, 0, 0], "Al": [0.625] * 3, "O": [0.387] * 3}),
    "cuprite": ("Pn-3m", CUBIC(4.27), {"O": [0, 0, 0], "Cu": [0.25, 0.25, 0.25]}),
    "pyrite": ("Pa-3", CUBIC(5.42), {"Fe": [0, 0, 0], "S": [0.385] * 3}),
    "garnet": (
        "Ia-3d",
        CUBIC(12.0),
        {"Y": [0.125, 0, 0.25], "Al": [0, 0, 0], "Al2": [0.375, 0, 0.25], "O": [-0.0306, 0.0512, 0.15]},
    ),
    "rutile": ("P4_2/mnm", TETRA(4.594, 2.959), {"Ti": [0, 0, 0], "O": [0.305, 0.305, 0]}),
    "anatase": ("I4_1/amd", TETRA(3.785, 9.514), {"Ti": [0, 0, 0], "O": [0, 0, 0.208]}),
    "zircon": (
        "I4_1/amd",
        TETRA(6.607, 5.982),
        {"Zr": [0, 0, 0], "Si": [0, 0, 0.5], "O": [0, 0.184, 0.321]},
    ),
    "scheelite": ("I4_1/a", TETRA(5.243, 11.376), {"Ca": [0, 0, 0.5], "W": [0, 0, 0], "O": [0.2415, 0.1504, 0.0861]}),
    "chalcopyrite": ("I-42d", TETRA(5.289, 10.42), {"Cu": [0, 0, 0], "Fe": [0, 0, 0.5], "S": [0.257, 0.25, 0.125]}),
    "K2NiF4": (
        "I4/mmm",
        TETRA(4.01, 13.08),
        {"K": [0, 0, 0.35], "Ni": [0, 0, 0], "F": [0, 0.5, 0], "F2": [0, 0, 0.15]},
    ),
    "PbTiO3": (
        "P4mm",
        TETRA(3.9, 4.15),
        {"Pb": [0, 0, 0], "Ti": [0.5, 0.5, 0.54], "O": [0.5, 0.5, 0.11], "O2": [0.5, 0, 0.62]},
    ),
    "wurtzite": ("P6_3mc", HEX(3.25, 5.2), {"Zn": [1 / 3, 2 / 3, 0], "O": [1 / 3, 2 / 3, 0.382]}),
    "hcp": ("P6_3/mmc", HEX(3.209, 5.211), {"Mg": [1 / 3, 2 / 3, 0.25]}),
    "graphite": ("P6_3/mmc", HEX(2.46, 6.71), {"C": [0, 0, 0.25], "C2": [1 / 3, 2 / 3, 0.25]}),
    "2H-MoS2": ("P6_3/mmc", HEX(3.16, 12.3), {"Mo": [1 / 3, 2 / 3, 0.25], "S": [1 / 3, 2 / 3, 0.621]}),
    "MgB2": ("P6/mmm", HEX(3.08, 3.52), {"Mg": [0, 0, 0], "B": [1 / 3, 2 / 3, 0.5]}),
    "alpha-quartz": ("P3_221", HEX(4.916, 5.405), {"Si": [0.4697, 0, 2 / 3], "O": [0.4135, 0.2669, 0.7858]}),
    "corundum": ("R-3c", HEX(4.76, 12.99), {"Al": [0, 0, 0.352], "O": [0.306, 0, 0.25]}),
    "calcite": ("R-3c", HEX(4.99, 17.06), {"Ca": [0, 0, 0], "C": [0, 0, 0.25], "O": [0.257, 0, 0.25]}),
    "ilmenite": (
        "R-3",
        HEX(5.09, 14.09),
        {"Fe": [0, 0, 0.355], "Ti": [0, 0, 0.146], "O": [0.317, 0.023, 0.245]},
    ),
    "LiNbO3": ("R3c", HEX(5.148, 13.863), {"Nb": [0, 0, 0], "Li": [0, 0, 0.28], "O": [0.048, 0.343, 0.064]}),
    "Bi2Te3": ("R-3m", HEX(4.385, 30.5), {"Bi": [0, 0, 0.4], "Te": [0, 0, 0], "Te2": [0, 0, 0.2095]}),
    "brucite": ("P-3m1", HEX(3.14, 4.77), {"Mg": [0, 0, 0], "O": [1 / 3, 2 / 3, 0.22], "H": [1 / 3, 2 / 3, 0.43]}),
    "GdFeO3": (
        "Pnma",
        ORTHO(5.6, 7.6, 5.3),
        {"La": [0.05, 0.25, 0.99], "Fe": [0, 0, 0.5], "O": [0.48, 0.25, 0.08], "O2": [0.29, 0.04, 0.71]},
    ),
    "YBa2Cu3O7": (
        "Pmmm",
        ORTHO(3.82, 3.89, 11.68),
        {"Y": [0.5] * 3, "Ba": [0.5, 0.5, 0.184], "Cu": [0, 0, 0], "Cu2": [0, 0, 0.355]}
        | {"O": [0, 0.5, 0], "O2": [0.5, 0, 0.378], "O3": [0, 0.5, 0.377], "O4": [0, 0, 0.159]},
    ),
    "baddeleyite": (
        "P2_1/c",
        Lattice.monoclinic(5.15, 5.21, 5.32, 99.2),
        {"Zr": [0.275, 0.04, 0.208], "O": [0.07, 0.332, 0.345], "O2": [0.45, 0.757, 0.479]},
    ),
}

SYMMORPHIC = tuple(f"P{name}" for name in POINT_GROUPS)
"""A symmorphic space group of each point group: the origin has the full symmetry."""
CELLS = {
    "triclinic": (7, 7.7, 8.6, 83, 94, 101),
    "monoclinic": (7, 7.7, 8.6, 90, 97, 90),
    "orthorhombic": (7, 7.7, 8.6, 90, 90, 90),
    "tetragonal": (7, 7, 8.6, 90, 90, 90),
    "trigonal": (7, 7, 8.6, 90, 90, 120),
    "hexagonal": (7, 7, 8.6, 90, 90, 120),
    "cubic": (7, 7, 7, 90, 90, 90),
}


@cache
def crystal_of(name: str) -> SymmetricCrystal:
    """A structure type by its name; for a symmorphic space group Po at the origin and H at a general position."""
    if name in SYMMORPHIC:
        system = PointGroup(name[1:]).system
        spacegroup, lattice = name, Lattice.from_parameters(*CELLS[system])
        sites = {"Po": [0, 0, 0], "H": [0.11, 0.32, 0.4]}
    else:
        spacegroup, lattice, sites = STRUCTURES[name]
    species = [element.rstrip("234") for element in sites]
    crystal = SymmetricCrystal.from_structure(
        Structure.from_spacegroup(spacegroup, lattice, species, list(sites.values()), tol=1e-3)
    )
    assert crystal.spacegroup_symbol == spacegroup, name
    return crystal
