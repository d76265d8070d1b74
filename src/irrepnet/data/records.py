"""A crystal with its properties, as it lies in a file: checked, but not yet made symmetric."""

import hashlib
import json
import math
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, time
from decimal import Decimal
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from irrepnet.errors import IrrepnetError
from irrepnet.inlets import check_atoms

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from irrepnet.crystals.cell import Cell

STRUCTURE_KEYS = frozenset({"material_id", "id", "formula", "species", "frac_coords", "lattice", "cell"})
"""Keys of a record line that describe the crystal; all others are properties."""


LARGEST = 1e100
"""Values beyond this are refused: their squares are no numbers any more."""

_PLAIN = frozenset({type(None), str, bool, int, float})


@dataclass(frozen=True, eq=False)
class Record:
    """One crystal and what is known of it.

    Attributes:
        id: unique within its source.
        species: element symbols, n of them.
        frac_coords: (n, 3) fractional coordinates, read-only.
        lattice: (3, 3) row vectors in Å, read-only; tensors among the properties are in this Cartesian frame.
        properties: targets and metadata by name; None where the value is unknown.
        formula: reduced formula, "MgAl2O4".
        source: where the record comes from: a file, a folder or the name of an embedded set.
        notes: what one should know of how the crystal was read: where its file contradicts itself, or what was taken
            for granted (docs/crystals.md).
    """

    id: str
    species: tuple[str, ...]
    frac_coords: np.ndarray
    lattice: np.ndarray
    properties: dict[str, Any]
    formula: str
    source: str
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.species)

    def structure(self) -> "Structure":
        """The crystal as a pymatgen Structure."""
        from pymatgen.core import Structure

        return Structure(self.lattice, self.species, self.frac_coords)

    def __repr__(self) -> str:
        return f"Record({self.id!r}, {self.formula}, {len(self.species)} atoms: {', '.join(self.properties) or 'bare'})"

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], id: str = "", source: str = "") -> "Record":
        """A record from one line of the record format, checked.

        Args:
            content: `species` (n symbols), `frac_coords` (n, 3) and either `lattice` (3, 3) row vectors in Å
                or `cell` [a, b, c, α, β, γ] in Å and degrees (c along z, a in the xz plane); an id under
                `material_id` or `id`; every other key is a property. A key `lattice_ieee` is taken as the
                lattice, for it is the one in whose frame the tensors are; the first one is kept as the
                property `lattice_original`.
            id: to use where the content has none.
            source: kept in the record.

        Oxidation states in `species` are stripped, D and T are H. A property that is NaN becomes None, arrays become
        nested lists; what is no number, truth value, text, list or mapping of these is left out, with a warning.

        Raises:
            IrrepnetError: missing keys, wrong shapes, numbers that are none or not finite, an unknown element
                or a lattice without volume. The message does not repeat the id or the source.
        """
        missing = [key for key in ("species", "frac_coords") if content.get(key) is None]
        if content.get("lattice") is None and content.get("cell") is None:
            missing.append("lattice (or cell)")
        if missing:
            raise IrrepnetError(f"no {', '.join(missing)} among the keys: {', '.join(map(str, content)) or 'none'}")
        if not isinstance(content["species"], list | tuple) or not content["species"]:
            raise IrrepnetError("species is not a list of at least one element symbol")
        check_atoms(len(content["species"]))
        try:
            species = tuple(map(_symbol, content["species"]))
        except TypeError:
            raise IrrepnetError("species holds something that is no element symbol") from None
        frac_coords = number_array(content["frac_coords"], (len(species), 3), "frac_coords")
        properties = merged({key: value for key, value in content.items() if key not in STRUCTURE_KEYS})
        if content.get("lattice") is not None:
            lattice = number_array(content["lattice"], (3, 3), "lattice")
        else:
            from irrepnet.crystals.cell import lattice_from_parameters

            lattice = lattice_from_parameters(number_array(content["cell"], (6,), "cell").tolist())
            lattice.setflags(write=False)
        if "lattice_ieee" in properties:
            properties["lattice_original"] = lattice.tolist()
            lattice = number_array(properties.pop("lattice_ieee"), (3, 3), "lattice_ieee")
        if not 1e-3 <= abs(_volume(lattice)) < math.inf:
            raise IrrepnetError("the lattice vectors span no volume")
        name = next((content[key] for key in ("material_id", "id") if content.get(key) is not None), id)
        return cls(str(name), species, frac_coords, lattice, properties, reduced_formula(species), source)

    def with_properties(self, properties: Mapping[str, Any]) -> "Record":
        """The same crystal with these properties besides its own.

        Raises:
            IrrepnetError: as `merged`.
        """
        return replace(self, properties=merged(self.properties, properties))

    @classmethod
    def from_structure(
        cls, structure: "Structure", id: str, properties: Mapping[str, Any] | None = None, source: str = ""
    ) -> "Record":
        """A record of a pymatgen Structure; charges of one element may share a site.

        Raises:
            IrrepnetError: as `from_dict`, and for a structure with a disordered site.
        """
        from irrepnet.crystals.reading import cell_of_structure

        return cls.from_cell(cell_of_structure(structure, ""), id, source).with_properties(properties or {})

    @classmethod
    def from_cell(cls, cell: "Cell", id: str, source: str = "") -> "Record":
        """A record of a cell, with its notes.

        Raises:
            IrrepnetError: as `from_dict`.
        """
        content = {
            "species": list(map(_of_number, cell.numbers)),
            "frac_coords": cell.frac_coords,
            "lattice": cell.lattice,
        }
        return replace(cls.from_dict(content, id, source), notes=cell.notes)


