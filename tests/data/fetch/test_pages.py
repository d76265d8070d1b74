"""The Materials Project's API and OPTIMADE, page by page; keys, interruptions, hostile servers."""

import json
import os

import numpy as np
import pytest
from pymatgen.core.tensors import Tensor
from tests.data.fetch.conftest import KEY, Answer
from typer.testing import CliRunner

from irrepnet.cli.main import app
from irrepnet.data import read_records
from irrepnet.data.fetch import FetchRequest, fetch, mp, optimade
from irrepnet.errors import IrrepnetError


def reply(document, **more) -> Answer:
    return Answer(json.dumps(document).encode(), headers={"Content-Type": "application/json"}, **more)


class MaterialsProject:
    """The API with its key, its filters on ids, its pages."""

    def __init__(self, documents, version="2026.11.1"):
        self.documents, self.version, self.broken = documents, version, set()

    def __call__(self, asked):
        if asked.path == "/heartbeat":
            return reply({"status": "OK", "db_version": self.version})
        if asked.headers.get("X-API-KEY") != KEY:
            return reply({"message": f"Invalid key {asked.headers.get('X-API-KEY')}"}, status=401)
        found = self.documents[asked.path.split("/")[2]]
        if "material_ids" in asked.query:
            found = [one for one in found if one["material_id"] in asked.query["material_ids"].split(",")]
        skip, size = int(asked.query.get("_skip", 0)), int(asked.query["_limit"])
        if skip in self.broken:
            return reply({"data": []}, cut=3)
        fields = asked.query["_fields"].split(",")
        page = [{key: one[key] for key in fields if key in one} for one in found[skip : skip + size]]
        return reply({"data": page, "meta": {"total_doc": len(found), "api_version": "0.1"}})


@pytest.fixture
def documents(crystals):
    summary = [
        {
            "material_id": record.id,
            "structure": record.structure().as_dict(),
            "formation_energy_per_atom": -1.0 - k,
            "energy_above_hull": 0.0,
            "band_gap": 0.5,
            "is_metal": False,
            "bulk_modulus": {"voigt": 1.0, "reuss": 1.0, "vrh": 100.0} if k else None,
            "nsites": 2,
            "builder_meta": {"license": "BY-NC" if k == 3 else "BY-C", "batch_id": "a"},
        }
        for k, record in enumerate(crystals)
    ]
    elastic = [
        {
            **{key: one[key] for key in ("material_id", "structure", "bulk_modulus")},
            "elastic_tensor": {"raw": np.eye(6).tolist(), "ieee_format": (2 * np.eye(6)).tolist()},
        }
        for one in summary
    ]
    dielectric = [
        {"material_id": r.id, "total": np.diag([1.0, 2, 3]).tolist(), "electronic": np.eye(3).tolist(), "n": 1.0}
        for r in crystals
    ]
    piezoelectric = [{"material_id": r.id, "total": np.ones((3, 6)).tolist(), "e_ij_max": 1.5} for r in crystals]
    return {"summary": summary, "elasticity": elastic, "dielectric": dielectric, "piezoelectric": piezoelectric}


@pytest.fixture
def project(server, documents, monkeypatch):
    monkeypatch.setenv("MP_API_KEY", KEY)
    monkeypatch.setattr(mp, "PAGE", 10)
    monkeypatch.setattr(mp, "IDS", 7)
    server.answer = MaterialsProject(documents)
    return server


def test_summaries(project, crystals, tmp_path):
    request = FetchRequest("mp", filter="elements=Si,O&band_gap_min=0", url=project.url)
    found = fetch(request, tmp_path / "out.jsonl.gz")
    records, rejections = read_records(tmp_path / "out.jsonl.gz")
    assert [record.id for record in records] == [record.id for record in crystals]
    assert not rejections
    assert [asked.query.get("_skip") for asked in project.asked] == [None, "0", "10", "20"]
    assert project.asked[1].query["elements"] == "Si,O"
    assert (found["version"], found["licence"][:9], len(found["files"])) == ("2026.11.1", "CC BY 4.0", 3)
    assert found["targets"]["e_above_hull"] == "eV/atom"
    assert records[1].properties["K_VRH"] == 100
    assert records[0].properties["K_VRH"] is None
    assert np.allclose(records[5].lattice, crystals[5].lattice)
    assert [record.properties["licence"] for record in records[2:4]] == ["CC BY 4.0", "CC BY-NC 4.0"]
    assert "nsites" not in records[0].properties
    project.answer = lambda asked: Answer(status=500)
    assert fetch(request, tmp_path / "again.jsonl.gz")["records"] == 25
    assert (tmp_path / "again.jsonl.gz").read_bytes() == (tmp_path / "out.jsonl.gz").read_bytes()
    assert len(project.asked) == 4


