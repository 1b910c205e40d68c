"""WHU-RS19 as the measured numbers were made: one view, four validation pictures a class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn.functional import cross_entropy

from adapters import compose
from adapters.episode import Episode, Labelled, Support, Text
from adapters.method import Method, State
from featcache.draws import pool_indices


def mean_accuracy(data: Path, name: str, shots: int, **settings: Any) -> float:
    """Per cent on test, mean of seeds 1 to 3, settings of `logits` chosen on validation."""
    m = compose.get(name)
    found = []
    for seed in (1, 2, 3):
        episode, val, test = draw(data, shots, seed)
        config = m.config(**settings)
        state = m.fit(episode, config, Generator().manual_seed(seed))
        logits = m.logits(state, chosen(m, state, config, val), m.input(test.query))
        found.append((logits.argmax(1) == test.labels).double().mean().item())
    return 100 * sum(found) / len(found)


def draw(data: Path, shots: int, seed: int) -> tuple[Episode, Labelled, Labelled]:
    with np.load(data / "whurs19" / "CLIP_ViT-B-32.npz") as file:
        x, text = torch.tensor(file["image_features"]).float(), torch.tensor(file["text_features"])
        labels, names = file["labels"], tuple(file["classnames"].tolist())
    train, val, test = pool_indices(labels, seed)
    prompts = text.float().movedim(1, 0)  # [c, p, d]

    def rows(of: np.ndarray) -> Iterator[Any]:
        yield from (x[of], torch.tensor(labels[of]), tuple(map(str, of)))

    x0, y0, ids = rows(train[:, :shots].ravel())
    mask = torch.ones(prompts.shape[:2], dtype=torch.bool)
    episode = Episode(Support(x0[None], y0, ids), Text(prompts, mask, names), 100.0, shots, seed)
    return episode, Labelled(*rows(val.ravel())), Labelled(*rows(test))


def chosen(m: Method, state: State, config: Any, val: Labelled) -> Any:
    """The config with the best of its `logits` settings, the first of equals."""

    def score(logits: Tensor) -> float:
        if m.criterion == "accuracy":
            return (logits.argmax(1) == val.labels).double().mean().item()
        return -cross_entropy(logits, val.labels).item()

    axes = m.space(config).logits
    tried = [
        (score(logits), choice)
        for choice, logits in m.scores(state, config, m.input(val.query), axes)
    ]
    return replace(config, **max(tried, key=lambda pair: pair[0])[1])
