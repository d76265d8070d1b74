"""What the symmetry search makes of a crystal, without the command line."""

import json

import numpy as np
import pytest

from irrepnet.crystals import SymmetricCrystal
from irrepnet.crystals.reports import describe_crystal
from irrepnet.errors import IrrepnetError


@pytest.mark.parametrize("formula", ["MgAl2O4", "TiO2", "Si", "NaCl", "SrTiO3", "CaF2"])
def test_the_orbits_are_the_crystal(examples, formula):
    report = describe_crystal(examples[formula], max_frames=3, irreps=True)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    crystal = SymmetricCrystal.from_structure(examples[formula])
    assert sorted(atom for orbit in report["orbits"] for atom in orbit["atoms"]) == list(range(len(crystal)))
    for orbit in report["orbits"]:
        assert orbit["site_group"]["order"] * len(orbit["atoms"]) == report["point_group"]["order"]
        assert sum(shell["count"] for shell in orbit["shells"]) == orbit["neighbours"]
        distances = [shell["distance"] for shell in orbit["shells"]]
        assert distances == sorted(distances)
        assert all(sum(shell["elements"].values()) == shell["count"] for shell in orbit["shells"])
        assert len(orbit["orbitals"]["s"]) == 1
    modes = report["vibrations"]
    group = crystal.point_group
    size = {irrep.label: irrep.dim for irrep in group.irreps}
    assert sum(size[label] * count for label, count in modes["mechanical"].items()) == 3 * len(crystal)
    assert report["frame"]["max_frames"] == 3
    plain = describe_crystal(examples[formula], max_frames=3)
    assert "vibrations" not in plain
    assert plain["lattice"] == np.asarray(crystal.lattice).tolist()


def test_refusals(tmp_path, examples):
    with pytest.raises(IrrepnetError, match=r"none\.cif"):
        describe_crystal(tmp_path / "none.cif", max_frames=3)
    with pytest.raises(IrrepnetError, match="symprec"):
        describe_crystal(examples["Si"], max_frames=3, symprec=-1.0)
