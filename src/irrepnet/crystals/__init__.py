"""Crystals made exactly symmetric: reading, the standard frame, orbits and whole neighbour shells."""

import irrepnet.crystals.hyperedges  # noqa: F401 (makes the types known)
from irrepnet.crystals.descriptors import LSOP_NAMES, csm, csm_names, lsop
from irrepnet.crystals.fingerprint import fingerprint, pair_correlation
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
from irrepnet.crystals.symmetric import SymmetricCrystal

__all__ = [
    "FORMS",
    "LSOP_NAMES",
    "NEIGHBOURS",
    "Cell",
    "Column",
    "FrameGraph",
    "GraphOptions",
    "HyperedgeType",
    "Hyperedges",
    "Hypergraph",
    "HypergraphOptions",
    "Incidences",
    "Motif",
    "Neighbours",
    "SplitShell",
    "SymmetricCrystal",
    "add_hyperedge_type",
    "atomic_number",
    "csm",
    "csm_names",
    "fill_cache",
    "find_neighbours",
    "fingerprint",
    "frame_graph",
    "hyperedge_type",
    "hyperedge_types",
    "hypergraph",
    "lsop",
    "motif",
    "neighbour_shells",
    "pair_correlation",
    "plain_supercell",
    "read_cell",
    "read_structures",
    "shell_starts",
    "split_shells",
]
