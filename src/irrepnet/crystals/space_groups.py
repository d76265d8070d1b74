"""Space groups by what files call them: Hermann–Mauguin and Hall symbols, numbers, lists of operations.

The 564 settings are those of gemmi's table, which holds all of International Tables A and B and some that are only
used. A name may stand for several of them: `F d -3 m` has two origins, `R -3 m` two kinds of axes, `P 21/n` is the
short form of three monoclinic symbols. All functions here therefore return every setting that a name may mean, the
usual one first; which of them a file means is for its cell and its contents to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from itertools import combinations, product

import gemmi
import moyopy
import numpy as np

from irrepnet.errors import IrrepnetError

LARGEST = 192
"""Operations of a conventional cell; the largest space groups have so many."""
_DIGITS = 1e-3  # to which translations are compared
_TERM = re.compile(r"([+-]?)(?=[\d.xyz])(\d+\.?\d*|\.\d+)?(?:/(\d+))?([xyz]?)")
_TERMS = re.compile(rf"(?:{_TERM.pattern})+")
_CODES = {"s": "1", "z": "2"}  # of the ICSD, for origin choices 1 and 2


@dataclass(frozen=True, eq=False)
class SpaceGroupSetting:
    """A space group in one setting, with all operations of its (centred) cell; the identity is the first."""

    name: str
    """"P 1 21/c 1", "F d -3 m:2", or what else the file has in its place."""
    number: int | None
    """In International Tables A; None for a list of operations that is not identified."""
    rotations: np.ndarray
    """(M, 3, 3) integers, of fractional coordinates."""
    translations: np.ndarray
    """(M, 3) in [0, 1)."""
    is_reference: bool = False
    """The standard one: origin choice 2, hexagonal axes, unique axis b with cell choice 1."""

    def __len__(self) -> int:
        return len(self.rotations)

    @cached_property
    def operations(self) -> frozenset[tuple[int, ...]]:
        """To compare settings by."""
        steps = np.rint(self.translations / _DIGITS).astype(int) % round(1 / _DIGITS)
        return frozenset(map(tuple, np.concatenate([self.rotations.reshape(-1, 9), steps], axis=1).tolist()))


def space_groups_by_symbol(symbol: str) -> tuple[SpaceGroupSetting, ...]:
    """The settings that a Hermann–Mauguin symbol may stand for; none if it is not known.

    Short, full and extended symbols, with spaces or without, in any case, with underscores or brackets, old ones
    (F m 3 m, C m c a and C m c e), and the endings that name an origin or axes: `:2`, `:H`, `S`, `Z`,
    `(origin choice 2)`, `:b1`, ….
    """
    text = re.sub(r"[−–‐]", "-", symbol.strip()).lower()
    text = re.sub(r"(?<!-)(\d)-", r"-\1", text)  # "F d 3- m"
    text = re.sub(r"\((?:no\.?\s*)?\d{2,3}\)$", "", text)  # "P n m a (62)"
    text = re.sub(r"[\s_()\[\]#]", "", text)
    if found := _called(text):
        return found
    origin = re.fullmatch(r"(.+?):?(?:originchoice|origin|setting|or?)([12])", text)
    axes = re.fullmatch(r"(.{2,}?):?(?:(h)ex(?:agonal)?|(r)homb(?:ohedral)?)(?:axes|setting)?", text)
    letter = re.fullmatch(r"(.{2,}?)([szhr])s?", text)
    for match in (re.fullmatch(r"(.+?):(.+)", text), origin, axes, letter):
        if match is not None:
            name, code = [part for part in match.groups() if part]
            found = tuple(setting for setting in _called(name) if _CODES.get(code, code) in _codes(setting.name))
            if found:
                return found
    known = gemmi.find_spacegroup_by_name(symbol) if symbol.isascii() else None
    return () if known is None else (_setting(known.xhm()),)


def space_groups_by_number(number: int, code: str = "") -> tuple[SpaceGroupSetting, ...]:
    """The settings of a space group, the reference one first; with a code ("2", "h", "-b1", "cab"), only those.

    Raises:
        IrrepnetError: the number is not from 1 to 230.
    """
    if not 1 <= number <= 230:
        raise IrrepnetError(f"the space group has the number {number}, they go from 1 to 230")
    found = sorted(_of_number()[number], key=lambda setting: not setting.is_reference)
    return tuple(setting for setting in found if not code or code.strip().lower() in _codes(setting.name))


def space_group_by_hall(symbol: str) -> SpaceGroupSetting:
    """The setting of a Hall symbol.

    Raises:
        IrrepnetError: it is none.
    """
    text = symbol.strip().replace("_", " ").replace("=", '"').replace("''", '"')  # as spglib and quoted texts write "
    try:
        operations = [operation for operation in gemmi.symops_from_hall(text)]
    except Exception as error:  # gemmi raises RuntimeError, IndexError or ValueError
        raise IrrepnetError(f"{symbol!r} is no Hall symbol: {error}") from error
    return _identified(f"Hall symbol {symbol.strip()}", *_arrays(operations))


@lru_cache(maxsize=4096)
def space_group_by_operations(triplets: tuple[str, ...]) -> tuple[SpaceGroupSetting, int]:
    """The group that operations such as "-x, y+1/2, -z+1/2" make, and how many of it were listed.

    Raises:
        IrrepnetError: one of them cannot be read, or they make no finite group of a crystal.
    """
    rotations, translations = map(np.array, zip(*map(_operation, triplets)))
    if (abs(np.rint(np.linalg.det(rotations))) != 1).any():
        bad = triplets[int(np.argmax(abs(np.rint(np.linalg.det(rotations))) != 1))]
        raise IrrepnetError(f"the symmetry operation {bad!r} is not one of a crystal")
    listed = _unique(rotations, translations)
    known = _by_operations().get(SpaceGroupSetting("", None, *listed).operations)
    return known or _identified("the operations", *_closure(*listed)), len(listed[0])


def _operation(triplet: str) -> tuple[np.ndarray, np.ndarray]:
    parts = re.split(r"[,;]", re.sub(r"[\s*'\"]", "", re.sub(r"[−–‐]", "-", triplet)).lower())
    rotation, translation = np.zeros((3, 3), int), np.zeros(3)
    if len(parts) not in (3, 4):  # the fourth says whether a magnetic operation reverses time
        raise IrrepnetError(f"the symmetry operation {triplet!r} cannot be read; it should look like -x,y+1/2,-z")
    for row, part in enumerate(parts[:3]):
        if not _TERMS.fullmatch(part):
            raise IrrepnetError(f"the symmetry operation {triplet!r} cannot be read; it should look like -x,y+1/2,-z")
        for sign, top, under, axis in _TERM.findall(part):
            value = float(f"{sign}{top or 1}") / float(under or 1)
            if not axis:
                translation[row] += value
            elif value == round(value):
                rotation[row, "xyz".index(axis)] += round(value)
            else:
                raise IrrepnetError(f"the symmetry operation {triplet!r} is not one of a crystal")
    exact = np.rint(translation * 24) / 24  # 0.3333 is a third
    return rotation, np.where(abs(translation - exact) < _DIGITS, exact, translation) % 1.0


def _closure(rotations: np.ndarray, translations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The group that operations generate, with the identity first."""
    found = _unique(
        np.concatenate([np.eye(3, dtype=int)[None], rotations]), np.concatenate([np.zeros((1, 3)), translations])
    )
    made = found
    while len(made[0]):
        products = np.einsum("aij,bjk->abik", rotations, made[0]).reshape(-1, 3, 3)
        steps = (np.einsum("aij,bj->abi", rotations, made[1]) + translations[:, None]).reshape(-1, 3)
        known = len(found[0])
        found = _unique(np.concatenate([found[0], products]), np.concatenate([found[1], steps]))
        if len(found[0]) > 10 * LARGEST:
            raise IrrepnetError("the symmetry operations make no group of a crystal in this cell; one of them is wrong")
        made = found[0][known:], found[1][known:]
    return found


