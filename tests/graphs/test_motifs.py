"""Motifs against pymatgen's own classes on the structures as they are read, brute force, and symmetry."""

import itertools
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as options_of_search
from hypothesis import strategies as st
from pymatgen.analysis.chemenv.coordination_environments.coordination_geometries import AllCoordinationGeometries
from pymatgen.analysis.chemenv.coordination_environments.coordination_geometry_finder import (
    LocalGeometryFinder,
    symmetry_measure,
)
from pymatgen.core import Lattice, Structure
from pymatgen.core.local_env import (
    DEFAULT_OP_PARAMS,
    CrystalNN,
    LocalStructOrderParams,
    MinimumDistanceNN,
    VoronoiNN,
)
from tests.environments import PAIRS

from irrepnet.crystals import SymmetricCrystal, plain_supercell
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import (
    LSOP_NAMES,
    Hypergraph,
    HypergraphOptions,
    csm,
    csm_names,
    hypergraph,
    lsop,
    motif,
    motifs,
)
from irrepnet.graphs.cache import bypassed
from irrepnet.graphs.descriptors import shape_key

pytestmark = pytest.mark.filterwarnings("ignore:No oxidation states", "ignore:CrystalNN")
POLYHEDRA = {
    g.mp_symbol: np.array(g.points) - g.get_central_site()
    for n in range(1, 14)
    for g in AllCoordinationGeometries().get_implemented_geometries(n)
}
MOTIFS = HypergraphOptions(hyperedges=("motifs",))


