"""Files with spin: both orders of Wannier90, SIESTA with spin–orbit coupling and spin-polarised, DeepH."""

from dataclasses import replace

import numpy as np
import pytest
from tests.hamiltonians.formats.test_files import K, poscar, same
from tests.hamiltonians.made import crystal_orbitals, random_hamiltonian, random_reduced

from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians import (
    Hamiltonian,
    action,
    from_pythtb,
    from_sisl,
    read_hamiltonian,
    spin_channels,
    symmetry_residual,
    to_pythtb,
    to_sisl,
    with_spin,
    with_spin_orbit,
    write_hamiltonian,
)

WIN = """begin unit_cell_cart
{lattice}
end unit_cell_cart
begin atoms_frac
{atoms}
end atoms_frac
begin projections
{projections}
end projections
spinors = .TRUE.
"""


def spinful(formula: str = "TiO2", shells: str = "Ti:d,O:p", overlap: bool = False) -> Hamiltonian:
    basis, cutoff = replace(crystal_orbitals(formula, shells), spinful=True), 2.0 if formula == "TiO2" else 3.0
    found = random_reduced(basis, cutoff, 6).expand()
    if not overlap:
        return found
    S = with_spin(random_hamiltonian(formula, shells, cutoff, 6, overlap=True))
    assert S.S is not None
    return replace(found, S=S.S[S.index(found.R)])


def all_up_first(hamiltonian: Hamiltonian, path) -> None:
    """Written as of old versions: all orbitals with spin up, then all with spin down."""
    n = len(hamiltonian)
    order = [*range(0, n, 2), *range(1, n, 2)]
    write_hamiltonian(replace(hamiltonian, H=hamiltonian.H[:, order][:, :, order], basis=None), path)


def win(hamiltonian: Hamiltonian, path, projections: str) -> None:
    cell = hamiltonian.known_basis.cell
    species = {22: "Ti", 8: "O", 11: "Na", 17: "Cl", 14: "Si"}
    lattice = "\n".join(" ".join(map(repr, row)) for row in cell.lattice.tolist())
    atoms = "\n".join(
        f"{species[int(z)]} {' '.join(map(repr, x))}" for z, x in zip(cell.numbers, cell.frac_coords.tolist())
    )
    path.write_text(WIN.format(lattice=lattice, atoms=atoms, projections=projections))


@pytest.mark.parametrize("projections", ["Ti:d\nO:p", "Ti:d(u,d)\nO:p (u, d) [0,0,1]"])
@pytest.mark.parametrize("old", [False, True])
def test_wannier90_in_both_orders(tmp_path, projections, old):
    """The order is that which obeys the symmetry; the .win tells the orbitals."""
    hamiltonian = spinful().in_convention("wannier90")
    win(hamiltonian, tmp_path / "x.win", projections)
    (all_up_first if old else write_hamiltonian)(hamiltonian, tmp_path / "x_hr.dat")
    again = read_hamiltonian(tmp_path / "x_hr.dat")
    same(again, hamiltonian)
    assert symmetry_residual(again, action(again.known_basis)).symmetry < 1e-10


@pytest.mark.parametrize("old", [False, True])
def test_twice_as_many_functions_have_spin(tmp_path, old):
    hamiltonian = spinful().in_convention("wannier90")
    (all_up_first if old else write_hamiltonian)(hamiltonian, tmp_path / "x_hr.dat")
    same(read_hamiltonian(tmp_path / "x_hr.dat", poscar(hamiltonian, tmp_path / "POSCAR"), "Ti:d,O:p"), hamiltonian)
    silicon = with_spin(random_hamiltonian("Si", "sp")).in_convention("wannier90")
    write_hamiltonian(silicon, tmp_path / "Si_hr.dat")
    again = read_hamiltonian(tmp_path / "Si_hr.dat", poscar(silicon, tmp_path / "POSCAR"))
    assert again.known_basis.spinful
    assert len(again.known_basis.shells) == 4


def test_positions_of_both_orders(tmp_path):
    """A _tb.dat: centres of the functions, in whatever order, tell the home cells."""
    hamiltonian = spinful("NaCl", "Na:s,Cl:sp").in_convention("wannier90")
    win(hamiltonian, tmp_path / "x.win", "Na:s\nCl:s;p")
    write_hamiltonian(hamiltonian, tmp_path / "x_tb.dat")
    same(read_hamiltonian(tmp_path / "x_tb.dat"), hamiltonian)


