"""What people should know of a data set though nothing is wrong: one sentence each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

from featcache.datasets.dataset import Dataset, Item, Source, Stored
from featcache.datasets.remote import Remote
from featcache.errors import PictureError

HEAD = 4096  # bytes that tell nearly all pictures apart without reading them whole


def noted(dataset: Dataset, pictures: bool = False) -> Dataset:
    """The data set with these notes after its own; `pictures` are compared only where asked."""
    more = (same_prompts(dataset), same_pictures(dataset) if pictures else "")
    return replace(dataset, notes=(*dataset.notes, *filter(None, more)))


def same_prompts(dataset: Dataset) -> str:
    """Which classes are asked for in the same words; empty where there are none."""
    spoken: dict[str, list[str]] = defaultdict(list)
    for name in dataset.classnames:
        # Tokenisers of CLIP take words in lower case.
        spoken[" ".join(name.replace("_", " ").lower().split())].append(name)
    same = [names for names in spoken.values() if len(names) > 1]
    if not same:
        return ""
    first = " and ".join(repr(name) for name in same[0])
    return (
        f"{dataset.name}: {sum(map(len, same))} classes share their prompts with another, the "
        f"first are {first}; text cannot tell them apart, so rename them or give --prompts."
    )


def same_pictures(dataset: Dataset) -> str:
    """Which pictures of test are in train too, byte by byte; empty where there are none."""
    train = _by_head(dataset.splits.get("train", ()))
    pairs = []
    for key, items in _by_head(dataset.splits.get("test", ())).items():
        if key not in train:
            continue
        held = {digest: item.id for item, digest in _digests(train[key])}
        pairs += [(item.id, held[d]) for item, d in _digests(items) if d in held]
    if not pairs:
        return ""
    return (
        f"{dataset.name}: {len(pairs)} test pictures are in train too, byte by byte, the first is "
        f"{pairs[0][0]} as {pairs[0][1]}; remove them, for a fit has seen them."
    )


def _by_head(items: tuple[Item, ...]) -> dict[tuple[int, bytes], list[Item]]:
    found: dict[tuple[int, bytes], list[Item]] = defaultdict(list)
    for item in items:
        try:
            size, head = _head(item.source)
        except (OSError, PictureError):
            continue  # told when it is to be encoded
        if head:
            found[size, blake2b(head).digest()].append(item)
    return found


def _head(source: Source) -> tuple[int, bytes]:
    """Size and first bytes; none of what is no file, or would be fetched from a store for this."""
    if isinstance(source, Remote):
        return 0, b""
    if isinstance(source, Path):
        if not source.is_file():
            return 0, b""
        with source.open("rb") as file:
            return source.stat().st_size, file.read(HEAD)
    content = source.read() if isinstance(source, Stored) else b""
    return len(content), content[:HEAD]


def _digests(items: list[Item]) -> Iterator[tuple[Item, str]]:
    for item in items:
        digest = blake2b()
        try:
            if isinstance(item.source, Stored):
                digest.update(item.source.read())
            else:
                with Path(str(item.source)).open("rb") as file:
                    while block := file.read(1 << 20):
                        digest.update(block)
        except (OSError, PictureError):
            continue
        yield item, digest.hexdigest()
