"""Every graph of a crystal that a network reads, NumPy only; several are one by `irrepnet.data.batch.union`."""

import irrepnet.graphs.hyperedges  # noqa: F401 (makes the types known)
from irrepnet.graphs.broken import (
    BrokenGraph,
    Parent,
    Perturbation,
    broken_graph,
    parent_of,
    symmetry_left,
    unperturbed,
)
from irrepnet.graphs.descriptors import LSOP_NAMES, csm, csm_names, lsop
from irrepnet.graphs.fingerprint import fingerprint, pair_correlation
from irrepnet.graphs.flat import Packed, pack
from irrepnet.graphs.frames import (
    FORMS,
    Blend,
    FrameGraph,
    FrameOptions,
    Segment,
    blend,
    frame_graph,
    network_graph,
    orbit_graph,
)
from irrepnet.graphs.graph import Graph, GraphOptions, Part
from irrepnet.graphs.hypergraph import (
    Column,
    Hyperedges,
    HyperedgeType,
    Hypergraph,
    HypergraphOptions,
    Incidences,
    add_hyperedge_type,
    hyperedge_type,
    hyperedge_types,
    hypergraph,
)
from irrepnet.graphs.motifs import Motif, motif
from irrepnet.graphs.perturbed import Frames, Matched, reference_energy
from irrepnet.graphs.sites import (
    GroupedSiteOptions,
    GroupedSites,
    SiteGraph,
    SiteGraphOptions,
    grouped_sites,
    site_graph,
)
from irrepnet.graphs.vectors import VECTOR_FORMS, VectorGraph, VectorGraphOptions, vector_graph

__all__ = [
    "FORMS",
    "LSOP_NAMES",
    "VECTOR_FORMS",
    "Blend",
    "BrokenGraph",
    "Column",
    "FrameGraph",
    "FrameOptions",
    "Frames",
    "Graph",
    "GraphOptions",
    "GroupedSiteOptions",
    "GroupedSites",
    "HyperedgeType",
    "Hyperedges",
    "Hypergraph",
    "HypergraphOptions",
    "Incidences",
    "Matched",
    "Motif",
    "Packed",
    "Parent",
    "Part",
    "Perturbation",
    "Segment",
    "SiteGraph",
    "SiteGraphOptions",
    "VectorGraph",
    "VectorGraphOptions",
    "add_hyperedge_type",
    "blend",
    "broken_graph",
    "csm",
    "csm_names",
    "fingerprint",
    "frame_graph",
    "grouped_sites",
    "hyperedge_type",
    "hyperedge_types",
    "hypergraph",
    "lsop",
    "motif",
    "network_graph",
    "orbit_graph",
    "pack",
    "pair_correlation",
    "parent_of",
    "reference_energy",
    "site_graph",
    "symmetry_left",
    "unperturbed",
    "vector_graph",
]
