"""Residuals and symmetrised Hamiltonians: on data of other codes, and on random ones against plain definitions."""

from dataclasses import replace

import numpy as np
import pytest
from tests.hamiltonians.made import crystal_orbitals, random_hamiltonian

from irrepnet.crystals import read_cell
from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians import (
    Hamiltonian,
    OrbitalBasis,
    Shell,
    action,
    hermiticity,
    read_hamiltonian,
    space_group,
    symmetrised,
    symmetry_residual,
    violations,
)
from irrepnet.hamiltonians.bands import _little_group

CASES = [("NaCl", "Na:sp,Cl:d"), ("Si", "sp"), ("TiO2", "Ti:s,O:p")]


def noise(formula: str, shells: str, complex_: bool = False) -> Hamiltonian:
    """No symmetry at all, not even Hermitian."""
    random = np.random.default_rng(5)
    basis = crystal_orbitals(formula, shells)
    R = np.array([[0, 0, 0], [1, 0, 0], [-1, 0, 0], [0, 1, -1], [0, -1, 1], [1, 1, 0]])
    H = random.normal(size=(len(R), len(basis), len(basis)))
    if complex_:
        H = H + 1j * random.normal(size=H.shape)
    return Hamiltonian(R, H, 0.1 * H.real, basis)


@pytest.mark.parametrize(("formula", "shells"), CASES)
def test_symmetrised(formula, shells):
    hamiltonian = noise(formula, shells)
    act = action(hamiltonian.basis)
    assert symmetry_residual(hamiltonian, act).symmetry > 0.5
    made = symmetrised(hamiltonian, act)
    for overlap in (False, True):
        assert hermiticity(made, overlap) == 0
        assert symmetry_residual(made, act, overlap).symmetry < 1e-12
    again = symmetrised(made, act)
    assert np.allclose(again.H[again.index(made.R)], made.H, atol=1e-12)


def plain_image(blocks: dict[tuple, np.ndarray], act, g: int) -> dict[tuple, np.ndarray]:
    """g·H of {(R, a, b): block}, one block after the other."""
    moved = {}
    for (*R, a, b), block in blocks.items():
        a2, b2, cell = act.images(g, a, b, np.array(R))
        moved[(*cell.tolist(), a2, b2)] = act.matrices[a][g] @ block @ act.matrices[b][g].conj().T
    return moved


def plain_blocks(hamiltonian: Hamiltonian, act) -> dict[tuple, np.ndarray]:
    sites = range(len(act.basis.centres))
    return {
        (*R, a, b): H[np.ix_(act.basis.orbitals[a], act.basis.orbitals[b])]
        for R, H in zip(hamiltonian.R.tolist(), hamiltonian.H)
        for a in sites
        for b in sites
    }


def apart(first: dict[tuple, np.ndarray], second: dict[tuple, np.ndarray]) -> np.ndarray:
    """The differences of all elements; a block that is not there is zero."""
    return np.concatenate([np.ravel(first.get(key, 0) - second.get(key, 0)) for key in {*first, *second}])


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("complex_", [False, True])
@pytest.mark.parametrize(("formula", "shells"), [*CASES, ("NaCl", "Na:s,Cl:spd")])
def test_plain_definitions(formula, shells, complex_, large):
    """The mean over all operations and over Hermitian conjugation, and the violation of each, block by block."""
    hamiltonian = noise(formula, shells, complex_)
    if large:
        hamiltonian = supercell(hamiltonian)
    act = action(hamiltonian.basis)
    given = plain_blocks(hamiltonian, act)
    mean: dict[tuple, np.ndarray] = {}
    images = [plain_image(given, act, g) for g in range(len(act.group))]
    residuals = [max(abs(block - given.get(key, 0)).max() for key, block in image.items()) for image in images]
    assert np.allclose(symmetry_residual(hamiltonian, act).operations, residuals, rtol=0, atol=1e-13)
    for image in images:
        for (*R, a, b), block in image.items():
            mean[(*R, a, b)] = mean.get((*R, a, b), 0) + block / (2 * len(images))
            reverse = (*(-x for x in R), b, a)
            mean[reverse] = mean.get(reverse, 0) + block.conj().T / (2 * len(images))
    made = symmetrised(hamiltonian, act)
    assert abs(apart(plain_blocks(made, act), mean)).max() < 1e-13
    found = violations(hamiltonian, made, act)
    rest = {key: given.get(key, 0) - block for key, block in mean.items()}
    norms = [np.linalg.norm(apart(plain_image(rest, act, g), rest)) for g in range(len(act.group))]
    assert np.allclose(found.operations, norms, rtol=0, atol=1e-11)


