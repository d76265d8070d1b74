"""Make of a finished run a model that comes with the package.

    python scripts/ship_model.py runs/gap gap --data mp_2018.jsonl.gz --sources mp_2018 --command "irrepnet train …"

Copies into src/irrepnet/training/shipped what predicting, evaluating and beginning with it take, and writes card.md:
what the model learned from, how it was trained, its errors on the test part by crystal system and by element. Weights
are rounded to float16 (of Hamiltonians they stay as they are), and the card has the digests of what comes of it; errors
by kind are those of the rounded ones, and their mean is compared with what it was. With ``--keep`` a tensor is the only
target that is left, and the numbers that the network learned beside it are taken out of its readout.
"""

import argparse
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import yaml
from safetensors.torch import load_file, save_file

from irrepnet.crystals import SymmetricCrystal
from irrepnet.data import Record
from irrepnet.errors import IrrepnetError
from irrepnet.groups import PointGroup
from irrepnet.tasks.hamiltonians import HamiltonianSample
from irrepnet.tasks.reliability import Reliability
from irrepnet.training import load_run
from irrepnet.training.files import CARD, read_sealed, sealed, write_json
from irrepnet.training.load import Run
from irrepnet.training.use import judged_examples
from irrepnet.training.where import SHIPPED

FILES = (
    "config.yaml",
    "model.safetensors",
    "known.safetensors",
    "split.json",
    "rejected.csv",
    "metrics.json",
)
DATA: Mapping[str, str] = {
    "mp_2018": "Materials Project, snapshot of 2018, PBE, PBE+U for oxides and fluorides of some transition metals; "
    "CC BY 4.0; A. Jain et al., APL Mater. 1, 011002 (2013)",
    "elastic_tensor_2015": "Materials Project, elastic tensors of 2015, PBE; CC BY 4.0; M. de Jong et al., "
    "Sci. Data 2, 150009 (2015)",
    "moduli_binary": "bulk and shear moduli of binary compounds of the Materials Project, PBE, as they come with the "
    "benchmarks of MatCalc (BSD-3)",
    "dielectric_constant": "Materials Project, permittivities of 2017, PBE, DFPT; CC BY 4.0; I. Petousis et al., "
    "Sci. Data 4, 160134 (2017)",
    "born_charges": "Born charges and permittivities of the repository e3nn-models (MIT), by DFPT; presumably those of "
    "G. Petretto et al., Sci. Data 5, 180065 (2018), PBEsol, on the Materials Project (CC BY 4.0)",
    "embedded": "Hamiltonians that come with the package, made by `irrepnet hamiltonian generate released` (PySCF, "
    "PBE, GTH pseudopotentials, DZVP-MOLOPT-SR orbitals), MIT as the package",
}
LIMITS = (
    "What it has not seen it does not know: elements, structures and bonds that are rare in the data, pressures, "
    "surfaces, molecules, disorder, other magnetic orders. The functional's errors are learned too. Bounds of errors "
    'hold for crystals like those of the data; see docs/training.md, "How far a prediction can be trusted".'
)
LEAST = 20
"""Crystals that a line of a table must have; of Hamiltonians, which are few, two."""


def table(label: str, rows: Iterable[tuple[str, np.ndarray]], least: int) -> list[str]:
    """Lines of a table: a name, the number of errors, their mean."""
    lines = [f"| {label} | test crystals | error |", "|---|---|---|"]
    return lines + [f"| {name} | {len(own)} | {own.mean():.3g} |" for name, own in rows if len(own) >= least]


def system_of(record: Record | HamiltonianSample) -> str:
    """The crystal system."""
    if isinstance(record, HamiltonianSample):
        return record.act.group.point_group.system
    return PointGroup(SymmetricCrystal.from_structure(record).point_group.name).system


def errors_by_kind(run: Run, data: str) -> list[str]:
    """Errors on the test part, by crystal system and by element."""
    examples, *_ = judged_examples(run, data, "test", quiet=True)
    deviations = run.task.deviations(run.model, examples, np.arange(len(examples)))
    systems = [system_of(record) for record in examples.records]
    least = 2 if isinstance(examples.records[0], HamiltonianSample) else LEAST
    errors = run.task.judge(run.model, examples, np.arange(len(examples))).errors
    lines = []
    for target in run.targets:
        key, before = target.headline[0], run.card["errors"]["test"][target.name]
        if abs(errors[target.name][key] / before[key] - 1) > 0.01:
            raise IrrepnetError(f"{target.name}: {key} {before[key]} before rounding, {errors[target.name][key]} after")
        error = deviations[target.name].error
        known = np.isfinite(error)
        if not known.any():
            continue
        of_system = {name: np.array([s == name for s in systems]) & known for name in dict.fromkeys(systems)}
        symbols = sorted({symbol for record in examples.records for symbol in record.species})
        of_element = {s: np.array([s in record.species for record in examples.records]) & known for s in symbols}
        unit = f" ({target.unit})" if target.unit else ""
        lines += ["", f"### {target.name}{unit}", ""]
        lines += table("crystal system", ((name, error[own]) for name, own in of_system.items()), least)
        by_size = sorted(of_element.items(), key=lambda item: -error[item[1]].mean() if item[1].any() else 0.0)
        lines += ["", *table("with the element", ((name, error[own]) for name, own in by_size), least)]
    return lines


