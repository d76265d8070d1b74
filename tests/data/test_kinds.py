"""Every kind of source gives the same records, and one bad row, frame or entry leaves the others alone."""

import gzip
import importlib.util
import json
import math
import sqlite3
import string
import subprocess
import sys
import warnings
from pathlib import Path

import ase.db
import ase.io
import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Composition, Lattice, Structure

from irrepnet.data import KINDS, Record, Rejection, read_records, site_array
from irrepnet.data.records import merged, plain
from irrepnet.errors import IrrepnetError

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared")
VOIGT = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]

numbers = st.floats(-9, 9).map(lambda x: round(x, 6))
"""What ASE writes of them, eight decimals, is all of them."""


def arrays(*shape: int) -> st.SearchStrategy[np.ndarray]:
    size = math.prod(shape)
    return st.lists(numbers, min_size=size, max_size=size).map(lambda values: np.reshape(values, shape))


@st.composite
def crystals(draw) -> Record:
    """A record with a number, a truth value, a text, tensors and arrays of its atoms, which may be nine."""
    n = draw(st.sampled_from([1, 2, 3, 9]))
    forces, charges = draw(arrays(n, 3)), draw(arrays(n, 3, 3))
    stress, permittivity = draw(arrays(3, 3)), draw(arrays(3, 3))
    lengths = draw(st.tuples(*[st.floats(3, 9)] * 3))
    angles = draw(st.tuples(*[st.floats(70, 110)] * 3))
    content = {
        "species": draw(st.lists(st.sampled_from(["Na", "Ti", "O", "H"]), min_size=n, max_size=n)),
        "frac_coords": draw(arrays(n, 3)) / 9,
        "lattice": Lattice.from_parameters(*lengths, *angles).matrix,
        "energy": draw(numbers),
        "forces": forces.tolist(),
        "stress": (stress + stress.T).tolist(),
        "born_charges": charges.tolist(),
        "permittivity": permittivity.tolist(),
        "label": draw(st.text(string.ascii_letters, min_size=1).filter(lambda text: text.lower() not in UNSAID)),
        "is_metal": draw(st.booleans()),
    }
    return Record.from_dict(content)


UNSAID = {"nan", "none", "null", "na", "t", "f", "true", "false", "inf", "infinity"}
"""Words that a text format takes for something else."""


def atoms_of(record: Record) -> Atoms:
    known = dict(record.properties)
    atoms = Atoms(record.species, scaled_positions=record.frac_coords, cell=record.lattice, pbc=True)
    atoms.calc = SinglePointCalculator(
        atoms,
        energy=known.pop("energy"),
        forces=known.pop("forces"),
        stress=[known["stress"][i][j] for i, j in VOIGT],
    )
    known.pop("stress")
    atoms.arrays["becs"] = np.array(known.pop("born_charges")).reshape(-1, 9)
    atoms.info = {**known, "permittivity": np.ravel(known["permittivity"])}
    return atoms


def line_of(record: Record) -> dict:
    crystal = {"species": record.species, "frac_coords": record.frac_coords, "lattice": record.lattice}
    return {key: plain(value) for key, value in crystal.items()} | record.properties


def assert_same(found: Record, expected: Record, atol: float = 1e-12):
    assert found.species == expected.species
    np.testing.assert_allclose(found.lattice, expected.lattice, atol=1e-9)
    np.testing.assert_allclose(found.frac_coords @ found.lattice, expected.frac_coords @ expected.lattice, atol=1e-7)
    assert found.properties.keys() == expected.properties.keys()
    for name, value in expected.properties.items():
        if isinstance(value, str | bool):
            assert found.properties[name] == value
        else:
            assert np.shape(found.properties[name]) == np.shape(value), name
            np.testing.assert_allclose(found.properties[name], value, atol=atol, err_msg=name)
    json.dumps(found.properties, allow_nan=False)


def write_jsonl(folder: Path, records: list[Record]) -> Path:
    path = folder / "r.jsonl"
    path.write_text("\n".join(json.dumps(line_of(record)) for record in records))
    return path


def write_json(folder: Path, records: list[Record]) -> Path:
    path = folder / "r.json"
    path.write_text(json.dumps([line_of(record) for record in records]))
    return path


