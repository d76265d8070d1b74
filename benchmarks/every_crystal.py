"""Crystals of every point group: ours against other networks, and what each part of it adds.

    python benchmarks/every_crystal.py --data mp_2018.jsonl.gz --out results/every
    python benchmarks/every_crystal.py --data mp_2018.jsonl.gz --out results/some --crystals 6000 --rows cgcnn,full
    python benchmarks/every_crystal.py --data mp_2018.jsonl.gz --cost

Trains each row for each target and seed on one split by formula, 80/10/10. Prints a table of errors and costs and, of
the test part, errors by crystal system and by point group; validation picks the epoch. Runs in ``--jobs`` processes of
one thread, goes on where it was killed, and trains nothing with ``--table``. ``--crystals`` takes a random subset of
the formulas. ``--cost`` trains nothing either: it times every form of the network on crystals of all groups.
"""

import argparse
import gzip
import json
import time
from collections import defaultdict
from csv import DictReader
from pathlib import Path
from typing import Any

import numpy as np

from irrepnet.data import Record, read_records, target_unit
from jobs import Job, Rows, add_arguments, chosen, markdown, run_jobs, spread

O3 = {"model.directions": False, "model.mixing": "none"}
ROWS: Rows = {
    "cgcnn": ("cgcnn", {}),
    "bonds": ("chgcnn", {"model.hyperedges": ["bonds"]}),
    "hyperedges": ("chgcnn", {"model.hyperedges": ["bonds", "triplets", "cell"]}),
    "tensor-field": ("tensor-field", {}),
    "cgcnn-large": ("cgcnn", {"model.channels": 208}),
    "bonds-large": ("chgcnn", {"model.hyperedges": ["bonds"], "model.channels": 126}),
    "tensor-field-large": ("tensor-field", {"model.channels": 140}),
    "invariant": ("point-group", {**O3, "model.moments": 0}),
    "one-hot": ("point-group", {**O3, "model.moments": 0, "model.one_hot": True}),
    "shared": ("point-group", O3),
    "no-mixing": ("point-group", {"model.mixing": "none"}),
    "trivial": ("point-group", {"model.mixing": "trivial"}),
    "no-moments": ("point-group", {"model.moments": 0}),
    "full": ("point-group", {}),
}
"""Other networks as their presets are, and with about as many weights as ``full`` has.
Ours: distances alone, and with the point group as an input; ``shared``, the O(3)-invariant part, of which all weights
are shared by all groups; one frame without orbit mixing; with the trivial irrep (A1g) alone; all but the moments; all.
"""


class Run(Job):
    """One run: a row, a target, a seed."""

    rows = ROWS

    def settings(self) -> dict[str, Any]:
        return {"data.source": self.options.source}

    def result(self) -> dict[str, Any] | None:
        """Errors and costs of the finished run; None when it is not finished."""
        path = self.folder / "metrics.json"
        if not path.exists():
            return None
        found = json.loads(path.read_text())
        key = "auc" if "auc" in found["test"][self.target] else "mae"
        with (self.folder / "metrics.csv").open() as stream:
            seconds = float(np.median([float(row["seconds"]) for row in DictReader(stream)]))
        with (self.folder / "predictions_test.csv").open() as stream:
            rows = list(DictReader(stream))
        true, predicted = (next(name for name in rows[0] if name.startswith(word)) for word in ("true ", "predicted "))
        known = [row for row in rows if row[true]]
        pairs = {row["id"]: (float(row[true]), float(row[predicted])) for row in known}
        return {
            "key": key,
            "test": found["test"][self.target][key],
            "validation": found["validation"][self.target][key],
            "seconds": seconds,
            "parameters": found["parameters"],
            "memory": found["peak_memory_mb"],
            "epochs": found["epochs"],
            # of a classification the error is 1 where the more probable answer is wrong
            "errors": {k: abs(t - p) if key == "mae" else float((p > 0.5) != t) for k, (t, p) in pairs.items()},
        }


def tables(runs: list[Run], unit: str, records: dict[str, Record]) -> str:
    """The finished runs of one target in Markdown: all crystals, by crystal system, and by point group."""
    results: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for run in runs:
        if result := run.result():
            results[run.row].append(result)
    if not results:
        return "no run is finished"
    first = next(iter(results.values()))[0]
    name = f"MAE ({unit})" if first["key"] == "mae" else "AUC"
    rows = []
    for row, found in results.items():
        test, validation, seconds = ([result[key] for result in found] for key in ("test", "validation", "seconds"))
        cells = [row, len(found), found[0]["epochs"], spread(test), spread(validation), f"{np.mean(seconds):.2f}"]
        rows.append([*cells, f"{found[0]['memory']:.0f}", f"{found[0]['parameters']:,}"])
    header = ["network", "seeds", "epochs", f"test {name}", "validation", "s/epoch", "memory, MB", "parameters"]
    parts = [markdown(header, rows)]
    if len({frozenset(result["errors"]) for found in results.values() for result in found}) > 1:
        parts.append("WARNING: the test parts differ")

    groups = {k: _group(records[k]) for k in first["errors"]}
    error = "MAE" if first["key"] == "mae" else "share of wrong answers"
    for title, which in (("crystal system", 0), ("point group", 1)):
        members: dict[str, list[str]] = defaultdict(list)
        for k, group in groups.items():
            members[group[which]].append(k)
        rows = []
        for group, own in sorted(members.items(), key=lambda item: -len(item[1])):
            means = (np.mean([[r["errors"][k] for k in own] for r in found]) for found in results.values())
            rows.append([group, len(own), *(f"{mean:.4f}" for mean in means)])
        parts += [f"Test {error} by {title}, mean over the seeds:", markdown([title, "crystals", *results], rows)]
    return "\n\n".join(parts)


