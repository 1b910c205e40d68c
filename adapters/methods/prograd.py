"""ProGrad: CoOp whose steps never go against what hand-made prompts say (Zhu et al. 2023).

    a = grad CE(s f . g_c),   b = grad of -T^2 sum_c softmax(s f . t / T) log softmax(s f . g / T)
    step along a where a . b >= 0, else along a - lambda (a . b) b / |b|^2       (arXiv 2205.14865)

f is the unit image embedding, g_c the unit class vector of the learned prompt, t_c that of the
entry's prompts, s CLIP's logit scale. Uses of the cache: the views of each support picture, one at
random each time it is drawn (one will do); text; the text tower (`featcache encode --extra
text-tower`).

Differs from the released code: by default a step takes all support pictures, each as its centre
crop and a view, and AdamW takes the mended gradient, so that 200 steps do; the context is the words
alone. Preset `paper`: SGD 2e-3 with
batches of 32 for 50 to 200 epochs, and zeros before the words, up to 16 vectors. All words are
learned, where the code counts them by spaces and so may leave the last one of a template frozen.
"""

from __future__ import annotations

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor, zeros

from adapters.episode import Episode
from adapters.maths import training
from adapters.method import Method, State
from adapters.methods import _prompts as prompts

LEAST = 1e-30  # of a squared gradient that is divided by


@dataclass(frozen=True)
class Config(prompts.PromptConfig):
    """Settings of ProGrad."""

    steps: int = Field(200, ge=0, description="training steps; 0: by epochs")
    learning_rate: float = Field(5e-3, gt=0, description="before the cosine")
    weight: float = Field(1.0, ge=0, description="lambda, of what is taken off a step")
    temperature: float = Field(1.0, gt=0, description="T, of the distilled softmax")
    padded: bool = Field(False, description="zeros before the words, up to `context` vectors")


def fit(episode: Episode, config: Config, generator: Generator) -> State:
    """The contexts, and the class vectors that they make."""
    start = prompts.contexts(prompts.tower_of(episode.text), episode.text, config, generator)
    if config.padded and len(start) < config.context:
        more = zeros(config.context - len(start), start.shape[1], device=start.device)
        start = torch.cat([more, start])

    def objective(step: prompts.Step) -> Tensor:
        """A number whose gradient is the mended one."""
        v = step.learned["contexts"]
        [a] = torch.autograd.grad(step.cross_entropy, v, retain_graph=True)
        [b] = torch.autograd.grad(distilled(step, config, episode.logit_scale), v)
        return (mended(a, b, config.weight) * v).sum()

    found = prompts.prepare(episode, config, generator, objective, learned={"contexts": start})
    return training.fit(found)


def distilled(step: prompts.Step, config: Config, scale: float) -> Tensor:
    """Cross-entropy of the softmax by learned prompts to that by hand-made ones."""
    t = config.temperature
    known = (scale * step.f @ step.data["text"].T / t).softmax(1)
    each = -(known * (step.logits / t).log_softmax(1)).sum(1)
    weights = step.data.get("weights")
    return t**2 * (each if weights is None else weights[step.rows] * each).mean()


def mended(a: Tensor, b: Tensor, weight: float) -> Tensor:
    """`a` without a part of what is against `b`."""
    along = (a * b).sum() / b.square().sum().clamp(min=LEAST)
    return a - weight * along.clamp(max=0) * b


method = Method(
    config=Config,
    fit=fit,
    logits=prompts.logits,
    with_text=prompts.with_text,
    class_vectors=prompts.class_vectors,
    needs=frozenset({"text tower"}),
    presets={"paper": {**prompts.PAPER, "padded": True}},
    source="Zhu et al. 2023, arXiv 2205.14865",
    status="as published; all pictures a step (a preset has the released recipe)",
    new_classes="by their names",
)
