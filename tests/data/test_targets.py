import numpy as np
import pytest

from irrepnet.data import Record, scalar_targets, target_kind, target_unit, target_values
from irrepnet.errors import IrrepnetError


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
