"""An experiment's words: their defaults, spelt out, and what is left for a policy to choose."""

from __future__ import annotations

import inspect
from dataclasses import asdict

import numpy as np
import pytest

import adapters
from adapters import experiment as room
from adapters.ability import usual
from adapters.compose import get
from adapters.experiment import Experiment, configured, spelt_out
from adapters.registry import POLICIES, names, task_names
from featcache.errors import ConfigError, MethodError, UnknownNameError
from tests import frozen


def test_what_is_left_out_is_as_in_fit() -> None:
    """The words of `adapters.fit`, less the entry, have the same defaults."""
    told = {
        name: each.default
        for name, each in inspect.signature(adapters.fit).parameters.items()
        if name not in ("entry", "settings", "device")
    }
    told["shots"], told["policy"] = usual(told["task"], told["shots"], told["policy"])
    plain = asdict(Experiment())
    assert told.pop("calibrate") is False  # which is done to what was fitted
    assert told.pop("progress") is None  # which is shown meanwhile
    assert plain.pop("settings") == {}
    # Where the task says what is usual, both are left open.
    told["shots"], told["policy"] = usual(told["task"], told["shots"], told["policy"])
    assert plain == told
    assert plain["policy"] in POLICIES
    assert plain["task"] == task_names()[0]
    assert plain["method"] in names()


def test_a_base_is_a_setting_or_part_of_the_name() -> None:
    plain = Experiment("fma", settings={"blocks": 2})
    assert spelt_out(plain) is plain
    for key in ("base", "fma.base"):
        found = spelt_out(Experiment("fma", 4, settings={key: "taskres", "blocks": 2}))
        wanted = {"fma.blocks": 2}
        assert found == Experiment("fma@taskres", 4, settings=wanted), key


def test_a_base_of_a_part_is_of_that_part() -> None:
    settings = {"fma.base": "taskres", "taskres.alpha": 0.5, "gda.alpha": 1}
    found = spelt_out(Experiment("sum:gda+fma", settings=settings))
    assert found.method == "sum:gda+fma@taskres"
    assert found.settings == {"taskres.alpha": 0.5, "gda.alpha": 1}
    assert settings["fma.base"] == "taskres"  # what was asked stays as it was


def test_words_become_a_method_its_config_and_what_is_fixed() -> None:
    known = configured(Experiment("tip-adapter", settings={"alpha": 3}))
    assert known.method is get("tip-adapter")
    assert known.config.alpha == 3
    assert known.fixed == {"alpha"}
    composed = configured(Experiment("fma", settings={"base": "taskres", "blocks": 2}))
    assert composed.experiment.method == "fma@taskres"
    assert composed.method is get("fma@taskres")
    assert composed.fixed == {"fma.blocks"}


def test_a_policy_may_choose_the_methods_own_space() -> None:
    for name in names():
        known = configured(Experiment(name))
        space = known.method.space(known.config)
        assert [*known.searched] == [*space.fit, *space.logits]
    assert [*configured(Experiment("gda")).searched] == ["alpha"]


def test_fields_of_parts_are_searched_by_their_place() -> None:
    own = {name: [*configured(Experiment(name)).searched] for name in ("gda", "fma", "taskres")}
    assert [*configured(Experiment("sum:gda+fma@taskres")).searched] == [
        *(f"gda.{key}" for key in own["gda"]),
        *(f"fma_over_taskres.taskres.{key}" for key in own["taskres"]),
        *(f"fma_over_taskres.fma.{key}" for key in own["fma"]),
    ]


@pytest.mark.parametrize(
    ("experiment", "error", "says"),
    [
        (Experiment("fmaa"), UnknownNameError, "fma"),
        (Experiment("fma", settings={"base": "fmaa"}), UnknownNameError, "fma"),
        (Experiment("fma", settings={"base": "tip-adapter"}), MethodError, "sum:tip-adapter"),
        (Experiment("fma", settings={"block": 2}), UnknownNameError, "blocks"),
        (Experiment("fma", settings={"blocks": -2}), ConfigError, "blocks"),
        (Experiment(shots=0), ConfigError, "shots must be whole numbers of at least 1, got 0"),
        (Experiment(shots=True), ConfigError, "shots must be whole numbers of at least 1"),
        (Experiment(seed=-1), ConfigError, "seed must be whole numbers of at least 0, got -1"),
        (Experiment(seed=2**63), ConfigError, "seed must be whole numbers of at most"),
        (Experiment(views=-1), ConfigError, "views must be whole numbers of at least 0"),
    ],
    ids=str,
)
def test_words_that_say_nothing_are_refused(
    experiment: Experiment, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        configured(experiment)


def test_numbers_of_numpy_are_numbers() -> None:
    words = configured(Experiment("ncm", np.int64(4), np.int32(2), views=np.uint8(3))).experiment
    assert [type(each) for each in (words.shots, words.seed, words.views)] == [int, int, int]
    assert words == Experiment("ncm", 4, 2, views=3)


def test_words_stay_as_they_were_written() -> None:
    assert frozen.thawed(room) == []
