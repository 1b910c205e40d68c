"""Tables of Apache Arrow and Parquet: their columns, and pictures that lie in their cells.

`pyarrow` reads them (the extra `hf`); nothing here runs what a file holds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

from featcache.datasets.checks import safe_id
from featcache.datasets.kinds._arranged import Listed, split_of
from featcache.datasets.kinds._columns import columns
from featcache.datasets.layouts._lists import why
from featcache.datasets.stored import Held
from featcache.errors import DatasetError, PictureError

_LOCK = Lock()  # pictures are read in threads, a group of rows should be by one


@dataclass(frozen=True, slots=True)
class Cell:
    """The picture in a row of a group of rows of a table: its bytes, or a record that has them."""

    file: Path
    column: str
    group: int
    row: int

    def read(self) -> bytes:
        """The bytes; raises OSError or PictureError."""
        changed = self.file.stat().st_mtime_ns
        try:
            with _LOCK:
                value = _column(self.file, changed, self.column, self.group)[self.row].as_py()
        except OSError:
            raise
        except Exception as error:  # a file that was changed, or is damaged
            raise PictureError(f"cannot be had from {self.file.name} ({why(error)}).") from error
        content = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(content, bytes):
            raise PictureError(f"has no bytes in {self.file.name}.")
        return content

    def held(self) -> Held:
        """It with its bytes, for a process that would read the group of rows anew."""
        return Held(self.file, self.read())


@dataclass(frozen=True)
class Table:
    """A table in a file: columns, those of them that are text, and groups of rows.

    `group(i, columns)` are the rows of the i-th group, `names` class names by column.
    """

    file: Path
    columns: tuple[str, ...]
    texts: frozenset[str]
    groups: int
    group: Callable[[int, Sequence[str]], Any]
    names: dict[str, tuple[str, ...]]

    def rows(self, columns: Sequence[str]) -> Iterator[tuple[int, int, dict[str, Any]]]:
        """Each row's group, its number there, and its values in these columns.

        Raises DatasetError where they cannot be read.
        """
        for group in range(self.groups):
            try:
                values = self.group(group, columns).to_pylist()
            except Exception as error:
                raise _unread(self.file, error) from None
            for row, value in enumerate(values):
                yield group, row, value


def listed(file: Path, top: Path, split: str) -> tuple[list[Listed], tuple[str, ...]]:
    """The rows of a table below `top`, with its class names; a column of it may say the split.

    Raises DatasetError for a table that cannot be read, or lacks a column for pictures or classes.
    """
    table = open_table(file)
    found = columns(table.columns, str(file))
    by_path = found.picture in table.texts
    wanted = [c for c in (found.label, found.classname, found.split) if c]
    rows = []
    start = file.relative_to(top).with_suffix("").as_posix()
    cells = table.rows([*wanted, found.picture] if by_path else wanted)
    for number, (group, row, values) in enumerate(cells):
        where = f"{file} row {number}"
        source = Cell(file, found.picture, group, row)
        path = safe_id(values[found.picture], where) if by_path else f"{start}/{number:07d}"
        label, classname = (_text(values.get(c)) for c in (found.label, found.classname))
        own = split_of(_text(values[found.split]), where) if found.split else split
        rows.append(Listed(where, path, top / path if by_path else source, label, classname, own))
    _refuse_without_bytes(rows[:1])
    return rows, table.names.get(found.label, ())


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _refuse_without_bytes(first: Sequence[Listed]) -> None:
    for row in first:
        try:
            if isinstance(row.source, Cell):
                row.source.read()
        except (PictureError, OSError) as error:
            raise DatasetError(
                f"{row.where}: the picture {error} Where the table only names files that lie "
                "elsewhere, give the folder of these, or write the table with the pictures in it."
            ) from None


def is_parquet(path: Path) -> bool:
    """Whether a file's name says that it is a table of Parquet."""
    return path.suffix.lower() in (".parquet", ".pq")


def open_table(file: Path) -> Table:
    """Open a file of Parquet or Arrow. Raises DatasetError where it cannot be read."""
    try:
        return _opened(file, file.stat().st_mtime_ns)
    except DatasetError:
        raise
    except Exception as error:  # a damaged file makes pyarrow raise almost anything
        raise _unread(file, error) from None


def _unread(file: Path, error: Exception) -> DatasetError:
    return DatasetError(f"cannot read {file} ({why(error)}); write or fetch it again.")


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError:
        raise DatasetError(
            "tables of Parquet and Arrow are read by pyarrow; pip install 'featcache[hf]', or "
            "write the table as CSV."
        ) from None
    return pyarrow


@lru_cache(maxsize=64)
def _opened(file: Path, changed: int) -> Table:
    pa = _pyarrow()
    if is_parquet(file):
        from pyarrow import parquet

        held = parquet.ParquetFile(file)
        schema, groups = held.schema_arrow, held.num_row_groups

        def group(i: int, columns: Sequence[str]) -> Any:
            return held.read_row_group(i, columns=list(columns))

    else:
        mapped = pa.memory_map(str(file))
        with file.open("rb") as start:
            whole = start.read(6) == b"ARROW1"
        if whole:
            reader = pa.ipc.open_file(mapped)
            batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
        else:
            reader = pa.ipc.open_stream(mapped)
            batches = list(reader)
        schema, groups = reader.schema, len(batches)

        def group(i: int, columns: Sequence[str]) -> Any:
            return batches[i].select(list(columns))

    text = (pa.types.is_string, pa.types.is_large_string)
    texts = {field.name for field in schema if any(kind(field.type) for kind in text)}
    names = _names(schema.metadata or {})
    return Table(file, tuple(schema.names), frozenset(texts), groups, group, names)


@lru_cache(maxsize=2)
def _column(file: Path, changed: int, column: str, group: int) -> Any:
    return _opened(file, changed).group(group, [column]).column(0)


def _names(metadata: dict[bytes, bytes]) -> dict[str, tuple[str, ...]]:
    """Class names by column, as Hugging Face's `datasets` notes them in the schema."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        return {
            column: tuple(map(str, feature["names"]))
            for column, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