@pytest.fixture(autouse=True, scope="module")
def _own_cache(tmp_path_factory: pytest.TempPathFactory):
    patch = pytest.MonkeyPatch()
    patch.setenv("IRREPNET_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()


def cubic(length: float, species: list[str], positions: list[list[float]]) -> SymmetricCrystal:
    return SymmetricCrystal.from_structure(Structure(Lattice.cubic(length), species, positions))


def rock_salt() -> SymmetricCrystal:
    return SymmetricCrystal.from_structure(
        Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    )


def turned(vectors: np.ndarray, seed: int) -> np.ndarray:
    """The shell in another orientation, of either hand, and another order."""
    random = np.random.default_rng(seed)
    return random.permutation(vectors) @ np.linalg.qr(random.normal(size=(3, 3)))[0]


def shells(n_min: int, n_max: int) -> st.SearchStrategy[np.ndarray]:
    """Neighbours in all directions at 1.5 to 3 Å, sometimes several in a line."""

    def build(n: int, seed: int, rounded: bool) -> np.ndarray:
        random = np.random.default_rng(seed)
        directions = random.normal(size=(n, 3))
        if rounded:
            directions = np.where(np.abs(directions).max(1, keepdims=True) < 0.5, 1.0, np.round(directions))
        return directions / np.linalg.norm(directions, axis=1, keepdims=True) * random.uniform(1.5, 3.0, (n, 1))

    return st.builds(build, st.integers(n_min, n_max), st.integers(0, 2**32 - 1), st.booleans())


# --- descriptors


def test_names_are_those_of_pymatgen():
    assert len(LSOP_NAMES) == len(set(LSOP_NAMES)) == 35
    LocalStructOrderParams(list(LSOP_NAMES))  # refuses a name that it does not know
    assert csm_names() == tuple(POLYHEDRA)
    assert len(csm_names()) == 60


def crystals(examples: dict[str, Path], mp_2018: list[dict]) -> list[tuple[SymmetricCrystal, Structure]]:
    """The examples and some of mp_2018, with the idealised cell as pymatgen has it."""
    records = [record for record in mp_2018 if len(record["species"]) < 20][::3500]
    found = [SymmetricCrystal.from_structure(source) for source in [*examples.values(), *records]]
    return [(crystal, Structure(crystal.lattice, crystal.species, crystal.frac_coords)) for crystal in found]


def jumps(vectors: np.ndarray) -> bool:
    """Whether an angle is one at which pymatgen's "bcc" jumps, which it then decides by rounding."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    angles = np.arccos(np.clip(unit @ unit.T, -1, 1))[np.triu_indices(len(unit), 1)]
    return bool((abs(angles[:, None] - [np.pi / 2, DEFAULT_OP_PARAMS["bcc"]["min_SPP"]]) < 1e-5).any())


def test_order_parameters_are_those_of_pymatgen(examples, mp_2018):
    """Its class finds the neighbours in a sphere by itself, and in any order, on which its "bcc" depends; its
    "sq_face_cap_trig_pris" depends on the hand."""
    compared = []
    for crystal, structure in crystals(examples, mp_2018):
        for atom in map(int, crystal.representatives):
            found = motif(crystal, atom, "minimum-distance")
            radius = np.linalg.norm(found.vectors, axis=1).max() + 1e-3
            theirs = LocalStructOrderParams(list(LSOP_NAMES), cutoff=radius)
            values = [0.0 if value is None else value for value in theirs.get_order_parameters(structure, atom)]
            sites = [structure[atom], *(n for n in structure.get_neighbors(structure[atom], radius))]
            orders = np.arange(1, len(sites)), np.arange(1, len(sites))[::-1]
            either = [LocalStructOrderParams(["bcc"]).get_order_parameters(sites, 0, list(o))[0] for o in orders]
            ours, bcc, prism = lsop(found.vectors), *map(LSOP_NAMES.index, ("bcc", "sq_face_cap_trig_pris"))
            mirrored = [types.SimpleNamespace(coords=-point) for point in (np.zeros(3), *found.vectors)]
            other = LocalStructOrderParams([LSOP_NAMES[prism]]).get_order_parameters(mirrored, 0, orders[0].tolist())
            values[prism] = max(values[prism], other[0] or 0.0)
            values[bcc] = ours[bcc] if jumps(found.vectors) else 0.0 if either[0] is None else np.mean(either)
            np.testing.assert_allclose(ours, values, rtol=0, atol=1e-8)
            compared.append(jumps(found.vectors))
    assert len(compared) - sum(compared) > 20


def real_shells(records: list[dict]) -> list[np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for record in records:
        crystal = SymmetricCrystal.from_structure(record)
        for shell in ("minimum-distance", "voronoi"):
            for atom in crystal.representatives:
                one = motif(crystal, int(atom), shell)
                if len(one.neighbours) < 15:
                    found[one.shape] = one.vectors
    return list(found.values())


@pytest.mark.slow
def test_order_parameters_do_not_depend_on_orientation_hand_and_order(mp_2018):
    """Of shells with all the angles that crystals have exactly; the two that pymatgen has not invariant, on purpose."""
    random = np.random.default_rng(0)
    low, high = (
        [r for r in mp_2018 if len(r["species"]) < 10 and (r["spacegroup_number"] < 75) == is_low]
        for is_low in (True, False)
    )
    chosen = real_shells([group[i] for group in (low, high) for i in random.permutation(len(group))[:6]])
    assert 5 < sum(map(jumps, chosen)) < len(chosen) - 5
    for vectors in chosen:
        seed = int(random.integers(2**31))
        for image in (turned(vectors, seed), -turned(vectors, seed)):
            np.testing.assert_allclose(lsop(image), lsop(vectors), rtol=0, atol=1e-9)


@options_of_search(max_examples=25)
@given(shells(1, 9), st.integers(0, 2**32 - 1))
def test_order_parameters_of_any_shell_are_invariant(vectors, seed):
    np.testing.assert_allclose(lsop(turned(vectors, seed)), lsop(vectors), rtol=0, atol=1e-7)


def test_bcc_at_a_right_angle():
    """The mean of both sides of the jump."""
    shell = np.array([[0, 0, 1], [1, 0, 0], [0.3, 0.8, 0.5], [-0.5, 0.2, -0.9]])
    bcc = LSOP_NAMES.index("bcc")
    tilts = [shell + np.outer([0, 1, 0, 0], [0, 0, tilt]) for tilt in (1e-5, -1e-5)]
    sides = [lsop(tilted)[bcc] for tilted in tilts]
    assert abs(sides[0] - sides[1]) > 1e-3
    assert lsop(shell)[bcc] == pytest.approx(np.mean(sides), abs=1e-5)


@pytest.mark.parametrize("first", [0, 1])
def test_both_hands_have_the_same_motifs(first, mp_2018, tmp_path, monkeypatch):
    """In either order of reading, from the cache and anew: it has shells of one shape, of either hand, once."""
    options = HypergraphOptions(hyperedges=("motifs",), motif_features=("lsop",), motif_shell="minimum-distance")
    small = [record for record in mp_2018 if len(record["species"]) < 16]
    for group in (4, 19, 20, 96, 152, 154, 173, 198):
        record = next(record for record in small if record["spacegroup_number"] == group)
        hands = [record, record | {"frac_coords": -np.array(record["frac_coords"])}]
        monkeypatch.setenv("IRREPNET_CACHE", str(tmp_path / str(group)))
        crystals = [SymmetricCrystal.from_structure(hand) for hand in (hands[first], hands[1 - first])]
        kept = [hypergraph(crystal, options) for crystal in crystals]
        with bypassed():
            anew = [hypergraph(crystal, options) for crystal in crystals]
        values = [total(graph, 1) for graph in (*kept, *anew)]
        for other in values[1:]:
            np.testing.assert_allclose(other, values[0], rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    ("shell", "most"), [("crystalnn", 7), pytest.param("minimum-distance", 12, marks=pytest.mark.slow)]
)
def test_symmetry_measures_are_those_of_chemenv(shell, most, examples, mp_2018):
    """Equal up to five neighbours, and for the nearest polyhedron; ChemEnv's search can miss the minimum elsewhere."""
    finder, names, compared = LocalGeometryFinder(), csm_names(), set()
    for crystal, structure in crystals(examples, mp_2018):
        finder.setup_structure(structure)
        for atom in crystal.representatives[:4]:
            try:
                found = motif(crystal, int(atom), shell)
            except IrrepnetError:
                continue  # reported: see below
            n = len(found.neighbours)
            if not 2 <= n <= most or (found.shape, n) in compared or sum(done == n for _, done in compared) > 3:
                continue
            compared.add((found.shape, n))
            finder.setup_local_geometry(atom, crystal.cart_coords[atom] + found.vectors)
            theirs = {
                name: value["csm_wcs_ctwcc"] for name, value in finder.get_coordination_symmetry_measures().items()
            }
            ours = dict(zip(names, csm(found.vectors), strict=True))
            assert {name for name in names if name.endswith(f":{n}")} == set(theirs)
            assert all(ours[name] == 100 for name in names if name not in theirs)
            assert all(ours[name] <= theirs[name] + 1e-8 for name in theirs)
            nearest = min(theirs, key=lambda name: theirs[name])
            for name in theirs if n <= 5 else [nearest]:
                assert ours[name] == pytest.approx(theirs[name], abs=1e-8)
    assert len(compared) > 8


@options_of_search(max_examples=6)
@given(shells(6, 6))
def test_symmetry_measures_by_trying_all_permutations(vectors):
    points = np.vstack([np.zeros(3), vectors])
    for name, value in zip(csm_names(), csm(vectors), strict=True):
        if name.endswith(":6"):
            ideal = np.vstack([np.zeros(3), POLYHEDRA[name]])
            centred = points - points.mean(0), ideal - ideal.mean(0)
            least = min(
                symmetry_measure(centred[0][[0, *order]], centred[1])["symmetry_measure"]
                for order in itertools.permutations(range(1, 7))
            )
            assert value == pytest.approx(least, abs=1e-8)


@pytest.mark.parametrize("name", POLYHEDRA)
def test_an_ideal_polyhedron_is_at_distance_zero(name):
    measures = dict(zip(csm_names(), csm(turned(1.9 * POLYHEDRA[name], 1)), strict=True))
    assert measures[name] == pytest.approx(0, abs=1e-10)
    others = [value for other, value in measures.items() if other != name and value < 1e-6]
    assert not others or name in {"DI:11"}, others


@options_of_search(max_examples=25)
@given(shells(1, 10), st.integers(0, 2**32 - 1), st.floats(0.5, 2.0))
def test_measures_and_shape_do_not_depend_on_orientation_scale_and_order(vectors, seed, scale):
    moved = scale * turned(vectors, seed)
    assert shape_key(moved) == shape_key(vectors)
    np.testing.assert_allclose(csm(moved), csm(vectors), atol=1e-8)
    if len(vectors) > 1:
        bent = vectors + np.array([1e-5, 0, 0]) * (np.arange(len(vectors)) == 0)[:, None]
        lengths = np.linalg.norm(bent, axis=1), np.linalg.norm(vectors, axis=1)
        if abs(lengths[0] - lengths[1]).max() > 1e-7:
            assert shape_key(bent) != shape_key(vectors)


def test_known_order_parameters():
    """What their authors made them for."""
    for name, polyhedron in {
        "tet": "T:4",
        "oct": "O:6",
        "tri_plan": "TL:3",
        "sq_plan": "S:4",
        "cuboct": "C:12",
    }.items():
        values = dict(zip(LSOP_NAMES, lsop(2.1 * POLYHEDRA[polyhedron]), strict=True))
        assert values[name] == pytest.approx(1.0, abs=2e-2)
        assert values["cn"] == len(POLYHEDRA[polyhedron])


@pytest.mark.parametrize(
    ("vectors", "says"),
    [(np.zeros((0, 3)), "no neighbours"), (np.ones((2, 2)), "array"), (np.full((2, 3), np.nan), "finite")],
)
def test_shells_that_have_no_descriptors(vectors, says):
    for descriptor in (lsop, csm):
        with pytest.raises(IrrepnetError, match=says):
            descriptor(vectors)


def test_too_many_neighbours_for_symmetry_measures():
    with pytest.raises(IrrepnetError, match="14 neighbours, and the measures are defined for 1 to 13"):
        csm(turned(np.vstack([POLYHEDRA["C:8"], 1.1 * POLYHEDRA["O:6"]]), 3))


# --- shells


THEIRS: dict[str, Callable] = {
    "crystalnn": CrystalNN,
    "minimum-distance": MinimumDistanceNN,
    "voronoi": lambda: VoronoiNN(tol=1e-3),
}


@pytest.mark.parametrize("shell", THEIRS)
def test_shells_are_those_of_pymatgen(shell, examples, mp_2018):
    for crystal, structure in crystals(examples, mp_2018):
        for atom in map(int, crystal.representatives):
            theirs = np.array([e["site"].coords for e in THEIRS[shell]().get_nn_info(structure, atom)]).reshape(-1, 3)
            if not len(theirs):
                with pytest.raises(IrrepnetError, match="no neighbours"):
                    motif(crystal, atom, shell)
                continue
            ours = crystal.cart_coords[atom] + motif(crystal, atom, shell).vectors
            assert len(ours) == len(theirs)
            assert np.linalg.norm(ours[:, None] - theirs, axis=-1).min(1).max() < 1e-6


def test_periodic_images_are_neighbours_and_the_centre_is_not():
    copper = SymmetricCrystal.from_structure(
        Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.6), ["Cu"], [[0, 0, 0]])
    )
    chloride = cubic(4.12, ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    for crystal, atom, n, distance in [(copper, 0, 12, 3.6 / np.sqrt(2)), (chloride, 0, 8, 4.12 * np.sqrt(0.75))]:
        found = motif(crystal, atom)
        assert len(found.neighbours) == n
        np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), distance)
        assert len(np.unique(np.column_stack([found.neighbours, found.shifts]), axis=0)) == n


