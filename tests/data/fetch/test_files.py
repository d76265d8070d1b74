"""Files from elsewhere: downloads that break, lie or are hostile, JARVIS's archives, matminer's frames, addresses."""

import fcntl
import gzip
import hashlib
import io
import json
import signal
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st
from monty.json import MontyEncoder
from tests.data.fetch.conftest import Answer
from typer.testing import CliRunner

from irrepnet.cli.main import app
from irrepnet.data import data_hash, read_records
from irrepnet.data.fetch import FetchRequest, fetch, http, jarvis, matbench, raw_folder, record_line, streamed
from irrepnet.errors import IrrepnetError


def lines(records) -> bytes:
    return b"".join(json.dumps(record_line(record)).encode() + b"\n" for record in records)


def kept(content: bytes, validator: dict[str, str], cuts: list[int] | None = None):
    """What a server does that has a file and knows of ranges; the connection breaks after so many bytes."""

    def answer(asked):
        cut = cuts.pop(0) if cuts else None
        span = asked.headers.get("Range")
        if span is None or asked.headers.get("If-Range") not in validator.values():
            return Answer(content, headers=validator, cut=cut)
        begin = int(span.removeprefix("bytes=").removesuffix("-"))
        if begin >= len(content):
            return Answer(status=416, headers={"Content-Range": f"bytes */{len(content)}"})
        said = {"Content-Range": f"bytes {begin}-{len(content) - 1}/{len(content)}"}
        return Answer(content[begin:], 206, said | validator, cut)

    return answer


ETAG = {"ETag": '"one"'}


