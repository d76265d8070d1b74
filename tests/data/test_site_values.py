"""Values of sites: from the axes and the order of a record to the sites and back, against plain loops."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import spglib
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from scipy.spatial.transform import Rotation
from tests.prototypes import STRUCTURES, SYMMORPHIC, crystal_of

from irrepnet.crystals import SymmetricCrystal, input_atoms
from irrepnet.data import Record, embedded
from irrepnet.data.sites import SITE_KINDS, SITE_QUANTITIES, SiteQuantity, at_atoms, site_values
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import SiteGraphOptions

BORN_CHARGES = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "born_charges.jsonl.gz"
NAMES = [name for name in (*STRUCTURES, *SYMMORPHIC) if name != "garnet"]
KINDS = [prefix + kind for kind in SITE_KINDS for prefix in ("", "axial ")]
SUPERCELL = np.array([[1, 1, 0], [0, 1, 0], [0, 1, 2]])


def record_of(species, frac_coords, lattice, values=None):
    return Record.from_dict({"species": species, "frac_coords": frac_coords, "lattice": lattice, "T": values}, "it")


def described(crystal, seed):
    """The idealised crystal turned, shifted and in another order."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(crystal))
    return record_of(
        [crystal.species[i] for i in order],
        crystal.frac_coords[order] + rng.uniform(size=3),
        crystal.lattice @ Rotation.random(rng=rng).as_matrix().T,
    )


def turned(values, operation, axial):
    """One value."""
    for axis in range(np.ndim(values)):
        values = np.moveaxis(np.tensordot(operation, values, (1, axis)), 0, axis)
    return values * (np.linalg.det(operation) if axial else 1)


def looped(record, values, axial):
    """The mean over the operations of the record's cell, one by one, in its own axes: spglib's operations."""
    numbers = [list(dict.fromkeys(record.species)).index(s) for s in record.species]
    found = spglib.get_symmetry((record.lattice, record.frac_coords, numbers), symprec=1e-3)
    total = np.zeros_like(values)
    for w, shift in zip(found["rotations"], found["translations"]):
        operation = record.lattice.T @ w @ np.linalg.inv(record.lattice.T)
        for i, value in enumerate(values):
            apart = record.frac_coords - (w @ record.frac_coords[i] + shift)
            j = np.linalg.norm((apart - np.rint(apart)) @ record.lattice, axis=1).argmin()
            total[j] += turned(value, operation, axial)
    return total / len(found["rotations"])


def allowed(record, quantity, seed):
    """Random values that the record's symmetry, the kind and the sum rule allow; of norm 1 if there are any."""
    values = np.random.default_rng(seed).normal(size=(len(record), *quantity.shape))
    values = looped(record, values, quantity.axial)
    if "=" in quantity.symmetry:
        values = (values + (-1 if "-" in quantity.symmetry else 1) * values.swapaxes(1, 2)) / 2
    if "traceless" in quantity.symmetry:
        values -= np.trace(values, axis1=1, axis2=2)[:, None, None] / 3 * np.eye(3)
    if quantity.sum_rule:
        values -= values.mean(0)
    size = np.linalg.norm(values)
    return values / size if size > 1e-6 else 0 * values


def read(record, name, quantity):
    """Values of all atoms in the record's axes and order after the way to the sites and back, and the residual."""
    crystal = SymmetricCrystal.from_structure(record)
    atoms = input_atoms(crystal, record)
    found = site_values(record, crystal, atoms, name, quantity)
    back = at_atoms(found.values, SiteGraphOptions().graph(crystal), quantity.axial)[atoms]
    return np.array([turned(value, crystal.rotation, False) for value in back]), found.residual


