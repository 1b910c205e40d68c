"""Domain generalization: label spaces of the targets' own, and every number counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from adapters import registry
from adapters.experiment import Experiment
from adapters.fitting import run
from adapters.tasks.domain_generalization import target, task
from featcache.backbones.backbone import Backbone
from featcache.datasets.registry import load
from featcache.encoding.encode import encode_dataset
from featcache.errors import EpisodeError
from featcache.store.cache import FeatureCache
from featcache.store.entry import Entry
from tests.adapters.meadows import BIRDS, FISH, TEST, meadow
from tests.typed import Type

WNIDS = [f"n0000000{i}" for i in range(1, 7)]
NAMES = ["tench", "missile", "crane", "missile", "wall clock", "goldfish"]
VARIANTS = ["imagenet-v2", "imagenet-sketch", "imagenet-a", "imagenet-r"]
ROOTS = {
    "imagenet-v2": "imagenetv2/imagenetv2-matched-frequency-format-val",
    "imagenet-sketch": "imagenet-sketch/images",
    "imagenet-a": "imagenet-adversarial/imagenet-a",
    "imagenet-r": "imagenet-rendition/imagenet-r",
}
OWN = {"imagenet-a": [3, 1], "imagenet-r": [0, 2, 3]}  # classes that have a folder


def counted(entry: Entry, source: Entry, names: list[int]) -> tuple[float, float]:
    """Zero-shot on the test pictures by hand: among these classes of the source, and among all."""
    images, text = entry.images("test"), source.text()
    unit = text.embedding / np.linalg.norm(text.embedding, axis=-1, keepdims=True)
    mean = (unit * text.mask[..., None]).sum(1)
    classes = mean / np.linalg.norm(mean, axis=-1, keepdims=True)
    own = strict = 0
    for x, label in zip(images.embedding, images.label, strict=True):
        scores = classes @ x
        best = max(names, key=lambda c: scores[c])
        own += best == names[label]
        strict += int(scores.argmax()) == names[label]
    return 100 * own / len(images.label), 100 * strict / len(images.label)


def test_each_target_is_scored_in_its_own_label_space_and_among_all(tmp_path: Path) -> None:
    source = meadow(tmp_path, noise=0.9)
    on = (
        meadow(tmp_path, "sketches", BIRDS[::-1], TEST, noise=0.9),
        meadow(tmp_path, "few", ("gull", "duck"), TEST, noise=0.9),
    )
    rows = run(source, Experiment("zero-shot", 2, 1, task="domain-generalization", on=on)).rows
    assert [row["target"] for row in rows] == ["birds", "sketches", "few"]
    expected = [
        counted(source, source, [0, 1, 2, 3, 4]),
        counted(on[0], source, [4, 3, 2, 1, 0]),
        counted(on[1], source, [4, 1]),
    ]
    assert [(row["accuracy"], row["strict_accuracy"]) for row in rows] == expected
    assert expected[2][0] > expected[2][1]  # fewer classes to be mistaken for
    assert expected[1][0] == expected[1][1]
    mean = (expected[1][0] + expected[2][0]) / 2  # without the source
    assert [row["target_mean"] for row in rows] == pytest.approx([mean] * 3)
    assert [row["target_entry"] for row in rows] == [source.key, on[0].key, on[1].key]
    assert [row["n_test"] for row in rows] == [30, 30, 12]
    assert {row["entry"] for row in rows} == {source.key}
    assert {row["task"] for row in rows} == {"domain-generalization"}


def test_a_method_with_parameters_of_classes_is_cut_to_the_columns(tmp_path: Path) -> None:
    source = meadow(tmp_path, noise=0.9)
    few = meadow(tmp_path, "few", ("gull", "duck"), TEST, noise=0.9)
    outcome = run(source, Experiment("gda", 4, 1, task="domain-generalization", on=(few,)))
    images = few.images("test")
    logits = outcome.adapter.logits(torch.from_numpy(images.embedding))
    right = [("gull", "duck")[y] for y in images.label]
    cut = [("gull", "duck")[int(row[[4, 1]].argmax())] for row in logits]
    hits = sum(a == b for a, b in zip(cut, right, strict=True))
    strict = sum(BIRDS[int(row.argmax())] == b for row, b in zip(logits, right, strict=True))
    row = outcome.rows[1]
    assert row["accuracy"] == pytest.approx(100 * hits / 12)
    assert row["strict_accuracy"] == pytest.approx(100 * strict / 12)


def test_other_classes_are_refused_with_the_way_out(tmp_path: Path) -> None:
    source, fish = meadow(tmp_path), meadow(tmp_path, "fish", FISH, TEST)
    with pytest.raises(EpisodeError, match="task cross-dataset"):
        target(source, fish, None)  # type: ignore[arg-type]
    assert registry.task("domain-generalization") is task
    assert not task.new_classes
    assert task.summary({"a": 10.0, "b": 40.0}) == {"target_mean": 25.0}


def picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    tint = np.random.default_rng(int(path.parent.name[-1])).integers(40, 256, 3)
    Image.fromarray((rng.random((16, 16, 3)) * tint).astype(np.uint8)).save(path)


@pytest.fixture
def imagenet(tmp_path: Path, tiny: Backbone) -> FeatureCache:
    """A made-up ImageNet of six classes, two of one name, with its variants, encoded."""
    lines = "".join(f"{w} {n}\n" for w, n in zip(WNIDS, NAMES, strict=True))
    made = 0
    for folder in ("imagenet", "imagenetv2", "imagenet-sketch", "imagenet-adversarial",
                   "imagenet-rendition"):  # fmt: skip
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "classnames.txt").write_text(lines)
    for label, wnid in enumerate(WNIDS):
        places = {f"imagenet/images/train/{wnid}": 4, f"imagenet/images/val/{wnid}": 3}
        for name, root in ROOTS.items():
            if label in OWN.get(name, range(6)):
                folder = str(label) if name == "imagenet-v2" else wnid
                places[f"{root}/{folder}"] = 3
        for place, count in places.items():
            for i in range(count):
                picture(tmp_path / place / f"{i}.png", made := made + 1)
    cache = FeatureCache(tmp_path / "cache")
    for name in ("imagenet", *VARIANTS):
        encode_dataset(load(name, tmp_path), tiny, cache)
    return cache


def test_imagenet_and_its_four_variants_by_one_command(
    imagenet: FeatureCache, type_in: Type, tiny: Backbone
) -> None:
    """The variants of 200 classes have labels of their own, and two classes are called missile."""
    fit = "adapters fit --dataset imagenet --task domain-generalization --shots 2 --json --method"
    found = type_in(f"{fit} zero-shot").json
    source = imagenet.find("imagenet")
    assert source.class_ids == tuple(WNIDS)
    assert [*found["targets"]] == ["imagenet", *VARIANTS]
    for name in VARIANTS:
        own = sorted(OWN.get(name, range(6)))
        accuracy, strict = counted(imagenet.find(name), source, own)
        assert found["targets"][name] == pytest.approx(accuracy)
        assert found["strict"][name] == pytest.approx(strict)
    mean = sum(found["targets"][name] for name in VARIANTS) / 4
    assert found["target_mean"] == pytest.approx(mean)
    said = type_in(f"{fit} gda".replace(" --json", "")).out
    assert "of imagenet-a (" in said or "of imagenet-a\n" in said
    assert "mean of the targets" in said