def write_extxyz(folder: Path, records: list[Record]) -> Path:
    path = folder / "r.extxyz"
    ase.io.write(path, [atoms_of(record) for record in records], format="extxyz")
    path.with_suffix(".xyz.gz").write_bytes(gzip.compress(path.read_bytes()))
    return path.with_suffix(".xyz.gz")


def write_database(folder: Path, records: list[Record], name: str = "r.db") -> Path:
    (folder / name).unlink(missing_ok=True)
    database = ase.db.connect(folder / name)
    for record in records:
        atoms = atoms_of(record)
        atoms.info, atoms.arrays = {}, {key: atoms.arrays[key] for key in ("numbers", "positions")}
        own = {key: record.properties[key] for key in ("label", "is_metal")}
        data = {"bec": np.array(record.properties["born_charges"]), "permittivity": record.properties["permittivity"]}
        database.write(atoms, data=data, **own)
    return folder / name


def write_json_database(folder: Path, records: list[Record]) -> Path:
    return write_database(folder, records, "r_database.json")


def write_csv(folder: Path, records: list[Record], separator: str = ",") -> Path:
    path = folder / "r.csv"
    rows = [{key: json.dumps(value) for key, value in line_of(record).items()} for record in records]
    rows = [row | {"label": record.properties["label"]} for row, record in zip(rows, records)]
    pd.DataFrame(rows).to_csv(path, index=False, sep=separator)
    return path


def write_semicolons(folder: Path, records: list[Record]) -> Path:
    return write_csv(folder, records, ";")


def write_parquet(folder: Path, records: list[Record]) -> Path:
    pytest.importorskip("pyarrow")
    pd.DataFrame([line_of(record) for record in records]).to_parquet(folder / "r.parquet")
    return folder / "r.parquet"


def write_structures_in_parquet(folder: Path, records: list[Record]) -> Path:
    pytest.importorskip("pyarrow")
    rows = [{"structure": json.dumps(record.structure().as_dict()), **record.properties} for record in records]
    pd.DataFrame(rows).to_parquet(folder / "s.parquet")
    return folder / "s.parquet"


def make_frame(folder: Path, records: list[Record]) -> pd.DataFrame:
    return pd.DataFrame([{"final_structure": record.structure(), **record.properties} for record in records])


def make_list(folder: Path, records: list[Record]) -> list:
    structures = []
    for record in records:
        structure, known = record.structure(), dict(record.properties)
        for name in ("forces", "born_charges"):
            structure.add_site_property(name, known.pop(name))
        structure.properties = known
        structures.append(structure)
    return structures


def make_atoms(folder: Path, records: list[Record]) -> list:
    return [atoms_of(record) for record in records]


WAYS = [
    write_jsonl, write_json, write_extxyz, write_database, write_json_database, write_csv, write_semicolons,
    write_parquet, write_structures_in_parquet, make_frame, make_list, make_atoms,
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=15)
@given(records=st.lists(crystals(), min_size=1, max_size=3))
def test_every_kind_gives_the_records_back(way, records, tmp_path_factory):
    found, rejections = read_records(way(tmp_path_factory.getbasetemp(), records))
    assert rejections == []
    for record, expected in zip(found, records, strict=True):
        assert_same(record, expected, atol=2e-8 if way is write_extxyz else 1e-12)


def example(size: int = 2, number: float = 1.0) -> Record:
    sites = np.arange(size) / size
    content = {
        "species": ["Na", "Cl", "Br"][:size],
        "frac_coords": np.stack([sites, sites, sites], axis=1),
        "lattice": np.eye(3) * 5,
        "energy": number,
        "forces": np.arange(3.0 * size).reshape(size, 3) * number,
        "stress": np.array([[1.0, 6, 5], [6, 2, 4], [5, 4, 3]]),
        "born_charges": np.arange(9.0 * size).reshape(size, 3, 3),
        "permittivity": np.arange(9.0).reshape(3, 3),
        "label": "made",
        "is_metal": False,
    }
    return Record.from_dict(content)


# --- extended XYZ and ASE


FRAME = """2
Lattice="5 0 0 0 5 0 0 0 5" Properties=species:S:1:pos:R:3:{} energy=1.5 {}
Na 0 0 0 {}
Cl 2.5 2.5 2.5 {}
"""


def read_text(folder: Path, text: str) -> tuple:
    (folder / "f.extxyz").write_text(text)
    return read_records(folder / "f.extxyz")


