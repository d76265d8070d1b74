"""Crystals made exactly symmetric: reading, the standard frame, orbits and whole neighbour shells."""

import irrepnet.crystals.hyperedges  # noqa: F401 (makes the types known)
from irrepnet.crystals.broken import (
    BrokenGraph,
    Parent,
    Perturbation,
    broken_graph,
    parent_of,
    symmetry_left,
)
from irrepnet.crystals.descriptors import LSOP_NAMES, csm, csm_names, lsop
from irrepnet.crystals.fingerprint import fingerprint, pair_correlation
from irrepnet.crystals.frames import MODEL_GROUPS, frame_convention, frame_rotation, model_group
from irrepnet.crystals.graph import (
    FORMS,
    Blend,
    FrameGraph,
    FrameOptions,
    GraphOptions,
    blend,
    frame_graph,
    network_graph,
    orbit_graph,
)
from irrepnet.crystals.hypergraph import (
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
    plain_supercell,
)
from irrepnet.crystals.induction import BandRepresentation, induce, induce_from_position
from irrepnet.crystals.little_groups import LittleGroup, little_group
from irrepnet.crystals.modes import Modes, vibration_modes
from irrepnet.crystals.motifs import Motif, fill_cache, motif
from irrepnet.crystals.neighbours import (
    NEIGHBOURS,
    Neighbours,
    SplitShell,
    find_neighbours,
    neighbour_shells,
    shell_starts,
    smooth_neighbours,
    split_shells,
)
from irrepnet.crystals.pseudosymmetry import REACH, parents
from irrepnet.crystals.reading import Cell, atomic_number, read_cell, read_structures
from irrepnet.crystals.site_graph import SiteGraph, input_atoms, site_graph
from irrepnet.crystals.site_irreps import SiteIrreps, SiteTensor, site_irreps
from irrepnet.crystals.symmetric import SymmetricCrystal
from irrepnet.crystals.vector_graph import (
    VECTOR_FORMS,
    VectorGraph,
    VectorGraphOptions,
    vector_graph,
)

__all__ = [
    "FORMS",
    "LSOP_NAMES",
    "MODEL_GROUPS",
    "NEIGHBOURS",
    "REACH",
    "VECTOR_FORMS",
    "BandRepresentation",
    "Blend",
    "BrokenGraph",
    "Cell",
    "Column",
    "FrameGraph",
    "FrameOptions",
    "GraphOptions",
    "HyperedgeType",
    "Hyperedges",
    "Hypergraph",
    "HypergraphOptions",
    "Incidences",
    "LittleGroup",
    "Modes",
    "Motif",
    "Neighbours",
    "Parent",
    "Perturbation",
    "SiteGraph",
    "SiteIrreps",
    "SiteTensor",
    "SplitShell",
    "SymmetricCrystal",
    "VectorGraph",
    "VectorGraphOptions",
    "add_hyperedge_type",
    "atomic_number",
    "blend",
    "broken_graph",
    "csm",
    "csm_names",
    "fill_cache",
    "find_neighbours",
    "fingerprint",
    "frame_convention",
    "frame_graph",
    "frame_rotation",
    "hyperedge_type",
    "hyperedge_types",
    "hypergraph",
    "induce",
    "induce_from_position",
    "input_atoms",
    "little_group",
    "lsop",
    "model_group",
    "motif",
    "neighbour_shells",
    "network_graph",
    "orbit_graph",
    "pair_correlation",
    "parent_of",
    "parents",
    "plain_supercell",
    "read_cell",
    "read_structures",
    "shell_starts",
    "site_graph",
    "site_irreps",
    "smooth_neighbours",
    "split_shells",
    "symmetry_left",
    "vector_graph",
    "vibration_modes",
]
