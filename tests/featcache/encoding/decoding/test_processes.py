"""Processes decode as threads do, in order; one that ends is told; nothing of them is left."""

from __future__ import annotations

import errno
import functools
import os
import resource
import signal
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from pyarrow import parquet

from featcache import FeatureCache, ViewRecipe, encode_dataset
from featcache.backbones.backbone import Backbone
from featcache.datasets.dataset import Item
from featcache.datasets.kinds import _arrow
from featcache.datasets.kinds._arrow import Cell
from featcache.datasets.stored import Held
from featcache.encoding.decoding import forking, processes
from featcache.encoding.decoding.crops import Maker, Wanted, crops_ahead
from featcache.encoding.decoding.forking import Waiting
from featcache.encoding.decoding.processes import chosen, crops_from_processes
from featcache.encoding.taking import Donor, Known, Place
from featcache.errors import CacheError, ConfigError
from featcache.pictures.preprocess import Preprocess
from tests.featcache.datasets.kinds.trees import png
from tests.featcache.encoding.folder import folder, read
from tests.featcache.encoding.noise import VIEWS, files

SMALL, LARGE = (
    Maker(ViewRecipe(n), Preprocess(s, (0.5,) * 3, (0.5,) * 3)) for n, s in ((2, 8), (0, 24))
)


def waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads decode nothing by themselves while the processes start."""
    monkeypatch.setattr(processes, "_is_up", lambda answer: True)


def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing to fork processes from."""
    monkeypatch.setattr(processes, "waiting", functools.cache(lambda caller: Waiting()))
    monkeypatch.setattr(forking.sys, "executable", "/bin/false")


def test_until_a_process_is_up_its_thread_decodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_is_up", lambda answer: False)
    items = read(folder(tmp_path / "images", rows=1)).splits["train"]
    asked = ((Wanted(item, True, False),) for item in items)
    with crops_from_processes(asked, [SMALL], 2) as crops:
        assert [each.reason for (each,) in crops if each is not None] == ["", ""]


def test_one_process_gives_what_threads_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also for pictures that are bad."""
    waited_for(monkeypatch)
    root = folder(tmp_path / "images", rows=4)
    (root / "train" / "ant" / "00.png").write_bytes(b"")
    items = [item for rows in read(root).splits.values() for item in rows]

    def asked() -> list[tuple[Wanted, Wanted]]:
        return [
            (Wanted(item, True, i % 2 == 0), Wanted(item, True, False))
            for i, item in enumerate(items)
        ]

    with crops_ahead(iter(asked()), [SMALL, LARGE], 1) as crops:
        wanted = list(crops)
    seen = 0
    with crops_from_processes(iter(asked()), [SMALL, LARGE], 1) as crops:
        for theirs, ours in zip(wanted, crops, strict=True):
            for one, other in zip(theirs, ours, strict=True):
                assert one is not None
                assert other is not None
                assert (one.reason, one.digest) == (other.reason, other.digest)
                assert one.state[:2] == other.state[:2]  # the third is told of older files alone
                pairs = zip([one.centre, *one.views], [other.centre, *other.views], strict=True)
                for a, b in pairs:
                    np.testing.assert_array_equal(a, b)
                    seen += a is not None
    assert seen > len(items)
    assert threading.active_count() < 20


def test_a_process_that_ends_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    waited_for(monkeypatch)
    broken(monkeypatch)
    root = folder(tmp_path / "images", rows=1)
    items = read(root).splits["train"]
    asked = ((Wanted(item, True, False),) for item in items)
    with (
        pytest.raises(CacheError, match="has ended"),
        crops_from_processes(asked, [SMALL], 1) as crops,
    ):
        next(crops)


def test_paths_begin_where_the_caller_is_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited_for(monkeypatch)
    item = read(folder(tmp_path / "images", rows=1)).splits["train"][0]
    for name in ("here", "there"):  # what the processes are forked from stays where it began
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        assert isinstance(item.source, Path)
        Path("mine.png").write_bytes(item.source.read_bytes())
        asked = Wanted(replace(item, source=Path("mine.png")), True, False)
        with crops_from_processes(iter([(asked,)]), [SMALL], 1) as crops:
            assert [each.reason for (each,) in crops if each is not None] == [""]
        Path("mine.png").unlink()


def test_room_for_crops_is_taken_before_any_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a disk has no more, a process that writes into shared memory is killed."""
    monkeypatch.setattr(processes, "_is_roomy", lambda folder, size: folder.is_dir())
    refused: list[int] = []

    def full(file: int, start: int, size: int) -> None:
        refused.append(size)
        if len(refused) <= most:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    most = 1  # memory is full, and the temporary folder is not
    with processes._shared(1 << 20) as file:
        assert os.fstat(file.fileno()).st_size == refused[-1] == 1 << 20
    most = 9
    with pytest.raises(CacheError, match=r"for the 1 MB .*No space left.*--decode-in threads"):
        processes._shared(1 << 20)


