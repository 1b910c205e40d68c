"""Prompts by class as other projects write them: by name, by label, ragged, phrases."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featcache.datasets.dataset import Dataset
from featcache.descriptions import Descriptions, are_phrases, lines, once, read, sentence
from featcache.errors import ConfigError

POND = Dataset("pond", ("frog", "Crested_Newt", "missile", "missile"), {})


@given(st.lists(st.lists(st.sampled_from(["a.", "b.", "c."]), max_size=3), min_size=4, max_size=4))
def test_the_forms_say_the_same(texts: list[list[str]]) -> None:
    """A list in label order and an object of labels, whatever its order, with gaps for none."""
    numbered = {str(label): mine for label, mine in enumerate(texts)}
    expected = tuple(map(tuple, texts))
    assert read(texts, POND, "x").texts == expected
    backwards = dict(reversed(numbered.items()))
    assert read(backwards, POND, "x").texts == expected
    without = {label: mine for label, mine in numbered.items() if mine}
    assert not without or read(without, POND, "x").texts == expected
    named = {"frog": texts[0], "Crested_Newt": texts[1], "missile": texts[2]}
    assert read(named, POND, "x").texts == (*expected[:3], expected[2])


def test_a_key_of_a_name_is_for_all_classes_of_that_name() -> None:
    """As ImageNet's: 998 names, of which two stand for two classes each."""
    names = [f"class {i}" for i in range(996)] + ["missile", "missile", "sunglasses", "sunglasses"]
    data = {name: [f"{name}."] for name in names}
    assert len(data) == 998
    found = read(data, Dataset("imagenet", tuple(names), {}), "cupl.json")
    assert [mine[0] for mine in found.texts] == [f"{name}." for name in names]
    (note,) = found.notes
    assert "'missile', 'sunglasses' name several classes each" in note


def test_names_are_met_whatever_their_capitals_and_blanks() -> None:
    found = read({"Frog": ["a."], "crested  newt": ["b."], "MISSILE": ["c."]}, POND, "x")
    assert found.texts == (("a.",), ("b.",), ("c.",), ("c.",))
    exact = read({"Frog": ["no."], "frog": ["a."]}, POND, "x")
    assert exact.texts[0] == ("a.",)
    assert read({"Frog": ["a."], "FROG": ["b."]}, POND, "x").texts[0] == ()  # neither is meant


def test_names_that_are_no_classes_are_told() -> None:
    assert read({"toad": ["a."], "frog": ["b."]}, Dataset("d", ("frog",), {}), "x").notes == (
        "x: 1 of its names are no classes here, such as 'toad'.",
    )


def test_ids_of_classes_tell_equal_names_apart() -> None:
    twins = Dataset("d", ("missile", "missile", "hen"), {}, class_ids=("n03", "n04", "n01"))
    found = read({"n04": ["b."], "n03": ["a."], "hen": ["c."]}, twins, "x")
    assert (found.texts, found.notes) == ((("a.",), ("b.",), ("c.",)), ())


def test_names_that_are_numbers_are_names() -> None:
    numbers = Dataset("numbers", ("1", "0"), {})
    assert read({"0": ["nought"], "1": ["one"]}, numbers, "x").texts == (("one",), ("nought",))


def test_labels_beyond_the_classes_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"the label 4, pond has 4 classes; number them from 0"):
        read({str(label): ["a."] for label in range(1, 5)}, POND, "x")


@pytest.mark.parametrize("data", [None, 3, "text", [["a"]], {"frog": "a."}, {"frog": {"q": ["a"]}}])
def test_other_forms_are_refused(data: Any) -> None:
    with pytest.raises(ConfigError, match="x"):
        read(data, POND, "x")


@pytest.mark.parametrize("listed", [[], "a", None, [1], ["a\nb"], [" "]])
def test_lines_are_lists_of_lines(listed: Any) -> None:
    assert lines(["a", "b "], "x") == ["a", "b "]
    assert lines([], "x", none=True) == []
    with pytest.raises(ConfigError, match="x"):
        lines(listed, "x")


def test_a_key_that_stands_twice_is_refused() -> None:
    assert json.loads('{"a": {"b": 1}}', object_pairs_hook=once) == {"a": {"b": 1}}
    with pytest.raises(ValueError, match="'missile' stand twice"):
        json.loads('{"missile": 1, "missile": 2}', object_pairs_hook=once)


@pytest.mark.parametrize(
    ("phrase", "filled"),
    [
        ("two legs", "hen, which has two legs"),
        ("a beak", "hen, which is a beak"),
        ("an egg", "hen, which is an egg"),
        ("aquatic", "hen, which is aquatic"),
        ("has wings", "hen, which has wings"),
        ("often red", "hen, which often red"),
        ("typically small", "hen, which typically small"),
        ("may fly", "hen, which may fly"),
        ("can swim", "hen, which can swim"),
        ("used for eggs", "hen, which is used for eggs"),
    ],
)
def test_descriptors_are_filled_in_as_by_their_authors(phrase: str, filled: str) -> None:
    assert sentence("hen", phrase) == filled


def test_phrases_are_told_from_sentences() -> None:
    assert are_phrases((("two legs", "a beak"), ("It is red.",)))
    assert not are_phrases((("A hen has two legs.",), ("a photo of a {}",)))
    assert not are_phrases(((), ()))
    assert Descriptions(((),)).notes == ()
