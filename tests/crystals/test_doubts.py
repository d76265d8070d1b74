"""Crystals in the wrong unit or with misplaced atoms are noticed; real ones are not."""

import numpy as np
import pytest

from irrepnet.crystals.doubts import doubts
from irrepnet.data import Record, embedded

SALT = {
    "species": ["Na", "Cl"],
    "frac_coords": [[0, 0, 0], [0.5, 0.5, 0.5]],
    "lattice": (5.64 * np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])).tolist(),
}


def salt(**more):
    return Record.from_dict({**SALT, **more})


@pytest.mark.parametrize(
    ("scale", "word"), [(1, None), (1.8897, "unit of the lattice Å"), (2.3, "unit of the lattice"), (0.529, "unit"),
                        (20, "more than 6 Å")]
)  # fmt: skip
def test_units(scale, word):
    found = doubts(salt(lattice=(scale * np.array(SALT["lattice"])).tolist()))
    assert not found if word is None else word in found[0]


def test_a_cutoff_without_neighbours():
    (note,) = doubts(salt(), cutoff=0.001)
    assert note == "no neighbours within 0.001 Å: sites 1 (Na), 2 (Cl) are alone for the network"
    assert not doubts(salt(), cutoff=4.0)


def test_cartesian_coordinates_as_fractional():
    assert "are they Cartesian?" in doubts(salt(frac_coords=[[0, 0, 0], [2.82, 2.9, 2.7]]))[-1]


def test_an_atom_alone():
    box = (12 * np.eye(3)).tolist()
    record = Record.from_dict(
        {"species": ["O", "O", "Na"], "frac_coords": [[0, 0, 0], [0.1, 0, 0], [0.5, 0.5, 0.5]], "lattice": box}
    )
    assert doubts(record) == ("site 3 (Na) is far from all other atoms; are the coordinates right?",)


def test_noble_gases_are_far_apart():
    assert not doubts(Record.from_dict({**SALT, "species": ["Ar", "Ar"]}))


@pytest.mark.parametrize("name", ["dielectric_constant", "elastic_tensor_2015"])
def test_real_crystals_are_not_noted(name):
    records = embedded(name)[::8]
    noted = [record.id for record in records if doubts(record, 6.0)]
    assert len(noted) <= len(records) / 200, noted
