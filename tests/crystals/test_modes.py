"""Vibration modes at Γ against published decompositions and random dynamical matrices."""

import re
from collections import Counter

import numpy as np
import pytest
import spglib
from pymatgen.core import Structure
from scipy.spatial.transform import Rotation
from tests.prototypes import STRUCTURES, SYMMORPHIC, crystal_of

from irrepnet.crystals import DIPOLE, HYPER_RAMAN, RAMAN, SymmetricCrystal, activity_forms, vibration_modes
from irrepnet.groups import SETTINGS, PointGroup
from irrepnet.tensors import CartesianTensor

PUBLISHED = {  # with the acoustic modes ("mechanical") or without ("optical"), and a paper that it is quoted from
    "rock salt": ("optical", "T1u", "Dresselhaus, Dresselhaus, Jorio, Group Theory (2008), chapter 11"),
    "CsCl": ("optical", "T1u", "the same"),
    "diamond": ("optical", "T2g", "the same"),
    "zinc blende": ("optical", "T2", "the same"),
    "fluorite": ("optical", "T2g + T1u", "Kaiser et al., Phys. Rev. 127, 1950 (1962)"),
    "perovskite": ("optical", "3T1u + T2u", "Perry, Khanna, Rupprecht, Phys. Rev. 135, A408 (1964)"),
    "spinel": (
        "optical",
        "A1g + Eg + T1g + 3T2g + 2A2u + 2Eu + 4T1u + 2T2u",
        "White, DeAngelis, Spectrochim. Acta A 23, 985 (1967)",
    ),
    "cuprite": ("optical", "T2g + A2u + Eu + 2T1u + T2u", "Elliott, Phys. Rev. 124, 340 (1961)"),
    "pyrite": (
        "optical",
        "Ag + Eg + 3Tg + 2Au + 2Eu + 5Tu",
        "Vogt, Chattopadhyay, Stolz, J. Phys. Chem. Solids 44, 869 (1983)",
    ),
    "garnet": (
        "optical",
        "3A1g + 5A2g + 8Eg + 14T1g + 14T2g + 5A1u + 5A2u + 10Eu + 17T1u + 16T2u",
        "Hurrell et al., Phys. Rev. 173, 851 (1968)",
    ),
    "rutile": (
        "optical",
        "A1g + A2g + B1g + B2g + Eg + A2u + 2B1u + 3Eu",
        "Porto, Fleury, Damen, Phys. Rev. 154, 522 (1967)",
    ),
    "anatase": (
        "optical",
        "A1g + 2B1g + 3Eg + A2u + B2u + 2Eu",
        "Ohsaka, Izumi, Fujiki, J. Raman Spectrosc. 7, 321 (1978)",
    ),
    "zircon": (
        "mechanical",
        "2A1g + A2g + 4B1g + B2g + 5Eg + A1u + 4A2u + B1u + 2B2u + 5Eu",
        "Dawson, Hargreave, Wilkinson, J. Phys. C 4, 240 (1971)",
    ),
    "scheelite": ("mechanical", "3Ag + 5Bg + 5Eg + 5Au + 3Bu + 5Eu", "Porto, Scott, Phys. Rev. 157, 716 (1967)"),
    "chalcopyrite": (
        "mechanical",
        "A1 + 2A2 + 3B1 + 4B2 + 7E",
        "Kaminow, Buehler, Wernick, Phys. Rev. B 2, 960 (1970)",
    ),
    "K2NiF4": (
        "optical",
        "2A1g + 2Eg + 3A2u + B2u + 4Eu",
        "Burns, Dacol, Shafer, Solid State Commun. 62, 687 (1987)",
    ),
    "PbTiO3": ("optical", "3A1 + B1 + 4E", "Burns, Scott, Phys. Rev. B 7, 3088 (1973)"),
    "wurtzite": ("optical", "A1 + 2B1 + E1 + 2E2", "Arguello, Rousseau, Porto, Phys. Rev. 181, 1351 (1969)"),
    "hcp": ("optical", "B1g + E2g", "Grant et al., Phys. Status Solidi B 60, 331 (1973)"),
    "graphite": ("optical", "2B1g + 2E2g + A2u + E1u", "Nemanich, Lucovsky, Solin, Solid State Commun. 23, 117 (1977)"),
    "2H-MoS2": (
        "optical",
        "A1g + 2B2g + E1g + 2E2g + A2u + B1u + E1u + E2u",
        "Molina-Sánchez, Wirtz, Phys. Rev. B 84, 155413 (2011)",
    ),
    "MgB2": ("optical", "B1g + E2g + A2u + E1u", "Bohnen, Heid, Renker, Phys. Rev. Lett. 86, 5771 (2001)"),
    "alpha-quartz": ("optical", "4A1 + 4A2 + 8E", "Scott, Porto, Phys. Rev. 161, 903 (1967)"),
    "corundum": (
        "optical",
        "2A1g + 3A2g + 5Eg + 2A1u + 2A2u + 4Eu",
        "Porto, Krishnan, J. Chem. Phys. 47, 1009 (1967)",
    ),
    "calcite": (
        "optical",
        "A1g + 3A2g + 4Eg + 2A1u + 3A2u + 5Eu",
        "Hellwege et al., Z. Phys. 232, 61 (1970)",
    ),
    "ilmenite": ("optical", "5Ag + 5Eg + 4Au + 4Eu", "Baraton et al., J. Solid State Chem. 112, 9 (1994)"),
    "LiNbO3": ("optical", "4A1 + 5A2 + 9E", "Kaminow, Johnston, Phys. Rev. 160, 519 (1967)"),
    "Bi2Te3": ("optical", "2A1g + 2Eg + 2A2u + 2Eu", "Richter, Köhler, Becker, Phys. Status Solidi B 84, 619 (1977)"),
    "brucite": (
        "mechanical",
        "2A1g + 2Eg + 3A2u + 3Eu",
        "Dawson, Hadfield, Wilkinson, J. Phys. Chem. Solids 34, 1217 (1973)",
    ),
    "GdFeO3": (
        "mechanical",
        "7Ag + 5B1g + 7B2g + 5B3g + 8Au + 10B1u + 8B2u + 10B3u",
        "Iliev et al., Phys. Rev. B 57, 2872 (1998)",
    ),
    "YBa2Cu3O7": (
        "mechanical",
        "5Ag + 5B2g + 5B3g + 8B1u + 8B2u + 8B3u",
        "Liu et al., Phys. Rev. B 37, 7971 (1988)",
    ),
    "baddeleyite": ("optical", "9Ag + 9Bg + 8Au + 7Bu", "Quintard et al., J. Am. Ceram. Soc. 85, 1745 (2002)"),
}
OTHER_AXES = {"2H-MoS2"}
"""Published with the other set of two-fold axes for 1 and 2: B1 is our B2."""

