"""JARVIS-DFT: the archives that NIST publishes on figshare, a zipped JSON list of crystals each.

https://api.figshare.com/v2/articles/NUMBER states the licence, how to cite, and the md5 of the files of the latest
version of an article.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from irrepnet.data.fetch.http import Client, OnProgress
from irrepnet.data.fetch.raw import FetchRequest, Raw, fetch_file
from irrepnet.data.fetch.streamed import json_items
from irrepnet.data.records import Record, number_array
from irrepnet.data.sources.crystal import attempt
from irrepnet.data.sources.files import Items
from irrepnet.errors import IrrepnetError

FIGSHARE = "https://api.figshare.com/v2/articles"
CITATION = ["K. Choudhary et al., npj Comput. Mater. 6, 173 (2020), doi:10.1038/s41524-020-00440-1"]


class Archive(NamedTuple):
    """A file on figshare."""

    file: int
    article: int
    """Of which it is a file."""
    version: str


ARCHIVES = {
    "dft_3d": Archive(38521619, 6815699, "2022-12-12"),
    "dft_2d": Archive(38521268, 6815705, "2022-12-12"),
    "dft_3d_2021": Archive(29204826, 6815699, "2021-08-18"),
    "dft_2d_2021": Archive(26808917, 6815705, "2021-03-12"),
}

UNITS = {
    "formation_energy_per_atom": "eV/atom",
    "e_above_hull": "eV/atom",
    "optb88vdw_bandgap": "eV",
    "optb88vdw_total_energy": "eV/atom",
    "mbj_bandgap": "eV",
    "hse_gap": "eV",
    "bulk_modulus_kv": "GPa",
    "shear_modulus_gv": "GPa",
    "exfoliation_energy": "meV/atom",
    "dfpt_piezo_max_eij": "C/m²",
    "magmom_outcar": "μ_B/cell",
    "magmom_oszicar": "μ_B/cell",
    "density": "g/cm³",
}
_NAMES = {"formation_energy_peratom": "formation_energy_per_atom", "ehull": "e_above_hull"}
LEFT_OUT = {
    "elastic_tensor": "the order of its shears and its frame are not stated",
    "raw_files": "names of files of the calculations",
    "desc": "descriptors of the network of another package",
}


def fetch_jarvis(request: FetchRequest, progress: OnProgress) -> Raw:
    """One of `ARCHIVES`.

    Raises:
        IrrepnetError: another name, and as `fetch_file`.
    """
    name = request.query or "dft_3d"
    if name not in ARCHIVES:
        raise IrrepnetError(f"--query {name}: of jarvis there are {', '.join(ARCHIVES)}")
    archive = ARCHIVES[name]
    url = request.url or f"https://ndownloader.figshare.com/files/{archive.file}"
    asked = {"source": "jarvis", "query": name, "url": url}

    def describe(client: Client) -> dict[str, Any]:
        about = {
            "name": f"{name}.json.zip",
            "version": archive.version,
            "licence": f"see https://doi.org/10.6084/m9.figshare.{archive.article}",
            "citation": CITATION,
        }
        try:
            _, article = client.document(f"{FIGSHARE}/{archive.article}")
        except IrrepnetError:  # the file may be had all the same
            return about
        licence = article.get("license")
        if isinstance(licence, dict) and licence.get("name"):
            about["licence"] = str(licence["name"])[:500]
        if article.get("citation"):
            about["citation"] = [*CITATION, str(article["citation"])[:1000]]
        for file in article.get("files") or ():
            if isinstance(file, dict) and file.get("id") == archive.file and file.get("computed_md5"):
                about["checksum"] = f"md5:{file['computed_md5']}"
        return about

    return fetch_file(request, asked, describe, progress)


def read_jarvis(raw: Raw) -> Items:
    """The crystals as records; "na" is unknown, and what is in `LEFT_OUT` is left out."""
    (path,) = raw.paths
    for number, (_, entry) in enumerate(json_items(path), start=1):
        id = str(number)
        if isinstance(entry, Mapping):
            id = str(next((entry[key] for key in ("jid", "id") if entry.get(key) is not None), number))
        yield attempt(id, f"{path.name}: {id}", _record, entry, id)


def _record(entry: Any, id: str) -> Record:
    atoms = entry.get("atoms") if isinstance(entry, Mapping) else None
    if not isinstance(atoms, Mapping):
        raise IrrepnetError("an entry without atoms")
    elements = atoms.get("elements")
    if not isinstance(elements, list):
        raise IrrepnetError("atoms without elements")
    lattice = number_array(atoms.get("lattice_mat"), (3, 3), "lattice_mat")
    coords = number_array(atoms.get("coords"), (len(elements), 3), "coords")
    if atoms.get("cartesian"):
        coords = np.linalg.solve(lattice.T, coords.T).T
    known = {
        _NAMES.get(name, str(name)): None if isinstance(value, str) and value == "na" else value
        for name, value in entry.items()
        if name not in ("atoms", "jid", "id", *LEFT_OUT)
    }
    crystal = {"species": [str(name).strip() for name in elements], "frac_coords": coords, "lattice": lattice}
    return Record.from_dict({**known, **crystal}, id, "jarvis")
