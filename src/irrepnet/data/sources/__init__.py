"""Where records come from: `KINDS` is the table of sources, `read_records` the one reader of them all."""

from irrepnet.data.sources.crystal import is_crystal
from irrepnet.data.sources.kinds import KINDS, Kind, embedded, read_crystals, read_records, stream_records

__all__ = ["KINDS", "Kind", "embedded", "is_crystal", "read_crystals", "read_records", "stream_records"]
