"""What an entry was asked to hold and does not hold yet, as its manifest says, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from featcache.store import support
from featcache.store.manifest import listed


def told(manifest: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each split, extra feature, support set or bank that is not all there."""
    asked = [(split, None) for split in manifest["asked"]]
    for extra, splits in manifest.get("extras", {}).items():
        asked += [(split, extra) for split in splits]
    for split, extra in asked:
        records = listed(manifest, extra or "images", split).values()
        have = sum(record["stop"] - record["start"] for record in records)
        rows = int(manifest["dataset"]["splits"][split])
        if have != rows:
            what = f" of {extra}" if extra else ""
            yield (
                f"split {split!r} has {have} of {rows} rows{what}; "
                "run the same `featcache encode` again."
            )
    for name in support.lacking(manifest):
        yield f"the support {name} is not all there; run the same `featcache import` again."
    for bank, shard in sorted(manifest["texts"].items()):
        if shard not in manifest["shards"]:
            yield (
                f"the prompts {bank!r} are not there; run `featcache encode --prompts {bank}` "
                "again, or the same `featcache import`."
            )
