"""Bands: models that can be solved by hand, irreps against induced representations, any cell, two-centre integrals."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from tests.hamiltonians.made import EXAMPLES, crystal_orbitals, random_hamiltonian, random_reduced
from tests.prototypes import SYMMORPHIC, crystal_of

from irrepnet.crystals import SymmetricCrystal, induce, read_cell
from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians import (
    Hamiltonian,
    Shell,
    action,
    atomic_basis,
    band_gap,
    band_irreps,
    band_structure,
    crystal_basis,
    density_of_states,
    effective_masses,
    embedded_hamiltonians,
    fermi_energy,
    k_path,
    load_hamiltonian,
    orbital_weights,
    orthogonalised,
    partial_densities,
    read_hamiltonian,
    slater_koster,
)
from irrepnet.hamiltonians.bands import HBAR2_OVER_ME, BandStructure, filled_bands, levels_at
from irrepnet.hamiltonians.model import mesh_points
from irrepnet.hamiltonians.orbitals import Mixing, shells_by_element
from irrepnet.hamiltonians.plots import energy_window, plot_bands
from irrepnet.hamiltonians.slater_koster import bond_matrix

A = 4.0
CUBIC = read_cell({"species": ["Po"], "frac_coords": [[0, 0, 0]], "lattice": A * np.eye(3)})


def cubic_model(t: float = -0.5, gap: float = 3.0) -> Hamiltonian:
    """Two s bands on a simple cubic lattice: E = 2t Σ cos and gap + |2t| Σ cos, so that the gap is direct or not."""
    R = np.concatenate([np.zeros((1, 3), int), np.eye(3, dtype=int), -np.eye(3, dtype=int)])
    H = np.zeros((7, 2, 2))
    H[0] = np.diag([0.0, gap])
    H[1:] = np.diag([t, t])
    return Hamiltonian(R, H, None, atomic_basis(CUBIC, {"Po": (0, 0)}), fermi=0.1)


def test_masses_of_a_cosine_band():
    model = cubic_model()
    expected = HBAR2_OVER_ME / (A**2)  # E'' = −2 t a² = a² eV Å²
    for direction in ([1, 0, 0], [1, 1, 0], [1, 2, -3]):
        assert effective_masses(model, [0, 0, 0], direction) == pytest.approx([expected] * 2, rel=1e-6)
        assert effective_masses(model, [0.5, 0.5, 0.5], direction) == pytest.approx([-expected] * 2, rel=1e-6)
    with pytest.raises(IrrepnetError, match="not zero"):
        effective_masses(model, [0, 0, 0], [0, 0, 0])


def test_gap():
    gap = band_gap(cubic_model(gap=10.0), 1, (3, 4, 5))  # the mesh misses R, the search finds it
    assert gap.top == pytest.approx(3.0, abs=1e-6)
    assert gap.bottom == pytest.approx(7.0, abs=1e-6)
    assert gap.fundamental == pytest.approx(4.0, abs=1e-6)
    assert gap.direct == pytest.approx(10.0, abs=1e-6)
    assert not gap.is_direct
    assert np.allclose(gap.k_top, 0.5, atol=1e-3)
    assert band_gap(cubic_model(gap=3.0), 1, (4, 4, 4)).fundamental == pytest.approx(-3.0, abs=1e-6)
    with pytest.raises(IrrepnetError, match="1 to 1 can be full"):
        band_gap(cubic_model(), 2)


def test_density_of_states():
    energies = np.linspace(-5, 8, 1301)
    states = density_of_states(cubic_model(), energies, (8, 8, 8), width=0.15)
    assert np.trapezoid(states, energies) == pytest.approx(2.0, abs=1e-3)
    with pytest.raises(IrrepnetError, match="positive energy"):
        density_of_states(cubic_model(), energies, width=0)


@pytest.mark.parametrize("overlap", [False, True])
def test_weights_of_orbitals(overlap):
    """They add up to one, tell uncoupled orbitals apart, and do not depend on how orbitals are mixed."""
    hamiltonian = random_hamiltonian("TiO2", "Ti:sd,O:p", overlap=overlap)
    k = np.array([[0.1, 0.2, 0.3], [0.5, 0, 0.25]])
    levels, weights = orbital_weights(hamiltonian, k)
    assert list(weights) == ["Ti s", "Ti d", "O p"]
    assert np.allclose(levels, hamiltonian.eigenvalues(k))
    assert np.allclose(sum(weights.values()), 1)
    assert [round(float(own[0].sum()), 6) for own in weights.values()] == [2, 10, 12]  # as many states as orbitals
    energies = np.linspace(-50, 50, 2001)
    parts = partial_densities(hamiltonian, energies, (2, 2, 2), width=0.5)
    assert np.allclose(sum(parts.values()), density_of_states(hamiltonian, energies, (2, 2, 2), width=0.5))


def test_weights_of_hybrids_are_those_of_their_shells():
    hamiltonian = random_hamiltonian("Si", "sp")
    mixed = np.linalg.qr(np.random.default_rng(0).normal(size=(2, 4, 4)))[0]
    T = np.zeros((8, 8))
    for site, own in enumerate(hamiltonian.basis.orbitals):
        T[np.ix_(own, own)] = mixed[site]
    basis = replace(hamiltonian.basis, mixing=Mixing(T, tuple(f"sp3-{n}" for n in range(8))))
    hybrids = replace(hamiltonian, H=T @ hamiltonian.H @ T.T, basis=basis)
    (levels, weights), (others, same) = (orbital_weights(each, [0.1, 0.2, 0.3]) for each in (hamiltonian, hybrids))
    assert np.allclose(levels, others)
    assert all(np.allclose(weights[name], same[name]) for name in ("Si s", "Si p"))


def test_filled_bands():
    assert filled_bands(replace(cubic_model(gap=10.0), fermi=5.0)) == 1
    assert filled_bands(cubic_model()) is None  # the Fermi energy cuts the first
    assert filled_bands(replace(cubic_model(), fermi=None)) is None
    assert filled_bands(replace(cubic_model(), fermi=50.0)) is None


def test_generalised_eigenvalues():
    from scipy.linalg import eigh

    hamiltonian = random_hamiltonian("TiO2", "Ti:sd,O:p", overlap=True)
    k = np.array([[0.1, 0.2, 0.3], [0.5, 0, 0.25]])
    for point, energies in zip(k, hamiltonian.eigenvalues(k)):
        assert np.allclose(energies, eigh(hamiltonian.H_at(point), hamiltonian.S_at(point), eigvals_only=True))
    negative = replace(hamiltonian, S=-hamiltonian.S)
    with pytest.raises(IrrepnetError, match="not positive definite"):
        negative.eigenvalues(k)


@pytest.mark.parametrize(("formula", "shells"), [("NaCl", "Na:s,Cl:spd"), ("Si", "spd"), ("TiO2", "Ti:s,O:p")])
def test_irreps_are_those_of_the_induced_representation(formula, shells):
    """Added over all bands, the irreps are those that the orbitals induce: another way to the same numbers."""
    crystal = SymmetricCrystal.from_structure(EXAMPLES / f"{formula}.cif")
    hamiltonian = random_hamiltonian(formula, shells, 4.0, overlap=True)
    basis, act = hamiltonian.known_basis, action(hamiltonian.basis)
    points = {label: k for branch in k_path(basis.cell) for label, k in branch}
    sites = [
        np.flatnonzero((abs(basis.centres - x) < 1e-9).all(1)) for x in crystal.frac_coords[crystal.representatives]
    ]
    for label, k in points.items():
        expected: dict[str, int] = {}
        for orbit, site in enumerate(sites):
            if not len(site):
                continue
            site_group = crystal.point_group.subgroup(crystal.site_groups[orbit])
            operations = crystal.point_group.operations[site_group.indices]
            for irrep, count in basis.site_irreps(int(site[0]), site_group.group, operations).items():
                for name, times in induce(crystal, orbit, irrep, [k])[0].multiplicities.items():
                    expected[name] = expected.get(name, 0) + count * times
        found: dict[str, int] = {}
        for level in band_irreps(hamiltonian, act, k, 1e-7):
            # one irrep a level, or two that time reversal joins: a random Hamiltonian has no accident
            assert sum(level.irreps.values()) <= (2 if formula == "TiO2" else 1)
            for name, times in level.irreps.items():
                found[name] = found.get(name, 0) + times
        assert found == expected, label


def test_copper(data):
    """The textbook's levels of copper at Γ and X: s, then t2g below eg."""
    folder = data / "Cu_spd_symmetrized"
    hamiltonian = read_hamiltonian(folder / "Cu_hr.dat.gz", folder / "wt.in")
    levels = band_irreps(hamiltonian, action(hamiltonian.basis), [0, 0, 0])
    assert [level.label for level in levels] == ["A1g", "T2g", "Eg", "T1u"]
    assert [len(level.bands) for level in levels] == [1, 3, 2, 3]


