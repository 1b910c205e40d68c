"""What differs between two entries: manifests, rows by their ids, embeddings by their cosines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from featcache.store import manifest, shard
from featcache.store.entry import EMBEDDING, Entry
from featcache.store.rows import path_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ALIKE = 0.999  # cosine below which two embeddings of a picture are told one by one
WORST = 10  # so many of them
CHUNK = 65536  # rows compared at a time
HEADER = ("format", "shards", "files")  # of a manifest, what is no property of the features


@dataclass(frozen=True)
class Cosines:
    """Cosines of embeddings that both have: how many, quantiles, those below 0.999, the worst.

    `quantiles` are `min`, `1%`, `50%` and `max`, or empty where nothing could be compared;
    `worst` are names and cosines, the least first, of those that are below.
    """

    common: int
    quantiles: dict[str, float]
    below: int
    worst: list[tuple[str, float]]


@dataclass(frozen=True)
class Rows:
    """A split: ids that only one has, ids of another class, ids that one could not read."""

    only_a: list[str]
    only_b: list[str]
    relabelled: list[tuple[str, str, str]]  # id, class in A, class in B
    unreadable: list[str]
    cosines: Cosines


@dataclass(frozen=True)
class Prompts:
    """A prompt bank: prompts (class: prompt) that only one has, cosines of the others."""

    only_a: list[str]
    only_b: list[str]
    cosines: Cosines


@dataclass(frozen=True)
class Difference:
    """All that differs: `manifest` has the two values by the path of keys that leads there."""

    manifest: dict[str, tuple[Any, Any]]
    classes_a: list[str]
    classes_b: list[str]
    rows: dict[str, Rows]
    prompts: dict[str, Prompts]

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        parts: list[Rows | Prompts] = [*self.rows.values(), *self.prompts.values()]
        lists = any(part.only_a or part.only_b for part in parts)
        rows = any(row.relabelled or row.unreadable for row in self.rows.values())
        apart = any(part.cosines.quantiles.get("min", 1) < 1 for part in parts)
        return not (self.manifest or lists or rows or apart)


@dataclass(frozen=True)
class _Split:
    """The rows of a split that are encoded, first come first of those that share an id."""

    place: dict[str, int]
    embedding: NDArray[Any]
    label: NDArray[np.int64]
    valid: NDArray[np.bool_]


def unlike(
    a: Mapping[str, Any], b: Mapping[str, Any], path: str = ""
) -> dict[str, tuple[Any, Any]]:
    """Where two objects of JSON differ: both values by the path of keys that leads there."""
    found: dict[str, tuple[Any, Any]] = {}
    for key in dict.fromkeys((*a, *b)):
        one, other = a.get(key), b.get(key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            found |= unlike(one, other, f"{path}{key}.")
        elif one != other:
            found[f"{path}{key}"] = (one, other)
    return found


def difference(a: Entry, b: Entry) -> Difference:
    """Compare two entries, of one cache or of two; rows that are not encoded yet are not there.

    Raises `CacheError` for shards that are missing or damaged.
    """
    return Difference(
        unlike(_plain(a), _plain(b)),
        [name for name in a.classnames if name not in set(b.classnames)],
        [name for name in b.classnames if name not in set(a.classnames)],
        {split: _rows(a, b, split) for split in dict.fromkeys((*a.splits, *b.splits))},
        {bank: _prompts(a, b, bank) for bank in _banks(a) if bank in _banks(b)},
    )


def _plain(entry: Entry) -> dict[str, Any]:
    """A manifest without its shards; of prompts the banks, of encoded rows how many."""
    held = {k: v for k, v in entry.manifest.items() if k not in HEADER}
    held["texts"] = _banks(entry)
    held["encoded"] = {split: entry.encoded(split) for split in entry.splits}
    return held


def _banks(entry: Entry) -> list[str]:
    return [*entry.banks, *entry.negative_banks]


def _rows(a: Entry, b: Entry, split: str) -> Rows:
    import numpy as np

    one, other = _read(a, split), _read(b, split)
    common = [id_ for id_ in one.place if id_ in other.place]
    at = [np.array([held.place[i] for i in common], np.int64) for held in (one, other)]
    classes = [
        _named(e, held.label[rows]) for e, held, rows in zip((a, b), (one, other), at, strict=True)
    ]
    alike = a.classnames == b.classnames
    # Two classes may have one name.
    moved = alike & (one.label[at[0]] != other.label[at[1]])
    pairs = zip(common, *classes, moved, strict=True)
    relabelled = [(id_, x, y) for id_, x, y, odd in pairs if x != y or odd]
    both = one.valid[at[0]] & other.valid[at[1]]
    apart = one.valid[at[0]] != other.valid[at[1]]
    unreadable = [id_ for id_, odd in zip(common, apart, strict=True) if odd]
    kept = [id_ for id_, ok in zip(common, both, strict=True) if ok]
    return Rows(
        [id_ for id_ in one.place if id_ not in other.place],
        [id_ for id_ in other.place if id_ not in one.place],
        relabelled,
        unreadable,
        _cosines(kept, one.embedding, other.embedding, at[0][both], at[1][both]),
    )


def _named(entry: Entry, labels: NDArray[np.int64]) -> list[str]:
    return [entry.classnames[label] for label in labels.tolist()]


def _read(entry: Entry, split: str) -> _Split:
    import numpy as np

    records = manifest.listed(entry.manifest, "images", split)
    parts = [
        shard.read(path_of(entry.folder, name, record), record=record)
        for name, record in records.items()
    ]
    if not parts:
        none = np.zeros(0, np.int64)
        return _Split({}, np.zeros((0, 0), np.float16), none, none.astype(bool))
    ids = [id_ for part in parts for id_ in shard.texts(part["id"])]
    place: dict[str, int] = {}
    for row, id_ in enumerate(ids):
        place.setdefault(id_, row)
    arrays = (np.concatenate([part[n] for part in parts]) for n in (EMBEDDING, "label", "valid"))
    return _Split(place, *arrays)


def _prompts(a: Entry, b: Entry, bank: str) -> Prompts:
    import numpy as np

    held = []
    for text in (a.text(bank), b.text(bank)):
        pairs = zip(text.classnames, text.prompts, strict=True)
        names = [f"{name}: {prompt}" for name, mine in pairs for prompt in mine]
        held.append(({n: i for i, n in enumerate(names)}, text.embedding[text.mask]))
    (one, x), (other, y) = held
    common = [name for name in one if name in other]
    at = [np.array([place[n] for n in common], np.int64) for place in (one, other)]
    return Prompts(
        [name for name in one if name not in other],
        [name for name in other if name not in one],
        _cosines(common, x, y, *at),
    )


def _cosines(
    names: Sequence[str],
    a: NDArray[Any],
    b: NDArray[Any],
    rows_a: NDArray[np.int64],
    rows_b: NDArray[np.int64],
) -> Cosines:
    """Cosines of rows of one array with rows of another; none where their widths differ."""
    import numpy as np

    if not names or a.shape[1:] != b.shape[1:]:
        return Cosines(len(names), {}, 0, [])
    found = np.concatenate(
        [
            cosine(a[rows_a[i : i + CHUNK]], b[rows_b[i : i + CHUNK]])
            for i in range(0, len(names), CHUNK)
        ]
    )
    values = np.quantile(found, (0, 0.01, 0.5, 1))
    order = np.argsort(found, kind="stable")[:WORST]
    return Cosines(
        len(names),
        dict(zip(("min", "1%", "50%", "max"), map(float, values), strict=True)),
        int((found < ALIKE).sum()),
        [(names[i], float(found[i])) for i in order.tolist() if found[i] < ALIKE],
    )


def cosine(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
    """Cosines `[n]` of the rows of `a [n, d]` with those of `b [n, d]`; of zeros 1 with zeros."""
    import numpy as np

    x, y = a.astype(np.float64), b.astype(np.float64)
    norms = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    both = np.where(norms > 0, (x * y).sum(1) / np.where(norms > 0, norms, 1), 0)
    return np.where((x == y).all(1), 1.0, np.clip(both, -1, 1))
