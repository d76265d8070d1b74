"""Where does the output of a network jump along a path that breaks the symmetry, and which part of it does?

    python benchmarks/continuity.py --data mp_2018.jsonl.gz [--run RUN …] [--symprec 1e-4] [--out FILE.json]
    python benchmarks/continuity.py --data DATA_OF_THE_RUN --run RUN --sample

Paths between crystals of the snapshot (BaTiO3 in its four phases), and of the examples: rock salt stretched along
[111], an orthorhombic crystal sheared through 90°, noise on the atoms of a spinel. For each path and each way
to make a graph of a crystal, the largest jump of the output, at which change of symmetry, and the largest slope,
for scale. Without --run the weights are random everywhere, also where training starts from zero, and the outputs
dimensionless. --sample follows no path: it predicts the run's test crystals with other tolerances of the symmetry
search, and with noise on their atoms.
"""

import argparse
import json
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path as File
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from pymatgen.core import Structure

from irrepnet.checks.path import Path, follow, predictor
from irrepnet.checks.verify import random_network
from irrepnet.crystals import SymmetricCrystal
from irrepnet.data import Record, read_records
from irrepnet.data.batch import AnyGraph
from irrepnet.graphs import FrameOptions, blend, network_graph
from irrepnet.models import PointGroupConfig
from irrepnet.training.load import Run, load_run
from jobs import markdown

BATIO3 = {"Pm-3m": "mp-2998", "P4mm": "mp-5986", "Amm2": "mp-5777", "R3m": "mp-5020"}
EXAMPLES = File(__file__).resolve().parents[1] / "examples"

WAYS: dict[str, Callable[[SymmetricCrystal], AnyGraph]] = {
    "shells, no frames": partial(network_graph, options=FrameOptions(max_frames=0)),
    "shells (the preset)": network_graph,
    "fading neighbours, no frames": partial(network_graph, options=FrameOptions(max_frames=0, continuous=True)),
    "fading neighbours": partial(network_graph, options=FrameOptions(continuous=True)),
    "fading neighbours, frames for all": partial(network_graph, options=FrameOptions(max_frames=48, continuous=True)),
    "continuous": partial(blend, options=FrameOptions(continuous=True)),
}
"""Ways to make a graph of a crystal, one cause of jumps after the other taken away."""


def paths(records: list[Record]) -> dict[str, Path]:
    by_id = {record.id: record for record in records}
    phases = {name: by_id[key] for name, key in BATIO3.items()}
    found = {
        f"BaTiO3 {a} → {b}": Path.between(phases[a], phases[b])
        for a, b in (("Pm-3m", "P4mm"), ("P4mm", "Amm2"), ("Amm2", "R3m"), ("Pm-3m", "R3m"))
    }
    salt = Structure.from_file(EXAMPLES / "NaCl.cif").get_primitive_structure()
    found["NaCl, 2 % along [111]"] = Path.between(salt, stretched(salt, np.eye(3) + 0.02 * np.full((3, 3), 1 / 3)))
    shear = np.zeros((3, 3))
    shear[0, 2] = shear[2, 0] = np.radians(1)
    rutile = Structure.from_file(EXAMPLES / "TiO2.cif")
    orthorhombic = stretched(rutile, np.diag([1.03, 0.97, 1.0]))
    found["TiO2, β from 88° to 92°"] = Path.between(
        stretched(orthorhombic, np.eye(3) - shear), stretched(orthorhombic, np.eye(3) + shear)
    )
    spinel = Structure.from_file(EXAMPLES / "MgAl2O4.cif").get_primitive_structure()
    noisy = spinel.copy()
    for i, step in enumerate(np.random.default_rng(0).normal(size=(len(spinel), 3))):
        noisy.translate_sites([i], 0.03 * step / np.linalg.norm(step), frac_coords=False)
    found["MgAl2O4, atoms off by 0.03 Å"] = Path.between(spinel, noisy)
    return found


