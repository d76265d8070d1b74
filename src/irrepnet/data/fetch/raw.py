"""What sources gave, as they gave it, kept by content.

The folder `raw` of the cache (:func:`irrepnet.graphs.cache.folder`, $IRREPNET_CACHE) has `files/SHA256/NAME`, and for
every request `requests/DIGEST.json`, its *manifest*: what was asked, when, the version, licence and citation that the
source states, and the files with their sha256. `parts/` holds what is on its way.
"""

import hashlib
import json
import os
import re
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from irrepnet.data.fetch.http import GOES_ON, Client, OnProgress, download, held, shown
from irrepnet.errors import IrrepnetError
from irrepnet.graphs.cache import folder as cache_folder
from irrepnet.inlets import json_value, limit


@dataclass(frozen=True)
class FetchRequest:
    """What is asked of a source.

    Attributes:
        source: its name; of a file or an address that itself.
        query: which part of the source.
        filter: in the language of the source.
        fields: names of properties, instead of the usual ones.
        url: another server with the same protocol or another place of the same file.
        most: crystals at most.
        key_file: a file with the key in it, else it is in the environment.
        fresh: ask again what has been asked before.
    """

    source: str
    query: str = ""
    filter: str = ""
    fields: tuple[str, ...] = ()
    url: str = ""
    most: int | None = None
    key_file: Path | None = None
    fresh: bool = False


@dataclass(frozen=True)
class Raw:
    """The answer to a request.

    Attributes:
        manifest: what is known of it.
        paths: of its files, in the order of the manifest's `files`.
    """

    manifest: dict[str, Any]
    paths: list[Path]

    def documents(self) -> Iterator[tuple[str, Any]]:
        """(address, content) of every page."""
        for entry, path in zip(self.manifest["files"], self.paths):
            yield entry["url"], json_value(path.read_bytes())


def raw_folder() -> Path:
    """Where raw files are kept."""
    return cache_folder() / "raw"


def kept(asked: Mapping[str, Any]) -> Raw | None:
    """The whole answer to a request that was made before, if all its files are as they came."""
    manifest = _manifest(asked)
    return None if manifest is None or manifest["next"] else _intact(manifest)


def fetch_file(
    request: FetchRequest,
    asked: Mapping[str, Any],
    describe: Callable[[Client], Mapping[str, Any]],
    progress: OnProgress,
) -> Raw:
    """A file from an address, or from the cache.

    Args:
        asked: what the answer follows from; its `url` is the address.
        describe: what is known of it besides: `name`, `version`, `licence`, `citation`, `checksum`.

    Raises:
        IrrepnetError: as `download`.
    """
    if not request.fresh and (raw := kept(asked)) is not None:
        return raw
    client = Client()
    about = dict(describe(client))
    part = raw_folder() / "parts" / _key(asked)
    with _writing(), held(part):
        headers = download(client, asked["url"], part, about.pop("checksum", ""), progress)
        with part.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        entry = {"name": about.pop("name"), "url": asked["url"], "sha256": sha256, "bytes": part.stat().st_size}
        path = _path(entry)
        path.parent.mkdir(parents=True, exist_ok=True)
        os.replace(part, path)
        about["version"] = about.get("version") or headers.get("last-modified") or ""
        manifest = _written(asked, {**about, "files": [entry], "next": []})
    return Raw(manifest, [path])


