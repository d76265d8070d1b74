"""CIF: one crystal a data block, expanded by its space group and held against what else the block says.

gemmi reads the syntax. A block that lists its symmetry operations means these; one that only names its space group may
leave open which setting of it, and then every setting that the name may stand for is tried: the one that fits the cell,
the formula, Z, the multiplicities and the density is the crystal. If several fit that are different crystals, or none
does, the block is refused. What the block says against the crystal that is read becomes one of its notes.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple, cast

import gemmi
import numpy as np

from irrepnet.crystals.cell import CLOSEST, Cell, lattice_from_parameters, near_pairs
from irrepnet.crystals.elements import FULL, atomic_number, element_of_label, element_of_type, is_hydride, only_element
from irrepnet.crystals.space_groups import (
    SpaceGroupSetting,
    space_group_by_hall,
    space_group_by_operations,
    space_groups_by_number,
    space_groups_by_symbol,
)
from irrepnet.errors import IrrepnetError
from irrepnet.inlets import check_atoms

_SPECIAL = 0.02, 0.4
"""Å; images of an atom nearer than the first are one atom at a special position. Coordinates with few digits raise it,
to the second at most; and to that if only then formula, Z and multiplicities come out right."""
_MOVED = 0.05  # Å, worth a note
_STRAIN = 0.05, 0.005  # of the cell by an operation: not one of its symmetries, worth a note
_SHARE = 0.1  # of an element in the formula: more is another compound, less a rounded or defective one
_DENSITY, _VOLUME = 0.1, 0.01  # relative

_TAGS = {
    "a": ("_cell_length_a",),
    "b": ("_cell_length_b",),
    "c": ("_cell_length_c",),
    "alpha": ("_cell_angle_alpha",),
    "beta": ("_cell_angle_beta",),
    "gamma": ("_cell_angle_gamma",),
    "volume": ("_cell_volume",),
    "units": ("_cell_formula_units_z", "_cell_z"),
    "formula": ("_chemical_formula_sum",),
    "other formula": ("_chemical_formula_structural", "_chemical_formula_moiety", "_chemical_formula_iupac"),
    "density": ("_exptl_crystal_density_diffrn",),
    "symbol": (
        "_space_group_name_h-m_alt",
        "_symmetry_space_group_name_h-m",
        "_space_group_name_h-m_full",
        "_space_group_name_h-m",
    ),
    "hall": ("_space_group_name_hall", "_symmetry_space_group_name_hall"),
    "number": ("_space_group_it_number", "_symmetry_int_tables_number"),
    "code": ("_space_group_it_coordinate_system_code",),
    "operations": (
        "_space_group_symop_operation_xyz",
        "_symmetry_equiv_pos_as_xyz",
        "_symmetry_equiv_pos_as_xyz_",
        "_symmetry_equiv_pos_site_as_xyz",
    ),
    "magnetic": (
        "_space_group_symop_magn_operation_xyz",
        "_space_group_symop_magn_operation_mxmymz_xyz",
        "_space_group_symop_magn_ssg_operation_algebraic",
    ),
    "centring": ("_space_group_symop_magn_centering_xyz",),
    "label": ("_atom_site_label",),
    "type": ("_atom_site_type_symbol",),
    "x": ("_atom_site_fract_x",),
    "y": ("_atom_site_fract_y",),
    "z": ("_atom_site_fract_z",),
    "X": ("_atom_site_cartn_x",),
    "Y": ("_atom_site_cartn_y",),
    "Z": ("_atom_site_cartn_z",),
    "occupancy": ("_atom_site_occupancy",),
    "multiplicity": ("_atom_site_site_symmetry_multiplicity", "_atom_site_symmetry_multiplicity"),
    "hydrogens": ("_atom_site_attached_hydrogens",),
    "calculated": ("_atom_site_calc_flag",),
}
_KNOWN = frozenset(tag for tags in _TAGS.values() for tag in tags)

Block = dict[str, list[str | None]]
"""The values of the tags that are used, by their names above; None for `?` and `.`."""


def read_cif(text: str) -> Iterator[Cell | IrrepnetError]:
    """The crystals of a CIF in the order of its blocks, not yet checked; for a block that has none, why.

    Blocks without atoms (of an article, a powder pattern, reflections) are passed over. Magnetic CIFs are read without
    their moments, mmCIF files by their Cartesian coordinates.

    Raises:
        IrrepnetError: it is no CIF, or none of its blocks has atoms.
    """
    without, has_atoms = [], False
    for name, block in _blocks(text):
        if isinstance(block, IrrepnetError):
            has_atoms = True
            yield block
            continue
        try:
            values = _values(block)
            columns = [values[key] for key in ("label", "x", "X") if key in values]
            if not any(not column or any(column) for column in columns):
                without.append(name)
                continue
            has_atoms = True
            yield _crystal(values, name)
        except IrrepnetError as error:
            yield IrrepnetError(f"block {name}: {error}")
        except Exception as error:  # numbers beyond all bounds, and what else nobody thought of
            yield IrrepnetError(f"block {name}: cannot be read: {' '.join(str(error).split()) or type(error).__name__}")
    if not has_atoms:
        raise IrrepnetError(f"none of its blocks has atoms ({', '.join(without[:5]) or 'there are none'})")


# --- the text


def _blocks(text: str) -> Iterator[tuple[str, gemmi.cif.Block | IrrepnetError]]:
    """Name and content of each block; of one with a fault in it, what that is."""
    text = _plain_text(text)
    try:
        yield from ((block.name.strip() or "(no name)", block) for block in _parsed(text))
        return
    except IrrepnetError as error:
        whole = error
    parts = _split(text)
    if not parts:
        raise whole
    for name, start, part in parts:
        if "_atom_site" not in part.lower():
            continue
        try:
            for block in _parsed("\n" * start + part):
                yield name, block
        except IrrepnetError as error:
            yield name, IrrepnetError(f"block {name}: {error}")


def _plain_text(text: str) -> str:
    """In ASCII, as the standard asks: other characters stand in names and comments, or are signs that have an equal."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = re.sub("(\\d)[\u0304\u0305]", r"-\1", text)  # an overbar
    text = re.sub("[\u2010-\u2015\u2212]", "-", text)
    text = re.sub(r"[^\S\n]|[\x00-\x08\x0e-\x1f]", " ", text)
    return re.sub(r"[^\x00-\x7f]", "?", text).rstrip() + "\n"


