"""What the configuration of a network of crystals says besides its numbers."""

from abc import abstractmethod
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, Field
from torch import nn

from irrepnet.errors import IrrepnetError
from irrepnet.graphs import GraphOptions
from irrepnet.groups import O3Irreps

ModelGroup = Annotated[
    str,
    BeforeValidator(str),  # YAML reads the group 23 as a number
    Field(
        description="the model group G, of which crystals' point groups are subgroups; auto: 6/mmm for trigonal and "
        "hexagonal crystals, m-3m for all others"
    ),
]


class NetworkConfig(BaseModel, extra="forbid", frozen=True):
    """What a network that maps a batch to (n_crystals, outputs) is made of.

    Attributes:
        reads: the options that make the graphs which it reads.
        any_neighbours: whether these may have other neighbours than whole shells.
        compiles: whether PyTorch's compiler makes its training step so much faster that long runs repay the compiling.
        rounds: whether products in bfloat16 make its training step faster where the processor has them.
        makes_tensors: whether it has covariant outputs, up to ``l_max``: see :class:`irrepnet.models.TensorHead`.
    """

    reads: ClassVar[type[GraphOptions]]
    any_neighbours: ClassVar[bool] = True
    compiles: ClassVar[bool] = False
    rounds: ClassVar[bool] = False
    makes_tensors: ClassVar[bool] = False

    name: str

    @property
    def graph_fields(self) -> dict[str, Any]:
        """The fields of ``reads`` that the network fixes."""
        return {}

    @abstractmethod
    def network(self, outputs: int, options: Any, irreps_out: O3Irreps | None = None) -> nn.Module:
        """The network with random weights.

        Args:
            outputs: numbers a crystal.
            options: of the graphs, of the type ``reads``.
            irreps_out: covariant outputs, if it makes any.
        """

    def checked(self, options: GraphOptions) -> Any:
        """The options; raises IrrepnetError if they are of another kind of graph."""
        if not isinstance(options, self.reads):
            wanted, given = self.reads.__name__, type(options).__name__
            raise IrrepnetError(f"the network {self.name} reads other graphs: give {wanted}, not {given}")
        return options
