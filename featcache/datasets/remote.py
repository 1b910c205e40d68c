"""Pictures in object stores (`s3://`, `hf://` …): listed once, and each read when it is encoded.

`fsspec` speaks to the stores; each kind of store has a package of its own (the extra `remote`). A
listing becomes a temporary folder of empty files beside the lists that lie at its top, which the
readers of folders read as any other; then pictures take the place of files.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar
from urllib.parse import unquote

from featcache.datasets.checks import nfc, safe_id
from featcache.datasets.dataset import Dataset, Item
from featcache.errors import DatasetError, PictureError

LISTERS = 16  # folders asked for at once
PAUSES = (0.5, 2.0, 8.0)  # seconds before what failed is tried again
LISTS, LARGEST_LIST = (".txt", ".csv", ".tsv", ".json"), 2**28
WITHIN = (".parquet", ".pq", ".arrow", ".tar", ".tgz", ".tar.gz")  # which hold pictures themselves
# What stores say of an object that changes with its bytes, the surest first.
MARKS = ("ETag", "etag", "md5Hash", "blob_id", "xet_hash", "generation", "content_md5")
TIMES = ("LastModified", "last_modified", "mtime", "updated", "created")
NOT_FROM_LISTS = ("file", "local")  # a list that somebody else made names no file of this machine
SERVERS = ("http", "https")  # many list nothing, or refuse to, and few tell sizes
GONE, LATER = (404, 410), (408, 425, 429)  # statuses: not there, worth another try
# What a refusal speaks of that is the reader's own, and no matter of one picture.
LOGIN = re.compile("expired|token|credential|signature|skewed|request time|access key", re.I)
LOG_IN = (
    "log in as the store asks (for s3:// AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
    "FSSPEC_S3='{\"anon\": true}' where it is public; for hf:// HF_TOKEN)"
)
_URL = re.compile(r"([a-z][a-z0-9+.\-]+)://[^/]")
_read_of: dict[str, str] = {}  # a picture of each bucket or server that could be read
Found = TypeVar("Found")


def is_url(text: str) -> bool:
    """Whether it names something in a store, by a protocol."""
    return bool(_URL.match(text)) or text.startswith("file:///")


@dataclass(frozen=True, slots=True)
class Remote:
    """A picture in a store: its path there, and what the listing said of it.

    `mark` changes when its bytes do. Both are -1 where the store does not say; `listed` is whether
    it was there.
    """

    store: str
    path: str
    size: int = -1
    mark: int = -1
    listed: bool = True

    @property
    def file(self) -> Path:
        """What it is called there."""
        return Path(self.path)

    def read(self) -> bytes:
        """All its bytes, tried some times.

        Raises `PictureError` where it is not there, not to be read or another by now, and
        `DatasetError` where the store cannot be reached or lets nothing be read any longer.
        """
        try:
            content = self._content(self.path)
        except FileNotFoundError:
            raise PictureError("is not there.") from None
        except PermissionError as error:
            if self._is_closed(error):
                raise DatasetError(
                    f"{self.store} no longer lets this login read ({error}); log in anew, or wait "
                    "where a server has had enough, and run the same again: what was encoded is "
                    "kept."
                ) from error
            raise PictureError(f"may not be read ({error}).") from error
        if self.size >= 0 and len(content) != self.size:
            raise PictureError(f"has {len(content)} bytes, where {self.size} were listed.")
        if content:
            _read_of[self._server] = self.path
        return content

    @property
    def _server(self) -> str:
        return "/".join(self.store.split("/")[:3])

    def _content(self, path: str) -> bytes:
        """Raises as `_tried` does."""
        return _tried(
            lambda: bytes(_opened(self.store)[0].cat_file(path)), f"{path} of {self.store}"
        )

    def _is_closed(self, error: PermissionError) -> bool:
        """Whether not this picture alone is refused: what was read before is now, too."""
        before = _read_of.get(self._server)
        if before is None or before == self.path:
            return bool(LOGIN.search(f"{error} {error.__cause__}".replace(self.path, "")))
        try:
            self._content(before)
        except PermissionError:
            return True
        except FileNotFoundError:
            pass
        return False


def refuse_closed(sources: Sequence[object]) -> None:
    """Raise `DatasetError` where all these are pictures in stores that let none of them be read."""
    refusal: PictureError | None = None
    for source in sources:
        if not isinstance(source, Remote):
            return
        try:
            source.read()
            return
        except PictureError as error:
            if isinstance(error.__cause__, PermissionError):
                refusal, store = error, source.store
    if refusal is not None:
        raise DatasetError(
            f"none of {len(sources)} pictures of {store} that were tried can be read, and the last "
            f"{str(refusal).rstrip('.')}; {LOG_IN} and run the same again."
        ) from refusal


@dataclass(frozen=True)
class Mirror:
    """The folder that stands for what is listed at `url`, and the pictures by their paths in it."""

    url: str
    path: Path
    pictures: Mapping[str, Remote]
    top: Path

    def moved(self, dataset: Dataset) -> Dataset:
        """The data set with pictures in the store in place of empty files."""
        splits = {
            split: tuple(replace(item, source=self._picture(item)) for item in items)
            for split, items in dataset.splits.items()
        }
        notes = tuple(self.said(note) for note in dataset.notes)
        return replace(dataset, splits=splits, notes=notes)

    def said(self, text: str) -> str:
        """The text with the url in place of the folder."""
        above = self.url if self.path == self.top else self.url.rpartition("/")[0]
        return text.replace(str(self.path), self.url).replace(str(self.top), above)

    def _picture(self, item: Item) -> Any:
        if not isinstance(item.source, Path):
            return item.source  # listed by its own url
        inside = item.source.relative_to(self.top).as_posix()
        return self.pictures.get(inside) or Remote(self.url, inside, listed=False)


@contextmanager
def mirrored(url: str) -> Iterator[Mirror]:
    """A folder, or the list in it, that reads as what lies at the url; gone afterwards.

    What a reader refuses is told of the url. Raises `DatasetError` where the store cannot be
    listed, and for names that lead elsewhere.
    """
    fs, path = _opened(url)
    fs.invalidate_cache()  # stores remember what they listed, and may have changed since
    # On web servers everything that answers is a file, folders too, and names are as in addresses.
    web = url.partition("://")[0] in SERVERS
    spelt = unquote if web else str
    one = path.lower().endswith(LISTS) if web else bool(_listing(lambda: fs.isfile(path), url))
    root = path.rpartition("/")[0] if one else path
    found = _listing(lambda: fs.find(root, detail=True), url)
    if not found:
        raise DatasetError(f"there is nothing at {url}; check the bucket and the path.")
    with TemporaryDirectory(prefix="featcache-listing-") as folder:
        # Called as there, for a data set is called as its folder is.
        top = Path(folder).resolve() / (spelt(root).rpartition("/")[2] or "store")
        top.mkdir()
        pictures = {}
        for name, info in found.items():
            if info.get("type") != "file" or name.endswith("/"):
                continue
            inside = safe_id(spelt(name[len(root) :]).lstrip("/"), url)
            pictures[inside] = _remote(url, name, info)
            _place(top, inside, pictures[inside])
        chosen = top / spelt(path[len(root) :]).lstrip("/") if one else top
        mirror = Mirror(url, chosen, pictures, top)
        try:
            yield mirror
        except DatasetError as error:
            raise DatasetError(mirror.said(str(error))) from error


def _place(top: Path, inside: str, remote: Remote) -> None:
    """An empty file, or a list with its text."""
    file = top / inside
    listing = "/" not in inside and inside.lower().endswith(LISTS)
    if inside.lower().endswith(WITHIN):
        raise DatasetError(
            f"{remote.store} holds {inside}, and what lies within such files is read from disk "
            "alone; copy it to a folder, or give the folder of pictures."
        )
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(remote.read() if listing and remote.size <= LARGEST_LIST else b"")
    except (OSError, PictureError) as error:
        raise DatasetError(f"{remote.store}: {inside} cannot be listed ({error}).") from error


def in_lists(urls: Sequence[str], where: str) -> dict[str, tuple[str, Remote]]:
    """Id and picture of each url that a list names; their folders are listed, each once.

    What is not in its folder's listing is a picture that is not there, which is told when it is
    read; web servers are asked for no listing. Raises `DatasetError` for urls of this machine, and
    where a store cannot be listed.
    """
    found: dict[str, tuple[str, Remote]] = {}
    by_folder: dict[str, list[str]] = {}
    for url in dict.fromkeys(urls):
        match = _URL.match(url)
        if match is None or match[1] in NOT_FROM_LISTS or "::" in url:
            raise DatasetError(f"{where}: {url!r} is no address in a store; give paths, or s3://.")
        folder = url.rpartition("/")[0]
        if match[1] in SERVERS:
            found[url] = _named(url, where), Remote(folder, _opened(url)[1])
        else:
            by_folder.setdefault(folder, []).append(url)
    with ThreadPoolExecutor(LISTERS) as pool:
        held = dict(zip(by_folder, pool.map(_in_folder, by_folder), strict=True))
    for folder, inside in by_folder.items():
        for url in inside:
            _, path = _opened(url)
            remote = held[folder].get(path) or Remote(folder, path, listed=False)
            found[url] = _named(url, where), remote
    return found


def _named(url: str, where: str) -> str:
    return nfc(safe_id(url.partition("://")[2], where))


def _in_folder(url: str) -> dict[str, Remote]:
    fs, path = _opened(url)

    def ask() -> list[dict[str, Any]]:
        try:
            return list(fs.ls(path, detail=True))
        except FileNotFoundError:
            return []

    fs.invalidate_cache(path)
    return {each["name"]: _remote(url, each["name"], each) for each in _listing(ask, url)}


def _remote(url: str, path: str, info: Mapping[str, Any]) -> Remote:
    size = info.get("size")
    marks = [f"{key}={info[key]}" for key in (*MARKS, *TIMES) if info.get(key)]
    digest = blake2b("\n".join([path, *marks[:1]]).encode(), digest_size=7).digest()
    return Remote(
        url, path, -1 if size is None else int(size), int.from_bytes(digest) if marks else -1
    )


def _opened(url: str) -> tuple[Any, str]:
    """The store of a url, which fsspec keeps by itself, and the path in it."""
    import fsspec

    try:
        fs, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise DatasetError(
            f"{url} is read by a package that is not installed ({error}); "
            "pip install 'featcache[remote]' for s3://, or that package."
        ) from None
    except ValueError as error:
        raise DatasetError(f"{url} is in no store that is known ({error}); use s3://.") from None
    except Exception as error:  # each store has its own
        raise DatasetError(
            f"{url} cannot be opened ({type(error).__name__}: {error}); check the address and what "
            "its store wants of you."
        ) from error
    return fs, str(path).rstrip("/")


def _listing(ask: Callable[[], Found], url: str) -> Found:
    """What a store says of itself, or a sentence."""
    try:
        return _tried(ask, url)
    except FileNotFoundError:
        raise DatasetError(f"there is nothing at {url}; check the bucket and the path.") from None
    except PermissionError as error:
        raise DatasetError(f"{url} may not be listed ({error}); {LOG_IN}.") from None


def _tried(ask: Callable[[], Found], what: str) -> Found:
    """The answer, asked for again after pauses where that may help.

    Raises `FileNotFoundError`, `PermissionError`, or `DatasetError` for all else.
    """
    for pause in (*PAUSES, None):
        try:
            return ask()
        except (DatasetError, FileNotFoundError, PermissionError):
            raise
        except Exception as error:  # each store has its own
            status = _status(error)
            if status in GONE:
                raise FileNotFoundError(what) from None
            if 400 <= status < 500 and status not in LATER:
                # The whole text has the address, and that may be signed.
                said = f"{status} {getattr(error, 'message', '')}".strip()
                raise PermissionError(said) from None
            if not status and "credential" in f"{type(error).__name__} {error}".lower():
                raise PermissionError(str(error)) from error
            if pause is None:
                raise DatasetError(
                    f"{what} could not be read in {len(PAUSES) + 1} tries ({error or type(error)});"
                    " what was encoded is kept: run the same again when the store can be reached."
                ) from error
            time.sleep(pause)
    raise AssertionError


def _status(error: Exception) -> int:
    """The status of HTTP that an error tells of; 0 where it tells of none."""
    held = getattr(error, "status", getattr(error, "response", None))
    found = getattr(held, "status_code", held)
    return found if isinstance(found, int) else 0