def _parsed(text: str) -> gemmi.cif.Document:
    try:
        return gemmi.cif.read_string(text, check_level=0)
    except Exception as error:  # gemmi raises ValueError or RuntimeError
        place = re.match(r"string:(\d+):(\d+)\(\d+\): (.*)", str(error), re.DOTALL)
        raise IrrepnetError(f"line {place[1]}, column {place[2]}: {place[3]}" if place else str(error)) from error


def _split(text: str) -> list[tuple[str, int, str]]:
    """Name, number of lines before, and text of each block."""
    lines = text.split("\n")
    in_text, starts = False, []
    for number, line in enumerate(lines):
        if line.startswith(";"):
            in_text = not in_text
        elif not in_text and (head := re.match(r"\s*data_(\S*)", line, re.IGNORECASE)):
            starts.append((head[1] or "(no name)", number))
    ends = [number for _, number in starts[1:]] + [len(lines)]
    return [(name, start, "\n".join(lines[start:end]) + "\n") for (name, start), end in zip(starts, ends)]


def _values(block: gemmi.cif.Block) -> Block:
    """What the block has of the known tags.

    Raises:
        IrrepnetError: it has one twice, with different values.
    """
    found: Block = {}

    def add(tag: str, values: Sequence[str]) -> None:
        plain = [None if gemmi.cif.is_null(value) else gemmi.cif.as_string(value).strip() for value in values]
        if found.setdefault(tag, plain) != plain:
            raise IrrepnetError(f"{tag} is there twice, with different values")

    for item in block:  # gemmi's stubs have no types for what it holds
        pair = cast("list[str] | None", item.pair)
        if pair is not None and (tag := _plain(pair[0])) in _KNOWN:
            add(tag, [pair[1]])
        elif item.loop is not None:
            values = cast("list[str]", item.loop.values)
            for column, name in enumerate(item.loop.tags):
                if (tag := _plain(name)) in _KNOWN:
                    add(tag, values[column :: item.loop.width()])
    present = {key: [found[tag] for tag in tags if tag in found] for key, tags in _TAGS.items()}
    return {key: next(filter(any, columns), columns[0]) for key, columns in present.items() if columns}


