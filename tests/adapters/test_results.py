"""Result rows: one a run, never twice, and none lost between writers."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pytest

from adapters.results import COLUMNS, IDENTITY, Results, run_id
from featcache.errors import CacheError

ROW: dict[str, Any] = {
    **dict.fromkeys(COLUMNS, ""),
    "method": "fma",
    "shots": 4,
    "accuracy": 91.25,
    "settings": {"blocks": 2},
}


def test_a_row_comes_back(tmp_path: Path) -> None:
    results = Results(tmp_path / "deep" / "results.sqlite")
    name = results.add(ROW)
    frame = results.frame()
    assert name in results
    assert frame["run"].tolist() == [name]
    assert frame["accuracy"].tolist() == [91.25]
    assert frame["settings"].tolist() == ['{"blocks": 2}']


def test_the_same_run_is_one_row(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.sqlite")
    results.add(ROW)
    results.add({**ROW, "accuracy": 92.0, "time": "later"})
    assert results.frame()["accuracy"].tolist() == [92.0]


@pytest.mark.parametrize("key", IDENTITY)
def test_every_part_of_the_identity_makes_another_run(key: str) -> None:
    assert run_id(ROW) != run_id({**ROW, key: "other"})


def _add_fifty(path: Path, first: int) -> None:
    for i in range(first, first + 50):
        Results(path).add({**ROW, "seed": i})


def test_parallel_writers_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_add_fifty, args=(path, 50 * i)) for i in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(Results(path).frame()["seed"]) == list(range(150))


def test_a_file_that_is_no_database_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    path.write_text("no database, but long enough to be taken for one" * 20)
    with pytest.raises(CacheError, match=r"results\.sqlite"):
        Results(path).add(ROW)