def fetch_pages(
    request: FetchRequest,
    asked: Mapping[str, Any],
    client: Client,
    about: Mapping[str, Any],
    first: str,
    following: Callable[[str, dict[str, Any]], list[str]],
    progress: OnProgress,
) -> Raw:
    """The pages of an answer, each of which is kept when it has come.

    Args:
        asked: what the answer follows from.
        about: `version`, `licence`, `citation`; with another version nothing is gone on with.
        first: address of the first page.
        following: the addresses that come next, from a page and its own address, before those that were named
            already.

    Raises:
        IrrepnetError: as `Client.document`; addresses that come again, pages without crystals that name others, more
            bytes than may be read.
    """
    manifest = None if request.fresh else _manifest(asked)
    if manifest is None or manifest.get("version") != about["version"] or _intact(manifest) is None:
        manifest = {**about, "files": [], "next": [first]}
    most = limit("IRREPNET_MAX_DOWNLOAD_MB") * 1_000_000
    files, queue = manifest["files"], manifest["next"]
    with _writing():
        while queue:
            url = queue[0]
            content, page = client.document(url)
            new = _keep(content, f"page-{len(files) + 1}.json")
            if any(entry["url"] == url or entry["sha256"] == new["sha256"] for entry in files):
                raise IrrepnetError(f"{shown(url)}: its pages go in a circle")
            data = page.get("data")
            if not isinstance(data, list):
                raise IrrepnetError(f"{shown(url)}: a page without the list `data`")
            queue[:1] = following(url, page)
            if queue and not data:
                raise IrrepnetError(f"{shown(url)}: a page without crystals that names another one")
            if not files and not data:
                raise IrrepnetError(f"{shown(url)}: no crystal fits")
            files.append(new | {"url": url, "crystals": len(data)})
            if sum(entry["bytes"] for entry in files) > most:
                raise IrrepnetError(
                    f"{shown(url)}: more than {most / 1e6:.0f} MB; ask for less, or set IRREPNET_MAX_DOWNLOAD_MB"
                )
            manifest = _written(asked, manifest)
            progress(f"{len(files)} pages, {sum(entry['crystals'] for entry in files)} documents")
    return Raw(manifest, [_path(entry) for entry in files])


def keep_file(path: Path) -> Raw:
    """A file of the user's, with its hash.

    Raises:
        IrrepnetError: it cannot be read, or is too large.
    """
    try:
        size = path.stat().st_size
        if size > limit("IRREPNET_MAX_DOWNLOAD_MB") * 1_000_000:
            raise IrrepnetError(f"{path}: {size / 1e6:.0f} MB are more than IRREPNET_MAX_DOWNLOAD_MB allows")
        content = path.read_bytes()
    except OSError as error:
        raise IrrepnetError(f"{path}: cannot be read: {error.strerror}") from None
    asked = {"source": "file", "url": str(path.absolute())}
    with _writing():
        entry = _keep(content, path.name) | {"url": asked["url"]}
        manifest = _written(asked, {"version": "", "licence": "", "citation": [], "files": [entry], "next": []})
    return Raw(manifest, [_path(entry)])


def sound_name(text: str) -> str:
    """A name for a file that is none of a folder, a hidden file, or an option."""
    return re.sub(r"[^A-Za-z0-9._+-]", "_", text).lstrip("._-")[-100:] or "file"


def _keep(content: bytes, name: str) -> dict[str, Any]:
    entry = {"name": name, "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    path = _path(entry)
    if not path.exists():
        _replace(path, content)
    return entry


def _path(entry: Mapping[str, Any]) -> Path:
    return raw_folder() / "files" / entry["sha256"] / entry["name"]


def _intact(manifest: dict[str, Any]) -> Raw | None:
    """The files of a manifest, None if one is missing or is not what it was."""
    paths = [_path(entry) for entry in manifest["files"]]
    for entry, path in zip(manifest["files"], paths):
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return None
        if found != entry["sha256"]:
            warnings.warn(f"{path} is damaged and is fetched anew", stacklevel=3)
            path.unlink(missing_ok=True)
            return None
    return Raw(manifest, paths)


def _manifest(asked: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        manifest = json_value(_manifest_path(asked).read_bytes())
    except (OSError, ValueError):
        return None
    is_one = isinstance(manifest, dict) and {"asked", "files", "next"} <= manifest.keys()
    return manifest if is_one else None


def _written(asked: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest with what was asked and the time, as it is now on disk."""
    whole = {"asked": dict(asked), "time": datetime.now(UTC).isoformat(timespec="seconds"), **manifest}
    _replace(_manifest_path(asked), json.dumps(whole, indent=1, ensure_ascii=False).encode("utf-8", "backslashreplace"))
    return whole


def _manifest_path(asked: Mapping[str, Any]) -> Path:
    return raw_folder() / "requests" / f"{_key(asked)}.json"


def _key(asked: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:32]


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    part.write_bytes(content)
    os.replace(part, path)


@contextmanager
def _writing() -> Iterator[None]:
    """Within, what the system says of the folder is an IrrepnetError."""
    try:
        yield
    except OSError as error:
        raise IrrepnetError(
            f"{raw_folder()}: cannot be written: {error.strerror or error}; IRREPNET_CACHE sets another; {GOES_ON}"
        ) from None
