"""Matbench's and matminer's files: a pandas data frame as gzipped JSON, `index`, `columns` and `data`, with pymatgen's
structures."""

from typing import Any, NamedTuple

from irrepnet.data.fetch.http import OnProgress
from irrepnet.data.fetch.raw import FetchRequest, Raw, fetch_file
from irrepnet.data.fetch.streamed import json_items
from irrepnet.data.records import Record
from irrepnet.data.sources.crystal import attempt, record_of
from irrepnet.data.sources.files import Items
from irrepnet.errors import IrrepnetError

_MATBENCH = "https://ml.materialsproject.org/projects"
_FIGSHARE = "https://ndownloader.figshare.com/files"
_DUNN = "A. Dunn et al., npj Comput. Mater. 6, 138 (2020), doi:10.1038/s41524-020-00406-3"
_JAIN = "A. Jain et al., APL Mater. 1, 011002 (2013), doi:10.1063/1.4812323"
_DE_JONG = "M. de Jong et al., Sci. Data 2, 150009 (2015), doi:10.1038/sdata.2015.9"
_PETOUSIS = "I. Petousis et al., Sci. Data 4, 160134 (2017), doi:10.1038/sdata.2016.134"
_PETRETTO = "G. Petretto et al., Sci. Data 5, 180065 (2018), doi:10.1038/sdata.2018.65"
_CASTELLI = "I. E. Castelli et al., Energy Environ. Sci. 5, 9034 (2012), doi:10.1039/C2EE22341D"
_CHOUDHARY = "K. Choudhary et al., Sci. Rep. 7, 5179 (2017), doi:10.1038/s41598-017-05402-0"
_RICCI = "F. Ricci et al., Sci. Data 4, 170085 (2017), doi:10.1038/sdata.2017.85"


class Frame(NamedTuple):
    """A file."""

    sha256: str
    """As matminer's `dataset_metadata.json` has it."""
    names: dict[str, str]
    """Ours, of columns that have another."""
    units: dict[str, str]
    citation: tuple[str, ...]
    url: str = ""


FRAMES = {
    "matbench_mp_e_form": Frame(
        "dedcb1d4ba2e3e50dbdd45ba5bc647a00e9c2bcf8f8bf556dc8e92caa39eb21f",
        {"e_form": "formation_energy_per_atom"}, {"formation_energy_per_atom": "eV/atom"}, (_DUNN, _JAIN),
    ),
    "matbench_mp_gap": Frame(
        "58b65746bd88329986ed66031a2ac1369c7c522f7bc9f9081528e07097c2c057",
        {"gap pbe": "band_gap"}, {"band_gap": "eV"}, (_DUNN, _JAIN),
    ),
    "matbench_mp_is_metal": Frame(
        "9a028ed5750a4c76ca36e9f3c8d48fe0bf3fb21b76ec2289e58ae7048d527919", {}, {}, (_DUNN, _JAIN)
    ),
    "matbench_log_gvrh": Frame(
        "098af941f4c663270f1fe21abf20ffad6fb85ecbfcba5786ceac03983ac29da7",
        {"log10(G_VRH)": "log_G_VRH"}, {"log_G_VRH": "log10(GPa)"}, (_DUNN, _JAIN, _DE_JONG),
    ),
    "matbench_log_kvrh": Frame(
        "44b113ddb7e23aa18731a62c74afa7e5aa654199e0db5f951c8248a00955c9cd",
        {"log10(K_VRH)": "log_K_VRH"}, {"log_K_VRH": "log10(GPa)"}, (_DUNN, _JAIN, _DE_JONG),
    ),
    "matbench_dielectric": Frame(
        "83befa09bc2ec2f4b6143afc413157827a90e5e2e42c1eb507ccfa01bf26a1d6", {}, {}, (_DUNN, _JAIN, _PETOUSIS)
    ),
    "matbench_phonons": Frame(
        "4db551f21ec5f577e6202725f10e34dfc509aa7df3a6bdaac497da7f6dbbb9b3",
        {}, {"last_phdos_peak": "1/cm"}, (_DUNN, _JAIN, _PETRETTO),
    ),
    "matbench_perovskites": Frame(
        "4641e2417f8ec8b50096d2230864468dfa08278dc9d257c327f65d0305278483",
        {}, {"e_form": "eV/5-atom cell"}, (_DUNN, _CASTELLI),
    ),
    "matbench_jdft2d": Frame(
        "26057dc4524e193e32abffb296ce819b58b6e11d1278cae329a2f97817a4eddf",
        {}, {"exfoliation_en": "meV/atom"}, (_DUNN, _CHOUDHARY),
    ),
    "castelli_perovskites": Frame(
        "fc8b44d7213515f9bc2ef3a5a5d3e4b946b321c1311f14c8be31f857b61b10d7",
        {}, {"gap_gllbsc": "eV", "fermi_level": "eV", "fermi_width": "eV", "mu_b": "μ_B"}, (_CASTELLI,),
        f"{_FIGSHARE}/13284197",
    ),
    "boltztrap_mp": Frame(
        "02c8ea59a3805cdd50aef6f6f55c3d0148eda9e5cab871ff37d2fa46fb5941d7",
        {}, {"pf_n": "μW/(cm² K)", "pf_p": "μW/(cm² K)", "s_n": "μV/K", "s_p": "μV/K"}, (_RICCI,),
        f"{_FIGSHARE}/13297511",
    ),
}  # fmt: skip
"""Those of crystals with a structure, not only a composition."""
LICENCE = "of the sources that are cited; the Materials Project's is CC BY 4.0"


