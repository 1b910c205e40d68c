"""Result rows: one a run, never twice, and none lost between writers."""

from __future__ import annotations

import multiprocessing
import sqlite3
from pathlib import Path
from typing import Any

import pandas
import pytest

from adapters.results import COLUMNS, Results, matching, read
from featcache.errors import CacheError, ConfigError, UnknownNameError

ROW: dict[str, Any] = {
    **dict.fromkeys(COLUMNS),
    "run": "0123",
    "method": "fma",
    "shots": 4,
    "seed": 1,
    "accuracy": 91.25,
    "settings": {"blocks": 2},
    "status": "done",
}
OLD = ("dataset", "method", "shots", "accuracy", "settings")  # columns of an earlier version


def test_a_row_comes_back(tmp_path: Path) -> None:
    results = Results(tmp_path / "deep" / "results.sqlite")
    assert results.add(ROW) == "0123"
    frame = results.frame()
    assert "0123" in results
    assert frame["run"].tolist() == ["0123"]
    assert frame["accuracy"].tolist() == [91.25]
    assert frame["settings"].tolist() == ['{"blocks": 2}']


def test_the_same_run_is_one_row(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.sqlite")
    results.add(ROW)
    results.add({**ROW, "accuracy": 92.0, "time": "later"})
    assert results.frame()["accuracy"].tolist() == [92.0]


def test_a_failed_run_is_not_done_and_never_displaces_a_done_one(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.sqlite")
    failed = {**ROW, "status": "failed", "reason": "no memory", "accuracy": None}
    results.add(failed)
    assert results.done(["0123", "4567"]) == set()
    results.add({**failed, "reason": "no disk"})
    assert results.frame()["reason"].tolist() == ["no disk"]
    results.add(ROW)
    results.add(failed)
    assert results.done(["0123", "4567"]) == {"0123"}
    assert results.frame()[["status", "accuracy"]].values.tolist() == [["done", 91.25]]


def test_a_batch_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.sqlite")
    with pytest.raises(CacheError):
        results.add_all([{**ROW, "run": "a"}, {**ROW, "run": "b", "shots": object()}])
    assert results.frame().empty


def test_a_file_of_an_earlier_version_gets_the_new_columns(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE TABLE runs (run PRIMARY KEY, {', '.join(OLD)}, extra)")
        connection.execute("INSERT INTO runs VALUES ('old', 'pets', 'gda', 2, 80.5, '{}', 'x')")
    results = Results(path)
    results.add(ROW)
    frame = results.frame().set_index("run")
    assert set(COLUMNS) <= set(frame)
    assert frame.loc["old", ["status", "accuracy", "extra"]].tolist() == ["done", 80.5, "x"]
    assert results.done(["old", "0123"]) == {"old", "0123"}


def _add_fifty(path: Path, first: int) -> None:
    for i in range(first, first + 50):
        Results(path).add({**ROW, "run": str(i), "seed": i})


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


def frame_of(tmp_path: Path) -> pandas.DataFrame:
    results = Results(tmp_path / "results.sqlite")
    rows = [
        {**ROW, "run": f"{m}{k}", "method": m, "shots": k} for m in ("fma", "gda") for k in (1, 2)
    ]
    results.add_all(rows)
    return results.frame()


def test_conditions_are_values_of_columns(tmp_path: Path) -> None:
    frame = frame_of(tmp_path)
    assert matching(frame, ["method=fma", "shots=1,2,4"])["run"].tolist() == ["fma1", "fma2"]
    assert len(matching(frame, [])) == 4
    with pytest.raises(UnknownNameError, match="method"):
        matching(frame, ["metod=fma"])
    with pytest.raises(ConfigError, match="column=value"):
        matching(frame, ["fma"])


def test_several_files_are_one_table(tmp_path: Path) -> None:
    """A run that failed on one machine and was done on another counts as done."""
    one, two = tmp_path / "one.sqlite", tmp_path / "two.sqlite"
    Results(one).add_all([{**ROW, "run": "a"}, {**ROW, "run": "b", "status": "failed"}])
    Results(two).add_all([{**ROW, "run": "b"}, {**ROW, "run": "c"}])
    assert read([one, two])["run"].tolist() == ["a", "b", "c"]
    assert read([one, two])["status"].unique().tolist() == ["done"]
    with pytest.raises(CacheError, match=r"three\.sqlite"):
        read([one, tmp_path / "three.sqlite"])
