"""Prompt banks are encoded once, class by class."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from featcache import FeatureCache
from featcache.backbones.backbone import Backbone
from featcache.backbones.forward import encode_prompts
from featcache.encoding import text
from featcache.encoding.identity import find_entry
from featcache.encoding.plan import NO_VIEWS, announce
from featcache.encoding.text import encode_text
from featcache.errors import FeatcacheError
from featcache.prompts import PromptBank
from featcache.store.entry import reload
from tests.featcache.encoding.noise import noise

BANK = PromptBank("mine", (("a cat", "cats"), ("a dog",), ("an emu",)))


def test_a_bank_is_encoded_once(tmp_path: Path, tiny: Backbone) -> None:
    entry = find_entry(noise(), tiny, FeatureCache(tmp_path)).entry
    entry = announce(entry, [], NO_VIEWS, [])
    assert encode_text(entry, tiny, BANK) == 4
    entry = reload(entry)
    assert encode_text(entry, tiny, BANK) == 0
    found = entry.text("mine")
    assert found.prompts == BANK.prompts
    wanted = encode_prompts(tiny, ["a cat", "cats", "a dog", "an emu"])
    np.testing.assert_array_equal(found.embedding[found.mask], wanted.astype(np.float16))
    assert encode_text(entry, tiny, replace(BANK, prompts=(("x",), ("y",), ("z",)))) == 3
    assert reload(entry).banks == ("mine",)


def test_embeddings_that_are_not_finite_are_refused(
    tmp_path: Path, tiny: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = find_entry(noise(), tiny, FeatureCache(tmp_path)).entry
    monkeypatch.setattr(text, "encode_prompts", lambda *_: np.full((4, 32), np.nan))
    with pytest.raises(FeatcacheError, match="gave text embeddings that are not finite"):
        encode_text(entry, tiny, BANK)
    assert not entry.folder.exists()
