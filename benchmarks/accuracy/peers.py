"""The networks that `scalars.py` trains: what each reads, how a batch is made, and what it is made of.

Ours are the settings of a preset. A peer is imported when it is asked for, from an environment that has it beside
irrepnet: the original CGCNN from a checkout of github.com/txie-93/cgcnn whose path is in $CGCNN, all others from PyPI.
"""

import json
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from irrepnet.crystals.elements import atomic_number
from irrepnet.crystals.pairs import sorted_pairs
from irrepnet.data import Record
from irrepnet.data.batch import union
from irrepnet.data.store import Chosen, record_graphs
from irrepnet.errors import IrrepnetError
from irrepnet.models import build_model
from irrepnet.nn.elements import HEAVIEST, ElementEmbedding
from irrepnet.nn.pooling import MeanSpread, crystal_mean
from irrepnet.training import load_config

CUTOFF, NEIGHBOURS = 8.0, 12
"""Å, and neighbours an atom, of the original CGCNN; ours takes whole shells of so many."""


@dataclass(frozen=True)
class Network:
    """A network among those that are compared.

    Attributes:
        examples: of records, what batches are made of; this is done once.
        batch: of examples, what the network reads.
        module: of some examples, a new network: batch → (n,) or (n, 1).
        packages: whose versions are noted, besides those of irrepnet and torch.
        file: examples are kept in a file for the next run.
        rounded: products of its training steps are in bfloat16.
    """

    examples: Callable[[Sequence[Record]], Sequence[Any]]
    batch: Callable[[Sequence[Any]], Any]
    module: Callable[[Sequence[Any]], nn.Module]
    packages: tuple[str, ...] = ()
    file: bool = True
    rounded: bool = False


def ours(preset: str, settings: Mapping[str, Any]) -> Network:
    """A network of irrepnet on the graphs that its preset makes."""
    config = load_config(preset, {"data.source": "given", "data.targets": "a number", **settings})
    options = config.graph

    def examples(records: Sequence[Record]) -> Sequence[Any]:
        found = record_graphs(records, options, workers=1)
        if found.refused:
            raise IrrepnetError(f"no graph of {[records[k].id for k in found.refused]}")
        return Chosen(found, np.arange(len(found)))

    # graphs have a store of their own
    rounded = config.training.products != "float32"
    return Network(examples, union, lambda _: build_model(config.model, 1, options), file=False, rounded=rounded)


class Atoms(NamedTuple):
    """All atoms of a crystal with their neighbours: E pairs, by receiver and distance."""

    numbers: np.ndarray
    receiver: np.ndarray
    sender: np.ndarray
    vector: np.ndarray
    """(E, 3) Å, from receiver to sender"""
    distance: np.ndarray


def atoms(record: Record, cutoff: float, most: int | None = None, shells: bool = True) -> Atoms:
    """With all neighbours within the cutoff, or the nearest ones, as whole shells or just so many."""
    n = len(record)
    receiver, sender, _, vector, distance = sorted_pairs(
        record.frac_coords @ record.lattice, record.lattice, cutoff, np.arange(n)
    )
    kept = np.full(len(receiver), True)
    if most is not None:
        start = np.searchsorted(receiver, np.arange(n + 1))
        last = np.minimum(start[:-1] + most, start[1:]) - 1
        if shells:
            kept = distance <= distance[last[receiver]] + 1e-3
        else:
            kept = np.arange(len(receiver)) <= last[receiver]
    numbers = np.array([atomic_number(symbol) for symbol in record.species], np.int32)
    pairs = receiver[kept].astype(np.int32), sender[kept].astype(np.int32)
    return Atoms(numbers, *pairs, vector[kept].astype(np.float32), distance[kept].astype(np.float32))


class Batch(NamedTuple):
    """The atoms of several crystals."""

    numbers: torch.Tensor
    receiver: torch.Tensor
    sender: torch.Tensor
    vector: torch.Tensor
    distance: torch.Tensor
    crystal: torch.Tensor
    """(atoms,) which crystal an atom belongs to."""
    size: int


