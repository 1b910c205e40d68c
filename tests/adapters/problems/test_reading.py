"""Problems as they lie in the cache: rows of each, what is left out, and what text they have."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn.functional import normalize

from adapters.problems.reading import concepts, read
from featcache.errors import EpisodeError
from tests.adapters.riddles import problem_entry
from tests.entries import make_entry


def test_rows_are_problem_major_and_the_last_of_seven_is_the_query(tmp_path: Path) -> None:
    entry = problem_entry(tmp_path)
    found = read(entry, "test-seen-unseen")
    x = torch.from_numpy(entry.images("test-seen-unseen").embedding)
    for i in range(5):
        rows = x[14 * i : 14 * i + 14]
        assert torch.equal(found.problems.support[i, 0], rows[:6])
        assert torch.equal(found.problems.query[i], rows[[6, 13]])
        assert torch.equal(found.problems.support[i, 1], rows[7:13])
    assert found.labels.tolist() == [[0, 1]] * 5


def test_a_problem_with_a_bad_picture_is_left_out_and_counted(tmp_path: Path) -> None:
    entry = problem_entry(tmp_path, bad={"val-seen-seen": [15, 16]})
    found = read(entry, "val-seen-seen")
    assert (len(found.problems), found.left_out) == (4, 1)
    assert read(entry, "test-seen-seen").left_out == 0
    gone = problem_entry(tmp_path / "none", bad={"val-seen-seen": range(0, 70, 14)})
    with pytest.raises(EpisodeError, match="retry-bad"):
        read(gone, "val-seen-seen")


def test_means_stand_where_texts_would(tmp_path: Path) -> None:
    problems = read(problem_entry(tmp_path), "test-seen-seen").problems
    prompts, mask = problems.texts(None, "means")
    assert mask.all()
    assert prompts.shape == (5, 2, 1, 16)
    torch.testing.assert_close(prompts[3, 1, 0], normalize(problems.support[3, 1], dim=-1).mean(0))


def test_what_is_no_set_of_problems_and_what_has_no_negatives_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EpisodeError, match="no set of problems"):
        read(make_entry(tmp_path / "a"), "test")
    with pytest.raises(EpisodeError, match="--prompts negative"):
        concepts(problem_entry(tmp_path / "b"))