def test_records_come_as_they_are(server, crystals, tmp_path):
    server.answer = lambda asked: Answer(gzip.compress(lines(crystals)), headers={"Last-Modified": "yesterday"})
    out = tmp_path / "new" / "out.jsonl.gz"
    found = fetch(FetchRequest(f"{server.url}/some/set.jsonl.gz?download=1"), out)
    records, rejections = read_records(out)
    assert not rejections
    assert data_hash(records) == data_hash(crystals)
    (entry,) = found["files"]
    assert (found["records"], found["version"], entry["name"]) == (25, "yesterday", "set.jsonl.gz")
    raw = raw_folder() / "files" / entry["sha256"] / entry["name"]
    assert hashlib.sha256(raw.read_bytes()).hexdigest() == entry["sha256"]
    assert found["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert found["targets"]["band_gap"] == "eV"
    assert json.loads((tmp_path / "new" / "out.manifest.json").read_text()) == found
    assert sorted(path.name for path in out.parent.iterdir()) == ["out.jsonl.gz", "out.manifest.json"]


def test_the_second_time_needs_no_network(server, crystals, tmp_path):
    server.answer = lambda asked: Answer(lines(crystals))
    request = FetchRequest(f"{server.url}/set.jsonl")
    fetch(request, tmp_path / "a.jsonl")
    server.answer = lambda asked: Answer(status=500)
    fetch(request, tmp_path / "b.jsonl")
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()
    assert len(server.asked) == 1
    with pytest.raises(IrrepnetError, match="500"):
        fetch(FetchRequest(request.source, fresh=True), tmp_path / "c.jsonl")
    assert not (tmp_path / "c.jsonl").exists()


def test_a_damaged_raw_file_is_fetched_anew(server, crystals, tmp_path):
    server.answer = lambda asked: Answer(lines(crystals))
    request = FetchRequest(f"{server.url}/set.jsonl")
    (entry,) = fetch(request, tmp_path / "a.jsonl")["files"]
    (raw_folder() / "files" / entry["sha256"] / entry["name"]).write_bytes(b"{}")
    with pytest.warns(UserWarning, match="damaged"):
        assert fetch(request, tmp_path / "a.jsonl")["records"] == 25
    assert len(server.asked) == 2


@pytest.mark.parametrize("validator", [ETAG, {"Last-Modified": "Tue, 01 Dec 2026 00:00:00 GMT"}])
def test_a_broken_download_goes_on(server, crystals, tmp_path, validator):
    content = lines(crystals)
    server.answer = kept(content, validator, [5000, 3000])
    assert fetch(FetchRequest(f"{server.url}/set.jsonl"), tmp_path / "out.jsonl")["records"] == 25
    assert [asked.headers.get("Range") for asked in server.asked] == [None, "bytes=5000-", "bytes=8000-"]


def test_what_breaks_too_often_goes_on_with_the_same_command(server, crystals, tmp_path):
    content = lines(crystals)
    server.answer = kept(content, ETAG, [1000] * (http.BREAKS + 1))
    request = FetchRequest(f"{server.url}/set.jsonl")
    with pytest.raises(IrrepnetError, match=r"stopped after .* the same command goes on"):
        fetch(request, tmp_path / "out.jsonl")
    assert fetch(request, tmp_path / "out.jsonl")["records"] == 25
    assert server.asked[-1].headers["Range"] == f"bytes={1000 * (http.BREAKS + 1)}-"


@pytest.mark.parametrize("validator", [{}, {"ETag": 'W/"weak"'}, {"ETag": '"\x0b"'}, {"ETag": '"é"'}])
def test_without_a_validator_it_begins_anew(server, crystals, tmp_path, validator):
    content = lines(crystals)
    server.answer = kept(content, validator, [1000])
    request = FetchRequest(f"{server.url}/set.jsonl")
    with pytest.raises(IrrepnetError, match="stopped after"):
        fetch(request, tmp_path / "out.jsonl")
    assert fetch(request, tmp_path / "out.jsonl")["records"] == 25
    assert not any(asked.headers.get("Range") for asked in server.asked)


def test_a_file_that_has_changed_meanwhile_is_not_mixed(server, crystals, tmp_path):
    answers = iter([kept(lines(crystals), ETAG, [1000]), kept(lines(crystals[:20]), {"ETag": '"two"'})] * 2)
    server.answer = lambda asked: next(answers)(asked)
    assert fetch(FetchRequest(f"{server.url}/set.jsonl"), tmp_path / "out.jsonl")["records"] == 20


@pytest.mark.parametrize(
    "wrong", ["bytes 7-9/10", "bytes x", "", "bytes */5", "items 5000-9/10", "bytes 99999999999999999999-1/2"]
)
def test_ranges_that_make_no_sense(server, crystals, tmp_path, wrong):
    content, first = lines(crystals), kept(lines(crystals), ETAG, [5000])

    def answer(asked):
        if asked.headers.get("Range"):
            return Answer(content[5000:], 206, {"Content-Range": wrong})
        return first(asked)

    server.answer = answer
    assert fetch(FetchRequest(f"{server.url}/set.jsonl"), tmp_path / "out.jsonl")["records"] == 25


def test_a_part_that_is_longer_than_the_file(server, crystals, tmp_path):
    content = lines(crystals)
    request = FetchRequest(f"{server.url}/set.jsonl")
    server.answer = kept(content, ETAG, [5000, 1, 0])
    with pytest.raises(IrrepnetError):
        fetch(request, tmp_path / "out.jsonl")
    (part,) = [path for path in (raw_folder() / "parts").iterdir() if not path.suffix]
    part.write_bytes(b"x" * 10 * len(content))
    server.answer = kept(content, ETAG)
    assert fetch(request, tmp_path / "out.jsonl")["records"] == 25


def test_two_processes_do_not_write_one_file(server, crystals, tmp_path):
    request = FetchRequest(f"{server.url}/set.jsonl")
    server.answer = kept(lines(crystals), ETAG, [1000, 0])
    with pytest.raises(IrrepnetError, match="stopped"):
        fetch(request, tmp_path / "out.jsonl")
    (part,) = [path for path in (raw_folder() / "parts").iterdir() if not path.suffix]
    with part.open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(IrrepnetError, match="another process"):
            fetch(request, tmp_path / "out.jsonl")
    assert fetch(request, tmp_path / "out.jsonl")["records"] == 25


def test_a_server_that_says_nothing(server, tmp_path, monkeypatch):
    monkeypatch.setattr(http, "READ", 0.1)
    over = threading.Event()
    server.answer = lambda asked: Answer(str(over.wait(5)).encode())
    with pytest.raises(IrrepnetError, match=r"nothing came for 0\.1 s"):
        fetch(FetchRequest(f"{server.url}/set.jsonl"), tmp_path / "out.jsonl")
    over.set()


def test_too_large(server, crystals, tmp_path, monkeypatch):
    monkeypatch.setenv("IRREPNET_MAX_DOWNLOAD_MB", "1")
    for said in (
        {},
        {"Content-Length": "1" * 30},
        {"Content-Length": "9" * 5000},
        {"Transfer-Encoding": "identity", "Content-Length": ""},
    ):
        server.answer = lambda asked, said=said: Answer(b"x" * 1_500_000, headers=said, cut=1_400_000)
        with pytest.raises(IrrepnetError, match="IRREPNET_MAX_DOWNLOAD_MB"):
            fetch(FetchRequest(f"{server.url}/set.jsonl"), tmp_path / "out.jsonl")


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (401, b'{"message": "no \\u001b[31m"}', r"refused \(401\): no"),
        (403, b"<html>", r"refused \(403\)$"),
        (404, b"[1", r"nothing is there \(404\)$"),
        (400, b'{"errors": [{"detail": "what is\\n that"}]}', r"\(400\): what is that"),
        (422, b'{"detail": [{"loc": ["query"], "msg": "not a number"}]}', "not a number"),
        (500, b"[" * 5000, r"\(500\)$"),
        (204, b"", r"\(204\)$"),
    ],
)
def test_refusals_are_one_line(server, tmp_path, status, body, message):
    server.answer = lambda asked: Answer(body, status)
    with pytest.raises(IrrepnetError, match=message) as error:
        fetch(FetchRequest(f"{server.url}/set.jsonl"), tmp_path / "out.jsonl")
    assert "\n" not in str(error.value)
    assert len(server.asked) == 1


