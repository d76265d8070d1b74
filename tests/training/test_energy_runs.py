"""Runs that learn energies with forces and stress: labels, the folder, the same bits, use."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure
from typer.testing import CliRunner

from irrepnet.cli.main import app
from irrepnet.data import read_records
from irrepnet.errors import IrrepnetError
from irrepnet.report import write_report
from irrepnet.tasks.energies import EnergyTask
from irrepnet.tensors.elastic import GPA
from irrepnet.training import evaluate, load_config, load_run, loop, predict, train
from irrepnet.training.log import Log
from irrepnet.training.predictions import prediction_table

ase = pytest.importorskip("ase")
from ase import Atoms  # noqa: E402 (only if there is ASE)
from ase.calculators.emt import EMT  # noqa: E402
from ase.calculators.singlepoint import SinglePointCalculator  # noqa: E402
from ase.io import write  # noqa: E402

BATIO3 = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "batio3_polarization.extxyz.gz"
A = 3.05  # Å, CuAu in the structure of CsCl


def turned(atoms: Atoms, seed: int) -> tuple[Atoms, np.ndarray, np.ndarray]:
    """The same atoms in another order and orientation, at another origin; the rotation, and the old number of each."""
    random = np.random.default_rng(seed)
    rotation = np.linalg.qr(random.normal(size=(3, 3)))[0]
    rotation *= np.linalg.det(rotation)
    order = random.permutation(len(atoms))
    moved = (atoms.positions + random.uniform(0, 3, 3)) @ rotation.T
    cell = atoms.cell.array @ rotation.T
    return Atoms(atoms.numbers[order], positions=moved[order], cell=cell, pbc=True), rotation, order


def labelled(atoms: Atoms) -> Atoms:
    """With EMT's energy, forces and stress."""
    atoms.calc = EMT()
    found = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces(), "stress": atoms.get_stress()}
    atoms.calc = SinglePointCalculator(atoms, **found)
    return atoms


def perturbed(seed: int, repeat: tuple[int, int, int]) -> Atoms:
    random = np.random.default_rng(seed)
    atoms = Atoms("CuAu", scaled_positions=[[0] * 3, [0.5] * 3], cell=[A] * 3, pbc=True).repeat(repeat)
    strain = 0.01 * random.normal(size=(3, 3))
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + (strain + strain.T) / 2), scale_atoms=True)
    atoms.positions += 0.05 * random.normal(size=(len(atoms), 3))
    return atoms


@pytest.fixture(scope="module")
def frames() -> list[Atoms]:
    """The unperturbed crystal, and 19 frames of two supercells in axes of their own."""
    made = [Atoms("CuAu", scaled_positions=[[0] * 3, [0.5] * 3], cell=[A] * 3, pbc=True)]
    made += [turned(perturbed(k, ((1, 1, 2), (1, 1, 1))[k % 2]), k)[0] for k in range(1, 20)]
    return [labelled(atoms) for atoms in made]


@pytest.fixture(scope="module")
def folder(frames, tmp_path_factory) -> Path:
    """The frames, the same without the unperturbed one, and the parent."""
    path = tmp_path_factory.mktemp("frames")
    write(path / "frames.extxyz", frames)
    write(path / "perturbed.extxyz", frames[1:])
    Structure(Lattice.cubic(A), ["Cu", "Au"], [[0] * 3, [0.5] * 3]).to(str(path / "parent.cif"))
    return path


@pytest.fixture(scope="module")
def config(folder):
    def made(file="frames.extxyz", **overrides):
        values = {
            "data.source": str(folder / file),
            "data.parent": str(folder / "parent.cif"),
            "data.split": [0.6, 0.2, 0.2],
            "model.channels": 8,
            "model.layers": 1,
            "model.moments": 4,
            "training.epochs": 3,
            "training.batch_size": 4,
            "training.device": "cpu",
        }
        return load_config("energy", values | {key.replace("__", "."): value for key, value in overrides.items()})

    return made


