"""From a name to a model: weights, preprocessing and activation, with a fingerprint of each.

Models come from open_clip. What would give wrong numbers there with a warning, or after a
warning that nobody sees, is an error here.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from featcache import tower
from featcache.cache import EMBEDDING
from featcache.errors import BackboneError
from featcache.fetch import fetch
from featcache.images import Preprocess
from featcache.names import BackboneName, names, parse, wants_quick_gelu

__all__ = [
    "Backbone",
    "encode_pictures",
    "encode_prompts",
    "load",
    "names",
    "parse",
    "picture_features",
]

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

Tokenizer = Callable[..., torch.Tensor]


@dataclass(frozen=True)
class Backbone:
    """A frozen two-tower model, ready to encode, and all that its numbers depend on.

    `name` is canonical and `slug` the same as a folder name; `width` is d of the embeddings;
    `logit_scale` is the factor itself, not its logarithm; `activation` is `quick_gelu` or
    `gelu`; `fingerprint` is a hash of the weights; `precision` is `fp32`, `bf16` or `fp16`.
    """

    name: str
    slug: str
    model: torch.nn.Module
    tokenizer: Tokenizer
    context_length: int
    width: int
    logit_scale: float
    activation: str
    preprocess: Preprocess
    fingerprint: str
    precision: str
    device: torch.device


def load(
    name: BackboneName | str,
    pretrained: str | None = None,
    device: str = "auto",
    precision: str = "auto",
) -> Backbone:
    """Load a model in any spelling that `parse` reads, fetching its weights where needed.

    `precision` `auto` is bf16 on CUDA devices that have it, else fp32. Raises `BackboneError`
    where weights cannot be had or read, and what `parse` raises.
    """
    known = parse(name, pretrained) if isinstance(name, str) else name
    target = _device(device)
    precision = _precision(precision, target)
    model, tokenizer, config = fetch(known)
    activation = _activation(model)
    if wants_quick_gelu(known) and activation != "quick_gelu":
        raise BackboneError(f"{known.canonical} was built without the QuickGELU of its weights.")
    fingerprint = _fingerprint(model)
    return Backbone(
        name=known.canonical,
        slug=known.slug,
        model=model.to(target),
        tokenizer=tokenizer,
        context_length=tokenizer.context_length,
        width=int(config["embed_dim"]),
        logit_scale=float(model.logit_scale.exp()),
        activation=activation,
        preprocess=_preprocess(model.visual.preprocess_cfg),
        fingerprint=fingerprint,
        precision=precision,
        device=target,
    )


def encode_pictures(backbone: Backbone, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Embed a batch `[b, s, s, 3]` of fitted pictures; the result `[b, d]` is not normalised."""
    return picture_features(backbone, batch)[EMBEDDING]


def picture_features(
    backbone: Backbone, batch: NDArray[np.uint8], extras: Sequence[str] = ()
) -> dict[str, NDArray[np.float32]]:
    """The embeddings `[b, d]` of such a batch, and what its tower made on the way to them.

    `extras` may hold `pre-projection` `[b, p]` and `patches` `[b, t, d]`. Raises
    `UnknownNameError` for others, `BackboneError` where the tower has none.
    """
    tower.check(backbone.name, backbone.model, extras)
    mean, std = (
        torch.tensor(values, device=backbone.device).view(1, 3, 1, 1)
        for values in (backbone.preprocess.mean, backbone.preprocess.std)
    )
    with _forward(backbone):
        # Bytes travel to the device and become numbers there: a quarter of the traffic.
        pixels = torch.as_tensor(batch).to(backbone.device).permute(0, 3, 1, 2)
        pictures = (pixels.float() / 255 - mean) / std
        found = tower.forward(backbone.model, pictures, extras)
        return {name: _to_numpy(found[name]) for name in (EMBEDDING, *extras)}


def encode_prompts(
    backbone: Backbone, prompts: Sequence[str], batch_size: int = 256
) -> NDArray[np.float32]:
    """Embed `p` prompts as `[p, d]`, not normalised; warns of those that are cut for length."""
    if not prompts:
        return np.zeros((0, backbone.width), np.float32)
    tokens = _tokenise(backbone, list(prompts))
    with _forward(backbone):
        return np.concatenate(
            [
                _to_numpy(backbone.model.encode_text(part.to(backbone.device), normalize=False))  # type: ignore[operator]
                for part in torch.split(tokens, batch_size)
            ]
        )


@contextmanager
def _forward(backbone: Backbone) -> Iterator[None]:
    """The one place where precision is decided: weights stay fp32 and autocast rounds."""
    dtype = DTYPES[backbone.precision]
    low = dtype != torch.float32
    with torch.inference_mode(), torch.autocast(backbone.device.type, dtype, enabled=low):
        yield


def _to_numpy(embedding: torch.Tensor) -> NDArray[np.float32]:
    return embedding.float().cpu().numpy()


def _tokenise(backbone: Backbone, prompts: list[str]) -> torch.Tensor:
    """Tokens `[p, context]`. Tokenisers cut long prompts silently: these are found and told."""
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


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise BackboneError(f"the device {name} cannot be used here; try cpu or auto.") from error
    return device


def _precision(name: str, device: torch.device) -> str:
    if name == "auto":
        cuda = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
        return "bf16" if cuda else "fp32"
    if name not in DTYPES:
        raise BackboneError(f"precision {name} is not known; use auto, {', '.join(DTYPES)}.")
    return name


def _activation(model: torch.nn.Module) -> str:
    from open_clip.transformer import QuickGELU

    quick = any(isinstance(module, QuickGELU) for module in model.modules())
    return "quick_gelu" if quick else "gelu"


def _preprocess(config: Mapping[str, Any]) -> Preprocess:
    size = config["size"]
    sides = {size} if isinstance(size, int) else {int(side) for side in size}
    if len(sides) != 1:
        raise BackboneError(f"this model wants pictures of {size}; only squares are supported.")
    bilinear = config["interpolation"] == "bilinear"
    return Preprocess(
        size=sides.pop(),
        mean=tuple(float(x) for x in config["mean"]),
        std=tuple(float(x) for x in config["std"]),
        interpolation="bilinear" if bilinear else "bicubic",  # open_clip's "random" is bicubic
        resize_mode=config["resize_mode"] or "shortest",
        fill_color=int(config["fill_color"]),
    )


def _fingerprint(model: torch.nn.Module) -> str:
    """Hash of names, types, shapes and bytes of all weights in sorted order, on all cores."""

    def line(item: tuple[str, torch.Tensor]) -> str:
        name, tensor = item
        content = tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy()
        digest = hashlib.sha256(content.data).hexdigest()
        return f"{name} {tensor.dtype} {tuple(tensor.shape)} {digest}\n"

    with ThreadPoolExecutor() as pool:
        lines = pool.map(line, sorted(model.state_dict().items()))
        return hashlib.sha256("".join(lines).encode()).hexdigest()