def card(run: Run, name: str, data: str, sources: list[str], command: str) -> str:
    said = run.card["data"]
    lines = [f"# {name}", "", "## Learned from", ""]
    lines += [f"- `{source}`: {DATA[source]}" for source in sources]
    lines += [
        "",
        f"{said['used']} crystals, of which {said['train']} for training, {said['validation']} chose the epoch and "
        f"{said['test']} are the test part; split by formula (seed {run.config.data.split_seed}). Seeds of the "
        f"weights: {', '.join(str(run.config.training.seed + k) for k in range(run.config.training.members))}.",
    ]
    lines += ["", "Trained again by", "", f"    {command}", "", "## Errors", ""]
    lines += ["| target | unit | | " + " | ".join(("validation", "test")) + " |", "|---|---|---|---|---|"]
    for target in run.targets:
        both = [run.card["errors"][part][target.name] for part in ("validation", "test")]
        for key in both[0]:
            if all(isinstance(errors[key], int | float) for errors in both):
                cells = " | ".join(f"{errors[key]:.4g}" for errors in both)
                lines.append(f"| {target.name} | {target.unit} | {key.replace('_', ' ')} | {cells} |")
    lines += [
        "",
        "By kind, of the test part: numbers |error|, tensors the Frobenius norm, sites the mean over atoms and",
        "components, Hamiltonians the root mean square of the occupied bands.",
    ]
    lines += errors_by_kind(run, data)
    return "\n".join([*lines, "", "## Limits", "", LIMITS, ""])


def keep(folder: Path, name: str) -> None:
    """Leave one target, a tensor; the readout has the numbers first (`irrepnet.models.tensors.TensorHead`)."""
    said = read_sealed(folder)
    targets = said["targets"]
    numbers = [target["name"] for target in targets if target["kind"] != "tensor"]
    if [target["name"] for target in targets if target["kind"] == "tensor"] != [name]:
        raise IrrepnetError(f"{name} is to be the only tensor among {[target['name'] for target in targets]}")
    said["targets"] = [target for target in targets if target["name"] == name]
    said["config"]["data"]["targets"] = [name]
    said["errors"] = {part: {name: own[name]} for part, own in said["errors"].items()}
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    for part in ("units", "validation", "test"):
        metrics[part] = {name: metrics[part][name]}
    weights = load_file(folder / "model.safetensors")
    for key, weight in weights.items():
        if "readout.2." in key:
            weights[key] = weight[len(numbers) :].contiguous()
            metrics["parameters"] -= weight.numel() - weights[key].numel()
    save_file(weights, folder / "model.safetensors")
    write_json(folder / "metrics.json", metrics)
    reliability = Reliability.read((folder / "known.safetensors").read_bytes())
    left = replace(reliability, bounds={key: own for key, own in reliability.bounds.items() if key == name})
    (folder / "known.safetensors").write_bytes(left.written())
    (folder / "config.yaml").write_text(yaml.safe_dump(said["config"], sort_keys=False), encoding="utf-8")
    write_json(folder / CARD, sealed(said, folder, FILES))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("name")
    parser.add_argument("--data", required=True, help="what it was trained on")
    parser.add_argument("--sources", required=True, help="names of the sets in it, separated by commas")
    parser.add_argument("--command", required=True, help="by which it was trained")
    parser.add_argument("--keep", help="the target that is left, a tensor")
    options = parser.parse_args()
    out = SHIPPED / options.name
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for file in (CARD, *FILES):
        shutil.copy(options.run / file, out / file)
    if options.keep:
        keep(out, options.keep)
    if read_sealed(out)["task"] != "hamiltonians":  # bands feel the rounding where overlaps are nearly singular
        weights = load_file(out / "model.safetensors")
        halved = {name: w.half() if w.is_floating_point() else w for name, w in weights.items()}
        save_file(halved, out / "model.safetensors")
    split = json.loads((out / "split.json").read_text(encoding="utf-8"))
    (out / "split.json").write_text(json.dumps(split, separators=(",", ":")), encoding="utf-8")
    write_json(out / CARD, sealed(read_sealed(out), out, FILES))
    text = card(load_run(out), options.name, options.data, options.sources.split(","), options.command)
    (out / "card.md").write_text(text, encoding="utf-8")
    print(f"{out}: {sum(path.stat().st_size for path in out.iterdir()) / 1e6:.1f} MB")