def parts(found) -> float:
    return np.sqrt(np.square([found.translations, *found.irreps.values(), *found.rules.values()]).sum())


@pytest.mark.parametrize(("formula", "shells"), CASES)
@pytest.mark.parametrize("complex_", [False, True])
def test_violations_add_up(formula, shells, complex_):
    hamiltonian = noise(formula, shells, complex_)
    act = action(hamiltonian.basis)
    made = symmetrised(hamiltonian, act)
    for overlap, given, exact in ((False, hamiltonian.H, made.H), (True, hamiltonian.S, made.S)):
        found = violations(hamiltonian, made, act, overlap)
        assert found.norm == pytest.approx(np.linalg.norm(given))
        assert found.total**2 == pytest.approx(np.linalg.norm(given) ** 2 - np.linalg.norm(exact) ** 2)
        assert parts(found) == pytest.approx(found.total)
        assert found.translations == 0
        assert found.rules["Hermiticity"] > 0.01
        assert found.operations[0] == 0
        assert found.operations.min() >= 0
        assert violations(made, symmetrised(made, act), act, overlap).residual < 1e-12


@pytest.mark.parametrize("label", ["Eg", "T1g", "T2g", "A2u", "T1u"])
def test_a_violation_of_one_irrep_is_named(label):
    """Made by a sum over the operations with its characters."""
    hamiltonian = noise("NaCl", "Na:sp,Cl:sp")
    act = action(hamiltonian.basis)
    exact, group = symmetrised(hamiltonian, act), act.group.point_group
    irrep = group.irrep(label)
    n, cells = len(hamiltonian), exact.R
    part = np.zeros(exact.H.shape)
    hermitian = replace(hamiltonian, H=(hamiltonian.H + hamiltonian.H.swapaxes(1, 2)) / 2)
    for g, element in enumerate(act.group.elements):
        for c, block in zip(hermitian.R, hermitian.H):
            for a in range(2):
                for b in range(2):
                    a2, b2, cell = act.images(g, a, b, c)
                    rows, columns = act.basis.orbitals[a][:, None], act.basis.orbitals[b]
                    moved = act.matrices[a][g] @ block[rows, columns] @ act.matrices[b][g].conj().T
                    target = act.basis.orbitals[a2][:, None], act.basis.orbitals[b2]
                    part[int(exact.index(cell))][target] += irrep.characters[element] * moved
    part *= irrep.dim / group.order
    assert part.shape == (len(cells), n, n)
    found = violations(replace(exact, H=exact.H + part), exact, act)
    assert found.irreps.keys() == {label}
    assert found.irreps[label] == pytest.approx(np.linalg.norm(part))
    assert found.rules["Hermiticity"] == found.translations == 0


@pytest.mark.parametrize("convention", ["wannier90", "sisl", "complex"])
@pytest.mark.parametrize(("formula", "shells"), [("Si", "sp"), ("TiO2", "Ti:sd,O:p")])
def test_operations_on_bloch_sums(formula, shells, convention):
    """U_g(k) H(k) U_g(k)ᴴ = H(W⁻ᵀ k), with the Bloch operators written down by hand: a check that knows no blocks."""
    hamiltonian = random_hamiltonian(formula, shells, overlap=True).in_convention(convention)
    basis, act = hamiltonian.basis, action(hamiltonian.basis)
    k = np.array([0.13, -0.27, 0.41])
    for g in range(len(act.group)):
        image = np.linalg.inv(act.group.rotations[g]).T @ k
        operator = np.zeros((len(basis), len(basis)), complex)
        for site, columns in enumerate(basis.orbitals):
            rows = basis.orbitals[act.permutation[g, site]]
            phase = np.exp(-2j * np.pi * image @ act.cells[g, site])
            operator[np.ix_(rows, columns)] = phase * act.matrices[site][g]
        for at in (hamiltonian.H_at, hamiltonian.S_at):
            assert np.allclose(operator @ at(k) @ operator.conj().T, at(image), atol=1e-10)