def test_arrays_of_a_frame(tmp_path):
    nine = " ".join(map(str, range(9)))
    text = FRAME.format(
        "born_charge:R:9:forces:R:3:tag_of_atom:S:1", 'stress="1 2 3 4 5 6" charges="1 2"', *[nine + " 0 0 1 a"] * 2
    )
    (record,), rejections = read_text(tmp_path, text)
    assert rejections == []
    assert record.id == "f"
    assert record.properties["energy"] == 1.5
    assert record.properties["stress"] == [[1, 6, 5], [6, 2, 4], [5, 4, 3]]
    assert record.properties["born_charges"] == [np.arange(9.0).reshape(3, 3).tolist()] * 2
    assert record.properties["tag_of_atom"] == ["a", "a"]
    np.testing.assert_array_equal(site_array(record, "forces"), [[0, 0, 1]] * 2)


def test_bad_frames_leave_the_others_alone(tmp_path):
    good = FRAME.format("forces:R:3", "", "0 0 1", "0 0 1")
    bad = {
        "no Lattice": "1\nProperties=species:S:1:pos:R:3 energy=-1.0 pbc=\"F F F\"\nNa 0 0 0\n",
        "periodic in all three": good.replace("energy", 'pbc="T T F" energy'),
        "cannot be read as extended XYZ": good.replace("Cl 2.5", "Cl x"),
        "unknown element 'Qq'": good.replace("Cl", "Qq"),
        "no pos": good.replace("pos:R", "force:R"),
        "not symmetric": good.replace("energy", 'stress="1 2 3 4 5 6 7 8 9" energy'),
        "expecting special 3x3": good.replace("energy", 'stress="1 2 3" energy'),
        "holds no atoms": "0\n" + good.splitlines()[1] + "\n",
        "line 31: 'nonsense' is not the number": "nonsense\nmore of it\n",
        "given twice": good.replace("forces:R:3", "becs:R:1:bec:R:2").replace("Cl", "Cl"),
        "ends after 2 of 3 atoms": "3" + good[1:],
    }  # fmt: skip
    text = "".join(good + wrong for wrong in bad.values())
    records, rejections = read_text(tmp_path, text)
    assert len(records) == len(bad)
    for rejection, reason in zip(rejections, bad, strict=True):
        assert reason.partition(":")[2] in rejection.reason or reason in rejection.reason
        assert str(tmp_path / "f.extxyz") in rejection.reason
    ids = [*(record.id for record in records), *(rejection.id for rejection in rejections)]
    assert sorted(ids) == sorted(f"f:{k + 1}" for k in range(2 * len(bad)))


def test_columns_without_a_name_are_said(tmp_path):
    text = FRAME.format("forces:R:3", "", "0 0 1 7", "0 0 1 7")
    with pytest.warns(UserWarning, match=r"f\.extxyz: f: Properties names 7 columns"):
        records, _ = read_text(tmp_path, text)
    assert len(records) == 1


def test_moments_and_results_go_together(tmp_path):
    (record,), rejections = read_text(tmp_path, FRAME.format("initial_magmoms:R:1:magmoms:R:1", "", "1 2", "3 4"))
    assert rejections == []
    assert record.properties["initial_magmoms"] == [1, 3]
    assert record.properties["magmoms"] == [2, 4]


def test_symbols_with_charges_and_isotopes_in_extended_xyz(tmp_path):
    (record,), _ = read_text(
        tmp_path, FRAME.format("forces:R:3", "", *["0 0 1"] * 2).replace("Na", "D").replace("Cl", "FE3+")
    )
    assert record.species == ("H", "Fe")
    assert record.properties["energy"] == 1.5


