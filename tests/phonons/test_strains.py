"""Stiffnesses with relaxed atoms against cells that are strained one by one, and the script that makes many."""

import json
import sys

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import all_changes
from ase.calculators.emt import EMT
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS

from irrepnet.crystals import SymmetricCrystal
from irrepnet.data import read_records
from irrepnet.errors import IrrepnetError
from irrepnet.groups import POINT_GROUPS, PointGroup
from irrepnet.phonons import frozen_strains
from irrepnet.phonons.strains import strains
from irrepnet.tensors import CartesianTensor
from irrepnet.tensors.elastic import GPA

FEWEST = {
    "cubic": 1,
    "hexagonal": 2,
    "trigonal": 2,
    "tetragonal": 2,
    "orthorhombic": 3,
    "monoclinic": 4,
    "triclinic": 6,
}
HCP = {"species": ["Cu", "Cu"], "cell": [2.55, 2.55, 4.1, 90, 90, 120], "frac_coords": [[0, 0, 0], [1 / 3, 2 / 3, 0.5]]}
ORDERED = {  # Cu and Au in a doubled cell of hcp
    "species": ["Cu", "Au", "Cu", "Cu"],
    "cell": [2.65, 4.59, 4.3, 90, 90, 90],
    "frac_coords": [[0, 0, 0], [0.5, 0.5, 0], [0.5, 1 / 6, 0.5], [0, 2 / 3, 0.5]],
}


@pytest.mark.parametrize("name", POINT_GROUPS)
def test_as_few_strains_as_there_can_be(name):
    group = PointGroup(name)
    chosen = strains(group)
    assert len(chosen) == FEWEST[group.system]
    images = np.einsum("gij,kjl,gml->gkim", group.operations, chosen, group.operations).reshape(-1, 9)
    assert np.linalg.svd(images)[1][5] > 0.1


@pytest.mark.parametrize(
    "content", [pytest.param(HCP, id="hcp"), pytest.param(ORDERED, id="ordered", marks=pytest.mark.slow)]
)
def test_emt_against_relaxed_cells(content):
    first = SymmetricCrystal.from_structure(content)
    atoms = Atoms(first.numbers, first.cart_coords, cell=first.lattice, pbc=True, calculator=EMT())
    BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=1e-5, steps=200)
    crystal = SymmetricCrystal.from_structure(
        {"species": list(first.species), "lattice": atoms.cell.array, "frac_coords": atoms.get_scaled_positions()}
    )
    found = frozen_strains(crystal, EMT(), 1e-3)
    assert found.stress < 1e-2
    plain, step = np.zeros((3, 3, 3, 3)), 1e-3
    for i, j in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)):
        direction = np.zeros((3, 3))
        direction[i, j] += 0.5
        direction[j, i] += 0.5
        for sign in (1, -1):
            stretch = np.eye(3) + sign * step * direction
            atoms = Atoms(crystal.numbers, crystal.cart_coords, cell=crystal.lattice, pbc=True, calculator=EMT())
            atoms.set_cell(crystal.lattice @ stretch, scale_atoms=True)
            BFGS(atoms, logfile=None).run(fmax=1e-6, steps=200)
            half = sign * GPA * atoms.get_stress(voigt=False) / (2 * step)
            plain[:, :, i, j] += half
            plain[:, :, j, i] += half if i != j else 0
    assert abs(found.stiffness - plain).max() < 0.005 * abs(plain).max()
    # the atoms do move, and that only softens
    assert abs(found.clamped - found.stiffness).max() > 0.02 * abs(plain).max()
    mandel = CartesianTensor("stiffness").to_mandel
    assert np.linalg.eigvalsh(mandel(found.clamped) - mandel(found.stiffness)).min() > -1e-6
    assert crystal.point_group.name in {"6/mmm", "mmm", "mm2"}
    moved = CartesianTensor("stiffness").rotate(found.stiffness, crystal.point_group.operations)
    assert np.allclose(moved, found.stiffness, atol=1e-8)


def test_a_strain_is_small():
    with pytest.raises(IrrepnetError, match="between 0 and"):
        frozen_strains(SymmetricCrystal.from_structure(HCP), EMT(), 1.0)


class Repelling(EMT):
    """Atoms are pushed off where they are."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.results["forces"] = -self.results["forces"]


def test_atoms_in_no_minimum_are_refused():
    with pytest.raises(IrrepnetError, match=r"Cu: unstable, with force constants at Γ of -"):
        frozen_strains(SymmetricCrystal.from_structure(HCP), Repelling())


def test_the_script_of_the_teacher(script, tmp_path, monkeypatch):
    """Stiffnesses in the axes of the records, refusals with reasons, and no crystal twice."""
    teacher = script("teach_stiffness")
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    fcc = [[0, 1.8, 1.8], [1.8, 0, 1.8], [1.8, 1.8, 0]]
    lines = [
        {"material_id": "straight", "species": ["Cu"], "lattice": fcc},
        {"material_id": "turned", "species": ["Ni"], "lattice": (np.array(fcc) @ turn.T).tolist()},
        {"material_id": "unknown", "species": ["Na"], "lattice": fcc},
        {"material_id": "wide", "species": ["Au"], "lattice": (1.4 * np.array(fcc)).tolist()},
        {"material_id": "left out", "species": ["Ag"], "lattice": fcc},
    ]
    for line in lines:
        line |= {"frac_coords": [[0, 0, 0]]}
    data, known, out = (tmp_path / name for name in ("data.jsonl", "known.jsonl", "made/teacher.jsonl"))
    data.write_text("\n".join(map(json.dumps, lines)))
    known.write_text(json.dumps(lines[-1]))
    arguments = {"--data": data, "--without": known, "--calculator": "ase.calculators.emt:EMT", "--out": out}
    monkeypatch.setattr(sys, "argv", ["teach", *(str(word) for pair in arguments.items() for word in pair)])
    teacher.main()
    found = {record.id: record for record in read_records(out)[0]}
    assert set(found) == {"straight", "turned"}
    tensor = CartesianTensor("stiffness")
    cubic = tensor.read(found["straight"].properties["elastic_tensor_original"])
    assert np.allclose(tensor.allowed("m-3m").project(cubic), cubic, atol=1e-3)
    nickel = tensor.read(found["turned"].properties["elastic_tensor_original"])
    back = tensor.rotate(nickel, turn.T)
    assert np.allclose(tensor.allowed("m-3m").project(back), back, atol=2e-3)
    assert not np.allclose(tensor.allowed("m-3m").project(nickel), nickel, atol=1)
    rejected = out.with_suffix(".rejected.csv")
    refused = rejected.read_text().splitlines()
    assert [line.split(",")[0] for line in sorted(refused)] == ["unknown", "wide"]
    assert "the calculator fails" in refused[0] + refused[1]
    before = out.read_text()
    teacher.main()
    assert out.read_text() == before
    # the last lines, unfinished
    out.write_text(before[:-40])
    rejected.write_bytes("\n".join(refused).encode()[:-1])
    teacher.main()
    assert sorted(out.read_text().splitlines()) == sorted(before.splitlines())
    assert sorted(rejected.read_text().splitlines()) == sorted(refused)
