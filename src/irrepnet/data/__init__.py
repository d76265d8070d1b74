"""Records, where they come from, and how they are split."""

from irrepnet.data.records import Record, Rejection, data_hash, site_array
from irrepnet.data.sets import DATASETS, Dataset
from irrepnet.data.sources import KINDS, embedded, is_crystal, read_crystals, read_records, stream_records
from irrepnet.data.splits import split_by_file, split_by_formula
from irrepnet.data.targets import (
    QUANTITIES,
    Quantity,
    scalar_targets,
    target_kind,
    target_unit,
    target_values,
)

__all__ = [
    "DATASETS",
    "KINDS",
    "QUANTITIES",
    "Dataset",
    "Quantity",
    "Record",
    "Rejection",
    "data_hash",
    "embedded",
    "is_crystal",
    "read_crystals",
    "read_records",
    "scalar_targets",
    "site_array",
    "split_by_file",
    "split_by_formula",
    "stream_records",
    "target_kind",
    "target_unit",
    "target_values",
]
