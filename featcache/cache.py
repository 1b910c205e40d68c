"""The cache as its readers see it: entries, their features, and where each number came from.

    <root>/<dataset>/<backbone>/<id>/manifest.json + shards

The manifest alone says what exists; a file that it does not list is rubbish from a crash.
Everything here returns NumPy arrays and imports neither torch nor open_clip.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featcache import shards
from featcache.errors import CacheError, DamagedShardError, FeatcacheError, UnknownNameError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMAT = 1
POOL = "pool"
EMBEDDING, PRE_PROJECTION, PATCHES = "embedding", "pre-projection", "patches"
EXTRAS = (PRE_PROJECTION, PATCHES)  # what may be kept of a picture beside its embedding
NEGATIVE = "negative"
PROJECTION_SHARD = "projection.h5"


@dataclass(frozen=True)
class ImageFeatures:
    """One split, row i being item i of the data set.

    `embedding [n, d]` raw float32, `label [n]`, `id [n]`, `valid [n]` (false where the picture
    could not be read; its embedding is zero and `reason` says why).
    """

    embedding: NDArray[np.float32]
    label: NDArray[np.int64]
    id: tuple[str, ...]
    valid: NDArray[np.bool_]
    reason: tuple[str, ...]


@dataclass(frozen=True)
class TextFeatures:
    """One prompt bank: `embedding [c, p, d]` raw float32, `mask [c, p]`, and the prompts."""

    bank: str
    embedding: NDArray[np.float32]
    mask: NDArray[np.bool_]
    prompts: tuple[tuple[str, ...], ...]
    classnames: tuple[str, ...]


@dataclass(frozen=True)
class Projection:
    """The last map of the image tower: `weight [p, d]` and `bias [d]`, 0 where it has none.

    `pre_projection @ weight + bias` is the raw embedding.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]