@pytest.mark.parametrize("shell", motifs.SHELLS)
def test_shells_are_whole_and_equal_on_all_atoms_of_an_orbit(shell, examples):
    for path in examples.values():
        crystal = SymmetricCrystal.from_structure(path)
        for atom in range(len(crystal)):
            found = motif(crystal, atom, shell)
            assert found.shape == shape_key(found.vectors)
            ends = crystal.cart_coords[found.neighbours] + found.shifts @ crystal.lattice - crystal.cart_coords[atom]
            np.testing.assert_allclose(found.vectors, ends, atol=1e-12)
            assert np.linalg.norm(found.vectors, axis=1).min() > 0.5
            fixed = np.flatnonzero(crystal.permutation[:, atom] == atom)
            for operation in crystal.point_group.operations[fixed]:
                images = found.vectors @ operation.T
                assert np.linalg.norm(images[:, None] - found.vectors, axis=-1).min(1).max() < 1e-8


def test_a_shell_that_is_cut_is_completed(monkeypatch, tmp_path):
    monkeypatch.setenv("IRREPNET_CACHE", str(tmp_path))
    crystal = rock_salt()
    one = motif(crystal, 0)
    monkeypatch.setitem(motifs._AROUND, "crystalnn", lambda *_: lambda _: (one.neighbours[:1], one.vectors[:1]))
    monkeypatch.setenv("IRREPNET_CACHE", str(tmp_path / "empty"))
    assert motif(crystal, 0).shape == one.shape


