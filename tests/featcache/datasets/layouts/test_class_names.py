"""Names of classes: as their folders are called, without the numbers of a catalogue."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featcache.datasets.layouts import folders
from featcache.datasets.layouts._class_names import class_names
from featcache.prompts import bank


@pytest.mark.parametrize(
    ("given_", "names"),
    [
        (["001.Black_footed_Albatross", "002.Laysan"], ("Black_footed_Albatross", "Laysan")),
        (["0-cat", "1-dog"], ("cat", "dog")),
        (["01 - cat", "02 - dog"], ("cat", "dog")),
        (["1_ä b", "2_c"], ("ä b", "c")),
        (["001.ak47", "256.toad"], ("ak47", "toad")),
        (["18-25 years", "26-40 years"], ("18-25 years", "26-40 years")),
        (["1.5 years", "2.5 hours"], ("1.5 years", "2.5 hours")),
        (["2-door car", "4-door van"], ("2-door car", "4-door van")),
        (["1_euro", "2_euro"], ("1_euro", "2_euro")),  # not apart without
        (["n02085620-Chihuahua", "n02085782-Japanese_spaniel"], ("Chihuahua", "Japanese_spaniel")),
        (["0", "1"], ("0", "1")),  # the number is the name
        (["1.5", "2.5"], ("1.5", "2.5")),
        (["7-up", "cola"], ("7-up", "cola")),  # not every class has one
        (["3_series", "3_touring"], ("3_series", "3_touring")),  # not its own
        (["3d", "4k"], ("3d", "4k")),
        (["e\u0301", "f"], ("\u00e9", "f")),
    ],
)
def test_numbers_are_cut_off_where_every_class_has_its_own(
    given_: list[str], names: tuple[str, ...]
) -> None:
    assert class_names(given_) == names


@given(st.lists(st.from_regex(r"[a-z][a-z_0-9]{0,8}", fullmatch=True), min_size=1))
def test_numbering_changes_no_names(names: list[str]) -> None:
    assert class_names(names) == tuple(names)
    numbered = [f"{i:03}.{name}" for i, name in enumerate(names)]
    assert class_names(numbered) == tuple(names if len(set(names)) == len(names) else numbered)


def test_the_case_of_the_birds(shared_cases: Path) -> None:
    dataset = folders.read(shared_cases / "numbered-classes", name="birds")
    prompts = bank(None, dataset).prompts
    assert prompts[0] == ("a photo of a Black footed Albatross.",)
    assert dataset.splits["train"][0].id.startswith("001.Black_footed_Albatross/")