ACTIVE = {  # infrared, Raman, silent, from the same papers
    "diamond": ("", "T2g", ""),
    "zinc blende": ("T2", "T2", ""),
    "fluorite": ("T1u", "T2g", ""),
    "perovskite": ("3T1u", "", "T2u"),
    "spinel": ("4T1u", "A1g + Eg + 3T2g", "T1g + 2A2u + 2Eu + 2T2u"),
    "pyrite": ("5Tu", "Ag + Eg + 3Tg", "2Au + 2Eu"),
    "garnet": ("17T1u", "3A1g + 8Eg + 14T2g", "5A2g + 14T1g + 5A1u + 5A2u + 10Eu + 16T2u"),
    "rutile": ("A2u + 3Eu", "A1g + B1g + B2g + Eg", "A2g + 2B1u"),
    "anatase": ("A2u + 2Eu", "A1g + 2B1g + 3Eg", "B2u"),
    "PbTiO3": ("3A1 + 4E", "3A1 + B1 + 4E", ""),
    "wurtzite": ("A1 + E1", "A1 + E1 + 2E2", "2B1"),
    "hcp": ("", "E2g", "B1g"),
    "graphite": ("A2u + E1u", "2E2g", "2B1g"),
    "2H-MoS2": ("A2u + E1u", "A1g + E1g + 2E2g", "2B2g + B1u + E2u"),
    "alpha-quartz": ("4A2 + 8E", "4A1 + 8E", ""),
    "corundum": ("2A2u + 4Eu", "2A1g + 5Eg", "3A2g + 2A1u"),
    "calcite": ("3A2u + 5Eu", "A1g + 4Eg", "3A2g + 2A1u"),
    "LiNbO3": ("4A1 + 9E", "4A1 + 9E", "5A2"),
    "GdFeO3": ("9B1u + 7B2u + 9B3u", "7Ag + 5B1g + 7B2g + 5B3g", "8Au"),
    "baddeleyite": ("8Au + 7Bu", "9Ag + 9Bg", ""),
}


