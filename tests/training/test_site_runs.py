"""Values of sites as targets, from the files to the predictions at every atom of the input."""

import csv
import json
from functools import cache

import ase
import ase.io
import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

from irrepnet.checks.path import follow_model
from irrepnet.cli.main import app
from irrepnet.data import read_records
from irrepnet.errors import IrrepnetError
from irrepnet.report import write_report
from irrepnet.tasks import sites
from irrepnet.training import evaluate, load_config, predict, train

CUBIC, HEX = Lattice.cubic, Lattice.hexagonal
TYPES = {  # a 6/mmm and a tetragonal type among those of m-3m
    "rock salt": ("Fm-3m", CUBIC(5.2), [[0, 0, 0], [0.5, 0.5, 0.5]]),
    "ReO3": ("Pm-3m", CUBIC(3.9), [[0, 0, 0], [0.5, 0.5, 0]]),
    "rutile": ("P4_2/mnm", Lattice.tetragonal(4.6, 2.96), [[0, 0, 0], [0.305, 0.305, 0]]),
    "wurtzite": ("P6_3mc", HEX(3.25, 5.2), [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.382]]),
}
METALS, ANIONS = ("Mg", "Ca", "Zn", "Sr", "Ba"), ("O", "S", "Se")
SMALL = {"model.channels": 8, "model.layers": 2, "training.epochs": 3, "training.device": "cpu"}
DIPOLE = {"symmetry": "vector", "unit": "furlong", "indices": "as in the cell"}
TARGETS = ["born_charges", "charges", "dipole"]


def labels(structure):
    """Tensors, charges and vectors of the sites, made of the bonds up to 3.2 Å: they turn with the crystal."""
    at, to, images, lengths = structure.get_neighbor_list(3.2)
    r = (structure.frac_coords[to] + images - structure.frac_coords[at]) @ structure.lattice.matrix
    x = np.array([site.specie.X for site in structure])
    weight = np.exp(-lengths) * (x[to] - x[at])
    born, charges, dipole = np.zeros((len(x), 3, 3)), np.zeros(len(x)), np.zeros((len(x), 3))
    np.add.at(born, at, 4 * weight[:, None, None] * r[:, :, None] * r[:, None])
    np.add.at(charges, at, weight)
    np.add.at(dipole, at, weight[:, None] * r)
    return {"born_charges": born - born.mean(0), "charges": charges - charges.mean(), "dipole": dipole}


@cache
def made_atoms():
    """Atoms with their values; turned at random, in another order, some as conventional cells."""
    rng = np.random.default_rng(0)
    crystals = []
    for group, lattice, coords in TYPES.values():
        conventional = Structure.from_spacegroup(group, lattice, ["Mg", "O"], coords)
        cells = conventional, conventional.get_primitive_structure()
        for m, metal in enumerate(METALS):
            for x, anion in enumerate(ANIONS):
                structure = cells[(m + x) % 3 > 0].copy()
                structure.scale_lattice(structure.volume * (1 + 0.02 * m + 0.03 * x) ** 3)
                structure.replace_species({"Mg": metal, "O": anion})
                values = labels(structure)
                turn = Rotation.random(rng=rng).as_matrix()
                order = rng.permutation(len(structure))
                atoms = ase.Atoms(
                    [site.specie.symbol for site in structure],
                    cell=structure.lattice.matrix @ turn.T,
                    scaled_positions=structure.frac_coords,
                    pbc=True,
                )[order]
                atoms.arrays["born_charges"] = (turn @ values["born_charges"] @ turn.T)[order].reshape(-1, 9)
                atoms.arrays["charges"] = values["charges"][order]
                atoms.arrays["dipole"] = (values["dipole"] @ turn.T)[order]
                crystals.append(atoms)
    return crystals


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """60 crystals as JSON lines: of one the order is wrong, one has no values, two lack a target."""
    lines = []
    for k, record in enumerate(read_records(made_atoms())[0]):
        crystal = {key: getattr(record, key) for key in ("species", "frac_coords", "lattice")}
        properties = {name: record.properties[name] for name in TARGETS}
        properties["charges"] = [[charge] for charge in properties["charges"]]
        lines.append({"id": f"made-{k}", **{key: np.array(v).tolist() for key, v in crystal.items()}, **properties})
    lines[33]["dipole"] = lines[2]["charges"] = None
    lines[7] |= dict.fromkeys(TARGETS)
    lines[40]["species"] = lines[40]["species"][::-1]
    lines[40]["frac_coords"] = lines[40]["frac_coords"][::-1]
    path = tmp_path_factory.mktemp("sites") / "data.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def configured(data, **overrides):
    given = {"data.source": str(data), "data.targets": TARGETS, "data.sites": {"dipole": DIPOLE}, **SMALL}
    return load_config("site-symmetry", given | {key.replace("__", "."): v for key, v in overrides.items()})


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "sites"
    found = train(configured(data), folder, quiet=True)
    write_report(folder)
    return found


