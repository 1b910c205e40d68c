"""What reading costs at ImageNet's size: fits, draws, opening, imports, a sweep. Prints JSON.

    python benchmarks/reading.py                 every part, some minutes and 6 GB of disk
    python benchmarks/reading.py fits draws      some of them

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
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

CLASSES, WIDTH, TRAIN, TEST, SHARD = 1000, 512, 1_281_167, 50_000, 65_536
SHARDS, SHARD_OF_MANY = 10_000, 2_000
METHODS = ("zero-shot", "ncm")
GRID = {
    "method": ["zero-shot", "ncm", "ss-text", "gda", "proto-clip", "ape", "timo", "tip-adapter"],
    "shots": [1, 2, 4, 8, 16],
    "seed": [1, 2, 3],
    "policy": ["none"],
}


def made(root: Path, rows: int = TRAIN, width: int = WIDTH, shard: int = SHARD) -> Any:
    """An entry of so many training rows, sorted by class, written shard by shard below `root`."""
    from featcache.store.entry import open_entry, reload
    from featcache.store.writing import NewShard, image_arrays, put, put_text

    names = [f"class {c}" for c in range(CLASSES)]
    splits = {"train": rows, "test": TEST}
    entry = open_entry(root / "made" / "made" / "000000000000", _header(names, splits, width))
    for split, many in splits.items():
        for number, (start, x, label) in enumerate(_features(split, many, width, shard)):
            n = len(x)
            ids = [f"{split}/{row:08d}" for row in range(start, start + n)]
            arrays = image_arrays(x, label, ids, np.ones(n, bool), [""] * n)
            record = {"kind": "images", "split": split, "start": start, "stop": start + n, "bad": 0}
            put(entry, [NewShard(f"images-{split}-{number:05d}.h5", record, arrays)])
    prompts = [[f"a photo of a {name}."] for name in names]
    put_text(entry, "made", _centres(width).astype(np.float16), prompts)
    return reload(entry)


def fits(root: Path) -> dict[str, Any]:
    """One fit of each method on the large entry and on what 16 a class need of it, twice each.

    The first on the large entry makes its index.
    """
    from featcache.store.reducing import reduce

    entry = made(root / "large")
    small = reduce(entry, [16], [1], root / "small")
    found: dict[str, Any] = {}
    for name, each in (("large, first", entry), ("large", entry), ("16 a class", small)):
        found[name] = {method: measured(_fit, each.folder, method) for method in METHODS}
    found["ratio"] = {
        method: {
            key: round(found["large"][method][key] / found["16 a class"][method][key], 2)
            for key in ("processor_s", "peak_mb")
        }
        for method in METHODS
    }
    return found


def draws(root: Path) -> dict[str, Any]:
    """A draw of 16 a class from 50,000 rows, of a pool and of a list, and from 1,281,167."""
    from featcache.draws import few_shot, pool_indices

    rng = np.random.default_rng(0)
    small, large = (rng.integers(0, CLASSES, rows) for rows in (TEST, TRAIN))
    return {
        "pool of 50,000, processor s": _seconds(lambda: pool_indices(small, 1)),
        "list of 50,000, processor s": _seconds(lambda: few_shot(small, None, 16, 1)),
        "list of 1,281,167, processor s": _seconds(lambda: few_shot(large, None, 16, 1)),
    }


def opening(root: Path) -> dict[str, Any]:
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
    found = {"open": measured(_open, root / "many")}
    folder = reload(entry).folder
    return found | {"first draw": measured(_draw, folder), "draw": measured(_draw, folder)}


def imports(root: Path) -> dict[str, Any]:
    """An import of 1,281,167 rows of half precision in `.npy` files."""
    root.mkdir(parents=True)
    x = np.lib.format.open_memmap(
        root / "train_features.npy", mode="w+", dtype=np.float16, shape=(TRAIN, WIDTH)
    )
    labels = np.empty(TRAIN, np.int64)
    for start, part, label in _features("train", TRAIN, WIDTH, SHARD):
        x[start : start + len(part)] = part
        labels[start : start + len(part)] = label
    x.flush()
    del x
    np.save(root / "train_labels.npy", labels)
    (root / "classes.txt").write_text("\n".join(f"class {c}" for c in range(CLASSES)))
    return {"import": measured(_import, root)}


def grid(root: Path) -> dict[str, Any]:
    """8 methods x 5 shots x 3 seeds on the large entry by two workers, and the same once more."""
    entry = made(root / "large")
    found = {"grid": measured(_sweep, entry.folder, root / "rows.sqlite")}
    return found | {"again": measured(_sweep, entry.folder, root / "rows.sqlite")}


PARTS: dict[str, Callable[[Path], dict[str, Any]]] = {
    each.__name__: each for each in (fits, draws, opening, imports, grid)
}


def measured(do: Callable[..., Any], *words: Any) -> dict[str, Any]:
    """What a process of its own costs that does this, and what it gives."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_child, args=(theirs, do, words))
    process.start()
    theirs.close()  # so that a child that dies is not waited for
    found: dict[str, Any] = ours.recv()
    process.join()
    return found


