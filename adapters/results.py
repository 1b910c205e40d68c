"""The results store: one SQLite file, one row for each target of a run, never twice.

A row is `done`, or `failed` with a reason. The failed row of a run gives way to whatever comes
later; done rows give way to done ones only. Write-ahead logging makes one file safe for several
writers on one host; a file on a network disk is not for writers on several hosts. Reading changes
nothing, so that a file that may not be written can be read; how is in `adapters.opening`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.opening import check_own, for_reading, table_of
from featcache import notebook
from featcache.errors import CacheError, ConfigError, UnknownNameError

if TYPE_CHECKING:
    import pandas

COLUMNS = (
    "dataset", "backbone", "task", "target", "method", "policy", "shots", "seed", "accuracy",
    "n_test", "fit_seconds", "predict_seconds", "transductive", "bank", "views", "entry",
    "fingerprint", "data", "images", "features", "settings", "config", "val_score", "tried",
    "stacked", "code", "versions", "time", "harmonic_mean", "transfer", "extras", "status",
    "reason", "draw", "short_classes", "target_entry", "target_data",
    "strict_accuracy", "target_mean", "standard_error", "text", "device",
    "ece", "nll", "selective_80", "selective_90", "unknown_auroc", "temperature",
    "ece_calibrated", "nll_calibrated", "confidence", "fit_processor_seconds",
)  # fmt: skip
SHOWN = ("dataset", "backbone", "target", "method", "shots", "seed", "policy", "accuracy", "status")
NEWEST = 10  # rows that a notebook shows
_STATUS = 1 + COLUMNS.index("status")  # of a row's values, the run's id being the first
_ADD = (
    f"INSERT INTO runs (run, {', '.join(COLUMNS)}) SELECT {', '.join('?' * (1 + len(COLUMNS)))} "
    # Unless a failed row comes to a run that is done.
    "WHERE NOT EXISTS (SELECT 1 FROM runs WHERE run = ? AND ? <> status AND status = 'done') "
    f"ON CONFLICT DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in COLUMNS)}"
)


class Results:
    """Rows in an SQLite file; safe for several writers on one host (write-ahead log)."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._kept: sqlite3.Connection | None = None

    def __repr__(self) -> str:
        return notebook.line("Results", str(self.path), {"rows": self._rows()})

    def _repr_html_(self) -> str:
        with self._reading() as connection:
            newest = connection.execute(
                f"SELECT {', '.join(SHOWN)} FROM runs ORDER BY rowid DESC LIMIT {NEWEST}"
            ).fetchall()
        cells = [["" if value is None else value for value in row] for row in newest]
        return notebook.table(f"{self.path}: {self._rows()} rows, the newest first", SHOWN, cells)

    def _rows(self) -> int:
        with self._reading() as connection:
            return int(connection.execute("SELECT count(*) FROM runs").fetchone()[0])

    def add(self, *rows: Mapping[str, Any]) -> str:
        """Add the rows of one run, in place of earlier ones, and return its run id."""
        self.add_all(rows)
        return str(rows[0]["run"])

    def add_all(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add rows in one transaction: all of them or, where it is cut short, none."""
        whole = [
            {"status": "done", **row, "target": row.get("target") or row["dataset"] or ""}
            for row in rows
        ]
        with self._open() as connection:
            # A run fails as a whole, so that its failure has one row, whatever the targets are.
            connection.executemany(
                "DELETE FROM runs WHERE run = ? AND target <> ? AND status = 'failed'",
                [(row["run"], row["target"]) for row in whole if row["status"] == "done"],
            )
            values = [[row["run"], *(_plain(row.get(name)) for name in COLUMNS)] for row in whole]
            connection.executemany(_ADD, [[*each, each[0], each[_STATUS]] for each in values])

    def __contains__(self, run: str) -> bool:
        return run in self.done([run])

    def done(self, runs: Iterable[str], calibrated: bool = False) -> set[str]:
        """Those of the runs that are done, `calibrated` where that counts; a failed one is not."""
        more = " AND ece_calibrated IS NOT NULL" if calibrated else ""
        with self._reading() as connection:
            found = connection.execute(f"SELECT run FROM runs WHERE status = 'done'{more}")
            return {str(run) for (run,) in found} & set(runs)

    def frame(self) -> pandas.DataFrame:
        """Every row as a pandas frame, failed runs included (see the column `status`)."""
        import pandas

        with self._reading() as connection:
            return pandas.read_sql_query("SELECT * FROM runs ORDER BY rowid", connection)

    @contextmanager
    def kept_open(self) -> Iterator[None]:
        """Keep the file open for the block: to open and close it costs more than to write a row."""
        with closing(self._connect()) as self._kept:
            try:
                yield
            finally:
                self._kept = None

    def check_writable(self) -> None:
        """Raise `CacheError` now where rows could not be added later; nothing is made."""
        if self.path.exists():
            self._connect().close()

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A transaction."""
        with ExitStack() as ending:
            connection = self._kept or ending.enter_context(closing(self._connect()))
            with self._in_words(), connection:
                yield connection

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that only reads; of a file that is not there, one without rows."""
        with ExitStack() as ending:
            connection = self._kept
            with self._in_words():
                if connection is None and self.path.exists():
                    connection = ending.enter_context(for_reading(self.path))
                    check_own(self.path, connection)
                if connection is None or not _is_current(connection):
                    memory = ending.enter_context(closing(sqlite3.connect(":memory:")))
                    if connection is not None:
                        connection.backup(memory)
                    _prepare(connection := memory)
                yield connection

    def _connect(self) -> sqlite3.Connection:
        with self._in_words(), ExitStack() as failing:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.path, timeout=60)
            failing.callback(connection.close)
            check_own(self.path, connection)
            connection.execute("PRAGMA journal_mode = WAL")
            # With the log, a killed process loses nothing; only a power cut may take the last
            # commits.
            connection.execute("PRAGMA synchronous = NORMAL")
            _prepare(connection)
            failing.pop_all()
            return connection

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            reason = getattr(error, "strerror", None) or error
            raise CacheError(
                f"the results file {self.path} cannot be used: {reason}; mend that, or name "
                "another with --results."
            ) from error


def read(paths: Sequence[Path], where: Sequence[str] = ()) -> pandas.DataFrame:
    """The rows of several results files that fulfil every condition, each run's targets once.

    Of a run that failed in one file and was done in another, the done rows count. Raises
    `CacheError` where a file is missing, and what `matching` raises.
    """
    import pandas

    for path in paths:
        if not path.is_file():
            raise CacheError(
                f"there is no results file {path}; `adapters fit` and `adapters sweep` write one."
            )
    frames = [Results(path).frame() for path in paths]
    found = pandas.concat([f for f in frames if len(f)] or frames[:1], ignore_index=True)
    done = found["status"] == "done"
    found = found[done | ~found["run"].isin(found["run"][done])]
    return matching(found.drop_duplicates(["run", "target"]).reset_index(drop=True), where)


def matching(frame: pandas.DataFrame, where: Sequence[str]) -> pandas.DataFrame:
    """The rows that fulfil every condition `column=value[,value]`.

    Raises `ConfigError` for a condition that is none, `UnknownNameError` for its column.
    """
    for condition in where:
        column, equals, values = condition.partition("=")
        if not equals:
            raise ConfigError(f"--where takes column=value, got {condition!r}.")
        if column not in frame:
            raise UnknownNameError("column", column, map(str, frame.columns))
        frame = frame[frame[column].astype(str).isin(values.split(","))]
    return frame


def _prepare(connection: sqlite3.Connection) -> None:
    """Make the table, or bring that of an earlier version up to date."""
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        held = table_of(connection)
        if not held:
            _make(connection, COLUMNS)
            return
        for name in COLUMNS:
            # A target is part of the key, which no column becomes afterwards.
            if name not in held and name != "target":
                connection.execute(f"ALTER TABLE runs ADD COLUMN {name} {_default(name)}")
        if "target" not in held:
            _take_over(connection)


def _is_current(connection: sqlite3.Connection) -> bool:
    return {*COLUMNS} <= {*table_of(connection)}


def _make(connection: sqlite3.Connection, names: Iterable[str]) -> None:
    columns = ", ".join(f"{name} {_default(name)}" for name in names)
    connection.execute(f"CREATE TABLE runs (run, {columns}, PRIMARY KEY (run, target))")


def _take_over(connection: sqlite3.Connection) -> None:
    """The rows of a version that had one a run, with the new classes' accuracy as a column."""
    held = table_of(connection)
    kept = [name for name in held if name != "new_accuracy"]
    both = "new_accuracy" in held
    connection.execute("ALTER TABLE runs RENAME TO without_targets")
    _make(connection, [*COLUMNS, *(name for name in kept[1:] if name not in COLUMNS)])
    into = f"INSERT INTO runs ({', '.join(kept)}, target) SELECT"
    first = "iif(new_accuracy IS NULL, dataset, 'base')" if both else "dataset"
    order = "FROM without_targets {} ORDER BY rowid"
    connection.execute(f"{into} {', '.join(kept)}, coalesce({first}, '') {order.format('')}")
    if both:
        new = {"accuracy": "new_accuracy", "n_test": "NULL", "predict_seconds": "NULL"}
        halves = ", ".join(new.get(name, name) for name in kept)
        told = order.format("WHERE new_accuracy IS NOT NULL")
        connection.execute(f"{into} {halves}, 'new' {told}")
    connection.execute("DROP TABLE without_targets")


def _default(column: str) -> str:
    return "DEFAULT 'done'" if column == "status" else ""


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, sort_keys=True)
    return value
