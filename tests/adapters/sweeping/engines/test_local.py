"""Runs in this process or in processes of this machine: the same rows, whoever dies."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from multiprocessing import Pipe, forkserver
from pathlib import Path
from typing import Any, ClassVar

import pytest

from adapters.results import Results
from adapters.sweeping.chunks import chunks
from adapters.sweeping.engine import cores
from adapters.sweeping.engines import local
from adapters.sweeping.engines.local import THREADS, VISIBLE, Local, engine, gpus
from adapters.sweeping.runs import Chunk
from adapters.sweeping.sweep import sweep
from adapters.sweeping.worker import Worker
from featcache.engines.options import EngineOptions
from featcache.errors import ConfigError, SweepError
from featcache.store.cache import FeatureCache
from tests.adapters.sweeping.quick import accuracies, elsewhere, here, runs_of


def test_processes_give_the_rows_of_this_process(cache: FeatureCache, results: Results) -> None:
    runs = runs_of(cache)
    made = Local(jobs=2)
    try:
        assert sweep(runs, made, results).done == len(runs)
        assert accuracies(results) == here(runs)
        assert len(made._pool) == 2
        dead = next(iter(made._pool.values()))
        os.kill(dead.pid or 0, signal.SIGKILL)
        again = runs_of(cache, seed=[4, 5])
        assert sweep(again, made, results).done == len(again)
        processes = [*made._pool.values()]
    finally:
        made.close()
    assert made._pool == {}
    for process in processes:
        process.join(10)
        assert not process.is_alive()


def test_processes_score_other_sets_as_this_process(tmp_path: Path) -> None:
    elsewhere(Local(jobs=2), tmp_path)


def test_one_job_is_done_here_in_the_order_of_the_chunks(cache: FeatureCache) -> None:
    made = Local()
    assert made.workers == 1
    work = chunks(runs_of(cache))
    found = [row["run"] for rows in made.run(work) for row in rows]
    assert found == [run.id for chunk in work for run in chunk.runs]
    kept = made._here
    assert [*made.run([])] == []
    next(made.run(work))
    assert made._here is kept  # with the entries that it holds in memory
    made.close()


class Stillborn(Worker):
    """A worker whose process ends before it does anything."""

    def __init__(self, device: str) -> None:
        os._exit(3)


def test_processes_that_cannot_start_are_one_sentence(
    cache: FeatureCache, results: Results
) -> None:
    made = Local(jobs=2, worker=Stillborn)
    try:
        with pytest.raises(SweepError, match="__main__"):
            sweep(runs_of(cache), made, results)
    finally:
        made.close()
    assert results.frame().empty


class Telling(Worker):
    """A worker that says what its process was started with."""

    def rows(self, chunk: Chunk) -> Any:
        import torch

        threads = {name: os.environ.get(name) for name in THREADS}
        yield [{"run": run.id, "threads": threads, "torch": torch.get_num_threads(),
                "ctrl-c": str(signal.getsignal(signal.SIGINT))} for run in chunk.runs]  # fmt: skip


def test_a_process_has_one_thread_and_leaves_ctrl_c_to_its_driver(
    cache: FeatureCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    made = Local(2, worker=Telling)
    try:
        [rows] = made.run([Chunk((runs_of(cache)[0],))])
    finally:
        made.close()
    [row] = rows
    assert row["torch"] == 1
    assert row["ctrl-c"] == str(signal.SIG_IGN)
    assert {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")} == {
        "OMP_NUM_THREADS": "7", "MKL_NUM_THREADS": None,
    }  # fmt: skip


def test_processes_do_not_hear_ctrl_c_while_they_start(
    cache: FeatureCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does the server that forks them: Ctrl-C while it imported printed its traceback."""
    heard, begin = [], forkserver.ensure_running
    monkeypatch.setattr(
        forkserver,
        "ensure_running",
        lambda: (heard.append(signal.getsignal(signal.SIGINT)), begin())[-1],
    )
    before = signal.getsignal(signal.SIGINT)
    made = Local(2, worker=Telling)
    try:
        assert [*made.run([Chunk((runs_of(cache)[0],))])]
    finally:
        made.close()
    assert heard[0] == signal.SIG_IGN
    assert signal.getsignal(signal.SIGINT) is before


def test_threads_are_limited_only_while_a_process_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with suppress(OSError), local._one_thread():
        assert {os.environ[name] for name in THREADS} == {"1"}
        raise OSError("no more processes")
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ


def test_a_core_or_a_gpu_has_a_process_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert engine(EngineOptions()).workers == cores()
    assert engine(EngineOptions(jobs=3)).workers == 3
    monkeypatch.setattr(local, "device_of", lambda name: None)
    for count, workers in ((0, 1), (4, 4)):
        monkeypatch.setattr(local.torch.cuda, "device_count", lambda count=count: count)
        made = engine(EngineOptions(device="cuda"))
        assert (made.workers, made.device) == (workers, "cuda")
    assert engine(EngineOptions(jobs=2, device="cuda:1")).workers == 2


@pytest.mark.parametrize(
    ("device", "visible", "found"),
    [
        ("cuda", None, ["0", "1", "2"]),
        ("cuda:1", None, ["1"]),
        ("cuda", "7,GPU-5,2", ["7", "GPU-5", "2"]),
        ("cuda:1", "7,GPU-5,2", ["GPU-5"]),
        ("cpu", None, []),
    ],
)
def test_gpus_are_those_that_this_process_sees(
    monkeypatch: pytest.MonkeyPatch, device: str, visible: str | None, found: list[str]
) -> None:
    monkeypatch.setattr(local.torch.cuda, "device_count", lambda: 3)
    monkeypatch.setenv(VISIBLE, visible) if visible else monkeypatch.delenv(VISIBLE, raising=False)
    assert gpus(device) == found


def test_processes_are_spread_over_the_gpus_and_share_their_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(local, "device_of", lambda name: None)
    monkeypatch.setattr(local.torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv(VISIBLE, "3,5")
    made = Local(4, "cuda")
    for place, gpu in enumerate(("3", "5", "3", "5")):
        assert made._place() == (gpu, 0.5)
        made._on[place] = gpu  # type: ignore[index]
    del made._on[1]  # type: ignore[arg-type]
    assert made._place() == ("5", 0.5)
    assert Local(3)._place() == ("", 1 / 3)


class Told(Worker):
    """A worker that only notes where it is."""

    made: ClassVar[list[Worker]] = []

    def __init__(self, device: str) -> None:
        self.seen = device, os.environ.get(VISIBLE)
        self.made.append(self)


def test_a_process_sees_its_own_gpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local.signal, "signal", lambda *_: None)
    monkeypatch.setenv(VISIBLE, "3,5")
    monkeypatch.setattr(local.torch, "set_num_threads", lambda _: None)
    ours, theirs = Pipe()
    ours.close()
    local._serve(theirs, Told, "cuda:1", "5", 0.5)
    worker = Told.made[-1]
    assert worker.seen == ("cuda", "5")  # type: ignore[attr-defined]
    assert worker.share == 0.5


def test_a_device_that_there_is_not_is_refused_before_a_process_starts() -> None:
    with pytest.raises(ConfigError, match="device 'tpu'"):
        Local(2, "tpu")
