"""Processes that wait are forked once, serve whoever asks, and end with the caller."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from featcache.encoding.decoding import forking
from featcache.encoding.decoding.forking import Waiting
from featcache.encoding.decoding.serving import send
from featcache.pictures.limit import most_pixels

CALLER = """
import os, time
from featcache.encoding.decoding.forking import Waiting
waiting = Waiting()
waiting.have(2)
print(os.getpid(), flush=True)
time.sleep(60)
"""


def alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def ends(group: int) -> bool:
    """Whether all of a group are gone before long."""
    until = time.monotonic() + 20
    while alive(group) and time.monotonic() < until:
        time.sleep(0.02)
    return not alive(group)


def test_one_is_asked_for_each_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """And files that go over to it are closed here, whatever becomes of it."""
    theirs: list[int] = []

    def started(*_: object, pass_fds: list[int], **__: object) -> None:
        theirs.extend(map(os.dup, pass_fds))

    monkeypatch.setattr(forking.subprocess, "Popen", started)
    waiting = Waiting()
    waiting.have(2)
    waiting.have(1)
    assert (waiting.forked, os.read(theirs[0], 9)) == (2, b"++")
    waiting.end()
    for end in theirs:
        assert os.read(end, 1) == b""
        os.close(end)
    ends_of = *os.pipe(), os.open("/dev/null", os.O_RDONLY)
    with pytest.raises(OSError, match="file descriptor"):
        waiting.take(*ends_of)
    assert waiting.serving == 0
    for end in ends_of[:2]:
        with pytest.raises(OSError, match="file descriptor"):
            os.fstat(end)
    os.close(ends_of[2])


def test_the_same_process_serves_again_and_ends_when_it_is_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen

    def noted(*args: object, **kwargs: object) -> subprocess.Popen[bytes]:
        started.append(start(*args, **kwargs))  # type: ignore[call-overload]
        return started[-1]

    monkeypatch.setattr(forking.subprocess, "Popen", noted)
    waiting = Waiting()
    with tempfile.TemporaryFile() as memory:
        memory.truncate(1)
        for _ in range(2):
            (asked, asking), (answer, answering) = os.pipe(), os.pipe()
            with os.fdopen(asking, "wb") as out, os.fdopen(answer, "rb") as mine:
                send(out, ([], most_pixels(), Path.cwd(), {**os.environ}))
                waiting.take(asked, answering, memory.fileno())
                assert pickle.load(mine) is True
            waiting.give_back(1)
    assert waiting.forked == 1
    group = started[0].pid
    assert alive(group)
    waiting.end()
    assert started[0].wait(20) == 0
    assert ends(group)


@pytest.mark.slow
def test_none_outlives_a_caller_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", CALLER], stdout=subprocess.PIPE) as caller:
        assert caller.stdout is not None
        caller.stdout.readline()
        children = Path(f"/proc/{caller.pid}/task/{caller.pid}/children")
        if not children.exists():
            caller.kill()
            pytest.skip("this system does not list the children of a process")
        (server,) = map(int, children.read_text().split())
        caller.send_signal(signal.SIGKILL)
    assert ends(server)
