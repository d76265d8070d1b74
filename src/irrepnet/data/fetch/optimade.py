"""Any database that speaks OPTIMADE (https://specification.optimade.org): structures, with what the provider adds.

GET BASE/v1/structures with `filter`, `response_fields` and `page_limit`, then `links.next` as long as there is one;
BASE/v1/info names the licence. It is spoken here, and not by the client of `optimade`, which keeps no page as it came,
follows links to any host, and does not go on with what was interrupted.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import numpy as np

from irrepnet.data.fetch.http import Client, OnProgress, linked, shown
from irrepnet.data.fetch.raw import FetchRequest, Raw, fetch_pages, kept
from irrepnet.data.records import Record, number_array
from irrepnet.data.sources.crystal import attempt, id_of
from irrepnet.data.sources.files import Items
from irrepnet.errors import IrrepnetError
from irrepnet.inlets import check_atoms

PROVIDERS = {
    "mp": "https://optimade.materialsproject.org",
    "oqmd": "https://oqmd.org/optimade",
    "alexandria": "https://alexandria.icams.rub.de/pbe",
    "cod": "https://www.crystallography.net/cod/optimade",
    "jarvis": "https://jarvis.nist.gov/optimade/jarvisdft",
    "nomad": "https://nomad-lab.eu/prod/v1/api/optimade",
}
"""A few base addresses; all providers are at https://providers.optimade.org."""
CITATION = ["C. W. Andersen et al., Sci. Data 8, 217 (2021), doi:10.1038/s41597-021-00974-z (OPTIMADE)"]
PAGE = 100
CRYSTAL_FIELDS = (
    "lattice_vectors", "cartesian_site_positions", "species_at_sites", "species", "dimension_types",
    "structure_features",
)  # fmt: skip


def fetch_optimade(request: FetchRequest, progress: OnProgress) -> Raw:
    """The pages of structures that a filter takes.

    Raises:
        IrrepnetError: no address, a link to another host, and as `fetch_pages`.
    """
    if not (request.url or request.query):
        raise IrrepnetError(f"give the --url of a provider, or --query with one of {', '.join(PROVIDERS)}")
    if not request.url and request.query not in PROVIDERS:
        raise IrrepnetError(f"--query {request.query}: known are {', '.join(PROVIDERS)}; else give its --url")
    base = (request.url or PROVIDERS[request.query]).rstrip("/")
    base = base if re.search(r"/v\d[\d.]*$", base) else f"{base}/v1"
    asked = {
        "source": "optimade",
        "url": base,
        "filter": request.filter,
        "fields": list(request.fields),
        "most": request.most,
    }
    if not request.fresh and (raw := kept(asked)) is not None:
        return raw
    client = Client()
    about = _about(client, base, request.fields)
    asking = {"response_fields": ",".join([*CRYSTAL_FIELDS, *request.fields]), "page_limit": PAGE}
    if request.filter:
        asking = {"filter": request.filter, **asking}
    seen = 0

    def following(url: str, page: dict[str, Any]) -> list[str]:
        nonlocal seen
        seen += len(page["data"])
        links = page.get("links")
        link = links.get("next") if isinstance(links, dict) else None
        link = link.get("href") if isinstance(link, dict) else link
        if not link or (request.most is not None and seen >= request.most):
            return []
        return [_same_host(base, linked(url, str(link)))]

    first = f"{base}/structures?{urlencode(asking, safe=',', quote_via=quote)}"
    return fetch_pages(request, asked, client, about, first, following, progress)


def read_optimade(raw: Raw) -> Items:
    """The structures as records; those that are not ordered, not periodic in three directions, or have atoms without
    positions, are rejections."""
    source = raw.manifest["asked"]["url"]
    entries = (entry for _, page in raw.documents() for entry in page["data"])
    for number, entry in enumerate(entries, start=1):
        id = id_of(entry, str(number))
        yield attempt(id, shown(source), _record, entry, id, source)


def _record(entry: Any, id: str, source: str) -> Record:
    found = entry.get("attributes") if isinstance(entry, Mapping) else None
    if not isinstance(found, Mapping):
        raise IrrepnetError("an entry without attributes")
    periodic = found.get("dimension_types")
    if periodic is not None and periodic != [1, 1, 1]:
        raise IrrepnetError(f"dimension_types {str(periodic)[:50]}: a crystal is periodic in all three directions")
    features = set(map(str, found.get("structure_features") or ()))
    if wrong := features & {"disorder", "implicit_atoms", "site_attachments", "assemblies", "unknown_positions"}:
        raise IrrepnetError(f"its features are {', '.join(sorted(wrong))}: every site must have one atom")
    at_sites = found.get("species_at_sites")
    if not isinstance(at_sites, list) or not at_sites:
        raise IrrepnetError("no species_at_sites")
    check_atoms(len(at_sites))
    elements = {one.get("name"): _element(one) for one in found.get("species") or () if isinstance(one, Mapping)}
    lattice = number_array(found.get("lattice_vectors"), (3, 3), "lattice_vectors")
    positions = number_array(found.get("cartesian_site_positions"), (len(at_sites), 3), "cartesian_site_positions")
    known = {name: value for name, value in found.items() if name not in CRYSTAL_FIELDS}
    crystal = {
        "species": [elements.get(name, name) for name in at_sites],
        "frac_coords": np.linalg.solve(lattice.T, positions.T).T,
        "lattice": lattice,
    }
    return Record.from_dict({**known, **crystal}, id, source)


def _element(species: Mapping[str, Any]) -> str:
    symbols, shares = species.get("chemical_symbols"), species.get("concentration")
    only = symbols[0] if isinstance(symbols, list) and len(symbols) == 1 and shares in (None, [1]) else None
    if only in (None, "X", "vacancy"):
        what = f"{species.get('name')} is {symbols} with {shares}"
        raise IrrepnetError(f"the species {what[:100]}: disordered")
    return str(only)


def _about(client: Client, base: str, fields: tuple[str, ...]) -> dict[str, Any]:
    _, info = client.document(f"{base}/info")
    what, meta = _object(_object(info, "data"), "attributes"), _object(info, "meta")
    licence = what.get("license") or ""
    licence = licence.get("href") if isinstance(licence, dict) else licence
    provider = _object(meta, "provider")
    about = {
        "version": f"OPTIMADE {what.get('api_version') or meta.get('api_version') or ''}".strip()[:100],
        "licence": str(licence or "not stated; see the provider's pages")[:500],
        "citation": CITATION,
        "provider": {
            name: str(provider[name])[:500] for name in ("name", "description", "homepage") if name in provider
        },
    }
    if fields:
        _, described = client.document(f"{base}/info/structures")
        entries = _object(_object(described, "data"), "properties")
        units = {name: _object(entries, name) for name in fields}
        about["units"] = {
            name: str(unit.get("x-optimade-unit") or unit.get("unit") or "")[:50] for name, unit in units.items()
        }
    return about


def _object(content: Any, name: str) -> dict[str, Any]:
    value = content.get(name) if isinstance(content, dict) else None
    return value if isinstance(value, dict) else {}


def _same_host(base: str, link: str) -> str:
    """The link, by the protocol of the base: behind a proxy some servers call themselves http."""
    ours, theirs = urlsplit(base), urlsplit(link)
    if theirs.hostname != ours.hostname or theirs.port not in (ours.port, None, 80, 443):
        raise IrrepnetError(f"{shown(base)}: names another host for the next page: {shown(link)}")
    return theirs._replace(scheme=ours.scheme, netloc=ours.netloc).geturl()
