from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier, Thread

import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from featcache import threads
from featcache.threads import COUNTS, LARGE, WAITING, for_work

ROOT = Path(__file__).parents[2]
# A command of the door that tells, at the place of its app, how torch would wait and count.
DOOR = """
import os, sys, types
told = types.ModuleType("adapters.commands.app")
def app():
    assert "torch" not in sys.modules
    print(os.environ.get("OMP_WAIT_POLICY"))
told.app = app
sys.modules["adapters.commands.app"] = sys.modules["featcache.commands.app"] = told
import cli
getattr(cli, sys.argv[1])()
"""
# What torch takes by itself, what it has in a fit, and what after it.
FIT = """
import torch
from threadpoolctl import threadpool_info, threadpool_limits
from dataclasses import replace
from adapters import get
from adapters.selection import select
from featcache.threads import _usual
from tests.adapters.synthetic import episode
before, seen, plain = torch.get_num_threads(), [], get("zero-shot")
def fit(*given):
    seen.append(torch.get_num_threads())
    return plain.fit(*given)
select(replace(plain, fit=fit), episode()[0], plain.config(), None)
print(before in _usual(), *seen, torch.get_num_threads() == before)
"""


@pytest.fixture(autouse=True)
def free(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is set by a user, on a machine of four cores; the suite's own count comes back."""
    for name in (*COUNTS, *WAITING):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(threads, "_usual", lambda: {4})
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("work", "count"), [(0, 1), (LARGE - 1, 1), (LARGE, 4)])
def test_small_work_has_one_thread_and_large_work_all(work: int, count: int) -> None:
    with for_work(work):
        assert torch.get_num_threads() == count
    assert torch.get_num_threads() == 4


def test_the_innermost_work_counts_and_each_gives_back_what_it_found() -> None:
    with for_work(0):
        with for_work(LARGE):
            assert torch.get_num_threads() == 4
        assert torch.get_num_threads() == 1
        with pytest.raises(ZeroDivisionError), for_work(LARGE):
            raise ZeroDivisionError
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 4


def test_work_in_two_threads_that_overlaps_gives_the_count_back() -> None:
    """The one that began first ends first."""
    began, ended = Barrier(2), Barrier(2)
    seen: list[int] = []

    def other() -> None:
        seen.append(torch.get_num_threads())
        began.wait()
        ended.wait()
        with for_work(0):
            seen.append(torch.get_num_threads())
            ended.wait()
            ended.wait()
        seen.append(torch.get_num_threads())

    thread = Thread(target=other)
    thread.start()
    began.wait()
    with for_work(0):
        ended.wait()
        ended.wait()
    ended.wait()
    thread.join()
    assert seen == [4, 1, 4]
    with for_work(LARGE):
        assert torch.get_num_threads() == 4


@pytest.mark.parametrize("name", COUNTS)
def test_a_count_in_the_environment_stands(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "4")
    with for_work(0):
        assert torch.get_num_threads() == 4


@pytest.mark.parametrize("work", [0, LARGE])
def test_a_count_that_no_library_takes_by_itself_stands(work: int) -> None:
    torch.set_num_threads(3)
    with for_work(work):
        assert torch.get_num_threads() == 3
    assert torch.get_num_threads() == 3


def test_a_small_fit_of_a_fresh_process_has_one_thread() -> None:
    """And what torch takes by itself is not thought a user's count."""
    assert _said(FIT) == "True 1 True"


@pytest.mark.parametrize("command", ["featcache", "adapters"])
def test_a_command_waits_passively_before_torch_is_there(command: str) -> None:
    assert _said(DOOR, command) == "PASSIVE"


@pytest.mark.parametrize("name", WAITING)
def test_how_to_wait_is_left_to_a_user_who_says_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "ACTIVE")
    threads.wait_passively()
    assert [each for each in WAITING if each in os.environ] == [name]


def _said(code: str, *words: str) -> str:
    """What a fresh process prints."""
    env = {name: value for name, value in os.environ.items() if name not in (*COUNTS, *WAITING)}
    env |= {"PYTHONPATH": str(ROOT)}
    line = [sys.executable, "-c", code, *words]
    ran = subprocess.run(line, env=env, cwd=ROOT, check=True, capture_output=True, text=True)
    return ran.stdout.strip()


def _of_arrays() -> set[int]:
    """Threads of the libraries that multiply arrays of NumPy and SciPy."""
    return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}


def test_small_products_of_arrays_have_one_thread_unless_a_user_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with threadpool_limits(2, user_api="blas"):
        before = _of_arrays()
        with threads.for_arrays(LARGE - 1):
            assert _of_arrays() == {1}
        with threads.for_arrays(LARGE):
            assert _of_arrays() == before
        monkeypatch.setenv(threads.ARRAYS, "2")
        with threads.for_arrays(1):
            assert _of_arrays() == before
        assert _of_arrays() == before
