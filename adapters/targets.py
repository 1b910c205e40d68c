"""Other sets that an experiment is scored on: found by name, checked, and drawn beside its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from adapters import registry
from adapters.drawing import pictures_of
from adapters.episode import Draw
from adapters.reading.features import has
from featcache.draws import Shots
from featcache.errors import CacheError, ConfigError, UnknownNameError
from featcache.store.entry import EXTRAS, Entry
from featcache.targets import targets_of

if TYPE_CHECKING:
    from featcache.store.cache import FeatureCache

UNKNOWN = "unknown"  # the fingerprint of weights that features were imported from


def find(
    cache: FeatureCache, source: Entry, task: str, names: Sequence[str] | None = None
) -> tuple[Entry, ...]:
    """The cached entries of these sets, or of those that custom names for the task and source.

    They are of the source's backbone; the source itself is left out. Raises `ConfigError` where
    the task takes none or there is no custom, `UnknownNameError` or `CacheError` for one that is
    not cached.
    """
    known = registry.task(task)
    if known.others is None:
        if names:
            raise refuse_on(task)
        return ()
    wanted = [*(names or targets_of(source.dataset, known.custom))]
    if not wanted:
        raise ConfigError(f"{task} on {source.dataset} has no usual targets; name some with --on.")
    found: dict[str, Entry] = {}
    for name in wanted:
        entry = _one(cache, source, name, bool(names))
        if found.setdefault(entry.dataset, entry) is not entry and entry != found[entry.dataset]:
            raise ConfigError(
                f"--on names two entries of {entry.dataset}, whose rows could not be told apart; "
                "give one of them."
            )
    return tuple(entry for entry in found.values() if entry.key != source.key)


def _one(cache: FeatureCache, source: Entry, name: str, asked: bool) -> Entry:
    try:
        return cache.find(name, source.backbone)
    except UnknownNameError as error:
        usual = "" if asked else f"{name} is a usual target of {source.dataset}: "
        raise CacheError(
            f"{usual}{str(error).rstrip('.')}; `featcache encode --dataset {name} --backbone "
            f"{source.backbone}` adds it, or name others with --on."
        ) from None


def refuse_on(task: str) -> ConfigError:
    """The refusal of other sets where a task scores its own data set alone."""
    able = [name for name in registry.task_names() if registry.task(name).others is not None]
    return ConfigError(
        f"{task} scores its own data set, so it takes no --on; take --task {' or '.join(able)}."
    )


def draw(
    task: str,
    entry: Entry,
    shots: Shots,
    seed: int,
    *,
    bank: str | None = None,
    views: int | None = None,
    extras: Collection[str] = (),
    on: Sequence[Entry] = (),
    **way: Any,
) -> Draw:
    """The task's draw of an entry, with the test pictures of the other sets as targets.

    `way` says how it differs from CoOp's, as `Experiment.way` does. Extra features come along where
    all sets have them. Raises what the task's draw raises, `ConfigError` for other sets that are
    lacking or too many, and `CacheError` for one that is of other weights.
    """
    known = registry.task(task)
    if on and known.others is None:
        raise refuse_on(task)
    if not on and known.others is not None:
        raise ConfigError(f"{task} has no targets beside {entry.dataset}; name some with --on.")
    for other in on:
        check_weights(entry, other)
    whole = {name for name in extras if all(has(other, name) for other in on)}
    drawn = known.draw(entry, shots, seed, bank=bank, views=views, extras=whole, **way)
    if known.others is None:
        return drawn
    beside = (
        known.others(entry, other, pictures_of(other, seed, _held(drawn)), bank) for other in on
    )
    return Draw(drawn.episode, drawn.few_shot_val, drawn.full_val, (*drawn.targets, *beside))


def _held(drawn: Draw) -> set[str]:
    return {name for name in EXTRAS if name in drawn.episode.holds}


def check_weights(source: Entry, other: Entry) -> None:
    """Raise `CacheError` where two entries are not of the same backbone and weights."""
    same = same_weights(source.manifest["backbone"], other.manifest["backbone"])
    if source.backbone != other.backbone or not same:
        raise CacheError(
            f"{other.key} is of {_weights(other)}, and {source.key} of {_weights(source)}; encode "
            "both with the same weights."
        )


def same_weights(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two say the same of their backbone's `fingerprint`, as far as it can be told.

    Earlier versions took a hash of the weights alone, which now stands beside it as `weights`.
    """
    prints = [each.get("fingerprint", UNKNOWN) for each in (one, other)]
    before = prints[0] == other.get("weights") or prints[1] == one.get("weights")
    return before or prints[0] == prints[1] or UNKNOWN in prints


def _weights(entry: Entry) -> str:
    return f"{entry.backbone} (weights {entry.manifest['backbone']['fingerprint'][:16]})"
