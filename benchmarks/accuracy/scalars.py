"""Numbers of crystals of all groups: ours beside peers, at equal processor time of one core.

    python benchmarks/accuracy/scalars.py train --data mp_2018.jsonl.gz --model ours --minutes 10 --out results
    python benchmarks/accuracy/scalars.py train --target gap --data mp_2018.jsonl.gz --model CGCNN --out results
    python benchmarks/accuracy/scalars.py table --target gap --out results --picture curves.png

`train` does one run; the target is the formation energy, the band gap, or whether the crystal is a metal. Networks
(`peers.py`; a peer needs an environment that has it) all learn in one way, which is that of `irrepnet train`: AdamW on
a one-cycle schedule that ends when the minutes of the processor are spent, batches of 24, the absolute error of the
standardised value (of metals the cross entropy), a running average of the weights, of which the last is judged. The
clock runs while batches are made, not while crystals become graphs, which is noted beside it. Without ``--rate`` the
learning rate is that with the smallest validation error among the shortest runs of the model in ``--out``.

A run that was killed goes on where it was; a finished one adds a line to results.jsonl and is not done again. The split
is a file of ids, {part: {"id": [...]}}, as every run folder has one; by default that of the model `formation-energy`,
and if there is no such file it is written, split by formula. `table` prints the runs, of several learning rates
that with the smallest validation error.
"""

import argparse
import json
import os
import platform
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from irrepnet import __version__
from irrepnet.compiled import rounded_products
from irrepnet.data import Record, read_records, split_by_formula
from irrepnet.data.splits import PARTS
from irrepnet.tasks.metrics import classification_metrics
from irrepnet.training.checkpoint import State
from irrepnet.training.loop import keep_freed_memory, threads
from irrepnet.training.optimizer import Update
from irrepnet.training.schedule import one_cycle
from irrepnet.training.where import SHIPPED

sys.path.append(str(Path(__file__).resolve().parents[1]))
from peers import NETWORKS, Network, matminer_features

from jobs import markdown, spread

BATCH, DECAY, AVERAGE, CLIP, WARMUP = 24, 0.03, 0.996, 5.0, 0.15
RATE, TREE_RATE = 0.0015, 0.1
"""Learning rates of networks and of boosting, where no run has found a better one."""
EVERY = 300
"""Seconds of the processor between checkpoints."""
BOOSTING, TREES = "boosting", 50
"""The model that is no network, and how many trees are added at a time."""
SYSTEMS = ("triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal", "hexagonal", "cubic")
LAST = (2, 15, 74, 142, 167, 194, 230)
"""Number of the last space group of each system."""
Parts = dict[str, list[Record]]
Values = dict[str, np.ndarray]


class Target(NamedTuple):
    """What is learned: of the records' property of that key."""

    key: str
    value: Callable[[float], float]
    unit: str
    classes: bool = False
    """Whether values are 0 and 1, what is predicted is the logarithm of their odds, and the error is 1 − AUC."""


TARGETS = {
    "formation-energy": Target("formation_energy_per_atom", float, "eV/atom"),
    "gap": Target("band_gap", float, "eV"),
    "metal": Target("band_gap", lambda gap: float(gap == 0), "1 − AUC", classes=True),
}


@dataclass(frozen=True)
class Run:
    """What is trained: target, name of the model, minutes of the processor, the highest learning rate, the seed."""

    target: str
    model: str
    minutes: float
    rate: float
    seed: int

    @property
    def name(self) -> str:
        return f"{self.target}, {self.model}, {self.minutes:g} min, {self.rate:g}, seed {self.seed}"


def read_split(path: Path, records: Sequence[Record]) -> Parts:
    """The records of each part; the file is written if there is none."""
    if not path.exists():
        found = split_by_formula([record.formula for record in records])
        ids = {part: {"id": [records[k].id for k in places]} for part, places in found.items()}
        path.write_text(json.dumps(ids) + "\n", encoding="utf-8")
    by_id = {record.id: record for record in records}
    parts = json.loads(path.read_text(encoding="utf-8"))
    return {part: [by_id[id] for id in parts[part]["id"]] for part in PARTS}


