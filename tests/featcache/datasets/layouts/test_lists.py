"""Lists of pictures: lines of text, and rows put together to a data set."""

from __future__ import annotations

from pathlib import Path

import pytest

from featcache.datasets.layouts._lists import Row, assemble, placed, read_lines, why
from featcache.errors import DatasetError
from tests.featcache.datasets.ponds import ids, touch

TRAIN: list[Row] = [("b.jpg", 1, "newt"), ("a.jpg", 0, "frog")]
TEST: list[Row] = [("c.jpg", 0, "frog")]


def put(root: Path, **rows: list[Row]) -> object:
    everything = {"train": TRAIN, "val": [], "test": TEST} | rows
    touch(root, "a.jpg", "b.jpg", "c.jpg")
    return assemble("pond", root, ("frog", "newt"), everything, root / "list", ["a {}."])


def test_lines_are_stripped_and_empty_ones_left_out(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes("\ufeffone\r\n\r\n  two words \n\t\nä".encode())
    assert read_lines(path) == ["one", "two words", "ä"]
    path.write_text("")
    assert read_lines(path) == []


def test_tabs_are_spaces_where_they_may_be(tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("a\tb\n")
    assert read_lines(tmp_path / "lines.txt", tabs=True) == ["a b"]
    with pytest.raises(DatasetError, match="is not plain text"):
        read_lines(tmp_path / "lines.txt")


def test_pictures_lie_where_most_of_them_are(tmp_path: Path) -> None:
    touch(tmp_path, "one/a.jpg", "two/a.jpg", "two/e\u0301.jpg")
    assert placed(tmp_path, ["a.jpg", "\u00e9.jpg"], False) == [
        ("a.jpg", tmp_path / "two" / "a.jpg"),
        ("\u00e9.jpg", tmp_path / "two" / "e\u0301.jpg"),
    ]
    assert placed(tmp_path, ["one/a.jpg"], False)[0][1] == tmp_path / "one" / "a.jpg"
    assert placed(tmp_path, ["gone.jpg"], False)[0][1] == tmp_path / "gone.jpg"


@pytest.mark.parametrize("odd", ["a\x1b[31m", "a\x00b", "a\u2028b", "a\x85b"])
def test_lines_that_are_no_plain_text_are_refused(tmp_path: Path, odd: str) -> None:
    path = tmp_path / "lines.txt"
    path.write_text(f"plain\n{odd}\n", encoding="utf-8")
    with pytest.raises(DatasetError) as error:
        read_lines(path)
    assert str(error.value) == f"{path}: the line {odd!r} is not plain text; remove it."


def test_files_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    with pytest.raises(DatasetError) as error:
        read_lines(path)
    assert str(error.value) == (
        f"cannot read {path} (No such file or directory); put the file there."
    )
    path.write_bytes(b"\xff")
    with pytest.raises(DatasetError, match=r"cannot read .* codec can't decode"):
        read_lines(path)


def test_the_reason_of_an_error_alone() -> None:
    assert why(OSError(2, "Gone", "x.txt")) == "Gone"
    assert why(OSError("plain")) == "plain"
    assert why(ValueError("bad")) == "bad"


def test_rows_keep_their_order_and_lie_below_the_root(tmp_path: Path) -> None:
    dataset = put(tmp_path)
    assert dataset.name == "pond"
    assert dataset.classnames == ("frog", "newt")
    assert dataset.templates == ("a {}.",)
    assert list(dataset.splits) == ["train", "test"]  # without a row, no split
    assert ids(dataset, "train") == ["b.jpg", "a.jpg"]
    assert [item.label for item in dataset.splits["train"]] == [1, 0]
    assert dataset.splits["test"][0].source == tmp_path / "c.jpg"
    touch(tmp_path, "d.jpg")
    assert ids(put(tmp_path, val=[("d.jpg", 0, "frog")]), "val") == ["d.jpg"]


@pytest.mark.parametrize("part", ["train", "test"])
def test_training_and_test_are_listed(tmp_path: Path, part: str) -> None:
    with pytest.raises(DatasetError) as error:
        put(tmp_path, **{part: []})
    assert str(error.value) == f"{tmp_path / 'list'} lists no {part} pictures; add some."


def test_links_out_are_refused_in_every_split(tmp_path: Path) -> None:
    touch(tmp_path / "out", "x.jpg")
    touch(tmp_path / "in", "a.jpg")
    (tmp_path / "in" / "x.jpg").symlink_to(tmp_path / "out" / "x.jpg")
    for part in ("val", "test"):
        with pytest.raises(DatasetError, match="link that leads out"):
            put(tmp_path / "in", **{part: [("x.jpg", 0, "frog")]})


def test_what_all_readers_demand_is_demanded_here(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"list: b\.jpg is listed twice, in train and test"):
        put(tmp_path, test=[("b.jpg", 1, "newt")])
