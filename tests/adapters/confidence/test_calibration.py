"""A temperature and sets: against a search, a fit done by hand, and what sets promise."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from torch.nn.functional import cross_entropy

import adapters
from adapters.compose import get
from adapters.confidence.calibration import (
    LEFT_OUT,
    VALIDATION,
    Calibration,
    left_out,
    of_logits,
    read,
    temperature,
)
from adapters.confidence.measures import confidence, scored
from adapters.method import State
from adapters.selection import select
from featcache.errors import CacheError, ConfigError, EpisodeError, MethodError
from tests.adapters.confidence.test_measures import made
from tests.adapters.short import short
from tests.entries import make_entry


@pytest.mark.parametrize("factor", [0.2, 1.0, 30.0])
def test_the_temperature_undoes_a_factor_of_the_logits(factor: float) -> None:
    logits, labels = made(4000)
    assert temperature(factor * logits.double(), labels) == pytest.approx(factor, rel=0.1)


def test_the_temperature_is_the_best_of_a_search() -> None:
    logits, labels = made(50)
    logits = 4 * logits.double()

    def loss(log_heat: float) -> float:
        found = cross_entropy(logits / math.exp(log_heat), labels, reduction="sum")
        return float(found) + (log_heat / 0.5) ** 2 / 2

    best = math.exp(minimize_scalar(loss, bounds=(-5, 5), method="bounded").x)
    assert temperature(logits, labels) == pytest.approx(best, rel=1e-3)


def test_where_every_picture_is_right_more_of_them_say_more() -> None:
    """There is a temperature all the same, and the surer the more pictures there are."""
    heats = [
        temperature(2 * torch.eye(3).double().repeat(n, 1), torch.arange(3).repeat(n))
        for n in (1, 10, 100)
    ]
    assert 1 > heats[0] > heats[1] > heats[2] > 0.01


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9])
def test_sets_hold_the_truth_as_often_as_promised(coverage: float) -> None:
    """On exchangeable pictures, over calibrations: between 1 - a and 1 - a + 1 / (n + 1)."""
    logits, labels = made(300 * (19 + 50), seed=1)
    found = []
    for z, y in zip(logits.split(69), labels.split(69), strict=True):
        kept = of_logits(z[:19], y[:19], VALIDATION)
        p = (z[19:].double() / kept.temperature).softmax(1)
        right = p.gather(1, y[19:, None])[:, 0]
        found.append(float((1 - right <= kept.threshold(coverage)).double().mean()))
    error = 3 * np.std(found, ddof=1) / len(found) ** 0.5
    assert coverage - error <= np.mean(found) <= coverage + 1 / 20 + error


def test_of_too_few_scores_a_set_is_all_classes() -> None:
    kept = Calibration(1.0, (0.1, 0.2, 0.4), VALIDATION)
    assert kept.threshold(0.75) == 0.4  # of 4 places the third
    assert kept.threshold(0.5) == 0.2
    assert kept.threshold(0.76) == math.inf


def test_what_is_left_out_was_not_fitted_on(tmp_path: Path) -> None:
    """Against fits done one by one, each without its picture."""
    episode = adapters.draw(make_entry(tmp_path), 3, 1, views=0).episode
    method, support = get("gda"), episode.support
    logits, labels = left_out(method, episode, method.config())
    expected = []
    for out in range(9):
        keep = torch.arange(9) != out
        ids = tuple(name for i, name in enumerate(support.ids) if i != out)
        part = adapters.Support(support.views[:, keep], support.labels[keep], ids)
        fitted = select(method, replace(episode, support=part), method.config(), None)
        expected.append(method.logits(fitted.state, fitted.config, support.x[out : out + 1]))
    own = torch.cat(expected)
    order, theirs = (each[:, 0].argsort() for each in (logits, own))
    torch.testing.assert_close(logits[order], own[theirs])
    assert torch.equal(labels[order], support.labels[theirs])


def test_trainings_leave_out_several_at_once(tmp_path: Path) -> None:
    """Of every class some stay, and each picture is asked about once."""
    episode = adapters.draw(make_entry(tmp_path), 4, 1, views=0).episode
    seen: list[torch.Tensor] = []
    method = get("clip-adapter")

    def fit(episode: adapters.Episode, config: object, generator: torch.Generator) -> State:
        seen.append(episode.support.labels)
        return method.fit(episode, config, generator)

    config = replace(method.config(), **short("clip-adapter"))
    _, labels = left_out(replace(method, fit=fit), episode, config)
    assert len(seen) == 8
    assert all(len(part) in (10, 11) and (part.bincount() >= 3).all() for part in seen)
    assert labels.bincount().tolist() == [4, 4, 4]


def test_the_only_picture_of_a_class_is_never_left_out(tmp_path: Path) -> None:
    episode = adapters.draw(make_entry(tmp_path), 3, 1, views=0).episode
    support = episode.support
    keep = (support.labels != 1) | (torch.arange(9) == int((support.labels == 1).nonzero()[0]))
    ids = tuple(name for name, kept in zip(support.ids, keep.tolist(), strict=True) if kept)
    part = adapters.Support(support.views[:, keep], support.labels[keep], ids)
    _, labels = left_out(get("ncm"), replace(episode, support=part), get("ncm").config())
    assert labels.bincount(minlength=3).tolist() == [3, 0, 3]


@pytest.mark.parametrize(
    ("policy", "on", "n"), [("few-shot-val", VALIDATION, 12), ("none", LEFT_OUT, 12)]
)
def test_it_is_kept_in_the_adapter_and_its_rows(
    tmp_path: Path, policy: str, on: str, n: int
) -> None:
    entry = make_entry(tmp_path)
    how = {"shots": 4, "policy": policy, "views": 0}
    plain = adapters.fit(entry, "tip-adapter", **how)
    found = adapters.fit(entry, "tip-adapter", calibrate=True, **how)
    assert found.run == plain.run
    again = adapters.load(found.adapter.save(tmp_path / "adapter"))
    kept = again.calibration
    assert kept == found.adapter.calibration
    assert (kept.on, len(kept.scores)) == (on, n)
    x = adapters.draw(entry, 4, 1).test
    p = (again.logits(x.x).double() / kept.temperature).softmax(1)
    torch.testing.assert_close(again.probabilities(x.x), p)
    assert torch.equal(again.sets(x.x, 0.8), 1 - p <= kept.threshold(0.8))
    told = confidence(scored(again.logits(x.x), x.labels, kept.temperature), x.labels)
    assert told is not None
    assert found.row["temperature"] == kept.temperature
    assert found.row["ece_calibrated"] == pytest.approx(told.ece)
    assert found.row["nll_calibrated"] == pytest.approx(told.nll)
    assert found.row["ece"] == plain.row["ece"]
    assert "ece_calibrated" not in plain.row
    assert "calibration" not in found.row


def test_without_calibration_there_are_no_sets(tmp_path: Path) -> None:
    fitted = adapters.fit(make_entry(tmp_path), "zero-shot", shots=2).adapter
    assert fitted.temperature == 1
    with pytest.raises(CacheError, match="--calibrate"):
        fitted.sets(torch.ones(1, 8), 0.9)


def test_of_other_classes_nothing_is_known(tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    fitted = adapters.fit(entry, "zero-shot", shots=2, policy="none", calibrate=True).adapter
    text = adapters.draw(entry, 2, 1).episode.text
    assert fitted.calibration.on == LEFT_OUT
    with pytest.raises(CacheError, match="not calibrated"):
        fitted.with_text(text).calibration  # noqa: B018
    with pytest.raises(ConfigError, match=r"between 0 and 1"):
        fitted.sets(torch.ones(1, 8), 90)


def test_one_shot_leaves_nothing_to_leave_out(tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    with pytest.raises(EpisodeError, match="few-shot-val"):
        adapters.fit(entry, "gda", shots=1, policy="none", calibrate=True)
    assert adapters.fit(entry, "gda", shots=1, calibrate=True).adapter.calibration.scores


def test_unknown_classes_are_told_from_known_ones(tmp_path: Path) -> None:
    rows = adapters.fit(make_entry(tmp_path), "zero-shot", shots=2, task="base-to-new").rows
    assert rows[0]["unknown_auroc"] == rows[1]["unknown_auroc"] > 50


@pytest.mark.parametrize(
    "held",
    [
        {"temperature": 0.0, "scores": [0.1], "on": VALIDATION},
        {"temperature": 1.0, "scores": [2.0], "on": VALIDATION},
        {"temperature": 1.0, "scores": [], "on": VALIDATION},
        {"temperature": 1.0, "scores": [0.1], "on": "the moon"},
        {"scores": [0.1], "on": VALIDATION},
        {"temperature": "warm", "scores": [0.1], "on": VALIDATION},
    ],
)
def test_nonsense_is_no_calibration(held: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"calibration|convert"):
        read({"calibration": held})


def test_problems_keep_nothing_to_be_calibrated(tmp_path: Path) -> None:
    with pytest.raises(MethodError, match=r"bongard|problems"):
        adapters.fit(make_entry(tmp_path), "gda", task="bongard-hoi", calibrate=True)
