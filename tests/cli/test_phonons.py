"""`irrepnet phonons`: the document, the table, and what it writes."""

import json
import re
import shutil
import subprocess

import ase.io
import numpy as np
import pytest
from tests.conftest import ROOT
from tests.phonons.springs import conventional, spring_constants
from typer.testing import CliRunner

from irrepnet.cli.main import app
from irrepnet.crystals import SymmetricCrystal
from irrepnet.errors import IrrepnetError
from irrepnet.training.charges import predicted_charges

EXAMPLES = ROOT / "examples"
RUN = ROOT / "tests/training/golden/format3_sites"
SRTIO3 = (EXAMPLES / "SrTiO3.cif", "--force-constants", EXAMPLES / "SrTiO3_FORCE_CONSTANTS")
POLAR = (*SRTIO3, "--born", EXAMPLES / "SrTiO3_charges.json")


def call(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["phonons", *map(str, arguments)])
    assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
    return result.output


def document(*arguments: object) -> dict:
    return json.loads(call(*arguments, "--json"))


def refused(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["phonons", *map(str, arguments)])
    assert isinstance(result.exception, IrrepnetError), result.output
    return str(result.exception)


def test_modes_by_symmetry_alone():
    found = document(EXAMPLES / "MgAl2O4.cif")
    assert found["point_group"] == {"name": "m-3m", "schoenflies": "Oh"}
    modes = {entry["irrep"]: entry for entry in found["modes"]}
    t1u = {key: modes["T1u"][key] for key in ("count", "acoustic", "optical", "ir", "raman", "hyper_raman", "silent")}
    assert t1u == {
        "count": 5,
        "acoustic": 1,
        "optical": 4,
        "ir": True,
        "raman": False,
        "hyper_raman": True,
        "silent": False,
    }
    assert sum(entry["count"] * entry["dimension"] for entry in found["modes"]) == 42
    assert modes["A1g"]["raman_tensor"] == [[["a", "0", "0"], ["0", "a", "0"], ["0", "0", "a"]]]
    assert modes["T1u"]["dipole"] == [["a", "0", "0"], ["0", "a", "0"], ["0", "0", "a"]]
    assert modes["T1g"]["silent"]
    assert modes["T1g"]["raman_tensor"] is None
    assert found["independent"] == {"force_constants": 28, "born_charges": 4}
    assert [orbit["born_charge"]["independent"] for orbit in found["orbits"]] == [1, 2, 2]
    assert "vibrations" not in found
    for label, entry in modes.items():
        assert sum(orbit["modes"].get(label, 0) for orbit in found["orbits"]) == entry["count"]


@pytest.mark.parametrize("name", ["diamond", "wurtzite", "ilmenite", "baddeleyite", "garnet"])
def test_table_and_picture_of_structure_types(name, tmp_path):
    conventional(name).to(str(tmp_path / "POSCAR"), fmt="poscar")
    text = call(tmp_path / "POSCAR", "--picture", tmp_path / "modes.png")
    assert "independent: " in text
    assert (tmp_path / "modes.png").stat().st_size > 5000


def test_levels_splitting_and_permittivity():
    found = document(*POLAR, "--direction", "0 0 1", "--direction", "1,1,1")
    levels = [entry for entry in found["vibrations"] if not entry["acoustic"]]
    assert [entry["irrep"] for entry in levels] == ["T1u", "T1u", "T2u", "T1u"]
    assert [round(entry["wavenumber"], 1) for entry in levels] == [54.7, 154.5, 239.4, 534.7]
    assert [entry["frequency"] for entry in found["vibrations"][:1]] == [0.0]
    polar = found["polar"]
    for entry in polar["directions"]:
        lo = [branch for branch in entry["branches"] if branch["kind"] == "LO"]
        assert [round(branch["wavenumber"]) for branch in lo] == [150, 451, 817]
        assert all(branch["irreps"] == {"T1u": pytest.approx(1)} for branch in lo)
    shares = sum(np.array(entry["permittivity"]) for entry in levels)
    assert np.allclose(shares + polar["e_electronic"], polar["e_static"])
    assert found["force_constants"]["residual"] < 0.01
    assert found["notes"] == []
    text = call(*POLAR)
    assert "q ∥ [0 0 1]: T1u(TO) 54.69, T1u(LO) 149.86" in text
    assert str(EXAMPLES / "SrTiO3_FORCE_CONSTANTS") in text


