"""Orbitals as functions of space: order, sign and transformation, in the convention of every code."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from irrepnet.crystals import read_cell
from irrepnet.errors import IrrepnetError
from irrepnet.groups import PointGroup, racah_harmonics
from irrepnet.hamiltonians import CONVENTIONS, OrbitalBasis, Shell, atomic_basis
from irrepnet.hamiltonians.orbitals import shells_by_element

CELL = read_cell({"species": ["Cu"], "frac_coords": [[0, 0, 0]], "lattice": 3 * np.eye(3)})


def one_site(*shells: Shell) -> OrbitalBasis:
    return OrbitalBasis(CELL, CELL.frac_coords, shells)


def values(shell: Shell, points: np.ndarray) -> np.ndarray:
    """(points, k) the orbitals themselves, up to their radial function."""
    return racah_harmonics(shell.l, points) @ shell.matrix.T


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    l=st.integers(0, 3),
    convention=st.sampled_from(sorted(CONVENTIONS)),
    improper=st.booleans(),
)
def test_matrices_move_the_functions(seed, l, convention, improper):
    """(g φ_i)(r) = φ_i(g⁻¹ r) = Σ_j φ_j(r) D_ji."""
    rotation = Rotation.random(random_state=seed).as_matrix() * (-1 if improper else 1)
    points = np.random.default_rng(seed).normal(size=(10, 3))
    shell = Shell.of(0, l, convention)
    (matrix,) = one_site(shell).matrices(0, 0, rotation[None])
    assert np.allclose(values(shell, points @ rotation), values(shell, points) @ matrix, atol=1e-10)
    assert np.allclose(matrix @ matrix.conj().T, np.eye(2 * l + 1), atol=1e-12)


X, Y, Z = np.random.default_rng(1).normal(size=(3, 6))
R2 = X**2 + Y**2 + Z**2
FUNCTIONS = {
    "s": 1 + 0 * X,
    "px": X,
    "py": Y,
    "pz": Z,
    "dxy": np.sqrt(3) * X * Y,
    "dyz": np.sqrt(3) * Y * Z,
    "dxz": np.sqrt(3) * X * Z,
    "dz2": (3 * Z**2 - R2) / 2,
    "dx2-y2": np.sqrt(3) / 2 * (X**2 - Y**2),
    "fz3": Z * (5 * Z**2 - 3 * R2) / 2,
    "fxz2": np.sqrt(3 / 8) * X * (5 * Z**2 - R2),
    "fyz2": np.sqrt(3 / 8) * Y * (5 * Z**2 - R2),
    "fz(x2-y2)": np.sqrt(15) / 2 * Z * (X**2 - Y**2),
    "fxyz": np.sqrt(15) * X * Y * Z,
    "fx(x2-3y2)": np.sqrt(5 / 8) * X * (X**2 - 3 * Y**2),
    "fy(3x2-y2)": np.sqrt(5 / 8) * Y * (3 * X**2 - Y**2),
}
ORDERS = {
    "wannier90": "s pz px py dz2 dxz dyz dx2-y2 dxy fz3 fxz2 fyz2 fz(x2-y2) fxyz fx(x2-3y2) fy(3x2-y2)",
    "pyscf": "s px py pz dxy dyz dz2 dxz dx2-y2 fy(3x2-y2) fxyz fyz2 fz3 fxz2 fz(x2-y2) fx(x2-3y2)",
    "deeph": "s px py pz dz2 dx2-y2 dxy dxz dyz fz3 fxz2 fyz2 fz(x2-y2) fxyz fx(x2-3y2) fy(3x2-y2)",
    "deeptb": "s py pz px dxy dyz dz2 dxz dx2-y2 fy(3x2-y2) fxyz fyz2 fz3 fxz2 fz(x2-y2) fx(x2-3y2)",
}


@pytest.mark.parametrize("convention", sorted(ORDERS))
def test_orders(convention):
    """Against the polynomials that the codes' manuals list, in their order."""
    points = np.stack([X, Y, Z], 1)
    names = ORDERS[convention].split()
    for l in range(4):
        shell = Shell.of(0, l, convention)
        assert list(shell.names) == names[l**2 : (l + 1) ** 2]
        assert np.allclose(values(shell, points), np.stack([FUNCTIONS[name] for name in shell.names], 1))