@settings(max_examples=200)
@given(
    text=st.lists(
        st.sampled_from([*FRAME.format("forces:R:3", "", *["0 0 1"] * 2).splitlines(), "1", "3", "", "Na 0 0 0", "x=y"])
        | st.text(max_size=20),
        max_size=14,
    ).map("\n".join)
)
def test_any_lines_are_frames_or_rejections(text, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any.extxyz"
    path.write_text(text, encoding="utf-8", errors="replace")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not text.strip():
            with pytest.raises(IrrepnetError, match=r"any\.extxyz: holds no crystal"):
                read_records(path)
            return
        records, rejections = read_records(path)
    assert records or rejections
    assert all("any.extxyz" in rejection.reason for rejection in rejections)


def test_atoms_that_are_no_crystal_or_have_old_results():
    good, stale, molecule, shared, strange = (atoms_of(example()) for _ in range(5))
    stale.rattle(0.1)
    molecule.pbc = False
    shared.info["occupancy"] = {"0": {"Na": 0.5, "K": 0.5}, "1": {"Cl": 1.0}}
    strange.info["spacegroup"] = object()
    with pytest.warns(UserWarning, match="5: spacegroup is left out: object"):
        records, rejections = read_records([good, stale, molecule, shared, strange])
    assert [record.id for record in records] == ["1", "5"]
    for rejection, reason in zip(
        rejections, ["another geometry", "periodic in all three", "is disordered"], strict=True
    ):
        assert reason in rejection.reason


def test_energy_given_twice():
    atoms = atoms_of(example())
    atoms.info["energy"] = atoms.calc.results["energy"]
    assert read_records(atoms)[0][0].properties["energy"] == 1.0
    atoms.info["energy"] = 2.0
    assert "energy is given twice" in read_records(atoms)[1][0].reason


def test_bad_rows_of_a_database(tmp_path):
    path = write_database(tmp_path, [example(), example(1), example(3)])
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE systems SET positions = x'00' WHERE id = 2")
    ase.db.connect(path).write(Atoms("He"))
    records, rejections = read_records(path)
    assert [record.id for record in records] == ["r:1", "r:3"]
    assert [rejection.id for rejection in rejections] == ["r:2", "r:4"]
    assert f"{path}: row 2" in rejections[0].reason


@pytest.mark.parametrize(
    "write", [lambda p: p.write_text("hello"), lambda p: sqlite3.connect(p).execute("CREATE TABLE t (x)")]
)
def test_other_databases_are_refused_and_stay_as_they_are(tmp_path, write):
    path = tmp_path / "o.db"
    write(path)
    before = path.read_bytes()
    with pytest.raises(IrrepnetError, match="no ASE database"):
        read_records(path)
    assert path.read_bytes() == before


def test_a_bad_entry_of_json(tmp_path):
    path = tmp_path / "l.json"
    good = line_of(example())
    path.write_text(json.dumps([good, {"id": "q", **good, "species": ["Na", "Q"]}, 3, example().structure().as_dict()]))
    records, rejections = read_records(path)
    assert [record.id for record in records] == ["l:1", "l:4"]
    assert [rejection.id for rejection in rejections] == ["q", "l:3"]
    assert "unknown element 'Q'" in rejections[0].reason


# --- tables


@pytest.fixture
def files(tmp_path):
    """A CIF, a POSCAR and a frame in a folder."""
    (tmp_path / "cells").mkdir()
    structure = example().structure()
    structure.to(str(tmp_path / "a.cif"), fmt="cif")
    structure.to(str(tmp_path / "cells" / "POSCAR"), fmt="poscar")
    ase.io.write(tmp_path / "c.extxyz", atoms_of(example()))
    return tmp_path


TABLE = [
    {"material_id": "x", "file": "a.cif", "gap": 1, "metal": "True", "tensor": "[[1, 2], [3, 4]]", "element": "Na"},
    {"material_id": "y", "file": "cells/POSCAR", "gap": None, "metal": "false", "tensor": "", "element": "na"},
    {"material_id": "z", "file": "lost.cif", "gap": 3, "metal": "", "tensor": "", "element": ""},
    {"material_id": "007", "file": "c.extxyz", "gap": 1.5e-3, "metal": "", "tensor": "[1, 2", "element": ""},
    {"material_id": "u", "file": "c.extxyz", "gap": "inf", "metal": "", "tensor": "", "element": ""},
    {"material_id": "x", "file": "a.cif", "gap": 2, "metal": "", "tensor": "", "element": ""},
]


@pytest.mark.parametrize("column", ["file", "Filename", "path", "structure", "where it lies"])
@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet"])
def test_table_of_files(files, column, ending):
    path = files / f"t{ending}"
    frame = pd.DataFrame(TABLE).rename(columns={"file": column})
    if ending == ".parquet":
        pytest.importorskip("pyarrow")
        frame.astype(str).to_parquet(path)
    else:
        frame.to_csv(path, index=False)
    if column.startswith("where"):
        frame.loc[2, column] = "a.cif"  # a lost file with an ending counts as one
    records, rejections = read_records(path)
    assert [(r.id, r.formula) for r in records][:3] == [("x", "NaCl"), ("y", "NaCl"), ("007", "NaCl")]
    assert "lost.cif: no such file" in rejections[0].reason
    assert str(path) in rejections[0].reason
    assert "came before" in rejections[-1].reason
    if ending != ".parquet":
        first, second, third = (record.properties for record in records)
        assert first == {"gap": 1, "metal": True, "tensor": [[1, 2], [3, 4]], "element": "Na"}
        assert second == {"gap": None, "metal": False, "tensor": None, "element": None}
        assert third["gap"] == 1.5e-3
        assert third["energy"] == 1.0
        assert third["tensor"] == "[1, 2"
        assert "infinite" in rejections[1].reason
        assert ":4: " in rejections[0].reason


def test_an_index_that_pandas_wrote(files):
    frame = pd.DataFrame({"file": ["a.cif", "c.extxyz"], "gap": [1, 2]}, index=[3, 7])
    frame.to_csv(files / "t.csv")
    paths = [files / "t.csv"]
    if importlib.util.find_spec("pyarrow"):
        frame.to_parquet(files / "t.parquet")
        paths.append(files / "t.parquet")
    for path in paths:
        records, _ = read_records(path)
        assert [record.id for record in records] == ["3", "7"]
        assert records[0].properties == {"gap": 1}


def test_rows_of_csv_that_are_too_long_or_short(files):
    (files / "t.csv").write_text("file,gap\na.cif,1\na.cif\na.cif,1,2\n\nc.extxyz,2\n")
    records, rejections = read_records(files / "t.csv")
    assert [record.id for record in records] == ["a.cif", "c.extxyz"]
    assert [rejection.reason.partition("t.csv")[2] for rejection in rejections] == [
        ":3: 1 cells, the header has 2", ":4: 3 cells, the header has 2"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a,a,file\n1,2,a.cif\n", "two columns are called 'a'"),
        ("one,two\na.cif,a.cif\n", "one and two hold such"),
        ("one,two\n1,2\n", "the columns are 'one', 'two'"),
        ("one,two\n", "holds no crystal"),
        ("", "holds no crystal"),
        ("file,\xff\n", "holds no crystal"),
    ],
)
def test_tables_that_cannot_be_read(files, text, reason):
    (files / "t.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(IrrepnetError, match=rf"t\.csv: .*{reason}"):
        read_records(files / "t.csv")


def test_a_quote_that_is_never_closed(files):
    (files / "t.csv").write_text('file,gap\n"a.cif,1\nc.extxyz,2\n')
    records, rejections = read_records(files / "t.csv")
    assert not records
    assert "1 cells, the header has 2" in rejections[0].reason


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "..", "/", "a\nb", "{", "[", "~", "*", "a.cif/b"])
def test_hostile_names_in_a_table_and_as_a_source(files, name):
    records, rejections = read_records(pd.DataFrame({"file": [str(files / "a.cif"), name], "gap": [1, 2]}))
    assert len(records) == len(rejections) == 1
    assert len(rejections[0].reason) < 400
    if name not in ("..", "/", "*"):
        with pytest.raises(IrrepnetError, match=r"no such file|no kind of source"):
            read_records(name)