@dataclass(frozen=True)
class Entry:
    """One data set encoded with one backbone: a folder and its manifest."""

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def key(self) -> str:
        """`dataset/backbone/id`, the path below the cache root."""
        return "/".join(self.folder.parts[-3:])

    @property
    def dataset(self) -> str:
        """Name of the data set."""
        return str(self.manifest["dataset"]["name"])

    @property
    def backbone(self) -> str:
        """Canonical name of the backbone."""
        return str(self.manifest["backbone"]["name"])

    @property
    def classnames(self) -> tuple[str, ...]:
        """Class names in label order."""
        return tuple(self.manifest["dataset"]["classnames"])

    @property
    def logit_scale(self) -> float:
        """The backbone's logit scale (100 for CLIP as released)."""
        return float(self.manifest["backbone"]["logit_scale"])

    @property
    def splits(self) -> dict[str, int]:
        """Rows of each split of the data set, encoded or not."""
        return {name: int(rows) for name, rows in self.manifest["dataset"]["splits"].items()}

    @property
    def banks(self) -> tuple[str, ...]:
        """Names of the prompt banks, the one encoded last being last; negative ones apart."""
        return tuple(name for name in self.manifest["texts"] if not is_negative(name))

    @property
    def negative_banks(self) -> tuple[str, ...]:
        """Names of the banks that say what is not in a picture, the one encoded last being last."""
        return tuple(name for name in self.manifest["texts"] if is_negative(name))

    @property
    def extras(self) -> tuple[str, ...]:
        """What is kept of pictures beside embeddings: `pre-projection`, `patches`."""
        return tuple(self.manifest.get("extras", {}))

    @property
    def bad(self) -> int:
        """How many pictures could not be read."""
        return sum(record.get("bad", 0) for record in self.manifest["shards"].values())

    def encoded(self, split: str, extra: str | None = None) -> int:
        """How many rows of a split have been encoded, or have that extra feature."""
        listed = self.manifest["shards"]
        names = self._names(extra or "images", split)
        return sum(listed[name]["stop"] - listed[name]["start"] for name in names)

    @property
    def complete(self) -> bool:
        """Whether every row of every split asked for so far is there, and a text bank."""
        return bool(self.banks) and not any(self._lacking())

    @property
    def updated(self) -> float:
        """When the manifest was last replaced, in seconds since the epoch."""
        return (self.folder / "manifest.json").stat().st_mtime

    @property
    def bytes(self) -> int:
        """Size of all shards."""
        return sum(int(record["bytes"]) for record in self.manifest["shards"].values())

    def images(self, split: str) -> ImageFeatures:
        """The features of a split.

        Raises `CacheError` where it is not there or not complete.
        """
        import numpy as np

        if split not in self.splits:
            raise UnknownNameError("split", split, self.splits)
        have, rows = self.encoded(split), self.splits[split]
        if have != rows:
            raise CacheError(
                f"{self.key} holds {have} of {rows} rows of split {split!r}; run the same "
                "`featcache encode` again, it goes on where it stopped."
            )
        parts = [self._read(name) for name in self._names("images", split)]
        return ImageFeatures(
            np.concatenate([p["embedding"] for p in parts]).astype(np.float32),
            np.concatenate([p["label"] for p in parts]),
            sum((shards.texts(p["id"]) for p in parts), ()),
            np.concatenate([p["valid"] for p in parts]),
            sum((shards.texts(p["reason"]) for p in parts), ()),
        )

    def views(
        self, split: str, rows: NDArray[np.int64], extra: str | None = None
    ) -> NDArray[np.float32] | None:
        """Views `[v, n, d]` of the given rows, view 0 the centre crop; None where none are cached.

        `extra` asks for that feature of the same views instead of the embedding. Raises
        `CacheError` where only some of the rows have views.
        """
        import numpy as np

        sets = self.manifest["view_sets"].get(split, {})
        most = 0
        for name in reversed(sets):
            found, views = self._gather(self._names("views", split, name), rows)
            if views is not None:
                if extra is None:
                    centre = self.images(split).embedding[rows]
                    return np.concatenate([centre[None], views])
                first = self.extra(extra, split, rows)
                rest = self._gather(self._names(extra, split, name), rows, extra)[1]
                return (
                    None if first is None or rest is None else np.concatenate([first[None], rest])
                )
            most = max(most, found)
        if most:
            raise CacheError(
                f"{self.key}: {len(rows) - most} of {len(rows)} drawn pictures have no cached "
                "views; encode with --views-for all, or fit with --views 0."
            )
        return None

    def extra(self, name: str, split: str, rows: NDArray[np.int64]) -> NDArray[Any] | None:
        """An extra feature of the given rows; None where the split does not have it whole.

        `pre-projection` is float32 `[n, p]`; `patches` stays float16 `[n, t, d]`, as it is large.
        Raises `UnknownNameError` for another name.
        """
        import numpy as np

        if name not in EXTRAS:
            raise UnknownNameError("extra feature", name, EXTRAS)
        if self.encoded(split, name) != self.splits[split]:
            return None
        found: NDArray[Any] | None = None
        for shard in self._names(name, split):
            record = self.manifest["shards"][shard]
            near = np.flatnonzero((rows >= record["start"]) & (rows < record["stop"]))
            if not len(near):
                continue
            inside = rows[near] - record["start"]
            places, back = np.unique(inside, return_inverse=True)
            # HDF5 picks rows one by one: many of them come faster with all the others.
            few = 4 * len(places) < record["stop"] - record["start"]
            held = shards.read(self._path(shard), name, places if few else ())[name]
            if found is None:
                dtype = held.dtype if name == PATCHES else np.float32
                found = np.empty((len(rows), *held.shape[1:]), dtype)
            found[near] = held[back if few else inside]
        return found

    def projection(self) -> Projection | None:
        """The map from pre-projection features to embeddings; None where it was not kept."""
        if PROJECTION_SHARD not in self.manifest["shards"]:
            return None
        return Projection(**self._read(PROJECTION_SHARD))

    def text(self, bank: str | None = None) -> TextFeatures:
        """A prompt bank, by default the one encoded last that is not negative.

        Raises `UnknownNameError` where there is none of that name.
        """
        import numpy as np

        if not self.banks and bank is None:
            raise CacheError(f"{self.key} holds no prompts yet; run the same `featcache encode`.")
        name = bank or self.banks[-1]
        if name not in self.manifest["texts"]:
            hint = f"`featcache encode --prompts {name}` adds a bank."
            raise UnknownNameError("prompt bank", name, self.manifest["texts"], hint)
        part = self._read(self.manifest["texts"][name])
        counts = np.bincount(part["class"], minlength=len(self.classnames))  # [c]
        mask = np.arange(counts.max())[None] < counts[:, None]  # [c, p]
        embedding = np.zeros((*mask.shape, part["embedding"].shape[1]), np.float32)
        embedding[mask] = part["embedding"]
        prompts = shards.texts(part["prompt"])
        ends = np.cumsum(counts)
        by_class = tuple(prompts[e - n : e] for e, n in zip(ends, counts, strict=True))
        return TextFeatures(name, embedding, mask, by_class, self.classnames)

    def bad_pictures(self) -> list[tuple[str, str]]:
        """Id and reason of every picture that could not be read."""
        found = []
        for name, record in self.manifest["shards"].items():
            if record.get("bad", 0):
                part = self._read(name)
                rows = zip(part["id"], part["reason"], part["valid"], strict=True)
                found += [(i.decode(), r.decode()) for i, r, valid in rows if not valid]
        return found

    def problems(self) -> list[str]:
        """What is wrong with the entry: missing, changed or damaged shards, rows not yet there."""
        found = []
        for name, record in sorted(self.manifest["shards"].items()):
            path = self.folder / name
            try:
                if path.is_file() and shards.sha256(path) != record["sha256"]:
                    raise DamagedShardError(f"{path} is not what the manifest lists (SHA-256).")
                shards.read(path)
            except FeatcacheError as error:
                found.append(str(error))
        found += self._lacking()
        if not self.banks:
            found.append("no prompts are encoded; run the same `featcache encode` again.")
        return found

    def _lacking(self) -> Iterator[str]:
        """A sentence for each split whose rows or extra features are not all there."""
        asked = [(split, None) for split in self.manifest["asked"]]
        for extra, splits in self.manifest.get("extras", {}).items():
            asked += [(split, extra) for split in splits]
        for split, extra in asked:
            have, rows = self.encoded(split, extra), self.splits[split]
            if have != rows:
                what = f" of {extra}" if extra else ""
                yield (
                    f"split {split!r} has {have} of {rows} rows{what}; "
                    "run the same `featcache encode` again."
                )

    def _names(self, kind: str, split: str, view_set: str | None = None) -> list[str]:
        return sorted(
            name
            for name, r in self.manifest["shards"].items()
            if (r["kind"], r.get("split"), r.get("set")) == (kind, split, view_set)
        )

    def _read(self, name: str) -> dict[str, NDArray[Any]]:
        return shards.read(self._path(name))

    def _path(self, name: str) -> Path:
        """Where a listed shard lies, which has the size that the manifest lists."""
        path = self.folder / name
        expected = self.manifest["shards"][name]["bytes"]
        if path.is_file() and path.stat().st_size != expected:
            raise DamagedShardError(
                f"{path} has {path.stat().st_size} bytes where the manifest lists {expected}; "
                "delete it and encode again to write it anew."
            )
        return path

    def _gather(
        self, names: list[str], rows: NDArray[np.int64], array: str = EMBEDDING
    ) -> tuple[int, NDArray[np.float32] | None]:
        """How many of the rows the named shards hold, and their views if they hold them all."""
        import numpy as np

        picked: list[NDArray[np.float16]] = []
        order: list[NDArray[np.int64]] = []
        for name in names:
            record = self.manifest["shards"][name]
            near = np.flatnonzero((rows >= record["start"]) & (rows < record["stop"]))
            if not len(near):
                continue
            held = shards.read(self.folder / name, "row")["row"]
            near = near[np.isin(rows[near], held)]
            places, back = np.unique(np.searchsorted(held, rows[near]), return_inverse=True)
            if len(places):
                part = shards.read(self.folder / name, array, places)[array]
                picked.append(part[back])  # [rows, v, d]
                order.append(near)
        found = sum(len(part) for part in picked)
        if found != len(rows):
            return found, None
        inverse = np.argsort(np.concatenate(order))
        views = np.concatenate(picked)[inverse].astype(np.float32)
        return found, views.transpose(1, 0, 2).copy()


