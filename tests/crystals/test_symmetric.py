"""The idealised crystal against spglib, the group axioms and other descriptions of itself."""

from collections import Counter, defaultdict
from functools import cache

import moyopy
import numpy as np
import pytest
import spglib
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from scipy.spatial import KDTree

from irrepnet.crystals import SymmetricCrystal, read_cell
from irrepnet.errors import IrrepnetError
from irrepnet.groups import PointGroup

EXPECTED = {  # space group, point group, sites of each orbit in the conventional cell with their symmetry
    "SrTiO3": ("Pm-3m", "m-3m", {("Sr", 1, "m-3m"), ("Ti", 1, "m-3m"), ("O", 3, "4/mm.m")}),
    "MgAl2O4": ("Fd-3m", "m-3m", {("Mg", 8, "-43m"), ("Al", 16, ".-3m"), ("O", 32, ".3m")}),
    "NaCl": ("Fm-3m", "m-3m", {("Na", 4, "m-3m"), ("Cl", 4, "m-3m")}),
    "CaF2": ("Fm-3m", "m-3m", {("Ca", 4, "m-3m"), ("F", 8, "-43m")}),
    "Si": ("Fd-3m", "m-3m", {("Si", 8, "-43m")}),
    "TiO2": ("P4_2/mnm", "4/mmm", {("Ti", 2, "m.mm"), ("O", 4, "m.2m")}),
}


def assert_exactly_symmetric(crystal: SymmetricCrystal) -> None:
    """Everything that makes the space group act on the atoms, to rounding."""
    group, lattice = crystal.point_group, crystal.lattice.T
    n, size = len(crystal), np.linalg.norm(crystal.lattice)
    assert crystal.rotations.shape == (group.order, 3, 3)
    assert crystal.permutation.shape == (group.order, n)
    assert np.linalg.det(lattice) > 0
    assert ((crystal.frac_coords >= 0) & (crystal.frac_coords < 1)).all()
    # the operations of the named setting are those of this lattice
    assert abs(group.operations @ lattice - lattice @ crystal.rotations).max() < 1e-12 * size
    # s_g sends atom a onto atom g·a of the same element
    images = np.einsum("gij,aj->gai", crystal.rotations, crystal.frac_coords) + crystal.translations[:, None]
    misfit = images - crystal.frac_coords[crystal.permutation]
    assert abs(misfit - np.round(misfit)).max() < 1e-12
    assert (crystal.numbers[crystal.permutation] == crystal.numbers).all()
    # a group action: (g h)·a = g·(h·a)
    both = np.array([row[crystal.permutation] for row in crystal.permutation])
    assert (crystal.permutation[group.multiplication] == both).all()
    # orbits and stabilisers
    for orbit, first in enumerate(crystal.representatives):
        members = np.flatnonzero(crystal.orbits == orbit)
        assert members[0] == first
        assert set(crystal.permutation[:, first]) == set(members)
        assert len(crystal.site_groups[orbit]) * len(members) == group.order
        assert (crystal.permutation[crystal.site_groups[orbit], first] == first).all()


def sites(crystal: SymmetricCrystal) -> Counter:
    return Counter(
        (crystal.species[a], int(m), symbol)
        for a, m, symbol in zip(crystal.representatives, crystal.multiplicities, crystal.site_symmetry, strict=True)
    )