@dataclass(frozen=True)
class Rejection:
    """A crystal that could not be used, and why."""

    id: str
    reason: str


def reduced_formula(species: Iterable[str]) -> str:
    """The formula of one formula unit, elements by Pauling electronegativity: "MgAl2O4", "Li3Fe2P3O12"."""
    counts = Counter(species)
    units = math.gcd(*counts.values())
    numbers = {symbol: count // units for symbol, count in counts.items()}
    return "".join(f"{s}{numbers[s]}" if numbers[s] > 1 else s for s in sorted(numbers, key=_rank))


def data_hash(records: Iterable[Record]) -> str:
    """sha256 (hex) of the records' ids, crystals and properties, in their order.

    It does not depend on where the records were read from, on compression or on the order of the properties.
    """
    digest = hashlib.sha256()
    for record in records:
        head = [record.id, record.species, record.properties]
        digest.update(json.dumps(head, sort_keys=True, separators=(",", ":")).encode())
        for array in (record.lattice, record.frac_coords):
            digest.update((array + 0.0).astype("<f8").tobytes())  # -0.0 + 0.0 is 0.0
    return digest.hexdigest()


def number_array(values: Any, shape: tuple[int, ...], name: str) -> np.ndarray:
    """(shape) float64, read-only: a value that is to be an array of numbers.

    Raises:
        IrrepnetError: it is none, has another shape, or a number is missing or not finite.
    """
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        what = f"an array of numbers of shape {shape}" if shape else "a number"
        raise IrrepnetError(f"{name} is not {what}") from None
    if array.shape != shape:
        raise IrrepnetError(f"{name} has shape {array.shape}, {shape} was expected")
    if not np.isfinite(array).all():
        raise IrrepnetError(f"{name} holds a number that is missing or not finite")
    if (abs(array) > LARGEST).any():
        raise IrrepnetError(f"{name} holds a number beyond {LARGEST:g}")
    array.setflags(write=False)
    return array


def site_array(record: Record, name: str) -> np.ndarray:
    """(n, …) the property `name` of the record's n atoms, in their order.

    Raises:
        IrrepnetError: the record has no such property, or it is not one finite array of numbers an atom, of the same
            shape for all. The message does not repeat the id.
    """
    value = record.properties.get(name)
    value = value.tolist() if isinstance(value, np.ndarray) else value
    if value is None:
        known = ", ".join(key for key, values in record.properties.items() if isinstance(values, list)) or "none"
        raise IrrepnetError(f"no value of {name}; its arrays: {known}")
    if not isinstance(value, list) or len(value) != len(record):
        found = f"{len(value)} rows" if isinstance(value, list) else "no rows"
        raise IrrepnetError(f"{name} has {found}, the crystal has {len(record)} atoms")
    array = None
    for site, row in enumerate(value):
        where = f"{name} of site {site + 1} ({record.species[site]})"
        try:
            numbers = np.array(row)
        except ValueError:
            raise IrrepnetError(f"{where} is ragged, not an array of numbers") from None
        if numbers.dtype.kind == "O" and all(x is None or isinstance(x, int | float) for x in numbers.flat):
            numbers = numbers.astype(float)  # None becomes NaN
        if numbers.dtype.kind not in "biuf":
            raise IrrepnetError(f"{where} is not an array of numbers")
        array = np.empty((len(record), *numbers.shape)) if array is None else array
        if numbers.shape != array.shape[1:] or not numbers.size:
            raise IrrepnetError(f"{where} has shape {numbers.shape}, that of site 1 {array.shape[1:]}")
        if not np.isfinite(numbers).all():
            raise IrrepnetError(f"{where} has a number that is missing or not finite")
        if (abs(numbers) > LARGEST).any():
            raise IrrepnetError(f"{where} has a number beyond {LARGEST:g}")
        array[site] = numbers
    assert array is not None  # a record has at least one atom
    return array


def plain(value: Any) -> Any:
    """A value as JSON has it: numbers, truth values, text, None, and lists and mappings of these.

    Arrays become nested lists, dates text; pandas' NA and NaT are None.

    Raises:
        TypeError: the value, or something in it, is none of these.
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, list | tuple):
        return [item if type(item) in _PLAIN else plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufU":
        return value.tolist()
    if isinstance(value, np.ndarray):
        return [plain(item) for item in value]
    for kind in (str, bool, int, float):
        if isinstance(value, kind):  # of a library's own subclass
            return kind(value)
    if isinstance(value, np.generic) and value.dtype.kind in "biuf":
        return value.item()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, date | time):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is no number, text or array of these")


def merged(*parts: Mapping[Any, Any]) -> dict[str, Any]:
    """The properties of all parts, plain; what `plain` refuses is left out, with a warning.

    Raises:
        IrrepnetError: a number is infinite, or two parts give one name different values (None is unknown, and no
            value).
    """
    properties: dict[str, Any] = {}
    for name, value in (item for part in parts for item in part.items()):
        name = str(name)
        try:
            value = _property(name, plain(value))
        except TypeError as error:
            warnings.warn(f"{name} is left out: {error}", stacklevel=3)
            continue
        known = properties.get(name)
        if known is not None and value is not None and known != value:
            raise IrrepnetError(f"{name} is given twice, with different values; rename one of them")
        properties[name] = value if known is None else known
    return properties


@lru_cache(maxsize=4096)
def _symbol(name: str) -> str:
    from pymatgen.core import Element

    from irrepnet.crystals.elements import atomic_number

    return Element.from_Z(atomic_number(name)).symbol


@cache
def _of_number(number: int) -> str:
    from pymatgen.core import Element

    return Element.from_Z(int(number)).symbol


@cache
def _rank(symbol: str) -> tuple[float, str]:
    from pymatgen.core import Element

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that helium has no electronegativity
        x = Element(symbol).X
    return (math.inf if math.isnan(x) else x, symbol)


def _property(name: str, value: Any) -> Any:
    if not isinstance(value, int | float) or abs(value) <= LARGEST:
        return value
    if value != value:  # NaN; math.isnan refuses an int that is too large for a float
        return None
    raise IrrepnetError(f"{name} is infinite or beyond {LARGEST:g}; write null for an unknown value")


def _volume(lattice: np.ndarray) -> float:
    (a, b, c), (d, e, f), (g, h, i) = lattice.tolist()
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
