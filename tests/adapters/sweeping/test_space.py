"""What a search may try: ranges as typed, sampled evenly, and what methods declare."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from adapters.sweeping import space
from adapters.sweeping.space import Range, dimensions, span
from featcache.errors import ConfigError
from tests import frozen


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1..6", Range(1, 6)),
        ("1e-4..1e-2", Range(1e-4, 1e-2)),
        ("1e-4..1e-2:log", Range(1e-4, 1e-2, True)),
        ("-0.5..1.5", Range(-0.5, 1.5)),
        ("1..2.5", Range(1, 2.5)),
        ("a..b", None),
        ("imagenet", None),
        (3, None),
    ],
)
def test_ranges_as_typed(text: Any, found: Range | None) -> None:
    assert span(text) == found


@pytest.mark.parametrize("text", ["2..1", "1..1", "0..1:log", "-1..1:log"])
def test_a_range_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="no range"):
        span(text)


@settings(max_examples=50, deadline=None)
@given(some.floats(1e-6, 1e3), some.floats(1.001, 1e3), some.booleans(), some.integers())
def test_a_draw_is_in_its_range(low: float, factor: float, log: bool, seed: int) -> None:
    rng = random.Random(seed)
    assert Range(low, low * factor, log).sample(rng) in Range(low, low * factor)
    whole = Range(1, 1 + round(factor), log).sample(rng)
    assert isinstance(whole, int)
    assert whole in Range(1, 1 + round(factor))


def test_log_draws_fall_evenly_on_decades() -> None:
    rng = random.Random(0)
    drawn = [Range(1e-4, 1.0, True).sample(rng) for _ in range(4000)]
    counts = [sum(math.floor(math.log10(x)) == -k for x in drawn) for k in (1, 2, 3, 4)]
    assert all(850 < count < 1150 for count in counts)


def test_declared_fields_that_need_a_fit_are_searched() -> None:
    assert dimensions("lp++", {}) == ({"steps": [10, 30, 100, 300]}, {})
    found, fixed = dimensions("fma@taskres", {"fma.blocks": ["1..3"], "fma.steps": [9]})
    assert found == {"fma.blocks": Range(1, 3), "taskres.alpha": [0.5, 1.0]}
    assert fixed == {"fma.steps": 9}
    for nothing in ({}, {"blocks": [2]}):
        with pytest.raises(ConfigError, match="learning_rate"):
            dimensions("fma", nothing)
    with pytest.raises(ConfigError, match="not both"):
        dimensions("fma", {"blocks": ["1..3", 7]})


def test_both_ends_are_in_a_range() -> None:
    assert all(value in Range(1, 6) for value in (1, 6, 2.5))
    assert not any(value in Range(1, 6) for value in (0.99, 6.01, "3", None))
    rng = random.Random(0)
    assert {Range(1, 3).sample(rng) for _ in range(60)} == {1, 2, 3}
    assert {Range(1, 3, True).sample(rng) for _ in range(60)} == {1, 2, 3}
    assert Range(1, 3).whole
    assert not Range(1, 3.0).whole
    assert not Range(1.0, 3).whole


def test_values_a_setting_and_a_default_are_told_apart() -> None:
    axes = {"steps": [3], "blocks": [2, 3], "preset": [None], "learning_rate": ["1e-4..1e-2"]}
    assert dimensions("fma", axes) == (
        {"blocks": [2, 3], "learning_rate": Range(1e-4, 1e-2)}, {"steps": 3},
    )  # fmt: skip
    found, fixed = dimensions("lp++", {"steps": [10, 20]})
    assert (found, fixed) == ({"steps": [10, 20]}, {})


def test_a_range_stays_as_it_was_typed() -> None:
    assert frozen.thawed(space) == []
