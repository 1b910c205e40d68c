"""The results store: one SQLite file, one row a run, never twice."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featcache.errors import CacheError

if TYPE_CHECKING:
    import pandas

IDENTITY = (
    "entry", "task", "shots", "seed", "method", "settings", "policy", "bank", "views", "code",
)  # fmt: skip
COLUMNS = (
    "dataset", "backbone", "task", "method", "policy", "shots", "seed", "accuracy", "n_test",
    "fit_seconds", "predict_seconds", "transductive", "bank", "views", "entry", "fingerprint",
    "settings", "config", "val_score", "tried", "code", "versions", "time",
)  # fmt: skip


def run_id(row: Mapping[str, Any]) -> str:
    """What makes a run the same run: a hash of entry, draw, method, settings, policy and code."""
    identity = json.dumps([row[key] for key in IDENTITY], sort_keys=True)
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


class Results:
    """Rows in an SQLite file; safe for several writers on one host (write-ahead log)."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def add(self, row: Mapping[str, Any]) -> str:
        """Add a row, in place of an earlier one of the same run, and return its run id."""
        name = run_id(row)
        values = [name, *(_plain(row.get(column)) for column in COLUMNS)]
        marks = ", ".join("?" * len(values))
        with self._open() as connection:
            connection.execute(f"INSERT OR REPLACE INTO runs VALUES ({marks})", values)
        return name

    def __contains__(self, name: str) -> bool:
        with self._open() as connection:
            found = connection.execute("SELECT 1 FROM runs WHERE run = ?", [name]).fetchone()
        return found is not None

    def frame(self) -> pandas.DataFrame:
        """Every row as a pandas frame."""
        import pandas

        with self._open() as connection:
            return pandas.read_sql_query("SELECT * FROM runs ORDER BY rowid", connection)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        columns = ", ".join(COLUMNS)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.path, timeout=60)
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute(f"CREATE TABLE IF NOT EXISTS runs (run PRIMARY KEY, {columns})")
                with connection:
                    yield connection
            finally:
                connection.close()
        except (sqlite3.Error, OSError) as error:
            raise CacheError(f"the results file {self.path} cannot be used: {error}.") from error


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, sort_keys=True)
    return value
