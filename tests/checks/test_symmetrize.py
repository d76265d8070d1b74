"""Files of values made symmetric: read again by the codes whose formats they are, against their own symmetrisers."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from pymatgen.core import Structure
from tests.hamiltonians.made import random_hamiltonian
from tests.prototypes import crystal_of
from typer.testing import CliRunner

from irrepnet.checks.symmetrize import KNOWN, SymmetrizeOptions, operation_name, symmetrize_file
from irrepnet.cli.main import app
from irrepnet.crystals import CellSymmetry, SymmetricCrystal, TensorKind
from irrepnet.errors import IrrepnetError
from irrepnet.groups import PointGroup
from irrepnet.hamiltonians import (
    action,
    read_hamiltonian,
    symmetry_residual,
    with_spin_orbit,
    write_hamiltonian,
)

BORN_CHARGES = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "born_charges.jsonl.gz"


def structure_of(name: str, noise: float = 0.0) -> Structure:
    crystal = crystal_of(name)
    moved = crystal.frac_coords + noise * np.random.default_rng(8).normal(size=crystal.frac_coords.shape)
    return Structure(crystal.lattice, crystal.species, moved)


def frame(name: str, seed: int):
    """A crystal with noise for all results."""
    rng, atoms = np.random.default_rng(seed), structure_of(name).to_ase_atoms()
    atoms = atoms.__class__(atoms.get_chemical_symbols(), atoms.positions, cell=atoms.cell, pbc=True)
    atoms.rotate(40 * seed, (1, 1, 3), rotate_cell=True)
    n = len(atoms)
    atoms.calc = SinglePointCalculator(
        atoms, energy=-1.5, forces=0.01 * rng.normal(size=(n, 3)), stress=rng.normal(size=6)
    )
    atoms.arrays |= {"becs": rng.normal(size=(n, 9)), "shift": rng.normal(size=(n, 3)), "tag": np.arange(n)}
    atoms.info |= {"epsilon": rng.normal(size=(3, 3)), "elastic": rng.normal(size=(6, 6)), "what": "noise"}
    return atoms


def parts(quantity: dict) -> float:
    return np.sqrt(
        np.square([quantity["translations"], *quantity["irreps"].values(), *quantity["rules"].values()]).sum()
    )


def test_extended_xyz(tmp_path):
    frames = [frame(name, k) for k, name in enumerate(("rutile", "wurtzite", "alpha-quartz"))]
    ase.io.write(tmp_path / "in.extxyz", frames)
    given = ase.io.read(tmp_path / "in.extxyz", ":")
    report = symmetrize_file(tmp_path / "in.extxyz", tmp_path / "out.xyz")
    found = ase.io.read(tmp_path / "out.xyz", ":", format="extxyz")
    assert not report["rejected"]
    assert [crystal["formula"] for crystal in report["crystals"]] == ["TiO2", "ZnO", "SiO2"]
    for before, after, crystal in zip(given, found, report["crystals"]):
        symmetry = CellSymmetry.of(Structure(before.cell.array, before.numbers, before.get_scaled_positions()))
        n = len(before)
        for name, old, new in (
            ("forces", before.get_forces(), after.get_forces()),
            ("stress", before.get_stress(voigt=False), after.get_stress(voigt=False)),
            ("becs", before.arrays["becs"], after.arrays["becs"]),
            ("epsilon", before.info["epsilon"], after.info["epsilon"]),
            ("elastic", before.info["elastic"], after.info["elastic"]),
        ):
            kind = KNOWN[name]
            wanted = symmetry.project(old, kind)
            assert new.shape == old.shape
            assert np.allclose(kind.read(new, n), wanted.values, atol=1e-12), name
            (entry,) = [quantity for quantity in crystal["quantities"] if quantity["name"] == name]
            assert entry["residual"] == pytest.approx(wanted.violations.residual)
            assert parts(entry) == pytest.approx(entry["residual"])
            assert len(entry["operations"]) == symmetry.crystal.point_group.order
        assert after.get_potential_energy() == -1.5
        assert np.allclose(after.arrays["shift"], before.arrays["shift"])
        assert (after.arrays["tag"] == np.arange(n)).all()
        assert after.info["what"] == "noise"
    again = symmetrize_file(tmp_path / "out.xyz")
    assert max(q["residual"] for crystal in again["crystals"] for q in crystal["quantities"]) < 1e-12


def test_bad_frames_are_listed_and_the_others_written(tmp_path):
    path, out = tmp_path / "in.xyz", tmp_path / "out.xyz"
    frames = [frame("rutile", 1) for _ in range(3)]
    frames[1].arrays["becs"] = np.ones((6, 4))
    ase.io.write(path, frames, format="extxyz")
    path.write_text(path.read_text() + "2\nno lattice\nH 0 0 0\nH 0 0 1\n")
    report = symmetrize_file(path, out)
    assert [row["id"] for row in report["rejected"]] == ["in:2", "in:4"]
    assert "becs: shape (6, 4)" in report["rejected"][0]["reason"]
    assert len(ase.io.read(out, ":")) == 2
    with pytest.raises(IrrepnetError, match="written as"):
        symmetrize_file(path, tmp_path / "out.json")
    with pytest.raises(IrrepnetError, match="cannot be written"):
        symmetrize_file(path, tmp_path / "nowhere" / "out.xyz")


def test_what_stands_in_no_table_is_declared(tmp_path):
    ase.io.write(tmp_path / "in.xyz", frame("rutile", 0), format="extxyz")
    options = SymmetrizeOptions(kinds={"shift": TensorKind.parse("sites vector axial")}, only=("shift",))
    symmetrize_file(tmp_path / "in.xyz", tmp_path / "out.xyz", options)
    before, after = (ase.io.read(tmp_path / name) for name in ("in.xyz", "out.xyz"))
    symmetry = CellSymmetry.of(Structure(before.cell.array, before.numbers, before.get_scaled_positions()))
    wanted = symmetry.project(before.arrays["shift"], options.kinds["shift"]).values
    assert np.allclose(after.arrays["shift"], wanted)
    assert np.allclose(after.get_forces(), before.get_forces())
    with pytest.raises(IrrepnetError, match="say what it is"):
        symmetrize_file(tmp_path / "in.xyz", options=SymmetrizeOptions(only=("tag",)))
    for name in ("forces", "becs", "epsilon", "elastic", "stress"):
        assert name in KNOWN


@pytest.mark.parametrize("kind", ["xyz", "record", "left-handed", "cell", "structure"])
def test_idealised(tmp_path, kind):
    """The atoms too: a search with the tightest tolerance finds the space group in the file."""
    structure = structure_of("LiNbO3", 2e-4)
    forces = np.random.default_rng(0).normal(size=(len(structure), 3))
    path = tmp_path / ("in.xyz" if kind == "xyz" else "in.json")
    species = [site.specie.symbol for site in structure]
    record = {"species": species, "frac_coords": structure.frac_coords.tolist(), "forces": forces.tolist()}
    if kind == "xyz":
        atoms = structure.to_ase_atoms()
        atoms.calc = SinglePointCalculator(atoms, forces=forces)
        ase.io.write(path, atoms, format="extxyz")
    elif kind == "record":
        path.write_text(json.dumps(record | {"lattice": structure.lattice.matrix.tolist()}))
    elif kind == "left-handed":
        lattice = structure.lattice.matrix.copy()
        lattice[0] *= -1
        frac_coords = structure.frac_coords.copy()
        frac_coords[:, 0] *= -1
        path.write_text(json.dumps(record | {"lattice": lattice.tolist(), "frac_coords": frac_coords.tolist()}))
    elif kind == "cell":
        path.write_text(json.dumps(record | {"cell": structure.lattice.parameters}))
    else:
        structure.add_site_property("forces", forces.tolist())
        path.write_text(json.dumps(structure.as_dict()))
    out = tmp_path / f"out{path.suffix}"
    report = symmetrize_file(path, out, SymmetrizeOptions(symprec=0.02, idealise=True))
    assert report["crystals"][0]["displacement"] > 1e-4
    crystal = SymmetricCrystal.from_structure(out, symprec=1e-5)
    assert crystal.spacegroup_symbol == "R3c"
    assert crystal.displacement + crystal.strain < 1e-9
    again = symmetrize_file(out, options=SymmetrizeOptions(symprec=1e-4))
    assert again["crystals"][0]["quantities"][0]["residual"] < 1e-10
    if kind == "xyz":
        before, after = ase.io.read(path), ase.io.read(out)
        assert np.abs(after.positions - before.positions).max() < 5e-3
        assert np.isfinite(after.get_forces()).all()


def record_of(name: str, id: str, **values) -> dict:
    crystal = crystal_of(name)
    coords, lattice = crystal.frac_coords.tolist(), crystal.lattice.tolist()
    plain = {key: np.asarray(value).tolist() for key, value in values.items()}
    return {"id": id, "species": list(crystal.species), "frac_coords": coords, "lattice": lattice} | plain


@pytest.mark.parametrize("name", ["one.json", "list.json", "lines.jsonl", "lines.jsonl.gz"])
def test_records(tmp_path, name):
    rng = np.random.default_rng(0)
    record = record_of(
        "wurtzite",
        "a",
        born_charges=rng.normal(size=(4, 3, 3)),
        piezoelectric_tensor=rng.normal(size=(3, 6)),
        elastic_tensor_original=rng.normal(size=(6, 6)),
        force_constants=rng.normal(size=(12, 12)),
        shielding=rng.normal(size=(4, 3, 3)),
        efg=rng.normal(size=(4, 3, 3)),
        charges=rng.normal(size=4),
        magmoms=[1, 0, 0, 0],
        other=[1, 2],
    )
    entries = {"one.json": record, "list.json": [record, {"species": ["H"]}]}.get(name, [record, record | {"id": "b"}])
    text = "\n".join(map(json.dumps, entries)) if "jsonl" in name else json.dumps(entries)
    path, out = tmp_path / name, tmp_path / f"out_{name}"
    path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    report = symmetrize_file(path, out)
    content = (gzip.decompress(out.read_bytes()) if name.endswith("gz") else out.read_bytes()).decode()
    found = json.loads(content.splitlines()[0]) if "jsonl" in name else json.loads(content)
    found = found[0] if isinstance(found, list) else found
    assert found.keys() == record.keys()
    symmetry = CellSymmetry.of(record)
    seen = {quantity["name"] for quantity in report["crystals"][0]["quantities"]}
    assert seen == record.keys() & KNOWN.keys()
    for key in seen:
        wanted = symmetry.project(record[key], KNOWN[key])
        assert np.shape(found[key]) == np.shape(record[key])
        assert np.allclose(KNOWN[key].read(found[key], 4), wanted.values, atol=1e-12)
    for key in ("species", "frac_coords", "lattice", "other", "magmoms"):
        assert found[key] == record[key]
    assert "magnetic moments" in report["crystals"][0]["notes"][0]
    assert len(report["rejected"]) == (name == "list.json")


def test_site_properties_of_pymatgen(tmp_path):
    structure = structure_of("rutile")
    forces = np.random.default_rng(0).normal(size=(6, 3))
    structure.add_site_property("forces", forces.tolist())
    structure.properties = {"stress": [1, 2, 3, 4, 5, 6]}
    path, out = tmp_path / "in.json", tmp_path / "out.json"
    path.write_text(json.dumps(structure.as_dict()))
    symmetrize_file(path, out)
    found = Structure.from_file(out)
    symmetry = CellSymmetry.of(structure)
    assert np.allclose(found.site_properties["forces"], symmetry.project(forces, KNOWN["forces"]).values)
    assert found.properties["stress"] == pytest.approx([1.5, 1.5, 3, 0, 0, 0])


def test_a_tensor_in_other_axes_is_refused(tmp_path):
    """Its mean over operations of other axes would be another tensor; only what fits nowhere is taken for noise."""
    tensor = np.diag([2.0, 2.0, 7.0])
    turned = tensor[[2, 1, 0]][:, [2, 1, 0]]
    path = tmp_path / "in.jsonl"
    path.write_text(
        "\n".join(json.dumps(record_of("rutile", id, e_total=t)) for id, t in (("a", tensor), ("b", turned)))
    )
    report = symmetrize_file(path)
    assert [crystal["id"] for crystal in report["crystals"]] == ["a"]
    assert "in another frame" in report["rejected"][0]["reason"]
    result = CliRunner().invoke(app, ["symmetrize", str(path)])
    assert result.exit_code == 1
    assert "rejected b" in result.output


@pytest.mark.parametrize("compact", [False, True])
def test_force_constants(tmp_path, compact):
    """Written and read by phonopy: levels of random force constants become degenerate, the acoustic ones zero."""
    phonopy = pytest.importorskip("phonopy")
    from phonopy.file_IO import parse_FORCE_CONSTANTS, write_FORCE_CONSTANTS
    from phonopy.interface.vasp import write_vasp
    from phonopy.structure.atoms import PhonopyAtoms

    crystal = crystal_of("wurtzite")
    unit = PhonopyAtoms(cell=crystal.lattice, scaled_positions=crystal.frac_coords, numbers=crystal.numbers)
    phonon = phonopy.Phonopy(unit, np.diag([2, 2, 1]), primitive_matrix=np.eye(3))
    n, rows = len(phonon.supercell), phonon.primitive.p2s_map
    values = np.random.default_rng(0).normal(size=(n, n, 3, 3))
    write_vasp(tmp_path / "SPOSCAR", phonon.supercell)
    path, out = tmp_path / "FORCE_CONSTANTS", tmp_path / "FORCE_CONSTANTS_new"
    write_FORCE_CONSTANTS(values[rows] if compact else values, path, rows if compact else None)
    report = symmetrize_file(path, out)
    found = parse_FORCE_CONSTANTS(out, rows if compact else None)
    (entry,) = report["crystals"][0]["quantities"]
    assert parts(entry) == pytest.approx(entry["residual"])
    assert entry["worst"][0] - 1 in (rows if compact else range(n))
    assert (entry["translations"] > 0.1) != compact
    if not compact:
        phonon.force_constants = values.copy()
        phonon.symmetrize_force_constants(use_symfc_projector=True, show_drift=False)
        assert np.allclose(found, phonon.force_constants, atol=1e-8)
    phonon.force_constants = found
    levels = phonon.run_qpoints([[0, 0, 0]]).frequencies[0]
    degenerate = [count for count in np.unique(levels.round(6), return_counts=True)[1].tolist() if count > 1]
    assert np.sort(abs(levels))[:3] == pytest.approx(0, abs=1e-4)
    assert len(degenerate) >= 3  # E1 and E2 levels of 6mm
    assert (
        symmetrize_file(out, options=SymmetrizeOptions(structure=tmp_path / "SPOSCAR"))["crystals"][0]["quantities"][0][
            "residual"
        ]
        < 1e-12
    )


@pytest.mark.filterwarnings("ignore")  # phonopy says how much it changed
def test_born(tmp_path):
    """phonopy expands and symmetrises what its file holds; ours expanded by phonopy is the same."""
    pytest.importorskip("phonopy")
    from phonopy.file_IO import parse_BORN
    from phonopy.structure.atoms import PhonopyAtoms
    from phonopy.structure.symmetry import symmetrize_borns_and_epsilon

    structure = structure_of("alpha-quartz")
    order = [4, 1, 0, 2, 3, 5, 6, 7, 8]
    structure = Structure.from_sites([structure[i] for i in order])
    structure.to(filename=str(tmp_path / "POSCAR"), fmt="poscar")
    primitive = PhonopyAtoms(
        cell=structure.lattice.matrix,
        scaled_positions=structure.frac_coords,
        symbols=[s.specie.symbol for s in structure],
    )
    rng = np.random.default_rng(0)
    path, out = tmp_path / "BORN", tmp_path / "BORN_new"
    rows = rng.normal(size=(3, 9))
    lines = ["14.399652", *(" ".join(map(str, row)) for row in rows.tolist())]
    path.write_text("\n".join(lines) + "\n")
    options = SymmetrizeOptions(structure=tmp_path / "POSCAR")
    report = symmetrize_file(path, out, options)
    assert out.read_text().startswith("14.399652\n")
    given, found = parse_BORN(primitive, filename=path), parse_BORN(primitive, filename=out)
    wanted, epsilon = symmetrize_borns_and_epsilon(
        given["born"], (given["dielectric"] + given["dielectric"].T) / 2, primitive
    )
    assert np.allclose(found["born"], wanted, atol=1e-10)
    assert np.allclose(found["dielectric"], epsilon, atol=1e-10)
    assert {quantity["name"] for quantity in report["crystals"][0]["quantities"]} == {"dielectric", "born_charges"}
    again = symmetrize_file(out, options=options)
    assert max(quantity["residual"] for quantity in again["crystals"][0]["quantities"]) < 1e-12


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("FORCE_CONSTANTS", "1 1\n1 1\n1 0 0\n0 1 0\n0 0 1\n", "give its supercell"),
        ("FORCE_CONSTANTS", "2 2\n1 1\n1 0 0\n", "44 are expected"),
        ("FORCE_CONSTANTS", "x\n", "cannot be read"),
        ("FORCE_CONSTANTS", "1\n2 1\n1 0 0\n0 1 0\n0 0 1\n", "not in order"),
        ("FORCE_CONSTANTS", "1\n1 1\n1 0 0\n0 nan 0\n0 0 1\n", "not finite"),
        ("BORN", "1\n1 0 0 0 1 0 0 0 1\n1 0 0 0 1 0 0 0 1\n", "primitive cell with --structure"),
        ("BORN", "1\n1 0 0 0 1 0 0 0\n", "nine finite numbers"),
        ("BORN", "1\n1 0 0 0 1 0 0 0 x\n", "cannot be read as BORN"),
        ("values.csv", "a\n", "of no kind that is known"),
        ("values.json", "{", "cannot be read as JSON"),
        ("values.json", '{"species": ["H"], "frac_coords": [[0, 0, 0]], "cell": [3, 3, 3, 90, 90, 90]}', "no quantity"),
    ],
)  # fmt: skip
def test_bad_files(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(IrrepnetError, match=message):
        symmetrize_file(tmp_path / name)


def test_files_that_do_not_belong_together(tmp_path, examples):
    (tmp_path / "FORCE_CONSTANTS").write_text("1 1\n1 1\n1 0 0\n0 1 0\n0 0 1\n")
    (tmp_path / "BORN").write_text("1\n1 0 0 0 1 0 0 0 1\n" + "1 0 0 0 1 0 0 0 1\n" * 3)
    options = SymmetrizeOptions(structure=examples["NaCl"])
    for name, message in (("FORCE_CONSTANTS", "is of 1 atoms"), ("BORN", "of 3 atoms, .* has 2 orbits")):
        with pytest.raises(IrrepnetError, match=message):
            symmetrize_file(tmp_path / name, options=options)
    with pytest.raises(IrrepnetError, match="no such file"):
        symmetrize_file(tmp_path / "BORN_that_is_not_there")


def test_a_hamiltonian(tmp_path):
    """Wannier90's file with noise, made symmetric in the same format, read again."""
    exact = random_hamiltonian("Si", "sp").in_convention("wannier90")
    noise = 1e-3 * np.random.default_rng(0).normal(size=exact.H.shape)
    write_hamiltonian(replace(exact, H=exact.H + noise), path := tmp_path / "in_hr.dat")
    out, cell = tmp_path / "out_hr.dat", exact.known_basis.cell
    Structure(cell.lattice, cell.numbers, cell.frac_coords).to(filename=str(tmp_path / "POSCAR"), fmt="poscar")
    options = SymmetrizeOptions(structure=tmp_path / "POSCAR", basis="sp")
    report = symmetrize_file(path, out, options)
    (entry,) = report["crystals"][0]["quantities"]
    assert entry["name"] == "H"
    assert entry["rules"].keys() == {"Hermiticity"}
    assert parts(entry) == pytest.approx(entry["residual"], rel=1e-6)
    assert 0 < entry["residual"] * entry["norm"] <= np.linalg.norm(noise) * (1 + 1e-6)
    assert report["crystals"][0]["spacegroup"]["symbol"] == "Fd-3m"
    found = read_hamiltonian(out, tmp_path / "POSCAR", "sp")
    assert symmetry_residual(found, action(found.known_basis)).symmetry < 2e-6  # six decimals in the file
    with pytest.raises(IrrepnetError, match="give a structure"):
        symmetrize_file(path)


