"""Crystals of every point group: the three forms are equal, and no description of a crystal changes its outputs."""

import gzip
import json
from collections import defaultdict
from functools import cache
from pathlib import Path

import moyopy
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Element, Lattice, Structure

from irrepnet.crystals import Cell, SymmetricCrystal, read_cell
from irrepnet.crystals.frames import model_group
from irrepnet.data.batch import union
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import FORMS, frame_graph, network_graph
from irrepnet.graphs.frames import Form
from irrepnet.groups import POINT_GROUPS, SETTINGS, PointGroup
from irrepnet.models import PointGroupConfig, PointGroupNet

MP_2018 = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "mp_2018.jsonl.gz"
SYMMORPHIC = [name for name in SETTINGS if name not in ("112", "11m", "112/m")]  # P + name is a space group of ITA


LARGE = tuple(f"{layer}.weight" for layer in ("correlation", "dense", "message", "direction", "scale", "angular"))


@cache
def network(group, layers=2):
    """Its weights are large where directions enter, so that a wrong frame shows."""
    torch.manual_seed(0)
    net = PointGroupNet(PointGroupConfig(group=group, channels=8, layers=layers), outputs=2).double()
    for name, parameter in net.named_parameters():
        if name.endswith(LARGE):
            torch.nn.init.normal_(parameter)
    return net


def outputs(crystal: SymmetricCrystal, group: PointGroup | None = None, form: Form = "one-frame") -> np.ndarray:
    group = group or model_group(crystal)
    with torch.no_grad():
        return network(group.name)(union([frame_graph(crystal, group, form=form)], torch.float64))[0].numpy()


def preset_outputs(crystal: SymmetricCrystal) -> np.ndarray:
    """As the preset has it: frames where they are few, the orbit graph elsewhere."""
    with torch.no_grad():
        return network("auto")(union([network_graph(crystal)], torch.float64))[0].numpy()


def lattice_of(system, rng=None):
    """A lattice of a crystal system."""
    a, b, c, beta = (6.1, 7.3, 8.7, 102.0) if rng is None else (*rng.uniform(6, 11, 3), rng.uniform(75, 115))
    return {
        "triclinic": Lattice.from_parameters(a, b, c, 83, beta, 97),
        "monoclinic": Lattice.monoclinic(a, b, c, beta),
        "orthorhombic": Lattice.orthorhombic(a, b, c),
        "tetragonal": Lattice.tetragonal(a, c),
        "trigonal": Lattice.hexagonal(a, c),
        "hexagonal": Lattice.hexagonal(a, c),
        "cubic": Lattice.cubic(c),
    }[system]


def made(name):
    """A crystal whose point group is that setting, from one special position and a general one."""
    group = PointGroup(name)
    coords = [[0, 0, 0], [0.13, 0.42, 0.37]]
    cell = Structure.from_spacegroup("P" + name, lattice_of(group.system), ["Ti", "O"], coords)
    crystal = SymmetricCrystal.from_structure(cell)
    assert crystal.point_group is group
    return crystal


def described(cell, rng):
    """The same crystal by another cell or supercell, in another orientation, with another origin and order."""
    shear = np.eye(3, dtype=int)
    for _ in range(4):
        i, j = rng.choice(3, 2, replace=False)
        shear[i] += rng.integers(-1, 2) * shear[j]
    repeats = np.ones(3, int)
    repeats[rng.integers(3)] = rng.integers(1, 4 if len(cell.numbers) <= 12 else 2)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    rotation *= np.linalg.det(rotation)
    rows = repeats[:, None] * shear
    images = np.stack(np.meshgrid(*map(np.arange, repeats), indexing="ij"), -1).reshape(-1, 3) / repeats
    sites = (cell.frac_coords @ np.linalg.inv(rows))[:, None] + images
    order = rng.permutation(len(cell.numbers) * len(images))
    return Structure(
        rows @ cell.lattice @ rotation.T,
        [Element.from_Z(int(z)) for z in np.repeat(cell.numbers, len(images))[order]],
        (sites.reshape(-1, 3) + rng.random(3))[order],
    )


