"""Crystals made exactly symmetric: reading, the standard frame, orbits and whole neighbour shells."""

from irrepnet.crystals.graph import FORMS, FrameGraph, GraphOptions, frame_graph
from irrepnet.crystals.neighbours import Neighbours, neighbour_shells
from irrepnet.crystals.reading import Cell, atomic_number, read_cell, read_structures
from irrepnet.crystals.symmetric import SymmetricCrystal

__all__ = [
    "FORMS",
    "Cell",
    "FrameGraph",
    "GraphOptions",
    "Neighbours",
    "SymmetricCrystal",
    "atomic_number",
    "frame_graph",
    "neighbour_shells",
    "read_cell",
    "read_structures",
]