def test_irreps_need_symmetry(data):
    folder = data / "Si_valence"
    hamiltonian = read_hamiltonian(folder / "Si2_valence_WS_tb.dat.gz", folder / "Si2_valence.win")
    act = action(hamiltonian.basis)
    with pytest.raises(IrrepnetError, match="symmetrise the Hamiltonian"):
        band_irreps(hamiltonian, act, [0.5, 0.25, 0.75], 1e-9)


def test_path_of_any_cell():
    """The same bands at the same points, whatever lattice vectors and axes describe the crystal."""
    from scipy.spatial.transform import Rotation

    hamiltonian = random_hamiltonian("Si", "sp")
    basis = hamiltonian.known_basis
    points = {label: k for branch in k_path(basis.cell) for label, k in branch}
    assert {"Γ", "X", "L", "W", "K", "U"} <= set(points)
    skew = np.array([[1, 1, 0], [0, 1, 0], [0, 1, 1]])
    turn = Rotation.random(random_state=4).as_matrix()
    inverse = np.linalg.inv(skew)
    cell = basis.cell._replace(lattice=skew @ basis.cell.lattice @ turn.T, frac_coords=basis.cell.frac_coords @ inverse)
    change = np.zeros((len(basis), len(basis)))
    for site, own in enumerate(basis.orbitals):
        change[np.ix_(own, own)] = basis.matrices(site, site, turn[None])[0]
    other = replace(
        hamiltonian,
        R=np.rint(hamiltonian.R @ inverse).astype(int),
        H=change @ hamiltonian.H @ change.T,
        basis=replace(basis, cell=cell, centres=basis.centres @ inverse),
    )
    for label, k in ((label, k) for branch in k_path(cell) for label, k in branch):
        assert np.allclose(other.eigenvalues(k), hamiltonian.eigenvalues(points[label]), atol=1e-9), label
    act = action(other.basis)
    for label, k in points.items():
        ours = [len(level.bands) for level in band_irreps(hamiltonian, action(basis), k, 1e-7)]
        theirs = [len(level.bands) for level in band_irreps(other, act, skew @ k, 1e-7)]
        assert ours == theirs, label


