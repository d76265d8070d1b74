"""How well are tensors of second-harmonic generation predicted, and do their signs belong to their crystals?

    python benchmarks/accuracy/second_harmonic.py --data shg.jsonl.gz --out results/shg --seeds 3
    python benchmarks/accuracy/second_harmonic.py --data shg.jsonl.gz --signs shg
    python benchmarks/accuracy/second_harmonic.py --data piezoelectric_tensor --signs piezoelectric_tensor

The data are records with `shg`, 3×6 in pm/V, and `random_250`, true for the crystals of the published test set; tensors
that are not in the frame of their crystal's lattice are left out. The other crystals are split by formula: 85 % train,
14 % choose the epoch. Mean ± standard deviation over the seeds, of the test crystals:

    Frobenius, EwT25    mean norm of the error, pm/V; share of crystals in which it is at most 25 % of the norm
    d_KP                mean error of Kurtz and Perry's coefficient, pm/V, which is the published figure
    rank                Spearman's correlation of the same
    sign                share of crystals in which the product of true and predicted tensor is positive

and of the validation part the Frobenius error. The rows: zero; the mean and the median of d_KP over all other crystals;
the networks of `ROWS`, of which `scalar` learns log d_KP alone, as a number; the mean of the tensors, or the median of
the numbers, that all seeds predict.

``--signs`` trains nothing. The sign of a polar tensor belongs to a crystal with its axes, and is lost where the axes
were chosen later. For each point group the tensors are compared with what bonds alone would make, the sum over the
neighbours of the difference of electronegativities times r̂ r̂ r̂: where the cosine exceeds 1/2 in size, how often is it
positive?
"""

import argparse
import csv
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

from irrepnet.crystals import SymmetricCrystal
from irrepnet.data import Record, read_records
from irrepnet.data.tensors import TENSORS, AlignedTensor, aligned_tensors
from irrepnet.nn.elements import element_features
from irrepnet.tensors import SHG, kurtz_perry
from irrepnet.training import load_config, predict, train

O3 = {"model.l_max": 3, "training.learning_rate": 0.004, "training.weight_decay": 0.3, "training.epochs": 25}
UNDAMPED = {"data.tensors": {"shg": {"symmetry": SHG.formula, "unit": "pm/V"}}}
ROWS: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "covariant": ("covariant", {}),
    "small": ("covariant", {"model.channels": 36, "model.moment_channels": 8}),
    "undamped": ("covariant", UNDAMPED),
    "o3": ("tensor-field", O3),
    "scalar": ("covariant", {"data.targets": "log_d_KP"}),
}


def usable(records: Sequence[Record], target: str) -> dict[str, AlignedTensor]:
    """The tensors that are in the frame of their crystal's lattice, by id."""
    found, _ = aligned_tensors(records, target)
    return {key: tensor for key, tensor in found.items() if tensor.is_certain}


def published(record: Record) -> np.ndarray:
    return SHG.read(record.properties["shg"])


def figures(true: np.ndarray, predicted: np.ndarray) -> list[float]:
    """Frobenius error, EwT25, error of d_KP, rank correlation, share of right signs, of tensors (n, 3, 3, 3)."""
    error, size = (np.linalg.norm(x.reshape(len(x), -1), axis=1) for x in (predicted - true, true))
    signs = (predicted * true).sum(axis=(1, 2, 3)) > 0
    return [
        error.mean(),
        (error <= 0.25 * size).mean(),
        *powder(kurtz_perry(true), kurtz_perry(predicted)),
        signs.mean(),
    ]


def powder(true: np.ndarray, predicted: np.ndarray) -> list[float]:
    """Error and rank correlation of d_KP (n,)."""
    rank = np.corrcoef(rankdata(true), rankdata(predicted))[0, 1] if np.ptp(predicted) > 0 else np.nan
    return [float(np.abs(predicted - true).mean()), float(rank)]


def trained(
    row: str, seed: int, records: list[Record], test: list[Record], out: Path
) -> tuple[np.ndarray, tuple[float, float, int]]:
    """What the network predicts of the test crystals, tensors (n, 3, 3, 3) or d_KP (n,); its validation error (pm/V,
    NaN of a number), the processor time of the training (s), and its weights."""
    preset, changes = ROWS[row]
    settings = {
        "data.source": "given",
        "data.targets": "shg",
        "data.split": [0.85, 0.14, 0.01],
        "training.seed": seed,
        "training.device": "cpu",
        **changes,
    }
    run = train(load_config(preset, settings), out / f"{row}-seed{seed}", resume=True, quiet=True, data=records)
    with (run.folder / "metrics.csv").open(encoding="utf-8") as stream:
        seconds = sum(float(each["cpu_seconds"]) for each in csv.DictReader(stream))
    weights = json.loads((run.folder / "metrics.json").read_text())["parameters"]
    (target,) = run.targets
    error = run.card["errors"]["validation"][target.name].get("frobenius", np.nan)
    values = np.array([each[target.name] for each in predict(run, [test])], float)
    return np.exp(values) if values.ndim == 1 else SHG.from_voigt(values), (error, seconds, weights)


