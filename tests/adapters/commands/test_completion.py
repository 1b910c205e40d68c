"""Tab: methods, settings, tasks, columns and what is cached, without torch and without an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters import registry
from adapters.commands import completion
from adapters.compose import get
from adapters.results import COLUMNS
from adapters.sweeping.engine import engine_names
from tests.entries import make_entry
from tests.tab import complete, offered

TASKS = ["base-to-new", "bongard-hoi", "cross-dataset", "domain-generalization"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("completion")
    make_entry(folder)
    make_entry(folder, name="beasts")
    return folder / "cache"


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("adapters fit --method tip", ["tip-adapter", "tip-adapter-f"]),
        ("adapters fit --method tip-adapter --set be", ["beta=", "beta_scale="]),
        ("adapters sweep --dataset animals,b", ["animals,beasts"]),
        ("adapters sweep --task b", ["base-to-new", "bongard-hoi"]),
        ("adapters results --where met", ["method="]),
        ("adapters eva", ["evaluate"]),
    ],
)
def test_a_shell_is_offered_names(line: str, names: list[str], cache: Path) -> None:
    assert offered(line, cache) == names


def test_names_that_are_always_the_same() -> None:
    assert complete(completion.method) == registry.names()
    assert complete(completion.methods) == ["all", *registry.names()]
    assert complete(completion.methods, "gda,nc") == ["gda,ncm"]
    assert complete(completion.method, "gda,nc") == []
    assert complete(completion.task) == ["few-shot", *TASKS]
    assert complete(completion.tasks, "few-shot,") == [f"few-shot,{task}" for task in TASKS]
    assert complete(completion.policy) == [*registry.POLICIES]
    assert complete(completion.policies, "none,f") == ["none,few-shot-val", "none,full-val"]
    assert complete(completion.engines) == engine_names()
    assert complete(completion.columns) == [f"{name}=" for name in ("run", *COLUMNS)]


def words_of(name: str) -> list[str]:
    """The fields of its config, and `preset` where it has some."""
    return [*registry.settings(name), *["preset"][: len(get(name).presets)]]


@pytest.mark.parametrize("name", registry.names())
def test_a_method_is_offered_its_own_settings(name: str) -> None:
    own = words_of(name)
    assert complete(completion.settings, method=name) == [
        word for field in own for word in (f"{name}.{field}=", f"{field}=")
    ]


def test_settings_of_several_methods_carry_their_names() -> None:
    gda, ncm = words_of("gda"), words_of("ncm")
    both = [*(f"gda.{field}=" for field in gda), *(f"ncm.{field}=" for field in ncm)]
    assert complete(completion.settings, method="gda,ncm") == both
    assert complete(completion.settings, method="sum:gda+ncm") == both
    assert complete(completion.settings, method="gda@ncm") == both
    every = complete(completion.settings, method="all")
    assert len(every) == sum(len(words_of(name)) for name in registry.names())
    assert all("." in word for word in every)


def test_without_a_method_there_are_those_of_the_one_that_is_meant() -> None:
    assert complete(completion.settings, "fma.bl") == ["fma.blocks="]
    assert complete(completion.settings, "bl", method=None) == ["blocks="]
    assert complete(completion.settings, method="no-method") == []


def test_what_is_cached_comes_from_the_cache_that_is_given(cache: Path, tmp_path: Path) -> None:
    assert sorted(complete(completion.dataset, cache=cache)) == ["animals", "beasts"]
    assert complete(completion.dataset, "b", cache=cache) == ["beasts"]
    assert complete(completion.datasets, "beasts,", cache=cache) == ["beasts,animals"]
    [backbone] = complete(completion.backbone, cache=cache)
    assert backbone.startswith("hf-hub:made")
    assert complete(completion.backbones, f"{backbone},", cache=cache) == []
    assert complete(completion.banks, cache=cache) == ["imported"]
    assert complete(completion.dataset, cache=tmp_path) == []