def _plain(tag: str) -> str:
    """In lower case; newer dictionaries write a dot after the category."""
    return tag.lower().replace(".", "_")


def _text(values: Block, key: str) -> str | None:
    return next(iter(values.get(key, [])), None)


def _number(text: str | None, what: str) -> float:
    """A number with or without its standard uncertainty, or a fraction such as 1/3."""
    plain = re.sub(r"\(.*\)?$", "", (text or "").replace("−", "-")).strip()
    fraction = re.fullmatch(r"([+-]?\d+(?:\.\d*)?)/(\d+)", plain)
    try:
        return float(fraction[1]) / float(fraction[2]) if fraction else float(plain.lower().replace("d", "e"))
    except (ValueError, ZeroDivisionError):
        raise IrrepnetError(f"{what} is {'unknown' if text is None else repr(text)}, not a number") from None


def _last_digit(text: str) -> float:
    """What the last digit of a number is worth; 0 for a fraction that is exact, such as 0.5 or 0.125."""
    decimals = re.match(r"[+-]?\d*\.(\d+)(?![\deEdD])", text)
    if decimals is None or float(decimals[0]) * 24 == round(float(decimals[0]) * 24):
        return 0.0
    return 10.0 ** -len(decimals[1])


def _number_or_none(values: Block, key: str) -> float | None:
    try:
        number = _number(_text(values, key), key)
    except IrrepnetError:
        return None
    return number if math.isfinite(number) else None


# --- one crystal


@dataclass(frozen=True)
class _Rows:
    """The rows of the atom loop."""

    labels: list[str]
    symbols: list[str]
    """Of the elements; D and T are kept apart here."""
    frac_coords: np.ndarray
    steps: np.ndarray
    """(n,) Å, what the last digit of the coordinates is worth."""
    occupancies: list[float]
    multiplicities: list[int | None]


class _Contents(NamedTuple):
    """What a block says besides its symmetry."""

    lattice: np.ndarray
    rows: _Rows
    formula: Counter[str] | None
    values: Block


@dataclass
class _Expanded:
    """The crystal that one setting makes of the rows, and what speaks against it."""

    setting: SpaceGroupSetting
    frac_coords: np.ndarray
    symbols: list[str]
    errors: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    overlap: str | None = None

    @property
    def faults(self) -> tuple[bool, int]:
        return bool(self.errors), len(self.doubts)

    @property
    def rank(self) -> tuple[bool, int, bool]:
        return *self.faults, self.overlap is not None


def _crystal(values: Block, name: str) -> Cell:
    missing = [key for key in ("a", "b", "c", "alpha", "beta", "gamma") if _text(values, key) is None]
    if missing:
        raise IrrepnetError(f"the cell lacks {', '.join(missing)}")
    cell = [_number(_text(values, key), _TAGS[key][0]) for key in ("a", "b", "c", "alpha", "beta", "gamma")]
    lattice = lattice_from_parameters(cell)
    formula, formula_note = _formula(_text(values, "formula"))
    if "formula" not in values:
        formula, _ = _formula(_text(values, "other formula"))
    rows, notes = _rows(values, lattice, formula)
    check_atoms(len(rows.labels))
    named = _named(values)
    settings = [one for one in named.settings if _strain(lattice, one.rotations) < _STRAIN[0]] or named.settings
    contents = _Contents(lattice, rows, formula, values)
    found = _the_one([_expanded(one, contents) for one in settings], named.how)
    if found.errors:
        raise IrrepnetError("; ".join(found.errors))
    notes = [*named.notes, *named.against(found.setting), *found.notes, *found.doubts, *notes, *formula_note]
    volume, own = _number_or_none(values, "volume"), float(np.linalg.det(lattice))
    if volume is not None and abs(volume - own) > _VOLUME * own:
        notes.append(f"_cell_volume is {volume:g} Å³, the cell has {own:.6g} Å³")
    numbers = np.array([atomic_number(symbol) for symbol in found.symbols])
    return Cell(lattice, found.frac_coords % 1.0, numbers, name, tuple(notes))