# --- hyperedges


def test_rock_salt():
    graph = hypergraph(rock_salt(), MOTIFS)
    part = graph.types["motifs"]
    names = [*LSOP_NAMES, *csm_names()]
    assert part.features.shape == (2, 95)  # the same features, but of Na and of Cl
    row = dict(zip(names, part.features[0], strict=True))
    assert row["cn"] == 6
    assert row["oct"] == pytest.approx(1)
    assert row["O:6"] == pytest.approx(0, abs=1e-12)
    assert row["T:4"] == 1
    # every atom is in its own motif and in those of its 6 neighbours
    assert [part.weight[part.node == node].sum() for node in (0, 1)] == [7, 7]
    assert part.other_weight.sum() == sum(6 for _ in part.node)


def test_resemblance():
    for resemblance in (False, True):
        options = HypergraphOptions(hyperedges=("motifs",), motif_features=("csm",), resemblance=resemblance)
        row = dict(zip(csm_names(), hypergraph(rock_salt(), options).types["motifs"].features[0], strict=True))
        assert row["O:6"] == pytest.approx(1.0 if resemblance else 0.0, abs=1e-12)
        assert row["C:8"] == (0.0 if resemblance else 1.0)
        assert 0.05 < row["T:6"] < 0.95


def total(graph: Hypergraph, per_cell: int) -> np.ndarray:
    """Σ over atoms and their motifs of a function of the features and of what the others are, per primitive cell."""
    part, n_atoms = graph.types["motifs"], graph.multiplicity.sum()
    mean = np.bincount(part.incidence, part.other_weight * np.sqrt(graph.numbers[part.other]), len(part.node))
    values = np.sin(3 * part.features[part.edge] + 1) * np.cos(mean)[:, None]
    return (values * (part.weight * graph.multiplicity[part.node])[:, None]).sum(0) * per_cell / n_atoms