def test_a_server_that_asks_to_wait(server, crystals, tmp_path, monkeypatch):
    slept = []
    monkeypatch.setattr(http.time, "sleep", slept.append)
    answers = [
        Answer(status=429, headers={"Retry-After": "7"}),
        Answer(status=503, headers={"Retry-After": "Tue, 01 Dec 2020 00:00:00 GMT"}),
        Answer(status=429, headers={"Retry-After": "soon"}),
        Answer(lines(crystals)),
    ]
    server.answer = lambda asked: answers.pop(0)
    fetch(FetchRequest(f"{server.url}/set.jsonl"), tmp_path / "out.jsonl")
    assert slept == [7, 0, 1]
    for wait, times in (("3600", 1), ("Tue, 01 Dec 2099 00:00:00 GMT", 1), ("1", http.WAITS + 1)):
        server.asked.clear()
        server.answer = lambda asked, wait=wait: Answer(status=429, headers={"Retry-After": wait})
        with pytest.raises(IrrepnetError, match=r"asks to wait for \d+ s \(429\)"):
            fetch(FetchRequest(f"{server.url}/other.jsonl"), tmp_path / "out.jsonl")
        assert len(server.asked) == times


def test_redirects(server, other, crystals, tmp_path):
    other.answer = lambda asked: Answer(lines(crystals))
    server.answer = lambda asked: Answer(status=302, headers={"Location": f"{other.url}/elsewhere"})
    assert fetch(FetchRequest(f"{server.url}/set.jsonl"), tmp_path / "out.jsonl")["records"] == 25
    for target, message in (
        ("/set.jsonl", "more than 10 times"),
        ("file:///etc/passwd", "no address"),
        ("http://[", "no address"),
        ("", "302"),
    ):
        server.answer = lambda asked, target=target: Answer(status=302, headers={"Location": target} if target else {})
        with pytest.raises(IrrepnetError, match=message):
            fetch(FetchRequest(f"{server.url}/set.jsonl", fresh=True), tmp_path / "out.jsonl")


def test_the_proxy_of_the_environment(server, crystals, tmp_path, monkeypatch):
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("HTTP_PROXY", server.url)
    server.answer = lambda asked: Answer(lines(crystals))
    assert fetch(FetchRequest("http://nowhere.invalid/set.jsonl"), tmp_path / "out.jsonl")["records"] == 25
    server.close()
    with pytest.raises(IrrepnetError, match="the proxy does not answer"):
        fetch(FetchRequest("http://nowhere.invalid/other.jsonl"), tmp_path / "out.jsonl")


def test_no_network_is_one_line_at_once(server, tmp_path):
    server.close()
    sources = [[f"{server.url}/set.jsonl"], ["optimade", "--url", server.url], ["jarvis", "--url", server.url]]
    for arguments in sources:
        start = time.monotonic()
        result = CliRunner().invoke(app, ["data", "fetch", *arguments, "--out", str(tmp_path / "out.jsonl")])
        assert isinstance(result.exception, IrrepnetError)
        assert "connection is refused" in str(result.exception) or "not known" in str(result.exception)
        assert time.monotonic() - start < 2


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("http://127.0.0.1/set.unknown", "no kind that is known"),
        ("http://127.0.0.1/", "no kind that is known"),
        ("http://127.0.0.1/..%2f..%2f.jsonl%00", "no kind that is known"),
        ("http://user:secret@127.0.0.1/set.jsonl", "netrc"),
        ("http://[::1/set.jsonl", "no address"),
        ("http:///set.jsonl", "no address"),
        ("http://127.0.0.1:99999/set.jsonl", "no address"),
        ("ftp://127.0.0.1/set.jsonl", "no such file; sources are mp, optimade"),
        ("nothing", "no such file"),
        ("\x00", "no such file"),
    ],
)
def test_addresses_that_are_none(source, message, tmp_path):
    with pytest.raises(IrrepnetError, match=message) as error:
        fetch(FetchRequest(source), tmp_path / "out.jsonl")
    assert "secret" not in str(error.value)


