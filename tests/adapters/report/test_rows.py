"""Which rows a report reads, what it calls them, and which of them share a table."""

from __future__ import annotations

from pathlib import Path

import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.report import comparison, published, rows, sweeps
from adapters.report.build import rank
from adapters.results import Results
from featcache.errors import CacheError, ConfigError, UnknownNameError
from tests.adapters.rows import frame, row


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


def section(made: pandas.DataFrame) -> rows.Section:
    (found,) = rows.runs(made).sections()
    return found


def test_the_average_is_over_complete_seeds_and_lines() -> None:
    made = frame()
    lost = (made["method"] == "gda") & (made["dataset"] == "plants") & (made["seed"] == 2)
    found = comparison.averages(section(made[~lost]).rows)
    assert found.groupby("line")["seed"].nunique().to_dict() == {
        "zero-shot": 3, "gda": 2, "tip-adapter": 3,
    }  # fmt: skip
    one = made[(made["method"] == "tip-adapter") & (made["shots"] == 4) & (made["seed"] == 3)]
    mine = found[(found["line"] == "tip-adapter") & (found["shots"] == 4) & (found["seed"] == 3)]
    assert mine["accuracy"].item() == pytest.approx(one["accuracy"].mean())


def test_the_table_has_all_methods_and_its_best_in_bold() -> None:
    held = section(frame())
    table = comparison.by_dataset(held, 4, rank(held.rows), "zero-shot")
    assert list(table.heads) == ["method", "animals", "plants", "average"]
    assert [r[0] for r in table.rows] == ["tip-adapter", "gda", "zero-shot"]
    assert table.bold == {(0, 1), (0, 2), (0, 3)}
    assert "↑" in table.rows[0][3]
    assert not any("↑" in cell or "↓" in cell for cell in table.rows[2])


def test_gains_count_pairs() -> None:
    held = section(frame())
    table = comparison.gains(held, 4, rank(held.rows), "gda")
    assert table is not None
    cells = {r[0]: list(r[1:]) for r in table.rows}
    assert set(cells) == {"tip-adapter", "zero-shot"}
    for line in cells.values():
        assert sum(map(int, line[1:4])) == 6
        assert line[4] == "2"
        assert line[6] == "–"
    assert comparison.gains(held, 4, rank(held.rows), "absent") is None


def test_published_numbers_stand_beside_their_data_sets_only() -> None:
    made = frame(datasets=("eurosat", "plants"), shots=(16,))
    table = comparison.by_dataset(section(made), 16, ["gda"], None)
    theirs = {r[0].split(",")[0]: list(r[1:]) for r in table.rows[1:]}
    assert theirs["tip-adapter"] == ["70.54", "–", "–"]
    assert theirs["zero-shot"] == ["37.52", "–", "–"]
    assert "chosen on test" in table.note
    assert table.rules == {1}
    for other in (
        {"backbone": "RN50:cc12m"},
        {"backbone": "ViT-B-16:laion2b"},
        {"task": "base-to-new"},
    ):
        assert (
            len(comparison.by_dataset(section(made.assign(**other)), 16, ["gda"], None).rows) == 1
        )


def test_published_means_need_all_eleven() -> None:
    eleven = sorted(published.ELEVEN)
    full = published.beside("RN50-quickgelu:openai", eleven, 4)
    assert {r.method for r, _ in full} > {"gda", "coop", "tip-adapter"}
    assert all(len(numbers) == 12 for _, numbers in full)
    part = published.beside("RN50:openai", eleven[1:], 4)
    assert {r.method for r, _ in part} == {
        "zero-shot",
        "clip-adapter",
        "tip-adapter",
        "tip-adapter-f",
    }


@pytest.mark.parametrize("line", published.published(), ids=lambda p: f"{p.method}-{p.backbone}")
def test_published_rows_say_where_they_are_from(line: published.Published) -> None:
    assert line.source
    assert line.protocol
    assert set(line.accuracy) <= published.ELEVEN | {published.MEAN}
    numbers = [n for by_shots in line.accuracy.values() for n in by_shots.values()]
    assert all(0 < n < 100 for n in numbers)
    if line.accuracy.keys() == published.ELEVEN | {published.MEAN}:
        for shots in line.accuracy[published.MEAN]:
            own = [line.accuracy[d][shots] for d in published.ELEVEN]
            # Printed means are rounded, some from numbers of more digits.
            assert sum(own) / 11 == pytest.approx(line.accuracy[published.MEAN][shots], abs=0.06)


def test_a_sweep_is_several_settings_at_one_draw() -> None:
    made = pandas.DataFrame(
        [
            row(
                seed=s,
                settings={"alpha": a},
                config={"alpha": a, "part": {"beta": 2 * a}, "on": True},
            )
            for a in (1, 2)
            for s in (1, 2)
        ]
    )
    assert sweeps.is_sweep(made)
    assert list(sweeps.settings_of(made)) == ["alpha", "part.beta"]
    assert not sweeps.is_sweep(made[made["settings"] == made["settings"].iloc[0]])
