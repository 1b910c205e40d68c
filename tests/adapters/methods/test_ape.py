"""APE: on every channel it is Tip-Adapter."""

from __future__ import annotations

import torch

from adapters.methods import ape, tip_adapter
from tests.adapters.episodes import generator, make_episode, queries
from tests.adapters.methods import settings


def test_settings() -> None:
    settings.check("ape", settings.CHANNELS)


def test_on_every_channel_without_divergence_it_is_tip_adapter() -> None:
    episode = make_episode((4, 2, 3, 5), views=2)
    config = ape.Config(share=1, gamma=0, alpha=3, beta=2)
    tip = tip_adapter.Config(alpha=3, beta=2)
    torch.testing.assert_close(
        ape.method.logits(ape.fit(episode, config, generator()), config, queries()),
        tip_adapter.method.logits(tip_adapter.fit(episode, tip, generator()), tip, queries()),
    )
