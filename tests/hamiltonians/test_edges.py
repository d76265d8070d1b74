"""Elements at the edges of the Wigner–Seitz supercell: the mesh is found, and the symmetric sharing keeps its bands."""

from dataclasses import replace

import numpy as np
import pytest
from tests.hamiltonians.made import crystal_orbitals, random_hamiltonian

from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians import (
    Hamiltonian,
    action,
    orthogonalised,
    read_hamiltonian,
    space_group,
    spectrum_residual,
    symmetrised,
    symmetry_residual,
    with_shared_edges,
    write_hamiltonian,
)
from irrepnet.hamiltonians.model import in_other_cells, mesh_points
from irrepnet.hamiltonians.reports import check_files, check_hamiltonian, draw_bands

MESH = (3, 3, 3)


def on_mesh(formula: str, shells: str, mesh=MESH) -> Hamiltonian:
    """H(R) that reaches beyond the supercell of a mesh, made from H(k) on it, the edges shared by cells alone."""
    wide = random_hamiltonian(formula, shells, cutoff=5.5)
    return replace(orthogonalised(wide, mesh), name="on mesh")


def without_sharing(hamiltonian: Hamiltonian) -> Hamiltonian:
    """Of equivalent cells the first has all, as if nobody had thought of the edges."""
    mesh = np.array(hamiltonian.mesh)
    cells, number = np.unique(hamiltonian.R % mesh, axis=0, return_inverse=True)
    H = np.zeros((len(cells), *hamiltonian.H.shape[1:]), hamiltonian.H.dtype)
    np.add.at(H, number.ravel(), hamiltonian.H)
    return replace(hamiltonian, R=(cells + mesh // 2) % mesh - mesh // 2, H=H)


@pytest.mark.parametrize(
    ("formula", "shells", "mesh"),
    [("Si", "sp", MESH), ("NaCl", "Na:s,Cl:p", (4, 4, 4)), ("TiO2", "Ti:d,O:p", (2, 2, 3)), ("CaF2", "Ca:s,F:p", MESH)],
)
@pytest.mark.parametrize("how", ["by cells", "not at all", "homes"])
def test_shared_edges_obey_the_crystal_and_keep_the_mesh(formula, shells, mesh, how):
    given = on_mesh(formula, shells, mesh)
    act = action(given.basis)
    if how == "not at all":
        given = without_sharing(given)
    if how == "homes":  # sites in any cells
        steps = np.random.default_rng(0).integers(-2, 3, (len(given.basis.centres), 3))
        moved = in_other_cells(given, steps[given.basis.site_of])
        given = replace(moved, basis=replace(given.basis, centres=given.basis.centres + steps))
        act = action(given.basis)
    found = with_shared_edges(given)
    assert symmetry_residual(found, act).symmetry < 1e-12 * abs(given.H).max() * 100
    k = mesh_points(mesh)
    assert np.allclose(found.eigenvalues(k), given.eigenvalues(k), rtol=0, atol=1e-10)
    assert np.allclose(found.H_at(k), given.H_at(k), rtol=0, atol=1e-10)
    kept = symmetrised(found, act)
    assert np.allclose(kept.eigenvalues(k), given.eigenvalues(k), rtol=0, atol=1e-10)
    if formula in ("Si", "CaF2"):  # sites that are not half a lattice vector apart
        assert symmetry_residual(given, act).symmetry > 1e-3


def test_each_element_is_where_its_sites_are_nearest():
    """Against a plain loop over all elements and all translations."""
    given = on_mesh("Si", "s", (2, 2, 2))
    found = with_shared_edges(given)
    basis, lattice = given.basis, given.basis.cell.lattice
    expected: dict[tuple, complex] = {}
    for R, block in zip(given.R, given.H):
        for i, j in np.ndindex(block.shape):
            apart = basis.centres[basis.site_of[j]] - basis.centres[basis.site_of[i]]
            images = [R + 2 * np.array([x, y, z]) for x, y, z in np.ndindex(7, 7, 7)]
            images = [image - 6 for image in images]
            lengths = np.array([np.linalg.norm((image + apart) @ lattice) for image in images])
            near = np.flatnonzero(lengths < lengths.min() + 1e-6)
            for at in near:
                key = (*images[at].tolist(), i, j)
                expected[key] = expected.get(key, 0) + block[i, j] / len(near)
    for (x, y, z, i, j), value in expected.items():
        assert found.H[found.index(np.array([x, y, z])), i, j] == pytest.approx(value, abs=1e-12)
    assert np.count_nonzero(abs(found.H) > 1e-12) <= len(expected)


def degenerate(hamiltonian: Hamiltonian, path) -> None:
    """A _hr.dat as Wannier90 writes it: whole elements, and how many equal cells there are."""
    write_hamiltonian(hamiltonian, path)
    mesh = np.array(hamiltonian.mesh)
    order = np.lexsort(hamiltonian.R.T[::-1])
    cells = hamiltonian.R[order] % mesh
    counts = np.array([(cells == cell).all(1).sum() for cell in cells])
    lines = path.read_text().splitlines()
    heads = 3 + (len(counts) + 14) // 15
    rows = np.array([line.split() for line in lines[heads:]], float)
    rows[:, 5:] *= np.repeat(counts, len(hamiltonian) ** 2)[:, None]
    text = [*lines[:3], *(" ".join(map(str, counts[at : at + 15])) for at in range(0, len(counts), 15))]
    text += [" ".join([*(f"{int(x)}" for x in row[:5]), *(f"{x:.14f}" for x in row[5:])]) for row in rows]
    path.write_text("\n".join(text) + "\n")


@pytest.mark.parametrize("mesh", [(2, 2, 2), (4, 4, 4), (3, 2, 1), (1, 1, 5), (3, 3, 3)])
def test_the_mesh_is_found_from_weights(tmp_path, mesh):
    given = on_mesh("Si", "s", mesh)
    degenerate(given, tmp_path / "x_hr.dat")
    found = read_hamiltonian(tmp_path / "x_hr.dat")
    assert found.mesh == mesh
    k = mesh_points(mesh)
    assert np.allclose(found.eigenvalues(k), given.eigenvalues(k), rtol=0, atol=1e-9)


def test_cells_that_fill_no_supercell_have_no_mesh(tmp_path):
    given = random_hamiltonian("Si", "s")
    write_hamiltonian(given, tmp_path / "x_hr.dat")
    assert read_hamiltonian(tmp_path / "x_hr.dat").mesh is None
    with pytest.raises(IrrepnetError, match="mesh of k"):
        with_shared_edges(given)


def test_check_says_so_and_symmetrises_without_moving_the_mesh(tmp_path):
    given = on_mesh("Si", "sp", (4, 4, 4))
    report = check_hamiltonian(given, write_to=tmp_path / "new.safetensors")
    assert report["mesh"]["points"] == [4, 4, 4]
    assert report["mesh"]["spectrum"] < 1e-10
    assert report["mesh"]["symmetry"] < 1e-10 < 1e-3 < report["symmetry"]
    assert report["spectrum"] > 1e-6  # off the mesh the edges are seen
    assert report["moved"] < 1e-9
    (note,) = report["notes"]
    assert note.startswith("edges: ")
    assert "4 × 4 × 4" in note
    new = read_hamiltonian(tmp_path / "new.safetensors")
    k = mesh_points((4, 4, 4))
    assert np.allclose(new.eigenvalues(k), given.eigenvalues(k), rtol=0, atol=1e-9)
    act = action(new.basis)
    assert symmetry_residual(new, act).symmetry < 1e-10


def test_a_file_that_shares_no_edges(tmp_path):
    """One of equal cells has all, every cell weighs 1: check finds the mesh, and symmetrising keeps its bands."""
    given = without_sharing(on_mesh("Si", "sp", (4, 4, 4)))
    write_hamiltonian(given.in_convention("wannier90"), tmp_path / "x_hr.dat")
    lattice, places = given.basis.cell.lattice, given.basis.cell.frac_coords
    blocks = [
        ("unit_cell_cart", lattice),
        ("atoms_frac", [["Si", *row] for row in places]),
        ("projections", [["Si:s;p"]]),
    ]
    texts = ["\n".join([f"begin {n}", *(" ".join(map(str, row)) for row in rows), f"end {n}"]) for n, rows in blocks]
    (tmp_path / "x.win").write_text("\n".join(texts))
    read = read_hamiltonian(tmp_path / "x_hr.dat")
    report = check_hamiltonian(read, write_to=tmp_path / "new_hr.dat")
    assert report["mesh"]["points"] == [4, 4, 4]
    assert report["mesh"]["symmetry"] < 1e-9 < 1e-3 < report["symmetry"]
    assert any(note.startswith("edges: ") for note in report["notes"])
    (tmp_path / "new.win").write_text((tmp_path / "x.win").read_text())
    new, k = read_hamiltonian(tmp_path / "new_hr.dat"), mesh_points((4, 4, 4))
    assert np.allclose(new.eigenvalues(k), given.eigenvalues(k), rtol=0, atol=1e-10)
    assert symmetry_residual(new, action(new.basis)).symmetry < 1e-10
    assert symmetry_residual(symmetrised(read, action(read.basis)), action(read.basis)).symmetry < 1e-10


# -- what needs no orbitals


@pytest.mark.parametrize("formula", ["Si", "TiO2"])
def test_spectrum_needs_no_orbitals(formula):
    shells = {"Si": "pd", "TiO2": "Ti:d,O:p"}[formula]
    given = random_hamiltonian(formula, shells)
    group = space_group(given.basis.cell)
    k = np.random.default_rng(0).normal(size=(2, 3))
    assert spectrum_residual(given, group, k).max() < 1e-10
    broken = replace(given, H=given.H.copy())
    broken.H[given.index(np.zeros(3, int)), 0, 0] += 0.1
    residual = spectrum_residual(broken, group, k)
    slow = [abs(broken.eigenvalues(k @ np.linalg.inv(W)) - broken.eigenvalues(k)).max() for W in group.rotations]
    assert np.allclose(residual, slow, rtol=0, atol=1e-10)
    assert residual.max() > 1e-3


def test_check_answers_what_it_can():
    given = random_hamiltonian("NaCl", "Na:s,Cl:p")
    bare = replace(given, basis=None)
    report = check_hamiltonian(bare)
    assert report["hermiticity"] < 1e-12
    assert report["symmetry"] is report["spectrum"] is report["point_group"] is None
    assert len(report["notes"]) == 1
    cell_only = check_hamiltonian(replace(bare, cell=given.basis.cell, no_basis="x.win: the projections are random"))
    assert cell_only["point_group"] == "m-3m"
    assert cell_only["spectrum"] < 1e-10
    assert cell_only["symmetry"] is None
    assert [each["residual"] for each in cell_only["operations"]] == [None] * 48
    assert cell_only["notes"] == ["no symmetry of orbitals: x.win: the projections are random"]
    part = crystal_orbitals("NaCl", "Na:s,Cl:p")
    cut = replace(part, shells=(part.shells[0], replace(part.shells[1], m=(0,))))  # of p one is left
    keep = np.flatnonzero(np.isin(np.arange(4), [0, 2]))
    report = check_hamiltonian(Hamiltonian(given.R, given.H[:, keep[:, None], keep], basis=cut, name="cut"))
    assert report["symmetry"] is None
    assert "out of their span" in report["notes"][0]
    assert report["spectrum"] > 0


@pytest.mark.parametrize("wrong", ["Si:s", "Ge:s;p", "Si:q", "f=1/4,1/4,1/4:sp3"])
def test_wrong_projections_leave_what_needs_no_orbitals(tmp_path, wrong):
    """Lattice, atoms and Fermi energy of the input are right all the same."""
    given = random_hamiltonian("Si", "sp").in_convention("wannier90")
    write_hamiltonian(given, tmp_path / "x_hr.dat")
    cell = given.basis.cell
    rows = [*(f"Si {' '.join(map(str, place))}" for place in cell.frac_coords)]
    text = ["fermi_energy = 0.25", "begin unit_cell_cart", *(" ".join(map(str, row)) for row in cell.lattice)]
    text += ["end unit_cell_cart", "begin atoms_frac", *rows, "end atoms_frac"]
    (tmp_path / "x.win").write_text("\n".join([*text, "begin projections", wrong, "end projections"]))
    with pytest.raises(IrrepnetError, match="projection"):
        read_hamiltonian(tmp_path / "x_hr.dat")
    (report,) = check_files([tmp_path / "x_hr.dat"])["files"]
    assert report["spectrum"] < 1e-8
    assert (report["symmetry"], report["fermi"], report["point_group"]) == (None, 0.25, "m-3m")
    (note,) = report["notes"]
    assert "projection" in note
    drawn = draw_bands(tmp_path / "x_hr.dat", tmp_path / "x.csv")
    assert np.allclose(drawn["path"]["energies"], given.eigenvalues(np.array(drawn["path"]["k"])), atol=1e-9)
    assert drawn["levels"] == {}
    assert "projection" in drawn["failures"][0]
    (tmp_path / "x.win").write_text("\n".join(text[:4]))  # nor can these be read
    assert check_files([tmp_path / "x_hr.dat"])["files"][0]["spectrum"] is None
    with pytest.raises(IrrepnetError, match="has no end"):
        draw_bands(tmp_path / "x_hr.dat", tmp_path / "x.csv")


def test_check_says_when_the_orbitals_are_others(tmp_path):
    given = random_hamiltonian("NaCl", "Na:s,Cl:p")
    other = Hamiltonian(given.R, np.roll(np.roll(given.H, 1, 1), 1, 2), basis=given.basis)
    report = check_hamiltonian(other, write_to=tmp_path / "x.safetensors")
    assert report["moved"] > 0.1
    assert report["notes"][1].startswith("symmetrising moved bands")
    assert report["spectrum"] < 1e-10 < 1e-2 < report["symmetry"]
    assert "other axes or another order" in report["notes"][0]


def test_in_other_cells_is_the_same_crystal():
    given = random_hamiltonian("Si", "sp")
    steps = np.random.default_rng(0).integers(-2, 3, (len(given), 3))
    moved = in_other_cells(given, steps)
    k = np.random.default_rng(1).normal(size=3)
    phases = np.exp(2j * np.pi * (steps @ k))
    assert np.allclose(moved.H_at(k), phases[:, None] * given.H_at(k) * phases.conj(), rtol=0, atol=1e-10)