def stretched(structure: Structure, deformation: np.ndarray) -> Structure:
    return Structure(structure.lattice.matrix @ deformation.T, structure.species, structure.frac_coords)


def sample(run: Run, records: list[Record]) -> str:
    """Predictions of the test crystals with other tolerances and with noise, against those without."""
    energy: Any = run.target()
    predict = predictor(run.model, lambda outputs: energy.decode(outputs[:, :1])[:, 0])
    graph = run.config.graph.graph
    chosen = [record for record in records if record.id in set(run.split["test"]["id"])]
    random = np.random.default_rng(0)

    def predicted(noise: float, symprec: float) -> tuple[np.ndarray, list[tuple[int, int]]]:
        outputs, groups = [], []
        for record in chosen:
            step = random.normal(size=(len(record.species), 3))
            step *= noise / np.linalg.norm(step, axis=1, keepdims=True)
            frac_coords = record.frac_coords + step @ np.linalg.inv(record.lattice)
            crystal = SymmetricCrystal.from_structure(replace(record, frac_coords=frac_coords), symprec)
            outputs.append(predict(graph(crystal)))
            groups.append((crystal.spacegroup_number, len(crystal)))
        return np.array(outputs), groups

    usual = run.config.data.symprec
    reference, known = predicted(0.0, usual)
    rows = []
    cases = [(0.0, symprec) for symprec in (1e-4, 1e-3, 3e-2, 1e-1)]
    cases += [(0.003, symprec) for symprec in (1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)]
    cases += [(noise, usual) for noise in (1e-3, 1e-2, 3e-2)]
    for noise, symprec in cases:
        outputs, groups = predicted(noise, symprec)
        change, others = abs(outputs - reference), sum(a != b for a, b in zip(groups, known))
        figures = (change.mean(), np.quantile(change, 0.95), change.max())
        rows.append([f"{noise:g}", f"{symprec:g}", f"{others} of {len(chosen)}", *(f"{x:.1e}" for x in figures)])
    header = ["noise, Å", "symprec, Å", "another space group or cell", "mean change", "95 % below", "largest"]
    return markdown(header, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--run", help="a trained run of the point-group network, instead of random weights")
    parser.add_argument("--symprec", type=float, default=1e-4)
    parser.add_argument("--steps", type=int, default=21)
    parser.add_argument("--paths", default="", help="only those whose name contains this")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--sample", action="store_true", help="the run's test crystals instead of paths")
    parser.add_argument("--out")
    arguments = parser.parse_args()

    if arguments.sample:
        if not arguments.run:
            parser.error("--sample needs --run")
        print(sample(load_run(arguments.run), read_records(arguments.data)[0]))
        return
    if arguments.run:
        run = load_run(arguments.run)
        energy: Any = run.target()
        predict = predictor(run.model, lambda outputs: energy.decode(outputs[:, :1])[:, 0])
    else:
        predict = predictor(random_network(PointGroupConfig()))
    rows = []
    chosen = {name: p for name, p in paths(read_records(arguments.data)[0]).items() if arguments.paths in name}
    for name, path in chosen.items():
        for way in arguments.ways:
            report = follow(predict, WAYS[way], path, arguments.symprec, arguments.steps)
            jumps = {}
            for change in report["changes"]:
                ends = " → ".join(change[side]["spacegroup"] for side in ("before", "after"))
                cause = ends if change["cause"] == "symmetry" else change["cause"]
                jumps[cause] = max(jumps.get(cause, 0.0), abs(change["jump"]))
            rows.append({"path": name, "way": way, "jumps": jumps, "range": report["range"], "slope": report["slope"]})
            ordered = sorted(jumps.items(), key=lambda item: -item[1])
            listed = ", ".join(f"{cause} {jump:.1e}" for cause, jump in ordered)
            print(f"{name:28} {way:34} range {report['range']:.1e} slope {report['slope']:.1e}  {listed}", flush=True)
    if arguments.out:
        File(arguments.out).write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
