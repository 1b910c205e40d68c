"""Encode pictures and prompts once with a CLIP-like model into HDF5 shards.

The public names, imported when first used, so that light commands start fast:
`FeatureCache` reads a cache; `encode_dataset` fills it; `load_dataset` and `load_backbone` give
it what it needs; `import_features` and `export_features` exchange arrays with other projects.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from featcache.backbones import load as load_backbone
    from featcache.cache import Entry, FeatureCache, ImageFeatures, TextFeatures
    from featcache.datasets.registry import load as load_dataset
    from featcache.encode import embed, embed_with, encode_dataset
    from featcache.errors import FeatcacheError
    from featcache.interchange import export_features, import_features

_HOMES = {
    "Entry": ("cache", "Entry"),
    "FeatcacheError": ("errors", "FeatcacheError"),
    "FeatureCache": ("cache", "FeatureCache"),
    "ImageFeatures": ("cache", "ImageFeatures"),
    "TextFeatures": ("cache", "TextFeatures"),
    "embed": ("encode", "embed"),
    "embed_with": ("encode", "embed_with"),
    "encode_dataset": ("encode", "encode_dataset"),
    "export_features": ("interchange", "export_features"),
    "import_features": ("interchange", "import_features"),
    "load_backbone": ("backbones", "load"),
    "load_dataset": ("datasets.registry", "load"),
}

__version__ = "0.1.0"
__all__ = [
    "Entry",
    "FeatcacheError",
    "FeatureCache",
    "ImageFeatures",
    "TextFeatures",
    "embed",
    "embed_with",
    "encode_dataset",
    "export_features",
    "import_features",
    "load_backbone",
    "load_dataset",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'featcache' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(import_module(f"featcache.{module}"), attribute)
