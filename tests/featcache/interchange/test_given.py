"""Files found in folders, and opened once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from featcache.errors import ImportRefusedError
from featcache.interchange import given as room
from featcache.interchange.given import Given


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b/keys.npy", "a/keys.npy", "a/x_keys.npy"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        np.save(tmp_path / name, np.arange(3))
    (tmp_path / "readme.md").write_text("no features")
    return tmp_path


def test_files_are_found_at_any_depth_in_order(folder: Path) -> None:
    assert Given([folder]).files == [
        folder / "a/keys.npy",
        folder / "a/x_keys.npy",
        folder / "b/keys.npy",
    ]
    assert Given([folder / "b/keys.npy"]).files == [folder / "b/keys.npy"]


def test_a_name_is_matched_from_its_start_and_its_folder_too(folder: Path) -> None:
    given = Given([folder])
    assert [path.parent.name for _, path in given.named(r"keys\.npy")] == ["a", "b"]
    assert [match["f"] for match, _ in given.named(r"(?P<f>\w)/keys\.npy")] == ["a", "b"]
    assert given.has(r"keys\.npy", r"x_keys\.npy")
    assert not given.has(r"keys\.npy", r"key\.npy")


def test_a_file_is_read_once_and_remembered_as_opened(folder: Path) -> None:
    given, path = Given([folder]), folder / "a/keys.npy"
    first = given.array(path)
    path.unlink()
    assert given.array(path) is first
    assert given.opened == {path}
    assert given.beside(path, "x_keys.npy") == folder / "a/x_keys.npy"
    with pytest.raises(ImportRefusedError, match=r"has no values.npy beside it"):
        given.beside(path, "values.npy")


def test_to_look_at_the_keys_is_not_to_take_it(folder: Path) -> None:
    given = Given([folder])
    assert given.keys(folder / "a/keys.npy") == {"array"}
    assert given.opened == set()


def test_a_link_has_its_own_name(folder: Path) -> None:
    (folder / "a/link.npy").symlink_to(folder / "b/keys.npy")
    assert Given([folder]).has(r"a/link\.npy")


def test_what_cannot_be_read_has_no_keys(folder: Path) -> None:
    (folder / "bad.pt").write_bytes(b"nothing")
    given = Given([folder])
    assert given.keys(folder / "bad.pt") == set()
    with pytest.raises(ImportRefusedError):
        given.load(folder / "bad.pt")


def test_one_array_alone(folder: Path) -> None:
    np.savez(folder / "two.npz", a=np.ones(1), b=np.ones(1))
    with pytest.raises(ImportRefusedError, match="holds a, b where one array alone"):
        Given([folder]).array(folder / "two.npz")


def test_a_folder_without_features_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(ImportRefusedError, match="no feature file"):
        Given([folder / "empty"])
    monkeypatch.setattr(room, "MOST", 2)
    with pytest.raises(ImportRefusedError, match="3 feature files"):
        Given([folder])