@pytest.mark.parametrize("old", [False, True])
def test_the_order_of_a_magnet(tmp_path, old):
    """Of no moments known: time reversal and half of the operations are violated in both orders, the others in one."""
    basis = replace(
        crystal_orbitals("TiO2", "Ti:d,O:p"), spinful=True, moments=np.array([[0, 0, 1.0]] * 2 + [[0, 0, 0]] * 4)
    )
    assert basis.cell.numbers.tolist() == [22, 22, 8, 8, 8, 8]
    hamiltonian = random_reduced(basis, 2.0, 3).expand().in_convention("wannier90")
    win(hamiltonian, tmp_path / "x.win", "Ti:d\nO:p")
    (all_up_first if old else write_hamiltonian)(hamiltonian, tmp_path / "x_hr.dat")
    same(read_hamiltonian(tmp_path / "x_hr.dat"), hamiltonian)


@pytest.mark.parametrize(
    ("projections", "reason"),
    [
        ("Ti:d(u)\nTi:d(u)\nO:p", "one spin alone"),
        ("Ti:d(u,d)[1,0,0]\nO:p", "along z alone"),
        ("Ti:d\nO:s;p", "its projections are 52 orbitals"),
    ],
)
def test_projections_that_are_refused(tmp_path, projections, reason):
    hamiltonian = spinful().in_convention("wannier90")
    win(hamiltonian, tmp_path / "x.win", projections)
    write_hamiltonian(hamiltonian, tmp_path / "x_hr.dat")
    with pytest.raises(IrrepnetError, match=reason):
        _ = read_hamiltonian(tmp_path / "x_hr.dat").known_basis


@pytest.mark.parametrize("centres", [False, True])
@pytest.mark.parametrize("old", [False, True])
def test_hybrids_with_spin(tmp_path, old, centres):
    """A mixing and spin: each hybrid up and down, in both orders; centres are in the order of the file."""
    plain = random_hamiltonian("Si", "sp").in_convention("wannier90")
    hamiltonian = with_spin_orbit(plain, {"Si": {"p": 0.3}})
    win(hamiltonian, tmp_path / "x.win", "Si:sp3")
    write_hamiltonian(plain, tmp_path / "plain_hr.dat")
    (tmp_path / "plain.win").write_text((tmp_path / "x.win").read_text().replace("spinors", "! spinors"))
    hybrid = replace(read_hamiltonian(tmp_path / "plain_hr.dat").known_basis, spinful=True)
    change = hamiltonian.known_basis.change_to(hybrid)
    mixed = replace(hamiltonian, H=change @ hamiltonian.H @ change.conj().T, basis=hybrid)
    act = action(hybrid)
    assert symmetry_residual(mixed, act).symmetry < 1e-10
    (all_up_first if old else write_hamiltonian)(mixed, tmp_path / "x_hr.dat")
    if centres:
        sites = hybrid.site_of[[*range(0, 16, 2), *range(1, 16, 2)]] if old else hybrid.site_of
        rows = (hybrid.centres @ hybrid.cell.lattice)[sites].tolist()
        text = "\n".join("X " + " ".join(map(repr, row)) for row in rows)
        (tmp_path / "x_centres.xyz").write_text(f"16\ncentres\n{text}\n")
    again = read_hamiltonian(tmp_path / "x_hr.dat")
    same(again, mixed)
    assert again.known_basis.names[:3] == ("Si1 sp3-1 up", "Si1 sp3-1 down", "Si1 sp3-2 up")
    assert symmetry_residual(again, act).symmetry < 1e-10
    same(again.in_convention("wannier90"), hamiltonian)
    write_hamiltonian(again, tmp_path / "x.safetensors")
    same(read_hamiltonian(tmp_path / "x.safetensors"), mixed)


@pytest.mark.parametrize(
    ("projections", "order"),
    [
        ("Na:s(u)\nNa:s(d)\nCl:s;p(u)\nCl:p;s(d)", [0, 1, 2, 4, 6, 8, 3, 5, 7, 9]),
        ("Na:s[0,0,-1]\nCl:s;p", [1, 0, *range(2, 10)]),
        ("Cl:s;p(d)\nNa:s(d,u)\nCl:s;p(u)", [3, 5, 7, 9, 0, 1, 2, 4, 6, 8]),
    ],
)
def test_spins_in_any_order(tmp_path, projections, order):
    """Suffixes and axes along −z say where each spin is."""
    hamiltonian = spinful("NaCl", "Na:s,Cl:sp").in_convention("wannier90")
    given = replace(hamiltonian, H=hamiltonian.H[:, order][:, :, order], basis=None)
    win(hamiltonian, tmp_path / "x.win", projections)
    write_hamiltonian(given, tmp_path / "x_hr.dat")
    again = read_hamiltonian(tmp_path / "x_hr.dat")
    assert symmetry_residual(again, action(again.known_basis)).symmetry < 1e-10
    k = np.random.default_rng(1).random((3, 3))
    assert abs(again.eigenvalues(k) - hamiltonian.eigenvalues(k)).max() < 1e-9


