"""Band representations: published ones, orbitals moved by brute force, and what must hold in every space group."""

from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irrepnet.crystals import SymmetricCrystal, induce, induce_from_position
from irrepnet.crystals.symmetric import setting_operations, standard_hall_number
from irrepnet.errors import IrrepnetError
from irrepnet.groups import PointGroup, harmonic_matrices

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
GAMMA, X, L = (0, 0, 0), (0.5, 0, 0.5), (0.5, 0.5, 0.5)  # X, L: of the face-centred lattice
K_HEXAGONAL = (1 / 3, 1 / 3, 0)

# -- published ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "position", "label", "k", "expected"),
    [
        # diamond: s (A1) and p (T2) of -43m give Γ1+ ⊕ Γ2- and Γ15 ⊕ Γ25'; L1 ⊕ L2' and L1 ⊕ L2' ⊕ L3 ⊕ L3'
        (227, (1 / 8, 1 / 8, 1 / 8), "A1", GAMMA, {"A1g": 1, "A2u": 1}),
        (227, (1 / 8, 1 / 8, 1 / 8), "T2", GAMMA, {"T2g": 1, "T1u": 1}),
        (227, (1 / 8, 1 / 8, 1 / 8), "A1", L, {"A1g": 1, "A2u": 1}),
        (227, (1 / 8, 1 / 8, 1 / 8), "T2", L, {"A1g": 1, "A2u": 1, "Eg": 1, "Eu": 1}),
        # face-centred cubic: p gives X4' ⊕ X5' and L2' ⊕ L3'; d_eg gives X1 ⊕ X2 and L3
        (225, (0, 0, 0), "T1u", X, {"A2u": 1, "Eu": 1}),
        (225, (0, 0, 0), "T1u", L, {"A2u": 1, "Eu": 1}),
        (225, (0, 0, 0), "Eg", X, {"A1g": 1, "B1g": 1}),
        (225, (0, 0, 0), "Eg", L, {"Eg": 1}),
        # the other ion of rock salt: an inversion centre away from the origin, parities are the other ones at L
        (225, (0.5, 0.5, 0.5), "T1u", X, {"A2u": 1, "Eu": 1}),
        (225, (0.5, 0.5, 0.5), "T1u", L, {"A1g": 1, "Eg": 1}),
        # oxygen of perovskite, moving along the bond and across it: T1u, and T1u ⊕ T2u
        (221, (0, 0.5, 0.5), "A2u", GAMMA, {"T1u": 1}),
        (221, (0, 0.5, 0.5), "Eu", GAMMA, {"T1u": 1, "T2u": 1}),
        # honeycomb: p_z is twice degenerate at K, s as well
        (191, (1 / 3, 2 / 3, 0), "A2''", K_HEXAGONAL, {"E''": 1}),
        (191, (1 / 3, 2 / 3, 0), "A1'", K_HEXAGONAL, {"E'": 1}),
        (183, (1 / 3, 2 / 3, 0), "A1", K_HEXAGONAL, {"E": 1}),
        # hexagonal close packing: s gives K5
        (194, (1 / 3, 2 / 3, 1 / 4), "A1'", K_HEXAGONAL, {"E'": 1}),
        # kagome: the flat band touches the other at Γ
        (191, (0.5, 0, 0), "Ag", GAMMA, {"A1g": 1, "E2g": 1}),
        # an inversion centre at the origin keeps its parity, one at a/2 changes it on the boundary (Zak 1982)
        (2, (0, 0, 0), "Ag", (0.5, 0, 0), {"Ag": 1}),
        (2, (0.5, 0, 0), "Ag", GAMMA, {"Ag": 1}),
        (2, (0.5, 0, 0), "Ag", (0.5, 0, 0), {"Au": 1}),
    ],
)
def test_published_band_representations(number, position, label, k, expected) -> None:
    (found,) = induce_from_position(number, position, label, [k])
    assert found.multiplicities == expected


@pytest.mark.parametrize(
    ("number", "position", "label", "k", "dimensions"),
    [
        (227, (1 / 8, 1 / 8, 1 / 8), "A1", X, [2]),  # X1
        (227, (1 / 8, 1 / 8, 1 / 8), "T2", X, [2, 2, 2]),  # X1 ⊕ X3 ⊕ X4
        (227, (1 / 8, 1 / 8, 1 / 8), "A1", (0.5, 0.25, 0.75), [2]),  # W
        (194, (1 / 3, 2 / 3, 1 / 4), "A1'", (0, 0, 0.5), [2]),  # bands stick together at A (Herring 1942)
        (19, (0.1, 0.2, 0.3), "A", (0.5, 0.5, 0.5), [2, 2]),
        (4, (0.1, 0.2, 0.3), "A", (0, 0.5, 0), [1, 1]),
    ],
)
def test_published_degeneracies(number, position, label, k, dimensions) -> None:
    (found,) = induce_from_position(number, position, label, [k])
    sizes = dict(zip(found.little_group.labels, found.little_group.irreps))
    assert [sizes[x].shape[1] for x, count in found.multiplicities.items() for _ in range(count)] == dimensions


