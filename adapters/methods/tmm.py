"""TMM-R, a reconstruction: prompts that support pictures of the class enrich (ICCV 2023).

    m_c = sum_i softmax_i(tau t_c . e_i) e_i over the pictures e_i of class c,   v_c = v + net(m_c)
    g_c = unit(T([v_c, name of c])),   v and net by cross-entropy of s f . g_c   (arXiv 2303.17169)

f is the unit image embedding, t_c the unit class vector of the entry's prompts, T the text tower
that the cache keeps, s CLIP's logit scale. Confirmed by the abstract: prompts are enriched with
image information that is related to the label. Ours: everything else, hence the settings. The
paper's other half, text-guided tuning in the image branch, needs a live image tower and is left
out, and so is its contrastive loss. A class without pictures, and classes known by name alone, have
the context v as it is. Uses of the cache: the views of each support picture, one at random each
time it is drawn (one will do), and their mean; text; the text tower (`featcache encode --extra
text-tower`).
"""

from __future__ import annotations

from dataclasses import replace

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor
from torch.nn.functional import normalize

from adapters.episode import Episode, Text
from adapters.maths import prompts as sentences
from adapters.maths import training
from adapters.maths.prompts import Sentences
from adapters.maths.training import Tensors
from adapters.method import Method, State
from adapters.methods import _prompts as prompts


@dataclass(frozen=True)
class Config(prompts.PromptConfig):
    """Settings of TMM-R; the paper's own values are not known."""

    sharpness: float = Field(10.0, ge=0, description="tau, of the attention; 0: the mean picture")
    reduction: int = Field(16, ge=1, description="the net is d / reduction wide inside")


def fit(episode: Episode, config: Config, generator: Generator) -> State:
    """The context and the net, and the class vectors that they make."""
    tower = prompts.tower_of(episode.text)
    start = prompts.contexts(tower, episode.text, config, generator)  # [M, w]
    seen = pictured(episode, config)
    d = seen.shape[1]
    inner = max(d // config.reduction, 1)
    net = prompts.new_layers({"net.0": (inner, d), "net.1": (tower.width, inner)}, generator)
    net |= {name: torch.zeros_like(p) for name, p in net.items() if name.startswith("net.1")}
    return training.fit(
        prompts.prepare(
            episode, config, generator, speak=speak, fixed={"pictured": seen},
            learned={"contexts": start, **{name: p.to(start) for name, p in net.items()}},
        )
    )  # fmt: skip


def pictured(episode: Episode, config: Config) -> Tensor:
    """What the text of each class looks at in its pictures, m `[c, d]`; zeros where it has none."""
    keys, labels, text = episode.support.keys(), episode.support.labels, episode.text.unit()
    near = config.sharpness * (keys * text[labels]).sum(1)
    weights = (near - near.max()).exp()  # [n]
    total = torch.zeros_like(text[:, 0]).index_add(0, labels, weights)
    sums = torch.zeros_like(text).index_add(0, labels, weights[:, None] * keys)
    return sums / total.clamp(min=torch.finfo(total.dtype).tiny)[:, None]


def speak(those: Sentences, p: Tensors, text: Tensor) -> Tensor:
    """Class vectors of sentences, with the context of each class where pictures enrich it."""
    if "pictured" not in p:
        return prompts.spoken(those, p, text)
    m = p["pictured"]
    moved = training.apply(p, "net.1", training.apply(p, "net.0", m).relu())
    moved = moved * m.any(1, keepdim=True)
    own = replace(sentences.each_own(those, torch.arange(len(m))), parts=those.parts)
    return normalize(sentences.encode(own, p["contexts"] + moved[:, None])[0], dim=-1)


def with_text(state: State, config: Config, text: Text) -> State:
    """The context alone for other classes, by their names."""
    known = {name: p for name, p in state.items() if name != "pictured"}
    return prompts.with_text(known, config, text, speak)


method = Method(
    config=Config,
    fit=fit,
    logits=prompts.logits,
    with_text=with_text,
    class_vectors=prompts.class_vectors,
    needs=frozenset({"text tower"}),
    source="arXiv 2303.17169",
    status=(
        "**reconstruction** of its text half alone: class-aware prompts from support pictures; the"
        " image branch needs a live tower and is left out"
    ),
    new_classes="by their names, without pictures",
)
