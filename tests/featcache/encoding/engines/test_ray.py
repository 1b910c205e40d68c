"""Ray for real: a Ray of one's own on this machine."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from featcache.encoding import plan
from featcache.encoding.order import read
from featcache.encoding.report import Report
from featcache.encoding.spreading import engine, spread
from featcache.engines.options import EngineOptions
from featcache.errors import ConfigError
from tests.featcache.encoding.engines import killing
from tests.featcache.encoding.spread import aged, here, order_of, tree

ray = pytest.importorskip("ray")


@pytest.fixture
def rays() -> Iterator[None]:
    yield
    ray.shutdown()


@pytest.mark.parametrize(
    ("nodes", "asked", "got"),
    [
        # a task a node, or a GPU; more or fewer where that is said; no more cores than a node has
        ([(8, 0), (8, 0), (0, 0)], (0, "auto"), (2, 8, "auto")),
        ([(8, 0), (8, 0)], (5, "cpu"), (5, 3, "cpu")),
        ([(8, 0), (4, 0)], (1, "cpu"), (1, 8, "cpu")),
        ([(8, 2), (8, 2)], (0, "auto"), (4, 4, "cuda")),
        ([(8, 2), (8, 2)], (9, "cuda:1"), (4, 4, "cuda")),
        ([(8, 2), (8, 2)], (0, "cpu"), (2, 8, "cpu")),
        ([(1, 4)], (0, "cuda"), (4, 1, "cuda")),
    ],
)
def test_each_task_has_its_share(
    monkeypatch: pytest.MonkeyPatch, nodes: Any, asked: Any, got: Any
) -> None:
    from featcache.encoding.engines import ray as room

    there = {"CPU": sum(cores for cores, _ in nodes), "GPU": sum(gpus for _, gpus in nodes)}
    monkeypatch.setattr(room, "resources", lambda jobs, address: there)
    alive = [{"Alive": True, "Resources": {"CPU": cores}} for cores, _ in nodes]
    dead = {"Alive": False, "Resources": {"CPU": 99}}
    monkeypatch.setattr(room.ray, "nodes", lambda: [*alive, dead])
    jobs, device = asked
    made = room.Ray(jobs, device)
    assert (made.workers, made.cores, made.device) == got


def test_gpus_that_are_not_there_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from featcache.encoding.engines import ray as room

    monkeypatch.setattr(room, "resources", lambda jobs, address: {"CPU": 2.0})
    with pytest.raises(ConfigError, match="this Ray has no GPU; take --device cpu"):
        engine(EngineOptions("ray", device="cuda"))


@pytest.mark.slow
@pytest.mark.usefixtures("rays")
def test_a_worker_that_is_killed_costs_no_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from featcache.encoding.engines import ray as room

    traps = killing.trapped(tmp_path / "traps", {2: signal.SIGKILL})
    hit, part_of = killing.once_hit(traps), room._part

    def deadly(order: Any, part: Any) -> Any:
        hit(order, part)
        return part_of(order, part)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(room, "_part", deadly)
    monkeypatch.setattr(plan, "SHARD_ROWS", 4)
    order = aged(order_of(tmp_path))
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    working = engine(EngineOptions("ray", 2, "cpu"))
    ((report,),) = spread(order, [data for data, _ in read(order)], working)
    working.close()
    assert list(traps.iterdir()) == []
    assert isinstance(report, Report)
    assert report.entry.complete
    assert tree(order.cache) == tree(here(order))


@pytest.mark.slow
def test_a_driver_that_is_killed_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killing.a_driver_that_is_killed("ray", tmp_path, monkeypatch)
