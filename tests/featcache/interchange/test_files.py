"""Formats by suffix, and files that cannot be read."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featcache.errors import CacheError, ImportRefusedError
from featcache.interchange.files import by_suffix, load, save


def test_every_format_is_found_by_its_file() -> None:
    assert list(by_suffix()) == [".npy", ".npz", ".safetensors", ".pt", ".pth"]
    assert by_suffix()[".npz"].SUFFIXES == (".npz",)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".pt"])
def test_the_suffix_decides(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.b{suffix}"
    save(path, {"x": np.arange(3)}, {"names": ["a"]})
    assert load(path)["x"].tolist() == [0, 1, 2]
    assert load(path)["names"].tolist() == ["a"]


@pytest.mark.parametrize("name", ["a.pkl", "a", "a.txt", "a.NPZ"])
def test_other_suffixes_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(ImportRefusedError) as error:
        load(path)
    listed = ".npy and .npz and .safetensors and .pt and .pth"
    assert str(error.value) == f"{path}: only {listed} files are taken in."
    with pytest.raises(ImportRefusedError) as error:
        save(path, {}, {})
    endings = listed.replace("and", "or")
    assert str(error.value) == f"{path}: give a name that ends in {endings}."
    assert not path.exists()


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_files_that_cannot_be_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    with pytest.raises(ImportRefusedError) as error:
        load(path)
    assert str(error.value) == f"{path} does not exist."
    path.write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(ImportRefusedError) as error:
        load(path)
    with pytest.raises(Exception) as reason:  # noqa: PT011
        by_suffix()[f".{suffix}"].load(path)
    told = f"{path} cannot be read as {suffix} without pickles: {reason.value}."
    assert str(error.value) == told


def test_pickles_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "features.npz"
    np.savez(path, image_features=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ImportRefusedError, match="which only a pickle could keep"):
        load(path)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_a_full_disk_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    path = tmp_path / f"a{suffix}"
    save(path, {"x": np.arange(3)}, {})
    before = path.read_bytes()
    saving = by_suffix()[suffix].save

    def full(draft: Path, *what: Any) -> None:
        saving(draft, *what)
        draft.write_bytes(draft.read_bytes()[:9])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(by_suffix()[suffix], "save", full)
    with pytest.raises(CacheError, match=r"cannot write .*: No space left on device"):
        save(path, {"x": np.arange(99)}, {})
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    with pytest.raises(CacheError, match="cannot write"):
        save(path / "in" / path.name, {}, {})
