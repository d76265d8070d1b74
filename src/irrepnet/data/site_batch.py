"""Site graphs of several crystals as one batch."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch

from irrepnet.crystals.site_graph import SiteGraph
from irrepnet.errors import IrrepnetError
from irrepnet.groups import PointGroup


@dataclass(frozen=True)
class SiteBatch:
    """Several crystals' site graphs, side by side.

    The fields are those of :class:`irrepnet.crystals.SiteGraph` as tensors, numbered through, and

    Attributes:
        axes: (n_sites, 3, 3), those of the site's crystal.
        crystal: (n_sites,) which crystal a site belongs to.
        size: how many crystals there are.
    """

    group: PointGroup
    numbers: torch.Tensor
    multiplicity: torch.Tensor
    fixed: torch.Tensor
    basis: torch.Tensor
    receiver: torch.Tensor
    sender: torch.Tensor
    carrier: torch.Tensor
    vector: torch.Tensor
    count: torch.Tensor
    nearest: torch.Tensor
    axes: torch.Tensor
    atom_site: torch.Tensor
    atom_operation: torch.Tensor
    crystal: torch.Tensor
    size: int

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "SiteBatch":
        """The same batch elsewhere; ``dtype`` is for the real numbers (index tensors stay int64)."""
        tensors = {f.name: v for f in fields(self) if torch.is_tensor(v := getattr(self, f.name))}
        moved = {k: v.to(device=device, dtype=dtype if v.is_floating_point() else None) for k, v in tensors.items()}
        return replace(self, **moved)


def collate_sites(graphs: Sequence[SiteGraph], dtype: torch.dtype = torch.float32) -> SiteBatch:
    """Put site graphs side by side.

    Raises:
        IrrepnetError: they belong to different model groups.
    """
    groups = {graph.group.name for graph in graphs}
    if len(groups) > 1:
        raise IrrepnetError(f"a batch has one model group, not {' and '.join(sorted(groups))}; make one of each")
    sizes = [len(graph) for graph in graphs]
    first = np.cumsum([0, *sizes])

    def indices(name: str, offset: bool = False) -> torch.Tensor:
        arrays = [getattr(graph, name) + offset * start for graph, start in zip(graphs, first)]
        return torch.from_numpy(np.concatenate(arrays, dtype=np.int64, casting="same_kind"))

    def reals(name: str) -> torch.Tensor:
        return torch.from_numpy(np.concatenate([getattr(graph, name) for graph in graphs], dtype=np.float64)).to(dtype)

    return SiteBatch(
        group=graphs[0].group,
        numbers=indices("numbers"),
        multiplicity=reals("multiplicity"),
        fixed=indices("fixed"),
        basis=reals("basis"),
        receiver=indices("receiver", offset=True),
        sender=indices("sender", offset=True),
        carrier=indices("carrier"),
        vector=reals("vector"),
        count=reals("count"),
        nearest=reals("nearest"),
        axes=torch.from_numpy(np.repeat([graph.axes for graph in graphs], sizes, axis=0)).to(dtype),
        atom_site=indices("atom_site", offset=True),
        atom_operation=reals("atom_operation"),
        crystal=torch.repeat_interleave(torch.arange(len(graphs)), torch.tensor(sizes)),
        size=len(graphs),
    )
