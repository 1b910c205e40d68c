"""Words are cut as open_clip cuts them, whatever the text."""

from __future__ import annotations

import random
from typing import Any

import pytest

from featcache.backbones.backbone import ODD_SENTENCES
from featcache.store.words import of_pairs


@pytest.fixture(scope="module")
def theirs() -> Any:
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer()


@pytest.fixture(scope="module")
def ours(theirs: Any) -> Any:
    return of_pairs(sorted(theirs.bpe_ranks, key=theirs.bpe_ranks.get))


def test_numbers_of_all_pieces_are_theirs(ours: Any, theirs: Any) -> None:
    assert ours.numbers == theirs.encoder
    assert (ours.start, ours.stop) == (theirs.sot_token_id, theirs.eot_token_id)


def test_a_large_random_corpus_is_cut_alike(ours: Any, theirs: Any) -> None:
    rng, pieces = random.Random(0), [*theirs.encoder]
    joints = [" ", "_", "-", "'", ", ", "", "'s ", " &amp; ", "/", "(", ")."]
    made = [
        "".join(
            rng.choice(pieces).replace("</w>", " ") + rng.choice(joints)
            for _ in range(rng.randint(1, 6))
        )
        for _ in range(800)
    ]
    signs = [*map(chr, (*range(0x20, 0x500), *range(0x2000, 0x2100), *range(0x1F600, 0x1F640)))]
    made += ["".join(rng.choices(signs, k=rng.randint(0, 12))) for _ in range(400)]
    for text in [*made, *ODD_SENTENCES, "foo (bar)", "foo (bar).", "<end_of_text>", "I'LL 42nd"]:
        assert ours.ids(text) == theirs.encode(text), text