def test_little_group_operators_commute():
    hamiltonian = random_hamiltonian("Si", "spd")
    act = action(hamiltonian.basis)
    for k in ([0, 0, 0], [0.5, 0, 0.5], [0.5, 0.5, 0.5], [0.5, 0.25, 0.75]):
        little = _little_group(act, k)
        H = hamiltonian.H_at(little.k)
        for operator in act.on_bloch_sums(little.indices, little.k):
            assert np.allclose(operator @ H, H @ operator, atol=1e-10)


def test_complex_hamiltonians_keep_their_phases():
    """Symmetrising takes no real parts: a magnetic-like phase that is even under all operations stays."""
    hamiltonian = noise("NaCl", "Na:s,Cl:p", complex_=True)
    made = symmetrised(hamiltonian, action(hamiltonian.basis))
    assert np.iscomplexobj(made.H)
    assert hermiticity(made) == 0
    assert symmetry_residual(made, action(made.basis)).symmetry < 1e-12


def test_a_wrong_block_is_found():
    hamiltonian = random_hamiltonian("NaCl", "Na:s,Cl:sp", overlap=True)
    act = action(hamiltonian.basis)
    cell = int(hamiltonian.index(np.array([1, 0, 0])))
    H = hamiltonian.H.copy()
    chlorine = act.basis.species.index("Cl")
    row = act.basis.orbitals[chlorine][0]
    H[cell, row, row] += 0.25
    residual = symmetry_residual(replace(hamiltonian, H=H), act)
    assert residual.symmetry == pytest.approx(0.25)
    assert residual.blocks[0].sites == (chlorine, chlorine)
    assert residual.blocks[0].residual == pytest.approx(0.25)
    assert all(block.residual < 1e-12 for block in residual.blocks[1:])
    assert residual.operations[0] == 0  # the identity
    assert hermiticity(replace(hamiltonian, H=H)) == pytest.approx(0.25)
    assert symmetry_residual(hamiltonian, act, overlap=True).symmetry < 1e-12


def supercell(hamiltonian: Hamiltonian) -> Hamiltonian:
    """The same crystal with a twice as long first lattice vector."""
    basis, n = hamiltonian.known_basis, len(hamiltonian)
    lattice = basis.cell.lattice * [[2], [1], [1]]
    shift = np.array([0.5, 0, 0])
    double = [np.concatenate([x / [2, 1, 1], x / [2, 1, 1] + shift]) for x in (basis.cell.frac_coords, basis.centres)]
    cell = basis.cell._replace(lattice=lattice, frac_coords=double[0], numbers=np.tile(basis.cell.numbers, 2))
    shells = (*basis.shells, *(replace(s, site=s.site + len(basis.centres)) for s in basis.shells))
    blocks: dict[tuple[int, ...], np.ndarray] = {}
    for (x, y, z), H in zip(hamiltonian.R.tolist(), hamiltonian.H):
        for half in (0, 1):
            cell_x, other = divmod(x + half, 2)
            full = blocks.setdefault((cell_x, y, z), np.zeros((2 * n, 2 * n), H.dtype))
            full[half * n : (half + 1) * n, other * n : (other + 1) * n] = H
    return Hamiltonian(
        np.array(list(blocks)), np.array(list(blocks.values())), None, OrbitalBasis(cell, double[1], shells)
    )