def test_most_and_fields(project, tmp_path):
    found = fetch(FetchRequest("mp", url=project.url, most=12, fields=("nsites", "band_gap")), tmp_path / "out.jsonl")
    assert found["records"] == 12
    assert found["targets"] == {"nsites": "", "band_gap": "eV"}
    assert [asked.query["_limit"] for asked in project.asked[1:]] == ["10", "2"]


def test_what_breaks_off_goes_on_with_the_next_page(project, tmp_path):
    request = FetchRequest("mp", url=project.url)
    project.answer.broken = {10}
    with pytest.raises(IrrepnetError, match=r"breaks off.*the same command goes on"):
        fetch(request, tmp_path / "out.jsonl")
    project.answer.broken = set()
    project.asked.clear()
    assert fetch(request, tmp_path / "out.jsonl")["records"] == 25
    assert [asked.query.get("_skip") for asked in project.asked] == [None, "10", "20"]


def test_another_version_is_not_mixed_in(project, tmp_path):
    request = FetchRequest("mp", url=project.url)
    project.answer.broken = {10}
    with pytest.raises(IrrepnetError):
        fetch(request, tmp_path / "out.jsonl")
    project.answer.broken, project.answer.version = set(), "2027.1.1"
    project.asked.clear()
    found = fetch(request, tmp_path / "out.jsonl")
    assert found["version"] == "2027.1.1"
    assert [asked.query.get("_skip") for asked in project.asked] == [None, "0", "10", "20"]


def test_elasticity(project, tmp_path):
    found = fetch(FetchRequest("mp", "elasticity", url=project.url), tmp_path / "out.jsonl")
    records, _ = read_records(tmp_path / "out.jsonl")
    assert records[1].properties["elastic_tensor_original"] == np.eye(6).tolist()
    assert records[1].properties["elastic_tensor"] == (2 * np.eye(6)).tolist()
    assert found["targets"] == {"K_VRH": "GPa", "elastic_tensor_original": "GPa", "elastic_tensor": "GPa"}


@pytest.mark.parametrize("query", ["dielectric", "piezoelectric"])
def test_tensors_in_the_axes_of_ieee_come_with_the_structures_of_the_summaries(project, crystals, tmp_path, query):
    fetch(FetchRequest("mp", query, url=project.url), tmp_path / "out.jsonl")
    records, _ = read_records(tmp_path / "out.jsonl")
    assert len(records) == 25
    for record, crystal in zip(records, crystals):
        turn = Tensor.get_ieee_rotation(crystal.structure())
        assert np.allclose(record.lattice, crystal.lattice @ turn.T, atol=1e-6)
        assert np.allclose(record.properties["lattice_original"], crystal.lattice)
    names = {"dielectric": {"e_total", "e_electronic", "n"}, "piezoelectric": {"piezoelectric_tensor", "eij_max"}}
    assert records[0].properties.keys() - {"lattice_original"} == names[query]