def check(crystal, kind, sum_rule, seed):
    quantity = SiteQuantity(symmetry=kind, sum_rule=sum_rule)
    record = described(crystal, seed)
    exact = allowed(record, quantity, seed)
    noise = np.random.default_rng(seed + 1).normal(size=exact.shape)
    noise *= 0.03 / np.linalg.norm(noise) if exact.any() else 0.0
    record.properties["T"] = (exact + noise).tolist()
    values, residual = read(record, "T", quantity)
    wanted = looped(record, exact + noise, quantity.axial)
    wanted = (wanted.reshape(len(record), -1) @ quantity.projector).reshape(wanted.shape)
    wanted -= wanted.mean(0) if sum_rule else 0
    assert np.abs(values - wanted).max() < 1e-7
    assert residual == pytest.approx(
        np.linalg.norm(exact + noise - wanted) / (np.linalg.norm(exact + noise) or 1), abs=1e-7
    )

    change = np.linalg.inv(SUPERCELL)
    twice = np.random.default_rng(seed).permutation(2 * len(record))
    coords = np.concatenate([record.frac_coords @ change, (record.frac_coords + np.eye(3)[2]) @ change])[twice]
    given_twice = np.concatenate([exact + noise] * 2)[twice]
    species = [(list(record.species) * 2)[k] for k in twice]
    larger = record_of(species, coords, SUPERCELL @ record.lattice, given_twice)
    again, same = read(larger, "T", quantity)
    assert np.abs(again - np.concatenate([wanted] * 2)[twice]).max() < 1e-7
    assert same == pytest.approx(residual, abs=1e-7)


@pytest.mark.parametrize("name", SYMMORPHIC)
def test_the_projection_in_every_point_group(name):
    for seed, kind in enumerate(KINDS):
        check(crystal_of(name), kind, seed % 3 == 0, seed)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(NAMES), st.sampled_from(KINDS), st.booleans())
def test_the_projection_of_structure_types(seed, name, kind, sum_rule):
    check(crystal_of(name), kind, sum_rule, seed)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1055), st.sampled_from(KINDS), st.booleans())
def test_the_projection_of_real_crystals(number, kind, sum_rule):
    crystal = SymmetricCrystal.from_structure(embedded("dielectric_constant")[number])
    assume(len(crystal) <= 20)
    check(crystal, kind, sum_rule, number)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["perovskite", "rutile", "spinel", "brucite", "baddeleyite", "anatase"]))
def test_wrong_axes_and_wrong_order_are_rejected(seed, name):
    record = described(crystal_of(name), seed)
    quantity = SiteQuantity(symmetry="ij=ji traceless")
    exact = allowed(record, quantity, seed)
    turn = Rotation.from_rotvec(np.random.default_rng(seed).normal(size=3)).as_matrix()
    shuffled = exact[np.random.default_rng(seed).permutation(len(exact))]
    for wrong in (np.array([turned(value, turn, False) for value in exact]), shuffled):
        off = np.linalg.norm(wrong - looped(record, wrong, False))
        record.properties["T"] = wrong.tolist()
        if off > 0.0501:
            with pytest.raises(IrrepnetError, match="its axes are not those of the lattice, its order is not that"):
                read(record, "T", quantity)
        elif off < 0.0499:
            assert read(record, "T", quantity)[1] == pytest.approx(off, abs=1e-6)


def test_what_is_said_of_values_that_are_refused():
    record = described(crystal_of("Pmmm"), 0)
    n = len(record)

    def refused(value, name="T", **what):
        record.properties[name] = value.tolist() if isinstance(value, np.ndarray) else value
        with pytest.raises(IrrepnetError) as error:
            read(record, name, SITE_QUANTITIES.get(name) or SiteQuantity(**what))
        return str(error.value)

    assert "T has shape (3,) at a site, (3, 3) was expected (ij)" in refused(np.ones((n, 3)), symmetry="ij")
    assert "T has shape of a number at a site, (3,) was" in refused(np.ones(n), symmetry="vector")
    assert f"T has {n - 1} rows, the crystal has {n} atoms" in refused(np.ones((n - 1, 3)), symmetry="vector")
    assert "missing or not finite" in refused([None] * n, symmetry="scalar")
    assert "no value of T" in refused(None, symmetry="scalar")
    assert "the sum rule: declare sum_rule: false" in refused(np.ones(n).tolist(), "charges")
    assert "residual of 1, 0.05 is accepted; it does not obey the symmetry of its indices, ij=-ji" in refused(
        np.tile(np.eye(3), (n, 1, 1)), symmetry="ij=-ji"
    )
    assert read(record, "T", SiteQuantity(symmetry="ij"))[1] < 1e-12


