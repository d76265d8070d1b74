"""The projector onto what a crystal allows, against spglib's operations in plain loops, phonopy, symfc and pymatgen."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import spglib
from ase.data import atomic_numbers
from pymatgen.analysis.elasticity import ElasticTensor
from pymatgen.analysis.piezo import PiezoTensor
from pymatgen.core import Structure
from pymatgen.core.tensors import Tensor
from scipy.spatial.transform import Rotation
from tests.prototypes import STRUCTURES, SYMMORPHIC, crystal_of

from irrepnet.crystals import (
    CellSymmetry,
    SymmetricCrystal,
    TensorKind,
    index_projector,
    read_cell,
    symmetrised_force_constants,
)
from irrepnet.errors import IrrepnetError
from irrepnet.groups import POINT_GROUPS, PointGroup
from irrepnet.tensors import STIFFNESS

MP_2018 = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "mp_2018.jsonl.gz"
SUPERCELL = np.array([[1, 1, 0], [0, 1, 0], [0, 1, 2]])
KINDS = [
    TensorKind.parse(text)
    for text in (
        "crystal vector", "crystal ij=ji", "crystal ij axial", "crystal ijk=ikj", "crystal ijkl=jikl=ijlk=klij",
        "sites scalar axial", "sites vector sum", "sites vector axial", "sites ij sum", "sites ij=ji traceless",
    )
]  # fmt: skip
PAIRS = TensorKind.parse("pairs ij sum")


def described(crystal: SymmetricCrystal, seed: int, supercell: np.ndarray | None = None) -> dict:
    """The crystal in a supercell, turned, shifted and in another order."""
    rng = np.random.default_rng(seed)
    structure = Structure(crystal.lattice, crystal.species, crystal.frac_coords + rng.uniform(size=3))
    structure.make_supercell(np.eye(3, dtype=int) if supercell is None else supercell)
    order = rng.permutation(len(structure))
    return {
        "species": [structure[i].specie.symbol for i in order],
        "frac_coords": structure.frac_coords[order],
        "lattice": structure.lattice.matrix @ Rotation.random(rng=rng).as_matrix().T,
    }


def operations(cell: dict, symprec: float = 1e-3) -> list[tuple[np.ndarray, np.ndarray]]:
    """spglib's operations on the cell: the Cartesian matrix, and the atom to which each atom goes."""
    lattice, positions = np.array(cell["lattice"]), np.array(cell["frac_coords"])
    numbers = [atomic_numbers[symbol] for symbol in cell["species"]]
    found = spglib.get_symmetry((lattice, positions, numbers), symprec=symprec)
    assert found is not None
    every = []
    for w, shift in zip(found["rotations"], found["translations"]):
        apart = (positions @ w.T + shift)[:, None] - positions
        distance = np.linalg.norm((apart - np.rint(apart)) @ lattice, axis=-1)
        assert distance.min(1).max() < 3e-2
        every.append((lattice.T @ w @ np.linalg.inv(lattice.T), distance.argmin(1)))
    return every


def turned(values: np.ndarray, g: np.ndarray, kind: TensorKind) -> np.ndarray:
    """The last axes of values, one index after another."""
    for axis in range(values.ndim - kind.rank, values.ndim):
        values = np.moveaxis(np.tensordot(g, values, (1, axis)), 0, axis)
    return values * (np.sign(np.linalg.det(g)) if kind.axial else 1)


def image(values: np.ndarray, g: np.ndarray, to: np.ndarray, kind: TensorKind) -> np.ndarray:
    moved = turned(values, g, kind)
    result = np.empty_like(moved)
    if kind.of == "crystal":
        return moved
    result[to if kind.of == "sites" else np.ix_(to, to)] = moved
    return result


