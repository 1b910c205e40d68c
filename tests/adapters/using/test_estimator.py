"""scikit-learn's habits: its own checks, and the same answers as a method fitted from a cache."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import estimator_checks_generator

import adapters
from adapters import FewShotClassifier
from adapters.compose import get
from adapters.registry import names
from featcache.errors import ConfigError, EpisodeError, MethodError
from tests.adapters.short import short
from tests.entries import make_entry

# What of scikit-learn's checks cannot hold.
CANNOT = {
    "check_methods_subset_invariance": "asks for 1e-7, and answers are single precision",
    "check_array_api_input": "is not run by scikit-learn either, without SCIPY_ARRAY_API",
}
CHECKS = [
    pytest.param(classifier, check, id=check.func.__name__)
    for classifier, check in estimator_checks_generator(FewShotClassifier())
    if check.func.__name__ not in CANNOT
]


@pytest.mark.parametrize(("classifier", "check"), CHECKS)
def test_it_passes_the_checks_of_scikit_learn(
    classifier: FewShotClassifier, check: Callable[[Any], None]
) -> None:
    check(clone(classifier))


@pytest.fixture
def drawn(tmp_path: Path) -> adapters.Draw:
    return adapters.draw(make_entry(tmp_path), 4, 1, views=0)


@pytest.mark.parametrize("method", ["gda", "ncm", "tip-adapter", "zero-shot"])
def test_it_answers_as_an_adapter_fitted_from_a_cache(tmp_path: Path, method: str) -> None:
    entry = make_entry(tmp_path)
    settings = short(method)
    fitted = adapters.fit(entry, method, shots=4, views=0, policy="none", **settings).adapter
    drawn = adapters.draw(entry, 4, 1, views=0)
    support, text = drawn.episode.support, drawn.episode.text
    prompts = {
        label: text.prompts[label][text.mask[label]].numpy() for label in range(len(text.mask))
    }
    ours = FewShotClassifier(method, settings, logit_scale=entry.logit_scale)
    ours.fit(support.x.numpy(), support.labels.numpy(), text=prompts)
    torch.testing.assert_close(ours.adapter_.logits(drawn.test.x), fitted.logits(drawn.test.x))
    np.testing.assert_array_equal(
        ours.predict(drawn.test.x), fitted.logits(drawn.test.x).argmax(1).numpy()
    )


def test_tensors_arrays_and_forms_of_text_are_the_same(drawn: adapters.Draw) -> None:
    x, labels = drawn.episode.support.x, drawn.episode.support.labels
    text = drawn.episode.text.raw()
    found = [
        FewShotClassifier("tip-adapter").fit(*given, text=some).predict_proba(drawn.test.x)
        for given, some in (
            ((x, labels), text),
            ((x.numpy(), labels.numpy()), text.numpy()[:, None]),
            ((x.double(), labels.tolist()), dict(enumerate(text))),
        )
    ]
    for each in found:
        np.testing.assert_allclose(each, found[0], rtol=1e-6)
        np.testing.assert_allclose(each.sum(1), 1, rtol=1e-12)


def test_labels_may_be_words_and_the_adapter_is_kept(drawn: adapters.Draw, tmp_path: Path) -> None:
    support, words = drawn.episode.support, np.array(drawn.episode.text.classnames)
    ours = FewShotClassifier("ncm").fit(support.x, words[support.labels])
    again = adapters.load(ours.adapter_.save(tmp_path / "kept"))
    assert again.predict(drawn.test.x) == ours.predict(drawn.test.x).tolist()
    assert ours.score(drawn.test.x, words[drawn.test.labels]) > 0.5


def test_scikit_learns_search_tries_methods_and_settings(drawn: adapters.Draw) -> None:
    support = drawn.episode.support
    search = GridSearchCV(FewShotClassifier(), {"method": ["gda", "ncm"], "seed": [1]}, cv=2)
    search.fit(support.x.numpy(), support.labels.numpy())
    assert search.best_params_["method"] in ("gda", "ncm")


@pytest.mark.parametrize("method", [name for name in names() if not get(name).without_text])
def test_without_text_a_method_that_needs_it_says_the_way_out(
    drawn: adapters.Draw, method: str
) -> None:
    support = drawn.episode.support
    with pytest.raises(MethodError, match=r"text=…|take a method that does without"):
        FewShotClassifier(method).fit(support.x, support.labels)


@pytest.mark.parametrize("wrong", ["a class too few", "another width", "a label lacking"])
def test_texts_of_other_classes_or_widths_are_refused(drawn: adapters.Draw, wrong: str) -> None:
    support, text = drawn.episode.support, drawn.episode.text.raw()
    given = {
        "a class too few": text[1:],
        "another width": text[:, 1:],
        "a label lacking": dict(enumerate(text[1:])),
    }[wrong]
    with pytest.raises(EpisodeError, match="give"):
        FewShotClassifier().fit(support.x, support.labels, text=given)


@pytest.mark.parametrize("scale", [1e-30, 1e30, 1e300, np.nan])
def test_what_single_precision_cannot_hold_is_refused(scale: float) -> None:
    """Every picture was of one class, without a word."""
    x, y = np.eye(4), [0, 0, 1, 1]
    fitted = FewShotClassifier().fit(x, y)
    for asked in (
        lambda: FewShotClassifier().fit(x * scale, y),
        lambda: fitted.predict(x * scale),
        lambda: FewShotClassifier().fit(x, y, text=x[:2] * scale),
    ):
        with pytest.raises(ValueError, match=r"no length in single precision|contains NaN"):
            asked()
    assert FewShotClassifier().fit(x * 1e9, y).score(x * 1e9, y) == 1.0


def test_wrong_settings_are_refused_as_everywhere(drawn: adapters.Draw) -> None:
    support = drawn.episode.support
    with pytest.raises(ConfigError, match="mix"):
        FewShotClassifier("ncm", {"mix": 2}).fit(support.x, support.labels)
    for seed in (-1, 1.5, 2**64):
        with pytest.raises(ConfigError, match="seed must be whole numbers"):
            FewShotClassifier("ncm", seed=seed).fit(support.x, support.labels)  # type: ignore[arg-type]