def test_groups_of_rows_of_a_table_are_read_by_the_caller_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited_for(monkeypatch)
    table = pa.table({"image": [png(n) for n in range(6)]})
    parquet.write_table(table, tmp_path / "t.parquet", row_group_size=3)
    items = [
        Item(f"{n}", Cell(tmp_path / "t.parquet", "image", *divmod(n, 3)), 0) for n in range(6)
    ]
    items.append(Item("gone", Cell(tmp_path / "t.parquet", "image", 5, 0), 0))
    asked = [(None, Wanted(item, True, False)) for item in items]
    with crops_ahead(iter(asked), [LARGE, SMALL], 1) as crops:
        wanted = [each for _, each in crops]
    read, column = [], _arrow._column
    monkeypatch.setattr(_arrow, "_column", lambda *a: read.append(a) or column(*a))
    with crops_from_processes(iter(asked), [LARGE, SMALL], 1) as crops:
        found = [each for _, each in crops]
    assert len(read) == len(items)
    for one, other in zip(wanted, found, strict=True):
        assert one is not None
        assert other is not None
        assert (one.digest, one.reason) == (other.digest, other.reason)
    (here,) = (each for each in processes._at_hand(asked[0]) if each is not None)
    assert isinstance(here.item.source, Held)
    assert here.item.source.read() == png(0)


class Deadly:
    """A picture that kills who looks at it elsewhere."""

    def pixels(self) -> np.ndarray:
        raise AssertionError("not here")

    def __reduce__(self) -> Any:
        return eval, ("__import__('os').kill(__import__('os').getpid(), 9)",)


class Strange:
    """A picture that cannot be sent, or is of a class that only this process knows."""

    def __init__(self, name: str) -> None:
        self.name = name

    def pixels(self) -> np.ndarray:
        raise AssertionError("not asked for")

    def __reduce__(self) -> Any:
        if self.name == "unsent":
            raise RuntimeError("not over this wire")
        return eval, ("nothing_of_that_name",)


