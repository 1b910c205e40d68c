"""What a table needs: what of it is cached, and which commands add the rest."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.reproducing import needs as room
from adapters.reproducing.needs import encode, needs
from adapters.reproducing.tables import Line, Reproduction, named
from featcache.store.cache import FeatureCache
from tests.entries import NARROW, make_entry


def test_of_an_empty_cache_everything_is_lacking(tmp_path: Path) -> None:
    table = named("coop-dg")
    found = needs(table, FeatureCache(tmp_path))
    assert [need.dataset for need in found] == ["imagenet", *table.on]
    assert [need.source for need in found] == [True] + [False] * 4
    assert {need.lacks for need in found} == {("everything",)}
    assert found[0].command == (
        "featcache encode --dataset imagenet --backbone ViT-B-16:openai --views 20 "
        "--extra text-tower"
    )
    assert found[1].command.endswith("--dataset imagenet-v2 --backbone ViT-B-16:openai --views 0")
    tip = needs(named("tip-rn50"), FeatureCache(tmp_path))[0]
    assert tip.command.endswith("--prompts seven --views 10 --view-scale 0.5")


def test_what_an_entry_lacks_is_named(tmp_path: Path, small: Reproduction) -> None:
    make_entry(tmp_path)
    cache = FeatureCache(tmp_path / "cache")
    there, other = needs(small, cache)
    assert there.entry is not None
    assert there.lacks == ("prompts dataset",)  # its text was imported
    assert (other.entry, other.lacks) == (None, ("everything",))
    more = replace(small, views=5, view_scale=0.5, lines=(Line("coop", extra="text-tower"),))
    there, _ = needs(more, cache)
    assert there.lacks == ("prompts dataset", "5 views of at least 0.5", "text-tower")
    exact = replace(small, prompts={"animals": there.entry.banks[-1]}) if there.entry else small
    assert needs(exact, cache)[0].lacks == ()


def test_views_are_those_that_are_meant_where_they_are_as_many_and_of_that_scale(
    tmp_path: Path,
) -> None:
    entry = make_entry(tmp_path)
    entry.manifest["view_sets"]["train"] = {"a": {"count": 10, "scale": [0.5, 1.0]}}
    assert room._views(entry, 10, 0.5)
    assert room._views(entry, 4, 0.5)
    assert not room._views(entry, 11, 0.5)
    assert not room._views(entry, 10, 0.08)


def test_encoding_fetches_nothing_and_takes_what_lacks_something_alone(
    tmp_path: Path, small: Reproduction, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = make_entry(tmp_path)
    cache = FeatureCache(tmp_path / "cache")
    table = replace(small, prompts={"animals": entry.banks[-1]})
    asked: list[tuple[list[str], str]] = []

    def run(words: list[str], *, env: dict[str, str], **_: Any) -> Any:
        asked.append((words, env["HF_HUB_OFFLINE"]))
        return subprocess.CompletedProcess(words, 1)

    monkeypatch.setattr(subprocess, "run", run)
    assert encode(needs(table, cache), cache.root, tmp_path) == ["beasts"]
    ((words, offline),) = asked
    assert offline == "1"
    assert words[0] == sys.executable
    assert words[-10:] == [
        "--dataset", "beasts", "--backbone", NARROW, "--views", "0",
        "--cache", str(cache.root), "--root", str(tmp_path),
    ]  # fmt: skip