def _rows(values: Block, lattice: np.ndarray, formula: Counter[str] | None) -> tuple[_Rows, list[str]]:
    count = max(len(values.get(key, [])) for key in ("label", "x", "X"))
    columns = {key: values.get(key, [None] * count) for key in ("label", "type", "occupancy", "multiplicity")}
    axes = next((axes for axes in (("x", "y", "z"), ("X", "Y", "Z")) if all(axis in values for axis in axes)), None)
    if axes is None:
        raise IrrepnetError("the atoms have no _atom_site_fract_x, _y and _z")
    dummies = [flag is not None and flag.lower().startswith("dum") for flag in values.get("calculated", [])]
    dummies = dummies or [False] * count
    labels = [label or f"{number}" for number, label in enumerate(columns["label"], start=1)]
    kept = [number for number in range(count) if not dummies[number]]
    if not kept:
        raise IrrepnetError("it has no atoms")
    elements, numbers_hydrogens = frozenset(formula or ()), any(label.startswith("H1O") for label in labels)
    symbols, coords, steps, occupancies, multiplicities, hydrides = [], [], [], [], [], []
    lengths = np.linalg.norm(lattice, axis=1) if axes[0] == "x" else np.ones(3)
    for number in kept:
        label = labels[number]
        try:
            symbols.append(_element(columns["type"][number], label, elements, numbers_hydrogens))
            coords.append([_number(values[axis][number], _TAGS[axis][0]) for axis in axes])
            digits = [_last_digit(values[axis][number] or "") for axis in axes]
            steps.append(max(map(math.prod, zip(digits, lengths))))
            occupancy = columns["occupancy"][number]
            occupancies.append(1.0 if occupancy is None else _number(occupancy, "its occupancy"))
        except IrrepnetError as error:
            raise IrrepnetError(f"site {label}: {error}") from None
        multiplicity = columns["multiplicity"][number]
        multiplicities.append(int(multiplicity) if multiplicity and multiplicity.isdecimal() else None)
        if not formula and symbols[-1] != "H" and is_hydride(columns["type"][number] or label):
            hydrides.append(label)
    frac_coords = np.array(coords, float)
    if not np.isfinite(frac_coords).all():
        bad = int(np.argmin(np.isfinite(frac_coords).all(1)))
        raise IrrepnetError(f"site {labels[kept[bad]]}: its coordinates are not finite")
    if axes[0] == "X":
        frac_coords = frac_coords @ np.linalg.inv(lattice)
    notes = []
    if hydrides:
        notes.append(f"{', '.join(hydrides)}: stands for a group with hydrogens that are not among the atoms")
    attached = [label for label, n in zip(labels, values.get("hydrogens", [])) if n and n not in ("0", "0.0")]
    if attached and not formula:
        notes.append(f"{', '.join(attached)}: hydrogens are attached that are not among the atoms")
    kept_labels = [labels[number] for number in kept]
    return _Rows(kept_labels, symbols, frac_coords, np.array(steps), occupancies, multiplicities), notes


@lru_cache(maxsize=4096)
def _element(type_symbol: str | None, label: str, formula: frozenset[str], numbers_hydrogens: bool) -> str:
    if type_symbol and re.search("[A-Za-z]", type_symbol):
        return element_of_type(type_symbol, formula)
    return element_of_label(label, formula, numbers_hydrogens)


