"""One run looked at class by class: fitted again as it was, and counted class by class."""

from __future__ import annotations

import json
from typing import Any

import pandas
import pytest
import torch

from adapters import Experiment, run
from adapters.report import classes
from adapters.report.classes import Refitted
from adapters.report.rows import runs
from featcache.errors import CacheError
from featcache.store.cache import FeatureCache
from tests.adapters.rows import halves, row
from tests.entries import make_entry


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> FeatureCache:
    folder = tmp_path_factory.mktemp("classes")
    make_entry(folder)
    return FeatureCache(folder / "cache")


@pytest.fixture(scope="module")
def done(cache: FeatureCache) -> pandas.DataFrame:
    """Two real runs of other settings than the defaults, and of another seed than the first."""
    entry = cache.find("animals")
    tried = [Experiment("tip-adapter", 4, 2, settings={"alpha": a}) for a in (0.5, 3)]
    return runs(pandas.DataFrame([row(**run(entry, each).row) for each in tried])).done


def test_a_run_is_repeated(done: pandas.DataFrame, cache: FeatureCache) -> None:
    for _, chosen in done.iterrows():
        refitted, accuracy = classes.refit(chosen, "zero-shot", cache)
        assert accuracy == chosen["accuracy"]
        hits = (refitted.predicted == refitted.labels).double()
        assert 100 * float(hits.mean()) == pytest.approx(accuracy)
        assert refitted.classnames == ("cat", "dog", "emu")
    zero = run(cache.find("animals"), Experiment("zero-shot", 4, 2))
    hits = (refitted.baseline == refitted.labels).double()
    assert 100 * float(hits.mean()) == pytest.approx(zero.row["accuracy"])


def test_the_chapter_says_which_run_it_is(done: pandas.DataFrame, cache: FeatureCache) -> None:
    last = done.iloc[-1]
    chapter = classes.part(done, last["run"], "zero-shot", cache)
    own, text = f"{last['accuracy']:.2f}", json.loads(last["settings"])["alpha"]
    assert chapter.title == "Class by class"
    assert chapter.text == (
        f"tip-adapter, alpha={text} on animals, hf-hub:made/narrow, 4 shots, seed 2, policy "
        f"{last['policy']} (run {last['run']}): fitted again, {own} % (its row says {own} %)."
    )
    assert [figure.name for figure in chapter.figures] == ["class-gains", "confusion"]
    assert chapter.figures[0].title == "Gain over zero-shot by class"


@pytest.mark.parametrize(("off", "differ"), [(0.4, False), (-0.4, False), (0.6, True)])
def test_a_run_that_changed_since_is_told(
    done: pandas.DataFrame, cache: FeatureCache, off: float, differ: bool
) -> None:
    moved = done.assign(accuracy=done["accuracy"] + off)
    chapter = classes.part(moved, moved.iloc[0]["run"], "zero-shot", cache)
    assert ("They differ, so its code or its features have changed" in chapter.text) == differ


def made(*changes: dict[str, Any]) -> pandas.DataFrame:
    return runs(pandas.DataFrame([row(seed=i, **c) for i, c in enumerate(changes)])).done


def said(done: pandas.DataFrame, run: str | None = None) -> str:
    """What the chapter says where no features are left."""
    return classes.part(done, run, "zero-shot", FeatureCache("/nowhere")).text


def test_without_a_name_the_most_accurate_quick_run_is_shown() -> None:
    done = made(
        {"accuracy": 70.0},
        {"accuracy": 80.0, "fit_seconds": 60.0},
        {"accuracy": 90.0, "fit_seconds": 61.0},
        {"accuracy": 99.0, "policy": "oracle-test"},
    )
    assert "seed 1," in said(done)
    busy = made({"accuracy": 90.0, "fit_seconds": 61.0, "fit_processor_seconds": 5.0})
    assert "it took" not in said(busy)
    assert "seed 2," in said(done, done.iloc[2]["run"])


@pytest.mark.parametrize("better", [halves(95, 90, 92), [row(accuracy=99.0, policy="transfer")]])
def test_a_better_run_that_cannot_be_repeated_hides_no_other(better: list[dict[str, Any]]) -> None:
    done = runs(pandas.DataFrame([*better, row(accuracy=50.0, seed=7)])).done
    assert "seed 7, policy none" in said(done)