def assert_idealised_agrees_with_spglib(crystal: SymmetricCrystal) -> None:
    """Space group, orbits, site symmetry and Wyckoff positions of the idealised cell."""
    oracle = spglib.get_symmetry_dataset((crystal.lattice, crystal.frac_coords, crystal.numbers), symprec=1e-5)
    assert oracle.number == crystal.spacegroup_number
    assert oracle.international == crystal.spacegroup_symbol
    first = np.unique(oracle.crystallographic_orbits, return_index=True)[1]
    assert (np.unique(oracle.crystallographic_orbits, return_inverse=True)[1] == crystal.orbits).all()
    assert first.tolist() == crystal.representatives.tolist()
    assert tuple(oracle.site_symmetry_symbols[a] for a in first) == crystal.site_symmetry
    standard = np.bincount(oracle.std_mapping_to_primitive)[oracle.mapping_to_primitive]
    counts = [standard[crystal.orbits == orbit].sum() for orbit in range(len(first))]
    assert counts == crystal.multiplicities.tolist()
    # Wyckoff letters are defined up to the choice of origin: the two must correspond one to one.
    pairs = set(zip(oracle.wyckoffs, crystal.wyckoff, strict=True))
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def assert_agrees_with_spglib(crystal: SymmetricCrystal, source) -> None:
    found = spglib.get_symmetry_dataset(tuple(read_cell(source)[:3]), symprec=crystal.symprec)
    assert found.number == crystal.spacegroup_number
    assert_idealised_agrees_with_spglib(crystal)


# --- known crystals


def test_examples(examples):
    assert set(examples) == set(EXPECTED)
    for formula, (symbol, point_group, orbits) in EXPECTED.items():
        crystal = SymmetricCrystal.from_structure(examples[formula])
        assert (crystal.formula, crystal.spacegroup_symbol) == (formula, symbol)
        assert crystal.point_group.name == point_group
        assert set(sites(crystal)) == orbits
        assert crystal.displacement < 1e-12
        assert crystal.strain < 1e-12
        assert abs(crystal.rotation - np.eye(3)).max() < 1e-12  # the files are in the standard frame
        assert_exactly_symmetric(crystal)
        assert_agrees_with_spglib(crystal, examples[formula])


SETTINGS = {  # hexagonal and tetragonal groups whose setting the space group decides
    111: "-42m", 115: "-4m2", 121: "-42m", 119: "-4m2", 149: "312", 150: "321", 155: "321", 156: "3m1",
    157: "31m", 160: "3m1", 162: "-31m", 164: "-3m1", 166: "-3m1", 187: "-6m2", 189: "-62m", 3: "2", 6: "m",
    10: "2/m", 16: "222", 25: "mm2", 143: "3", 200: "m-3", 207: "432", 215: "-43m", 1: "1", 2: "-1",
}  # fmt: skip


