"""How long methods take here: fitted to the end where that is short, else reckoned."""

from __future__ import annotations

import time

import pytest

from adapters.compose import get
from adapters.drawing import draw
from adapters.selection import candidates, validation
from adapters.using.durations import durations
from featcache.errors import ConfigError, UnknownNameError
from featcache.store.entry import Entry
from tests.entries import make_entry


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> Entry:
    return make_entry(tmp_path_factory.mktemp("durations"))


def test_what_is_short_is_fitted_to_its_end(entry: Entry) -> None:
    began = time.perf_counter()
    found = [*durations(entry, ["gda", "taskres"], 2)]
    passed = time.perf_counter() - began
    assert [each.method for each in found] == ["gda", "taskres"]
    seconds = [each.seconds for each in found if each.seconds is not None]
    assert len(seconds) == 2
    assert 0 < sum(seconds) < passed
    assert not any(each.reckoned for each in found)


def test_what_is_long_is_stopped_and_reckoned(entry: Entry) -> None:
    long, short = durations(entry, ["fma", "ncm"], 2, "none", limit=0.0)
    assert long.reckoned
    assert not short.reckoned  # it has no training
    assert (long.seconds or 0.0) > (short.seconds or 0.0) > 0.0


def test_a_choice_of_settings_is_as_many_trainings(
    entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that moves on by one from step to step, and from the start to the first."""
    method = get("cross-modal")
    held = validation(draw(entry, 2, 1), "few-shot-val")
    lengths = [each.steps for each in candidates(method, method.config(), held)]
    assert len({*lengths}) > 1
    ticks = iter(range(10_000))
    monkeypatch.setattr("adapters.using.durations.time.perf_counter", lambda: float(next(ticks)))
    [one] = durations(entry, ["cross-modal"], 2, "none", limit=0.0)
    [chosen] = durations(entry, ["cross-modal"], 2, "few-shot-val", limit=0.0)
    assert one.seconds == method.config().steps + 1
    assert chosen.seconds == sum(lengths) + 1


def test_what_cannot_be_fitted_says_why(entry: Entry) -> None:
    lacking, unknown, fitted = durations(entry, ["coop", "nope", "ncm"], 2)
    assert lacking.seconds is None
    assert "--text-tower" in lacking.refused
    assert "unknown method 'nope'" in unknown.refused
    assert fitted.refused == ""


def test_who_cannot_choose_here_is_refused(entry: Entry) -> None:
    with pytest.raises(UnknownNameError, match="unknown policy 'bogus'"):
        next(durations(entry, ["ncm"], 2, "bogus"))
    with pytest.raises(ConfigError, match="take --policy none for the fit"):
        next(durations(entry, ["ncm"], 2, "transfer"))
