"""What comes before any answer: who may ask, and how much may be sent. What goes with every answer: its headers."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from irrepnet.serve.worker import Limits

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every answer that does not say otherwise."""
_AROUND_A_FILE = 65_536
"""Bytes that a form may add."""


class Guard:
    """An application behind its checks.

    A name of a host that is not this machine's is refused, for it may be any page's that has been bound to this address
    (DNS rebinding); addresses cannot be. Pages of other origins may not send anything.
    """

    def __init__(self, app: ASGIApp, limits: Limits, hosts: Iterable[str]) -> None:
        self._app = app
        self._limits = limits
        self._hosts = {host.lower() for host in ("localhost", *hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            self._check(scope)
        except HTTPException as refusal:
            answer = JSONResponse({"detail": refusal.detail}, refusal.status_code, {"Connection": "close"})
            await answer(scope, receive, with_headers)
        else:
            await self._app(scope, self._limited(receive), with_headers)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_own(host):
            raise HTTPException(400, "this host is not known here; use localhost, or an address")
        if scope["method"] not in ("GET", "HEAD"):
            origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
            if origin not in (None, f"{scope['scheme']}://{host}") or site not in ("same-origin", "none"):
                raise HTTPException(403, "pages from elsewhere may not send anything")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._limits.bytes + _AROUND_A_FILE:
            raise self._too_large()

    def _is_own(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
            if name in self._hosts:
                return True
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def _limited(self, receive: Receive) -> Receive:
        """What is received, up to the limits of its size and of the time that sending may take."""
        clock = asyncio.get_running_loop()
        size, ends, end = 0, False, clock.time() + self._limits.seconds

        async def limited() -> Message:
            nonlocal size, ends
            if ends:
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), max(0.0, end - clock.time()))
            except TimeoutError:
                raise HTTPException(408, "sending takes too long") from None
            size += len(message.get("body", b""))
            ends = not message.get("more_body", False)
            if size > self._limits.bytes + _AROUND_A_FILE:
                raise self._too_large()
            return message

        return limited

    def _too_large(self) -> HTTPException:
        return HTTPException(413, f"more than {self._limits.megabytes} MB are not taken here")
