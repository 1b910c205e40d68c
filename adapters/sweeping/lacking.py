"""What an entry lacks that a method cannot do without: why `all` leaves the method out there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from adapters.compose import get
from adapters.episode import NEGATIVE_PROMPTS, TEXT_TOWER, VIEWS
from adapters.reading import kept_tower, supports
from adapters.reading.features import ADDED_BY, adding, has
from adapters.registry import task as task_of
from featcache.store.entry import POOL, PRE_PROJECTION, PROJECTION_SHARD

if TYPE_CHECKING:
    from featcache.store.entry import Entry


def lacking(
    entry: Entry, others: Sequence[Entry], task: str, method: str, views: int | None = None
) -> str:
    """What the entry, or another set that is scored on, lacks and what adds it; empty if nothing.

    Nothing is read but manifests. `views` are how many are asked for (None: all).
    """
    known = get(method)
    if task_of(task).solve is not None:
        return ""  # problems have neither; `ability.refusal` says so
    trained = {"train", POOL} & entry.splits.keys() or entry.supports
    if not trained and not known.support_free:
        return "there are no training pictures to learn from"
    if entry.textless and not known.without_text:
        return "there is no text, which `featcache import … --text FILE` adds"
    missing = [
        need
        for need in ADDED_BY
        if need in known.needs
        and not (_holds(entry, need, views) and all(_scored(other, need) for other in others))
    ]
    if not missing:
        return ""
    return f"no {' or '.join(missing)} cached, which {adding(entry, missing)} adds"


def _holds(entry: Entry, need: str, views: int | None) -> bool:
    """Whether a draw of the entry holds it."""
    imported, sets = supports.alone(entry), entry.manifest["view_sets"].get("train", {})
    if need == NEGATIVE_PROMPTS:
        return bool(entry.negative_banks)
    if need == TEXT_TOWER:
        return kept_tower.kept(entry) is not None
    if need == VIEWS:
        stacked = entry.manifest.get("views") == "stacked" if imported else bool(sets)
        return stacked and views != 0
    if any(entry.encoded(split, need) != rows for split, rows in entry.splits.items()):
        return False
    shards = entry.manifest["shards"]
    if imported:
        return need == PRE_PROJECTION and PROJECTION_SHARD in shards
    kept = {record.get("set") for record in shards.values() if record["kind"] == need}
    return need != PRE_PROJECTION or views == 0 or sets.keys() <= kept


def _scored(other: Entry, need: str) -> bool:
    return need in (NEGATIVE_PROMPTS, TEXT_TOWER, VIEWS) or has(other, need)
