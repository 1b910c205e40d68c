"""Paths and names of strangers: what is refused stays out, what is ordinary comes in."""

from __future__ import annotations

import os
import re
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featcache.datasets.checks import LONGEST_NAME, checked, no_name, safe_id
from featcache.datasets.dataset import Dataset, Item
from featcache.datasets.layouts import coop
from featcache.datasets.layouts._lists import read_lines
from featcache.errors import DatasetError, FeatcacheError
from tests.featcache.datasets.ponds import SPLIT, ids, pond, read, touch

EVIL_PATHS = ["/etc/passwd", "../x.jpg", "frog/../../x.jpg", "C:\\x.jpg", "c:x.jpg", "//host/x"]
EVIL_PATHS += ["a\0.jpg", "a\n.jpg", "", ".", " ", "..", "frog\\1.jpg", "\ud800.jpg"]


@given(st.text())
def test_accepted_ids_stay_below_the_root(text: str) -> None:
    root = Path("/root/of/pictures")
    try:
        id_ = safe_id(text, "here")
    except DatasetError:
        return
    path = root / id_
    assert path != root
    assert path.resolve().is_relative_to(root)
    assert ".." not in path.parts
    assert safe_id(id_, "here") == id_
    id_.encode()


@given(st.lists(st.sampled_from(["a", "b c", ".x", "1.jpg"]), min_size=1))
def test_ordinary_paths_are_accepted(parts: list[str]) -> None:
    assert safe_id("/".join(parts), "here") == "/".join(parts)


@pytest.mark.parametrize("path", [*EVIL_PATHS, 7, None, ["frog"], True])
def test_hostile_paths_are_refused(tmp_path: Path, path: object) -> None:
    pond(tmp_path, val=[[path, 0, "frog"]])
    with pytest.raises(DatasetError, match=r"val entry 0: the path"):
        read(tmp_path)


def test_problems_may_share_pictures_among_splits(tmp_path: Path) -> None:
    """Nothing is learnt on one split of problems and asked on another."""
    touch(tmp_path, "a.jpg")
    items = (Item("a.jpg", tmp_path / "a.jpg", 0),)
    dataset = Dataset("x", ("frog",), {"val-seen-seen": items, "test-seen-seen": items})
    with pytest.raises(DatasetError, match="is listed twice"):
        checked(dataset, tmp_path)
    problems = replace(dataset, problems=1)
    assert checked(problems, tmp_path) is problems
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(DatasetError, match="none of the 1 val-seen-seen pictures exists"):
        checked(problems, tmp_path)


def test_a_picture_in_two_splits_is_refused(tmp_path: Path) -> None:
    pond(tmp_path, test=[["frog//1.jpg", 0, "frog"]])
    with pytest.raises(DatasetError, match=r"frog/1\.jpg is listed twice, in train and test"):
        read(tmp_path)


def test_links_may_not_lead_out(tmp_path: Path) -> None:
    folder = pond(tmp_path / "pond")
    touch(tmp_path, "secret/1.jpg")
    (folder / "images/frog/unlisted.jpg").symlink_to(tmp_path / "secret/1.jpg")
    read(folder)
    (folder / "images/frog/1.jpg").unlink()
    (folder / "images/frog/1.jpg").symlink_to(tmp_path / "secret/1.jpg")
    with pytest.raises(DatasetError, match="link that leads out"):
        read(folder)


@pytest.mark.parametrize("target", ["../../secret", "newt"])
def test_linked_folders(tmp_path: Path, target: str) -> None:
    folder = pond(tmp_path / "pond", val=[["linked/1.jpg", 0, "frog"]])
    touch(tmp_path, "secret/1.jpg")
    (folder / "images/linked").symlink_to(target)
    if target == "newt":
        assert ids(read(folder), "val") == ["linked/1.jpg"]
    else:
        with pytest.raises(DatasetError, match="link that leads out"):
            read(folder)


def test_a_ring_of_links_is_refused(tmp_path: Path) -> None:
    pond(tmp_path, val=[["ring/1.jpg", 0, "frog"]])
    (tmp_path / "images/ring").symlink_to("ring")
    with pytest.raises(DatasetError):
        read(tmp_path)


def test_the_image_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    folder = pond(tmp_path / "pond")
    (folder / "images").rename(tmp_path / "elsewhere")
    (folder / "images").symlink_to(tmp_path / "elsewhere")
    assert len(read(folder).splits["train"]) == 2