def assert_one_answer(cell, rng, descriptions=3):
    """The largest difference between the outputs for random descriptions of a crystal, asserted to be rounding."""
    crystals = [SymmetricCrystal.from_structure(described(cell, rng)) for _ in range(descriptions)]
    assert len({(c.spacegroup_number, len(c)) for c in crystals}) == 1, cell.name
    difference = max(np.ptp([f(crystal) for crystal in crystals], axis=0).max() for f in (outputs, preset_outputs))
    assert difference < 1e-10, (cell.name, difference)
    return difference


# -- the three forms ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SYMMORPHIC)
def test_three_forms_are_equal(name):
    crystal = made(name)
    group = model_group(crystal)
    reference = outputs(crystal, group)
    for form in FORMS:
        assert np.abs(outputs(crystal, group, form) - reference).max() < 1e-10, form
    assert frame_graph(crystal, group).frames == group.order // crystal.point_group.order


@pytest.mark.parametrize("name", SYMMORPHIC)
def test_every_group_can_be_the_model_group(name):
    """With G = P there is one frame."""
    group = PointGroup(name)
    crystal = made(name)
    assert frame_graph(crystal, group).frames == 1
    reference = outputs(crystal, group)
    assert np.isfinite(reference).all()
    for form in FORMS:
        assert np.abs(outputs(crystal, group, form) - reference).max() < 1e-10, form


@cache
def smallest_of_mp_2018():
    """{point group: the three records with the fewest atoms}, and all records."""
    if not MP_2018.exists():
        pytest.skip("../shared not present: no mp_2018")
    with gzip.open(MP_2018, "rt") as lines:
        records = [json.loads(line) for line in lines]
    found = defaultdict(list)
    for record in sorted(records, key=lambda record: len(record["species"])):
        found[record["point_group"]].append(record)
    return found


@pytest.mark.slow
def test_three_forms_are_equal_on_real_crystals():
    """The three smallest crystals of each point group."""
    found = smallest_of_mp_2018()
    for records in found.values():
        for record in records[:3]:
            crystal = SymmetricCrystal.from_structure(record)
            reference = outputs(crystal)
            for form in FORMS:
                assert np.abs(outputs(crystal, form=form) - reference).max() < 1e-10, (record["material_id"], form)


# -- descriptions ------------------------------------------------------------------------------------


def test_the_network_sees_the_frame():
    """What the tests below would miss if it were not so: axes turned by 6° change the outputs."""
    angle = np.radians(6)
    turn = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    for name in ("1", "-1", "2", "m", "2/m"):
        crystal = made(name)
        graph = frame_graph(crystal, PointGroup("m-3m"))
        batch = union([graph], torch.float64)
        turned = union([graph], torch.float64)
        for vectors in (turned.vector, turned.class_vector):
            vectors[:] = vectors @ torch.tensor(turn)
        with torch.no_grad():
            assert (network("m-3m")(batch) - network("m-3m")(turned)).abs().max() > 1e-6


@settings(max_examples=40)
@given(st.integers(1, 230), st.integers(0, 10**6))
def test_descriptions_of_random_crystals(number, seed):
    rng = np.random.default_rng(seed)
    system = PointGroup(moyopy.SpaceGroupType(number).geometric_crystal_class).system
    try:
        cell = read_cell(Structure.from_spacegroup(number, lattice_of(system, rng), ["Ti"], [rng.random(3)]))
    except IrrepnetError:  # an atom near a symmetry element and so near its image
        return
    if len(cell.numbers) <= 48:
        assert_one_answer(cell, rng, 2)


ROOT3 = 3**0.5


