"""Bongard-HOI: four rows and their mean, and what is refused."""

from __future__ import annotations

from pathlib import Path
from statistics import mean

import numpy as np
import pytest

from adapters.drawing import draw
from adapters.experiment import Experiment
from adapters.fitting import fit, run
from adapters.registry import task
from adapters.sweeping.grid import grid
from adapters.sweeping.sweep import sweep
from featcache import FeatureCache
from featcache.errors import ConfigError, EpisodeError, MethodError
from featcache.store.entry import Entry
from tests.adapters.riddles import LISTS, problem_entry

TASK = "bongard-hoi"


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    return problem_entry(tmp_path, 6, bad={"test-seen-seen": [3]})


def test_rows_are_a_count_by_hand(entry: Entry) -> None:
    rows = fit(entry, "ncm", task=TASK).rows
    assert [row["target"] for row in rows] == [name for name in LISTS if name.startswith("test")]
    for row in rows:
        images = entry.images(row["target"])
        each = []
        for i in range(6):
            these = slice(14 * i, 14 * i + 14)
            if not images.valid[these].all():
                continue
            x = images.embedding[these].astype(np.float64)
            x /= np.linalg.norm(x, axis=1, keepdims=True)
            sides = [side[:6].mean(0) / np.linalg.norm(side[:6].mean(0)) for side in (x[:7], x[7:])]
            hits = [x[6] @ sides[0] > x[6] @ sides[1], x[13] @ sides[1] > x[13] @ sides[0]]
            each.append(100 * np.mean(hits))
        assert row["accuracy"] == pytest.approx(np.mean(each))
        assert row["standard_error"] == pytest.approx(np.std(each, ddof=1) / len(each) ** 0.5)
        assert row["n_test"] == 2 * len(each)
        assert (row["shots"], row["policy"]) == (6, "full-val")
        assert row["text"] is None
        assert row["bank"] is None
        assert row["target_mean"] == pytest.approx(mean(row["accuracy"] for row in rows))
    assert rows[0]["n_test"] == 10


def test_no_adapter_is_kept_and_none_is_drawn(entry: Entry) -> None:
    outcome = fit(entry, "ncm", task=TASK)
    with pytest.raises(MethodError, match="keeps none"):
        _ = outcome.adapter
    with pytest.raises(EpisodeError, match="a draw for each problem"):
        task(TASK).draw(entry, 6, 1)
    with pytest.raises(EpisodeError, match="--task bongard-hoi"):
        draw(entry, 1, 1)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"method": "zero-shot"}, "--text concept"),
        ({"method": "prolip"}, "needs pre-projection"),
        ({"method": "sum:ncm+gda"}, "by itself"),
        ({"policy": "few-shot-val"}, "--policy full-val or none"),
        ({"shots": 4}, "leave --shots out"),
        ({"draw": "natural"}, "leave --draw out"),
        ({"bank": "custom"}, "add --text concept"),
        ({"text": "names"}, "take --text concept"),
        ({"text": "concept"}, "--prompts negative"),
    ],
)
def test_what_cannot_be_is_refused(entry: Entry, words: dict[str, str], says: str) -> None:
    asked = {"method": "ncm", "shots": 6, "policy": "none", "task": TASK} | words
    with pytest.raises((ConfigError, MethodError, EpisodeError), match=says):
        run(entry, Experiment(**asked))  # type: ignore[arg-type]


def test_a_sweep_has_the_same_rows_and_does_none_twice(entry: Entry, tmp_path: Path) -> None:
    from adapters.results import Results

    runs = grid(FeatureCache(tmp_path), method=["ncm", "gda"], dataset="riddles", task=TASK)
    results = Results(tmp_path / "results.sqlite")
    assert sweep(runs, results=results).done == 2
    assert sweep(runs, results=results).before == 2
    frame = results.frame()
    rows = fit(entry, "gda", task=TASK).rows
    kept = frame[frame["method"] == "gda"]
    assert [*kept["accuracy"]] == [row["accuracy"] for row in rows]
    assert [*kept["run"].unique()] == [rows[0]["run"]]
