"""GDA: Gaussian discriminant analysis of the support beside the class texts (Wang et al. 2024).

    logits = s f T^T + alpha (f W^T + b)
    W = mu P,   b_c = log(1/C) - mu_c P mu_c^T / 2,   P = d pinv((n - 1) S + tr(S) I)

ICLR 2024, "A Hard-to-Beat Baseline for Training-Free CLIP-based Adaptation", section 3. mu are the
class means of the n unit support embeddings, every view a sample, and S their covariance within
classes; P is the shrunk estimate that the released code computes. f is the unit query, T the unit
class texts. Nothing is trained; alpha takes the published grid 1e-4, 1e-3, ..., 100.

At one shot and one view S is 0 and the published formula is zero-shot; here S is then isotropic
with the variance between class means (ours). Uses of the cache: all views, text. Differs from the
released code: settings are chosen by policy, never on test. Classes have the prior 1/C also where
the support is unbalanced, as published.
"""

from __future__ import annotations

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor, tensor
from torch.nn.functional import normalize

from adapters.episode import Episode
from adapters.maths import gaussian
from adapters.method import Axes, ChoiceLogits, Method, Space, State

ALPHAS = (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0)


@dataclass(frozen=True)
class Config:
    """Settings of GDA."""

    alpha: float = Field(1.0, ge=0, description="weight of the Gaussian scores beside the text")


def fit(episode: Episode, config: Config, generator: Generator) -> State:
    """Class weights and biases in closed form."""
    views, labels = normalize(episode.support.views, dim=-1), episode.support.labels  # [v, n, d]
    blocks = [gaussian.unweighted(view, labels) for view in views]
    weights, bias = gaussian.discriminant(blocks, episode.classes)
    return {
        "weights": weights,  # [c, d]
        "bias": bias,  # [c]
        "text": episode.text.unit(),  # [c, d]
        "logit_scale": tensor(episode.logit_scale),
    }


def _parts(state: State, x: Tensor) -> tuple[Tensor, Tensor]:
    """What the texts and what the Gaussians say `[q, c]` of raw embeddings `x [q, d]`."""
    f = normalize(x, dim=-1)
    return state["logit_scale"] * f @ state["text"].T, f @ state["weights"].T + state["bias"]


def logits(state: State, config: Config, x: Tensor) -> Tensor:
    """Scores `[q, c]` of raw embeddings `x [q, d]`."""
    text, gauss = _parts(state, x)
    return text + config.alpha * gauss


def space(config: Config) -> Space:
    """The published values of alpha."""
    return Space(logits={"alpha": ALPHAS})


def logits_over(state: State, config: Config, x: Tensor, axes: Axes) -> ChoiceLogits:
    """Every alpha from one pass over the queries."""
    text, gauss = _parts(state, x)
    for alpha in axes["alpha"]:
        yield {"alpha": alpha}, text + alpha * gauss


method = Method(
    config=Config,
    fit=fit,
    logits=logits,
    space=space,
    logits_over=logits_over,
    without_text="absent",
    batched=True,
    least_left=2,  # one picture a class has no spread, and alpha would be chosen for another
    source="Wang et al., ICLR 2024",
    status="as published; at one shot and one view an isotropic covariance of ours",
)
