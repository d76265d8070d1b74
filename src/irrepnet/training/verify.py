"""Does a model keep the symmetry that it claims? Residuals on a crystal of the user's."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from irrepnet.crystals import SymmetricCrystal, frame_rotation, model_group, plain_supercell
from irrepnet.data.batch import AnyGraph, union
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import (
    FORMS,
    FrameOptions,
    GraphOptions,
    HypergraphOptions,
    VectorGraphOptions,
    frame_graph,
    network_graph,
)
from irrepnet.groups import PointGroup
from irrepnet.models import READS, ModelConfig, TensorHead, build_model
from irrepnet.tensors import CartesianTensor

if TYPE_CHECKING:
    from pymatgen.core import Structure

DESCRIPTIONS = ("rotation", "translation", "permutation", "supercell")


def random_network(
    config: ModelConfig, options: GraphOptions | None = None, seed: int = 0, tensors: Sequence[CartesianTensor] = ()
) -> torch.nn.Module:
    """A network with random weights everywhere, also where training starts from zero: nothing is idle."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = build_model(config, 1, options or READS[config.name](**config.graph_fields), tensors)
        for weights in net.parameters():
            if not weights.any():
                torch.nn.init.normal_(weights, std=0.1)
    return net


def verify(
    model: torch.nn.Module, source: object, options: GraphOptions | None = None, seed: int = 0
) -> dict[str, Any]:
    """Run ``model`` in float64 on equal descriptions of one crystal and compare the outputs.

    Args:
        model: takes a batch; its outputs are dimensionless numbers (before units). Those of a :class:`TensorHead` are
            compared in the axes of the description.
        source: whatever :meth:`SymmetricCrystal.from_structure` takes.
        options: how the graph is made, and by their type which graph; frames by default.
        seed: of the random rotation, translation, supercell and permutation.

    Returns:
        ``formula``, ``point_group`` and the largest absolute differences of the outputs: ``rotation`` (a random
        orientation of the input), ``translation``, ``permutation``, ``supercell``, each through reading, symmetry
        search and graph, and ``largest`` of all.

        Of a network on hypergraphs also ``orbits`` (every atom a node of its own), and ``nodes`` either way.

        Of a point-group network also ``group``, ``equivariance`` (the crystal turned by every element of the
        group, full form), ``forms`` (each form against the full one), and ``frames`` and ``nodes`` by form. If the
        crystal needs more frames than the options allow, ``orbits`` and ``nodes`` as on hypergraphs, and ``frames``.

    Raises:
        IrrepnetError: the structure cannot be used, or its point group is not contained in the model's.
    """
    options = options or FrameOptions()
    model = copy.deepcopy(model).double().eval()
    crystal = SymmetricCrystal.from_structure(source, symprec=options.symprec)

    def output(graph: AnyGraph) -> torch.Tensor:
        with torch.no_grad():
            found = model(union([graph], torch.float64))[0]
        if not torch.isfinite(found).all():
            raise IrrepnetError(f"the model's output for {crystal.formula} is not finite; its weights are unusable")
        return found

    graph = options.graph
    turned = model.turned if isinstance(model, TensorHead) else lambda found, rotation: found
    special = _SPECIAL[type(options)](crystal, options, output, turned)
    reference = output(graph(crystal))
    differences = {}
    for name, (structure, rotation) in _descriptions(crystal, seed).items():
        made = SymmetricCrystal.from_structure(structure, symprec=options.symprec)
        differences[name] = _difference(turned(output(graph(made)), made.rotation), turned(reference, rotation))
    report = {"formula": crystal.formula, "point_group": crystal.point_group.name, **special, **differences}
    residuals = [report[name] for name in (*DESCRIPTIONS, "orbits", "equivariance") if name in report]
    report["largest"] = max([*residuals, *report.get("forms", {}).values()])
    return report


def _difference(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).abs().max())


