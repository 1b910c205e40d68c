"""TIMO: prompts weighted by the pictures, and pictures joined by prompts (Li et al. 2024).

    s_cp = cos(prompt p, mean support of c)
    t_c  = unit(sum_p softmax_p(gamma s_c / ||s_c||) prompt_cp)                  (image-guided text)
    W, b = Gaussian discriminant of support and s_cp prompt_cp as samples of c   (text-guided image)
    logits = alpha f T^T + f W^T + b                                         (arXiv 2412.11375)

f is the unit query; prompts are unit vectors; W and b as in GDA. alpha takes the published grid
1e-4, ..., 1e4 (100 where nothing chooses: ours). gamma is 50 (the source takes 1 on ImageNet, 100
on Flowers). `preset=s` is TIMO-S, which also searches gamma in 5, ..., 100 and how many prompts
join, best first, up to twice all.

Uses of the cache: all views, every prompt apart. Differs from the released code: classes may have
different numbers of prompts, where the source cuts all to the shortest class, so that the number
that joins is a share of a class's prompts (at least one); TIMO-S tries six shares, fewest first,
and ten gammas (ours). The source has ten views a picture and some dozens of prompts; with one view
and a hundred prompts the prompts swamp the pictures, and few (`preset=s`) are better than all.
"""

from __future__ import annotations

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor
from torch.nn.functional import normalize

from adapters.episode import Episode
from adapters.maths import gaussian
from adapters.method import Axes, ChoiceLogits, Method, Space, State

ALPHAS = tuple(10.0**power for power in range(-4, 5))
GAMMAS = (5.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 85.0, 100.0)
SHARES = (0.01, 0.05, 0.25, 0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Config:
    """Settings of TIMO."""

    alpha: float = Field(100.0, ge=0, description="weight of the texts beside the Gaussians")
    gamma: float = Field(50.0, ge=0, description="how far the best prompts outweigh the others")
    share: float = Field(
        1.0, ge=0, le=2, description="of a class's prompts that join; above 1 the best join twice"
    )
    search: bool = Field(False, description="search gamma and share too, as TIMO-S does")


PRESETS = {"s": {"search": True}}


def fit(episode: Episode, config: Config, generator: Generator) -> State:
    """The prompts with their scores, and the Gaussians' class weights."""
    support, mask = episode.support, episode.text.mask
    prompts = normalize(episode.text.prompts, dim=-1)  # [c, p, d]
    views = normalize(support.views, dim=-1)  # [v, n, d]
    blocks = [gaussian.unweighted(view, support.labels) for view in views]
    means = normalize(gaussian.class_means(blocks, episode.classes), dim=-1)  # [c, d]
    there = support.labels.bincount(minlength=episode.classes) > 0
    means = means.where(there[:, None], episode.text.unit())  # all that is known of it
    scores = torch.einsum("cpd,cd->cp", prompts, means)
    joining = _joining(scores, mask, config.share, prompts)
    weights, bias = gaussian.discriminant([*blocks, joining], episode.classes)
    return {"prompts": prompts, "mask": mask, "scores": scores, "weights": weights, "bias": bias}


def _joining(scores: Tensor, mask: Tensor, share: float, prompts: Tensor) -> gaussian.Block:
    """Each prompt scaled by its score, counted as often as it joins: 0, 1 or 2 times."""
    ranked = scores.masked_fill(~mask, -torch.inf).argsort(1, descending=True).argsort(1)  # [c, p]
    count = mask.sum(1, keepdim=True)
    wanted = (share * count).round().clamp(min=share > 0)  # [c, 1]
    times = ((wanted - ranked) / count).ceil().clamp(min=0) * mask  # [c, p]
    labels = torch.arange(len(scores), device=scores.device).repeat_interleave(scores.shape[1])
    x = prompts * scores.unsqueeze(-1)  # [c, p, d]
    return gaussian.Block(x.flatten(0, 1), labels, times.flatten())


def _text(state: State, gamma: float) -> Tensor:
    """Image-guided class texts `[c, d]`."""
    mask = state["mask"]
    scale = (state["scores"] * mask).norm(dim=1, keepdim=True)
    attention = (gamma * state["scores"] / scale).masked_fill(~mask, -torch.inf).softmax(1)
    return normalize(torch.einsum("cp,cpd->cd", attention, state["prompts"]), dim=-1)


def logits(state: State, config: Config, x: Tensor) -> Tensor:
    """Scores `[q, c]` of raw embeddings `x [q, d]`."""
    (_, scores), *_ = logits_over(
        state, config, x, {"gamma": (config.gamma,), "alpha": (config.alpha,)}
    )
    return scores


def space(config: Config) -> Space:
    """The published alphas; with `search` gamma and the share of prompts too."""
    if not config.search:
        return Space(logits={"alpha": ALPHAS})
    return Space(fit={"share": SHARES}, logits={"gamma": GAMMAS, "alpha": ALPHAS})


def logits_over(state: State, config: Config, x: Tensor, axes: Axes) -> ChoiceLogits:
    """Every gamma and alpha; the Gaussians' share is the same for all."""
    f = normalize(x, dim=-1)
    gauss = f @ state["weights"].T + state["bias"]  # [q, c]
    for gamma in axes.get("gamma", [config.gamma]):
        text = f @ _text(state, gamma).T  # [q, c]
        for alpha in axes.get("alpha", [config.alpha]):
            choice = {"gamma": gamma, "alpha": alpha}
            yield {name: choice[name] for name in axes}, alpha * text + gauss


method = Method(
    config=Config,
    fit=fit,
    logits=logits,
    space=space,
    logits_over=logits_over,
    presets=PRESETS,
    source="arXiv 2412.11375",
    status=(
        "as published, `preset=s` for TIMO-S with a search of ours; classes keep all their prompts"
    ),
)
