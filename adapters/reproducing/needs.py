"""What a table needs of each data set, what of it is cached, and the commands that add the rest."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.reading import kept_tower
from adapters.reproducing import text
from adapters.reproducing.tables import Reproduction
from adapters.reproducing.text import OWN_TEXT
from featcache.errors import UnknownNameError

if TYPE_CHECKING:
    from featcache.store.cache import FeatureCache
    from featcache.store.entry import Entry


@dataclass(frozen=True)
class Need:
    """A data set of a table: its entry, if there is one, and what it still lacks.

    `words` are the arguments of `featcache encode` that add that; `source` says that it is fitted
    on, and not only scored.
    """

    dataset: str
    source: bool
    entry: Entry | None
    lacks: tuple[str, ...]
    words: tuple[str, ...]

    @property
    def command(self) -> str:
        """The command line that adds what is lacking."""
        return f"featcache encode {shlex.join(self.words)}"


def needs(table: Reproduction, cache: FeatureCache) -> list[Need]:
    """What the table needs, the sets that are fitted on first. Nothing is read but manifests."""
    names = [*table.datasets, *(name for name in table.on if name not in table.datasets)]
    return [_need(table, cache, name) for name in names]


def _need(table: Reproduction, cache: FeatureCache, name: str) -> Need:
    source = name in table.datasets
    bank, views = table.bank(name), table.views if source else 0
    extras = table.extras if source else []
    words = ["--dataset", name, "--backbone", table.backbone]
    words += ["--prompts", text.words(bank)] * (bank != OWN_TEXT)
    words += ["--views", str(views)]
    words += ["--view-scale", str(table.view_scale)] if views and table.view_scale != 0.08 else []
    words += ["--extra", ",".join(extras)] if extras else []
    entry = _entry(cache, name, table.backbone)
    if entry is None:
        return Need(name, source, None, ("everything",), tuple(words))
    lacks = [] if entry.complete else ["pictures"]
    lacks += [] if bank in entry.banks else [f"prompts {bank}"]
    lacks += [] if not views or _views(entry, views, table.view_scale) else [_told(table)]
    if "text-tower" in extras and kept_tower.kept(entry) is None:
        lacks.append("text-tower")
    return Need(name, source, entry, tuple(lacks), tuple(words))


def _entry(cache: FeatureCache, name: str, backbone: str) -> Entry | None:
    if not cache.entries():
        return None
    try:
        return cache.find(name, backbone)
    except UnknownNameError:
        return None


def _views(entry: Entry, count: int, scale: float) -> bool:
    held: dict[str, dict[str, Any]] = entry.manifest["view_sets"].get("train", {})
    return any(h["count"] >= count and h["scale"][0] == scale for h in held.values())


def _told(table: Reproduction) -> str:
    return f"{table.views} views of at least {table.view_scale:g}"


def encode(wanted: Sequence[Need], cache: Path, root: Path | None = None) -> list[str]:
    """Run the command of each data set that lacks something; the names of those that failed.

    Nothing is fetched: weights must lie on this disk, as pictures must. Each runs as a process of
    its own, for this package sees no pictures.
    """
    failed = []
    for need in wanted:
        if not need.lacks:
            continue
        where = ["--cache", str(cache), *(["--root", str(root)] if root else [])]
        done = subprocess.run(
            [sys.executable, "-P", "-m", "cli", "encode", *need.words, *where],
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
            stdout=2,  # beside a document, which is alone on standard output
            check=False,
        )
        failed += [need.dataset] if done.returncode else []
    return failed