@pytest.fixture(scope="module")
def inputs():
    """Crystals of both model groups, one of them a conventional cell; and the same turned and in another order."""
    rng = np.random.default_rng(5)
    pairs = []
    for number in (0, 1, 31, 46):
        first = made_atoms()[number]
        turn, order = Rotation.random(rng=rng).as_matrix(), rng.permutation(len(first))
        second = first[order]
        second.set_cell(first.cell @ turn.T, scale_atoms=True)
        pairs.append((first, second, turn, order))
    return pairs


def test_the_folder(run):
    files = {path.name for path in run.folder.iterdir()}
    assert files == {
        "config.yaml", "versions.json", "data.json", "rejected.csv", "split.json", "metrics.csv", "metrics.json",
        "predictions_test.csv", "model.safetensors", "known.safetensors", "model.json", "log.txt", "report.html",
        "parity.png", "learning_curve.png",
    }  # fmt: skip
    with (run.folder / "rejected.csv").open() as stream:
        reasons = {row["id"]: row["reason"] for row in csv.DictReader(stream)}
    assert set(reasons) == {"made-7", "made-40"}
    assert reasons["made-7"] == "has no value of born_charges or charges or dipole"
    assert "its order is not that of the atoms" in reasons["made-40"]
    page = (run.folder / "report.html").read_text()
    assert "mean absolute error of a component" in page


def test_units_order_of_indices_and_residuals_are_told(run):
    log = (run.folder / "log.txt").read_text()
    assert "born_charges: ij, in e, of sum zero, indices: in the order of the data" in log
    assert "dipole: vector, in furlong, indices: as in the cell" in log
    assert "charges: residual of the symmetry at most" in log
    config = (run.folder / "config.yaml").read_text()
    assert "unit: furlong" in config
    assert "indices: in the order of the data" in config
    assert {target["name"]: target["indices"] for target in run.card["targets"]}["dipole"] == "as in the cell"
    residuals = run.card["residuals"]
    assert set(residuals) == set(TARGETS)
    assert all(0 <= own["median"] <= own["largest"] < 1e-3 for own in residuals.values())
    assert run.card["groups"] == ["m-3m", "6/mmm"]
    assert run.card["domain"]["point_groups"] == "all"