def test_scalars_may_have_an_axis_of_length_one_and_zero_is_a_value():
    record = described(crystal_of("rutile"), 3)
    quantity = SiteQuantity(symmetry="scalar")
    values = np.where(np.array(record.species) == "Ti", 2.0, -1.0)
    for own in (values, values[:, None], 0 * values):
        record.properties["T"] = own.tolist()
        found, residual = read(record, "T", quantity)
        assert np.allclose(found, own.reshape(-1), atol=1e-12)
        assert residual < 1e-12


def test_the_order_of_a_crystal_that_is_almost_its_own_image():
    """0.035 Å decide which half of the cell an atom is in."""
    lattice = Lattice.tetragonal(4.0, 8.0)
    coords = np.array([[0, 0, 0], [0, 0, 0.5], [0.5, 0.5, 0.25], [0.5, 0.5, 0.75 + 0.035 / 8]])
    crystal = SymmetricCrystal.from_structure(Structure(lattice, ["K", "K", "Br", "Br"], coords))
    for order in ([0, 1, 2, 3], [1, 0, 2, 3]):
        source = Structure(lattice, ["K", "K", "Br", "Br"], coords[order])
        found = crystal.frac_coords[input_atoms(crystal, source)][:, 2] * crystal.rotation[2, 2]
        off = (source.frac_coords[:, 2] - source.frac_coords[0, 2]) - (found - found[0])
        assert np.abs(off - np.rint(off)).max() < 1e-4


def test_noise_where_symmetry_forbids_a_value_is_no_reason_to_refuse_it():
    record = described(crystal_of("rock salt"), 0)
    record.properties["T"] = [[1e-9, 0, 0], [0, 1e-9, 0]]
    quantity = SiteQuantity(symmetry="vector")
    with pytest.raises(IrrepnetError, match="residual of 1"):
        read(record, "T", quantity)
    crystal = SymmetricCrystal.from_structure(record)
    found = site_values(record, crystal, input_atoms(crystal, record), "T", quantity, least=0.1)
    assert np.abs(found.values).max() < 1e-20
    assert found.residual == pytest.approx(1e-8)


def test_real_born_charges():
    if not BORN_CHARGES.exists():
        pytest.skip("../shared not present: no born_charges")
    with gzip.open(BORN_CHARGES, "rt") as lines:
        records = [json.loads(line) for line in lines]
    for k in np.random.default_rng(1).choice(len(records), 30, replace=False):
        line = records[k]
        record = record_of(line["species"], line["frac_coords"], line["lattice"], line["born_charges"])
        values, residual = read(record, "T", SITE_QUANTITIES["born_charges"])
        assert residual < 1e-5
        assert np.abs(values - line["born_charges"]).max() < 1e-4


def test_the_first_index_of_the_real_ones_is_that_of_the_field():
    """O of Al2O3 in phonopy's example, with charges of VASP, ∂P_i/∂u_j: Z_pc 0.258, Z_cp 0.351, p normal to c."""
    if not BORN_CHARGES.exists():
        pytest.skip("../shared not present: no born_charges")
    with gzip.open(BORN_CHARGES, "rt") as lines:
        (line,) = (
            record
            for record in map(json.loads, lines)
            if (record["formula"], record["spacegroup_number"]) == ("Al2O3", 167)
        )
    c = np.sum(line["lattice"], 0)  # of the rhombohedral cell
    c /= np.linalg.norm(c)
    for symbol, tensor in zip(line["species"], np.array(line["born_charges"])):
        if symbol == "O":
            of_c, to_c = tensor @ c, c @ tensor
            assert np.linalg.norm(of_c - c * (c @ of_c)) == pytest.approx(0.258, abs=0.01)
            assert np.linalg.norm(to_c - c * (c @ to_c)) == pytest.approx(0.351, abs=0.01)