def _descriptions(crystal: SymmetricCrystal, seed: int) -> "dict[str, tuple[Structure, np.ndarray]]":
    """The idealised crystal, to which all descriptions must lead back to the last digits, told in other ways.

    Each with the rotation that leads from the crystal's standard frame to its axes.
    """
    from pymatgen.core import Structure

    lattice, species, frac_coords = crystal.lattice, crystal.species, crystal.frac_coords
    n = len(crystal)
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    rotation *= np.linalg.det(rotation)
    order = rng.permutation(n)
    moved, supercell = (Structure(lattice, species, frac_coords) for _ in range(2))
    moved.translate_sites(range(n), rng.uniform(size=3))
    supercell.make_supercell(np.array([[1, 1, 0], [0, 1, 0], [0, 0, 2]]))
    return {
        "rotation": (Structure(lattice @ rotation.T, species, frac_coords), rotation),
        "translation": (moved, np.eye(3)),
        "permutation": (Structure(lattice, [species[i] for i in order], frac_coords[order]), np.eye(3)),
        "supercell": (supercell, np.eye(3)),
    }


def _orbits(
    crystal: SymmetricCrystal,
    options: GraphOptions,
    output: Callable[[AnyGraph], torch.Tensor],
    turned: Callable[[torch.Tensor, np.ndarray], torch.Tensor],
) -> dict[str, Any]:
    """One node an orbit against one node an atom."""
    graphs = {
        "orbits": options.graph(crystal),
        "atoms": options.graph(plain_supercell(crystal)),
    }
    return {
        "orbits": _difference(*map(output, graphs.values())),
        "nodes": {name: len(made) for name, made in graphs.items()},
    }


def _frames(
    crystal: SymmetricCrystal,
    options: FrameOptions,
    output: Callable[[AnyGraph], torch.Tensor],
    turned: Callable[[torch.Tensor, np.ndarray], torch.Tensor],
) -> dict[str, Any]:
    """The three forms, and the crystal turned by the elements of the group; of an orbit graph what `_orbits` does.

    ``turned`` moves an output in the standard frame by an orthogonal matrix.
    """
    chosen = network_graph(crystal, options)
    group = model_group(crystal) if options.group == "auto" else PointGroup(options.group)
    if not chosen.group:
        atoms = replace(network_graph(plain_supercell(crystal), options), point_group=chosen.point_group)
        return {
            "group": group.name,
            "orbits": _difference(output(chosen), output(atoms)),
            "frames": {"needed": group.order // crystal.point_group.order, "at most": options.max_frames},
            "nodes": {"orbits": len(chosen), "atoms": len(atoms)},
        }
    graphs = {form: frame_graph(crystal, group, options, form) for form in FORMS}
    full, n = graphs["full"], len(crystal)
    reference = output(full)
    # Turned by q, what a node (g, a) saw at g⁻¹r it sees at g⁻¹q r.
    frame = group.operations[full.receiver // n]
    axes = frame_rotation(crystal)
    equivariance = 0.0
    for q in group.operations:
        vector = np.einsum("eki,kl,elj,ej->ei", frame, q, frame, full.vector)
        image = output(replace(full, vector=vector, class_vector=vector))
        equivariance = max(equivariance, _difference(image, turned(reference, axes.T @ q @ axes)))
    return {
        "group": group.name,
        "equivariance": equivariance,
        "forms": {form: _difference(output(graph), reference) for form, graph in graphs.items() if form != "full"},
        "frames": {form: group.order if form == "full" else graph.frames for form, graph in graphs.items()},
        "nodes": {form: len(graph) for form, graph in graphs.items()},
    }


_SPECIAL: dict[type[GraphOptions], Callable[..., dict[str, Any]]] = {
    HypergraphOptions: _orbits,
    VectorGraphOptions: _orbits,
    FrameOptions: _frames,
}
"""What is checked for one kind of graphs only: crystal, options, output → entries of the report."""