def test_one_missing_picture_is_left_to_the_encoder_but_not_all(tmp_path: Path) -> None:
    pond(tmp_path)
    (tmp_path / "images/newt/2.jpg").unlink()
    read(tmp_path)
    (tmp_path / "images/frog/1.jpg").unlink()
    with pytest.raises(DatasetError, match=r"none of the 2 train pictures.*images/newt/2\.jpg"):
        read(tmp_path)


def test_paths_too_long_for_the_system_are_only_missing(tmp_path: Path) -> None:
    pond(tmp_path, val=[["x" * 9999 + "/a.jpg", 0, "frog"], ["frog/2.jpg", 0, "frog"]])
    assert len(read(tmp_path).splits["val"]) == 2


def test_every_error_is_one_sentence_that_names_a_place(tmp_path: Path) -> None:
    pond(tmp_path, val=[["../x.jpg", 0, "frog"]])
    with pytest.raises(FeatcacheError) as caught:
        read(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / SPLIT}, val entry 0: the path '../x.jpg' does not stay in the image folder; "
        "write it relative to that folder, without '..'."
    )


def test_links_are_followed_where_that_is_asked(tmp_path: Path) -> None:
    folder = pond(tmp_path / "pond")
    touch(tmp_path, "away/1.jpg")
    (folder / "images/frog/1.jpg").unlink()
    (folder / "images/frog/1.jpg").symlink_to(tmp_path / "away/1.jpg")
    with pytest.raises(DatasetError, match="or take them from where they are with --follow-links"):
        read(folder)
    dataset = coop.read(folder, "images", SPLIT, name="pond", follow_links=True)
    assert "frog/1.jpg" in ids(dataset, "train")


@pytest.mark.parametrize("follow", [False, True])
def test_pipes_and_devices_are_refused_before_they_are_read(tmp_path: Path, follow: bool) -> None:
    pond(tmp_path)
    picture = tmp_path / "images/frog/1.jpg"
    picture.unlink()
    os.mkfifo(picture)
    with pytest.raises(DatasetError, match=r"frog/1\.jpg is a pipe, socket or device; put a pict"):
        coop.read(tmp_path, "images", SPLIT, name="pond", follow_links=follow)
    picture.unlink()
    picture.symlink_to("/dev/zero")
    with pytest.raises(DatasetError, match="pipe, socket or device" if follow else "leads out"):
        coop.read(tmp_path, "images", SPLIT, name="pond", follow_links=follow)


def test_lists_that_never_end_are_not_read(tmp_path: Path) -> None:
    pond(tmp_path)
    for make in (os.mkfifo, lambda path: path.symlink_to("/dev/zero")):
        (tmp_path / SPLIT).unlink()
        make(tmp_path / SPLIT)
        with pytest.raises(
            DatasetError, match=r"cannot read the split file .* pipe, socket or dev"
        ):
            read(tmp_path)
        with pytest.raises(DatasetError, match=r"cannot read .* pipe, socket or device"):
            read_lines(tmp_path / SPLIT)


@pytest.mark.parametrize("listed", ["NFC", "NFD"])
@pytest.mark.parametrize("stored", ["NFC", "NFD"])
def test_composed_and_decomposed_names_are_one(
    tmp_path: Path, listed: Literal["NFC", "NFD"], stored: Literal["NFC", "NFD"]
) -> None:
    path = "\u00e9/\u00e0.jpg"
    pond(tmp_path, val=[[unicodedata.normalize(listed, path), 0, "frog"]])
    touch(tmp_path / "images", unicodedata.normalize(stored, path))
    (item,) = read(tmp_path).splits["val"]
    assert item.id == path
    assert isinstance(item.source, Path)
    assert item.source.is_file()


@given(st.text(max_size=120))
def test_a_name_is_one_folder(name: str) -> None:
    """What is accepted is one visible part of a path, spelt as it will be listed."""
    if no_name(name):
        return
    assert Path(name).parts == (name,)
    assert name == name.strip() != ""
    assert not name.startswith(".")
    assert len(name.encode()) <= LONGEST_NAME


def test_ordinary_names_are_accepted() -> None:
    for name in ("birds", "birds-2", "Meine Vögel", "a.b", "x" * LONGEST_NAME):
        assert no_name(name) == ""
    assert "at most 100 of them" in no_name("ö" * 51)


@pytest.mark.parametrize("name", ["con", "NUL.txt", "com1", "a?b", "a*", 'a"b', "end.", "a<b"])
def test_names_that_windows_cannot_hold_are_refused(name: str) -> None:
    assert "cannot be a data set's name" in no_name(name)
    assert no_name(f"x-{re.sub(r'[^a-z0-9]', '', name.lower())}") == ""
