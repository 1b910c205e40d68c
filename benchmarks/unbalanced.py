"""Accuracy on supports whose classes differ in size, beside balanced ones, written as JSON.

    featcache encode --dataset digits --backbone demo --extra pre-projection
    python benchmarks/unbalanced.py [--cache DIR] [--methods gda,fma] [--without] [--out FILE]
    python benchmarks/unbalanced.py --table   the rows of docs/draws.md, of what was written

The 16-shot draw of `digits`, of which each class keeps as many pictures as its support says; policy
none, default settings. `absent` is the unbalanced support without a picture of class 4.
--without leaves out what is ours: weights of pictures, and stand-ins of absent classes.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch

from adapters import selection
from adapters.compose import get
from adapters.drawing import draw
from adapters.episode import Draw, Support
from adapters.evaluate import accuracy, class_accuracy
from adapters.registry import names
from featcache.store.cache import FeatureCache

RESULTS = Path(__file__).parent / "results" / "unbalanced.json"
ABSENT = 4
COUNTS = (16, 1, 3, 16, 2, 8, 16, 5, 16, 1)
SUPPORTS = {
    "balanced 8": (8,) * 10,  # as many pictures as the unbalanced one has, all but four
    "balanced 1": (1,) * 10,
    "unbalanced": COUNTS,
    "absent": tuple(0 if c == ABSENT else k for c, k in enumerate(COUNTS)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--methods", default=",".join(names()))
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--without", action="store_true", help="neither weights nor stand-ins")
    parser.add_argument("--table", action="store_true", help="print what was written, fit nothing")
    arguments = parser.parse_args()
    if arguments.table:
        table(json.loads(arguments.out.read_text()))
        return
    way = "without" if arguments.without else "ours"
    if arguments.without:
        Support.weights = property(lambda _: None)  # type: ignore[assignment]
        selection.whole = lambda episode, *_: episode  # type: ignore[attr-defined]
    entry = FeatureCache(arguments.cache).find("digits", "demo")
    found = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    for method in arguments.methods.split(","):
        extras = get(method).extras
        seeds = [int(seed) for seed in arguments.seeds.split(",")]
        drawn = [draw(entry, 16, seed, extras=extras) for seed in seeds]
        own = {name: mean(method, drawn, counts) for name, counts in SUPPORTS.items()}
        found.setdefault(method, {})[way] = own
        print(method, way, json.dumps(own), flush=True)
        arguments.out.parent.mkdir(exist_ok=True)
        arguments.out.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


def table(found: dict[str, dict[str, dict[str, dict[str, float | None]]]]) -> None:
    """Accuracy of all classes, on balanced supports with what is ours, which changes nothing there.

    – where some class has no finite score.
    """
    for method, ways in sorted(found.items()):
        ours, before = ways["ours"], ways["without"]
        columns = [ours["balanced 1"], ours["balanced 8"]]
        columns += [way[name] for name in ("unbalanced", "absent") for way in (before, ours)]
        numbers = ["–" if each["all"] is None else f"{each['all']:.1f}" for each in columns]
        print(f"| `{method}` | {' | '.join(numbers)} |")


def mean(method: str, drawn: list[Draw], counts: tuple[int, ...]) -> dict[str, float | None]:
    """Mean accuracy in per cent, of all test pictures and of class 4; None: not finite."""
    pairs = [scored(method, each, counts) for each in drawn]
    every, one = torch.tensor(pairs, dtype=torch.float64).mean(0).tolist()
    return {"all": finite(every), "class 4": finite(one)}


def scored(method: str, drawn: Draw, counts: tuple[int, ...]) -> tuple[float, float]:
    """The same of one draw, NaN where scores are not finite or a class has none."""
    m = get(method)
    episode = replace(drawn.episode, support=first(drawn.episode.support, counts))
    chosen = selection.select(m, episode, m.config(), None)
    test = drawn.test
    with torch.inference_mode():
        logits = m.answer(chosen.state, chosen.config, test.query, episode.classes)
    if logits.shape[1] < episode.classes or not logits.isfinite().all():
        return float("nan"), float("nan")
    return accuracy(logits, test.labels), float(class_accuracy(logits, test.labels)[ABSENT])


def first(support: Support, counts: tuple[int, ...]) -> Support:
    """The first so many pictures of each class."""
    seen = [0] * len(counts)
    rows = []
    for row, label in enumerate(support.labels.tolist()):
        if seen[label] < counts[label]:
            rows.append(row)
        seen[label] += 1
    return Support(
        support.views[:, rows],
        support.labels[rows],
        tuple(support.ids[row] for row in rows),
        None if support.pre is None else support.pre[:, rows],
        None if support.patches is None else support.patches[rows],
    )


def finite(value: float) -> float | None:
    return round(value, 2) if value == value else None


if __name__ == "__main__":
    main()
