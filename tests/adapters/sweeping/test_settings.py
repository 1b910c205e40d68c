"""Which settings of a grid go to which method."""

from __future__ import annotations

from typing import Any

from adapters.sweeping.settings import spread


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
