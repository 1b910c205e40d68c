"""WebDataset shards: tar archives whose members of one name are a picture and its class.

Read in order, in one pass over the heads of the members; pictures stay where they are and are read
by their place in the archive. No package is needed.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from featcache.datasets.checks import few, safe_id
from featcache.datasets.dataset import Dataset
from featcache.datasets.kinds._arranged import (
    Listed,
    arranged,
    inner_folders,
    names_beside,
    split_called,
    split_in,
)
from featcache.datasets.kinds._columns import CLASS, LABEL
from featcache.datasets.layouts._class_folders import Walk
from featcache.datasets.layouts._lists import why
from featcache.datasets.stored import Part
from featcache.errors import DatasetError
from featcache.pictures.formats import suffixes

CLS, JSON = ("cls", "label", "class"), "json"
ENDS = (".tar", ".tar.gz", ".tgz")  # those that are compressed are refused with what to do
LARGEST = 2**28  # bytes of a picture
LARGEST_TEXT = 2**20
_RANGE = re.compile(r"(.*)\{(\d+)\.\.(\d+)\}(.*)")
Sample = dict[str, Part]  # by ending


def found(path: Path) -> bool:
    """Whether it is a shard, a pattern of shards such as `x-{000..009}.tar`, or holds shards."""
    if path.is_dir():
        inner = inner_folders(path)
        if not inner:  # beside class folders it is their archive
            return bool(_tars(path))
        return all(split_called(each.name) and _tars(each) for each in inner)
    return bool(_RANGE.fullmatch(path.name)) or (path.is_file() and path.name.endswith(ENDS))


def read(path: Path, *, name: str, walk: Walk) -> Dataset:
    """Read shards; their folder (`train/`) or a word of their names (`x-val-000.tar`) is the split.

    The class is `cls` (a number or a name) or in `json`; names of numbered classes stand in
    `classes.txt` beside the shards. Raises DatasetError for archives that are damaged, hold links
    or paths that lead elsewhere, for samples without class, and for what `arranged` refuses.
    """
    files = _shards(path)
    top = path if path.is_dir() else path.parent
    rows: list[Listed] = []
    without: Counter[str] = Counter()
    for file in files:
        shard = file.relative_to(top).with_suffix("").as_posix()
        split = split_called(file.parent.name) if file.parent != top else ""
        split = split or split_in(file.stem)
        for key, sample in _samples(file):
            where = f"{file}, {key}"
            picture = _picture(sample, where)
            if picture is None:
                without[", ".join(sorted(sample))] += 1
                continue
            label, classname = _class(sample, where)
            rows.append(Listed(where, f"{shard}/{key}", picture, label, classname, split))
    count = without.total()
    note = f"{path}: passed over {count} samples without a picture ({few(list(without))})."
    names = names_beside(top) or (names_beside(top.parent) if split_called(top.name) else ())
    return arranged(name, path, rows, names, (note,) * bool(count))


def _shards(path: Path) -> list[Path]:
    if path.is_dir():
        return _tars(path) or [file for inner in inner_folders(path) for file in _tars(inner)]
    match = _RANGE.fullmatch(path.name)
    if not match:
        return [path]
    before, first, last, after = match.groups()
    if int(last) - int(first) >= 10**6:
        raise DatasetError(f"{path} is a pattern of a million shards and more; give their folder.")
    numbers = (f"{n:0{len(first)}d}" for n in range(int(first), int(last) + 1))
    files = [path.with_name(f"{before}{number}{after}") for number in numbers]
    missing = [file.name for file in files if not file.is_file()]
    if missing or not files:
        told = few(missing) or "any"
        raise DatasetError(f"{path.parent} does not hold {told}; fetch them, or mend the pattern.")
    return files


def _tars(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.tar"))


def _samples(file: Path) -> Iterator[tuple[str, Sample]]:
    """Members in a row whose names are the same up to the first dot, by that name."""
    for key, members in groupby(_members(file), key=lambda member: member[0]):
        sample: Sample = {}
        for _, ending, part in members:
            if ending in sample:
                raise DatasetError(f"{file} has two members {key}.{ending} in a row; keep one.")
            sample[ending] = part
        yield key, sample


def _members(file: Path) -> Iterator[tuple[str, str, Part]]:
    try:
        size = file.stat().st_size
        with tarfile.open(file, "r:") as archive:
            for member in archive:
                archive.members = []  # type: ignore[attr-defined]  # it would keep all, and there may be millions
                if member.isdir():
                    continue
                id_ = safe_id(member.name, str(file))
                folder, _, last = id_.rpartition("/")
                if last.startswith("."):
                    continue
                if not member.isreg() or member.issparse():
                    raise DatasetError(
                        f"{file}: {id_} is a link, device or full of holes; pack the file itself."
                    )
                part = Part(file, member.offset_data, member.size)
                if part.offset + part.size > size:
                    raise DatasetError(f"{file} ends within {id_}; fetch it again.")
                key, _, ending = last.partition(".")
                yield f"{folder}/{key}" if folder else key, ending.lower(), part
    except (tarfile.TarError, OSError, ValueError, EOFError) as error:
        raise DatasetError(
            f"cannot read the shard {file} ({why(error)}); fetch it again, or unpack it first if "
            "it is compressed."
        ) from None


def _picture(sample: Sample, where: str) -> Part | None:
    pictures = [part for ending, part in sample.items() if f".{ending}" in suffixes()]
    if len(pictures) > 1:
        raise DatasetError(f"{where} has {len(pictures)} pictures; keep one.")
    if pictures and pictures[0].size > LARGEST:
        raise DatasetError(f"{where}: its picture has more than {LARGEST:,} bytes; leave it out.")
    return pictures[0] if pictures else None


def _class(sample: Sample, where: str) -> tuple[str, str]:
    """Number and name of the class, as far as they are there."""
    texts = [sample[ending] for ending in CLS if ending in sample]
    if texts:
        return _text(texts[0], where).strip(), ""
    held: object = {}
    if JSON in sample:
        try:
            held = json.loads(_text(sample[JSON], where))
        except (ValueError, RecursionError):
            raise DatasetError(f"{where}: its json cannot be read; write it again.") from None
    values = held if isinstance(held, dict) else {}
    label, name = (next((values[k] for k in keys if k in values), "") for keys in (LABEL, CLASS))
    if label == name == "":
        raise DatasetError(
            f"{where} has no class: neither {', '.join(CLS)} nor a json with {LABEL[0]} or "
            f"{CLASS[0]}, but {few(sorted(sample))}; add it."
        )
    return str(label), str(name)


def _text(part: Part, where: str) -> str:
    if part.size > LARGEST_TEXT:
        raise DatasetError(f"{where}: its class has more than {LARGEST_TEXT:,} bytes; mend it.")
    try:
        return part.read().decode()
    except UnicodeDecodeError:
        raise DatasetError(f"{where}: its class is no text of UTF-8; mend it.") from None
