"""Tables that compare methods: every number is that of a count by hand."""

from __future__ import annotations

import math
from statistics import mean, stdev

import pandas
import pytest
import scipy.stats

from adapters.report import comparison
from adapters.report.build import rank
from adapters.report.rows import Section, runs
from tests.adapters.rows import elsewhere, frame, halves, row, section_of


def of(values: dict[tuple[str, str], list[float]], shots: int = 4, **changes: object) -> Section:
    """A section of accuracies over seeds, by method and data set."""
    made = [
        row(method=m, dataset=d, seed=s, shots=shots, accuracy=a, entry=f"{d}/x/y", **changes)
        for (m, d), held in values.items()
        for s, a in enumerate(held, start=1)
    ]
    return section_of(pandas.DataFrame(made))


TWO = {
    ("gda", "animals"): [80.0, 82.0, 87.0],
    ("gda", "plants"): [60.0, 66.0, 60.0],
    ("zero-shot", "animals"): [70.0, 70.0, 70.0],
    ("zero-shot", "plants"): [62.0, 62.0, 62.0],
}


def said(values: list[float]) -> str:
    """A mean and half its interval, by the tables of Student's t."""
    t = {2: 12.706, 3: 4.303}[len(values)]
    return f"{mean(values):.1f} ± {t * stdev(values) / math.sqrt(len(values)):.1f}"


def test_the_average_is_over_complete_seeds_and_lines() -> None:
    made = frame()
    lost = (made["method"] == "gda") & (made["dataset"] == "plants") & (made["seed"] == 2)
    found = comparison.averages(section_of(made[~lost]).rows)
    assert found.groupby("line")["seed"].nunique().to_dict() == {
        "zero-shot": 3, "gda": 2, "tip-adapter": 3,
    }  # fmt: skip
    one = made[(made["method"] == "tip-adapter") & (made["shots"] == 4) & (made["seed"] == 3)]
    mine = found[(found["line"] == "tip-adapter") & (found["shots"] == 4) & (found["seed"] == 3)]
    assert mine["accuracy"].item() == pytest.approx(one["accuracy"].mean())


def test_the_average_of_two_data_sets_by_hand() -> None:
    held = of(TWO)
    found = comparison.averages(held.rows)
    assert found[found["line"] == "gda"]["accuracy"].tolist() == [70.0, 74.0, 73.5]
    assert found[found["line"] == "zero-shot"]["accuracy"].tolist() == [66.0] * 3
    with_it = comparison.with_average(held.rows)
    assert len(with_it) == len(held.rows) + 6
    assert set(with_it["dataset"]) == {"animals", "plants", "average"}
    alone = held.rows[held.rows["dataset"] == "animals"]
    assert set(comparison.with_average(alone)["dataset"]) == {"animals"}


def test_the_table_by_data_set_by_hand() -> None:
    table = comparison.by_dataset(of(TWO), 4, ["gda", "zero-shot"], "zero-shot")
    assert table.name == "accuracy-rn50-openai-none-4-shot"
    assert table.title == "Accuracy, 4 shots, RN50:openai, policy none"
    assert list(table.heads) == ["method", "animals", "plants", "average"]
    assert table.rows == [
        [
            "gda",
            f"{said([80, 82, 87])} ↑",  # p = 0.025, and no others to correct for
            said([60, 66, 60]),
            f"{said([70, 74, 73.5])} ↑",
        ],
        ["zero-shot", "70.0 ± 0.0", "62.0 ± 0.0", "66.0 ± 0.0"],
    ]
    # Shown as 62.0 they are equals; both are the best of their column.
    assert table.bold == {(0, 1), (0, 2), (1, 2), (0, 3)}
    assert "better and worse than zero-shot at 5 %" in table.note
    assert "↑" not in comparison.by_dataset(of(TWO), 4, ["gda"], None).note


def test_the_table_has_all_methods_and_its_best_in_bold() -> None:
    held = section_of(frame())
    table = comparison.by_dataset(held, 4, rank(held.rows), "zero-shot")
    assert list(table.heads) == ["method", "animals", "plants", "average"]
    assert [r[0] for r in table.rows] == ["tip-adapter", "gda", "zero-shot"]
    assert table.bold == {(0, 1), (0, 2), (0, 3)}
    assert "↑" in table.rows[0][3]
    assert not any("↑" in cell or "↓" in cell for cell in table.rows[2])


