"""Files below a folder, and where those that are not in their place lie instead."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from featcache.datasets.searching import files_below, search
from tests.featcache.datasets.ponds import touch

IDS = [f"{folder}/{name}.jpg" for folder in ("a", "b/c") for name in ("1", "2", "x")]
PATHS = st.sampled_from([*(f"{p}{i}" for p in ("", "in/", "in/in/", "IN/") for i in IDS), "y.jpg"])


def test_files_are_found_once_and_rings_end(tmp_path: Path) -> None:
    touch(tmp_path / "one", "a/1.jpg", "a/.hidden/2.jpg", ".3.jpg", "b.txt")
    decomposed = unicodedata.normalize("NFD", "\u00e9.jpg")
    touch(tmp_path / "two", decomposed)
    (tmp_path / "one/a/ring").symlink_to(tmp_path / "one")
    (tmp_path / "one/linked").symlink_to(tmp_path / "two")
    (tmp_path / "one/broken").symlink_to("nowhere")
    found = files_below(tmp_path / "one")
    assert set(found) == {"a/1.jpg", "b.txt", "linked/\u00e9.jpg"}
    assert all(path.is_file() for path in found.values())
    assert files_below(tmp_path / "nowhere") == {}


@given(st.lists(st.sampled_from(IDS), unique=True), st.sets(PATHS))
def test_each_wanted_file_is_told_once_and_is_where_it_is_said(
    ids: list[str], candidates: set[str]
) -> None:
    wanted = [f"in/{id_}" for id_ in ids if f"in/{id_}" not in candidates]
    found = search(wanted, "in", candidates)
    moved = [pair for pairs in found.moved.values() for pair in pairs]
    told = [*found.gone, *(path for path, _ in (*moved, *found.cased, *found.astray))]
    assert sorted(told) == sorted(wanted)
    assert found.found <= candidates
    for below, pairs in found.moved.items():
        for path, there in pairs:
            assert there == path.removeprefix("in/") if below == "." else f"{below}/{path[3:]}"
    for path, there in found.cased:
        assert path != there
        assert path.casefold() == there.casefold()
    for path in found.gone:
        assert not any(f"/{c}".endswith(f"/{path[3:]}") for c in candidates)


def test_kinds_of_places() -> None:
    there = ["in/in/a/1.jpg", "in/A/2.JPG", "z/3.jpg", "y/4.jpg", "z/4.jpg"]
    wanted = ["in/a/1.jpg", "in/a/2.jpg", "in/a/3.jpg", "in/a/4.jpg"]
    found = search(wanted, "in", there)
    assert found.moved == {"in/in": [("in/a/1.jpg", "in/in/a/1.jpg")]}
    assert found.cased == [("in/a/2.jpg", "in/A/2.JPG")]
    assert found.astray == [("in/a/3.jpg", "z/3.jpg")]
    assert found.gone == ["in/a/4.jpg"]
    assert search(["a/1.jpg"], ".", ["more/a/1.jpg"]).moved == {
        "more": [("a/1.jpg", "more/a/1.jpg")]
    }
