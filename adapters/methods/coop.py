"""CoOp: the words around the class name are vectors that are learned (Zhou et al. 2022).

    g_c = unit(T([v_1 … v_M, name of c])),   v by cross-entropy of s f . g_c   (arXiv 2109.01134)

f is the unit image embedding, T the text tower that the cache keeps, s CLIP's logit scale. v are
shared by all classes, or with `per_class` each class's own, which then knows no other classes. Uses
of the cache: the views of each support picture, one at random each time it is drawn (one will do);
the text tower (`featcache encode --extra text-tower`).

Differs from the released code: by default a step takes all support pictures, for it costs the same,
each as its centre crop and a view, so that 100 steps of AdamW do. Presets: `paper` with 16 random
vectors, `paper-words` with "a photo of a" (its base-to-new rows), both SGD 2e-3 with batches of 32
for 50 to 200 epochs. Contexts of each class start at the words too, where the code shares them.
"""

from __future__ import annotations

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Generator

from adapters.episode import Episode
from adapters.maths import training
from adapters.method import Method, State
from adapters.methods import _prompts as prompts


@dataclass(frozen=True)
class Config(prompts.PromptConfig):
    """Settings of CoOp."""

    per_class: bool = Field(False, description="a context for each class; knows no new classes")


def fit(episode: Episode, config: Config, generator: Generator) -> State:
    """The contexts, and the class vectors that they make."""
    return training.fit(prompts.prepare(episode, config, generator, per_class=config.per_class))


method = Method(
    config=Config,
    fit=fit,
    logits=prompts.logits,
    with_text=prompts.with_text,
    class_vectors=prompts.class_vectors,
    needs=frozenset({"text tower"}),
    presets={
        "paper": {**prompts.PAPER, "words": "", "context": 16},
        "paper-words": prompts.PAPER,
    },
    source="Zhou et al. 2022, arXiv 2109.01134",
    status="contexts shared or per class; all pictures a step (presets have the published recipe)",
    new_classes="by their names, where contexts are shared",
)
