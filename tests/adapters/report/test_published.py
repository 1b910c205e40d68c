"""Numbers that others published: where they are from, what they add up to, where they may stand."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas
import pytest

from adapters import registry, unavailable
from adapters.compose import get
from adapters.registry import POLICIES
from adapters.report import published
from adapters.report.published import ACCURACY, ELEVEN, HARMONIC, MEAN, Published, beside
from adapters.report.rows import Section
from featcache.datasets.table import names as every_set
from tests.adapters.rows import row, section_of

ROWS = published.published()
ROW = Published(
    "few-shot", "gda", "RN50", "s", "L", True, 3, "none", "t", "arithmetic",
    {ACCURACY: {"dtd": {"1": 40.0, "16": 60.5}, "eurosat": {"0": 30.0}}},
)  # fmt: skip


def section(*names: str, shots: int = 16, **changes: object) -> Section:
    return section_of(
        pandas.DataFrame([row(dataset=name, shots=shots, **changes) for name in names])
    )


def scored(task: str, *targets: str, source: str = "imagenet", **changes: object) -> Section:
    """Rows of a fit on the source that was scored on other sets too."""
    names = (source, *targets)
    told = {"dataset": source, "shots": 16, "task": task, "target_entry": "x", **changes}
    return section_of(pandas.DataFrame([row(target=name, **told) for name in names]))


def numbers(line: Published) -> Iterator[tuple[str, str, str, float]]:
    for measure, by_set in line.numbers.items():
        for name, by_shots in by_set.items():
            for shots, number in by_shots.items():
                yield measure, name, shots, number


def test_every_row_says_where_it_is_from_and_under_which_terms() -> None:
    known = {info.name for info in every_set()} | published.LISTS
    for line in ROWS:
        assert line.source
        assert line.text
        assert {line.selection, *(line.selection_by_set or {}).values()} <= {*POLICIES, "unknown"}
        assert line.mark in published.MARKS
        assert line.mean_is in ("published", "arithmetic", "figure", "none")
        # What was measured in a picture says so, and nothing else does.
        assert (line.mean_is == "figure") == (line.mark == "F")
        assert published.MARKS[line.mark] in line.protocol
        names = {name for _, name, _, _ in numbers(line)} - {MEAN}
        assert names <= known | set(line.groups or ())
        assert all(0 < number < 100 for *_, number in numbers(line))


def test_no_row_stands_twice() -> None:
    keys = Counter(
        (r.table, r.method, r.backbone, r.source, r.selection, r.text, r.remark) for r in ROWS
    )
    assert {key: n for key, n in keys.items() if n > 1} == {}


def test_means_are_what_arithmetic_gives_but_where_it_is_said() -> None:
    """Of rounded numbers; where papers print another, the row says `as_printed`."""
    checked = 0
    for line in ROWS:
        odd = set()
        slack = 0.0051 if line.mean_is == "arithmetic" else 0.15 if line.mark == "F" else 0.06
        slack = 0.11 if "one decimal" in line.remark else slack
        for measure, by_set in line.numbers.items():
            if measure == HARMONIC:
                continue
            for shots, printed in by_set.get(MEAN, {}).items():
                own = [by_set.get(name, {}).get(shots, math.nan) for name in line.averaged]
                mean = math.fsum(own) / len(own)
                checked += not math.isnan(mean)
                if abs(mean - printed) > slack:
                    odd.add(f"{measure} {MEAN} {shots}")
        assert odd == {at for at in line.as_printed if not at.startswith(HARMONIC)}, line
    assert checked > 250


def test_h_is_the_harmonic_mean_but_where_it_is_said() -> None:
    checked = 0
    for line in ROWS:
        odd = set()
        for measure, name, shots, printed in numbers(line):
            base, new = (line.numbers.get(m, {}).get(name, {}).get(shots) for m in ("base", "new"))
            if measure != HARMONIC or base is None or new is None:
                continue
            checked += 1
            if abs(2 * base * new / (base + new) - printed) > 0.0151:
                odd.add(f"{HARMONIC} {name} {shots}")
        assert odd == {at for at in line.as_printed if at.startswith(HARMONIC)}, line
    assert checked > 300


def test_nothing_was_lost_on_the_way(shared_data: Path) -> None:
    """Every number of the collection is here, at its place."""
    theirs = json.loads((shared_data / "published-tables.json").read_text(encoding="utf-8"))
    assert len(ROWS) == len(theirs) == 320
    for line, other in zip(ROWS, theirs, strict=True):
        assert (line.table, line.method, line.backbone) == (
            other["table"], other["method"], other["backbone"],
        )  # fmt: skip
        assert line.selection == other["selection"].replace("_", "-").replace("fewshot", "few-shot")
        assert (line.seeds, line.text, line.own) == (other["seeds"], other["text"], other["own"])
        held = [other.get(key, {}) for key in ("accuracy", "base", "new", "h")]
        flat = sorted(
            n for by_set in held for by_shots in by_set.values() for n in by_shots.values()
        )
        assert sorted(number for *_, number in numbers(line)) == flat


def test_what_searches_is_never_said_to_do_without() -> None:
    for line in ROWS:
        assert "recipe" not in line.protocol
        assert (published.CHOSEN["none"] in line.protocol) == (line.selection == "none")


def test_what_is_only_named_here_searches_as_little_as_is_said() -> None:
    for name, method in unavailable.METHODS.items():
        told = [n for n in method.numbers if "no validation pictures" in n.protocol]
        rows = [r for r in ROWS if r.method == name and "CLIP-SVD" in r.source]
        assert not told or {r.selection for r in rows} <= {"none"}
        assert "fixed recipe" not in unavailable.numbers(method)


@pytest.mark.parametrize("name", registry.names())
def test_a_method_that_searches_is_not_said_to_do_without_by_its_own_authors(name: str) -> None:
    """In no row of theirs that the report shows, nor on its page here, and the other way round."""
    method = get(name)
    space = method.space(method.config())
    searches = bool(space.fit or space.logits or method.choose)
    told = {line.selection for line in ROWS if line.method == name and line.own}
    assert "fixed" not in method.status
    # ProLIP's rows without validation are one for each of its settings, and say which.
    if searches and name != "prolip":
        assert published.CHOSEN["none"] not in {published.CHOSEN[each] for each in told}
    if not searches:
        assert told <= {"none", "unknown"}


def test_a_number_is_that_of_its_shots_or_of_any() -> None:
    assert ROW.at("dtd", 16) == 60.5
    assert ROW.at("dtd", 2) is None
    assert [ROW.at("eurosat", k) for k in (1, 16)] == [30.0, 30.0]
    assert ROW.at("cars", 1) is None
    assert ROW.at("dtd", 16, "base") is None


def test_a_mean_has_a_policy_only_where_its_sets_share_it() -> None:
    mixed = replace(ROW, selection="full-val", selection_by_set={"imagenet": "oracle-test"})
    assert [mixed.policy(name) for name in ("imagenet", "dtd", MEAN)] == [
        "oracle-test", "full-val", "several",
    ]  # fmt: skip
    assert replace(mixed, mean_of=("dtd", "eurosat")).policy(MEAN) == "full-val"
    assert "imagenet chosen on test" in mixed.protocol


def test_rows_stand_beside_the_weights_that_they_were_made_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(published, "published", lambda: (ROW,))
    for backbone in ("RN50:openai", "RN50-quickgelu:openai"):
        found = beside(section("cars", "dtd", "eurosat", backbone=backbone), 16)
        assert found == {"none": [(ROW, [None, 60.5, 30.0])]}
    for backbone in ("RN50:cc12m", "RN50", "RN50x4:openai", "ViT-B-32:openai"):
        assert beside(section("dtd", backbone=backbone), 16) == {}
    # Without any number there is no row.
    assert beside(section("dtd"), 2) == {}
    assert beside(section("cars"), 16) == {}
    assert beside(section("dtd", transductive=1), 16) == {}


def test_the_mean_stands_beside_the_same_sets_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    mean = replace(ROW, numbers={ACCURACY: {MEAN: {"4": 70.0}}})
    monkeypatch.setattr(published, "published", lambda: (mean,))
    assert beside(section(*ELEVEN), 4) == {"none": [(mean, [None] * 11 + [70.0])]}
    assert beside(section(*sorted(ELEVEN)[1:]), 4) == {}
    assert beside(section(*ELEVEN, "pets"), 4) == {}


@pytest.mark.parametrize(
    "asked",
    [
        section(*ELEVEN),
        section(*ELEVEN, backbone="ViT-B-16:openai"),
        scored("cross-dataset", *sorted(ELEVEN - {"imagenet"}), backbone="ViT-B-16:openai"),
        scored("domain-generalization", "imagenet-v2", "imagenet-a"),
        scored("domain-generalization", "imagenet-v2", transductive=1),
        scored("bongard-hoi", *published.LISTS, source="bongard-hoi", standard_error=1.0, shots=6),
    ],
    ids=lambda asked: asked.name,
)
def test_no_column_holds_numbers_of_two_policies(asked: Section) -> None:
    found = beside(asked, asked.shots[0])
    assert found
    for policy, rows in found.items():
        for line, held in rows:
            assert (line.table, line.transductive) == (asked.task, asked.transductive)
            columns = [*asked.datasets, MEAN][: len(held)]
            there = [c for c, number in zip(columns, held, strict=True) if number is not None]
            assert {line.policy(column) for column in there} == {policy}


def test_what_was_fitted_on_another_source_is_left_out() -> None:
    assert not beside(scored("cross-dataset", "eurosat", source="sun397"), 16).get("full-val")
    assert all(
        not line.train
        for rows in beside(scored("cross-dataset", "eurosat", source="sun397"), 16).values()
        for line, _ in rows
    )


def test_the_mean_of_harmonic_means_is_that_of_the_sets_own_as_in_our_tables() -> None:
    whole = [r for r in ROWS if r.numbers.get(HARMONIC, {}).keys() > ELEVEN]
    assert len(whole) > 10
    for line in whole:
        own = [line.at(name, 16, HARMONIC) for name in ELEVEN]
        assert line.at(MEAN, 16, HARMONIC) == pytest.approx(sum(n or math.nan for n in own) / 11)
    assert any(
        line.at(MEAN, 16, HARMONIC) != line.numbers[HARMONIC][MEAN].get("16") for line in whole
    )


def test_halves_stand_beside_their_own() -> None:
    for measure in ("base", "new"):
        asked = section(
            "eurosat", task="base-to-new", target=measure, harmonic_mean=None,
            backbone="ViT-B-16:openai",
        )  # fmt: skip
        assert asked.measure == measure
        maple = [held for line, held in beside(asked, 16)["none"] if line.method == "maple"]
        assert len(maple) > 1
        known = [
            line.numbers[measure]["eurosat"]["16"]
            for line in ROWS
            if line.method == "maple" and measure in line.numbers and line.selection == "none"
            and "eurosat" in line.numbers[measure]
        ]  # fmt: skip
        assert [numbers for (numbers,) in maple] == known


def test_the_file_is_read_once() -> None:
    assert published.published() is published.published()
