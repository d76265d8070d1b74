import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Composition, Lattice

from irrepnet.data import Record, data_hash
from irrepnet.data.records import reduced_formula
from irrepnet.errors import IrrepnetError

SALT = {
    "material_id": "salt",
    "species": ["Na", "Cl"],
    "frac_coords": [[0, 0, 0], [0.5, 0.5, 0.5]],
    "lattice": [[0, 2.82, 2.82], [2.82, 0, 2.82], [2.82, 2.82, 0]],
    "band_gap": 5.0,
}


def test_fields():
    record = Record.from_dict(SALT, source="here")
    assert (record.id, record.species, record.formula, record.source) == (
        "salt",
        ("Na", "Cl"),
        "NaCl",
        "here",
    )
    assert record.properties == {"band_gap": 5.0}
    assert record.lattice.shape == (3, 3)
    assert record.frac_coords.shape == (2, 3)
    assert len(record) == 2
    with pytest.raises(ValueError, match="read-only"):
        record.lattice[0, 0] = 1


def test_structure_round_trip():
    structure = Record.from_dict(SALT).structure()
    assert structure.get_distance(0, 1) == pytest.approx(2.82)
    again = Record.from_structure(structure, "salt", {"band_gap": 5.0})
    assert data_hash([again]) == data_hash([Record.from_dict(SALT)])


@given(
    lengths=st.tuples(*[st.floats(2, 20)] * 3),
    angles=st.tuples(*[st.floats(65, 115)] * 3),  # every such triple closes a cell
)
@settings(max_examples=50)
def test_cell_follows_the_usual_convention(lengths, angles):
    content = SALT | {"lattice": None, "cell": [*lengths, *angles]}
    expected = Lattice.from_parameters(*lengths, *angles).matrix
    np.testing.assert_allclose(Record.from_dict(content).lattice, expected, atol=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"species": None}, "no species"),
        ({"lattice": None}, r"no lattice \(or cell\)"),
        ({"species": []}, "at least one"),
        ({"species": "NaCl"}, "not a list"),
        ({"species": ["Na", "Xx"]}, "unknown element 'Xx'"),
        ({"species": ["Na", 17]}, "unknown element 17"),
        ({"species": ["Na", ["Cl"]]}, "no element symbol"),
        ({"species": ["Na"]}, r"frac_coords has shape \(2, 3\), \(1, 3\)"),
        ({"frac_coords": [[0, 0], [1, 1]]}, "frac_coords has shape"),
        ({"frac_coords": [[0, 0, 0], [0.5, 0.5]]}, "frac_coords is not an array"),
        ({"frac_coords": [[0, 0, 0], [0.5, 0.5, None]]}, "missing or not finite"),
        ({"frac_coords": [[0, 0, 0], [0.5, 0.5, math.inf]]}, "missing or not finite"),
        ({"frac_coords": "none"}, "frac_coords is not an array"),
        ({"lattice": [1, 1, 1]}, "lattice has shape"),
        ({"lattice": [[1, 0, 0], [2, 0, 0], [0, 0, 1]]}, "span no volume"),
        ({"lattice": None, "cell": [1, 1, 1, 90, 90]}, "cell has shape"),
        ({"lattice": None, "cell": [3, 3, 3, 100, 130, 140]}, "no cell has the angles"),
        ({"band_gap": math.inf}, "band_gap is infinite"),
    ],
)
def test_refused(change, message):
    with pytest.raises(IrrepnetError, match=message):
        Record.from_dict(SALT | change)


def test_disordered_structure_is_refused():
    structure = Record.from_dict(SALT).structure()
    structure[1] = {"Cl": 0.5, "Br": 0.5}
    with pytest.raises(IrrepnetError, match="site 2 is disordered"):
        Record.from_structure(structure, "mixed")


def test_oxidation_states_and_isotopes_are_elements():
    record = Record.from_dict(SALT | {"species": ["D", "Cl-"]})
    assert record.species == ("H", "Cl")
    assert record.formula == "HCl"


@given(st.lists(st.sampled_from(["Li", "Fe", "Al", "Mg", "O", "S", "Te"]), min_size=1), st.integers(1, 4))
def test_reduced_formula_against_pymatgen(species, copies):
    formula = reduced_formula(species * copies)
    assert formula == reduced_formula(reversed(species))
    composition = Composition(formula)
    assert composition.fractional_composition.almost_equals(Composition("".join(species)).fractional_composition)
    assert math.gcd(*(int(n) for n in composition.values())) == 1


def test_reduced_formula_orders_by_electronegativity():
    for formula in ("MgAl2O4", "SrTiO3", "GaAs", "HeNe"):
        composition = Composition(formula)
        assert reduced_formula([s.symbol for s, n in composition.items() for _ in range(int(n))]) == formula


def test_data_hash_sees_content_only():
    reference = data_hash([Record.from_dict(SALT | {"n": 1.5})])
    same = {"n": 1.5} | json.loads(json.dumps(SALT))
    assert data_hash([Record.from_dict(same, source="elsewhere")]) == reference
    minus_zero = SALT | {"n": 1.5, "frac_coords": [[-0.0, 0, 0], [0.5, 0.5, 0.5]]}
    assert data_hash([Record.from_dict(minus_zero)]) == reference
    changes = (
        {"material_id": "pepper"},
        {"n": 1.6},
        {"species": ["Na", "Br"]},
        {"frac_coords": [[1e-8, 0, 0], [0.5, 0.5, 0.5]]},
        {"lattice": (np.array(SALT["lattice"]) * 1.01).tolist()},
    )
    hashes = {data_hash([Record.from_dict(SALT | {"n": 1.5} | change)]) for change in changes}
    assert len(hashes | {reference}) == len(changes) + 1


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=8,
)


@given(key=st.sampled_from(["species", "frac_coords", "lattice", "cell", "lattice_ieee", "id"]), value=anything)
def test_any_content_is_a_record_or_refused(key, value):
    content = SALT | {"lattice": None, "cell": [4, 4, 4, 60, 60, 60]} | {key: value}
    try:
        record = Record.from_dict(content)
    except IrrepnetError:
        return
    assert np.isfinite(record.lattice).all()
    assert np.isfinite(record.frac_coords).all()
    assert len(record.species) == len(record.frac_coords)
