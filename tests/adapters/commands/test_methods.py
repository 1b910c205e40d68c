"""`adapters methods`: what there is to fit, and what each method can be set to."""

from __future__ import annotations

import pytest

from adapters.compose import get
from adapters.configure import settings
from adapters.registry import names, summary
from adapters.unavailable import METHODS
from tests.typed import Type


def test_every_method_has_a_line(type_in: Type) -> None:
    found = type_in("adapters methods --json").json
    assert found == [
        {"name": name, "summary": summary(name), "needs": sorted(get(name).needs)}
        for name in names()
    ]
    lines = type_in("adapters methods").out
    assert "text tower" in lines
    assert all(name in lines for name in names())
    assert "maple" not in lines


def test_all_of_them_with_those_that_cannot_be_fitted(type_in: Type) -> None:
    found = {each["name"]: each for each in type_in("adapters methods --all --json").json}
    assert [*found] == [*names(), *METHODS]
    assert found["maple"]["reason"] == METHODS["maple"].reason
    assert found["maple"]["numbers"][0].keys() == {"value", "protocol"}
    said = type_in("adapters methods --all").out
    assert "reported elsewhere" in said
    assert all(name in said for name in METHODS)


@pytest.mark.parametrize("name", names())
def test_a_method_with_its_settings(type_in: Type, name: str) -> None:
    answer = type_in(f"adapters methods {name} --json")
    document = answer.json
    assert (document["name"], document["summary"]) == (name, summary(name))
    told = [(each["name"], each["description"]) for each in document["settings"]]
    assert told == [(each.name, each.description) for each in settings(get(name))]
    assert [*document["presets"]] == [*get(name).presets]
    assert summary(name) in answer.err  # for people, beside the document


def test_settings_and_presets_for_people(type_in: Type) -> None:
    said = type_in("adapters methods fma").out
    assert said.startswith(summary("fma"))
    assert "preset=paper: {" in said
    for setting in settings(get("fma")):
        assert setting.name in said


def test_the_table_of_the_documentation(type_in: Type) -> None:
    said = type_in("adapters methods --format markdown").out
    assert said.count("\n") >= 2 + len(names())
    assert all(name in said for name in names())
    wrong = type_in("adapters methods --format html")
    assert (wrong.status, wrong.err) == (
        1,
        "error: --format takes table or markdown, got 'html'.\n",
    )


def test_how_long_they_take_here(filled: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    some = ["coop", "gda", "ncm", "prolip", "taskres", "tcp"]
    monkeypatch.setattr("adapters.registry.names", lambda: some)
    answer = filled("adapters methods --time --dataset animals --shots 1 --json")
    found = answer.json
    assert {each["method"] for each in found} == {*some}
    fitted = [each["seconds"] for each in found if each["seconds"] is not None]
    assert fitted == sorted(fitted)
    assert len(fitted) == 3
    assert sum(each["refused"] != "" for each in found) == 3
    assert "≈" in answer.err
    lacking = [line for line in answer.err.splitlines() if "--text-tower" in line]
    assert len(lacking) == 1  # one sentence for all that lack the same
    assert lacking[0].startswith("coop, tcp: needs text tower, ")


@pytest.mark.parametrize("words", ["--dataset animals", "--shots 4", "--policy none"])
def test_what_time_is_taken_of_has_to_go_with_it(filled: Type, words: str) -> None:
    wrong = filled(f"adapters methods {words}")
    assert (wrong.status, wrong.err) == (
        1,
        "error: --dataset, --backbone, --shots and --policy say what to take the time of; "
        "add --time.\n",
    )
