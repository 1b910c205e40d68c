"""What a shell completes: names of methods, tasks, settings and of what is cached, without torch.

A completion never fails: where something is wrong it offers nothing, and the command says it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import typer

from adapters import registry
from adapters.expression import leaves
from adapters.results import COLUMNS
from adapters.sweeping.engine import engine_names
from featcache.cache import Entry, FeatureCache

Names = Callable[[dict[str, Any]], Iterable[str]]


def _completing(names: Names) -> Callable[[typer.Context, str], list[str]]:
    """A completion by the names that begin with what was typed after the last comma."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        try:
            found = sorted({name for name in names(ctx.params) if name.startswith(last)})
        except Exception:
            return []
        return [f"{before}{comma}{name}" for name in found]

    return complete


def _entries(asked: dict[str, Any]) -> list[Entry]:
    return FeatureCache(asked.get("cache")).entries()


def _methods(_asked: dict[str, Any]) -> Iterable[str]:
    return ["all", *registry.names()]


def _settings(asked: dict[str, Any]) -> Iterable[str]:
    """`method.field=`, and `field=` alone where one method is asked for."""
    wanted = str(asked.get("method") or "fma")
    known = [leaf for name in wanted.split(",") for leaf in leaves(name)]
    if known == ["all"]:
        known = registry.names()
    for leaf in known:
        for field in registry.settings(leaf):
            yield f"{leaf}.{field}="
            if len(known) == 1:
                yield f"{field}="


methods = _completing(_methods)
tasks = _completing(lambda _asked: registry.task_names())
policies = _completing(lambda _asked: registry.POLICIES)
settings = _completing(_settings)
engines = _completing(lambda _asked: engine_names())
columns = _completing(lambda _asked: [f"{column}=" for column in ("run", *COLUMNS)])
datasets = _completing(lambda asked: [entry.dataset for entry in _entries(asked)])
backbones = _completing(lambda asked: [entry.backbone for entry in _entries(asked)])
banks = _completing(lambda asked: [bank for entry in _entries(asked) for bank in entry.banks])
plain_methods = _completing(lambda _asked: registry.names())
