"""Frames as perturbations of a parent: what was done to it comes back, whatever the frame's cell, axes and order."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from scipy.optimize import linear_sum_assignment
from tests.prototypes import SYMMORPHIC, crystal_of

from irrepnet.crystals import Cell, SymmetricCrystal, read_cell
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import Perturbation, broken_graph, parent_of
from irrepnet.graphs.perturbed import Frames, Matched, hermite_normal_form, reference_energy
from irrepnet.models.energy import EnergyConfig, EnergyNet, perturbed_batch

ROOT = Path(__file__).resolve().parents[2]
BATIO3 = ROOT / ".." / "shared" / "data" / "batio3_polarization.extxyz.gz"
PROTOTYPES = (  # cubic P, F and I, tetragonal, hexagonal, trigonal P and R, orthorhombic and monoclinic
    *("perovskite", "pyrite", "zinc blende", "diamond", "garnet", "rutile", "anatase", "PbTiO3", "wurtzite", "hcp"),
    *("alpha-quartz", "LiNbO3", "Bi2Te3", "brucite", "GdFeO3", "baddeleyite"),
)


@st.composite
def integer_matrices(draw, diagonal: tuple[int, ...] = (1, 1, 2)) -> np.ndarray:
    """A supercell of so many cells, of either handedness and not diagonal as a rule."""
    lower, upper = (np.reshape(draw(st.lists(st.integers(-1, 2), min_size=9, max_size=9)), (3, 3)) for _ in range(2))
    signs = draw(st.lists(st.sampled_from([1, -1]), min_size=3, max_size=3))
    return (np.tril(lower, -1) + np.eye(3, dtype=int)) @ np.diag(diagonal) @ (np.triu(upper, 1) + np.diag(signs))


DIAGONALS = st.sampled_from([(1, 1, 1), (1, 1, 2), (3, 1, 1), (2, 1, 2), (1, 4, 1), (2, 2, 2)])


def rotation_of(random: np.random.Generator) -> np.ndarray:
    rotation = np.linalg.qr(random.normal(size=(3, 3)))[0]
    return rotation * np.linalg.det(rotation)


def random_perturbation(n: int, random: np.random.Generator, size: float = 1.0) -> Perturbation:
    strain = 0.01 * size * random.normal(size=(3, 3))
    u, moments = random.normal(size=(2, n, 3))
    return Perturbation(0.05 * size * u, (strain + strain.T) / 2, random.normal(size=3), moments)


def frame_of(parent, perturbation, random) -> tuple[Cell, np.ndarray, np.ndarray]:
    """The perturbed parent, turned, shifted, shuffled and in another basis; the rotation, and the parent's atoms."""
    rotation, order = rotation_of(random), random.permutation(len(parent))
    structure = parent.structure(perturbation)
    basis = np.triu(random.integers(-1, 2, size=(3, 3)), 1) + np.eye(3)
    lattice = (basis @ structure.lattice.matrix)[random.permutation(3)] @ rotation.T
    positions = (structure.cart_coords @ rotation.T + 10 * random.normal(size=3))[order]
    frac_coords = positions @ np.linalg.inv(lattice) + random.integers(-1, 2, size=(len(parent), 3))
    return Cell(lattice, frac_coords, parent.numbers[order], "frame 1"), rotation, order


def assert_describes(matched: Matched, cell: Cell) -> None:
    """Parent, perturbation, rotation and order give the frame, up to its origin."""
    made = matched.parent.structure(matched.perturbation)
    assert np.linalg.det(matched.rotation) == pytest.approx(1)
    assert (matched.parent.numbers == cell.numbers[matched.order]).all()
    basis = cell.lattice @ np.linalg.inv(made.lattice.matrix @ matched.rotation.T)
    assert np.abs(basis - np.rint(basis)).max() < 1e-8
    assert abs(np.linalg.det(basis)) == pytest.approx(1)
    far = made.cart_coords @ matched.rotation.T @ np.linalg.inv(cell.lattice) - cell.frac_coords[matched.order]
    far -= far[0]
    assert np.abs((far - np.rint(far)) @ cell.lattice).max() < 1e-8