def irreps(text: str, name: str) -> dict[str, int]:
    """{label: count} of "A1g + 2Eu", in our labels."""
    if name in OTHER_AXES:
        text = re.sub("B([12])", lambda b: f"B{3 - int(b[1])}", text)
    terms = re.findall(r"(\d*)([ABET]\w*)", text)
    return {label: int(count or 1) for count, label in terms}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_decompositions(name):
    kind, decomposition, _ = PUBLISHED[name]
    modes = vibration_modes(crystal_of(name))
    assert getattr(modes, kind) == irreps(decomposition, name)


@pytest.mark.parametrize("name", ACTIVE)
def test_published_activities(name):
    modes = vibration_modes(crystal_of(name))
    found = modes.infrared, modes.raman, modes.silent
    assert found == tuple(irreps(text, name) for text in ACTIVE[name])


def displacement_matrices(crystal: SymmetricCrystal) -> tuple[np.ndarray, np.ndarray]:
    """What each operation does to vectors (N, 3, 3) and to displacements (N, 3n, 3n), in the order of the crystal's
    point group: spglib's operations on the positions, no table of ours."""
    cell = crystal.lattice.tolist(), crystal.frac_coords.tolist(), crystal.numbers.tolist()
    found = spglib.get_symmetry(cell, symprec=1e-5)
    assert found is not None
    n, to_cartesian = len(crystal), crystal.lattice.T
    vectors, displacements = [], []
    for rotation in crystal.rotations:
        own = [k for k, candidate in enumerate(found["rotations"]) if (candidate == rotation).all()]
        assert len(own) == 1
        images = crystal.frac_coords @ rotation.T + found["translations"][own[0]]
        offsets = images[:, None] - crystal.frac_coords[None]
        to = np.linalg.norm((offsets - offsets.round()) @ crystal.lattice, axis=-1).argmin(axis=1)
        cartesian = to_cartesian @ rotation @ np.linalg.inv(to_cartesian)
        vectors.append(cartesian)
        displacements.append(np.kron(np.eye(n)[:, to], cartesian))
    return np.array(vectors), np.array(displacements)


def symmetrised(left: np.ndarray, right: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return np.mean([a @ matrix @ b.T for a, b in zip(left, right, strict=True)], axis=0)


def random_modes(crystal: SymmetricCrystal) -> tuple[np.ndarray, list[np.ndarray]]:
    """Random symmetric force constants (3n, 3n) with the acoustic sum rule; eigenspaces (3n, d) from the lowest."""
    _, displacements = displacement_matrices(crystal)
    size = 3 * len(crystal)
    random = np.random.default_rng(7).normal(size=(size, size))
    translations = np.tile(np.eye(3), (len(crystal), 1)) / np.sqrt(len(crystal))
    relative = np.eye(size) - translations @ translations.T
    constants = relative @ symmetrised(displacements, displacements, random @ random.T) @ relative
    values, vectors = np.linalg.eigh(constants)
    starts = np.flatnonzero(np.diff(values, prepend=-1.0) > 1e-8 * values[-1]).tolist()
    spaces = [vectors[:, i:j] for i, j in zip(starts, [*starts[1:], size], strict=True)]
    return constants, spaces


def check_with_random_couplings(crystal: SymmetricCrystal) -> None:
    """Each level of a random symmetric crystal is one irrep, as often as we say; random symmetric Born charges, Raman
    and hyper-Raman tensors give the levels that we say a dipole and a change of the polarisabilities, and no others."""
    modes = vibration_modes(crystal)
    _, (translations, *levels) = random_modes(crystal)
    vectors, displacements = displacement_matrices(crystal)
    pairs = np.array([np.kron(v, v) for v in vectors])
    rng = np.random.default_rng(8)
    charges = symmetrised(vectors, displacements, rng.normal(size=(3, 3 * len(crystal))))
    tensors = rng.normal(size=(3, 3, 3 * len(crystal)))
    tensors = symmetrised(pairs, displacements, (tensors + tensors.swapaxes(0, 1)).reshape(9, -1))
    triples = np.array([np.kron(v, np.kron(v, v)) for v in vectors])
    thirds = rng.normal(size=(3, 3, 3, 3 * len(crystal)))
    thirds = symmetrised(triples, displacements, (thirds + thirds.swapaxes(1, 2)).reshape(27, -1))
    seen = {name: Counter() for name in ("optical", "infrared", "raman", "silent", "hyper_raman")}
    for level in levels:
        characters = np.einsum("ik,gij,jk->g", level, displacements, level, optimize=True)
        ((label, count),) = modes.group.multiplicities(characters).items()
        assert (count, modes.group.irrep(label).dim) == (1, level.shape[1])
        kinds = [k for k, c in (("infrared", charges), ("raman", tensors)) if abs(c @ level).max() > 1e-8]
        for kind in ("optical", *(kinds or ["silent"]), *(["hyper_raman"] if abs(thirds @ level).max() > 1e-8 else [])):
            seen[kind][label] += 1
    assert seen == {name: getattr(modes, name) for name in seen}
    characters = np.einsum("ik,gij,jk->g", translations, displacements, translations)
    assert modes.group.multiplicities(characters) == modes.acoustic


@pytest.mark.parametrize("name", [*STRUCTURES, *SYMMORPHIC])
def test_random_couplings(name):
    check_with_random_couplings(crystal_of(name))


@pytest.mark.slow
def test_random_couplings_of_mp_2018(mp_2018):
    """Up to eight crystals of each point group."""
    found = Counter()
    for record in mp_2018:
        if len(record["species"]) <= 30 and found[record["point_group"]] < 8:
            found[record["point_group"]] += 1
            check_with_random_couplings(SymmetricCrystal.from_structure(record))
    assert len(found) > 25


@pytest.mark.parametrize("name", [*STRUCTURES, *SYMMORPHIC])
def test_orbits_carry_the_representation_induced_by_their_vectors(name):
    """Frobenius: Γ occurs in an orbit's displacements as often as Γ restricted to the site group meets x, y, z."""
    crystal = crystal_of(name)
    modes, group = vibration_modes(crystal), crystal.point_group
    for orbit, own in zip(modes.orbits, crystal.site_groups, strict=True):
        vector = np.trace(group.operations[own], axis1=1, axis2=2)
        for irrep in group.irreps:
            overlap = (irrep.characters[own] @ vector) / len(own) / len(irrep.commutant)
            assert abs(orbit.get(irrep.label, 0) - overlap) < 1e-9
    total = {}
    for orbit in modes.orbits:
        for label, count in orbit.items():
            total[label] = total.get(label, 0) + count
    assert total == modes.mechanical
    assert sum(count * group.irrep(label).dim for label, count in total.items()) == 3 * len(crystal)


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("garnet", *SYMMORPHIC)]


