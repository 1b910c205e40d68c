"""Proto-CLIP-F: untrained it is Proto-CLIP; its episodes, its loss, its first steps by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Generator
from torch.nn.functional import cross_entropy, normalize

from adapters import compose
from adapters.maths import residual_adapter, training
from adapters.methods import proto_clip_f
from tests.adapters import synthetic
from tests.adapters.methods import settings

PROTO, F = compose.get("proto-clip"), compose.get("proto-clip-f")


def test_settings() -> None:
    settings.check(
        "proto-clip-f",
        {
            "share": (0.5, "[0, 1]"),
            "sharpness": (20.0, "(0, inf)"),
            "training_share": (0.5, "[0, 1]"),
            "training_sharpness": (20.0, "(0, inf)"),
            "adapter": ("fc", ("fc", "none")),
            "ratio": (0.2, "[0, 1]"),
            "alignment": (1.0, "[0, inf)"),
            "temperature": (0.05, "(0, inf)"),
            "classes": (0.4, "(0, 1]"),
            "steps": (300, "[0, inf)"),
            "learning_rate": (0.001, "(0, inf)"),
            "weight_decay": (0.05, "[0, inf)"),
            "eps": (0.0001, "(0, inf)"),
        },
    )


def test_f_without_training_is_proto_clip() -> None:
    episode, test = synthetic.episode(views=3)
    f, proto = F.config(adapter="none", steps=0), PROTO.config()
    found = F.logits(F.fit(episode, f, Generator()), f, test.x)
    wanted = PROTO.logits(PROTO.fit(episode, proto, Generator()), proto, test.x)
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("adapter", ["fc", "none"])
@pytest.mark.parametrize("shots", [1, 2, 8])
def test_f_learns_the_support(adapter: str, shots: int) -> None:
    episode, test = synthetic.episode(shots, views=3)
    config = F.config(adapter=adapter, steps=100)
    state = F.fit(episode, config, Generator().manual_seed(0))
    right = F.logits(state, config, episode.support.x).argmax(1) == episode.support.labels
    assert right.all()
    assert F.logits(state, config, test.x).isfinite().all()


@pytest.mark.parametrize(("share", "classes"), [(0.01, 2), (0.4, 2), (0.6, 3), (1.0, 5)])
def test_an_episode_has_all_pictures_of_a_share_of_the_classes(share: float, classes: int) -> None:
    labels = torch.tensor([0, 1, 2, 3, 4, 4, 3, 2, 1, 0, 0])
    seen = set()
    for seed in range(20):
        rows = proto_clip_f._rows(labels, share, Generator().manual_seed(seed))
        chosen = {*labels[rows].tolist()}
        assert len(chosen) == classes
        assert len(rows) == sum((labels == c).sum().item() for c in chosen)
        seen |= chosen
    assert seen == {*range(5)}


def test_one_class_alone_is_an_episode_too() -> None:
    rows = proto_clip_f._rows(torch.zeros(3, dtype=torch.long), 0.4, Generator())
    assert rows.tolist() == [0, 1, 2]


@pytest.mark.parametrize("adapter", ["fc", "none"])
def test_two_steps_are_two_of_adamw(adapter: str) -> None:
    """With every class in the episode: half the pictures are asked, the rest are prototypes."""
    episode, _ = synthetic.episode(4)
    config = F.config(
        **{"adapter": adapter, "classes": 1.0, "steps": 2, "learning_rate": 0.02, "eps": 1e-3},
        **{"training_share": 0.3, "training_sharpness": 8.0, "alignment": 0.6, "ratio": 0.4},
        **{"temperature": 0.2, "weight_decay": 0.2},
    )
    state = F.fit(episode, config, Generator().manual_seed(0))
    g, labels = Generator().manual_seed(0), episode.support.labels
    f = normalize(episode.support.x, dim=-1)
    net = {"memory": episode.support.keys(), "text": episode.text.unit()}
    if adapter == "fc":
        net |= residual_adapter.new(16, 4, g)
    net = {name: p.clone().requires_grad_() for name, p in net.items()}
    for _ in range(2):
        torch.rand(20, generator=g)  # which classes: all
    adam = torch.optim.AdamW(net.values(), lr=1, eps=1e-3, weight_decay=0.2)
    for rate in (0.02, 0.01):
        asked = training.held_out(labels, 5, 0.5, g)
        memory = normalize(net["memory"], dim=1)
        images = torch.stack([memory[~asked & (labels == c)].mean(0) for c in range(5)])
        images, text = normalize(images, dim=1), normalize(net["text"], dim=1)
        q = f[asked]
        if adapter == "fc":
            q = 0.4 * ((q @ net["down"].T).relu() @ net["up"].T).relu() + 0.6 * q
        q = normalize(q, dim=1)
        near = [(-8.0 * torch.cdist(q, p).square()).softmax(1) for p in (images, text)]
        own = (0.3 * near[0] + 0.7 * near[1])[torch.arange(len(q)), labels[asked]]
        pairs = images @ text.T / 0.2
        info = sum(cross_entropy(each, torch.arange(5)) for each in (pairs, pairs.T)) / 2
        adam.param_groups[0]["lr"] = rate
        adam.zero_grad()
        (-own.log().mean() + 0.6 * info).backward()
        adam.step()
    memory = normalize(net["memory"].detach(), dim=1)
    images = torch.stack([memory[labels == c].mean(0) for c in range(5)])
    torch.testing.assert_close(state["images"], normalize(images, dim=1), atol=1e-4, rtol=1e-3)
    text = normalize(net["text"].detach(), dim=1)
    torch.testing.assert_close(state["text"], text, atol=1e-4, rtol=1e-3)
    for name in {*net} - {"memory", "text"}:
        torch.testing.assert_close(state[name], net[name].detach(), atol=1e-4, rtol=1e-3)