@settings(max_examples=100)
@given(
    text=st.lists(
        st.lists(
            st.sampled_from(["file", "id", "a.cif", "1", '"', "[1", "{}", "nan"]) | st.text(max_size=5), max_size=4
        ).map(",".join),
        max_size=5,
    ).map("\n".join)
)
def test_any_table_is_read_or_refused(text, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_text(text, encoding="utf-8", errors="replace")
    try:
        records, rejections = read_records(path)
    except IrrepnetError as error:
        records, rejections = [], [Rejection("", str(error))]
    assert not records
    assert all("any.csv" in rejection.reason for rejection in rejections)


def test_a_frame_with_odd_cells():
    structure = example().structure()
    frame = pd.DataFrame(
        {
            "structure": [structure, None, structure, "rock salt"],
            "composition": [Composition("NaCl")] * 4,
            "gap": [np.float32(1.5), 2.0, np.nan, 1.0],
            "tensor": [np.eye(3)] * 4,
            "day": pd.to_datetime(["2020-01-01"] * 4),
            "odd": [{1, 2}] * 4,
        },
        index=pd.Index(["a", "b", "c", "d"], name="material_id"),
    )
    with pytest.warns(UserWarning, match="DataFrame: a: odd is left out: set"):
        records, rejections = read_records(frame)
    assert [record.id for record in records] == ["a", "c"]
    assert records[0].properties == {
        "composition": {"Na": 1, "Cl": 1}, "gap": 1.5, "tensor": np.eye(3).tolist(), "day": "2020-01-01T00:00:00"
    }  # fmt: skip
    assert records[1].properties["gap"] is None
    assert "no crystal in the column structure" in rejections[0].reason
    assert "DataFrame: row" in rejections[0].reason


def test_parquet_without_pyarrow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    with pytest.raises(IrrepnetError, match=r"irrepnet\[parquet\]"):
        read_records(tmp_path / "t.parquet")


def test_damaged_parquet(tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "t.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(IrrepnetError, match="cannot be read as Parquet"):
        read_records(tmp_path / "t.parquet")


# --- folders and lists


def test_folder_of_structure_files(files):
    (files / "README").write_text("not a crystal")
    (files / "b.cif").write_text("nor this")
    records, rejections = read_records(files)
    assert [(record.id, record.formula) for record in records] == [("a", "NaCl"), ("c", "NaCl")]
    assert [rejection.id for rejection in rejections] == ["b"]
    (files / "a.vasp").write_bytes((files / "cells" / "POSCAR").read_bytes())
    assert [record.id for record in read_records(files)[0]] == ["a.cif", "a.vasp", "c.extxyz"]


def test_id_prop_with_files_of_other_kinds(files):
    (files / "d.vasp").write_bytes((files / "cells" / "POSCAR").read_bytes())
    (files / "id_prop.csv").write_text("a,1\nc.extxyz,2\nd,3\ncells/POSCAR,4\nb,5\n")
    records, rejections = read_records(files)
    assert [(r.id, r.properties["target"]) for r in records] == [
        ("a", 1),
        ("c.extxyz", 2),
        ("d", 3),
        ("cells/POSCAR", 4),
    ]
    assert "energy" in records[1].properties
    assert "b.cif: no such file" in rejections[0].reason


def test_one_crystal_and_mixed_lists():
    record = example()
    for single in (record, record.structure(), atoms_of(record), line_of(record)):
        assert [r.formula for r in read_records(single)[0]] == ["NaCl"]
    mixed = [record.structure(), {**line_of(record), "id": "own"}, "a.cif", None, {}, atoms_of(record)]
    records, rejections = read_records(iter(mixed))
    assert [r.id for r in records] == ["1", "own", "6"]
    assert [r.id for r in rejections] == ["3", "4", "5"]
    assert "not a str" in rejections[0].reason
    again, twice = read_records([*records, records[0]])
    assert [r.id for r in again] == ["1", "own", "6"]
    assert "came before" in twice[0].reason


@pytest.mark.parametrize("source", [None, 3, b"a.cif", [], {}, pd.DataFrame()])
def test_no_source(source):
    with pytest.raises(IrrepnetError, match=r"no kind of source|holds no crystal"):
        read_records(source)


def test_files_of_unknown_kind_name_the_kinds(tmp_path):
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(IrrepnetError, match=r"a\.txt: no kind of source") as refusal:
        read_records(tmp_path / "a.txt")
    assert all(kind.name in str(refusal.value) for kind in KINDS)


def test_documents_name_every_kind():
    text = (ROOT / "docs/data.md").read_text().replace("`", "").replace("*", "").lower()
    for kind in KINDS:
        name, _, patterns = kind.name.removesuffix(")").partition(" (")
        for word in [name.partition(":")[0].removeprefix("one "), *patterns.split(", ")]:
            assert word.lower().replace("*", "").removesuffix(".gz") in text, word


def test_ase_and_pandas_are_imported_only_where_they_are_needed():
    code = "import sys, irrepnet.data; sys.exit('ase' in sys.modules or 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- arrays of atoms


@given(crystals())
@settings(max_examples=20)
def test_site_arrays(record):
    for name in ("forces", "born_charges"):
        array = site_array(record, name)
        assert array.dtype == float
        np.testing.assert_array_equal(array, record.properties[name])


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "no value of x; its arrays: forces"),
        (1.0, "x has no rows, the crystal has 2 atoms"),
        ([1.0], "x has 1 rows"),
        ([[1, 2], [1]], r"site 2 \(Cl\) has shape \(1,\)"),
        ([[1, [2]], [1, 2]], r"site 1 \(Na\) is"),
        ([[1, "2"], [1, 2]], "not an array of numbers"),
        ([[1, None], [1, 2]], "missing or not finite"),
        ([[1, 2], [1, math.inf]], r"site 2 \(Cl\) has a number that is missing"),
        ([None, 1], "site 1 .* missing"),
        ([{}, {}], "not an array of numbers"),
        ([[], []], "shape"),
        ("ab", "no rows"),
    ],
)
def test_arrays_that_are_none_of_the_atoms(value, reason):
    record = example().with_properties({"x": value})
    with pytest.raises(IrrepnetError, match=reason):
        site_array(record, "x")


