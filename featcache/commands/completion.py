"""What Tab offers: names read from small files, so that it comes at once, and never an error."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import typer

from featcache.backbones.names import DEMO
from featcache.catalogue import modules
from featcache.datasets import kind, presence, table
from featcache.datasets.dataset import SPLITS
from featcache.engines.options import of_encoding
from featcache.prompts import SHIPPED
from featcache.store.cache import FeatureCache
from featcache.store.entry import EXTRAS, Entry
from featcache.store.sameness import spellings
from featcache.store.towers import TEXT_TOWER
from featcache.terminal import completing, fixed

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
VIEWS_FOR = ("few-shot", "all")
DECODE_IN = ("auto", "threads", "processes", "card")
CLASSES = presence.CLASSES
LAYOUTS = kind.LAYOUTS
EXPORTED = ("plain", "tip")


def _datasets(context: typer.Context) -> list[str]:
    return [info.name for info in table.names()]


def _backbones(context: typer.Context) -> list[str]:
    """The demo, and the models that open_clip has a configuration of, without importing it."""
    spec = find_spec("open_clip")
    if spec is None or spec.origin is None:
        return [DEMO]
    configs = (Path(spec.origin).parent / "model_configs").glob("*.json")
    return [DEMO, *sorted(path.stem for path in configs)]


def _formats(context: typer.Context) -> list[str]:
    """The projects whose files are known, by their modules, without importing any."""
    return [*modules(Path(__file__).parents[1] / "interchange" / "projects")]


def _entries(context: typer.Context) -> list[Entry]:
    """What the manifests of the cache list; `--cache` is heeded where it stands before."""
    return FeatureCache(context.params.get("cache")).entries()


def _keys(context: typer.Context) -> list[str]:
    return [entry.key for entry in _entries(context)]


def _cached_datasets(context: typer.Context) -> list[str]:
    return sorted(spellings(_entries(context)))


def _cached_backbones(context: typer.Context) -> list[str]:
    return sorted({entry.backbone for entry in _entries(context)})


datasets = completing(_datasets)
backbones = completing(_backbones)
formats = completing(_formats)
engines = fixed(of_encoding())
keys = completing(_keys)
cached_datasets = completing(_cached_datasets)
cached_backbones = completing(_cached_backbones)
banks = fixed(SHIPPED)
splits = fixed(SPLITS, listed=True)
extras = fixed((*EXTRAS, TEXT_TOWER), listed=True)
precisions = fixed(PRECISIONS)
views_for = fixed(VIEWS_FOR)
decode_in = fixed(DECODE_IN)
classes = fixed(CLASSES)
layouts = fixed(LAYOUTS)
exported = fixed(EXPORTED)
