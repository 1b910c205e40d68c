"""`adapters fit` and what it leaves behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.compose import get
from adapters.registry import names
from tests.typed import Type


@pytest.mark.parametrize("method", [name for name in names() if not get(name).needs])
def test_every_method_fits_and_evaluates(filled: Type, method: str) -> None:
    fit = filled(f"adapters fit --method {method} --shots 4 --json")
    assert fit.status == 0
    assert 0 <= fit.json["accuracy"] <= 100
    score = filled("adapters evaluate --json", fit.json["adapter"])
    assert score.json["accuracy"] == pytest.approx(fit.json["accuracy"])


def test_the_same_command_gives_the_same_adapter(filled: Type) -> None:
    folders = [
        Path(filled(f"adapters fit --method fma --shots 2 --out {out} --json").json["adapter"])
        for out in ("a", "b")
    ]
    first, second = ((f / "adapter.safetensors").read_bytes() for f in folders)
    assert first == second


def test_an_imported_backbone_is_taken_by_any_spelling(filled: Type) -> None:
    assert filled("adapters fit --method zero-shot --backbone rn50 --shots 1").status == 0


def test_an_empty_cache_says_how_to_fill_it(type_in: Type) -> None:
    answer = type_in("adapters fit")
    assert answer.status == 1
    assert "featcache encode" in answer.err
    assert type_in("featcache ls").status == 0