@pytest.fixture(scope="module")
def run(config, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    train(config(), out, quiet=True)
    write_report(out)
    return out


@pytest.fixture(scope="module")
def learned(config, tmp_path_factory) -> Path:
    """A run whose data do not tell the energy of the unperturbed parent."""
    out = tmp_path_factory.mktemp("runs") / "learned"
    train(config("perturbed.extxyz", training__epochs=60), out, quiet=True)
    return out


def examples(configuration):
    task = EnergyTask(configuration)
    return task, task.prepare(task.read(configuration.data.source), Log(quiet=True))


def test_folder(run):
    assert {path.name for path in run.iterdir()} == {
        "config.yaml", "versions.json", "data.json", "rejected.csv", "split.json", "metrics.csv", "model.safetensors",
        "model.json", "metrics.json", "log.txt", "predictions_test.csv", "parity.png", "learning_curve.png",
        "report.html",
    }  # fmt: skip
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["units"] == {"energy": "eV/atom", "forces": "eV/Å", "stress": "eV/Å³"}
    assert metrics["epochs"] == 3
    split = json.loads((run / "split.json").read_text())
    parts = [set(part["id"]) for part in split.values()]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 20
    said = (run / "log.txt").read_text()
    for words in ("energy, eV a cell", "forces, eV/Å", "positive under tension", "frame's axes and order", "Pm-3m"):
        assert words in said, words
    assert "that of unperturbed frames" in said
    assert "forces" in (run / "report.html").read_text()


def test_the_table_of_the_test_split_has_the_labels_of_the_frames(run, frames):
    rows = list(csv.DictReader((run / "predictions_test.csv").open()))
    for id in json.loads((run / "split.json").read_text())["test"]["id"]:
        own = [row for row in rows if row["id"] == id]
        atoms = frames[int(id.split(":")[1]) - 1]
        assert [row["element"] for row in own] == atoms.get_chemical_symbols()
        forces = [[float(row[f"true forces {x} [eV/Å]"]) for x in "xyz"] for row in own]
        assert np.allclose(forces, atoms.get_forces(), atol=1e-7)
        assert float(own[0]["true energy [eV/atom]"]) == pytest.approx(atoms.get_potential_energy() / len(atoms))
        names = [f"true stress {ij} [eV/Å³]" for ij in ("xx", "yy", "zz", "yz", "xz", "xy")]
        assert np.allclose([float(own[0][name]) for name in names], atoms.get_stress(), atol=1e-9)


def test_resumed_run_has_the_same_bits(config, run, tmp_path, monkeypatch):
    class PowerCut(Exception):
        pass

    def cut(state, *rest):
        if state.epoch == 2:
            raise PowerCut
        return epoch(state, *rest)

    epoch = loop._train_epoch
    monkeypatch.setattr(loop, "_train_epoch", cut)
    out = tmp_path / "run"
    with pytest.raises(PowerCut):
        train(config(), out, quiet=True)
    monkeypatch.undo()
    with pytest.raises(IrrepnetError, match="holds a run already"):
        train(config(), out, quiet=True)
    other = tmp_path / "parent.cif"
    Structure(Lattice.cubic(A + 0.01), ["Cu", "Au"], [[0] * 3, [0.5] * 3]).to(str(other))
    with pytest.raises(IrrepnetError, match="not the data of the run"):
        train(config(data__parent=str(other)), out, resume=True, quiet=True)
    torch.manual_seed(99)
    train(config(), out, resume=True, quiet=True)
    for name in ("model.safetensors", "predictions_test.csv", "split.json", "config.yaml"):
        assert (run / name).read_bytes() == (out / name).read_bytes(), name


def test_predictions_turn_and_permute_with_the_frame(learned, tmp_path):
    atoms = perturbed(50, (1, 1, 2))
    other, rotation, order = turned(atoms, 51)
    first, second, twice = predict(learned, [[x] for x in (atoms, other, atoms.repeat((1, 2, 1)))])
    assert second["energy"] == pytest.approx(first["energy"], abs=1e-9)
    assert np.allclose(second["forces"], (first["forces"] @ rotation.T)[order], atol=1e-9)
    assert np.allclose(second["stress"], rotation @ first["stress"] @ rotation.T, atol=1e-9)
    assert twice["energy"] == pytest.approx(2 * first["energy"], abs=1e-9)
    assert np.allclose(twice["stress"], first["stress"], atol=1e-9)
    assert np.abs(np.sum(first["forces"], 0)).max() < 1e-9


def test_predictions_are_derivatives_with_the_signs_of_ase(learned):
    """Forces −∂E/∂x, stress (1/V) ∂E/∂η, positive under tension."""
    atoms, step = perturbed(52, (1, 1, 1)), 1e-4
    eta = np.array([[0.3, 0.1, 0], [0.1, -0.5, 0.2], [0, 0.2, 0.7]])
    way = np.array([[0.3, -0.2, 0.5], [-0.3, 0.2, -0.5]])
    ends = []
    for sign in (1, -1):
        moved, strained = atoms.copy(), atoms.copy()
        moved.positions += sign * step * way
        strained.set_cell(atoms.cell.array @ (np.eye(3) + sign * step * eta), scale_atoms=True)
        ends += [moved, strained]
    here, *there = predict(learned, [[atoms, *ends]])
    by_x, by_eta = ((there[i]["energy"] - there[i + 2]["energy"]) / (2 * step) for i in (0, 1))
    assert by_x == pytest.approx(-np.sum(here["forces"] * way), abs=1e-6)
    assert by_eta == pytest.approx(atoms.get_volume() * np.sum(here["stress"] * eta), abs=1e-6)


def test_it_learns_with_the_zero_of_energies_unknown(learned, folder, frames):
    """The unperturbed parent's energy that is found is near the true one; all uses count from the data's zero."""
    alone = predict(learned, [folder / "parent.cif"])[0]["energy"]
    assert alone == pytest.approx(load_run(learned).card["reference"], abs=1e-9)
    mean = np.mean([atoms.get_potential_energy() * 2 / len(atoms) for atoms in frames[1:]])
    true = frames[0].get_potential_energy()
    assert abs(alone - true) < 0.25 * abs(mean - true)
    result = evaluate(learned, folder / "frames.extxyz", "energy", quiet=True)  # has the unperturbed frame
    assert result["mae"] < 0.3 * result["mae_of_mean"]
    rows = predict(learned, [folder / "frames.extxyz"])
    errors = [abs(row["energy"] - a.get_potential_energy()) / len(a) for row, a in zip(rows, frames, strict=True)]
    assert np.mean(errors) == pytest.approx(result["mae"], rel=1e-6)
    history = list(csv.DictReader((learned / "metrics.csv").open()))
    best = min(history, key=lambda row: float(row["validation_loss"]))
    loaded = load_run(learned)
    for name in ("energy", "forces", "stress"):
        same = evaluate(loaded, target=name, split="validation", quiet=True)["mae"]
        assert same == pytest.approx(float(best[f"validation_{name}_mae"]), rel=1e-6)


def test_given_and_found_reference(config, frames, tmp_path):
    """The same energy of the parent, given or found, gives the same run; counted from another zero, the same errors."""
    true = frames[0].get_potential_energy()
    _, found = examples(config())
    assert found.reference is not None
    assert found.reference == pytest.approx(true)
    assert {matched.cells for matched in found.matched} == {1, 2}
    runs = {}
    for name, zero in (("found", 0.0), ("given", 0.0), ("shifted", 100.0)):
        shifted = [atoms.copy() for atoms in frames]
        for atoms, old in zip(shifted, frames):
            energy = old.get_potential_energy() + zero * len(atoms) / 2
            labels = {"energy": energy, "forces": old.get_forces(), "stress": old.get_stress()}
            atoms.calc = SinglePointCalculator(atoms, **labels)
        own = config() if name == "found" else config(data__reference=found.reference + zero)
        runs[name] = train(own, tmp_path / name, quiet=True, data=shifted).card["errors"]["test"]
    assert runs["given"] == runs["found"]
    assert runs["shifted"]["energy"]["mae"] == pytest.approx(runs["found"]["energy"]["mae"], rel=1e-6)


def test_units_and_sign_of_stress(config, frames, folder):
    """eV, Å and tension; meV, GPa; Rydberg, bohr, kbar of pressure, Voigt's six, all under other names."""
    kinds = {
        "plain": ({}, lambda e, f, s: {"energy": e, "forces": f, "stress": s}),
        "small": (
            {"energy": "E", "energy_unit": "meV", "forces": "F", "forces_unit": "meV/Å", "stress": "S"}
            | {"stress_unit": "GPa"},
            lambda e, f, s: {"E": 1e3 * e, "F": 1e3 * f, "S": GPA * s},
        ),
        "atomic": (
            {"energy": "E", "energy_unit": "Ry", "forces": "F", "forces_unit": "Ry/bohr", "stress": "S"}
            | {"stress_unit": "kbar", "stress_sign": "compression"},
            lambda e, f, s: {
                "E": e / 13.605693122994,
                "F": f * 0.529177210903 / 13.605693122994,
                "S": (-10 * GPA * s)[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]],
            },
        ),
    }
    made = {}
    for name, (keys, convert) in kinds.items():
        task = EnergyTask(config(**{f"data__{key}": value for key, value in keys.items()}))
        structures = []
        for atoms in frames:
            values = convert(atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress(voigt=False))
            content = {"species": atoms.get_chemical_symbols(), "frac_coords": atoms.get_scaled_positions()}
            structures.append(content | {"lattice": atoms.cell.array} | values)
        made[name] = task.prepare(task.read("given", structures), Log(quiet=True))
        assert len(made[name]) == len(frames)
    for name in ("small", "atomic"):
        assert made[name].reference == pytest.approx(made["plain"].reference, rel=1e-8)
        for own, plain in zip(made[name].samples, made["plain"].samples):
            assert own.energy == pytest.approx(plain.energy, rel=1e-8)
            assert np.allclose(own.forces, plain.forces, atol=1e-8)
            assert np.allclose(own.stress, plain.stress, atol=1e-10)