@settings(max_examples=60)
@given(st.sampled_from(PROTOTYPES + SYMMORPHIC), DIAGONALS.flatmap(integer_matrices), st.integers(0, 2**32 - 1))
def test_a_known_perturbation_comes_back(name, supercell, seed):
    """Up to an operation of the parent, which the rotation shows."""
    random, crystal = np.random.default_rng(seed), crystal_of(name)
    assume(len(crystal) * abs(round(np.linalg.det(supercell))) <= 120)
    parent = parent_of(crystal, supercell)
    given = random_perturbation(len(parent), random, size=0.2 if name in SYMMORPHIC else 1.0).checked(parent)
    cell, rotation, order = frame_of(parent, given, random)
    matched = Frames(crystal).match(cell, given.field @ rotation.T, (given.moments @ rotation.T)[order])
    assert_describes(matched, cell)
    assert matched.cells == abs(round(np.linalg.det(supercell)))
    found, turn = matched.perturbation, rotation.T @ matched.rotation
    assert np.abs(crystal.point_group.operations - turn).max((1, 2)).min() < 1e-8
    assert np.allclose(found.strain, turn.T @ given.strain @ turn, atol=1e-8)
    assert np.allclose(found.field, given.field @ turn, atol=1e-8)
    mine = order[matched.order]  # atom of the parent given at each atom of the one found
    assert np.allclose(found.displacements, given.displacements[mine] @ turn, atol=1e-8)
    assert np.allclose(found.moments, given.moments[mine] @ turn, atol=1e-8)


@given(st.sampled_from(["rock salt", "LiNbO3", "rutile"]), integer_matrices(), st.integers(0, 2**32 - 1))
@settings(max_examples=10)
def test_predictions_belong_to_the_frame(name, supercell, seed):
    """Energy, forces, stress and polarisation that a network says of a frame do not depend on how it is described."""
    random, crystal = np.random.default_rng(seed), crystal_of(name)
    torch.manual_seed(0)
    net = EnergyNet(EnergyConfig(group=crystal.point_group.name, channels=4, layers=1, moments=2)).double()
    for weights in net.parameters():
        torch.nn.init.normal_(weights, std=0.3)
    parent = parent_of(crystal, supercell)
    given = random_perturbation(len(parent), random).checked(parent)
    cell, rotation, order = frame_of(parent, given, random)
    matched = Frames(crystal).match(cell, given.field @ rotation.T, (given.moments @ rotation.T)[order])

    def response(parent, perturbation):
        found = net.response(perturbed_batch([broken_graph(parent, perturbation, net.group)], net.group))
        return [part.detach().numpy() for part in found]

    energy, forces, stress, polarization, gradient = response(matched.parent, matched.perturbation)
    wanted = response(parent, given)
    assert energy == pytest.approx(wanted[0], abs=1e-9)
    assert np.allclose(matched.to_frame(forces, of_atoms=True), (wanted[1] @ rotation.T)[order], atol=1e-8)
    assert np.allclose(matched.to_frame(stress[0]), rotation @ wanted[2][0] @ rotation.T, atol=1e-8)
    assert np.allclose(matched.to_frame(polarization[0]), rotation @ wanted[3][0], atol=1e-8)
    assert np.allclose(matched.to_frame(gradient, of_atoms=True), (wanted[4] @ rotation.T)[order], atol=1e-8)


