"""Pictures and prompts through a loaded model: raw embeddings, and what was made on the way."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featcache import threads
from featcache.backbones import image_tower, text_cut
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
    found = features_of(backbone, torch.as_tensor(batch).to(backbone.device), extras)
    return {name: _to_numpy(tensor) for name, tensor in found.items()}


def features_of(
    backbone: Backbone,
    batch: Tensor,
    extras: Sequence[str] = (),
    model: torch.nn.Module | None = None,
) -> dict[str, Tensor]:
    """The same of a batch `[b, s, s, 3]` of bytes on the backbone's device, left there.

    Nothing waits for the device. `extras` have been checked; `model` is the backbone's, compiled.
    """
    mean, std = backbone.scaling
    with _computing(backbone, len(batch) * _weights(backbone)[0], rounds=not backbone.is_cast):
        # Bytes travel to the device and become numbers there: a quarter of the traffic.
        pictures = (batch.permute(0, 3, 1, 2).float() / 255 - mean) / std
        if backbone.is_cast:
            pictures = pictures.to(DTYPES[backbone.precision])
        found = image_tower.forward(model or backbone.seeing, pictures, extras)
        return {name: found[name] for name in (EMBEDDING, *extras)}


def encode_prompts(
    backbone: Backbone, prompts: Sequence[str], batch_size: int = 256
) -> NDArray[np.float32]:
    """Embed `p` prompts as `[p, d]`, not normalised; warns of those that are cut for length."""
    if not prompts:
        return np.zeros((0, backbone.width), np.float32)
    model: Any = backbone.model
    tokens = tokenise(backbone, list(prompts))
    if not text_cut.can_cut(model):
        return _texts(backbone, model.encode_text, torch.split(tokens, batch_size))
    lengths = text_cut.ends(model, tokens)
    # Texts of one length together: few are longer than need be.
    order = lengths.argsort(stable=True)
    parts = [tokens[rows, : int(lengths[rows[-1]])] for rows in torch.split(order, batch_size)]
    found = np.zeros((len(prompts), backbone.width), np.float32)
    found[order.numpy()] = _texts(backbone, partial(text_cut.encode_cut, model), parts)
    return found


def _texts(
    backbone: Backbone, encode: Callable[[Tensor], Tensor], parts: Sequence[Tensor]
) -> NDArray[np.float32]:
    with _computing(backbone, max(map(len, parts)) * _weights(backbone)[1]):
        return np.concatenate([_to_numpy(encode(part.to(backbone.device))) for part in parts])


def tokenise(backbone: Backbone, prompts: list[str]) -> Tensor:
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
def _computing(backbone: Backbone, work: int, rounds: bool = True) -> Iterator[None]:
    """The one place where precision is decided: autocast rounds what goes into products.

    And where threads are: `work` is inputs times weights, each of which multiplies at least once.
    """
    dtype = DTYPES[backbone.precision]
    low = rounds and dtype != torch.float32
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


def _to_numpy(embedding: Tensor) -> NDArray[np.float32]:
    return embedding.float().cpu().numpy()
