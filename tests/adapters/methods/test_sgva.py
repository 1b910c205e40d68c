"""SgVA without an adapter is prototypes mixed with text; what its losses do."""

from __future__ import annotations

import pytest
import torch
from torch import Generator
from torch.nn.functional import normalize

from adapters import compose
from tests.adapters import synthetic
from tests.adapters.methods import settings

SGVA, ZERO = compose.get("sgva"), compose.get("zero-shot")


def test_settings() -> None:
    settings.check(
        "sgva",
        {
            "share": (0.5, "[0, 1]"),
            "residual": (0.5, "[0, 1]"),
            "prototypical": (1.0, "[0, inf)"),
            "distillation": (1.0, "[0, inf)"),
            "temperature": (5.0, "(0, inf)"),
            "hidden": (0, "[0, inf)"),
            "batch": (48, "[1, inf)"),
            "steps": (100, "[0, inf)"),
            "learning_rate": (0.001, "(0, inf)"),
            "weight_decay": (0.01, "[0, inf)"),
            "prompt_steps": (0, "[0, inf)"),
        },
        {"prompts": {"prompt_steps": 100}},
    )


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_without_an_adapter_it_mixes_text_and_class_means(share: float) -> None:
    episode, test = synthetic.episode(views=3)
    config = SGVA.config(residual=0.0, steps=0, share=share)
    found = SGVA.logits(SGVA.fit(episode, config, Generator()), config, test.query)
    x, labels = normalize(episode.support.views, dim=-1).mean(0), episode.support.labels
    means = torch.stack([normalize(x[labels == c].mean(0), dim=0) for c in range(episode.classes)])
    wanted = share * episode.text.unit() + (1 - share) * means
    torch.testing.assert_close(found, 100 * normalize(test.x, dim=-1) @ wanted.T)


def test_new_classes_are_scored_by_their_text() -> None:
    episode, test = synthetic.episode()
    config = SGVA.config(residual=0.0, steps=0)
    state = SGVA.fit(episode, config, Generator())
    assert SGVA.with_text is not None
    found = SGVA.logits(SGVA.with_text(state, config, episode.text), config, test.query)
    wanted = ZERO.logits(ZERO.fit(episode, ZERO.config(), Generator()), ZERO.config(), test.x)
    torch.testing.assert_close(found, wanted)


def test_distillation_keeps_the_old_softmax() -> None:
    episode, test = synthetic.episode()

    def change(weight: float) -> float:
        config = SGVA.config(distillation=weight, share=1.0)
        state = SGVA.fit(episode, config, Generator().manual_seed(0))
        new = SGVA.logits(state, config, test.query).div(config.temperature).softmax(1)
        zero = ZERO.fit(episode, ZERO.config(), Generator())
        old = ZERO.logits(zero, ZERO.config(), test.x).div(config.temperature).softmax(1)
        return float((new - old).abs().mean())

    assert change(100.0) < change(0.0)


def test_on_pre_projection_features_it_starts_at_the_embeddings() -> None:
    """Untrained and without a residual, the projection leads back to where it was without it."""
    episode, test = synthetic.extended(*synthetic.episode(views=2))
    config = SGVA.config(residual=0.0, steps=0, share=1.0)
    state = SGVA.fit(episode, config, Generator())
    assert state["down"].shape[1] == synthetic.PRE
    found = SGVA.logits(state, config, test.query)
    wanted = ZERO.logits(ZERO.fit(episode, ZERO.config(), Generator()), ZERO.config(), test.x)
    torch.testing.assert_close(found, wanted, atol=1e-3, rtol=1e-4)
    # Prototypes are unit embeddings of the class means of raw features.
    assert episode.projection is not None
    assert episode.support.pre is not None
    pre, labels = episode.support.pre.mean(0), episode.support.labels
    means = torch.stack([pre[labels == c].mean(0) for c in range(episode.classes)])
    wanted = normalize(episode.projection(means), dim=-1)
    torch.testing.assert_close(state["prototypes"], wanted, atol=1e-4, rtol=1e-4)


def test_its_features_are_what_its_logits_score() -> None:
    episode, test = synthetic.extended(*synthetic.episode(views=2))
    config = SGVA.config(steps=5)
    state = SGVA.fit(episode, config, Generator().manual_seed(0))
    assert SGVA.features is not None
    assert SGVA.class_vectors is not None
    f = SGVA.features(state, config, test.query)
    torch.testing.assert_close(f.norm(dim=-1), torch.ones(len(f)))
    wanted = 100 * f @ SGVA.class_vectors(state, config).T
    torch.testing.assert_close(SGVA.logits(state, config, test.query), wanted)


def test_learned_prompts_are_coops_and_read_other_classes_by_name() -> None:
    episode, test = synthetic.extended(*synthetic.episode())
    config = SGVA.config(residual=0.0, steps=0, share=1.0, prompt_steps=5)
    state = SGVA.fit(episode, config, Generator().manual_seed(0))
    coop = compose.get("coop")
    known = coop.fit(episode, coop.config(steps=5), Generator().manual_seed(0))
    assert torch.equal(state["text"], known["text"])
    few = episode.text.of(range(2))
    assert SGVA.with_text is not None
    assert coop.with_text is not None
    wanted = coop.with_text(known, coop.config(), few)["text"]
    found = SGVA.with_text(state, config, few)
    assert torch.equal(found["text"], wanted)
    assert SGVA.logits(found, config, test.query).shape == (len(test.x), 2)
