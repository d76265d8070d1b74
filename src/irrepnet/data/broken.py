"""Perturbed crystals as the batch that an energy network reads."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from irrepnet.crystals.broken import BrokenGraph, broken_graph
from irrepnet.groups import PointGroup


@dataclass(frozen=True)
class BrokenBatch:
    """Several perturbed crystals side by side, and after them, once each, their unperturbed parents.

    The fields are those of :class:`irrepnet.crystals.BrokenGraph` and of its parent as tensors, numbered through, and

    Attributes:
        size: how many perturbed crystals there are.
        reference: (size,) which crystal is the unperturbed parent of each.
        crystal, atom_crystal, bond_crystal, op_crystal: crystal to which a node, atom, bond or operation belongs.
        atoms: (n_crystals,) how many there are in each.
        volume: (size,) Å³, of the perturbed crystals' parents.
        op_rotation: (n_ops, 3, 3) the operations that are left; op_axial: (n_ops,) their sign on a moment.
        image, source, image_op: (n_images,) operation image_op sends atom source to atom image.
        displacements, moments: (n_atoms, 3); strain: (n_crystals, 3, 3); field: (n_crystals, 3).
    """

    size: int
    reference: torch.Tensor
    numbers: torch.Tensor
    node_atom: torch.Tensor
    node_rotation: torch.Tensor
    node_reversal: torch.Tensor
    crystal: torch.Tensor
    receiver: torch.Tensor
    sender: torch.Tensor
    bond: torch.Tensor
    bond_receiver: torch.Tensor
    bond_sender: torch.Tensor
    bond_vector: torch.Tensor
    bond_crystal: torch.Tensor
    atom_crystal: torch.Tensor
    atoms: torch.Tensor
    volume: torch.Tensor
    op_crystal: torch.Tensor
    op_rotation: torch.Tensor
    op_axial: torch.Tensor
    image: torch.Tensor
    source: torch.Tensor
    image_op: torch.Tensor
    displacements: torch.Tensor
    strain: torch.Tensor
    field: torch.Tensor
    moments: torch.Tensor


def collate_broken(graphs: Sequence[BrokenGraph], group: PointGroup, dtype: torch.dtype = torch.float64) -> BrokenBatch:
    """Put graphs of one model group side by side, with the graphs of their unperturbed parents."""
    parents = list({id(g.parent): g.parent for g in graphs}.values())
    position = {id(parent): len(graphs) + i for i, parent in enumerate(parents)}
    every = [*graphs, *(broken_graph(parent, group=group) for parent in parents)]
    atoms, nodes = _starts(len(g.parent) for g in every), _starts(len(g) for g in every)
    bonds, ops = _starts(len(g.parent.vector) for g in every), _starts(len(g.operations) for g in every)
    rotations = [g.parent.rotations[g.operations] for g in every]

    def indices(arrays: Iterable[np.ndarray], starts: Iterable[int] = ()) -> torch.Tensor:
        starts = starts or [0] * len(every)
        return torch.from_numpy(np.concatenate([array + start for array, start in zip(arrays, starts)]))

    def reals(arrays: Iterable[np.ndarray]) -> torch.Tensor:
        return torch.from_numpy(np.concatenate([np.asarray(array, float) for array in arrays])).to(dtype)

    def owners(starts: list[int]) -> torch.Tensor:
        return torch.from_numpy(np.repeat(np.arange(len(every)), np.diff(starts)))

    return BrokenBatch(
        size=len(graphs),
        reference=torch.tensor([position[id(g.parent)] for g in graphs]),
        numbers=indices(g.parent.numbers for g in every),
        node_atom=indices((g.node_atom for g in every), atoms),
        node_rotation=reals(g.node_rotation for g in every),
        node_reversal=reals(g.node_reversal for g in every),
        crystal=owners(nodes),
        receiver=indices((g.receiver for g in every), nodes),
        sender=indices((g.sender for g in every), nodes),
        bond=indices((g.bond for g in every), bonds),
        bond_receiver=indices((g.parent.receiver for g in every), atoms),
        bond_sender=indices((g.parent.sender for g in every), atoms),
        bond_vector=reals(g.parent.vector for g in every),
        bond_crystal=owners(bonds),
        atom_crystal=owners(atoms),
        atoms=torch.tensor([len(g.parent) for g in every], dtype=dtype),
        volume=torch.tensor([g.parent.volume for g in graphs], dtype=dtype),
        op_crystal=owners(ops),
        op_rotation=reals(rotations),
        op_axial=reals(np.linalg.det(r) * g.reversal for r, g in zip(rotations, every)),
        image=indices((g.parent.permutation[g.operations].ravel() for g in every), atoms),
        source=indices((np.tile(np.arange(len(g.parent)), len(g.operations)) for g in every), atoms),
        image_op=indices((np.repeat(np.arange(len(g.operations)), len(g.parent)) for g in every), ops),
        displacements=reals(g.perturbation.displacements for g in every),
        strain=reals(g.perturbation.strain[None] for g in every),
        field=reals(g.perturbation.field[None] for g in every),
        moments=reals(g.perturbation.moments for g in every),
    )


def _starts(lengths: Iterable[int]) -> list[int]:
    return np.cumsum([0, *lengths]).tolist()
