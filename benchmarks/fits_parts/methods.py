"""Fits of every method, and answers of every method."""

from __future__ import annotations

import argparse
import time

from fits_parts.conditions import ONE, child, in_conditions
from fits_parts.timing import Row, Rows, timed

CLASSES = 19
PICTURES = 5_000  # asked of every method


def methods(asked: argparse.Namespace) -> list[str]:
    """Those asked for, or all but learners of prompts (benchmarks/prompt_learning.py)."""
    from adapters import names
    from adapters.compose import get
    from adapters.episode import TEXT_TOWER

    known = [name for name in sorted(names()) if TEXT_TOWER not in get(name).needs]
    return asked.methods.split(",") if asked.methods else known


def fits(asked: argparse.Namespace, until: float) -> Rows:
    """Every method, in the four conditions."""
    named = methods(asked)
    return in_conditions(lambda more, end: child("fits", named, asked, more, end), until)


def fits_here(asked: argparse.Namespace, until: float) -> Rows:
    """Every method with its choice of settings, one after the other."""
    from featcache.threads import wait_passively

    wait_passively()  # as the door does
    from imagenet_size import invented

    from adapters.compose import get
    from adapters.configure import configure
    from adapters.selection import select

    plain, wide = invented(CLASSES), invented(CLASSES, extras=True)
    # What the first training of a process loads is no method's time.
    select(get("taskres"), plain[0], get("taskres").config(epochs=1), None)
    for name in methods(asked):
        method = get(name)
        episode, held = wide if method.needs else plain
        config, fixed = configure(name, method, {})
        fit = (method, episode, config, held, fixed)
        left = min(asked.limit, until - time.monotonic())
        yield name, timed(lambda fit=fit: select(*fit), left)  # type: ignore[misc]


def answers(asked: argparse.Namespace, until: float) -> Rows:
    """Answers of every method beside those of a linear classifier, with one thread."""
    return child("answers", methods(asked), asked, ONE, until)


def answers_here(asked: argparse.Namespace, until: float) -> Rows:
    """Rows of benchmarks/answering.py: some thousand pictures among 1,000 classes."""
    import torch
    from answering import measured

    torch.set_num_threads(1)
    for name in methods(asked):
        row: Row = {}
        found = timed(
            lambda name=name, row=row: row.update(measured([name], PICTURES)["methods"][name]),  # type: ignore[misc]
            until - time.monotonic(),
        )
        yield name, row or found
