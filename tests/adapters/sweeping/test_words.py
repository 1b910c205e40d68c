"""A grid as people write it: on the command line and in YAML."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from adapters.sweeping.grid import Grid
from adapters.sweeping.words import WORDS, axes, listed, named, names, numbers, read, typed
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
        ("shots: 1\nseed: 2\nshots: 4", "'shots' stands twice in the block at line 1"),
        (
            "set:\n  fma.blocks: 2\n  fma.blocks: 3",
            "'fma.blocks' stands twice in the block at line 2",
        ),
        ("grids:\n- seed: 1\n- seed: 1\n  seed: 2", "'seed' stands twice in the block at line 3"),
        ("[a]: b", "cannot be read"),
        ("{" * 5000, "cannot be read"),
        ("3", "word"),
        ("", "word"),
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


@pytest.mark.parametrize("value", [{"a": 1}, [["a"]], 1.5, True, "", b"a"])
def test_a_word_that_names_takes_names(value: object) -> None:
    with pytest.raises(ConfigError, match="dataset takes a name or a list of them, got "):
        names("dataset", value)
    assert names("dataset", ["a", 101, None]) == ["a", "101", None]


@pytest.mark.parametrize("value", [{"a": 1}, [[2]], 1.5, True, "2", -1])
def test_a_word_that_counts_takes_whole_numbers(value: object) -> None:
    for usual in (True, False):
        with pytest.raises(ConfigError, match="views must be whole numbers of at least 0, got "):
            numbers("views", value, 0, usual)
    assert numbers("views", [0, None], 0, usual=True) == [0, None]
    with pytest.raises(ConfigError, match="got None"):
        numbers("shots", None, 1)


def test_a_setting_given_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"--set blocks is given twice; write blocks=value,value"):
        axes(["blocks=2", "gamma=1", "blocks =3"])
