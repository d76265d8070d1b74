"""Large JSON files, one item after the other, so that they are never in memory as a whole."""

import codecs
import gzip
import json
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from irrepnet.errors import IrrepnetError
from irrepnet.inlets import bounded_recursion, limit

_CHUNK = 1 << 20
_DECODER = json.JSONDecoder()


def json_items(path: Path, key: str = "") -> Iterator[tuple[str, Any]]:
    """The items of a JSON list, or of the list under a key of a JSON object.

    Args:
        path: of a file of UTF-8, which may be gzipped, or the only one with the ending .json in a zip archive.
        key: which list is taken apart; "" for a file that is a list itself.

    Yields:
        (key, item) for every item, and (other key, value) for every other key of the object, in their order.

    Raises:
        IrrepnetError: the file is not such JSON or is damaged; an item, or the whole, is too large
            (:data:`irrepnet.inlets.LIMITS`).
    """
    try:
        with ExitStack() as stack:
            yield from _pairs(_Text(_unpacked(path, stack), path.name), key)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        if isinstance(error, IrrepnetError):
            raise
        raise IrrepnetError(f"{path.name}: damaged file, get it again (--fresh): {error}") from None


def _unpacked(path: Path, stack: ExitStack) -> IO[bytes]:
    raw = stack.enter_context(path.open("rb"))
    head = raw.read(4)
    raw.seek(0)
    if head[:2] == b"\x1f\x8b":
        return stack.enter_context(gzip.GzipFile(fileobj=raw))  # pyright: ignore[reportReturnType] (it is one to read)
    if head != b"PK\x03\x04":
        return raw
    archive = stack.enter_context(zipfile.ZipFile(raw))
    names = [name for name in archive.namelist() if name.lower().endswith(".json")]
    if len(names) != 1:
        raise IrrepnetError(f"{path.name}: the archive has {len(names)} files with the ending .json, one was expected")
    return stack.enter_context(archive.open(names[0]))


def _pairs(text: "_Text", key: str) -> Iterator[tuple[str, Any]]:
    if not key:
        yield from (("", item) for item in _items(text))
    elif text.next() != "{":
        raise text.error("not a JSON object")
    else:
        text.skip()
        while text.next() != "}":
            own = text.value()
            if not isinstance(own, str) or text.next() != ":":
                raise text.error("not a JSON object")
            text.skip()
            if own == key:
                yield from ((key, item) for item in _items(text))
            else:
                yield own, text.value()
            text.comma("}")
        text.skip()
    if text.next():
        raise text.error("goes on after its end")


def _items(text: "_Text") -> Iterator[Any]:
    if text.next() != "[":
        raise text.error("not a JSON list")
    text.skip()
    while text.next() != "]":
        yield text.value()
        text.comma("]")
    text.skip()


class _Text:
    """What is read of a stream and not used yet, from a place on."""

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self._stream, self._name = stream, name
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._text, self._place, self._more = "", 0, True
        self._most = limit("IRREPNET_MAX_MB") * 1_000_000
        self._left = limit("IRREPNET_MAX_DOWNLOAD_MB") * 1_000_000

    def next(self) -> str:
        """The next character that is no space; "" at the end."""
        while True:
            while self._place < len(self._text):
                if self._text[self._place] not in " \t\r\n":
                    return self._text[self._place]
                self._place += 1
            if not self._read():
                return ""

    def skip(self) -> None:
        self._place += 1

    def comma(self, end: str) -> None:
        """Go over a comma, if it is not the end that comes."""
        if self.next() == ",":
            self.skip()
            if self.next() != end:
                return
        elif self.next() == end:
            return
        raise self.error("a comma or the end is missing")

    def value(self) -> Any:
        self.next()
        while True:
            try:
                with bounded_recursion():
                    value, end = _DECODER.raw_decode(self._text, self._place)
            except (ValueError, RecursionError) as error:
                if not isinstance(error, RecursionError) and self._read():
                    continue
                deep = isinstance(error, RecursionError)
                raise self.error("nested too deep" if deep else str(error).partition(":")[0]) from None
            length = end - self._place
            if end + 2 >= len(self._text) and self._read():  # a number may go on, with "." or "e+"
                continue
            self._place += length
            return value

    def error(self, what: str) -> IrrepnetError:
        return IrrepnetError(f"{self._name}: cannot be read as JSON: {what}")

    def _read(self) -> bool:
        """As much again as is there, so that a long item is not parsed anew for every little piece of it."""
        rest = len(self._text) - self._place
        if rest > self._most:
            raise IrrepnetError(f"{self._name}: an item of more than {self._most / 1e6:.0f} MB (IRREPNET_MAX_MB)")
        content = self._stream.read(max(_CHUNK, rest)) if self._more else b""
        self._left -= len(content)
        if self._left < 0:
            raise IrrepnetError(f"{self._name}: too large when unpacked; set IRREPNET_MAX_DOWNLOAD_MB to read more")
        try:
            self._more = bool(content)
            self._text = self._text[self._place :] + self._decode(content, final=not content)
        except UnicodeDecodeError:
            raise self.error("not UTF-8") from None
        self._place = 0
        return self._more
