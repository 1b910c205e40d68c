"""Pictures in stores: the data set and entry that a folder on disk gives, and clear refusals."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pytest

from featcache import FeatureCache, encode_dataset, load_dataset
from featcache.backbones.backbone import Backbone
from featcache.datasets import remote
from featcache.datasets.dataset import Item
from featcache.datasets.remote import Remote, is_url
from featcache.encoding.identity import SAMPLES
from featcache.errors import DatasetError, PictureError
from featcache.pictures.digest import UNKNOWN, bytes_of, read, state_of
from tests.featcache.encoding.folder import folder, paint

URL = "memory://bucket/pets"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A store with the pictures of a folder that is called `pets` too."""
    monkeypatch.setattr(remote, "PAUSES", (0.0, 0.0))
    fs = fsspec.filesystem("memory")
    fs.put(str(folder(tmp_path / "pets", rows=4)), "/bucket/pets", recursive=True)
    yield fs
    fs.store.clear()
    fs.pseudo_dirs[:] = [""]


def digests(url: str) -> list[str]:
    return [read(item).digest for rows in load_dataset(url).splits.values() for item in rows]


def test_what_is_an_address() -> None:
    assert all(map(is_url, ["s3://a/b", "hf://datasets/a/b", "memory://a", "file:///a"]))
    assert not any(map(is_url, ["a", "/a/b", "C:\\a", "local-dir:x", "C://x", "s3:/a", "s3://"]))


def test_it_is_the_data_set_that_the_folder_is(store: Any, tmp_path: Path) -> None:
    here, there = load_dataset(str(tmp_path / "pets")), load_dataset(URL)
    assert (there.name, there.fingerprint) == (here.name, here.fingerprint)
    assert digests(URL) == digests(str(tmp_path / "pets"))
    (first, *_), (item, *_) = here.splits["train"], there.splits["train"]
    assert isinstance(item.source, Remote)
    assert state_of(item, 0).size == state_of(first, 0).size
    assert state_of(item, 0).sure
    assert pickle.loads(pickle.dumps(item)) == item


