"""The ways to find neighbours: against plain loops over images and pymatgen's Voronoi cells."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Structure
from pymatgen.core.local_env import VoronoiNN
from tests.environments import PAIRS, tetrahedral

from irrepnet.crystals import (
    NEIGHBOURS,
    SymmetricCrystal,
    find_neighbours,
    neighbour_shells,
    plain_supercell,
    shell_starts,
    split_shells,
)
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import HypergraphOptions

FCC = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2


def crystal(lattice, *sites) -> SymmetricCrystal:
    species, coords = zip(*sites, strict=True)
    return SymmetricCrystal.from_structure(
        {"species": species, "frac_coords": coords, "lattice": np.array(lattice, dtype=float)}, symprec=1e-5
    )


def po(a: float) -> SymmetricCrystal:
    return crystal(np.eye(3) * a, ("Po", [0, 0, 0]))


def images(made: SymmetricCrystal, atom: int, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """(senders, vectors) of all atoms within ``radius`` of one, itself left out, sorted by distance: a plain loop."""
    reach = np.ceil(radius * np.linalg.norm(np.linalg.inv(made.lattice), axis=0)).astype(int) + 1
    found = []
    for shift in np.ndindex(*(2 * reach + 1)):
        for other in range(len(made)):
            vector = (made.frac_coords[other] + shift - reach - made.frac_coords[atom]) @ made.lattice
            if 1e-6 < np.linalg.norm(vector) < radius:
                found.append((np.linalg.norm(vector), other, *vector))
    table = np.array(sorted(found))
    return table[:, 1].astype(int), table[:, 2:]


@pytest.fixture(scope="module")
def made(examples) -> dict[str, SymmetricCrystal]:
    return {formula: SymmetricCrystal.from_structure(path) for formula, path in examples.items()}


FORMULAS = ["CaF2", "MgAl2O4", "NaCl", "Si", "SrTiO3", "TiO2"]


@pytest.mark.parametrize("method", NEIGHBOURS)
@pytest.mark.parametrize("formula", FORMULAS)
def test_fields_agree(made, method, formula):
    c = made[formula]
    found = find_neighbours(c, HypergraphOptions(neighbours=method, cutoff=5.0))
    points = c.cart_coords
    vector = points[found.sender] + found.shift @ c.lattice - points[found.receiver]
    np.testing.assert_allclose(found.vector, vector, atol=1e-12)
    np.testing.assert_allclose(found.distance, np.linalg.norm(vector, axis=1), atol=1e-12)
    assert (found.distance > 0.5).all()
    assert ((found.weight > 0) & (found.weight <= 1)).all()
    assert (np.diff(found.receiver) >= 0).all()
    assert (np.diff(found.distance)[np.diff(found.receiver) == 0] >= 0).all()
    assert set(found.receiver) == set(range(len(c)))
    assert len({(*row,) for row in np.column_stack([found.receiver, found.sender, found.shift])}) == len(vector)


@pytest.mark.parametrize("method", [name for name in NEIGHBOURS if name != "n-max"])
@pytest.mark.parametrize("formula", FORMULAS)
def test_equivalent_atoms_have_equal_neighbours(made, method, formula):
    c = made[formula]
    found = find_neighbours(c, HypergraphOptions(neighbours=method, cutoff=5.0))

    def seen(atom):
        own = found.select(found.receiver == atom)
        rows = np.column_stack([c.numbers[own.sender], own.distance.round(6), own.weight.round(6)]) + 0.0
        return sorted(map(tuple, rows))

    for atom in range(len(c)):
        assert seen(atom) == seen(c.representatives[c.orbits[atom]])
    # and the site group maps the neighbours of an atom onto themselves
    for orbit, atom in enumerate(c.representatives):
        own = found.select(found.receiver == atom)
        for g in c.site_groups[orbit]:
            turned = own.vector @ c.point_group.operations[g].T
            apart = np.linalg.norm(turned[:, None] - own.vector, axis=-1)
            match = apart.argmin(1)
            assert apart.min(1).max() < 1e-9
            np.testing.assert_allclose(own.weight, own.weight[match], atol=1e-9)


# --- each method


@pytest.mark.parametrize("formula", FORMULAS)
def test_shells_are_neighbour_shells(made, formula):
    found = find_neighbours(made[formula], HypergraphOptions(n_max=16))
    for a, b in zip(found, neighbour_shells(made[formula], n_max=16), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("formula", ["NaCl", "TiO2"])
def test_cutoff_is_all_within_it(made, formula):
    c = made[formula]
    found = find_neighbours(c, HypergraphOptions(neighbours="cutoff", cutoff=4.4))
    for atom in range(len(c)):
        _, vectors = images(c, atom, 4.4)
        x = np.linalg.norm(vectors, axis=1) / 4.4
        own = found.select(found.receiver == atom)
        np.testing.assert_allclose(own.distance, 4.4 * x, atol=1e-12)
        np.testing.assert_allclose(own.weight, 1 - 28 * x**6 + 48 * x**7 - 21 * x**8, atol=1e-12)


def test_envelope_falls_smoothly_to_zero():
    """Value, slope and curvature of the weight vanish at the cutoff, so that an atom enters without a jump."""

    def weight(a):
        found = find_neighbours(po(a), HypergraphOptions(neighbours="cutoff", cutoff=4.0))
        return found.weight[abs(found.distance - a) < 1e-6].sum() / 6  # shell of six at distance a

    inside = np.array([weight(4.0 - h) for h in (1e-3, 2e-3, 4e-3)])
    assert inside.max() < 1e-6
    np.testing.assert_allclose(np.log2(inside[1:] / inside[:-1]), 3.0, atol=0.02)  # ~ h³
    assert len(find_neighbours(po(2.9), HypergraphOptions(neighbours="cutoff", cutoff=4.2)).weight) == 6 + 12
    assert weight(1.0) > 0.99


def test_atom_without_a_neighbour_within_the_cutoff():
    with pytest.raises(IrrepnetError, match=r"Po: site 1 \(Po, Wyckoff a\).*3\.500 Å away; take a cutoff of 3\.6 Å"):
        find_neighbours(po(3.5), HypergraphOptions(neighbours="cutoff", cutoff=3.0))
    find_neighbours(po(3.5), HypergraphOptions(neighbours="cutoff", cutoff=3.6))


@pytest.mark.parametrize("n_max", [1, 5, 12, 24])
@pytest.mark.parametrize("formula", ["SrTiO3", "TiO2"])
def test_n_max_are_the_nearest(made, formula, n_max):
    c = made[formula]
    found = find_neighbours(c, HypergraphOptions(neighbours="n-max", n_max=n_max))
    for atom in range(len(c)):
        _, vectors = images(c, atom, 6.5)
        own = found.select(found.receiver == atom)
        np.testing.assert_allclose(own.distance, np.linalg.norm(vectors, axis=1)[:n_max], atol=1e-12)


@pytest.mark.parametrize(("scale", "sizes"), [(1.0, 6), (1.4, 6), (1.42, 18), (1.74, 26)])
def test_nearest_scales_with_the_nearest(scale, sizes):
    found = find_neighbours(po(3.0), HypergraphOptions(neighbours="nearest", scale=scale))
    assert len(found.receiver) == sizes
    far = find_neighbours(po(40.0), HypergraphOptions(neighbours="nearest", scale=scale))
    assert len(far.receiver) == sizes


@pytest.mark.parametrize("formula", FORMULAS)
def test_voronoi_against_pymatgen(made, formula):
    assert_voronoi_as_pymatgen(made[formula])


def test_voronoi_against_pymatgen_on_real_crystals(mp_2018):
    records = [record for record in mp_2018[::400] if len(record["species"]) <= 20]
    for record in records[:12]:
        assert_voronoi_as_pymatgen(SymmetricCrystal.from_structure(record))


def assert_voronoi_as_pymatgen(c: SymmetricCrystal) -> None:
    structure = Structure(c.lattice, c.species, c.frac_coords)
    voronoi = VoronoiNN(tol=1e-3, allow_pathological=True)  # type: ignore[arg-type]
    found = find_neighbours(c, HypergraphOptions(neighbours="voronoi"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for atom in c.representatives[:4]:
            own = found.select(found.receiver == atom)
            theirs = voronoi.get_nn_info(structure, int(atom))
            expected = sorted((near["site_index"], near["weight"]) for near in theirs)
            assert len(expected) == len(own.sender), c.formula
            ours = sorted(zip(own.sender, own.weight, strict=True))
            np.testing.assert_allclose(np.array(ours), np.array(expected), atol=1e-9)


@pytest.mark.parametrize(
    ("lattice", "sites", "faces"),
    [
        (np.eye(3) * 3, [[0, 0, 0]], [6]),  # cubes; eight meet at a corner
        (FCC * 4, [[0, 0, 0]], [12]),  # rhombic dodecahedra; six meet at some corners
        (np.eye(3) * 3, [[0, 0, 0], [0.5, 0.5, 0.5]], [8, 6]),  # truncated octahedra
        (np.eye(3) * 30, [[0, 0, 0]], [6]),  # far apart
        (np.diag([3.0, 3.0, 25.0]), [[0, 0, 0]], [4, 2]),  # flat
        (np.diag([3.0, 3.0, 3.0]) @ np.array([[1, 0, 0], [4, 1, 0], [-3, 5, 1]]), [[0, 0, 0]], [6]),  # skewed
    ],
)
def test_voronoi_cells_of_simple_lattices(lattice, sites, faces):
    c = crystal(lattice, *(("Fe", site) for site in sites))
    found = find_neighbours(c, HypergraphOptions(neighbours="voronoi"))
    for atom in range(len(c)):
        weight = np.sort(found.weight[found.receiver == atom])[::-1]
        assert np.diff(np.append(shell_starts(-weight, 1e-6), len(weight))).tolist() == faces


def test_voronoi_cell_into_a_wide_vacuum():
    with pytest.raises(IrrepnetError, match=r"Voronoi cell of site 1 \(Po\) reaches farther than 50"):
        find_neighbours(crystal(np.diag([3, 3, 150]), ("Po", [0, 0, 0])), HypergraphOptions(neighbours="voronoi"))


@given(st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_voronoi_faces_belong_to_two(n, seed):
    """Where a sees b through a face, b sees a through it, unless it is too small for one of them."""
    rng = np.random.default_rng(seed)
    sites = [("Fe", site) for site in rng.uniform(size=(n, 3))]
    try:
        c = crystal(np.eye(3) * 4 + rng.uniform(-1, 1, (3, 3)), *sites)
    except IrrepnetError:  # atoms on top of each other
        return
    found = find_neighbours(c, HypergraphOptions(neighbours="voronoi"))
    pairs = {(r, s, *t): w for r, s, t, w in zip(found.receiver, found.sender, map(tuple, found.shift), found.weight)}
    for (r, s, *t), w in pairs.items():
        assert w < 0.02 or (s, r, *(-x for x in t)) in pairs
    assert [found.weight[found.receiver == atom].max() for atom in range(len(c))] == [1.0] * len(c)


# --- shells that a cut would split


def test_split_shells(made):
    assert split_shells(po(3.0), n_max=12)[0][1:] == (pytest.approx(3 * 2**0.5), 12, 6)
    assert split_shells(po(3.0), n_max=18) == ()
    assert split_shells(po(30.0), n_max=12) == ()  # six neighbours, then nothing
    spinel = made["MgAl2O4"]
    found = {spinel.species[spinel.representatives[s.orbit]]: (s.size, s.kept) for s in split_shells(spinel)}
    assert found == {"Mg": (12, 8), "O": (6, 5)}


@given(st.sampled_from(FORMULAS), st.integers(1, 30))
def test_split_shells_against_a_count(made, formula, n_max):
    c = made[formula]
    split = {shell.orbit: shell for shell in split_shells(c, n_max)}
    everything = find_neighbours(c, HypergraphOptions(neighbours="n-max", n_max=150))
    for orbit, atom in enumerate(c.representatives):
        d = everything.distance[everything.receiver == atom]
        d = d[d < 8.0]
        if n_max < len(d) and d[n_max] - d[n_max - 1] < 1e-3:
            size = int((abs(d - d[n_max]) < 1e-3).sum())
            kept = int((abs(d[:n_max] - d[n_max]) < 1e-3).sum())
            assert (split[orbit].size, split[orbit].kept) == (size, kept)
        else:
            assert orbit not in split


# --- options


def test_unknown_method():
    with pytest.raises(IrrepnetError, match="unknown neighbours 'vornoi'; did you mean voronoi"):
        find_neighbours(po(3.0), HypergraphOptions(neighbours="vornoi"))
    with pytest.raises(IrrepnetError, match="the methods are shells, cutoff, n-max, voronoi, nearest"):
        find_neighbours(po(3.0), HypergraphOptions(neighbours="zzz"))


@pytest.mark.parametrize(
    "options",
    [
        {"neighbours": "shells", "n_max": 0},
        {"neighbours": "cutoff", "cutoff": 0.0},
        {"neighbours": "cutoff", "cutoff": float("nan")},
        {"neighbours": "cutoff", "cutoff": float("inf")},
        {"neighbours": "n-max", "n_max": 0},
        {"neighbours": "nearest", "scale": 0.9},
        {"neighbours": "nearest", "scale": float("nan")},
    ],
)
def test_bad_options(options):
    with pytest.raises(IrrepnetError, match=r"neighbour.* need"):
        find_neighbours(po(3.0), HypergraphOptions(**options))


@pytest.mark.parametrize("method", [name for name in NEIGHBOURS if name != "n-max"])
def test_supercells_have_the_same_neighbours(method):
    for first, _, n_max in PAIRS.values():
        c = SymmetricCrystal.from_structure(first())
        options = HypergraphOptions(neighbours=method, n_max=n_max, cutoff=4.0)
        a = find_neighbours(c, options)
        b = find_neighbours(plain_supercell(c, np.array([[1, 0, 0], [0, 2, 0], [1, 0, 1]])), options)
        np.testing.assert_allclose(np.sort(np.tile(a.distance, 2)), np.sort(b.distance), atol=1e-12)
        np.testing.assert_allclose(np.sort(np.tile(a.weight, 2)), np.sort(b.weight), atol=1e-9)


def test_molecule_alone():
    c = SymmetricCrystal.from_structure(tetrahedral())
    found = find_neighbours(c, HypergraphOptions(neighbours="nearest", scale=1.2))
    assert np.bincount(found.receiver).tolist() == [4, 1, 1, 1, 1]
