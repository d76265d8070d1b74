"""Crystals made exactly symmetric: reading, the standard frame, orbits and whole neighbour shells."""

from irrepnet.crystals.cdml import CdmlPoint, cdml_point, special_points
from irrepnet.crystals.cell import Cell
from irrepnet.crystals.descriptions import input_atoms, plain_supercell
from irrepnet.crystals.elements import atomic_number
from irrepnet.crystals.frames import MODEL_GROUPS, frame_convention, frame_rotation, model_group
from irrepnet.crystals.induction import BandRepresentation, induce, induce_from_position
from irrepnet.crystals.little_groups import LittleGroup, carried_over, little_group
from irrepnet.crystals.modes import DIPOLE, HYPER_RAMAN, RAMAN, Modes, activity_forms, vibration_modes
from irrepnet.crystals.neighbours import (
    NEIGHBOURS,
    NeighbourOptions,
    Neighbours,
    SplitShell,
    find_neighbours,
    neighbour_shells,
    shell_starts,
    smooth_neighbours,
    split_shells,
    whole_shells,
)
from irrepnet.crystals.projection import (
    CellSymmetry,
    Projection,
    TensorKind,
    Violations,
    index_projector,
    irrep_norms,
    site_slots,
    symmetrised_force_constants,
)
from irrepnet.crystals.pseudosymmetry import REACH, parents
from irrepnet.crystals.reading import cells_in, read_cell, read_structures
from irrepnet.crystals.site_irreps import SiteIrreps, TensorForm, site_irreps
from irrepnet.crystals.symmetric import SymmetricCrystal
from irrepnet.crystals.text import FileInMemory
from irrepnet.crystals.wyckoff import WyckoffPosition, with_standard_origin, wyckoff_letter, wyckoff_positions

__all__ = [
    "DIPOLE",
    "HYPER_RAMAN",
    "MODEL_GROUPS",
    "NEIGHBOURS",
    "RAMAN",
    "REACH",
    "BandRepresentation",
    "CdmlPoint",
    "Cell",
    "CellSymmetry",
    "FileInMemory",
    "LittleGroup",
    "Modes",
    "NeighbourOptions",
    "Neighbours",
    "Projection",
    "SiteIrreps",
    "SplitShell",
    "SymmetricCrystal",
    "TensorForm",
    "TensorKind",
    "Violations",
    "WyckoffPosition",
    "activity_forms",
    "atomic_number",
    "carried_over",
    "cdml_point",
    "cells_in",
    "find_neighbours",
    "frame_convention",
    "frame_rotation",
    "index_projector",
    "induce",
    "induce_from_position",
    "input_atoms",
    "irrep_norms",
    "little_group",
    "model_group",
    "neighbour_shells",
    "parents",
    "plain_supercell",
    "read_cell",
    "read_structures",
    "shell_starts",
    "site_irreps",
    "site_slots",
    "smooth_neighbours",
    "special_points",
    "split_shells",
    "symmetrised_force_constants",
    "vibration_modes",
    "whole_shells",
    "with_standard_origin",
    "wyckoff_letter",
    "wyckoff_positions",
]
