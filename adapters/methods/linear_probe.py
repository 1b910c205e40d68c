"""Linear probe: logistic regression on raw image embeddings, no text (Radford et al. 2021).

    logits = W g + b,   min CE + |W|^2 / (2 C)          (recipe of CoOp's `lpclip`)

g is the raw image embedding; the best C falls with the square of its norm. Solved by scikit-learn
(L-BFGS). Uses of the cache: the centre crop of each support picture. It knows no text, so that one
shot leaves it near class means and below zero-shot. C has the best accuracy on validation among the
recipe's decades, the weakest penalty first; differs from the recipe in trying every decade from 1e4
to 1e-4, where it tries every second from 1e6 to 1e-6 and then bisects.
"""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from sklearn.linear_model import LogisticRegression
from torch import Generator, Tensor

from adapters.episode import Episode
from adapters.method import Method, Space, State
from featcache import threads
from featcache.errors import MethodError


@dataclass(frozen=True)
class Config:
    """Settings of the linear probe."""

    C: float = Field(0.316, gt=0, description="inverse strength of the penalty; CLIP's README's")
    iterations: int = Field(1000, ge=1, description="of L-BFGS, at most")


def fit(episode: Episode, config: Config, generator: Generator) -> State:
    """Weights `[c, d]` and biases `[c]`. Raises `MethodError` for pictures of one class alone."""
    if int((episode.support.labels.bincount() > 0).sum()) < 2:
        raise MethodError(
            "linear-probe learns what tells classes apart, and there are pictures of one alone; "
            "fit it on two classes or more, or take another method (ncm, gda, …)."
        )
    model = LogisticRegression(C=config.C, max_iter=config.iterations)
    x = episode.support.x
    weights = episode.support.weights
    counted = None if weights is None else weights.cpu().numpy()
    with threads.for_arrays(x.numel() * episode.classes):
        model.fit(x.cpu().numpy(), episode.support.labels.cpu().numpy(), sample_weight=counted)
    weights, bias = torch.from_numpy(model.coef_), torch.from_numpy(model.intercept_)
    if len(model.classes_) == 2:  # one row, for the second class against the first
        weights, bias = torch.cat([-weights, weights]) / 2, torch.cat([-bias, bias]) / 2
    return _of_all(weights.to(x), bias.to(x), model.classes_, x, episode.classes)


def _of_all(weights: Tensor, bias: Tensor, known: Any, x: Tensor, classes: int) -> State:
    """The same for every class: one without pictures has the least score of all, always."""
    if len(known) == classes:
        return {"weights": weights.contiguous(), "bias": bias}
    rows = torch.as_tensor(known, device=x.device)
    least = (x @ weights.T + bias).min()
    return {
        "weights": weights.new_zeros(classes, x.shape[1]).index_copy(0, rows, weights),
        "bias": least.repeat(classes).index_copy(0, rows, bias),
    }


def logits(state: State, config: Config, x: Tensor) -> Tensor:
    """Scores `[q, c]` of raw embeddings `x [q, d]`."""
    return x @ state["weights"].T + state["bias"]


def space(config: Config) -> Space:
    """Decades of C from 1e4 down to 1e-4."""
    return Space(fit={"C": tuple(10.0**i for i in range(4, -5, -1))})


method = Method(
    config=Config,
    fit=fit,
    logits=logits,
    space=space,
    without_text="absent",
    source="Radford et al. 2021; CoOp's `lpclip`",
    status="scikit-learn; C among the decades instead of a bisection",
)