def test_energies_without_a_zero_need_two_in_a_batch(config, tmp_path):
    with pytest.raises(IrrepnetError, match=r"training\.batch_size: 1, but the energy of the unperturbed parent"):
        train(config("perturbed.extxyz", training__batch_size=1), tmp_path / "run", quiet=True)


def test_bad_frames_are_listed_and_stop_nothing(config, frames, tmp_path):
    wrong, far, odd, long, bare = (frames[1].copy() for _ in range(5))
    wrong.numbers[0] = 47
    far.positions[0] += [1.4, 0, 0]
    odd.info["energy"] = "unknown"
    long.cell[0] *= 1.4
    for atoms in (wrong, far, long):
        labelled(atoms)
    made = train(config(training__epochs=1), tmp_path / "run", quiet=True, data=[*frames, wrong, far, odd, long, bare])
    with (made.folder / "rejected.csv").open() as stream:
        reasons = [row["reason"] for row in csv.DictReader(stream)]
    assert len(reasons) == 5
    assert made.card["data"]["used"] == len(frames)
    for words in (
        "no whole number of primitive cells",
        "it is clear which site",
        "no supercell of",
        "energy is not a number",
        "has no value",
    ):
        assert any(words in reason for reason in reasons), (words, reasons)
    rows = predict(made, [[wrong, frames[2]], tmp_path / "none.cif"])
    assert [row["energy"] is None for row in rows] == [True, False, True]
    assert "no whole number" in rows[0]["note"]
    assert "no such file" in rows[2]["note"]


