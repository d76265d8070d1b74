"""Which model predicts the Hamiltonian of a crystal that it has not seen, how well, and at what cost?

    python benchmarks/hamiltonians.py --only "*-rocksalt-*" --split compounds --seeds 3 --out results
    irrepnet hamiltonian generate benchmarks/hamiltonians.yaml --out MORE
    python benchmarks/hamiltonians.py --data embedded --data MORE --only "*-rocksalt-*" --split scale --out results

Splits: "compounds", elements A and X of the test compound are there in others, the compound is not, a diagonal of the
table of compounds at a time; "tuning", of what teaches in each of these two compounds without a common element;
"scale", the smallest and the largest lattice of every compound, the others teach; "displaced", crystals whose atoms are
displaced or whose lattice is strained, the symmetric ones teach.
Rows: H0 alone; interpolation of ΔH over the lattice of one compound; additive, ΔH(AX) + ΔH(BY) − ΔH(AY), mean over all
A and Y; the best two-centre (Slater–Koster) form of the *true* H, which no two-centre model can beat; a network of O(3)
on all atoms and all bonds, and what it was tuned by; ours, and ours without its parts. All networks have one loss and
one schedule. What is finished in --out is not run again.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from fnmatch import fnmatch
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from irrepnet.groups import SCALAR, O3Irrep, O3Irreps
from irrepnet.hamiltonians.blocks import bonds_within
from irrepnet.hamiltonians.graph import KIND, Couples
from irrepnet.hamiltonians.model import cell_index
from irrepnet.hamiltonians.network import HamiltonianNet, Products, ShellCouplings
from irrepnet.hamiltonians.slater_koster import bond_matrix
from irrepnet.nn.convolution import mlp
from irrepnet.nn.elements import ElementEmbedding
from irrepnet.nn.harmonics import Harmonics
from irrepnet.nn.o3 import O3Filters, TensorFieldLayer
from irrepnet.nn.radial import BesselBasis, envelope
from irrepnet.tasks.hamiltonians import (
    HamiltonianRunConfig,
    HamiltonianSample,
    learning,
    mean_comparison,
    predicted_numbers,
    read_samples,
)
from irrepnet.training.checkpoint import State
from irrepnet.training.log import Log
from irrepnet.training.loop import run_epochs

L_MAX = 4  # no f shells
CUTOFF = 7.0
PLAIN = ("H0", "interpolation", "additive", "Slater–Koster")
NETWORKS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "O(3)": ({}, {"weight_decay": 0.01}),
    "O(3), two layers": ({"layers": 2}, {"weight_decay": 0.01}),
    "O(3), slower": ({}, {"learning_rate": 3e-3, "weight_decay": 0.01}),
    "O(3), single": ({}, {"batch_size": 1, "weight_decay": 0.01}),
    "O(3), weight decay 1": ({}, {}),
    "ours": ({}, {}),
    "ours without S W S": ({"separable": False}, {}),
    "ours without bonds": ({"bonds": False}, {}),
    "ours, weight decay 0.01": ({}, {"weight_decay": 0.01}),
    "ours, weight decay 3": ({}, {"weight_decay": 3.0}),
    "ours, 24 channels": ({"channels": 24}, {}),
}
"""Row → what is changed in the network, and in its training. All that begin with O(3) are the network of O(3)."""


# -- rows without weights


def own_part(sample: HamiltonianSample) -> np.ndarray:
    """ΔH(R) without the multiple of S that it holds."""
    S = sample.start.S
    assert sample.true is not None
    assert S is not None
    delta = sample.true.H - sample.start.H
    return delta - S * (np.vdot(S, delta) / np.vdot(S, S))


def carried(source: HamiltonianSample, target: HamiltonianSample, blocks: np.ndarray) -> np.ndarray:
    """Blocks (cells, n, n) of one compound in the places of another; what has no counterpart is zero.

    Sites are in the order of the groups of the periodic table, shells of one l in their own.
    """
    places = []
    for sample in (source, target):
        basis, keys, seen = sample.start.known_basis, [], {}
        role = np.argsort(np.argsort([_group(symbol) for symbol in basis.species], kind="stable"))
        for shell in basis.shells:
            number = seen.get((shell.site, shell.l), 0)
            seen[shell.site, shell.l] = number + 1
            keys += [(int(role[shell.site]), shell.l, number, m) for m in shell.m]
        places.append(keys)
    known = {key: i for i, key in enumerate(places[0])}
    where = np.array([known.get(key, len(known)) for key in places[1]])
    padded = np.pad(blocks, ((0, 1), (0, 1), (0, 1)))
    cells = cell_index(source.start.R)(target.start.R)
    return padded[cells][:, where[:, None], where]


def _group(symbol: str) -> int:
    from pymatgen.core.periodic_table import Element

    return Element(symbol).group


def size(sample: HamiltonianSample) -> float:
    return abs(np.linalg.det(sample.start.known_basis.cell.lattice)) ** (1 / 3)


def interpolated(sample: HamiltonianSample, train: Sequence[HamiltonianSample]) -> np.ndarray | None:
    """From the two lattices of the compound that are next in size."""
    others = [
        other for other in train if other.formula == sample.formula and len(other.act.group) == len(sample.act.group)
    ]
    others = sorted(others, key=lambda other: abs(size(other) - size(sample)))[:2]
    if len(others) < 2:
        return None
    first, second = (carried(other, sample, own_part(other)) for other in others)
    x = (size(sample) - size(others[0])) / (size(others[1]) - size(others[0]))
    return first + x * (second - first)


def additive(sample: HamiltonianSample, train: Sequence[HamiltonianSample], ranks: dict[str, int]) -> np.ndarray | None:
    def elements(other: HamiltonianSample) -> tuple[str, ...]:
        return tuple(sorted(other.start.known_basis.species, key=_group))

    def nearest(cation: str, anion: str) -> HamiltonianSample | None:
        """Of that compound, the one with the same place in the order of its lattices."""
        own = [o for o in train if elements(o) == (cation, anion) and len(o.act.group) == len(sample.act.group)]
        return min(own, key=lambda o: abs(ranks[o.id] - ranks[sample.id])) if own else None

    if len(elements(sample)) != 2:
        return None
    B, X = elements(sample)
    terms = []
    for A in {elements(other)[0] for other in train} - {B}:
        for Y in {elements(other)[1] for other in train} - {X}:
            parts = [nearest(A, X), nearest(B, Y), nearest(A, Y)]
            known = [part for part in parts if part is not None]
            if len(known) == 3:
                moved = [carried(part, sample, own_part(part)) for part in known]
                terms.append(moved[0] + moved[1] - moved[2])
    return np.mean(terms, axis=0) if terms else None


def two_centre(sample: HamiltonianSample) -> np.ndarray:
    """The numbers of the two-centre form nearest to the true H, block by block."""
    basis, found, start = sample.start.known_basis, [], 0
    assert sample.true is not None
    numbers = sample.numbers(sample.true.H)
    for orbit in sample.orbits:
        a, b = orbit.sites
        left, right = basis.shells_of(a), basis.shells_of(b)
        vector = (basis.centres[b] + orbit.R - basis.centres[a]) @ basis.cell.lattice
        models = []
        row = 0
        for shell in left:
            column = 0
            for other in right:
                place = (slice(row, row + len(shell.m)), slice(column, column + len(other.m)))
                column += len(other.m)
                if orbit.is_onsite and shell.l != other.l:
                    continue
                for m in range(1 if orbit.is_onsite else min(shell.l, other.l) + 1):
                    model = np.zeros(orbit.space.basis.shape[1:])
                    model[place] = (
                        np.real(shell.matrix @ other.matrix.T)
                        if orbit.is_onsite
                        else np.real(bond_matrix(shell, other, vector, m))
                    )
                    models.append(orbit.space.coefficients(model))
            row += len(shell.m)
        own = numbers[start : start + len(orbit.space)]
        start += len(orbit.space)
        matrix = np.stack(models, 1)
        found.append(matrix @ np.linalg.lstsq(matrix, own, rcond=1e-10)[0])
    return np.concatenate(found) - sample.numbers(sample.start.H)


# -- the network of O(3)


class O3Net(nn.Module):
    """Tensor field layers on all atoms, and blocks on all sites and all bonds from the tensors at their ends.

    Their couplings to blocks are those of ours; ΔH is predicted as it is, not by operators on S.
    """

    def __init__(self, channels: int = 24, layers: int = 1, radial: int = 12) -> None:
        super().__init__()
        scalars, irreps = O3Irreps({SCALAR: channels}), O3Irreps(f"{channels}x0e+8x1o+8x2e+4x3o+4x4e")
        self.embedding = ElementEmbedding(channels)
        self.shell = mlp(KIND + channels, channels, channels)
        self.radial = BesselBasis(CUTOFF, radial)
        self.edge = mlp(radial, channels, channels)
        self.filters = O3Filters(irreps, irreps, L_MAX)
        self.layers = nn.ModuleList()
        now = scalars
        for _ in range(layers):
            layer = TensorFieldLayer(now, irreps, self.filters, channels, True)
            self.layers.append(layer)
            now = layer.irreps_out
        self.copies = {irrep.l: n for irrep, n in now.items()}
        self.norm = nn.LayerNorm(channels)
        self.atom = nn.Linear(channels, channels)
        self.onsite = ShellCouplings(channels, {**self.copies, 0: 1}, False)
        self.harmonics = Harmonics(L_MAX)
        self.products = Products(L_MAX)
        self.ends = nn.Linear(2 * channels, channels)
        self.bond = mlp(radial, channels, channels)
        tensors = {L: 1 + self.copies[L] + self.products.natural[L] for L in range(1, L_MAX + 1)}
        self.bonds = ShellCouplings(channels, {0: 1, **tensors}, True, self.products.pseudo)

    def forward(self, everything: "Everything") -> torch.Tensor:
        graph, sites, vectors, couples = everything
        length = vectors.norm(dim=1)
        fade = envelope(length / CUTOFF)
        v = self.embedding(graph.numbers)
        shells = self.shell(torch.cat([graph.shell_kind, v[graph.shell_node]], 1))
        v = v.index_add(0, graph.shell_node, shells)[graph.site_node]
        zeros = torch.zeros(len(length), dtype=torch.long)
        sets = torch.zeros(1, 64, dtype=v.dtype)
        sets[0, 0] = 1
        a, b = sites.T
        kernels = self.filters(vectors, fade, a, zeros, torch.zeros(len(v), dtype=torch.long), sets)
        radial = self.radial(length)
        hidden = torch.nn.functional.silu(self.edge(radial))
        x = {"0e": v[:, None]}
        for layer in self.layers:
            x = layer(x, hidden, kernels, (a, b))
        v = self.norm(x["0e"][:, 0])
        at_site = {O3Irrep.parse(name).l: tensor for name, tensor in x.items() if name != "0e"}
        first = torch.stack([(graph.site_node == node).nonzero()[0, 0] for node in range(len(graph.numbers))])
        ones = {0: v.new_ones(len(v), 1, 1)}
        onsite = self.onsite(
            graph.onsite, self.atom(v)[first], shells, {L: t[first] for L, t in {**ones, **at_site}.items()}
        )
        harmonics = self.harmonics(vectors / length[:, None])
        own = torch.cat([at_site[L][:, :, 0] for L in range(1, L_MAX + 1)], 1)
        natural, pseudo = self.products(harmonics, own[a])
        tensors = {0: v.new_ones(len(length), 1, 1)}
        for L in range(1, L_MAX + 1):
            rows = slice(L * L - 1, (L + 1) ** 2 - 1)
            tensors[L] = torch.cat([harmonics[:, rows, None], at_site[L][a], natural[L]], 2)
        place = self.ends(torch.cat([v[a], v[b]], 1)) + self.bond(radial)
        elements = self.bonds(couples, place, shells, tensors, pseudo, fade)
        kept, start = [], 0
        for (l, l2), all_of in couples.items():
            each = (2 * l + 1) * (2 * l2 + 1)
            kept.append(elements[start : start + each * len(graph.bonds[l, l2].where)])
            start += each * len(all_of.where)
        return graph.local @ onsite + torch.mv(graph.free, torch.cat(kept))


class Everything(tuple):
    """What `O3Net` reads: graph, ends of all bonds, their vectors, couples of all bonds (those of the graph first)."""

    def to(self, device: torch.device, dtype: torch.dtype) -> "Everything":
        graph, sites, vectors, couples = self
        moved = {key: own.to(device) for key, own in couples.items()}
        return Everything((graph.to(device, dtype), sites.to(device), vectors.to(device, dtype), moved))


def everything(sample: HamiltonianSample) -> Everything:
    basis = sample.start.known_basis
    origin = np.flatnonzero(~sample.start.R.any(1))
    local = np.zeros_like(sample.start.H)
    local[origin] = np.eye(len(basis))
    graph = sample.graph(CUTOFF)
    onsite = replace(sample, start=replace(sample.start, S=local)).graph(CUTOFF)
    graph = replace(graph, local=onsite.local)
    bonds = bonds_within(basis, CUTOFF)
    vectors = (basis.centres[bonds[:, 1]] + bonds[:, 2:] - basis.centres[bonds[:, 0]]) @ basis.cell.lattice
    length = np.linalg.norm(vectors, axis=1)
    bonds, vectors = bonds[(length > 0) & (length < CUTOFF)], vectors[(length > 0) & (length < CUTOFF)]
    # those of the graph first, in its order; the reversed ones among them are others' forward ones
    mine = {(a, b, *np.round(v, 5).tolist()) for (a, b), v in zip(graph.bond_sites.tolist(), graph.bond_vector.numpy())}
    rest = [
        i
        for i, ((a, b, *_), v) in enumerate(zip(bonds.tolist(), vectors))
        if (a, b, *np.round(v, 5).tolist()) not in mine
    ]
    sites = torch.cat([graph.bond_sites, torch.from_numpy(bonds[rest, :2])])
    shells_of = [(graph.shell_node == node).nonzero()[:, 0].tolist() for node in graph.site_node.tolist()]
    l_of = graph.shell_kind[:, :4].argmax(1).tolist()
    more: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
    for bond in range(len(graph.bond_sites), len(sites)):
        a, b = sites[bond].tolist()
        for i in shells_of[a]:
            for j in shells_of[b]:
                more.setdefault((l_of[i], l_of[j]), []).append((bond, i, j))
    couples = {}
    for key, own in graph.bonds.items():
        extra = torch.tensor(more.get(key, []), dtype=torch.long).reshape(-1, 3)
        couples[key] = Couples(*(torch.cat([x, y]) for x, y in zip((own.where, own.left, own.right), extra.T)))
    return Everything((graph, sites, torch.cat([graph.bond_vector, torch.from_numpy(vectors[rest])]), couples))


# -- splits, and the table


def splits(samples: Sequence[HamiltonianSample], kind: str, folds: int) -> dict[str, dict[str, np.ndarray]]:
    """{name: indices of "train" and "test"}."""
    formulas = [sample.formula for sample in samples]
    order = [len(sample.act.group) for sample in samples]
    most = {formula: max(o for o, f in zip(order, formulas) if f == formula) for formula in formulas}
    moved = np.array([o < most[formula] for o, formula in zip(order, formulas)])
    if kind == "displaced":
        tests = {"displaced": moved}
    elif kind == "scale":
        sizes = {f: [size(s) for s, d in zip(samples, moved) if s.formula == f and not d] for f in formulas}
        ends = [min(abs(size(s) - end(sizes[s.formula])) for end in (min, max)) < 1e-6 for s in samples]
        tests = {"outermost": np.array(ends) & ~moved}
    else:
        names = [sorted(set(sample.start.known_basis.species), key=_group) for sample in samples]
        cations, anions = (sorted({own[i] for own in names}) for i in (0, -1))
        place = np.array([cations.index(own[0]) + anions.index(own[-1]) for own in names])
        count = max(len(cations), len(anions))
        tests = {f"compounds {fold + 1}": (place % count == fold) & ~moved for fold in range(min(folds, count))}
    unused = {name: moved for name in tests}
    if kind == "tuning":
        for name, test in tests.items():
            unused[name] = moved | test
            elements = {
                f: set(s.start.known_basis.species) for f, s, u in zip(formulas, samples, unused[name]) if not u
            }
            pairs = combinations(sorted(elements), 2)
            pair = next((pair for pair in pairs if not elements[pair[0]] & elements[pair[1]]), ())
            tests[name] = np.array([formula in pair for formula in formulas]) & ~unused[name]
        tests = {name.replace("compounds", "tuning"): test for name, test in tests.items()}
        unused = {name.replace("compounds", "tuning"): mask for name, mask in unused.items()}
    return {
        name: {"train": np.flatnonzero(~test & ~unused[name]), "test": np.flatnonzero(test)}
        for name, test in tests.items()
    }


def trained(
    row: str, samples: Sequence[HamiltonianSample], learners: np.ndarray, config: HamiltonianRunConfig, out: Path
) -> tuple[nn.Module, list[Any], float]:
    """A network that has learned from the samples of these indices, what it reads of all, processor time in s."""
    torch.manual_seed(config.training.seed)
    if row.startswith("O(3)"):
        model: nn.Module = O3Net(**NETWORKS[row][0])
        inputs: list[Any] = [everything(sample) for sample in samples]
    else:
        model = HamiltonianNet(config.model.model_copy(update={"cutoff": CUTOFF, **NETWORKS[row][0]}))
        inputs = [sample.graph(CUTOFF) for sample in samples]
    taught = [inputs[k] for k in learners]
    targets = [samples[k].target() for k in learners]
    parts = {"train": np.arange(len(taught)), "validation": np.zeros(0, int)}
    out.mkdir(parents=True, exist_ok=True)
    before = time.process_time()
    state, checkpoint = State.start(model, config.training.weight_decay), out / "checkpoint.safetensors"
    if checkpoint.exists():
        state.load(checkpoint)
    how = learning(dict(enumerate(taught)), dict(enumerate(targets)), parts, config.training, torch.device("cpu"))
    with Log().progress("training", len(taught) * config.training.epochs, len(taught) * state.epoch) as advance:
        run_epochs(state, len(taught), how, config.training, checkpoint, advance)
    seconds = time.process_time() - before
    model.load_state_dict(state.best)
    return model.double().eval(), inputs, seconds


def train_row(
    row: str, samples: Sequence[HamiltonianSample], split: dict, config: HamiltonianRunConfig, out: Path
) -> dict:
    """Errors of each test crystal, with what the network cost."""
    model, inputs, seconds = trained(row, samples, split["train"], config, out)
    before = time.process_time()
    found = [predicted_numbers(model, inputs[k]) for k in split["test"]]
    per_crystal = (time.process_time() - before) / len(found)
    errors = [
        {"id": samples[k].id, **samples[k].errors(samples[k].predicted(delta)).as_dict()}
        for k, delta in zip(split["test"], found)
    ]
    return {
        "errors": errors,
        "parameters": sum(weights.numel() for weights in model.parameters()),
        "training_cpu_s": seconds,
        "prediction_cpu_s": per_crystal,
    }


def plain_row(row: str, samples: Sequence[HamiltonianSample], split: dict) -> dict | None:
    train = [samples[k] for k in split["train"]]
    ranks = {}
    for sample in samples:
        own = [o for o in samples if o.formula == sample.formula and len(o.act.group) == len(sample.act.group)]
        ranks[sample.id] = sum(size(o) < size(sample) - 1e-6 for o in own)
    makers: dict[str, Callable[[HamiltonianSample], np.ndarray | None]] = {
        "H0": lambda sample: np.zeros_like(sample.start.H),
        "interpolation": lambda sample: interpolated(sample, train),
        "additive": lambda sample: additive(sample, train, ranks),
    }
    errors = []
    for k in split["test"]:
        sample = samples[k]
        if row == "Slater–Koster":
            found = sample.predicted(two_centre(sample))
        else:
            delta = makers[row](sample)
            if delta is None:
                return None
            found = replace(sample.start, H=sample.start.H + delta)
        errors.append({"id": sample.id, **sample.errors(found).as_dict()})
    return {"errors": errors, "parameters": 0, "training_cpu_s": 0.0, "prediction_cpu_s": 0.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", action="append", help="Hamiltonians, see irrepnet hamiltonian generate; several are joined [embedded]"
    )
    parser.add_argument("--split", default="compounds", choices=("compounds", "tuning", "scale", "displaced"))
    parser.add_argument("--folds", type=int, default=4, help="of the compounds")
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--rows", default=";".join((*PLAIN, *NETWORKS)), help="separated by semicolons")
    parser.add_argument("--only", default="*", help="crystals to use by their names, with wildcards")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sources = arguments.data or ["embedded"]
    samples = [sample for source in sources for sample in read_samples(source).records]
    samples = [sample for sample in samples if fnmatch(sample.id, arguments.only)]
    results = arguments.out / f"{arguments.split}.jsonl"
    arguments.out.mkdir(parents=True, exist_ok=True)
    done = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    for name, split in splits(samples, arguments.split, arguments.folds).items():
        print(f"{name}: {len(split['train'])} crystals to learn from, {len(split['test'])} to test", flush=True)
        for row in arguments.rows.split(";"):
            for seed in range(1 if row in PLAIN else arguments.seeds):
                key = {"split": name, "row": row, "seed": seed, "epochs": 0 if row in PLAIN else arguments.epochs}
                if any(key.items() <= old.items() for old in done):
                    continue
                if row in PLAIN:
                    found = plain_row(row, samples, split)
                else:
                    config = HamiltonianRunConfig.model_validate(
                        {
                            "data": {"source": ",".join(sources)},
                            "training": {"epochs": arguments.epochs, "seed": seed, **NETWORKS[row][1]},
                        }
                    )
                    folder = arguments.out / f"{name} {row} {seed}".replace(" ", "-")
                    found = train_row(row, samples, split, config, folder)
                line = {**key, "train": len(split["train"]), "test": len(split["test"]), **(found or {"errors": None})}
                done.append(line)
                with results.open("a") as stream:
                    stream.write(json.dumps(line) + "\n")
                print(_line(line), flush=True)
    print_table(done)


def _line(line: dict) -> str:
    if line["errors"] is None:
        return f"{line['row']:28} not possible on this split"
    mean = mean_comparison(line["errors"])
    return f"{line['row']:28} " + "  ".join(f"{key} {value:.3g}" for key, value in mean.items())


def print_table(done: Sequence[dict]) -> None:
    """Means over all test crystals of all splits and seeds, valence also by crystal; errors in meV."""
    header = ("row", "seeds", "numbers", "largest", "valence", "median", "conduction", "gap", "symmetry")
    print("| " + " | ".join((*header, "weights", "training, s", "prediction, s")) + " |")
    print("|---" * (len(header) + 3) + "|")
    by_crystal: dict[str, dict[str, list[float]]] = {}
    for row in dict.fromkeys(line["row"] for line in done):
        own = [line for line in done if line["row"] == row and line["errors"]]
        if not own:
            print(f"| {row} " + "| – " * (len(header) + 2) + "|")
            continue
        errors = [error for line in own for error in line["errors"]]
        for error in errors:
            by_crystal.setdefault(error["id"], {}).setdefault(row, []).append(error["valence"])
        figures = {key: f"{value:.3g}" for key, value in mean_comparison(errors).items()}
        seeds = [
            mean_comparison([error for line in own if line["seed"] == seed for error in line["errors"]])["valence"]
            for seed in sorted({line["seed"] for line in own})
        ]
        if len(seeds) > 1:
            figures["valence"] += f" ± {np.std(seeds, ddof=1):.2g}"
        places = ("numbers", "largest", "valence", "median", "conduction", "gap", "symmetry")
        figures["median"] = f"{np.median([error['valence'] for error in errors]):.3g}"
        cells = [row, str(len(seeds)), *(figures[key] for key in places)]
        cells.append(f"{own[0]['parameters']:,}" if own[0]["parameters"] else "–")
        cells += [f"{np.mean([line[key] for line in own]):.2g}" for key in ("training_cpu_s", "prediction_cpu_s")]
        print("| " + " | ".join(cells) + " |")
    rows = list(dict.fromkeys(line["row"] for line in done if line["errors"]))
    print("\nValence errors by crystal:\n\n| crystal | " + " | ".join(rows) + " |")
    print("|---" * (len(rows) + 1) + "|")
    for name, found in sorted(by_crystal.items()):
        print(f"| {name} | " + " | ".join(f"{np.mean(found[row]):.3g}" if row in found else "–" for row in rows) + " |")


if __name__ == "__main__":
    main()