def test_band_structure_and_picture(tmp_path):
    hamiltonian = cubic_model()
    bands = band_structure(hamiltonian, density=20)
    assert bands.energies.shape == (len(bands.k), 2)
    assert (np.diff(bands.distance) >= 0).all()
    for index, label in bands.labelled:
        if label == "Γ":
            assert bands.energies[index] == pytest.approx([-3, 0])
        if label == "R":
            assert bands.energies[index] == pytest.approx([3, 6])
    levels = {"Γ": band_irreps(hamiltonian, action(hamiltonian.basis), [0, 0, 0])}
    plot_bands(bands, tmp_path / "bands.png", levels, -4, 7, "Po")
    assert (tmp_path / "bands.png").stat().st_size > 5000
    with pytest.raises(IrrepnetError, match="cannot be written"):
        plot_bands(bands, tmp_path / "bands.nothing")


def test_fermi_energy():
    """By hand: a full band ends at its top; two halves of a symmetric band meet in its middle."""
    model = cubic_model(gap=20.0)
    assert fermi_energy(model, 2) == pytest.approx(3.0)
    assert fermi_energy(model, 1) == pytest.approx(0.0, abs=0.1)
    assert fermi_energy(model, 4) == pytest.approx(23.0)
    with pytest.raises(IrrepnetError, match="2 bands do not hold 5 electrons"):
        fermi_energy(model, 5)


