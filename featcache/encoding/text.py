"""A prompt bank to its shard: each prompt's embedding is kept, nothing is averaged here."""

from __future__ import annotations

import numpy as np

from featcache.backbones.backbone import Backbone
from featcache.backbones.forward import encode_prompts
from featcache.errors import FeatcacheError
from featcache.prompts import PromptBank
from featcache.store.entry import Entry
from featcache.store.writing import put_text, text_name


def encode_text(entry: Entry, backbone: Backbone, bank: PromptBank) -> int:
    """Encode a bank unless it stands there, and give the number of prompts encoded.

    Raises `FeatcacheError` for embeddings that are not finite.
    """
    name = text_name(bank.name, bank.prompts)
    if entry.manifest["texts"].get(bank.name) == name and name in entry.manifest["shards"]:
        return 0
    prompts = [prompt for mine in bank.prompts for prompt in mine]
    embedding = encode_prompts(backbone, prompts)
    if not np.isfinite(embedding).all():
        raise FeatcacheError(f"{backbone.name} gave text embeddings that are not finite.")
    put_text(entry, bank.name, embedding, bank.prompts)
    return len(prompts)
