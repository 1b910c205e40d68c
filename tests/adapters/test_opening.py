"""Results files that may not be written are read, and their newest rows too."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from adapters import opening
from adapters.opening import check_own, for_reading, table_of
from adapters.results import Results
from featcache.errors import CacheError

ROW = {"run": "a", "dataset": "pets", "accuracy": 80.0}


def forbid_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a read-only folder, where a log is not opened; a superuser may write everywhere."""
    opened = opening._opened

    def refusing(path: Path, how: str) -> sqlite3.Connection:
        if how == "mode=ro":
            error = sqlite3.OperationalError("unable to open database file")
            error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN  # type: ignore[misc]
            raise error
        return opened(path, how)

    monkeypatch.setattr(opening, "_opened", refusing)
    monkeypatch.setattr(opening, "_writable", lambda path: False)


def test_a_connection_for_reading_writes_nothing(tmp_path: Path) -> None:
    Results(path := tmp_path / "a.sqlite").add(ROW)
    with for_reading(path) as connection:
        assert "dataset" in table_of(connection)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            connection.execute("DROP TABLE runs")


@pytest.mark.parametrize("logged", [False, True])
def test_without_a_log_all_rows_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logged: bool
) -> None:
    """Rows that stand in the log alone count too, as a writer that was killed leaves them."""
    results = Results(tmp_path / "a.sqlite")
    results.add(ROW)
    with results.kept_open():
        if logged:
            results.add({**ROW, "run": "b"})
        found = [path.name for path in tmp_path.iterdir()]
        for name in found:  # the files as they lie while a writer has them open
            (tmp_path / "copy").mkdir(exist_ok=True)
            (tmp_path / "copy" / name).write_bytes((tmp_path / name).read_bytes())
    (tmp_path / "copy" / "a.sqlite-shm").unlink(missing_ok=True)
    before = {p.name: p.read_bytes() for p in (tmp_path / "copy").iterdir()}
    forbid_logs(monkeypatch)
    frame = Results(tmp_path / "copy" / "a.sqlite").frame()
    assert frame["run"].tolist() == (["a", "b"] if logged else ["a"])
    assert {p.name: p.read_bytes() for p in (tmp_path / "copy").iterdir()} == before


@pytest.mark.skipif(os.geteuid() == 0, reason="a superuser may write everywhere")
def test_a_read_only_folder(tmp_path: Path) -> None:
    results = Results(tmp_path / "in" / "a.sqlite")
    results.add(ROW)
    results.path.chmod(0o400)
    results.path.parent.chmod(0o500)
    try:
        assert results.frame()["run"].tolist() == ["a"]
        with pytest.raises(CacheError, match="name another with --results"):
            results.check_writable()
    finally:
        results.path.parent.chmod(0o700)


def test_other_errors_are_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.sqlite").write_bytes(b"no database at all" * 99)
    with (
        pytest.raises(sqlite3.DatabaseError, match="not a database"),
        for_reading(tmp_path / "a.sqlite"),
    ):
        pass


def test_an_empty_file_is_ones_own(tmp_path: Path) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        check_own(tmp_path, connection)
        connection.execute("CREATE TABLE runs (run, dataset)")
        check_own(tmp_path, connection)
