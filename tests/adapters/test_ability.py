"""What a task takes: its usual words, and a reason for whatever it refuses."""

from __future__ import annotations

import pytest

from adapters import registry
from adapters.ability import check, refusal, usual, why_not
from adapters.compose import get
from adapters.experiment import Experiment
from featcache.errors import ConfigError


def test_words_left_open_are_the_tasks_own() -> None:
    assert usual("few-shot", None, None) == (16, "few-shot-val")
    assert usual("bongard-hoi", None, None) == (6, "full-val")
    assert usual("few-shot", 0, None)[0] == 0  # to be refused, not to be taken for none
    assert usual("bongard-hoi", 3, "none") == (3, "none")


@pytest.mark.parametrize("method", registry.names())
def test_without_text_a_method_says_how_it_does(method: str) -> None:
    able = refusal(method, "bongard-hoi") is None
    assert able == bool(get(method).without_text)
    if not able:
        assert str(refusal(method, "bongard-hoi")).endswith(".")
    assert refusal(method, "few-shot") is None
    assert (refusal(method, "cross-dataset") is None) == (get(method).with_text is not None)


def test_other_tasks_have_no_text_to_show() -> None:
    with pytest.raises(ConfigError, match="leave --text out"):
        check(Experiment("ncm", text="concept"))
    assert "--text concept" in why_not("bongard-hoi")
    assert "classes" in why_not("cross-dataset")
