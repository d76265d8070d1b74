"""The Materials Project: documents of its REST API, with the user's key.

The protocol is that of https://api.materialsproject.org/docs, by which `mp-api` gets its documents too: GET
materials/QUERY/ with filters, `_fields`, `_limit` and `_skip`, and the header X-API-KEY; `meta.total_doc` says how many
there are, `heartbeat` which version of the database answers. It is spoken here, and not by `mp-api`, for that brings
boto3, deltalake, pyarrow and emmet, and gives no page as it came.
"""

import os
import string
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import numpy as np

from irrepnet.data.fetch.http import Client, OnProgress
from irrepnet.data.fetch.raw import FetchRequest, Raw, fetch_pages, kept
from irrepnet.data.records import Record, Rejection
from irrepnet.data.sources.crystal import attempt, id_of, record_of
from irrepnet.data.sources.files import Items
from irrepnet.errors import IrrepnetError

MP = "https://api.materialsproject.org"
LICENCE = (
    "CC BY 4.0, of some materials CC BY-NC 4.0 (the property `licence` of the records); terms of use: "
    "https://next-gen.materialsproject.org/about/terms"
)
_LICENCES = {"BY-C": "CC BY 4.0", "BY-NC": "CC BY-NC 4.0"}
CITATION = ["A. Jain et al., APL Mater. 1, 011002 (2013), doi:10.1063/1.4812323"]
PAGE, IDS = 1000, 200
"""Documents a page, and ids in an address."""

QUERIES: dict[str, tuple[str, ...]] = {
    "summary": (
        "formation_energy_per_atom", "energy_above_hull", "band_gap", "is_gap_direct", "is_metal", "is_stable",
        "theoretical", "total_magnetization_normalized_formula_units", "bulk_modulus", "shear_modulus",
    ),
    "elasticity": ("elastic_tensor", "bulk_modulus", "shear_modulus", "state", "warnings"),
    "dielectric": ("total", "electronic", "n"),
    "piezoelectric": ("total", "e_ij_max"),
}  # fmt: skip
"""What can be asked for, and the fields of a document besides the id, the structure and the licence."""

UNITS = {
    "formation_energy_per_atom": "eV/atom",
    "e_above_hull": "eV/atom",
    "band_gap": "eV",
    "total_magnetization_normalized_formula_units": "μ_B/formula unit",
    "K_VRH": "GPa",
    "G_VRH": "GPa",
    "elastic_tensor": "GPa",
    "elastic_tensor_original": "GPa",
    "piezoelectric_tensor": "C/m²",
    "eij_max": "C/m²",
}
_NAMES = {"energy_above_hull": "e_above_hull", "e_ij_max": "eij_max"}


def fetch_mp(request: FetchRequest, progress: OnProgress) -> Raw:
    """The pages of a query: `summary`, `elasticity`, `dielectric` or `piezoelectric`; filters are those of the API, as
    in `elements=Si,O&band_gap_min=1`.

    The last two have no structures; those of the summaries follow every page of them.

    Raises:
        IrrepnetError: another query, no key, and as `fetch_pages`.
    """
    query = request.query or "summary"
    if query not in QUERIES:
        raise IrrepnetError(f"--query {query}: of mp there are {', '.join(QUERIES)}")
    base = (request.url or MP).rstrip("/")
    has_structures = query in ("summary", "elasticity")
    names = {"material_id", "builder_meta", *(request.fields or QUERIES[query])} | (
        {"structure"} if has_structures else set()
    )
    asked = {
        "source": "mp",
        "url": base,
        "query": query,
        "filter": request.filter,
        "fields": sorted(names),
        "most": request.most,
    }
    if not request.fresh and (raw := kept(asked)) is not None:
        return raw
    wanted = parse_qsl(request.filter)
    if request.filter and (not wanted or any(name.startswith("_") for name, _ in wanted)):
        raise IrrepnetError(f"--filter {request.filter}: write it as elements=Si,O&band_gap_min=1")
    client = Client(base, _key(request))
    _, beat = client.document(f"{base}/heartbeat")
    version = str(beat.get("db_version") or "")[:100]
    page_size = PAGE if has_structures else IDS

    def address(skip: int) -> str:
        size = page_size if request.most is None else min(page_size, request.most - skip)
        asking = [*wanted, ("_fields", ",".join(sorted(names))), ("_limit", size), ("_skip", skip)]
        return f"{base}/materials/{query}/?{urlencode(asking, safe=',', quote_via=quote)}"

    def following(url: str, page: dict[str, Any]) -> list[str]:
        if _path_of(url) != query:
            return []
        asking = dict(parse_qsl(urlsplit(url).query))
        done = int(asking["_skip"]) + len(page["data"])
        meta = page.get("meta")
        total = meta.get("total_doc") if isinstance(meta, dict) else None
        if not isinstance(total, int):
            raise IrrepnetError(f"{base}: a page that does not say how many documents there are (meta.total_doc)")
        total = total if request.most is None else min(total, request.most)
        ids = [] if has_structures else [id_of(entry, "") for entry in page["data"]]
        structures = {"material_ids": ",".join(ids), "_fields": "material_id,structure", "_limit": PAGE}
        with_structures = f"{base}/materials/summary/?{urlencode(structures, safe=',', quote_via=quote)}"
        return [*([with_structures] if ids else []), *([address(done)] if done < total else [])]

    about = {"version": version, "licence": LICENCE, "citation": CITATION}
    return fetch_pages(request, asked, client, about, address(0), following, progress)


