"""A server of the pages, in a thread of the tests."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
import uvicorn

from irrepnet.serve import create_app


@pytest.fixture(scope="package")
def address() -> Iterator[str]:
    """Where a server with the usual limits listens."""
    with _serving(create_app()) as where:
        yield where


@pytest.fixture
def serving() -> Callable[[Any], AbstractContextManager[str]]:
    """Starts a server of an application; within the block it listens at the address."""
    return _serving


@contextmanager
def _serving(application: Any) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(application, port=0, http="h11", log_level="error", proxy_headers=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
