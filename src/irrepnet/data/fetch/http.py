"""Requests over HTTP: one line for all that can go wrong, downloads that go on where they broke.

The key of a service goes to the host that it is for, over https (or to this machine), and nowhere else; redirects are
followed by hand for that. Proxies are those of the environment (`HTTPS_PROXY`, `NO_PROXY`).
"""

import hashlib
import ipaddress
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from irrepnet import __version__
from irrepnet.errors import IrrepnetError
from irrepnet.inlets import json_value, limit

CONNECT, READ = 5, 60
"""Seconds until a server must have been reached, and in which it must say something."""
LONGEST_WAIT = 60
"""Seconds that a server may ask to wait (`Retry-After`); for more, the command is to be given again."""
REDIRECTS, WAITS, BREAKS = 10, 3, 5
"""How often one request is sent elsewhere, waits, or goes on after a break."""
CHUNK = 1 << 16
GOES_ON = "what has come is kept, and the same command goes on"

OnProgress = Callable[[str], object]


class _Session(requests.Session):
    """Redirects are left alone, their bodies too, which requests reads as a whole."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        return None


class Client:
    """A session with the servers of one source.

    Args:
        base: the address that the key is for.
        key: sent as X-API-KEY.
    """

    def __init__(self, base: str = "", key: str = "") -> None:
        if base:
            check_address(base)
        self._origin, self._key = _origin(base), key
        if key and urlsplit(base).scheme != "https" and not _is_here(base):
            raise IrrepnetError(f"{shown(base)}: a key is sent over https only")
        self._session = _Session()
        self._session.headers["User-Agent"] = f"irrepnet/{__version__}"

    def get(self, url: str, headers: Mapping[str, str] | None = None, codes: tuple[int, ...] = (200,)) -> Any:
        """The response, its body still to be read.

        Raises:
            IrrepnetError: the address is none of http or https, nothing answers there, or with another status than
                one of the codes.
        """
        redirects = waits = 0
        while True:
            check_address(url)
            own = {"X-API-KEY": self._key} if self._key and _origin(url) == self._origin else {}
            try:
                response = self._session.get(
                    url, headers={**(headers or {}), **own}, stream=True, timeout=(CONNECT, READ), allow_redirects=False
                )
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
                raise IrrepnetError(f"{shown(url)}: cannot be reached: {_why(error)}") from None
            if response.status_code in codes:
                return response
            if response.is_redirect and redirects < REDIRECTS:
                redirects += 1
                target = linked(url, response.headers["location"])
                if url.startswith("https:") and not target.startswith("https:"):
                    raise IrrepnetError(f"{shown(url)}: sends to {shown(target)}, which is not https")
                url = target
            elif response.status_code in (429, 503) and waits < WAITS and _pause(response) <= LONGEST_WAIT:
                waits += 1
                time.sleep(_pause(response))
            else:
                raise IrrepnetError(f"{shown(url)}: {self._refusal(response)}")
            response.close()

    def document(self, url: str) -> tuple[bytes, Any]:
        """The bytes at an address, and what they say as JSON: an object.

        Raises:
            IrrepnetError: as `get`; or it is too large (:data:`irrepnet.inlets.LIMITS`), or no JSON object.
        """
        content = _whole(self.get(url, {"Accept": "application/json"}), url)
        try:
            found = json_value(content)
        except ValueError as error:
            raise IrrepnetError(f"{shown(url)}: answers with what is not JSON: {error}") from None
        if not isinstance(found, dict):
            raise IrrepnetError(f"{shown(url)}: answers with JSON that is not an object")
        return content, found

    def _refusal(self, response: Any) -> str:
        code = response.status_code
        if response.is_redirect:
            return f"sends elsewhere more than {REDIRECTS} times"
        said = _message(response).replace(self._key, "…") if self._key else _message(response)
        said = f": {said}" if said else ""
        if code in (401, 403):
            return f"access is refused ({code}){'; is the key right?' if self._key else ''}{said}"
        if code in (429, 503):
            pause = f" for {_pause(response):.0f} s" if "retry-after" in response.headers else ""
            return f"asks to wait{pause} ({code}); give the command again later{said}"
        return f"{'nothing is there' if code == 404 else 'is answered with status'} ({code}){said}"


def download(
    client: Client, url: str, part: Path, checksum: str = "", progress: OnProgress = lambda text: None
) -> Mapping[str, str]:
    """Get a file, or what is missing of it.

    Args:
        part: where it goes, `held`. What is there already is gone on with, by `Range` and `If-Range`, as long
            as the server has the same file; what is known of that one is in a file beside it.
        checksum: "sha256:…" or "md5:…" of the whole, if it is known.

    Returns:
        The headers of the last response.

    Raises:
        IrrepnetError: as `Client.get`; the file is too large, comes to an end too early more than a few times, or has
            another checksum.
    """
    about = part.with_name(part.name + ".json")
    breaks = 0
    while True:
        begin = part.stat().st_size
        validator = _validator(about) if begin else ""
        headers = {"Accept-Encoding": "identity"}
        if validator:
            headers |= {"Range": f"bytes={begin}-", "If-Range": validator}
        response = client.get(url, headers, (200, 206, 416) if validator else (200,))
        start, total = _range(response)
        if response.status_code == 416 or start not in (0, begin):  # of no use: from the start
            response.close()
            about.unlink(missing_ok=True)
            os.truncate(part, 0)
            continue
        etag = response.headers.get("etag", "W/")
        known = response.headers.get("last-modified", "") if etag.startswith("W/") else etag
        known = known if known.isascii() and known.isprintable() else ""  # it is to be sent back
        about.write_text(json.dumps({"url": shown(url), "validator": known}))
        try:
            _append(response, url, part, start, total, progress)
            break
        except (urllib3.exceptions.HTTPError, requests.RequestException, OSError) as error:
            breaks += 1
            size = part.stat().st_size
            if breaks > BREAKS or size <= begin or not known:
                whole = f" of {total / 1e6:.1f}" if total else ""
                raise IrrepnetError(
                    f"{shown(url)}: stopped after {size / 1e6:.1f}{whole} MB: {_why(error)}; {GOES_ON}"
                ) from None
        finally:
            response.close()
    about.unlink(missing_ok=True)
    if checksum and (found := _digest(part, checksum.partition(":")[0])) != checksum:
        part.unlink()
        raise IrrepnetError(f"{shown(url)}: {found}, {checksum} was expected: a damaged or another file")
    return response.headers


@contextmanager
def held(part: Path) -> Iterator[None]:
    """Make a file if need be; meanwhile no other process gets it. Raises IrrepnetError if one does already."""
    part.parent.mkdir(parents=True, exist_ok=True)
    with part.open("ab") as lock:
        try:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:
            pass
        except BlockingIOError:
            raise IrrepnetError(f"{part}: another process gets this file; wait until it has ended") from None
        yield


def shown(url: str) -> str:
    """An address as messages have it: without what is asked there, and not long."""
    return url.partition("?")[0][:200]


def linked(url: str, link: str) -> str:
    """The address that a link stands for at another one; raises IrrepnetError as `check_address`."""
    with suppress(ValueError):  # of what is no address
        link = urljoin(url, link)
    check_address(link)
    return link


def check_address(url: str) -> None:
    """Raise IrrepnetError for what is no address of http or https, or has a password in it."""
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        raise IrrepnetError(f"{shown(url)}: no address") from None
    if not is_one:
        raise IrrepnetError(f"{shown(url)}: no address of http or https")
    if parts.username is not None:
        raise IrrepnetError(f"an address at {parts.hostname} has a name or password in it; write these into ~/.netrc")


def _append(response: Any, url: str, part: Path, start: int, total: int | None, progress: OnProgress) -> None:
    """The body of a response into a file, from ``start`` on."""
    most = limit("IRREPNET_MAX_DOWNLOAD_MB") * 1_000_000
    size = start
    with part.open("r+b") as file:
        file.truncate(start)
        file.seek(start)
        if not total or total <= most:
            for chunk in response.raw.stream(CHUNK, decode_content=False):
                size += len(chunk)
                if size > most:
                    break
                file.write(chunk)
                progress(f"{size / 1e6:.1f}{f' of {total / 1e6:.1f}' if total else ''} MB")
    if max(size, total or 0) > most:
        os.truncate(part, 0)
        raise IrrepnetError(
            f"{shown(url)}: more than {most / 1e6:.0f} MB; set IRREPNET_MAX_DOWNLOAD_MB to get more at a time"
        )
    if total is not None and size != total:
        raise urllib3.exceptions.ProtocolError("too short")


def _whole(response: Any, url: str) -> bytes:
    most = limit("IRREPNET_MAX_MB") * 1_000_000
    content = bytearray()
    try:
        for chunk in response.iter_content(CHUNK):
            content += chunk
            if len(content) > most:
                raise IrrepnetError(f"{shown(url)}: an answer of more than {most / 1e6:.0f} MB (IRREPNET_MAX_MB)")
    except (urllib3.exceptions.HTTPError, requests.RequestException, OSError) as error:
        raise IrrepnetError(f"{shown(url)}: the answer breaks off: {_why(error)}; {GOES_ON}") from None
    finally:
        response.close()
    return bytes(content)


def _range(response: Any) -> tuple[int, int | None]:
    """(start, total) bytes of what a response brings; the total None if it is not said, and the start -1 if what is
    said makes no sense."""
    length = response.headers.get("content-length", "")
    if response.status_code != 206:
        return 0, _whole_number(length)
    unit, _, said = response.headers.get("content-range", "").partition(" ")
    span, _, total = said.partition("/")
    start = _whole_number(span.partition("-")[0])
    return (-1, None) if unit != "bytes" or start is None else (start, _whole_number(total))


def _whole_number(text: str) -> int | None:
    """Of a header; more than 18 digits are cut."""
    return int(text[:18]) if text.isascii() and text.isdecimal() else None


def _validator(about: Path) -> str:
    """By which a server knows the version of the file of which there is a part."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        return str(json_value(about.read_text())["validator"])
    return ""


