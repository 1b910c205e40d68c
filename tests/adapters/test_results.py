"""Result rows: one a target of a run, never twice, and none lost between writers."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas
import pytest

from adapters.results import COLUMNS, Results, matching, read
from featcache.errors import CacheError, ConfigError, UnknownNameError
from tests.adapters.rows import ROW

OLD = ("dataset", "method", "shots", "accuracy", "settings")  # columns of an earlier version


def test_a_row_comes_back(tmp_path: Path) -> None:
    results = Results(tmp_path / "deep" / "er" / "results.sqlite")
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


HALVES = [{**ROW, "target": "base", "accuracy": 90.0}, {**ROW, "target": "new", "accuracy": 60.0}]
FAILED = {**ROW, "status": "failed", "reason": "no memory", "accuracy": None, "dataset": "pets"}


def seen(results: Results) -> list[list[Any]]:
    return results.frame()[["run", "target", "status", "accuracy"]].values.tolist()


def test_a_run_has_a_row_for_each_target(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.sqlite")
    assert results.add(*HALVES) == "0123"
    results.add(*({**half, "accuracy": half["accuracy"] + 1} for half in HALVES))
    assert seen(results) == [["0123", "base", "done", 91.0], ["0123", "new", "done", 61.0]]
    assert results.done(["0123"]) == {"0123"}
    with sqlite3.connect(results.path) as connection:
        key = connection.execute("SELECT name FROM pragma_table_info('runs') WHERE pk").fetchall()
    assert key == [("run",), ("target",)]


def test_a_row_without_a_target_is_of_its_data_set(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.sqlite")
    rows = [{**ROW, "run": str(i), "dataset": name} for i, name in enumerate(["pets", None])]
    results.add_all([*rows, {**ROW, "run": "2", "dataset": "pets", "target": "cars"}])
    assert results.frame()["target"].tolist() == ["pets", "", "cars"]


def test_a_failure_gives_way_to_the_rows_of_all_targets(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.sqlite")
    results.add(FAILED)
    results.add({**FAILED, "run": "other"})
    results.add(*HALVES)
    assert [row[:3] for row in seen(results)] == [
        ["other", "pets", "failed"], ["0123", "base", "done"], ["0123", "new", "done"],
    ]  # fmt: skip


@pytest.mark.parametrize("target", ["pets", "base", "new"])
def test_a_failure_never_displaces_a_target_that_is_done(tmp_path: Path, target: str) -> None:
    results = Results(tmp_path / "results.sqlite")
    results.add(*HALVES)
    results.add({**FAILED, "target": target})
    assert seen(results) == [["0123", "base", "done", 90.0], ["0123", "new", "done", 60.0]]


def test_a_done_row_gives_way_to_a_done_one_whatever_it_remarks(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.sqlite")
    for reason in (None, "trained alone", "as it was", None):
        results.add({**ROW, "reason": reason})
        assert results.frame()["reason"].tolist() == [reason]
    results.add({**FAILED, "reason": None, "target": ""})
    assert results.done(["0123"]) == {"0123"}


def test_a_row_counts_as_done_unless_it_says_otherwise(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.sqlite")
    results.add({key: value for key, value in ROW.items() if key != "status"})
    assert results.done(["0123"]) == {"0123"}


def test_lists_and_mappings_are_kept_as_json(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.sqlite")
    results.add({**ROW, "settings": {"b": 1, "a": [2]}, "extras": ("x", "y"), "config": "plain"})
    kept = results.frame().loc[0, ["settings", "extras", "config"]].tolist()
    assert kept == ['{"a": [2], "b": 1}', '["x", "y"]', "plain"]


def test_a_file_that_is_kept_open_is_written_row_by_row(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.sqlite")
    with results.kept_open():
        held = results._kept
        results.add(*HALVES)
        assert results._kept is held
        assert len(Results(results.path).frame()) == 2  # others see them at once
        with pytest.raises(CacheError):
            results.add({**ROW, "run": "b", "shots": object()})
        results.add({**ROW, "run": "c"})
    assert results._kept is None
    assert results.frame()["run"].tolist() == ["0123", "0123", "c"]
    with pytest.raises(RuntimeError, match="stopped"), results.kept_open():
        raise RuntimeError("stopped")
    assert results._kept is None


def test_readers_do_not_wait_for_a_writer(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.sqlite")
    results.add(ROW)
    with sqlite3.connect(results.path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


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


HALF = ("dataset", "accuracy", "new_accuracy", "harmonic_mean", "n_test", "predict_seconds", "note")


def test_a_file_with_both_halves_in_a_row_is_taken_over(tmp_path: Path) -> None:
    """Columns that nobody knows any more stay, and what was counted of the base half is not new."""
    path = tmp_path / "results.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE TABLE runs (run PRIMARY KEY, {', '.join(HALF)})")
        rows = [
            ("one", "pets", 80.0, None, None, 40, 0.5, "kept"),
            ("two", "pets", 90.0, 60.0, 72.0, 20, 0.25, "too"),
            ("three", None, 70.0, None, None, 10, 0.5, None),
        ]
        connection.executemany("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    columns = ["run", "target", "accuracy", "n_test", "predict_seconds", "harmonic_mean", "note"]
    for _ in range(2):  # once taken over, it is a file like any other
        frame = Results(path).frame()
        assert frame[columns].astype(object).where(
            frame[columns].notna(), None
        ).values.tolist() == [
            ["one", "pets", 80.0, 40, 0.5, None, "kept"],
            ["two", "base", 90.0, 20, 0.25, 72.0, "too"],
            ["three", "", 70.0, 10, 0.5, None, None],
            ["two", "new", 60.0, None, None, 72.0, "too"],
        ]
        assert list(frame) == ["run", *COLUMNS, "note"]
        assert set(frame["status"]) == {"done"}
    Results(path).add(*({**half, "run": "two"} for half in HALVES))
    assert sorted(row[:2] for row in seen(Results(path))) == [
        ["one", "pets"], ["three", ""], ["two", "base"], ["two", "new"],
    ]  # fmt: skip
    with sqlite3.connect(path) as connection:
        assert connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
        ).fetchall() == [("runs",)]


def test_the_failed_row_of_an_earlier_version_gives_way(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE runs (run PRIMARY KEY, dataset, new_accuracy, status)")
        connection.execute("INSERT INTO runs VALUES ('0123', 'pets', NULL, 'failed')")
    results = Results(path)
    assert results.done(["0123"]) == set()
    results.add(*HALVES)
    assert [row[:3] for row in seen(results)] == [["0123", "base", "done"], ["0123", "new", "done"]]


FIFTY = """
import json, sys
from adapters.results import Results
path, first, row = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
for i in range(first, first + 50):
    Results(path).add({**row, "run": str(i), "seed": i})
