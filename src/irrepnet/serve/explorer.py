"""The pages of the point groups: all that `irrepnet groups` prints of one, to be clicked through, with pictures."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import asdict, dataclass
from functools import cache
from io import BytesIO
from threading import Lock
from typing import Any

from irrepnet.errors import IrrepnetError
from irrepnet.groups import SETTINGS, DoubleGroup, PointGroup
from irrepnet.groups.picture import draw_covariant
from irrepnet.groups.reports import (
    AnyPointGroup,
    axes_of_subgroup,
    character_table,
    conventions,
    coupling_table,
    coupling_title,
    describe_correlation,
    describe_covariants,
    double_character_table,
    double_conventions,
    list_groups,
    natural_parity,
    title,
)
from irrepnet.report.html import in_sum, render

_LARGEST_L = 6
_drawing = Lock()  # pyplot is not used, but fonts and caches of matplotlib are shared by threads


@dataclass(frozen=True)
class Choice:
    """What the page of a group shows: irreps and a subgroup, "" for one that is of interest."""

    a: str = ""
    b: str = ""
    c: str = ""
    subgroup: str = ""
    irrep: str = ""


def group_list_page() -> str:
    """The page of all groups, with links to theirs."""
    return render("groups.html", "Point groups", connects=True, groups=_group_list())


def group_page(g: AnyPointGroup, choice: Choice) -> str:
    """The page of a group: characters, products, the couplings A ⊗ B → C, the subduction to a subgroup and from O(3),
    and, without spin, pictures of the covariants of an irrep.

    Raises:
        IrrepnetError: the group has no such irrep or subgroup.
    """
    double = isinstance(g, DoubleGroup)
    group = g.group if double else g
    subgroups = fitting_subgroups(group)
    chosen = _completed(g, choice, subgroups)
    a, b, c = chosen.a, chosen.b, chosen.c
    products = _products(g)
    correlation = describe_correlation(g, chosen.subgroup) if chosen.subgroup else {"correlation": {}}
    table = (double_character_table if isinstance(g, DoubleGroup) else character_table)(g)  # pyright: ignore[reportArgumentType]
    return render(
        "group.html",
        title(g)[0].upper() + title(g)[1:] if double else title(g),
        connects=True,
        name=group.name,
        double=double,
        irreps=[irrep.label for irrep in g.irreps],
        characters=table,
        conventions=double_conventions(g) if isinstance(g, DoubleGroup) else conventions(g),
        products=products,
        chosen=asdict(chosen) | ({"double": 1} if double else {}),
        couplings=coupling_table(g, a, b, c),
        coupling_title=coupling_title(g, a, b, c),
        subgroups=subgroups,
        correlation=[[label, in_sum(counts)] for label, counts in correlation["correlation"].items()],
        axes=axes_of_subgroup(correlation) if chosen.subgroup else "",
        spheres=_spheres(g),
        pictures=[] if double else pictures(group, chosen.irrep),
        invariants=[] if double else group.invariants.degrees,
        partner=not double and group.irrep(chosen.irrep).type == "complex",
    )


@cache
def fitting_subgroups(group: PointGroup) -> list[str]:
    """The named groups that are proper subgroups in some orientation, the largest first."""
    found = []
    for name in SETTINGS:
        order = PointGroup(name).order
        if order < group.order and group.order % order == 0:
            try:
                group.subgroup(name)
            except IrrepnetError:
                continue
            found.append(name)
    return sorted(found, key=lambda name: -PointGroup(name).order)


@cache
def pictures(group: PointGroup, label: str) -> list[dict[str, Any]]:
    """A mapping a generator of the covariants of an irrep: ``degree`` and ``components``, each with its ``text`` and
    its ``picture``, a PNG in base 64."""
    document = describe_covariants(group, label)
    return [
        {
            "degree": degree,
            "components": [
                {"text": text, "picture": _picture(group, label, generator, component)}
                for component, text in enumerate(texts)
            ],
        }
        for generator, (degree, texts) in enumerate(zip(document["degrees"], document["components"]))
    ]


def _picture(group: PointGroup, label: str, generator: int, component: int) -> str:
    stream = BytesIO()
    with _drawing:
        draw_covariant(group, label, generator, component, stream)
    return b64encode(stream.getvalue()).decode()


def _completed(g: AnyPointGroup, choice: Choice, subgroups: list[str]) -> Choice:
    """The same with the labels as the page has them, and a choice where there was none: what acts on a vector, or on a
    spin."""
    first = next(iter(g.subduce(0.5, 1) if isinstance(g, DoubleGroup) else g.subduce(1, -1)))
    a, b = (g.irrep(label or first).label for label in (choice.a, choice.b))
    subgroup = PointGroup(choice.subgroup).name if choice.subgroup else next(iter(subgroups), "")
    if subgroup and subgroup not in subgroups:
        raise IrrepnetError(f"{subgroup} is no proper subgroup of {g.name}")
    return Choice(
        a,
        b,
        g.irrep(choice.c or list(g.product(a, b))[-1]).label,
        subgroup,
        "" if isinstance(g, DoubleGroup) else g.irrep(choice.irrep or first).label,
    )


@cache
def _products(g: AnyPointGroup) -> dict[tuple[str, str], dict[str, int]]:
    labels = [irrep.label for irrep in g.irreps]
    return {(a, b): g.product(a, b) for a in labels for b in labels}


@cache
def _group_list() -> list[dict[str, Any]]:
    return list_groups()


@cache
def _spheres(g: AnyPointGroup) -> tuple[list[str], list[list[str]]]:
    """Headings and rows: the irreps in l or j of O(3), of both parities."""
    if isinstance(g, DoubleGroup):
        rows = [
            [f"{twice}/2", *(_in_sphere(g, twice / 2, parity) for parity in (1, -1))]
            for twice in range(1, 2 * _LARGEST_L, 2)
        ]
        return ["j", "even", "odd"], rows
    rows = [
        [str(l), *(_in_sphere(g, l, sign * natural_parity(2 * l)) for sign in (1, -1))] for l in range(_LARGEST_L + 1)
    ]
    return ["l", "parity (−1)ˡ, of harmonics", "the other parity"], rows


def _in_sphere(g: AnyPointGroup, j: float, parity: int) -> str:
    return in_sum({label: len(basis) for label, basis in g.subduce(j, parity).items()})  # pyright: ignore[reportArgumentType]
