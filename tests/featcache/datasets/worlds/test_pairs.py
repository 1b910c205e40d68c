"""Two shapes that stand in a relation."""

from __future__ import annotations

from featcache.datasets.worlds import pairs
from featcache.datasets.worlds.scenes.captions import RELATIONS, captions, relation


def test_pairs_stand_in_their_relation() -> None:
    for _, scene, label in pairs.items(1, "test", 40):
        first, second = scene.things
        assert relation(first, second) == RELATIONS[label]
        choices = pairs.relation_choices(scene)
        assert [choice in captions(scene) for choice in choices].index(True) == label
        assert sum(choice in captions(scene) for choice in choices) == 1
