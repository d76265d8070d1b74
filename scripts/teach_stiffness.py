"""Elastic tensors of small crystals by a universal potential, for a network to learn from before those of DFT.

    pip install sevenn
    python scripts/teach_stiffness.py --data mp_2018.jsonl.gz --without elastic_tensor_2015 --out teacher.jsonl

Crystals of at most ``--atoms`` atoms are taken at random, of each formula one, and none of the formulas of which there
are tensors already. Cell and atoms are relaxed; the stiffness is that of relaxed atoms
(`irrepnet.phonons.frozen_strains`), in the axes of the crystal as it was read, and the crystal is kept as it was read.
A line of the output is a record with ``elastic_tensor_original`` (6×6, GPa), ``K_VRH``, ``G_VRH`` and ``calculator``;
these are the potential's, not DFT's. Potentials of this kind are known to be soft, in shears most of all.

Crystals that change their space group or their volume by more than a tenth, are unstable, or cannot be calculated, are
listed with the reason in a file beside the output that ends in .rejected.csv. An interrupted run goes on where it was.
"""

import argparse
import csv
import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from ase import Atoms
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS

from irrepnet.crystals import SymmetricCrystal
from irrepnet.data import Record, read_records
from irrepnet.errors import IrrepnetError
from irrepnet.phonons import frozen_strains, named_calculator
from irrepnet.tensors.cartesian import rotate
from irrepnet.tensors.elastic import STIFFNESS, averages, is_positive_definite
from irrepnet.training.log import Log

FORCE, STEPS = 0.02, 60
"""eV/Å (and eV of a strain) at which a relaxation ends, and after how many steps it is given up."""
GROWTH = 0.1
"""The largest relative change of the volume."""
SOFTEST = 0.05
"""eV/Å², the least eigenvalue of the force constants at Γ of a crystal that is called stable."""


def chosen(records: list[Record], crystals: int, atoms: int, without: Collection[str]) -> list[Record]:
    """Crystals in random order, of each formula one, of those in `without` none."""
    first: dict[str, Record] = {}
    for k in np.random.default_rng(0).permutation(len(records)):
        if len(records[k]) <= atoms and records[k].formula not in without:
            first.setdefault(records[k].formula, records[k])
    return list(first.values())[:crystals]


def relaxed(crystal: SymmetricCrystal, calculator: Any) -> SymmetricCrystal:
    """The crystal with the cell and the places that the calculator likes best, in the axes of its standard frame.

    Raises IrrepnetError if it is not found, or has another symmetry.
    """
    atoms = Atoms(crystal.numbers, crystal.cart_coords, cell=crystal.lattice, pbc=True, calculator=calculator)
    cell: Any = FrechetCellFilter(atoms)
    try:
        done = BFGS(cell, logfile=None).run(fmax=FORCE, steps=STEPS)
    except Exception as error:  # a calculator may fail in any way it likes
        raise IrrepnetError(f"the calculator fails: {' '.join(str(error).split())}") from error
    if not done:
        raise IrrepnetError(f"not relaxed after {STEPS} steps")
    growth = abs(np.linalg.det(atoms.cell.array) / np.linalg.det(crystal.lattice)) - 1
    if abs(growth) > GROWTH:
        raise IrrepnetError(f"relaxing changes the volume by {growth:.0%}")
    content = {"species": list(crystal.species), "frac_coords": atoms.get_scaled_positions()}
    found = SymmetricCrystal.from_structure(content | {"lattice": atoms.cell.array})
    if found.spacegroup_number != crystal.spacegroup_number:
        raise IrrepnetError(f"relaxing leads from {crystal.spacegroup_symbol} to {found.spacegroup_symbol}")
    return found


def taught(record: Record, calculator: Any, name: str) -> dict[str, Any]:
    """The line of the output.

    Raises IrrepnetError with the reason why there is none.
    """
    crystal = SymmetricCrystal.from_structure(record)
    found = relaxed(crystal, calculator)
    result = frozen_strains(found, calculator)
    if result.softest < SOFTEST:
        raise IrrepnetError(f"unstable: force constants at Γ of {result.softest:.2f} eV/Å²")
    # x_record = crystal.rotation x_crystal, and x_crystal = found.rotation x_found
    stiffness = STIFFNESS.to_voigt(rotate(result.stiffness, crystal.rotation @ found.rotation, 4))
    if not is_positive_definite(stiffness):
        raise IrrepnetError("unstable: the stiffness is not positive definite")
    means = averages(stiffness)
    return {
        "material_id": record.id,
        "species": list(record.species),
        "frac_coords": record.frac_coords.tolist(),
        "lattice": record.lattice.tolist(),
        "elastic_tensor_original": np.round(stiffness, 3).tolist(),
        "K_VRH": round(means.K, 3),
        "G_VRH": round(means.G, 3),
        "spacegroup_number": crystal.spacegroup_number,
        "calculator": name,
    }


def whole_lines(path: Path) -> list[str]:
    """Lines of a file that others will be added to; a last one that an interruption left unfinished is cut off."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    return whole.splitlines()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="records")
    parser.add_argument("--calculator", default="sevennet-l3i5", help="as of `irrepnet phonons`")
    parser.add_argument("--crystals", type=int, default=3000)
    parser.add_argument("--atoms", type=int, default=5, help="in the cell of a record, at most")
    parser.add_argument("--without", help="records whose formulas are left out")
    parser.add_argument("--out", type=Path, required=True, help="a file that ends in .jsonl")
    options = parser.parse_args()
    refused = options.out.with_suffix(".rejected.csv")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    done = {json.loads(line)["material_id"] for line in whole_lines(options.out)}
    done |= {row[0] for row in csv.reader(whole_lines(refused))}
    calculator, name = named_calculator(options.calculator)
    known = {record.formula for record in read_records(options.without)[0]} if options.without else ()
    records = chosen(read_records(options.data)[0], options.crystals, options.atoms, known)
    waiting = [record for record in records if record.id not in done]
    with Log().progress("stiffness", len(records), len(records) - len(waiting)) as advance:
        for record in waiting:
            try:
                line = json.dumps(taught(record, calculator, name))
            except IrrepnetError as error:
                with refused.open("a", encoding="utf-8", newline="") as stream:
                    csv.writer(stream).writerow([record.id, record.formula, str(error)])
            else:
                with options.out.open("a", encoding="utf-8") as stream:
                    stream.write(line + "\n")
            advance(1)


if __name__ == "__main__":
    try:
        main()
    except IrrepnetError as error:
        raise SystemExit(f"error: {error}") from None
