"""Does a model keep the symmetry that it claims? Residuals on a crystal of the user's."""

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from irrepnet.crystals import FORMS, GraphOptions, SymmetricCrystal, frame_graph
from irrepnet.data.batch import collate
from irrepnet.errors import IrrepnetError
from irrepnet.models import PointGroupConfig, PointGroupNet


def random_network(config: PointGroupConfig, seed: int = 0) -> PointGroupNet:
    """A network with random weights everywhere, also where training starts from zero: nothing is idle."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = PointGroupNet(config, outputs=1)
        for weights in net.parameters():
            if not weights.any():
                torch.nn.init.normal_(weights, std=0.1)
    return net


def verify(
    model: PointGroupNet, source: object, options: GraphOptions | None = None, seed: int = 0
) -> dict[str, Any]:
    """Run ``model`` in float64 on equal descriptions of one crystal and compare the outputs.

    Args:
        model: takes a batch and has ``.group``; its outputs are dimensionless numbers (before units).
        source: whatever :meth:`SymmetricCrystal.from_structure` takes.
        options: how the graph is made.
        seed: of the random rotation, translation, supercell and permutation.

    Returns:
        Largest absolute differences of the outputs: ``equivariance`` (the crystal turned by every element of
        the model's group, full form), ``rotation`` (a random orientation of the input), ``translation``,
        ``permutation``, ``supercell`` (each through reading, symmetry search and graph), ``forms`` (each form
        against the full one), ``largest`` of them all, and ``frames``, ``nodes`` by form.

    Raises:
        IrrepnetError: the structure cannot be used, or its point group is not contained in the model's.
    """
    options = options or GraphOptions()
    model = copy.deepcopy(model).double().eval()
    group = model.group
    crystal = SymmetricCrystal.from_structure(source, symprec=options.symprec)
    # The idealised crystal is what every description must lead back to, to the last digits.
    from pymatgen.core import Structure

    species = crystal.species
    ideal = Structure(crystal.lattice, species, crystal.frac_coords)
    rng = np.random.default_rng(seed)

    def output(structure: Structure) -> torch.Tensor:
        made = SymmetricCrystal.from_structure(structure, symprec=options.symprec)
        return run(frame_graph(made, group, options))

    def run(graph) -> torch.Tensor:
        with torch.no_grad():
            return model(collate([graph], torch.float64))[0]

    def difference(other: torch.Tensor) -> float:
        return float((other - reference).abs().max())

    graphs = {form: frame_graph(crystal, group, options, form) for form in FORMS}
    reference = run(graphs["full"])
    if not torch.isfinite(reference).all():
        raise IrrepnetError(f"the model's output for {crystal.formula} is not finite; its weights are unusable")

    full, n = graphs["full"], len(crystal)
    # Turned by q, what a node (g, a) saw at g⁻¹r it sees at g⁻¹q r.
    frame = group.operations[full.receiver // n]
    equivariance = 0.0
    for q in group.operations:
        turned = np.einsum("eki,kl,elj,ej->ei", frame, q, frame, full.vector)
        equivariance = max(equivariance, difference(run(replace(full, vector=turned, class_vector=turned))))

    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    rotation *= np.linalg.det(rotation)
    order = rng.permutation(n)
    supercell = ideal.copy()
    supercell.make_supercell(np.array([[1, 1, 0], [0, 1, 0], [0, 0, 2]]))
    moved = ideal.copy()
    moved.translate_sites(range(n), rng.uniform(size=3))
    report: dict[str, Any] = {
        "formula": crystal.formula,
        "point_group": crystal.point_group.name,
        "group": group.name,
        "equivariance": equivariance,
        "rotation": difference(
            output(Structure(crystal.lattice @ rotation.T, species, crystal.frac_coords))
        ),
        "translation": difference(output(moved)),
        "permutation": difference(
            output(Structure(crystal.lattice, [species[i] for i in order], crystal.frac_coords[order]))
        ),
        "supercell": difference(output(supercell)),
        "forms": {form: difference(run(graph)) for form, graph in graphs.items() if form != "full"},
        "frames": {form: group.order if form == "full" else graph.frames for form, graph in graphs.items()},
        "nodes": {form: len(graph) for form, graph in graphs.items()},
    }
    residuals = [report[k] for k in ("equivariance", "rotation", "translation", "permutation", "supercell")]
    report["largest"] = max([*residuals, *report["forms"].values()])
    return report
