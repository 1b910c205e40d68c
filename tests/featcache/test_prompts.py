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
from featcache.prompts import SHIPPED, PromptBank, bank, fill, shipped

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


def test_banks_that_ship_name_their_source() -> None:
    assert tuple(each.name for each in shipped()) == SHIPPED
    assert all(each.source for each in shipped())
    known = {each.name: each.templates for each in shipped()}
    assert len(set(known["eighty"])) == 80
    assert set(known["seven"]) < set(known["eighty"])
    assert {*known["single"]} < {*known["eighty"]}
    assert all(template.count("{}") == 1 for mine in known.values() for template in mine)
    assert bank("eighty", POND).prompts[0][39] == "a photo of a frog."
    assert bank("seven", POND).source == next(e.source for e in shipped() if e.name == "seven")


def test_the_eighty_are_those_that_open_clip_has() -> None:
    from open_clip.zero_shot_metadata import OPENAI_IMAGENET_TEMPLATES

    theirs = tuple(template("frog") for template in OPENAI_IMAGENET_TEMPLATES)
    assert bank("eighty", POND).prompts[0] == theirs


def test_banks_are_joined_class_by_class(tmp_path: Path) -> None:
    spec = write(tmp_path, {"frog": ["Green."], "crested newt": ["It has a crest.", "A {}."]})
    joined = bank(f"single+{spec}", POND)
    assert joined.name == "single-mine"
    assert joined.prompts == (
        ("a photo of a frog.", "Green."),
        ("a photo of a crested newt.", "It has a crest.", "A crested newt."),
    )
    assert not joined.notes
    plus = write(tmp_path, ["a {}."], "a+b.json")  # a file's own name may have a plus
    assert bank(plus, POND).prompts == (("a frog.",), ("a crested newt.",))


def test_templates_stand_in_for_classes_without_descriptions(tmp_path: Path) -> None:
    spec = write(tmp_path, {"frog": ["Green."], "crested newt": [], "toad": ["Brown."]})
    with pytest.raises(
        ConfigError, match=r"no prompts for 'crested newt'; .*single\+.*such as 'toad'"
    ):
        bank(spec, POND)
    joined = bank(f"single+{spec}", POND)
    assert joined.prompts == (("a photo of a frog.", "Green."), ("a photo of a crested newt.",))
    assert any("no prompts for 'crested newt'; theirs are" in note for note in joined.notes)


def test_negative_banks_are_joined_with_their_like_alone(tmp_path: Path) -> None:
    own = write(tmp_path, ["no {}."], "negative-mine.json")
    assert bank(f"negative+{own}", POND).name == "negative-negative-mine"
    with pytest.raises(ConfigError, match="encode them apart"):
        bank(f"single+{own}", POND)


def test_descriptors_are_known_by_their_file(tmp_path: Path) -> None:
    data = {"frog": ["green skin", "a wide mouth"], "Crested Newt": ["has a crest"]}
    found = bank(write(tmp_path, data, "descriptors_pond.json"), POND)
    assert found.name == "descriptors-pond"
    assert found.prompts == (
        ("frog, which has green skin", "frog, which is a wide mouth"),
        ("crested newt, which has a crest",),
    )
    assert any("'frog, which has green skin'" in note for note in found.notes)
    plain = bank(write(tmp_path, data), POND)
    assert plain.prompts[0] == ("green skin", "a wide mouth")
    assert any("look like descriptors" in note for note in plain.notes)


@pytest.mark.parametrize("kind", ["templates", "descriptions", "descriptors"])
def test_a_file_may_say_what_it_holds_and_whence(tmp_path: Path, kind: str) -> None:
    content: Any = {"frog": ["a {}"], "crested newt": ["b"]} if kind != "templates" else ["a {}"]
    found = bank(write(tmp_path, {"source": "a book", kind: content}), POND)
    assert found.source == "a book"
    expected = {"descriptors": "frog, which is a {}"}.get(kind, "a frog")
    assert found.prompts[0] == (expected,)
    assert not any("look like" in note for note in found.notes)


@pytest.mark.parametrize("more", [{}, {"templates": ["a {}"], "descriptors": {}}, {"other": []}])
def test_a_source_without_one_content_is_refused(tmp_path: Path, more: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="names its source; beside that give one of"):
        bank(write(tmp_path, {"source": "a book", **more}), POND)
    named = Dataset("d", ("source",), {})
    assert bank(write(tmp_path, {"source": ["a spring."]}), named).prompts == (("a spring.",),)


def test_a_key_given_twice_is_refused(tmp_path: Path) -> None:
    spec = write(tmp_path, '{"frog": ["a."], "frog": ["b."], "crested newt": ["c."]}')
    with pytest.raises(ConfigError, match="'frog' stand twice"):
        bank(spec, POND)
