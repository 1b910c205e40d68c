"""Names and files of methods, one to one."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from adapters import registry
from adapters.compose import get
from featcache.errors import MethodError, UnknownNameError


def test_each_name_has_its_own_file() -> None:
    files = [registry.file(name) for name in registry.names()]
    assert len(set(files)) == len(files)
    assert sorted(files) == sorted(p for p in registry.METHODS.glob("*.py") if p.stem[0] != "_")


def test_a_file_name_spells_out_what_it_cannot_hold() -> None:
    assert registry.file("tip-adapter-f").name == "tip_adapter_f.py"


@pytest.mark.parametrize("name", registry.names())
def test_settings_read_from_the_source_are_the_fields_of_the_config(name: str) -> None:
    assert registry.settings(name) == [field.name for field in fields(get(name).config)]


def test_a_class_that_extends_another_has_its_fields_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "_shared.py").write_text(
        "class Settings:\n    first: int = 1\n    def f(self): ...\n"
    )
    (tmp_path / "mine.py").write_text(
        "from adapters.methods import _shared as common\nfrom other import thing\n"
        "class Elsewhere:\n    no: int = 1\n"
        "class Config(common.Settings, thing.Base):\n"
        '    """Words."""\n    second: int = 2\n    plain = 3\n    third: str = ""\n'
    )
    (tmp_path / "bare.py").write_text("x: int = 1\n")
    monkeypatch.setattr(registry, "METHODS", tmp_path)
    assert registry.settings("mine") == ["first", "second", "third"]
    assert registry.settings("bare") == []
    assert registry.names() == ["bare", "mine"]
    assert registry.summary("bare") == ""


def test_a_summary_is_the_first_line_of_the_file() -> None:
    assert registry.summary("zero-shot") == (
        "Cosine to the class texts, nothing learned (Radford et al. 2021)."
    )


def test_a_name_that_is_none_offers_the_nearest() -> None:
    for ask in (registry.file, registry.plain, registry.summary, registry.settings):
        with pytest.raises(UnknownNameError, match=r"unknown method 'tip-adaptor'.*tip-adapter"):
            ask("tip-adaptor")
        with pytest.raises(MethodError, match="cannot be fitted here"):
            ask("maple")
    for ask_task in (registry.task, registry.task_file):
        with pytest.raises(UnknownNameError, match="unknown task 'few'; known are: base-to-new, b"):
            ask_task("few")


def test_a_file_without_what_it_is_there_for_is_said_to_lack_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import adapters.methods.gda
    import adapters.tasks.few_shot

    monkeypatch.delattr(adapters.methods.gda, "method")
    with pytest.raises(MethodError, match=r"adapters/methods/gda\.py defines no `method`"):
        registry.plain("gda")
    monkeypatch.setattr(adapters.tasks.few_shot, "task", "none")
    with pytest.raises(MethodError, match=r"adapters/tasks/few_shot\.py defines no `task`"):
        registry.task("few-shot")


def test_the_task_that_is_meant_where_none_is_named_comes_first() -> None:
    assert registry.task_names() == [
        "few-shot",
        "base-to-new",
        "bongard-hoi",
        "cross-dataset",
        "domain-generalization",
    ]
    assert registry.task_file("base-to-new").name == "base_to_new.py"
    assert registry.POLICIES[0] == "none"