@pytest.mark.parametrize("label", ["A", "B1", "B2", "B3"])
def test_sites_of_f222_that_irreps_cannot_tell_apart(label: str) -> None:
    # Bacry, Michel and Zak, Phys. Rev. Lett. 61, 1005 (1988): different band representations of equal irreps
    points = [np.array(k) / 4 for k in np.ndindex(4, 4, 4)]
    sites = [(0, 0, 0), (0, 0, 0.5), (0.25, 0.25, 0.25), (0.25, 0.25, 0.75)]
    a, b, c, d = ([x.multiplicities for x in induce_from_position(22, site, label, points)] for site in sites)
    assert a == b != c == d


def test_a_general_position_is_a_sum_over_any_site() -> None:
    points = [np.array(k) / 2 for k in np.ndindex(2, 2, 2)]
    general = [b.multiplicities for b in induce_from_position(2, (0.1, 0.2, 0.3), "A", points)]
    for site in np.ndindex(2, 2, 2):
        parts = [induce_from_position(2, np.array(site) / 2, label, points) for label in ("Ag", "Au")]
        assert [Counter(a.multiplicities) + Counter(b.multiplicities) for a, b in zip(*parts)] == general


# -- brute force ----------------------------------------------------------------------------------------------


def moved_orbitals(
    rotations: np.ndarray, translations: np.ndarray, orbitals: np.ndarray, sites: np.ndarray, k: np.ndarray, g: int
) -> complex:
    """The trace of operation g on the Bloch sums of orbitals: every orbital of a periodic supercell is moved.

    orbitals (N, d, d): how the orbitals at one site turn. The supercell is as small as k allows.
    """
    repeats = [Fraction(float(x)).limit_denominator(24).denominator for x in k]
    cells = [np.array(n) for n in np.ndindex(*repeats)]
    trace = 0.0
    for a, site in enumerate(sites):
        for n in cells:
            target = rotations[g] @ (site + n) + translations[g]
            for b, other in enumerate(sites):
                m = np.rint(target - other)
                if a == b and np.allclose(target - other, m, atol=1e-6):
                    # ⟨ψ_a | g ψ_a⟩ with ψ_a = Σ_n exp(2πi k·n) φ_{a, n} / √cells
                    trace += np.exp(2j * np.pi * (k @ (n - m))) * np.trace(orbitals[g]) / len(cells)
    return trace


@pytest.mark.parametrize("name", ["MgAl2O4", "SrTiO3"])
@pytest.mark.parametrize("l", [1, 2, 3])
def test_characters_are_those_of_orbitals_moved_one_by_one(name: str, l: int) -> None:
    crystal = SymmetricCrystal.from_structure(EXAMPLES / f"{name}.cif")
    compare_with_moved_orbitals(crystal, l, [GAMMA, X, (0.25, 0.25, 0)])


@pytest.mark.parametrize("spacegroup", [11, 62, 136, 148, 176, 186, 194, 198])
def test_characters_of_orbitals_in_other_crystals(spacegroup: int, one_of_each: dict[int, dict]) -> None:
    crystal = SymmetricCrystal.from_structure(one_of_each[spacegroup])
    compare_with_moved_orbitals(crystal, 2, [(0.5, 0.5, 0), (0.5, 0.5, 0.5), (0.25, 0, 0.5), (1 / 3, 1 / 3, 0.5)])


@pytest.fixture(scope="session")
def one_of_each(mp_2018: list[dict]) -> dict[int, dict]:
    """A small crystal of mp_2018 of each of a few space groups."""
    found: dict[int, dict] = {}
    for record in mp_2018:
        number = record["spacegroup_number"]
        if len(record["species"]) <= 16:
            found.setdefault(number, record)
    return found