def test_the_key_is_asked_for_at_once_and_is_nowhere_repeated(project, other, tmp_path, monkeypatch):
    runner = CliRunner()
    command = ["data", "fetch", "mp", "--url", project.url, "--out", str(tmp_path / "out.jsonl")]
    monkeypatch.delenv("MP_API_KEY")
    result = runner.invoke(app, command)
    assert "needs a key" in str(result.exception)
    assert not project.asked
    wrong = "0123456789abcdef0123456789abcdef"
    (tmp_path / "key").write_text(wrong + "\n")
    result = runner.invoke(app, [*command, "--key-file", str(tmp_path / "key")])
    assert "401" in str(result.exception)
    assert "is the key right?" in str(result.exception)
    assert wrong not in str(result.exception)
    for content, message in (("", "needs a key"), ("a b\nc", "is no key"), ("é" * 32, "is no key")):
        (tmp_path / "key").write_text(content)
        result = runner.invoke(app, [*command, "--key-file", str(tmp_path / "key")])
        assert message in str(result.exception)
    assert "cannot be read" in str(runner.invoke(app, [*command, "--key-file", str(tmp_path / "none")]).exception)
    (tmp_path / "key").write_text(f"  {KEY}\n")
    result = runner.invoke(app, [*command, "--key-file", str(tmp_path / "key")])
    assert result.exit_code == 0, result.output
    assert KEY not in result.output
    (tmp_path / "key").unlink()
    found = [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert not found


def test_the_key_goes_to_no_other_host_and_in_clear_to_none(project, other, tmp_path):
    other.answer = lambda asked: reply({"db_version": "1", "data": []})
    project.answer = lambda asked: Answer(status=307, headers={"Location": f"{other.url}{asked.path}"})
    with pytest.raises(IrrepnetError):
        fetch(FetchRequest("mp", url=project.url), tmp_path / "out.jsonl")
    assert all(asked.headers["X-API-KEY"] == KEY for asked in project.asked)
    assert other.asked
    assert not any(asked.headers.get("X-API-KEY") for asked in other.asked)
    for wrong in ("http://[", "http://127.0.0.1:99999", "http://u:secret@127.0.0.1", "ftp://x"):
        with pytest.raises(IrrepnetError, match=r"no address|netrc") as error:
            fetch(FetchRequest("mp", url=wrong), tmp_path / "out.jsonl")
        assert "secret" not in str(error.value)
    with pytest.raises(IrrepnetError, match="over https only"):
        fetch(FetchRequest("mp", url="http://api.materialsproject.org"), tmp_path / "out.jsonl")


@pytest.mark.parametrize("filter", ["elements", "_fields=x", "a=1&_skip=3"])
def test_filters_of_mp_that_are_none(project, tmp_path, filter):
    with pytest.raises(IrrepnetError, match="write it as"):
        fetch(FetchRequest("mp", filter=filter, url=project.url), tmp_path / "out.jsonl")


@pytest.mark.parametrize(
    "page",
    [
        {"data": [{"material_id": "mp-1"}]},
        {"data": [{"material_id": "mp-1"}], "meta": {"total_doc": "many"}},
        {"data": [{"material_id": "mp-1"}], "meta": []},
        {"data": [], "meta": {"total_doc": 10**9}},
        {"data": {"material_id": "mp-1"}, "meta": {"total_doc": 1}},
        {"meta": {"total_doc": 1}},
        {"data": [None, 7, {"structure": 3, "material_id": []}, {"material_id": "x"}], "meta": {"total_doc": 4}},
    ],
)
@pytest.mark.parametrize("query", ["summary", "dielectric"])
def test_pages_of_mp_that_are_none(project, tmp_path, page, query):
    project.answer = lambda asked: reply({**page, "db_version": "1"})
    with pytest.raises(IrrepnetError):
        fetch(FetchRequest("mp", query, url=project.url), tmp_path / "out.jsonl")


# --- OPTIMADE


def entry(record, **more):
    symbols = sorted(set(record.species))
    return {
        "id": record.id,
        "type": "structures",
        "attributes": {
            "lattice_vectors": record.lattice.tolist(),
            "cartesian_site_positions": (record.frac_coords @ record.lattice).tolist(),
            "species_at_sites": [f"{symbol}1" for symbol in record.species],
            "species": [{"name": f"{s}1", "chemical_symbols": [s], "concentration": [1.0]} for s in symbols],
            "dimension_types": [1, 1, 1],
            "structure_features": [],
            "_made_gap": 1.5,
            **more,
        },
    }


INFO = {
    "meta": {"api_version": "1.2.0", "provider": {"name": "Made", "description": "made up", "prefix": "made"}},
    "data": {"type": "info", "id": "/", "attributes": {"api_version": "1.2.0", "license": "https://some/licence"}},
}
PROPERTIES = {"data": {"properties": {"_made_gap": {"type": "number", "x-optimade-unit": "eV"}}}}


def provider(server, pages, link=lambda url: url):
    """A database that speaks OPTIMADE; pages are numbered in `page_offset`."""

    def answer(asked):
        if asked.path.endswith("/info"):
            return reply(INFO)
        if asked.path.endswith("/info/structures"):
            return reply(PROPERTIES)
        assert asked.path == "/db/v1/structures"
        number = int(asked.query.get("page_offset", 0))
        more = number + 1 < len(pages)
        following = link(f"{server.url}/db/v1/structures?page_offset={number + 1}") if more else None
        return reply({"data": pages[number], "links": {"next": following}, "meta": {"more_data_available": more}})

    server.answer = answer


LINKS = {
    "text": lambda url: url,
    "object": lambda url: {"href": url, "meta": {}},
    "without host": lambda url: "/db/v1/structures?" + url.partition("?")[2],
    "behind a proxy": lambda url: url.replace("http://127.0.0.1:", "https://127.0.0.1:"),
}


@pytest.mark.parametrize("link", LINKS)
def test_structures_of_optimade(server, crystals, tmp_path, link):
    entries = list(map(entry, crystals))
    provider(server, [entries[:10], entries[10:20], entries[20:]], LINKS[link])
    request = FetchRequest(
        "optimade", filter='elements HAS "Si" AND nsites<12', fields=("_made_gap",), url=f"{server.url}/db/"
    )
    found = fetch(request, tmp_path / "out.jsonl")
    records, _ = read_records(tmp_path / "out.jsonl")
    assert [record.id for record in records] == [record.id for record in crystals]
    for one, same in zip(records, crystals):
        assert one.species == same.species
        assert np.allclose(one.frac_coords, same.frac_coords)
    first = server.asked[2].query
    assert first["filter"] == request.filter
    assert first["response_fields"].split(",")[-1] == "_made_gap"
    assert (found["licence"], found["version"]) == ("https://some/licence", "OPTIMADE 1.2.0")
    assert found["provider"] == {"name": "Made", "description": "made up"}
    assert found["targets"] == {"_made_gap": "eV"}
    assert len(server.asked) == 5
    server.answer = lambda asked: Answer(status=500)
    assert fetch(request, tmp_path / "out.jsonl")["records"] == 25


REJECTED = {
    "shared site": (
        {"species": [{"name": "X1", "chemical_symbols": ["Na", "K"], "concentration": [0.5, 0.5]}]},
        "disord",
    ),
    "vacancies": ({"species": [{"name": "X1", "chemical_symbols": ["Na"], "concentration": [0.5]}]}, "disordered"),
    "unknown": ({"species": [{"name": "X1", "chemical_symbols": ["X"], "concentration": [1]}]}, "disordered"),
    "feature": ({"structure_features": ["disorder"]}, "disorder"),
    "hidden atoms": ({"structure_features": ["implicit_atoms"]}, "implicit_atoms"),
    "a slab": ({"dimension_types": [1, 1, 0]}, "periodic"),
    "no lattice": ({"lattice_vectors": [[1, 0, 0], [0, 1, 0], [None, None, None]]}, "lattice_vectors"),
    "flat": ({"lattice_vectors": [[1, 0, 0], [0, 1, 0], [1, 1, 0]]}, "Singular"),
    "no positions": ({"cartesian_site_positions": None}, "cartesian_site_positions"),
    "fewer positions": ({"cartesian_site_positions": [[0, 0, 0]]}, "shape"),
    "no atoms": ({"species_at_sites": []}, "species_at_sites"),
    "many atoms": ({"species_at_sites": ["Na"] * 20_000}, "IRREPNET_MAX_ATOMS"),
    "names that are lists": ({"species_at_sites": [["Na"], ["Cl"], [1]]}, ""),
    "species that are none": ({"species": [{"name": ["a"]}]}, ""),
}


@pytest.mark.parametrize("case", REJECTED)
def test_what_is_no_crystal_is_a_rejection(server, crystals, tmp_path, case):
    attributes, reason = REJECTED[case]
    if "species" in attributes:
        attributes = {"species_at_sites": ["X1"] * len(crystals[0]), **attributes}
    provider(server, [[entry(crystals[0]), entry(crystals[0], **attributes) | {"id": "bad"}, {"id": "bare"}, 5]])
    found = fetch(FetchRequest("optimade", url=f"{server.url}/db"), tmp_path / "out.jsonl")
    assert found["records"] == 1
    assert [rejection["id"] for rejection in found["rejected"]] == ["bad", "bare", "4"]
    assert reason in found["rejected"][0]["reason"]


@pytest.mark.parametrize(
    ("link", "message"),
    [
        (lambda url: url.replace("page_offset=1", "page_offset=0"), "circle"),
        (lambda url: url.replace("127.0.0.1", "localhost"), "another host"),
        (lambda url: "http://example.invalid/structures", "another host"),
        (lambda url: "http://127.0.0.1:1/structures", "another host"),
        (lambda url: "file:///etc/passwd", "no address"),
        (lambda url: "http://a:b@127.0.0.1/", "netrc"),
        (lambda url: "http://[", "no address"),
        (lambda url: {"href": "//evil.invalid/x"}, "another host"),
    ],
)
def test_links_that_lead_elsewhere(server, crystals, tmp_path, link, message):
    pages = [[entry(crystals[0])]] * 3
    provider(server, pages, link)
    with pytest.raises(IrrepnetError, match=message):
        fetch(FetchRequest("optimade", url=f"{server.url}/db"), tmp_path / "out.jsonl")
    assert len(server.asked) <= 4


def test_one_page_under_ever_new_addresses(server, crystals, tmp_path):
    def answer(asked):
        if asked.path.endswith("/info"):
            return reply(INFO)
        link = f"/v1/structures?now={len(server.asked) % 2}{'&x' * len(server.asked)}"
        return reply({"data": [entry(crystals[0])], "links": {"next": link if len(server.asked) < 3 else "?again"}})

    server.answer = answer
    with pytest.raises(IrrepnetError, match="circle"):
        fetch(FetchRequest("optimade", url=server.url), tmp_path / "out.jsonl")
    assert len(server.asked) < 6


def test_pages_without_end(server, crystals, tmp_path, monkeypatch):
    provider(server, [[] for _ in range(100)])
    with pytest.raises(IrrepnetError, match="without crystals"):
        fetch(FetchRequest("optimade", url=f"{server.url}/db"), tmp_path / "out.jsonl")
    monkeypatch.setenv("IRREPNET_MAX_DOWNLOAD_MB", "1")
    provider(server, [[entry(crystals[0], filling="x" * 300_000)]] * 100)
    with pytest.raises(IrrepnetError, match="IRREPNET_MAX_DOWNLOAD_MB"):
        fetch(FetchRequest("optimade", url=f"{server.url}/db"), tmp_path / "out.jsonl")
    assert len(server.asked) < 10


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not an object"),
        (b'{"data": 3}', "without the list"),
        (b"{}", "without the list"),
        (b"\xff\xfe", "not JSON"),
        (b'{"data": []}', "no crystal fits"),
        (b'{"data": [], "x": "' + b"x" * 2_000_000 + b'"}', "IRREPNET_MAX_MB"),
    ],
    ids=range(8),
)
def test_answers_that_are_none(server, tmp_path, monkeypatch, body, message):
    monkeypatch.setenv("IRREPNET_MAX_MB", "1")
    server.answer = lambda asked: Answer(body) if asked.path.endswith("structures") else reply(INFO)
    with pytest.raises(IrrepnetError, match=message):
        fetch(FetchRequest("optimade", url=server.url), tmp_path / "out.jsonl")


def test_what_breaks_off_at_optimade_goes_on(server, crystals, tmp_path):
    entries = list(map(entry, crystals))
    provider(server, [entries[:10], entries[10:]])
    whole, request = server.answer, FetchRequest("optimade", url=f"{server.url}/db")
    server.answer = lambda asked: Answer(status=500) if "page_offset" in asked.query else whole(asked)
    with pytest.raises(IrrepnetError, match="500"):
        fetch(request, tmp_path / "out.jsonl")
    server.answer = whole
    server.asked.clear()
    assert fetch(request, tmp_path / "out.jsonl")["records"] == 25
    assert [asked.path for asked in server.asked] == ["/db/v1/info", "/db/v1/structures"]


def test_most_of_optimade(server, crystals, tmp_path):
    entries = list(map(entry, crystals))
    provider(server, [entries[:10], entries[10:20], entries[20:]])
    assert fetch(FetchRequest("optimade", url=f"{server.url}/db", most=12), tmp_path / "out.jsonl")["records"] == 12
    assert len(server.asked) == 3


def test_known_providers_have_addresses():
    assert all(url.startswith("https://") for url in optimade.PROVIDERS.values())
    assert os.path.basename(mp.MP) == "api.materialsproject.org"