def _group(record: Record) -> tuple[str, str]:
    """Crystal system and Schoenflies symbol of the point group."""
    from irrepnet.crystals import SymmetricCrystal

    group = SymmetricCrystal.from_structure(record).point_group
    return group.system, group.schoenflies


def subset(records: list[Record], wanted: int, seed: int, path: Path) -> None:
    """Write all crystals of randomly chosen formulas, at least ``wanted`` crystals, as a file of records."""
    by_formula: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        by_formula[record.formula].append(record)
    chosen: list[Record] = []
    for formula in np.random.default_rng(seed).permutation(sorted(by_formula)):
        if len(chosen) >= wanted:
            break
        chosen += by_formula[formula]
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as stream:
        for record in chosen:
            content = {**record.properties, "material_id": record.id, "species": record.species}
            content |= {"frac_coords": record.frac_coords.tolist(), "lattice": record.lattice.tolist()}
            stream.write(json.dumps(content) + "\n")


def cost(records: list[Record], wanted: int, seed: int) -> str:
    """Every form of the network on the same random crystals of all groups, by processor time; a table in Markdown."""
    import torch

    from irrepnet.checks.verify import random_network
    from irrepnet.crystals import SymmetricCrystal, model_group
    from irrepnet.data.batch import union
    from irrepnet.graphs import FORMS, FrameOptions, frame_graph, network_graph, orbit_graph
    from irrepnet.models import PointGroupConfig

    torch.set_num_threads(1)
    net = random_network(PointGroupConfig())
    picked = np.random.default_rng(seed).choice(len(records), wanted, replace=False)
    crystals = [SymmetricCrystal.from_structure(records[k]) for k in picked]
    forms = {form: [frame_graph(c, model_group(c), form=form) for c in crystals] for form in FORMS}
    for n in (1, FrameOptions.max_frames):
        forms[f"max_frames {n}"] = [network_graph(c, FrameOptions(max_frames=n)) for c in crystals]
    forms["orbit graph"] = [orbit_graph(c) for c in crystals]
    rows = []
    for name, graphs in forms.items():
        seconds = {"inference": 0.0, "step": 0.0}
        for k in range(0, wanted, 4):  # small batches: the full form of four large crystals fills a gigabyte
            batch = union(graphs[k : k + 4])
            with torch.no_grad():
                net(batch)  # warms up
                start = time.process_time()
                net(batch)
                seconds["inference"] += time.process_time() - start
            start = time.process_time()
            net.zero_grad()
            net(batch).sum().backward()
            seconds["step"] += time.process_time() - start
        figures = (1e3 * value / wanted for value in seconds.values())
        sizes = (np.mean([len(graph) for graph in graphs]), np.mean([len(graph.receiver) for graph in graphs]))
        rows.append([name, *(f"{size:.0f}" for size in sizes), *(f"{figure:.2f}" for figure in figures)])
    header = ["form", "nodes", "edges", "inference, ms", "training step, ms"]
    atoms = np.mean([len(crystal) for crystal in crystals])
    return f"{wanted} crystals of {atoms:.1f} atoms, float32, one thread; a crystal:\n\n{markdown(header, rows)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a file of records, or an embedded set")
    parser.add_argument("--targets", default="formation_energy_per_atom,band_gap,metal", help="each is learned alone")
    parser.add_argument("--out", help="folder for the runs and results")
    parser.add_argument("--crystals", type=int, help="random formulas with about so many crystals; all by default")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of crystals")
    add_arguments(parser, list(ROWS))
    parser.add_argument("--cost", action="store_true", help="train nothing, time the forms on --crystals (32)")
    options = parser.parse_args()
    which = chosen(parser, options, {"rows": list(ROWS)})
    if options.cost:
        print(cost(read_records(options.data)[0], options.crystals or 32, options.seed))
        return
    if not options.out:
        parser.error("--out is required")
    options.source = options.data
    if options.crystals:
        options.source = str(Path(options.out, f"crystals-{options.crystals}-{options.seed}.jsonl.gz"))
        if not Path(options.source).exists():
            subset(read_records(options.data)[0], options.crystals, options.seed, Path(options.source))
    runs = [Run(*one, options) for one in which]
    run_jobs(runs)
    records = {record.id: record for record in read_records(options.source)[0]}
    for target in options.targets.split(","):
        of_target = [run for run in runs if run.target == target]
        print(f"\n{target}\n\n{tables(of_target, target_unit(target), records)}")


if __name__ == "__main__":
    main()