def _formula(text: str | None) -> tuple[Counter[str] | None, list[str]]:
    """Atoms by element, D and T counted as H; None with a note if there is none that can be read."""
    if text is None:
        return None, []
    from pymatgen.core import Composition

    plain = re.sub(r"[,~]", " ", text)
    plain = re.sub(r"(?<=\d)\s*[+-](?=\s|$)|\b\d*[+-](?=\s|$)", " ", plain)
    try:
        found = Composition(plain).get_el_amt_dict()
        amounts = Counter({symbol: float(amount) for symbol, amount in found.items()})
        _ = [atomic_number(symbol) for symbol in amounts]
    except Exception:  # pymatgen meets bad text in any way it likes
        return None, [f"the formula {text!r} cannot be read and was not compared"]
    hydrogen = sum(amounts.pop(symbol, 0) for symbol in ("H", "D", "T"))
    if hydrogen:
        amounts["H"] = hydrogen
    return (amounts, []) if amounts else (None, [])


# --- the setting


@dataclass(frozen=True)
class _Named:
    """The space group as the block names it."""

    settings: list[SpaceGroupSetting]
    """Those that it may mean, the likeliest first."""
    how: str
    """To choose: the "first" unless the contents speak against it; "open", none before another; by "number" alone."""
    symbol: str | None
    symbols: list[SpaceGroupSetting]
    hall: SpaceGroupSetting | None
    number: int | None
    notes: list[str]

    def against(self, setting: SpaceGroupSetting) -> list[str]:
        """What the block says of its space group that is not so in this setting."""
        read = f"the crystal was read by {_in_words(setting)}"
        found = []
        for what, named in ((f"the symbol {self.symbol}", self.symbols), ("the Hall symbol", [self.hall])):
            others = [other for other in named if other is not None and other.operations != setting.operations]
            if others and len(others) == len(named):
                found.append(f"{what} is that of {_in_words(others[0])}, {read}")
        if self.number is not None and setting.number not in (None, self.number):
            found.append(f"the number of the space group is {self.number} in the file, {read}")
        return found


def _named(values: Block) -> _Named:
    notes: list[str] = []
    listed = _listed_operations(values)
    hall = _by_hall(values, notes)
    symbols, symbol = _by_symbol(values)
    number, numbered = _by_number(values, notes)
    others = symbols or numbered

    def named(settings: list[SpaceGroupSetting], how: str = "first") -> _Named:
        return _Named(settings, how, symbol, symbols, hall, number, notes)

    if listed:
        setting, count = space_group_by_operations(listed)
        if count < len(setting) and "magnetic" not in values:
            notes.append(f"{count} symmetry operations are listed, which make a group of {len(setting)}")
        numbers = {other.number for other in (*symbols, *numbered, *([hall] if hall else []))}
        agrees = setting.number is None or not numbers or setting.number in numbers
        return named([setting] if agrees else [setting, *([hall] if hall else []), *others])
    if hall is not None:
        agrees = any(other.operations == hall.operations for other in symbols)
        return named([hall] if agrees else [hall, *symbols])
    if symbols:
        fitting = [setting for setting in symbols if number is None or setting.number == number]
        if not fitting:
            return named([*symbols, *numbered], "open")
        is_monoclinic = fitting[0].number is not None and fitting[0].number <= 15  # by convention the first is meant
        return named(fitting, "first" if is_monoclinic else "open")
    if numbered and symbol is not None:
        notes.append(f"the symbol {symbol!r} is not known")
        return named(numbered, "open")
    if numbered:
        return named(numbered, "number")
    if symbol is not None:
        raise IrrepnetError(
            f"the space group {symbol!r} is not known, and no symmetry operations are listed; "
            "list them under _space_group_symop_operation_xyz"
        )
    notes.append("no symmetry is given: the atoms that are listed are taken for all there are")
    return named([space_group_by_operations(("x,y,z",))[0]])


def _listed_operations(values: Block) -> tuple[str, ...]:
    if "magnetic" in values:
        operations = [text for text in values["magnetic"] if text]
        centrings = [text for text in values.get("centring", []) if text]
        return tuple(operations + centrings)  # the group that both make together is that of the positions
    return tuple(text for text in values.get("operations", []) if text)


