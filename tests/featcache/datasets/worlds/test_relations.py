"""Problems of two shapes: what is shared, what is seen, and that more of them only append."""

from __future__ import annotations

from featcache.datasets.registry import load
from featcache.datasets.table import named
from featcache.datasets.worlds import relations
from featcache.datasets.worlds.scenes.related import RELATIONS, SOLID
from featcache.datasets.worlds.scenes.rendering import Scene


def test_a_problem_is_fourteen_pictures_of_one_concept() -> None:
    dataset = load("relations")
    assert dataset.problems == 7
    assert len(dataset.splits) == 8
    for items in dataset.splits.values():
        assert len(items) == 14 * relations.PROBLEMS
        for start in range(0, len(items), 14):
            problem = items[start : start + 14]
            assert len({item.label for item in problem}) == 1
            relation, first, second = spoken(dataset.classnames[problem[0].label])
            assert relation in RELATIONS
            for item in problem:
                assert isinstance(item.source, Scene)
                assert {thing.name for thing in item.source.things} == {first, second}
    used = [item.label for items in dataset.splits.values() for item in items]
    assert list(dict.fromkeys(used)) == list(range(len(dataset.classnames)))


def test_the_unseen_is_not_among_the_seen() -> None:
    dataset = load("relations")
    held = {
        split: [spoken(dataset.classnames[item.label]) for item in items]
        for split, items in dataset.splits.items()
    }

    def of(place: int, word: str, part: slice) -> set[tuple[str, ...]]:
        return {
            c[part] for split, cs in held.items() if split.split("-")[place] == word for c in cs
        }

    for place, part in ((1, slice(1, 3)), (2, slice(0, 1))):
        assert of(place, "seen", part)
        assert of(place, "unseen", part)
        assert not of(place, "seen", part) & of(place, "unseen", part)


def test_more_problems_only_append() -> None:
    info = named("relations")
    assert info
    few, many = relations.make(info, 2), relations.make(info, 3)
    for split, items in few.splits.items():
        assert [(i.id, i.source) for i in items] == [
            (i.id, i.source) for i in many.splits[split][:28]
        ]


def spoken(name: str) -> tuple[str, str, str]:
    """`left of circle and star` apart."""
    *relation, first, _, second = name.split()
    assert {first, second} <= set(SOLID)
    return " ".join(relation), first, second
