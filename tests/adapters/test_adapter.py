"""A fitted adapter: kept, taken up again, and asked; settings checked on the way in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import adapters
from adapters.compose import get
from adapters.configure import configure, parse, settings
from adapters.registry import names, summary
from featcache.errors import CacheError, ConfigError, UnknownNameError
from tests.entries import make_entry


@pytest.mark.parametrize("method", [name for name in names() if not get(name).needs])
def test_saved_and_loaded_it_scores_the_same(tmp_path: Path, method: str) -> None:
    entry = make_entry(tmp_path)
    drawn = adapters.draw(entry, 4, 1)
    fitted = adapters.fit(entry, method, shots=4).adapter
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


def test_settings_are_read_as_typed() -> None:
    assert parse(["a=1", "b=0.5", "c=text", "d=[1, 2]", "e=true", "f="]) == {
        "a": 1, "b": 0.5, "c": "text", "d": [1, 2], "e": True, "f": "",
    }  # fmt: skip
    with pytest.raises(ConfigError, match="key=value"):
        parse(["=3"])


@pytest.mark.parametrize("name", names())
def test_every_setting_is_described(name: str) -> None:
    method = get(name)
    assert summary(name).endswith(".")
    assert all(setting.description for setting in settings(method))
    for preset in method.presets:
        configure(name, method, {"preset": preset})


def test_unknown_settings_offer_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="alpha"):
        configure("tip-adapter", get("tip-adapter"), {"alhpa": 1})


def test_an_unknown_method_offers_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="tip-adapter"):
        get("tip-adaptor")
