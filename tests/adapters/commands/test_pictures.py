"""Which pictures are meant by words on a command line."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from adapters.commands.pictures import asked
from featcache.errors import FeatcacheError

SUFFIXES = (".jfif", ".jpg", ".png")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("b.PNG", "a.jpg", "in/c.jfif", "in/notes.txt", "empty/x.txt", "odd [1].png"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["a.jpg"], ["a.jpg"]),
        (["in", "a.jpg"], ["in/c.jfif", "a.jpg"]),
        (["."], ["a.jpg", "b.PNG", "in/c.jfif", "odd [1].png"]),
        (["*.jpg", "*.PNG"], ["a.jpg", "b.PNG"]),
        (["**/*.jfif"], ["in/c.jfif"]),
        (["i*"], ["in/c.jfif"]),
        (["odd [1].png"], ["odd [1].png"]),  # a file, whatever else it could mean
        (
            ["in/notes.txt", "gone.png"],
            ["in/notes.txt", "gone.png"],
        ),  # to be said that they are none
        (["a.jpg", "a.jpg"], ["a.jpg", "a.jpg"]),
    ],
)
def test_words(folder: Path, words: list[str], found: list[str]) -> None:
    assert [str(path) for path in asked(words, SUFFIXES)] == found
    Path("list.txt").write_text("\n".join(["", *words, " "]), encoding="utf-8-sig")
    assert [str(path) for path in asked([], SUFFIXES, "list.txt")] == found
    assert [str(path) for path in asked(["a.jpg"], SUFFIXES, "list.txt")] == ["a.jpg", *found]


def test_a_list_may_be_standard_input(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("a.jpg\n\n in \n"))
    assert [str(path) for path in asked([], SUFFIXES, "-")] == ["a.jpg", "in/c.jfif"]


@pytest.mark.parametrize(
    ("words", "listed", "told"),
    [
        ([], None, "no pictures are given"),
        (["empty"], None, "the folder empty holds no pictures"),
        (["x*.png"], None, "nothing is called x"),
        ([], "gone.txt", "the list gone.txt cannot be read: No such file or directory."),
        ([], "empty", "the list empty cannot be read: Is a directory."),
        ([], "bad.txt", "the list bad.txt cannot be read: it is not UTF-8."),
        ([], "b.PNG", "no pictures are given"),
    ],
)
def test_what_means_nothing_is_said(
    folder: Path, words: list[str], listed: str | None, told: str
) -> None:
    Path("bad.txt").write_bytes(b"\xff")
    with pytest.raises(FeatcacheError) as error:
        asked(words, SUFFIXES, listed)
    assert str(error.value).startswith(told)
