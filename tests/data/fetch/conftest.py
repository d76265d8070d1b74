"""A server on this machine that speaks as a test says, and a cache of its own."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from irrepnet.data import embedded

KEY = "abcdefghijklmnopqrstuvwxyz012345"


@dataclass
class Asked:
    """A request that came in."""

    path: str
    query: dict[str, str]
    headers: Any


@dataclass
class Answer:
    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    """The connection breaks after so many bytes of the body."""


class Server:
    """Serves what ``answer`` gives; every request is kept in ``asked``."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answer: Callable[[Asked], Answer] = lambda asked: Answer(status=404)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                outer.asked.append(Asked(parts.path, query, self.headers))
                found = outer.answer(outer.asked[-1])
                self.send_response(found.status)
                for name, value in ({"Content-Length": str(len(found.body))} | found.headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(found.body if found.cut is None else found.body[: found.cut])
                self.close_connection = found.cut is not None

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(autouse=True)
def _apart(tmp_path, monkeypatch):
    monkeypatch.setenv("IRREPNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv("MP_API_KEY", raising=False)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def other() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture(scope="session")
def crystals():
    """Some small crystals of the embedded sets."""
    return [record for record in embedded("dielectric_constant") if len(record) < 12][:25]
