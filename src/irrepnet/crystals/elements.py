"""Element symbols as files write them."""

import re
from functools import cache

from irrepnet.errors import IrrepnetError

_SPECIES = re.compile(r"([A-Z][a-z]?)(?:\d*\.?\d*[+-])?(?:,spin=[-\d.]+)?")


@cache
def atomic_number(symbol: str) -> int:
    """Atomic number of an element symbol; an oxidation state ("Fe3+") is stripped, D and T are H.

    Raises:
        IrrepnetError: the symbol names no element.
    """
    from pymatgen.core.periodic_table import Element

    match = _SPECIES.fullmatch(symbol) if isinstance(symbol, str) else None
    if match is None or not Element.is_valid_symbol(match[1]):
        raise IrrepnetError(f"unknown element {symbol!r}")
    return Element(match[1]).Z
