"""One entry of the cache as its readers see it: its features, and where each number came from.

    <root>/<dataset>/<backbone>/<id>/manifest.json + shards

The manifest alone says what exists; a file that it does not list is rubbish from a crash.
Everything here returns NumPy arrays and imports neither torch nor open_clip.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featcache.errors import (
    CacheError,
    DamagedShardError,
    FeatcacheError,
    MissingShardError,
    UnknownNameError,
)
from featcache.store import lacking, shard, support, towers
from featcache.store import manifest as manifests
from featcache.store.features import ImageFeatures, ProjectionWeights, TextFeatures
from featcache.store.files import damaged, missing, sha256, unreadable
from featcache.store.index import Index, index_of, large
from featcache.store.rows import column, everything, path_of, pick, pick_views
from featcache.store.shown import ShownEntry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Records = dict[str, dict[str, Any]]
POOL = "pool"
EMBEDDING, PRE_PROJECTION, PATCHES = "embedding", "pre-projection", "patches"
EXTRAS = (PRE_PROJECTION, PATCHES)  # what may be kept of a picture beside its embedding
NEGATIVE = "negative"  # the bank that says what is not in a picture
PROJECTION_SHARD = "projection.h5"
UNKNOWN = "unknown"  # fingerprint of a backbone whose features were imported


@dataclass(frozen=True, repr=False)
class Entry(ShownEntry):
    """One data set encoded with one backbone: a folder and its manifest."""

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def key(self) -> str:
        """`dataset/backbone/id`, the path below the cache root."""
        return "/".join(self.folder.parts[-3:])

    @property
    def root(self) -> Path:
        """The cache that it lies in."""
        return self.folder.parents[2]

    @property
    def dataset(self) -> str:
        """Name of the data set."""
        return str(self.manifest["dataset"]["name"])

    @property
    def backbone(self) -> str:
        """Canonical name of the backbone."""
        return str(self.manifest["backbone"]["name"])

    @property
    def side(self) -> int:
        """In a set of problems, how many pictures each side of one has; 0 in any other."""
        return int(self.manifest["dataset"].get("problems", 0))

    @property
    def classnames(self) -> tuple[str, ...]:
        """Class names in label order."""
        return tuple(self.manifest["dataset"]["classnames"])

    @property
    def class_ids(self) -> tuple[str, ...]:
        """What tells classes apart where names do not, in label order; empty if nothing is kept."""
        return tuple(self.manifest["dataset"].get("class_ids", ()))

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
        return tuple(name for name in self._texts if not is_negative(name))

    @property
    def negative_banks(self) -> tuple[str, ...]:
        """Names of the banks that say what is not in a picture, the one encoded last being last."""
        return tuple(name for name in self._texts if is_negative(name))

    @property
    def extras(self) -> tuple[str, ...]:
        """What is kept of pictures beside embeddings: `pre-projection`, `patches`."""
        return tuple(self.manifest.get("extras", {}))

    @property
    def draws(self) -> Mapping[str, Mapping[str, list[int]]] | None:
        """Rows of `train` and `val` by `K-seed`, of an entry that holds these draws alone."""
        found: Mapping[str, Mapping[str, list[int]]] | None = self.manifest.get("draws")
        return found

    @property
    def bad(self) -> int:
        """How many pictures could not be read."""
        return sum(record.get("bad", 0) for record in self.manifest["shards"].values())

    def encoded(self, split: str, extra: str | None = None) -> int:
        """How many rows of a split have been encoded, or have that extra feature."""
        return sum(r["stop"] - r["start"] for r in self._records(extra or "images", split).values())

    @property
    def complete(self) -> bool:
        """Whether every row of every split asked for so far is there, and a text bank.

        What was imported without text is complete without.
        """
        return (bool(self.banks) or self.textless) and not self.lacking()

    @property
    def textless(self) -> bool:
        """Whether it was imported without text, so that none is to come."""
        return self.manifest.get("source") == "imported" and not self.manifest["texts"]

    @property
    def supports(self) -> tuple[tuple[int, int], ...]:
        """Shots and seed of each support set that was imported as somebody had drawn it."""
        return support.sets(self.manifest)

    @property
    def updated(self) -> float:
        """When the manifest was last replaced, in seconds since the epoch."""
        return (self.folder / manifests.FILE).stat().st_mtime

    @property
    def bytes(self) -> int:
        """Size of all shards."""
        return sum(int(record["bytes"]) for record in self.manifest["shards"].values())

    def shards(self, kind: str, split: str) -> dict[str, dict[str, Any]]:
        """What is listed of the shards of a kind and split, by file name, in the order of rows."""
        return self._records(kind, split)

    def images(self, split: str, *, as_kept: bool = False) -> ImageFeatures:
        """The features of a split; with `as_kept` of the type that they have on disk.

        Raises `CacheError` where it is not there or not complete.
        """
        return everything(self.folder, self._complete(split), as_kept)

    def labels(self, split: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Label of each row of a split, and whether it could be read. Raises as `images`."""
        records = self._complete(split)
        return column(self.folder, records, "label"), column(self.folder, records, "valid")

    def ids(self, split: str) -> tuple[str, ...]:
        """The id of each row of a split. Raises as `images`."""
        return shard.texts(column(self.folder, self._complete(split), "id"))

    def index(self, split: str) -> Index | None:
        """What is known of each row, of a split too large to be read for some; made once.

        Raises as `images`.
        """
        records, wide = self._complete(split), self.manifest["backbone"].get("width", 0)
        return index_of(self.folder, split, records) if large(records, wide) else None

    def views(
        self, split: str, rows: NDArray[np.int64], extra: str | None = None
    ) -> NDArray[np.float32] | None:
        """Augmented views `[v, n, d]` of the given rows; None where none are cached.

        The centre crop is not among them: `images` has it. `extra` asks for that feature of the
        same views instead of the embedding, and gives None where it was not kept of them. Raises
        `CacheError` where only some of the rows have views, `UnknownNameError` for another extra.
        """
        _check_extra(extra)
        most = 0
        for name in reversed(self.manifest["view_sets"].get(split, {})):
            records = self._records("views", split, name)
            found, views = pick_views(self.folder, records, EMBEDDING, rows)
            if views is not None and extra is not None:
                return pick_views(self.folder, self._records(extra, split, name), extra, rows)[1]
            if views is not None:
                return views
            most = max(most, found)
        if most:
            raise CacheError(
                f"{self.key}: {len(rows) - most} of {len(rows)} drawn pictures have no cached "
                "views; encode with --views-for all, or fit with --views 0."
            )
        return None

    def extra(self, name: str, split: str, rows: NDArray[np.int64]) -> NDArray[Any] | None:
        """An extra feature of the centre crops of the given rows; None if the split lacks some.

        `pre-projection` is float32 `[n, p]`; `patches` stays float16 `[n, t, d]`, as it is large.
        Raises `UnknownNameError` for another name.
        """
        import numpy as np

        _check_extra(name)
        if self.encoded(split, name) != self.splits[split]:
            return None
        found = pick(self.folder, self._records(name, split), name, rows)
        return found if found is None or name == PATCHES else found.astype(np.float32)

    def support(
        self, shots: int, seed: int, split: str = "train"
    ) -> support.SupportFeatures | None:
        """The support set of that draw; of `val`, what was drawn to validate with it, or None.

        Raises `CacheError` where there is no such set: they are as they were drawn.
        """
        return support.read(self.folder, self.manifest, shots, seed, split)

    def projection(self) -> ProjectionWeights | None:
        """The map from pre-projection features to embeddings; None where it was not kept."""
        if PROJECTION_SHARD not in self.manifest["shards"]:
            return None
        return ProjectionWeights(**self._read(PROJECTION_SHARD))

    def text_tower(self) -> towers.TowerFiles | None:
        """The text tower of its backbone; None where the cache keeps none.

        Raises `CacheError` where it is damaged.
        """
        return towers.find(self.root, self.spoken_by)

    @property
    def spoken_by(self) -> str:
        """Fingerprint of the backbone that its texts are known to be of, or empty."""
        own = str(self.manifest["backbone"].get("fingerprint", UNKNOWN))
        return str(self.manifest.get("text_tower", "" if own == UNKNOWN else own))

    def text(self, bank: str | None = None) -> TextFeatures:
        """A prompt bank, by default the one encoded last that is not negative.

        Raises `UnknownNameError` where there is none of that name.
        """
        import numpy as np

        if self.textless:
            raise CacheError(
                f"{self.key} was imported without text; import it again with --text FILE, or take "
                "a method that needs none."
            )
        if not self.banks and bank is None:
            raise CacheError(f"{self.key} holds no prompts yet; run the same `featcache encode`.")
        name = bank or self.banks[-1]
        if name not in self._texts:
            hint = f"`featcache encode --prompts {name}` adds a bank."
            raise UnknownNameError("prompt bank", name, self._texts, hint)
        part = self._read(self._texts[name])
        counts = np.bincount(part["class"], minlength=len(self.classnames))  # [c]
        mask = np.arange(counts.max())[None] < counts[:, None]  # [c, p]
        embedding = np.zeros((*mask.shape, part["embedding"].shape[1]), np.float32)
        embedding[mask] = part["embedding"]
        prompts = shard.texts(part["prompt"])
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

    def check(self, name: str) -> None:
        """Raise `CacheError` where a listed shard is missing, damaged or not to be read."""
        record = self.manifest["shards"][name]
        path = path_of(self.folder, name, record)
        try:
            if sha256(path) != record["sha256"]:
                raise DamagedShardError(damaged(path, "SHA-256"))
        except FileNotFoundError:
            raise MissingShardError(missing(path)) from None
        except OSError as error:
            raise CacheError(unreadable(path, error)) from None

    def lost(self) -> list[str]:
        """The shards that are missing or have another size than is listed: a look, no reading."""
        found = []
        for name, record in self.manifest["shards"].items():
            try:
                path_of(self.folder, name, record)
            except (DamagedShardError, MissingShardError):
                found.append(name)
            except CacheError:
                continue  # the system does not say: that is no damage
        return found

    def problems(self) -> list[str]:
        """What is wrong with the entry: missing, changed or damaged shards, rows not yet there."""
        found = []
        for name in sorted(self.manifest["shards"]):
            try:
                self.check(name)
                self._read(name)
            except FeatcacheError as error:
                found.append(str(error))
        found += [*towers.problems(self.root, self.spoken_by), *self.lacking()]
        if not self.banks and not self.textless:
            found.append("no prompts are encoded; run the same `featcache encode` again.")
        return found

    def lacking(self) -> list[str]:
        """A sentence for each split, extra feature or bank that is not all there."""
        found = [*lacking.told(self.manifest)]
        if PRE_PROJECTION in self.extras and PROJECTION_SHARD not in self.manifest["shards"]:
            found.append("the projection is not there; run the same `featcache encode` again.")
        return found

    @property
    def _texts(self) -> dict[str, str]:
        """The shard of each prompt bank that is there; one taken off the list keeps its place."""
        listed = self.manifest["shards"]
        return {bank: name for bank, name in self.manifest["texts"].items() if name in listed}

    def _records(self, kind: str, split: str, view_set: str | None = None) -> Records:
        return manifests.listed(self.manifest, kind, split, view_set)

    def _complete(self, split: str) -> Records:
        """The records of a split's pictures, of which none is missing."""
        if split not in self.splits:
            raise UnknownNameError("split", split, self.splits)
        records, rows = self._records("images", split), self.splits[split]
        if (have := sum(each["stop"] - each["start"] for each in records.values())) != rows:
            raise CacheError(
                f"{self.key} holds {have} of {rows} rows of split {split!r}; run the same "
                "`featcache encode` again, it goes on where it stopped."
            )
        return records

    def _read(self, name: str) -> dict[str, NDArray[Any]]:
        record = self.manifest["shards"][name]
        return shard.read(path_of(self.folder, name, record), record=record)


def open_entry(folder: Path, header: Mapping[str, Any]) -> Entry:
    """The entry in that folder, or a new one without shards that carries `header`."""
    return Entry(folder, manifests.load_or(folder, manifests.begin(header)))


def reload(entry: Entry) -> Entry:
    """The entry as its manifest stands now."""
    return Entry(entry.folder, manifests.load_or(entry.folder, entry.manifest))


def is_negative(bank: str) -> bool:
    """Whether a bank's prompts say what is not in a picture: `negative`, or `negative-…`."""
    return bank == NEGATIVE or bank.startswith(f"{NEGATIVE}-")


def _check_extra(name: str | None) -> None:
    if name is not None and name not in EXTRAS:
        raise UnknownNameError("extra feature", name, EXTRAS)
