"""Class folders: which there are, and the pictures in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from featcache.datasets.layouts._class_folders import SUFFIXES, class_folders, pictures_in
from featcache.errors import DatasetError
from tests.featcache.datasets.ponds import touch


def test_folders_are_sorted_and_files_and_hidden_ones_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "newt/1.png", "Frog/1.png", "ä/1.png", ".git/x.png", "list.csv")
    assert class_folders(tmp_path, tmp_path) == ["Frog", "newt", "ä"]


def test_no_folders_say_what_to_do(tmp_path: Path) -> None:
    touch(tmp_path, "1.png")
    with pytest.raises(DatasetError) as error:
        class_folders(tmp_path, tmp_path)
    assert str(error.value) == (
        f"{tmp_path} holds no class folders; put each class into its own folder."
    )
    with pytest.raises(DatasetError, match=r"cannot list .*nowhere"):
        class_folders(tmp_path / "nowhere", tmp_path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_picture_is_known_by_its_suffix_in_any_case(tmp_path: Path, suffix: str) -> None:
    touch(tmp_path, f"b{suffix}", f"a{suffix.upper()}", f"c{suffix}.txt", f".d{suffix}", "x")
    assert pictures_in(tmp_path, tmp_path) == [f"a{suffix.upper()}", f"b{suffix}"]


def test_a_folder_without_pictures_says_what_counts_as_one(tmp_path: Path) -> None:
    touch(tmp_path, "notes.txt")
    with pytest.raises(DatasetError) as error:
        pictures_in(tmp_path, tmp_path)
    assert str(error.value) == (
        f"the class folder {tmp_path} holds no pictures (.jpg, .jpeg, .png, .webp, .bmp, .gif, "
        ".tif, .tiff, .ppm); add some or remove it."
    )


def test_links_stay_inside(tmp_path: Path) -> None:
    touch(tmp_path / "in", "frog/1.png")
    touch(tmp_path / "out", "newt/1.png")
    (tmp_path / "in" / "copy").symlink_to(tmp_path / "in" / "frog")
    assert class_folders(tmp_path / "in", tmp_path / "in") == ["copy", "frog"]
    (tmp_path / "in" / "newt").symlink_to(tmp_path / "out" / "newt")
    with pytest.raises(DatasetError, match="is a link that leads out of"):
        class_folders(tmp_path / "in", tmp_path / "in")