def test_what_was_not_run_is_a_dash() -> None:
    held = of({key: values for key, values in TWO.items() if key != ("gda", "plants")})
    table = comparison.by_dataset(held, 4, ["gda", "zero-shot", "absent"], "zero-shot")
    assert [r[0] for r in table.rows] == ["gda", "zero-shot"]
    assert table.rows[0][2:] == ["–", "–"]
    assert table.rows[1][3] == "66.0 ± 0.0"


def test_one_seed_has_no_interval_and_no_arrow() -> None:
    held = of({("gda", "animals"): [80.0], ("zero-shot", "animals"): [20.0]})
    table = comparison.by_dataset(held, 4, ["gda", "zero-shot"], "zero-shot")
    assert table.rows == [["gda", "80.0"], ["zero-shot", "20.0"]]


def test_a_method_that_is_worse_gets_the_other_arrow() -> None:
    held = of({("gda", "animals"): [10.0, 11.0, 10.0], ("zero-shot", "animals"): [80.0] * 3})
    table = comparison.by_dataset(held, 4, ["gda", "zero-shot"], "zero-shot")
    assert table.rows[0][1].endswith(" ↓")
    assert table.bold == {(1, 1)}


def test_p_values_are_those_of_the_paired_test_corrected_by_column() -> None:
    three = TWO | {("ncm", "animals"): [69.0, 71.0, 75.0], ("ncm", "plants"): [50.0, 51.0, 53.0]}
    found = comparison.p_values(of(three).rows, "zero-shot")
    assert set(found) == {(m, d) for m in ("gda", "ncm") for d in ("animals", "plants")}
    plain = {
        key: scipy.stats.ttest_rel(three[key], three["zero-shot", key[1]]).pvalue for key in found
    }
    for dataset in ("animals", "plants"):
        low, high = sorted(("gda", "ncm"), key=lambda m: plain[m, dataset])
        assert found[low, dataset][1] == pytest.approx(min(1, 2 * plain[low, dataset]))
        assert found[high, dataset][1] == pytest.approx(
            max(plain[high, dataset], min(1, 2 * plain[low, dataset]))
        )
    assert found["gda", "animals"][0] == pytest.approx(13)
    assert found["ncm", "plants"][0] == pytest.approx(51.3333 - 62, abs=1e-4)
    assert comparison.p_values(of(three).rows, None) == {}


def test_the_table_over_shots_by_hand() -> None:
    made = [
        row(method=m, shots=k, seed=s, accuracy=50.0 + k + s, fit_seconds=k * s / 10)
        for m in ("gda", "ncm")
        for k in (1, 16)
        for s in (1, 2)
        if (m, k) != ("ncm", 16)
    ]
    held = section_of(pandas.DataFrame(made))
    table = comparison.by_shots(held, "animals", ["gda", "ncm", "absent"])
    assert table.name == "shots-rn50-openai-none-animals"
    assert list(table.heads) == ["method", "1 shot", "16 shots", "clock seconds a fit"]
    assert table.rows == [
        # Medians of 0.1, 0.2, 1.6, 3.2 and of 0.1, 0.2.
        ["gda", said([52, 53]), said([67, 68]), "0.9"],
        ["ncm", said([52, 53]), "–", "0.15"],
    ]
    assert table.bold == {(0, 1), (1, 1), (0, 2)}


def test_seconds_are_the_processors_and_what_is_of_the_clock_says_so() -> None:
    """A line of before, a line that has a row of before, and one on a GPU stand by the clock."""
    busy = {"fit_seconds": 8.0, "fit_processor_seconds": 2.0, "device": "cpu"}
    before = {"fit_seconds": 8.0}
    card = {**busy, "device": "NVIDIA H100"}
    made = [row(method="gda", seed=1, **busy), row(method="gda", seed=2, **busy)]
    table = comparison.by_shots(section_of(pandas.DataFrame(made)), "animals", ["gda"])
    assert (table.heads[-1], table.rows[0][-1]) == ("processor seconds a fit", "2")
    assert "clock" not in table.note
    made += [row(method="ape", **before), row(method="ncm", **card)]
    made += [row(method="clap", seed=1, **busy), row(method="clap", seed=2, **before)]
    lines = ["gda", "ape", "ncm", "clap"]
    table = comparison.by_shots(section_of(pandas.DataFrame(made)), "animals", lines)
    assert table.heads[-1] == "seconds a fit"
    assert [r[-1] for r in table.rows] == ["2", "8 (clock)", "8 (clock)", "8 (clock)"]
    assert "(clock): those of the clock" in table.note


