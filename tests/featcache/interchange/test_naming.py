"""Nested contents as named arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from featcache.interchange.naming import BARE, flat


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (np.arange(2), {BARE: [0, 1]}),
        ({"a": {"b": [1, 2]}}, {"a_b": [1, 2]}),
        ({"a": {0: ["x"], 1: ["y", "z"]}}, {"a": [["x", ""], ["y", "z"]]}),
        ({"a": {1: "y", 0: "x"}}, {"a": ["x", "y"]}),
        ({"a": 2.5, "b": "word"}, {"a": 2.5, "b": "word"}),
        ({"a": []}, {"a": []}),
    ],
)
def test_names(content: Any, found: dict[str, Any]) -> None:
    assert {name: array.tolist() for name, array in flat(content).items()} == found


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"a": {"b": {"c": {"d": {"e": 1}}}}}, "too deep"),
        ({"a": {0: "x", 2: "y"}}, "do not run from 0 to 1"),
        ({"a": object()}, "a is a object"),
        ({"a": ["x", 1]}, "something else"),
        ({"a": [["x"], [1]]}, "something else than text"),
        ({"a_b": 1, "a": {"b": 2}}, "'a_b' twice"),
        ({(1, 2): 1}, "a key is tuple"),
        ({"a": ["x" * 10**6] + ["y"] * 1000}, "lines that are too long"),
        ({"a": [["x"]] * 200 + [["y"] * 100_000]}, "very different lengths"),
    ],
)
def test_what_is_refused(content: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        flat(content)
