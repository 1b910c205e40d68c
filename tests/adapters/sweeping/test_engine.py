"""Which engines there are, and how one is asked for."""

from __future__ import annotations

import os

import pytest

from adapters import registry
from adapters.sweeping import engine as room
from adapters.sweeping.engine import cores, engine, engine_names
from adapters.sweeping.engines.local import Local
from featcache.errors import UnknownNameError


def test_each_engine_is_a_file() -> None:
    files = {path.stem for path in room.FOLDER.glob("*.py")} - {"__init__"}
    assert engine_names() == sorted(files) == ["local", "ray", "slurm"]
    assert room.FOLDER.parent.parent == registry.HERE


def test_options_reach_the_engine() -> None:
    made = engine(jobs=3)
    assert isinstance(made, Local)
    assert (made.workers, made.device) == (3, "auto")
    with pytest.raises(TypeError, match="workers"):
        engine("local", workers=3)


def test_an_unknown_engine_is_one_sentence() -> None:
    with pytest.raises(UnknownNameError, match="unknown engine 'cloud'; known are: local, ray, sl"):
        engine("cloud")


def test_the_cores_are_those_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 5, 7}, raising=False)
    assert cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    for there, found in ((6, 6), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda there=there: there)
        assert cores() == found
