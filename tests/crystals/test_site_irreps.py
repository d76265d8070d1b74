"""What sites carry: published splittings of the orbitals and forms of tensors, and tensors averaged by a plain loop."""

import doctest
import re
from types import SimpleNamespace

import numpy as np
import pytest
import spglib
from tests.prototypes import STRUCTURES, SYMMORPHIC, crystal_of

from irrepnet.crystals import SymmetricCrystal, site_irreps
from irrepnet.errors import IrrepnetError
from irrepnet.groups import POINT_GROUPS, PointGroup

ORBITALS = {  # s; p; d; f, from Altmann and Herzig, Point-Group Theory Tables (1994), in our axes
    "-1": "Ag; 3Au; 5Ag; 7Au",
    "m": "A'; 2A' + A''; 3A' + 2A''; 4A' + 3A''",
    "mm2": "A1; A1 + B1 + B2; 2A1 + A2 + B1 + B2; 2A1 + A2 + 2B1 + 2B2",
    "mmm": "Ag; B1u + B2u + B3u; 2Ag + B1g + B2g + B3g; Au + 2B1u + 2B2u + 2B3u",
    "4/m": "Ag; Au + Eu; Ag + 2Bg + Eg; Au + 2Bu + 2Eu",
    "4mm": "A1; A1 + E; A1 + B1 + B2 + E; A1 + B1 + B2 + 2E",
    "-42m": "A1; B2 + E; A1 + B1 + B2 + E; A1 + A2 + B2 + 2E",
    "4/mmm": "A1g; A2u + Eu; A1g + B1g + B2g + Eg; A2u + B1u + B2u + 2Eu",
    "-3": "Ag; Au + Eu; Ag + 2Eg; 3Au + 2Eu",
    "3m1": "A1; A1 + E; A1 + 2E; 2A1 + A2 + 2E",
    "-3m1": "A1g; A2u + Eu; A1g + 2Eg; A1u + 2A2u + 2Eu",
    "-6m2": "A1'; E' + A2''; A1' + E' + E''; A1' + A2' + E' + A2'' + E''",
    "6mm": "A1; A1 + E1; A1 + E1 + E2; A1 + B1 + B2 + E1 + E2",
    "6/mmm": "A1g; A2u + E1u; A1g + E1g + E2g; A2u + B1u + B2u + E1u + E2u",
    "m-3": "Ag; Tu; Eg + Tg; Au + 2Tu",
    "432": "A1; T1; E + T2; A2 + T1 + T2",
    "-43m": "A1; T2; E + T2; A1 + T1 + T2",
    "m-3m": "A1g; T1u; Eg + T2g; A2u + T1u + T2u",
}

COMPONENTS = {  # polar vector, general tensor of rank 2: Nye, Physical Properties of Crystals (1957), table for
    # pyroelectricity and that for thermoelectricity; symmetric and traceless is one less than his for permittivity
    "1": (3, 5, 9), "-1": (0, 5, 9), "2": (1, 3, 5), "m": (2, 3, 5), "2/m": (0, 3, 5), "222": (0, 2, 3),
    "mm2": (1, 2, 3), "mmm": (0, 2, 3), "4": (1, 1, 3), "-4": (0, 1, 3), "4/m": (0, 1, 3), "422": (0, 1, 2),
    "4mm": (1, 1, 2), "-42m": (0, 1, 2), "4/mmm": (0, 1, 2), "3": (1, 1, 3), "-3": (0, 1, 3), "321": (0, 1, 2),
    "3m1": (1, 1, 2), "-3m1": (0, 1, 2), "6": (1, 1, 3), "-6": (0, 1, 3), "6/m": (0, 1, 3), "622": (0, 1, 2),
    "6mm": (1, 1, 2), "-6m2": (0, 1, 2), "6/mmm": (0, 1, 2), "23": (0, 0, 1), "m-3": (0, 0, 1), "432": (0, 0, 1),
    "-43m": (0, 0, 1), "m-3m": (0, 0, 1),
}  # fmt: skip


def counts(text: str) -> dict[str, int]:
    return {label: int(n or 1) for n, label in re.findall(r"(\d*)([ABET][\w']*)", text)}


def at_origin(name: str):
    """The site irreps of the atom at the origin of a symmorphic space group."""
    crystal = crystal_of(f"P{name}")
    orbit = crystal.species.index("Po")
    return site_irreps(crystal, crystal.orbits[orbit])