def test_the_entry_is_that_of_the_folder_and_follows_its_bytes(
    store: Any, tiny: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = FeatureCache(tmp_path / "cache")
    asked: list[str] = []
    cat_file = type(store).cat_file
    monkeypatch.setattr(
        type(store), "cat_file", lambda s, path, **k: asked.append(path) or cat_file(s, path, **k)
    )
    far = encode_dataset(load_dataset(URL), tiny, cache)
    assert far.encoded == len(set(asked)) == 18
    near = encode_dataset(load_dataset(str(tmp_path / "pets")), tiny, cache)
    assert (near.entry.key, near.encoded) == (far.entry.key, 0)
    encode_dataset(load_dataset(URL), tiny, cache)  # states are those of the store again
    asked.clear()
    assert encode_dataset(load_dataset(URL), tiny, cache).encoded == 0
    assert len(asked) == SAMPLES  # those that the key is made of
    store.pipe_file("/bucket/pets/val/ant/00.png", paint(tmp_path / "x.png", 99).read_bytes())
    assert encode_dataset(load_dataset(URL), tiny, cache).encoded == 1


def test_lists_lie_beside_pictures_or_name_them_by_address(store: Any, tmp_path: Path) -> None:
    names = [f"{split}/{name}/00.png" for split in ("train", "test") for name in ("ant", "bee")]
    rows = [f"{name},{name.split('/')[1]},{name.split('/')[0]}" for name in names]
    store.pipe_file("/bucket/pets/list.csv", "\n".join(["path,class,split", *rows]).encode())
    beside = load_dataset(f"{URL}/list.csv")
    assert [len(items) for items in beside.splits.values()] == [2, 2]
    own = tmp_path / "own.csv"
    own.write_text("\n".join(["path,class,split", *(f"{URL}/{row}" for row in rows)]))
    named = load_dataset(str(own))
    pairs = zip(beside.splits["test"], named.splits["test"], strict=True)
    assert all(read(one).digest == read(other).digest for one, other in pairs)
    assert named.splits["test"][0].id == "bucket/pets/test/ant/00.png"
    listed = own.read_text()
    for where in ("test/bee/none", "nowhere/at/all"):
        own.write_text(listed.replace("test/bee/00", where))
        gone = load_dataset(str(own)).splits["test"][1]
        assert state_of(gone, 0) == UNKNOWN
        with pytest.raises(PictureError, match="is not there"):
            read(gone)
    store.pipe_file("/bucket/pets/list.csv", b"path,class\nx.png,ant\nx.png,ant\n")
    with pytest.raises(DatasetError, match=rf"^{URL}/list\.csv line 3: x\.png is listed"):
        load_dataset(f"{URL}/list.csv")
    for odd, why in (("file:///etc/passwd", "no address in a store"), ("a.png", "one kind")):
        own.write_text(f"path,class\n{URL}/train/ant/00.png,ant\n{odd},bee\n")
        with pytest.raises(DatasetError, match=why):
            load_dataset(str(own))


def test_what_fails_is_tried_again_and_then_named(
    store: Any, tiny: Backbone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data, failures = load_dataset(URL), [0]
    item, cat_file = data.splits["train"][0], type(store).cat_file

    def failing(self: Any, path: str, **options: Any) -> Any:
        failures[0] -= 1
        if failures[0] >= 0:
            raise OSError("the line is down")
        return cat_file(self, path, **options)

    monkeypatch.setattr(type(store), "cat_file", failing)
    failures[0] = 2
    assert read(item).digest == digests(str(tmp_path / "pets"))[0]
    failures[0] = 3
    with pytest.raises(DatasetError, match=r"train/ant/00\.png .* in 3 tries \(the line is down"):
        read(item)
    cache = FeatureCache(tmp_path / "cache")
    failures[0] = 10**6  # an outage marks no picture as bad
    with pytest.raises(DatasetError, match="run the same again"):
        encode_dataset(data, tiny, cache)
    failures[0] = 0
    assert encode_dataset(data, tiny, cache).bad == []
    assert isinstance(item.source, Remote)
    for source, why in (
        (Remote(URL, item.source.path, 3), "where 3 were listed"),
        (Remote(URL, "/bucket/pets/none"), "is not there"),
    ):
        with pytest.raises(PictureError, match=why):
            read(Item("x", source, 0))


def test_a_login_that_ends_stops_the_run_and_a_forbidden_picture_does_not(
    store: Any, tiny: Backbone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data, cat_file, left = load_dataset(URL), type(store).cat_file, [SAMPLES + 2]
    assert isinstance(data.splits["val"][0].source, Remote)
    forbidden = data.splits["val"][0].source.path

    def ending(self: Any, path: str, **options: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise PermissionError("Forbidden") from RuntimeError("(RequestTimeTooSkewed)")
        return cat_file(self, path, **options)

    def refusing(self: Any, path: str, **options: Any) -> Any:
        if path == forbidden:
            raise PermissionError(f"{path}: Access Denied")
        return cat_file(self, path, **options)

    cache = FeatureCache(tmp_path / "cache")
    monkeypatch.setattr(type(store), "cat_file", ending)
    with pytest.raises(DatasetError, match=r"^memory://bucket/pets no longer lets this login read"):
        encode_dataset(data, tiny, cache)
    monkeypatch.setattr(type(store), "cat_file", refusing)
    report = encode_dataset(data, tiny, cache)
    assert [reason[:18] for _, reason in report.bad] == ["may not be read (/"]
    assert len(cache.entries()) == 1
    for said in (
        "The provided token has expired.",
        "The AWS Access Key Id you provided does not exist in our records.",
        "The request signature we calculated does not match",
    ):
        monkeypatch.setattr(type(store), "cat_file", raising(PermissionError(said)))
        with pytest.raises(DatasetError, match="log in anew"):
            read(data.splits["val"][0])
    monkeypatch.setattr(type(store), "cat_file", raising(PermissionError("/keys/token.png: no")))
    with pytest.raises(PictureError):
        Remote("memory://never-read", "/keys/token.png").read()


def raising(error: Exception) -> Any:
    def method(*_: Any, **__: Any) -> Any:
        raise error

    return method


@pytest.mark.parametrize(
    ("url", "error", "says"),
    [
        ("memory://nowhere/x", None, "there is nothing at memory://nowhere/x"),
        (URL, PermissionError("Access Denied"), "may not be listed .*AWS_ACCESS_KEY_ID"),
        (URL, RuntimeError("Unable to locate credentials"), "may not be listed"),
        (URL, FileNotFoundError("bucket"), "check the bucket"),
        (URL, OSError("no route"), r"in 3 tries \(no route\)"),
        ("what://x/y", None, "in no store that is known"),
        (
            "reference://x",
            None,
            r"^reference://x cannot be opened \(TypeError: .*check the ad",
        ),
        ("dir://x", None, r"^dir://x cannot be opened \(AttributeError: "),
        ("ftp://127.0.0.1:1/x", None, r"^ftp://127.0.0.1:1/x cannot be opened \(Connection"),
    ],
)
def test_what_cannot_be_listed_says_what_to_do(
    store: Any, monkeypatch: pytest.MonkeyPatch, url: str, error: Exception | None, says: str
) -> None:
    if error:
        monkeypatch.setattr(type(store), "find", raising(error))
    with pytest.raises(DatasetError, match=says):
        load_dataset(url)


def test_a_package_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(url: str) -> Any:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(DatasetError, match=r"Install s3fs.*pip install 'featcache\[remote\]'"):
        load_dataset("s3://bucket/pets")


def test_names_and_files_from_strangers_are_refused_by_their_address(store: Any) -> None:
    store.pipe_file("/bucket/pets/train/part.tar", b"x")
    with pytest.raises(DatasetError, match=r"memory://bucket/pets holds train/part\.tar"):
        load_dataset(URL)
    store.rm("/bucket/pets/train/part.tar")
    store.pipe_file("/bucket/pets/train/../../x.png", b"x")
    with pytest.raises(DatasetError, match="does not stay in the image folder"):
        load_dataset(URL)
    store.rm("/bucket/pets/train/../../x.png")
    store.rm("/bucket/pets/test", recursive=True)
    with pytest.raises(DatasetError, match=r"^memory://bucket/pets has train/ and val/ but no"):
        load_dataset(URL)


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


class Listless(Silent):
    """A server that lists no folder."""

    def list_directory(self, path: Any) -> Any:
        self.send_error(403 if "train" in str(path) else 404)


@contextmanager
def served(folder: Path, handler: type[Silent] = Silent) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_a_web_server_is_a_store_whose_pictures_are_hashed_each_time(
    store: Any, tmp_path: Path
) -> None:
    with served(tmp_path) as url:
        assert digests(f"{url}/pets") == digests(str(tmp_path / "pets"))
        state = state_of(load_dataset(f"{url}/pets").splits["val"][0], 0)
        assert not state.sure
        assert state != UNKNOWN


def test_names_on_a_web_server_are_as_its_folders_are_called(store: Any, tmp_path: Path) -> None:
    for name in ("sea lake", "bee"):
        for i in range(3):
            paint(tmp_path / "two ponds" / name / f"a {i}.png", i)
    (tmp_path / "beside.txt").touch()
    here = load_dataset(str(tmp_path / "two ponds"))
    with served(tmp_path) as url:
        there = load_dataset(f"{url}/two%20ponds")
        assert (there.name, there.classnames) == (here.name, here.classnames)
        assert there.fingerprint == here.fingerprint
        item = there.splits["train"][0]
        assert read(item).digest == read(here.splits["train"][0]).digest
        beside = tmp_path / "two ponds" / "list.csv"
        rows = ["sea lake/a 0.png,sea,train", "bee/a 1.png,bee,train", "bee/a 2.png,bee,test"]
        beside.write_text("\n".join(["path,class,split", *rows]))
        first = load_dataset(f"{url}/two%20ponds/list.csv").splits["train"][0]
        beside.unlink()
        assert bytes_of(first.source) == (tmp_path / "two ponds/sea lake/a 0.png").read_bytes()
    with served(tmp_path / "two ponds") as bare:
        assert load_dataset(bare).classnames == here.classnames
        asked = load_dataset(bare + "/").splits["train"]
        assert [each.id for each in asked] == [each.id for each in here.splits["train"]]


def test_addresses_on_a_web_server_need_no_listing(store: Any, tmp_path: Path) -> None:
    names = [f"{split}/{name}/00.png" for split in ("train", "test") for name in ("ant", "bee")]
    own = tmp_path / "own.csv"
    with served(tmp_path, Listless) as url:
        rows = [f"{url}/pets/{n},{n.split('/')[1]},{n.split('/')[0]}" for n in names]
        own.write_text("\n".join(["path,class,split", *rows]))
        items = [item for of in load_dataset(str(own)).splits.values() for item in of]
        assert [state_of(item, 0).sure for item in items] == [False] * 4
        assert UNKNOWN not in [state_of(item, 0) for item in items]
        for item, name in zip(items, names, strict=True):
            assert bytes_of(item.source) == (tmp_path / "pets" / name).read_bytes()


class Guarded(Silent):
    """A server that forbids what has such a word in its path, and after so many pictures all."""

    word, left, status = "", 10**6, 403

    def do_GET(self) -> None:
        Guarded.left -= ".png" in self.path
        if Guarded.left < 0 or (Guarded.word and Guarded.word in self.path):
            self.send_error(Guarded.status)
        else:
            super().do_GET()


def guard(monkeypatch: pytest.MonkeyPatch, word: str, left: int = 10**6, status: int = 403) -> None:
    for name, value in {"word": word, "left": left, "status": status}.items():
        monkeypatch.setattr(Guarded, name, value)


@pytest.mark.parametrize("status", [401, 403, 410])
def test_a_picture_that_a_web_server_forbids_is_a_bad_one(
    store: Any, tiny: Backbone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, status: int
) -> None:
    cache = FeatureCache(tmp_path / "cache")
    guard(monkeypatch, "train/ant/01", status=status)
    with served(tmp_path, Guarded) as url:
        found = encode_dataset(load_dataset(f"{url}/pets"), tiny, cache)
        reason = "is not there." if status == 410 else f"may not be read ({status} "
        assert [(name, why[: len(reason)]) for name, why in found.bad] == [
            ("train/ant/01.png", reason)
        ]
        guard(monkeypatch, "")
        again = encode_dataset(load_dataset(f"{url}/pets"), tiny, cache, retry_bad=True)
        assert (again.entry.key, again.bad) == (found.entry.key, [])


def test_a_web_server_that_forbids_all_stops_the_run_from_the_start_and_midway(
    store: Any, tiny: Backbone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cache = FeatureCache(tmp_path / "cache")
    with served(tmp_path, Guarded) as url:
        data = load_dataset(f"{url}/pets")
        guard(monkeypatch, ".png")
        with pytest.raises(DatasetError, match=r"^none of 16 .*\(403 Forbidden\); log in as"):
            encode_dataset(data, tiny, cache)
        assert cache.entries() == []
        guard(monkeypatch, "", SAMPLES + 3)
        with pytest.raises(DatasetError, match=r"no longer lets this login read \(403 Forbidden\)"):
            encode_dataset(data, tiny, cache)
        guard(monkeypatch, "")
        assert encode_dataset(data, tiny, cache).bad == []
        assert len(cache.entries()) == 1


def test_a_signed_address_that_fails_is_tried_again_and_stands_in_no_reason(
    store: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    signed = "x.png?X-Amz-Credential=a%2Fb&X-Amz-Signature=secret"
    with served(tmp_path, Guarded) as url:
        guard(monkeypatch, "x.png", status=500)
        with pytest.raises(DatasetError, match="in 3 tries"):
            Remote(url, f"{url}/{signed}").read()
        guard(monkeypatch, "x.png")
        with pytest.raises(PictureError, match=r"^may not be read \(403 Forbidden\)\.$"):
            Remote(url, f"{url}/{signed}").read()