def test_what_is_below_the_baseline_has_a_minus_and_nought_none() -> None:
    """A hyphen is a hyphen in LaTeX, and −0.0 is nought."""
    assert comparison._text(-7.84, 18.6) == "−7.8 ± 18.6"
    assert comparison._text(-0.04, float("nan")) == "0.0"
    assert comparison._text(12.34, float("nan")) == "12.3"


def test_gains_by_hand() -> None:
    table = comparison.gains(of(TWO), 4, ["gda", "zero-shot"], "zero-shot")
    assert table is not None
    assert table.name == "gains-rn50-openai-none-4-shot"
    assert table.title == "Against zero-shot, 4 shots, RN50:openai, policy none"
    p = scipy.stats.ttest_1samp([4.0, 8.0, 7.5], 0).pvalue
    # By seed: (10 - 2) / 2, (12 + 4) / 2, (17 - 2) / 2. By draw: four won, two lost.
    assert table.rows == [["gda", said([4, 8, 7.5]), "4", "0", "2", "2", f"{p:.3f}", "–"]]
    assert "Differences to zero-shot" in table.note


def test_gains_over_six_data_sets_are_tested_over_data_sets() -> None:
    sets = {(m, f"d{i}"): [60.0 + i * (m == "gda")] for m in ("gda", "ncm") for i in range(1, 7)}
    table = comparison.gains(of(sets), 4, ["gda"], "ncm")
    assert table is not None
    # Six of six signs alike: 2 / 2**6. One seed cannot be tested over seeds.
    assert table.rows == [["gda", "3.5", "6", "0", "0", "6", "–", "0.031"]]


def test_ties_are_neither_won_nor_lost() -> None:
    held = of({("gda", "a"): [50.0, 50.0], ("zero-shot", "a"): [50.0, 50.0 + 1e-12]})
    table = comparison.gains(held, 4, ["gda"], "zero-shot")
    assert table is not None
    assert table.rows[0][2:5] == ["0", "2", "0"]


def test_gains_average_only_seeds_that_have_every_data_set() -> None:
    values = TWO | {("gda", "plants"): [60.0, 66.0]}
    table = comparison.gains(of(values), 4, ["gda"], "zero-shot")
    assert table is not None
    assert table.rows[0][1] == said([4, 8])
    assert table.rows[0][2:6] == ["4", "0", "1", "2"]  # though every draw is counted


def test_gains_count_pairs() -> None:
    held = section_of(frame())
    table = comparison.gains(held, 4, rank(held.rows), "gda")
    assert table is not None
    cells = {r[0]: list(r[1:]) for r in table.rows}
    assert set(cells) == {"tip-adapter", "zero-shot"}
    for line in cells.values():
        assert sum(map(int, line[1:4])) == 6
        assert line[4] == "2"
        assert line[6] == "–"
    assert comparison.gains(held, 4, rank(held.rows), "absent") is None


def test_averages_never_mix_base_new_and_their_mean() -> None:
    made = [
        half
        for dataset, base, new, harmonic in (("animals", 90.0, 60.0, 72.0), ("plants", 70, 20, 31))
        for half in halves(base, new, harmonic, dataset=dataset, entry=f"{dataset}/x/y")
    ]
    shown = {
        section.measure: comparison.by_dataset(section, 4, ["gda"], None)
        for section in runs(pandas.DataFrame(made)).sections()
    }
    assert {measure: table.rows for measure, table in shown.items()} == {
        "base": [["gda", "90.0", "70.0", "80.0"]],
        "new": [["gda", "60.0", "20.0", "40.0"]],
        # Of the harmonic means; not the harmonic mean of the averages, which is 53.3.
        "harmonic mean": [["gda", "72.0", "31.0", "51.5"]],
    }
    assert len({table.name for table in shown.values()}) == 3
    assert shown["new"].title == "Accuracy, 4 shots, RN50:openai, base-to-new (new), policy none"