def _child(connection: Any, do: Callable[..., Any], words: tuple[Any, ...]) -> None:
    import resource

    began = time.perf_counter()
    found = do(*words)
    wall = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_SELF)
    told = {
        "processor_s": round(used.ru_utime + used.ru_stime, 2),
        "wall_s": round(wall, 2),
        "peak_mb": round(_of_proc("self/status", "VmHWM") or used.ru_maxrss / 1024),
    }
    connection.send(told | (found or {}))


def _fit(folder: Path, method: str) -> dict[str, Any]:
    from adapters.fitting import fit

    outcome = fit(_entry(folder), method, shots=16, seed=1, policy="none")
    return {"accuracy": outcome.row["accuracy"]}


def _open(root: Path) -> dict[str, Any]:
    from featcache.store.cache import FeatureCache

    began = time.process_time()
    entry = FeatureCache(root).find("made")
    return {"rows": entry.encoded("train"), "open_s": round(time.process_time() - began, 3)}


def _draw(folder: Path) -> dict[str, Any]:
    """Where the time of a draw goes: finding what is known of rows, drawing, reading."""
    import random

    from featcache.draws import draw_places

    entry, clock = _entry(folder), [time.process_time()]
    index = entry.index("train")
    clock.append(time.process_time())
    rows = index.groups.rows[draw_places(index.groups, 16, random.Random(1))].astype(np.int64)
    clock.append(time.process_time())
    index.read(entry.folder, entry.shards("images", "train"), rows)
    clock.append(time.process_time())
    spent = (round(after - before, 3) for before, after in itertools.pairwise(clock))
    return dict(zip(("index_s", "draw_s", "read_s"), spent, strict=True))


def _import(folder: Path) -> None:
    from featcache.interchange.importing import import_features
    from featcache.store.cache import FeatureCache

    files = [folder / "train_features.npy", folder / "train_labels.npy"]
    cache = FeatureCache(folder / "cache")
    import_features(files, "taken", "hf-hub:made/narrow", cache, classes=folder / "classes.txt")


def _sweep(folder: Path, rows: Path) -> dict[str, Any]:
    """A sweep's own seconds, the fits' among them, and the peak of both workers together."""
    import threading

    from adapters.results import Results
    from adapters.sweeping.engines.local import Local
    from adapters.sweeping.plan import plan
    from featcache.store.cache import FeatureCache

    cache, engine = FeatureCache(folder.parents[2]), Local(2)
    peak, done, fitting = [0.0], threading.Event(), [0.0]

    def watch() -> None:
        while not done.wait(0.2):
            pids = [process.pid for process in engine._pool.values()]
            peak[0] = max(peak[0], sum(_of_proc(f"{pid}/smaps_rollup", "Pss") for pid in pids))

    def hear(row: dict[str, Any]) -> None:
        fitting[0] += (row.get("fit_seconds") or 0.0) + (row.get("predict_seconds") or 0.0)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        whole = plan(cache, {"dataset": ["made"], **GRID}, Results(rows))
        summary, _ = whole.carry_out(engine, hear, "off")
    finally:
        done.set()
        watcher.join()
        engine.close()
    beside = 2 * summary.seconds - fitting[0]
    return {
        "runs": summary.runs,
        "done": summary.done,
        "failed": summary.failed,
        "seconds": round(summary.seconds, 1),
        "fits_s": round(fitting[0], 1),
        "beside_a_run_ms": round(1000 * beside / max(1, summary.done), 1),
        "workers_mb": round(peak[0]),
    }


def _of_proc(path: str, name: str) -> float:
    """A number of MB that Linux tells of a process; 0 where it does not.

    `ru_maxrss` counts what a parent held when the process was forked.
    """
    try:
        lines = (Path("/proc") / path).read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:")), 0)


def _entry(folder: Path) -> Any:
    from featcache.store import manifest
    from featcache.store.entry import Entry

    return Entry(folder, manifest.load(folder))


def _header(names: list[str], splits: dict[str, int], width: int) -> dict[str, Any]:
    return {
        "dataset": {"name": "made", "fingerprint": "made", "classnames": names, "splits": splits},
        "backbone": {
            "name": "made", "fingerprint": "made", "width": width, "logit_scale": 100.0,
        },
        "asked": list(splits),
    }  # fmt: skip


def _centres(width: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(CLASSES, width)).astype(np.float32)


def _features(
    split: str, rows: int, width: int, shard: int
) -> Iterator[tuple[int, NDArray[np.float16], NDArray[np.int64]]]:
    """First row, features and labels of each shard: noise around centres, sorted by class."""
    rng, centres = np.random.default_rng(len(split)), _centres(width)
    for start in range(0, rows, shard):
        label = np.arange(start, min(start + shard, rows)) * CLASSES // rows
        noise = 3 * rng.standard_normal((len(label), width), np.float32)
        yield start, (centres[label] + noise).astype(np.float16), label


def _seconds(do: Callable[[], Any]) -> float:
    do()  # what is imported and allocated once counts for none
    began = time.process_time()
    do()
    return round(time.process_time() - began, 3)


def main(names: Sequence[str] = ()) -> dict[str, Any]:
    """What the parts of these names, or all, measured."""
    found = {}
    for name in names or PARTS:
        with TemporaryDirectory() as folder:
            found[name] = PARTS[name](Path(folder) / name)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "parts", nargs="*", choices=[[], *PARTS], metavar="PART", help=str([*PARTS])
    )
    print(json.dumps(main(parser.parse_args().parts), indent=1))