@cache
def tabulated_operations(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Rotations and translations of a space group in the conventional cell, from spglib's table."""
    hall = next(h for h in range(1, 531) if spglib.get_spacegroup_type(h).number == number)
    table = spglib.get_symmetry_from_database(hall)
    return table["rotations"], table["translations"]


def structure_of(number: int, parameters: list[float], species: list[str], coords: list) -> Structure:
    """The orbits of the given sites; the cell is enlarged until no two atoms are nearer than 1 Å."""
    rotations, translations = tabulated_operations(number)
    elements, points = [], []
    for element, x in zip(species, coords, strict=True):
        orbit = (rotations @ np.array(x) + translations) % 1
        orbit = np.unique(np.round(orbit, 9) % 1, axis=0)
        elements.extend([element] * len(orbit))
        points.extend(orbit)
    structure = Structure(Lattice.from_parameters(*parameters), elements, points)
    closest = (structure.distance_matrix + 1e3 * np.eye(len(structure))).min()
    structure.scale_lattice(structure.volume * max(1.0, 1 / max(closest, 1e-3)) ** 3)
    return structure


def general_crystal(number: int) -> Structure:
    """A crystal with exactly this space group: two general positions, the cell free within its system."""
    a, b, c, alpha, beta, gamma = 7.1, 8.3, 9.7, 78.0, 85.0, 97.0
    if number > 2:
        alpha = gamma = 90.0
    if number > 15:
        beta = 90.0
    if number > 74:
        b = a
    if 143 <= number <= 194:
        gamma = 120.0
    if number > 194:
        c = a
    coords = [[0.0813, 0.2931, 0.1719], [0.4127, 0.0959, 0.3711]]
    return structure_of(number, [a, b, c, alpha, beta, gamma], ["Si", "O"], coords)


@pytest.mark.parametrize("number", range(1, 231))
def test_every_space_group(number):
    structure = general_crystal(number)
    crystal = SymmetricCrystal.from_structure(structure, symprec=1e-4)
    assert crystal.spacegroup_number == number
    assert_exactly_symmetric(crystal)
    assert len(crystal) == 2 * crystal.point_group.order
    assert crystal.site_symmetry == ("1", "1")
    cell = read_cell(structure)
    point_group = PointGroup(spglib.get_symmetry_dataset(tuple(cell[:3]), symprec=1e-4).pointgroup)
    assert crystal.point_group.schoenflies == point_group.schoenflies
    assert crystal.point_group.name == SETTINGS.get(number, crystal.point_group.name)


def test_standard_frame_follows_the_conventional_cell():
    """a along x, b in the xy plane, c up; principal axis along z, monoclinic axis along y."""
    for number in (2, 5, 14, 38, 62, 88, 122, 148, 166, 176, 194, 206, 216, 227):
        a, b, c = SymmetricCrystal.from_structure(general_crystal(number), symprec=1e-4).conventional_lattice
        tiny = 1e-10
        assert abs(a[1:]).max() < tiny < a[0]
        assert abs(b[2]) < tiny < b[1]
        assert c[2] > tiny
        if number >= 3:
            assert abs(b[0]) < tiny or 143 <= number <= 194
            assert abs(c[1]) < tiny
        if number > 15:
            assert abs(c[0]) < tiny


# --- other descriptions of the same crystal


@st.composite
def cubic_structures(draw) -> Structure:
    """One to three orbits of a random cubic space group."""
    number = draw(st.integers(195, 230))
    coordinate = st.sampled_from([0.0, 0.125, 0.25, 0.375, 0.5, 0.1173, 0.2891, 0.4127])
    coords = draw(st.lists(st.tuples(coordinate, coordinate, coordinate), min_size=1, max_size=3))
    species = draw(st.permutations(["Cs", "Cl", "O"]))[: len(coords)]
    structure = structure_of(number, [6, 6, 6, 90, 90, 90], species, coords)
    assume(len(structure) <= 64 and structure.lattice.a < 60)
    return structure


@st.composite
def descriptions(draw) -> tuple[np.ndarray, np.random.Generator]:
    """A supercell matrix, of either handedness, and a source of rotations, origins and orders of atoms."""
    entries = st.integers(-1, 2)
    matrix = np.array(draw(st.lists(entries, min_size=9, max_size=9))).reshape(3, 3)
    assume(1 <= abs(round(np.linalg.det(matrix))) <= 4)
    return matrix, np.random.default_rng(draw(st.integers(0, 2**32 - 1)))


def redescribed(structure: Structure, matrix: np.ndarray, rng: np.random.Generator) -> tuple[Structure, np.ndarray]:
    """The same crystal in a supercell, turned, shifted and with its atoms shuffled; and the rotation."""
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    rotation *= np.linalg.det(rotation)
    big = structure.copy()
    big.make_supercell(matrix)
    order = rng.permutation(len(big))
    coords = (big.frac_coords + rng.uniform(size=3))[order]
    return Structure(big.lattice.matrix @ rotation.T, [big[i].specie for i in order], coords), rotation


def environments(numbers: np.ndarray, lattice: np.ndarray, frac_coords: np.ndarray, radius: float) -> np.ndarray:
    """Rows (element, element, vector), one a pair of atoms within the radius, by brute force."""
    reach = np.ceil(radius * np.linalg.norm(np.linalg.inv(lattice), axis=0)).astype(int) + 1
    images = np.stack(np.meshgrid(*[np.arange(-m, m + 1) for m in reach], indexing="ij"), -1).reshape(-1, 3)
    points = frac_coords % 1
    vectors = (points[None, :, None] + images - points[:, None, None]) @ lattice
    near = np.linalg.norm(vectors, axis=-1) < radius
    first, second, _ = np.nonzero(near)
    return np.column_stack([10.0 * numbers[first], 10.0 * numbers[second], vectors[near]])


def same_rows(a: np.ndarray, b: np.ndarray, tolerance: float) -> bool:
    """Whether every row of each has its like in the other (as sets)."""
    return all(KDTree(x).query(y)[0].max() < tolerance for x, y in ((a, b), (b, a)))


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.filter_too_much])
@given(cubic_structures(), descriptions())
def test_one_crystal_in_many_descriptions(structure, description):
    matrix, rng = description
    given_as, rotation = redescribed(structure, matrix, rng)
    one, other = SymmetricCrystal.from_structure(structure), SymmetricCrystal.from_structure(given_as)
    assert_exactly_symmetric(one)
    assert_exactly_symmetric(other)
    assert_agrees_with_spglib(one, structure)
    assert one.spacegroup_number == other.spacegroup_number
    assert one.point_group is other.point_group
    assert (one.formula, len(one)) == (other.formula, len(other))
    assert np.allclose(one.conventional_lattice, other.conventional_lattice, atol=1e-8)
    assert sites(one) == sites(other)
    assert max(one.displacement, other.displacement, one.strain, other.strain) < 1e-8
    # both stand in their inputs as `rotation` says: the vectors between atoms are the input's, turned
    for crystal, source in ((one, structure), (other, given_as)):
        cell = read_cell(source)
        seen = environments(cell.numbers, cell.lattice, cell.frac_coords, 4.0137)
        made = environments(crystal.numbers, crystal.lattice, crystal.frac_coords, 4.0137)
        assert np.linalg.det(crystal.rotation) == pytest.approx(1)
        assert same_rows(np.hstack([made[:, :2], made[:, 2:] @ crystal.rotation.T]), seen, 1e-6)
    # and so the two frames differ by a proper rotation of the lattice's holohedry: an element of O
    turn = other.rotation.T @ rotation @ one.rotation
    assert abs(abs(turn).round() - abs(turn)).max() < 1e-6