@pytest.mark.parametrize("shell", ["crystalnn", "minimum-distance"])
def test_supercells_have_the_same_motifs(shell, examples, mp_2018):
    options = HypergraphOptions(hyperedges=("motifs",), motif_shell=shell)
    crystals = [SymmetricCrystal.from_structure(path) for path in examples.values()]
    crystals += [SymmetricCrystal.from_structure(r) for r in mp_2018[::4000]]
    for crystal in crystals:
        if len(crystal) < 13:
            graph = hypergraph(crystal, options)
            whole = hypergraph(plain_supercell(crystal, np.array([[1, 1, 0], [0, 1, 0], [0, 0, 2]])), options)
            if not graph.failures:
                np.testing.assert_allclose(total(whole, len(crystal)), total(graph, len(crystal)), rtol=0, atol=1e-10)


@pytest.mark.parametrize("pair", PAIRS)
def test_environments_with_equal_distances_differ(pair):
    first, second, _ = PAIRS[pair]
    features = [
        hypergraph(SymmetricCrystal.from_structure(make()), MOTIFS).types["motifs"].features for make in (first, second)
    ]
    if pair == "diamond, lonsdaleite":  # all first shells are tetrahedra; they differ in the second
        np.testing.assert_allclose(features[0], features[1][:1], atol=1e-9)
    else:
        assert abs(features[0][:, None] - features[1]).max(-1).max() > 0.1


