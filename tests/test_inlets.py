"""What comes in may be hostile: bombs, counts without atoms, names that no file can hold."""

import gzip
import json
import subprocess
import sys
import time
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from irrepnet.crystals import read_cell
from irrepnet.crystals.pairs import close_pairs, sorted_pairs
from irrepnet.data import read_records
from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians import Hamiltonian
from irrepnet.hamiltonians.dft.crystal_list import read_list
from irrepnet.inlets import fraction_of, yaml_value
from irrepnet.training import load_config, parse_assignment

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{k}: &a{k} [{','.join([f'*a{k - 1}'] * 10)}]\n" for k in range(1, 9)
)
HOSTILE_YAML = [
    "2024-13-45",
    "a: 2024-02-31",
    "a: 2024-01-01T25:61:61",
    "a: !!float x",
    "a: !!int x",
    "a: !!bool x",
    "a: !!timestamp x",
    "a: !!binary x",
    "a: !!omap x",
    "a: !!python/object/apply:os.system [id]",
    "a: !!python/name:os.system ",
    "[" * 3000,
    "[" * 3000 + "]" * 3000,
    "{a: " * 200,
    "- " * 3000,
    "a: &a [*a]",
    "<<: *a",
    "? [a]\n: b",
    "? {a: b}\n: c",
    "a: " + "9" * 5000,
    "a: *b",
    "\x00",
    "a: \udc80",
    "%YAML 3.9\n---\na",
    "- a\nb: c",
    BOMB,
    "x" * 1_000_001,
]
LATTICE = [[4, 0, 0], [0, 4, 0], [0, 0, 4]]


def record(**more):
    return {"species": ["Na"], "frac_coords": [[0, 0, 0]], "lattice": LATTICE, **more}


@pytest.mark.parametrize("text", HOSTILE_YAML, ids=range(len(HOSTILE_YAML)))
def test_hostile_yaml_is_refused_or_plain(text, tmp_path):
    start = time.process_time()
    with suppress(IrrepnetError):
        json.dumps(yaml_value(text), default=str)
    path = tmp_path / "list.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    for read in (load_config, read_list):
        with pytest.raises(IrrepnetError, match=r"list\.yaml"):
            read(str(path))
    if len(text) < 10_000:
        with pytest.raises(IrrepnetError):
            load_config({"model": {}}, dict([parse_assignment(f"data.source={text}")]))
    assert time.process_time() - start < 10


def test_json_that_is_nested_deep_where_a_library_has_raised_the_limit():
    """In a process of its own, which would end."""
    program = "\n".join(
        [
            "import sys; sys.setrecursionlimit(1_000_000)",
            "from irrepnet.inlets import json_value",
            "try: json_value('[' * 1_000_000)",
            "except ValueError as error: print(error)",
            "print(json_value('[[1]]'), sys.getrecursionlimit())",
        ]
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "it is nested too deep\n[[1]] 1000000\n", done.stderr


def test_plain_yaml_is_what_it_says():
    text = "a: &x {b: [1, 2.5, true, null, text]}\nc: *x\n"
    assert yaml_value(text) == {"a": {"b": [1, 2.5, True, None, "text"]}, "c": {"b": [1, 2.5, True, None, "text"]}}
    assert yaml_value("") is None


@pytest.mark.parametrize("key", ["symetry", "axal"])
def test_a_misspelt_key_of_a_tensor_is_named(key):
    settings = {"data.source": "a", "data.targets": "T", "data.tensors": {"T": {"symmetry": "ij=ji", key: 1}}}
    with pytest.raises(IrrepnetError, match=f"data.tensors.T.{key}: unknown key; did you mean "):
        load_config("point-group", settings)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.channels", 1_000_000),
        ("training.threads", 10_000),
        ("task", ["properties"]),
        ("task", {"a": 1}),
        ("model", [1]),
        ("model.name", ["mpnn"]),
        ("data.targets", ["a\udc80"]),
        ("data.targets", ["\x1b[31m"]),
        ("data.targets", ["x" * 5000]),
        ("data.targets", ["file"]),
        ("data.targets", ["note"]),
        ("data.targets", [""]),
        ("data.point_groups", [["m-3m"]]),
        ("data.point_groups", [{"a": 1}]),
        ("data.tensors", [1]),
        ("data.tensors", {"a": {"symmetry": ["ij"]}}),
        ("data.split", "abc"),
        ("data", 3),
        ("training", [3]),
        (3, 4),
    ],
)
def test_hostile_settings_are_named(key, value):
    sections = {"data": {"source": "a", "targets": ["b"]}}
    with pytest.raises(IrrepnetError):
        load_config(sections, {str(key): value})


@pytest.mark.parametrize("count", ["-2", "100000000", "9" * 5000, "0", "٣", "1e8", "10001"])
def test_an_extended_xyz_of_that_many_atoms(tmp_path, count):
    path = tmp_path / "a.extxyz"
    path.write_text(f'{count}\nLattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3\nNa 0 0 0\n')
    start = time.process_time()
    records, rejections = read_records(path)
    assert not records
    assert rejections
    with pytest.raises(IrrepnetError, match="extxyz"):
        read_cell(path)
    assert time.process_time() - start < 5


@pytest.mark.parametrize("counts", ["100000000", "1 100000000", "-2", "9" * 5000])
@pytest.mark.parametrize("symbols", ["Na Cl\n", ""])
def test_a_poscar_of_that_many_atoms(tmp_path, counts, symbols):
    path = tmp_path / "POSCAR"
    path.write_text(f"Na Cl\n1.0\n4 0 0\n0 4 0\n0 0 4\n{symbols}{counts}\nDirect\n0 0 0\n")
    with pytest.raises(IrrepnetError, match="POSCAR"):
        read_cell(path)


