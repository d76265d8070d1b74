"""What do directions, orbit mixing and non-trivial irreps add to scalars of O_h crystals?

    python benchmarks/oh_scalars.py --data mp_2018.jsonl.gz --out results/

Trains every variant of the point-group network below on the crystals of point group m-3m, split by formula
80/10/10 with one fixed split, for three seeds of the weights, and writes a table of test errors and costs.
Validation picks the epoch; the test split is read once a run. Runs in ``--jobs`` processes of one thread.
"""

import argparse
import json
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

VARIANTS = {
    "distances only": {"model.directions": False, "model.mixing": "none"},
    "+ directions": {"model.mixing": "none"},
    "+ orbit mixing, trivial irrep": {"model.mixing": "trivial"},
    "+ orbit mixing, all irreps": {"model.mixing": "all"},
}


def run(job: tuple[str, str, str, int, int, tuple[str, ...], str]) -> dict:
    """Train one variant with one seed; a finished run is only read."""
    data, out, variant, seed, epochs, targets, device = job
    from irrepnet.training import load_config, train

    config = load_config(
        "point-group",
        {
            "data.source": data,
            "data.targets": list(targets),
            "data.point_groups": ["m-3m"],
            "model.group": "m-3m",
            "training.seed": seed,
            "training.epochs": epochs,
            "training.threads": 1,
            "training.device": device,
            **VARIANTS[variant],
        },
    )
    folder = Path(out) / f"{list(VARIANTS).index(variant)}-seed{seed}"
    train(config, folder, resume=True, quiet=True)
    result = json.loads((folder / "metrics.json").read_text())
    return {"variant": variant, "seed": seed, **result}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="records with formation_energy_per_atom and band_gap")
    parser.add_argument("--out", required=True, help="folder for the runs and results")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--targets", default="formation_energy_per_atom", help="comma-separated")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    targets = tuple(options.targets.split(","))
    jobs = [
        (options.data, options.out, variant, seed, options.epochs, targets, options.device)
        for seed in range(options.seeds)
        for variant in VARIANTS
    ]
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        results = list(pool.map(run, jobs))
    Path(options.out, "results.json").write_text(json.dumps(results, indent=1))
    for target in targets:
        print(f"\n{target}")
        for variant in VARIANTS:
            rows = [r for r in results if r["variant"] == variant]
            key = "auc" if "auc" in rows[0]["test"][target] else "mae"
            test = np.array([r["test"][target][key] for r in rows])
            validation = np.array([r["validation"][target][key] for r in rows])
            seconds = np.mean([r["seconds_per_epoch"] for r in rows])
            print(
                f"{variant:32s} test {key} {test.mean():.4f} ± {test.std(ddof=1) if len(test) > 1 else 0:.4f}"
                f"  validation {validation.mean():.4f}  {seconds:.1f} s/epoch  {rows[0]['parameters']} parameters"
            )


if __name__ == "__main__":
    main()
