"""What an entry lacks is what a draw of it does not hold: the same by the manifest alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters import compose
from adapters.drawing import draw
from adapters.episode import NEGATIVE_PROMPTS, TEXT_TOWER, VIEWS
from adapters.reading.features import ADDED_BY, adding
from adapters.registry import names, plain
from adapters.sweeping import lacking as room
from adapters.sweeping.grid import grid
from adapters.sweeping.lacking import lacking
from featcache import Entry, FeatureCache, import_features
from featcache.errors import MethodError
from featcache.store.entry import PATCHES, PRE_PROJECTION, reload
from tests.enriched import enriched
from tests.entries import NARROW, make_entry
from tests.featcache.interchange import layouts
from tests.featcache.store.test_towers import beside
from tests.typed import Type

FIVE = (VIEWS, PRE_PROJECTION, PATCHES, NEGATIVE_PROMPTS, TEXT_TOWER)


def needing(monkeypatch: pytest.MonkeyPatch, need: str) -> None:
    found = replace(plain("ncm"), needs=frozenset({need}))
    monkeypatch.setattr(room, "get", lambda _name: found)


def spoken(entry: Entry) -> Entry:
    """The entry with a text tower beside it, as far as a look goes."""
    beside(entry)
    return reload(entry)


def imported(folder: Path, make: layouts.Made, seed: int | None = None) -> Entry:
    held, classes = make(folder / "theirs"), layouts.classes(folder)
    cache = FeatureCache(folder / "cache")
    return import_features([held.folder], "pets", NARROW, cache, classes=classes, seed=seed)


@pytest.mark.parametrize("need", FIVE)
@pytest.mark.parametrize("views", [None, 0])
def test_it_is_what_a_draw_does_not_hold(
    need: str, views: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {*ADDED_BY} == {*FIVE}
    needing(monkeypatch, need)
    entries = [
        make_entry(tmp_path / "bare"),
        enriched(make_entry(tmp_path / "rich")),
        make_entry(tmp_path / "pool", splits={"pool": 90}),
        imported(tmp_path / "views", layouts.timo),
        imported(tmp_path / "mean", layouts.tip_adapter, 1),
        spoken(make_entry(tmp_path / "spoken")),
    ]
    for entry in entries:
        shots, seed = (entry.supports or ((2, 1),))[-1]
        held = draw(entry, shots, seed, views=views, extras=FIVE).episode.holds
        why = lacking(entry, (), "few-shot", "ncm", views)
        assert (why == "") is (need in held), entry.key
        if why:
            assert adding(entry, [need]) in why


def test_other_sets_have_to_have_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needing(monkeypatch, PRE_PROJECTION)
    entry, other = enriched(make_entry(tmp_path / "one")), make_entry(tmp_path / "two")
    assert lacking(entry, (entry,), "domain-generalization", "ncm") == ""
    assert PRE_PROJECTION in lacking(entry, (other,), "domain-generalization", "ncm")


def test_without_training_pictures_what_learns_from_none_is_left(tmp_path: Path) -> None:
    entry = make_entry(tmp_path, splits={"test": 21})
    assert lacking(entry, (), "few-shot", "zero-shot") == ""
    assert "no training pictures" in lacking(entry, (), "few-shot", "gda")
    runs = grid(FeatureCache(tmp_path / "cache"), method="all")
    assert [run.experiment.method for run in runs] == ["stata", "zero-shot"]


def test_without_text_what_does_without_is_left(tmp_path: Path) -> None:
    entry = imported(tmp_path, layouts.transclip, 1)
    cache = FeatureCache(tmp_path / "cache")
    words: dict[str, Any] = {"shots": 2, "policy": "none"}
    found = {run.experiment.method for run in grid(cache, method="all", **words)}
    assert "gda" in found
    assert all(compose.get(name).without_text for name in found)
    assert "featcache import … --text FILE" in lacking(entry, (), "few-shot", "taskres")
    with pytest.raises(MethodError, match="taskres needs texts of the classes"):
        grid(cache, method="taskres", **words)


def test_a_sweep_of_all_says_what_it_leaves_out_and_does_the_rest(
    tmp_path: Path, type_in: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    entry = imported(tmp_path, layouts.transclip, 1)
    line = f"adapters sweep --method all --shots 2 --cache {tmp_path / 'cache'} --dry-run"
    told = type_in(line)
    assert told.status == 0, told.err
    said = " ".join(told.out.split())
    assert f"on {entry.key}: there is no text, which `featcache import" in said
    assert "taskres" in said
    counts = type_in(f"{line} --json").json
    left = counts["left_out"][entry.key]
    assert {"prolip", "taskres", "zero-shot"} <= {*left}
    assert counts["runs"] + len(left) == len(names())
