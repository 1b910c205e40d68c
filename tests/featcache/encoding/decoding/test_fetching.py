"""Pictures in stores come ahead of those that decode, in order, and within so many bytes."""

from __future__ import annotations

import pickle
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from featcache import FeatureCache, ViewRecipe, encode_dataset, load_dataset
from featcache.backbones.backbone import Backbone
from featcache.datasets import remote
from featcache.datasets.dataset import Dataset, Item
from featcache.datasets.remote import Remote
from featcache.encoding.decoding import fetching as room
from featcache.encoding.decoding.crops import Maker, Wanted, crops_ahead
from featcache.encoding.decoding.fetching import Coming, fetching
from featcache.encoding.decoding.processes import crops_from_processes
from featcache.encoding.looking import Look
from featcache.errors import DatasetError, PictureError
from featcache.pictures.digest import read, state_of
from featcache.pictures.preprocess import Preprocess
from tests.featcache.encoding.folder import folder, paint
from tests.featcache.encoding.noise import files

URL, COUNT = "memory://far", 40
ONE_BY_ONE = Maker(ViewRecipe(20), Preprocess(224, (0.5,) * 3, (0.5,) * 3))  # a chunk is a picture


class Slow:
    """How many pictures the store is asked for at once, and which it was asked for."""

    def __init__(self, store: Any, patch: pytest.MonkeyPatch) -> None:
        self.now, self.most, self.asked, self.lock = 0, 0, list[str](), threading.Lock()
        self.company, cat_file = threading.Event(), type(store).cat_file
        self.wanted, self.patience = 1, 5.0  # each waits until so many are there, so many seconds

        def slowly(fs: Any, path: str, **options: Any) -> Any:
            with self.lock:
                self.now, self.asked = self.now + 1, [*self.asked, path]
                self.most = max(self.most, self.now)
                if self.most >= self.wanted:
                    self.company.set()
            self.company.wait(self.patience)
            try:
                return cat_file(fs, path, **options)
            finally:
                with self.lock:
                    self.now -= 1

        patch.setattr(type(store), "cat_file", slowly)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(remote, "PAUSES", ())
    fs = fsspec.filesystem("memory")
    for i in range(COUNT):
        fs.pipe_file(f"/far/{i:02d}.png", paint(tmp_path / "x.png", i).read_bytes())
    yield fs
    fs.store.clear()
    fs.pseudo_dirs[:] = [""]


def items(size: int = -1) -> list[Item]:
    return [Item(str(i), Remote(URL, f"/far/{i:02d}.png", size), 0) for i in range(COUNT)]


@pytest.mark.parametrize("ahead", [crops_ahead, crops_from_processes])
def test_many_are_asked_for_at_once_where_a_chunk_is_one_picture(
    store: Any, monkeypatch: pytest.MonkeyPatch, ahead: Any
) -> None:
    slow = Slow(store, monkeypatch)
    slow.wanted = 11
    asked = ((Wanted(item, True, False),) for item in items())
    with ahead(asked, [ONE_BY_ONE], 1) as given:
        found = [each.digest for (each,) in given]
    assert slow.company.is_set()
    assert sorted(slow.asked) == [f"/far/{i:02d}.png" for i in range(COUNT)]  # each once
    assert found == [read(item).digest for item in items()]


@pytest.mark.parametrize("listed", [True, False])
def test_no_more_bytes_wait_than_there_is_room_for(
    store: Any, monkeypatch: pytest.MonkeyPatch, listed: bool
) -> None:
    size = len(store.cat_file("/far/00.png"))
    for i in range(COUNT):
        store.pipe_file(f"/far/{i:02d}.png", store.cat_file("/far/00.png"))
    monkeypatch.setattr(room, "ROOM", 3 * size)
    monkeypatch.setattr(room, "UNLISTED", size)
    slow = Slow(store, monkeypatch)
    with fetching(1) as fetch:
        coming = [fetch.coming(item) for item in items(size if listed else -1)]
        for i, item in enumerate(coming):
            assert isinstance(item.source, Coming)
            assert len(item.source.read()) == size
            assert len(slow.asked) <= i + 4
    assert sorted(slow.asked) == [f"/far/{i:02d}.png" for i in range(COUNT)]  # threads take turns