@pytest.mark.parametrize("name", ["perovskite", "corundum"])
def test_to_frame_is_the_inverse_of_to_parent(name):
    random, crystal = np.random.default_rng(3), crystal_of(name)
    parent = parent_of(crystal, (1, 2, 1))
    cell, *_ = frame_of(parent, random_perturbation(len(parent), random), random)
    matched = Frames(crystal).match(cell)
    for tensor, of_atoms in (
        (random.normal(size=3), False),
        (random.normal(size=(3, 3)), False),
        (random.normal(size=(3, 3, 3)), False),
        (random.normal(size=(len(parent), 3)), True),
        (random.normal(size=(len(parent), 3, 3)), True),
    ):
        assert np.allclose(matched.to_frame(matched.to_parent(tensor, of_atoms), of_atoms), tensor)
    vector = random.normal(size=3)
    assert np.allclose(matched.to_parent(np.outer(vector, vector)), np.outer(*[matched.to_parent(vector)] * 2))
    with pytest.raises(IrrepnetError, match=r"shape \(4, 3\).*expected \(\d+, 3\)"):
        matched.to_parent(np.zeros((4, 3)), of_atoms=True)
    with pytest.raises(IrrepnetError, match="shape"):
        matched.to_parent(np.zeros((4, 3)))


def test_one_parent_for_one_supercell():
    """Other basis vectors, other origins and other directions of a cubic crystal make no new parent."""
    random, frames = np.random.default_rng(5), Frames(crystal_of("perovskite"))
    for supercell in ((1, 1, 2), (1, 2, 1), (2, 1, 1), [[1, 1, 0], [0, 1, 0], [0, 4, 2]]):
        parent = parent_of(frames.crystal, supercell)
        for _ in range(2):
            matched = frames.match(frame_of(parent, random_perturbation(len(parent), random), random)[0])
            assert matched.parent is next(iter(frames.parents.values()))
    frames.match(frame_of(parent_of(frames.crystal, [[1, 1, 0], [-1, 1, 0], [0, 0, 1]]), None, random)[0])
    assert len(frames.parents) == 2


@given(integer_matrices((2, 3, 4)), integer_matrices((1, 1, 1)))
def test_hermite_normal_form(matrix, basis):
    form = hermite_normal_form(matrix)
    assert (form == np.triu(form)).all()
    assert (np.diag(form) > 0).all()
    assert ((form < np.diag(form)) | (np.tril(np.ones((3, 3))) > 0)).all()
    assert (form >= 0).all()
    ratio = matrix @ np.linalg.inv(form)
    assert np.allclose(ratio, np.rint(ratio))
    assert abs(round(np.linalg.det(ratio))) == 1
    assert (hermite_normal_form(basis @ matrix) == form).all()


@pytest.mark.parametrize("name", ["perovskite", "zinc blende", "LiNbO3", "baddeleyite", "anatase"])
def test_frames_in_the_axes_of_the_parents_file_stay_there(name):
    """Not turned by an operation of the crystal although that would do as well."""
    random = np.random.default_rng(7)
    known = crystal_of(name)
    turn = rotation_of(random)
    lattice = np.array([[1, 1, 0], [-1, 1, 0], [0, 0, 1]]) @ known.lattice @ turn.T
    file = Structure(known.lattice @ turn.T, known.species, known.frac_coords)
    crystal = SymmetricCrystal.from_structure(file)
    supercell = file.copy()
    supercell.make_supercell([[1, 1, 0], [-1, 1, 0], [0, 0, 1]])
    assert np.allclose(supercell.lattice.matrix, lattice)
    frames = Frames(crystal)
    for structure in (file, file * (2, 2, 2)):
        assert np.allclose(frames.match(structure).rotation, crystal.rotation, atol=1e-6)
    turn = crystal.rotation.T @ frames.match(supercell).rotation
    assert np.abs(crystal.point_group.operations - turn).max((1, 2)).min() < 1e-6