class FeatureCache:
    """All entries below one root, by default `$FEATCACHE_HOME` or the platform's cache folder."""

    def __init__(self, root: Path | str | None = None) -> None:
        self.root = Path(root).expanduser() if root else default_root()

    def entries(self) -> list[Entry]:
        """Every entry with a readable manifest, the one updated last being last."""
        found = [_load(path.parent) for path in self.root.glob("*/*/*/manifest.json")]
        return sorted(found, key=lambda entry: (entry.updated, entry.key))

    def find(self, dataset: str | None = None, backbone: str | None = None) -> Entry:
        """The entry of that data set and backbone; of several the newest.

        Either may be left out; `dataset` may also be a full key. Raises `CacheError` or
        `UnknownNameError` saying what there is to choose from.
        """
        entries = self.entries()
        if not entries:
            raise CacheError(
                f"the cache {self.root} is empty; fill it with `featcache encode --dataset NAME`."
            )
        if dataset:
            known = {e.dataset for e in entries}
            entries = [e for e in entries if same_name(dataset, e.dataset) or dataset == e.key]
            if not entries:
                raise UnknownNameError("cached data set", dataset, known, "See `featcache ls`.")
        if backbone:
            known = {e.backbone for e in entries}
            entries = [e for e in entries if _is_backbone(backbone, e)]
            if not entries:
                raise UnknownNameError("cached backbone", backbone, known, "See `featcache ls`.")
        return entries[-1]

    def get(self, key: str) -> Entry:
        """The entry of a key (`dataset/backbone/id`), or of an unambiguous part of one.

        Raises `UnknownNameError`, or `CacheError` where several match.
        """
        entries = self.entries()
        exact = [e for e in entries if e.key == key]
        found = exact or [e for e in entries if key in e.key]
        if not found:
            raise UnknownNameError(
                "cache key", key, [e.key for e in entries], "See `featcache ls`."
            )
        if len(found) > 1:
            listed = ", ".join(e.key for e in found[:6])
            raise CacheError(f"{key!r} could be any of {listed}; give more of the key.")
        return found[0]


