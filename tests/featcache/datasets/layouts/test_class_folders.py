"""Class folders: which there are, and the pictures in them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from featcache.datasets.layouts._class_folders import (
    Walk,
    class_folders,
    inner_folders,
    pictures_in,
)
from featcache.errors import DatasetError
from featcache.pictures.formats import suffixes
from tests.featcache.datasets.ponds import touch


def test_folders_are_sorted_and_files_and_hidden_ones_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "newt/1.png", "Frog/1.png", "ä/1.png", ".git/x.png", "list.csv")
    assert class_folders(tmp_path, tmp_path) == ["Frog", "newt", "ä"]


def test_no_folders_say_what_to_do(tmp_path: Path) -> None:
    touch(tmp_path, "1.png")
    with pytest.raises(DatasetError) as error:
        class_folders(tmp_path, tmp_path)
    assert str(error.value) == (
        f"{tmp_path} holds 1 pictures and no class folders; put each class into its own folder."
    )
    with pytest.raises(DatasetError, match=r"cannot list .*nowhere"):
        class_folders(tmp_path / "nowhere", tmp_path)


@pytest.mark.parametrize("suffix", suffixes())
def test_a_picture_is_known_by_its_suffix_in_any_case(tmp_path: Path, suffix: str) -> None:
    touch(tmp_path, f"b{suffix}", f"a{suffix.upper()}", f"c{suffix}.txt", f".d{suffix}", "x")
    assert pictures_in(tmp_path, tmp_path) == [f"a{suffix.upper()}", f"b{suffix}"]


def test_a_folder_without_pictures_says_what_counts_as_one(tmp_path: Path) -> None:
    touch(tmp_path, "notes.txt")
    with pytest.raises(DatasetError) as error:
        pictures_in(tmp_path, tmp_path)
    assert str(error.value) == (
        f"the class folder {tmp_path} holds no pictures ({', '.join(suffixes())}); add some or "
        "remove it."
    )


def test_links_stay_inside(tmp_path: Path) -> None:
    touch(tmp_path / "in", "frog/1.png")
    touch(tmp_path / "out", "newt/1.png")
    (tmp_path / "in" / "copy").symlink_to(tmp_path / "in" / "frog")
    assert class_folders(tmp_path / "in", tmp_path / "in") == ["copy", "frog"]
    (tmp_path / "in" / "newt").symlink_to(tmp_path / "out" / "newt")
    with pytest.raises(DatasetError, match="is a link that leads out of"):
        class_folders(tmp_path / "in", tmp_path / "in")


def test_a_link_out_may_be_followed(tmp_path: Path) -> None:
    touch(tmp_path / "out", "newt/1.png")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "newt").symlink_to(tmp_path / "out" / "newt")
    walk = Walk(follow_links=True)
    assert class_folders(tmp_path / "in", tmp_path / "in", walk) == ["newt"]
    assert pictures_in(tmp_path / "in" / "newt", tmp_path / "in", walk) == ["1.png"]


def test_inner_folders_are_counted_or_taken(tmp_path: Path) -> None:
    touch(tmp_path, "cat/b.jpg", "cat/a/2.png", "cat/a/deep/1.JFIF", "cat/a/x.txt", "cat/c/1.txt")
    walk = Walk()
    assert inner_folders(tmp_path / "cat", tmp_path, walk) == ["a", "c"]
    assert pictures_in(tmp_path / "cat", tmp_path, walk) == ["b.jpg"]
    assert walk.note(tmp_path) == (
        f"{tmp_path}: passed over 2 pictures in inner folders ('cat/a', 'cat/c'; --recursive takes "
        "them)."
    )
    walk = Walk(recursive=True)
    taken = pictures_in(tmp_path / "cat", tmp_path, walk)
    assert taken == ["a/2.png", "a/deep/1.JFIF", "b.jpg"]
    assert walk.note(tmp_path) == (
        f"{tmp_path}: passed over 2 files that are no pictures by their ending (2 .txt)."
    )


def test_a_class_of_inner_folders_alone_says_the_way(tmp_path: Path) -> None:
    touch(tmp_path, "cat/kittens/1.jpg")
    with pytest.raises(DatasetError, match=r"'kittens' with --recursive, or .*domains, add"):
        pictures_in(tmp_path / "cat", tmp_path)


@pytest.mark.parametrize("target", ["..", ".", "../cat/in"])
@pytest.mark.parametrize("follow", [False, True])
def test_rings_of_links_are_refused_where_they_would_be_walked(
    tmp_path: Path, target: str, follow: bool
) -> None:
    touch(tmp_path, "cat/in/1.jpg", "cat/2.jpg")
    (tmp_path / "cat/in/ring").symlink_to(Path("..") / target)
    with pytest.raises(DatasetError, match="ring is a link to a folder that holds it"):
        pictures_in(tmp_path / "cat", tmp_path, Walk(recursive=True, follow_links=follow))
    assert pictures_in(tmp_path / "cat", tmp_path, Walk(follow_links=follow)) == ["2.jpg"]


def test_what_is_no_file_is_passed_over_and_named(tmp_path: Path) -> None:
    touch(tmp_path, "cat/1.jpg")
    os.mkfifo(tmp_path / "cat/pipe.jpg")
    (tmp_path / "cat/missing.jpg").symlink_to("nowhere.jpg")  # a bad picture, told when it is read
    walk = Walk()
    assert pictures_in(tmp_path / "cat", tmp_path, walk) == ["1.jpg", "missing.jpg"]
    assert "1 that are no files but pipes or devices ('cat/pipe.jpg')" in walk.note(tmp_path)
    (tmp_path / "cat/zero.jpg").symlink_to("/dev/zero")
    walk = Walk(follow_links=True)
    assert pictures_in(tmp_path / "cat", tmp_path, walk) == ["1.jpg", "missing.jpg"]
    assert len(walk.special) == 2


def test_names_are_ordered_as_if_composed(tmp_path: Path) -> None:
    touch(tmp_path, "e\u0301.jpg", "f.jpg", "z.jpg")
    assert pictures_in(tmp_path, tmp_path) == ["f.jpg", "z.jpg", "e\u0301.jpg"]
    touch(tmp_path, "\u00e9.jpg")
    with pytest.raises(DatasetError, match=r"two names that both read 'é\.jpg'; rename one"):
        pictures_in(tmp_path, tmp_path)


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ring").symlink_to("ring")
    for follow in (False, True):
        with pytest.raises(DatasetError, match="ring is a link"):
            class_folders(tmp_path, tmp_path, Walk(follow_links=follow))


def test_pictures_beside_class_folders_are_called_pictures(tmp_path: Path) -> None:
    touch(tmp_path, "frog/1.jpg", "loose.JPG", "list.csv", "README")
    walk = Walk()
    assert class_folders(tmp_path, tmp_path, walk) == ["frog"]
    assert class_folders(tmp_path, tmp_path, walk) == ["frog"]  # listed twice, counted once
    assert walk.note(tmp_path) == (
        f"{tmp_path}: passed over 2 files that are no pictures by their ending (1 .csv, 1 without "
        "ending); 1 pictures outside class folders ('loose.JPG')."
    )