@pytest.mark.parametrize("name", ORBITALS)
def test_published_splittings(name):
    site = at_origin(name)
    assert site.group is PointGroup(name)
    assert (site.rotation == np.eye(3)).all()
    assert list(site.orbitals) == ["s", "p", "d", "f"]
    assert list(site.orbitals.values()) == [counts(text) for text in ORBITALS[name].split(";")]


@pytest.mark.parametrize("name", POINT_GROUPS)
def test_published_numbers_of_components(name):
    site = at_origin(name)
    tensors = site.vector, site.field_gradient, site.born_charge
    assert tuple(len(tensor.basis) for tensor in tensors) == COMPONENTS[name]


PATTERNS = {  # Nye (1957): the same tables
    "2": ("0 a 0", "a 0 b / 0 c 0 / b 0 -a-c", "a 0 b / 0 c 0 / d 0 e"),
    "m": ("a 0 b", "a 0 b / 0 c 0 / b 0 -a-c", "a 0 b / 0 c 0 / d 0 e"),
    "mm2": ("0 0 a", "a 0 0 / 0 b 0 / 0 0 -a-b", "a 0 0 / 0 b 0 / 0 0 c"),
    "-4": ("0 0 0", "a 0 0 / 0 a 0 / 0 0 -2a", "a b 0 / -b a 0 / 0 0 c"),
    "3": ("0 0 a", "a 0 0 / 0 a 0 / 0 0 -2a", "a b 0 / -b a 0 / 0 0 c"),
    "321": ("0 0 0", "a 0 0 / 0 a 0 / 0 0 -2a", "a 0 0 / 0 a 0 / 0 0 b"),
    "-43m": ("0 0 0", "0 0 0 / 0 0 0 / 0 0 0", "a 0 0 / 0 a 0 / 0 0 a"),
}


@pytest.mark.parametrize("name", PATTERNS)
def test_published_patterns(name):
    site = at_origin(name)
    vector, field_gradient, born_charge = PATTERNS[name]
    assert site.vector.pattern == vector.split()
    assert site.field_gradient.pattern == [row.split() for row in field_gradient.split("/")]
    assert site.born_charge.pattern == [row.split() for row in born_charge.split("/")]


def evaluated(pattern: list, values: dict[str, float]) -> np.ndarray:
    """The pattern's text as arithmetic."""

    def number(text: str) -> float:
        text = re.sub(r"(?<=[\d√])(?=[a-i√])", "*", text).replace("√3", "3**0.5")
        return eval(text, {}, values)

    return np.vectorize(number, otypes=[float])(np.array(pattern, object))


def check_pattern(tensor) -> None:
    """The text says what the basis does, and each free letter is a component of the tensor."""
    values = np.random.default_rng(0).normal(size=len(tensor.basis))
    expected = np.tensordot(values, tensor.basis, 1)
    found = evaluated(tensor.pattern, dict(zip("abcdefghi", values)))
    assert np.allclose(found, expected, atol=1e-12)
    assert set("abcdefghi"[: len(values)]) <= set(np.array(tensor.pattern, object).ravel())


def subgroups(group: PointGroup) -> set[frozenset[int]]:
    """All subgroups, each made of a smaller one and one more operation."""
    found, new = set(), {frozenset([0])}
    while new:
        found |= new
        new = {closure(group, {*members, g}) for members in new for g in range(group.order)} - found
    return found


def closure(group: PointGroup, members: set[int]) -> frozenset[int]:
    while len(larger := set(group.multiplication[np.ix_([*members], [*members])].ravel().tolist())) > len(members):
        members = larger
    return frozenset(members)


