"""Elements as files name them: by symbols, by labels of sites, by what a site is shared among."""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from functools import lru_cache

from irrepnet.errors import IrrepnetError

FULL = 1e-3
"""A site is full if its occupancy is so near to 1."""
_CHARGE = r"(?:\d*\.?\d*[+-]|[+-]\d*\.?\d*)?"
_SPECIES = re.compile(rf"([A-Z][a-z]?){_CHARGE}(?:,spin=[-\d.]+)?")
_TYPE = re.compile(rf"([A-Za-z]{{1,2}})(?:{_CHARGE}|\d*)")
_SHORT_LIVED = frozenset({"No", "Cn", "Nh"})  # NO, CN and NH are something else
_WATER = frozenset({"WAT", "WATER", "AQ", "HOH"})
_HYDRIDE = re.compile(r"(?:(?P<before>[BCNOS])[HD]\d*|[HD]\d?(?P<after>[CNOS])[HD]?\d?)")


@lru_cache(maxsize=4096)
def atomic_number(symbol: str) -> int:
    """Atomic number of an element symbol; an oxidation state ("Fe3+", "O-2") is stripped, D and T are H.

    Raises:
        IrrepnetError: the symbol names no element.
    """
    from pymatgen.core.periodic_table import Element

    match = _SPECIES.fullmatch(symbol) if isinstance(symbol, str) else None
    if match is None or not Element.is_valid_symbol(match[1]):
        raise IrrepnetError(f"unknown element {symbol!r}")
    return Element(match[1]).Z


def element_of_type(symbol: str, formula: Collection[str] = ()) -> str:
    """The element of a type symbol of a CIF, "Fe3+", "FE", "O-2", or the heavy atom of a group, "OH", "H2O", "NH4".

    Args:
        formula: symbols of the elements that the file's formula has, to tell NO (nobelium, nitrogen) apart.

    Raises:
        IrrepnetError: it names none, or several.
    """
    text = symbol.strip()
    if re.search(r"[\d.)][A-Z][^+]*\+|[A-Za-z][,/][A-Z]", text):  # "0.75Si + 0.25Al", "Fe/Mn"
        raise IrrepnetError(f"is disordered ({text}); only sites that one element fills are supported")
    found = []
    match = _TYPE.fullmatch(text)
    if match is not None and _is_element(match[1].capitalize()):
        found.append(match[1].capitalize())
    hydride = _HYDRIDE.fullmatch(re.sub(r"[+-]\d*$|\d[+-]$", "", text))
    if text.upper() in _WATER:
        found.append("O")
    elif hydride is not None:
        found.append(hydride["before"] or hydride["after"])
    return _chosen(found, formula, f"the type symbol {symbol!r}")


def element_of_label(label: str, formula: Collection[str] = (), numbers_hydrogens: bool = False) -> str:
    """The element of an atom that has a label alone, "Fe1", "O1W", "OH2", "CL3".

    What a label may mean in more than one way, the formula decides: CA1 is calcium, or carbon if only that is in it.
    OH and H2O are the oxygen of hydroxyl and water, as in files of minerals.

    Args:
        formula: symbols of the elements that the file's formula has.
        numbers_hydrogens: the file also has a label H1O, so that H2O is the second hydrogen of an oxygen.

    Raises:
        IrrepnetError: it names none, or may name several.
    """
    match = re.match(r"[A-Za-z]+", label.strip())
    letters = match[0] if match else ""
    found = []
    if letters.upper() in _WATER or (label.startswith("H2O") and not numbers_hydrogens):
        found.append("O")
    elif letters:
        found = [text for text in dict.fromkeys((letters[:2].capitalize(), letters[0].upper())) if _is_element(text)]
        if "T" in found and "T" not in formula:  # a tetrahedral site, not tritium
            found.remove("T")
        if letters == "W" and "W" not in formula and "O" in formula:  # of water
            found = ["O"]
        if not letters.isupper() and not (len(found) == 2 and found[0] not in formula and found[1] in formula):
            found = found[:1]  # "Ca1" is carbon only if the formula says so
    return _chosen(found, formula, f"the label {label!r}")


def is_hydride(text: str) -> bool:
    """Whether a type symbol or a label stands for a group with hydrogens: OH, H2O, Wat1, NH4."""
    letters = re.match(r"(OH\d?|H2O|NH\d|[A-Z]+)", text.upper())
    return letters is not None and (letters[0] in _WATER or _HYDRIDE.fullmatch(letters[0]) is not None)


def only_element(amounts: Mapping[str, float]) -> str:
    """The symbol of the element that fills a site alone; several of its charges may share it, and H and D.

    Args:
        amounts: occupancies by symbol, with or without charges.

    Raises:
        IrrepnetError: the site is shared by elements, or not full: "is disordered (Fe 0.5, Mn 0.5)".
    """
    total: Counter[str] = Counter()
    for symbol, amount in amounts.items():
        total[_hydrogen(symbol)] += amount  # type: ignore[assignment] (amounts are no integers)
    if len(total) != 1 or abs(sum(total.values()) - 1) > FULL * 1.001:
        shares = ", ".join(f"{symbol} {amount:.4g}" for symbol, amount in amounts.items())
        raise IrrepnetError(f"is disordered ({shares}); only sites that one element fills are supported")
    return next(iter(total))


def _hydrogen(symbol: str) -> str:
    match = _SPECIES.fullmatch(symbol)
    plain = match[1] if match else symbol
    return "H" if plain in ("D", "T") else plain


def _is_element(symbol: str) -> bool:
    from pymatgen.core.periodic_table import Element

    return Element.is_valid_symbol(symbol)


def _chosen(found: list[str], formula: Collection[str], what: str) -> str:
    if not found:
        raise IrrepnetError(f"{what} names no element")
    found = [symbol for symbol in found if len(found) == 1 or symbol not in _SHORT_LIVED]
    named = [symbol for symbol in found if symbol in formula]
    if len(set(found)) > 1 and not named:
        raise IrrepnetError(f"{what} may be {' or '.join(found)}, and no formula tells; write _atom_site_type_symbol")
    return (named or found)[0]  # if the formula has both, its amounts are compared later
