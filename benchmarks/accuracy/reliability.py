"""How often do the bounds of predictions hold, and do errors grow with the distance from the training crystals?

    python benchmarks/accuracy/reliability.py --run formation-energy --data mp_2018.jsonl.gz
    python benchmarks/accuracy/reliability.py --data mp_2018.jsonl.gz --without F,N

With ``--run`` its test crystals in ``--data``, or all crystals there if the run has learned from other data. With
``--without`` networks are trained here, on the embedded formation energies (split by formula, 60 epochs of the
point-group network without directions and mixing), without the crystals that have one of the elements, and judged on
crystals like those of the training, on those left out, and on crystals of ``--data`` whose formulas they have not seen.

Columns: share of crystals whose error is within its bound (nine of ten are asked), the mean bound, the mean error,
Spearman's correlation of error and distance, and the mean error of the nearest and of the farthest fifth.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from irrepnet.data import Record, read_records
from irrepnet.tasks import Source
from irrepnet.training import Run, load_config, load_run, train
from irrepnet.training.log import Log
from irrepnet.training.use import judged_examples

HEADER = (
    "| run | target | crystals | n | within | mean bound | mean error | Spearman | nearest fifth | farthest fifth |"
)
ENERGY = "formation_energy_per_atom"
SETTINGS = {
    "data.source": "given",
    "data.targets": ENERGY,
    "model.directions": False,
    "model.mixing": "none",
    "training.device": "cpu",
}


def judge(name: str, run: Run, crystals: str, examples: Any) -> None:
    """A line a target."""
    reliability, part = run.task.reliability, np.arange(len(examples))
    features = run.task.features(run.model, examples, part)
    assert reliability is not None
    assert features is not None
    distance = reliability.neighbours(features).distance.mean(1)
    for target, (error, size) in run.task.deviations(run.model, examples, part).items():
        known = np.isfinite(error)
        if target not in reliability.bounds or not known.any():
            continue
        bound, error, own = (reliability.bound(target, distance) * size)[known], error[known], distance[known]
        fifths = np.array_split(error[np.argsort(own)], 5)
        figures = [(error <= bound).mean(), bound.mean(), error.mean(), spearmanr(own, error)[0]]
        cells = [f"{value:.3g}" for value in (*figures, fifths[0].mean(), fifths[-1].mean())]
        print(f"| {name} | {target} | {crystals} | {len(error)} | {' | '.join(cells)} |", flush=True)


def without(element: str, records: Sequence[Record], other: Sequence[Record]) -> None:
    """A network that has never seen the element."""
    log = Log(quiet=True)
    left_out = [record for record in records if element in record.species]
    kept = [record for record in records if element not in record.species]
    with tempfile.TemporaryDirectory() as folder:
        run = train(load_config("point-group", SETTINGS), Path(folder) / "run", quiet=True, data=kept)
        ids = set(run.split["test"]["id"])
        known = {record.formula for record in records}
        new = [record for record in other if record.formula not in known and element not in record.species]
        parts = {
            "test part": [record for record in kept if record.id in ids],
            f"with {element}": left_out,
            "another snapshot, other formulas": new,
        }
        for crystals, chosen in parts.items():
            judge(f"without {element}", run, crystals, run.task.prepare(Source("given", chosen, [], ""), log))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--run", help="a run folder, or a model that comes with the package")
    parser.add_argument("--without", help="elements, separated by commas")
    options = parser.parse_args()
    print(HEADER + "\n" + "|---" * 10 + "|")
    if options.run:
        run = load_run(options.run)
        examples, _, split, _ = judged_examples(run, options.data, quiet=True)
        judge(options.run, run, "test part" if split == "test" else "all", examples)
    if options.without:
        records = read_records("formation_energy_2015")[0]
        other = read_records(options.data)[0]
        for element in options.without.split(","):
            without(element, records, other)
