"""Tensors as targets, from the records to the predictions in the axes of the input."""

import csv
import json

import numpy as np
import pytest
import torch
from pymatgen.core import Structure
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

from irrepnet.cli.main import app
from irrepnet.crystals import SymmetricCrystal
from irrepnet.data import embedded
from irrepnet.data.tensors import TENSOR_QUANTITIES, TensorQuantity, tensor_coefficients
from irrepnet.errors import IrrepnetError
from irrepnet.report import write_report
from irrepnet.tasks.targets import TensorTarget, tensor_metrics
from irrepnet.tensors import SHG, STIFFNESS, CartesianTensor, averages
from irrepnet.training import evaluate, load_config, predict, train

SMALL = {
    "model.channels": 8,
    "model.layers": 1,
    "model.moment_channels": 4,
    "training.epochs": 2,
    "training.device": "cpu",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """70 dielectric crystals with two tensors and a number; one tensor is wrong, one not positive, one is missing."""
    lines = []
    for record in embedded("dielectric_constant")[:70]:
        line = {
            "material_id": record.id,
            "species": record.species,
            "frac_coords": record.frac_coords.tolist(),
            "lattice": record.lattice.tolist(),
            "e_electronic": record.properties["e_electronic"],
            "mine": record.properties["e_total"],
            "n": record.properties["n"],
        }
        lines.append(line)
    crystals = [SymmetricCrystal.from_structure(record) for record in embedded("dielectric_constant")[:70]]
    cubic, other, *_ = [k for k, crystal in enumerate(crystals) if crystal.point_group.name == "m-3m"]
    lines[cubic]["e_electronic"] = np.diag([1.0, 2, 3]).tolist()
    lines[other]["e_electronic"] = (-np.eye(3)).tolist()
    lines[-1]["e_electronic"] = None
    path = tmp_path_factory.mktemp("tensors") / "data.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    """On two tensors, one of them declared, and a number between them."""
    config = load_config(
        "covariant",
        {
            "data.source": str(data),
            "data.targets": ["e_electronic", "n", "mine"],
            "data.tensors": {"mine": {"symmetry": "ij=ji", "unit": "furlong"}},
            **SMALL,
        },
    )
    folder = tmp_path_factory.mktemp("runs") / "tensors"
    found = train(config, folder, quiet=True)
    write_report(folder)
    return found


@pytest.fixture(scope="module")
def quartz(tmp_path_factory):
    """α-quartz turned by some rotation, as POSCAR; and as it was."""
    from pymatgen.core import Lattice

    structure = Structure.from_spacegroup(
        "P3_221", Lattice.hexagonal(4.91, 5.4), ["Si", "O"], [[0.47, 0, 2 / 3], [0.41, 0.27, 0.78]]
    )
    q = Rotation.random(rng=np.random.default_rng(0)).as_matrix()
    turned = Structure(structure.lattice.matrix @ q.T, structure.species, structure.frac_coords)
    folder = tmp_path_factory.mktemp("quartz")
    paths = [folder / "POSCAR_1", folder / "POSCAR_2"]
    for path, each in zip(paths, (structure, turned)):
        each.to(str(path), fmt="poscar")
    return paths, q


def test_doubtful_tensors_are_rejected_and_listed(run):
    with (run.folder / "rejected.csv").open() as stream:
        reasons = [row["reason"] for row in csv.DictReader(stream)]
    assert len(reasons) == 2
    assert any("is not that of a crystal of point group m-3m" in reason for reason in reasons)
    assert any("is not positive definite: its least eigenvalue is -1" in reason for reason in reasons)


def test_the_errors_of_a_run(run, data):
    errors = run.card["errors"]["test"]
    assert set(errors) == {"e_electronic", "n", "mine"}
    assert {"mae", "rmse", "r2"} < set(errors["n"])
    found = evaluate(run, str(data), "e_electronic", quiet=True)
    assert (found["kind"], found["split"]) == ("tensor", "test")
    assert {key: found[key] for key in errors["e_electronic"]} == pytest.approx(errors["e_electronic"], rel=1e-4)
    assert 0 <= found["ewt5"] <= found["ewt10"] <= found["ewt25"] <= 1
    assert evaluate(run, str(data), "mine", split="all", quiet=True)["n"] == 70  # only e_electronic was wrong


def test_the_table_of_predictions_and_the_page(run):
    with (run.folder / "predictions_test.csv").open() as stream:
        row = next(csv.DictReader(stream))
    assert "true e_electronic ε12" in row
    assert "predicted mine ε33 [furlong]" in row
    record = next(r for r in embedded("dielectric_constant") if r.id == row["id"])
    given = np.array(record.properties["e_electronic"])
    assert float(row["true e_electronic ε11"]) == pytest.approx(given[0, 0], rel=0.02)
    page = (run.folder / "report.html").read_text()
    assert "mean Frobenius error" in page
    assert (run.folder / "parity.png").exists()


def test_predictions_turn_with_the_input(run, quartz):
    paths, q = quartz
    first, second = predict(run, paths)
    for name in ("e_electronic", "mine"):
        a, b = np.array(first[name]), np.array(second[name])
        assert a.shape == (3, 3)
        assert np.allclose(q @ a @ q.T, b, atol=1e-4)  # POSCAR files have few digits
    assert np.linalg.eigvalsh(first["e_electronic"]).min() > 0
    assert first["n"] == pytest.approx(second["n"], abs=1e-4)


def test_commands(run, quartz, tmp_path):
    paths, _ = quartz
    out = tmp_path / "out.csv"
    result = CliRunner().invoke(app, ["predict", str(run.folder), str(paths[0]), "-o", str(out), "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    prediction = document["predictions"][0]
    assert document["units"] == {"e_electronic": "", "n": "", "mine": "furlong"}
    with out.open() as stream:
        row = next(csv.DictReader(stream))
    assert float(row["mine ε13 [furlong]"]) == prediction["mine"][0][2]
    assert float(row["n"]) == prediction["n"]
    result = CliRunner().invoke(app, ["predict", str(run.folder), str(paths[0])])
    assert "e_electronic [[" in result.stdout
    result = CliRunner().invoke(app, ["verify", str(run.folder), str(paths[1]), "--json"])
    assert json.loads(result.stdout)["largest"] < 1e-9


@pytest.mark.parametrize(
    ("preset", "options"),
    [
        ("covariant", {}),
        ("chgcnn", {"model.hyperedges": ["bonds", "cell"]}),
        ("point-group", {}),
    ],
)
def test_piezoelectricity(preset, options, tmp_path, quartz):
    """Tensors open by more than the sign are left out; a centrosymmetric crystal gets zero, quartz what 32 allows."""
    records = embedded("piezoelectric_tensor")[:40]
    path = tmp_path / "piezo.jsonl"
    lines = [
        {
            "material_id": r.id,
            "species": r.species,
            "frac_coords": r.frac_coords.tolist(),
            "lattice": r.lattice.tolist(),
            "piezoelectric_tensor": r.properties["piezoelectric_tensor"],
        }
        for r in records
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    settings = {"data.source": str(path), "data.targets": "piezoelectric_tensor", **SMALL, "training.epochs": 1}
    config = load_config(preset, settings | options)
    run = train(config, tmp_path / "run", quiet=True)
    assert any("equally well give different tensors" in reason for reason in run.card["data"]["reasons"])
    structure = Structure.from_spacegroup("Fm-3m", 5.6 * np.eye(3), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    structure.to(str(tmp_path / "NaCl.cif"))
    nothing, first, second = predict(run, [tmp_path / "NaCl.cif", *quartz[0]])
    assert np.abs(nothing["piezoelectric_tensor"]).max() < 1e-15
    tensor = CartesianTensor("ijk=ikj")
    a, b = (tensor.from_voigt(np.array(row["piezoelectric_tensor"])) for row in (first, second))
    assert np.linalg.norm(a) > 1e-4
    crystal = SymmetricCrystal.from_structure(quartz[0][0])
    assert tensor.allowed(crystal.point_group).residual(tensor.rotate(a, crystal.rotation.T)) < 1e-10
    assert np.allclose(tensor.rotate(a, quartz[1]), b, atol=1e-3 * np.linalg.norm(a))
    result = CliRunner().invoke(app, ["verify", str(run.folder), str(quartz[0][1]), "--json"])
    assert json.loads(result.stdout)["largest"] < 1e-9


@pytest.mark.parametrize("name", ["e_total", "elastic_tensor_original", "piezoelectric_tensor", "shg"])
def test_decoding_undoes_encoding(name):
    quantity = TENSOR_QUANTITIES[name]
    tensor = quantity.tensor
    rng = np.random.default_rng(0)
    if quantity.positive:
        a = rng.standard_normal((9, *tensor.voigt_shape))
        values = tensor.to_irreps(tensor.from_mandel(a @ a.swapaxes(-1, -2) + np.eye(a.shape[-1])))
    else:
        values = rng.standard_normal((9, tensor.dim))
    values[4] = np.nan
    target = TensorTarget.fit(name, values, quantity)
    encoded = target.encode(values)
    assert np.isnan(encoded[4]).all()
    assert np.allclose(target.decode(encoded[:4]), values[:4])
    assert np.nanmean(np.linalg.norm(encoded, axis=1)) == pytest.approx(1)
    # normalising is isotropic: it does not know the axes
    g = Rotation.random(rng=rng).as_matrix()
    turned = tensor.to_irreps(tensor.rotate(tensor.from_irreps(values[:4]), g))
    images = tensor.to_irreps(tensor.rotate(tensor.from_irreps(encoded[:4]), g))
    assert np.allclose(target.encode(turned), images)


def test_a_sign_that_is_a_convention():
    """Loss, figures and tables do not know which of T and −T was meant; with a sign they do."""
    tensor = CartesianTensor("ijk=ikj")
    rng = np.random.default_rng(0)
    true = rng.standard_normal((6, tensor.dim))
    predicted = true + 0.1 * rng.standard_normal(true.shape)
    flips = np.array([1, -1, 1, -1, -1, 1])[:, None]
    for signed in (False, True):
        target = TensorTarget.fit("mine", true, TensorQuantity(tensor, damped=True, signed=signed))
        losses = [
            target.loss(*(torch.tensor(target.encode(x)) for x in (predicted, y))).numpy() for y in (true, flips * true)
        ]
        figures = [target.metrics(y, predicted)["frobenius"] for y in (true, flips * true)]
        assert np.allclose(*losses) is not signed
        assert (figures[0] == pytest.approx(figures[1])) is not signed
        assert np.allclose(target.nearer(flips * true, predicted), flips * true if signed else true)


def test_figures_by_hand():
    permittivity = CartesianTensor("ij=ji")
    true = permittivity.to_irreps(np.array([np.diag([4.0, 4, 2]), np.eye(3), np.zeros((3, 3))]))
    predicted = permittivity.to_irreps(np.array([np.diag([4.0, 4, 3]), 1.08 * np.eye(3), np.zeros((3, 3))]))
    found = tensor_metrics(permittivity, true, predicted, np.zeros((1, 6)))
    assert found["frobenius"] == pytest.approx((1 + 0.08 * 3**0.5) / 3)
    assert [found[f"ewt{x}"] for x in (25, 10, 5)] == pytest.approx([1, 2 / 3, 1 / 3])
    assert found["mae"] == pytest.approx((1 + 3 * 0.08) / 18)
    stiffness = STIFFNESS.from_voigt(np.diag([5.0, 5, 5, 2, 2, 2]) + np.pad(np.ones((3, 3)), (0, 3)))
    a, b = (STIFFNESS.to_irreps(x * stiffness)[None] for x in (1, 1.1))
    moduli = averages(STIFFNESS.to_voigt(stiffness))
    found = tensor_metrics(STIFFNESS, a, b, a)
    for name in "KGE":
        assert found[f"mae_{name}"] == pytest.approx(0.1 * getattr(moduli, name))
    assert tensor_metrics(STIFFNESS, a[:0], b[:0], a)["mae_K"] is None
    a, b = (SHG.to_irreps(SHG.from_voigt(x * np.eye(3, 6, 3)))[None] for x in (1, -3))  # d14 alone
    assert tensor_metrics(SHG, a, b, 0 * a)["mae_KP"] == pytest.approx(2 * (5 / 7) ** 0.5)


def test_what_is_refused():
    base = {"data.source": "x", "data.targets": "mine"}
    for overrides, message in [
        ({"data.targets": "elastic_tensor"}, "take elastic_tensor_original"),
        ({"data.tensors": {"mine": {"symmetry": "ij=jj"}}}, "permutation of the letters"),
        ({"data.tensors": {"mine": {"symmetry": "ijk", "positive": True}}}, "is not a symmetric matrix"),
        ({"data.tensors": {"mine": {"symmetry": "ij=ji", "positive": True, "damped": True}}}, "as its logarithm"),
        ({"data.tensors": {"mine": {"symmetry": "ij=ji", "signed": False}}}, "whose sign is no convention"),
    ]:
        with pytest.raises(IrrepnetError, match=message):
            load_config("covariant", base | overrides)
    quantity = TensorQuantity(CartesianTensor("ij=ji"))
    record = embedded("dielectric_constant")[0]
    with pytest.raises(IrrepnetError, match="shape"):
        tensor_coefficients(SymmetricCrystal.from_structure(record), [1, 2], quantity)
