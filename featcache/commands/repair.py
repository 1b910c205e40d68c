"""Commands that check a cache and put it in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from featcache.commands import completion
from featcache.commands.options import EveryKey, FollowLinks, Key, MaxPixels, Recursive, Root
from featcache.errors import FeatcacheError
from featcache.store.cache import FeatureCache
from featcache.store.entry import Entry, reload
from featcache.terminal import Cache, Json, as_mapping, document, people

if TYPE_CHECKING:
    from featcache.encoding.reencode import Reencoded

MOST_BEYOND = 10  # lines of rows that are beyond the tolerance


def verify(
    key: EveryKey = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Take damaged shards off the list, to be encoded anew.")
    ] = False,
    again: Annotated[
        int, typer.Option("--reencode", min=0, help="Rows to encode anew and compare.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="Which rows are taken.")] = 0,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="Name or folder of the pictures (the entry's).", autocompletion=completion.datasets
        ),
    ] = None,
    root: Root = None,
    backbone: Annotated[
        str | None,
        typer.Option(help="The backbone (the entry's).", autocompletion=completion.backbones),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 …")] = "auto",
    recursive: Recursive = False,
    follow_links: FollowLinks = False,
    max_pixels: MaxPixels = 64,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Check every shard against its hash and sums; with --reencode, rows against their pictures.

    Example: featcache verify digits --reencode 50
    """
    store = FeatureCache(cache)
    if again:
        from featcache import load_backbone, load_dataset
        from featcache.encoding.reencode import reencode
        from featcache.pictures.limit import limit_pixels

        if key is None or repair:
            raise FeatcacheError("--reencode takes one entry: give its KEY, and no --repair.")
        limit_pixels(round(max_pixels * 10**6))
        entry = store.get(key)
        name = dataset or _named(entry)
        data = load_dataset(name, root, recursive=recursive, follow_links=follow_links)
        precision = entry.manifest["backbone"]["precision"]
        loaded = load_backbone(backbone or entry.backbone, device=device, precision=precision)
        _say_again(entry, reencode(entry, data, loaded, again, seed), as_json)
        return
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


def _named(entry: Entry) -> str:
    """The name by which an entry's pictures are found. Raises `FeatcacheError` for a folder's."""
    from featcache.datasets.table import named

    if named(entry.dataset) is None:
        raise FeatcacheError(
            f"{entry.key} was encoded from a folder; say with --dataset which one it is now."
        )
    return entry.dataset


def _say_again(entry: Entry, found: Reencoded, as_json: bool) -> None:
    """Tell how far rows encoded anew are; `FeatcacheError` where one is beyond the tolerance."""
    rows = [row for row in found.rows if row.difference == row.difference]
    least = min((row.cosine for row in rows), default=None)
    largest = max((row.difference for row in rows), default=None)
    beyond = [as_mapping(row) for row in found.beyond]
    for row in beyond:  # JSON has no numbers that are none
        row |= {n: None for n in ("cosine", "difference") if row[n] != row[n]}
    document(
        as_json,
        {
            "key": entry.key,
            "rows": len(found.rows),
            "tolerance": found.tolerance,
            "least_cosine": least,
            "largest_difference": largest,
            "beyond": beyond,
        },
    )
    console = people(as_json)
    told = f"; least cosine {least:.6f}, largest difference {largest:.2e}" if rows else ""
    console.print(
        f"{entry.key}: {len(found.rows)} rows encoded anew{told}; tolerance {found.tolerance:g} "
        "of an embedding's length.",
        markup=False,
    )
    for each in found.beyond[:MOST_BEYOND]:
        far = f"{each.difference:.2e}, cosine {each.cosine:.4f}; {each.reason}".rstrip("; ")
        told = far if each.difference == each.difference else each.reason
        console.print(f"  {each.split} {each.id}: {told}", markup=False)
    if len(beyond) > MOST_BEYOND:
        console.print(f"  and {len(beyond) - MOST_BEYOND} more (--json lists all)")
    if beyond:
        raise FeatcacheError(f"{len(beyond)} of {len(found.rows)} rows are not what was encoded.")


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