@pytest.mark.parametrize(
    ("policy", "theirs", "chosen"),
    [
        ("full-val", {"tip-adapter": "70.54"}, "settings by the whole validation list"),
        ("oracle-test", {"tip-adapter-f": "84.54"}, "chosen on test"),
    ],
)
def test_published_numbers_stand_beside_their_data_sets_and_policy_only(
    policy: str, theirs: dict[str, str], chosen: str
) -> None:
    made = frame(datasets=("eurosat", "plants"), shots=(16,)).assign(policy=policy)
    table = comparison.by_dataset(section_of(made), 16, ["gda"], None)
    held = {r[0].split(",")[0]: list(r[1:]) for r in table.rows[:0:-1]}  # of several the first
    assert {name: held[name] for name in theirs} == {n: [v, "–", "–"] for n, v in theirs.items()}
    assert "zero-shot" not in held
    assert chosen in table.note
    assert "they are not ours" in table.note
    assert table.rows[1][0].endswith("published [1]")
    assert "[1] " in table.note
    assert table.rules == {1}


def test_what_was_published_under_other_policies_has_tables_of_its_own() -> None:
    made = frame(datasets=("eurosat", "plants"), shots=(16,)).assign(policy="full-val")
    tables = comparison.elsewhere(section_of(made), 16)
    titles = {table.title.split(", 16 shots")[0]: table for table in tables}
    assert titles.keys() == {
        "Published, policy none", "Published, policy oracle-test", "Published, policy not known",
    }  # fmt: skip
    assert len({table.name for table in tables}) == len(tables)
    none, test = titles["Published, policy none"], titles["Published, policy oracle-test"]
    assert none.heads == ["method", "eurosat", "plants"]  # nobody told a mean of these two
    assert ["zero-shot, published [1]", "37.52", "–"] in none.rows
    told = none.note.split("\n")
    assert [line.split("]")[0] for line in told[1:]] == [f"[{i + 1}" for i in range(len(none.rows))]
    assert not {row[0].split(",")[0] for row in none.rows} & {"tip-adapter", "tip-adapter-f"}
    assert "chosen on test" not in none.note
    assert "chosen on test" in test.note
    assert all(not table.rules for table in tables)


def test_what_was_read_off_a_figure_says_so() -> None:
    made = frame(datasets=("eurosat",), shots=(16,)).assign(backbone="ViT-B-16:openai")
    table = comparison.by_dataset(section_of(made), 16, ["gda"], None)
    figures = [r[0] for r in table.rows if "in a figure" in r[0]]
    assert any(name.startswith("skip-tuning, published in a figure [") for name in figures)


@pytest.mark.parametrize(
    "other",
    [
        {"backbone": "RN50:cc12m"},
        {"backbone": "ViT-B-16:laion2b"},
        {"task": "base-to-new"},
        {"transductive": 1},
    ],
)
def test_where_nothing_was_published_under_the_same_terms_there_is_no_rule(
    other: dict[str, object],
) -> None:
    made = frame(datasets=("eurosat", "plants"), shots=(16,)).assign(**other)
    table = comparison.by_dataset(section_of(made), 16, ["gda"], None)
    assert len(table.rows) == 1
    assert table.rules == ()
    assert "not ours" not in table.note


def test_the_mean_is_that_of_the_targets_and_the_stricter_count_has_columns_of_its_own() -> None:
    section = section_of(pandas.DataFrame(elsewhere()))
    table = comparison.by_dataset(section, 4, ["gda"], None)
    assert table.heads == [
        "method", "birds", "zoo", "-few", "mean of targets", "-few, strict", "mean, strict",
    ]  # fmt: skip
    assert table.rows == [["gda", "90.0", "70.0", "80.0", "75.0", "60.0", "65.0"]]
    assert table.note.endswith("strict: among all classes of birds.")


def test_without_another_count_there_are_no_such_columns() -> None:
    made = [{**r, "strict_accuracy": None, "task": "cross-dataset"} for r in elsewhere()]
    table = comparison.by_dataset(section_of(pandas.DataFrame(made)), 4, ["gda"], None)
    assert table.heads == ["method", "birds", "zoo", "-few", "mean of targets"]
    assert "strict" not in table.note


def test_gains_are_over_the_targets_alone() -> None:
    better = [{**r, "accuracy": r["accuracy"] + 2} for r in elsewhere(method="ncm")]
    section = section_of(pandas.DataFrame([*elsewhere(), *better]))
    table = comparison.gains(section, 4, ["ncm"], "gda")
    assert table is not None
    assert table.rows[0][:6] == ["ncm", "2.0", "2", "0", "0", "2"]


def test_one_target_has_no_mean() -> None:
    table = comparison.by_dataset(section_of(pandas.DataFrame(elsewhere()[:2])), 4, ["gda"], None)
    assert table.heads == ["method", "birds", "zoo"]