def compare_with_moved_orbitals(crystal: SymmetricCrystal, l: int, points: list[tuple[float, ...]]) -> None:
    """The irreps in the orbitals of angular momentum l, induced one by one, together are those orbitals."""
    group = crystal.point_group
    orbitals = harmonic_matrices(group.operations, l, (-1) ** l)
    for orbit, site_group in enumerate(crystal.site_groups):
        subgroup = group.subgroup(site_group)
        counts = subgroup.group.multiplicities(np.trace(orbitals[subgroup.indices], axis1=1, axis2=2))
        total = [np.zeros(1)] * len(points)
        for label, count in counts.items():
            for i, induced in enumerate(induce(crystal, orbit, label, points)):
                total[i] = total[i] + count * induced.characters
        sites = crystal.frac_coords[crystal.orbits == orbit]
        for i, induced in enumerate(induce(crystal, orbit, next(iter(counts)), points)):
            moved = [
                moved_orbitals(crystal.rotations, crystal.translations, orbitals, sites, induced.k, g)
                for g in induced.little_group.indices
            ]
            np.testing.assert_allclose(total[i], moved, atol=1e-9)


# -- every space group ----------------------------------------------------------------------------------------

POSITIONS = (
    (0, 0, 0),
    (1 / 4, 1 / 4, 1 / 4),
    (1 / 8, 1 / 8, 1 / 8),
    (1 / 3, 2 / 3, 1 / 4),
    (0, 1 / 2, 0),
    (0.2, 0.2, 0.2),
)
POINTS = (GAMMA, (0.5, 0, 0), (0.5, 0, 0.5), (0.5, 0.5, 0.5), (0.25, 0.5, 0.75), (1 / 3, 1 / 3, 0.5), (0.1, 0.2, 0.35))


def check_space_group(number: int, position: tuple[float, ...]) -> None:
    """All irreps of one site: as many bands at every k, whole multiplicities, products, Γ by correlation, their sum."""
    group, rotations, translations = setting_operations(standard_hall_number(number))
    general = [induced.characters for induced in induce_from_position(number, (0.1234, 0.2345, 0.3517), "A", POINTS)]
    site, correlation = site_of(number, position)
    total = [np.zeros(1)] * len(POINTS)
    for irrep in site.complex_irreps:
        dim = irrep.matrices.shape[1]
        found = induce_from_position(number, position, irrep.label, POINTS)
        for i, induced in enumerate(found):
            little = induced.little_group
            characters = dict(zip(little.labels, little.characters))
            dims = dict(zip(little.labels, (m.shape[1] for m in little.irreps)))
            bands = group.order // site.order * dim
            assert induced.matrices.shape == (len(little.indices), bands, bands)
            assert sum(count * dims[label] for label, count in induced.multiplicities.items()) == bands
            rebuilt = sum(count * characters[label] for label, count in induced.multiplicities.items())
            np.testing.assert_allclose(rebuilt, induced.characters, atol=1e-9)
            check_products(group, rotations, translations, induced)
            total[i] = total[i] + dim * induced.characters
        # Frobenius: Γ^α occurs in Ind ρ as often as ρ in Γ^α restricted to the site group
        assert found[0].multiplicities == {
            label: counts[irrep.label] for label, counts in correlation.items() if irrep.label in counts
        }
    for a, b in zip(total, general):  # every irrep ρ, dim ρ times, is what the regular representation induces
        np.testing.assert_allclose(a, b, atol=1e-9)


def site_of(number: int, position: tuple[float, ...]) -> tuple[PointGroup, dict[str, dict[str, int]]]:
    """Group of a site, and {irrep of the point group over C: {irrep of the site over C: multiplicity}}."""
    import moyopy

    hall_number = standard_hall_number(number)
    group, rotations, translations = setting_operations(hall_number)
    x = np.array(moyopy.HallSymbolEntry(hall_number).centering.linear) @ position
    apart = rotations @ x + translations - x
    subgroup = group.subgroup(np.flatnonzero(abs(apart - np.rint(apart)).max(axis=1) < 1e-6))
    correlation: dict[str, dict[str, int]] = {}
    for above in group.complex_irreps:
        for below in subgroup.group.complex_irreps:
            count = round(abs(np.vdot(below.characters, above.characters[subgroup.indices])) / subgroup.group.order)
            if count:
                correlation.setdefault(above.label, {})[below.label] = count
    return subgroup.group, correlation


def check_products(group: PointGroup, rotations: np.ndarray, translations: np.ndarray, induced) -> None:
    """D(g) D(h) = exp(−2πi k·n) D(gh) with {g} {h} = {1 | n} {gh}, for two random vectors of operations."""
    indices = induced.little_group.indices
    place = {int(index): i for i, index in enumerate(indices)}
    for i, j in np.random.default_rng(0).integers(len(indices), size=(3, 2)):
        g, h = indices[i], indices[j]
        gh = group.multiplication[g, h]
        phase = np.exp(
            -2j * np.pi * (induced.k @ (rotations[g] @ translations[h] + translations[g] - translations[gh]))
        )
        expected = phase * induced.matrices[place[int(gh)]]
        np.testing.assert_allclose(induced.matrices[i] @ induced.matrices[j], expected, atol=1e-10)


