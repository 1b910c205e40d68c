"""Which rows a report reads, what it calls them, and which of them share a table."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.compose import get
from adapters.registry import names
from adapters.report import rows
from adapters.results import COLUMNS, Results
from featcache.errors import CacheError, ConfigError, UnknownNameError
from tests.adapters.rows import elsewhere, frame, halves, row, section_of


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(*(st.sampled_from("ab") for _ in range(3)), st.sampled_from([0, 1])),
        min_size=1,
        max_size=12,
    )
)
def test_no_two_that_differ_share_a_section(keys: list[tuple[str, str, str, int]]) -> None:
    made = [
        row(backbone=b, task=t, policy=p, transductive=f, seed=i)
        for i, (b, t, p, f) in enumerate(keys)
    ]
    sections = list(rows.runs(pandas.DataFrame(made)).sections())
    assert len(sections) == len(set(keys))
    assert sum(len(section.rows) for section in sections) == len(keys)
    for section in sections:
        for column in rows.APART:
            assert section.rows[column].nunique() == 1
    flags = [section.transductive for section in sections]
    assert flags == sorted(flags)
    assert len({section.name for section in sections}) == len(sections)


def test_sections_begin_with_few_shot_and_sums_follow_what_they_are_of() -> None:
    made = [*halves(80, 60, 68.6), row(), row(method="x", transductive=1)]
    sections = rows.runs(pandas.DataFrame(made)).sections()
    assert [(s.task, s.measure, s.transductive) for s in sections] == [
        ("few-shot", "", False),
        ("base-to-new", "base", False),
        ("base-to-new", "new", False),
        ("base-to-new", "harmonic mean", False),
        ("few-shot", "", True),
    ]


def test_failed_rows_are_counted_apart() -> None:
    made = frame().assign(status="done", reason=None)
    made.loc[[0, 5], ["status", "reason"]] = ["failed", "out of memory"]
    made.loc[7, "accuracy"] = None
    found = rows.runs(made)
    assert len(found.failed) == 3
    assert len(found.done) == len(made) - 3
    assert set(found.failed["run"]).isdisjoint(found.done["run"])


def test_lines_are_told_apart_by_what_differs() -> None:
    made = [
        row(),
        row(settings={"alpha": 0.5, "beta": 2}),
        row(bank="cupl", views=20, settings={"preset": "s"}),
        row(dataset="plants"),
    ]
    lines = rows.runs(pandas.DataFrame(made)).done["line"].tolist()
    assert lines[1] == "gda, alpha=0.5, beta=2, prompts imported, 0 views"
    assert lines[2] == "gda, preset=s, prompts cupl, 20 views"
    assert lines[3] == "gda"


def test_the_newest_of_equal_runs_counts() -> None:
    made = [row(code="new", accuracy=90.0, time="2026-02-01"), row(code="old", time="2026-01-01")]
    found = rows.runs(pandas.DataFrame(made))
    assert found.done["accuracy"].tolist() == [90.0]
    assert found.superseded == 1


def test_where(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.sqlite")
    for made in frame().to_dict("records"):
        results.add(made)
    found = rows.read(results.path, ["dataset=animals", "shots=1,4", "method=gda"]).done
    assert set(found["dataset"]) == {"animals"}
    assert set(found["shots"]) == {1, 4}
    assert len(found) == 6
    with pytest.raises(UnknownNameError, match="dataset"):
        rows.read(results.path, ["datset=animals"])
    with pytest.raises(ConfigError, match="column=value"):
        rows.read(results.path, ["animals"])
    with pytest.raises(CacheError, match="no finished run that fulfils"):
        rows.read(results.path, ["dataset=none"])
    with pytest.raises(CacheError, match="no results file"):
        rows.read(tmp_path / "no.sqlite")
    assert not (tmp_path / "no.sqlite").exists()


def test_failures_of_every_kind_are_left_out() -> None:
    """Results of earlier versions have no status; then an accuracy is what makes a run."""
    made = frame()[["run", *COLUMNS]].drop(columns=["status"])
    made.loc[3, "accuracy"] = None
    found = rows.runs(made)
    assert len(found.failed) == 1
    assert len(found.done) == len(made) - 1
    assert found.superseded == 0
    assert found.done["accuracy"].dtype == float
    assert found.done["shots"].dtype == found.done["seed"].dtype == int
    assert found.done["transductive"].dtype == bool


def test_base_new_and_their_mean_are_sections_apart() -> None:
    made = pandas.DataFrame(
        [
            *(r for s in (1, 2) for r in halves(90, 60 + s, 72 + s, seed=s)),
            *(r for s in (1, 2) for r in halves(80, 40, 53, "zero-shot", seed=s)),
            row(accuracy=33.0),
        ]
    )
    found = rows.runs(made)
    assert found.count == 5  # runs, of which four have two rows each
    assert found.superseded == 0
    sections = {section.measure: section for section in found.sections()}
    assert list(sections) == ["", "base", "new", "harmonic mean"]
    means = {
        measure: section.rows.groupby("line")["accuracy"].mean().to_dict()
        for measure, section in sections.items()
    }
    assert means == {
        "base": {"gda": 90, "zero-shot": 80},
        "new": {"gda": 61.5, "zero-shot": 40},
        "harmonic mean": {"gda": 73.5, "zero-shot": 53},
        "": {"gda": 33},
    }
    assert [section.title for section in sections.values()] == [
        "RN50:openai, policy none",
        "RN50:openai, base-to-new (base), policy none",
        "RN50:openai, base-to-new (new), policy none",
        "RN50:openai, base-to-new (harmonic mean), policy none",
    ]
    assert [section.name for section in sections.values()] == [
        "rn50-openai-none",
        "rn50-openai-base-to-new-base-none",
        "rn50-openai-base-to-new-new-none",
        "rn50-openai-base-to-new-harmonic-mean-none",
    ]


def test_a_target_that_is_the_data_set_itself_is_no_measure() -> None:
    made = pandas.DataFrame([row(target="animals"), row(target=None, seed=2)])
    assert section_of(made).measure == ""
    assert len(section_of(made).rows) == 2


def test_an_older_run_of_two_halves_is_one_older_run() -> None:
    old = halves(50, 40, 44, code="old", time="2025-01-01")
    new = halves(90, 60, 72, code="new")
    found = rows.runs(pandas.DataFrame([*new, *old]))
    assert (found.count, found.superseded) == (1, 1)
    assert sorted(found.done["accuracy"]) == [60, 72, 90]


def test_a_section_names_itself() -> None:
    held = section_of(frame(datasets=("b", "a"), shots=(16, 2)).assign(transductive=1))
    assert held.title == "RN50:openai, policy none, transductive methods"
    assert held.name == "rn50-openai-none-transductive"
    assert held.datasets == ["a", "b"]
    assert held.shots == [2, 16]
    with pytest.raises(FrozenInstanceError):
        held.policy = "full-val"  # type: ignore[misc]


def alphas(many: int, score: bool = True, **changes: object) -> list[dict[str, object]]:
    """So many settings of tip-adapter, of which alpha = 1 did best on validation."""
    return [
        row(
            method="tip-adapter",
            settings={"alpha": a},
            val_score=(100.0 - a if score else None),
            accuracy=50.0 + a,
            **changes,
        )
        for a in range(1, many + 1)
    ]


def test_few_settings_are_all_compared_and_of_many_one() -> None:
    assert rows.SWEPT == 6
    few = section_of(pandas.DataFrame([*alphas(6), row()])).rows
    assert rows.compared(few)["line"].nunique() == 7
    many = section_of(pandas.DataFrame([*alphas(7), row()])).rows
    # Best on validation, though the worst on the test split.
    assert set(rows.compared(many)["line"]) == {"gda", "tip-adapter, alpha=1"}


def test_of_what_is_left_out_the_least_error_is_the_best() -> None:
    many = section_of(pandas.DataFrame([*alphas(7, policy="loo"), row(policy="loo")])).rows
    assert set(rows.compared(many)["line"]) == {"gda", "tip-adapter, alpha=7"}


def test_the_defaults_stand_for_a_sweep_that_holds_them() -> None:
    made = [*alphas(7), row(method="tip-adapter", accuracy=1.0)]
    kept = rows.compared(section_of(pandas.DataFrame(made)).rows)
    assert set(kept["line"]) == {"tip-adapter"}


def test_where_the_best_cannot_be_told_all_settings_stay() -> None:
    unscored = section_of(pandas.DataFrame(alphas(7, score=False))).rows
    assert len(rows.compared(unscored)) == 7
    # No draw on which all of them were run: nothing to compare them by.
    made = [{**r, "seed": i} for i, r in enumerate(alphas(7))]
    assert len(rows.compared(section_of(pandas.DataFrame(made)).rows)) == 7


def test_a_score_that_is_a_loss_is_best_where_it_is_least() -> None:
    losing = next(name for name in names() if get(name).criterion == "cross-entropy")
    made = [
        row(method=losing, settings={"x": x}, val_score=float(x), accuracy=50.0)
        for x in (3, 1, 2, 5, 4, 7, 6)
    ]
    kept = rows.compared(section_of(pandas.DataFrame(made)).rows)
    assert set(kept["line"]) == {f"{losing}, x=1"}


def test_entries_that_differ_are_different_lines() -> None:
    made = [row(entry="animals/RN50_openai/abc"), row(entry="animals/RN50_openai/def")]
    lines = rows.runs(pandas.DataFrame(made)).done["line"].tolist()
    assert lines == ["gda, abc", "gda, def"]


def test_other_sets_stand_in_one_section_as_data_sets_beside_their_source() -> None:
    made = pandas.DataFrame(
        [r for s in (1, 2) for m in ("gda", "ncm") for r in elsewhere(method=m, seed=s)]
    )
    found = rows.runs(made)
    assert found.count == 4
    [section] = found.sections()
    assert section.source == "birds"
    assert section.datasets == ["birds", "zoo", "birds-few"]
    assert section.title == "RN50:openai, domain-generalization from birds, policy none"
    assert section.name == "rn50-openai-domain-generalization-birds-none"
    assert set(rows.targets(section.rows)["dataset"]) == {"zoo", "birds-few"}


def test_a_line_has_one_name_on_all_sets_that_its_fit_is_scored_on() -> None:
    one = elsewhere(views=20)
    other = elsewhere(views=0)[:1]  # scored on its source alone
    lines = rows.runs(pandas.DataFrame([*one, *other])).done
    assert set(lines[lines["views"] == 20]["line"]) == {"gda, 20 views"}


def test_other_splits_and_other_sources_are_sections_apart() -> None:
    made = [
        *elsewhere(),
        *elsewhere(source="fish"),
        row(dataset="birds", task="domain-generalization", target="zoo (val)", target_entry="z"),
        row(dataset="zoo"),
    ]
    found = {(s.source, s.measure) for s in rows.runs(pandas.DataFrame(made)).sections()}
    assert found == {("birds", ""), ("fish", ""), ("birds", "val"), ("", "")}


def test_rows_that_read_other_features_are_other_lines() -> None:
    """Such as prompts that were encoded anew under their name; old rows do not say it."""
    made = [
        row(seed=1, features="aaaaaa"), row(seed=2, features="bbbbbb"), row(seed=3),
        row(seed=1, features="cccccc", method="ncm"),
        row(seed=1, features="dddddd", bank="cupl", method="ncm"),
        row(seed=1, features="eeeeee", dataset="plants"),
    ]  # fmt: skip
    assert rows.runs(pandas.DataFrame(made)).done["line"].tolist() == [
        "gda (aaaaaa)", "gda (bbbbbb)", "gda", "ncm, prompts imported", "ncm, prompts cupl", "gda",
    ]  # fmt: skip


def test_draws_of_one_source_are_sections_apart() -> None:
    made = [*elsewhere(), *elsewhere(draw="natural"), *elsewhere(shots="all", draw="all")]
    found = {(s.source, s.draw): s for s in rows.runs(pandas.DataFrame(made)).sections()}
    assert {*found} == {("birds", "balanced"), ("birds", "natural"), ("birds", "all")}
    natural = found["birds", "natural"]
    assert natural.name == "rn50-openai-domain-generalization-birds-none-natural"
    assert natural.title == (
        "RN50:openai, domain-generalization from birds, classes as they occur, policy none"
    )


def test_a_draw_of_a_file_is_a_section_called_after_it() -> None:
    made = [*elsewhere(shots="all", draw="file:a.json@01234567")]
    (found,) = rows.runs(pandas.DataFrame(made)).sections()
    assert ", file:a.json@01234567, policy" in found.title
    assert "file" in found.name