def test_labels_that_some_frames_lack(config, frames, tmp_path):
    """Forces alone in some, energies alone in others; the figures count what is known."""
    partial = [atoms.copy() for atoms in frames]
    for k, (atoms, old) in enumerate(zip(partial, frames)):
        labels = {"energy": old.get_potential_energy()} if k % 2 else {"forces": old.get_forces()}
        atoms.calc = SinglePointCalculator(atoms, **labels)
    made = train(config(), tmp_path / "run", quiet=True, data=partial)
    assert [target.name for target in made.targets] == ["energy", "forces"]
    assert "stress: not learned" in (made.folder / "log.txt").read_text()
    result = evaluate(made, partial, "energy", split="all", quiet=True)
    assert (result["n"], result["rejected"]) == (10, 10)
    write_report(made.folder)
    forces = [atoms.copy() for atoms in frames]
    for atoms, old in zip(forces, frames):
        atoms.calc = SinglePointCalculator(atoms, forces=old.get_forces())
    made = train(config(), tmp_path / "forces", quiet=True, data=forces)
    assert "energy" not in predict(made, [[frames[1]]])[0]


def test_fields_and_moments(config, frames, tmp_path):
    """E and m turn with the frame; the network gets frames of the parent's group, and the run is loaded as it was."""
    random, made = np.random.default_rng(0), []
    for k in range(20):
        atoms, rotation, order = turned(perturbed(k, (1, 1, 1)), k)
        field, moments = 0.3 * random.normal(size=3), random.normal(size=(2, 3))
        atoms.info["E"] = rotation @ field
        atoms.arrays["m"] = moments[order] @ rotation.T
        atoms.calc = SinglePointCalculator(atoms, energy=float(moments[0] @ moments[1] - field @ field))
        made.append(atoms)
    keys = {"data__field": "E", "data__moments": "m", "data__reference": 0.0}
    run = train(config(**keys, training__epochs=2), tmp_path / "run", quiet=True, data=made)
    assert run.card["group"] == "m-3m"
    atoms, rotation, order = turned(made[3], 9)
    atoms.info["E"], atoms.arrays["m"] = rotation @ made[3].info["E"], made[3].arrays["m"][order] @ rotation.T
    first, second, flipped = made[3].copy(), atoms, made[3].copy()
    flipped.arrays["m"] = -flipped.arrays["m"]
    rows = predict(run, [[first, second, flipped, frames[1]]])
    assert rows[1]["energy"] == pytest.approx(rows[0]["energy"], abs=1e-9)
    assert rows[2]["energy"] == pytest.approx(rows[0]["energy"], abs=1e-9)
    assert "no value of E" in rows[3]["note"]
    with pytest.raises(IrrepnetError, match="frames are needed"):
        train(config(**keys, model__group=None), tmp_path / "none", quiet=True, data=made)


