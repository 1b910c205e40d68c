"""Cached features beside the embedding on their way from an entry to a fitted adapter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import adapters
from adapters import compose
from adapters.drawing import draw
from adapters.episode import Draw, Episode, Labelled, Query
from adapters.experiment import Experiment
from adapters.fitting import draw_for, run
from adapters.tasks.base_to_new import halves
from featcache import FeatureCache, encode_dataset
from featcache.backbones.backbone import Backbone
from featcache.errors import CacheError, MethodError
from featcache.pictures.views import ViewRecipe
from featcache.prompts import bank
from featcache.store.entry import Entry
from tests.adapters import synthetic
from tests.featcache.encoding.noise import noise

BOTH = ("pre-projection", "patches")


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory, tiny: Backbone) -> Entry:
    """An entry that holds all there can be."""
    return encode(tmp_path_factory.mktemp("cache"), tiny, extras=BOTH)


def encode(folder: Path, tiny: Backbone, **asked: Any) -> Entry:
    cache, data = FeatureCache(folder), noise()
    encode_dataset(data, tiny, cache, views=ViewRecipe(3), **asked)
    return encode_dataset(data, tiny, cache, bank=bank("negative", data)).entry


def pictures(drawn: Draw) -> list[tuple[torch.Tensor, Labelled]]:
    parts = (drawn.few_shot_val, drawn.full_val, drawn.test)
    return [(part.x, part) for part in parts if part is not None]


@pytest.mark.parametrize("views", [None, 2, 0])
def test_a_draw_brings_what_it_is_asked_for(entry: Entry, views: int | None) -> None:
    drawn = draw(entry, 4, 1, views=views, extras=BOTH)
    episode = drawn.episode
    support, projection = episode.support, episode.projection
    assert support.pre is not None
    assert projection is not None
    assert support.patches is not None
    assert support.pre.shape[:2] == support.views.shape[:2]
    scale = 4e-3 * float(support.views.abs().max())
    torch.testing.assert_close(projection(support.pre), support.views, atol=scale, rtol=0)
    for x, part in pictures(drawn):
        assert part.pre is not None
        assert part.patches is not None
        torch.testing.assert_close(projection(part.pre), x, atol=scale, rtol=0)
        assert part.patches.shape == (len(x), 16, 32)
    views_held = {"views"} if views != 0 else set()
    assert episode.holds == {*BOTH, "negative prompts", *views_held}
    bare = draw(entry, 4, 1, views=views)
    assert torch.equal(bare.episode.support.views, support.views)
    assert bare.test.query.pre is None
    assert bare.episode.holds == {"negative prompts", *views_held}


def test_patches_are_of_the_pictures_drawn(entry: Entry) -> None:
    support = draw(entry, 4, 1, extras=BOTH).episode.support
    rows = [int(name.removeprefix("train/")) for name in support.ids]
    cached = entry.extra("patches", "train", torch.tensor(rows).numpy())
    assert support.patches is not None
    torch.testing.assert_close(support.patches, torch.from_numpy(cached))


def test_base_to_new_cuts_everything(entry: Entry) -> None:
    whole = draw(entry, 4, 1, extras=BOTH)
    drawn = halves(entry, 4, 1, extras=BOTH)
    base, (_, new) = drawn.episode, drawn.targets
    kept = whole.episode.support.labels < 2
    assert base.support.pre is not None
    assert whole.episode.support.pre is not None
    assert torch.equal(base.support.pre, whole.episode.support.pre[:, kept])
    assert base.support.patches is not None
    assert len(base.support.patches) == len(base.support.labels)
    assert base.negative is not None
    assert base.negative.classnames == base.text.classnames
    assert new.pictures.pre is not None
    assert len(new.pictures.pre) == len(new.pictures.labels)
    prolip = Experiment("prolip", shots=2, settings={"steps": 3}, task="base-to-new")
    rows = run(entry, prolip).rows
    assert [row["n_test"] for row in rows] == [len(each.pictures.x) for each in drawn.targets]
    shared = run(entry, prolip, halves(entry, 2, 1)).rows
    assert [row["accuracy"] for row in shared] == [row["accuracy"] for row in rows]


def test_a_shared_draw_serves_methods_that_read_more(entry: Entry) -> None:
    experiment = Experiment("sgva", shots=2, settings={"steps": 3})
    shared = draw_for(entry, Experiment("gda", shots=2))
    alone, together = run(entry, experiment), run(entry, experiment, shared)
    assert alone.row["extras"] == together.row["extras"] == ["pre-projection"]
    assert alone.row["accuracy"] == together.row["accuracy"]
    assert alone.adapter.state.keys() == together.adapter.state.keys()


@pytest.mark.parametrize(
    ("needs", "options"),
    [
        ({"pre-projection"}, "--extra pre-projection"),
        ({"patches", "negative prompts"}, "--extra patches --prompts negative"),
        ({"views"}, "--views 20"),
    ],
)
def test_what_is_missing_is_named_with_its_command(
    tmp_path: Path,
    tiny: Backbone,
    monkeypatch: pytest.MonkeyPatch,
    needs: set[str],
    options: str,
) -> None:
    bare = encode_dataset(noise(), tiny, FeatureCache(tmp_path)).entry
    needing = replace(compose.get("zero-shot"), needs=frozenset(needs))
    monkeypatch.setattr("adapters.experiment.get", lambda name: needing)
    with pytest.raises(MethodError) as refusal:
        run(bare, Experiment("zero-shot", shots=1))
    command = f"`featcache encode --dataset noise --backbone {bare.backbone} {options}`"
    assert command in str(refusal.value)


def test_extras_of_some_splits_or_views_only_are_left(tmp_path: Path, tiny: Backbone) -> None:
    cache, data = FeatureCache(tmp_path), noise()
    encode_dataset(data, tiny, cache, views=ViewRecipe(3))
    part = encode_dataset(data, tiny, cache, splits=["test"], extras=BOTH).entry
    assert draw(part, 2, 1, extras=BOTH).episode.holds == {"views"}
    # Centre crops of all splits have them now, views do not: they can serve a fit without views.
    centre = encode_dataset(data, tiny, cache, extras=BOTH).entry
    drawn = draw(centre, 2, 1, extras=BOTH)
    assert drawn.episode.holds == {"views", "patches"}
    assert drawn.test.pre is None
    assert draw(centre, 2, 1, views=0, extras=BOTH).episode.holds == {*BOTH}
    with pytest.raises(MethodError, match="--extra pre-projection"):
        run(centre, Experiment("prolip", shots=2))


@pytest.mark.parametrize("name", ["prolip", "sgva", "attn-adapter"])
def test_an_adapter_asks_for_what_it_was_fitted_on(tmp_path: Path, entry: Entry, name: str) -> None:
    outcome = run(entry, Experiment(name, shots=2, settings={"steps": 3}))
    test = draw(entry, 2, 1, extras=BOTH).test
    again = adapters.load(outcome.adapter.save(tmp_path / name))
    assert again.extras == tuple(outcome.row["extras"])
    logits = again.logits(test.query)
    torch.testing.assert_close(logits, outcome.adapter.logits(test.query))
    with pytest.raises(CacheError, match=f"--extra {again.extras[0]}"):
        again.logits(test.x)
    plain = run(entry, Experiment("zero-shot", shots=2)).adapter
    assert torch.equal(plain.logits(test.query), plain.logits(test.x))


def test_a_sum_hands_each_part_its_share(entry: Entry) -> None:
    names = ("prolip", "attn-adapter", "tip-adapter")
    settings = {"prolip.steps": 3, "attn-adapter.steps": 3}
    total = run(entry, Experiment("sum:" + "+".join(names), shots=2, settings=settings))
    test = draw(entry, 2, 1, extras=BOTH).test
    scores = []
    for name in names:
        own = {"steps": 3} if name != "tip-adapter" else {}
        scores.append(
            run(entry, Experiment(name, shots=2, settings=own)).adapter.logits(test.query)
        )
    wanted = sum((s - s.mean(1, keepdim=True)) / s.std(1, keepdim=True) for s in scores)
    torch.testing.assert_close(total.adapter.logits(test.query), wanted)


def test_a_base_that_reads_more_moves_pictures_by_it(entry: Entry) -> None:
    over = run(entry, Experiment("zero-shot@prolip", shots=2, settings={"prolip.steps": 5}))
    alone = run(entry, Experiment("prolip", shots=2, settings={"steps": 5}))
    test = draw(entry, 2, 1, extras=BOTH).test
    torch.testing.assert_close(
        over.adapter.logits(test.query), alone.adapter.logits(test.query), atol=1e-3, rtol=1e-4
    )


def test_a_base_that_moves_no_pictures_looks_at_embeddings_alone() -> None:
    """Its class vectors are fitted without patches, whatever the episode holds."""
    m = compose.get("zero-shot@attn-adapter")
    assert not m.extras
    plain, test = synthetic.episode()
    more: Episode = synthetic.extended(plain, test)[0]
    states = [m.fit(e, m.config(), torch.Generator().manual_seed(0)) for e in (plain, more)]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert isinstance(m.input(Query(test.x)), torch.Tensor)