@pytest.mark.parametrize(("formula", "shells"), [("NaCl", "Na:s,Cl:spd"), ("TiO2", "Ti:sd,O:p")])
def test_supercell(formula, shells):
    """Centring translations are operations too; the spectrum is that of the primitive cell, folded."""
    hamiltonian = random_hamiltonian(formula, shells)
    large = supercell(hamiltonian)
    act = action(large.basis)
    assert not act.group.is_primitive
    assert symmetry_residual(large, act).symmetry < 1e-12
    k = np.array([0.1, 0.2, -0.3])
    folded = hamiltonian.eigenvalues([k / [2, 1, 1], (k + np.eye(3)[0]) / [2, 1, 1]])
    assert np.allclose(large.eigenvalues(k), np.sort(folded.ravel()), atol=1e-10)
    H = large.H.copy()
    H[large.index(np.zeros(3, int)), 0, 0] += 1  # one of two cells
    wrong = replace(large, H=H)
    found = violations(wrong, symmetrised(wrong, act), act)
    assert found.translations == pytest.approx(np.sqrt(0.5))
    assert parts(found) == pytest.approx(found.total)


def test_rotation_permutation_and_origin():
    """A crystal in other axes, another order and from another origin has the residual that it had."""
    hamiltonian = random_hamiltonian("TiO2", "Ti:sd,O:p")
    rng = np.random.default_rng(0)
    H = hamiltonian.H + 0.01 * rng.normal(size=hamiltonian.H.shape)
    basis = hamiltonian.known_basis
    reference = symmetry_residual(replace(hamiltonian, H=H), action(basis)).symmetry
    order = rng.permutation(len(basis.centres))
    shells = [shell for site in order for shell in basis.shells_of(site)]
    columns = np.concatenate([basis.orbitals[site] for site in order])
    number = np.argsort(order)
    moved = basis.cell._replace(frac_coords=basis.cell.frac_coords + 0.37)
    other = OrbitalBasis(
        moved, basis.centres[order] + 0.37, tuple(replace(s, site=int(number[s.site])) for s in shells)
    )
    changed = Hamiltonian(hamiltonian.R, H[:, columns[:, None], columns], None, other)
    assert symmetry_residual(changed, action(other)).symmetry == pytest.approx(reference, abs=1e-12)
    # p and d shells turned with the crystal: the matrix elements do not change if the lattice and D do
    from scipy.spatial.transform import Rotation

    turn = Rotation.random(random_state=1).as_matrix()
    turned = replace(basis, cell=basis.cell._replace(lattice=basis.cell.lattice @ turn.T))
    change = np.zeros((len(basis), len(basis)))
    for site, own in enumerate(basis.orbitals):
        change[np.ix_(own, own)] = basis.matrices(site, site, turn[None])[0]
    rotated = Hamiltonian(hamiltonian.R, change @ hamiltonian.H @ change.T, None, turned)
    assert symmetry_residual(rotated, action(turned)).symmetry < 1e-10


def test_copper(data):
    folder = data / "Cu_spd_symmetrized"
    hamiltonian = read_hamiltonian(folder / "Cu_hr.dat.gz", folder / "wt.in")
    assert hamiltonian.fermi == 7.7083
    assert hermiticity(hamiltonian) == 0
    assert symmetry_residual(hamiltonian, action(hamiltonian.basis)).symmetry < 6.1e-14


def test_copper_with_a_cif(data, tmp_path):
    """A CIF of the primitive cell has lengths and angles only; the Hamiltonian tells its axes."""
    from pymatgen.core import Lattice, Structure

    lattice = Lattice((np.ones((3, 3)) - np.eye(3)) * 1.8075)
    Structure(lattice, ["Cu"], [[0, 0, 0]]).to(str(tmp_path / "Cu.cif"))
    hamiltonian = read_hamiltonian(data / "Cu_spd_symmetrized" / "Cu_hr.dat.gz", tmp_path / "Cu.cif")
    assert symmetry_residual(hamiltonian, action(hamiltonian.basis)).symmetry < 1e-12


def test_strontium_vanadate(data):
    hamiltonian = read_hamiltonian(data / "SrVO3_t2g" / "SrVO3_hr.dat.gz")
    assert hamiltonian.basis.names == ("V1 dxz", "V1 dyz", "V1 dxy")
    assert symmetry_residual(hamiltonian, action(hamiltonian.basis)).symmetry < 2.5e-14


