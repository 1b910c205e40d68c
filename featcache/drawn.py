"""Draws that a file lists: which pictures train and which validate, by their ids or paths.

What the file holds says which form it is, whatever it is called:

    {"train": {"data": [{"impath": …}, …]}, "val": …}   index files of cross_modal_adaptation
    {"train": [id, …], "val": [id, …]}, or a list       ids, or objects that have one
    {"about": {"support": [id, …]}}                     what a saved adapter was fitted on
    a line each of JSON                                 ids, or objects with an id and a split
    CSV with a head, or an id a line                    a column of ids, and one of splits

Pickles, such as CoOp's own, are refused: to open one is to run it.
"""

from __future__ import annotations

import csv
import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from featcache.datasets.checks import exists, few, is_plain, is_special
from featcache.draws import KINDS
from featcache.errors import ConfigError, EpisodeError, UnknownNameError

IDS = ("id", "impath", "path", "image", "file", "filename", "file_name", "filepath")
SPLIT = "split"
SPLITS = {
    **dict.fromkeys(("train", "training", "support", ""), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
}
PREFIX = "file:"
PICKLES = (".pkl", ".pickle", ".pt", ".pth", ".p")
MOST_BYTES = 1 << 30  # no list of pictures is as long


@dataclass(frozen=True)
class Drawn:
    """The pictures that a file names to train and to validate (none: it does not say), as written.

    `digest` are eight hex digits of the SHA-256 of its bytes.
    """

    name: str
    digest: str
    train: tuple[str, ...]
    val: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """What a row says of such a draw."""
        return f"{PREFIX}{self.name}@{self.digest}"


def read(path: Path) -> Drawn:
    """The draw that a file lists. Raises `ConfigError` where it cannot be read or lists none."""
    try:
        state = path.stat()
    except OSError as error:
        raise ConfigError(_unreadable(path, error)) from None
    return _read(path.absolute(), state.st_ino, state.st_size, state.st_mtime_ns)


def way(text: str) -> str:
    """A kind of draw, or the whole path of a file that lists one.

    Raises `UnknownNameError` where it is neither, and what `read` raises.
    """
    if text in KINDS:
        return text
    path = Path(text).expanduser()
    if not exists(path):
        raise UnknownNameError("draw", text, KINDS, "Or give a file that lists pictures.")
    read(path)
    return str(path.absolute())


@lru_cache(maxsize=32)
def _read(path: Path, *_: int) -> Drawn:
    """Kept while the file stays as it is, for every run of a sweep asks for it."""
    content = _content(path)
    try:
        text = content.decode("utf-8-sig")
        if "\0" in text:
            raise ValueError("it holds zero bytes")
    except ValueError as error:
        raise ConfigError(f"{path} is no text ({error}); give ids as JSON, CSV or lines.") from None
    train, val = _lists(text, path)
    if not train:
        raise ConfigError(f"{path} lists no training pictures; give at least one.")
    for id_ in (*train, *val):
        if not is_plain(id_):
            raise ConfigError(f"{path}: the id {id_!r} is not one line of text; write it so.")
    if twice := [id_ for id_, count in Counter((*train, *val)).items() if count > 1]:
        raise ConfigError(f"{path} lists {few(twice)} twice; keep each picture once.")
    digest = hashlib.sha256(content).hexdigest()[:8]
    return Drawn(path.name, digest, tuple(train), tuple(val))


def rows_listed(
    drawn: Drawn, train: Sequence[str], val: Sequence[str] | None, where: str
) -> tuple[list[int], list[int] | None]:
    """Rows that train and rows that validate, among the ids of a train list and of a val list.

    Without a val list (None) the latter are of the train list; they are None where the draw names
    no pictures to validate. Raises what `rows_of` raises.
    """
    if val is not None or not drawn.val:
        rows = rows_of(drawn.train, train, f"the train split of {where}")
        return rows, rows_of(
            drawn.val, val or (), f"the val split of {where}"
        ) if drawn.val else None
    rows = rows_of((*drawn.train, *drawn.val), train, f"the train split of {where}")
    return rows[: len(drawn.train)], rows[len(drawn.train) :]


def kept(
    draws: Mapping[str, Mapping[str, Sequence[int]]], asked: str, where: str
) -> tuple[Sequence[int], Sequence[int]]:
    """Rows to train and to validate of a draw, of an entry that holds some draws alone.

    Raises `EpisodeError` where that is none of them.
    """
    if asked not in draws:
        raise EpisodeError(
            f"{where} holds the pictures of some draws alone (shots-seed: {', '.join(draws)}), and "
            f"not of {asked}; take one of these, or an entry of all pictures."
        )
    return draws[asked]["train"], draws[asked]["val"]


def rows_of(wanted: Sequence[str], held: Sequence[str], where: str) -> list[int]:
    """The row of each picture wanted among the ids held, in the order wanted.

    An id counts as itself, or else as the end of a path: `data/2750/Forest/1.jpg` is
    `Forest/1.jpg`, and so the other way round, where that is the only one; of several that end it
    the longest. Raises `EpisodeError` where one is not there, or may be several.
    """
    rows: dict[str, int] = {}
    for row, id_ in enumerate(held):
        rows.setdefault(id_, row)
    known: dict[str, list[tuple[tuple[str, ...], int]]] = {}
    for id_, row in rows.items():
        parts = _parts(id_)
        known.setdefault(parts[-1] if parts else "", []).append((parts, row))
    found: list[int] = []
    missing, several = [], []
    for id_ in wanted:
        fits = [rows[id_]] if id_ in rows else _ends(_parts(id_), known)
        found += fits[:1]
        missing += [id_] if not fits else []
        several += [id_] if len(fits) > 1 else []
    for these, why in ((missing, "not there"), (several, "there under several paths")):
        if these:
            like = f"; ids there are such as {held[0]!r}" if held else ""
            raise EpisodeError(
                f"{len(these)} of {len(wanted)} pictures of the draw are {why} in {where}: "
                f"{few(these)}{like}. Draw from pictures that are there, by these ids."
            )
    if len(set(found)) < len(found):
        counts = Counter(found)
        same = [id_ for id_, row in zip(wanted, found, strict=True) if counts[row] > 1]
        raise EpisodeError(
            f"of the draw, {few(same)} are one picture of {where}; keep each picture once."
        )
    return found


def _ends(
    parts: tuple[str, ...], known: Mapping[str, Sequence[tuple[tuple[str, ...], int]]]
) -> list[int]:
    """The rows whose path ends this one, the longest alone; or those that this one ends."""
    near = known.get(parts[-1], ()) if parts else ()
    inside = [(len(own), row) for own, row in near if parts[-len(own) :] == own]
    if inside:
        longest = max(length for length, _ in inside)
        return [row for length, row in inside if length == longest]
    return [row for own, row in near if own[-len(parts) :] == parts]


def _parts(id_: str) -> tuple[str, ...]:
    path = unicodedata.normalize("NFC", id_).replace("\\", "/")
    return tuple(part for part in path.split("/") if part not in ("", "."))


def _content(path: Path) -> bytes:
    try:
        if is_special(path):
            raise OSError("it is a pipe, socket or device")
        if path.stat().st_size > MOST_BYTES:
            raise OSError("it is too large for a list of pictures")
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(_unreadable(path, error)) from None
    if path.suffix.lower() in PICKLES or content[:1] == b"\x80" or content[:2] == b"PK":
        raise ConfigError(
            f"{path} is a pickle, and to open one is to run it; CoOp's draws come out of --shots "
            "and --seed as they are, others give as ids in JSON, CSV or lines."
        )
    return content


def _unreadable(path: Path, error: OSError) -> str:
    return f"cannot read the draw {path} ({error.strerror or error}); check the path."


def _lists(text: str, path: Path) -> tuple[list[str], list[str]]:
    """The ids to train and to validate, by what the text looks like."""
    try:
        return _of_json(json.loads(text), path)
    except RecursionError:
        raise ConfigError(f"{path} is nested too deep; give ids.") from None
    except ValueError:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
    if lines and lines[0][0] in '{["':
        try:
            return _by_split([json.loads(line) for line in lines], path)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{path} is neither JSON nor lines of it ({error}).") from None
    return _by_split(_table(lines, path), path)


def _of_json(data: Any, path: Path) -> tuple[list[str], list[str]]:
    if isinstance(data, Mapping):
        about = data.get("about")
        support = about.get("support") if isinstance(about, Mapping) else data.get("support")
        train, val = data.get("train", support), data.get("val", ())
        if train is None:
            if IDS[0] in data or any(key in data for key in IDS):  # one line of JSON lines
                return _by_split([data], path)
            raise ConfigError(
                f"{path} has no train, which lists the pictures drawn; it has {few(list(data))}."
            )
        return [_id(each, path) for each in _data(train, path)], [
            _id(each, path) for each in _data(val or (), path)
        ]
    return _by_split(_data(data, path), path)


def _data(listed: Any, path: Path) -> Sequence[Any]:
    if isinstance(listed, Mapping) and "data" in listed:
        listed = listed["data"]
    if isinstance(listed, str) or not isinstance(listed, Sequence):
        raise ConfigError(f"{path}: {str(listed)[:60]!r} is no list of pictures; give one.")
    return listed


def _by_split(records: Iterable[Any], path: Path) -> tuple[list[str], list[str]]:
    found: dict[str, list[str]] = {"train": [], "val": []}
    for record in records:
        split = record.get(SPLIT, "") if isinstance(record, Mapping) else ""
        if not isinstance(split, str) or split.strip().lower() not in SPLITS:
            raise ConfigError(
                f"{path}: {split!r} is no split that is drawn from; list pictures of train and "
                "val alone."
            )
        found[SPLITS[split.strip().lower()]].append(_id(record, path))
    return found["train"], found["val"]


def _id(record: Any, path: Path) -> str:
    if isinstance(record, str):
        return record
    keys = [key for key in IDS if isinstance(record, Mapping) and isinstance(record.get(key), str)]
    if not keys:
        raise ConfigError(
            f"{path}: {str(record)[:60]!r} names no picture; give it as text, or under one of "
            f"{', '.join(IDS)}."
        )
    return str(record[keys[0]])


def _table(lines: Sequence[str], path: Path) -> Sequence[Any]:
    """The rows of a table whose head names its column of ids; without such a head an id a line."""
    head = lines[0] if lines else ""
    mark = max(",;\t", key=head.count)
    names = [name.strip().lower() for name in next(csv.reader([head], delimiter=mark), [])]
    if not any(name in IDS for name in names):
        return lines
    rows = list(csv.reader(lines[1:], delimiter=mark))
    if short := next((n for n, row in enumerate(rows, 2) if len(row) != len(names)), None):
        raise ConfigError(f"{path}: row {short} has not {len(names)} columns as the head has.")
    return [dict(zip(names, (cell.strip() for cell in row), strict=True)) for row in rows]