def read_mp(raw: Raw) -> Items:
    """The documents as records, with the names and frames that the embedded sets have.

    The tensors of `elasticity` are in the frame of the structure (`elastic_tensor_original`) and in IEEE's; those of
    `dielectric` and `piezoelectric` are in IEEE's, which by `lattice_ieee` becomes that of the record.
    """
    query = raw.manifest["asked"]["query"]
    waiting: list[Any] = []
    for url, page in raw.documents():
        if query in ("summary", "elasticity"):
            yield from _records(query, page["data"])
        elif _path_of(url) == query:
            yield from _records(query, waiting)
            waiting = page["data"]
        else:
            crystals = {id_of(entry, ""): entry.get("structure") for entry in page["data"] if isinstance(entry, dict)}
            for entry in waiting:
                if isinstance(entry, dict):
                    entry["structure"] = crystals.get(id_of(entry, ""))
    yield from _records(query, waiting)


def _records(query: str, documents: Iterable[Any]) -> Iterable[Record | Rejection]:
    for document in documents:
        id = id_of(document, "without id")
        yield attempt(id, f"mp {query}", _record, query, document, id)


def _record(query: str, document: Any, id: str) -> Record:
    if not isinstance(document, Mapping) or document.get("structure") is None:
        raise IrrepnetError("a document without a structure")
    known: dict[str, Any] = {}
    for name, value in document.items():
        if name in ("bulk_modulus", "shear_modulus"):
            known["K_VRH" if name == "bulk_modulus" else "G_VRH"] = _part(value, "vrh")
        elif name == "builder_meta":
            known["licence"] = _LICENCES.get(str(_part(value, "license")))
        elif name == "elastic_tensor":
            known |= {"elastic_tensor_original": _part(value, "raw"), "elastic_tensor": _part(value, "ieee_format")}
        elif query == "dielectric" and name in ("total", "electronic", "ionic"):
            known[f"e_{name}"] = value
        elif query == "dielectric" and name in ("e_total", "e_electronic", "e_ionic"):
            known[name.replace("e_", "poly_")] = value  # a mean of the diagonal
        elif query == "piezoelectric" and name == "total":
            known["piezoelectric_tensor"] = value
        else:
            known[_NAMES.get(name, str(name))] = value
    if query not in ("dielectric", "piezoelectric"):
        return record_of(known, id, source="mp")
    from pymatgen.core.tensors import Tensor

    bare = record_of({"structure": known.pop("structure")}, id)
    turn = Tensor.get_ieee_rotation(bare.structure())
    crystal = {"species": bare.species, "frac_coords": bare.frac_coords, "lattice": bare.lattice}
    return Record.from_dict({**known, **crystal, "lattice_ieee": np.asarray(bare.lattice) @ turn.T}, id, "mp")


def _part(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None


def _path_of(url: str) -> str:
    return urlsplit(url).path.rstrip("/").rpartition("/")[2]


def _key(request: FetchRequest) -> str:
    """The user's key, which no message and no file repeats."""
    how = "get one at https://next-gen.materialsproject.org/api and put it into MP_API_KEY, or a file for --key-file"
    if request.key_file is not None:
        try:
            key = request.key_file.read_text(encoding="utf-8", errors="replace").strip()
        except OSError as error:
            raise IrrepnetError(f"{request.key_file}: cannot be read: {error.strerror}") from None
    else:
        key = os.environ.get("MP_API_KEY", "").strip()
    if not key:
        raise IrrepnetError(f"the Materials Project needs a key; {how}")
    if len(key) > 200 or not set(key) <= set(string.ascii_letters + string.digits + "-_"):
        where = request.key_file or "MP_API_KEY"
        raise IrrepnetError(f"{where}: what is there is no key of the Materials Project; {how}")
    return key