def looped(cell: dict, values: np.ndarray, kind: TensorKind, symprec: float = 1e-3) -> np.ndarray:
    """The mean over all operations of the cell, then the indices by all their permutations, then the sum rule."""
    every = operations(cell, symprec)
    mean = sum(image(values, g, to, kind) for g, to in every) / len(every)
    if kind.of == "pairs":
        mean = (mean + mean.transpose(1, 0, 3, 2)) / 2
        mean = mean - mean.mean(0)
        return mean - mean.mean(1)[:, None]
    if "=" in kind.indices:
        formula = kind.indices.removesuffix(" traceless")
        letters, *others = formula.split("=")
        lead = mean.ndim - kind.rank
        for _ in range(40):  # to and fro until nothing changes
            for other in others:
                axes = [*range(lead), *(lead + other.index(letter) for letter in letters)]
                mean = (mean + mean.transpose(axes)) / 2
    if kind.indices.endswith("traceless"):
        mean = mean - np.trace(mean, axis1=-2, axis2=-1)[..., None, None] * np.eye(3) / 3
    return mean - mean.mean(0) if kind.sum_rule else mean


def random_values(kind: TensorKind, n: int, seed: int) -> np.ndarray:
    lead = {"crystal": (), "sites": (n,), "pairs": (n, n)}[kind.of]
    return np.random.default_rng(seed).normal(size=(*lead, *(3,) * kind.rank))


def check(cell: dict, kind: TensorKind, seed: int) -> None:
    symmetry = CellSymmetry.of(cell)
    values = random_values(kind, len(symmetry), seed)
    found = symmetry.project(values, kind)
    assert np.allclose(found.values, looped(cell, values, kind), atol=1e-10)
    assert np.allclose(symmetry.project(found.values, kind).values, found.values, atol=1e-12)
    for g, to in operations(cell):
        assert np.allclose(image(found.values, g, to, kind), found.values, atol=1e-10)
    parts = found.violations
    squares = [parts.translations, *parts.irreps.values(), *parts.rules.values()]
    assert np.isclose(np.square(squares).sum(), parts.total**2)
    assert np.isclose(parts.norm**2, parts.total**2 + (found.values**2).sum())
    assert np.isclose(parts.total, np.linalg.norm(values - found.values))
    assert symmetry.project(found.values, kind).violations.residual < 1e-12


@pytest.mark.parametrize("name", [name for name in (*STRUCTURES, *SYMMORPHIC) if name != "garnet"])
def test_the_mean_is_that_of_a_plain_loop(name):
    """All 32 groups and all structure types, every kind, as given and in a supercell."""
    crystal, seed = crystal_of(name), len(name)
    for k, kind in enumerate(KINDS):
        check(described(crystal, seed + k), kind, k)
    if len(crystal) <= 12:
        check(described(crystal, seed), PAIRS, seed)


CELLS = {
    "rock salt": [np.diag([2, 2, 2]), np.diag([1, 1, 2])], "rutile": [np.diag([2, 1, 1]), SUPERCELL],
    "wurtzite": [np.diag([2, 2, 1]), np.diag([1, 2, 1])], "alpha-quartz": [np.diag([1, 1, 2])],
    "diamond": [np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]])], "CsCl": [np.diag([1, 2, 3]), SUPERCELL],
}  # fmt: skip


@pytest.mark.parametrize("name", CELLS)
def test_force_constants_of_supercells(name):
    """Also of those whose lattice has not all of the crystal's operations: spglib leaves these out too."""
    for seed, supercell in enumerate(CELLS[name]):
        check(described(crystal_of(name), seed, supercell), PAIRS, seed)


@pytest.mark.parametrize("name", ["rock salt", "spinel", "rutile", "LiNbO3", "P-43m"])
def test_sites_of_supercells(name):
    """The mean over the copies of each atom, then as in the primitive cell: also for lattices of less symmetry."""
    cell, rng = described(crystal_of(name), 4), np.random.default_rng(0)
    n, kind = len(cell["species"]), KINDS[8]
    copies = [(atom, shift) for atom in range(n) for shift in ((0, 0, 0), (1, 0, 0), (0, 0, 1), (1, 0, 1))]
    copies = [copies[i] for i in rng.permutation(len(copies))]
    atoms = np.array([atom for atom, _ in copies])
    supercell = {
        "species": [cell["species"][atom] for atom in atoms],
        "frac_coords": (cell["frac_coords"][atoms] + [shift for _, shift in copies]) / [2, 1, 2],
        "lattice": cell["lattice"] * [[2], [1], [2]],
    }
    values = random_values(kind, len(atoms), 1)
    means = np.array([values[atoms == atom].mean(0) for atom in range(n)])
    found = CellSymmetry.of(supercell).project(values, kind)
    assert np.allclose(found.values, looped(cell, means, kind)[atoms], atol=1e-10)
    assert np.isclose(found.violations.translations, np.linalg.norm(values - means[atoms]))


