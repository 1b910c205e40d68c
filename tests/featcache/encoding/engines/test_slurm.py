"""Slurm's job arrays as submitit's own executor of local processes does them."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock, Timeout

from featcache.encoding import plan
from featcache.encoding.order import Order, read
from featcache.encoding.report import Report
from featcache.encoding.spreading import engine, spread
from featcache.engines.options import EngineOptions
from featcache.errors import ConfigError
from tests.featcache.encoding.engines import killing
from tests.featcache.encoding.spread import aged, here, order_of, tree
from tests.featcache.engines.test_slurm import refusing

pytest.importorskip("submitit")


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def local(path: Path, jobs: int = 2) -> Any:
    cluster = {"cluster": "local", "time": 5}
    return engine(EngineOptions("slurm", jobs, "cpu", folder=path / "slurm", slurm=cluster))


def done(order: Order, working: Any) -> Any:
    try:
        ((report,),) = spread(order, [data for data, _ in read(order)], working)
    finally:
        working.close()
    return report


def test_a_task_gives_the_bytes_of_a_plain_encode(
    tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "SHARD_ROWS", 2048)  # as in the process of a task
    order = aged(order_of(tmp_path, backbone=f"local-dir:{tiny_folder}"))
    report = done(order, local(tmp_path, 1))
    assert isinstance(report, Report)
    assert (report.encoded, report.entry.complete) == (26, True)
    assert tree(order.cache) == tree(here(order))


def test_no_two_tasks_do_the_same_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that starts anew waits for those of one that has died."""
    from featcache.encoding.engines import slurm

    order = order_of(tmp_path)

    def part_of(order: Order, part: tuple[int, int]) -> list[Any]:
        (lock,) = (tmp_path / "parts").iterdir()
        with pytest.raises(Timeout), FileLock(lock, timeout=0):
            pass
        with slurm._alone(tmp_path, order, (1, 2)):  # another part is free
            return []

    monkeypatch.setattr(slurm, "part_of", part_of)
    assert slurm._Part(tmp_path)(order, (2, 2)) == []


def test_a_lock_that_is_refused_is_what_the_task_answers(tmp_path: Path) -> None:
    from featcache.encoding.engines import slurm

    (tmp_path / "parts").touch()  # where a folder is to be
    found = slurm._Part(tmp_path)(order_of(tmp_path), (2, 3))
    assert str(found).startswith("part 2 of 3: cannot lock ")


def test_what_slurm_refuses_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing(tmp_path, monkeypatch)
    made = engine(EngineOptions("slurm", 2, "cpu", folder=tmp_path, slurm={"partition": "x"}))
    with pytest.raises(ConfigError, match=r"\(sbatch: error: no partition x\); mend --slurm"):
        list(made.run(order_of(tmp_path), [(1, 2), (2, 2)]))
    made.close()


def test_a_task_that_is_ended_is_submitted_as_it_was(tmp_path: Path) -> None:
    from featcache.encoding.engines import slurm

    task = slurm._Part(tmp_path)
    again = task.checkpoint(order_of(tmp_path), (2, 3))
    assert again.function is task
    assert again.args == (order_of(tmp_path), (2, 3))


@pytest.mark.slow
def test_tasks_that_are_killed_or_queued_again_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is killed and done again; the second makes way as if its time were over."""
    from featcache.encoding.engines import slurm

    traps = killing.trapped(tmp_path / "traps", {1: signal.SIGKILL, 2: signal.SIGUSR2})
    hit = killing.once_hit(traps)

    class Deadly(slurm._Part):
        def __call__(self, order: Any, part: Any) -> Any:
            hit(order, part)
            return super().__call__(order, part)

    monkeypatch.setattr(slurm, "_Part", Deadly)
    monkeypatch.setattr(plan, "SHARD_ROWS", 4)
    order = aged(order_of(tmp_path))
    report = done(order, local(tmp_path))
    assert list(traps.iterdir()) == []
    assert isinstance(report, Report)
    assert report.entry.complete
    assert tree(order.cache) == tree(here(order))
    said = "".join(p.read_text() for p in (tmp_path / "slurm").rglob("*.out"))
    assert "Requeued job" in said


@pytest.mark.slow
def test_a_driver_that_is_killed_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killing.a_driver_that_is_killed("slurm", tmp_path, monkeypatch)
