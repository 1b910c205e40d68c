"""Text-LoRA: low-rank changes of the text tower's attention, CLIP-LoRA's text half (CVPRW 2024).

    h = W x + alpha / sqrt(r) B A drop(x)   for queries, keys and values of every block
    g_c = unit(T'(a photo of a c.)),   A, B by cross-entropy of s f . g_c        (arXiv 2405.18541)

f is the unit image embedding, T' the changed tower, s CLIP's logit scale; A starts at random and B
at zero, so that it starts as the words say. Uses of the cache: the views of each support picture,
one at random each time it is drawn (one will do); the text tower (`featcache encode --extra
text-tower`).

Differs from the released code, which trains both towers unless told otherwise: only the text tower
is changed, as with its `--encoder text`. By default a step takes all support pictures, each as its
centre crop and a view, and nothing is dropped. Preset `paper`: 500 steps a shot with batches of 32,
AdamW at 2e-4, a quarter dropped; which numbers are is drawn once a step for every token of a block
alike, so that shared beginnings stay shared, where the code draws for each token.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor, rand, zeros
from torch.nn.functional import normalize

from adapters.episode import Episode, Text
from adapters.maths import prompts as sentences
from adapters.maths import training
from adapters.maths.prompts import Sentences
from adapters.maths.text_tower import Beside, Tower
from adapters.maths.training import Tensors
from adapters.method import Method, State
from adapters.methods import _prompts as prompts

SIDES = 3  # queries, keys, values


@dataclass(frozen=True)
class Config(prompts.PromptConfig):
    """Settings of Text-LoRA."""

    words: str = Field("a photo of a", description="words before the name; empty: none")
    rank: int = Field(2, ge=1, description="r, of a change")
    alpha: float = Field(1.0, gt=0, description="a change counts alpha / sqrt(r)")
    dropout: float = Field(0.0, ge=0, lt=1, description="share of numbers that changes miss")
    steps_a_shot: int = Field(0, ge=0, description="training steps a shot; 0: `steps` in all")


def fit(episode: Episode, config: Config, generator: Generator) -> State:
    """The changes, and the class vectors that they make."""
    tower = prompts.tower_of(episode.text)
    if config.steps_a_shot:
        config = replace(config, steps=config.steps_a_shot * episode.shots)
    words = zeros(0, tower.width, device=episode.text.prompts.device)
    if config.words:
        words = prompts.contexts(tower, episode.text, config, generator)

    def draw() -> Tensors:
        if not config.dropout:
            return {}
        kept = rand(tower.layers, tower.width, generator=generator, device=generator.device)
        return {"kept": (kept >= config.dropout) / (1 - config.dropout)}

    return training.fit(
        prompts.prepare(
            episode, config, generator, speak=speaker(config), fixed={"contexts": words},
            learned=unchanged(tower, config, generator), draw=draw,
        )
    )  # fmt: skip


def unchanged(tower: Tower, config: Config, generator: Generator) -> State:
    """A `[blocks, 3 r, w]` as a linear layer starts, and B `[blocks, 3, w, r]`, zero."""
    w, r, device = tower.width, config.rank, tower.weights["positional_embedding"].device
    uniform = rand(tower.layers, SIDES * r, w, generator=generator, device=generator.device)
    down = (2 * uniform - 1) / math.sqrt(w)
    return {"down": down.to(device), "up": zeros(tower.layers, SIDES, w, r, device=device)}


def speaker(config: Config) -> prompts.Speak:
    """Class vectors of sentences by the changed tower."""

    def speak(those: Sentences, p: Tensors, text: Tensor) -> Tensor:
        changes = beside(p, config.alpha / math.sqrt(config.rank))
        return normalize(sentences.encode(those, p["contexts"][None], changes)[0], dim=-1)

    return speak


def beside(p: Tensors, scale: float) -> Beside:
    """What is added to queries, keys and values `[..., 3 w]` of a block's `x [..., w]`."""

    def added(i: int, x: Tensor) -> Tensor:
        seen = x * p["kept"][i] if "kept" in p else x
        low = seen @ p["down"][i].T  # [..., 3 r]
        sides = low.view(*low.shape[:-1], SIDES, -1)
        return scale * torch.einsum("...sr,swr->...sw", sides, p["up"][i]).flatten(-2)

    return added


def with_text(state: State, config: Config, text: Text) -> State:
    """The same changes for other classes, by their names."""
    return prompts.with_text(state, config, text, speaker(config))


method = Method(
    config=Config,
    fit=fit,
    logits=prompts.logits,
    with_text=with_text,
    class_vectors=prompts.class_vectors,
    needs=frozenset({"text tower"}),
    presets={
        "paper": {
            "steps_a_shot": 500,
            "batch": 32,
            "learning_rate": 2e-4,
            "weight_decay": 0.01,
            "dropout": 0.25,
            "centre": False,
        }
    },
    source="Zanella and Ben Ayed 2024, arXiv 2405.18541",
    status="the text half alone; all pictures a step (a preset has the released recipe)",
    new_classes="by their names",
)