def test_a_supercell_of_less_symmetry_is_still_the_whole_crystal():
    """The stress of two cells of rock salt in a row is isotropic, the forces vanish."""
    symmetry = CellSymmetry.of(described(crystal_of("rock salt"), 3, np.diag([1, 1, 2])))
    assert symmetry.of_pairs.group.order < symmetry.crystal.point_group.order == 48
    stress = symmetry.project(random_values(KINDS[1], 4, 0), KINDS[1]).values
    assert np.allclose(stress, stress[0, 0] * np.eye(3), atol=1e-12)
    assert np.allclose(symmetry.project(random_values(KINDS[6], 4, 0), KINDS[6]).values, 0, atol=1e-12)


@pytest.mark.parametrize("name", ["perovskite", "rutile", "wurtzite", "alpha-quartz", "scheelite", "Pmm2"])
@pytest.mark.parametrize("kind", [KINDS[4], KINDS[8], PAIRS], ids=str)
def test_what_was_violated_has_its_irrep_and_its_operations(name, kind):
    """A violation projected by a sum over spglib's operations with the characters of one irrep is found there alone."""
    crystal = crystal_of(name)
    cell = described(crystal, 5)
    symmetry = CellSymmetry.of(cell)
    group, every, rotation = symmetry.crystal.point_group, operations(cell), symmetry.crystal.rotation
    number = [group.index(rotation.T @ g @ rotation) for g, _ in every]
    values = random_values(kind, len(symmetry), 1)
    exact = symmetry.project(values, kind).values
    for irrep in group.irreps[1:]:
        part = sum(irrep.characters[k] * image(values, g, to, kind) for k, (g, to) in zip(number, every))
        part *= irrep.dim / len(irrep.commutant) / group.order
        found = symmetry.project(exact + part, kind).violations
        if np.linalg.norm(part) < 1e-9:
            continue
        assert found.irreps.keys() == {irrep.label}
        assert np.isclose(found.irreps[irrep.label], np.linalg.norm(part))
        for k, (g, to) in zip(number, every):
            wanted = np.linalg.norm(image(part, g, to, kind) - part)
            assert np.isclose(found.operations[k], wanted, atol=1e-9)


@pytest.mark.parametrize("name", ["rock salt", "wurtzite", "rutile", "alpha-quartz"])
def test_phonopy_and_symfc_find_the_same_force_constants(name):
    """phonopy's mean over the space group, and the projection on symfc's basis of allowed force constants."""
    phonopy = pytest.importorskip("phonopy")
    from phonopy.structure.atoms import PhonopyAtoms

    crystal = crystal_of(name)
    unit = PhonopyAtoms(cell=crystal.lattice, scaled_positions=crystal.frac_coords, numbers=crystal.numbers)
    phonon = phonopy.Phonopy(unit, np.diag([2, 2, 1]), primitive_matrix=np.eye(3))
    supercell = phonon.supercell
    cell = {"species": supercell.symbols, "frac_coords": supercell.scaled_positions, "lattice": supercell.cell}
    symmetry = CellSymmetry.of(cell)
    values = random_values(PAIRS, len(symmetry), 2)

    phonon.force_constants = values.copy()
    phonon.symmetrize_force_constants_by_space_group(show_drift=False)
    found = symmetry.project(values, PAIRS)
    assert np.allclose(phonon.force_constants, found.symmetric[found.slots.slot], atol=1e-10)
    phonon.symmetrize_force_constants(level=200, show_drift=False)
    assert np.allclose(phonon.force_constants, found.values, atol=1e-10)

    phonon.force_constants = values.copy()
    phonon.symmetrize_force_constants(use_symfc_projector=True, show_drift=False)
    assert np.allclose(phonon.force_constants, found.values, atol=1e-8)

    rows = phonon.primitive.p2s_map
    compact = symmetrised_force_constants(symmetry, values[rows], rows)
    again = symmetrised_force_constants(symmetry, found.values[rows], rows)
    assert np.allclose(again.values, found.values[rows], atol=1e-12)
    assert compact.values.shape == values[rows].shape
    assert again.violations.residual < 1e-12 < compact.violations.residual
    with pytest.raises(IrrepnetError, match="one atom for each"):
        symmetrised_force_constants(symmetry, values[:2], np.array([0, 0]))
    with pytest.raises(IrrepnetError, match="shape"):
        symmetrised_force_constants(symmetry, values[rows, :2], rows)


