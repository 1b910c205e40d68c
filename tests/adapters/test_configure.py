"""Settings as typed: read, checked, sent to the part they name, or refused in a sentence."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from adapters import configure as room
from adapters.compose import get
from adapters.configure import Setting, configure, parse, settings
from adapters.registry import names, summary
from featcache.errors import ConfigError, UnknownNameError
from tests import frozen

VALUES = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text(),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(), inner, max_size=3),
    max_leaves=6,
)


def test_settings_are_read_as_typed() -> None:
    assert parse(["a=1", "b=0.5", "c=text", "d=[1, 2]", "e=true", "f="]) == {
        "a": 1, "b": 0.5, "c": "text", "d": [1, 2], "e": True, "f": "",
    }  # fmt: skip
    assert parse([" a =x=y"]) == {"a": "x=y"}
    assert parse([]) == {}
    for wrong in ("=3", "blocks"):
        with pytest.raises(ConfigError, match=f"--set takes key=value, got '{wrong}'"):
            parse([wrong])


@given(VALUES)
def test_what_is_json_comes_back(value: Any) -> None:
    assert parse([f"key={json.dumps(value)}"]) == {"key": value}


@pytest.mark.parametrize("name", names())
def test_every_setting_is_described(name: str) -> None:
    method = get(name)
    assert summary(name).endswith(".")
    assert all(setting.description for setting in settings(method))
    defaults = asdict(method.config())
    assert {setting.name: setting.default for setting in settings(method)} == defaults
    for preset in method.presets:
        configure(name, method, {"preset": preset})


def test_a_method_without_settings_has_none_to_list() -> None:
    assert settings(get("sum:gda+ncm")) == []
    first = settings(get("tip-adapter"))[0]
    assert first == Setting("alpha", get("tip-adapter").config().alpha, first.description)


def test_unknown_settings_offer_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"setting of tip-adapter 'alhpa'.*alpha"):
        configure("tip-adapter", get("tip-adapter"), {"alhpa": 1})
    with pytest.raises(UnknownNameError, match=r"preset of fma 'papr'.*paper"):
        configure("fma", get("fma"), {"preset": "papr"})


def test_a_wrong_value_is_named_with_what_would_be_right() -> None:
    with pytest.raises(ConfigError, match=r"^fma: blocks = -3: input should be greater than"):
        configure("fma", get("fma"), {"blocks": -3})
    with pytest.raises(ConfigError, match=r"^fma: blocks = 'many': input should be .*\.$"):
        configure("fma", get("fma"), {"fma.blocks": "many"})


def test_what_is_given_is_fixed() -> None:
    plain, free = configure("fma", get("fma"), {})
    assert plain == get("fma").config()
    assert free == frozenset()
    config, fixed = configure("fma", get("fma"), {"blocks": 2, "fma.steps": 7})
    assert (config.blocks, config.steps) == (2, 7)
    assert fixed == {"blocks", "steps"}


def test_what_is_given_beside_a_preset_overrides_it() -> None:
    paper = get("fma").presets["paper"]
    config, fixed = configure("fma", get("fma"), {"preset": "paper"})
    assert {key: getattr(config, key) for key in paper} == dict(paper)
    assert fixed == {*paper}
    assert paper["epochs"] != 7
    config, _ = configure("fma", get("fma"), {"epochs": 7, "preset": "paper"})
    assert config.epochs == 7


def test_settings_reach_their_part() -> None:
    name = "sum:zero-shot+tip-adapter"
    config, fixed = configure(name, get(name), {"tip-adapter.alpha": 3})
    assert config.tip_adapter.alpha == 3
    assert fixed == {"tip_adapter.alpha"}
    again, _ = configure(name, get(name), asdict(config))
    assert again == config
    for key in ("gda.alpha", "alpha"):
        with pytest.raises(UnknownNameError, match="tip-adapter"):
            configure(name, get(name), {key: 3})


def test_settings_of_parts_of_parts() -> None:
    name = "sum:gda+fma@taskres"
    config, fixed = configure(name, get(name), {"taskres.alpha": 0.25, "fma.blocks": 2})
    inner = config.fma_over_taskres
    assert (inner.taskres.alpha, inner.fma.blocks) == (0.25, 2)
    assert fixed == {"fma_over_taskres.taskres.alpha", "fma_over_taskres.fma.blocks"}
    changed, _ = configure(name, get(name), {**asdict(config), "fma.blocks": 1})
    assert (changed.fma_over_taskres.fma.blocks, changed.gda) == (1, config.gda)


def test_a_setting_stays_as_it_was_made() -> None:
    assert frozen.thawed(room) == []