@pytest.mark.parametrize(("name", "number"), [("m-3m", 98), ("6/mmm", 54)])
def test_every_site_group_in_every_orientation(name, number):
    """Orbitals against the characters sin((l + ½)φ) / sin(φ/2), patterns against the basis."""
    group = PointGroup(name)
    sites = sorted(sorted(members) for members in subgroups(group))
    assert len(sites) == number
    crystal = SimpleNamespace(
        formula=name,
        point_group=group,
        representatives=np.arange(number),
        site_groups=tuple(np.array(members) for members in sites),
    )
    for orbit in range(number):
        site = site_irreps(crystal, orbit)  # type: ignore[arg-type]
        turned = site.rotation @ site.group.operations @ site.rotation.T
        assert set(group.indices(turned)) == set(sites[orbit])
        proper = np.linalg.det(site.group.operations).round()
        cosine = (proper * np.trace(site.group.operations, axis1=1, axis2=2) - 1) / 2
        angle = np.arccos(np.clip(cosine, -1, 1)) + 1e-7
        for l, multiplicities in enumerate(site.orbitals.values()):
            expected = np.where(proper > 0, 1, (-1) ** l) * np.sin((l + 0.5) * angle) / np.sin(angle / 2)
            found = sum(n * site.group.irrep(label).characters for label, n in multiplicities.items())
            assert np.allclose(found, expected, atol=1e-5)
        for tensor in (site.vector, site.field_gradient, site.born_charge):
            check_pattern(tensor)


def site_operations(crystal: SymmetricCrystal, atom: int) -> list[np.ndarray]:
    """Cartesian matrices of spglib's operations that send an atom to itself modulo the lattice."""
    cell = crystal.lattice.tolist(), crystal.frac_coords.tolist(), crystal.numbers.tolist()
    found = spglib.get_symmetry(cell, symprec=1e-5)
    assert found is not None
    position, to_cartesian, kept = crystal.frac_coords[atom], crystal.lattice.T, []
    for rotation, translation in zip(found["rotations"], found["translations"], strict=True):
        offset = rotation @ position + translation - position
        if np.linalg.norm((offset - offset.round()) @ crystal.lattice) < 1e-4:
            kept.append(to_cartesian @ rotation @ np.linalg.inv(to_cartesian))
    return kept


@pytest.mark.parametrize("name", [*STRUCTURES, *SYMMORPHIC])
def test_tensors_are_those_that_averages_leave(name):
    """Random tensors averaged over the site's operations span the same space as the basis."""
    crystal, rng = crystal_of(name), np.random.default_rng(4)
    for orbit, atom in enumerate(crystal.representatives):
        site, operations = site_irreps(crystal, orbit), site_operations(crystal, atom)
        assert len(operations) == site.group.order
        averages = {"vector": [], "field_gradient": [], "born_charge": []}
        for _ in range(12):
            vector, matrix = rng.normal(size=3), rng.normal(size=(3, 3))
            traceless = matrix + matrix.T - 2 / 3 * np.trace(matrix) * np.eye(3)
            averages["vector"].append(np.mean([g @ vector for g in operations], axis=0))
            averages["field_gradient"].append(np.mean([g @ traceless @ g.T for g in operations], axis=0))
            averages["born_charge"].append(np.mean([g @ matrix @ g.T for g in operations], axis=0))
        for kind, samples in averages.items():
            tensor = getattr(site, kind)
            basis, samples = tensor.basis.reshape(-1, samples[0].size), np.reshape(samples, (12, -1))
            assert np.linalg.matrix_rank(samples, tol=1e-8) == len(basis)
            assert np.linalg.matrix_rank(np.concatenate([samples, basis]), tol=1e-8) == len(basis)
            check_pattern(tensor)


def test_axes_of_a_turned_site():
    """Oxygen in perovskite, 4/mm.m with the four-fold axis along x: the labels refer to the site's own axes."""
    crystal = crystal_of("perovskite")
    orbit = crystal.orbits[crystal.species.index("O")]
    site = site_irreps(crystal, orbit)
    axis = site.rotation[:, 2]
    assert site.group is PointGroup("4/mmm")
    assert site.orbitals["p"] == {"A2u": 1, "Eu": 1}
    unique = int(abs(axis).argmax())
    assert site.field_gradient.basis.shape == (1, 3, 3)
    gradient = site.field_gradient.basis[0] / site.field_gradient.basis[0, unique, unique]
    assert np.allclose(gradient, 1.5 * np.outer(axis, axis) - np.eye(3) / 2)


def test_orbit_that_is_not_there():
    with pytest.raises(IrrepnetError, match="SrTiO3 has orbits 0 to 2, not 3"):
        site_irreps(crystal_of("perovskite"), 3)


def test_docstrings():
    from irrepnet.crystals import modes, site_irreps

    for module in (modes, __import__(site_irreps.__module__, fromlist=["_"])):
        result = doctest.testmod(module)
        assert result.attempted
        assert result.failed == 0
