"""One experiment from an entry to an adapter and its rows."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch

import adapters
from adapters import fitting
from adapters.ability import ADDED_BY, adding
from adapters.compose import get
from adapters.drawing import draw
from adapters.episode import TEXT_TOWER, Episode
from adapters.evaluate import accuracy
from adapters.experiment import Experiment
from adapters.fitting import draw_for, fit, run
from adapters.reading import pictures
from adapters.registry import names
from adapters.results import COLUMNS
from adapters.run_identity import code_version, run_id, told
from adapters.scoring import score
from featcache.errors import CacheError, ConfigError, EpisodeError, MethodError, UnknownNameError
from featcache.store.entry import Entry, reload
from featcache.store.sameness import data_id
from featcache.store.writing import NewShard, amend, image_arrays, put
from tests import frozen
from tests.enriched import enriched
from tests.entries import make_entry

HALVES = Experiment("zero-shot", shots=2, task="base-to-new")


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> Entry:
    return make_entry(tmp_path_factory.mktemp("fitting"))


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Entry:
    return enriched(make_entry(tmp_path_factory.mktemp("rich")))


@pytest.mark.parametrize(
    ("method", "task", "few"),
    [
        ("gda", "few-shot", {}),
        ("transclip", "few-shot", {}),
        ("sum:tip-adapter+ape", "few-shot", {}),
        ("fma@clip-adapter", "base-to-new", {"fma.steps": 3, "clip-adapter.steps": 3}),
    ],
)
def test_pictures_of_half_precision_are_widened_a_portion_at_a_time(
    rich: Entry, monkeypatch: pytest.MonkeyPatch, method: str, task: str, few: dict[str, int]
) -> None:
    """Every number is that of pictures that were widened before, bit by bit."""
    words = Experiment(method, 2, 1, "full-val", few, task=task)
    before = run(rich, words)
    monkeypatch.setattr(pictures, "HALF", 0)
    drawn = draw_for(rich, words)
    assert {target.pictures.x.dtype for target in drawn.targets} == {torch.half}
    assert drawn.full_val is not None
    assert drawn.full_val.x.dtype == torch.half
    assert drawn.episode.support.views.dtype == torch.float
    after = run(rich, words)
    changing = {"time", "fit_seconds", "fit_processor_seconds", "predict_seconds"}
    for one, other in zip(before.rows, after.rows, strict=True):
        assert {k: v for k, v in one.items() if k not in changing} == {
            k: v for k, v in other.items() if k not in changing
        }
    query = drawn.test.query
    wide = replace(query, x=query.x.float())
    assert torch.equal(after.adapter.logits(query), before.adapter.logits(wide))


def test_fit_says_the_words_of_an_experiment(entry: Entry) -> None:
    asked: dict[str, Any] = {"shots": 2, "seed": 3, "policy": "full-val", "views": 0}
    outcome = fit(entry, "tip-adapter", **asked, bank="imported", beta=2.0)
    words = Experiment("tip-adapter", **asked, bank="imported", settings={"beta": 2.0})
    same = run(entry, words)
    changing = {"time", "fit_seconds", "fit_processor_seconds", "predict_seconds"}
    assert {k: v for k, v in outcome.row.items() if k not in changing} == {
        k: v for k, v in same.row.items() if k not in changing
    }
    other = make_entry(entry.folder.parents[3] / "other", name="beasts")
    moved = fit(entry, "tip-adapter", shots=2, policy="transfer", transfer=other)
    assert moved.row["transfer"] == other.key
    assert fit(entry, "zero-shot", shots=2, task="base-to-new").row["task"] == "base-to-new"


def test_a_row_says_all_that_a_number_depends_on(entry: Entry) -> None:
    began = datetime.now(UTC) - timedelta(seconds=2)
    words = Experiment("tip-adapter", 4, 2, settings={"beta": 2.0})
    outcome = run(entry, words)
    row = outcome.row
    assert {*row} - {"run"} <= {*COLUMNS}
    said = {
        "run": run_id(entry, words), "dataset": "animals", "target": "animals", "shots": 4,
        "seed": 2, "task": "few-shot", "method": "tip-adapter", "policy": "few-shot-val",
        "backbone": entry.backbone, "entry": entry.key, "bank": "imported", "views": 0,
        "fingerprint": entry.manifest["backbone"]["fingerprint"], "settings": {"beta": 2.0},
        "config": asdict(outcome.adapter.config), "transductive": False, "n_test": 21,
        "code": code_version("tip-adapter", "few-shot"), "transfer": None, "extras": [],
        "data": data_id(entry), "images": told(entry, words)["images"],
        "features": told(entry, words)["features"],
    }  # fmt: skip
    assert {key: row[key] for key in said} == said
    assert row["config"]["beta"] == 2.0
    assert row["tried"] > 1
    assert row["fit_seconds"] > 0
    assert row["fit_processor_seconds"] > 0
    assert row["predict_seconds"] > 0
    assert began <= datetime.fromisoformat(row["time"]) <= datetime.now(UTC)
    assert row["versions"]["torch"] == version("torch")
    assert {*row["versions"]} == {"featcache", "torch", "python"}
    json.dumps(row)


def test_the_adapter_knows_where_it_comes_from(entry: Entry) -> None:
    outcome = run(entry, Experiment("ncm", 3, 1, "none"))
    about = outcome.adapter.about
    assert about["support"] == list(draw(entry, 3, 1).episode.support.ids)
    assert (about["width"], about["logit_scale"]) == (8, entry.logit_scale)
    beside = {"support", "width", "logit_scale", "weights"}
    assert {key: outcome.row[key] for key in about if key not in beside} == {
        key: value for key, value in about.items() if key not in beside
    }
    assert not beside & {*outcome.row}
    assert outcome.adapter.classnames == entry.classnames


def test_the_accuracy_is_a_count_of_the_test_split(entry: Entry) -> None:
    outcome = run(entry, Experiment("gda", 4))
    test = draw(entry, 4, 1).test
    assert outcome.row["accuracy"] == accuracy(outcome.adapter.logits(test.x), test.labels)
    assert outcome.row is outcome.rows[0]
    assert len(outcome.rows) == 1


def test_a_wrong_word_is_told_before_anything_is_read() -> None:
    nothing: Any = None
    for words, error in (
        (Experiment("fmaa"), UnknownNameError),
        (Experiment("fma", settings={"blocks": -1}), ConfigError),
        (Experiment("fma", task="few-shots"), UnknownNameError),
        (replace(HALVES, method="gda"), MethodError),
    ):
        with pytest.raises(error):
            run(nothing, words)


def test_what_the_draw_or_policy_cannot_do_is_refused(entry: Entry) -> None:
    with pytest.raises(EpisodeError, match="10 training"):
        fit(entry, "ncm", shots=11)
    with pytest.raises(UnknownNameError, match="few-shot-val"):
        fit(entry, "tip-adapter", shots=1, policy="best")
    says = "policy transfer needs the data set to take settings from [(]--transfer[)]"
    with pytest.raises(ConfigError, match=says):
        fit(entry, "tip-adapter", shots=1, policy="transfer")


def test_a_draw_that_is_given_is_taken(entry: Entry) -> None:
    other = draw(entry, 2, 7)
    outcome = run(entry, Experiment("ncm", 2, 1, "none"), other)
    assert outcome.adapter.about["support"] == list(other.episode.support.ids)


def test_a_draw_without_what_the_method_reads_is_made_anew(rich: Entry) -> None:
    words = Experiment("prolip", 2, settings={"steps": 2})
    assert draw_for(rich, words).episode.holds == {"views", "pre-projection", "negative prompts"}
    lacking = draw(rich, 2, 1, views=0)
    row = run(rich, words, lacking).row
    assert (row["extras"], row["views"]) == (["pre-projection"], 3)
    kept = run(rich, Experiment("ncm", 2), lacking).row
    assert (kept["extras"], kept["views"]) == ([], 0)


def test_a_fit_that_is_given_stands_for_the_methods_own(entry: Entry) -> None:
    asked: list[Any] = []

    def known(episode: Episode, config: Any, generator: torch.Generator) -> Any:
        asked.append(config)
        return get("ncm").fit(episode, config, generator)

    outcome = run(entry, Experiment("ncm", 2, 1, "none"), fit=known)
    assert asked == [outcome.adapter.config]
    assert outcome.row["accuracy"] == run(entry, Experiment("ncm", 2, 1, "none")).row["accuracy"]


def test_settings_of_another_set_are_taken_over_and_fitted_here(
    entry: Entry, tmp_path: Path
) -> None:
    other = make_entry(tmp_path, name="beasts")
    own = run(other, Experiment("tip-adapter", 2, 1))
    moved = run(entry, Experiment("tip-adapter", 2, 1, "transfer", transfer=other))
    assert moved.row["config"] == own.row["config"]
    assert (moved.row["val_score"], moved.row["tried"]) == (
        own.row["val_score"], own.row["tried"],
    )  # fmt: skip
    assert moved.row["dataset"] == "animals"
    # Base-to-new may take them from all classes of the other set.
    halves = replace(HALVES, policy="transfer", transfer=other)
    assert [row["policy"] for row in run(entry, halves).rows] == ["transfer", "transfer"]


def test_a_saved_adapter_scores_what_its_rows_say(entry: Entry, tmp_path: Path) -> None:
    for words in (Experiment("gda", 3, 2), HALVES):
        outcome = run(entry, words)
        again = adapters.load(outcome.adapter.save(tmp_path / words.task))
        scores = score(again, entry)
        assert [(s.target, s.accuracy, s.n_test) for s in scores] == [
            (row["target"], row["accuracy"], row["n_test"]) for row in outcome.rows
        ]
        for each in scores:
            mean = sum(each.by_class.values()) / len(each.by_class)  # classes are of one size
            assert mean == pytest.approx(each.accuracy)
    assert [[*each.by_class] for each in scores] == [["cat", "dog"], ["emu"]]


def test_an_adapter_that_reads_more_is_scored_with_it(rich: Entry, tmp_path: Path) -> None:
    outcome = run(rich, Experiment("prolip", 2, settings={"steps": 2}))
    again = adapters.load(outcome.adapter.save(tmp_path / "prolip"))
    assert score(again, rich)[0].accuracy == outcome.row["accuracy"]


NEEDING = [name for name in names() if get(name).needs]


@pytest.mark.parametrize("name", NEEDING)
def test_what_a_method_needs_and_is_not_cached_is_named(entry: Entry, name: str) -> None:
    entry = replace(entry, manifest={**entry.manifest, "source": "encoded"})
    with pytest.raises(MethodError) as refusal:
        fit(entry, name, shots=1)
    missing = [need for need in ADDED_BY if need in get(name).needs]
    said = str(refusal.value)
    assert said.startswith(f"{name} needs {' and '.join(missing)}, which animals has not cached")
    options = " ".join(ADDED_BY[need] for need in missing)
    assert said.endswith(
        f"`featcache encode --dataset animals --backbone {entry.backbone} {options}`."
    )


def test_what_features_from_elsewhere_lack_is_not_encoded_beside_them(tmp_path: Path) -> None:
    """`featcache encode --dataset theirs` knows no such data set."""
    theirs = make_entry(tmp_path)
    own = replace(theirs, manifest={**theirs.manifest, "source": "encoded"})
    assert adding(own, [TEXT_TOWER], "X") == "`featcache encode X --extra text-tower`"
    assert adding(theirs, [TEXT_TOWER]) == "`featcache import … --text-tower`"
    with pytest.raises(MethodError, match=r"PICTURES --extra pre-projection`, as animals/.* was"):
        fit(theirs, "prolip", shots=1)


def test_every_need_has_an_option_that_fills_it() -> None:
    assert {need for name in names() for need in get(name).needs} <= {*ADDED_BY}
    assert ADDED_BY["patches"] == "--extra patches"


def test_outcomes_stay_as_they_were() -> None:
    assert frozen.thawed(fitting) == []


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_scores_that_are_not_finite_are_no_accuracy(entry: Entry, value: float) -> None:
    def wild(episode: Episode, config: Any, generator: torch.Generator) -> dict[str, torch.Tensor]:
        state = get("zero-shot").fit(episode, config, generator)
        return {**state, "logit_scale": torch.tensor(value)}

    with pytest.raises(MethodError) as refusal:
        run(entry, Experiment("zero-shot", 2), fit=wild)
    assert str(refusal.value).startswith(
        "zero-shot gives scores that are not finite to 21 of 21 pictures of animals, so it has no "
    )


def test_an_adapter_is_scored_on_what_it_was_fitted_on_alone(entry: Entry) -> None:
    fitted = run(entry, Experiment("gda", 3, 2)).adapter
    assert fitted.about["data"] == data_id(entry)
    changes = {
        "the classes cat, dog, gnu, and .* has cat, dog, emu;": replace(
            fitted, classnames=("cat", "dog", "gnu")
        ),
        "weights with the fingerprint abc, and .* has unknown": _about(fitted, fingerprint="abc"),
        "the pictures x, and .*train/": _about(fitted, support=["x"]),
        "does not say its seed": replace(
            fitted, about={k: v for k, v in fitted.about.items() if k != "seed"}
        ),
    }
    for says, changed in changes.items():
        with pytest.raises(CacheError, match=says):
            score(changed, entry)


def test_an_adapter_of_before_knows_its_weights_by_a_hash_of_them_alone(tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    fitted = _about(run(entry, Experiment("gda", 3, 2)).adapter, fingerprint="aaaa")
    with amend(entry) as manifest:
        manifest["backbone"] |= {"fingerprint": "bbbb", "weights": "aaaa"}
    assert score(fitted, reload(entry))[0].n_test == 21
    for of in ("cccc", "unknown"):
        with pytest.raises(CacheError, match="has bbbb"):
            score(_about(fitted, fingerprint=of), reload(entry))


def test_an_adapter_is_scored_on_data_brought_up_to_date_beside_its_support(
    tmp_path: Path,
) -> None:
    """Pictures that were edited, added or taken away under an adapter, but not those it learned."""
    entry = make_entry(tmp_path)
    fitted = run(entry, Experiment("gda", 3, 2)).adapter
    before = score(fitted, entry)[0]
    data = entry.manifest["dataset"]
    test = entry.images("test")
    arrays = image_arrays(
        -test.embedding[:9].astype("float16"), test.label[:9], test.id[:9], test.valid[:9], [""] * 9
    )
    record = {"kind": "images", "split": "test", "start": 0, "stop": 9}
    put(entry, [NewShard("images-test-00000.h5", record, arrays)])
    with amend(entry) as manifest:
        changed = {"fingerprint": "other", "splits": {**data["splits"], "test": 9}}
        manifest["dataset"] |= changed | {"contents": {"test": "aa"}}
    after = score(fitted, reload(entry))[0]
    assert (before.n_test, after.n_test) == (21, 9)
    assert after.accuracy < before.accuracy
    assert data_id(reload(entry)) != fitted.about["data"]


def _about(adapter: adapters.Adapter, **changes: Any) -> adapters.Adapter:
    return replace(adapter, about={**adapter.about, **changes})


def test_a_need_that_another_set_lacks_is_asked_of_that_set(rich: Entry, tmp_path: Path) -> None:
    poor = make_entry(tmp_path, name="pests")
    words = Experiment("prolip", 2, task="domain-generalization", on=(poor,))
    with pytest.raises(MethodError, match="pre-projection, which pests has not cached") as told:
        run(rich, words)
    assert "as pests/" in str(told.value)
    with pytest.raises(MethodError, match="which animals has not cached"):
        run(make_entry(tmp_path / "own"), words)


def test_other_sets_come_after_the_source_and_one_fit_serves_all(
    rich: Entry, tmp_path: Path
) -> None:
    on = [make_entry(tmp_path, name=name) for name in ("pests", "beasts")]
    fits: list[int] = []

    def counted(episode: Episode, config: Any, generator: torch.Generator) -> Any:
        fits.append(len(episode.support.labels))
        return get("ncm").fit(episode, config, generator)

    words = Experiment("ncm", 2, 1, "none", task="domain-generalization", on=tuple(on))
    outcome = run(rich, words, fit=counted)
    assert fits == [6]
    assert [row["target"] for row in outcome.rows] == ["animals", "pests", "beasts"]
    assert outcome.run == run_id(rich, words)
    again = fit(rich, "ncm", shots=2, policy="none", task="domain-generalization", on=on)
    assert [row["accuracy"] for row in again.rows] == [row["accuracy"] for row in outcome.rows]
    assert {row["run"] for row in again.rows} == {outcome.run}


def test_a_fit_that_is_given_knows_the_states_of_a_search_too(entry: Entry) -> None:
    method, asked = get("lp++"), list[Any]()

    def known(episode: Episode, config: Any, generator: torch.Generator) -> Any:
        asked.append(config)
        return method.fit(episode, config, generator)

    found = run(entry, Experiment("lp++", 2), fit=known)
    assert len({config.steps for config in asked}) == found.row["tried"] > 1