@pytest.mark.parametrize("name", [*(name for name in STRUCTURES if name != "garnet"), *SLOW])
def test_phonopy_names_the_levels_alike(name):
    phonopy = pytest.importorskip("phonopy")
    from phonopy.structure.atoms import PhonopyAtoms

    crystal = crystal_of(name)
    n = len(crystal)
    cell = PhonopyAtoms(
        cell=crystal.lattice, scaled_positions=crystal.frac_coords, numbers=crystal.numbers, masses=[1.0] * n
    )
    phonon = phonopy.Phonopy(cell, np.eye(3, dtype=int), primitive_matrix=np.eye(3))
    constants, _ = random_modes(crystal)
    phonon.force_constants = constants.reshape(n, 3, n, 3).swapaxes(1, 2).copy()
    # levels are random: its default of 1e-4 THz takes two that are close for one
    labels = phonon.set_irreps([0, 0, 0], degeneracy_tolerance=3e-5)._ir_labels
    assert labels
    assert Counter(labels[1:]) == vibration_modes(crystal).optical  # the first are the translations


@pytest.mark.parametrize("name", [*(name for name in STRUCTURES if name != "garnet"), *SYMMORPHIC])
def test_numbers_of_independent_constants(name):
    """Against characters of the symmetric square of the optical modes, and the rank of random symmetric charges."""
    crystal = crystal_of(name)
    modes, (vectors, displacements) = vibration_modes(crystal), displacement_matrices(crystal)
    optical = np.trace(displacements, axis1=1, axis2=2) - np.trace(vectors, axis1=1, axis2=2)
    squares = optical[np.diag(modes.group.multiplication)]
    assert modes.force_constants == round(float(np.mean(optical**2 + squares)) / 2)
    charges = np.random.default_rng(3).normal(size=(60, 3, 3 * len(crystal)))
    charges = np.array([symmetrised(vectors, displacements, c) for c in charges]).reshape(60, 3, -1, 3)
    charges -= charges.mean(axis=2, keepdims=True)
    assert modes.born_charges < 60
    assert modes.born_charges == np.linalg.matrix_rank(charges.reshape(60, -1), tol=1e-8)