def test_the_table_of_the_test_split(run, data):
    records = {record.id: record for record in read_records(data)[0]}
    with (run.folder / "predictions_test.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    ids = run.split["test"]["id"]
    assert len(rows) == sum(len(records[id]) for id in ids)
    for row in rows:
        record, atom = records[row["id"]], int(row["atom"]) - 1
        assert row["element"] == record.species[atom]
        born, dipole = (record.properties[name] for name in ("born_charges", "dipole"))
        assert float(row["true born_charges xy [e]"]) == pytest.approx(born[atom][0][1], abs=1e-4)
        if dipole is None:
            assert row["true dipole z [furlong]"] == ""
        else:
            assert float(row["true dipole z [furlong]"]) == pytest.approx(dipole[atom][2], abs=1e-4)
        assert row["predicted dipole z [furlong]"]


def test_the_errors_are_those_of_the_predictions(run, data):
    """By hand, over the atoms of the cells as they are given, all of which are primitive or have equal copies."""
    rows, records = predict(run, [data]), read_records(data)[0]
    test = set(run.split["test"]["id"])
    for name in TARGETS:
        errors = evaluate(run, target=name, quiet=True)
        assert errors["split"] == "test"
        by_crystal = [
            (np.abs(np.array(row[name]).ravel() - np.ravel(record.properties[name])).mean(), len(record))
            for row, record in zip(rows, records)
            if record.id in test and record.properties[name] is not None
        ]
        cells = [c for c, _ in by_crystal]
        assert min(cells) - 1e-6 <= errors["mae"] <= max(cells) + 1e-6
        assert {key: errors[key] for key in run.card["errors"]["test"][name]} == pytest.approx(
            run.card["errors"]["test"][name], rel=1e-6
        )
    assert evaluate(run, data, "charges", split="all", quiet=True)["rejected"] == 3
    errors = evaluate(run, data, "dipole", split="validation", quiet=True)
    assert errors["n"] > 0


def test_predictions_turn_with_the_input_and_keep_its_order(run, inputs):
    rows = predict(run, [[atoms for pair in inputs for atoms in pair[:2]]])
    for k, (atoms, _, turn, order) in enumerate(inputs):
        first, second = rows[2 * k : 2 * k + 2]
        for name in TARGETS:
            a, b = np.array(first[name])[order], np.array(second[name])
            assert len(a) == len(atoms)
            for axis in range(1, a.ndim):
                a = np.moveaxis(np.tensordot(a, turn, (axis, 1)), -1, axis)
            assert np.abs(a - b).max() < 1e-9
            assert np.abs(a).max() > 1e-6 or (name == "dipole" and k != 3)  # wurtzite alone is polar
        assert np.abs(np.sum(second["born_charges"], 0)).max() < 1e-9
        assert abs(sum(second["charges"])) < 1e-9
        assert "no symmetry" not in second["note"]


def test_equal_runs_give_equal_bits_interrupted_or_not(run, data, tmp_path, monkeypatch):
    class PowerCut(Exception):
        pass

    plain, steps = sites.union, iter(range(10**6))

    def cut(*arguments):
        if next(steps) == 13:
            raise PowerCut
        return plain(*arguments)

    out = tmp_path / "again"
    with monkeypatch.context() as patch:
        patch.setattr(sites, "union", cut)
        with pytest.raises(PowerCut):
            train(configured(data), out, quiet=True)
    assert (out / "checkpoint.safetensors").exists()
    train(configured(data), out, resume=True, quiet=True)
    for name in ("model.safetensors", "predictions_test.csv", "split.json", "rejected.csv", "config.yaml"):
        assert (out / name).read_bytes() == (run.folder / name).read_bytes(), name


def test_extended_xyz_and_lists_of_atoms(run, data, tmp_path):
    """The same crystals, given as ASE gives them: the same network."""
    path = tmp_path / "frames.extxyz"
    ase.io.write(path, made_atoms(), format="extxyz")
    of_file = train(configured(path, training__epochs=1), tmp_path / "xyz", quiet=True)
    of_list = train(configured("mine", training__epochs=1), tmp_path / "list", quiet=True, data=made_atoms())
    for made in (of_file, of_list):
        assert made.card["data"]["used"] == 60
    for name in TARGETS:
        a, b = (made.card["errors"]["test"][name]["mae_of_mean"] for made in (of_file, of_list))
        assert a > 0
        assert b > 0
    assert evaluate(run, made_atoms(), "charges", quiet=True)["n"] > 60


def test_commands(data, tmp_path):
    out = tmp_path / "run"
    arguments = ["train", "site-symmetry", "--data", str(data), "--target", "born_charges,dipole", "--epochs", "1"]
    arguments += ["--set", "data.sites.dipole={symmetry: vector, unit: furlong}", "--set", "model.channels=8"]
    arguments += ["--set", "data.sites.born_charges.indices=displacement then field", "--out", str(out)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "indices: displacement then field" in (out / "log.txt").read_text()
    assert (out / "report.html").exists()

    structure, table = tmp_path / "POSCAR", tmp_path / "out.csv"
    ase.io.write(structure, made_atoms()[46], format="vasp")
    result = CliRunner().invoke(app, ["predict", str(out), str(structure), "-o", str(table), "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["units"] == {"born_charges": "e", "dipole": "furlong"}
    values = document["predictions"][0]["born_charges"]
    with table.open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["atom"] for row in rows] == ["1", "2", "3", "4"]
    assert float(rows[2]["born_charges zy [e]"]) == values[2][2][1]
    result = CliRunner().invoke(app, ["predict", str(out), str(structure)])
    assert "born_charges\n[[[" in result.stdout
    result = CliRunner().invoke(app, ["evaluate", str(out), "--target", "dipole", "--split", "all", "--json"])
    assert json.loads(result.stdout)["unit"] == "furlong"
    result = CliRunner().invoke(app, ["verify", str(out), str(structure), "--json"])
    assert json.loads(result.stdout)["largest"] < 1e-8


def test_a_network_that_nothing_trained_predicts_nothing(data, tmp_path):
    cubic = train(configured(data, data__point_groups=["m-3m"], training__epochs=1), tmp_path / "run", quiet=True)
    assert cubic.card["groups"] == ["m-3m"]
    assert set(cubic.model.bonds) == {"m-3m"}
    (row,) = predict(cubic, [made_atoms()[46]])
    assert row["charges"] is None
    assert "point group 6mm is not admitted" in row["note"]

    few = made_atoms()[:46]  # the last is hexagonal, and not in the training part of this split
    made = train(configured("mine", training__epochs=1), tmp_path / "few", quiet=True, data=few)
    with (made.folder / "rejected.csv").open() as stream:
        reasons = [row["reason"] for row in csv.DictReader(stream)]
    assert reasons == ["its model group is 6/mmm, which no crystal of the training split has"]
    assert made.card["groups"] == ["m-3m"]
    assert made.card["data"]["used"] == 45
    (row,) = predict(made, [made_atoms()[46]])
    assert row["charges"] is None
    assert "no crystal of the training split" in row["note"]


def test_what_is_refused(data, tmp_path):
    def refused(**overrides):
        with pytest.raises(IrrepnetError) as error:
            configured(data, **overrides)
        return str(error.value)

    assert "say what mine is, for example data.sites.mine={symmetry: ij=ji, unit: eV}" in refused(data__targets="mine")
    assert "training.compile: it does not pay for the network site-symmetry" in refused(training__compile=True)
    assert "data.workers: unknown key" in refused(data__workers=2)
    assert "data.sites.dipole.symetry: unknown key; did you mean symmetry?" in refused(data__sites__dipole__symetry="a")
    assert "data.sites.dipole.symmetry: there are scalar, vector" in refused(data__sites__dipole__symmetry="tensor")
    assert "born_charges: not among the targets" in refused(data__targets="dipole", data__sites__born_charges__unit="e")
    assert "model.group" in refused(model__group="m-4m")
    if not torch.cuda.is_available():
        with pytest.raises(IrrepnetError, match="PyTorch finds no CUDA device"):
            train(configured(data, training__device="cuda"), tmp_path / "cuda", quiet=True)
    with pytest.raises(IrrepnetError, match="none of the 60 crystals can be used"):
        train(configured(data, data__targets="field_gradients", data__sites={}), tmp_path / "none", quiet=True)
    folder = train(configured(data, model__group="m-3m", training__epochs=1), tmp_path / "group", quiet=True).folder
    assert "6mm" in (folder / "rejected.csv").read_text()


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A run on Born charges and permittivities together, made of the bonds; three crystals know only one of the two."""
    lines = []
    for k, record in enumerate(read_records(made_atoms())[0]):
        born = np.reshape(record.properties["born_charges"], (-1, 3, 3))
        epsilon = 2 * np.eye(3) + np.einsum("nij,nkj->ik", born, born) / len(born)
        crystal = {"species": record.species, "frac_coords": record.frac_coords, "lattice": record.lattice}
        values = {"born_charges": born, "e_electronic": epsilon}
        lines.append({"id": f"made-{k}", **{key: np.array(v).tolist() for key, v in (crystal | values).items()}})
    lines[3]["born_charges"] = lines[20]["e_electronic"] = lines[21]["e_electronic"] = None
    folder = tmp_path_factory.mktemp("both")
    (folder / "data.jsonl").write_text("\n".join(map(json.dumps, lines)))
    settings = {"data.source": str(folder / "data.jsonl"), "data.targets": "e_electronic,born_charges", **SMALL}
    return train(load_config("site-symmetry", settings), folder / "run", quiet=True)


def test_a_tensor_of_the_crystals_beside_their_sites(both, inputs):
    """Errors, tables and predictions of both; the tensor turns with the input and is positive definite."""
    assert [target.kind for target in both.targets] == ["tensor", "site"]
    charges, epsilon = (evaluate(both, target=name, quiet=True) for name in ("born_charges", "e_electronic"))
    assert {"mae", "frobenius", "n", "rejected"} <= set(charges) & set(epsilon)
    assert (charges["rejected"], epsilon["rejected"]) == (0, 0)
    assert charges["n"] > epsilon["n"] > 0
    assert evaluate(both, target="e_electronic", split="all", quiet=True)["rejected"] == 2
    rows = predict(both, [[atoms for pair in inputs for atoms in pair[:2]]])
    for k, (atoms, _, turn, order) in enumerate(inputs):
        first, second = (
            {name: np.array(row[name]) for name in ("born_charges", "e_electronic")} for row in rows[2 * k : 2 * k + 2]
        )
        assert np.abs(turn @ first["e_electronic"] @ turn.T - second["e_electronic"]).max() < 1e-9
        assert np.linalg.eigvalsh(second["e_electronic"]).min() > 0
        turned = turn @ first["born_charges"][order] @ turn.T
        assert np.abs(turned - second["born_charges"]).max() < 1e-9
        assert second["born_charges"].shape == (len(atoms), 3, 3)
        alone, _ = predict(both, [[atoms, atoms]])  # as in a batch of several model groups
        assert np.abs(np.array(alone["e_electronic"]) - first["e_electronic"]).max() < 1e-9
    with (both.folder / "predictions_test.csv").open() as stream:
        line = next(csv.DictReader(stream))
    assert line[f"true {both.target('e_electronic').columns[0]}"]
    assert line["predicted born_charges xy [e]"]


def test_a_run_with_a_tensor_of_the_crystals_is_verified(both, tmp_path):
    structure = tmp_path / "POSCAR"
    ase.io.write(structure, made_atoms()[46], format="vasp")
    result = CliRunner().invoke(app, ["verify", str(both.folder), str(structure), "--json"])
    assert json.loads(result.stdout)["largest"] < 1e-8
    write_report(both.folder)


@pytest.fixture(scope="module")
def energies(tmp_path_factory):
    """A run on numbers of the crystals alone: an energy made of the bonds, and whether there is a gap."""
    lines = []
    for k, atoms in enumerate(made_atoms()):
        charges = np.array(atoms.arrays["charges"])
        values = {"formation_energy_per_atom": float((charges**2).mean()), "band_gap": float(k % 3)}
        crystal = {"species": atoms.get_chemical_symbols(), "frac_coords": atoms.get_scaled_positions().tolist()}
        lines.append({"id": f"made-{k}", **crystal, "lattice": atoms.cell.array.tolist(), **values})
    lines[2]["formation_energy_per_atom"], lines[5]["formation_energy_per_atom"] = None, "low"
    folder = tmp_path_factory.mktemp("energies")
    (folder / "data.jsonl").write_text("\n".join(map(json.dumps, lines)))
    targets = {"data.source": str(folder / "data.jsonl"), "data.targets": "formation_energy_per_atom,metal"}
    return train(load_config("site-symmetry", targets | SMALL), folder / "run", quiet=True)


def test_numbers_of_the_crystals_alone(energies, inputs):
    """They are the same for a supercell that is turned and in another order."""
    assert [(target.kind, target.unit) for target in energies.targets] == [
        ("regression", "eV/atom"),
        ("classification", ""),
    ]
    found = evaluate(energies, target="formation_energy_per_atom", split="all", quiet=True)
    assert (found["n"], found["rejected"]) == (58, 2)
    assert set(evaluate(energies, target="metal", quiet=True)) >= {"auc", "accuracy"}
    rows = predict(energies, [[atoms for pair in inputs for atoms in pair[:2]]])
    for first, second in zip(rows[::2], rows[1::2]):
        for name in ("formation_energy_per_atom", "metal"):
            assert first[name] == pytest.approx(second[name], abs=1e-9)
    with (energies.folder / "predictions_test.csv").open() as stream:
        assert next(csv.DictReader(stream))["predicted formation_energy_per_atom [eV/atom]"]


def test_commands_on_numbers_of_the_crystals(energies, tmp_path):
    structure = tmp_path / "POSCAR"
    ase.io.write(structure, made_atoms()[46], format="vasp")
    write_report(energies.folder)
    result = CliRunner().invoke(app, ["verify", str(energies.folder), str(structure), "--json"])
    assert json.loads(result.stdout)["largest"] < 1e-8
    result = CliRunner().invoke(app, ["predict", str(energies.folder), str(structure), "-o", str(tmp_path / "out.csv")])
    assert result.exit_code == 0, result.output
    with (tmp_path / "out.csv").open() as stream:
        (row,) = csv.DictReader(stream)
    assert float(row["formation_energy_per_atom [eV/atom]"]) == pytest.approx(
        predict(energies, str(structure))[0]["formation_energy_per_atom"]
    )
    with pytest.raises(IrrepnetError, match="is no single number of a run of properties"):
        follow_model(str(energies.folder), str(structure), str(structure), target="metal")


def test_charges_begin_with_the_weights_of_energies(energies, both, tmp_path):
    """All but the readouts, which are of other targets."""
    settings = {"data.source": both.config.data.source, "data.targets": "born_charges", "start": str(energies.folder)}
    run = train(load_config("site-symmetry", settings | SMALL | {"training.epochs": 1}), tmp_path / "run", quiet=True)
    fresh = sum(
        w.numel() for name, w in run.model.named_parameters() if not name.startswith(("readouts", "share", "totals"))
    )
    its = sum(w.numel() for name, w in energies.model.named_parameters() if not name.startswith("readouts"))
    assert run.card["start"]["taken"] == fresh == its
