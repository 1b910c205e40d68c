"""Which features of pictures and classes a method needs, whether data has them, what adds them."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.episode import NEGATIVE_PROMPTS, TEXT_TOWER, VIEWS, Draw
from adapters.method import Method
from featcache.errors import MethodError
from featcache.store.entry import EXTRAS, PATCHES, POOL, PRE_PROJECTION, Entry

# The option of `featcache encode` that caches what a method may need.
ADDED_BY = {
    VIEWS: "--views 20",
    PRE_PROJECTION: f"--extra {PRE_PROJECTION}",
    PATCHES: f"--extra {PATCHES}",
    NEGATIVE_PROMPTS: "--prompts negative",
    TEXT_TOWER: "--extra text-tower",
}


def has(entry: Entry, extra: str, split: str = "test") -> bool:
    """Whether all pictures of a split (of a pool, all there are) have that feature."""
    part = POOL if POOL in entry.splits else split
    return part in entry.splits and entry.encoded(part, extra) == entry.splits[part]


def lacks(drawn: Draw, method: Method, entry: Entry, others: Sequence[Entry]) -> bool:
    """Whether the method reads features that all sets have and this draw was made without."""
    whole = {extra for extra in entry.extras if all(has(other, extra) for other in others)}
    return bool(method.extras & whole - drawn.episode.holds)


def adding(entry: Entry, missing: Sequence[str], where: str = "…") -> str:
    """The command that adds what an entry lacks, which features from elsewhere are no pictures for.

    `where` are its words for the entry.
    """
    options = " ".join(ADDED_BY[need] for need in missing)
    if entry.manifest.get("source") != "imported":
        return f"`featcache encode {where} {options}`"
    if [*missing] == [TEXT_TOWER]:
        return "`featcache import … --text-tower`"
    return f"`featcache encode --dataset PICTURES {options}`, as {entry.key} was imported without"


def check_needs(name: str, method: Method, drawn: Draw, entries: Sequence[Entry]) -> None:
    """Raise `MethodError` where the draw holds not all that the method of that name needs.

    `entries` are all that it was drawn from, of which one that lacks it is named.
    """
    episode = drawn.episode
    if not len(episode.support.labels) and not method.support_free:
        raise MethodError(
            f"{name} learns from training pictures and {episode.dataset} has none; score zero-shot "
            "on it, or make it a target of another set (--on)."
        )
    if missing := [need for need in ADDED_BY if need in method.needs - episode.holds]:
        extras = [need for need in missing if need in EXTRAS]
        lacking = [o for o in entries if not all(has(o, extra) for extra in extras)]
        poor = [*lacking, *entries][0]
        where = f"--dataset {poor.dataset} --backbone {episode.backbone}"
        raise MethodError(
            f"{name} needs {' and '.join(missing)}, which {poor.dataset} has not cached; add "
            f"what is missing with {adding(poor, missing, where)}."
        )
