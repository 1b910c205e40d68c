"""Two entries held against each other by hand."""

from __future__ import annotations

from pathlib import Path

from tests.entries import make_entry
from tests.featcache.store.made import made
from tests.featcache.store.test_difference import changed
from tests.typed import Type


def test_what_differs_is_said_in_few_lines(type_in: Type, tmp_path: Path) -> None:
    a, b = made(tmp_path / "cache"), made(tmp_path / "other")
    b = changed(b, "images-test-00000.h5", label=[1, 1, 0])
    answer = type_in(f"featcache diff numbers {b.folder}")
    assert answer.status == 0
    ones = "cosines min 1.000000, 1% 1.000000, 50% 1.000000, max 1.000000"
    assert answer.out.splitlines() == [
        f"A: {a.folder}",
        f"B: {b.folder}",
        f"train: 9 rows in both, {ones}",
        f"test: 3 rows in both, {ones}; 1 of another class, the first 'test/ä0': 'even' in A, "
        "'odd' in B",
        *(f"prompts {n}: 3 prompts in both, {ones}" for n in (*a.banks, *a.negative_banks)),
    ]
    found = type_in(f"featcache diff numbers {b.folder} --json")
    assert found.json["rows"]["test"]["relabelled"] == [["test/ä0", "even", "odd"]]
    assert (found.json["a"], found.json["manifest"]) == (str(a.folder), {})
    assert "Nothing differs." in type_in("featcache diff numbers numbers").out


def test_other_data_sets_differ_in_all(type_in: Type, tmp_path: Path) -> None:
    made(tmp_path / "cache")
    make_entry(tmp_path)
    out = type_in("featcache diff numbers animals").out
    assert 'dataset.name: "numbers" in A, "animals" in B' in out
    assert "classes: 2 only in A ('even', 'odd'); 3 only in B ('cat', 'dog', 'emu')" in out
    assert "test: 0 rows in both, none to be compared; 3 only in A" in out
    assert max(map(len, out.splitlines())) < 300
    assert type_in("featcache diff numbers nothing").err.startswith("error: unknown cache key")
