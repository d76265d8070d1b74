"""Wyckoff positions against moyopy and spglib on crystals, and origins that do not depend on the description."""

import gzip
import json
import string
from collections import defaultdict
from pathlib import Path

import moyopy
import numpy as np
import pytest
import spglib
from pymatgen.core import Structure
from scipy.spatial.transform import Rotation
from tests.prototypes import STRUCTURES, SYMMORPHIC, crystal_of

from irrepnet.crystals import (
    SymmetricCrystal,
    cdml_point,
    little_group,
    special_points,
    with_standard_origin,
    wyckoff_letter,
    wyckoff_positions,
)
from irrepnet.crystals.symmetric import setting_operations, standard_hall_number
from irrepnet.errors import IrrepnetError

MP_2018 = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "mp_2018.jsonl.gz"
SOME = (1, 2, 15, 47, 70, 88, 122, 136, 167, 194, 216, 221, 227, 230)


def check(number: int) -> int:
    """Letters without a gap, the multiplicity of each by counting, and the letter of a point of each."""
    found = wyckoff_positions(number)
    assert "".join(found) == (string.ascii_lowercase + "A")[: len(found)]
    hall_number = standard_hall_number(number)
    group, rotations, translations = setting_operations(hall_number)
    centering = moyopy.HallSymbolEntry(hall_number).centering
    rng = np.random.default_rng(number)
    for letter, position in found.items():
        point = position.point(rng.uniform(0.02, 0.23, size=3))
        assert wyckoff_letter(number, point + rng.integers(-2, 3, size=3)) == letter
        image = np.array(centering.linear) @ point
        moved = rotations @ image + translations - image
        fixed = (abs(moved - np.rint(moved)) < 1e-6).all(1).sum()
        assert position.multiplicity == group.order // fixed * centering.order
    return len(found)


@pytest.mark.parametrize("number", SOME)
def test_positions(number):
    assert check(number)


@pytest.mark.slow
def test_there_are_1731():
    """International Tables for Crystallography A."""
    assert sum(check(number) for number in range(1, 231)) == 1731


@pytest.mark.parametrize("name", [name for name in (*STRUCTURES, *SYMMORPHIC) if name != "garnet"])
def test_letters_of_crystals_are_moyopys_and_spglibs(name):
    crystal = crystal_of(name)
    places = crystal.cart_coords @ np.linalg.inv(crystal.conventional_lattice)
    assert tuple(wyckoff_letter(crystal.spacegroup_number, place) for place in places) == crystal.wyckoff
    moved = with_standard_origin(crystal)
    places = moved.cart_coords @ np.linalg.inv(moved.conventional_lattice)
    assert tuple(wyckoff_letter(crystal.spacegroup_number, place) for place in places) == moved.wyckoff
    # spglib takes the crystal to the same setting in its own way
    cell = (crystal.lattice, crystal.frac_coords, crystal.numbers)
    found = spglib.get_symmetry_dataset(cell, symprec=1e-4, hall_number=crystal.hall_number)
    assert found is not None
    places = crystal.frac_coords @ found.transformation_matrix.T + found.origin_shift
    assert [wyckoff_letter(crystal.spacegroup_number, place) for place in places] == list(found.wyckoffs)


def check_crystal(crystal: SymmetricCrystal) -> None:
    """All that `SymmetricCrystal` promises."""
    moved = with_standard_origin(crystal)
    images = moved.frac_coords @ moved.rotations.transpose(0, 2, 1) + moved.translations[:, None]
    apart = images - moved.frac_coords[moved.permutation]
    assert abs(apart - np.rint(apart)).max() < 1e-9
    for group, atom in zip(moved.site_groups, moved.representatives):
        assert (moved.permutation[group, atom] == atom).all()
        assert len(group) == moved.point_group.order // (moved.orbits == moved.orbits[atom]).sum()
    before, after = (c.frac_coords @ c.lattice @ c.rotation.T for c in (crystal, moved))
    vectors = [place - place[0] for place in (before, after)]
    lattice = crystal.lattice @ crystal.rotation.T
    cells = (vectors[0] - vectors[1]) @ np.linalg.inv(lattice)
    assert abs(cells - np.rint(cells)).max() < 1e-6  # atoms stand to each other as they stood in the input
    again = with_standard_origin(moved)
    assert np.allclose(again.frac_coords, moved.frac_coords)


