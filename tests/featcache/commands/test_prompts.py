"""Prompt banks listed with their sources, and shown filled in."""

from __future__ import annotations

import json
from pathlib import Path

from featcache.datasets.registry import load
from featcache.prompts import bank
from tests.typed import Type


def test_banks_are_listed_with_their_sources(type_in: Type) -> None:
    listed = {row["name"]: row for row in type_in("featcache prompts --json").json}
    assert [listed[name]["templates"] for name in ("single", "seven", "eighty")] == [1, 7, 80]
    assert listed["dataset"]["templates"] is None
    out = type_in("featcache prompts").out
    assert "github.com/openai/CLIP" in out
    assert all(name in out for name in listed)


def test_templates_are_shown_as_they_are(type_in: Type) -> None:
    assert "  itap of a {}.\n" in type_in("featcache prompts seven").out
    own = type_in("featcache prompts dataset --json").json
    assert own["by_dataset"]["dtd"] == ["{} texture."]
    assert type_in("featcache prompts seven --json").json["by_dataset"] == {}


def test_a_bank_is_shown_filled_in_for_the_first_classes(type_in: Type) -> None:
    out = type_in("featcache prompts eighty --dataset digits --first 2").out
    assert "80 prompts a class, 10 classes" in out
    assert "  a bad photo of a zero.\n" in out
    assert "  and 75 more" in out
    assert "two" not in out
    told = type_in("featcache prompts eighty --dataset digits --json").json
    whole = bank("eighty", load("digits"))
    assert [tuple(each["prompts"]) for each in told["classes"]] == list(whole.prompts)
    assert told["fingerprint"] == whole.fingerprint


def test_a_file_is_shown_with_what_is_odd_about_it(type_in: Type, tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text(json.dumps({"zero": ["Round."], "one": ["A line.", "I."]}))
    refused = type_in("featcache prompts mine.json --dataset digits")
    assert refused.status == 1
    assert "no prompts for 'two', 'three'" in refused.err
    shown = type_in("featcache prompts single+mine.json --dataset digits").out
    assert "1-3 prompts a class" in shown
    assert "note: mine.json has no prompts for 'two'" in shown
    assert "  I.\n" in shown


def test_without_a_root_the_classes_are_those_that_are_cached(filled: Type) -> None:
    shown = filled("featcache prompts single --dataset animals").out
    assert "cat\n  a photo of a cat.\n" in shown
    lacking = filled("featcache prompts single --dataset eurosat")
    assert lacking.status == 1
    assert "--root" in lacking.err


def test_what_is_no_bank_is_refused(type_in: Type) -> None:
    assert "unknown prompt bank 'nope'" in type_in("featcache prompts nope").err
    assert "say with --dataset" in type_in("featcache prompts mine.json").err
    assert "say with --dataset" in type_in("featcache prompts single+seven").err
