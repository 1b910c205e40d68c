"""The section on whole data sets of docs/scale.md, of what `benchmarks/whole_sets.py` measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

RESULTS = Path(__file__).parent / "results"
PICTURES = {"ImageNet-1k": 1_331_167, "ImageNet-21k": 14_197_122, "LAION-400M": 400_000_000}
WIDTHS = {"ViT-B-32": 512, "ViT-B-16": 512, "ViT-L-14": 768}
ID = "train/n01440764/n01440764_10026.JPEG"
LISTED = (1_000, 10_000, 50_000)  # units of an entry
SMALL = 300  # rows of the last, smaller shard of a split
NEWLINE = "\n"
RARELY = 10  # times as long as listing takes it is not done again


def section(found: Mapping[str, Any]) -> str:
    """The section of docs/scale.md."""
    lines = [
        line
        for path in sorted(RESULTS.glob("encoding-*.json"))
        for line in _hours(json.loads(path.read_text()))
    ]
    listed = [
        f"| {int(count):,} | {int(count) * 2048 / 1e6:,.0f} | {row['mb']:.1f} | {row['read_s']} | "
        f"{row['list_s']} | {int(count) * row['list_s'] / 2 / 3600:.2f} |"
        for count, row in found["listed"].items()
    ]
    many = found["listed"][str(LISTED[1])]
    laion = PICTURES["LAION-400M"] / 2048
    again = laion / LISTED[1]
    hours = laion * again * many["list_s"] / 2 / 3600
    return f"""## Whole data sets

Made by `python benchmarks/whole_sets.py`. Hours are pictures / rate / 3,600, by rates that
`benchmarks/encoding.py` measured on JPEGs of 500 x 375 that lie on a local disk: those of the whole
product, decoding with the cores beside the card, and of the *model alone*, which more cores would
come near. The centre crop alone; `--views-for all --views N` takes 1 + N times the model's.

| machine | backbone | pictures a second | model alone | {" | ".join(PICTURES)} | \
{" | ".join(f"{name}, model alone" for name in PICTURES)} |
| --- | --- | ---: | ---: |{" ---: |" * (2 * len(PICTURES))}
{NEWLINE.join(lines)}

{_bytes(found)}

An entry has one manifest, which lists its units of 2,048 rows. In processor seconds, and the hours
that writing it for each unit would take while an entry grows to that size (units x seconds / 2):

| units | million rows | manifest, MB | read, s | list one more, s | hours, one by one |
| ---: | ---: | ---: | ---: | ---: | ---: |
{NEWLINE.join(listed)}

Once listing takes a tenth of a second, units are listed several at a time, so that it takes at most
a tenth of the time: at ImageNet-21k's {PICTURES["ImageNet-21k"] / 2048:,.0f} units each \
{RARELY * many["list_s"] * PICTURES["ImageNet-21k"] / 2048 / LISTED[1]:.0f} seconds, at
LAION-400M's {laion:,.0f} each {RARELY * again * many["list_s"]:.0f}, where one by one they would \
take {hours:,.0f} hours in all.
Who is killed does what was not listed again. Readers are tried with 10,000 shards and 20 million
rows (the table of reading below; the first draw makes an index of all rows in memory): give larger
sets as several entries (a list a part, each with its `--name`), each to be read by itself.
"""


def _hours(document: Mapping[str, Any]) -> list[str]:
    machine = f"{document['device']}, {document['cores']} cores"
    lines = []
    for model in WIDTHS:
        row = document.get(model)
        if not row:
            continue
        rates = (median(row.get("product_img_per_s") or [row["product"]]), row["forward_only"])
        hours = [_told(count / rate / 3600) for rate in rates for count in PICTURES.values()]
        told = " | ".join(f"{rate:,.0f}" for rate in rates)
        lines.append(f"| {machine} | {model} | {told} | {' | '.join(hours)} |")
    return lines


def _told(hours: float) -> str:
    return f"{hours:.2f}" if hours < 10 else f"{hours:,.0f}"


def _bytes(found: Mapping[str, Any]) -> str:
    """The formula of bytes by the large shard, held against the small one."""
    lines, off = [], []
    for width, held in found["bytes"].items():
        (many, large), (few, small) = held.items()
        row = sum(large.values()) / int(many)
        kept = {kind: size / int(many) for kind, size in large.items()}
        off.append(abs(sum(small.values()) / int(few) / row - 1))
        sizes = " | ".join(f"{count * row / 1e9:,.1f}" for count in PICTURES.values())
        lines.append(
            f"| {width} | {2 * int(width):,} | {kept['images'] - 2 * int(width):.0f} | "
            f"{kept['pictures']:.0f} | {row:,.0f} | {sizes} |"
        )
    return f"""Bytes are pictures x (2 d + labels, ids and sums + digests and states), of real
shards of 2,048 rows with ids such as `{ID}`; those of {SMALL} rows differ by up to {max(off):.0%}.
Gigabytes of embeddings:

| d | 2 d | labels, ids, sums | digests, states | bytes a row | {" | ".join(PICTURES)} |
| ---: | ---: | ---: | ---: | ---: |{" ---: |" * len(PICTURES)}
{NEWLINE.join(lines)}"""