def test_energies_drawn():
    """All bands, or those near the Fermi energy if it is known: the highest ones of atomic orbitals mean nothing."""
    k, energies = np.zeros((2, 3)), np.array([[-40.0, -5.0, 1.0, 900.0], [-39.0, -4.0, 2.0, 300.0]])
    bands = BandStructure(k, np.arange(2.0), energies, (), None)
    assert energy_window(bands) == (-40.5, 900.5)
    bands = replace(bands, fermi=-2.0)
    assert energy_window(bands) == (-20.5, 20.5)
    assert energy_window(bands, -45) == (-45, 20.5)
    assert energy_window(replace(bands, energies=energies[:, 1:3])) == (-3.5, 4.5)


def test_lowdin():
    """Exact on the mesh; Hermitian and symmetric as before; between the points it converges."""
    from irrepnet.hamiltonians import hermiticity, symmetry_residual

    hamiltonian = random_hamiltonian("NaCl", "Na:s,Cl:sp", cutoff=4.2, overlap=True)
    errors = []
    for n in (3, 6):
        made = orthogonalised(hamiltonian, (n, n, n))
        assert made.S is None
        assert np.isrealobj(made.H)
        assert hermiticity(made) < 1e-12
        k = mesh_points((n, n, n))
        assert np.allclose(made.eigenvalues(k), hamiltonian.eigenvalues(k), atol=1e-10)
        between = np.array([[0.08, 0.21, 0.37], [0.4, 0.3, 0.1]])
        errors.append(abs(made.eigenvalues(between) - hamiltonian.eigenvalues(between)).max())
    assert errors[1] < 0.2 * errors[0]
    single = random_hamiltonian("NaCl", "Na:spd", cutoff=4.2, overlap=True)
    made = orthogonalised(single, (4, 4, 4))
    assert symmetry_residual(made, action(made.basis)).symmetry < 1e-12
    with pytest.raises(IrrepnetError, match="three positive"):
        orthogonalised(hamiltonian, (0, 4, 4))


def test_two_centre_signs():
    """The first rows of the table of Slater and Koster, at direction cosines (l, m, n)."""
    vector = np.array([0.3, -0.5, 0.7])
    l, m, n = vector / np.linalg.norm(vector)
    s, p, d = (Shell.of(0, x, "pyscf") for x in range(3))  # s; x y z; xy yz z2 xz x2-y2
    assert np.allclose(bond_matrix(s, p, vector, 0), [[l, m, n]])
    sigma, pi = bond_matrix(p, p, vector, 0), bond_matrix(p, p, vector, 1)
    assert np.allclose(sigma[0], [l * l, l * m, l * n])
    assert np.allclose(pi[0], [1 - l * l, -l * m, -l * n])
    assert np.allclose(
        bond_matrix(s, d, vector, 0),
        np.array([[np.sqrt(3) * l * m, np.sqrt(3) * m * n, n * n - (l * l + m * m) / 2, np.sqrt(3) * l * n,
                   np.sqrt(3) / 2 * (l * l - m * m)]]),
    )  # fmt: skip
    x_xy = np.sqrt(3) * l * l * m, m * (1 - 2 * l * l)
    assert np.allclose([bond_matrix(p, d, vector, k)[0, 0] for k in (0, 1)], x_xy)
    xy_xy = 3 * l * l * m * m, l * l + m * m - 4 * l * l * m * m, n * n + l * l * m * m
    assert np.allclose([bond_matrix(d, d, vector, k)[0, 0] for k in (0, 1, 2)], xy_xy)


