"""A sweep's `auto` is the device that is sooner done with all its runs."""

from __future__ import annotations

import pytest

from adapters.devices import crossover
from adapters.sweeping import device
from adapters.sweeping.device import device_for
from featcache.store.cache import FeatureCache
from tests.adapters.sweeping.quick import runs_of


def test_all_the_runs_decide(cache: FeatureCache, monkeypatch: pytest.MonkeyPatch) -> None:
    fits = {"fma": [[4, 10.0, 5.0]], "gda": [[4, 1.0, 2.0]]}
    known = {"start_s": 2.0, "fits": fits, "stacked": {"fma": 50.0}}
    monkeypatch.setattr(crossover, "measured", lambda: known)
    monkeypatch.setattr(crossover.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(device, "cores", lambda: 4)
    long, short = runs_of(cache, method="fma"), runs_of(cache, method="gda")
    assert device_for("auto", long) == "cuda"  # 2.5 s against 0.1 s a run
    assert device_for("auto", long[:1], "off") == "cpu"  # against 5 s, one by one
    assert device_for("auto", long, "off") == "cpu"
    assert device_for("auto", short) == "cpu"
    assert device_for("auto", [*long, *short[:1]]) == "cuda"
    assert device_for("auto", []) == "cpu"
    assert device_for("cuda:1", short) == "cuda:1"


def test_what_nobody_has_measured_stays_on_the_processor(
    cache: FeatureCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"start_s": 0.0, "fits": {}, "stacked": {}}
    monkeypatch.setattr(crossover, "measured", lambda: known)
    monkeypatch.setattr(crossover.torch.cuda, "is_available", lambda: True)
    assert device_for("auto", runs_of(cache)) == "cpu"
