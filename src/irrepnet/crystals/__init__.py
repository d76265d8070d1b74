"""Crystals made exactly symmetric: reading, the standard frame, orbits and whole neighbour shells."""

import irrepnet.crystals.hyperedges  # noqa: F401 (makes the types known)
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
from irrepnet.crystals.neighbours import Neighbours, neighbour_shells
from irrepnet.crystals.reading import Cell, atomic_number, read_cell, read_structures
from irrepnet.crystals.symmetric import SymmetricCrystal

__all__ = [
    "FORMS",
    "Cell",
    "Column",
    "FrameGraph",
    "GraphOptions",
    "HyperedgeType",
    "Hyperedges",
    "Hypergraph",
    "HypergraphOptions",
    "Incidences",
    "Neighbours",
    "SymmetricCrystal",
    "add_hyperedge_type",
    "atomic_number",
    "frame_graph",
    "hyperedge_type",
    "hyperedge_types",
    "hypergraph",
    "neighbour_shells",
    "plain_supercell",
    "read_cell",
    "read_structures",
]