def test_signs_of_siesta():
    orbital = pytest.importorskip("sisl")
    points = np.stack([X, Y, Z], 1)
    for l in range(4):
        shell = Shell.of(0, l, "sisl")
        radial = orbital.SphericalOrbital(l, (np.linspace(0, 9, 91), np.ones(91)))
        atomic = radial.toAtomicOrbital(n=l + 1)
        theirs = np.stack([own.psi(points) for own in atomic], 1)
        ours = values(shell, points) / np.linalg.norm(points, axis=1)[:, None] ** l
        assert [own.m for own in atomic] == list(shell.m)
        assert np.allclose(theirs, ours * np.sqrt((2 * l + 1) / (4 * np.pi)), rtol=1e-4, atol=1e-6)


def test_complex_orbitals_turn_by_phases():
    angle = 0.7
    turn = Rotation.from_rotvec([0, 0, angle]).as_matrix()[None]
    for l in range(4):
        (matrix,) = one_site(Shell.of(0, l, "complex")).matrices(0, 0, turn)
        assert np.allclose(matrix, np.diag(np.exp(-1j * angle * np.arange(-l, l + 1))))


def test_site_irreps():
    group = PointGroup("m-3m")
    basis = one_site(*(Shell.of(0, l, "pyscf") for l in (0, 0, 1, 2, 3)))
    found = basis.site_irreps(0, group, group.operations)
    assert found == {"A1g": 2, "Eg": 1, "T2g": 1, "A2u": 1, "T1u": 2, "T2u": 1}


def test_part_of_a_shell():
    t2g = one_site(Shell(0, 2, (1, -1, -2)))
    group = PointGroup("m-3m")
    matrices = t2g.matrices(0, 0, group.operations)
    assert np.allclose(matrices.trace(axis1=1, axis2=2), group.irrep("T2g").characters)
    turned = Rotation.from_rotvec([0.3, 0.1, 0]).as_matrix()[None]
    with pytest.raises(IrrepnetError, match="out of their span"):
        t2g.matrices(0, 0, turned)
    with pytest.raises(IrrepnetError, match="whole shells"):
        t2g.in_convention("pyscf")
    for convention, (harmonics, _) in CONVENTIONS.items():
        if harmonics == "complex":  # there dxy is a combination with dx2-y2
            with pytest.raises(IrrepnetError, match="whole shells"):
                t2g.in_convention(convention, whole=False)
            continue
        other = t2g.in_convention(convention, whole=False)
        change = t2g.change_to(other)
        assert np.allclose(change @ matrices @ change.T, other.matrices(0, 0, group.operations))


@pytest.mark.parametrize("convention", sorted(CONVENTIONS))
def test_change_of_convention(convention):
    """The change of basis takes D of one convention to that of the other."""
    basis = one_site(*(Shell.of(0, l, "wannier90") for l in (0, 1, 2, 3)))
    other = basis.in_convention(convention)
    change = basis.change_to(other)
    turn = Rotation.random(random_state=3).as_matrix()[None]
    old, new = basis.matrices(0, 0, turn)[0], other.matrices(0, 0, turn)[0]
    assert np.allclose(change @ old @ change.conj().T, new, atol=1e-12)


def test_names_and_species():
    cell = read_cell({"species": ["Mg", "O"], "frac_coords": [[0, 0, 0], [0.5] * 3], "lattice": 4.2 * np.eye(3)})
    basis = atomic_basis(cell, {"O": (0, 0, 1)}, "wannier90")
    assert basis.names == ("O1 s", "O1 s'", "O1 pz", "O1 px", "O1 py")
    assert len(basis) == 5
    assert replace(basis, centres=np.full((1, 3), 0.25)).species == ("X",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("spg", "letters s, p, d, f"),
        ("", "letters s, p, d, f"),
        ("Mg:sp,Si:s", "names 'Si', the structure holds Mg, O"),
    ],
)
def test_shells_that_are_refused(text, message):
    with pytest.raises(IrrepnetError, match=message):
        shells_by_element(text, ("Mg", "O"))


def test_unknown_convention_and_sites_that_differ():
    with pytest.raises(IrrepnetError, match="unknown order"):
        Shell.of(0, 1, "vasp")
    with pytest.raises(IrrepnetError, match="from 0"):
        Shell.of(0, 4)
    cell = read_cell({"species": ["C", "C"], "frac_coords": [[0, 0, 0], [0.25] * 3], "lattice": 3 * np.eye(3)})
    basis = OrbitalBasis(cell, cell.frac_coords, (Shell.of(0, 0), Shell.of(1, 1)))
    with pytest.raises(IrrepnetError, match="carry different shells, s and p"):
        basis.matrices(0, 1, np.eye(3)[None])
