"""Wannier90's projections: their syntax, their order, and that hybrids turn as the shells they are made of."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from tests.hamiltonians.made import random_hamiltonian

from irrepnet.crystals import Cell
from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians import (
    Hamiltonian,
    action,
    read_hamiltonian,
    reduced,
    slater_koster,
    symmetrised,
    symmetry_residual,
    write_hamiltonian,
)
from irrepnet.hamiltonians.formats.wannier90_projections import numbers_of_ranges, projected_basis, projections_of
from irrepnet.hamiltonians.model import BOHR
from irrepnet.hamiltonians.orbitals import NAMES

CELL = Cell(4.0 * np.eye(3), np.array([[0.0, 0, 0], [0.5, 0.5, 0.5]]), np.array([82, 8]), "cube")
LABELS = ["pb", "o"]
WIN = """{keys}
Begin Unit_Cell_Cart
Bohr
 2*0.0 3d0
0 3.0 0
3.0 0 0
End Unit_Cell_Cart
begin atoms_frac
{atoms}
end atoms_frac
{projections}
"""

S, Z, X, Y = "s", "pz", "px", "py"
# the tables of the user guide, in words of their own: values at a point
HYBRIDS = {
    "sp": [lambda f: (f[S] + f[X]) / 2**0.5, lambda f: (f[S] - f[X]) / 2**0.5],
    "sp2": [
        lambda f: f[S] / 3**0.5 - f[X] / 6**0.5 + f[Y] / 2**0.5,
        lambda f: f[S] / 3**0.5 - f[X] / 6**0.5 - f[Y] / 2**0.5,
        lambda f: f[S] / 3**0.5 + 2 * f[X] / 6**0.5,
    ],
    "sp3": [
        lambda f: (f[S] + f[X] + f[Y] + f[Z]) / 2,
        lambda f: (f[S] + f[X] - f[Y] - f[Z]) / 2,
        lambda f: (f[S] - f[X] + f[Y] - f[Z]) / 2,
        lambda f: (f[S] - f[X] - f[Y] + f[Z]) / 2,
    ],
    "sp3d2": [
        lambda f: f[S] / 6**0.5 - f[X] / 2**0.5 - f["dz2"] / 12**0.5 + f["dx2-y2"] / 2,
        lambda f: f[S] / 6**0.5 + f[X] / 2**0.5 - f["dz2"] / 12**0.5 + f["dx2-y2"] / 2,
        lambda f: f[S] / 6**0.5 - f[Y] / 2**0.5 - f["dz2"] / 12**0.5 - f["dx2-y2"] / 2,
        lambda f: f[S] / 6**0.5 + f[Y] / 2**0.5 - f["dz2"] / 12**0.5 - f["dx2-y2"] / 2,
        lambda f: f[S] / 6**0.5 - f[Z] / 2**0.5 + f["dz2"] / 3**0.5,
        lambda f: f[S] / 6**0.5 + f[Z] / 2**0.5 + f["dz2"] / 3**0.5,
    ],
}
HYBRIDS["sp3d"] = [
    *HYBRIDS["sp2"],
    lambda f: (f[Z] + f["dz2"]) / 2**0.5,
    lambda f: (-f[Z] + f["dz2"]) / 2**0.5,
]


def values(r: np.ndarray) -> dict[str, np.ndarray]:
    """The angular functions of the user guide at unit vectors r (N, 3)."""
    x, y, z = r.T
    c = np.sqrt(1 / (4 * np.pi))
    return {
        "s": c + 0 * x,
        "pz": c * 3**0.5 * z,
        "px": c * 3**0.5 * x,
        "py": c * 3**0.5 * y,
        "dz2": c * 5**0.5 / 2 * (3 * z**2 - 1),
        "dxz": c * 15**0.5 * x * z,
        "dyz": c * 15**0.5 * y * z,
        "dx2-y2": c * 15**0.5 / 2 * (x**2 - y**2),
        "dxy": c * 15**0.5 * x * y,
        "fz3": c * 7**0.5 / 2 * (5 * z**3 - 3 * z),
        "fxz2": c * (21 / 8) ** 0.5 * (5 * z**2 - 1) * x,
        "fyz2": c * (21 / 8) ** 0.5 * (5 * z**2 - 1) * y,
        "fz(x2-y2)": c * 105**0.5 / 2 * z * (x**2 - y**2),
        "fxyz": c * 105**0.5 * x * y * z,
        "fx(x2-3y2)": c * (35 / 8) ** 0.5 * x * (x**2 - 3 * y**2),
        "fy(3x2-y2)": c * (35 / 8) ** 0.5 * y * (3 * x**2 - y**2),
    }


def points(count: int = 40) -> np.ndarray:
    found = np.random.default_rng(0).normal(size=(count, 3))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def in_harmonics(coefficients: np.ndarray, r: np.ndarray) -> np.ndarray:
    """Values at r of a function by its coefficients (16,) in the components of shells."""
    table = values(r)
    return np.stack([table[name] for names in NAMES for name in names], 1) @ coefficients


def functions(line: str, has_spin: bool = False):
    return projections_of(line, 0, 1.0, CELL, LABELS, has_spin)


@pytest.mark.parametrize("name", [*values(points(1)), *HYBRIDS])
def test_functions_are_those_of_the_tables(name):
    r = points()
    found = functions(f"Pb:{name}")
    tables = HYBRIDS[name] if name in HYBRIDS else [lambda f: f[name]]
    assert len(found) == len(tables)
    for each, formula in zip(found, tables, strict=True):
        assert np.allclose(in_harmonics(each.coefficients(), r), formula(values(r)), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("z", "x"), [((0, 0, 1), (0, 1, 0)), ((1, 1, 1), (1, -1, 0)), ((0, -2, 0.0), (1, 0, 0))])
def test_axes_turn_functions(z, x):
    r = points()
    z, x = np.array(z) / np.linalg.norm(z), np.array(x) / np.linalg.norm(x)
    own = np.stack([r @ x, r @ np.cross(z, x), r @ z], 1)
    text = f"z={z[0]:.15f},{z[1]:.15f},{z[2]:.15f}:x={x[0]:.15f},{x[1]:.15f},{x[2]:.15f}"
    for name in ("px", "dxz", "fxyz", "dx2-y2"):
        (found,) = functions(f"O:{name}:{text}")
        assert np.allclose(in_harmonics(found.coefficients(), r), values(own)[name], rtol=0, atol=1e-12)
    for found, formula in zip(functions(f"O:sp2:{text}"), HYBRIDS["sp2"], strict=True):
        assert np.allclose(in_harmonics(found.coefficients(), r), formula(values(own)), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("Pb:sp3", ["sp3-1", "sp3-2", "sp3-3", "sp3-4"]),
        ("Pb : L = -3", ["sp3-1", "sp3-2", "sp3-3", "sp3-4"]),
        ("PB:l=-3,mr=3,1", ["sp3-1", "sp3-3"]),
        ("pb:sp3-3,sp3-1", ["sp3-1", "sp3-3"]),
        ("Pb:p;s", ["s", "pz", "px", "py"]),
        ("Pb:l=2,mr=5,1", ["dz2", "dxy"]),
        ("Pb:dxy;dz2", ["dz2", "dxy"]),
        ("Pb:sp3d2;dxy;dxz;dyz", [*(f"sp3d2-{mr}" for mr in range(1, 7)), "dxz", "dyz", "dxy"]),
        ("Pb:s;sp;sp2", ["sp2-1", "sp2-2", "sp2-3", "sp-1", "sp-2", "s"]),
        ("Pb:fz(x2-y2),fy(3x2-y2)", ["fz(x2-y2)", "fy(3x2-y2)"]),
        ("Pb:l=3;s:r=2:zona=1.5d0", ["s", "fz3", "fxz2", "fyz2", "fz(x2-y2)", "fxyz", "fx(x2-3y2)", "fy(3x2-y2)"]),
        ("Pb:l=2,mr=2*3", ["dyz"]),
    ],
)
def test_order_is_that_of_wannier90(line, names):
    assert [each.name for each in functions(line)] == names


@pytest.mark.parametrize(
    ("line", "spins", "axis"),
    [
        ("Pb:pz", [1, -1], (0, 0, 1)),
        ("Pb:pz(u,d)", [1, -1], (0, 0, 1)),
        ("Pb:pz(d)", [-1], (0, 0, 1)),
        ("Pb:pz(u)[1,0,0]", [1], (1, 0, 0)),
        ("Pb:pz[1,0,1]", [1, -1], (1, 0, 1)),
        ("Pb:pz:z=0,0,1:x=1,0,0:r=1:zona=1.0(u)[0,1,0]", [1], (0, 1, 0)),
        ("Pb:fz(x2-y2)(d)", [-1], (0, 0, 1)),
    ],
)
def test_spinor_suffixes(line, spins, axis):
    found = functions(line, has_spin=True)
    assert [each.spin for each in found] == spins
    assert {each.spin_axis for each in found} == {axis}
    up = [each for each in functions(re.sub(r"[(\[][ud,0-9]+[)\]]", "", line), has_spin=True) if each.spin == 1]
    assert np.allclose(up[0].coefficients(), found[0].coefficients())
    if line != "Pb:pz":
        with pytest.raises(ValueError, match="spinors is not true"):
            functions(line)


def test_spin_follows_the_function():
    found = functions("Pb:s;p", has_spin=True)
    assert [(each.name, each.spin) for each in found][:4] == [("s", 1), ("s", -1), ("pz", 1), ("pz", -1)]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("1 2 3 4", [1, 2, 3, 4]), ("5-8", [5, 6, 7, 8]), ("1,3;5:6", [1, 3, 5, 6]), ("4 - 3, 1", [3, 4, 1])],
)
def test_ranges(text, numbers):
    assert numbers_of_ranges(text) == numbers


@pytest.mark.parametrize("text", ["", "0-2", "1 1", "2-x", "1.5", "-3"])
def test_ranges_that_are_none(text):
    with pytest.raises(ValueError, match="numbers"):
        numbers_of_ranges(text)


def basis_of(*lines: str, cell: Cell = CELL, labels=LABELS):
    rows = [
        each for number, line in enumerate(lines) for each in projections_of(line, number, 1.0, cell, labels, False)
    ]
    return projected_basis(rows, cell)


def test_what_is_plain_stays_plain():
    basis = basis_of("Pb:d;s", "O:dxz;dyz")
    assert basis.mixing is None
    assert [(shell.l, len(shell.m)) for shell in basis.shells] == [(0, 1), (2, 5), (2, 2)]
    (shell,) = basis_of("Pb:dz2;dx2-y2", "Pb:dxy;dxz;dyz").shells  # on two lines
    assert shell.m == (0, 2, 1, -1, -2)


@pytest.mark.parametrize(
    "lines",
    [
        ["Pb:sp3", "O:s"],
        ["Pb:sp3d2;dxy;dxz;dyz", "O:p"],
        ["Pb:sp;py;pz"],
        ["Pb:sp2;pz", "O:sp3"],
        ["Pb:sp3d;dxz;dyz;dx2-y2;dxy"],
        ["Pb:sp3", "Pb:sp3:r=2"],
        ["Pb:dz2;dx2-y2", "O:p:z=1,1,1:x=1,-1,0", "Pb:dxy;dxz;dyz"],
        ["Pb:pz:z=1,1,0:x=0,0,1", "Pb:pz:z=1,0,1:x=0,1,0", "Pb:pz:z=0,1,1:x=1,0,0"],
    ],
)
def test_hybrids_turn_as_the_shells_they_are_made_of(lines):
    """H in hybrids is T H Tᴴ of one in plain shells, whose symmetry is known; here of random numbers."""
    basis = basis_of(*lines)
    plain = basis.in_convention("deeptb")
    change = plain.change_to(basis)
    assert np.allclose(change @ change.conj().T, np.eye(len(basis)), rtol=0, atol=1e-12)
    rng = np.random.default_rng(1)
    R = np.array([[x, y, z] for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1)])
    known = symmetrised(Hamiltonian(R, rng.normal(size=(27, len(basis), len(basis))), basis=plain), action(plain))
    turned = Hamiltonian(known.R, change @ known.H @ change.T, basis=basis)
    assert symmetry_residual(turned, action(basis)).symmetry < 1e-12
    assert len(action(basis).group) == 48
    assert np.allclose(turned.in_convention("deeptb").H, known.H, rtol=0, atol=1e-12)
    assert np.allclose(turned.eigenvalues([0.1, 0.2, 0.3]), known.eigenvalues([0.1, 0.2, 0.3]), rtol=0, atol=1e-12)
    assert [a.sites for a in symmetry_residual(turned, action(basis)).blocks] != []


def test_axes_of_three_functions_that_are_not_at_right_angles_are_made_so():
    basis = basis_of("Pb:pz:z=1,1,0:x=0,0,1", "Pb:pz:z=1,0,1:x=0,1,0", "Pb:pz:z=0,1,1:x=1,0,0")
    C = np.array([[1, 1, 0], [1, 0, 1], [0, 1, 1]]) / np.sqrt(2)  # x y z
    values, vectors = np.linalg.eigh(C @ C.T)
    lowdin = vectors / np.sqrt(values) @ vectors.T @ C
    assert np.allclose(basis.coefficients, lowdin[:, [1, 2, 0]], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("lattice", "line", "is_kept"),
    [
        ((4.0, 4.0, 5.0), "Pb:sp2", True),  # s, px, py under 4/mmm
        ((4.0, 4.0, 4.0), "Pb:sp2", False),
        ((4.0, 4.0, 5.0), "Pb:sp2:z=1,0,0:x=0,0,1", False),
        ((5.0, 4.0, 4.0), "Pb:sp2:z=1,0,0:x=0,0,1", True),
        ((4.0, 4.0, 5.0), "Pb:sp", False),
        ((5.0, 4.0, 4.0), "Pb:sp", True),  # s, px
        ((4.0, 4.0, 4.0), "Pb:sp-1", False),
        ((4.0, 4.0, 5.0), "Pb:sp3d-4,sp3d-5", True),  # pz, dz2
    ],
)
def test_a_set_that_spans_no_whole_shells(lattice, line, is_kept):
    cell = Cell(np.diag(lattice), np.zeros((1, 3)), np.array([82]), "box")
    basis = basis_of(line, cell=cell, labels=["pb"])
    if is_kept:
        assert np.allclose(abs(np.linalg.det(action(basis).matrices[0])), 1)
        with pytest.raises(IrrepnetError, match="other orders need whole shells"):
            basis.in_convention("deeptb")
    else:
        with pytest.raises(IrrepnetError, match=r"takes sp.* out of their span"):
            action(basis)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["sp3", "sp2;pz", "sp3d2;dxz;dyz;dxy", "sp3;d", "p", "d", "f;s"]))
def test_any_axes_span_the_same(seed, functions_):
    """Turned axes mix the functions of a shell: D in them is equivalent to that in Cartesian ones."""
    x, _, z = Rotation.random(random_state=seed).as_matrix()
    axes = ":z=" + ",".join(f"{v:.15f}" for v in z) + ":x=" + ",".join(f"{v:.15f}" for v in x)
    turned, plain = basis_of(f"Pb:{functions_}{axes}"), basis_of(f"Pb:{functions_}")
    operations = action(plain).group.operations
    a, b = (basis.matrices(0, 0, operations) for basis in (turned, plain))
    assert np.allclose(np.trace(a, axis1=1, axis2=2), np.trace(b, axis1=1, axis2=2), rtol=0, atol=1e-10)


# -- whole files


def write_files(folder, projections: str, n: int, keys: str = "", atoms: str = "Pb 0 0 0\nO 0.5 0.5 0.5", H=None):
    block = f"begin projections\n{projections}\nend projections" if projections else ""
    (folder / "x.win").write_text(WIN.format(keys=keys, atoms=atoms, projections=block))
    H = np.diag(np.arange(n) + 0.5) if H is None else H
    rows = "".join(f"0 0 0 {i + 1} {j + 1} {H[i, j]} 0\n" for j in range(n) for i in range(n))
    (folder / "x_hr.dat").write_text(f"header\n{n}\n1\n1\n{rows}")
    return folder / "x_hr.dat"


def names_of(hamiltonian) -> list[str]:
    return [name.partition(" ")[2] for name in hamiltonian.basis.names]


def test_a_file_of_the_tutorials(tmp_path):
    """Pb:sp3; H from a symmetric one in plain shells."""
    plain = random_hamiltonian("NaCl", "Na:sp", cutoff=6.0)
    basis = plain.basis
    rows = "\n".join(" ".join(map(str, row)) for row in basis.cell.lattice.tolist())
    atoms = "\n".join(
        f"{symbol} " + " ".join(map(str, point))
        for symbol, point in zip(("Na", "Cl"), basis.cell.frac_coords.tolist(), strict=True)
    )
    text = f"num_wann = 4\nbegin unit_cell_cart\nang\n{rows}\nend unit_cell_cart\nbegin atoms_frac\n{atoms}\n"
    (tmp_path / "x.win").write_text(text + "end atoms_frac\nBegin Projections\n  NA : sp3 ! hybrids\nEnd Projections\n")
    sp3 = np.array([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]]) / 2  # over s, x, y, z
    change = sp3[:, [0, 2, 3, 1]]  # the shells have y, z, x
    write_hamiltonian(Hamiltonian(plain.R, change @ plain.H @ change.T, name="x"), tmp_path / "x_hr.dat")
    found = read_hamiltonian(tmp_path / "x_hr.dat")
    assert names_of(found) == ["sp3-1", "sp3-2", "sp3-3", "sp3-4"]
    assert symmetry_residual(found, action(found.basis)).symmetry < 1e-12
    assert abs(found.in_convention("deeptb").H[0] - plain.H[plain.index(found.R[0])]).max() < 1e-12
    # what is kept in irrepnet's own file
    write_hamiltonian(found, tmp_path / "x.safetensors")
    again = read_hamiltonian(tmp_path / "x.safetensors")
    assert again.basis.names == found.basis.names
    assert len(reduced(found)) == len(reduced(plain))
    assert np.allclose(again.eigenvalues([0.1, 0.2, 0.3]), plain.eigenvalues([0.1, 0.2, 0.3]), rtol=0, atol=1e-10)
    fits, others = (slater_koster(each, 5.0) for each in (found, plain))
    assert [fit.rms for fit in fits] == pytest.approx([fit.rms for fit in others], abs=1e-9)


@pytest.mark.parametrize(
    ("keys", "projections", "names"),
    [
        ("select_projections 1 2-4", "Pb:sp3\nO:s", ["sp3-1", "sp3-2", "sp3-3", "sp3-4"]),
        ("SELECT_PROJECTIONS : 5, 1", "Pb:sp3\nO:s", ["s", "sp3-1"]),
        ("select_projections = 4,2;3", "Pb:s;p", ["py", "pz", "px"]),
        ("num_wann 2", "Pb:s\nO:p", ["s", "pz"]),
        ("spinors : F", "Pb:s ! comment : p\n# another\nO:s # more", ["s", "s"]),
        ("", "bohr\nc=0.0,0.0,1.5d0:s", ["s"]),
        ("", "ang\nf=3*.25:l=0", ["s"]),
        ("", "random\nPb:s;pz", ["s", "pz"]),
    ],
)
def test_keys_and_order(tmp_path, keys, projections, names):
    found = read_hamiltonian(write_files(tmp_path, projections, len(names), keys))
    assert names_of(found) == names


def test_units_of_the_block(tmp_path):
    bohr = read_hamiltonian(write_files(tmp_path, "bohr\nc=0.0,0.0,1.5:s", 1)).basis.centres
    assert np.allclose(bohr, [[0.5, 0, 0]])  # of the lattice vector 3 Bohr along z
    ang = read_hamiltonian(write_files(tmp_path, f"c=0.0,0.0,{1.5 * BOHR}:s", 1)).basis.centres
    assert np.allclose(bohr, ang)


@pytest.mark.parametrize(
    ("keys", "projections", "reason"),
    [
        ("", "random", "the projections are random"),
        ("", "Random\nPb:s", "1 of 2 projections are random"),
        ("", "", "no projections block"),
        ("auto_projections = T", "", "auto_projections is true"),
        ("use_bloch_phases .true.", "", "use_bloch_phases is true"),
        ("spinors = .true.", "Pb:s(u)\nO:s(d)", "of s it has one spin alone"),
        ("spinors = .true.", "Pb:s[1,0,0]", "along 1,0,0: spins are known along z alone"),
    ],
)
def test_what_cannot_be_known_has_a_cell_and_a_reason(tmp_path, keys, projections, reason):
    found = read_hamiltonian(write_files(tmp_path, projections, 2, keys))
    assert found.basis is None
    assert found.known_cell.numbers.tolist() == [82, 8]
    with pytest.raises(IrrepnetError, match=reason):
        _ = found.known_basis


def test_wannier_functions_that_have_left_their_sites(tmp_path):
    path = write_files(tmp_path, "Pb:s;pz", 2)
    for shift, is_known in ((0.3, True), (0.7, False)):
        rows = "".join(f"X {shift + sign * 0.4} 0 0\n" for sign in (-1, 1))
        (tmp_path / "x_centres.xyz").write_text(f"2\ncentres\n{rows}")
        found = read_hamiltonian(path)
        assert (found.basis is not None) == is_known
    assert "centred 0.70 Å away" in found.no_basis
    (tmp_path / "x.win").write_text("translate_home_cell = true\n" + (tmp_path / "x.win").read_text())
    assert read_hamiltonian(path).basis is not None