def benchmark(records: list[Record], options: argparse.Namespace) -> None:
    known = usable(records, "shg")
    records = [
        replace(r, properties={**r.properties, "log_d_KP": float(np.log(kurtz_perry(published(r)) + 1e-3))})
        for r in records
        if r.id in known
    ]
    test = [r for r in records if r.properties["random_250"]]
    rest = [r for r in records if not r.properties["random_250"]]
    true = np.array([published(r) for r in test])
    learned = kurtz_perry(np.array([published(r) for r in rest]))
    print(f"{len(test)} test crystals, {len(rest)} others, mean d_KP {kurtz_perry(true).mean():.2f} pm/V")
    header = ["row", "Frobenius", "EwT25", "d_KP", "rank", "sign", "validation", "CPU s", "weights"]
    print("| " + " | ".join(header) + " |\n" + "|---" * len(header) + "|")

    def show(row: str, numbers: Sequence[Sequence[float]], costs: Sequence[Sequence[float]] = ((np.nan,) * 3,)) -> None:
        """A row of the table, of the figures and the costs of each seed."""
        cells = [_spread(values) for values in np.transpose(np.hstack([numbers, costs]))]
        print("| " + " | ".join([row, *cells]) + " |", flush=True)

    show("zero", [[*figures(true, np.zeros_like(true))[:3], np.nan, np.nan]])
    for name, value in (("mean", learned.mean()), ("median", np.median(learned))):
        show(name, [[np.nan, np.nan, powder(kurtz_perry(true), np.full(len(true), value))[0], np.nan, np.nan]])
    for row in options.rows.split(","):
        found, costs = zip(*(trained(row, seed, rest, test, Path(options.out)) for seed in range(options.seeds)))
        together = np.median(found, axis=0) if row == "scalar" else np.mean(found, axis=0)
        judge = of_numbers if row == "scalar" else figures
        show(row, [judge(true, values) for values in found], costs)
        show(f"{row}, together", [judge(true, together)])


def of_numbers(true: np.ndarray, sizes: np.ndarray) -> list[float]:
    return [np.nan, np.nan, *powder(kurtz_perry(true), sizes), np.nan]


def _spread(values: np.ndarray) -> str:
    if np.isnan(values).any():
        return ""
    deviation = f" ± {values.std(ddof=1):.3g}" if len(values) > 1 and np.ptp(values) > 0 else ""
    mean = values.mean()
    return f"{mean:,.0f}" if mean > 1e4 else f"{mean:.4g}{deviation}"


def bond_tensor(crystal: SymmetricCrystal) -> np.ndarray:
    """Σ (χ_b − χ_a) r̂ r̂ r̂ over the nearest neighbours b of all atoms a, (3, 3, 3) in the standard frame."""
    electronegativity = element_features()[:, 2]
    x, shifts = crystal.cart_coords, np.array(list(np.ndindex(5, 5, 5))) - 2
    vectors = x[None, None] - x[:, None, None] + (shifts @ crystal.lattice)[None, :, None]  # (a, shift, b, 3)
    length = np.linalg.norm(vectors, axis=-1)
    length[length < 0.1] = np.inf
    near = length < 1.2 * length.min(axis=(1, 2))[:, None, None] + 0.3
    a, shift, b = np.nonzero(near)
    unit = vectors[a, shift, b] / length[a, shift, b][:, None]
    weight = electronegativity[crystal.numbers[b]] - electronegativity[crystal.numbers[a]]
    return np.einsum("n,ni,nj,nk->ijk", weight, unit, unit, unit)


def signs(records: list[Record], target: str) -> None:
    if TENSORS[target].rank != 3:
        raise SystemExit(f"{target} is no tensor of rank 3")
    groups: dict[str, list[float]] = defaultdict(list)
    for tensor in usable(records, target).values():
        bonds = bond_tensor(tensor.crystal)
        size = np.linalg.norm(tensor.values) * np.linalg.norm(bonds)
        if size > 1e-6:
            groups[tensor.crystal.point_group.name].append(float((tensor.values * bonds).sum() / size))
    print("| group | crystals | cosine > 1/2 or < −1/2 | positive |\n|---|---|---|---|")
    groups = dict(sorted(groups.items(), key=lambda item: -len(item[1])))
    for name, cosines in [*groups.items(), ("all", [x for each in groups.values() for x in each])]:
        clear = [cosine for cosine in cosines if abs(cosine) > 0.5]
        print(f"| {name} | {len(cosines)} | {len(clear)} | {sum(cosine > 0 for cosine in clear)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="records, or the name of an embedded set")
    parser.add_argument("--out", help="folder for the runs; a finished run is not repeated")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", default=",".join(ROWS), help="which of the networks")
    parser.add_argument("--signs", metavar="TARGET", help="compare the tensors' signs with the bonds, train nothing")
    options = parser.parse_args()
    records, _ = read_records(options.data)
    if options.signs:
        signs(records, options.signs)
    elif not options.out:
        parser.error("give --out, or --signs")
    else:
        benchmark(records, options)


if __name__ == "__main__":
    main()