def test_a_site_that_fails_is_reported_and_left_out():
    bcc = SymmetricCrystal.from_structure(Structure.from_spacegroup("Im-3m", Lattice.cubic(2.87), ["Fe"], [[0, 0, 0]]))
    graph = hypergraph(bcc, HypergraphOptions(hyperedges=("motifs",), motif_shell="voronoi"))
    assert graph.failures == ("site 0 (Fe, Wyckoff a): csm: 14 neighbours, and the measures are defined for 1 to 13",)
    assert len(graph.types["motifs"].node) == 0
    alone = hypergraph(bcc, HypergraphOptions(hyperedges=("motifs",), motif_shell="voronoi", motif_features=("lsop",)))
    assert not alone.failures
    assert alone.types["motifs"].features[0, 0] == 14


def test_an_error_of_the_library_is_a_failure_of_the_site(monkeypatch, tmp_path):
    monkeypatch.setenv("IRREPNET_CACHE", str(tmp_path))

    def breaks(vectors):
        raise ZeroDivisionError("float division")

    monkeypatch.setitem(motifs._DESCRIPTORS, "lsop", breaks)
    graph = hypergraph(rock_salt(), MOTIFS)
    assert len(graph.failures) == 2
    assert all(line.endswith("lsop: ZeroDivisionError: float division") for line in graph.failures)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"motif_shell": "crystal"}, "unknown motif shell 'crystal'; choose one of crystalnn"),
        ({"motif_features": ("lsop", "soap")}, "unknown motif features soap; choose of lsop, csm"),
        ({"motif_features": ()}, "unknown motif features"),
    ],
)
def test_unknown_options(options, says):
    options = HypergraphOptions(hyperedges=("motifs",), **options)
    with pytest.raises(IrrepnetError, match=says):
        hypergraph(rock_salt(), options)


def test_no_such_atom():
    with pytest.raises(IrrepnetError, match="no atom 2"):
        motif(rock_salt(), 2)


# --- the cache


def test_what_is_kept_is_not_computed_again(monkeypatch, tmp_path, examples):
    crystals = [SymmetricCrystal.from_structure(path) for path in list(examples.values())[:3]]
    monkeypatch.setenv("IRREPNET_CACHE", str(tmp_path))
    expected = [hypergraph(crystal, MOTIFS).types["motifs"].features for crystal in crystals]
    for name in ("lsop", "csm"):
        monkeypatch.setitem(motifs._DESCRIPTORS, name, None)
    monkeypatch.setitem(motifs._AROUND, "crystalnn", None)
    for crystal, features in zip(crystals, expected, strict=True):
        graph = hypergraph(crystal, MOTIFS)
        assert not graph.failures
        np.testing.assert_allclose(graph.types["motifs"].features, features, atol=1e-12)
