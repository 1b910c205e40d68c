"""What was written before the house was rebuilt still opens: an entry, adapters, results.

`before/` was made by the version of 25 November 2026: the set `dots`, 2 views, the demo backbone.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import adapters
from adapters.adapter import load
from adapters.report.rows import runs
from adapters.scoring import score
from featcache import FeatureCache

BEFORE = Path(__file__).parent / "before"
ADAPTERS = sorted(path.parent.name for path in BEFORE.glob("runs/*/adapter.json"))


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A copy, for opening brings results up to date."""
    return Path(shutil.copytree(BEFORE, tmp_path / "before"))


def test_the_entry_is_sound_and_can_be_fitted_on(kept: Path) -> None:
    entry = FeatureCache(kept / "cache").find("dots")
    assert entry.problems() == []
    assert entry.complete
    assert (entry.banks, entry.negative_banks) == (("dataset",), ("negative",))
    drawn = adapters.draw(entry, 2, 1)
    assert drawn.episode.support.views.shape == (3, 8, 128)
    assert drawn.episode.negative is not None


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_adapter_scores_as_its_row_says(kept: Path, name: str) -> None:
    adapter = load(kept / "runs" / name)
    entry = FeatureCache(kept / "cache").get(adapter.about["entry"])
    frame = adapters.Results(kept / "runs" / "results.sqlite").frame()
    row = frame[(frame["method"] == adapter.method) & (frame["status"] == "done")].iloc[0]
    (found,) = score(adapter, entry)
    assert found.accuracy == row["accuracy"]
    assert found.target == row["target"] == "dots"


def test_a_new_fit_saves_the_same_bytes(kept: Path, tmp_path: Path) -> None:
    entry = FeatureCache(kept / "cache").find("dots")
    outcome = adapters.fit(entry, "tip-adapter", shots=2)
    folder = outcome.adapter.save(tmp_path / "again")
    old = kept / "runs" / "tip-adapter"
    assert (folder / "adapter.safetensors").read_bytes() == (
        old / "adapter.safetensors"
    ).read_bytes()


def test_results_have_a_row_a_target(kept: Path) -> None:
    frame = adapters.Results(kept / "runs" / "results.sqlite").frame()
    assert frame["target"].tolist() == ["dots", "dots", "dots", "base", "dots", "new"]
    halves = frame[frame["task"] == "base-to-new"]
    base, new = halves["accuracy"]
    assert halves["harmonic_mean"].tolist() == [adapters.harmonic_mean(base, new)] * 2
    assert frame["status"].tolist().count("failed") == 1
    assert runs(frame).count == 4