def test_merged():
    assert merged({"a": None, "b": 1}, {"a": 2, "b": None}) == {"a": 2, "b": 1}
    with pytest.raises(IrrepnetError, match="a is given twice"):
        merged({"a": 1}, {"a": 2})


# --- real files


@needs_shared
def test_real_frames():
    records, rejections = read_records(SHARED / "data/batio3_polarization.extxyz.gz")
    assert (len(records), rejections) == (59, [])
    for record in records[::10]:
        assert site_array(record, "born_charges").shape == (135, 3, 3)
        assert site_array(record, "forces").shape == (135, 3)
        # the charges of a neutral crystal sum up to 0, here as good as they were published
        assert np.abs(site_array(record, "born_charges").mean(axis=0)).max() < 0.02
        np.testing.assert_array_equal(record.properties["stress"], np.transpose(record.properties["stress"]))
    with gzip.open(SHARED / "data/batio3_polarization.extxyz.gz", "rt") as lines:
        _, comment, first = (next(lines) for _ in range(3))
    polarizability = comment.partition('polarizability="')[2].partition('"')[0].split()
    np.testing.assert_array_equal(np.ravel(records[0].properties["polarizability"]), list(map(float, polarizability)))
    charges = list(map(float, first.split()[4:13]))
    np.testing.assert_array_equal(np.ravel(records[0].properties["born_charges"][0]), charges)


