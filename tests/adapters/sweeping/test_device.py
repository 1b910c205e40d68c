"""A sweep's `auto` is the device that is faster for most of its work."""

from __future__ import annotations

import pytest

from adapters.sweeping import device
from adapters.sweeping.device import device_for
from featcache.store.cache import FeatureCache
from tests.adapters.sweeping.quick import runs_of


def test_most_of_the_work_decides(cache: FeatureCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def pays(methods: list[str], pictures: int) -> bool:
        return methods == ["fma"]

    monkeypatch.setattr(device, "pays", pays)
    long, short = runs_of(cache, method="fma"), runs_of(cache, method="gda")
    assert device_for("auto", long) == "cuda"
    assert device_for("auto", [*long, *short]) == "cuda"
    assert device_for("auto", short) == "cpu"
    assert device_for("auto", []) == "cpu"
    assert device_for("cuda:1", short) == "cuda:1"
