"""Torch layers for features indexed by the irreps of a point group."""

from irrepnet.nn.convolution import GroupConvolution
from irrepnet.nn.elements import ElementEmbedding
from irrepnet.nn.filters import DirectionBasis, Filter, GaussianBasis
from irrepnet.nn.gate import Gate
from irrepnet.nn.group import GroupCorrelation, GroupFourier, Pointwise
from irrepnet.nn.irreps import Irreps
from irrepnet.nn.linear import Linear
from irrepnet.nn.pooling import MeanSpread
from irrepnet.nn.product import CoupledProduct

__all__ = [
    "CoupledProduct",
    "DirectionBasis",
    "ElementEmbedding",
    "Filter",
    "Gate",
    "GaussianBasis",
    "GroupConvolution",
    "GroupCorrelation",
    "GroupFourier",
    "Irreps",
    "Linear",
    "MeanSpread",
    "Pointwise",
]
