"""A fitted adapter asked of its own targets, of sets with some or other classes or weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import adapters
from adapters import scoring
from adapters.confidence.measures import scored
from adapters.experiment import Experiment
from adapters.fitting import draw_for, fit, run
from adapters.results import COLUMNS, Results
from adapters.run_identity import code_version
from adapters.scoring import Score, check_backbone, score, score_on, score_target, seen
from featcache.errors import CacheError, EpisodeError, MethodError
from featcache.store.entry import Entry
from tests import frozen
from tests.adapters.meadows import BIRDS, FISH, TEST, meadow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scoring")


@pytest.fixture(scope="module")
def birds(folder: Path) -> Entry:
    return meadow(folder, noise=0.9)


@pytest.fixture(scope="module")
def few(folder: Path) -> Entry:
    return meadow(folder, "few", ("gull", "duck"), {**TEST, "val": 2}, noise=0.9)


@pytest.fixture(scope="module")
def fish(folder: Path) -> Entry:
    return meadow(folder, "fish", FISH, TEST, noise=0.9)


@pytest.mark.parametrize("method", ["gda", "zero-shot"])
def test_a_set_with_some_of_its_classes_has_the_number_of_the_task(
    birds: Entry, few: Entry, tmp_path: Path, method: str
) -> None:
    task = Experiment(method, 2, 1, task="domain-generalization", on=(few,))
    told = run(birds, task).rows[1]
    fitted = adapters.load(fit(birds, method, shots=2).adapter.save(tmp_path / method))
    found, row = score_on(fitted, few)
    assert (found.accuracy, found.strict) == (told["accuracy"], told["strict_accuracy"])
    assert [*found.by_class] == ["gull", "duck"]
    same = ("accuracy", "strict_accuracy", "n_test", "target", "target_entry",
            "target_data", "task", "dataset",
            "method", "shots", "seed", "backbone", "entry", "bank", "policy", "settings",
            "transductive", "extras", "config", "code")  # fmt: skip
    assert {key: row[key] for key in same} == {key: told[key] for key in same}
    assert row["run"] != told["run"]
    assert {*row} <= {"run", *COLUMNS}


@pytest.mark.parametrize(("shots", "way"), [(2, "natural"), ("all", "balanced")])
def test_an_adapter_of_another_draw_is_asked_of_its_own_and_of_other_sets(
    birds: Entry, few: Entry, tmp_path: Path, shots: Any, way: str
) -> None:
    words = Experiment("gda", shots, 1, "none", task="domain-generalization", draw=way, on=(few,))
    told = run(birds, words).rows
    outcome = fit(birds, "gda", shots=shots, policy="none", draw=way)
    fitted = adapters.load(outcome.adapter.save(tmp_path / "adapter"))
    assert score(fitted, birds)[0].accuracy == outcome.row["accuracy"] == told[0]["accuracy"]
    found, row = score_on(fitted, few)
    assert found.accuracy == told[1]["accuracy"]
    same = ("shots", "draw", "short_classes", "data", "images", "features")
    assert {key: row[key] for key in same} == {key: told[1][key] for key in same}
    assert row["shots"] == shots


def test_rows_of_an_adapter_of_before_say_no_other_hash_of_its_data(
    birds: Entry, few: Entry
) -> None:
    fitted = fit(birds, "gda", shots=2).adapter
    lacking = ("images", "features", "draw", "short_classes")
    about = {k: v for k, v in fitted.about.items() if k not in lacking} | {"data": "0" * 64}
    row = score_on(replace(fitted, about=about), few)[1]
    assert "data" not in row
    assert row["shots"] == 2


def test_a_set_with_other_classes_has_a_number_or_a_reason(birds: Entry, fish: Entry) -> None:
    words = Experiment("zero-shot", 2, 1, task="cross-dataset", on=(fish,))
    found, row = score_on(fit(birds, "zero-shot", shots=2).adapter, fish)
    assert found.accuracy == run(birds, words).rows[1]["accuracy"]
    assert (row["task"], row["strict_accuracy"], found.strict) == ("cross-dataset", None, None)
    assert [*found.by_class] == [*FISH]
    with pytest.raises(MethodError) as refusal:
        score_on(fit(birds, "gda", shots=2).adapter, fish)
    assert str(refusal.value) == (
        "gda has parameters for the classes it was fitted on and none for new ones, and 3 of the 3 "
        "classes of fish are none of birds (bass, carp, eel); fit it on fish, or take a method "
        "that scores names (zero-shot, fma, …)."
    )


def test_the_answer_is_waited_for_before_it_is_looked_at(
    birds: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a device still has to do is time of the answer: 5 s here, and none of the look."""
    adapter = fit(birds, "gda", shots=2).adapter
    target = draw_for(birds, Experiment("gda", 2)).targets[0]
    clock = [0.0]

    def wait(device: torch.device) -> None:
        clock[0] += 5.0

    monkeypatch.setattr(scoring, "wait", wait, raising=False)
    monkeypatch.setattr(scoring, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    assert score_target(adapter, target).seconds == 5.0


def test_another_backbone_or_other_weights_are_refused(birds: Entry, tmp_path: Path) -> None:
    fitted = fit(birds, "gda", shots=2).adapter
    other = meadow(tmp_path, splits=TEST, backbone="hf-hub:made/other")
    with pytest.raises(CacheError, match="encode birds with the adapter's, or fit on this one"):
        score_on(fitted, other)
    known = replace(fitted, about={**fitted.about, "fingerprint": "aaaa"})
    with pytest.raises(CacheError, match=r"weights aaaa\), and .*weights bbbb\)"):
        check_backbone(known, meadow(tmp_path, splits=TEST, weights="bbbb"))
    check_backbone(known, birds)  # of which nobody knows the weights


def test_a_split_that_is_not_test_is_another_target(birds: Entry, few: Entry) -> None:
    fitted = fit(birds, "gda", shots=2).adapter
    found, row = score_on(fitted, few, "val")
    assert (found.target, row["target"], found.n_test) == ("few (val)", "few (val)", 4)
    with pytest.raises(EpisodeError, match="few has no train split"):
        score_on(fitted, few, "train")
    own, _ = score_on(fitted, birds, "train")
    assert own.n_test == 40
    assert seen(fitted, birds, "train") == 10
    assert seen(fitted, birds, "test") == seen(fitted, few, "val") == 0


def test_the_same_question_is_the_same_run(birds: Entry, few: Entry, tmp_path: Path) -> None:
    fitted = fit(birds, "gda", shots=2).adapter
    once, again = (score_on(fitted, few)[1] for _ in range(2))
    assert once["run"] == again["run"]
    others = [
        score_on(fitted, few, "val"),
        score_on(fitted, birds),
        score_on(fit(birds, "gda", shots=2, seed=2).adapter, few),
        score_on(replace(fitted, state={k: v + 1 for k, v in fitted.state.items()}), few),
    ]
    assert len({once["run"], *(row["run"] for _, row in others)}) == 5
    results = Results(tmp_path / "results.sqlite")
    for row in (once, again, others[0][1]):
        results.add(row)
    assert list(results.frame()["target"]) == ["few", "few (val)"]


def test_ids_of_classes_go_with_the_adapter(tmp_path: Path) -> None:
    ids = ("n1", "n2", "n3")
    source = meadow(tmp_path, "fish", FISH, ids=ids)
    named = meadow(tmp_path, "named", ("other", "names"), TEST, ids=ids[1:])
    fitted = adapters.load(fit(source, "gda", shots=2).adapter.save(tmp_path / "a"))
    assert scoring.class_ids(fitted) == ids
    assert [*score_on(fitted, named)[0].by_class] == ["carp", "eel"]
    # Half of the classes are not those that the ids are of.
    half = fit(source, "zero-shot", shots=2, task="base-to-new").adapter
    assert scoring.class_ids(half) == ()


def test_two_classes_of_one_name_stay_two_in_what_is_told() -> None:
    assert scoring._named([("missile", 1.0), ("tench", 2.0), ("missile", 3.0)]) == {
        "missile": 1.0, "tench": 2.0, "missile (2)": 3.0,
    }  # fmt: skip


def test_what_no_number_comes_of_is_refused(birds: Entry, tmp_path: Path) -> None:
    eggs = meadow(tmp_path, "eggs", BIRDS, {"train": 4, "val": 2})
    outcome = fit(eggs, "ncm", shots=2)
    assert outcome.rows == ()
    assert outcome.run == outcome.told["run"]
    with pytest.raises(EpisodeError, match="eggs has no test split, so that there is no row"):
        _ = outcome.row
    with pytest.raises(EpisodeError, match="eggs has no test split; name another set"):
        score(outcome.adapter, eggs)
    assert score_on(outcome.adapter, birds)[0].n_test == 30


def test_a_target_is_scored_as_its_row_says(birds: Entry) -> None:
    outcome = fit(birds, "gda", shots=2)
    [found] = score(outcome.adapter, birds)
    assert isinstance(found, Score)
    assert found.accuracy == outcome.row["accuracy"] == found.strict
    assert outcome.row["strict_accuracy"] is None  # which is for targets with classes of their own
    assert outcome.row["code"] == code_version("gda", "few-shot")
    assert score_target.__doc__


@pytest.mark.parametrize(
    ("method", "task"), [("gda", "domain-generalization"), ("ncm", "few-shot")]
)
def test_a_target_is_scored_in_portions_as_at_once(
    birds: Entry, few: Entry, monkeypatch: pytest.MonkeyPatch, method: str, task: str
) -> None:
    on = (few,) if task == "domain-generalization" else ()
    words = Experiment(method, 2, 1, task=task, on=on)
    drawn, fitted = draw_for(birds, words), run(birds, words).adapter
    kept = {"temperature": 2, "scores": [1], "on": "validation"}
    fitted = replace(fitted, about={**fitted.about, "calibration": kept})
    whole = [score_target(fitted, target) for target in drawn.targets]
    largest = list[int]()
    monkeypatch.setattr("adapters.method.portion", lambda _: 7 * len(fitted.classnames))

    def looked(logits: torch.Tensor, *more: Any) -> Any:
        largest.append(len(logits))
        return scored(logits, *more)

    monkeypatch.setattr(scoring, "scored", looked)
    for target, one in zip(drawn.targets, whole, strict=True):
        found = score_target(fitted, target)
        same = ("accuracy", "strict", "by_class", "n_test")
        assert [getattr(found, name) for name in same] == [getattr(one, name) for name in same]
        assert found.raw is not None
        assert one.raw is not None
        assert found.raw.nll == pytest.approx(one.raw.nll, rel=1e-5)  # products may round otherwise
        assert found.calibrated is not None
        assert found.calibrated.ece != found.raw.ece
    assert max(largest) == 7


def test_scores_stay_as_they_were() -> None:
    assert frozen.thawed(scoring) == []


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_pictures_without_finite_scores_are_counted(value: float) -> None:
    logits = torch.randn(7, 5)
    assert scoring._not_finite(logits) == 0
    assert scoring._not_finite(torch.full((2, 3), 3e38)) == 0  # though their sum is not finite
    logits[2, 1] = logits[5, 4] = value
    logits[5, 0] = -value
    assert scoring._not_finite(logits) == 2
