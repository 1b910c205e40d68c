"""Ours beside theirs: means by hand, what has no number, and the reasons that are given."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas
import pytest

from adapters.report.published import HARMONIC, Published, _row
from adapters.reproducing import comparing, tables
from adapters.reproducing.comparing import compared, planned, restated
from adapters.reproducing.needs import needs
from adapters.reproducing.tables import Line, Reproduction
from adapters.results import Results
from adapters.sweeping.sweep import sweep
from featcache.store.cache import FeatureCache
from tests.adapters.reproducing.small import SMALL, row
from tests.entries import make_entry


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path / "results.sqlite")


def test_numbers_are_means_over_seeds_of_the_runs(
    small: Reproduction, two: FeatureCache, results: Results
) -> None:
    held = needs(small, two)
    runs = planned(small, held, two)
    # Without training there is one run a seed and set, whatever the shots.
    assert [(r.line.published, r.shots) for r in runs].count(("zero-shot", 0)) == 4
    assert len(runs) == 4 + 8
    assert {r.policy for r in runs if r.line.published == "gda"} == {"full-val"}
    sweep([r.run for r in runs], None, results)
    rows = results.frame()
    found = compared(small, runs, rows, held)
    of = {(d.method, d.dataset, d.shots): d for d in found}
    assert of.keys() == {
        ("zero-shot", "animals", 0), ("zero-shot", "mean", 0), ("gda", "animals", 1),
        ("gda", "animals", 2), ("gda", "mean", 1),
    }  # fmt: skip
    gda = rows[(rows["method"] == "gda") & (rows["shots"] == 1)]
    own = gda[gda["dataset"] == "animals"]["accuracy"]
    one = of["gda", "animals", 1]
    assert one.ours == pytest.approx(own.mean())
    assert one.std == pytest.approx(own.std())
    assert one.seeds == 2
    assert one.difference == pytest.approx(own.mean() - 1)
    assert of["gda", "mean", 1].ours == pytest.approx(gda["accuracy"].mean())
    # Everything was done: the same sweep has nothing left.
    assert sweep([r.run for r in runs], None, results).before == len(runs)


def test_differences_above_a_point_have_their_reasons(
    small: Reproduction, two: FeatureCache, results: Results
) -> None:
    held = needs(small, two)
    runs = planned(small, held, two, methods=["gda"], shots=[1])
    assert len(runs) == 4
    sweep([r.run for r in runs], None, results)
    (there, mean) = compared(small, runs, results.frame(), held)
    assert (there.policy, there.theirs) == ("full-val", "oracle-test")
    assert (mean.policy, mean.theirs) == ("full-val", "several")
    reasons = there.reasons
    assert "it was made up" in reasons
    assert "policy: chosen on test there, full-val here" in reasons
    assert "text there: CuPL; here: imported (animals)" in reasons
    assert "seeds: 3 there, 2 here" in reasons
    assert any(why.startswith("gda here: ") for why in reasons)


@pytest.mark.parametrize(("off", "given"), [(0.9, False), (-0.9, False), (1.1, True), (-1.1, True)])
def test_a_point_is_the_measure(
    small: Reproduction,
    two: FeatureCache,
    results: Results,
    monkeypatch: pytest.MonkeyPatch,
    off: float,
    given: bool,
) -> None:
    held = needs(small, two)
    runs = planned(small, held, two, methods=["zero-shot"])
    sweep([r.run for r in runs], None, results)
    table = replace(small, lines=small.lines[:1])
    ours = compared(table, runs, results.frame(), held)[0].ours
    near = row("zero-shot", {"animals": {"0": ours - off}}, selection="none", mark="F")
    monkeypatch.setattr(tables, "published", lambda: (near,))
    (found,) = compared(table, runs, results.frame(), held)
    assert found.difference == pytest.approx(off)
    assert bool(found.reasons) == given
    assert ("the published number was read off a figure" in found.reasons) == given
    assert not any(why.startswith("policy") for why in found.reasons)


def test_where_nothing_is_learned_there_are_fewer_reasons(
    small: Reproduction, two: FeatureCache, results: Results
) -> None:
    held = needs(small, two)
    runs = planned(small, held, two, methods=["zero-shot"])
    sweep([r.run for r in runs], None, results)
    text = "text there: CuPL; here: imported (animals)"
    assert compared(small, runs, results.frame(), held)[0].reasons == (text, comparing.WEIGHTS)
    known = replace(small, prompts=dict.fromkeys(small.datasets, "imported"))
    assert needs(known, two)[0].lacks == ()
    text = "text there: CuPL; here: templates"
    found = compared(known, runs, results.frame(), needs(known, two))
    assert found[0].reasons == (text, comparing.WEIGHTS)


@pytest.mark.parametrize("text", ["not stated", "template", "CuPL"])
def test_a_bank_that_was_asked_for_is_the_text_of_ours(
    small: Reproduction,
    two: FeatureCache,
    results: Results,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
) -> None:
    theirs = row("zero-shot", {"animals": {"0": 1.0}}, selection="none", text=text)
    monkeypatch.setattr(tables, "published", lambda: (theirs,))
    table = replace(small, lines=small.lines[:1], asked_bank="imported")
    held = needs(table, two)
    runs = planned(table, held, two)
    sweep([r.run for r in runs], None, results)
    found = compared(table, runs, results.frame(), held)
    assert found[0].reasons == (f"text there: {text}; here: imported", comparing.WEIGHTS)
    (mine,) = restated(table, found)
    assert mine["text"] == "imported"
    lacking = replace(table, asked_bank="typo")
    assert planned(lacking, needs(lacking, two), two) == []
    other = replace(table, asked_bank="")
    assert planned(other, needs(other, two), two) != []  # the table's own may be stood in for


def test_chosen_on_test_where_it_is_asked_for(small: Reproduction, two: FeatureCache) -> None:
    runs = planned(small, needs(small, two), two, on_test=True, methods=["gda"])
    assert {(r.run.entry.dataset, r.policy) for r in runs} == {
        ("animals", "oracle-test"), ("beasts", "full-val"),
    }  # fmt: skip


def test_what_is_not_cached_has_no_mean(
    small: Reproduction, tmp_path: Path, results: Results
) -> None:
    make_entry(tmp_path)
    cache = FeatureCache(tmp_path / "cache")
    held = needs(small, cache)
    runs = planned(small, held, cache, methods=["zero-shot"])
    sweep([r.run for r in runs], None, results)
    assert [d.dataset for d in compared(small, runs, results.frame(), held)] == ["animals"]
    assert compared(small, runs, results.frame()[:0], held) == []
    needing = replace(small, lines=(Line("gda", extra="text-tower"),), views=0)
    assert planned(needing, needs(needing, cache), cache) == []
    transfer = replace(small, on=("elsewhere",))
    assert planned(transfer, needs(transfer, cache), cache) == []


def test_halves_means_and_groups_by_hand() -> None:
    """The mean H of a paper is the harmonic mean of its mean halves."""
    line: Published = _row(
        {"table": "base-to-new", "method": "m", "backbone": "b", "source": "s", "mark": "L",
         "own": True, "seeds": 1, "selection": "none", "text": "t", "mean_is": "none",
         "mean_of": ["a", "b"], "groups": {"group:one": ["b"]}}
    )  # fmt: skip
    scores = {
        ("base", "a"): {1: 80.0, 2: 90.0}, ("base", "b"): {1: 60.0},
        ("new", "a"): {1: 40.0}, ("new", "b"): {1: 20.0}, (HARMONIC, "a"): {1: 53.0},
    }  # fmt: skip
    assert comparing._own(scores, line, "base", "mean") == [70.0]  # of seeds that all sets have
    assert comparing._own(scores, line, "base", "group:one") == [60.0]
    assert comparing._own(scores, line, "base", "a") == [80.0, 90.0]
    assert comparing._own(scores, line, HARMONIC, "mean") == [pytest.approx(2 * 70 * 30 / 100)]
    assert comparing._own(scores, line, HARMONIC, "a") == [53.0]
    assert comparing._own(scores, line, "new", "c") == []


def test_ours_may_be_written_as_published_rows(
    small: Reproduction, two: FeatureCache, results: Results
) -> None:
    held = needs(small, two)
    runs = planned(small, held, two, methods=["zero-shot"])
    sweep([r.run for r in runs], None, results)
    found = compared(small, runs, results.frame(), held)
    (mine,) = restated(small, found)
    again = _row(mine)
    assert again.source == "featcache, `adapters reproduce small`"
    assert (again.method, again.selection, again.seeds) == ("zero-shot", "none", 2)
    assert again.at("animals", 0) == pytest.approx(found[0].ours, abs=0.005)


@pytest.mark.parametrize("on_test", [False, True])
def test_whose_policies_differ_by_set_say_so(
    small: Reproduction, two: FeatureCache, results: Results, on_test: bool
) -> None:
    held = needs(small, two)
    runs = planned(small, held, two, on_test=on_test, methods=["gda"], shots=[1])
    sweep([r.run for r in runs], None, results)
    found = compared(small, runs, results.frame(), held)
    (line,) = restated(small, found, on_test)
    again = _row(line)
    for name in small.datasets:
        own = {r.policy for r in runs if r.run.entry.dataset == name}
        assert own == {again.policy(name)}
    assert again.policy("mean") == ("several" if on_test else "full-val")
    assert ("selection_by_set" in line) == on_test


def test_scores_of_transfers_are_by_target() -> None:
    entry = type("E", (), {"dataset": "birds"})
    run = type("R", (), {"id": "x", "entry": entry, "experiment": type("X", (), {"seed": 3})})
    each = comparing.Planned(Line("gda"), 16, "none", run)  # type: ignore[arg-type]
    rows = pandas.DataFrame({"target": ["birds", "zoo"], "accuracy": [90.0, 70.0]})
    table = replace(SMALL, task="cross-dataset")
    assert comparing._scores(table, [each], {"x": rows}) == {
        ("accuracy", "birds"): {3: 90.0}, ("accuracy", "zoo"): {3: 70.0},
    }  # fmt: skip
    halves = pandas.DataFrame(
        {"target": ["base", "new"], "accuracy": [90.0, 70.0], "harmonic_mean": [78.75, 78.75]}
    )
    assert comparing._scores(replace(SMALL, task="base-to-new"), [each], {"x": halves}) == {
        ("base", "birds"): {3: 90.0}, ("new", "birds"): {3: 70.0}, (HARMONIC, "birds"): {3: 78.75},
    }  # fmt: skip
