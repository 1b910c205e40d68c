"""Ray for real: a Ray of one's own on this machine."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.results import Results
from adapters.sweeping.engine import engine
from adapters.sweeping.runs import Run
from featcache.store.cache import FeatureCache
from tests.adapters.sweeping.quick import by, elsewhere, here, runs_of

pytestmark = pytest.mark.usefixtures("rays")


@pytest.fixture(scope="module")
def rays() -> Iterator[None]:
    ray = pytest.importorskip("ray")
    yield
    ray.shutdown()


@pytest.fixture
def runs(cache: FeatureCache) -> list[Run]:
    return runs_of(cache, method=["zero-shot", "gda"], seed=[1, 2])


def test_actors_give_the_rows_of_this_process(runs: list[Run], results: Results) -> None:
    made: Any = engine("ray", jobs=1, device="cpu")
    assert (made.workers, made.device) == (1, "cpu")
    assert by(made, runs, results) == here(runs)
    assert made._idle == []


def test_actors_score_other_sets_as_this_process(tmp_path: Path) -> None:
    elsewhere(engine("ray", jobs=1, device="cpu"), tmp_path)


@pytest.mark.slow
def test_an_actor_that_dies_costs_no_run(
    runs: list[Run], results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that kills its actor once is done by another."""
    import adapters.sweeping.engines.ray as rooms

    trap = tmp_path / "trap"
    trap.touch()
    victim = runs[3].id

    class Deadly(rooms._Actor):
        def rows(self, chunk: Any) -> Any:
            if trap.exists() and victim in {run.id for run in chunk.runs}:
                trap.unlink()
                os.kill(os.getpid(), signal.SIGKILL)
            yield from super().rows(chunk)

    monkeypatch.setattr(rooms, "_Actor", Deadly)
    assert by(rooms.Ray(1, "cpu"), runs, results) == here(runs)
    assert not trap.exists()
