"""A loaded model: weights, configuration, tokeniser and preprocessing, with a fingerprint of them.

Models come from open_clip. What would give wrong numbers there with a warning, or after a
warning that nobody sees, is an error here.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from featcache.backbones.fetching import fetch
from featcache.backbones.lowered import can_be_cast, cast, lowered
from featcache.backbones.names import BackboneName, parse, wants_quick_gelu
from featcache.errors import BackboneError
from featcache.pictures.preprocess import Preprocess

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

# Case, accents, signs, white space, markup and length: where tokenisers differ.
ODD_SENTENCES = [
    "",
    "a photo of a cat.",
    "A Photo of a CAFÉ, naïve & co.",
    "  two\tspaces\nlines  ",
    "it's 3.14 % <b>bold</b> &amp; 🙂 你好",
    "one two three four five six seven eight nine ten " * 12,
]

Tokenizer = Callable[..., torch.Tensor]


@dataclass(frozen=True)
class Backbone:
    """A frozen model of pictures and text, ready to encode, and all that its numbers depend on.

    `name` is canonical and `slug` the same as a folder name; `width` is d of the embeddings;
    `logit_scale` is the factor itself, not its logarithm; `activation` is `quick_gelu` or
    `gelu`; `weights` is a hash of the weights, `fingerprint` of these, the configuration and the
    tokeniser; `precision` is `fp32`, `bf16` or `fp16`.
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
    weights: str
    fingerprint: str
    precision: str
    device: torch.device

    @property
    def identity(self) -> str:
        """Hash of all that decides a number: fingerprint, activation, preprocessing, precision."""
        parts = (self.fingerprint, self.activation, self.preprocess.fingerprint, self.precision)
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]

    @cached_property
    def is_cast(self) -> bool:
        """Whether pictures go through a tower that is in half precision as a whole."""
        low = self.precision != "fp32" and self.device.type == "cuda"
        return low and can_be_cast(self.model)

    @cached_property
    def seeing(self) -> torch.nn.Module:
        """The model as pictures go through it: `model`, or with its weights cast once for them."""
        if self.precision == "fp32":
            return self.model
        return (cast if self.is_cast else lowered)(self.model, DTYPES[self.precision])

    @cached_property
    def scaling(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and deviation `[1, 3, 1, 1]` that pictures are normalised by, on the device."""
        mean, std = (
            torch.tensor(values, device=self.device).view(1, 3, 1, 1)
            for values in (self.preprocess.mean, self.preprocess.std)
        )
        return mean, std


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
    weights, preprocess = _weights(model), _preprocess(model.visual.preprocess_cfg)
    if target.type not in ("cpu", "cuda"):
        target = _proven(model, preprocess.size, target, chosen=device == "auto")
    return Backbone(
        name=known.canonical,
        slug=known.slug,
        model=model.to(target),
        tokenizer=tokenizer,
        context_length=tokenizer.context_length,
        width=int(config["embed_dim"]),
        logit_scale=float(model.logit_scale.exp()),
        activation=activation,
        preprocess=preprocess,
        weights=weights,
        fingerprint=_fingerprint(weights, config, tokenizer),
        precision=precision,
        device=target,
    )


def _device(name: str) -> torch.device:
    if name == "auto":
        return _fastest()
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise BackboneError(f"the device {name} cannot be used here; try cpu or auto.") from error
    return device


def _fastest() -> torch.device:
    """CUDA, else whatever accelerator torch has here (Apple's mps, Intel's xpu), else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    there = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return torch.device("cpu") if there is None else there


def _proven(model: Any, size: int, device: torch.device, chosen: bool) -> torch.device:
    """That accelerator if the model runs there; where it was `chosen` for people, else the CPU."""
    try:
        with torch.inference_mode():
            model.to(device).encode_image(torch.zeros(1, 3, size, size, device=device))
    except (NotImplementedError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:150]
        if not chosen:
            raise BackboneError(
                f"the model does not run on {device} ({reason}); take --device cpu."
            ) from error
        warnings.warn(
            f"the model does not run on {device} ({reason}); it runs on the CPU.", stacklevel=3
        )
        return torch.device("cpu")
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


def _fingerprint(weights: str, config: Mapping[str, Any], tokenizer: Tokenizer) -> str:
    """Hash of the weights, of how they are put together, and of how text becomes tokens."""
    # Heads, pooling and context length change features and no weight; a vocabulary likewise.
    parts = [weights, json.dumps(config, sort_keys=True, default=str), _spoken(tokenizer)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _spoken(tokenizer: Tokenizer) -> str:
    """What tells a tokeniser from another: its vocabulary, and what it makes of odd sentences."""
    inner = getattr(tokenizer, "tokenizer", None)  # of Hugging Face, inside open_clip's
    words = inner.get_vocab() if inner is not None else getattr(tokenizer, "encoder", {})
    vocabulary = json.dumps(sorted((str(word), int(i)) for word, i in words.items()))
    return vocabulary + json.dumps(tokenizer(ODD_SENTENCES).tolist())


def _weights(model: torch.nn.Module) -> str:
    """Hash of names, types, shapes and bytes of all weights in sorted order, on all cores."""

    def line(item: tuple[str, torch.Tensor]) -> str:
        name, tensor = item
        content = tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy()
        digest = hashlib.sha256(content.data).hexdigest()
        return f"{name} {tensor.dtype} {tuple(tensor.shape)} {digest}\n"

    with ThreadPoolExecutor() as pool:
        lines = pool.map(line, sorted(model.state_dict().items()))
        return hashlib.sha256("".join(lines).encode()).hexdigest()