def _by_hall(values: Block, notes: list[str]) -> SpaceGroupSetting | None:
    text = _text(values, "hall")
    if text is None:
        return None
    try:
        return space_group_by_hall(text)
    except IrrepnetError as error:
        notes.append(str(error))
        return None


def _by_symbol(values: Block) -> tuple[list[SpaceGroupSetting], str | None]:
    symbol = _text(values, "symbol")
    if symbol is None:
        return [], None
    code = _text(values, "code")
    found = list(space_groups_by_symbol(symbol))
    if code is not None and len(found) > 1:
        coded = {setting.name for setting in space_groups_by_number(found[0].number or 1, code)}
        found = [setting for setting in found if setting.name in coded] or found
    return found, symbol


def _by_number(values: Block, notes: list[str]) -> tuple[int | None, list[SpaceGroupSetting]]:
    text = _text(values, "number")
    if text is None:
        return None, []
    try:
        number = int(_number(text, "the number of the space group"))
        found = space_groups_by_number(number, _text(values, "code") or "") or space_groups_by_number(number)
    except IrrepnetError as error:
        notes.append(str(error))
        return None, []
    return number, list(found)


def _in_words(setting: SpaceGroupSetting) -> str:
    number = f" ({setting.number})" if setting.number is not None else ""
    return f"{setting.name}{number}"


def _the_one(tried: list[_Expanded], how: str) -> _Expanded:
    """Of the crystals that the settings make, the one that is meant.

    Raises:
        IrrepnetError: several fit alike and differ.
    """
    best = min(one.rank for one in tried)
    fitting = [one for one in tried if one.rank == best]
    found = fitting[0]
    others = [one for one in fitting[1:] if not _same(found, one)]
    is_open = how == "open" or (how == "number" and (":" in found.setting.name or not found.setting.is_reference))
    if is_open and others and not found.errors:
        names = " or ".join(dict.fromkeys(one.setting.name for one in (found, *others)))
        raise IrrepnetError(
            f"the space group may be meant as {names}, which are different crystals, and neither formula and Z nor the "
            "multiplicities tell; write the symbol with its ending, such as :1, :2, :H or :R, or list the operations"
        )
    if how == "number":
        found.notes.append(f"only the number of the space group is given; it was read as {found.setting.name}")
    elif any(one.rank != best for one in tried):
        found.notes.append(
            f"of what the space group may be meant as, only {found.setting.name} fits the rest of the file"
        )
    return found


def _same(one: _Expanded, other: _Expanded) -> bool:
    """Whether both have the same atoms at the same places of the cell."""
    if Counter(one.symbols) != Counter(other.symbols):
        return False
    if len(one.symbols) > 3000:
        return False
    apart = one.frac_coords[:, None] - other.frac_coords
    apart -= np.rint(apart)
    same = (abs(apart) < 1e-3).all(-1) & (np.array(one.symbols)[:, None] == np.array(other.symbols))
    return bool(same.any(1).all())


# --- expansion, and what the block says of it


def _expanded(setting: SpaceGroupSetting, contents: _Contents) -> _Expanded:
    fine = np.clip(2 * contents.rows.steps, *_SPECIAL)
    found = _expanded_within(fine, setting, contents)
    if found.overlap and any(found.faults):
        other = _expanded_within(np.full(len(fine), _SPECIAL[1]), setting, contents)
        found = other if other.faults < found.faults else found
    return found


def _expanded_within(tolerance: np.ndarray, setting: SpaceGroupSetting, contents: _Contents) -> _Expanded:
    """With images of an atom that are nearer than its tolerance, (n,) Å, as one."""
    lattice, rows = contents.lattice, contents.rows
    found = _Expanded(setting, np.empty((0, 3)), [])
    strain = _strain(lattice, setting.rotations)
    if strain > _STRAIN[0]:
        found.errors.append(f"the cell does not have the symmetry of {_in_words(setting)}")
        return found
    if strain > _STRAIN[1]:
        found.doubts.append(f"the cell has the symmetry of {_in_words(setting)} within {strain:.1%} only")
    orbits, moved = _orbits(setting, lattice, rows.frac_coords, tolerance)
    if moved.max() > _MOVED:
        label, by = rows.labels[int(np.argmax(moved))], moved.max()
        found.notes.append(f"{label} was put on its special position, {by:.3f} Å away")
    check_atoms(sum(map(len, orbits)))
    _fill(found, lattice, rows, orbits)
    for label, orbit, multiplicity in zip(rows.labels, orbits, rows.multiplicities):
        if multiplicity is not None and multiplicity != len(orbit):
            found.doubts.append(
                f"{label} has the multiplicity {multiplicity} in the file and {len(orbit)} by {_in_words(setting)}"
            )
            break
    if not found.errors:
        _compare(found, contents)
    return found


