"""Little groups and their small irreps against spgrep, and against the algebra that defines them."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irrepnet.crystals import little_group
from irrepnet.crystals.symmetric import setting_operations, standard_hall_number
from irrepnet.errors import IrrepnetError
from irrepnet.groups import DoubleGroup, PointGroup


def space_group(number: int) -> tuple[PointGroup, np.ndarray, np.ndarray]:
    """Point group, rotations and translations of a space group."""
    return setting_operations(standard_hall_number(number))


def special_points(rotations: np.ndarray) -> list[np.ndarray]:
    """One of each star of the wave vectors whose coordinates are multiples of 1/2, 1/3 or 1/4."""
    twelfths = np.array(list(itertools.product((0, 3, 4, 6, 8, 9), repeat=3)))
    onto = np.rint(np.linalg.inv(rotations)).astype(int)
    stars = np.einsum("ki,gij->gkj", twelfths, onto) % 12  # R⁻ᵀ k
    codes = (stars @ [144, 12, 1]).min(axis=0)
    return [k / 12 for k in twelfths[np.unique(codes, return_index=True)[1]]]


def compare_with_spgrep(number: int, points: list[np.ndarray]) -> None:
    """Same little group, and the same set of characters, phases included."""
    spgrep = pytest.importorskip("spgrep")
    group, rotations, translations = space_group(number)
    for k in points:
        ours = little_group(group, rotations, translations, k)
        theirs, mapping = spgrep.get_spacegroup_irreps_from_primitive_symmetry(rotations, translations, k)
        assert set(mapping) == set(ours.indices), (number, k)
        order = np.argsort(mapping)
        characters = np.array([np.trace(m[order], axis1=1, axis2=2) for m in theirs])
        overlaps = ours.characters.conj() @ characters.T / len(order)
        # each of ours is one of theirs
        assert overlaps.shape[0] == overlaps.shape[1], (number, k)
        match = abs(overlaps).argmax(axis=1)
        assert sorted(match) == list(range(len(match))), (number, k)
        np.testing.assert_allclose(ours.characters, characters[match], atol=1e-6, err_msg=f"{number} {k}")


def compare_spinors_with_spgrep(number: int, points: list[np.ndarray]) -> None:
    """The same with spin; the signs of spgrep's SU(2) matrices are its own, and are taken out."""
    spgrep = pytest.importorskip("spgrep")
    group, rotations, translations = space_group(number)
    double = DoubleGroup(group)
    random = np.random.default_rng(number).normal(size=(3, 3))
    columns = np.einsum("gij,jk,gkl->il", group.operations, random, np.linalg.inv(rotations)) / group.order
    assert np.allclose(group.operations @ columns, columns @ rotations)  # lattice vectors that have the symmetry
    for k in points:
        ours = little_group(double, rotations, translations, k)
        theirs, _, unitary, mapping = spgrep.get_spacegroup_spinor_irreps_from_primitive_symmetry(
            columns.T, rotations, translations, kpoint=k
        )
        assert set(mapping) == set(ours.indices), (number, k)
        order = np.argsort(mapping)
        signs = np.einsum("gij,gij->g", unitary[order], double.spinors[ours.indices].conj()).real / 2
        np.testing.assert_allclose(abs(signs), 1)
        characters = signs * np.array([np.trace(m[order], axis1=1, axis2=2) for m in theirs])
        overlaps = abs(ours.characters.conj() @ characters.T) / len(order)
        assert overlaps.shape[0] == overlaps.shape[1], (number, k)
        match = overlaps.argmax(axis=1)
        assert sorted(match) == list(range(len(match))), (number, k)
        np.testing.assert_allclose(ours.characters, characters[match], atol=1e-6, err_msg=f"{number} {k}")


def check_small_irreps(number: int, k: np.ndarray) -> None:
    """Γ(g) Γ(h) = exp(−2πi k·n) Γ(gh) for {1|n}{gh} = {g}{h}; unitary; irreducible; different; complete."""
    group, rotations, translations = space_group(number)
    little = little_group(group, rotations, translations, k)
    n = len(little.indices)
    assert len(set(little.labels)) == len(little.labels) == len(little.irreps)
    assert sum(m.shape[1] ** 2 for m in little.irreps) == n
    np.testing.assert_allclose(
        little.characters @ little.characters.conj().T / n, np.eye(len(little.irreps)), atol=1e-10
    )
    place = {int(index): i for i, index in enumerate(little.indices)}
    for (i, g), (j, h) in itertools.product(enumerate(little.indices), repeat=2):
        assert (rotations[g] @ rotations[h] == rotations[group.multiplication[g, h]]).all()
        gh = int(group.multiplication[g, h])
        translation = rotations[g] @ translations[h] + translations[g] - translations[gh]
        phase = np.exp(-2j * np.pi * (little.k @ translation))
        for matrices in little.irreps:
            np.testing.assert_allclose(matrices[i] @ matrices[j], phase * matrices[place[gh]], atol=1e-10)
    for matrices in little.irreps:
        identity = np.broadcast_to(np.eye(matrices.shape[1]), matrices.shape)
        np.testing.assert_allclose(matrices @ matrices.conj().swapaxes(1, 2), identity, atol=1e-10)


# symmorphic and not, every lattice system
SAMPLE = (2, 4, 14, 19, 33, 43, 61, 70, 73, 80, 92, 110, 136, 142, 146, 152, 161, 167, 176, 186, 194, 205, 220)