@pytest.mark.parametrize("name", ["x.HSX", "x.TSHS"])
def test_siesta_with_spin_orbit_coupling(tmp_path, name):
    pytest.importorskip("sisl")
    hamiltonian = spinful(overlap=True).in_convention("sisl")
    write_hamiltonian(hamiltonian, tmp_path / name)
    structure = (poscar(hamiltonian, tmp_path / "POSCAR"), "Ti:d,O:p") if name == "x.TSHS" else ()
    again = read_hamiltonian(tmp_path / name, *structure)
    same(again, hamiltonian, 1e-6)
    assert symmetry_residual(again, action(again.known_basis)).symmetry < 1e-5


def test_sisl_has_the_same_spectrum():
    pytest.importorskip("sisl")
    for hamiltonian in (spinful("NaCl", "Na:s,Cl:sp", overlap=True), spinful("NaCl", "Na:s,Cl:sp")):
        theirs = to_sisl(hamiltonian)
        assert theirs.spin.is_spinorbit
        for k in K:
            assert np.allclose(theirs.eigh(k), hamiltonian.eigenvalues(k), atol=1e-10)
        same(from_sisl(theirs), hamiltonian.in_convention("sisl"))


def test_sisl_with_other_spins():
    """Spin-polarised: two Hamiltonians. Not collinear: as sisl has it."""
    sisl = pytest.importorskip("sisl")
    up, down = (random_hamiltonian("NaCl", "Na:s,Cl:sp", seed=seed, overlap=True) for seed in (1, 2))
    down = replace(down, S=up.S)
    geometry = to_sisl(up).geometry
    parts = [to_sisl(each).tocsr(0) for each in (up, down)]
    polarised = sisl.Hamiltonian.fromsp(geometry, parts, S=to_sisl(up).tocsr(1), spin=sisl.Spin("polarized"))
    found = from_sisl(polarised)
    channels = spin_channels(found)
    assert channels is not None
    for own, given in zip(channels, (up, down)):
        same(own, given.in_convention("sisl"))
        assert not own.known_basis.spinful
        assert symmetry_residual(own, action(own.known_basis)).symmetry < 1e-10
    same(with_spin(*channels), found)
    tilted = polarised.transform(spin="non-colinear")
    same(from_sisl(tilted), found)
    turned = sisl.Hamiltonian.fromsp(geometry, parts, spin=sisl.Spin("polarized")).spin_rotate([0, 60, 20])
    assert turned.spin.is_noncolinear
    for k in K:
        assert np.allclose(turned.eigh(k), from_sisl(turned).eigenvalues(k), atol=1e-10)
    with pytest.raises(IrrepnetError, match="superconductors"):
        from_sisl(sisl.Hamiltonian(geometry, spin=sisl.Spin("nambu")))


def test_channels_need_nothing_between():
    plain = random_hamiltonian("NaCl", "Na:s,Cl:sp")
    assert spin_channels(plain) is None
    assert spin_channels(with_spin_orbit(plain, {"Cl": {"p": 0.1}})) is None


@pytest.mark.parametrize("overlap", [False, True])
def test_deeph(tmp_path, overlap):
    """Blocks hold all up and then all down; the overlap has no spin."""
    h5py = pytest.importorskip("h5py")
    hamiltonian = spinful(overlap=overlap).in_convention("deeph")
    write_hamiltonian(hamiltonian, tmp_path / "x.deeph")
    again = read_hamiltonian(tmp_path / "x.deeph")
    same(again, hamiltonian)
    with h5py.File(tmp_path / "x.deeph/hamiltonians.h5") as file:
        block = np.array(file["[0, 0, 0, 1, 1]"])
    own = hamiltonian.H[hamiltonian.index(np.zeros(3, int))][:10, :10]
    assert np.allclose(block[:5, :5], own[::2, ::2])
    assert np.allclose(block[:5, 5:], own[::2, 1::2])
    if overlap:
        with h5py.File(tmp_path / "x.deeph/overlaps.h5") as file:
            assert file["[0, 0, 0, 1, 1]"].shape == (5, 5)


def test_the_others(tmp_path):
    hamiltonian = spinful("NaCl", "Na:s,Cl:sp")
    write_hamiltonian(hamiltonian, tmp_path / "x.safetensors")
    same(read_hamiltonian(tmp_path / "x.safetensors"), hamiltonian)
    pytest.importorskip("pythtb")
    same(from_pythtb(to_pythtb(hamiltonian), hamiltonian.basis), hamiltonian)
    pytest.importorskip("h5py")
    with pytest.raises(IrrepnetError, match="without spin"):
        write_hamiltonian(hamiltonian, tmp_path / "x.deeptb")
