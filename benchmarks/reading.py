"""What reading costs at ImageNet's size: draws, opening, import and fits, a sweep. Prints JSON.

    python benchmarks/reading.py                 draws, opening, fits: a minute and 3 GB of disk
    python benchmarks/reading.py grid            the sweep: many minutes; kept for docs/scale.md

Features are made up in a temporary folder: 1,281,167 training rows of 1,000 classes, 512 wide, and
50,000 to test. Seconds are of the processor and of the wall, memory is the peak of a process of its
own, libraries included.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import scale
from reading_parts.made import CLASSES, TEST, TRAIN, files, made, opened
from reading_parts.processes import measured
from reading_parts.sweep import killed, swept

SHARDS, SHARD_OF_MANY = 10_000, 2_000
METHODS = ("zero-shot", "ncm")
QUICK = ("draws", "opening", "fits")
KILLED = 40  # runs after which the sweep is killed
Found = Iterator[tuple[str, Any]]


def draws(root: Path) -> Found:
    """A draw of 16 a class from 50,000 rows, of a pool and of a list, and from 1,281,167."""
    from featcache.draws import few_shot, pool_indices

    rng = np.random.default_rng(0)
    small, large = (rng.integers(0, CLASSES, rows) for rows in (TEST, TRAIN))
    yield "pool of 50,000", _seconds(lambda: pool_indices(small, 1))
    yield "list of 50,000", _seconds(lambda: few_shot(small, None, 16, 1))
    yield "list of 1,281,167", _seconds(lambda: few_shot(large, None, 16, 1))


def opening(root: Path) -> Found:
    """10,000 shards and 20 M rows (8 wide, one file under many names): opened, drawn from."""
    from featcache.store.entry import reload
    from featcache.store.writing import amend

    rows = SHARDS * SHARD_OF_MANY
    entry = made(root / "many", SHARD_OF_MANY, 8, SHARD_OF_MANY)
    name, record = next(iter(entry.shards("images", "train").items()))
    with amend(entry) as listed:
        listed["dataset"]["splits"]["train"] = rows
        for number in range(1, SHARDS):
            other, start = f"images-train-{number:05d}.h5", number * SHARD_OF_MANY
            os.link(entry.folder / name, entry.folder / other)
            listed["shards"][other] = record | {"start": start, "stop": start + SHARD_OF_MANY}
    folder = reload(entry).folder
    yield "open", measured(_open, root / "many")
    yield "index, made once", measured(_index, folder)
    yield "draw", measured(_draw, folder)


def fits(root: Path) -> Found:
    """An import of 1,281,167 rows of half precision; a fit of each method on what it made.

    And one on what 16 a class need of it.
    """
    from featcache.store.cache import FeatureCache
    from featcache.store.reducing import reduce

    root.mkdir(parents=True)
    files(root)
    yield "import", measured(_import, root)
    entry = FeatureCache(root / "cache").find("taken")
    small = reduce(entry, [16], [1], root / "small")
    for method in METHODS:
        for name, each in (("large", entry), ("16 a class", small)):
            yield f"{name}, {method}", measured(_fit, each.folder, method)


def grid(root: Path) -> Found:
    """8 methods x 5 shots x 3 seeds on the large entry by two workers: killed, resumed, again."""
    folder, rows = made(root / "large").folder, root / "rows.sqlite"
    yield "index, made once", measured(_index, folder)
    yield "killed", killed(KILLED, folder, rows)
    yield "resumed", measured(swept, folder, rows)
    yield "again", measured(swept, folder, rows)


PARTS: dict[str, Callable[[Path], Found]] = {
    each.__name__: each for each in (draws, opening, fits, grid)
}


def _fit(folder: Path, method: str) -> dict[str, Any]:
    from adapters.fitting import fit

    outcome = fit(opened(folder), method, shots=16, seed=1, policy="none")
    return {"accuracy": outcome.row["accuracy"]}


def _open(root: Path) -> dict[str, Any]:
    from featcache.store.cache import FeatureCache

    began = time.process_time()
    entry = FeatureCache(root).find("made")
    return {"rows": entry.encoded("train"), "to open_s": round(time.process_time() - began, 3)}


def _index(folder: Path) -> None:
    opened(folder).index("train")


def _draw(folder: Path) -> dict[str, Any]:
    """Two draws, of which the first looks up what is known of rows."""
    import random

    from featcache.draws import draw_places

    entry, clock = opened(folder), [time.process_time()]
    index, records = entry.index("train"), entry.shards("images", "train")
    for seed in (1, 2):
        places = draw_places(index.groups, 16, random.Random(seed))
        index.read(entry.folder, records, index.groups.rows[places].astype(np.int64))
        clock.append(time.process_time())
    spent = (round(after - before, 3) for before, after in itertools.pairwise(clock))
    return dict(zip(("first draw_s", "next draw_s"), spent, strict=True))


def _import(folder: Path) -> None:
    from featcache.interchange.importing import import_features
    from featcache.store.cache import FeatureCache

    files = [folder / f"{split}_{what}.npy" for split in ("train", "test")
             for what in ("features", "labels")]  # fmt: skip
    cache, text = FeatureCache(folder / "cache"), folder / "text.npy"
    import_features(
        files, "taken", "hf-hub:made/narrow", cache, text=text, classes=folder / "classes.txt"
    )


def _seconds(do: Callable[[], Any]) -> float:
    do()  # what is imported and allocated once counts for none
    began = time.process_time()
    do()
    return round(time.process_time() - began, 3)


def main(names: Sequence[str] = ()) -> dict[str, Any]:
    """What the parts of these names, or all but the grid, measured."""
    return {name: dict(found(name)) for name in names or QUICK}


def found(name: str) -> Found:
    """What a part finds, as it comes."""
    with TemporaryDirectory() as folder:
        yield from PARTS[name](Path(folder) / name)


def keep(grid: dict[str, Any]) -> None:
    """Have the grid's figures in the results and on the page."""
    kept = grid | scale.machine() | {"load": os.getloadavg()[0]}
    (scale.RESULTS / "reading_grid.json").write_text(json.dumps(kept, indent=1) + "\n")
    scale.write()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "parts", nargs="*", choices=[[], *PARTS], metavar="PART", help=str([*PARTS])
    )
    asked = parser.parse_args().parts
    measurements = main(asked)
    if "grid" in measurements:
        keep(measurements["grid"])
    print(json.dumps(measurements, indent=1))
