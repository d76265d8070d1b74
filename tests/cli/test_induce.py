"""`irrepnet induce`: sites, induced irreps and their characters, from space groups and from files."""

import json

import numpy as np
import pytest
from pymatgen.core import Structure
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

from irrepnet.cli.main import app
from irrepnet.crystals import vibration_modes, with_standard_origin
from irrepnet.crystals.induction_report import describe_induction
from irrepnet.crystals.symmetric import SymmetricCrystal
from irrepnet.errors import IrrepnetError


def output(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["induce", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_sites_of_a_space_group():
    text = output("Fd-3m")
    for word in ("Fd-3m (227)", "8a", "1/8,1/8,1/8", "-43m", "A1 A2 E T1 T2", "192i"):
        assert word in text
    assert output("227") == text
    assert "16c" not in output("227", "8a")


def test_induced_irreps_and_characters():
    text = output("227", "a", "A1", "--characters", "--k", "X", "--k", "0.1,0.1,0")
    for word in ("A1 at 8a, 2 bands", "X1", "1/2 0 1/2", "4/mmm", "A1 + B2", "induced", "0.9511-0.309i"):
        assert word in text
    document = json.loads(output("227", "a", "A1", "--json"))
    assert [point["point"] for point in document["points"]] == ["GM", "X", "L", "W"]
    assert document["bands"] == 2
    for point in document["points"]:
        total = np.zeros((len(point["operations"]), 2))
        for irrep in point["irreps"]:
            total += point["multiplicities"].get(irrep["label"], 0) * np.array(irrep["characters"])
        assert np.allclose(total, point["characters"], atol=1e-9)
        assert all(irrep["mulliken"] is None for irrep in point["irreps"]) == (point["point"] in "XW")


def test_orbitals_are_all_their_irreps():
    document = describe_induction("221", "c", "d", ["R"])
    assert document["irrep"] == {"A1g": 1, "B1g": 1, "B2g": 1, "Eg": 1}
    assert document["bands"] == 15
    assert sum(np.array(document["points"][0]["characters"])[0]) == pytest.approx(15)


def test_p_orbitals_of_all_atoms_are_the_vibrations(examples):
    """At Γ the irreps that p induces are those of displacements."""
    for formula in ("SrTiO3", "TiO2", "CaF2", "MgAl2O4"):
        crystal = with_standard_origin(SymmetricCrystal.from_structure(examples[formula]))
        modes = vibration_modes(crystal)
        for site in describe_induction(examples[formula])["sites"]:
            found = describe_induction(examples[formula], f"{site['element']}:{site['wyckoff']}", "p", ["GM"])
            point = found["points"][0]
            plain = {each["label"]: each["mulliken"] for each in point["irreps"]}
            own = {plain[label]: count for label, count in point["multiplicities"].items()}
            assert own in modes.orbits


def test_a_file_has_one_description(examples, tmp_path):
    """Whatever its origin, axes and order: SrTiO3 with Sr at a."""
    structure = Structure.from_file(examples["SrTiO3"])
    documents = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        turn = Rotation.random(rng=rng).as_matrix()
        order = rng.permutation(5)
        other = Structure(
            structure.lattice.matrix @ turn.T,
            [structure[i].specie for i in order],
            structure.frac_coords[order] + rng.random(3),
        )
        other.make_supercell([[1, 0, 0], [0, 1, 0], [0, 1, 2]])
        other.to(filename=str(tmp_path / "POSCAR"))
        report = describe_induction(tmp_path / "POSCAR", "O", "p")
        points = [(point["point"], point["multiplicities"]) for point in report["points"]]
        sites = {(site["element"], site["wyckoff"]) for site in report["sites"]}
        documents.append((points, sites, report["spacegroup"], report["formula"]))
    assert documents[0] == documents[1] == documents[2]
    assert documents[0][1] == {("Sr", "a"), ("Ti", "b"), ("O", "c")}
    assert dict(documents[0][0])["R"] == {"R2-": 1, "R3-": 1, "R4-": 1, "R5-": 1}
    assert output(str(tmp_path / "POSCAR"), "Ti:1b")
    assert "SrTiO3, Pm-3m (221)" in output(str(tmp_path / "POSCAR"), "c", "A1g")


def test_a_position_by_hand():
    document = describe_induction("191", "1/3,2/3,0", "A2''", ["K"])
    assert document["site"]["wyckoff"] == "c"
    assert document["points"][0]["multiplicities"] == {"K6": 1}
    minus = describe_induction("143", "0,0,0", "1E", ["-1/3,-1/3,0"])["points"][0]
    assert minus["point"] == "KA"
    assert set(minus["multiplicities"]) <= {"KA1", "KA2", "KA3"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("Fm-3x",), "neither a file nor a space group"),
        (("Pbnm",), "not the standard setting of space group 62, which is P n m a"),
        (("Fd-3m:1",), "not the standard setting of space group 227, which is F d -3 m:2"),
        (("0",), "1 to 230"),
        (("225", "z"), "there is no such; there are 4a, 4b"),
        (("225", "1,2"), "three numbers"),
        (("225", "1/0,0,0"), "three numbers"),
        (("225", "a", "Q"), "there is no 'Q'"),
        (("225", "a", "A1g", ["Q"]), "space group 225 has GM, X, L, W"),
        (("225", "a", "A1g", ["1,x,0"]), "three numbers"),
    ],
)
def test_what_is_not_there(arguments, message):
    with pytest.raises(IrrepnetError, match=message):
        describe_induction(*arguments)


@pytest.mark.parametrize(
    ("symbol", "number"),
    [("P 21/c", 14), ("f m -3 m", 225), ("F m 3 m", 225), ("Fd-3m", 227), ("R -3 m H", 166), ("C m c e", 64)],
)
def test_symbols_are_those_of_files(symbol, number):
    assert describe_induction(symbol)["spacegroup"]["number"] == number


def test_an_element_at_several_sites(tmp_path):
    layers = Structure(np.diag([3.0, 3, 8]), ["Cu", "Cu", "Cu"], [[0, 0, 0], [0.5, 0.5, 0.21], [0.5, 0.5, 0.79]])
    layers.to(filename=str(tmp_path / "POSCAR"))
    with pytest.raises(IrrepnetError, match="'Cu': several are; there are Cu:1a, Cu:2h"):
        describe_induction(tmp_path / "POSCAR", "Cu")
    assert describe_induction(tmp_path / "POSCAR", "Cu:2h")["site"]["site_group"] == "4mm"
