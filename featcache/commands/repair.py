"""Commands that check a cache and put it in order."""

from __future__ import annotations

from typing import Annotated

import typer

from featcache.commands.options import EveryKey, Key
from featcache.errors import FeatcacheError
from featcache.store.cache import FeatureCache
from featcache.store.entry import Entry, reload
from featcache.terminal import Cache, Json, document, people


def verify(
    key: EveryKey = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Take damaged shards off the list, to be encoded anew.")
    ] = False,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Check every shard against its hash and sums.

    Example: featcache verify
    """
    store = FeatureCache(cache)
    entries, broken = ([store.get(key)], {}) if key else store.look()
    done = {e.key: _repair(e) for e in entries} if repair else {}
    found = {e.key: reload(e).problems() for e in entries} | {k: [p] for k, p in broken.items()}
    told = {k: {"repaired": done.get(k, []), "problems": p} for k, p in found.items()}
    document(as_json, told if repair else found)
    console = people(as_json)
    for name, problems in found.items():
        console.print(f"{name}: {'sound' if not problems else ''}", markup=False)
        for line in (*done.get(name, ()), *problems):
            console.print(f"  {line}", markup=False)
    if any(found.values()):
        raise FeatcacheError("the cache has problems (listed above).")


def _repair(entry: Entry) -> list[str]:
    """Put an entry in order as far as that needs no model, and say what was done."""
    from featcache.store.repair import rebuild, take_off

    try:
        done = [f"taken off the list: {problem}" for problem in take_off(entry).values()]
        if sums := rebuild(reload(entry)):
            done.append(f"sums of {sums} shards of an earlier version were added.")
        return done
    except FeatcacheError as error:
        return [f"not repaired: {error}"]


def remove(
    key: Key,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Remove an entry from the cache.

    Example: featcache rm digits
    """
    from featcache.store import cleaning

    folder = cleaning.folder_of(FeatureCache(cache), key)
    name, size = "/".join(folder.parts[-3:]), cleaning.size_of(folder)
    if not yes:
        typer.confirm(f"Remove {name} ({size / 1e6:.1f} MB)?", abort=True, err=True)
    cleaning.remove(folder)
    document(as_json, {"key": name, "bytes": size})
    people(as_json).print(f"Removed {name} ({size / 1e6:.1f} MB).", markup=False)


def collect(
    yes: Annotated[bool, typer.Option("--yes", help="Delete what is listed.")] = False,
    older_than: Annotated[
        float,
        typer.Option(min=0, help="Minutes since it was written; what is younger may be used."),
    ] = 60,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """List what crashes left in the cache, or delete it with --yes.

    Example: featcache gc
    """
    from featcache.store import cleaning

    store = FeatureCache(cache)
    found = cleaning.rubbish(store, 60 * older_than)
    sizes = {str(path): path.stat().st_size for path in found}
    if yes:
        for path in found:
            path.unlink(missing_ok=True)
    document(as_json, {"deleted": yes, "files": sizes})
    console = people(as_json)
    for name in sizes:
        console.print(name, markup=False)
    told = f"{len(sizes)} files, {sum(sizes.values()) / 1e6:.1f} MB"
    if not sizes:
        console.print(f"Nothing is left over in {store.root}.", markup=False)
    else:
        console.print(f"Deleted {told}." if yes else f"{told}; --yes deletes them.")