@pytest.mark.parametrize("element", ["Si", "Cu", "Fe", "Mg"])
def test_the_same_as_the_best_of_all_orders(element):
    """Rattled crystals of ASE: no order of the atoms has smaller displacements (Hungarian method, all images)."""
    build = pytest.importorskip("ase.build")
    atoms = build.bulk(element).repeat((3, 3, 2))
    crystal = SymmetricCrystal.from_structure(structure_of(build.bulk(element)))
    for seed in range(5):
        moved = atoms.copy()
        moved.rattle(0.15, seed=seed)
        moved.set_cell(moved.cell.array @ [[1.02, 0.01, 0], [0.01, 0.99, 0], [0, 0, 1]], scale_atoms=True)
        matched = Frames(crystal).match(structure_of(moved))
        assert_describes(matched, read_cell(structure_of(moved)))
        parent, u = matched.parent, matched.perturbation.displacements
        steps = (parent.positions + u)[None] - parent.positions[:, None]
        images = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3), -1).reshape(-1, 3) @ parent.lattice
        squares = ((steps[:, :, None] + images) ** 2).sum(-1).min(-1)
        assert squares[linear_sum_assignment(squares)].sum() == pytest.approx((u**2).sum())
        assert np.linalg.eigvalsh(matched.perturbation.strain) == pytest.approx([-0.0130277, 0, 0.0230277], abs=1e-6)


def structure_of(atoms) -> Structure:
    return Structure(atoms.cell.array, atoms.numbers.tolist(), atoms.positions, coords_are_cartesian=True)


@pytest.mark.parametrize("a", [3.95, 4.05])
def test_batio3(a):
    """59 frames of 135 atoms, in cells with c/a = 1.085, are perturbations of one cubic supercell."""
    read = pytest.importorskip("ase.io").read
    if not BATIO3.exists():
        pytest.skip("../shared not present: no batio3_polarization")
    atoms = {"Ba": [0, 0, 0], "Ti": [0.5] * 3, "O": [0.5, 0.5, 0]}
    cubic = Structure.from_spacegroup("Pm-3m", Lattice.cubic(a), list(atoms), list(atoms.values()))
    frames = Frames(SymmetricCrystal.from_structure(cubic))
    for number, frame in enumerate(read(BATIO3, index=":")):
        cell = Cell(frame.cell.array, frame.get_scaled_positions(wrap=False), frame.numbers, f"frame {number + 1}")
        matched = frames.match(cell)
        assert_describes(matched, cell)
        assert matched.cells == 27
        assert np.allclose(np.diag(matched.perturbation.strain), frame.cell.lengths() / (3 * a) - 1)
        assert 0.1 < np.linalg.norm(matched.perturbation.displacements, axis=1).max() < 0.82
        assert not matched.is_unperturbed
        forces = frame.get_forces()
        assert np.allclose(matched.to_frame(matched.to_parent(forces, of_atoms=True), of_atoms=True), forces)
    assert len(frames.parents) == 1


@pytest.mark.parametrize("name", ["perovskite", "baddeleyite"])
def test_the_parent_itself_is_known(name):
    random, crystal = np.random.default_rng(11), crystal_of(name)
    frames, parent = Frames(crystal), parent_of(crystal, (2, 1, 1))
    n = len(parent)
    cell = frame_of(parent, None, random)[0]
    assert frames.match(cell).is_unperturbed
    assert not frames.match(cell, field=[0, 0, 0.1]).is_unperturbed
    assert not frames.match(cell, moments=np.eye(3)[np.zeros(n, int)]).is_unperturbed
    for perturbation in (Perturbation(0.01 * random.normal(size=(n, 3))), Perturbation(strain=1e-3 * np.eye(3))):
        assert not frames.match(frame_of(parent, perturbation, random)[0]).is_unperturbed


def test_reference_energy():
    random, crystal = np.random.default_rng(13), crystal_of("perovskite")
    frames, parent = Frames(crystal), parent_of(crystal, (2, 1, 1))
    moved = frames.match(frame_of(parent, random_perturbation(10, random), random)[0])
    single, double = frames.match(parent_of(crystal).structure()), frames.match(parent.structure())
    assert reference_energy([moved, moved], [1.0, 2.0]) is None
    assert reference_energy([moved, double, single], [-3.0, -80.0, -40.002]) == pytest.approx(-40.001)
    assert reference_energy([moved, double], [-3.0, None]) is None
    assert reference_energy([moved, double], [-3.0, -80.0], given=-41.5) == -41.5
    assert reference_energy([], [], given=0.0) == 0.0
    with pytest.raises(IrrepnetError, match="not computed in the same way"):
        reference_energy([double, single], [-80.0, -40.2])
    with pytest.raises(IrrepnetError, match="not finite"):
        reference_energy([double], [np.nan])


