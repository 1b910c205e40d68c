"""What Tab offers: names of methods, tasks, settings and of what is cached, without torch."""

from __future__ import annotations

import json
from collections.abc import Iterable

import typer

from adapters import registry
from adapters.expression import leaves
from adapters.results import COLUMNS
from adapters.sweeping.engine import engine_names
from featcache.resources import data_path
from featcache.store.cache import FeatureCache
from featcache.store.entry import Entry
from featcache.store.sameness import spellings
from featcache.terminal import completing, fixed

ALL = "all"


def _entries(context: typer.Context) -> list[Entry]:
    return FeatureCache(context.params.get("cache")).entries()


def _settings(context: typer.Context) -> Iterable[str]:
    """`method.field=` of the methods asked for, and `field=` where that is one."""
    asked = str(context.params.get("method") or "fma")
    known = registry.names() if asked == ALL else [m for e in asked.split(",") for m in leaves(e)]
    for name in known:
        presets = ["preset"] if "presets=" in registry.file(name).read_text("utf-8") else []
        for field in [*registry.settings(name), *presets]:
            yield f"{name}.{field}="
            if len(known) == 1:
                yield f"{field}="


def _tables() -> list[str]:
    """Published tables that can be made anew, by their file alone."""
    return [t["name"] for t in json.loads(data_path("reproduce.json").read_text(encoding="utf-8"))]


method = fixed(registry.names())
methods = fixed([ALL, *registry.names()], listed=True)
tables = completing(lambda context: ["list", *_tables()])
task = fixed(registry.task_names())
tasks = fixed(registry.task_names(), listed=True)
policy = fixed(registry.POLICIES)
policies = fixed(registry.POLICIES, listed=True)
engines = fixed(engine_names())
columns = fixed(f"{name}=" for name in ("run", *COLUMNS))
settings = completing(_settings)
dataset = completing(lambda context: spellings(_entries(context)))
datasets = completing(lambda context: spellings(_entries(context)), listed=True)
backbone = completing(lambda context: {e.backbone for e in _entries(context)})
backbones = completing(lambda context: {e.backbone for e in _entries(context)}, listed=True)
banks = completing(lambda context: {b for e in _entries(context) for b in e.banks}, listed=True)
