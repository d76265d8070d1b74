"""Names of small irreps: published band representations, tilts of perovskites, the tables at Γ, and what must hold."""

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

from irrepnet.crystals import cdml_point, induce_from_position, little_group, special_points, wyckoff_positions
from irrepnet.crystals.induction_report import describe_induction
from irrepnet.crystals.symmetric import setting_operations, standard_hall_number
from irrepnet.groups import POINT_GROUPS, PointGroup

GROUPS = [1, 2, 14, 15, 19, 39, 62, 68, 70, 76, 88, 98, 122, 129, 136, 141, 148, 161, 167, 176, 190, 194, 199, 205, 214]
GROUPS += [216, 220, 225, 227, 230]
SLOW = [pytest.param(number, marks=[pytest.mark.slow] * (number not in GROUPS)) for number in range(1, 231)]


def named(number: int, site: str, irrep: str, points: str = "") -> dict[str, str]:
    """{point: "X1 + 2X3"} of an induced representation."""
    report = describe_induction(str(number), site, irrep, points.split())
    found = {}
    for row in report["points"]:
        counts = row["multiplicities"]
        found[row["point"]] = " + ".join(f"{n if n > 1 else ''}{label}" for label, n in counts.items())
    return found


@pytest.mark.parametrize(
    ("number", "site", "irrep", "expected"),
    [
        # as the Bilbao server's BANDREP lists them: Bradlyn et al., Nature 547, 298 (2017)
        (2, "1a", "Ag", "GM1+, X1+, Y1+, Z1+, V1+, U1+, T1+, R1+"),
        (2, "1h", "Ag", "GM1+, X1-, Y1-, Z1-, V1+, U1+, T1+, R1-"),
        (14, "2a", "Ag", "GM1+ + GM2+, Y1+ + Y2+, Z1, B1, C1, A1, D1+ + D2+, E1+ + E2+"),
        (
            *(62, "4c", "A'"),
            "GM1+ + GM2- + GM3- + GM4+, 2X1, Y1 + Y2, 2Z1, S1 + S2, U1+ + U2- + U3- + U4+, T1 + T2, R1 + R2",
        ),
        (166, "3a", "A1g", "GM1+, T1+, F1+, L1+"),
        (191, "2c", "A2''", "GM2- + GM3+, M2- + M3+, A2- + A3+, L2- + L3+, K6, H6"),  # honeycomb, p_z
        (216, "4c", "A1", "GM1, X3, L1, W4"),
        (225, "4b", "A1g", "GM1+, X1+, L2-, W2"),
        (227, "8a", "A1", "GM1+ + GM2-, X1, L1+ + L2-, W1"),  # diamond, s
        (227, "16c", "A1g", "GM1+ + GM5+, X1 + X3, L1+ + L2- + L3-, W1 + W2"),
        (229, "2a", "A1g", "GM1+, H1+, N1+, P1"),
    ],
)
def test_published_band_representations(number, site, irrep, expected):
    assert ", ".join(named(number, site, irrep).values()) == expected


def test_tilts_of_octahedra():
    """They turn as axial vectors: R4+ and M3+ with B at the origin, R5- and M2+ with A there.

    Howard & Stokes, Acta Cryst. B 54, 782 (1998).
    """
    at_a, at_b = (named(221, site, "T1g", "M R") for site in "ab")
    assert at_a == {"M": "M3+ + M5+", "R": "R4+"}
    assert at_b == {"M": "M2+ + M5+", "R": "R5-"}


@pytest.mark.parametrize("name", POINT_GROUPS)
def test_at_gamma_they_are_those_of_the_point_group(name):
    """Of which `PointGroup.aliases` has the names, checked against matrices of ISO-IR elsewhere."""
    symmorphic = {
        "1": 1, "-1": 2, "2": 3, "m": 6, "2/m": 10, "222": 16, "mm2": 25, "mmm": 47, "4": 75, "-4": 81, "4/m": 83,
        "422": 89, "4mm": 99, "-42m": 111, "4/mmm": 123, "3": 143, "-3": 147, "321": 150, "3m1": 156, "-3m1": 164,
        "6": 168, "-6": 174, "6/m": 175, "622": 177, "6mm": 183, "-6m2": 187, "6/mmm": 191, "23": 195, "m-3": 200,
        "432": 207, "-43m": 215, "m-3m": 221,
    }  # fmt: skip
    number = symmorphic[name]
    group, rotations, translations = setting_operations(standard_hall_number(number))
    little = little_group(group, rotations, translations, (0, 0, 0))
    point = cdml_point(number, little)
    assert point is not None
    assert group is PointGroup(name)
    found = dict(zip(little.labels, point.labels))
    for irrep in group.irreps:
        wanted = group.aliases(irrep.label)["miller-love"].split("⊕")
        pair = ["1" + irrep.label, "2" + irrep.label] if irrep.type == "complex" else [irrep.label]
        assert sorted(found[label] for label in pair) == sorted(wanted)


