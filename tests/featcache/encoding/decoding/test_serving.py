"""What a decoding process answers: crops in its slot, what has no room there in the message."""

from __future__ import annotations

import os
import pickle
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import IO, Any

import numpy as np
import pytest

from featcache import ViewRecipe
from featcache.encoding.decoding import serving
from featcache.encoding.decoding.crops import Wanted, crops_of
from featcache.encoding.decoding.serving import send, serve
from featcache.pictures.limit import most_pixels
from featcache.pictures.preprocess import Preprocess
from tests.featcache.encoding.folder import folder, read

RECIPE, PREPROCESS = ViewRecipe(2), Preprocess(8, (0.5,) * 3, (0.5,) * 3)


@contextmanager
def served(memory: IO[bytes]) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Pipes to a thread that serves in this process."""
    (asked, asking), (answer, answering) = os.pipe(), os.pipe()
    with (
        os.fdopen(asked, "rb") as theirs,
        os.fdopen(answering, "wb") as answers,
        os.fdopen(answer, "rb") as mine,
    ):
        thread = Thread(target=serve, args=(theirs, answers, memory.fileno()))
        with os.fdopen(asking, "wb") as out:
            send(out, ([(RECIPE, PREPROCESS)], most_pixels(), Path.cwd(), {**os.environ}))
            thread.start()
            yield out, mine
        thread.join(10)
        assert not thread.is_alive()


def ask(pipes: tuple[IO[bytes], IO[bytes]], jobs: list[Any], slot: int) -> Any:
    send(pipes[0], (pickle.dumps(jobs), slot))
    return pickle.load(pipes[1])


@pytest.mark.parametrize("room", [4 << 20, 3 * 8 * 8, 0])
def test_crops_lie_in_the_slot_or_in_the_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    monkeypatch.setattr(serving, "SLOT", room)
    items = read(folder(tmp_path / "images", rows=2)).splits["train"]
    jobs = [(Wanted(item, True, True),) for item in items]
    with tempfile.TemporaryFile() as memory:
        memory.truncate(max(2 * room, 1))
        with served(memory) as pipes:
            assert pickle.load(pipes[1]) is True
            sizes, content, failed = ask(pipes, jobs, 1)
        assert failed == ""
        assert sum(sizes) <= room
        assert bool(sizes) == (room > 0)
        memory.seek(room)
        buffers = [memory.read(size) for size in sizes]
    found = pickle.loads(content, buffers=buffers)
    for (one,), (wanted,) in zip(found, jobs, strict=True):
        here = crops_of(wanted, RECIPE, PREPROCESS)
        assert one.digest == here.digest
        for a, b in zip([one.centre, *one.views], [here.centre, *here.views], strict=True):
            np.testing.assert_array_equal(a, b)


def test_what_goes_wrong_is_said_and_the_next_is_served(tmp_path: Path) -> None:
    items = read(folder(tmp_path / "images", rows=1)).splits["train"]
    with tempfile.TemporaryFile() as memory:
        memory.truncate(serving.SLOT)
        with served(memory) as pipes:
            assert pickle.load(pipes[1]) is True
            _, _, failed = ask(pipes, [(None,)], 0)
            assert "--decode-in threads" in failed
            assert ask(pipes, [(Wanted(items[0], True, False),)], 0)[2] == ""


def test_it_ends_when_told_so_though_the_pipe_stays_open(tmp_path: Path) -> None:
    """A fork of the caller may hold it open; and surroundings are those of the caller now."""
    (asked, asking), (answer, answering) = os.pipe(), os.pipe()
    held = os.dup(asking)
    before = {**os.environ}
    with (
        tempfile.TemporaryFile() as memory,
        os.fdopen(asked, "rb") as theirs,
        os.fdopen(answering, "wb") as answers,
        os.fdopen(answer, "rb") as mine,
        os.fdopen(asking, "wb") as out,
    ):
        memory.truncate(1)
        send(out, ([], most_pixels(), Path.cwd(), {**before, "FEATCACHE_TRIED": "1"}))
        send(out, None)
        try:
            serve(theirs, answers, memory.fileno())
            assert os.environ["FEATCACHE_TRIED"] == "1"
        finally:
            os.environ.pop("FEATCACHE_TRIED", None)
        assert {**os.environ} == before
        assert pickle.load(mine) is True
    os.close(held)