@pytest.mark.parametrize("count", [3, 60])
def test_gains_and_confusions_add_up(count: int) -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count).repeat_interleave(5)
    guess = torch.randint(count, labels.shape, generator=generator)
    predicted = torch.where(torch.rand(labels.shape, generator=generator) < 0.7, labels, guess)
    names = tuple(f"class {i}" for i in range(count))
    refitted = classes.Refitted(names, labels, predicted, guess)
    bars = classes.gains(refitted)["data"]["values"]
    assert len(bars) == min(count, classes.MOST_CLASSES)
    assert [b["gain"] for b in bars] == sorted((b["gain"] for b in bars), reverse=True)
    for bar in bars:
        own = labels == names.index(bar["class"])
        right = (predicted[own] == labels[own]).double().mean() - (
            guess[own] == labels[own]
        ).double().mean()
        assert bar["gain"] == pytest.approx(100 * float(right), abs=1e-4)
    cells = classes.confusion(refitted)["data"]["values"]
    if count <= classes.MOST_CLASSES:
        assert sum(cell["pictures"] for cell in cells) == len(labels)
    else:
        assert all(cell["true"] != cell["predicted"] for cell in cells)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"task": "base-to-new"}, "only few-shot runs"),
        ({"policy": "transfer"}, "transferred from"),
        ({"entry": "animals/RN50_openai/gone"}, "could not be fitted again"),
        ({"fit_seconds": 1000.0}, "it took 1000 s; name it with --run"),
    ],
)
def test_what_cannot_be_repeated_says_why(
    changes: dict[str, object], reason: str, cache: FeatureCache
) -> None:
    done = runs(pandas.DataFrame([row(**changes)])).done
    chapter = classes.part(done, None, "zero-shot", cache)
    assert reason in chapter.text
    assert chapter.figures == ()
    assert "no finished run has the id 12" in classes.part(done, "12", "zero-shot", cache).text


def labelled(true: list[int], predicted: list[int], before: list[int], count: int) -> Refitted:
    names = tuple(f"class {i}" for i in range(count))
    return Refitted(names, *(torch.tensor(each) for each in (true, predicted, before)))


def test_gains_by_hand() -> None:
    """Four pictures of class 0 and two of class 2; class 1 has none in the test split."""
    found = labelled([0, 0, 0, 0, 2, 2], [0, 0, 0, 1, 0, 1], [0, 0, 1, 1, 2, 1], 3)
    assert classes.gains(found)["data"]["values"] == [
        {"class": "class 0", "gain": 25, "accuracy": 75, "baseline": 50, "pictures": 4},
        {"class": "class 2", "gain": -50, "accuracy": 0, "baseline": 50, "pictures": 2},
    ]


def test_confusions_by_hand() -> None:
    found = labelled([0, 0, 0, 2, 2], [0, 0, 1, 0, 1], [0] * 5, 3)
    assert classes.confusion(found)["data"]["values"] == [
        {"true": "class 0", "predicted": "class 0", "share": 66.666667, "pictures": 2},
        {"true": "class 0", "predicted": "class 1", "share": 33.333333, "pictures": 1},
        {"true": "class 2", "predicted": "class 0", "share": 50, "pictures": 1},
        {"true": "class 2", "predicted": "class 1", "share": 50, "pictures": 1},
    ]


def test_of_many_classes_the_extremes_and_the_worst_pairs_are_shown() -> None:
    """The first thirty classes are gained, the next ten alike, the last ten lost."""
    count = classes.MOST_CLASSES + 10
    true = list(range(count))
    after = [i if i < 40 else 0 for i in true]
    before = [(i + 1) % count if i < 30 else i for i in true]
    found = labelled(true, after, before, count)
    bars = classes.gains(found)["data"]["values"]
    assert [bar["gain"] for bar in bars] == [100] * 20 + [0] * 10 + [-100] * 10
    cells = classes.confusion(found)["data"]["values"]
    assert [cell["pair"] for cell in cells] == [f"class {i} → class 0" for i in range(40, 50)]


def test_a_draw_of_a_file_is_not_guessed(done: pandas.DataFrame, cache: FeatureCache) -> None:
    chosen = done.assign(draw="file:a.json@01234567").iloc[0]
    with pytest.raises(CacheError, match="is not kept in results"):
        classes.refit(chosen, "zero-shot", cache)
