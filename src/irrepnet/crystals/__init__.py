"""Crystals made exactly symmetric: reading, the standard frame, orbits and whole neighbour shells."""

import irrepnet.crystals.hyperedges  # noqa: F401 (makes the types known)
from irrepnet.crystals.descriptors import LSOP_NAMES, csm, csm_names, lsop
from irrepnet.crystals.fingerprint import fingerprint, pair_correlation
from irrepnet.crystals.frames import frame_convention, frame_rotation, model_group
from irrepnet.crystals.graph import FORMS, FrameGraph, GraphOptions, frame_graph
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
    split_shells,
)
from irrepnet.crystals.reading import Cell, atomic_number, read_cell, read_structures
from irrepnet.crystals.site_irreps import SiteIrreps, SiteTensor, site_irreps
from irrepnet.crystals.symmetric import SymmetricCrystal

__all__ = [
    "FORMS",
    "LSOP_NAMES",
    "NEIGHBOURS",
    "BandRepresentation",
    "Cell",
    "Column",
    "FrameGraph",
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
    "SiteIrreps",
    "SiteTensor",
    "SplitShell",
    "SymmetricCrystal",
    "add_hyperedge_type",
    "atomic_number",
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
    "little_group",
    "lsop",
    "model_group",
    "motif",
    "neighbour_shells",
    "pair_correlation",
    "plain_supercell",
    "read_cell",
    "read_structures",
    "shell_starts",
    "site_irreps",
    "split_shells",
    "vibration_modes",
]