def _strain(lattice: np.ndarray, rotations: np.ndarray) -> float:
    """The largest relative change of the metric by an operation."""
    metric = lattice @ lattice.T
    lengths = np.sqrt(np.diag(metric))
    moved = np.einsum("gji,jk,gkl->gil", rotations, metric, rotations)
    return float((abs(moved - metric) / np.outer(lengths, lengths)).max())


def _orbits(
    setting: SpaceGroupSetting, lattice: np.ndarray, frac_coords: np.ndarray, tolerance: np.ndarray
) -> tuple[list[np.ndarray], np.ndarray]:
    """For each row its (m, 3) images, and how far (Å) it was moved onto its special position."""
    exact = frac_coords.copy()
    for _ in range(3):  # the images that are near may be more once the position is nearly exact
        images = np.einsum("gij,nj->ngi", setting.rotations, exact) + setting.translations
        apart = images - exact[:, None]
        apart -= np.rint(apart)
        near = np.linalg.norm(apart @ lattice, axis=-1) < tolerance[:, None]
        mean = exact + (apart * near[..., None]).sum(1) / near.sum(1)[:, None]
        if np.allclose(mean, exact, rtol=0, atol=1e-12):
            break
        exact = mean
    orbits = []
    for row in range(len(exact)):
        points = images[row]
        if near[row].sum() > 1:
            points = _distinct(points, lattice, float(tolerance[row]))
        orbits.append(points)
    return orbits, np.linalg.norm((exact - frac_coords) @ lattice, axis=1)


def _distinct(points: np.ndarray, lattice: np.ndarray, tolerance: float) -> np.ndarray:
    left, found = points, []
    while len(left):
        found.append(left[0])
        apart = left - left[0]
        apart -= np.rint(apart)
        left = left[np.linalg.norm(apart @ lattice, axis=1) >= tolerance]
    return np.array(found)


def _fill(found: _Expanded, lattice: np.ndarray, rows: _Rows, orbits: list[np.ndarray]) -> None:
    """The atoms: rows that share a site are one, of the only element that fills it."""
    of_row = np.repeat(np.arange(len(orbits)), [len(orbit) for orbit in orbits])
    points = np.concatenate(orbits)
    first, second, distances = near_pairs(lattice, points, CLOSEST)
    same = distances < _SPECIAL[0]
    sharers: dict[int, set[int]] = {row: {row} for row in range(len(orbits))}
    for a, b in zip(of_row[first[same]].tolist(), of_row[second[same]].tolist()):
        group = sharers[a] | sharers[b]
        for row in group:
            sharers[row] = group
    kept: list[int] = []
    for row, group in sharers.items():
        if row != min(group):
            continue
        kept.append(row)
        try:
            found.symbols += [_occupant(rows, sorted(group), found.notes)] * len(orbits[row])
        except IrrepnetError as error:
            found.errors.append(str(error))
            return
    found.frac_coords = np.concatenate([orbits[row] for row in kept])
    overlapping = ~same
    if overlapping.any():
        at = int(np.flatnonzero(overlapping)[np.argmin(distances[overlapping])])
        labels = " and ".join(rows.labels[of_row[index[at]]] for index in (first, second))
        found.overlap = f"sites {labels} overlap, they are {distances[at]:.3g} Å apart"