def test_names_of_files_stay_in_their_folder(server, crystals, tmp_path):
    server.answer = lambda asked: Answer(lines(crystals))
    (entry,) = fetch(FetchRequest(f"{server.url}/a/..%2F..%2F-rf%20x.jsonl"), tmp_path / "out.jsonl")["files"]
    assert "/" not in entry["name"]
    assert entry["name"][0] not in ".-"
    assert (raw_folder() / "files" / entry["sha256"] / entry["name"]).is_file()


def test_a_file_on_disk_and_exit_codes(tmp_path):
    runner = CliRunner()
    folder = Path(__file__).resolve().parents[3] / "examples"
    good = (folder / "NaCl.cif").read_text()
    (tmp_path / "two.cif").write_text(good + good.replace("data_", "data_bad_").replace("_cell_length_a", "_x"))
    (tmp_path / "bad.jsonl").write_text("{}\n")
    out = tmp_path / "out.jsonl"
    for name, code in ((folder / "NaCl.cif", 0), (tmp_path / "two.cif", 1)):
        result = runner.invoke(app, ["data", "fetch", str(name), "-o", str(out)])
        assert result.exit_code == code, result.output
        assert "1 records" in result.stdout
    assert len(read_records(out)[0]) == 1
    document = json.loads(runner.invoke(app, ["data", "fetch", str(name), "-o", str(out), "--json"]).stdout)
    assert "two.cif" in document["rejected"][0]["reason"]
    assert str(raw_folder()) not in document["rejected"][0]["reason"]
    before = out.read_bytes()
    with pytest.raises(IrrepnetError, match="nothing can be used of 1"):
        fetch(FetchRequest(str(tmp_path / "bad.jsonl")), tmp_path / "out.jsonl.gz")
    assert not (tmp_path / "out.jsonl.gz").exists()
    result = runner.invoke(app, ["data", "fetch", str(tmp_path / "bad.jsonl"), "-o", str(out)])
    assert isinstance(result.exception, IrrepnetError)  # the entry point makes it 2
    assert out.read_bytes() == before


@pytest.mark.parametrize(
    ("request_", "out", "message"),
    [
        (FetchRequest("mp"), "out.csv", "ends in .jsonl"),
        (FetchRequest("mp"), ".jsonl", "ends in .jsonl"),
        (FetchRequest("mp", query="all"), "out.jsonl", "there are summary"),
        (FetchRequest("jarvis", query="all"), "out.jsonl", "there are dft_3d"),
        (FetchRequest("matbench"), "out.jsonl", "there are matbench_mp_e_form"),
        (FetchRequest("optimade"), "out.jsonl", "--url of a provider"),
        (FetchRequest("optimade", query="all"), "out.jsonl", "known are mp"),
        (FetchRequest("optimade", url="file:///etc"), "out.jsonl", "no address"),
        (FetchRequest("jarvis", filter="x", fields=("y",)), "out.jsonl", "--fields, --filter: means nothing to jarvis"),
        (FetchRequest("https://a.b/c.cif", key_file=Path("x")), "out.jsonl", "--key-file: means nothing"),
        (FetchRequest("mp", most=0), "out.jsonl", "at least 1"),
    ],
)
def test_requests_that_make_no_sense(request_, out, message, tmp_path):
    with pytest.raises(IrrepnetError, match=message):
        fetch(request_, tmp_path / out)


def test_a_cache_and_an_output_that_cannot_be_written(server, crystals, tmp_path, monkeypatch):
    server.answer = lambda asked: Answer(lines(crystals))
    (tmp_path / "file").write_text("")
    with pytest.raises(IrrepnetError, match="cannot be written"):
        fetch(FetchRequest(f"{server.url}/set.jsonl"), tmp_path / "file" / "out.jsonl")
    monkeypatch.setenv("IRREPNET_CACHE", str(tmp_path / "file"))
    with pytest.raises(IrrepnetError, match="cannot be written"):
        fetch(FetchRequest(f"{server.url}/set.jsonl"), tmp_path / "out.jsonl")


