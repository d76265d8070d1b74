"""Comment lines of every dialect that programs write: all mean caesium chloride, or are refused by name."""

import numpy as np
import pytest

from irrepnet.crystals import cells_in
from irrepnet.errors import IrrepnetError

NINE = "4 0 0 0 4 0 0 0 4"
PLAIN = "Properties=species:S:1:pos:R:3"
ATOMS = "Cs 0 0 0\nCl 2 2 2"


def read(tmp_path, comment: str, atoms: str = ATOMS):
    (tmp_path / "x.xyz").write_text(f"2\n{comment}\n{atoms}\n")
    (item,) = cells_in(tmp_path / "x.xyz")
    if isinstance(item, IrrepnetError):
        raise item
    return item


@pytest.mark.parametrize(
    "comment",
    [
        f'Lattice="{NINE}" {PLAIN}',
        f"Lattice='{NINE}' {PLAIN}",
        f'Lattice = "{NINE}" {PLAIN}',
        f"lattice={{{NINE}}} {PLAIN}",
        f"Lattice=[[4,0,0],[0,4,0],[0,0,4]] {PLAIN}",
        f'Lattice="[[4, 0, 0], [0, 4, 0], [0, 0, 4]]" {PLAIN}',
        f"Lattice={{{{4 0 0}} {{0 4 0}} {{0 0 4}}}} {PLAIN}",
        f"Lattice=[4,0,0,0,4,0,0,0,4] {PLAIN}",
        f'Lattice="4,0,0,0,4,0,0,0,4" {PLAIN}',
        f'Lattice="4 0 0; 0 4 0; 0 0 4" {PLAIN}',
        f'Lattice="0.4d1 0 0 0 4.0D0 0 0 0 4.0E+00" {PLAIN}',
        f'LATTICE="{NINE}" PROPERTIES=species:S:1:pos:R:3 PBC="T T T"',
        f'Lattice="{NINE}"',
        f'Lattice="{NINE}" Properties="species:S:1:pos:R:3"',
        f'Lattice="{NINE}" Properties=Species:S:1:Pos:R:3',
        f'Lattice="{NINE}" Properties=element:S:1:positions:R:3',
        *(f'Lattice="{NINE}" {PLAIN} pbc={pbc}' for pbc in ("[T,T,T]", "{T T T}", '"True True True"', '"1 1 1"', "T")),
        f'Lattice="{NINE}" Origin="0 0 0" {PLAIN} Time=0 flag name="a, b=c" info={{"a": [1, 2]}}',
        f'{PLAIN} Lattice="{NINE}" config="a \\"b\\"" mué=3',
    ],
)
def test_comment_lines(tmp_path, comment):
    cell = read(tmp_path, comment)
    assert np.allclose(cell.lattice, 4 * np.eye(3))
    assert (cell.numbers.tolist(), cell.frac_coords[1].tolist()) == ([55, 17], [0.5, 0.5, 0.5])


@pytest.mark.parametrize(
    "atoms",
    [
        "CS 0 0 0\ncl 2 2 2",
        "Cs+ 0 0 0\nCl- 2 2 2",
        "Cs1 0 0 0\nCl_2 2 2 2",
        "55 0 0 0\n17 2 2 2",
        "Cs\t0\t0\t0\n  Cl 2 2 2  ",
        "Cs 0.d0 0 0\nCl 2.0D+00 2 20.d-1",
    ],
)
def test_atom_lines(tmp_path, atoms):
    cell = read(tmp_path, f'Lattice="{NINE}" {PLAIN}', atoms)
    assert (cell.numbers.tolist(), cell.frac_coords[1].tolist()) == ([55, 17], [0.5, 0.5, 0.5])


@pytest.mark.parametrize(
    ("comment", "atoms", "reason"),
    [
        (f'Lattice="4 4 4" {PLAIN}', ATOMS, "Lattice has 3 numbers, not the nine"),
        (f'Lattice="4 4 4 90 90 90" {PLAIN}', ATOMS, "Lattice has 6 numbers"),
        (f'Lattice="{NINE}" pbc="T T F" {PLAIN}', ATOMS, "periodic in all three"),
        ("water", ATOMS, 'no Lattice="…"'),
        (f'Lattice="{NINE}" {PLAIN}', "Cs 0 0 0\nQq 2 2 2", "unknown element 'Qq'"),
        (f'Lattice="{NINE}" {PLAIN}', "Cs 0 0 0\n0 2 2 2", "unknown element '0'"),
    ],
)
def test_refusals(tmp_path, comment, atoms, reason):
    with pytest.raises(IrrepnetError, match=rf"x\.xyz: frame 1 \(line 1\): .*{reason}"):
        read(tmp_path, comment, atoms)