@pytest.mark.parametrize(("formula", "shells"), [("NaCl", "Na:ssp,Cl:spd"), ("NaCl", "Na:f,Cl:p"), ("Si", "sppd")])
def test_two_centre_integrals_come_back(formula, shells):
    """A Hamiltonian made of known integrals is fitted exactly, both ways of every bond from one set."""
    from irrepnet.hamiltonians.blocks import bonds_within
    from irrepnet.hamiltonians.slater_koster import _model

    basis = crystal_orbitals(formula, shells)
    random, values = np.random.default_rng(0), {}
    blocks: dict[tuple[int, ...], np.ndarray] = {}
    for a, b, *R in bonds_within(basis, 3.0).tolist():
        vector = (basis.centres[b] + R - basis.centres[a]) @ basis.cell.lattice
        if basis.species[a] > basis.species[b]:
            continue
        full = blocks.setdefault(tuple(R), np.zeros((len(basis), len(basis))))
        for name, model in _model(basis, a, b, vector if np.linalg.norm(vector) else None).items():
            key = (basis.species[a], basis.species[b], round(float(np.linalg.norm(vector)), 3), name)
            part = values.setdefault(key, random.normal()) * model
            full[np.ix_(basis.orbitals[a], basis.orbitals[b])] += part
            if basis.species[a] != basis.species[b]:
                back = blocks.setdefault(tuple(-x for x in R), np.zeros((len(basis), len(basis))))
                back[np.ix_(basis.orbitals[b], basis.orbitals[a])] += part.T
    hamiltonian = Hamiltonian(np.array(list(blocks)), np.array(list(blocks.values())), None, basis)
    from irrepnet.hamiltonians import hermiticity, symmetry_residual

    assert hermiticity(hamiltonian) < 1e-12
    assert symmetry_residual(hamiltonian, action(basis)).symmetry < 1e-12
    found = slater_koster(hamiltonian, 3.0)
    assert max(fit.largest for fit in found) < 1e-9
    for fit in found:
        for name, value in fit.integrals.items():
            assert value == pytest.approx(values[(*fit.elements, round(fit.distance, 3), name)], abs=1e-10)


def test_two_centre_fit_of_copper(data):
    folder = data / "Cu_spd_symmetrized"
    hamiltonian = read_hamiltonian(folder / "Cu_hr.dat.gz", folder / "wt.in")
    onsite, first, second = slater_koster(hamiltonian, 3.7)
    assert (onsite.blocks, first.blocks, second.blocks) == (1, 12, 6)
    assert first.distance == pytest.approx(3.615 / np.sqrt(2))
    assert onsite.largest == pytest.approx(6.12, abs=0.01)  # meV; the crystal field of the d shell
    assert first.integrals["ddσ"] < 0 < first.integrals["ddπ"]
    assert first.integrals["ssσ"] < 0 < first.integrals["spσ"]
    with pytest.raises(IrrepnetError, match="imaginary parts"):
        slater_koster(hamiltonian.in_convention("complex"), 3.0)


@pytest.mark.parametrize(("folder", "seed"), [("w90_GaAs_sawf", "GaAs"), ("w90_C_diamond", "diamond")])
def test_bands_are_those_of_the_calculation(data, folder, seed):
    """At the k-points of the mesh the Wannier functions of whole valence bands give the DFT energies back.

    Digits: the file has six, and the sum over cells some fifty terms.
    """
    hamiltonian = read_hamiltonian(data / folder / f"{seed}_hr.dat.gz")
    lines = (data / folder / f"{seed}.win").read_text().lower().split("begin kpoints")[1].split("end kpoints")[0]
    k = np.array([line.split()[:3] for line in lines.strip().splitlines()], float)
    energies = np.loadtxt(data / folder / f"{seed}.eig")[:, 2].reshape(len(k), 4)
    assert abs(hamiltonian.eigenvalues(k) - energies).max() < 1e-4


@pytest.mark.parametrize(
    "lattice",
    [
        [[3.7033, 0, 2.3297], [1.28677, 3.4726, 2.3297], [0, 0, 4.3752]],  # rhombohedral, in no special axes
        [[-2, 2, 3.5], [2, -2, 3.5], [2, 2, -3.5]],  # body-centred tetragonal
        [[2.0, -3.5, 0], [2.0, 3.5, 0], [1.1, 0, 4.4]],  # base-centred monoclinic
        [[3.1, 0, 0], [0.7, 3.4, 0], [-0.4, 0.9, 3.8]],  # triclinic
        [[3.0, 0, 0], [-1.5, 1.5 * np.sqrt(3), 0], [0, 0, 4.9]],  # hexagonal
    ],
)
def test_every_lattice(lattice):
    """A path is found, the blocks made from numbers obey the group, and every level has its irreps."""
    from tests.hamiltonians.made import random_reduced

    from irrepnet.hamiltonians import symmetry_residual

    cell = read_cell({"species": ["Ge"], "frac_coords": [[0.1, 0.2, 0.3]], "lattice": lattice})
    basis = atomic_basis(cell, {"Ge": (0, 1, 2)})
    hamiltonian, act = random_reduced(basis, 4.2, seed=0).expand(), action(basis)
    assert symmetry_residual(hamiltonian, act).symmetry < 1e-12
    for label, k in {label: k for branch in k_path(cell) for label, k in branch}.items():
        levels = band_irreps(hamiltonian, act, k, 1e-6)
        assert sum(len(level.bands) for level in levels) == 9, label