def test_a_hamiltonian_with_spin(tmp_path):
    """Time reversal is one rule more, with its own violation; what breaks it altogether is a magnet, and refused."""
    pytest.importorskip("h5py")
    made = with_spin_orbit(random_hamiltonian("NaCl", "Na:s,Cl:sp"), {"Cl": {"p": 0.1}})
    noise = 1e-4 * np.random.default_rng(0).normal(size=made.H.shape)
    write_hamiltonian(replace(made, H=made.H + noise), tmp_path / "x.deeph")
    report = symmetrize_file(tmp_path / "x.deeph", tmp_path / "y.deeph")
    (entry,) = report["crystals"][0]["quantities"]
    assert entry["rules"].keys() == {"Hermiticity", "time reversal"}
    assert parts(entry) == pytest.approx(entry["residual"], rel=1e-6)
    again = read_hamiltonian(tmp_path / "y.deeph")
    residual = symmetry_residual(again, action(again.known_basis))
    assert residual.symmetry < 1e-12
    assert residual.time_reversal is not None
    field = np.diag(np.where(np.arange(len(made)) % 2, -1.0, 1.0)) * (made.R == 0).all(1)[:, None, None]
    write_hamiltonian(replace(made, H=made.H + field), tmp_path / "z.deeph")
    with pytest.raises(IrrepnetError, match="it is magnetic; give the moments"):
        symmetrize_file(tmp_path / "z.deeph")


