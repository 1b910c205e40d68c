"""The text tower of an entry's backbone, put into the cache and held against the entry's texts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from featcache.backbones import text_tower
from featcache.backbones.backbone import Backbone
from featcache.backbones.forward import encode_prompts
from featcache.backbones.text_tower import TextTower
from featcache.errors import CacheError
from featcache.store import towers
from featcache.store.entry import Entry
from featcache.store.towers import TowerFiles, tolerance
from featcache.store.words import of_pairs
from featcache.store.writing import amend

SAMPLES = 64  # prompts of the entry that are encoded again


def keep(entry: Entry, backbone: Backbone) -> str:
    """Keep the backbone's text tower beside its entries, and say so; one that is there stays.

    The entry's own prompts are encoded again first. Raises `BackboneError` for a tower of another
    kind, `CacheError` where they differ from what is cached, or the disk refuses.
    """
    tower = text_tower.taken(backbone)
    difference, prompts = _check(entry, backbone, tower)
    root, fingerprint = entry.root, backbone.fingerprint
    held = None if towers.problems(root, fingerprint) else towers.find(root, fingerprint)
    new = held is None
    held = held or _write(entry, backbone, tower)
    if entry.manifest["backbone"]["fingerprint"] != fingerprint:
        with amend(entry) as manifest:
            manifest["text_tower"] = fingerprint
    return (
        f"the text tower of {backbone.name} {'is kept' if new else 'was there'} "
        f"({held.size / 1e6:.0f} MB, {tower.config['dtype']}, shared by its entries); {prompts} "
        f"prompts of {entry.key} encoded again differ by at most {difference:.1e}."
    )


def _write(entry: Entry, backbone: Backbone, tower: TextTower) -> TowerFiles:
    about = {
        "backbone": backbone.name,
        "fingerprint": backbone.fingerprint,
        "config": dict(tower.config),
        "tokenizer": "clip-bpe",
    }
    return towers.write(entry.root, about, tower.weights, tower.merges)


def _check(entry: Entry, backbone: Backbone, tower: TextTower) -> tuple[float, int]:
    """The largest difference of unit embeddings from those cached, and of how many prompts."""
    text = entry.text()
    prompts = [prompt for mine in text.prompts for prompt in mine]
    kept: NDArray[Any] = text.embedding[text.mask]
    some = np.unique(np.linspace(0, len(prompts) - 1, SAMPLES, dtype=int)).tolist()
    asked = [prompts[i] for i in some]
    own, most = of_pairs(tower.pairs), backbone.context_length
    for sentence, ids in zip(asked, backbone.tokenizer(asked).tolist(), strict=True):
        mine = [own.start, *own.ids(sentence), own.stop]
        if len(mine) <= most and ids[: len(mine)] != mine:
            raise CacheError(
                f"{backbone.name} cuts {sentence!r} into other pieces than the cache would, so its "
                f"text tower cannot be kept; encode without --extra {towers.TEXT_TOWER}."
            )
    difference = towers.difference(encode_prompts(backbone, asked), kept[some])
    if not difference <= tolerance(entry.manifest):
        raise CacheError(
            f"the texts of {entry.key} are not what {backbone.name} makes of its prompts now (unit "
            f"embeddings differ by {difference:.1e}, {tolerance(entry.manifest):g} is allowed), so "
            "its text tower is of no use there; take the weights that it was made with."
        )
    return difference, len(asked)
