"""What is a model that comes with the package worth where data are few?

    python benchmarks/accuracy/fine_tuning.py --start formation-energy --out curves.png

Networks learn a target from 30, 100, 300 and 1,000 crystals, beginning with random weights or with those of a model
(`irrepnet train --from`), all else being equal: the same network, crystals, epochs and learning rate. Validation and
test crystals are those of the whole set, split by formula (80/10/10, split 0, which is that of the model: no formula of
the test parts is among those that `formation-energy` has learned from), a tenth as many crystals as for training
choosing the epoch. Errors are those of the test part: means over ``--seeds`` and their spread.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from irrepnet.data import Record, read_records, split_by_formula
from irrepnet.data.targets import target_value
from irrepnet.training import configuration_from, load_config, train

TARGETS: Mapping[str, tuple[str, str]] = {
    "log_K_VRH": ("elastic_tensor_2015", "mae"),
    "e_electronic": ("dielectric_constant", "frobenius"),
    "e_above_hull": ("formation_energy_2015", "mae"),
}
"""The embedded set and the figure of each target."""
SIZES = (30, 100, 300, 1000)
STEPS = 300
"""Of every training, at least, whatever the number of crystals."""


def chosen(records: Sequence[Record], size: int, seed: int) -> tuple[list[Record], list[float]]:
    """So many training crystals, a tenth as many for validation and the test part, with their shares."""
    parts = split_by_formula([record.formula for record in records])
    rng = np.random.default_rng(seed)
    train = rng.permutation(parts["train"])[:size]
    held = rng.permutation(parts["validation"])[: max(size // 10, 10)]
    used = [len(train), len(held), len(parts["test"])]
    ids = np.sort(np.concatenate([train, held, parts["test"]]))  # their order by formula is that of the whole split
    return [records[k] for k in ids], [count / sum(used) for count in used]


def error(records: Sequence[Record], target: str, key: str, size: int, seed: int, model: str, begun: bool) -> float:
    """Of the test part; the network is that of the model."""
    data, split = chosen(records, size, seed)
    settings = {
        "data.source": "given",
        "data.targets": target,
        "data.split": split,
        "training.seed": seed,
        "training.epochs": max(STEPS * 24 // size, 20),
        "training.device": "cpu",
        "start": model if begun else None,
    }
    config = load_config(configuration_from(model), settings)
    with tempfile.TemporaryDirectory() as folder:
        return train(config, Path(folder) / "run", quiet=True, data=data).card["errors"]["test"][target][key]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--start", default="formation-energy", help="the model, or a run folder")
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--targets", default=",".join(TARGETS))
    parser.add_argument("--out", type=Path, help="a picture of the curves")
    options = parser.parse_args()
    seeds = [int(seed) for seed in options.seeds.split(",")]
    curves: dict[str, dict[str, list[float]]] = {}
    print("| target | crystals | random weights | begun with the model | ratio |\n" + "|---" * 5 + "|")
    for target in options.targets.split(","):
        source, key = TARGETS[target]
        records = [record for record in read_records(source)[0] if target_value(record, target) is not None]
        for size in SIZES:
            found = []
            for begun in (False, True):
                each = [error(records, target, key, size, seed, options.start, begun) for seed in seeds]
                found.append((float(np.mean(each)), float(np.std(each, ddof=1)) if len(each) > 1 else 0.0))
            (fresh, a), (start, b) = found
            cells = [f"{fresh:.3f} ± {a:.3f}", f"{start:.3f} ± {b:.3f}", f"{start / fresh:.2f}"]
            print(f"| {target} | {size} | {' | '.join(cells)} |", flush=True)
            curve = curves.setdefault(f"{target} ({key})", {"random weights": [], "begun with the model": []})
            curve["random weights"].append(fresh)
            curve["begun with the model"].append(start)
    if options.out:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot as plt

        figure, axes = plt.subplots(1, len(curves), figsize=(4 * len(curves), 3.2), squeeze=False)
        for axis, (name, curve) in zip(axes[0], curves.items()):
            for label, values in curve.items():
                axis.loglog(SIZES, values, "o-", label=label)
            axis.set(title=name, xlabel="training crystals")
            axis.legend(frameon=False)
        figure.tight_layout()
        figure.savefig(options.out, dpi=150)