@pytest.mark.parametrize("tensor", [DIPOLE, RAMAN, HYPER_RAMAN], ids=lambda tensor: tensor.formula)
@pytest.mark.parametrize("name", SETTINGS)
def test_forms_are_all_that_transform_as_the_irrep(name, tensor):
    group = PointGroup(name)
    forms = activity_forms(group, tensor)
    characters = np.array(
        [
            np.trace(tensor.basis.reshape(tensor.dim, -1) @ tensor.rotate(tensor.basis, g).reshape(tensor.dim, -1).T)
            for g in group.operations
        ]
    )
    assert forms.keys() == group.multiplicities(characters).keys()
    for label, count in group.multiplicities(characters).items():
        irrep, basis = group.irrep(label), forms[label].basis
        assert len(basis) == np.linalg.matrix_rank(basis.reshape(len(basis), -1)) == count * len(irrep.commutant)
        for g, matrix in zip(group.operations, irrep.matrices, strict=True):
            moved = tensor.rotate(basis, g)
            assert np.allclose(moved, np.einsum("lk,cl...->ck...", matrix, basis), atol=1e-12)


RAMAN_TENSORS = {  # R. Loudon, Adv. Phys. 13, 423 (1964), table 1, up to names of components and signs of a row
    ("mmm", "Ag"): ["a00/0b0/00c"],
    ("mmm", "B2g"): ["00a/000/a00"],
    ("4/mmm", "A1g"): ["a00/0a0/00b"],
    ("4/mmm", "B1g"): ["a00/0-a0/000"],
    ("4/mmm", "B2g"): ["0a0/a00/000"],
    ("-3m", "A1g"): ["a00/0a0/00b"],
    ("-3m", "Eg"): ["a00/0-ab/0b0", "0-a-b/-a00/-b00"],
    ("6mm", "E1"): ["00a/000/a00", "000/00a/0a0"],
    ("6mm", "E2"): ["a00/0-a0/000", "0a0/a00/000"],
    ("m-3m", "A1g"): ["a00/0a0/00a"],
    ("m-3m", "T2g"): ["000/00a/0a0", "00a/000/a00", "0a0/a00/000"],
    ("-43m", "T2"): ["000/00a/0a0", "00a/000/a00", "0a0/a00/000"],
}


@pytest.mark.parametrize(("name", "label"), RAMAN_TENSORS)
def test_published_raman_tensors(name, label):
    rows = RAMAN_TENSORS[name, label]
    found = activity_forms(PointGroup(name), RAMAN)[label].pattern
    assert ["/".join("".join(row) for row in matrix) for matrix in found] == rows


def test_hyper_raman_of_cubic_crystals():
    """With β_ijk = β_ikj: A2u, T1u, T2u in m-3m, as in the fully symmetric tensor, and Eu besides."""
    symmetric = activity_forms(PointGroup("m-3m"), CartesianTensor("ijk=jik=ikj"))
    assert set(symmetric) == {"A2u", "T1u", "T2u"}
    assert set(activity_forms(PointGroup("m-3m"), HYPER_RAMAN)) == {"A2u", "Eu", "T1u", "T2u"}
    assert vibration_modes(crystal_of("perovskite")).hyper_raman == {"T1u": 3, "T2u": 1}
    assert vibration_modes(crystal_of("diamond")).hyper_raman == {}


def test_one_atom_has_no_optical_modes():
    modes = vibration_modes(
        SymmetricCrystal.from_structure({"species": ["Po"], "cell": [3, 3, 3, 90, 90, 90], "frac_coords": [[0, 0, 0]]})
    )
    assert modes.mechanical == modes.acoustic == {"T1u": 1}
    assert modes.optical == modes.infrared == modes.raman == modes.silent == modes.hyper_raman == {}
    assert modes.force_constants == modes.born_charges == 0


@pytest.mark.parametrize("name", ["rutile", "2H-MoS2", "alpha-quartz", "GdFeO3", "YBa2Cu3O7", "baddeleyite"])
def test_modes_do_not_depend_on_the_description(name):
    crystal, rng = crystal_of(name), np.random.default_rng(5)
    modes = vibration_modes(crystal)
    for seed in range(2):
        other = Structure(crystal.lattice, crystal.species, crystal.frac_coords + rng.random(3))
        other.make_supercell([[1, 1, 0], [0, 1, 1], [1, 0, 1 - seed]])
        other = Structure.from_sites([other[i] for i in rng.permutation(len(other))])
        turn = Rotation.random(rng=rng).as_matrix()
        other = Structure(other.lattice.matrix @ turn.T, other.species, other.frac_coords)
        again = vibration_modes(SymmetricCrystal.from_structure(other))
        assert again._replace(orbits=()) == modes._replace(orbits=())
        assert Counter(str(orbit) for orbit in again.orbits) == Counter(str(orbit) for orbit in modes.orbits)
