"""Tables: a row a picture, in CSV, TSV or Parquet, by path or with its bytes.

Columns are told by their names (`path`, `label`, `class`, `split` and the like). Of a folder of
Parquet files, as the Hugging Face hub has them, a file's name says the split.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path

from featcache.datasets.checks import read_text, safe_id
from featcache.datasets.dataset import Dataset
from featcache.datasets.kinds._arranged import (
    Listed,
    arranged,
    inner_folders,
    names_beside,
    split_in,
    split_of,
)
from featcache.datasets.kinds._arrow import is_parquet, listed
from featcache.datasets.kinds._columns import columns
from featcache.datasets.layouts._class_folders import Walk
from featcache.datasets.layouts._lists import placed, why
from featcache.datasets.remote import in_lists, is_url
from featcache.errors import DatasetError

TEXTS = (".csv", ".tsv")


def found(path: Path) -> bool:
    """Whether it is a table, or a folder with tables of Parquet and no folders of its own."""
    if path.is_file():
        return path.suffix.lower() in TEXTS or is_parquet(path)
    files = _parquets(path)
    return bool(files) and (files[0].parent != path or not inner_folders(path))


def read(path: Path, *, name: str, walk: Walk) -> Dataset:
    """Read a table, or the tables in a folder or its `data/`; paths lie below the table's folder.

    Pictures may lie in one of the folders there too, where none is where the table says. Raises
    DatasetError for a table that cannot be read or whose columns are not known, for paths that
    lead elsewhere, and for what `arranged` refuses.
    """
    files = _parquets(path) if path.is_dir() else [path]
    if not files:
        raise DatasetError(f"{path} holds no tables of Parquet; give the table itself.")
    top = files[0].parent
    rows: list[Listed] = []
    names: tuple[str, ...] = ()
    for file in files:
        if file.suffix.lower() in TEXTS:
            rows += _of_text(file)
        else:
            more, names = listed(file, top, split_in(file.stem) if path.is_dir() else "")
            rows += more
    rows = _placed(top, rows, walk.follow_links)
    return arranged(name, path, rows, names or names_beside(top))


def _parquets(folder: Path) -> list[Path]:
    for inner in (folder, folder / "data"):
        if files := sorted(path for path in inner.glob("*.p*q*") if is_parquet(path)):
            return files
    return []


def _of_text(file: Path) -> list[Listed]:
    try:
        text = read_text(file)
        head = text.partition("\n")[0]
        table = csv.reader(StringIO(text, newline=""), delimiter=max(",;\t", key=head.count))
        header = next(table, [])
        of = columns(header, str(file))
        place = {column: header.index(column) for column in header}
        rows = []
        for cells in table:
            where = f"{file} line {table.line_num}"
            if not cells:
                continue
            if len(cells) != len(header):
                raise DatasetError(
                    f"{where} has {len(cells)} cells where the first line has {len(header)}; "
                    "put what holds the separator in quotation marks."
                )
            label, classname, split = (
                cells[place[column]].strip() if column else ""
                for column in (of.label, of.classname, of.split)
            )
            path = cells[place[of.picture]].strip()
            if not is_url(path):
                path = safe_id(path, where)
            rows.append(
                Listed(where, path, file.parent / path, label, classname, split_of(split, where))
            )
    except (OSError, ValueError, csv.Error) as error:
        raise DatasetError(f"cannot read {file} ({why(error)}); write it as UTF-8.") from None
    return rows


def _placed(top: Path, rows: Sequence[Listed], follow_links: bool) -> list[Listed]:
    """The rows with the files that they name, or with what they name in a store."""
    if not any(isinstance(row.source, Path) for row in rows):
        return list(rows)
    if urls := [row.id for row in rows if is_url(row.id)]:
        if mixed := [row for row in rows if not is_url(row.id)]:
            raise DatasetError(
                f"{mixed[0].where} has a path where others have urls; give one kind."
            )
        stored = in_lists(urls, str(top))
        return [replace(r, id=stored[r.id][0], source=stored[r.id][1]) for r in rows]
    found = placed(top, [row.id for row in rows], follow_links)
    return [replace(row, id=i, source=file) for row, (i, file) in zip(rows, found, strict=True)]