@pytest.mark.parametrize(
    ("name", "says"),
    [("unsent", "this wire"), ("unknown", "nothing_of_that_name")],
)
def test_what_cannot_be_decoded_elsewhere_is_told_with_the_way_out(
    name: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited_for(monkeypatch)
    asked = Wanted(Item("a", Strange(name), 0), True, False)
    with (
        pytest.raises(CacheError, match=f"{says}.*--decode-in threads"),
        crops_from_processes(iter([(asked,)]), [SMALL], 1) as crops,
    ):
        list(crops)


def test_threads_are_taken_where_processes_do_not_pay() -> None:
    many = processes.WORTH
    known = Maker(SMALL.recipe, SMALL.preprocess, Known({}, {"ab": Place(Donor(Path(), {}), 0)}))
    assert not chosen("threads", [SMALL], many, False)
    assert chosen("processes", [SMALL], 1, True)
    assert not chosen("processes", [SMALL, known], many, False)
    assert not chosen("auto", [SMALL], many, True)
    assert not chosen("auto", [SMALL], many - 1, False)
    assert chosen("auto", [SMALL], many, False) == (processes.cores() >= processes.MANY)
    with pytest.raises(
        ConfigError, match="decoded in auto, threads, processes, card, not in rings"
    ):
        chosen("rings", [SMALL], many, False)


@pytest.mark.slow
def test_an_entry_is_the_same_however_it_is_decoded(tmp_path: Path, tiny: Backbone) -> None:
    data = read(folder(tmp_path / "images", rows=20))
    time.sleep(2.1)  # of younger files the state is told otherwise
    caches = {where: FeatureCache(tmp_path / where) for where in ("threads", "processes")}
    for where, cache in caches.items():
        encode_dataset(data, tiny, cache, views=VIEWS, decode_in=where, workers=2)
    assert files(caches["threads"]) == files(caches["processes"])


def test_processes_serve_one_run_after_the_other_and_two_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited_for(monkeypatch)
    items = read(folder(tmp_path / "images", rows=1)).splits["train"]
    asked = [(Wanted(item, True, False),) for item in items]
    monkeypatch.setattr(processes, "waiting", functools.cache(lambda caller: Waiting()))
    mine = processes.waiting(os.getpid())
    for workers in (2, 1):
        with crops_from_processes(iter(asked), [SMALL], workers) as crops:
            assert len(list(crops)) == 2
            assert mine.serving == workers
        assert (mine.serving, mine.forked) == (0, 2)
    with (
        crops_from_processes(iter(asked), [SMALL], 1) as one,
        crops_from_processes(iter(asked), [LARGE], 2) as other,
    ):
        pairs = list(zip(one, other, strict=True))
        assert (mine.serving, mine.forked) == (3, 3)
    assert [each and each.centre.shape[0] for pair in pairs for (each,) in pair] == [8, 24, 8, 24]
    mine.end()


def test_a_process_that_is_killed_while_it_waits_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited_for(monkeypatch)
    monkeypatch.setattr(processes, "waiting", functools.cache(lambda caller: Waiting()))
    items = read(folder(tmp_path / "images", rows=1)).splits["train"]
    asked = [(Wanted(item, True, False),) for item in items]
    fork = subprocess.Popen
    servers: list[int] = []

    def noted(*args: Any, **kwargs: Any) -> Any:
        started = fork(*args, **kwargs)
        servers.append(started.pid)
        return started

    monkeypatch.setattr(forking.subprocess, "Popen", noted)
    for _ in range(2):
        with crops_from_processes(iter(asked), [SMALL], 1) as crops:
            assert len(list(crops)) == 2
        children = Path(f"/proc/{servers[0]}/task/{servers[0]}/children")
        if not children.exists():
            pytest.skip("this system does not list the children of a process")
        for child in children.read_text().split():
            os.kill(int(child), signal.SIGKILL)
    processes.waiting(os.getpid()).end()


def test_many_open_files_are_no_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2048:
        pytest.skip("no more files may be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
    held = [os.dup(0) for _ in range(1100)]
    try:
        items = read(folder(tmp_path / "images", rows=1)).splits["train"]
        asked = ((Wanted(item, True, False),) for item in items)
        with crops_from_processes(asked, [SMALL], 1) as crops:
            assert len(list(crops)) == 2
    finally:
        for each in held:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_after_one_was_killed_the_next_run_has_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited_for(monkeypatch)
    items = read(folder(tmp_path / "images", rows=1)).splits["train"]
    asked = [(Wanted(Item("a", Deadly(), 0), True, False),)]
    with (
        pytest.raises(CacheError, match="has ended"),
        crops_from_processes(iter(asked), [SMALL], 1) as crops,
    ):
        next(crops)
    again = ((Wanted(item, True, False),) for item in items)
    with crops_from_processes(again, [SMALL], 1) as crops:
        assert len(list(crops)) == 2


def test_it_is_warmed_up_where_a_device_will_want_many_pictures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[int] = []

    class Counting:
        have = staticmethod(started.append)

    monkeypatch.setattr(processes, "waiting", lambda caller: Counting)
    monkeypatch.setattr(processes, "cores", lambda: processes.MANY)
    for here in (False, True):
        monkeypatch.setattr(torch.cuda, "is_available", lambda here=here: here)
        for device in ("cpu", "auto"):
            processes.warm_up(device)
        assert started == [processes.usual_workers()] * here