def batches(seed: int, size: int, step: int) -> Iterator[np.ndarray]:
    """Which crystals the batches from that step on have, pass after pass through all in another order."""
    passed, start = divmod(step, max(size // BATCH, 1))
    while True:
        order = np.random.default_rng([seed, passed]).permutation(size)
        for i in range(start * BATCH, max(size - BATCH, 0) + 1, BATCH):
            yield order[i : i + BATCH]
        passed, start = passed + 1, 0


def train(
    network: Network, module: torch.nn.Module, examples: Sequence[Any], wanted: torch.Tensor, run: Run, checkpoint: Path
) -> State:
    """Train until the minutes are spent; the state's average has the weights, its history seconds and steps.

    Args:
        module: with its initial weights.
        examples, wanted: of the training part, standardised.
    """
    functional = torch.nn.functional
    loss = functional.binary_cross_entropy_with_logits if TARGETS[run.target].classes else functional.l1_loss
    state = State.start(module, DECAY)
    if checkpoint.exists():
        state.load(checkpoint)
    update = Update(state.optimizer, state.model.parameters(), state.average.parameters(), CLIP)
    begun = state.history[-1] if state.history else {"seconds": 0.0, "steps": 0}
    before, step, saved = time.process_time() - begun["seconds"], begun["steps"], begun["seconds"]
    state.model.train()
    for part in batches(run.seed, len(examples), step):
        seconds = time.process_time() - before
        progress = seconds / (60 * run.minutes)
        if progress >= 1 or seconds - saved > EVERY:
            for average, buffer in zip(state.average.buffers(), state.model.buffers()):
                average.copy_(buffer)  # the running statistics of batch norms are averages already
            state.history.append({"seconds": seconds, "steps": step})
            state.save(checkpoint)
            saved = seconds
        if progress >= 1:
            break
        rate, momentum = one_cycle(int(progress * 1e6), 10**6, run.rate, WARMUP)
        for group in state.optimizer.param_groups:
            group["lr"], group["betas"] = rate, (momentum, group["betas"][1])
        with rounded_products(network.rounded):
            found = state.model(network.batch([examples[k] for k in part]))
            loss(found.flatten(), wanted[torch.from_numpy(part)]).backward()
        update(1 - min(AVERAGE, (1 + step) / (10 + step)))
        step += 1
    return state


@torch.no_grad()
def outputs(network: Network, module: torch.nn.Module, examples: Sequence[Any]) -> np.ndarray:
    """(n,) what the module makes of the examples."""
    module.eval()
    parts = [module(network.batch(examples[i : i + BATCH])).flatten() for i in range(0, len(examples), BATCH)]
    return torch.cat(parts).double().numpy()


def prepared(make: Callable[[Sequence[Record]], Any], parts: Parts, path: Path | None) -> tuple[dict[str, Any], float]:
    """What is made of the records of each part, kept in a file for the next run, and the seconds that it took."""
    if path and path.exists():
        return torch.load(path, weights_only=False)
    start = time.process_time()
    found = {part: make(own) for part, own in parts.items()}, time.process_time() - start
    if path:
        torch.save(found, path)
    return found


def run_network(run: Run, parts: Parts, wanted: Values, out: Path) -> tuple[dict[str, Any], Values]:
    """Figures of a network, and what it predicts of the validation and the test part, standardised as ``wanted``."""
    network = NETWORKS[run.model]()
    path = out / f"{run.model}.examples" if network.file else None
    examples, preparing = prepared(network.examples, parts, path)
    torch.manual_seed(run.seed)
    module = network.module(examples["train"][:1000])
    checkpoint = out / f"{run.name}.safetensors"
    goal = torch.from_numpy(wanted["train"]).float()
    state = train(network, module, examples["train"], goal, run, checkpoint)
    start = time.process_time()
    predicted = {part: outputs(network, state.average, examples[part]) for part in PARTS[1:]}
    figures = {
        **state.history[-1],
        "crystals": state.history[-1]["steps"] * BATCH,
        "weights": sum(weight.numel() for weight in state.model.parameters()),
        "preparing": preparing,
        "predicting": time.process_time() - start,
        "versions": {name: version(name) for name in ("torch", *network.packages)},
    }
    checkpoint.unlink()
    return figures, predicted


def run_boosting(run: Run, parts: Parts, wanted: Values, out: Path) -> tuple[dict[str, Any], Values]:
    """The same of gradient boosting by scikit-learn on features by matminer.

    Trees are added until the minutes are spent, or until the last third of them made nothing better; validation
    chooses how many are kept.
    """
    ensembles, classes = import_module("sklearn.ensemble"), TARGETS[run.target].classes
    boosting = ensembles.HistGradientBoostingClassifier if classes else ensembles.HistGradientBoostingRegressor
    features, preparing = prepared(matminer_features, parts, out / f"{run.model}.examples")
    settings = {"learning_rate": run.rate, "max_leaf_nodes": 63} | ({} if classes else {"loss": "absolute_error"})
    model = boosting(**settings, max_iter=TREES, warm_start=True, early_stopping=False, random_state=run.seed)
    predict = model.decision_function if classes else model.predict
    start = time.process_time()
    best, predicted = np.inf, {}
    while True:
        model.fit(features["train"], wanted["train"])
        held = predict(features["validation"])
        if (error := deviation(run.target, wanted["validation"], held)) < best:
            best, count = error, model.max_iter
            predicted = {"validation": held, "test": predict(features["test"])}
        if time.process_time() - start > 60 * run.minutes or count < 2 / 3 * model.max_iter:
            break
        model.max_iter += TREES
    figures = {
        "seconds": time.process_time() - start,
        "steps": model.max_iter,
        "crystals": model.max_iter * len(wanted["train"]),
        "weights": sum(tree.get_n_leaf_nodes() for (tree,) in model._predictors[:count]),
        "preparing": preparing,
        "predicting": 0.0,  # done while it learns
        "versions": {name: version(name) for name in ("scikit-learn", "matminer")},
    }
    return figures, predicted


def perform(run: Run, records: Sequence[Record], split: Path, out: Path) -> dict[str, Any]:
    """Prepare, train and judge; the line of results.jsonl."""
    keep_freed_memory()
    parts = read_split(split, records)
    target = TARGETS[run.target]
    values = {
        part: np.array([target.value(record.properties[target.key]) for record in own]) for part, own in parts.items()
    }
    mean, scale = (0.0, 1.0) if target.classes else (values["train"].mean(), values["train"].std())
    wanted = {part: (own - mean) / scale for part, own in values.items()}
    with threads(1):
        figures, predicted = (run_boosting if run.model == BOOSTING else run_network)(run, parts, wanted, out)
    predicted = {part: mean + scale * own for part, own in predicted.items()}
    np.savez(out / f"{run.name}.npz", allow_pickle=False, **predicted)
    return {
        **asdict(run),
        **figures,
        "epochs": figures["crystals"] / len(parts["train"]),
        "memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
        "processor": processor(),
        "versions": {"irrepnet": __version__, **figures["versions"]},
        **{part: errors(run.target, parts[part], values[part], predicted[part]) for part in PARTS[1:]},
    }


def deviation(target: str, true: np.ndarray, predicted: np.ndarray) -> float:
    """The mean absolute error; of classes 1 − AUC, NaN if there is but one."""
    if not TARGETS[target].classes:
        return float(np.abs(predicted - true).mean())
    auc = classification_metrics(true, predicted)["auc"]
    return float("nan") if auc is None else 1 - auc


def errors(target: str, records: Sequence[Record], true: np.ndarray, predicted: np.ndarray) -> dict[str, Any]:
    """Of all and by crystal system."""
    systems = np.array([SYSTEMS[np.searchsorted(LAST, record.properties["spacegroup_number"])] for record in records])
    each = {s: deviation(target, true[systems == s], predicted[systems == s]) for s in SYSTEMS if (systems == s).any()}
    return {"error": deviation(target, true, predicted), "n": len(true), "by system": each}


def processor() -> str:
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if "model name" in line] if info.exists() else []
    return names[0].partition(":")[2].strip() if names else platform.processor()


def read_results(out: Path, target: str) -> list[dict[str, Any]]:
    path = out / "results.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [result for result in map(json.loads, lines) if result["target"] == target]


def chosen_rates(results: Sequence[dict[str, Any]]) -> dict[tuple[str, float], list[dict[str, Any]]]:
    """Of each model and each number of minutes the runs, all seeds, of the learning rate that validation prefers."""
    found: dict[tuple[str, float], dict[float, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        found[result["model"], result["minutes"]][result["rate"]].append(result)
    return {key: min(runs.values(), key=lambda own: _mean(own, "validation")) for key, runs in found.items()}


def tuned_rate(model: str, results: Sequence[dict[str, Any]]) -> float:
    """That of its shortest runs; without any `RATE`, or `TREE_RATE`."""
    runs = {minutes: own for (name, minutes), own in chosen_rates(results).items() if name == model}
    return runs[min(runs)][0]["rate"] if runs else TREE_RATE if model == BOOSTING else RATE


def _mean(results: Sequence[dict[str, Any]], part: str) -> float:
    return float(np.mean([result[part]["error"] for result in results]))


def table(results: Sequence[dict[str, Any]]) -> str:
    """In Markdown: a row for each model and number of minutes, by minutes and test error; then by crystal system.

    Ratios are of test errors, to those of CGCNN and of ours in as many minutes.
    """
    if not results:
        return "no run is finished"
    chosen = sorted(chosen_rates(results).items(), key=lambda item: (item[0][1], _mean(item[1], "test")))
    header = ["network", "minutes", "seeds", "rate", "weights", "crystals/s", "epochs", "graphs, s", "GB"]
    header += ["validation", "test", "of CGCNN's", "of ours"]
    rows = []
    for (model, minutes), own in chosen:
        others = {name: _mean(runs, "test") for (name, other), runs in chosen if other == minutes}
        test, first = _mean(own, "test"), own[0]
        making = max(result["preparing"] for result in results if result["model"] == model)
        cells = [model, f"{minutes:g}", len(own), f"{first['rate']:g}", f"{first['weights']:,}"]
        cells += [f"{first['crystals'] / first['seconds']:.0f}", f"{first['epochs']:.1f}", f"{making:.0f}"]
        cells += [f"{first['memory_gb']:.1f}", *(spread([r[part]["error"] for r in own]) for part in PARTS[1:])]
        rows.append([*cells, *(f"{test / others[name]:.2f}" if name in others else "" for name in ("CGCNN", "ours"))])
    systems = [system for system in SYSTEMS if system in results[0]["test"]["by system"]]
    by_system = []
    for (model, minutes), own in chosen:
        means = [np.mean([result["test"]["by system"][system] for result in own]) for system in systems]
        by_system.append([model, f"{minutes:g}", *(f"{mean:.4f}" for mean in means)])
    return markdown(header, rows) + "\n\n" + markdown(["network", "minutes", *systems], by_system)


def draw(results: Sequence[dict[str, Any]], path: Path) -> None:
    """Test error against minutes of the processor, a curve for each model."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    curves: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for (model, minutes), own in chosen_rates(results).items():
        curves[model].append((minutes, _mean(own, "test")))
    figure, axis = plt.subplots(figsize=(6.5, 4.5))
    for model, points in sorted(curves.items(), key=lambda item: -min(item[1])[1]):
        axis.loglog(*zip(*sorted(points)), "o-", label=model, linewidth=3 if model == "ours" else 1.2)
    minutes = sorted({point[0] for points in curves.values() for point in points})
    axis.set_xticks(minutes, [f"{m:g}" for m in minutes])
    axis.minorticks_off()
    ticks = [
        tick for tick in (0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5) if axis.get_ylim()[0] <= tick <= axis.get_ylim()[1]
    ]
    axis.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.set(xlabel="minutes of one core", ylabel=f"test error, {TARGETS[results[0]['target']].unit}")
    axis.grid(alpha=0.3)
    axis.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    figure.tight_layout()
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train", help="one run")
    training.add_argument("--data", required=True, help="an embedded set, or records")
    training.add_argument("--model", required=True, choices=[*NETWORKS, BOOSTING])
    training.add_argument("--minutes", type=float, default=10, help="of the processor")
    training.add_argument("--rate", type=float, help="highest learning rate")
    training.add_argument("--seed", type=int, default=0)
    training.add_argument("--split", type=Path, default=SHIPPED / "formation-energy" / "split.json")
    showing = commands.add_parser("table", help="of what is finished")
    showing.add_argument("--picture", type=Path)
    for command in (training, showing):
        command.add_argument("--target", default="formation-energy", choices=TARGETS)
        command.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    results = read_results(options.out, options.target)
    if options.command == "table":
        print(table(results))
        if options.picture:
            draw(results, options.picture)
        return
    rate = options.rate or tuned_rate(options.model, results)
    run = Run(options.target, options.model, options.minutes, rate, options.seed)
    if any(asdict(run).items() <= result.items() for result in results):
        print(f"{run.name}: finished")
        return
    options.out.mkdir(parents=True, exist_ok=True)
    records = [record for record in read_records(options.data)[0] if TARGETS[run.target].key in record.properties]
    if not records:
        raise SystemExit(f"{options.data}: no record has {TARGETS[run.target].key}")
    result = perform(run, records, options.split, options.out)
    with (options.out / "results.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(result) + "\n")
    found = ", ".join(f"{part} {result[part]['error']:.4f}" for part in PARTS[1:])
    print(f"{run.name}: {found} {TARGETS[run.target].unit}")


if __name__ == "__main__":
    main()