@pytest.mark.parametrize(
    ("lattice", "operation"),
    [
        ([[0, 3, 3], [3, 0, 3], [3, 3, 0]], None),
        ([[0, 3, 3], [3, 0, 3], [3, 3, 0]], -1),
        ([[-3, 3, 3], [3, -3, 3], [3, 3, -3]], None),
        ([[5, 0, 0], [-2.5, 2.5 * ROOT3, 0], [0, 0, 7]], -1),
        ([[5, 0, 0], [0, 7, 0], [-2.5, 0, 2.5 * ROOT3]], [-1, 1, -1]),
        ([[5, 0, 0], [0, 7, 0], [-2.5, 0, 2.5 * ROOT3]], [1, -1, 1]),
        ([[5, 0, 0], [0, 7, 0], [-1, 0, 24**0.5]], [-1, 1, -1]),
        ([[5, 0, 0], [0, 7, 0], [-1, 0, 24**0.5]], [1, -1, 1]),
    ],
    ids=["fcc 1", "fcc -1", "bcc 1", "hexagonal -1", "hexagonal 2", "hexagonal m", "rhombic 2", "rhombic m"],
)
def test_descriptions_on_lattices_of_higher_symmetry(lattice, operation):
    """Here no rule on cell edges can choose the axes of a monoclinic or triclinic crystal."""
    rng = np.random.default_rng(0)
    tried = 0
    while tried < 5:
        sites = rng.random((3, 3))
        species = ["Mg", "Al", "O"]
        if operation is not None:
            sites, species = np.concatenate([sites, sites * operation]), species * 2
        try:
            cell = read_cell(Structure(lattice, species, sites))
        except IrrepnetError:  # atoms that overlap
            continue
        assert_one_answer(cell, rng)
        tried += 1


def test_descriptions_of_some_real_crystals():
    rng = np.random.default_rng(0)
    found = smallest_of_mp_2018()
    assert {PointGroup(name).name for name in found} == set(POINT_GROUPS)
    for records in found.values():
        record = records[rng.integers(min(40, len(records)))]
        assert_one_answer(read_cell(record), rng)


@pytest.mark.slow
def test_descriptions_of_many_real_crystals():
    """Up to twenty-five crystals of each point group with at most 40 atoms, as they are."""
    rng = np.random.default_rng(0)
    differences = [
        assert_one_answer(read_cell(records[i]), rng)
        for records in ([r for r in all_ if len(r["species"]) <= 40] for all_ in smallest_of_mp_2018().values())
        for i in rng.choice(len(records), min(25, len(records)), replace=False)
    ]
    assert len(differences) > 700
    print(f"{len(differences)} crystals, largest difference {max(differences):.1e}")


def test_descriptions_of_noisy_crystals():
    """Away from the exact symmetry, and within the tolerance, the descriptions are idealised to one crystal."""
    rng = np.random.default_rng(1)
    for name in SYMMORPHIC:
        crystal = made(name)
        lattice = crystal.lattice @ (np.eye(3) + 1e-4 * rng.normal(size=(3, 3)))
        shifts = 5e-4 * rng.normal(size=(len(crystal), 3)) @ np.linalg.inv(lattice)
        assert_one_answer(Cell(lattice, crystal.frac_coords + shifts, crystal.numbers, name), rng, 2)


def test_mirror_images_agree():
    """Both model groups contain the inversion: left-handed quartz has the outputs of right-handed quartz."""
    for symbol, mirror, coords in (
        ("P3_121", "P3_221", [[0.47, 0, 1 / 3], [0.413, 0.267, 0.453]]),
        ("P4_12_12", "P4_32_12", [[0.3, 0.3, 0], [0.239, 0.105, 0.179]]),
        ("P2_12_12_1", "P2_12_12_1", [[0.3, 0.1, 0.2], [0.239, 0.605, 0.179]]),
    ):
        system = "trigonal" if "3" in symbol[:3] else "tetragonal" if "4" in symbol[:3] else "orthorhombic"
        right = Structure.from_spacegroup(symbol, lattice_of(system), ["Si", "O"], coords)
        left = Structure(right.lattice, right.species, -right.frac_coords)
        pair = [SymmetricCrystal.from_structure(s) for s in (right, left)]
        assert [c.spacegroup_symbol for c in pair] == [symbol, mirror]
        assert np.abs(outputs(pair[0]) - outputs(pair[1])).max() < 1e-10
