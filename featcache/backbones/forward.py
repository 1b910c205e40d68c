"""Pictures and prompts through a loaded model: raw embeddings, and what was made on the way."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray

from featcache import threads
from featcache.backbones import image_tower
from featcache.backbones.backbone import DTYPES, Backbone
from featcache.store.entry import EMBEDDING


def encode_pictures(backbone: Backbone, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Embed a batch `[b, s, s, 3]` of fitted pictures; the result `[b, d]` is not normalised."""
    return picture_features(backbone, batch)[EMBEDDING]


def picture_features(
    backbone: Backbone, batch: NDArray[np.uint8], extras: Sequence[str] = ()
) -> dict[str, NDArray[np.float32]]:
    """The embeddings `[b, d]` of such a batch, and what its image tower made on the way to them.

    `extras` may hold `pre-projection` `[b, p]` and `patches` `[b, t, d]`. Raises
    `UnknownNameError` for others, `BackboneError` where the image tower has none.
    """
    image_tower.check(backbone.name, backbone.model, extras)
    mean, std = (
        torch.tensor(values, device=backbone.device).view(1, 3, 1, 1)
        for values in (backbone.preprocess.mean, backbone.preprocess.std)
    )
    with _autocast(backbone, len(batch) * _weights(backbone)[0]):
        # Bytes travel to the device and become numbers there: a quarter of the traffic.
        pixels = torch.as_tensor(batch).to(backbone.device).permute(0, 3, 1, 2)
        pictures = (pixels.float() / 255 - mean) / std
        found = image_tower.forward(backbone.model, pictures, extras)
        return {name: _to_numpy(found[name]) for name in (EMBEDDING, *extras)}


def encode_prompts(
    backbone: Backbone, prompts: Sequence[str], batch_size: int = 256
) -> NDArray[np.float32]:
    """Embed `p` prompts as `[p, d]`, not normalised; warns of those that are cut for length."""
    if not prompts:
        return np.zeros((0, backbone.width), np.float32)
    tokens = tokenise(backbone, list(prompts))
    with _autocast(backbone, min(len(prompts), batch_size) * _weights(backbone)[1]):
        return np.concatenate(
            [
                _to_numpy(backbone.model.encode_text(part.to(backbone.device), normalize=False))  # type: ignore[operator]
                for part in torch.split(tokens, batch_size)
            ]
        )


def tokenise(backbone: Backbone, prompts: list[str]) -> torch.Tensor:
    """Tokens `[p, context]`; tokenisers cut long prompts silently, these are found and told."""
    size = backbone.context_length
    wide = backbone.tokenizer(prompts, context_length=size + 1)
    padding = backbone.tokenizer([""], context_length=size + 1)[0, -1]
    tokens = wide[:, :size].clone()
    full = [int(row) for row in (wide[:, size - 1] != padding).nonzero()]
    if full:
        tokens[full] = backbone.tokenizer([prompts[row] for row in full], context_length=size)
        cut = (tokens[full] != wide[full, :size]).any(1) | (wide[full, size] != padding)
        if count := int(cut.sum()):
            first = prompts[full[int(cut.nonzero()[0])]]
            warnings.warn(
                f"{count} of {len(prompts)} prompts are longer than the {size} tokens of "
                f"{backbone.name} and were cut, the first is: {first}",
                stacklevel=3,
            )
    return tokens


@contextmanager
def _autocast(backbone: Backbone, work: int) -> Iterator[None]:
    """The one place where precision is decided: weights stay fp32 and autocast rounds.

    And where threads are: `work` is inputs times weights, each of which multiplies at least once.
    """
    dtype = DTYPES[backbone.precision]
    low = dtype != torch.float32
    autocast = torch.autocast(backbone.device.type, dtype, enabled=low)
    with threads.for_work(work), torch.inference_mode(), autocast:
        yield


def _weights(backbone: Backbone) -> tuple[int, int]:
    """How many numbers the tower of pictures has, and all else."""
    visual, model = (
        sum(weight.numel() for weight in part.parameters())
        for part in (backbone.model.get_submodule("visual"), backbone.model)
    )
    return visual, model - visual


def _to_numpy(embedding: torch.Tensor) -> NDArray[np.float32]:
    return embedding.float().cpu().numpy()
