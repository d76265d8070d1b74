"""`irrepnet serve`: the pages, on this machine."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path
from typing import Annotated

import typer

from irrepnet.cli.printing import say
from irrepnet.errors import IrrepnetError


def serve(
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="[RUN]...", help="Folders of trained runs that predict besides.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen at; by default only this machine can ask.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for any that is free.")] = 8765,
    max_mb: Annotated[int, typer.Option(min=1, max=512, help="Largest file, MB, also unpacked.")] = 8,
    max_atoms: Annotated[int, typer.Option(min=1, max=10_000, help="Most atoms of a crystal.")] = 400,
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="Longest that a crystal may take.")] = 60,
    max_memory: Annotated[int, typer.Option(min=100, help="Memory that a crystal may take, MB (on Linux).")] = 8_000,
) -> None:
    """A page to drop crystals on, which shows what `irrepnet report` writes; a tour of the point groups; a JSON API.

    Nothing of what is sent is kept. Ctrl-C ends it.
    """
    try:
        import uvicorn

        from irrepnet.serve import Limits, create_app
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("irrepnet"):
            raise
        raise IrrepnetError(f"serve needs {error.name}: pip install 'irrepnet[serve]'") from None
    listening = _listening(host, port)
    address = f"[{host}]" if ":" in host else host
    limits = Limits(max_mb, max_atoms, seconds, memory=max_memory)
    app = create_app(limits, [host, socket.gethostname()], runs or ())
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=64,
        timeout_graceful_shutdown=2,
    )
    say(f"irrepnet is at http://{address}:{listening.getsockname()[1]}/ until Ctrl-C")
    if not _is_loopback(host):
        say("warning: other machines can use it; it knows no passwords and does not encrypt", err=True)
    uvicorn.Server(config).run(sockets=[listening])


def _listening(host: str, port: int) -> socket.socket:
    try:
        (family, *_, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return socket.create_server(address[:2], family=family)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise IrrepnetError(f"cannot listen at {host} port {port}: {reason}; take another --port or --host") from None


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