def test_gallium_arsenide(data):
    """Symmetry-adapted Wannier functions: blocks and spectrum."""
    hamiltonian = read_hamiltonian(data / "w90_GaAs_sawf" / "GaAs_hr.dat.gz")
    act = action(hamiltonian.basis)
    assert act.group.point_group.name == "-43m"
    assert symmetry_residual(hamiltonian, act).symmetry < 7.2e-15
    k = np.array([0.11, 0.23, -0.37])
    images = np.linalg.inv(act.group.rotations).transpose(0, 2, 1) @ k
    spectra = hamiltonian.eigenvalues(images)
    assert abs(spectra - spectra[0]).max() < 2e-14


def test_aluminium(data):
    """A non-orthogonal basis: H is symmetric to its own 1e-5, S to rounding."""
    stored = np.load(data / "Al_lcao_dzp" / "al_lcao_HR_SR.npz")
    assert [str(name)[-2:] for name in stored["orbitals"]][2:5] == ["_y", "_z", "_x"]
    record = {"species": ["Al"], "frac_coords": [[0, 0, 0]], "lattice": stored["lattice_bohr"] * 0.529177210903}
    cell = read_cell(record)
    basis = OrbitalBasis(cell, cell.frac_coords, tuple(Shell.of(0, l, "deeptb") for l in (0, 0, 1, 1, 2)))
    hamiltonian = Hamiltonian(stored["R"], stored["H"], stored["S"], basis)
    act = action(basis)
    assert 1.3e-5 < symmetry_residual(hamiltonian, act).symmetry < 1.45e-5
    assert symmetry_residual(hamiltonian, act, overlap=True).symmetry < 3e-15
    assert symmetry_residual(symmetrised(hamiltonian, act), act).symmetry < 1e-14


def test_wannier_centres_between_atoms(data):
    """Bond-centred functions; only with the cells of _wsvec.dat do the blocks obey the symmetry."""
    folder = data / "Si_valence"
    window = folder / "Si2_valence.win"
    whole = read_hamiltonian(folder / "Si2_valence_MDRS_tb.dat.gz", window)
    assert whole.basis.species == ("X",) * 4
    act = action(whole.basis)
    assert symmetry_residual(whole, act).symmetry < 3e-7
    cut = read_hamiltonian(folder / "Si2_valence_WS_tb.dat.gz", window)
    assert symmetry_residual(cut, act).symmetry > 0.01


def test_left_handed_lattice():
    hamiltonian = random_hamiltonian("TiO2", "Ti:sd,O:p")
    basis = hamiltonian.known_basis
    swap = np.eye(3, dtype=int)[[1, 0, 2]]
    cell = basis.cell._replace(lattice=swap @ basis.cell.lattice, frac_coords=basis.cell.frac_coords @ swap)
    other = replace(basis, cell=cell, centres=basis.centres @ swap)
    assert np.linalg.det(cell.lattice) < 0
    changed = Hamiltonian(hamiltonian.R @ swap, hamiltonian.H, None, other)
    act = action(other)
    assert len(act.group) == 16
    assert symmetry_residual(changed, act).symmetry < 1e-12


def test_refusals():
    hamiltonian = random_hamiltonian("NaCl", "Na:s,Cl:p")
    with pytest.raises(IrrepnetError, match="symprec"):
        space_group(hamiltonian.basis.cell, 2.0)
    with pytest.raises(IrrepnetError, match="no overlap"):
        hermiticity(hamiltonian, overlap=True)
    basis = replace(hamiltonian.basis, centres=hamiltonian.basis.centres + np.array([[0.1, 0, 0], [0, 0, 0]]))
    with pytest.raises(IrrepnetError, match="away from any site"):
        action(basis)
    with pytest.raises(IrrepnetError, match="not finite"):
        replace(hamiltonian, H=hamiltonian.H * np.nan)
    with pytest.raises(IrrepnetError, match="has 4 rows, the orbital basis 3"):
        replace(
            hamiltonian,
            basis=replace(basis, shells=basis.shells[:1] if len(basis.shells[0].m) == 3 else basis.shells[1:]),
        )
    with pytest.raises(IrrepnetError, match="one twice"):
        replace(hamiltonian, R=np.zeros_like(hamiltonian.R))
    with pytest.raises(IrrepnetError, match="give a structure"):
        replace(hamiltonian, basis=None).known_basis  # noqa: B018
