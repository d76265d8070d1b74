"""How good are the Hamiltonians of compounds that the network has not seen, beside H0 and the nearest compound?

    python benchmarks/accuracy/hamiltonians.py --data embedded --folds 5 --out results
    python benchmarks/accuracy/hamiltonians.py --data embedded --leave O --leave F --leave zincblende --out results

With ``--folds`` every formula is held out once, a fold of all formulas at a time; with ``--leave`` all crystals that
have an element, or are of a structure type. Each training is a run of `irrepnet hamiltonian train` in ``--out``, which
goes on where it was; other settings by ``--set``. Validation is a tenth of the formulas that are left.

A row a compound, means over its lattices and strains, meV: bands after one common shift with the exact S, rms of the
occupied ones and of the next four, the gap; the same of H0 (free atoms' densities); and how many of the levels at the
high-symmetry points have the right irrep at the right place, among the occupied and the next four bands.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from irrepnet.hamiltonians import Hamiltonian, band_irreps, k_path
from irrepnet.tasks.hamiltonians import HamiltonianSample, HamiltonianTask, read_samples
from irrepnet.training import load_config, parse_assignment, train

sys.path.append(str(Path(__file__).resolve().parents[1]))
from jobs import markdown

HEADER = ["compound", "n", "valence", "conduction", "gap", "H0: valence", "conduction", "gap", "irreps"]


def left_out(samples: Sequence[HamiltonianSample], options: argparse.Namespace) -> Iterator[tuple[str, list[str]]]:
    """Names of trainings, and the formulas that are held out."""
    formulas = sorted({sample.formula for sample in samples})
    for name in options.leave:
        yield name, sorted({s.formula for s in samples if name in s.species or f"-{name}-" in s.id})
    if not options.leave:
        order = np.random.default_rng(0).permutation(len(formulas))
        for fold, part in enumerate(np.array_split(order, options.folds)):
            yield f"fold-{fold}", [formulas[k] for k in sorted(part)]


def levels(hamiltonian: Hamiltonian, sample: HamiltonianSample) -> list[str]:
    """The irreps of the occupied and the next four bands at the points of the standard path, one a band."""
    found, bands = [], min(sample.occupied + 4, len(hamiltonian))
    points = {label: k for branch in k_path(hamiltonian.known_cell) for label, k in branch}
    for label, k in points.items():
        own = [f"{label} {level.label}" for level in band_irreps(hamiltonian, sample.act, k) for _ in level.bands]
        found += own[:bands]
    return found


def figures(sample: HamiltonianSample, predicted: Hamiltonian) -> list[float]:
    assert sample.true is not None
    ours, start = sample.errors(predicted), sample.errors(sample.start)
    right = float("nan")
    if sample.act.group.is_primitive:
        pair = [levels(each, sample) for each in (sample.true, predicted)]
        right = float(np.mean([a == b for a, b in zip(*pair)]))
    parts = [[own.valence, own.conduction, abs(own.gap)] for own in (ours, start)]
    return [*parts[0], *parts[1], right]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="embedded", help="Hamiltonians")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--leave", action="append", default=[], help="an element or a structure type")
    parser.add_argument("--only", type=int, help="this fold alone")
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE of the configuration")
    options = parser.parse_args()
    samples = read_samples(options.data).records
    rows: dict[str, list[list[float]]] = defaultdict(list)
    for number, (name, formulas) in enumerate(left_out(samples, options)):
        if options.only not in (None, number):
            continue
        settings: dict[str, Any] = {"data.source": options.data, "data.test": formulas, "data.split": [0.9, 0.1, 0.0]}
        config = load_config("hamiltonian", settings | dict(map(parse_assignment, options.set)))
        run = train(config, options.out / name, resume=True, quiet=True)
        assert isinstance(run.task, HamiltonianTask)
        for sample in samples:
            if sample.formula in formulas:
                rows[sample.formula].append(figures(sample, run.task.hamiltonian(run.model, sample)))
                print(name, sample.id, *(f"{x:.3g}" for x in rows[sample.formula][-1]), flush=True)
    means = {formula: np.mean(own, 0) for formula, own in rows.items()}
    table = [[f, str(len(rows[f])), *(f"{x:.0f}" for x in own[:6]), f"{own[6]:.0%}"] for f, own in means.items()]
    every = np.array([own for part in rows.values() for own in part])
    for word, each in (("mean", np.nanmean(every, 0)), ("median", np.nanmedian(every, 0))):
        table.append([word, str(len(every)), *(f"{x:.0f}" for x in each[:6]), f"{each[6]:.0%}"])
    print("\n" + markdown(HEADER, table))
    better = np.mean([own[0] < own[3] for own in means.values()])
    print(f"\nvalence bands better than those of H0 for {better:.0%} of {len(means)} compounds")


if __name__ == "__main__":
    main()
