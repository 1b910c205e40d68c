"""TCP: tokens made of each class's hand-made text stand for the context deep in the tower (2024).

    u_c = W2 quickgelu(W1 t_c + b1) + b2, as M tokens, in place of v_1 … v_M before a block
    loss = CE(s f . g_c) + lambda mean_c (1 - g_c . t_c),   lambda = 8           (arXiv 2311.18231)

f is the unit image embedding, t_c the unit class vector of the entry's prompts, v the learned
context with which the sentences of the classes start, g_c what the tower makes of them, s CLIP's
logit scale. The net between them is a quarter of t's width. Other classes are read by their names
and their hand-made texts. Uses of the cache: the views of each support picture, one at random each
time it is drawn (one will do); text; the text tower (`featcache encode --extra text-tower`).

Differs from the released code: by default a step takes all support pictures, each as its centre
crop and a view, so that 100 steps of AdamW do; the context starts at words; and the block is two
thirds up the tower, which of twelve is the eighth, as published. Preset `paper`: four random
vectors, AdamW for the code's Adam at 2e-3 for 50 epochs with batches of 32.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor
from torch.nn.functional import normalize

from adapters.episode import Episode, Text
from adapters.maths import prompts as sentences
from adapters.maths import training
from adapters.maths.prompts import Sentences
from adapters.maths.text_tower import ACTIVATIONS, Tower
from adapters.maths.training import Tensors
from adapters.method import Method, State
from adapters.methods import _prompts as prompts
from featcache.errors import MethodError

REDUCTION = 4


@dataclass(frozen=True)
class Config(prompts.PromptConfig):
    """Settings of TCP."""

    position: Literal["end"] = Field("end", description="of the class name")
    weight: float = Field(8.0, ge=0, description="lambda, of the distance to hand-made prompts")
    block: int = Field(0, ge=0, description="before which the tokens stand; 0: two thirds up")


def fit(episode: Episode, config: Config, generator: Generator) -> State:
    """The context and the net, and the class vectors that they make."""
    tower, d = prompts.tower_of(episode.text), episode.text.prompts.shape[-1]
    start = prompts.contexts(tower, episode.text, config, generator)  # [M, w]
    block_of(config, tower)  # refuses one that is not there, before the training is made
    inner = max(d // REDUCTION, 1)
    net = prompts.new_layers({"net.0": (inner, d), "net.1": (start.numel(), inner)}, generator)
    objective = prompts.near_text(config.weight)
    return training.fit(
        prompts.prepare(
            episode, config, generator, objective, speak=speaker(config),
            learned={"contexts": start, **{name: p.to(start) for name, p in net.items()}},
        )
    )  # fmt: skip


def block_of(config: Config, tower: Tower) -> int:
    """The block before which the tokens stand. Raises `MethodError` where there is none."""
    if config.block >= tower.layers:
        raise MethodError(
            f"the text tower has {tower.layers} blocks, and tcp's tokens were to stand before "
            f"block {config.block}; take block={tower.layers - 1} or less."
        )
    return config.block or max(2 * tower.layers // 3, 1)


def speaker(config: Config) -> prompts.Speak:
    """Class vectors of sentences with each class's own tokens."""

    def speak(those: Sentences, p: Tensors, text: Tensor) -> Tensor:
        deep = block_of(config, those.tower), tokens(p, text)
        return normalize(sentences.encode(those, p["contexts"][None], deep=deep)[0], dim=-1)

    return speak


def tokens(p: Tensors, text: Tensor) -> Tensor:
    """The tokens u `[c, M, w]` of unit class texts `[c, d]`."""
    inner = ACTIVATIONS["quick_gelu"](training.apply(p, "net.0", text))
    return training.apply(p, "net.1", inner).view(len(text), *p["contexts"].shape)


def with_text(state: State, config: Config, text: Text) -> State:
    """The same context and net for other classes, by their names and texts."""
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
            **{**prompts.PAPER, "optimiser": "adamw"},
            "words": "",
            "context": 4,
            "epochs": 50,
        }
    },
    source="Yao et al. 2024, arXiv 2311.18231",
    status="as the released code weighs it; all pictures a step (a preset has its recipe)",
    new_classes="by their names and texts",
)
