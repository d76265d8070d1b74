"""Networks, one file each."""

from typing import Annotated

from pydantic import Field
from torch import nn

from irrepnet.crystals import GraphOptions, HypergraphOptions
from irrepnet.errors import IrrepnetError
from irrepnet.models.cgcnn import CGCNN, CGCNNConfig
from irrepnet.models.hypergraph import CHGCNNConfig, CrystalHypergraphNet
from irrepnet.models.mpnn import MPNN, MPNNConfig
from irrepnet.models.point_group import PointGroupConfig, PointGroupNet

ModelConfig = Annotated[PointGroupConfig | CGCNNConfig | MPNNConfig | CHGCNNConfig, Field(discriminator="name")]


def build_model(config: ModelConfig, outputs: int, options: GraphOptions) -> nn.Module:
    """The network of a configuration: batch → (n_crystals, outputs).

    Args:
        config: of any network.
        outputs: numbers a crystal.
        options: of the graphs that it reads; HypergraphOptions for all but the point-group network.

    Raises:
        IrrepnetError: an unknown type of hyperedges, or options of another kind of graph.
    """
    if isinstance(config, PointGroupConfig):
        return PointGroupNet(config, outputs)
    if not isinstance(options, HypergraphOptions):
        raise IrrepnetError(f"the network {config.name} reads hypergraphs: give HypergraphOptions, not GraphOptions")
    if isinstance(config, CGCNNConfig):
        return CGCNN(config, outputs, options)
    if isinstance(config, MPNNConfig):
        return MPNN(config, outputs, options)
    return CrystalHypergraphNet(config, outputs, options)


__all__ = [
    "CGCNN",
    "MPNN",
    "CGCNNConfig",
    "CHGCNNConfig",
    "CrystalHypergraphNet",
    "MPNNConfig",
    "ModelConfig",
    "PointGroupConfig",
    "PointGroupNet",
    "build_model",
]
