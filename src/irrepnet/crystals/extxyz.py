"""Extended XYZ: one frame after another, each read and written by ASE.

ASE reads a file as a whole; here the lines are cut into frames first, so that a bad frame leaves the others alone, and
what ASE would pass over in silence (no positions, columns without a name, half of a stress) is refused or said.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from irrepnet.crystals.elements import atomic_number
from irrepnet.errors import IrrepnetError
from irrepnet.files import write_text
from irrepnet.inlets import check_atoms

if TYPE_CHECKING:
    from ase import Atoms

_KEY = re.compile(r"(?<!\S)(lattice|properties|pbc)(?=\s*=)", re.IGNORECASE)
_NAMES = {"lattice": "Lattice", "properties": "Properties", "pbc": "pbc"}
_LATTICE = re.compile(
    r"""(?<!\S)Lattice\s*=\s*("[^"]*"|'[^']*'|(?:\[\s*\[|\{\s*\{).*?(?:\]\s*\]|\}\s*\})|[\[{][^\]}]*[\]}])"""
)
_FORTRAN = re.compile(r"(?<=[\d.])[dD](?=[+-]?\d)")
_COLUMNS = {"element": "species", "symbol": "species", "symbols": "species", "position": "pos", "positions": "pos"}
_WORD = r"""([^\s,"\]}]+)"""
_SIX = re.compile(
    r"""(?<!\S)((?:stress|virial)\s*=\s*["{\[]\s*)""" + rf"{_WORD}[\s,]+" * 5 + rf"""{_WORD}(?=\s*["\]}}])"""
)


def read_frames(lines: Iterable[str]) -> Iterator[Atoms | IrrepnetError]:
    """The frames of an extended XYZ file, as ASE Atoms in the order of the file; for a bad one, what is wrong with it.

    Every frame has a `Lattice` and is periodic in all directions. Symbols may carry oxidation states, and D and T are
    H. ASE's rules hold for the rest: its results (`energy`, `forces`, `stress`, …) are those of `atoms.calc`, other
    columns are `atoms.arrays`, other keys of the comment `atoms.info`. `stress` and `virial` may have nine numbers or
    Voigt's six, xx yy zz yz xz xy. Lines between frames that begin none are one error, however many they are; so are
    those of a frame of more atoms than may be read.
    """
    numbered = enumerate(lines, start=1)
    frame, astray = 0, False
    for number, line in numbered:
        if not line.strip():
            continue
        if not line.strip().isdecimal():
            if not astray:
                yield IrrepnetError(f"line {number}: {line.strip()[:40]!r} is not the number of atoms of a frame")
            astray = True
            continue
        astray, frame, digits = False, frame + 1, line.strip().lstrip("0")
        size = int(digits[:9] or 0)
        try:
            check_atoms(size)
        except IrrepnetError as error:
            yield IrrepnetError(f"frame {frame} (line {number}): {error}")
            astray = True
            continue
        comment, *rows = [text for _, text in islice(numbered, size + 1)] or [""]
        try:
            if len(rows) < size:
                raise IrrepnetError(f"it ends after {len(rows)} of {size} atoms")
            yield _frame(comment, rows)
        except Exception as error:  # ASE meets bad text in any way it likes; all of them are bad input
            reason = " ".join(str(error).split()) or type(error).__name__
            what = reason if isinstance(error, IrrepnetError) else f"cannot be read as extended XYZ: {reason}"
            yield IrrepnetError(f"frame {frame} (line {number}): {what}")


def write_frames(path: str | Path, frames: Sequence[Atoms]) -> None:
    """Frames as ASE writes them, but with 15 digits of an atom's numbers; ASE rounds them to 8 decimals.

    Raises IrrepnetError if the file cannot be written.
    """
    import ase.io
    from ase.io.extxyz import REV_PROPERTY_NAME_MAP

    text = io.StringIO()
    ase.io.write(text, frames, format="extxyz")  # pyright: ignore[reportArgumentType]
    lines, made = iter(text.getvalue().splitlines()), []
    for atoms in frames:
        made += [next(lines), comment := next(lines)]
        results = getattr(atoms.calc, "results", {})
        layout = _comment(comment)["Properties"].split(":")
        for k, words in enumerate(next(lines).split() for _ in atoms):
            at, row = 0, []
            for name, kind, count in zip(layout[0::3], layout[1::3], map(int, layout[2::3])):
                source = REV_PROPERTY_NAME_MAP.get(name, name)
                if kind == "R":
                    array = atoms.arrays[source] if source in atoms.arrays else results[source]
                    row += [f"{x:23.15g}" for x in np.reshape(array[k], -1).tolist()]
                else:
                    row += [f"{word:2}" for word in words[at : at + count]]
                at += count
            made.append(" ".join(row))
    try:
        write_text(Path(path), "\n".join(made) + "\n")
    except OSError as error:
        raise IrrepnetError(f"{path}: cannot be written: {error.strerror}") from error