def cif(rows):
    lines = "\n".join(f"Na{k} Na {k % 30 / 30:.5f} {k // 30 % 30 / 30:.5f} {k // 900 / 30:.5f}" for k in range(rows))
    return (
        "data_a\n_cell_length_a 90\n_cell_length_b 90\n_cell_length_c 90\n_cell_angle_alpha 90\n_cell_angle_beta 90\n"
        "_cell_angle_gamma 90\n_space_group_name_H-M_alt 'P 1'\nloop_\n_atom_site_label\n_atom_site_type_symbol\n"
        f"_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n{lines}\n"
    )


def test_a_cif_of_too_many_atoms(tmp_path, monkeypatch):
    path = tmp_path / "a.cif"
    path.write_text(cif(20_000))
    start = time.process_time()
    with pytest.raises(IrrepnetError, match=r"20000 atoms are more than the 10000 .*set IRREPNET_MAX_ATOMS"):
        read_cell(path)
    assert time.process_time() - start < 10
    path.write_text(cif(40))
    monkeypatch.setenv("IRREPNET_MAX_ATOMS", "39")
    with pytest.raises(IrrepnetError, match="40 atoms"):
        read_cell(path)
    monkeypatch.setenv("IRREPNET_MAX_ATOMS", "40")
    assert len(read_cell(path).numbers) == 40
    monkeypatch.setenv("IRREPNET_MAX_ATOMS", "many")
    with pytest.raises(IrrepnetError, match="IRREPNET_MAX_ATOMS is 'many', not a positive whole number"):
        read_cell(path)


@pytest.mark.parametrize("name", ["a.cif.gz", "POSCAR.gz", "a.xyz.gz", "a.json.gz", "a.jsonl.gz", "a.csv.gz"])
def test_what_unfolds_without_end(tmp_path, monkeypatch, name):
    monkeypatch.setenv("IRREPNET_MAX_MB", "2")
    path = tmp_path / name
    path.write_bytes(gzip.compress(b" " * 3_000_000))
    try:
        reason = read_records(path)[1][0].reason
    except IrrepnetError as error:
        reason = str(error)
    assert "more than 2 MB, unpacked; set IRREPNET_MAX_MB" in reason


def test_ids_that_no_file_can_hold(tmp_path):
    path = tmp_path / "a.jsonl"
    ids = ["\ud800", "x" * 5000, "[/x]", "\x1b[31mred", "=1+1", "good"]
    path.write_text("\n".join(json.dumps(record(id=id)) for id in ids))
    records, rejections = read_records(path)
    assert [one.id for one in records] == ["\\ud800", *ids[2:]]
    assert "has 5000 characters" in rejections[0].reason
    assert len(rejections[0].id) < 50


@pytest.mark.parametrize("value", [1e160, -1e160, 1e308])
def test_values_whose_squares_are_no_numbers(tmp_path, value):
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(json.dumps(record(id=str(k), y=y)) for k, y in enumerate([value, 1.0])))
    records, rejections = read_records(path)
    assert [one.id for one in records] == ["1"]
    assert "y is infinite or beyond 1e+100" in rejections[0].reason


@pytest.mark.parametrize("text", ["2", " -1/3", "0.25", ".5", "1e-3", "2.5E-10", "+7/8"])
def test_fractions_are_read(text):
    assert fraction_of(text) == Fraction(text)


@pytest.mark.parametrize("text", ["1e99999999", "1e400", "9" * 10, "1/" + "9" * 10, "x", "", "1//2", "nan", "٣", "1_0"])
def test_numbers_that_fill_the_memory_are_no_fractions(text):
    with pytest.raises(ValueError, match="no number"):
        fraction_of(text)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("groups subduce m-3m 1e99999999", "up to 30"),
        ("groups subduce m-3m 1000000", "up to 30"),
        ("induce 225 a A1g --k 1e400,0,0", "three numbers"),
        ("graph {NaCl} --n-max 1000000000", "1 to 10,000"),
        ("graph {NaCl} --neighbours n-max --n-max 9999", "triplets"),
        ("graph {NaCl} --neighbours cutoff --cutoff 150", "triplets"),
        ("graph {NaCl} --neighbours cutoff --cutoff 400", "smaller cutoff"),
        ("tensor allowed abcdefghijklmnop m-3m", "8 is the highest"),
        ("hamiltonian count {NaCl} --basis sp --cutoff 1e12", "100"),
    ],
)
def test_numbers_that_would_take_for_ever_are_refused(command, said):
    """Each is told at once, whatever it would allocate."""
    words = command.format(NaCl=EXAMPLES / "NaCl.cif").split()
    done = subprocess.run([sys.executable, "-m", "irrepnet", *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_search_of_too_many_pairs_is_refused():
    for radius in (2000.0, 1e12, float("inf"), float("nan")):
        with pytest.raises(IrrepnetError, match="smaller cutoff"):
            sorted_pairs(np.zeros((1, 3)), 4 * np.eye(3), radius, np.arange(1))
        with pytest.raises(IrrepnetError, match="smaller cutoff"):
            close_pairs(np.zeros((1, 3)), 4 * np.eye(3), radius)


def test_a_cell_far_away_is_refused():
    """Meshes and tables of phases would grow with it."""
    with pytest.raises(IrrepnetError, match=r"cell R = \[0, 0, -100000000\]"):
        Hamiltonian(np.array([[0, 0, 0], [0, 0, -100_000_000]]), np.zeros((2, 1, 1)))
