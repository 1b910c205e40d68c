"""Stand-ins: every class has a picture, and what was there stays; whole episodes are themselves."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import normalize

from adapters.episode import Episode, Labelled, Text
from adapters.stand_ins import whole
from featcache.errors import EpisodeError
from tests.adapters import synthetic


def without(label: int) -> tuple[Episode, Labelled]:
    """An episode with all there can be, but for the pictures of a class."""
    episode, test = synthetic.extended(*synthetic.episode(views=3))
    s = episode.support
    kept = s.labels != label
    assert s.pre is not None
    assert s.patches is not None
    ids = tuple(one for one, keep in zip(s.ids, kept.tolist(), strict=True) if keep)
    views, pre, patches = s.views[:, kept], s.pre[:, kept], s.patches[kept]
    support = replace(s, views=views, labels=s.labels[kept], ids=ids, pre=pre, patches=patches)
    return replace(episode, support=support), test


def test_an_episode_with_every_class_is_itself() -> None:
    episode, _ = synthetic.episode()
    assert whole(episode) is episode
    nothing = replace(episode, support=episode.support.of(range(9, 9)))
    assert whole(nothing) is nothing


def test_an_absent_class_has_one_picture_where_its_text_is_moved_to() -> None:
    episode, _ = without(3)
    found, seen = whole(episode).support, episode.support
    n = len(seen.labels)
    assert torch.equal(found.views[:, :n], seen.views)
    assert found.labels[n:].tolist() == [3]
    assert found.ids[n:] == ("text of class 3",)
    there = [0, 1, 2, 4]
    means = torch.stack([seen.keys()[seen.labels == c].mean(0) for c in there])
    text = episode.text.unit()
    wanted = normalize(means.mean(0) + text[3] - text[there].mean(0), dim=0)
    for view in found.views[:, n]:
        torch.testing.assert_close(normalize(view, dim=0), wanted)
        torch.testing.assert_close(view.norm(), seen.views.norm(dim=-1).mean())


def test_what_stands_beside_embeddings_belongs_to_the_stand_in() -> None:
    """Its features before the projection are mixed from pictures', so they map near it."""
    episode, _ = without(3)
    found = whole(episode)
    support, projection = found.support, episode.projection
    assert support.pre is not None
    assert support.patches is not None
    assert projection is not None
    x = support.x[-1]
    near = torch.cosine_similarity(projection(support.pre[:, -1]), x[None])
    assert (near > 0.99).all()
    assert torch.equal(support.patches[-1], x.half().expand_as(support.patches[-1]))
    blind = whole(replace(episode, projection=None)).support.pre
    assert blind is not None
    assert episode.support.pre is not None
    torch.testing.assert_close(blind[0, -1], episode.support.pre.mean((0, 1)))


def textless() -> Episode:
    episode, _ = synthetic.episode(views=2)
    zeros = torch.zeros_like(episode.text.prompts[:, :1])
    return replace(
        episode, text=Text(zeros, zeros[..., 0] == 0, episode.text.classnames, absent=True)
    )


def test_without_text_it_is_what_the_method_says() -> None:
    episode = textless()
    assert whole(episode, "absent") is episode
    found = whole(episode, "means")
    assert not found.text.absent
    assert found.support is episode.support
    keys, labels = episode.support.keys(), episode.support.labels
    for c in range(episode.classes):
        torch.testing.assert_close(found.text.prompts[c, 0], keys[labels == c].mean(0))
    assert whole(found, "means") is found


def test_a_class_without_either_is_refused() -> None:
    episode = textless()
    support, seen = episode.support, episode.support.labels != 3
    ids = tuple(name for name, keep in zip(support.ids, seen.tolist(), strict=True) if keep)
    cut = replace(support, views=support.views[:, seen], labels=support.labels[seen], ids=ids)
    for how in ("absent", "means"):
        with pytest.raises(EpisodeError, match=r"1 of its 5 classes \(class 3 first\)"):
            whole(replace(episode, support=cut), how)