def test_what_is_written(tmp_path):
    call(*POLAR, *(w for n, f in WRITTEN.items() for w in (n, tmp_path / f)))
    assert (tmp_path / "spectrum.png").stat().st_size > 10000
    frames = ase.io.read(tmp_path / "patterns.extxyz", index=":")
    assert len(frames) == 12 + 3
    for frame in frames:
        shift = frame.arrays["displacement"]
        assert np.linalg.norm(shift, axis=1).max() == pytest.approx(1, abs=1e-6)
        assert abs(frame.get_masses() @ shift).max() < 1e-5  # the centre of mass stays
    assert [frame.info["mode"] for frame in frames[-3:]] == ["T1u LO"] * 3
    page = (tmp_path / "modes.html").read_text()
    assert not re.search(r"https?://|src=|@import|url\(", page), "it needs something else"
    crystal = json.loads(re.search(r"const crystal = (.*);\n", page)[1])  # type: ignore[index]
    assert len(crystal["modes"]) == 15
    assert len(crystal["atoms"]) == 8 + 1 + 6
    assert len(crystal["bonds"]) == 6
    node = shutil.which("node")
    if node:
        script = tmp_path / "script.js"
        script.write_text(re.search(r"<script>(.*)</script>", page, re.S)[1])  # type: ignore[index]
        assert subprocess.run([node, "--check", script], check=False, capture_output=True).returncode == 0


WRITTEN = {"--spectrum": "spectrum.png", "--patterns": "patterns.extxyz", "--animation": "modes.html"}


def test_without_charges(tmp_path):
    call(*SRTIO3, *(w for n, f in WRITTEN.items() for w in (n, tmp_path / f)))
    assert len(ase.io.read(tmp_path / "patterns.extxyz", index=":")) == 12
    assert "polar" not in document(*SRTIO3)


def test_charges_of_the_record_and_given_permittivity(tmp_path):
    structure = conventional("wurtzite")
    crystal = SymmetricCrystal.from_structure(structure)
    record = {
        "species": [site.specie.symbol for site in structure],
        "frac_coords": structure.frac_coords.tolist(),
        "lattice": structure.lattice.matrix.tolist(),
        "born_charges": [((2 if s.specie.symbol == "Zn" else -2) * np.eye(3)).tolist() for s in structure],
    }
    (tmp_path / "wurtzite.json").write_text(json.dumps(record))
    n = len(structure)
    blocks = spring_constants(structure)
    text = "\n".join(
        f"{i + 1} {j + 1}\n" + "\n".join(" ".join(map(repr, row)) for row in blocks[i, j].tolist())
        for i in range(n)
        for j in range(n)
    )
    (tmp_path / "FORCE_CONSTANTS").write_text(f"{n} {n}\n{text}\n")
    given = (tmp_path / "wurtzite.json", "--force-constants", tmp_path / "FORCE_CONSTANTS")
    assert "no electronic permittivity; give --epsilon" in refused(*given)
    isotropic = document(*given, "--epsilon", 4)["polar"]
    assert isotropic["sources"]["e_electronic"] == "given"
    assert np.allclose(isotropic["e_electronic"], 4 * np.eye(3))
    assert [d["direction"] for d in isotropic["directions"]] == [[0, 0, 1], [1, 0, 0]]
    tensor = crystal.rotation @ np.diag([3, 3, 5.0]) @ crystal.rotation.T
    turned = document(*given, "--epsilon", " ".join(map(str, tensor.ravel())))["polar"]
    assert np.allclose(turned["e_electronic"], np.diag([3, 3, 5]))
    assert "permittivity is one, three or nine numbers" in refused(*given, "--epsilon", "1 2")
    assert "numbers are expected" in refused(*given, "--epsilon", "many")


def test_predicted_charges():
    """A run's charges, in the standard frame; its permittivity is given."""
    found = document(*SRTIO3, "--charges", RUN, "--epsilon", 5.18)["polar"]
    assert found["sources"] == {"born_charges": f"predicted by {RUN}", "e_electronic": "given"}
    expected = json.loads((RUN / "predictions.json").read_text())
    (own,) = [row for file, row in zip(expected["inputs"], expected["outputs"]) if file.endswith("SrTiO3.cif")]
    crystal = SymmetricCrystal.from_structure(EXAMPLES / "SrTiO3.cif")
    for symbol, charge in zip(crystal.species, found["born_charges"], strict=True):
        of_input = [z for s, z in zip(["Sr", "Ti", "O", "O", "O"], own["born_charges"]) if s == symbol]
        assert min(abs(np.array(charge) - z).max() for z in of_input) < 1e-5
    assert "no electronic permittivity; give --epsilon" in refused(*SRTIO3, "--charges", RUN)


def test_the_order_of_the_indices(tmp_path):
    """Of a run whose data say that the first index is the displacement's the charges are transposed."""
    other = tmp_path / "run"
    shutil.copytree(RUN, other)
    card = (other / "model.json").read_text()
    assert card.count('"in the order of the data"') >= 1
    (other / "model.json").write_text(card.replace('"in the order of the data"', '"displacement, field"'))
    crystal = SymmetricCrystal.from_structure(conventional("scheelite"))
    (one, _), (two, source) = (predicted_charges(crystal, [run])["born_charges"] for run in (RUN, other))
    assert abs(one - one.swapaxes(1, 2)).max() > 1e-4
    assert np.allclose(two, one.swapaxes(1, 2))
    assert source == f"predicted by {other}"