@pytest.mark.parametrize("number", SAMPLE)
def test_irreps_with_spin_are_those_of_spgrep(number: int) -> None:
    points = special_points(space_group(number)[1])
    chosen = np.random.default_rng(number).choice(len(points), size=min(len(points), 6), replace=False)
    points = [np.zeros(3), np.full(3, 0.5), np.array([0.5, 0, 0.5]), *(points[i] for i in chosen)]
    compare_spinors_with_spgrep(number, points)


@pytest.mark.parametrize("number", SAMPLE)
def test_irreps_are_those_of_spgrep(number: int) -> None:
    points = special_points(space_group(number)[1])
    chosen = np.random.default_rng(number).choice(len(points), size=min(len(points), 6), replace=False)
    compare_with_spgrep(number, [np.zeros(3), np.full(3, 0.5), np.array([0.5, 0, 0.5]), *(points[i] for i in chosen)])


@pytest.mark.slow
@pytest.mark.parametrize("number", range(1, 231))
def test_irreps_are_those_of_spgrep_at_all_special_points(number: int) -> None:
    compare_with_spgrep(number, special_points(space_group(number)[1]))


@pytest.mark.parametrize(
    ("number", "k"),
    [
        (14, (0.5, 0.5, 0.5)),
        (19, (0.5, 0.5, 0.5)),
        (92, (0.5, 0.5, 0.5)),
        (194, (1 / 3, 1 / 3, 0.5)),
        (205, (0.5, 0.5, 0.5)),
        (220, (0.5, -0.5, 0.5)),
        (227, (0.5, 0.25, 0.75)),
        (230, (0.5, -0.5, 0.5)),
    ],
)
def test_small_irreps_obey_their_definition(number: int, k: tuple[float, ...]) -> None:
    check_small_irreps(number, np.array(k))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 230), st.lists(st.integers(-24, 24).map(lambda n: n / 12), min_size=3, max_size=3))
def test_small_irreps_obey_their_definition_anywhere(number: int, k: list[float]) -> None:
    group = space_group(number)[0]
    if group.order > 16:  # the loop over pairs is slow
        number = 1 + number % 74
    check_small_irreps(number, np.array(k))


@pytest.mark.parametrize("number", [1, 5, 47, 82, 146, 168, 198, 216, 225])
def test_at_gamma_they_are_the_irreps_of_the_point_group(number: int) -> None:
    group, rotations, translations = space_group(number)
    little = little_group(group, rotations, translations, np.zeros(3))
    assert little.labels == tuple(irrep.label for irrep in group.complex_irreps)
    for matrices, irrep in zip(little.irreps, group.complex_irreps):
        np.testing.assert_array_equal(matrices, irrep.matrices)


def test_dimensions_at_points_of_high_symmetry() -> None:
    # Bradley and Cracknell (1972), table 5.7: X and W of diamond, A of hexagonal close packing, H of Ia-3d (with
    # a six-fold one), R of P2₁2₁2₁, X of rock salt
    def dimensions(number: int, *k: float) -> list[int]:
        return [m.shape[1] for m in little_group(*space_group(number), k).irreps]

    assert dimensions(227, 0.5, 0, 0.5) == [2, 2, 2, 2]
    assert dimensions(227, 0.5, 0.25, 0.75) == [2, 2]
    assert dimensions(194, 0, 0, 0.5) == [2, 2, 4]
    assert dimensions(230, 0.5, -0.5, 0.5) == [2, 2, 2, 6]
    assert dimensions(19, 0.5, 0.5, 0.5) == [2]
    assert dimensions(225, 0.5, 0, 0.5) == [1, 1, 1, 1, 2, 1, 1, 1, 1, 2]


def test_equal_wave_vectors_have_equal_groups_and_rounded_ones_are_made_exact() -> None:
    group, rotations, translations = space_group(194)
    exact = little_group(group, rotations, translations, (1 / 3, 1 / 3, 0.5))
    rounded = little_group(group, rotations, translations, (0.333333, 0.333333, 0.5))
    np.testing.assert_allclose(rounded.k, exact.k, atol=1e-15)
    np.testing.assert_allclose(rounded.characters, exact.characters, atol=1e-12)
    # the factors, and so the irreps, differ by a reciprocal lattice vector G only in Γ({R|t}) → exp(−2πi G·t) Γ
    shifted = little_group(group, rotations, translations, (4 / 3, -2 / 3, 1.5))
    phases = np.exp(-2j * np.pi * (translations[exact.indices] @ [1, -1, 1]))
    overlaps = abs(shifted.characters @ (phases * exact.characters).conj().T) / len(phases)
    np.testing.assert_allclose(np.sort(overlaps, axis=1)[:, -1], 1, atol=1e-10)


def test_a_general_point_has_the_trivial_group() -> None:
    little = little_group(*space_group(225), (0.1234, 0.2, 0.4))
    assert little.labels == ("A",)
    np.testing.assert_array_equal(little.indices, [0])


def test_twice_the_same() -> None:
    first, second = (little_group(*space_group(230), (0.5, -0.5, 0.5)) for _ in range(2))
    for a, b in zip(first.irreps, second.irreps):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("k", [(0, 0), (0, np.nan, 0), (np.inf, 0, 0), 0.5])
def test_what_is_not_a_wave_vector_is_refused(k) -> None:
    with pytest.raises(IrrepnetError, match="k is three finite fractional coordinates"):
        little_group(*space_group(1), k)


def test_almost_symmetric_is_refused() -> None:
    # two mirrors each move k by less than the tolerance, their product by more
    with pytest.raises(IrrepnetError, match="almost on a symmetric point"):
        little_group(*space_group(221), (0.3, 0.300009, 0.300018))