def test_many_at_once_are_made_as_one_by_one(examples):
    bad = {"species": ["H", "H"], "frac_coords": [[0, 0, 0], [0.01, 0, 0]], "lattice": 4 * np.eye(3), "id": "twins"}
    sources = [examples["NaCl"], bad, examples["Si"], {}]
    found = SymmetricCrystal.from_structures(sources)
    for name, crystal in zip(("NaCl", "Si"), found[::2], strict=True):
        alone = SymmetricCrystal.from_structure(examples[name])
        assert all(
            np.array_equal(value, vars(crystal)[key]) for key, value in vars(alone).items() if key != "site_groups"
        )
    assert [type(error) for error in found[1::2]] == [IrrepnetError] * 2
    assert str(found[1]).startswith("twins: sites 1 (H) and 2 (H) overlap")
    with pytest.raises(IrrepnetError, match="symprec"):
        SymmetricCrystal.from_structures(sources, symprec=2)


def test_a_long_search_says_so(monkeypatch):
    record = {"species": ["Na", "Cl"], "frac_coords": [[0, 0, 0], [0.5, 0.5, 0.5]], "lattice": 3 * np.eye(3), "id": "x"}
    monkeypatch.setattr("irrepnet.crystals.symmetric._LONG", -1)
    with pytest.warns(UserWarning, match="x: its 2 atoms are symmetric within about 0.02 Å, but not quite"):
        SymmetricCrystal.from_structure(record, symprec=0.02)