NONSYMMORPHIC = ("hcp", "wurtzite", "rutile", "diamond", "pyrite", "alpha-quartz", "anatase")
QUICK = ("Pm-3m", "P4mm", "diamond", "wurtzite")


def quick(names, few):
    """The names as parameters, all but a few of them slow."""
    return [name if name in few else pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.mark.parametrize("name", quick(SYMMORPHIC + NONSYMMORPHIC, QUICK))
def test_labels_at_equivalent_points_agree(name):
    """At random images of the points of the path, and of points on its lines: the same bands, the same labels."""
    crystal = crystal_of(name)
    shells = "Po:spd" if "Po" in crystal.species else "s" if name in ("pyrite", "alpha-quartz") else "sp"
    basis = crystal_basis(crystal, shells_by_element(shells, crystal.species))
    hamiltonian = random_reduced(basis, 9.0 if "Po" in crystal.species else 3.0, 1, overlap=True).expand()
    act = action(basis)
    unitary = act.group.rotations[: len(act.group.elements)]
    random = np.random.default_rng(2)
    branch = k_path(basis.cell)[0]
    points = [k for _, k in branch[:4]] + [0.3 * branch[0][1] + 0.7 * branch[1][1]]
    for k in points:
        images = {"k": k}
        for g in random.choice(len(unitary), min(len(unitary), 5), replace=False):
            images[f"{g}"] = k @ np.linalg.inv(unitary[g]) + random.integers(-1, 2, 3)
        found, failures = levels_at(hamiltonian, images, tolerance=1e-6)
        assert failures == []
        for label, levels in found.items():
            assert [level.irreps for level in levels] == [level.irreps for level in found["k"]], (k, label)


EQUIVALENT = ("Al-fcc-1.00", "Ge-diamond-1.00-D4h")


@pytest.mark.parametrize("name", quick(sorted({*EQUIVALENT, *embedded_hamiltonians()[::8]}), EQUIVALENT))
def test_labels_at_equivalent_points_of_what_is_embedded_agree(name):
    """K and U of fcc, and their like: the energies tell that they are equivalent."""
    hamiltonian = load_hamiltonian(name).expand()
    bands = band_structure(hamiltonian, density=1)
    found, failures = levels_at(hamiltonian, bands.points)
    assert failures == []
    at = {label: bands.energies[index] for index, label in bands.labelled}
    pairs = [pair for pair in combinations(at, 2) if abs(at[pair[0]] - at[pair[1]]).max() < 1e-6]
    assert pairs or "perovskite" in name or "cscl" in name
    for one, other in pairs:
        assert [level.label for level in found[one]] == [level.label for level in found[other]], (one, other)


@pytest.mark.parametrize("window", [(None, None), (-3, 150)])
@pytest.mark.parametrize("name", ["Si-diamond-1.00-D2h", "AlP-zincblende-1.00-D3d"])
def test_no_two_names_in_a_picture_overlap(name, window, monkeypatch, tmp_path):
    """Of levels, and below the axes: short branches, joints such as X|Q, and more levels than lines of text."""
    figures = []
    monkeypatch.setattr("irrepnet.hamiltonians.plots.write_picture", lambda figure, *_, **__: figures.append(figure))
    hamiltonian = load_hamiltonian(name).expand()
    bands = band_structure(hamiltonian, density=2)
    levels, _ = levels_at(hamiltonian, bands.points)
    energies = np.linspace(-10, 20, 30)
    density = energies, partial_densities(hamiltonian, energies, (1, 1, 1))
    plot_bands(bands, tmp_path / "bands.png", levels, *window, density=density)
    (figure,) = figures
    axes = figure.axes[0]
    frame = axes.get_window_extent()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) > 50
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 for box in boxes)
    for one, other in combinations(boxes + [label.get_window_extent() for label in axes.get_xticklabels()], 2):
        x = min(one.x1, other.x1) - max(one.x0, other.x0)
        y = min(one.y1, other.y1) - max(one.y0, other.y0)
        assert min(x, y) < 1.5, (one, other)  # pixels
