"""The text tower that a cache keeps of an entry's backbone, as tensors, held against its texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch

from adapters.maths import text_tower
from adapters.maths.text_tower import Tower
from featcache.errors import CacheError
from featcache.store import towers
from featcache.store.towers import TowerFiles
from featcache.store.words import Tokenizer

if TYPE_CHECKING:
    from featcache.store.entry import Entry

SAMPLES = 64  # prompts that are encoded again


@dataclass(frozen=True)
class KeptTower:
    """The text tower of an entry, which is read when it is asked for."""

    entry: Entry

    def on(self, device: torch.device) -> Tower:
        """Its tensors there, float32.

        Raises `CacheError` where they are damaged, or the entry's texts are not of that tower.
        """
        tower = _moved(self._known, device)
        bank = self.entry.banks[-1]
        _check(_Asked(self.entry.manifest["texts"][bank], self._known.digest, self.entry))
        return tower

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Tokens of each text, without those of its start and its end."""
        tokenizer = _tokenizer(self._known)
        return [tokenizer.ids(text) for text in texts]

    @property
    def _known(self) -> _Known:
        found = self.entry.text_tower()
        if found is None:
            raise CacheError(
                f"the cache {self.entry.root} does not keep the text tower of "
                f"{self.entry.backbone} any more; {towers.ANEW}"
            )
        return _Known(found.about["files"][towers.WEIGHTS]["sha256"], found)


def kept(entry: Entry) -> KeptTower | None:
    """The text tower of an entry; None where its cache keeps none.

    One that is damaged is there until it is asked, as most methods do without.
    """
    there = towers.there(entry.root, entry.spoken_by)
    return KeptTower(entry) if there and entry.banks else None


@dataclass(frozen=True)
class _Known:
    """A tower by the digest of its weights."""

    digest: str
    files: TowerFiles = field(compare=False)


@dataclass(frozen=True)
class _Asked:
    """A bank of texts by the name of its shard, which changes with them, and a tower's digest."""

    texts: str
    digest: str
    entry: Entry = field(compare=False)


@lru_cache(maxsize=2)
def _tokenizer(known: _Known) -> Tokenizer:
    return known.files.tokenizer()


@lru_cache(maxsize=2)
@torch.inference_mode(False)  # whoever asks first: what is kept is trained through later
def _loaded(known: _Known) -> Tower:
    config, tokenizer = known.files.config, _tokenizer(known)
    return Tower(
        {name: torch.from_numpy(each).float() for name, each in known.files.weights().items()},
        layers=config["layers"],
        heads=config["heads"],
        context=config["context"],
        activation=config["activation"],
        epsilon=config["epsilon"],
        start=tokenizer.start,
        stop=tokenizer.stop,
    )


@lru_cache(maxsize=2)
def _moved(known: _Known, device: torch.device) -> Tower:
    tower = _loaded(known)
    return tower if device.type == "cpu" else tower.to(device)


@lru_cache(maxsize=256)
def _check(asked: _Asked) -> None:
    """Raise `CacheError` where prompts encoded again are not as the entry has them."""
    kept_tower, text = KeptTower(asked.entry), asked.entry.text()
    tower = _loaded(kept_tower._known)
    prompts = [prompt for mine in text.prompts for prompt in mine]
    some = np.unique(np.linspace(0, len(prompts) - 1, SAMPLES, dtype=int)).tolist()
    ids = {row: mine for row, mine in zip(some, kept_tower.ids([prompts[r] for r in some]),
           strict=True) if len(mine) + 2 <= tower.context}  # fmt: skip
    if not ids:
        return
    anew = sentences(tower, list(ids.values())).numpy()
    found = towers.difference(anew, text.embedding[text.mask][list(ids)])
    if not found <= towers.tolerance(asked.entry.manifest):
        raise CacheError(
            f"the texts of {asked.entry.key} are not what the kept text tower makes of their "
            f"prompts (unit embeddings differ by {found:.1e}, "
            f"{towers.tolerance(asked.entry.manifest):g} is allowed); {towers.ANEW}"
        )


def sentences(tower: Tower, ids: Sequence[Sequence[int]]) -> torch.Tensor:
    """Raw embeddings `[p, d]` of whole sentences, given by their tokens."""
    longest = max(map(len, ids)) + 2
    rows = [[tower.start, *mine, tower.stop] + [0] * (longest - 2 - len(mine)) for mine in ids]
    ends = torch.tensor([len(mine) + 1 for mine in ids])
    own = text_tower.embed(tower, torch.tensor(rows))[None]
    with torch.inference_mode():
        return text_tower.encode(tower, own, ends)[0]