def test_one_that_is_larger_than_the_room_comes_alone(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "ROOM", 1)
    slow = Slow(store, monkeypatch)
    slow.wanted, slow.patience = 2, 0.001
    asked = ((Wanted(item, True, False),) for item in items())
    with crops_ahead(asked, [ONE_BY_ONE], 3) as given:
        assert len(list(given)) == COUNT
    assert slow.most == 1


def test_what_cannot_be_read_says_why_where_it_is_wanted(store: Any) -> None:
    here = items()[0]
    gone = Item("gone", Remote(URL, "/far/none.png", 7, 9), 0)
    with fetching(1) as fetch:
        there, lost = fetch.coming(here), fetch.coming(gone)
        assert state_of(lost, 0) == state_of(gone, 0)
        assert isinstance(there.source, Coming)
        assert isinstance(lost.source, Coming)
        sent = [pickle.loads(pickle.dumps(each.held())) for each in (there.source, lost.source)]
    assert sent[0].read() == store.cat_file("/far/00.png")
    with pytest.raises(PictureError, match="is not there"):
        sent[1].read()
    near = Item("near", Path("x.png"), 0)
    with fetching(1) as fetch:
        assert fetch.coming(near) is near


@pytest.mark.parametrize("ahead", [crops_ahead, crops_from_processes])
def test_an_outage_ends_the_run_soon_and_leaves_no_thread(
    store: Any, monkeypatch: pytest.MonkeyPatch, ahead: Any
) -> None:
    def failing(fs: Any, path: str, **options: Any) -> Any:
        raise OSError("the line is down")

    monkeypatch.setattr(type(store), "cat_file", failing)
    asked = ((Wanted(item, True, False),) for item in items())
    with (
        pytest.raises(DatasetError, match="the line is down"),
        ahead(asked, [ONE_BY_ONE], 2) as given,
    ):
        list(given)
    assert {t.name for t in threading.enumerate() if not t.daemon} == {"MainThread"}


@pytest.mark.parametrize("ahead", [crops_ahead, crops_from_processes])
def test_who_leaves_does_not_wait_for_a_server_that_does_not_answer(
    store: Any, monkeypatch: pytest.MonkeyPatch, ahead: Any
) -> None:
    answers, cat_file = threading.Event(), type(store).cat_file

    def silent(fs: Any, path: str, **options: Any) -> Any:
        if "00" not in path:
            answers.wait(60)
        return cat_file(fs, path, **options)

    monkeypatch.setattr(type(store), "cat_file", silent)
    began = time.monotonic()
    asked = ((Wanted(item, True, False),) for item in items())
    with ahead(asked, [ONE_BY_ONE], 2) as given:
        next(given)  # and leave, as after Ctrl-C
    look = Look(Dataset("far", ("a",), {"test": tuple(items())}))
    main, over = threading.main_thread().ident, threading.Event()
    assert main is not None

    def press() -> None:  # more than once: where a weak reference ends Python passes it over
        while not over.wait(0.5):
            signal.pthread_kill(main, signal.SIGINT)

    def interrupted() -> None:
        try:
            look.digests(range(COUNT))
        finally:
            over.set()

    threading.Thread(target=press).start()
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert time.monotonic() - began < 30
    answers.set()


def test_the_entry_is_that_of_the_folder_byte_for_byte(
    store: Any, tiny: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put(str(folder(tmp_path / "pets", rows=4)), "/bucket/pets", recursive=True)
    store.rm("/bucket/pets/train/ant/02.png")
    (tmp_path / "pets" / "train" / "ant" / "02.png").unlink()
    far, near = FeatureCache(tmp_path / "far"), FeatureCache(tmp_path / "near")
    slow = Slow(store, monkeypatch)
    views = ViewRecipe(2)
    encode_dataset(load_dataset("memory://bucket/pets"), tiny, far, views=views)
    encode_dataset(load_dataset(str(tmp_path / "pets")), tiny, near, views=views)
    ours, theirs = (
        {name: content for name, content in files(cache).items() if name[:8] != "pictures"}
        for cache in (far, near)
    )
    del ours["manifest.json"], theirs["manifest.json"]  # times of files are in the others
    assert ours == theirs
    assert max(Counter(slow.asked).values()) == 2  # of those that the key is made of
