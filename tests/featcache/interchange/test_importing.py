"""Feature files in: real CLIP features, and what is refused leaves nothing behind."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featcache import FeatureCache, export_features, import_features
from featcache.errors import ImportRefusedError
from featcache.interchange import importing
from featcache.interchange.formats import npz
from featcache.store import index, shard
from featcache.store.originals import content_hash
from tests.entries import NARROW, arrays


@pytest.mark.parametrize(("name", "rows"), [("RN50", 71.5), ("ViT-B-32", 81.3), ("ViT-L-14", 85.5)])
def test_zero_shot_on_real_features_is_as_stated(
    shared_data: Path, tmp_path: Path, name: str, rows: float
) -> None:
    path = shared_data / "whurs19" / f"CLIP_{name}.npz"
    entry = import_features([path], "whurs19", name, FeatureCache(tmp_path))
    assert entry.manifest["backbone"]["fingerprint"] == "unknown"
    assert entry.manifest["normalised"]
    images, text = entry.images("pool"), entry.text()
    assert text.embedding.shape[:2] == (19, 106)
    unit = text.embedding / np.linalg.norm(text.embedding, axis=-1, keepdims=True)
    scores = images.embedding @ _unit(unit.mean(1)).T
    assert round(100 * (scores.argmax(1) == images.label).mean(), 1) == rows


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def _put(key: str, value: Any) -> Any:
    return lambda given: given.update({key: value})


def _nan(given: dict[str, np.ndarray]) -> None:
    given["train_features"][4, 2] = np.nan


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_nan, "first is row 4"),
        (_put("train_features", np.full((30, 8), 1e19, np.float32)), "train: 30 rows are shorter"),
        (_put("val_features", np.ones((15, 7), np.float16)), "7 wide"),
        (_put("val_labels", np.arange(15) % 4), "0 to 3"),
        (_put("val_labels", np.arange(14) % 3), "15 whole numbers"),
        (_put("train_labels", np.zeros(30, int)), "class 'dog' has no row"),
        (_put("train_labels", np.zeros(30) + 0.5), "whole numbers"),
        (_put("train_features", np.ones(30)), r"\[n, d\]"),
        (_put("text_features", np.ones((5, 2, 8), np.float16)), "3 classes"),
        (_put("text_features", np.ones((3, 2, 8)) * np.nan), "text_features of class 'cat'"),
        (_put("prompts", np.array(["a", "b", "c"])), "prompts"),
        (lambda given: given.pop("classnames"), "give --classes FILE"),
        (lambda given: given.pop("test_labels"), "no test_labels"),
        (lambda given: [given.pop(k) for k in list(given) if "features" in k], "no image features"),
    ],
)
def test_refusals(tmp_path: Path, change: Any, words: str) -> None:
    given = arrays()
    change(given)
    path = tmp_path / "features.npz"
    np.savez(path, **given)
    with pytest.raises(ImportRefusedError, match=words):
        import_features([path], "x", NARROW, FeatureCache(tmp_path / "cache"))
    assert not (tmp_path / "cache").exists()


def _write(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def _ids(split: str, rows: int) -> list[str]:
    return [f"{split}/{row:06d}" for row in range(rows)]


def test_the_manifest_says_what_is_known_and_what_is_not(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.npz", **arrays({"train": 3, "test": 6}))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    once = hashlib.sha256(digest.encode()).hexdigest()
    entry = import_features([path], "animals", NARROW, FeatureCache(tmp_path / "cache"))
    assert entry.key == f"animals/hf-hub_made_narrow/{once[:12]}"
    manifest = dict(entry.manifest)
    shards = manifest.pop("shards")
    assert manifest == {
        "format": 2,
        "asked": ["train", "test"],
        "view_sets": {},
        "texts": {"imported": next(name for name in shards if name.startswith("text-imported-"))},
        "dataset": {
            "name": "animals",
            "fingerprint": once[:16],
            "classnames": ["cat", "dog", "emu"],
            "splits": {"train": 3, "test": 6},
            "contents": {
                "train": content_hash(_ids("train", 3), [0, 1, 2]),
                "test": content_hash(_ids("test", 6), [0, 1, 2, 0, 1, 2]),
            },
            "flip": "unknown",
        },
        "backbone": {
            "name": NARROW,
            "fingerprint": "unknown",
            "width": 8,
            "logit_scale": 100.0,
            "logit_scale_from": "assumed, CLIP's 100",
            "activation": "unknown",
            "precision": "unknown",
            "preprocess": "unknown",
        },
        "normalised": False,
        "views": "none",
        "ids": "none",
        "source": "imported",
        "project": "plain",
        "transposed": False,
        "remarks": [],
        "files": {"a.npz": digest},
        "stored_as": {"train": "float16", "test": "float16", "text": "float16"},
        "versions": {"featcache": version("featcache")},
        "shard_rows": 65536,
    }
    record = shards["images-test-00000.h5"]
    assert list(record) == ["kind", "split", "start", "stop", "bad", "bytes", "sha256", "sums"]
    assert list(record.values())[:5] == ["images", "test", 0, 6, 0]
    assert entry.complete
    assert entry.problems() == []


def test_what_a_file_says_is_taken(tmp_path: Path) -> None:
    given = arrays({"pool": 6}) | {"ids": np.arange(6), "logit_scale": np.array(7.5)}
    given["image_features"] = _unit(given["image_features"].astype(np.float32))
    path = _write(tmp_path / "a.npz", **given)
    entry = import_features([path], "x", NARROW, FeatureCache(tmp_path / "cache"))
    assert entry.logit_scale == 7.5
    assert entry.manifest["backbone"]["logit_scale_from"] == "file"
    assert entry.manifest["ids"] == "known"
    assert entry.manifest["normalised"] is True
    assert entry.images("pool").id == ("0", "1", "2", "3", "4", "5")


@pytest.mark.parametrize(("length", "normalised"), [(1.004, True), (1.006, False), (0.994, False)])
def test_lengths_near_one_are_normalised(tmp_path: Path, length: float, normalised: bool) -> None:
    given = arrays({"pool": 6})
    given["image_features"] = length * _unit(given["image_features"].astype(np.float32))
    path = _write(tmp_path / "a.npz", **given)
    entry = import_features([path], "x", NARROW, FeatureCache(tmp_path / "cache"))
    assert entry.manifest["normalised"] is normalised


def test_several_files_are_one_entry(tmp_path: Path) -> None:
    given = arrays({"train": 6})
    text = {key: given.pop(key) for key in ("text_features", "prompts", "classnames")}
    files = [_write(tmp_path / "a.npz", **given), _write(tmp_path / "b.npz", **text)]
    entry = import_features(files, "x", NARROW, FeatureCache(tmp_path / "cache"))
    assert list(entry.manifest["files"]) == ["a.npz", "b.npz"]
    again = _write(tmp_path / "c.npz", prompts=given["train_labels"])
    with pytest.raises(ImportRefusedError) as error:
        import_features([*files, again], "x", NARROW, FeatureCache(tmp_path / "cache"))
    assert str(error.value) == f"{again}: 'prompts' stands in an earlier file too."


@pytest.mark.parametrize(("rows", "shards"), [(8, [(0, 4), (4, 8)]), (9, [(0, 4), (4, 8), (8, 9)])])
def test_many_rows_are_several_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, shards: list[tuple[int, int]]
) -> None:
    monkeypatch.setattr(importing, "SHARD_ROWS", 4)
    given = arrays({"train": rows})
    path = _write(tmp_path / "a.npz", **given)
    entry = import_features([path], "x", NARROW, FeatureCache(tmp_path / "cache"))
    listed = entry.manifest["shards"]
    for number, (start, stop) in enumerate(shards):
        record = listed[f"images-train-{number:05d}.h5"]
        assert (record["start"], record["stop"]) == (start, stop)
    assert len(listed) == len(shards) + 1
    images = entry.images("train")
    np.testing.assert_array_equal(images.embedding, given["train_features"])
    assert images.label.tolist() == given["train_labels"].tolist()
    assert images.valid.all()
    assert images.reason == ("",) * rows


def test_features_are_kept_as_half_floats(tmp_path: Path) -> None:
    given = arrays({"train": 6})
    given["train_features"] = given["train_features"].astype(np.float64) / 3
    path = _write(tmp_path / "a.npz", **given)
    entry = import_features([path], "x", NARROW, FeatureCache(tmp_path / "cache"))
    held = shard.read(entry.folder / "images-train-00000.h5")["embedding"]
    assert held.dtype == np.float16
    np.testing.assert_array_equal(held, given["train_features"].astype(np.float16))


@pytest.mark.parametrize("value", [1e5, 1e-8])
@pytest.mark.parametrize("key", ["train", "text"])
def test_what_half_precision_would_lose_is_kept_in_single(
    tmp_path: Path, key: str, value: float
) -> None:
    given = arrays({"train": 6, "test": 6})
    given[f"{key}_features"] = given[f"{key}_features"].astype(np.float32) * value
    path = _write(tmp_path / "a.npz", **given)
    entry = import_features([path], "x", NARROW, FeatureCache(tmp_path / "cache"))
    told = {"train": "float16", "test": "float16", "text": "float16", key: "float32"}
    assert entry.manifest["stored_as"] == told
    held = entry.images("train").embedding if key == "train" else entry.text().embedding
    np.testing.assert_array_equal(held, given[f"{key}_features"])
    back = export_features(entry, tmp_path / "b.npz")
    with np.load(back) as file:
        np.testing.assert_array_equal(file[f"{key}_features"], given[f"{key}_features"])
        assert file["test_features"].dtype == np.float16
    assert entry.problems() == []


NAMES = ["../../x", "a/b", "", ".", "..", " ", "a ", "a\\b", "a\nb", ".hidden", "/x", "x" * 101]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_one_folder_below_the_cache(tmp_path: Path, name: str) -> None:
    path = _write(tmp_path / "a.npz", **arrays({"train": 6}))
    with pytest.raises(ImportRefusedError, match="cannot be a data set's name"):
        import_features([path], name, NARROW, FeatureCache(tmp_path / "in" / "cache"))
    assert [each.name for each in tmp_path.rglob("*")] == ["a.npz"]


@pytest.mark.parametrize("name", ["x", "a b", "été-2", "v1.2", "x" * 100])
def test_other_names_are_taken(tmp_path: Path, name: str) -> None:
    path = _write(tmp_path / "a.npz", **arrays({"train": 6}))
    entry = import_features([path], name, NARROW, FeatureCache(tmp_path / "cache"))
    assert entry.key.split("/")[0] == name


@pytest.mark.parametrize("backbone", ["RN50", "ViT-B/32", "demo"])
def test_features_of_another_width_are_refused(tmp_path: Path, backbone: str) -> None:
    path = _write(tmp_path / "a.npz", **arrays())
    with pytest.raises(ImportRefusedError, match=r"the features are 8 wide and .* gives "):
        import_features([path], "x", backbone, FeatureCache(tmp_path / "cache"))
    assert not (tmp_path / "cache").exists()


def test_a_logit_scale_by_hand_is_another_entry(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.npz", **arrays(), logit_scale=np.array(4.6052))
    cache = FeatureCache(tmp_path / "cache")
    with pytest.raises(ImportRefusedError, match="--logit-scale 100 "):
        import_features([path], "x", NARROW, cache)
    found = [import_features([path], "x", NARROW, cache, scale) for scale in (100.0, 4.6052)]
    assert [entry.logit_scale for entry in found] == [100.0, 4.6052]
    assert len({entry.key for entry in found}) == 2


def test_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    given = arrays({"train": 6})
    text = {key: given.pop(key) for key in ("text_features", "prompts", "classnames")}
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    files = [_write(tmp_path / "one" / "a.npz", **given), _write(tmp_path / "other/a.npz", **text)]
    entry = import_features(files, "x", NARROW, FeatureCache(tmp_path / "cache"))
    assert list(entry.manifest["files"]) == [str(path) for path in files]
    with pytest.raises(ImportRefusedError, match="stands in an earlier file too"):
        import_features([files[0]] * 2, "x", NARROW, FeatureCache(tmp_path / "cache"))


# What is said of each file of `../shared/cases/features`, or how its train rows are kept.
CASES = {
    "good": "float16", "scale-array": "float16", "tiny": "float32", "overflows-half": "float32",
    "nan": "not finite", "zero-row": "all zeros", "empty": "is empty", "scale-nan": "is nan",
    "scale-negative": "is -5", "scale-is-log": "--logit-scale 100 ", "labels-text": "whole numbers",
    "labels-out-of-range": "labels run from",
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_files_that_go_wrong(shared_cases: Path, tmp_path: Path, name: str) -> None:
    path, cache = shared_cases / "features" / f"{name}.npz", FeatureCache(tmp_path / "cache")
    if CASES[name].startswith("float"):
        entry = import_features([path], "x", "ViT-B-32", cache)
        assert entry.manifest["stored_as"]["pool"] == CASES[name]
        assert (np.linalg.norm(entry.images("pool").embedding, axis=1) > 0).all()
        return
    with pytest.raises(ImportRefusedError, match=CASES[name]):
        import_features([path], "x", "ViT-B-32", cache)
    assert not cache.root.exists()


def test_features_of_which_some_were_normalised_are_said(tmp_path: Path) -> None:
    given = arrays({"train": 6, "test": 6})
    given["train_features"] = _unit(given["train_features"].astype(np.float32))
    path = _write(tmp_path / "a.npz", **given)
    entry = import_features([path], "x", NARROW, FeatureCache(tmp_path / "cache"))
    assert entry.manifest["normalised"]
    assert entry.manifest["remarks"] == ["train had been normalised before, test had not."]


def test_an_import_that_is_killed_before_its_text_is_not_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _write(tmp_path / "a.npz", **arrays({"train": 6}))
    cache = FeatureCache(tmp_path / "cache")
    with monkeypatch.context() as patch:
        patch.setattr(importing, "_put_text", lambda *what: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            import_features([path], "x", NARROW, cache)
    (entry,) = cache.entries()
    assert not entry.complete
    assert import_features([path], "x", NARROW, cache).complete


def test_what_is_larger_than_memory_is_taken_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that stay mapped, shards of few rows: the same numbers, and an index for draws."""
    np.savez(tmp_path / "a.npz", **arrays())
    one = import_features([tmp_path / "a.npz"], "x", NARROW, FeatureCache(tmp_path / "one"))
    monkeypatch.setattr(npz, "LARGE", 1)
    monkeypatch.setattr(index, "LARGE", 1)
    monkeypatch.setattr(importing, "SHARD_ROWS", 7)
    other = import_features([tmp_path / "a.npz"], "x", NARROW, FeatureCache(tmp_path / "other"))
    assert one.key == other.key
    for split in one.splits:
        a, b = one.images(split), other.images(split)
        assert a.embedding.tobytes() == b.embedding.tobytes()
        assert (a.label.tolist(), a.id) == (b.label.tolist(), b.id)
    assert [each.name for each in other.folder.glob("index-*")] == ["index-train.bin"]
    assert not [*one.folder.glob("index-*")]