@pytest.mark.parametrize("name", ["-43m", "4/mmm", "321", "mm2", "2/m", "6/m", "-4"])
def test_pymatgen_fits_tensors_alike(name):
    crystal = crystal_of(f"P{name}")
    structure = Structure(crystal.lattice, crystal.species, crystal.frac_coords)
    symmetry = CellSymmetry.of(structure)
    rng = np.random.default_rng(3)
    stiffness = rng.normal(size=(6, 6))
    stiffness = stiffness + stiffness.T
    found = symmetry.project(stiffness, KINDS[4]).values
    assert np.allclose(STIFFNESS.to_voigt(found), ElasticTensor.from_voigt(stiffness).fit_to_structure(structure).voigt)
    piezo = rng.normal(size=(3, 6))
    fitted = PiezoTensor.from_vasp_voigt(piezo[:, [0, 1, 2, 5, 3, 4]]).fit_to_structure(structure)
    assert np.allclose(symmetry.project(piezo, KINDS[3]).values, fitted)
    permittivity = rng.normal(size=(3, 3))
    permittivity = permittivity + permittivity.T
    assert np.allclose(
        symmetry.project(permittivity, KINDS[1]).values, Tensor(permittivity).fit_to_structure(structure)
    )


def test_real_crystals_of_all_groups():
    """Four crystals of each point group from a set, noise added to positions, lattice and values."""
    if not MP_2018.exists():
        pytest.skip("../shared not present: no mp_2018")
    rng = np.random.default_rng(11)
    with gzip.open(MP_2018, "rt") as lines:
        records = [json.loads(line) for line in lines]
    left = {PointGroup(name).schoenflies: 4 for name in POINT_GROUPS}
    for k in rng.permutation(len(records)).tolist():
        record = records[k]
        group = PointGroup(record["point_group"]).schoenflies
        if len(record["species"]) > 24 or not left[group]:
            continue
        clean = CellSymmetry.of(record)
        lattice = np.array(clean.cell.lattice)
        noisy = {
            "species": record["species"],
            "lattice": lattice @ (np.eye(3) + 1e-4 * rng.normal(size=(3, 3))),
            "frac_coords": np.array(record["frac_coords"]) + 1e-3 * rng.normal(size=(len(clean), 3)) / 5,
        }
        symmetry = CellSymmetry.of(noisy, symprec=0.02)
        if symmetry.crystal.spacegroup_number != clean.crystal.spacegroup_number:
            continue  # the noise is too large for it
        left[group] -= 1
        for kind in KINDS[6:8]:
            values = random_values(kind, len(clean), k)
            exact = clean.project(values, kind).values
            assert np.allclose(exact, looped(record | {"lattice": lattice}, values, kind, 0.01), atol=5e-3)
            assert np.allclose(symmetry.project(values, kind).values, exact, atol=0.02)
        ideal = symmetry.idealised()
        assert abs(ideal.lattice - noisy["lattice"]).max() < 0.02
        moved = (ideal.frac_coords - read_cell(noisy).frac_coords) @ ideal.lattice
        assert abs(moved).max() < 0.02
        tight = SymmetricCrystal.from_structure(ideal, symprec=1e-5)
        assert tight.spacegroup_number == clean.crystal.spacegroup_number
        assert tight.displacement + tight.strain < 1e-9
    assert not sum(left.values())