"""


def test_parallel_writers_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    command = [sys.executable, "-c", FIFTY, str(path)]
    root = Path(__file__).parents[2]
    writers = [
        subprocess.Popen([*command, str(50 * i), json.dumps(ROW)], cwd=root) for i in range(3)
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
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
    with pytest.raises(CacheError, match=r"no results file .*three\.sqlite; `adapters fit` and"):
        read([one, tmp_path / "three.sqlite"])


def test_both_targets_of_a_run_in_several_files_are_there_once(tmp_path: Path) -> None:
    one, two, none = (tmp_path / f"{name}.sqlite" for name in ("one", "two", "none"))
    Results(one).add(*HALVES)
    Results(two).add_all([*HALVES, {**FAILED, "run": "b"}])
    none.touch()
    assert Results(none).frame().empty
    found = read([none, one, two])
    assert found[["run", "target"]].values.tolist() == [
        ["0123", "base"], ["0123", "new"], ["b", "pets"],
    ]  # fmt: skip
    assert found.index.tolist() == [0, 1, 2]
    assert read([two], ["status=failed"])["run"].tolist() == ["b"]
    assert read([none]).empty
    assert list(read([none])) == ["run", *COLUMNS]


def test_reading_makes_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "results.sqlite"
    assert Results(path).done(["x"]) == set()
    assert list(Results(path).frame()) == ["run", *COLUMNS]
    Results(path).check_writable()
    assert not path.parent.exists()
    Results(path).add(ROW)
    before = path.read_bytes()
    assert len(Results(path).frame()) == 1
    Results(path).check_writable()
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == ["results.sqlite"]


def test_a_file_of_before_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE runs (run PRIMARY KEY, dataset, accuracy, new_accuracy)")
        connection.execute("INSERT INTO runs VALUES ('a', 'pets', 80, 60)")
    connection.close()
    before = path.read_bytes()
    assert Results(path).frame()["target"].tolist() == ["base", "new"]
    assert Results(path).done(["a"]) == {"a"}
    assert path.read_bytes() == before


FOREIGN = {
    "cookies, moz": "CREATE TABLE moz (a); CREATE TABLE cookies (b)",
    "runs": "CREATE TABLE runs (run_uuid, name)",  # of MLflow
    "v": "CREATE VIEW v AS SELECT 1",
}


@pytest.mark.parametrize("names", FOREIGN)
def test_a_file_of_another_program_is_left_alone(tmp_path: Path, names: str) -> None:
    path = tmp_path / "theirs.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(FOREIGN[names])
    before = path.read_bytes()
    results = Results(path)
    uses = [results.frame, lambda: results.add(ROW), results.check_writable, lambda: read([path])]
    for use in uses:
        with pytest.raises(CacheError) as error:
            use()
        assert str(error.value) == (
            f"{path} is no results file but another program's (it holds {names}); name another "
            "with --results."
        )
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["theirs.sqlite"]


@pytest.mark.parametrize("content", [b"", b"no database at all" * 99])
def test_what_is_no_database(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "results.sqlite"
    path.write_bytes(content)
    if not content:  # what SQLite makes of a file before anything is in it
        assert Results(path).frame().empty
        return
    for use in (Results(path).frame, Results(path).check_writable):
        with pytest.raises(CacheError, match=r"cannot be used: .*; mend that, or name another"):
            use()
    assert path.read_bytes() == content