def test_distance_spectra_of_descriptions_of_lower_symmetry():
    """Rhombohedral, orthorhombic and monoclinic crystals too, with polar ones whose origin is free."""
    rng = np.random.default_rng(0)
    for number in (4, 7, 14, 26, 33, 76, 99, 146, 160, 161, 173, 186):
        structure = general_crystal(number)
        crystals = [SymmetricCrystal.from_structure(structure, symprec=1e-4)]
        for matrix in (
            np.diag([1, 2, 1]),
            [[1, 1, 0], [0, 1, 0], [-1, 0, 1]],
            [[0, 1, 0], [1, 0, 0], [0, 0, 2]],
        ):
            given_as, rotation = redescribed(structure, np.array(matrix), rng)
            crystals.append(SymmetricCrystal.from_structure(given_as, symprec=1e-4))
            turn = crystals[-1].rotation.T @ rotation @ crystals[0].rotation
            if crystals[0].frame_is_fixed:
                PointGroup("6/mmm" if 143 <= number <= 194 else "m-3m").index(turn)  # raises if it is no element
        spectra = []
        for crystal in crystals:
            assert (crystal.spacegroup_number, crystal.point_group) == (number, crystals[0].point_group)
            assert_exactly_symmetric(crystal)
            rows = environments(crystal.numbers, crystal.lattice, crystal.frac_coords, 5.0)
            spectra.append(np.sort(np.linalg.norm(rows[:, 2:], axis=1)))
            assert sites(crystal) == sites(crystals[0])
        assert all(np.allclose(spectrum, spectra[0], atol=1e-8) for spectrum in spectra)


def test_idealised_crystal_is_its_own_idealisation(examples):
    for path in examples.values():
        crystal = SymmetricCrystal.from_structure(path)
        again = SymmetricCrystal.from_structure(
            {"species": crystal.species, "frac_coords": crystal.frac_coords, "lattice": crystal.lattice},
            symprec=1e-6,
        )
        assert again.spacegroup_number == crystal.spacegroup_number
        assert np.allclose(again.conventional_lattice, crystal.conventional_lattice, atol=1e-10)
        assert max(again.displacement, again.strain) < 1e-10


# --- what idealisation changes


def conventional_rock_salt() -> Structure:
    return structure_of(225, [5.64, 5.64, 5.64, 90, 90, 90], ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def test_displacement_is_measured_against_the_common_translation():
    """One of eight atoms moved by d: it sits 7/8 d from where the crystal is."""
    structure = conventional_rock_salt()
    structure.translate_sites([3], [0, 0, 0.004], frac_coords=False)
    crystal = SymmetricCrystal.from_structure(structure)
    assert crystal.spacegroup_number == 225
    assert crystal.displacement == pytest.approx(7 / 8 * 0.004, rel=1e-6)
    structure.translate_sites(range(8), [0.3, 0.2, 0.4])
    assert SymmetricCrystal.from_structure(structure).displacement == pytest.approx(7 / 8 * 0.004, rel=1e-6)


def test_strain():
    """A cubic cell stretched by e along one axis is idealised to its mean: lengths change by 2e/3, -e/3."""
    structure = conventional_rock_salt()
    structure.apply_strain([0, 0, 6e-4])
    crystal = SymmetricCrystal.from_structure(structure)
    assert crystal.spacegroup_number == 225
    assert crystal.strain == pytest.approx(4e-4, rel=1e-2)
    assert np.linalg.norm(crystal.conventional_lattice[0]) == pytest.approx(5.64 * (1 + 2e-4), abs=1e-5)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_noise_within_symprec_is_removed(seed):
    structure = conventional_rock_salt()
    rng = np.random.default_rng(seed)
    moves = rng.uniform(-0.001, 0.001, size=(8, 3))
    noisy = Structure(structure.lattice, structure.species, structure.cart_coords + moves, coords_are_cartesian=True)
    crystal = SymmetricCrystal.from_structure(noisy)
    assert crystal.spacegroup_number == 225
    assert_exactly_symmetric(crystal)
    moved = np.linalg.norm(moves - moves.mean(axis=0), axis=1).max()
    assert crystal.displacement == pytest.approx(moved, abs=1e-6)


def test_looser_symprec_finds_more_symmetry():
    structure = conventional_rock_salt()
    structure.translate_sites([0], [0, 0, 0.05], frac_coords=False)
    assert SymmetricCrystal.from_structure(structure, symprec=0.01).point_group.name == "4mm"
    assert SymmetricCrystal.from_structure(structure, symprec=0.1).point_group.name == "m-3m"


def kept_by_moyo(source, symprec: float) -> bool:
    """Whether moyo finds a group at that tolerance, and not at another."""
    cell = read_cell(source)
    atoms = moyopy.Cell(cell.lattice.tolist(), cell.frac_coords.tolist(), cell.numbers.tolist())
    return moyopy.MoyoDataset(atoms, symprec=symprec, setting=moyopy.Setting.standard()).symprec == symprec


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1))
def test_where_no_group_is_found_the_tolerance_is_lowered_a_little_and_it_is_said(seed):
    """Noise of about symprec: some operations are within it and some are not. moyo alone halves or doubles symprec."""
    structure = conventional_rock_salt()
    moves = np.random.default_rng(seed).uniform(-0.006, 0.006, size=(8, 3))
    noisy = Structure(structure.lattice, structure.species, structure.cart_coords + moves, coords_are_cartesian=True)
    crystal = SymmetricCrystal.from_structure(noisy)
    assert_exactly_symmetric(crystal)
    assert crystal.symprec <= 0.01
    assert bool(crystal.notes) == (not kept_by_moyo(noisy, 0.01))
    if crystal.notes:
        assert f"that within {crystal.symprec:.3g} Å" in crystal.notes[0]
        assert kept_by_moyo(noisy, crystal.symprec)
        larger = [0.01 * 0.95**k for k in range(90) if 0.01 * 0.95**k > crystal.symprec * (1 + 1e-9)]
        assert not any(kept_by_moyo(noisy, symprec) for symprec in larger)


