import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from irrepnet.data import data_hash, read_records, target_values
from irrepnet.errors import IrrepnetError

GOLDEN = Path(__file__).parent / "golden.jsonl"
LINE = json.loads(GOLDEN.read_text().splitlines()[0])


def test_golden_file():
    records, rejections = read_records(GOLDEN)
    assert rejections == []
    assert [r.id for r in records] == ["rock-salt", "wurtzite", "4", "turned"]
    assert [r.formula for r in records] == ["NaCl", "ZnO", "Fe", "Ti"]
    assert {r.source for r in records} == {str(GOLDEN)}
    np.testing.assert_array_equal(target_values(records, "band_gap"), [5, np.nan, 0, np.nan])
    np.testing.assert_array_equal(target_values(records, "formation_energy_per_atom"), [-2.1, -1.8, np.nan, np.nan])
    hexagonal = records[1].lattice
    assert np.linalg.norm(hexagonal, axis=1) == pytest.approx([3.25, 3.25, 5.2])
    assert hexagonal[0] @ hexagonal[1] == pytest.approx(-(3.25**2) / 2)
    assert 4 * np.abs(np.linalg.det(records[2].lattice)) == pytest.approx(2 * 2.866**3 * 4 / 27**0.5 * 2, rel=1e-5)


def test_tensor_frame_is_the_lattice_of_the_record():
    turned = read_records(GOLDEN)[0][3]
    assert turned.lattice.tolist() == [[0, 4, 0], [-4, 0, 0], [0, 0, 5]]
    assert turned.properties == {"d": [[1.0]], "lattice_original": [[4, 0, 0], [0, 4, 0], [0, 0, 5]]}


def test_compression_does_not_matter(tmp_path):
    zipped = tmp_path / "golden.jsonl.gz"
    zipped.write_bytes(gzip.compress(GOLDEN.read_bytes()))
    misnamed = tmp_path / "golden.jsonl"
    shutil.copy(zipped, misnamed)
    hashes = {data_hash(read_records(path)[0]) for path in (GOLDEN, zipped, misnamed)}
    assert len(hashes) == 1


def test_bad_lines_are_reported_and_the_rest_is_read(tmp_path):
    good = json.dumps(LINE)
    bad = [
        '{"material_id": "cut',
        "[1, 2]",
        "\xff",
        json.dumps(LINE | {"id": 9, "material_id": None, "species": ["Q"]}),
    ]
    path = tmp_path / "some.jsonl"
    path.write_bytes("\n".join([*bad, good, good]).encode("latin-1"))
    records, rejections = read_records(path)
    assert [r.id for r in records] == ["rock-salt"]
    assert [r.id for r in rejections] == ["1", "2", "3", "9", "rock-salt"]
    reasons = ["not JSON", "not a JSON object", "not JSON", "Q", "came before"]
    for number, (rejection, reason) in enumerate(zip(rejections, reasons, strict=True), start=1):
        assert reason in rejection.reason
        assert str(path) in rejection.reason
        assert f":{number}: " in rejection.reason or number == 5


def test_damaged_and_missing_sources(tmp_path):
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n\n")
    with pytest.raises(IrrepnetError, match=r"empty\.jsonl: holds no crystal"):
        read_records(empty)
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(gzip.compress(GOLDEN.read_bytes() * 50)[:-30])
    with pytest.raises(IrrepnetError, match=r"cut\.jsonl\.gz: damaged file"):
        read_records(cut)
    with pytest.raises(IrrepnetError, match="did you mean dielectric_constant"):
        read_records("dielectric_constants")
    with pytest.raises(IrrepnetError, match="embedded sets: formation_energy_2015"):
        read_records(tmp_path / "nothing.jsonl")


@pytest.fixture
def cifs(tmp_path):
    for record in read_records(GOLDEN)[0][:2]:
        record.structure().to(str(tmp_path / f"{record.id}.cif"), fmt="cif")
    return tmp_path


def test_folder_of_cifs_without_header(cifs):
    (cifs / "id_prop.csv").write_text("rock-salt,-2.1\nwurtzite,nan\n")
    records, rejections = read_records(cifs)
    assert rejections == []
    assert [(r.id, r.formula) for r in records] == [("rock-salt", "NaCl"), ("wurtzite", "ZnO")]
    np.testing.assert_array_equal(target_values(records, "target"), [-2.1, np.nan])
    original = read_records(GOLDEN)[0]
    assert records[0].structure().matches(original[0].structure())


def test_folder_of_cifs_with_header(cifs):
    (cifs / "id_prop.csv").write_text(
        "\ufeffid, formation_energy_per_atom, band_gap\nrock-salt.cif, -2.1, 5\nwurtzite, -1.8,\n"
    )
    records, _ = read_records(cifs)
    assert [r.id for r in records] == ["rock-salt.cif", "wurtzite"]
    assert records[0].properties == {"formation_energy_per_atom": -2.1, "band_gap": 5}
    np.testing.assert_array_equal(target_values(records, "band_gap"), [5, np.nan])


def test_folder_with_several_unnamed_targets(cifs):
    (cifs / "id_prop.csv").write_text("rock-salt,-2.1,5.0\n")
    assert read_records(cifs)[0][0].properties == {"target": -2.1, "target_2": 5.0}


def test_bad_rows_of_a_folder(cifs):
    (cifs / "broken.cif").write_text("data_broken\n_cell_length_a x\n")
    rows = [
        "rock-salt,1",
        "lost,2",
        "broken,3",
        "wurtzite,high",
        "wurtzite,1,2",
        "wurtzite,inf",
        "rock-salt,4",
    ]
    (cifs / "id_prop.csv").write_text("\n".join(rows))
    records, rejections = read_records(cifs)
    assert [r.id for r in records] == ["rock-salt"]
    reasons = [
        "lost.cif",
        "broken.cif",
        "'high', not a number",
        "2 values, 1 were expected",
        "infinite",
        "came before",
    ]
    for number, (rejection, reason) in enumerate(zip(rejections, reasons, strict=True), start=2):
        assert reason in rejection.reason
        assert f"id_prop.csv:{number}: " in rejection.reason or reason == "came before"


def test_folder_without_table(tmp_path):
    with pytest.raises(IrrepnetError, match=r"no id_prop\.csv and no structure file"):
        read_records(tmp_path)
    (tmp_path / "id_prop.csv").write_text("")
    with pytest.raises(IrrepnetError, match="holds no crystal"):
        read_records(tmp_path)


def test_structure_files(cifs):
    records, _ = read_records(cifs / "rock-salt.cif")
    assert [(r.id, r.formula, r.properties) for r in records] == [("rock-salt", "NaCl", {})]
    poscar = cifs / "POSCAR"
    records[0].structure().to(str(poscar), fmt="poscar")
    assert read_records(poscar)[0][0].formula == "NaCl"
    (cifs / "bad.cif").write_text("nonsense")
    records, rejections = read_records(cifs / "bad.cif")
    assert records == []
    assert rejections[0].id == "bad"
    assert "bad.cif" in rejections[0].reason
