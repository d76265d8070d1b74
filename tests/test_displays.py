"""What a notebook displays of an object: a table of its own, short, without markup from outside."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from irrepnet.crystals import SymmetricCrystal
from irrepnet.groups import PointGroup
from irrepnet.hamiltonians import load_hamiltonian
from irrepnet.tensors import CartesianTensor

SILICON = load_hamiltonian("Si-diamond-1.00").expand()


@pytest.mark.parametrize(
    ("thing", "rows", "said"),
    [
        (PointGroup("m-3m"), 10, "A1g"),
        (SymmetricCrystal.from_structure("examples/SrTiO3.cif"), 3, "m-3m"),
        (CartesianTensor("ijkl=jikl=ijlk=klij").allowed("m-3m"), 21, "C44"),
        (SILICON, 2, "px"),
        (replace(SILICON, basis=None, no_basis="<b>why</b>"), 1, "<b>why</b>"),
    ],
)
def test_displays(thing, rows, said):
    table = ElementTree.fromstring(thing._repr_html_())
    assert table.tag == "table"
    assert len(table.findall("tbody/tr")) == rows
    assert any(said in (cell.text or "") for cell in table.iter("td"))
    assert len(repr(thing)) < 400


def test_a_hamiltonian_in_a_line():
    assert repr(SILICON) == f"Hamiltonian({SILICON.name!r}: 26 orbitals, {len(SILICON.R)} cells, real, overlap)"