def test_a_lowered_tolerance_keeps_the_group(mp_2018):
    """Where half of symprec is too little for it, or twice was taken: spglib's group at symprec 0.01."""
    names = ("mp-636105", "mp-643575", "mp-743906", "mp-770628", "mp-772319", "mp-40144")
    records = [record for record in mp_2018 if record["material_id"] in names]
    assert len(records) == len(names)
    for record in records:
        crystal = SymmetricCrystal.from_structure(record)
        assert len(crystal.notes) == 1
        assert crystal.spacegroup_number == record["spacegroup_number"]
        assert crystal.spacegroup_number == spglib.get_symmetry_dataset(tuple(read_cell(record)[:3]), 0.01).number


def test_what_is_found_as_asked_has_no_notes(examples):
    for path in examples.values():
        crystal = SymmetricCrystal.from_structure(path)
        assert crystal.notes == ()
        assert crystal.symprec == 0.01


@pytest.mark.parametrize("symprec", [0, -1, float("nan"), 5])
def test_bad_symprec(symprec):
    with pytest.raises(IrrepnetError, match="symprec"):
        SymmetricCrystal.from_structure(conventional_rock_salt(), symprec=symprec)


# --- real crystals


def smallest_of_each_space_group(records: list[dict]) -> list[dict]:
    groups = defaultdict(list)
    for record in records:
        groups[record["spacegroup_number"]].append(record)
    return [min(group, key=lambda record: len(record["species"])) for group in groups.values()]


def test_one_crystal_of_each_space_group(mp_2018):
    chosen = smallest_of_each_space_group(mp_2018)
    assert len(chosen) == 211
    for record in chosen:
        crystal = SymmetricCrystal.from_structure(record)
        assert crystal.spacegroup_number == record["spacegroup_number"]
        assert_exactly_symmetric(crystal)
        assert_agrees_with_spglib(crystal, record)


@pytest.mark.slow
def test_many_real_crystals(mp_2018):
    """At the edge of the tolerance the two programs may differ on the group, and only there."""
    chosen, differ = mp_2018[::15], 0
    for record in chosen:
        crystal = SymmetricCrystal.from_structure(record)
        assert_exactly_symmetric(crystal)
        if crystal.spacegroup_number == record["spacegroup_number"]:  # by spglib at the same tolerance
            assert_idealised_agrees_with_spglib(crystal)
        else:
            differ += 1
    assert differ < 0.01 * len(chosen)
