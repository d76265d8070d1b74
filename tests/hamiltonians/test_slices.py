"""Slices of Fermi surfaces: bands that can be solved by hand, outlines against distances, the symmetry of the plane."""

import csv

import numpy as np
import pytest
from tests.hamiltonians.made import random_hamiltonian

from irrepnet.crystals import read_cell
from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians import Hamiltonian, atomic_basis, fermi_slice, load_hamiltonian, write_hamiltonian
from irrepnet.hamiltonians.reports import draw_slice

A = 4.0
T = -0.5
CUBIC = A * np.eye(3)
FCC = A / 2 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])


def s_band(lattice: np.ndarray, fermi: float | None, name: str = "Po") -> Hamiltonian:
    """One s orbital an atom, T to the nearest neighbours."""
    steps = np.array(list(np.ndindex(3, 3, 3))) - 1
    lengths = np.linalg.norm(steps @ lattice, axis=1)
    near = steps[(lengths > 0) & (lengths < 1.01 * lengths[lengths > 0].min())]
    R = np.concatenate([np.zeros((1, 3), int), near])
    H = np.full((len(R), 1, 1), T)
    H[0] = 0
    cell = read_cell({"species": [name], "frac_coords": [[0, 0, 0]], "lattice": lattice})
    return Hamiltonian(R, H, None, atomic_basis(cell, {name: (0,)}), fermi=fermi)


def area(points: np.ndarray) -> float:
    x, y = points.T
    return abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2


def distance(points: np.ndarray, others: np.ndarray) -> float:
    return float(np.linalg.norm(points[:, None] - others, axis=-1).min(1).max())


def test_the_square_of_a_simple_cubic_lattice():
    """cos x + cos y = −0.1 in the plane z = 0, nearly the square |x| + |y| = π/a."""
    found = fermi_slice(s_band(CUBIC, 1.8 * T), [0, 0, 1], steps=30)
    side = np.pi / A
    assert {tuple(np.sign(corner)) for corner in found.outline} == {(1, 1), (1, -1), (-1, 1), (-1, -1)}
    assert abs(found.outline) == pytest.approx(side * np.ones((4, 2)))
    for contour in found.contours:
        assert np.cos(A * contour.points[1:-1]).sum(1) == pytest.approx(-0.1, abs=1e-7)
    labels = {label: place for label, place in found.points if (place >= -1e-9).all()}
    assert set(labels) == {"Γ", "X", "M"}
    assert labels["M"] == pytest.approx([side, side], abs=1e-5)
    assert sum(label == "M" for label, _ in found.points) == 4
    # the plane of a face: cos z = −1, a quarter of the way up the band nothing is left
    face = fermi_slice(s_band(CUBIC, 2 * T), [0, 0, 2], "R", steps=30)
    assert abs(face.height) == pytest.approx(side)
    assert face.contours == ()
    assert {label for label, _ in face.points} == {"X", "M", "R"}


def test_nearly_free_electrons_have_circles():
    """E = 6T + |T| a²k² − …: radius and area at any height."""
    energy = 6 * T + 0.03
    model = s_band(CUBIC, energy)
    radius = np.sqrt(0.03 / (abs(T) * A**2))
    for normal, height in (([0, 0, 1], 0.0), ([1, 2, -3], 0.0), ([1, 1, 1], 0.6 * radius)):
        direction = np.array(normal) / np.linalg.norm(normal)
        (contour,) = fermi_slice(model, normal, height * direction * A / (2 * np.pi), steps=300).contours
        assert contour.is_closed
        assert area(contour.points[:-1]) == pytest.approx(np.pi * (radius**2 - height**2), rel=0.01)
        assert np.linalg.norm(contour.points, axis=1) == pytest.approx(np.sqrt(radius**2 - height**2), rel=5e-3)


@pytest.mark.parametrize("normal", [[1, 1, 0], [1, -1, 0], [1, 1, 1], [1, 0, 3]])
@pytest.mark.parametrize("fermi", [-1.3, 0.4])
def test_an_s_band_on_the_face_centred_lattice(normal, fermi):
    """E = 4T Σ cos(ax/2) cos(ay/2) at every point, in Cartesian coordinates."""
    found = fermi_slice(s_band(FCC, fermi), normal, steps=60)
    assert found.contours
    for contour in found.contours:
        spot = contour.points @ found.axes[:2] + found.height * found.axes[2]
        assert contour.k @ (2 * np.pi * np.linalg.inv(FCC).T) == pytest.approx(spot, abs=1e-12)
        x, y, z = np.cos(A / 2 * spot[1:-1].T)  # ends are on straight lines between two points
        assert 4 * T * (x * y + y * z + z * x) == pytest.approx(fermi, abs=1e-7)
        x, y, z = np.cos(A / 2 * spot[[0, -1]].T)
        assert 4 * T * (x * y + y * z + z * x) == pytest.approx(fermi, abs=0.03)


def test_the_slice_of_the_truncated_octahedron():
    """{001} through Γ: an octagon with W at its corners; {111} through Γ: a hexagon with K; through L: its face."""
    model, unit = s_band(FCC, 0.0), 2 * np.pi / A
    octagon = fermi_slice(model, [1, 1, 0])
    assert octagon.axes == pytest.approx(np.eye(3), abs=1e-12)
    corners = {tuple(corner) for corner in (octagon.outline / unit).round(6).tolist()}
    assert corners == {(x * a, y * b) for x in (1, -1) for y in (1, -1) for a, b in ((1, 0.5), (0.5, 1))}
    assert {tuple((p / unit).round(4).tolist()) for label, p in octagon.points if label == "W"} == corners
    assert {label for label, _ in octagon.points} == {"Γ", "X", "W", "K|U"}
    for through, size, middle in (((0, 0, 0), np.sqrt(9 / 8), "Γ"), ("L", np.sqrt(1 / 2), "L")):
        hexagon = fermi_slice(model, [1, 1, 1], through)
        assert np.linalg.norm(hexagon.outline, axis=1) == pytest.approx(size * unit * np.ones(6))
        assert [label for label, place in hexagon.points if np.linalg.norm(place) < 1e-6] == [middle]


