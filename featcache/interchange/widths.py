"""How wide a backbone's embeddings are, as far as that can be known without loading it."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

from featcache.backbones.names import DEMO, QUICK, BackboneName
from featcache.resources import data_path

CONFIG = "open_clip_config.json"


def width(name: BackboneName) -> int | None:
    """Numbers an embedding of the backbone has; None where only the model itself knows."""
    for path in _configs(name):
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            return int(document.get("model_cfg", document)["embed_dim"])
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            continue
    return None


def _configs(name: BackboneName) -> list[Path]:
    """Files that may say it: of a model folder its own, of a model by name open_clip's."""
    if name.folder is not None:
        return [name.folder / CONFIG]
    if name.model == DEMO:
        return [data_path("demo") / CONFIG]
    # To import open_clip takes seconds, and its configs are plain files beside it.
    spec = find_spec("open_clip")
    roots = spec.submodule_search_locations if spec else None
    models = (name.model, name.model.removesuffix(QUICK))
    return [Path(root) / "model_configs" / f"{m}.json" for root in roots or () for m in models]