@pytest.mark.parametrize("name", [name for name in (*STRUCTURES, *SYMMORPHIC) if name != "garnet"])
def test_another_origin_is_the_same_crystal(name):
    check_crystal(crystal_of(name))


def displacements(crystal: SymmetricCrystal) -> dict[str, dict[str, int]]:
    """{point: {name: how often}} of the mechanical representation, by its characters."""
    found = {}
    for letters, k in special_points(crystal.spacegroup_number):
        little = little_group(crystal.point_group, crystal.rotations, crystal.translations, k)
        images = crystal.frac_coords @ crystal.rotations.transpose(0, 2, 1) + crystal.translations[:, None]
        cells = np.rint(images - crystal.frac_coords[crystal.permutation])
        stays = crystal.permutation == np.arange(len(crystal))
        vector = np.trace(crystal.point_group.operations, axis1=1, axis2=2)
        characters = (np.exp(-2j * np.pi * (cells @ little.k)) * stays).sum(1) * vector
        point = cdml_point(crystal.spacegroup_number, little)
        assert point is not None
        counts = np.rint((little.characters.conj() @ characters[little.indices]).real / len(little.indices))
        found[letters] = {label: int(count) for label, count in zip(point.labels, counts) if count}
    return found


def redescribed(crystal: SymmetricCrystal, rng: np.random.Generator) -> Structure:
    """Turned, shifted, in another basis of the lattice and another order."""
    structure = Structure(crystal.lattice, crystal.species, crystal.frac_coords + rng.random(3))
    basis = np.eye(3, dtype=int)
    for _ in range(3):
        i, j = rng.permutation(3)[:2]
        step = np.eye(3, dtype=int)
        step[i, j] = rng.integers(-1, 2)
        basis = step @ basis
    structure.make_supercell(basis)
    order, turn = rng.permutation(len(structure)), Rotation.random(rng=rng).as_matrix()
    species = [structure[i].specie for i in order]
    return Structure(structure.lattice.matrix @ turn.T, species, structure.frac_coords[order])


@pytest.mark.parametrize("name", [name for name in (*STRUCTURES, *SYMMORPHIC) if name != "garnet"])
def test_names_do_not_depend_on_the_description(name):
    crystal, rng = crystal_of(name), np.random.default_rng(7)
    wanted = displacements(with_standard_origin(crystal))
    for _ in range(2):
        other = SymmetricCrystal.from_structure(redescribed(crystal, rng))
        assert displacements(with_standard_origin(other)) == wanted


def real_crystals(a_group: int) -> list[dict]:
    if not MP_2018.exists():
        pytest.skip("../shared not present: no mp_2018")
    with gzip.open(MP_2018, "rt") as lines:
        records = [json.loads(line) for line in lines]
    found = defaultdict(list)
    for k in np.random.default_rng(3).permutation(len(records)):
        own = found[records[k]["spacegroup_number"]]
        if len(records[k]["species"]) <= 20 and len(own) < a_group:
            own.append(records[k])
    return [record for own in found.values() for record in own]


@pytest.mark.slow
def test_names_of_real_crystals_do_not_depend_on_the_description():
    """Two crystals of each of 180 space groups and more."""
    rng, count = np.random.default_rng(4), 0
    for record in real_crystals(2):
        crystal = SymmetricCrystal.from_structure(record)
        other = SymmetricCrystal.from_structure(redescribed(crystal, rng))
        if other.spacegroup_number == crystal.spacegroup_number:
            assert displacements(with_standard_origin(crystal)) == displacements(with_standard_origin(other)), record
            count += 1
    assert count > 300


def test_rock_salt_has_its_metal_at_a():
    rock_salt = {"species": ["Cl", "Na"], "cell": [4, 4, 4, 60, 60, 60]}
    for shift in (0, 0.25, 0.5, 0.123):
        record = rock_salt | {"frac_coords": [[shift] * 3, [shift + 0.5] * 3]}
        crystal = with_standard_origin(SymmetricCrystal.from_structure(record))
        assert dict(zip(crystal.species, crystal.wyckoff)) == {"Na": "a", "Cl": "b"}


def test_what_is_no_position():
    with pytest.raises(IrrepnetError, match="1 to 230"):
        wyckoff_positions(231)