@pytest.mark.parametrize("seed", range(4))
def test_outlines_against_distances(seed):
    """Within the outline Γ is the nearest reciprocal lattice point, outside it is not; lattices nobody reduced."""
    random = np.random.default_rng(seed)
    lattice = A * (np.eye(3) + 0.3 * random.normal(size=(3, 3)))
    lattice = np.array([[1, 1, 0], [0, 1, 2], [0, 0, 1]]) @ lattice * np.sign(np.linalg.det(lattice))
    model = s_band(lattice, 100.0)
    through = random.normal(size=3)
    found = fermi_slice(model, random.integers(1, 4, 3), 0.05 * through, steps=4)
    reciprocal = 2 * np.pi * np.linalg.inv(lattice).T
    others = (np.array(list(np.ndindex(9, 9, 9))) - 4) @ reciprocal
    spots = random.uniform(1.2 * found.outline.min(0), 1.2 * found.outline.max(0), (400, 2))
    k = spots @ found.axes[:2] + found.height * found.axes[2]
    inside = np.linalg.norm(k[:, None] - others, axis=-1).min(1) > np.linalg.norm(k, axis=1) - 1e-9
    sides = np.roll(found.outline, -1, 0) - found.outline
    apart = spots[:, None] - found.outline
    assert (((sides[:, 0] * apart[..., 1] - sides[:, 1] * apart[..., 0]) > 0).all(1) == inside).all()
    assert inside.any()
    assert not inside.all()


def test_aluminium_has_the_symmetry_of_the_plane():
    """Its own group keeps the lines, from a cell that has no axis of it along x; all lie within the zone."""
    aluminium = load_hamiltonian("Al-fcc-1.00").expand()
    for normal, folds in (([1, 1, 0], 4), ([1, 1, 1], 6)):  # inversion makes six of three
        found = fermi_slice(aluminium, normal, steps=60)
        points = np.concatenate([contour.points for contour in found.contours])
        assert {contour.band for contour in found.contours} == {1, 2}
        angle = 2 * np.pi / folds
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        spacing = 2 * np.ptp(found.outline, axis=0).max() / 60
        for move in (turn, np.diag([-1, 1])):
            assert distance(points @ move.T, points) < spacing
        for contour in found.contours:
            assert aluminium.eigenvalues(contour.k[1:-1])[:, contour.band] == pytest.approx(found.energy, abs=1e-5)


def test_weights_are_those_of_the_states():
    model = random_hamiltonian("NaCl", "Na:s,Cl:p")
    found = fermi_slice(
        model, [1, 1, 0], energy=float(np.median(model.eigenvalues([0.1, 0.2, 0.3]))), steps=15, weights=True
    )
    assert found.contours
    for contour in found.contours:
        assert set(contour.weights) == {"Na s", "Cl p"}
        assert sum(contour.weights.values()) == pytest.approx(np.ones(len(contour.points)))
        _, states = model.eigenstates(contour.k[1])
        assert contour.weights["Na s"][1] == pytest.approx(abs(states[0, contour.band]) ** 2)


def test_what_is_no_slice():
    model = s_band(CUBIC, 0.0)
    for options, match in (
        ({"normal": [0, 0, 0]}, "not all zero"),
        ({"normal": [0, 1, np.nan]}, "not all zero"),
        ({"normal": [1, 1, 1], "through": "R"}, "no area"),
        ({"normal": [0, 0, 1], "through": "W"}, "there are Γ, X, M"),
        ({"normal": [0, 0, 1], "steps": 1}, "two steps"),
    ):
        with pytest.raises(IrrepnetError, match=match):
            fermi_slice(model, **options)  # type: ignore[arg-type]
    with pytest.raises(IrrepnetError, match="give an energy"):
        fermi_slice(s_band(CUBIC, None), [0, 0, 1])


def test_report(tmp_path):
    write_hamiltonian(random_hamiltonian("Si", "sp"), tmp_path / "x.safetensors")
    arguments = {"normal": "1,1,0", "through": "X", "energy": 0.2, "steps": 20, "weights": True}
    report = draw_slice(tmp_path / "x.safetensors", tmp_path / "x.csv", **arguments)  # type: ignore[arg-type]
    rows = list(csv.reader((tmp_path / "x.csv").open(encoding="utf-8")))
    assert rows[0] == ["line", "band", "x [1/Å]", "y [1/Å]", "k1", "k2", "k3", "Si s", "Si p"]
    points = [point for contour in report["contours"] for point in contour["points"]]
    assert np.array([row[2:4] for row in rows[1:]], float) == pytest.approx(np.array(points))
    draw_slice(tmp_path / "x.safetensors", tmp_path / "x.png", **arguments)  # type: ignore[arg-type]
    assert (tmp_path / "x.png").stat().st_size > 5000
    for wrong in ("1,1", "a,b,c", "1,1,1/0"):
        with pytest.raises(IrrepnetError, match="three numbers"):
            draw_slice(tmp_path / "x.safetensors", tmp_path / "x.png", wrong)
