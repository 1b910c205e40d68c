from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featcache.datasets.dataset import Dataset
from featcache.datasets.registry import load
from featcache.errors import ConfigError, FeatcacheError, UnknownNameError
from featcache.prompts import PromptBank, bank, fill

POND = Dataset("pond", ("frog", "crested_newt"), {}, ("a {} in a pond.", "art of the {}."))


def write(folder: Path, content: Any, name: str = "mine.json") -> str:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def test_none_is_the_sets_own() -> None:
    own = bank(None, POND)
    assert own == bank("dataset", POND)
    assert own.name == "dataset"
    assert own.prompts == (
        ("a frog in a pond.", "art of the frog."),
        ("a crested newt in a pond.", "art of the crested newt."),
    )


def test_shipped_banks() -> None:
    assert bank("single", POND).prompts == (
        ("a photo of a frog.",),
        ("a photo of a crested newt.",),
    )
    assert [len(prompts) for prompts in bank("seven", POND).prompts] == [7, 7]
    both = bank("ensemble", POND).prompts[0]
    assert len(both) == 8  # "art of the {}." is in both
    assert both[:7] == bank("seven", POND).prompts[0]
    assert bank("ensemble", POND) == bank("ensemble", POND)


def test_made_sets_read_well() -> None:
    assert bank(None, load("digits")).prompts[0][0] == "a photo of the number zero."
    assert bank(None, load("shapes")).prompts[0][0] == "a photo of a circle."
    assert bank(None, load("shapes-pairs")).prompts[2] == ("a shape left of another shape.",)


@given(st.text().filter(lambda name: "{}" not in name))
def test_fill_takes_names_as_they_are(name: str) -> None:
    assert fill("a {}, {}!", name) == "a {0}, {0}!".replace("{0}", name.replace("_", " "))


def test_names_with_braces_are_only_text() -> None:
    assert fill("a {}.", "{0.__class__} 100% \\1") == "a {0.  class  } 100% \\1."


def test_lines(tmp_path: Path) -> None:
    spec = write(tmp_path, "\ufeffa {}.\r\n\n  the {}  \n", "My Lines.TXT")
    assert bank(spec, POND) == PromptBank(
        "my-lines", (("a frog.", "the frog"), ("a crested newt.", "the crested newt"))
    )


def test_json_templates_are_lines(tmp_path: Path) -> None:
    lines = bank(write(tmp_path, "a {}.\nthe {}", "mine.txt"), POND)
    assert bank(write(tmp_path, ["a {}.", "the {}"]), POND) == lines


@pytest.mark.parametrize("key", ["crested_newt", "crested newt"])
def test_descriptions_by_class_name_are_ragged(tmp_path: Path, key: str) -> None:
    spec = write(tmp_path, {key: ["It has a crest."], "frog": ["Green.", "A {}."], "toad": []})
    assert bank(spec, POND).prompts == (("Green.", "A frog."), ("It has a crest.",))


def test_descriptions_in_label_order_tell_equal_names_apart(tmp_path: Path) -> None:
    twins = Dataset("twins", ("missile", "missile"), {})
    assert bank(write(tmp_path, [["one"], ["two"]]), twins).prompts == (("one",), ("two",))
    assert bank(write(tmp_path, {"missile": ["one"]}), twins).prompts == (("one",), ("one",))


def test_missing_classes_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no prompts for 'crested newt'; add them"):
        bank(write(tmp_path, {"frog": ["Green."]}), POND)
    with pytest.raises(ConfigError, match="prompts for 1 classes, pond has 2"):
        bank(write(tmp_path, [["Green."]]), POND)


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "3", "null", [], {}, ["no place"], [7], ["a {}.", 7], ["a {}.", ["b {}"]]),
        *([[], ["x"]], [["x"], [7]], [["x"], ["a\nb"]], [["x"], [" "]], "[" * 99_999),
        {"frog": "Green.", "crested newt": ["x"]},
        {"frog": [], "crested newt": ["x"]},
        {"frog": None, "crested newt": ["x"]},
    ],
)
def test_malformed_json_is_refused(tmp_path: Path, content: Any) -> None:
    with pytest.raises(ConfigError, match="mine"):
        bank(write(tmp_path, content), POND)


@pytest.mark.parametrize("content", ["", "\n\n", "a photo.", "a {}.\nthe frog", "a {}\x00"])
def test_malformed_lines_are_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(ConfigError, match="mine"):
        bank(write(tmp_path, content, "mine.txt"), POND)


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        bank(str(tmp_path / "none.txt"), POND)
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9 {}")
    with pytest.raises(ConfigError, match="cannot read"):
        bank(str(tmp_path / "latin.txt"), POND)
    with pytest.raises(ConfigError, match="rename the file"):
        bank(write(tmp_path, "a {}.", "Seven.txt"), POND)


def test_unknown_banks_are_refused_with_what_there_is() -> None:
    with pytest.raises(UnknownNameError, match="ensemble"):
        bank("ensembel", POND)


def test_fingerprint_follows_the_prompts_only() -> None:
    one = PromptBank("a", (("x", "y"), ("z",)))
    assert one.fingerprint == PromptBank("b", one.prompts).fingerprint
    others = ((("x",), ("y", "z")), (("y", "x"), ("z",)), (("z",), ("x", "y")), (("xy",), ("z",)))
    assert len({one.fingerprint, *(PromptBank("a", o).fingerprint for o in others)}) == 5


def test_errors_are_featcache_errors() -> None:
    assert issubclass(ConfigError, FeatcacheError)


def test_a_pipe_of_prompts_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "mine.txt")
    with pytest.raises(ConfigError, match="pipe"):
        bank(str(tmp_path / "mine.txt"), Dataset("d", ("a",), {}))
