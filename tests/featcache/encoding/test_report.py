"""What a run did: an account that begins at nothing and is nobody else's."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from featcache import FeatureCache, encode_dataset
from featcache.backbones.backbone import Backbone
from featcache.draws import drawable
from featcache.encoding.report import Report
from featcache.store.entry import Entry
from tests.featcache.encoding.noise import VIEWS, noise


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    return Entry(tmp_path, {})


def test_a_report_begins_at_nothing(entry: Entry) -> None:
    assert asdict(Report(entry)) == {
        "entry": {"folder": entry.folder, "manifest": {}},
        "encoded": 0,
        "taken": 0,
        "skipped": 0,
        "crops": 0,
        "prompts": 0,
        "batch_size": 0,
        "wall": 0.0,
        "seconds": {"read": 0.0, "decode": 0.0, "forward": 0.0, "write": 0.0},
        "bad": [],
        "damaged": [],
        "notes": [],
    }


def test_two_reports_share_no_account(entry: Entry) -> None:
    one, other = Report(entry), Report(entry)
    one.seconds["read"] += 1
    one.bad.append(("a.jpg", "is empty."))
    assert other == Report(entry)


def test_pictures_crops_and_seconds_of_a_run_add_up(tiny: Backbone, tmp_path: Path) -> None:
    data, cache = noise(), FeatureCache(tmp_path / "cache")
    steps: list[tuple[int, int]] = []
    report = encode_dataset(
        data, tiny, cache, views=VIEWS, workers=1, progress=lambda *now: steps.append(now)
    )
    pictures = sum(map(len, data.splits.values()))
    assert (report.encoded, report.skipped) == (pictures, 0)
    viewed = drawable([item.label for item in data.splits["train"]])
    assert report.crops == pictures + VIEWS.count * len(viewed)
    assert steps[-1] == (report.crops, report.crops)
    assert steps == sorted(steps)
    assert all(seconds >= 0 for seconds in report.seconds.values())
    # With one worker no stage can take longer than the whole.
    assert max(report.seconds.values()) <= report.wall
    again = encode_dataset(data, tiny, cache, views=VIEWS)
    assert (again.encoded, again.skipped, again.crops) == (0, pictures, 0)
    assert again.prompts == 0