@pytest.mark.parametrize("number", SLOW)
def test_names_belong_to_the_star(number):
    """All arms of a star, and wave vectors that differ by reciprocal lattice vectors, have one name for one irrep."""
    _, rotations, _ = setting_operations(standard_hall_number(number))
    rng = np.random.default_rng(number)
    site = str(rng.choice(list(wyckoff_positions(number))))
    row = describe_induction(str(number), site)["site"]
    position, label = row["position"], str(rng.choice(row["irreps"]))
    for letters, k in special_points(number):
        arms = np.unique(np.round(np.linalg.inv(rotations).transpose(0, 2, 1) @ k, 9), axis=0)
        arms = arms + rng.integers(-1, 2, size=arms.shape)
        names = []
        for band in induce_from_position(number, position, label, arms):
            point = cdml_point(number, band.little_group)
            assert point is not None
            assert point.letters == letters
            counts = band.little_group.characters.conj() @ band.characters / len(band.little_group.indices)
            names.append(sorted((name, round(count)) for name, count in zip(point.labels, np.real(counts))))
        assert all(each == names[0] for each in names)


@pytest.mark.parametrize("number", SLOW)
def test_numbers_and_signs(number):
    """1, 2, 3, … by dimension; + and − in pairs that agree on rotations and differ on all else."""
    group, rotations, translations = setting_operations(standard_hall_number(number))
    for letters, k in special_points(number):
        little = little_group(group, rotations, translations, k)
        point = cdml_point(number, little)
        assert point is not None
        dims = {label: irrep.shape[1] for label, irrep in zip(point.labels, little.irreps)}
        assert len(dims) == len(little.irreps)
        plain = {label.removeprefix(letters).rstrip("+-") for label in dims}
        assert plain == {str(i + 1) for i in range(len(plain))}
        characters = dict(zip(point.labels, little.characters))
        proper = np.linalg.det(group.operations[little.indices]) > 0
        signed = [label for label in dims if label.endswith("+")]
        assert len(dims) in (len(plain), 2 * len(signed))
        for label in signed:
            partner = characters[label[:-1] + "-"]
            assert np.allclose(characters[label][proper], partner[proper])
            assert np.allclose(characters[label][~proper], -partner[~proper])
        order = sorted(signed or dims, key=lambda label: int(re.sub(r"\D", "", label)))
        assert [dims[label] for label in order] == sorted(dims.values())[:: 2 if signed else 1]


def test_minus_a_point_that_is_not_in_its_star():
    group, rotations, translations = setting_operations(standard_hall_number(143))
    third = np.array([1 / 3, 1 / 3, 0])
    one, other = (little_group(group, rotations, translations, k) for k in (third, -third))
    first, second = cdml_point(143, one), cdml_point(143, other)
    assert first is not None
    assert second is not None
    assert (first.letters, second.letters) == ("K", "KA")
    for label, character in zip(first.labels, one.characters):
        partner = other.characters[second.labels.index("KA" + label[1:])]
        assert np.allclose(partner, character.conj())


def test_off_the_special_points_there_is_no_name():
    group, rotations, translations = setting_operations(standard_hall_number(225))
    assert cdml_point(225, little_group(group, rotations, translations, (0.1, 0.1, 0.2))) is None


@pytest.mark.slow
def test_names_stay_as_they_are():
    """What every irrep of every site induces. When this was written it was equal to the band representations that the
    Bilbao server lists (Bradlyn et al. 2017), and the names to those of all 1350 points of the tables of ISO-IR and of
    the server."""
    digest = hashlib.sha256()
    for number in range(1, 231):
        for letter in wyckoff_positions(number):
            for irrep in describe_induction(str(number), letter)["site"]["irreps"]:
                digest.update(json.dumps([number, letter, irrep, named(number, letter, irrep)]).encode())
    assert digest.hexdigest() == "0b2d4e233208f826f9c1b45ee9b81994895f36b366b493a4cedbe80ec59a8abf"


@pytest.mark.slow
@pytest.mark.parametrize("number", range(1, 231))
def test_against_the_tables_of_the_bilbao_server(number):
    """If they are installed: the characters of every irrep at every special point."""
    folder = Path(pytest.importorskip("irreptables").__file__).parent / "data" / "tables"
    text = (folder / f"irreps-SG={number}-scal.dat").read_text()
    head, *blocks = re.split(r"kpoint", text)
    lines = head.split("symmetries=")[1].strip().splitlines()
    operations = np.array([line.split() for line in lines], float)
    group, rotations, translations = setting_operations(standard_hall_number(number))
    import moyopy

    to_primitive = np.array(moyopy.HallSymbolEntry(standard_hall_number(number)).centering.linear)
    to_cell = np.linalg.inv(to_primitive)
    own = [tuple(np.rint(to_cell @ W @ to_primitive).astype(int).ravel()) for W in rotations]
    assert {block.split(":")[0].strip() for block in blocks} == {letters for letters, _ in special_points(number)}
    for block in blocks:
        title, *rows = block.strip().splitlines()
        _, k, which = (part.strip() for part in title.split(":"))
        k = np.array(k.split(), float)
        little = little_group(group, rotations, translations, k @ to_cell)
        point = cdml_point(number, little)
        assert point is not None
        which = [int(word) - 1 for word in which.split()]
        element = [own.index(tuple(operations[i, :9].astype(int))) for i in which]
        for row in filter(str.strip, rows):
            label, _, *numbers = row.split()
            values = np.array(numbers[: len(which)], complex)
            if len(numbers) > len(which):
                values = values * np.exp(1j * np.pi * np.array(numbers[len(which) :], float))
            ours = little.characters[point.labels.index(label)]
            for g, i, value in zip(element, which, values):
                shift = to_cell @ translations[g] - operations[i, 9:]
                expected = (value * np.exp(2j * np.pi * (k @ shift))).conj()
                assert abs(ours[list(little.indices).index(g)] - expected) < 2e-3