def test_frames_that_are_nearly_the_whole_crystal(config, frames):
    """Unperturbed frames that disagree are an error that says what to do."""
    twice = [*frames, frames[0].copy()]
    twice[-1].calc = SinglePointCalculator(twice[-1], energy=frames[0].get_potential_energy() + 1)
    task = EnergyTask(config())
    with pytest.raises(IrrepnetError, match=r"data\.reference: the energies of 2 unperturbed frames"):
        task.prepare(task.read("given", twice), Log(quiet=True))


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"training__compile": True}, "training.compile"),
        ({"model__group": "m-4"}, "model.group"),
        ({"data__energy_unit": "kcal"}, "data.energy_unit"),
        ({"data__targets": "energy"}, "data.targets: unknown key"),
    ],
)
def test_bad_configurations(config, overrides, words):
    with pytest.raises(IrrepnetError, match=words):
        config(**overrides)


def test_what_stops_a_run(config, folder, tmp_path, monkeypatch):
    with pytest.raises(IrrepnetError, match=r"data.parent: is required \(--set data.parent=FILE"):
        load_config("energy", {"data.source": "frames.extxyz"})
    with pytest.raises(IrrepnetError, match="no such file"):
        train(config(data__parent=str(folder / "none.cif")), tmp_path / "a", quiet=True)
    with pytest.raises(IrrepnetError, match=r"data.energy: no frame has E; their properties: energy, forces, stress"):
        train(config(data__energy="E"), tmp_path / "b", quiet=True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(IrrepnetError, match="no CUDA device"):
        train(config(training__device="cuda"), tmp_path / "c", quiet=True)
    bare = [record.structure() for record in read_records(str(folder / "frames.extxyz"))[0]]
    with pytest.raises(IrrepnetError, match="has no value of energy or forces or stress"):
        train(config(), tmp_path / "d", quiet=True, data=bare)
    Structure(Lattice.cubic(4.0), ["Na", "Cl"], [[0] * 3, [0.5] * 3]).to(str(tmp_path / "salt.cif"))
    with pytest.raises(IrrepnetError, match="none of the 20 crystals can be used"):
        train(config(data__parent=str(tmp_path / "salt.cif")), tmp_path / "e", quiet=True)


def test_commands(folder, run, tmp_path):
    call = CliRunner().invoke
    small = ["--set", f"data.parent={folder / 'parent.cif'}", "--set", "model.channels=4", "--set", "model.layers=1"]
    out, table = tmp_path / "run", tmp_path / "predictions.csv"
    given = ["train", "energy", "--data", str(folder / "frames.extxyz"), *small, "--epochs", "1", "--out", str(out)]
    result = call(app, given)
    assert result.exit_code == 0, result.output
    assert (out / "report.html").exists()
    result = call(app, ["evaluate", str(out), "--target", "forces", "--json"])
    assert json.loads(result.stdout)["unit"] == "eV/Å"
    result = call(app, ["predict", str(run), str(folder / "frames.extxyz"), "--json", "--out", str(table)])
    document = json.loads(result.stdout)
    assert document["units"] == {"energy": "eV", "forces": "eV/Å", "stress": "eV/Å³"}
    assert document["n"] == 20
    rows = list(csv.DictReader(table.open()))
    forces = [[float(row[f"forces {x} [eV/Å]"]) for x in "xyz"] for row in rows]
    assert np.allclose(forces, np.concatenate([found["forces"] for found in document["predictions"]]))
    assert [row["energy [eV]"] != "" for row in rows] == [row["atom"] == "1" for row in rows]
    result = call(app, ["verify", str(run), str(folder / "parent.cif"), "--json"])
    assert json.loads(result.stdout)["largest"] < 1e-6


def test_the_table_has_the_predictions(run, folder):
    loaded = load_run(run)
    rows = predict(loaded, [folder / "frames.extxyz"])
    header, lines = prediction_table(rows, loaded.targets)
    assert len(lines) == sum(len(row["forces"]) for row in rows)
    assert header[4] == "energy [eV]"


def test_a_loaded_run_is_in_the_frame_of_the_training(config, tmp_path):
    """Parents whose standard frame would turn if it were made again from itself: frames would see them turned."""
    lattice = Lattice.tetragonal(5.0, 6.3)
    parent = Structure.from_spacegroup(
        "P-42_1m", lattice, ["Sb", "O", "F"], [[0, 0.5, 0.3], [0, 0, 0], [0.2, 0.7, 0.8]]
    )
    parent.to(str(tmp_path / "parent.cif"))
    random, given = np.random.default_rng(0), []
    for _ in range(12):
        moved = parent.copy()
        for site in range(len(moved)):
            moved.translate_sites([site], 0.05 * random.normal(size=3), frac_coords=False)
        given.append(Atoms(moved.atomic_numbers, moved.cart_coords, cell=moved.lattice.matrix, pbc=True))
        given[-1].calc = SinglePointCalculator(given[-1], energy=float(random.normal()))
    own = {"data__parent": str(tmp_path / "parent.cif"), "model__group": "-42m", "training__epochs": 2}
    made = train(config(**own), tmp_path / "run", quiet=True, data=given)
    rows = list(csv.DictReader((made.folder / "predictions_test.csv").open()))
    for row in rows:
        if row["atom"] == "1":
            again = predict(made, [[given[int(row["id"].split(":")[-1]) - 1]]])[0]["energy"]
            assert again / len(parent) == pytest.approx(float(row["predicted energy [eV/atom]"]), abs=1e-9)


def test_real_frames(tmp_path):
    """BaTiO3 in 3×3×3 cells: energies under another name, an unknown zero, lattices strained by 8 %."""
    if not BATIO3.exists():
        pytest.skip("../shared not present: no batio3_polarization")
    source = read_records(str(BATIO3))[0][::12]
    Structure.from_spacegroup("Pm-3m", Lattice.cubic(4.0), ["Ba", "Ti", "O"], [[0] * 3, [0.5] * 3, [0.5, 0.5, 0]]).to(
        str(tmp_path / "parent.cif")
    )
    settings = {"data.source": "batio3", "data.parent": str(tmp_path / "parent.cif"), "data.split": [0.6, 0.2, 0.2]}
    small = {"model.channels": 4, "model.layers": 1, "training.epochs": 1, "training.batch_size": 2}
    config = load_config("energy", settings | small | {"data.energy": "total_energy"})
    made = train(config, tmp_path / "run", quiet=True, data=source)
    assert made.card["data"]["used"] == len(source)
    rows = predict(made, [source])
    for row, record in zip(rows, source):
        assert row["energy"] == pytest.approx(record.properties["total_energy"], abs=0.3 * len(record))
    assert evaluate(made, source, "forces", split="all", quiet=True)["n"] == len(source) * 135 * 3
