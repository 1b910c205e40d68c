"""The results store: one SQLite file, one row a run, never twice.

A row is `done`, or `failed` with a reason. A failed row gives way to a later one of the same run;
a done row gives way to a done one only. Write-ahead logging makes one file safe for several
writers on one host; a file on a network disk is not for writers on several hosts.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featcache.errors import CacheError, ConfigError, UnknownNameError

if TYPE_CHECKING:
    import pandas

COLUMNS = (
    "dataset", "backbone", "task", "method", "policy", "shots", "seed", "accuracy", "n_test",
    "fit_seconds", "predict_seconds", "transductive", "bank", "views", "entry", "fingerprint",
    "settings", "config", "val_score", "tried", "stacked", "code", "versions", "time",
    "new_accuracy", "harmonic_mean", "transfer", "extras", "status", "reason",
)  # fmt: skip
ALWAYS = ("method", "shots", "seed")
ASKED = ("dataset", "backbone", "task", "policy", *ALWAYS, "settings", "bank", "views", "status")
FOUND = ("accuracy", "new_accuracy", "harmonic_mean", "reason")
FORMATS = ("table", "csv", "json", "latex", "markdown")
SUFFIXES = {".csv": "csv", ".json": "json", ".tex": "latex", ".md": "markdown"}


class Results:
    """Rows in an SQLite file; safe for several writers on one host (write-ahead log)."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._kept: sqlite3.Connection | None = None

    def add(self, row: Mapping[str, Any]) -> str:
        """Add a row, in place of an earlier one of the same run, and return its run id."""
        self.add_all([row])
        return str(row["run"])

    def add_all(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add rows in one transaction: all of them or, where it is cut short, none."""
        names = ", ".join(COLUMNS)
        marks = ", ".join("?" * (len(COLUMNS) + 1))
        updates = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS)
        statement = (
            f"INSERT INTO runs (run, {names}) VALUES ({marks}) "
            f"ON CONFLICT (run) DO UPDATE SET {updates} "
            "WHERE excluded.status = 'done' OR runs.status = 'failed'"
        )
        values = [
            [row["run"], *(_plain({"status": "done", **row}.get(name)) for name in COLUMNS)]
            for row in rows
        ]
        with self._open() as connection:
            connection.executemany(statement, values)

    def __contains__(self, run: str) -> bool:
        return run in self.done([run])

    def done(self, runs: Iterable[str]) -> set[str]:
        """Those of the runs that are done; a failed one is not."""
        with self._open() as connection:
            found = connection.execute("SELECT run FROM runs WHERE status = 'done'")
            return {str(run) for (run,) in found} & set(runs)

    def frame(self) -> pandas.DataFrame:
        """Every row as a pandas frame, failed runs included (see the column `status`)."""
        import pandas

        with self._open() as connection:
            return pandas.read_sql_query("SELECT * FROM runs ORDER BY rowid", connection)

    @contextmanager
    def kept_open(self) -> Iterator[None]:
        """Keep the file open for the block: to open and close it costs more than to write a row."""
        with closing(self._connect()) as self._kept:
            try:
                yield
            finally:
                self._kept = None

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A transaction."""
        held = nullcontext(self._kept) if self._kept else closing(self._connect())
        with held as connection, self._in_words(), connection:
            yield connection

    def _connect(self) -> sqlite3.Connection:
        with self._in_words():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.path, timeout=60)
            _prepare(connection)
            return connection

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise CacheError(f"the results file {self.path} cannot be used: {error}.") from error


def read(paths: Sequence[Path], where: Sequence[str] = ()) -> pandas.DataFrame:
    """The rows of several results files that fulfil every condition, each run once.

    Of a run that failed in one file and was done in another, the done row counts. Raises
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
    best = found.sort_values("status", kind="stable").drop_duplicates("run").index
    return matching(found.loc[best.sort_values()].reset_index(drop=True), where)


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


def brief(frame: pandas.DataFrame) -> pandas.DataFrame:
    """What people want to see of the rows: what was run and how well, less what is always the same.

    CSV, JSON and Parquet hold every column instead.
    """
    told = [name for name in ASKED if frame[name].nunique(dropna=False) > 1 or name in ALWAYS]
    return frame[[*told, *(name for name in FOUND if frame[name].notna().any())]]


def text(frame: pandas.DataFrame, form: str) -> str:
    """The frame as text: `csv`, `json` (a list of records), or in brief `latex` or `markdown`.

    Raises `UnknownNameError` for another form.
    """
    from adapters.report import markdown

    if form == "csv":
        return frame.to_csv(index=False)
    if form == "json":
        return str(frame.to_json(orient="records", indent=1)) + "\n"
    frame = brief(frame)
    if form == "latex":
        return str(frame.to_latex(index=False, escape=True, float_format="%.2f", na_rep=""))
    if form != "markdown":
        raise UnknownNameError("format", form, FORMATS)
    rows = [[cell(value) for value in row] for row in frame.itertuples(index=False)]
    return markdown([str(name) for name in frame.columns], rows) + "\n"


def cell(value: Any) -> str:
    """A value as it stands in a table for people."""
    if value is None or value != value:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def write(frame: pandas.DataFrame, path: Path) -> Path:
    """Write the frame; the suffix says how: .csv, .parquet, .json, .tex or .md.

    Raises `UnknownNameError` for another suffix.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        try:
            frame.to_parquet(path, index=False)
        except ImportError:
            raise ConfigError(
                "Parquet files need pyarrow; `pip install pyarrow`, or write .csv."
            ) from None
        return path
    if path.suffix not in SUFFIXES:
        raise UnknownNameError("kind of file", path.suffix, [*SUFFIXES, ".parquet"])
    path.write_text(text(frame, SUFFIXES[path.suffix]), encoding="utf-8")
    return path


def _prepare(connection: sqlite3.Connection) -> None:
    """Make the table, or add the columns that a file of an earlier version lacks."""
    connection.execute("PRAGMA journal_mode = WAL")
    # With the log, a killed process loses nothing; only a power cut may take the last commits.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        columns = ", ".join(f"{name} {_default(name)}" for name in COLUMNS)
        connection.execute(f"CREATE TABLE IF NOT EXISTS runs (run PRIMARY KEY, {columns})")
        held = {row[1] for row in connection.execute("PRAGMA table_info(runs)")}
        for name in COLUMNS:
            if name not in held:
                connection.execute(f"ALTER TABLE runs ADD COLUMN {name} {_default(name)}")


def _default(column: str) -> str:
    return "DEFAULT 'done'" if column == "status" else ""


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, sort_keys=True)
    return value