def _frame(comment: str, rows: list[str]) -> Atoms:
    import ase.io

    info = _comment(comment)
    layout = str(info["Properties"]).split(":")
    columns = dict(zip(layout[0::3], map(int, layout[2::3]), strict=True))
    if not columns.keys() & {"species", "Z"} or "pos" not in columns:
        raise IrrepnetError("Properties names no species or no pos")
    if not rows:
        raise IrrepnetError("it holds no atoms")
    width = sum(columns.values())
    words = [row.split() for row in rows]
    if any(len(row) > width for row in words):
        warnings.warn(f"Properties names {width} columns; what stands behind them is not read", stacklevel=2)
    if "species" in columns:
        before = list(columns).index("species")
        _plain_symbols(words, sum(list(columns.values())[:before]))
    text = _FORTRAN.sub("e", "\n".join([str(len(words)), "as in info", *map(" ".join, words)]))
    return ase.io.read(io.StringIO(text), index=0, format="extxyz", properties_parser=lambda _: info)  # type: ignore


def _comment(comment: str) -> dict[str, Any]:
    """The keys of a comment line and their values, as ASE reads them, with the crystal's checked."""
    from ase.io.extxyz import key_val_str_to_dict

    comment = _KEY.sub(lambda key: _NAMES[key[0].lower()], comment.strip())
    comment = _SIX.sub(r"\1\2 \7 \6 \7 \3 \5 \6 \5 \4", comment)
    comment = _LATTICE.sub(lambda match: f'Lattice="{_nine_numbers(match[1])}"', comment)
    info = key_val_str_to_dict(comment)
    if "Lattice" not in info:
        raise IrrepnetError('no Lattice="…" in the comment line: not a periodic structure')
    flags = info.get("pbc", True)
    flags = [word.upper() in ("T", "TRUE", "1") for word in flags.split()] if isinstance(flags, str) else flags
    if not np.all(flags):
        raise IrrepnetError(f"pbc is {np.atleast_1d(flags).tolist()}: a crystal is periodic in all three directions")
    stress = info.get("stress")
    if stress is not None and not np.allclose(stress, stress.T, atol=1e-3 * np.abs(stress).max()):
        raise IrrepnetError("the stress is not symmetric")
    return info | {"pbc": True, "Properties": _layout(str(info.get("Properties", "species:S:1:pos:R:3")))}


def _nine_numbers(lattice: str) -> str:
    """The numbers of a lattice, whatever brackets and commas stand around them."""
    words = re.sub(r"[\[\]{}()\"',;]", " ", _FORTRAN.sub("e", lattice)).split()
    if len(words) != 9:
        raise IrrepnetError(f"Lattice has {len(words)} numbers, not the nine of three vectors")
    return " ".join(words)


def _layout(properties: str) -> str:
    """With the names of the columns that every frame has as ASE knows them."""
    parts = properties.split(":")
    names = [_COLUMNS.get(name.lower(), name.lower()) for name in parts[0::3]]
    parts[0::3] = [own if own in ("species", "pos") else name for own, name in zip(names, parts[0::3])]
    return ":".join(parts)


def _plain_symbols(rows: list[list[str]], column: int) -> None:
    """Element symbols without decoration, in place: of symbols with charges or numbers, and of atomic numbers."""
    from ase.data import chemical_symbols

    for row in rows:
        if len(row) > column:
            word = row[column]
            number = (
                int(word)
                if word.isdecimal()
                else atomic_number(re.sub(r"^([A-Za-z]+)_?\d+$", r"\1", word).capitalize())
            )
            if not 0 < number < len(chemical_symbols):
                raise IrrepnetError(f"unknown element {word!r}")
            row[column] = chemical_symbols[number]
