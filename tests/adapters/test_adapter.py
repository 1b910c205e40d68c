"""A fitted adapter: kept, taken up again, and asked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import adapters
from adapters import adapter
from adapters.compose import get
from adapters.registry import names
from featcache.errors import CacheError, MethodError
from tests import frozen
from tests.adapters.short import short
from tests.entries import make_entry


@pytest.mark.parametrize("method", [name for name in names() if not get(name).needs])
def test_saved_and_loaded_it_scores_the_same(tmp_path: Path, method: str) -> None:
    entry = make_entry(tmp_path)
    drawn = adapters.draw(entry, 4, 1)
    fitted = adapters.fit(entry, method, shots=4, **short(method)).adapter
    again = adapters.load(fitted.save(tmp_path / "adapter"))
    torch.testing.assert_close(
        fitted.logits(drawn.test.x), again.logits(drawn.test.x), rtol=0, atol=0
    )
    assert again.config == fitted.config
    assert again.about["support"] == list(drawn.episode.support.ids)
    assert set(again.predict(drawn.test.x)) <= set(entry.classnames)


def test_other_classes_by_their_text(tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    drawn = adapters.draw(entry, 4, 1)
    text = drawn.episode.text
    turned = adapters.Text(text.prompts.flip(0), text.mask.flip(0), text.classnames[::-1])
    fitted = adapters.fit(entry, "zero-shot", shots=4).adapter
    torch.testing.assert_close(
        fitted.with_text(turned).logits(drawn.test.x), fitted.logits(drawn.test.x).flip(1)
    )


def test_a_wrong_width_is_refused(tmp_path: Path) -> None:
    fitted = adapters.fit(make_entry(tmp_path), "zero-shot", shots=1).adapter
    with pytest.raises(CacheError, match="width 5"):
        fitted.logits(torch.zeros(2, 5))


@pytest.mark.parametrize("harm", ["nothing", "json", "tensors", "format"])
def test_a_damaged_adapter_is_one_sentence(tmp_path: Path, harm: str) -> None:
    folder = tmp_path / "adapter"
    if harm != "nothing":
        adapters.fit(make_entry(tmp_path), "zero-shot", shots=1).adapter.save(folder)
    if harm == "json":
        (folder / "adapter.json").write_text("{")
    if harm == "tensors":
        (folder / "adapter.safetensors").write_bytes(b"xxxx")
    if harm == "format":
        card = json.loads((folder / "adapter.json").read_text())
        (folder / "adapter.json").write_text(json.dumps({**card, "format": 99}))
    with pytest.raises(CacheError, match="adapter"):
        adapters.load(folder)


def test_new_classes_are_refused_where_parameters_belong_to_the_old(tmp_path: Path) -> None:
    drawn = adapters.draw(entry := make_entry(tmp_path), 2, 1)
    fitted = adapters.fit(entry, "gda", shots=2).adapter
    with pytest.raises(MethodError, match="gda has parameters for the classes it was fitted on"):
        fitted.with_text(drawn.episode.text)


def test_an_adapter_that_knows_no_width_takes_any(tmp_path: Path) -> None:
    """One that was put together by hand says nothing of where it comes from."""
    text = adapters.draw(make_entry(tmp_path), 1, 1).episode.text
    config = get("zero-shot").config()
    by_hand = adapters.Adapter("zero-shot", config, {"text": text.unit()}, text.classnames)
    assert by_hand.extras == ()
    fitted = adapters.fit(make_entry(tmp_path / "b"), "zero-shot", shots=1).adapter
    by_hand = replace(fitted, about={})
    assert by_hand.logits(torch.ones(2, 8)).shape == (2, 3)
    with pytest.raises(RuntimeError):
        by_hand.logits(torch.ones(2, 5))


def test_only_features_of_pictures_are_asked_for_again(tmp_path: Path) -> None:
    fitted = adapters.fit(make_entry(tmp_path), "zero-shot", shots=1).adapter
    told = replace(fitted, about={"extras": ["negative prompts", "patches"]})
    assert told.extras == ("patches",)
    with pytest.raises(CacheError, match="fitted on patches beside embeddings"):
        told.logits(torch.ones(2, 8))


def test_a_card_is_readable_and_says_what_is_missing(tmp_path: Path) -> None:
    folder = adapters.fit(make_entry(tmp_path), "ncm", shots=1).adapter.save(tmp_path / "a")
    card = json.loads((folder / "adapter.json").read_text(encoding="utf-8"))
    assert (card["format"], card["method"]) == (2, "ncm")
    assert card["classnames"] == ["cat", "dog", "emu"]
    (folder / "adapter.safetensors").unlink()
    with pytest.raises(CacheError, match=r"\(adapter\.safetensors is missing\)"):
        adapters.load(folder)


def test_tensors_that_share_memory_are_kept_apart(tmp_path: Path) -> None:
    fitted = adapters.fit(make_entry(tmp_path), "zero-shot", shots=1).adapter
    both = torch.arange(6.0).reshape(2, 3)
    kept = replace(fitted, state={"a": both, "b": both, "turned": both.T})
    state = adapters.load(kept.save(str(tmp_path / "deep" / "er"))).state
    assert {name: value.tolist() for name, value in state.items()} == {
        "a": both.tolist(), "b": both.tolist(), "turned": both.T.tolist(),
    }  # fmt: skip


def test_it_stays_as_it_was_made() -> None:
    assert frozen.thawed(adapter) == []
