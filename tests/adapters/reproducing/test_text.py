"""Banks by name: what they are called is what encoding calls them, and the words make them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.reproducing import text
from featcache.datasets.dataset import Dataset
from featcache.errors import ConfigError
from featcache.prompts import SHIPPED, bank

POND = Dataset("pond", ("frog", "crested_newt"), {}, ("a {} in a pond.", "art of the {}."))
POSITIVE = [name for name in SHIPPED if name != "negative"]
FILES = ("CuPL.json", "my_bank v2.txt", "Größe.json", "a.b.JSON", "single-story.txt", "x+y.json")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prompts")
    for name in FILES:
        (folder / name).write_text('["a {}."]' if name.lower().endswith("json") else "a {}.")
    return folder


def test_banks_that_need_no_file_are_those_that_ship() -> None:
    assert text.shipped() == {*SHIPPED}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.sampled_from([*POSITIVE, *FILES[:-2]]), min_size=1, max_size=3))
def test_a_bank_is_called_what_encoding_calls_it(
    files: Path, monkeypatch: pytest.MonkeyPatch, parts: list[str]
) -> None:
    """And the words for a bank of that name make one of that name, of files without such names."""
    monkeypatch.chdir(files)
    typed = "+".join(parts)
    name = bank(typed, POND).name
    assert text.called(typed) == name
    # Two files one after the other are one to whoever sees the name alone.
    if all(a in POSITIVE or b in POSITIVE for a, b in pairwise(parts)):
        assert bank(text.words(name), POND).name == name


def test_a_file_that_lies_there_goes_before_names_that_are_joined(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert text.words("cupl") == "cupl.json"
    assert text.words("single-story") == "single+story.json"
    assert text.words("seven-eighty") == "seven+eighty"
    assert text.words("my-cupl-single") == "my-cupl.json+single"
    monkeypatch.chdir(files)
    assert text.words("cupl") == "CuPL.json"
    assert text.words("single-story") == "single-story.txt"
    assert text.words("seven-my-bank-v2") == "seven+my_bank v2.txt"
    assert text.called("x+y.json") == bank("x+y.json", POND).name == "x-y"


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("a/CuPL.json", "cupl"),
        ("single+CuPL.json", "single-cupl"),
        ("A_b c.TXT+seven", "a-b-c-seven"),
    ],
)
def test_a_file_is_refused_by_the_name_of_its_bank(typed: str, name: str) -> None:
    with pytest.raises(ConfigError, match=rf"and take --prompts {name}\.$"):
        text.asked(typed)


def test_names_are_taken_and_joined() -> None:
    assert (text.asked(None), text.asked(""), text.asked("cupl")) == ("", "", "cupl")
    assert text.asked("seven+cupl") == "seven-cupl"


@pytest.mark.parametrize("typed", [".", "+", "_", " ", "seven+", "~nobody+"])
def test_what_names_no_bank_is_refused(typed: str) -> None:
    with pytest.raises(ConfigError, match="names no bank"):
        text.asked(typed)


@pytest.mark.parametrize("typed", ["negative", "negative-mine", "negative-a.json"])
def test_prompts_of_what_is_not_there_are_no_text(typed: str) -> None:
    with pytest.raises(ConfigError, match="such as --prompts seven"):
        text.asked(typed)
