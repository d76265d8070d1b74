"""Irreps against phonopy's tables, ISO-IR, GAP and closed forms."""

import gzip
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from irrepnet.groups import POINT_GROUPS, SETTINGS, PointGroup, setting_of

HEXAGONAL = np.array([[1, -0.5, 0], [0, np.sqrt(3) / 2, 0], [0, 0, 1]])
ISO_IR = Path(__file__).resolve().parents[2] / ".." / "shared/data/group_theory"


def cartesian(name: str, fractional: list) -> np.ndarray:
    """Fractional operations of a table in Cartesian axes, x ∥ a: hexagonal axes for 3- and 6-fold groups."""
    axes = HEXAGONAL if name.startswith(("3", "-3", "6", "-6")) else np.eye(3)
    return axes @ np.array(fractional, float) @ np.linalg.inv(axes)


@pytest.mark.parametrize("name", SETTINGS)
def test_matrices_represent_the_group(name):
    group = PointGroup(name)
    assert sum(i.dim**2 // len(i.commutant) for i in group.irreps) == group.order
    for irrep in group.irreps:
        matrices = irrep.matrices
        assert np.abs(matrices[:, None] @ matrices[None] - matrices[group.multiplication]).max() < 1e-14
        assert np.abs(matrices @ matrices.swapaxes(1, 2) - np.eye(irrep.dim)).max() < 1e-14
        for c in irrep.commutant:
            assert np.abs(c @ matrices - matrices @ c).max() < 1e-14
    assert (group.trivial.matrices == 1).all()


@pytest.mark.parametrize("name", SETTINGS)
def test_matrix_elements_are_orthogonal(name):
    """The great orthogonality theorem, over C."""
    group = PointGroup(name)
    assert len(group.complex_irreps) == len(group.classes)
    rows = np.concatenate(
        [np.sqrt(i.dim / group.order) * i.matrices.reshape(group.order, -1).T for i in group.complex_irreps]
    )
    assert rows.shape == (group.order, group.order)
    assert np.abs(rows @ rows.conj().T - np.eye(group.order)).max() < 1e-14


@pytest.mark.parametrize("name", SETTINGS)
def test_elements_are_exact(name):
    """Every element is one of 0, ±1/2, ±1, ±√3/2 as the machine rounds it."""
    exact = {0.0, 0.5, 1.0, float(np.sqrt(3) / 2)}
    group = PointGroup(name)
    for array in [group.operations, *(i.matrices for i in group.irreps)]:
        assert set(np.abs(array).ravel().tolist()) <= exact


def test_complex_type_occurs_in_ten_groups():
    names = {PointGroup(n).schoenflies for n in POINT_GROUPS if any(i.type == "complex" for i in PointGroup(n).irreps)}
    assert names == {"C3", "C4", "C6", "S4", "C3i", "C3h", "C4h", "C6h", "T", "Th"}


def test_order_of_irreps():
    labels = [i.label for i in PointGroup("Oh").irreps]
    assert labels == ["A1g", "A2g", "Eg", "T1g", "T2g", "A1u", "A2u", "Eu", "T1u", "T2u"]
    assert [i.label for i in PointGroup("D3h").irreps] == ["A1'", "A2'", "E'", "A1''", "A2''", "E''"]
    assert [i.label for i in PointGroup("T").complex_irreps] == ["A", "1E", "2E", "T"]


def test_closed_forms_of_oh():
    """All ten irreps of O_h from its signed permutation matrices R: P = |R|, s = det P, d = det R."""
    group = PointGroup("Oh")
    r = group.operations
    s, d = (np.linalg.det(m).round()[:, None, None] for m in (np.abs(r), r))
    e = np.array([[-1, -1, 2], [np.sqrt(3), -np.sqrt(3), 0]]) / np.sqrt(6)
    plane = e @ np.abs(r) @ e.T
    expected = {"A1g": s**2, "A2g": s, "A1u": d, "A2u": s * d, "Eg": plane, "Eu": d * plane}
    expected |= {"T1u": r, "T2u": s * r, "T1g": d * r, "T2g": s * d * r}
    for label, matrices in expected.items():
        assert np.abs(group.irrep(label).matrices - matrices).max() < 1e-14


@pytest.mark.parametrize(
    ("name", "functions"),
    [
        ("C2v", {"A1": "z", "B1": "x", "B2": "y", "A2": "xy"}),
        ("D2", {"B1": "z", "B2": "y", "B3": "x"}),
        ("D4h", {"A2u": "z", "B1g": "x2-y2", "B2g": "xy", "Eu": "x y", "Eg": "rx ry"}),
        ("D2d", {"B2": "z", "B1": "x2-y2", "E": "x y"}),
        ("D6h", {"A2u": "z", "E1u": "x y", "E2g": "x2-y2 2xy", "E1g": "rx ry"}),
        ("C3v", {"A1": "z", "A2": "rz", "E": "x y"}),
        ("Oh", {"T1u": "x y z", "T2g": "yz xz xy", "Eg": "z2 x2-y2", "T1g": "rx ry rz"}),
        ("Td", {"T2": "x y z", "T1": "rx ry rz"}),
    ],
)
def test_functions_of_the_textbooks(name, functions):
    """The irrep's matrices are those of the functions listed beside it: f(g r) = Γ(g) f(r)."""
    group = PointGroup(name)
    r = np.random.default_rng(0).normal(size=(20, 3))
    other = np.random.default_rng(1).normal(size=(20, 3))

    def values(symbols, r, other):
        x, y, z = r.T
        cross = np.cross(r, other).T
        table = {"x": x, "y": y, "z": z, "xy": x * y, "yz": y * z, "xz": x * z, "2xy": 2 * x * y}
        table |= {"x2-y2": x * x - y * y, "rx": cross[0], "ry": cross[1], "rz": cross[2]}
        table["z2"] = 2 * z * z - x * x - y * y
        if symbols == ["z2", "x2-y2"]:
            table["x2-y2"] = np.sqrt(3) * table["x2-y2"]
        return np.stack([table[s] for s in symbols], -1)

    for label, symbols in functions.items():
        f = values(symbols.split(), r, other)
        for g, matrix in zip(group.operations, group.irrep(label).matrices):
            moved = values(symbols.split(), r @ g.T, other @ g.T)
            assert np.abs(moved - f @ matrix.T).max() < 1e-12


def test_phonopy_tables():
    """Labels and characters of phonopy's tables, operation by operation, in all the settings that it has."""
    tables = pytest.importorskip("phonopy.phonon.character_table").character_table
    seen = set()
    for name, entries in tables.items():
        for entry in entries:
            names = [entry["rotation_list"]] if name == "1" else list(entry["rotation_list"])
            sizes = [len(entry["mapping_table"][c]) for c in names]
            group = setting_of(cartesian(name, [w for c in names for w in entry["mapping_table"][c]]))
            assert group is not None
            order = group.indices(cartesian(name, [w for c in names for w in entry["mapping_table"][c]]))
            assert set(entry["character_table"]) == {i.label for i in group.irreps}
            for label, row in entry["character_table"].items():
                expected = np.repeat(np.atleast_1d(row), sizes)
                assert np.allclose(group.irrep(label).characters[order], expected)
            seen.add(group.name)
    assert set(POINT_GROUPS) <= seen
    assert {"-4m2", "31m", "-31m", "-62m"} <= seen


def iso_ir() -> dict:
    path = ISO_IR / "iso_ir_gamma_irreps_32_point_groups.json.gz"
    if not path.exists():
        pytest.skip("../shared not present (ISO-IR)")
    with gzip.open(path, "rt") as file:
        return json.load(file)


def test_iso_ir():
    """Characters of ISO-IR's matrices over C, and the labels of Miller and Love."""
    for name, entry in iso_ir().items():
        operations = cartesian(name, entry["rotations_fractional"])
        group = setting_of(operations)
        assert group is not None
        assert group is PointGroup(name)
        order = group.indices(operations)
        found = {}
        for label, irrep in entry["irreps"].items():
            matrices = np.array(irrep["re"]) + 1j * np.array(irrep["im"] or 0.0)
            character = np.trace(matrices, axis1=1, axis2=2)
            [match] = [i for i in group.complex_irreps if np.abs(i.characters[order] - character).max() < 1e-4]
            real = match.label.lstrip("12")
            found.setdefault(real, []).append(label)
        ours = {i.label: group.aliases(i.label)["miller-love"].split("⊕") for i in group.irreps}
        assert {k: sorted(v) for k, v in found.items()} == ours


def test_koster_labels():
    """Facts of the literature: zincblende's T2, the cubic T1u, wurtzite's E1."""
    assert PointGroup("Td").aliases("T2")["koster"] == "Γ5"
    assert PointGroup("Oh").aliases("T1u")["koster"] == "Γ4-"
    assert PointGroup("C6v").aliases("E1")["koster"] == "Γ5"
    assert PointGroup("D3h").aliases("E'")["koster"] == "Γ6"
    assert PointGroup("T").aliases("E")["koster"] == "Γ2⊕Γ3"
    assert "koster" not in PointGroup("C6v").aliases("B1")
    assert PointGroup("31m").aliases("A1") == {}
    for name in POINT_GROUPS:
        group = PointGroup(name)
        numbers = [n for i in group.irreps for n in group.aliases(i.label).get("koster", "Γ").split("⊕")]
        if name != "6mm":
            assert len(set(numbers)) == len(numbers) == len(group.complex_irreps)


@pytest.mark.skipif(shutil.which("gap") is None, reason="GAP is not installed")
def test_gap():
    """Class sizes, degrees and Frobenius–Schur indicators of the same abstract groups in GAP."""
    groups = [PointGroup(name) for name in POINT_GROUPS]
    tables = [[[int(j) + 1 for j in row] for row in group.multiplication] for group in groups]
    program = (
        f"for t in {tables} do G := Group(List(t, PermList)); T := CharacterTable(G); "
        'Print(SortedList(SizesConjugacyClasses(T)), "|", SortedList(List([1..Length(Irr(T))], '
        'i -> [Irr(T)[i][1], Indicator(T, 2)[i]])), ";"); od; QUIT;'
    )
    out = subprocess.run(["gap", "-q"], input=program, capture_output=True, text=True, check=True)
    answers = "".join(out.stdout.split()).strip(";").split(";")
    for group, answer in zip(groups, answers, strict=True):
        sizes, irreps = (json.loads(part) for part in answer.split("|"))
        assert sizes == sorted(len(c.indices) for c in group.classes)
        squares = group.multiplication.diagonal()
        indicators = [round(i.characters[squares].mean().real) for i in group.complex_irreps]
        assert irreps == sorted([i.dim, s] for i, s in zip(group.complex_irreps, indicators))