def test_ctrl_c_keeps_what_has_come(server, crystals, tmp_path):
    content = lines(crystals)
    first = kept(content, ETAG, [5000])
    main = threading.main_thread().ident

    def answer(asked):
        if len(server.asked) == 2:
            signal.pthread_kill(main, signal.SIGINT)
        return first(asked)

    server.answer = answer
    command = ["data", "fetch", f"{server.url}/set.jsonl", "--out", str(tmp_path / "out.jsonl")]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # which is ignored in the background
    try:
        result = CliRunner().invoke(app, command)
    finally:
        signal.signal(signal.SIGINT, before)
    assert result.exit_code == 130
    assert "the same command goes on" in result.output
    assert CliRunner().invoke(app, command).exit_code == 0
    assert server.asked[-1].headers["Range"].startswith("bytes=")
    assert len(read_records(tmp_path / "out.jsonl")[0]) == 25


# --- JARVIS


def jarvis_entry(record, number, cartesian=False):
    coords = record.frac_coords @ record.lattice if cartesian else record.frac_coords
    return {
        "jid": f"JVASP-{number}",
        "atoms": {
            "lattice_mat": record.lattice.tolist(),
            "coords": coords.tolist(),
            "elements": [*record.species[:-1], record.species[-1] + " "],
            "abc": [1, 1, 1],
            "cartesian": cartesian,
            "props": [""] * len(record),
        },
        "formation_energy_peratom": -0.5,
        "mbj_bandgap": "na",
        "ehull": 0,
        "elastic_tensor": "na",
        "raw_files": ["OPT-LDA,a.zip,https://x"],
    }


def archive(entries, name="jdft_3d.json") -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, entries if isinstance(entries, bytes) else json.dumps(entries))
    return content.getvalue()


@pytest.fixture
def figshare(server, monkeypatch):
    """A server with an archive, and what figshare says of it."""
    monkeypatch.setattr(jarvis, "FIGSHARE", f"{server.url}/articles")

    def publish(content: bytes, md5: str | None = None):
        article = {
            "citation": "Choudhary, K. (2022)",
            "license": {"value": 1, "name": "CC BY 4.0"},
            "files": [{"id": 38521619, "computed_md5": md5 or hashlib.md5(content).hexdigest()}],
        }
        pages = {"/articles/6815699": json.dumps(article).encode(), "/files/1": content}
        server.answer = lambda asked: Answer(pages[asked.path]) if asked.path in pages else Answer(status=404)

    return publish


def test_jarvis(server, figshare, crystals, tmp_path):
    entries = [jarvis_entry(record, k, cartesian=k % 2 == 1) for k, record in enumerate(crystals)]
    entries += [{"jid": "bare"}, 7, jarvis_entry(crystals[0], 0)]
    figshare(archive(entries))
    found = fetch(FetchRequest("jarvis", url=f"{server.url}/files/1"), tmp_path / "out.jsonl")
    records, _ = read_records(tmp_path / "out.jsonl")
    assert (found["records"], len(found["rejected"])) == (25, 3)
    assert (found["licence"], found["version"], found["citation"][1]) == (
        "CC BY 4.0", "2022-12-12", "Choudhary, K. (2022)"
    )  # fmt: skip
    assert found["targets"] == {"formation_energy_per_atom": "eV/atom", "e_above_hull": "eV/atom"}
    for one, same in zip(records, crystals):
        assert one.species == same.species
        assert np.allclose(one.frac_coords, same.frac_coords)
    assert records[0].properties["mbj_bandgap"] is None


def test_jarvis_with_another_md5(server, figshare, crystals, tmp_path):
    figshare(archive([jarvis_entry(crystals[0], 0)]), md5="0" * 32)
    with pytest.raises(IrrepnetError, match=r"md5:.* was expected"):
        fetch(FetchRequest("jarvis", url=f"{server.url}/files/1"), tmp_path / "out.jsonl")
    assert not [path for path in (raw_folder() / "parts").iterdir()]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04 not a zip", "damaged file"),
        (b"", "JSON list"),
        (archive(b'{"a": 1}'), "JSON list"),
        (archive(b"[{},"), "cannot be read as JSON"),
        (archive(b"[{} {}]"), "comma"),
        (archive(b"[" * 100_000), "nested too deep"),
        (archive(b"[]"), "holds no crystal"),
        (archive(b"[1]x"), "goes on after its end"),
        (archive(b"[\xff]"), "not UTF-8"),
        (archive([], "a.txt"), "0 files with the ending"),
        (archive(json.dumps([7]).encode())[:-40], "damaged file"),
    ],
    ids=range(11),  # archives hold the time
)
def test_archives_that_are_none(server, figshare, tmp_path, content, message):
    figshare(content)
    with pytest.raises(IrrepnetError, match=message):
        fetch(FetchRequest("jarvis", url=f"{server.url}/files/1"), tmp_path / "out.jsonl")


