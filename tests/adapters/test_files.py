"""Files that are replaced in one step."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from adapters.files import beside, replace
from featcache.errors import CacheError


def test_a_file_is_there_with_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "a.txt"
    replace(path, "é")
    assert path.read_text(encoding="utf-8") == "é"
    replace(path, b"again")
    assert path.read_bytes() == b"again"
    assert [each.name for each in path.parent.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), ValueError()])
def test_what_is_cut_short_leaves_what_was_there(tmp_path: Path, error: Exception) -> None:
    path = tmp_path / "a.json"
    path.write_text("before")
    with pytest.raises((CacheError, ValueError)) as told, beside(path) as draft:  # noqa: PT012
        assert (draft.parent, draft.suffix) == (tmp_path, ".json")  # some writers go by the suffix
        draft.write_text("half")
        raise error
    assert path.read_text() == "before"
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]
    if isinstance(error, OSError):
        assert str(told.value).startswith(f"cannot write {path}: No space left on device; ")


def test_a_folder_that_is_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    with pytest.raises(CacheError, match="cannot write"):
        replace(tmp_path / "a" / "b", "x")