def fetch_matbench(request: FetchRequest, progress: OnProgress) -> Raw:
    """One of `FRAMES`, whose sha256 is known.

    Raises:
        IrrepnetError: another name, and as `fetch_file`.
    """
    name = request.query if request.query in FRAMES else f"matbench_{request.query}"
    if name not in FRAMES:
        raise IrrepnetError(f"--query {request.query}: of matbench there are {', '.join(FRAMES)}")
    frame = FRAMES[name]
    asked = {"source": "matbench", "query": name, "url": request.url or frame.url or f"{_MATBENCH}/{name}.json.gz"}
    about = {
        "name": f"{name}.json.gz",
        "version": "matbench v0.1" if name.startswith("matbench") else "",
        "licence": LICENCE,
        "citation": list(frame.citation),
        "units": frame.units,
        "checksum": f"sha256:{frame.sha256}",
    }
    return fetch_file(request, asked, lambda client: about, progress)


def read_matbench(raw: Raw) -> Items:
    """The rows as records, called by the index, or by the column of ids where there is one."""
    (path,) = raw.paths
    head: dict[str, Any] = {}
    for key, value in json_items(path, "data"):  # pandas writes these first, and need not
        if key != "data":
            head[key] = value
        if {"index", "columns"} <= head.keys():
            break
    columns, index = head.get("columns"), head.get("index")
    if not isinstance(columns, list) or not isinstance(index, list) or "structure" not in columns:
        raise IrrepnetError(f"{path.name}: no data frame with a column `structure`")
    names = FRAMES[raw.manifest["asked"]["query"]].names
    own = [names.get(column, str(column).replace(" ", "_")) for column in columns]
    rows = (value for key, value in json_items(path, "data") if key == "data")
    for number, row in enumerate(rows):
        id = str(index[number]) if number < len(index) else str(number)
        if isinstance(row, list) and "mpid" in own and len(row) == len(own):
            id = str(row[own.index("mpid")])
        yield attempt(id, f"{path.name}: row {number + 1}", _record, row, own, id)


def _record(row: Any, names: list[str], id: str) -> Record:
    if not isinstance(row, list) or len(row) != len(names):
        raise IrrepnetError(f"a row that has not {len(names)} cells")
    cells = dict(zip(names, row))
    known = {name: value for name, value in cells.items() if name not in ("structure", "mpid", "formula")}
    return record_of(cells["structure"], id, source="matbench").with_properties(known)