@pytest.mark.parametrize("number", [2, 13, 43, 70, 82, 109, 130, 147, 155, 167, 182, 190, 194, 206, 214, 217, 224])
def test_what_holds_in_every_space_group(number: int) -> None:
    check_space_group(number, POSITIONS[number % len(POSITIONS)])


@pytest.mark.slow
@pytest.mark.parametrize("number", range(1, 231))
def test_what_holds_in_all_space_groups(number: int) -> None:
    for position in POSITIONS:
        check_space_group(number, position)


@settings(max_examples=15, deadline=None)
@given(st.integers(3, 230), st.lists(st.sampled_from([0, 0.25, 1 / 3, 0.5]), min_size=3, max_size=3), st.data())
def test_bands_are_compatible_along_lines(number: int, end: list[float], data: st.DataObject) -> None:
    # Next to a symmetric k, the irreps are those at k restricted to the group of the line, up to the phase exp(−iδ·t).
    direction = np.array(data.draw(st.sampled_from([(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 1, 1)]), "line"))
    near = np.array(end) + 1e-3 * direction
    at, beside = induce_from_position(number, (0, 0, 0), trivial(number), [end, near])
    common = np.isin(at.little_group.indices, beside.little_group.indices)
    np.testing.assert_allclose(at.characters[common], beside.characters, atol=0.1 * len(at.matrices[0]))


def trivial(number: int) -> str:
    """Label of the trivial irrep of the site at the origin."""
    return site_of(number, (0, 0, 0))[0].trivial.label


# -- use ------------------------------------------------------------------------------------------------------


def test_a_crystal_and_its_position_by_hand_agree() -> None:
    crystal = SymmetricCrystal.from_structure(EXAMPLES / "SrTiO3.cif")
    titanium = crystal.orbits[crystal.species.index("Ti")]
    x = crystal.frac_coords[crystal.representatives[titanium]]
    points = [GAMMA, (0.5, 0, 0), (0.5, 0.5, 0.5)]
    by_crystal = induce(crystal, int(titanium), "T2g", points)
    by_hand = induce_from_position(221, x, "T2g", points)
    assert [b.multiplicities for b in by_crystal] == [b.multiplicities for b in by_hand]
    assert by_crystal[0].multiplicities == {"T2g": 1}


def test_a_real_irrep_of_complex_type_is_both_complex_ones() -> None:
    points = [GAMMA, (0.5, 0.5, 0.5), (0.1, 0.2, 0.3)]
    both, first, second = (induce_from_position(195, (0, 0, 0), label, points) for label in ("E", "1E", "2E"))
    for whole, a, b in zip(both, first, second):
        np.testing.assert_allclose(whole.characters, a.characters + b.characters, atol=1e-12)
    assert both[0].multiplicities == {"1E": 1, "2E": 1}


def test_a_rounded_position_is_made_exact() -> None:
    (exact,) = induce_from_position(194, (1 / 3, 2 / 3, 1 / 4), "A1'", [K_HEXAGONAL])
    (rounded,) = induce_from_position(194, (0.333333, 0.666667, 0.25), "A1'", [K_HEXAGONAL])
    np.testing.assert_allclose(rounded.characters, exact.characters, atol=1e-12)


def test_refusals_name_what_is_known() -> None:
    crystal = SymmetricCrystal.from_structure(EXAMPLES / "SrTiO3.cif")
    with pytest.raises(IrrepnetError, match="SrTiO3 has the orbits 0 to 2, got 3"):
        induce(crystal, 3, "A1g", [GAMMA])
    with pytest.raises(IrrepnetError, match="the site group is -43m, its irreps are A1, A2, E, T1, T2"):
        induce_from_position(216, (0, 0, 0), "A1g", [GAMMA])
    with pytest.raises(IrrepnetError, match="1 to 230, got 231"):
        induce_from_position(231, (0, 0, 0), "A", [GAMMA])
    with pytest.raises(IrrepnetError, match="position is three finite"):
        induce_from_position(1, (0, np.nan, 0), "A", [GAMMA])
    with pytest.raises(IrrepnetError, match="k is three finite"):
        induce_from_position(1, (0, 0, 0), "A", [(0, 0)])
