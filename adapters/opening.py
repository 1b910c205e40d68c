"""Opening results files: whose they are, and reading those that may not be written."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from featcache.errors import CacheError

OWN = {"run", "dataset"}  # columns that every version of the table has


@contextmanager
def for_reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection to a results file that changes nothing, also where nothing may be changed.

    Raises `sqlite3.Error` where it cannot be read.
    """
    try:
        connection = _opened(path, "mode=rw" if _writable(path) else "mode=ro")
    except sqlite3.OperationalError as error:
        # A log can only be read beside the file where its folder may be written to.
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            raise
        with _unlogged(path) as connection:
            yield connection
        return
    with closing(connection):
        yield connection


def check_own(path: Path, connection: sqlite3.Connection) -> None:
    """Raise `CacheError` where an SQLite file is another program's."""
    found = connection.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")
    names = sorted(str(name) for (name,) in found)
    if names and not {*table_of(connection)} >= OWN:
        raise CacheError(
            f"{path} is no results file but another program's (it holds {', '.join(names[:6])}); "
            "name another with --results."
        )


def table_of(connection: sqlite3.Connection) -> list[str]:
    """Columns of the table of runs; none where there is no such table."""
    return [str(row[1]) for row in connection.execute("PRAGMA table_info(runs)")]


def _writable(path: Path) -> bool:
    """Whether file and folder may be written; then the log's files are tidied up after reading."""
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def _opened(path: Path, how: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, timeout=60)
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


@contextmanager
def _unlogged(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection to a file whose log cannot be opened: to a copy where the log holds rows."""
    log = path.with_name(f"{path.name}-wal")
    if not log.exists() or not log.stat().st_size:
        with closing(_opened(path, "immutable=1")) as connection:
            yield connection
        return
    with TemporaryDirectory() as folder:
        for each in (path, log):
            shutil.copyfile(each, Path(folder) / each.name)
        with closing(_opened(Path(folder) / path.name, "mode=rw")) as connection:
            yield connection
