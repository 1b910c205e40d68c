"""ProKeR: kernel ridge regression of what the class texts get wrong on the support (CVPR 2025).

    logits = s (f T^T + k(f, X) A)
    (K + I/lambda) A = Y - X T^T,   k(x, z) = exp(-beta (1 - x z^T))

X `[n, d]` are unit support embeddings, K = k(X, X), Y their one-hot labels, T the unit class texts,
f the unit query; the text scores inside are unscaled, s is CLIP's logit scale. Written from third
parties' copies of the code, as none is released. K is taken apart once a beta, so that every lambda
is free. The published grids differ from data set to data set and are presets; the default is ours,
10 values of beta from 0.01 to 10 around 16 of lambda from 0.001 to 100, spread by powers, which
spans them all and leaves room for the strong corrections that many shots want.

Uses of the cache: the centre crops (`views` takes more, each a row of X), text. Ours: above
`exact_rows` rows X is replaced by Nyström's landmarks, where the source's matrix of all views would
take 100 GB on ImageNet.
"""

from __future__ import annotations

from math import log10
from typing import Any, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor, tensor
from torch.nn.functional import normalize

from adapters.episode import Episode
from adapters.maths import kernels, leave_one_out, ridge_hits
from adapters.method import (
    Axes,
    ChoiceErrors,
    ChoiceHits,
    ChoiceLogits,
    ChoiceStates,
    Counter,
    Method,
    Space,
    State,
    choices,
)


@dataclass(frozen=True)
class Config:
    """Settings of ProKeR."""

    beta: float = Field(1.0, gt=0, description="sharpness of the kernel")
    lambda_: float = Field(0.1, gt=0, description="lambda, the inverse of the ridge")
    views: int = Field(1, ge=1, description="views of a picture that are rows, centre crop first")
    exact_rows: int = Field(3200, ge=1, description="rows up to which the solution is exact")
    landmarks: int = Field(1000, ge=1, description="rows that Nyström keeps above exact_rows")
    beta_from: float = Field(0.01, gt=0, description="lower end of the search over beta")
    beta_to: float = Field(10.0, gt=0, description="upper end of the search over beta")
    betas: int = Field(10, ge=1, description="values of beta tried")
    lambda_from: float = Field(0.001, gt=0, description="lower end of the search over lambda")
    lambda_to: float = Field(100.0, gt=0, description="upper end of the search over lambda")
    lambdas: int = Field(16, ge=1, description="values of lambda tried")
    spacing: Literal["even", "log"] = Field("log", description="how those values are spread")


def _preset(*values: float) -> dict[str, Any]:
    names = ("beta_from", "beta_to", "betas", "lambda_from", "lambda_to", "lambdas")
    return {**dict(zip(names, values, strict=True)), "spacing": "even"}


PRESETS = {
    "eurosat": _preset(0.5, 3, 20, 0.001, 1, 100),
    "imagenet": _preset(1.5, 3, 10, 0.05, 0.25, 10),
    "caltech": _preset(0.5, 3, 20, 0.001, 1, 10),  # also aircraft, food, ucf
    "dtd": _preset(0.1, 10, 20, 0.001, 10, 100),  # also flowers
    "pets": _preset(0.01, 5, 40, 0.01, 0.3, 20),
    "cars": _preset(0.1, 10, 5, 0.01, 1, 5),
    "sun": _preset(0.1, 10, 20, 0.01, 10, 10),
}


def fit(episode: Episode, config: Config, generator: Generator) -> State:
    """The regression for this beta and every lambda."""
    [(_, state)] = fit_over(episode, config, {"beta": [config.beta]}, generator)
    return state


def fit_over(episode: Episode, config: Config, axes: Axes, generator: Generator) -> ChoiceStates:
    """The same for each of those betas."""
    views = normalize(episode.support.views[: config.views], dim=-1)  # [v, n, d]
    text = episode.text.unit()  # [c, d]
    x, labels = views.flatten(0, 1), episode.support.labels.repeat(len(views))  # [v n, d], [v n]

    def onto(basis: Tensor, rows: slice) -> Tensor:
        """B^T (Y - X T^T), without either."""
        own = kernels.class_sums(basis, labels[rows], len(text)).T
        return own - basis.T @ x[rows] @ text.T

    weights = episode.support.weights
    counted = None if weights is None else weights.repeat(len(views))
    betas, scale = axes["beta"], tensor(episode.logit_scale)
    paths = kernels.ridges(x, onto, betas, config.exact_rows, config.landmarks, generator, counted)
    for beta, path in zip(betas, paths, strict=True):
        yield {"beta": beta}, {**path, "text": text, "logit_scale": scale}


def logits(state: State, config: Config, x: Tensor) -> Tensor:
    """Scores `[q, c]` of raw embeddings `x [q, d]`."""
    (_, scores), *_ = logits_over(state, config, x, {"lambda_": (config.lambda_,)})
    return scores


def space(config: Config) -> Space:
    """Every beta with every lambda."""
    betas = _spread(config.beta_from, config.beta_to, config.betas, config.spacing)
    lambdas = _spread(config.lambda_from, config.lambda_to, config.lambdas, config.spacing)
    return Space(fit={"beta": betas}, logits={"lambda_": lambdas})


def _spread(start: float, end: float, count: int, spacing: str) -> list[float]:
    if spacing == "even":
        return [float(value) for value in torch.linspace(start, end, count)]
    return [float(value) for value in torch.logspace(log10(start), log10(end), count)]


def logits_over(state: State, config: Config, x: Tensor, axes: Axes) -> ChoiceLogits:
    """Every lambda from one look at the kernel."""
    f = normalize(x, dim=-1)
    text, at = f @ state["text"].T, kernels.coordinates(state, f, config.beta)
    for lambda_ in axes["lambda_"]:
        scores = state["logit_scale"] * (text + kernels.predict(state, at, lambda_))
        yield {"lambda_": lambda_}, scores


def hits_over(state: State, config: Config, axes: Axes) -> Counter:
    """The hits of every lambda, by the products of a few."""
    lambdas = axes["lambda_"]
    count = ridge_hits.counter(state, lambdas)

    def counted(x: Tensor, labels: Tensor) -> ChoiceHits:
        f = normalize(x, dim=-1)
        at = kernels.coordinates(state, f, config.beta)
        found = count(f @ state["text"].T, at, labels)
        for lambda_, hits in zip(lambdas, found, strict=True):
            yield {"lambda_": lambda_}, hits

    return counted


def left_out(episode: Episode, config: Config, axes: Axes) -> ChoiceErrors | None:
    """PRESS of every lambda; None where Nyström's landmarks stand for the rows."""
    pictures = len(episode.support.labels)
    if pictures * len(episode.support.views[: config.views]) > config.exact_rows:
        return None
    path = fit(episode, config, Generator())
    weights = leave_one_out.counting(episode.support.labels, episode.support.weights)
    counted = None if weights is None else weights.repeat(len(path["keys"]) // pictures)
    parts = path["basis"], path["spectrum"], path["moments"]
    return (
        (choice, leave_one_out.press(*parts, 1 / value, pictures, counted))
        for choice in choices(axes)
        for value in [choice.get("lambda_", config.lambda_)]
    )


method = Method(
    config=Config,
    fit=fit,
    fit_over=fit_over,
    logits=logits,
    space=space,
    logits_over=logits_over,
    hits_over=hits_over,
    left_out=left_out,
    presets=PRESETS,
    without_text="absent",
    source="CVPR 2025",
    status=(
        "from third parties' copies of the code; one grid of ours, the published ones are "
        "presets; one view by default, Nyström above 3,200 rows"
    ),
)
