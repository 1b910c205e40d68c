"""KgCoOp: CoOp whose class vectors are kept near those of hand-made prompts (Yao et al. 2023).

    loss = CE(s f . g_c) + lambda mean_c (1 - g_c . t_c),   lambda = 8           (arXiv 2303.13283)

f is the unit image embedding, g_c the unit class vector of the learned prompt, t_c that of the
entry's prompts, s CLIP's logit scale; lambda has the scale of the released code, which is half of
the paper's (1 - cos is half the squared distance). Uses of the cache: the views of each support
picture, one at random each time it is drawn (one will do); text; the text tower (`featcache encode
--extra text-tower`).

Differs from the released code: by default a step takes all pictures, for it costs the same, and
each as its centre crop and a view, so that 200 steps of AdamW do. Presets: `paper`, SGD 2e-3 for
100 epochs with batches of 128 (its base-to-new rows), and `paper-few-shot` with batches of 32.
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
    """Settings of KgCoOp."""

    steps: int = Field(200, ge=0, description="training steps; 0: by epochs")
    learning_rate: float = Field(5e-3, gt=0, description="before the cosine")
    weight: float = Field(8.0, ge=0, description="lambda, of the distance to hand-made prompts")


def fit(episode: Episode, config: Config, generator: Generator) -> State:
    """The contexts, and the class vectors that they make."""
    objective = prompts.near_text(config.weight)
    return training.fit(prompts.prepare(episode, config, generator, objective))


method = Method(
    config=Config,
    fit=fit,
    logits=prompts.logits,
    with_text=prompts.with_text,
    class_vectors=prompts.class_vectors,
    needs=frozenset({"text tower"}),
    presets={
        "paper": {**prompts.PAPER, "epochs": 100, "batch": 128},
        "paper-few-shot": {**prompts.PAPER, "epochs": 100},
    },
    source="Yao et al. 2023, arXiv 2303.13283",
    status="as the released code weighs it; all pictures a step (presets have its recipe)",
    new_classes="by their names",
)
