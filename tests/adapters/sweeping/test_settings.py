"""Which settings of a grid go to which method."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.sweeping.settings import every, spread
from featcache.errors import ConfigError, UnknownNameError


def settings_of(methods: list[str], **settings: Any) -> list[tuple[str, dict[str, Any]]]:
    return list(spread(methods, {k.replace("__", "."): v for k, v in settings.items()}))


def test_a_named_setting_goes_to_its_method_alone() -> None:
    assert settings_of(["fma", "gda"], fma__blocks=[2, 6]) == [
        ("fma", {"blocks": 2}),
        ("fma", {"blocks": 6}),
        ("gda", {}),
    ]


def test_a_setting_without_a_name_goes_to_all_that_have_it() -> None:
    found = settings_of(["fma", "clip-adapter", "gda"], steps=[5])
    assert found == [("fma", {"steps": 5}), ("clip-adapter", {"steps": 5}), ("gda", {})]
    named = settings_of(["fma", "clip-adapter"], steps=[5], fma__steps=[7])
    assert named == [("fma", {"steps": 7}), ("clip-adapter", {"steps": 5})]


def test_settings_of_composed_methods_carry_the_parts_name() -> None:
    assert settings_of(["fma@taskres"], blocks=[2], taskres__alpha=[0.5]) == [
        ("fma@taskres", {"fma.blocks": 2, "taskres.alpha": 0.5})
    ]
    assert settings_of(["fma", "gda"], fma__base=["none", "taskres"], blocks=[2]) == [
        ("fma", {"blocks": 2}),
        ("fma@taskres", {"fma.blocks": 2}),
        ("gda", {}),
    ]


def test_presets_are_settings_and_default_is_none_of_them() -> None:
    assert settings_of(["fma", "gda"], preset=["default", "paper"]) == [
        ("fma", {}),
        ("fma", {"preset": "paper"}),
        ("gda", {}),
    ]


def test_every_combination_the_first_setting_outermost() -> None:
    assert [*every("fma", {"a": [1, 2], "b": [3, 4]})] == [
        {"a": 1, "b": 3}, {"a": 1, "b": 4}, {"a": 2, "b": 3}, {"a": 2, "b": 4},
    ]  # fmt: skip
    assert [*every("fma", {})] == [{}]
    with pytest.raises(ConfigError, match=r"^fma: b is a range; add --search random or tpe"):
        every("fma", {"a": [1], "b": [2, "1..3"]})


def test_how_settings_are_combined_can_be_told() -> None:
    asked: list[Any] = []

    def note(name: str, axes: Any) -> list[dict[str, Any]]:
        asked.append((name, dict(axes)))
        return [{"blocks": 9, "preset": None}]

    found = [*spread(["fma"], {"blocks": [2, 3], "preset": ["default", "paper"]}, note)]
    assert asked == [("fma", {"blocks": [2, 3], "preset": [None, "paper"]})]
    assert found == [("fma", {"blocks": 9})]


@pytest.mark.parametrize(
    ("methods", "settings", "says"),
    [
        (["gda"], {"blocks": [2]}, "setting 'blocks'"),
        (["gda"], {"fma.blocks": [2]}, "setting 'fma.blocks'"),
        (["gda", "ncm"], {"preset": ["paper"]}, "preset 'paper'; known are: default, half, mixed"),
        (["fma"], {"preset": ["papr"]}, "preset 'papr'"),
        (["fma"], {"fma.preset": ["papr"]}, "preset 'papr'"),
    ],
)
def test_a_setting_that_no_method_has_is_refused(
    methods: list[str], settings: dict[str, Any], says: str
) -> None:
    with pytest.raises(UnknownNameError, match=says):
        [*spread(methods, settings)]


def test_a_base_goes_to_the_method_it_names() -> None:
    assert settings_of(["fma", "gda"], fma__base=["taskres"]) == [("fma@taskres", {}), ("gda", {})]
    assert settings_of(["sum:gda+fma"], fma__base=["none", "taskres"]) == [
        ("sum:gda+fma", {}), ("sum:gda+fma@taskres", {}),
    ]  # fmt: skip
