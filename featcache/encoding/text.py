"""A prompt bank to its shard: each prompt's embedding is kept, nothing is averaged here.

A prompt that stands in another bank of the entry, or in an older one, is taken from there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featcache.backbones.backbone import Backbone
from featcache.backbones.forward import encode_prompts
from featcache.errors import CacheError, FeatcacheError
from featcache.prompts import PromptBank
from featcache.store import shard
from featcache.store.entry import Entry
from featcache.store.rows import path_of
from featcache.store.writing import put_text, text_name


def encode_text(entry: Entry, backbone: Backbone, bank: PromptBank) -> int:
    """Encode what is new in a bank unless it stands there, and give the number of prompts encoded.

    Raises `FeatcacheError` for embeddings that are not finite.
    """
    name = text_name(bank.name, bank.prompts)
    if entry.manifest["texts"].get(bank.name) == name and name in entry.manifest["shards"]:
        return 0
    prompts = [prompt for mine in bank.prompts for prompt in mine]
    known = _known(entry)
    new = [prompt for prompt in dict.fromkeys(prompts) if prompt not in known]
    encoded = encode_prompts(backbone, new) if new else np.zeros((0, backbone.width))
    if not np.isfinite(encoded).all():
        raise FeatcacheError(f"{backbone.name} gave text embeddings that are not finite.")
    known |= dict(zip(new, encoded.astype(np.float16), strict=True))
    put_text(entry, bank.name, np.stack([known[prompt] for prompt in prompts]), bank.prompts)
    return len(new)


def _known(entry: Entry) -> dict[str, NDArray[np.float16]]:
    """Embeddings of prompts that the entry has or had."""
    found: dict[str, NDArray[np.float16]] = {}
    for name, record in {**entry.manifest.get("older", {}), **entry.manifest["shards"]}.items():
        if record["kind"] == "text":
            try:
                held = shard.read(path_of(entry.folder, name, record), record=record)
            except CacheError:
                continue  # what is damaged gives nothing
            found |= dict(zip(shard.texts(held["prompt"]), held["embedding"], strict=True))
    return found
