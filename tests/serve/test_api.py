"""The server without a browser: what it answers, what it refuses, and that nothing stays or stops it."""

import asyncio
import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx
import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.exceptions import HTTPException
from typer.testing import CliRunner

from irrepnet.cli.main import app as command
from irrepnet.crystals import FileInMemory
from irrepnet.errors import IrrepnetError
from irrepnet.groups import PointGroup
from irrepnet.groups.reports import list_groups
from irrepnet.serve import create_app
from irrepnet.serve.app import _Desk
from irrepnet.serve.explorer import Choice, group_page
from irrepnet.serve.guard import Guard
from irrepnet.serve.worker import WORKS, Limits, Unanswered, Worker, _outcome
from irrepnet.training.where import SHIPPED, for_any_crystal, named_runs


@pytest.fixture(scope="module")
def client(address):
    with httpx.Client(base_url=address, timeout=90) as one:
        yield one


def as_upload(path: Path) -> dict:
    return {"file": (path.name, path.read_bytes())}


def same(one, other):
    """Whether two documents agree, numbers up to rounding: the order of sums may depend on threads."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == pytest.approx(other, rel=1e-5, abs=1e-7) if isinstance(one, float) else one == other


# --- crystals


def test_report_says_what_the_command_writes(client, examples):
    from irrepnet.report import describe

    answer = client.post("/api/report", files=as_upload(examples["TiO2"]), data={"symprec": "0.02"})
    assert answer.status_code == 200, answer.text
    assert same(answer.json(), json.loads(json.dumps(describe(examples["TiO2"], 0.02))))


def test_page(client, examples):
    answer = client.post("/report", files=as_upload(examples["MgAl2O4"]))
    assert answer.headers["content-type"].startswith("text/html")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["cache-control"] == "no-store"
    assert "Fd-3m" in answer.text


def test_predictions_are_those_of_the_file(client, examples):
    from irrepnet.training import predict

    answer = client.post("/api/predict", params={"model": "gap"}, files=as_upload(examples["TiO2"])).json()["gap"]
    assert answer["units"]["band_gap"] == "eV"
    (row,), (known,) = answer["predictions"], predict("gap", [examples["TiO2"]])
    assert row["band_gap"] == pytest.approx(known["band_gap"], rel=1e-5)
    assert row["file"] == "TiO2.cif"
    assert set(client.get("/api/models").json()) >= {"gap", "stiffness"}
    wrong = client.post("/api/predict", params={"model": "../gap"}, files=as_upload(examples["Si"]))
    assert (wrong.status_code, "there is no model" in wrong.text) == (400, True)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.cif", b"", "the file is empty"),
        ("a.exe", b"MZ", "unknown format"),
        ("a.json", b'{"species": ["Na"], "frac_coords": [[0, 0, 0]], "lattice": [[NaN, 0, 0]]}', "a.json"),
        ("many.json", json.dumps({
            "species": ["H"] * 401, "frac_coords": np.linspace(0, 0.9, 1203).reshape(401, 3).tolist(),
            "lattice": (900 * np.eye(3)).tolist(),
        }).encode(), "401 atoms are more than the 400"),
        ("bomb.cif.gz", gzip.compress(bytes(30_000_000)), "more than 8 MB, unpacked"),
        ("../../etc/passwd", b"root", "passwd: unknown format"),
    ],
)  # fmt: skip
def test_bad_files_are_refused(client, name, content, reason):
    for path in ("/api/report", "/report"):
        answer = client.post(path, files={"file": (name, content)})
        assert answer.status_code == 400
        assert reason in answer.text
        assert "../" not in answer.text


def test_a_crystal_as_json(client):
    """The same as in a file; with the limits that all JSON has, and no text that cannot be sent."""
    salt = {"species": ["Mo", "S"], "lattice": (3.5 * np.eye(3)).tolist(), "frac_coords": [[0, 0, 0], [0.5, 0.5, 0.5]]}
    as_json = {"Content-Type": "application/json; charset=utf-8"}
    for path in ("/api/report", "/api/predict?model=gap"):
        answer = client.post(path, json=salt)
        assert answer.status_code == 200, answer.text
        assert same(answer.json(), client.post(path, files={"file": ("crystal.json", json.dumps(salt))}).json())
        text = json.dumps(salt)
        for bad, reason in (
            ("[" * 100_000, "nested too deep"),
            ("{" + '"a":{' * 50_000, "nested too deep"),
            (text.replace("3.5", "NaN"), "non-finite"),
            (text.replace("3.5", "1e999"), "non-finite"),
            (text.replace("3.5", "9" * 5000), "crystal.json"),
            (json.dumps(salt | {"species": ["Mo", "\udfff"]}), "unknown element"),
            ("", "empty"),
            ("3", "crystal.json"),
            (b"\xff\xfe\x00", "crystal.json"),
        ):
            answer = client.post(path, content=bad, headers=as_json)
            assert (answer.status_code, reason in answer.json()["detail"]) == (400, True), (bad[:50], answer.text)
        assert client.post(path, content=" " * 8_200_000, headers=as_json).status_code == 413
        assert client.post(path, content=text, headers={"Content-Type": "text/plain"}).status_code == 400
        strange = client.post(path, content=json.dumps(salt | {"id": "\ud800"}), headers=as_json)
        assert strange.status_code == 200, strange.text


def test_hostile_text_stays_text(client, examples):
    mark = "<script>alert(1)</script>"
    text = examples["MgAl2O4"].read_text().replace("data_", f"data_{mark}", 1)
    for name, status in ((f"{mark}\x1b[2J\u202e.cif", 200), (f"{mark}.exe", 400)):
        answer = client.post("/report", files={"file": (name, text.encode())})
        assert answer.status_code == status
        assert mark not in answer.text
        assert "\x1b" not in answer.text
        assert "\u202e" not in answer.text
    assert mark not in client.get("/groups/m-3m", params={"a": mark}).text
    assert mark not in client.get(f"/groups/{mark}").text


# --- who may ask, and how much


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8765", "", "localhost.evil.example", "[", "127.0.0.1.x"]
)
def test_names_of_other_machines_are_refused(client, host):
    assert client.get("/", headers={"Host": host}).status_code == 400


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:99", "127.0.0.1", "[::1]:8765"])
def test_names_of_this_machine(client, host):
    assert client.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_other_pages_may_not_send(client, examples, headers):
    assert client.post("/api/report", files=as_upload(examples["Si"]), headers=headers).status_code == 403
    assert "access-control-allow-origin" not in client.get("/api/groups", headers=headers).headers


def test_what_is_too_large_is_refused(client):
    too_much = bytes(8_200_000)
    assert client.post("/api/report", files={"file": ("a.cif", too_much)}).status_code == 413
    parts = (too_much[k : k + 65536] for k in range(0, len(too_much), 65536))  # its length is not told
    answer = client.post("/api/report", content=parts, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.status_code in (400, 413)


def test_who_sends_too_slowly_is_refused():
    """Bytes that come one at a time, and none at all."""

    async def reads_all(scope, receive, send):
        while (await receive()).get("more_body"):
            pass

    async def ask(receive):
        scope = {"type": "http", "method": "POST", "scheme": "http", "headers": [(b"host", b"localhost")]}
        await Guard(reads_all, Limits(seconds=0.05), ())(scope, receive, None)

    async def drips():
        await asyncio.sleep(0.001)
        return {"type": "http.request", "body": b" ", "more_body": True}

    for receive in (drips, asyncio.Event().wait):
        with pytest.raises(HTTPException) as caught:
            asyncio.run(asyncio.wait_for(ask(receive), 5))
        assert caught.value.status_code == 408


def test_who_comes_when_many_wait_is_told():
    desk = _Desk(Limits(waiting=0))
    desk._worker = object()  # pyright: ignore[reportAttributeAccessIssue] (it is not asked)
    with pytest.raises(Unanswered, match="0 crystals are waiting") as caught:
        asyncio.run(desk.ask("page", None, None))  # pyright: ignore[reportArgumentType]
    assert caught.value.status == 503


def test_an_error_of_the_program_does_not_end_the_process(monkeypatch):
    monkeypatch.setitem(WORKS, "report", lambda file: 1 / 0)
    outcome, text = _outcome("report", FileInMemory("a.cif", b""), {})
    assert outcome == "failed"
    assert "ZeroDivisionError" in text


def test_nothing_reaches_the_disk(client, examples, monkeypatch):
    """A file larger than what servers of this kind put into a temporary file, and the limits of the process."""

    def never(*_):
        raise AssertionError("an upload was to be written")

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", never)
    content = examples["Si"].read_bytes() + b"\n#" + b" " * 3_000_000
    assert client.post("/api/predict", params={"model": "gap"}, files={"file": ("a.cif", content)}).status_code == 200


def test_a_process_that_takes_too_long_or_dies_is_replaced(examples, monkeypatch):
    """It may not write, either."""
    file = FileInMemory("Si.cif", examples["Si"].read_bytes())
    worker = Worker(Limits(seconds=0.001))
    try:
        worker._wait_until_ready()
        first = worker._process
        if sys.platform == "linux":
            limits = Path(f"/proc/{first.pid}/limits").read_text()
            assert next(line.split()[3:5] for line in limits.splitlines() if "file size" in line) == ["0", "0"]
        with pytest.raises(Unanswered, match=r"^Si\.cif: it takes longer than the 0\.001 s") as caught:
            worker.ask("report", file, symprec=0.01, bands_seconds=0.0, runs=())
        assert caught.value.status == 504
        assert not first.is_alive()
        assert worker._process.is_alive()
        os.kill(worker._process.pid, signal.SIGKILL)
        worker._process.join()
        monkeypatch.setattr(worker._process, "is_alive", lambda: True)  # as if it died a moment later
        with pytest.raises(Unanswered, match="died") as caught:
            worker.ask("report", file, symprec=0.01, bands_seconds=0.0, runs=())
        assert caught.value.status == 500
    finally:
        worker.close()
    assert not worker._process.is_alive()


def test_what_takes_too_much_memory_is_refused(examples):
    """Bands of rock salt need 0.9 GB; the process goes on."""
    if sys.platform != "linux":
        pytest.skip("the limit is one of Linux")
    file = FileInMemory("NaCl.cif", examples["NaCl"].read_bytes())
    worker = Worker(Limits(memory=300))
    options = {"symprec": 0.01, "runs": ()}
    try:
        with pytest.raises(Unanswered, match=r"^NaCl\.cif: it takes more than the 300 MB") as caught:
            worker.ask("report", file, bands_seconds=30.0, **options)
        assert caught.value.status == 507
        first = worker._process
        assert json.loads(worker.ask("report", file, bands_seconds=0.0, **options))["bands"]["path"] is None
        assert worker._process is first
    finally:
        worker.close()


# --- runs


def test_a_run_predicts_beside_the_models(tmp_path, examples, serving):
    """Its name is text, whatever it is; what is no run is refused before anybody asks."""
    folder = tmp_path / "<img src=x onerror=alert(1)>"
    shutil.copytree(SHIPPED / "gap", folder)
    models = named_runs([folder])
    assert set(models) == {*for_any_crystal(), folder.name}
    assert list(named_runs([SHIPPED / "gap"]))[-1] == str(SHIPPED / "gap")  # the name is taken
    upload = examples["TiO2"]
    with serving(create_app(runs=[folder])) as where, httpx.Client(base_url=where, timeout=90) as client:
        assert folder.name in client.get("/api/models").json()
        answer = client.post("/api/predict", params={"model": folder.name}, files=as_upload(upload)).json()
        own, shipped = answer[folder.name], client.post("/api/predict?model=gap", files=as_upload(upload)).json()["gap"]
        assert same(own, shipped)
        page = client.post("/report", files=as_upload(upload)).text
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    for bad, reason in ((tmp_path, "holds no run"), (SHIPPED / "released", "it predicts Hamiltonians")):
        with pytest.raises(IrrepnetError, match=reason):
            create_app(runs=[bad])


# --- groups


def test_groups(client):
    assert client.get("/api/groups").json() == list_groups()
    coupling = client.get("/api/groups/m-3m/couplings", params={"a": "T1u", "b": "T1u", "c": "Eg"}).json()
    assert np.allclose(coupling["coefficients"], PointGroup("m-3m").coupling("T1u", "T1u", "Eg"))
    assert client.get("/api/groups/4/mmm").json()["name"] == "4/mmm"
    assert client.get("/api/groups/4/mmm/subduction/2/m").json()["correlation"]["Eg"] == {"Ag": 1, "Bg": 1}
    assert client.get("/api/groups/Oh/product", params={"a": "Eg", "b": "Eg"}).json()["product"]["A2g"] == 1
    spin = client.get("/api/groups/Td/subduction", params={"j": 1.5}).json()
    assert spin["multiplicities"] == {"F̄": 1}
    assert client.get("/api/groups/-6/covariants", params={"irrep": "E'"}).json()["degrees"] == [1, 2]
    assert client.get("/api/groups/nope").json()["detail"].startswith("unknown point group 'nope'")
    assert client.get("/groups", params={"name": "Fm-3m"}).headers["location"] == "/groups/m-3m"


@pytest.mark.parametrize("name", ["1", "2/m", "-6", "-4m2"])
@pytest.mark.parametrize("double", [0, 1])
def test_group_pages(client, name, double):
    answer = client.get(f"/groups/{name}", params={"double": double})
    assert answer.status_code == 200
    for irrep in PointGroup(name).irreps:
        assert irrep.type == "complex" or f'<th scope="row">{irrep.label}'.replace("'", "&#39;") in answer.text


def test_a_group_page_shows_what_is_chosen():
    page = group_page(PointGroup("m-3m"), Choice(a="Eg", b="Eg", c="A2g", subgroup="D4h", irrep="A1g"))
    assert "m-3m: Eg ⊗ Eg → A2g, copies: 1" in page
    assert "0.707106781187" in page
    with pytest.raises(IrrepnetError, match="no proper subgroup"):
        group_page(PointGroup("m-3m"), Choice(subgroup="6"))


def test_page_of_the_api(client):
    schema = client.get("/openapi.json").json()
    page = client.get("/api").text
    assert len(schema["paths"]) >= 10
    assert all(path in page for path in schema["paths"])


# --- anything at all


def test_any_question_has_an_answer(address):
    """Whatever is asked within and without the schema, the answer is one that it has, and no error of the program."""
    checks = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
    operations = [found.ok() for found in schemathesis.openapi.from_url(f"{address}/openapi.json").get_all_operations()]
    assert len(operations) == 10

    @settings(max_examples=8, database=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def ask(operation, data):
        mode = data.draw(st.sampled_from(list(schemathesis.GenerationMode)))
        try:
            case = data.draw(operation.as_strategy(generation_mode=mode))
        except Unsatisfiable:  # nothing is outside of what it takes
            return
        case.call_and_validate(checks=checks)

    for operation in operations:
        ask(operation)


# --- the command


def test_a_missing_part_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    result = CliRunner().invoke(command, ["serve"])
    assert isinstance(result.exception, IrrepnetError)
    assert str(result.exception) == "serve needs uvicorn: pip install 'irrepnet[serve]'"


def test_a_port_in_use_is_named(address):
    result = CliRunner().invoke(command, ["serve", "--port", address.rsplit(":", 1)[1]])
    assert str(result.exception).startswith("cannot listen at 127.0.0.1 port")


def test_command(tmp_path):
    """It tells where it is, answers, and Ctrl-C ends it with its process; no file is left."""
    # Ctrl-C is ignored in the background, and in children of what is there
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"{heard}; from irrepnet.cli.main import run; run()"
    arguments = [sys.executable, "-c", program, "serve", "--port", "0"]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        arguments, cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        assert line.startswith("irrepnet is at http://127.0.0.1:")
        assert httpx.get(line.split()[3]).status_code == 200
        server.send_signal(signal.SIGINT)
        _, said = server.communicate(timeout=20)
    assert server.returncode == 130
    assert said.strip() == "stopped by SIGINT"
    assert not list(tmp_path.iterdir())