def test_calculators(tmp_path):
    cu3au = {
        "species": ["Cu"] * 3 + ["Au"],
        "cell": [3.75] * 3 + [90] * 3,
        "frac_coords": [[0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5], [0, 0, 0]],
    }
    (tmp_path / "Cu3Au.json").write_text(json.dumps(cu3au))
    emt = ("--calculator", "ase.calculators.emt:EMT")
    found = document(tmp_path / "Cu3Au.json", *emt)
    assert found["force_constants"]["source"].startswith("EMT of ase")
    assert found["force_constants"]["evaluations"] == 4
    assert "EMT of ase" in call(tmp_path / "Cu3Au.json", *emt)
    cu3au["frac_coords"][3] = [0, 0, 0.06]
    (tmp_path / "moved.json").write_text(json.dumps(cu3au))
    notes = document(tmp_path / "moved.json", *emt)["notes"]
    assert "relax the crystal first" in notes[0]
    assert "from a file or from a calculator" in refused(*SRTIO3, *emt)


def test_one_atom(tmp_path):
    """No optical mode: nothing to draw, and nothing that fails."""
    (tmp_path / "Cu.json").write_text(
        '{"species": ["Cu"], "cell": [2.55, 2.55, 2.55, 60, 60, 60], "frac_coords": [[0, 0, 0]]}'
    )
    given = (tmp_path / "Cu.json", "--calculator", "ase.calculators.emt:EMT")
    found = document(
        *given, "--picture", tmp_path / "modes.png", *(w for n, f in WRITTEN.items() for w in (n, tmp_path / f))
    )
    assert [entry["acoustic"] for entry in found["vibrations"]] == [True]
    assert "between 0 and 1 Å" in refused(*given, "--displacement", 0)


def test_a_calculator_of_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_springs.py").write_text("from ase.calculators.emt import EMT\n\ndef soft():\n    return EMT()\n")
    copper = {"species": ["Cu", "Al"], "cell": [2.9] * 3 + [90] * 3, "frac_coords": [[0] * 3, [0.5] * 3]}
    (tmp_path / "CuAl.json").write_text(json.dumps(copper))
    found = document("CuAl.json", "--calculator", "my_springs:soft")
    assert found["force_constants"]["source"] == "soft of my_springs"


@pytest.mark.slow
def test_a_run_that_predicts_the_permittivity(tmp_path):
    """Tensors of a property run, turned into the standard frame."""
    from irrepnet.data import embedded
    from irrepnet.training import load_config, train

    settings = {"data.source": "dielectric_constant", "data.targets": "e_electronic", "training.epochs": 1}
    config = load_config({"model": {"name": "covariant", "channels": 8, "layers": 1}}, settings)
    train(config, tmp_path / "run", data=embedded("dielectric_constant")[:40], quiet=True)
    found = document(*SRTIO3, "--charges", RUN, "--charges", tmp_path / "run")["polar"]
    assert found["sources"]["e_electronic"] == f"predicted by {tmp_path / 'run'}"
    assert found["sources"]["born_charges"] == f"predicted by {RUN}"
    epsilon = np.array(found["e_electronic"])
    assert np.allclose(epsilon, epsilon[0, 0] * np.eye(3))


def test_options_that_need_force_constants(tmp_path):
    assert "--spectrum, --patterns: without force constants" in refused(
        EXAMPLES / "NaCl.cif", "--spectrum", tmp_path / "a.png", "--patterns", tmp_path / "b.extxyz"
    )
    assert "--epsilon: without force constants" in refused(EXAMPLES / "NaCl.cif", "--epsilon", 2)
    assert "without Born charges" in refused(*SRTIO3, "--direction", "1 0 0")
    assert "three numbers" in refused(*POLAR, "--direction", "1 0")


def test_wrong_constants_are_remarked(tmp_path):
    """Of another crystal with as many atoms."""
    lines = (EXAMPLES / "SrTiO3_FORCE_CONSTANTS").read_text().splitlines()
    blocks = {tuple(map(int, lines[k].split())): lines[k + 1 : k + 4] for k in range(1, len(lines), 4)}
    swap = {1: 3, 3: 1, 2: 2, 4: 4, 5: 5}
    text = [lines[0]]
    for i, j in blocks:
        text += [f"{i} {j}", *blocks[swap[i], swap[j]]]
    (tmp_path / "FORCE_CONSTANTS").write_text("\n".join(text))
    notes = document(EXAMPLES / "SrTiO3.cif", "--force-constants", tmp_path / "FORCE_CONSTANTS")["notes"]
    assert any("do not belong to this crystal" in note for note in notes)


def test_files_that_cannot_be_written(tmp_path):
    nowhere = tmp_path / "missing"
    for option, file in WRITTEN.items():
        assert "annot" in refused(*SRTIO3, option, nowhere / file)