def is_negative(bank: str) -> bool:
    """Whether a bank's prompts say what is not in a picture: `negative`, or `negative-…`."""
    return bank == NEGATIVE or bank.startswith(f"{NEGATIVE}-")


def default_root() -> Path:
    """`$FEATCACHE_HOME`, or the platform's cache folder."""
    if home := os.environ.get("FEATCACHE_HOME"):
        return Path(home).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("featcache")


def same_name(asked: str, name: str) -> bool:
    """Whether two spellings of a data set's name mean the same: case, `-` and `_` do not count."""
    plain = [text.lower().replace("-", "").replace("_", "") for text in (asked, name)]
    return plain[0] == plain[1]


def _is_backbone(asked: str, entry: Entry) -> bool:
    """Whether a user's spelling means the entry's backbone; without a tag, any of its weights."""
    if asked in (entry.backbone, entry.folder.parts[-2]):
        return True
    spelt = [
        text.lower().replace("/", "-").replace(",", ":").replace("-quickgelu", "")
        for text in (asked, entry.backbone)
    ]
    return spelt[0] in (spelt[1], spelt[1].partition(":")[0])


def _load(folder: Path) -> Entry:
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DamagedShardError(
            f"{path} cannot be read ({error}); delete its folder and encode again."
        ) from None
    if manifest.get("format") != FORMAT:
        raise CacheError(
            f"{path} has format {manifest.get('format')}, this version reads {FORMAT}; "
            "encode again with this version, or use the one that wrote it."
        )
    return Entry(folder, manifest)


def open_entry(folder: Path, header: Mapping[str, Any]) -> Entry:
    """The entry in that folder, or a new one without shards that carries `header`."""
    if (folder / "manifest.json").is_file():
        return _load(folder)
    empty = {"format": FORMAT, "asked": [], "shards": {}, "view_sets": {}, "texts": {}}
    return Entry(folder, {**empty, **header})


@contextmanager
def amend(entry: Entry) -> Iterator[dict[str, Any]]:
    """The newest manifest, to be changed; it is replaced in one step when the block ends.

    A lock beside it keeps writers of the same entry, on this or another machine, from losing each
    other's lines.
    """
    from filelock import FileLock

    entry.folder.mkdir(parents=True, exist_ok=True)
    with FileLock(entry.folder / ".lock"):
        manifest = json.loads(json.dumps(open_entry(entry.folder, entry.manifest).manifest))
        yield manifest
        manifest["shards"] = dict(sorted(manifest["shards"].items()))
        text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
        shards.replace(entry.folder / "manifest.json", text.encode())


def reload(entry: Entry) -> Entry:
    """The entry as its manifest stands now."""
    return _load(entry.folder) if (entry.folder / "manifest.json").is_file() else entry


def put_text(
    entry: Entry, bank: str, embedding: NDArray[Any], prompts: Sequence[Sequence[str]]
) -> None:
    """Write one prompt bank, `embedding [p, d]` class by class, and list it as the newest."""
    import numpy as np

    classes = [c for c, mine in enumerate(prompts) for _ in mine]
    arrays: dict[str, NDArray[Any]] = {
        "class": np.array(classes, np.int64),
        "embedding": embedding.astype(np.float16),
        "prompt": shards.strings([prompt for mine in prompts for prompt in mine]),
    }
    name = text_name(bank, prompts)
    record = {"kind": "text", "bank": bank, **asdict(shards.write(entry.folder / name, arrays))}
    with amend(entry) as manifest:
        manifest["shards"][name] = record
        manifest["texts"].pop(bank, None)
        manifest["texts"][bank] = name


def put_projection(entry: Entry, projection: Projection) -> None:
    """Write the last map of the image tower and list it."""
    arrays = {"bias": projection.bias, "weight": projection.weight}
    written = shards.write(entry.folder / PROJECTION_SHARD, arrays)
    with amend(entry) as manifest:
        manifest["shards"][PROJECTION_SHARD] = {"kind": "projection", **asdict(written)}


def text_name(bank: str, prompts: Sequence[Sequence[str]]) -> str:
    """File name of a prompt bank's shard: it changes with the prompts."""
    digest = hashlib.sha256(json.dumps([list(mine) for mine in prompts]).encode()).hexdigest()
    return f"text-{bank}-{digest[:8]}.h5"
