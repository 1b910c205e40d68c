"""What flows: pooled texts, keys of the support, and parts of each by class."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from adapters import episode
from adapters.episode import Draw, Episode, Labelled, Projection, Query, Support, Target, Text
from featcache.errors import EpisodeError
from tests import frozen
from tests.adapters import synthetic


def test_text_pooling_heeds_the_mask() -> None:
    prompts = torch.tensor([[[3.0, 0.0], [0.0, 4.0]], [[0.0, 2.0], [9.0, 9.0]]])
    text = Text(prompts, torch.tensor([[True, True], [True, False]]), ("a", "b"))
    torch.testing.assert_close(text.raw(), torch.tensor([[1.5, 2.0], [0.0, 2.0]]))
    half = 0.5**0.5
    torch.testing.assert_close(text.unit(), torch.tensor([[half, half], [0.0, 1.0]]))


def test_support_keys_are_the_normalised_mean_of_raw_views() -> None:
    views = torch.tensor([[[3.0, 0.0]], [[0.0, 1.0]]])  # [v, n, d]
    support = Support(views, torch.tensor([0]), ("a",))
    torch.testing.assert_close(support.keys(), torch.tensor([[3.0, 1.0]]) / 10**0.5)


@pytest.mark.parametrize("counts", [(1,), (3, 3), (2, 0, 2), (), (5, 5, 5, 5)])
def test_classes_as_large_as_each_other_have_no_weights(counts: tuple[int, ...]) -> None:
    """Not even weights of 1: then nothing is multiplied, and bits stay."""
    assert sized(counts).weights is None


@given(some.lists(some.integers(0, 9), min_size=2, max_size=6))
def test_weights_make_classes_count_alike(counts: list[int]) -> None:
    support = sized(counts)
    if len({*counts} - {0}) < 2:
        assert support.weights is None
        return
    assert support.weights is not None
    of_class = torch.zeros(len(counts)).index_add(0, support.labels, support.weights)
    there = [count > 0 for count in counts]
    share = len(support.labels) / sum(there)
    torch.testing.assert_close(of_class, torch.tensor(there).float() * share)


def sized(counts: Sequence[int]) -> Support:
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts, dtype=torch.long))
    return Support(torch.ones(1, len(labels), 2), labels, tuple(map(str, labels)))


def test_support_labels_as_columns() -> None:
    views = torch.zeros(1, 3, 2)
    support = Support(views, torch.tensor([2, 0, 1]), ("a", "b", "c"))
    assert support.one_hot(4).tolist() == [[0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0]]
    assert support.one_hot(4).dtype == views.dtype


def test_the_pictures_of_some_classes_count_from_0() -> None:
    plain, test = synthetic.episode(views=2)
    e, held = synthetic.extended(plain, test)
    for classes in (range(2), range(1, 3), range(3, 5)):
        support, part, text = e.support.of(classes), held.of(classes), e.text.of(classes)
        kept = [int(label) in classes for label in e.support.labels]
        assert support.labels.tolist() == [
            int(label) - classes.start for label in e.support.labels if int(label) in classes
        ]
        assert torch.equal(support.views, e.support.views[:, kept])
        assert support.ids == tuple(i for i, k in zip(e.support.ids, kept, strict=True) if k)
        assert support.pre is not None
        assert e.support.pre is not None
        assert torch.equal(support.pre, e.support.pre[:, kept])
        assert support.patches is not None
        assert e.support.patches is not None
        assert torch.equal(support.patches, e.support.patches[kept])
        mine = (held.labels >= classes.start) & (held.labels < classes.stop)
        assert torch.equal(part.x, held.x[mine])
        assert torch.equal(part.labels + classes.start, held.labels[mine])
        assert len(part.ids) == int(mine.sum())
        assert part.pre is not None
        assert part.patches is not None
        assert len(part.pre) == len(part.patches) == len(part.x)
        assert text.classnames == tuple(f"class {c}" for c in classes)
        assert torch.equal(text.prompts, e.text.prompts[list(classes)])
    assert e.support.of(range(1)).pre is not None
    assert plain.support.of(range(1)).pre is None
    assert test.of(range(1)).patches is None


def test_a_query_is_what_is_known_without_labels() -> None:
    _, plain = synthetic.episode()
    e, test = synthetic.extended(*synthetic.episode())
    assert torch.equal(test.query.x, test.x)
    assert test.query.pre is test.pre
    assert test.query.patches is test.patches
    some = test.query[3:5]
    assert test.pre is not None
    assert test.patches is not None
    assert some.pre is not None
    assert some.patches is not None
    assert torch.equal(some.x, test.x[3:5])
    assert torch.equal(some.pre, test.pre[3:5])
    assert torch.equal(some.patches, test.patches[3:5])
    assert plain.query[:2].pre is None
    assert e.classes == 5


def test_a_query_of_features_as_featcache_gives_them() -> None:
    x, pre = torch.rand(2, 3), torch.rand(2, 5)
    query = Query.of_features({"embedding": x.numpy(), "pre-projection": pre.numpy()})
    assert torch.equal(query.x, x)
    assert query.pre is not None
    assert torch.equal(query.pre, pre)
    assert query.patches is None


def test_what_an_episode_holds() -> None:
    plain, test = synthetic.episode()
    assert plain.holds == frozenset()
    assert synthetic.episode(views=2)[0].holds == {"views"}
    everything = {"pre-projection", "patches", "negative prompts", "text tower"}
    assert synthetic.extended(plain, test)[0].holds == everything


def test_the_test_split_of_a_draw_is_its_first_target() -> None:
    plain, test = synthetic.episode()
    other = Labelled(test.x[:1], test.labels[:1], test.ids[:1])
    drawn = Draw(plain, None, None, (Target("own", test), Target("new", other)))
    assert drawn.test is test
    assert isinstance(drawn.episode, Episode)


def test_each_prompt_counts_the_same_however_long() -> None:
    """By the definition, class by class; every length differs, so a sum over another axis shows."""
    g = torch.Generator().manual_seed(3)
    prompts, counts = torch.randn(3, 4, 2, generator=g), (4, 1, 3)
    mask = torch.arange(4) < torch.tensor(counts)[:, None]
    text = Text(prompts, mask, ("a", "b", "c"))
    for c, count in enumerate(counts):
        own = prompts[c, :count]
        torch.testing.assert_close(text.raw()[c], own.mean(0))
        mean = (own / own.norm(dim=1, keepdim=True)).mean(0)
        torch.testing.assert_close(text.unit()[c], mean / mean.norm())


def test_a_projection_is_an_affine_map() -> None:
    weight, bias = torch.tensor([[1.0, 2.0], [0.0, 1.0], [3.0, 0.0]]), torch.tensor([10.0, 20.0])
    found = Projection(weight, bias)(torch.tensor([[[1.0, 1.0, 2.0]], [[0.0, 0.0, 0.0]]]))
    assert found.tolist() == [[[17.0, 23.0]], [[10.0, 20.0]]]


def test_views_of_a_support_are_normalised_each_and_once() -> None:
    support = Support(torch.randn(3, 4, 5), torch.zeros(4, dtype=torch.long), tuple("abcd"))
    torch.testing.assert_close(support.unit_views.norm(dim=-1), torch.ones(3, 4))
    torch.testing.assert_close(
        support.unit_views * support.views.norm(dim=-1, keepdim=True), support.views
    )
    assert support.unit_views is support.unit_views
    assert torch.equal(support.x, support.views[0])


def test_every_picture_has_an_id() -> None:
    _, test = synthetic.episode()
    lacking = Labelled(test.x, test.labels, test.ids[:-1])
    with pytest.raises(ValueError, match="zip"):
        lacking.of(range(5))


def test_where_an_episode_comes_from_is_told_or_empty() -> None:
    plain, _ = synthetic.episode()
    assert (plain.dataset, plain.backbone, plain.task) == ("", "", "few-shot")
    assert (plain.projection, plain.negative) == (None, None)


def test_nothing_that_flows_can_be_changed() -> None:
    assert frozen.thawed(episode) == []


def test_only_a_target_among_the_classes_of_the_fit_is_its_own() -> None:
    e, test = synthetic.episode()
    targets = {
        "own": Target("a", test),
        "columns": Target("b", test, columns=(0, 1, 2, 3, 4)),
        "names": Target("c", test, e.text),
    }
    assert [name for name, each in targets.items() if each.own] == ["own"]
    for others in ((), (targets["columns"],), (targets["names"], targets["own"])):
        with pytest.raises(EpisodeError, match="has no test split"):
            _ = Draw(e, None, None, others).test
    assert Draw(e, None, None, (targets["own"], targets["names"])).test is test
