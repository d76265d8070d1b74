import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Structure

from irrepnet.data import DATASETS, QUANTITIES, embedded, read_records, sets
from irrepnet.errors import IrrepnetError

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT / ".." / "shared" / "data"
COUNTS = {
    "formation_energy_2015": (3938, 0),
    "elastic_tensor_2015": (1181, 17),
    "dielectric_constant": (1056, 6),
    "piezoelectric_tensor": (941, 209),
}


@pytest.fixture(scope="module")
def convert(script):
    return script("convert_matminer")


def test_four_sets_are_described():
    assert {name: (data.count, data.doubtful) for name, data in DATASETS.items()} == COUNTS
    for data in DATASETS.values():
        assert all(target in QUANTITIES for target in data.targets)
        assert "CC BY 4.0" in data.licence
        assert all("doi:" in citation for citation in data.citation)
    assert sum(path.stat().st_size for path in sets.FOLDER.iterdir()) < 2e6


@pytest.mark.parametrize("name", COUNTS)
def test_set_reads_as_described(name):
    records, rejections = read_records(name)
    assert rejections == []
    assert len({r.id for r in records}) == len(records) == COUNTS[name][0]
    assert sum(r.properties.get("frame_doubtful", False) for r in records) == COUNTS[name][1]
    for target in DATASETS[name].targets:
        assert all(r.properties[target] is not None for r in records)


def test_piezoelectric_records_are_in_the_frame_of_their_tensors():
    record = next(r for r in embedded("piezoelectric_tensor") if r.id == "mp-22925")  # AgI, zinc blende
    cubic_axes = np.linalg.inv(record.lattice) * 2 * 3.320466
    np.testing.assert_allclose(np.abs(cubic_axes), np.ones((3, 3)), atol=1e-5)
    turn = np.linalg.solve(np.array(record.properties["lattice_original"]), record.lattice)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-6)


def test_changed_file_is_refused(monkeypatch, tmp_path):
    data = DATASETS["dielectric_constant"]
    (tmp_path / data.file).write_bytes(data.read_bytes() + b"x")
    monkeypatch.setattr(sets, "FOLDER", tmp_path)
    with pytest.raises(IrrepnetError, match=r"dielectric_constant\.jsonl\.gz: sha256 is"):
        embedded("dielectric_constant")
    with pytest.raises(IrrepnetError, match="No such file"):
        replace(data, file="gone").read_bytes()
    with pytest.raises(IrrepnetError, match="no embedded set 'x'"):
        embedded("x")


@pytest.mark.parametrize("name", COUNTS)
def test_against_the_shared_copy(name):
    path = SHARED / f"{name}.jsonl.gz"
    if not path.exists():
        pytest.skip("../shared not present: no independent copy of the embedded sets")
    ours, theirs = embedded(name), read_records(path)[0]
    assert [r.id for r in ours] == [r.id for r in theirs]
    assert [(r.species, r.properties["point_group"]) for r in ours] == [
        (r.species, r.properties["point_group"]) for r in theirs
    ]
    for attribute in ("lattice", "frac_coords"):
        a, b = (np.concatenate([getattr(r, attribute) for r in records]) for records in (ours, theirs))
        np.testing.assert_allclose(a, b, atol=2e-8)
    for key in theirs[0].properties.keys() - {"point_group"}:
        digits = {"rtol": 0.01, "atol": 1e-8} if key.startswith("frame_residual") else {"rtol": 1e-12, "atol": 2e-8}
        a, b = (np.array([r.properties[key] for r in records]) for records in (ours, theirs))
        np.testing.assert_allclose(a, b, **digits)


@pytest.mark.slow
def test_shared_source_of_31127_crystals():
    path = SHARED / "mp_2018.jsonl.gz"
    if not path.exists():
        pytest.skip("../shared not present: mp_2018 is not read")
    records, rejections = read_records(path)
    assert (len(records), len(rejections)) == (31127, 0)
    assert sum(r.properties["point_group"] == "m-3m" for r in records) == 4194


# The script's frame residual, on tensors whose answer is known.

CUBE = np.array([[[s0 * (i == p0), s1 * (i == p1), s2 * (i == p2)] for i in range(3)]
                 for p0, p1, p2 in ((0, 1, 2), (1, 2, 0), (2, 0, 1), (1, 0, 2), (0, 2, 1), (2, 1, 0))
                 for s0 in (1, -1) for s1 in (1, -1) for s2 in (1, -1)], dtype=float)  # fmt: skip


def test_residual_of_known_tensors(convert):
    assert convert.frame_residual(np.eye(3), CUBE) == 0
    assert convert.frame_residual(np.diag([1.0, 1.0, 2.0]), CUBE) == 0.5
    assert convert.frame_residual(np.zeros((3, 3)), CUBE) == 0
    assert convert.frame_residual(np.ones((3, 3, 3)), CUBE) == 2  # inversion


def test_voigt_components(convert):
    stiffness = np.zeros((6, 6))
    stiffness[:3, :3] = 1.0 + 2.0 * np.eye(3)  # c11 = 3, c12 = 1, c44 = (c11 - c12) / 2: isotropic
    stiffness[3:, 3:] = np.eye(3)
    tensor = convert.cartesian_tensor(stiffness)
    d = np.eye(3)
    isotropic = np.einsum("ij,kl->ijkl", d, d) + np.einsum("ik,jl->ijkl", d, d) + np.einsum("il,jk->ijkl", d, d)
    np.testing.assert_array_equal(tensor, isotropic)
    e14 = np.zeros((3, 6))
    e14[0, 3] = e14[1, 4] = e14[2, 5] = 1.0
    tensor = convert.cartesian_tensor(e14)
    assert tensor[0, 1, 2] == tensor[0, 2, 1] == tensor[1, 0, 2] == tensor[2, 1, 0] == 1
    assert tensor.sum() == 6


def test_operations_follow_the_lattice(convert):
    salt = Structure([[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]], ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    operations = convert.point_operations(salt, 0.01)
    assert {tuple(np.round(g).ravel()) for g in operations} == {tuple(g.ravel()) for g in CUBE}


def test_script_reproduces_a_line(convert):
    """One row in the source's form gives the line that is shipped."""
    name = "dielectric_constant"
    line = json.loads(gzip.decompress(DATASETS[name].read_bytes()).splitlines()[0])
    row = {key: json.dumps(line[key]) for key in DATASETS[name].targets} | {"material_id": line["material_id"]}
    row["poscar"] = (
        "Rb2 Te1\n1.0\n5.271776 0.000000 3.043661\n1.757259 4.970278 3.043661\n0.000000 0.000000 6.087323\n"
        "Rb Te\n2 1\ndirect\n0.250000 0.250000 0.250000 Rb\n0.750000 0.750000 0.750000 Rb\n"
        "0.000000 0.000000 0.000000 Te\n"
    )
    assert convert.convert(row, next(entry for entry in convert.SETS if entry["name"] == name)) == line
