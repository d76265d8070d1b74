"""What do predicted Born charges give: LO–TO splitting and static permittivity of crystals not seen in training.

    python benchmarks/phonons.py --data born_charges.jsonl.gz --run RUN --calculator sevennet --atoms 12

The crystals are those of the run's test part that have at most ``--atoms`` atoms. Force constants are the calculator's
for all rows, ε∞ is that of the data; so a row differs from the reference, which has the charges of the data, by its
charges alone. ``element means`` gives every atom the mean isotropic charge of its element in the run's training part,
minus the mean over the crystal; ``none`` is without charges, no splitting at all. Errors are means over crystals: of
the wavenumbers where the reference has LO modes (the n-th mode of the polar irreps compared with the n-th, along the
axes that differ), and of the highest one; and of the ionic part of the permittivity, |Δ| / |ε0 − ε∞| (Frobenius), in
the median over stable crystals.
"""

import argparse
import json
import os
import time
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from irrepnet.crystals import SymmetricCrystal, input_atoms
from irrepnet.data import read_records
from irrepnet.errors import IrrepnetError
from irrepnet.phonons import GammaPhonons, PolarPhonons, frozen_phonons, gamma_phonons, named_calculator
from irrepnet.phonons.gamma import WAVENUMBERS
from irrepnet.phonons.reports import axes_that_differ
from irrepnet.training.charges import predicted_charges
from irrepnet.training.load import load_run


def of_data(record, crystal: SymmetricCrystal) -> tuple[np.ndarray, np.ndarray]:
    """(n, 3, 3) and (3, 3) in the standard frame."""
    at, turn = input_atoms(crystal, record), crystal.rotation
    charges = np.zeros((len(crystal), 3, 3))
    charges[at] = np.array(record.properties["born_charges"])
    return turn.T @ charges @ turn, turn.T @ np.array(record.properties["e_electronic"]) @ turn


def polar_modes(polar: PolarPhonons) -> list[tuple[np.ndarray, np.ndarray]]:
    """Along each of the axes that differ cm⁻¹ of the modes of polar irreps, rising, and which of them are LO."""
    found = []
    for q in axes_that_differ(polar.phonons.crystal.point_group):
        branches = [b for b in polar.along(q) if b.kind for _ in b.eigenvectors]
        found.append(
            (np.array([b.frequency * WAVENUMBERS for b in branches]), np.array([b.kind == "LO" for b in branches]))
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--run", required=True)
    parser.add_argument("--calculator", default="sevennet")
    parser.add_argument("--atoms", type=int, default=12)
    parser.add_argument("--json", default="", help="write the figures of every crystal")
    options = parser.parse_args()
    run = load_run(options.run)
    records = {record.id: record for record in read_records(options.data)[0]}
    sums: dict[str, list[float]] = {}
    for name in run.split["train"]["id"]:
        for symbol, charge in zip(records[name].species, records[name].properties["born_charges"]):
            sums.setdefault(symbol, []).append(float(np.trace(charge)) / 3)
    calculator, called = named_calculator(options.calculator)
    rows: dict[str, list[list[float]]] = {"predicted": [], "element means": [], "none": []}
    details, unstable, evaluations, start = [], 0, 0, time.process_time()
    for name in run.split["test"]["id"]:
        record = records[name]
        if len(record) > options.atoms:
            continue
        try:
            crystal = SymmetricCrystal.from_structure(record)
            found = frozen_phonons(crystal, calculator)
        except IrrepnetError as error:
            print(f"{name}: {error}")
            continue
        phonons = gamma_phonons(crystal, found.constants)
        charges, epsilon = of_data(record, crystal)
        reference = PolarPhonons.of(phonons, charges, epsilon)
        if not any(longitudinal.any() for _, longitudinal in polar_modes(reference)):
            continue
        evaluations += found.evaluations
        unstable += bool(phonons.unstable)
        guess = np.array([np.mean(sums.get(symbol, [0.0])) for symbol in crystal.species])[:, None, None] * np.eye(3)
        predicted, _ = predicted_charges(crystal, [options.run])["born_charges"]
        detail: dict[str, Any] = {"id": name, "formula": crystal.formula, "point_group": crystal.point_group.name}
        for row, own in (("predicted", predicted), ("element means", guess), ("none", np.zeros_like(guess))):
            errors = compared(phonons, reference, own, epsilon)
            rows[row].append(errors)
            detail[row] = errors
        details.append(detail | {"unstable": bool(phonons.unstable)})
    print(
        f"{len(details)} crystals, {unstable} of them unstable at Γ for {called}; {evaluations} evaluations, "
        f"{time.process_time() - start:.0f} s"
    )
    print("charges | LO modes, cm⁻¹ | the highest, cm⁻¹ | ionic permittivity, median")
    for row, errors in rows.items():
        table = np.array(errors)
        print(f"{row} | {table[:, 0].mean():.1f} | {table[:, 1].mean():.1f} | {np.nanmedian(table[:, 2]):.0%}")
    if options.json:
        with open(options.json, "w") as file:
            json.dump(details, file)


def compared(phonons: GammaPhonons, reference: PolarPhonons, charges: np.ndarray, epsilon: np.ndarray) -> list[float]:
    """Errors of the LO modes, of the highest, and of the ionic permittivity (NaN if a mode is unstable)."""
    polar = PolarPhonons.of(phonons, charges, epsilon)
    modes, highest = [], []
    for (true, longitudinal), (own, _) in zip(polar_modes(reference), polar_modes(polar)):
        modes += abs(true - own)[longitudinal].tolist()
        highest += abs(true - own)[longitudinal][-1:].tolist()
    ionic = np.nan
    if reference.static is not None and polar.static is not None:
        exact = reference.static - reference.electronic
        ionic = float(np.linalg.norm(polar.static - polar.electronic - exact) / np.linalg.norm(exact))
    return [float(np.mean(modes)), float(np.mean(highest)), ionic]


if __name__ == "__main__":
    main()
