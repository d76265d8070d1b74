"""The original CGCNN code on a split of ours: a row of `hypergraphs.py`.

It is run as it is, in its own process and interpreter, from a checkout of github.com/txie-93/cgcnn, with the settings
of its released models of the moduli and of the formation energy (their checkpoints hold the arguments):
SGD, learning rate 0.02, divided by ten at 4/5 of the epochs, 4 convolutions, 32 hidden features; 1000 epochs.
"""

import csv
import json
import os
import random
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from irrepnet.data import Record
from irrepnet.errors import IrrepnetError

SETTINGS = ("--optim", "SGD", "--lr", "0.02", "--n-conv", "4", "--h-fea-len", "32", "--n-h", "1")
# main.py leaves PyTorch's seed at its default: set it, then run it as a script
LAUNCH = (
    "import runpy, sys, torch; torch.manual_seed(int(sys.argv[1])); torch.set_num_threads(1); "
    "sys.argv = sys.argv[2:]; runpy.run_path(sys.argv[0], run_name='__main__')"
)


def batch_size(target: str) -> int:
    """That of the released models: 64 for the moduli, 256 for the larger sets."""
    return 64 if "VRH" in target else 256


def train_original(
    checkout: Path,
    python: str,
    parts: Mapping[str, Sequence[tuple[Record, float]]],
    target: str,
    seed: int,
    epochs: int,
    out: Path,
) -> None:
    """Train in the folder ``out`` and write metrics.json as irrepnet does, with the errors, costs and the settings.

    Args:
        checkout: of the original repository.
        python: an interpreter with torch, pymatgen and scikit-learn.
        parts: "train", "validation" and "test", the crystals with their values.
        target: name of the values.
        seed: of the weights and of the order of the crystals.
        epochs: passes over the training part.
        out: folder for its files; a finished run in it is left alone.

    Raises:
        IrrepnetError: it stopped with an error (its output is in log.txt), or used another split.
    """
    if (out / "metrics.json").exists():
        return
    crystals = out / "crystals"
    _write_crystals(checkout, crystals, [pair for name in ("train", "validation", "test") for pair in parts[name]])
    sizes = [
        text
        for flag, name in (("--train-size", "train"), ("--val-size", "validation"), ("--test-size", "test"))
        for text in (flag, str(len(parts[name])))
    ]
    settings = [*SETTINGS, "--epochs", str(epochs), "--lr-milestones", str(4 * epochs // 5)]
    settings += ["--batch-size", str(batch_size(target))]
    program = [python, "-u", "-c", LAUNCH, str(seed), str(checkout.resolve() / "main.py")]
    environment = os.environ | {"PYTHONPATH": str(checkout.resolve()), "OMP_NUM_THREADS": "1"}
    command = [*program, "--disable-cuda", *settings, *sizes, "crystals"]
    ends = [time.perf_counter()]  # of the epochs: after each one it prints the validation error
    with (out / "log.txt").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            command, cwd=out, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert process.stdout is not None
        for line in process.stdout:
            log.write(line)
            if line.startswith(" * MAE"):
                ends.append(time.perf_counter())
    if process.wait():
        raise IrrepnetError(f"{out / 'log.txt'}: the original code stopped with an error; the last lines tell why")
    tested = {row[0]: (float(row[1]), float(row[2])) for row in _rows(out / "test_results.csv")}
    first = len(parts["train"]) + len(parts["validation"])
    if set(tested) != {str(first + k) for k in range(len(parts["test"]))}:
        raise IrrepnetError(f"{out / 'test_results.csv'}: holds other crystals than our test split")
    metrics = {
        "epochs": epochs,
        # without the first, which also reads the CIFs
        "seconds_per_epoch": float(np.median(np.diff(ends[1:] if epochs > 1 else ends))),
        "validation": {target: {"mae": _best_validation(out), "n": len(parts["validation"])}},
        "test": {target: {"mae": float(np.mean([abs(p - t) for t, p in tested.values()])), "n": len(tested)}},
        "parameters": _parameters(out),
        "settings": settings,
    }
    for name in ("checkpoint.pth.tar", "model_best.pth.tar"):
        (out / name).unlink()
    shutil.rmtree(crystals)
    (out / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")


def _write_crystals(checkout: Path, folder: Path, pairs: Sequence[tuple[Record, float]]) -> None:
    """CIFs and id_prop.csv such that its shuffle, of a fixed seed, brings the rows into the order of ``pairs``."""
    from pymatgen.io.cif import CifWriter

    folder.mkdir(parents=True, exist_ok=True)
    place = list(range(len(pairs)))
    random.Random(123).shuffle(place)  # row place[i] comes i-th
    rows: list[tuple[int, float]] = [(0, 0.0)] * len(pairs)
    for i, (record, value) in enumerate(pairs):
        CifWriter(record.structure()).write_file(folder / f"{i}.cif")
        rows[place[i]] = (i, value)
    with (folder / "id_prop.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    shutil.copy(checkout / "data" / "sample-regression" / "atom_init.json", folder)


def _rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as stream:
        return list(csv.reader(stream))


def _best(out: Path) -> dict:
    import torch

    return torch.load(out / "model_best.pth.tar", weights_only=True, map_location="cpu")


def _best_validation(out: Path) -> float:
    return float(_best(out)["best_mae_error"])


def _parameters(out: Path) -> int:
    """Weights, without the running averages of the batch norms."""
    state = _best(out)["state_dict"]
    return sum(v.numel() for k, v in state.items() if not k.endswith(("_mean", "_var", "num_batches_tracked")))
