"""Encode pictures and prompts once with a CLIP-like model into HDF5 shards.

The public names, imported when first used, so that light commands start fast:
`FeatureCache` reads a cache; `encode_dataset` fills it; `load_dataset` and `load_backbone` give
it what it needs, `ViewRecipe` and `prompt_bank` say what else to encode; `dataset_names` and
`backbone_names` list what there is; `import_features` and `export_features` exchange arrays with
other projects.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from featcache.backbones.backbone import load as load_backbone
    from featcache.backbones.names import names as backbone_names
    from featcache.datasets.registry import load as load_dataset
    from featcache.datasets.table import names as dataset_names
    from featcache.encoding.embed import embed, embed_with
    from featcache.encoding.encode import encode_dataset
    from featcache.errors import FeatcacheError
    from featcache.interchange.exporting import export_features
    from featcache.interchange.importing import import_features
    from featcache.pictures.views import ViewRecipe
    from featcache.prompts import bank as prompt_bank
    from featcache.store.cache import FeatureCache
    from featcache.store.entry import Entry
    from featcache.store.features import ImageFeatures, TextFeatures

_HOMES = {
    "Entry": ("store.entry", "Entry"),
    "FeatcacheError": ("errors", "FeatcacheError"),
    "FeatureCache": ("store.cache", "FeatureCache"),
    "ImageFeatures": ("store.features", "ImageFeatures"),
    "TextFeatures": ("store.features", "TextFeatures"),
    "ViewRecipe": ("pictures.views", "ViewRecipe"),
    "backbone_names": ("backbones.names", "names"),
    "dataset_names": ("datasets.table", "names"),
    "embed": ("encoding.embed", "embed"),
    "embed_with": ("encoding.embed", "embed_with"),
    "encode_dataset": ("encoding.encode", "encode_dataset"),
    "export_features": ("interchange.exporting", "export_features"),
    "import_features": ("interchange.importing", "import_features"),
    "load_backbone": ("backbones.backbone", "load"),
    "load_dataset": ("datasets.registry", "load"),
    "prompt_bank": ("prompts", "bank"),
}

__version__ = "0.1.0"
__all__ = [
    "Entry",
    "FeatcacheError",
    "FeatureCache",
    "ImageFeatures",
    "TextFeatures",
    "ViewRecipe",
    "backbone_names",
    "dataset_names",
    "embed",
    "embed_with",
    "encode_dataset",
    "export_features",
    "import_features",
    "load_backbone",
    "load_dataset",
    "prompt_bank",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'featcache' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(import_module(f"featcache.{module}"), attribute)