def together(crystals: Sequence[Atoms]) -> Batch:
    sizes = [len(crystal.numbers) for crystal in crystals]
    starts = np.cumsum([0, *sizes])
    pairs = zip(starts, crystals)
    moved = [(start + crystal.receiver, start + crystal.sender) for start, crystal in pairs]
    columns = (
        [crystal.numbers for crystal in crystals],
        *zip(*moved),
        [crystal.vector for crystal in crystals],
        [crystal.distance for crystal in crystals],
        [np.repeat(np.arange(len(crystals)), sizes)],
    )
    numbers, receiver, sender, vector, distance, crystal = (torch.from_numpy(np.concatenate(c)) for c in columns)
    return Batch(numbers.long(), receiver.long(), sender.long(), vector, distance, crystal, len(crystals))


def original_cgcnn() -> Network:
    """Xie and Grossman's code: its network, its features of atoms and bonds, its batches (doi:10/gdkr4n)."""
    if "CGCNN" not in os.environ:
        raise IrrepnetError("set CGCNN to the path of a checkout of github.com/txie-93/cgcnn")
    checkout = Path(os.environ["CGCNN"])
    sys.path.insert(0, str(checkout))
    data, model = import_module("cgcnn.data"), import_module("cgcnn.model")
    table = json.loads((checkout / "data" / "sample-regression" / "atom_init.json").read_text())
    width = len(next(iter(table.values())))
    features = np.zeros((max(map(int, table)) + 1, width), np.float32)
    for number, row in table.items():
        features[int(number)] = row
    gaussians = data.GaussianDistance(dmin=0, dmax=CUTOFF, step=0.2)

    def example(record: Record) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        # an atom with too few neighbours is joined to the first one, far away, as there
        crystal = atoms(record, CUTOFF, NEIGHBOURS, shells=False)
        places = np.arange(len(crystal.receiver)) - np.searchsorted(crystal.receiver, crystal.receiver)
        sender = np.zeros((len(record), NEIGHBOURS), np.int64)
        distance = np.full((len(record), NEIGHBOURS), CUTOFF + 1, np.float32)
        sender[crystal.receiver, places] = crystal.sender
        distance[crystal.receiver, places] = crystal.distance
        return crystal.numbers, distance, sender

    def batch(examples: Sequence[Any]) -> tuple[Any, ...]:
        items = [
            (
                (
                    torch.from_numpy(features[numbers]),
                    torch.from_numpy(gaussians.expand(distance)).float(),
                    torch.from_numpy(sender),
                ),
                torch.zeros(1),
                "",
            )
            for numbers, distance, sender in examples
        ]
        return data.collate_pool(items)[0]

    class Original(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = model.CrystalGraphConvNet(width, len(gaussians.filter), n_conv=4)

        def forward(self, batch: tuple[Any, ...]) -> torch.Tensor:
            return self.network(*batch)

    return Network(lambda records: [example(record) for record in records], batch, lambda _: Original())


def e3nn_network() -> Network:
    """e3nn's message passing (its v2106) with l ≤ 2 on all atoms, pooled to a number."""
    o3, math = import_module("e3nn.o3"), import_module("e3nn.math")
    passing = import_module("e3nn.nn.models.v2106.gate_points_message_passing")
    scalars = 64

    class Equivariant(nn.Module):
        def __init__(self, neighbours: float) -> None:
            super().__init__()
            self.embedding = ElementEmbedding(scalars)
            hidden = f"{scalars}x0e+{scalars // 2}x1o+{scalars // 4}x2e"
            inner = [f"{scalars}x0e", hidden, hidden, hidden, f"{scalars}x0e"]
            edges = o3.Irreps.spherical_harmonics(2)
            self.layers = passing.MessagePassing(inner, "0e", edges, [16, 64], neighbours)
            self.pool = MeanSpread()
            self.readout = nn.Sequential(nn.Linear(2 * scalars, scalars), nn.SiLU(), nn.Linear(scalars, 1))

        def forward(self, batch: Batch) -> torch.Tensor:
            harmonics = o3.spherical_harmonics([0, 1, 2], batch.vector, True, normalization="component")
            radial = math.soft_one_hot_linspace(batch.distance, 0.0, CUTOFF, 16, basis="gaussian", cutoff=False)
            x = self.embedding(batch.numbers)
            ones = x.new_ones(len(x), 1)
            x = self.layers(x, ones, batch.sender, batch.receiver, harmonics, radial * 4)
            return self.readout(self.pool(x, batch.crystal, batch.size))

    def module(examples: Sequence[Atoms]) -> nn.Module:
        pairs, nodes = (
            sum(len(column) for column in columns) for columns in zip(*((e.sender, e.numbers) for e in examples))
        )
        return Equivariant(pairs / nodes)

    return Network(
        lambda records: [atoms(record, CUTOFF, NEIGHBOURS) for record in records], together, module, ("e3nn",)
    )


def matgl(name: str, cutoff: float, **settings: Any) -> Network:
    """A network of matgl with its own defaults: MEGNet, M3GNet, TensorNet."""

    class Matgl(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            symbols = tuple(map(str, range(1, HEAVIEST + 1)))  # of which the number counts
            kind = getattr(import_module("matgl.models"), name)
            self.network = kind(element_types=symbols, cutoff=cutoff, **settings)

        def forward(self, batch: Batch) -> torch.Tensor:
            graph = SimpleNamespace(
                node_type=batch.numbers - 1,
                # only vectors between atoms count: neighbour + offset − atom
                pos=batch.vector.new_zeros(len(batch.numbers), 3),
                pbc_offshift=batch.vector,
                edge_index=torch.stack([batch.receiver, batch.sender]),
                batch=batch.crystal,
                num_graphs=batch.size,
            )
            return self.network(graph, state_attr=batch.vector.new_zeros(batch.size, 2))

    return Network(
        lambda records: [atoms(record, cutoff) for record in records], together, lambda _: Matgl(), ("matgl",)
    )


def alignn() -> Network:
    """ALIGNN without DGL, with its defaults for a property: bonds, and angles of those up to 3.5 Å."""
    models, builder = import_module("alignn.models.alignn_atomwise_pure"), import_module("alignn.torch_graph_builder")
    attributes = import_module("jarvis.core.specie").get_node_attributes
    symbols = import_module("ase.data").chemical_symbols
    rows = [attributes(symbol, atom_features="cgcnn") for symbol in symbols[1 : HEAVIEST + 1]]
    features = torch.tensor(np.vstack([np.zeros_like(rows[0]), *rows]), dtype=torch.float32)

    class Alignn(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            # of a property: no forces, no energy of a cell, no penalty for what is near
            settings = {"calculate_gradient": False, "energy_mult_natoms": False, "use_penalty": False}
            config = models.ALIGNNAtomWisePureConfig(
                name="alignn_atomwise_pure", atom_input_features=features.shape[1], **settings
            )
            self.network = models.ALIGNNAtomWisePure(config)

        def forward(self, batch: Batch) -> torch.Tensor:
            pairs, n = (batch.receiver, batch.sender), len(batch.numbers)
            angles = builder._line_graph_edges(*pairs, n, batch.distance <= self.network.three_body_cutoff)
            graph = builder.TorchGraph(
                n,
                *pairs,
                {"atom_features": features[batch.numbers]},
                {"r": batch.vector},
                torch.bincount(batch.crystal, minlength=batch.size),
            )
            return self.network((graph, builder.TorchGraph(len(batch.sender), *angles), None))["out"]

    def examples(records: Sequence[Record]) -> Sequence[Atoms]:
        return [atoms(record, CUTOFF, NEIGHBOURS, shells=False) for record in records]

    return Network(examples, together, lambda _: Alignn(), ("alignn",))


def composition() -> Network:
    """A function of the composition alone: of each element with its share, and of their sums."""

    class Composition(nn.Module):
        def __init__(self, channels: int = 192) -> None:
            super().__init__()
            self.embedding = ElementEmbedding(channels)
            self.own = _dense(channels + 1, channels)
            self.others = _dense(2 * channels, channels)
            self.pool = MeanSpread()
            self.readout = nn.Sequential(_dense(2 * channels, channels), nn.Linear(channels, 1))

        def forward(self, batch: tuple[torch.Tensor, torch.Tensor, torch.Tensor, int]) -> torch.Tensor:
            numbers, shares, crystal, size = batch
            v = self.own(torch.cat([self.embedding(numbers), shares[:, None]], 1))
            mean = crystal_mean(v, crystal, size, shares)
            v = v + self.others(torch.cat([v, mean[crystal]], 1))
            return self.readout(self.pool(v, crystal, size, shares))

    def example(record: Record) -> tuple[np.ndarray, np.ndarray]:
        numbers, counts = np.unique([atomic_number(symbol) for symbol in record.species], return_counts=True)
        return numbers, (counts / counts.sum()).astype(np.float32)

    def batch(examples: Sequence[tuple[np.ndarray, np.ndarray]]) -> Any:
        numbers, shares = (torch.from_numpy(np.concatenate(column)) for column in zip(*examples))
        crystal = np.repeat(np.arange(len(examples)), [len(own) for own, _ in examples])
        return numbers, shares, torch.from_numpy(crystal), len(examples)

    return Network(lambda records: [example(record) for record in records], batch, lambda _: Composition())


def matminer_features(records: Sequence[Record]) -> np.ndarray:
    """(n, features) numbers for boosted trees: matminer's of compositions (Magpie's and more) and of densities, the
    space group, the number of atoms, and mean, spread and extremes of the distances to the nearest `NEIGHBOURS`."""
    featurizers = import_module("matminer.featurizers.composition")
    of_composition = [
        featurizers.ElementProperty.from_preset("magpie"),
        featurizers.Stoichiometry(),
        featurizers.ValenceOrbital(),
    ]
    of_structure = import_module("matminer.featurizers.structure").DensityFeatures(["density", "vpa"])
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # elements without a tabulated value are NaN, which trees can take
        for record in records:
            structure = record.structure()
            distance = atoms(record, CUTOFF, NEIGHBOURS).distance
            extremes = (distance.min(), distance.max()) if len(distance) else (CUTOFF, CUTOFF)
            row = [number for own in of_composition for number in own.featurize(structure.composition)]
            row += of_structure.featurize(structure)
            row += [record.properties["spacegroup_number"], len(record), distance.mean(), distance.std(), *extremes]
            rows.append(row)
    return np.array(rows, float)


def _dense(inputs: int, outputs: int) -> nn.Sequential:
    layers = nn.Linear(inputs, outputs), nn.SiLU(), nn.Linear(outputs, outputs), nn.SiLU()
    return nn.Sequential(*layers)


O3 = {"model.directions": False, "model.mixing": "none"}
NETWORKS: Mapping[str, Callable[[], Network]] = {
    "ours": lambda: ours("point-group", {**O3, "model.moments": 6}),
    "bfloat16": lambda: ours("point-group", {**O3, "model.moments": 6, "training.products": "bfloat16"}),
    "moments to l = 3": lambda: ours("point-group", {**O3, "model.moments": 3}),
    "no moments": lambda: ours("point-group", {**O3, "model.moments": 0}),
    "24 neighbours": lambda: ours("point-group", {**O3, "model.moments": 6, "data.n_max": 24}),
    "our cgcnn": lambda: ours("cgcnn", {}),
    "our tensor-field, all atoms": lambda: ours("tensor-field", {"model.form": "atoms"}),
    "CGCNN": original_cgcnn,
    "e3nn": e3nn_network,
    "MEGNet": lambda: matgl("MEGNet", 5.0),
    "M3GNet": lambda: matgl("M3GNet", 5.0),
    "TensorNet": lambda: matgl("TensorNet", 5.0),
    "ALIGNN": alignn,
    "composition": composition,
}
"""Ours as shipped, what is left when parts of it are taken away, other networks of this package; peers."""
