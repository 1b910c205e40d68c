"""Hours and bytes of ImageNet-1k, ImageNet-21k and LAION-400M, to docs/scale.md.

    python benchmarks/whole_sets.py

Writes shards of made-up features as `featcache encode` lays them out, and lists shards by the
thousand; a minute of one core and 200 MB of disk. Hours are pictures by the rates that
`benchmarks/encoding.py` measured. Writes benchmarks/results/whole_sets.json and docs/scale.md.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import scale
from whole_sets_page import ID, LISTED, SMALL


def main() -> None:
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    found: dict[str, Any] = {"machine": platform.machine(), "python": platform.python_version()}
    with TemporaryDirectory() as folder:
        found["bytes"] = {str(width): shards(Path(folder), width) for width in (512, 768)}
        found["listed"] = {str(count): listing(Path(folder), count) for count in LISTED}
    (scale.RESULTS / "whole_sets.json").write_text(json.dumps(found, indent=1) + "\n")
    scale.write()


def shards(root: Path, width: int) -> dict[str, Any]:
    """Bytes of a unit of 2,048 rows and of a smaller one: embeddings, and what rows are made of."""
    found = {}
    for rows in (_shard_rows(), SMALL):
        records = _unit(_entry(root / f"{width}-{rows}", width), rows, width)
        found[str(rows)] = {record["kind"]: record["bytes"] for record in records.values()}
    return found


def listing(root: Path, count: int) -> dict[str, float]:
    """Megabytes of a manifest of so many units, and seconds to read it and to list one more."""
    from featcache.store import manifest, writing

    rows, entry = _shard_rows(), _entry(root / f"listed-{count}", 512)
    records = _unit(entry, rows, 512)
    with writing.amend(entry) as held:
        for number in range(count):
            place = {"split": "train", "start": number * rows, "stop": (number + 1) * rows}
            for name, record in records.items():
                held["shards"][name.replace("00000", f"{number:05d}")] = {**record, **place}

    def one_more() -> None:
        with writing.amend(entry) as held:
            held["asked"] = ["train"]

    size = (entry.folder / manifest.FILE).stat().st_size
    return {
        "mb": round(size / 1e6, 2),
        "read_s": _seconds(lambda: manifest.load(entry.folder)),
        "list_s": _seconds(one_more),
    }


def _shard_rows() -> int:
    from featcache.encoding.plan import SHARD_ROWS

    return SHARD_ROWS


def _unit(entry: Any, rows: int, width: int) -> dict[str, dict[str, Any]]:
    """What the manifest is to say of the shards of a unit, which are written."""
    import numpy as np

    from featcache.store import writing
    from featcache.store.originals import Originals

    rng = np.random.default_rng(rows)
    ids = [ID.replace("10026", f"{row:05d}") for row in range(rows)]
    x = rng.standard_normal((rows, width)).astype(np.float16)
    images = writing.image_arrays(x, [0] * rows, ids, np.ones(rows, bool), [""] * rows)
    digests = tuple(rng.bytes(16).hex() for _ in ids)
    originals = Originals(tuple(ids), (0,) * rows, digests, rng.integers(0, 2**60, (rows, 3)))
    parts = (("images", images), ("pictures", originals.arrays))
    new = [writing.NewShard(f"{k}-train-00000.h5", {"kind": k}, arrays) for k, arrays in parts]
    return writing.write(entry, new)


def _entry(folder: Path, width: int) -> Any:
    from featcache.store.entry import open_entry

    header = {
        "dataset": {"name": "made", "fingerprint": "made", "classnames": ["a"], "splits": {}},
        "backbone": {"name": "made", "fingerprint": "made", "width": width, "logit_scale": 100.0},
    }
    return open_entry(folder / "made" / "made" / "000000000000", header)


def _seconds(work: Callable[[], object]) -> float:
    """Of the processor, the median of three."""
    spent = []
    for _ in range(3):
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return round(median(spent), 3)


if __name__ == "__main__":
    main()