def perovskite_frame(**changes) -> Cell:
    """A 2×2×2 cell of the perovskite, with something wrong."""
    parent = parent_of(crystal_of("perovskite"), (2, 2, 2))
    random = np.random.default_rng(17)
    cell = frame_of(parent, random_perturbation(40, random, 0.3), random)[0]
    return cell._replace(**{name: change(cell) for name, change in changes.items()})


def one_moved(cell: Cell) -> np.ndarray:
    frac_coords = cell.frac_coords.copy()
    atom = np.flatnonzero(cell.numbers == 38)[0]  # into the middle between two neighbouring oxygen atoms
    frac_coords[atom] += [1.2, 0, 0] @ np.linalg.inv(cell.lattice)
    return frac_coords


def melted(cell: Cell) -> np.ndarray:
    grid = np.stack(np.meshgrid(*[np.arange(4) / 4] * 3), -1).reshape(-1, 3)
    return np.random.default_rng(19).permutation(grid)[: len(cell.numbers)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"numbers": lambda c: np.where(c.numbers == 22, 40, c.numbers)}, "frame 1: its atoms, Sr8 Zr8 O24, are no"),
        ({"numbers": lambda c: np.where(np.arange(40) == 3, 9, c.numbers)}, "no whole number of primitive cells"),
        ({"lattice": lambda c: 1.3 * c.lattice}, "no supercell of 8 primitive cells .* within a strain of 15%"),
        ({"numbers": lambda c: np.where(np.arange(40) == 3, 0, c.numbers)}, "frame 1: the atomic numbers"),
        ({"numbers": lambda c: c.numbers[:-1]}, "frame 1: 39 species but"),
        ({"lattice": lambda c: c.lattice[:, [0, 0, 2]]}, "frame 1: the lattice is singular"),
        ({"frac_coords": one_moved}, r"frame 1: its atoms are up to 1\.\d\d Å from .* leave the frame out"),
        ({"frac_coords": melted}, r"frame 1: its atoms are up to .* give the parent of this phase"),
        ({"frac_coords": lambda c: np.full((40, 3), np.nan)}, "frame 1: the fractional coordinates"),
    ],
)
def test_frames_that_are_refused(changes, message):
    with pytest.raises(IrrepnetError, match=message):
        Frames(crystal_of("perovskite")).match(perovskite_frame(**changes))


def test_two_atoms_of_one_site_are_refused():
    """A vacancy and an interstitial: two copper atoms share a site, and each is near it."""
    copper = SymmetricCrystal.from_structure(Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.6), ["Cu"], [[0] * 3]))
    parent = parent_of(copper, 4 * np.eye(3))
    positions = parent.positions.copy()
    positions[1] = positions[0] + [0.9, 0, 0]
    positions[0] -= [0.9, 0, 0]
    cell = Cell(parent.lattice, positions @ np.linalg.inv(parent.lattice), parent.numbers, "frame 9")
    with pytest.raises(IrrepnetError, match="frame 9: atoms 1 and 2 are both nearest to one site"):
        Frames(copper).match(cell)


def test_fields_and_moments_of_wrong_shape_are_refused():
    frames = Frames(crystal_of("perovskite"))
    with pytest.raises(IrrepnetError, match="shape"):
        frames.match(perovskite_frame(), moments=np.zeros(40))
    with pytest.raises(IrrepnetError, match="shape"):
        frames.match(perovskite_frame(), field=[1.0, 0.0])