@needs_shared
def test_real_born_charges():
    records, rejections = read_records(SHARED / "data/born_charges.jsonl.gz")
    assert (len(records), rejections) == (1309, [])
    for record in records:
        assert site_array(record, "born_charges").shape == (len(record), 3, 3)
        assert np.abs(site_array(record, "born_charges").sum(axis=0)).max() < 1e-5


@needs_shared
def test_cases_of_users():
    records, rejections = read_records(SHARED / "cases/20-extxyz-with-isolated-atoms/train.extxyz")
    assert [record.id for record in records] == ["train:2", "train:3", "train:4"]
    assert [rejection.id for rejection in rejections] == ["train:1"]
    records, rejections = read_records(SHARED / "cases/20-extxyz-with-isolated-atoms/list.json")
    assert (len(records), len(rejections)) == (1, 1)
    records, rejections = read_records(SHARED / "cases/24-id-prop-with-poscars/data")
    assert [record.properties for record in records] == [{"target": 0.1}, {"target": 0.2}]
    assert rejections == []


def test_structures_of_a_file_stay_what_they_were(tmp_path):
    """Oracle: pymatgen's own Structure of the same arrays."""
    atoms = atoms_of(example(3))
    ase.io.write(tmp_path / "a.extxyz", atoms)
    structure = Structure(atoms.cell.array, atoms.get_chemical_symbols(), atoms.positions, coords_are_cartesian=True)
    (record,), _ = read_records(tmp_path / "a.extxyz")
    np.testing.assert_allclose(record.frac_coords, structure.frac_coords, atol=1e-8)


def test_documents_of_the_materials_project(tmp_path):
    """A Structure under `structure`, in JSON lines, in a list in a file, and in Python."""
    structure = example().structure()
    document = {
        "material_id": "mp-22862",
        "structure": structure.as_dict(),
        "band_gap": 5.0,
        "symmetry": {"number": 225},
    }
    (tmp_path / "a.jsonl").write_text(json.dumps(document))
    (tmp_path / "a.json").write_text(json.dumps([document]))
    for source in (tmp_path / "a.jsonl", tmp_path / "a.json", document, [document]):
        (record,), rejections = read_records(source)
        assert (record.id, record.formula, rejections) == ("mp-22862", "NaCl", [])
        assert record.properties == {"band_gap": 5.0, "symmetry": {"number": 225}}
