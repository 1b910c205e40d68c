"""What data sets and backbones are called where rows of several share a name."""

from __future__ import annotations

from typing import Any

import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.report.comparison import averages, by_dataset
from adapters.report.labels import labelled
from adapters.report.listing import brief
from adapters.report.rows import runs
from tests.adapters.rows import row, section_of


def told(*rows: dict[str, Any], **same: Any) -> pandas.DataFrame:
    return pandas.DataFrame([row(seed=i, **same, **each) for i, each in enumerate(rows)])


def names(frame: pandas.DataFrame, column: str = "dataset") -> list[str]:
    return [str(name) for name in labelled(frame)[column]]


ONE = {"data": "aaaaaa", "images": "111111", "features": "1f1f1f"}
TWO = {"data": "bbbbbb", "images": "222222", "features": "2f2f2f"}


def test_a_name_alone_stays_as_it_is() -> None:
    frame = told(ONE, ONE, {**ONE, "dataset": "plants", "data": "cccccc"}, {})
    found = labelled(frame)
    assert found["dataset"].tolist() == ["animals", "animals", "plants", "animals"]
    assert set(found["backbone"]) == {"RN50:openai"}
    pandas.testing.assert_frame_equal(found, frame)


def test_two_data_sets_of_one_name_carry_their_ids_and_old_rows_none() -> None:
    frame = told(ONE, TWO, {}, {**ONE, "dataset": "plants"})
    assert names(frame) == ["animals (aaaaaa)", "animals (bbbbbb)", "animals", "plants"]
    assert set(names(frame, "backbone")) == {"RN50:openai"}


def test_a_target_that_is_the_data_set_is_called_like_it() -> None:
    frame = told(
        {**ONE, "target": "animals"}, {**TWO, "target": "new"}, {**TWO, "target": "animals"}
    )
    assert names(frame, "target") == ["animals (aaaaaa)", "new", "animals (bbbbbb)"]
    frame.loc[2, "target"] = None  # of a frame that no store made
    assert runs(frame).done["measure"].tolist() == ["", "new", ""]


def test_features_of_two_encodings_stand_beside_the_backbone() -> None:
    frame = told(ONE, {**ONE, "images": "333333"}, {}, {**ONE, "backbone": "demo"})
    assert names(frame, "backbone") == [
        *("RN50:openai (111111)", "RN50:openai (333333)", "RN50:openai", "demo"),
    ]
    assert set(names(frame)) == {"animals"}


def test_the_same_features_are_the_same_data_whatever_was_known_of_it() -> None:
    """An entry of before says what its pictures are once it is brought up to date."""
    assert set(names(told(ONE, {**ONE, "data": "cccccc"}))) == {"animals"}


def test_frames_of_before_are_left_alone() -> None:
    frame = told(ONE, TWO).drop(columns=["data", "images"])
    assert labelled(frame) is frame
    assert set(runs(frame.drop(columns="features")).done["dataset"]) == {"animals"}
    assert labelled(told(ONE).iloc[:0]).empty


ID = st.sampled_from(["aaaaaa", "bbbbbb"])
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "dataset": st.sampled_from(["animals", "plants"]),
            "backbone": st.sampled_from(["RN50:openai", "demo"]),
            "method": st.sampled_from(["gda", "ncm"]),
            "data": ID,
            "encoded": ID,
            "features": ID,
            "status": st.sampled_from(["done", "failed"]),
        }
    ),
    min_size=1,
    max_size=10,
)


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_no_line_of_a_section_mixes_data_or_features(made: list[dict[str, Any]]) -> None:
    rows = [
        # Other data or another backbone are other features, of pictures and of all.
        {
            **each,
            "images": str((each.pop("encoded"), each["data"], each["backbone"])),
            "features": str((each["features"], each["data"], each["backbone"])),
        }
        for each in ({**one} for one in made)
    ]
    found = runs(told(*rows))
    for section in found.sections():
        cells = section.rows.groupby("dataset")[["data", "images"]].nunique()
        assert (cells == 1).all(axis=None)
        lines = section.rows.groupby(["dataset", "line"])["features"].nunique()
        assert (lines == 1).all()
    everything = pandas.concat([found.done, found.failed])
    assert len(everything) == len(rows)
    assert everything.groupby(["dataset", "backbone"])["data"].nunique().max() == 1
    # No name says more than it has to.
    for name in everything["dataset"]:
        alone = len({each["data"] for each in rows if each["dataset"] == name.partition(" ")[0]})
        assert ("(" in name) == (alone > 1)


def test_rows_of_two_data_sets_are_not_averaged_in_a_table() -> None:
    made = [{**ids, "accuracy": accuracy, "seed": seed}
            for ids, accuracy in ((ONE, 40.0), (TWO, 80.0)) for seed in (1, 2, 3)]  # fmt: skip
    section = section_of(pandas.DataFrame([row(**each) for each in made]))
    table = by_dataset(section, 4, ["gda"], None)
    assert table.heads == ["method", "animals (aaaaaa)", "animals (bbbbbb)", "average"]
    assert table.rows == [["gda", "40.0 ± 0.0", "80.0 ± 0.0", "60.0 ± 0.0"]]
    assert len(averages(section.rows)) == 3


@pytest.mark.parametrize("many", [True, False])
def test_what_was_published_stands_beside_a_name_of_one_data_set_alone(many: bool) -> None:
    made = [row(dataset="eurosat", seed=i, **ids) for i, ids in enumerate((ONE, TWO)[: 1 + many])]
    table = by_dataset(section_of(pandas.DataFrame(made)), 4, ["gda"], None)
    assert any("published" in line[0] for line in table.rows) != many


def test_for_people_rows_say_whose_they_are() -> None:
    found = brief(told(ONE, TWO))
    assert found["dataset"].tolist() == ["animals (aaaaaa)", "animals (bbbbbb)"]
    assert "dataset" not in brief(told(ONE, ONE))
    assert "target" not in brief(told(ONE, TWO).assign(target="animals"))
    again = brief(told(ONE, {**ONE, "images": "333333"}))
    assert again["backbone"].tolist() == ["RN50:openai (111111)", "RN50:openai (333333)"]