def test_a_bomb(server, figshare, tmp_path, monkeypatch):
    monkeypatch.setenv("IRREPNET_MAX_MB", "1")
    figshare(archive(b'["' + b"x" * 20_000_000 + b'"]'))
    with pytest.raises(IrrepnetError, match="IRREPNET_MAX_MB"):
        fetch(FetchRequest("jarvis", url=f"{server.url}/files/1"), tmp_path / "out.jsonl")
    monkeypatch.setenv("IRREPNET_MAX_DOWNLOAD_MB", "1")
    figshare(archive(b"[" + b"1,\n" * 1_000_000 + b"1]"))
    with pytest.raises(IrrepnetError, match="IRREPNET_MAX_DOWNLOAD_MB"):
        fetch(FetchRequest("jarvis", url=f"{server.url}/files/1", fresh=True), tmp_path / "out.jsonl")


# --- matminer


@pytest.mark.parametrize("order", [None, ("data", "columns", "index")], ids=["pandas", "turned"])
def test_matbench(server, crystals, tmp_path, monkeypatch, order):
    """The first as matminer writes it."""
    disordered = crystals[0].structure()
    disordered.replace(0, {"Fe": 0.5, "Co": 0.5})
    rows = [[record.structure(), 1.5] for record in crystals] + [[disordered, 1], [None, 2], [{}, 1]]
    index = [f"mb-log-kvrh-{k + 1:05}" for k in range(len(rows))]
    content = pandas.DataFrame(rows, index, ["structure", "log10(K_VRH)"]).to_dict(orient="split")
    if order:
        content["data"] += [[3], None]
    packed = gzip.compress(json.dumps({key: content[key] for key in order or content}, cls=MontyEncoder).encode())
    frame = matbench.FRAMES["matbench_log_kvrh"]._replace(sha256=hashlib.sha256(packed).hexdigest())
    monkeypatch.setitem(matbench.FRAMES, "matbench_log_kvrh", frame)
    server.answer = lambda asked: Answer(packed)
    request = FetchRequest("matbench", "log_kvrh", url=f"{server.url}/x.json.gz")
    found = fetch(request, tmp_path / "out.jsonl")
    assert (found["records"], len(found["rejected"])) == (25, 5 if order else 3)
    assert found["targets"] == {"log_K_VRH": "log10(GPa)"}
    records, _ = read_records(tmp_path / "out.jsonl")
    assert records[3].id == "mb-log-kvrh-00004"
    assert records[3].properties == {"log_K_VRH": 1.5}
    assert np.allclose(records[3].lattice, crystals[3].lattice)
    assert fetch(FetchRequest("matbench", "log_kvrh", url=request.url, most=4), tmp_path / "out.jsonl")["records"] == 4
    monkeypatch.undo()
    monkeypatch.setenv("IRREPNET_CACHE", str(tmp_path / "another"))
    with pytest.raises(IrrepnetError, match=r"sha256:44b113.* was expected"):
        fetch(request, tmp_path / "out.jsonl")


TEXT = st.text(st.characters(codec="utf-8"), max_size=9)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(
    items=st.lists(JSON_VALUES),
    around=st.dictionaries(TEXT.filter(lambda key: key != "data"), JSON_VALUES, max_size=3),
    chunk=st.integers(1, 40),
    pretty=st.booleans(),
    plain=st.booleans(),
)
def test_streamed_items_are_those_of_the_whole(tmp_path_factory, items, around, chunk, pretty, plain):
    path = tmp_path_factory.mktemp("json") / "a.json"
    document = {**around, "data": items}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streamed, "_CHUNK", chunk)
        for content, key in ((items, ""), (document, "data")):
            path.write_text(
                json.dumps(content, indent=1 if pretty else None, ensure_ascii=plain), "utf8", "surrogatepass"
            )
            found = list(streamed.json_items(path, key))
            assert [value for name, value in found if name == key] == items
            assert {name: value for name, value in found if name != key} == (around if key else {})