def _digest(path: Path, kind: str) -> str:
    with path.open("rb") as file:
        return f"{kind}:{hashlib.file_digest(file, kind).hexdigest()}"


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _is_here(url: str) -> bool:
    name = urlsplit(url).hostname or ""
    with suppress(ValueError):
        return ipaddress.ip_address(name).is_loopback
    return name == "localhost"


def _pause(response: Any) -> float:
    """Seconds that a server asks to wait; one second if it does not say."""
    said = response.headers.get("retry-after", "1").strip()
    if (seconds := _whole_number(said)) is not None:
        return float(seconds)
    try:
        until = parsedate_to_datetime(said)
        return max(0.0, (until - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return 1.0


def _message(response: Any) -> str:
    """What a server says of a refusal, in one line: `detail` of MP's API, `errors` of JSON:API, `message`."""
    try:
        said = json_value(response.raw.read(10_000, decode_content=True))
        if isinstance(said, dict):
            said = said.get("detail") or said.get("errors") or said.get("message") or ""
        parts = said if isinstance(said, list) else [said]
        words = [part.get("detail") or part.get("msg") or "" if isinstance(part, dict) else part for part in parts]
        return " ".join("; ".join(map(str, words)).split())[:200]
    except (ValueError, urllib3.exceptions.HTTPError, OSError):
        return ""


def _why(error: Exception) -> str:
    text = str(error)
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy does not answer"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not accepted"
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return f"no answer within {CONNECT} s"
    if isinstance(error, requests.exceptions.ReadTimeout | urllib3.exceptions.ReadTimeoutError):
        return f"nothing came for {READ} s"
    if "resol" in text or "getaddrinfo" in text:
        return "its name is not known; is there a network?"
    if "refused" in text:
        return "the connection is refused"
    if "unreachable" in text:
        return "there is no way to it; is there a network?"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "the connection broke"
