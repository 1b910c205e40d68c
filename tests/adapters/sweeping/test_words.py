"""A grid as people write it: on the command line and in YAML."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from adapters.sweeping.grid import Grid
from adapters.sweeping.words import WORDS, axes, listed, named, read, typed
from featcache.errors import ConfigError, FeatcacheError, UnknownNameError


def test_values_as_typed() -> None:
    pairs = ["fma.blocks=2,6,12", "noise=0,1e-2", "solver=euler,rk4", "search=true", "x=1,a"]
    assert axes(pairs) == {
        "fma.blocks": [2, 6, 12],
        "noise": [0, 0.01],
        "solver": ["euler", "rk4"],
        "search": [True],
        "x": [1, "a"],
    }
    with pytest.raises(ConfigError, match="key=value"):
        axes(["blocks"])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("metod: fma", "method"),
        ("- fma", "word"),
        ("method: [fma", "cannot be read"),
        ("set: [fma.blocks]", "`set`"),
        ("grids: fma", "`grids`"),
        ("method: !!python/object:os.system fma", "cannot be read"),
    ],
)
def test_a_grid_file_that_is_none_is_one_sentence(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "grid.yaml"
    path.write_text(content)
    with pytest.raises(FeatcacheError, match=says):
        read(path)
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        read(tmp_path / "none.yaml")


def test_the_words_are_those_of_a_grid() -> None:
    own = [field.name for field in fields(Grid)]
    assert [*WORDS] == ["set" if name == "settings" else name for name in own]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("2,6, 12", [2, 6, 12]),
        ("[1,2],[3]", [[1, 2], [3]]),
        ("a, b ,c", ["a", "b", "c"]),
        ("1e-3", [0.001]),
        ("null,true", [None, True]),
        ("1..6", ["1..6"]),
        ("a,null", ["a", None]),
    ],
)
def test_lists_as_typed(text: str, values: list[object]) -> None:
    assert typed(text) == values


def test_blocks_take_what_stands_above_them_unless_they_say_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "grid.yaml"
    path.write_text(
        "shots: [1, 2]\nset: {a: 1e-3, b: [x, 2]}\n"
        "grids:\n  - {method: gda}\n  - {shots: 4, set: {a: 5}}\n"
    )
    assert read(path) == [
        {"shots": [1, 2], "method": "gda", "settings": {"a": [0.001], "b": ["x", 2]}},
        {"shots": 4, "settings": {"a": [5], "b": ["x", 2]}},
    ]
    path.write_text("method: fma\nset:\n")
    assert read(path) == [{"method": "fma", "settings": {}}]


def test_one_value_is_a_list_of_one_and_none_is_refused() -> None:
    assert [listed(value) for value in (3, "ab", None, (1, 2), range(2), [0])] == [
        [3], ["ab"], [None], [1, 2], [0, 1], [0],
    ]  # fmt: skip
    for nothing in ([], (), range(0)):
        with pytest.raises(ConfigError, match="has no values"):
            listed(nothing)


def test_a_name_is_one_of_those_known() -> None:
    assert named("task", "few-shot", iter(["few-shot", "other"])) == "few-shot"
    with pytest.raises(UnknownNameError, match="unknown task 'few'; known are: few-shot"):
        named("task", "few", iter(["few-shot"]))
