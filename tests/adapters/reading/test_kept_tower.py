"""The kept tower speaks as open_clip's does, for every kind that is served."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from adapters.adapter import load
from adapters.drawing import text_of
from adapters.fitting import fit
from adapters.reading import kept_tower
from adapters.scoring import score_on
from featcache import FeatureCache, encode_dataset
from featcache.backbones.backbone import Backbone
from featcache.backbones.forward import encode_prompts
from featcache.datasets.dataset import Dataset
from featcache.errors import CacheError, MethodError
from featcache.store import towers
from featcache.store.entry import Entry
from tests.entries import make_entry
from tests.featcache.backbones.towered import SERVED, loaded
from tests.featcache.encoding.folder import folder, paint, read

PROMPTS = ["a photo of a cat.", "CAFÉ, naïve & co.", "", "one two three 4 5 6, seven (eight)."]
CPU = torch.device("cpu")


def kept(backbone: Backbone, root: Path) -> Entry:
    data = read(folder(root / "mine", rows=1))
    report = encode_dataset(data, backbone, FeatureCache(root / "cache"), extras=["text-tower"])
    return report.entry


def check(backbone: Backbone, root: Path) -> None:
    held = kept_tower.kept(kept(backbone, root))
    assert held is not None
    tower = held.on(CPU)
    ours = kept_tower.sentences(tower, held.ids(PROMPTS)).numpy()
    theirs = encode_prompts(backbone, PROMPTS)
    assert np.abs(ours - theirs).max() <= 1e-5 * max(1.0, np.abs(theirs).max())


@pytest.mark.parametrize("kind", SERVED)
def test_it_gives_what_open_clip_gives(kind: str, tmp_path: Path) -> None:
    check(loaded(tmp_path / "model", kind), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", SERVED)
def test_it_gives_what_open_clip_gives_at_full_size(kind: str, tmp_path: Path) -> None:
    check(loaded(tmp_path / "model", kind, small=False), tmp_path)


def test_scales_of_layers_and_a_biased_projection_are_known(tmp_path: Path) -> None:
    check(loaded(tmp_path / "model", "EVA", ls_init_value=0.3, proj_bias=True), tmp_path)


@pytest.mark.slow
def test_a_tower_without_a_projection_is_known(tmp_path: Path) -> None:
    check(loaded(tmp_path / "model", "EVA", proj_type="none", width=512), tmp_path)


def painted(root: Path, first: int, names: Sequence[str]) -> Dataset:
    """Two pictures of each class to train with, one to validate and one to test."""
    for split, count in {"train": 2, "val": 1, "test": 1}.items():
        for name in names:
            for i in range(count):
                paint(root / split / name / f"{i}.png", first := first + 1)
    return read(root)


def test_every_task_goes_with_prompts_that_are_learned(tmp_path: Path, tiny: Backbone) -> None:
    """Names alone make classes, whoever's they are."""
    cache = FeatureCache(tmp_path / "cache")
    own = ["ant", "bee", "cat", "dog"]
    entries = [
        encode_dataset(painted(tmp_path / each, i, names), tiny, cache, extras=extras).entry
        for each, i, names, extras in (
            ("here", 0, own, ["text-tower"]), ("moved", 50, own[::-1], []),
            ("there", 99, ["elk", "fox", "red panda"], []),
        )
    ]  # fmt: skip
    source, moved, there = entries
    how = {"shots": 2, "policy": "none", "steps": 2, "views": 0}
    halves = fit(source, "coop", task="base-to-new", **how)
    assert [row["n_test"] for row in halves.rows] == [2, 2]
    across = fit(source, "kgcoop", task="cross-dataset", on=[there, moved], **how)
    assert [row["target"] for row in across.rows] == ["here", "there", "moved"]
    fit(source, "coop", task="domain-generalization", on=[moved], **how)
    kept = load(across.adapter.save(tmp_path / "adapter"))
    scored, row = score_on(kept, there)
    assert scored.accuracy == across.rows[1]["accuracy"]
    assert row["task"] == "cross-dataset"
    assert len(kept.predict(torch.ones(3, 32))) == 3  # known classes do without the tower
    held = source.text_tower()
    assert held is not None
    shutil.rmtree(held.folder)
    with pytest.raises(MethodError, match=r"--extra text-tower"):
        fit(source, "coop", **how)
    with pytest.raises(MethodError, match=r"encode … --extra text-tower"):
        score_on(kept, there)
    assert len(kept.predict(torch.ones(3, 32))) == 3


def test_an_entry_without_is_told_and_texts_carry_the_tower(tmp_path: Path, tiny: Backbone) -> None:
    assert kept_tower.kept(make_entry(tmp_path / "made")) is None
    assert text_of(make_entry(tmp_path / "made")).tower is None
    entry = kept(tiny, tmp_path)
    tower = text_of(entry).tower
    assert tower is not None
    assert tower.on(CPU) is tower.on(CPU)
    theirs = tiny.tokenizer(["an ant."])[0].tolist()
    assert tower.ids(["an ant."]) == [theirs[1 : theirs.index(max(theirs))]]
    held = entry.text_tower()
    assert held is not None
    (held.folder / towers.ABOUT).unlink()
    with pytest.raises(CacheError, match="does not keep the text tower"):
        tower.on(CPU)


def test_a_tower_of_other_texts_is_refused(tmp_path: Path, tiny: Backbone) -> None:
    entry = kept(tiny, tmp_path)
    held = entry.text_tower()
    assert held is not None
    weights = held.weights()
    weights["projection"] = weights["projection"][:, ::-1].copy()
    about = {key: held.about[key] for key in ("backbone", "fingerprint", "config", "tokenizer")}
    merges = (held.folder / towers.MERGES).read_text()
    towers.write(entry.root, about, weights, merges)
    tower = kept_tower.kept(entry)
    assert tower is not None
    with pytest.raises(CacheError, match="not what the kept text tower makes"):
        tower.on(CPU)
