"""How large a picture may be: a number that can be moved, and the sentence that tells it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from featcache.errors import ConfigError
from featcache.pictures.limit import MAX_PIXELS, in_words, limit_pixels, most_pixels, too_large


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    yield
    limit_pixels()


def test_the_limit_is_that_which_was_set_last() -> None:
    assert most_pixels() == MAX_PIXELS == 64_000_000
    limit_pixels(12)
    assert not too_large(3, 4)
    assert too_large(1, 13).startswith("has 13 x 1 pixels; the limit is ")
    limit_pixels()
    assert not too_large(8000, 8000)
    assert too_large(8001, 8000)


def test_the_limit_is_told_in_millions() -> None:
    assert in_words() == "64 million, which --max-pixels can raise"
    limit_pixels(2_500_000)
    assert in_words().startswith("2.5 million")


@pytest.mark.parametrize("most", [0, -1])
def test_no_picture_at_all_is_no_limit(most: int) -> None:
    with pytest.raises(ConfigError, match="at least 1 pixel"):
        limit_pixels(most)
    assert most_pixels() == MAX_PIXELS
