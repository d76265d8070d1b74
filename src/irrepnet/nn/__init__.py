"""Torch layers: for features indexed by the irreps of a point group, and for graphs and hypergraphs."""

from irrepnet.nn.convolution import GroupConvolution
from irrepnet.nn.elements import ElementBins, ElementEmbedding, atom_embedding
from irrepnet.nn.filters import DirectionBasis, Filter
from irrepnet.nn.gate import Gate
from irrepnet.nn.group import GroupCorrelation, GroupFourier, Pointwise
from irrepnet.nn.harmonics import HarmonicMatrices, Harmonics
from irrepnet.nn.hypergraph import HyperedgeUpdate, HypergraphConvolution
from irrepnet.nn.irrep_layers import IrrepConvolution, IrrepFilter, O3Readout
from irrepnet.nn.irreps import Irreps
from irrepnet.nn.linear import Linear
from irrepnet.nn.moments import Moments
from irrepnet.nn.norm import WeightedBatchNorm
from irrepnet.nn.pooling import MeanSpread
from irrepnet.nn.product import CoupledProduct
from irrepnet.nn.radial import BesselBasis, Expansion, GaussianBasis, envelope

__all__ = [
    "BesselBasis",
    "CoupledProduct",
    "DirectionBasis",
    "ElementBins",
    "ElementEmbedding",
    "Expansion",
    "Filter",
    "Gate",
    "GaussianBasis",
    "GroupConvolution",
    "GroupCorrelation",
    "GroupFourier",
    "HarmonicMatrices",
    "Harmonics",
    "HyperedgeUpdate",
    "HypergraphConvolution",
    "IrrepConvolution",
    "IrrepFilter",
    "Irreps",
    "Linear",
    "MeanSpread",
    "Moments",
    "O3Readout",
    "Pointwise",
    "WeightedBatchNorm",
    "atom_embedding",
    "envelope",
]