def test_names_of_operations():
    for group in map(PointGroup, ("m-3m", "6/mmm")):
        names = [operation_name(g) for g in group.operations]
        assert len(set(names)) == group.order
        for name, operation in zip(names, group.operations):
            if name in ("E", "i"):
                assert np.allclose(operation, np.eye(3) if name == "E" else -np.eye(3))
                continue
            label, axis = name.rstrip("]").split(" [")
            axis = np.array(axis.split(), float)
            proper = label.startswith("C")
            assert np.allclose(operation @ axis, axis if proper else -axis, atol=2e-3 * np.linalg.norm(axis))
            assert (np.linalg.det(operation) > 0) == proper


def test_the_command(tmp_path):
    path, out = tmp_path / "in.xyz", tmp_path / "out.xyz"
    ase.io.write(path, [frame("rutile", 0)] * 7, format="extxyz")
    run = CliRunner()
    result = run.invoke(app, ["symmetrize", str(path), "--out", str(out), "--as", "shift=sites vector"])
    assert result.exit_code == 0, result.output
    for text in ("in:1: TiO2, 6 atoms, P4_2/mnm (136)", "B1g", "worst operation", "7 crystals", "written", "shift"):
        assert text in result.output
    document = json.loads(run.invoke(app, ["symmetrize", str(out), "--json", "--only", "forces"]).output)
    assert len(document["crystals"]) == 7
    (quantity,) = document["crystals"][0]["quantities"]
    assert quantity["residual"] < 1e-12
    result = run.invoke(app, ["symmetrize", str(path), "--as", "shift"])
    assert isinstance(result.exception, IrrepnetError)


@pytest.mark.slow
def test_born_charges_of_perturbation_theory(tmp_path):
    """200 real crystals: symmetric to rounding before, exactly after."""
    if not BORN_CHARGES.exists():
        pytest.skip("../shared not present: no born_charges")
    lines = gzip.decompress(BORN_CHARGES.read_bytes()).decode().splitlines()
    chosen = np.random.default_rng(5).choice(len(lines), 200, replace=False)
    path, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    path.write_text("\n".join(lines[k] for k in chosen))
    report, again = symmetrize_file(path, out), symmetrize_file(out)
    assert not report["rejected"]
    for document, least in ((report, 1e-5), (again, 1e-12)):
        assert len(document["crystals"]) == 200
        assert max(q["residual"] for crystal in document["crystals"] for q in crystal["quantities"]) < least
