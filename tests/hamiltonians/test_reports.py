"""What there is to say about Hamiltonians, without the command line."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.hamiltonians.made import EXAMPLES, crystal_orbitals, random_hamiltonian

from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians import (
    Settings,
    action,
    embedded_hamiltonians,
    read_hamiltonian,
    reduced,
    symmetrised,
    write_hamiltonian,
)
from irrepnet.hamiltonians.bands import levels_at
from irrepnet.hamiltonians.blocks import bonds_within
from irrepnet.hamiltonians.dft.crystal_list import named_crystals
from irrepnet.hamiltonians.dft.generate import generate_named
from irrepnet.hamiltonians.reports import check_files, check_hamiltonian, count_parameters, draw_bands, list_embedded

CASES = [("NaCl", "Na:s,Cl:p"), ("Si", "sp"), ("TiO2", "Ti:d,O:p"), ("CaF2", "s"), ("SrTiO3", "Ti:d,O:p")]


@settings(max_examples=15)
@given(st.sampled_from(CASES), st.integers(0, 2**31), st.floats(1e-6, 10.0))
def test_the_check_sees_what_was_broken(case, seed, size):
    """Of a symmetric Hamiltonian nothing; of one element more, by how much and where."""
    hamiltonian = random_hamiltonian(*case, 2.5)
    whole = check_hamiltonian(hamiltonian)
    assert max(whole["hermiticity"], whole["symmetry"]) < 1e-10
    random = np.random.default_rng(seed)
    cell, i = random.integers(len(hamiltonian.R)), random.integers(len(hamiltonian))
    H = hamiltonian.H.copy()
    H[cell, i, i] += size
    report = check_hamiltonian(replace(hamiltonian, H=H))
    worst = report["blocks"][0]
    assert report["symmetry"] == worst["residual"] == max(each["residual"] for each in report["operations"])
    assert report["symmetry"] <= size * (1 + 1e-9)
    assert report["hermiticity"] == pytest.approx(size if hamiltonian.R[cell].any() else 0, abs=1e-10)
    assert worst["species"] == [hamiltonian.known_basis.species[site - 1] for site in worst["sites"]]
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_the_symmetrised_one_is_written(tmp_path):
    hamiltonian = random_hamiltonian("NaCl", "Na:s,Cl:p")
    H = hamiltonian.H.copy()
    H[0, 1, 1] += 0.3
    broken = replace(hamiltonian, H=H)
    check_hamiltonian(broken, write_to=tmp_path / "x.safetensors")
    again = read_hamiltonian(tmp_path / "x.safetensors")
    assert np.allclose(reduced(again).H, reduced(symmetrised(broken, action(broken.basis))).H)
    with pytest.raises(IrrepnetError, match="give a structure"):
        check_hamiltonian(replace(broken, basis=None), write_to=tmp_path / "y.safetensors")
    assert not (tmp_path / "y.safetensors").exists()


def test_one_bad_file_does_not_stop_the_others(tmp_path):
    write_hamiltonian(random_hamiltonian("NaCl", "Na:s,Cl:p"), tmp_path / "x.safetensors")
    (tmp_path / "bad_hr.dat").write_text("nothing\n")
    found = check_files([tmp_path / "bad_hr.dat", tmp_path / "x.safetensors", tmp_path / "none.toy"])
    assert [report["file"] for report in found["files"]] == [str(tmp_path / "x.safetensors")]
    assert ["bad_hr.dat" in found["errors"][0], "none.toy" in found["errors"][1]] == [True, True]
    with pytest.raises(IrrepnetError, match="bad_hr"):
        check_files([tmp_path / "bad_hr.dat"])
    with pytest.raises(IrrepnetError, match="one Hamiltonian"):
        check_files([tmp_path / "x.safetensors"] * 2, write_to=tmp_path / "y.safetensors")


@pytest.mark.parametrize(("formula", "shells"), CASES)
def test_counted_parameters_are_those_of_the_reduced_hamiltonian(formula, shells):
    report = count_parameters(EXAMPLES / f"{formula}.cif", shells, 2.5)
    hamiltonian = random_hamiltonian(formula, shells, 2.5)
    assert report["allowed"] == len(reduced(hamiltonian, cutoff=2.5))
    basis = crystal_orbitals(formula, shells)
    bonds = bonds_within(basis, 2.5)
    orbits = report["onsite"] + report["bonds"]
    assert sum(block["multiplicity"] for block in orbits) == len(bonds)
    assert all(0 < block["distance"] <= 2.5 for block in report["bonds"])


def test_bands(tmp_path):
    hamiltonian = random_hamiltonian("Si", "sp")
    write_hamiltonian(hamiltonian, tmp_path / "x.safetensors")
    report = draw_bands(tmp_path / "x.safetensors", tmp_path / "x.png", fermi=0.2)
    assert report["fermi"] == 0.2
    assert report["failures"] == []
    assert set(report["levels"]) == set(report["points"])
    assert (tmp_path / "x.png").stat().st_size > 5000
    for label, levels in report["levels"].items():
        energies = hamiltonian.eigenvalues(report["points"][label])
        assert sum(level["degeneracy"] for level in levels) == len(energies)
        repeated = np.repeat([level["energy"] for level in levels], [level["degeneracy"] for level in levels])
        assert np.allclose(repeated, energies, atol=1e-3)
    assert draw_bands(tmp_path / "x.safetensors", tmp_path / "x.png", irreps=False)["levels"] == {}
    plain = (tmp_path / "x.png").stat().st_size
    draw_bands(tmp_path / "x.safetensors", tmp_path / "x.png", irreps=False, weights=True, dos=True)
    assert (tmp_path / "x.png").stat().st_size > plain
    for name in ("x.png", "x.csv"):
        with pytest.raises(IrrepnetError, match="cannot be written"):
            draw_bands(tmp_path / "x.safetensors", tmp_path / "none" / name)


def test_bands_as_numbers(tmp_path):
    """The table and the document hold the path; the gap is that of the bands below the Fermi energy."""
    report = draw_bands("Si-diamond-1.00", tmp_path / "x.csv", irreps=False)
    rows = list(csv.reader((tmp_path / "x.csv").open(encoding="utf-8")))
    assert rows[0][:6] == ["distance [1/Å]", "label", "k1", "k2", "k3", "band 1 [eV]"]
    assert [row[1] for row in rows[1:] if row[1]][:3] == ["Γ", "X", "W"]
    assert np.allclose(np.array([row[5:] for row in rows[1:]], float), report["path"]["energies"])
    assert report["gap"]["fundamental"] == pytest.approx(0.6, abs=0.1)  # PBE
    assert draw_bands("Al-fcc-1.00", tmp_path / "x.csv", irreps=False)["gap"] is None


def test_levels_fail_point_by_point():
    """Where the bands do not obey the symmetry there are none, elsewhere there are."""
    hamiltonian = random_hamiltonian("NaCl", "Na:s,Cl:p")
    H = hamiltonian.H.copy()
    H[hamiltonian.index(np.zeros(3, int)), -1, -1] += 0.3
    points = {"Γ": np.zeros(3), "general": np.array([0.11, 0.23, 0.37])}
    levels, failures = levels_at(replace(hamiltonian, H=H), points)
    assert list(levels) == ["general"]
    assert len(failures) == 1
    levels, failures = levels_at(replace(hamiltonian, basis=None), points)
    assert levels == {}
    assert "give a structure" in failures[0]


def test_embedded():
    report = list_embedded()
    assert tuple(row["name"] for row in report["hamiltonians"]) == embedded_hamiltonians()
    json.dumps(report, allow_nan=False)


def test_names_of_crystals(tmp_path):
    tiny = Settings.checked(basis="SZV-MOLOPT-SR", cutoff=40.0)
    (own,) = named_crystals(str(EXAMPLES / "NaCl.cif"), tiny)
    assert (own.name, own.facts, own.settings) == ("NaCl", {"file": "NaCl.cif"}, tiny)
    scan = named_crystals("rocksalt:MgO:4.2", tiny, (1.0, 1.1))
    assert [request.name for request in scan] == ["MgO-rocksalt-1.00", "MgO-rocksalt-1.10"]
    assert len(named_crystals("released", tiny)) == len(embedded_hamiltonians())
    (tmp_path / "list.yaml").write_text("crystals:\n- {type: fcc, compounds: {He: 3.0}}\n")
    (listed,) = named_crystals(str(tmp_path / "list.yaml"), tiny)
    assert listed.settings == Settings()
    with pytest.raises(IrrepnetError, match="neither a file nor"):
        named_crystals("none.cif", tiny)


@pytest.mark.slow
def test_generation_tells_what_was_made_what_was_there_and_what_failed(tmp_path):
    pytest.importorskip("pyscf", reason="PySCF is not installed")
    tiny = Settings.checked(basis="SZV-MOLOPT-SR", cutoff=40.0, radius=5.0)
    seen = []

    def track(ended, total):
        for each in ended:
            seen.append((each.name, total))
            yield each

    report = generate_named(["fcc:La:5.3", "fcc:He:3.0"], tmp_path, tiny, track=track)
    assert report["made"] == ["He-fcc-1.00"]
    assert list(report["failures"]) == ["La-fcc-1.00"]
    assert seen == [("La-fcc-1.00", 2), ("He-fcc-1.00", 2)]
    again = generate_named(["fcc:He:3.0"], tmp_path, tiny)
    assert again == {"out": str(tmp_path), "made": [], "skipped": ["He-fcc-1.00"], "failures": {}}
