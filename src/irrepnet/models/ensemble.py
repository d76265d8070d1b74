"""Several networks as one."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn


class Ensemble(nn.Module):
    """The mean of networks that differ in nothing but how they began; what each of them obeys, the mean obeys too.

    Their spread tells how sure a prediction is: where data are far away, networks that began differently disagree
    (Lakshminarayanan et al., NeurIPS 2017, arXiv:1612.01474).

    Args:
        members: of one kind.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, batch: Any) -> Any:
        """What a member returns, a tensor or several by name; each is the mean."""
        found = [member(batch) for member in self.members]
        if isinstance(found[0], dict):
            return {name: torch.stack([one[name] for one in found]).mean(0) for name in found[0]}
        return torch.stack(found).mean(0)

    def at_atoms(self, outputs: Any, batch: Any) -> Any:
        """See :meth:`irrepnet.models.SiteSymmetryNet.at_atoms`; no weights have a part in it."""
        return self.members[0].at_atoms(outputs, batch)  # type: ignore[operator]

    @property
    def targets(self) -> Any:
        """See :class:`irrepnet.models.SiteSymmetryNet`."""
        return self.members[0].targets
