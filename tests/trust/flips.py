"""Single flipped bits in what was written: reading gives the same numbers, or refuses."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from adapters.adapter import load
from adapters.drawing import draw
from adapters.maths import text_tower
from adapters.reading import kept_tower
from featcache import Entry, FeatureCache
from featcache.errors import FeatcacheError
from featcache.store import index
from tests.trust.scenes import FIT, pictures
from tests.trust.warm import Warm

ENCODE = (
    "featcache encode --dataset ./pics --views 2 --workers 1 --device cpu --prompts negative "
    "--extra pre-projection,patches,text-tower"
)


@dataclass
class Flipped:
    """How many bits were flipped, by kind of file and by what reading did, and what was wrong."""

    ends: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        kinds = sorted({kind for kind, _ in self.ends})
        told = "; ".join(f"{kind}: {self.said(kind)}" for kind in kinds)
        return f"{self.ends.total()} flips ({told}), {len(self.wrong)} wrong"

    def said(self, kind: str) -> str:
        """How reading ended after the flips of a kind."""
        return ", ".join(f"{n} {end}" for (of, end), n in sorted(self.ends.items()) if of == kind)


def prepare(warm: Warm, folder: Path) -> None:
    """An entry with views, extras and two banks, and an adapter."""
    pictures(folder)
    for line in (ENCODE.replace("--prompts negative ", ""), ENCODE, FIT):
        ended = warm.run(line.split(), folder)
        assert ended.status == 0, ended
    drawn(folder / "cache")  # which makes the index


def flip(folder: Path, flips: int, seed: int) -> Flipped:
    """Flip bits of each kind of file, as many of one as of the other, one at a time."""
    chance, flipped = random.Random(seed), Flipped()
    reading: dict[str, tuple[list[Path], Callable[[], list[Any]]]] = {
        "shards": (sorted(folder.rglob("*.h5")), lambda: numbers(folder / "cache")),
        "manifest": (sorted(folder.rglob("manifest.json")), lambda: numbers(folder / "cache")),
        "adapter": (
            sorted((folder / "runs").glob("*/adapter.*")),
            lambda: scores(folder / "runs"),
        ),
        "index": (sorted(folder.rglob("index-*.bin")), lambda: drawn(folder / "cache")),
        "rows": (sorted(folder.rglob("*s-train-*.h5")), lambda: drawn(folder / "cache")),
        "tower": (
            sorted(path for path in (folder / "cache" / "towers").rglob("*") if path.is_file()),
            lambda: vectors(folder / "cache"),
        ),
    }
    assert all(paths for paths, _ in reading.values())
    sound = {kind: read() for kind, (_, read) in reading.items()}
    for i in range(flips):
        kind = list(reading)[i % len(reading)]
        paths, read = reading[kind]
        path = chance.choice(paths)
        bit = chance.randrange(8 * path.stat().st_size)
        end = _one(path, bit, read, sound[kind])
        flipped.ends[kind, end] += 1
        if end not in ("told", "the same"):
            flipped.wrong.append(f"bit {bit} of {path.relative_to(folder)}: {end}")
    return flipped


def _one(path: Path, bit: int, read: Callable[[], list[Any]], sound: list[Any]) -> str:
    whole = path.read_bytes()
    content = bytearray(whole)
    content[bit // 8] ^= 1 << bit % 8
    try:
        _put(path, content)
        return "the same" if alike(read(), sound) else "other numbers"
    except FeatcacheError as error:
        return "told" if "\n" not in str(error) else f"told as {error}"
    except Exception as error:
        return f"raises {error!r}"
    finally:
        _put(path, whole)


def _put(path: Path, content: bytes | bytearray) -> None:
    """As another file, as one that is copied back from a bad disk is."""
    draft = path.with_name("draft")
    draft.write_bytes(content)
    draft.replace(path)


def numbers(cache: Path) -> list[Any]:
    """All that an entry gives to its readers."""
    store = FeatureCache(cache)
    entry: Entry = store.find("pics")
    found: list[Any] = [entry.key, entry.classnames, entry.logit_scale, entry.splits, entry.extras]
    for split, rows in entry.splits.items():
        images = entry.images(split)
        found += [images.embedding, images.label, images.id, images.valid, images.reason]
        every = np.arange(rows)
        for extra in (None, *entry.extras):
            found.append(entry.views(split, every, extra))
        found += [entry.extra(extra, split, every) for extra in entry.extras]
    for bank in (*entry.banks, *entry.negative_banks):
        text = entry.text(bank)
        found += [text.bank, text.embedding, text.mask, text.prompts, text.classnames]
    projection = entry.projection()
    assert projection is not None
    return [*found, projection.weight, projection.bias]


def drawn(cache: Path) -> list[Any]:
    """What a draw gives that reads single rows by an index, as of large splits."""
    with patch.object(index, "LARGE", 0):
        support = draw(FeatureCache(cache).find("pics"), 1, 1).episode.support
    return [support.views.numpy(), support.labels.numpy(), support.ids]


def vectors(cache: Path) -> list[Any]:
    """What a kept tower says of sentences, and how it cuts them."""
    for each in (kept_tower._tokenizer, kept_tower._loaded, kept_tower._moved, kept_tower._check):
        each.cache_clear()  # as in a process of its own
    kept = kept_tower.kept(FeatureCache(cache).find("pics"))
    assert kept is not None
    ids = kept.ids(["a red thing.", "something blue"])
    tower = kept.on(torch.device("cpu"))
    rows = [[tower.start, *each, tower.stop] for each in ids]
    padded = torch.zeros(len(rows), tower.context, dtype=torch.long)
    for row, each in zip(padded, rows, strict=True):
        row[: len(each)] = torch.tensor(each)
    ends = torch.tensor([len(each) - 1 for each in rows])
    with torch.inference_mode():
        told = text_tower.encode(tower, text_tower.embed(tower, padded)[None], ends)
    return [ids, told.numpy()]


def scores(runs: Path) -> list[Any]:
    """What an adapter answers, and what it says of itself."""
    (folder,) = (path.parent for path in runs.glob("*/adapter.json"))
    adapter = load(folder)
    x = torch.linspace(-1, 1, 4 * adapter.told("width")).reshape(4, -1).sin()
    return [
        adapter.method,
        adapter.config,
        adapter.classnames,
        dict(adapter.about),
        adapter.logits(x).numpy(),
    ]


def alike(found: list[Any], sound: list[Any]) -> bool:
    """Whether two such lists are the same to the last bit."""
    return len(found) == len(sound) and all(map(_same, found, sound))


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    return type(a) is type(b) and bool(a == b)
