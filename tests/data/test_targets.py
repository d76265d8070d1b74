from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from irrepnet.data import (
    Record,
    embedded,
    read_records,
    scalar_targets,
    target_kind,
    target_unit,
    target_values,
)
from irrepnet.errors import IrrepnetError
from irrepnet.tensors import averages


def record(name, **properties):
    lattice = [[3.0, 0, 0], [0, 3.0, 0], [0, 0, 3.0]]
    return Record.from_dict(
        {"id": name, "species": ["Cu"], "frac_coords": [[0, 0, 0]], "lattice": lattice} | properties
    )


RECORDS = [
    record("a", band_gap=0.0, spacegroup_number=225, split="train", stiffness=[[1.0]]),
    record("b", band_gap=1.5),
    record("c", band_gap=None, n=2),
]


def test_values_with_missing_ones():
    np.testing.assert_array_equal(target_values(RECORDS, "band_gap"), [0, 1.5, np.nan])
    np.testing.assert_array_equal(target_values(RECORDS, "n"), [np.nan, np.nan, 2])


def test_metal_is_derived_from_the_gap_unless_stated():
    np.testing.assert_array_equal(target_values(RECORDS, "metal"), [1, 0, np.nan])
    np.testing.assert_array_equal(target_values([record("d", metal=True, band_gap=1.0)], "metal"), [1])


def rotated(tensor, rotation):
    """A 6×6 stiffness tensor in another frame, by its Cartesian components."""
    pairs = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]
    full = np.zeros((3, 3, 3, 3))
    for a, (i, j) in enumerate(pairs):
        for b, (k, m) in enumerate(pairs):
            full[i, j, k, m] = full[j, i, k, m] = full[i, j, m, k] = full[j, i, m, k] = tensor[a][b]
    turned = np.einsum("ai,bj,ck,dm,ijkm", rotation, rotation, rotation, rotation, full, optimize=True)
    return np.array([[turned[i, j, k, m] for k, m in pairs] for i, j in pairs])


def cubic(c11, c12, c44):
    tensor = np.diag([c11 - c12] * 3 + [c44] * 3).astype(float)
    tensor[:3, :3] += c12
    return tensor


@given(c12=st.floats(5, 200), shear=st.floats(5, 200), c44=st.floats(5, 200), angles=st.tuples(*[st.floats(0, 6)] * 3))
def test_moduli_of_cubic_crystals(c12, shear, c44, angles):
    """Hill's averages in closed form for cubic crystals, in any frame."""
    stiffness = cubic(c12 + 2 * shear, c12, c44)
    voigt, reuss = (2 * shear + 3 * c44) / 5, 5 * c44 * shear / (2 * c44 + 3 * shear)
    for tensor in (stiffness, rotated(stiffness, Rotation.from_euler("xyz", angles).as_matrix())):
        moduli = averages(tensor)
        assert pytest.approx(c12 + 2 * shear / 3) == moduli.K
        assert pytest.approx((voigt + reuss) / 2) == moduli.G


def test_moduli_of_the_embedded_set_are_those_that_it_states():
    records = embedded("elastic_tensor_2015")
    moduli = [averages(np.array(r.properties["elastic_tensor_original"])) for r in records]
    found = np.array([(m.K, m.G) for m in moduli])
    for which, name in enumerate(("K_VRH", "G_VRH")):
        np.testing.assert_allclose(found[:, which], target_values(records, name), rtol=1e-3)
        np.testing.assert_allclose(10 ** target_values(records, f"log_{name}"), target_values(records, name))
    assert scalar_targets(records) == ["K_VRH", "G_VRH", "log_K_VRH", "log_G_VRH"]


def test_moduli_are_derived_from_the_tensor_unless_stated():
    tensor = cubic(300.0, 120.0, 90.0).tolist()
    soft = (-cubic(300.0, 120.0, 90.0)).tolist()
    records = [
        record("stated", K_VRH=1000.0, elastic_tensor=tensor),
        record("original", elastic_tensor_original=tensor, elastic_tensor=soft),
        record("unstable", elastic_tensor=soft),
        record("singular", elastic_tensor=np.zeros((6, 6)).tolist()),
        record("no tensor", elastic_tensor=[[1.0, 2.0]]),
        record("without"),
    ]
    np.testing.assert_allclose(target_values(records, "K_VRH"), [1000, 180, -180, *[np.nan] * 3])
    np.testing.assert_allclose(target_values(records, "log_K_VRH"), [3, np.log10(180), *[np.nan] * 4])
    assert target_unit("log_K_VRH") == "log10(GPa)"
    assert target_kind("log_G_VRH") == "regression"
    assert scalar_targets(records[1:]) == ["K_VRH", "G_VRH", "log_K_VRH", "log_G_VRH"]


def test_moduli_of_the_shared_file():
    path = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "elastic_tensor_2015.jsonl.gz"
    if not path.exists():
        pytest.skip("../shared not present: its elastic tensors are not read")
    records, own = read_records(str(path))[0], {r.id: r for r in embedded("elastic_tensor_2015")}
    assert "K_VRH" not in records[0].properties
    for name in ("log_K_VRH", "log_G_VRH"):
        values = target_values(records, name)
        np.testing.assert_allclose(values, target_values([own[r.id] for r in records], name), atol=1e-3)


def test_units_and_kinds():
    assert target_unit("formation_energy_per_atom") == "eV/atom"
    assert target_unit("my_own") == ""
    assert target_kind("metal") == "classification"
    assert target_kind("band_gap") == target_kind("my_own") == "regression"


def test_scalar_targets_leave_metadata_out():
    assert scalar_targets(RECORDS) == ["band_gap", "metal", "n"]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            "band_gpa",
            "no record has a value of 'band_gpa'; the data have band_gap, metal, n: did you mean band_gap",
        ),
        ("stiffness", "a: stiffness is a tensor, not a number"),
        ("split", "a: split is 'train', not a number"),
    ],
)
def test_what_is_no_target(target, message):
    with pytest.raises(IrrepnetError, match=message):
        target_values(RECORDS, target)


def test_one_bad_value_is_unknown_and_stops_nothing():
    records = [*RECORDS, record("bad", band_gap="1.2 eV")]
    values = target_values(records, "band_gap")
    assert np.isnan(values[-1])
    np.testing.assert_array_equal(values[:-1], target_values(RECORDS, "band_gap"))
