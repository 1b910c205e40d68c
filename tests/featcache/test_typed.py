"""Pairs and values as people type them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featcache.errors import ConfigError
from featcache.typed import literal, split

keys = st.text(min_size=1).filter(lambda key: "=" not in key and key.strip() == key)


@given(st.dictionaries(keys, st.text()))
def test_pairs_come_apart_as_they_were_put_together(pairs: dict[str, str]) -> None:
    assert split("--set", [f"{key}={value}" for key, value in pairs.items()]) == pairs
    assert split("--set", [f" {key} ={value}" for key, value in pairs.items()]) == pairs


def test_a_key_that_stands_twice_is_refused_with_the_way_out() -> None:
    with pytest.raises(ConfigError, match=r"^--x a is given twice; give it once\."):
        split("--x", ["a=1", "b=2", " a=3"])
    with pytest.raises(ConfigError, match=r"^--x a is given twice; write a=1,3\."):
        split("--x", ["a=1", "a=3"], once="write {key}=1,3")


@pytest.mark.parametrize("wrong", ["", "blocks", "=3", " =3"])
def test_what_is_no_pair_is_refused_by_the_form_of_its_option(wrong: str) -> None:
    with pytest.raises(ConfigError, match=f"^--x takes a=b, got '{wrong}'"):
        split("--x", ["a=1", wrong], "a=b")


@given(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.lists(st.text()))
def test_what_is_json_is_read(value: object) -> None:
    assert literal(json.dumps(value)) == value


@pytest.mark.parametrize("text", ["rk4", "1..3", "[1,", "None", "1e", ""])
def test_the_rest_is_text(text: str) -> None:
    assert literal(text) == text
