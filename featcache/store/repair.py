"""Damage taken off the list, so that it is written anew; what needs no model is rebuilt."""

from __future__ import annotations

from featcache.errors import DamagedShardError, MissingShardError
from featcache.store import shard
from featcache.store.entry import Entry
from featcache.store.manifest import FORMAT
from featcache.store.writing import amend


def damage(entry: Entry) -> dict[str, str]:
    """Which shards are missing or not what was written, by their SHA-256, and what is wrong.

    Raises `CacheError` where the system does not give one: that says nothing of its bytes.
    """
    found = {}
    for name in entry.manifest["shards"]:
        try:
            entry.check(name)
        except (DamagedShardError, MissingShardError) as error:
            found[name] = str(error)
    return found


def take_off(entry: Entry) -> dict[str, str]:
    """Take missing and damaged shards off the list, and say what was wrong with each.

    The files stay where they are; whoever writes them anew replaces them. Raises what `damage`
    raises.
    """
    if not damage(entry):
        return {}
    with amend(entry) as manifest:
        # Somebody else may have written them anew by now.
        still = damage(Entry(entry.folder, manifest))
        manifest["shards"] = {n: r for n, r in manifest["shards"].items() if n not in still}
    return still


def rebuild(entry: Entry) -> int:
    """Give shards of before their sums, and the manifest its checksum; how many shards had none.

    Raises `DamagedShardError` for a shard that is not what was written.
    """
    listed = entry.manifest["shards"]
    lacking = {name: record for name, record in listed.items() if "sums" not in record}
    if not lacking and entry.manifest["format"] == FORMAT:
        return 0
    sums = {n: shard.sums_in(entry.folder / n, record) for n, record in lacking.items()}
    with amend(entry) as manifest:
        for name, record in manifest["shards"].items():
            if record == lacking.get(name):
                record["sums"] = sums[name]
    return len(lacking)