@pytest.mark.parametrize("name", ["rutile", "LiNbO3", "GdFeO3"])
def test_idealised_cells_keep_orientation_order_and_origin(name):
    cell = described(crystal_of(name), 2, SUPERCELL)
    ideal = CellSymmetry.of(cell).idealised()
    assert np.allclose(ideal.lattice, cell["lattice"])
    assert np.allclose(ideal.frac_coords, cell["frac_coords"])


def test_left_handed_lattices_are_the_same_crystal():
    cell = described(crystal_of("alpha-quartz"), 1)
    other = cell | {"lattice": -cell["lattice"], "frac_coords": -cell["frac_coords"]}
    values = random_values(KINDS[8], 9, 0)
    found = [CellSymmetry.of(each).project(values, KINDS[8]).values for each in (cell, other)]
    assert np.allclose(*found)


def test_shapes_are_kept():
    rng, n = np.random.default_rng(0), 4
    symmetric = rng.normal(size=(n, 3, 3))
    symmetric = symmetric + symmetric.transpose(0, 2, 1)
    stresses = TensorKind.parse("sites ij=ji")
    voigt = symmetric[:, [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    for shape in (symmetric, symmetric.reshape(n, 9), voigt):
        assert np.allclose(stresses.read(shape, n), symmetric)
        assert np.allclose(stresses.write(symmetric, shape.shape), shape)
    constants = rng.normal(size=(n, n, 3, 3))
    matrix = constants.transpose(0, 2, 1, 3).reshape(3 * n, 3 * n)
    assert np.allclose(PAIRS.read(matrix, n), constants)
    assert np.allclose(PAIRS.write(constants, matrix.shape), matrix)
    piezo = rng.normal(size=(3, 6))
    assert np.allclose(KINDS[3].write(KINDS[3].read(piezo, n), (3, 6)), piezo)
    strain = TensorKind.parse("crystal ijk=ikj strain")
    assert np.allclose(strain.read(piezo, n)[:, 1, 2] * 2, piezo[:, 3])
    assert KINDS[5].read(rng.normal(size=(n, 1)), n).shape == (n,)
    assert KINDS[5].write(np.ones(n), (n, 1)).shape == (n, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sites", "say what it is"),
        ("atoms ij", "not of 'atoms'"),
        ("pairs ij=ji", "has the indices ij"),
        ("crystal ij sum", "no sum rule"),
        ("crystal ijk traceless", "rank 2 alone"),
        ("crystal ij=kl", "permutation"),
    ],
)
def test_bad_kinds(text, message):
    with pytest.raises(IrrepnetError, match=message):
        TensorKind.parse(text)


def test_bad_values():
    symmetry = CellSymmetry.of(described(crystal_of("rutile"), 0))
    for values, message in (
        (np.ones((5, 3)), "shape"),
        ([[1, None, 2]] * 6, "missing or not finite"),
        ([["x"]] * 6, "numbers"),
        (np.full((6, 3), np.nan), "not finite"),
        (np.ones((6, 6)), "shape"),
    ):
        with pytest.raises(IrrepnetError, match=message):
            symmetry.project(values, KINDS[6])


def test_kinds_are_read_as_they_are_written():
    for kind in [*KINDS, PAIRS, TensorKind.parse("crystal ijk=ikj strain")]:
        assert TensorKind.parse(str(kind)) == kind


def test_projectors_of_indices_are_projectors():
    for symmetry, rank in {"scalar": 1, "vector": 3, "ij": 9, "ij=-ji": 3, "ij=ji traceless": 5, "ijk=ikj": 18}.items():
        projector = index_projector(symmetry)
        assert np.allclose(projector @ projector, projector)
        assert np.allclose(projector, projector.T)
        assert round(np.trace(projector)) == rank


def test_docstrings():
    import doctest

    import irrepnet.crystals.projection as projection

    result = doctest.testmod(projection)
    assert result.attempted
    assert not result.failed
