"""Class names in every form that people have them in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from featcache.errors import ImportRefusedError
from featcache.interchange import class_list


@pytest.mark.parametrize(
    "content",
    [
        ["cat", "dog"],
        {"dog": 1, "cat": 0},
        {"1": "dog", "0": "cat"},
        {"train": [["a.jpg", 1, "dog"], ["b.jpg", 1, "dog"]], "test": [["c.jpg", 0, "cat"]]},
    ],
)
def test_json(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "names.json"
    path.write_text(json.dumps(content))
    assert class_list.read(path) == ("cat", "dog")


def test_lines(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text("\ufeffcat\n\n a long name \r\n", encoding="utf-8")
    assert class_list.read(path) == ("cat", "a long name")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"cat": 0, "dog": 2}, "do not run from 0 to 1"),
        ({"train": [["a.jpg", 0, "cat"], ["b.jpg", 0, "dog"]]}, "do not run from 0 to 1"),
        ([1, 2], "is no list of class names"),
        ([], "names no class"),
        ({"a": "b"}, "is no list of class names"),
        (3, "is no list of class names"),
    ],
)
def test_other_json_is_refused(tmp_path: Path, content: Any, words: str) -> None:
    path = tmp_path / "names.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ImportRefusedError, match=words):
        class_list.read(path)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"{", b"[" * 100_000])
def test_what_is_no_text_is_refused(
    tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "names.json"
    with pytest.raises(ImportRefusedError, match="cannot be read"):
        class_list.read(path)
    path.write_bytes(content)
    with pytest.raises(ImportRefusedError, match="cannot be read"):
        class_list.read(path)
    monkeypatch.setattr(class_list, "LARGEST", 0)
    with pytest.raises(ImportRefusedError, match="over 0 bytes"):
        class_list.read(path)
