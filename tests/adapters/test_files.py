"""Files that are replaced in one step."""

from __future__ import annotations

import errno
from pathlib import Path

import pandas
import pytest

from adapters.files import beside, replace
from adapters.report.listing import write as listing
from adapters.report.parts import Table
from adapters.report.write import write_figure, write_table
from featcache.errors import CacheError
from tests.adapters.rows import row


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


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes half of what is written."""
    write = Path.write_bytes

    def half(self: Path, content: bytes) -> int:
        write(self, content[: len(content) // 2])
        raise FULL

    monkeypatch.setattr(Path, "write_bytes", half)


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("what", ["listing", "table", "figure.svg", "figure.png", "figure.pdf"])
def test_a_full_disk_leaves_no_half_written_file(tmp_path: Path, what: str) -> None:
    path = tmp_path / f"a{Path(what).suffix or '.csv'}"
    with pytest.raises(CacheError, match=r"cannot write .*: No space left on device; "):  # noqa: PT012
        if what == "listing":
            listing(pandas.DataFrame([row()]), path)
        elif what == "table":
            write_table(Table("t", "T", ["a"], [["b"]]), tmp_path)
        else:
            write_figure({"mark": "bar", "data": {"values": [{"x": 1}]}}, path)
    assert list(tmp_path.iterdir()) == []
