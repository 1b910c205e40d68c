"""All entries below one root: which there are, and the one that a user means."""

from __future__ import annotations

import os
from pathlib import Path

from featcache import notebook
from featcache.errors import CacheError, UnknownNameError
from featcache.store import manifest
from featcache.store.entry import Entry
from featcache.store.sameness import data_id, differ

LISTED = 6  # keys that a refusal names


class FeatureCache:
    """All entries below one root, by default `$FEATCACHE_HOME` or the platform's cache folder."""

    def __init__(self, root: Path | str | None = None) -> None:
        self.root = _expanded(root) if root else default_root()

    def __repr__(self) -> str:
        return notebook.line("FeatureCache", str(self.root), {"entries": len(self.entries())})

    def _repr_html_(self) -> str:
        rows = [
            (e.dataset, e.backbone, len(e.classnames), notebook.several(e.splits))
            for e in self.entries()
        ]
        return notebook.table(str(self.root), ("dataset", "backbone", "classes", "pictures"), rows)

    def entries(self) -> list[Entry]:
        """Every entry with a readable manifest, the one updated last being last."""
        return self.look()[0]

    def look(self) -> tuple[list[Entry], dict[str, str]]:
        """The same, and by key what is wrong with each manifest that cannot be read.

        Raises what `folders` raises.
        """
        found, broken = [], {}
        for folder in self.folders():
            path = folder / manifest.FILE
            if not path.exists():
                continue
            try:
                entry = Entry(path.parent, manifest.load(path.parent))
                found.append((entry.updated, entry.key, entry))
            except FileNotFoundError:
                continue  # removed meanwhile
            except CacheError as error:
                broken["/".join(path.parts[-4:-1])] = str(error)
        return [entry for *_, entry in sorted(found, key=lambda each: each[:2])], broken

    def folders(self) -> list[Path]:
        """Folders of entries, also of such as have no manifest yet, in the order of paths.

        Raises `CacheError` where the root is no folder, or none that can be listed.
        """
        try:
            next(self.root.iterdir(), None)  # `glob` passes over in silence what it cannot list
        except FileNotFoundError:
            return []
        except OSError as error:
            raise CacheError(
                f"the cache {self.root} cannot be read ({error.strerror}); mend that, or name "
                "another folder with --cache or FEATCACHE_HOME."
            ) from None
        return sorted(path for path in self.root.glob("*/*/*") if path.is_dir())

    def find(self, dataset: str | None = None, backbone: str | None = None) -> Entry:
        """The entry of that data set and backbone; of several the newest.

        Either may be left out. `dataset` is a name, a key or a part of one with its `/`, or the
        short id that `featcache ls` shows beside a name. Raises `UnknownNameError`, or `CacheError`
        where entries of different data sets match, saying what there is to choose from.
        """
        entries, broken = self.look()
        _raise_if_broken(dataset or "", entries, broken)
        if not entries:
            raise CacheError(
                f"the cache {self.root} is empty; fill it with `featcache encode --dataset NAME`."
            )
        if dataset:
            known = {e.dataset for e in entries}
            entries = _meant(dataset, entries)
            if not entries:
                raise UnknownNameError("cached data set", dataset, known, "See `featcache ls`.")
        if backbone:
            known = {e.backbone for e in entries}
            entries = [e for e in entries if _is_backbone(backbone, e)]
            if not entries:
                raise UnknownNameError("cached backbone", backbone, known, "See `featcache ls`.")
        return _newest(dataset, entries) if dataset else entries[-1]

    def get(self, key: str) -> Entry:
        """The entry of a key (`dataset/backbone/id`), or of an unambiguous part of one.

        The short id of its data will do. Raises `UnknownNameError`, or `CacheError` where several
        match.
        """
        entries, broken = self.look()
        _raise_if_broken(key, entries, broken)
        exact = [e for e in entries if e.key == key]
        found = exact or [e for e in entries if key in e.key or key == data_id(e)]
        if not found:
            raise UnknownNameError(
                "cache key", key, [e.key for e in entries], "See `featcache ls`."
            )
        if len(found) > 1:
            listed = ", ".join(e.key for e in found[:LISTED])
            raise CacheError(f"{key!r} could be any of {listed}; give more of the key.")
        return found[0]


def _meant(asked: str, entries: list[Entry]) -> list[Entry]:
    """The entries that a user's word for a data set may mean; the closest spelling counts."""
    ways = (
        [e for e in entries if asked in (e.dataset, e.key)],
        [e for e in entries if same_name(asked, e.dataset)],
        [e for e in entries if "/" in asked and asked in e.key],
        [e for e in entries if asked in (data_id(e), f"{e.dataset} ({data_id(e)})")],
    )
    return next((found for found in ways if found), [])


def _newest(asked: str, entries: list[Entry]) -> Entry:
    """The newest that holds anything. Raises `CacheError` where they are of different data sets."""
    begun = [e for e in entries if e.supports or any(map(e.encoded, e.splits))] or entries
    if differ(begun):
        listed = ", ".join(f"{e.key} ({data_id(e)})" for e in begun[: -LISTED - 1 : -1])
        raise CacheError(
            f"{asked!r} could be any of several data sets, {listed}; give one of these keys in its "
            "place."
        )
    return begun[-1]


def _raise_if_broken(asked: str, entries: list[Entry], broken: dict[str, str]) -> None:
    """Raise `CacheError` where what is asked for can only be an entry whose manifest is damaged."""
    if any(asked in e.key or same_name(asked, e.dataset) for e in entries):
        return
    for key, problem in broken.items():
        if asked in key or same_name(asked, key.partition("/")[0]):
            raise CacheError(problem)


def default_root() -> Path:
    """`$FEATCACHE_HOME`, or the platform's cache folder."""
    if home := os.environ.get("FEATCACHE_HOME"):
        return _expanded(home)
    from platformdirs import user_cache_path

    return user_cache_path("featcache")


def _expanded(root: Path | str) -> Path:
    try:
        return Path(root).expanduser()
    except RuntimeError:
        raise CacheError(
            f"the cache {root} lies in the home of a user who has none here; give its whole path."
        ) from None


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