def _unique(rotations: np.ndarray, translations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each operation once, in the order of their first appearance."""
    steps = np.rint(translations / _DIGITS).astype(int) % round(1 / _DIGITS)
    _, first = np.unique(np.concatenate([rotations.reshape(-1, 9), steps], axis=1), axis=0, return_index=True)
    first.sort()
    return rotations[first], translations[first] % 1.0


def _identified(name: str, rotations: np.ndarray, translations: np.ndarray) -> SpaceGroupSetting:
    """With the name and the number of the setting that has these operations, if there is one."""
    found = SpaceGroupSetting(name, None, rotations, translations)
    same = _by_operations().get(found.operations)
    if same is not None:
        return same
    return SpaceGroupSetting(name, _number(rotations, translations), rotations, translations)


def _number(rotations: np.ndarray, translations: np.ndarray) -> int | None:
    """By moyopy, from the operations of a primitive cell."""
    basis = _primitive(translations[(rotations == np.eye(3, dtype=int)).all((1, 2))])
    if basis is None:
        return None
    inverse = np.linalg.inv(basis)
    turned = np.einsum("ij,ajk,kl->ail", inverse.T, rotations, basis.T)
    steps = translations @ inverse
    _, first = np.unique(np.rint(turned).astype(int).reshape(-1, 9), axis=0, return_index=True)
    try:
        return moyopy.SpaceGroup(np.rint(turned[first]).astype(int).tolist(), steps[first].tolist()).number
    except ValueError:
        return None


def _primitive(centrings: np.ndarray) -> np.ndarray | None:
    """(3, 3) rows, right-handed: short vectors of the lattice that all pure translations of a cell, (m, 3), make."""
    corners = np.array(list(product((0, 1), repeat=3)))
    points = np.unique(np.round((centrings[:, None] - corners).reshape(-1, 3), 9), axis=0)
    points = points[np.argsort(np.linalg.norm(points, axis=1), kind="stable")][1:40]
    for three in combinations(points, 3):
        volume = np.linalg.det(three)
        if abs(abs(volume) * len(centrings) - 1) < 1e-6:
            return np.array(three) * np.sign(volume)
    return None


def _codes(name: str) -> set[str]:
    """What tells a setting apart from others of the same space group, or of the same symbol."""
    known = _gemmi_by_name()[name]
    ext, qualifier = known.ext.strip("\x00 ").lower(), known.qualifier.lower()
    return {ext, qualifier, ext + qualifier} - {""}


@cache
def _gemmi_by_name() -> dict[str, gemmi.SpaceGroup]:
    return {known.xhm(): known for known in gemmi.spacegroup_table()}


@cache
def _setting(name: str) -> SpaceGroupSetting:
    known = _gemmi_by_name()[name]
    rotations, translations = _arrays(known.operations())
    return SpaceGroupSetting(name, known.number, rotations, translations, known.is_reference_setting())


def _arrays(operations: Iterable[gemmi.Op]) -> tuple[np.ndarray, np.ndarray]:
    listed = list(operations)
    rotations = np.array([operation.rot for operation in listed]) // gemmi.Op.DEN
    return rotations, np.array([operation.tran for operation in listed]) % gemmi.Op.DEN / gemmi.Op.DEN


@cache
def _by_operations() -> dict[frozenset[tuple[int, ...]], SpaceGroupSetting]:
    found: dict[frozenset[tuple[int, ...]], SpaceGroupSetting] = {}
    for name in _gemmi_by_name():
        found.setdefault(_setting(name).operations, _setting(name))
    return found


@cache
def _of_number() -> dict[int, tuple[SpaceGroupSetting, ...]]:
    found: dict[int, list[SpaceGroupSetting]] = {}
    for name, known in _gemmi_by_name().items():
        found.setdefault(known.number, []).append(_setting(name))
    return {number: tuple(settings) for number, settings in found.items()}


def _called(text: str) -> tuple[SpaceGroupSetting, ...]:
    """The settings of a symbol in lower case without spaces: as the table has it, else as they are also called."""
    return tuple(map(_setting, _by_symbol().get(text) or _by_other_symbol().get(text, ())))


@cache
def _by_symbol() -> dict[str, tuple[str, ...]]:
    return _collected((known.hm, name) for name, known in _gemmi_by_name().items())


@cache
def _by_other_symbol() -> dict[str, tuple[str, ...]]:
    others = [(other, name) for name, known in _gemmi_by_name().items() for other in _other_symbols(known.hm)]
    return _collected([*others, *_full_symbols()])


def _collected(symbols: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Names of settings by symbols, from pairs of a symbol and the name of a setting that it stands for."""
    found: dict[str, dict[str, None]] = {}
    for symbol, name in symbols:
        found.setdefault(_key(symbol), {})[name] = None
    return {symbol: tuple(names) for symbol, names in found.items()}


def _key(symbol: str) -> str:
    return re.sub(r"[\s_]", "", symbol).lower()


def _other_symbols(symbol: str) -> Sequence[str]:
    """Short monoclinic symbols, and cubic ones of before 1983."""
    parts = symbol.split()
    others = []
    if len(parts) == 4 and parts.count("1") == 2 and not (parts[1].startswith(("3", "-3"))):
        others.append(" ".join(part for part in parts if part != "1"))
    if len(parts) >= 3 and parts[2] == "-3":
        others.append(" ".join([*parts[:2], "3", *parts[3:]]))
    return others


def _full_symbols() -> Iterator[tuple[str, str]]:
    """Full Hermann–Mauguin symbols ("F 41/d -3 2/m"), each with the name of a setting that has it."""
    for number in range(1, 531):
        entry = moyopy.HallSymbolEntry(number)
        setting = _by_operations().get(space_group_by_hall(entry.hall_symbol).operations)
        if setting is not None:
            yield entry.hm_full, setting.name