def _occupant(rows: _Rows, group: list[int], notes: list[str]) -> str:
    labels = [rows.labels[row] for row in group]
    if len(group) > 1 and all(abs(rows.occupancies[row] - 1) <= FULL for row in group):
        symbols = {rows.symbols[row] for row in group}
        if len(symbols) > 1:
            raise IrrepnetError(
                f"sites {' and '.join(labels)} are one site with the elements {', '.join(sorted(symbols))}"
            )
        notes.append(f"{', '.join(labels[1:])}: the same atoms as {labels[0]}, by symmetry")
        group = group[:1]
    amounts: Counter[str] = Counter()
    for row in group:
        amounts[rows.symbols[row]] += rows.occupancies[row]  # type: ignore[assignment] (amounts are no integers)
    try:
        return only_element(amounts)
    except IrrepnetError as error:
        raise IrrepnetError(f"site {' and '.join(labels)} {error}") from None


def _compare(found: _Expanded, contents: _Contents) -> None:
    """Doubts and errors from formula, Z and density."""
    formula, values = contents.formula, contents.values
    atoms = Counter(found.symbols)
    units = None
    if formula is not None:
        text = _text(values, "formula")
        against = found.errors if text else found.notes  # only the sum formula is written by strict rules
        units = _compare_formula(found, against, atoms, formula, text or _text(values, "other formula") or "")
    Z = _number_or_none(values, "units")
    if units and formula is not None and Z:
        # some programs write the whole cell for the formula, and beside it how many reduced formulas that is
        amounts = [round(amount) for amount in formula.values()]
        factor = math.gcd(*amounts) if all(map(math.isclose, amounts, formula.values())) else 1
        if min(abs(units - Z), abs(units * factor - Z)) > 0.01 * Z:
            found.doubts.append(f"Z is {Z:g} in the file, the cell holds {units:.4g} formula units")
    density = _number_or_none(values, "density")
    if density:
        own = _mass(formula if units is not None and formula is not None else atoms) * (units or 1)
        own /= float(np.linalg.det(contents.lattice))
        if abs(own - density) > _DENSITY * density:
            found.doubts.append(f"the density is {density:g} g/cm³ in the file, that of the crystal is {own:.4g} g/cm³")
            if (
                len(found.doubts) > 1
                and found.doubts[-2].startswith("Z is")
                and (own > density) == ((units or 0) > (Z or 0))
            ):
                found.errors.append(
                    f"atoms are missing or there are too many of them: {' and '.join(found.doubts[-2:])}"
                )


def _compare_formula(
    found: _Expanded, against: list[str], atoms: Counter[str], formula: Counter[str], text: str
) -> float | None:
    """The number of formula units, None if the atoms are of another formula."""
    heavy = {symbol: amount for symbol, amount in formula.items() if symbol != "H"} or dict(formula)
    units = sum(atoms[symbol] for symbol in heavy) / sum(heavy.values())
    made = "".join(f" {symbol}{count}" for symbol, count in sorted(atoms.items())).strip()
    if not units or atoms.keys() - formula.keys() - {"H"} or heavy.keys() - atoms.keys():
        against.append(f"the formula is {text!r}, the atoms of the cell are {made}")
        return None
    worst = max(abs(atoms[symbol] / units - amount) / amount for symbol, amount in heavy.items())
    if worst > _SHARE:
        against.append(f"the formula is {text!r}, the atoms of the cell are {made}")
        return None
    if worst > 1e-3:
        found.doubts.append(f"the formula is {text!r}, the atoms of the cell are {made}")
    lack = formula["H"] * units - atoms["H"]
    if "H" not in heavy and abs(lack) > 0.01 * max(1.0, atoms["H"]):
        if lack > 0:
            found.notes.append(
                f"hydrogen is missing: the formula is {text!r}, and {lack:.4g} of the hydrogens of the cell are not "
                "among its atoms"
            )
        else:
            against.append(f"the formula is {text!r}, the atoms of the cell are {made}")
    return units


def _mass(atoms: Counter[str]) -> float:
    """g/cm³ · Å³"""
    from pymatgen.core.periodic_table import Element

    return sum(float(Element(symbol).atomic_mass) * count for symbol, count in atoms.items()) * 1.66053907
